"""What practices record of diabetes in the synthetic county, and of the blood sugar that comes before it.

Diagnosis, HbA1c, structured education and the care processes of a year (NICE and National Diabetes Audit: HbA1c, blood
pressure, cholesterol, creatinine, urine albumin, foot examination, body mass index, smoking; retinal screening is the
ninth). About half of people with type 2 and a third with type 1 have all eight in a year (NDA 2022-23). Medicines are
in ``medicines``; pressure, weight and blood tests of everybody in ``gp_record``.
"""

from __future__ import annotations

import numpy as np

from stratify.synth import clinical_codes as codes
from stratify.synth.columns import NEVER, Flags, Ints
from stratify.synth.conditions import Conditions
from stratify.synth.gp_days import Round, working_days
from stratify.synth.gp_entries import GpRecord


def write_diabetes(record: GpRecord, conditions: Conditions, rounds: list[Round]) -> None:
    """Write the entries of diabetes and of raised blood sugar."""
    _write_diagnoses(record, conditions)
    people, rng = record.people, record.rng("diabetes")
    first, second, early = (
        conditions.onset[name] for name in ("type_1_diabetes", "type_2_diabetes", "non_diabetic_hyperglycaemia")
    )
    ill_since = np.minimum(first, second)
    thorough = rng.uniform(0.72, 1.0)  # some practices do all eight processes, others leave the feet to somebody else
    for each in rounds:
        day, count = each.day, people.count
        has = ill_since <= day
        # Half of those with diabetes who missed the round come for their blood test alone.
        tested = (each.is_seen & (rng.random(count) < 0.96)) | (rng.random(count) < 0.5 * (0.4 + people.engagement))
        _write_hba1c(record, conditions, day, tested & has & (day >= record.county.first_day), rng)
        before = (early <= day) & ~has
        _write_hba1c(record, conditions, day, each.is_seen & before & (rng.random(count) < 0.7), rng)
        asked = each.is_seen & ~before & ~has & (each.age >= 40) & (rng.random(count) < 0.3)
        _write_hba1c(record, conditions, day, asked, rng)
        _write_review(record, conditions, day, np.flatnonzero(each.is_full), thorough, rng)


def _write_diagnoses(record: GpRecord, conditions: Conditions) -> None:
    people, rng = record.people, record.rng("diabetes diagnoses")
    for name, concept in (
        ("type_1_diabetes", codes.TYPE_1_DIABETES),
        ("type_2_diabetes", codes.TYPE_2_DIABETES),
        ("non_diabetic_hyperglycaemia", codes.NON_DIABETIC_HYPERGLYCAEMIA),
    ):
        person = np.flatnonzero(conditions.onset[name] < NEVER)
        record.event(person, conditions.onset[name][person], (concept,), is_problem=True)
    # Offered within a year of the diagnosis; many do not come.
    person = np.flatnonzero((conditions.onset["type_2_diabetes"] < NEVER) & (rng.random(people.count) < 0.72))
    day = working_days(conditions.onset["type_2_diabetes"][person] + rng.integers(7, 270, len(person)))
    record.event(person, day, (codes.STRUCTURED_EDUCATION_REFERRAL,))
    missed = rng.random(len(person)) < 0.55 - 0.3 * people.engagement[person]
    late = working_days(day + rng.integers(30, 150, len(person)))
    record.event(person[missed], late[missed], (codes.STRUCTURED_EDUCATION_MISSED,))


def _write_hba1c(record: GpRecord, conditions: Conditions, day: Ints, who: Flags, rng: np.random.Generator) -> None:
    person = np.flatnonzero(who)
    value = (conditions.hba1c_on(day[person], person) + rng.normal(0, 1.0, len(person))).clip(22, 160)
    record.observation(person, day[person], codes.HBA1C, value, "mmol/mol")


def _write_review(
    record: GpRecord, conditions: Conditions, day: Ints, person: Ints, thorough: float, rng: np.random.Generator
) -> None:
    """Write a year's review: what only diabetes asks for; the rest of the eight is measured with everybody's."""
    luck = rng.random((4, len(person)))
    some = person[luck[0] < 0.86]
    record.event(some, day[some], (codes.DIABETES_REVIEW,))
    some = person[luck[1] < 0.94 * thorough]
    record.event(some, day[some], (codes.FOOT_EXAMINATION,))
    some = person[luck[2] < 0.88 * thorough]
    leaking = (conditions.egfr_on(day[some], some) < 60) | (rng.random(len(some)) < 0.15)
    value = np.where(leaking, rng.gamma(1.6, 8, len(some)) + 3, rng.gamma(2, 0.5, len(some)))
    faint = value < 0.3  # below what the laboratory can measure
    record.observation(
        some, day[some], codes.ALBUMIN_CREATININE_RATIO, np.where(faint, 0.3, value).clip(0.3, 300), "mg/mmol",
        decimals=1, comparator=-faint.astype(np.int64),
    )  # fmt: skip
    some = person[luck[3] < 0.78]
    record.event(some, working_days(day[some] + rng.integers(-60, 61, len(some))), (codes.RETINAL_SCREENING,))
