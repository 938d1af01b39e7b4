"""Diabetes: care processes, treatment targets of each owner, non-diabetic hyperglycaemia, NCL risk groups.

Sources: NICE and NDA care processes [2+]; targets of NCL ICB, of the National Diabetes Audit 2016-17 (column headings;
the NEW combined target is [inferred]) and of QOF; NICE PH38 and NHS DPP service pages [2+]; NCL ICB rules,
ncl-icb-analytics/dbt-ncl-analytics 213ca05 [1].
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from second.answers import Answer, Number, exact, ruled
from second.windows import is_within

EIGHT_PROCESSES = (
    "hba1c",
    "blood_pressure",
    "total_cholesterol",
    "serum_creatinine",
    "urine_albumin_creatinine_ratio",
    "foot_examination",
    "bmi",
    "smoking_status",
)
NINTH_PROCESS = "retinal_screening"


def care_processes_done(latest: Mapping[str, date | None], index_date: date) -> set[str]:
    """Give the processes of which the latest date is in the last 12 months [2+]. An unknown process is an error."""
    if unknown := set(latest) - {*EIGHT_PROCESSES, NINTH_PROCESS}:
        raise ValueError(f"no such process: {sorted(unknown)}")
    return {name for name, day in latest.items() if day is not None and is_within(day, index_date, months=12)}


def care_process_count(latest: Mapping[str, date | None], index_date: date) -> int:
    """Count how many of the eight are done: "all eight" leaves retinal screening out."""
    return len(care_processes_done(latest, index_date) & set(EIGHT_PROCESSES))


# ------------------------------------------------------------------------------------------------------------- targets


def _target(*parts: bool | None, withheld: str | None = None) -> Answer:
    """Answer ``met`` if every part is, ``not_met`` if any known part is not; else both are possible."""
    if withheld:
        return Answer(withheld=withheld)
    if False in parts:
        return Answer(None, "not_met", frozenset({"not_met"}))
    if None in parts:
        return Answer(None, None, frozenset({"not_met", "met"}))
    return Answer(None, "met", frozenset({"met"}))


def _at_most(value: Number | None, limit: Number) -> bool | None:
    return None if value is None else exact(value) <= exact(limit)


def _below(value: Number | None, limit: Number) -> bool | None:
    return None if value is None else exact(value) < exact(limit)


def triple_target_ncl(
    hba1c: Number | None, systolic: Number | None, diastolic: Number | None, total_cholesterol: Number | None
) -> Answer:
    """NCL ICB [1]: HbA1c <= 58, BP < 130 and < 80, total cholesterol < 5."""
    return _target(_at_most(hba1c, 58), _below(systolic, 130), _below(diastolic, 80), _below(total_cholesterol, 5))


def triple_target_nda_2016(
    hba1c: Number | None, systolic: Number | None, diastolic: Number | None, total_cholesterol: Number | None
) -> Answer:
    """National Diabetes Audit 2016-17: HbA1c <= 58, BP <= 140/80, total cholesterol < 5."""
    return _target(_at_most(hba1c, 58), _at_most(systolic, 140), _at_most(diastolic, 80), _below(total_cholesterol, 5))


def triple_target_nda_new(
    hba1c: Number | None, systolic: Number | None, diastolic: Number | None, statin: bool | None
) -> Answer:
    """The audit's NEW combined target [inferred]: a statin in the place of cholesterol."""
    return _target(_at_most(hba1c, 58), _at_most(systolic, 140), _at_most(diastolic, 80), statin)


FRAIL = "moderate or severe frailty"


def qof_dm020(hba1c: Number | None, *, is_frail: bool) -> Answer:
    """QOF DM020: HbA1c <= 58, for people without moderate or severe frailty."""
    return _target(_at_most(hba1c, 58), withheld=FRAIL if is_frail else None)


def qof_dm021(hba1c: Number | None, *, is_frail: bool) -> Answer:
    """QOF DM021: HbA1c <= 75, for people with moderate or severe frailty."""
    return _target(_at_most(hba1c, 75), withheld=None if is_frail else f"no {FRAIL}")


def qof_dm036(systolic: Number | None, diastolic: Number | None, age: int, *, is_frail: bool) -> Answer:
    """QOF DM036: BP <= 140/90, below 80 years and without moderate or severe frailty."""
    withheld = FRAIL if is_frail else "80 or over" if age >= 80 else None
    return _target(_at_most(systolic, 140), _at_most(diastolic, 90), withheld=withheld)


# ---------------------------------------------------------------------------------------- non-diabetic hyperglycaemia

NDH_TIERS = ("diabetes_range", "ndh", "not_ndh")


def non_diabetic_hyperglycaemia(
    age: int | None,
    hba1c: Number | None,
    fasting_glucose: Number | None,
    *,
    is_pregnant: bool = False,
    has_diabetes: bool = False,
) -> Answer:
    """Say whether results fit referral to the diabetes prevention programme [2+]: HbA1c 42-47 or fasting 5.5-6.9.

    Both ranges hold their ends. 48 and 7.0 [7.0 inferred] and over are the diabetes range and come first. Results are
    no older than 12 or 24 months by the local offer: leave an older one out. One result out of range is enough to say
    ``not_ndh``; with none nothing is known.
    """
    if age is None or age < 18:
        return Answer(withheld="from 18 years")
    if is_pregnant:
        return Answer(withheld="pregnant")
    if has_diabetes:
        return Answer(withheld="has diabetes")
    blood, sugar = exact(hba1c), exact(fasting_glucose)
    if blood is None and sugar is None:
        return Answer(None, None, frozenset(NDH_TIERS))
    if (blood is not None and blood >= 48) or (sugar is not None and sugar >= 7):
        tier = "diabetes_range"
    elif (blood is not None and 42 <= blood <= 47) or (sugar is not None and exact("5.5") <= sugar <= exact("6.9")):
        tier = "ndh"
    else:
        tier = "not_ndh"
    return Answer(blood if blood is not None else sugar, tier, frozenset({tier}))


# ---------------------------------------------------------------------------------------------------- NCL risk groups

NCL_GROUPS = ("HRC", "HR", "MRa", "MRb", "LR")
COMPLICATIONS = frozenset(
    {
        "erectile_dysfunction",
        "retinopathy",
        "neuropathy",
        "foot_risk_moderate_or_high",
        "heart_failure",
        "peripheral_arterial_disease",
    }
)


def ncl_diabetes_group(
    hba1c: Number | None,
    egfr: Number | None,
    acr: Number | None,
    systolic: Number | None,
    diastolic: Number | None,
    *,
    bmi: Number | None = 25,
    elf: Number | None = None,
    cardiac_ever: bool = False,
    glp1_or_insulin_6_months: bool = False,
    foot_ulcer_3_years: bool = False,
    first_mi_1_year: bool = False,
    first_stroke_tia_1_year: bool = False,
    mi_stroke_tia_12_months: bool = False,
    complications: frozenset[str] = frozenset(),
    as_printed: bool = False,
) -> Answer:
    """Give the NCL ICB risk group [1] as its text means it: the first that matches (1 HRC, 2 HR, 3a MRa, 3b MRb, 4 LR).

    HbA1c in mmol/mol, eGFR in mL/min/1.73 m2, ACR in mg/mmol, BP in mmHg (either part is enough). Missing HbA1c, eGFR,
    ACR, BP or BMI leaves open what it could change; a person who never had an ELF test is as one with a low result.

    The text leaves holes under 3b: with HbA1c above 48 to 58 it names eGFR 45-49 and ACR 3-30, so that an eGFR of 35 or
    an ACR of 50 (3a asks for HbA1c above 58) would be group 4. Here 3b takes eGFR below 50 and ACR from 3 on, unless
    ``as_printed``. Whole numbers of eGFR are bands closed below: 29.5 is in 15-29.
    """
    if unknown := complications - COMPLICATIONS:
        raise ValueError(f"no such complication: {sorted(unknown)}")

    def group(hba1c, egfr, acr, systolic, diastolic, bmi) -> str:
        high_pressure = systolic >= 140 or diastolic >= 90
        if hba1c > 90 or egfr < 15 or acr > 250 or (elf is not None and exact(elf) > exact("9.8")):
            return "HRC"
        if hba1c > 75 and (cardiac_ever or glp1_or_insulin_6_months):
            return "HRC"
        if hba1c > 75 or foot_ulcer_3_years or first_mi_1_year or first_stroke_tia_1_year or egfr < 30 or acr > 70:
            return "HR"
        if hba1c > 58:
            return "MRa" if mi_stroke_tia_12_months or egfr < 45 or acr > 30 or high_pressure else "MRb"
        if hba1c > 48:
            if complications or bmi > 35 or glp1_or_insulin_6_months or high_pressure:
                return "MRb"
            if 45 <= egfr < 50 or 3 <= acr <= 30:
                return "MRb"
            if not as_printed and (egfr < 45 or acr > 30):
                return "MRb"
        return "LR"

    inputs = {"hba1c": exact(hba1c), "egfr": exact(egfr), "acr": exact(acr), "systolic": exact(systolic)}
    inputs |= {"diastolic": exact(diastolic), "bmi": exact(bmi)}
    candidates = {
        "hba1c": (40, 50, 60, 80, 95),
        "egfr": (10, 20, 40, 47, 70),
        "acr": (1, 10, 50, 100, 300),
        "systolic": (120, 150),
        "diastolic": (70, 95),
        "bmi": (25, 40),
    }
    return ruled(NCL_GROUPS, group, inputs, candidates)
