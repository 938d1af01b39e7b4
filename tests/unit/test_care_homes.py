"""Care homes: which home from the address, working days from moving in or coming back, and the roster home by home."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import publish_example as example
import pytest
import yaml

import invented
from stratify.care_homes import NOT_KNOWN, CareHome, home_and_lead
from stratify.contract_frames import schema_of
from stratify.periods import bank_holidays, working_days_after
from stratify.publish.care_home_roster import write_rosters
from stratify.rulebook import load_rule_book
from stratify.store import open_store
from stratify.synth import CountyOrder
from stratify.synth.county import County
from stratify.synth.registry import care_home_register

ROOT = Path(__file__).parents[2]
ELM = CareHome(id="1-101", name="Elm House", postcode="QZ1 1ZA", named_lead="Care-home lead nurse")
OAK = CareHome(id="1-102", name="Oak House", postcode="QZ1 2ZB", named_lead="Dr Invented")
ASH = CareHome(id="1-103", name="Ash House", postcode="qz12zb", named_lead="Dr Invented")
MONDAY = date(2026, 6, 15)


@pytest.mark.parametrize(
    ("postcode", "expected"),
    [
        pytest.param("qz11za", ("Elm House (1-101)", "Care-home lead nurse"), id="written_otherwise"),
        pytest.param("QZ1 2ZB", ("Oak House (1-102) or Ash House (1-103)", "Dr Invented"), id="two_homes_there"),
        pytest.param("QZ9 9ZZ", (NOT_KNOWN, None), id="no_home_there"),
        pytest.param(None, (NOT_KNOWN, None), id="address_not_shown"),
    ],
)
def test_the_home_is_that_at_the_postcode_of_the_resident(postcode, expected):
    assert home_and_lead(postcode, [ELM, OAK, ASH]) == expected


@pytest.mark.parametrize(
    ("came", "due"),
    [
        pytest.param(date(2026, 6, 12), date(2026, 6, 23), id="a_friday"),  # 15 16 17 18 19 | 22 23
        pytest.param(date(2026, 6, 13), date(2026, 6, 23), id="a_saturday"),
        pytest.param(date(2026, 4, 2), date(2026, 4, 15), id="over_easter"),  # 7 8 9 10 | 13 14 15
        pytest.param(date(2026, 12, 24), date(2027, 1, 7), id="over_christmas"),  # 29 30 31 | 4 5 6 7
    ],
)
def test_seven_working_days_leave_out_weekends_and_bank_holidays(came, due):
    assert working_days_after(came, 7) == due


def test_bank_holidays_of_a_year_are_those_that_were_published():
    """gov.uk, England and Wales: in 2027 Christmas falls on a Saturday, in 2022 New Year did."""
    assert sorted(bank_holidays(2027)) == [
        date(2027, 1, 1), date(2027, 3, 26), date(2027, 3, 29), date(2027, 5, 3), date(2027, 5, 31),
        date(2027, 8, 30), date(2027, 12, 27), date(2027, 12, 28),
    ]  # fmt: skip
    assert min(bank_holidays(2022)) == date(2022, 1, 3)


def _placed(key: str, **more: object) -> dict[str, object]:
    ordinary = dict.fromkeys(schema_of("derived.placement"))
    ordinary |= {"patient_key": key, "pathway": "care_homes", "practice_code": "Y99001", "decision": "clinic"}
    ordinary |= {"clinic_id": "care_home_round", "placement": "waiting", "placement_reason": "The round is full"}
    return {**ordinary, "state": "waiting", **more}


def _roster(tmp_path, people, values, homes=(ELM, OAK)):
    """Write the roster of some placements; ``values`` has days by person and variable."""
    book = load_rule_book()
    context = replace(
        example.context(), index_date=MONDAY, pathways={"care_homes": book.pathways["care_homes"]}, care_homes=homes
    )
    postcodes = {"elm": "QZ1 1ZA", "oak": "QZ1 2ZB", "oak2": "QZ1 2ZB", "gone": "QZ1 1ZA"}
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch") as store:
        store.create("derived.placement", invented.frame("derived.placement", people))
        decided = [
            {"patient_key": row["patient_key"], "pathway": "care_homes", "reason": "Lives there"} for row in people
        ]
        store.create("derived.pathway_decision", invented.frame("derived.pathway_decision", decided))
        persons = [
            {
                "patient_key": row["patient_key"],
                "person_status": "died" if row["patient_key"] == "gone" else "registered",
            }
            for row in people
        ]
        store.create("core.person", invented.frame("core.person", persons))
        rows = [
            {"patient_key": key, "variable": name, "value": 1.0, "state": "known", "value_date": day}
            for (key, name), day in values.items()
        ]
        store.create("derived.variable_value", invented.frame("derived.variable_value", rows))
        store.execute("CREATE SCHEMA identity")
        store.execute(
            "CREATE TABLE identity.person (patient_key VARCHAR, nhs_number VARCHAR, family_name VARCHAR, "
            "given_names VARCHAR, date_of_birth DATE, postcode VARCHAR)"
        )
        for key, postcode in postcodes.items():
            store.execute(
                "INSERT INTO identity.person VALUES (?, ?, ?, 'A', NULL, ?)", [key, "9990000018", key, postcode]
            )
        files = write_rosters(store, tmp_path / "direct_care", context)
    found = {}
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            found[path.relative_to(tmp_path / "direct_care").as_posix()] = list(csv.DictReader(opened))
    return found


def test_the_roster_goes_home_by_home_with_lead_plan_and_visit(tmp_path):
    """Back on Friday 5 June: 8 to 12 and 15, 16 June are seven working days, not over yet on Monday 15 June."""
    people = [
        _placed("oak", placement="listed", clinic_date=date(2026, 6, 17), placement_reason="Has a place"),
        _placed("elm"),
        _placed("oak2"),
    ]
    values = {
        ("oak", "has_left_hospital"): date(2026, 6, 5),
        ("elm", "has_care_plan_of_the_year"): date(2026, 6, 1),
        ("oak2", "has_moved_into_care_home"): date(2026, 6, 3),
    }
    (path, rows), *others = _roster(tmp_path, people, values).items()
    assert not others and path.startswith("Y99001/care_home_round/roster_")
    shown = [(row["home"], row["named_lead"], row["visit_by"], row["plan"], row["this_week"]) for row in rows]
    oak = "Oak House (1-102)", "Dr Invented"
    assert shown == [
        ("Elm House (1-101)", "Care-home lead nurse", "", "14 days old: is it shared?", "The round is full"),
        (*oak, "12/06/2026", "None in date", "The round is full"),
        (*oak, "16/06/2026", "None in date", "On the list, 17 June 2026"),
    ]
    assert [row["visit"].split(":")[0] for row in rows] == ["", "Overdue", "Due"]


def test_who_was_seen_since_coming_back_has_no_visit_due(tmp_path):
    people = [_placed("oak", placement="not_listed", state="attended", state_since=date(2026, 6, 9))]
    rows = _roster(tmp_path, people, {("oak", "has_left_hospital"): date(2026, 6, 5)})
    ((row,),) = rows.values()
    assert (row["visit_by"], row["visit"]) == ("", "Seen on 9 June 2026")


def test_who_has_died_or_whose_list_is_held_is_on_no_roster(tmp_path):
    people = [_placed("gone"), _placed("elm", placement="list_held"), _placed("oak")]
    ((row,),) = _roster(tmp_path, people, {}).values()
    assert row["family_name"] == "oak"


def test_without_a_register_of_homes_residents_stand_under_no_home(tmp_path):
    ((row,),) = _roster(tmp_path, [_placed("oak")], {}, homes=()).values()
    assert (row["home"], row["named_lead"]) == (NOT_KNOWN, "")


def test_the_demo_names_the_homes_of_its_county():
    county = County(CountyOrder(people=20_000, seed=1, index_date=date(2026, 11, 2)))
    homes = [home for practice in county.practices for home in care_home_register(practice)]
    named = yaml.safe_load((ROOT / "docs" / "demo.homes.yaml").read_text(encoding="utf-8"))["care_homes"]
    place = ("id", "name", "postcode")
    assert [[each[name] for name in place] for each in named] == [[each[name] for name in place] for each in homes]
