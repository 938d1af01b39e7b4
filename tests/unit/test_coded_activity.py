"""What the GP record answers: an entry while somebody is on a list closes the need, dated, once, at its place only."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

import invented
from invented import codelist, pathway, score
from stratify import coded_activity, contracts, kept_weeks, remembered
from stratify.rules import CodedAnswer
from stratify.store import open_store
from weeks_in_a_row import MONDAY, Row, Weeks, answer, week_of

ALL = {"variable": "age_years", "at_least": 18}
REST = [{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}]
LUNG, HOME = ({"id": name, "label": name, "roles": ["nurse"]} for name in ("lung_clinic", "home_visit"))
CODED = [
    {"codelist": "lung_review", "means": "attended", "at": "lung_clinic"},
    {"codelist": "app_used", "means": "activated", "at": "self_management"},
    {"codelist": "app_declined", "means": "declined", "at": "self_management"},
]
BOOK = invented.rule_book(
    codelists=[codelist(each["codelist"], "snomed_ct", ["1"]) for each in CODED],
    scores=[score("group", tiers=[{"tier": "all", "label": "All"}])],
    pathways=[
        pathway("lungs", precedence=1, cohort=ALL, tier_from="group", routes=REST, clinics=[LUNG, HOME], coded=CODED),
        pathway("frailty", precedence=2, cohort=ALL, tier_from="group", routes=REST, clinics=[LUNG]),
    ],
)  # fmt: skip


def wants(clinic: str | None = "lung_clinic", *, key: str = "a", on: str = "lungs") -> Row:
    decision = "clinic" if clinic else "self_management"
    return {"patient_key": key, "pathway": on, "decision": decision, "clinic_id": clinic, "reason": "Needs it",
            "tier": "tier 2", "tier_rank": 2}  # fmt: skip


def entry(name: str, day: int, *, key: str = "a", row: int = 2) -> dict[str, Any]:
    """Give an entry of the GP record, dated days after the first Monday."""
    return {"patient_key": key, "codelist": name, "day": MONDAY + timedelta(days=day), "source_file_id": "gp",
            "source_row": row}  # fmt: skip


def slots(week: int, number: int = 5, clinic: str = "lung_clinic") -> Row:
    return {"clinic_id": clinic, "practice_code": "Y99001", "clinic_date": week_of(week) + timedelta(days=2),
            "role": "nurse", "slots": number}  # fmt: skip


def weeks_with(*entries: dict[str, Any], decisions: list[Row], last: int = 1, places: int = 5, **more: Any) -> Weeks:
    """Run the weeks 0 to ``last``; each reads the entries dated before it, as a run does."""
    lists = Weeks(BOOK)
    for week in range(last + 1):
        day = week_of(week)
        frame = pl.DataFrame([each for each in entries if each["day"] < day], schema=coded_activity.ENTRIES)
        lists.outcomes = {}  # each run works them out anew
        came = coded_activity.coded_outcomes(frame, lists.list_rows, BOOK).to_dicts()
        lists.found = came
        lists.shown = lists.run(day, decisions, outcomes=came, capacity=[slots(week, places)], **more)
    return lists


def at(lists: Weeks, key: str = "a", on: str = "lungs") -> tuple[str, str]:
    return lists.shown[key, on]["placement"], lists.shown[key, on]["state"]


def test_a_review_coded_after_the_list_went_out_closes_the_need_on_its_day():
    lists = weeks_with(entry("lung_review", 3), decisions=[wants()])
    assert at(lists) == ("not_listed", "attended")
    step = lists.transitions.filter(pl.col("cause") == "answer").to_dicts()
    assert [(each["effective_date"], each["by"], each["cause_text"]) for each in step] == [
        (date(2026, 6, 18), "GP_RECORD", "Attended on 18 June 2026 (GP record: lung_review)")
    ]


def test_the_same_entry_in_every_later_extract_is_taken_in_once():
    lists = weeks_with(entry("lung_review", 3), decisions=[wants()], last=4)
    assert len(lists.found) == 1
    assert lists.causes("a").count("answer") == 1 and "answer_noted" not in lists.causes("a")


def test_an_entry_from_before_the_person_was_on_a_list_closes_nothing():
    lists = weeks_with(entry("lung_review", -1), decisions=[wants()])
    assert at(lists) == ("listed", "listed") and lists.found == []


def test_who_waits_for_a_place_and_was_seen_meanwhile_waits_no_longer():
    lists = weeks_with(entry("lung_review", 3), decisions=[wants()], places=0)
    assert at(lists) == ("not_listed", "attended")


def test_an_entry_says_nothing_of_another_place_of_the_pathway():
    lists = weeks_with(entry("lung_review", 3), decisions=[wants("home_visit")])
    assert at(lists)[1] == "waiting" and lists.found == []


def test_where_the_place_has_changed_since_the_entry_answers_the_row_of_its_own_day():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants()], capacity=[slots(0)])
    lists.run(week_of(1), [wants("home_visit")], capacity=[slots(1, clinic="home_visit")])
    at_the_clinic, at_home = (
        coded_activity.coded_outcomes(
            pl.DataFrame([entry("lung_review", day)], schema=coded_activity.ENTRIES), lists.list_rows, BOOK
        )
        for day in (6, 8)
    )
    assert at_the_clinic["row_reference"].to_list() == [f"{week_of(0)} lung_clinic a"] and at_home.is_empty()


def test_a_review_in_the_record_closes_what_was_to_be_met_at_the_same_clinic():
    lists = weeks_with(entry("lung_review", 3), decisions=[wants(), wants(on="frailty")])
    assert at(lists) == at(lists, on="frailty") == ("not_listed", "attended")


@pytest.mark.parametrize(
    ("outcome", "other"), [("attended", ("not_listed", "attended")), ("declined", ("listed", "listed"))]
)
def test_a_visit_on_a_list_does_too_and_a_no_is_about_the_need_of_its_list_alone(outcome, other):
    """Frailty is held behind the place at the same clinic; the row says nothing of other needs."""
    lists, needs = Weeks(BOOK), [wants(), wants(on="frailty")]
    lists.run(week_of(0), needs, capacity=[slots(0)])
    row = {"row_reference": f"{week_of(0)} lung_clinic a", "clinic_id": "lung_clinic", "pathway": None}
    came = answer("a", outcome, MONDAY + timedelta(days=3), **row)
    lists.shown = lists.run(week_of(1), needs, outcomes=[came], capacity=[slots(1)])
    assert at(lists) == ("not_listed", outcome) and at(lists, on="frailty") == other


def test_an_app_that_is_used_and_one_that_is_declined_close_the_offer():
    used = weeks_with(entry("app_used", 3), decisions=[wants(None)])
    assert at(used) == ("not_listed", "activated")
    declined = weeks_with(entry("app_declined", 3), decisions=[wants(None)])
    assert at(declined) == ("not_listed", "declined")


def test_an_app_in_use_does_not_end_the_wait_for_a_clinic():
    """Whatever source says it: only whoever waits for the offer itself is done with."""
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants()])
    came = answer("a", "activated", MONDAY + timedelta(days=3), source="APP_PROVIDER")
    assert lists.run(week_of(1), [wants()], outcomes=[came])["a", "lungs"]["state"] == "waiting"


def test_the_list_and_the_record_that_say_the_same_are_one_answer():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants()], capacity=[slots(0)])
    frame = pl.DataFrame([entry("lung_review", 3)], schema=coded_activity.ENTRIES)
    coded = coded_activity.coded_outcomes(frame, lists.list_rows, BOOK).to_dicts()
    written = answer("a", "attended", MONDAY + timedelta(days=3), row_reference=coded[0]["row_reference"])
    lists.run(week_of(1), [wants()], outcomes=[*coded, written], capacity=[slots(1)])
    assert lists.causes("a").count("answer") == 1


def test_the_list_and_the_record_that_disagree_go_to_a_clinician():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants()], capacity=[slots(0)])
    frame = pl.DataFrame([entry("lung_review", 3)], schema=coded_activity.ENTRIES)
    coded = coded_activity.coded_outcomes(frame, lists.list_rows, BOOK).to_dicts()
    written = answer("a", "declined", MONDAY + timedelta(days=2), row_reference=coded[0]["row_reference"])
    shown = lists.run(week_of(1), [wants()], outcomes=[*coded, written], capacity=[slots(1)])
    assert shown["a", "lungs"]["state"] == "review"


def test_what_the_record_says_of_a_held_list_waits_for_a_week_in_which_it_is_not():
    entries = pl.DataFrame([entry("lung_review", 3)], schema=coded_activity.ENTRIES)
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants()], capacity=[slots(0)])
    came = coded_activity.coded_outcomes(entries, lists.list_rows, BOOK).to_dicts()
    lists.run(week_of(1), [wants()], outcomes=came, capacity=[slots(1)], held={("lungs", None): "in doubt"})
    assert "answer" not in lists.causes("a")
    shown = lists.run(week_of(2), [wants()], outcomes=came, capacity=[slots(2)])
    assert shown["a", "lungs"]["state"] == "attended"


@pytest.mark.parametrize(
    ("means", "at"), [("activated", "lung_clinic"), ("attended", "self_management")], ids=["a_clinic", "an_offer"]
)
def test_a_clinic_is_attended_and_an_offer_is_used(means, at):
    with pytest.raises(ValidationError, match="an offer"):
        CodedAnswer(codelist="lung_review", means=means, at=at)


def test_a_place_that_the_pathway_does_not_have_is_refused():
    with pytest.raises(ValidationError, match="which the pathway does not have"):
        pathway("lungs", cohort=ALL, routes=REST, coded=[{**CODED[0], "at": "nowhere"}])


def test_entries_are_read_from_the_record_once_with_their_place_and_told_as_answers(tmp_path):
    """Of the event and the observation of one day the first counts; a month alone is no day; today is for next week."""
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants(), wants(key="b")], capacity=[slots(0)])
    restricted = tmp_path / "out" / "restricted"
    restricted.mkdir(parents=True)
    kept_weeks.write(restricted, "audit.list_row", lists.list_rows, week_of(0))
    coded = {"snomed_code": "1", "effective_precision": "YMD"}
    events = [
        {"patient_key": "a", **coded, "effective_date": date(2026, 6, 18), "source_row": 7},
        {"patient_key": "b", **coded, "effective_date": date(2026, 6, 18), "effective_precision": "YM"},
        {"patient_key": "b", **coded, "effective_date": week_of(1)},
        {"patient_key": "b", **coded, "effective_date": date(2026, 6, 14)},
    ]
    observations = [{"patient_key": "a", **coded, "effective_date": date(2026, 6, 18), "source_row": 3}]
    plan = SimpleNamespace(settings=SimpleNamespace(out=tmp_path / "out", index_date=week_of(1)))
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch") as store:
        store.create("core.gp_event", invented.frame("core.gp_event", events))
        store.create("core.gp_observation", invented.frame("core.gp_observation", observations))
        for name in ("core.outcome", "audit.answer", "derived.code_match"):
            store.define(contracts.load(name))
        store.execute("INSERT INTO derived.code_match VALUES ('snomed_ct', '1', 'lung_review')")
        store.execute("CREATE SCHEMA identity")
        store.execute("CREATE TABLE identity.merged_number (original_key VARCHAR, patient_key VARCHAR)")
        remembered.take_in_coded(store, plan, BOOK)
        outcomes = remembered.came_back(store).to_dicts()
        answers = store.frame("SELECT * FROM audit.answer").to_dicts()
    assert [(row["patient_key"], row["source"], row["source_file_id"], row["source_row"]) for row in outcomes] == [
        ("a", "GP_RECORD", "core.gp_event", 7)
    ]
    assert [(row["answer_id"], row["status"], row["cell"]) for row in answers] == [
        (outcomes[0]["outcome_id"], "applied", "line 7")
    ]
