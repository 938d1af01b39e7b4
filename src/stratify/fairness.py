"""Counts of who is reached: from everybody in a run to a place or an offer, places against need, workload.

Frames in, frames out, exact counts. Every table adds up: what is left at a step and who remains are those of the step
before, groups are everybody, practices are their network, networks the county. What may be shown is for ``disclosure``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import polars as pl

NOT_KNOWN = "not known"
NOWHERE = "none"
"""Practice and network of people who have none."""

STEPS = (
    "In the run",
    "Registered with a practice",
    "The pathway is on at the practice",
    "On the pathway",
    "Not excluded by a rule",
    "List not held this week",
    "Nothing else comes first",
    "Has a place or an offer",
)
"""From everybody to those reached; whoever fails a step is left there and counted in none after it."""

_ELSEWHERE = 7
_LEFT_AT = {"excluded": 5, "list_held": 6, "held": _ELSEWHERE, "not_listed": _ELSEWHERE, "waiting": 8, "listed": 9,
            "offered": 9}  # fmt: skip
_ETHNIC_GROUPS = {"White": "ABC", "Mixed": "DEFG", "Asian or Asian British": "HJKL", "Black or Black British": "MNP",
                  "Other": "RS"}  # fmt: skip
_GROUP_OF = {letter: group for group, letters in _ETHNIC_GROUPS.items() for letter in letters}
_AGES = ((18, "under 18"), (40, "18 to 39"), (65, "40 to 64"), (80, "65 to 79"))
BREAKDOWNS = ("age_band", "sex", "imd_fifth", "ethnic_group")


def groups(persons: pl.DataFrame) -> pl.DataFrame:
    """Give the groups of each person, with practice and network.

    Args:
        persons: Contract ``core.person``.

    Returns:
        ``patient_key``, ``is_registered``, ``practice``, ``pcn`` and the columns of :data:`BREAKDOWNS`; nothing empty.
    """
    age = pl.lit("80 and over")
    for limit, words in reversed(_AGES):
        age = pl.when(pl.col("age_years") < limit).then(pl.lit(words)).otherwise(age)
    known_age = pl.when(pl.col("age_years").is_null()).then(pl.lit(NOT_KNOWN)).otherwise(age)
    return persons.select(
        "patient_key",
        pl.col("person_status").is_in(["registered", "practice_unknown"]).alias("is_registered"),
        pl.col("practice_code").fill_null(NOWHERE).alias("practice"),
        pl.col("pcn_code").fill_null(NOWHERE).alias("pcn"),
        known_age.alias("age_band"),
        pl.when(pl.col("sex").is_in(["F", "M", "I"])).then("sex").otherwise(pl.lit(NOT_KNOWN)).alias("sex"),
        ((pl.col("imd_decile") + 1) // 2).cast(pl.String).fill_null(NOT_KNOWN).alias("imd_fifth"),
        pl.col("ethnic_category")
        .replace_strict(_GROUP_OF, default=NOT_KNOWN, return_dtype=pl.String)
        .fill_null(NOT_KNOWN)
        .alias("ethnic_group"),
    )


def attrition(
    people: pl.DataFrame, placements: pl.DataFrame, pathways: Iterable[str], off: Set[tuple[str, str | None]]
) -> pl.DataFrame:
    """Count everybody down to who is reached, by pathway, place and group.

    Args:
        people: What :func:`groups` gives.
        placements: Contract ``derived.placement``.
        pathways: Every pathway.
        off: Where pathways are off, by pathway and practice.

    Returns:
        Contract ``audit.attrition``: a row for each step of each pathway, place and group that has anybody.
    """
    parts = []
    for name in sorted(pathways):
        parts.append(_cube(_left_at(people, placements, name, off)).select(pl.lit(name).alias("pathway"), pl.all()))
    key = ("pathway", "geography_type", "geography_code", "breakdown", "breakdown_value", "step_number")
    return pl.concat(parts).sort(key)


def _left_at(
    people: pl.DataFrame, placements: pl.DataFrame, name: str, off: Set[tuple[str, str | None]]
) -> pl.DataFrame:
    here = placements.filter(pl.col("pathway") == name).select(
        "patient_key",
        pl.when(pl.col("decision") == "excluded").then(pl.lit("excluded")).otherwise("placement").alias("outcome"),
    )
    closed = sorted(practice for pathway, practice in off if pathway == name and practice is not None)
    return people.join(here, on="patient_key", how="left").with_columns(
        pl.when(~pl.col("is_registered"))
        .then(2)
        .when(pl.col("practice").is_in(closed))
        .then(3)
        .when(pl.col("outcome").is_null())
        .then(4)
        .otherwise(pl.col("outcome").replace_strict(_LEFT_AT, default=_ELSEWHERE, return_dtype=pl.Int64))
        .alias("left_at")
    )


def _cube(rows: pl.DataFrame) -> pl.DataFrame:
    small = rows.group_by("practice", "pcn", *BREAKDOWNS, "left_at").len("people")
    steps = pl.DataFrame({"step_number": range(1, len(STEPS) + 1), "step": STEPS})
    parts = []
    for kind, code in (("practice", pl.col("practice")), ("pcn", pl.col("pcn")), ("county", pl.lit("all"))):
        for breakdown, value in (("all", pl.lit("all")), *((each, pl.col(each)) for each in BREAKDOWNS)):
            parts.append(
                small.group_by(
                    pl.lit(kind).alias("geography_type"),
                    code.alias("geography_code"),
                    pl.lit(breakdown).alias("breakdown"),
                    value.alias("breakdown_value"),
                    "left_at",
                ).agg(pl.col("people").sum())
            )
    cells = pl.concat(parts)
    place = ["geography_type", "geography_code", "breakdown", "breakdown_value"]
    counted = (
        cells.join(steps, how="cross")
        .group_by(*place, "step_number", "step")
        .agg(
            pl.col("people")
            .filter(pl.col("left_at") == pl.col("step_number"))
            .sum()
            .cast(pl.Int64)
            .alias("left_count"),
            pl.col("people")
            .filter(pl.col("left_at") > pl.col("step_number"))
            .sum()
            .cast(pl.Int64)
            .alias("people_count"),
        )
    )
    return counted.select(*place, "step_number", "step", "left_count", "people_count")


def shares(people: pl.DataFrame, placements: pl.DataFrame) -> pl.DataFrame:
    """Count who needs a place at a clinic, and who of them has one, by group.

    Need is everybody whom a pathway sends to the clinic and whose list is not held.

    Args:
        people: What :func:`groups` gives.
        placements: Contract ``derived.placement``.

    Returns:
        Contract ``audit.listed_share``: counts of need, and of it listed, waiting and otherwise dealt with.
    """
    wanted = placements.filter((pl.col("decision") == "clinic") & (pl.col("placement") != "list_held"))
    rows = wanted.select("patient_key", "pathway", "clinic_id", "placement").join(people, on="patient_key")
    breakdowns = (("all", pl.lit("all")), *((each, pl.col(each)) for each in (*BREAKDOWNS, "practice", "pcn")))
    parts = [
        rows.group_by("pathway", "clinic_id", pl.lit(name).alias("breakdown"), value.alias("breakdown_value")).agg(
            pl.len().cast(pl.Int64).alias("need_count"),
            (pl.col("placement") == "listed").sum().cast(pl.Int64).alias("listed_count"),
            (pl.col("placement") == "waiting").sum().cast(pl.Int64).alias("waiting_count"),
            (~pl.col("placement").is_in(["listed", "waiting"])).sum().cast(pl.Int64).alias("other_count"),
        )
        for name, value in breakdowns
    ]
    return pl.concat(parts).sort("pathway", "clinic_id", "breakdown", "breakdown_value")


def workload(sessions: pl.DataFrame, capacity: pl.DataFrame, placements: pl.DataFrame) -> pl.DataFrame:
    """Count the minutes of each role that the week's lists take, by clinic and whom it serves.

    Args:
        sessions: Contract ``derived.clinic_session``.
        capacity: Contract ``core.clinic_capacity``.
        placements: Contract ``derived.placement``.

    Returns:
        Contract ``audit.workload``; minutes are empty where slots have no length.
    """
    day = ["clinic_id", "clinic_date"]
    used = (
        placements.filter((pl.col("placement") == "listed") & pl.col("session_serves").is_not_null())
        .unique(["patient_key", "clinic_id"])
        .group_by(*day, practice_code="session_serves")
        .agg(pl.len().alias("used"))
    )
    roles = capacity.select(*day, "practice_code", "role", "minutes_per_slot")
    found = (
        sessions.select(*day, "practice_code", "places")
        .join(used, on=[*day, "practice_code"], how="left")
        .join(roles, on=[*day, "practice_code"])
        .with_columns(pl.col("used").fill_null(0))
    )
    has_minutes = pl.col("minutes_per_slot").is_not_null().all()
    return (
        found.group_by("clinic_id", "practice_code", "role")
        .agg(
            pl.col("places").sum().cast(pl.Int64).alias("places_count"),
            pl.col("used").sum().cast(pl.Int64).alias("listed_count"),
            pl.when(has_minutes)
            .then((pl.col("places") * pl.col("minutes_per_slot")).sum())
            .cast(pl.Int64)
            .alias("minutes_offered_count"),
            pl.when(has_minutes)
            .then((pl.col("used") * pl.col("minutes_per_slot")).sum())
            .cast(pl.Int64)
            .alias("minutes_used_count"),
        )
        .sort("clinic_id", "practice_code", "role")
    )


def load_ratios(work: pl.DataFrame) -> list[tuple[str, float, float, float | None]]:
    """Give for each role the least and the greatest share of its minutes that is used, and their ratio.

    Args:
        work: Contract ``audit.workload``.

    Returns:
        Role, least share, greatest share, ratio; by role. None where somebody has no work while others do.
    """
    shares_of = (
        work.filter(pl.col("minutes_offered_count") > 0)
        .group_by("role", "practice_code")
        .agg((pl.col("minutes_used_count").sum() / pl.col("minutes_offered_count").sum()).alias("share"))
        .group_by("role")
        .agg(pl.col("share").min().alias("least"), pl.col("share").max().alias("most"))
        .sort("role")
    )
    return [
        (role, least, most, (most / least if least else None) if most else 1.0)
        for role, least, most in shares_of.iter_rows()
    ]


def minutes_against_bound(work: pl.DataFrame, most_minutes: Mapping[str, int]) -> list[tuple[str, str, int, int]]:
    """Give the minutes of each bounded role that the week's lists take for a practice or network, and the most.

    Args:
        work: Contract ``audit.workload``.
        most_minutes: The bound, by role.

    Returns:
        Role, practice or network, minutes taken at all its clinics, the most they may be.
    """
    taken = (
        work.filter(pl.col("role").is_in(sorted(most_minutes)))
        .group_by("role", "practice_code")
        .agg(pl.col("minutes_used_count").sum())
        .sort("role", "practice_code")
    )
    return [(role, place, minutes, most_minutes[role]) for role, place, minutes in taken.iter_rows()]
