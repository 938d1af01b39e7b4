"""Learning what would happen without help, from people some of whom were helped.

Whoever was offered a place was at risk, and the offer may be why nothing happened. A model that learns from them as
they turned out takes them off its own list. Here a course counts up to the offer and no further: an outcome before it
happened without help, whatever comes after says nothing about that. Those whose course was cut off are made up for by
people like them, as sought for an offer as they were, who were not offered anything: each of these stands for as many
(inverse probability of censoring, J. M. Robins and D. M. Finkelstein 2000, Biometrics 56:779).

What comes of it are rows for any algorithm, not weights: a row that stands for three people is there three times.
Does not belong here: fitting, and how large the effect of an offer is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stratify.errors import RunError
from stratify.modelling.evaluation import Floats

_LEAST_LEFT = 0.02
"""Of a stratum in which fewer than this share is never offered anything, too few would stand for too many."""


@dataclass(frozen=True)
class Untreated:
    """The people as they would be, had nobody been offered anything.

    Attributes:
        rows: Places of rows to learn from; one can come several times.
        weights: What each row stands for, in the order of all rows; 0 for one whose course was cut off by an offer.
        cut_off: Rows whose course was cut off.
        unlearnable: Strata, of how likely an offer is, in which almost everybody was offered a place: what would
            happen there without it can only be taken from other strata, and a card has to say so.
    """

    rows: NDArray[np.int64]
    weights: Floats
    cut_off: int
    unlearnable: tuple[int, ...]


def without_offers(
    outcome_day: ArrayLike, offer_day: ArrayLike, stratum: ArrayLike, *, horizon_days: int, seed: int
) -> Untreated:
    """Give rows that stand for everybody had nobody been offered anything.

    Args:
        outcome_day: Days from the index date to the outcome; NaN where it did not happen within the horizon.
        offer_day: Days from the index date to the first offer; NaN for none, 0 for one that still works then. An offer
            on the day of the outcome is after it.
        stratum: A whole number for each row: rows of one stratum were as likely to be offered something, whatever was
            to become of them. What decided about offers belongs in it: the band of the risk or rank in use then, and
            whether the pathway was on at the practice. None may be made of anything later.
        horizon_days: How long a row is followed.
        seed: Chooses among rows of like weight who comes once more.

    Returns:
        As many rows as there were, as near as whole rows can come to it.

    Raises:
        RunError: lengths differ, or a day lies before the index date.
    """
    happened, offered, strata = _checked(outcome_day, offer_day, stratum)
    end = np.where(np.isnan(happened), float(horizon_days), np.minimum(happened, horizon_days))
    is_cut = offered < end
    until = np.where(is_cut, offered, end)
    weights = np.zeros(end.size)
    unlearnable = []
    for each in np.unique(strata).tolist():
        here = np.flatnonzero(strata == each)
        left, never = _share_without_offer(until[here], is_cut[here])
        if never < _LEAST_LEFT:
            unlearnable.append(int(each))
        weights[here] = np.where(is_cut[here], 0.0, 1 / np.maximum(left, _LEAST_LEFT))
        # A stratum counts for as many people as it has, neither more nor fewer.
        total = weights[here].sum()
        if total > 0:
            weights[here] *= here.size / total
    return Untreated(_whole_rows(weights, seed), weights, int(is_cut.sum()), tuple(unlearnable))


def _share_without_offer(until: Floats, is_cut: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Give the share of a stratum without an offer up to the end of each course, and to the last (Kaplan, Meier)."""
    days, day_of = np.unique(until, return_inverse=True)
    leaving = np.bincount(day_of, minlength=days.size)
    cut = np.bincount(day_of, weights=is_cut, minlength=days.size)
    # Of one day, outcomes come before offers: whoever had the outcome is not at risk of an offer any more.
    at_risk = leaving[::-1].cumsum()[::-1] - (leaving - cut)
    remaining = np.cumprod(1 - np.divide(cut, at_risk, out=np.zeros(days.size), where=at_risk > 0))
    before = np.concatenate([[1.0], remaining[:-1]])
    return before[day_of], float(remaining[-1])


def _whole_rows(weights: Floats, seed: int) -> NDArray[np.int64]:
    """Give each row as often as it weighs, up or down to a whole number: systematic sampling from one random start."""
    start = np.random.default_rng(seed).random()
    upto = np.floor(weights.cumsum() + start).astype(np.int64)
    times = np.diff(upto, prepend=0)
    return np.repeat(np.arange(weights.size), times)


def _checked(outcome: ArrayLike, offer: ArrayLike, stratum: ArrayLike) -> tuple[Floats, Floats, NDArray[np.int64]]:
    happened, offered = np.asarray(outcome, dtype=np.float64), np.asarray(offer, dtype=np.float64)
    strata = np.asarray(stratum, dtype=np.int64)
    early = int((happened < 0).sum() + (offered < 0).sum())
    if not happened.shape == offered.shape == strata.shape or early:
        raise RunError(
            "learning without offers",
            expected="for every row a stratum and the days of outcome and offer, on or after the index date",
            found=f"{happened.size}, {offered.size} and {strata.size} of them; {early} days before the index date",
            action="Correct the step that gives them; leave out rows of people who were on a place already.",
        )
    return happened, offered, strata
