"""A model at work in a finished run: what it was made for is kept in a file, what it meets is read from the run.

Where ``watching`` meets ``cohort``. The file is for the restricted folder: of a practice it has shares of a few hundred
people.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import ValidationError

from stratify.errors import RuleError
from stratify.modelling.cohort import Cohort
from stratify.modelling.design import IndexDates, ModelDesign
from stratify.modelling.fitting import gather_people
from stratify.modelling.model_card import BREAKDOWNS, with_groups
from stratify.modelling.stored import StoredModel
from stratify.modelling.untreated_run import first_offers, horizon_days
from stratify.modelling.watching import (
    Limits,
    Profile,
    Verdict,
    calibration_by_month,
    drift,
    group_alarms,
    may_be_used,
    profile,
)
from stratify.rulebook import RuleBook
from stratify.rules.strict import Strict
from stratify.runs import plan_in_place, without_values

_MONTHS_OF_DELAY = 3
"""Hospital data come this much later than everything else, at the most that is looked for."""


class MadeFor(Strict):
    """What the people were like whom a model was fitted on."""

    format: Literal["stratify model profile 1"] = "stratify model profile 1"
    model: str
    version: str
    model_sha256: str
    developed_to: date
    profiles: dict[str, dict[str, Profile]]


@dataclass(frozen=True)
class Watched:
    """What was seen of a model, and the verdict."""

    drifted: pl.DataFrame
    months: pl.DataFrame
    alarms: pl.DataFrame
    verdict: Verdict


def made_for(model: StoredModel, cohort: Cohort, limits: Limits) -> MadeFor:
    """Describe the people a model was fitted on.

    Args:
        model: The model.
        cohort: The people of its declaration.
        limits: How many people a practice needs to be described by itself.
    """
    rows = cohort.part("fit").rows
    shown = profile(_predictors(rows, model.design), rows["practice_code"], fewest_people=limits.fewest_people)
    return MadeFor(
        model=model.design.name,
        version=model.design.version,
        model_sha256=model.digest,
        developed_to=date.fromisoformat(model.trained_on.last_index_date),
        profiles={code: dict(each) for code, each in shown.items()},
    )


def read_made_for(file: Path, model: StoredModel) -> MadeFor:
    """Read what :func:`made_for` gave, of this very model.

    Raises:
        RuleError: there is no such file, or it is of another model.
    """
    try:
        found = MadeFor.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        raise RuleError(
            file.name,
            expected="the profile of a model, as stratify model card writes it",
            found="something else",
            action="Make the card of the model again, on the run it was fitted on.",
        ) from None
    if found.model_sha256 != model.digest:
        raise RuleError(
            file.name,
            expected=f"the profile of {model.design.name} {model.design.version}",
            found=f"that of {found.model} {found.version}",
            action="Name the file that was made with the model.",
        )
    return found


@without_values
def watch(model: StoredModel, made: MadeFor, run: Path, book: RuleBook, limits: Limits) -> Watched:
    """Look at a model at work in a finished run.

    Predictors are those of the run's own day. Outcomes are those of the months whose horizon ended by the last day of
    hospital data, of people who were on no list and had no offer in it: what came of the others is not what would have.

    Args:
        model: The model in use.
        made: What it was made for.
        run: Output folder of the run.
        book: The definitions of the run.
        limits: What is too much.
    """
    plan = plan_in_place(run)
    now = gather_people(run, _on_dates(model.design, IndexDates.model_construct(latest_months_before=0, count=1)), book)
    drifted = drift(
        _predictors(now.rows, model.design),
        now.rows["practice_code"],
        made.profiles,
        fewest_people=limits.fewest_people,
    )
    known_to = min(plan.data_cutoffs.get("apc_episode", plan.settings.index_date), plan.settings.index_date)
    past = gather_people(run, _on_dates(model.design, _matured(model.design, limits)), book)
    days = horizon_days(model.design)
    scored = past.rows.with_columns(risk=pl.Series(model.fitted.risk(past.predictors)))
    scored = _never_offered(scored.filter(pl.col("risk").is_not_nan()), run, days)
    mature = with_groups(scored.filter(pl.col("index_date") + pl.duration(days=days) <= known_to))
    months = calibration_by_month(mature, hospital_data_to=known_to, horizon_days=days)
    alarms = group_alarms(mature, [name for name in BREAKDOWNS if name != "all"], limits)
    verdict = may_be_used(
        drifted,
        months,
        alarms,
        index_date=plan.settings.index_date,
        developed_to=made.developed_to,
        limits=limits,
    )
    return Watched(drifted, months, alarms, verdict)


def in_words(watched: Watched) -> str:
    """Say the verdict with its reasons; no number of people."""
    verdict = watched.verdict
    lines = ["The model may be used." if verdict.may_be_used else "The model may not be used: the published score is."]
    lines += [f"  because {each}" for each in verdict.reasons]
    lines += [f"  not at practice {each}: the published score is used there" for each in sorted(verdict.not_at)]
    lines += [f"  to look at: {each}" for each in verdict.to_look_at]
    if watched.months.is_empty():
        lines.append("  no month whose horizon is over could be judged yet")
    return "\n".join(lines)


def as_data(watched: Watched) -> str:
    """Give everything that was seen as JSON, with exact counts: for the restricted folder."""
    verdict = watched.verdict
    said = {
        "may_be_used": verdict.may_be_used,
        "not_at": sorted(verdict.not_at),
        "reasons": list(verdict.reasons),
        "to_look_at": list(verdict.to_look_at),
        "drift": watched.drifted.to_dicts(),
        "months": watched.months.with_columns(pl.col("month").cast(pl.String)).to_dicts(),
        "alarms": watched.alarms.to_dicts(),
    }
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def _predictors(rows: pl.DataFrame, design: ModelDesign) -> pl.DataFrame:
    return rows.select(pl.col(f"x_{name}").alias(name) for name in design.names)


def _on_dates(design: ModelDesign, dates: IndexDates) -> ModelDesign:
    return design.model_copy(update={"index_dates": dates})


def _matured(design: ModelDesign, limits: Limits) -> IndexDates:
    months = design.outcome.within_months or -(-horizon_days(design) // 28)
    return IndexDates(
        latest_months_before=months, every_months=1, count=min(limits.months_in_a_row + _MONTHS_OF_DELAY, 36)
    )


def _never_offered(rows: pl.DataFrame, run: Path, days: int) -> pl.DataFrame:
    """Leave out rows of people who were on a list or had an offer between the index date and the end of the horizon."""
    offers = first_offers(rows, (run / "restricted").resolve(), days)
    return rows.join(offers, on=["patient_key", "index_date"], how="anti")
