"""Contracts as frames: which kind each column has in memory, and a table of a contract without a row."""

from __future__ import annotations

import polars as pl

from stratify import contracts

_KINDS: dict[str, pl.DataType] = {
    "DATE": pl.Date(),
    "BIGINT": pl.Int64(),
    "BOOLEAN": pl.Boolean(),
    "DOUBLE": pl.Float64(),
}


def schema_of(name: str) -> dict[str, pl.DataType]:
    """Give the columns of a contract; what is neither day, number nor yes or no is text."""
    return {column.name: _KINDS.get(column.type, pl.String()) for column in contracts.load(name).columns}


def empty(name: str) -> pl.DataFrame:
    """Give a table of a contract without a row."""
    return pl.DataFrame(schema=schema_of(name))
