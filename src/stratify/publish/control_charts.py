"""Months of metrics as control charts: cells to be hidden with all others, then points, limits and icons.

Values, limits and icons are worked out from the rounded numbers that stand beside them, so that they give away no more.
Networks and boards only: a practice's month is mostly a small number. Does not belong: the rules of a chart (``spc``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from stratify import periods, spc
from stratify.publish.metric_tables import Counted, MetricRow
from stratify.publish.places import KINDS
from stratify.rules.control_chart import ControlChart, NewStart

MONTH_HIDDEN = "a month has a small number: all are hidden, since files to come tell each again"
FEW_MONTHS = f"fewer than {spc.FEWEST_POINTS} months: the limits may still move much"

_DAYS_A_YEAR = 365
_DECIMALS = 1
_PLACE = ("geography_type", "geography_code", "geography_name")


def month_cells(counted: Counted, places: pl.DataFrame) -> pl.DataFrame | None:
    """Give the cells of all months for networks and boards, to be protected with every other cell; None without any.

    The twelve months of a final year add up to it: ``year_subject`` names its cells. ``series`` names the months of a
    place that are hidden together: a month is told again in every file of two years, and what one of them hid another
    must not show.
    """
    if counted.months is None:
        return None
    events, registered = counted.months.events, counted.months.registered
    known = set(counted.counts["subject"])
    frames = [
        _base(
            events.filter((pl.col("metric") == row.metric) & (pl.col("month") == month)),
            _subject(row, month),
            "numerator",
            of_year=row.subject if month >= row.period_start else None,
            series=row.subject,
        )
        for row in _final(counted)
        for month in _months(events.filter(pl.col("metric") == row.metric))
    ]
    frames += [
        _base(registered.filter(pl.col("month") == month), _registered(month), "all", of_year=None, series=None)
        for month in _months(registered)
        if _registered(month) not in known
    ]
    placed = pl.concat(frames).join(places.select(*KINDS.values()), on="practice_code", how="inner")
    empty = ("total_subject", "total_part", "ages_subject")
    return pl.concat(
        placed.group_by("subject", "part", "year_subject", "series", pl.col(code).alias("geography_code"))
        .agg(pl.col("people_count", "person_count").sum())
        .with_columns(
            pl.lit(kind).alias("geography_type"),
            *(pl.lit("all").alias(name) for name in ("tier", "breakdown", "breakdown_value")),
            *(pl.lit(None, pl.String).alias(name) for name in empty),
        )
        for kind, code in KINDS.items()
        if kind != "practice"
    )


def control_charts(safe: pl.DataFrame, counted: Counted) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the points and the charts, without the columns of the run.

    Args:
        safe: Cells that may be shown, with the names of places.
        counted: What was counted, for how cells are named and read.

    Returns:
        Contracts ``out.spc_point`` and ``out.spc_chart``.
    """
    points: list[dict[str, Any]] = []
    charts: list[dict[str, Any]] = []
    if counted.months is None:
        return pl.DataFrame(schema=_POINT), pl.DataFrame(schema=_CHART)
    declared_of = {each.metric: each for each in counted.months.charts.charts}
    for row in _final(counted):
        declared = declared_of[row.metric]
        shown = _shown(safe, row, _months(counted.months.events.filter(pl.col("metric") == row.metric)))
        for place, series in shown.group_by(*_PLACE, maintain_order=True):
            where = dict(zip(_PLACE, place, strict=True))
            starts = _starts(counted.months.charts.starts_again, row.metric, str(where["geography_code"]))
            about = {"metric": row.metric, "metric_version": row.version, **where}
            mine, chart = _chart(series.to_dicts(), declared, row, starts)
            points += [about | each for each in mine]
            charts.append(about | chart)
    return pl.DataFrame(points, schema=_POINT), pl.DataFrame(charts, schema=_CHART)


def _base(group: pl.DataFrame, subject: str, part: str, *, of_year: str | None, series: str | None) -> pl.DataFrame:
    return group.select(
        pl.lit(subject).alias("subject"),
        pl.lit(part).alias("part"),
        pl.lit(of_year, pl.String).alias("year_subject"),
        pl.lit(series, pl.String).alias("series"),
        "practice_code",
        "people_count",
        "person_count",
    )


def _final(counted: Counted) -> list[MetricRow]:
    """Give the rows of the metrics that have months."""
    have = set(counted.months.events["metric"]) if counted.months else set()
    return [each for each in counted.rows if each.status == "final" and each.metric in have]


def _months(rows: pl.DataFrame) -> list[date]:
    return sorted(rows["month"].unique().to_list())


def _chart(
    series: Sequence[dict[str, Any]], declared: ControlChart, row: MetricRow, starts: dict[date, NewStart]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Work out one chart from its months in order."""
    values = [_value(each, row.per) for each in series]
    whole = [each for each in values if each is not None]
    is_whole = len(whole) == len(values)
    if not is_whole:  # months of nobody too, or they would tell the others apart
        values, series = [None] * len(values), [{**each, "numerator": None} for each in series]
    places = [number for number, each in enumerate(series) if each["month"] in starts]
    drawn = spc.control_chart(whole, better=declared.better, starts=places, lowest=0) if is_whole else ()
    points = []
    for number, each in enumerate(series):
        start = starts.get(each["month"])
        point = {
            "month": each["month"],
            "numerator": each["numerator"],
            "denominator": each["denominator"],
            "value": _rounded(values[number]),
            "starts_again_because": _because(start) if start else None,
            "is_suppressed": values[number] is None,
        }
        if drawn:
            at = drawn[number]
            point |= {"mean": _rounded(at.mean), "lower_limit": _rounded(at.lower), "upper_limit": _rounded(at.upper)}
            point |= {"variation": at.variation, "signals": "; ".join(at.signals) or None}
        points.append(point)
    target = declared.target.value if declared.target else None
    chart: dict[str, Any] = {
        "first_month": series[0]["month"],
        "last_month": series[-1]["month"],
        "better": declared.better,
        "target": target,
        "target_source": declared.target.source if declared.target else None,
        "reason": None if is_whole else MONTH_HIDDEN,
    }
    if drawn:
        last = drawn[-1]
        since = len(drawn) - max([each for each in places if each > 0], default=0)
        chart |= {
            "variation": last.variation,
            "signals": "; ".join(last.signals) or None,
            "assurance": None if target is None else spc.assurance(last, target, declared.better),
            "reason": FEW_MONTHS if since < spc.FEWEST_POINTS else None,
        }
    return points, chart


def _shown(safe: pl.DataFrame, row: MetricRow, months: Sequence[date]) -> pl.DataFrame:
    """Give a row for each network and board and month, with what may be shown."""
    every = safe.filter((pl.col("breakdown") == "all") & (pl.col("geography_type") != "practice"))
    names = pl.DataFrame(
        {
            "month": months,
            "subject": [_subject(row, each) for each in months],
            "registered": [_registered(each) for each in months],
        },
        schema={"month": pl.Date, "subject": pl.String, "registered": pl.String},
    )
    part = every.filter(pl.col("part") == "numerator").select(
        "subject", *_PLACE, pl.col("people_count").alias("numerator")
    )
    whole = every.filter(pl.col("part") == "all").select(
        pl.col("subject").alias("registered"), *_PLACE[:2], pl.col("people_count").alias("denominator")
    )
    return (
        names.join(part, on="subject")
        .join(whole, on=["registered", *_PLACE[:2]], how="left")
        .sort(*_PLACE[:2], "month")
    )


def _value(each: dict[str, Any], per: int) -> float | None:
    """Give what a year at the pace of the month would come to, in the unit of the metric; None where it is hidden."""
    part, whole = each["numerator"], each["denominator"]
    if part is None or not whole:
        return None
    days = (periods.months_after(each["month"], 1) - each["month"]).days
    return float(per * part / whole * _DAYS_A_YEAR / days)


def _starts(declared: Sequence[NewStart], metric: str, code: str) -> dict[date, NewStart]:
    return {each.month: each for each in declared if each.metric == metric and (not each.places or code in each.places)}


def _because(start: NewStart) -> str:
    cause = " ".join(start.cause.split()).rstrip(".")
    return f"{cause} ({start.decided_by}, {periods.in_words(start.decided_on)})"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)


def _subject(row: MetricRow, month: date) -> str:
    return f"{month:%Y-%m} of {row.subject}"


def _registered(month: date) -> str:
    """Name the cells of who was registered at the end of a month, as those of a final year are named."""
    return f"registered on {(periods.months_after(month, 1) - timedelta(days=1)).isoformat()}"


_POINT = (
    dict.fromkeys(("metric", "metric_version", *_PLACE), pl.String)
    | {"month": pl.Date, "numerator": pl.Int64, "denominator": pl.Int64}
    | dict.fromkeys(("value", "mean", "lower_limit", "upper_limit"), pl.Float64)
    | dict.fromkeys(("variation", "signals", "starts_again_because"), pl.String)
    | {"is_suppressed": pl.Boolean}
)
_CHART = (
    dict.fromkeys(("metric", "metric_version", *_PLACE), pl.String)
    | {"first_month": pl.Date, "last_month": pl.Date, "better": pl.String}
    | dict.fromkeys(("variation", "signals"), pl.String)
    | {"target": pl.Float64}
    | dict.fromkeys(("target_source", "assurance", "reason"), pl.String)
)
