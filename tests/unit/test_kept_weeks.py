"""The memory on disk: written once, taken along, read up to a day, and never changed by a run that looks back."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

import invented
from stratify import kept_weeks
from stratify.errors import RunError

WEEKS = (date(2026, 6, 1), date(2026, 6, 8), date(2026, 6, 15))
STEP = {"pathway": "lungs", "position": 1, "from_state": "new", "to_state": "listed", "cause": "placed", "run_id": "r"}


def steps(week: date, *keys: str) -> pl.DataFrame:
    rows = [{"week": week, "effective_date": week, "patient_key": key, **STEP} for key in keys]
    return invented.frame("audit.transition", rows)


@pytest.fixture
def kept(tmp_path) -> Path:
    """The restricted folder after two weeks."""
    folder = tmp_path / "restricted"
    folder.mkdir()
    for week in WEEKS[:2]:
        kept_weeks.write(folder, "audit.transition", steps(week, "a", f"of {week}"), week)
    return folder


def read(folder: Path, before: date, **same: str) -> list[tuple[date, str]]:
    found = kept_weeks.scan(folder, "audit.transition", before=before, same_person=same)
    return found.select("week", "patient_key").collect().rows()


def test_only_weeks_before_the_day_are_read(kept):
    assert {week for week, _ in read(kept, WEEKS[1])} == {WEEKS[0]}
    assert {week for week, _ in read(kept, WEEKS[2])} == set(WEEKS[:2])
    assert read(kept, WEEKS[0]) == []


def test_a_superseded_pseudonym_is_read_as_the_one_in_use(kept):
    assert [key for _, key in read(kept, WEEKS[1], a="b")] == ["b", f"of {WEEKS[0]}"]


def test_a_week_kept_before_a_column_was_added_is_read_without_it(kept):
    path = kept / "memory" / str(WEEKS[0]) / "transition.parquet"
    pl.read_parquet(path).drop("row_reference").with_columns(gone=pl.lit(1)).write_parquet(path)
    assert len(read(kept, WEEKS[2])) == 4


def test_the_digest_follows_earlier_weeks_and_no_other(kept):
    before = kept_weeks.digest(kept, WEEKS[1])
    kept_weeks.write(kept, "audit.transition", steps(WEEKS[1], "z"), WEEKS[1])
    assert kept_weeks.digest(kept, WEEKS[1]) == before
    kept_weeks.write(kept, "audit.transition", steps(WEEKS[0], "z"), WEEKS[0])
    assert kept_weeks.digest(kept, WEEKS[1]) != before


def test_a_new_week_takes_the_earlier_ones_along_and_not_its_own(kept, tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    kept_weeks.take_along(kept, build, WEEKS[1])
    assert kept_weeks.weeks(build) == [WEEKS[0]]
    other = tmp_path / "other"
    other.mkdir()
    kept_weeks.take_along(kept, other, WEEKS[2])
    assert kept_weeks.weeks(other) == list(WEEKS[:2])


def test_a_look_back_takes_every_week_along_as_it_is(kept, tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    assert kept_weeks.is_look_back(kept, WEEKS[0]) and not kept_weeks.is_look_back(kept, WEEKS[1])
    kept_weeks.take_along(kept, build, WEEKS[0])
    assert kept_weeks.weeks(build) == list(WEEKS[:2])


def test_writing_a_week_again_does_not_change_what_another_run_keeps(kept, tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    kept_weeks.take_along(kept, build, WEEKS[2])
    kept_weeks.write(build, "audit.transition", steps(WEEKS[0], "z"), WEEKS[0])
    assert [key for _, key in read(kept, WEEKS[1])] == ["a", f"of {WEEKS[0]}"]
    assert [key for _, key in read(build, WEEKS[1])] == ["z"]


def test_where_files_cannot_have_two_names_they_are_copied(kept, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    build = tmp_path / "build"
    build.mkdir()
    kept_weeks.take_along(kept, build, WEEKS[2])
    assert read(build, WEEKS[2]) == read(kept, WEEKS[2])


def test_something_else_among_the_weeks_stops_the_run(kept):
    (kept / "memory" / "old").mkdir()
    with pytest.raises(RunError, match="expected folders named by date in restricted/memory; found another name"):
        kept_weeks.weeks(kept)
