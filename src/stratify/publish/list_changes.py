"""What changed on a list since last week, and why: who is new, who left it, and whose place on it has another reason.

Belongs here: setting this week's list against last week's. Of somebody who is at another practice now nothing is shown
but last week's reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import polars as pl

from stratify.codes import spaced
from stratify.store import Store

Row = dict[str, Any]

NEW, LEFT, STAYS = "New on the list", "Left the list", "On the list still"
_ELSEWHERE = "No longer registered at this practice"
UNCHANGED = "On last week's list: no answer came back"
_IDENTITY = ("nhs_number", "family_name", "given_names", "date_of_birth")

_LISTS = """
SELECT DISTINCT practice_code, clinic_id FROM audit.list_row WHERE week < '{week}' AND placement = 'listed' ORDER BY ALL
"""
_LAST_WEEK = """
SELECT l.practice_code, l.clinic_id, l.patient_key, l.pathway, l.row_reference,
    coalesce(c.practice_code = l.practice_code, false) AS is_here, i.nhs_number, i.family_name, i.given_names,
    coalesce(i.date_of_birth, c.date_of_birth) AS date_of_birth, s.why
FROM audit.list_row AS l
LEFT JOIN core.person AS c USING (patient_key)
LEFT JOIN identity.person AS i USING (patient_key)
LEFT JOIN (
    SELECT patient_key, pathway, string_agg(cause_text, '; ' ORDER BY position) AS why
    FROM audit.transition WHERE week = '{week}' GROUP BY patient_key, pathway
) AS s USING (patient_key, pathway)
WHERE l.week < '{week}' AND l.placement = 'listed'
ORDER BY l.practice_code, l.clinic_id, l.patient_key, l.pathway
"""


class LastWeek:
    """Who was on which list last week, with what the steps of this week say of each."""

    def __init__(self, lists: Sequence[tuple[str, str]], rows: Callable[[str], pl.DataFrame]) -> None:
        self.lists = lists
        """Practice and clinic of each list."""
        self._rows = rows

    def of(self, practice: str) -> dict[str, list[Row]]:
        """Give the rows of a practice's lists by clinic."""
        found: dict[str, list[Row]] = {}
        for row in self._rows(practice).iter_rows(named=True):
            found.setdefault(row["clinic_id"], []).append(row)
        return found


@contextmanager
def read_last_week(store: Store, index_date: date) -> Iterator[LastWeek]:
    """Lend last week's lists, read a practice at a time."""
    lists = store.rows(_LISTS.format(week=index_date.isoformat()))
    with store.parted(_LAST_WEEK.format(week=index_date.isoformat()), "practice_code") as rows:
        yield LastWeek([(practice, clinic) for practice, clinic in lists], rows)


def list_changes(
    listed: Sequence[Row], everybody: Iterable[Row], last: Sequence[Row], labels: Mapping[str, str]
) -> list[Row]:
    """Give contract ``out.list_change`` for one list, in order of change and name.

    Args:
        listed: Who is on it this week, in words.
        everybody: Everybody of the practice with a decision this week, in words.
        last: Who was on it last week.
        labels: What pathways are called.
    """
    here = {(row["patient_key"], row["pathway"]): row for row in everybody}
    before = {row["patient_key"] for row in last}
    on_it = {row["patient_key"] for row in listed}
    found = []
    for row in listed:
        is_new = row["patient_key"] not in before
        if is_new or not row["since_last_week"].startswith(UNCHANGED):
            found.append(_change(row, NEW if is_new else STAYS, row["since_last_week"], labels))
    for row in last:
        if row["patient_key"] in on_it:
            continue
        now = here.get((row["patient_key"], row["pathway"]))
        if now is not None:
            found.append(_change({**row, **{name: now[name] for name in _IDENTITY}}, LEFT, _why(now), labels))
        elif row["is_here"]:
            shown = {**row, "nhs_number": spaced(row["nhs_number"])}
            found.append(_change(shown, LEFT, row["why"] or "No longer on the pathway", labels))
        else:
            found.append(_change({**row, **dict.fromkeys(_IDENTITY)}, LEFT, _ELSEWHERE, labels))
    people = {row["row_reference"]: row for row in reversed(found)}  # one row a person, the first pathway's
    return sorted(people.values(), key=_order)


def _change(row: Row, change: str, why: str, labels: Mapping[str, str]) -> Row:
    named = {name: row[name] for name in ("row_reference", *_IDENTITY)}
    return {**named, "pathway": labels.get(row["pathway"], row["pathway"]), "change": change, "why": why}


def _why(now: Row) -> str:
    """Give what changed, and what is so now where that says more."""
    changed, is_so = str(now["since_last_week"] or ""), str(now["placement_reason"])
    if is_so.startswith(changed):
        return is_so
    return changed if is_so in changed else f"{changed}. {is_so}" if changed else is_so


def _order(row: Row) -> tuple[int, str, str, str]:
    return (
        (NEW, LEFT, STAYS).index(row["change"]),
        row["family_name"] or "",
        row["given_names"] or "",
        row["row_reference"],
    )
