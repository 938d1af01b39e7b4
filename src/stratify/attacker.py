"""Somebody who has every release: what linear programming works out of all published counts together.

Knows what anybody can know: published counts, that they are rounded and small ones hidden, and what adds up; it may
also take months that are told again for the same as before. Belongs here: that, and nothing of how counts are hidden
(``disclosure``), which it judges. The only place, with ``impact.designs``, that knows ``scipy``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from stratify.disclosure import LARGEST_HIDDEN, ROUND_TO, Sum
from stratify.errors import PrivacyError

_OFF_BY = ROUND_TO // 2
_FAR = 10 * LARGEST_HIDDEN
"""Nothing says how large a hidden count may be: so far away is enough to know that it can move."""
_EXACTLY = 1e-6

Addition = tuple[int, tuple[int, ...]]
"""A total and its parts, by number of unknown."""


class Unknowns:
    """Counts that are not known, what each can be by itself, and what adds up."""

    def __init__(self) -> None:
        self._low: list[float] = []
        self._high: list[float] = []
        self._additions: set[Addition] = set()

    def new(self) -> int:
        """Add a count, and give its number."""
        self._low.append(0)
        self._high.append(np.inf)
        return len(self._low) - 1

    def told(self, number: int, shown: int | None) -> None:
        """Take in a published count, or that it is hidden, which says that it is not nought."""
        low, high = (1.0, np.inf) if shown is None else (0.0, 0.0)
        if shown:
            low, high = max(shown - _OFF_BY, LARGEST_HIDDEN + 1), shown + _OFF_BY
        self._low[number] = max(self._low[number], low)
        self._high[number] = min(self._high[number], high)

    def add(self, additions: Iterable[Addition]) -> None:
        """Take in what adds up."""
        self._additions.update(additions)

    def pinned(self, asked: Iterable[int], *, contradictory: set[int] | None = None) -> set[int]:
        """Give which of some unknowns can only be one whole number.

        Args:
            asked: Those to try.
            contradictory: Takes the unknowns of which what was told contradicts itself; without it, that is an error.

        Raises:
            PrivacyError: what was told contradicts itself, so the attack proves nothing.
        """
        wanted, found = set(asked), set()
        for members, additions in self._apart():
            if mine := wanted.intersection(members):
                try:
                    found |= self._pinned(members, additions, mine)
                except PrivacyError:
                    if contradictory is None:
                        raise
                    contradictory.update(members)
        return found

    def _apart(self) -> Iterator[tuple[list[int], list[Addition]]]:
        """Give the unknowns in groups that share no addition, which can be solved one after another."""
        ordered = sorted(self._additions)
        ends = [(total, part) for total, parts in ordered for part in parts]
        many = len(self._low)
        one, other = np.array(ends, dtype=np.int64).reshape(-1, 2).T
        links = coo_array((np.ones(len(ends)), (one, other)), shape=(many, many))
        _, group_of = connected_components(links, directed=False)
        members: dict[int, list[int]] = {}
        for number, group in enumerate(group_of.tolist()):
            members.setdefault(group, []).append(number)
        additions: dict[int, list[Addition]] = {}
        for each in ordered:
            additions.setdefault(int(group_of[each[0]]), []).append(each)
        for group, mine in sorted(members.items()):
            yield mine, additions.get(group, [])

    def _pinned(self, members: Sequence[int], additions: Sequence[Addition], asked: set[int]) -> set[int]:
        """Ask for the least and the most of many at once first, which shows of most that they can move."""
        group = _Group(self, members, additions)
        least = dict.fromkeys(asked, np.inf)
        most = dict.fromkeys(asked, -np.inf)
        left = set(asked)

        def solve(aims: set[int], sign: float) -> bool:
            answer = group.solved(aims, sign)
            before = len(left)
            for each in list(left):
                least[each], most[each] = min(least[each], answer[each]), max(most[each], answer[each])
                if np.floor(most[each] + _EXACTLY) > np.ceil(least[each] - _EXACTLY):
                    left.discard(each)
            return len(left) < before

        is_fewer = True
        while left and is_fewer:
            is_fewer = solve(set(left), 1.0)
            is_fewer = (bool(left) and solve(set(left), -1.0)) or is_fewer
        for each in sorted(left):
            for sign in (1.0, -1.0):
                if each in left:
                    solve({each}, sign)
        return left


class _Group:
    """Unknowns that are solved together."""

    def __init__(self, known: Unknowns, members: Sequence[int], additions: Sequence[Addition]) -> None:
        self._members = members
        self._at = {number: place for place, number in enumerate(members)}
        self._low = np.array([known._low[each] for each in members])
        self._high = np.array([known._high[each] for each in members])
        rows = [row for row, (_, parts) in enumerate(additions) for _ in range(len(parts) + 1)]
        columns = [self._at[each] for total, parts in additions for each in (total, *parts)]
        signs = [sign for _, parts in additions for sign in (-1.0, *(1.0 for _ in parts))]
        self._matrix = csr_array((signs, (rows, columns)), shape=(len(additions), len(members)))

    def solved(self, aims: set[int], sign: float) -> dict[int, float]:
        """Give counts that fit everything told and make the sum of some the least (1) or the most (-1)."""
        goal, high = np.zeros(len(self._members)), self._high.copy()
        places = [self._at[each] for each in sorted(aims)]
        goal[places] = sign
        high[places] = np.minimum(high[places], self._low[places] + _FAR)
        found = linprog(
            goal,
            A_eq=self._matrix if self._matrix.shape[0] else None,
            b_eq=np.zeros(self._matrix.shape[0]) if self._matrix.shape[0] else None,
            bounds=np.column_stack([self._low, high]),
            method="highs",
        )
        if found.x is None:
            raise PrivacyError(
                "releases",
                expected="published counts that some exact counts could have led to",
                found="none that do",
                action="See which sums are declared that do not hold; until then nothing is proved.",
            )
        return dict(zip(self._members, found.x.tolist(), strict=True))


def additions(cells: pl.DataFrame, key: Sequence[str], one: Sum) -> list[Addition]:
    """Give each total of a sum with its parts.

    Args:
        cells: A release, one row a cell; ``_number`` is the number of its unknown.
        key: Columns that name a cell.
        one: How cells add up.
    """
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
