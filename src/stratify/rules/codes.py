"""Codelists and measurements: which codes mean something, and what a recorded value is worth."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from stratify.rules.strict import Strict, refusal


class CodelistEntry(Strict):
    """What the manifest says of one codelist; the codes are in ``<id>.csv`` beside it."""

    id: str
    label: str
    system: Literal["snomed_ct", "icd10", "dmd", "bnf"]
    match: Literal["exact", "prefix", "category"]
    version: str
    source: str
    licence: str
    status: Literal["two_sources", "one_source", "inferred"]
    review_by: date | None = None
    rows: int
    sha256: str
    note: str | None = None


class CodelistManifest(Strict):
    """``clinical/codelists/manifest.yaml``."""

    codelists: tuple[CodelistEntry, ...]


@dataclass(frozen=True)
class Codelist:
    """A codelist with its codes: code to term, and code to weight where the file has weights."""

    entry: CodelistEntry
    codes: dict[str, str]
    weights: dict[str, float]

    @property
    def id(self) -> str:
        """Id of the codelist."""
        return self.entry.id

    @property
    def system(self) -> str:
        """Code system: snomed_ct, icd10, dmd or bnf."""
        return self.entry.system

    @property
    def match(self) -> str:
        """How a code matches: exact, prefix, or category (first three characters)."""
        return self.entry.match


class Bounds(Strict):
    """A closed range."""

    at_least: float
    at_most: float


class UnitWords(Strict):
    """Ways of writing one unit, and how to reach the canonical one: ``value × multiply_by + add``.

    ``plausible`` is of the value as written, and stands in for the bounds of the canonical one.
    """

    words: tuple[str, ...] = Field(min_length=1)
    multiply_by: float = Field(default=1.0, gt=0)
    add: float = 0.0
    plausible: Bounds | None = None


class Size(Strict):
    """What a value without a unit can only be, by its size. Inferred unless ``is_certain``."""

    unit: str
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    above: float | None = None
    is_certain: bool = False

    @model_validator(mode="after")
    def _one_side(self) -> Size:
        edges = [name for name in ("below", "at_most", "at_least", "above") if getattr(self, name) is not None]
        if not edges or {"below", "at_most"} <= set(edges) or {"above", "at_least"} <= set(edges):
            raise ValueError("a size has one upper or one lower edge, or one of each")
        return self

    def holds(self, value: float) -> bool:
        """Say whether a value is of this size."""
        return (
            (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
        )


class Measurement(Strict):
    """A quantity of the GP record: which codes carry it, in which units, and what is plausible.

    ``unit_of_codelists``: the code itself says the unit. ``must_exceed``: the measurement of the lower half of a pair.
    """

    id: str
    label: str
    unit: str
    codelists: tuple[str, ...] = ()
    unit_of_codelists: dict[str, str] = Field(default_factory=dict)
    grade_codelists: dict[str, float] = Field(default_factory=dict)
    offset_codelists: dict[str, float] = Field(default_factory=dict)
    plausible: Bounds
    units: tuple[UnitWords, ...] = ()
    is_unit_required: bool = False
    sizes: tuple[Size, ...] = ()
    not_done_values: tuple[float, ...] = ()
    must_exceed: str | None = None
    source: str

    @property
    def all_codelists(self) -> tuple[str, ...]:
        """Every codelist it names."""
        return (*self.codelists, *self.unit_of_codelists, *self.grade_codelists, *self.offset_codelists)

    @model_validator(mode="after")
    def _sound(self) -> Measurement:
        known = {self.unit, *(word for unit in self.units for word in unit.words)}
        said: list[tuple[str, tuple[str, str | int]]] = []
        said += [(word, ("unit_of_codelists", name)) for name, word in self.unit_of_codelists.items()]
        said += [(size.unit, ("sizes", number)) for number, size in enumerate(self.sizes)]
        for word, at in said:
            if word not in known:
                raise refusal(f"{word} is none of its units", *at)
        if self.sizes and self.is_unit_required:
            raise ValueError("sizes say what a value without a unit is: then no unit is required")
        edges = {getattr(size, name) for size in self.sizes for name in ("below", "at_most", "at_least", "above")}
        marks = sorted(edge for edge in edges if edge is not None)
        between = [(low + high) / 2 for low, high in itertools.pairwise(marks)]
        ends = [marks[0] - 1, marks[-1] + 1] if marks else []
        for value in (*marks, *between, *ends):
            if sum(size.holds(value) for size in self.sizes) > 1:
                raise ValueError(f"two sizes hold {value:g}")
        return self


@dataclass(frozen=True)
class ResolvedMeasurement:
    """A measurement with its codes: what the loader needs to bring values to one unit."""

    id: str
    unit: str
    codes: frozenset[str]
    grades: dict[str, float]
    offset_codes: dict[str, float]
    minimum: float
    maximum: float
    units: tuple[tuple[tuple[str, ...], float, float], ...]
    is_unit_required: bool
    not_done: tuple[float, ...]
    code_units: dict[str, str]
    written_bounds: dict[str, tuple[float, float]]
    sizes: tuple[Size, ...]
    is_inferred_scored: bool
    must_exceed: str | None
