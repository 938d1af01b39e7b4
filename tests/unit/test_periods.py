"""Calendar months back, ages and dates in words."""

from __future__ import annotations

from datetime import date

import pytest

from stratify.periods import age_years, in_words, months_before


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        pytest.param(date(2026, 6, 15), 0, date(2026, 6, 15), id="no_months"),
        pytest.param(date(2026, 6, 15), 12, date(2025, 6, 15), id="a_year"),
        pytest.param(date(2026, 1, 1), 1, date(2025, 12, 1), id="over_new_year"),
        pytest.param(date(2026, 6, 15), 18, date(2024, 12, 15), id="eighteen_months"),
        pytest.param(date(2026, 12, 31), 12, date(2025, 12, 31), id="from_december_to_december"),
        pytest.param(date(2026, 12, 31), 1, date(2026, 11, 30), id="to_a_shorter_month"),
        pytest.param(date(2026, 3, 31), 1, date(2026, 2, 28), id="to_february"),
        pytest.param(date(2024, 3, 31), 1, date(2024, 2, 29), id="to_february_of_a_leap_year"),
        pytest.param(date(2024, 2, 29), 12, date(2023, 2, 28), id="from_a_leap_day"),
        pytest.param(date(2024, 2, 29), 48, date(2020, 2, 29), id="from_leap_day_to_leap_day"),
    ],
)
def test_months_before(day, months, expected):
    assert months_before(day, months) == expected


@pytest.mark.parametrize(
    ("born", "on", "expected"),
    [
        pytest.param(date(1951, 6, 15), date(2026, 6, 14), 74, id="the_day_before_the_birthday"),
        pytest.param(date(1951, 6, 15), date(2026, 6, 15), 75, id="on_the_birthday"),
        pytest.param(date(1951, 6, 15), date(2026, 6, 16), 75, id="the_day_after_the_birthday"),
        pytest.param(date(1952, 2, 29), date(2027, 2, 28), 74, id="born_on_a_leap_day_28_february"),
        pytest.param(date(1952, 2, 29), date(2027, 3, 1), 75, id="born_on_a_leap_day_1_march"),
        pytest.param(date(1952, 2, 29), date(2028, 2, 29), 76, id="born_on_a_leap_day_in_a_leap_year"),
        pytest.param(date(2026, 6, 15), date(2026, 6, 15), 0, id="born_today"),
    ],
)
def test_age_in_whole_years(born, on, expected):
    assert age_years(born, on) == expected


def test_a_date_in_words_has_no_leading_nought():
    assert in_words(date(2026, 5, 3)) == "3 May 2026"
