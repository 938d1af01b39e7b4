"""What practices of the synthetic county prescribe: medicines on repeat by condition and age, and short courses.

Inhalers for COPD and courses for its flare-ups are in ``copd_record``; they go through ``repeat_issues`` too.
Target: 20 items a person and year (NHSBSA, Prescription Cost Analysis 2023/24), most of them of people past 65.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratify.synth import clinical_codes as codes
from stratify.synth.clinical_codes import Medicine
from stratify.synth.columns import NEVER, YEAR, Flags, Floats, Ints
from stratify.synth.conditions import DEFICIT_NAMES, Conditions
from stratify.synth.gp_days import seasonal_days, working_days, years_of_history
from stratify.synth.gp_entries import GpRecord

_AGES = (20, 45, 65, 85)


@dataclass(frozen=True)
class _Habit:
    """Who is on a medicine: the share of those with a condition, and of everybody at the ages of ``_AGES``."""

    medicine: Medicine
    of_condition: dict[str, float]
    by_age: tuple[float, float, float, float] = (0, 0, 0, 0)
    is_as_needed: bool = False


_REPEATS = (
    _Habit(
        codes.ATORVASTATIN,
        {"ischaemic_heart_disease": 0.72, "stroke": 0.65, "type_2_diabetes": 0.55, "chronic_kidney_disease": 0.45},
        (0, 0.05, 0.3, 0.36),
    ),
    _Habit(codes.SIMVASTATIN, {"type_2_diabetes": 0.12, "ischaemic_heart_disease": 0.1}, (0, 0.01, 0.06, 0.08)),
    _Habit(codes.AMLODIPINE, {"hypertension": 0.48}),
    _Habit(codes.RAMIPRIL, {"hypertension": 0.4, "heart_failure": 0.5, "type_2_diabetes": 0.25}),
    _Habit(codes.CANDESARTAN, {"hypertension": 0.17, "heart_failure": 0.2}),
    _Habit(codes.BISOPROLOL, {"heart_failure": 0.65, "atrial_fibrillation": 0.6, "ischaemic_heart_disease": 0.5}),
    _Habit(codes.PROPRANOLOL, {}, (0.02, 0.025, 0.02, 0.01), True),
    _Habit(codes.ASPIRIN, {"ischaemic_heart_disease": 0.5, "stroke": 0.3}, (0, 0, 0.02, 0.05)),
    _Habit(codes.APIXABAN, {"atrial_fibrillation": 0.78}, (0, 0, 0.01, 0.02)),
    _Habit(codes.FUROSEMIDE, {"heart_failure": 0.68}, (0, 0, 0.02, 0.13)),
    _Habit(codes.SPIRONOLACTONE, {"heart_failure": 0.25}),
    _Habit(codes.OMEPRAZOLE, {"ischaemic_heart_disease": 0.4}, (0.06, 0.17, 0.32, 0.38)),
    _Habit(codes.PARACETAMOL, {}, (0.01, 0.03, 0.1, 0.24), True),
    _Habit(codes.CO_CODAMOL, {}, (0.01, 0.045, 0.08, 0.1), True),
    _Habit(codes.CODEINE, {}, (0.008, 0.02, 0.035, 0.04), True),
    _Habit(codes.AMITRIPTYLINE, {}, (0.02, 0.055, 0.08, 0.08)),
    _Habit(codes.CITALOPRAM, {"depression": 0.36}, (0.025, 0.035, 0.03, 0.05)),
    _Habit(codes.FLUOXETINE, {"depression": 0.26}, (0.015, 0.015, 0.01, 0)),
    _Habit(codes.OLANZAPINE, {"severe_mental_illness": 0.6}),
    _Habit(codes.TOLTERODINE, {}, (0, 0.01, 0.04, 0.07)),
    _Habit(codes.CETIRIZINE, {}, (0.035, 0.035, 0.03, 0.02), True),
    _Habit(codes.METFORMIN, {"type_2_diabetes": 0.78}),
    _Habit(codes.GLICLAZIDE, {"type_2_diabetes": 0.2}),
    _Habit(codes.EMPAGLIFLOZIN, {"type_2_diabetes": 0.24, "heart_failure": 0.2}),
    _Habit(codes.SITAGLIPTIN, {"type_2_diabetes": 0.2}),
    _Habit(codes.INSULIN_GLARGINE, {"type_1_diabetes": 0.97, "type_2_diabetes": 0.1}),
    _Habit(codes.INSULIN_ASPART, {"type_1_diabetes": 0.97, "type_2_diabetes": 0.04}),
    _Habit(codes.SALBUTAMOL, {"asthma": 0.72}, is_as_needed=True),
    _Habit(codes.BECLOMETASONE, {"asthma": 0.6}),
)
"""Shares of people on each medicine, near the ages and conditions of English prescribing; choices of ours."""

_SHORT = (
    # Medicine, days of the course, share of short courses, season.
    (codes.ANTIBIOTICS[1], 7, 0.22, 0.6),
    (codes.ANTIBIOTICS[0], 7, 0.09, 0.5),
    (codes.ANTIBIOTICS[2], 7, 0.06, 0.5),
    (codes.FLUCLOXACILLIN, 7, 0.15, -0.2),
    (codes.NITROFURANTOIN, 3, 0.14, 0.0),
    (codes.CO_CODAMOL, 10, 0.12, 0.0),
    (codes.CHLORPHENAMINE, 10, 0.09, -0.5),
    (codes.OMEPRAZOLE, 28, 0.08, 0.0),
    (codes.PREDNISOLONE, 7, 0.05, 0.5),
)
_MOST = 15
"""Most medicines on repeat."""
_POLYPHARMACY = DEFICIT_NAMES.index("polypharmacy")


def write_medicines(record: GpRecord, conditions: Conditions) -> None:
    """Write everybody's issues of repeat medicines and short courses."""
    _write_repeats(record, conditions)
    _write_short_courses(record, conditions)


def repeat_issues(
    record: GpRecord,
    rng: np.random.Generator,
    person: Ints,
    medicines: Sequence[Medicine],
    which: Ints,
    start: Ints,
    stop: Ints,
    *,
    is_as_needed: Flags | None = None,
) -> None:
    """Write issues of repeat medicines from the day each was begun to the day it was ended.

    Everybody orders what they take together, every four or eight weeks, now and then missing a time; what is taken as
    needed comes not much more than half as often.

    Args:
        record: The practice's record.
        rng: The generator of the topic.
        person: Whose.
        medicines: What ``which`` picks from.
        which: Which medicine.
        start: Day it was begun.
        stop: Day it was ended, or ``NEVER``.
        is_as_needed: Which are taken as needed.
    """
    people, first = record.people, record.county.first_day
    habit = record.rng("repeat habits")
    share = habit.uniform(0.7, 1.0)  # of people whom the practice gives four weeks at a time
    every_of = np.where(habit.random(people.count) < share, 28, 56)
    phase = habit.integers(0, 56, people.count)
    begin, end = np.maximum(start, first), np.minimum(stop, people.last_day[person])
    every = every_of[person]
    offset = (phase[person] - (begin - first)) % every
    times = np.maximum((end - begin - offset) // every + 1, 0)
    row = np.repeat(np.arange(len(person)), times)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    taken = 0.86 + 0.12 * people.engagement[person]
    if is_as_needed is not None:
        taken = np.where(is_as_needed, taken * 0.6, taken)
    kept = np.flatnonzero(rng.random(len(row)) < taken[row])
    row, turn = row[kept], turn[kept]
    day = begin[row] + offset[row] + turn * every[row]
    moved = working_days(day + (person[row] * 7 + day) % 5 - 2)
    record.issue(
        person[row],
        np.clip(moved, begin[row], end[row]),
        medicines,
        which[row],
        course_days=every[row],
        kind="repeat",
        stop_day=stop[row],
    )


def _write_repeats(record: GpRecord, conditions: Conditions) -> None:
    people, rng = record.people, record.rng("repeats")
    count, age = people.count, people.age_on(record.county.last_day)
    share = np.zeros((count, len(_REPEATS)))
    onset = np.full((count, len(_REPEATS)), NEVER, dtype=np.int64)
    for column, habit in enumerate(_REPEATS):
        left = 1 - np.interp(age, _AGES, habit.by_age) * (age >= 16)
        for name, of in habit.of_condition.items():
            day = conditions.onset[name]
            left = left * np.where(day < NEVER, 1 - of, 1.0)
            onset[:, column] = np.minimum(onset[:, column], day)
        share[:, column] = 1 - left
    for column in (len(_REPEATS) - 2, len(_REPEATS) - 1):  # inhalers of COPD are written with COPD
        share[conditions.has_copd, column] = 0.0
    # The lower a person's lot for a medicine the surer it is; below 1 they are on it.
    lot = rng.random(share.shape) / np.maximum(share, 0.004)
    lot = np.where(share > 0, lot, 1e9 + rng.random(share.shape))
    wanted, floor = (lot < 1).sum(axis=1), np.minimum(5 + rng.poisson(4.4, count), _MOST)
    is_old, many = age >= 65, conditions.has_deficit("polypharmacy")
    wanted = np.where(
        many, np.maximum(wanted, floor), np.where(is_old, np.minimum(wanted, 3), np.minimum(wanted, _MOST))
    )
    rank = np.argsort(np.argsort(lot, axis=1, kind="stable"), axis=1, kind="stable")
    person, which = np.nonzero(rank < wanted[:, None])
    place = rank[person, which]

    end = people.last_day[person]
    some_time = end - (rng.random(len(person)) ** 1.5 * 12 * YEAR).astype(np.int64)
    begun = onset[person, which]
    start = np.where(begun < NEVER, begun + rng.integers(0, 60, len(person)), some_time)
    poly = conditions.deficit_day[:, _POLYPHARMACY][person]
    start = np.where((poly < NEVER) & (place < 5), np.minimum(start, poly - rng.integers(0, 40, len(person))), start)
    start = np.maximum(start, people.birth_day[person])
    may_stop = (place >= 5) | ~many[person]
    ends = may_stop & (rng.random(len(person)) < 0.12)
    first = record.county.first_day
    stop = np.where(ends, first + rng.integers(60, record.county.last_day - first, len(person)), NEVER)
    as_needed = np.array([habit.is_as_needed for habit in _REPEATS])[which]
    # One of five that make polypharmacy is taken all the time.
    as_needed &= ~(many[person] & (place < 5))
    repeat_issues(
        record, rng, person, [habit.medicine for habit in _REPEATS], which, start, stop, is_as_needed=as_needed
    )


def _write_short_courses(record: GpRecord, conditions: Conditions) -> None:
    people, rng = record.people, record.rng("short courses")
    age = people.age_on(record.county.last_day)
    rate: Floats = np.interp(age, (0, 3, 10, 25, 50, 70, 90), (3.0, 2.6, 1.4, 1.9, 2.5, 2.5, 2.7))
    rate = np.where(conditions.has_deficit("polypharmacy") | (age < 65), rate, rate * 0.3)
    rate = rate * (0.6 + 0.6 * people.engagement) * np.where(people.is_female, 1.15, 0.85)
    person = np.repeat(np.arange(people.count), rng.poisson(rate * years_of_history(record)))
    upto = np.cumsum(np.array([round(100 * share) for _, _, share, _ in _SHORT]))
    which = np.searchsorted(upto, rng.integers(0, upto[-1], len(person)), side="right")
    # Children are given no opioids, stomach medicines or steroids.
    which = np.where((age[person] < 16) & np.isin(which, (1, 5, 7, 8)), 0, which)
    day = np.zeros(len(person), dtype=np.int64)
    for number, (_, _, _, winter) in enumerate(_SHORT):
        mine = which == number
        day[mine] = seasonal_days(record, rng, int(mine.sum()), winter=winter)
    course = np.array([days for _, days, _, _ in _SHORT])[which]
    day = working_days(day)
    kept = day >= people.start_day[person]
    record.issue(
        person[kept], day[kept], [each[0] for each in _SHORT], which[kept], course_days=course[kept], kind="acute"
    )
