"""Drift, calibration as outcomes mature, alarms, and the verdict whether a model may be used."""

from __future__ import annotations

import math
import shutil
from datetime import UTC, date, datetime
from functools import partial

import numpy as np
import polars as pl
import pytest

from stratify import audit_trail
from stratify.audit_trail import Actor
from stratify.modelling import promotion
from stratify.modelling.card_run import put_published_score_in_place
from stratify.modelling.stored import read_model
from stratify.modelling.watching import (
    EVERYWHERE,
    Limits,
    Profile,
    calibration_by_month,
    drift,
    group_alarms,
    may_be_used,
    notice,
    profile,
)
from stratify.rulebook import clinical_folder, load_rule_book

LIMITS = Limits()
TODAY = date(2026, 6, 15)


def people(rows: int, seed: int, *, shift: float = 0.0, missing: float = 0.1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    age = pl.Series("age_years", rng.normal(60 + shift, 15, rows).round())
    return pl.DataFrame({"age_years": age, "has_copd": rng.random(rows) < 0.1}).with_columns(
        pl.when(pl.Series(rng.random(rows)) >= missing).then("age_years").alias("age_years")
    )


def practices(rows: int) -> pl.Series:
    return pl.Series(["P1", "P2"] * (rows // 2))


def test_the_index_by_hand():
    """Of 1,000,000 people half were below an edge and now a fifth is: (0.2-0.5) ln(0.2/0.5) + (0.8-0.5) ln(0.8/0.5)."""
    now = pl.DataFrame({"x": [0.0] * 20_000 + [1.0] * 80_000})
    made_for = {EVERYWHERE: {"x": Profile(1_000_000, (0.0,), (0.5, 0.5, 0.0))}}
    found = drift(now, pl.Series([None] * 100_000, dtype=pl.String), made_for, fewest_people=200).row(0, named=True)
    by_hand = -0.3 * math.log(0.4) + 0.3 * math.log(1.6)
    assert found["psi"] == pytest.approx(by_hand, abs=0.0001)
    assert (found["missing_before"], found["missing_now"]) == (0, 0)


def test_the_same_people_again_have_not_changed_at_any_practice():
    """Drawn anew from one population; without taking off what chance makes, 500 people alone come to about 0.04."""
    before, now = people(20_000, 1), people(1000, 2)
    made_for = profile(before, practices(20_000), fewest_people=200)
    found = drift(now, practices(1000), made_for, fewest_people=200)
    assert sorted(set(found["practice"])) == ["P1", "P2", "all"]
    assert found["psi"].max() < 0.03


def test_older_people_and_a_lost_predictor_are_seen():
    made_for = profile(people(20_000, 1), practices(20_000), fewest_people=200)
    now = people(2000, 3, shift=15).drop("has_copd")
    found = {row["predictor"]: row for row in drift(now, practices(2000), made_for, fewest_people=2000).to_dicts()}
    assert found["age_years"]["psi"] > LIMITS.psi_stop
    assert (found["has_copd"]["missing_before"], found["has_copd"]["missing_now"]) == (0, 1)


def test_a_count_that_most_people_have_none_of_keeps_nought_apart():
    """Seven of ten have 0: the tenths end at 0 seven times, which is one piece."""
    found = profile(pl.DataFrame({"n": [0] * 70 + [1] * 20 + [2] * 10}), pl.Series(["P"] * 100), fewest_people=200)
    assert found[EVERYWHERE]["n"] == Profile(100, (0.0, 1.0), (0.7, 0.2, 0.1, 0.0))


def scored(ratio: float, months: int = 4, each: int = 2000, seed: int = 5) -> pl.DataFrame:
    """Give risks of 0.2 with ``ratio`` times as many outcomes, in the months from January 2025."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "patient_key": [f"k{number}" for number in range(each * months)],
            "index_date": [date(2025, 1 + number % months, 10) for number in range(each * months)],
            "risk": [0.2] * (each * months),
            "outcome": (rng.random(each * months) < 0.2 * ratio).astype(int),
        }
    )


def test_only_months_whose_year_is_over_are_judged():
    """Of 10 March 2025 the 365 days end on 10 March 2026, the last day of hospital data; April's do not."""
    found = calibration_by_month(scored(1.0), hospital_data_to=date(2026, 3, 10), horizon_days=365)
    assert found["month"].to_list() == [date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1)]
    assert found["people"].to_list() == [2000, 2000, 2000]
    assert found["ratio"].to_list() == pytest.approx([1, 1, 1], abs=0.15)


def verdict(drifted=None, months=None, alarms=None, developed_to=date(2025, 6, 1)):
    no_drift = drift(people(500, 1), practices(500), profile(people(500, 1), practices(500), fewest_people=200),
                     fewest_people=200)  # fmt: skip
    no_months = calibration_by_month(scored(1.0), hospital_data_to=date(2026, 6, 1), horizon_days=365)
    return may_be_used(
        no_drift if drifted is None else drifted,
        no_months if months is None else months,
        no_alarms() if alarms is None else alarms,
        index_date=TODAY,
        developed_to=developed_to,
    )


def no_alarms() -> pl.DataFrame:
    return group_alarms(scored(1.0).with_columns(sex=pl.lit("F")), ["sex"], LIMITS)


def seen(practice: str, psi: float, missing_now: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"practice": [practice], "predictor": ["age_years"], "people": [5000], "psi": [psi],
         "missing_before": [0.05], "missing_now": [missing_now]}
    )  # fmt: skip


def test_a_model_that_is_as_it_was_made_may_be_used():
    assert verdict() == type(verdict())(True, frozenset(), (), ())
    assert notice(verdict(), "the model", "the published score") is None


@pytest.mark.parametrize(
    ("psi", "missing_now", "usable", "looks"),
    [
        pytest.param(0.1, 0.15, True, 0, id="on_both_limits"),
        pytest.param(0.11, 0.05, True, 1, id="above_the_limit_to_look"),
        pytest.param(0.25, 0.05, True, 1, id="on_the_limit_to_stop"),
        pytest.param(0.26, 0.05, False, 0, id="above_the_limit_to_stop"),
        pytest.param(0.0, 0.16, False, 0, id="known_of_too_few"),
    ],
)
def test_limits_of_drift_everywhere(psi, missing_now, usable, looks):
    found = verdict(drifted=seen(EVERYWHERE, psi, missing_now))
    assert found.may_be_used is usable
    assert len(found.to_look_at) == looks


def test_drift_at_one_practice_puts_the_published_score_there_alone():
    found = verdict(drifted=seen("P1", 0.0, 0.5))
    assert found.may_be_used
    assert found.not_at == {"P1"}
    said = notice(found, "the model", "the published score")
    assert said == (
        "the published score is used in place of the model at P1: too little is known there of what it needs."
    )


@pytest.mark.parametrize(
    ("ratio", "months", "usable"),
    [
        pytest.param(1.6, 3, False, id="three_months_far_above"),
        pytest.param(0.5, 3, False, id="three_months_far_below"),
        pytest.param(1.6, 2, True, id="two_months_are_too_few"),
        pytest.param(1.25, 3, True, id="at_the_limit_chance_decides_nothing"),
    ],
)
def test_events_out_of_line_for_three_months_put_the_published_score_in_place(ratio, months, usable):
    found = calibration_by_month(scored(ratio, months), hospital_data_to=date(2026, 6, 1), horizon_days=365)
    made = verdict(months=found)
    assert made.may_be_used is usable
    if not usable:
        said = notice(made, "The model", "The published score")
        assert said == (
            "The published score is used in place of The model: "
            "events were more or fewer than the model said, for 3 months in a row."
        )


def test_a_model_past_its_age_may_not_be_used():
    assert verdict(developed_to=date(2023, 6, 16)).may_be_used  # 1,095 days
    assert not verdict(developed_to=date(2023, 6, 15)).may_be_used


def test_a_model_that_may_not_be_used_is_rolled_back_at_once_and_one_that_may_stays(tmp_path):
    clinical = tmp_path / "clinical"
    shutil.copytree(clinical_folder(), clinical)
    name, version = "emergency_admission_12_months", "0.2.0"  # the one that is shipped is in use
    model = read_model(promotion.model_file(name, version, clinical))
    book = load_rule_book(clinical)
    trail = promotion.Trail(tmp_path, Actor("somebody (test)", lambda: datetime(2026, 6, 15, tzinfo=UTC)))
    put = partial(put_published_score_in_place, model, book=book, day=TODAY, clinical=clinical, trail=trail)
    assert put(verdict()) is None
    lost = verdict(drifted=seen(EVERYWHERE, 0.0, 0.5))
    done = put(lost)
    assert done == f"{name}: 0.2.0 → none, signed by stratify model watch (automatic fall-back), 2026-06-15"
    last = promotion.register_of(name, clinical).promotions[-1]
    assert "age_years is not known of many more people" in last.reason
    assert promotion.champion_of(name, clinical) is None
    assert put(lost) is None  # nothing in use
    [begun, _] = audit_trail.read(tmp_path)
    assert begun.entry["details"]["signed_by"] == "stratify model watch"


def test_a_group_for_whom_the_model_is_wrong_raises_an_alarm_and_chance_does_not():
    """Women have 0.3 outcomes where 0.2 are foretold; of 20 other groups with none planted, none may cry."""
    rng = np.random.default_rng(6)
    sex = rng.choice(["F", "M"], 20_000)
    rows = pl.DataFrame(
        {
            "patient_key": [str(number) for number in range(20_000)],
            "risk": np.full(20_000, 0.2),
            "outcome": (rng.random(20_000) < np.where(sex == "F", 0.3, 0.2)).astype(int),
            "sex": sex,
        }
    )
    quiet = rows.with_columns(area=pl.Series(rng.integers(0, 20, 20_000).astype(str))).filter(pl.col("sex") == "M")
    loud = group_alarms(rows, ["sex"], LIMITS)
    assert loud["breakdown_value"].to_list() == ["F"]
    assert loud["gap"][0] == pytest.approx(0.1, abs=0.02)
    assert group_alarms(quiet, ["area"], LIMITS).is_empty()
    found = verdict(alarms=loud)
    assert found.may_be_used
    assert found.to_look_at == ("in group sex F more events happen than the model says",)
