"""The pictures of the commissioners' dashboard, as SVG: bars, intervals, funnels and control charts.

Numbers and words in, text out: no library, no script. Shape says what colour says, and a number that is hidden is
written where it would stand. The table under each picture has the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

_BLUE, _ORANGE, _GREY, _FAINT, _INK = "#005eb8", "#b34700", "#5b6b75", "#d8dde0", "#212b32"
_WIDE = 760.0
_LABEL = 290.0
_ROW = 24.0
_RIGHT = 70.0
LONGEST = 44
"""Letters of a label that fit beside a picture."""


@dataclass(frozen=True)
class Bar:
    """A labelled number, or why there is none; ``part`` of it is drawn darker."""

    label: str
    value: float | None
    shown: str
    part: float | None = None


@dataclass(frozen=True)
class Interval:
    """A labelled value with its interval, or why there is none; a heading where ``shown`` is empty."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    shown: str


@dataclass(frozen=True)
class FunnelPoint:
    """A place: of how many people, its value, its limits and whether it is beyond them."""

    label: str
    size: float
    value: float
    limits: tuple[float, float, float, float]
    is_beyond: bool


@dataclass(frozen=True)
class MonthPoint:
    """A month of a control chart; values are empty where they are hidden."""

    month: date
    value: float | None
    mean: float | None
    lower: float | None
    upper: float | None
    variation: str | None
    starts_again: bool


@dataclass(frozen=True)
class Course:
    """A labelled row of values in order of time, empty where hidden or not counted; a heading without any."""

    label: str
    values: Sequence[float | None]


def courses(rows: Sequence[Course], *, title: str) -> str:
    """Draw how each share went, a line to a row from 0 to 100 per cent, with its last value; no line over a gap."""
    left, right, high = _LABEL, _WIDE - _RIGHT - 20, 26.0
    parts = []
    for number, row in enumerate(rows):
        top = 6 + number * (high + 8)
        if not row.values:
            parts.append(_text(8, top + 19, row.label, weight="bold"))
            continue
        parts.append(_text(left - 8, top + 19, _shortened(row.label), anchor="end"))
        parts.append(_line(left, top + high, right, top + high, stroke=_FAINT))
        course, pen = "", "M"
        for place, value in enumerate(row.values):
            x = left + (right - left) * (place / (len(row.values) - 1) if len(row.values) > 1 else 1)
            if value is None:
                pen = "M"
                continue
            y = top + high * (1 - value / 100)
            course, pen = f"{course}{pen}{x:.1f} {y:.1f}", "L"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{_BLUE}"/>')
        parts.append(f'<path d="{course}" fill="none" stroke="{_BLUE}" stroke-width="1.5"/>' if course else "")
        last = row.values[-1]
        parts.append(_text(right + 10, top + 19, "hidden" if last is None else f"{last:g} %"))
    return _svg("".join(parts), 12 + len(rows) * (high + 8), title)


def bars(rows: Sequence[Bar], *, title: str) -> str:
    """Draw a bar for each number, from nought; a label with nothing shown is a heading."""
    most = _round_up(max([row.value or 0 for row in rows], default=0))
    width = _WIDE - _LABEL - _RIGHT - 20
    parts = []
    for number, row in enumerate(rows):
        y = 8 + number * _ROW
        if not row.shown:
            parts.append(_text(8, y + 14, row.label, weight="bold"))
            continue
        parts.append(_text(_LABEL - 8, y + 14, _shortened(row.label), anchor="end"))
        long = width * (row.value or 0) / most
        if row.value:
            parts.append(f'<rect x="{_LABEL}" y="{y:g}" width="{long:.1f}" height="18" fill="#9fc3e6"/>')
        if row.part:
            parts.append(
                f'<rect x="{_LABEL}" y="{y:g}" width="{width * row.part / most:.1f}" height="18" fill="{_BLUE}"/>'
            )
        parts.append(_text(_LABEL + long + 6, y + 14, row.shown, fill=_INK if row.value is not None else _GREY))
    return _svg("".join([*parts, _line(_LABEL, 4, _LABEL, 8 + len(rows) * _ROW)]), 14 + len(rows) * _ROW, title)


def intervals(rows: Sequence[Interval], *, title: str, unit: str) -> str:
    """Draw a dot with its 95 % interval for each value, on one scale from nought."""
    most = _round_up(max([row.high or row.value or 0 for row in rows], default=0))
    left, right = _LABEL, _WIDE - _RIGHT - 40
    bottom = 8 + len(rows) * _ROW

    def across(value: float) -> float:
        return left + (right - left) * min(value, most) / most

    parts = [
        _line(across(tick), 4, across(tick), bottom, stroke=_FAINT)
        + _text(across(tick), bottom + 14, _figure(tick), anchor="middle", fill=_GREY)
        for tick in _ticks(most)
    ]
    parts.append(_text((left + right) / 2, bottom + 30, unit, anchor="middle", fill=_GREY))
    for number, row in enumerate(rows):
        y = 8 + number * _ROW + 9
        if not row.shown:
            parts.append(_text(8, y + 5, row.label, weight="bold"))
            continue
        parts.append(_text(left - 8, y + 5, _shortened(row.label), anchor="end"))
        if row.value is None:
            parts.append(_text(left + 6, y + 5, row.shown, fill=_GREY))
            continue
        if row.low is not None and row.high is not None:
            x1, x2 = across(row.low), across(row.high)
            parts.append(_line(x1, y, x2, y, stroke=_BLUE, width=2.5))
            parts += [_line(x, y - 5, x, y + 5, stroke=_BLUE, width=1.5) for x in (x1, x2)]
        parts.append(f'<circle cx="{across(row.value):.1f}" cy="{y:g}" r="4.5" fill="{_BLUE}"/>')
        parts.append(_text(right + 10, y + 5, row.shown))
    return _svg("".join(parts), bottom + 38, title)


def funnel(points: Sequence[FunnelPoint], *, title: str, unit: str, board: float) -> str:
    """Draw places by how many people they have, with the limits that chance alone would keep them within."""
    points = sorted(points, key=lambda each: (each.size, each.label))
    left, right, top, bottom = 60.0, _WIDE - 24, 26.0, 310.0
    ends = [max(each.value, each.limits[3]) for each in points] + [board]
    most = _round_up(max(ends))
    widest = _round_up(max([each.size for each in points], default=1))

    def place(size: float, value: float) -> tuple[float, float]:
        return left + (right - left) * size / widest, bottom - (bottom - top) * min(value, most) / most

    parts = []
    for tick in _ticks(most):
        _, y = place(0, tick)
        parts.append(_line(left, y, right, y, stroke=_FAINT) + _text(left - 6, y + 4, _figure(tick), anchor="end"))
    for tick in _ticks(widest):
        x, _ = place(tick, 0)
        parts.append(_text(x, bottom + 16, _figure(tick), anchor="middle"))
    for limit, dash in ((0, "2 3"), (1, "7 4"), (2, "7 4"), (3, "2 3")):
        course = " ".join("{:.1f},{:.1f}".format(*place(each.size, each.limits[limit])) for each in points)
        parts.append(f'<polyline points="{course}" fill="none" stroke="{_GREY}" stroke-dasharray="{dash}"/>')
    _, y = place(0, board)
    parts.append(_line(left, y, right, y, stroke=_INK))
    named: list[tuple[float, float, float]] = []
    for each in points:
        x, y = place(each.size, each.value)
        if each.is_beyond:
            diamond = f"{x:.1f},{y - 7:.1f} {x + 7:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 7:.1f},{y:.1f}"
            parts.append(f'<polygon points="{diamond}" fill="{_ORANGE}"/>')
            # Away from the board's line, and from the names that stand there already.
            away, half = -14.0 if each.value > board else 14.0, 3.5 * len(each.label)
            x, y = min(max(x, left + half), right - half), y + away + 4
            while any(abs(x - x0) < half + half0 and abs(y - y0) < 14 for x0, y0, half0 in named):
                y += away
            named.append((x, y, half))
            parts.append(_text(x, y, each.label, anchor="middle"))
        else:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{_BLUE}"/>')
    parts.append(_text((left + right) / 2, bottom + 34, "people or events counted among", anchor="middle", fill=_GREY))
    parts.append(_text(left, top - 10, unit, fill=_GREY))
    return _svg("".join(parts), bottom + 42, title)


def control_chart(
    points: Sequence[MonthPoint], *, title: str, unit: str, target: float | None, assurance: str | None
) -> str:
    """Draw months with mean and limits, and the icons for variation and assurance at the top right.

    A point of special cause is a diamond (concern) or a square (improvement, or neither).
    """
    left, right, top, bottom = 60.0, _WIDE - 24, 40.0, 260.0
    known = [x for each in points for x in (each.value, each.upper, each.lower) if x is not None]
    known += [target] if target is not None else []
    low, high = min(known, default=0.0), max(known, default=1.0)
    step = _step((high - low) or 1)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step or step

    def x_of(number: int) -> float:
        return left + 12 + (right - left - 24) * number / max(len(points) - 1, 1)

    def y_of(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / ((high - low) or 1)

    parts = []
    for number in range(round((high - low) / step) + 1):
        tick = low + number * step
        parts.append(_line(left, y_of(tick), right, y_of(tick), stroke=_FAINT))
        parts.append(_text(left - 6, y_of(tick) + 4, _figure(tick), anchor="end"))
    for name, stroke, dash in (("upper", _GREY, "7 4"), ("lower", _GREY, "7 4"), ("mean", _INK, "")):
        for stretch in _stretches(points):
            shown = [(number, getattr(points[number], name)) for number in stretch]
            course = " ".join(f"{x_of(number):.1f},{y_of(value):.1f}" for number, value in shown if value is not None)
            parts.append(f'<polyline points="{course}" fill="none" stroke="{stroke}" stroke-dasharray="{dash}"/>')
    if target is not None:
        parts.append(_line(left, y_of(target), right, y_of(target), stroke=_ORANGE))
        parts.append(_text(right, y_of(target) - 4, "target", anchor="end", fill=_ORANGE))
    # No line leads over a month that is hidden.
    course, pen = "", "M"
    for number, each in enumerate(points):
        if each.value is None:
            parts.append(_text(x_of(number), bottom - 4, "hidden", anchor="middle", fill=_GREY, size=9))
            pen = "M"
        else:
            course += f"{pen}{x_of(number):.1f} {y_of(each.value):.1f}"
            pen = "L"
    parts.append(f'<path d="{course}" fill="none" stroke="{_GREY}" stroke-width="1.2"/>')
    for number, each in enumerate(points):
        if each.value is not None:
            parts.append(_mark(x_of(number), y_of(each.value), each.variation))
        if each.starts_again:
            parts.append(_text(x_of(number), top - 8, "starts again", anchor="middle", fill=_GREY, size=11))
        if number % 3 == 0 or number == len(points) - 1:
            parts.append(_text(x_of(number), bottom + 16, f"{each.month:%b %y}", anchor="middle", size=11))
    parts.append(_text(left, top - 8, unit, fill=_GREY))
    if points and points[-1].variation and points[-1].value is not None:
        parts.append(_icon(right - 16, *_variation_icon(points[-1])))
    if assurance:
        parts.append(_icon(right - 50, *_ASSURANCE[assurance]))
    return _svg("".join(parts), bottom + 26, title)


# Letters and colours are those of Making Data Count: H and L for a special cause that is high or low, P and F for a
# target that is passed or failed, ? for hit and miss.
_ASSURANCE = {
    "meets the target consistently": ("P", _BLUE),
    "misses the target consistently": ("F", _ORANGE),
    "hit and miss": ("?", _GREY),
}


def _variation_icon(last: MonthPoint) -> tuple[str, str]:
    if last.variation == "common cause":
        return "C", _GREY
    letter = "H" if (last.value or 0) > (last.mean or 0) else "L"
    return letter, _ORANGE if last.variation == "special cause: concern" else _BLUE


def _icon(x: float, letter: str, colour: str) -> str:
    ring = f'<circle cx="{x:g}" cy="16" r="13" fill="#ffffff" stroke="{colour}" stroke-width="3"/>'
    return ring + _text(x, 21, letter, anchor="middle", fill=colour, weight="bold")


def _mark(x: float, y: float, variation: str | None) -> str:
    if variation in (None, "common cause"):
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{_GREY}"/>'
    if variation == "special cause: concern":
        diamond = f"{x:.1f},{y - 8:.1f} {x + 8:.1f},{y:.1f} {x:.1f},{y + 8:.1f} {x - 8:.1f},{y:.1f}"
        return f'<polygon points="{diamond}" fill="{_ORANGE}"/>'
    return f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="{_BLUE}"/>'


def _stretches(points: Sequence[MonthPoint]) -> list[range]:
    starts = [0, *(number for number, each in enumerate(points) if each.starts_again and number)]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(points)], strict=True)]


def _svg(inside: str, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE:g} {height:g}" role="img" '
        f'aria-label="{escape(title)}" font-family="Arial, Helvetica, sans-serif" font-size="13">{inside}</svg>'
    )


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = _INK, weight: str = "normal", size: int = 13
) -> str:
    more = f' font-weight="{weight}"' if weight != "normal" else ""
    more += f' font-size="{size}"' if size != 13 else ""
    more += f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{more}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = _GREY, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width:g}"/>'


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1].rstrip()}…"


def _step(span: float) -> float:
    """Give a round step of which four to ten make up a span."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if span / (power * each) <= 6)


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    step = _step(value)
    return math.ceil(value / step) * step


def _ticks(most: float) -> list[float]:
    step = _step(most)
    return [number * step for number in range(round(most / step) + 1)]


def _figure(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")
