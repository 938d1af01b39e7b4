"""The pack of a multi-professional meeting: open actions, agenda, then a page for each person on the list.

Direct care only, one file per practice and clinic. Belongs here: what stands in a pack and in which order. Who is on
the list was settled before; what is asked and who chairs it is data (``clinical/wording/agenda.yaml``); how a page
looks is in ``pages/pack.typ``. No text of the record but names of medicines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from stratify import periods
from stratify.codes import spaced
from stratify.publish import charts, words
from stratify.publish.context import PublishContext, folder_name, row_reference
from stratify.publish.pdf import write_pdf, write_side_by_side
from stratify.publish.register import OpenAction, is_meeting, open_actions
from stratify.publish.workbook import CLASSIFICATION, DECISION_SUPPORT
from stratify.rulebook import RuleBook
from stratify.rules import Clinic
from stratify.rules.wording import Agenda
from stratify.store import Store

_TREND_MONTHS = 36
_MEDICINE_DAYS = 120
_TEAM_MONTHS = 12
_MOST = {"facts": 8, "trends": 6, "medicines": 14, "teams": 4, "referrals": 4, "steps": 3}
_NO_UNIT = ("grade", "score", "ratio", "points")

_LISTED = """
CREATE OR REPLACE TEMP TABLE pack_row AS
SELECT p.*, d.tier, d.rule_id, d.reason AS rule_reason, d.data_gaps, c.age_years, c.sex, c.usual_gp_id,
    c.contact_preference, c.preferred_language, c.interpreter_needed, c.ais_format, c.is_spine_sensitive,
    c.is_hospital_linked, coalesce(i.date_of_birth, c.date_of_birth) AS date_of_birth, i.nhs_number,
    i.nhs_number_status, i.family_name, i.given_names,
    CASE WHEN NOT c.is_spine_sensitive THEN i.phone_mobile END AS phone_mobile
FROM derived.placement AS p
JOIN derived.pathway_decision AS d USING (patient_key, pathway)
JOIN core.person AS c USING (patient_key)
LEFT JOIN identity.person AS i USING (patient_key)
WHERE p.placement = 'listed' AND p.practice_code IS NOT NULL AND p.clinic_id IN ({clinics})
"""
_ROWS = "SELECT * FROM pack_row ORDER BY practice_code, clinic_id, priority_rank NULLS LAST, patient_key"
_MEETINGS = "SELECT DISTINCT practice_code, clinic_id FROM pack_row"
_FACTS = """
SELECT pack_row.practice_code, r.patient_key, r.variable, r.text, v.value, v.state, v.bound, v.value_date,
    v.source_table
FROM pack_row JOIN derived.reason AS r USING (patient_key, pathway)
LEFT JOIN derived.variable_value AS v USING (patient_key, variable)
ORDER BY pack_row.practice_code, r.patient_key, r.position
"""
_VALUES = """
SELECT pack_row.practice_code, o.patient_key, o.measurement, o.effective_date, o.value_canonical
FROM core.gp_observation AS o JOIN pack_row USING (patient_key)
WHERE o.value_status = 'ok' AND o.measurement IS NOT NULL AND o.effective_precision = 'YMD' AND o.comparator IS NULL
    AND o.is_confidential IS NOT TRUE AND o.effective_date >= $1 AND o.effective_date < $2
GROUP BY ALL ORDER BY ALL
"""
_ADMISSIONS = """
SELECT pack_row.practice_code, s.patient_key, s.admission_date
FROM core.apc_spell AS s JOIN pack_row USING (patient_key)
WHERE s.is_emergency AND s.admission_date >= $1 AND s.admission_date < $2 GROUP BY ALL ORDER BY ALL
"""
_MEDICINES = """
SELECT pack_row.practice_code, m.patient_key, coalesce(m.dmd_term, 'A medicine without a name in the record') AS name,
    max(m.issue_date) AS latest, count(DISTINCT m.issue_date) AS issues
FROM core.gp_medication AS m JOIN pack_row USING (patient_key)
WHERE m.issue_date >= $1 AND m.issue_date < $2 AND (m.cancelled_date IS NULL OR m.cancelled_date >= $2)
GROUP BY ALL ORDER BY ALL
"""
_TEAMS = """
SELECT pack_row.practice_code, t.patient_key, t.team,
    max(t.contact_date) FILTER (t.attended IN ('5', '6') AND t.contact_date < $2) AS latest,
    min(t.contact_date) FILTER (t.contact_date >= $2 AND t.attended IS NULL) AS coming
FROM core.community_contact AS t JOIN pack_row USING (patient_key) WHERE t.contact_date >= $1
GROUP BY ALL HAVING latest IS NOT NULL OR coming IS NOT NULL ORDER BY 1, 2, coming NULLS LAST, latest DESC, team
"""
_REFERRALS = """
SELECT pack_row.practice_code, r.patient_key, r.service, r.priority, r.status, r.referral_date, r.first_seen_date
FROM core.referral AS r JOIN pack_row USING (patient_key)
WHERE r.status NOT IN ('rejected', 'discharged') AND r.closed_date IS NULL AND r.referral_date < $1
ORDER BY pack_row.practice_code, r.patient_key, r.referral_date, r.service, r.referral_id
"""
_STEPS = """
SELECT pack_row.practice_code, t.patient_key, t.effective_date, t.cause_text
FROM audit.transition AS t JOIN pack_row USING (patient_key)
WHERE t.week < $1 ORDER BY pack_row.practice_code, t.patient_key, t.effective_date DESC, t.to_state
"""
_OTHER_WORDS = """
SELECT pack_row.practice_code, e.* FROM derived.explanation AS e JOIN pack_row USING (patient_key, pathway)
ORDER BY pack_row.practice_code, e.patient_key, e.pathway
"""
_SESSIONS = """
SELECT DISTINCT clinic_id, practice_code, clinic_date, venue FROM core.clinic_capacity
WHERE clinic_date >= $1 AND clinic_date < $2 ORDER BY ALL
"""
_PRACTICES = """
SELECT practice_code, arg_max(practice_name, valid_from) FROM core.practice GROUP BY practice_code ORDER BY ALL
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class _Known:
    """Who is on the lists of a practice, and what is known of them, by person."""

    rows: list[Row]
    facts: dict[str, list[Row]]
    values: dict[str, list[Row]]
    admissions: dict[str, list[Row]]
    medicines: dict[str, list[Row]]
    teams: dict[str, list[Row]]
    referrals: dict[str, list[Row]]
    steps: dict[str, list[Row]]
    other_words: dict[str, list[Row]]


def write_packs(
    store: Store, folder: Path, context: PublishContext, book: RuleBook, agenda: Agenda | None
) -> list[Path]:
    """Write a pack for each practice and multi-professional clinic with somebody on its list.

    Args:
        store: The run's store, with ``identity`` attached.
        folder: Where the practices' folders go.
        context: The run.
        book: The rule book: what variables and measurements are called.
        agenda: What the meetings decide; without one no pack is written.

    Returns:
        The files written, sorted.
    """
    clinics = {
        clinic.id: clinic for pathway in context.pathways.values() for clinic in pathway.clinics if is_meeting(clinic)
    }
    if agenda is None or not clinics:
        return []
    store.execute(_LISTED.format(clinics=", ".join(f"'{each}'" for each in sorted(clinics))))
    agreed = {key: mine for key, mine in open_actions(store, context).items() if key[1] in clinics}
    meetings = sorted({*store.rows(_MEETINGS), *agreed})
    names = dict(store.rows(_PRACTICES))
    last = context.index_date + timedelta(days=7)
    sessions: dict[tuple[str, str], list[str]] = {}
    for clinic_id, practice, day, venue in store.rows(_SESSIONS, [context.index_date, last]):
        where = f", {venue}" if venue else ""
        sessions.setdefault((practice, clinic_id), []).append(f"{words.day_in_words(day)}{where}")

    def packs(known: Callable[[str], _Known]) -> Iterator[Callable[[], Path]]:
        for practice, clinic_id in context.told(meetings, "Meeting packs"):
            clinic, mine = clinics[clinic_id], known(practice)
            rows = [row for row in mine.rows if row["clinic_id"] == clinic_id]
            people = [_person(row, mine, context, book, agenda, clinic) for row in rows]
            content = {
                "title": f"{clinic.label}: meeting pack",
                "clinic": clinic.label,
                "practice": f"{names.get(practice, practice)} ({practice})",
                "week": words.week_in_words(context.index_date),
                "sessions": sessions.get((practice, clinic_id), []),
                "stamp": "TEST: invented patients. Not for care." if context.is_test else "",
                "support": DECISION_SUPPORT,
                "classification": CLASSIFICATION,
                "notices": list(context.lost_feeds),
                "roles": words.roles_in_words(clinic.roles),
                "questions": list(clinic.agenda),
                "chair": words.plain(agenda.otherwise.chair(clinic)),
                "agenda": _agenda(people, agenda, clinic),
                "actions": [_action(each) for each in agreed.get((practice, clinic_id), ())],
                "people": people,
                "sources": [
                    [words.source_in_words(name), periods.in_words(until)]
                    for name, until in sorted(context.data_cutoffs.items())
                ],
                "run": f"Run {context.run_id}, program {context.code_version}, rules {context.rule_digest[:12]}, "
                f"agenda {agenda.version}.",
                "contact": f"A concern about this pack, or about a person in it or missing from it: {context.contact}",
            }
            path = (
                folder
                / folder_name(practice)
                / folder_name(clinic_id)
                / context.file_name(f"meeting_pack_{clinic_id}", "pdf")
            )
            yield partial(write_pdf, path, "pack", content, made=context.index_date)

    with _known(store, context) as known:
        return list(write_side_by_side(packs(known)))


@contextmanager
def _known(store: Store, context: PublishContext) -> Iterator[Callable[[str], _Known]]:
    """Lend what gives those on the lists of a practice, and what is known of them; read a practice at a time."""
    today = context.index_date
    since = periods.months_before(today, _TREND_MONTHS)
    asked: dict[str, tuple[str, tuple[date, ...]]] = {
        "facts": (_FACTS, ()),
        "values": (_VALUES, (since, today)),
        "admissions": (_ADMISSIONS, (since, today)),
        "medicines": (_MEDICINES, (today - timedelta(days=_MEDICINE_DAYS), today)),
        "teams": (_TEAMS, (periods.months_before(today, _TEAM_MONTHS), today)),
        "referrals": (_REFERRALS, (today,)),
        "steps": (_STEPS, (today,)),
        "other_words": (_OTHER_WORDS, ()),
    }
    with ExitStack() as lent:

        def parted(sql: str, parameters: tuple[date, ...] = ()) -> Callable[[str], pl.DataFrame]:
            for number in range(len(parameters), 0, -1):
                sql = sql.replace(f"${number}", f"DATE '{parameters[number - 1]}'")
            return lent.enter_context(store.parted(sql, "practice_code"))

        rows, parts = parted(_ROWS), {name: parted(*each) for name, each in asked.items()}
        yield lambda practice: _Known(
            rows(practice).to_dicts(), **{name: _by_person(part(practice)) for name, part in parts.items()}
        )


def _by_person(rows: pl.DataFrame) -> dict[str, list[Row]]:
    by_person: dict[str, list[Row]] = {}
    for row in rows.iter_rows(named=True):
        by_person.setdefault(row["patient_key"], []).append(row)
    return by_person


# ------------------------------------------------------------------------------------------- agenda and actions


def _action(each: OpenAction) -> Row:
    return {
        "due": periods.in_words(each.due_date),
        "overdue": each.is_overdue,
        "action": each.action,
        "owner": each.owner_role[:1].upper() + each.owner_role[1:],
        "person": each.person,
    }


def _agenda(people: Sequence[Row], agenda: Agenda, clinic: Clinic) -> list[Row]:
    """Give the topics that somebody raises, in the order of the agenda, with who is taken under each."""
    found = []
    for topic in (*agenda.topics, agenda.otherwise):
        mine = [{"place": each["place"], "name": each["name"]} for each in people if each["topic"] == topic.id]
        if mine:
            found.append(
                {
                    "question": topic.question,
                    "chair": words.plain(topic.chair(clinic)),
                    "options": list(topic.options),
                    "people": mine,
                }
            )
    return found


# ------------------------------------------------------------------------------------------------- one person


def _person(
    row: Row, known: _Known, context: PublishContext, book: RuleBook, agenda: Agenda, clinic: Clinic
) -> dict[str, Any]:
    key = row["patient_key"]
    facts = known.facts.get(key, [])
    raised = agenda.raised_by(each["variable"] for each in facts)
    pathway = context.pathways[row["pathway"]]
    other = next(iter(known.other_words.get(key, [])), {})
    gaps = [each.strip() for each in (row["data_gaps"] or "").split(";") if each.strip()]
    contact = [
        ["Mobile", row["phone_mobile"]],
        ["Prefers contact by", words.contact_in_words(row["contact_preference"], row["is_spine_sensitive"])],
        ["Language", words.language_in_words(row["preferred_language"], row["interpreter_needed"])],
        ["Format needed", words.formats_in_words(row["ais_format"])],
        ["Usual GP", row["usual_gp_id"]],
    ]
    return {
        "place": row["priority_rank"] or 0,
        "name": _name(row),
        "nhs_number": spaced(row["nhs_number"]) or "no NHS number",
        "born": periods.in_words(row["date_of_birth"]) if row["date_of_birth"] else "not known",
        "age": row["age_years"],
        "sex": words.sex_in_words(row["sex"]),
        "tier": words.tier_in_words(pathway, context.scores, row["tier"]),
        "session": words.day_in_words(row["clinic_date"]) if row["clinic_date"] else "",
        "reference": row_reference(context.index_date, row["clinic_id"], key),
        "contact": [each for each in contact if each[1]],
        "unlinked": not row["is_hospital_linked"],
        "topic": (raised[0] if raised else agenda.otherwise).id,
        "questions": [
            {"question": each.question, "chair": words.plain(each.chair(clinic)), "options": list(each.options)}
            for each in raised[:3] or [agenda.otherwise]
        ],
        "why": row["rule_reason"],
        "facts": [_fact(each, book) for each in facts if each["variable"] != row["rule_id"]][: _MOST["facts"]],
        "more_facts": max(len(facts) - 1 - _MOST["facts"], 0),
        "gaps": gaps,
        "needs": [each.strip() for each in (row["other_needs"] or "").split(";") if each.strip()],
        "plain": " ".join(filter(None, [*(other.get("plain_reason") or "").split("\n"), other.get("plain_missing")])),
        "off_list": other.get("off_list_when") or "",
        "trends": _trends(key, known, context, book, agenda),
        "medicines": [
            f"{each['name']} ({each['issues']}, latest {each['latest']:%d/%m/%Y})"
            for each in known.medicines.get(key, [])[: _MOST["medicines"]]
        ],
        "more_medicines": max(len(known.medicines.get(key, [])) - _MOST["medicines"], 0),
        "teams": [_team(each) for each in known.teams.get(key, [])[: _MOST["teams"]]],
        "referrals": [_referral(each) for each in known.referrals.get(key, [])[: _MOST["referrals"]]],
        "more_referrals": max(len(known.referrals.get(key, [])) - _MOST["referrals"], 0),
        "last_time": _last_time(row, known.steps.get(key, [])),
    }


def _fact(each: Row, book: RuleBook) -> list[str]:
    """Give a reason as fact, value with unit, date and source; one that is no variable as its text alone."""
    variable = book.variables.get(each["variable"])
    if variable is None or each["value"] is None:
        return [each["text"], "", "", ""]
    unit = f" {variable.unit}" if variable.is_value and variable.unit not in (None, *_NO_UNIT) else ""
    value = "yes" if variable.take == "has" else f"{each['bound'] or ''}{each['value']:.2f}".rstrip("0").rstrip(".")
    source = words.source_in_words(each["source_table"] or "")
    day = periods.in_words(each["value_date"]) if each["value_date"] else ""
    return [variable.label.removesuffix(" (eFI deficit)"), value + unit, day, source]


def _trends(key: str, known: _Known, context: PublishContext, book: RuleBook, agenda: Agenda) -> list[Row]:
    """Give charts of what has two dated values or more: what the list is about first, then the agenda's order."""
    first, last = periods.months_before(context.index_date, _TREND_MONTHS), context.index_date
    by_name: dict[str, dict[date, float]] = {}
    for each in known.values.get(key, []):
        by_name.setdefault(each["measurement"], {})[each["effective_date"]] = each["value_canonical"]
    found = []
    days = [each["admission_date"] for each in known.admissions.get(key, [])]
    if len(days) > 1:
        listed = "; ".join(periods.in_words(day) for day in days)
        found.append(
            {
                "label": "Emergency admissions",
                "svg": charts.event_chart(days, first=first, last=last),
                "alt": f"Emergency admissions on {listed}",
                "caption": f"{len(days)} in 3 years, latest {periods.in_words(days[-1])}",
            }
        )
    for name in agenda.trends:
        points = tuple(sorted(by_name.get(name, {}).items()))
        if len(points) > 1 and name in book.measurements:
            measurement = book.measurements[name]
            trend = charts.Trend(measurement.label, measurement.unit, points)
            found.append(
                {
                    "label": measurement.label,
                    "svg": charts.line_chart(trend, first=first, last=last),
                    "alt": charts.trend_in_words(trend),
                    "caption": charts.first_and_last(trend),
                }
            )
    return found[: _MOST["trends"]]


def _team(each: Row) -> str:
    parts = [
        f"next {each['coming']:%d/%m/%Y}" if each["coming"] else "",
        f"last seen {each['latest']:%d/%m/%Y}" if each["latest"] else "",
    ]
    return f"{words.plain(each['team'])}: {', '.join(part for part in parts if part)}"


def _referral(each: Row) -> str:
    urgency = f", {words.plain(each['priority']).lower()}" if each["priority"] not in (None, "routine") else ""
    seen = f", first seen {each['first_seen_date']:%d/%m/%Y}" if each["first_seen_date"] else ""
    return (
        f"{words.plain(each['service'])}: {each['referral_date']:%d/%m/%Y}{urgency}, "
        f"{words.plain(each['status']).lower()}{seen}"
    )


def _last_time(row: Mapping[str, Any], steps: Sequence[Row]) -> list[str]:
    """Say what happened before: what the run says of it, then the steps on record, newest first."""
    said = [row.get("previous_outcome"), row.get("since_last_week")]
    said += [f"{periods.in_words(each['effective_date'])}: {each['cause_text']}" for each in steps[: _MOST["steps"]]]
    return list(dict.fromkeys(each for each in said if each))


def _name(row: Mapping[str, Any]) -> str:
    names = [each for each in (row["family_name"], row["given_names"]) if each]
    return ", ".join(names) or "Name not known"
