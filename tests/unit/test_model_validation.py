"""Validation across practices and on fewer people: what each is fitted on, and what it is judged by."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from stratify.errors import RunError
from stratify.modelling.validation import Rows, across_practices, learning_curve


def county(people: int = 1500, seed: int = 1) -> Rows:
    rng = np.random.default_rng(seed)
    predictors = rng.normal(size=(2 * people, 3))
    truth = 1 / (1 + np.exp(-(predictors @ [0.9, 0.4, 0.0] - 1.5)))
    return Rows(
        predictors=predictors,
        outcome=(rng.random(2 * people) < truth).astype(float),
        person=np.tile(np.arange(people).astype(str), 2),
        practice=np.tile(np.arange(people) % 6, 2).astype(str),
    )


def logistic(rows):
    model = LogisticRegression().fit(rows.predictors, rows.outcome)
    return lambda others: model.predict_proba(others)[:, 1]


def test_every_practice_is_judged_by_a_model_of_others():
    """Six practices in three folds: three models, and no practice's risk comes from one that saw the practice."""
    rows = county()
    where = {row.tobytes(): code for row, code in zip(rows.predictors, rows.practice, strict=True)}

    def fit(some):
        fitted, mine = logistic(some), set(some.practice)

        def risk(others):
            assert mine.isdisjoint({where[row.tobytes()] for row in others})
            return fitted(others)

        return risk

    risk, performances = across_practices(rows, fit, folds=3)
    assert len(performances) == 7
    assert risk.size == 3000
    assert 0.9 < performances["all", "all"].measures["calibration_slope"].value < 1.1


def test_a_learning_curve_grows_and_ends_with_everybody():
    rows = county()
    others = county(seed=2)
    found = learning_curve(rows, logistic, others, parts=(0.001, 0.1, 1.0), seed=3)
    assert [size for size, _ in found] == [300, 3000]  # of 3 people too few have the outcome
    assert found[1][1]["validation"].people == 3000
    assert found[1][1]["validation"].measures["auroc"].value > 0.7


def test_more_folds_than_practices_are_refused():
    with pytest.raises(RunError, match="found 6 practices and 7 folds"):
        across_practices(county(100), logistic, folds=7)
