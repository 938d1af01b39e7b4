"""How well risks foretell an outcome: discrimination, calibration, use at the cut that capacity sets, with intervals.

Arrays in, numbers out. Every measure is a function of how much each row weighs; its derivative by the weight of a row
is that row's share in the error. Shares are added up by person, so that somebody with several index dates counts once,
and their squares are the variance (the infinitesimal jackknife: L. A. Jaeckel 1972; for the area under the ROC curve it
is the method of E. R. DeLong et al. 1988, Biometrics 44:837). No random number is drawn.

Does not belong here: fitting, and what may be shown (``model_card``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from stratify.errors import RunError
from stratify.intervals import Z, wilson

Floats = NDArray[np.float64]

LEAST_EVENTS = 10
"""Fewer people with the outcome, or without it, and a group has counts but no measures."""

_EDGE = 1e-9
_MOST_STEPS = 50


@dataclass(frozen=True)
class Estimate:
    """A measure with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Performance:
    """How risks did for some rows.

    Attributes:
        people: Rows; a person has one for each index date.
        events: Of them those with the outcome.
        listed: Rows inside the cut that capacity sets. Of rows that tie for the last places each has its part.
        listed_events: Of them those with the outcome.
        measures: By name, in the order of :data:`MEASURES`; empty where there are too few rows with or without the
            outcome. One that cannot be worked out (a slope of risks that are all the same) is absent.
    """

    people: int
    events: int
    listed: float
    listed_events: float
    measures: Mapping[str, Estimate]


MEASURES = {
    "auroc": "Area under the ROC curve",
    "auprc": "Area under the precision-recall curve",
    "calibration_slope": "Calibration slope (1 is right)",
    "calibration_intercept": "Calibration intercept, slope taken as 1 (0 is right)",
    "observed_to_expected": "Events observed for each expected (1 is right)",
    "calibration_gap": "Share observed less mean risk (0 is right)",
    "brier": "Brier score",
    "brier_scaled": "Brier score, scaled (1 is perfect, 0 no better than the mean)",
    "sensitivity": "Of people with the outcome, share inside the cut",
    "ppv": "Of people inside the cut, share with the outcome",
    "number_to_review": "People to review for each one with the outcome",
    "net_benefit": "Net benefit for each person of acting on those inside the cut",
}


def inside_capacity(risk: ArrayLike, places: float) -> Floats:
    """Give how much of each row is inside the cut: 1 above it, 0 below, an even part where rows tie for what is left.

    Args:
        risk: One risk a row.
        places: How many rows there is room for; all are inside when there is room for all.
    """
    risks = np.asarray(risk, dtype=np.float64)
    if places >= risks.size:
        return np.ones(risks.size)
    if places <= 0:
        return np.zeros(risks.size)
    last = np.sort(risks)[::-1][math.ceil(places) - 1]
    above, level = risks > last, risks == last
    return np.where(above, 1.0, np.where(level, (places - above.sum()) / level.sum(), 0.0))


def evaluate(
    outcome: ArrayLike,
    risk: ArrayLike,
    *,
    listed: ArrayLike | None = None,
    person: ArrayLike | None = None,
    cut: float | None = None,
) -> Performance:
    """Measure risks against outcomes.

    Args:
        outcome: Whether it happened, one a row.
        risk: The risk that was given, above or equal to 0 and at most 1.
        listed: What :func:`inside_capacity` gives; without it nothing is said about a cut.
        person: Who each row is about; every row another one where it is not given.
        cut: The risk of the last place, at whose odds the net benefit is counted; the lowest listed where not given.

    Raises:
        RunError: lengths differ, or a risk or an outcome is missing or outside 0 to 1.
    """
    happened, risks = _checked(outcome, risk)
    inside = np.zeros(risks.size) if listed is None else np.asarray(listed, dtype=np.float64)
    events = int(happened.sum())
    counts = (risks.size, events, float(inside.sum()), float((inside * happened).sum()))
    if min(events, risks.size - events) < LEAST_EVENTS:
        return Performance(*counts, measures={})
    rows = _Rows(happened, risks, _numbered(person, risks.size))
    found = {"auroc": _auroc(rows), "auprc": _average_precision(rows), **_calibration(rows), **_brier(rows)}
    if listed is not None:
        found |= _at_the_cut(rows, inside, _cut(risks, inside) if cut is None else cut)
    return Performance(*counts, measures={name: each for name in MEASURES if (each := found.get(name)) is not None})


def area(outcome: ArrayLike, values: ArrayLike) -> float:
    """Give the area under the ROC curve of any numbers: how often somebody with the outcome has the higher one.

    Args:
        outcome: As for :func:`evaluate`; it happened to some rows and not to others.
        values: One number a row.
    """
    return _area(np.asarray(outcome) > 0, np.asarray(values, dtype=np.float64))[0]


def area_difference(
    outcome: ArrayLike, one: ArrayLike, other: ArrayLike, *, person: ArrayLike | None = None
) -> Estimate:
    """Give how much larger the area under the ROC curve of one number is than that of another, of the same rows.

    Args:
        outcome: As for :func:`area`.
        one: One number a row.
        other: Another.
        person: As for :func:`evaluate`.
    """
    happened = np.asarray(outcome) > 0
    mine, theirs = (_area(happened, np.asarray(each, dtype=np.float64)) for each in (one, other))
    return _plain(mine[0] - theirs[0], mine[1] - theirs[1], _numbered(person, happened.size))


def evaluate_groups(
    outcome: ArrayLike,
    risk: ArrayLike,
    groups: pl.DataFrame,
    *,
    listed: ArrayLike | None = None,
    person: ArrayLike | None = None,
) -> dict[tuple[str, str], Performance]:
    """Measure risks for everybody and for every value of every column of groups, at one and the same cut.

    Args:
        outcome: As for :func:`evaluate`.
        risk: As for :func:`evaluate`.
        groups: One row each, in the same order; nothing empty.
        listed: As for :func:`evaluate`.
        person: As for :func:`evaluate`.

    Returns:
        By column and value; everybody is ``("all", "all")`` and comes first.
    """
    happened, risks = _checked(outcome, risk)
    inside = None if listed is None else np.asarray(listed, dtype=np.float64)
    cut = None if inside is None else _cut(risks, inside)
    who = _numbered(person, risks.size)
    found = {("all", "all"): evaluate(happened, risks, listed=inside, person=who)}
    for column in groups.columns:
        values = groups[column].cast(pl.String).to_numpy()
        for value in sorted(set(values)):
            here = values == value
            found[column, str(value)] = evaluate(
                happened[here],
                risks[here],
                listed=None if inside is None else inside[here],
                person=who[here],
                cut=cut,
            )
    return found


@dataclass(frozen=True)
class GroupGap:
    """How far the share observed in a group is from its mean risk, beside all other groups looked at with it.

    Attributes:
        gap: Share observed less mean risk, with an interval widened so that those of all groups hold together in 95
            of 100 looks (C. E. Bonferroni).
        is_out: It is further out than is allowed, and its interval does not hold 0.
    """

    gap: Estimate
    is_out: bool


def group_gaps(found: Mapping[tuple[str, str], Performance], *, largest: float) -> dict[tuple[str, str], GroupGap]:
    """Give how far each group is out, chance and the number of groups allowed for.

    Of many groups the one that is furthest out is out by chance more often than any one of them: twenty intervals of
    95 % miss one, and a model that is right for everybody would seldom be found so.

    Args:
        found: By breakdown and value. Groups with too few rows with the outcome, or without it, are not looked at.
        largest: How far out is allowed, whatever chance says.
    """
    gaps = {key: each.measures["calibration_gap"] for key, each in found.items() if "calibration_gap" in each.measures}
    wider = NormalDist().inv_cdf(1 - 0.025 / max(len(gaps), 1)) / Z
    told = {}
    for key, each in gaps.items():
        half = (each.high - each.value) * wider
        widened = Estimate(each.value, each.value - half, each.value + half)
        told[key] = GroupGap(widened, abs(each.value) > max(largest, half))
    return told


def calibration_bins(outcome: ArrayLike, risk: ArrayLike, *, bins: int = 20) -> pl.DataFrame:
    """Give the observed share in groups of rows with like risks, each with at least ten rows with and without it.

    Args:
        outcome: As for :func:`evaluate`.
        risk: As for :func:`evaluate`.
        bins: At most so many, of as many rows each before small ones are joined to the next.

    Returns:
        By rising risk: ``people``, ``events``, ``mean_risk``, ``observed``, ``low``, ``high``; none where there are too
        few rows with the outcome, or without it.
    """
    happened, risks = _checked(outcome, risk)
    order = np.argsort(risks, kind="stable")
    edges = [0]
    for edge in [round(risks.size * part / bins) for part in range(1, bins + 1)]:
        # Rows of one risk stay together, or the order of the rows would count.
        while 0 < edge < risks.size and risks[order[edge]] == risks[order[edge - 1]]:
            edge += 1
        piece = happened[order[edges[-1] : edge]]
        if min(piece.sum(), piece.size - piece.sum()) >= LEAST_EVENTS:
            edges.append(edge)
    if len(edges) > 1:
        edges[-1] = risks.size
    rows = []
    for start, end in pairwise(edges):
        here = order[start:end]
        events = int(happened[here].sum())
        low, high = wilson(events, here.size)
        rows.append((here.size, events, float(risks[here].mean()), events / here.size, low, high))
    return pl.DataFrame(rows, schema=dict(_BIN_COLUMNS), orient="row")


_BIN_COLUMNS = {"people": pl.Int64, "events": pl.Int64} | dict.fromkeys(
    ("mean_risk", "observed", "low", "high"), pl.Float64
)


def smooth_calibration(outcome: ArrayLike, risk: ArrayLike, *, points: int = 40) -> pl.DataFrame:
    """Give the observed share as a smooth function of the risk: weighted straight lines along the logit of the risk.

    The width of the weights is that of Silverman's rule. The curve ends where fewer than ten rows lie beyond: there it
    would say more about single people than about the risks.

    Returns:
        ``risk`` and ``observed``, by rising risk; none where all risks are about the same.
    """
    happened, risks = _checked(outcome, risk)
    place = _logit(risks)
    ends = np.sort(place)
    spread = float(place.std())
    if risks.size <= 2 * LEAST_EVENTS or spread < _EDGE:
        return pl.DataFrame(schema={"risk": pl.Float64, "observed": pl.Float64})
    width = 1.06 * spread * risks.size**-0.2
    rows = []
    for middle in np.linspace(ends[LEAST_EVENTS], ends[-LEAST_EVENTS - 1], points):
        away = place - middle
        weight = np.exp(-0.5 * (away / width) ** 2)
        s0, s1, s2 = weight.sum(), (weight * away).sum(), (weight * away**2).sum()
        t0, t1 = (weight * happened).sum(), (weight * away * happened).sum()
        below = s0 * s2 - s1**2
        level = (s2 * t0 - s1 * t1) / below if below > _EDGE else t0 / s0
        rows.append((1 / (1 + math.exp(-middle)), min(1.0, max(0.0, float(level)))))
    return pl.DataFrame(rows, schema={"risk": pl.Float64, "observed": pl.Float64}, orient="row")


def decision_curve(
    outcome: ArrayLike, risk: ArrayLike, thresholds: ArrayLike, *, person: ArrayLike | None = None
) -> pl.DataFrame:
    """Give the net benefit of acting on everybody at or above a risk, for each of some risks.

    A. J. Vickers and E. B. Elkin 2006, Med Decis Making 26:565: true positives less false positives, each of these
    counted at the odds of the threshold, for each row.

    Returns:
        By threshold: ``threshold``, ``net_benefit``, ``low``, ``high``, ``treat_all`` (acting on all; on nobody is 0).
    """
    happened, risks = _checked(outcome, risk)
    who = _numbered(person, risks.size)
    rows = []
    for threshold in np.asarray(thresholds, dtype=np.float64):
        odds = threshold / (1 - threshold)
        gain = np.where(happened > 0, 1.0, -odds)
        mine = np.where(risks >= threshold, gain, 0.0)
        found = _plain(float(mine.mean()), (mine - mine.mean()) / risks.size, who)
        rows.append((float(threshold), found.value, found.low, found.high, float(gain.mean())))
    names = ("threshold", "net_benefit", "low", "high", "treat_all")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row")


@dataclass(frozen=True)
class _Rows:
    happened: Floats
    risk: Floats
    who: NDArray[np.int64]


def _checked(outcome: ArrayLike, risk: ArrayLike) -> tuple[Floats, Floats]:
    happened, risks = np.asarray(outcome, dtype=np.float64), np.asarray(risk, dtype=np.float64)
    odd = int((~np.isin(happened, (0.0, 1.0))).sum()) + int((~((risks >= 0) & (risks <= 1))).sum())
    if happened.shape != risks.shape or odd:
        raise RunError(
            "evaluation of a model",
            expected="for every row an outcome of 0 or 1 and a risk from 0 to 1",
            found=f"{happened.size} outcomes, {risks.size} risks, {odd} of them outside",
            action="Correct the step that gives them.",
        )
    return happened, risks


def _numbered(person: ArrayLike | None, rows: int) -> NDArray[np.int64]:
    if person is None:
        return np.arange(rows)
    return np.unique(np.asarray(person), return_inverse=True)[1].astype(np.int64)


def _logit(risk: Floats) -> Floats:
    inner = np.clip(risk, _EDGE, 1 - _EDGE)
    return np.log(inner / (1 - inner))


def _variance(shares: Floats, who: NDArray[np.int64]) -> float:
    return float((np.bincount(who, weights=shares) ** 2).sum())


def _plain(value: float, shares: Floats, who: NDArray[np.int64]) -> Estimate:
    half = Z * math.sqrt(_variance(shares, who))
    return Estimate(value, value - half, value + half)


def _bounded(value: float, shares: Floats, who: NDArray[np.int64]) -> Estimate:
    """Give an interval inside 0 to 1, even on the scale of the logit."""
    if not 0 < value < 1:
        return Estimate(value, value, value)
    middle = math.log(value / (1 - value))
    half = Z * math.sqrt(_variance(shares, who)) / (value * (1 - value))
    return Estimate(value, 1 / (1 + math.exp(half - middle)), 1 / (1 + math.exp(-half - middle)))


def _share_of(part: Floats, whole: Floats, who: NDArray[np.int64]) -> Estimate:
    """Give a share with Wilson's interval, as for so many fewer rows as rows of one person say the same."""
    total = float(whole.sum())
    value = float(part.sum()) / total
    alike = 1.0
    if 0 < value < 1:
        alike = max(1.0, _variance((part - value * whole) / total, who) / (value * (1 - value) / total))
    return Estimate(value, *wilson(value * total / alike, total / alike))


def _auroc(rows: _Rows) -> Estimate:
    return _bounded(*_area(rows.happened > 0, rows.risk), rows.who)


def _area(happened: NDArray[np.bool_], values: Floats) -> tuple[float, Floats]:
    """Give the area under the ROC curve of any numbers, and each row's share in its error."""
    events, others = values[happened], values[~happened]
    below = np.empty(values.size)
    for mine, theirs, here in ((events, others, happened), (others, events, ~happened)):
        ordered = np.sort(theirs)
        less, upto = np.searchsorted(ordered, mine, "left"), np.searchsorted(ordered, mine, "right")
        below[here] = (less + upto) / 2 / theirs.size
    value = float(below[happened].mean())
    return value, np.where(happened, (below - value) / events.size, (1 - below - value) / others.size)


def _average_precision(rows: _Rows) -> Estimate:
    levels, level_of = np.unique(rows.risk, return_inverse=True)
    events = np.bincount(level_of, weights=rows.happened, minlength=levels.size)
    reached = np.bincount(level_of, minlength=levels.size)[::-1].cumsum()[::-1].astype(np.float64)
    precision = events[::-1].cumsum()[::-1] / reached
    total = events.sum()
    value = float((events * precision).sum() / total)
    # A row changes the precision at its own level and at every lower one.
    per_row, per_event = (events * precision / reached).cumsum(), (events / reached).cumsum()
    shares = rows.happened * (precision[level_of] - value + per_event[level_of]) - per_row[level_of]
    return _bounded(value, shares / total, rows.who)


def _calibration(rows: _Rows) -> dict[str, Estimate | None]:
    place = _logit(rows.risk)
    ones = np.ones(place.size)
    whole = _logistic(np.column_stack([ones, place]), np.zeros(place.size), rows, start=(0.0, 1.0))
    large = _logistic(ones[:, None], place, rows, start=(0.0,))
    observed, expected = float(rows.happened.sum()), float(rows.risk.sum())
    ratio = observed / expected if expected > 0 else math.inf
    apart = (rows.happened - rows.risk) / rows.risk.size
    found: dict[str, Estimate | None] = {
        "calibration_slope": whole[1] if whole else None,
        "calibration_intercept": large[0] if large else None,
        "calibration_gap": _plain(float(apart.sum()), apart - apart.mean(), rows.who),
    }
    if expected > 0:
        half = Z * math.sqrt(_variance((rows.happened - ratio * rows.risk) / expected, rows.who)) / ratio
        found["observed_to_expected"] = Estimate(ratio, ratio * math.exp(-half), ratio * math.exp(half))
    return found


def _logistic(columns: Floats, offset: Floats, rows: _Rows, *, start: tuple[float, ...]) -> list[Estimate] | None:
    """Fit a logistic regression without penalty by Newton's steps; None where there is no single best one."""
    found = np.array(start)
    for _ in range(_MOST_STEPS):
        risk = 1 / (1 + np.exp(-np.clip(columns @ found + offset, -40, 40)))
        bend = (columns * (risk * (1 - risk))[:, None]).T @ columns
        if np.linalg.cond(bend) > 1e12:
            return None
        step = np.linalg.solve(bend, columns.T @ (rows.happened - risk))
        # A step that is too long is cut, or it could swing to and fro for ever.
        found = found + step * min(1.0, 2.0 / max(float(np.abs(step).max()), _EDGE))
        if float(np.abs(step).max()) < 1e-10:
            shares = (columns * (rows.happened - risk)[:, None]) @ np.linalg.inv(bend)
            return [_plain(float(found[each]), shares[:, each], rows.who) for each in range(found.size)]
    return None


def _brier(rows: _Rows) -> dict[str, Estimate | None]:
    squared = (rows.happened - rows.risk) ** 2
    mean, share = float(squared.mean()), float(rows.happened.mean())
    shares = (squared - mean) / squared.size
    unit = share * (1 - share)
    scaled = -shares / unit + mean * (1 - 2 * share) / unit**2 * (rows.happened - share) / squared.size
    return {"brier": _plain(mean, shares, rows.who), "brier_scaled": _plain(1 - mean / unit, scaled, rows.who)}


def _cut(risks: Floats, inside: Floats) -> float:
    """Give the lowest risk inside the cut; 1 where nobody is."""
    return float(risks[inside > 0].min(initial=1.0))


def _at_the_cut(rows: _Rows, inside: Floats, cut: float) -> dict[str, Estimate | None]:
    """Measure use at the cut; the cut itself is taken as given."""
    found: dict[str, Estimate | None] = {
        "sensitivity": _share_of(inside * rows.happened, rows.happened, rows.who),
    }
    if inside.sum() > 0:
        ppv = _share_of(inside * rows.happened, inside, rows.who)
        found["ppv"] = ppv
        if ppv.value > 0:
            found["number_to_review"] = Estimate(1 / ppv.value, 1 / ppv.high, 1 / ppv.low)
    if cut < 1:
        gain = inside * np.where(rows.happened > 0, 1.0, -cut / (1 - cut))
        found["net_benefit"] = _plain(float(gain.mean()), (gain - gain.mean()) / gain.size, rows.who)
    return found
