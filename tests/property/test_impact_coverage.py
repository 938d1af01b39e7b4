"""Impact on the county's planted effects, redrawn: intervals hold the truth, and what does nothing is no success.

What is redrawn, and how, is said in ``benchmarks/impact_coverage.py``, which makes the table of ``docs/impact.md``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import polars as pl
import pytest

from stratify.synth.order import CountyOrder

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.impact_coverage import BATCH, FIRST_SEED, coverage, redraws

REDRAWS = int(os.environ.get("STRATIFY_REDRAWS", "2000"))


def test_a_few_redraws_of_a_small_county():
    """Forty redraws of the county's four programmes: 320 intervals, of which 95 % are 304.

    A comparison of before and after calls the programme that does nothing a success nearly always.
    """
    rows = redraws(1, 40, CountyOrder(people=9_000, practices=6), is_whole=False)
    found = coverage(rows)
    ours = found.filter(pl.col("design") != "before_and_after")
    assert ours["redraws"].sum() == 320
    assert 91 <= ours["covered_percent"].mean() <= 99
    nothing = ours.filter(pl.col("multiplier") == 1.0)
    assert nothing["success_percent"].max() <= 12.5
    naive = found.filter(pl.col("design") == "before_and_after")
    assert naive["success_percent"].item() >= 40


@pytest.mark.slow
def test_the_bars_over_2000_redraws():
    """Where a design is valid its intervals cover 93 to 97 %, and a null programme is significant in 3 to 7 %.

    Regression to the mean alone reads as success no oftener than half of that, which is its share of the 5 %.
    """
    found = coverage(pl.concat([redraws(first, BATCH) for first in range(FIRST_SEED, FIRST_SEED + REDRAWS, BATCH)]))
    naive, ours = (found.filter((pl.col("design") == "before_and_after") == is_naive) for is_naive in (True, False))
    assert ours["covered_percent"].is_between(93, 97).all(), ours
    nothing = ours.filter(pl.col("multiplier") == 1.0)
    assert nothing["significant_percent"].is_between(3, 7).all(), nothing
    assert (nothing["success_percent"] <= 4.5).all(), nothing
    assert naive["success_percent"].item() > 80
