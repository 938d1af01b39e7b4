"""Hospital care in the synthetic county, and deaths: admissions, outpatient and emergency department attendances.

One trust. Emergency admissions come of COPD exacerbations, of frailty and by general chance, with the ICD-10 codes that
the Hospital Frailty Risk Score looks at; planned care and attendances are background at plausible English rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth.conditions import Conditions
from stratify.synth.population import NEVER, YEAR, Flags, Floats, Ints, People, Practice, Texts, days, texts, where_so

_PROVIDER = "RZ9"
_YEARS = 3
_COPD, _FRAIL, _GENERAL, _PLANNED, _BIRTH = range(5)
_DEMENTIA = ("F009", "G309", "F03X")


@dataclass(frozen=True)
class _Spells:
    person: Ints
    admitted: Ints
    discharged: Ints
    kind: Ints
    has_died: Flags

    def __len__(self) -> int:
        return len(self.person)


def hospital_rows(
    people: People,
    conditions: Conditions,
    flares: tuple[Ints, Ints],
    practices: Sequence[Practice],
    *,
    cutoff_day: int,
    rng: np.random.Generator,
) -> dict[str, pl.DataFrame]:
    """Give the rows of ``apc_episode``, ``op_attendance``, ``ed_attendance`` and ``death`` of one practice's people.

    Args:
        people: The people.
        conditions: What is wrong with them.
        flares: Person and day of the COPD exacerbations that led to an emergency admission.
        practices: All practices, for the practice at the time.
        cutoff_day: The last day the extract describes; somebody still in hospital has no discharge date.
        rng: The practice's generator.
    """
    spells = _draw_spells(people, conditions, flares, cutoff_day, rng)
    return {
        "apc_episode": _episodes(people, conditions, spells, practices, cutoff_day, rng),
        "ed_attendance": _ed_attendances(people, spells, cutoff_day, rng),
        "op_attendance": _op_attendances(people, conditions, cutoff_day, rng),
        "death": _deaths(people, conditions, spells, cutoff_day, rng),
    }


def _times(people: People, rate_a_year: Floats, years: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw who and when, at so many a year each, in the years before the end of each person's record."""
    person = np.repeat(np.arange(people.count), rng.poisson(np.where(people.is_test, 0, rate_a_year) * years))
    return person, people.last_day[person] - rng.integers(1, int(years * YEAR), len(person))


def _draw_spells(
    people: People, conditions: Conditions, flares: tuple[Ints, Ints], cutoff_day: int, rng: np.random.Generator
) -> _Spells:
    age, frailty = people.age, conditions.frailty
    frail_rate = np.array([0.0, 0.09, 0.24, 0.55, 1.0])[frailty + 1]
    general_rate = np.interp(age, (0, 3, 10, 25, 50, 64, 65), (0.16, 0.08, 0.03, 0.05, 0.06, 0.08, 0.02))
    planned_rate = np.interp(age, (0, 18, 40, 65, 80), (0.03, 0.04, 0.1, 0.24, 0.27))
    birth_rate = np.where(people.is_female & (age > 20) & (age < 40), 0.075, 0.0)
    last = np.flatnonzero((people.death_day < NEVER) & (rng.random(people.count) < 0.45))
    drawn = [
        (*flares, _COPD),
        (*_times(people, frail_rate, _YEARS, rng), _FRAIL),
        (*_times(people, general_rate, _YEARS, rng), _GENERAL),
        (*_times(people, planned_rate, _YEARS, rng), _PLANNED),
        (*_times(people, birth_rate, _YEARS, rng), _BIRTH),
        (last, people.death_day[last] - rng.integers(1, 20, len(last)), _FRAIL),
    ]
    person = np.concatenate([each[0] for each in drawn])
    admitted = np.concatenate([each[1] for each in drawn])
    kind = np.concatenate([np.full(len(each[0]), each[2], dtype=np.int64) for each in drawn])
    frail = np.maximum(frailty[person], 0)
    mean = np.select(
        [kind == _COPD, kind == _FRAIL, kind == _GENERAL, kind == _BIRTH],
        [4.5 + 1.5 * frail, 4.0 + 3.0 * frail, np.full(len(person), 2.0), np.full(len(person), 1.5)],
        np.where(rng.random(len(person)) < 0.14, 2.5, 0.0),
    )
    stay = np.floor(rng.exponential(1.0, len(person)) * mean).astype(np.int64)
    is_last = np.concatenate([np.zeros(len(person) - len(last), dtype=np.bool_), np.ones(len(last), dtype=np.bool_)])
    death = people.death_day[person]
    discharged = np.where(is_last, death, admitted + stay)
    has_died = (discharged >= death) & (kind != _BIRTH)
    discharged = np.minimum(discharged, death)

    keep = (admitted >= people.birth_day[person]) & (admitted <= np.minimum(people.last_day[person], cutoff_day))
    order = np.flatnonzero(keep)
    order = order[np.lexsort((kind[order], admitted[order], person[order]))]
    person, admitted, discharged = person[order], admitted[order], discharged[order]
    # Nobody is in two beds: a spell that begins before all earlier ones of the person have ended did not happen.
    latest = np.maximum.accumulate(person * NEVER * 10 + discharged) if len(person) else discharged
    free = np.ones(len(person), dtype=np.bool_)
    free[1:] = (person * NEVER * 10 + admitted)[1:] > latest[:-1]
    kept = np.flatnonzero(free)
    return _Spells(person[kept], admitted[kept], discharged[kept], kind[order][kept], has_died[order][kept])


def _episodes(
    people: People,
    conditions: Conditions,
    spells: _Spells,
    practices: Sequence[Practice],
    cutoff_day: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    length = spells.discharged - spells.admitted
    frail = conditions.frailty[spells.person]
    split = (length >= 3) & (spells.kind != _PLANNED) & (rng.random(len(spells)) < np.where(frail >= 1, 0.38, 0.15))
    parts = np.where(split, np.where((length >= 8) & (rng.random(len(spells)) < 0.4), 3, 2), 1)
    # The later episodes of somebody still in hospital have not finished, so they are not there yet.
    spell = np.repeat(np.arange(len(spells)), parts)
    order = np.arange(len(spell)) - np.repeat(np.cumsum(parts) - parts, parts)
    start = spells.admitted[spell] + (length[spell] * order) // parts[spell]
    end = spells.admitted[spell] + (length[spell] * (order + 1)) // parts[spell]
    seen = start <= cutoff_day
    spell, order, start, end = spell[seen], order[seen], start[seen], end[seen]

    person, kind = spells.person[spell], spells.kind[spell]
    discharged = spells.discharged[spell]
    is_open = discharged > cutoff_day
    emergency = (kind == _COPD) | (kind == _FRAIL) | (kind == _GENERAL)
    count = len(spell)
    method_of_spell = np.array(["21", "21", "21", "21", "22", "2A", "24"], dtype=object)[
        rng.integers(0, 7, len(spells))
    ]
    method_of_spell = np.where(
        spells.kind == _COPD, np.where(rng.random(len(spells)) < 0.9, "21", "22"), method_of_spell
    )
    planned = np.array(["11", "11", "12", "13"], dtype=object)[rng.integers(0, 4, len(spells))]
    method_of_spell = np.where(spells.kind == _PLANNED, planned, np.where(spells.kind == _BIRTH, "31", method_of_spell))
    in_home = people.care_home[person] > 0
    home = np.where(people.care_home[person] == 1, "55", "56")
    died = spells.has_died[spell]
    destination = np.where(died, "79", np.where(in_home, home, "19"))
    primary, procedure = _primary(kind, rng)
    secondary = _secondary(conditions, person, kind, rng)
    function = np.select(
        [kind == _COPD, kind == _BIRTH, kind == _PLANNED, people.age[person] < 16, people.age[person] >= 75],
        ["340", "501", "100", "420", "430"],
        "300",
    )
    organisation, _ = people.record_codes(person, start, practices)
    number = people.practice.number
    numbered = people.has_number[person]
    columns: dict[str, pl.Series] = {
        "provider_code": texts([_PROVIDER] * count),
        "cds_unique_id": texts([f"B{number:03d}{spell[i]:07d}{order[i] + 1}" for i in range(count)]),
        "nhs_number": texts(people.nhs_number[person]),
        "nhs_number_status": texts(np.where(numbered, np.where(rng.random(count) < 0.03, "02", "01"), "07")),
        "spell_id": texts([f"S{number:03d}{each:07d}" for each in spell]),
        "episode_order": pl.Series(values=order + 1),
        "admission_date": days(spells.admitted[spell]),
        "discharge_date": days(np.where(is_open, NEVER, discharged)),
        "episode_start": days(start),
        "episode_end": days(np.where(end > cutoff_day, NEVER, end)),
        "admission_method": texts(method_of_spell[spell]),
        "admission_source": texts(np.where(in_home & emergency, home, "19")),
        "discharge_method": texts(np.where(is_open, "8", np.where(died, "4", "1"))),
        "discharge_destination": texts(np.where(is_open, "98", destination)),
        "patient_class": texts(np.where((kind == _PLANNED) & (length[spell] == 0), "2", "1")),
        "treatment_function": texts(function),
        "main_specialty": texts(function),
        "diag_01": texts(primary),
        **{f"diag_{column + 2:02d}": texts(secondary[:, column]) for column in range(secondary.shape[1])},
        "opertn_01": texts(procedure),
        "ethnic_category": texts(people.ethnic[person]),
        "practice_code_at_event": texts(organisation),
        "update_type": texts(np.where(rng.random(count) < 0.8, "NETCHANGE", "BULK")),
        "freeze_status": texts(np.where(cutoff_day - end < 60, "flex", "freeze")),
        "is_legally_restricted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
        "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
    }
    return pl.DataFrame(columns)


def _primary(kind: Ints, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Draw the primary diagnosis of each episode, and the procedure of planned ones."""
    count = len(kind)
    elective = rng.integers(0, len(codes.ELECTIVE_PRIMARY_ICD10), count)

    def drawn(choices: Sequence[str]) -> Texts:
        return np.array(choices, dtype=object)[rng.integers(0, len(choices), count)]

    primary = np.select(
        [kind == _COPD, kind == _FRAIL, kind == _GENERAL, kind == _BIRTH],
        [
            drawn(codes.COPD_ICD10),
            drawn(codes.FRAILTY_PRIMARY_ICD10),
            drawn(codes.GENERAL_PRIMARY_ICD10),
            drawn(("O800", "O809")),
        ],
        np.array(codes.ELECTIVE_PRIMARY_ICD10, dtype=object)[elective],
    )
    return primary, where_so(kind == _PLANNED, np.array(codes.ELECTIVE_OPCS4, dtype=object)[elective])


def _secondary(conditions: Conditions, person: Ints, kind: Ints, rng: np.random.Generator) -> Texts:
    """Draw up to ten secondary diagnoses of each episode: more, and of frailty, the frailer the person."""
    frail = np.maximum(conditions.frailty[person], 0)
    of_frailty = ((kind == _FRAIL) | (kind == _COPD)) & (frail >= 1)
    pool = np.array(codes.FRAILTY_SECONDARY_ICD10 + codes.GENERAL_SECONDARY_ICD10, dtype=object)
    lot = rng.random((len(person), len(pool)))
    is_frailty_code = np.arange(len(pool)) < len(codes.FRAILTY_SECONDARY_ICD10)
    lot[np.ix_(~of_frailty, is_frailty_code)] = 2.0
    dementia = np.isin(pool, _DEMENTIA)
    lot[np.ix_(~conditions.has_deficit("memory_cognitive")[person], dementia)] = 2.0
    ranked = np.argsort(lot, axis=1, kind="stable")[:, :10]
    wanted = np.where(of_frailty, rng.integers(1, 4, len(person)) + 2 * frail, rng.integers(0, 4, len(person)))
    wanted = np.minimum(wanted, (lot < 2.0).sum(axis=1))
    wanted = np.where(kind == _BIRTH, 0, wanted)
    return where_so(np.arange(10)[None, :] < wanted[:, None], pool[ranked])


def _ed_attendances(people: People, spells: _Spells, cutoff_day: int, rng: np.random.Generator) -> pl.DataFrame:
    age = people.age
    rate = np.interp(age, (0, 2, 10, 20, 60, 80, 95), (0.5, 0.4, 0.22, 0.25, 0.19, 0.24, 0.3))
    person, day = _times(people, rate, _YEARS, rng)
    by_door = np.flatnonzero((spells.kind <= _GENERAL) & (rng.random(len(spells)) < 0.8))
    admitted = np.concatenate([np.zeros(len(person), dtype=np.bool_), np.ones(len(by_door), dtype=np.bool_)])
    is_copd = np.concatenate([np.zeros(len(person), dtype=np.bool_), spells.kind[by_door] == _COPD])
    person, day = np.concatenate([person, spells.person[by_door]]), np.concatenate([day, spells.admitted[by_door]])
    count = len(person)
    minute = np.minimum(rng.integers(0, 1440, count), np.where(day >= cutoff_day, 600, 1440))
    arrival = (day * 1440 + minute) * 60_000
    departure = arrival + rng.integers(45, 700, count) * 60_000
    kept = (day <= np.minimum(people.last_day[person], cutoff_day)) & (day >= people.birth_day[person])
    old = people.age[person] > 70
    ambulance = rng.random(count) < np.where(admitted | old, 0.6, 0.15)
    complaint = np.where(is_copd, 0, rng.integers(0, len(codes.ED_COMPLAINTS), count))
    numbered = people.has_number[person]
    number = people.practice.number
    minor = ~admitted & (rng.random(count) < 0.3)
    return pl.DataFrame(
        {
            "provider_code": texts([_PROVIDER] * count),
            "attendance_id": texts([f"A{number:03d}{each:07d}" for each in range(count)]),
            "nhs_number": texts(people.nhs_number[person]),
            "nhs_number_status": texts(np.where(numbered, np.where(rng.random(count) < 0.04, "02", "01"), "07")),
            "arrival_at": pl.Series(values=arrival).cast(pl.Datetime("ms")),
            "arrival_mode": texts(np.where(ambulance, codes.ED_BY_AMBULANCE.code, codes.ED_OWN_TRANSPORT.code)),
            "attendance_category": texts(np.where(admitted | (rng.random(count) < 0.93), "1", "2")),
            "department_type": texts(np.where(minor, "03", "01")),
            "chief_complaint": texts(np.array([c.code for c in codes.ED_COMPLAINTS], dtype=object)[complaint]),
            "diagnosis_01": texts(where_so(is_copd, codes.COPD_EXACERBATIONS[0].code)),
            "departure_at": pl.Series(values=departure).cast(pl.Datetime("ms")),
            "discharge_status": texts([codes.ED_TREATMENT_COMPLETE.code] * count),
            "discharge_destination": texts(np.where(admitted, codes.ED_TO_WARD.code, codes.ED_DISCHARGED_HOME.code)),
            "is_sdec": pl.Series(values=~admitted & ~minor & (rng.random(count) < 0.06)),
            "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
        }
    ).filter(pl.Series(values=kept))


def _op_attendances(people: People, conditions: Conditions, cutoff_day: int, rng: np.random.Generator) -> pl.DataFrame:
    rate = np.interp(people.age, (0, 20, 50, 70, 85), (0.5, 0.6, 1.1, 1.9, 1.8)) * 0.75
    rate = rate + 0.8 * conditions.has_copd + 0.3 * conditions.has_diabetes
    person, day = _times(people, rate, 2, rng)
    count = len(person)
    kept = (day <= np.minimum(people.last_day[person], cutoff_day)) & (day >= people.birth_day[person])
    chest = conditions.has_copd[person] & (rng.random(count) < 0.5)
    sugar = conditions.has_diabetes[person] & (rng.random(count) < 0.3)
    other = np.array(["100", "110", "120", "130", "300", "320", "330", "502"], dtype=object)[rng.integers(0, 8, count)]
    attended = rng.choice(
        np.array(["5", "6", "3", "2", "4", "7"], dtype=object), size=count, p=[0.8, 0.04, 0.08, 0.04, 0.035, 0.005]
    )
    is_first = rng.random(count) < 0.3
    remote = rng.random(count) < 0.2
    first = np.where(is_first, np.where(remote, "3", "1"), np.where(remote, "4", "2"))
    numbered = people.has_number[person]
    referred = np.where(is_first, np.maximum(day - rng.integers(14, 280, count), people.birth_day[person]), NEVER)
    return pl.DataFrame(
        {
            "provider_code": texts([_PROVIDER] * count),
            "attendance_id": texts([f"O{people.practice.number:03d}{each:08d}" for each in range(count)]),
            "nhs_number": texts(people.nhs_number[person]),
            "nhs_number_status": texts(np.where(numbered, np.where(rng.random(count) < 0.02, "02", "01"), "07")),
            "appointment_date": days(day),
            "attended": texts(attended),
            "first_attendance": texts(first),
            "treatment_function": texts(np.where(chest, "340", np.where(sugar, "307", other))),
            "outcome": texts(np.where(rng.random(count) < 0.35, "1", "2")),
            "referral_date": days(referred),
            "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
        }
    ).filter(pl.Series(values=kept))


def _deaths(
    people: People, conditions: Conditions, spells: _Spells, cutoff_day: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Give one row a death and source; sources differ, and a few deaths are known to one source alone."""
    dead = np.flatnonzero((people.death_day < NEVER) & people.has_number)
    count = len(dead)
    in_hospital = np.isin(dead, spells.person[spells.has_died])
    registered = people.death_day[dead] + rng.integers(2, 20, count)
    luck = rng.random((count, 3))
    ons = (luck[:, 0] < 0.85) & (registered <= cutoff_day)
    spine = luck[:, 1] < 0.85
    practice = people.gp_knows_death[dead] & (luck[:, 2] < 0.7)
    spine |= ~(ons | practice | people.gp_knows_death[dead])
    place = np.where(
        in_hospital,
        "hospital",
        np.where(people.care_home[dead] > 0, "care_home", np.where(luck[:, 2] < 0.2, "hospice", "home")),
    )
    cause = np.array(codes.DEATH_CAUSES, dtype=object)[rng.integers(0, len(codes.DEATH_CAUSES), count)]
    cause = np.where(conditions.has_copd[dead] & (luck[:, 0] < 0.5), codes.COPD_DEATH_CAUSE, cause)
    frames = []
    for source, known in (("ONS", ons), ("PDS", spine), ("GP", practice), ("SUS", in_hospital)):
        some = np.flatnonzero(known)
        by_register = source == "ONS"
        frames.append(
            pl.DataFrame(
                {
                    "nhs_number": texts(people.nhs_number[dead[some]]),
                    "source": texts([source] * len(some)),
                    "date_of_death": days(people.death_day[dead[some]]),
                    "date_registered": days(registered[some] if by_register else np.full(len(some), NEVER)),
                    "place_of_death": texts(place[some] if by_register else [None] * len(some)),
                    "cause_underlying": texts(cause[some] if by_register else [None] * len(some)),
                }
            )
        )
    return pl.concat(frames)
