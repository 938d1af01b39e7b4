"""Watching a model at work: are people, records and outcomes still those it was made for, and may it be used?

Frames in, frames and a verdict out. What people looked like when the model was made is kept with it as shares
(:func:`profile`), never as rows. The verdict is a decision by declared limits (:class:`Limits`); the run acts on it,
which puts the published score in the model's place and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from stratify.modelling.evaluation import Floats, evaluate, group_gaps

EVERYWHERE = "all"
_BINS = 10
_FEWEST_IN_BIN = 0.0005
"""A share of nought would make the index infinite; half a person in a thousand stands for it."""


@dataclass(frozen=True)
class Limits:
    """When to look, and when to stop; the reason for each number is in docs/model-checks.md.

    Attributes:
        psi_look: Population stability index of a predictor above which somebody looks.
        psi_stop: Above which the model is not used.
        missing_stop: By how much the share of people of whom a predictor is not known may rise.
        ratio_low: Events observed for each expected, at the least.
        ratio_high: And at the most.
        months_in_a_row: For how many matured months the interval of that must lie outside before the model is not used.
        group_gap: How far the share observed in a group may be from its mean risk.
        fewest_people: Practices and groups with fewer are not judged by themselves.
        most_days_old: Days from the last development date after which the model is not used.
    """

    psi_look: float = 0.1
    psi_stop: float = 0.25
    missing_stop: float = 0.1
    ratio_low: float = 0.8
    ratio_high: float = 1.25
    months_in_a_row: int = 3
    group_gap: float = 0.02
    fewest_people: int = 200
    most_days_old: int = 1095


@dataclass(frozen=True)
class Profile:
    """How a predictor was spread among some people.

    Attributes:
        people: How many they were.
        edges: Where their tenths end. A value that many have takes up several tenths, which are one piece.
        shares: Of them in each piece, and at last of those of whom it is not known.
    """

    people: int
    edges: tuple[float, ...]
    shares: tuple[float, ...]


Profiles = Mapping[str, Mapping[str, Profile]]
"""By practice, with :data:`EVERYWHERE` for all of them, and by predictor."""


def profile(predictors: pl.DataFrame, practice: pl.Series, *, fewest_people: int) -> Profiles:
    """Give what is kept of the predictors: where their tenths end, and the shares, everywhere and at each practice.

    Args:
        predictors: One row a person, numbers or booleans; null is not known.
        practice: Of each row.
        fewest_people: Practices with fewer rows have none.
    """
    return {
        code: {name: _profile_of(_numbers(some[name])) for name in sorted(some.columns)}
        for code, some in _pieces(predictors, practice, fewest_people)
    }


def drift(predictors: pl.DataFrame, practice: pl.Series, made_for: Profiles, *, fewest_people: int) -> pl.DataFrame:
    """Compare the people of a run with those a model was made for, everywhere and practice by practice.

    The population stability index of two samples of one population is not 0. What chance alone makes of it is taken
    off (pieces less one, times the sum of one over each number of people: B. Yurdakul and J. Naranjo 2020, J Risk Model
    Valid 14:4), or small practices would always be changed ones.

    Args:
        predictors: As for :func:`profile`. A predictor that is not there is not known of anybody.
        practice: Of each row.
        made_for: What :func:`profile` gave when the model was made; a practice that is not in it is not compared.
        fewest_people: Practices with fewer rows are not compared.

    Returns:
        ``practice``, ``predictor``, ``people``, ``psi``, ``missing_before``, ``missing_now``.
    """
    rows = []
    for code, some in _pieces(predictors, practice, fewest_people):
        for name, before in sorted(made_for.get(code, {}).items()):
            values = _numbers(some[name]) if name in some.columns else np.full(some.height, np.nan)
            now = _shares(values, before.edges)
            chance = (len(now) - 1) * (1 / before.people + 1 / some.height)
            psi = max(0.0, _stability_index(before.shares, now) - chance)
            rows.append((code, name, some.height, psi, before.shares[-1], now[-1]))
    names: dict[str, type[pl.DataType]] = {"practice": pl.String, "predictor": pl.String, "people": pl.Int64}
    return pl.DataFrame(rows, schema=names | _numbers_of("psi", "missing_before", "missing_now"), orient="row")


def calibration_by_month(scored: pl.DataFrame, *, hospital_data_to: date, horizon_days: int) -> pl.DataFrame:
    """Compare risks that were given with what came of them, by the month in which they were given.

    Only risks whose horizon had ended by the day up to which hospital data are complete are judged. People who were
    offered a place are to be left out, or given the weights of ``untreated``, by whoever gives the rows.

    Args:
        scored: ``patient_key``, ``index_date``, ``risk``, ``outcome``.
        hospital_data_to: The last day of complete hospital data.
        horizon_days: Days after the index date that a risk is about.

    Returns:
        By month: ``month`` (its first day), ``people``, ``events``, ``ratio`` (events observed for each expected),
        ``low``, ``high``, ``gap``. A month with too few events to measure has no ratio.
    """
    ended = pl.col("index_date") + pl.duration(days=horizon_days) <= hospital_data_to
    found = []
    mature = scored.filter(ended).with_columns(pl.col("index_date").dt.truncate("1mo").alias("month"))
    for (month,), rows in mature.sort("month", "patient_key", "index_date").group_by("month", maintain_order=True):
        done = evaluate(rows["outcome"], rows["risk"], person=rows["patient_key"])
        ratio, gap = done.measures.get("observed_to_expected"), done.measures.get("calibration_gap")
        edges = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
        found.append((month, done.people, done.events, *edges, gap.value if gap else None))
    names: dict[str, type[pl.DataType]] = {"month": pl.Date, "people": pl.Int64, "events": pl.Int64}
    return pl.DataFrame(found, schema=names | dict.fromkeys(("ratio", "low", "high", "gap"), pl.Float64), orient="row")


def group_alarms(scored: pl.DataFrame, groups: Sequence[str], limits: Limits) -> pl.DataFrame:
    """Give the groups whose outcomes are further from their risks than is allowed, and than chance makes them.

    The number of groups is allowed for: see :func:`~stratify.modelling.evaluation.group_gaps`.

    Args:
        scored: ``patient_key``, ``risk``, ``outcome`` and a column for each of the groups.
        groups: Columns.
        limits: How far is too far, and how many people a group needs.

    Returns:
        ``breakdown``, ``breakdown_value``, ``people``, ``gap``, ``low``, ``high`` of those that raise an alarm.
    """
    found = {}
    for column in groups:
        for (value,), rows in scored.sort(column, "patient_key").group_by(column, maintain_order=True):
            if rows.height >= limits.fewest_people:
                done = evaluate(rows["outcome"], rows["risk"], person=rows["patient_key"])
                found[column, str(value)] = done
    rows_found = [
        (*key, found[key].people, each.gap.value, each.gap.low, each.gap.high)
        for key, each in group_gaps(found, largest=limits.group_gap).items()
        if each.is_out
    ]
    names: dict[str, type[pl.DataType]] = {"breakdown": pl.String, "breakdown_value": pl.String, "people": pl.Int64}
    return pl.DataFrame(rows_found, schema=names | _numbers_of("gap", "low", "high"), orient="row")


@dataclass(frozen=True)
class Verdict:
    """Whether a model may decide anything this week.

    Attributes:
        may_be_used: False puts the published score in its place everywhere.
        not_at: Practices where the published score stands in for it, though it may be used elsewhere.
        reasons: Why not, a sentence each, for the notice on lists and the data quality page. No number of people.
        to_look_at: What somebody should look at, while the model is used.
    """

    may_be_used: bool
    not_at: frozenset[str]
    reasons: tuple[str, ...]
    to_look_at: tuple[str, ...]


def may_be_used(
    drifted: pl.DataFrame,
    months: pl.DataFrame,
    alarms: pl.DataFrame,
    *,
    index_date: date,
    developed_to: date,
    limits: Limits = Limits(),
) -> Verdict:
    """Decide whether a model may be used, from what was seen of it.

    Args:
        drifted: What :func:`drift` gives.
        months: What :func:`calibration_by_month` gives; none matured is no reason against it.
        alarms: What :func:`group_alarms` gives. An alarm asks for a look; it does not stop the model, since the
            published score was never shown to be fairer.
        index_date: The day of the run.
        developed_to: The last index date the model was developed on.
        limits: What is too much.
    """
    reasons, look, not_at = [], [], set()
    rise = pl.col("missing_now") - pl.col("missing_before")
    everywhere = drifted.filter(pl.col("practice") == EVERYWHERE)
    for row in everywhere.sort("predictor").iter_rows(named=True):
        name = row["predictor"]
        if row["missing_now"] - row["missing_before"] > limits.missing_stop:
            reasons.append(f"{name} is not known of many more people than when the model was made")
        elif row["psi"] > limits.psi_stop:
            reasons.append(f"{name} is spread quite otherwise than when the model was made")
        elif row["psi"] > limits.psi_look:
            look.append(f"{name} is spread otherwise than when the model was made")
    lost = (rise > limits.missing_stop) | (pl.col("psi") > limits.psi_stop)
    for row in (
        drifted.filter((pl.col("practice") != EVERYWHERE) & lost).sort("practice", "predictor").iter_rows(named=True)
    ):
        not_at.add(row["practice"])
        look.append(f"{row['predictor']} is not what it was at practice {row['practice']}")
    if _out_for_long(months, limits):
        words = f"events were more or fewer than the model said, for {limits.months_in_a_row} months in a row"
        reasons.append(words)
    if (index_date - developed_to).days > limits.most_days_old:
        reasons.append("the model is older than its limit and was not made again")
    for row in alarms.sort("breakdown", "breakdown_value").iter_rows(named=True):
        way = "more" if row["gap"] > 0 else "fewer"
        look.append(f"in group {row['breakdown']} {row['breakdown_value']} {way} events happen than the model says")
    return Verdict(not reasons, frozenset(not_at), tuple(reasons), tuple(look))


def notice(verdict: Verdict, model: str, published_score: str) -> str | None:
    """Say on lists which score was used and why; nothing where the model was used everywhere.

    Args:
        verdict: What :func:`may_be_used` gives.
        model: Name of the model, in words.
        published_score: Name of the score in its place, in words.
    """
    if not verdict.may_be_used:
        return f"{published_score} is used in place of {model}: {'; '.join(verdict.reasons)}."
    if verdict.not_at:
        places = ", ".join(sorted(verdict.not_at))
        return f"{published_score} is used in place of {model} at {places}: too little is known there of what it needs."
    return None


def _out_for_long(months: pl.DataFrame, limits: Limits) -> bool:
    """Tell whether the last months that could be judged were all out, on the same side."""
    last = months.filter(pl.col("ratio").is_not_null()).sort("month").tail(limits.months_in_a_row)
    if last.height < limits.months_in_a_row:
        return False
    above = (last["low"] > limits.ratio_high).all()
    below = (last["high"] < limits.ratio_low).all()
    return bool(above or below)


def _pieces(predictors: pl.DataFrame, practice: pl.Series, fewest: int) -> Iterator[tuple[str, pl.DataFrame]]:
    yield EVERYWHERE, predictors
    for code in sorted(practice.drop_nulls().unique().to_list()):
        some = predictors.filter(practice == code)
        if some.height >= fewest:
            yield code, some


def _numbers_of(*names: str) -> dict[str, type[pl.DataType]]:
    return dict.fromkeys(names, pl.Float64)


def _numbers(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _profile_of(values: Floats) -> Profile:
    known = values[~np.isnan(values)]
    tenths = np.quantile(known, np.arange(1, _BINS) / _BINS, method="lower") if known.size else np.array([])
    # A piece holds its upper edge, so that 0, which most people have, is a piece and not an edge without one.
    edges = tuple(sorted(set(tenths.tolist())))
    return Profile(values.size, edges, _shares(values, edges))


def _shares(values: Floats, edges: Sequence[float]) -> tuple[float, ...]:
    known = ~np.isnan(values)
    pieces = np.bincount(np.searchsorted(np.asarray(edges), values[known], side="left"), minlength=len(edges) + 1)
    counts = np.append(pieces, (~known).sum())
    return tuple((counts / max(values.size, 1)).tolist())


def _stability_index(before: Sequence[float], now: Sequence[float]) -> float:
    pairs = [(max(b, _FEWEST_IN_BIN), max(n, _FEWEST_IN_BIN)) for b, n in zip(before, now, strict=True)]
    return sum((n - b) * math.log(n / b) for b, n in pairs)
