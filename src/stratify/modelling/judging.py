"""The few numbers that decide whether a model may be fitted or promoted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify.modelling.additive import Floats

Whole = npt.NDArray[np.int64]
_DRAWS = 200


@dataclass(frozen=True)
class Calibration:
    """How risks lie beside what happened: slope 1 and intercept 0 are perfect."""

    slope: float
    intercept: float


def area(values: Floats, outcome: Whole) -> float:
    """Give the area under the curve: how often somebody with the event has the higher value."""
    positives = int(outcome.sum())
    ranks = pl.Series(values).rank("average").to_numpy()
    return float(
        (ranks[outcome == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(outcome) - positives))
    )


def difference(one: Floats, other: Floats, outcome: Whole) -> tuple[float, float]:
    """Give the interval (95 %) of how much larger the area under the curve of one number is, people drawn again."""
    rng = np.random.default_rng(20_301)
    found = []
    for _ in range(_DRAWS):
        drawn = rng.integers(0, len(outcome), len(outcome))
        if 0 < outcome[drawn].sum() < len(drawn):
            found.append(area(one[drawn], outcome[drawn]) - area(other[drawn], outcome[drawn]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def calibration(risk: Floats, outcome: Whole) -> Calibration:
    """Give slope (logistic regression on the log-odds) and calibration in the large (slope held at 1)."""
    log_odds = np.log(risk / (1 - risk))
    slope = _logistic(np.column_stack([np.ones(len(risk)), log_odds]), np.zeros(len(risk)), outcome)[1]
    return Calibration(float(slope), float(_logistic(np.ones((len(risk), 1)), log_odds, outcome)[0]))


def _logistic(columns: Floats, offset: Floats, outcome: Whole) -> Floats:
    """Fit a logistic regression of a few columns by Newton's steps."""
    weights = np.zeros(columns.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(columns @ weights + offset)))
        step = np.linalg.solve((columns.T * (chance * (1 - chance))) @ columns, columns.T @ (outcome - chance))
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights
