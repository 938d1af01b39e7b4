"""Every score of the rule book for everybody, from loaded core tables in one go.

Invented records at random, of the codes that the rule book reads. They stand in the core tables before the clock runs.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.laps import Stages, open_working_store, score

INDEX_DATE = date(2026, 11, 2)
WITH_RECORDS, ALONE = "all scores, each value with its record", "all scores alone"
_TABLES = {
    "person": """
        SELECT printf('%016x', i) AS patient_key, 18 + i * 7 % 78 AS age_years, 1 + i % 10 AS imd_decile,
            CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END AS sex, DATE '2010-01-01' AS registered_date,
            'registered' AS person_status, i % 20 > 0 AS is_hospital_linked
        FROM range({people}) AS r(i)""",
    "gp_event": """
        SELECT printf('%016x', i // 20) AS patient_key, code AS snomed_code, {day} AS effective_date,
            {place} FROM range({people} * 20) AS r(i) JOIN code ON system = 'snomed_ct' AND nr = {nr}""",
    "gp_observation": """
        SELECT printf('%016x', i // 6) AS patient_key, name AS measurement, {day} AS effective_date,
            least_value + hash(i, 'v') % 1000 / 1000 * (most_value - least_value) AS value_canonical,
            'ok' AS value_status, {place} FROM range({people} * 6) AS r(i) JOIN measurement ON nr = {nr}""",
    "gp_medication": """
        SELECT printf('%016x', i // 8) AS patient_key, code AS bnf_code, {day} AS issue_date, {place}
        FROM range({people} * 8) AS r(i) JOIN code ON system = 'bnf' AND nr = {nr}""",
    "apc_spell": """
        SELECT printf('%016x', i * 2) AS patient_key, code AS primary_diagnosis, {day} AS admission_date,
            {day} + (hash(i, 'd') % 9)::INTEGER AS discharge_date, i % 2 = 0 AS is_emergency, {place}
        FROM range({people} // 2) AS r(i) JOIN code ON system = 'icd10' AND nr = {nr}""",
    "apc_diagnosis": """
        SELECT printf('%016x', i // 6 * 2) AS patient_key, code AS icd10_code, left(code, 3) AS icd10_category,
            {day} AS admission_date, i // 6 % 2 = 0 AS is_emergency, {place}
        FROM range({people} * 3) AS r(i) JOIN code ON system = 'icd10' AND nr = {nr}""",
}
_DAY = f"DATE '{INDEX_DATE}' - (1 + hash(i, 'a') % 2500)::INTEGER"
_PLACE = "'invented' AS source_file_id, i AS source_row"


def invent_records(folder: Path, people: int) -> Path:
    """Write the core tables as Parquet files, once a folder; the same for the same size."""
    from stratify.rulebook import load_rule_book
    from stratify.store import open_store

    if (folder / "apc_diagnosis.parquet").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    book = load_rule_book(None)
    codes = sorted({(each.system, code) for each in book.codelists.values() for code in each.codes})
    bounds = [(each.id, each.plausible.at_least, each.plausible.at_most) for each in book.measurements.values()]
    number = pl.int_range(pl.len())
    listed = {
        "code": pl.DataFrame(codes, ("system", "code"), orient="row").with_columns(nr=number.over("system")),
        "measurement": pl.DataFrame(sorted(bounds), ("name", "least_value", "most_value"), orient="row").with_columns(
            nr=number
        ),
    }
    with open_store(Path(":memory:"), temp_directory=folder / "scratch") as store:
        for name, frame in listed.items():
            with store.loaned(frame) as source:
                store.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM {source}")
        for name, sql in _TABLES.items():
            system = {"gp_event": "snomed_ct", "gp_medication": "bnf"}.get(name, "icd10")
            many = len(bounds) if name == "gp_observation" else sum(of == system for of, _ in codes)
            rows = sql.format(people=people, day=_DAY, place=_PLACE, nr=f"hash(i, '{name}') % {many}")
            store.execute(f"COPY ({rows}) TO '{folder / name}.parquet'")
    return folder


def size_in_words(folder: Path) -> str:
    """Say how many records there are."""
    records = [path for path in sorted(folder.glob("*.parquet")) if path.stem != "person"]
    return f"{sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in records):,} records"


def with_records(records: Path, out: Path, memory_limit: str | None) -> Stages:
    """What a run does: values, each with its record, then every score."""
    return _scored(records, out, memory_limit, is_with_records=True)


def alone(records: Path, out: Path, memory_limit: str | None) -> Stages:
    """Every score, without the record behind each value."""
    return _scored(records, out, memory_limit, is_with_records=False)


def _scored(records: Path, out: Path, memory_limit: str | None, *, is_with_records: bool) -> Stages:
    from stratify import contracts
    from stratify.rulebook import load_rule_book

    book = load_rule_book(None)
    with open_working_store(out, memory_limit) as store:
        for name in contracts.names("core"):
            store.define(contracts.load(name))
        for name in _TABLES:
            store.execute(f"INSERT INTO core.{name} BY NAME FROM '{records / name}.parquet'")
        stages, _ = score(store, book, INDEX_DATE, is_with_records=is_with_records)
    return stages


JOBS = {ALONE: alone, WITH_RECORDS: with_records}
