"""Conditions: a yes, no or not-known about one person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from stratify.rules.strict import Strict

EDGES = ("below", "at_most", "at_least", "above")
_SHAPES = ("variable", "score", "all_of", "any_of", "any_known_of", "none_of", "at_least_of")


class Condition(Strict):
    """A yes, no or not-known about one person. Exactly one shape.

    A variable (or a score that has a value, by its id) with one comparison (two make a range) or ``is_missing``, a
    score with ``tier_in``, ``all_of``/``any_of``/``none_of`` of other conditions, or ``at_least_of`` so many of them.
    Not-known travels by Kleene's rules: it settles nothing that a known part does not. ``any_known_of`` compares values
    of which one is enough, like two tests for one thing: those that are missing do not count, and where all are missing
    nothing is known.
    """

    variable: str | None = None
    is_true: Literal[True] | None = None
    is_missing: Literal[True] | None = None
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    above: float | None = None
    score: str | None = None
    tier_in: tuple[str, ...] | None = None
    all_of: tuple[Condition, ...] | None = None
    any_of: tuple[Condition, ...] | None = None
    any_known_of: tuple[Condition, ...] | None = None
    none_of: tuple[Condition, ...] | None = None
    at_least_of: AtLeast | None = None

    @model_validator(mode="after")
    def _shape(self) -> Condition:
        shapes = [name for name in _SHAPES if getattr(self, name)]
        if len(shapes) != 1:
            raise ValueError(f"a condition is one of {', '.join(_SHAPES)}")
        edges = [name for name in ("is_true", "is_missing", *EDGES) if getattr(self, name) is not None]
        if (shapes == ["variable"]) != bool(edges):
            raise ValueError(
                "a variable needs is_true, is_missing, below, at_most, at_least or above; nothing else takes them"
            )
        if (
            {"below", "at_most"} <= set(edges)
            or {"above", "at_least"} <= set(edges)
            or ({"is_true", "is_missing"} & set(edges) and len(edges) > 1)
        ):
            raise ValueError("one upper and one lower edge at most")
        if (shapes == ["score"]) != bool(self.tier_in):
            raise ValueError("a score needs tier_in; nothing else takes it")
        if any(each.variable is None or each.is_missing for each in self.any_known_of or ()):
            raise ValueError("any_known_of compares variables, each with its edges")
        return self

    @property
    def parts(self) -> tuple[Condition, ...]:
        """The conditions inside this one."""
        inside = self.at_least_of.of if self.at_least_of else ()
        return self.all_of or self.any_of or self.any_known_of or self.none_of or inside

    def walk(self) -> Iterator[Condition]:
        """Give this condition and all inside it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables and scores whose value it compares, in order, each once."""
        return tuple(dict.fromkeys(each.variable for each in self.walk() if each.variable))

    @property
    def scores(self) -> tuple[str, ...]:
        """Scores whose tier it asks for, in order, each once."""
        return tuple(dict.fromkeys(each.score for each in self.walk() if each.score))


class AtLeast(Strict):
    """At least ``count`` of some conditions hold."""

    count: int = Field(ge=1)
    of: tuple[Condition, ...]

    @model_validator(mode="after")
    def _enough(self) -> AtLeast:
        if self.count >= len(self.of):
            raise ValueError("at least all of them is all_of")
        return self
