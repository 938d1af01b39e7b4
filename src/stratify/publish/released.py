"""What a run released and hid, kept for whoever answers for it: cell by cell restricted, week by week published.

What is published is counted from the published tables, so that it tells nothing new; why a number was hidden is told
in the restricted store alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from stratify import disclosure
from stratify.contract_frames import empty
from stratify.contracts import load
from stratify.publish.about import SMALLEST_PRACTICE
from stratify.publish.context import PublishContext
from stratify.publish.weeks_told import MOST_WEEKS

CELLS, WEEKS = "audit.released_cell", "out.release_week"

RULES = (
    f"1 to {disclosure.LARGEST_HIDDEN} hidden, others to the nearest {disclosure.ROUND_TO}; events of fewer than "
    f"{disclosure.LARGEST_HIDDEN + 1} people hidden; no breakdown of a practice with fewer than {SMALLEST_PRACTICE} "
    "people; more hidden until none can be worked out"
)
"""Disclosure control in one line, as each file says it of its week."""

_PLACE = "geography_type"


def hidden_because(exact: pl.Expr, *, is_of_few: pl.Expr, is_small_practice: pl.Expr) -> pl.Expr:
    """Say of a cell that is hidden why it is; empty where it is shown."""
    return (
        pl.when(~pl.col("is_suppressed"))
        .then(None)
        .when(exact.is_between(1, disclosure.LARGEST_HIDDEN))
        .then(pl.lit("from 1 to 7"))
        .when(is_of_few)
        .then(pl.lit("of fewer than 8 people"))
        .when(is_small_practice)
        .then(pl.lit("breakdown of a small practice"))
        .otherwise(pl.lit("would give another away"))
        .alias("hidden_because")
    )


def released_cells(safe: pl.DataFrame, context: PublishContext) -> pl.DataFrame:
    """Give contract ``audit.released_cell`` of a run.

    Args:
        safe: Every cell, hidden and rounded, with ``hidden_because``.
        context: The run.
    """
    contract = load(CELLS)
    return (
        safe.with_columns(
            pl.lit(context.index_date).alias("index_date"),
            pl.lit(context.run_id).alias("run_id"),
            pl.col("people_count").alias("told_count"),
        )
        .select(contract.column_names)
        .sort(contract.key)
    )


def release_weeks(
    tables: Mapping[str, pl.DataFrame], earlier: pl.DataFrame | None, context: PublishContext
) -> pl.DataFrame:
    """Give contract ``out.release_week``: the year up to this week.

    Args:
        tables: Published tables with numbers of places, by name.
        earlier: Contract ``out.release_week`` of earlier weeks; None where nothing is kept.
        context: The run.
    """
    since = context.index_date - timedelta(weeks=MOST_WEEKS)
    before = empty(WEEKS) if earlier is None else earlier
    names = load(WEEKS).column_names
    mine = [
        frame.group_by(_PLACE).agg(
            (~pl.col("is_suppressed")).sum().cast(pl.Float64).alias("rows_shown"),
            pl.col("is_suppressed").sum().cast(pl.Float64).alias("rows_hidden"),
            (100 * pl.col("is_suppressed").mean()).round(1).alias("hidden_percent"),
            pl.lit(table.split(".")[1]).alias("table_name"),
        )
        for table, frame in tables.items()
    ]
    week = pl.concat(mine).with_columns(
        pl.lit(context.index_date).alias("week"),
        pl.lit(RULES).alias("rules"),
        pl.lit(context.code_version).alias("code_version"),
        pl.lit(context.run_id).alias("run_id"),
    )
    before = before.filter((pl.col("week") > since) & (pl.col("week") < context.index_date))
    return pl.concat([before.select(names), week.select(names)])
