"""The designs: from people or places who were offered something and others who were not, to a difference.

Every estimate is one number on one scale, events for 100 people a year, and always holds the group it is compared with.
Everybody offered counts as offered, whether they came or not: no column here says who came. Pure arithmetic on frames.

In NumPy, since statsmodels and rdrobust bring pandas and drawing libraries for what is one fit by least squares here;
tests hold it equal to both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from stratify.errors import RunError
from stratify.intervals import Z

Floats = npt.NDArray[np.float64]

DAYS_A_YEAR = 365.25
POWER = 0.8416212335729143
"""Of a standard normal variable, 20 % lie above: an effect of the smallest size is seen 8 times in 10."""

UNIT_COLUMNS = {
    "is_offered": pl.Boolean,
    "block": pl.String,
    "events_before": pl.Float64,
    "days_before": pl.Float64,
    "events_after": pl.Float64,
    "days_after": pl.Float64,
}
"""One row a person: whom the lot, the cut or the match decides between, and what came before and after."""

_OF_100_A_YEAR = 100 * DAYS_A_YEAR


@dataclass(frozen=True)
class Group:
    """The people of one side: how many, their years of follow-up, and their events after they came to be compared."""

    people: int
    years: float
    events: float

    @property
    def rate(self) -> float:
        """Events for 100 people a year."""
        return 100 * self.events / self.years if self.years else math.nan


@dataclass(frozen=True)
class Estimate:
    """A difference between those offered and their comparison, which it cannot be without.

    Attributes:
        offered: Those who were offered something; all of them.
        comparison: Those they are compared with.
        difference: Events for 100 people a year: those offered less the comparison.
        standard_error: Of it.
        lower: Lower end of the interval of 95 %.
        upper: Upper end.
        comparison_rate: Events for 100 people a year in the comparison, as it stands for those offered.
    """

    offered: Group
    comparison: Group
    difference: float
    standard_error: float
    lower: float
    upper: float
    comparison_rate: float

    def __post_init__(self) -> None:
        """Refuse an estimate without anybody to compare with."""
        if not self.comparison.people:
            raise RunError(
                "impact",
                expected="a comparison for whoever was offered something",
                found="nobody",
                action="This is a fault in stratify: report it. Nothing is told without a comparison.",
            )

    @property
    def smallest_seen(self) -> float:
        """The smallest difference that would be told from chance 8 times in 10."""
        return (Z + POWER) * self.standard_error

    @property
    def is_told_from_chance(self) -> bool:
        """Nought is outside the interval."""
        return self.lower > 0 or self.upper < 0

    def people_needed(self, percent: float) -> float:
        """Give how many people in all would show a difference of so many per cent of the comparison's rate."""
        wanted = percent / 100 * self.comparison_rate
        return (self.offered.people + self.comparison.people) * (self.smallest_seen / wanted) ** 2


def planned(rate: float, offered: Group, comparison: Group) -> float:
    """Give the smallest difference that two groups could show, before there are events enough to say from them.

    Args:
        rate: Events for 100 people a year, as far as known.
        offered: Those offered, with the years they will be followed.
        comparison: The others.

    Events of one person come together, so that counts vary twice as much as pure chance would have it; that is what
    emergency admissions of people on such lists do.
    """
    return (Z + POWER) * math.sqrt(2 * 100 * rate * (1 / offered.years + 1 / comparison.years))


# ------------------------------------------------------------------------------------------------------------ people


def by_lot(units: pl.DataFrame) -> Estimate:
    """Compare everybody whom the lot gave a place with those whom it did not, within the same draw.

    The rate after, less what the rates before explain of it. Draws in which the lot gave a place to all or to none
    tell nothing and are left out.

    Source: A. S. Gerber and D. P. Green 2012, Field Experiments, ch. 3-4.

    Args:
        units: ``UNIT_COLUMNS``; ``block`` is the draw.
    """
    kept, weight = _weighted(units)
    rate_before = _rate(kept, "before")
    return _compared(kept, _rate(kept, "after"), weight, [rate_before - np.average(rate_before, weights=weight)])


def matched(units: pl.DataFrame) -> Estimate:
    """Compare how the rate changed among those offered and among people like them who were not.

    Matched exactly on ``block``, the others weighed so that each block has the share it has among those offered
    (S. M. Iacus, G. King and G. Porro 2012, Polit Anal 20:1); then difference in differences. Each block has a level of
    its own, so that how blocks differ is not taken for chance.

    Args:
        units: ``UNIT_COLUMNS``; ``block`` is what people have in common. Those without a counterpart are left out.
    """
    kept, weight = _weighted(units)
    change, is_offered = _rate(kept, "after") - _rate(kept, "before"), kept["is_offered"].to_numpy().astype(np.float64)
    block = kept["block"].rank("dense").to_numpy() - 1
    of_block = np.bincount(block, weight)

    def within(column: Floats) -> Floats:
        found: Floats = column - (np.bincount(block, weight * column) / of_block)[block]
        return found

    levels = Levels(count=len(of_block), leverage=weight / of_block[block])
    beta, error, freedom = _fit(within(change), within(is_offered)[:, None], weight, levels)
    return _against_those_offered(kept, beta[0], error[0], freedom)


def at_the_cut(units: pl.DataFrame, *, within: int) -> Estimate:
    """Compare those just above the last place with those just below it.

    A line on each side, people nearer the cut weighing more, corrected for its own bend: with one bandwidth for both
    that is a parabola on each side (S. Calonico, M. D. Cattaneo and R. Titiunik 2014, Econometrica 82:2295, remark 7).
    Only lists long enough on both sides: were short ones in it, those one place from the cut would be of other lists
    than those five places from it, and need would seem to jump there.

    Args:
        units: ``UNIT_COLUMNS``, and of each person's list ``position`` (places from the cut, below 0 for those with a
            place), ``above`` and ``below`` (how many have a place, and how many wait).
        within: How many places from the cut people may be.
    """
    kept = near_the_cut(units, within=within)
    place = kept["position"].to_numpy() / within
    offered = kept["is_offered"].to_numpy().astype(np.float64)
    weight = (1 - np.abs(place)) * _days(kept, "after")
    rate = _rate(kept, "after")
    columns = [np.ones(len(rate)), offered, place, place * offered, place**2, place**2 * offered]
    beta, error, freedom = _fit(rate, np.column_stack(columns), weight)
    return _estimate(kept, beta[1], error[1], freedom, comparison_rate=beta[0])


def near_the_cut(units: pl.DataFrame, *, within: int) -> pl.DataFrame:
    """Give those whom :func:`at_the_cut` compares."""
    is_long = pl.min_horizontal("above", "below") >= within
    return units.filter((pl.col("position").abs() < within) & is_long & (pl.col("days_after") > 0))


def with_counterparts(units: pl.DataFrame) -> pl.DataFrame:
    """Give those whom :func:`by_lot` and :func:`matched` compare: the people of blocks that have both sides."""
    followed = units.filter(pl.col("days_after") > 0)
    return followed.filter((_OFFERED_HERE > 0) & (_OTHERS_HERE > 0))


_OFFERED_HERE = pl.col("is_offered").sum().over("block")
_OTHERS_HERE = (~pl.col("is_offered")).sum().over("block")


def _weighted(units: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """Give the people of blocks with both sides, and the weights that make the blocks of both alike."""
    kept = with_counterparts(units)
    alike = pl.when("is_offered").then(1.0).otherwise(_OFFERED_HERE / _OTHERS_HERE)
    return kept, kept.select(alike).to_series().to_numpy() * _days(kept, "after")


def _compared(kept: pl.DataFrame, outcome: Floats, weight: Floats, covariates: Sequence[Floats]) -> Estimate:
    offered = kept["is_offered"].to_numpy().astype(np.float64)
    beta, error, freedom = _fit(outcome, np.column_stack([np.ones(len(outcome)), offered, *covariates]), weight)
    return _against_those_offered(kept, beta[1], error[1], freedom)


def _against_those_offered(kept: pl.DataFrame, difference: float, error: float, freedom: float) -> Estimate:
    found = _estimate(kept, difference, error, freedom, comparison_rate=math.nan)
    return replace(found, comparison_rate=found.offered.rate - found.difference)


def _days(kept: pl.DataFrame, when: str) -> Floats:
    return kept[f"days_{when}"].to_numpy().astype(np.float64)


def _rate(kept: pl.DataFrame, when: str) -> Floats:
    found: Floats = kept[f"events_{when}"].to_numpy() * _OF_100_A_YEAR / np.maximum(_days(kept, when), 1.0)
    return found


def _estimate(
    kept: pl.DataFrame, difference: float, error: float, freedom: float, *, comparison_rate: float
) -> Estimate:
    half = _t(freedom) * error
    return Estimate(
        offered=group_of(kept.filter("is_offered")),
        comparison=group_of(kept.filter(~pl.col("is_offered"))),
        difference=float(difference),
        standard_error=float(error),
        lower=float(difference - half),
        upper=float(difference + half),
        comparison_rate=float(comparison_rate),
    )


def group_of(units: pl.DataFrame) -> Group:
    """Add up the people of one side."""
    return Group(
        people=units.height,
        years=float(units["days_after"].sum()) / DAYS_A_YEAR,
        events=float(units["events_after"].sum()),
    )


@dataclass(frozen=True)
class Levels:
    """Levels of blocks, already taken off outcome and columns: how many, and how each person weighs in their own."""

    count: int
    leverage: Floats


def _fit(
    outcome: Floats, columns: Floats, weight: Floats, levels: Levels | None = None
) -> tuple[Floats, Floats, float]:
    """Fit by weighted least squares; errors do not assume that all vary alike (HC2, MacKinnon and White 1985).

    Returns:
        Coefficients, their standard errors, and the degrees of freedom of as many equal people as the weights stand
        for.
    """
    root = np.sqrt(weight / weight.mean())
    x, y = columns * root[:, None], outcome * root
    inverse = np.linalg.pinv(x.T @ x)
    beta = inverse @ (x.T @ y)
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x) + (levels.leverage if levels else 0.0)
    residual = (y - x @ beta) / np.sqrt(np.maximum(1 - leverage, 1e-9))
    meat = (x * (residual**2)[:, None]).T @ x
    error = np.sqrt(np.maximum(np.diag(inverse @ meat @ inverse), 0.0))
    freedom = weight.sum() ** 2 / (weight**2).sum() - columns.shape[1] - (levels.count if levels else 0)
    return beta, error, max(float(freedom), 1.0)


def _t(freedom: float) -> float:
    """Give what 2.5 % of Student's t lie above."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


# ------------------------------------------------------------------------------------------------------------ places

PLACEBOS = 200
"""Times that places which were offered nothing are taken for ones that were."""


def synthetic_control(rates: Floats, is_offered: npt.NDArray[np.bool_], *, before: int) -> tuple[float, float, float]:
    """Compare places where it is on with a mixture of others that went the same way before.

    The mixture is that of synthetic difference in differences with every period weighing the same; the error is how
    much places differ from their own mixtures that were offered nothing (D. Arkhangelsky et al. 2021, Am Econ Rev
    111:4088, algorithms 1 and 4).

    Args:
        rates: Events for 100 people a year; a row for each place, a column for each period.
        is_offered: The places where it is on from column ``before`` on.
        before: How many periods are before.

    Returns:
        The difference, its standard error, and the rate of the mixture after, at the level of the places offered.
    """
    others, mine = rates[~is_offered], rates[is_offered].mean(axis=0)
    many = int(is_offered.sum())
    ridge = (many * (rates.shape[1] - before)) ** 0.25 * float(np.diff(others[:, :before], axis=1).std(ddof=1))
    difference = _against_mixture(mine, others, before, ridge)
    chance = np.random.Generator(np.random.PCG64(20210101))
    count = len(others)
    draws = [np.array([place]) for place in range(count)] if many == 1 else [
        chance.permutation(count)[:many] for _ in range(PLACEBOS)
    ]  # fmt: skip
    found = []
    for draw in draws:
        rest = np.setdiff1d(np.arange(count), draw)
        found.append(_against_mixture(others[draw].mean(axis=0), others[rest], before, ridge))
    error = float(np.sqrt(np.mean(np.square(found))))
    return difference, error, float(mine[before:].mean()) - difference


def _against_mixture(mine: Floats, others: Floats, before: int, ridge: float) -> float:
    """Give how much more one series rose than the mixture of others that moved like it before."""
    from scipy.optimize import nnls

    level = others[:, :before].mean(axis=1)
    moved, target = (others[:, :before] - level[:, None]).T, mine[:before] - mine[:before].mean()
    count = others.shape[0]
    sum_to_one = 1e3 * (np.abs(moved).max() + ridge * math.sqrt(before) + 1.0)
    columns = np.vstack([moved, np.eye(count) * ridge * math.sqrt(before), np.full((1, count), sum_to_one)])
    weight, _ = nnls(columns, np.concatenate([target, np.zeros(count), [sum_to_one]]))
    weight = weight / weight.sum()
    mixture = weight @ others
    rose = mine[before:].mean() - mine[:before].mean()
    return float(rose - (mixture[before:].mean() - mixture[:before].mean()))


def places_estimate(
    rates: Floats, is_offered: npt.NDArray[np.bool_], *, before: int, offered: Group, comparison: Group
) -> Estimate:
    """Give :func:`synthetic_control` as an estimate, with the people of the places it is of."""
    difference, error, rate = synthetic_control(rates, is_offered, before=before)
    half = _t(max(float((~is_offered).sum()) - 1, 1.0)) * error
    return Estimate(offered, comparison, difference, error, difference - half, difference + half, rate)
