"""Opt-outs and clinic sessions of the synthetic county: what is neither a person nor care."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from stratify.synth.population import NEVER, Flags, Ints, People, Practice, days, texts

_CLINICS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], int], ...] = (
    # Clinic, roles every session has, roles only some practices have, minutes for one person.
    ("copd_clinic", ("respiratory_nurse", "respiratory_physiotherapist"), ("pharmacist", "gp"), 40),
    ("frailty_clinic", ("geriatrician", "advanced_nurse_practitioner"),
     ("pharmacist", "physiotherapist", "social_worker"), 60),
    ("care_home_round", ("gp", "care_home_lead_nurse"), (), 20),
    ("palliative_review", ("gp", "palliative_nurse"), (), 45),
)  # fmt: skip

_TYPE1_SHARE, _NATIONAL_SHARE = 0.04, 0.05


def opt_out_rows(people: People, *, index_date: date, rng: np.random.Generator) -> pl.DataFrame:
    """Give the rows of ``landing.opt_out`` of one practice's people.

    Everybody with an NHS number has one row of the national opt-out as checked on the morning before the index date;
    objections to the practice (type 1) and to channels have a row only where there is one. A person may have withdrawn
    a type 1 objection: then a later row says so.
    """
    checked_at = datetime.combine(index_date - timedelta(days=1), time(6))
    today = (index_date - date(1970, 1, 1)).days
    count, numbered = people.count, people.has_number
    frames: list[pl.DataFrame] = []

    def add(
        kind: str, who: Flags, state: Flags | bool, since: Ints, *, by_record: bool = False, expires: bool = False
    ) -> None:
        person = np.flatnonzero(who)
        size = len(person)
        opted = np.broadcast_to(state, count)[person]
        frames.append(
            pl.DataFrame(
                {
                    "nhs_number": texts([None] * size if by_record else people.nhs_number[person]),
                    "org_code": texts([people.practice.code if kind == "TYPE1" else None] * size),
                    "source_patient_id": texts(people.source_patient_id[person] if kind == "TYPE1" else [None] * size),
                    "opt_out_type": texts([kind] * size),
                    "is_opted_out": pl.Series(values=np.array(opted, dtype=np.bool_)),
                    "effective_from": days(np.where(opted | (kind == "TYPE1"), since[person], NEVER)),
                    "checked_at": pl.Series(values=[checked_at] * size, dtype=pl.Datetime("ms")),
                    "expires_at": pl.Series(
                        values=[checked_at + timedelta(days=7) if expires else None] * size, dtype=pl.Datetime("ms")
                    ),
                }
            )
        )

    since = np.maximum(today - rng.integers(200, 3000, count), people.birth_day)
    add("NDO", numbered, rng.random(count) < _NATIONAL_SHARE, since, expires=True)
    objects = rng.random(count) < _TYPE1_SHARE
    add("TYPE1", objects & numbered, True, since)
    later = np.minimum(since + rng.integers(30, 190, count), today - 1)
    add("TYPE1", objects & numbered & (rng.random(count) < 0.12), False, later)
    add("TYPE1", ~numbered & (rng.random(count) < 0.3), True, since, by_record=True)
    add("RISK_STRAT_LOCAL", numbered & (rng.random(count) < 0.004), True, since)
    add("SMS_DISSENT", numbered & (rng.random(count) < 0.02), True, since)
    add("EMAIL_DISSENT", numbered & (rng.random(count) < 0.005), True, since)
    return pl.concat(frames)


def clinic_capacity_rows(practices: Sequence[Practice], *, index_date: date, rng: np.random.Generator) -> pl.DataFrame:
    """Give the rows of ``landing.clinic_capacity``: one or two weekday sessions of each clinic in seven days."""
    weekdays = [day for day in (index_date + timedelta(days=n) for n in range(7)) if day.weekday() < 5]
    rows: list[dict[str, Any]] = []
    for practice in practices:
        for clinic, always, sometimes, minutes in _CLINICS:
            extra = [role for role in sometimes if rng.random() < 0.4][:2]
            sessions = sorted(rng.choice(len(weekdays), size=int(rng.integers(1, 3)), replace=False).tolist())
            for session in sessions:
                for role in (*always, *extra):
                    rows.append(
                        {
                            "clinic_id": clinic,
                            "practice_code": practice.code,
                            "clinic_date": weekdays[session],
                            "role": role,
                            "slots": int(rng.integers(4, 9)),
                            "minutes_per_slot": minutes,
                            "venue": practice.name,
                        }
                    )
    return pl.DataFrame(rows)
