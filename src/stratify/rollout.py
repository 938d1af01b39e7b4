"""Roll-out by practice and date: where a pathway, or another version of it, is switched on.

A pathway that no entry names is on everywhere. One that an entry names is on only where, and while, an entry says so;
with ``instead_of`` it takes the place of another pathway there. A version, a threshold or an offer on trial is such a
pathway: a file of its own. Practices where a pathway is off are comparators: worked out and counted, in no list.
Says where; moving rows is for ``approvals``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stratify.errors import SettingsError


class Switch(BaseModel):
    """One wave: a pathway, the practices and networks where it is on, and from when until when; without any, nowhere.

    Attributes:
        pathway: The pathway that is on.
        instead_of: The pathway that is off there for as long.
        practices: Practices, by code.
        networks: Networks, by code: whichever practices belong to them on the index date.
        first_date: First index date on which it is on (``from`` in the settings).
        end_date: First index date on which it is no longer (``until``); none while it has no end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    pathway: str
    instead_of: str | None = None
    practices: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    first_date: date = Field(alias="from")
    end_date: date | None = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.end_date is not None and self.end_date <= self.first_date:
            raise ValueError("ends after it begins: until is the first day on which it is off again")
        if self.instead_of == self.pathway:
            raise ValueError("stands instead of another pathway, not of itself")
        return self

    def is_on(self, day: date) -> bool:
        """Say whether a day is within the dates."""
        return self.first_date <= day and (self.end_date is None or day < self.end_date)


def check(switches: Iterable[Switch], pathways: Iterable[str], places: Iterable[str] | None = None) -> None:
    """Refuse entries that name a pathway, practice or network that is not there: a misspelt one switches nothing on.

    Args:
        switches: The entries.
        pathways: Pathways of the rule book.
        places: Codes of the practices and networks of the reference; None where that has not been read yet.

    Raises:
        SettingsError: which are not there.
    """
    known, there = set(pathways), None if places is None else set(places)
    faults = []
    for number, each in enumerate(switches, 1):
        missing = [name for name in (each.pathway, each.instead_of) if name and name not in known]
        if there is not None:
            missing += [code for code in (*each.practices, *each.networks) if code not in there]
        if missing:
            faults.append(f"entry {number} names {', '.join(missing)}")
    if faults:
        raise SettingsError(
            "rollout",
            expected="pathways of the rule book, practices and networks of the practice reference",
            found="; ".join(faults),
            action="Correct the entry; a name that is not there switches nothing on.",
        )


def switched_off(
    switches: Iterable[Switch], pathways: Iterable[str], network_of: Mapping[str, str | None], day: date
) -> set[tuple[str, str | None]]:
    """Give where pathways are off on a day.

    Args:
        switches: The entries.
        pathways: Every pathway.
        network_of: The network of every practice.
        day: The index date.

    Returns:
        Pathway and practice; the practice None stands for people who have none.
    """
    entries = list(switches)
    named = {each.pathway for each in entries}
    now = [each for each in entries if each.is_on(day)]
    off: set[tuple[str, str | None]] = {(name, None) for name in pathways if name in named}
    for practice, network in network_of.items():
        here = [each for each in now if practice in each.practices or network in each.networks]
        on, replaced = {each.pathway for each in here}, {each.instead_of for each in here}
        off |= {(name, practice) for name in pathways if name in replaced or (name in named and name not in on)}
    return off
