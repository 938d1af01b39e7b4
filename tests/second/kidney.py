"""Kidney failure risk equation (KFRE), four variables.

Sources: Tangri 2016, JAMA 315:164 (formula, 2 and 5 years, North America and elsewhere) [2+]; Major 2019, PLoS Med
16:e1002955, correction e1003313, as coded in BRCLeicesterData/KFRE (UK, 5 years) [1]. UK, 2 years: not found.
"""

from __future__ import annotations

import math

from second.answers import Answer, Number, exact

BASELINE_SURVIVAL = {
    ("north_america", 2): 0.9750,
    ("north_america", 5): 0.9240,
    ("elsewhere", 2): 0.9832,
    ("elsewhere", 5): 0.9365,
    ("uk", 5): 0.9570,
}
REFERRAL_TIERS = ("refer", "not_refer")


def kfre(
    age: Number | None,
    is_male: bool | None,
    egfr: Number | None,
    acr_mg_mmol: Number | None,
    *,
    region: str = "uk",
    years: int = 5,
    is_on_dialysis: bool = False,
) -> Answer:
    """Give the risk of kidney failure and, at 5 years, whether it is above the 5 % of NICE NG203 (``refer``).

    For adults with an eGFR below 60 who are not on dialysis. Any input missing, or an ACR of nought or less: no score.

    Args:
        age: Years.
        is_male: Sex as the equation has it.
        egfr: mL/min/1.73 m2.
        acr_mg_mmol: Urine albumin to creatinine, mg/mmol; the equation takes mg/g, which is this over 0.113.
        region: ``uk``, ``north_america`` or ``elsewhere``.
        years: 2 or 5; there is no UK figure for 2.
        is_on_dialysis: Has kidney replacement therapy.
    """
    survival = BASELINE_SURVIVAL[region, years]
    if is_on_dialysis:
        return Answer(withheld="on dialysis")
    if age is not None and exact(age) < 18:
        return Answer(withheld="for adults")
    if egfr is not None and exact(egfr) >= 60:
        return Answer(withheld="eGFR is 60 or more")
    if None in (age, is_male, egfr, acr_mg_mmol) or exact(acr_mg_mmol) <= 0:
        return Answer(None, None, frozenset(REFERRAL_TIERS) if years == 5 else None)
    predictor = (
        -0.2201 * (float(age) / 10 - 7.036)
        + 0.2467 * ((1 if is_male else 0) - 0.5642)
        - 0.5567 * (float(egfr) / 5 - 7.222)
        + 0.4510 * (math.log(float(acr_mg_mmol) / 0.113) - 5.137)
    )
    risk = 1 - survival ** math.exp(predictor)
    if years != 5:
        return Answer(risk)
    tier = "refer" if risk > 0.05 else "not_refer"
    return Answer(risk, tier, frozenset({tier}))
