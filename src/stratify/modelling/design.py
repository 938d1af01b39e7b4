"""What a model is declared to be: whom it is for, what it foretells, from what, how it is fitted and judged.

One file each, ``clinical/models/<name>.yaml``. Reads files; fits nothing.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from stratify import strict_yaml
from stratify.errors import RuleError
from stratify.rulebook import RuleBook, clinical_folder
from stratify.rules import PERSON_FIELDS, Condition
from stratify.rules.strict import Strict

PROMOTIONS = ".promotions.yaml"
"""How the name of a register of promotions ends."""
Direction = Literal["rising", "falling"]


class Exclusion(Strict):
    """People the model is not for, and why."""

    when: Condition
    reason: str


class Population(Strict):
    """Who is looked at on an index date.

    ``wash_out_months``: registered at least so long before, so that the record has had time to say something.
    ``discharged_within_days``: only who left hospital alive in the days before the index date and is still out.
    """

    least_age_years: int = Field(ge=0, le=110)
    wash_out_months: int = Field(default=12, ge=0)
    discharged_within_days: int | None = Field(default=None, ge=1, le=30)
    when: Condition | None = None
    exclusions: tuple[Exclusion, ...] = ()


class IndexDates(Strict):
    """Days on which people are looked at, counted back from the day of the run the data come from.

    The latest is ``latest_months_before`` the run, so that its horizon is over; the others ``every_months`` earlier.
    """

    latest_months_before: int = Field(ge=1)
    every_months: int = Field(default=12, ge=1)
    count: int = Field(default=2, ge=1, le=36)


class Outcome(Strict):
    """What is foretold: an emergency admission within a horizon; of some primary diagnoses where a codelist is named.

    ``within_months`` counts from the index date, ``within_days_of_discharge`` from the discharge that made somebody
    one of the population. Who dies without it has not had it.
    """

    codelist: str | None = None
    within_months: int | None = Field(default=None, ge=1, le=60)
    within_days_of_discharge: int | None = Field(default=None, ge=1, le=365)

    @model_validator(mode="after")
    def _one_horizon(self) -> Outcome:
        if (self.within_months is None) == (self.within_days_of_discharge is None):
            raise ValueError("an outcome has one horizon: within_months, or within_days_of_discharge")
        return self


class Predictor(Strict):
    """A variable of the rule book, or a fact of the person, that the risk is made of.

    ``direction``: where medicine demands that more of it never lowers (``rising``) or raises (``falling``) the risk.
    ``when_missing``: ``learned``: what not knowing means is fitted; ``leaves_open``: nobody without it is fitted on,
    and later whoever is without it has an open score, and no number.
    """

    variable: str
    direction: Direction | None = None
    when_missing: Literal["learned", "leaves_open"] = "leaves_open"


class Algorithm(Strict):
    """How the model is fitted.

    ``logistic``: penalised logistic regression; ``penalties`` are tried. ``boosting``: boosted trees, each of one
    predictor, within the declared directions; ``rounds`` are tried. Either is calibrated (Platt) on predictions for
    practices it was not fitted on.
    """

    kind: Literal["logistic", "boosting"]
    penalties: tuple[float, ...] = (0.001, 0.01, 0.1)
    rounds: tuple[int, ...] = (60, 120, 240)
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    most_bands: int = Field(default=12, ge=2, le=64)
    least_in_leaf: int = Field(default=50, ge=1)
    folds: int = Field(default=3, ge=2, le=10)


class Split(Strict):
    """What is kept from fitting, to judge by: a share of the practices, and the latest index date."""

    practices_held_back_percent: int = Field(default=25, ge=5, le=50)
    latest_index_date_held_back: bool = True


class ModelDesign(Strict):
    """A model as declared."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    label: str
    intended_use: str
    not_for: str
    owner: str
    review_date: date
    population: Population
    index_dates: IndexDates
    outcome: Outcome
    predictors: tuple[Predictor, ...] = Field(min_length=1)
    algorithm: Algorithm
    split: Split = Split()
    least_events: int = Field(default=200, ge=20)
    events_per_parameter: int = Field(default=10, ge=1)
    baseline_score: str
    tiers: dict[str, float] = Field(min_length=1)
    seed: int = 1

    @model_validator(mode="after")
    def _sound(self) -> ModelDesign:
        names = [each.variable for each in self.predictors]
        if len(set(names)) < len(names):
            raise ValueError("a predictor is named twice")
        edges = list(self.tiers.values())
        if len(set(edges)) < len(edges) or not all(0 < each < 1 for each in edges):
            raise ValueError("tiers begin at risks between 0 and 1, no two at one")
        if (self.outcome.within_days_of_discharge is None) != (self.population.discharged_within_days is None):
            raise ValueError("within_days_of_discharge and discharged_within_days belong together")
        is_short = self.outcome.within_months and self.index_dates.latest_months_before < self.outcome.within_months
        if is_short:
            raise ValueError("the latest index date is so late that its horizon is not over")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The predictors in their order."""
        return tuple(each.variable for each in self.predictors)

    @property
    def directions(self) -> dict[str, int]:
        """1 for a predictor that never lowers the risk, -1 for one that never raises it; no others."""
        return {
            each.variable: 1 if each.direction == "rising" else -1
            for each in self.predictors
            if each.direction is not None
        }

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables of the rule book that the cohort needs: predictors, and those of who is looked at."""
        conditions = [each.when for each in self.population.exclusions]
        conditions += [self.population.when] if self.population.when else []
        read = [*self.names, *(name for each in conditions for name in each.variables)]
        return tuple(dict.fromkeys(name for name in read if name not in PERSON_FIELDS))


def models_folder(clinical: Path | None) -> Path:
    """Give the folder of the models of a folder of definitions."""
    return (clinical or clinical_folder()) / "models"


def declared(clinical: Path | None) -> tuple[str, ...]:
    """Give the models that a folder of definitions declares, sorted."""
    files = models_folder(clinical).glob("*.yaml")
    return tuple(sorted(each.stem for each in files if not each.name.endswith(PROMOTIONS)))


def read_design(file: Path, book: RuleBook) -> ModelDesign:
    """Read a declaration and prove that it fits a rule book.

    Raises:
        RuleError: it cannot be read, says what it may not, or names what the rule book has not.
    """
    where = f"models/{file.name}"
    try:
        found: Any = strict_yaml.load(file.read_text(encoding="utf-8"))
        design = ModelDesign.model_validate(found)
    except (OSError, UnicodeDecodeError):
        raise RuleError(where, expected="a model's declaration", found="no such file", action="Name another.") from None
    except yaml.YAMLError as fault:
        words = strict_yaml.fault_in_words(fault)
        raise RuleError(where, expected="YAML", found=words, action="Correct the file.") from None
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(each) for each in first["loc"]) or "the whole"
        raise RuleError(
            where,
            expected="a model's declaration",
            found=f"{place}: {first['msg']}",
            action="See schemas/model.schema.json.",
        ) from None
    if design.name != file.stem:
        raise RuleError(where, expected=f"the name {file.stem}", found="another", action="Name the file as the model.")
    _fits(design, book, where)
    return design


def _fits(design: ModelDesign, book: RuleBook, where: str) -> None:
    def refuse(expected: str, found: str) -> None:
        raise RuleError(where, expected=expected, found=found, action="Name one of those, or define it first.")

    unknown = [name for name in design.variables if name not in book.variables]
    if unknown:
        refuse("variables of the rule book", ", ".join(unknown))
    given = [name for name in design.variables if book.variables[name].take == "given"]
    if given:
        refuse("predictors that can be worked out for an earlier day", f"given by a plug-in: {', '.join(given)}")
    if design.outcome.codelist and design.outcome.codelist not in book.codelists:
        refuse("a codelist of the rule book", design.outcome.codelist)
    if design.baseline_score not in book.scores:
        refuse("a published score of the rule book to beat", design.baseline_score)
