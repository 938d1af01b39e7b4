"""What a question of ``stratify whatif`` costs: ``python -m benchmarks.what_if --people 1000000``.

The tables of a finished run are made in the store, without reading an extract: invented people with entries at random
for every codelist that the pathways read (in 0.4 to 16 of 100 adults, more with age, and most of them in few people),
and others that nobody reads; the values, decisions and places are those of the real reckoning. Then each question is
asked, in a process of its own, the first with the look back that is kept for the others; what is told is its time, and
it is kept in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stratify import contracts, follow_up, ingest, publish, routing, weeks, whatif_past
from stratify.contract_frames import empty
from stratify.hits import SOURCE_TABLES
from stratify.reckoning import decide_everybody, work_values
from stratify.rulebook import RuleBook, clinical_folder, load_rule_book
from stratify.store import Store, open_store
from stratify.whatif_changes import Changes, read_changes
from stratify.whatif_run import try_out

INDEX = date(2026, 11, 2)
PEOPLE_A_PRACTICE, PRACTICES_A_NETWORK = 8_300, 5
OTHER_ENTRIES, PLACES = 5, 4
QUESTIONS: dict[str, dict[str, Any]] = {
    "another capacity, the first question of the run": {"capacity": ("{clinic: frailty_clinic, slots_per_week: 9}",)},
    "another capacity": {"capacity": ("{clinic: frailty_clinic, slots_per_week: 9}",)},
    "another threshold, of COPD": {
        "thresholds": ("{score: copd_priority_group, tier: HR, variable: copd_exacerbations_count, at_least: 3}",)
    },
    "another threshold, of frailty": {"thresholds": ("{score: efi, tier: severe, above: 0.30}",)},
    "another pathway file, of heart failure": {
        "edit": ("pathways/heart_failure.yaml", "left_ventricular_ejection_fraction, at_most: 40", "at_most: 45")
    },
    "another variable, COPD flare-ups of 24 months": {
        "edit": ("variables/copd.yaml", "take: episodes\n    lookback_months: 12", "lookback_months: 24")
    },
}
"""What is asked. ``edit``: a file of definitions, a text that stands in it once, and what its last words become."""


def make(out: Path, people: int) -> None:
    """Make the run folder."""
    book = load_rule_book().for_pathways
    settings = {"index_date": INDEX.isoformat(), "memory_limit": "6GB"}
    (out / "restricted").mkdir(parents=True)
    plan = {"settings": settings, "run_id": "bench", "is_test": True}
    (out / "restricted" / "plan.json").write_text(json.dumps(plan))
    with open_store(out / "restricted" / "run.duckdb", temp_directory=out / "scratch", memory_limit="6GB") as store:
        store.execute("SET enable_progress_bar = false")
        for name in (*SOURCE_TABLES, "person", "death", "registration", "practice"):
            store.define(contracts.load(f"core.{name}"))
        practices = -(-people // PEOPLE_A_PRACTICE)
        store.execute(_PERSONS, [people, practices, PRACTICES_A_NETWORK])
        _add_entries(store, book)
        store.define(contracts.load("core.clinic_capacity"))
        with store.loaned(_capacity(book, practices)) as table:
            store.execute(f"INSERT INTO core.clinic_capacity BY NAME SELECT * FROM {table}")
        ingest.match_codes(store, list(book.codelists.values()))
        work_values(store, book, index_date=INDEX)
        decide_everybody(store, book, index_date=INDEX)
        _place(store, book)
        for name, sql in _SIZES.items():
            print(f"  {name}: {store.scalar(sql):,}", flush=True)


def _add_entries(store: Store, book: RuleBook) -> None:
    read = sorted({name for each in book.variables.values() for name in each.codelists})
    lists = [book.codelists[name] for name in read if book.codelists[name].system == "snomed_ct"]
    rows = [
        (place, each.id, 0.004 * 40 ** (place * 7919 % len(lists) / len(lists)), sorted(each.codes))
        for place, each in enumerate(lists)
    ]
    frame = pl.DataFrame(rows, schema=("place", "codelist", "share", "codes"), orient="row")
    with store.loaned(frame) as table:
        store.execute(_ENTRIES.replace("$lists", table))
    store.execute(_OTHERS, [OTHER_ENTRIES])


_CHANCE = "((hash({}) % 1000003 + 0.5) / 1000003)"
"""A number from 0 to 1 that hangs on nothing but what it is of: the same on any number of threads."""

_PERSONS = f"""
INSERT INTO core.person BY NAME
SELECT md5(i::VARCHAR) AS patient_key, age AS age_years,
    DATE '{INDEX}' - (age * 365.25 + 100)::INTEGER AS date_of_birth, CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END AS sex,
    ['A', 'A', 'A', 'A', 'A', 'A', 'C', 'H', 'J', 'N'][(1 + hash(i, 'e') % 10)::INTEGER] AS ethnic_category,
    (1 + hash(i, 'd') % 10)::INTEGER AS imd_decile, 'Y' || lpad((i % $2)::VARCHAR, 5, '0') AS practice_code,
    'U' || lpad((i % $2 // $3)::VARCHAR, 5, '0') AS pcn_code, DATE '2010-01-01' AS registered_date,
    'registered' AS person_status, true AS is_hospital_linked, false AS is_spine_sensitive, true AS may_be_counted,
    'bench' AS source_file_id, i + 2 AS source_row
FROM (SELECT i, (100 * {_CHANCE.format("i, 'a'")} ** 1.5)::INTEGER AS age FROM range($1) AS r(i))
"""
_ENTRY = f"""
SELECT patient_key, practice_code AS org_code, row_number() OVER ()::VARCHAR AS source_event_id, snomed_code,
    DATE '{INDEX}' - (hash(patient_key, snomed_code, n) % 2000)::INTEGER AS effective_date, 'bench' AS source_file_id,
    row_number() OVER () AS source_row
"""
_ENTRIES = f"""
INSERT INTO core.gp_event BY NAME {_ENTRY} FROM (
    SELECT patient_key, practice_code, codes[(1 + hash(patient_key, place, 'c') % len(codes))::INTEGER] AS snomed_code,
        unnest(range((1 + hash(patient_key, place, 'n') % 3)::INTEGER)) AS n
    FROM core.person, $lists AS lists
    WHERE age_years >= 18 AND {_CHANCE.format("patient_key, place")}
        < share * (age_years / 55.0) ** 2 * -ln({_CHANCE.format("patient_key")}))
"""
_OTHERS = f"""
INSERT INTO core.gp_event BY NAME {_ENTRY} FROM (
    SELECT patient_key, practice_code, (900000000 + hash(patient_key, n) % 9000)::VARCHAR AS snomed_code, n
    FROM core.person, range($1) AS r(n))
"""
_SIZES = {
    "people": "SELECT count(*) FROM core.person",
    "practices": "SELECT count(DISTINCT practice_code) FROM core.person",
    "entries": "SELECT count(*) FROM core.gp_event",
    "values": "SELECT count(*) FROM derived.variable_value",
    "decisions": "SELECT count(*) FROM derived.pathway_decision",
    "on a clinic's list": "SELECT count(*) FROM derived.placement WHERE decision = 'clinic'",
}


def _capacity(book: RuleBook, practices: int) -> pl.DataFrame:
    """Give each practice a session a week of each clinic; the one for COPD its network."""
    clinics = sorted({each.id for pathway in book.pathways.values() for each in pathway.clinics if each.needs_capacity})
    rows = []
    for clinic in clinics:
        shared = clinic == "copd_clinic"
        audiences = {f"U{n // PRACTICES_A_NETWORK:05}" if shared else f"Y{n:05}" for n in range(practices)}
        for audience in sorted(audiences):
            rows.append(
                (
                    clinic,
                    audience,
                    date(2026, 11, 4),
                    "gp",
                    PLACES * PRACTICES_A_NETWORK if shared else PLACES,
                    20,
                    "bench",
                    2,
                )
            )
    names = ("clinic_id", "practice_code", "clinic_date", "role", "slots", "minutes_per_slot", "source_file_id",
             "source_row")  # fmt: skip
    return pl.DataFrame(rows, schema=names, orient="row")


def _place(store: Store, book: RuleBook) -> None:
    """Give out the places of a first week, as a run does."""
    decisions = store.frame("SELECT * FROM derived.pathway_decision WHERE decision <> 'not_eligible'")
    decisions = decisions.filter(pl.col("pathway").is_in(sorted(book.published)))
    persons = store.frame(f"SELECT {', '.join(routing.PERSON_COLUMNS)} FROM core.person")
    ranked = ", ".join(f"'{step.variable}'" for each in book.pathways.values() for step in each.rank_by)
    values = store.frame(f"SELECT * FROM derived.variable_value WHERE variable IN ({ranked})")
    capacity = store.frame("SELECT * FROM core.clinic_capacity")
    placed = routing.place(decisions, persons, values, capacity, book, index_date=INDEX)
    week = weeks.Week(INDEX, book, {})
    follow_up.after_placing(week, placed, decisions)
    shown = weeks.described(week, placed, decisions, empty("audit.list_row"))
    store.create("derived.placement", shown)
    store.create("audit.transition", week.transitions("bench"))


def ask(words: str, run: Path, scratch: Path) -> dict[str, float]:
    """Ask one question, and say what it took."""
    wall, cpu = time.monotonic(), time.process_time()
    found = try_out(_changes(words, scratch), run)
    publish.write_what_if(found, scratch / "answer")
    return {
        "wall_seconds": round(time.monotonic() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _changes(words: str, scratch: Path) -> Changes:
    asked = QUESTIONS[words]
    if "edit" not in asked:
        return read_changes(None, **asked)
    name, before, after = asked["edit"]
    edited = scratch / "clinical"
    shutil.copytree(clinical_folder(), edited)
    text = (edited / name).read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise RuntimeError(f"{name}: the text to change stands in it {text.count(before)} times")
    (edited / name).write_text(text.replace(before, before[: -len(after)] + after), encoding="utf-8")
    if name.startswith("pathways"):
        return read_changes(None, pathways=(edited / name,))
    return Changes(clinical=str(edited))


def main() -> None:
    """Make the run, ask each question, say what it took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=100_000)
    arguments.add_argument("--run", type=Path, help="folder in which the run is made, and found the next time")
    arguments.add_argument("--ask", choices=list(QUESTIONS), help="ask one question of the run there, and keep nothing")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if given.ask:
            print(json.dumps(ask(given.ask, given.run, Path(name))))
            return
        run = given.run or Path(name) / "run"
        if not run.exists():
            make(run, given.people)
        shutil.rmtree(run / whatif_past.FOLDER, ignore_errors=True)
        results = {}
        for words in QUESTIONS:
            said = subprocess.run(
                [sys.executable, "-m", "benchmarks.what_if", "--run", str(run), "--ask", words],
                check=True, stdout=subprocess.PIPE,
            )  # fmt: skip
            results[words] = json.loads(said.stdout)
            print(f"{words}: {results[words]}", flush=True)
        kept = Path(__file__).parent / "results" / f"what_if_{given.people}.json"
        kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
