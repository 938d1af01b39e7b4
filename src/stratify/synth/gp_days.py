"""Days on which something happens at a practice: seasons, working days, and how often somebody is looked at.

Only days and chances belong here; what is written on them belongs to those who ask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stratify.synth.columns import YEAR, Flags, Floats, Ints
from stratify.synth.conditions import Conditions
from stratify.synth.gp_entries import GpRecord

_HALF_YEAR = 182.625
_WATCHED = (
    "hypertension", "type_1_diabetes", "type_2_diabetes", "non_diabetic_hyperglycaemia", "copd", "stroke",
    "chronic_kidney_disease", "ischaemic_heart_disease", "heart_failure", "atrial_fibrillation",
    "severe_mental_illness",
)  # fmt: skip
"""Conditions whose registers ask for a review every year."""


@dataclass(frozen=True)
class Round:
    """Half a year of everybody's care: a day for each person, and who was seen and looked at on it.

    ``is_full`` is who was seen for the yearly review of diabetes, which measures everything.
    """

    number: int
    day: Ints
    age: Floats
    is_watched: Flags
    is_seen: Flags
    is_full: Flags


def working_days(day: Ints) -> Ints:
    """Move days at a weekend to the Friday before or the Monday after."""
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    moved: Ints = np.where(weekday == 5, day - 1, np.where(weekday == 6, day + 1, day))
    return moved


def next_working_days(day: Ints) -> Ints:
    """Move days at a weekend to the Monday after."""
    weekday = (day + 3) % 7
    moved: Ints = np.where(weekday >= 5, day + 7 - weekday, day)
    return moved


def seasonal_days(record: GpRecord, rng: np.random.Generator, count: int, *, winter: float = 0.0) -> Ints:
    """Draw days of the detailed history, more of them in winter.

    Args:
        record: The practice's record.
        rng: The generator of the topic.
        count: How many.
        winter: 0 for no season to 1 for next to nothing in July.
    """
    days = np.arange(record.county.first_day, record.county.last_day + 1)
    # Whole numbers, so that every machine draws the same days; the middle of January is day 15 of a year.
    weights = np.rint(1000 * (1 + winter * np.cos(2 * np.pi * ((days - 15) % YEAR) / YEAR))).astype(np.int64)
    upto = np.cumsum(weights)
    drawn: Ints = days[np.searchsorted(upto, rng.integers(0, upto[-1], count), side="right")]
    return drawn


def years_of_history(record: GpRecord) -> float:
    """Give how many years the detailed history lasts, weekly extracts included."""
    return (record.county.last_day - record.county.first_day + 1) / YEAR


def watched_by(conditions: Conditions, day: Ints) -> Ints:
    """Count the conditions each person has by a day that ask for a yearly review."""
    count: Ints = np.sum([conditions.onset[name] <= day for name in _WATCHED], axis=0, dtype=np.int64)
    return count


def draw_rounds(record: GpRecord, conditions: Conditions) -> list[Round]:
    """Draw when everybody is looked at: two rounds a year; most of the healthy are missed in most of them.

    Those who seldom come are looked at least, whatever they have: who is missing is not missing at random.
    """
    people, county, rng = record.people, record.county, record.rng("rounds")
    effort = rng.uniform(0.88, 1.12)  # some practices call people in, others wait
    phase = rng.integers(0, int(_HALF_YEAR), people.count)
    everybody = np.arange(people.count)
    rounds = []
    for number in range(int(np.ceil((county.last_day - county.first_day) / _HALF_YEAR))):
        moved = rng.integers(-20, 21, people.count)
        day = working_days(county.first_day + phase + moved + round(number * _HALF_YEAR))
        age = people.age_on(day)
        count = watched_by(conditions, day)
        chance = np.interp(age, (0, 15, 17, 40, 65, 85), (0.0, 0.01, 0.33, 0.46, 0.66, 0.76))
        chance = chance + np.array([0.0, 0.3, 0.36, 0.4])[np.minimum(count, 3)]
        chance = np.minimum(chance * effort * (0.12 + 1.35 * people.engagement), 0.95)
        seen = rng.random(people.count) < chance
        diabetic = np.minimum(conditions.onset["type_1_diabetes"], conditions.onset["type_2_diabetes"]) <= day
        diabetic &= (everybody + number) % 2 == 0  # in the first or in the second half of each year
        full = diabetic & (seen | (rng.random(people.count) < 0.15 + 0.45 * people.engagement))
        here = (day >= people.start_day) & (day >= county.first_day) & (day <= people.last_day)
        rounds.append(Round(number, day, age, count > 0, (seen | full) & here, full & here))
    return rounds
