"""Disclosure control: which counts may be published, and how, so that nobody can be worked out from them.

The method of HES and ECDS since September 2018: 0 stays 0, 1 to 7 are hidden, other counts are rounded to the nearest
5. Hiding one part of a published total is not enough, since the total less the other parts would reveal it; so further
cells are hidden until no sum gives one away. Frames in, frames out: which tables are published is for ``publish``.

What it does not do: answer somebody who adds knowledge of their own, as of which hidden counts stayed in a week.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from stratify.errors import PrivacyError

LARGEST_HIDDEN = 7
"""Counts from 1 to this are never published."""

ROUND_TO = 5
"""Published counts are multiples of this; the truth is at most half of it, rounded down, away."""

LEAST_POSSIBLE_VALUES = 2
"""How many values a hidden count must still be able to have for somebody who adds and subtracts what is published."""


@dataclass(frozen=True)
class Sum:
    """One way in which counts add up: the parts of a table that together are one of its totals.

    Attributes:
        name: What is added, for messages.
        parts: Which rows are parts.
        total: Key columns in which a total differs from its parts, and their values there. An expression may use
            any column of the part's row, such as the network a practice belongs to.
        within: Columns that parts of one total share, beyond the key of the total: two breakdowns of the same
            people each add up on their own.
    """

    name: str
    parts: pl.Expr
    total: Mapping[str, pl.Expr]
    within: tuple[str, ...] = ()


def protect(
    frame: pl.DataFrame,
    *,
    count: str,
    key: Sequence[str],
    sums: Sequence[Sum],
    hide: pl.Expr | None = None,
    together: Sequence[str] = (),
) -> pl.DataFrame:
    """Hide and round the counts of a table, so that no published count reveals one to seven people.

    Counts from 1 to 7 are hidden, and those ``hide`` asks for. Where exactly one part of a sum is hidden, another part
    is hidden too (the total, when there is no other part), until that is so nowhere: the one that leaves the fewest
    other sums with one hidden, the smallest of those. What turns out not to be needed is shown again. Every published
    count is taken as what it could be (10 is 8 to 12), bounds are carried through all sums, and wherever a hidden count
    could only be one number, more is hidden. Ties go by the key, so the order of rows makes no difference.

    Args:
        frame: One row per cell, with exact counts. A cell that is absent is a published nought.
        count: The column with the exact count of people.
        key: Columns that name a cell.
        sums: Every way in which published cells add up.
        hide: Cells to hide whatever they are, unless they are nought.
        together: Columns that name a series: once one of its cells is hidden, all are. A cell where the first of
            these is empty is of none. For counts that stay the same from release to release, as months that are over
            do, and would else be hidden in one release and shown in the next.

    Returns:
        The frame in its own order with ``count`` rounded, empty where hidden, and a column ``is_suppressed``.

    Raises:
        PrivacyError: two rows have the same key, a count is missing or negative, or parts do not add up to their
            total, so that what could be worked out cannot be known.
    """
    numbered = frame.with_row_index("_place").with_columns((hide if hide is not None else pl.lit(False)).alias("_hide"))
    cells = numbered.sort(key, nulls_last=True).drop("_place").with_row_index("_cell")
    places = numbered.sort(key, nulls_last=True)["_place"]
    _check_cells(cells, count=count, key=key)
    counts: list[int] = cells[count].to_list()
    additions = [each for one in sums for each in _additions(cells, counts, count=count, key=key, one=one)]
    hidden = {
        cell
        for cell, (number, asked) in enumerate(zip(counts, cells["_hide"].to_list(), strict=True))
        if number > 0 and (number <= LARGEST_HIDDEN or asked)
    }
    series = cells.filter(pl.col(together[0]).is_not_null()).group_by(together).agg("_cell") if together else None
    _Table(counts, additions, hidden, series["_cell"].to_list() if series is not None else []).hide_until_safe()
    return (
        cells.with_columns(
            pl.Series("is_suppressed", [cell in hidden for cell in range(len(counts))], dtype=pl.Boolean),
            pl.Series(
                count,
                [None if cell in hidden else rounded(number) for cell, number in enumerate(counts)],
                dtype=pl.Int64,
            ),
            places.alias("_place"),
        )
        .sort("_place")
        .select(*frame.columns, "is_suppressed")
    )


def rounded(number: int) -> int:
    """Give a count to the nearest 5; 8 and 12 are both 10."""
    return (number + ROUND_TO // 2) // ROUND_TO * ROUND_TO


def in_words(number: int) -> str:
    """Give a count for a sentence: ``fewer than 8`` for 1 to 7, which are never told exactly."""
    return f"fewer than {LARGEST_HIDDEN + 1}" if 0 < number <= LARGEST_HIDDEN else f"{number:,}"


@dataclass(frozen=True)
class _Addition:
    """A total and its parts, by number of cell; cells of nought left out."""

    total: int
    parts: tuple[int, ...]

    @property
    def cells(self) -> tuple[int, ...]:
        return (*self.parts, self.total)


@dataclass
class _Table:
    """Cells with their exact counts, the sums among them, what is hidden so far, and what is hidden together."""

    counts: list[int]
    additions: list[_Addition]
    hidden: set[int]
    series: list[list[int]]
    touching: dict[int, list[int]] = field(default_factory=dict)
    hidden_in: list[int] = field(default_factory=list)
    beside: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, addition in enumerate(self.additions):
            for cell in addition.cells:
                self.touching.setdefault(cell, []).append(number)
        self.hidden_in = [sum(cell in self.hidden for cell in addition.cells) for addition in self.additions]
        for cells in self.series:
            together = [cell for cell in cells if self.counts[cell] > 0]
            self.beside.update((cell, together) for cell in cells)

    def hide_until_safe(self) -> None:
        for cell in sorted(self.hidden):
            for each in self.beside.get(cell, ()):
                self._hide(each)
        asked = set(self.hidden)
        self._hide_more(set(range(len(self.additions))))
        if self._show_needless(asked):
            self._hide_more(self._hide_beside(self._worked_out()))

    def _hide_more(self, changed: set[int]) -> None:
        while changed:
            self._hide_partners(changed)
            changed = self._hide_beside(self._worked_out())

    def _show_needless(self, asked: set[int]) -> bool:
        """Show again, the largest first, what was hidden for others and is no longer the second of any sum."""
        before = len(self.hidden)
        for cell in sorted(self.hidden - asked - self.beside.keys(), key=lambda cell: (-self.counts[cell], cell)):
            sums = self.touching.get(cell, ())
            if all(self.hidden_in[number] != 2 for number in sums):
                self.hidden.discard(cell)
                for number in sums:
                    self.hidden_in[number] -= 1
        return len(self.hidden) < before

    def _hide_partners(self, changed: set[int]) -> None:
        """Leave no sum with exactly one hidden cell."""
        queue = deque(sorted(changed))
        waiting = set(queue)
        while queue:
            number = queue.popleft()
            waiting.discard(number)
            addition = self.additions[number]
            if self.hidden_in[number] != 1:
                continue
            more = self._best_published(addition)
            if more is None:
                continue
            for each in sorted(self._hide(more)):
                if each not in waiting:
                    waiting.add(each)
                    queue.append(each)

    def _hide(self, cell: int) -> set[int]:
        """Hide a cell and its series; give the sums that this touches."""
        cells = [each for each in self.beside.get(cell, [cell]) if each not in self.hidden]
        self.hidden.update(cells)
        changed = [number for each in cells for number in self.touching.get(each, ())]
        for number in changed:
            self.hidden_in[number] += 1
        return set(changed)

    def _best_published(self, addition: _Addition) -> int | None:
        """Give the part that it costs least to hide; the total where all parts are hidden."""
        published = [cell for cell in addition.parts if cell not in self.hidden]
        if published:
            return min(published, key=self._cost)
        return addition.total if addition.total not in self.hidden else None

    def _cost(self, cell: int) -> tuple[int, int, int]:
        """Give what hiding a cell costs: sums that would then ask for one more, its count, and its place for ties."""
        cells = [each for each in self.beside.get(cell, [cell]) if each not in self.hidden]
        asked = sum(not self.hidden_in[number] for each in cells for number in self.touching.get(each, ()))
        return asked, self.counts[cell], cell

    def _worked_out(self) -> list[int]:
        """Give the hidden cells that sums and rounding leave too few values for, by carrying bounds to a standstill."""
        low, high = self._bounds()
        # Sums with nothing hidden too: rounded parts and a rounded total together may leave each only one value.
        queue = deque(range(len(self.additions)))
        waiting = set(queue)
        while queue:
            number = queue.popleft()
            waiting.discard(number)
            for cell in _tighten(self.additions[number], low, high):
                for each in self.touching[cell]:
                    if each not in waiting and each != number:
                        waiting.add(each)
                        queue.append(each)
        return [cell for cell in sorted(self.hidden) if high[cell] - low[cell] + 1 < LEAST_POSSIBLE_VALUES]

    def _bounds(self) -> tuple[list[float], list[float]]:
        low: list[float] = []
        high: list[float] = []
        for cell, count in enumerate(self.counts):
            if cell in self.hidden:
                # Every hidden count is at least 1, since noughts are published. That it is at most 7 nobody is told:
                # it may be hidden for the sake of another.
                low.append(1)
                high.append(math.inf)
            elif count == 0:
                low.append(0)
                high.append(0)
            else:
                low.append(max(rounded(count) - ROUND_TO // 2, LARGEST_HIDDEN + 1))
                high.append(rounded(count) + ROUND_TO // 2)
        return low, high

    def _hide_beside(self, cells: list[int]) -> set[int]:
        """Hide the nearest, then smallest, published cell for each cell that could be worked out."""
        changed: set[int] = set()
        for cell in cells:
            if not changed.isdisjoint(self.touching.get(cell, ())):
                continue  # what was just hidden may be enough for this one too: look again first
            more = self._nearest_published(cell)
            if more is not None:
                changed.update(self._hide(more))
        return changed

    def _nearest_published(self, cell: int) -> int | None:
        seen, ring = {cell}, [cell]
        while ring:
            sums = sorted({number for each in ring for number in self.touching.get(each, ())})
            found = [self._best_published(self.additions[number]) for number in sums]
            published = [each for each in found if each is not None]
            if published:
                return min(published, key=self._cost)
            ring = sorted({each for number in sums for each in self.additions[number].cells} - seen)
            seen.update(ring)
        return None


def _tighten(addition: _Addition, low: list[float], high: list[float]) -> list[int]:
    """Carry bounds between a total and its parts once; give the cells whose bounds moved."""
    moved: list[int] = []
    total, parts = addition.total, addition.parts
    least = sum(low[part] for part in parts)
    unbounded = [part for part in parts if high[part] == math.inf]
    most = math.inf if unbounded else sum(high[part] for part in parts)
    if least > low[total] or most < high[total]:
        low[total], high[total] = max(low[total], least), min(high[total], most)
        moved.append(total)
    bounded_most = sum(high[part] for part in parts if high[part] != math.inf)
    new: list[tuple[int, float, float]] = []
    for part in parts:
        others_least = least - low[part]
        if unbounded == [part]:
            others_most: float = bounded_most
        elif unbounded:
            others_most = math.inf
        else:
            others_most = bounded_most - high[part]
        lower = max(low[part], low[total] - others_most)
        upper = min(high[part], high[total] - others_least)
        if lower > low[part] or upper < high[part]:
            new.append((part, lower, upper))
    for part, lower, upper in new:
        low[part], high[part] = lower, upper
        moved.append(part)
    return moved


def _additions(cells: pl.DataFrame, counts: list[int], *, count: str, key: Sequence[str], one: Sum) -> list[_Addition]:
    """Find every total of one kind with its parts, and prove that they add up."""
    names = {name: f"_total_{name}" for name in key}
    parts = cells.filter(one.parts).with_columns(
        *(one.total.get(name, pl.col(name)).alias(alias) for name, alias in names.items())
    )
    totals = cells.select(pl.col("_cell").alias("_total_cell"), *(pl.col(name).alias(a) for name, a in names.items()))
    found = (
        parts.join(totals, on=list(names.values()), how="inner", nulls_equal=True)
        .group_by("_total_cell", *one.within)
        .agg(pl.col("_cell").sort(), pl.col(count).sum().alias("_parts"))
        .sort("_total_cell", *one.within)
    )
    wrong = sum(counts[total] != parts_sum for total, parts_sum in found.select("_total_cell", "_parts").iter_rows())
    if wrong:
        raise PrivacyError(
            f"disclosure control, {one.name}",
            expected="parts that add up to their total",
            found=f"{wrong} of {found.height} totals that differ",
            action="Count every person once in each total and once in its parts.",
        )
    return [
        _Addition(total, tuple(part for part in members if counts[part] > 0))
        for total, members in found.select("_total_cell", "_cell").iter_rows()
        if counts[total] > 0
    ]


def _check_cells(cells: pl.DataFrame, *, count: str, key: Sequence[str]) -> None:
    doubled = cells.height - cells.select(key).n_unique()
    odd = cells.filter(pl.col(count).is_null() | (pl.col(count) < 0)).height
    if doubled or odd:
        raise PrivacyError(
            "disclosure control",
            expected="one row per cell, each with a count of 0 or more",
            found=f"{doubled} rows too many and {odd} without a fit count",
            action="Correct the step that counts.",
        )
