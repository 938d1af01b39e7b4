"""Evaluations as declarations: what is compared with what, over which days, before anybody looks.

The whole entry is the analysis plan: its digest is what is recorded before a lot decides about anybody. How the
comparison is made is in ``impact``.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stratify.rules.strict import Strict, refusal

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Words = Annotated[str, Field(min_length=3)]
Design = Literal["lot", "cut", "matched", "places"]
Outcome = Literal["emergency_admission", "death"]


class Evaluation(Strict):
    """One question about the effect of a pathway.

    Attributes:
        id: Short name.
        version: Of the declaration.
        name: The question in words.
        owner: Role that answers for it.
        pathway: The pathway.
        clinic: The clinic whose places are compared; for ``places`` none, since there the whole practice is.
        design: ``lot`` (randomised among those who tie at the last place), ``cut`` (just above and just below it),
            ``matched`` (people like them who wait, change against change), ``places`` (practices where the pathway is
            on with a mixture of practices where it is off).
        outcome: What is counted.
        harms: What is counted beside it, so that no harm goes unseen.
        recruits_from: First week whose lists count; for ``places`` the week in which it was switched on.
        recruits_until: Last week whose lists count.
        before_days: Days before the first list that history is taken from.
        after_days: Days each person is followed from the first list.
        within_places: For ``cut``, how many places from the last one people may be.
        smallest_worth_percent: The smallest effect worth knowing of, as a share of the comparison's rate.
    """

    id: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    name: Words
    owner: Words
    pathway: Name
    clinic: Name | None = None
    design: Design
    outcome: Outcome
    harms: tuple[Outcome, ...] = ()
    recruits_from: date
    recruits_until: date
    before_days: Annotated[int, Field(ge=28)] = 365
    after_days: Annotated[int, Field(ge=28)]
    within_places: Annotated[int, Field(ge=3)] | None = None
    smallest_worth_percent: Annotated[float, Field(gt=0, le=100)] = 10.0

    @model_validator(mode="after")
    def _sound(self) -> Evaluation:
        if self.recruits_until < self.recruits_from:
            raise refusal("recruits_until is no earlier than recruits_from", "recruits_until")
        if (self.clinic is None) != (self.design == "places"):
            raise refusal("a clinic is named for lot, cut and matched, and for places it is not", "clinic")
        if (self.within_places is None) == (self.design == "cut"):
            raise refusal("within_places goes with design: cut, and only with it", "within_places")
        if self.outcome in self.harms:
            raise refusal("what is counted as the outcome is not counted again among the harms", "harms")
        return self

    @property
    def digest(self) -> str:
        """The SHA-256 of the plan: another one as soon as anything in it changes."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class EvaluationsFile(Strict):
    """A file of evaluations: ``clinical/evaluations/<topic>.yaml``."""

    evaluations: Annotated[tuple[Evaluation, ...], Field(min_length=1)]
