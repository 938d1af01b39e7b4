"""NCL ICB priority groups for chronic kidney disease, hypertension and coronary heart disease.

Source: ncl-icb-analytics/dbt-ncl-analytics 213ca05 [1]. The residual group LR is in the source for hypertension; for
kidney and heart disease it is [inferred].
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from second.answers import Answer, Number, certain, exact, ruled
from second.windows import is_within

CKD_GROUPS = ("HRC", "HR", "MR", "LR")
HYPERTENSION_GROUPS = ("HRC", "HR", "MRa", "MRb", "LR")
CHD_GROUPS = ("HRC", "HR", "MR", "LR")


def ckd_group(
    egfr: Number | None,
    acr: Number | None,
    systolic: Number | None,
    diastolic: Number | None,
    *,
    antihypertensive_orders: int = 0,
    has_diabetes: bool = False,
    as_printed: bool = False,
) -> Answer:
    """Give the group of a person on the CKD register: the first that matches.

    eGFR and ACR (mg/mmol) are the latest, BP is of 12 months, repeat antihypertensive orders of 3 months. The printed
    ranges leave values in no rule: ACR exactly 250 (> 250, and 70 to below 250), ACR exactly 3 with eGFR 30-44 (> 3 and
    < 3), eGFR exactly 60 ([45, 59] and > 60). Unless ``as_printed``, such a value goes to the lower of its neighbours:
    250 to HR, 3 to MR, 60 with the eGFR above 60.
    """

    def group(egfr, acr, systolic, diastolic) -> str:
        g3a, g3b = 45 <= egfr < 60, 30 <= egfr < 45
        above_60 = egfr > 60 if as_printed else egfr >= 60
        if egfr < 15 or acr > 250:
            return "HRC"
        if (g3a and acr > 30) or (g3b and acr > 3) or 15 <= egfr < 30 or 70 <= acr < 250:
            return "HR"
        if (acr == 250 and not as_printed) or antihypertensive_orders >= 3 or diastolic > 90 or systolic > 150:
            return "HR"
        if above_60 and (acr >= 30 or (has_diabetes and acr >= 3)):
            return "MR"
        if (g3a and 3 <= acr <= 30) or (g3b and (acr < 3 or (acr == 3 and not as_printed))):
            return "MR"
        return "LR"

    inputs = {"egfr": exact(egfr), "acr": exact(acr), "systolic": exact(systolic), "diastolic": exact(diastolic)}
    candidates = {
        "egfr": (10, 20, 40, 50, 60, 70),
        "acr": (1, 3, 10, 30, 50, 70, 250, 300),
        "systolic": (120, 160),
        "diastolic": (70, 95),
    }
    return ruled(CKD_GROUPS, group, inputs, candidates)


COMORBIDITIES = frozenset({"chd", "stroke_tia", "peripheral_arterial_disease", "ckd", "diabetes"})


def hypertension_group(
    age: int | None,
    clinic: tuple[Number, Number] | None,
    home: tuple[Number, Number] | None,
    *,
    comorbidities: Collection[str] = (),
    egfr: Number | None = 90,
    bmi: Number | None = 25,
    has_listed_ethnicity: bool | None = False,
) -> Answer:
    """Give the group of a person on the hypertension register: the first that matches.

    ``clinic`` and ``home`` (or ambulatory) are the latest of 12 months, systolic and diastolic; either part above its
    limit is enough, and so is either kind of reading. With neither, every group stays possible: no reading is not low.
    Also a comorbidity: eGFR below 60, BMI above 35. Which ethnicities are listed is the source's.
    """
    if unknown := set(comorbidities) - COMORBIDITIES:
        raise ValueError(f"no such comorbidity: {sorted(unknown)}")

    def is_above(readings, clinic_limit, home_limit) -> bool:
        return any(
            exact(systolic) > limit[0] or exact(diastolic) > limit[1]
            for (systolic, diastolic), limit in zip(readings, (clinic_limit, home_limit), strict=True)
        )

    def group(age, readings, egfr, bmi, has_listed_ethnicity) -> str:
        comorbid = bool(comorbidities) or egfr < 60 or bmi > 35
        if is_above(readings, (180, 120), (170, 115)):
            return "HRC"
        if is_above(readings, (160, 100), (150, 95)):
            return "HR"
        raised = is_above(readings, (140, 90), (135, 85))
        if raised and has_listed_ethnicity and comorbid:
            return "HR"
        if raised and (has_listed_ethnicity or comorbid):
            return "MRa"
        if (age <= 80 and raised) or (age > 80 and is_above(readings, (150, 90), (145, 85))):
            return "MRb"
        return "LR"

    low = (0, 0)
    readings = None if clinic is None and home is None else (clinic or low, home or low)
    inputs = {"age": age, "readings": readings, "egfr": exact(egfr), "bmi": exact(bmi)}
    inputs["has_listed_ethnicity"] = has_listed_ethnicity
    candidates = {
        "age": (60, 85),
        "readings": tuple((each, low) for each in ((120, 70), (145, 80), (155, 85), (170, 80), (190, 80))),
        "egfr": (40, 90),
        "bmi": (25, 40),
        "has_listed_ethnicity": (False, True),
    }
    return ruled(HYPERTENSION_GROUPS, group, inputs, candidates)


def chd_group(
    first_recorded: date,
    new_or_flare: date | None,
    index_date: date,
    *,
    statin_6_months: bool = False,
    non_hdl: Number | None = None,
) -> Answer:
    """Give the group of a person on the CHD register: the first that matches.

    ``new_or_flare`` is the latest day of a new event or flare-up. A first record within one month is new as well.
    Non-HDL cholesterol in mmol/L, the latest; missing, it leaves MR open for somebody on a statin.
    """
    flares = [day for day in (first_recorded, new_or_flare) if day is not None]
    if any(is_within(day, index_date, months=1) for day in flares):
        return certain(CHD_GROUPS, {"HRC"})
    if is_within(first_recorded, index_date, months=12):
        return certain(CHD_GROUPS, {"HR"})
    if not statin_6_months:
        return certain(CHD_GROUPS, {"LR"})
    if non_hdl is None:
        return certain(CHD_GROUPS, {"MR", "LR"})
    return certain(CHD_GROUPS, {"MR" if exact(non_hdl) > exact("2.5") else "LR"})
