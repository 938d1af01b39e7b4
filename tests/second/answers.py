"""What a score answers, exact numbers, and what is still possible when something is missing. No score is here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

Number = int | float | str | Fraction


@dataclass(frozen=True)
class Answer:
    """Value and tier of a score for one person.

    ``possible`` holds the tiers that the person may have given what is missing; None for a score without tiers and for
    one that is withheld. ``tier`` is the only one possible or, for a list of rules, the lowest still possible unless
    that is the lowest of all: incomplete is never low. ``withheld`` says why there is no score at all.
    """

    value: Fraction | float | int | None = None
    tier: str | None = None
    possible: frozenset[str] | None = None
    withheld: str | None = None


def exact(number: Number | None) -> Fraction | None:
    """Give a number as a person reads it: 49.6 is 496/10, not the nearest double."""
    return None if number is None else Fraction(str(number))


def total(weights: Iterable[str]) -> Fraction:
    """Add up decimal weights exactly."""
    return sum((Fraction(each) for each in weights), Fraction(0))


def points(value: Fraction, bands: Sequence[tuple[Number, int]], otherwise: int) -> int:
    """Give the points of the first band (from the top) that the value reaches; below them all, ``otherwise``."""
    return next((given for at_least, given in bands if value >= Fraction(str(at_least))), otherwise)


def each_way(inputs: Mapping[str, Any], candidates: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    """Give the inputs with every combination of candidates in the place of those that are None."""
    missing = [name for name, value in inputs.items() if value is None]
    for filled in itertools.product(*(candidates[name] for name in missing)):
        yield {**inputs, **dict(zip(missing, filled, strict=True))}


def ruled(
    order: Sequence[str], rule: Callable[..., str], inputs: Mapping[str, Any], candidates: Mapping[str, Sequence[Any]]
) -> Answer:
    """Answer a list of rules: ``order`` names the tiers, highest need first."""
    possible = frozenset(rule(**each) for each in each_way(inputs, candidates))
    lowest = max(possible, key=order.index)
    tier = lowest if len(possible) == 1 or lowest != order[-1] else None
    return Answer(None, tier, possible)


def scored(
    value_of: Callable[..., Fraction | int],
    tier_of: Callable[[Any], str] | None,
    inputs: Mapping[str, Any],
    candidates: Mapping[str, Sequence[Any]],
) -> Answer:
    """Answer a sum of points: no value and no tier with any item missing, only what is still possible."""
    values = [value_of(**each) for each in each_way(inputs, candidates)]
    possible = None if tier_of is None else frozenset(tier_of(value) for value in values)
    if any(value is None for value in inputs.values()):
        return Answer(None, None, possible)
    return Answer(values[0], None if tier_of is None else tier_of(values[0]), possible)


def certain(order: Sequence[str], possible: Collection[str], value: Fraction | None = None) -> Answer:
    """Answer with tiers known otherwise: the only one, or none while more are possible."""
    return Answer(value, next(iter(possible)) if len(possible) == 1 else None, frozenset(possible))


def icd10(codes: Iterable[str | None]) -> set[str]:
    """Give ICD-10 codes as they are matched: upper case, no spaces, no dots; what is null or blank is dropped."""
    cleaned = {(code or "").upper().replace(" ", "").replace(".", "") for code in codes}
    return cleaned - {""}


def conditions(codes: Iterable[str | None], prefixes: Mapping[str, str]) -> set[str]:
    """Give the conditions of which any code begins with any prefix. A code may set two."""
    found = icd10(codes)
    return {name for name, given in prefixes.items() if any(code.startswith(_split(given)) for code in found)}


@cache
def _split(prefixes: str) -> tuple[str, ...]:
    return tuple(prefixes.split())
