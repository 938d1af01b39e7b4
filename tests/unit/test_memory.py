"""A list with a memory: each rule of what is remembered, week after week, on a few invented people."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import invented
from invented import pathway, score
from stratify import contracts, memory
from stratify.errors import RunError
from stratify.publish import words
from stratify.weeks import Week
from weeks_in_a_row import MONDAY, Row, Weeks, answer, week_of

LUNG = {"id": "lung_clinic", "label": "Lung clinic", "roles": ["nurse"]}
ALL = {"variable": "age_years", "at_least": 18}
REST = [{"id": "rest", "decision": "not_eligible", "reason": "Nothing"}]
BOOK = invented.rule_book(
    scores=[score("group", tiers=[{"tier": "all", "label": "All"}])],
    pathways=[
        pathway("lungs", precedence=2, cohort=ALL, tier_from="group", routes=REST, clinics=[LUNG],
                offers=[{"id": "app", "label": "the lung app"}]),
        pathway("frailty", precedence=1, cohort=ALL, tier_from="group", routes=REST,
                clinics=[{"id": "frailty_clinic", "label": "Frailty clinic", "roles": ["nurse"]}]),
    ],
)  # fmt: skip


def wants(key: str, *, on: str = "lungs", tier: int | None = 2, **more: Any) -> Row:
    clinic = {"lungs": "lung_clinic", "frailty": "frailty_clinic"}[on]
    return {"patient_key": key, "pathway": on, "decision": "clinic", "clinic_id": clinic, "reason": "Needs it",
            "tier": f"tier {tier}" if tier else None, "tier_rank": tier, **more}  # fmt: skip


def decided(key: str, decision: str, *, on: str = "lungs", tier: int | None = 3) -> Row:
    worklist = decision if decision in ("assessment", "clinician_review") else None
    return wants(key, on=on, tier=tier, decision=decision, clinic_id=worklist, reason="Because")


def slots(week: int, number: int = 5, *, clinic: str = "lung_clinic", **more: Any) -> Row:
    row = {"clinic_id": clinic, "practice_code": "Y99001", "clinic_date": week_of(week) + timedelta(days=2)}
    return {**row, "role": "nurse", "slots": number, **more}


def both(week: int) -> list[Row]:
    return [slots(week), slots(week, clinic="frailty_clinic")]


def place(found: dict[tuple[str, str], Row], key: str = "a", on: str = "lungs") -> tuple[str, str]:
    return found[key, on]["placement"], found[key, on]["state"]


def until_answered(*answers: tuple[int, str, int], decision: Row | None = None, last: int, **more: Any) -> Weeks:
    """Run the weeks 0 to ``last`` for one person; an answer comes in a week, dated days after the first Monday."""
    found = Weeks(BOOK)
    for week in range(last + 1):
        came = [
            answer("a", outcome, MONDAY + timedelta(days=day), **more) for at, outcome, day in answers if at == week
        ]
        found.shown = found.run(week_of(week), [decision or wants("a")], outcomes=came, capacity=[slots(week)])
    return found


# ------------------------------------------------------------------------------------------------ lists and waits


def test_listed_and_nothing_came_back_stays_listed_and_says_so():
    lists = Weeks(BOOK)
    first = lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    assert place(first) == ("listed", "listed")
    assert first["a", "lungs"]["since_last_week"] == "New on the pathway: Has a place"
    second = lists.run(week_of(1), [wants("a")], capacity=[slots(1)])
    assert place(second) == ("listed", "listed")
    assert second["a", "lungs"]["since_last_week"] == "On last week's list: no answer came back"
    assert second["a", "lungs"]["state_since"] == week_of(0)


def test_who_was_answered_with_a_cell_that_cannot_be_used_is_not_said_to_have_no_answer():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a"), wants("b")], capacity=[slots(0)])
    returned = [f"{week_of(0)} lung_clinic a"]
    found = lists.run(week_of(1), [wants("a"), wants("b")], capacity=[slots(1)], returned=returned)
    assert [found[key, "lungs"]["since_last_week"] for key in "ab"] == [
        "On last week's list: your answer could not be used, see the folder returned",
        "On last week's list: no answer came back",
    ]


def test_a_wait_keeps_its_start_date_from_week_to_week_and_over_a_move():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")])
    lists.run(week_of(1), [wants("a")])
    moved = lists.run(week_of(2), [wants("a")], people={"a": {"practice_code": "Y99002"}})
    row = moved["a", "lungs"]
    assert (row["placement"], row["state"], row["waiting_since"]) == ("waiting", "waiting", week_of(0))
    assert row["since_last_week"] == "Moved to this practice from another: wait and answers kept"


def test_the_longest_wait_comes_before_deprivation_when_need_is_equal():
    lists = Weeks(BOOK)
    people = {"a": {"imd_decile": 9}, "b": {"imd_decile": 1}}
    lists.run(week_of(0), [wants("a")], people=people)
    found = lists.run(week_of(1), [wants("a"), wants("b")], people=people, capacity=[slots(1, 1)])
    assert place(found, "a") == ("listed", "listed") and place(found, "b") == ("waiting", "waiting")


def test_need_comes_before_the_longest_wait():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a", tier=2)])
    found = lists.run(week_of(1), [wants("a", tier=2), wants("b", tier=1)], capacity=[slots(1, 1)])
    assert place(found, "b") == ("listed", "listed") and place(found, "a") == ("waiting", "waiting")


def test_whoever_loses_the_place_to_a_greater_need_is_told_why():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0, 1)])
    found = lists.run(week_of(1), [wants("a"), wants("b", tier=1)], capacity=[slots(1, 1)])
    assert place(found) == ("waiting", "waiting")
    assert found["a", "lungs"]["since_last_week"] == "Lung clinic is full this week: number 2 of 2 in order of need"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param(2, 1, "Escalated: the tier is higher: tier 1, was tier 2", id="higher"),
        pytest.param(2, 3, "The tier is lower: tier 3, was tier 2", id="lower"),
        pytest.param(None, 3, "Graded now: tier 3", id="graded"),
        pytest.param(2, 2, "On last week's list: no answer came back", id="the_same"),
    ],
)
def test_a_change_of_tier_is_said_and_moves_nobody(before, after, said):
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a", tier=before)], capacity=[slots(0)])
    found = lists.run(week_of(1), [wants("a", tier=after)], capacity=[slots(1)])
    assert found["a", "lungs"]["since_last_week"] == said
    assert place(found) == ("listed", "listed")


# ---------------------------------------------------------------------------------------------------- invitations


def test_an_invitation_takes_the_person_off_the_list_for_14_days_and_then_the_next_is_due():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    invited = [answer("a", "invited", week_of(0) + timedelta(days=1))]
    found = lists.run(week_of(1), [wants("a")], outcomes=invited, capacity=[slots(1)])
    assert place(found) == ("not_listed", "invited_1")
    assert found["a", "lungs"]["placement_reason"] == (
        "Invited on 16 June 2026 (first time): an answer is waited for until 30 June 2026"
    )
    assert place(lists.run(week_of(2), [wants("a")], capacity=[slots(2)])) == ("not_listed", "invited_1")
    found = lists.run(week_of(3), [wants("a")], capacity=[slots(3)])
    assert place(found) == ("listed", "invited_1")
    assert found["a", "lungs"]["since_last_week"] == (
        "Has a place. Invited on 16 June 2026 and no answer came back: the second invitation is due"
    )


def test_after_the_third_invitation_without_an_answer_a_clinician_looks():
    lists = until_answered((1, "invited", 2), (4, "invited", 23), (7, "invited", 44), last=8)
    assert lists.shown["a", "lungs"]["state"] == "invited_3"
    found = lists.run(week_of(9), [wants("a")], capacity=[slots(9)])  # 44 + 14 = 58 days, week 9 begins on day 63
    assert place(found) == ("listed", "review")
    assert found["a", "lungs"]["clinic_id"] == "clinician_review"
    assert found["a", "lungs"]["placement_reason"] == (
        "Invited three times, the last on 29 July 2026, and no answer came back"
    )
    accepted = [answer("a", "accepted", week_of(9), source="LIST_RETURN", decided_by_role="gp")]
    found = lists.run(week_of(10), [wants("a")], outcomes=accepted, capacity=[slots(10)])
    assert place(found) == ("listed", "listed")
    again = lists.run(week_of(11), [wants("a")], outcomes=[answer("a", "invited", week_of(10))])
    assert again["a", "lungs"]["state"] == "invited_1"


def test_who_did_not_attend_is_invited_again_and_after_the_second_time_a_clinician_looks():
    lists = until_answered((1, "did_not_attend", 2), last=1)
    assert place(lists.shown) == ("listed", "did_not_attend")
    missed = [answer("a", "did_not_attend", week_of(1) + timedelta(days=2))]
    found = lists.run(week_of(2), [wants("a")], outcomes=missed, capacity=[slots(2)])
    assert place(found) == ("listed", "review")
    assert found["a", "lungs"]["placement_reason"] == "Did not attend on 24 June 2026, the second time"


def test_booked_is_not_listed_until_a_week_after_the_day_and_then_asks_what_came_of_it():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    booked = [answer("a", "booked", MONDAY, until_date=week_of(2))]
    found = lists.run(week_of(1), [wants("a")], outcomes=booked, capacity=[slots(1)])
    assert place(found) == ("not_listed", "booked")
    assert found["a", "lungs"]["placement_reason"] == "Booked for 29 June 2026"
    assert place(lists.run(week_of(2), [wants("a")], capacity=[slots(2)])) == ("not_listed", "booked")
    found = lists.run(week_of(3), [wants("a")], capacity=[slots(3)])
    assert place(found) == ("listed", "listed")
    assert found["a", "lungs"]["waiting_since"] == week_of(0)
    assert "no answer came back: check whether the person was seen" in found["a", "lungs"]["since_last_week"]


def test_a_booking_takes_one_of_the_places_of_its_session():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    booked = [answer("a", "booked", MONDAY, until_date=slots(1)["clinic_date"])]
    found = lists.run(week_of(1), [wants("a"), wants("b"), wants("c")], outcomes=booked, capacity=[slots(1, 2)])
    assert [found[key, "lungs"]["placement"] for key in "abc"] == ["not_listed", "listed", "waiting"]


def test_deferred_is_not_listed_until_its_day():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    deferred = [answer("a", "deferred", MONDAY, until_date=week_of(3))]
    for number in (1, 2):
        found = lists.run(week_of(number), [wants("a")], outcomes=deferred, capacity=[slots(number)])
        assert place(found) == ("not_listed", "deferred")
    found = lists.run(week_of(3), [wants("a")], capacity=[slots(3)])
    assert place(found) == ("listed", "listed")
    assert lists.causes("a") == ["placed", "answer", "deferral_over", "placed"]


# ------------------------------------------------------------------------------------------- closing and opening again


@pytest.mark.parametrize("outcome", ["attended", "declined", "not_appropriate"])
def test_a_closing_answer_keeps_somebody_off_the_list_for_twelve_months_to_the_day(outcome):
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    closing = [answer("a", outcome, MONDAY)]
    assert place(lists.run(week_of(1), [wants("a")], outcomes=closing, capacity=[slots(1)])) == ("not_listed", outcome)
    assert lists.week.standings["a", "lungs"].waiting_since is None
    day_before = date(2027, 6, 14)
    assert place(lists.run(day_before, [wants("a")], capacity=[slots(51)])) == ("not_listed", outcome)
    capacity = [slots(0, clinic_date=date(2027, 6, 16))]
    found = lists.run(date(2027, 6, 15), [wants("a")], capacity=capacity)
    assert place(found) == ("listed", "listed")
    assert found["a", "lungs"]["waiting_since"] == date(2027, 6, 15)
    assert lists.causes("a")[-2:] == ["closing_over", "placed"]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("attended", "listed"), ("deferred", "listed"), ("declined", "review"), ("not_appropriate", "review")],
)
@pytest.mark.parametrize("cause", ["tier_higher", "admitted"])
def test_a_greater_need_opens_again_and_after_a_no_a_clinician_looks_first(outcome, state, cause):
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    lists.run(week_of(1), [wants("a")], outcomes=[answer("a", outcome, MONDAY, until_date=week_of(9))])
    new = wants("a", tier=1 if cause == "tier_higher" else 2)
    admissions = {"a": MONDAY + timedelta(days=9)} if cause == "admitted" else {}
    found = lists.run(week_of(2), [new], admissions=admissions, capacity=[slots(2)])
    assert place(found) == ("listed", state)
    assert lists.causes("a")[2] == cause
    said = found["a", "lungs"]["since_last_week"]
    assert said.startswith(f"Escalated: {memory.ANSWER_WORDS[outcome].lower()} on 15 June 2026; since then ")


@pytest.mark.parametrize("outcome", ["attended", "declined", "not_appropriate", "deferred"])
def test_the_same_need_does_not_open_again(outcome):
    """An admission on the day of the closing or before, and a tier no higher than then, are nothing new."""
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    closing = [answer("a", outcome, MONDAY, until_date=week_of(9))]
    lists.run(week_of(1), [wants("a")], outcomes=closing, admissions={"a": MONDAY})
    lists.run(week_of(2), [wants("a", tier=3)], admissions={"a": MONDAY}, capacity=[slots(2)])
    found = lists.run(week_of(3), [wants("a", tier=2)], admissions={"a": MONDAY}, capacity=[slots(3)])
    assert place(found) == ("not_listed", outcome)


def test_a_measured_value_opens_again_what_an_assessment_visit_closed():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [decided("a", "assessment", tier=None)])
    done = [answer("a", "attended", MONDAY)]
    found = lists.run(week_of(1), [decided("a", "assessment", tier=None)], outcomes=done)
    assert place(found) == ("not_listed", "attended")
    found = lists.run(week_of(2), [wants("a", tier=1)], capacity=[slots(2)])
    assert place(found) == ("listed", "listed")
    assert lists.causes("a") == ["placed", "answer", "route_changed", "tier_known", "placed"]


def test_a_visit_after_which_the_value_is_still_missing_is_asked_for_again_after_56_days():
    lists = Weeks(BOOK)
    for number in range(9):
        done = [answer("a", "attended", MONDAY)] if number else []
        found = lists.run(week_of(number), [decided("a", "assessment", tier=None)], outcomes=done)
        assert place(found) == (("listed", "listed") if number in (0, 8) else ("not_listed", "attended"))


# --------------------------------------------------------------------------------------------------------- offers


def test_an_offer_is_made_once_and_becomes_a_call_after_28_days():
    lists = Weeks(BOOK)
    shown = [lists.run(week_of(number), [decided("a", "self_management")]) for number in range(5)]
    assert [place(each) for each in shown] == [
        ("offered", "offered"), *[("not_listed", "offered")] * 3, ("listed", "stepped_up")
    ]  # fmt: skip
    assert shown[1]["a", "lungs"]["placement_reason"] == (
        "Was offered the lung app on 15 June 2026: a call if it is not in use by 13 July 2026"
    )
    assert shown[4]["a", "lungs"]["clinic_id"] == "call"
    assert place(lists.run(week_of(5), [decided("a", "self_management")])) == ("listed", "stepped_up")


@pytest.mark.parametrize("outcome", ["activated", "declined"])
def test_an_offer_that_is_taken_up_or_declined_is_no_call(outcome):
    lists = Weeks(BOOK)
    lists.run(week_of(0), [decided("a", "self_management")])
    came = [answer("a", outcome, MONDAY + timedelta(days=3), source="APP_PROVIDER")]
    for number in (1, 5):
        found = lists.run(week_of(number), [decided("a", "self_management")], outcomes=came)
        assert place(found) == ("not_listed", outcome)


def test_from_offer_to_clinic_and_back_is_no_second_offer():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [decided("a", "self_management")])
    found = lists.run(week_of(1), [wants("a", tier=1)])
    assert place(found) == ("waiting", "waiting")
    found = lists.run(week_of(2), [decided("a", "self_management")])
    assert place(found) == ("not_listed", "offered")
    assert lists.causes("a") == ["offer_made", "tier_higher", "route_changed", "offer_stands", "tier_lower"]


def test_somebody_who_uses_the_app_and_then_needs_the_clinic_is_listed():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [decided("a", "self_management")])
    using = [answer("a", "activated", MONDAY)]
    found = lists.run(week_of(1), [wants("a", tier=3)], outcomes=using, capacity=[slots(1)])
    assert place(found) == ("listed", "listed")
    assert lists.causes("a") == ["offer_made", "answer", "route_changed", "placed"]


def test_who_declined_the_app_and_now_needs_the_clinic_is_looked_at_first():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [decided("a", "self_management")])
    found = lists.run(week_of(1), [wants("a", tier=3)], outcomes=[answer("a", "declined", MONDAY)])
    assert place(found) == ("listed", "review")


def test_a_second_no_begins_the_year_anew():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    said = [answer("a", "declined", MONDAY), answer("a", "declined", MONDAY + timedelta(days=90))]
    found = lists.run(week_of(13), [wants("a")], outcomes=said, capacity=[slots(13)])
    assert found["a", "lungs"]["placement_reason"] == (
        "Declined on 13 September 2026: to be asked again on 13 September 2027"
    )
    assert found["a", "lungs"]["previous_outcome"] == "Declined on 13 September 2026"


def test_a_tier_is_noted_by_what_it_is_called():
    """The book calls the tier all All."""
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a", tier=None)], capacity=[slots(0)])
    found = lists.run(week_of(1), [wants("a", tier=1) | {"tier": "all"}], capacity=[slots(1)])
    assert found["a", "lungs"]["since_last_week"].startswith("Graded now: All")


# ------------------------------------------------------------------------------------------------ several pathways


@pytest.mark.parametrize("outcome", ["invited", "booked"])
def test_an_open_invitation_on_one_pathway_keeps_others_from_inviting(outcome):
    needs = [wants("a", on="frailty"), wants("a")]
    lists = Weeks(BOOK)
    lists.run(week_of(0), needs, capacity=both(0))
    came = [answer("a", outcome, MONDAY, pathway="frailty", until_date=week_of(4))]
    found = lists.run(week_of(1), needs, outcomes=came, capacity=both(1))
    assert place(found, on="frailty")[0] == "not_listed"
    assert place(found) == ("held", "waiting")
    assert found["a", "lungs"]["placement_reason"].endswith("to be dealt with there")
    assert found["a", "frailty"]["other_needs"] == "Lungs"


def seen_at_frailty(covers: bool | None, *, days: int = 2) -> dict[str, Any]:
    """The row stood for frailty and, held behind it, lungs; the answer names no pathway."""
    row = f"{week_of(0)} frailty_clinic a"
    more = {"row_reference": row, "clinic_id": "frailty_clinic", "covers_other_needs": covers}
    return answer("a", "attended", MONDAY + timedelta(days=days), pathway=None, **more)


def weeks_of_two_needs(*came: dict[str, Any]) -> tuple[Weeks, dict[tuple[str, str], Any]]:
    """Run a first week in which frailty has the place, and a week for each answer."""
    needs = [wants("a", on="frailty"), wants("a")]
    lists = Weeks(BOOK)
    found = lists.run(week_of(0), needs, capacity=both(0))
    assert place(found) == ("held", "waiting")
    for number, each in enumerate(came, 1):
        lists.outcomes = {}  # the file says this now
        found = lists.run(week_of(number), needs, outcomes=[each], capacity=both(number))
    return lists, found


def test_a_visit_that_covered_the_other_needs_closes_them():
    _, found = weeks_of_two_needs(seen_at_frailty(True))
    assert [place(found, on=on) for on in ("frailty", "lungs")] == [("not_listed", "attended")] * 2


@pytest.mark.parametrize("covers", [None, False], ids=["nothing_said", "said_no"])
def test_a_visit_that_is_not_said_to_cover_another_need_leaves_it_to_be_decided_anew(covers):
    lists, found = weeks_of_two_needs(seen_at_frailty(covers))
    assert place(found, on="frailty") == ("not_listed", "attended")
    assert place(found) == ("listed", "listed")
    said = "Seen at Frailty clinic on 17 June 2026; this need was not marked as covered"
    assert found["a", "lungs"]["since_last_week"].startswith(said)
    assert found["a", "lungs"]["previous_outcome"] is None
    lists.run(week_of(2), [wants("a", on="frailty"), wants("a")], capacity=both(2))
    assert lists.causes("a").count("not_covered") == 1


def test_a_need_that_is_marked_as_covered_afterwards_is_closed_then():
    _, found = weeks_of_two_needs(seen_at_frailty(None), seen_at_frailty(True))
    assert place(found) == ("not_listed", "attended")


def test_a_need_that_was_closed_by_a_slip_is_open_again_when_the_row_says_no():
    _, found = weeks_of_two_needs(seen_at_frailty(True), seen_at_frailty(False))
    assert place(found, on="frailty") == ("not_listed", "attended")
    assert place(found) == ("listed", "listed")


def test_of_two_copies_of_a_row_the_one_that_says_no_holds():
    lists = Weeks(BOOK)
    needs = [wants("a", on="frailty"), wants("a")]
    lists.run(week_of(0), needs, capacity=both(0))
    came = [seen_at_frailty(True), seen_at_frailty(False)]
    assert place(lists.run(week_of(1), needs, outcomes=came, capacity=both(1))) == ("listed", "listed")


def test_a_no_to_one_pathway_is_no_no_to_another():
    needs = [wants("a", on="frailty"), wants("a")]
    lists = Weeks(BOOK)
    lists.run(week_of(0), needs, capacity=both(0))
    row = f"{week_of(0)} frailty_clinic a"
    came = [answer("a", "declined", MONDAY, pathway=None, row_reference=row)]
    found = lists.run(week_of(1), needs, outcomes=came, capacity=both(1))
    assert place(found, on="frailty") == ("not_listed", "declined")
    assert place(found) == ("listed", "listed")


def test_an_open_offer_on_one_pathway_keeps_another_from_offering():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [decided("a", "self_management")])
    found = lists.run(week_of(1), [decided("a", "self_management"), decided("a", "self_management", on="frailty")])
    assert place(found, on="frailty") == ("held", "waiting")
    assert found["a", "frailty"]["placement_reason"] == (
        "Was offered the lung app on the Lungs pathway on 15 June 2026"
    )


# ------------------------------------------------------------------------------------------------- people and needs


@pytest.mark.parametrize(
    ("status", "state"), [("died", "died"), ("left", "left"), ("temporary", "left"), ("absent", "left")]
)
def test_death_and_leaving_close_everything(status, state):
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    decisions = [] if status == "absent" else [decided("a", "excluded")]
    lists.run(week_of(1), decisions, people={"a": {"person_status": status}}, capacity=[slots(1)])
    assert lists.week.standings["a", "lungs"].state == state
    assert lists.causes("a")[-1] == state


def test_a_need_that_ended_says_so_and_one_that_comes_back_begins_a_new_wait():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")])
    lists.run(week_of(1), [])
    assert lists.week.standings["a", "lungs"].state == "need_ended"
    found = lists.run(week_of(2), [wants("a")])
    assert place(found) == ("waiting", "waiting")
    assert found["a", "lungs"]["waiting_since"] == week_of(2)


def test_leaving_and_coming_back_does_not_undo_an_answer():
    lists = until_answered((1, "declined", 1), last=1)
    lists.run(week_of(2), [decided("a", "excluded")], people={"a": {"person_status": "left"}})
    found = lists.run(week_of(3), [wants("a")], capacity=[slots(3)])
    assert place(found) == ("not_listed", "declined")
    assert found["a", "lungs"]["placement_reason"] == "Declined on 16 June 2026: to be asked again on 16 June 2027"


def test_what_the_records_say_of_a_held_list_moves_nobody_and_answers_still_count():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a"), wants("b")], capacity=[slots(0)])
    held = {("lungs", "Y99001"): "the counts are odd"}
    came = [answer("b", "attended", MONDAY)]
    found = lists.run(week_of(1), [wants("b")], held=held, outcomes=came, capacity=[slots(1)])
    assert lists.week.standings["a", "lungs"].state == "listed"  # though no decision came this week
    assert found["b", "lungs"]["placement"] == "list_held"
    assert lists.week.standings["b", "lungs"].state == "attended"


# -------------------------------------------------------------------------------------------------- dirty answers


def test_the_same_answers_twice_change_nothing():
    once = until_answered((1, "invited", 2), last=2)
    twice = until_answered((1, "invited", 2), (1, "invited", 2), (2, "invited", 2), last=2)
    assert once.transitions.equals(twice.transitions)
    assert once.shown == twice.shown


def test_the_same_invitation_from_two_sources_counts_once():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    came = [answer("a", "invited", MONDAY), answer("a", "invited", MONDAY, source="REFERRAL_SYSTEM")]
    found = lists.run(week_of(1), [wants("a")], outcomes=came)
    assert found["a", "lungs"]["state"] == "invited_1"
    assert lists.causes("a") == ["placed", "answer", "answer_noted"]


def test_two_answers_that_disagree_about_one_row_are_neither_applied_and_a_clinician_looks():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    came = [
        answer("a", "attended", MONDAY, row_reference="r"),
        answer("a", "did_not_attend", MONDAY, row_reference="r", source="REFERRAL_SYSTEM"),
    ]
    found = lists.run(week_of(1), [wants("a")], outcomes=came, capacity=[slots(1)])
    assert place(found) == ("listed", "review")
    assert found["a", "lungs"]["placement_reason"] == (
        "Two answers disagree: attended on 15 June 2026, and did not attend on 15 June 2026. Neither is applied"
    )
    settled = [answer("a", "attended", MONDAY, row_reference="r of the review")]
    assert place(lists.run(week_of(2), [wants("a")], outcomes=settled)) == ("not_listed", "attended")


def test_an_answer_that_disagrees_with_one_applied_weeks_ago_goes_to_a_clinician_too():
    lists = until_answered((1, "attended", 2), last=2, row_reference="r")
    other = [answer("a", "declined", MONDAY + timedelta(days=5), row_reference="r")]
    assert place(lists.run(week_of(3), [wants("a")], outcomes=other)) == ("listed", "review")


def test_a_late_answer_does_not_undo_a_newer_one():
    lists = until_answered((1, "booked", 5), (2, "invited", 1), last=2, until_date=week_of(3))
    assert lists.shown["a", "lungs"]["state"] == "booked"
    assert lists.causes("a")[-1] == "answer_noted"


def test_a_late_no_that_a_newer_answer_does_not_fit_goes_to_a_clinician():
    lists = until_answered((1, "invited", 5), (2, "declined", 1), last=2)
    assert place(lists.shown) == ("listed", "review")
    assert lists.causes("a")[-1] == "late_answer"


def test_an_answer_about_somebody_never_listed_counts():
    """A coded review of two months ago, in the first week the person is on the pathway."""
    lists = Weeks(BOOK)
    came = [answer("a", "attended", date(2026, 4, 15), source="GP_RECORD")]
    found = lists.run(week_of(0), [wants("a")], outcomes=came, capacity=[slots(0)])
    assert place(found) == ("not_listed", "attended")
    assert found["a", "lungs"]["previous_outcome"] == "Attended on 15 April 2026"


def test_an_answer_that_names_only_the_clinic_counts_for_its_pathway():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a"), wants("a", on="frailty")], capacity=both(0))
    came = [answer("a", "attended", MONDAY, pathway=None, clinic_id="frailty_clinic", source="GP_RECORD")]
    found = lists.run(week_of(1), [wants("a"), wants("a", on="frailty")], outcomes=came, capacity=both(1))
    assert place(found, on="frailty") == ("not_listed", "attended")
    assert place(found) == ("listed", "listed")


def test_an_answer_dated_after_the_index_date_waits_for_its_week():
    lists = Weeks(BOOK)
    came = [answer("a", "declined", week_of(1))]
    assert place(lists.run(week_of(0), [wants("a")], outcomes=came, capacity=[slots(0)])) == ("listed", "listed")
    assert place(lists.run(week_of(1), [wants("a")], capacity=[slots(1)])) == ("not_listed", "declined")


@pytest.mark.parametrize("outcome", ["booked", "deferred"])
@pytest.mark.parametrize(
    ("named", "held_until"),
    [
        pytest.param(None, date(2026, 7, 13), id="no_day_is_28_days"),
        pytest.param(date(2026, 9, 1), date(2026, 9, 1), id="the_day_named"),
        pytest.param(date(2062, 9, 1), date(2027, 6, 15), id="a_slip_of_the_pen_is_twelve_months"),
    ],
)
def test_a_booking_or_deferral_holds_until_a_day_that_comes(outcome, named, held_until):
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")])
    lists.run(week_of(1), [wants("a")], outcomes=[answer("a", outcome, MONDAY, until_date=named)])
    assert lists.week.standings["a", "lungs"].until == held_until


def test_after_a_week_in_which_the_list_was_held_it_is_said():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], capacity=[slots(0)])
    held = {("lungs", None): "odd counts"}
    lists.run(week_of(1), [wants("a"), wants("b")], held=held, capacity=[slots(1)])
    assert lists.causes("b") == []
    found = lists.run(week_of(2), [wants("a"), wants("b")], capacity=[slots(2)])
    assert found["a", "lungs"]["since_last_week"] == "Last week's list was held. Has a place"
    assert found["b", "lungs"]["since_last_week"] == "New on the pathway: Has a place"


def test_every_step_names_who_made_it():
    lists = until_answered((1, "declined", 2), last=1, decided_by_role="practice_nurse")
    assert lists.transitions["by"].to_list() == ["stratify", "LIST_RETURN, practice_nurse"]


# ----------------------------------------------------------------------------------------------- adding up the steps


def test_a_step_that_is_not_declared_is_refused():
    with pytest.raises(RunError, match="expected one of the steps that are declared; found placed from new to died"):
        Week(MONDAY, BOOK, {}).take(("a", "lungs"), "died", "placed", "never")


def test_the_contract_and_the_page_on_memory_know_every_state_and_step():
    page = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")
    for line in (*memory.steps_in_words(), *(f"| `{name}` | {meaning} |" for name, meaning in memory.STATES.items())):
        assert line in page.splitlines(), line
    columns = {each.name: each.valid_values for each in contracts.load("audit.transition").columns}
    assert set(columns["cause"]) == set(memory.CAUSES)
    assert set(columns["outcome"]) == set(memory.ANSWERS)
    assert set(columns["to_state"]) == set(words.STATES) == set(memory.STATES)


def test_an_attendance_under_a_superseded_number_closes_for_the_person_in_use():
    """Two records, listed apart; then found to be one person, whose other record had attended."""
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("old"), wants("a")])
    lists.run(week_of(1), [wants("old"), wants("a")], outcomes=[answer("old", "attended", MONDAY)],
              capacity=[slots(1)])  # fmt: skip
    one = {"old": "a"}
    lists.transitions = lists.transitions.with_columns(lists.transitions["patient_key"].replace(one))
    lists.list_rows = lists.list_rows.with_columns(lists.list_rows["patient_key"].replace(one))
    lists.outcomes = {name: {**row, "patient_key": "a"} for name, row in lists.outcomes.items()}
    found = lists.run(week_of(2), [wants("a")], capacity=[slots(2)])
    assert place(found) == ("not_listed", "attended")


def test_the_rows_of_a_list_keep_who_was_just_in_and_just_out():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a", tier=1), wants("b"), wants("c")], capacity=[slots(0, 2)])
    rows = lists.list_rows.sort("priority_rank").select(
        "patient_key", "placement", "priority_rank", "rank_of_last_place", "places", "tier_rank"
    )
    assert rows.rows() == [("a", "listed", 1, 2, 2, 1), ("b", "listed", 2, 2, 2, 2), ("c", "waiting", 3, 2, 2, 2)]


def test_who_attended_and_then_declined_what_was_offered_again_is_not_listed_when_the_review_is_due():
    lists = Weeks(BOOK)
    lists.run(week_of(0), [wants("a")], outcomes=[answer("a", "attended", MONDAY - timedelta(days=360))])
    lists.run(week_of(1), [wants("a")], outcomes=[answer("a", "declined", week_of(0))], capacity=[slots(1)])
    found = lists.run(week_of(3), [wants("a")], capacity=[slots(3)])
    assert place(found) == ("not_listed", "declined")


def test_a_list_says_the_latest_steps_and_how_many_came_before():
    lists = Weeks(BOOK)
    days = [MONDAY - timedelta(days=400 - 60 * number) for number in range(6)]
    came = [answer("a", "invited" if number % 2 else "booked", day, until_date=None) for number, day in enumerate(days)]
    found = lists.run(week_of(0), [wants("a")], outcomes=came, capacity=[slots(0)])
    said = found["a", "lungs"]["since_last_week"].split("; ")
    assert len(said) == 5 and said[0].endswith(" earlier steps")
