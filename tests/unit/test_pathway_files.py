"""What a pathway file may say: what cannot be published, offers, checks, and who owns the one slot of a person."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

import invented
from invented import pathway
from stratify.routing import place
from stratify.rulebook import load_rule_book

REST = [{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}]
ALL = {"variable": "age_years", "at_least": 18}
WITHOUT_LEAD, WITHOUT_DATE = {"clinical_lead": None}, {"review_date": None}
OFFERED = [{"id": "rest", "decision": "self_management", "offers": ["song"], "reason": "Nothing"}]
UNRECORDED = {"id": "foot", "label": "Foot", "by": "podiatrist"}


@pytest.mark.parametrize("lacking", [WITHOUT_LEAD, WITHOUT_DATE], ids=["clinical lead", "review date"])
def test_a_pathway_without_a_lead_or_a_review_date_cannot_be_published(lacking):
    with pytest.raises(ValidationError, match="without a clinical lead and a review date is a draft"):
        pathway("lungs", cohort=ALL, routes=REST, **lacking)
    assert not pathway("lungs", cohort=ALL, routes=REST, status="draft", **lacking).is_published


def test_a_pathway_that_patients_have_no_name_for_cannot_be_published():
    with pytest.raises(ValidationError, match="without a plain_name cannot be published"):
        pathway("lungs", cohort=ALL, routes=REST, plain_name=None)
    assert pathway("lungs", cohort=ALL, routes=REST, plain_name=None, status="draft").plain_name is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param({"routes": OFFERED}, "names the offer song", id="an offer nobody has"),
        pytest.param({"routes": OFFERED, "offers": []}, "has no offers", id="nothing to offer"),
        pytest.param({"checks": [UNRECORDED]}, "is recorded", id="a check that nothing records, for everybody"),
        pytest.param({"checks": [{**UNRECORDED, "done": "x"}]}, "after how many days", id="a check without a window"),
        pytest.param(
            {"checks": [{**UNRECORDED, "when": {"score": "group", "tier_in": ["a"]}}]}, "no tier", id="a check by tier"
        ),
        pytest.param(
            {"clinics": [{"id": "c", "label": "C", "roles": ["gp"], "lead": "nurse"}]}, "nurse leads", id="a lead away"
        ),
    ],
)
def test_what_does_not_fit_together_does_not_load(said, message):
    with pytest.raises(ValidationError, match=message):
        pathway("lungs", **{"cohort": ALL, "routes": REST, **said})


def test_somebody_on_three_pathways_gets_one_slot_and_the_others_are_shown():
    """Frailty goes before COPD and COPD before diabetes: one place, at the frailty clinic, though all have places."""
    book, index = load_rule_book(), date(2026, 11, 23)
    clinics = {"frailty": "frailty_clinic", "copd": "copd_clinic", "diabetes": "diabetes_nurse"}
    decisions = [
        {"patient_key": "p", "pathway": name, "decision": "clinic", "clinic_id": clinic, "tier_rank": 1, "reason": "r"}
        for name, clinic in clinics.items()
    ]
    capacity = [
        {"clinic_id": clinic, "practice_code": "Y99001", "clinic_date": index, "role": "any", "slots": 5}
        for clinic in clinics.values()
    ]
    found = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", [{"patient_key": "p"}]),
        invented.value_rows({}, index),
        invented.frame("core.clinic_capacity", capacity),
        book,
        index_date=index,
    )
    placements = {row["pathway"]: row for row in found.to_dicts()}
    assert {name: row["placement"] for name, row in placements.items()} == {
        "frailty": "listed",
        "copd": "held",
        "diabetes": "held",
    }
    assert placements["frailty"]["other_needs"] == "COPD;Diabetes"


def test_places_of_an_offer_are_given_out_once_and_the_next_person_is_made_the_next_offer():
    """Two English speakers at risk of diabetes, one place in the programme: the higher HbA1c has it."""
    book, index = load_rule_book(), date(2026, 11, 23)
    decisions = [
        {"patient_key": key, "pathway": "diabetes_prevention", "decision": "self_management", "rule_id": "at_risk",
         "tier_rank": 2, "reason": "r"}
        for key in ("a", "b")
    ]  # fmt: skip
    place_of = {"clinic_id": "prevention_programme", "practice_code": "Y99001", "clinic_date": index, "slots": 1}
    found = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", [{"patient_key": key, "preferred_language": "en"} for key in ("a", "b")]),
        invented.value_rows({"a": {"hba1c": 43.0}, "b": {"hba1c": 46.0}}, date(2026, 9, 1)),
        invented.frame("core.clinic_capacity", [{**place_of, "role": "health_coach"}]),
        book,
        index_date=index,
    )
    assert dict(found.select("patient_key", "offer_id").iter_rows()) == {
        "a": "prevention_online",
        "b": "prevention_programme",
    }
