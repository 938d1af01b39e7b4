"""What a messaging system reports about a batch of messages: who was reached, and who was not and needs a person.

Belongs here: the words of a report, and which row of a list a message belonged to. Does not belong: files
(``publish.filled_lists``), who is written to and how (``publish.letters``). A number of a report is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from stratify.filled_in import OFFERS, Answer, Fault, FilledRow, SentRow, as_day, digest, is_filled, plain_text

REPORT_COLUMNS = ("nhs_number", "status", "date")

REACHED, FAILED, BLOCKED, UNDER_WAY = "reached", "failed", "blocked", "under_way"
_STATUSES = {
    REACHED: ("delivered", "accepted", "read", "received"),
    FAILED: ("failed", "not delivered", "undelivered", "not accepted", "expired", "invalid number"),
    BLOCKED: ("blocked", "opted out", "declined", "unsubscribed"),
    UNDER_WAY: ("sent", "pending", "queued", "scheduled"),
}
_MEANING = {word: meaning for meaning, words in _STATUSES.items() for word in words}
_DAYS_AFTER = 27
"""How long after the first day of its list's week a message may have gone out."""
_CLOCK = re.compile(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$")
_ENDS = ("attended", "activated", "declined", "not_appropriate")


@dataclass(frozen=True)
class Delivery:
    """What became of one message: the row of the list it belonged to, the day, and how it ended."""

    sent: SentRow
    status: str
    day: date
    file_id: str
    number: int
    cell: str

    @property
    def delivery_id(self) -> str:
        """Digest of what it says, in whichever file."""
        return digest("DELIVERY", self.sent.row_reference, self.status, self.day)

    @property
    def as_answer(self) -> Answer:
        """What a message that arrived says of its row: an invitation, or an offer that was made."""
        outcome = "offered" if self.sent.clinic_id == OFFERS else "invited"
        return Answer(self.sent, outcome, self.day, file_id=self.file_id, number=self.number, cell=self.cell)


def number_of(row: FilledRow) -> str:
    """Give the digits of the NHS number of a row."""
    return re.sub(r"\D", "", str(row.cells["nhs_number"].value).removesuffix(".0"))


def read_deliveries(
    rows: Iterable[FilledRow], posted: Mapping[str, Sequence[SentRow]], *, today: date
) -> tuple[list[Delivery], list[tuple[FilledRow, Fault]]]:
    """Read the rows of reports.

    Args:
        rows: What came back.
        posted: Rows of lists and offers by NHS number of their person.
        today: The day the run describes.

    Returns:
        What became of each message, once; and what is wrong, with its row.
    """
    found: dict[str, Delivery] = {}
    faults: list[tuple[FilledRow, Fault]] = []
    for row in rows:
        number, status, when = (row.cells[name] for name in REPORT_COLUMNS)
        meaning = _MEANING.get(plain_text(status.value)) if is_filled(status.value) else None
        day = as_day(when.value if isinstance(when.value, date) else _CLOCK.sub("", str(when.value or "").strip()))
        if meaning is None:
            words = ", ".join(word for words in _STATUSES.values() for word in words)
            faults.append((row, Fault(status.at, "Not a status that is known", f"One of: {words}")))
        elif day is None or day > today:
            faults.append((row, Fault(when.at, "Not a day, or one to come", "The day of the message as dd/mm/yyyy")))
        elif (sent := _row_of(posted.get(number_of(row), ()), row.sent_by, day)) is None:
            said = "Nobody of this practice had a list or an offer under this number in the four weeks before"
            faults.append((row, Fault(number.at, said, "Only the report of this practice's own messages")))
        else:
            made = Delivery(sent, meaning, day, row.file_id, row.number, status.at)
            found.setdefault(made.delivery_id, made)
    return list(found.values()), faults


def answers_of(deliveries: Iterable[Delivery], others: Iterable[Answer]) -> list[Answer]:
    """Give what messages that arrived say; nothing where the row is closed: a reminder opens nothing again."""
    closed = {each.sent.row_reference for each in others if each.outcome in _ENDS}
    reached = (each for each in deliveries if each.status == REACHED)
    return [each.as_answer for each in reached if each.sent.row_reference not in closed]


def _row_of(rows: Sequence[SentRow], practice: str | None, day: date) -> SentRow | None:
    """Give the latest row that a message of a day can belong to."""
    mine = [
        each
        for each in rows
        if practice in (each.practice_code, each.shared_by) and each.week <= day <= each.week + timedelta(_DAYS_AFTER)
    ]
    return max(mine, key=lambda each: (each.week, each.row_reference), default=None)
