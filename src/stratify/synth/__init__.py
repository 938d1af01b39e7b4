"""The synthetic county: invented people with the illnesses, care and untidy records that the pipeline must cope with.

``write_county`` writes the extract sets of a county, and the truth about it beside them. It shares no rule and no
codelist with the pipeline: what is wrong with a person is drawn first, what the records say of it second, and what a
right run concludes is worked out a second time from the words of the rules. NHS numbers are never-issued ones. Nothing
here reads a clock; the same order gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stratify.synth.order import CountyOrder

__all__ = ["CountyOrder", "CountySummary", "ExtractSummary", "write_county"]


@dataclass(frozen=True)
class ExtractSummary:
    """One extract set: the run it is for, its folder, its files (the manifest last), and the rows of each table."""

    index_date: date
    folder: Path
    files: tuple[str, ...]
    row_counts: Mapping[str, int]


@dataclass(frozen=True)
class CountySummary:
    """What was written: one set in the folder itself, or one for each week in folders named after its index date."""

    folder: Path
    people: int
    extracts: tuple[ExtractSummary, ...]


def write_county(
    folder: Path,
    order: CountyOrder | None = None,
    *,
    truth_folder: Path | None = None,
    replace: bool = False,
    tell: Callable[[str], None] | None = None,
) -> CountySummary:
    """Write the extract sets of an invented county, and the truth about it where that is asked for.

    Args:
        folder: Where to put the files; new or empty.
        order: What is wanted; an ordinary clean county when not given.
        truth_folder: Where to put what is so and what the rules should conclude (``truth``); apart from ``folder``.
        replace: Whether an earlier county in these folders may be replaced.
        tell: Told how far it is.

    Raises:
        SettingsError: the order is impossible or a folder is not fit; nothing was written.
        RunError: the files could not be written; an earlier county is left as it was.
    """
    from stratify.synth.order import check_order

    order = order or CountyOrder()
    check_order(order)
    from stratify.synth import making

    return making.make_and_place(order, folder, truth_folder, replace=replace, tell=tell or (lambda words: None))
