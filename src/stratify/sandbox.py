"""Sandbox weeks: what a pathway on trial would do beside the live one, week by week, with nothing sent to anybody.

A trial is an entry of the roll-out with ``instead_of``, dates, and no practice or network: everybody is worked out on
it and nothing of it is published. Here: counting, where the two part, and the weeks in words. Where a pathway is on
belongs to ``rollout``; how it is switched on or taken back is in ``docs/rollout-and-release.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import polars as pl

from stratify.contract_frames import schema_of
from stratify.rollout import Switch

TABLE = "audit.sandbox_week"
OUTCOMES = {
    "same": "both propose the same place",
    "elsewhere": "both, but another place",
    "joins": "the trial alone: would join",
    "leaves": "the live one alone: would leave",
}
_PROPOSES = ("clinic", "self_management", "assessment", "clinician_review")
_NOWHERE = "none"


def trials(switches: Iterable[Switch], day: date) -> list[Switch]:
    """Give the entries of the roll-out that are trials in shadow on a day."""
    return [
        each for each in switches if each.instead_of and each.is_on(day) and not each.practices and not each.networks
    ]


def compare(trial: Switch, decisions: pl.DataFrame, *, week: date) -> pl.DataFrame:
    """Count where a pathway on trial and the live one part.

    Args:
        trial: The entry of the roll-out.
        decisions: Contract ``derived.pathway_decision``: of both pathways, wherever they are on or off.
        week: The index date.

    Returns:
        Contract ``audit.sandbox_week``: a row for each pair of places that anybody has.
    """
    place = pl.when(pl.col("decision").is_in(_PROPOSES)).then(pl.coalesce("clinic_id", "decision"))
    placed = decisions.select("patient_key", "pathway", place.fill_null(_NOWHERE).alias("place"))
    live, tried = (
        placed.filter(pl.col("pathway") == name).select("patient_key", pl.col("place").alias(side))
        for name, side in ((trial.instead_of, "live_place"), (trial.pathway, "trial_place"))
    )
    both = live.join(tried, on="patient_key", how="full", coalesce=True).with_columns(
        pl.col("live_place", "trial_place").fill_null(_NOWHERE)
    )
    outcome = (
        pl.when(pl.col("live_place") == pl.col("trial_place"))
        .then(pl.lit("same"))
        .when(pl.col("live_place") == _NOWHERE)
        .then(pl.lit("joins"))
        .when(pl.col("trial_place") == _NOWHERE)
        .then(pl.lit("leaves"))
        .otherwise(pl.lit("elsewhere"))
    )
    counted = (
        both.filter(~((pl.col("live_place") == _NOWHERE) & (pl.col("trial_place") == _NOWHERE)))
        .group_by("live_place", "trial_place")
        .agg(pl.len().cast(pl.Int64).alias("people_count"))
        .with_columns(
            week=pl.lit(week),
            pathway=pl.lit(trial.pathway),
            instead_of=pl.lit(trial.instead_of),
            until=pl.lit(trial.end_date, dtype=pl.Date),
            outcome=outcome,
        )
    )
    columns = [pl.col(name).cast(kind) for name, kind in schema_of(TABLE).items()]
    return counted.select(columns).sort("pathway", "live_place", "trial_place")


def in_words(weeks: pl.DataFrame) -> str:
    """Write the weeks of every trial side by side, for the terminal.

    Args:
        weeks: Contract ``audit.sandbox_week``, of all weeks.
    """
    if weeks.is_empty():
        return "No week has a pathway on trial: an entry of `rollout` with instead_of, dates, and no practices."
    lines = []
    for (name, live), mine in weeks.group_by("pathway", "instead_of", maintain_order=True):
        days = sorted(set(mine["week"]))
        lines.append(f"{name} beside {live}, {len(days)} week{'s' if len(days) > 1 else ''} in shadow")
        lines.append(" " * 36 + "".join(f"{day:%d %b}".rjust(10) for day in days))
        for outcome, words in OUTCOMES.items():
            lines.append(f"  {words}".ljust(36) + _counts(mine, pl.col("outcome") == outcome, days))
        for place in sorted({*mine["live_place"], *mine["trial_place"]} - {_NOWHERE}):
            for side, whose in (("live_place", "live"), ("trial_place", "trial")):
                lines.append(f"  {place}, {whose}"[:35].ljust(36) + _counts(mine, pl.col(side) == place, days))
    return "\n".join(lines)


def _counts(mine: pl.DataFrame, where: pl.Expr, days: list[date]) -> str:
    found = dict(mine.filter(where).group_by("week").agg(pl.col("people_count").sum()).iter_rows())
    return "".join(f"{found.get(day, 0):>10,}" for day in days)
