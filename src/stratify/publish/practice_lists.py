"""Direct care: for each practice the clinic lists, worklists and offers of its own patients, and of nobody else's.

Belongs here: who goes into which file of which practice, and why everybody else of a pathway does not. How a workbook
looks is in ``workbook``, how an offers file does is in ``offers``. People without a practice have no list: nobody may
see them here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stratify.care_homes import NOT_KNOWN, home_and_lead
from stratify.codes import is_unverified, spaced
from stratify.contract_frames import schema_of
from stratify.filled_in import ANSWER_COLUMNS
from stratify.publish import words
from stratify.publish.care_home_roster import write_rosters
from stratify.publish.context import PublishContext, check_frame, folder_name, row_reference
from stratify.publish.feedback_rows import SaidBefore
from stratify.publish.list_changes import LastWeek, list_changes, read_last_week
from stratify.publish.not_listed import (
    IDENTITY,
    REMEMBERED,
    Place,
    clinics_of,
    cover_counts,
    identity_of,
    not_listed_frame,
    remembered_of,
    shown_here,
)
from stratify.publish.notices import notice_line, write_notice
from stratify.publish.offers import OFFERS_PLACE, write_offers, write_safe_csv
from stratify.publish.register import OpenAction, open_actions
from stratify.publish.team_page import TeamPages
from stratify.publish.workbook import ClinicWorkbook, Session, write_workbook
from stratify.rules import Clinic, Pathway
from stratify.store import Store

_TOP_REASONS = 3
_PEOPLE = f"""
SELECT p.*, d.tier, d.tier_rank, d.data_gaps, d.reason AS rule_reason, r.reasons,
    c.age_years, c.sex, c.usual_gp_id, c.contact_preference, c.preferred_language, c.interpreter_needed, c.ais_format,
    c.has_digital_access, c.person_status, c.is_spine_sensitive, c.is_hospital_linked, c.identity_doubt,
    coalesce(i.date_of_birth, c.date_of_birth) AS date_of_birth, i.nhs_number, i.nhs_number_status,
    i.family_name, i.given_names,
    CASE WHEN NOT c.is_spine_sensitive THEN i.phone_mobile END AS phone_mobile,
    CASE WHEN NOT c.is_spine_sensitive THEN i.postcode END AS postcode
FROM derived.placement AS p
JOIN derived.pathway_decision AS d USING (patient_key, pathway)
JOIN core.person AS c USING (patient_key)
LEFT JOIN identity.person AS i USING (patient_key)
LEFT JOIN (
    SELECT patient_key, pathway, list(text ORDER BY position) AS reasons
    FROM derived.reason WHERE position <= {_TOP_REASONS} GROUP BY patient_key, pathway
) AS r USING (patient_key, pathway)
WHERE p.practice_code IS NOT NULL AND p.decision <> 'not_eligible'
ORDER BY p.practice_code, p.patient_key, p.pathway
"""

_SESSIONS = """
SELECT clinic_id, practice_code, clinic_date, any_value(places) AS places,
    list(role ORDER BY role) AS roles, string_agg(DISTINCT venue, ', ' ORDER BY venue) AS venue
FROM derived.clinic_session JOIN core.clinic_capacity USING (clinic_id, practice_code, clinic_date)
GROUP BY clinic_id, practice_code, clinic_date ORDER BY clinic_id, practice_code, clinic_date
"""

_NETWORKS = """
SELECT pcn_code, any_value(name), list(practice_code ORDER BY practice_code) FROM (
    SELECT DISTINCT person.pcn_code, person.practice_code, max(practice.pcn_name) AS name
    FROM core.person AS person JOIN core.practice AS practice USING (pcn_code)
    WHERE person.practice_code IS NOT NULL GROUP BY ALL
) GROUP BY pcn_code ORDER BY pcn_code
"""

_PRACTICES = """
SELECT practice_code, arg_max(practice_name, valid_from) FROM core.practice GROUP BY practice_code ORDER BY ALL
"""

_WITH_PEOPLE = """
SELECT DISTINCT practice_code FROM derived.placement WHERE practice_code IS NOT NULL AND decision <> 'not_eligible'
"""
_SERVED = """
SELECT practice_code FROM core.person WHERE person_status = 'registered' AND practice_code IS NOT NULL
UNION SELECT practice_code FROM core.clinic_capacity
WHERE practice_code NOT IN (SELECT pcn_code FROM core.practice) ORDER BY ALL
"""

Row = dict[str, Any]


def write_direct_care(
    store: Store, folder: Path, context: PublishContext, pages: TeamPages | None = None
) -> list[Path]:
    """Write a workbook for each practice and clinic or worklist, and a file of offers for each practice that has any.

    A workbook is written where somebody of the practice is listed or waiting, and where the clinic has a session for
    the practice in the coming week: an empty list says that it is empty. Where a pathway is held there is a notice in
    the place of its lists and offers, or on the cover of a list that others share; none of its people is on any.

    Of a clinic whose practices share a list (``context.shared_lists``) there is one workbook for the network, with the
    people of all its practices and of no other, and none for a practice alone.

    Args:
        store: The run's store, with ``identity`` attached.
        folder: Where the practices' folders go.
        context: The run.
        pages: Writes the page of each practice's team; without it there is none.

    Returns:
        The files written, sorted.

    Raises:
        ContractError: rows do not keep ``out.clinic_list``, ``out.not_listed`` or ``out.self_management_offer``.
    """
    names = dict(store.rows(_PRACTICES))
    networks = {code: (name, tuple(practices)) for code, name, practices in store.rows(_NETWORKS)}
    every = clinics_of(context.pathways.values())
    practices = {practice for (practice,) in store.rows(_WITH_PEOPLE)}
    if context.held:
        practices |= {practice for (practice,) in store.rows(_SERVED) if context.held_at(practice)}
    with _read(store, context, networks) as week:
        practices |= {practice for practice, clinic_id in week.lists if clinic_id in every}
        written = _write_practices(folder, sorted(practices), week, (names, networks, every), context, pages)
        if context.shared_lists:
            for code, (name, members) in networks.items():
                shown = {each: f"{names.get(each, each)} ({each})" for each in members}
                written += _write_shared(folder / folder_name(code), (code, name), shown, week, context, pages)
    return sorted([*written, *write_rosters(store, folder, context)])


@dataclass(frozen=True)
class _Week:
    """What lists are written from; people and last week's lists are read a practice at a time."""

    people: Callable[[str], list[Row]]
    last: LastWeek
    sessions: Mapping[tuple[str, str], tuple[Session, ...]]
    agreed: Mapping[tuple[str, str], Sequence[OpenAction]]
    said: SaidBefore

    @property
    def lists(self) -> set[tuple[str, str]]:
        """Practice and clinic of every list that there is, even of nobody."""
        return {*self.sessions, *self.last.lists, *self.agreed}


_Network = tuple[str, tuple[str, ...]]


@contextmanager
def _read(store: Store, context: PublishContext, networks: Mapping[str, _Network]) -> Iterator[_Week]:
    with store.parted(_PEOPLE, "practice_code") as people, read_last_week(store, context.index_date) as last:
        yield _Week(
            people=lambda practice: [_in_words(row, context) for row in people(practice).iter_rows(named=True)],
            last=last,
            sessions=_sessions(store, networks),
            agreed=open_actions(store, context),
            said=SaidBefore(store, context),
        )


def _write_practices(
    folder: Path,
    practices: Sequence[str],
    week: _Week,
    known: tuple[Mapping[str, str], Mapping[str, _Network], Mapping[str, Place]],
    context: PublishContext,
    pages: TeamPages | None,
) -> list[Path]:
    """Write the lists and offers of each practice; ``known`` has names, networks and all clinics."""
    names, networks, every = known
    written: list[Path] = []
    for practice in context.told(practices, "Lists and offers"):
        home = folder / folder_name(practice)
        everybody, last = week.people(practice), week.last.of(practice)
        held = _held(everybody, context, practice)
        rows = [row for row in everybody if row["pathway"] not in held]
        clinics = clinics_of(
            each for each in context.pathways.values() if each.id not in held and (each.id, practice) not in context.off
        )
        wanted = {row["clinic_id"] for row in rows if row["placement"] in ("listed", "waiting")}
        wanted |= {clinic_id for code, clinic_id in week.lists if code == practice}
        if any(practice in practices for _, practices in networks.values()):
            wanted -= context.shared_lists
        books = []
        for clinic_id in sorted(wanted & set(clinics)):
            book = _workbook(
                clinics[clinic_id],
                rows,
                context,
                practice_code=practice,
                practice_name=names.get(practice, practice),
                sessions=week.sessions.get((practice, clinic_id), ()),
                notices=tuple(notice_line(*held[each.id]) for each in every[clinic_id].pathways if each.id in held),
                of_practice=everybody,
                last=last.get(clinic_id, ()),
                said=week.said.rows(practice, clinic_id=clinic_id),
                agreed=week.agreed.get((practice, clinic_id), ()),
            )
            written += _write_list(home / folder_name(clinic_id), book, context)
            books.append(book)
        offered = [row for row in rows if row["placement"] == "offered"]
        if pages:
            lines = [notice_line(*each) for each in held.values()]
            written += pages.write(home, (practice, names.get(practice, practice)), books, held=lines, offered=offered)
        if offered:
            path = home / OFFERS_PLACE / context.file_name("offers", "csv")
            write_offers(path, offered, context)
            written.append(path)
        written += _notices(
            home, held, context, set(wanted & set(clinics)), f"{names.get(practice, practice)} ({practice})"
        )
    return written


def _write_shared(
    home: Path,
    network: tuple[str, str],
    shown: Mapping[str, str],
    week: _Week,
    context: PublishContext,
    pages: TeamPages | None,
) -> list[Path]:
    """Write the lists that the practices of a network share; each row says whose patient it is.

    ``shown``: what each of its practices is called, by code.
    """
    code, name = network
    people = {practice: week.people(practice) for practice in shown}
    last = [week.last.of(practice) for practice in shown]
    written, books = [], []
    for clinic_id, place in sorted(clinics_of(context.pathways.values()).items()):
        if clinic_id not in context.shared_lists:
            continue
        feeding = {each.id for each in place.pathways}
        rows: list[Row] = []
        notices: list[str] = []
        for practice, everybody in people.items():
            held = {key: each for key, each in _held(everybody, context, practice).items() if key in feeding}
            notices += [f"{shown[practice]}: {notice_line(*each)}" for each in held.values()]
            rows += [_of_practice(row, shown[practice]) for row in everybody if row["pathway"] not in held]
        here = tuple(each for practice in shown for each in week.sessions.get((practice, clinic_id), ()))
        if not here and not any(row["clinic_id"] == clinic_id for row in rows):
            continue
        book = _workbook(
            place,
            rows,
            context,
            practice_code=code,
            practice_name=f"{name}: one list for {', '.join(shown.values())}",
            sessions=tuple(sorted(dict.fromkeys(here), key=lambda each: (each.day, each.venue))),
            notices=tuple(notices),
            of_practice=[row for everybody in people.values() for row in everybody],
            last=[row for lists in last for row in lists.get(clinic_id, ())],
            said=week.said.rows(*shown, clinic_id=clinic_id),
            agreed=sorted(
                (each for practice in shown for each in week.agreed.get((practice, clinic_id), ())),
                key=lambda each: each.due_date,
            ),
        )
        written += _write_list(home / folder_name(clinic_id), book, context)
        books.append(book)
    if pages:
        written += pages.write(home, network, books, members=tuple(shown))
    return written


def _write_list(place: Path, book: ClinicWorkbook, context: PublishContext) -> list[Path]:
    """Write a list as a workbook, and for import its rows as CSV: without the cells to fill in, which come back in the
    workbook; none where nobody is listed.
    """
    path = place / context.file_name(f"clinic_list_{book.clinic.id}", "xlsx")
    write_workbook(path, book, context)
    if book.listed.is_empty():
        return [path]
    table = path.with_suffix(".csv")
    in_a_line = pl.col("why", "data_gaps", "other_needs").str.replace_all("• ", "").str.replace_all("\n", "; ")
    write_safe_csv(table, book.listed.drop(ANSWER_COLUMNS).with_columns(in_a_line))
    return [path, table]


def _of_practice(row: Row, practice: str) -> Row:
    doctor = f"{practice}, {row['usual_gp_id']}" if row["usual_gp_id"] else practice
    return {**row, "usual_gp_id": doctor, "placement_reason": f"{practice}: {row['placement_reason']}"}


_Held = tuple[Pathway, str, int]
"""A pathway held at a practice, why, and how many people of the practice that touches."""


def _held(rows: Sequence[Row], context: PublishContext, practice: str) -> dict[str, _Held]:
    people = Counter(row["pathway"] for row in rows if row["placement"] == "list_held")
    reasons = context.held_at(practice)
    return {name: (context.pathways[name], reasons[name], people[name]) for name in sorted(reasons)}


def _notices(
    home: Path, held: Mapping[str, _Held], context: PublishContext, listed: set[str], practice: str
) -> list[Path]:
    """Write a notice wherever a held list would have been, and no list of others says on its cover that it is held."""
    places: dict[str, tuple[str, list[_Held]]] = {}
    for each in held.values():
        pathway = each[0]
        for clinic in pathway.places:
            if clinic.id not in listed:
                places.setdefault(clinic.id, (clinic.label, []))[1].append(each)
        places.setdefault(OFFERS_PLACE, ("Self-management offers", []))[1].append(each)
    paths = []
    for name, (label, mine) in sorted(places.items()):
        path = home / folder_name(name) / context.file_name("held", "txt")
        write_notice(path, context, place=label, practice=practice, held=mine)
        paths.append(path)
    return paths


def _sessions(store: Store, networks: Mapping[str, _Network]) -> dict[tuple[str, str], tuple[Session, ...]]:
    """Give the sessions of the coming week by practice and clinic, those of its network among them."""
    found: dict[tuple[str, str], tuple[Session, ...]] = {}
    for clinic_id, audience, day, places, roles, venue in store.rows(_SESSIONS):
        name, practices = networks.get(audience, ("", (audience,)))
        where = "; ".join(filter(None, (venue, f"places shared by the practices of {name}" if name else "")))
        here = Session(day, int(places), words.roles_in_words(tuple(roles)), where)
        for practice in practices:
            found[practice, clinic_id] = (*found.get((practice, clinic_id), ()), here)
    return {key: tuple(sorted(each, key=lambda session: session.day)) for key, each in found.items()}


def _in_words(row: Row, context: PublishContext) -> Row:
    """Add to a row what its codes mean in words."""
    pathway = context.pathways[row["pathway"]]
    gaps = [each.strip() for each in (row["data_gaps"] or "").split(";") if each.strip()]
    if not row["is_hospital_linked"] and not any("ospital data" in gap for gap in gaps):
        gaps.append("Hospital data not linked")
    if row["identity_doubt"] and row["decision"] != "excluded":
        gaps.append(f"Identity to be confirmed: {row['identity_doubt']}")
    if is_unverified(row["nhs_number_status"]):
        gaps.append(words.UNVERIFIED_NUMBER)
    if not row["nhs_number"] and row["decision"] != "excluded":
        gaps.append("No NHS number in the record: find the person by name and date of birth, and have it traced")
    reasons = row["reasons"] or [row["rule_reason"]]
    home, _ = home_and_lead(row["postcode"], context.care_homes) if pathway.roster else (NOT_KNOWN, "")
    if home != NOT_KNOWN:
        reasons = [f"Lives at {home}", *reasons]
    return {
        **row,
        "nhs_number": spaced(row["nhs_number"]),
        "sex": words.sex_in_words(row["sex"]),
        "contact": words.contact_in_words(row["contact_preference"], row["is_spine_sensitive"]),
        "language": words.language_in_words(row["preferred_language"], row["interpreter_needed"]),
        "formats": words.formats_in_words(row["ais_format"]),
        "tier": words.tier_in_words(pathway, context.scores, row["tier"]),
        "why": "\n".join(f"• {text}" for text in reasons),
        "data_gaps": "\n".join(dict.fromkeys(gaps)) or None,
        "state_words": words.state_in_words(row["state"]),
        "other_needs": "\n".join(each.strip() for each in (row["other_needs"] or "").split(";") if each.strip())
        or None,
    }


def _workbook(
    place: Place,
    everybody: Sequence[Row],
    context: PublishContext,
    *,
    practice_code: str,
    practice_name: str,
    sessions: Sequence[Session],
    notices: tuple[str, ...],
    of_practice: Sequence[Row],
    last: Sequence[Row],
    said: pl.DataFrame,
    agreed: Sequence[OpenAction],
) -> ClinicWorkbook:
    feeding = {pathway.id for pathway in place.pathways}
    rows = [
        {**row, "row_reference": row_reference(context.index_date, place.clinic.id, row["patient_key"])}
        for row in everybody
        if row["pathway"] in feeding
    ]
    here = [row for row in rows if row["clinic_id"] == place.clinic.id]
    listed = _one_each(row for row in here if row["placement"] == "listed")
    on_list = {row["patient_key"] for row in listed}
    waiting = _one_each(row for row in here if row["placement"] == "waiting" and row["patient_key"] not in on_list)
    left = [row for row in rows if row["patient_key"] not in on_list]
    others = shown_here(left, place)
    labels = {each.id: each.label for each in context.pathways.values()}
    changes = list_changes(listed, of_practice, last, labels)

    return ClinicWorkbook(
        clinic=place.clinic,
        pathways=place.pathways,
        practice_code=practice_code,
        practice_name=practice_name,
        sessions=tuple(sessions),
        counts=cover_counts(place, rows, listed, on_list, context),
        listed=check_frame(_list_frame(listed, place), "out.clinic_list"),
        tier_ranks=tuple(row["tier_rank"] for row in listed),
        waiting=_waiting_frame(waiting),
        waiting_ranks=tuple(row["tier_rank"] for row in waiting),
        not_listed=check_frame(not_listed_frame(others, place, context), "out.not_listed"),
        changes=check_frame(pl.DataFrame(changes, schema=schema_of("out.list_change")), "out.list_change"),
        elsewhere=len({row["patient_key"] for row in left} - {row["patient_key"] for row in others}),
        notices=(*notices, *_full(place.clinic, len(waiting), sessions)),
        said=said,
        actions=tuple(agreed),
    )


def _full(clinic: Clinic, waiting: int, sessions: Sequence[Session]) -> tuple[str, ...]:
    """Tell those who send people to a clinic that it takes nobody new in, and why."""
    if not waiting or not clinic.needs_capacity:
        return ()
    places = sum(session.places for session in sessions)
    why = f"its {places} places of this week are given" if places else "it has no session this week"
    return (f"FULL: {why}. Whoever is sent here now waits; {waiting} wait already. Commissioners are told.",)


def _rank(row: Row) -> tuple[bool, int]:
    return (row["priority_rank"] is None, row["priority_rank"] or 0)


def _one_each(rows: Iterable[Row]) -> list[Row]:
    """Keep one row a person, the one that is seen first; in order of rank."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda each: (_rank(each), each["row_reference"], each["pathway"])):
        found.setdefault(row["patient_key"], row)
    return list(found.values())


def _list_frame(rows: Sequence[Row], place: Place) -> pl.DataFrame:
    roles = {each.id: words.roles_in_words(each.clinic(place.clinic.id).roles) for each in place.pathways}
    records = [
        {
            **identity_of(row),
            "clinic_date": row["clinic_date"],
            "priority_rank": row["priority_rank"] if row["priority_rank"] is not None else position,
            "age_years": row["age_years"],
            "sex": row["sex"],
            "usual_gp_id": row["usual_gp_id"],
            "phone_mobile": row["phone_mobile"],
            "contact_preference": row["contact"],
            "language": row["language"],
            "ais_format": row["formats"],
            "tier": row["tier"],
            "why": row["why"],
            "data_gaps": row["data_gaps"],
            "other_needs": row["other_needs"],
            **remembered_of(row),
            "suggested_roles": roles[row["pathway"]],
            **dict.fromkeys(ANSWER_COLUMNS),
        }
        for position, row in enumerate(rows, 1)
    ]
    return pl.DataFrame(records, schema=schema_of("out.clinic_list"))


def _waiting_frame(rows: Sequence[Row]) -> pl.DataFrame:
    records = [
        {
            **identity_of(row),
            "priority_rank": row["priority_rank"],
            "age_years": row["age_years"],
            "sex": row["sex"],
            "phone_mobile": row["phone_mobile"],
            "tier": row["tier"],
            "why": row["why"],
            "data_gaps": row["data_gaps"],
            "why_waiting": row["placement_reason"],
            **remembered_of(row),
        }
        for row in rows
    ]
    names = (*IDENTITY, "priority_rank", "age_years", "sex", "phone_mobile", "tier", "why", "data_gaps")
    schema = {name: kind for name, kind in schema_of("out.clinic_list").items() if name in (*names, *REMEMBERED)}
    return pl.DataFrame(records, schema={**schema, "why_waiting": pl.String()})
