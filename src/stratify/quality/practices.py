"""Each practice's data over the runs: how much came, how much could be used, and whether that is falling.

Belongs here: counting the rows and people of each practice, the counts of earlier runs, and what a fall is called. Does
not belong: how it looks (``practices_page``), refusing a practice's rows (``ingest``). Counts per practice and table,
and nothing of any person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from stratify import contracts
from stratify.contracts import TableContract
from stratify.errors import RunError

if TYPE_CHECKING:
    from stratify.store import Store

Grade = Literal["red", "amber", "steady", "new", "gone"]

HISTORY_FILE: Final = "practice_history.csv"
PEOPLE: Final = "person"
UNKNOWN: Final = "unknown"
"""Stands for the practice of rows that do not name one: lines that are no record, codes that are none."""

AMBER_FALL, RED_FALL = 0.20, 0.50
"""A practice's rows that fall by a fifth want looking at; by half, its slice is not fit (NHS ICB practice: a fifth off
the list size is significant)."""
LEAST_OF_LIST = 0.01
"""Fewer rows than this share of the list size: a group set up with an implied opt-out once sent so little."""
RUNS_BEFORE: Final = 4
"""The usual number is the median of this many runs before."""
LEAST_ROWS: Final = 100
"""A table of a practice with fewer rows than this usually is not graded by itself: small numbers swing."""

EVERYWHERE: Final = "all"
_CODELIST: Final = "codelist "
"""Begins the ``table_name`` of a count of people with an entry of some codelists, at all practices together."""

_ORGANISATION = "^[A-Z][0-9]{5}$"
_TABLES_OF_PEOPLE: Final = ("patient", "registration", "gp_event", "gp_observation", "gp_medication")
"""Tables in which a practice has rows for a good part of its people."""
_COUNTS: Final = tuple(column.name for column in contracts.load("audit.practice_count").columns[2:])
_SCHEMA: Final[dict[str, type[pl.DataType]]] = {
    "index_date": pl.Date,
    "run_id": pl.String,
    "practice_code": pl.String,
    "table_name": pl.String,
    **dict.fromkeys(_COUNTS, pl.Int64),
}
_KEY: Final = ("index_date", "run_id", "practice_code", "table_name")


def practice_counts(store: Store, landed: Sequence[TableContract]) -> pl.DataFrame:
    """Count each practice's rows of each landing table, and its people.

    Args:
        store: The run's store, with landing tables and ``core.person``.
        landed: Landing tables of this run; those whose rows do not say who published them are left out.

    Returns:
        Contract ``audit.practice_count``, in order of practice and table.
    """
    rows: list[tuple[object, ...]] = []
    for table in landed:
        if table.table == "opt_out" or "org_code" not in table.column_names:
            continue  # objections come from national systems as well, and say nothing of a practice's feed
        critical = [column.name for column in table.columns if column.is_critical]
        counted = store.rows(_ROWS.format(table=table.table), [_ORGANISATION, UNKNOWN, table.table, critical])
        rows += [
            (practice, table.table, received, received - rejected, rejected, lost, None, None)
            for practice, received, rejected, lost in counted
        ]
    rows += [
        (practice, PEOPLE, None, None, None, None, people, linked)
        for practice, people, linked in store.rows(_PEOPLE, [_ORGANISATION, UNKNOWN])
    ]
    schema = {name: _SCHEMA[name] for name in contracts.load("audit.practice_count").column_names}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("practice_code", "table_name")


# A line that is no record is in no landing table: it is counted as received from nobody known.
_ROWS = """
SELECT practice_code, count(*), count(*) FILTER (is_rejected), count(*) FILTER (is_lost AND NOT is_rejected)
FROM (
    SELECT CASE WHEN regexp_matches(org_code, $1) THEN org_code ELSE $2 END AS practice_code,
        coalesce(is_rejected, false) AS is_rejected, coalesce(is_lost, false) AS is_lost
    FROM landing.{table} FULL JOIN (
        SELECT source_file_id, source_row, bool_or(scope = 'row') AS is_rejected,
            bool_or(scope = 'value' AND list_contains($4, column_name)) AS is_lost
        FROM audit.rejected_row WHERE table_name = $3 GROUP BY ALL
    ) USING (source_file_id, source_row)
) GROUP BY ALL
"""
_PEOPLE = """
SELECT CASE WHEN regexp_matches(practice_code, $1) THEN practice_code ELSE $2 END, count(*),
    count(*) FILTER (is_hospital_linked)
FROM core.person WHERE person_status IN ('registered', 'practice_unknown') GROUP BY ALL
"""


# Earlier runs


def read_history(path: Path) -> pl.DataFrame:
    """Read the counts of the runs so far; none where there is no file.

    Raises:
        RunError: the file is not what a run wrote.
    """
    if not path.is_file():
        return pl.DataFrame(schema=_SCHEMA)
    try:
        found = pl.read_csv(path, schema=_SCHEMA)
    except pl.exceptions.PolarsError:
        found = None
    if found is None or found.select(_KEY).null_count().sum_horizontal().sum():
        raise RunError(
            path.name,
            expected="the counts of earlier runs, as stratify wrote them",
            found="something else",
            action="Put the file of the run before back, or delete it: drift then begins anew.",
        )
    return found


def earlier(history: pl.DataFrame, index_date: date) -> pl.DataFrame:
    """Give the runs of earlier index dates, of each date the one that was put in place last."""
    before = history.filter(pl.col("index_date") < index_date)
    last = before.group_by("index_date", maintain_order=True).agg(pl.col("run_id").last())
    return before.join(last, on=["index_date", "run_id"], how="semi").sort("index_date", "practice_code", "table_name")


def history_digest(path: Path, index_date: date) -> str:
    """Give a digest of what a run of this date compares itself with: it is one of the run's inputs."""
    return hashlib.sha256(earlier(read_history(path), index_date).write_csv().encode()).hexdigest()[:16]


def with_run(history: pl.DataFrame, counts: pl.DataFrame, *, index_date: date, run_id: str) -> pl.DataFrame:
    """Add a run to the counts of the runs so far; one that is there already is replaced and counts as the last."""
    named = counts.select(pl.lit(index_date).alias("index_date"), pl.lit(run_id).alias("run_id"), pl.all())
    is_other = (pl.col("run_id") != run_id) | (pl.col("index_date") != index_date)
    return pl.concat([history.filter(is_other), named.select(list(_SCHEMA))])


# Codelists


def note_codelists(store: Store, found: Mapping[str, int]) -> None:
    """Add how many people have an entry of some codelists to the counts of a run, by any name of the codelists."""
    store.execute("DELETE FROM audit.practice_count WHERE practice_code = $1", [EVERYWHERE])
    if found:
        rows = [each for name, people in sorted(found.items()) for each in (EVERYWHERE, f"{_CODELIST}{name}", people)]
        store.execute(
            "INSERT INTO audit.practice_count (practice_code, table_name, people_count) VALUES "
            + ", ".join(["(?, ?, ?)"] * len(found)),
            rows,
        )


def codelists_before(history: pl.DataFrame) -> list[tuple[dict[str, int], int]]:
    """Give what :func:`note_codelists` was told in the last runs, with the people registered in each, oldest first.

    Args:
        history: Counts of earlier runs, one run per index date.
    """
    is_codelist = pl.col("table_name").str.starts_with(_CODELIST)
    found = []
    for day in history.filter(is_codelist)["index_date"].unique().sort().tail(RUNS_BEFORE):
        run = history.filter(pl.col("index_date") == day)
        noted = run.filter(is_codelist).select(pl.col("table_name").str.strip_prefix(_CODELIST), "people_count")
        people = run.filter(pl.col("table_name") == PEOPLE)["people_count"].sum()
        found.append(({str(name): int(count) for name, count in noted.iter_rows()}, int(people)))
    return found


# Drift


@dataclass(frozen=True)
class Measure:
    """One number of a practice over the runs.

    Attributes:
        name: What is counted.
        values: One value per run, oldest first, this run last; None before the practice was first seen.
        usual: Median of the runs just before; None where there is none.
        is_graded: False where numbers are too small to say anything.
    """

    name: str
    values: tuple[float | None, ...]
    usual: float | None
    is_graded: bool = True

    @property
    def now(self) -> float:
        """This run's value."""
        return self.values[-1] or 0.0

    @property
    def change(self) -> float | None:
        """How far this run is from the usual, -0.5 for half of it; None where nothing is usual."""
        return (self.now - self.usual) / self.usual if self.usual else None

    @property
    def grade(self) -> Grade:
        """What the change is called."""
        if self.usual is None:
            return "new"
        if not self.usual:
            return "gone" if not self.now else "steady"
        change = self.change or 0.0
        if not self.is_graded or change > -AMBER_FALL + _ROUNDING:
            return "steady"
        return "red" if change <= -RED_FALL + _ROUNDING else "amber"


_ROUNDING = 1e-9
"""80 of 100 is a fall of a fifth, whatever the doubles say."""


@dataclass(frozen=True)
class Practice:
    """A practice over the runs.

    Attributes:
        code: ODS code, or ``unknown``.
        name: Name in the practice reference; None where it is not in it.
        dates: Index dates of the runs, oldest first, this run last.
        received: Rows received, all tables.
        loaded: Rows loaded.
        rejected: Rows set aside.
        lost: Rows loaded without a critical value.
        usable: Rows loaded with every critical value.
        people: People registered.
        linked: Of them, with a linked hospital record.
        linked_share: The share of those, 0 to 1.
        tables: Rows usable of each table.
        too_few: Tables with fewer rows than 1 % of the list size.
        list_size: The most people the practice ever had.
    """

    code: str
    name: str | None
    dates: tuple[date, ...]
    received: Measure
    loaded: Measure
    rejected: Measure
    lost: Measure
    usable: Measure
    people: Measure
    linked: Measure
    linked_share: Measure
    tables: tuple[Measure, ...]
    too_few: tuple[str, ...]
    list_size: int

    @property
    def graded(self) -> tuple[Measure, ...]:
        """What a practice is judged by, the widest first."""
        return (self.received, self.usable, self.people, self.linked_share, *self.tables)

    @property
    def grade(self) -> Grade:
        """The worst that is said of it."""
        if self.code == UNKNOWN:
            return "steady"
        if self.usable.grade == "gone":
            return "gone"
        grades = {measure.grade for measure in self.graded}
        if self.too_few:
            return "red"
        return next((grade for grade in _WORST_FIRST if grade in grades and grade != "gone"), "steady")

    @property
    def worst_change(self) -> float:
        """The deepest fall of what it is judged by; 0 where nothing fell."""
        falls = [each.change for each in self.graded if each.change is not None and each.is_graded]
        return min([*falls, 0.0])


_WORST_FIRST: Final[tuple[Grade, ...]] = ("red", "amber", "steady", "new", "gone")


def practices_over_time(history: pl.DataFrame, names: dict[str, str]) -> list[Practice]:
    """Give each practice over the runs, the worst change first.

    Args:
        history: Counts of earlier runs and of this one, which is the latest; one run per index date.
        names: Names of practices by code.
    """
    history = history.filter(pl.col("practice_code") != EVERYWHERE)
    dates = tuple(history["index_date"].unique().sort())
    found: dict[str, dict[str, dict[date, dict[str, int]]]] = {}
    for row in history.iter_rows(named=True):
        counts = {name: row[name] or 0 for name in _COUNTS}
        found.setdefault(row["practice_code"], {}).setdefault(row["table_name"], {})[row["index_date"]] = counts
    sent = {table for tables in found.values() for table, runs in tables.items() if dates and dates[-1] in runs}
    practices = [_practice(code, names.get(code), dates, found[code], sent) for code in sorted(found)]
    return sorted(
        practices,
        key=lambda each: (
            each.code == UNKNOWN,
            _WORST_FIRST.index(each.grade),
            not each.too_few,
            each.worst_change,
            each.code,
        ),
    )


def _practice(
    code: str,
    name: str | None,
    dates: tuple[date, ...],
    tables: dict[str, dict[date, dict[str, int]]],
    sent: set[str],
) -> Practice:
    first = min(day for runs in tables.values() for day in runs)

    def counted(what: str, *columns: str, of: Sequence[str], less: str | None = None, **more: bool) -> Measure:
        values: list[float | None] = []
        for day in dates:
            counts = [tables.get(table, {}).get(day, {}) for table in of]
            total = sum(each.get(column, 0) for each in counts for column in columns)
            values.append(None if day < first else total - sum(each.get(less or "", 0) for each in counts))
        return Measure(what, tuple(values), _usual(values), **more)

    rows = sorted(set(tables) - {PEOPLE})
    people = counted("people", "people_count", of=[PEOPLE])
    linked = counted("linked", "linked_count", of=[PEOPLE])
    shares = [
        None if not whole else (part or 0) / whole for part, whole in zip(linked.values, people.values, strict=True)
    ]
    list_size = int(max(value or 0 for value in people.values))
    by_table = []
    for table in rows:
        measure = counted(table, "loaded_count", of=[table], less="lost_count")
        by_table.append(Measure(table, measure.values, measure.usual, (measure.usual or 0) >= LEAST_ROWS))
    now = {table: tables.get(table, {}).get(dates[-1], {}).get("received_count", 0) for table in _TABLES_OF_PEOPLE}
    expected = [table for table in _TABLES_OF_PEOPLE if table in sent and list_size * LEAST_OF_LIST >= 1]
    is_there = bool(people.now) or any(now.values())
    return Practice(
        code=code,
        name=name,
        dates=dates,
        received=counted("rows received", "received_count", of=rows),
        loaded=counted("rows loaded", "loaded_count", of=rows),
        rejected=counted("rows set aside", "rejected_count", of=rows),
        lost=counted("values lost", "lost_count", of=rows),
        usable=counted("rows usable", "loaded_count", of=rows, less="lost_count"),
        people=people,
        linked=linked,
        linked_share=Measure("share linked", tuple(shares), _usual(shares), people.now > 0),
        tables=tuple(by_table),
        too_few=tuple(table for table in expected if is_there and now[table] < list_size * LEAST_OF_LIST),
        list_size=list_size,
    )


def _usual(values: Sequence[float | None]) -> float | None:
    before = [value for value in values[:-1][-RUNS_BEFORE:] if value is not None]
    return float(median(before)) if before else None
