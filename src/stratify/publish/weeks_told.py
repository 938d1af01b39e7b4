"""Offers, places, waits, answers and care processes week by week: what each week's file said, kept and told again.

A row of an earlier week is as its own file published it, hidden and rounded, so that the series tells nothing new.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from stratify.contract_frames import empty
from stratify.contracts import load
from stratify.store import Macro

TABLE = "out.metric_week"
MOST_WEEKS = 52
"""How many weeks back the table goes."""
CARE_PROCESSES = "diabetes_"
"""How the ids of care processes begin: they are told of practices too."""


def weeks_told(values: pl.DataFrame, earlier: pl.DataFrame | None, index_date: date) -> pl.DataFrame:
    """Give contract ``out.metric_week``: the year up to this week.

    Args:
        values: Contract ``out.metric_value`` of this week.
        earlier: Contract ``out.metric_week``, what earlier weeks published; None where nothing is kept.
        index_date: The day the run describes.
    """
    of_pathway = (pl.col("pathway") != "all") & (pl.col("geography_type") != "practice")
    is_care = pl.col("metric").str.starts_with(CARE_PROCESSES)
    mine = values.filter((pl.col("breakdown") == "all") & (of_pathway | is_care)).with_columns(
        pl.col("index_date").alias("week")
    )
    since = index_date - timedelta(weeks=MOST_WEEKS)
    before = empty(TABLE) if earlier is None else earlier
    before = before.filter((pl.col("week") > since) & (pl.col("week") < index_date))
    names = load(TABLE).column_names
    return pl.concat([before.select(names), mine.select(names)])


BY_MONTH = Macro(
    name="by_month",
    parameters=("wanted", "place"),
    query="""SELECT geography_code, pathway, date_trunc('month', week)::DATE AS month, week, numerator, denominator,
        value, lower_95, upper_95, reason
    FROM metric_week WHERE metric = wanted AND geography_type = lower(place)
    QUALIFY row_number() OVER (
        PARTITION BY geography_code, pathway, date_trunc('month', week) ORDER BY week DESC) = 1
    ORDER BY geography_code, pathway, month""",
    about="A metric of care processes or of a pathway as the last file of each month told it, for every practice (care "
    "processes only), PCN or ICB.",
    example="SELECT * FROM by_month('diabetes_all_eight_processes', 'practice')",
)
"""A question of the commissioners' file."""
