"""Everybody at once on a Spark cluster: the functions of the reckoning, on PySpark frames.

Spark cuts and spreads the work itself, and does again what a lost worker was at. Only this module knows PySpark. What
DuckDB does in words of its own (``marks``) is done by the general functions beside it; tests hold the results equal.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from stratify import contracts, features, hits, pathways, scores, wide
from stratify.errors import SettingsError
from stratify.hits import Frame
from stratify.reckoning import scored_table
from stratify.rulebook import RuleBook
from stratify.scaled.buckets import CLUSTER, RESULTS, TABLES, Work, columns_read, put

_VALUES, _SCORES, _DECISIONS = RESULTS
_TYPES = {
    "VARCHAR": "string",
    "DATE": "date",
    "TIMESTAMP": "timestamp_ntz",
    "BOOLEAN": "boolean",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "DECIMAL(18,4)": "decimal(18,4)",
}
"""What Spark calls the types of contracts."""


def work_on_spark(work: Work, *, master: str) -> None:
    """Work out everybody of a run on a Spark cluster, and put what comes of it in place.

    Args:
        work: What to work out; every worker sees its folder under the same path.
        master: The master of the cluster, for example ``spark://10.0.0.5:7077``.

    Raises:
        SettingsError: PySpark is not installed.
    """
    book = work.rule_book()
    aside = work.folder / "aside" / uuid.uuid4().hex
    aside.mkdir(parents=True, mode=0o700)
    try:
        with _session(master) as spark:
            _work(spark, work, book, aside)
        put(aside / "done", work.done / CLUSTER)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _session(master: str) -> Iterator[Any]:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise SettingsError(
            "settings, spread.engine",
            expected="spark only where PySpark is installed",
            found="no such package",
            action="Install stratify[spark] here, and Java 17 here and on every worker.",
        ) from None
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",  # it would show the plans to whoever reaches the port
        "spark.sql.ansi.enabled": "true",  # a number that cannot be is an error and never nothing
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    }
    builder = SparkSession.builder.master(master).appName("stratify")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def _work(spark: Any, work: Work, book: RuleBook, aside: Path) -> None:  # noqa: ANN401  PySpark is optional
    """Work out values, then each score and each pathway by itself; every step is written before the next reads it."""

    def kept(name: str, frame: Frame, *, mode: str = "error") -> Frame:
        to = str(aside / "done" / name)
        frame.to_native().write.mode(mode).parquet(to)
        found: Frame = nw.from_native(spark.read.parquet(to))
        return found

    def settle(name: str, frame: Frame) -> Frame:
        return kept(f"../{name}", frame)

    tables = {name: _table(spark, work, name) for name in TABLES}
    persons = tables.pop("person")
    matches = [(row[0], row[1], row[2]) for row in pl.read_parquet(work.codes).iter_rows()]
    hits.code_table(book, matches, index_date=work.index_date).write_parquet(aside / "meant.parquet")
    codes: Frame = nw.from_native(spark.read.parquet(str(aside / "meant.parquet")))
    values = kept(_VALUES, features.variable_values(tables, codes, book, index_date=work.index_date, settle=settle))

    def scored(own: RuleBook) -> Frame:
        mine = values.filter(nw.col("variable").is_in(sorted(own.variables) or [""]))
        return scores.add_scores(wide.person_rows(persons, mine, own, index_date=work.index_date), own)

    for name in book.score_order:
        own = book.cut_down_to(name)
        kept(_SCORES, scores.score_rows(scored(own), own, only=name), mode="append")
    for name in sorted(book.pathways):
        own = book.cut_down_to(name)
        rows = kept(scored_table(name), scored(own))
        kept(_DECISIONS, pathways.decide(rows, book.pathways[name], own), mode="append")


def _table(spark: Any, work: Work, name: str) -> Frame:  # noqa: ANN401  PySpark is optional
    """Give a core table of everybody; one that holds nobody has no folder to read."""
    types = {column.name: _TYPES[column.type] for column in contracts.load(f"core.{name}").columns}
    schema = ", ".join(f"`{column}` {types[column]}" for column in columns_read(name))
    folder = work.core(name)
    is_there = any(folder.glob("*/*.parquet"))
    native = spark.read.parquet(str(folder)) if is_there else spark.createDataFrame([], schema)
    found: Frame = nw.from_native(native.select(*columns_read(name)))
    return found
