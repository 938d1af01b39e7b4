"""What each week's file told, told again: care processes of practices too, month by month."""

from __future__ import annotations

from datetime import date

import duckdb
import polars as pl

from stratify.contract_frames import schema_of
from stratify.publish.weeks_told import BY_MONTH, TABLE, weeks_told

NOVEMBER = date(2026, 11, 23)


def told(metric: str, kind: str, pathway: str, value: float, breakdown: str = "all", day: date = NOVEMBER) -> dict:
    return {
        "metric": metric, "metric_version": "1.0.0", "pathway": pathway, "geography_type": kind,
        "geography_code": "X1", "breakdown": breakdown, "period_start": day, "period_end": day, "numerator": 10,
        "denominator": 20, "value": value, "lower_95": 1.0, "upper_95": 99.0, "reason": None, "is_suppressed": False,
        "index_date": day, "run_id": "r",
    }  # fmt: skip


def test_practices_have_their_care_processes_and_nothing_else_told_again():
    rows = [
        told("diabetes_foot_check", "practice", "all", 50.0), told("diabetes_foot_check", "icb", "all", 51.0),
        told("diabetes_foot_check", "practice", "all", 52.0, "sex"), told("declined", "practice", "copd", 53.0),
        told("declined", "pcn", "copd", 54.0), told("emergency_admissions", "icb", "all", 55.0),
    ]  # fmt: skip
    kept = weeks_told(pl.DataFrame(rows, schema_overrides={"reason": pl.String}), None, NOVEMBER)
    assert kept["value"].to_list() == [50.0, 51.0, 54.0]


def test_a_month_is_as_its_last_file_told_it():
    weeks = [(date(2026, 10, 5), 40.0), (date(2026, 10, 26), 41.0), (date(2026, 11, 2), 42.0), (NOVEMBER, None)]
    rows = [{**told("diabetes_foot_check", "practice", "all", value), "week": week} for week, value in weeks]
    rows += [{**rows[0], "metric": "diabetes_hba1c"}, {**rows[0], "geography_type": "pcn"}]
    schema = schema_of(TABLE)
    with duckdb.connect() as connection:
        kinds = {pl.Date(): "DATE", pl.Int64(): "BIGINT", pl.Float64(): "DOUBLE", pl.Boolean(): "BOOLEAN"}
        columns = ", ".join(f"{name} {kinds.get(kind, 'VARCHAR')}" for name, kind in schema.items())
        connection.execute(f"CREATE TABLE metric_week ({columns})")
        marks = ", ".join("?" * len(schema))
        connection.executemany(f"INSERT INTO metric_week VALUES ({marks})", [[row[n] for n in schema] for row in rows])
        connection.execute(f"CREATE MACRO by_month(wanted, place) AS TABLE {BY_MONTH.query}")
        found = connection.execute("SELECT month, week, value FROM by_month('diabetes_foot_check', 'practice')")
        assert found.fetchall() == [
            (date(2026, 10, 1), date(2026, 10, 26), 41.0),
            (date(2026, 11, 1), NOVEMBER, None),
        ]
