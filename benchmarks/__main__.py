"""``python -m benchmarks --people N``: invent what is needed, let the jobs take turns over it, write the tables."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import whole
from benchmarks.groups import GROUPS, USUAL, Group
from benchmarks.measuring import Run, measure, middle

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Read the arguments, measure, print and keep the tables."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument("--people", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--memory-limit", default=None, help="for example 1GB; DuckDB's own default when not given")
    asked.add_argument(
        "--group",
        action="append",
        choices=list(GROUPS),
        help=f"this one, repeatable; {' and '.join(USUAL)} when not given",
    )
    asked.add_argument(
        "--scratch", type=Path, default=None, help="where what is invented goes, and stays for next time"
    )
    asked.add_argument("--dry", action="store_true", help="print the tables and keep nothing")
    given = asked.parse_args()
    with TemporaryDirectory() as folder:
        for name in given.group or USUAL:
            group = GROUPS[name]
            scratch = (given.scratch or Path(folder)) / f"{name}_{given.people}"
            inputs = group.invent(scratch, given.people)
            lacking = {job: why for job, asks in group.lacks.items() if (why := asks())}
            for job, why in lacking.items():
                print(f"left out: {job}: it needs {why}", file=sys.stderr)
            runs: dict[str, list[Run]] = {job: [] for job in group.jobs if job not in lacking}
            for round_number in range(given.rounds):
                for job in runs:
                    runs[job].append(measure(name, job, inputs, scratch, given.memory_limit))
                    print(f"round {round_number + 1}: {job}: {runs[job][-1].cpu_seconds} CPU s", file=sys.stderr)
            found = f"\nAnswers: {group.agree(scratch)}.\n" if group.agree else ""
            said = f"{given.people:,} invented people, {group.size_in_words(inputs)}; memory limit "
            kept = f"{name}_{given.people}" + (f"_{given.memory_limit}" if given.memory_limit else "")
            table = in_words(group, said + (given.memory_limit or "none set"), runs, _kept(kept, group)) + found
            chosen = {job: middle(mine) for job, mine in runs.items()}
            table += group.more(chosen) if group.more else ""
            print(table)
            if not given.dry:
                RESULTS.mkdir(exist_ok=True)
                (RESULTS / f"{kept}.md").write_text(table, encoding="utf-8")
                written = {job: asdict(run) for job, run in chosen.items()}
                (RESULTS / f"{kept}.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
                if name == "whole":
                    _write_growth()


def _write_growth() -> None:
    """Write what a whole run costs at all sizes kept, without a memory limit, as a table and a plot."""
    kept = {
        int(path.stem.split("_")[1]): _read(path) for path in RESULTS.glob("whole_*.json") if path.stem.count("_") == 1
    }
    table, plot = whole.growth(kept)
    (RESULTS / "whole.md").write_text(table, encoding="utf-8")
    (RESULTS / "whole.svg").write_text(plot, encoding="utf-8")


def _read(path: Path) -> dict[str, Run]:
    return {job: Run(**run) for job, run in json.loads(path.read_text("utf-8")).items()}


def _kept(name: str, group: Group) -> Mapping[str, float]:
    path = RESULTS / f"{name}.json"
    runs = _read(path) if path.exists() else {}
    plain = group.cost(runs[group.plain]) if group.plain in runs else 0.0
    return {job: group.cost(run) / plain for job, run in runs.items() if plain}


def in_words(group: Group, said: str, runs: Mapping[str, Sequence[Run]], before: Mapping[str, float]) -> str:
    """Write a table: the median run of each job, what it cost beside the plain one, and its stages."""
    chosen = {job: middle(list(mine)) for job, mine in runs.items()}
    plain = group.cost(chosen[group.plain])
    head = "| job | wall s | CPU s | compared, CPU s | peak MB | written MB | times plain | at most | when last kept |"
    lines = [
        f"{said}; the median by CPU of {len(next(iter(runs.values())))} rounds; {platform.machine()}, "
        f"Python {platform.python_version()}, DuckDB {version('duckdb')}.",
        "",
        head,
        "|" + " --- |" * (head.count("|") - 1),
    ]
    for job, run in chosen.items():
        most = f"{group.at_most[job]:.1f}" if job in group.at_most else ""
        last = f"{before[job]:.2f}" if job in before else ""
        lines.append(
            f"| {job} | {run.wall_seconds} | {run.cpu_seconds} | {group.cost(run):.2f} | {run.peak_mb:.0f} "
            f"| {run.written_mb:.0f} | {group.cost(run) / plain:.2f} | {most} | {last} |"
        )
    lines += ["", "| job | stage | CPU s |", "| --- | --- | --- |"]
    for job, run in chosen.items():
        lines += [f"| {job} | {stage} | {seconds:.2f} |" for stage, seconds in run.stages.items() if seconds >= 0.05]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
