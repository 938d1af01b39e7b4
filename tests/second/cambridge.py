"""Cambridge Multimorbidity Score: general outcome over 20 and 37 conditions, mortality over 20.

Source: Payne 2020, CMAJ 192:E107. Weights: general 20 [2+]; mortality 20 [1] and general 37 [1, two of 37 not found]
from AdamCameron95/Cambridge-Multimorbidity-Score. Condition rules: CPRD @ Cambridge v1.1. The four segments' edges are
BNSSG's own [1]; the paper has none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from fractions import Fraction

from second.answers import Answer, Number, exact
from second.windows import is_within

WEIGHTS = {  # condition: general 20, mortality 20, general 37; None: not in that score
    "dementia": ("2.5", "124.42", "2.46"),
    "cancer": ("1.53", "62", "1.5"),
    "copd": ("1.46", "42.5", "1.41"),
    "atrial_fibrillation": ("1.34", "22.14", "1.3"),
    "parkinsons_disease": (None, None, "1.29"),
    "heart_failure": ("1.18", "43.47", "1.12"),
    "constipation": ("1.12", "35.42", "1.03"),
    "painful_condition": ("0.92", "16.46", "0.87"),
    "epilepsy": ("0.92", "18.26", "0.85"),
    "stroke_tia": ("0.8", "20.63", "0.77"),
    "chronic_liver_disease": (None, None, "0.72"),
    "diabetes": ("0.75", "10.23", "0.71"),
    "multiple_sclerosis": (None, None, "0.69"),
    "bronchiectasis": (None, None, "0.66"),
    "psychosis_bipolar": ("0.64", "7.2", "0.58"),
    "alcohol_problems": ("0.65", "12.72", "0.55"),
    "peripheral_vascular_disease": (None, None, "0.53"),
    "chronic_kidney_disease": ("0.53", "16.61", "0.51"),
    "learning_disability": (None, None, "0.47"),
    "anxiety_depression": ("0.5", "7.04", "0.47"),
    "coronary_heart_disease": ("0.49", "4.22", "0.46"),
    "inflammatory_bowel_disease": (None, None, "0.44"),
    "connective_tissue_disorder": ("0.43", "-0.39", "0.4"),
    "psychoactive_substance_misuse": (None, None, "0.38"),
    "anorexia_bulimia": (None, None, "0.34"),
    "psoriasis_eczema": (None, None, "0.25"),
    "peptic_ulcer": (None, None, "0.2"),
    "irritable_bowel_syndrome": ("0.21", "-1.33", "0.18"),
    "asthma": ("0.19", "-2.73", "0.18"),
    "blindness_low_vision": (None, None, "0.15"),
    "hypertension": ("0.08", "-2.09", "0.09"),
    "thyroid_disorders": (None, None, "0.08"),
    "migraine": (None, None, "0.07"),
    "hearing_loss": ("0.09", "-3.94", "0.07"),
    "prostate_disorders": (None, None, "0.01"),
}
WEIGHT_NOT_FOUND = frozenset({"diverticular_disease", "chronic_sinusitis"})
SEGMENTS = ("5", "4", "3", "2", "1")


def _score(conditions: Collection[str], column: int) -> Fraction:
    if unknown := set(conditions) - set(WEIGHTS) - WEIGHT_NOT_FOUND:
        raise ValueError(f"no such condition: {sorted(unknown)}")
    weights = [WEIGHTS[each][column] for each in set(conditions) - WEIGHT_NOT_FOUND]
    return sum((Fraction(each) for each in weights if each is not None), Fraction(0))


def general_20(conditions: Collection[str]) -> Answer:
    """Give the general-outcome score over 20 conditions [2+]; the others of the 37 do not count."""
    return Answer(_score(conditions, 0))


def mortality_20(conditions: Collection[str]) -> Answer:
    """Give the mortality score over 20 conditions [1]; it may be below nought."""
    return Answer(_score(conditions, 1))


def general_37(conditions: Collection[str]) -> Answer:
    """Give the general-outcome score over 37 conditions [1] with BNSSG's segment.

    A person with one of the two conditions of which no weight was found has a score that can only be too low: the
    segments above stay possible. (All 35 weights found are above nought.)
    """
    value = _score(conditions, 2)
    segment = segment_of(value)
    if not set(conditions) & WEIGHT_NOT_FOUND:
        return Answer(value, segment, frozenset({segment}))
    possible = SEGMENTS[: SEGMENTS.index(segment) + 1]
    return Answer(value, segment if possible[-1] != "1" else None, frozenset(possible))


def segment_of(value: Number) -> str:
    """Give BNSSG's segment [1, local]: from 2.96, 1.58, 0.69 and 0.09 on, and below."""
    number = exact(value)
    edges = [("2.96", "5"), ("1.58", "4"), ("0.69", "3"), ("0.09", "2")]
    return next((name for edge, name in edges if number >= Fraction(edge)), "1")


# ------------------------------------------------------------------------------------- when a condition is there [1]


def has_cancer(first_coded: date | None, index_date: date) -> bool:
    """First cancer code in the last five years (non-melanoma skin cancer left out)."""
    return first_coded is not None and is_within(first_coded, index_date, months=60)


def has_chronic_kidney_disease(egfr_newest_first: Sequence[Number]) -> bool | None:
    """The higher of the last two eGFR is below 60; with fewer than two, not known unless the one is 60 or more."""
    last = [exact(each) for each in egfr_newest_first[:2]]
    if any(each >= 60 for each in last):
        return False
    return True if len(last) == 2 else None


def has_by_issues(issues_in_12_months: int) -> bool:
    """Constipation (laxatives), migraine: four or more issues in 12 months."""
    return issues_in_12_months >= 4


def has_painful_condition(analgesics: int, anti_epileptics: int, *, epilepsy_ever: bool) -> bool:
    """Four analgesics in 12 months, or four anti-epileptics and no epilepsy code."""
    return analgesics >= 4 or (anti_epileptics >= 4 and not epilepsy_ever)


def has_under_treatment(coded_ever: bool, issues_in_12_months: int, at_least: int = 1) -> bool:
    """Asthma, epilepsy: coded and one issue in 12 months; psoriasis or eczema: coded and four."""
    return coded_ever and issues_in_12_months >= at_least


def has_anxiety_depression(coded_in_12_months: bool, anxiolytics: int, antidepressants: int) -> bool:
    """A code in 12 months, or four issues of anxiolytics, hypnotics or antidepressants in 12 months."""
    return coded_in_12_months or anxiolytics + antidepressants >= 4


def has_irritable_bowel(coded_ever: bool, antispasmodics: int) -> bool:
    """A code ever, or four antispasmodics in 12 months."""
    return coded_ever or antispasmodics >= 4


def has_psychosis_bipolar(coded_ever: bool, lithium_ever: bool) -> bool:
    """A code ever or lithium ever."""
    return coded_ever or lithium_ever
