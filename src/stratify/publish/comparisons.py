"""Places and groups compared: how steep a metric is by deprivation, and which places differ by more than chance.

Worked out from the values and the rounded numbers that are published already, so that they give away no more. A
difference is no verdict: places differ in ages, in need and in how they record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from stratify.intervals import Z

Z_998 = 3.090232306167813
"""Of a standard normal variable, 0.1 % lie above."""

LACKING = "a fifth of deprivation has no value: it is hidden, or nobody is in it"

_DECIMALS = 1
_METRIC = ("metric", "metric_version", "pathway", "status")
_PLACE = ("geography_type", "geography_code", "geography_name")
_FIFTHS = ("1", "2", "3", "4", "5")


def gradients(values: pl.DataFrame, scales: Mapping[str, tuple[bool, int]]) -> pl.DataFrame:
    """Give how far each metric differs from the least to the most deprived people of a network or board.

    The slope index of inequality: the line through the five fifths, each at the middle of its people when all stand in
    order of deprivation, weighed by how many they are, read at both ends. People of unknown deprivation are not in it.
    Source: Public Health England, Slope index of inequality, technical guide; the interval from the variance of each
    fifth's value.

    Args:
        values: Contract ``out.metric_value``.
        scales: For each metric, whether it is a share, and for how many people it is given.

    Returns:
        Contract ``out.metric_gradient`` without the columns of the run.
    """
    fifths = values.filter(
        (pl.col("breakdown") == "imd_quintile")
        & pl.col("breakdown_value").is_in(_FIFTHS)
        & (pl.col("geography_type") != "practice")
    ).sort(*_METRIC, *_PLACE, "breakdown_value")
    rows = []
    for key, group in groupby(fifths.to_dicts(), key=itemgetter(*_METRIC, *_PLACE)):
        row = dict(zip((*_METRIC, *_PLACE), key, strict=True))
        shown = [each for each in group if each["value"] is not None]
        is_whole = len(shown) == len(_FIFTHS)
        slope = _slope(shown, *scales[str(row["metric"])]) if is_whole else (None, None, None)
        reason = None if is_whole else LACKING
        rows.append({**row, **dict(zip(_SLOPE, slope, strict=True)), "reason": reason})
    return pl.DataFrame(rows, schema=_GRADIENT)


def _slope(fifths: Sequence[Mapping[str, Any]], is_share: bool, per: int) -> tuple[float, float, float]:
    """Give the slope from the least to the most deprived end, and its interval."""
    people = [row["denominator"] for row in fifths]
    whole = sum(people)
    # 1 is the most deprived: its middle is nearest the end at 1.
    middles = [1 - (sum(people[:place]) + people[place] / 2) / whole for place in range(len(people))]
    mean = sum(n * x for n, x in zip(people, middles, strict=True)) / whole
    spread = sum(n * (x - mean) ** 2 for n, x in zip(people, middles, strict=True))
    weights = [n * (x - mean) / spread for n, x in zip(people, middles, strict=True)]
    parts = [row["numerator"] / row["denominator"] for row in fifths]
    slope = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    variance = sum(
        weight**2 * (part * (1 - part) if is_share else part) / n
        for weight, part, n in zip(weights, parts, people, strict=True)
    )
    half = Z * math.sqrt(variance)
    low, middle, high = (round(per * each, _DECIMALS) for each in (slope - half, slope, slope + half))
    return middle, low, high


def funnels(values: pl.DataFrame, boards: Mapping[str, str], scales: Mapping[str, tuple[bool, int]]) -> pl.DataFrame:
    """Give for each practice and network the limits within which chance alone would keep it about its board's value.

    Source: D. J. Spiegelhalter 2005, Stat Med 24:1185; normal limits, with no allowance for overdispersion.

    Args:
        values: Contract ``out.metric_value``.
        boards: Board of each practice and network, by code.
        scales: For each metric, whether it is a share, and for how many people it is given.

    Returns:
        Contract ``out.metric_funnel`` without the columns of the run: a row where the place and its board have a value.
    """
    shown = values.filter((pl.col("breakdown") == "all") & pl.col("value").is_not_null()).sort(*_METRIC, *_PLACE)
    average = {
        tuple(row[name] for name in (*_METRIC, "geography_code")): row["numerator"] / row["denominator"]
        for row in shown.filter(pl.col("geography_type") == "icb").to_dicts()
    }
    rows = []
    for row in shown.filter(pl.col("geography_type") != "icb").to_dicts():
        of_board = average.get((*(row[name] for name in _METRIC), boards.get(row["geography_code"], "")))
        if of_board is None:
            continue
        is_share, per = scales[row["metric"]]
        error = math.sqrt(of_board * ((1 - of_board) if is_share else 1) / row["denominator"])
        most = 1.0 if is_share else math.inf
        limits = [min(most, max(0.0, of_board + z * error)) for z in (-Z_998, -Z, Z, Z_998)]
        value = row["numerator"] / row["denominator"]
        rows.append(
            {name: row[name] for name in (*_METRIC, *_PLACE, "value")}
            | {"board_value": round(per * of_board, _DECIMALS), "position": _position(value, limits)}
            | {name: round(per * limit, _DECIMALS) for name, limit in zip(_LIMITS, limits, strict=True)}
        )
    return pl.DataFrame(rows, schema=_FUNNEL)


def _position(value: float, limits: Sequence[float]) -> str:
    if value < limits[0]:
        return "far below"
    if value < limits[1]:
        return "below"
    if value > limits[3]:
        return "far above"
    return "above" if value > limits[2] else "within"


_SLOPE = ("slope", "lower_95", "upper_95")
_LIMITS = ("lower_limit_998", "lower_limit_95", "upper_limit_95", "upper_limit_998")
_GRADIENT = dict.fromkeys((*_METRIC, *_PLACE), pl.String) | dict.fromkeys(_SLOPE, pl.Float64) | {"reason": pl.String}
_FUNNEL = (
    dict.fromkeys((*_METRIC, *_PLACE), pl.String)
    | dict.fromkeys(("value", "board_value"), pl.Float64)
    | {"position": pl.String}
    | dict.fromkeys(_LIMITS, pl.Float64)
)
