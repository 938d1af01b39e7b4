"""What a figure of the commissioners' dashboard is, and how its rows are put into words and cells.

Belongs here: what several parts of the page share. What is on the page is in ``dashboard`` and ``dashboard_equity``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from stratify import periods
from stratify.publish import dashboard_charts as charts
from stratify.publish.published_file import PublishedFile, Row, shown
from stratify.publish.words import plain

_COUNTS = ("numerator", "denominator", "people_count", "waiting", "over_28_days", "not_known", "everybody")
_VALUES = (*_COUNTS, "value", "lower_95", "upper_95", "percent", "slope")
_MOST_ROWS = 60
"""With more, a picture has the boards alone; the table has every place."""


@dataclass(frozen=True)
class Figure:
    """What one query answers: a sentence, a picture or none, the table, the query."""

    title: str
    said: str
    picture: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]
    query: str


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    about: str
    figures: tuple[Figure, ...]

    @property
    def anchor(self) -> str:
        """Where a link leads."""
        return self.title.lower().replace(" ", "-")


def about_query(*topics: str) -> str:
    either = " OR ".join(f"topic LIKE '___{each}'" for each in topics)
    return f"SELECT substr(topic, 4) AS topic, detail FROM about\nWHERE {either} ORDER BY about.topic"


def newest_final(rows: Sequence[Row]) -> list[Row]:
    """Keep what is final where anything is: provisional figures are in the table, and not in the picture."""
    final = [row for row in rows if row["status"] == "final"]
    return final or list(rows)


def drawable(rows: Sequence[Row]) -> list[Row]:
    """Keep the boards alone where there are too many places to look at."""
    return [row for row in rows if len(rows) <= _MOST_ROWS or row["geography_type"] == "icb"]


def said_of_board(rows: Sequence[Row], unit: str) -> str:
    boards = [row for row in rows if row["geography_type"] == "icb"]
    words = []
    for row in boards:
        name = f"{plain(row['pathway'])}: " if row["pathway"] != "all" else f"{short_name(row)}: "
        if row["value"] is None:
            words.append(f"{name}{shown(row, 'value')}")
        else:
            words.append(f"{name}{row['value']:g} (95 % interval {row['lower_95']:g} to {row['upper_95']:g})")
    if not words:
        return "It could not be counted in this run: see what cannot be measured, under data quality."
    last = boards[0]
    return f"{'; '.join(words)} {unit}, {last['status']}, up to {periods.in_words(last['period_end'])}."


def interval_of(row: Row, label: str) -> charts.Interval:
    return charts.Interval(label, row["value"], row["lower_95"], row["upper_95"], shown(row, "value"))


def place_of(row: Row) -> str:
    """Name a place and pathway on a picture: what is too long is cut from the place, since pathways tell rows apart."""
    name, of = short_name(row), of_pathway(row["pathway"])
    room = charts.LONGEST - len(of)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + of


def short_name(row: Row) -> str:
    """Name a place on a picture."""
    name = str(row["place"]).replace("Primary Care Network", "PCN")
    is_code = row["geography_type"] == "icb" and " " not in name
    return f"Board {name}" if is_code else name


def of_pathway(pathway: str) -> str:
    return "" if pathway == "all" else f": {plain(pathway)}"


def tier_label(file: PublishedFile, row: Row, column: str) -> str:
    """Say a decision or tier in words: those that the file itself gives for a tier."""
    value = str(row[column])
    if value == "all":
        return "held"
    _, _, tiers = file.about.get(f"Pathway {row['pathway']}", "").partition(" Tiers: ")
    labels = dict(each.split(" = ", 1) for each in tiers.rstrip(".").split("; ") if " = " in each)
    words = plain(value)[:1].lower() + plain(value)[1:]
    return labels.get(value, words) if column == "tier" else words


def month_in_words(month: date) -> str:
    return f"{month:%B %Y}"


def figure_of(title: str, said: str, picture: str | None, rows: Sequence[Row], query: str) -> Figure:
    columns = tuple(name for name in rows[0] if name not in ("is_suppressed", "held")) if rows else ()
    return Figure(
        title,
        said,
        picture,
        tuple(plain(name).replace("95", "95 %") for name in columns),
        tuple(tuple(_cell(row, name) for name in columns) for row in rows),
        query,
    )


def _cell(row: Row, name: str) -> tuple[str, bool]:
    """Give a cell of a table, and whether it is a number."""
    value = row[name]
    if name in _VALUES:
        return (shown(row, name) if value is not None or name not in ("lower_95", "upper_95") else "", True)
    if isinstance(value, date):
        return (month_in_words(value) if name in ("month", "last_month") else periods.in_words(value), False)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (f"{value:,}", True)
    return ("" if value is None else str(value), False)
