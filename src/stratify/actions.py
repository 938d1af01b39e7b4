"""What a filled-in row of the sheet Actions says: an action with an owner and a day, or which cell is wrong.

Belongs here: what an action needs, and which of several statements of one action holds. Does not belong: files and
sheets (``publish.filled_lists``), the register as a team sees it (``publish.register``). There is no free text: what is
to be done is one of the agenda's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from stratify.filled_in import (
    DAYS_AHEAD,
    DAYS_BEFORE,
    Fault,
    FilledRow,
    SentRow,
    as_day,
    digest,
    is_filled,
    plain_text,
    read_reference,
    words_for,
)

ACTION_COLUMNS = ("action", "owner_role", "due_date", "done")
_TWICE = "Two rows say different things of this action. Neither is taken"


@dataclass(frozen=True)
class Action:
    """An action as a row states it."""

    sent: SentRow
    action: str
    owner_role: str
    due_date: date
    is_done: bool
    file_id: str
    number: int
    cell: str

    @property
    def statement_id(self) -> str:
        """Digest of what it says: the same again is no news, in whichever file."""
        return digest("ACTION", self.sent.row_reference, self.action, self.owner_role, self.due_date, self.is_done)

    @property
    def key(self) -> tuple[str, str]:
        """Which action it is: that of a row of a list, by its words."""
        return self.sent.row_reference, self.action


@dataclass(frozen=True)
class Register:
    """What may be agreed and where, and what was stated before.

    Attributes:
        words: What may be agreed, from the agenda.
        clinics: Clinics that are meetings: their packs have a register.
        log: Contract ``audit.action`` of earlier weeks.
    """

    words: tuple[str, ...]
    clinics: frozenset[str]
    log: pl.DataFrame

    def known(self, row_reference: str) -> dict[str, tuple[str, date]]:
        """Give the actions stated before for a row, each with the owner and day stated last."""
        mine = self.log.filter(pl.col("row_reference") == row_reference).sort("week", "statement_id")
        columns = mine.select("action", "owner_role", "due_date")
        return {action: (owner, due) for action, owner, due in columns.iter_rows()}


def read_actions(
    rows: Iterable[FilledRow], sent: Mapping[str, SentRow], register: Register, *, today: date
) -> tuple[list[Action], list[tuple[FilledRow, Fault]]]:
    """Read rows of actions, and keep what is new.

    Args:
        rows: What came back; somebody filled something in.
        sent: All rows that were sent, by reference.
        register: What may be agreed, and what was stated before.
        today: The day the run describes.

    Returns:
        Statements that are news, in order; and what is wrong, with its row.
    """
    found: dict[str, tuple[FilledRow, Action]] = {}
    faults: list[tuple[FilledRow, Fault]] = []
    for row in rows:
        answered = read_reference(row, sent)
        if isinstance(answered, Fault):
            faults.append((row, answered))
            continue
        action, wrong = _read_row(row, answered, register, today)
        faults += [(row, each) for each in wrong]
        if action:
            found.setdefault(action.statement_id, (row, action))
    seen = set(register.log["statement_id"])
    by_action: dict[tuple[str, str], list[tuple[FilledRow, Action]]] = {}
    for row, action in found.values():
        if action.statement_id not in seen:
            by_action.setdefault(action.key, []).append((row, action))
    news = []
    for mine in by_action.values():
        done = [action for _, action in mine if action.is_done]
        if done or len(mine) == 1:
            news.append(done[0] if done else mine[0][1])  # done is done, whatever day another row has
        else:
            faults += [
                (row, Fault(row.cells["due_date"].at, _TWICE, "Clear the one that does not hold")) for row, _ in mine
            ]
    return sorted(news, key=lambda each: each.key), faults


def _read_row(row: FilledRow, sent: SentRow, register: Register, today: date) -> tuple[Action | None, list[Fault]]:
    faults: list[Fault] = []
    if sent.clinic_id not in register.clinics:
        at = row.cells["row_reference"].at
        return None, [
            Fault(at, "This row is of no meeting's list", "The row reference of a clinic with a meeting pack")
        ]
    known = register.known(sent.row_reference)
    words = tuple(dict.fromkeys((*register.words, *known)))
    action = _word(row, "action", words, faults)
    owner = _word(row, "owner_role", words_for("decided_by"), faults)
    done = _word(row, "done", ("yes",), faults)
    due_cell = row.cells.get("due_date")
    due = as_day(due_cell.value) if due_cell and is_filled(due_cell.value) else None
    before = known.get(action or "")
    if before and done:
        owner, due = owner or before[0], due or before[1]
    wrong = {each.at for each in faults}
    if not action and row.cells["action"].at not in wrong:
        faults.append(Fault(row.cells["action"].at, "Nothing says what is to be done", "One of the words of the list"))
    if not owner and _at(row, "owner_role") not in wrong:
        roles = ", ".join(words_for("decided_by"))
        faults.append(Fault(_at(row, "owner_role"), "An action needs an owner", f"One of: {roles}"))
    first, last = sent.week - timedelta(days=DAYS_BEFORE), today + timedelta(days=DAYS_AHEAD)
    if due is None or not first <= due <= last:
        is_empty = due_cell is None or not is_filled(due_cell.value)
        said = "An action needs a day by which it is done" if is_empty else "Not a day, or one that cannot be"
        faults.append(Fault(_at(row, "due_date"), said, f"A day as dd/mm/yyyy, from {first:%d/%m/%Y} on"))
    if faults or not action or not owner or not due:
        return None, faults
    return Action(sent, action, owner, due, bool(done), row.file_id, row.number, row.cells["action"].at), []


def _at(row: FilledRow, column: str) -> str:
    return (row.cells.get(column) or row.cells["row_reference"]).at


def _word(row: FilledRow, column: str, allowed: tuple[str, ...], faults: list[Fault]) -> str | None:
    cell = row.cells.get(column)
    if cell is None or not is_filled(cell.value):
        return None
    typed = plain_text(cell.value)
    found = next((each for each in allowed if plain_text(each) == {"y": "yes", "x": "yes"}.get(typed, typed)), None)
    if found is None:
        many = len(allowed) > 15
        faults.append(
            Fault(
                cell.at,
                "Not one of the words of this cell",
                "One of the words of its drop-down" if many else f"One of: {', '.join(allowed)}",
            )
        )
    return found
