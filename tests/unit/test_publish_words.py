"""Plain words: roles, languages, tiers, and by which way an offer can be made."""

from __future__ import annotations

from datetime import date

import pytest
from publish_example import context

from stratify.publish import words
from stratify.rulebook import load_rule_book


def test_roles_read_as_a_sentence_with_gp_in_capitals():
    assert words.roles_in_words(("respiratory_nurse", "gp", "care_home_lead_nurse")) == (
        "Respiratory nurse, GP, care home lead nurse"
    )


@pytest.mark.parametrize(
    ("language", "interpreter", "expected"),
    [
        pytest.param("en-GB", False, "English", id="region_left_out"),
        pytest.param("ur", True, "Urdu, interpreter needed", id="interpreter"),
        pytest.param(None, True, "Interpreter needed, language not recorded", id="interpreter_for_an_unknown_language"),
        pytest.param("xx", None, "xx", id="unknown_code_shows_itself"),
        pytest.param(None, None, None, id="nothing_known"),
    ],
)
def test_language_says_when_an_interpreter_is_needed(language, interpreter, expected):
    assert words.language_in_words(language, interpreter) == expected


def test_a_tier_is_shown_by_its_label_and_none_as_not_gradable():
    copd = context().pathways["copd"]
    assert words.tier_in_words(copd, context().scores, "HRC") == "Group 1, high risk and complex"
    assert words.tier_in_words(copd, context().scores, None) == "Cannot be graded"
    assert words.tier_in_words(copd, {}, "very_high") == "Very high"


def test_who_has_no_recorded_grade_is_not_called_impossible_to_grade():
    book = load_rule_book()
    assert words.tier_in_words(book.pathways["care_homes"], book.scores, None) == "No grade recorded"
    assert words.tier_in_words(book.pathways["care_homes"], book.scores, "severe") == "Severe frailty"
    high_risk = book.pathways["high_risk_of_admission"]
    assert words.tier_in_words(high_risk, book.scores, "very_high") == "Very high"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "By message", id="no_preference"),
        pytest.param({"contact_preference": "sms"}, "By text message", id="preference"),
        pytest.param({"contact_preference": "letter"}, "By letter", id="letter"),
        pytest.param({"has_digital_access": None}, "By call: digital access not asked", id="not_asked"),
        pytest.param({"has_digital_access": False}, "On paper or by call: no digital access", id="no_access"),
        pytest.param(
            {"interpreter_needed": True, "has_digital_access": False},
            "By call with interpreter (Polish)",
            id="interpreter_before_access",
        ),
        pytest.param(
            {"ais_format": "BSL", "interpreter_needed": True},
            "Manual: needs BSL; interpreter (Polish)",
            id="format_before_interpreter",
        ),
        pytest.param(
            {"is_spine_sensitive": True},
            "By message; sensitive record, contact details withheld: use the practice record",
            id="sensitive",
        ),
        pytest.param({"nhs_number_status": "01"}, "By message", id="number_verified"),
        pytest.param(
            {"nhs_number_status": "02", "contact_preference": "sms"},
            "NHS number not verified: confirm who this is before any contact; then by text message",
            id="number_not_traced",
        ),
    ],
)
def test_what_stops_the_usual_message_comes_before_the_preference(changes, expected):
    usual = {
        "ais_format": None,
        "interpreter_needed": False,
        "language": "pl",
        "has_digital_access": True,
        "contact_preference": None,
        "is_spine_sensitive": False,
    }
    assert words.how_to_offer(**{**usual, **changes}) == expected


def test_a_week_is_seven_days():
    assert words.week_in_words(date(2026, 12, 28)) == "Monday 28 December 2026 to Sunday 3 January 2027"


def test_sources_have_names_for_readers():
    assert words.source_in_words("landing.apc_episode") == "Hospital admissions"
    assert words.source_in_words("landing.new_table") == "New table"
