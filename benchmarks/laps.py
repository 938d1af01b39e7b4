"""What every job uses: CPU seconds of its stages, and a working store of a run."""

from __future__ import annotations

import json
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


class FullLaps:
    """Wall and CPU seconds, peak memory and what was written, of stages of which each ends where the next begins.

    Peak memory is Linux's own high-water mark, put back as a stage begins.
    """

    def __init__(self) -> None:
        self.laps: dict[str, dict[str, float]] = {}
        self._name = ""
        self._begun = (time.perf_counter(), 0.0, 0.0)

    @property
    def seconds(self) -> Stages:
        return {name: lap["cpu"] for name, lap in self.laps.items()}

    def begin(self, stage: str, *, since_start: bool = False) -> None:
        """Begin a stage; ``since_start``: it began with the process, and ends here."""
        self._name = stage if since_start else self._name
        self._end()
        self._name = "" if since_start else stage

    def save(self, out: Path) -> None:
        """End the last stage and write them all to where they are read when the job has ended."""
        self._end()
        (out / "laps.json").write_text(json.dumps(self.laps), encoding="utf-8")

    def _end(self) -> None:
        now = (time.perf_counter(), time.process_time(), _written_mb())
        if self._name:
            took = dict(
                zip(("wall", "cpu", "written_mb"), (a - b for a, b in zip(now, self._begun, strict=True)), strict=True)
            )
            before = self.laps.get(self._name, {})
            added = {name: round(before.get(name, 0.0) + each, 3) for name, each in took.items()}
            self.laps[self._name] = added | {"peak_mb": max(before.get("peak_mb", 0.0), _peak_mb())}
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        self._begun = now


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return round(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)


def _written_mb() -> float:
    return int(Path("/proc/self/io").read_text(encoding="utf-8").partition("write_bytes:")[2].split()[0]) / 1e6


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
