"""Appointments at the practices of the synthetic county: those that entries in the record tell of, and all the others.

Targets (NHS England, Appointments in General Practice, 2023-24): 5.8 a person and year attended or missed, 4.2 % of
them missed, 65 % face to face, 44 % on the day they were booked. An appointment that was booked when an extract was
taken and has been since is shown as both, one version after the other.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from stratify.synth import columns
from stratify.synth.columns import KNOWN, REPLACES, Floats, Ints
from stratify.synth.conditions import Conditions
from stratify.synth.gp_days import seasonal_days, watched_by, working_days, years_of_history
from stratify.synth.gp_entries import GpRecord

_STATUSES = ("BOOKED", "ATTENDED", "DNA", "CANCELLED_PATIENT", "CANCELLED_UNIT")
_MODES = ("face_to_face", "telephone", "online", "video", "home_visit", None)
_CATEGORIES = (
    "General Consultation Acute",
    "General Consultation Routine",
    "Planned Clinics",
    "Planned Clinical Procedure",
    "Clinical Triage",
    "Structured Medication Review",
    "Home Visit",
    "Care Home Visit",
)
_ROLES = (
    "General Medical Practitioner", "Practice Nurse", "Health Care Assistant", "Advanced Nurse Practitioner",
    "Clinical Pharmacist", "First Contact Physiotherapist", "Paramedic",
)  # fmt: skip
_AHEAD = 42
"""Most days that somebody books ahead."""


def appointment_rows(record: GpRecord, conditions: Conditions) -> pl.DataFrame:
    """Give the rows of ``landing.gp_appointment`` with every version of each."""
    people, rng = record.people, record.rng("appointments")
    count = people.count
    seen, seen_day = _once_a_day(*record.visits())
    kept = (seen_day >= people.start_day[seen]) & (seen_day <= people.last_day[seen]) & ~people.is_test[seen]
    seen, seen_day = seen[kept], seen_day[kept]

    wish = _wish(record, conditions) * rng.gamma(1.6, 1 / 1.6, count)
    others = np.maximum(wish * years_of_history(record) - np.bincount(seen, minlength=count), 0)
    person = np.repeat(np.arange(count), rng.poisson(others))
    day = working_days(seasonal_days(record, rng, len(person), winter=0.1))
    kept = (day >= people.start_day[person]) & (day <= people.last_day[person]) & ~people.is_test[person]
    person, day = person[kept], day[kept]
    ahead, ahead_day = _ahead(record, wish, rng)

    review = np.repeat([True, False, False], [len(seen), len(person), len(ahead)])
    person, day = np.concatenate([seen, person, ahead]), np.concatenate([seen_day, day, ahead_day])
    order = np.lexsort((day, person))
    person, day, review = person[order], day[order], review[order]
    return _rows(record, conditions, person, day, review, rng)


def _wish(record: GpRecord, conditions: Conditions) -> Floats:
    """Give how many appointments a year each person seeks: most when small, old or ill, and women more than men."""
    people, end = record.people, np.minimum(record.people.last_day, record.county.last_day)
    age = people.age_on(end)
    men = np.interp(age, (0, 2, 6, 15, 30, 50, 65, 80, 95), (6.5, 4.6, 2.3, 2.0, 2.5, 3.7, 5.2, 7.4, 8.0))
    women = np.interp(age, (0, 2, 6, 15, 30, 50, 65, 80, 95), (6.3, 4.5, 2.4, 3.0, 5.2, 5.3, 5.8, 7.4, 7.8))
    wish = np.where(people.is_female, women, men) + 1.15 * np.minimum(watched_by(conditions, end), 5)
    wish = wish + 1.2 * (conditions.onset["depression"] < columns.NEVER)
    reached: Floats = wish * (0.68 + 0.68 * people.engagement) * (1 + 0.012 * (5.5 - people.decile))
    return reached


def _ahead(record: GpRecord, wish: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Give who is booked, and for when, after the last day of all."""
    people, last = record.people, record.county.last_day
    here = (people.last_day >= last) & (people.end_day > last) & (people.start_day < last - 14) & ~people.is_test
    person = np.flatnonzero(here & (rng.random(people.count) < wish / 365 * 9))
    return person, working_days(last + 1 + rng.integers(0, _AHEAD - 7, len(person)))


def _rows(
    record: GpRecord, conditions: Conditions, person: Ints, day: Ints, review: columns.Flags, rng: np.random.Generator
) -> pl.DataFrame:
    people, county, count = record.people, record.county, len(person)
    luck = rng.random((5, count))
    # Same day, next day, within a week, within two, later.
    lead = np.array([0, 1, 4, 10, 25])[np.searchsorted((0.6, 0.66, 0.8, 0.9), luck[0], side="right")]
    lead = np.where(review & (lead < 4), 10, lead)
    lead = np.where(lead > 1, lead + rng.integers(0, 1 + lead // 2, count), lead)
    lead = np.minimum(lead, _AHEAD)
    booked_day = working_days(day - lead)
    booked_day = np.minimum(np.maximum(booked_day, people.start_day[person]), day)
    is_ahead = day > county.last_day
    booked_day = np.where(
        is_ahead, np.minimum(booked_day, county.last_day - 2 - rng.integers(0, 10, count)), booked_day
    )

    missed = 0.028 + 0.05 * (1 - people.engagement[person]) * (1.3 - 0.06 * people.decile[person])
    missed = np.where(review, 0.0, missed * np.where(lead > 0, 1.9, 0.75))
    edges = np.stack([missed, missed + 0.035, missed + 0.047])
    place = (luck[1][None, :] > edges).sum(axis=0)
    status = np.array([2, 3, 4, 1])[np.where(review, 3, place)]
    status = np.where(is_ahead, 0, status)

    at_home = conditions.has_deficit("housebound")[person] | (people.care_home[person] > 0)
    shares = np.array([0.6, 0.9, 0.955, 0.96, 0.968])
    mode = np.searchsorted(shares, luck[2], side="right")
    mode = np.where(review, np.where(luck[2] < 0.82, 0, 1), mode)
    mode = np.where(at_home & (luck[2] < 0.45), 4, mode)
    category = np.searchsorted((0.36, 0.66, 0.83, 0.93, 0.98), luck[3], side="right")
    category = np.where(review, 2, category)
    category = np.where(mode == 4, np.where(people.care_home[person] > 0, 7, 6), category)
    role = np.searchsorted((0.47, 0.67, 0.81, 0.89, 0.94, 0.97), luck[4], side="right")
    role = np.where(review, 1 + (luck[4] > 0.7), role)
    role = np.where((role == 2) & (mode != 0), 0, role)
    minutes = np.array([10, 15, 20, 30])[np.searchsorted((0.55, 0.82, 0.95), rng.random(count), side="right")]
    start = rng.integers(8 * 12, 18 * 12, count) * 300
    asked = np.where(
        booked_day == day,
        rng.integers(8 * 3600 - 1800, np.maximum(start, 8 * 3600)),
        rng.integers(8 * 3600, 18 * 3600, count),
    )

    organisation, source = people.record_of(person, np.minimum(day, county.last_day))
    frame = pl.DataFrame(
        {
            "org_code": organisation,
            "source_slot_id": columns.ids(f"A{people.practice.number:03d}", np.arange(count), 8),
            "source_patient_id": source,
            "start_at": columns.moments(day, start),
            "booked_at": columns.moments(booked_day, asked),
            "duration_min": pl.Series(values=minutes),
            "status": columns.picked(_STATUSES, status),
            "mode": columns.picked(_MODES, mode),
            "national_category": columns.picked(_CATEGORIES, category),
            "clinician_role": columns.picked(_ROLES, role),
            "is_deleted": columns.same(False, count),
        }
    )
    booked_known = booked_day + rng.integers(0, 2, count)
    known = np.where(is_ahead, booked_known, np.maximum(day + rng.integers(0, 3, count), booked_known))
    cutoffs = np.array([*county.cutoff_days, columns.NEVER])
    shown = cutoffs[np.searchsorted(cutoffs, booked_known, side="left")]
    before = np.flatnonzero(~is_ahead & (shown < known))  # an extract was taken in between
    again = np.zeros(count, dtype=np.bool_)
    again[before] = True
    first = frame[before].with_columns(
        pl.lit("BOOKED").alias("status"),
        pl.Series(KNOWN, booked_known[before], dtype=pl.Int32),
        pl.lit(False).alias(REPLACES),
    )
    last = frame.with_columns(pl.Series(KNOWN, known, dtype=pl.Int32), pl.Series(REPLACES, values=again))
    return pl.concat([first, last]).filter(pl.col(KNOWN) <= county.last_day)


def _once_a_day(person: Ints, day: Ints) -> tuple[Ints, Ints]:
    """Leave one visit of a person and day."""
    order = np.lexsort((day, person))
    person, day = person[order], day[order]
    kept = np.ones(len(person), dtype=np.bool_)
    kept[1:] = (person[1:] != person[:-1]) | (day[1:] != day[:-1])
    return person[kept], day[kept]
