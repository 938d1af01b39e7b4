"""Somebody who has every release: what linear programming works out of all published counts together.

Takes published counts and what is declared to add up, and shares no code with ``disclosure``, which it judges: rounding
and hiding are known to anybody from the file itself. May also be told, from outside, of every count that stayed the
same from one release to the next, which is more than anybody knows. Exact counts only say what was given away; they
never enter the programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from scipy.optimize import linprog
from scipy.sparse import csr_array

from stratify.disclosure import Sum
from stratify.errors import PrivacyError

_SMALL = 7
_OFF_BY = 2
_SURELY = 1 - 1e-6
"""How far apart two possible values are at least, when both may be whole numbers."""


@dataclass(frozen=True)
class Attack:
    """What came of it.

    Attributes:
        small: How many counts of 1 to 7 there were in all releases.
        pinned: Of those, the ones that can only have one value, as rows of ``release`` (from 0) and the key.
        publishable: Counts above 7 that nothing but the safety of others could hide.
        published: Of those, how many were published.
    """

    small: int
    pinned: pl.DataFrame
    publishable: int
    published: int


def attack(
    releases: Sequence[pl.DataFrame],
    *,
    exact: str,
    published: str,
    key: Sequence[str],
    sums: Sequence[Sum],
    knows_what_stayed: bool = False,
) -> Attack:
    """Try to work out the small counts of releases from all that was ever published.

    Args:
        releases: In order of time, one row a cell; a cell that is absent is a published nought.
        exact: The column with the true count.
        published: The column with the published count, empty where hidden.
        key: Columns that name a cell.
        sums: Every way in which cells of one release add up.
        knows_what_stayed: Whether it knows of every count that is the same as a release before.

    Raises:
        PrivacyError: what was published contradicts itself, so the attack proves nothing.
    """
    known = _Known()
    cells = [
        frame.select(pl.lit(week).alias("release"), *key, exact, published, *_used(frame, sums, key, exact, published))
        for week, frame in enumerate(releases)
    ]
    before: dict[tuple[object, ...], tuple[int, int]] = {}
    numbers: list[list[int]] = []
    for frame in cells:
        now: dict[tuple[object, ...], tuple[int, int]] = {}
        for row in frame.select(*key, exact, published).iter_rows():
            name, count, shown = row[:-2], row[-2], row[-1]
            same = before.get(name)
            is_known = knows_what_stayed and same is not None and same[1] == count
            number = same[0] if same and is_known else known.new()
            known.narrow(number, *_bounds(shown))
            now[name] = (number, count)
        numbers.append([number for number, _ in now.values()])
        before = now
    for frame, mine in zip(cells, numbers, strict=True):
        numbered = frame.with_columns(pl.Series("_number", mine, dtype=pl.Int64))
        for one in sums:
            known.add(_additions(numbered, key, one))
    whole = pl.concat(
        [
            frame.select("release", *key, exact, published).with_columns(pl.Series("_number", mine, dtype=pl.Int64))
            for frame, mine in zip(cells, numbers, strict=True)
        ]
    )
    small = whole.filter(pl.col(exact).is_between(1, _SMALL))
    values = dict(small.select("_number", exact).iter_rows())
    pinned = known.pinned(values)
    large = whole.filter(pl.col(exact) > _SMALL)
    return Attack(
        small=small.height,
        pinned=small.filter(pl.col("_number").is_in(sorted(pinned))).select("release", *key),
        publishable=large.height,
        published=large[published].count(),
    )


def _used(frame: pl.DataFrame, sums: Sequence[Sum], key: Sequence[str], exact: str, published: str) -> list[str]:
    """Give the other columns that the sums read."""
    there = {name for one in sums for each in (one.parts, *one.total.values()) for name in each.meta.root_names()}
    there |= {name for one in sums for name in one.within}
    return sorted((there & set(frame.columns)) - {*key, exact, published})


def _bounds(shown: int | None) -> tuple[float, float]:
    """Give what a published count, or that it is hidden, says of the exact one."""
    if shown is None:
        return 1, np.inf
    return (max(shown - _OFF_BY, _SMALL + 1), shown + _OFF_BY) if shown else (0, 0)


def _additions(cells: pl.DataFrame, key: Sequence[str], one: Sum) -> list[tuple[int, tuple[int, ...]]]:
    """Give each total with its parts, by number of unknown."""
    named = [one.total.get(name, pl.col(name)).alias(f"_of_{name}") for name in key]
    totals = cells.select(pl.col("_number").alias("_total"), *(pl.col(name).alias(f"_of_{name}") for name in key))
    found = (
        cells.filter(one.parts)
        .with_columns(named)
        .join(totals, on=[f"_of_{name}" for name in key], nulls_equal=True)
        .group_by("_total", *one.within)
        .agg(pl.col("_number").sort())
        .sort("_total", *one.within)
    )
    return [(total, tuple(parts)) for total, parts in found.select("_total", "_number").iter_rows()]


@dataclass
class _Known:
    """Unknown counts, what each can be by itself, and what adds up."""

    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    additions: set[tuple[int, tuple[int, ...]]] = field(default_factory=set)

    @cached_property
    def matrix(self) -> csr_array:
        """One row an addition: its parts less its total, which is nought."""
        ordered = sorted(self.additions)
        rows = [row for row, (_, parts) in enumerate(ordered) for _ in range(len(parts) + 1)]
        columns = [each for total, parts in ordered for each in (total, *parts)]
        signs = [sign for _, parts in ordered for sign in (-1.0, *(1.0 for _ in parts))]
        return csr_array((signs, (rows, columns)), shape=(len(ordered), len(self.low)))

    def new(self) -> int:
        self.low.append(0)
        self.high.append(np.inf)
        return len(self.low) - 1

    def narrow(self, number: int, low: float, high: float) -> None:
        self.low[number] = max(self.low[number], low)
        self.high[number] = min(self.high[number], high)

    def add(self, additions: list[tuple[int, tuple[int, ...]]]) -> None:
        self.additions.update(additions)

    def pinned(self, values: dict[int, int]) -> set[int]:
        """Give the unknowns that can have no value but their own.

        The truth is one answer to everything published, so that any answer in which a count is one or more away shows
        that it is not given away. Answers are looked for that move as many as possible at once, then one by one.
        """
        left = set(values)
        for sign in (-1.0, 1.0):
            while left:
                answer = self._solve(dict.fromkeys(left, sign))
                moved = {each for each in left if abs(answer[each] - values[each]) >= _SURELY}
                left -= moved
                if not moved:
                    break
        return {each for each in sorted(left) if not self._moves(each, values[each])}

    def _moves(self, number: int, value: int) -> bool:
        return any(abs(self._solve({number: sign})[number] - value) >= _SURELY for sign in (-1.0, 1.0))

    def _solve(self, aims: dict[int, float]) -> np.ndarray:
        """Give the counts that fit everything published and make the least of a sum of some of them."""
        goal = np.zeros(len(self.low))
        goal[list(aims)] = list(aims.values())
        # Nothing says how large a hidden count may be: far away is enough to know that it can move.
        bounds = np.column_stack([self.low, self.high])
        bounds[list(aims), 1] = np.minimum(bounds[list(aims), 1], bounds[list(aims), 0] + 10 * _SMALL)
        noughts = np.zeros(len(self.additions))
        found = linprog(goal, A_eq=self.matrix, b_eq=noughts, bounds=bounds, method="highs")
        if found.x is None:
            raise PrivacyError(
                "releases",
                expected="published counts that some exact counts could have led to",
                found="none that do",
                action="See which sums are declared that do not hold; until then nothing is proved.",
            )
        return np.asarray(found.x)
