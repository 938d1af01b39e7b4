"""What a filled-in row says: the closed words, days as people type them, what goes together, and answers at odds."""

from dataclasses import replace
from datetime import date, datetime, time

import pytest

from stratify.filled_in import Answer, Cell, Fault, FilledRow, SentRow, as_day, read_reference, read_row, settle

WEEK, TODAY = date(2026, 11, 2), date(2026, 11, 9)
SENT = SentRow("AAAA-BBBB-CCCC", WEEK, "k1", "Y00001", "copd_clinic", frozenset({"9990000018"}))
OFFER = replace(SENT, clinic_id="self_management")
COLUMNS = ("decision", "outcome", "outcome_date", "until_date", "decision_reason", "decided_by", "concern",
           "other_needs_covered")  # fmt: skip


def filled(**values):
    cells = {name: Cell(f"List!{'PQRSTUVW'[at]}2", values.get(name, "")) for at, name in enumerate(COLUMNS)}
    cells["row_reference"] = Cell("List!Z2", values.get("row_reference", "AAAA-BBBB-CCCC"))
    cells["nhs_number"] = Cell("List!C2", values.get("nhs_number", "999 000 0018"))
    return FilledRow("f1", 2, values.get("sent_by", "Y00001"), cells)


def said(sent=SENT, **values):
    """Give what a row says: outcome, day, until, reason, role; or the cells that are wrong."""
    answers, faults = read_row(filled(**values), sent, today=TODAY)
    if faults:
        return [each.at for each in faults]
    return [(each.outcome, each.outcome_date, each.until_date, each.reason_code, each.role) for each in answers]


DAY = date(2026, 11, 4)


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        pytest.param(DAY, DAY, id="a_day"),
        pytest.param(datetime(2026, 11, 4, 9, 30), DAY, id="a_day_with_a_time"),
        pytest.param("04/11/2026", DAY, id="as_asked_for"),
        pytest.param(" 4/11/26 ", DAY, id="short_with_blanks"),
        pytest.param("4.11.2026", DAY, id="with_dots"),
        pytest.param("2026-11-04", DAY, id="year_first"),
        pytest.param("2026-11-04 00:00:00", DAY, id="as_a_program_writes_it"),
        pytest.param("4 Nov 2026", DAY, id="month_in_letters"),
        pytest.param("4th November 26", DAY, id="month_in_words"),
        pytest.param(46330.0, DAY, id="serial_46330_is_4_november_2026"),
        pytest.param("46330", DAY, id="serial_as_text"),
        pytest.param("11/13/2026", None, id="month_first_cannot_be"),
        pytest.param("31/02/2026", None, id="no_such_day"),
        pytest.param("next Tuesday", None, id="words"),
        pytest.param(7.0, None, id="a_number"),
        pytest.param(9990000018.0, None, id="an_nhs_number"),
        pytest.param(True, None, id="a_tick"),
        pytest.param(time(9, 30), None, id="a_time"),
    ],
)
def test_days_are_read_as_spreadsheets_hold_them_and_people_type_them(typed, day):
    assert as_day(typed) == day


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        pytest.param(
            {"decision": " Accept ", "decided_by": "gp", "outcome_date": DAY},
            ("accepted", DAY, None, None, "gp"),
            id="accepted",
        ),
        pytest.param({"outcome": "DNA", "outcome_date": DAY}, ("did_not_attend", DAY, None, None, None), id="dna"),
        pytest.param(
            {"decision": "accept", "decided_by": "GP", "outcome": "invited", "outcome_date": DAY},
            ("invited", DAY, None, None, "gp"),
            id="what_happened_says_more_than_what_was_decided",
        ),
        pytest.param(
            {"outcome": "booked", "outcome_date": DAY, "until_date": "20/11/2026"},
            ("booked", DAY, date(2026, 11, 20), None, None),
            id="booked_for_a_day_to_come",
        ),
        pytest.param(
            {"outcome": "attended", "outcome_date": DAY, "until_date": "04/11/2026"},
            ("attended", DAY, None, None, None),
            id="the_day_booked_for_still_stands_there",
        ),
        pytest.param(
            {
                "decision": "not_appropriate",
                "outcome_date": DAY,
                "decision_reason": "Already  reviewed.",
                "decided_by": "GP",
            },
            ("not_appropriate", DAY, None, "already_reviewed", "gp"),
            id="not_appropriate_by_a_clinician",
        ),
    ],
)
def test_a_row_that_says_something_is_an_answer(values, answer):
    assert said(**values) == [answer]


@pytest.mark.parametrize(
    ("sent", "values", "outcome"),
    [
        pytest.param(OFFER, {"outcome": "accept"}, "accepted", id="an_offer_accept"),
        pytest.param(OFFER, {"outcome": "Decline", "decision_reason": "no time"}, "declined", id="an_offer_decline"),
        pytest.param(OFFER, {"outcome": "invited"}, "offered", id="an_offer_invited"),
        pytest.param(SENT, {"decision": "accepted", "decided_by": "GP"}, "accepted", id="a_list_accepted"),
        pytest.param(SENT, {"outcome": "decline", "decision_reason": "no time"}, "declined", id="a_list_decline"),
        pytest.param(SENT, {"outcome": "invited"}, "invited", id="a_list_invited"),
    ],
)
def test_words_that_teams_say_for_one_another_are_read_alike(sent, values, outcome):
    assert [each[0] for each in said(sent, outcome_date=DAY, **values)] == [outcome]


def test_somebody_who_did_not_answer_can_be_put_off_to_a_day():
    later = {"until_date": date(2026, 11, 20), "decision_reason": "no answer", "decided_by": "care coordinator"}
    assert [each[0] for each in said(decision="defer", outcome_date=DAY, **later)] == ["deferred"]


@pytest.mark.parametrize(("typed", "covers"), [("yes", True), ("No", False), ("x", True), ("", None)])
def test_of_a_visit_it_is_read_whether_the_other_needs_were_covered(typed, covers):
    [found] = read_row(filled(outcome="attended", outcome_date=DAY, other_needs_covered=typed), SENT, today=TODAY)[0]
    [bare] = read_row(filled(outcome="attended", outcome_date=DAY), SENT, today=TODAY)[0]
    assert found.covers_other_needs is covers
    assert (found.outcome_id == bare.outcome_id) == (covers is None)  # another answer, to be taken in


def test_a_word_that_is_neither_yes_nor_no_returns_the_row_and_on_another_outcome_the_cell_says_nothing():
    assert said(outcome="attended", outcome_date=DAY, other_needs_covered="diabetes only") == ["List!W2"]
    [found] = read_row(filled(outcome="invited", outcome_date=DAY, other_needs_covered="yes"), SENT, today=TODAY)[0]
    assert found.covers_other_needs is None


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        pytest.param({"decision": "acept", "outcome_date": DAY}, ["List!P2"], id="a_slip"),
        pytest.param({"outcome": "invited"}, ["List!R2"], id="no_day"),
        pytest.param({"outcome": "invited", "outcome_date": date(2026, 11, 10)}, ["List!R2"], id="day_after_today"),
        pytest.param({"outcome": "invited", "outcome_date": date(2026, 10, 4)}, ["List!R2"], id="29_days_before"),
        pytest.param({"outcome": "booked", "outcome_date": DAY}, ["List!S2"], id="booked_for_no_day"),
        pytest.param(
            {"outcome": "booked", "outcome_date": DAY, "until_date": date(2026, 11, 3)}, ["List!S2"], id="booked_back"
        ),
        pytest.param(
            {"outcome": "invited", "outcome_date": DAY, "until_date": DAY}, ["List!S2"], id="invited_for_a_day"
        ),
        pytest.param({"decision": "defer", "outcome_date": DAY}, ["List!S2", "List!T2", "List!U2"], id="defer_alone"),
        pytest.param({"decision": "accept", "outcome_date": DAY}, ["List!U2"], id="nobody_decided"),
        pytest.param(
            {"decision": "decline", "outcome": "attended", "outcome_date": DAY, "decided_by": "GP"},
            ["List!Q2"],
            id="two_different_things",
        ),
        pytest.param(
            {
                "decision": "not appropriate",
                "outcome_date": DAY,
                "decision_reason": "other",
                "decided_by": "administrator",
            },
            ["List!U2"],
            id="not_appropriate_by_no_clinician",
        ),
        pytest.param({"outcome_date": DAY}, ["List!P2"], id="only_a_day"),
        pytest.param(
            {"decision": "decline", "outcome_date": DAY, "decision_reason": "no answer", "decided_by": "GP"},
            ["List!T2"],
            id="no_answer_is_not_a_no",
        ),
        pytest.param(
            {
                "decision": "not appropriate",
                "outcome_date": DAY,
                "decision_reason": "other",
                "decided_by": "practice manager",
            },
            ["List!U2"],
            id="not_appropriate_by_a_manager",
        ),
        pytest.param({"outcome": "activated", "outcome_date": DAY}, ["List!Q2"], id="of_an_offer_on_a_list"),
    ],
)
def test_a_row_that_cannot_be_used_names_its_cells(values, cells):
    assert said(**values) == cells


def test_28_days_before_the_list_still_counts_and_today_does():
    for day in (date(2026, 10, 5), TODAY):
        assert said(outcome="attended", outcome_date=day) == [("attended", day, None, None, None)]


def test_an_offer_has_its_own_words():
    assert said(OFFER, outcome="activated", outcome_date=DAY) == [("activated", DAY, None, None, None)]
    assert said(OFFER, outcome="booked", outcome_date=DAY) == ["List!Q2"]


def test_a_concern_counts_whatever_is_wrong_with_the_rest():
    answers, faults = read_row(filled(concern="Y", outcome="invitd", outcome_date=DAY), SENT, today=TODAY)
    assert [each.outcome for each in answers] == ["concern"] and [each.at for each in faults] == ["List!Q2"]


@pytest.mark.parametrize(
    ("values", "raised", "wrong"),
    [
        pytest.param({}, WEEK, [], id="no_day_the_monday_of_the_list"),
        pytest.param({"outcome_date": DAY}, DAY, [], id="a_day_and_nothing_else"),
        pytest.param({"outcome_date": DAY, "outcome": "attended"}, DAY, [], id="the_day_of_the_row"),
        pytest.param({"outcome_date": "soon"}, WEEK, ["List!R2"], id="no_day_counts_and_comes_back"),
        pytest.param({"outcome_date": date(2026, 11, 10)}, WEEK, ["List!R2"], id="still_to_come_counts_and_comes_back"),
    ],
)
def test_a_concern_is_of_the_day_of_its_row(values, raised, wrong):
    """The list is of 2 November, the run of the 9th."""
    answers, faults = read_row(filled(concern="yes", **values), SENT, today=TODAY)
    assert [each.outcome_date for each in answers if each.outcome == "concern"] == [raised]
    assert [each.at for each in faults] == wrong


def test_a_day_alone_says_nothing():
    assert said(outcome_date=DAY) == ["List!P2"]


@pytest.mark.parametrize(
    ("values", "at"),
    [
        pytest.param({"row_reference": ""}, "List!Z2", id="no_reference"),
        pytest.param({"row_reference": "AAAA-BBBB-DDDD"}, "List!Z2", id="reference_of_no_list"),
        pytest.param({"sent_by": "Y00002"}, "List!Z2", id="somebody_elses_practice"),
        pytest.param({"sent_by": None}, "List!Z2", id="nobody_knows_which_practice"),
        pytest.param({"nhs_number": "999 000 0026"}, "List!C2", id="numbers_sorted_apart_from_references"),
    ],
)
def test_a_row_that_cannot_be_matched_to_its_list_is_nobodys(values, at):
    found = read_reference(filled(**values), {"AAAA-BBBB-CCCC": SENT})
    assert isinstance(found, Fault) and found.at == at


def test_a_reference_in_small_letters_and_a_number_without_blanks_match():
    row = filled(row_reference=" aaaa-bbbb-cccc", nhs_number=9990000018.0)
    assert read_reference(row, {"AAAA-BBBB-CCCC": SENT}) == SENT


# Several answers to one row


def answer(outcome, day, until=None, reason=None):
    return Answer(SENT, outcome, date(2026, 11, day), until, reason)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([answer("invited", 3), answer("booked", 3), answer("attended", 5)], id="one_after_another"),
        pytest.param([answer("did_not_attend", 3), answer("attended", 5)], id="came_the_second_time"),
        pytest.param([answer("attended", 5), answer("attended", 5)], id="said_twice"),
        pytest.param([answer("deferred", 3), answer("booked", 5)], id="put_off_then_booked"),
        pytest.param([answer("concern", 2), answer("declined", 5)], id="a_concern_beside_it"),
    ],
)
def test_answers_that_can_follow_one_another_all_hold(answers):
    assert settle(answers, ()) == (answers, [])


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([answer("attended", 5), answer("did_not_attend", 5)], id="came_and_did_not"),
        pytest.param([answer("declined", 3), answer("attended", 5)], id="declined_then_attended"),
        pytest.param([answer("accepted", 3), answer("not_appropriate", 3)], id="accepted_and_not_appropriate"),
        pytest.param([answer("booked", 3, DAY), answer("booked", 3, TODAY)], id="booked_for_two_days"),
        pytest.param(
            [answer("declined", 3, None, "too_far"), answer("declined", 3, None, "no_time")], id="two_reasons"
        ),
    ],
)
def test_two_answers_that_cannot_both_hold_are_none_and_go_to_a_person(answers):
    for ordered in (answers, answers[::-1]):
        kept, at_odds = settle(ordered, ())
        assert kept == []
        [found] = at_odds
        assert set(found.answers) == set(answers)
        assert found.as_answer.outcome == "disagreement"


def test_an_answer_at_odds_with_one_of_an_earlier_week_does_not_hold():
    kept, [found] = settle([answer("attended", 5)], [answer("declined", 3)])
    assert kept == [] and found.said == "declined on 3 November 2026 and attended on 5 November 2026"


def test_an_answer_is_the_same_in_another_file_and_another_when_it_says_something_else():
    one = answer("declined", 3, None, "too_far")
    assert replace(one, file_id="f2", number=9, cell="List!P9").outcome_id == one.outcome_id
    assert (
        len({one.outcome_id, answer("declined", 4, None, "too_far").outcome_id, answer("declined", 3).outcome_id}) == 3
    )
