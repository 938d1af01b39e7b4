"""The metrics as tables: what each means, and its values with intervals, from counts already hidden and rounded.

Values and intervals are worked out from the rounded counts that stand beside them, so that they give away no more. Does
not belong: counting (``metrics``), hiding (``disclosure``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import polars as pl

from stratify import intervals
from stratify.publish.metric_words import definition
from stratify.rules.control_chart import ControlCharts
from stratify.rules.metric import Metric

HIDDEN = "hidden: from 1 to 7 people, or it would give away a number that is"
AMONG_HIDDEN = "hidden: the number it is counted among is hidden"
HELD = "held: a check of the data failed, so it is not counted this week"

_PLACE = ["geography_type", "geography_code", "breakdown", "breakdown_value"]
_DECIMALS = 1


@dataclass(frozen=True)
class MetricRow:
    """One metric over one period, on one pathway: how its cells are named and read.

    Attributes:
        metric: Id.
        version: Version of the definition.
        pathway: Pathway, or ``all``.
        held_with: Pathway whose held lists hold it too; None where none does.
        is_share: A share of people, and not a rate of events.
        per: For how many people.
        status: ``provisional`` or ``final``.
        period_start: First day.
        period_end: Last day.
        subject: Name of its cells.
        total: Names of the cells of its denominator: subject and part.
    """

    metric: str
    version: str
    pathway: str
    held_with: str | None
    is_share: bool
    per: int
    status: str
    period_start: date
    period_end: date
    subject: str
    total: tuple[str, str]


@dataclass(frozen=True)
class Months:
    """Final months of metrics, exact.

    Attributes:
        charts: Which of them have a control chart, and what is declared of it.
        events: ``metric``, ``month`` (its first day), ``practice_code``; ``people_count`` events, of ``person_count``.
        registered: ``month``, ``practice_code``; ``people_count`` on its last day, which is ``person_count`` too.
    """

    charts: ControlCharts
    events: pl.DataFrame
    registered: pl.DataFrame


@dataclass(frozen=True)
class Counted:
    """What a run counts for commissioners, exact and of nobody who objected.

    Attributes:
        people: Everybody counted: ``patient_key``, ``practice_code`` and groups.
        counts: Counts by practice and group, of people and of metrics.
        metrics: Every declared metric.
        refused: Why metrics are not counted, by id.
        rows: The metrics that are.
        standardised: Rates by ``subject``, place and breakdown; None where there is none.
        months: For control charts; None where there is none.
        said: What practices said, by answer, hidden and rounded: ``answer``, ``entry_count``, ``is_suppressed``.
    """

    people: pl.DataFrame
    counts: pl.DataFrame
    metrics: tuple[Metric, ...]
    refused: Mapping[str, str]
    rows: tuple[MetricRow, ...]
    standardised: pl.DataFrame | None
    months: Months | None = None
    said: pl.DataFrame | None = None


def metric_definitions(counted: Counted) -> pl.DataFrame:
    """Give contract ``out.metric``: a row for every declared metric, also those that cannot be counted."""
    known = {each.id: each for each in counted.metrics}
    rows = [definition(each, known.get(each.within or ""), counted.refused.get(each.id)) for each in counted.metrics]
    kinds = {"is_acid_test": pl.Boolean, "is_measurable": pl.Boolean}
    return pl.DataFrame(rows, schema={name: kinds.get(name, pl.String) for name in _DEFINITION})


_DEFINITION = (
    "metric", "metric_version", "name", "owner", "affects", "family", "kind", "unit", "numerator", "denominator",
    "period", "standardisation", "interval_method", "exclusions", "suppression", "source", "logic_model_node", "judges",
    "is_acid_test", "is_measurable", "not_measurable_because",
)  # fmt: skip


def metric_values(safe: pl.DataFrame, counted: Counted, held: pl.DataFrame) -> pl.DataFrame:
    """Give contract ``out.metric_value`` without the columns of the run.

    Args:
        safe: All cells, hidden and rounded, with ``geography_name``.
        counted: What was counted.
        held: What ``places.held_marks`` gives.
    """
    rows = pl.DataFrame(
        [{**asdict(each), "total_subject": each.total[0], "total_part": each.total[1]} for each in counted.rows],
        schema=_ROW_SCHEMA,
    )
    cells = safe.filter(pl.col("tier") == "all")
    whole = cells.select(
        pl.col("subject").alias("total_subject"),
        pl.col("part").alias("total_part"),
        *_PLACE,
        "geography_name",
        pl.col("people_count").alias("denominator"),
        pl.col("is_suppressed").alias("is_total_hidden"),
    )
    part = cells.filter(pl.col("part") == "numerator").select(
        "subject", *_PLACE, pl.col("people_count").alias("numerator"), pl.col("is_suppressed").alias("is_part_hidden")
    )
    joined = rows.join(whole, on=["total_subject", "total_part"]).join(part, on=["subject", *_PLACE], how="left")
    # A cell that is absent is a nought: nobody has it.
    is_hidden = pl.col("is_part_hidden").fill_null(False)
    joined = joined.with_columns(
        pl.when(is_hidden).then(None).otherwise(pl.col("numerator").fill_null(0)).alias("numerator")
    )
    marks = held.select(
        pl.col("pathway").alias("held_with"), "geography_type", "geography_code", "geography_name", "held"
    )
    joined = joined.join(
        marks.drop("geography_name"), on=["held_with", "geography_type", "geography_code"], how="left"
    ).with_columns(pl.col("held").fill_null("no"))
    joined = pl.concat([joined, _not_counted(rows, marks, joined)], how="diagonal_relaxed")
    reason = (
        pl.when(pl.col("is_total_hidden").is_null())
        .then(pl.lit(HELD))
        .when(pl.col("is_total_hidden"))
        .then(pl.lit(AMONG_HIDDEN))
        .when(pl.col("is_part_hidden"))
        .then(pl.lit(HIDDEN))
    )
    joined = joined.with_columns(reason.alias("reason"), (reason != HELD).fill_null(False).alias("is_suppressed"))
    values = pl.DataFrame([_value(row) for row in joined.to_dicts()], schema=_VALUE_SCHEMA)
    valued = _with_standardised(pl.concat([joined, values], how="horizontal"), counted.standardised)
    return valued.rename({"version": "metric_version"})


def _not_counted(rows: pl.DataFrame, marks: pl.DataFrame, joined: pl.DataFrame) -> pl.DataFrame:
    """Give a row for every place where a metric is held and nobody is counted, or else it would read as nought."""
    held = rows.join(marks, on="held_with")
    there = ["subject", "geography_type", "geography_code"]
    return held.join(joined, on=there, how="anti").with_columns(
        pl.lit("all").alias("breakdown"), pl.lit("all").alias("breakdown_value")
    )


def _value(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Work out value and interval of a row from the counts it shows."""
    part, whole, per = row["numerator"], row["denominator"], row["per"]
    if row["reason"] or part is None or not whole:
        return dict.fromkeys(_VALUE_SCHEMA)
    low, high = intervals.wilson(part, whole) if row["is_share"] else (each / whole for each in intervals.byar(part))
    return {
        "value": round(per * part / whole, _DECIMALS),
        "lower_95": round(per * low, _DECIMALS),
        "upper_95": round(per * high, _DECIMALS),
    }


def _with_standardised(valued: pl.DataFrame, rates: pl.DataFrame | None) -> pl.DataFrame:
    """Put standardised rates beside the crude ones that are shown."""
    names = ("standardised_value", "standardised_lower_95", "standardised_upper_95")
    if rates is None:
        return valued.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    found = valued.join(rates, on=["subject", *_PLACE], how="left", maintain_order="left")
    rows = []
    for row in found.to_dicts():
        if row["rate"] is None or row["value"] is None:
            rows.append(dict.fromkeys(names))
            continue
        low, high = intervals.dobson(row["rate"], row["rate_variance"], row["event_count"])
        given = (row["rate"], low, high)
        rows.append({name: round(row["per"] * each, _DECIMALS) for name, each in zip(names, given, strict=True)})
    standardised = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64))
    return pl.concat([valued, standardised], how="horizontal")


_ROW_SCHEMA = {
    "metric": pl.String,
    "version": pl.String,
    "pathway": pl.String,
    "held_with": pl.String,
    "is_share": pl.Boolean,
    "per": pl.Int64,
    "status": pl.String,
    "period_start": pl.Date,
    "period_end": pl.Date,
    "subject": pl.String,
    "total_subject": pl.String,
    "total_part": pl.String,
}
_VALUE_SCHEMA = dict.fromkeys(("value", "lower_95", "upper_95"), pl.Float64)
