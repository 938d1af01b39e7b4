"""What changed on a list since last week and why, and what a list says of somebody who is remembered."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from publish_example import OUTCOMES, PEOPLE, context, frame, key, outcome, person, small_run
from python_calamine import CalamineWorkbook

from stratify.publish import write_direct_care

LIST = "A81001/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"
LAST_WEEK, THIS_WEEK = date(2026, 11, 16), date(2026, 11, 23)


def last_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {"week": LAST_WEEK, "run_id": "run-0", "row_reference": f"OLD-{number:02}", "patient_key": key(number)}
    row |= {"pathway": "copd", "practice_code": "A81001", "clinic_id": "copd_clinic", "placement": "listed"}
    return {**row, "placement_reason": "Has a place", **changes}


def step(number: int, cause: str, text: str) -> dict[str, Any]:
    row = {"week": THIS_WEEK, "run_id": "run-1", "patient_key": key(number), "pathway": "copd", "position": 1}
    row |= {"from_state": "listed", "to_state": "waiting", "effective_date": THIS_WEEK, "by": "stratify"}
    return {**row, "cause": cause, "cause_text": text}


def changed(folder: Path, outcomes, last, steps=(), people=PEOPLE, **more: Any) -> Path:
    with small_run(folder, outcomes=outcomes, people=people) as store:
        store.create("audit.list_row", frame("audit.list_row", list(last)))
        store.create("audit.transition", frame("audit.transition", list(steps)))
        write_direct_care(store, folder / "out", context(**more))
    return folder / "out" / LIST


def records(path: Path, name: str) -> list[dict[str, Any]]:
    head, *rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_name(name).to_python()
    return [dict(zip(head, row, strict=True)) for row in rows]


def on_list(number: int, since: str, **more: Any) -> dict[str, Any]:
    return outcome(number, "listed", "clinic", clinic_id="copd_clinic", priority_rank=number, since_last_week=since,
                   **more)  # fmt: skip


@pytest.fixture(scope="module")
def changes(tmp_path_factory):
    """Of five on last week's list one is still on it, unchanged; one escalated; one waits; one is off the pathway; one
    moved. One is new."""
    this_week = [
        on_list(1, "On last week's list: no answer came back"),
        on_list(2, "Escalated: the tier is higher: HRC, was HR"),
        on_list(4, "New on the pathway: Has a place"),
        outcome(3, "waiting", "clinic", clinic_id="copd_clinic", priority_rank=9, placement_reason="The clinic is full",
                since_last_week="The clinic is full"),
    ]  # fmt: skip
    last = [last_row(number) for number in (1, 2, 3, 5, 10)]
    ended = [step(5, "need_ended", "No longer on the COPD pathway: the records no longer show the need")]
    path = changed(tmp_path_factory.mktemp("changes"), this_week, last, ended)
    return path, records(path, "Changes")


def test_who_is_new_who_left_and_who_stays_with_a_change_each_with_the_cause(changes):
    assert [(row["What changed"], row["Given names"], row["Why"]) for row in changes[1]] == [
        ("New on the list", "+Ann", "New on the pathway: Has a place"),
        ("Left the list", "", "No longer registered at this practice"),
        ("Left the list", "Given5", "No longer on the COPD pathway: the records no longer show the need"),
        ("Left the list", "Zoë", "The clinic is full"),
        ("On the list still", "Anna", "Escalated: the tier is higher: HRC, was HR"),
    ]


def test_of_somebody_at_another_practice_now_only_last_weeks_reference_is_shown(changes):
    gone = changes[1][1]
    assert gone["Row reference"] == "OLD-10"
    assert [gone[name] for name in ("NHS number", "Family name", "Given names", "Date of birth")] == [""] * 4
    said = CalamineWorkbook.from_path(str(changes[0]))
    assert not any(
        "Family10" in str(cell) for name in said.sheet_names
        for row in said.get_sheet_by_name(name).to_python() for cell in row
    )  # fmt: skip


def test_somebody_taken_out_of_the_data_leaves_the_list_without_a_name(tmp_path):
    path = changed(tmp_path, [on_list(1, "x")], [last_row(99)])
    assert [(row["What changed"], row["Row reference"]) for row in records(path, "Changes")][1] == (
        "Left the list", "OLD-99",
    )  # fmt: skip


def test_a_list_that_everybody_left_is_still_written_and_says_why(tmp_path):
    waits = outcome(1, "held", "clinic", clinic_id="copd_clinic", placement_reason="Is booked elsewhere",
                    since_last_week="Is booked elsewhere")  # fmt: skip
    path = changed(tmp_path, [waits], [last_row(1)])
    assert [row["Why"] for row in records(path, "Changes")] == ["Is booked elsewhere"]


def test_what_changed_is_not_said_twice_where_the_reason_begins_with_it(tmp_path):
    gone = outcome(1, "not_listed", "clinic", clinic_id="copd_clinic", state="attended",
                   since_last_week="Attended on 19 November 2026",
                   placement_reason="Attended on 19 November 2026: due again on 19 November 2027")  # fmt: skip
    path = changed(tmp_path, [gone, on_list(2, "Has a place")], [last_row(1)])
    why = {row["What changed"]: row["Why"] for row in records(path, "Changes")}
    assert "Attended on 19 November 2026: due again on 19 November 2027" in why.values()


def test_the_first_list_has_everybody_new_and_a_list_without_a_change_says_so(tmp_path):
    path = changed(tmp_path, [on_list(1, "On last week's list: no answer came back")], [last_row(1)])
    sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Changes").to_python()
    assert sheet[1][0] == "Nobody came onto this list or left it since last week."


def test_lists_show_the_wait_the_change_and_the_last_outcome(tmp_path):
    row = on_list(1, "Was deferred until 23 November 2026; Has a place", state="did_not_attend",
                  waiting_since=date(2026, 10, 5), previous_outcome="Did not attend on 9 November 2026")  # fmt: skip
    (shown,) = records(changed(tmp_path, [row], []), "List")
    assert shown["Waiting since"] == date(2026, 10, 5)
    assert shown["Since last week"] == "Was deferred until 23 November 2026; Has a place"
    assert shown["Last outcome"] == "Did not attend on 9 November 2026"
    assert shown["Stands at"] == "Did not attend: invite again"


@pytest.mark.parametrize(
    ("state", "happens"),
    [("attended", "Was seen"), ("booked", "Has an appointment"), ("declined", "Declined"), ("deferred", "Deferred"),
     ("invited_2", "Invited twice"), ("offered", "Was offered self-management")],
)  # fmt: skip
def test_whoever_is_on_no_list_because_of_an_answer_is_said_to_be_so_and_counted_by_it(tmp_path, state, happens):
    rows = [*OUTCOMES[:2], outcome(3, "not_listed", "clinic", clinic_id="copd_clinic", state=state,
                                   placement_reason="Since 3 November", since_last_week="No change")]  # fmt: skip
    path = changed(tmp_path, rows, [])
    (shown,) = records(path, "Not listed and why")
    assert (shown["What happens instead"], shown["Why not on this list"]) == (happens, "Since 3 November")
    cover = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Cover").to_python()
    assert [row[1] for row in cover if row[0] == f"On no list this week: {happens.lower()}"] == [1]


def test_people_who_died_are_on_no_list_of_changes_by_more_than_the_cause(tmp_path):
    people = [person(8, person_status="died")]
    died = outcome(8, "not_listed", "excluded", state="died", placement_reason="Has died", since_last_week="Has died")
    (shown,) = records(changed(tmp_path, [died], [last_row(8)], people=people), "Changes")
    assert (shown["What changed"], shown["Why"]) == ("Left the list", "Has died")
