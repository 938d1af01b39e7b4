"""A learning curve: what each part is fitted on, and what it is judged by."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from stratify.modelling.learning_curve import Rows, learning_curve


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


def test_a_learning_curve_grows_and_ends_with_everybody():
    rows = county()
    others = county(seed=2)
    found = learning_curve(rows, logistic, others, parts=(0.001, 0.1, 1.0), seed=3)
    assert [size for size, _ in found] == [300, 3000]  # of 3 people too few have the outcome
    assert found[1][1]["validation"].people == 3000
    assert found[1][1]["validation"].measures["auroc"].value > 0.7


def test_rows_without_a_risk_and_parts_that_cannot_be_fitted_are_left_out():
    """A way of fitting that needs 1,000 rows, and gives no risk where the third predictor is above nought."""

    def fit(some):
        fitted = logistic(some)
        return (lambda others: np.where(others[:, 2] > 0, np.nan, fitted(others))) if some.outcome.size > 1000 else None

    rows = county()
    found = learning_curve(rows, fit, rows, parts=(0.1, 1.0), seed=3)
    assert [size for size, _ in found] == [3000]
    assert found[0][1]["validation"].people == (rows.predictors[:, 2] <= 0).sum()
