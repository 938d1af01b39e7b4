"""Sessions that the practices of a network share, and minutes that a role may work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import invented
from invented import pathway, score
from stratify import pools
from stratify.pools import Session
from stratify.routing import place

INDEX = date(2026, 6, 15)
WEDNESDAY = date(2026, 6, 17)
NETWORK = "U99001"
PRACTICES = {"Y99001": NETWORK, "Y99002": NETWORK, "Y99003": "U99002"}
BOOK = invented.rule_book(
    scores=[score("group", tiers=[{"tier": "all", "label": "All"}])],
    pathways=[
        pathway("lungs", cohort={"variable": "age_years", "at_least": 18}, tier_from="group",
                routes=[{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}],
                clinics=[{"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse"]}],
                rank_by=[{"variable": "age_years", "first": "most"}]),
    ],
)  # fmt: skip


def slots(number: int, audience: str, *, day: date = WEDNESDAY, role: str = "nurse", minutes: int | None = 20):
    return {"clinic_id": "lung_clinic", "practice_code": audience, "clinic_date": day, "role": role, "slots": number,
            "minutes_per_slot": minutes}  # fmt: skip


def capacity(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return invented.frame("core.clinic_capacity", rows)


def placed(people: Sequence[tuple[str, int]], rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Route people who all need the clinic, each given as practice and age; the oldest has the greatest need."""
    keys = [f"p{number:03}" for number in range(len(people))]
    decisions = [
        {"patient_key": key, "pathway": "lungs", "decision": "clinic", "clinic_id": "lung_clinic", "tier_rank": 1,
         "reason": "Needs it"}
        for key in keys
    ]  # fmt: skip
    persons = [
        {"patient_key": key, "practice_code": practice, "pcn_code": PRACTICES[practice], "age_years": age}
        for key, (practice, age) in zip(keys, people, strict=True)
    ]
    found = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", persons),
        invented.value_rows({}, INDEX),
        capacity(rows),
        BOOK,
        index_date=INDEX,
    )
    return {row["patient_key"]: row for row in found.to_dicts()}


def test_a_place_of_the_network_goes_to_the_greatest_need_in_any_of_its_practices_and_to_nobody_else():
    found = placed([("Y99001", 70), ("Y99002", 90), ("Y99001", 80), ("Y99003", 99)], [slots(2, NETWORK)])
    assert [row["placement"] for row in found.values()] == ["waiting", "listed", "listed", "waiting"]
    assert found["p000"]["placement_reason"] == "Lung clinic is full this week: number 3 of 3 in order of need"
    assert found["p003"]["placement_reason"] == (
        "No session of Lung clinic is planned for this practice in the coming week"
    )


def test_a_practice_fills_its_own_session_of_a_day_before_the_shared_one():
    found = placed([("Y99001", 90), ("Y99002", 80)], [slots(1, NETWORK), slots(1, "Y99001")])
    assert [row["placement"] for row in found.values()] == ["listed", "listed"]


@settings(max_examples=40, deadline=None)
@given(
    people=st.lists(st.tuples(st.sampled_from(sorted(PRACTICES)), st.integers(18, 99)), max_size=25),
    shared=st.integers(0, 6),
    own=st.integers(0, 4),
)
def test_nobody_takes_a_place_above_a_pool_and_no_place_stays_empty_while_one_of_its_people_waits(people, shared, own):
    found = placed(people, [slots(shared, NETWORK), slots(own, "Y99001")])
    listed = Counter(row["practice_code"] for row in found.values() if row["placement"] == "listed")
    wanting = Counter(practice for practice, _ in people)
    assert listed["Y99003"] == 0
    assert listed["Y99002"] <= shared
    assert listed["Y99001"] + listed["Y99002"] <= shared + own
    if listed["Y99002"] < wanting["Y99002"]:
        assert listed["Y99001"] + listed["Y99002"] >= shared


def test_a_role_has_no_place_left_once_its_minutes_of_the_week_are_used_up():
    rows = [slots(4, NETWORK), slots(4, NETWORK, day=WEDNESDAY + timedelta(days=1)), slots(4, "Y99003")]
    found = pools.sessions(capacity(rows), index_date=INDEX, most_minutes={"nurse": 110})
    # 110 minutes are 5 people of 20 minutes: 4 on the first day, 1 on the next; another audience has its own.
    assert [(each.practice_code, each.places) for each in found] == [("U99001", 4), ("U99001", 1), ("Y99003", 4)]


def test_slots_without_a_length_and_roles_without_a_bound_are_bounded_by_slots_alone():
    rows = [slots(4, NETWORK, minutes=None), slots(3, NETWORK, role="gp")]
    found = pools.sessions(capacity(rows), index_date=INDEX, most_minutes={"nurse": 1})
    assert found == [Session("lung_clinic", NETWORK, WEDNESDAY, 3)]
