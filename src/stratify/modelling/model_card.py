"""The card of a model's version: what it is, on whom it was made, how it did on people it had not seen.

Made from a stored model and the people kept from its fitting; data, not words: how it looks is for ``card_page``. A
card may leave direct care, so every count is under disclosure control, and a measure is given only where the counts it
is made of may be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify import disclosure, fairness
from stratify.disclosure import LARGEST_HIDDEN, Sum
from stratify.modelling.additive import Floats
from stratify.modelling.cohort import Cohort
from stratify.modelling.design import ModelDesign
from stratify.modelling.evaluation import (
    Estimate,
    Performance,
    calibration_bins,
    decision_curve,
    evaluate,
    evaluate_groups,
    inside_capacity,
    smooth_calibration,
)
from stratify.modelling.learning_curve import Fit, Rows, learning_curve
from stratify.modelling.stored import StoredModel
from stratify.modelling.tripod import ReportItem, report
from stratify.rules.strict import Strict

PARTS = {
    "later_elsewhere": "A later date, at practices it was not fitted on",
    "later": "A later date, at practices it was fitted on",
    "elsewhere": "The same dates, at practices it was not fitted on",
    "fit": "The people it was fitted on (flatters the model)",
}
"""Parts of a cohort, the hardest test first."""

BREAKDOWNS = {
    "all": "Everybody",
    "age_band": "Age",
    "sex": "Sex",
    "ethnic_group": "Ethnic group",
    "imd_fifth": "Deprivation fifth (1 is most deprived)",
    "in_care_home": "Lives in a care home",
    "has_copd": "On the COPD register",
    "has_diabetes": "On the diabetes register",
    "practice": "Practice",
}
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
CAPACITIES = (0.5, 1, 2, 5, 10, 20, 50)
"""Percent of people that there are places for, for the course of sensitivity and PPV."""

_PLACES = ("sensitivity", "ppv", "number_to_review")
_AT_THE_CUT = (*_PLACES, "net_benefit")
_ORDER_ALONE = ("auroc", "auprc", *_PLACES)
"""Measures of a score that is no risk."""


class GroupRow(Strict):
    """Counts and measures of a group; None is hidden, and a measure that may not be shown or made is absent."""

    breakdown: str
    value: str
    rows: int | None
    events: int | None
    listed: int | None
    listed_events: int | None
    measures: dict[str, Estimate]


class Judged(Strict):
    """How a model did on a part of the people.

    ``baseline``: the published score at as many places. ``bins``: mean risk, observed share, its interval. ``smooth``:
    risk and observed share. ``decisions``: threshold, net benefit, its interval, that of acting on everybody.
    ``capacities``: percent of people listed, sensitivity, PPV, share of those without the outcome who are listed.
    """

    part: Literal["later_elsewhere", "later", "elsewhere", "fit"]
    groups: tuple[GroupRow, ...]
    baseline: dict[str, Estimate]
    bins: tuple[tuple[float, float, float, float], ...]
    smooth: tuple[tuple[float, float], ...]
    decisions: tuple[tuple[float, float, float, float, float], ...]
    capacities: tuple[tuple[float, float, float, float], ...]


class LearningStep(Strict):
    """A part of the rows fitted on, and what that part alone gives on rows it was not fitted on."""

    rows: int
    auroc: Estimate
    calibration_slope: Estimate | None
    brier: Estimate


class AttritionShown(Strict):
    """A step from everybody to those used; None is hidden."""

    step: str
    people: int | None


class ModelCard(Strict):
    """Everything a card says; ``definitions`` is the digest of all definitions and codelists it was fitted by."""

    format: Literal["stratify model card 1"] = "stratify model card 1"
    model: str
    version: str
    model_sha256: str
    design: ModelDesign
    parameters: int
    calibration: tuple[float, float]
    made_with: dict[str, str]
    definitions: str
    index_dates: tuple[str, str]
    practices: int
    practices_held_back: int
    attrition: tuple[AttritionShown, ...]
    listed_percent: float
    threshold: float
    judged: tuple[Judged, ...]
    learning: tuple[LearningStep, ...]
    limits: tuple[str, ...]
    report: tuple[ReportItem, ...]


def make_card(
    model: StoredModel,
    cohort: Cohort,
    *,
    listed_percent: float = 2.0,
    said_by_site: Mapping[str, str] | None = None,
    refit: Fit | None = None,
) -> ModelCard:
    """Make the card of a model.

    Args:
        model: The model.
        cohort: The people of its declaration, of the run it was fitted on or of a later one.
        listed_percent: Of 100 people, how many there are places for. The cut is the risk of the last place among
            everybody who was kept from fitting; whoever is at or above it is inside.
        said_by_site: Items of the report that the site says itself.
        refit: Fits the model's design on other rows, for the learning curve; none is drawn without it.
    """
    rows = cohort.rows.with_columns(risk=pl.Series(model.fitted.risk(cohort.predictors)))
    rows = rows.filter(pl.col("risk").is_not_nan()).with_columns(part=_part_of(model)).pipe(with_groups)
    apart = rows.filter(pl.col("part") != "fit")["risk"].sort(descending=True)
    threshold = float(apart[max(1, round(apart.len() * listed_percent / 100)) - 1]) if apart.len() else 1.0
    rows = rows.with_columns(is_listed=pl.col("risk") >= threshold)
    judged = tuple(_judged(rows.filter(pl.col("part") == part), part) for part in PARTS)
    trained = model.trained_on
    return ModelCard(
        model=model.design.name,
        version=model.design.version,
        model_sha256=model.digest,
        design=model.design,
        parameters=model.fitted.parameters,
        calibration=model.fitted.calibration,
        made_with=model.made_with,
        definitions=trained.definitions,
        index_dates=(trained.first_index_date, trained.last_index_date),
        practices=trained.practices,
        practices_held_back=len(trained.held_back_practices),
        attrition=_shown_attrition(cohort),
        listed_percent=listed_percent,
        threshold=threshold,
        judged=judged,
        learning=_learning(cohort, refit) if refit else (),
        limits=_limits(judged),
        report=report(said_by_site or {}),
    )


def _part_of(model: StoredModel) -> pl.Expr:
    """Tell what a row was to a model, by what it says it was fitted on: people of a later run are new to it."""
    trained = model.trained_on
    later = pl.col("index_date") > pl.lit(trained.last_index_date).str.to_date()
    elsewhere = pl.col("practice_code").is_in(trained.held_back_practices)
    return (
        pl.when(later & elsewhere).then(pl.lit("later_elsewhere")).when(later).then(pl.lit("later"))
        .when(elsewhere).then(pl.lit("elsewhere")).otherwise(pl.lit("fit"))
    )  # fmt: skip


def judged_on(rows: pl.DataFrame) -> pl.DataFrame:
    """Give the groups that rows are judged by, a column for each of :data:`BREAKDOWNS` but everybody."""
    return rows.select(*(name for name in BREAKDOWNS if name != "all"))


def with_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows of a cohort with the groups that :func:`judged_on` gives."""
    about = fairness.groups(
        rows.with_columns(pl.lit("registered").alias("person_status"), pl.lit(None, pl.String).alias("pcn_code"))
    )
    yes = [
        pl.when(pl.col(name)).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(name)
        for name in ("in_care_home", "has_copd", "has_diabetes")
    ]
    return rows.drop("sex").with_columns(
        about["age_band"], about["sex"], about["ethnic_group"], about["imd_fifth"], about["practice"], *yes
    )


_KEY = ("breakdown", "value", "outcome_is", "cut")


def _shown_counts(rows: pl.DataFrame) -> Callable[..., int | None]:
    """Count the rows of a part by group, outcome and side of the cut, and hide what may not be shown.

    Where the cut leaves few of everybody on a side, nothing is said of the cut at all: else hiding those few would
    hide most of what is said of groups. People have a row for each index date: hiding few rows hides few people too.

    Returns:
        A function from breakdown, value, outcome and side of the cut to the count, or None where it is hidden.
    """
    fine = rows.with_columns(
        pl.when(pl.col("outcome") == 1).then(pl.lit("event")).otherwise(pl.lit("none")).alias("outcome_is"),
        pl.when("is_listed").then(pl.lit("listed")).otherwise(pl.lit("not listed")).alias("cut"),
    )
    whole = pl.lit("all")
    sides = fine.group_by("outcome_is", "cut").len()["len"].to_list()
    has_cut = _may_be_told(*(float(each) for each in sides))
    cells = []
    for breakdown in BREAKDOWNS:
        value = whole if breakdown == "all" else pl.col(breakdown)
        for outcome in (whole, pl.col("outcome_is")):
            for cut in (whole, pl.col("cut")) if has_cut else (whole,):
                by = (pl.lit(breakdown), value, outcome, cut)
                key = [each.alias(name) for name, each in zip(_KEY, by, strict=True)]
                cells.append(fine.group_by(key).agg(pl.len().cast(pl.Int64).alias("rows")))
    sums = (
        Sum("groups", pl.col("breakdown") != "all", {"breakdown": whole, "value": whole}, within=("breakdown",)),
        Sum("outcomes", pl.col("outcome_is") != "all", {"outcome_is": whole}),
        Sum("sides of the cut", pl.col("cut") != "all", {"cut": whole}),
    )
    shown = disclosure.protect(pl.concat(cells), count="rows", key=_KEY, sums=sums)
    found = {tuple(row[:4]): row[4] for row in shown.select(*_KEY, "rows").iter_rows()}
    return lambda *cell: found.get(cell, 0) if has_cut or cell[3] == "all" else None


def _judged(rows: pl.DataFrame, part: str) -> Judged:
    outcome, risk = rows["outcome"].to_numpy(), rows["risk"].to_numpy()
    person, listed = rows["patient_key"].to_numpy(), rows["is_listed"].to_numpy().astype(np.float64)
    found = evaluate_groups(outcome, risk, judged_on(rows), listed=listed, person=person)
    shown = _shown_counts(rows)
    groups = [_group_row(group, each, shown) for group, each in found.items() if each.people]
    order = {name: place for place, name in enumerate(BREAKDOWNS)}
    groups.sort(key=lambda each: (order[each.breakdown], each.value == fairness.NOT_KNOWN, each.value))
    return Judged.model_validate(
        {
            "part": part,
            "groups": tuple(groups),
            "baseline": _baseline(rows, listed, person, groups),
            "bins": tuple(calibration_bins(outcome, risk).select("mean_risk", "observed", "low", "high").rows()),
            "smooth": tuple(smooth_calibration(outcome, risk).rows()) if groups and groups[0].measures else (),
            "decisions": _decisions(outcome, risk, person),
            "capacities": _capacities(outcome, risk),
        }
    )


def _group_row(group: tuple[str, str], found: Performance, shown: Callable[..., int | None]) -> GroupRow:
    def cell(outcome: str, cut: str) -> int | None:
        return shown(*group, outcome, cut)

    is_whole = None not in (cell("all", "all"), cell("event", "all"), cell("none", "all"))
    # A sensitivity of 0.6 of 10 is 6 people; sides of the cut that may not be shown have no measure either.
    sides = [cell(outcome, cut) for outcome in ("event", "none") for cut in ("listed", "not listed")]
    has_cut = is_whole and None not in sides
    measures = {name: each for name, each in found.measures.items() if (has_cut if name in _AT_THE_CUT else is_whole)}
    return GroupRow(
        breakdown=group[0],
        value=group[1],
        rows=cell("all", "all"),
        events=cell("event", "all"),
        listed=cell("all", "listed"),
        listed_events=cell("event", "listed"),
        measures=measures,
    )


def _baseline(
    rows: pl.DataFrame, listed: Floats, person: npt.NDArray[Any], groups: list[GroupRow]
) -> dict[str, Estimate]:
    """Measure the published score at as many places; it is no risk, so that only the order of people is judged."""
    if not groups or not set(_PLACES) <= set(groups[0].measures):
        return {}
    # Who has no score could not be found by it, and comes last.
    order = rows["baseline"].cast(pl.Float64).rank("dense").fill_null(0).to_numpy()
    height = order / max(float(order.max()), 1.0)
    found = evaluate(
        rows["outcome"].to_numpy(), height, listed=inside_capacity(height, float(listed.sum())), person=person
    )
    return {name: each for name, each in found.measures.items() if name in _ORDER_ALONE}


def _may_be_told(*counts: float) -> bool:
    return all(count == 0 or count > LARGEST_HIDDEN for count in counts)


def _decisions(
    outcome: npt.NDArray[Any], risk: Floats, person: npt.NDArray[Any]
) -> tuple[tuple[float, float, float, float, float], ...]:
    told = [
        each
        for each in THRESHOLDS
        if risk.size and _may_be_told(*(float(((risk >= each) & (outcome == kind)).sum()) for kind in (0, 1)))
    ]
    names = ("threshold", "net_benefit", "low", "high", "treat_all")
    return tuple(decision_curve(outcome, risk, told, person=person).select(*names).rows()) if told else ()


def _capacities(outcome: npt.NDArray[Any], risk: Floats) -> tuple[tuple[float, float, float, float], ...]:
    found = []
    for percent in CAPACITIES:
        inside = inside_capacity(risk, risk.size * percent / 100)
        right, wrong = float((inside * outcome).sum()), float((inside * (1 - outcome)).sum())
        events = float(outcome.sum())
        if right + wrong > 0 and _may_be_told(right, wrong, events - right, risk.size - events - wrong):
            found.append((float(percent), right / events, right / (right + wrong), wrong / (risk.size - events)))
    return tuple(found)


def _shown_attrition(cohort: Cohort) -> tuple[AttritionShown, ...]:
    """Give people left after each step, so that who left at a step cannot be told where they are few."""
    counts = [each.people for each in cohort.attrition]
    left = [0, *(before - after for before, after in pairwise(counts))]
    cells = pl.DataFrame(
        {
            "step": [*range(len(counts))] * 2,
            "kind": ["left"] * len(counts) + ["remain"] * len(counts),
            "people": left + counts,
        },
        schema={"step": pl.Int64, "kind": pl.String, "people": pl.Int64},
    )
    remain = Sum("left and remain", pl.col("step") > 0, {"step": pl.col("step") - 1, "kind": pl.lit("remain")})
    shown = disclosure.protect(cells, count="people", key=("step", "kind"), sums=(remain,))
    people = {row[0]: row[2] for row in shown.iter_rows() if row[1] == "remain"}
    return tuple(AttritionShown(step=each.step, people=people[number]) for number, each in enumerate(cohort.attrition))


def _learning(cohort: Cohort, refit: Fit) -> tuple[LearningStep, ...]:
    others = cohort.part("later_elsewhere", "elsewhere")
    if not 0 < others.outcome.sum() < others.outcome.size:
        return ()
    found = learning_curve(as_rows(cohort.part("fit")), refit, as_rows(others), seed=1)
    steps = []
    for size, performances in found:
        measures = performances["validation"].measures
        if {"auroc", "brier"} <= set(measures):
            steps.append(
                LearningStep(
                    rows=disclosure.rounded(size),
                    auroc=measures["auroc"],
                    calibration_slope=measures.get("calibration_slope"),
                    brier=measures["brier"],
                )
            )
    return tuple(steps)


def as_rows(cohort: Cohort) -> Rows:
    """Give the rows of a cohort as arrays."""
    return Rows(
        cohort.predictors,
        cohort.outcome.astype(np.float64),
        cohort.rows["patient_key"].to_numpy(),
        cohort.rows["practice_code"].to_numpy(),
    )


def _limits(judged: tuple[Judged, ...]) -> tuple[str, ...]:
    """Say what the numbers themselves say against the model; empty of what they do not show."""
    hardest = judged[0]
    if not hardest.groups or not hardest.groups[0].measures:
        return ("Too few people with the outcome were kept from fitting: how well it does is not known.",)
    found = []
    whole = hardest.groups[0].measures
    slope, intercept = whole.get("calibration_slope"), whole.get("calibration_intercept")
    if slope and not 0.9 <= slope.value <= 1.1:
        found.append("Risks are too spread or too alike on unseen people: the calibration slope is outside 0.9 to 1.1.")
    if intercept and abs(intercept.value) > 0.05:
        found.append("Risks are too high or too low as a whole on unseen people: the intercept is beyond 0.05.")
    for row in hardest.groups[1:]:
        gap = row.measures.get("calibration_gap")
        if gap and abs(gap.value) > 0.02 and not gap.low <= 0 <= gap.high:
            way = "More" if gap.value > 0 else "Fewer"
            found.append(f"{way} events than foretold in the group {BREAKDOWNS[row.breakdown]}: {row.value}.")
    hidden = [row for row in hardest.groups[1:] if not row.measures]
    if hidden:
        found.append(f"Of {len(hidden)} groups too few people have the outcome to say how well it does for them.")
    if "auroc" in hardest.baseline and whole["auroc"].value <= hardest.baseline["auroc"].value:
        found.append("It does not put people in a better order than the published score.")
    return tuple(found)
