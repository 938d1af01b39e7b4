"""Little counties of invented people with records of every kind the definitions read, on the dates where edges lie.

For tests that no single hand-worked case can make: order of rows, engines against one another, nobody lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import polars as pl

import invented
from invented import Record, diagnosis, event, flagged, issue, measured, spell
from stratify import engine
from stratify.pathways import decide
from stratify.routing import place
from stratify.rulebook import RuleBook
from stratify.scores import add_scores, score_rows

INDEX = date(2026, 6, 15)

_OFFSETS = (-3, 0, 1, 2, 15, 16, 30, 31, 45, 100, 181, 200, 364, 365, 366, 456, 457, 458, 730, 731, 732, 1200, 4000)
DAYS = tuple(INDEX - timedelta(days=offset) for offset in _OFFSETS)
"""Days around the index date and around the edges of 6, 12, 15, 24 and 60 months."""

Template = Callable[[str, date], Record]


def _undated(code: str) -> Template:
    return lambda key, _: event(key, code, None)


def _event(code: str) -> Template:
    return lambda key, day: event(key, code, day)


def _measured(name: str, value: float | None, **more: Any) -> Template:
    return lambda key, day: measured(key, name, value, day, **more)


def _issue(**codes: str) -> Template:
    return lambda key, day: issue(key, day, **codes)


def _spell(code: str, **more: Any) -> Template:
    return lambda key, day: spell(key, code, day, **more)


def _diagnosis(code: str, **more: Any) -> Template:
    return lambda key, day: diagnosis(key, code, day, **more)


def _flag(name: str, ends_after: int | None = None) -> Template:
    return lambda key, day: flagged(key, name, day, day + timedelta(days=ends_after) if ends_after else None)


def templates(book: RuleBook) -> list[Template]:
    """Give one way of writing each kind of record, COPD more often than others."""

    def first(name: str) -> str:
        return min(book.codelists[name].codes)

    coded = ("copd_resolved", "copd_exacerbation", "copd_admission_coded", "home_oxygen", "cor_pulmonale", "palliative")
    coded += ("care_home", "smoking_current", "smoking_ex", "frailty_severe_recorded")
    coded += tuple(name for name in sorted(book.codelists) if name.startswith("efi_"))
    found = [_event(first("copd")) for _ in range(12)] + [_undated(first("copd"))]
    found += [_event(first(name)) for name in coded]
    found += [_undated(first(name)) for name in ("efi_falls", "copd_resolved")]
    found += [_measured("fev1_percent_predicted", value) for value in (25, 30, 49, 50, 79.9, 80, 85, 95) * 2]
    found += [_measured("fev1_percent_predicted", 2.1, value_status="unit_conflict")]
    found += [_measured("mrc_grade", grade) for grade in (1, 1, 2, 2, 3, 4, 5) * 2]
    found += [_measured("cat_score", total) for total in (9, 10)]
    found += [_spell("J441"), _spell("J449"), _spell("J440", is_emergency=False), _spell("I10")]
    found += [_diagnosis(code) for code in ("F00", "G309", "N390", "W190", "R296", "Z380")]
    found += [_diagnosis("G309", is_emergency=False)]
    found += [_flag("PALLIATIVE"), _flag("CARE_HOME_NURSING", 400), _flag("HOUSEBOUND", 3)]
    found += [_issue(bnf=f"{number:02}01010A0AAABAB") for number in range(1, 8)]
    found += [_issue(dmd=first("oral_prednisolone_dmd"), bnf="0603020T0AAACAC"), _issue(dmd=first("laba_dmd"))]
    found += [_issue(dmd=first("lama_dmd")), _issue(dmd=first("inhaled_corticosteroid_dmd")), _issue(dmd="99")]
    return found


PERSONS: list[dict[str, Any]] = [
    {},
    {"age_years": 82, "imd_decile": 1},
    {"age_years": 74, "imd_decile": 9},
    {"age_years": 75, "is_hospital_linked": False},
    {"age_years": 50, "is_hospital_linked": False},
    {"age_years": 88, "registered_date": date(2026, 1, 1)},
    {"age_years": None, "registered_date": None},
    {"person_status": "died"},
    {"person_status": "practice_unknown", "practice_code": None},
    {"identity_doubt": "two dates of birth"},
    {"practice_code": "Y99002", "age_years": 91},
]
"""Kinds of people; a person is the next of these."""

County = tuple[pl.DataFrame, dict[str, pl.DataFrame], pl.DataFrame]
"""Persons, core tables, capacity."""


def county(records: Sequence[Record], people: int, slots: int = 2) -> County:
    """Give a county of this many people with these records."""
    clinics = ("copd_clinic", "frailty_clinic", "palliative_review", "care_home_round")
    capacity = [
        {"clinic_id": clinic, "practice_code": "Y99001", "clinic_date": INDEX + timedelta(days=day), "role": role}
        | {"slots": slots + extra}
        for clinic in clinics[:3]
        for day in (0, 3, 7)
        for role, extra in (("nurse", 1), ("gp", 0))
    ]
    persons = [{"patient_key": name(number), **PERSONS[number % len(PERSONS)]} for number in range(people)]
    # Only people whose hospital data are linked have any.
    linked = {row["patient_key"] for row in persons if row.get("is_hospital_linked", True)}
    kept = [
        (table, row)
        for table, row in records
        if table not in ("apc_spell", "apc_diagnosis") or row["patient_key"] in linked
    ]
    return (
        invented.frame("core.person", persons),
        invented.core_tables(kept),
        invented.frame("core.clinic_capacity", capacity),
    )


def name(number: int) -> str:
    return f"person_{number:04}"


def random_county(book: RuleBook, seed: int, people: int) -> County:
    """Give the county of a seed: up to 25 records a person."""
    random = Random(seed)
    ways = templates(book)
    records = [
        random.choice(ways)(name(number), random.choice(DAYS))
        for number in range(people)
        for _ in range(random.randrange(26))
    ]
    return county(records, people)


def with_digests(found: County) -> County:
    """Give the same county with keys that are hex digests, as those of a run are."""
    persons, tables, capacity = found
    keys = {key: hashlib.sha256(key.encode()).hexdigest()[:32] for key in persons["patient_key"]}
    tables = {name: table.with_columns(pl.col("patient_key").replace(keys)) for name, table in tables.items()}
    return persons.with_columns(pl.col("patient_key").replace(keys)), tables, capacity


def shuffled(found: County, seed: int) -> County:
    """Give the same county with the rows of every table in another order."""
    persons, tables, capacity = found

    def mix(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sample(fraction=1.0, shuffle=True, seed=seed)

    return mix(persons), {name: mix(table) for name, table in tables.items()}, mix(capacity)


def reckon(found: County, book: RuleBook) -> dict[str, pl.DataFrame]:
    """Take a county through the whole reckoning with Polars; every table sorted by its key."""
    persons, tables, capacity = found
    values = invented.values_of(tables, book, INDEX)
    wide = engine.from_polars(invented.wide_of(persons, values, book, INDEX))
    scored = engine.from_polars(invented.collected(add_scores(wide, book)))
    decisions = pl.concat([invented.collected(decide(scored, each, book)) for each in book.pathways.values()])
    placements = place(decisions, persons, values, capacity, book, index_date=INDEX)
    return {
        "variable_value": values,
        "patient_score": invented.collected(score_rows(scored, book)).sort("patient_key", "score"),
        "pathway_decision": decisions.sort("patient_key", "pathway"),
        "placement": placements,
    }
