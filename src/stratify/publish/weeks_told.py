"""Offers, places, waits and answers week by week: what each week's file said of them, kept and told again.

A row of an earlier week is as its own file published it, hidden and rounded, so that the series tells nothing new.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from stratify.contract_frames import empty
from stratify.contracts import load

TABLE = "out.metric_week"
MOST_WEEKS = 52
"""How many weeks back the table goes."""


def weeks_told(values: pl.DataFrame, earlier: pl.DataFrame | None, index_date: date) -> pl.DataFrame:
    """Give contract ``out.metric_week``: the year up to this week.

    Args:
        values: Contract ``out.metric_value`` of this week.
        earlier: Contract ``out.metric_week``, what earlier weeks published; None where nothing is kept.
        index_date: The day the run describes.
    """
    mine = values.filter(
        (pl.col("pathway") != "all") & (pl.col("breakdown") == "all") & (pl.col("geography_type") != "practice")
    ).with_columns(pl.col("index_date").alias("week"))
    since = index_date - timedelta(weeks=MOST_WEEKS)
    before = empty(TABLE) if earlier is None else earlier
    before = before.filter((pl.col("week") > since) & (pl.col("week") < index_date))
    names = load(TABLE).column_names
    return pl.concat([before.select(names), mine.select(names)])
