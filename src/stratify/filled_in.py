"""What a filled-in row of a list says: answers that can be applied, or which cell is wrong and what to write instead.

Belongs here: the closed words, days as people type them, what goes together in a row, and whether two answers to one
row can both hold. Does not belong: files and sheets (``publish.filled_lists``), what an answer moves (the memory of
lists). What somebody typed is never given back: a fault names the cell and the words it may hold.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from stratify import contracts, periods

OFFERS = "self_management"
"""What stands for the clinic in rows of offers."""

COVERED = "other_needs_covered"
ANSWER_COLUMNS = (
    "decision", "outcome", COVERED, "outcome_date", "until_date", "decision_reason", "decided_by", "concern"
)  # fmt: skip
NEEDED_COLUMNS = tuple(each for each in ANSWER_COLUMNS if each != COVERED)
"""Columns without which nothing of a list is read; lists sent before it had the other one do not have it."""

OUTCOME_WORDS = {
    "accepted": "accepted",
    "offered": "offered",
    "invited": "invited",
    "booked": "booked",
    "did_not_attend": "did not attend",
    "attended": "attended",
    "activated": "started to use the offer",
    "deferred": "deferred",
    "declined": "declined",
    "not_appropriate": "not appropriate",
    "concern": "a concern",
    "disagreement": "two answers that disagree",
}
"""Outcomes in words, those of one day in the order in which they may follow one another."""

_DECIDED = {"accept": "accepted", "defer": "deferred", "decline": "declined", "not appropriate": "not_appropriate"}
_CLOSING = ("attended", "activated", "declined", "not_appropriate")
_ENDS_A_DAY = (*_CLOSING, "did_not_attend", "deferred")
_NEEDS_REASON = ("deferred", "declined", "not_appropriate")
_NO = ("declined", "not_appropriate")
_NEEDS_UNTIL = {"booked": "the day it is booked for", "deferred": "the day it is put off to"}
_KEEPS_OLD_UNTIL = ("attended", "did_not_attend", "declined", "not_appropriate")
"""What may follow a booking: the day booked for still stands in the row, and says nothing any more."""
_SHORT = {"dna": "did not attend", "y": "yes", "x": "yes"}
_ALIKE = {
    "accept": "accepted", "accepted": "accept", "decline": "declined", "declined": "decline",
    "defer": "deferred", "deferred": "defer", "invited": "offered",
}  # fmt: skip
"""Words that a team says for one another: read as the one that the cell may hold."""
_NOT_CLINICAL = ("administrator", "care coordinator", "practice manager")
_NO_ANSWER = "no answer"

DAYS_BEFORE = 28
"""How long before the week of its list something may have happened: seen already, and the extract did not know yet."""
DAYS_AHEAD = 366

_FIRST_SERIAL, _LAST_SERIAL, _SERIAL_ZERO = 36526, 73050, date(1899, 12, 30)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_FIRST = re.compile(r"(\d{1,2})[/.\- ](\d{1,2})[/.\- ](\d{4}|\d{2})")
_YEAR_FIRST = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]00:00(?::00)?(?:\.0+)?)?")
_IN_WORDS = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[ \-]([a-z]{3,9})\.?,?[ \-](\d{4}|\d{2})")


@dataclass(frozen=True)
class Cell:
    """A cell as it came back: where it is, and what a spreadsheet holds there."""

    at: str
    value: Any


@dataclass(frozen=True)
class FilledRow:
    """A row that came back.

    Attributes:
        file_id: The file.
        number: Line of the file or row of the sheet.
        sent_by: Practice, or network of a shared list, that sent it; None when nothing says so.
        cells: Cells by column of ``out.returned_outcome``, and ``nhs_number`` where the list has it.
    """

    file_id: str
    number: int
    sent_by: str | None
    cells: Mapping[str, Cell]

    @property
    def is_open(self) -> bool:
        """Nobody has filled it in."""
        return not any(is_filled(self.cells[name].value) for name in ANSWER_COLUMNS if name in self.cells)


@dataclass(frozen=True)
class SentRow:
    """A row of a list that was sent: what stands behind its reference."""

    row_reference: str
    week: date
    patient_key: str
    practice_code: str
    clinic_id: str | None
    nhs_numbers: frozenset[str] = frozenset()
    shared_by: str | None = None
    """Network whose practices share the list, when they do: it may send the row back, too."""
    rank: int | None = None


@dataclass(frozen=True)
class Answer:
    """Something that came back about a person, and passed its checks."""

    sent: SentRow
    outcome: str
    outcome_date: date
    until_date: date | None = None
    reason_code: str | None = None
    role: str | None = None
    file_id: str = ""
    number: int = 0
    cell: str = ""
    covers_other_needs: bool | None = None
    """Of a visit: whether the other needs of the row were dealt with, too; None where nothing says so."""

    @property
    def outcome_id(self) -> str:
        """Digest of what it says, wherever it says so."""
        said = (
            self.sent.row_reference,
            self.outcome,
            self.outcome_date,
            self.until_date,
            self.reason_code,
            self.role,
        )
        covered = () if self.covers_other_needs is None else (f"covers {self.covers_other_needs}",)
        return digest("LIST_RETURN", *said, *covered)

    @property
    def in_words(self) -> str:
        """What it says and of which day."""
        return f"{OUTCOME_WORDS[self.outcome]} on {periods.in_words(self.outcome_date)}"


@dataclass(frozen=True)
class Fault:
    """A cell that cannot be used: where, what is wrong, what to write instead."""

    at: str
    wrong: str
    instead: str


def digest(*parts: object) -> str:
    """Give the id of something by what it consists of."""
    return hashlib.sha256("|".join("" if each is None else str(each) for each in parts).encode()).hexdigest()[:24]


def is_filled(value: object) -> bool:
    """Tell whether somebody wrote something into a cell."""
    return value is not None and str(value).strip() != ""


def plain_text(value: object) -> str:
    """Give a cell as it is compared: no case, no blanks around, one between words."""
    text = unicodedata.normalize("NFKC", str(value)).replace("_", " ").replace("\u200b", "")
    return " ".join(text.split()).strip(" .").casefold()


def as_day(value: object) -> date | None:
    """Read a day as a spreadsheet holds it or as people in Britain type it: day before month; None if it is none."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, bool):
        return None
    text = plain_text(value).removesuffix(".0")
    if text.isascii() and text.isdigit() and len(text) == 5:
        serial = int(text)
        return _SERIAL_ZERO + timedelta(days=serial) if _FIRST_SERIAL <= serial <= _LAST_SERIAL else None
    if found := _DAY_FIRST.fullmatch(text):
        day, month, year = (int(part) for part in found.groups())
    elif found := _YEAR_FIRST.fullmatch(text.upper()):
        year, month, day = (int(part) for part in found.groups())
    elif (found := _IN_WORDS.fullmatch(text)) and found[2][:3] in _MONTHS:
        day, month, year = int(found[1]), _MONTHS.index(found[2][:3]) + 1, int(found[3])
    else:
        return None
    try:
        return date(year if year > 99 else 2000 + year, month, day)
    except ValueError:
        return None


def words_for(column: str, *, is_offer: bool = False) -> tuple[str, ...]:
    """Give the words a cell may hold, in the order of the drop-down."""
    if column != "outcome":
        return contracts.load("out.returned_outcome").column(column).valid_values or ()
    name = "out.self_management_offer" if is_offer else "out.clinic_list"
    return contracts.load(name).column(column).valid_values or ()


def read_reference(row: FilledRow, sent: Mapping[str, SentRow]) -> SentRow | Fault:
    """Find the row of a list that a returned row answers.

    Args:
        row: What came back.
        sent: All rows that were sent, by reference.
    """
    cell = row.cells["row_reference"]
    if not is_filled(cell.value):
        return Fault(cell.at, "There is no row reference", "Copy it from the list that was sent")
    found = sent.get(str(cell.value).strip().upper())
    if found is None:
        return Fault(
            cell.at,
            "No list that was sent has this row reference",
            "Copy it from the list that was sent, as it stands there",
        )
    if row.sent_by is None or row.sent_by not in (found.practice_code, found.shared_by):
        return Fault(
            cell.at, "This row is of the list of another practice", "Leave it to the practice whose list it is on"
        )
    number = row.cells.get("nhs_number")
    if number and is_filled(number.value) and found.nhs_numbers:
        digits = re.sub(r"\D", "", str(number.value).removesuffix(".0"))
        if digits not in found.nhs_numbers:
            return Fault(
                number.at,
                "NHS number and row reference belong to two people: cells were moved or sorted apart",
                "Fill in the list again as it was sent; sort whole rows only",
            )
    return found


def read_row(row: FilledRow, sent: SentRow, *, today: date) -> tuple[list[Answer], list[Fault]]:
    """Read the answer cells of a row whose reference is known.

    Args:
        row: What came back; somebody filled something in.
        sent: The row of the list.
        today: The day the run describes: nothing has happened after it.

    Returns:
        What can be applied and what is wrong. With a fault nothing of the row applies but a concern, which always does:
        of the day of the row, or of the Monday of the list where that is none it can have.
    """
    reader = _Reader(row, sent, today)
    faults = reader.faults
    decision, outcome = reader.word("decision"), reader.word("outcome")
    reason, role, concern = (reader.word(name) for name in ("decision_reason", "decided_by", "concern"))
    covered = reader.word(COVERED)
    day, until = reader.day("outcome_date"), reader.day("until_date")
    answers = []
    if concern:
        raised = day if day and reader.can_be(day) else sent.week
        answers.append(
            Answer(sent, "concern", raised, file_id=row.file_id, number=row.number, cell=row.cells["concern"].at)
        )
    says_more = any(
        is_filled(row.cells[name].value)
        for name in ANSWER_COLUMNS
        if name in row.cells and name not in ("concern", "outcome_date")
    )
    if concern and not says_more:
        if day:
            reader.check_day("concern", day)
        return answers, faults
    step = reader.step(decision, outcome)
    if step:
        reader.check_day(step, day)
        until = reader.until(step, day, until)
        if step in _NEEDS_REASON and not reason:
            reader.lacks("decision_reason", f"There is no reason, and {OUTCOME_WORDS[step]} needs one")
        if step in _NO and reason == _NO_ANSWER:
            reader.fault(
                "decision_reason",
                "No answer is not a no",
                "Clear the decision and the outcome and try again: the person stays on the list. Or defer to a day",
            )
        if (decision or step == "not_appropriate") and not role:
            reader.lacks("decided_by", "Nothing says who decided")
        if step == "not_appropriate" and role in _NOT_CLINICAL:
            reader.fault("decided_by", "Only a clinician can decide this", "The role of the clinician who decided")
    if not faults and step and day:
        answers.append(
            Answer(
                sent,
                step,
                day,
                until_date=until,
                reason_code=_code(reason),
                role=_code(role),
                file_id=row.file_id,
                number=row.number,
                cell=row.cells["outcome" if outcome else "decision"].at,
                covers_other_needs=covered == "yes" if covered and step == "attended" else None,
            )
        )
    return answers, faults


class _Reader:
    """Reads the cells of one row and collects what is wrong with them."""

    def __init__(self, row: FilledRow, sent: SentRow, today: date) -> None:
        self.row, self.sent, self.today = row, sent, today
        self.is_offer = sent.clinic_id == OFFERS
        self.faults: list[Fault] = []
        self.wrong: set[str] = set()

    def fault(self, column: str, wrong: str, instead: str) -> None:
        """Note a cell that cannot be used; the first fault of a cell is enough."""
        if column not in self.wrong:
            self.wrong.add(column)
            cell = self.row.cells.get(column) or self.row.cells["row_reference"]
            self.faults.append(Fault(cell.at, wrong, instead))

    def lacks(self, column: str, wrong: str) -> None:
        """Note a cell of closed words that is empty and must not be."""
        self.fault(column, wrong, f"One of: {', '.join(words_for(column))}")

    def value(self, column: str) -> object:
        """Give what stands in a cell; None where nothing does."""
        cell = self.row.cells.get(column)
        return cell.value if cell and is_filled(cell.value) else None

    def word(self, column: str) -> str | None:
        """Read a cell that holds one of a few words."""
        value = self.value(column)
        if value is None:
            return None
        allowed = words_for(column, is_offer=self.is_offer)
        typed = plain_text(value)
        typed = _SHORT.get(typed, typed)
        of_cell = {plain_text(each): each for each in allowed}
        found = of_cell.get(typed) or of_cell.get(_ALIKE.get(typed, ""))
        if found is None:
            self.fault(column, "Not one of the words of this cell", f"One of: {', '.join(allowed)}")
        return found

    def day(self, column: str) -> date | None:
        """Read a cell that holds a day."""
        value = self.value(column)
        found = None if value is None else as_day(value)
        if value is not None and found is None:
            self.fault(column, "Not a day", "A day as dd/mm/yyyy")
        return found

    def step(self, decision: str | None, outcome: str | None) -> str | None:
        """Bring decision and outcome together: what happened says more than what was decided."""
        decided = _DECIDED[decision] if decision else None
        happened = _code(outcome)
        if not decided and not happened:
            if not self.wrong & {"decision", "outcome"}:
                column = "decision" if "decision" in self.row.cells else "outcome"
                self.fault(column, "Nothing is decided, and nothing happened", "Choose one, or clear the row")
            return None
        if decided and happened and decided not in ("accepted", happened):
            self.fault(
                "outcome",
                "Decision and outcome say two different things",
                "Clear the one of the two that does not hold",
            )
            return None
        return happened or decided

    def can_be(self, day: date) -> bool:
        """Tell whether something on this list can have happened on a day."""
        return self.sent.week - timedelta(days=DAYS_BEFORE) <= day <= self.today

    def check_day(self, step: str, day: date | None) -> None:
        """Hold the day something happened to what can be."""
        if day is None:
            self.fault("outcome_date", f"There is no day, and {OUTCOME_WORDS[step]} needs one", "A day as dd/mm/yyyy")
            return
        first = self.sent.week - timedelta(days=DAYS_BEFORE)
        until = " A day to come goes into the cell for booked for" if step == "booked" else ""
        if day > self.today:
            self.fault(
                "outcome_date",
                "The day is still to come",
                f"The day it was decided or happened, up to {_slashed(self.today)}.{until}",
            )
        elif day < first:
            self.fault("outcome_date", "The day is long before this list", f"A day from {_slashed(first)} on")

    def until(self, step: str, day: date | None, until: date | None) -> date | None:
        """Give the day booked for or deferred until, held to what can be; nothing where the step has none."""
        if step not in _NEEDS_UNTIL:
            if until is not None and step not in _KEEPS_OLD_UNTIL:
                self.fault(
                    "until_date",
                    "A day booked for or deferred until, and neither was chosen",
                    "Clear it, or choose booked or defer",
                )
            return None
        if until is None:
            self.fault(
                "until_date", f"There is no day for {OUTCOME_WORDS[step]}", f"Here {_NEEDS_UNTIL[step]}, dd/mm/yyyy"
            )
        elif day is not None and not day <= until <= day + timedelta(days=DAYS_AHEAD):
            self.fault(
                "until_date", "The day is before it was decided, or over a year on", f"Here {_NEEDS_UNTIL[step]}"
            )
        return until


def _code(word: str | None) -> str | None:
    return plain_text(word).replace(" ", "_") if word else None


def _slashed(day: date) -> str:
    return day.strftime("%d/%m/%Y")


# ---------------------------------------------------------------------------------------- several answers to one row


@dataclass(frozen=True)
class Disagreement:
    """Answers to one row that cannot all hold: none of them applies, and a person looks at it."""

    answers: tuple[Answer, ...]
    said: str

    @property
    def as_answer(self) -> Answer:
        """What is told of it to the memory of lists."""
        last = max(self.answers, key=lambda each: (each.outcome_date, each.outcome_id))
        return replace(last, outcome="disagreement", until_date=None, reason_code=None, role=None)


def settle(answers: Iterable[Answer], earlier: Iterable[Answer]) -> tuple[list[Answer], list[Disagreement]]:
    """Tell answers that can be applied from answers to one row that cannot all hold.

    Several answers to a row are usual: invited, then booked, then attended. They disagree when nothing can follow what
    one of them says (attended, declined, not appropriate), or when two of one day exclude each other.

    Args:
        answers: What came back now.
        earlier: What was applied in earlier weeks.

    Returns:
        The answers that hold, as they came; and the disagreements, by row.
    """
    fresh = list(answers)
    by_row: dict[str, dict[str, Answer]] = {}
    for each in (*earlier, *fresh):
        if each.outcome not in ("concern", "disagreement"):
            by_row.setdefault(each.sent.row_reference, {}).setdefault(each.outcome_id, each)
    at_odds = {reference: pair for reference, mine in sorted(by_row.items()) if (pair := _at_odds(list(mine.values())))}
    kept, wrong = [], dict[str, list[Answer]]()
    for each in fresh:
        if each.outcome != "concern" and each.sent.row_reference in at_odds:
            wrong.setdefault(each.sent.row_reference, []).append(each)
        else:
            kept.append(each)
    return kept, [
        Disagreement(tuple(mine), " and ".join(each.in_words for each in at_odds[reference]))
        for reference, mine in sorted(wrong.items())
    ]


def _at_odds(answers: Sequence[Answer]) -> tuple[Answer, Answer] | None:
    order = tuple(OUTCOME_WORDS)
    ordered = sorted(answers, key=lambda each: (each.outcome_date, order.index(each.outcome), each.outcome_id))
    for position, first in enumerate(ordered):
        for second in ordered[position + 1 :]:
            if not _may_follow(first, second):
                return first, second
    return None


def _may_follow(first: Answer, second: Answer) -> bool:
    is_one_day = first.outcome_date == second.outcome_date
    if first.outcome == second.outcome:
        same = (first.until_date, first.reason_code) == (second.until_date, second.reason_code)
        return same or not is_one_day
    if first.outcome in _CLOSING:
        return False
    if is_one_day and second.outcome in _ENDS_A_DAY:
        return first.outcome not in _ENDS_A_DAY and not (
            first.outcome == "accepted" and second.outcome in _NEEDS_REASON
        )
    return True
