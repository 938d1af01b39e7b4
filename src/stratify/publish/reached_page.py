"""The page of who is reached: from everybody to a place, places against need, and how the work is spread.

Shows what it is given; counting is for ``fairness``, hiding for ``disclosure``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from stratify import pages
from stratify.publish import words

_GROUPS = {
    "all": "Everybody",
    "imd_fifth": "Deprivation fifth (1 is most deprived)",
    "ethnic_group": "Ethnic group",
    "practice": "Practice",
}


@dataclass(frozen=True)
class ShareRow:
    """Need and places of one group; None for a number that is hidden."""

    breakdown: str
    value: str
    need: int | None
    listed: int | None
    waiting: int | None
    need_share: str
    listed_share: str


def share_row(breakdown: str, value: str, cells: Mapping[str, int | None], of: Mapping[str, int | None]) -> ShareRow:
    """Give a row with its shares of everybody, from the numbers as they are shown.

    Args:
        breakdown: What people are grouped by.
        value: The group.
        cells: ``need``, ``listed`` and ``waiting`` of the group.
        of: The same of everybody.
    """
    return ShareRow(
        breakdown=_GROUPS[breakdown],
        value="" if breakdown == "all" else value,
        need=cells.get("need", 0),
        listed=cells.get("listed", 0),
        waiting=cells.get("waiting", 0),
        need_share=_share(cells.get("need", 0), of.get("need", 0)),
        listed_share=_share(cells.get("listed", 0), of.get("listed", 0)),
    )


def _share(part: int | None, whole: int | None) -> str:
    if part is None or whole is None:
        return "hidden"
    return pages.share(min(part, whole), whole) if whole else "–"


_NEARLY_ALL = 0.9


def reached_page(
    pathways: Sequence[Mapping[str, Any]],
    ratios: Sequence[tuple[str, float, float, float | None]],
    work: Sequence[Mapping[str, Any]],
    *,
    minutes: Sequence[tuple[str, str, int, int]] = (),
    full: Sequence[Mapping[str, Any]] = (),
    silent: Sequence[Mapping[str, Any]] = (),
    bound: float,
    title: str,
    index_date: date,
    run_id: str,
    is_test: bool,
) -> str:
    """Write the page.

    Args:
        pathways: ``id``, ``label``, ``steps`` (``text``, ``left``, ``people``) and ``clinics`` (``label``, ``rows``).
        ratios: Role, least and greatest share of its minutes that is used, and how many times one is the other.
        work: Rows of contract ``audit.workload``.
        minutes: Role, practice or network, the minutes its lists take this week, and the most they may.
        full: Rows of contract ``out.full_clinic``.
        silent: Rows of contract ``audit.silent_practice``, of practices without feedback or without uptake.
        bound: How many times as much is uneven.
        title: Heading.
        index_date: The day the run describes.
        run_id: The run.
        is_test: True for invented people.
    """
    uneven = [role for role, _, _, ratio in ratios if ratio is None or ratio > bound]
    return pages.render(
        __package__,
        "who_is_reached.html.j2",
        title=title,
        subtitle=f"Describes {pages.day(index_date)} · run {run_id}",
        is_test=is_test,
        tone="warn" if uneven else "pass",
        headline=(
            f"Work is uneven for {words.roles_in_words(tuple(uneven))}" if uneven else "Work is spread within its bound"
        ),
        pathways=pathways,
        bound=f"{bound:g}",
        ratios=[
            {
                "role": words.roles_in_words((role,)),
                "verdict": "uneven: somebody has no work"
                if ratio is None
                else f"{'uneven: ' if ratio > bound else ''}{ratio:.1f} times",
            }
            for role, _, _, ratio in ratios
        ],
        work=work,
        minutes=[
            {
                "role": words.roles_in_words((role,)),
                "serves": place,
                "most": most,
                # The minutes themselves would say how few people they are of.
                "verdict": "nine tenths or more" if used >= _NEARLY_ALL * most else "less than nine tenths",
            }
            for role, place, used, most in minutes
        ],
        full=full,
        silent=[
            {"practice": row["practice_code"], "feedback": row["has_feedback"], "uptake": row["has_uptake"]}
            for row in silent
        ],
    )


def full_clinics_told(found: pl.DataFrame) -> pl.DataFrame:
    """Say of each clinic that takes nobody new in this week why: ``clinic_id``, ``serves``, ``reason``.

    How many places there are is left out: where all are given, it is how many people have one.

    Args:
        found: Contract ``audit.clinic_signal``.
    """
    reason = (
        pl.when(pl.col("places_count") > 0)
        .then(pl.lit("Every place of the week is given: whoever is sent there now waits"))
        .otherwise(pl.lit("No session this week: whoever is sent there now waits"))
    )
    return found.filter("is_full").select("clinic_id", "serves", reason=reason)
