"""The register of feedback on disk: each kept week has it whole, so that any of them mends another.

    restricted/memory/2026-06-15/feedback.parquet  feedback_words.parquet

An entry that is gone from the last week and stands in another is put back, and counted. One that is gone from every
week, or was changed in one, stops the run. What an entry means is in ``feedback``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from stratify import feedback, kept_weeks
from stratify.contract_frames import empty
from stratify.errors import RunError

_NUMBER = "entry_number"


@dataclass(frozen=True)
class Kept:
    """The register as earlier weeks have it, and how many of its entries the last of them had lost."""

    register: pl.DataFrame
    words: pl.DataFrame
    mended: int
    has_begun: bool
    """A week before had a register: what is missing from it was lost, and is not new."""


def read(restricted: Path, *, before: date, same_person: Mapping[str, str]) -> Kept:
    """Read the register of the weeks before a day, mended from one another.

    Args:
        restricted: The restricted folder of the run in place.
        before: The index date.
        same_person: The pseudonym in use by each that it supersedes.

    Raises:
        RunError: an entry is gone from every week, or two weeks differ on one.
    """
    weeks = [week for week in kept_weeks.weeks(restricted) if week < before]
    found = [
        (_of_week(restricted, week, feedback.REGISTER), _of_week(restricted, week, feedback.WORDS)) for week in weeks
    ]
    has_begun = any(register is not None for register, _ in found)
    whole = _together(feedback.REGISTER, [register for register, _ in found])
    words = _together(feedback.WORDS, [words for _, words in found])
    feedback.check(whole, words)
    mended = 0
    if has_begun:
        last, last_words = found[-1]
        mended = whole.height - (0 if last is None else last.height)
        mended = max(mended, words.height - (0 if last_words is None else last_words.height))
    register = whole.with_columns(pl.col("patient_key").replace(dict(same_person))) if same_person else whole
    return Kept(register, words, mended, has_begun)


def write(build: Path, register: pl.DataFrame, words: pl.DataFrame, index_date: date) -> None:
    """Keep the register with this week, in the restricted folder of a run that is built."""
    kept_weeks.write(build, feedback.REGISTER, register, index_date)
    kept_weeks.write(build, feedback.WORDS, words, index_date)


def stop_if_shortened(restricted: Path, register: pl.DataFrame, index_date: date) -> None:
    """Refuse to run a week once more without what was said when it ran before.

    Raises:
        RunError: a concern, somebody who should have been there or an answer is not among what came back any more.
    """
    before = _of_week(restricted, index_date, feedback.REGISTER)
    gone = feedback.kept_for_good(before) - feedback.kept_for_good(register) if before is not None else set()
    if gone:
        raise RunError(
            "feedback register",
            expected="all that was said and answered when this week ran before",
            found=f"{len(gone)} that no file says any more",
            action="Put the files back into the folder that the setting returned names: feedback is never deleted.",
        )


def _of_week(restricted: Path, week: date, name: str) -> pl.DataFrame | None:
    path = restricted / kept_weeks.FOLDER / week.isoformat() / f"{name.split('.')[1]}.parquet"
    if not path.is_file():
        return None
    blank = empty(name)
    return pl.concat([blank, pl.read_parquet(path)], how="diagonal").select(blank.columns)


def _together(name: str, weeks: list[pl.DataFrame | None]) -> pl.DataFrame:
    """Put the weeks together; the later one's pseudonym holds, which a change of key brings to all of them."""
    found = pl.concat([empty(name), *(each for each in weeks if each is not None)])
    return found.unique(
        [each for each in found.columns if each != "patient_key"], keep="last", maintain_order=True
    ).sort(_NUMBER)
