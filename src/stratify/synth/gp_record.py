"""What practices of the synthetic county write in their records: the front door, and the entries common to all.

Diagnoses, frailty deficits, checks and tests, smoking, minor illness, vaccinations and care plans are here. Diabetes,
COPD, medicines and appointments have modules of their own; what is wrong with people belongs to ``conditions``.

Targets a person and year, as in England: 10 measurements, 5 coded entries (NHS England: SNOMED CT codes used in
primary care 2023-24), 20 issues (NHSBSA: Prescription Cost Analysis 2023/24) and 6 appointments (NHS England:
Appointments in General Practice 2024). Uptake of influenza vaccination: UKHSA, winter 2023-24 (77.8 % at 65 and over,
41.4 % of those at risk below 65, 44 % of children of 2 and 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth.appointments import appointment_rows
from stratify.synth.clinical_codes import Concept
from stratify.synth.columns import NEVER, YEAR, Flags, Floats, Ints
from stratify.synth.conditions import DEFICIT_NAMES, Conditions
from stratify.synth.copd_record import write_copd
from stratify.synth.diabetes_record import write_diabetes
from stratify.synth.gp_days import Round, draw_rounds, seasonal_days, watched_by, working_days, years_of_history
from stratify.synth.gp_entries import GpRecord
from stratify.synth.medicines import write_medicines
from stratify.synth.population import ETHNIC, People
from stratify.synth.world import County


@dataclass(frozen=True)
class Flares:
    """Flare-ups of COPD, one element each; some of them lead to an admission."""

    person: Ints
    day: Ints


_CODED_AS = {
    "hypertension": codes.DEFICITS["hypertension"][1],
    "ischaemic_heart_disease": codes.DEFICITS["ischaemic_heart_disease"][1],
    "heart_failure": codes.DEFICITS["heart_failure"][1],
    "stroke": codes.DEFICITS["cerebrovascular"][1],
    "atrial_fibrillation": codes.DEFICITS["atrial_fibrillation"][1],
    "osteoporosis": codes.DEFICITS["osteoporosis"][1],
    "hypothyroidism": codes.DEFICITS["thyroid_disease"][1][:1],
    "asthma": (codes.ASTHMA,),
    "depression": (codes.DEPRESSION,),
    "severe_mental_illness": (codes.MANIA, *codes.PSYCHOSES),
    "learning_disability": (codes.LEARNING_DISABILITY,),
    "dementia": (codes.DEMENTIA, *codes.DEMENTIAS),
    "palliative": (codes.PALLIATIVE_CARE,),
    "carer": (codes.IS_CARER,),
}
"""Concepts that a condition is written as, one of them by lot."""
_OF_A_CONDITION = frozenset(
    (
        "hypertension", "ischaemic_heart_disease", "heart_failure", "cerebrovascular", "atrial_fibrillation",
        "osteoporosis", "thyroid_disease", "respiratory_disease", "chronic_kidney_disease", "diabetes",
    )
)  # fmt: skip
"""Deficits that are written as the condition they come from."""
_COMING_AGAIN = ("falls", "dizziness", "urinary_system_disease", "skin_ulcer", "hypotension_syncope")


def gp_rows(county: County, people: People, conditions: Conditions) -> tuple[dict[str, pl.DataFrame], Flares]:
    """Give everything one practice writes in its records.

    Returns:
        Rows of ``gp_event``, ``gp_observation``, ``gp_medication`` and ``gp_appointment`` with every version of each,
        and the flare-ups of COPD.
    """
    record = GpRecord(county, people)
    rounds = draw_rounds(record, conditions)
    _write_diagnoses(record, conditions)
    _write_deficits(record, conditions)
    _write_who(record)
    _write_checks(record, conditions, rounds)
    _write_minor_illness(record)
    _write_vaccinations(record, conditions)
    _write_care_plans(record, conditions)
    write_diabetes(record, conditions, rounds)
    flare, day = write_copd(record, conditions, rounds)
    write_medicines(record, conditions)
    frames = record.frames()
    frames["gp_appointment"] = appointment_rows(record, conditions)
    return frames, Flares(flare, day)


def _write_diagnoses(record: GpRecord, conditions: Conditions) -> None:
    """Write each condition as a problem on the day it began; stages of kidney disease again when it gets worse."""
    people, rng, onset = record.people, record.rng("diagnoses"), conditions.onset

    def write(day: Ints, concepts: tuple[Concept, ...], which: Ints) -> None:
        person = np.flatnonzero(day < NEVER)
        record.event(person, day[person], concepts, which[person], is_problem=True)

    def lot(choices: int) -> Ints:
        return rng.integers(0, choices, people.count)

    for name, concepts in _CODED_AS.items():
        write(onset[name], concepts, lot(len(concepts)))
    write(onset["cancer"], codes.CANCERS, np.where(lot(3) == 0, np.where(people.is_female, 0, 1), 2 + lot(2)))
    write(np.where(rng.random(people.count) < 0.7, onset["obesity"], NEVER), (codes.OBESITY,), lot(1))
    failing = onset["chronic_kidney_disease"]
    write(failing, codes.DEFICITS["chronic_kidney_disease"][1], lot(2))
    for stage, limit in ((1, 30), (2, 15)):
        person = np.flatnonzero((failing < NEVER) & (conditions.egfr_on(people.last_day) < limit))
        day = np.maximum(people.last_day[person] - rng.integers(30, 900, len(person)), failing[person])
        record.event(person, day, codes.CHRONIC_KIDNEY_DISEASE[stage : stage + 1], is_problem=True)
    homes = (codes.CARE_HOME_NURSING, codes.CARE_HOME_RESIDENTIAL, codes.CARE_HOME_UNSPECIFIED)
    write(people.care_home_since, homes, np.maximum(people.care_home - 1, 0))


def _write_deficits(record: GpRecord, conditions: Conditions) -> None:
    """Write each deficit on the day it was had, and those that come again once more.

    A practice knows less of those it hardly sees, and they are often the worst off: of theirs a part is never written.
    """
    people, rng = record.people, record.rng("deficits")
    for column, name in enumerate(DEFICIT_NAMES):
        concepts, day = codes.DEFICITS[name][1], conditions.deficit_day[:, column]
        if name in _OF_A_CONDITION or not concepts:  # polypharmacy is no code
            continue
        person = np.flatnonzero((day < NEVER) & (rng.random(people.count) < 0.6 + people.engagement))
        which = rng.integers(0, len(concepts), len(person))
        if name == "urinary_system_disease":  # the prostate is a man's
            which = np.where(people.is_female[person], 0, which)
        record.event(person, day[person], concepts, which, is_problem=True)
        if name in _COMING_AGAIN:
            again = person[rng.random(len(person)) < 0.5]
            back = rng.integers(0, int(2 * YEAR), len(again))
            record.event(again, np.maximum(people.last_day[again] - back, day[again] + 1), concepts[:1])


def _write_who(record: GpRecord) -> None:
    """Write ethnic category, and messages: the commonest code of all."""
    people, rng = record.people, record.rng("who")
    letters = list(codes.ETHNIC_CATEGORIES)
    place = np.array([letters.index(each) if each in letters else -1 for each in ETHNIC])[people.ethnic]
    person = np.flatnonzero((place >= 0) & (rng.random(people.count) < 0.55 + 0.4 * people.engagement))
    day = np.maximum(people.start_day, people.birth_day)[person] + rng.integers(0, 60, len(person))
    record.event(person, day, tuple(codes.ETHNIC_CATEGORIES.values()), place[person])
    rate = np.interp(people.age_on(record.county.last_day), (0, 12, 18, 70, 85), (0.3, 0.3, 1.7, 2.2, 1.0))
    number = rng.poisson(rate * (0.5 + people.engagement) * years_of_history(record))
    person = np.repeat(np.arange(people.count), number)
    day = working_days(seasonal_days(record, rng, len(person), winter=0.2))
    kept = day >= people.start_day[person]
    record.event(person[kept], day[kept], (codes.TEXT_MESSAGE,))


def _write_checks(record: GpRecord, conditions: Conditions, rounds: list[Round]) -> None:
    """Write what is measured and asked in each round: pressure, weight, blood tests, smoking, alcohol."""
    people, rng = record.people, record.rng("checks")
    count = people.count
    asks = rng.uniform(0.75, 1.15)
    height = (np.sqrt(conditions.weight / conditions.bmi) * 100).clip(50, 210)
    drinks = np.where(rng.random(count) < 0.22, 0, rng.gamma(1.4, 7, count).clip(0, 90))
    anaemic = conditions.has_deficit("anaemia")
    blood = np.where(anaemic, rng.normal(104, 8, count), rng.normal(np.where(people.is_female, 132, 146), 8))
    blood = np.where(anaemic, np.minimum(blood, 113), np.maximum(blood, np.where(people.is_female, 117, 132)))
    usual = {
        codes.SODIUM: (rng.normal(139.5, 2, count), 1.2, "mmol/L", 0, 120, 155),
        codes.POTASSIUM: (rng.normal(4.4, 0.3, count), 0.2, "mmol/L", 1, 2.8, 6.4),
        codes.WHITE_CELLS: (rng.normal(7, 1.5, count), 0.9, "10*9/L", 1, 2.5, 18),
        codes.PLATELETS: (rng.normal(255, 50, count), 15, "10*9/L", 0, 60, 600),
        codes.ALANINE_AMINOTRANSFERASE: (rng.gamma(5, 5, count) + 5, 3, "U/L", 0, 5, 180),
    }
    smoker = people.smoking
    for each in rounds:
        luck = rng.random((10, count))

        def chosen(line: int, chance: float | Floats, who: Flags, luck: Floats = luck) -> Ints:
            return np.flatnonzero(who & (luck[line] < chance))

        adult = each.is_seen & (each.age >= 16)
        day = each.day
        record.visit(np.flatnonzero(each.is_seen), day[each.is_seen])

        person = chosen(0, np.where(each.is_full, 0.98, 0.88), adult)
        systolic = (conditions.systolic[person] + rng.normal(0, 9, len(person))).clip(86, 215)
        diastolic = (systolic * 0.42 + rng.normal(22, 6, len(person))).clip(45, 120)
        record.blood_pressure(person, day[person], systolic, diastolic)

        person = chosen(1, np.where(each.is_full, 0.93, 0.52), adult)
        mass = conditions.bmi[person] + rng.normal(0, 0.5, len(person))
        weight = mass * conditions.weight[person] / conditions.bmi[person]
        record.observation(person, day[person], codes.WEIGHT, weight.clip(32, 220), "kg", decimals=1)
        record.observation(person, day[person], codes.BODY_MASS_INDEX, mass.clip(14, 70), "kg/m2", decimals=1)
        tall = person[rng.random(len(person)) < 0.3]
        record.observation(tall, day[tall], codes.HEIGHT, height[tall], "cm", decimals=0)

        tested = adult & (luck[2] < np.where(each.is_full, 0.97, np.where(each.is_watched, 0.76, 0.62)))
        _write_kidneys(record, conditions, each, np.flatnonzero(tested), rng)
        for line, (concept, (level, spread, unit, decimals, low, high)) in enumerate(usual.items()):
            person = chosen(3 + line % 2, 0.93, tested)
            value = (level[person] + rng.normal(0, spread, len(person))).clip(low, high)
            record.observation(person, day[person], concept, value, unit, decimals=decimals)
        person = chosen(4, 0.93, tested)
        value = blood[person] + rng.normal(0, 1, len(person)) * ~anaemic[person]
        record.observation(person, day[person], codes.HAEMOGLOBIN, value, "g/L")
        person = chosen(5, np.where(each.is_full, 0.96, np.where(each.is_watched, 0.52, 0.4)), tested)
        value = (conditions.cholesterol[person] + rng.normal(0, 0.3, len(person))).clip(2.2, 11)
        record.observation(person, day[person], codes.CHOLESTEROL, value, "mmol/L", decimals=1)
        thyroid = conditions.onset["hypothyroidism"] <= day
        person = chosen(6, np.where(thyroid, 0.95, 0.3), tested)
        value = np.where(thyroid[person], rng.gamma(2.2, 1.2, len(person)), rng.gamma(5, 0.4, len(person)))
        faint = value < 0.05  # below what the laboratory can measure
        record.observation(
            person, day[person], codes.THYROID_STIMULATING_HORMONE, np.where(faint, 0.05, value).clip(0.05, 60), "mU/L",
            decimals=2, comparator=-faint.astype(np.int64),
        )  # fmt: skip

        asked = np.where(each.is_full, 0.94, asks * np.where(each.is_watched, 0.48, 0.36))
        person = chosen(7, asked, adult)
        # Some of those who have given up are still written down as smokers the first time.
        status = np.where(
            (smoker[person] == 1) & (each.number == 0) & (rng.random(len(person)) < 0.1), 2, smoker[person]
        )
        record.event(person, day[person], codes.SMOKING, status)
        person = chosen(8, asks * 0.22, adult)
        record.observation(person, day[person], codes.ALCOHOL_INTAKE, drinks[person], "units/week")
        person = chosen(9, np.where(each.is_watched, 0.35, 0.08), each.is_seen)
        record.event(person, day[person], (codes.MEDICATION_REVIEW,))
        wheezy = conditions.onset["asthma"] <= day
        person = np.flatnonzero(each.is_seen & wheezy & (rng.random(count) < 0.55))
        record.event(person, day[person], (codes.ASTHMA_REVIEW,))
    # Most people were asked about smoking at some time before.
    person = np.flatnonzero((people.age_on(record.county.first_day) >= 18) & (rng.random(count) < 0.86))
    day = record.county.first_day - rng.integers(1, int(9 * YEAR), len(person))
    before = np.where((smoker[person] == 1) & (rng.random(len(person)) < 0.5), 2, smoker[person])
    record.event(person, day, codes.SMOKING, before)


def _write_kidneys(
    record: GpRecord, conditions: Conditions, each: Round, person: Ints, rng: np.random.Generator
) -> None:
    """Write creatinine and eGFR of one sample; laboratories give no number above 90."""
    level = conditions.egfr_on(each.day[person], person)
    egfr = (level + rng.normal(0, np.where(level < 60, 1.0, 3.0))).clip(6, 130)
    high = egfr > 90
    creatinine = (np.where(record.people.is_female[person], 68, 86) * (90 / egfr) ** 0.88).clip(30, 900)
    record.observation(person, each.day[person], codes.CREATININE, creatinine, "umol/L")
    record.observation(
        person,
        each.day[person],
        codes.EGFR,
        np.where(high, 90, egfr),
        "mL/min/1.73m2",
        comparator=high.astype(np.int64),
    )


def _write_minor_illness(record: GpRecord) -> None:
    """Write what people come with for a while: infections in winter, sprains and rashes all year round."""
    people, rng = record.people, record.rng("minor illness")
    age = people.age_on(record.county.last_day)
    rate = np.interp(age, (0, 4, 10, 20, 60, 85), (2.0, 1.7, 0.8, 0.65, 0.7, 0.9)) * (0.6 + 0.6 * people.engagement)
    winters = np.array([0.24, 0.12, 0.16, 0.12, 0.06, 0.1, 0.08, 0.04, 0.04, 0.04])
    upto = np.cumsum(np.rint(winters * 100).astype(np.int64))
    person = np.repeat(np.arange(people.count), rng.poisson(rate * years_of_history(record)))
    which = np.searchsorted(upto, rng.integers(0, upto[-1], len(person)), side="right")
    cold = working_days(seasonal_days(record, rng, len(person), winter=0.7))
    any_time = working_days(seasonal_days(record, rng, len(person)))
    day = np.where(which < 5, cold, any_time)
    kept = day >= people.start_day[person]
    record.event(person[kept], day[kept], codes.MINOR_ILLNESSES, which[kept])
    record.visit(person[kept], day[kept])


def _write_vaccinations(record: GpRecord, conditions: Conditions) -> None:
    """Write a vaccination against influenza each autumn of those who are old, at risk or small and take it up."""
    people, county, rng = record.people, record.county, record.rng("vaccinations")
    willing = rng.random(people.count) + 0.03 * (5.5 - people.decile) / 4.5 - 0.1 * (people.engagement - 0.5)
    first, last = (date(1970, 1, 1) + timedelta(days=each) for each in (county.first_day, county.last_day))
    for year in range(first.year, last.year + 1):
        start = (date(year, 9, 10) - date(1970, 1, 1)).days
        when = np.full(people.count, start)
        day = working_days(start + np.minimum(rng.gamma(3, 12, people.count), 150).astype(np.int64))
        age = people.age_on(when)
        at_risk = (watched_by(conditions, when) > 0) | (conditions.onset["asthma"] <= when)
        chance = np.where(age >= 65, 0.78, np.where(at_risk, 0.41, np.where((age >= 2) & (age < 4), 0.44, 0.04)))
        given = (willing + rng.normal(0, 0.08, people.count) < chance) & (day >= county.first_day)
        person = np.flatnonzero(given & (day >= people.start_day))
        record.event(person, day[person], (codes.INFLUENZA_VACCINATION,))


def _write_care_plans(record: GpRecord, conditions: Conditions) -> None:
    """Write advance care plans of some of the dying and demented, and plans agreed with people who have much wrong."""
    people, rng = record.people, record.rng("care plans")
    near = np.minimum(conditions.onset["palliative"], conditions.onset["dementia"] + int(YEAR))
    person = np.flatnonzero((near < NEVER) & (rng.random(people.count) < 0.45))
    record.event(person, near[person] + rng.integers(5, 120, len(person)), (codes.ADVANCE_CARE_PLAN,))
    much = (watched_by(conditions, people.last_day) >= 3) | (conditions.frailty >= 2) | (people.care_home > 0)
    person = np.flatnonzero(much & (rng.random(people.count) < 0.2))
    day = people.last_day[person] - rng.integers(1, int(2 * YEAR), len(person))
    record.event(person, working_days(day), (codes.CARE_PLAN_AGREED,))
