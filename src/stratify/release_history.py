"""What was ever released of the commissioners' numbers, cell by cell: a file a run, added and never changed.

    out/audit/released/2026-11-02-<run id>.parquet      contract audit.released_cell

It lies beside the audit trail and not in a run: what went out stays out, whichever run is in place. Belongs here:
keeping it, and asking it. What a cell is, and why one is hidden, is for ``publish``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from stratify import audit_trail, periods
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.runs import Plan
from stratify.store import open_store

TABLE = "audit.released_cell"
FOLDER = "released"


def keep(plan: Plan) -> None:
    """Write down what a run that is about to be put in place releases; the same run again writes the same."""
    home = plan.settings.out / audit_trail.FOLDER / FOLDER
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / f"{plan.settings.index_date}-{plan.run_id}.parquet"
    scratch = plan.restricted / "scratch"
    with open_store(plan.restricted / "run.duckdb", temp_directory=scratch, read_only=True) as store:
        cells = store.frame(f"SELECT * FROM {TABLE}")
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    cells.write_parquet(fresh)
    fresh.replace(path)


def take_back(kept: Path, out: Path) -> None:
    """Have the files of a backup's audit folder that an output folder lacks; none is ever replaced."""
    for path in sorted((kept / FOLDER).glob("*.parquet")):
        home = out / audit_trail.FOLDER / FOLDER
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (home / path.name).exists():
            shutil.copy2(path, home / path.name)


def released_cells(out: Path) -> pl.DataFrame:
    """Give contract ``audit.released_cell`` of every run that an output folder ever put in place, in order of time.

    Raises:
        RunError: nothing was released there.
    """
    paths = sorted((out / audit_trail.FOLDER / FOLDER).glob("[0-9]*.parquet"))
    if not paths:
        raise RunError(
            f"output folder {out.name}",
            expected="a run that released numbers",
            found="none",
            action="Run first, or correct RUN.",
        )
    schema = pl.Schema(schema_of(TABLE))
    kept = [pl.DataFrame(schema=schema), *(pl.read_parquet(path) for path in paths)]
    return pl.concat(kept, how="diagonal_relaxed").select(*schema).cast(schema)


def in_words(cells: pl.DataFrame, *, place: str | None, about: str | None) -> str:
    """Say what was released: of each run how much, or each time the numbers of a place or a subject.

    Args:
        cells: Contract ``audit.released_cell``.
        place: Code of a place; its numbers one by one.
        about: Part of what is counted, for example the id of a metric; its numbers one by one.
    """
    lines = _cells(cells, place, about) if place or about else _runs(cells)
    return "\n".join(lines)


def _runs(cells: pl.DataFrame) -> Iterator[str]:
    for (day, run_id), mine in cells.group_by("index_date", "run_id", maintain_order=True):
        hidden = mine.filter(pl.col("hidden_because").is_not_null())
        shown = mine.height - hidden.height
        yield f"{periods.in_words(day)}, run {run_id}: {shown:,} numbers shown, {hidden.height:,} hidden"
        for because, count in hidden.group_by("hidden_because").len().sort("hidden_because").iter_rows():
            yield f"  {count:>9,}  {because}"


def _cells(cells: pl.DataFrame, place: str | None, about: str | None) -> Iterator[str]:
    if place:
        cells = cells.filter(pl.col("geography_code") == place)
    if about:
        cells = cells.filter(pl.col("subject").str.contains(about, literal=True))
    yield "index_date  run_id  place  subject  part  tier  breakdown  told"
    key = ("geography_type", "geography_code", "subject", "part", "tier", "breakdown", "breakdown_value")
    for row in cells.sort(*key, "index_date", "run_id").iter_rows(named=True):
        group = "all" if row["breakdown"] == "all" else f"{row['breakdown']} {row['breakdown_value']}"
        told = f"hidden: {row['hidden_because']}" if row["told_count"] is None else f"{row['told_count']:,}"
        shown = (row["index_date"], row["run_id"], row["geography_code"], row["subject"], row["part"], row["tier"])
        yield "  ".join([*(str(each) for each in shown), group, told])
