"""The hazard log as data: what could harm a patient, and the controls and tests that stand against it.

``safety/hazards.yaml`` is a starting point for the Clinical Safety Officer of the maker and of each site (DCB0129,
DCB0160); its words are nobody's signature.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stratify import strict_yaml

Likelihood = Literal["very high", "high", "medium", "low", "very low"]
Severity = Literal["catastrophic", "major", "considerable", "significant", "minor"]


class Hazard(BaseModel):
    """One hazard.

    Attributes:
        id: ``H01`` and so on; never used again for another.
        hazard: What could happen to a patient.
        causes: How it could come about.
        effect: What it could do.
        severity: How bad that would be at its worst that is credible, in the words of DCB0129.
        likelihood: How likely that is with the controls in place.
        controls: Ids of :data:`stratify.controls.CONTROLS` that every run asks; it publishes nothing without.
        tests: Tests that show the controls, as pytest names them.
        left: What a site has to see to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^H\d\d$")
    hazard: str
    causes: str
    effect: str
    severity: Severity
    likelihood: Likelihood
    controls: tuple[str, ...] = Field(min_length=1)
    tests: tuple[str, ...] = Field(min_length=1)
    left: str


@cache
def load_hazards() -> tuple[Hazard, ...]:
    """Give the hazards, in order."""
    text = files("stratify.safety").joinpath("hazards.yaml").read_text(encoding="utf-8")
    return tuple(Hazard.model_validate(each) for each in strict_yaml.load(text)["hazards"])
