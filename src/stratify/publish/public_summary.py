"""The public summary: a page in plain words for patients and carers, made from ``commissioner.duckdb`` alone.

A page is for the quarter that the run falls in. Numbers are those of the file, hidden ones say so, and none of them is
said to be the work of the programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from stratify import pages, periods
from stratify.publish.about import PLAIN_NAME
from stratify.publish.published_file import PublishedFile, Row
from stratify.publish.words import plain

_NO_ROW = "none"


@dataclass(frozen=True)
class PathwayNumbers:
    """One line of the table of a board, in words."""

    name: str
    found: str
    offered: str
    began: str
    place: str
    waits: str
    said_no: str


@dataclass(frozen=True)
class Fairness:
    """How often emergency admissions came to people in the poorest and in the other areas; empty where hidden."""

    poorest: str
    richest: str
    differs: str


def public_summary(file: PublishedFile) -> str:
    """Write the page; the same bytes for the same tables."""
    day = file.rows("SELECT DISTINCT index_date FROM population")
    index_date = day[0]["index_date"] if day else None
    boards = [row["geography_code"] for row in file.rows(_BOARDS)]
    return pages.render(
        __package__,
        "public_summary.html.j2",
        title="Finding people who may need more help",
        subtitle=f"For patients and carers{': ' + quarter(index_date) if index_date else ''}",
        is_test="TEST" in file.about,
        day=periods.in_words(index_date) if index_date else "",
        boards=[
            {
                "code": code,
                "people": _told(_one(file, _PEOPLE, code), "people_count"),
                "pathways": _pathways(file, code),
                "admissions": _admissions(file, code),
                "fairness": _fairness(file, code),
            }
            for code in boards
        ],
        said={row["answer"]: _told(row, "entry_count") for row in file.rows("SELECT * FROM feedback_count")},
        contact=file.about["Contact"],
    )


def quarter(day: date) -> str:
    """Name the quarter of the year that a day is in."""
    first = date(day.year, day.month - (day.month - 1) % 3, 1)
    return f"{first:%B} to {periods.months_after(first, 2):%B %Y}"


_BOARDS = "SELECT DISTINCT geography_code FROM population WHERE geography_type = 'icb' ORDER BY geography_code"
_PEOPLE = "SELECT people_count, is_suppressed FROM population WHERE geography_code = '{code}' AND breakdown = 'all'"
_ON_PATHWAY = """
SELECT pathway, people_count, is_suppressed, held FROM pathway_count
WHERE geography_code = '{code}' AND decision = 'all' AND tier = 'all' AND breakdown = 'all' ORDER BY pathway
"""
_OF_METRIC = """
SELECT pathway, numerator, denominator, reason FROM metric_value
WHERE metric = '{metric}' AND geography_code = '{code}' AND breakdown = 'all'
"""
_ADMISSIONS = """
SELECT value, reason, period_end FROM metric_value
WHERE metric = 'emergency_admissions' AND geography_code = '{code}' AND breakdown = 'all' AND status = 'final'
"""
_BY_FIFTH = """
SELECT breakdown_value, value, lower_95, upper_95 FROM metric_value
WHERE metric = 'emergency_admissions' AND geography_code = '{code}' AND breakdown = 'imd_quintile'
    AND breakdown_value IN ('1', '5') AND status = 'final' AND value IS NOT NULL
"""


def _pathways(file: PublishedFile, code: str) -> list[PathwayNumbers]:
    def of(metric: str) -> dict[str, Row]:
        return {row["pathway"]: row for row in file.rows(_OF_METRIC.format(metric=metric, code=code))}

    offered, began, place, waits, said_no = map(
        of, ("offers_made", "offers_taken_up", "places_given", "waiting_over_28_days", "declined")
    )
    return [
        PathwayNumbers(
            _name(file, row["pathway"]),
            _told(row, "people_count"),
            _told(offered.get(row["pathway"]), "numerator"),
            _told(began.get(row["pathway"]), "numerator"),
            _told(place.get(row["pathway"]), "numerator"),
            _told(waits.get(row["pathway"]), "denominator"),
            _told(said_no.get(row["pathway"]), "numerator"),
        )
        for row in file.rows(_ON_PATHWAY.format(code=code))
    ]


def _admissions(file: PublishedFile, code: str) -> dict[str, str] | None:
    """Give how often people came into hospital in a hurry, and up to when; None where it is hidden or not counted."""
    row = _one(file, _ADMISSIONS, code)
    if row is None or row["value"] is None:
        return None
    return {"value": f"{row['value']:.0f}", "until": periods.in_words(row["period_end"])}


def _fairness(file: PublishedFile, code: str) -> Fairness | None:
    rows = {row["breakdown_value"]: row for row in file.rows(_BY_FIFTH.format(code=code))}
    if len(rows) < 2:
        return None
    poorest, richest = rows["1"], rows["5"]
    differs = "about as often"
    if poorest["lower_95"] > richest["upper_95"]:
        differs = "more often"
    elif poorest["upper_95"] < richest["lower_95"]:
        differs = "less often"
    return Fairness(f"{poorest['value']:.0f}", f"{richest['value']:.0f}", differs)


def _one(file: PublishedFile, query: str, code: str) -> Row | None:
    rows: Sequence[Row] = file.rows(query.format(code=code))
    return rows[0] if rows else None


def _name(file: PublishedFile, pathway: str) -> str:
    return str(file.about.get(f"{PLAIN_NAME} {pathway}", plain(pathway)))


def _told(row: Row | None, column: str) -> str:
    """Write a number, or that it is not told: what is hidden is never nought."""
    if row is None:
        return _NO_ROW
    if str(row.get("reason") or "").startswith("held") or row.get("held") == "all":
        return "not counted now"
    value = row[column]
    return "not shown" if value is None else f"{value:,}" if value else _NO_ROW
