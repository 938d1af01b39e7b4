"""What a risk is made of for one person: what each fact adds, from the same points that gave it, in plain words.

For scores of points with a logistic link (published risks and trained models alike): their log-odds are a sum, so that
the parts are exact and add up. In words they are shares of a hundred: facts are added one after another, what adds most
first, and each is said by what the risk rose or fell by then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Points, Score
from stratify.rules.scoring import edges_of

OF_THE_PERSON = "age, sex and area"
"""One part for what is known of a person without any record: it is told as a whole."""
_MOST_NAMED = 4


class Known(Protocol):
    """What was found of a person and variable."""

    @property
    def value(self) -> float | None:
        """The value, where it is known."""


def is_sum(score: Score) -> bool:
    """Tell whether a score is a risk whose log-odds are a sum of parts."""
    return score.points is not None and score.link is not None


def parts_of(score: Score, value: float, mine: Mapping[str, Known], book: RuleBook) -> dict[str, float]:
    """Give what each fact adds to the log-odds of a known risk, what adds most first.

    Args:
        score: One that :func:`is_sum`.
        value: The person's risk.
        mine: What was found of the person, by variable; a count or a yes that is not there is nought.
        book: The rule book.

    Returns:
        By variable, and :data:`OF_THE_PERSON`; with ``score.add`` they add up to the log-odds of the risk.
    """
    parts: dict[str, float] = {}
    for item in score.points or ():
        name = item.names[0]
        if name not in PERSON_FIELDS:
            found = mine.get(name)
            number = found.value if found else None
            if number is None and name in book.variables and not book.variables[name].is_value:
                number = 0.0
            parts[name] = parts.get(name, 0.0) + _added(item, number) / score.divide_by
    start = score.add / score.divide_by
    parts[OF_THE_PERSON] = math.log(value / (1 - value)) - start - sum(parts.values()) if 0 < value < 1 else 0.0
    return dict(sorted(parts.items(), key=lambda each: (-each[1], each[0])))


def _added(item: Points, number: float | None) -> float:
    if item.when:
        holds = number is None if item.when.is_missing else number is not None and number >= 1
        return item.given if holds else 0.0
    if number is None:
        return item.when_unknown or 0.0
    if item.times is not None:
        value = number / item.divide_by
        value = value * value if item.power else math.log(value) if item.log else value
        return item.times * (value - item.minus)
    return next(band.points for band in item.bands or () if _is_in(edges_of(band), number))


def _is_in(edges: Mapping[str, float], number: float) -> bool:
    return (
        number < edges.get("below", math.inf)
        and number <= edges.get("at_most", math.inf)
        and number >= edges.get("at_least", -math.inf)
        and number > edges.get("above", -math.inf)
    )


def steps_of(score: Score, parts: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """Give the risk everybody starts from, and by how much each part in turn moves it; they add up."""
    log_odds = score.add / score.divide_by
    start = here = _risk(log_odds)
    steps = {}
    for name, added in parts.items():
        log_odds += added
        steps[name], here = _risk(log_odds) - here, _risk(log_odds)
    return start, steps


def _risk(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def in_words(score: Score, value: float, tier: str, parts: Mapping[str, float], book: RuleBook) -> str:
    """Say a risk, its tier and what it is made of, in whole percent that add up."""
    start, steps = steps_of(score, parts)
    label = next(each.label for each in score.tiers if each.tier == tier)
    whole, first = round(100 * value), round(100 * start)
    most = sorted(steps, key=lambda name: -abs(steps[name]))[:_MOST_NAMED]
    named = {name: round(100 * steps[name]) for name in steps if name in most}
    named = {name: each for name, each in named.items() if each}
    said = [f"{_label(name, book)} {each:+d}" for name, each in named.items()]
    rest = whole - first - sum(named.values())
    said += [f"all else {rest:+d}"] if rest else []
    made = f" (from {first} %: {', '.join(said)})" if said else ""
    return f"{score.label} {whole} %: {label}{made}"


def _label(name: str, book: RuleBook) -> str:
    return book.variables[name].label if name in book.variables else name
