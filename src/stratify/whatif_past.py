"""What a finished run's people were some weeks before, worked out once and kept beside the run.

The same records as they stood then, for a share of the people: values and decisions by the definitions of the run. Kept
in ``look_back`` beside the run's restricted folder, as restricted as that, and gone with the run: another run, or the
same one under another key, has another folder. Nothing of the run itself is written.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stratify import contracts, hits, whatif
from stratify.rulebook import RuleBook
from stratify.store import Store, open_store
from stratify.whatif_deciding import COLUMNS, decide_candidates, keep_values

MOST_LOOKED_BACK = 200_000
"""People whom the look back works out; of more, a share chosen by their pseudonym."""

FOLDER, _FILE = "look_back", "then.duckdb"


def day_then(index_date: date) -> date:
    """Give the day that is looked back upon."""
    return index_date - timedelta(weeks=whatif.LOOK_BACK_WEEKS)


def look_back(restricted: Path, book: RuleBook, index_date: date, limits: dict[str, Any]) -> Path:
    """Give the kept look back of a run, a DuckDB file, and make it where there is none yet.

    It has ``core.person``, ``derived.variable_value`` (no evidence) and ``work.decision`` (of a clinic) as of then,
    ``work.asked_person`` and ``work.share``: of whom, and what share of all that is.

    Args:
        restricted: The restricted folder of the run, resolved.
        book: The definitions of the run that pathways use.
        index_date: The day the run describes.
        limits: ``memory_limit`` and ``threads`` of the run.
    """
    kept = restricted.parent / FOLDER / _FILE
    if kept.is_file():
        return kept
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with TemporaryDirectory(prefix=".making-", dir=kept.parent) as name:
        made = Path(name) / _FILE
        with open_store(Path(":memory:"), temp_directory=Path(name), **limits) as store:
            store.attach(restricted / "run.duckdb", "run", read_only=True)
            _work_out(store, book, day_then(index_date))
            _keep(store, made)
        made.replace(kept)  # whole or not at all, also where two ask at once
    return kept


def _work_out(store: Store, book: RuleBook, then: date) -> None:
    """Make what is kept, in memory: writing what is on the way to a file would cost as much again."""
    count = int(store.scalar("SELECT count(*) FROM run.core.person"))
    parts = max(1, min(256, 256 * MOST_LOOKED_BACK // max(count, 1)))
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    store.execute("CREATE TABLE work.share AS SELECT $1::DOUBLE AS share", [parts / 256])
    store.execute(
        "CREATE TABLE work.asked_person AS SELECT patient_key FROM run.core.person "
        "WHERE $1 = 256 OR ('0x' || substr(md5(patient_key), 1, 2))::INTEGER < $1 ORDER BY patient_key",
        [parts],
    )
    _show(store, then)
    keep_values(store, "derived.variable_value", book, index_date=then)
    given = sorted(name for name, each in book.variables.items() if each.take == "given")
    if given:  # a function of the site's own is asked for one day only: what it said then is taken to be what it says
        store.execute(
            f"INSERT INTO derived.variable_value BY NAME SELECT {COLUMNS} FROM run.derived.variable_value "
            "SEMI JOIN work.asked_person USING (patient_key) WHERE variable IN (SELECT unnest($1))",
            [given],
        )
    store.execute("ALTER TABLE core.person RENAME TO person_then")
    store.define(contracts.load("derived.pathway_decision"), "work.decision")
    for name in sorted(book.pathways):
        decide_candidates(
            store, book, name, index_date=then, people="core.person_then", values="derived.variable_value",
            into="work.decision",
        )  # fmt: skip


def _keep(store: Store, made: Path) -> None:
    store.attach(made, "made")
    made.chmod(0o600)
    for schema in ("core", "derived", "work"):
        store.execute(f"CREATE SCHEMA made.{schema}")
    store.execute("CREATE TABLE made.core.person AS SELECT * FROM core.person_then")
    # Who was on a list is all that is asked of decisions.
    store.execute("CREATE TABLE made.work.decision AS SELECT * FROM work.decision WHERE decision = 'clinic'")
    for table in ("derived.variable_value", "work.asked_person", "work.share"):
        store.execute(f"CREATE TABLE made.{table} AS SELECT * FROM {table}")
    store.detach("made")


def show_run_as_of(store: Store, then: date) -> None:
    """Show a store the people of the attached run, ``run``, as they were on an earlier day, and their records."""
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    store.execute("CREATE TABLE work.asked_person AS SELECT patient_key FROM run.core.person ORDER BY patient_key")
    _show(store, then)


def _show(store: Store, then: date) -> None:
    store.execute(_PERSON_THEN.replace("$then", f"DATE '{then.isoformat()}'"))
    with_records(store)
    store.execute("CREATE VIEW derived.code_match AS SELECT * FROM run.derived.code_match")


def with_records(store: Store, asked: str = "work.asked_person") -> None:
    """Show a store the records of the attached run, ``run``, of some people."""
    for name in hits.SOURCE_TABLES:
        store.execute(f"CREATE OR REPLACE VIEW core.{name} AS SELECT * FROM run.core.{name} "
                      f"SEMI JOIN {asked} USING (patient_key)")  # fmt: skip


_PERSON_THEN = """
CREATE TABLE core.person AS
SELECT p.* REPLACE (
    CASE WHEN p.date_of_birth IS NULL THEN p.age_years
        ELSE greatest(date_sub('year', p.date_of_birth, $then), 0) END AS age_years,
    CASE WHEN is_here THEN p.practice_code ELSE r.practice_code END AS practice_code,
    CASE WHEN is_here THEN p.registered_date ELSE r.start_date END AS registered_date,
    CASE WHEN p.person_status = 'died' AND (died IS NULL OR died < $then) THEN 'died'
        WHEN is_here OR p.person_status NOT IN ('died', 'left', 'registered', 'practice_unknown') THEN p.person_status
        WHEN r.practice_code IS NOT NULL THEN 'registered' ELSE 'left' END AS person_status)
FROM (
    SELECT *, person_status IN ('registered', 'practice_unknown') AND coalesce(registered_date <= $then, true)
        AS is_here FROM run.core.person SEMI JOIN work.asked_person USING (patient_key)) AS p
LEFT JOIN (SELECT patient_key, min(date_of_death) AS died FROM run.core.death GROUP BY ALL) AS d USING (patient_key)
LEFT JOIN (
    SELECT patient_key, practice_code, start_date FROM run.core.registration
    WHERE coalesce(registration_type, 'REGULAR') = 'REGULAR' AND coalesce(start_date <= $then, true)
        AND coalesce(end_date > $then, true)
    QUALIFY row_number() OVER (PARTITION BY patient_key ORDER BY start_date DESC NULLS LAST, practice_code) = 1
) AS r USING (patient_key)
"""
