"""The minutes of a role in a week, over all clinics of a practice or network: never passed, and said where they end."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import invented
from invented import pathway, score
from stratify import fairness, pools, publish
from stratify.routing import place

INDEX, WEDNESDAY, THURSDAY = date(2026, 6, 15), date(2026, 6, 17), date(2026, 6, 18)
NETWORK_OF = {"Y99001": "U99001", "Y99002": "U99001", "Y99003": "U99002"}
CLINICS = {"lungs": "lung_clinic", "hearts": "heart_clinic"}
BOOK = invented.rule_book(
    scores=[score("group", tiers=[{"tier": "all", "label": "All"}])],
    pathways=[
        pathway(name, precedence=number, cohort={"variable": "age_years", "at_least": 18}, tier_from="group",
                routes=[{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}],
                clinics=[{"id": clinic, "label": clinic.replace("_", " ").capitalize(), "roles": ["practice_nurse"]}],
                rank_by=[{"variable": "age_years", "first": "most"}])
        for number, (name, clinic) in enumerate(CLINICS.items(), 1)
    ],
)  # fmt: skip

Row = dict[str, Any]


def slots(
    clinic: str, audience: str, number: int, minutes: int | None, role: str = "practice_nurse", day: date = WEDNESDAY
) -> Row:
    return {"clinic_id": clinic, "practice_code": audience, "clinic_date": day, "role": role, "slots": number,
            "minutes_per_slot": minutes}  # fmt: skip


def placed(people: list[tuple[str, str, int]], rows: list[Row], most: dict[str, int]) -> list[Row]:
    """Route people given as pathway, practice and age."""
    keys = [f"p{number:03}" for number in range(len(people))]
    decisions = [
        {"patient_key": key, "pathway": name, "decision": "clinic", "clinic_id": CLINICS[name], "tier_rank": 1,
         "reason": "Needs it"}
        for key, (name, _, _) in zip(keys, people, strict=True)
    ]  # fmt: skip
    persons = [
        {"patient_key": key, "practice_code": practice, "pcn_code": NETWORK_OF[practice], "age_years": age}
        for key, (_, practice, age) in zip(keys, people, strict=True)
    ]
    found = place(
        invented.frame("derived.pathway_decision", decisions),
        invented.frame("core.person", persons),
        invented.value_rows({}, INDEX),
        invented.frame("core.clinic_capacity", rows),
        BOOK,
        index_date=INDEX,
        most_minutes=most,
    )
    return found.to_dicts()


def taken(rows: list[Row], found: list[Row]) -> pl.DataFrame:
    """The minutes that the lists take, as the run reports them."""
    capacity = invented.frame("core.clinic_capacity", rows)
    sessions = pools.sessions_frame(pools.sessions(capacity, index_date=INDEX))
    return fairness.workload(sessions, capacity, invented.frame("derived.placement", found))


def test_the_minutes_of_a_role_end_over_all_clinics_of_a_practice_and_the_row_says_so():
    rows = [slots("lung_clinic", "Y99001", 4, 30), slots("heart_clinic", "Y99001", 4, 20),
            slots("heart_clinic", "Y99003", 4, 20)]  # fmt: skip
    people = [("lungs", "Y99001", 80), ("lungs", "Y99001", 70), ("hearts", "Y99001", 90), ("hearts", "Y99001", 60),
              ("hearts", "Y99003", 50)]  # fmt: skip
    found = placed(people, rows, {"practice_nurse": 90})
    # 30 + 30 for the lungs and 20 for the heart are 80: the next 20 would be 100. Another practice has its own minutes.
    assert [row["placement"] for row in found] == ["listed", "listed", "listed", "waiting", "listed"]
    assert found[3]["placement_reason"] == (
        "Heart clinic has slots, and the minutes of the week of the practice nurse are given out: "
        "number 2 of 2 in order of need"
    )
    against = fairness.minutes_against_bound(taken(rows, found), {"practice_nurse": 90})
    assert against == [("practice_nurse", "Y99001", 80, 90), ("practice_nurse", "Y99003", 20, 90)]
    page = publish.reached_page(
        [], [], [], minutes=against, bound=3.0, title="Reached", index_date=INDEX, run_id="r", is_test=True
    )
    assert '<td>Y99001</td><td class="number">90</td><td>less than nine tenths</td>' in page


def test_without_a_bound_slots_alone_are_what_is_short():
    found = placed([("lungs", "Y99001", 80), ("lungs", "Y99001", 70)], [slots("lung_clinic", "Y99001", 1, 30)], {})
    assert found[1]["placement_reason"] == "Lung clinic is full this week: number 2 of 2 in order of need"


NUMBERS = st.integers(0, 4)
SESSIONS = st.lists(
    st.builds(
        slots,
        st.sampled_from(sorted(CLINICS.values())),
        st.sampled_from([*NETWORK_OF, "U99001"]),
        NUMBERS,
        st.sampled_from([10, 20, 45]),
        st.sampled_from(["practice_nurse", "gp"]),
        st.sampled_from([WEDNESDAY, THURSDAY]),
    ),
    max_size=8,
    unique_by=lambda row: (row["clinic_id"], row["practice_code"], row["clinic_date"], row["role"]),
)
PEOPLE = st.lists(
    st.tuples(st.sampled_from(sorted(CLINICS)), st.sampled_from(sorted(NETWORK_OF)), st.integers(18, 99)), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(people=PEOPLE, rows=SESSIONS, nurse=st.integers(0, 150), gp=st.integers(0, 150))
def test_no_role_is_ever_given_more_minutes_than_its_bound_and_who_waits_is_told_why(people, rows, nurse, gp):
    most = {"practice_nurse": nurse, "gp": gp}
    found = placed(people, rows, most)
    for _, _, minutes, bound in fairness.minutes_against_bound(taken(rows, found), most):
        assert minutes <= bound
    free = placed(people, rows, {})
    assert Counter(row["placement"] for row in found)["listed"] <= Counter(row["placement"] for row in free)["listed"]
    for row, without in zip(found, free, strict=True):
        if row["placement"] == "waiting" and without["placement"] == "listed":
            assert "minutes of the week" in row["placement_reason"] or "is full this week" in row["placement_reason"]
