"""People in buckets by the first hex digits of their ``patient_key``; each is worked out without the others.

    core/<table>/bucket=3/*.parquet     what is known of people, as far as a definition can read it
    codes.parquet                       what each code of everybody's records was matched to
    done/bucket=3/<table>/*.parquet     what came of a bucket: put in place whole, by one rename

A bucket that is worked out twice, because a worker was lost or seemed to be, gives the same, and the first stays.
Between processes go paths and counts; the files are as confidential as the store they come from.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from stratify import contracts, engine
from stratify.errors import RunError, SettingsError
from stratify.hits import READS, SOURCE_TABLES
from stratify.reckoning import decide_everybody, score_everybody, scored_table, settle_codes, work_values
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import Plan, code_digest
from stratify.settings import Settings, SpreadSetting
from stratify.store import Store, open_store, quoted
from stratify.wide import PERSON_COLUMNS

RESULTS = ("derived.variable_value", "derived.patient_score", "derived.pathway_decision")
"""Tables of what came of people, but for the scored rows that each pathway was decided on."""

_DIGITS = 4
"""First hex digits of ``patient_key`` that say whose bucket: as good as drawn, and the same on every engine."""


class Work(BaseModel):
    """What a worker is told: where people's records lie, and what to work out. Nothing about anybody.

    Attributes:
        folder: Where buckets and their results lie, on a disk that every worker sees under this path.
        buckets: How many buckets people are cut into.
        index_date: The day the run describes.
        clinical: Folder of the definitions; those that come with stratify when None.
        rule_digest: Digest of those definitions.
        code_digest: Digest of the code that runs.
        other_scores: Work out scores that no pathway uses, too.
        memory_limit: Of a worker's store.
        threads: Of a worker's store.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    buckets: int
    index_date: date
    clinical: Path | None
    rule_digest: str
    code_digest: str
    other_scores: bool
    memory_limit: str | None = None
    threads: int | None = None

    def core(self, table: str) -> Path:
        """Name the folder of a core table, given without its layer."""
        return self.folder / "core" / table

    @property
    def codes(self) -> Path:
        """The file of the codes of everybody's records and the codelists that hold them."""
        return self.folder / "codes.parquet"

    @property
    def done(self) -> Path:
        """The folder of what is worked out."""
        return self.folder / "done"

    def rule_book(self) -> RuleBook:
        """Give the rule book to work out.

        Raises:
            RunError: this worker has other definitions or other code than whoever asks, so other results.
        """
        whole = _rule_book(self.clinical, self.rule_digest)
        here = {"definitions": whole.digest == self.rule_digest, "code": code_digest() == self.code_digest}
        if not all(here.values()):
            raise RunError(
                "a worker",
                expected="the definitions and the code of the run",
                found=f"other {' and '.join(name for name, is_same in here.items() if not is_same)}",
                action="Install the same version on every server, and let all of them see the same `clinical` folder.",
            )
        return whole if self.other_scores else whole.for_pathways


Spread: TypeAlias = Callable[[Work], None]
"""Works out everybody: whatever is used, the same files come to be below ``Work.done``."""


@lru_cache(maxsize=1)
def _rule_book(clinical: Path | None, digest: str) -> RuleBook:
    """Read the definitions once for all buckets of a process; ``digest`` tells one content from another."""
    return load_rule_book(clinical)


def columns_read(table: str) -> tuple[str, ...]:
    """Give the columns of a core table that a definition can read; nothing else leaves the store."""
    if table == "person":
        return PERSON_COLUMNS
    found = {column for kind in READS.values() for column in kind.get(table, ())}
    return ("patient_key", *sorted(found), "source_file_id", "source_row")


TABLES = ("person", *SOURCE_TABLES)
"""Core tables that are cut."""


def cut(store: Store, work: Work) -> None:
    """Cut people and their records into buckets, in a folder that is new.

    Args:
        store: A store with the core tables and ``derived.code_match``.
        work: Where to, and into how many.
    """
    shutil.rmtree(work.folder, ignore_errors=True)
    (work.folder / "core").mkdir(parents=True, mode=0o700)
    work.folder.chmod(0o700)
    work.done.mkdir()
    store.execute(f"COPY derived.code_match TO '{quoted(work.codes)}' (FORMAT parquet)")
    bucket = f"('0x' || left(patient_key, {_DIGITS}))::BIGINT * {work.buckets} // {16**_DIGITS}"
    for table in TABLES:
        columns = ", ".join(columns_read(table))
        store.execute(
            f"COPY (SELECT {columns}, {bucket} AS bucket FROM core.{table} WHERE patient_key IS NOT NULL) "
            f"TO '{quoted(work.core(table))}' (FORMAT parquet, PARTITION_BY (bucket))"
        )


def one_after_another(work: Work) -> None:
    """Work out one bucket after another in this process: what is in memory is that of a bucket."""
    for number in range(work.buckets):
        work_bucket(work, number)


def work_bucket(work: Work, number: int) -> None:
    """Work out one bucket and put what came of it in place; one that is there already stays.

    Raises:
        RunError: the definitions here are not those of the run.
    """
    place = work.done / f"bucket={number}"
    if place.exists():
        return
    book = work.rule_book()
    aside = work.folder / "aside" / uuid.uuid4().hex
    aside.mkdir(parents=True, mode=0o700)
    try:
        with open_store(
            Path(":memory:"), temp_directory=aside / "scratch", memory_limit=work.memory_limit, threads=work.threads
        ) as store:
            _open_bucket(store, work, number)
            work_values(store, book, index_date=work.index_date)
            score_everybody(store, book, index_date=work.index_date)
            decide_everybody(store, book, index_date=work.index_date)
            for table in result_tables(book):
                (aside / "done" / table).mkdir(parents=True)
                to = quoted(aside / "done" / table / "part.parquet")
                store.execute(f"COPY {table} TO '{to}' (FORMAT parquet)")
        put(aside / "done", place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _open_bucket(store: Store, work: Work, number: int) -> None:
    """Give a store the core tables of a bucket, and the codes of everybody."""
    for table in TABLES:
        contract = contracts.load(f"core.{table}")
        types = {column.name: column.type for column in contract.columns}
        files = sorted(work.core(table).glob(f"bucket={number}/*.parquet"))
        listed = ", ".join(f"'{quoted(file)}'" for file in files)
        source = f"read_parquet([{listed}], hive_partitioning = false)" if files else "(SELECT 1) WHERE false"
        names = columns_read(table)
        columns = ", ".join(f'"{name}"' if files else f'NULL::{types[name]} AS "{name}"' for name in names)
        store.execute(f"CREATE TABLE core.{table} AS SELECT {columns} FROM {source}")
    store.execute(f"CREATE TABLE derived.code_match AS FROM read_parquet('{quoted(work.codes)}')")


def result_tables(book: RuleBook) -> tuple[str, ...]:
    """Give the tables of what came of people, with the scored rows of each pathway."""
    made = zip(RESULTS, (book.variables, book.scores, book.pathways), strict=True)
    pathways = (scored_table(name) for name in sorted(book.pathways))
    return (*(table for table, definitions in made if definitions), *pathways)


def put(made: Path, place: Path) -> None:
    """Put a folder in place with one rename; one that another attempt put there first stays, it has the same in it."""
    with suppress(OSError):
        made.rename(place)
    if not place.is_dir():
        raise RunError(
            "results of a bucket",
            expected="a folder of them, put in place by a rename",
            found="none",
            action="See whether the worker may write to the folder of outputs.",
        )


def work_of(plan: Plan) -> Work:
    """Give what the workers of a run are told."""
    settings = plan.settings
    return Work(
        # Looked for by workers elsewhere, where another folder may be the current one.
        folder=(plan.restricted / "scratch" / "buckets").absolute(),
        buckets=settings.spread.buckets if settings.spread else 1,
        index_date=settings.index_date,
        clinical=settings.clinical and settings.clinical.absolute(),
        rule_digest=plan.rule_digest,
        code_digest=plan.code_digest,
        other_scores=settings.other_scores,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
    )


def work_everybody(store: Store, plan: Plan, book: RuleBook, spread: Spread | None = None) -> int:
    """Cut everybody of a run into buckets, have values, scores and decisions worked out, and gather the values.

    Args:
        store: The run's store, with the core tables and ``derived.code_match``.
        plan: The run.
        book: What it works out.
        spread: What works out everybody; by the engine of the settings when None.

    Returns:
        Rows of ``derived.variable_value``; ``work.variable_code`` says what each code means.
    """
    work = work_of(plan)
    settle_codes(store, book, index_date=work.index_date)
    cut(store, work)
    (spread or _by_setting(plan.settings))(work)
    return gather(store, work, book, RESULTS[0])


def gather(store: Store, work: Work, book: RuleBook, table: str) -> int:
    """Gather one of the ``RESULTS`` of everybody into the store of the run, sorted by its key; none of no definition.

    Returns:
        How many rows it has.

    Raises:
        RunError: a bucket is missing.
    """
    if table not in result_tables(book):
        return 0
    return engine.keep(store, table, engine.query(store, f"FROM {_files(work, table)}"))


def gather_decisions(store: Store, work: Work, book: RuleBook) -> int:
    """Gather the decisions, and the scored rows that each pathway decided on.

    Returns:
        How many decisions there are.

    Raises:
        RunError: a bucket is missing.
    """
    for name in sorted(book.pathways):
        table = scored_table(name)
        store.execute(f"CREATE OR REPLACE TABLE {table} AS FROM {_files(work, table)}")
    return gather(store, work, book, RESULTS[2])


CLUSTER = "cluster"
"""Name of what a cluster works out at once, beside that of buckets."""


def _files(work: Work, table: str) -> str:
    """Write what to read a table of results from: every bucket, in order."""
    places = [work.done / f"bucket={number}" for number in range(work.buckets)]
    if (work.done / CLUSTER).is_dir():
        places = [work.done / CLUSTER]
    lacking = sum(not (place / table).is_dir() for place in places)
    if lacking:
        raise RunError(
            f"results of {table}",
            expected=f"those of {len(places)} buckets",
            found=f"{lacking} missing",
            action="Run again; if it stays, see whether all workers see the folder of outputs under the same path.",
        )
    files = [file for place in places for file in sorted((place / table).glob("*.parquet"))]
    listed = ", ".join(f"'{quoted(file)}'" for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _by_setting(settings: Settings) -> Spread:
    """Give what works out everybody by the engine of the settings, where no flow gives it."""
    spread = settings.spread or SpreadSetting()
    if spread.engine == "duckdb":
        return one_after_another
    if spread.engine == "spark":
        from stratify.scaled.on_spark import work_on_spark

        return partial(work_on_spark, master=spread.scheduler or "")
    raise SettingsError(
        "settings, spread.engine",
        expected="duckdb or spark, without Prefect",
        found=spread.engine,
        action="Run it as a flow: `python -m flows.weekly SETTINGS`.",
    )
