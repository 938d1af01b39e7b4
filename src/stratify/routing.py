"""Puts everybody with a decision together: who gets which place this week, who waits, and why.

One action a person: a place at a clinic comes before an assessment visit, that before a clinician's look at the record,
that before a call about an offer, that before an offer of self-management. Within a clinic the order is tier, then the
pathway's own ranking, then the longest wait, then deprivation (most deprived first), then the pseudonym, so that it
never depends on the alphabet or on chance. Obeys what is remembered of earlier weeks: whoever is booked, invited, seen
or said no is on no list. Sees only people with a decision. Which lists are held is for ``fitness``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import polars as pl

from stratify import memory, pools
from stratify.lots import Lots, Tie
from stratify.memory import Standing, Standings
from stratify.offering import choose_offer
from stratify.pools import Session
from stratify.rulebook import RuleBook
from stratify.rules import Offer, Pathway

PERSON_COLUMNS = ("patient_key", "practice_code", "pcn_code", "imd_decile", "age_years", "preferred_language")
"""What is read of contract ``core.person``."""

_HELD_TEXTS = {
    "clinic": "Has a place at {clinic} this week: to be dealt with there",
    "waiting": "Waits for a place at {clinic}: nothing else is offered until then",
    "assessment": "Has an assessment visit on the {label} pathway: to be dealt with there",
    "clinician_review": "A clinician looks at the record first, on the {label} pathway",
    "call": "Is rung about an offer on the {label} pathway: to be dealt with there",
}


@dataclass
class _Candidate:
    key: str
    pathway: Pathway
    practice: str | None
    decision: str
    clinic: str | None
    order: tuple[tuple[bool, float] | str, ...]
    rule_reason: str
    standing: Standing
    route: str
    """What is done about the person: the decision, or what memory puts in its place."""
    offers: tuple[Offer, ...] = ()
    language: str | None = None
    offer_id: str | None = None
    placement: str = "not_listed"
    reason: str = ""
    clinic_date: date | None = None
    session_serves: str | None = None
    rank: int | None = None


def place(
    decisions: pl.DataFrame,
    persons: pl.DataFrame,
    values: pl.DataFrame,
    capacity: pl.DataFrame,
    book: RuleBook,
    *,
    index_date: date,
    held: Mapping[tuple[str, str | None], str] = MappingProxyType({}),
    most_minutes: Mapping[str, int] = MappingProxyType({}),
    standing: Standings | None = None,
    lots: Lots | None = None,
) -> pl.DataFrame:
    """Give each decision its place this week.

    A held list takes no place from anybody: its people are set aside before any is given out, and keep what the other
    pathways they are on have for them.

    Args:
        decisions: Contract ``derived.pathway_decision``; ``not_eligible`` ones are left out.
        persons: ``PERSON_COLUMNS`` of contract ``core.person``.
        values: Contract ``derived.variable_value``, at least the variables that pathways rank by.
        capacity: Contract ``core.clinic_capacity``.
        book: The rule book.
        index_date: The day the run describes.
        held: Why lists are held, by pathway and practice; None for every practice.
        most_minutes: Minutes that each role may see people in a week for one audience, at all its clinics.
        standing: Where people stand after earlier weeks and this week's answers; None in the first week.
        lots: Lots that may decide among people who tie at the last place of a list; None where none may.

    Returns:
        Contract ``derived.placement`` but for what memory adds: every person at most once ``listed`` or ``offered``; no
        session above its places, those booked before counted; everybody else waiting, held or not listed, with the
        reason.
    """
    known = standing or {}
    everybody = _candidates(decisions, persons, values, book, known, index_date)
    free = _place(everybody, persons, capacity, book, known, index_date, held, most_minutes)
    if lots and lots.seeds:
        ties = _ties(everybody, free)
        if turns := lots.draw(ties):
            everybody = _in_turn(_candidates(decisions, persons, values, book, known, index_date), turns)
            _place(everybody, persons, capacity, book, known, index_date, held, most_minutes)
            _say_lot(everybody, ties, turns)
    return _frame(everybody)


def _place(
    everybody: list[_Candidate],
    persons: pl.DataFrame,
    capacity: pl.DataFrame,
    book: RuleBook,
    known: Standings,
    index_date: date,
    held: Mapping[tuple[str, str | None], str],
    most_minutes: Mapping[str, int],
) -> dict[tuple[str, str], list[Session]]:
    """Give everybody their place, in the order in which they stand; gives the sessions by list, as they are left."""
    contacts = _contacts(known, book, index_date)
    candidates = [
        each
        for each in everybody
        if not _is_list_held(each, held)
        and not _is_in_hand(each, index_date)
        and not _is_spoken_to(each, contacts.get(each.key, {}))
    ]
    coming = pools.sessions(capacity, index_date=index_date, most_minutes=most_minutes)
    free = pools.sessions_by_list(coming, pools.networks(persons))
    _keep_booked_places(known, free)
    busy: dict[str, str] = {}
    _fill_clinics(candidates, free, busy)
    _fill_worklists(candidates, busy)
    _make_offers(candidates, free, busy, _offered_to(known, book, index_date))
    return free


def _ties(candidates: Sequence[_Candidate], free: Mapping[tuple[str, str], list[Session]]) -> list[Tie]:
    """Find the lists of a practice's own whose last place falls among people whom nothing but the pseudonym orders."""
    alike: dict[tuple[object, ...], list[_Candidate]] = {}
    for each in candidates:
        is_here = each.rank and each.route == "clinic" and each.placement in ("listed", "waiting")
        if is_here and _at(each) in free and pools.queue_of(*_at(each), free) == _at(each):
            alike.setdefault((each.pathway.id, *_at(each), each.order[:-1]), []).append(each)
    found = []
    for group in alike.values():
        places = sum(each.placement == "listed" for each in group)
        if 0 < places < len(group):
            first = group[0]
            keys = tuple(each.key for each in group)
            found.append(Tie(first.pathway.id, str(first.clinic), str(first.practice), keys, places))
    return found


def _in_turn(people: Sequence[_Candidate], turns: Mapping[tuple[str, str], str]) -> list[_Candidate]:
    """Order people anew, those of whom a lot was drawn by their turn: only they change places, and among themselves."""
    for each in people:
        each.order = (*each.order[:-1], turns.get((each.key, each.pathway.id), each.key))
    return sorted(people, key=lambda each: (each.pathway.precedence, each.order))


def _say_lot(everybody: Sequence[_Candidate], ties: Sequence[Tie], turns: Mapping[tuple[str, str], str]) -> None:
    tied = {(key, tie.pathway): tie for tie in ties for key in tie.keys if (key, tie.pathway) in turns}
    for each in everybody:
        if tie := tied.get((each.key, each.pathway.id)):
            each.reason += f" (by lot: {len(tie.keys)} people equally in need, {tie.places} of the places)"


def _is_in_hand(each: _Candidate, day: date) -> bool:
    """Set somebody aside of whom memory says that nothing is to be done this week, with the reason."""
    why = memory.in_hand(each.standing, each.pathway, route=each.decision, day=day)
    if why is None or each.decision == "excluded":
        return False
    each.reason = why
    return True


def _keep_booked_places(known: Standings, free: Mapping[tuple[str, str], list[Session]]) -> None:
    """Take the places of people who are booked for a session of this week out of what is given out."""
    for standing in known.values():
        if standing.state == "booked":
            for session in free.get((str(standing.clinic_id), str(standing.practice_code)), ()):
                if session.clinic_date == standing.until and session.places > 0:
                    session.take()


def _contacts(known: Standings, book: RuleBook, day: date) -> dict[str, dict[str, str]]:
    """Give, by person and pathway, the open invitation or appointment that keeps other pathways from inviting."""
    found: dict[str, dict[str, str]] = {}
    for (key, name), standing in sorted(known.items()):
        if name in book.pathways and (why := memory.contact_in_words(standing, book.pathways[name], day=day)):
            found.setdefault(key, {})[name] = why
    return found


def _is_spoken_to(each: _Candidate, contacts: Mapping[str, str]) -> bool:
    """Set somebody aside who has an invitation or appointment on another pathway; a look at the record is neither."""
    if not contacts or each.pathway.id in contacts or each.route in ("excluded", "clinician_review"):
        return False
    each.placement, each.reason = "held", next(iter(contacts.values()))
    return True


def _offered_to(known: Standings, book: RuleBook, day: date) -> dict[str, tuple[str, str]]:
    """Give, by person, the pathway with an open offer and what is said of it."""
    found: dict[str, tuple[str, str]] = {}
    for (key, name), standing in sorted(known.items()):
        if name in book.pathways and (why := memory.offer_in_words(standing, book.pathways[name], day=day)):
            found.setdefault(key, (name, why))
    return found


def _is_list_held(each: _Candidate, held: Mapping[tuple[str, str | None], str]) -> bool:
    """Set somebody aside whose list is held; whoever is excluded is so by the person's own record, and stays it."""
    why = [held[key] for key in ((each.pathway.id, None), (each.pathway.id, each.practice)) if key in held]
    if not why or each.decision == "excluded":
        return False
    each.placement = "list_held"
    each.reason = f"The {each.pathway.label} list is held this week: {'; '.join(dict.fromkeys(why))}"
    return True


def _candidates(
    decisions: pl.DataFrame,
    persons: pl.DataFrame,
    values: pl.DataFrame,
    book: RuleBook,
    known: Standings,
    index_date: date,
) -> list[_Candidate]:
    people = {}
    figures: dict[tuple[str, str], float] = {}
    for key, practice, _, decile, age, language in persons.select(PERSON_COLUMNS).iter_rows():
        people[key] = (practice, decile, language)
        if age is not None:
            figures[key, "age_years"] = age
    ranking = {step.variable for pathway in book.pathways.values() for step in pathway.rank_by}
    usable = values.filter(pl.col("variable").is_in(sorted(ranking)) & (pl.col("state") == "known"))
    for key, variable, value in usable.select("patient_key", "variable", "value").iter_rows():
        figures[key, variable] = value
    nought = {step for step in ranking if step in book.variables and is_nought_without_records(step, book)}
    columns = ("patient_key", "pathway", "decision", "clinic_id", "tier_rank", "tier_value", "reason", "rule_id")
    found = []
    for key, pathway_id, decision, clinic, tier_rank, value, reason, rule in decisions.select(columns).iter_rows():
        if decision == "not_eligible":
            continue
        pathway = book.pathways[pathway_id]
        practice, decile, language = people[key]
        standing = known.get((key, pathway_id), Standing())
        wait = float((standing.waiting_since or index_date).toordinal())
        if pathway.tier_from and value is not None:
            figures[key, pathway.tier_from] = value
        ranks = _ranks(key, pathway, figures, nought)
        order = (_last_if_none(tier_rank), *ranks, (False, wait), _last_if_none(decile), key)
        offers = pathway.offers_of(rule) if decision == memory.OFFER else ()
        each = _Candidate(key, pathway, practice, decision, clinic, order, reason, standing, decision, offers, language)
        found.append(_as_remembered(each))
    return sorted(found, key=lambda each: (each.pathway.precedence, each.order))


def _as_remembered(each: _Candidate) -> _Candidate:
    """Put a clinician's look, or a call, in the place of the decision where memory says so."""
    if each.decision == "excluded":
        return each
    if each.standing.state == "review":
        each.route, each.clinic = "clinician_review", each.pathway.clinician_review.id
        each.rule_reason = each.standing.why
    elif each.standing.state == "stepped_up" and each.decision == memory.OFFER:
        each.route, each.clinic, each.rule_reason = "call", each.pathway.call.id, each.standing.why
    return each


def is_nought_without_records(name: str, book: RuleBook) -> bool:
    """Tell whether a variable that nothing is recorded of counts as nought in the order."""
    return not book.variables[name].is_value and book.variables[name].take != "weight"


def _last_if_none(number: float | None) -> tuple[bool, float]:
    return (number is None, number or 0.0)


def _ranks(
    key: str, pathway: Pathway, figures: Mapping[tuple[str, str], float], nought: Set[str]
) -> tuple[tuple[bool, float], ...]:
    found = []
    for step in pathway.rank_by:
        figure = figures.get((key, step.variable), 0.0 if step.variable in nought else None)
        found.append(_last_if_none(figure if figure is None or step.first == "least" else -figure))
    return tuple(found)


def _fill_clinics(
    candidates: Sequence[_Candidate], free: Mapping[tuple[str, str], list[Session]], busy: dict[str, str]
) -> None:
    ranks: dict[tuple[str, str], int] = {}
    ranked: set[tuple[str, str]] = set()
    wanted = [each for each in candidates if each.route == "clinic" and each.practice and each.clinic]
    for each in wanted:
        clinic = each.pathway.clinic(str(each.clinic))
        if each.key in busy:
            each.placement, each.reason = "held", busy[each.key]
            continue
        each.placement = "waiting"
        if (each.key, clinic.id) in ranked:
            continue
        ranked.add((each.key, clinic.id))
        queue = pools.queue_of(*_at(each), free)
        ranks[queue] = each.rank = ranks.get(queue, 0) + 1
        session = pools.first_free(free.get(_at(each), ()))
        if not clinic.needs_capacity:
            each.placement, each.reason = "listed", each.rule_reason
        elif session:
            session.take()
            each.placement, each.clinic_date = "listed", session.clinic_date
            each.session_serves = session.practice_code
            each.reason = ". ".join(filter(None, ("Has a place", memory.due_in_words(each.standing))))
        if each.placement == "listed":
            busy[each.key] = _HELD_TEXTS["clinic"].format(clinic=clinic.label)
    waiting = [each for each in wanted if each.placement == "waiting"]
    waits: dict[str, str] = {}
    for each in waiting:
        label = each.pathway.clinic(str(each.clinic)).label
        if each.key in busy:
            each.placement, each.reason = "held", busy[each.key]
        elif each.rank is None:  # on two pathways that share the clinic: one person waits there once
            each.placement, each.reason = "held", _HELD_TEXTS["waiting"].format(clinic=label)
        elif _at(each) in free:
            of_all = ranks[pools.queue_of(*_at(each), free)]
            each.reason = f"{_why_full(label, free[_at(each)])}: number {each.rank} of {of_all} in order of need"
        else:
            each.reason = f"No session of {label} is planned for this practice in the coming week"
        if each.placement == "waiting":
            waits.setdefault(each.key, _HELD_TEXTS["waiting"].format(clinic=label))
    busy.update(waits)


def _why_full(label: str, found: Sequence[Session]) -> str:
    role = next((session.used_up for session in found if session.used_up), None)
    if role is None:
        return f"{label} is full this week"
    return f"{label} has slots, and the minutes of the week of the {role.replace('_', ' ')} are given out"


def _at(each: _Candidate) -> tuple[str, str]:
    return (str(each.clinic), str(each.practice))


def _fill_worklists(candidates: Sequence[_Candidate], busy: dict[str, str]) -> None:
    for route in ("assessment", "clinician_review", "call"):
        ranks: dict[tuple[str, str], int] = {}
        mine = [each for each in candidates if each.route == route and each.practice]
        for each in mine:
            if each.key in busy:
                each.placement, each.reason = "held", busy[each.key]
                continue
            ranks[_at(each)] = each.rank = ranks.get(_at(each), 0) + 1
            each.placement, each.reason = "listed", each.rule_reason
            busy[each.key] = _HELD_TEXTS[route].format(label=each.pathway.label)


def _make_offers(
    candidates: Sequence[_Candidate],
    free: Mapping[tuple[str, str], list[Session]],
    busy: dict[str, str],
    open_offers: Mapping[str, tuple[str, str]],
) -> None:
    for each in candidates:

        def take_place(offer_id: str, practice: str = str(each.practice)) -> bool:
            session = pools.first_free(free.get((offer_id, practice), ()))
            if session:
                session.take()
            return session is not None

        if each.route == memory.OFFER and each.practice:
            other, why = open_offers.get(each.key, (each.pathway.id, ""))
            if each.key in busy:
                each.placement, each.reason = "held", busy[each.key]
            elif other != each.pathway.id:
                each.placement, each.reason = "held", why
            else:
                offer, why_not = choose_offer(each.offers, each.language, take_place)
                if offer:
                    each.placement, each.reason, each.offer_id = "offered", each.rule_reason, offer.id
                    busy[each.key] = f"Is offered {offer.label} on the {each.pathway.label} pathway"
                else:
                    each.placement, each.reason = "waiting", why_not
        elif each.decision == "excluded":
            each.reason = each.rule_reason
        elif not each.practice:
            each.reason = "No practice to send the list to"


def _need(each: _Candidate) -> str:
    return each.pathway.label + (" (list held this week)" if each.placement == "list_held" else "")


def _frame(candidates: Sequence[_Candidate]) -> pl.DataFrame:
    on: dict[str, list[tuple[str, str]]] = {}
    for each in candidates:
        if each.decision != "excluded" and each.standing.state not in memory.CLOSED:
            on.setdefault(each.key, []).append((each.pathway.id, _need(each)))
    rows = [
        {
            "patient_key": each.key,
            "pathway": each.pathway.id,
            "practice_code": each.practice,
            "decision": each.decision,
            "clinic_id": each.clinic,
            "offer_id": each.offer_id,
            "placement": each.placement,
            "placement_reason": each.reason,
            "clinic_date": each.clinic_date,
            "session_serves": each.session_serves,
            "priority_rank": each.rank,
            "other_needs": ";".join(need for name, need in on.get(each.key, []) if name != each.pathway.id) or None,
        }
        for each in candidates
    ]
    schema = {
        "patient_key": pl.String,
        "pathway": pl.String,
        "practice_code": pl.String,
        "decision": pl.String,
        "clinic_id": pl.String,
        "offer_id": pl.String,
        "placement": pl.String,
        "placement_reason": pl.String,
        "clinic_date": pl.Date,
        "session_serves": pl.String,
        "priority_rank": pl.Int64,
        "other_needs": pl.String,
    }
    return pl.DataFrame(rows, schema=schema).sort("patient_key", "pathway")
