"""Small invented core tables and rule books for tests of the reckoning: a test writes only what it is about.

Every table has the columns of its contract. Nothing clinical stands here, and no expected value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from stratify import contracts, engine
from stratify.features import variable_values
from stratify.hits import SOURCE_TABLES, code_table
from stratify.rulebook import RuleBook
from stratify.rules import Codelist, CodelistEntry, Pathway, Score, Variable
from stratify.wide import person_rows

TYPES = {
    "VARCHAR": pl.String(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us"),
    "BOOLEAN": pl.Boolean(),
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "DECIMAL(18,4)": pl.Decimal(18, 4),
}
_ORDINARY = {
    "org_code": "Y99001",
    "provider_code": "RZZ",
    "admission_method": "21",
    "is_emergency": True,
    "episode_count": 1,
    "episode_order": 1,
    "position": 1,
    "source": "test",
    "person_status": "registered",
    "is_hospital_linked": True,
    "is_spine_sensitive": False,
    "may_be_counted": True,
    "age_years": 70,
    "practice_code": "Y99001",
    "registered_date": date(2010, 1, 1),
    "minutes_per_slot": 20,
}
_NUMBERED = ("source_event_id", "source_issue_id", "spell_id")

Record = tuple[str, dict[str, Any]]
"""Table without layer, and the columns a test cares about."""


# --------------------------------------------------------------------------------------------------------- records


def event(key: str, code: str, day: date | None, **more: Any) -> Record:
    return "gp_event", {"patient_key": key, "snomed_code": code, "effective_date": day, **more}


def measured(key: str, measurement: str, value: float | None, day: date | None, **more: Any) -> Record:
    row = {"patient_key": key, "snomed_code": f"code of {measurement}", "effective_date": day}
    row |= {"measurement": measurement, "value_canonical": value, "value_status": "ok"}
    return "gp_observation", row | more


def issue(key: str, day: date, *, dmd: str | None = None, bnf: str | None = None, **more: Any) -> Record:
    return "gp_medication", {"patient_key": key, "issue_date": day, "dmd_code": dmd, "bnf_code": bnf, **more}


def spell(key: str, primary_diagnosis: str, day: date, **more: Any) -> Record:
    return "apc_spell", {"patient_key": key, "primary_diagnosis": primary_diagnosis, "admission_date": day, **more}


def diagnosis(key: str, code: str, day: date, **more: Any) -> Record:
    row = {"patient_key": key, "icd10_code": code, "icd10_category": code[:3], "admission_date": day}
    return "apc_diagnosis", row | more


def flagged(key: str, flag: str, start: date, end: date | None = None) -> Record:
    return "patient_flag", {"patient_key": key, "flag": flag, "start_date": start, "end_date": end}


# ---------------------------------------------------------------------------------------------------------- frames


def frame(name: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Give a table of a contract; what a row does not say is the ordinary case, or empty."""
    contract = contracts.load(name)
    columns: dict[str, list[Any]] = {column.name: [] for column in contract.columns}
    for number, row in enumerate(rows, 2):
        assert set(row) <= set(columns), f"{sorted(set(row) - set(columns))} are no columns of {name}"
        given = {"source_file_id": name, "source_row": number} | dict.fromkeys(_NUMBERED, f"{number}") | _ORDINARY
        for column, values in columns.items():
            values.append(row.get(column, given.get(column)))
    return pl.DataFrame(columns, schema={column.name: TYPES[column.type] for column in contract.columns})


def core_tables(records: Sequence[Record]) -> dict[str, pl.DataFrame]:
    """Give every core table that variables read."""
    return {name: frame(f"core.{name}", [row for table, row in records if table == name]) for name in SOURCE_TABLES}


def lazy(tables: Mapping[str, pl.DataFrame]) -> dict[str, engine.Frame]:
    return {name: engine.from_polars(table) for name, table in tables.items()}


def collected(found: engine.Frame) -> pl.DataFrame:
    return found.collect(backend="polars").to_native()


def matches(book: RuleBook, tables: Mapping[str, pl.DataFrame]) -> list[tuple[str, str, str]]:
    """Say which codelists hold the codes of the data, as the loader does."""
    places = {
        "snomed_ct": [("gp_event", "snomed_code"), ("gp_observation", "snomed_code")],
        "dmd": [("gp_medication", "dmd_code")],
        "bnf": [("gp_medication", "bnf_code")],
        "icd10": [("apc_spell", "primary_diagnosis"), ("apc_diagnosis", "icd10_code")],
    }
    codes = {
        system: {code for table, column in columns for code in tables[table][column].drop_nulls()}
        for system, columns in places.items()
    }
    return [
        (held.system, code, held.id)
        for held in book.codelists.values()
        for code in sorted(codes[held.system])
        if code in held.codes
        or (held.match == "prefix" and code.startswith(tuple(held.codes)))
        or (held.match == "category" and code[:3] in held.codes)
    ]


def values_of(tables: Mapping[str, pl.DataFrame], book: RuleBook, index_date: date) -> pl.DataFrame:
    """Reduce records to values with Polars, in the order of the contract's key."""
    codes = code_table(book, matches(book, tables), index_date=index_date)
    found = variable_values(lazy(tables), engine.from_polars(codes), book, index_date=index_date)
    return collected(found).sort("patient_key", "variable")


def wide_of(persons: pl.DataFrame, values: pl.DataFrame, book: RuleBook, index_date: date) -> pl.DataFrame:
    """Give the wide rows, with Polars."""
    found = person_rows(engine.from_polars(persons), engine.from_polars(values), book, index_date=index_date)
    return collected(found).sort("patient_key")


def value_rows(people: Mapping[str, Mapping[str, float | str | None]], day: date | None) -> pl.DataFrame:
    """Give ``derived.variable_value`` from values by person and variable.

    A text is a value with its comparator (``"<30"``), or else the state of one that cannot be used.
    """
    return frame(
        "derived.variable_value",
        [
            {
                "patient_key": key,
                "variable": variable,
                **_value(value),
                "value_date": day,
                "record_count": 1,
            }
            for key, found in people.items()
            for variable, value in found.items()
            if value is not None
        ],
    )


def _value(value: float | str) -> dict[str, Any]:
    if not isinstance(value, str):
        return {"value": float(value), "state": "known"}
    number = value.lstrip("<>=")
    if number == value:
        return {"value": None, "state": value}
    return {"value": float(number), "state": "known", "bound": value.removesuffix(number)}


# ------------------------------------------------------------------------------------------------------ rule books


def codelist(name: str, system: str, codes: Sequence[str] | Mapping[str, float], match: str = "exact") -> Codelist:
    entry = CodelistEntry.model_validate(
        {"id": name, "label": name, "system": system, "match": match, "version": "1", "source": "invented"}
        | {"licence": "none", "status": "inferred", "rows": len(codes), "sha256": "0"}
    )
    return Codelist(entry, dict.fromkeys(codes, name), dict(codes) if isinstance(codes, Mapping) else {})


def variable(name: str, take: str, *records: Mapping[str, Any], **more: Any) -> Variable:
    given = {"id": name, "label": name.replace("_", " "), "from": list(records), "take": take, "source": "invented"}
    if take == "latest":
        given |= {"unit": "units", "text_when_missing": f"{name} not known"}
    return Variable.model_validate({**given, "text": f"{name} {{value}} on {{date}}", **more})


def score(name: str, **more: Any) -> Score:
    given = {"id": name, "version": "1.0.0", "label": name, "status": "inferred", "source": "invented"}
    return Score.model_validate({**given, "licence": "none", **more})


def pathway(name: str, **more: Any) -> Pathway:
    given = {
        "id": name,
        "version": "1.0.0",
        "label": name.capitalize(),
        "plain_name": name.capitalize(),
        "status": "published",
        "clinical_lead": "nobody",
        "review_date": date(2030, 1, 1),
        "source": "invented",
        "precedence": 1,
        "rank_by": [],
        "show": [],
        "clinics": [],
        "offers": [{"id": "app", "label": "An app"}],
        "assessment": {"id": "assessment", "label": "Visit", "roles": ["nurse"], "needs_capacity": False},
        "clinician_review": {"id": "clinician_review", "label": "Review", "roles": ["gp"], "needs_capacity": False},
    }
    return Pathway.model_validate({**given, **more})


def rule_book(
    *,
    codelists: Iterable[Codelist] = (),
    variables: Iterable[Variable] = (),
    scores: Iterable[Score] = (),
    pathways: Iterable[Pathway] = (),
) -> RuleBook:
    return RuleBook(
        {each.id: each for each in codelists},
        {},
        {each.id: each for each in variables},
        {each.id: each for each in scores},
        {each.id: each for each in pathways},
        {},
        "invented",
    )
