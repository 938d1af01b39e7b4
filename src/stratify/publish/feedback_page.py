"""The page of how much practices said and how much was answered, by practice and kind.

Shows what it is given; counting and hiding are for ``feedback``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from stratify import pages
from stratify.feedback import ANSWER_WITHIN_DAYS, KIND_WORDS

_STATUSES = ("said", "answered", "waiting", "overdue")


def feedback_page(
    counts: pl.DataFrame, names: Mapping[str, str | None], *, title: str, index_date: date, run_id: str, is_test: bool
) -> str:
    """Write the page.

    Args:
        counts: What ``feedback.tally`` gives.
        names: Name of each practice by its code.
        title: Heading.
        index_date: The day the run describes.
        run_id: The run.
        is_test: True for invented people.
    """
    cells = {tuple(key): number for *key, number in counts.drop("is_suppressed").iter_rows()}
    said, overdue = cells["all", "all", "said"], cells["all", "all", "overdue"]
    headline = "Nothing has been said so far" if said == 0 else "Everything said is answered in time"
    if overdue != 0:
        headline = "Something said has had no answer in time"
    return pages.render(
        __package__,
        "feedback.html.j2",
        title=title,
        subtitle=f"Describes {pages.day(index_date)} · run {run_id}",
        is_test=is_test,
        tone="pass" if overdue == 0 else "warn",
        headline=headline,
        days=ANSWER_WITHIN_DAYS,
        tables=[
            {
                "label": "All practices together" if where == "all" else f"{names[where] or where} ({where})",
                "rows": [
                    {
                        "label": "Everything" if kind == "all" else KIND_WORDS[kind].capitalize(),
                        "numbers": [cells[where, kind, status] for status in _STATUSES],
                    }
                    for kind in ("all", *KIND_WORDS)
                ],
            }
            for where in ("all", *sorted(names))
        ],
    )
