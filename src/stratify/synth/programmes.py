"""Programmes of the synthetic county whose effect is planted, and known: what works, what does nothing, what harms.

Somebody is invited because of much care lately, so care falls afterwards with or without a programme (regression to
the mean), and a comparison of before and after misleads. Of those eligible the lot decides who is offered a place, so
comparing the two arms does not. The effect is on everybody offered a place (intention to treat): it is planted in
those who accept, larger by as much as others decline. The truth keeps what would have happened without.

Here: the programmes, who is in them, and the hospital spells they take away or add. What shows of them in the records
belongs to ``contacts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl

from stratify.synth.columns import NEVER, Flags, Floats, Ints, days, picked
from stratify.synth.places import Practice
from stratify.synth.population import People
from stratify.synth.spells import EMERGENCY, Spells, first_days, one_bed_each
from stratify.synth.world import County

_MONTH, _LOOKED_AT = 30, 365
_ROUNDS = 6
"""Months of recruiting: everybody can be followed for a year before the first extract."""


@dataclass(frozen=True)
class Programme:
    """A programme as planned.

    Attributes:
        name: Short name, as records hold it.
        words: What it is.
        outcome: What it changes: emergency admissions of the people in it, or home visits asked for in care homes.
        multiplier: What it makes of the outcome's rate, among everybody offered a place.
        least_age: Youngest age of those eligible, in years.
        least_admissions: Emergency admissions in the year before that make somebody eligible.
    """

    name: str
    words: str
    outcome: Literal["emergency_admissions", "home_visit_requests"]
    multiplier: float
    least_age: int = 18
    least_admissions: int = 2


PROGRAMMES = (
    Programme("matron_caseload", "A community matron looks after people at home", "emergency_admissions", 0.90),
    Programme("health_coaching", "A coach telephones once a month; it changes nothing", "emergency_admissions", 1.00),
    Programme("home_monitoring", "Readings sent from home, and a few more admissions", "emergency_admissions", 1.01),
    Programme("early_warning", "Alarms that send people to hospital too readily", "emergency_admissions", 1.10),
    Programme("care_home_team", "One team for each care home", "home_visit_requests", 0.40, 0, 0),
)
_BY_LOT = tuple(each for each in PROGRAMMES if each.outcome == "emergency_admissions")

PROGRAMME_COLUMNS: dict[str, tuple[Any, str]] = {
    "programme": (pl.String, "Short name, as in pathway_activity."),
    "words": (pl.String, "What it is."),
    "outcome": (pl.String, "What it changes: emergency_admissions or home_visit_requests."),
    "multiplier": (pl.Float64, "What it makes of the outcome's rate among everybody offered a place."),
    "start_date": (pl.Date, "First day."),
    "recruits_until": (pl.Date, "Last day on which somebody becomes eligible; empty where nobody is invited."),
    "practices": (pl.String, "Practices that run it, separated by ';'."),
    "least_age_years": (pl.Int64, "Youngest age of those eligible."),
    "least_admissions": (pl.Int64, "New emergency admissions in 365 days that make somebody eligible."),
}
"""Columns of ``programme.parquet``: type and meaning."""

ENROLMENT_COLUMNS: dict[str, tuple[Any, str]] = {
    "programme": (pl.String, "Programme, as in programme.parquet."),
    "nhs_number": (pl.String, "NHS number; everybody in a programme has one."),
    "org_code": (pl.String, "Practice of the record on the day the person became eligible."),
    "source_patient_id": (pl.String, "Patient id of that record."),
    "arm": (pl.String, "offered or comparison, by lot."),
    "eligible_day": (pl.Date, "Day on which the person became eligible and the lot was drawn; follow-up begins."),
    "enrolled_day": (pl.Date, "Day of joining; empty in the comparison arm and for those who declined."),
    "followed_until": (pl.Date, "Last day of follow-up: a year on, or death, leaving or the last extract before that."),
    "admissions_before": (pl.Int64, "New emergency admissions in the 365 days before the eligible day."),
    "admissions_after_without": (pl.Int64, "Those of the follow-up, as they would have been without the programme."),
    "admissions_after": (pl.Int64, "Those of the follow-up, as they are."),
}
"""Columns of ``enrolment.parquet``: type and meaning. One row a person, who is in one programme at most."""


@dataclass(frozen=True)
class Enrolled:
    """Everybody a practice found eligible: position in ``PROGRAMMES``, person, days, arm; NEVER where not enrolled."""

    programme: Ints
    person: Ints
    eligible: Ints
    enrolled: Ints
    until: Ints
    is_offered: Flags


def start_day(county: County) -> int:
    """Give the day the programmes begin: 18 months before the first extract, or after a year of history."""
    return max(county.cutoff_days[0] - 548, county.first_day + _LOOKED_AT)


def runs(practice: Practice, programme: Programme) -> bool:
    """Say whether a practice runs a programme: each is run by half of them, and two are in each practice."""
    if programme not in _BY_LOT:
        return practice.number % 3 == 0
    return (practice.number - _BY_LOT.index(programme)) % len(_BY_LOT) < 2


def programme_rows(county: County) -> pl.DataFrame:
    """Give the programmes of the county with the effect of each, for ``truth/programme.parquet``."""
    begins = start_day(county)
    rows = [
        {
            "programme": each.name,
            "words": each.words,
            "outcome": each.outcome,
            "multiplier": each.multiplier,
            "start_date": _date(begins),
            "recruits_until": _date(begins + (_ROUNDS - 1) * _MONTH) if each in _BY_LOT else None,
            "practices": ";".join(practice.code for practice in county.practices if runs(practice, each)),
            "least_age_years": each.least_age,
            "least_admissions": each.least_admissions,
        }
        for each in PROGRAMMES
    ]
    return pl.DataFrame(rows, schema={name: kind for name, (kind, _) in PROGRAMME_COLUMNS.items()})


def acceptance(people: People) -> Floats:
    """Give each person's chance of accepting a place: lower among the deprived and those who keep away from care."""
    return np.round(0.58 + 0.018 * people.decile + 0.2 * people.engagement, 6)


def run_programmes(county: County, people: People, spells: Spells) -> tuple[Spells, Enrolled, pl.DataFrame]:
    """Let the programmes of one practice recruit and take effect.

    Args:
        county: The county.
        people: The practice's people.
        spells: Their spells as they would be without any programme, transfers not yet divided off.

    Returns:
        The spells as they are, who is in which programme, and the rows of ``truth/enrolment.parquet``.
    """
    rng = county.generator(people.practice, "programmes")
    joined = recruit(county, people, spells, rng)
    after = take_effect(people, spells, joined, rng)
    after = after if after is spells else one_bed_each(after)
    org, patient = people.record_of(joined.person, joined.eligible)
    span = (joined.eligible + 1, joined.until)
    rows = pl.DataFrame(
        {
            "programme": picked([each.name for each in PROGRAMMES], joined.programme),
            "nhs_number": people.number_of(joined.person),
            "org_code": org,
            "source_patient_id": patient,
            "arm": picked(("comparison", "offered"), joined.is_offered.astype(np.int64)),
            "eligible_day": days(joined.eligible),
            "enrolled_day": days(joined.enrolled),
            "followed_until": days(joined.until),
            "admissions_before": admissions(spells, joined.person, joined.eligible - _LOOKED_AT, joined.eligible - 1),
            "admissions_after_without": admissions(spells, joined.person, *span),
            "admissions_after": admissions(after, joined.person, *span),
        },
        schema={name: kind for name, (kind, _) in ENROLMENT_COLUMNS.items()},
    )
    return after, joined, rows


def recruit(county: County, people: People, spells: Spells, rng: np.random.Generator) -> Enrolled:
    """Look for eligible people once a month; the lot decides between programmes, and between the arms of one."""
    every = np.arange(people.count)
    offered = [number for number, each in enumerate(PROGRAMMES) if each in _BY_LOT and runs(people.practice, each)]
    ready = first_days(county, people) + _LOOKED_AT
    numbered = people.has_number & ~people.is_test & ~people.is_temporary
    chance = acceptance(people)
    is_in = np.zeros(people.count, dtype=np.bool_)
    found: list[tuple[Ints, Ints, Ints]] = []
    for month in range(_ROUNDS):
        day = start_day(county) + month * _MONTH
        if day > county.last_day:
            break
        here = numbered & (ready <= day) & (people.last_day > day) & ~is_in & (people.end_day > day)
        before = admissions(spells, every, np.full(people.count, day - _LOOKED_AT), np.full(people.count, day - 1))
        turn = rng.integers(0, max(len(offered), 1), people.count)
        for place, number in enumerate(offered):
            plan = PROGRAMMES[number]
            fits = here & (before >= plan.least_admissions) & (people.age_on(day) >= plan.least_age) & (turn == place)
            person = np.flatnonzero(fits)
            is_in[person] = True
            found.append((np.full(len(person), number), person, np.full(len(person), day)))
    programme, person, eligible = (
        np.concatenate([each[place] for each in found]).astype(np.int64) if found else np.zeros(0, dtype=np.int64)
        for place in range(3)
    )
    is_offered = rng.random(len(person)) < 0.5
    accepts = is_offered & (rng.random(len(person)) < chance[person])
    until = np.minimum(eligible + _LOOKED_AT, people.last_day[person])
    return Enrolled(programme, person, eligible, np.where(accepts, eligible, NEVER), until, is_offered)


def take_effect(people: People, spells: Spells, joined: Enrolled, rng: np.random.Generator) -> Spells:
    """Take away or add emergency spells of those enrolled, from the day after they join for as long as they live."""
    if not len(joined.person) or not len(spells):
        return spells
    change = np.zeros(people.count)
    since = np.full(people.count, NEVER, dtype=np.int64)
    plan = np.array([each.multiplier - 1 for each in PROGRAMMES])[joined.programme]
    # Those who decline have no effect of it, so those who accept have more: on everybody offered it is as planned.
    change[joined.person] = np.round(plan / acceptance(people)[joined.person], 6)
    since[joined.person] = joined.enrolled
    affected = spells.is_emergency & (spells.admitted > since[spells.person])
    luck = rng.random(len(spells))
    taken = affected & (luck < -change[spells.person])
    more = np.flatnonzero(affected & (luck < change[spells.person]))
    if not taken.any() and not len(more):
        return spells
    added = _in_free_days(people, spells, more, since, rng)
    left = spells.chosen(~taken)
    names = Spells.__dataclass_fields__
    return Spells(*(np.concatenate([getattr(left, name), getattr(added, name)]) for name in names))


def _in_free_days(people: People, spells: Spells, more: Ints, since: Ints, rng: np.random.Generator) -> Spells:
    """Give one more emergency spell within two months of each of these, on a day when the person is in no bed."""
    person = spells.person[more]
    nights = rng.integers(0, 4, len(more))
    lot = spells.admitted[more][:, None] + rng.integers(-60, 61, (len(more), 12))
    admitted = np.full(len(more), NEVER, dtype=np.int64)
    starts, ends = spells.person * NEVER + spells.admitted, spells.person * NEVER + spells.discharged
    for column in range(lot.shape[1]):
        day = lot[:, column]
        last = np.minimum(day + nights, people.last_day[person])
        upto = np.searchsorted(starts, person * NEVER + last, side="right")
        ended = np.searchsorted(ends, person * NEVER + day - 1, side="right")
        is_free = (upto == ended) & (day > since[person]) & (day <= people.last_day[person])
        is_free &= last < people.death_day[person]
        admitted = np.where((admitted == NEVER) & is_free, day, admitted)
    placed = admitted < NEVER
    person, admitted, nights, more = person[placed], admitted[placed], nights[placed], more[placed]
    return Spells(
        person,
        admitted,
        np.minimum(admitted + nights, people.last_day[person]),
        np.full(len(person), EMERGENCY, dtype=np.int64),
        spells.provider[more],
        np.zeros(len(person), dtype=np.bool_),
    )


def admissions(spells: Spells, person: Ints, first: Ints, last: Ints) -> Ints:
    """Count the new emergency admissions of each person from one day to another, both included."""
    at = (spells.person * NEVER + spells.admitted)[spells.is_emergency]
    after = np.searchsorted(at, person * NEVER + last, side="right")
    counted: Ints = after - np.searchsorted(at, person * NEVER + first, side="left")
    return np.maximum(counted, 0)


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)
