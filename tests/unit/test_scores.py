"""Yes, no and not known; tiers proved, tiers left open; the lowest tier never while a higher one is open."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import invented
from invented import score, variable
from stratify import engine
from stratify.rules import Condition
from stratify.scores import add_scores, score_rows, truth

INDEX = date(2026, 6, 15)

FLARES = {"variable": "flares"}
FEV1 = {"variable": "fev1"}
BOOK = invented.rule_book(
    variables=[
        variable("is_on_register", "has", {"event": "x"}, ended_by="y"),
        variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24),
        variable("has_oxygen", "has", {"event": "x"}),
        variable("flares", "count", {"event": "x"}, {"emergency_admission": "y"}, lookback_months=12),
        variable("points", "weight", {"hospital_diagnosis": "x"}, lookback_months=24),
        *(variable(f"deficit_{number}", "has", {"event": "x"}, ended_by="y") for number in range(1, 5)),
    ],
    scores=[
        score(
            "group",
            eligibility=[{"when": {"variable": "is_on_register", "is_true": True}, "otherwise": "Not on it"}],
            tiers=[
                {"tier": "high", "label": "High",
                 "when": {"any_of": [{**FEV1, "below": 30}, {"variable": "has_oxygen", "is_true": True}]}},
                {"tier": "middle", "label": "Middle",
                 "when": {"any_of": [{**FEV1, "below": 50}, {**FLARES, "at_least": 2}]}},
                {"tier": "low", "label": "Low"},
            ],
        ),
        score(
            "grade",
            value_of="fev1",
            tiers=[
                {"tier": "severe", "label": "Severe", "below": 30},
                {"tier": "moderate", "label": "Moderate", "at_least": 30, "at_most": 60},
                {"tier": "mild", "label": "Mild", "above": 60},
            ],
        ),
        score(
            "risk",
            eligibility=[{"when": {"variable": "age_years", "at_least": 75}, "otherwise": "Under 75"}],
            value_of="points",
            withheld_when_absent="Never in hospital",
            tiers=[
                {"tier": "high", "label": "High", "above": 15},
                {"tier": "middle", "label": "Middle", "at_least": 5, "at_most": 15},
                {"tier": "low", "label": "Low", "below": 5},
            ],
        ),
        score(
            "share",
            divide_by=4,
            points=[{"when": {"variable": f"deficit_{number}", "is_true": True}} for number in range(1, 5)],
            understated_when={"variable": "months_registered", "below": 12},
            tiers=[
                {"tier": "high", "label": "High", "above": 0.5},
                {"tier": "middle", "label": "Middle", "above": 0.25, "at_most": 0.5},
                {"tier": "low", "label": "Low", "at_most": 0.25},
            ],
        ),
        score(
            "of_others",
            tiers=[
                {"tier": "yes", "label": "Yes", "when": {"score": "risk", "tier_in": ["high"]}},
                {"tier": "no", "label": "No"},
            ],
        ),
    ],
)  # fmt: skip

OLD, LINKED_LATER = {"age_years": 80}, {"is_hospital_linked": False}
PEOPLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # name: what the person is, what was found
    "nothing": ({}, {}),
    "known": (OLD, {"is_on_register": 1, "fev1": 45, "flares": 1, "points": 20, "deficit_1": 1, "deficit_2": 1}),
    "low": (OLD, {"is_on_register": 1, "fev1": 85, "points": 4.9, "deficit_1": 1}),
    "no_fev1": ({}, {"is_on_register": 1}),
    "no_fev1_two_flares": ({}, {"is_on_register": 1, "flares": 2}),
    "no_fev1_oxygen": ({}, {"is_on_register": 1, "has_oxygen": 1}),
    "not_linked": (OLD | LINKED_LATER, {"is_on_register": 1, "fev1": 85}),
    "not_linked_two_flares": (OLD | LINKED_LATER, {"is_on_register": 1, "fev1": 85, "flares": 2}),
    "register_contradicts": ({}, {"is_on_register": "conflict", "fev1": 28}),
    "deficit_contradicts": ({}, {"deficit_1": 1, "deficit_2": 1, "deficit_3": "conflict"}),
    "high_and_contradicts": ({}, {"deficit_1": 1, "deficit_2": 1, "deficit_3": 1, "deficit_4": "conflict"}),
    "new": ({"registered_date": date(2026, 1, 1)}, {"deficit_1": 1}),
    "new_and_middle": ({"registered_date": date(2026, 1, 1)}, {"deficit_1": 1, "deficit_2": 1}),
    "joined_nobody_knows_when": ({"registered_date": None}, {"deficit_1": 1}),
    "never_in_hospital": (OLD, {}),
    "aged_74": ({"age_years": 74}, {"points": 20}),
    "age_not_known": ({"age_years": None}, {"points": 20}),
    "a_hair_over_15": (OLD, {"points": 15.0000000001}),
    "under_30": ({}, {"is_on_register": 1, "fev1": "<30"}),
    "at_most_30": ({}, {"is_on_register": 1, "fev1": "<=30"}),
    "over_30": ({}, {"is_on_register": 1, "fev1": ">30"}),
    "at_least_30": ({}, {"is_on_register": 1, "fev1": ">=30"}),
    "over_60": ({}, {"is_on_register": 1, "fev1": ">60"}),
}


@pytest.fixture(scope="module")
def scored():
    persons = invented.frame("core.person", [{"patient_key": name, **more} for name, (more, _) in PEOPLE.items()])
    values = invented.value_rows({name: found for name, (_, found) in PEOPLE.items()}, date(2026, 5, 1))
    wide = invented.wide_of(persons, values, BOOK, INDEX)
    return invented.collected(add_scores(engine.from_polars(wide), BOOK))


@pytest.fixture(scope="module")
def rows(scored):
    found = invented.collected(score_rows(engine.from_polars(scored), BOOK))
    return {(row["patient_key"], row["score"]): row for row in found.to_dicts()}


# ------------------------------------------------------------------------------------------------------- conditions

YES, NO, OPEN = True, False, None


@pytest.mark.parametrize(
    ("person", "condition", "expected"),
    [
        pytest.param("known", {**FEV1, "below": 45}, NO, id="below_is_not_at"),
        pytest.param("known", {**FEV1, "at_most": 45}, YES, id="at_most_is_at"),
        pytest.param("known", {**FEV1, "at_least": 45}, YES, id="at_least_is_at"),
        pytest.param("known", {**FEV1, "above": 45}, NO, id="above_is_not_at"),
        pytest.param("known", {**FEV1, "at_least": 40, "below": 50}, YES, id="a_range"),
        pytest.param("no_fev1", {**FEV1, "below": 45}, OPEN, id="a_value_not_known_settles_nothing"),
        pytest.param("not_linked", {**FLARES, "at_least": 1}, OPEN, id="not_linked_and_none_so_far"),
        pytest.param("not_linked_two_flares", {**FLARES, "at_least": 2}, YES, id="not_linked_and_enough_already"),
        pytest.param("not_linked_two_flares", {**FLARES, "above": 2}, OPEN, id="not_linked_and_not_yet_enough"),
        pytest.param("not_linked_two_flares", {**FLARES, "below": 2}, NO, id="not_linked_and_too_many_already"),
        pytest.param("not_linked_two_flares", {**FLARES, "at_most": 2}, OPEN, id="not_linked_may_be_too_many"),
        pytest.param("not_linked_two_flares", {**FLARES, "at_least": 1, "at_most": 1}, NO, id="past_the_range"),
        pytest.param("not_linked_two_flares", {**FLARES, "at_least": 1, "at_most": 3}, OPEN, id="may_leave_the_range"),
        pytest.param("not_linked", {"any_of": [{**FLARES, "at_least": 1}, {**FEV1, "above": 80}]}, YES,
                     id="not_known_or_yes_is_yes"),
        pytest.param("not_linked", {"any_of": [{**FLARES, "at_least": 1}, {**FEV1, "below": 80}]}, OPEN,
                     id="not_known_or_no_is_not_known"),
        pytest.param("not_linked", {"all_of": [{**FLARES, "at_least": 1}, {**FEV1, "below": 80}]}, NO,
                     id="not_known_and_no_is_no"),
        pytest.param("not_linked", {"all_of": [{**FLARES, "at_least": 1}, {**FEV1, "above": 80}]}, OPEN,
                     id="not_known_and_yes_is_not_known"),
        pytest.param("not_linked", {"none_of": [{**FLARES, "at_least": 1}]}, OPEN, id="none_of_not_known"),
        pytest.param("not_linked", {"none_of": [{**FLARES, "at_least": 1}, {**FEV1, "above": 80}]}, NO,
                     id="none_of_not_known_and_yes"),
        pytest.param("known", {"none_of": [{**FLARES, "at_least": 2}, {**FEV1, "above": 80}]}, YES,
                     id="none_of_no_and_no"),
        pytest.param("known", {"score": "risk", "tier_in": ["high"]}, YES, id="in_the_tier"),
        pytest.param("known", {"score": "risk", "tier_in": ["middle", "low"]}, NO, id="not_in_the_tier"),
        pytest.param("not_linked", {"score": "risk", "tier_in": ["high"]}, OPEN, id="every_tier_is_open"),
        pytest.param("no_fev1_two_flares", {"score": "group", "tier_in": ["high", "middle"]}, YES,
                     id="whichever_of_the_two_it_is"),
        pytest.param("no_fev1_two_flares", {"score": "group", "tier_in": ["low"]}, NO, id="low_is_ruled_out"),
        pytest.param("no_fev1_two_flares", {"score": "group", "tier_in": ["high"]}, OPEN, id="one_of_the_two"),
        pytest.param("no_fev1", {"score": "group", "tier_in": ["high", "middle", "low"]}, YES, id="any_tier_at_all"),
        pytest.param("aged_74", {"score": "risk", "tier_in": ["high", "middle", "low"]}, NO, id="no_score_no_tier"),
        pytest.param("never_in_hospital", {"score": "risk", "tier_in": ["low"]}, NO, id="withheld_is_not_low"),
        pytest.param("age_not_known", {"score": "risk", "tier_in": ["high"]}, OPEN,
                     id="nobody_knows_whether_the_score_is_for_this_person"),
        pytest.param("age_not_known", {"score": "risk", "tier_in": ["low"]}, NO, id="low_whatever_the_age"),
        # A comparator makes a value an interval; an edge inside it leaves everything open.
        pytest.param("under_30", {**FEV1, "below": 30}, YES, id="under_30_is_below_30"),
        pytest.param("under_30", {**FEV1, "below": 50}, YES, id="under_30_is_below_50"),
        pytest.param("under_30", {**FEV1, "below": 29.9}, OPEN, id="under_30_may_be_29_95"),
        pytest.param("under_30", {**FEV1, "at_least": 30}, NO, id="under_30_does_not_reach_30"),
        pytest.param("under_30", {**FEV1, "at_most": 25}, OPEN, id="under_30_may_be_26"),
        pytest.param("under_30", {**FEV1, "above": 20}, OPEN, id="under_30_may_be_19"),
        pytest.param("under_30", {**FEV1, "at_least": 20, "at_most": 40}, OPEN, id="under_30_may_leave_a_range"),
        pytest.param("under_30", {**FEV1, "at_least": 30, "at_most": 40}, NO, id="under_30_is_outside_a_range"),
        pytest.param("at_most_30", {**FEV1, "below": 30}, OPEN, id="at_most_30_may_be_30"),
        pytest.param("at_most_30", {**FEV1, "at_most": 30}, YES, id="at_most_30_is_at_most_30"),
        pytest.param("at_most_30", {**FEV1, "above": 30}, NO, id="at_most_30_is_not_above_30"),
        pytest.param("at_most_30", {**FEV1, "at_least": 30}, OPEN, id="at_most_30_may_reach_30"),
        pytest.param("over_30", {**FEV1, "below": 30}, NO, id="over_30_is_not_below_30"),
        pytest.param("over_30", {**FEV1, "above": 30}, YES, id="over_30_is_above_30"),
        pytest.param("over_30", {**FEV1, "at_most": 30}, NO, id="over_30_is_not_at_most_30"),
        pytest.param("over_30", {**FEV1, "below": 50}, OPEN, id="over_30_may_be_49"),
        pytest.param("over_30", {**FEV1, "at_least": 30.1}, OPEN, id="over_30_may_be_30_05"),
        pytest.param("at_least_30", {**FEV1, "above": 30}, OPEN, id="at_least_30_may_be_30"),
        pytest.param("at_least_30", {**FEV1, "at_least": 30}, YES, id="at_least_30_reaches_30"),
        pytest.param("at_least_30", {**FEV1, "below": 30}, NO, id="at_least_30_is_not_below_30"),
        pytest.param("at_least_30", {**FEV1, "at_most": 30}, OPEN, id="at_least_30_may_be_31"),
    ],
)  # fmt: skip
def test_condition(scored, person, condition, expected):
    frame = engine.from_polars(scored.filter(patient_key=person))
    found = frame.select(truth(Condition.model_validate(condition), BOOK).alias("found"))
    assert invented.collected(found).rows() == [(expected,)]


# ------------------------------------------------------------------------------------------------------------ tiers


@pytest.mark.parametrize(
    ("person", "name", "tier", "possible", "is_complete", "missing"),
    [
        pytest.param("known", "group", "middle", "middle", True, None, id="all_known"),
        pytest.param("low", "group", "low", "low", True, None, id="low_is_given_when_proved"),
        pytest.param("no_fev1", "group", None, "high;middle;low", False, "fev1", id="low_is_never_assumed"),
        pytest.param("no_fev1_two_flares", "group", "middle", "high;middle", False, "fev1",
                     id="what_is_proved_with_what_is_open"),
        pytest.param("no_fev1_oxygen", "group", "high", "high", True, None, id="the_highest_needs_no_more"),
        pytest.param("not_linked", "group", None, "middle;low", False, "flares", id="not_linked_may_be_higher"),
        pytest.param("not_linked_two_flares", "group", "middle", "middle", True, None, id="not_linked_and_settled"),
        pytest.param("register_contradicts", "group", "high", "high", False, "is_on_register",
                     id="not_complete_while_nobody_knows_whether_the_score_applies"),
        pytest.param("known", "grade", "moderate", "moderate", True, None, id="by_value"),
        pytest.param("no_fev1", "grade", None, "severe;moderate;mild", False, "fev1", id="no_value_every_tier"),
        pytest.param("known", "risk", "high", "high", True, None, id="rising_value"),
        pytest.param("a_hair_over_15", "risk", "middle", "middle", True, None, id="rounded_before_the_edge"),
        pytest.param("not_linked", "risk", None, "high;middle;low", False, "points", id="points_not_linked"),
        pytest.param("age_not_known", "risk", "high", "high", False, "age_years", id="age_not_known"),
        pytest.param("known", "share", "middle", "middle", True, None, id="half_is_middle"),
        pytest.param("low", "share", "low", "low", True, None, id="a_quarter_is_low"),
        pytest.param("deficit_contradicts", "share", "middle", "high;middle", False, "deficit_3",
                     id="one_more_may_lift_it"),
        pytest.param("high_and_contradicts", "share", "high", "high", True, None, id="one_more_changes_nothing"),
        pytest.param("new", "share", None, "high;middle;low", False, None, id="a_joiner_is_never_low"),
        pytest.param("new_and_middle", "share", "middle", "high;middle", False, None, id="a_joiner_has_at_least"),
        pytest.param("joined_nobody_knows_when", "share", None, "high;middle;low", False, "months_registered",
                     id="perhaps_a_joiner"),
        pytest.param("not_linked", "of_others", None, "yes;no", False, "points", id="open_through_another_score"),
        pytest.param("aged_74", "of_others", "no", "no", True, None, id="no_other_score_is_no"),
    ],
)  # fmt: skip
def test_tier(rows, person, name, tier, possible, is_complete, missing):
    row = rows[person, name]
    assert (row["tier"], row["possible_tiers"], row["is_complete"], row["missing_variables"]) == (
        tier,
        possible,
        is_complete,
        missing,
    )


def test_nobody_outside_the_eligibility_has_a_row(rows):
    assert ("aged_74", "risk") not in rows
    assert ("nothing", "group") not in rows


def test_a_withheld_score_says_why_and_has_no_tier(rows):
    row = rows["never_in_hospital", "risk"]
    assert (row["tier"], row["possible_tiers"], row["value"]) == (None, None, None)
    assert row["withheld_reason"] == "Never in hospital"
    assert row["is_complete"] is False


def test_a_person_not_linked_is_not_called_never_in_hospital(rows):
    assert rows["not_linked", "risk"]["withheld_reason"] is None


def test_the_lowest_tier_is_never_given_while_another_is_open(rows):
    lowest = {each.id: each.tiers[-1].tier for each in BOOK.scores.values()}
    given = [row for row in rows.values() if row["tier"] == lowest[row["score"]]]
    assert given
    assert [row for row in given if row["possible_tiers"] != row["tier"]] == []


def test_every_person_a_score_may_be_for_has_one_row(rows):
    assert sum(name == "share" for _, name in rows) == len(PEOPLE)
    assert all(row["score_version"] == "1.0.0" for row in rows.values())


def test_values_are_those_of_the_score(rows):
    assert rows["known", "share"]["value"] == 0.5
    assert rows["a_hair_over_15", "risk"]["value"] == 15.0
    assert rows["known", "group"]["value"] is None


@pytest.mark.parametrize(
    ("person", "tier", "possible"),
    [
        pytest.param("under_30", "high", "high", id="the_interval_lies_in_one_tier"),
        pytest.param("at_most_30", "middle", "high;middle", id="it_touches_the_one_above"),
        pytest.param("over_30", None, "middle;low", id="it_may_be_on_either_side_of_50"),
        pytest.param("over_60", "low", "low", id="above_every_edge"),
    ],
)
def test_tier_of_a_value_known_by_a_bound(rows, person, tier, possible):
    """Below 30 is high, below 50 middle: a bare 30 in place of ``<=30`` would say "middle" and be sure of it."""
    row = rows[person, "group"]
    assert (row["tier"], row["possible_tiers"]) == (tier, possible)
    assert row["is_complete"] == (";" not in possible)
    assert ("fev1" in (row["missing_variables"] or "")) == (";" in possible)


def test_no_tier_of_a_value_is_given_for_a_bound(rows):
    """Even where one tier alone is left: the value itself is not known, and the score is its value."""
    assert (rows["under_30", "grade"]["value"], rows["under_30", "grade"]["tier"]) == (None, None)
