"""What belongs to the one review of a person on several pathways: each check once, and none within its window.

Whose slot it is was settled by ``routing``; here is only what is due in it. A check that several pathways ask for is
one check, due by the shortest of their windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from stratify.reasons import Found, find_values, holds
from stratify.rulebook import RuleBook
from stratify.rules import Check, Pathway

_SCHEMA = {
    "patient_key": pl.String,
    "check_id": pl.String,
    "label": pl.String,
    "by": pl.String,
    "owner": pl.String,
    "pathways": pl.String,
    "is_due": pl.Boolean,
    "done_date": pl.Date,
    "due_date": pl.Date,
}


@dataclass
class _Asked:
    check: Check
    pathways: list[str]
    again_after_days: int | None
    done: date | None


def review_checks(placements: pl.DataFrame, values: pl.DataFrame, book: RuleBook, *, index_date: date) -> pl.DataFrame:
    """Give the checks that belong to each person's review, each once, and whether it is due.

    The review is owned by the pathway that has the person's place or offer this week, or else by the first of theirs.
    A check is due from the day its window ends; without any record, or where none could say, it is due now.

    Args:
        placements: Contract ``derived.placement``; nobody is asked for a check on a pathway that leaves them out.
        values: Contract ``derived.variable_value``, at least the variables that checks read.
        book: The rule book.
        index_date: The day the run describes.

    Returns:
        Contract ``derived.review_check``, sorted.
    """
    mine: dict[str, list[dict[str, Any]]] = {}
    for row in placements.select("patient_key", "pathway", "decision", "placement").iter_rows(named=True):
        if row["decision"] not in ("excluded", "not_eligible"):
            mine.setdefault(row["patient_key"], []).append(row)
    found = find_values(values.filter(pl.col("patient_key").is_in(list(mine))))
    rows = []
    for key, here in mine.items():
        here.sort(key=lambda row: book.pathways[row["pathway"]].precedence)
        owner = next((row["pathway"] for row in here if row["placement"] in ("listed", "offered")), here[0]["pathway"])
        for asked in _asked([book.pathways[row["pathway"]] for row in here], found.get(key, {}), book):
            due = _due_date(asked, index_date)
            rows.append(
                {
                    "patient_key": key,
                    "check_id": asked.check.id,
                    "label": asked.check.label,
                    "by": asked.check.by,
                    "owner": owner,
                    "pathways": ";".join(asked.pathways),
                    "is_due": due <= index_date,
                    "done_date": asked.done,
                    "due_date": due,
                }
            )
    return pl.DataFrame(rows, schema=_SCHEMA).sort("patient_key", "check_id")


def _asked(pathways: list[Pathway], mine: Found, book: RuleBook) -> Iterator[_Asked]:
    asked: dict[str, _Asked] = {}
    for pathway in pathways:
        for check in pathway.checks:
            if check.when and not holds(check.when, mine, book):
                continue
            before = asked.get(check.id)
            if before is None:
                asked[check.id] = _Asked(check, [pathway.id], check.again_after_days, _done(check, mine))
                continue
            before.pathways.append(pathway.id)
            windows = [days for days in (before.again_after_days, check.again_after_days) if days]
            before.again_after_days = min(windows, default=None)
    yield from asked.values()


def _done(check: Check, mine: Found) -> date | None:
    """Give the day a check was last done: two results of one day are one that was done, an unusable one is none."""
    found = mine.get(check.done or "")
    return found.day if found and found.state in ("known", "conflict", "stale") else None


def _due_date(asked: _Asked, index_date: date) -> date:
    if asked.done is None or asked.again_after_days is None:
        return index_date
    return asked.done + timedelta(days=asked.again_after_days)
