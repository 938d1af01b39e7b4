"""The people of the synthetic county: who they are, where they live, where and when they are registered, when they die.

No illness and no care belongs here; deaths take a risk from whoever knows the illnesses. Rows of ``landing.patient``
and ``landing.registration`` are made in ``registry``. Everything is drawn per practice from generators of its own.

Sources: ages and sexes ONS, mid-2023 population estimates for England; ethnic groups ONS, Census 2021, and their
share in deprived areas (Ethnicity facts and figures, people living in deprived neighbourhoods); smoking ONS, Adult
smoking habits in the UK 2023, and GP records; deaths by age and sex ONS, Deaths registered in England and Wales 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from stratify.synth import chance
from stratify.synth.columns import NEVER, YEAR, Flags, Floats, Ints, gathered, ids, picked
from stratify.synth.places import Practice, areas_of, code_of, merger_of

if TYPE_CHECKING:
    from stratify.synth.conditions import Conditions
    from stratify.synth.world import County

_AGES = np.array((0, 5, 15, 25, 35, 45, 52, 58, 65, 70, 76, 80, 85, 90, 95, 100), dtype=np.float64)
_PEOPLE_OF_AGE = np.array(
    (1.02, 1.16, 1.20, 1.26, 1.38, 1.26, 1.36, 1.38, 1.10, 0.94, 0.95, 0.63, 0.42, 0.23, 0.08, 0.015)
)
"""People of one year of age, in percent of all (ONS mid-2023)."""
_FEMALE_AGES, _FEMALE = (0, 20, 40, 65, 75, 85, 95), (0.487, 0.49, 0.513, 0.515, 0.53, 0.59, 0.72)

_DEATH_AGES = np.array((0, 1, 15, 20, 30, 40, 50, 60, 70, 80, 87, 92, 97, 105), dtype=np.float64)
_DEATHS = np.array(
    (
        (3.9, 0.11, 0.25, 0.50, 0.80, 1.55, 3.5, 8.1, 18.5, 49.0, 122.0, 205.0, 320.0, 450.0),
        (3.2, 0.09, 0.12, 0.20, 0.38, 0.90, 2.2, 5.2, 12.2, 35.0, 96.0, 172.0, 290.0, 430.0),
    )
)
"""Deaths of 1,000 men, and women, of an age in a year (ONS 2023)."""
_FORESEEN = 730
"""Days after the last day in which a coming death is drawn too, as those near their end are known to be."""

ETHNIC = ("A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "Z", "99")
"""Ethnic categories (2001, 16+1): nobody is Z (not stated) or 99 (not known), which records say of some."""
_ETHNIC_AFFLUENT = np.array((80.0, 1, 6.5, 0.6, 0.3, 0.7, 0.7, 3.4, 1.1, 0.4, 1.3, 0.6, 1.2, 0.3, 1.0, 1.4))
_ETHNIC_DEPRIVED = np.array((63.0, 0.8, 7.0, 1.3, 0.7, 0.7, 0.9, 2.6, 6.2, 2.6, 2.2, 2.0, 5.0, 1.2, 0.6, 3.0))

_JOINS_A_YEAR = 0.085
"""Share of people who joined their practice in the last year, of those born before it."""
_MOVES = (0, 10, 17, 20, 25, 32, 42, 55, 70, 90), (1.1, 0.7, 0.9, 2.2, 2.4, 1.7, 1.0, 0.55, 0.4, 0.5)
"""How much more often people of an age move than all do: ages and factors."""
_LEFT_BEFORE = 0.035
_LEAVES_A_YEAR = 0.05
_BORN_A_YEAR = 0.0102
_STAYS_IN_COUNTY = 0.4
_LEFT_SINCE = 700
"""Days before the first extract in which those left whose records it still holds."""


@dataclass
class People:
    """The people whose first practice in the county is one practice; one element a person, days are from 1970.

    Attributes:
        practice: Their practice.
        birth_day: Day of birth.
        is_female: Sex.
        area: Position of the small area in ``places.areas_of``.
        ethnic: Position in ``ETHNIC``.
        smoking: 0 never, 1 ex, 2 current.
        start_day: First day registered there.
        end_day: First day no longer registered there: moved, left, or the practice knows of the death.
        moved_to: Number of the practice of the county that they moved to, else -1.
        is_temporary: Registered for a time only.
        is_test: A test record and no person.
        has_number: Has an NHS number.
        engagement: 0 to 1: how much a person consults and is measured.
        last_day: Last day of records: of death, of leaving the county, or of the county.
        death_day: Day of death.
        gp_knows_death: Whether the practice knows of it.
        care_home: 0 none, 1 nursing, 2 residential, 3 not known which.
        care_home_since: First day there.
    """

    practice: Practice
    numbers: pl.Series
    birth_day: Ints
    is_female: Flags
    area: Ints
    ethnic: Ints
    smoking: Ints
    start_day: Ints
    end_day: Ints
    moved_to: Ints
    is_temporary: Flags
    is_test: Flags
    has_number: Flags
    engagement: Floats
    last_day: Ints
    death_day: Ints = field(init=False)
    gp_knows_death: Flags = field(init=False)
    care_home: Ints = field(init=False)
    care_home_since: Ints = field(init=False)

    def __post_init__(self) -> None:
        """Nobody has died and nobody lives in a care home until somebody says so."""
        self.death_day = np.full(self.count, NEVER, dtype=np.int64)
        self.gp_knows_death = np.zeros(self.count, dtype=np.bool_)
        self.care_home = np.zeros(self.count, dtype=np.int64)
        self.care_home_since = np.full(self.count, NEVER, dtype=np.int64)

    @property
    def count(self) -> int:
        """How many people."""
        return len(self.birth_day)

    @cached_property
    def decile(self) -> Ints:
        """Deprivation decile (2019) of the home, 1 is most deprived."""
        return areas_of(self.practice).decile_2019[self.area]

    @cached_property
    def poverty(self) -> Floats:
        """0 in the least deprived tenth of areas to 1 in the most deprived."""
        return (10 - self.decile) / 9

    def age_on(self, day: int | Ints, person: Ints | None = None) -> Floats:
        """Give ages in years on a day, or on a day each; below 0 before birth.

        Args:
            day: The day, or one for everybody, or one for each of ``person``.
            person: Whose; everybody's where not given.
        """
        born = self.birth_day if person is None else self.birth_day[person]
        return np.asarray((day - born) / YEAR, dtype=np.float64)

    def record_of(self, person: Ints, day: Ints) -> tuple[pl.Series, pl.Series]:
        """Give practice and patient id that hold an entry: from the day of a move the new practice's."""
        moved = (self.moved_to[person] >= 0) & (day >= self.end_day[person])
        place = np.where(moved, self.moved_to[person], self.practice.number)
        codes = [code_of(number) for number in range(int(place.max(initial=-1)) + 1)]
        own, later = self._patient_ids
        return picked(codes, place), gathered(pl.concat([own, later]), person + np.where(moved, self.count, 0))

    def number_of(self, person: Ints) -> pl.Series:
        """Give NHS numbers; empty for those who have none."""
        return gathered(self._known_numbers, person)

    @cached_property
    def _known_numbers(self) -> pl.Series:
        everybody = np.where(self.has_number, np.arange(self.count), self.count)
        return pl.concat([self.numbers, pl.Series(values=[None], dtype=pl.String)], rechunk=True).gather(everybody)

    @cached_property
    def _patient_ids(self) -> tuple[pl.Series, pl.Series]:
        """Give the ids at the first practice, and those at the practice moved to, told apart from its own."""
        everybody = np.arange(self.count)
        return ids("", everybody + 1, 6), ids(f"M{self.practice.number:03d}", everybody, 6)


def reserved_nhs_numbers(count: int, seed: int) -> pl.Series:
    """Give different valid NHS numbers that were never issued to anybody, in random order.

    Up to about 909,000 are all of the range 999 000 0000 to 999 999 9999; more come from 900 000 0000 to 998 999 9999.
    """
    rng = chance.generator(seed, chance.WHOLE_COUNTY, "nhs numbers")
    # Without 999 999 999(9), which systems write for "many matches".
    nines = _valid_numbers(np.arange(999_000_000, 999_999_999, dtype=np.int64))
    if count > len(nines):
        further = np.unique(rng.integers(900_000_000, 998_999_999, round((count - len(nines)) * 1.2) + 1_000))
        others = rng.permutation(_valid_numbers(further))[: count - len(nines)]
        nines = np.concatenate([nines, others])
    return pl.Series(values=rng.permutation(nines)[:count]).cast(pl.String)


def _valid_numbers(stems: Ints) -> Ints:
    """Put the check digit (modulus 11) to nine digits each; those that have none are left out."""
    total = np.zeros(len(stems), dtype=np.int64)
    for place in range(9):
        total += (stems // 10**place) % 10 * (place + 2)
    check = (11 - total % 11) % 11
    numbers: Ints = (stems * 10 + check)[check != 10]
    return numbers


def make_people(county: County, practice: Practice, numbers: pl.Series) -> People:
    """Draw the people of one practice, one for each NHS number given.

    They are as they would be on the first extract, with those who are born, join and leave in the weeks after it and
    some who left before.

    Args:
        county: The county.
        practice: Where they are, or were first, registered.
        numbers: Their NHS numbers.
    """
    count, rng = len(numbers), county.generator(practice, "people")
    first, last = county.cutoff_days[0], county.last_day
    areas = areas_of(practice)
    area = rng.integers(0, len(areas.code_2011), count)
    poverty = (10 - areas.decile_2019[area]) / 9

    age, is_female = _ages(county, practice, count, rng)
    birth_day = np.minimum(first - np.floor(age * YEAR).astype(np.int64), last_joining_day(county, practice))

    deprived = np.clip((poverty * 9 - 2) / 6, 0, 1)[:, None]
    share = _ETHNIC_AFFLUENT * (1 - deprived) + _ETHNIC_DEPRIVED * deprived
    share[:, 0] *= np.interp(age, (0, 15, 50, 70), (0.75, 0.85, 1.1, 2.2))
    ethnic = _position(share, rng.random(count))

    luck = rng.random(count)
    smokes = np.interp(age, (15, 17, 22, 30, 50, 64, 68, 80), (0, 0.05, 0.11, 0.155, 0.15, 0.135, 0.12, 0.07))
    smokes = smokes * (0.5 + poverty) * np.where(is_female, 0.86, 1.14)
    smoked = np.interp(age, (16, 25, 40, 60, 80), (0, 0.06, 0.19, 0.27, 0.34)) * np.where(is_female, 0.88, 1.12)
    smoking = np.where(luck < smokes, 2, np.where(luck < smokes + smoked, 1, 0))

    start_day, end_day, moved_to, is_temporary = _registrations(county, practice, birth_day, rng)
    is_test = np.zeros(count, dtype=np.bool_)
    is_test[rng.permutation(np.flatnonzero(birth_day < first))[: max(1, count // 1500)]] = True
    has_number = (rng.random(count) >= 0.003) | (moved_to >= 0) | is_test

    base = 0.72 - 0.14 * poverty - 0.1 * np.isin(ethnic, (2, *range(3, 7), *range(8, 16)))
    engagement = np.clip(base + rng.normal(0, 0.16, count) + 0.05 * is_female, 0.05, 1.0)
    people = People(
        practice=practice,
        numbers=numbers,
        birth_day=birth_day,
        is_female=is_female,
        area=area,
        ethnic=ethnic,
        smoking=smoking,
        start_day=start_day,
        end_day=end_day,
        moved_to=moved_to,
        is_temporary=is_temporary,
        is_test=is_test,
        has_number=has_number,
        engagement=np.round(engagement, 6),
        last_day=np.where((moved_to < 0) & (end_day < NEVER), np.minimum(end_day, last), last),
    )
    return people


def draw_deaths(county: County, people: People, conditions: Conditions) -> None:
    """Decide who dies from the first day of detailed history on, and end their records there.

    Deaths follow age, sex and the hazard of the conditions. They are drawn for two years more than the county is shown:
    whoever is known to be near the end has palliative care, before or after the last day.

    Args:
        county: The county.
        people: Changed in place: death, care home, last day.
        conditions: Changed in place: palliative care, and nothing begins after a death.
    """
    rng = county.generator(people.practice, "deaths")
    count = people.count
    begin = np.maximum(np.maximum(people.start_day, people.birth_day), county.first_day) + 1
    until = county.last_day + _FORESEEN
    # Whoever left cannot be followed; who has no NHS number is told of by nobody.
    left = (people.end_day < NEVER) & (people.moved_to < 0)
    can_die = ~people.is_test & ~people.is_temporary & people.has_number & ~left
    fate = rng.standard_exponential(count)
    within = rng.random(count)
    death = np.full(count, NEVER, dtype=np.int64)
    total = np.zeros(count)
    step = 91
    for day in range(county.first_day, until, step):
        since, end = np.maximum(begin, day), min(day + step, until)
        span = np.maximum(end - since, 0)
        rate = death_rate(people, day + step // 2) * conditions.hazard_on(day + step // 2) * _season(day + step // 2)
        total = np.round(total + rate * span / YEAR, 9)
        dies = can_die & (death == NEVER) & (span > 0) & (total > fate)
        death = np.where(dies, since + np.floor(within * span).astype(np.int64), death)

    conditions.foresee(people, death, rng)
    dies = death <= county.last_day
    people.death_day = np.where(dies, death, NEVER)
    people.gp_knows_death = dies & (rng.random(count) < 0.9)
    people.last_day = np.where(dies, death, people.last_day)
    stayed = dies & (people.end_day >= death)
    people.moved_to = np.where(stayed, -1, people.moved_to)
    people.end_day = np.where(stayed, np.where(people.gp_knows_death, death, NEVER), people.end_day)


def _season(day: int) -> float:
    """Give how many more die in that part of the year: about a quarter more in January than in July (ONS)."""
    phase = ((day - 14) % YEAR) / YEAR
    return 1 + 0.12 * (4 * abs(phase - 0.5) - 1)


def death_rate(people: People, day: int) -> Floats:
    """Give the deaths in a year of people of that age and sex, as a share."""
    age = people.age_on(day)
    men, women = (np.interp(age, _DEATH_AGES, np.log(row)) for row in _DEATHS)
    return np.where(age < 0, 0.0, np.exp(np.where(people.is_female, women, men)) / 1000)


def last_joining_day(county: County, practice: Practice) -> int:
    """Give the last day on which somebody can join a practice: nobody joins one that is no more."""
    merger = merger_of(county)
    closes = merger is not None and merger.closing.number == practice.number
    return merger.day - 1 if merger is not None and closes else county.last_day


def _ages(county: County, practice: Practice, count: int, rng: np.random.Generator) -> tuple[Floats, Flags]:
    """Draw ages on the first extract, below 0 for those born after it, and sexes.

    People who die in the years before the extract are among them: there must have been more of an age than are left.
    """
    weeks = (county.last_day - county.cutoff_days[0]) / YEAR
    single = np.arange(0, 105) + 0.5
    alive = np.interp(single, _AGES, _PEOPLE_OF_AGE, right=0.001)
    tilt = np.exp(0.0026 * (practice.mean_decile - 5.5) * (single - 40))
    gone = np.interp(single, _DEATH_AGES, _DEATHS.mean(axis=0)) / 1000
    before = min(county.order.history_years, 6)
    # Some joined within those years: they are here because they did not die elsewhere.
    was = alive * tilt * np.exp(gone * before * 0.84 * (1 - 0.04 * weeks))
    # Some left before the extract, and some join after it.
    away = np.interp(single, *_MOVES) * (_JOINS_A_YEAR * weeks + _LEFT_BEFORE * (1 - _STAYS_IN_COUNTY))
    was = was / (1 - away)
    unborn = _BORN_A_YEAR * weeks * was.sum()
    share = np.cumsum(np.concatenate([[unborn], was]))
    place = np.searchsorted(np.round(share / share[-1], 9), rng.random(count), side="right")
    place = np.minimum(place, len(single))
    within = rng.random(count)
    age = np.where(place == 0, -within * weeks, place - 1 + within)
    is_female = rng.random(count) < np.interp(age, _FEMALE_AGES, _FEMALE)
    return np.asarray(age, dtype=np.float64).round(6), is_female


def _registrations(
    county: County, practice: Practice, birth_day: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Flags]:
    """Draw when people joined and left, where they moved within the county, and who is there for a time only."""
    count, first, last = len(birth_day), county.cutoff_days[0], county.last_day
    years = (last - first) / YEAR
    merger, until = merger_of(county), last_joining_day(county, practice)
    moves = np.interp((first - birth_day) / YEAR, *_MOVES)
    luck = rng.random((count, 4))
    recent = luck[:, 0] < _JOINS_A_YEAR * moves
    tenure = np.where(recent, 1 + luck[:, 1] * 364, 366 + luck[:, 1] ** 1.5 * 25 * YEAR)
    start = first - tenure.astype(np.int64)
    joins_later = luck[:, 2] < _JOINS_A_YEAR * years * moves
    start = np.where(joins_later, first + 1 + np.floor(luck[:, 3] * (until - first)).astype(np.int64), start)
    start = np.maximum(start, birth_day + np.where(birth_day > first - 400, rng.integers(0, 30, count), 0))
    start = np.minimum(start, until)

    is_temporary = (rng.random(count) < 0.005) & (birth_day < first - 400)
    visit = first - 79 + np.floor(rng.random(count) * (until - first + 79)).astype(np.int64)
    start = np.where(is_temporary, visit, start)
    stay = rng.integers(20, 120, count)

    luck = rng.random((count, 3))
    left_before = luck[:, 0] < _LEFT_BEFORE * moves
    leaves_later = luck[:, 0] > 1 - _LEAVES_A_YEAR * years * moves
    leaves = (left_before | leaves_later) & ~is_temporary & (first - start > 200)
    end = np.where(
        left_before,
        first - 5 - np.floor(luck[:, 1] * (_LEFT_SINCE - 5)).astype(np.int64),
        first + 1 + np.floor(luck[:, 1] * (last - first)).astype(np.int64),
    )
    end = np.maximum(end, start + 100)
    end = np.where(leaves & (end <= last), end, NEVER)
    end = np.where(is_temporary & (start + stay <= until) & (years > 0), start + stay, end)

    others = [each for each in range(len(county.practices)) if each != practice.number]
    if merger is not None:
        others = [each for each in others if each != merger.closing.number]
    stays = leaves & (end < NEVER) & (luck[:, 2] < _STAYS_IN_COUNTY) & bool(others)
    target = np.array(others or [practice.number])[rng.integers(0, max(1, len(others)), count)]
    moved_to = np.where(stays, target, -1)
    if merger is not None and merger.closing.number == practice.number:
        remains = end >= merger.day
        end = np.where(remains, merger.day, end)
        moved_to = np.where(remains, merger.successor.number, moved_to)
    return start, end, moved_to, is_temporary


def _position(share: Floats, luck: Floats) -> Ints:
    """Pick a column for each row by its shares."""
    cumulative = np.cumsum(share, axis=1)
    cumulative = np.round(cumulative / cumulative[:, -1:], 9)
    position: Ints = np.minimum((luck[:, None] >= cumulative).sum(axis=1), share.shape[1] - 1).astype(np.int64)
    return position
