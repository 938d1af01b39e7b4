"""The places of the coming week: sessions of a practice, and pools that the practices of a network share.

A row of capacity names whom a session serves: a practice, or a network by its code, which is the declared audience of
the session. A place needs one slot of every role. A role that may see people only so many minutes a week, at all the
clinics of a practice or network together, has no place left once they are given out. Who gets one is for ``routing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from types import MappingProxyType

import polars as pl

DAYS_AHEAD = 7
"""A list fills the sessions of the seven days from the index date on."""


@dataclass
class Session:
    """One clinic session and how many places it has left.

    Attributes:
        clinic_id: The clinic.
        practice_code: Whom it serves: a practice, or a network all of whose practices share the places.
        clinic_date: The day.
        places: As many as its scarcest role has slots; no more than any role's minutes would do for.
        minutes: What one person takes of each role whose minutes are bounded.
        left: Minutes of each such role that are not given out, shared by the sessions of one practice or network.
        is_cut: It has more slots than a role has minutes for.
    """

    clinic_id: str
    practice_code: str
    clinic_date: date
    places: int
    minutes: Mapping[str, int] = field(default_factory=dict, compare=False)
    left: dict[str, int] = field(default_factory=dict, compare=False)
    is_cut: bool = field(default=False, compare=False)

    @property
    def is_free(self) -> bool:
        """Whether somebody may still be given a place."""
        return self.places > 0 and not self._short_of()

    @property
    def used_up(self) -> str | None:
        """The role whose minutes keep slots of this session from being used; None where slots are what is short."""
        return self._short_of() if self.places > 0 or self.is_cut else None

    def take(self) -> None:
        """Give one place out, with the minutes it takes; one that is booked already may go past the bound."""
        self.places -= 1
        for role, minutes in self.minutes.items():
            self.left[role] -= minutes

    def _short_of(self) -> str | None:
        return next((role for role, minutes in self.minutes.items() if self.left[role] < minutes), None)


def first_free(found: Iterable[Session]) -> Session | None:
    """Give the first session that has a place left."""
    return next((each for each in found if each.is_free), None)


def sessions(
    capacity: pl.DataFrame, *, index_date: date, most_minutes: Mapping[str, int] = MappingProxyType({})
) -> list[Session]:
    """Give the sessions of the coming week.

    Args:
        capacity: Contract ``core.clinic_capacity``.
        index_date: The first of the seven days.
        most_minutes: Minutes that a role may see people in a week, for one audience, at all its clinics together; a
            role that is not named, and slots without a length, are bounded by their slots alone.

    Returns:
        In order of clinic, audience and date.
    """
    last = index_date + timedelta(days=DAYS_AHEAD)
    coming = capacity.filter((pl.col("clinic_date") >= index_date) & (pl.col("clinic_date") < last))
    keys = ("clinic_id", "practice_code", "clinic_date")
    found: list[Session] = []
    left: dict[str, dict[str, int]] = {}
    used: dict[tuple[str, str, str], int] = {}
    rows = coming.select(*keys, "role", "slots", "minutes_per_slot").sort(*keys, "role").iter_rows()
    for (clinic, audience, day), group in groupby(rows, key=lambda row: row[:3]):
        roles = [row[3:] for row in group]
        minutes = {role: each for role, _, each in roles if each and role in most_minutes}
        slots = min(each for _, each, _ in roles)
        # Of several sessions of one clinic the earlier ones are filled first.
        rest = {role: max(most_minutes[role] - used.get((clinic, audience, role), 0), 0) for role in minutes}
        places = min([slots, *(rest[role] // each for role, each in minutes.items())])
        for role, each in minutes.items():
            used[clinic, audience, role] = used.get((clinic, audience, role), 0) + places * each
        own = left.setdefault(audience, dict(most_minutes))
        found.append(Session(clinic, audience, day, places, minutes, own, is_cut=places < slots))
    return found


def sessions_frame(found: Sequence[Session]) -> pl.DataFrame:
    """Give :func:`sessions` as contract ``derived.clinic_session``, with the places before any is given out."""
    schema = {"clinic_id": pl.String, "practice_code": pl.String, "clinic_date": pl.Date, "places": pl.Int64}
    rows = [(each.clinic_id, each.practice_code, each.clinic_date, each.places) for each in found]
    return pl.DataFrame(rows, schema=schema, orient="row")


def places_by_list(found: Sequence[Session], network_of: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Give the places for the people of each practice at each clinic, those it shares with others among them."""
    return {key: sum(each.places for each in mine) for key, mine in sessions_by_list(list(found), network_of).items()}


def networks(persons: pl.DataFrame) -> dict[str, str]:
    """Give the network of each practice, from ``practice_code`` and ``pcn_code`` of contract ``core.person``."""
    known = persons.select("practice_code", "pcn_code").drop_nulls().unique().sort("practice_code", "pcn_code")
    return dict(known.iter_rows())


def sessions_by_list(found: list[Session], network_of: Mapping[str, str]) -> dict[tuple[str, str], list[Session]]:
    """Give the sessions that the people of a practice may be seen at, by clinic and practice, in order of date.

    A session of a network stands under each of its practices, and is one and the same: a place taken for one practice
    is gone for all. On one day a practice's own session comes first.
    """
    practices: dict[str, list[str]] = {}
    for practice, network in sorted(network_of.items()):
        practices.setdefault(network, []).append(practice)
    by_list: dict[tuple[str, str], list[Session]] = {}
    for session in found:
        for practice in practices.get(session.practice_code, [session.practice_code]):
            by_list.setdefault((session.clinic_id, practice), []).append(session)
    for (_, practice), mine in by_list.items():
        mine.sort(key=lambda each: (each.clinic_date, each.practice_code != practice))
    return by_list


def queue_of(clinic_id: str, practice: str, free: Mapping[tuple[str, str], list[Session]]) -> tuple[str, str]:
    """Give the queue of a practice's people at a clinic: its network's where they share a session, else its own."""
    shared = (each.practice_code for each in free.get((clinic_id, practice), ()) if each.practice_code != practice)
    return (clinic_id, next(shared, practice))
