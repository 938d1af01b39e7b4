"""What was sent and what came back in earlier weeks, as far as reading what comes back needs it.

    restricted/memory/2026-11-02/list_row.parquet  answer.parquet

One folder a week in the restricted folder, written by the run of that week and taken along by every later run. A run
reads the folders of earlier weeks only, so that the same week again gives the same.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection
from datetime import date
from pathlib import Path

import polars as pl

from stratify import publish
from stratify.filled_in import OFFERS, Answer, SentRow
from stratify.store import Store

FOLDER = "memory"
_WEEK, _ROW, _PERSON, _PRACTICE, _CLINIC = "week", "row_reference", "patient_key", "practice_code", "clinic_id"
_SENT_COLUMNS = (_WEEK, _ROW, _PERSON, _PRACTICE, _CLINIC)
_ANSWER_COLUMNS = ("answer_id", _ROW, "source", "status", "outcome", "outcome_date", "until_date", "reason_code")
_DAYS = (_WEEK, "outcome_date", "until_date")


def sent_rows(restricted: Path, references: Collection[str], *, before: date) -> dict[str, SentRow]:
    """Give the rows of lists that were sent in the weeks before a day, by reference; of one run twice, the last.

    Args:
        restricted: The restricted folder of the run in place.
        references: Those asked about.
        before: The index date of the run that asks.
    """
    found = _read(restricted, "list_row", _SENT_COLUMNS, before=before).filter(
        pl.col(_ROW).is_in(sorted(references)) & pl.col(_PRACTICE).is_not_null()
    )
    return {
        reference: SentRow(reference, week, person, practice, clinic)
        for week, reference, person, practice, clinic in found.collect().sort(_SENT_COLUMNS).iter_rows()
    }


def earlier_answers(restricted: Path, *, before: date) -> pl.DataFrame:
    """Give contract ``audit.answer`` of earlier weeks: what was applied or found wrong, and what it said."""
    return _read(restricted, "answer", _ANSWER_COLUMNS, before=before).collect()


def applied_to(rows: dict[str, SentRow], earlier: pl.DataFrame) -> list[Answer]:
    """Give the answers to some rows that were applied in earlier weeks."""
    mine = earlier.filter((pl.col("status") == "applied") & pl.col(_ROW).is_in(sorted(rows)))
    names = ("outcome", "outcome_date", "until_date", "reason_code")
    return [Answer(rows[each[_ROW]], *(each[name] for name in names)) for each in mine.iter_rows(named=True)]


def digest(restricted: Path, before: date) -> str:
    """Give the digest of all that a run reads of earlier weeks."""
    found = hashlib.sha256()
    for path in _files(restricted, "*", before):
        found.update(f"{path.parent.name} {path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def keep(store: Store, restricted: Path, build: Path, *, run_id: str, index_date: date) -> None:
    """Keep what this run sent and what came back in it, and take the other weeks along.

    A run for a week before the latest one kept is a look back: it takes along what there is, and adds nothing.

    Args:
        store: The run's store, with everybody placed.
        restricted: The restricted folder of the run in place.
        build: That of the run being built.
        run_id: The run.
        index_date: Its week.
    """
    before = sorted((restricted / FOLDER).glob("*/*.parquet"))
    is_look_back = any(path.parent.name > index_date.isoformat() for path in before)
    for path in before:
        target = build / FOLDER / path.parent.name / path.name
        if not target.exists() and (is_look_back or path.parent.name != index_date.isoformat()):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy2(path, target)
    if is_look_back:
        return
    home = build / FOLDER / index_date.isoformat()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(home / "answer.parquet", store.frame("SELECT * FROM audit.answer ORDER BY ALL"))
    _write(home / "list_row.parquet", _list_rows(store, run_id, index_date))


def _list_rows(store: Store, run_id: str, index_date: date) -> pl.DataFrame:
    placed = store.frame(
        "SELECT patient_key, pathway, practice_code, clinic_id, placement FROM derived.placement "
        "WHERE placement IN ('listed', 'waiting', 'offered') AND practice_code IS NOT NULL ORDER BY ALL"
    )
    place = pl.when(pl.col("placement") == "offered").then(pl.lit(OFFERS)).otherwise(pl.col(_CLINIC))
    placed = placed.with_columns(place.alias(_CLINIC), pl.lit(index_date).alias(_WEEK), pl.lit(run_id).alias("run_id"))
    references = [
        publish.row_reference(run_id, clinic, person) for clinic, person in placed.select(_CLINIC, _PERSON).iter_rows()
    ]
    return placed.with_columns(pl.Series(_ROW, references, pl.String))


def _write(path: Path, frame: pl.DataFrame) -> None:
    path.touch(mode=0o600)
    frame.write_parquet(path)


def _files(restricted: Path, name: str, before: date) -> list[Path]:
    home = restricted / FOLDER
    weeks = [path for path in sorted(home.iterdir()) if path.name < before.isoformat()] if home.is_dir() else []
    return [path for week in weeks for path in sorted(week.glob(f"{name}.parquet"))]


def _read(restricted: Path, name: str, columns: tuple[str, ...], *, before: date) -> pl.LazyFrame:
    kinds = {column: pl.Date if column in _DAYS else pl.String for column in columns}
    kept = [pl.scan_parquet(path).select(columns) for path in _files(restricted, name, before)]
    return pl.concat([pl.LazyFrame(schema=kinds), *kept])
