"""Releases of which the exact counts are known, put to ``stratify.attacker``: what it finds, and what was published.

It may also be told, from outside, of every count that stayed the same from one release to the next, which is more than
anybody knows. Exact counts only say what was given away; they never enter the programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from stratify.attacker import Unknowns, additions
from stratify.disclosure import Sum

_SMALL = 7


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
    known = Unknowns()
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
            known.told(number, shown)
            now[name] = (number, count)
        numbers.append([number for number, _ in now.values()])
        before = now
    for frame, mine in zip(cells, numbers, strict=True):
        numbered = frame.with_columns(pl.Series("_number", mine, dtype=pl.Int64))
        for one in sums:
            known.add(additions(numbered, key, one))
    whole = pl.concat(
        [
            frame.select("release", *key, exact, published).with_columns(pl.Series("_number", mine, dtype=pl.Int64))
            for frame, mine in zip(cells, numbers, strict=True)
        ]
    )
    small = whole.filter(pl.col(exact).is_between(1, _SMALL))
    pinned = known.pinned(small["_number"])
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
