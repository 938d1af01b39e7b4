"""The check of every row before lists go out: each way to fail alone, and what does not count."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from stratify.gate import CONTACT_DAYS, OBJECTED, Known, failed_rows

MONDAY = date(2026, 6, 15)
TUESDAY = MONDAY + timedelta(days=1)


def person(**changes: Any) -> dict[str, Any]:
    return {"person_status": "registered", "practice_code": "Y99001", "identity_doubt": None,
            "contact_preference": "phone"} | changes  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    return {"patient_key": "a", "pathway": "copd", "practice_code": "Y99001", "decision": "clinic",
            "placement": "listed"} | changes  # fmt: skip


def step(pathway: str | None, what: str, day: date) -> pl.DataFrame:
    schema = {"patient_key": pl.String, "pathway": pl.String, "step": pl.String, "step_date": pl.Date}
    return pl.DataFrame([("a", pathway, what, day)], schema=schema, orient="row")


def checked(placement: dict[str, Any], now: Known, listed: Known | None = None) -> list[tuple[str, str]]:
    frame = pl.DataFrame([placement], schema=dict.fromkeys(row(), pl.String))
    found = failed_rows(frame, listed or Known({"a": person()}), now, made_on=MONDAY, day=TUESDAY)
    return [(check, reason) for check, reason in found.select("check", "reason").iter_rows()]


@pytest.mark.parametrize("placement", ["listed", "waiting", "offered"])
def test_a_row_of_whom_nothing_new_is_known_goes_out(placement):
    assert checked(row(placement=placement), Known({"a": person()})) == []


@pytest.mark.parametrize(
    ("now", "check", "words"),
    [
        pytest.param(Known({}), "registered", "No longer in the records", id="in_no_record"),
        pytest.param(Known({"a": person(person_status="died")}), "died", "having died", id="died"),
        pytest.param(Known({"a": person(person_status="left")}), "registered", "No longer registered", id="left"),
        pytest.param(Known({"a": person(person_status="test_patient")}), "test_patient", "test record", id="a_test"),
        pytest.param(Known({"a": person(practice_code="Y99002")}), "practice", "another practice", id="moved"),
        pytest.param(Known({"a": person(identity_doubt="two sexes")}), "identity", "two sexes", id="identity_in_doubt"),
        pytest.param(Known({"a": person()}, objected=frozenset("a")), OBJECTED, "Objects", id="objected"),
        pytest.param(Known({"a": person()}, flags={"a": frozenset({"PALLIATIVE"})}), "route", "palliative", id="dying"),
        pytest.param(Known({"a": person()}, flags={"a": frozenset({"HOUSEBOUND"})}), "route", "home", id="home"),
        pytest.param(Known({"a": person()}, steps=step("copd", "declined", MONDAY)), "answered", "declined", id="no"),
        pytest.param(Known({"a": person()}, steps=step(None, "reviewed", TUESDAY)), "answered", "reviewed", id="seen"),
        pytest.param(Known({"a": person()}, steps=step("frailty", "contacted", TUESDAY - timedelta(CONTACT_DAYS))),
                     "contacted", "another pathway", id="contacted_28_days_ago"),
    ],
)  # fmt: skip
def test_each_check_fails_a_row_by_itself_and_says_why(now, check, words):
    ((found, reason),) = checked(row(), now)
    assert found == check
    assert words in reason


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(Known({"a": person()}, flags={"a": frozenset({"IS_CARER"})}), id="a_flag_that_changes_no_route"),
        pytest.param(Known({"a": person()}, steps=step("copd", "declined", MONDAY - timedelta(1))), id="known_before"),
        pytest.param(Known({"a": person()}, steps=step("frailty", "declined", TUESDAY)), id="declined_another_pathway"),
        pytest.param(Known({"a": person()}, steps=step("copd", "contacted", TUESDAY)), id="contacted_for_this_pathway"),
        pytest.param(Known({"a": person()}, steps=step("frailty", "contacted", TUESDAY - timedelta(CONTACT_DAYS + 1))),
                     id="contacted_29_days_ago"),
    ],
)  # fmt: skip
def test_what_is_no_reason_to_take_anybody_off_a_list(now):
    assert checked(row(), now) == []


def test_flags_that_the_list_was_made_with_and_a_clinicians_look_at_the_record_are_no_change_of_route():
    dying = Known({"a": person()}, flags={"a": frozenset({"PALLIATIVE"})})
    assert checked(row(), dying, listed=dying) == []
    assert checked(row(decision="clinician_review"), dying) == []


def test_an_offer_by_text_message_to_somebody_who_objects_to_them_is_not_sent():
    now = Known({"a": person(contact_preference="sms")}, text_dissent=frozenset("a"))
    assert [check for check, _ in checked(row(placement="offered", decision="self_management"), now)] == ["consent"]
    assert checked(row(), now) == []  # a list is worked by people who ring


def test_whoever_died_and_objected_is_taken_out_as_one_who_objected():
    now = Known({"a": person(person_status="died")}, objected=frozenset("a"))
    assert [check for check, _ in checked(row(), now)] == [OBJECTED]


def test_rows_that_are_on_no_list_are_not_checked():
    assert checked(row(placement="held"), Known({})) == []
    assert checked(row(placement="not_listed"), Known({})) == []
