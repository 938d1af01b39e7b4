"""Direct care: for each practice the clinic lists, worklists and offers of its own patients, and of nobody else's.

Belongs here: who goes into which file of which practice, and why everybody else of a pathway does not. How a workbook
looks is in ``workbook``, how an offers file does is in ``offers``. People without a practice have no list: nobody may
see them here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stratify.codes import is_unverified, spaced
from stratify.contract_frames import schema_of
from stratify.filled_in import ANSWER_COLUMNS
from stratify.publish import words
from stratify.publish.care_home_roster import write_rosters
from stratify.publish.context import PublishContext, check_frame, folder_name, row_reference
from stratify.publish.feedback_rows import SaidBefore
from stratify.publish.list_changes import list_changes, read_last_week
from stratify.publish.notices import notice_line, write_notice
from stratify.publish.offers import OFFERS_PLACE, write_offers
from stratify.publish.register import OpenAction, open_actions
from stratify.publish.team_page import TeamPages
from stratify.publish.workbook import ClinicWorkbook, CountLine, Session, write_workbook
from stratify.rules import Clinic, Pathway
from stratify.store import Store

_TOP_REASONS = 3
_ON_THIS_LIST = 6
_IDENTITY = ("row_reference", "nhs_number", "family_name", "given_names", "date_of_birth")
_STATUS_WORDS = {
    "died": ("Do not contact", "Recorded as having died"),
    "left": ("Not called", "No longer registered with the practice"),
}

_IN_HAND = (
    "invited_1", "invited_2", "invited_3", "booked", "attended", "declined", "deferred", "not_appropriate", "offered",
    "activated",
)  # fmt: skip
"""States in which somebody is on no list for a reason that is the person's own and not the clinic's."""

_PEOPLE = f"""
SELECT p.*, d.tier, d.tier_rank, d.data_gaps, d.reason AS rule_reason, r.reasons,
    c.age_years, c.sex, c.usual_gp_id, c.contact_preference, c.preferred_language, c.interpreter_needed, c.ais_format,
    c.has_digital_access, c.person_status, c.is_spine_sensitive, c.is_hospital_linked, c.identity_doubt,
    coalesce(i.date_of_birth, c.date_of_birth) AS date_of_birth, i.nhs_number, i.nhs_number_status,
    i.family_name, i.given_names,
    CASE WHEN NOT c.is_spine_sensitive THEN i.phone_mobile END AS phone_mobile
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
    sessions = _sessions(store, networks)
    by_practice: dict[str, list[Row]] = {}
    for row in store.frame(_PEOPLE).iter_rows(named=True):
        by_practice.setdefault(row["practice_code"], []).append(_in_words(row, context))
    every = _clinics(context.pathways.values())
    last, said = read_last_week(store, context.index_date), SaidBefore(store, context)
    agreed = open_actions(store, context)
    for practice, clinic_id in (*sessions, *last, *agreed):
        if clinic_id in every:
            by_practice.setdefault(practice, [])
    if context.held:
        for (practice,) in store.rows(_SERVED):
            if context.held_at(practice):
                by_practice.setdefault(practice, [])
    written: list[Path] = []
    for practice in context.told(sorted(by_practice), "Lists and offers"):
        home = folder / folder_name(practice)
        held = _held(by_practice[practice], context, practice)
        rows = [row for row in by_practice[practice] if row["pathway"] not in held]
        clinics = _clinics(
            each for each in context.pathways.values() if each.id not in held and (each.id, practice) not in context.off
        )
        wanted = {row["clinic_id"] for row in rows if row["placement"] in ("listed", "waiting")}
        wanted |= {clinic_id for code, clinic_id in (*sessions, *last, *agreed) if code == practice}
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
                sessions=sessions.get((practice, clinic_id), ()),
                notices=tuple(notice_line(*held[each.id]) for each in every[clinic_id].pathways if each.id in held),
                of_practice=by_practice[practice],
                last=last.get((practice, clinic_id), ()),
                said=said.rows(practice, clinic_id=clinic_id),
                agreed=agreed.get((practice, clinic_id), ()),
            )
            path = home / folder_name(clinic_id) / context.file_name("clinic_list", "xlsx")
            write_workbook(path, book, context)
            written.append(path)
            books.append(book)
        if pages:
            lines = [notice_line(*each) for each in held.values()]
            written += pages.write(home, (practice, names.get(practice, practice)), books, held=lines)
        offered = [row for row in rows if row["placement"] == "offered"]
        if offered:
            path = home / OFFERS_PLACE / context.file_name("offers", "csv")
            write_offers(path, offered, context)
            written.append(path)
        written += _notices(
            home, held, context, set(wanted & set(clinics)), f"{names.get(practice, practice)} ({practice})"
        )
    if context.shared_lists:
        for code, (name, practices) in networks.items():
            mine = {each: by_practice.get(each, []) for each in practices}
            shown = {each: f"{names.get(each, each)} ({each})" for each in practices}
            written += _write_shared(
                folder / folder_name(code),
                (code, name),
                mine,
                shown,
                (sessions, last, agreed, said),
                context,
                pages,
            )
    return sorted([*written, *write_rosters(store, folder, context)])


def _write_shared(
    home: Path,
    network: tuple[str, str],
    by_practice: Mapping[str, list[Row]],
    shown: Mapping[str, str],
    by_list: tuple[
        Mapping[tuple[str, str], tuple[Session, ...]],
        Mapping[tuple[str, str], Sequence[Row]],
        Mapping[tuple[str, str], Sequence[OpenAction]],
        SaidBefore,
    ],
    context: PublishContext,
    pages: TeamPages | None,
) -> list[Path]:
    """Write the lists that the practices of a network share; each row says whose patient it is.

    ``by_list`` has the sessions of the coming week, the rows of last week's lists and the open actions, by practice and
    clinic, and what was said before.
    """
    code, name = network
    sessions, last, agreed, said = by_list
    written, books = [], []
    for clinic_id, place in sorted(_clinics(context.pathways.values()).items()):
        if clinic_id not in context.shared_lists:
            continue
        feeding = {each.id for each in place.pathways}
        rows: list[Row] = []
        notices: list[str] = []
        for practice, everybody in by_practice.items():
            held = {key: each for key, each in _held(everybody, context, practice).items() if key in feeding}
            notices += [f"{shown[practice]}: {notice_line(*each)}" for each in held.values()]
            rows += [_of_practice(row, shown[practice]) for row in everybody if row["pathway"] not in held]
        here = tuple(each for practice in by_practice for each in sessions.get((practice, clinic_id), ()))
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
            of_practice=[row for everybody in by_practice.values() for row in everybody],
            last=[row for practice in by_practice for row in last.get((practice, clinic_id), ())],
            said=said.rows(*by_practice, clinic_id=clinic_id),
            agreed=sorted(
                (each for practice in by_practice for each in agreed.get((practice, clinic_id), ())),
                key=lambda each: each.due_date,
            ),
        )
        path = home / folder_name(clinic_id) / context.file_name("clinic_list", "xlsx")
        write_workbook(path, book, context)
        written.append(path)
        books.append(book)
    if pages:
        written += pages.write(home, network, books, members=tuple(by_practice))
    return written


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


@dataclass(frozen=True)
class _Place:
    """A clinic or worklist and the pathways that send people to it."""

    clinic: Clinic
    pathways: tuple[Pathway, ...]


def _clinics(pathways: Iterable[Pathway]) -> dict[str, _Place]:
    """Give every clinic and worklist with the pathways that feed it; the first pathway's words are used."""
    found: dict[str, _Place] = {}
    for pathway in sorted(pathways, key=lambda each: (each.precedence, each.id)):
        for clinic in pathway.places:
            before = found.get(clinic.id)
            found[clinic.id] = (
                _Place(before.clinic, (*before.pathways, pathway)) if before else _Place(clinic, (pathway,))
            )
    return found


def _sessions(
    store: Store, networks: Mapping[str, tuple[str, tuple[str, ...]]]
) -> dict[tuple[str, str], tuple[Session, ...]]:
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
    return {
        **row,
        "nhs_number": spaced(row["nhs_number"]),
        "sex": words.sex_in_words(row["sex"]),
        "contact": words.contact_in_words(row["contact_preference"], row["is_spine_sensitive"]),
        "language": words.language_in_words(row["preferred_language"], row["interpreter_needed"]),
        "formats": words.formats_in_words(row["ais_format"]),
        "tier": words.tier_in_words(pathway, context.scores, row["tier"]),
        "why": "\n".join(f"• {text}" for text in row["reasons"] or [row["rule_reason"]]),
        "data_gaps": "\n".join(dict.fromkeys(gaps)) or None,
        "state_words": words.state_in_words(row["state"]),
        "other_needs": "\n".join(each.strip() for each in (row["other_needs"] or "").split(";") if each.strip())
        or None,
    }


def _workbook(
    place: _Place,
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
    others = [row for row in rows if row["patient_key"] not in on_list]
    labels = {each.id: each.label for each in context.pathways.values()}
    changes = list_changes(listed, of_practice, last, labels)

    return ClinicWorkbook(
        clinic=place.clinic,
        pathways=place.pathways,
        practice_code=practice_code,
        practice_name=practice_name,
        sessions=tuple(sessions),
        counts=_counts(place, rows, listed, on_list, context),
        listed=check_frame(_list_frame(listed, place), "out.clinic_list"),
        tier_ranks=tuple(row["tier_rank"] for row in listed),
        waiting=_waiting_frame(waiting),
        waiting_ranks=tuple(row["tier_rank"] for row in waiting),
        not_listed=check_frame(_not_listed_frame(others, place, context), "out.not_listed"),
        changes=check_frame(pl.DataFrame(changes, schema=schema_of("out.list_change")), "out.list_change"),
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


def _list_frame(rows: Sequence[Row], place: _Place) -> pl.DataFrame:
    roles = {each.id: words.roles_in_words(each.clinic(place.clinic.id).roles) for each in place.pathways}
    records = [
        {
            **_identity(row),
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
            **_remembered(row),
            "suggested_roles": roles[row["pathway"]],
            **dict.fromkeys(ANSWER_COLUMNS),
        }
        for position, row in enumerate(rows, 1)
    ]
    return pl.DataFrame(records, schema=schema_of("out.clinic_list"))


def _waiting_frame(rows: Sequence[Row]) -> pl.DataFrame:
    records = [
        {
            **_identity(row),
            "priority_rank": row["priority_rank"],
            "age_years": row["age_years"],
            "sex": row["sex"],
            "phone_mobile": row["phone_mobile"],
            "tier": row["tier"],
            "why": row["why"],
            "data_gaps": row["data_gaps"],
            "why_waiting": row["placement_reason"],
            **_remembered(row),
        }
        for row in rows
    ]
    names = (*_IDENTITY, "priority_rank", "age_years", "sex", "phone_mobile", "tier", "why", "data_gaps")
    schema = {name: kind for name, kind in schema_of("out.clinic_list").items() if name in (*names, *_REMEMBERED)}
    return pl.DataFrame(records, schema={**schema, "why_waiting": pl.String()})


def _not_listed_frame(rows: Sequence[Row], place: _Place, context: PublishContext) -> pl.DataFrame:
    """Give one row a person: what happens instead, and why, pathway by pathway where there are several."""
    people: dict[str, list[Row]] = {}
    for row in rows:
        people.setdefault(row["patient_key"], []).append(row)
    records = []
    for mine in people.values():
        outcomes = [(context.pathways[row["pathway"]].label, *_outcome(row, place, context)) for row in mine]
        several = len(outcomes) > 1

        def lines(texts: Iterable[tuple[str, str]], several: bool = several) -> str:
            return "\n".join(f"{label}: {text}" if several else text for label, text in texts)

        ranks = [row["priority_rank"] for row in mine if row["placement"] == "waiting" and _is_here(row, place)]
        gaps = [line for row in mine for line in (row["data_gaps"] or "").split("\n") if line]
        waits = [row["waiting_since"] for row in mine if row["waiting_since"]]
        records.append(
            {
                **_identity(mine[0]),
                "pathway": "\n".join(label for label, _, _ in outcomes),
                "what_happens": lines((label, happens) for label, happens, _ in outcomes),
                "why": lines((label, why) for label, _, why in outcomes),
                "data_gaps": "\n".join(dict.fromkeys(gaps)) or None,
                "priority_rank": min((rank for rank in ranks if rank is not None), default=None),
                "waiting_since": min(waits, default=None),
                **{name: lines(_said(mine, name, context)) or None for name in _REMEMBERED if name != "waiting_since"},
            }
        )
    # Whoever waits for this clinic first, in order; then by what happens, and by name to look people up.
    frame = pl.DataFrame(records, schema=schema_of("out.not_listed"))
    return frame.sort("priority_rank", "what_happens", "family_name", "given_names", "row_reference", nulls_last=True)


_REMEMBERED = ("state", "waiting_since", "since_last_week", "previous_outcome")


def _remembered(row: Row) -> Row:
    """Give the columns that say what is remembered of a person."""
    return {**{name: row[name] for name in _REMEMBERED}, "state": row["state_words"]}


def _said(rows: Iterable[Row], name: str, context: PublishContext) -> list[tuple[str, str]]:
    """Give what is remembered of each pathway of a person, with the name of the pathway."""
    column = "state_words" if name == "state" else name
    return [(context.pathways[row["pathway"]].label, row[column]) for row in rows if row[column]]


def _is_here(row: Row, place: _Place) -> bool:
    return bool(row["clinic_id"] == place.clinic.id)


def _outcome(row: Row, place: _Place, context: PublishContext) -> tuple[str, str]:
    """Say what happens to somebody who is not on this list, and why."""
    pathway = context.pathways[row["pathway"]]
    if row["person_status"] in _STATUS_WORDS:
        return _STATUS_WORDS[row["person_status"]]
    match row["placement"]:
        case "waiting":
            return f"Waits for a place: {_label(pathway, row)}", row["placement_reason"]
        case "held":
            return "Held: another need is met first", row["placement_reason"]
        case "offered":
            return f"Is offered: {pathway.offer(row['offer_id']).label}", row["rule_reason"]
        case "listed":
            day = f" on {words.day_in_words(row['clinic_date'])}" if row["clinic_date"] else ""
            return f"Is on another list: {_label(pathway, row)}{day}", row["rule_reason"]
        case _ if row["state"] in _IN_HAND:
            return str(row["state_words"]), row["placement_reason"]
        case _:
            return "Not called", row["placement_reason"]


def _label(pathway: Pathway, row: Row) -> str:
    return pathway.clinic(row["clinic_id"]).label if row["clinic_id"] else pathway.label


def _counts(
    place: _Place, rows: Sequence[Row], listed: Sequence[Row], on_list: set[str], context: PublishContext
) -> tuple[CountLine, ...]:
    """Count people from everybody on each pathway down to this list, so that every column adds up."""
    listed_as = {(row["patient_key"], row["pathway"]) for row in listed}
    tallies: dict[tuple[int, str], Counter[str]] = {}
    for row in rows:
        step = _step(row, place, context, on_list=on_list, listed_as=listed_as)
        tallies.setdefault(step, Counter())[row["pathway"]] += 1
    for always in ((5, f"Waiting for {place.clinic.label}"), (_ON_THIS_LIST, "On this list")):
        tallies.setdefault(always, Counter())
    everybody = Counter(row["pathway"] for row in rows)
    ids = [pathway.id for pathway in place.pathways]
    lines = [
        CountLine("Everybody on the pathway at this practice", tuple(everybody[each] for each in ids), is_strong=True)
    ]
    for (order, text), tally in sorted(tallies.items(), key=lambda each: each[0]):
        lines.append(CountLine(text, tuple(tally[each] for each in ids), is_strong=order == _ON_THIS_LIST))
    return tuple(lines)


def _step(
    row: Row, place: _Place, context: PublishContext, *, on_list: set[str], listed_as: set[tuple[str, str]]
) -> tuple[int, str]:
    pathway = context.pathways[row["pathway"]]
    if (row["patient_key"], row["pathway"]) in listed_as:
        return _ON_THIS_LIST, "On this list"
    if row["patient_key"] in on_list:
        return 4, "On this list for another need"
    match row["placement"]:
        case "waiting" if _is_here(row, place):
            return 5, f"Waiting for {place.clinic.label}"
        case "waiting" | "listed":
            return 2, f"Other route: {_label(pathway, row)}"
        case "offered":
            return 2, f"Other route: {pathway.offer(row['offer_id']).label}"
        case "held":
            return 3, "Held: another need is met first, elsewhere"
        case "not_listed" if row["state"] in _IN_HAND:
            return 1, f"On no list this week: {row['state_words'].lower()}"
        case _:
            return 1, f"Left out: {_outcome(row, place, context)[1]}"


def _identity(row: Row) -> Row:
    return {name: row[name] for name in _IDENTITY}
