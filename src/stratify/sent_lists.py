"""What was sent and what came back in earlier weeks, as far as reading what comes back needs it.

The files are those of ``kept_weeks``: a run reads those of earlier weeks only, so that the same week again gives the
same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from stratify import kept_weeks
from stratify.filled_in import Answer, SentRow

_SENT_COLUMNS = ("week", "row_reference", "patient_key", "practice_code", "clinic_id", "priority_rank")
_SENT = ("listed", "waiting", "offered")
_WRITTEN_TO = ("listed", "offered")
_ROW = "row_reference"


def sent_rows(restricted: Path, references: Collection[str], *, before: date) -> dict[str, SentRow]:
    """Give the rows of lists that were sent in the weeks before a day, by reference; of one run twice, the last.

    Args:
        restricted: The restricted folder of the run in place.
        references: Those asked about.
        before: The index date of the run that asks.
    """
    found = kept_weeks.scan(restricted, "audit.list_row", before=before, same_person={})
    return _rows(found.filter(pl.col(_ROW).is_in(sorted(references)) & pl.col("placement").is_in(_SENT)))


def rows_to(
    restricted: Path, people: Collection[str], *, before: date, same_person: Mapping[str, str]
) -> dict[str, SentRow]:
    """Give the rows of some people who were on a list or offered something in the weeks before a day, by reference."""
    found = kept_weeks.scan(restricted, "audit.list_row", before=before, same_person=same_person)
    return _rows(found.filter(pl.col("patient_key").is_in(sorted(people)) & pl.col("placement").is_in(_WRITTEN_TO)))


def _rows(found: pl.LazyFrame) -> dict[str, SentRow]:
    return {
        reference: SentRow(reference, week, person, practice, clinic, rank=rank)
        for week, reference, person, practice, clinic, rank in found.filter(pl.col("practice_code").is_not_null())
        .select(_SENT_COLUMNS)
        .unique()
        .collect()
        .sort(_SENT_COLUMNS)
        .iter_rows()
    }


def earlier_answers(restricted: Path, *, before: date) -> pl.DataFrame:
    """Give contract ``audit.answer`` of earlier weeks: what was applied or found wrong, and what it said."""
    return kept_weeks.scan(restricted, "audit.answer", before=before, same_person={}).collect()


def earlier_actions(restricted: Path, *, before: date, same_person: Mapping[str, str]) -> pl.DataFrame:
    """Give contract ``audit.action`` of earlier weeks: what meetings stated of their actions."""
    found = kept_weeks.scan(restricted, "audit.action", before=before, same_person=same_person).collect()
    return found.sort("week", "row_reference", "action")


def earlier_deliveries(restricted: Path, *, before: date, same_person: Mapping[str, str]) -> pl.DataFrame:
    """Give contract ``audit.delivery`` of earlier weeks: what became of messages."""
    found = kept_weeks.scan(restricted, "audit.delivery", before=before, same_person=same_person).collect()
    return found.sort("week", "delivery_id")


def applied_to(rows: dict[str, SentRow], earlier: pl.DataFrame) -> list[Answer]:
    """Give the answers to some rows that were applied in earlier weeks."""
    mine = earlier.filter((pl.col("status") == "applied") & pl.col(_ROW).is_in(sorted(rows)))
    names = ("outcome", "outcome_date", "until_date", "reason_code")
    return [Answer(rows[each[_ROW]], *(each[name] for name in names)) for each in mine.iter_rows(named=True)]
