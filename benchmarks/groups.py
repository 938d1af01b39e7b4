"""What is compared with what: each job is one competitor, run in a process of its own.

A job takes the folder of the inputs, an empty folder to write to and the memory limit, and gives the seconds of its
stages. To add one: write the function and name it in the ``JOBS`` of its group.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import all_scores, commissioners, delta, loading, models, outputs, scoring
from benchmarks.laps import KEPT, Stages
from benchmarks.measuring import Run


@dataclass(frozen=True)
class Group:
    """Jobs that do the same work.

    Attributes:
        jobs: The competitors by name.
        plain: The one the others are compared with.
        at_most: How many times its cost a job may cost.
        invent: Makes the inputs in a folder, for so many people, unless they are there.
        size_in_words: Says how much the inputs are.
        cost: What is compared of a run, in CPU seconds.
        lacks: For jobs that need what a machine may lack: says what it lacks, or None.
    """

    jobs: dict[str, Callable[[Path, Path, str | None], Stages]]
    plain: str
    at_most: dict[str, float]
    invent: Callable[[Path, int], Path]
    size_in_words: Callable[[Path], str]
    cost: Callable[[Run], float]
    lacks: dict[str, Callable[[], str | None]] = field(default_factory=dict)


def _invent_county(scratch: Path, people: int) -> Path:
    """Invent a clean county with what the file gate says of it beside it."""
    extracts = scratch / "extracts"
    if not (scratch / loading.FILES).exists():
        command = [sys.executable, "-c", "from stratify.cli import app; app()", "synth", "--out", str(extracts)]
        command += ["--people", str(people), "--seed", "1", "--clean", "--format", "csv", "--replace"]
        command += ["--index-date", loading.INDEX_DATE.isoformat()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        passed = [file.model_dump(mode="json") for file in loading.inspect(extracts, scratch)]
        (scratch / loading.FILES).write_text(json.dumps(passed), encoding="utf-8")
    return extracts


def _mb_of_csv(extracts: Path) -> str:
    return f"{sum(path.stat().st_size for path in extracts.glob('*.csv')) / 1e6:,.0f} MB of CSV"


def _diagnoses(folder: Path) -> str:
    import polars as pl

    return f"{pl.scan_parquet(folder / 'plain.parquet').select(pl.len()).collect().item():,} hospital diagnoses"


def _reckoned(run: Run) -> float:
    """Give what it took to have the scores in memory: the competitors write nothing to a file."""
    return sum(seconds for stage, seconds in run.stages.items() if stage != KEPT)


GROUPS = {
    "loading": Group(
        loading.JOBS,
        loading.PLAIN,
        {loading.ROWS: 1.5, loading.LOADING: 2.0},
        _invent_county,
        _mb_of_csv,
        lambda run: run.cpu_seconds,
    ),
    "scoring": Group(
        scoring.JOBS,
        scoring.PLAIN,
        {scoring.ALONE: 1.0},
        scoring.invent_diagnoses,
        _diagnoses,
        _reckoned,
        {scoring.PEER: scoring.peer_lacks},
    ),
    "all_scores": Group(
        all_scores.JOBS,
        all_scores.ALONE,
        {},
        all_scores.invent_records,
        all_scores.size_in_words,
        _reckoned,
    ),
    "outputs": Group(
        outputs.JOBS,
        outputs.OUTPUTS,
        {},
        outputs.invent_run,
        outputs.size_in_words,
        lambda run: run.cpu_seconds,
    ),
    "models": Group(
        models.JOBS,
        models.ALONE,
        {},
        models.invent_values,
        models.size_in_words,
        lambda run: sum(run.stages.values()),
    ),
    "commissioners": Group(
        commissioners.JOBS,
        commissioners.BUILD,
        {},
        commissioners.invent_run,
        commissioners.size_in_words,
        lambda run: run.cpu_seconds,
    ),
    "delta": Group(
        delta.JOBS,
        delta.FULL,
        {delta.SAME: 0.15, delta.WEEK: 0.15},
        delta.invent,
        delta.size_in_words,
        lambda run: run.cpu_seconds - run.stages[delta.LAID],
    ),
}

USUAL = ("loading", "scoring")
"""What is measured when nothing is asked for; the others take longer, and count other people."""
