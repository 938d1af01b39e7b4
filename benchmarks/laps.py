"""What every job uses: CPU seconds of its stages, and a working store of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Stages = dict[str, float]


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
