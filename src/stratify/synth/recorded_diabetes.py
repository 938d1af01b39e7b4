"""What the records of one invented person say of diabetes, read a second time from the words of the rules.

Here: values with the units they may be written in (``docs/rules/measurements.md``), the care processes of a year, and
each fact the rules of diabetes and of its prevention ask about. What follows belongs to ``oracle_diabetes``, what every
pathway reads to ``recorded``. The county writes no fasting glucose, no foot ulcer, no complication of eye or nerve, no
pregnancy, no eating disorder, no frailty graded by a clinician and no end of diabetes or heart failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stratify.synth import clinical_codes as codes
from stratify.synth.recorded import (
    LIVING_FACTS,
    Fact,
    Facts,
    Person,
    Reading,
    Row,
    either_code,
    found_of,
    latest_of,
    sign_of,
)

DIABETES = {codes.TYPE_1_DIABETES.code, codes.TYPE_2_DIABETES.code}
HBA1C = codes.HBA1C.code
_CORONARY = {each.code for each in codes.DEFICITS["ischaemic_heart_disease"][1]}
_HEART_ATTACK = {each.code for each in codes.DEFICITS["ischaemic_heart_disease"][1] if "infarction" in each.term}
_STROKE_OR_TIA = {each.code for each in codes.DEFICITS["cerebrovascular"][1]}
_HEART_FAILURE = {each.code for each in codes.DEFICITS["heart_failure"][1]}
_FIBRILLATION = {each.code for each in codes.DEFICITS["atrial_fibrillation"][1]}
_ARTERIES_OF_THE_LEG = {each.code for each in codes.DEFICITS["peripheral_vascular_disease"][1]}
_SMOKING = {each.code for each in codes.SMOKING}
_FOOT_CHECK = {codes.FOOT_EXAMINATION.code}
INSULIN = either_code(codes.INSULIN_GLARGINE, codes.INSULIN_ASPART)

PRESSURES = {codes.SYSTOLIC.code, codes.DIASTOLIC.code}


@dataclass(frozen=True, slots=True)
class _Measure:
    """How values under a code may be written: units by what they are multiplied by, what is plausible, what is none."""

    units: dict[str, float]
    least: float
    most: float
    least_without_unit: float | None = 0
    not_done: tuple[float, ...] = (0, 999)


def _words(*names: str, times: float = 1) -> dict[str, float]:
    return {" ".join(name.lower().split()): times for name in names}


_MMHG = _words("mmHg", "mm[Hg]", "mm Hg", "mm(Hg)", "mmHg.", "millimetre of mercury")
_MEASURES = {
    # A value without a unit is in mmol/mol, as the code says, unless it is so small that it may be a percentage.
    HBA1C: _Measure(_words("mmol/mol", "mmol/mol Hb", "mmol/mol{Hb}", "mmols/mol"), 20, 200, 25.000001),
    codes.EGFR.code: _Measure(
        _words(
            "mL/min/1.73m2", "mL/min/1.73m*2", "mL/min/1.73m^2", "mL/min/{1.73_m2}", "mL/min/1.73 m2", "mL/min",
            "mL/min/1.73sqm", "mL/min/1.73m²",
        ), 1, 200,
    ),
    codes.CREATININE.code: _Measure(
        _words("umol/L", "µmol/L", "μmol/L", "micromol/L", "micromoles/L") | _words("mmol/L", times=1000), 10, 2000,
        not_done=(0,),
    ),
    codes.ALBUMIN_CREATININE_RATIO.code: _Measure(
        _words("mg/mmol", "mg/mmol{creat}", "mg/mmol creat", "mg/mmol Cr"), 0, 1500, None, not_done=()
    ),
    codes.CHOLESTEROL.code: _Measure(_words("mmol/L", "millimol/L", "millimoles/L", "mmols/L"), 0.5, 30),
    codes.BODY_MASS_INDEX.code: _Measure(
        _words("kg/m2", "kg/m²", "kg/m^2", "kg/m*2", "kg/m**2", "kg/sqm", "kg/sq.m"), 10, 150
    ),
    codes.SYSTOLIC.code: _Measure(_MMHG, 40, 350),
    codes.DIASTOLIC.code: _Measure(_MMHG, 20, 200),
}  # fmt: skip
"""``least_without_unit``: from which a value without a unit is taken to be in the first one; None for never."""

ENTRIES = frozenset(
    DIABETES | _CORONARY | _STROKE_OR_TIA | _HEART_FAILURE | _FIBRILLATION | _ARTERIES_OF_THE_LEG | _SMOKING
    | _FOOT_CHECK
)  # fmt: skip
"""Codes of entries that a conclusion about diabetes can rest on."""
MEASURED = frozenset(_MEASURES.keys() - PRESSURES)
"""Codes of values that one can rest on, beside those of blood pressure."""

VALUES = (
    "hba1c", "egfr", "albumin_creatinine_ratio", "systolic_blood_pressure", "diastolic_blood_pressure",
    "body_mass_index",
)  # fmt: skip
"""Facts that are measured: without a value that can be used they are not known, and nothing follows."""
PROCESSES = (
    "hba1c_of_the_year", "cholesterol_of_the_year", "creatinine_of_the_year", "egfr_of_the_year",
    "albumin_creatinine_ratio_of_the_year", "body_mass_index_of_the_year", "has_smoking_status_of_the_year",
    "has_foot_check_of_the_year",
)  # fmt: skip
DIABETES_FACTS = (
    *LIVING_FACTS, *VALUES, *PROCESSES, "is_on_diabetes_register", "has_coronary_heart_disease", "has_heart_failure",
    "has_atrial_fibrillation", "has_insulin_or_glp1_agonist", "has_first_myocardial_infarction_in_year",
    "has_first_stroke_or_tia_in_year", "has_heart_attack_stroke_or_tia_in_year", "has_peripheral_arterial_disease",
)  # fmt: skip
"""What the rules of diabetes ask about and the county writes."""
PREVENTION_FACTS = ("hba1c",)
"""What the rules of prevention ask about people who are on that pathway."""


def diabetes_facts(person: Person) -> tuple[Facts, frozenset[str]]:
    """Give what was found of what the rules ask about, and which values contradict themselves."""
    readings = _readings(person)
    settled = {
        "hba1c": person.latest(readings[HBA1C], months=12),
        "egfr": person.latest(readings[codes.EGFR.code], months=15),
        "albumin_creatinine_ratio": person.latest(readings[codes.ALBUMIN_CREATININE_RATIO.code], months=15),
        "body_mass_index": person.latest(readings[codes.BODY_MASS_INDEX.code], months=24),
    }

    def of_the_year(concept: codes.Concept, *, is_highest: bool = False) -> Fact | None:
        return _extreme(person, readings[concept.code], is_highest=is_highest)

    infarctions, strokes = person.entered(_HEART_ATTACK), person.entered(_STROKE_OR_TIA)
    lately = person.entered(_HEART_ATTACK | _STROKE_OR_TIA, months=12)
    facts = found_of(
        **{name: fact for name, (fact, _) in settled.items()},
        is_on_diabetes_register=latest_of(person.entered(DIABETES)),
        # Two readings on one day are the rule and no contradiction: the lowest of the latest day counts.
        systolic_blood_pressure=of_the_year(codes.SYSTOLIC),
        diastolic_blood_pressure=of_the_year(codes.DIASTOLIC),
        hba1c_of_the_year=of_the_year(codes.HBA1C),
        cholesterol_of_the_year=of_the_year(codes.CHOLESTEROL),
        creatinine_of_the_year=of_the_year(codes.CREATININE),
        egfr_of_the_year=of_the_year(codes.EGFR, is_highest=True),
        albumin_creatinine_ratio_of_the_year=of_the_year(codes.ALBUMIN_CREATININE_RATIO),
        body_mass_index_of_the_year=of_the_year(codes.BODY_MASS_INDEX),
        has_smoking_status_of_the_year=latest_of(person.entered(_SMOKING, months=12)),
        has_foot_check_of_the_year=latest_of(person.entered(_FOOT_CHECK, months=12)),
        has_coronary_heart_disease=latest_of(person.entered(_CORONARY)),
        has_heart_failure=latest_of(person.entered(_HEART_FAILURE)),
        has_atrial_fibrillation=latest_of(person.entered(_FIBRILLATION)),
        has_peripheral_arterial_disease=latest_of(person.entered(_ARTERIES_OF_THE_LEG)),
        has_insulin_or_glp1_agonist=latest_of(person.issued(INSULIN, 6)),
        has_first_myocardial_infarction_in_year=_first(person, infarctions),
        has_first_stroke_or_tia_in_year=_first(person, strokes),
        has_heart_attack_stroke_or_tia_in_year=latest_of(lately),
    )
    return facts, frozenset(name for name, (_, is_contradictory) in settled.items() if is_contradictory)


def _first(person: Person, days: set[str]) -> Fact | None:
    """Give the event of the last 12 months if it is the first ever: an undated one is older than any other."""
    return latest_of(days) if days and min(days) >= person.since(12) else None


Readings = list[tuple[str, Reading | None]]


def _readings(person: Person) -> dict[str, Readings]:
    """Give, by code, the day and the value of each entry, None where it cannot be used."""
    found: dict[str, Readings] = {code: [] for code in _MEASURES}
    for row in person.records.observations:
        code = row["snomed_code"] or ""
        if code in MEASURED:
            found[code].append((person.day_of(row), _reading(row, _MEASURES[code])))
    pairs: dict[tuple[str | None, ...], dict[str, list[tuple[str, Reading]]]] = {}
    for row in person.records.pressures:
        code, reading = row["snomed_code"] or "", _reading(row, _MEASURES[row["snomed_code"] or ""])
        if reading is not None and person.day_of(row):
            pair = pairs.setdefault((row["org_code"], person.day_of(row), row["parent_event_id"]), {})
            pair.setdefault(code, []).append((person.day_of(row), reading))
    for pair in pairs.values():
        # Half a pair, or one the wrong way round, is set aside: whoever wrote it may have changed the two over.
        upper, lower = pair.get(codes.SYSTOLIC.code, []), pair.get(codes.DIASTOLIC.code, [])
        if upper and lower and min(each[0] for _, each in upper) >= max(each[0] for _, each in lower):
            found[codes.SYSTOLIC.code] += upper
            found[codes.DIASTOLIC.code] += lower
    return found


def _reading(row: Row, measure: _Measure) -> Reading | None:
    """Give the value of an entry in the unit of the rules, with its comparator; None when it cannot be used."""
    written, sign = None if row["value_num"] is None else float(row["value_num"]), sign_of(row)
    unit = " ".join((row["unit_raw"] or "").lower().split())
    if written is None or sign is None or written in measure.not_done or (unit and unit not in measure.units):
        return None
    if not unit and (measure.least_without_unit is None or written < measure.least_without_unit):
        return None
    value = round(written * (measure.units[unit] if unit else 1), 6)
    return (value, sign) if measure.least <= value <= measure.most else None


def _extreme(person: Person, found: Readings, *, is_highest: bool) -> Fact | None:
    """Give the lowest (or highest) value of the latest day of 12 months that has one.

    What is known of a bound on the other side is nothing: the lowest of "above 90" may be anything above.
    """
    usable = [(day, reading) for day, reading in found if reading is not None and person.is_within(day, 12)]
    if not usable:
        return None
    latest = max(day for day, _ in usable)
    readings = [reading for day, reading in usable if day == latest]
    beyond, hidden = ((">", ">="), ("<", "<=")) if is_highest else (("<", "<="), (">", ">="))
    if _any_sign(readings, hidden):
        return None
    values = [value for value, _ in readings]
    return Fact(max(values) if is_highest else min(values), latest, beyond[1] if _any_sign(readings, beyond) else "")


def _any_sign(readings: Iterable[Reading], signs: tuple[str, ...]) -> bool:
    return any(sign in signs for _, sign in readings)
