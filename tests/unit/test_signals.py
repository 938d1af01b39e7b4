"""What is told without being asked: a full clinic takes nobody new in, and a practice that never answers is named."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

import invented
from stratify import fairness
from stratify.contract_frames import schema_of
from stratify.publish import full_clinics_told, reached_page
from stratify.publish.practice_lists import _full
from stratify.publish.workbook import Session
from stratify.rules import Clinic
from stratify.signals import full_clinics, silent_practices

TODAY = date(2026, 6, 29)
WEEKS = [TODAY - timedelta(days=7 * number) for number in range(1, 6)]
NETWORK = {"Y99001": "U1", "Y99002": "U1"}
LUNGS = Clinic(id="lungs", label="Lung clinic", roles=("nurse",))


def _sessions(*rows):
    return pl.DataFrame(
        [(clinic, serves, TODAY, places) for clinic, serves, places in rows],
        schema={"clinic_id": pl.String, "practice_code": pl.String, "clinic_date": pl.Date, "places": pl.Int64},
        orient="row",
    )


def _waits(key, practice, clinic="lungs", since=0, placement="waiting"):
    row = dict.fromkeys(schema_of("derived.placement"))
    row |= {"patient_key": key, "pathway": "lungs", "practice_code": practice, "clinic_id": clinic}
    return {**row, "placement": placement, "waiting_since": TODAY - timedelta(days=since)}


def _placed(*rows):
    return invented.frame("derived.placement", rows)


def _told(sessions, placements):
    found = full_clinics(sessions, placements, NETWORK, index_date=TODAY)
    return [tuple(row.values()) for row in found.to_dicts()]


def test_a_clinic_for_which_somebody_waits_is_full_and_one_with_room_is_not():
    sessions = _sessions(("lungs", "Y99001", 2), ("lungs", "Y99001", 1), ("hearts", "Y99001", 4))
    placed = _placed(_waits("a", "Y99001", since=21), _waits("b", "Y99001"), _waits("c", "Y99001", placement="listed"))
    assert _told(sessions, placed) == [("hearts", "Y99001", 4, 0, None, False), ("lungs", "Y99001", 3, 2, 21, True)]


def test_places_of_a_network_are_full_for_whoever_waits_in_any_of_its_practices():
    placed = _placed(_waits("a", "Y99002"), _waits("b", "Y99003"))
    assert _told(_sessions(("lungs", "U1", 5)), placed) == [
        ("lungs", "U1", 5, 1, 0, True), ("lungs", "Y99003", 0, 1, 0, True)
    ]  # fmt: skip


def test_commissioners_are_told_which_clinics_take_nobody_in_and_why_and_no_number_of_people_or_places():
    placed = _placed(*(_waits(f"k{number}", "Y99001") for number in range(3)), _waits("x", "Y99003", "hearts"))
    found = full_clinics_told(full_clinics(_sessions(("lungs", "Y99001", 2)), placed, NETWORK, index_date=TODAY))
    assert found.rows() == [
        ("hearts", "Y99003", "No session this week: whoever is sent there now waits"),
        ("lungs", "Y99001", "Every place of the week is given: whoever is sent there now waits"),
    ]


@pytest.mark.parametrize(
    ("waiting", "places", "expected"),
    [
        pytest.param(3, 2, "FULL: its 2 places of this week are given", id="given"),
        pytest.param(3, 0, "FULL: it has no session this week", id="none"),
        pytest.param(0, 2, "", id="room"),
    ],
)
def test_the_cover_of_a_full_clinic_tells_those_who_send_people_there(waiting, places, expected):
    sessions = [Session(TODAY, places, "nurse", "")] if places else []
    said = _full(LUNGS, waiting, sessions)
    assert [text.split(".")[0] for text in said] == ([expected] if expected else [])


# ------------------------------------------------------------------------------------------------- silent practices


def _lists(*sent):
    rows = [
        {"week": week, "practice_code": practice, "placement": "listed", "row_reference": f"{practice} {week}"}
        for practice, weeks in sent
        for week in weeks
    ]
    schema = dict.fromkeys(("practice_code", "placement", "row_reference"), pl.String)
    return pl.DataFrame(rows, schema={"week": pl.Date, **schema})


def _answers(*rows):
    ordinary = {"answer_id": "1", "source": "LIST_RETURN", "status": "applied"}
    return invented.frame("audit.answer", [{**ordinary, **row} for row in rows])


def _steps(*rows):
    ordinary = {"cause": "answer", "to_state": "attended", "patient_key": "a"}
    return invented.frame("audit.transition", [{**ordinary, **row} for row in rows])


def _silent(lists, answers=(), steps=()):
    found = silent_practices(lists, _answers(*answers), _steps(*steps), index_date=TODAY)
    return {
        row["practice_code"]: (row["sent_count"], row["has_feedback"], row["has_uptake"]) for row in found.to_dicts()
    }


def test_a_practice_that_had_lists_for_a_month_and_answered_none_is_silent():
    """Five weeks of lists, 25 May to 22 June, of which four lie within 28 days of 29 June."""
    assert _silent(_lists(("Y99001", WEEKS))) == {"Y99001": (4, False, False)}


def test_a_practice_that_had_its_first_list_less_than_28_days_ago_is_not_called_silent_yet():
    assert _silent(_lists(("Y99001", WEEKS[:3]))) == {}
    assert _silent(_lists(("Y99001", WEEKS[:4]))) == {"Y99001": (4, False, False)}


def test_an_answer_that_could_not_be_used_is_an_answer_and_one_to_an_older_list_is_none():
    lists = _lists(("Y99001", WEEKS), ("Y99002", WEEKS), ("Y99003", WEEKS))
    answers = [
        {"answer_id": "1", "row_reference": f"Y99001 {WEEKS[0]}", "status": "returned", "practice_code": "Y99001"},
        {"answer_id": "2", "row_reference": f"Y99002 {WEEKS[4]}", "practice_code": "Y99002"},
        {"answer_id": "3", "row_reference": None, "status": "returned", "practice_code": "Y99003"},
    ]
    assert {key: feedback for key, (_, feedback, _) in _silent(lists, answers).items()} == {
        "Y99001": True, "Y99002": False, "Y99003": True
    }  # fmt: skip


def test_what_a_feed_or_the_record_tells_is_uptake_and_no_feedback_of_the_practice():
    """An app in use, told by its provider; one attended 28 days ago counts, one 29 days ago does not."""
    lists = _lists(("Y99001", WEEKS), ("Y99002", WEEKS))
    answers = [{"source": "APP_PROVIDER", "row_reference": f"Y99001 {WEEKS[0]}"}]
    steps = [
        {"practice_code": "Y99001", "to_state": "activated", "effective_date": TODAY - timedelta(days=28)},
        {"practice_code": "Y99002", "effective_date": TODAY - timedelta(days=29)},
        {"practice_code": "Y99002", "to_state": "declined", "effective_date": WEEKS[0]},
    ]
    assert _silent(lists, answers, steps) == {"Y99001": (4, False, True), "Y99002": (4, False, False)}


# ------------------------------------------------------------------------------------------------------ the page


def test_the_page_names_full_clinics_silent_practices_and_roles_whose_work_is_uneven():
    """The nurse of one practice uses 30 of 60 minutes and that of the other 6: five times, and three are allowed."""
    work = pl.DataFrame(
        {"clinic_id": ["lungs"] * 2, "practice_code": ["Y99001", "Y99002"], "role": ["nurse"] * 2,
         "places_count": [3, 3], "minutes_offered_count": [60, 60], "minutes_used_count": [30, 6]}
    )  # fmt: skip
    ratios = fairness.load_ratios(work)
    assert [(role, round(ratio, 6)) for role, _, _, ratio in ratios] == [("nurse", 5.0)]
    silent = [{"practice_code": "Y99001", "has_feedback": False, "has_uptake": True}]
    full = [{"clinic_id": "lungs", "serves": "U1", "reason": "Every place of the week is given"}]

    def page(bound, **more):
        about = {"title": "T", "index_date": TODAY, "run_id": "r", "is_test": True}
        return reached_page([], ratios, work.to_dicts(), bound=bound, **about, **more)

    shown = page(3, full=full, silent=silent)
    assert "uneven: 5.0 times" in shown and "Work is uneven for Nurse" in shown
    assert "Every place of the week is given" in shown and "<td>none</td><td>somebody</td>" in shown
    assert "Work is spread within its bound" in page(5) and "None: nobody waits." in page(5)
