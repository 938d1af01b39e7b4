"""A small model of invented people, for tests of what is made of one: two index dates, eight practices."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import polars as pl

from stratify.modelling.algorithms import fit
from stratify.modelling.cohort import Cohort, Observed
from stratify.modelling.design import ModelDesign
from stratify.modelling.stored import AttritionStep, StoredModel, TrainedOn

DESIGN = ModelDesign.model_validate(
    {
        "name": "little_model",
        "version": "1.0.0",
        "label": "Risk of an invented admission within 12 months",
        "intended_use": "To try what is made of a model",
        "not_for": "Anything else",
        "owner": "The tests",
        "review_date": "2027-01-01",
        "population": {"least_age_years": 18},
        "index_dates": {"latest_months_before": 12},
        "outcome": {"within_months": 12},
        "predictors": [
            {"variable": "age_years", "direction": "rising"},
            {"variable": "emergency_admissions_count", "direction": "rising"},
        ],
        "algorithm": {"kind": "logistic"},
        "baseline_score": "cambridge_general_20",
        "tiers": {"high": 0.3, "lower": 0.01},
    }
)
FIRST, LATER = date(2024, 6, 1), date(2025, 6, 1)
ATTRITION = (
    AttritionStep(step="everybody", people=4000, rows=8000, events=900),
    AttritionStep(step="no doubt of identity", people=3997, rows=7994, events=900),
)


@cache
def little_cohort(people: int = 4000, seed: int = 1) -> Cohort:
    """Give people twice each; the risk is a logistic function of both predictors, and care homes are few."""
    rng = np.random.default_rng(seed)
    age = np.round(rng.uniform(18, 95, people))
    admissions = rng.poisson(0.4, (2, people))
    practice = rng.integers(0, 8, people)
    apart = practice >= 6
    parts = []
    for number, day in enumerate((FIRST, LATER)):
        years = age + number
        risk = 1 / (1 + np.exp(-(0.04 * (years - 60) + 0.8 * admissions[number] - 2.3)))
        part = np.where(apart, "elsewhere" if day == FIRST else "later_elsewhere", "fit" if day == FIRST else "later")
        parts.append(
            pl.DataFrame(
                {
                    "patient_key": [f"k{each:05}" for each in range(people)],
                    "index_date": [day] * people,
                    "outcome": (rng.random(people) < risk).astype(int),
                    "baseline": np.where(rng.random(people) < 0.05, None, admissions[number]).tolist(),
                    "age_years": years.astype(int),
                    "sex": np.where(np.arange(people) % 2 == 0, "F", "M"),
                    "ethnic_category": np.where(np.arange(people) % 10 == 0, "M", "A"),
                    "imd_decile": 1 + np.arange(people) % 10,
                    "practice_code": [f"A9900{each}" for each in practice],
                    "in_care_home": np.arange(people) % 400 == 0,
                    "has_copd": np.arange(people) % 12 == 0,
                    "has_diabetes": np.arange(people) % 7 == 0,
                    "x_age_years": years,
                    "x_emergency_admissions_count": admissions[number].astype(float),
                    "part": part,
                },
                strict=False,
            )
        )
    rows = pl.concat(parts).with_columns(pl.col("baseline").cast(pl.Float64)).sort("index_date", "patient_key")
    observed = Observed(date(2023, 1, 1), date(2026, 6, 1), 0, (), ())
    return Cohort(rows, ATTRITION, DESIGN.names, observed)


@cache
def little_model() -> StoredModel:
    mine = little_cohort().part("fit")
    fitted = fit(DESIGN.algorithm, mine.predictors, mine.outcome, names=DESIGN.names, groups=mine.groups, seed=1)
    trained = TrainedOn(
        people=mine.rows.height,
        rows=mine.rows.height,
        events=int(mine.outcome.sum()),
        practices=6,
        first_index_date=FIRST.isoformat(),
        last_index_date=FIRST.isoformat(),
        held_back_practices=("A99006", "A99007"),
        attrition=ATTRITION,
        data="invented",
        definitions="invented",
    )
    return StoredModel(design=DESIGN, fitted=fitted, trained_on=trained, made_with={"python": "3.11"})
