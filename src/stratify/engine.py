"""Which engine runs the clinical logic: the only place that knows a Narwhals frame from a DuckDB relation.

Reckoning modules take and give ``nw.LazyFrame``. Here a table of the run becomes one, and a finished one becomes a
table again. Polars frames enter the same reckoning in tests and worked examples through ``from_polars``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from stratify import contracts
from stratify.store import Store

Frame: TypeAlias = "nw.LazyFrame[Any]"
"""A lazy frame of whichever engine."""


def table(store: Store, name: str) -> Frame:
    """Give a table of the run, ``schema.table``, as a lazy frame; nothing is read yet."""
    return nw.from_native(store.connection.table(name))


def query(store: Store, sql: str) -> Frame:
    """Give a query of the run as a lazy frame; nothing is read yet."""
    return nw.from_native(store.connection.sql(sql))


def from_polars(frame: pl.DataFrame) -> Frame:
    """Give a Polars frame as a lazy frame, so that the same reckoning runs without a store."""
    return nw.from_native(frame.lazy())


def collected(frame: Frame) -> pl.DataFrame:
    """Run a lazy frame that came from Polars."""
    found: pl.DataFrame = frame.collect(backend="polars").to_native()
    return found


def concat(frames: Sequence[Frame]) -> Frame:
    """Put frames of the same columns under one another."""
    return nw.concat(list(frames))


def keep(store: Store, name: str, frame: Frame) -> int:
    """Run a lazy frame and keep it as the table of a contract, sorted by its key.

    Returns:
        How many rows were kept.
    """
    contract = contracts.load(name)
    casts = ", ".join(f'CAST("{column.name}" AS {column.type}) AS "{column.name}"' for column in contract.columns)
    order = ", ".join(f'"{column}"' for column in contract.key) or "ALL"
    _create(store, f"TABLE {name}", f"SELECT {casts} FROM ({written(frame)}) ORDER BY {order}")
    return int(store.scalar(f"SELECT count(*) FROM {name}"))


def rows(store: Store, frame: Frame) -> pl.DataFrame:
    """Run a lazy frame over the store and give its rows as a Polars frame."""
    return store.frame_of(frame.to_native())


def settle(store: Store, name: str, frame: Frame | str) -> Frame:
    """Run a lazy frame, or its query, once, keep it as a working table outside any contract, and give that table."""
    _create(store, f"TABLE {name}", frame)
    return table(store, name)


def hold(store: Store, name: str, frame: Frame | str) -> Frame:
    """Run a lazy frame, or its query, once and hold it, uncompressed, until it is let go or the store closes.

    Writing a table to the file of a run costs several times as much. What does not fit the memory limit goes to the
    temporary folder of the run.
    """
    _create(store, f"TEMP TABLE {name}", frame)
    return table(store, f"temp.main.{name}")


def let_go(store: Store, *names: str) -> None:
    """Forget frames that were held; one that never was is no fault."""
    for name in names:
        store.execute(f"DROP TABLE IF EXISTS temp.main.{name}")


def written(frame: Frame) -> str:
    """Give a lazy frame over tables of a store as the query it stands for."""
    query: str = frame.to_native().sql_query()
    return query


def _create(store: Store, what: str, frame: Frame | str) -> None:
    store.execute(f"CREATE OR REPLACE {what} AS {frame if isinstance(frame, str) else written(frame)}")
