"""From the lists of kept weeks to the people and places that a design compares: frames in, frames out.

A person counts once, in the week of the first list they were ever on, by what they had in that week; what became of it
later changes nothing (intention to treat), and follow-up begins on that day for both sides. Follow-up is as long for
everybody, but for death and leaving; whoever's time is not over yet is not in it.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from stratify.rules.evaluation import Evaluation

_LIST = ["week", "clinic_id", "practice_code"]
_PLACED = ("listed", "waiting")


def first_lists(rows: pl.DataFrame, evaluation: Evaluation) -> pl.DataFrame:
    """Give everybody in the week they first had or missed a place, with where in the list that was.

    Args:
        rows: Contract ``audit.list_row`` of all kept weeks.
        evaluation: Which pathway, clinic and weeks.

    Returns:
        ``patient_key``, ``week``, ``practice_code``, ``tier``, ``is_offered``, ``position``, ``above``, ``below``, and
        ``later``: the week in which somebody who waited had a place after all.
    """
    mine = rows.filter(
        (pl.col("pathway") == evaluation.pathway)
        & (pl.col("clinic_id") == evaluation.clinic)
        & pl.col("placement").is_in(_PLACED)
    ).with_columns((pl.col("placement") == "listed").alias("is_offered"))
    above, size = pl.col("is_offered").sum().over(_LIST).cast(pl.Int64), pl.len().over(_LIST).cast(pl.Int64)
    ordered = mine.sort(*_LIST, "priority_rank", "patient_key", nulls_last=True).with_columns(
        above.alias("above"),
        (size - above).alias("below"),
        (pl.int_range(pl.len()).over(_LIST) - above + 0.5).alias("position"),
    )
    first = ordered.filter(pl.col("week") == pl.col("week").min().over("patient_key"))
    return (
        first.filter(pl.col("week").is_between(evaluation.recruits_from, evaluation.recruits_until))
        .join(_later(rows, evaluation), on="patient_key", how="left", maintain_order="left")
        .select("patient_key", "week", "practice_code", "tier", "is_offered", "position", "above", "below", "later")
    )


def in_order(units: pl.DataFrame) -> pl.DataFrame:
    """Leave out the lists on which somebody who waits stands before somebody with a place: the cut is not there."""
    is_broken = (pl.col("is_offered") != (pl.col("position") < 0)).any().over("week", "practice_code")
    return units.filter(~is_broken)


def followed(
    units: pl.DataFrame, events: pl.DataFrame, gone: pl.DataFrame, evaluation: Evaluation, *, data_until: date
) -> pl.DataFrame:
    """Count what came before and after, for those whose follow-up is over.

    Args:
        units: ``patient_key``, ``week`` and anything else.
        events: ``patient_key``, ``event_date``.
        gone: ``patient_key``, ``last_date``: the day of death, or the last day registered.
        evaluation: How long before and after.
        data_until: The last day that the records describe.

    Returns:
        The units with ``events_before``, ``days_before``, ``events_after``, ``days_after``.
    """
    ended = pl.col("week") + timedelta(days=evaluation.after_days)
    begun = pl.col("week") - timedelta(days=evaluation.before_days)
    kept = (
        units.filter(ended <= data_until + timedelta(days=1))
        .join(gone.group_by("patient_key").agg(pl.col("last_date").min()), on="patient_key", how="left")
        .with_columns(pl.min_horizontal(ended, pl.col("last_date") + timedelta(days=1)).alias("end"))
        .filter(pl.col("end") > pl.col("week"))
    )
    day = pl.col("event_date")
    counted = (
        kept.select("patient_key", "week", "end")
        .join(events, on="patient_key")
        .group_by("patient_key")
        .agg(
            ((day >= begun) & (day < pl.col("week"))).sum().alias("events_before"),
            ((day >= pl.col("week")) & (day < pl.col("end"))).sum().alias("events_after"),
        )
    )
    return (
        kept.join(counted, on="patient_key", how="left", maintain_order="left")
        .with_columns(
            pl.col("events_before", "events_after").fill_null(0).cast(pl.Float64),
            pl.lit(float(evaluation.before_days)).alias("days_before"),
            (pl.col("end") - pl.col("week")).dt.total_days().cast(pl.Float64).alias("days_after"),
        )
        .drop("end", "last_date")
    )


def alike(units: pl.DataFrame, persons: pl.DataFrame) -> pl.DataFrame:
    """Give people the ``block`` of those they are like: tier, fifteen years of age, sex, and admissions before.

    Args:
        units: What :func:`followed` gave.
        persons: ``patient_key``, ``age_years``, ``sex``.
    """
    parts = [
        pl.col("tier").fill_null("not graded"),
        (pl.col("age_years") // 15).cast(pl.String).fill_null("not known"),
        pl.col("sex").fill_null("not known"),
        pl.col("events_before").clip(0, 3).cast(pl.Int64).cast(pl.String),
    ]
    known = units.join(persons, on="patient_key", how="left", maintain_order="left")
    return known.with_columns(pl.concat_str(parts, separator=" ").alias("block"))


def drawn(rows: pl.DataFrame, allocations: pl.DataFrame, evaluation: Evaluation) -> pl.DataFrame:
    """Give those among whom a lot decided, by what it gave them, whatever became of that; ``block`` is the draw.

    Args:
        rows: Contract ``audit.list_row`` of all kept weeks.
        allocations: Contract ``audit.allocation`` of all kept weeks; draws under another plan do not count.
        evaluation: The plan.
    """
    mine = allocations.filter(
        (pl.col("pathway") == evaluation.pathway)
        & (pl.col("clinic_id") == evaluation.clinic)
        & (pl.col("plan_digest") == evaluation.digest)
        & pl.col("week").is_between(evaluation.recruits_from, evaluation.recruits_until)
    )
    first = mine.filter(pl.col("week") == pl.col("week").min().over("patient_key"))
    block = pl.concat_str(pl.col("week").cast(pl.String), "draw", separator=" ").alias("block")
    decided = first.select("patient_key", "week", pl.col("is_given").alias("is_offered"), block)
    return decided.join(_later(rows, evaluation), on="patient_key", how="left", maintain_order="left")


def _later(rows: pl.DataFrame, evaluation: Evaluation) -> pl.DataFrame:
    """Give the first week in which each person had a place."""
    mine = (pl.col("pathway") == evaluation.pathway) & (pl.col("clinic_id") == evaluation.clinic)
    placed = rows.filter(mine & (pl.col("placement") == "listed"))
    return placed.group_by("patient_key").agg(pl.col("week").min().alias("later"))
