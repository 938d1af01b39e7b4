"""Statistical process control in the way of NHS England's "Making Data Count": XmR charts, their rules and icons.

Pure arithmetic on one series in order, with no gap. Belongs here: mean, limits, special causes, what the icons say.
Does not belong: which metrics have a chart and why one starts again (``rules.control_chart``), and any word on what
brought a change about: a chart does not know.

Source: NHS England, Making Data Count; the rules as the package NHSRplotthedots of the NHS-R community states them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

Better = Literal["higher", "lower", "neither"]
"""Which way is an improvement."""

FEWEST_POINTS = 13
"""With fewer, limits are shown and may still move much."""

BEYOND = "beyond a limit"
RUN = "seven or more in a row on one side of the mean"
TREND = "seven or more in a row that rise or fall"
NEAR = "two of three near the same limit"

COMMON = "common cause"
IMPROVEMENT = "special cause: improvement"
CONCERN = "special cause: concern"
HIGH, LOW = "special cause: high", "special cause: low"

MEETS, MISSES, HIT_AND_MISS = "meets the target consistently", "misses the target consistently", "hit and miss"

_TO_LIMIT = 2.66  # three sigma: 3 / 1.128
_TO_NEAR = 2 * _TO_LIMIT / 3
_OUTLYING_MOVE = 3.267
_IN_A_ROW = 7


@dataclass(frozen=True)
class ChartPoint:
    """One point of a chart.

    Attributes:
        value: Its value.
        mean: Mean of its stretch.
        lower: Lower process limit.
        upper: Upper process limit.
        signals: Rules that make it a special cause; none for common cause.
        variation: What the variation icon would say if it were the last.
    """

    value: float
    mean: float
    lower: float
    upper: float
    signals: tuple[str, ...]
    variation: str


def control_chart(
    values: Sequence[float], *, better: Better, starts: Collection[int] = (), lowest: float | None = None
) -> tuple[ChartPoint, ...]:
    """Give mean, limits and special causes of a series.

    The limits are the mean and 2.66 times the average moving range either way; a move of 3.267 times the average or
    more is left out of it. A point on a limit is within it. Where a chart starts again, so does everything: no rule
    looks across.

    Args:
        values: In order, one for each period.
        better: Which way is an improvement.
        starts: Places, counted from 0, at which the chart starts again for a known cause.
        lowest: Value below which nothing can be, and no limit is shown: 0 for a rate.
    """
    edges = [0, *sorted(each for each in starts if 0 < each < len(values)), len(values)]
    return tuple(point for start, end in pairwise(edges) for point in _stretch(values[start:end], better, lowest))


def assurance(last: ChartPoint, target: float, better: Better) -> str | None:
    """Say whether the process as it runs will meet a target: the assurance icon.

    Args:
        last: Last point of the chart.
        target: The target; on a limit it is hit and miss.
        better: Which way is an improvement; where neither is, nothing can be said.
    """
    if better == "neither":
        return None
    if target > last.upper:
        return MEETS if better == "lower" else MISSES
    if target < last.lower:
        return MISSES if better == "lower" else MEETS
    return HIT_AND_MISS


def _stretch(values: Sequence[float], better: Better, lowest: float | None) -> Iterator[ChartPoint]:
    if not values:
        return
    move = _average_move(values)
    mean = values[0] if min(values) == max(values) else fmean(values)  # rounding must not make an outlier
    lower, upper = mean - _TO_LIMIT * move, mean + _TO_LIMIT * move
    sides = [(value > mean) - (value < mean) for value in values]
    beyond = [value < lower or value > upper for value in values]
    near = [not out and abs(value - mean) > _TO_NEAR * move for value, out in zip(values, beyond, strict=True)]
    rising = [(later > earlier) - (later < earlier) for earlier, later in pairwise(values)]
    rules = (
        (BEYOND, {place for place, out in enumerate(beyond) if out}),
        (RUN, _in_a_row(sides, _IN_A_ROW)),
        # Six moves the same way are seven points.
        (TREND, {place + step for place in _in_a_row(rising, _IN_A_ROW - 1) for step in (0, 1)}),
        (NEAR, _two_of_three(near, sides)),
    )
    for place, value in enumerate(values):
        signals = tuple(name for name, places in rules if place in places)
        shown = lower if lowest is None else max(lower, lowest)
        yield ChartPoint(value, mean, shown, upper, signals, _variation(signals, sides[place], better))


def _average_move(values: Sequence[float]) -> float:
    moves = [abs(later - earlier) for earlier, later in pairwise(values)]
    if not any(moves):
        return 0.0
    average = fmean(moves)
    return fmean(move for move in moves if move < _OUTLYING_MOVE * average)


def _in_a_row(signs: Sequence[int], least: int) -> set[int]:
    """Give the places of every stretch of ``least`` or more of one sign that is not nought."""
    found: set[int] = set()
    start = 0
    for place in range(1, len(signs) + 1):
        if place == len(signs) or signs[place] != signs[start]:
            if signs[start] and place - start >= least:
                found.update(range(start, place))
            start = place
    return found


def _two_of_three(near: Sequence[bool], sides: Sequence[int]) -> set[int]:
    """Give the places near a limit among three on one side of the mean of which two or more are near it."""
    found: set[int] = set()
    for start in range(len(near) - 2):
        three = range(start, start + 3)
        if abs(sum(sides[place] for place in three)) == 3 and sum(near[place] for place in three) >= 2:
            found.update(place for place in three if near[place])
    return found


def _variation(signals: tuple[str, ...], side: int, better: Better) -> str:
    if not signals:
        return COMMON
    if better == "neither":
        return HIGH if side > 0 else LOW
    return IMPROVEMENT if side == (1 if better == "higher" else -1) else CONCERN
