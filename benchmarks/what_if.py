"""What a question of ``stratify whatif`` costs on a run of many people: ``python -m benchmarks.what_if --people 9999``.

The run is made in the store from the shipped pathways and as many invented people with events at random (every code
that the pathways read from a GP record), and only then asked; what is told is the time of the question.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl

from stratify import contracts, ingest, publish
from stratify.hits import SOURCE_TABLES
from stratify.reckoning import decide_everybody, work_values
from stratify.rulebook import load_rule_book
from stratify.store import Store, open_store
from stratify.whatif_changes import read_changes
from stratify.whatif_run import try_out

INDEX = date(2026, 11, 2)
PRACTICES = 120
QUESTIONS = {
    "another capacity": {"capacity": ("{clinic: frailty_clinic, slots_per_week: 9}",)},
    "another threshold": {"thresholds": ("{score: efi, tier: severe, above: 0.30}",)},
}


def make(out: Path, people: int) -> None:
    """Make the run folder."""
    book = load_rule_book().for_pathways
    settings = {"index_date": INDEX.isoformat(), "memory_limit": "6GB"}
    (out / "restricted").mkdir(parents=True)
    (out / "restricted" / "plan.json").write_text(
        json.dumps({"settings": settings, "run_id": "bench", "is_test": True})
    )
    read = {name for each in book.variables.values() for name in each.codelists}
    codes = sorted(
        {code for name in read for code in book.codelists[name].codes if book.codelists[name].system == "snomed_ct"}
    )
    with open_store(out / "restricted" / "run.duckdb", temp_directory=out / "scratch", memory_limit="6GB") as store:
        for name in (*SOURCE_TABLES, "person", "death", "registration", "clinic_capacity", "practice"):
            store.define(contracts.load(f"core.{name}"))
        store.execute("SELECT setseed(0.5)")
        store.execute(_PERSONS, [people, PRACTICES])
        with store.loaned(pl.DataFrame({"snomed_code": codes}).with_row_index("n")) as table:
            store.execute(f"CREATE TEMP TABLE code AS SELECT * FROM {table}")
        store.execute(_EVENTS, [len(codes)])
        store.execute(_CAPACITY, [PRACTICES])
        ingest.match_codes(store, list(book.codelists.values()))
        work_values(store, book, index_date=INDEX)
        decide_everybody(store, book, index_date=INDEX)
        store.define(contracts.load("derived.placement"))
        for name, sql in _SIZES.items():
            print(f"  {name}: {store.scalar(sql):,}", flush=True)
        _forget(store)


def _forget(store: Store) -> None:
    for name in ("scored_row", "variable_code"):
        store.execute(f"DROP TABLE IF EXISTS work.{name}")


_PERSONS = f"""
INSERT INTO core.person BY NAME
SELECT md5(i::VARCHAR) AS patient_key, age AS age_years, DATE '{INDEX}' - (age * 365 + 100)::INTEGER AS date_of_birth,
    CASE WHEN random() < 0.5 THEN 'F' ELSE 'M' END AS sex, 'A' AS ethnic_category, 1 + (random() * 9.99)::INTEGER % 10
    AS imd_decile, 'Y' || lpad((i % $2)::VARCHAR, 5, '0') AS practice_code, DATE '2010-01-01' AS registered_date,
    'registered' AS person_status, true AS is_hospital_linked, false AS is_spine_sensitive, true AS may_be_counted,
    'bench' AS source_file_id, i + 2 AS source_row
FROM (SELECT i, (random() * 95)::INTEGER AS age FROM range($1) AS r(i))
"""
_EVENTS = f"""
INSERT INTO core.gp_event BY NAME
SELECT patient_key, practice_code AS org_code, row_number() OVER ()::VARCHAR AS source_event_id, snomed_code,
    DATE '{INDEX}' - (random() * 3650)::INTEGER AS effective_date, 'bench' AS source_file_id,
    row_number() OVER () AS source_row
FROM (
    SELECT patient_key, practice_code, (random() * ($1 - 1))::INTEGER AS n
    FROM (SELECT patient_key, practice_code, unnest(range((-ln(1 - random()) * 12)::INTEGER)) FROM core.person))
JOIN code USING (n)
"""
_CAPACITY = f"""
INSERT INTO core.clinic_capacity BY NAME
SELECT clinic_id, 'Y' || lpad(p::VARCHAR, 5, '0') AS practice_code, DATE '{INDEX}' + 2 AS clinic_date, 'gp' AS role,
    6 AS slots, 20 AS minutes_per_slot, 'bench' AS source_file_id, 2 AS source_row
FROM range($1) AS r(p), (SELECT unnest(['copd_clinic', 'frailty_clinic', 'palliative_review', 'care_home_round'])
    AS clinic_id)
"""
_SIZES = {
    "people": "SELECT count(*) FROM core.person",
    "events": "SELECT count(*) FROM core.gp_event",
    "values": "SELECT count(*) FROM derived.variable_value",
    "on a clinic's list": "SELECT count(*) FROM derived.pathway_decision WHERE decision = 'clinic'",
}


def main() -> None:
    """Make the run, ask each question, say what it took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=100_000)
    people = arguments.parse_args().people
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), people)
        for words, asked in QUESTIONS.items():
            wall, cpu = time.monotonic(), time.process_time()
            found = try_out(read_changes(None, **asked), Path(name))
            publish.write_what_if(found, Path(name) / "answer")
            taken = f"{time.monotonic() - wall:.1f} s wall, {time.process_time() - cpu:.1f} s CPU"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{words}: {taken}, {found.share_looked_back:.0%} looked back upon, peak {peak:,} MB", flush=True)


if __name__ == "__main__":
    main()
