"""A fitted model: what each predictor adds to the log-odds of the outcome, and the risk that follows.

The sum of a base and one term a predictor, whatever fitted it. So what made a person's risk is no estimate: it is the
terms themselves. Plain data and numpy; nothing of what fitted it is needed.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from stratify.rules.strict import Strict

Floats: TypeAlias = npt.NDArray[np.float64]


class Term(Strict):
    """What one predictor adds to the log-odds: ``times × (value − minus)``, or the points of the band of its value.

    Bands: ``points[i]`` is of values above ``edges[i − 1]`` and at most ``edges[i]``. ``when_unknown`` is of a value
    that is not known; None where it was always known in fitting: the risk is then not known either. Points are
    centred: the average person of those fitted on gets nought.
    """

    predictor: str
    times: float | None = None
    minus: float = 0.0
    edges: tuple[float, ...] = ()
    points: tuple[float, ...] = ()
    when_unknown: float | None = None

    @model_validator(mode="after")
    def _shape(self) -> Term:
        if (self.times is None) == (not self.points):
            raise ValueError("a term has a coefficient, or points of bands")
        if self.points and (len(self.points) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges))):
            raise ValueError("bands have rising edges, and points for one more than there are edges")
        return self

    def added(self, values: Floats) -> Floats:
        """Give what values add to the log-odds; NaN where the value is not known and nothing was learned of that."""
        if self.times is not None:
            found: Floats = self.times * (values - self.minus)
        else:
            found = np.asarray(self.points)[np.searchsorted(np.asarray(self.edges), values, side="left")]
        unknown = np.nan if self.when_unknown is None else self.when_unknown
        return np.where(np.isnan(values), unknown, found)


class FittedModel(Strict):
    """A fitted and calibrated model: base and terms, both in log-odds.

    ``calibration``: slope and intercept (Platt) that the terms and the base hold already. ``chosen``: the setting of
    the grid that was best on practices it was not fitted on.
    """

    base: float
    terms: tuple[Term, ...] = Field(min_length=1)
    calibration: tuple[float, float] = (1.0, 0.0)
    chosen: dict[str, float] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The predictors, in the order of the columns of :meth:`risk`."""
        return tuple(each.predictor for each in self.terms)

    @property
    def parameters(self) -> int:
        """How many numbers were fitted, the base too."""
        return 1 + sum(max(1, len(each.points) - 1) + (each.when_unknown is not None) for each in self.terms)

    def contributions(self, predictors: Floats) -> Floats:
        """Give what each predictor adds to the log-odds of each person; the last column is the base, the same for all.

        Args:
            predictors: One row a person, one column a predictor in the order of ``names``; NaN is not known.

        Returns:
            One column more than ``predictors``; rows add up to the log-odds of :meth:`risk`.
        """
        columns = [term.added(predictors[:, place]) for place, term in enumerate(self.terms)]
        return np.column_stack([*columns, np.full(len(predictors), self.base)])

    def risk(self, predictors: Floats) -> Floats:
        """Give each person's risk, 0 to 1; NaN where a predictor without which nothing can be said is not known."""
        log_odds = np.full(len(predictors), self.base)
        for place, term in enumerate(self.terms):
            log_odds += term.added(predictors[:, place])
        found: Floats = 1.0 / (1.0 + np.exp(-log_odds))
        return found
