"""What a number of the commissioners' file is of, and how these numbers add up.

Disclosure control hides by it, and the attack on everything released goes by it (``release_attack``).
"""

from __future__ import annotations

import polars as pl

from stratify.disclosure import Sum

PLACE = ("geography_type", "geography_code", "breakdown", "breakdown_value")
CELL = ("subject", "part", "tier", *PLACE)
"""Columns that name a number."""
SUMS = (
    Sum(
        "practices of a network",
        pl.col("geography_type") == "practice",
        {"geography_type": pl.lit("pcn"), "geography_code": pl.col("pcn_code")},
    ),
    Sum(
        "networks of a board",
        pl.col("geography_type") == "pcn",
        {"geography_type": pl.lit("icb"), "geography_code": pl.col("icb_code")},
    ),
    Sum(
        "values of a breakdown",
        pl.col("breakdown") != "all",
        {"breakdown": pl.lit("all"), "breakdown_value": pl.lit("all")},
        within=("breakdown",),
    ),
    Sum("decisions", (pl.col("part") != "all") & pl.col("total_subject").is_null(), {"part": pl.lit("all")}),
    Sum("tiers", pl.col("tier") != "all", {"tier": pl.lit("all")}),
    Sum(
        "those who have it and the rest",
        pl.col("total_subject").is_not_null(),
        {"subject": pl.col("total_subject"), "part": pl.col("total_part")},
        within=("subject",),
    ),
    Sum(
        "ages of a metric of some ages",
        pl.col("ages_subject").is_not_null(),
        {"subject": pl.col("ages_subject"), "breakdown": pl.lit("all"), "breakdown_value": pl.lit("all")},
    ),
    Sum("months of a year", pl.col("year_subject").is_not_null(), {"subject": pl.col("year_subject")}),
)
