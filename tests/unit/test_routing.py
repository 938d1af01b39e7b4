"""Who gets which place this week: capacity, one action a person, order of need, ties, and what the others are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

import invented
from invented import pathway, score, variable
from stratify.pools import Session, sessions
from stratify.routing import place
from stratify.rulebook import RuleBook

INDEX = date(2026, 6, 15)
WEDNESDAY = date(2026, 6, 17)

LUNG = {"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse", "pharmacist"]}
HOME = {"id": "home_visit", "label": "Home visit", "roles": ["gp"]}
PHONE = {"id": "phone_list", "label": "Phone list", "roles": ["nurse"], "needs_capacity": False}
REST = [{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}]
ALL = {"variable": "age_years", "at_least": 18}

BOOK = invented.rule_book(
    variables=[
        variable("flares", "count", {"event": "x"}, lookback_months=12),
        variable("visits", "count", {"event": "x"}, lookback_months=12),
        variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24),
    ],
    scores=[score("group", tiers=[{"tier": "all", "label": "All"}])],
    pathways=[
        pathway("lungs", precedence=2, cohort=ALL, tier_from="group", routes=REST, clinics=[LUNG, HOME, PHONE],
                rank_by=[{"variable": "flares", "first": "most"}, {"variable": "fev1", "first": "least"},
                         {"variable": "visits", "first": "least"}],
                offers=({"id": "app", "label": "the lung app"},)),
        pathway("frailty", precedence=1, cohort=ALL, tier_from="group", routes=REST,
                clinics=[{"id": "frailty_clinic", "label": "Frailty clinic", "roles": ["nurse"]}, HOME],
                rank_by=[{"variable": "age_years", "first": "most"}]),
    ],
)  # fmt: skip


def wants(key: str, clinic: str = "lung_clinic", *, on: str = "lungs", tier: int | None = 1) -> dict[str, Any]:
    return {"patient_key": key, "pathway": on, "decision": "clinic", "clinic_id": clinic, "tier_rank": tier,
            "reason": "Needs it"}  # fmt: skip


def decided(key: str, decision: str, *, on: str = "lungs") -> dict[str, Any]:
    worklist = decision if decision in ("assessment", "clinician_review") else None
    return {"patient_key": key, "pathway": on, "decision": decision, "clinic_id": worklist, "reason": "Because"}


def slots(number: int, *, clinic: str = "lung_clinic", day: date = WEDNESDAY, role: str = "nurse", **more: Any):
    return {"clinic_id": clinic, "practice_code": "Y99001", "clinic_date": day, "role": role, "slots": number, **more}


def placed(
    decisions: Sequence[dict[str, Any]],
    capacity: Sequence[dict[str, Any]] = (),
    *,
    people: dict[str, dict[str, Any]] | None = None,
    values: dict[str, dict[str, float | str | None]] | None = None,
    book: RuleBook = BOOK,
) -> dict[tuple[str, str], dict[str, Any]]:
    """Route a few decisions; give the placements by person and pathway."""
    keys = sorted({row["patient_key"] for row in decisions})
    found = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", [{"patient_key": key, **(people or {}).get(key, {})} for key in keys]),
        invented.value_rows(values or {}, date(2026, 5, 1)),
        invented.frame("core.clinic_capacity", capacity),
        book,
        index_date=INDEX,
    )
    return {(row["patient_key"], row["pathway"]): row for row in found.to_dicts()}


def listed(found: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    """Give the people with a place, in order of rank."""
    rows = [row for row in found.values() if row["placement"] == "listed"]
    return [row["patient_key"] for row in sorted(rows, key=lambda row: row["priority_rank"])]


# ---------------------------------------------------------------------------------------------------------- sessions


def test_a_session_has_as_many_places_as_its_scarcest_role():
    capacity = invented.frame("core.clinic_capacity", [slots(8), slots(3, role="pharmacist"), slots(5, role="gp")])
    assert sessions(capacity, index_date=INDEX) == [Session("lung_clinic", "Y99001", WEDNESDAY, 3)]


def test_the_week_begins_on_the_index_date_and_ends_before_the_same_weekday():
    days = [INDEX - timedelta(days=1), INDEX, INDEX + timedelta(days=6), INDEX + timedelta(days=7)]
    capacity = invented.frame("core.clinic_capacity", [slots(1, day=day) for day in days])
    assert [each.clinic_date for each in sessions(capacity, index_date=INDEX)] == days[1:3]


def test_sessions_of_a_week_are_filled_in_order_of_date():
    found = placed(
        [wants("a", tier=1), wants("b", tier=2), wants("c", tier=3)],
        [slots(1, day=WEDNESDAY + timedelta(days=1)), slots(1)],
    )
    assert [found[key, "lungs"]["clinic_date"] for key in "abc"] == [WEDNESDAY, WEDNESDAY + timedelta(days=1), None]


def test_places_of_another_practice_are_not_used():
    found = placed([wants("a")], [slots(5, practice_code="Y99002")])
    assert found["a", "lungs"]["placement"] == "waiting"


# ---------------------------------------------------------------------------------------------- clinics and waiting


def test_a_place_and_a_full_clinic():
    found = placed([wants("a"), wants("b"), wants("c")], [slots(1)])
    assert [
        (row["placement"], row["priority_rank"], row["clinic_date"], row["placement_reason"]) for row in found.values()
    ] == [
        ("listed", 1, WEDNESDAY, "Has a place"),
        ("waiting", 2, None, "Lung clinic is full this week: number 2 of 3 in order of need"),
        ("waiting", 3, None, "Lung clinic is full this week: number 3 of 3 in order of need"),
    ]


def test_a_role_without_slots_closes_the_session():
    found = placed([wants("a")], [slots(9), slots(0, role="pharmacist")])
    assert found["a", "lungs"]["placement_reason"] == "Lung clinic is full this week: number 1 of 1 in order of need"


def test_a_clinic_without_a_capacity_row_says_so():
    found = placed([wants("a"), wants("b")], [slots(3, day=INDEX + timedelta(days=7))])
    assert {(row["placement"], row["placement_reason"]) for row in found.values()} == {
        ("waiting", "No session of Lung clinic is planned for this practice in the coming week")
    }
    assert [found[key, "lungs"]["priority_rank"] for key in "ab"] == [1, 2]


def test_a_list_that_needs_no_sessions_takes_everybody():
    found = placed([wants("a", "phone_list"), wants("b", "phone_list")])
    assert [(row["placement"], row["placement_reason"], row["clinic_date"]) for row in found.values()] == [
        ("listed", "Needs it", None),
        ("listed", "Needs it", None),
    ]


# ------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("decisions", "values", "people", "order"),
    [
        pytest.param([wants("a", tier=2), wants("b", tier=1)], {"a": {"flares": 9}}, {}, ["b", "a"], id="tier_first"),
        pytest.param([wants("a", tier=None), wants("b", tier=3)], {"a": {"flares": 9}}, {}, ["b", "a"],
                     id="no_tier_last"),
        pytest.param([wants("a"), wants("b")], {"a": {"flares": 1}, "b": {"flares": 2}}, {}, ["b", "a"],
                     id="then_most_flares"),
        pytest.param([wants("a"), wants("b")], {"a": {"fev1": 40}, "b": {"fev1": 20}}, {}, ["b", "a"],
                     id="then_least_fev1"),
        pytest.param([wants("a"), wants("b")], {"b": {"fev1": 70}}, {}, ["b", "a"], id="not_known_last"),
        pytest.param([wants("a"), wants("b")], {"a": {"fev1": "conflict"}, "b": {"fev1": 70}}, {}, ["b", "a"],
                     id="not_usable_last"),
        pytest.param([wants("a"), wants("b")], {"a": {"visits": 1}}, {}, ["b", "a"],
                     id="a_count_without_a_record_is_nought_and_so_the_least"),
        pytest.param([wants("a"), wants("b"), wants("c")], {},
                     {"a": {"imd_decile": 10}, "b": {"imd_decile": 1}, "c": {"imd_decile": None}}, ["b", "a", "c"],
                     id="then_the_most_deprived_and_not_known_last"),
        pytest.param([wants("b"), wants("a"), wants("c")], {}, {}, ["a", "b", "c"], id="then_the_pseudonym"),
    ],
)  # fmt: skip
def test_order_of_need(decisions, values, people, order):
    assert listed(placed(decisions, [slots(9)], values=values, people=people)) == order


def test_age_ranks_too():
    decisions = [wants(key, "frailty_clinic", on="frailty") for key in "ab"]
    found = placed(
        decisions, [slots(9, clinic="frailty_clinic")], people={"a": {"age_years": 70}, "b": {"age_years": 90}}
    )
    assert listed(found) == ["b", "a"]


# ----------------------------------------------------------------------------------------------- one action a person


def outcome(found: dict[tuple[str, str], dict[str, Any]], key: str, on: str) -> tuple[str, str]:
    return found[key, on]["placement"], found[key, on]["placement_reason"]


def test_one_place_although_two_clinics_want_the_person():
    found = placed(
        [wants("a"), wants("a", "frailty_clinic", on="frailty")], [slots(5), slots(5, clinic="frailty_clinic")]
    )
    assert outcome(found, "a", "frailty") == ("listed", "Has a place")
    assert outcome(found, "a", "lungs") == ("held", "Has a place at Frailty clinic this week: to be dealt with there")
    assert found["a", "frailty"]["other_needs"] == "Lungs"


def test_the_place_held_back_goes_to_the_next_person():
    found = placed(
        [wants("a", tier=1), wants("a", "frailty_clinic", on="frailty"), wants("b", tier=2)],
        [slots(1), slots(1, clinic="frailty_clinic")],
    )
    assert outcome(found, "b", "lungs") == ("listed", "Has a place")


def test_full_at_one_clinic_but_a_place_at_the_other():
    found = placed([wants("a"), wants("a", "frailty_clinic", on="frailty")], [slots(1)])
    assert outcome(found, "a", "lungs") == ("listed", "Has a place")
    assert outcome(found, "a", "frailty") == ("held", "Has a place at Lung clinic this week: to be dealt with there")


def test_full_at_both_waits_at_both():
    found = placed([wants("a"), wants("a", "frailty_clinic", on="frailty")])
    assert {row["placement"] for row in found.values()} == {"waiting"}


def test_two_pathways_that_share_a_clinic_take_one_place_and_wait_once():
    both = [wants("a", "home_visit"), wants("a", "home_visit", on="frailty"), wants("b", "home_visit")]
    found = placed(both, [slots(1, clinic="home_visit")])
    assert outcome(found, "a", "frailty") == ("listed", "Has a place")
    assert outcome(found, "a", "lungs")[0] == "held"
    assert outcome(found, "b", "lungs") == ("waiting", "Home visit is full this week: number 2 of 2 in order of need")
    full = placed(both, [slots(0, clinic="home_visit")])
    assert outcome(full, "a", "frailty") == ("waiting", "Home visit is full this week: number 1 of 2 in order of need")
    assert outcome(full, "a", "lungs") == (
        "held",
        "Waits for a place at Home visit: nothing else is offered until then",
    )
    assert outcome(full, "b", "lungs") == ("waiting", "Home visit is full this week: number 2 of 2 in order of need")


@pytest.mark.parametrize("decision", ["assessment", "clinician_review", "self_management"])
def test_nothing_else_is_offered_to_somebody_with_a_place(decision):
    found = placed([wants("a"), decided("a", decision, on="frailty")], [slots(1)])
    assert outcome(found, "a", "frailty") == ("held", "Has a place at Lung clinic this week: to be dealt with there")


@pytest.mark.parametrize("decision", ["assessment", "clinician_review", "self_management"])
def test_nothing_else_is_offered_to_somebody_who_waits(decision):
    found = placed([wants("a"), decided("a", decision, on="frailty")])
    assert outcome(found, "a", "frailty") == (
        "held",
        "Waits for a place at Lung clinic: nothing else is offered until then",
    )


def test_an_assessment_comes_before_a_review_and_a_review_before_an_offer():
    found = placed([decided("a", "assessment"), decided("a", "clinician_review", on="frailty")])
    assert outcome(found, "a", "lungs") == ("listed", "Because")
    assert outcome(found, "a", "frailty") == (
        "held",
        "Has an assessment visit on the Lungs pathway: to be dealt with there",
    )
    found = placed([decided("a", "clinician_review"), decided("a", "self_management", on="frailty")])
    assert outcome(found, "a", "frailty") == ("held", "A clinician looks at the record first, on the Lungs pathway")


def test_one_offer_a_person_that_of_the_pathway_that_goes_first():
    found = placed([decided("a", "self_management"), decided("a", "self_management", on="frailty")])
    assert outcome(found, "a", "frailty") == ("offered", "Because")
    assert outcome(found, "a", "lungs") == ("held", "Is offered An app on the Frailty pathway")


def test_worklists_are_ranked_per_practice():
    people = {"a": {"practice_code": "Y99001"}, "b": {"practice_code": "Y99002"}, "c": {"practice_code": "Y99001"}}
    found = placed([decided(key, "assessment") for key in "abc"], people=people)
    assert [found[key, "lungs"]["priority_rank"] for key in "abc"] == [1, 1, 2]


# --------------------------------------------------------------------------------------------------------- the others


def test_excluded_people_are_not_listed_with_their_reason_and_are_no_other_need():
    found = placed([decided("a", "excluded"), decided("a", "self_management", on="frailty")])
    assert outcome(found, "a", "lungs") == ("not_listed", "Because")
    assert outcome(found, "a", "frailty") == ("offered", "Because")
    assert found["a", "frailty"]["other_needs"] is None


def test_not_eligible_people_have_no_placement():
    assert placed([decided("a", "not_eligible"), decided("b", "self_management")]).keys() == {("b", "lungs")}


@pytest.mark.parametrize("decision", ["clinic", "assessment", "clinician_review", "self_management"])
def test_without_a_practice_there_is_nobody_to_send_a_list_to(decision):
    row = wants("a") if decision == "clinic" else decided("a", decision)
    found = placed([row], [slots(5)], people={"a": {"practice_code": None}})
    assert outcome(found, "a", "lungs") == ("not_listed", "No practice to send the list to")


def test_nobody_decided_nobody_placed():
    assert placed([], [slots(5)]) == {}


def test_the_order_of_rows_does_not_matter():
    decisions = [wants(key, tier=tier) for key, tier in zip("abcdef", [1, 2, 2, None, 1, 3], strict=True)]
    decisions += [wants(key, "frailty_clinic", on="frailty") for key in "ace"]
    capacity = [slots(2), slots(1, clinic="frailty_clinic"), slots(1, role="pharmacist")]
    one, other = placed(decisions, capacity), placed(decisions[::-1], capacity[::-1])
    assert pl.DataFrame(list(one.values())).equals(pl.DataFrame(list(other.values())))


def test_a_held_list_takes_no_place_and_its_people_keep_what_other_pathways_have_for_them():
    decisions = [
        wants("both", "home_visit", on="frailty"), wants("both", "home_visit"),
        wants("lungs_only", "home_visit"), decided("dead", "excluded"),
    ]  # fmt: skip
    found = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", [{"patient_key": key} for key in ("both", "dead", "lungs_only")]),
        invented.value_rows({}, date(2026, 5, 1)),
        invented.frame("core.clinic_capacity", [slots(1, clinic="home_visit")]),
        BOOK,
        index_date=INDEX,
        held={("frailty", "Y99001"): "Codes lost", ("lungs", "Y99002"): "Not this practice"},
    )
    rows = {(row["patient_key"], row["pathway"]): row for row in found.to_dicts()}
    # Frailty comes first and would have had the one place; held, it leaves it to the first on the lung list.
    assert rows["both", "frailty"]["placement"] == "list_held"
    assert rows["both", "frailty"]["placement_reason"] == "The Frailty list is held this week: Codes lost"
    assert rows["both", "lungs"]["placement"] == "listed"
    assert rows["both", "lungs"]["other_needs"] == "Frailty (list held this week)"
    assert rows["lungs_only", "lungs"]["placement"] == "waiting"
    assert rows["dead", "lungs"]["placement"] == "not_listed"


def test_within_a_tier_a_pathway_may_order_by_what_its_score_comes_to():
    """0.62 before 0.41, whatever else; not known comes last in its tier, and before the highest of the next."""
    steps = [{"variable": name, "first": "most"} for name in ("group", "flares")]
    by_risk = pathway("lungs", precedence=1, cohort=ALL, tier_from="group", routes=REST, clinics=[LUNG], rank_by=steps)
    book = invented.rule_book(
        variables=[variable("flares", "count", {"event": "x"}, lookback_months=12)],
        scores=[score("group", tiers=[{"tier": "all", "label": "All"}])],
        pathways=[by_risk],
    )
    risks = {"a": 0.41, "b": 0.62, "c": None, "d": 0.41}
    decisions = [wants(key) | {"tier_value": risk} for key, risk in risks.items()]
    decisions.append(wants("e", tier=2) | {"tier_value": 0.9})
    found = placed(decisions, [slots(5)], values={"d": {"flares": 2.0}, "a": {"flares": 1.0}}, book=book)
    assert listed(found) == ["b", "d", "a", "c", "e"]
