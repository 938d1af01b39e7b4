"""Worked examples: invented people, the values found of them, and what a definition must say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stratify.rules.strict import Strict

Bounded = Annotated[str, Field(pattern=r"^(<|<=|>|>=) ?-?[0-9]+(\.[0-9]+)?$")]
"""A value of which only one bound is known, as laboratories write it: ``>90``."""


class ExamplePerson(Strict):
    """The person of a worked example; what is not said is the ordinary case."""

    age_years: float | None = 70
    months_registered: float | None = 120
    sex: Literal["female", "male"] | None = None
    imd_decile: int | None = Field(default=None, ge=1, le=10)
    status: str = "registered"
    identity_doubt: str | None = None
    is_hospital_linked: bool = True


class Example(Strict):
    """One worked example: an invented person, the values found, and what the definition must say.

    A value is a number, one of which only a bound is known (``">90"``), or why there is none.
    """

    name: str
    person: ExamplePerson = ExamplePerson()
    values: dict[str, float | Literal["stale", "conflict", "unusable"] | Bounded] = Field(default_factory=dict)
    expect: dict[str, str | float | bool | None]


class ExamplesFile(Strict):
    """``<name>.examples.yaml``: examples of the definition beside it."""

    examples: tuple[Example, ...] = Field(min_length=1)
