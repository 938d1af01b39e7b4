"""Invented teams: what they write, that the same seed gives the same, and that they go on with what they wrote."""

import json
from collections import Counter
from datetime import date

import publish_example as example
import pytest

from stratify import answering
from stratify.errors import RunError
from stratify.filled_in import Cell, FilledRow, SentRow, read_row
from stratify.publish import read_filled, write_direct_care
from stratify.synth import teams

WEEK = date(2026, 11, 23)
COLUMNS = ("decision", "outcome", "outcome_date", "until_date", "decision_reason", "decided_by", "concern")


def read(written, clinic):
    cells = {name: Cell(name, written.get(name)) for name in (*COLUMNS, "row_reference")}
    row = SentRow("r", WEEK, "k", "Y00001", clinic)
    return read_row(FilledRow("f", 2, "Y00001", cells), row, today=date(2026, 11, 30))


@pytest.mark.parametrize("clinic", ["copd_clinic", "self_management"])
def test_most_rows_are_answered_so_that_they_can_be_used_some_mistyped_and_some_never(clinic):
    is_offer, became, outcomes = clinic == "self_management", Counter(), Counter()
    for number in range(600):
        written = teams.first_answer(f"r{number}", is_offer=is_offer, week=WEEK, seed=1)
        assert written == teams.first_answer(f"r{number}", is_offer=is_offer, week=WEEK, seed=1)
        answers, faults = read(written, clinic) if written else ([], [])
        became["open" if not written else "wrong" if faults else "used"] += 1
        outcomes.update(each.outcome for each in answers)
    assert became["used"] > 400 and 20 < became["wrong"] < 90 and 40 < became["open"] < 110
    usual = {"offered", "accepted", "declined", "activated"}
    usual_of_lists = {"accepted", "invited", "booked", "attended", "did_not_attend", "declined", "deferred"}
    assert set(outcomes) == {"concern"} | (usual if is_offer else usual_of_lists | {"not_appropriate"})


def test_a_booking_becomes_an_attendance_or_not_once_its_day_has_come():
    given = {"is_offer": False, "week": WEEK, "seed": 1}
    assert teams.next_answer("r", "booked", date(2026, 11, 30), **given) == {}
    days = [teams.next_answer(f"r{number}", "booked", date(2026, 11, 26), **given) for number in range(50)]
    assert {each["outcome"] for each in days} == {"attended", "did not attend"}
    assert {each["outcome_date"] for each in days} == {date(2026, 11, 26)}


@pytest.fixture
def out(tmp_path):
    with example.small_run(tmp_path) as store:
        write_direct_care(store, tmp_path / "out" / "published" / "direct_care", example.context())
    return tmp_path / "out"


def manifest(out, **changes):
    said = {"is_test": True, "index_date": WEEK.isoformat()} | changes
    (out / "published" / "run_manifest.json").write_text(json.dumps(said))


def test_lists_of_a_run_are_answered_into_the_folder_of_each_practice_and_gone_on_with_a_week_later(out, tmp_path):
    manifest(out)
    into = tmp_path / "returned"
    done = answering.answer(out, into, seed=1)
    files = sorted(path for path in into.rglob("*") if path.is_file())
    assert done.rows > 5 and done.changed == 0 and len(files) == done.lists
    before = [path.read_bytes() for path in files]
    assert answering.answer(out, into, seed=1) == done and [path.read_bytes() for path in files] == before
    rows = [row for path in files for row in read_filled(path, file_id="", sent_by=path.parts[-3]).rows]
    assert sum(not row.is_open for row in rows) == done.rows
    for path in (out / "published" / "direct_care").rglob("*.*"):
        path.unlink()
    manifest(out, index_date="2026-11-30")
    assert answering.answer(out, into, seed=1).rows == 0
    changed = [path for path, content in zip(files, before, strict=True) if path.read_bytes() != content]
    assert changed and all(read_filled(path, file_id="", sent_by="A81001").refused is None for path in changed)


@pytest.mark.parametrize("changes", [None, {"is_test": False}])
def test_nobody_answers_lists_of_real_people_or_of_no_run(out, tmp_path, changes):
    if changes is not None:
        manifest(out, **changes)
    with pytest.raises(RunError, match=r"expected a (finished run|run on invented people)"):
        answering.answer(out, tmp_path / "returned", seed=1)
