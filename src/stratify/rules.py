"""The closed vocabulary clinicians write in: codelists, measurements, variables, scores, pathways, worked examples.

Strict, frozen models of the files in ``clinical/``; a definition that leaves a gap between tiers or mixes shapes does
not load. This module knows what may be *said*; ``rulebook`` reads the files, and what they *mean* is in ``features``,
``scores`` and ``pathways``. No expression language, no SQL, no templates beyond ``{value}`` and ``{date}``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Take = Literal["has", "count", "episodes", "latest", "distinct_codes", "weight"]
Bounded = Annotated[str, Field(pattern=r"^(<|<=|>|>=) ?-?[0-9]+(\.[0-9]+)?$")]
"""A value of which only one bound is known, as laboratories write it: ``>90``."""
Decision = Literal["clinic", "self_management", "assessment", "clinician_review", "excluded", "not_eligible"]
PERSON_FIELDS = ("age_years", "months_registered")
HOSPITAL_RECORDS = ("emergency_admission", "hospital_diagnosis")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# ------------------------------------------------------------------------------------------------------ codelists


class CodelistEntry(_Strict):
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


class CodelistManifest(_Strict):
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


# --------------------------------------------------------------------------------------------------- measurements


class Bounds(_Strict):
    """A closed range."""

    at_least: float
    at_most: float


class UnitWords(_Strict):
    """Ways of writing one unit, and how to reach the canonical one: ``value × multiply_by + add``.

    ``plausible`` is of the value as written, and stands in for the bounds of the canonical one.
    """

    words: tuple[str, ...] = Field(min_length=1)
    multiply_by: float = Field(default=1.0, gt=0)
    add: float = 0.0
    plausible: Bounds | None = None


class Size(_Strict):
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


class Measurement(_Strict):
    """A quantity of the GP record: which codes carry it, in which units, and what is plausible.

    ``unit_of_codelists``: the code itself says the unit. ``must_exceed``: the measurement of the lower half of a pair.
    """

    id: str
    label: str
    unit: str
    codelists: tuple[str, ...] = ()
    unit_of_codelists: dict[str, str] = {}
    grade_codelists: dict[str, float] = {}
    offset_codelists: dict[str, float] = {}
    plausible: Bounds
    units: tuple[UnitWords, ...] = ()
    is_unit_required: bool = False
    sizes: tuple[Size, ...] = ()
    not_done_values: tuple[float, ...] = ()
    must_exceed: str | None = None
    source: str

    @model_validator(mode="after")
    def _sound(self) -> Measurement:
        known = {self.unit, *(word for unit in self.units for word in unit.words)}
        for word in (*self.unit_of_codelists.values(), *(size.unit for size in self.sizes)):
            if word not in known:
                raise ValueError(f"{word} is none of its units")
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


# ------------------------------------------------------------------------------------------------------ variables


class Records(_Strict):
    """One kind of dated record a variable reads. Exactly one of the fields says which.

    ``event``: coded GP entries. ``measurement``: GP values in their canonical unit. ``issue``: medicine issues.
    ``emergency_admission``: emergency hospital spells by primary diagnosis. ``hospital_diagnosis``: diagnoses in any
    position of emergency spells. ``flag``: status periods that hold on the index date.
    """

    event: str | None = None
    measurement: str | None = None
    issue: str | None = None
    any_issue: bool | None = None
    emergency_admission: str | None = None
    hospital_diagnosis: str | None = None
    flag: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Records:
        if len(self.model_fields_set) != 1:
            raise ValueError("name exactly one kind of record")
        return self

    @property
    def kind(self) -> str:
        """Which field is set."""
        return next(iter(self.model_fields_set))

    @property
    def what(self) -> str:
        """Codelist, measurement or flag it names; empty for any_issue."""
        value = getattr(self, self.kind)
        return value if isinstance(value, str) else ""


class Variable(_Strict):
    """One fact about a person on the index date: which dated records, which window, which reduction.

    ``take``: ``has`` (any; 1), ``count`` (days with a record), ``episodes`` (days more than ``merge_days``
    apart start a new one), ``latest`` (value of the latest record), ``distinct_codes``, ``weight`` (sum of the weights
    of the distinct codes). The window is ``[index date − lookback_months, index date)``; without it, ever. A latest
    value older than ``maximum_age_months`` is stale: unknown, never used.
    """

    id: str
    label: str
    records: tuple[Records, ...] = Field(alias="from", min_length=1)
    take: Take
    lookback_months: int | None = Field(default=None, ge=1)
    maximum_age_months: int | None = Field(default=None, ge=1)
    merge_days: int | None = Field(default=None, ge=1)
    ended_by: str | None = None
    unit: str | None = None
    text: str
    text_when_missing: str | None = None
    source: str

    @model_validator(mode="after")
    def _together(self) -> Variable:
        if (self.take == "latest") != (self.maximum_age_months is not None):
            raise ValueError("a latest value states maximum_age_months, and only a latest value does")
        if (self.take == "episodes") != (self.merge_days is not None):
            raise ValueError("episodes state merge_days, and nothing else does")
        if self.take == "latest" and (self.unit is None or self.text_when_missing is None):
            raise ValueError("a latest value states its unit and text_when_missing")
        if self.take == "latest" and self.lookback_months is not None:
            raise ValueError("a latest value has a maximum age, not a look-back")
        if self.ended_by and self.take != "has":
            raise ValueError("ended_by belongs to take: has")
        kinds = {each.kind for each in self.records}
        for take, only in (("latest", "measurement"), ("weight", "hospital_diagnosis")):
            if self.take == take and kinds != {only}:
                raise ValueError(f"take: {take} reads {only} records only")
        if "any_issue" in kinds and self.take != "distinct_codes":
            raise ValueError("any_issue goes with take: distinct_codes only")
        if ";" in self.text + (self.text_when_missing or ""):
            raise ValueError("texts hold no semicolon: they are listed with it")
        return self

    @property
    def is_latest(self) -> bool:
        """A value that may be missing, as against a count or flag that is nought without records."""
        return self.take == "latest"

    @property
    def reads_hospital(self) -> bool:
        """Some of its records come from hospital: not known for a person whose hospital data are not linked."""
        return any(each.kind in HOSPITAL_RECORDS for each in self.records)


class VariablesFile(_Strict):
    """A file of ``clinical/variables/``."""

    measurements: tuple[Measurement, ...] = ()
    variables: tuple[Variable, ...] = ()


# ----------------------------------------------------------------------------------------------------- conditions


class Condition(_Strict):
    """A yes, no or not-known about one person. Exactly one shape.

    A variable with one comparison (two make a range), a score with ``tier_in``, or ``all_of``/``any_of``/``none_of``
    of other conditions. Not-known travels by Kleene's rules: it settles nothing that a known part does not.
    """

    variable: str | None = None
    is_true: Literal[True] | None = None
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    above: float | None = None
    score: str | None = None
    tier_in: tuple[str, ...] | None = None
    all_of: tuple[Condition, ...] | None = None
    any_of: tuple[Condition, ...] | None = None
    none_of: tuple[Condition, ...] | None = None

    @model_validator(mode="after")
    def _shape(self) -> Condition:
        shapes = [name for name in ("variable", "score", "all_of", "any_of", "none_of") if getattr(self, name)]
        if len(shapes) != 1:
            raise ValueError("a condition is one of variable, score, all_of, any_of, none_of")
        edges = [
            name for name in ("is_true", "below", "at_most", "at_least", "above") if getattr(self, name) is not None
        ]
        if (shapes == ["variable"]) != bool(edges):
            raise ValueError("a variable needs is_true, below, at_most, at_least or above; nothing else takes them")
        if (
            {"below", "at_most"} <= set(edges)
            or {"above", "at_least"} <= set(edges)
            or ("is_true" in edges and len(edges) > 1)
        ):
            raise ValueError("one upper and one lower edge at most")
        if (shapes == ["score"]) != bool(self.tier_in):
            raise ValueError("a score needs tier_in; nothing else takes it")
        return self

    @property
    def parts(self) -> tuple[Condition, ...]:
        """The conditions inside this one."""
        return self.all_of or self.any_of or self.none_of or ()

    def walk(self) -> Iterator[Condition]:
        """Give this condition and all inside it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables it names, in order, each once."""
        return tuple(dict.fromkeys(each.variable for each in self.walk() if each.variable))

    @property
    def scores(self) -> tuple[str, ...]:
        """Scores it names, in order, each once."""
        return tuple(dict.fromkeys(each.score for each in self.walk() if each.score))


# --------------------------------------------------------------------------------------------------------- scores


class Tier(_Strict):
    """One tier of a score. Highest need first; edges are words; a tier of a decision list has a rule instead."""

    tier: str
    label: str
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    above: float | None = None
    when: Condition | None = None


class Eligibility(_Strict):
    """Who the score is for; anybody else gets none, with the reason."""

    when: Condition
    otherwise: str


class Score(_Strict):
    """A score or tiering: a value with tiers by edges, or a decision list whose first true rule is the tier."""

    id: str
    version: str
    label: str
    kind: Literal["recorded", "computed"] = "computed"
    is_prediction: bool = False
    status: Literal["two_sources", "one_source", "inferred"]
    source: str
    licence: str
    unit: str | None = None
    eligibility: tuple[Eligibility, ...] = ()
    value_of: str | None = None
    withheld_when_absent: str | None = None
    proportion_of: tuple[Condition, ...] | None = None
    understated_when: Condition | None = None
    tiers: tuple[Tier, ...] = Field(min_length=1)
    note: str | None = None

    @property
    def is_decision_list(self) -> bool:
        """Tiers are chosen by rules, not by the edges of a value."""
        return self.value_of is None and self.proportion_of is None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the definition."""
        found = [each.when for each in self.eligibility]
        found += [each.when for each in self.tiers if each.when]
        found += list(self.proportion_of or ())
        found += [self.understated_when] if self.understated_when else []
        return tuple(found)

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables it reads itself, in order, each once."""
        own = [self.value_of] if self.value_of else []
        return tuple(dict.fromkeys([*own, *(name for each in self.conditions for name in each.variables)]))

    @model_validator(mode="after")
    def _sound(self) -> Score:
        names = [each.tier for each in self.tiers]
        if len(set(names)) != len(names):
            raise ValueError("a tier is named twice")
        if self.value_of and self.proportion_of:
            raise ValueError("value_of or proportion_of, not both")
        if self.is_decision_list:
            for each in self.tiers[:-1]:
                if each.when is None or _edges(each):
                    raise ValueError(f"tier {each.tier} of a decision list needs a rule (when) and no edges")
            if _edges(self.tiers[-1]) or self.tiers[-1].when:
                raise ValueError("the last tier of a decision list takes the rest: no rule, no edges")
        else:
            if any(each.when for each in self.tiers):
                raise ValueError("tiers of a value have edges, not rules")
            _check_cover(self.tiers)
        return self


def _edges(tier: Tier) -> dict[str, float]:
    return {
        name: getattr(tier, name)
        for name in ("below", "at_most", "at_least", "above")
        if getattr(tier, name) is not None
    }


def _check_cover(tiers: tuple[Tier, ...]) -> None:
    """Prove that tiers cover every number once: each upper edge meets the lower edge of the tier next to it.

    Need may rise with the value (frailty points) or fall with it (FEV1): the first tier is open upwards or downwards.
    """
    falling = tiers if not {"below", "at_most"} & set(_edges(tiers[0])) else tiers[::-1]
    if {"below", "at_most"} & set(_edges(falling[0])) or {"above", "at_least"} & set(_edges(falling[-1])):
        raise ValueError(
            f"one of the tiers {tiers[0].tier} and {tiers[-1].tier} must have no upper edge, the other no lower edge"
        )
    for each in tiers:
        edges = _edges(each)
        low, high = edges.get("at_least", edges.get("above")), edges.get("at_most", edges.get("below"))
        if len(edges) > 2 or (low is not None and high is not None and low >= high):
            raise ValueError(f"tier {each.tier} holds no number, or has two edges on one side: {edges}")
    for upper, lower in itertools.pairwise(falling):
        up, down = _edges(upper), _edges(lower)
        meets = (up.get("above") is not None and up.get("above") == down.get("at_most")) or (
            up.get("at_least") is not None and up.get("at_least") == down.get("below")
        )
        if not meets:
            raise ValueError(f"tiers {upper.tier} and {lower.tier} leave a gap or overlap: {up} against {down}")


# ------------------------------------------------------------------------------------------------------- pathways


class Clinic(_Strict):
    """A clinic or worklist people are listed for. ``needs_capacity`` false: a worklist without sessions."""

    id: str
    label: str
    roles: tuple[str, ...] = Field(min_length=1)
    needs_capacity: bool = True


class Offer(_Strict):
    """What is offered instead of a clinic."""

    id: str
    label: str


class Route(_Strict):
    """One rule of a pathway: the first that holds decides. The last has no ``when`` and takes the rest."""

    id: str
    when: Condition | None = None
    decision: Decision
    clinic: str | None = None
    reason: str
    when_unknown: Literal["assessment", "pass_over"] = "assessment"
    gap: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Route:
        if (self.decision == "clinic") != (self.clinic is not None):
            raise ValueError("a route to a clinic names it, and only such a route does")
        if self.when_unknown == "pass_over" and not self.gap:
            raise ValueError("a rule that is passed over when unknown states the data gap to show")
        return self


class RankBy(_Strict):
    """One step of ranking after the tier: a variable, most or least first."""

    variable: str
    first: Literal["most", "least"]


class Pathway(_Strict):
    """Who is on a pathway, where each goes, and in which order clinics see them."""

    id: str
    version: str
    label: str
    status: Literal["draft", "published"]
    clinical_lead: str
    review_date: date
    source: str
    precedence: int
    cohort: Condition
    tier_from: str
    routes: tuple[Route, ...] = Field(min_length=1)
    rank_by: tuple[RankBy, ...]
    show: tuple[str, ...]
    clinics: tuple[Clinic, ...]
    offer: Offer
    assessment: Clinic
    clinician_review: Clinic

    @model_validator(mode="after")
    def _sound(self) -> Pathway:
        known = {each.id for each in self.clinics}
        for each in self.routes[:-1]:
            if each.when is None:
                raise ValueError(f"route {each.id} needs a rule (when); only the last takes the rest")
        if self.routes[-1].when is not None:
            raise ValueError("the last route takes the rest: it has no rule (when)")
        for each in self.routes:
            if each.clinic and each.clinic not in known:
                raise ValueError(f"route {each.id} names the clinic {each.clinic}, which the pathway does not have")
        return self

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the definition."""
        return (self.cohort, *(each.when for each in self.routes if each.when))

    def clinic(self, name: str) -> Clinic:
        """Give a clinic or worklist of the pathway by id."""
        return next(each for each in (*self.clinics, self.assessment, self.clinician_review) if each.id == name)


# ------------------------------------------------------------------------------------------------ worked examples


class ExamplePerson(_Strict):
    """The person of a worked example; what is not said is the ordinary case."""

    age_years: float | None = 70
    months_registered: float | None = 120
    status: str = "registered"
    identity_doubt: str | None = None
    is_hospital_linked: bool = True


class Example(_Strict):
    """One worked example: an invented person, the values found, and what the definition must say.

    A value is a number, one of which only a bound is known (``">90"``), or why there is none.
    """

    name: str
    person: ExamplePerson = ExamplePerson()
    values: dict[str, float | Literal["stale", "conflict", "unusable"] | Bounded] = {}
    expect: dict[str, str | float | bool | None]


class ExamplesFile(_Strict):
    """``<name>.examples.yaml``: examples of the definition beside it."""

    examples: tuple[Example, ...] = Field(min_length=1)
