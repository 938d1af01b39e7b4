"""Opt-outs and clinic sessions of the synthetic county: what is neither a person nor care."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from stratify.synth.columns import KNOWN, NEVER, REPLACES, Flags, Ints, days, known, moments, picked, same
from stratify.synth.places import merger_of

if TYPE_CHECKING:
    from stratify.synth.places import Practice
    from stratify.synth.population import People
    from stratify.synth.world import County

_CLINICS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], int], ...] = (
    # Clinic, roles every session has, roles only some practices have, minutes for one person.
    ("copd_clinic", ("respiratory_nurse", "respiratory_physiotherapist"), ("pharmacist", "gp"), 40),
    ("frailty_clinic", ("geriatrician", "advanced_nurse_practitioner"),
     ("pharmacist", "physiotherapist", "social_worker"), 60),
    ("care_home_round", ("gp", "care_home_lead_nurse"), (), 20),
    ("palliative_review", ("gp", "palliative_nurse"), (), 45),
    ("diabetes_meeting", ("diabetologist", "diabetes_specialist_nurse", "gp", "pharmacist"), (), 10),
    ("diabetes_specialist", ("diabetologist", "diabetes_specialist_nurse"), (), 30),
    ("diabetes_gp_pharmacist", ("gp", "pharmacist"), (), 20),
    ("diabetes_pharmacist", ("pharmacist",), (), 20),
    ("diabetes_nurse", ("practice_nurse",), (), 30),
    ("diabetes_checks", ("healthcare_assistant",), (), 20),
    ("diabetes_peer_support", ("peer_educator",), (), 60),
    ("peer_education", ("peer_educator",), (), 60),
    ("prevention_programme", ("health_coach",), (), 60),
    ("community_matron", ("community_matron",), (), 60),
)  # fmt: skip
_MISSING_CLINIC = "copd_clinic"
"""The last of several practices has none: its people wait, which is an ordinary gap and no fault of the data."""

_NATIONAL_SHARE, _TYPE1_SHARE = 0.052, 0.046
_CHANGES_A_YEAR = 0.01
_SIX_IN_THE_MORNING = 6 * 3600
_GOOD_FOR = 7

_CAPACITY = {
    "clinic_id": pl.String, "practice_code": pl.String, "clinic_date": pl.Date, "role": pl.String, "slots": pl.Int64,
    "minutes_per_slot": pl.Int64, "venue": pl.String, KNOWN: pl.Int32,
}  # fmt: skip


def opt_out_rows(county: County, people: People) -> pl.DataFrame:
    """Give the versions of the rows of ``landing.opt_out`` of one practice's people.

    Everybody with an NHS number has one row of the national opt-out, checked again on the morning before each index
    date; a few change their mind in the weeks, and then a row from another day joins it. Objections to the practice
    (type 1) and to channels have a row only where there is one. A person may have withdrawn a type 1 objection: then a
    later row says so.
    """
    rng = county.generator(people.practice, "opt-outs")
    count, numbered, first, last = people.count, people.has_number, county.cutoff_days[0], county.last_day
    years = (last - first) / 365.25
    since = np.maximum(first + 1 - rng.integers(200, 3000, count), people.birth_day)
    frames = [_national(county, people, since, rng)]

    def add(kind: str, who: Flags, is_out: bool, day: Ints, *, by_record: bool = False) -> None:
        shown = np.maximum(day, people.start_day)
        person = np.flatnonzero(who & (shown <= last))
        checked = np.maximum(shown[person], first)
        organisation, record = people.record_of(person, people.start_day[person])
        is_type_1 = np.full(len(person), 0 if kind == "TYPE1" else -1)
        frames.append(
            pl.DataFrame(
                {
                    "nhs_number": same(None, len(person)) if by_record else people.number_of(person),
                    "org_code": _where(is_type_1, organisation),
                    "source_patient_id": _where(is_type_1, record),
                    "opt_out_type": same(kind, len(person)),
                    "is_opted_out": same(is_out, len(person)),
                    "effective_from": days(day[person]),
                    "checked_at": moments(checked, np.full(len(person), _SIX_IN_THE_MORNING)),
                    "expires_at": moments(np.full(len(person), NEVER), np.zeros(len(person), dtype=np.int64)),
                    KNOWN: known(checked),
                    REPLACES: same(False, len(person)),
                }
            )
        )

    luck = rng.random((count, 6))
    objects = luck[:, 0] < _TYPE1_SHARE
    begins = np.where(rng.random(count) < 0.08 * years, first + rng.integers(1, max(2, last - first), count), since)
    add("TYPE1", objects & numbered, True, begins)
    withdrawn = objects & numbered & (luck[:, 1] < 0.12) & (begins == since)
    add("TYPE1", withdrawn, False, np.minimum(since + rng.integers(30, 190, count), first))
    if last > first:
        regrets = objects & numbered & ~withdrawn & (luck[:, 1] < 0.12 + 0.1 * years) & (begins == since)
        add("TYPE1", regrets, False, first + rng.integers(1, last - first + 1, count))
    add("TYPE1", ~numbered & (luck[:, 2] < 0.3), True, since, by_record=True)
    add("RISK_STRAT_LOCAL", numbered & (luck[:, 3] < 0.004), True, since)
    add("SMS_DISSENT", numbered & (luck[:, 4] < 0.02), True, since)
    add("EMAIL_DISSENT", numbered & (luck[:, 5] < 0.005), True, since)
    return pl.concat(frames)


def _national(county: County, people: People, since: Ints, rng: np.random.Generator) -> pl.DataFrame:
    """Give a row of the national opt-out for each person with a number and each extract that shows them."""
    count, first = people.count, county.cutoff_days[0]
    weeks = len(county.cutoff_days)
    starts_out = rng.random(count) < _NATIONAL_SHARE
    chance = np.where(starts_out, 0.05, _CHANGES_A_YEAR) * (county.last_day - first) / 365.25
    changes = np.where(
        rng.random(count) < chance, first + rng.integers(1, max(2, county.last_day - first + 1), count), NEVER
    )
    person = np.tile(np.arange(count), weeks)
    cutoff = np.repeat(np.array(county.cutoff_days), count)
    shown = people.has_number[person] & (people.start_day[person] <= cutoff)
    person, cutoff = person[shown], cutoff[shown]
    changed = changes[person] <= cutoff
    is_out = starts_out[person] != changed
    at_six = np.full(len(person), _SIX_IN_THE_MORNING)
    return pl.DataFrame(
        {
            "nhs_number": people.number_of(person),
            "org_code": same(None, len(person)),
            "source_patient_id": same(None, len(person)),
            "opt_out_type": same("NDO", len(person)),
            "is_opted_out": pl.Series(values=is_out),
            "effective_from": days(np.where(is_out, np.where(changed, changes[person], since[person]), NEVER)),
            "checked_at": moments(cutoff, at_six),
            "expires_at": moments(cutoff + _GOOD_FOR, at_six),
            KNOWN: known(cutoff),
            REPLACES: pl.Series(values=cutoff > first),
        }
    )


def clinic_capacity_rows(county: County, only: Practice | None = None) -> pl.DataFrame:
    """Give the rows of ``landing.clinic_capacity``: one or two weekday sessions of each clinic in the days of a week.

    The sessions of the seven days from an index date are known on the day before it. A practice that closed has none.

    Args:
        county: The county.
        only: The practice they are wanted for; every one where not given.
    """
    merger = merger_of(county)
    columns: dict[str, list[Any]] = {name: [] for name in _CAPACITY}
    last = len(county.practices) - 1
    for practice in county.practices if only is None else (only,):
        for week, (index_date, cutoff) in enumerate(zip(county.index_dates, county.cutoff_days, strict=True)):
            if merger is not None and practice == merger.closing and cutoff + 1 >= merger.day:
                break
            rng = county.generator(practice, "clinics", week)
            weekdays = [day for day in _week_from(index_date) if day.weekday() < 5]
            for clinic, always, sometimes, minutes in _CLINICS:
                extra = [role for role in sometimes if rng.random() < 0.4][:2]
                sessions = sorted(rng.choice(len(weekdays), size=int(rng.integers(1, 3)), replace=False).tolist())
                slots = rng.integers(4, 9, (len(sessions), len(always) + len(extra))).tolist()
                if clinic == _MISSING_CLINIC and practice.number == last > 0:
                    continue
                for session, held in zip(sessions, slots, strict=True):
                    for role, number in zip((*always, *extra), held, strict=True):
                        values = (
                            clinic, practice.code, weekdays[session], role, number, minutes, practice.name, cutoff,
                        )  # fmt: skip
                        for column, value in zip(columns.values(), values, strict=True):
                            column.append(value)
    return pl.DataFrame(columns, schema=_CAPACITY)


def _week_from(index_date: date) -> list[date]:
    return [index_date + timedelta(days=number) for number in range(7)]


def _where(place: Ints, column: pl.Series) -> pl.Series:
    """Leave the column where the place is 0 and empty it where it is -1."""
    return picked((None,), place) if (place < 0).all() else column
