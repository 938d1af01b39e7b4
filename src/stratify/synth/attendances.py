"""Emergency department and outpatient attendances of the synthetic county.

Rates follow the Hospital Accident and Emergency Activity 2023-24 and the Hospital Outpatient Activity (NHS England);
``england.yaml`` holds what they are compared with. Admissions belong to ``spells`` and ``hospital``; contacts of
community services to ``contacts``.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from stratify.synth import hospital_codes as codes
from stratify.synth.columns import KNOWN, NEVER, REPLACES, Flags, Floats, Ints, days, ids, known, moments, picked, same
from stratify.synth.conditions import Conditions
from stratify.synth.population import People
from stratify.synth.spells import (
    COPD,
    DELIVERY,
    PROVIDERS,
    Spells,
    come,
    first_days,
    on_working_days,
    provider_of_each,
)
from stratify.synth.versions import FOR_GOOD, are_shown, known_after
from stratify.synth.world import County

_SENT_HOME = (
    (0, 1, 3, 9, 16, 22, 35, 50, 65, 75, 85, 95),
    (1290, 1000, 745, 370, 430, 520, 435, 345, 295, 385, 540, 620),
)
"""Attendances without admission per 1,000 people a year by age."""
_CLINICS = ((0, 5, 16, 25, 40, 55, 70, 80, 90), (1550, 1150, 1150, 1600, 1850, 2450, 3950, 4100, 2700))
"""Outpatient appointments per 1,000 people a year by age, attended or not."""

_SPECIALTIES = ("100", "110", "120", "130", "300", "320", "330", "502", "301", "101", "340", "307", "361", "370", "560")
_PLAIN = 10
_CHEST, _SUGAR, _KIDNEY, _CANCER, _MIDWIFE = range(_PLAIN, 15)


def ed_rows(
    county: County, people: People, conditions: Conditions, admitted: Spells, is_elsewhere: Flags
) -> pl.DataFrame:
    """Give the rows of ``ed_attendance``.

    Args:
        county: The county.
        people: The practice's people.
        conditions: What is wrong with them.
        admitted: The spells that began in an emergency department.
        is_elsewhere: Which of those began in the department of another trust.
    """
    rng = county.generator(people.practice, "emergency department")
    age = people.age_on(county.cutoff_days[0])
    # Few people come often; some of them for years.
    often = rng.gamma(1.2, 1 / 1.2, people.count) * np.minimum(np.sqrt(conditions.risk), 4)
    often *= np.where(conditions.onset["severe_mental_illness"] < county.first_day, 2.5, 1.0)
    person, day = come(county, people, np.interp(age, *_SENT_HOME) * np.round(often, 6) / 1000, rng, winter=-0.03)
    home = len(person)
    is_admitted = np.arange(home + len(admitted)) >= home
    provider = np.concatenate(
        [
            provider_of_each(county, people.practice, home, rng),
            (admitted.provider + is_elsewhere) % len(PROVIDERS),
        ]
    )
    is_copd = np.concatenate([np.zeros(home, dtype=np.bool_), admitted.kind == COPD])
    person, day = np.concatenate([person, admitted.person]), np.concatenate([day, admitted.admitted])
    count = len(person)
    # More come by day than by night: the middle of two hours drawn, and any hour for a third.
    hour = np.where(
        rng.random(count) < 0.35,
        rng.integers(0, 24, count),
        (rng.integers(8, 24, count) + rng.integers(8, 24, count)) // 2,
    )
    second = hour * 3600 + rng.integers(0, 60, count) * 60
    stay = rng.integers(45, 330, count) + np.where(is_admitted, rng.integers(30, 500, count), 0)
    leaves = second + stay * 60
    old = people.age_on(county.cutoff_days[0])[person] > 70
    ambulance = rng.random(count) < np.where(is_admitted | old, 0.6, 0.15)
    minor = ~is_admitted & (rng.random(count) < 0.33)
    luck = rng.random((count, 5))
    complaint = np.where(is_copd, 0, (luck[:, 0] * len(codes.ED_COMPLAINTS)).astype(np.int64))
    diagnosis = np.where(luck[:, 1] < 0.25, 1 + (luck[:, 2] * (len(codes.ED_DIAGNOSES) - 1)).astype(np.int64), -1)
    frame = pl.DataFrame(
        {
            "provider_code": picked(PROVIDERS, provider),
            "attendance_id": ids("A", people.practice.number * 10**7 + np.arange(count), 12),
            "nhs_number": people.number_of(person),
            "nhs_number_status": _status(people, person, 0.04, luck[:, 3]),
            "arrival_at": moments(day, second),
            "arrival_mode": picked(
                (codes.ED_OWN_TRANSPORT.code, codes.ED_BY_AMBULANCE.code), ambulance.astype(np.int64)
            ),
            "attendance_category": picked(("1", "2"), (~is_admitted & (luck[:, 4] > 0.95)).astype(np.int64)),
            "department_type": picked(("01", "03"), minor.astype(np.int64)),
            "chief_complaint": picked([each.code for each in codes.ED_COMPLAINTS], complaint),
            "diagnosis_01": picked([each.code for each in codes.ED_DIAGNOSES], np.where(is_copd, 0, diagnosis)),
            "departure_at": moments(day, leaves),
            "discharge_status": same(codes.ED_TREATMENT_COMPLETE.code, count),
            "discharge_destination": picked(
                (codes.ED_DISCHARGED_HOME.code, codes.ED_TO_WARD.code), is_admitted.astype(np.int64)
            ),
            "is_sdec": pl.Series(values=~is_admitted & ~minor & (rng.random(count) < 0.06)),
            "is_deleted": same(False, count),
        }
    )
    shown = known_after(day + leaves // 86_400, 1, 9, rng)
    return _withdrawn_later(county, frame, shown, rng)


def op_rows(county: County, people: People, conditions: Conditions, spells: Spells) -> pl.DataFrame:
    """Give the rows of ``op_attendance``.

    Args:
        county: The county.
        people: The practice's people.
        conditions: What is wrong with them.
        spells: Their hospital spells; midwives see women before a delivery.
    """
    rng = county.generator(people.practice, "outpatients")
    age = people.age_on(county.cutoff_days[0])

    def ill(name: str) -> Floats:
        return (conditions.onset[name] < people.last_day).astype(np.float64)

    reasons = (
        (
            np.interp(age, *_CLINICS) / 1000 * np.minimum(conditions.risk, 4) ** 0.25,
            -1,
        ),
        (0.7 * ill("copd"), _CHEST),
        (0.4 * ill("type_2_diabetes") + 2.0 * ill("type_1_diabetes"), _SUGAR),
        (0.5 * ill("chronic_kidney_disease"), _KIDNEY),
        (2.0 * ill("cancer"), _CANCER),
    )
    drawn = [(*come(county, people, np.round(rate, 6), rng), where) for rate, where in reasons]
    mothers = np.flatnonzero(spells.kind == DELIVERY)
    person = np.concatenate([*(each[0] for each in drawn), np.repeat(spells.person[mothers], 7)])
    before = np.tile(np.array([210, 150, 120, 90, 60, 30, 10]), len(mothers))
    day = np.concatenate([*(each[1] for each in drawn), np.repeat(spells.admitted[mothers], 7) - before])
    where = np.repeat([*(each[2] for each in drawn), _MIDWIFE], [*(len(each[0]) for each in drawn), len(before)])
    day = on_working_days(day)
    kept = (day >= first_days(county, people)[person]) & (day <= people.last_day[person])
    person, day, where = person[kept], day[kept], where[kept]
    count = len(person)
    luck = rng.random((count, 4))
    missed = np.clip(0.082 - 0.0055 * (people.decile[person] - 1) + 0.04 * (0.6 - people.engagement[person]), 0.02, 0.2)
    states = np.stack([np.full(count, 0.062), np.full(count, 0.125), np.full(count, 0.13), 0.13 + missed], axis=1)
    state = (luck[:, [0]] > states).sum(axis=1)
    first = luck[:, 1] < 0.3
    remote = luck[:, 2] < 0.2
    referred = np.where(first, np.maximum(day - rng.integers(14, 280, count), people.birth_day[person]), NEVER)
    specialty = np.where(where < 0, rng.integers(0, _PLAIN, count), where)
    frame = pl.DataFrame(
        {
            "provider_code": picked(PROVIDERS, provider_of_each(county, people.practice, count, rng)),
            "attendance_id": ids("O", people.practice.number * 10**8 + np.arange(count), 13),
            "nhs_number": people.number_of(person),
            "nhs_number_status": _status(people, person, 0.02, luck[:, 3]),
            "appointment_date": days(day),
            "attended": picked(("2", "4", "7", "3", "5", "6"), np.where((state == 4) & (luck[:, 3] > 0.96), 5, state)),
            "first_attendance": picked(("2", "1", "4", "3"), first.astype(np.int64) + 2 * remote),
            "treatment_function": picked(_SPECIALTIES, specialty),
            "outcome": picked(("1", "2"), (rng.random(count) < 0.65).astype(np.int64)),
            "referral_date": days(referred),
            "is_deleted": same(False, count),
        }
    )
    return _withdrawn_later(county, frame, known_after(day, 18, 46, rng), rng)


def _status(people: People, person: Ints, untraced: float, luck: Floats) -> pl.Series:
    numbered = people.has_number[person]
    return picked(("01", "02", "07"), np.where(numbered, (luck < untraced).astype(np.int64), 2))


def _withdrawn_later(county: County, frame: pl.DataFrame, shown: Ints, rng: np.random.Generator) -> pl.DataFrame:
    """Give the rows with the day each is known, and a few of them once more: withdrawn by the source weeks later."""
    withdrawn = rng.random(len(shown)) < 0.002
    gone = np.where(withdrawn, shown + rng.integers(7, 60, len(shown)), FOR_GOOD)
    kept = np.flatnonzero(are_shown(county, shown, gone))
    again = np.flatnonzero(withdrawn & are_shown(county, gone, np.full(len(gone), FOR_GOOD)))
    row = np.concatenate([kept, again])
    is_second = np.arange(len(row)) >= len(kept)
    return frame[pl.Series(values=row)].with_columns(
        pl.Series(values=is_second).alias("is_deleted"),
        known(np.where(is_second, gone[row], shown[row])).alias(KNOWN),
        pl.Series(values=is_second).alias(REPLACES),
    )
