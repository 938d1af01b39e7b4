"""What holds for any input of the second implementation, which must be sound before anything is held against it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from second import charlson, copd, frailty
from second.answers import icd10
from second.strategies import CASES, COPD_RECORDS, INDEX, ORDERS
from second.windows import episodes


@pytest.mark.parametrize("name", CASES)
def test_an_answer_is_withheld_or_one_of_those_possible(name):
    case = CASES[name]

    @settings(max_examples=30)
    @given(inputs=case.inputs)
    def holds(inputs):
        answer = case.answer(**inputs)
        if answer.withheld:
            assert (answer.value, answer.tier, answer.possible) == (None, None, None)
        elif answer.possible is not None:
            assert answer.possible
            assert answer.tier is None or answer.tier in answer.possible
            assert len(answer.possible) > 1 or answer.tier is not None or answer.value is None
        if name in ORDERS and answer.possible:
            lowest = ORDERS[name][-1]
            assert answer.possible <= set(ORDERS[name])
            assert answer.tier != lowest or answer.possible == {lowest}

    holds()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.may_be_lost])
def test_losing_an_input_rules_no_tier_out(name):
    case = CASES[name]

    @settings(max_examples=30)
    @given(inputs=case.inputs, lost=st.sampled_from(case.may_be_lost))
    def holds(inputs, lost):
        before, after = case.answer(**inputs), case.answer(**{**inputs, lost: None})
        if before.possible is not None and after.possible is not None:
            assert before.possible <= after.possible
        if name in ORDERS and before.possible and after.tier:
            order = ORDERS[name]
            assert after.tier in after.possible
            assert min(order.index(each) for each in before.possible) <= order.index(after.tier)

    holds()


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(("hospital", "charlson", "elixhauser"))])
def test_codes_count_once_in_any_order_however_they_are_written(name):
    case = CASES[name]

    @settings(max_examples=30)
    @given(inputs=case.inputs, seed=st.randoms(use_true_random=False))
    def holds(inputs, seed):
        if inputs["codes"] is None:
            return
        twice = [*inputs["codes"], *icd10(inputs["codes"])]
        seed.shuffle(twice)
        assert case.answer(**{**inputs, "codes": twice}) == case.answer(**inputs)

    holds()


@settings(max_examples=30)
@given(inputs=CASES["hospital_frailty"].inputs, more=st.sampled_from(sorted(frailty.HFRS_WEIGHTS)))
def test_one_more_diagnosis_never_lowers_hospital_frailty(inputs, more):
    before = frailty.hfrs(inputs["codes"], 80)
    after = frailty.hfrs([*(inputs["codes"] or []), more], 80)
    assert before.value is None or after.value >= before.value
    assert (after.value * 10).denominator == 1


@settings(max_examples=30)
@given(inputs=CASES["charlson_shmi"].inputs)
def test_the_shmi_score_is_never_below_nought(inputs):
    answer = charlson.charlson_shmi(inputs["codes"])
    assert answer.withheld or 0 <= answer.value <= 114


@settings(max_examples=100)
@given(records=COPD_RECORDS)
def test_flare_ups_are_no_more_than_their_days_and_far_enough_apart(records):
    days = copd.exacerbation_days(records)
    starts = episodes(days, 14)
    reviews = {day for day, kind in records if kind == "annual_review"}
    assert not set(days) & reviews
    assert all(later - earlier > timedelta(days=14) for earlier, later in itertools.pairwise(starts))
    assert copd.exacerbation_count(records, INDEX) <= len([day for day in days if day < INDEX])
    assert set(starts) <= set(days)


@settings(max_examples=30)
@given(count=st.integers(0, 36))
def test_one_more_deficit_never_lowers_the_frailty_index(count):
    names = sorted(frailty.EFI_DEFICITS)
    answers = [frailty.efi(names[:each], 70) for each in (count, min(36, count + 1))]
    ranks = [frailty.EFI_TIERS.index(each.tier) for each in answers]
    assert ranks[1] <= ranks[0]
    assert answers[0].value == Fraction(count, 36)
