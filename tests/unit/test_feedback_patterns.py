"""Patterns in what teams answered: raised beyond chance and not before, and the edge that would set them right."""

import random
from datetime import date

import polars as pl
import pytest

import invented
from stratify import fairness, feedback_patterns
from stratify.feedback_patterns import LEAST, best_edit, interval, missing, overruled, telling_codes
from stratify.rulebook import load_rule_book
from stratify.whatif_changes import Changes, Threshold, changed_book

TODAY = date(2026, 11, 23)
EDGE = {"score": "copd_priority_group", "tier": "HR", "variable": "copd_exacerbations_count"}
BOOK = load_rule_book().cut_down_to("copd")
TOO_LOW = changed_book(BOOK, Changes(thresholds=(Threshold.model_validate({**EDGE, "at_least": 1}),)))
"""The planted mistake: one flare-up puts somebody into the second group, where the source means two."""


def answered(overruled_count, of, **more):
    of_rule = {"pathway": "copd", "rule_id": "highest_groups", "tier": "HR", **more}
    return pl.DataFrame([{**of_rule, "is_overruled": number < overruled_count} for number in range(of)])


def is_raised(overruled_count, of):
    return overruled(answered(overruled_count, of))["is_pattern"].to_list() == [True]


# ---------------------------------------------------------------------------------------------------- often overruled


def test_the_interval_is_wilsons():
    # 10 of 20 at z = 2.5758: middle 0.5; half = z / (1 + z^2 / 20) * sqrt(0.25 / 20 + z^2 / 1600) = 0.2496
    low, high = interval(10, 20)
    assert (round(low, 4), round(high, 4)) == (0.2504, 0.7496)
    assert interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("overruled_count", "of", "raised"),
    [
        pytest.param(7, 9, False, id="too_few_overruled"),
        pytest.param(12, 19, False, id="too_few_answered"),
        pytest.param(12, 20, True, id="three_in_five_of_20"),
        pytest.param(9, 30, False, id="three_in_ten_of_30_may_be_chance"),
        pytest.param(90, 300, True, id="three_in_ten_of_300_is_not"),
    ],
)
def test_a_rule_is_raised_when_it_is_overruled_too_often_for_chance(overruled_count, of, raised):
    assert is_raised(overruled_count, of) is raised


def test_chance_hardly_ever_raises_a_rule_that_is_overruled_as_often_as_is_usual():
    """26 weeks of 30 rules, each overruled for one in ten: of 780 looks none is raised (chance of one: 1 in 10,000)."""
    luck = random.Random(3)
    looks = [(sum(luck.random() < 0.1 for _ in range(60)), 60) for _ in range(780)]
    assert not any(is_raised(*look) for look in looks)


def test_rules_and_tiers_are_counted_apart():
    found = overruled(pl.concat([answered(15, 20), answered(1, 40, tier="HRC"), answered(0, 5, rule_id="care_home")]))
    assert found.select("rule_id", "tier", "overruled_count", "answered_count", "is_pattern").rows() == [
        ("care_home", "HR", 0, 5, False),
        ("highest_groups", "HR", 15, 20, True),
        ("highest_groups", "HRC", 1, 40, False),
    ]


# ------------------------------------------------------------------------------------------------------- often missing


def people(*groups):
    """Give people by how many, ethnic category and deprivation decile."""
    rows = [
        {"patient_key": f"{number}-{place}", "ethnic_category": category, "imd_decile": decile, "age_years": 70}
        for number, (count, category, decile) in enumerate(groups)
        for place in range(count)
    ]
    return fairness.groups(invented.frame("core.person", rows))


def test_a_group_that_is_reported_more_than_it_is_listed_is_raised():
    everybody = people((90, "A", 8), (10, "H", 8), (12, "H", 1), (4, "A", 1))
    listed, reported = ({key for key in everybody["patient_key"] if key[0] in wanted} for wanted in ("01", "23"))
    raised = missing(reported, listed, everybody).filter("is_pattern")
    # Of 16 reported 12 are Asian (10 of 100 listed are), all 16 live in the most deprived fifth (nobody listed does).
    assert raised.select("breakdown", "breakdown_value", "reported_count", "listed_share").rows() == [
        ("imd_fifth", "1", 16, 0.0),
        ("ethnic_group", "Asian or Asian British", 12, 0.1),
    ]


def test_a_few_reports_raise_no_group():
    everybody = people((90, "A", 8), (LEAST - 1, "H", 8))
    listed, reported = ({key for key in everybody["patient_key"] if key[0] == wanted} for wanted in "01")
    assert missing(reported, listed, everybody).filter("is_pattern").is_empty()


# ----------------------------------------------------------------------------------------------------- the edge to try


def wide(flares, book=BOOK):
    """Give wide rows of people on the register with so many flare-ups and nothing else that would call them."""
    ordinary = {"is_on_copd_register": 1, "fev1_percent_predicted": 70, "mrc_grade": 2}
    values = {key: {**ordinary, "copd_exacerbations_count": count} for key, count in flares.items()}
    persons = invented.frame("core.person", [{"patient_key": key} for key in flares])
    return invented.wide_of(persons, invented.value_rows(values, date(2026, 10, 1)), book, TODAY)


def weeks_of_answers(luck, number):
    """Give flare-ups by person, 15 a week, and who was overruled: 9 in 10 of those with one, 1 in 20 else."""
    flares = {f"p{each}": luck.choice([1, 1, 1, 2, 2, 3]) for each in range(15 * number)}
    return flares, {key for key, count in flares.items() if luck.random() < (0.9 if count == 1 else 0.05)}


@pytest.mark.parametrize("seed", range(2))
def test_a_planted_edge_is_found_and_the_right_one_proposed_within_four_weeks(seed):
    luck = random.Random(seed)
    flares, wrong = weeks_of_answers(luck, 4)
    decided = pl.DataFrame(
        [
            {"pathway": "copd", "rule_id": "highest_groups", "tier": "HR", "is_overruled": key in wrong}
            for key in sorted(flares)
        ]
    )
    assert overruled(decided)["is_pattern"].to_list() == [True]
    edit = best_edit(wide(flares, TOO_LOW), "copd", TOO_LOW, wrong=wrong, right=set(flares) - wrong)
    assert edit is not None
    assert edit.threshold == Threshold.model_validate({**EDGE, "at_least": 2})
    assert edit.today == 1
    ones = {key for key, count in flares.items() if count == 1}
    assert (edit.moved, edit.others_moved) == (len(ones & wrong), len(ones - wrong))


def test_people_who_should_have_been_there_lower_an_edge():
    too_high = changed_book(BOOK, Changes(thresholds=(Threshold.model_validate({**EDGE, "at_least": 4}),)))
    flares = {f"p{number}": 3 for number in range(12)} | {f"q{number}": number % 3 for number in range(60)}
    wrong = {key for key in flares if key[0] == "p"}
    edit = best_edit(wide(flares, too_high), "copd", too_high, wrong=wrong, right=set(flares) - wrong)
    assert edit is not None
    assert edit.threshold == Threshold.model_validate({**EDGE, "at_least": 3})
    assert (edit.moved, edit.others_moved, edit.gain) == (12, 0, 1.0)


def test_no_edge_is_proposed_when_none_tells_the_overruled_from_the_others():
    luck = random.Random(1)
    flares = {f"p{number}": luck.choice([2, 3, 4]) for number in range(40)}
    wrong = {key for number, key in enumerate(sorted(flares)) if number % 3 == 0}
    assert best_edit(wide(flares), "copd", BOOK, wrong=wrong, right=set(flares) - wrong) is None


def test_no_edge_is_proposed_for_a_few_people():
    flares = {f"p{number}": 1 for number in range(LEAST - 1)} | {"q": 3}
    assert best_edit(wide(flares, TOO_LOW), "copd", TOO_LOW, wrong=set(flares) - {"q"}, right={"q"}) is None


def test_the_bar_and_the_least_are_those_that_the_guide_states():
    assert (feedback_patterns.OFTEN, feedback_patterns.LEAST, feedback_patterns.WEEKS) == (0.2, 8, 12)


# ------------------------------------------------------------------------------------------------ a code to look for


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        pytest.param(12, 40, True, id="all_of_12_and_two_in_a_hundred_others"),
        pytest.param(7, 0, False, id="fewer_than_are_ever_told"),
        pytest.param(8, 1_400, False, id="eight_of_12_where_seven_in_ten_others_have_it"),
        pytest.param(8, 800, False, id="eight_of_12_and_four_in_ten_others_may_be_chance"),
    ],
)
def test_a_code_tells_the_missed_when_they_have_it_far_beyond_chance(here, there, told):
    """Of 12 at z = 4, 8 have it: from 0.20 up; of 2,000 others 800 have it: up to 0.44."""
    recorded = pl.DataFrame({"code": ["195967001"], "missed_count": [here], "others_count": [there]})
    assert (telling_codes(recorded, missed=12, others=2_000).height == 1) is told


def test_no_more_than_three_codes_are_told_those_that_tell_most_first():
    recorded = pl.DataFrame({"code": list("abcd"), "missed_count": [12, 12, 12, 11], "others_count": [30, 10, 20, 0]})
    found = telling_codes(recorded, missed=12, others=2_000)
    assert found["code"].to_list() == ["b", "c", "a"] and found["others_share"].to_list() == [0.005, 0.01, 0.015]
