"""What the answer form of a team's page may hold: the words, and what goes together, as ``filled_in`` reads it.

Nothing is decided here. Each pair of decision and outcome is given to the reader of returned rows, and what it finds
wrong is what the form asks for; so a form that is complete is a row that is taken in.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from stratify import contracts, filled_in
from stratify.filled_in import ANSWER_COLUMNS, Cell, Fault, FilledRow, SentRow

_WORDS = ("decision", "outcome", "decision_reason", "decided_by")


def answer_form(week: date) -> dict[str, Any]:
    """Give the form's words, days and pairs.

    Args:
        week: First day of the week of the list.

    Returns:
        ``columns`` of the file that goes back; ``words`` by column; ``earliest`` day and ``days_ahead``; and ``pairs``
        by ``decision|outcome``: what is ``wrong`` with the pair itself, or which columns are ``needed``, which must
        stay ``empty``, and ``not_by`` which roles it can be decided. What is said of each is the reader's own.
    """
    words = {name: list(filled_in.words_for(name)) for name in _WORDS}
    pairs = {
        f"{decision}|{outcome}": _pair(decision, outcome, words, week)
        for decision in ("", *words["decision"])
        for outcome in ("", *words["outcome"])
        if decision or outcome
    }
    return {
        "columns": list(contracts.load("out.returned_outcome").column_names),
        "words": words,
        "earliest": (week - timedelta(days=filled_in.DAYS_BEFORE)).isoformat(),
        "days_ahead": filled_in.DAYS_AHEAD,
        "pairs": pairs,
    }


def _pair(decision: str, outcome: str, words: dict[str, list[str]], week: date) -> dict[str, Any]:
    asked = {"decision": decision, "outcome": outcome}
    bare = _faults(asked, week)
    if wrong := next((bare[name] for name in ("decision", "outcome") if name in bare), None):
        return {"wrong": f"{wrong.wrong}. {wrong.instead}."}
    day = week.isoformat()
    whole = {**asked, "outcome_date": day, "until_date": day, "decision_reason": words["decision_reason"][0]}
    kept = _faults({**whole, "decided_by": words["decided_by"][0]}, week)
    not_by = [role for role in words["decided_by"] if "decided_by" in _faults({**whole, "decided_by": role}, week)]
    return {
        "needed": {name: f"{fault.wrong}." for name, fault in sorted(bare.items())},
        "empty": {name: f"{fault.wrong}. {fault.instead}." for name, fault in sorted(kept.items())},
        "not_by": not_by,
    }


def _faults(values: dict[str, str], week: date) -> dict[str, Fault]:
    """Give what a reader finds wrong, by column, in a row that holds these values."""
    row = FilledRow("", 1, None, {name: Cell(name, values.get(name) or None) for name in ANSWER_COLUMNS})
    _, faults = filled_in.read_row(row, SentRow("", week, "", "", None), today=week)
    return {fault.at: fault for fault in faults}
