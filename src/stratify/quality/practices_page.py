"""The page of data quality by practice over time: one HTML file, a small picture and its numbers for each practice.

Belongs here: what the page shows and its words. Does not belong: counting and what a fall is called (``practices``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from stratify import pages
from stratify.quality.practices import UNKNOWN, Grade, Measure, Practice

MOST_RUNS_DRAWN: Final = 52
MOST_RUNS_LISTED: Final = 12
MOST_REASONS: Final = 3

_GRADE_WORDS: Final[dict[Grade, str]] = {
    "red": "Red",
    "amber": "Amber",
    "steady": "Steady",
    "new": "New",
    "gone": "No longer sends",
}
_TONES: Final[dict[Grade, str]] = {"red": "stop", "amber": "warn", "steady": "pass", "new": "none", "gone": "none"}
_INKS: Final[dict[Grade, str]] = {
    "red": "#b0160b",
    "amber": "#8a6d00",
    "steady": "#005eb8",
    "new": "#005eb8",
    "gone": "#4c6272",
}
WIDTH, HEIGHT, _EDGE = 150, 36, 4


def practices_page(
    practices: Sequence[Practice],
    *,
    title: str,
    index_date: date,
    run_id: str,
    is_test: bool,
    name_of: Callable[[str], str] = str,
) -> str:
    """Write the page.

    Args:
        practices: The worst change first.
        title: Heading of the page.
        index_date: The day the run describes.
        run_id: The run.
        is_test: True for invented patients.
        name_of: Gives a table in words.

    Returns:
        The HTML text, complete in itself; the same bytes for the same arguments.
    """
    grades = [each.grade for each in practices if each.code != UNKNOWN]
    run_count = max((len(each.dates) for each in practices), default=1)
    tone, headline = _headline(grades, run_count)
    return pages.render(
        __package__,
        "practices.html.j2",
        title=title,
        subtitle=f"Describes {pages.day(index_date)} · run {run_id} · {run_count} run{'' if run_count == 1 else 's'}",
        is_test=is_test,
        tone=tone,
        headline=headline,
        practices=practices,
        unknown=UNKNOWN,
        grade_words=_GRADE_WORDS,
        tones=_TONES,
        reasons={each.code: _reasons(each, name_of) for each in practices},
        charts={each.code: _charts(each, name_of) for each in practices},
        change=_change,
        figure=_figure,
        most_listed=MOST_RUNS_LISTED,
        width=WIDTH,
        height=HEIGHT,
    )


def _headline(grades: Sequence[Grade], run_count: int) -> tuple[str, str]:
    red, amber = grades.count("red"), grades.count("amber")
    if red or amber:
        parts = [f"{count} {word}" for count, word in ((red, "red"), (amber, "amber")) if count]
        return "stop" if red else "warn", f"{' and '.join(parts)} of {len(grades)} practices"
    if run_count == 1:
        return "pass", "The first run: nothing to compare with yet"
    return "pass", "Nothing fell by a fifth or more"


def _reasons(practice: Practice, name_of: Callable[[str], str]) -> list[str]:
    """Say in words what a practice is red or amber for, the worst first; most are counted where there are many."""
    if practice.code == UNKNOWN:
        return []
    if practice.grade == "gone":
        return ["It sent nothing in most of the runs before either."]
    said = [
        f"Fewer rows of {name_of(table)} than 1 % of the list size ({practice.list_size:,} people)."
        for table in practice.too_few
    ]
    fallen = [each for each in practice.graded if each.grade in ("red", "amber")]
    for measure in sorted(fallen, key=lambda each: each.grade == "amber"):
        name = _name(measure, practice, name_of)
        said.append(
            f"{name[:1].upper()}{name[1:]} fell by {_percent(-(measure.change or 0))}, from "
            f"{_figure(measure, measure.usual)} to {_figure(measure, measure.now)}."
        )
    more = len(said) - MOST_REASONS
    return [*said[:MOST_REASONS], f"And {more} more, see below."] if more > 1 else said


def _name(measure: Measure, practice: Practice, name_of: Callable[[str], str]) -> str:
    return f"usable rows of {name_of(measure.name)}" if measure in practice.tables else measure.name


def _percent(part: float) -> str:
    """Write a share; never all of it where something is left."""
    return "over 99 %" if 0.99 < part < 1 else f"{100 * part:.0f} %"


def _change(measure: Measure) -> str:
    if measure.change is None:
        return "–" if measure.usual is None else "usually none"
    if abs(measure.change) < 0.0005:
        return "as usual"
    shown = max(measure.change, -0.999) if measure.now else measure.change  # never all of it where something is left
    return f"{100 * shown:+,.1f} %".replace("-", "−")


def _figure(measure: Measure, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if measure.name == "share linked" else f"{value:,.0f}"


def _charts(practice: Practice, name_of: Callable[[str], str]) -> list[_Chart]:
    """Give the small pictures of a practice."""
    totals = (
        practice.received,
        practice.usable,
        practice.rejected,
        practice.lost,
        practice.people,
        practice.linked_share,
    )
    shown = [(each.name, each) for each in totals]
    shown += [(f"{name_of(each.name)} ({_standing(each)})", each) for each in practice.tables]
    return [
        _chart(name, each, practice.dates, each.grade if each in practice.graded else "steady") for name, each in shown
    ]


def _standing(measure: Measure) -> str:
    return "too few to grade" if measure.usual is not None and not measure.is_graded else "usable"


@dataclass(frozen=True)
class _Chart:
    """The runs of a measure from nought up, in units of the picture: a line, the usual number, this run as a dot."""

    name: str
    measure: Measure
    label: str
    ink: str
    line: str
    last: tuple[float, float]
    usual: float | None
    base: float = HEIGHT - _EDGE
    left: float = _EDGE
    right: float = WIDTH - _EDGE


def _chart(name: str, measure: Measure, dates: Sequence[date], grade: Grade) -> _Chart:
    values = measure.values[-MOST_RUNS_DRAWN:]
    top = max([value for value in values if value is not None] + [measure.usual or 0.0]) or 1.0
    step = (WIDTH - 2 * _EDGE) / max(len(values) - 1, 1)

    def height(value: float) -> float:
        return round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * value / top, 1)

    points = [
        (round(WIDTH - _EDGE - step * (len(values) - 1 - place), 1), height(value))
        for place, value in enumerate(values)
        if value is not None
    ]
    return _Chart(
        name=name,
        measure=measure,
        label=f"{name} in {len(points)} {'run' if len(points) == 1 else 'runs'} to {pages.day(dates[-1])}: "
        f"now {_figure(measure, measure.now)}, usually {_figure(measure, measure.usual)}",
        ink=_INKS[grade],
        line=" ".join(f"{x},{y}" for x, y in points),
        last=points[-1] if points else (WIDTH - _EDGE, height(0)),
        usual=None if measure.usual is None else height(measure.usual),
    )
