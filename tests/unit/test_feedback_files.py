"""The form of a practice and what it shows: written, filled in, read back; the answers; and what is no form."""

import csv
import io
import zipfile
from dataclasses import replace
from datetime import date

import polars as pl
import publish_example as example
import pytest
from python_calamine import CalamineWorkbook

from stratify import feedback
from stratify.contract_frames import empty
from stratify.feedback import Answered, Said
from stratify.publish import (
    SaidBefore,
    answers_to_write,
    fill_in,
    is_told,
    list_names,
    read_filled,
    read_told,
    write_direct_care,
    write_form_of_practice,
)

WEEK = example.INDEX_DATE
SAID = Said(
    "should_have_been_here",
    "A81001",
    date(2026, 11, 16),
    example.key(1),
    "copd_clinic",
    reason_code="needs_help_now",
    role="GP",
    source_week=date(2026, 11, 16),
    source_row=5,
    words="=Weak",
)
OTHERS = Said("concern", "A81002", date(2026, 11, 16), reason_code="too_late", role="GP", words="Not for others")
GONE = Said("concern", "A81001", date(2026, 11, 16), example.key(10), "frailty_clinic", row_reference="AAAA-0000-0002")
ANSWER = Answered(SAID.item, "changed", date(2026, 11, 20), "clinical_lead", "Given a place.")


@pytest.fixture
def run(tmp_path):
    """A small run whose register has three things that two practices said a week ago, one of them answered."""
    register, words = feedback.extended(
        empty("audit.feedback"),
        empty("audit.feedback_words"),
        (SAID, OTHERS, GONE),
        (ANSWER,),
        week=date(2026, 11, 16),
    )
    with example.small_run(tmp_path) as store:
        store.create("audit.feedback", register)
        with store.loaned(words) as loan:
            store.execute(f"INSERT INTO identity.feedback_words FROM {loan}")
        yield store


def form(run, folder, context=None):
    context = context or example.context()
    lists = sorted(list_names(context).values())
    return write_form_of_practice(folder, ("A81001", "Hill"), lists, SaidBefore(run, context).rows("A81001"), context)


def test_a_form_is_the_same_bytes_again_and_names_nobody_in_its_own_name(run, tmp_path):
    one, other = form(run, tmp_path / "one"), form(run, tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()
    assert one.relative_to(tmp_path / "one").as_posix() == "A81001/feedback/feedback_form_TEST_2026-11-23.xlsx"


def test_a_form_filled_in_comes_back_row_by_row_with_its_week(run, tmp_path):
    path = form(run, tmp_path)
    cells = {"A5": "999 000 0018", "B5": "should have been here", "D5": "other", "E5": "GP", "G5": "=1+1 'quoted' ünï"}
    fill_in(path, tmp_path / "back.xlsx", {f"Tell us!{cell}": value for cell, value in cells.items()})
    assert is_told(tmp_path / "back.xlsx")
    told = read_told(tmp_path / "back.xlsx")
    assert (told.kind, told.week, told.refused) == ("out.feedback_form", WEEK, None)
    [(number, row)] = told.rows
    assert (number, row["words"].value, row["words"].at) == (5, "=1+1 'quoted' ünï", "Tell us!G5")
    assert read_told(path).rows == ()  # what a form says of itself is no row


def test_a_form_sent_before_it_had_a_column_for_the_day_is_read_and_one_without_another_is_not(run, tmp_path):
    for heading, is_read in (("F4", True), ("E4", False)):
        path = form(run, tmp_path / heading)
        cells = {"A5": "999 000 0018", "B5": "should have been here", "D5": "other", "G5": "Weak", heading: "Notes"}
        fill_in(path, path, {f"Tell us!{cell}": value for cell, value in cells.items()})
        told = read_told(path)
        assert (len(told.rows), told.refused is None) == ((1, True) if is_read else (0, False))


def test_a_list_is_no_form_and_a_form_is_no_list(run, tmp_path):
    lists = [path for path in write_direct_care(run, tmp_path, example.context()) if path.suffix == ".xlsx"]
    assert lists and not any(is_told(path) for path in lists)
    path = form(run, tmp_path)
    assert read_filled(path, file_id="", sent_by="A81001").refused is not None


@pytest.mark.parametrize("damage", ["half", "renamed", "text"])
def test_what_is_no_form_any_more_is_refused_and_not_quoted(run, tmp_path, damage):
    path = form(run, tmp_path)
    if damage == "half":
        path.write_bytes(path.read_bytes()[:2000])
        assert not is_told(path)
    elif damage == "text":
        path.write_text("Quillfeather")
        assert not is_told(path)
    else:
        fill_in(path, path, {"Tell us!B4": "Quillfeather"})
        refused = read_told(path).refused
        assert refused is not None and "Quillfeather" not in f"{refused.wrong} {refused.instead}"


def test_a_workbook_damaged_inside_is_no_form_and_stops_nothing(run, tmp_path):
    path = form(run, tmp_path)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("xl/workbook.xml")
    content = bytearray(path.read_bytes())
    begins = member.header_offset + 30 + len(member.filename)
    content[begins : begins + 8] = b"\xff" * 8  # what is no deflated text
    path.write_bytes(content)
    assert not is_told(path)
    assert read_filled(path, file_id="", sent_by="A81001").refused is not None


def test_a_form_of_a_week_that_cannot_be_is_refused(run, tmp_path):
    path = form(run, tmp_path)
    fill_in(path, path, {"Tell us!A2": "Hill (A81001). Form of A81001, week 2026-13-45"})
    refused = read_told(path).refused
    assert refused is not None and refused.at == "the form"


def test_a_practice_sees_what_it_said_and_nothing_of_another(run):
    rows = SaidBefore(run, example.context()).rows("A81001").to_dicts()
    assert [row["status"] for row in rows] == ["Overdue since 23 November 2026", "Answered"]
    answered = rows[1]
    assert answered["said"] == "Should have been here: needs help now"
    assert answered["answer"] == "We changed it. Given a place."
    assert (answered["answered_by"], answered["words"]) == ("Clinical lead", "=Weak")
    assert answered["nhs_number"] == "999 000 0001"
    assert not any("Not for others" in str(row) for row in rows)


def test_somebody_who_is_at_another_practice_now_is_not_named(run):
    [row] = SaidBefore(run, example.context()).rows("A81001", clinic_id="frailty_clinic").to_dicts()
    assert (row["item"], row["nhs_number"]) == (GONE.item, None)


def test_a_list_shows_what_is_about_it_or_about_none(run):
    said = SaidBefore(run, example.context())
    assert said.rows("A81001", clinic_id="copd_clinic")["item"].to_list() == [SAID.item]
    assert said.rows("A81002", clinic_id="copd_clinic")["item"].to_list() == [OTHERS.item]


@pytest.mark.parametrize(
    ("days", "shown"), [pytest.param(84, 1, id="the_last_day"), pytest.param(85, 0, id="after_it")]
)
def test_an_answer_is_shown_for_twelve_weeks_and_what_has_none_until_it_has(run, days, shown):
    later = replace(example.context(), index_date=date.fromordinal(ANSWER.answered_on.toordinal() + days))
    items = SaidBefore(run, later).rows("A81001")["item"].to_list()
    assert (SAID.item in items, GONE.item in items) == (bool(shown), True)


def test_words_that_look_like_a_formula_are_text_in_the_workbook_and_guarded_in_the_csv(run, tmp_path):
    rows = CalamineWorkbook.from_path(form(run, tmp_path)).get_sheet_by_name("You said, we changed").to_python()
    assert any("=Weak" in row for row in rows)
    items = feedback.standing(run.frame("SELECT * FROM audit.feedback"), today=WEEK)
    text = answers_to_write(items, {1: "=Weak", 2: "@SUM(1)", 3: "-1"})
    for row in csv.DictReader(io.StringIO(text)):
        assert row["in_their_words"][:1] not in tuple("=+-@")


def test_answers_written_into_the_csv_are_read_back(run, tmp_path):
    items = feedback.standing(run.frame("SELECT * FROM audit.feedback"), today=WEEK).filter(pl.col("answer").is_null())
    rows = list(csv.DictReader(io.StringIO(answers_to_write(items, {}))))
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, rows[0], delimiter=";")  # as a spreadsheet elsewhere in Europe saves it
    writer.writeheader()
    writer.writerows({**row, "answer": "passed on", "words": "To the hospital; they answer."} for row in rows)
    path = tmp_path / "answers.csv"
    path.write_text(written.getvalue(), encoding="utf-8-sig")
    assert is_told(path)
    told = read_told(path)
    assert told.kind == "out.feedback_answer"
    assert {cells["item"].value for _, cells in told.rows} == {OTHERS.item, GONE.item}
    assert {cells["words"].value for _, cells in told.rows} == {"To the hospital; they answer."}


def test_a_form_as_csv_needs_all_its_columns(tmp_path):
    path = tmp_path / "form.csv"
    path.write_text("practice_code,nhs_number,kind,reason\nA81001,,a concern,other\n", encoding="utf-8")
    assert is_told(path)
    refused = read_told(path).refused
    assert refused is not None and "said_by" in refused.instead
