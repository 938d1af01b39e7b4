"""Variables: one fact about a person on the index date, as a clinician declares it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stratify.rules.codes import Measurement
from stratify.rules.strict import Strict

Take = Literal["has", "count", "episodes", "latest", "highest", "lowest", "distinct_codes", "weight", "given"]
VALUES = ("latest", "highest", "lowest", "given")
"""Ways of taking that give a value which may be missing, as against a yes or a count."""
PERSON_FIELDS = ("age_years", "months_registered", "is_female", "is_male", "imd_decile")
"""What is known of a person without any record."""
HOSPITAL_RECORDS = ("emergency_admission", "hospital_diagnosis", "inpatient_diagnosis", "ed_attendance", "stay")
ANY = "any"
"""Stands for every code where a kind of record would name a codelist."""
_MAY_BE_ANY = ("emergency_admission", "hospital_diagnosis", "inpatient_diagnosis")


class Records(Strict):
    """One kind of dated record a variable reads. Exactly one of the fields says which.

    ``event``: coded GP entries. ``measurement``: GP values in their canonical unit. ``issue``: medicine issues.
    ``any_issue``: every medicine issue. ``emergency_admission``: emergency hospital spells by primary diagnosis.
    ``hospital_diagnosis``: diagnoses in any position of emergency spells; ``inpatient_diagnosis``: of all spells.
    ``ed_attendance``: attendances at an emergency department. ``stay``: a fact of a completed hospital spell, or that
    there was ``any``, dated by its discharge. ``flag``: status periods that hold on the index date. ``same_day``: days
    on which every part has a record. ``plug_in``: no record, but the value that a site's own function gives
    (docs/plug-in.md).

    ``excluding`` takes the codes of a second codelist out of the first. Where a codelist is named, ``any`` stands for
    every code of hospital records.
    """

    event: str | None = None
    measurement: str | None = None
    issue: str | None = None
    any_issue: Literal[True] | None = None
    emergency_admission: str | None = None
    hospital_diagnosis: str | None = None
    inpatient_diagnosis: str | None = None
    ed_attendance: Literal["any"] | None = None
    stay: Literal["any", "length_of_stay_days", "is_emergency"] | None = None
    flag: str | None = None
    same_day: tuple[DayPart, ...] | None = Field(default=None, min_length=2)
    plug_in: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    excluding: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Records:
        kinds = self.model_fields_set - {"excluding"}
        if len(kinds) != 1:
            raise ValueError("name exactly one kind of record")
        if self.excluding and (self.kind not in CODED or self.what == ANY):
            raise ValueError("excluding goes with a codelist")
        if self.what == ANY and self.kind not in (*_MAY_BE_ANY, "ed_attendance", "stay"):
            raise ValueError(f"any goes with {', '.join(_MAY_BE_ANY)}, ed_attendance and stay")
        return self

    @property
    def kind(self) -> str:
        """Which field is set."""
        return next(name for name in type(self).model_fields if name in self.model_fields_set and name != "excluding")

    @property
    def what(self) -> str:
        """Codelist, measurement, flag or fact it names; empty for any_issue and same_day."""
        value = getattr(self, self.kind)
        return value if isinstance(value, str) else ""

    @property
    def leaves(self) -> tuple[Records, ...]:
        """The kinds of record read in the end: itself, or those of its parts."""
        return tuple(each for part in self.same_day for each in part.any_of) if self.same_day else (self,)


CODED = ("event", "issue", "emergency_admission", "hospital_diagnosis", "inpatient_diagnosis")
"""Kinds of record that name a codelist."""


class DayPart(Strict):
    """One thing that must have happened on a day: a record of any of some kinds."""

    any_of: tuple[Records, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _simple(self) -> DayPart:
        if any(each.kind not in ("event", "issue") for each in self.any_of):
            raise ValueError("a part of a day is made of event and issue records")
        return self


class Variable(Strict):
    """One fact about a person on the index date: which dated records, which window, which reduction.

    ``take``: ``has`` (any; 1), ``count`` (days with a record), ``episodes`` (days more than ``merge_days``
    apart start a new one), ``latest`` (value of the latest record), ``highest`` or ``lowest`` (of the values of the
    latest ``of_last`` days; fewer days are too few to tell), ``distinct_codes``, ``weight`` (sum of the weights of the
    distinct codes), ``given`` (by a plug-in, from ``inputs``: other variables and what is known of the person).

    The window is ``[index date − lookback, index date)``, in ``lookback_months`` or ``lookback_days``; without either,
    ever. ``until_months_ago`` ends it earlier. ``before: latest_stay`` ends it on the day the person's latest completed
    hospital stay began, and counts the look-back (in days) from there. ``is_first``: only the first record ever counts.
    ``not_on_days_with``: GP records of a day on which one of these stands do not count. A value older than
    ``maximum_age_months`` or ``maximum_age_days`` is stale: unknown, never used.
    """

    id: str
    label: str
    records: tuple[Records, ...] = Field(alias="from", min_length=1)
    take: Take
    lookback_months: int | None = Field(default=None, ge=1)
    lookback_days: int | None = Field(default=None, ge=1)
    until_months_ago: int | None = Field(default=None, ge=1)
    before: Literal["latest_stay"] | None = None
    maximum_age_months: int | None = Field(default=None, ge=1)
    maximum_age_days: int | None = Field(default=None, ge=1)
    of_last: int | None = Field(default=None, ge=1)
    merge_days: int | None = Field(default=None, ge=1)
    is_first: Literal[True] | None = None
    not_on_days_with: tuple[Records, ...] = ()
    ended_by: str | None = None
    inputs: tuple[str, ...] = ()
    unit: str | None = None
    text: str
    text_when_missing: str | None = None
    source: str

    @model_validator(mode="after")
    def _window(self) -> Variable:
        if self.lookback_months and self.lookback_days:
            raise ValueError("a look-back is in months or in days, not both")
        if self.is_value and self.has_lookback:
            raise ValueError("a value has a maximum age, not a look-back")
        has_age = self.maximum_age_months is not None or self.maximum_age_days is not None
        if (self.is_value and self.take != "given") != has_age:
            raise ValueError("a value states its maximum age, and only a value does")
        if self.maximum_age_months and self.maximum_age_days:
            raise ValueError("a maximum age is in months or in days, not both")
        if self.until_months_ago and (self.before or self.is_value):
            raise ValueError("until_months_ago ends a look-back from the index date")
        if self.until_months_ago and self.lookback_months and self.until_months_ago >= self.lookback_months:
            raise ValueError("until_months_ago lies inside lookback_months")
        if self.until_months_ago and self.lookback_days:
            raise ValueError("until_months_ago goes with lookback_months")
        if self.before and not self.lookback_days:
            raise ValueError("a look-back before a stay is in days (lookback_days)")
        if self.before and self.take not in ("has", "count"):
            raise ValueError("before goes with take: has or count")
        return self

    @model_validator(mode="after")
    def _together(self) -> Variable:
        if (self.take == "episodes") != (self.merge_days is not None):
            raise ValueError("episodes state merge_days, and nothing else does")
        if (self.take in ("highest", "lowest")) != (self.of_last is not None):
            raise ValueError("the highest or lowest states of_last, and nothing else does")
        if self.is_value and (self.unit is None or self.text_when_missing is None):
            raise ValueError("a value states its unit and text_when_missing")
        if self.ended_by and self.take != "has":
            raise ValueError("ended_by belongs to take: has")
        if self.is_first and (self.take != "has" or not self.has_lookback or self.ended_by or self.before):
            raise ValueError("is_first goes with take: has and a look-back from the index date")
        kinds = {each.kind for each in self.records}
        only = {"latest": ({"measurement"}, {"stay"}), "highest": ({"measurement"},), "lowest": ({"measurement"},)}
        only["weight"] = ({"hospital_diagnosis"},)
        only["given"] = ({"plug_in"},)
        if (self.take == "given") != bool(self.inputs) or (self.take == "given") != ("plug_in" in kinds):
            raise ValueError("a plug-in goes with take: given, and states its inputs")
        if self.take == "given" and (len(self.records) > 1 or len(set(self.inputs)) < len(self.inputs)):
            raise ValueError("one plug-in gives a value, and each of its inputs is named once")
        if self.take in only and kinds not in only[self.take]:
            names = " or ".join(sorted(name for each in only[self.take] for name in each))
            raise ValueError(f"take: {self.take} reads {names} records only")
        stays = {each.what for each in self.records if each.kind == "stay"}
        is_any_stay = stays == {ANY} and kinds == {"stay"} and self.take in ("has", "count")
        if stays and not is_any_stay and (self.take != "latest" or ANY in stays):
            raise ValueError("a fact of a stay goes with take: latest, any stay alone with take: has or count")
        if "any_issue" in kinds and self.take != "distinct_codes":
            raise ValueError("any_issue goes with take: distinct_codes only")
        if any(each.kind not in ("event", "issue") for each in self.not_on_days_with):
            raise ValueError("not_on_days_with is made of event and issue records")
        if self.not_on_days_with and ("any_issue" in kinds or self.take == "weight" or self.is_value):
            raise ValueError("not_on_days_with goes with records that are found by their codes, and no values")
        if ";" in self.text + (self.text_when_missing or ""):
            raise ValueError("texts hold no semicolon: they are listed with it")
        return self

    @property
    def is_value(self) -> bool:
        """A value that may be missing, as against a count or a yes that is nought without records."""
        return self.take in VALUES

    @property
    def plug_in(self) -> str:
        """The plug-in that gives its value; empty for all others."""
        return self.records[0].plug_in or ""

    @property
    def has_lookback(self) -> bool:
        """It looks back a stated time, not for ever."""
        return bool(self.lookback_months or self.lookback_days)

    @property
    def leaves(self) -> tuple[Records, ...]:
        """Every kind of record it reads to find something, those of its day rules too."""
        return tuple(each for records in self.records for each in records.leaves)

    @property
    def codelists(self) -> frozenset[str]:
        """Codelists it names itself; a measurement it reads has its own."""
        read = (*self.leaves, *self.not_on_days_with)
        named = {each.what for each in read if each.kind in CODED and each.what != ANY}
        named |= {each.excluding for each in read if each.excluding}
        return frozenset(named | ({self.ended_by} if self.ended_by else set()))

    @property
    def reads_hospital(self) -> bool:
        """Some of its records come from hospital: not known for a person whose hospital data are not linked."""
        return bool(self.before) or any(each.kind in HOSPITAL_RECORDS for each in self.records)


class VariablesFile(Strict):
    """A file of ``clinical/variables/``."""

    measurements: tuple[Measurement, ...] = ()
    variables: tuple[Variable, ...] = ()
