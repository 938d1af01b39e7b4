"""What may not be said: each slip in a definition is refused, with words that name it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stratify.rules import Condition, Points, Score, Variable

TEXTS = {"id": "x", "label": "X", "text": "X {value}", "source": "invented"}
VALUE = {"from": [{"measurement": "m"}], "take": "latest", "unit": "u", "text_when_missing": "none"}
EVENT = {"from": [{"event": "a"}]}
SAME_DAY = {"same_day": [{"any_of": [{"event": "a"}]}, {"any_of": [{"issue": "b"}]}]}

VARIABLES: dict[str, tuple[dict[str, Any], str]] = {
    "two_kinds": ({"from": [{"event": "a", "issue": "b"}], "take": "has"}, "exactly one kind"),
    "no_kind": ({"from": [{}], "take": "has"}, "exactly one kind"),
    "excluding_without_a_codelist": ({"from": [{"flag": "A", "excluding": "b"}], "take": "has"}, "excluding goes with"),
    "any_where_none_is": ({"from": [{"event": "any"}], "take": "has"}, "any goes with"),
    "a_day_of_one_part": ({"from": [{"same_day": SAME_DAY["same_day"][:1]}], "take": "has"}, "at least 2"),
    "a_day_of_stays": ({"from": [{"same_day": [{"any_of": [{"stay": "any"}]}] * 2}], "take": "has"}, "event and issue"),
    "a_day_rule_of_weights": ({"from": [SAME_DAY], "take": "weight"}, "weight reads hospital_diagnosis"),
    "days_ruled_out_of_every_medicine": (
        {"from": [{"any_issue": True}], "take": "distinct_codes", "not_on_days_with": [{"event": "a"}]},
        "not_on_days_with",
    ),
    "days_ruled_out_of_weights": (
        {"from": [{"hospital_diagnosis": "a"}], "take": "weight", "not_on_days_with": [{"event": "a"}]},
        "not_on_days_with",
    ),
    "months_and_days": (EVENT | {"take": "has", "lookback_months": 1, "lookback_days": 1}, "months or in days"),
    "a_value_without_age": (VALUE, "maximum age"),
    "a_value_with_two_ages": (VALUE | {"maximum_age_months": 1, "maximum_age_days": 1}, "months or in days"),
    "a_value_with_a_lookback": (VALUE | {"maximum_age_months": 1, "lookback_months": 1}, "not a look-back"),
    "a_value_without_a_unit": ({k: v for k, v in VALUE.items() if k != "unit"} | {"maximum_age_months": 1}, "unit"),
    "a_count_with_an_age": (EVENT | {"take": "count", "maximum_age_months": 1}, "maximum age"),
    "an_end_before_the_start": (EVENT | {"take": "has", "lookback_months": 3, "until_months_ago": 3}, "lies inside"),
    "before_without_days": (EVENT | {"take": "count", "before": "latest_stay", "lookback_months": 1}, "in days"),
    "before_of_episodes": (
        EVENT | {"take": "episodes", "merge_days": 14, "before": "latest_stay", "lookback_days": 9},
        "has or count",
    ),
    "episodes_without_a_gap": (EVENT | {"take": "episodes"}, "merge_days"),
    "a_gap_without_episodes": (EVENT | {"take": "count", "merge_days": 3}, "merge_days"),
    "the_highest_of_nothing": (VALUE | {"take": "highest", "maximum_age_months": 1}, "of_last"),
    "the_first_without_a_lookback": (EVENT | {"take": "has", "is_first": True}, "is_first"),
    "a_count_that_ends": (EVENT | {"take": "count", "ended_by": "b"}, "ended_by"),
    "the_latest_event": (VALUE | EVENT | {"maximum_age_months": 1}, "latest reads"),
    "a_semicolon": (EVENT | {"take": "has", "text": "a; b"}, "semicolon"),
}  # fmt: skip

CONDITIONS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "a condition is one of"),
    "two_shapes": ({"variable": "a", "is_true": True, "all_of": [{"variable": "b", "is_true": True}]}, "is one of"),
    "a_variable_alone": ({"variable": "a"}, "a variable needs"),
    "two_lower_edges": ({"variable": "a", "above": 1, "at_least": 1}, "one upper and one lower"),
    "missing_and_an_edge": ({"variable": "a", "is_missing": True, "below": 1}, "one upper and one lower"),
    "a_score_without_a_tier": ({"score": "a"}, "a score needs tier_in"),
    "at_least_all": ({"at_least_of": {"count": 1, "of": [{"variable": "a", "is_true": True}]}}, "is all_of"),
    "known_of_a_score": ({"any_known_of": [{"score": "a", "tier_in": ["b"]}]}, "compares variables"),
    "known_of_what_is_missing": ({"any_known_of": [{"variable": "a", "is_missing": True}]}, "compares variables"),
    "a_misspelt_edge": ({"variable": "a", "atleast": 1}, "Extra inputs"),
}

YES = {"variable": "a", "is_true": True}
ITEMS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "for a condition (when) or for a variable"),
    "a_condition_and_a_variable": ({"when": YES, "variable": "b", "times": 1}, "for a condition (when) or"),
    "a_variable_alone": ({"variable": "a"}, "bands or a coefficient"),
    "bands_and_a_coefficient": (
        {"variable": "a", "times": 1, "bands": [{"below": 1, "points": 0}, {"at_least": 1, "points": 1}]},
        "bands or a coefficient",
    ),
    "bands_that_leave_a_gap": (
        {"variable": "a", "bands": [{"below": 1, "points": 0}, {"above": 1, "points": 1}]}, "gap or overlap",
    ),
    "bands_that_overlap": (
        {"variable": "a", "bands": [{"at_most": 2, "points": 0}, {"at_least": 1, "points": 1}]}, "gap or overlap",
    ),
    "bands_that_end": (
        {"variable": "a", "bands": [{"below": 1, "points": 0}, {"at_least": 1, "below": 9, "points": 1}]},
        "must have no upper edge",
    ),
    "a_coefficient_of_a_condition": ({"when": YES, "times": 2}, "belong to a variable"),
    "a_divisor_without_a_coefficient": ({"when": YES, "divide_by": 2}, "belong to a coefficient"),
    "a_square_of_a_logarithm": ({"variable": "a", "times": 1, "power": 2, "log": "natural"}, "power or log"),
    "a_missing_coefficient": ({"variable": "a", "times": 0}, "leave it out"),
    "no_points_at_all": ({"when": YES, "points": 0}, "leave it out"),
}  # fmt: skip

TEXTS_OF_SCORE = {"id": "x", "version": "1.0.0", "label": "X", "status": "inferred", "source": "s", "licence": "l"}
COUNTED = {"points": [{"when": YES}]}
HIGH, LOW = {"tier": "high", "label": "High"}, {"tier": "low", "label": "Low"}
SCORES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing_to_score": ({}, "is the value of something"),
    "two_ways": (COUNTED | {"value_of": "a"}, "value_of or points"),
    "a_link_of_a_value": ({"value_of": "a", "link": "logistic"}, "belong to points"),
    "two_links": (COUNTED | {"link": "logistic", "baseline_survival": 0.9}, "not both"),
    "tiers_that_overlap": (COUNTED | {"tiers": [HIGH | {"at_least": 1}, LOW | {"at_most": 1}]}, "gap or overlap"),
    "tiers_with_a_gap": (COUNTED | {"tiers": [HIGH | {"above": 1}, LOW | {"below": 1}]}, "gap or overlap"),
    "a_tier_twice": (COUNTED | {"tiers": [HIGH | {"above": 1}, HIGH | {"at_most": 1}]}, "named twice"),
    "points_where_less_is_worse": (COUNTED | {"tiers": [HIGH | {"below": 1}, LOW | {"at_least": 1}]}, "need rises"),
    "a_rule_in_a_tier_of_points": (COUNTED | {"tiers": [HIGH | {"when": YES}, LOW]}, "edges, not rules"),
    "a_list_whose_last_tier_has_a_rule": ({"tiers": [HIGH | {"when": YES}, LOW | {"when": YES}]}, "takes the rest"),
    "a_list_with_edges": ({"tiers": [HIGH | {"above": 1}, LOW]}, "needs a rule"),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_is_refused(name):
    given, said = VARIABLES[name]
    with pytest.raises(ValidationError, match=said.replace("(", r"\(").replace(")", r"\)")):
        Variable.model_validate(TEXTS | given)


@pytest.mark.parametrize(("model", "given", "said"), [
    *(pytest.param(Condition, *each, id=f"condition_{name}") for name, each in CONDITIONS.items()),
    *(pytest.param(Points, *each, id=f"points_{name}") for name, each in ITEMS.items()),
    *(pytest.param(Score, TEXTS_OF_SCORE | each[0], each[1], id=f"score_{name}") for name, each in SCORES.items()),
])  # fmt: skip
def test_a_condition_points_or_score_that_is_refused(model, given, said):
    with pytest.raises(ValidationError) as refused:
        model.model_validate(given)
    assert said in str(refused.value)


@pytest.mark.parametrize("more", [
    EVENT | {"take": "has"},
    {"from": [SAME_DAY], "take": "episodes", "merge_days": 14, "not_on_days_with": [{"event": "c"}]},
    {"from": [{"ed_attendance": "any"}], "take": "count", "before": "latest_stay", "lookback_days": 180},
    VALUE | {"maximum_age_days": 30},
])  # fmt: skip
def test_a_variable_that_may_be_said(more):
    assert Variable.model_validate(TEXTS | more).id == "x"
