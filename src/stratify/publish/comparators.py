"""Imported figures as a table of the commissioners' file; what may be compared with what is said beside each."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from stratify.comparators import Comparator
from stratify.store import Macro

_SCHEMA = {
    "metric": pl.String, "is_same_definition": pl.Boolean, "definition": pl.String, "area_code": pl.String,
    "area_name": pl.String, "period_start": pl.Date, "period_end": pl.Date, "value": pl.Float64,
    "lower_95": pl.Float64, "upper_95": pl.Float64, "unit": pl.String, "source": pl.String, "published_date": pl.Date,
}  # fmt: skip


def comparator_rows(comparators: Sequence[Comparator]) -> pl.DataFrame:
    """Give contract ``out.comparator`` without the columns of the run."""
    return pl.DataFrame([each.model_dump() for each in comparators], schema=_SCHEMA)


BESIDE = Macro(
    name="beside",
    parameters=("wanted", "place"),
    query="""SELECT v.geography_code, v.geography_name, v.pathway, v.status, v.period_start, v.period_end, v.value,
    v.lower_95, v.upper_95, m.unit, c.area_name AS other_place, c.value AS other_value, c.lower_95 AS other_lower_95,
    c.upper_95 AS other_upper_95, c.unit AS other_unit, c.period_start AS other_period_start,
    c.period_end AS other_period_end, c.source AS other_source, c.published_date AS other_published,
    CASE WHEN NOT c.is_same_definition THEN 'do not compare: another definition (' || c.definition || ')'
        WHEN c.period_start <> v.period_start OR c.period_end <> v.period_end
            THEN 'compare with care: the same definition, another period'
        ELSE 'the same definition and period' END AS comparable
    FROM metric_value AS v JOIN metric AS m ON m.metric = v.metric JOIN comparator AS c ON c.metric = v.metric
    WHERE v.metric = wanted AND v.geography_type = lower(place) AND v.breakdown = 'all'
    ORDER BY v.geography_code, v.pathway, v.status, c.area_name, c.period_end, c.published_date""",
    about="A metric beside imported figures of other places, with source, vintage and whether they may be compared.",
    example="SELECT * FROM beside('emergency_admissions', 'ICB')",
)
"""A question of the commissioners' file."""
