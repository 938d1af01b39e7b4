"""Reads what a messaging system reports about a batch: who was reached, as contact history.

Belongs here: the report of one batch, row by row. Whose answer is applied, and what follows from it, is decided where
all answers come in. No number or name of the report is kept or told: what cannot be read is named by its line.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import polars as pl

from stratify import privacy
from stratify.codes import nhs_number_is_valid
from stratify.errors import ExtractError

COLUMNS = ("nhs number", "status", "date")
OUTCOMES = {
    "accepted": "invited",
    "delivered": "invited",
    "sent": "invited",
    "not accepted": "not_delivered",
    "not delivered": "not_delivered",
    "failed": "not_delivered",
}
"""What each status of a report means; ``not_delivered`` is no answer of the person: the next try is by hand."""
_DATES = ("%d/%m/%Y", "%Y-%m-%d", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%d-%b-%Y")
_HISTORY = {
    "outcome_id": pl.String,
    "patient_key": pl.String,
    "pathway": pl.String,
    "clinic_id": pl.String,
    "practice_code": pl.String,
    "outcome": pl.String,
    "outcome_date": pl.Date,
    "source_row": pl.Int64,
}
_UNREAD = {"source_row": pl.Int64, "reason": pl.String}


def read_delivery_report(
    report: Path, *, key: bytes, practice_code: str, pathway: str, clinic_id: str | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the report of one batch.

    Args:
        report: A CSV with the columns NHS number, Status and Date, in any order and with others between.
        key: The identity key.
        practice_code: The practice the batch was made for.
        pathway: The pathway of the letter.
        clinic_id: The clinic it invites to; None for an offer.

    Returns:
        Rows of contact history in the shape of ``core.outcome`` (the same row twice is one), and the rows that could
        not be read: their line and why.

    Raises:
        ExtractError: the file is no UTF-8 text, or lacks a column.
    """
    try:
        lines = list(csv.reader(report.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError:
        raise _refused(expected="UTF-8 text", found="other bytes") from None
    heads = {name.strip().lower(): place for place, name in enumerate(lines[0] if lines else [])}
    lacking = [name for name in COLUMNS if name not in heads]
    if lacking:
        raise _refused(expected=f"the columns {', '.join(COLUMNS)}", found=f"none called {', '.join(lacking)}")
    history: dict[str, tuple[str, str, str, str | None, str, str, date, int]] = {}
    unread: list[tuple[int, str]] = []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cells):
            continue
        row = {name: cells[heads[name]].strip().lstrip("'") if heads[name] < len(cells) else "" for name in COLUMNS}
        person, outcome, day, why = _read(row)
        if why or day is None:
            unread.append((number, why))
            continue
        patient_key = privacy.pseudonym(key, person)
        content = "|".join((patient_key, pathway, clinic_id or "", practice_code, outcome, day.isoformat()))
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        history.setdefault(digest, (digest, patient_key, pathway, clinic_id, practice_code, outcome, day, number))
    return (
        pl.DataFrame(list(history.values()), schema=_HISTORY, orient="row"),
        pl.DataFrame(unread, schema=_UNREAD, orient="row"),
    )


def _read(row: Mapping[str, str]) -> tuple[str, str, date | None, str]:
    """Give NHS number, outcome and day of a row; or why it cannot be read."""
    number = row["nhs number"].replace(" ", "").replace("-", "")
    outcome = OUTCOMES.get(row["status"].lower())
    day = next((found for found in (_day(row["date"], pattern) for pattern in _DATES) if found), None)
    if not nhs_number_is_valid(number):
        return "", "", None, "no valid NHS number"
    if outcome is None:
        return "", "", None, f"a status that is none of {', '.join(OUTCOMES)}"
    if day is None:
        return "", "", None, "no date as dd/mm/yyyy"
    return number, outcome, day, ""


def _day(text: str, pattern: str) -> date | None:
    try:
        return datetime.strptime(text, pattern).date()
    except ValueError:
        return None


def _refused(*, expected: str, found: str) -> ExtractError:
    return ExtractError("delivery report", expected=expected, found=found, action="Export it again and put it back.")
