"""The places of the synthetic county: practices, their networks, the small areas people live in, and care homes.

Who lives there belongs to ``population``. Places follow from the size of the county alone, so that each practice
knows of the others without anything being drawn.

Sources: practices and networks as the ODS names them; deprivation of 2019 has 32,844 areas of 2011 and that of 2025
has 33,755 areas of 2021 (MHCLG, English indices of deprivation), never joined across.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from stratify.synth.columns import KNOWN, NEVER, REPLACES, Ints, days, known, picked

if TYPE_CHECKING:
    from stratify.synth.world import County

_STEMS = (
    "Alderbrook", "Birchwater", "Coldharbour Lane", "Dunmere", "Eastbeck", "Fallowfield Cross", "Greenholt",
    "Hallowdene", "Inglethorpe", "Juniper Hill", "Kestrelford", "Lindenmoor",
)  # fmt: skip
_KINDS = ("Surgery", "Medical Centre", "Health Centre", "Family Practice")
_DIRECTIONS = ("North", "South", "East", "West", "Mid")
_HOMES = ("Orchard House", "The Willows", "Beech Lodge", "St Aidan's Court", "Larchfield", "Rosemount", "The Elms")

_FOUNDED = date(2019, 7, 1)
_FOUNDED_DAY = (_FOUNDED - date(1970, 1, 1)).days
_AREAS = 24
"""Small areas a practice draws its people from."""
_SPLIT_EVERY = 12
"""One area in so many of 2011 became two in 2021."""
_RANKED = {"2019": 32_844, "2025": 33_755}
_PRACTICES_OF_AN_AUTHORITY = 8
_SPREAD = 2.0
"""Standard deviation of the deprivation deciles of a practice's areas, before they are cut at 1 and 10."""
_FEWEST_WEEKS, _FEWEST_PRACTICES = 26, 4


@dataclass(frozen=True)
class Practice:
    """A GP practice of the county. ``mean_decile`` is about the middle of its patients' deprivation deciles."""

    number: int
    code: str
    name: str
    pcn_code: str
    pcn_name: str
    mean_decile: float


@dataclass(frozen=True)
class Areas:
    """The small areas of one practice: codes of both maps, and the decile of each edition, 1 most deprived.

    ``second_code_2021`` is another code where the area was split in 2021, else the same again.
    """

    code_2011: tuple[str, ...]
    code_2021: tuple[str, ...]
    second_code_2021: tuple[str, ...]
    decile_2019: Ints
    decile_2025: Ints


@dataclass(frozen=True)
class CareHome:
    """A care home: kind 1 with nursing, 2 residential, 3 not known which."""

    name: str
    kind: int
    street: int


@dataclass(frozen=True)
class Merger:
    """A practice that closes into its neighbour, and the first day on which it is no more."""

    closing: Practice
    successor: Practice
    day: int


def code_of(number: int) -> str:
    """Give the ODS code of a practice by its number."""
    return f"Y{number + 1:05d}"


def make_practices(count: int) -> tuple[Practice, ...]:
    """Give the practices, about four to a network, with every part of the county from deprived to affluent."""
    networks = max(1, round(count / 4))
    # Multiples of the golden ratio spread over any number of practices, so neighbours differ.
    rank = np.argsort(np.argsort(np.arange(count) * 0.6180339887 % 1, kind="stable"), kind="stable")
    made = []
    for number in range(count):
        network = number * networks // count
        again, kind = divmod(number // len(_STEMS), len(_KINDS))
        name = f"{_STEMS[number % len(_STEMS)]} {_KINDS[kind]}" + (f" {again + 1}" if again else "")
        made.append(
            Practice(
                number=number,
                code=code_of(number),
                name=name,
                pcn_code=f"U{network + 1:05d}",
                pcn_name=f"{_vale(network)} Primary Care Network",
                mean_decile=round(0.5 + 10.0 * float(rank[number]) / (count - 1), 3) if count > 1 else 5.5,
            )
        )
    return tuple(made)


def merger_of(county: County) -> Merger | None:
    """Give the merger of the county: the last practice but one closes into the last in the middle of the weeks.

    There is one where there are at least 26 weekly extracts and four practices.
    """
    order = county.order
    if order.weeks < _FEWEST_WEEKS or order.practice_count < _FEWEST_PRACTICES:
        return None
    return Merger(county.practices[-2], county.practices[-1], county.cutoff_days[order.weeks // 2] + 1)


@cache
def areas_of(practice: Practice) -> Areas:
    """Give the small areas that a practice draws its people from, each about as large as the others."""
    first = practice.number * _AREAS
    deciles = np.arange(1, 11)
    weights = np.exp(-((deciles - practice.mean_decile) ** 2) / (2 * _SPREAD**2))
    share = np.round(np.cumsum(weights / weights.sum()), 6)
    decile = 1 + np.searchsorted(share, (np.arange(_AREAS) + 0.5) / _AREAS)
    decile = np.minimum(decile, 10)
    # Six years on an area in three is a decile up or down.
    later = np.clip(decile + np.array((0, 1, 0, 0, -1, 0))[(first + np.arange(_AREAS)) % 6], 1, 10)
    codes = tuple(f"E019{first + number:05d}" for number in range(_AREAS))
    split = [number % _SPLIT_EVERY == _SPLIT_EVERY - 1 for number in range(_AREAS)]
    new = tuple(f"E018{first + number:05d}" for number in range(_AREAS))
    return Areas(
        code_2011=codes,
        code_2021=codes,
        second_code_2021=tuple(new[place] if split[place] else codes[place] for place in range(_AREAS)),
        decile_2019=decile.astype(np.int64),
        decile_2025=later.astype(np.int64),
    )


@cache
def care_homes_of(practice: Practice) -> tuple[CareHome, ...]:
    """Give the care homes whose residents a practice looks after: two of each kind."""
    return tuple(
        CareHome(_HOMES[(practice.number + place) % len(_HOMES)], place % 3 + 1, 41 + place) for place in range(6)
    )


def practice_rows(county: County) -> pl.DataFrame:
    """Give the rows of ``landing.practice``; one that closes has a second version with its last membership ended."""
    every, merger = list(county.practices), merger_of(county)
    closes = [NEVER] * len(every)
    shown = [_FOUNDED_DAY] * len(every)
    if merger is not None:
        every, closes, shown = [*every, merger.closing], [*closes, merger.day], [*shown, merger.day]
    return pl.DataFrame(
        {
            "practice_code": [each.code for each in every],
            "practice_name": [each.name for each in every],
            "pcn_code": [each.pcn_code for each in every],
            "pcn_name": [each.pcn_name for each in every],
            "icb_code": ["QZZ"] * len(every),
            "valid_from": [_FOUNDED] * len(every),
            "valid_to": days(np.array(closes)),
            KNOWN: known(np.array(shown)),
            REPLACES: [day != NEVER for day in closes],
        }
    )


def lsoa_rows(county: County) -> pl.DataFrame:
    """Give the rows of ``landing.lsoa``: every area of 2011 with deprivation of 2019, of 2021 with that of 2025."""
    codes: list[str] = []
    facts: list[tuple[int, int, int, int]] = []
    for practice in county.practices:
        areas, authority = areas_of(practice), practice.number // _PRACTICES_OF_AN_AUTHORITY
        new = [
            (code, place)
            for place in range(_AREAS)
            for code in dict.fromkeys((areas.code_2021[place], areas.second_code_2021[place]))
        ]
        old = list(zip(areas.code_2011, range(_AREAS), strict=True))
        for is_new, pairs, deciles in ((0, old, areas.decile_2019), (1, new, areas.decile_2025)):
            codes += [code for code, _ in pairs]
            facts += [
                (is_new, int(deciles[place]), practice.number * _AREAS * 2 + number, authority)
                for number, (_, place) in enumerate(pairs)
            ]
    is_new, decile, number, authority = np.array(facts, dtype=np.int64).T
    tenth = np.array(list(_RANKED.values()))[is_new] / 10
    # Areas of one decile have different ranks in it.
    place = number * 131 % (tenth - 1).astype(np.int64)
    authorities = range(int(authority.max()) + 1)
    return pl.DataFrame(
        {
            "area_version": picked(("2011", "2021"), is_new),
            "lsoa_code": codes,
            "imd_version": picked(tuple(_RANKED), is_new),
            "imd_rank": np.ceil((decile - 1) * tenth).astype(np.int64) + 1 + place,
            "imd_decile": decile,
            "local_authority_code": picked([f"E07000{900 + each % 100}" for each in authorities], authority),
            "local_authority_name": picked([f"{_vale(each)} District" for each in authorities], authority),
            KNOWN: known(np.full(len(codes), _FOUNDED_DAY)),
        }
    )


def _vale(number: int) -> str:
    """Give the name of a network or an authority."""
    again, which = divmod(number, len(_DIRECTIONS))
    return f"{_DIRECTIONS[which]}vale" + (f" {again + 1}" if again else "")
