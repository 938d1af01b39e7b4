"""Frailty: Hospital Frailty Risk Score, electronic frailty index (eFI), eFI2.

Sources: Gilbert 2018, Lancet 391:1775, doi 10.1016/S0140-6736(18)30668-8 [2+: three identical copies of the weights];
Clegg 2016, Age Ageing 45:353, doi 10.1093/ageing/afw039 [2+ for the list, 1 for the value rules]; Best 2025, Age Ageing
54(4):afaf077 [1 numeric source for the coefficients, 2+ for the tiers].
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction

from second.answers import Answer, Number, certain, exact, icd10, total

# ---------------------------------------------------------------------------------------- Hospital Frailty Risk Score

HFRS_TIERS = ("high", "intermediate", "low")
HFRS_CODES = {
    "7.1": "F00",
    "4.4": "G81",
    "4.0": "G30",
    "3.7": "I69",
    "3.6": "R29",
    "3.2": "F05 N39 S00 W19",
    "3.0": "R31",
    "2.9": "B96",
    "2.7": "R41",
    "2.6": "I67 R26 R56",
    "2.5": "R40",
    "2.4": "S06 T83",
    "2.3": "E86 E87 M25 S42",
    "2.2": "R54",
    "2.1": "F03 W18 Z50",
    "2.0": "F01 L03 S80 Z75",
    "1.9": "E53 H54",
    "1.8": "G20 K59 N17 R55 S22 Z60",
    "1.7": "B95 L89 Z22",
    "1.6": "A41 I95 K26 L97 N19 R44",
    "1.5": "G40 J96 M19 X59 Z87",
    "1.4": "E16 M81 N18 R94 S32 S72",
    "1.3": "N28 R33 R69",
    "1.2": "G31 G45 R32 R45 S09 Y95",
    "1.1": "A04 A09 J18 M79 S01 W06 Z74",
    "1.0": "E55 J69 R02 R47 Z93",
    "0.9": "E05 H91 M41 R63 W01 W10",
    "0.8": "I63 K92 M80 R13 U80 Z99",
    "0.7": "F10 J22 N20 R00 Y84",
    "0.6": "R79 Z73",
    "0.5": "F32 M48 S51 Z91",
    "0.4": "D64 E83 L08 M15",
    "0.3": "K52 R11",
    "0.1": "R50",
}
HFRS_WEIGHTS = {code: weight for weight, codes in HFRS_CODES.items() for code in codes.split()}


def hfrs(codes: Iterable[str | None] | None, age: int | None, *, is_linked: bool = True) -> Answer:
    """Give the Hospital Frailty Risk Score [2+]: each three-character code once, low < 5, intermediate 5-15, high > 15.

    Args:
        codes: Diagnoses in every position of the stays that count (two years, the index stay too); None without a stay.
        age: Completed years; the score was validated from 75.
        is_linked: Hospital data can be seen at all. Where not, no tier can be ruled out.
    """
    if age is None or age < 75:
        return Answer(withheld="validated from 75")
    if not is_linked:
        return certain(HFRS_TIERS, HFRS_TIERS)
    if codes is None:
        return Answer(withheld="no hospital record")
    categories = {code[:3] for code in icd10(codes)}
    return hfrs_of_points(total(HFRS_WEIGHTS[each] for each in categories if each in HFRS_WEIGHTS))


def hfrs_of_points(value: Number) -> Answer:
    """Give the tier of a sum of points, rounded to one decimal first."""
    rounded = round(exact(value), 1)
    tier = "high" if rounded > 15 else "intermediate" if rounded >= 5 else "low"
    return certain(HFRS_TIERS, {tier}, rounded)


# ----------------------------------------------------------------------------------------------------------------- eFI

EFI_TIERS = ("severe", "moderate", "mild", "fit")
_EFI_NAMES = """
    activity_limitation anaemia_haematinic arthritis atrial_fibrillation cerebrovascular_disease chronic_kidney_disease
    diabetes dizziness dyspnoea falls foot_problems fragility_fracture hearing_impairment heart_failure
    heart_valve_disease housebound hypertension hypotension_syncope ischaemic_heart_disease memory_cognitive
    mobility_transfer osteoporosis parkinsonism_tremor peptic_ulcer peripheral_vascular_disease polypharmacy
    requirement_for_care respiratory_disease skin_ulcer sleep_disturbance social_vulnerability thyroid_disease
    urinary_incontinence urinary_system_disease visual_impairment weight_loss_anorexia
"""
EFI_DEFICITS = frozenset(_EFI_NAMES.split())


def efi(deficits: Collection[str], age: int | None, *, history_is_short: bool = False) -> Answer:
    """Give the electronic frailty index [2+]: deficits present of 36; edges 0.12, 0.24 and 0.36 belong below.

    Args:
        deficits: Names of the deficits present; an unknown name is an error.
        age: Completed years; derived for 65 to 95, given from 65 on.
        history_is_short: The record may not have arrived: the index can only be too low.
    """
    if unknown := set(deficits) - EFI_DEFICITS:
        raise ValueError(f"no such deficit: {sorted(unknown)}")
    if age is None or age < 65:
        return Answer(withheld="derived from 65")
    value = Fraction(len(set(deficits)), 36)
    if value <= Fraction("0.12"):
        tier = "fit"
    elif value <= Fraction("0.24"):
        tier = "mild"
    elif value <= Fraction("0.36"):
        tier = "moderate"
    else:
        tier = "severe"
    if not history_is_short:
        return Answer(value, tier, frozenset({tier}))
    possible = frozenset(EFI_TIERS[: EFI_TIERS.index(tier) + 1])
    return Answer(value, None if tier == "fit" else tier, possible)


def has_polypharmacy(different_medicines_in_12_months: int) -> bool:
    """Five or more different medicines in 12 months [1: gm-sde, attributed there to Clegg]."""
    return different_medicines_in_12_months >= 5


def efi_deficit_by_value(measure: str, value: Number, *, sex: str | None = None) -> str | None:
    """Give the deficit that a recorded value alone meets, or None [1: gm-sde only].

    Measures: barthel, haemoglobin (g/dL up to 25, else g/L), stroke_risk_score, egfr, urine_protein_mg_24h,
    urine_albumin_mg_24h, pcr, acr, microalbumin, falls_in_12_months, diastolic_24h, systolic_24h, six_cit,
    hip_t_score, abpi, copd_exacerbations, oxygen_hours, unscheduled_copd_contacts, tsh, must.
    """
    number = exact(value)
    if measure == "haemoglobin":
        grams_per_litre = number * 10 if number <= 25 else number
        limits = {"male": 130, "female": 115}
        return "anaemia_haematinic" if sex in limits and grams_per_litre < limits[sex] else None
    met = {
        "barthel": ("activity_limitation", number <= 18),
        "stroke_risk_score": ("atrial_fibrillation", True),
        "egfr": ("chronic_kidney_disease", 0 < number < 60),
        "urine_protein_mg_24h": ("chronic_kidney_disease", number > 150),
        "urine_albumin_mg_24h": ("chronic_kidney_disease", number > 20),
        "pcr": ("chronic_kidney_disease", number > 50),
        "acr": ("chronic_kidney_disease", number > 3),
        "microalbumin": ("chronic_kidney_disease", number > 3),
        "falls_in_12_months": ("falls", number > 0),
        "diastolic_24h": ("hypertension", number > 85),
        "systolic_24h": ("hypertension", number > 135),
        "six_cit": ("memory_cognitive", number >= 8),
        "hip_t_score": ("osteoporosis", number <= Fraction("-2.5")),
        "abpi": ("peripheral_vascular_disease", 0 < number < Fraction("0.95")),
        "copd_exacerbations": ("respiratory_disease", number >= 1),
        "oxygen_hours": ("respiratory_disease", number >= 1),
        "unscheduled_copd_contacts": ("respiratory_disease", number >= 1),
        "tsh": ("thyroid_disease", 0 < number < Fraction("0.36") or number > Fraction("5.5")),
        "must": ("weight_loss_anorexia", number >= 1),
    }
    deficit, is_met = met[measure]
    return deficit if is_met else None


# ---------------------------------------------------------------------------------------------------------------- eFI2

EFI2_TIERS = ("severe", "moderate", "mild", "robust")
EFI2_DIVISOR = Fraction("8.429")
EFI2_TERMS = {
    "activity_limitation": "0.15284",
    "atrial_fibrillation": "0.13025",
    "cancer": "0.2406",
    "cognitive_impairment": "0.10985",
    "copd": "0.11683",
    "dementia": "0.41715",
    "dressing_grooming_problems": "0.05422",
    "environment_problems": "0.11886",
    "falls": "0.62743",
    "fracture": "0.07353",
    "fragility_fracture": "0.17425",
    "heart_failure": "0.11086",
    "housebound": "0.33254",
    "hypotension_syncope": "0.18253",
    "liver_problems": "0.23787",
    "medication_management_problems": "0.32125",
    "memory_concerns": "0.11915",
    "mobility_problems": "0.46836",
    "motor_neurone_disease": "0.35347",
    "palliative_care": "0.5145",
    "parkinsonism_tremor": "0.03537",
    "peptic_ulcer": "0.05427",
    "peripheral_vascular_disease": "0.02672",
    "care_requirement": "0.21428",
    "respiratory_disease": "0.01049",
    "seizures": "0.02885",
    "self_harm": "0.009",
    "skin_ulcer": "0.21935",
    "smoker_current": "0.10291",
    "social_vulnerability": "0.23585",
    "stroke": "0.10565",
    "transient_ischaemic_attack": "0.02305",
    "weight_loss_anorexia": "0.19256",
}
EFI2_ALCOHOL = {"none": "0", "missing": "0.13175", "harmful": "0.23107", "previous_harmful_or_higher_risk": "1.36434"}
EFI2_BMI = {"not_underweight": "0", "missing": "0.25318", "underweight": "0.4417"}
EFI2_COGNITION = ("memory_concerns", "cognitive_impairment", "dementia")


def efi2(
    terms: Collection[str],
    age: int | None,
    *,
    alcohol: str | None,
    bmi: str | None,
    medicines: int,
    cognition: str = "added",
) -> Answer:
    """Give eFI2 [1]: coefficients added and divided by 8.429; robust < 0.0857, mild < 0.1624, moderate to 0.2391 [2+].

    Args:
        terms: Terms present, of ``EFI2_TERMS``; an unknown one is an error.
        age: Completed years; for 65 and over.
        alcohol: A key of ``EFI2_ALCOHOL``; None is ``missing``, which has its own coefficient.
        bmi: A key of ``EFI2_BMI``; None likewise.
        medicines: Different medicines (which, and over how long, was not found; NCL: BNF groups in 90 days).
        cognition: ``added``, as the divisor implies, or ``largest``, as the North Central London version has it.
    """
    if unknown := set(terms) - set(EFI2_TERMS):
        raise ValueError(f"no such term: {sorted(unknown)}")
    if age is None or age < 65:
        return Answer(withheld="for 65 and over")
    added = {term: Fraction(EFI2_TERMS[term]) for term in set(terms)}
    if cognition == "largest":
        several = [added.pop(term) for term in EFI2_COGNITION if term in added]
        added["cognition"] = max(several, default=Fraction(0))
    elif cognition != "added":
        raise ValueError(f"no such variant: {cognition}")
    added["alcohol"] = Fraction(EFI2_ALCOHOL[alcohol or "missing"])
    added["bmi"] = Fraction(EFI2_BMI[bmi or "missing"])
    added["polypharmacy"] = Fraction("0.50801" if medicines >= 10 else "0.32301" if medicines >= 5 else "0")
    return efi2_of_index(sum(added.values(), Fraction(0)) / EFI2_DIVISOR)


def efi2_of_index(index: Number) -> Answer:
    """Give the tier of an index, not rounded first."""
    value = exact(index)
    if value < Fraction("0.0857"):
        tier = "robust"
    elif value < Fraction("0.1624"):
        tier = "mild"
    elif value <= Fraction("0.2391"):
        tier = "moderate"
    else:
        tier = "severe"
    return certain(EFI2_TIERS, {tier}, value)
