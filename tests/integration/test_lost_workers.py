"""Buckets on a Dask scheduler with two workers, of which one is killed at its work: the same, byte for byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pytest

import invented
import little_county
from little_county import INDEX
from stratify import scaled
from stratify.reckoning import decide_everybody, score_everybody, work_values
from stratify.rulebook import clinical_folder, load_rule_book
from stratify.runs import code_digest
from stratify.settings import Settings
from stratify.store import Store, open_store

pytest.importorskip("prefect_dask", reason="stratify[dask] is not installed")
pytestmark = pytest.mark.slow

BUCKETS = 8
_LISTENS = re.compile(r"(tcp://127\.0\.0\.1:\d+)")
LONGEST = 300
"""Seconds that are waited for anything."""


@contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of Dask until this ends."""
    command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(holds) -> None:
    end = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def clinical(tmp_path_factory) -> Path:
    """The definitions with one pathway."""
    folder = tmp_path_factory.mktemp("clinical") / "clinical"
    shutil.copytree(clinical_folder(), folder)
    for path in (folder / "pathways").glob("*.yaml"):
        if path.name.split(".")[0] != "copd":
            path.unlink()
    return folder


@pytest.fixture
def store(tmp_path, clinical) -> Iterator[Store]:
    """Core tables, and what people come to when all are worked out at once."""
    book = load_rule_book(clinical)
    persons, tables, _ = little_county.with_digests(little_county.random_county(book, seed=2029, people=120))
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch") as opened:
        for name, frame in {"person": persons, **tables}.items():
            opened.create(f"core.{name}", frame)
        matches = invented.matches(book, tables)
        schema = ("code_system", "code", "codelist")
        opened.create("derived.code_match", pl.DataFrame(matches, schema=schema, orient="row"))
        work_values(opened, book.for_pathways, index_date=INDEX)
        score_everybody(opened, book.for_pathways, index_date=INDEX)
        decide_everybody(opened, book.for_pathways, index_date=INDEX)
        yield opened


def bytes_of(store: Store, folder: Path) -> list[bytes]:
    for table in scaled.RESULTS:
        assert store.scalar(f"SELECT count(*) FROM {table}") > 0
        store.execute(f"COPY {table} TO '{folder / table}' (FORMAT parquet)")
    return [(folder / table).read_bytes() for table in scaled.RESULTS]


def test_a_worker_killed_at_its_bucket_changes_nothing(store, clinical, tmp_path):
    from flows import on_dask
    from prefect.testing.utilities import prefect_test_harness

    at_once = bytes_of(store, tmp_path)
    work = scaled.Work(
        folder=tmp_path / "buckets",
        buckets=BUCKETS,
        index_date=INDEX,
        clinical=clinical,
        rule_digest=load_rule_book(clinical).digest,
        code_digest=code_digest(),
        other_scores=False,
        threads=1,
    )
    scaled.cut(store, work)
    with ExitStack() as running:
        scheduler = running.enter_context(dask("scheduler", "--port", "0", "--no-dashboard"))
        address = next(found[1] for line in scheduler.stderr if (found := _LISTENS.search(line)))
        alone = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        lost, _ = (running.enter_context(dask(*alone)) for _ in range(2))
        running.enter_context(prefect_test_harness(server_startup_timeout=LONGEST))
        settings = Settings.model_validate(
            {"extracts": tmp_path, "source": "canonical", "out": tmp_path, "index_date": INDEX}
            | {"privacy": PRIVACY, "spread": {"engine": "dask", "buckets": BUCKETS, "scheduler": address}}
        )
        asked = running.enter_context(ThreadPoolExecutor(1)).submit(on_dask.spread_of(settings), work)
        aside = work.folder / "aside"
        wait_until(lambda: any(work.done.iterdir()) and len(list(aside.iterdir())) == 2)
        os.kill(lost.pid, 9)
        asked.result(timeout=LONGEST)
    assert len(list(work.done.iterdir())) == BUCKETS
    assert len(list(aside.iterdir())) == 1, "what the lost worker was at is not what was gathered"
    for table in scaled.RESULTS:
        store.execute(f"DROP TABLE {table}")
    book = load_rule_book(clinical).for_pathways
    for table in scaled.RESULTS[:2]:
        scaled.gather(store, work, book, table)
    scaled.gather_decisions(store, work, book)
    assert bytes_of(store, tmp_path) == at_once


PRIVACY = {
    "purpose": "case_finding",
    "type_1": "exclude",
    "national": "exclude",
    "local": "exclude",
    "approval_reference": "invented approval, for tests only",
}
