"""The score in words: counts by pathway and fault, a few examples, and what makes it fail."""

from __future__ import annotations

from typing import Any

from stratify import truth_score
from stratify.truth_score import Comparison, Difference


def differs(row: int, place: str = "copd", kind: str = "missed", faults: tuple[str, ...] = ()) -> Difference:
    return Difference(place, kind, f"expected {row}", f"found {row}", row, f"{row:012x}", faults)


ON = {"copd": 70, "frailty": 800, "care_homes": 9, "diabetes": 60, "diabetes_prevention": 50}


def comparison(*differences: Difference, **changes: Any) -> Comparison:
    whole = {
        "run_id": "0123456789abcdef", "purpose": "direct_care", "is_clean": False, "people": 4_000, "touched": 12,
        "withheld": {}, "on_pathway": ON, "agreeing": ON | {"copd": 66},
        "differences": differences, "faults": {"D2": 7, "U2": 5},
    }  # fmt: skip
    return Comparison(**(whole | changes))


def test_differences_are_counted_by_pathway_and_under_each_fault_of_the_person():
    found = comparison(
        differs(1, faults=("U2",)),
        differs(1, kind="wrong reason", faults=("U2",)),
        differs(2, "frailty", "wrong tier", ("D2", "U2")),
    )
    lines = truth_score.in_words(found).splitlines()
    assert "  copd: 70 people, 66 agree; missed 1, wrong reason 1" in lines
    assert "  D2: 7 people, 1 differ; frailty: wrong tier 1" in lines
    assert "  U2: 5 people, 2 differ; copd: missed 1, wrong reason 1; frailty: wrong tier 1" in lines
    assert lines[-1] == "Run and truth agree on everybody whom no fault touched."
    assert found.by_fault() == {
        "D2": {("frailty", "wrong tier"): 1},
        "U2": {("copd", "missed"): 1, ("copd", "wrong reason"): 1, ("frailty", "wrong tier"): 1},
    }


def test_what_no_fault_explains_is_shown_a_few_at_a_time():
    found = comparison(*(differs(row) for row in range(1, 10)), differs(10, faults=("U2",)))
    lines = truth_score.in_words(found).splitlines()
    assert lines[-6] == "9 unexplained: differences about people whom no fault touched; the first 5:"
    assert lines[-1] == "  copd, missed: expected expected 5; found found 5 [000000000005, row 5 of the truth]"
    assert len(found.unexplained) == 9


def test_a_difference_under_a_fault_fails_the_score_only_when_strict():
    found = comparison(differs(1, faults=("U2",)))
    assert found.failures(strict=False) == ()
    assert found.failures(strict=True) == found.differences
    found = comparison(differs(1, faults=("U2",)), differs(2))
    assert [each.row for each in found.failures(strict=False)] == [2]


def test_a_clean_county_that_agrees_says_so_and_no_more():
    found = comparison(is_clean=True, touched=0, faults={}, agreeing=ON)
    assert truth_score.in_words(found).splitlines() == [
        "Run 0123456789abcdef against the truth: 4,000 invented people, clean",
        "  people: withheld, counted and placed as they should be",
        "  copd: 70 people, 70 agree",
        "  frailty: 800 people, 800 agree",
        "  care_homes: 9 people, 9 agree",
        "  diabetes: 60 people, 60 agree",
        "  diabetes_prevention: 50 people, 50 agree",
        "Run and truth agree.",
    ]
