"""Measures of a model by hand, against scikit-learn, and the coverage of their intervals by simulation."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from stratify.errors import RunError
from stratify.modelling.evaluation import (
    area,
    area_difference,
    calibration_bins,
    decision_curve,
    evaluate,
    evaluate_groups,
    inside_capacity,
    smooth_calibration,
)


def drawn(rows: int, seed: int, *, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw risks, rounded so that some tie, and outcomes whose logit is shift and slope times that of the risk."""
    rng = np.random.default_rng(seed)
    risk = np.clip(np.round(1 / (1 + np.exp(-rng.normal(-1.5, 1.2, rows))), 3), 0.001, 0.999)
    truth = 1 / (1 + np.exp(-(shift + slope * np.log(risk / (1 - risk)))))
    return (rng.random(rows) < truth).astype(float), risk


def test_discrimination_and_brier_are_those_of_scikit_learn_with_ties():
    outcome, risk = drawn(3000, seed=1)
    found = evaluate(outcome, risk).measures
    assert found["auroc"].value == pytest.approx(roc_auc_score(outcome, risk), abs=1e-12)
    assert found["auprc"].value == pytest.approx(average_precision_score(outcome, risk), abs=1e-12)
    assert found["brier"].value == pytest.approx(brier_score_loss(outcome, risk), abs=1e-12)


def test_the_area_is_the_share_of_pairs_in_which_the_one_with_the_outcome_is_ahead():
    assert area([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75  # 3 of 2 times 2


def test_two_numbers_of_the_same_people_differ_by_their_areas_with_the_interval_that_drawing_again_gives():
    outcome, risk = drawn(2000, seed=5)
    other = np.round(risk + np.random.default_rng(6).normal(0, 0.15, risk.size), 2)  # not a risk: below 0 for some
    found = area_difference(outcome, risk, other)
    assert found.value == pytest.approx(roc_auc_score(outcome, risk) - roc_auc_score(outcome, other), abs=1e-12)
    rng = np.random.default_rng(7)
    again = []
    for _ in range(400):
        row = rng.integers(0, risk.size, risk.size)
        again.append(area(outcome[row], risk[row]) - area(outcome[row], other[row]))
    assert found.high - found.value == pytest.approx(1.96 * float(np.std(again)), rel=0.12)
    assert area_difference(outcome, risk, risk * 2).high == 0.0  # the same order of people


def test_the_calibration_slope_is_that_of_a_logistic_regression_on_the_logit():
    outcome, risk = drawn(3000, seed=2, slope=0.7, shift=-0.3)
    logit = np.log(risk / (1 - risk))
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(logit[:, None], outcome).coef_[0, 0]
    assert evaluate(outcome, risk).measures["calibration_slope"].value == pytest.approx(theirs, abs=1e-5)


def test_measures_at_the_cut_by_hand():
    """40 rows, 20 with the outcome; 16 places; of the 16 highest 12 have it: 12/20 found, 12/16 right, 16/12 reviewed.

    Expected are 16 times 0.8 and 24 times 0.2, 17.6, so 20/17.6 observed to expected and a gap of 0.5 - 0.44. At 0.5
    the net benefit is 12/40 - 4/40; at the cut, whose odds are 0.8 to 0.2, each of the 4 counts four times.
    """
    risk = np.repeat([0.8, 0.2], [16, 24])
    outcome = np.repeat([1, 0, 1, 0], [12, 4, 8, 16])
    done = evaluate(outcome, risk, listed=inside_capacity(risk, 16))
    assert (done.people, done.events, done.listed, done.listed_events) == (40, 20, 16, 12)
    assert done.measures["sensitivity"].value == pytest.approx(0.6)
    assert done.measures["ppv"].value == pytest.approx(0.75)
    assert done.measures["number_to_review"].value == pytest.approx(16 / 12)
    assert done.measures["number_to_review"].low == pytest.approx(1 / done.measures["ppv"].high)
    assert done.measures["observed_to_expected"].value == pytest.approx(20 / 17.6)
    assert done.measures["calibration_gap"].value == pytest.approx(0.06)
    assert done.measures["net_benefit"].value == pytest.approx(12 / 40 - 4 / 40 * 0.8 / 0.2)
    curve = decision_curve(outcome, risk, [0.5]).row(0, named=True)
    assert curve["net_benefit"] == pytest.approx(0.2)
    assert curve["treat_all"] == pytest.approx(0)  # at even odds 20 of 40 are right and 20 are wrong


def test_rows_that_tie_for_the_last_places_share_them():
    """5 places: 2 rows above, 6 at the cut share 3."""
    risk = np.array([0.9, 0.8, *[0.5] * 6, 0.1])
    assert inside_capacity(risk, 5).tolist() == [1, 1, *[0.5] * 6, 0]
    assert inside_capacity(risk, 99).tolist() == [1] * 9
    assert inside_capacity(risk, 0).tolist() == [0] * 9


def test_somebody_with_several_index_dates_counts_once():
    """Every row three times over tells nothing new: the interval of the rows once."""
    outcome, risk = drawn(800, seed=3)
    once = evaluate(outcome, risk, listed=inside_capacity(risk, 80))
    thrice = evaluate(
        np.tile(outcome, 3),
        np.tile(risk, 3),
        listed=np.tile(inside_capacity(risk, 80), 3),
        person=np.tile(np.arange(800), 3),
    )
    for name, mine in once.measures.items():
        theirs = thrice.measures[name]
        assert (theirs.value, theirs.low, theirs.high) == pytest.approx((mine.value, mine.low, mine.high), abs=1e-9)


def test_shuffled_rows_give_the_same():
    outcome, risk = drawn(500, seed=4)
    order = np.random.default_rng(5).permutation(500)
    mine, theirs = evaluate(outcome, risk).measures, evaluate(outcome[order], risk[order]).measures
    assert [each.value for each in mine.values()] == pytest.approx([each.value for each in theirs.values()], abs=1e-12)


TRUE = {"calibration_slope": 1.0, "calibration_intercept": 0.0, "observed_to_expected": 1.0, "calibration_gap": 0.0}


def test_intervals_of_95_percent_hold_the_truth_in_about_95_of_100_draws():
    """300 draws of 600 rows; 92 to 98 % is within three standard errors of 95 %."""
    large, large_risk = drawn(400_000, seed=6)
    truth = {name: each.value for name, each in evaluate(large, large_risk).measures.items()} | TRUE
    inside = dict.fromkeys(truth, 0)
    for seed in range(300):
        found = evaluate(*drawn(600, seed=1000 + seed)).measures
        for name, value in truth.items():
            inside[name] += found[name].low <= value <= found[name].high
    assert {name: count for name, count in inside.items() if not 0.92 <= count / 300 <= 0.985} == {}


def test_groups_are_measured_at_the_cut_of_everybody():
    """6 of 60 places go to the highest risks, all in the north: the south has none, its share found and benefit are 0.

    Of the 6, three have it; the last place is at a risk of 0.05 + 54 of 59 steps of 0.9: 0.8737, odds 6.919.
    """
    risk = np.linspace(0.05, 0.95, 60)
    outcome = np.tile([0, 1], 30)
    groups = pl.DataFrame({"area": ["south"] * 30 + ["north"] * 30})
    found = evaluate_groups(outcome, risk, groups, listed=inside_capacity(risk, 6))
    assert list(found) == [("all", "all"), ("area", "north"), ("area", "south")]
    assert found["area", "north"].listed == 6
    assert found["area", "south"].measures["sensitivity"].value == 0
    assert found["area", "south"].measures["net_benefit"].value == 0
    assert found["area", "north"].measures["net_benefit"].value == pytest.approx((3 - 3 * 6.919) / 30, abs=1e-3)
    assert "ppv" not in found["area", "south"].measures


@pytest.mark.parametrize("events", [pytest.param(9, id="too_few"), pytest.param(51, id="too_few_without")])
def test_a_group_with_under_ten_of_either_kind_has_counts_and_no_measures(events):
    done = evaluate(np.arange(60) < events, np.linspace(0.1, 0.9, 60))
    assert (done.people, done.events, dict(done.measures)) == (60, events, {})


def test_risks_that_are_all_the_same_have_no_slope_and_separate_ones_neither():
    outcome = np.repeat([0, 1], 20)
    assert "calibration_slope" not in evaluate(outcome, np.full(40, 0.5)).measures
    parted = evaluate(outcome, np.repeat([0.2, 0.8], 20)).measures
    assert "calibration_slope" not in parted
    assert parted["auroc"].value == 1


def test_a_risk_of_no_number_is_refused_with_counts_alone():
    with pytest.raises(RunError, match=r"found 3 outcomes, 3 risks, 2 of them outside"):
        evaluate([0, 1, 2], [0.1, 0.2, float("nan")])


def test_calibration_bins_hold_ten_of_either_kind_and_everybody():
    outcome, risk = drawn(3000, seed=7)
    bins = calibration_bins(outcome, risk)
    assert bins["people"].sum() == 3000
    assert bins["events"].sum() == outcome.sum()
    assert bins.filter((pl.col("events") < 10) | (pl.col("people") - pl.col("events") < 10)).is_empty()
    assert bins["mean_risk"].is_sorted()
    assert calibration_bins(outcome[:20] * 0, risk[:20]).is_empty()


def test_the_smooth_curve_follows_risks_that_are_half_of_what_they_should_be():
    rng = np.random.default_rng(8)
    truth = rng.uniform(0.1, 0.8, 20_000)
    curve = smooth_calibration(rng.random(20_000) < truth, truth / 2)
    middle = curve.filter(pl.col("risk").is_between(0.1, 0.35))
    assert middle.height > 10
    assert (middle["observed"] / middle["risk"]).to_list() == pytest.approx([2] * middle.height, rel=0.1)
