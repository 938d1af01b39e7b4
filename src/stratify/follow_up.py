"""What moves people this week: the answers that came back, the time that passed, what changed about them, their place.

Two parts, before and after places are given out (``routing``): first answers, deaths, moves, waits that are over, ended
needs and new ones; then who got a place and who did not. Each gives dated steps with a stated cause. The steps there
are stand in ``memory``; nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

import polars as pl

from stratify import memory, periods
from stratify.answers import take_in_answers
from stratify.memory import ANSWER_WORDS, CLOSED, GONE, INVITED, OFFER, Key, Standing
from stratify.pathways import REGISTERED, STATUS_REASONS
from stratify.rulebook import RuleBook
from stratify.rules import Pathway
from stratify.weeks import REGISTERED_HERE, Row, Week

Held = Mapping[tuple[str, str | None], str]


# --------------------------------------------------------------------------------------------- before places are given


def before_placing(
    transitions: pl.DataFrame,
    list_rows: pl.DataFrame,
    outcomes: pl.DataFrame,
    decisions: pl.DataFrame,
    persons: pl.DataFrame,
    admissions: Mapping[str, date],
    book: RuleBook,
    *,
    index_date: date,
    held: Held = MappingProxyType({}),
) -> Week:
    """Take every step of the week that needs no place.

    What the records say of people whose list is held is not believed this week; answers, deaths and moves are.

    Args:
        transitions: Contract ``audit.transition``, earlier weeks.
        list_rows: Contract ``audit.list_row``, earlier weeks.
        outcomes: Contract ``core.outcome``: everything that came back, ever; what was taken in before changes nothing.
        decisions: Contract ``derived.pathway_decision`` without ``not_eligible``.
        persons: ``patient_key``, ``practice_code`` and ``person_status`` of contract ``core.person``.
        admissions: Day of each person's last emergency admission.
        book: The rule book.
        index_date: The day the run describes.
        held: Why lists are held, by pathway and practice; None for every practice.
    """
    week = Week(index_date, book, memory.standings(transitions))
    decided = {(row["patient_key"], row["pathway"]): row for row in decisions.iter_rows(named=True)}
    people = {key: (practice, status) for key, practice, status in
              persons.select("patient_key", "practice_code", "person_status").iter_rows()}  # fmt: skip

    def is_held(key: Key) -> bool:
        return any((key[1], where) in held for where in (None, people.get(key[0], (None, None))[0]))

    take_in_answers(week, transitions, list_rows, outcomes, decided, is_held)
    for key in sorted(key for key in week.standings if key[1] in book.pathways):
        pathway = book.pathways[key[1]]
        practice, status = people.get(key[0], (None, None))
        _follow_person(week, key, practice, status)
        decision = decided.get(key)
        _let_time_pass(week, key, decision, pathway)
        if is_held(key):
            continue
        _follow_need(week, key, decision, pathway, practice)
        if decision and decision["decision"] != "excluded":
            _see_what_is_new(week, key, decision, pathway, admissions.get(key[0]))
            _let_offers_stand(week, key, decision, pathway)
    return week


# ------------------------------------------------------------------------------------------- people, needs and time


def _follow_person(week: Week, key: Key, practice: str | None, status: str | None) -> None:
    """Take the steps of a person's own life: died, left, moved."""
    state = week.at(key).state
    if state == "new":
        return
    if status == "died":
        if state != "died":
            week.take(key, "died", "died", STATUS_REASONS["died"])
        return
    if status is None or status not in REGISTERED:
        if state not in ("left", "died"):
            text = STATUS_REASONS.get(status or "", "No longer in these data")
            week.take(key, "left", "left", text)
        return
    before = week.at(key).practice_code
    if practice and practice != before and state not in ("left", "died"):
        text = "Moved to this practice from another: wait and answers kept" if before else REGISTERED_HERE
        week.take(key, state, "moved", text, practice_code=practice)


def _follow_need(week: Week, key: Key, decision: Row | None, pathway: Pathway, practice: str | None) -> None:
    """End a need that the records no longer show, and begin one again that was ended."""
    standing = week.at(key)
    is_wanted = decision is not None and decision["decision"] != "excluded"
    if standing.state in GONE and decision and is_wanted:
        if standing.closed_as and standing.closed_until and week.index_date < standing.closed_until:
            text = f"On the pathway again: {ANSWER_WORDS[standing.closed_as].lower()} before, which still holds"
            day = standing.closed_on or week.index_date
            still = {"effective_date": day, "until_date": standing.closed_until, "practice_code": practice}
            week.take(key, standing.closed_as, "returned", text, **still)
        else:
            now = {**_now(decision), "practice_code": practice}
            week.take(key, "waiting", "returned", "On the pathway again", **now)
    elif not is_wanted and ("need_ended", standing.state, "need_ended") in memory.declared():
        why = decision["reason"] if decision else "the records no longer show the need"
        week.take(key, "need_ended", "need_ended", f"No longer on the {pathway.label} pathway: {why}")


def _now(decision: Row) -> Row:
    """Give what a step notes of a decision."""
    return {"tier": decision["tier"], "tier_rank": decision["tier_rank"], "clinic_id": _clinic(decision)}


def _clinic(decision: Row) -> str | None:
    return OFFER if decision["decision"] == OFFER else decision["clinic_id"]


def _let_time_pass(week: Week, key: Key, decision: Row | None, pathway: Pathway) -> None:
    """Take the steps that come when nothing else does."""
    standing, today = week.at(key), week.index_date
    follow = pathway.follow_up
    until = standing.until or today
    match standing.state:
        case "booked" if today >= until + timedelta(days=follow.booking_settles_after_days):
            text = (
                f"Was booked for {periods.in_words(until)}, and no answer came back: check whether the person was seen"
            )
            week.take(key, "waiting", "booking_unanswered", text)
        case "deferred" if today >= until:
            week.take(key, "waiting", "deferral_over", f"Was deferred until {periods.in_words(until)}")
        case state if state in CLOSED and today >= until:
            words = "Due again" if state in ("attended", "activated") else "To be asked again"
            said = f"{ANSWER_WORDS[state].lower()} on {periods.in_words(standing.since or today)}"
            clinic = _clinic(decision) if decision else standing.clinic_id
            week.take(key, "waiting", "closing_over", f"{words}: {said}", clinic_id=clinic)
        case "offered" if today >= until and decision and decision["decision"] == OFFER:
            since = periods.in_words(standing.since or today)
            text = f"Was offered {pathway.offers_in_words} on {since} and does not use it: to be rung"
            week.take(key, "stepped_up", "not_activated", text, clinic_id=pathway.call.id)
        case "invited_3" if today >= until:
            text = (
                f"Invited three times, the last on {periods.in_words(standing.since or today)}, and no answer came back"
            )
            week.take(key, "review", "invitations_unanswered", text)


def _see_what_is_new(week: Week, key: Key, decision: Row, pathway: Pathway, admitted: date | None) -> None:
    """Open again what was closed or deferred, when the need is greater than it was then."""
    standing = week.at(key)
    if standing.state not in (*CLOSED, "deferred") or standing.since is None:
        return
    lower = {OFFER, pathway.assessment.id, pathway.clinician_review.id, pathway.call.id}
    before, now = standing.tier_rank, decision["tier_rank"]
    cause = None
    if now is not None and before is not None and now < before:
        is_now, was = (_tier_in_words(week.book, key[1], tier) for tier in (decision["tier"], standing.tier))
        cause, new = "tier_higher", f"the tier is higher: {is_now}, was {was}"
    elif admitted and admitted > standing.since:
        cause, new = "admitted", f"an emergency admission on {periods.in_words(admitted)}"
    elif standing.state in ("attended", "activated", "declined") and standing.clinic_id in lower:
        if decision["decision"] == "clinic":
            cause, new = "route_changed", "a clinic is proposed now"
        elif _is_graded_now(standing, decision, pathway):
            cause, new = "route_changed", ""
    if cause is None:
        return
    said = f"{ANSWER_WORDS[standing.state]} on {periods.in_words(standing.since)}"
    text = f"Escalated: {said[0].lower()}{said[1:]}; since then {new}" if new else f"{said}: graded now"
    to = "review" if standing.state in ("declined", "not_appropriate") else "waiting"
    noted = _now(decision) if cause == "tier_higher" else {"clinic_id": _clinic(decision)}
    week.take(key, to, cause, text, **noted)


def _is_graded_now(standing: Standing, decision: Row, pathway: Pathway) -> bool:
    """Tell whether somebody whose missing values were to be measured has a route now."""
    return (
        standing.state == "attended"
        and standing.clinic_id == pathway.assessment.id
        and decision["decision"] != "assessment"
    )


def _let_offers_stand(week: Week, key: Key, decision: Row, pathway: Pathway) -> None:
    """Keep to an offer that was made before rather than make it twice."""
    standing, today = week.at(key), week.index_date
    is_free = standing.state in ("listed", "waiting", "did_not_attend") or (
        standing.state in INVITED and not standing.holds_on(today)
    )
    if not is_free or decision["decision"] != OFFER or standing.offered_date is None:
        return
    if today >= periods.months_after(standing.offered_date, pathway.follow_up.ask_again_after_months):
        return
    text = f"Was offered {pathway.offers_in_words} on {periods.in_words(standing.offered_date)}: the offer stands"
    until = today + timedelta(days=pathway.follow_up.call_after_days)
    week.take(key, "offered", "offer_stands", text, clinic_id=OFFER, until_date=until)


# ---------------------------------------------------------------------------------------------- after places are given


def after_placing(week: Week, placements: pl.DataFrame, decisions: pl.DataFrame) -> None:
    """Note who got a place and who did not, and whose tier or clinic changed.

    Args:
        week: The week so far.
        placements: Contract ``derived.placement`` as ``routing`` gives it.
        decisions: Contract ``derived.pathway_decision``.
    """
    decided = {(row["patient_key"], row["pathway"]): row for row in decisions.iter_rows(named=True)}
    for row in placements.sort("patient_key", "pathway").iter_rows(named=True):
        key = (row["patient_key"], row["pathway"])
        if row["placement"] != "list_held" and row["decision"] != "excluded":
            _note_place(week, key, row, decided[key])


def _note_place(week: Week, key: Key, row: Row, decision: Row) -> None:
    standing = week.at(key)
    state, pathway = standing.state, week.book.pathways[key[1]]
    here = {"practice_code": row["practice_code"], **_now(decision), "clinic_id": row["clinic_id"]}
    if row["placement"] == "offered" or (row["clinic_id"] is None and decision["decision"] == OFFER):
        here["clinic_id"] = OFFER
    if state in memory.MARKED:
        _note_tier(week, key, decision)
    reason = row["placement_reason"]
    lead = "New on the pathway: " if state == "new" else ""
    is_on_route = row["placement"] in ("listed", "waiting", "held") and decision["decision"] != OFFER
    if row["placement"] == "offered":
        until = week.index_date + timedelta(days=pathway.follow_up.call_after_days)
        week.take(key, "offered", "offer_made", f"{lead}{_offered(pathway)}", **here, until_date=until)
    elif state in ("offered", "stepped_up") and is_on_route:
        to = "listed" if row["placement"] == "listed" else "waiting"
        week.take(key, to, "route_changed", f"Another route is proposed now: {reason}", **here)
    elif state in ("new", "waiting") and row["placement"] == "listed":
        week.take(key, "listed", "placed", f"{lead}{reason}", **here)
    elif state in ("new", "listed") and row["placement"] != "listed":
        week.take(key, "waiting", "no_place", f"{lead}{reason}", **here)
    elif state in ("listed", "waiting", "did_not_attend", *INVITED) and here["clinic_id"] != week.at(key).clinic_id:
        week.take(key, state, "route_changed", f"Another clinic or route is proposed now: {decision['reason']}", **here)


def _offered(pathway: Pathway) -> str:
    return f"Is offered {pathway.offers_in_words}"


def _note_tier(week: Week, key: Key, decision: Row) -> None:
    standing = week.at(key)
    before, now = standing.tier_rank, decision["tier_rank"]
    if before == now:
        return
    is_now, was = (_tier_in_words(week.book, key[1], tier) for tier in (decision["tier"], standing.tier))
    if now is None or before is None:
        cause = "tier_known"
        text = f"Graded now: {is_now}" if before is None else f"Can no longer be graded, was {was}"
    else:
        cause = "tier_higher" if now < before else "tier_lower"
        lead = "Escalated: the tier is higher" if now < before else "The tier is lower"
        text = f"{lead}: {is_now}, was {was}"
    week.take(key, standing.state, cause, text, tier=decision["tier"], tier_rank=now)


def _tier_in_words(book: RuleBook, pathway: str, tier: str | None) -> str | None:
    """Give what a tier is called; as it is noted where the rule book no longer has it."""
    score = book.scores.get(book.pathways[pathway].tier_from or "")
    return next((each.label for each in score.tiers if each.tier == tier), tier) if score else tier
