"""Control charts: limits and rules by hand, and held to what the NHS-R community's package publishes of its own."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stratify import spc
from stratify.spc import BEYOND, COMMON, CONCERN, HIGH, IMPROVEMENT, LOW, NEAR, RUN, TREND, assurance, control_chart

ATTENDANCES = Path(__file__).parents[2].parent / "shared" / "data" / "outcomes" / "nhsr" / "ae_attendances.csv.gz"

# NHSRplotthedots, tests/testthat/_snaps/ptd_spc_standard.md and ptd_spc.md: twenty values, as printed there.
PUBLISHED = (
    -0.560, -0.230, 1.56, 0.0705, 0.129, 1.72, 0.461, -1.27, -0.687, -0.446,
    1.22, 0.360, 0.401, 0.111, -0.556, 1.79, 0.498, -1.97, 0.701, -0.473,
)  # fmt: skip


def signals(values, name, **options):
    """Give the places of a series that a rule marks."""
    chart = control_chart(values, better="lower", **options)
    return [place for place, point in enumerate(chart) if name in point.signals]


def limits(point):
    return (point.mean, point.lower, point.upper)


def printed(*numbers):
    """What is printed there has two or three digits, and so has what is worked out from it."""
    return pytest.approx(numbers, abs=0.02)


def test_limits_are_the_mean_and_266_hundredths_of_the_average_move_either_way():
    """10, 12, 11, 13: mean 11.5; moves 2, 1, 2, average 5/3; 2.66 x 5/3 = 4.43."""
    chart = control_chart((10, 12, 11, 13), better="lower")
    assert all(limits(point) == pytest.approx((11.5, 7.067, 15.933), abs=0.001) for point in chart)
    assert all(point.variation == COMMON and not point.signals for point in chart)


def test_the_published_series_has_the_published_limits_and_no_special_cause():
    chart = control_chart(PUBLISHED, better="higher")
    assert limits(chart[0]) == printed(0.142, -3.01, 3.29)
    assert all(point.variation == COMMON for point in chart)


def test_its_two_halves_have_the_published_limits_where_the_chart_starts_again():
    chart = control_chart(PUBLISHED, better="higher", starts=[10])
    assert limits(chart[9]) == printed(0.0746, -2.60, 2.75)
    assert limits(chart[10]) == printed(0.209, -3.28, 3.70)


@pytest.fixture(scope="module")
def attendances():
    """Attendances at emergency departments in England by month: 36, from April 2016."""
    if not ATTENDANCES.is_file():
        pytest.skip("no ../shared/data/outcomes/nhsr here")
    months: Counter[str] = Counter()
    with gzip.open(ATTENDANCES, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            months[row["period"]] += int(float(row["attendances"]))
    return [months[each] for each in sorted(months)]


# The package's own pictures of these data (tests/testthat/_snaps/integration_tests/ae_all_attendances*.svg), read off
# the axis: a hundredth of a point of the first is 20 attendances, of the second 24.
@pytest.mark.parametrize(
    ("starts", "place", "mean", "lower", "upper"),
    [
        ([], 0, 2_000_537, 1_731_848, 2_269_247),
        ([12], 11, 1_946_856, 1_639_942, 2_253_762),
        ([12], 12, 2_027_380, 1_772_929, 2_281_830),
    ],
)
def test_attendances_in_england_have_the_limits_of_the_published_pictures(
    attendances, starts, place, mean, lower, upper
):
    chart = control_chart(attendances, better="higher", starts=starts)
    point = chart[place]
    assert (point.mean, point.lower, point.upper) == pytest.approx((mean, lower, upper), abs=75)
    assert all(each.variation == COMMON for each in chart)  # every point is grey


def test_a_point_beyond_a_limit_is_marked_and_one_on_it_is_not():
    """Nine tens and a 30: mean 12; the one move of 20, average 2.2, is more than 3.267 times that and is left out."""
    assert signals([10] * 9 + [30], BEYOND) == list(range(10))  # no other move: the limits are the mean
    # 10 and 12 in turn, then 19: moves nine of 2, one of 7; average 2.5, limit 8.17 on it: 7 stays. 2.66 x 2.5 = 6.65.
    values = [10, 12] * 5 + [19]
    assert signals(values, BEYOND) == [10]  # mean 129 / 11 = 11.73; 18.38 < 19
    # 0 and 2.66 x 2 / 2 ... : one move of 2, mean 1, limits 1 +- 5.32: nothing is beyond them.
    assert signals([0, 2], BEYOND) == []


def test_a_large_move_is_left_out_of_the_average_and_its_point_stands_out():
    """Moves of 1 but for one of 20 there and back: (16 + 40) / 18 = 3.1, 3.267 x 3.1 = 10.2; both are left out."""
    values = [10, 11] * 4 + [31] + [11, 10] * 5
    chart = control_chart(values, better="lower")
    assert signals(values, BEYOND) == [8]
    assert chart[0].upper - chart[0].mean == pytest.approx(2.66)


@pytest.mark.parametrize(
    ("high", "marked"),
    [pytest.param(6, [], id="six"), pytest.param(7, range(7), id="seven"), pytest.param(8, range(8), id="eight")],
)
def test_seven_in_a_row_on_one_side_of_the_mean_are_all_marked(high, marked):
    """The low ones alternate with the mean's other side only once, so they make no run of seven themselves."""
    values = [12, 13] * 4
    low = [8, 7, 8, 16, 8, 7, 8, 7]
    assert signals([*values[:high], *low], RUN) == list(marked)


def test_a_run_is_broken_by_a_point_on_the_mean():
    """Mean 10: six above, one on it, one above."""
    values = [11, 12, 11, 12, 11, 12, 10, 11, 5, 5]
    assert sum(values) == 100
    assert signals(values, RUN) == []


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        # NHSRplotthedots, test-ptd_calculate_point_type.R: which series of these have a trend.
        pytest.param([1, 2, 3, 4, 5, 6], [], id="six"),
        pytest.param([1, 2, 3, 3, 4, 5, 6], [], id="two_alike"),
        pytest.param([1, 2, 3, 4, 5, 6, 7], range(7), id="seven_up"),
        pytest.param([7, 6, 5, 4, 3, 2, 1], range(7), id="seven_down"),
        pytest.param([2, 1, 2, 3, 4, 5, 6, 7, 3], range(1, 8), id="within"),
    ],
)
def test_seven_that_rise_or_fall_are_all_marked(values, marked):
    assert signals(values, TREND) == list(marked)


# After forty points of -1 and 1 in turn, moves of 2. With 4.5, 1, 4.5 the mean is 10 / 43 = 0.23 and the average move
# (39 x 2 + 5.5 + 3.5 + 3.5) / 42 = 2.15: near the limit is above 0.23 + 1.773 x 2.15 = 4.05, the limit 5.96.
@pytest.mark.parametrize(
    ("three", "marked"),
    [
        pytest.param([4.5, 1, 4.5], [40, 42], id="first_and_last"),
        pytest.param([4.5, 4.5, 1], [40, 41], id="next_to_each_other"),
        pytest.param([4.5, 1, 1], [], id="one"),
        pytest.param([4.5, -1, 4.5], [], id="one_on_the_other_side"),
        pytest.param([-4.5, -4.5, -1], [40, 41], id="below"),
    ],
)
def test_two_of_three_near_the_same_limit_are_marked_where_all_three_are_on_that_side(three, marked):
    base = [1, -1] * 20 if three[0] > 0 else [-1, 1] * 20
    assert signals([*base, *three], NEAR) == marked


def test_no_rule_looks_across_a_new_start():
    values = [10, 11, 10, 11, 20, 21, 20, 21, 22, 21, 20, 21]
    assert signals(values, RUN) == list(range(4, 12))
    assert signals(values, RUN, starts=[4]) == []


@pytest.mark.parametrize(
    ("better", "first", "last"),
    [("lower", IMPROVEMENT, CONCERN), ("higher", CONCERN, IMPROVEMENT), ("neither", LOW, HIGH)],
)
def test_a_special_cause_is_good_or_bad_by_the_way_that_is_better(better, first, last):
    chart = control_chart([5, 6, 5, 6, 5, 6, 5, 15, 16, 15, 16, 15, 16, 15], better=better)
    assert (chart[0].variation, chart[-1].variation) == (first, last)


def test_a_series_that_never_moves_has_no_special_cause():
    assert all(point.variation == COMMON for point in control_chart([0.1] * 20, better="lower"))
    assert control_chart([], better="lower") == ()


def test_a_planted_fall_of_three_fifths_is_found_in_its_month_and_without_one_hardly_ever():
    """Requests for visits, 30 a month: in the second year 12, or 30 as before. 200 series of either kind."""
    chance = np.random.default_rng(5)

    def improved(*means: float) -> list[int]:
        values = [float(each) for mean in means for each in chance.poisson(mean, 12)]
        chart = control_chart(values, better="lower", lowest=0)
        return [place for place, point in enumerate(chart) if point.variation == IMPROVEMENT]

    fell = [improved(30, 12) for _ in range(200)]
    assert sum(bool(places) for places in fell) >= 190
    assert sum(places[:1] == [12] for places in fell) >= 180
    assert sum(23 in improved(30, 30) for _ in range(200)) <= 6


def test_no_limit_is_shown_below_what_can_be():
    assert control_chart([1, 5, 1, 5], better="lower", lowest=0)[0].lower == 0


@pytest.mark.parametrize(
    ("target", "lower_is_better", "higher_is_better"),
    [
        # Limits 7.07 and 15.93. NHSRplotthedots, test-ptd_calculate_assurance_type.R, has the same table.
        (16, spc.MEETS, spc.MISSES),
        (7, spc.MISSES, spc.MEETS),
        (11.5, spc.HIT_AND_MISS, spc.HIT_AND_MISS),
    ],
)
def test_assurance_says_whether_the_process_will_meet_the_target(target, lower_is_better, higher_is_better):
    last = control_chart((10, 12, 11, 13), better="lower")[-1]
    assert assurance(last, target, "lower") == lower_is_better
    assert assurance(last, target, "higher") == higher_is_better
    assert assurance(last, target, "neither") is None
