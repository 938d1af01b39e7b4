"""One proposal for each person: gates first, then routes in order; what is not known asks or changes nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import invented
from invented import pathway, score, variable
from stratify import engine
from stratify.pathways import decide
from stratify.scores import add_scores

INDEX = date(2026, 6, 15)
MAY = date(2026, 5, 3)

BOOK = invented.rule_book(
    variables=[
        variable("is_on_register", "has", {"event": "x"}, ended_by="y"),
        variable("is_palliative", "has", {"flag": "x"}, text="Palliative care since {date}"),
        variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24, label="FEV1",
                 text="FEV1 {value} % on {date}", text_when_missing="No FEV1: spirometry needed"),
        variable("cat", "latest", {"measurement": "cat"}, maximum_age_months=15, label="CAT",
                 text="CAT {value} on {date}", text_when_missing="No CAT"),
        variable("flares", "count", {"event": "x"}, {"emergency_admission": "y"}, lookback_months=12,
                 text="{value} flare-ups, the latest on {date}"),
        variable("points", "weight", {"hospital_diagnosis": "x"}, lookback_months=24,
                 text="{value} points, the latest on {date}"),
    ],
    scores=[
        score(
            "group",
            eligibility=[{"when": {"variable": "is_on_register", "is_true": True}, "otherwise": "Not on it"}],
            tiers=[
                {"tier": "high", "label": "High", "when": {"variable": "fev1", "below": 30}},
                {"tier": "middle", "label": "Middle",
                 "when": {"any_of": [{"variable": "fev1", "below": 50}, {"variable": "flares", "at_least": 2}]}},
                {"tier": "low", "label": "Low"},
            ],
        ),
        score(
            "risk",
            eligibility=[{"when": {"variable": "age_years", "at_least": 75}, "otherwise": "Under 75"}],
            value_of="points",
            withheld_when_absent="Never in hospital",
            tiers=[
                {"tier": "high", "label": "High", "above": 15},
                {"tier": "low", "label": "Low", "at_most": 15},
            ],
        ),
    ],
    pathways=[
        pathway(
            "lungs",
            cohort={"variable": "is_on_register", "is_true": True},
            tier_from="group",
            routes=[
                {"id": "palliative", "when": {"variable": "is_palliative", "is_true": True}, "decision": "clinic",
                 "clinic": "home_visit", "reason": "Receives palliative care"},
                {"id": "flares", "when": {"variable": "flares", "at_least": 3}, "decision": "clinic",
                 "clinic": "lung_clinic", "reason": "Three flare-ups"},
                {"id": "upper", "when": {"score": "group", "tier_in": ["high", "middle"]}, "decision": "clinic",
                 "clinic": "lung_clinic", "reason": "In an upper group"},
                {"id": "risk", "when": {"score": "risk", "tier_in": ["high"]}, "decision": "clinician_review",
                 "reason": "High in hospital", "when_unknown": "pass_over", "gap": "Hospital risk not known"},
                {"id": "lower", "decision": "self_management", "reason": "In the lower group"},
            ],
            show=["is_palliative", "points", "fev1", "flares", "cat"],
            clinics=[{"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse"]},
                     {"id": "home_visit", "label": "Home visit", "roles": ["gp"]}],
        ),
        pathway(
            "age",
            precedence=2,
            cohort={"variable": "age_years", "at_least": 75},
            tier_from="risk",
            routes=[{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}],
        ),
    ],
)  # fmt: skip
LUNGS, AGE = BOOK.pathways["lungs"], BOOK.pathways["age"]

ON: dict[str, Any] = {"is_on_register": 1}
FINE = ON | {"fev1": 85, "cat": 8}
NOT_LINKED = {"is_hospital_linked": False}
PEOPLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "low": ({}, FINE),
    "off_the_register": ({}, {"fev1": 20, "flares": 5}),
    "register_contradicts": ({}, FINE | {"is_on_register": "conflict"}),
    "palliative_and_high": ({}, FINE | {"is_palliative": 1, "fev1": 20, "flares": 4}),
    "palliative_and_nothing_known": (NOT_LINKED, ON | {"is_palliative": 1}),
    "three_flares_and_high": ({}, FINE | {"flares": 3, "fev1": 20}),
    "three_flares_no_fev1": ({}, ON | {"flares": 3}),
    "two_flares_no_fev1": ({}, ON | {"flares": 2}),
    "high": ({}, FINE | {"fev1": 20}),
    "no_fev1": ({}, ON),
    "stale_fev1": ({}, ON | {"fev1": "stale"}),
    "unusable_fev1": ({}, ON | {"fev1": "unusable"}),
    "fev1_contradicts": ({}, ON | {"fev1": "conflict"}),
    "fev1_contradicts_three_flares": ({}, ON | {"fev1": "conflict", "flares": 3}),
    "cat_contradicts": ({}, FINE | {"cat": "conflict"}),
    "not_linked_low": (NOT_LINKED, FINE),
    "not_linked_high": (NOT_LINKED, FINE | {"fev1": 20}),
    "not_linked_three_flares": (NOT_LINKED, FINE | {"flares": 3}),
    "aged_80_risk": ({"age_years": 80}, FINE | {"points": 16}),
    "aged_80_never_in_hospital": ({"age_years": 80}, FINE),
    "age_not_known_risk": ({"age_years": None}, FINE | {"points": 16}),
    "died": ({"person_status": "died", "identity_doubt": "two people"}, FINE | {"fev1": 20}),
    "left": ({"person_status": "left"}, FINE),
    "temporary": ({"person_status": "temporary"}, FINE),
    "never": ({"person_status": "never_registered"}, FINE),
    "test": ({"person_status": "test_patient"}, FINE),
    "practice_not_known": ({"person_status": "practice_unknown"}, FINE),
    "doubtful_and_high": ({"identity_doubt": "two dates of birth"}, FINE | {"fev1": 20}),
    "doubtful_and_open": ({"identity_doubt": "two dates of birth"}, ON | {"fev1": "conflict"}),
    "joined_lately": ({"registered_date": date(2026, 2, 1)}, FINE),
}


@pytest.fixture(scope="module")
def values():
    return invented.value_rows({name: found for name, (_, found) in PEOPLE.items()}, MAY)


@pytest.fixture(scope="module")
def scored(values):
    persons = invented.frame("core.person", [{"patient_key": name, **more} for name, (more, _) in PEOPLE.items()])
    wide = invented.wide_of(persons, values, BOOK, INDEX)
    return invented.collected(add_scores(engine.from_polars(wide), BOOK))


@pytest.fixture(scope="module")
def decisions(scored):
    return invented.collected(decide(engine.from_polars(scored), LUNGS, BOOK)).sort("patient_key")


def test_without_the_words_everybody_goes_to_the_same_place(scored, decisions):
    bare = invented.collected(decide(engine.from_polars(scored), LUNGS, BOOK, in_words=False)).sort("patient_key")
    assert len(bare) > 10 and bare.equals(decisions.select("patient_key", "decision", "clinic_id"))


@pytest.fixture(scope="module")
def rows(decisions):
    return {row["patient_key"]: row for row in decisions.to_dicts()}


@pytest.mark.parametrize(
    ("person", "decision", "clinic", "rule", "missing"),
    [
        # gates, in order: the person's status, doubts of identity, contradictions, gaps
        pytest.param("died", "excluded", None, "person_status", None, id="died_comes_before_everything"),
        pytest.param("left", "excluded", None, "person_status", None, id="left"),
        pytest.param("doubtful_and_high", "clinician_review", "clinician_review", "identity_doubt", None,
                     id="identity_comes_before_the_clinic"),
        pytest.param("doubtful_and_open", "clinician_review", "clinician_review", "identity_doubt", "fev1",
                     id="identity_comes_before_contradictions"),
        pytest.param("register_contradicts", "clinician_review", "clinician_review", "contradictory",
                     "is_on_register", id="perhaps_on_the_pathway"),
        pytest.param("fev1_contradicts", "clinician_review", "clinician_review", "contradictory", "fev1",
                     id="contradictions_that_matter_go_to_a_clinician"),
        pytest.param("no_fev1", "assessment", "assessment", "cannot_grade", "fev1", id="missing"),
        pytest.param("stale_fev1", "assessment", "assessment", "cannot_grade", "fev1", id="stale"),
        pytest.param("unusable_fev1", "assessment", "assessment", "cannot_grade", "fev1", id="unusable"),
        pytest.param("practice_not_known", "self_management", None, "lower", None, id="practice_unknown_is_no_gate"),
        # routes, in order
        pytest.param("palliative_and_high", "clinic", "home_visit", "palliative", None, id="the_first_that_holds"),
        pytest.param("three_flares_and_high", "clinic", "lung_clinic", "flares", None, id="the_second"),
        pytest.param("high", "clinic", "lung_clinic", "upper", None, id="the_third"),
        pytest.param("low", "self_management", None, "lower", None, id="the_rest"),
        # what is not known
        pytest.param("palliative_and_nothing_known", "clinic", "home_visit", "palliative", None,
                     id="later_rules_do_not_matter"),
        pytest.param("three_flares_no_fev1", "clinic", "lung_clinic", "flares", None, id="settled_without_fev1"),
        pytest.param("two_flares_no_fev1", "clinic", "lung_clinic", "upper", None, id="whichever_group_it_is"),
        pytest.param("fev1_contradicts_three_flares", "clinic", "lung_clinic", "flares", None,
                     id="a_contradiction_that_changes_nothing"),
        pytest.param("cat_contradicts", "self_management", None, "lower", None,
                     id="a_contradiction_in_what_is_only_shown"),
        pytest.param("not_linked_low", "assessment", "assessment", "cannot_grade", "flares",
                     id="not_linked_is_never_self_management"),
        pytest.param("not_linked_high", "clinic", "lung_clinic", "upper", None,
                     id="not_known_but_the_same_place"),
        pytest.param("not_linked_three_flares", "clinic", "lung_clinic", "flares", None, id="enough_already"),
        # passed over
        pytest.param("aged_80_risk", "clinician_review", "clinician_review", "risk", None, id="risk_known"),
        pytest.param("aged_80_never_in_hospital", "self_management", None, "lower", None, id="no_score_is_no"),
        pytest.param("age_not_known_risk", "self_management", None, "lower", None, id="passed_over"),
    ],
)  # fmt: skip
def test_proposal(rows, person, decision, clinic, rule, missing):
    row = rows[person]
    assert (row["decision"], row["clinic_id"], row["rule_id"], row["missing_variables"]) == (
        decision,
        clinic,
        rule,
        missing,
    )


def test_everybody_perhaps_on_the_pathway_has_one_decision(decisions):
    assert decisions["patient_key"].to_list() == sorted(set(PEOPLE) - {"off_the_register"})


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ("died", "Has died"),
        ("left", "No longer registered with a practice of this run"),
        ("temporary", "Temporary or private registration only"),
        ("never", "No registration with a practice of this run"),
        ("test", "Test record"),
        ("doubtful_and_high", "Identity to be confirmed: two dates of birth"),
        ("fev1_contradicts", "The records contradict each other where it matters: see the data gaps"),
        ("no_fev1", "A value that could change the route is missing or out of date: see the data gaps"),
        ("high", "In an upper group"),
    ],
)
def test_reason_of_a_decision(rows, person, reason):
    assert rows[person]["reason"] == reason


@pytest.mark.parametrize(
    ("person", "gaps"),
    [
        ("low", None),
        ("no_fev1", "No FEV1: spirometry needed"),
        ("cat_contradicts", None),
        ("not_linked_high", "Hospital data not linked"),
        ("age_not_known_risk", "Age not known;Hospital risk not known"),
        ("joined_lately", "Joined the practice less than 12 months ago: the record may be incomplete"),
        ("died", None),
    ],
)
def test_data_gaps(rows, person, gaps):
    assert rows[person]["data_gaps"] == gaps


@pytest.mark.parametrize(
    ("person", "tier", "rank"), [("high", "high", 1), ("two_flares_no_fev1", "middle", 2), ("no_fev1", None, None)]
)
def test_tier_and_its_rank(rows, person, tier, rank):
    assert (rows[person]["tier"], rows[person]["tier_rank"]) == (tier, rank)


def test_an_unknown_age_may_be_old_enough(scored):
    found = invented.collected(decide(engine.from_polars(scored), AGE, BOOK))
    row = {each["patient_key"]: each for each in found.to_dicts()}["age_not_known_risk"]
    assert (row["decision"], row["rule_id"], row["data_gaps"]) == ("assessment", "cannot_grade", "Age not known")
    assert found.height == 3, "the two who are 80 and the one of unknown age"
