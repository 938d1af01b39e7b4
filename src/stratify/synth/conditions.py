"""What is wrong with the people of the synthetic county, before anybody writes it down.

The planted truth of each person: COPD and how severe, diabetes, frailty and which deficits, care home, palliative care.
What a practice or a hospital records of it, and how badly, belongs to ``gp_record``, ``copd_record`` and ``hospital``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth.population import NEVER, YEAR, Flags, Floats, Ints, People, Texts, days, texts

DEFICIT_NAMES = tuple(codes.DEFICITS)
_COLUMN = {name: number for number, name in enumerate(DEFICIT_NAMES)}

_FRAILTY_BY_AGE = (
    # (from age, share fit, mild, moderate, severe); together about 50, 33, 12 and 4 percent of people of 65 and over.
    (65, 0.68, 0.26, 0.05, 0.01),
    (75, 0.45, 0.38, 0.13, 0.04),
    (85, 0.18, 0.44, 0.26, 0.12),
    (92, 0.08, 0.40, 0.32, 0.20),
)
_DEFICITS_OF_CATEGORY = ((0, 4), (5, 8), (9, 12), (13, 18))
"""Fewest and most deficits of fit, mild, moderate and severe frailty (Clegg 2016: up to 0.12, 0.24, 0.36 of 36)."""

_CARE_HOME_CHANCE = (0.005, 0.03, 0.11, 0.27)
_PALLIATIVE_CHANCE = (0.002, 0.01, 0.03, 0.10)


@dataclass
class Conditions:
    """The truth about each person, one element a person. ``frailty`` is -1 below 65, else 0 fit to 3 severe."""

    has_copd: Flags
    copd_severity: Floats
    fev1_percent: Floats
    mrc_grade: Ints
    exacerbations_a_year: Floats
    has_diabetes: Flags
    has_hypertension: Flags
    frailty: Ints
    deficits: Flags
    is_palliative: Flags
    has_learning_disability: Flags
    has_severe_mental_illness: Flags
    is_carer: Flags

    def has_deficit(self, name: str) -> Flags:
        """Who has one deficit; nobody below 65."""
        return self.deficits[:, _COLUMN[name]]

    @property
    def hazard(self) -> Floats:
        """Relative risk of dying, by frailty, COPD and palliative care; age is left to the caller."""
        frail = np.array([1.0, 1.0, 2.0, 4.0, 8.0])[self.frailty + 1]
        return (
            frail * np.where(self.has_copd, 1 + 3 * self.copd_severity, 1.0) * np.where(self.is_palliative, 12.0, 1.0)
        )


def draw_conditions(people: People, rng: np.random.Generator) -> Conditions:
    """Draw the truth about each person of a practice, and who lives in a care home.

    Args:
        people: The people; ``care_home`` is changed in place (1 nursing, 2 residential, 3 unspecified).
        rng: The practice's generator.
    """
    count, age = people.count, people.age
    poverty = (10.5 - people.decile) / 9

    by_age = np.interp(age, (38, 45, 55, 65, 75, 85), (0.0, 0.006, 0.02, 0.043, 0.066, 0.072))
    by_smoking = np.array([0.25, 1.7, 2.1])[people.smoking]
    has_copd = rng.random(count) < by_age * by_smoking * (0.75 + 0.8 * poverty)
    severity = np.clip(rng.beta(1.7, 2.4, count) + 0.08 * (people.smoking == 2) + 0.1 * (poverty - 0.5), 0.01, 0.99)
    fev1 = np.clip(102 - 88 * severity + rng.normal(0, 7, count), 14, 112)
    mrc = np.clip(np.round(0.8 + 3.9 * severity + rng.normal(0, 0.65, count) + 0.012 * (age - 65)), 1, 5).astype(
        np.int64
    )
    exacerbations = np.clip(rng.gamma(1.3, 0.28 + 0.75 * severity), 0, 6)

    has_diabetes = rng.random(count) < np.interp(
        age, (0, 18, 35, 50, 65, 80), (0.002, 0.005, 0.012, 0.07, 0.15, 0.18)
    ) * (0.8 + 0.65 * poverty)
    has_hypertension = rng.random(count) < np.interp(age, (20, 35, 50, 64), (0.0, 0.03, 0.17, 0.33))

    frailty, deficits = _draw_frailty(people, has_copd, mrc, has_diabetes, rng)
    has_hypertension = np.where(frailty >= 0, deficits[:, _COLUMN["hypertension"]], has_hypertension)

    chance = np.where(
        frailty >= 0,
        np.array([0.0, *_CARE_HOME_CHANCE])[frailty + 1] * np.interp(age, (65, 85, 95), (0.5, 1.2, 1.7)),
        0,
    )
    lives_in = rng.random(count) < chance
    people.care_home = np.where(lives_in, rng.integers(1, 4, count), 0)
    deficits[:, _COLUMN["requirement_for_care"]] |= lives_in

    palliative = np.where(frailty >= 0, np.array([0.0, *_PALLIATIVE_CHANCE])[frailty + 1], 0.0005)
    palliative = palliative + np.where(has_copd & (severity > 0.8), 0.08, 0)
    return Conditions(
        has_copd=has_copd,
        copd_severity=np.where(has_copd, severity, 0.0),
        fev1_percent=fev1,
        mrc_grade=mrc,
        exacerbations_a_year=exacerbations,
        has_diabetes=has_diabetes,
        has_hypertension=has_hypertension,
        frailty=frailty,
        deficits=deficits,
        is_palliative=rng.random(count) < palliative,
        has_learning_disability=rng.random(count) < 0.005,
        has_severe_mental_illness=(rng.random(count) < 0.006 + 0.007 * poverty) & (age >= 18),
        is_carer=(rng.random(count) < 0.015) & (age >= 18),
    )


def death_risk(people: People, conditions: Conditions) -> Floats:
    """Give each person's risk of dying relative to a healthy person of 40: it doubles every eight years or so."""
    return conditions.hazard * 2 ** ((people.age - 40) / 8.5)


def flag_rows(people: People, conditions: Conditions, *, cutoff_day: int, rng: np.random.Generator) -> pl.DataFrame:
    """Give the rows of ``landing.patient_flag`` of people with an NHS number; most flags still hold."""
    count = people.count
    in_home = people.care_home > 0
    dementia = conditions.has_deficit("memory_cognitive") & (people.age > 72)
    housebound = conditions.has_deficit("housebound")
    frail = conditions.frailty >= 2

    chunks: list[tuple[Ints, Texts, Texts, Ints, Ints]] = []

    def add(flag: str | Texts, who: Flags, source: str, *, years: float, ended: float) -> None:
        person = np.flatnonzero(who & people.has_number)
        start = np.maximum(
            people.last_day[person] - rng.integers(20, int(years * YEAR), len(person)), people.birth_day[person]
        )
        end = np.where(rng.random(len(person)) < ended, start + rng.integers(30, 300, len(person)), NEVER)
        end = np.where(end > cutoff_day, NEVER, end)
        names = np.full(len(person), flag, dtype=object) if isinstance(flag, str) else flag[person]
        chunks.append((person, names, np.full(len(person), source, dtype=object), start, end))

    homes = np.array(["", "CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED"], dtype=object)[
        people.care_home
    ]
    luck = rng.random(count)
    add(homes, in_home & (luck < 0.85), "CODED", years=4, ended=0.0)
    add("CARE_HOME_UNSPECIFIED", in_home & (luck > 0.4), "ADDRESS_MATCH", years=3, ended=0.0)
    # Somebody who stayed in a home to recover and went back to their own.
    add("CARE_HOME_RESIDENTIAL", (rng.random(count) < 0.02) & frail & ~in_home, "CODED", years=2, ended=1.0)
    add("HOUSEBOUND", housebound & (luck < 0.8), "CODED", years=3, ended=0.1)
    add("IS_CARER", conditions.is_carer, "CODED", years=8, ended=0.15)
    add(
        "HAS_CARER",
        (frail & (luck < 0.4)) | (conditions.has_learning_disability & (luck < 0.6)),
        "CODED",
        years=5,
        ended=0.05,
    )
    add("PALLIATIVE", conditions.is_palliative, "CODED", years=1.2, ended=0.03)
    add("ADVANCE_PLAN", conditions.is_palliative & (luck < 0.5), "LOCAL_LIST", years=1, ended=0.0)
    add("LEARNING_DISABILITY", conditions.has_learning_disability, "CODED", years=20, ended=0.0)
    add("SMI", conditions.has_severe_mental_illness, "CODED", years=15, ended=0.0)
    add("DEMENTIA", dementia & (luck < 0.75), "CODED", years=5, ended=0.0)
    add("HOMELESS", (rng.random(count) < 0.001) & (people.age > 16) & ~in_home, "CODED", years=3, ended=0.4)
    add("SAFEGUARDING", rng.random(count) < 0.001, "CODED", years=3, ended=0.4)
    add(
        "INTERPRETER", (rng.random(count) < 0.05) & np.isin(people.ethnic, ("J", "K", "N")), "CODED", years=9, ended=0.0
    )

    person = np.concatenate([chunk[0] for chunk in chunks])
    source = np.concatenate([chunk[2] for chunk in chunks])
    start = np.concatenate([chunk[3] for chunk in chunks])
    end = np.concatenate([chunk[4] for chunk in chunks])
    return pl.DataFrame(
        {
            "nhs_number": texts(people.nhs_number[person]),
            "flag": texts(np.concatenate([chunk[1] for chunk in chunks])),
            "start_date": days(start),
            "source": texts(source),
            "end_date": days(np.where(end < start, NEVER, end)),
            "confidence": texts(np.where(source == "ADDRESS_MATCH", "matched", "recorded")),
        }
    ).unique(["nhs_number", "flag", "start_date", "source"], keep="first", maintain_order=True)


def _draw_frailty(
    people: People, has_copd: Flags, mrc: Ints, has_diabetes: Flags, rng: np.random.Generator
) -> tuple[Ints, Flags]:
    """Draw a frailty category for everybody of 65 and over, and as many deficits as belong to it.

    Deficits that another condition brings with it (COPD, diabetes) are had first, the rest by weighted lot.
    """
    count, names = people.count, DEFICIT_NAMES
    deficits = np.zeros((count, len(names)), dtype=np.bool_)
    frailty = np.full(count, -1, dtype=np.int64)
    old = np.flatnonzero(people.age >= 65)
    if not len(old):
        return frailty, deficits
    shares = np.array([row[1:] for row in _FRAILTY_BY_AGE])
    band = np.searchsorted([row[0] for row in _FRAILTY_BY_AGE], people.age[old], side="right") - 1
    shares = shares[band]
    poverty = (10.5 - people.decile[old]) / 9
    luck = np.clip(rng.random(len(old)) + 0.12 * (poverty - 0.5), 0, 0.999)
    category = (luck[:, None] > np.cumsum(shares, axis=1)[:, :3]).sum(axis=1)
    category = np.where(has_copd[old] & (category == 0) & (rng.random(len(old)) < 0.4), 1, category)
    limits = np.array(_DEFICITS_OF_CATEGORY)[category]
    target = rng.integers(limits[:, 0], limits[:, 1] + 1)
    # Few people are just at the top of a band: the lower of two draws.
    target = np.minimum(target, rng.integers(limits[:, 0], limits[:, 1] + 1))

    weight = np.array([codes.DEFICITS[name][0] for name in names])
    lot = np.log(np.maximum(weight, 1e-12)) - np.log(-np.log(rng.random((len(old), len(names)))))
    lot[:, weight == 0] = -np.inf
    sure = np.zeros_like(lot, dtype=np.bool_)
    sure[:, _COLUMN["respiratory_disease"]] = has_copd[old]
    sure[:, _COLUMN["polypharmacy"]] = has_copd[old]
    sure[:, _COLUMN["dyspnoea"]] = has_copd[old] & (mrc[old] == 4)
    sure[:, _COLUMN["diabetes"]] = has_diabetes[old]
    lot = np.where(sure, np.inf, lot)
    target = np.maximum(target, sure.sum(axis=1))
    rank = np.argsort(np.argsort(-lot, axis=1, kind="stable"), axis=1, kind="stable")
    deficits[old] = rank < target[:, None]
    total = deficits[old].sum(axis=1)
    frailty[old] = np.searchsorted([limit[1] for limit in _DEFICITS_OF_CATEGORY], total, side="left")
    return frailty, deficits
