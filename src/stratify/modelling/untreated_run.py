"""People as they would be without help, in a cohort: offers are those of the weeks that a run keeps.

Where ``untreated`` meets ``cohort`` and the kept weeks. Help before the index date is part of a person's history and
counts as that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from stratify import kept_weeks
from stratify.modelling.additive import Floats
from stratify.modelling.cohort import Cohort
from stratify.modelling.design import Algorithm, ModelDesign
from stratify.modelling.untreated import without_offers

_FEWEST_OFFERS = 50
"""With fewer there is nothing to tell who was likely to get one by, and little to put right."""
_BANDS = 20


def horizon_days(design: ModelDesign) -> int:
    """Give the days from an index date to the end of the horizon, at the longest."""
    outcome = design.outcome
    if outcome.within_months:
        return -(-outcome.within_months * 366 // 12)
    return (outcome.within_days_of_discharge or 0) + (design.population.discharged_within_days or 0)


def first_offers(rows: pl.DataFrame, restricted: Path, days: int) -> pl.DataFrame:
    """Give the days from the index date to the first list or offer within a horizon.

    Args:
        rows: ``patient_key`` and ``index_date``.
        restricted: The restricted folder of a run, which has the kept weeks.
        days: The horizon.

    Returns:
        ``patient_key``, ``index_date``, ``days_to_offer``; others are absent.
    """
    weeks = kept_weeks.scan(restricted, "audit.list_row", before=date.max, same_person={})
    offers = weeks.filter(pl.col("placement").is_in(["listed", "offered"])).select("patient_key", "week").collect()
    apart = (pl.col("week") - pl.col("index_date")).dt.total_days()
    return (
        rows.select("patient_key", "index_date")
        .join(offers, on="patient_key")
        .with_columns(apart.alias("days_to_offer"))
        .filter(pl.col("days_to_offer").is_between(0, days, closed="left"))
        .group_by("patient_key", "index_date")
        .agg(pl.col("days_to_offer").min())
    )


def without_help(cohort: Cohort, design: ModelDesign, run: Path) -> Cohort:
    """Give a cohort in which the rows to fit on stand for everybody had nobody been offered anything.

    Rows are alike by how likely an offer was, given all predictors (a logistic regression, in twenty bands). Without
    offers, or with very few, the cohort stays as it is.

    Args:
        cohort: People and outcomes, with ``days_to_event``.
        design: The model as declared.
        run: Output folder of the run they are from.
    """
    is_fit = pl.col("part") == "fit"
    mine, days = cohort.rows.filter(is_fit), horizon_days(design)
    offers = first_offers(mine, (run / "restricted").resolve(), days)
    if offers.height < _FEWEST_OFFERS:
        return cohort
    mine = mine.join(offers, on=["patient_key", "index_date"], how="left", maintain_order="left")
    part = replace(cohort, rows=mine)
    found = without_offers(
        _days(mine, "days_to_event"),
        _days(mine, "days_to_offer"),
        _bands(part, mine["days_to_offer"].is_not_null().to_numpy(), design),
        horizon_days=days,
        seed=design.seed,
    )
    chosen = mine[found.rows].drop("days_to_offer")
    return replace(cohort, rows=pl.concat([chosen, cohort.rows.filter(~is_fit)]))


def _days(rows: pl.DataFrame, name: str) -> Floats:
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _bands(part: Cohort, is_offered: np.ndarray[tuple[int], np.dtype[np.bool_]], design: ModelDesign) -> Floats:
    from stratify.modelling.algorithms import fit  # a second to import, and only this needs it

    known = part.predictors
    likely = fit(
        Algorithm(kind="logistic", folds=design.algorithm.folds),
        known,
        is_offered,
        names=design.names,
        groups=part.groups,
        seed=design.seed,
    ).risk(known)
    edges = np.quantile(likely, np.arange(1, _BANDS) / _BANDS)
    bands: Floats = np.searchsorted(edges, likely, side="right").astype(np.float64)
    return bands
