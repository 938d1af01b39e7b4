"""What every job uses: CPU seconds of its stages, and a working store of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Stages = dict[str, float]

KEPT = "scores sorted and written to the file of the run"


class Laps:
    """CPU seconds of the stages of a job, every thread counted."""

    def __init__(self) -> None:
        self.seconds: Stages = {}
        self._last = time.process_time()

    def end(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now


@contextmanager
def open_working_store(out: Path, memory_limit: str | None) -> Iterator:
    from stratify.store import open_store

    with open_store(out / "run.duckdb", temp_directory=out / "scratch", memory_limit=memory_limit) as store:
        yield store


def score(store, book, index_date, *, is_with_records: bool) -> tuple[Stages, str]:
    """Work out values and every score of a rule book from loaded core tables; give the stages and where values are."""
    from stratify import engine, ingest, reckoning

    laps, values, marks = Laps(), "derived.variable_value", None
    ingest.match_codes(store, list(book.codelists.values()))
    laps.end("codes matched")
    if is_with_records:
        reckoning.work_values(store, book, index_date=index_date)
    else:
        values, marks = reckoning.hold_values(store, book, index_date=index_date)
    laps.end("values")
    held = reckoning.hold_scores(store, book, index_date=index_date, values=values, marks=marks)
    laps.end("scores")
    engine.keep(store, "derived.patient_score", engine.concat([*held.values()]))
    laps.end(KEPT)
    marked = f" UNION ALL {marks.rows()}" if marks else ""
    return laps.seconds, f"(SELECT patient_key, variable, value FROM {values}{marked})"
