"""What the GP record itself answers: entries that a pathway counts as having been seen, as uptake or as a no.

Belongs here: which entries are about somebody who was on a list, and which row of it they answer. Does not belong:
which codes count (``coded`` of a pathway file), reading the record (``remembered``), what an answer moves
(``answers``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl

from stratify.contract_frames import schema_of
from stratify.memory import OFFER
from stratify.rulebook import RuleBook
from stratify.rules import CodedAnswer, Pathway

SOURCE = "GP_RECORD"
ENTRIES = {
    "patient_key": pl.String,
    "codelist": pl.String,
    "day": pl.Date,
    "source_file_id": pl.String,
    "source_row": pl.Int64,
}
"""Columns of the entries: one row for each person, codelist and day."""


_OF_A_ROW = ("patient_key", "week", "row_reference", "practice_code", "clinic_id")


def codelists_of(book: RuleBook) -> tuple[str, ...]:
    """Give the codelists whose entries are answers on some pathway that is published, sorted."""
    return tuple(sorted({each.codelist for pathway in book.published.values() for each in pathway.coded}))


def coded_outcomes(entries: pl.DataFrame, list_rows: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Give contract ``core.outcome`` for entries made while somebody was at the place of the pathway they close.

    An entry answers the latest row the person had by its day, so that one from before the person was on the pathway
    says nothing. It answers the need of its pathway, and none of the others that the row stood for.

    Args:
        entries: Entries of the GP record (``ENTRIES``), each of an exact day.
        list_rows: Contract ``audit.list_row`` of earlier weeks, of the people of the entries.
        book: The rule book.
    """
    found: list[dict[str, Any]] = []
    for pathway in (each for _, each in sorted(book.published.items()) if each.coded):
        rows = list_rows.filter(pl.col("pathway") == pathway.id).select(_OF_A_ROW).sort("week")
        for counted in pathway.coded:
            mine = entries.filter(pl.col("codelist") == counted.codelist).sort("day")
            answered = mine.join_asof(
                rows, left_on="day", right_on="week", by="patient_key", strategy="backward", check_sortedness=False
            )
            found += [
                _outcome(row, counted, pathway)
                for row in answered.filter(pl.col("row_reference").is_not_null()).iter_rows(named=True)
                if _is_at(row["clinic_id"], counted, pathway)
            ]
    schema = schema_of("core.outcome")
    return pl.DataFrame(found, schema=schema, orient="row").unique("outcome_id", keep="first").sort("outcome_id")


def _is_at(clinic: str | None, counted: CodedAnswer, pathway: Pathway) -> bool:
    """Tell whether a row is at the place of an entry; who is offered something has no clinic, or is to be rung."""
    return clinic in (None, OFFER, pathway.call.id) if counted.at == OFFER else clinic == counted.at


def _outcome(row: Mapping[str, Any], counted: CodedAnswer, pathway: Pathway) -> dict[str, Any]:
    day: date = row["day"]
    about = "|".join((SOURCE, row["row_reference"], pathway.id, counted.codelist, counted.means, day.isoformat()))
    return {
        **dict.fromkeys(schema_of("core.outcome")),
        "outcome_id": hashlib.sha256(about.encode()).hexdigest()[:24],
        "patient_key": row["patient_key"],
        "pathway": pathway.id,
        "clinic_id": counted.at,
        "practice_code": row["practice_code"],
        "source": SOURCE,
        "outcome": counted.means,
        "outcome_date": day,
        "reason_code": counted.codelist,
        "row_reference": row["row_reference"],
        "source_file_id": row["source_file_id"],
        "source_row": row["source_row"],
    }
