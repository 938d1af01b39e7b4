"""The months of a run's metrics: counted exactly, for the control charts of the commissioners' file.

Months that can still change are left out: a month whose records are not all there reads like a fall. Where ``metrics``
meets the store once more; hiding, rounding and limits are for ``publish``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from stratify import periods
from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError, combine
from stratify.metric_book import events_of
from stratify.metric_events import read_events
from stratify.publish import Counted, MetricRow, Months
from stratify.rulebook import clinical_folder
from stratify.rules.control_chart import ControlCharts
from stratify.rules.metric import Event, Metric, Numerator
from stratify.store import Store

MOST_MONTHS = 24
"""How far back a chart goes; the older, the fewer of the people then registered are still known of."""

_EVERYBODY = "SELECT patient_key FROM core.person WHERE may_be_counted AND person_status <> 'test_patient'"
# As `metric_run` finds who was registered on an earlier day; counted here for all months at once, since nothing else of
# them is read. Most people are with one practice all along: of them nothing has to be put in order.
_PEOPLE_OF_MONTHS = """
WITH gone AS (
    SELECT patient_key, min(coalesce(date_of_death, DATE '0001-01-01')) AS died FROM core.death GROUP BY ALL
), regular AS (
    SELECT r.patient_key, r.practice_code, start_date, source_registration_id,
        greatest(start_date, date_of_birth, DATE '0001-01-01') AS since,
        least(end_date, died, DATE '9999-12-31') AS until,
        count(*) OVER (PARTITION BY r.patient_key) AS many
    FROM core.person AS p JOIN core.registration AS r USING (patient_key) LEFT JOIN gone USING (patient_key)
    WHERE may_be_counted AND person_status <> 'test_patient' AND registration_type = 'REGULAR'
        AND r.practice_code IS NOT NULL
), days AS (
    SELECT month, last_day(month) AS day FROM (SELECT unnest([{months}]) AS month)
), counted AS (
    SELECT month, practice_code, people_count
    FROM (SELECT practice_code, since, until, count(*) AS people_count FROM regular WHERE many = 1 GROUP BY ALL)
    JOIN days ON since <= day AND day < until
    UNION ALL
    SELECT month, practice_code, 1 AS people_count
    FROM regular JOIN days ON since <= day AND day < until
    WHERE many > 1
    QUALIFY row_number() OVER (
        PARTITION BY month, patient_key ORDER BY start_date DESC NULLS LAST, source_registration_id) = 1
)
SELECT month, practice_code, sum(people_count)::BIGINT AS people_count, sum(people_count)::BIGINT AS person_count
FROM counted GROUP BY ALL ORDER BY ALL
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
    starts: dict[Event, date] = {}
    for row in rows:
        for event in events_of(declared[row.metric]):
            # A month more tells whether the records begin before.
            starts[event] = min(periods.months_before(_first(row), 1), starts.get(event, row.period_start))
    events = {
        name: each.join(people, on="patient_key", how="semi") for name, each in read_events(store, starts).items()
    }
    found = pl.concat([pl.DataFrame(schema=_EVENTS), *(_months_of(events, declared[row.metric], row) for row in rows)])
    months = sorted(found["month"].unique())
    if not months:
        return replace(counted, months=None)
    dates = ", ".join(f"DATE '{month.isoformat()}'" for month in months)
    registered = store.frame(_PEOPLE_OF_MONTHS.format(months=dates))
    return replace(counted, months=Months(charts, found, registered))


def _first(row: MetricRow) -> date:
    return periods.months_before(row.period_end + timedelta(days=1), MOST_MONTHS)


def _months_of(read: Mapping[str, pl.DataFrame], metric: Metric, row: MetricRow) -> pl.DataFrame:
    """Count the events of whole months by practice: nought where others have some; no month of less than a year."""
    numerator = _events_of(metric)
    if numerator is None or numerator.events is None:
        return pl.DataFrame(schema=_EVENTS)
    end = row.period_end + timedelta(days=1)
    first = _first(row)
    events = read[numerator.events]
    events = events.filter(pl.col("event_date") >= periods.months_before(first, 1))
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
