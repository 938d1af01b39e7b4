"""Who of the synthetic county is in hospital and when: emergencies, planned care, births, and the last days of life.

A spell here is a bed, two days and a kind; diagnoses, episodes and when an extract shows them belong to ``hospital``,
what a programme takes away or adds to ``programmes``. Rates follow the Hospital Admitted Patient Care Activity
2023-24 (NHS England) by age; ``england.yaml`` holds what they are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stratify.synth.columns import NEVER, YEAR, Flags, Floats, Ints
from stratify.synth.conditions import Conditions
from stratify.synth.gp_record import Flares
from stratify.synth.places import Practice
from stratify.synth.population import People
from stratify.synth.world import County

COPD, EMERGENCY, DAY_CASE, STAY, REGULAR, DELIVERY, ANTENATAL, BIRTH, TRANSFER = range(9)
"""Kinds of spell. A transfer is the second half of an emergency spell, in another hospital."""

PROVIDERS = ("RZ9", "RZ8", "RZ7")
"""Three invented trusts; the first sends every change as it happens, the others the whole of each month."""

EMERGENCIES = (
    (0, 0.5, 1.5, 4, 6, 10, 14, 17, 25, 40, 50, 60, 70, 80, 85, 90, 95),
    (385, 295, 155, 68, 37, 26, 31, 54, 62, 63, 70, 91, 140, 250, 318, 370, 395),
)
"""Emergency admissions per 1,000 people a year by age, without those for COPD and of the last months of life."""
ADMITTED_OF_FLARES = (0.04, 0.26)
"""Share of flare-ups of COPD that lead to an emergency admission: at no severity, and what the highest adds."""
_PLANNED = ((0, 2, 10, 20, 35, 50, 65, 75, 85, 95), (58, 65, 49, 62, 110, 195, 340, 430, 325, 115))
"""Planned admissions per 1,000 people a year by age, without those who come again and again."""
_DELIVERIES = ((15, 17, 22, 27, 31, 36, 41, 45), (0, 8, 40, 74, 95, 58, 14, 0))
"""Deliveries per 1,000 women a year by age (Births in England and Wales 2022, ONS)."""

_COMES_BACK = 0.11
_DIES_IN_HOSPITAL, _DIES_IN_HOSPITAL_FROM_HOME = 0.30, 0.56
"""Of those in care homes or receiving palliative care, and of all others (ONS 2023: 43 % of all deaths)."""
_WEEK = 7


@dataclass(frozen=True)
class Spells:
    """Hospital spells, ordered by person and day of admission; nobody is in two beds.

    ``provider`` is a position in ``PROVIDERS``; ``has_died`` says that the spell ends with the person's death.
    """

    person: Ints
    admitted: Ints
    discharged: Ints
    kind: Ints
    provider: Ints
    has_died: Flags

    def __len__(self) -> int:
        return len(self.person)

    @property
    def is_emergency(self) -> Flags:
        """Which are new emergency admissions; a transfer is none."""
        return self.kind <= EMERGENCY

    def chosen(self, which: Flags | Ints) -> Spells:
        """Give some of the spells."""
        return Spells(
            self.person[which],
            self.admitted[which],
            self.discharged[which],
            self.kind[which],
            self.provider[which],
            self.has_died[which],
        )


def first_days(county: County, people: People) -> Ints:
    """Give the first day on which the county's providers know each person."""
    return np.maximum(np.maximum(people.birth_day, people.start_day), county.first_day)


def own_provider(county: County, practice: Practice) -> int:
    """Give the trust that most of a practice's people go to."""
    return practice.number * len(PROVIDERS) // len(county.practices)


def provider_of_each(county: County, practice: Practice, count: int, rng: np.random.Generator) -> Ints:
    """Draw a trust for each of so many visits: four in five go to the practice's own."""
    near = own_provider(county, practice)
    luck = rng.random(count)
    return np.where(luck < 0.8, near, (near + np.where(luck < 0.95, 1, 2)) % len(PROVIDERS)).astype(np.int64)


def on_working_days(day: Ints) -> Ints:
    """Move what falls on a weekend to the Friday before."""
    weekday = (day + 3) % _WEEK  # 1970-01-01 was a Thursday
    return day - np.maximum(weekday - 4, 0)


def come(
    county: County, people: People, rate_a_year: Floats, rng: np.random.Generator, *, winter: float = 0.0
) -> tuple[Ints, Ints]:
    """Draw who comes and when, at so many times a year for each person, as long as the county knows them.

    Args:
        county: The county, for the days.
        people: The people; test patients never come.
        rate_a_year: How often each of them comes.
        rng: The generator of what they come for.
        winter: How far above the year's mean the middle of January is, as a share.
    """
    first = first_days(county, people)
    length = np.maximum(people.last_day - first + 1, 0)
    most = np.where(people.is_test, 0.0, rate_a_year * (1 + winter)) * length / YEAR
    person = np.repeat(np.arange(people.count), rng.poisson(most))
    day = first[person] + np.floor(rng.random(len(person)) * length[person]).astype(np.int64)
    if winter:
        kept = rng.random(len(day)) * (1 + winter) < 1 + winter * _winter(day)
        person, day = person[kept], day[kept]
    return person, day


def draw_spells(county: County, people: People, conditions: Conditions, flares: Flares) -> Spells:
    """Draw every hospital spell of one practice's people, as they would be without any programme.

    Args:
        county: The county.
        people: The people, whose deaths are drawn.
        conditions: What is wrong with them.
        flares: Flare-ups of COPD, some of which lead to an admission.
    """
    rng = county.generator(people.practice, "spells")
    drawn = [
        _emergencies(county, people, conditions, flares, rng),
        _last_days(county, people, conditions, rng),
        _planned(county, people, conditions, rng),
        _mothers_and_babies(county, people, rng),
    ]
    spells = joined(
        *drawn, provider=provider_of_each(county, people.practice, sum(len(each[0]) for each in drawn), rng)
    )
    last = people.last_day[spells.person]
    death = people.death_day[spells.person]
    is_known = (spells.admitted >= first_days(county, people)[spells.person]) | (spells.kind == BIRTH)
    discharged = np.minimum(spells.discharged, death)
    has_died = (spells.discharged >= death) & (spells.kind <= EMERGENCY)
    spells = Spells(spells.person, spells.admitted, discharged, spells.kind, spells.provider, has_died)
    return one_bed_each(spells.chosen(is_known & (spells.admitted <= last) & ~people.is_test[spells.person]))


def joined(*drawn: tuple[Ints, Ints, Ints, Ints], provider: Ints) -> Spells:
    """Put together spells given as person, admitted, discharged and kind."""
    person, admitted, discharged, kind = (np.concatenate([each[place] for each in drawn]) for place in range(4))
    return Spells(person, admitted, discharged, kind, provider, np.zeros(len(person), dtype=np.bool_))


def one_bed_each(spells: Spells) -> Spells:
    """Put spells in order, without those that begin before all earlier ones of the person have ended."""
    order = np.lexsort((spells.kind, spells.admitted, spells.person))
    spells = spells.chosen(order)
    if not len(spells):
        return spells
    ends = np.maximum.accumulate(spells.person * NEVER * 10 + spells.discharged)
    free = np.ones(len(spells), dtype=np.bool_)
    free[1:] = (spells.person * NEVER * 10 + spells.admitted)[1:] > ends[:-1]
    return spells.chosen(free)


def with_transfers(county: County, spells: Spells, practice: Practice) -> Spells:
    """Divide a few long emergency spells in two: the second half is spent in another hospital."""
    rng = county.generator(practice, "transfers")
    length = spells.discharged - spells.admitted
    moves = (spells.kind <= EMERGENCY) & (length >= 4) & (rng.random(len(spells)) < 0.05)
    which = np.flatnonzero(moves)
    day = spells.admitted[which] + length[which] // 3
    ends, has_died = spells.discharged.copy(), spells.has_died.copy()
    ends[which], has_died[which] = day, False
    other = (spells.provider[which] + 1) % len(PROVIDERS)
    first = Spells(spells.person, spells.admitted, ends, spells.kind, spells.provider, has_died)
    kind = np.full(len(which), TRANSFER, dtype=np.int64)
    second = Spells(spells.person[which], day, spells.discharged[which], kind, other, spells.has_died[which])
    both = Spells(
        *(np.concatenate([getattr(first, name), getattr(second, name)]) for name in Spells.__dataclass_fields__)
    )
    return both.chosen(np.lexsort((both.kind, both.admitted, both.person)))


# ---------------------------------------------------------------------------------------------- kinds of spell


def _emergencies(
    county: County, people: People, conditions: Conditions, flares: Flares, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    ages, rates = EMERGENCIES
    # The curve of age has its highest point at one end of the time anybody is looked at.
    most = np.maximum(*(np.interp(people.age_on(day), ages, rates) for day in (county.first_day, county.last_day)))
    person, day = come(county, people, most * conditions.risk / 1000, rng, winter=0.08)
    age = (day - people.birth_day[person]) / YEAR
    kept = rng.random(len(day)) * most[person] < np.interp(age, ages, rates)
    person, day = person[kept], day[kept]
    kind = np.full(len(person), EMERGENCY, dtype=np.int64)

    severity = conditions.copd_severity[flares.person]
    worse = rng.random(len(flares.person)) < ADMITTED_OF_FLARES[0] + (ADMITTED_OF_FLARES[1] * severity)
    person = np.concatenate([person, flares.person[worse]])
    day = np.concatenate([day, flares.day[worse]])
    kind = np.concatenate([kind, np.full(int(worse.sum()), COPD, dtype=np.int64)])
    discharged = day + _nights(people, conditions, person, day, rng)

    back = np.flatnonzero(rng.random(len(person)) < _COMES_BACK)
    again = discharged[back] + 1 + np.floor(rng.standard_exponential(len(back)) * 9).astype(np.int64)
    until = again + _nights(people, conditions, person[back], again, rng)
    return (
        np.concatenate([person, person[back]]),
        np.concatenate([day, again]),
        np.concatenate([discharged, until]),
        np.concatenate([kind, np.full(len(back), EMERGENCY, dtype=np.int64)]),
    )


def _last_days(
    county: County, people: People, conditions: Conditions, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """Draw the emergency spells of the last months of life, and those in which people die."""
    dying = np.flatnonzero(people.death_day < NEVER)
    death = people.death_day[dying]
    sheltered = (people.care_home[dying] > 0) | conditions.is_palliative[dying]
    at_end = rng.random(len(dying)) < np.where(sheltered, _DIES_IN_HOSPITAL, _DIES_IN_HOSPITAL_FROM_HOME)
    stay = 1 + np.floor(rng.standard_exponential(len(dying)) * 9).astype(np.int64)
    final = dying[at_end]
    earlier = np.repeat(np.arange(len(dying)), rng.poisson(np.where(sheltered, 0.5, 0.9)))
    before = 1 + np.floor(rng.standard_exponential(len(earlier)) * 75).astype(np.int64)
    day = death[earlier] - before
    person = dying[earlier]
    until = np.minimum(day + _nights(people, conditions, person, day, rng), death[earlier] - 1)
    person = np.concatenate([final, person])
    return (
        person,
        np.concatenate([(death - stay)[at_end], day]),
        np.concatenate([death[at_end], np.maximum(until, day)]),
        np.full(len(person), EMERGENCY, dtype=np.int64),
    )


def _planned(
    county: County, people: People, conditions: Conditions, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    age = people.age_on(county.cutoff_days[0])
    relative = np.minimum(np.sqrt(conditions.risk), 3)
    person, day = come(county, people, np.interp(age, *_PLANNED) * relative / 1000, rng)
    day = on_working_days(day)
    stays = rng.random(len(person)) < np.interp(
        people.age_on(county.cutoff_days[0])[person], (0, 50, 80), (0.1, 0.13, 0.18)
    )
    nights = np.where(stays, 1 + np.floor(rng.standard_exponential(len(person)) * 2.2).astype(np.int64), 0)

    # Chemotherapy every three weeks after some cancers; dialysis three times a week for those whose kidneys failed.
    ill = np.flatnonzero((conditions.onset["cancer"] < people.last_day) & (rng.random(people.count) < 0.28))
    cycles, courses = np.arange(6), conditions.onset["cancer"][ill] + rng.integers(30, 90, len(ill))
    failed = np.flatnonzero(
        (conditions.egfr_on(county.cutoff_days[0]) < 13)
        & (conditions.onset["chronic_kidney_disease"] < people.last_day)
        & (age < 82)
        & (rng.random(people.count) < 0.1)
    )
    monday = (county.first_day + 3) // _WEEK * _WEEK - 3
    sessions = np.array([monday + each for each in range(county.last_day - monday + 1) if each % _WEEK in (0, 2, 4)])
    begins = first_days(county, people)[failed] + rng.integers(0, 700, len(failed))
    often, at = np.repeat(failed, len(sessions)), np.tile(sessions, len(failed))
    kept = at >= np.repeat(begins, len(sessions))
    regular = np.concatenate([np.repeat(ill, len(cycles)), often[kept]])
    days = np.concatenate([on_working_days((courses[:, None] + cycles * 21).ravel()), at[kept]])
    return (
        np.concatenate([person, regular]),
        np.concatenate([day, days]),
        np.concatenate([day + nights, days]),
        np.concatenate([np.where(stays, STAY, DAY_CASE), np.full(len(regular), REGULAR)]).astype(np.int64),
    )


def _mothers_and_babies(county: County, people: People, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Ints]:
    """Draw deliveries, the admissions before them, and the birth of those who were born in the county."""
    age = people.age_on(county.cutoff_days[0])
    rate = np.where(people.is_female, np.interp(age, *_DELIVERIES), 0.0) / 1000
    mother, day = come(county, people, rate, rng)
    _, first = np.unique(mother, return_index=True)  # one in the years looked at: two could be too close
    mother, day = mother[first], day[first]
    nights = rng.integers(0, 4, len(mother))
    before = np.flatnonzero(rng.random(len(mother)) < 0.5)
    antenatal = day[before] - rng.integers(3, 120, len(before))
    babies = np.flatnonzero((people.birth_day >= county.first_day) & (people.birth_day <= county.last_day))
    born = people.birth_day[babies]
    return (
        np.concatenate([mother, mother[before], babies]),
        np.concatenate([day, antenatal, born]),
        np.concatenate(
            [day + nights, antenatal + rng.integers(0, 2, len(before)), born + rng.integers(0, 4, len(babies))]
        ),
        np.repeat([DELIVERY, ANTENATAL, BIRTH], [len(mother), len(before), len(babies)]).astype(np.int64),
    )


def _nights(people: People, conditions: Conditions, person: Ints, day: Ints, rng: np.random.Generator) -> Ints:
    """Draw the nights of emergency stays: a third or more are none, and old and frail people stay long."""
    age = (day - people.birth_day[person]) / YEAR
    frail = np.maximum(conditions.frailty[person], 0)
    none = rng.random(len(person)) < np.interp(age, (0, 18, 50, 65, 80, 92), (0.46, 0.46, 0.42, 0.33, 0.24, 0.2))
    mean = np.interp(age, (0, 18, 45, 65, 80, 92), (1.0, 1.8, 3.4, 6.5, 9.0, 10.0)) * (1 + 0.15 * frail)
    return np.where(none, 0, 1 + np.floor(rng.standard_gamma(0.85, len(person)) * mean)).astype(np.int64)


def _winter(day: Ints) -> Floats:
    """Give 1 in the middle of January, -1 in the middle of July: a triangle, as cosines differ between machines."""
    phase = ((day - 14) % YEAR) / YEAR
    height: Floats = 4 * np.abs(phase - 0.5) - 1
    return height
