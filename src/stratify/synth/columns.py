"""Columns of the synthetic county's tables, made from whole arrays: no Python object a row.

Here: texts picked from a list, ids, days, and the two columns that say when an extract shows a row. What is in the
rows belongs to those who draw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[Any]
"""Texts as Python objects: for a few a person, never for one a row."""

NEVER = 10**6
"""A day that never comes; days are counted from 1970-01-01."""
YEAR = 365.25

KNOWN = "_known"
"""Day on which the supplier's extract first shows a version of a row (Int32)."""
REPLACES = "_replaces"
"""True where the version supersedes an earlier one of the same key (Boolean); absent where none does."""


def picked(choices: Sequence[str | None], which: Ints) -> pl.Series:
    """Make a text column: the choice at each position; a position of -1 is empty."""
    held = pl.Series(values=[*choices, None], dtype=pl.String)
    return held.gather(np.where(which < 0, len(choices), which))


def gathered(values: pl.Series, which: Ints) -> pl.Series:
    """Make a column of the value at each position of another column, such as one a person."""
    return values.gather(which)


def ids(prefix: str, numbers: Ints, width: int) -> pl.Series:
    """Make a column of ids: the prefix, then the number with leading noughts to the width."""
    padded = pl.Series(values=numbers).cast(pl.String).str.zfill(width)
    return pl.Series(values=prefix + padded) if prefix else padded


def days(values: Ints) -> pl.Series:
    """Make a date column of days since 1970-01-01; a day that never comes is empty."""
    column = pl.Series(values=values.astype(np.int64))
    return pl.select(pl.when(column < NEVER).then(column).cast(pl.Int32).cast(pl.Date)).to_series()


def moments(day: Ints, second: Ints) -> pl.Series:
    """Make a column of times: the day and the second of it."""
    stamps = pl.Series(values=(day * 86_400 + second) * 1000)
    return pl.select(pl.when(pl.Series(values=day < NEVER)).then(stamps).cast(pl.Datetime("ms"))).to_series()


def known(values: Ints) -> pl.Series:
    """Make the column ``KNOWN``."""
    return pl.Series(values=values, dtype=pl.Int32)


def same(value: str | bool | int | None, count: int) -> pl.Series:
    """Make a column of one value."""
    kind = pl.Boolean if isinstance(value, bool) else pl.Int64 if isinstance(value, int) else pl.String
    return pl.Series(values=[value], dtype=kind).new_from_index(0, count)


def texts(values: Sequence[object] | Texts) -> pl.Series:
    """Make a text column of Python objects, for tables of a few rows a person; None stays empty."""
    return pl.Series(values=[None if value is None else str(value) for value in values], dtype=pl.String)


def where_so(condition: Flags, values: Texts | str) -> Texts:
    """Give the values where the condition holds and None elsewhere."""
    chosen = np.full(condition.shape, None, dtype=object)
    chosen[condition] = values if isinstance(values, str) else values[condition]
    return chosen
