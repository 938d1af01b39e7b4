"""Everybody of a clinic's lists in the order of need, as ``routing`` has it, and in lanes: whole columns, no loops.

Belongs here: the order, lanes made of it, how many of each lane there are, who has the places of the first week. The
order and the places are those of ``routing``, which says more of each person and takes longer; tests hold the two
to one another. Does not belong: who is on a list (``whatif_run``), what becomes of the counts (``whatif``).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stratify import pools
from stratify.pools import Session
from stratify.routing import is_nought_without_records
from stratify.rulebook import RuleBook
from stratify.whatif_changes import Changes

CELL = ("clinic_id", "practice_code")
_PEOPLE_IN_LANE, _MOST_LANES = 40, 4
_NO_TIER = 99


def ranking_of(book: RuleBook) -> tuple[str, ...]:
    """Name the variables that pathways rank by."""
    return tuple(sorted({step.variable for each in book.pathways.values() for step in each.rank_by}))


def in_order(people: pl.DataFrame, values: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Put people in the order in which ``routing`` gives out places, each at a clinic once.

    Args:
        people: One row per person and pathway that proposes a clinic: ``patient_key``, ``is_now`` (or as of the look
            back), ``pathway``, ``clinic_id``, ``practice_code``, ``tier_rank``, ``tier_value``, ``imd_decile``,
            ``age_years``, ``waited_days``, ``back_in`` (weeks until somebody who is off the list for now is back; 0: is
            on it).
        values: ``patient_key``, ``is_now``, ``variable``, ``value``: what is known of ``ranking_of``.
        book: The rule book.

    Returns:
        The rows in order, with ``pathway_order`` and ``priority_rank``; where two pathways want the same clinic, the
        first of those that do now.
    """
    ranked = [name for name in ranking_of(book) if name in book.variables]
    known = values.filter(pl.col("variable").is_in(ranked))
    wide = known.pivot("variable", index=["patient_key", "is_now"], values="value")
    rows = people.with_columns(pl.col("age_years").cast(pl.Float64))
    rows = rows.join(wide, on=["patient_key", "is_now"], how="left")
    depth = max([len(each.rank_by) for each in book.pathways.values()], default=0)
    for place in range(depth):
        step = pl.lit(None, dtype=pl.Float64)
        for name, pathway in book.pathways.items():
            if place < len(pathway.rank_by):
                mine = pathway.rank_by[place]
                name_of = "tier_value" if mine.variable == pathway.tier_from else mine.variable
                figure = pl.col(name_of) if name_of in rows.columns else pl.lit(None, dtype=pl.Float64)
                if mine.variable in book.variables and is_nought_without_records(mine.variable, book):
                    figure = figure.fill_null(0.0)
                step = (
                    pl.when(pl.col("pathway") == name)
                    .then(figure if mine.first == "least" else -figure)
                    .otherwise(step)
                )
        rows = rows.with_columns(step.alias(f"rank_{place}"))
    ranks = {name: each.precedence for name, each in book.pathways.items()}
    at_a_clinic = ("patient_key", "is_now", "clinic_id")
    order = ["pathway_order", "tier_rank", *(f"rank_{place}" for place in range(depth)), "waited", "imd_decile",
             "patient_key", "is_now"]  # fmt: skip
    return (
        rows.with_columns(
            pathway_order=pl.col("pathway").replace_strict(ranks, return_dtype=pl.Int64), waited=-pl.col("waited_days")
        )
        .sort(order, nulls_last=True)
        .filter(pl.int_range(pl.len()).over(at_a_clinic, order_by="back_in") == 0)
        .with_columns(priority_rank=pl.int_range(1, pl.len() + 1))
        .drop("waited", *(f"rank_{place}" for place in range(depth)), *wide.columns[2:])
    )


def in_lanes(ordered: pl.DataFrame) -> pl.DataFrame:
    """Give each row its ``lane``: the same place in the order at every practice, 0 has the first places."""
    tier = ("clinic_id", "pathway_order", "tier_rank")
    parts = (pl.len() // _PEOPLE_IN_LANE).clip(1, _MOST_LANES).over(tier)
    part = ((pl.col("priority_rank").rank("ordinal").over(tier) - 1) * parts // pl.len().over(tier)).alias("part")
    return (
        ordered.with_columns(pl.col("tier_rank").fill_null(_NO_TIER))
        .with_columns(part)
        .with_columns(place=pl.struct("pathway_order", "tier_rank", "part"))
        .with_columns(lane=pl.col("place").rank("dense").over("clinic_id").cast(pl.Int64) - 1)
        .drop("place", "part")
    )


def turns(lanes: pl.DataFrame) -> pl.DataFrame:
    """Say where each lane stands among those of every clinic: ``clinic_id``, ``lane``, ``turn``."""
    return lanes.group_by("clinic_id", "lane").agg(turn=pl.col("priority_rank").mean()).sort("clinic_id", "lane")


def first_week(
    lanes: pl.DataFrame, free: Mapping[tuple[str, str], list[Session]], no_limit: frozenset[str]
) -> pl.DataFrame:
    """Say who has a place in the coming week, one place a person; takes it from the sessions.

    Args:
        lanes: Who may have one, in order: ``patient_key``, ``clinic_id``, ``practice_code``, ``lane``.
        free: Sessions by clinic and practice (``pools.sessions_by_list``).
        no_limit: Clinics that need no session.

    Returns:
        The rows that have one.
    """
    left = sum({id(each): each.places for mine in free.values() for each in mine}.values())
    busy: set[str] = set()
    full: set[tuple[str, str]] = set()  # a list that has no place left gets none
    found = []
    for row, (key, clinic, practice) in enumerate(lanes.select("patient_key", *CELL).iter_rows()):
        if left <= 0 and not no_limit:
            break
        if key in busy or (clinic, practice) in full:
            continue
        if clinic not in no_limit:
            session = pools.first_free(free.get((clinic, practice), ()))
            if session is None:
                full.add((clinic, practice))
                continue
            session.take()
            left -= 1
        busy.add(key)
        found.append(row)
    return lanes[found]


def count_lanes(
    lanes: pl.DataFrame, asked: pl.DataFrame, changes: Changes
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Count each lane of each list: who is on it, who came since the look back, and what became of those of then.

    Somebody who had a place since the look back is not there to be seen as moving, and is in neither.

    Args:
        lanes: Rows of now and of the look back, with ``lane``, and ``chance`` that somebody who is off the list for now
            comes back.
        asked: ``patient_key`` of whom the look back asked.
        changes: When pathways start.

    Returns:
        ``cells``, ``moves`` and ``returning`` of ``whatif.Queues``.
    """
    now = lanes.filter("is_now")
    present = now.filter(pl.col("back_in") == 0)
    then = lanes.filter(~pl.col("is_now")).select("patient_key", *CELL, was_in="lane")
    both = (
        present.join(asked, on="patient_key", how="semi")
        .select("patient_key", *CELL, "lane")
        .join(then, on=["patient_key", *CELL], how="full", coalesce=True)
    )
    came = both.filter(pl.col("was_in").is_null()).group_by(*CELL, "lane").agg(entered=pl.len().cast(pl.Int64))
    of_then = both.filter(pl.col("was_in").is_not_null()).group_by("clinic_id", "was_in", "lane")
    moves = of_then.agg(people_count=pl.len().cast(pl.Int64)).rename({"lane": "to_lane", "was_in": "lane"})
    is_on = pl.col("back_in") == 0
    cells = (
        now.group_by(*CELL, "lane")
        .agg(present=is_on.sum().cast(pl.Int64), pathway=pl.col("pathway").min())
        .join(came, on=[*CELL, "lane"], how="left")
        .with_columns(pl.col("entered").fill_null(0), starts=pl.lit(0, pl.Int64))
    )
    for each in changes.switch_on:
        here = pl.col("pathway") == each.pathway
        here = here & pl.col("practice_code").is_in(list(each.practices)) if each.practices else here
        cells = cells.with_columns(starts=pl.when(here).then(each.week).otherwise("starts"))
    back = now.filter(~is_on).group_by(*CELL, "lane", pl.col("back_in").alias("week"), "chance")
    returning = back.agg(people_count=pl.len().cast(pl.Int64))
    names = [*CELL, "lane", "week", "people_count", "chance"]
    return (
        cells.sort(*CELL, "lane"),
        moves.select("clinic_id", "lane", "to_lane", "people_count").sort(pl.all()),
        returning.select(names).sort(names),
    )
