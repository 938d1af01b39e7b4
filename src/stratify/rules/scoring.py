"""Scores: a value with tiers by edges, points added up, or rules of which the first that holds is the tier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from stratify.rules.agreement import Agreement
from stratify.rules.conditions import EDGES, Condition
from stratify.rules.strict import Strict, refusal

Use = Literal[
    "frailty",
    "copd",
    "diabetes",
    "kidney",
    "heart_and_circulation",
    "many_conditions",
    "hospital",
    "segments",
    "other",
]
"""What a score is for: where it stands in the index of the rule book. Decides nothing."""


class _Edged(Strict):
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    above: float | None = None


class Tier(_Edged):
    """One tier of a score. Highest need first; edges are words; a tier of a decision list has a rule instead."""

    tier: str
    label: str
    when: Condition | None = None


class Band(_Edged):
    """The points that a value within some edges gives."""

    points: float


class Eligibility(Strict):
    """Who the score is for; anybody else gets none, with the reason."""

    when: Condition
    otherwise: str


class Points(Strict):
    """One thing that adds to a score. Exactly one shape.

    ``when`` a condition holds, ``points`` (1 where none are named). ``variable`` (or a score that has a value) with
    ``bands`` that cover every number once. Or ``variable`` with ``times``, a coefficient:
    ``times × (f(value ÷ divide_by) − minus)``, where f is the value itself, its square (``power: 2``) or its natural
    logarithm (``log: natural``).

    ``when_unknown`` is what counts when nobody knows; without it what is not known leaves the score open between the
    least and the most it could add.
    """

    label: str | None = None
    when: Condition | None = None
    points: float | None = None
    variable: str | None = None
    bands: tuple[Band, ...] | None = Field(default=None, min_length=2)
    times: float | None = None
    divide_by: float = Field(default=1.0, gt=0)
    power: Literal[2] | None = None
    log: Literal["natural"] | None = None
    minus: float = 0.0
    when_unknown: float | None = None

    @model_validator(mode="after")
    def _shape(self) -> Points:
        if (self.when is None) == (self.variable is None):
            raise ValueError("points are given for a condition (when) or for a variable")
        if self.when is None and (self.points is not None or (self.bands is None) == (self.times is None)):
            raise ValueError("a variable has bands or a coefficient (times), not both and no points of its own")
        if self.when is not None and (self.bands or self.times is not None):
            raise ValueError("bands and times belong to a variable")
        if self.times is None and self.model_fields_set & {"divide_by", "power", "log", "minus"}:
            raise ValueError("divide_by, power, log and minus belong to a coefficient (times)")
        if self.power and self.log:
            raise ValueError("power or log, not both")
        if self.times == 0 or self.points == 0:
            raise ValueError("nothing is added: leave it out")
        if self.bands:
            check_cover(self.bands, [f"band of {band.points:g}" for band in self.bands], "bands")
        return self

    @property
    def given(self) -> float:
        """Points that a condition which holds gives."""
        return 1.0 if self.points is None else self.points

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The condition, or one for each band."""
        if self.when:
            return (self.when,)
        return tuple(Condition(variable=self.variable, **edges_of(band)) for band in self.bands or ())

    @property
    def names(self) -> tuple[str, ...]:
        """Variables and scores whose value it reads, in order, each once."""
        return self.when.variables if self.when else (self.variable or "",)


class Score(Strict):
    """A score or tiering: the value of a variable, points added up, or a decision list.

    Of points: ``(sum + add) ÷ divide_by``, then ``no_less_than`` and ``no_more_than``, then ``link: logistic``
    (a probability) or ``baseline_survival`` S (``1 − S^exp(sum)``). A score without tiers has a value only. In a
    decision list the first true rule is the tier.
    """

    id: str
    version: str
    label: str
    use: Use = "other"
    kind: Literal["recorded", "computed"] = "computed"
    is_prediction: bool = False
    status: Literal["two_sources", "one_source", "inferred"]
    source: str
    licence: str
    unit: str | None = None
    eligibility: tuple[Eligibility, ...] = ()
    value_of: str | None = None
    withheld_when_absent: str | None = None
    points: tuple[Points, ...] | None = Field(default=None, min_length=1)
    add: float = 0.0
    divide_by: float = Field(default=1.0, gt=0)
    no_less_than: float | None = None
    no_more_than: float | None = None
    link: Literal["logistic"] | None = None
    baseline_survival: float | None = Field(default=None, gt=0, lt=1)
    understated_when: Condition | None = None
    tiers: tuple[Tier, ...] = ()
    note: str | None = None
    agreed: tuple[Agreement, ...] = ()

    @property
    def is_decision_list(self) -> bool:
        """Tiers are chosen by rules, not by the edges of a value."""
        return self.value_of is None and self.points is None

    @property
    def is_for_nobody(self) -> bool:
        """It stands in for a score that is not in use: it asks for an age below 0."""
        return any(each.when.variable == "age_years" and each.when.below == 0 for each in self.eligibility)

    @property
    def is_count(self) -> bool:
        """Only things that hold or not, and none takes anything away: what is known so far is the least it can be."""
        is_plain = self.link is None and self.baseline_survival is None
        return is_plain and all(each.when is not None and each.given > 0 for each in self.points or ())

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the definition."""
        found = [each.when for each in self.eligibility]
        found += [each.when for each in self.tiers if each.when]
        found += [each for item in self.points or () for each in item.conditions]
        found += [self.understated_when] if self.understated_when else []
        return tuple(found)

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables, and scores whose value it uses, that it reads itself; in order, each once."""
        own = [self.value_of] if self.value_of else []
        own += [name for each in self.points or () for name in each.names]
        return tuple(dict.fromkeys([*own, *(name for each in self.conditions for name in each.variables)]))

    @model_validator(mode="after")
    def _sound(self) -> Score:
        names = [each.tier for each in self.tiers]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise refusal("a tier is named twice", "tiers", number)
        if self.value_of and self.points:
            raise ValueError("value_of or points, not both")
        if not self.points and self.model_fields_set & _OF_POINTS:
            raise ValueError(f"{', '.join(sorted(_OF_POINTS))} belong to points")
        if self.link and self.baseline_survival:
            raise ValueError("link or baseline_survival, not both")
        if self.is_decision_list:
            if not self.tiers:
                raise ValueError("a score is the value of something (value_of), points, or a list of tiers with rules")
            for number, each in enumerate(self.tiers[:-1]):
                if each.when is None or edges_of(each):
                    words = f"tier {each.tier} of a decision list needs a rule (when) and no edges"
                    raise refusal(words, "tiers", number)
            if edges_of(self.tiers[-1]) or self.tiers[-1].when:
                last = len(self.tiers) - 1
                raise refusal("the last tier of a decision list takes the rest: no rule, no edges", "tiers", last)
        elif self.tiers:
            for number, each in enumerate(self.tiers):
                if each.when:
                    raise refusal("tiers of a value have edges, not rules", "tiers", number)
            check_cover(self.tiers, [f"tier {name}" for name in names], "tiers")
            if self.points and {"below", "at_most"} & set(edges_of(self.tiers[0])):
                raise refusal("need rises with points: the first tier has no upper edge", "tiers", 0)
        return self


_OF_POINTS = frozenset({"add", "divide_by", "no_less_than", "no_more_than", "link", "baseline_survival"})


def edges_of(edged: _Edged) -> dict[str, float]:
    """Give the edges that are set, by name."""
    return {name: getattr(edged, name) for name in EDGES if getattr(edged, name) is not None}


def check_cover(parts: Sequence[_Edged], names: Sequence[str], key: str) -> None:
    """Prove that tiers or bands cover every number once: each upper edge meets the lower edge of the one next to it.

    Need may rise with the value (frailty points) or fall with it (FEV1): the first is open upwards or downwards.

    Args:
        parts: The tiers or bands, in their order.
        names: What each is called.
        key: The key they stand under.

    Raises:
        PydanticCustomError: they leave a gap, overlap, or hold no number; it says which part.
    """
    rising = {"below", "at_most"} & set(edges_of(parts[0]))
    falling, words = (parts[::-1], names[::-1]) if rising else (parts, names)
    if {"below", "at_most"} & set(edges_of(falling[0])) or {"above", "at_least"} & set(edges_of(falling[-1])):
        raise refusal(f"one of {names[0]} and {names[-1]} must have no upper edge, the other no lower edge", key)
    for number, (each, name) in enumerate(zip(parts, names, strict=True)):
        edges = edges_of(each)
        low, high = edges.get("at_least", edges.get("above")), edges.get("at_most", edges.get("below"))
        is_point = low == high and {"at_least", "at_most"} <= set(edges)
        if len(edges) > 2 or (low is not None and high is not None and (low > high or (low == high and not is_point))):
            raise refusal(f"{name} holds no number, or has two edges on one side: {edges}", key, number)
    for (upper, above), (lower, beneath) in itertools.pairwise(zip(falling, words, strict=True)):
        up, down = edges_of(upper), edges_of(lower)
        meets = (up.get("above") is not None and up.get("above") == down.get("at_most")) or (
            up.get("at_least") is not None and up.get("at_least") == down.get("below")
        )
        if not meets:
            number = max(parts.index(upper), parts.index(lower))
            raise refusal(f"{above} and {beneath} leave a gap or overlap: {up} against {down}", key, number)
