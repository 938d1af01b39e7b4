"""Every definition of the rule book in words that a nurse can read.

The vocabulary is closed, so each thing that can be said in ``clinical/`` has one wording here; ``docs/rules.md`` is
made by :func:`describe`, and ``stratify explain`` uses the smaller pieces. Text only: what the words mean for a person
is reckoned in ``features``, ``scores``, ``pathways`` and ``routing``, and this module must say what they do. It decides
nothing and knows nobody.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TypeVar

from stratify.pathways import SHORT_REGISTRATION_MONTHS, STATUS_REASONS
from stratify.periods import in_words
from stratify.routing import DAYS_AHEAD
from stratify.rulebook import RuleBook
from stratify.rules import (
    PERSON_FIELDS,
    Clinic,
    Codelist,
    Condition,
    Measurement,
    Pathway,
    RankBy,
    Route,
    Score,
    Size,
    Tier,
    UnitWords,
    Variable,
)

_T = TypeVar("_T", Variable, Score, Measurement, Codelist)

STATUS_WORDS = {
    "two_sources": "two sources agree",
    "one_source": "one source only",
    "inferred": "worked out in part: to be confirmed by a clinician",
}
"""How well a definition or codelist is supported."""

_EDGES = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}
_PERSON_LABELS = {"age_years": "Age", "months_registered": "Time registered with the practice"}
_PERSON_UNITS = {"age_years": "year", "months_registered": "month"}
_UNSPOKEN_UNITS = ("grade", "score", "ratio")
_SYSTEMS = {"snomed_ct": "SNOMED CT", "icd10": "ICD-10", "dmd": "dm+d", "bnf": "BNF"}
_MATCHES = {
    "exact": "the code itself",
    "prefix": "codes that begin with it",
    "category": "codes with its first three characters",
}
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

_PREAMBLE = f"""\
# The rules in plain English

Made by `stratify rules describe` from `src/stratify/clinical/`. Do not edit: change the definition and make it again
(see [how to change a rule](how-to-change-a-rule.md)). Abbreviations are in the [glossary](glossary.md).

A list proposes; the clinician decides.

## How to read this page

- The **index date** is the day a run describes. Every window ends the day before it: a record dated on the index date
  or later is not used. "In 12 months" means from the same day of the month 12 months earlier, that day included.
- **Yes or no, and counts**: no record means no, or nought. A question without a time limit also counts records without
  a date; one with a time limit does not.
- **Latest values**: too old, contradictory or unusable means *not known*. An older value is never used instead. Not
  known is never taken for normal or low.
- **Hospital data not linked** (no valid NHS number, or no hospital records in this run): what comes from hospital
  records is then only what is known so far, and may be higher. It can prove that an edge was reached, never that it was
  not.
- A rule made of parts is settled as soon as the parts that are known settle it. "Any of" holds once one part does.
- Edges are exact: "at least 30" takes 30, "above 30" does not.
- **Status** says how well a definition is supported:
  {"; ".join(STATUS_WORDS.values())}.
"""


# --------------------------------------------------------------------------------------------------------- the pieces


def condition_in_words(condition: Condition, book: RuleBook) -> str:
    """Say a condition on one line, for example ``MRC dyspnoea grade: at least 4; or Cor pulmonale in 5 years: yes``."""
    if condition.variable:
        return f"{_label(condition.variable, book)}: {_edges_in_words(condition, _unit(condition.variable, book))}"
    if condition.score:
        score = book.scores[condition.score]
        wanted = [_tier_name(each) for each in score.tiers if each.tier in (condition.tier_in or ())]
        return f"{score.label}: {' or '.join(wanted)}"
    parts = _parts(condition, book)
    if condition.none_of:
        return f"not {parts[0]}" if len(parts) == 1 else f"none of ({'; '.join(parts)})"
    return ("; and " if condition.all_of else "; or ").join(parts)


def variable_in_words(variable: Variable | str, book: RuleBook) -> str:
    """Say what a variable asks of the record: which entries, which window, and what happens without any.

    Args:
        variable: A variable, or the id of one or of a person field such as ``age_years``.
        book: The rule book it belongs to.
    """
    if isinstance(variable, str):
        if variable in _PERSON_LABELS:
            whole = f"{_PERSON_LABELS[variable]}, in whole {_PERSON_UNITS[variable]}s on the index date."
            return f"{whole} Not known when its date is not known."
        variable = book.variables[variable]
    return f"{_question(variable, book)} {_without(variable, book)}"


def tier_in_words(score: Score | str, tier: Tier | str, book: RuleBook) -> str:
    """Say when a score gives a tier.

    Args:
        score: A score or its id.
        tier: One of its tiers, or its name.
        book: The rule book.
    """
    score = book.scores[score] if isinstance(score, str) else score
    tier = next(each for each in score.tiers if each.tier == tier) if isinstance(tier, str) else tier
    return f"{_tier_name(tier)}: {_tier_when(score, tier, book)}"


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
    return f"{when} → {_proposal(route, pathway)}."


def describe(book: RuleBook) -> str:
    """Say the whole rule book in Markdown: pathways, scores, variables, measurements, codelists.

    Deterministic: everything in order of id, except what has an order of its own.
    """
    pathways = sorted(book.pathways.values(), key=lambda each: (each.precedence, each.id))
    scores = _sorted(book.scores.values())
    blocks = [_PREAMBLE, _contents(pathways, scores), "## Pathways\n", _shared_steps(), _several_pathways(pathways)]
    blocks += [_pathway_section(each, book) for each in pathways]
    blocks += ["## Scores\n", *(_score_section(each, book) for each in scores)]
    blocks += ["## Variables\n", "What is asked about a person. A variable by itself decides nothing.\n"]
    blocks += [
        _person_fields(book) + "".join(_variable_section(each, book) for each in _sorted(book.variables.values()))
    ]
    blocks += ["## Measurements\n", f"{_MEASUREMENTS}\n"]
    blocks += [_measurement_section(each, book) for each in _sorted(book.measurements.values())]
    blocks += ["## Codelists\n", _codelist_table(_sorted(book.codelists.values()))]
    return "\n".join(blocks)


_MEASUREMENTS = (
    "Values in the GP record, brought to one unit before anything uses them. A comparator stays with its value: `<30` "
    "is below 30 and not known against 25, `>90` is above 90; about 30 (`~30`) is never scored. Two values of one day "
    "that differ, or of which one has a comparator, contradict each other: not known. A date known to the month or the "
    "year only counts as its first day. A value dated before birth is never scored; what is dated more than 30 days "
    "after death is left out."
)

# ---------------------------------------------------------------------------------------------------- words and figures


def _sorted(things: Iterable[_T]) -> list[_T]:
    return sorted(things, key=lambda each: each.id)


def _figure(value: float) -> str:
    """Write a number of a rule in full: no rounding, no trailing noughts."""
    return f"{value:.10g}"


def _plus(value: float) -> str:
    return f"plus {_figure(value)}" if value >= 0 else f"less {_figure(-value)}"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _label(name: str, book: RuleBook) -> str:
    return _PERSON_LABELS.get(name) or book.variables[name].label


def _unit(name: str, book: RuleBook) -> str:
    if name in _PERSON_UNITS:
        return _PERSON_UNITS[name] + "s"
    unit = book.variables[name].unit or ("points" if book.variables[name].take == "weight" else "")
    return "" if unit in _UNSPOKEN_UNITS else unit


def _edges_in_words(edged: Condition | Tier, unit: str) -> str:
    if isinstance(edged, Condition) and edged.is_true:
        return "yes"
    found = [(words, getattr(edged, name)) for name, words in _EDGES.items() if getattr(edged, name) is not None]
    text = " and ".join(f"{words} {_figure(value)}" for words, value in found)
    return f"{text} {unit}" if unit else text


def _tier_name(tier: Tier) -> str:
    return tier.label if tier.tier.lower() in tier.label.lower() else f"{tier.label} ({tier.tier})"


def _tier_when(score: Score, tier: Tier, book: RuleBook) -> str:
    if tier.when:
        otherwise = "" if tier == score.tiers[0] else "otherwise, when "
        return otherwise + condition_in_words(tier.when, book)
    if score.is_decision_list:
        return "everybody whom none of the rules above takes"
    if not score.proportion_of:
        return _edges_in_words(tier, score.unit or "")
    total = len(score.proportion_of)
    counts = [count for count in range(total + 1) if _is_within(round(count / total, 6), tier)]
    whole = f"{counts[0]} to {counts[-1]} of {total}" if counts else f"no whole number of {total}"
    return f"{_edges_in_words(tier, '')} ({whole})"


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
    if len(condition.parts) < 2 or condition.none_of:
        return condition_in_words(condition, book)
    return ("<br>and " if condition.all_of else "<br>or ").join(_parts(condition, book))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(each) for each in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _anchor(kind: str, name: str) -> str:
    return f'<a id="{kind}-{name}"></a>\n'


def _items(pairs: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f"- **{title}**: {' '.join(text.split())}\n" for title, text in pairs if text)


def _contents(pathways: Sequence[Pathway], scores: Sequence[Score]) -> str:
    def links(kind: str, things: Iterable[Pathway | Score]) -> str:
        return ", ".join(f"[{each.label}](#{kind}-{each.id})" for each in things)

    return (
        "## Contents\n\n"
        f"- [Pathways](#pathways): {links('pathway', pathways)}\n"
        f"- [Scores](#scores): {links('score', scores)}\n"
        "- [Variables](#variables), [measurements](#measurements), [codelists](#codelists)\n"
    )


# ------------------------------------------------------------------------------------------------------------- pathways


def _shared_steps() -> str:
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


def _several_pathways(pathways: Sequence[Pathway]) -> str:
    order = ", then ".join(each.label for each in pathways)
    return f"""\
**One action a week for one person.** A list fills the sessions of the {DAYS_AHEAD} days from the index date on. Places
at clinics are given out first, then assessment visits, then reviews of the record, then offers of self-management;
within each, pathways in the order {order}. Whoever has one of them is not given another; the other need is shown beside
it. Whoever waits for a place is offered nothing less meanwhile. A session has as many places as the role with the
fewest slots.
"""


def _pathway_section(pathway: Pathway, book: RuleBook) -> str:
    score = book.scores[pathway.tier_from]
    facts = _items(
        (
            ("Version", f"{pathway.version}, {pathway.status}"),
            ("Clinical lead", pathway.clinical_lead),
            ("To be reviewed by", in_words(pathway.review_date)),
            ("Source", pathway.source),
            ("Who is on it", condition_in_words(pathway.cohort, book)),
            ("Tier", f"that of [{score.label}](#score-{score.id})"),
        )
    )
    routes = _table(
        ("", "Route", "When", "What is proposed", "Reason given", "When that is not known"),
        (
            (
                str(number),
                f"`{each.id}`",
                _stacked(each.when, book) if each.when else "everybody else",
                _proposal(each, pathway),
                each.reason,
                _when_unknown(each),
            )
            for number, each in enumerate(pathway.routes, 1)
        ),
    )
    shown = "; ".join(_label(name, book) for name in pathway.show)
    return (
        f"{_anchor('pathway', pathway.id)}\n### Pathway: {pathway.label}\n\n{facts}\n"
        f"Routes, the first that holds decides:\n\n{routes}\n"
        f"**Order in which a clinic sees people**: {_ranking(pathway, score, book)}\n\n"
        f"{_clinic_table(pathway)}\n"
        f"**Offer** instead of a clinic: {pathway.offer.label} (`{pathway.offer.id}`).\n\n"
        f"**Facts given as reasons**, the deciding ones first, those that were found: {shown}.\n"
    )


def _proposal(route: Route, pathway: Pathway) -> str:
    if route.clinic:
        return pathway.clinic(route.clinic).label
    if route.decision == "self_management":
        return f"{_DECISIONS['self_management']}: {pathway.offer.label}"
    return _DECISIONS[route.decision]


def _when_unknown(route: Route) -> str:
    if route.when is None:
        return "–"
    if route.when_unknown == "pass_over":
        return f'passed over: the next route may decide, with the data gap "{route.gap}"'
    return "steps 3 and 4 above, if a later route would lead elsewhere"


def _ranking(pathway: Pathway, score: Score, book: RuleBook) -> str:
    steps = [f"{score.label} ({', '.join(each.tier for each in score.tiers)})"]
    steps += [_rank_step(each, book) for each in pathway.rank_by]
    steps += ["the more deprived area first", "then by pseudonym, so that neither names nor chance decide"]
    return "; ".join(steps) + ". What is not known comes last in its step."


def _rank_step(step: RankBy, book: RuleBook) -> str:
    return f"{_label(step.variable, book)}, {'highest' if step.first == 'most' else 'lowest'} first"


def _clinic_table(pathway: Pathway) -> str:
    def row(each: Clinic) -> tuple[str, str, str]:
        places = "sessions with slots for every role" if each.needs_capacity else "a worklist without sessions"
        return f"{each.label} (`{each.id}`)", ", ".join(_role(role) for role in each.roles), places

    worklists = (pathway.assessment, pathway.clinician_review)
    return _table(("Clinic or worklist", "Roles", "Places"), (row(each) for each in (*pathway.clinics, *worklists)))


# --------------------------------------------------------------------------------------------------------------- scores


def _score_section(score: Score, book: RuleBook) -> str:
    nature = ["recorded by somebody else" if score.kind == "recorded" else "computed here"]
    nature += ["a prediction" if score.is_prediction else "no prediction"]
    facts = _items(
        (
            ("Version", f"{score.version}; {', '.join(nature)}"),
            ("Status", STATUS_WORDS[score.status]),
            ("Source", score.source),
            ("Licence", score.licence),
            ("Who it is for", _eligibility(score, book)),
            ("How it is worked out", _method(score, book)),
            ("When something is not known", _score_unknown(score, book)),
            ("Note", score.note),
        )
    )
    rows = []
    for number, each in enumerate(score.tiers, 1):
        when = _stacked(each.when, book) if each.when else _tier_when(score, each, book)
        rows.append((str(number), _tier_name(each), when))
    items = "; ".join(condition_in_words(each, book).removesuffix(": yes") for each in score.proportion_of or ())
    counted = f"\n**What is counted**: {items}.\n" if items else ""
    tiers = _table(("", "Tier", "When"), rows)
    return f"{_anchor('score', score.id)}\n### Score: {score.label}\n\n{facts}\n{tiers}{counted}"


def _eligibility(score: Score, book: RuleBook) -> str:
    if not score.eligibility:
        return "everybody"
    return "; and ".join(
        f'{condition_in_words(each.when, book)} (anybody else gets no score: "{each.otherwise}")'
        for each in score.eligibility
    )


def _method(score: Score, book: RuleBook) -> str:
    if score.value_of:
        text = f"the value of {_label(score.value_of, book)} (`{score.value_of}`)"
        return f"{text}, in {score.unit}" if score.unit else text
    if score.proportion_of:
        total = len(score.proportion_of)
        return f"how many of {total} things are present, divided by {total}; each counts once"
    return "the first tier whose rule holds, from the top"


def _score_unknown(score: Score, book: RuleBook) -> str:
    if score.is_decision_list:
        text = (
            "a tier nearer the top stays possible until it is ruled out, so a lower tier is settled only when every one"
            " above it is known not to hold"
        )
    elif score.proportion_of:
        text = "what has no record counts as absent"
    else:
        text = "without a value every tier stays possible and none is given"
    if score.withheld_when_absent:
        text += f'; with no record at all there is no score: "{score.withheld_when_absent}"'
    if score.understated_when:
        text += (
            f". While {condition_in_words(score.understated_when, book)}, the value can only be too low:"
            " higher tiers stay possible"
        )
    return text


# ------------------------------------------------------------------------------------------------------------ variables


def _person_fields(book: RuleBook) -> str:
    return "".join(
        f"- **{_PERSON_LABELS[name]}** (`{name}`): {variable_in_words(name, book)}\n" for name in PERSON_FIELDS
    )


def _variable_section(variable: Variable, book: RuleBook) -> str:
    return (
        f"- **{variable.label}** (`{variable.id}`): {variable_in_words(variable, book)}\n"
        f"  Shown as “{variable.text}”. Source: {' '.join(variable.source.split())}.\n"
    )


def _question(variable: Variable, book: RuleBook) -> str:
    kinds = dict.fromkeys(each.kind for each in variable.records)
    entries = " or ".join(_records(kind, [r.what for r in variable.records if r.kind == kind], book) for kind in kinds)
    when = f" in {_plural(variable.lookback_months, 'month')}" if variable.lookback_months else ""
    ever = "" if when or variable.records[0].kind == "flag" else ", at any time"
    if variable.take == "has":
        ended = ""
        if variable.ended_by:
            ended = f"; a later entry of {_codes(variable.ended_by, book)} ends it"
        return f"Yes with {entries}{when}{ever}{ended}."
    if variable.take == "count":
        return f"The number of days with {entries}{when}{ever}."
    if variable.take == "episodes":
        days = _plural(variable.merge_days or 0, "day")
        return (
            f"The number of episodes made by {entries}{when}{ever}. A record no more than {days} after the one before"
            " belongs to the same episode."
        )
    if variable.take == "distinct_codes":
        return f"The number of different codes among {entries}{when}{ever}{_by_substance(variable)}."
    if variable.take == "weight":
        return f"The points of {entries}{when}{ever}, added up; each counts once however often it is recorded."
    age = _plural(variable.maximum_age_months or 0, "month")
    unit = f", in {variable.unit}" if variable.unit and variable.unit not in _UNSPOKEN_UNITS else ""
    return f"The latest of {entries}{unit}. It is used up to an age of {age}."


def _by_substance(variable: Variable) -> str:
    if any(each.kind == "any_issue" for each in variable.records):
        return ", one code for each substance where the BNF code is known"
    return ""


def _records(kind: str, named: Sequence[str], book: RuleBook) -> str:
    if kind == "any_issue":
        return "medicines issued"
    if kind == "flag":
        return f"a status period {' or '.join(named)} that holds on the index date"
    if kind == "measurement":
        labels = " or ".join(f'"{book.measurements[name].label}"' for name in named)
        return f"the values measured as {labels}"
    texts = {
        "event": "an entry in the GP record of {codes}",
        "issue": "an issue of {codes}",
        "emergency_admission": "an emergency hospital admission with a primary diagnosis of {codes}",
        "hospital_diagnosis": "the diagnoses, in any position, of emergency hospital stays that are in {codes}",
    }
    return texts[kind].format(codes=" or ".join(_codes(name, book) for name in named))


def _codes(name: str, book: RuleBook) -> str:
    return f'"{book.codelists[name].entry.label}" (`{name}`)'


def _without(variable: Variable, book: RuleBook) -> str:
    shown = f' Shown then: "{variable.text_when_missing}".' if variable.text_when_missing else ""
    if variable.is_latest:
        return (
            "Not known when there is none, when the latest is older, when the latest day holds two different values, or"
            f" when the latest cannot be used.{shown}"
        )
    if variable.take == "weight":
        return f"No such stay means no value at all, not nought. Not known when hospital data are not linked.{shown}"
    text = "No record means no." if variable.take == "has" else "No record means 0."
    if variable.ended_by:
        text += " Begun and ended on one day: not known."
    if variable.reads_hospital:
        text += f" May be higher when hospital data are not linked.{shown}"
    return text


# ------------------------------------------------------------------------------------------- measurements and codelists


def _measurement_section(each: Measurement, book: RuleBook) -> str:
    codes = [_codes(name, book) for name in each.codelists]
    codes += [f"{_codes(name, book)}: always in {unit}" for name, unit in each.unit_of_codelists.items()]
    codes += [f"{_codes(name, book)}: value {_plus(add)}" for name, add in each.offset_codelists.items()]
    grades = [f"{_codes(name, book)} is {_figure(grade)}" for name, grade in each.grade_codelists.items()]
    units = [_unit_words(unit) for unit in each.units]
    without = (
        "the value is kept and never scored" if each.is_unit_required else "the value is taken to be in the unit above"
    )
    if each.sizes:
        without = "; ".join([*(_size_in_words(size) for size in each.sizes), "otherwise it is kept and never scored"])
    not_done = ", ".join(_figure(value) for value in each.not_done_values)
    facts = _items(
        (
            ("Unit", each.unit),
            ("Codes that carry a value", "; ".join(codes)),
            ("Codes that are the value", "; ".join(grades)),
            ("Plausible", f"at least {_figure(each.plausible.at_least)} and at most {_figure(each.plausible.at_most)}"),
            ("Units it may be written in", "; ".join(units)),
            ("Without a unit", without),
            ("Values that mean it was not done", not_done),
            ("The other half of a pair", _pair_in_words(each, book)),
            ("Otherwise", "a value that is not plausible, or in another unit, is kept and never scored"),
            ("Source", each.source),
        )
    )
    return f"{_anchor('measurement', each.id)}\n### Measurement: {each.label} (`{each.id}`)\n\n{facts}"


def _size_in_words(size: Size) -> str:
    edges = {"below": size.below, "at most": size.at_most, "at least": size.at_least, "above": size.above}
    words = " and ".join(f"{edge} {_figure(value)}" for edge, value in edges.items() if value is not None)
    known = "is" if size.is_certain else "can only be"
    unasked = "" if size.is_certain else ", and is not scored unless the site asks for it"
    return f"{words} {known} in {size.unit}{unasked}"


def _pair_in_words(each: Measurement, book: RuleBook) -> str:
    if each.must_exceed is None:
        return ""
    lower = book.measurements[each.must_exceed].label
    return f"{lower}: where it is missing, or above this one, neither value is scored"


def _unit_words(unit: UnitWords) -> str:
    text = ", ".join(f"`{word}`" for word in unit.words)
    steps = [f"multiplied by {_figure(unit.multiply_by)}"] if unit.multiply_by != 1 else []
    steps += [_plus(unit.add)] if unit.add else []
    if unit.plausible:
        steps += [f"plausible from {_figure(unit.plausible.at_least)} to {_figure(unit.plausible.at_most)} as written"]
    return f"{text} ({', then '.join(steps)})" if steps else text


def _codelist_table(codelists: Sequence[Codelist]) -> str:
    head = ("Codelist", "System", "A code matches", "Codes", "Version", "Source", "Licence", "Status", "Note")
    return _table(
        head,
        (
            (
                f"{each.entry.label} (`{each.id}`)",
                _SYSTEMS[each.system],
                _MATCHES[each.match],
                f"{len(each.codes):,}",
                each.entry.version,
                each.entry.source,
                each.entry.licence,
                STATUS_WORDS[each.entry.status],
                each.entry.note or "",
            )
            for each in codelists
        ),
    )
