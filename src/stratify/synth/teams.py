"""How invented teams fill in the lists they get: most rows, at different speed, with typing errors, and some never.

Belongs here: what a team writes into the cells of a row. Does not belong: files, and what a cell means to the program:
nothing of it is shared, so that a mistake there shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

Written = dict[str, str | date]
"""What is written into a row, by column."""

_ROLES = ("practice nurse", "GP", "specialist nurse", "care coordinator")
_CLINICIANS = ("practice nurse", "GP", "specialist nurse")
_WHY_NOT = ("no need felt", "no time", "prefers own GP", "too far", "language or interpreter")
_WHY_LATER = ("in hospital", "too unwell", "away", "test needed first")
_WHY_WRONG = ("already reviewed", "under a specialist", "record is wrong")
_COVERS_OTHERS = (("yes", 0.5), ("no", 0.2), ("", 0.3))
_LEFT_OPEN, _MISTYPED, _CARELESS, _RAISES_CONCERN = 0.12, 0.08, 0.15, 0.02

_FIRST = (("invited", 0.42), ("booked", 0.22), ("attended", 0.12), ("did not attend", 0.03), ("decline", 0.09),
          ("defer", 0.05), ("not appropriate", 0.03), ("accept", 0.04))  # fmt: skip
_OFFERED = (("offered", 0.45), ("accepted", 0.15), ("declined", 0.15), ("activated", 0.25))
_AFTER_INVITATION = (("booked", 0.40), ("attended", 0.15), ("declined", 0.15), ("", 0.30))
_AFTER_OFFER = (("activated", 0.35), ("declined", 0.10), ("", 0.55))
_AFTER_BOOKING = (("attended", 0.80), ("did not attend", 0.20))
_DECISIONS = ("accept", "defer", "decline", "not appropriate")
_SLIPS = ("acept", "invted", "bookd", "see notes", "ask Dr", "?", "done")
_BAD_DAYS = ("31/02/2026", "next week", "11/2026", "99", "soon")


def first_answer(reference: str, *, is_offer: bool, week: date, seed: int) -> Written:
    """Give what a team writes into a row of this week's list; nothing where it leaves the row open.

    Args:
        reference: The row's reference: the same row and seed, the same answer.
        is_offer: It is a row of offers.
        week: First day of the list's week.
        seed: Of the county's teams.
    """
    luck = _luck(seed, reference, week)
    if luck.random() < _LEFT_OPEN:
        return {}
    step = _pick(_OFFERED if is_offer else _FIRST, luck)
    written = _step(step, _weekday(week, luck), luck)
    if luck.random() < _RAISES_CONCERN:
        written["concern"] = "yes"
    return _as_typed(written, luck)


def next_answer(reference: str, outcome: str, until: date | None, *, is_offer: bool, week: date, seed: int) -> Written:
    """Give what a team changes in a row of an earlier list a week on; nothing where nothing happened.

    Args:
        reference: The row's reference.
        outcome: What stands there.
        until: Day booked for.
        is_offer: It is a row of offers.
        week: First day of the week that is answered now.
        seed: Of the county's teams.
    """
    luck = _luck(seed, reference, week)
    if outcome == "invited":
        step = _pick(_AFTER_INVITATION, luck)
    elif outcome in ("offered", "accepted") and is_offer:
        step = _pick(_AFTER_OFFER, luck)
    elif outcome == "booked" and until is not None and until < week + timedelta(days=7):
        return _step(_pick(_AFTER_BOOKING, luck), until, luck)
    else:
        return {}
    return _step(step, _weekday(week, luck), luck) if step else {}


_TELLS, _ANSWERS = 0.6, 0.75
_TOLD = (
    ("should have been here", "got worse lately", "practice nurse", "Short of breath on the stairs since last week."),
    ("should have been here", "record does not show it", "GP", "The hospital letter came on paper."),
    ("a concern", "not fair", "GP", "Nobody who is housebound is on this list."),
    ("a concern", "too late", "administrator", "The list came on Tuesday afternoon."),
)
_LEAD_SAYS = (
    ("changed", "nurse lead", "Put on the list by hand for this week."),
    ("will change", "data team", "The record is being put right; look again in two weeks."),
    ("not changed", "clinical lead", "The rule stays: the next review will show whether it fits."),
    ("passed on", "clinical lead", "The hospital is asked to send its letters as data."),
)


def told(practice: str, numbers: Sequence[str], *, week: date, seed: int) -> list[dict[str, str]]:
    """Give what a practice tells in its form of a week, by column; mostly one thing, about one of some NHS numbers."""
    luck = _luck(seed, practice, week)
    if luck.random() >= _TELLS:
        return []
    kind, reason, role, words = _TOLD[int(luck.integers(len(_TOLD)))]
    row = {"kind": kind, "reason": reason, "said_by": role, "words": words}
    if kind != "a concern":
        if not numbers:
            return []
        row["nhs_number"] = str(numbers[int(luck.integers(len(numbers)))])
    return [{**row, "said_on": f"{_weekday(week, luck):%d/%m/%Y}"}]


def lead_answer(item: str, *, week: date, seed: int) -> dict[str, str] | None:
    """Give what is answered to something said, by column; now and then nothing in this week."""
    luck = _luck(seed, item, week)
    if luck.random() >= _ANSWERS:
        return None
    answer, role, words = _LEAD_SAYS[int(luck.integers(len(_LEAD_SAYS)))]
    return {"answer": answer, "answered_on": f"{week:%d/%m/%Y}", "answered_by": role, "words": words}


def _luck(seed: int, reference: str, week: date) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {reference} {week}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def _pick(chances: Sequence[tuple[str, float]], luck: np.random.Generator) -> str:
    return str(luck.choice([step for step, _ in chances], p=[chance for _, chance in chances]))


def _weekday(week: date, luck: np.random.Generator) -> date:
    return week + timedelta(days=int(luck.integers(0, 5)))


def _step(step: str, day: date, luck: np.random.Generator) -> Written:
    written: Written = {"decision" if step in _DECISIONS else "outcome": step, "outcome_date": day}
    if step == "booked":
        written["until_date"] = day + timedelta(days=int(luck.integers(3, 15)))
    if step == "attended" and (covered := _pick(_COVERS_OTHERS, luck)):
        written["other_needs_covered"] = covered
    if step == "defer":
        written["until_date"] = day + timedelta(days=int(luck.integers(14, 60)))
        written["decision_reason"] = str(luck.choice(_WHY_LATER))
    if step in ("decline", "declined"):
        written["decision_reason"] = str(luck.choice(_WHY_NOT))
    if step == "not appropriate":
        written["decision_reason"] = str(luck.choice(_WHY_WRONG))
    if step in _DECISIONS:
        written["decided_by"] = str(luck.choice(_CLINICIANS if step == "not appropriate" else _ROLES))
    return written


def _as_typed(written: Written, luck: np.random.Generator) -> Written:
    """Write as people do: now and then carelessly, now and then so that nobody can use it."""
    kind, day = luck.random(), written["outcome_date"]
    name = "decision" if "decision" in written else "outcome"
    if kind < _MISTYPED / 2:
        return {**written, name: str(luck.choice(_SLIPS))}
    if kind < _MISTYPED:
        return {**written, "outcome_date": str(luck.choice(_BAD_DAYS))}
    if kind < _MISTYPED + _CARELESS and isinstance(day, date):
        typed = str(luck.choice([f"{day.day}/{day.month}/{day:%y}", f"{day.day} {day:%b %Y}", f"{day:%d.%m.%Y}"]))
        return {**written, name: f" {str(written[name]).upper()} ", "outcome_date": typed}
    return written
