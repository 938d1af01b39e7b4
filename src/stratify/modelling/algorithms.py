"""Fits a model: the only module that uses scikit-learn.

Both algorithms give the same thing, a sum of terms (``additive``), calibrated on predictions for groups it was not
fitted on. One thread, so that the same data and seed give the same numbers bit for bit, however many the machine has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stratify.errors import RuleError
from stratify.modelling.additive import FittedModel, Floats, Term
from stratify.modelling.design import Algorithm

Whole = npt.NDArray[np.int64]
_EVENTS_OF_THE_AVERAGE = 100
"""So many events among people of whom something is not known weigh as much as that they are like everybody."""


@dataclass(frozen=True)
class _Raw:
    """A model before calibration, its terms not centred."""

    base: float
    terms: tuple[Term, ...]

    def log_odds(self, predictors: Floats) -> Floats:
        total = np.full(len(predictors), self.base)
        for place, term in enumerate(self.terms):
            total += term.added(predictors[:, place])
        return total


def fit(
    algorithm: Algorithm,
    predictors: Floats,
    outcome: npt.NDArray[np.float64] | npt.NDArray[np.int64] | npt.NDArray[np.bool_],
    *,
    names: Sequence[str],
    groups: Sequence[object] | npt.NDArray[np.generic],
    seed: int,
    directions: Mapping[str, int] | None = None,
) -> FittedModel:
    """Fit and calibrate a model; the setting of the grid is chosen by log-loss on groups left out.

    Args:
        algorithm: How.
        predictors: People by predictors; NaN is not known.
        outcome: 1 who had it, 0 who had not.
        names: The predictors.
        groups: What each person belongs to (a practice): never in the fitting and in the calibrating part at once.
        seed: For what is drawn.
        directions: By predictor, 1 where the risk may never fall with it, -1 where it may never rise.

    Raises:
        RuleError: fewer groups than folds, or predictions that do not rise with the outcome.
    """
    wanted = np.asarray(outcome, dtype=np.int64)
    known = np.asarray(predictors, dtype=np.float64)
    signs = [(directions or {}).get(name, 0) for name in names]
    folds = _folds(groups, algorithm.folds)
    with threadpool_limits(limits=1):
        best: tuple[float, float, Floats] | None = None
        for setting in algorithm.penalties if algorithm.kind == "logistic" else algorithm.rounds:
            apart = np.empty(len(wanted))
            for fold in range(algorithm.folds):
                left_out = folds == fold
                raw = _fit_once(algorithm, setting, known[~left_out], wanted[~left_out], names, signs, seed)
                apart[left_out] = raw.log_odds(_usable(raw, known[left_out]))
            loss = _log_loss(apart, wanted)
            if best is None or loss < best[0]:
                best = (loss, float(setting), apart)
        assert best is not None  # noqa: S101  a grid has a setting
        slope, intercept = _platt(best[2], wanted)
        raw = _fit_once(algorithm, best[1], known, wanted, names, signs, seed)
    if slope <= 0:
        raise RuleError(
            "model", expected="predictions that rise with the outcome", found="none on practices left out",
            action="Add people, or other predictors.",
        )  # fmt: skip
    return _settled(raw, known, wanted, slope, intercept, best[1], algorithm)


def _folds(groups: Sequence[object] | npt.NDArray[np.generic], count: int) -> Whole:
    """Deal groups out to folds, the largest first, each to the fold that has least."""
    found, sizes = np.unique(np.asarray(groups).astype(str), return_counts=True)
    if len(found) < count:
        raise RuleError(
            "model",
            expected=f"at least {count} practices to fit on",
            found=f"{len(found)}",
            action="Use more practices.",
        )
    filled, fold_of = [0] * count, {}
    for place in np.lexsort((found, -sizes)):
        fold = int(np.argmin(filled))
        fold_of[found[place]] = fold
        filled[fold] += int(sizes[place])
    return np.array([fold_of[each] for each in np.asarray(groups).astype(str)], dtype=np.int64)


def _fit_once(
    algorithm: Algorithm,
    setting: float,
    known: Floats,
    wanted: Whole,
    names: Sequence[str],
    signs: list[int],
    seed: int,
) -> _Raw:
    way: Callable[..., _Raw] = _logistic if algorithm.kind == "logistic" else _boosting
    return way(algorithm, setting, known, wanted, names, signs, seed)


def _logistic(
    algorithm: Algorithm,
    penalty: float,
    known: Floats,
    wanted: Whole,
    names: Sequence[str],
    signs: list[int],
    seed: int,
) -> _Raw:
    """Fit on standardised values and a column for each that is sometimes missing.

    A coefficient against its declared direction is taken out, the worst first, until none is left.
    """
    middle = np.nanmean(known, axis=0)
    spread = np.nanstd(known, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    missing = np.isnan(known)
    some = np.flatnonzero(missing.any(axis=0))
    scaled = np.where(missing, 0.0, (known - middle) / spread)
    columns = np.column_stack([scaled, missing[:, some].astype(np.float64)])
    width, kept = known.shape[1], np.ones(columns.shape[1], dtype=bool)
    while True:
        model = LogisticRegression(C=1.0 / (penalty * len(wanted)), max_iter=1000, tol=1e-8, random_state=seed)
        model.fit(columns[:, kept], wanted)
        weights = np.zeros(columns.shape[1])
        weights[kept] = model.coef_[0]
        against = np.array([weights[place] * sign for place, sign in enumerate(signs)])
        if not (against < 0).any():
            break
        kept[int(np.argmin(against))] = False
    unknown = {int(place): float(weights[width + number]) for number, place in enumerate(some)}
    terms = tuple(
        Term(
            predictor=name,
            times=float(weights[place] / spread[place]),
            minus=float(middle[place]),
            when_unknown=unknown.get(place),
        )
        for place, name in enumerate(names)
    )
    return _Raw(float(model.intercept_[0]), terms)


def _boosting(
    algorithm: Algorithm, rounds: float, known: Floats, wanted: Whole, names: Sequence[str], signs: list[int], seed: int
) -> _Raw:
    """Boost small trees of one predictor each, and read off what each band of each predictor adds.

    Without interactions the model is a sum of one function a predictor, so trying every band of one while the others
    stand still gives that function whole: exact, with the public means of scikit-learn alone.
    """
    edges = [_edges(known[:, place], algorithm.most_bands) for place in range(known.shape[1])]
    banded = np.column_stack([_band_of(known[:, place], mine) for place, mine in enumerate(edges)])
    model = HistGradientBoostingClassifier(
        learning_rate=algorithm.learning_rate,
        max_iter=int(rounds),
        max_leaf_nodes=4,
        min_samples_leaf=algorithm.least_in_leaf,
        monotonic_cst=signs,
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=seed,
    )
    model.fit(banded, wanted)
    base = float(model.decision_function(np.zeros((1, known.shape[1])))[0])
    terms = []
    for place, name in enumerate(names):
        is_learned = bool(np.isnan(known[:, place]).any())
        tried = np.zeros((len(edges[place]) + 1 + is_learned, known.shape[1]))
        tried[:, place] = [*range(len(edges[place]) + 1), *([np.nan] if is_learned else [])]
        added = model.decision_function(tried) - base
        mine, points = _joined(edges[place], added[: len(edges[place]) + 1])
        terms.append(
            Term(predictor=name, edges=mine, points=points, when_unknown=float(added[-1]) if is_learned else None)
        )
    return _Raw(base, tuple(terms))


def _edges(values: Floats, most: int) -> tuple[float, ...]:
    """Give upper edges of bands: every value but the largest where there are few, else values at even shares."""
    known = np.sort(values[~np.isnan(values)])
    found = np.unique(known)
    if len(found) > most:
        shares = known[np.floor(np.linspace(0, 1, most + 1)[1:-1] * (len(known) - 1)).astype(np.int64)]
        # Of a count most people have nought: shares of those above it tell those apart who matter.
        above = known[known > found[0]]
        more = above[np.floor(np.linspace(0, 1, most + 1)[1:-1] * (len(above) - 1)).astype(np.int64)]
        found = np.unique(np.concatenate([shares, more] if shares[0] == found[0] else [shares, found[-1:]]))
        found = found[found < known[-1]]
        return tuple(float(each) for each in found)
    return tuple(float(each) for each in found[:-1])


def _band_of(values: Floats, edges: tuple[float, ...]) -> Floats:
    bands = np.searchsorted(np.asarray(edges), values, side="left").astype(np.float64)
    return np.where(np.isnan(values), np.nan, bands)


def _joined(edges: tuple[float, ...], added: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Join bands next to one another that add the same."""
    kept = [place for place in range(len(edges)) if abs(added[place] - added[place + 1]) > 1e-12]
    points = [float(added[place]) for place in kept] + [float(added[-1])]
    return tuple(edges[place] for place in kept), tuple(points)


def _usable(raw: _Raw, known: Floats) -> Floats:
    """Fill in what was never missing where the model was fitted: a rare gap must not end the choice of a setting."""
    filled = known.copy()
    for place, term in enumerate(raw.terms):
        if term.when_unknown is None:
            column = filled[:, place]
            column[np.isnan(column)] = term.minus if term.times is not None else (term.edges[:1] or (0.0,))[0]
    return filled


def _log_loss(log_odds: Floats, wanted: Whole) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(wanted == 1, -log_odds, log_odds))))


def _platt(log_odds: Floats, wanted: Whole) -> tuple[float, float]:
    model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-10)
    model.fit(log_odds.reshape(-1, 1), wanted)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _settled(
    raw: _Raw, known: Floats, wanted: Whole, slope: float, intercept: float, setting: float, algorithm: Algorithm
) -> FittedModel:
    """Calibrate, and centre every term on the people fitted on.

    What not knowing means is believed as far as there are people to tell it by, and else they count as the average
    person: boosting alone would take chance among a few people of whom a fact is not known for what it means.
    """
    base, terms = slope * raw.base + intercept, []
    for place, term in enumerate(raw.terms):
        mean = 0.0 if term.times == 0 else float(np.mean(term.added(known[:, place])))
        unknown = None if term.when_unknown is None else slope * (term.when_unknown - mean)
        if unknown is not None:
            has_it = wanted[np.isnan(known[:, place])]
            told = min(int(has_it.sum()), int(has_it.size - has_it.sum()))
            less = unknown * _EVENTS_OF_THE_AVERAGE / (told + _EVENTS_OF_THE_AVERAGE)
            unknown -= less
            base += less * has_it.size / len(wanted)  # the average of everybody stays what it was
        base += slope * mean
        if term.times is not None:
            times = slope * term.times
            minus = term.minus + (mean / term.times if term.times else 0.0)
            terms.append(Term(predictor=term.predictor, times=times, minus=minus, when_unknown=unknown))
        else:
            points = tuple(slope * (each - mean) for each in term.points)
            terms.append(Term(predictor=term.predictor, edges=term.edges, points=points, when_unknown=unknown))
    name = "penalty" if algorithm.kind == "logistic" else "rounds"
    return FittedModel(base=base, terms=tuple(terms), calibration=(slope, intercept), chosen={name: setting})
