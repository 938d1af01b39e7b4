"""A way of making a model tried on practices it has not seen, and on fewer people.

What is tried is a function that fits on rows and gives one that gives risks, so that any algorithm can be tried.
Rows kept back for good (a later year, other practices) are those of ``cohort``. Measuring is for ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify.errors import RunError
from stratify.modelling.evaluation import LEAST_EVENTS, Floats, Performance, evaluate, evaluate_groups


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
Fit = Callable[[Rows], Risk]


def across_practices(rows: Rows, fit: Fit, *, folds: int) -> tuple[Floats, dict[tuple[str, str], Performance]]:
    """Leave out a fold of practices at a time, fit on the others, and give risks for those left out.

    Practices go to folds in turn by their number of rows, the largest first, so that folds are about as large.

    Returns:
        Risks of all rows, and how each practice's own turned out, by ``("practice", code)``, after everybody.

    Raises:
        RunError: there are fewer practices than folds.
    """
    codes, counts = np.unique(rows.practice, return_counts=True)
    if codes.size < folds or folds < 2:
        raise RunError(
            "validation across practices",
            expected=f"{max(folds, 2)} practices or more, and 2 folds or more",
            found=f"{codes.size} practices and {folds} folds",
            action="Use fewer folds, or data of more practices.",
        )
    order = np.lexsort((codes, -counts))
    fold_of = dict(zip(codes[order].tolist(), (np.arange(codes.size) % folds).tolist(), strict=True))
    fold = np.array([fold_of[code] for code in rows.practice.tolist()])
    risk = np.empty(rows.outcome.size)
    for each in range(folds):
        here = fold == each
        risk[here] = fit(rows.only(~here))(rows.predictors[here])
    groups = pl.DataFrame({"practice": rows.practice})
    return risk, evaluate_groups(rows.outcome, risk, groups, person=rows.person)


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
        (``development``), which is better than the truth, and on the others (``validation``).
    """
    people = np.unique(rows.person)
    people = people[np.random.default_rng(seed).permutation(people.size)]
    found = []
    for part in parts:
        some = rows.only(np.isin(rows.person, people[: round(part * people.size)]))
        if min(some.outcome.sum(), some.outcome.size - some.outcome.sum()) < LEAST_EVENTS:
            continue
        risk_of = fit(some)
        performances = {
            name: evaluate(each.outcome, risk_of(each.predictors), person=each.person)
            for name, each in (("development", some), ("validation", judged_by))
        }
        found.append((some.outcome.size, performances))
    return found
