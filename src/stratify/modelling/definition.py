"""A model as a score of the rule book: the same numbers, in the clinicians' vocabulary.

So a promoted model is scored, explained, checked, compared and rolled back like any published score, and nothing in a
run knows that it was trained. A term that adds nothing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import yaml

from stratify.modelling.additive import Term
from stratify.modelling.design import ModelDesign
from stratify.modelling.stored import StoredModel
from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Condition, Eligibility, Points, Score, Tier
from stratify.rules.scoring import Band

_LOWEST = "lower"
_NOT_PROMOTED = "No trained model is in use: the published score is"
_LICENCE = "Fitted by the site on its own data"


def score_of(model: StoredModel, book: RuleBook) -> Score:
    """Give the score that says what a model says."""
    design, fitted, trained = model.design, model.fitted, model.trained_on
    flags = {name for name, each in book.variables.items() if each.take == "has"}
    base, points = fitted.base, []
    for term in fitted.terms:
        added, parts = _points_of(term, is_flag=term.predictor in flags or term.predictor in ("is_female", "is_male"))
        base += added
        points += parts
    return Score(
        id=design.name,
        version=design.version,
        label=design.label,
        use="hospital",
        is_prediction=True,
        status="one_source",
        source=(
            f"Fitted on {trained.rows:,} rows with {trained.events:,} events, index dates "
            f"{trained.first_index_date} to {trained.last_index_date}; model file sha256 {model.digest}"
        ),
        licence=_LICENCE,
        unit="probability",
        eligibility=_eligibility(design),
        points=tuple(points),
        add=base,
        link="logistic",
        tiers=_tiers(design),
        note=(
            f"For: {design.intended_use}. Not for: {design.not_for}. "
            f"Owner: {design.owner}; review by {design.review_date}"
        ),
    )


def no_score(design: ModelDesign) -> Score:
    """Give the score that stands where no model is promoted: nobody has one, and the reason is told."""
    return Score(
        id=design.name,
        version="0.0.0",
        label=design.label,
        use="hospital",
        is_prediction=True,
        status="one_source",
        source="No model is promoted",
        licence=_LICENCE,
        unit="probability",
        eligibility=(Eligibility(when=Condition(variable="age_years", below=0), otherwise=_NOT_PROMOTED),),
        points=(Points(variable="age_years", times=1.0),),
        link="logistic",
        tiers=_tiers(design),
    )


def is_in_use(score: Score) -> bool:
    """Tell whether a score is a promoted model, and not the one that stands in for none."""
    return not score.is_for_nobody


def _eligibility(design: ModelDesign) -> tuple[Eligibility, ...]:
    asked = design.population
    found = [
        Eligibility(
            when=Condition(variable="age_years", at_least=asked.least_age_years),
            otherwise=f"The model is for people aged {asked.least_age_years} and over",
        )
    ]
    if asked.wash_out_months:
        found.append(
            Eligibility(
                when=Condition(variable="months_registered", at_least=asked.wash_out_months),
                otherwise=f"Registered for less than {asked.wash_out_months} months: the record may not say enough yet",
            )
        )
    if asked.discharged_within_days:
        found.append(
            Eligibility(
                when=Condition(variable="has_left_hospital", is_true=True),
                otherwise="Did not leave hospital in the last 30 days",
            )
        )
    if asked.when:
        found.append(Eligibility(when=asked.when, otherwise="Not one of those the model is for"))
    found += [Eligibility(when=Condition(none_of=(each.when,)), otherwise=each.reason) for each in asked.exclusions]
    return tuple(found)


def _tiers(design: ModelDesign) -> tuple[Tier, ...]:
    highest_first = sorted(design.tiers.items(), key=lambda each: -each[1])
    named = [Tier(tier=name, label=name.replace("_", " "), at_least=edge) for name, edge in highest_first]
    upper = [each.at_least for each in named]
    closed = [
        named[0],
        *(each.model_copy(update={"below": edge}) for each, edge in zip(named[1:], upper, strict=False)),
    ]
    return (*closed, Tier(tier=_LOWEST, label=_LOWEST, below=upper[-1]))


def _points_of(term: Term, *, is_flag: bool) -> tuple[float, list[Points]]:
    """Give what a term adds for everybody, and the points it is made of beside that."""
    unknown = None if term.when_unknown is None else float(term.when_unknown)
    if term.times is not None:
        if term.times == 0 and not unknown:
            return 0.0, []
        if term.times == 0:
            return 0.0, [Points(when=Condition(variable=term.predictor, is_missing=True), points=unknown)]
        return 0.0, [Points(variable=term.predictor, times=term.times, minus=term.minus, when_unknown=unknown)]
    if not term.edges:
        rest = 0.0 if unknown is None else unknown - term.points[0]
        missing = Condition(variable=term.predictor, is_missing=True)
        return term.points[0], [Points(when=missing, points=rest)] if rest else []
    if is_flag and len(term.edges) == 1 and unknown is None:
        return term.points[0], [
            Points(when=Condition(variable=term.predictor, is_true=True), points=term.points[1] - term.points[0])
        ]
    lower: dict[str, float] = {}
    bands = []
    for edge, points in zip((*term.edges, math.inf), term.points, strict=True):
        upper = {} if math.isinf(edge) else {"at_most": edge}
        bands.append(Band(**lower, **upper, points=points))
        lower = {"above": edge}
    return 0.0, [Points(variable=term.predictor, bands=tuple(bands), when_unknown=unknown)]


def definition_text(score: Score) -> str:
    """Write a score's file."""
    said = score.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return f"# Written by `stratify model promote`; change the model and not this file.\n{_yaml(said)}"


def examples_text(score: Score, model: StoredModel | None) -> str:
    """Write worked examples of a score: the risks that the model's own file gives, which every run works out again."""
    if model is None:
        nobody = {"name": "no model is promoted", "person": {"age_years": 80}, "expect": {"value": None, "tier": None}}
        return _yaml({"examples": [nobody]})
    examples = [_example(name, values, score, model) for name, values in _people(score, model)]
    asked = model.design.population
    nothing = {"value": None, "tier": None}
    if asked.least_age_years:
        young = {"age_years": asked.least_age_years - 1, "months_registered": 120}
        examples.append({"name": "too young", "person": young, "expect": nothing})
    if asked.wash_out_months:
        new = {"age_years": 70, "months_registered": asked.wash_out_months - 1}
        examples.append({"name": "registered too short a time", "person": new, "expect": nothing})
    head = "# Written by `stratify model promote`: what the model's own file gives for invented people.\n"
    return head + _yaml({"examples": examples})


def _example(name: str, values: Mapping[str, float], score: Score, model: StoredModel) -> dict[str, Any]:
    risk, tier = _risk_and_tier(values, score, model)
    person: dict[str, Any] = {key: values[key] for key in ("age_years", "imd_decile") if key in values}
    person = {key: int(value) for key, value in person.items()}
    if "is_female" in values:
        person["sex"] = "female" if values["is_female"] else "male"
    person["months_registered"] = int(values.get("months_registered", model.design.population.wash_out_months))
    told = {key: value for key, value in values.items() if key not in PERSON_FIELDS and value}
    return {"name": name, "person": person, "values": told, "expect": {"value": risk, "tier": tier}}


def _risk_and_tier(values: Mapping[str, float], score: Score, model: StoredModel) -> tuple[float, str]:
    row = np.array([[values.get(each, np.nan) for each in model.fitted.names]])
    risk = round(float(model.fitted.risk(row)[0]), 6)
    return risk, next(each.tier for each in score.tiers if each.at_least is None or risk >= each.at_least)


def _people(score: Score, model: StoredModel) -> Iterator[tuple[str, dict[str, float]]]:
    """Give invented people: on each edge of each predictor and just past it, the youngest, and one in every tier."""
    usual = {"age_years": 70.0, "imd_decile": 5.0}
    plain = {term.predictor: usual.get(term.predictor, 0.0) for term in model.fitted.terms}
    yield "nothing recorded", plain
    if "age_years" in plain and model.design.population.least_age_years:
        yield "as young as may be", plain | {"age_years": float(model.design.population.least_age_years)}
    for term in model.fitted.terms:
        for edge in term.edges:
            for name, value in ((f"{term.predictor} {edge:g}", edge), (f"{term.predictor} past {edge:g}", edge + 1)):
                yield name, plain | {term.predictor: value}
    seen, more = {_risk_and_tier(plain, score, model)[1]}, dict(plain)
    for term in model.fitted.terms:
        if term.predictor not in PERSON_FIELDS:
            more[term.predictor] = (term.edges or (1.0,))[-1] + 1
            tier = _risk_and_tier(more, score, model)[1]
            if tier not in seen:
                seen.add(tier)
                yield f"one at {tier.replace('_', ' ')} risk", dict(more)


def _yaml(said: Any) -> str:  # noqa: ANN401  whatever a file holds
    text: str = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=118, default_flow_style=None)
    return text
