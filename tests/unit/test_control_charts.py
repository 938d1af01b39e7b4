"""Months of metrics: counted, hidden with everything else, and drawn as control charts."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from itertools import pairwise

import polars as pl
import pytest
from metrics_example import registration
from monthly_example import CUTOFFS, MONTHS, fill, key, total
from publish_example import context, frame

from attacker import attack
from stratify import disclosure
from stratify.errors import RuleError
from stratify.metric_book import load_metrics
from stratify.metric_months import load_control_charts, with_months
from stratify.metric_run import counted
from stratify.publish import build_counts
from stratify.rulebook import load_rule_book
from stratify.store import open_store

STEADY = [20, 25] * 12
JUMPED = [*STEADY[:16], 45, 50, 45, 50, 45, 50, 45, 50]
"""From January 2026 on more than before: eight in a row above the mean."""

WITH_A_SMALL_ONE = [*STEADY[:20], 5, *STEADY[21:]]
CAUSE = "Same day emergency care is recorded as admissions from January 2026 (letter of the trust)."
AGAIN = f"""
charts:
  - {{metric: emergency_admissions, better: lower, target: {{value: 500, source: Plan of the board}}}}
starts_again:
  - {{metric: emergency_admissions, month: 2026-01-01, places: [U10001], cause: "{CAUSE}",
     decided_by: Head of performance, decided_on: 2026-05-12}}
"""


@contextmanager
def built(folder, river, hill, clinical=None):
    """Build the commissioners' tables of a county, and give its store; with a file of charts, those."""
    book = load_rule_book()
    run = context(data_cutoffs=CUTOFFS, pathways=book.published)
    charts = None
    if clinical:
        charts = folder / "clinical"
        (charts / "charts").mkdir(parents=True)
        (charts / "charts" / "control_charts.yaml").write_text(clinical, encoding="utf-8")
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        fill(store, river=river, hill=hill)
        found = with_months(store, counted(store, load_metrics(), run, book), charts)
        build_counts(store, run, found, signature="Not signed")
        yield store, found


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    with built(tmp_path_factory.mktemp("months"), STEADY, JUMPED) as found:
        yield found


def chart(store, code, columns):
    return store.rows(
        f"SELECT {columns} FROM out.spc_point WHERE metric = 'emergency_admissions' AND geography_code = '{code}' "
        "ORDER BY month"
    )


def test_final_months_are_counted_and_no_others(county):
    _, found = county
    assert sorted(found.months.events["month"].unique()) == MONTHS
    assert total(found, MONTHS[0], "A81001") == (20, 600)
    assert total(found, MONTHS[-1], "A81002") == (50, 600)


def test_a_point_is_what_a_year_at_the_pace_of_its_month_would_come_to(county):
    """20 of 600 in September: 1,000 x 20 / 600 x 365 / 30 = 405.6; 25 in October, of 31 days: 490.6."""
    store, _ = county
    points = chart(store, "U10001", "month, numerator, denominator, value")
    assert points[0] == (date(2024, 9, 1), 20, 600, 405.6)
    assert points[1] == (date(2024, 10, 1), 25, 600, 490.6)
    assert len(points) == 24
    assert chart(store, "QXX", "numerator, denominator")[0] == (40, 1200)


def test_limits_are_those_of_the_rounded_values_and_the_icon_is_of_the_last_month(county):
    """Each of 20 and 25 in turn; months of 28 to 31 days."""
    store, _ = county
    values = [each for (each,) in chart(store, "U10001", "value")]
    mean = sum(values) / 24
    moves = [abs(b - a) for a, b in pairwise(values)]
    row = chart(store, "U10001", "mean, lower_limit, upper_limit")[0]
    half = 2.66 * sum(moves) / 23
    assert row == pytest.approx((mean, mean - half, mean + half), abs=0.2)
    told = store.rows("SELECT geography_code, variation, signals, assurance FROM out.spc_chart ORDER BY ALL")
    assert told[1] == ("U10001", "common cause", None, None)
    assert told[2][:2] == ("U10002", "special cause: concern")
    assert "seven or more in a row on one side" in told[2][2]


def test_no_practice_has_months_and_only_networks_and_boards_do(county):
    store, _ = county
    kinds = store.rows("SELECT DISTINCT geography_type FROM out.spc_point ORDER BY ALL")
    assert kinds == [("icb",), ("pcn",)]


def test_where_a_month_is_small_no_month_of_that_place_is_shown_nor_of_the_one_that_would_give_it_away(tmp_path):
    with built(tmp_path, WITH_A_SMALL_ONE, STEADY) as (store, _):
        # The board less Hill is River, month by month.
        for code in ("U10001", "U10002"):
            rows = chart(store, code, "numerator, value, mean, is_suppressed")
            assert rows == [(None, None, None, True)] * 24
        assert {row[0] for row in chart(store, "QXX", "numerator")} == {25, 40, 50}
        told = dict(store.rows("SELECT geography_code, reason FROM out.spc_chart"))
        assert told["U10001"] == "a month has a small number: all are hidden, since files to come tell each again"
        assert told["QXX"] is None


def test_a_month_of_nobody_is_not_told_where_another_month_is_hidden(tmp_path):
    with built(tmp_path, [0, *WITH_A_SMALL_ONE[1:]], STEADY) as (store, _):
        assert {row[0] for row in chart(store, "U10001", "numerator")} == {None}


def test_somebody_who_adds_up_months_and_years_works_no_small_number_out(tmp_path, monkeypatch):
    """The attacker has every cell that is published, months with the years they add up to."""
    seen = []

    def watched(frame, **how):
        safe = protect(frame, **how)
        seen.append((frame.with_columns(safe["people_count"].alias("shown")), how))
        return safe

    protect = disclosure.protect
    monkeypatch.setattr(disclosure, "protect", watched)
    with built(tmp_path, WITH_A_SMALL_ONE, STEADY):
        pass
    [(frame, how)] = seen
    found = attack([frame], exact="people_count", published="shown", key=how["key"], sums=how["sums"])
    assert frame.filter(pl.col("subject").str.contains(r"^\d{4}-\d{2} of metric")).height == 24 * 3
    assert found.small > 10
    assert found.pinned.rows() == []


def test_a_chart_starts_again_where_a_cause_is_written_down_and_says_which(tmp_path):
    with built(tmp_path, JUMPED, JUMPED, AGAIN) as (store, _):
        rows = chart(store, "U10001", "month, mean, starts_again_because, variation")
        assert rows[15][1] < rows[16][1]
        assert [(row[0], row[2]) for row in rows if row[2]] == [
            (date(2026, 1, 1), f"{CAUSE.rstrip('.')} (Head of performance, 12 May 2026)")
        ]
        assert {row[3] for row in rows} == {"common cause"}
        told = store.rows(
            "SELECT geography_code, target, assurance, reason, variation FROM out.spc_chart ORDER BY geography_code"
        )
        # From January on 45 and 50 of 600: about 950 a year, and no month is near 500. Eight months are few.
        assert told[1] == (
            "U10001", 500.0, "misses the target consistently",
            "fewer than 13 months: the limits may still move much", "common cause",
        )  # fmt: skip
        assert told[2][0] == "U10002" and told[2][4] == "special cause: concern"  # no cause is written for this one


def test_records_that_do_not_reach_back_a_year_have_no_months(county):
    """What is left of the year after eleven months that are told would be the twelfth."""
    store, found = county
    kept = store.frame("SELECT * FROM core.apc_spell")
    late = kept.filter(kept["admission_date"] >= date(2025, 9, 2))
    store.create("core.apc_spell", late)
    try:
        assert with_months(store, found).months is None
    finally:
        store.create("core.apc_spell", kept)


def test_a_month_counts_people_where_they_were_on_its_last_day_once_and_alive(county):
    """Of 600 at Hill one moves to River and is in both lists at the end of February 2025: in the newer one. One dies on
    31 March, and one comes on the first of March: 599, 598, 598.
    """
    store, found = county
    moved, dead, newcomer = 1699, 1698, 1697
    changed = {key(each) for each in (moved, newcomer)}
    kept = {name: store.frame(f"SELECT * FROM {name}") for name in ("core.registration", "core.death")}
    more = [
        registration(moved, practice_code="A81002", end_date=date(2025, 3, 10)),
        registration(moved, practice_code="A81001", start_date=date(2025, 2, 10), source_registration_id="later"),
        registration(newcomer, practice_code="A81002", start_date=date(2025, 3, 1)),
    ]
    others = kept["core.registration"].filter(~pl.col("patient_key").is_in(changed))
    died = [{"patient_key": key(dead), "source": "ONS", "date_of_death": date(2025, 3, 31)}]
    try:
        store.create("core.registration", pl.concat([others, frame("core.registration", more)]))
        store.create("core.death", frame("core.death", died))
        again = with_months(store, found)
    finally:
        for name, rows in kept.items():
            store.create(name, rows)
    shown = {day: [total(again, day, code)[1] for code in ("A81001", "A81002")] for day in MONTHS[4:7]}
    assert list(shown.values()) == [[600, 599], [601, 598], [601, 598]]


def test_a_county_without_any_admission_has_no_months(county):
    store, found = county
    kept = store.frame("SELECT * FROM core.apc_spell")
    store.create("core.apc_spell", frame("core.apc_spell", []))
    try:
        assert with_months(store, found).months is None
    finally:
        store.create("core.apc_spell", kept)


def test_the_shipped_charts_are_of_metrics_that_can_have_one():
    declared = load_metrics()
    charts = load_control_charts(declared)
    assert {each.metric for each in charts.charts} <= {each.id for each in declared}
    assert charts.starts_again == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("charts:\n  - {metric: places_given, better: higher}\n", "places_given", id="no_rate"),
        pytest.param("charts:\n  - {metric: nothing, better: higher}\n", "nothing", id="unknown"),
        pytest.param(
            "charts:\n  - {metric: ed_attendances, better: lower}\n  - {metric: ed_attendances, better: higher}\n",
            "ed_attendances",
            id="two",
        ),
        pytest.param("charts: []\n" + AGAIN[AGAIN.index("starts_again") :], "emergency_admissions", id="no_chart"),
        pytest.param(AGAIN.replace("2026-01-01", "2026-01-15"), "the first day of a month", id="within_a_month"),
        pytest.param(AGAIN.replace(CAUSE, "A fall"), "cause", id="no_cause"),
        pytest.param(AGAIN.replace("decided_by: Head of performance,", ""), "decided_by", id="nobody"),
    ],
)
def test_a_file_of_charts_that_would_mislead_does_not_load(tmp_path, text, said):
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "control_charts.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=said):
        load_control_charts(load_metrics(), tmp_path)


def test_a_clinical_folder_without_a_file_of_charts_has_none(tmp_path):
    assert load_control_charts(load_metrics(), tmp_path).charts == ()
