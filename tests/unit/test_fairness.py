"""Who is reached: counts that add up at every step, group and place; share of places against need; workload."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import invented
from stratify import fairness

DAY = date(2026, 6, 17)
PRACTICES = {"Y99001": "U1", "Y99002": "U1", "Y99003": "U2", None: None}
OUTCOMES = (None, "excluded", "list_held", "held", "not_listed", "waiting", "listed", "offered")
PLACE = ["geography_type", "geography_code", "breakdown", "breakdown_value"]


def person(key: str, **about: Any) -> dict[str, Any]:
    return {"patient_key": key, "pcn_code": PRACTICES[about.get("practice_code", "Y99001")]} | about


def people(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return fairness.groups(invented.frame("core.person", rows))


def placement(key: str, outcome: str, **more: Any) -> dict[str, Any]:
    decision = "excluded" if outcome == "excluded" else "clinic"
    return {"patient_key": key, "pathway": "lungs", "practice_code": "Y99001", "decision": decision,
            "clinic_id": "lung_clinic", "placement": "not_listed" if outcome == "excluded" else outcome,
            "placement_reason": "Because"} | more  # fmt: skip


def placements(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return invented.frame("derived.placement", rows)


ANYBODY = st.fixed_dictionaries(
    {
        "practice_code": st.sampled_from(list(PRACTICES)),
        "person_status": st.sampled_from(["registered", "died", "left"]),
        "age_years": st.one_of(st.none(), st.integers(0, 105)),
        "sex": st.sampled_from(["F", "M", "U", None]),
        "imd_decile": st.one_of(st.none(), st.integers(1, 10)),
        "ethnic_category": st.sampled_from(["A", "G", "L", "P", "R", "Z", "99", None]),
    }
)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(ANYBODY, st.sampled_from(OUTCOMES)), min_size=1, max_size=40))
def test_people_add_up_at_every_step_by_person_group_practice_network_and_county(rows):
    mine = [person(f"p{number:02}", **about) for number, (about, _) in enumerate(rows)]
    outcomes = [placement(f"p{number:02}", what) for number, (_, what) in enumerate(rows) if what]
    found = fairness.attrition(people(mine), placements(outcomes), ["lungs"], {("lungs", "Y99002")})
    # From step to step: whoever remains is whoever remained before, less those left.
    before = found.sort("step_number").with_columns(
        pl.col("people_count").shift(1).over(["pathway", *PLACE], order_by="step_number").alias("before")
    )
    later = before.filter(pl.col("step_number") > 1)
    assert (later["before"] == later["people_count"] + later["left_count"]).all()
    steps = ["geography_type", "geography_code", "step_number"]
    counts = [pl.col("left_count").sum(), pl.col("people_count").sum()]
    # Groups are everybody.
    whole = found.filter(pl.col("breakdown") == "all").select(*steps, "left_count", "people_count").sort(steps)
    for breakdown in fairness.BREAKDOWNS:
        parts = found.filter(pl.col("breakdown") == breakdown).group_by(steps).agg(counts).sort(steps)
        assert parts.equals(whole)
    # Practices are networks, networks the county.
    kind = ["breakdown", "breakdown_value", "step_number"]
    county = found.filter(pl.col("geography_type") == "county").select(*kind, "left_count", "people_count").sort(kind)
    for level in ("practice", "pcn"):
        parts = found.filter(pl.col("geography_type") == level).group_by(kind).agg(counts).sort(kind)
        assert parts.equals(county)
    by_network = found.filter(pl.col("geography_type") == "practice").with_columns(
        pl.col("geography_code").replace_strict({"Y99001": "U1", "Y99002": "U1", "Y99003": "U2", "none": "none"})
    )
    named = ["geography_code", *kind]
    networks = found.filter(pl.col("geography_type") == "pcn").select(*named, "left_count", "people_count").sort(named)
    assert by_network.group_by(named).agg(counts).sort(named).equals(networks)
    everybody = county.filter((pl.col("breakdown") == "all") & (pl.col("step_number") == 1))
    assert everybody["people_count"].to_list() == [len(rows)]


def test_where_each_person_is_left():
    who = [
        (person("a", person_status="died"), None),
        (person("b", practice_code="Y99002"), None),  # the pathway is off there
        (person("c"), None),
        *((person(key), what) for key, what in zip("defghij", OUTCOMES[1:], strict=True)),
    ]
    found = fairness.attrition(
        people([each for each, _ in who]),
        placements([placement(each["patient_key"], what) for each, what in who if what]),
        ["lungs"],
        {("lungs", "Y99002"), ("lungs", None)},
    )
    county = found.filter((pl.col("geography_type") == "county") & (pl.col("breakdown") == "all"))
    # 10 people: died, off, not on the pathway, excluded, held list, two for whom something else comes first, waiting.
    assert county["left_count"].to_list() == [0, 1, 1, 1, 1, 1, 2, 1]
    assert county["people_count"].to_list() == [10, 9, 8, 7, 6, 5, 3, 2]


def test_share_of_places_against_need_by_deprivation_and_ethnic_group_with_not_known():
    mine = [
        person("a", imd_decile=1, ethnic_category="J"),
        person("b", imd_decile=2, ethnic_category="A"),
        person("c", imd_decile=10, ethnic_category="Z"),
        person("d", imd_decile=None, ethnic_category=None),
    ]
    rows = [placement("a", "waiting"), placement("b", "listed"), placement("c", "listed"), placement("d", "list_held")]
    found = fairness.shares(people(mine), placements(rows))
    counted = {
        (row["breakdown"], row["breakdown_value"]): (row["need_count"], row["listed_count"], row["waiting_count"])
        for row in found.to_dicts()
    }
    assert counted["all", "all"] == (3, 2, 1)
    assert (counted["imd_fifth", "1"], counted["imd_fifth", "5"]) == ((2, 1, 1), (1, 1, 0))
    assert counted["ethnic_group", "Asian or Asian British"] == (1, 0, 1)
    assert counted["ethnic_group", "not known"] == (1, 1, 0)


def slots(audience: str, places: int, role: str, minutes: int | None) -> dict[str, Any]:
    return {"clinic_id": "lung_clinic", "practice_code": audience, "clinic_date": DAY, "role": role, "slots": places,
            "minutes_per_slot": minutes}  # fmt: skip


def work(capacity: list[dict[str, Any]], listed: dict[str, str]) -> pl.DataFrame:
    """Count the work of some sessions, with the people listed and whose session their place is of."""
    rows = [placement(key, "listed", session_serves=serves, clinic_date=DAY) for key, serves in listed.items()]
    frame = invented.frame("core.clinic_capacity", capacity)
    sessions = frame.group_by("clinic_id", "practice_code", "clinic_date").agg(pl.col("slots").min().alias("places"))
    return fairness.workload(sessions, frame, placements(rows))


def test_the_minutes_of_a_place_are_those_of_the_session_it_is_of_and_what_is_not_used_is_seen():
    found = work(
        [slots("Y99001", 1, "nurse", 20), slots("U1", 4, "nurse", 30), slots("U1", 4, "gp", 10)],
        {"a": "Y99001", "b": "U1", "c": "U1"},
    )
    columns = ("practice_code", "role", "listed_count", "minutes_offered_count", "minutes_used_count")
    assert found.select(columns).rows() == [
        ("U1", "gp", 2, 40, 20),
        ("U1", "nurse", 2, 120, 60),
        ("Y99001", "nurse", 1, 20, 20),
    ]  # fmt: skip
    # The nurse uses all of 20 minutes at one place, 60 of 120 at the other: twice as much.
    assert fairness.load_ratios(found) == [("gp", 0.5, 0.5, 1.0), ("nurse", 0.5, 1.0, 2.0)]


def test_minutes_are_not_known_where_a_slot_has_no_length_and_idle_while_others_work_has_no_ratio():
    found = work([slots("Y99001", 1, "nurse", 20), slots("Y99003", 2, "nurse", 20), slots("Y99003", 2, "gp", None)],
                 {"a": "Y99001"})  # fmt: skip
    assert found.filter(role="gp")["minutes_used_count"].to_list() == [None]
    assert fairness.load_ratios(found) == [("nurse", 0.0, 1.0, None)]
