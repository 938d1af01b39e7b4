"""The places that a forecast has to give: of planned sessions, of another capacity, and without those that are booked.

Audiences are practices, or networks whose practices share a session. Who gets a place is for ``whatif_queue`` in the
first week and for ``whatif`` after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TypeAlias

import polars as pl

from stratify import pools, whatif
from stratify.pools import Session
from stratify.whatif_changes import Changes

CELL = ("clinic_id", "practice_code")

Another: TypeAlias = "tuple[str, str, int | None, int | None, int]"
"""Another capacity: clinic, audience, sessions or places a week, and the week from which it holds."""


def planned_sessions(capacity: pl.DataFrame, index_date: date, most_minutes: Mapping[str, int]) -> pl.DataFrame:
    """Give sessions and places by list and week, for the weeks that are planned."""
    rows = []
    last = capacity["clinic_date"].max()
    for week in range(whatif.WEEKS):
        start = index_date + timedelta(weeks=week)
        if not isinstance(last, date) or start > last:
            break
        rows += [(each.clinic_id, each.practice_code, week, 1, each.places)
                 for each in pools.sessions(capacity, index_date=start, most_minutes=most_minutes)]  # fmt: skip
    schema = {"clinic_id": pl.String, "practice_code": pl.String} | dict.fromkeys(
        ("week", "session_count", "places"), pl.Int64
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def changed_capacity(
    changes: Changes, cells: pl.DataFrame, sessions: pl.DataFrame, networks: Mapping[str, str]
) -> tuple[Another, ...]:
    """Give the changes of capacity, an audience each; where none is named, those of each practice that has the list.

    The places of a practice are its network's where that has sessions of the clinic and the practice none of its own.
    """
    served = set(sessions.select(CELL).iter_rows())
    found: dict[tuple[str, str, int], Another] = {}
    for each in changes.capacity:
        mine = cells.filter(pl.col("clinic_id") == each.clinic)["practice_code"].unique().sort().to_list()
        for practice in each.practices or mine:
            network = networks.get(practice, practice)
            is_shared = (each.clinic, network) in served and (each.clinic, practice) not in served
            audience = network if is_shared else practice
            found[each.clinic, audience, each.from_week] = (
                each.clinic, audience, each.sessions_per_week, each.slots_per_week, each.from_week
            )  # fmt: skip
    return tuple(found.values())


def minutes_of_places(
    capacity: pl.DataFrame, moved: Sequence[Another], index_date: date, most_minutes: Mapping[str, int]
) -> pl.DataFrame:
    """Give the minutes that a place takes of each role whose minutes are bounded, by clinic and audience.

    The mean of its sessions; where there are sessions only with the change, that of the clinic's others.
    """
    mine = capacity.filter(
        pl.col("clinic_date") >= index_date, pl.col("minutes_per_slot") > 0, pl.col("role").is_in(sorted(most_minutes))
    )
    mean = pl.col("minutes_per_slot").mean().round().cast(pl.Int64).alias("minutes")
    own = mine.group_by(*CELL, "role").agg(mean)
    known = set(capacity.select(CELL).iter_rows())
    new = sorted({(clinic, audience) for clinic, audience, *_ in moved} - known)
    added = pl.DataFrame(new, schema=dict.fromkeys(CELL, pl.String), orient="row").join(
        mine.group_by("clinic_id", "role").agg(mean), on="clinic_id"
    )
    return pl.concat([own, added.select(own.columns)]).sort(pl.all())


def minutes_left(
    places: pl.DataFrame, unbooked: pl.DataFrame, minutes: pl.DataFrame, most_minutes: Mapping[str, int]
) -> pl.DataFrame:
    """Give the minutes that each bounded role has in a week at each audience, without those of people who are booked.

    Args:
        places: All places: ``clinic_id``, ``practice_code``, ``week``, ``places``.
        unbooked: Those of them that no booking holds.
        minutes: :func:`minutes_of_places`.
        most_minutes: The bound of each role.
    """
    booked = (
        places.join(unbooked, on=[*CELL, "week"], suffix="_left")
        .join(minutes, on=CELL)
        .group_by("practice_code", "role", "week")
        .agg(taken=((pl.col("places") - pl.col("places_left")) * pl.col("minutes")).sum())
    )
    most = pl.DataFrame(list(most_minutes.items()), schema={"role": pl.String, "most": pl.Int64}, orient="row")
    left = (pl.col("most") - pl.col("taken")).clip(lower_bound=0).alias("minutes")
    return booked.join(most, on="role").select("practice_code", "role", "week", left).sort(pl.all())


def first_sessions(
    capacity: pl.DataFrame,
    places: pl.DataFrame,
    moved: Sequence[Another],
    network_of: Mapping[str, str],
    index_date: date,
    minutes: pl.DataFrame,
    most_minutes: Mapping[str, int],
) -> dict[tuple[str, str], list[Session]]:
    """Give the sessions of the coming week by list; where the capacity is another, one with all its places."""
    other = {(clinic, audience) for clinic, audience, _, _, start in moved if start == 0}
    coming = pools.sessions(capacity, index_date=index_date, most_minutes=most_minutes)
    found = [each for each in coming if (each.clinic_id, each.practice_code) not in other]
    left = {each.practice_code: each.left for each in coming}
    for clinic, audience, count in places.filter(pl.col("week") == 0).select(*CELL, "places").iter_rows():
        if (clinic, audience) in other:
            here = minutes.filter(pl.col("clinic_id") == clinic, pl.col("practice_code") == audience)
            own = left.setdefault(audience, dict(most_minutes))
            takes = dict(here.select("role", "minutes").iter_rows())
            found.append(Session(clinic, audience, index_date, count, takes, own))
    return pools.sessions_by_list(found, network_of)


def take_booked(booked: pl.DataFrame, free: Mapping[tuple[str, str], list[Session]]) -> None:
    """Take the places of people booked for a session out of what is given out, as ``routing`` does.

    Args:
        booked: ``clinic_id``, ``practice_code``, ``until``: one row a booking.
        free: Sessions by clinic and practice.
    """
    for clinic, practice, until in booked.select(*CELL, "until").iter_rows():
        for session in free.get((clinic, practice), ()):
            if session.clinic_date == until and session.places > 0:
                session.take()


def without_booked(
    places: pl.DataFrame, booked: pl.DataFrame, network_of: Mapping[str, str], index_date: date
) -> pl.DataFrame:
    """Give the places of each list and week that no booking holds: of the list's own first, then of those it shares."""
    rows = {(clinic, audience, week): count for clinic, audience, week, count in places.iter_rows()}
    for clinic, practice, until in booked.select(*CELL, "until").drop_nulls().iter_rows():
        week = (until - index_date).days // pools.DAYS_AHEAD
        for audience in (practice, network_of.get(practice, practice)):
            if rows.get((clinic, audience, week), 0) > 0:
                rows[clinic, audience, week] -= 1
                break
    found = [(*key, count) for key, count in rows.items()]
    return pl.DataFrame(found, schema=places.schema, orient="row")
