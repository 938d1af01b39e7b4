"""Plots with axes as SVG: lines, points and intervals. The same numbers stand in a table beside each.

Numbers in, text out: no library. Lines differ by their dashes and points by their shape; colour carries no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDE, _HIGH = 520.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 16.0, 14.0, 48.0
_ROW = 20.0
_NAMES = 210.0
_INK, _LINE, _FAINT = "#212b32", "#003087", "#AEB7BD"
_DASHES = ("", "6 4", "2 3", "10 4 2 4")


@dataclass(frozen=True)
class Course:
    """A line through points; ``low`` and ``high`` of a point give it a bar, and then it is drawn as points alone."""

    label: str
    points: tuple[tuple[float, float], ...]
    bars: tuple[tuple[float, float], ...] = ()


def line_plot(
    courses: Sequence[Course],
    *,
    what: str,
    across: str,
    up: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    diagonal: bool = False,
) -> str:
    """Draw courses in one frame.

    Args:
        courses: At most four; the first is solid.
        what: What the plot shows, for who cannot see it.
        across: Words below.
        up: Words at the side.
        x_range: Least and greatest value across.
        y_range: Least and greatest value up; what lies beyond is cut off.
        diagonal: Draw the line on which both are equal.
    """
    (x0, x1), (y0, y1) = x_range, y_range

    def place(x: float, y: float) -> tuple[float, float]:
        inside = min(max(y, min(y0, y1)), max(y0, y1))
        return (
            _LEFT + (_WIDE - _LEFT - _RIGHT) * (x - x0) / (x1 - x0),
            _HIGH - _BOTTOM - (_HIGH - _TOP - _BOTTOM) * (inside - y0) / (y1 - y0),
        )

    parts = [_axes(x_range, y_range, across, up)]
    if diagonal:
        (ax, ay), (bx, by) = place(max(x0, y0), max(x0, y0)), place(min(x1, y1), min(x1, y1))
        parts.append(_stroke(ax, ay, bx, by, _FAINT))
    for number, course in enumerate(courses):
        parts += _drawn(course, number, place)
        y = _TOP + 6 + 15 * number
        parts.append(
            _dot(_LEFT + 25, y) if course.bars
            else f'<line x1="{_LEFT + 10}" y1="{y}" x2="{_LEFT + 40}" y2="{y}" stroke="{_LINE}" stroke-width="2"'
            f"{_dash(number)}/>"
        )  # fmt: skip
        parts.append(_text(_LEFT + 46, y + 4, course.label, "start"))
    return _svg(what, _WIDE, _HIGH, parts)


def _drawn(course: Course, number: int, place: Callable[[float, float], tuple[float, float]]) -> list[str]:
    places = [place(*each) for each in course.points]
    if not course.bars:
        track = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        return [f'<polyline points="{track}" fill="none" stroke="{_LINE}" stroke-width="2"{_dash(number)}/>']
    parts = []
    for (x, y), (value, _), (low, high) in zip(places, course.points, course.bars, strict=True):
        (_, bottom), (_, top) = place(value, low), place(value, high)
        parts.append(_stroke(x, bottom, x, top, _LINE))
        parts.append(_dot(x, y))
    return parts


def interval_plot(
    rows: Sequence[tuple[str, float, float, float]], *, what: str, across: str, right: float | None = None
) -> str:
    """Draw a value with its interval for each of some groups, one below the other.

    Args:
        rows: Name, value, least and greatest.
        what: What the plot shows, for who cannot see it.
        across: Words below.
        right: Where the value that would be right is, as a line.
    """
    ends = [each for _, *numbers in rows for each in numbers] + ([right] if right is not None else [])
    low, high = _round_range(min(ends), max(ends))
    tall = _TOP + _ROW * len(rows) + _BOTTOM

    def x_of(value: float) -> float:
        return _NAMES + (_WIDE - _NAMES - _RIGHT) * (value - low) / (high - low)

    foot = tall - _BOTTOM
    parts = [_stroke(_NAMES, foot, _WIDE - _RIGHT, foot, _INK)]
    for tick in _ticks(low, high):
        x = x_of(tick)
        parts.append(_stroke(x, _TOP, x, foot, "#E8EDEE"))
        parts.append(_text(x, foot + 16, f"{tick:g}", "middle"))
    if right is not None:
        parts.append(_stroke(x_of(right), _TOP, x_of(right), foot, _INK))
    for number, (name, value, least, most) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        parts.append(_text(_NAMES - 8, y + 4, name, "end"))
        parts.append(_stroke(x_of(least), y, x_of(most), y, _LINE))
        parts.append(f'<circle cx="{x_of(value):.1f}" cy="{y:.1f}" r="3.2" fill="{_LINE}"/>')
    parts.append(_text((_NAMES + _WIDE - _RIGHT) / 2, tall - 12, across, "middle"))
    return _svg(what, _WIDE, tall, parts)


def _axes(x_range: tuple[float, float], y_range: tuple[float, float], across: str, up: str) -> str:
    (x0, x1), (y0, y1) = x_range, y_range
    foot, wall = _HIGH - _BOTTOM, _WIDE - _RIGHT
    parts = [_stroke(_LEFT, foot, wall, foot, _INK), _stroke(_LEFT, _TOP, _LEFT, foot, _INK)]
    for tick in _ticks(x0, x1):
        x = _LEFT + (wall - _LEFT) * (tick - x0) / (x1 - x0)
        parts.append(_stroke(x, foot, x, foot + 5, _INK) + _text(x, foot + 18, f"{tick:g}", "middle"))
    for tick in _ticks(y0, y1):
        y = foot - (foot - _TOP) * (tick - y0) / (y1 - y0)
        parts.append(_stroke(_LEFT - 5, y, _LEFT, y, _INK) + _text(_LEFT - 8, y + 4, f"{tick:g}", "end"))
    parts.append(_text((_LEFT + wall) / 2, _HIGH - 10, across, "middle"))
    middle = (_TOP + foot) / 2
    parts.append(f'<g transform="rotate(-90 14 {middle:g})">{_text(14, middle + 4, up, "middle")}</g>')
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Give four to nine round numbers between two."""
    step = _step(high - low)
    first = -(-low // step)
    found = []
    number = first
    while number * step <= high + step * 1e-9:
        found.append(round(number * step, 10) + 0.0)  # -0.0 is written as 0
        number += 1
    return found


def _round_range(low: float, high: float) -> tuple[float, float]:
    step = _step(max(high - low, 1e-6))
    return (low // step) * step, -(-high // step) * step


def _step(span: float) -> float:
    step = 1.0
    while span / step < 4:
        step /= 10
    while span / step > 40:
        step *= 10
    for times in (1, 2, 5, 10):
        if span / (step * times) <= 8:
            return step * times
    return step * 10


def _dash(number: int) -> str:
    return f' stroke-dasharray="{_DASHES[number]}"' if _DASHES[number] else ""


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="#fff" stroke="{_LINE}" stroke-width="1.6"/>'


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1.4"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="{_INK}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(what: str, wide: float, tall: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(what)}" '
        f'viewBox="0 0 {wide:g} {tall:g}" width="{wide:g}" height="{tall:g}" font-family="Arial, sans-serif">'
        f"{''.join(parts)}</svg>"
    )
