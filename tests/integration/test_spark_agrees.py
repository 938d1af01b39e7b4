"""A Spark master and two workers on loopback give what DuckDB gives, exactly; where there are Spark and Java."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import polars.testing
import pytest

import invented
import little_county
from little_county import INDEX
from stratify import scaled
from stratify.reckoning import decide_everybody, score_everybody, work_values
from stratify.rulebook import load_rule_book
from stratify.runs import code_digest
from stratify.scaled import buckets
from stratify.scaled.on_spark import work_on_spark
from stratify.store import Store, open_store

pyspark = pytest.importorskip("pyspark", reason="stratify[spark] is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17, and none is on the path"),
]

ALL = load_rule_book()
BOOK = ALL.cut_down_to("copd", "lace")
PEOPLE = 60


@contextmanager
def spark_class(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a part of a Spark cluster until this ends."""
    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *map(str, arguments)]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--webui-port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def master(tmp_path, monkeypatch) -> Iterator[str]:
    """The address of a master with two workers of one core each."""
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    with ExitStack() as running:
        started = running.enter_context(spark_class("master.Master", "--port", "0"))
        address = next(found[0] for line in started.stderr if (found := re.search(r"spark://127\.0\.0\.1:\d+", line)))
        for number in (1, 2):
            folder = tmp_path / f"worker{number}"
            more = ("--cores", 1, "--memory", "1g", "--work-dir", folder)
            worker = running.enter_context(spark_class("worker.Worker", address, *more))
            assert any("Successfully registered" in line for line in worker.stderr)
        yield address


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    county = little_county.random_county(ALL.cut_down_to("copd", "frailty"), seed=2030, people=PEOPLE)
    persons, tables, _ = little_county.with_digests(county)
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch", threads=1) as opened:
        for name, frame in {"person": persons, **tables}.items():
            opened.create(f"core.{name}", frame)
        matches = invented.matches(BOOK, tables)
        schema = ("code_system", "code", "codelist")
        opened.create("derived.code_match", pl.DataFrame(matches, schema=schema, orient="row"))
        yield opened


def test_a_cluster_gives_every_row_that_duckdb_gives(store, master, tmp_path, monkeypatch):
    """Every column of every row, without tolerance."""
    monkeypatch.setattr(buckets, "_rule_book", lambda clinical, digest: BOOK)
    work_values(store, BOOK, index_date=INDEX)
    score_everybody(store, BOOK, index_date=INDEX)
    decide_everybody(store, BOOK, index_date=INDEX)
    by_duckdb = {table: store.frame(f"FROM {table}") for table in scaled.RESULTS}
    work = scaled.Work(
        folder=tmp_path / "buckets",
        buckets=2,
        index_date=INDEX,
        clinical=None,
        rule_digest=BOOK.digest,
        code_digest=code_digest(),
        other_scores=True,
    )
    scaled.cut(store, work)
    work_on_spark(work, master=master)
    for table in scaled.RESULTS[:2]:
        scaled.gather(store, work, BOOK, table)
    scaled.gather_decisions(store, work, BOOK)
    for table, expected in by_duckdb.items():
        assert expected.height > 0
        polars.testing.assert_frame_equal(store.frame(f"FROM {table}"), expected, check_exact=True)
