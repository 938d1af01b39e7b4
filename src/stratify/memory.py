"""What is remembered of a person on a pathway: the states, the steps between them, and where somebody stands.

Belongs here: the declared table of steps, a standing as the sum of steps, and what a standing keeps somebody from. Does
not belong: what moves people this week (``follow_up``), who gets a place (``routing``), the files (``kept_weeks``).
Nothing is forgotten and nothing is changed: a standing is worked out from all steps each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import polars as pl

from stratify import periods
from stratify.rules import Pathway

OFFER = "self_management"
"""Stands for the clinic of an offer."""

STRATIFY = "stratify"
"""Who made a step that no answer made."""

STATES = {
    "new": "not seen on the pathway before",
    "listed": "on a list, and no answer came back yet",
    "waiting": "has a need and no place yet: the clinic is full, another need is met first, or the list is held",
    "invited_1": "invited once",
    "invited_2": "invited twice",
    "invited_3": "invited three times",
    "booked": "has an appointment",
    "attended": "was seen: nothing until the next review is due",
    "did_not_attend": "did not come: to be invited again",
    "declined": "said no: nothing until it is time to ask again",
    "deferred": "later, at a day that was named",
    "not_appropriate": "a clinician said that it is not right for the person",
    "offered": "was offered self-management",
    "activated": "uses what was offered",
    "stepped_up": "did not take up the offer: a person rings",
    "review": "a clinician looks first: no rule decides this",
    "need_ended": "no longer on the pathway",
    "left": "no longer registered with a practice of the run",
    "died": "died",
}
INVITED = ("invited_1", "invited_2", "invited_3")
CLOSED = ("attended", "activated", "declined", "not_appropriate")
"""States that keep somebody off the lists until a day."""
GONE = ("need_ended", "left", "died")
_UNPLACED = ("new", "listed", "waiting")
_IN_HAND = (*_UNPLACED, *INVITED, "booked", "did_not_attend", "deferred", "offered", "stepped_up", "review")
MARKED = tuple(state for state in _IN_HAND if state not in ("new", "deferred"))
"""States in which a change of tier is noted; others are compared with the tier they had when they began."""

SAME = "the same"


@dataclass(frozen=True)
class Step:
    """One kind of step: why, from which states, to which ones (``SAME``: noted, and nothing moves)."""

    cause: str
    meaning: str
    from_states: tuple[str, ...]
    to_states: tuple[str, ...]


STEPS = (
    Step("placed", "is on a list this week", ("new", "waiting"), ("listed",)),
    Step("no_place", "has no place this week", ("new", "listed"), ("waiting",)),
    Step("offer_made", "self-management is offered", (*_UNPLACED, *INVITED, "did_not_attend"), ("offered",)),
    Step("offer_stands", "was offered before: not offered twice", (*_UNPLACED, *INVITED, "did_not_attend"),
         ("offered",)),
    Step("route_changed", "another clinic or route is proposed", ("offered", "stepped_up"), ("listed", "waiting")),
    Step("route_changed", "another clinic or route is proposed", (*MARKED, "new"), (SAME,)),
    Step("route_changed", "more is proposed than what was dealt with", ("attended", "activated"), ("waiting",)),
    Step("route_changed", "more is proposed than what was declined", ("declined",), ("review",)),
    Step("tier_higher", "escalated: a higher tier", MARKED, (SAME,)),
    Step("tier_higher", "escalated: a higher tier", ("attended", "activated", "deferred"), ("waiting",)),
    Step("tier_higher", "escalated: a higher tier", ("declined", "not_appropriate"), ("review",)),
    Step("tier_lower", "a lower tier", MARKED, (SAME,)),
    Step("tier_known", "graded now, or no longer", MARKED, (SAME,)),
    Step("admitted", "escalated: an emergency admission", ("attended", "activated", "deferred"), ("waiting",)),
    Step("admitted", "escalated: an emergency admission", ("declined", "not_appropriate"), ("review",)),
    Step("invitations_unanswered", "three invitations, no answer", ("invited_3",), ("review",)),
    Step("missed_twice", "did not come twice", (*_UNPLACED, *INVITED, "booked", "deferred", "did_not_attend"),
         ("review",)),
    Step("booking_unanswered", "booked, and nobody said what came of it", ("booked",), ("waiting",)),
    Step("deferral_over", "the day it was put off to has come", ("deferred",), ("waiting",)),
    Step("closing_over", "due again", CLOSED, ("waiting",)),
    Step("not_activated", "the offer was not taken up in time", ("offered",), ("stepped_up",)),
    Step("answers_disagree", "two answers disagree: neither is applied", (*_IN_HAND, *CLOSED), ("review",)),
    Step("late_answer", "a late answer that a newer one does not fit", _IN_HAND, ("review",)),
    Step("answer_noted", "an answer that moves nothing", tuple(STATES), (SAME,)),
    Step("not_covered", "seen for another need, and this one was not marked as covered",
         tuple(state for state in STATES if state not in (*CLOSED, *GONE)), (SAME,)),
    Step("not_covered", "seen for another need, and this one was not marked as covered", ("attended",), ("waiting",)),
    Step("moved", "now at another practice", tuple(state for state in STATES if state not in ("new", "left", "died")),
         (SAME,)),
    Step("need_ended", "no longer on the pathway",
         tuple(state for state in _IN_HAND if state not in ("new", "booked", "deferred")), ("need_ended",)),
    Step("left", "no longer registered here", tuple(each for each in STATES if each not in ("new", "left", "died")),
         ("left",)),
    Step("died", "recorded as having died", tuple(each for each in STATES if each not in ("new", "died")), ("died",)),
    Step("returned", "on the pathway again", GONE, ("waiting", *CLOSED)),
)  # fmt: skip
"""Every step there is, but for those of answers: see ``ANSWERS``."""

_SEEN_FROM = (*_IN_HAND, *CLOSED, "need_ended")
ANSWERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accepted": (("review", "declined", "not_appropriate", "deferred", "stepped_up"), ("waiting", "offered")),
    "invited": ((*_UNPLACED, *INVITED, "did_not_attend", "deferred", "review"), INVITED),
    "booked": ((*_IN_HAND, "declined"), ("booked",)),
    "attended": (_SEEN_FROM, ("attended",)),
    "did_not_attend": ((*_UNPLACED, *INVITED, "booked", "deferred", "did_not_attend"), ("did_not_attend",)),
    "declined": ((*_IN_HAND, "attended", "activated", "declined", "need_ended"), ("declined",)),
    "deferred": (_IN_HAND, ("deferred",)),
    "not_appropriate": (_SEEN_FROM, ("not_appropriate",)),
    "offered": (("new", "waiting", "offered"), ("offered",)),
    "activated": (("new", "waiting", "offered", "stepped_up", "deferred", "declined"), ("activated",)),
    "concern": ((), ()),
    "disagreement": ((), ()),
}
"""What each answer moves, from and to; from any other state it is noted and moves nothing."""

ANSWER_WORDS = {
    "accepted": "Accepted",
    "invited": "Invited",
    "booked": "Booked",
    "attended": "Attended",
    "did_not_attend": "Did not attend",
    "declined": "Declined",
    "deferred": "Deferred",
    "not_appropriate": "Not appropriate",
    "offered": "Offered",
    "activated": "Started using the offer",
    "concern": "A concern was raised",
    "disagreement": "Two answers to one row",
}
CAUSES = tuple(dict.fromkeys([*(each.cause for each in STEPS), "answer"]))


def steps_in_words() -> list[str]:
    """Give every declared step as a row of a table in Markdown, for ``docs/memory.md``."""
    rows = [(each.cause, each.meaning, each.from_states, each.to_states) for each in STEPS]
    rows += [("answer", f"answer: {name.replace('_', ' ')}", *steps) for name, steps in ANSWERS.items() if steps[1]]
    return [f"| `{cause}` | {words} | {', '.join(froms)} | {', '.join(tos)} |" for cause, words, froms, tos in rows]


@cache
def declared() -> frozenset[tuple[str, str, str]]:
    """Give every step there may be: cause, state before, state after."""
    found = {
        (each.cause, before, before if after is SAME else after)
        for each in STEPS
        for before in each.from_states
        for after in each.to_states
    }
    answers = {("answer", before, after) for froms, tos in ANSWERS.values() for before in froms for after in tos}
    return frozenset(found | answers)


@dataclass(frozen=True)
class Standing:
    """Where a person stands on a pathway.

    Attributes:
        state: One of ``STATES``.
        since: Day the state began.
        until: Booked for, or the day it is looked at again.
        practice_code: Practice at the last step.
        clinic_id: Clinic or worklist at the last step.
        tier: Tier when it was last noted; for closed states and deferrals, when they began.
        tier_rank: 1 is the highest.
        waiting_since: Day the wait began; None when nothing is waited for.
        invitations: Invitations since the need began.
        missed: Appointments missed since the need began.
        offered_date: Day of the last offer.
        answer_date: Day of the last answer that moved something.
        last_heard: The last answer of any kind: what it said, its day, and until when.
        why: Why the state began, in words.
        closed_as: State of the last closing.
        closed_on: Its day.
        closed_until: Day that closing ends.
    """

    state: str = "new"
    since: date | None = None
    until: date | None = None
    practice_code: str | None = None
    clinic_id: str | None = None
    tier: str | None = None
    tier_rank: int | None = None
    waiting_since: date | None = None
    invitations: int = 0
    missed: int = 0
    offered_date: date | None = None
    answer_date: date | None = None
    last_heard: tuple[str, date, date | None] | None = None
    why: str = ""
    closed_as: str | None = None
    closed_on: date | None = None
    closed_until: date | None = None

    @property
    def heard(self) -> str | None:
        """The last answer in words, dated."""
        if self.last_heard is None:
            return None
        outcome, day, until = self.last_heard
        words = f"{ANSWER_WORDS[outcome]} on {periods.in_words(day)}"
        if until and outcome in ("booked", "deferred"):
            words += f", {'for' if outcome == 'booked' else 'until'} {periods.in_words(until)}"
        return words

    def holds_on(self, day: date) -> bool:
        """Tell whether the state lasts beyond a day."""
        return self.until is not None and day < self.until


Key = tuple[str, str]
"""A person and a pathway."""
Standings = Mapping[Key, Standing]


def standings(transitions: pl.DataFrame) -> dict[Key, Standing]:
    """Add up all steps of contract ``audit.transition``.

    Records that were found to be one person's have their steps under one pseudonym: an answer always counts, and a
    step of stratify's own where it goes on from where the person stands. What one record said while the other stood
    elsewhere does not, so that an attendance under a superseded number closes.
    """
    found: dict[Key, dict[str, Any]] = {}
    for row in transitions.sort(*_IN_TIME).iter_rows(named=True):
        now = found.setdefault((row["patient_key"], row["pathway"]), dict(_NEW))
        if row["outcome_id"] or row["from_state"] == now["state"]:
            _add(now, row)
    return {key: Standing(**now) for key, now in found.items()}


_NEW = vars(Standing())
_IN_TIME = ("week", "patient_key", "pathway", "position", "from_state", "to_state", "effective_date", "outcome_id")


def after(before: Standing, step: Mapping[str, Any]) -> Standing:
    """Give where somebody stands after a step (a row of ``audit.transition``)."""
    now = dict(vars(before))
    _add(now, step)
    return Standing(**now)


def _add(now: dict[str, Any], step: Mapping[str, Any]) -> None:
    """Bring the attributes of a standing up to date with a step; in place, since there are millions of steps."""
    before, state, day = now["state"], step["to_state"], step["effective_date"]
    now["practice_code"] = step["practice_code"]
    if step["outcome"]:
        now["last_heard"] = (step["outcome"], day, step["until_date"])
    if step["cause"] == "answer_noted":
        return
    now["clinic_id"], now["tier"], now["tier_rank"] = step["clinic_id"], step["tier"], step["tier_rank"]
    is_answer = step["cause"] in ("answer", "missed_twice")
    if state == before and not is_answer:
        return
    now["state"], now["since"], now["until"], now["why"] = state, day, step["until_date"], step["cause_text"]
    if is_answer:
        now["answer_date"] = day
        now["invitations"] += state in INVITED
        now["missed"] += step["outcome"] == "did_not_attend"
    if state in CLOSED or state in GONE:
        now["waiting_since"] = None
    elif now["waiting_since"] is None:
        now["waiting_since"] = day
    if state in CLOSED or state in GONE or (before, state) == ("review", "waiting"):
        now["invitations"] = now["missed"] = 0
    if state in CLOSED:
        now["closed_as"], now["closed_on"], now["closed_until"] = state, day, step["until_date"]
    if state == "offered" and step["cause"] != "offer_stands":
        now["offered_date"] = day


# ------------------------------------------------------------------------------------------- what a standing keeps from


def in_hand(standing: Standing, pathway: Pathway, *, route: str, day: date) -> str | None:
    """Say why somebody is on no list of a pathway today though it proposes one; None when there is no reason.

    Args:
        standing: Where the person stands, time having passed.
        pathway: The pathway.
        route: What it proposes.
        day: Today.
    """
    since = periods.in_words(standing.since) if standing.since else ""
    until = periods.in_words(standing.until) if standing.until else "a day not known"
    match standing.state:
        case "attended":
            return f"Attended on {since}: due again on {until}"
        case "activated":
            return f"Uses {pathway.offers_in_words} since {since}: due again on {until}"
        case "declined":
            return f"Declined on {since}: to be asked again on {until}"
        case "not_appropriate":
            return f"Said on {since} not to be appropriate: looked at again on {until}"
        case "deferred":
            return f"Deferred on {since}, until {until}"
        case "booked":
            return f"Booked for {until}"
        case state if state in INVITED and standing.holds_on(day):
            return f"Invited on {since} ({ordinal(state)} time): an answer is waited for until {until}"
        case "offered" if route == OFFER:
            return f"Was offered {pathway.offers_in_words} on {since}: a call if it is not in use by {until}"
        case _:
            return None


def due_in_words(standing: Standing) -> str | None:
    """Say which invitation is due to somebody who did not answer the one before; None where none is."""
    if standing.state == "did_not_attend" and standing.since:
        return f"Did not attend on {periods.in_words(standing.since)}: to be invited again"
    if standing.state not in INVITED or standing.since is None:
        return None
    again = {"invited_1": "second", "invited_2": "third"}.get(standing.state, "next")
    return f"Invited on {periods.in_words(standing.since)} and no answer came back: the {again} invitation is due"


def ordinal(state: str) -> str:
    """Say which invitation it is."""
    return {"invited_1": "first", "invited_2": "second", "invited_3": "third"}[state]


def contact_in_words(standing: Standing, pathway: Pathway, *, day: date) -> str | None:
    """Say why no other pathway invites somebody today: an open invitation or appointment on this one."""
    if standing.state == "booked":
        until = periods.in_words(standing.until) if standing.until else "a day not known"
        return f"Is booked on the {pathway.label} pathway for {until}: to be dealt with there"
    if standing.state not in INVITED or standing.since is None:
        return None
    if day >= standing.since + timedelta(days=pathway.follow_up.contact_apart_days):
        return None
    since = periods.in_words(standing.since)
    return f"Was invited on the {pathway.label} pathway on {since}: to be dealt with there"


def offer_in_words(standing: Standing, pathway: Pathway, *, day: date) -> str | None:
    """Say why no other pathway offers something today: an offer that is still open on this one."""
    if standing.state != "offered" or standing.since is None:
        return None
    if day >= standing.since + timedelta(days=pathway.follow_up.contact_apart_days):
        return None
    return f"Was offered {pathway.offers_in_words} on the {pathway.label} pathway on {periods.in_words(standing.since)}"
