"""Whether everything that was ever released to commissioners gives a small number away, taken together.

Puts the kept releases (``release_history``) to the attacker. It goes by published numbers alone; that a number is
hidden for being small only says which ones to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from stratify import periods
from stratify.attacker import Unknowns, additions
from stratify.publish.cells import CELL, SUMS

SMALL = "from 1 to 7"
_RUN = ("index_date", "run_id")


@dataclass(frozen=True)
class Attacked:
    """What came of an attack.

    Attributes:
        runs: Of each run in order of time: ``index_date``, ``run_id``, ``small`` (numbers from 1 to 7) and, of them,
            ``given_away`` (those that can be one number only).
        given_away: Contract ``audit.released_cell``: the numbers given away.
        changed: How many numbers of months cannot all have stayed what they were, so that they were tried in each
            release alone.
        by_place_alone: How many runs were kept before it was kept which places add up: of them nothing is known of a
            network or board from its practices.
    """

    runs: pl.DataFrame
    given_away: pl.DataFrame
    changed: int
    by_place_alone: int


def attacked(cells: pl.DataFrame) -> Attacked:
    """Try to work out every small number of every release, from all of them.

    A month that the next file tells again is taken for the same counts where no number that both show differs, which
    is more than anybody knows. Where that contradicts what was told, each release is tried alone.

    Args:
        cells: Contract ``audit.released_cell``, as :func:`release_history.released_cells` gives it.

    Raises:
        PrivacyError: numbers of one release contradict each other, so that nothing is proved.
    """
    given_away, contradictory = _given_away(cells, months_stayed=True)
    if contradictory:
        alone, _ = _given_away(cells, months_stayed=False)
        given_away = pl.concat([given_away, alone]).unique().sort(*_RUN, *CELL)
    counted = cells.group_by(_RUN).agg((pl.col("hidden_because") == SMALL).sum().alias("small"))
    found = given_away.group_by(_RUN).agg(pl.len().alias("given_away"))
    runs = counted.join(found, on=_RUN, how="left").with_columns(pl.col("given_away").fill_null(0)).sort(_RUN)
    is_of_a_place_above = pl.col("geography_type") == "practice"
    placed = cells.filter(is_of_a_place_above).group_by(_RUN).agg(pl.col("pcn_code").is_null().all().alias("unplaced"))
    return Attacked(runs, given_away, contradictory, int(placed["unplaced"].sum()))


def _given_away(cells: pl.DataFrame, *, months_stayed: bool) -> tuple[pl.DataFrame, int]:
    """Give the numbers that are given away, and how many could not be tried for what was told contradicts itself."""
    known = Unknowns()
    before: pl.DataFrame | None = None
    numbered: list[pl.DataFrame] = []
    for release in cells.sort(*_RUN, *CELL).partition_by(_RUN, maintain_order=True):
        stayed = _stayed(before, release) if months_stayed and before is not None else {}
        numbers = []
        for *name, told in release.select(*CELL, "told_count").iter_rows():
            number = stayed.get(tuple(name))
            numbers.append(known.new() if number is None else number)
            known.told(numbers[-1], told)
        before = release.with_columns(pl.Series("_number", numbers, dtype=pl.Int64))
        for one in SUMS:
            known.add(additions(before, CELL, one))
        numbered.append(before)
    whole = pl.concat(numbered)
    contradictory: set[int] = set()
    asked = whole.filter(pl.col("hidden_because") == SMALL)["_number"]
    pinned = known.pinned(asked, contradictory=contradictory if months_stayed else None)
    return whole.filter(pl.col("_number").is_in(sorted(pinned))).drop("_number"), len(contradictory)


def _stayed(before: pl.DataFrame, release: pl.DataFrame) -> dict[tuple[object, ...], int]:
    """Give the unknowns of an earlier release that a later one tells again: months of which no shown number differs."""
    months = release.filter(pl.col("series").is_not_null())
    both = months.join(before.select(*CELL, "_number", pl.col("told_count").alias("_before")), on=CELL)
    revised = both.filter(pl.col("told_count") != pl.col("_before"))["subject"].unique().to_list()
    same = both.filter(~pl.col("subject").is_in(revised))
    return {tuple(name): number for *name, number in same.select(*CELL, "_number").iter_rows()}


def in_words(found: Attacked) -> str:
    """Say of each run how many small numbers it hides and how many are given away, then which."""
    lines = [
        f"{periods.in_words(day)}, run {run_id}: {small:,} numbers from 1 to 7, {given:,} given away"
        for day, run_id, small, given in found.runs.iter_rows()
    ]
    lines += [f"  {_place(row)}" for row in found.given_away.iter_rows(named=True)]
    if found.changed:
        lines.append(
            f"{found.changed:,} numbers of months that were told again cannot all have stayed the same: of these, each "
            "run was taken alone."
        )
    if found.by_place_alone:
        lines.append(
            f"{found.by_place_alone:,} runs were kept by a version that did not keep which places add up: of these "
            "only the numbers within a place were put together."
        )
    if found.given_away.is_empty():
        lines.append("No number from 1 to 7 can be worked out from all that was ever released.")
    else:
        lines.append(
            "Each number above can be worked out. Tell whoever answers for disclosure; take back files that have it."
        )
    return "\n".join(lines)


def _place(row: dict[str, object]) -> str:
    names: Sequence[str] = ("index_date", "geography_code", "subject", "part", "tier", "breakdown", "breakdown_value")
    return "  ".join(str(row[name]) for name in names)
