"""What rows of a feedback form or of a file of answers say, or which cell cannot be used and what to write instead.

Does not belong: files (``publish.feedback_files``), what is new and what is known (``feedback``). An NHS number is
looked up and forgotten; a fault names the cell and never what stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from stratify import contracts
from stratify.codes import nhs_number_is_valid
from stratify.feedback import KIND_WORDS, Answered, Said
from stratify.filled_in import DAYS_BEFORE, Cell, Fault, as_day, is_filled, plain_text

Rows = Sequence[tuple[int, Mapping[str, Cell]]]
Faults = list[tuple[int, Fault]]
_MOST_WORDS = 500
_KINDS = {words: kind for kind, words in KIND_WORDS.items()}


def numbers_of(rows: Rows) -> set[str]:
    """Give the NHS numbers of a form, to look people up by."""
    return {number for _, cells in rows if (number := _number(cells["nhs_number"].value))}


def read_form(
    rows: Rows, *, practice: str, week: date, lists: Mapping[str, str], people: Mapping[str, str], today: date
) -> tuple[list[Said], Faults]:
    """Read the rows of a form.

    Args:
        rows: Number and cells.
        practice: Who sent it.
        week: Week of the form; for a CSV, the day of the run.
        lists: Clinic by the name a list has.
        people: Pseudonym by NHS number, of the patients of the practice.
        today: The day the run describes: nothing was noticed after it.

    Returns:
        What is said, and faults by row: nothing of a row with a fault is taken in. Whoever is not in the data is
        taken in without a pseudonym: that is a reason to be missing from a list.
    """
    said, faults = [], Faults()
    by_name = {plain_text(name): clinic for name, clinic in lists.items()}
    for number, cells in rows:
        wrong: list[Fault] = []
        kind = _word(cells["kind"], "out.feedback_form", "kind", wrong)
        reason = _word(cells["reason"], "out.feedback_form", "reason", wrong)
        role = _word(cells["said_by"], "out.feedback_form", "said_by", wrong)
        about, written = cells["nhs_number"], _number(cells["nhs_number"].value)
        if is_filled(about.value) and written is None:
            wrong.append(Fault(about.at, "Not an NHS number", "The ten digits of the NHS number; check each of them"))
        if kind and _KINDS[kind] != "concern" and not is_filled(about.value):
            no_number = "For somebody without one choose a concern, and write the row reference into the words"
            wrong.append(Fault(about.at, "Nothing says whom it is about", f"The NHS number. {no_number}"))
        named = cells["list_name"]
        clinic = by_name.get(plain_text(named.value)) if is_filled(named.value) else None
        if is_filled(named.value) and clinic is None:
            wrong.append(Fault(named.at, "No list has this name", f"One of: {', '.join(sorted(lists))}"))
        noticed = _noticed(cells.get("said_on"), week, today, wrong)
        text = _text(cells["words"], wrong)
        faults += [(number, each) for each in wrong]
        if kind and reason and role and not wrong:
            said.append(
                Said(
                    _KINDS[kind],
                    practice,
                    noticed,
                    people.get(written or ""),
                    clinic,
                    reason_code=_code(reason),
                    role=_code(role),
                    source_week=week,
                    source_row=number,
                    words=text,
                )
            )
    return said, faults


def read_answers(rows: Rows, *, items: Mapping[str, date], today: date) -> tuple[list[Answered], Faults]:
    """Read the rows of a file of answers; a row whose cells for the answer are all empty is left for later.

    Args:
        rows: Number and cells.
        items: Day each thing was said, by its reference.
        today: The day the run describes: nothing is answered after it.
    """
    answered, faults = [], Faults()
    for number, cells in rows:
        if not any(is_filled(cells[name].value) for name in _OF_AN_ANSWER):
            continue
        wrong: list[Fault] = []
        item = str(cells["item"].value or "").strip().upper()
        if item not in items:
            wrong.append(Fault(cells["item"].at, "Nothing that was said has this reference", "Copy it from the list"))
        answer = _word(cells["answer"], "out.feedback_answer", "answer", wrong)
        role = _word(cells["answered_by"], "out.feedback_answer", "answered_by", wrong)
        day = as_day(cells["answered_on"].value) if is_filled(cells["answered_on"].value) else None
        if day is None or not items.get(item, day) <= day <= today:
            wrong.append(
                Fault(cells["answered_on"].at, "Not a day from when it was said until today", "A day as dd/mm/yyyy")
            )
        text = _text(cells["words"], wrong)
        if text is None and not wrong:
            wrong.append(Fault(cells["words"].at, "There are no words", "What came of it, in a sentence"))
        faults += [(number, each) for each in wrong]
        if answer and role and day and text and not wrong:
            answered.append(Answered(item, _code(answer), day, _code(role), text))
    return answered, faults


_OF_AN_ANSWER = ("answer", "answered_on", "answered_by", "words")


def _word(cell: Cell, contract: str, column: str, wrong: list[Fault]) -> str | None:
    allowed = contracts.load(contract).column(column).valid_values or ()
    typed = _bare(cell.value) if is_filled(cell.value) else None
    found = next((each for each in allowed if _bare(each) == typed), None)
    if found is None:
        fault = "Not one of the words of this cell" if is_filled(cell.value) else "Nothing is chosen"
        wrong.append(Fault(cell.at, fault, f"One of: {', '.join(allowed)}"))
    return found


def _bare(word: object) -> str:
    """Give a word without its article: a concern is a concern however it is written."""
    return plain_text(word).removeprefix("a ")


def _noticed(cell: Cell | None, week: date, today: date, wrong: list[Fault]) -> date:
    """Give the day something was noticed, the first of the week of the form where nothing says it."""
    if cell is None or not is_filled(cell.value):
        return week
    day, first = as_day(cell.value), week - timedelta(days=DAYS_BEFORE)
    if day is None or not first <= day <= today:
        instead = f"A day from {first:%d/%m/%Y} to {today:%d/%m/%Y}, or nothing for the Monday of the form"
        wrong.append(Fault(cell.at, "Not a day on which this can have been noticed", instead))
    return day or week


def _text(cell: Cell, wrong: list[Fault]) -> str | None:
    """Give what somebody wrote, on one line and without what does not print."""
    text = " ".join("".join(each if each.isprintable() else " " for each in str(cell.value or "")).split())
    if len(text) > _MOST_WORDS:
        wrong.append(Fault(cell.at, "Too long", f"Up to {_MOST_WORDS} characters"))
    return text or None


def _number(value: object) -> str | None:
    digits = re.sub(r"\D", "", str(value).removesuffix(".0")) if is_filled(value) else ""
    return digits if nhs_number_is_valid(digits) else None


def _code(word: str) -> str:
    return plain_text(word).replace(" ", "_")
