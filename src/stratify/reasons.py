"""Puts into plain words why somebody is proposed for something: facts with value, unit and date, weightiest first.

Works on the few people who are shown to somebody. What decides is in ``pathways`` and ``scores``; here a condition is
read again only to find which of its parts hold, so that each reason given is one that counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from stratify.periods import in_words
from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Condition, Pathway, Score
from stratify.score_parts import in_words as risk_in_words
from stratify.score_parts import is_sum, parts_of


@dataclass(frozen=True, slots=True)
class _Value:
    """What was found of one person and variable; ``bound`` is the comparator of a value known by a bound only."""

    value: float | None
    state: str
    day: date | None
    bound: str | None


Found = Mapping[str, _Value]
"""What was found of one person, by variable."""

_STATE_TEXTS = {
    "stale": "{label}: the latest is from {date}, too old to use",
    "conflict": "{label}: the records of {date} contradict each other",
    "unusable": "{label}: the entry of {date} cannot be used (unit, plausibility or code)",
}
_UNSETTLED = ("assessment", "clinician_review")
_SCHEMA = {
    "patient_key": pl.String,
    "pathway": pl.String,
    "position": pl.Int64,
    "variable": pl.String,
    "text": pl.String,
}


def reasons(
    decisions: pl.DataFrame,
    values: pl.DataFrame,
    scores: pl.DataFrame,
    book: RuleBook,
    persons: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Put the reasons beside each decision into plain words.

    First the facts that made the deciding rule and the tier hold, then the rule, then what else the pathway shows, so
    that a normal result is never given as a reason before one that counted. Where nothing decided because something is
    not known, the rule that says so comes first, and values that cannot be used are named.

    Args:
        decisions: Contract ``derived.pathway_decision``, for the people to be shown.
        values: Contract ``derived.variable_value``, for the same people.
        scores: Contract ``derived.patient_score``, for the same people.
        book: The rule book.
        persons: ``patient_key`` and ``age_years`` of contract ``core.person``, for rules that ask for an age beside
            what was recorded.

    Returns:
        Contract ``derived.reason``; everybody has at least one.
    """
    found = find_values(values)
    for key, age in persons.select("patient_key", "age_years").iter_rows() if persons is not None else ():
        if key in found and age is not None:
            found[key]["age_years"] = _Value(age, "known", None, None)
    scored = {
        (key, score): (value, tier)
        for key, score, value, tier in scores.select("patient_key", "score", "value", "tier").iter_rows()
    }
    for (key, score), (value, _) in scored.items():
        found.setdefault(key, {})[score] = _Value(value, "known", None, None)
    rows: list[tuple[str, str, int, str, str]] = []
    columns = ("patient_key", "pathway", "decision", "rule_id", "reason", "tier")
    for key, pathway_id, decision, rule_id, reason, tier in decisions.select(columns).iter_rows():
        pathway = book.pathways[pathway_id]
        mine = found.get(key, {})
        counted, also = _facts(pathway, rule_id, tier, mine, scored, key, book, decision in _UNSETTLED)
        rule = (rule_id, reason)
        is_decided_by_facts = decision not in (*_UNSETTLED, "excluded")
        ordered = [*counted, rule, *also] if is_decided_by_facts else [rule, *counted, *also]
        rows += [(key, pathway_id, position, name, text) for position, (name, text) in enumerate(ordered, 1)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def find_values(values: pl.DataFrame) -> dict[str, dict[str, _Value]]:
    """Give what was found of each person, by pseudonym and variable, from ``derived.variable_value``."""
    found: dict[str, dict[str, _Value]] = {}
    wanted = ("patient_key", "variable", "value", "state", "value_date", "bound")
    for key, variable, *rest in values.select(wanted).iter_rows():
        found.setdefault(key, {})[variable] = _Value(*rest)
    return found


def holds(condition: Condition, mine: Found, book: RuleBook) -> bool:
    """Tell whether what was found makes a condition on variables hold; what is not known does not."""
    return bool(_holding(condition, mine, book))


def _facts(
    pathway: Pathway,
    rule_id: str,
    tier: str | None,
    mine: Found,
    scored: Mapping[tuple[str, str], tuple[float | None, str | None]],
    key: str,
    book: RuleBook,
    tells_unusable: bool,
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Give the facts that counted, and what else the pathway shows."""
    texts: list[tuple[str, str]] = []
    route = next((each for each in pathway.routes if each.id == rule_id), None)
    counted = dict.fromkeys((_holding(route.when, mine, book) if route and route.when else None) or ())
    in_tier: dict[str, None] = {}
    order = _place(pathway)
    if pathway.tier_from:
        score = book.scores[pathway.tier_from]
        value, given = scored.get((key, score.id), (None, None))
        in_tier = dict.fromkeys(_behind_tier(score, tier, mine, book))
        if value is not None and given is not None and is_sum(score):
            parts = parts_of(score, value, mine, book)
            texts.append((score.id, risk_in_words(score, value, given, parts, book)))
            counted, in_tier = (
                {name: None for name in names if parts.get(name, 1) > 0} for names in (counted, in_tier)
            )
            order = _by_part(parts)
        elif value is not None and given is not None and (in_tier or not counted):
            texts.append((score.id, _score_in_words(score, value, given)))
    ranked = sorted(counted, key=order) + sorted(set(in_tier) - set(counted), key=order)
    also = [name for name in pathway.show if name not in ranked]
    facts, others = (
        [(name, text) for name in names if (text := _fact(name, mine, book, tells_unusable=tells_unusable))]
        for names in (ranked, also)
    )
    return [*texts, *facts], others


def _by_part(parts: Mapping[str, float]) -> Callable[[str], tuple[float, str]]:
    """Give the place of a variable by what it adds to a risk; those that are no part of it come first."""
    return lambda name: (-parts.get(name, math.inf), name)


def _place(pathway: Pathway) -> Callable[[str], tuple[float, str]]:
    """Give the place of a variable in the pathway's order of showing; those it does not show come last."""
    order = {name: position for position, name in enumerate(pathway.show)}
    return lambda name: (order.get(name, len(order)), name)


def _holding(condition: Condition, mine: Found, book: RuleBook) -> tuple[str, ...] | None:
    """Give the variables that make a condition hold, none where it rests on nothing found; None when it does not."""
    if condition.variable:
        return _comparing(condition, mine, book)
    if condition.score:
        return _in_tiers(book.scores[condition.score], condition.tier_in or (), mine, book)
    parts = [_holding(part, mine, book) for part in condition.parts]
    held = [part for part in parts if part is not None]
    if condition.none_of:
        is_settled = all(_is_settled(each, mine, book) for part in condition.parts for each in part.variables)
        return () if is_settled and not held else None
    enough = len(parts) if condition.all_of else condition.at_least_of.count if condition.at_least_of else 1
    return tuple(name for part in held for name in part) if len(held) >= enough else None


def _in_tiers(score: Score, tiers: Sequence[str], mine: Found, book: RuleBook) -> tuple[str, ...] | None:
    """Give the variables behind the tiers of a condition whose rules hold; a tier without a rule is what is left."""
    wanted = [each for each in score.tiers if each.tier in tiers]
    names = tuple(name for each in wanted for name in _behind_tier(score, each.tier, mine, book))
    return names if names or any(each.when is None for each in wanted) else None


def _behind_tier(score: Score, tier: str | None, mine: Found, book: RuleBook) -> Iterator[str]:
    """Give the variables that put somebody in a tier: those of its rule that hold, or those the value is made of."""
    held = next((each for each in score.tiers if each.tier == tier), None)
    if held is None:
        return
    if held.when:
        yield from _holding(held.when, mine, book) or ()
    elif score.value_of:
        yield score.value_of
    for item in score.points or ():
        if item.when:
            yield from _holding(item.when, mine, book) or ()
        elif item.variable:
            yield item.variable


def _comparing(condition: Condition, mine: Found, book: RuleBook) -> tuple[str, ...] | None:
    """Give the variable of a comparison that holds; none of it where it holds since nothing was recorded."""
    name = condition.variable or ""
    found = mine.get(name)
    is_known = found is not None and found.value is not None and found.state == "known"
    if condition.is_missing:
        return None if is_known else ()
    if is_known:
        return (name,) if _compares(condition, mine) else None
    is_nought = found is None and _is_settled(name, mine, book) and name not in PERSON_FIELDS
    return () if is_nought and _compares(condition, {name: _Value(0.0, "known", None, None)}) else None


def _is_settled(name: str, mine: Found, book: RuleBook) -> bool:
    """Tell whether it is known what a variable is: it was found, or that nothing was recorded says no."""
    if name in mine:
        return mine[name].state == "known"
    return name in book.variables and not book.variables[name].is_value


def _compares(condition: Condition, mine: Found) -> bool:
    found = mine.get(condition.variable or "")
    if found is None or found.value is None or found.state != "known":
        return False
    value, bound = found.value, found.bound or ""
    # ">30" is above 30 and "<30" below it; what may lie further up proves no upper edge, and the other way round.
    may_be_lower, may_be_higher = bound.startswith("<"), bound.startswith(">")
    return (
        (condition.is_true is None or value >= 1)
        and (condition.below is None or (not may_be_higher and _is_below(value, condition.below, bound == "<")))
        and (condition.at_most is None or (not may_be_higher and value <= condition.at_most))
        and (condition.at_least is None or (not may_be_lower and value >= condition.at_least))
        and (condition.above is None or (not may_be_lower and _is_below(condition.above, value, bound == ">")))
    )


def _is_below(value: float, edge: float, or_equal: bool) -> bool:
    return value <= edge if or_equal else value < edge


def _score_in_words(score: Score, value: float, tier: str) -> str:
    label = next(each.label for each in score.tiers if each.tier == tier)
    if score.is_count and score.points and score.divide_by != 1:
        total = len(score.points)
        return f"{score.label} {in_figures(value)}, {round(value * score.divide_by)} of {total}: {label}"
    unit = f" {score.unit}" if score.unit else ""
    return f"{score.label} {in_figures(value)}{unit}: {label}"


def _fact(name: str, mine: Found, book: RuleBook, *, tells_unusable: bool) -> str | None:
    if name in PERSON_FIELDS or name not in mine:
        return None
    if name in book.scores:
        of_score, known = book.scores[name], mine[name].value
        unit = f" {of_score.unit}" if of_score.unit else ""
        return f"{of_score.label} {in_figures(known)}{unit}" if known is not None else None
    found, variable = mine[name], book.variables[name]
    words = in_words(found.day) if found.day else "an unknown date"
    if found.state != "known" or found.value is None:
        return _STATE_TEXTS[found.state].format(label=variable.label, date=words) if tells_unusable else None
    if found.value == 0 and not variable.is_value:
        return None
    return variable.text.format(value=in_figures(found.value, found.bound), date=words)


def in_figures(value: float, bound: str | None = None) -> str:
    """Write a number as people read it: no trailing noughts, at most 2 decimals, its comparator before it."""
    return (bound or "") + f"{value:.2f}".rstrip("0").rstrip(".")
