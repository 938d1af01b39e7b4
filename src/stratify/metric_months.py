"""The months of a run's metrics: counted exactly, for the control charts of the commissioners' file.

Months that can still change are left out: a month whose records are not all there reads like a fall. Where ``metrics``
meets the store once more; hiding, rounding and limits are for ``publish``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from stratify import periods
from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError, combine
from stratify.metric_events import read_events
from stratify.publish import Counted, MetricRow, Months
from stratify.rulebook import clinical_folder
from stratify.rules.control_chart import ControlCharts
from stratify.rules.metric import Metric, Numerator
from stratify.store import Store

MOST_MONTHS = 24
"""How far back a chart goes; the older, the fewer of the people then registered are still known of."""

_EVERYBODY = "SELECT patient_key FROM core.person WHERE may_be_counted AND person_status <> 'test_patient'"
# As `metric_run` finds who was registered on an earlier day; counted here, since nothing else of them is read.
_PEOPLE_OF_MONTH = """
SELECT DATE '{month}' AS month, practice_code, count(*) AS people_count, count(*) AS person_count
FROM (
    SELECT r.practice_code
    FROM core.person AS p JOIN core.registration AS r USING (patient_key)
    WHERE may_be_counted AND person_status <> 'test_patient' AND registration_type = 'REGULAR'
        AND r.practice_code IS NOT NULL
        AND coalesce(start_date <= DATE '{day}', true) AND coalesce(DATE '{day}' < end_date, true)
        AND (date_of_birth IS NULL OR date_of_birth <= DATE '{day}')
        AND patient_key NOT IN (
            SELECT patient_key FROM core.death WHERE date_of_death <= DATE '{day}' OR date_of_death IS NULL)
    QUALIFY row_number() OVER (
        PARTITION BY patient_key ORDER BY start_date DESC NULLS LAST, r.source_registration_id) = 1
) GROUP BY ALL ORDER BY ALL
"""
_EVENTS = {
    "metric": pl.String,
    "month": pl.Date,
    "practice_code": pl.String,
    "people_count": pl.Int64,
    "person_count": pl.Int64,
}


def load_control_charts(declared: Sequence[Metric], folder: Path | None = None) -> ControlCharts:
    """Read which metrics have a control chart; none where a clinical folder does not say.

    Args:
        declared: Every metric.
        folder: A folder laid out like ``src/stratify/clinical``; that one when None.

    Raises:
        RuleError: the file is wrong, or names a metric that cannot have a chart or has two.
    """
    path = (folder or clinical_folder()) / "charts" / "control_charts.yaml"
    if not path.is_file():
        return ControlCharts(charts=())
    faults: list[RuleError] = []
    found = DefinitionFile(path).read(ControlCharts, faults)
    can = {each.id for each in declared if _events_of(each)}
    named = [each.metric for each in found.charts] if found else []
    unfit = sorted({each for each in named if each not in can or named.count(each) > 1})
    unfit += sorted({each.metric for each in found.starts_again} - set(named)) if found else []
    faults += [
        RuleError(
            f"clinical/charts, {each}",
            expected="one chart of a rate of events of everybody registered that has final periods",
            found="something else",
            action="Correct the id, or take it out.",
        )
        for each in unfit
    ]
    if faults or found is None:
        raise combine(list(faults))
    return found


def with_months(store: Store, counted: Counted, folder: Path | None = None) -> Counted:
    """Count the final months of every metric that has a control chart, and add them to what is counted.

    Args:
        store: The store of the run.
        counted: The metrics of the run.
        folder: The clinical folder.
    """
    charts = load_control_charts(counted.metrics, folder)
    declared = {each.id: each for each in counted.metrics}
    wanted = {each.metric for each in charts.charts}
    rows = [each for each in counted.rows if each.status == "final" and each.metric in wanted]
    people = store.frame(_EVERYBODY)
    events = [_months_of(store, declared[row.metric], row, people) for row in rows]
    found = pl.concat([pl.DataFrame(schema=_EVENTS), *events])
    months = sorted(found["month"].unique())
    if not months:
        return replace(counted, months=None)
    registered = pl.concat(
        store.frame(_PEOPLE_OF_MONTH.format(month=month.isoformat(), day=last_day(month).isoformat()))
        for month in months
    )
    return replace(counted, months=Months(charts, found, registered))


def last_day(month: date) -> date:
    """Give the last day of the month that a day begins."""
    return periods.months_after(month, 1) - timedelta(days=1)


def _months_of(store: Store, metric: Metric, row: MetricRow, people: pl.DataFrame) -> pl.DataFrame:
    """Count the events of whole months by practice: nought where others have some; no month of less than a year."""
    numerator = _events_of(metric)
    if numerator is None or numerator.events is None:
        return pl.DataFrame(schema=_EVENTS)
    end = row.period_end + timedelta(days=1)
    first = periods.months_before(end, MOST_MONTHS)
    # A month more tells whether the records begin before.
    events = read_events(store, {numerator.events: periods.months_before(first, 1)})[numerator.events]
    events = events.join(people, on="patient_key", how="semi")
    began = events["event_date"].min()
    if not isinstance(began, date):
        return pl.DataFrame(schema=_EVENTS)
    if began >= first and began.day > 1:
        first = periods.months_after(began.replace(day=1), 1)
    if first > row.period_start:  # what is left of a year of which eleven months are told is a month's number too
        return pl.DataFrame(schema=_EVENTS)
    day = pl.col("event_date")
    mine = events.filter((day >= first) & (day < end))
    if numerator.kinds:
        mine = mine.filter(pl.col("kind").is_in(numerator.kinds))
    counted = mine.group_by(day.dt.truncate("1mo").alias("month"), "practice_code").agg(
        pl.col("n").sum().cast(pl.Int64).alias("people_count"),
        pl.col("patient_key").n_unique().cast(pl.Int64).alias("person_count"),
    )
    months = pl.DataFrame({"month": pl.date_range(first, end, "1mo", closed="left", eager=True)})
    every = months.join(counted.select("practice_code").unique(), how="cross")
    return (
        every.join(counted, on=["month", "practice_code"], how="left")
        .select(
            pl.lit(metric.id).alias("metric"),
            "month",
            "practice_code",
            pl.col("people_count", "person_count").fill_null(0),
        )
        .sort("month", "practice_code")
    )


def _events_of(metric: Metric) -> Numerator | None:
    """Give what a metric counts, where it is a rate of events of everybody registered with final periods."""
    is_fit = metric.kind == "rate" and metric.final_after_days and metric.denominator and metric.denominator.registered
    return metric.numerator if is_fit and metric.numerator and metric.numerator.events else None
