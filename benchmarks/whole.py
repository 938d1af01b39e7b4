"""A whole weekly run beside the bare reference script, over the same files: each stage's wall, CPU, memory and writing.

Five scores are the same quantity in both (:data:`bare_run.SCORES`): of everybody whose score is complete in the run the
two must agree, and the group fails where they do not. The run works out all other scores, values, routes and lists too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from benchmarks import bare_run, loading
from benchmarks.laps import FullLaps, Stages
from benchmarks.measuring import Run

BARE, RUN = "bare reference script", "stratify run"
_KEPT = ("run.duckdb", "identity.duckdb")


def invent(scratch: Path, people: int) -> Path:
    """Invent a clean county, with what the definitions say written out for the bare script."""
    extracts = loading.invent_county(scratch, people)
    bare_run.write_definitions(scratch, loading.INDEX_DATE)
    return extracts


def run(extracts: Path, out: Path, memory_limit: str | None) -> Stages:
    """Do what ``stratify run`` does, and keep its store for the comparison."""
    from stratify import audit_trail, pipeline, runs

    laps = FullLaps()
    settings = _settings(extracts, out, memory_limit)
    laps.begin("starting and importing", since_start=True)
    pipeline.run(
        settings,
        key=runs.identity_key(settings, os.environ),
        by=audit_trail.this_account("benchmark"),
        progress=lambda words: None if ": " in words else laps.begin(words.strip()),
    )
    laps.save(out)
    for name in _KEPT:
        (settings.out / "restricted" / name).resolve().replace(extracts.parent / name)
    return laps.seconds


def _written(extracts: Path, out: Path, memory_limit: str | None) -> dict[str, object]:
    objections = dict.fromkeys(("type_1", "national", "local"), "exclude")
    written = {
        "extracts": str(extracts),
        "source": "synthetic_county",
        "out": str(out / "run"),
        "index_date": loading.INDEX_DATE.isoformat(),
        "organisation": "Invented Board",
        "contact": "Ring the invented desk",
        "privacy": {"purpose": "case_finding", "approval_reference": "invented, for a benchmark"} | objections,
    }
    return written | ({"memory_limit": memory_limit} if memory_limit else {})


def _settings(extracts: Path, out: Path, memory_limit: str | None):
    import yaml

    from stratify.settings import load_settings

    path = out / "settings.yaml"
    path.write_text(yaml.safe_dump(_written(extracts, out, memory_limit)), encoding="utf-8")
    return load_settings(path, environment=os.environ, overrides={}, today=loading.INDEX_DATE)


def agree(scratch: Path) -> str:
    """Hold the scores of the run against those of the bare script, person by person.

    Raises:
        ValueError: they differ on somebody whose score is complete in the run, or there is nobody to compare.
    """
    from stratify.store import open_store

    with open_store(scratch / _KEPT[0], temp_directory=scratch / "scratch", read_only=True) as store:
        store.attach(scratch / _KEPT[1], "identity", read_only=True)
        compared = store.rows(_COMPARED.format(bare=scratch / bare_run.ANSWERS))
    differ = {score: different for score, _, different in compared if different}
    if differ or {score for score, _, _ in compared} != set(bare_run.SCORES):
        raise ValueError(f"scores of the run and of the bare script: expected the same; found people apart: {compared}")
    return "the same for " + ", ".join(f"{count:,} people ({score})" for score, count, _ in compared)


# Somebody without an NHS number has another key in each; the run rounds scores to six places.
_COMPARED = """
SELECT s.score, count(*), count(*) FILTER (
    b.person IS NULL OR s.tier IS DISTINCT FROM b.tier OR (b.value IS NOT NULL AND abs(s.value - b.value) > 1e-6))
FROM derived.patient_score AS s JOIN core.person AS p USING (patient_key) JOIN identity.person AS i USING (patient_key)
LEFT JOIN '{bare}' AS b ON b.score = s.score AND b.person = i.nhs_number
WHERE s.score IN (SELECT DISTINCT score FROM '{bare}') AND s.is_complete AND i.nhs_number IS NOT NULL
    AND (s.tier IS NOT NULL OR s.value IS NOT NULL)
GROUP BY ALL ORDER BY ALL
"""


def stages_in_words(runs: Mapping[str, Run]) -> str:
    """Write the stages of the run as a table, each also as a share of the whole bare script."""
    bare, ours = runs[BARE], runs[RUN]
    lines = ["", "| stage | wall s | CPU s | peak MB | written MB | CPU, times all of the bare script |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for name, lap in ours.laps.items():
        share = lap["cpu"] / bare.cpu_seconds
        lines.append(
            f"| {name} | {lap['wall']:.1f} | {lap['cpu']:.1f} | {lap['peak_mb']:.0f} | {lap['written_mb']:.0f} "
            f"| {share:.2f} |"
        )
    wall = ours.wall_seconds / bare.wall_seconds
    lines += ["", f"The whole run takes {wall:.2f} times the wall and {_times(runs):.2f} times the CPU of the script."]
    return "\n".join(lines) + "\n"


def _times(runs: Mapping[str, Run]) -> float:
    return runs[RUN].cpu_seconds / runs[BARE].cpu_seconds


def exponent(cost: Mapping[int, float]) -> float | None:
    """Give the power of the number of people that a cost grows with: least squares of the logarithms.

    None for fewer than two sizes.
    """
    if len(cost) < 2:
        return None
    points = [(math.log(people), math.log(seconds)) for people, seconds in cost.items()]
    x_mean, y_mean = (sum(each) / len(points) for each in zip(*points, strict=True))
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)


def growth(results: Mapping[int, Mapping[str, Run]]) -> tuple[str, str]:
    """Give the table of all sizes kept, with the exponents fitted over them, and a plot of the same.

    Args:
        results: The runs kept, by people.
    """
    from stratify.modelling.plots import Course, line_plot

    lines = ["| people | bare, wall s | CPU s | peak MB | run, wall s | CPU s | peak MB | times wall | times CPU |"]
    lines += ["|" + " --- |" * 9]
    for people, runs in sorted(results.items()):
        bare, ours = runs[BARE], runs[RUN]
        lines.append(
            f"| {people:,} | {bare.wall_seconds:.1f} | {bare.cpu_seconds:.1f} | {bare.peak_mb:.0f} "
            f"| {ours.wall_seconds:.1f} | {ours.cpu_seconds:.1f} | {ours.peak_mb:.0f} "
            f"| {ours.wall_seconds / bare.wall_seconds:.2f} | {_times(runs):.2f} |"
        )
    courses = []
    for job in (BARE, RUN):
        cost = {people: runs[job].cpu_seconds for people, runs in results.items()}
        if fitted := exponent(cost):
            lines += ["", f"{job}: CPU grows with people to the power {fitted:.2f}."]
        courses.append(Course(job, tuple((people / 1000, seconds) for people, seconds in sorted(cost.items()))))
    most = max(seconds for course in courses for _, seconds in course.points)
    plot = line_plot(
        courses[::-1],
        what="CPU seconds of a whole run and of the bare script by number of people",
        across="thousands of people",
        up="CPU seconds",
        x_range=(0.0, max(results) / 1000),
        y_range=(0.0, most),
    )
    return "\n".join(lines) + "\n", plot


JOBS = {BARE: bare_run.bare, RUN: run}
