"""Readmission: PARR-30 and LACE.

Sources: Billings 2012, BMJ Open 2:e001667 (PARR-30; two identical copies) [2+]; van Walraven 2010, CMAJ 182:551 (LACE)
[2+; its Charlson weights by Schneeweiss 2003 were not found].
"""

from __future__ import annotations

import math
from collections.abc import Collection
from fractions import Fraction

from second.answers import Answer, Number, exact, scored

PARR_INTERCEPT = "-2.91821"
PARR_AGE_SQUARED = "0.000060581"
PARR_EMERGENCY_LAST_YEAR = "0.1215"
PARR_EMERGENCY_LAST_30_DAYS = "0.5258"
PARR_CURRENT_IS_EMERGENCY = "0.5565"
PARR_DEPRIVATION = [
    ("50", "0.0982"),
    ("40", "0.1017"),
    ("25", "0.0661"),
    ("15", "0.0239"),
    ("10", "0.0209"),
    ("0", "0"),
]
"""By the IMD 2007 *score* of the area: from (and on) the first number, to below the one before."""
PARR_CONDITIONS = {  # coded in hospital within two years
    "congestive_heart_failure": "0.095",
    "peripheral_vascular_disease": "0.1043",
    "chronic_pulmonary_disease": "0.2243",
    "diabetes_with_chronic_complications": "0.1457",
    "renal_disease": "0.1977",
    "metastatic_cancer": "0.2762",
    "other_malignant_cancer": "0.5069",
    "moderate_severe_liver_disease": "0.2673",
    "other_liver_disease": "0.2133",
    "hemiplegia_paraplegia": "0.1061",
    "dementia": "0.0467",
}


def parr30(
    age: Number | None,
    imd_score: Number | None,
    emergencies_last_year: int | None,
    emergency_last_30_days: bool | None,
    current_is_emergency: bool | None,
    conditions: Collection[str],
    trust_term: Number = "0",
) -> Answer:
    """Give the risk of emergency readmission within 30 days of discharge by PARR-30 [2+]; no tier is published.

    Anything missing: no score (a skipped term would count as nought without saying so). ``trust_term`` 0 makes it a
    ranking: the published terms are of the trusts of 2009/10.
    """
    z = parr30_z(
        age, imd_score, emergencies_last_year, emergency_last_30_days, current_is_emergency, conditions, trust_term
    )
    return Answer() if z is None else Answer(1 / (1 + math.exp(-z)))


def parr30_z(
    age: Number | None,
    imd_score: Number | None,
    emergencies_last_year: int | None,
    emergency_last_30_days: bool | None,
    current_is_emergency: bool | None,
    conditions: Collection[str],
    trust_term: Number = "0",
) -> Fraction | None:
    """Give the linear predictor of PARR-30 exactly; None with anything missing."""
    if unknown := set(conditions) - set(PARR_CONDITIONS):
        raise ValueError(f"no such condition: {sorted(unknown)}")
    if None in (age, imd_score, emergencies_last_year, emergency_last_30_days, current_is_emergency):
        return None
    area = exact(imd_score)
    return (
        Fraction(PARR_INTERCEPT)
        + exact(trust_term)
        + Fraction(PARR_AGE_SQUARED) * exact(age) ** 2
        + Fraction(next(term for at_least, term in PARR_DEPRIVATION if area >= Fraction(at_least)))
        + Fraction(PARR_EMERGENCY_LAST_YEAR) * emergencies_last_year
        + (Fraction(PARR_EMERGENCY_LAST_30_DAYS) if emergency_last_30_days else 0)
        + (Fraction(PARR_CURRENT_IS_EMERGENCY) if current_is_emergency else 0)
        + sum(Fraction(PARR_CONDITIONS[each]) for each in set(conditions))
    )


LACE_TIERS = ("high", "not_high")


def lace(days: Number | None, emergency: bool | None, charlson: int | None, visits_6_months: int | None) -> Answer:
    """Give LACE, 0-19, high from 10 [2+].

    Args:
        days: Length of stay; bands are closed below: under 1 day 0, from 1 to under 2 days 1, ... from 14 on 7.
        emergency: The stay began as an emergency.
        charlson: Charlson points; the paper's own weights (Schneeweiss 2003) were not found.
        visits_6_months: Emergency department visits in the six months before.
    """

    def value(days, emergency, charlson, visits_6_months) -> int:
        stay = [(14, 7), (7, 5), (4, 4), (3, 3), (2, 2), (1, 1), (0, 0)]
        return (
            next(given for at_least, given in stay if days >= at_least)
            + (3 if emergency else 0)
            + (charlson if charlson <= 3 else 5)
            + min(visits_6_months, 4)
        )

    inputs = {"days": exact(days), "emergency": emergency, "charlson": charlson, "visits_6_months": visits_6_months}
    candidates = {"days": (0, 1, 2, 3, 4, 7, 14), "emergency": (False, True)}
    candidates |= {"charlson": (0, 1, 2, 3, 4), "visits_6_months": (0, 1, 2, 3, 4)}
    return scored(value, lambda value: "high" if value >= 10 else "not_high", inputs, candidates)
