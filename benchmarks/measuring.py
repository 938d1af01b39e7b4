"""Measuring a job: a process of its own, its time, its largest memory and what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

_KIBIBYTE = 1024
_BLOCK = 512
"""What the operating system counts block writes in."""


@dataclass(frozen=True)
class Run:
    """One run of a job; ``cpu_seconds`` of all its threads, ``stages`` in CPU seconds too.

    ``laps`` has more of each stage where the job measures it (``laps.FullLaps``).
    """

    job: str
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    written_mb: float
    stages: dict[str, float]
    laps: dict[str, dict[str, float]] = field(default_factory=dict)


def measure(group: str, job: str, inputs: Path, scratch: Path, memory_limit: str | None) -> Run:
    """Run one job in a new process and say what it took; what it wrote is deleted afterwards.

    Raises:
        RuntimeError: the job failed; its own message is on standard error.
    """
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    asked = json.dumps([group, job, str(inputs), str(out), memory_limit])
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", "benchmarks.measuring", asked], os.environ)
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - began
    if status:
        raise RuntimeError(f"benchmark job {job}: ended with status {status}")
    stages = json.loads((out / "stages.json").read_text(encoding="utf-8"))
    full = out / "laps.json"
    laps = json.loads(full.read_text(encoding="utf-8")) if full.exists() else {}
    shutil.rmtree(out)
    # The high-water mark of a job that puts it back is that of its last stage.
    peaks = [used.ru_maxrss * _KIBIBYTE / 1e6, *(lap["peak_mb"] for lap in laps.values())]
    return Run(
        job=job,
        wall_seconds=round(wall, 2),
        cpu_seconds=round(used.ru_utime + used.ru_stime, 2),
        peak_mb=round(max(peaks)),
        written_mb=round(used.ru_oublock * _BLOCK / 1e6),
        stages=stages,
        laps=laps,
    )


def middle(runs: list[Run]) -> Run:
    """Give the run whose CPU seconds are the median; of an even number the cheaper of the two."""
    cpu = sorted(run.cpu_seconds for run in runs)
    return next(run for run in runs if run.cpu_seconds == median(cpu[: len(cpu) - 1 + len(cpu) % 2]))


def _work(asked: str) -> None:
    from benchmarks.groups import GROUPS

    group, job, inputs, out, memory_limit = json.loads(asked)
    stages = GROUPS[group].jobs[job](Path(inputs), Path(out), memory_limit)
    (Path(out) / "stages.json").write_text(json.dumps(stages), encoding="utf-8")


if __name__ == "__main__":
    _work(sys.argv[1])
