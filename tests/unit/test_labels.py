"""What stands on lists and forms that practices fill in: plain words, or words that the page for clinicians has."""

import re
from pathlib import Path

import pytest
from test_smallest_change import jargon_in

from readability import flesch_kincaid_age, smog_age
from stratify import contracts, feedback
from stratify.filled_in import ANSWER_COLUMNS, OUTCOME_WORDS
from stratify.publish import feedback_files, feedback_rows, list_columns

PAGE = (Path(__file__).parents[2] / "docs" / "for-clinicians.md").read_text(encoding="utf-8")
ANSWERING = (Path(__file__).parents[2] / "docs" / "returned-outcomes.md").read_text(encoding="utf-8")
EXPLAINED = PAGE.partition("## Words on the lists")[2].partition("\n## ")[0]
SHEETS = {"List": list_columns.LIST, "Waiting": list_columns.WAITING, "Not listed": list_columns.NOT_LISTED,
          "Changes": list_columns.CHANGES, "Said": list_columns.SAID}  # fmt: skip
HINTS = {name: (title, hint) for name, title, hint in list_columns.HINTS}
DROP_DOWNS = {
    f"{name}.{column.name}": column.valid_values
    for name in ("out.returned_outcome", "out.feedback_form", "out.feedback_answer")
    for column in contracts.load(name).columns
    if column.valid_values
}


def unexplained(text):
    """Give the words of a label that no reader outside the trade knows and that the page does not explain."""
    return [word for word in jargon_in(text) if not re.search(rf"\b{re.escape(word)}", EXPLAINED, re.IGNORECASE)]


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_heading_is_plain_or_explained(sheet):
    assert {each.heading: unexplained(each.heading) for each in SHEETS[sheet] if unexplained(each.heading)} == {}


@pytest.mark.parametrize("cell", DROP_DOWNS)
def test_every_word_of_a_drop_down_is_plain_or_explained(cell):
    assert {word: unexplained(word) for word in DROP_DOWNS[cell] if unexplained(word)} == {}


def test_every_outcome_and_answer_in_words_is_plain_or_explained():
    said = (*OUTCOME_WORDS.values(), *feedback.KIND_WORDS.values(), *feedback.ANSWER_WORDS.values())
    assert {each: unexplained(each) for each in said if unexplained(each)} == {}


def test_every_open_cell_of_a_list_and_of_the_form_says_beside_it_what_it_is_for():
    dates = {"outcome_date", "until_date"}  # their hints stand with the dates they may hold
    assert {each.name for each in list_columns.LIST if each.is_open} == set(ANSWER_COLUMNS) == HINTS.keys() | dates
    assert all(hint for _, hint in HINTS.values())
    assert feedback_files.FORM_HEADINGS.keys() == set(contracts.load("out.feedback_form").column_names) - {
        "practice_code",
        "week",
    }
    assert all(hint.endswith(".") for _, _, hint in feedback_files.FORM_HEADINGS.values())


def test_the_form_is_read_at_eleven_and_holds_no_jargon():
    """As letters are: it may be filled in by a receptionist, or with the person beside them."""
    hints = " ".join(hint for _, _, hint in feedback_files.FORM_HEADINGS.values())
    text = f"{feedback_files._SAY} {hints} {feedback_rows.NOTHING_SAID}"
    assert flesch_kincaid_age(text) <= 11.0
    assert smog_age(text) <= 12.0
    headings = " ".join(heading for heading, *_ in feedback_files.FORM_HEADINGS.values())
    assert jargon_in(f"{feedback_files._WHAT} {text} {headings}") == []


def test_every_hint_of_a_list_is_plain_or_explained():
    found = {title: unexplained(f"{title} {hint}") for title, hint in HINTS.values()}
    assert {title: words for title, words in found.items() if words} == {}


def test_the_page_for_clinicians_names_every_sheet_and_cell_they_fill_in():
    for each in (*(column.heading for column in list_columns.LIST if column.is_open), feedback_rows.SAID_SHEET):
        words = {"Booked for or deferred until": "Booked for", "Reason for decision": "Reason"}.get(each, each)
        assert words in PAGE, each
    for word in DROP_DOWNS["out.feedback_answer.answer"] + DROP_DOWNS["out.feedback_answer.answered_by"]:
        assert word in ANSWERING.replace("\n", " "), word
