"""What more people would bring: a way of fitting tried on growing parts of the people.

What is tried is a function that fits on rows and gives one that gives risks, so that any algorithm can be tried.
Measuring is for ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stratify.modelling.evaluation import LEAST_EVENTS, Floats, Performance, evaluate


@dataclass(frozen=True)
class Rows:
    """Rows to fit on or to judge by; every array has one entry a row.

    Attributes:
        predictors: Rows by predictors; NaN is not known.
        outcome: 0 or 1.
        person: Who the row is about.
        practice: Where the person was registered.
    """

    predictors: Floats
    outcome: Floats
    person: npt.NDArray[np.str_]
    practice: npt.NDArray[np.str_]

    def only(self, chosen: npt.NDArray[Any]) -> Rows:
        """Give some of the rows, by truth values or by places."""
        return Rows(self.predictors[chosen], self.outcome[chosen], self.person[chosen], self.practice[chosen])


Risk = Callable[[Floats], Floats]
Fit = Callable[[Rows], Risk | None]
"""Gives None where nothing can be fitted on so few."""


def learning_curve(
    rows: Rows, fit: Fit, judged_by: Rows, *, parts: Sequence[float] = (0.1, 0.2, 0.4, 0.7, 1.0), seed: int
) -> list[tuple[int, dict[str, Performance]]]:
    """Show what more people would bring: fit on growing parts of the people, judge each by the same other rows.

    Args:
        rows: Rows to develop on.
        fit: What is tried.
        judged_by: Rows that none is fitted on.
        parts: Shares of the people to develop on; each part holds the one before.
        seed: Chooses the order in which people come in.

    Returns:
        For each part that has enough rows with the outcome: rows developed on, and performance on them
        (``development``), which is better than the truth, and on the others (``validation``). Rows that get no risk,
        since something is not known of them that was known of the whole part, are not judged.
    """
    people = np.unique(rows.person)
    people = people[np.random.default_rng(seed).permutation(people.size)]
    found = []
    for part in parts:
        some = rows.only(np.isin(rows.person, people[: round(part * people.size)]))
        if min(some.outcome.sum(), some.outcome.size - some.outcome.sum()) < LEAST_EVENTS:
            continue
        risk_of = fit(some)
        if risk_of is None:
            continue
        performances = {}
        for name, each in (("development", some), ("validation", judged_by)):
            risk = risk_of(each.predictors)
            known = ~np.isnan(risk)
            performances[name] = evaluate(each.outcome[known], risk[known], person=each.person[known])
        found.append((some.outcome.size, performances))
    return found
