"""What is compared with what: each job is one competitor, run in a process of its own.

A job takes the folder of the inputs, an empty folder to write to and the memory limit, and gives the seconds of its
stages. To add one: write the function and name it in the ``JOBS`` of its group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import all_scores, commissioners, delta, loading, models, outputs, scoring, whole
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
        agree: Holds the answers of the jobs against each other, in the folder of the inputs, and says what was found.
        more: Writes more of the chosen runs than the table of all groups has.
    """

    jobs: dict[str, Callable[[Path, Path, str | None], Stages]]
    plain: str
    at_most: dict[str, float]
    invent: Callable[[Path, int], Path]
    size_in_words: Callable[[Path], str]
    cost: Callable[[Run], float]
    lacks: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    agree: Callable[[Path], str] | None = None
    more: Callable[[Mapping[str, Run]], str] | None = None


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
        loading.invent_county,
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
    "whole": Group(
        whole.JOBS,
        whole.BARE,
        {whole.RUN: 2.0},
        whole.invent,
        _mb_of_csv,
        lambda run: run.cpu_seconds,
        agree=whole.agree,
        more=whole.stages_in_words,
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

USUAL = ("loading", "scoring", "whole")
"""What is measured when nothing is asked for; the others take longer, and count other people."""
