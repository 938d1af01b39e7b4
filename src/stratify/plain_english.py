"""Scores, pathways and their rules in words that a nurse can read.

The vocabulary is closed, so each thing that can be said in ``clinical/`` has one wording here: ``rule_pages`` and
``rule_sheets`` put the rule book together from it, and ``stratify explain`` uses the smaller pieces. Text only: what
the words mean for a person is reckoned in ``features``, ``scores``, ``pathways`` and ``routing``, and this module must
say what they do. It decides nothing and knows nobody.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from stratify.pathways import SHORT_REGISTRATION_MONTHS, STATUS_REASONS
from stratify.periods import in_words
from stratify.pools import DAYS_AHEAD
from stratify.rule_words import (
    STATUS_WORDS,
    YES_OR_NO,
    band_in_words,
    edges_in_words,
    figure,
    label_of,
    plus,
    table,
    unit_of,
)
from stratify.rulebook import RuleBook
from stratify.rules import (
    EDGES,
    Clinic,
    Condition,
    FollowUp,
    Pathway,
    Points,
    RankBy,
    Route,
    Score,
    Tier,
)
from stratify.variable_words import variable_in_words

__all__ = [
    "STATUS_WORDS",
    "condition_in_words",
    "method_in_words",
    "pathway_facts",
    "pathway_text",
    "points_rows",
    "proposal_in_words",
    "route_in_words",
    "route_rows",
    "score_unknown_in_words",
    "several_pathways",
    "shared_steps",
    "tier_in_words",
    "tier_name",
    "tier_rows",
    "variable_in_words",
]

_DECISIONS = {
    "self_management": "self-management",
    "assessment": "an assessment visit",
    "clinician_review": "a clinician's review of the record",
    "excluded": "nothing: left out of this pathway, with the reason",
    "not_eligible": "nothing: not eligible for this pathway",
}
_ROLES = {"gp": "GP"}

_FIXED_RULES = {
    "person_status": "somebody who is no longer a patient of a practice of this run is left out",
    "identity_doubt": "somebody whose identity is in doubt goes to a clinician's review of the record",
    "contradictory": "records contradict each other where it could change the route: a clinician reviews them",
    "cannot_grade": "something missing or out of date could change the route: an assessment visit collects it",
}

# --------------------------------------------------------------------------------------------------------- the pieces


def condition_in_words(condition: Condition, book: RuleBook) -> str:
    """Say a condition on one line, for example ``MRC dyspnoea grade: at least 4; or Cor pulmonale in 5 years: yes``."""
    if condition.variable:
        edges = edges_in_words(condition, unit_of(condition.variable, book))
        return f"{label_of(condition.variable, book)}: {'no' if _is_no(condition, book) else edges}"
    if condition.score:
        score = book.scores[condition.score]
        wanted = [tier_name(each) for each in score.tiers if each.tier in (condition.tier_in or ())]
        return f"{score.label}: {' or '.join(wanted)}"
    only = condition.none_of[0] if condition.none_of and len(condition.none_of) == 1 else None
    if only and only.variable and (only.is_true or only.is_missing):
        return f"{label_of(only.variable, book)}: {'no' if only.is_true else 'known'}"
    parts = _parts(condition, book)
    if condition.at_least_of:
        return f"at least {condition.at_least_of.count} of ({'; '.join(parts)})"
    if condition.none_of:
        return f"not {parts[0]}" if len(parts) == 1 else f"none of ({'; '.join(parts)})"
    if condition.any_known_of:
        return f"any of these, as far as they are known ({'; or '.join(parts)})"
    return ("; and " if condition.all_of else "; or ").join(parts)


def _is_no(condition: Condition, book: RuleBook) -> bool:
    """Tell whether a comparison says no to what is only yes or no."""
    variable = book.variables.get(condition.variable or "")
    edges = {name for name in EDGES if getattr(condition, name) is not None}
    return variable is not None and variable.take == "has" and edges == {"below"} and condition.below == 1


def tier_in_words(score: Score | str, tier: Tier | str, book: RuleBook) -> str:
    """Say when a score gives a tier.

    Args:
        score: A score or its id.
        tier: One of its tiers, or its name.
        book: The rule book.
    """
    score = book.scores[score] if isinstance(score, str) else score
    tier = next(each for each in score.tiers if each.tier == tier) if isinstance(tier, str) else tier
    return f"{tier_name(tier)}: {_tier_when(score, tier, book)}"


def route_in_words(route: Route | str, pathway: Pathway, book: RuleBook) -> str:
    """Say when a pathway takes a route and what it proposes.

    Args:
        route: A route, or the ``rule_id`` of a decision: also of the rules that every pathway has.
        pathway: The pathway.
        book: The rule book.
    """
    if isinstance(route, str):
        if route in _FIXED_RULES and route not in {each.id for each in pathway.routes}:
            return f"Every pathway: {_FIXED_RULES[route]}."
        route = next(each for each in pathway.routes if each.id == route)
    when = f"When {condition_in_words(route.when, book)}" if route.when else "Everybody else on the pathway"
    return f"{when} → {proposal_in_words(route, pathway)}."


# ---------------------------------------------------------------------------------------------------- words and figures


def tier_name(tier: Tier) -> str:
    """Give the name of a tier for people to read; its own where that is an abbreviation, and no mere id."""
    is_said = tier.tier.lower() in tier.label.lower() or tier.tier.islower()
    return tier.label if is_said else f"{tier.label} ({tier.tier})"


def _tier_when(score: Score, tier: Tier, book: RuleBook) -> str:
    if tier.when:
        otherwise = "" if tier == score.tiers[0] else "otherwise, when "
        return otherwise + condition_in_words(tier.when, book)
    if score.is_decision_list:
        return "everybody else, once no rule above can hold"
    if not _is_proportion(score):
        return edges_in_words(tier, score.unit or "")
    total = len(score.points or ())
    counts = [count for count in range(total + 1) if _is_within(round(count / total, 6), tier)]
    whole = f"{counts[0]} to {counts[-1]} of {total}" if counts else f"no whole number of {total}"
    return f"{edges_in_words(tier, '')} ({whole})"


def _is_proportion(score: Score) -> bool:
    """Say whether the score is how many of some things are present, over how many there are."""
    return score.is_count and score.divide_by == len(score.points or ()) > 1


def _is_within(value: float, tier: Tier) -> bool:
    tests = {"above": operator.gt, "at_least": operator.ge, "below": operator.lt, "at_most": operator.le}
    edges = ((test, getattr(tier, name)) for name, test in tests.items())
    return all(test(value, edge) for test, edge in edges if edge is not None)


def _role(role: str) -> str:
    return _ROLES.get(role, role.replace("_", " "))


def _parts(condition: Condition, book: RuleBook) -> list[str]:
    return [
        f"({condition_in_words(each, book)})" if len(each.parts) > 1 else condition_in_words(each, book)
        for each in condition.parts
    ]


def _stacked(condition: Condition, book: RuleBook) -> str:
    """Say a condition with one part a line, for the cell of a table."""
    if len(condition.parts) < 2 or not (condition.all_of or condition.any_of):
        return condition_in_words(condition, book)
    return ("<br>and " if condition.all_of else "<br>or ").join(_parts(condition, book))


# ------------------------------------------------------------------------------------------------------------- pathways


def shared_steps() -> str:
    out = ", ".join(words[0].lower() + words[1:] for words in STATUS_REASONS.values())
    return f"""\
Every pathway begins with the same four steps; only then do its own routes apply, from the top, the first that holds.

1. **Left out, with the reason**: {out}.
2. **Identity in doubt** → a clinician's review of the record.
3. **Records contradict each other** where that could change the route → a clinician's review of the record.
4. **Something is missing or out of date** that could change the route → an assessment visit that collects it. Somebody
   of whom it is not known whether they belong on the pathway goes there too.

"Could change the route" means: a route nearer the top is not known, and it leads somewhere other than the route that
holds. Whoever already qualifies for the highest route goes there, whatever else is missing. A missing value that would
lead to the same place changes nothing; it is shown as a data gap. Somebody registered for less than
{SHORT_REGISTRATION_MONTHS} months carries the gap "the record may be incomplete".
"""


def several_pathways(pathways: Sequence[Pathway]) -> str:
    order = ", then ".join(each.label for each in pathways)
    return f"""\
**One action a week for one person.** A list fills the sessions of the {DAYS_AHEAD} days from the index date on. Places
at clinics are given out first, then assessment visits, then reviews of the record, then offers of self-management;
within each, pathways in the order {order}. Whoever has one of them is not given another; the other need is shown beside
it. Whoever waits for a place is offered nothing less meanwhile. A session has as many places as the role with the
fewest slots.
"""


def pathway_facts(pathway: Pathway, book: RuleBook) -> list[tuple[str, str]]:
    """Give what stands at the head of a pathway, by title."""
    score = book.scores[pathway.tier_from] if pathway.tier_from else None
    status = "published" if pathway.is_published else "a draft: it is worked out, and no list is published"
    return [
        ("Version", f"{pathway.version}, {status}"),
        ("Clinical lead", pathway.clinical_lead or "to be named: until then it stays a draft"),
        ("To be reviewed by", in_words(pathway.review_date) if pathway.review_date else "to be settled"),
        *([("Patients read", pathway.plain_name)] if pathway.plain_name else []),
        ("Source", pathway.source),
        *([("Note", pathway.note)] if pathway.note else []),
        ("Who is on it", condition_in_words(pathway.cohort, book)),
        *((_tier_label(tier, score), text) for tier, text in pathway.graded_response.items() if score),
    ]


def route_rows(pathway: Pathway, book: RuleBook) -> list[tuple[str, ...]]:
    """Give the routes in order: number, id, when, what is proposed, reason given, what happens when not known."""
    return [
        (
            str(number),
            f"`{each.id}`",
            _stacked(each.when, book) if each.when else "everybody else",
            proposal_in_words(each, pathway),
            each.reason,
            _when_unknown(each),
        )
        for number, each in enumerate(pathway.routes, 1)
    ]


def pathway_text(pathway: Pathway, book: RuleBook) -> str:
    """Write the routes of a pathway, the order of its clinics, what it offers, checks and shows, in Markdown."""
    score = book.scores[pathway.tier_from] if pathway.tier_from else None
    head = ("", "Route", "When", "What is proposed", "Reason given", "When that is not known")
    shown = "".join(f"- {label_of(name, book)}\n" for name in pathway.show)
    rest = f"those that were found:\n\n{shown}" if shown else "and no others.\n"
    return (
        "## Where each person goes\n\n"
        "After the [steps that every pathway begins with](../README.md#first-steps), the first of these that holds"
        f" decides.\n\n{table(head, route_rows(pathway, book))}\n"
        f"## In which order a clinic sees people\n\n{_ranking(pathway, score, book)}\n"
        f"## Clinics, worklists and offers\n\n{_clinic_table(pathway)}\n"
        f"{_agendas(pathway)}{_check_table(pathway, book)}{_offers(pathway)}"
        f"## Afterwards\n\n{_afterwards(pathway.follow_up)}\n\n"
        f"{_coded(pathway, book)}{_roster(pathway, book)}"
        f"## Facts given as reasons\n\nThe deciding ones first, then {rest}"
    )


def proposal_in_words(route: Route, pathway: Pathway) -> str:
    if route.clinic:
        return pathway.clinic(route.clinic).label
    if route.decision == "self_management":
        return f"{_DECISIONS['self_management']}: {', else '.join(each.label for each in pathway.offers_of(route.id))}"
    return _DECISIONS[route.decision]


def _when_unknown(route: Route) -> str:
    if route.when is None:
        return "–"
    if route.when_unknown == "pass_over":
        return f'passed over: the next route may decide, with the data gap "{route.gap}"'
    return "steps 3 and 4 above, if a later route would lead elsewhere"


def _tier_label(tier: str, score: Score) -> str:
    return next(each.label for each in score.tiers if each.tier == tier)


def _ranking(pathway: Pathway, score: Score | None, book: RuleBook) -> str:
    steps = [f"{score.label} ({', '.join(each.tier for each in score.tiers)})"] if score else []
    steps += [_rank_step(each, book) for each in pathway.rank_by]
    steps += [
        "the longest wait first",
        "the more deprived area first",
        "by pseudonym, so that neither names nor chance decide",
    ]
    listed = "".join(f"{number}. {step[0].upper()}{step[1:]}\n" for number, step in enumerate(steps, 1))
    return f"{listed}\nWhat is not known comes last in its step.\n"


def _rank_step(step: RankBy, book: RuleBook) -> str:
    return f"{label_of(step.variable, book)}, {'highest' if step.first == 'most' else 'lowest'} first"


def _agendas(pathway: Pathway) -> str:
    """Give the questions that a clinic asks about each person."""
    return "".join(
        f"**Asked about each person**, {each.label}: {' '.join(each.agenda)}\n\n"
        for each in (*pathway.clinics, pathway.assessment, pathway.clinician_review)
        if each.agenda
    )


def _check_table(pathway: Pathway, book: RuleBook) -> str:
    if not pathway.checks:
        return ""
    rows = (
        (
            each.label,
            _role(each.by),
            _stacked(each.when, book) if each.when else "everybody",
            f"{each.again_after_days} days after {label_of(each.done, book)}" if each.done else "no record says when",
        )
        for each in pathway.checks
    )
    words = "Belongs to the review, and is not done again within its window:"
    return f"{words}\n\n{table(('Check', 'By', 'For whom', 'Due again'), rows)}\n"


def _offers(pathway: Pathway) -> str:
    if not pathway.offers:
        return ""
    words = "; ".join(
        f"{each.label} (`{each.id}`"
        + (f", held in {', '.join(each.languages)}" if each.languages else "")
        + (", places are limited" if each.needs_places else "")
        + ")"
        for each in pathway.offers
    )
    return f"**{'Offers' if len(pathway.offers) > 1 else 'Offer'}** instead of a clinic: {words}.\n\n"


def _afterwards(follow: FollowUp) -> str:
    """Say how long each answer, and each silence, holds."""
    return (
        f"An invitation without an answer is repeated after {follow.invite_again_after_days} days, and after the third "
        f"a clinician looks; an offer not taken up is a call after {follow.call_after_days} days; who attended or uses "
        f"the offer is due again after {follow.review_after_months} months, who declined is asked again after "
        f"{follow.ask_again_after_months}, and not appropriate is looked at again after "
        f"{follow.reconsider_after_months}; a higher tier or an emergency admission opens again, after a no only by "
        f"way of a clinician. No other pathway invites within {follow.contact_apart_days} days of an invitation."
    )


def _coded(pathway: Pathway, book: RuleBook) -> str:
    """Say what in the GP record counts as an answer."""
    means = {
        "attended": "was seen",
        "activated": "uses what was offered",
        "declined": "said no",
    }
    lines = [
        f"- {book.codelists[each.codelist].entry.label} (`{each.codelist}`), while on the list or waiting for "
        + (pathway.offers_in_words if each.at == "self_management" else pathway.clinic(each.at).label)
        + f": {means[each.means]}\n"
        for each in pathway.coded
    ]
    return f"An entry of the GP record counts as an answer, from its date:\n\n{''.join(lines)}\n" if lines else ""


def _roster(pathway: Pathway, book: RuleBook) -> str:
    """Say what the roster of care homes shows."""
    if pathway.roster is None:
        return ""
    clinic = pathway.clinic(pathway.roster.clinic)
    after = ", or ".join(label_of(name, book) for name in pathway.roster.visit_after)
    within = f"; visit within {clinic.within_working_days} working days after: {after}" if after else ""
    return (
        f"Roster by care home, beside the list of {clinic.label}: everybody on the pathway, on the list or not; plan: "
        f"{label_of(pathway.roster.plan, book)}{within}.\n\n"
    )


def _clinic_table(pathway: Pathway) -> str:
    def row(each: Clinic) -> tuple[str, str, str]:
        places = "sessions with slots for every role" if each.needs_capacity else "a worklist without sessions"
        places += f", {each.minutes} minutes for one person" if each.minutes else ""
        places += f", every {each.every_days} days" if each.every_days else ""
        places += f", within {each.within_working_days} working days" if each.within_working_days else ""
        places += f"; led by the {_role(each.lead).lower()}" if each.lead else ""
        return f"{each.label} (`{each.id}`)", ", ".join(_role(role) for role in each.roles), places

    return table(("Clinic or worklist", "Roles", "Places"), (row(each) for each in pathway.places))


# --------------------------------------------------------------------------------------------------------------- scores


def tier_rows(score: Score, book: RuleBook) -> list[tuple[str, str, str]]:
    """Give the tiers in order, the highest need first: number, name, when."""
    return [
        (
            str(number),
            tier_name(each),
            _stacked(each.when, book) if each.when else _tier_when(score, each, book),
        )
        for number, each in enumerate(score.tiers, 1)
    ]


def points_rows(score: Score, book: RuleBook) -> list[tuple[str, str, str, str]]:
    """Give what adds to a score of points: what, which part of it, how much, and how much when it is not known."""
    return [
        (what, which, added, "" if item.when_unknown is None else figure(item.when_unknown))
        for item in score.points or ()
        for what, which, added in _item_in_words(item, book)
    ]


def _item_in_words(item: Points, book: RuleBook) -> list[tuple[str, str, str]]:
    if item.when:
        return [(item.label or condition_in_words(item.when, book).removesuffix(": yes"), "", figure(item.given))]
    name = item.variable or ""
    what = item.label or label_of(name, book)
    unit = unit_of(name, book)
    if item.bands:
        return [(what, band_in_words(band, name, book), figure(band.points)) for band in item.bands]
    value = "1 if so, 0 if not" if unit == YES_OR_NO or name in ("is_male", "is_female") else "the value"
    value += f" in {unit}" if value == "the value" and unit else ""
    if item.divide_by != 1:
        value += f" divided by {figure(item.divide_by)}"
    if item.power:
        value = f"the square of {value}"
    if item.log:
        value = f"the natural logarithm of {value}"
    return [(what, "", f"{figure(item.times or 0)} times ({value}{f', {plus(-item.minus)}' if item.minus else ''})")]


def method_in_words(score: Score, book: RuleBook) -> str:
    if score.value_of:
        return f"the value of {label_of(score.value_of, book)}"
    if not score.points:
        return "the first tier whose rule holds, from the top"
    total = len(score.points)
    if _is_proportion(score):
        return f"how many of {total} things are present, divided by {total}; each counts once"
    text = "what is listed below, added up"
    if score.add:
        text += f", {plus(score.add)}"
    if score.divide_by != 1:
        text += f", divided by {figure(score.divide_by)}"
    if score.no_less_than is not None:
        text += f", no less than {figure(score.no_less_than)}"
    if score.no_more_than is not None:
        text += f", no more than {figure(score.no_more_than)}"
    if score.link:
        text += "; that is turned into a probability by the logistic function, 1 ÷ (1 + e^−sum)"
    if score.baseline_survival:
        text += f"; that is turned into a risk, 1 − {figure(score.baseline_survival)}^(e^sum)"
    return text


def score_unknown_in_words(score: Score, book: RuleBook) -> str:
    if score.is_decision_list:
        text = (
            "a tier nearer the top stays possible until it is ruled out, so a lower tier is settled only when every one"
            " above it is known not to hold"
        )
    elif score.is_count and score.points:
        text = "what has no record counts as absent; what is not known leaves "
        text += "higher tiers possible" if score.tiers else "a higher value possible"
    elif score.points:
        text = "no value is given while something that adds to it is not known"
        if any(each.when_unknown is not None for each in score.points):
            text += ", but for what is given points even then"
        if score.tiers:
            text += ", and every tier stays possible that what is known leaves open"
    else:
        text = "without a value every tier stays possible and none is given"
    if score.withheld_when_absent:
        text += f'; with no record at all there is no score: "{score.withheld_when_absent}"'
    if score.understated_when:
        text += f". While {condition_in_words(score.understated_when, book)}, the value can only be too low: " + (
            "higher tiers stay possible" if score.tiers else "it is marked incomplete"
        )
    return text
