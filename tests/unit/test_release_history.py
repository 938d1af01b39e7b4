"""What was ever released: a file a run beside the audit trail, never changed, and asked without a query."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace

import polars as pl
import pytest
from publish_example import context

from stratify import release_history
from stratify.contract_frames import empty, schema_of
from stratify.errors import RunError
from stratify.publish.released import WEEKS, release_weeks
from stratify.store import open_store

WEEK = date(2026, 11, 23)
SMALL, OTHER = "from 1 to 7", "would give another away"


def cell(code: str, told: int | None, because: str | None = None, **changes: object) -> dict[str, object]:
    return {
        "index_date": WEEK, "run_id": "run-1", "subject": "metric emergency_admissions all final",
        "part": "numerator", "tier": "all", "geography_type": "practice", "geography_code": code, "breakdown": "sex",
        "breakdown_value": "F", "told_count": told, "hidden_because": because, **changes,
    }  # fmt: skip


def released(folder, *cells: dict[str, object]):
    """Have a run release some cells; gives its plan."""
    day, run_id = cells[0]["index_date"], cells[0]["run_id"]
    restricted = folder / "runs" / f"{run_id}" / "restricted"
    restricted.mkdir(parents=True)
    with open_store(restricted / "run.duckdb", temp_directory=folder / "tmp") as store:
        store.create(release_history.TABLE, pl.DataFrame(cells, schema=schema_of(release_history.TABLE)))
    plan = SimpleNamespace(
        settings=SimpleNamespace(out=folder, index_date=day), run_id=run_id, restricted=restricted
    )  # fmt: skip
    release_history.keep(plan)
    return plan


FIRST = (cell("P1", 25), cell("P2", None, SMALL), cell("P3", None, OTHER))
AGAIN = (cell("P1", 30, run_id="run-2"),)
NEXT = (cell("P1", 35, run_id="run-3", index_date=WEEK + timedelta(days=7)),)


def test_a_week_that_is_run_again_stands_beside_the_first_and_nothing_is_ever_taken_out(tmp_path):
    plan = released(tmp_path, *FIRST)
    for each in (AGAIN, NEXT):
        released(tmp_path, *each)
    release_history.keep(plan)  # the run in place once more
    kept = release_history.released_cells(tmp_path)
    assert kept["run_id"].to_list() == ["run-1"] * 3 + ["run-2", "run-3"]
    told = kept.filter(pl.col("geography_code") == "P1")["told_count"].to_list()
    assert told == [25, 30, 35]
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "audit" / "released").iterdir()}
    assert modes == {0o600} and (tmp_path / "audit" / "released").stat().st_mode & 0o777 == 0o700


def test_it_says_what_each_run_showed_and_why_it_hid(tmp_path):
    for each in (FIRST, NEXT):
        released(tmp_path, *each)
    said = release_history.in_words(release_history.released_cells(tmp_path), place=None, about=None)
    assert said.splitlines() == [
        "23 November 2026, run run-1: 1 numbers shown, 2 hidden",
        f"          1  {SMALL}",
        f"          1  {OTHER}",
        "30 November 2026, run run-3: 1 numbers shown, 0 hidden",
    ]


def test_each_time_a_number_was_told_stands_on_a_line(tmp_path):
    for each in (FIRST, NEXT, (cell("P1", 90, run_id="run-4", subject="population", index_date=date(2026, 12, 7)),)):
        released(tmp_path, *each)
    cells = release_history.released_cells(tmp_path)
    of_place = release_history.in_words(cells, place="P1", about="emergency_admissions").splitlines()
    assert [line.split("  ")[-1] for line in of_place[1:]] == ["25", "35"]
    assert release_history.in_words(cells, place="P2", about=None).endswith(f"sex F  hidden: {SMALL}")


def test_where_nothing_was_released_it_says_so(tmp_path):
    with pytest.raises(RunError, match="expected a run that released numbers; found none"):
        release_history.released_cells(tmp_path)


def test_a_backup_gives_back_what_is_lost_and_replaces_nothing(tmp_path):
    released(tmp_path / "site", *FIRST)
    released(tmp_path / "site", *NEXT)
    released(tmp_path / "new", *(cell("P1", 1000),))  # of the same name as one that is kept
    release_history.take_back(tmp_path / "site" / "audit", tmp_path / "new")
    assert release_history.released_cells(tmp_path / "new")["told_count"].to_list() == [1000, 35]


def test_weeks_are_counted_from_the_published_tables_and_earlier_ones_stay_as_they_were():
    run = context()
    tables = {
        "out.population": pl.DataFrame({"geography_type": ["icb", "pcn", "pcn", "pcn"],
                                        "is_suppressed": [False, True, False, False]}),
    }  # fmt: skip
    old = {"table_name": "population", "geography_type": "icb", "rows_shown": 7.0, "rows_hidden": 3.0,
           "hidden_percent": 30.0, "rules": "others", "code_version": "0.0.1", "run_id": "run-0"}  # fmt: skip
    weeks = [run.index_date - timedelta(weeks=each) for each in (53, 1, 0)]
    earlier = pl.concat(
        [empty(WEEKS), pl.DataFrame([{"week": week, **old} for week in weeks]).select(*schema_of(WEEKS))]
    )
    told = release_weeks(tables, earlier, run).sort("week", "geography_type")
    shown = told.select("week", "geography_type", "rows_shown", "rows_hidden", "hidden_percent", "run_id").rows()
    assert shown == [
        (weeks[1], "icb", 7.0, 3.0, 30.0, "run-0"),  # neither a year old nor this week's own
        (weeks[2], "icb", 1.0, 0.0, 0.0, "run-1"),
        (weeks[2], "pcn", 2.0, 1.0, 33.3, "run-1"),
    ]
