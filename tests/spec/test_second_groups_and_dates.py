"""Groups, segments and dates of the second implementation (``tests/second``), at their edges, worked by hand."""

from __future__ import annotations

from datetime import date

import pytest

from second import priority, segments
from second.windows import completed_years, day_count, episodes, is_within, latest, months_before

INDEX = date(2026, 11, 2)


# ---------------------------------------------------------------------------------------------- groups and segments


@pytest.mark.parametrize(
    ("egfr", "acr", "more", "group"),
    [
        (14.9, 1, {}, "HRC"),
        (70, 250.1, {}, "HRC"),
        (15, 1, {}, "HR"),
        (29, 1, {}, "HR"),
        (44, 3.1, {}, "HR"),
        (44, 2.9, {}, "MR"),
        (45, 30.1, {}, "HR"),
        (59, 30, {}, "MR"),
        (59, 3, {}, "MR"),
        (59, 2.9, {}, "LR"),
        (61, 30, {}, "MR"),
        (61, 29.9, {}, "LR"),
        (61, 3, {"has_diabetes": True}, "MR"),
        (61, 1, {"antihypertensive_orders": 3}, "HR"),
        (61, 1, {"diastolic": 90.1}, "HR"),
        (61, 1, {"systolic": 150}, "LR"),
    ],
)
def test_kidney_disease_group(egfr, acr, more, group):
    assert priority.ckd_group(**{"egfr": egfr, "acr": acr, "systolic": 130, "diastolic": 80, **more}).tier == group


@pytest.mark.parametrize(
    ("age", "clinic", "home", "more", "group"),
    [
        (60, (180, 120), None, {}, "HR"),
        (60, (181, 80), None, {}, "HRC"),
        (60, None, (150, 116), {}, "HRC"),
        (60, (160, 100), None, {}, "MRb"),
        (60, (161, 80), None, {}, "HR"),
        (60, (141, 80), None, {"has_listed_ethnicity": True, "comorbidities": {"ckd"}}, "HR"),
        (60, (141, 80), None, {"has_listed_ethnicity": True}, "MRa"),
        (60, (141, 80), None, {"egfr": 59.9}, "MRa"),
        (80, (141, 80), None, {}, "MRb"),
        (81, (141, 80), None, {}, "LR"),
        (81, (151, 80), None, {}, "MRb"),
        (81, None, (146, 80), {}, "MRb"),
        (60, (140, 90), None, {"comorbidities": {"chd"}}, "LR"),
        (60, None, None, {}, None),
    ],
)
def test_hypertension_group(age, clinic, home, more, group):
    assert priority.hypertension_group(age, clinic, home, **more).tier == group


@pytest.mark.parametrize(
    ("first", "flare", "more", "group"),
    [
        (date(2026, 10, 2), None, {}, "HRC"),
        (date(2026, 10, 1), None, {}, "HR"),
        (date(2025, 11, 2), None, {}, "HR"),
        (date(2025, 11, 1), None, {}, "LR"),
        (date(2020, 1, 1), date(2026, 10, 20), {}, "HRC"),
        (date(2020, 1, 1), None, {"statin_6_months": True, "non_hdl": 2.5}, "LR"),
        (date(2020, 1, 1), None, {"statin_6_months": True, "non_hdl": 2.6}, "MR"),
        (date(2020, 1, 1), None, {"statin_6_months": True}, None),
    ],
)
def test_heart_disease_group(first, flare, more, group):
    assert priority.chd_group(first, flare, INDEX, **more).tier == group


@pytest.mark.parametrize(
    ("facts", "conditions", "bmi", "segment"),
    [
        (["palliative_care", "dementia"], 5, 25, "die_well"),
        ([], 4, 25, "age_well"),
        ([], 3, 25, "stay_well"),
        (["depression"], 1, 25, "stay_well"),
        (["depression"], 0, 25, "feel_well"),
        ([], 0, 30, "live_well"),
        ([], 0, 30.1, "be_well"),
        ([], 0, None, None),
        (["smoker"], 0, None, "be_well"),
    ],
)
def test_snee_segments(facts, conditions, bmi, segment):
    assert segments.snee(facts, age=50, long_term_conditions=conditions, bmi_12_months=bmi).tier == segment


def test_bridges_to_health_takes_the_segment_of_highest_acuity():
    assert segments.bridges_to_health(["asthma", "severe_copd"]).tier == "organ_failure"
    assert segments.bridges_to_health([]).tier == "healthy"
    assert len({flag for given in segments.BRIDGES_FLAGS.values() for flag in given.split()}) == 43


# --------------------------------------------------------------------------------------------------------------- dates


def test_windows_are_half_open_and_by_calendar():
    assert months_before(date(2026, 3, 31), 1) == date(2026, 2, 28)
    assert months_before(date(2026, 1, 15), 13) == date(2024, 12, 15)
    assert is_within(date(2025, 11, 2), INDEX, months=12)
    assert not is_within(date(2025, 11, 1), INDEX, months=12)
    assert not is_within(INDEX, INDEX, months=12)
    assert is_within(date(2026, 10, 3), INDEX, days=30)
    assert not is_within(date(2026, 10, 2), INDEX, days=30)


def test_ages_are_in_completed_years():
    assert completed_years(date(1956, 11, 3), INDEX) == 69
    assert completed_years(date(1956, 11, 2), INDEX) == 70
    assert completed_years(date(1960, 2, 29), date(2026, 2, 28)) == 65
    assert completed_years(date(1960, 2, 29), date(2026, 3, 1)) == 66


def test_the_latest_value_is_found_first_and_tested_then():
    grades = [(date(2024, 1, 1), 5), (date(2026, 3, 1), 2)]
    assert latest(grades, INDEX, 15) == 2
    assert latest([*grades, (date(2026, 3, 1), 3)], INDEX, 15) is None  # two on its day
    assert latest([(date(2025, 8, 1), 5)], INDEX, 15) is None  # too old
    assert latest([(date(2025, 8, 2), 5)], INDEX, 15) == 5


def test_days_and_episodes_are_counted_once():
    days = [date(2026, 5, 1), date(2026, 5, 1), date(2026, 5, 10)]
    assert day_count(days, INDEX, 12) == 2
    assert episodes(days, 14) == [date(2026, 5, 1)]
