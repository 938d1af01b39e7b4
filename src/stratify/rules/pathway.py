"""Pathways: who is on one, where each goes, and in which order clinics see them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from stratify.rules.agreement import Agreement
from stratify.rules.conditions import Condition
from stratify.rules.strict import Strict

Decision = Literal["clinic", "self_management", "assessment", "clinician_review", "excluded", "not_eligible"]


class Clinic(Strict):
    """A clinic or worklist people are listed for. ``needs_capacity`` false: a worklist without sessions."""

    id: str
    label: str
    roles: tuple[str, ...] = Field(min_length=1)
    needs_capacity: bool = True


class Offer(Strict):
    """What is offered instead of a clinic."""

    id: str
    label: str


class Route(Strict):
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


class RankBy(Strict):
    """One step of ranking after the tier: a variable, most or least first."""

    variable: str
    first: Literal["most", "least"]


class Pathway(Strict):
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
    agreed: tuple[Agreement, ...] = ()

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
