"""Puts everybody with a decision together: who gets which place this week, who waits, and why.

One action a person: a place at a clinic comes before an assessment visit, that before a clinician's look at the record,
that before an offer of self-management. Within a clinic the order is tier, then the pathway's own ranking, then
deprivation (most deprived first), then the pseudonym, so that it never depends on the alphabet or on chance. Sees only
people with a decision; keeps no memory of earlier weeks. Which lists are held is for ``fitness``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import polars as pl

from stratify import pools
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
    offers: tuple[Offer, ...] = ()
    language: str | None = None
    offer_id: str | None = None
    placement: str = "not_listed"
    reason: str = ""
    clinic_date: date | None = None
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
        most_minutes: Minutes that each role may see people in a week at one clinic of one audience.

    Returns:
        Contract ``derived.placement``: every person at most once ``listed`` or ``offered``; no session above its
        places; everybody else waiting, held or not listed, with the reason.
    """
    everybody = _candidates(decisions, persons, values, book)
    candidates = [each for each in everybody if not _is_list_held(each, held)]
    coming = pools.sessions(capacity, index_date=index_date, most_minutes=most_minutes)
    free = pools.sessions_by_list(coming, pools.networks(persons))
    busy: dict[str, str] = {}
    _fill_clinics(candidates, free, busy)
    _fill_worklists(candidates, busy)
    _make_offers(candidates, free, busy)
    return _frame(everybody)


def _is_list_held(each: _Candidate, held: Mapping[tuple[str, str | None], str]) -> bool:
    """Set somebody aside whose list is held; whoever is excluded is so by the person's own record, and stays it."""
    why = [held[key] for key in ((each.pathway.id, None), (each.pathway.id, each.practice)) if key in held]
    if not why or each.decision == "excluded":
        return False
    each.placement = "list_held"
    each.reason = f"The {each.pathway.label} list is held this week: {'; '.join(dict.fromkeys(why))}"
    return True


def _candidates(
    decisions: pl.DataFrame, persons: pl.DataFrame, values: pl.DataFrame, book: RuleBook
) -> list[_Candidate]:
    people = {}
    figures: dict[tuple[str, str], float] = {}
    for key, practice, _, decile, age, language in persons.select(PERSON_COLUMNS).iter_rows():
        people[key] = (practice, decile, language)
        if age is not None:
            figures[key, "age_years"] = age
    ranking = {step.variable for pathway in book.pathways.values() for step in pathway.rank_by}
    known = values.filter(pl.col("variable").is_in(sorted(ranking)) & (pl.col("state") == "known"))
    for key, variable, value in known.select("patient_key", "variable", "value").iter_rows():
        figures[key, variable] = value
    nought = {step for step in ranking if step in book.variables and _is_nought_without_records(step, book)}
    columns = ("patient_key", "pathway", "decision", "clinic_id", "tier_rank", "reason", "rule_id")
    found = []
    for key, pathway_id, decision, clinic, tier_rank, reason, rule in decisions.select(columns).iter_rows():
        if decision == "not_eligible":
            continue
        pathway = book.pathways[pathway_id]
        practice, decile, language = people[key]
        order = (_last_if_none(tier_rank), *_ranks(key, pathway, figures, nought), _last_if_none(decile), key)
        offers = pathway.offers_of(rule) if decision == "self_management" else ()
        found.append(_Candidate(key, pathway, practice, decision, clinic, order, reason, offers, language))
    return sorted(found, key=lambda each: (each.pathway.precedence, each.order))


def _is_nought_without_records(name: str, book: RuleBook) -> bool:
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
    wanted = [each for each in candidates if each.decision == "clinic" and each.practice and each.clinic]
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
        session = next((row for row in free.get(_at(each), ()) if row.places > 0), None)
        if not clinic.needs_capacity:
            each.placement, each.reason = "listed", each.rule_reason
        elif session:
            session.places -= 1
            each.placement, each.reason, each.clinic_date = "listed", "Has a place", session.clinic_date
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
            each.reason = f"{label} is full this week: number {each.rank} of {of_all} in order of need"
        else:
            each.reason = f"No session of {label} is planned for this practice in the coming week"
        if each.placement == "waiting":
            waits.setdefault(each.key, _HELD_TEXTS["waiting"].format(clinic=label))
    busy.update(waits)


def _at(each: _Candidate) -> tuple[str, str]:
    return (str(each.clinic), str(each.practice))


def _fill_worklists(candidates: Sequence[_Candidate], busy: dict[str, str]) -> None:
    for decision in ("assessment", "clinician_review"):
        ranks: dict[tuple[str, str], int] = {}
        mine = [each for each in candidates if each.decision == decision and each.practice]
        for each in mine:
            if each.key in busy:
                each.placement, each.reason = "held", busy[each.key]
                continue
            ranks[_at(each)] = each.rank = ranks.get(_at(each), 0) + 1
            each.placement, each.reason = "listed", each.rule_reason
            busy[each.key] = _HELD_TEXTS[decision].format(label=each.pathway.label)


def _make_offers(
    candidates: Sequence[_Candidate], free: Mapping[tuple[str, str], list[Session]], busy: dict[str, str]
) -> None:
    for each in candidates:

        def take_place(offer_id: str, practice: str = str(each.practice)) -> bool:
            session = next((row for row in free.get((offer_id, practice), ()) if row.places > 0), None)
            if session:
                session.places -= 1
            return session is not None

        if each.decision == "self_management" and each.practice:
            if each.key in busy:
                each.placement, each.reason = "held", busy[each.key]
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
        if each.decision not in ("excluded", "not_eligible"):
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
        "priority_rank": pl.Int64,
        "other_needs": pl.String,
    }
    return pl.DataFrame(rows, schema=schema).sort("patient_key", "pathway")
