"""Commissioners read while the file is replaced again and again: no reader fails, and none sees two publishes at once.

Publishes are put in place as a run does it (``runs.point``, one rename of a link). Each reader is a process that opens
the file by its path, read only, asks several tables which run they are of, and looks at the Parquet of the folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import metrics_example
import pytest
from publish_example import context

from stratify.metric_book import load_metrics
from stratify.metric_run import counted
from stratify.publish import build_counts, write_commissioner_file
from stratify.rulebook import load_rule_book
from stratify.runs import point
from stratify.store import open_store

READER = """
import json, os, sys
from pathlib import Path
import duckdb

folder, stop = Path(sys.argv[1]), Path(sys.argv[2])
reads, seen, mixed, errors = 0, set(), 0, []
duckdb.execute("SET enable_progress_bar = false")  # it would write among our own lines
print("ready", flush=True)
while not stop.exists():
    try:
        with duckdb.connect(str(folder / "commissioner.duckdb"), read_only=True) as file:
            file.execute("SET enable_progress_bar = false")
            runs = {run for table in ("metric_value", "population", "pathway_count", "metric_funnel", "metric_gradient")
                    for (run,) in file.execute(f"SELECT DISTINCT run_id FROM {table}").fetchall()}
            runs.add(file.execute("SELECT detail FROM about WHERE topic LIKE '% Run'").fetchone()[0])
            file.execute("SELECT * FROM metric('emergency_admissions', 'PCN')").fetchall()
        one = os.path.realpath(folder)  # whoever reads several files looks up the folder once
        for name in ("metric_value", "population"):
            runs_there = duckdb.sql(f"SELECT DISTINCT run_id FROM '{one}/{name}.parquet'").fetchall()
            mixed += len(runs_there) > 1
        mixed += len(runs) != 1
        seen |= runs
        reads += 1
    except Exception as fault:
        errors.append(type(fault).__name__)
print(json.dumps({"reads": reads, "seen": len(seen), "mixed": mixed, "errors": errors}))
"""


@pytest.fixture(scope="module")
def publishes(tmp_path_factory):
    """Make two folders to publish in turn, each of a run of its own."""
    folder = tmp_path_factory.mktemp("publishes")
    return [_published(folder, number) for number in range(2)]


def _published(folder: Path, number: int) -> Path:
    book = load_rule_book()
    run = context(run_id=f"run-{number}", data_cutoffs=metrics_example.CUTOFFS, pathways=book.published)
    with open_store(folder / f"{number}.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        metrics_example.fill(store)
        build_counts(store, run, counted(store, load_metrics(), run, book), signature="Not signed")
        write_commissioner_file(store, folder / f"{number}", run)
    return folder / f"{number}"


def _publish_while_reading(tmp_path: Path, made: list[Path], *, publishes: int, readers: int) -> list[dict]:
    """Publish with a moment between, so that readers get a turn on a machine with few processors."""
    out, stop = tmp_path / "out", tmp_path / "stop"
    out.mkdir()

    def place(number: int) -> None:
        folder = out / f"run-{number}"
        shutil.copytree(made[number % len(made)], folder, copy_function=_linked)
        point(out / "published", Path(folder.name))

    place(0)
    command = [sys.executable, "-c", READER, str(out / "published"), str(stop)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)]
    try:
        for each in processes:
            assert each.stdout.readline() == "ready\n"
        for number in range(1, publishes):
            place(number)
            time.sleep(0.01)
    finally:
        stop.touch()
    return [json.loads(each.communicate(timeout=300)[0]) for each in processes]


def _linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _check(found: list[dict]) -> None:
    assert [each["errors"] for each in found] == [[]] * len(found)
    assert sum(each["mixed"] for each in found) == 0
    assert all(each["reads"] for each in found)
    assert max(each["seen"] for each in found) > 1  # somebody saw the file change


def test_readers_see_one_publish_each_and_never_fail(tmp_path, publishes):
    _check(_publish_while_reading(tmp_path, publishes, publishes=100, readers=2))


@pytest.mark.slow
def test_a_thousand_publishes_under_fifty_readers(tmp_path, publishes):
    _check(_publish_while_reading(tmp_path, publishes, publishes=1000, readers=50))
