"""Slopes by deprivation and funnel limits, by hand."""

from __future__ import annotations

import math
from datetime import date

import polars as pl
import pytest

from stratify.publish.comparisons import LACKING, funnels, gradients
from stratify.publish.metric_tables import HIDDEN

SCALES = {"share": (True, 100), "rate": (False, 1000)}


def value(metric, numerator, denominator, *, place=("pcn", "U1"), fifth=None):
    per = SCALES[metric][1]
    return {
        "metric": metric, "metric_version": "1.0.0", "pathway": "all", "status": "final",
        "period_end": date(2026, 8, 31), "geography_type": place[0], "geography_code": place[1],
        "geography_name": None if place[0] == "icb" else place[1],
        "breakdown": "imd_quintile" if fifth else "all", "breakdown_value": fifth or "all",
        "numerator": numerator, "denominator": denominator,
        "value": None if numerator is None else round(per * numerator / denominator, 1),
        "reason": HIDDEN if numerator is None else None,
    }  # fmt: skip


def values(*rows):
    return pl.DataFrame(rows, infer_schema_length=None)


def test_a_slope_is_the_line_through_five_fifths_read_at_both_ends():
    """Equal fifths of 50, 40, 30, 20 and 10 % from the most deprived: 10 a fifth, so 50 from end to end.

    Middles at 0.9 to 0.1, mean 0.5, weights 100 x 0.4, 0.2, 0, -0.2, -0.4 over 100 x 0.4 in all: 1, 0.5, 0, -0.5, -1.
    Variance: (0.5 x 0.5 + 0.25 x 0.4 x 0.6 + 0.25 x 0.2 x 0.8 + 0.1 x 0.9) / 100 = (0.25 + 0.06 + 0.04 + 0.09) / 100 =
    0.0044, so 1.96 x 0.0663 = 0.130.
    """
    rows = [value("share", 50 - 10 * n, 100, fifth=str(n + 1)) for n in range(5)]
    rows.append(value("share", 100, 100, fifth="not known"))
    found = gradients(values(*rows), SCALES).row(0, named=True)
    assert (found["slope"], found["lower_95"], found["upper_95"]) == (50.0, 37.0, 63.0)


def test_a_slope_weighs_fifths_by_their_people():
    """100, 100, 100, 100 and 600 people; 10 of the first, nobody else.

    Middles .95, .85, .75, .65, .30, mean .5; spread 100 (.2025 + .1225 + .0625 + .0225) + 600 x .04 = 65; slope
    100 x .45 x .1 / 65 = 0.0692.
    """
    rows = [value("rate", 10 if n == 1 else 0, 600 if n == 5 else 100, fifth=str(n)) for n in range(1, 6)]
    assert gradients(values(*rows), SCALES)["slope"].to_list() == [69.2]


def test_a_slope_is_below_nought_where_the_least_deprived_have_more():
    rows = [value("rate", 10 * n, 100, fifth=str(n)) for n in range(1, 6)]
    assert gradients(values(*rows), SCALES)["slope"].to_list() == [-500.0]


def test_there_is_no_slope_where_a_fifth_is_hidden_and_it_says_so():
    rows = [value("share", None if n == 2 else 50, 100, fifth=str(n)) for n in range(1, 6)]
    found = gradients(values(*rows), SCALES).row(0, named=True)
    assert found["slope"] is found["upper_95"] is None
    assert found["reason"] == LACKING


@pytest.mark.parametrize(
    ("numerator", "position"),
    [(20, "within"), (27, "within"), (30, "above"), (35, "far above"), (10, "below"), (5, "far below")],
)
def test_places_beyond_the_limits_of_a_share_are_named(numerator, position):
    """Board 20 %, place of 100: error 4 points, limits 20 +- 7.84 and +- 12.36; 5 a cell is never between 8 and 12."""
    rows = [value("share", 200, 1000, place=("icb", "Q1")), value("share", numerator, 100, place=("practice", "A1"))]
    found = funnels(values(*rows), {"A1": "Q1"}, SCALES).row(0, named=True)
    assert found["position"] == position
    assert (found["board_value"], found["lower_limit_95"], found["upper_limit_95"]) == (20.0, 12.2, 27.8)
    assert (found["lower_limit_998"], found["upper_limit_998"]) == (7.6, 32.4)


def test_limits_of_a_rate_are_those_of_counts():
    """Board 90 for 1,000, place of 1,000: error sqrt(0.09 / 1,000) = 0.00949, so 90 +- 18.6."""
    rows = [value("rate", 900, 10000, place=("icb", "Q1")), value("rate", 90, 1000)]
    found = funnels(values(*rows), {"U1": "Q1"}, SCALES).row(0, named=True)
    assert math.isclose(found["upper_limit_95"], 108.6) and math.isclose(found["lower_limit_95"], 71.4)


def test_a_place_whose_board_is_hidden_has_no_limits():
    assert funnels(values(value("rate", 90, 1000)), {"U1": "Q1"}, SCALES).is_empty()
