"""A worked example that does not hold says what differs; one that cannot hold is never silently right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import invented
from invented import pathway, score, variable
from stratify import examples
from stratify.examples import run_examples
from stratify.rules import Example

BOOK = invented.rule_book(
    variables=[variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24)],
    scores=[
        score(
            "grade",
            eligibility=[{"when": {"variable": "age_years", "at_least": 40}, "otherwise": "Under 40"}],
            value_of="fev1",
            tiers=[
                {"tier": "severe", "label": "Severe", "below": 50},
                {"tier": "mild", "label": "Mild", "at_least": 50},
            ],
        )
    ],
    pathways=[
        pathway(
            "lungs",
            cohort={"variable": "age_years", "at_least": 40},
            tier_from="grade",
            routes=[{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}],
        )
    ],
)
YOUNG = {"age_years": 30}


@pytest.mark.parametrize(
    ("definition", "example", "differences"),
    [
        pytest.param("grade", {"values": {"fev1": 45}, "expect": {"tier": "severe", "value": 45}}, (), id="holds"),
        pytest.param(
            "grade",
            {"values": {"fev1": 50}, "expect": {"tier": "severe", "is_complete": True}},
            ("tier: expected severe, found mild",),
            id="differs",
        ),
        pytest.param(
            "lungs",
            {"expect": {"decision": "clinic", "rule": "rest", "missing": None}},
            ("decision: expected clinic, found not_eligible",),
            id="short_names_of_columns",
        ),
        pytest.param("grade", {"person": YOUNG, "expect": {"tier": None}}, (), id="no_score_expected"),
        pytest.param(
            "grade",
            {"person": YOUNG, "expect": {"tier": "mild"}},
            ("found nothing for this person; expected tier mild",),
            id="a_score_expected_and_none",
        ),
        pytest.param(
            "grade",
            {"values": {"fev1": 45, "fev2": 1}, "expect": {"tier": "severe"}},
            ("values names fev2, which is no variable",),
            id="a_variable_misspelt",
        ),
        pytest.param(
            "grade",
            {"person": YOUNG, "expect": {"teir": None}},
            (
                "expects teir, which is none of tier, possible_tiers, value, is_complete, withheld_reason, "
                "missing_variables",
            ),
            id="a_column_misspelt_although_nothing_was_expected",
        ),
    ],
)
def test_outcome_of_an_example(definition: str, example: dict[str, Any], differences: tuple[str, ...]):
    book = replace(BOOK, examples={definition: (Example.model_validate({"name": "one", **example}),)})
    assert [each.differences for each in run_examples(book)] == [differences]


def test_examples_are_worked_again_where_anything_they_rest_on_is_another_and_only_there(monkeypatch):
    """The pathway reads the grade, whose edge of 50 is moved to 40; another score reads neither."""
    held = Example.model_validate({"name": "severe", "values": {"fev1": 45}, "expect": {"tier": "severe"}})
    away = Example.model_validate({"name": "away", "person": YOUNG, "expect": {"tier": None}})
    ages = [{"tier": "old", "label": "Old", "at_least": 65}, {"tier": "any", "label": "Any", "below": 65}]
    old = score("old", value_of="age_years", tiers=ages)
    aged = Example.model_validate({"name": "aged", "person": YOUNG, "expect": {"tier": "any"}})
    given = {"grade": (held,), "lungs": (away,), "old": (aged,)}
    book = replace(BOOK, scores=BOOK.scores | {"old": old}, examples=given)
    worked: list[str] = []
    outcomes = examples._outcomes
    monkeypatch.setattr(examples, "_WORKED", {})
    monkeypatch.setattr(examples, "_outcomes", lambda name, *books: (worked.append(name), outcomes(name, *books))[1])

    def worked_of(changed):
        worked.clear()
        return [each.name for each in run_examples(changed) if each.differences], list(worked)

    assert worked_of(book) == ([], ["grade", "lungs", "old"])
    assert worked_of(replace(book, digest="of a copy")) == ([], [])
    tiers = [
        {"tier": "severe", "label": "Severe", "below": 40},
        {"tier": "mild", "label": "Mild", "at_least": 40},
    ]
    moved = BOOK.scores["grade"].model_copy(update={"tiers": score("grade", value_of="fev1", tiers=tiers).tiers})
    changed = replace(book, scores=book.scores | {"grade": moved})
    assert worked_of(changed) == (["severe"], ["grade", "lungs"])
    assert worked_of(changed) == (["severe"], [])
    assert worked_of(book) == ([], ["grade", "lungs"])
