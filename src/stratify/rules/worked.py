"""Worked examples: invented people, the values found of them, and what a definition must say."""

from __future__ import annotations

from datetime import date as date_of
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stratify.rules.strict import Strict

Bounded = Annotated[str, Field(pattern=r"^(<|<=|>|>=) ?-?[0-9]+(\.[0-9]+)?$")]
"""A value of which only one bound is known, as laboratories write it: ``>90``."""


SCORE_KEYS = ("tier", "possible_tiers", "value", "is_complete", "withheld_reason", "missing_variables")
PATHWAY_KEYS = ("decision", "clinic_id", "rule_id", "tier", "missing_variables", "data_gaps")
"""What an example may expect of a score, of a pathway."""
SHORT_KEYS = {"missing": "missing_variables", "clinic": "clinic_id", "rule": "rule_id"}
"""What may be written for some of them."""


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

    A value is a number, one of which only a bound is known (``">90"``), or why there is none. ``tiers``, of a pathway:
    the tier a score gives, or ``none``, whatever it is made of, so that another model in its place changes nothing.
    """

    name: str
    person: ExamplePerson = ExamplePerson()
    values: dict[str, float | Literal["stale", "conflict", "unusable"] | Bounded] = Field(default_factory=dict)
    tiers: dict[str, str] = Field(default_factory=dict)
    expect: dict[str, str | float | bool | None]


class ExamplesFile(Strict):
    """``<name>.examples.yaml``: examples of the definition beside it."""

    examples: tuple[Example, ...] = Field(min_length=1)


class _Coded(Strict):
    date: date_of | None
    code: str


class PatientObservation(_Coded):
    """A value in the GP record, as the practice wrote it."""

    value: float | None = None
    unit: str | None = None
    comparator: Literal["<", "<=", ">", ">=", "~"] | None = None


class PatientIssue(Strict):
    """A medicine issue, by its dm+d or BNF code or both."""

    date: date_of
    dmd: str | None = None
    bnf: str | None = None

    @model_validator(mode="after")
    def _coded(self) -> PatientIssue:
        if not self.dmd and not self.bnf:
            raise ValueError("an issue has a dm+d or a BNF code")
        return self


class PatientSpell(Strict):
    """A hospital stay; the first diagnosis is the primary one. ``admission_method``: NHS Data Dictionary."""

    admitted: date_of
    discharged: date_of | None = None
    admission_method: str = "21"
    diagnoses: tuple[str, ...] = Field(min_length=1, max_length=20)


class PatientFlag(Strict):
    """A status period."""

    flag: str
    start: date_of
    end: date_of | None = None


class Patient(Strict):
    """An invented patient with records, and what definitions must say of them: by score or pathway, what and which."""

    name: str
    born: date_of
    sex: Literal["female", "male"]
    registered: date_of = date_of(2010, 1, 1)
    died: date_of | None = None
    is_hospital_linked: bool = True
    events: tuple[_Coded, ...] = ()
    observations: tuple[PatientObservation, ...] = ()
    medications: tuple[PatientIssue, ...] = ()
    spells: tuple[PatientSpell, ...] = ()
    ed_attendances: tuple[date_of, ...] = ()
    flags: tuple[PatientFlag, ...] = ()
    expect: dict[str, dict[str, str | float | bool | None]] = Field(min_length=1)


class PatientsFile(Strict):
    """A file of patients of one's own, tried through the whole of the run."""

    index_date: date_of
    patients: tuple[Patient, ...] = Field(min_length=1)
