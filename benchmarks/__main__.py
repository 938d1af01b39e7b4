"""``python -m benchmarks --people N``: invent a county, let the jobs take turns over it, write the table."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.jobs import FILES, INDEX_DATE, JOBS, PLAIN, RATIOS, inspect
from benchmarks.measuring import Run, measure, middle

RESULTS = Path(__file__).parent / "results"
_HEAD = "| job | wall s | CPU s | peak MB | written MB | left MB | CPU, times plain | at most | when last kept |"


def main() -> None:
    """Read the arguments, measure, print and keep the table."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument("--people", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--memory-limit", default=None, help="for example 1GB; DuckDB's own default when not given")
    asked.add_argument("--job", action="append", choices=list(JOBS), help="only this one; repeatable")
    asked.add_argument("--scratch", type=Path, default=None, help="where the county goes, and stays for the next time")
    asked.add_argument("--dry", action="store_true", help="print the table and keep nothing")
    given = asked.parse_args()
    with TemporaryDirectory() as folder:
        scratch = (given.scratch or Path(folder)) / f"county_{given.people}"
        extracts = invent(scratch, given.people)
        runs: dict[str, list[Run]] = {job: [] for job in given.job or JOBS}
        for round_number in range(given.rounds):
            for job in runs:
                runs[job].append(measure(job, extracts, scratch, given.memory_limit))
                print(f"round {round_number + 1}: {job}: {runs[job][-1].cpu_seconds} CPU s", file=sys.stderr)
        size = sum(path.stat().st_size for path in extracts.glob("*.csv")) / 1e6
    name = f"loading_{given.people}" + (f"_{given.memory_limit}" if given.memory_limit else "")
    table = in_words(given.people, size, given.memory_limit, runs, _kept(name))
    print(table)
    if not given.dry:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(table, encoding="utf-8")
        kept = {job: asdict(middle(mine)) for job, mine in runs.items()}
        (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def invent(scratch: Path, people: int) -> Path:
    """Invent a clean county, unless it is there, with what the file gate says of it beside it."""
    extracts = scratch / "extracts"
    if not (scratch / FILES).exists():
        command = [sys.executable, "-c", "from stratify.cli import app; app()", "synth", "--out", str(extracts)]
        command += ["--people", str(people), "--seed", "1", "--clean", "--format", "csv", "--replace"]
        subprocess.run([*command, "--index-date", INDEX_DATE.isoformat()], check=True, stdout=subprocess.DEVNULL)
        passed = [file.model_dump(mode="json") for file in inspect(extracts, scratch)]
        (scratch / FILES).write_text(json.dumps(passed), encoding="utf-8")
    return extracts


def _kept(name: str) -> Mapping[str, float]:
    path = RESULTS / f"{name}.json"
    runs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    plain = runs.get(PLAIN, {}).get("cpu_seconds")
    return {job: run["cpu_seconds"] / plain for job, run in runs.items() if plain}


def in_words(
    people: int,
    size: float,
    memory_limit: str | None,
    runs: Mapping[str, Sequence[Run]],
    before: Mapping[str, float],
) -> str:
    """Write the table: the median run of each job, what it cost beside the plain load, and its stages."""
    chosen = {job: middle(list(mine)) for job, mine in runs.items()}
    plain = chosen[PLAIN].cpu_seconds if PLAIN in chosen else None
    limits = {job: most for job, _, most in RATIOS}
    lines = [
        f"{people:,} invented people, {size:,.0f} MB of CSV; the median by CPU of {len(next(iter(runs.values())))} "
        f"rounds; memory limit {memory_limit or 'none set'}; {platform.machine()}, Python {platform.python_version()}, "
        f"DuckDB {version('duckdb')}.",
        "",
        _HEAD,
        "|" + " --- |" * _HEAD.count(" | ") + " --- |",
    ]
    for job, run in chosen.items():
        ratio = f"{run.cpu_seconds / plain:.2f}" if plain else ""
        most = f"{limits[job]:.1f}" if job in limits else ""
        last = f"{before[job]:.2f}" if job in before else ""
        lines.append(
            f"| {job} | {run.wall_seconds} | {run.cpu_seconds} | {run.peak_mb:.0f} | {run.written_mb:.0f} "
            f"| {run.left_mb:.0f} | {ratio} | {most} | {last} |"
        )
    lines += ["", "| job | stage | CPU s |", "| --- | --- | --- |"]
    for job, run in chosen.items():
        lines += [f"| {job} | {stage} | {seconds:.2f} |" for stage, seconds in run.stages.items() if seconds >= 0.05]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
