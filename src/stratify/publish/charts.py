"""Small charts of the course of a value, as SVG with the same numbers in words for whoever cannot see them.

Numbers and dates in, text out: no name, no library. Colour carries no meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from stratify.periods import in_words

_WIDE, _HIGH, _EDGE = 180.0, 34.0, 4.0
_LEAST_SPAN = 0.3
_LINE, _FAINT = "#003087", "#AEB7BD"


@dataclass(frozen=True)
class Trend:
    """The dated values of one thing, oldest first, two or more."""

    label: str
    unit: str
    points: tuple[tuple[date, float], ...]


def line_chart(trend: Trend, *, first: date, last: date) -> str:
    """Draw values over time between two days.

    The scale holds every value, and is never so narrow that a change of a few per cent looks like a fall.
    """
    values = [value for _, value in trend.points]
    middle = (min(values) + max(values)) / 2
    half = max((max(values) - min(values)) / 2, _LEAST_SPAN * abs(middle) / 2) or 1.0
    low, high = middle - half, middle + half
    days = max((last - first).days, 1)

    def place(day: date, value: float) -> tuple[float, float]:
        across = _EDGE + (_WIDE - 2 * _EDGE) * (day - first).days / days
        up = (value - low) / (high - low)
        return across, _HIGH - _EDGE - (_HIGH - 2 * _EDGE) * up

    places = [place(*each) for each in trend.points]
    course = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{_LINE}"/>' for x, y in places)
    return _svg(f'<polyline points="{course}" fill="none" stroke="{_LINE}" stroke-width="1.4"/>{dots}')


def event_chart(days: Sequence[date], *, first: date, last: date) -> str:
    """Draw a stroke for each event between two days."""
    length = max((last - first).days, 1)
    places = (_EDGE + (_WIDE - 2 * _EDGE) * (day - first).days / length for day in days)
    strokes = "".join(
        f'<line x1="{x:.1f}" y1="{_EDGE}" x2="{x:.1f}" y2="{_HIGH - _EDGE}" stroke="{_LINE}" stroke-width="3"/>'
        for x in places
    )
    return _svg(strokes)


def _svg(inside: str) -> str:
    base = _HIGH - 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE:g} {_HIGH:g}">'
        f'<line x1="0" y1="{base}" x2="{_WIDE:g}" y2="{base}" stroke="{_FAINT}" stroke-width="0.8"/>{inside}</svg>'
    )


def trend_in_words(trend: Trend) -> str:
    """Give every value with its date, oldest first: what the chart shows, for a screen reader."""
    unit = f" {trend.unit}" if trend.unit else ""
    values = "; ".join(f"{_figures(value)}{unit} on {in_words(day)}" for day, value in trend.points)
    return f"{trend.label}: {values}"


def first_and_last(trend: Trend) -> str:
    """Give the first and the last value with their dates, to stand under a chart."""
    (began, first), (ended, last) = trend.points[0], trend.points[-1]
    return f"{_figures(first)} ({began:%b %Y}) to {_figures(last)} ({ended:%b %Y}) {trend.unit}".rstrip()


def _figures(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
