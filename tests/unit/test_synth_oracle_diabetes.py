"""The oracle on people with, and at risk of, diabetes made by hand: group, route, reasons, what is lacking."""

from __future__ import annotations

from typing import Any

import pytest
from test_synth_oracle import conclude, entry, issued, measured, person, route

from stratify.synth import clinical_codes as codes

DAY = "2026-05-01"
NURSE = ("clinic", "diabetes_nurse", "nurse")
IN_GROUP_2 = ("clinic", "diabetes_gp_pharmacist", "gp_and_pharmacist")
SPECIALIST = ("clinic", "diabetes_specialist", "specialist")
ALL_DONE, AT_RISK = ("self_management", None, "all_done"), ("self_management", None, "at_risk")
CANNOT_GRADE = ("assessment", "assessment", "cannot_grade")
INFARCTION = next(each.code for each in codes.DEFICITS["ischaemic_heart_disease"][1] if "infarction" in each.term)


def value(concept: codes.Concept, number: str, unit: str | None, day: str = DAY, **more: str) -> dict[str, str | None]:
    return measured(concept.code, day, number, unit) | more


def pressure(systolic: str | None, diastolic: str | None, day: str = DAY) -> list[dict[str, str | None]]:
    halves = ((codes.SYSTOLIC, systolic), (codes.DIASTOLIC, diastolic))
    of_pair = {"org_code": "Y00001", "parent_event_id": f"P{day}"}
    return [value(concept, half, "mmHg", day, **of_pair) for concept, half in halves if half is not None]


USUAL: dict[str, Any] = {
    "hba1c": value(codes.HBA1C, "50", "mmol/mol"),
    "egfr": value(codes.EGFR, "70", "mL/min/1.73m2"),
    "ratio": value(codes.ALBUMIN_CREATININE_RATIO, "1", "mg/mmol"),
    "mass": value(codes.BODY_MASS_INDEX, "25", "kg/m2"),
    "cholesterol": value(codes.CHOLESTEROL, "4", "mmol/L"),
}


def diabetic(**changes: Any) -> dict[str, Any]:
    """Conclude about somebody with type 2 diabetes in group 4, at target, with all eight processes done."""
    entries = [entry(codes.TYPE_2_DIABETES.code, "2019-01-01"), entry(codes.FOOT_EXAMINATION.code, DAY)]
    entries += [entry(codes.SMOKING[0].code, DAY), *changes.pop("events", [])]
    pressures = changes.pop("pressures", pressure("120", "70"))
    others = {name: changes.pop(name) for name in ("issues", "patient") if name in changes}
    values = [each for each in {**USUAL, **changes}.values() if each is not None]
    return conclude(person(events=entries, observations=values, pressures=pressures, **others))


def hba1c(number: str, unit: str | None = "mmol/mol", day: str = DAY, **more: str) -> dict[str, Any]:
    return {"hba1c": value(codes.HBA1C, number, unit, day, **more)}


@pytest.mark.parametrize(
    ("changes", "group", "expected"),
    [
        pytest.param({}, "LR", ALL_DONE, id="all done and at target"),
        pytest.param(hba1c("91"), "HRC", SPECIALIST, id="HbA1c above 90"),
        pytest.param(hba1c("90"), "HR", IN_GROUP_2, id="HbA1c on 90"),
        pytest.param(hba1c("75"), "MRb", NURSE, id="HbA1c on 75"),
        pytest.param(hba1c("58"), "LR", ALL_DONE, id="HbA1c on 58"),
        pytest.param(
            hba1c("76") | {"issues": [issued(codes.INSULIN_GLARGINE, "2026-05-02")]}, "HRC",
            SPECIALIST, id="above 75 and insulin within 6 months",
        ),
        pytest.param(
            hba1c("76") | {"issues": [issued(codes.INSULIN_GLARGINE, DAY)]}, "HR",
            IN_GROUP_2, id="insulin a day longer ago",
        ),
        pytest.param(
            {"egfr": value(codes.EGFR, "14", "mL/min"),
             "ratio": value(codes.ALBUMIN_CREATININE_RATIO, "71", "mg/mmol")},
            "HRC", ("clinic", "diabetes_meeting", "meeting"), id="kidney and albumin, a case for the meeting",
        ),
        pytest.param(
            {"egfr": value(codes.EGFR, "14", "mL/min")}, "HRC", SPECIALIST,
            id="one need only is no case for the meeting",
        ),
        pytest.param(
            {"egfr": value(codes.EGFR, "15", "mL/min")}, "HR", IN_GROUP_2,
            id="eGFR on 15",
        ),
        pytest.param({"egfr": value(codes.EGFR, "50", "mL/min")}, "LR", ALL_DONE,
                     id="HbA1c 50 and eGFR on 50"),
        pytest.param({"egfr": value(codes.EGFR, "49", "mL/min")}, "MRb", NURSE, id="HbA1c 50 and eGFR 49"),
        pytest.param({"ratio": value(codes.ALBUMIN_CREATININE_RATIO, "3", "mg/mmol")}, "MRb", NURSE, id="ratio on 3"),
        pytest.param({"pressures": pressure("140", "80")}, "MRb", NURSE, id="pressure on 140"),
        pytest.param(hba1c("59") | {"pressures": pressure("140", "80")}, "MRa", NURSE, id="HbA1c and pressure"),
        pytest.param(hba1c("48") | {"pressures": pressure("141", "80")}, "LR", NURSE, id="pressure above target"),
        pytest.param(
            hba1c("48") | {"pressures": pressure("141", "80"), "patient": {"date_of_birth": "1946-11-02"}}, "LR",
            ALL_DONE, id="no target for pressure from 80 on",
        ),
        pytest.param(
            hba1c("48") | {"pressures": [*pressure("150", "95"), *pressure("138", "88", "2026-06-01")]}, "LR",
            ALL_DONE, id="the latest day counts",
        ),
        pytest.param(
            {"events": [entry(INFARCTION, "2025-11-02")]}, "HR", IN_GROUP_2,
            id="first heart attack within 12 months",
        ),
        pytest.param(
            {"events": [entry(INFARCTION, "2025-11-02"), entry(INFARCTION, "2019-01-01")]}, "LR",
            ALL_DONE, id="not the first",
        ),
        pytest.param({"cholesterol": None}, "LR", ("clinic", "diabetes_checks", "checks_to_do"), id="one check to do"),
        pytest.param(
            {"events": [entry(codes.PALLIATIVE_CARE.code, DAY)]}, "LR", ("clinic", "palliative_review", "palliative"),
            id="palliative care first",
        ),
        pytest.param(
            {"events": [entry(codes.CARE_HOME_NURSING.code, DAY)]}, "LR", ("clinic", "care_home_round", "care_home"),
            id="seen in the home",
        ),
        pytest.param(
            {"hba1c": None}, None, CANNOT_GRADE, id="no HbA1c, could be any group"
        ),
        pytest.param(
            hba1c("50", day="2025-11-01"), None, CANNOT_GRADE, id="HbA1c a day too old"
        ),
        pytest.param(
            {**hba1c("50"), "again": value(codes.HBA1C, "60", "mmol/mol")}, None,
            ("clinician_review", "clinician_review", "contradictory"), id="two HbA1c of one day that differ",
        ),
        pytest.param(
            {"ratio": None, **hba1c("76")}, "HR", IN_GROUP_2,
            id="group 1 is not ruled out and passed over",
        ),
    ],
)  # fmt: skip
def test_group_and_route_by_hand(changes, group, expected):
    answers = diabetic(**changes)
    assert (answers["diabetes_group"], route(answers, "diabetes")) == (group, expected)


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        pytest.param({"hba1c": None}, "hba1c", id="nothing else is missing"),
        pytest.param({"ratio": None, "mass": None}, "albumin_creatinine_ratio;body_mass_index", id="two"),
        pytest.param(
            {"pressures": pressure("120", None)}, "diastolic_blood_pressure;systolic_blood_pressure", id="half a pair"
        ),
        pytest.param(
            {"pressures": pressure("70", "120")}, "diastolic_blood_pressure;systolic_blood_pressure",
            id="a pair the wrong way round",
        ),
        pytest.param({"ratio": value(codes.ALBUMIN_CREATININE_RATIO, "1", None)}, "albumin_creatinine_ratio",
                     id="a ratio without a unit"),
        pytest.param(hba1c("6.7", None), "hba1c", id="HbA1c that may be a percentage"),
    ],
)  # fmt: skip
def test_what_is_lacking_is_named(changes, lacking):
    answers = diabetic(**changes)
    assert (answers["diabetes_rule"], answers["diabetes_lacking"]) == ("cannot_grade", lacking)


def test_what_speaks_for_a_route_and_the_checks_to_do():
    above = diabetic(**hba1c("48"), pressures=pressure("141", "80"))
    assert (above["diabetes_because"], above["diabetes_targets"]) == ("systolic_blood_pressure", "not_met")
    both = diabetic(**hba1c("91"), egfr=value(codes.EGFR, "14", "mL/min"))
    assert both["diabetes_because"] == "egfr;hba1c"
    few = diabetic(cholesterol=None, mass=None, pressures=[])
    assert (few["diabetes_checks_to_do"], few["diabetes_checks"]) == (3, "not_all")
    assert diabetic()["diabetes_checks_to_do"] == 0
    creatinine = value(codes.CREATININE, "80", "umol/L")
    old = value(codes.EGFR, "70", "mL/min", "2025-10-01")
    assert diabetic(egfr=old, creatinine=creatinine)["diabetes_checks_to_do"] == 0  # stands for the eGFR
    assert diabetic(egfr=old)["diabetes_checks_to_do"] == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(hba1c("41.9"), None, id="just below 42"),
        pytest.param(hba1c("42"), AT_RISK, id="on 42"),
        pytest.param(hba1c("47.9"), AT_RISK, id="just below 48"),
        pytest.param(hba1c("48"), ("clinician_review", "clinician_review", "diabetes_range"), id="on 48"),
        pytest.param(hba1c("45", day="2025-11-02"), AT_RISK, id="12 months old"),
        pytest.param(hba1c("45", day="2025-11-01"), None, id="too old calls nobody"),
        pytest.param(hba1c("6.3", "%"), None, id="a percentage under the code of mmol/mol calls nobody"),
        pytest.param(hba1c("45") | {"events": [entry(codes.PALLIATIVE_CARE.code, DAY)]}, None, id="palliative care"),
        pytest.param(hba1c("45") | {"patient": {"date_of_birth": "2008-11-03"}}, None, id="aged 17"),
        pytest.param(
            hba1c("45") | {"patient": {"date_of_birth": "2008-11-02"}}, AT_RISK, id="aged 18"
        ),
        pytest.param(
            hba1c("45") | {"patient": {"date_of_death": "2026-10-01"}}, ("excluded", None, "person_status"), id="died"
        ),
        pytest.param(
            hba1c("44", comparator=">"), CANNOT_GRADE, id="above 44, nobody knows how far"
        ),
    ],
)  # fmt: skip
def test_who_is_at_risk_by_hand(changes, expected):
    others = {name: changes[name] for name in ("events", "patient") if name in changes}
    answers = conclude(person(observations=[changes["hba1c"]], **others))
    found = route(answers, "diabetes_prevention") if "diabetes_prevention_rule" in answers else None
    assert found == expected
    assert "diabetes_rule" not in answers


def test_either_result_would_settle_what_one_known_to_one_side_leaves_open():
    answers = conclude(person(observations=[value(codes.HBA1C, "44", "mmol/mol", comparator=">")]))
    assert answers["diabetes_prevention_lacking"] == "fasting_glucose;hba1c"
