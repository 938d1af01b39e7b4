"""What a model must show in each group of people: bias is seen, chance in one of many groups is not taken for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from little_model import little_cohort, little_model

from stratify.modelling.cohort import Cohort
from stratify.modelling.evaluation import Estimate, Performance, evaluate_groups, group_gaps
from stratify.modelling.model_card import with_groups
from stratify.modelling.review import _fair

PEOPLE = little_cohort(6000)
RISK = little_model().fitted.risk(PEOPLE.predictors)
GATES = ("Age", "Sex", "Ethnic group", "Deprivation fifth (1 is most deprived)", "Lives in a care home",
         "On the COPD register", "On the diabetes register")  # fmt: skip


def drawn(seed: int, *, more: pl.Expr | None = None) -> Cohort:
    """Give the people with outcomes as their risks say, or with more of them in a group."""
    happens = RISK + (0.0 if more is None else PEOPLE.rows.select(more.cast(pl.Float64)).to_series().to_numpy())
    outcome = (np.random.default_rng(seed).random(happens.size) < happens).astype(int)
    return replace(PEOPLE, rows=PEOPLE.rows.with_columns(outcome=pl.Series(outcome)))


def failed(people: Cohort) -> set[str]:
    return {each.what.removeprefix("right on average: ") for each in _fair(RISK, people) if not each.holds}


def test_each_way_to_group_people_is_a_gate():
    assert tuple(each.what.removeprefix("right on average: ") for each in _fair(RISK, drawn(1))) == GATES


def test_risks_that_are_right_pass_in_nineteen_draws_of_twenty():
    assert sum(bool(failed(drawn(seed))) for seed in range(20)) <= 1


@pytest.mark.parametrize(
    ("group", "gate"),
    [
        pytest.param("has_copd", "On the COPD register", id="copd"),
        pytest.param("has_diabetes", "On the diabetes register", id="diabetes"),
    ],
)
def test_risks_too_low_for_people_with_one_illness_fail_its_gate(group, gate):
    """In 1,000 rows a share of 0.2 has an error of 0.013, times 3 for 19 groups 0.04: 0.07 too few shows."""
    for seed in range(5):
        assert gate in failed(drawn(seed, more=0.08 * (pl.col(group) - pl.col(group).mean())))


def test_people_of_whom_deprivation_is_not_known_are_a_group_like_any_other():
    people = drawn(3, more=pl.when(pl.col("imd_decile") == 1).then(0.1).otherwise(0.0))
    unknown = people.rows.with_columns(imd_decile=pl.when(pl.col("imd_decile") > 1).then("imd_decile"))
    gate = next(each for each in _fair(RISK, replace(people, rows=unknown)) if each.what.endswith(GATES[3]))
    assert not gate.holds
    assert gate.found.startswith("furthest out: not known, +0.")


def test_a_group_with_few_events_is_named_as_not_judged():
    few = drawn(4)
    first = pl.int_range(pl.len()) < 30
    rows = few.rows.with_columns(sex=pl.when(first).then(pl.lit("I")).otherwise("sex"))
    gate = next(each for each in _fair(RISK, replace(few, rows=rows)) if each.what.endswith("Sex"))
    assert gate.holds
    assert gate.found.endswith("; not judged, too few: I")


def test_an_interval_is_wider_the_more_groups_are_looked_at():
    """Alone 0.03 with an error of 0.01 is beyond 1.96 errors; of 40 groups each is held to 3.23 errors."""

    def group(gap: float) -> Performance:
        return Performance(500, 50, 0, 0, {"calibration_gap": Estimate(gap, gap - 0.0196, gap + 0.0196)})

    assert group_gaps({("sex", "F"): group(0.03)}, largest=0.02)["sex", "F"].is_out
    many = {("age", str(number)): group(0.0) for number in range(39)} | {("sex", "F"): group(0.03)}
    assert not group_gaps(many, largest=0.02)["sex", "F"].is_out
    assert group_gaps(many, largest=0.02)["sex", "F"].gap.low == pytest.approx(0.03 - 0.0323, abs=1e-4)
    assert not group_gaps({("sex", "F"): group(0.02)}, largest=0.02)["sex", "F"].is_out


def test_somebody_with_several_index_dates_counts_once():
    """The same row three times says no more than once: the interval stays as wide."""
    once = drawn(5)
    thrice = pl.concat([once.rows] * 3)
    gaps = [
        group_gaps(
            evaluate_groups(rows["outcome"], np.tile(RISK, times), with_groups(rows).select("has_copd"),
                            person=pl.Series(np.tile(np.arange(RISK.size), times))), largest=0.02,
        )["has_copd", "yes"].gap
        for rows, times in ((once.rows, 1), (thrice, 3))
    ]  # fmt: skip
    assert gaps[0].high - gaps[0].low == pytest.approx(gaps[1].high - gaps[1].low)
