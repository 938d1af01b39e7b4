"""Reasons carry value, unit and date; those that decided come first; what cannot be used is said where it matters."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import invented
from invented import pathway, score, variable
from stratify.reasons import in_figures, reasons

MAY = date(2026, 5, 3)

BOOK = invented.rule_book(
    variables=[
        variable("is_palliative", "has", {"flag": "x"}, text="Palliative care since {date}"),
        variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24, label="FEV1",
                 text="FEV1 {value} % on {date}", text_when_missing="No FEV1"),
        variable("cat", "latest", {"measurement": "cat"}, maximum_age_months=15, label="CAT",
                 text="CAT {value} on {date}", text_when_missing="No CAT"),
        variable("flares", "count", {"event": "x"}, lookback_months=12,
                 text="{value} flare-ups, the latest on {date}"),
        variable("points", "weight", {"hospital_diagnosis": "x"}, lookback_months=24,
                 text="{value} points, the latest on {date}"),
        *(variable(f"deficit_{number}", "has", {"event": "x"}, text=f"Deficit {number}, {{date}}")
          for number in range(1, 5)),
    ],
    scores=[
        score(
            "group",
            tiers=[
                {"tier": "high", "label": "High", "when": {"any_of": [
                    {"variable": "fev1", "below": 30},
                    {"all_of": [{"variable": "flares", "at_least": 1}, {"variable": "cat", "at_least": 10}]},
                ]}},
                {"tier": "low", "label": "Low"},
            ],
        ),
        score(
            "share",
            label="Share",
            divide_by=4,
            points=[{"when": {"variable": f"deficit_{number}", "is_true": True}} for number in range(1, 5)],
            tiers=[
                {"tier": "high", "label": "High share", "above": 0.25},
                {"tier": "low", "label": "Low share", "at_most": 0.25},
            ],
        ),
    ],
    pathways=[
        pathway(
            "lungs",
            cohort={"variable": "age_years", "at_least": 18},
            tier_from="group",
            routes=[
                {"id": "palliative", "when": {"variable": "is_palliative", "is_true": True}, "decision": "clinic",
                 "clinic": "lung_clinic", "reason": "Receives palliative care"},
                {"id": "upper", "when": {"score": "group", "tier_in": ["high"]}, "decision": "clinic",
                 "clinic": "lung_clinic", "reason": "In the upper group"},
                {"id": "lower", "decision": "self_management", "reason": "In the lower group"},
            ],
            show=["is_palliative", "points", "fev1", "cat", "flares"],
            clinics=[{"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse"]}],
        ),
        pathway(
            "frail",
            precedence=2,
            cohort={"variable": "age_years", "at_least": 65},
            tier_from="share",
            routes=[
                {"id": "upper", "when": {"score": "share", "tier_in": ["high"]}, "decision": "clinic",
                 "clinic": "lung_clinic", "reason": "Frail"},
                {"id": "fit", "decision": "not_eligible", "reason": "Fit"},
            ],
            show=["deficit_2", "deficit_1"],
            clinics=[{"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse"]}],
        ),
    ],
)  # fmt: skip


def reasons_of(
    found: dict[str, float | str | None], *, day: date | None = MAY, value: float | None = None, **decision: Any
) -> list[str]:
    """Give the texts, in order, for one person with these values and this decision."""
    row = {"patient_key": "p", "pathway": "lungs", **decision}
    scored = {"patient_key": "p", "score": BOOK.pathways[row["pathway"]].tier_from, "value": value}
    shown = reasons(
        invented.frame("derived.pathway_decision", [row]),
        invented.value_rows({"p": found}, day),
        invented.frame("derived.patient_score", [scored | {"tier": decision.get("tier")}]),
        BOOK,
    )
    assert shown["position"].to_list() == list(range(1, shown.height + 1))
    return shown["text"].to_list()


UPPER = {"decision": "clinic", "rule_id": "upper", "reason": "In the upper group", "tier": "high"}
LOWER = {"decision": "self_management", "rule_id": "lower", "reason": "In the lower group", "tier": "low"}
CANNOT_GRADE = {"decision": "assessment", "rule_id": "cannot_grade", "reason": "A value is missing"}


def test_facts_that_decided_come_first_then_the_rule_then_the_others():
    assert reasons_of({"fev1": 20.5, "cat": 8, "flares": 3, "points": 4}, **UPPER) == [
        "FEV1 20.5 % on 3 May 2026",
        "In the upper group",
        "4 points, the latest on 3 May 2026",
        "CAT 8 on 3 May 2026",
        "3 flare-ups, the latest on 3 May 2026",
    ]


def test_all_parts_of_a_rule_count_or_none():
    assert reasons_of({"fev1": 85, "cat": 12, "flares": 1}, **UPPER)[:2] == [
        "CAT 12 on 3 May 2026",
        "1 flare-ups, the latest on 3 May 2026",
    ]
    assert reasons_of({"fev1": 20, "cat": 8, "flares": 1}, **UPPER)[0] == "FEV1 20 % on 3 May 2026"


def test_a_value_on_the_edge_did_not_decide():
    assert reasons_of({"fev1": 30, "cat": 10, "flares": 1}, **UPPER)[0] == "CAT 10 on 3 May 2026"


def test_a_value_known_by_a_bound_keeps_its_comparator():
    assert reasons_of({"fev1": "<30", "cat": 8, "flares": 1}, **UPPER)[0] == "FEV1 <30 % on 3 May 2026"


def test_a_bound_that_proves_nothing_did_not_decide():
    assert reasons_of({"fev1": "<=30", "cat": 10, "flares": 1}, **UPPER)[0] == "CAT 10 on 3 May 2026"
    assert reasons_of({"fev1": ">20", "cat": 10, "flares": 1}, **UPPER)[0] == "CAT 10 on 3 May 2026"
    assert reasons_of({"fev1": 20, "cat": "<15", "flares": 1}, **UPPER)[0] == "FEV1 20 % on 3 May 2026"


def test_without_any_fact_the_rule_is_the_reason():
    assert reasons_of({}, **LOWER) == ["In the lower group"]


def test_a_person_who_died_has_the_status_first():
    found = reasons_of({"fev1": 20}, decision="excluded", rule_id="person_status", reason="Has died", tier="high")
    assert found[0] == "Has died"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("stale", "FEV1: the latest is from 3 May 2026, too old to use"),
        ("conflict", "FEV1: the records of 3 May 2026 contradict each other"),
        ("unusable", "FEV1: the entry of 3 May 2026 cannot be used (unit, plausibility or code)"),
    ],
)
def test_what_cannot_be_used_is_said_where_it_is_in_the_way(state, text):
    assert reasons_of({"fev1": state}, **CANNOT_GRADE) == ["A value is missing", text]
    assert reasons_of({"fev1": state}, **LOWER) == ["In the lower group"]


def test_nought_points_are_no_reason_but_nought_measured_is_one():
    assert reasons_of({"points": 0, "flares": 0, "cat": 0}, **LOWER) == ["In the lower group", "CAT 0 on 3 May 2026"]


def test_an_undated_entry_is_of_an_unknown_date():
    palliative = {"decision": "clinic", "rule_id": "palliative", "reason": "Receives palliative care", "tier": None}
    assert reasons_of({"is_palliative": 1}, day=None, **palliative) == [
        "Palliative care since an unknown date",
        "Receives palliative care",
    ]


def test_a_share_says_how_many_of_how_many_and_which():
    frail = {"pathway": "frail", "decision": "clinic", "rule_id": "upper", "reason": "Frail", "tier": "high"}
    assert reasons_of({"deficit_4": 1, "deficit_2": 1, "deficit_1": 1}, value=0.75, **frail) == [
        "Share 0.75, 3 of 4: High share",
        "Deficit 2, 3 May 2026",
        "Deficit 1, 3 May 2026",
        "Deficit 4, 3 May 2026",
        "Frail",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(28, "28"), (100, "100"), (0, "0"), (28.5, "28.5"), (0.68, "0.68"), (14.2, "14.2"), (0.333333, "0.33")],
)
def test_figures_have_no_trailing_noughts(value, text):
    assert in_figures(value) == text
