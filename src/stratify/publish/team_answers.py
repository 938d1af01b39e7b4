"""What the answer form of a team's page may hold: the words, and what goes together, as ``filled_in`` reads it.

Nothing is decided here. Each pair of decision and outcome is given to the reader of returned rows, and what it finds
wrong is what the form asks for; so a form that is complete is a row that is taken in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from stratify import contracts, filled_in
from stratify.filled_in import ANSWER_COLUMNS, Cell, Fault, FilledRow, SentRow

_WORDS = ("decision", "outcome", "other_needs_covered", "decision_reason", "decided_by")
_OF_AN_OFFER = ("outcome", "outcome_date", "decision_reason", "decided_by")
_SPARE = "other"
"""A reason that goes with every answer that needs one."""


@lru_cache(maxsize=4)
def answer_form(week: date) -> dict[str, Any]:
    """Give the form's words, days and pairs.

    Args:
        week: First day of the week of the list.

    Returns:
        ``columns`` of the file that goes back; ``earliest`` day and ``days_ahead``; and for a row of a ``list`` and of
        an ``offer`` the ``words`` by column and ``pairs`` by ``decision|outcome``: what is ``wrong`` with the pair
        itself, or which columns are ``needed``, which must stay ``empty``, and ``not_with`` which words of a column it
        cannot be. What is said of each is the reader's own.
    """
    return {
        "columns": list(contracts.load("out.returned_outcome").column_names),
        "earliest": (week - timedelta(days=filled_in.DAYS_BEFORE)).isoformat(),
        "days_ahead": filled_in.DAYS_AHEAD,
        "list": _Row(week, ANSWER_COLUMNS, None).form(),
        "offer": _Row(week, _OF_AN_OFFER, filled_in.OFFERS).form(),
    }


class _Row:
    """A row of a list or of offers, as the form asks for it."""

    def __init__(self, week: date, columns: Sequence[str], clinic: str | None) -> None:
        self.columns = columns
        self.sent, self.day = SentRow("", week, "", "", clinic), week
        is_offer = clinic == filled_in.OFFERS
        self.words = {name: list(filled_in.words_for(name, is_offer=is_offer)) for name in _WORDS if name in columns}

    def form(self) -> dict[str, Any]:
        """Give its words and pairs."""
        pairs = {
            f"{decision}|{outcome}": self._pair(decision, outcome)
            for decision in ("", *self.words.get("decision", ()))
            for outcome in ("", *self.words["outcome"])
            if decision or outcome
        }
        return {"words": self.words, "pairs": pairs}

    def _pair(self, decision: str, outcome: str) -> dict[str, Any]:
        asked = {"decision": decision, "outcome": outcome}
        bare = self._faults(asked)
        if wrong := next((bare[name] for name in ("decision", "outcome") if name in bare), None):
            return {"wrong": f"{wrong.wrong}. {wrong.instead}."}
        day = self.day.isoformat()
        whole = {**asked, "outcome_date": day, "until_date": day, "decision_reason": _SPARE}
        whole["decided_by"] = self.words["decided_by"][0]
        kept = self._faults(whole)
        return {
            "needed": {name: f"{fault.wrong}." for name, fault in sorted(bare.items())},
            "empty": {name: f"{fault.wrong}. {fault.instead}." for name, fault in sorted(kept.items())},
            "not_with": {
                name: {
                    word: f"{fault[name].wrong}. {fault[name].instead}."
                    for word in self.words[name]
                    if name in (fault := self._faults({**whole, name: word})) and name not in kept
                }
                for name in ("decision_reason", "decided_by")
            },
        }

    def _faults(self, values: dict[str, str]) -> dict[str, Fault]:
        """Give what a reader finds wrong, by column, in a row that holds these values."""
        row = FilledRow("", 1, None, {name: Cell(name, values.get(name) or None) for name in self.columns})
        _, faults = filled_in.read_row(row, self.sent, today=self.day)
        return {fault.at: fault for fault in faults}
