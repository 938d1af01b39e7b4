"""Shipped definitions against the second implementation: kidneys, stroke, diabetes, priority groups, segments.

Each test draws people at, beside and between the edges, with what is missing, and asks both. A case says how the
inputs of the second implementation are found in the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st

from second import diabetes, kidney, priority, segments, stroke
from second.answers import Answer
from second.strategies import CASES, INDEX
from second.windows import is_within
from shipped_values import Found, book_of, drawn, say

Inputs = dict[str, Any]
Person = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Shipped:
    """One shipped score: whom to draw, what the second implementation says, how they are found in the record."""

    inputs: st.SearchStrategy[Inputs]
    answer: Callable[[Inputs], Answer]
    record: Callable[[Inputs], Person]
    count: int = 120


def _fixed(name: str, **fixed: Any) -> st.SearchStrategy[Inputs]:
    """Give the inputs of a case, with some that are always the same: those the shipped definition does not read."""
    return CASES[name].inputs.map(lambda found: {**found, **fixed})


def _sexed(is_female: bool | None) -> dict[str, Any]:
    return {} if is_female is None else {"sex": "female" if is_female else "male"}


# ---------------------------------------------------------------------------------------------- kidneys and stroke


def _kfre(found: Inputs, *, region: str, years: int) -> Answer:
    ratio = found["acr_mg_mmol"]
    answer = kidney.kfre(**found, region=region, years=years)
    # A ratio of nought is no score in both; the shipped definition says so by withholding it.
    return Answer(withheld="no ratio") if ratio is not None and float(ratio) <= 0 else answer


def _kidneys(found: Inputs) -> Person:
    is_male = found["is_male"]
    person = {"age_years": found["age"], **_sexed(None if is_male is None else not is_male)}
    return person, {
        "egfr": found["egfr"],
        "albumin_creatinine_ratio": found["acr_mg_mmol"],
        "is_on_dialysis": found["is_on_dialysis"],
    }


_STROKE = {
    "congestive_heart_failure": "has_heart_failure",
    "hypertension": "has_hypertension",
    "diabetes": "is_on_diabetes_register",
    "stroke_tia_thromboembolism": "has_stroke_or_tia",
    "vascular_disease": "has_vascular_disease",
}


def _stroke(found: Inputs) -> Person:
    person = {"age_years": found["age"], **_sexed(found["is_female"])}
    items = {_STROKE[each]: 1 for each in found["conditions"]}
    return person, {"has_atrial_fibrillation": found["has_atrial_fibrillation"], **items}


# -------------------------------------------------------------------------------------------------------- diabetes

_REGISTER = {"is_on_diabetes_register": 1}
_PROCESSES = {
    "hba1c": {"hba1c_of_the_year": 50},
    "blood_pressure": {"systolic_blood_pressure": 130, "diastolic_blood_pressure": 80},
    "total_cholesterol": {"cholesterol_of_the_year": 4},
    "serum_creatinine": {"creatinine_of_the_year": 80},
    "urine_albumin_creatinine_ratio": {"albumin_creatinine_ratio_of_the_year": 1},
    "foot_examination": {"has_foot_check_of_the_year": 1},
    "bmi": {"body_mass_index_of_the_year": 25},
    "smoking_status": {"has_smoking_status_of_the_year": 1},
    "retinal_screening": {"has_retinal_screening_of_the_year": 1},
}
_DATES = st.dictionaries(
    st.sampled_from(sorted(_PROCESSES)),
    st.sampled_from([0, 1, 200, 365, 366]).map(lambda days: INDEX - timedelta(days=days)),
)


def _processes_to_do(found: Inputs, *, of: int) -> Answer:
    done = diabetes.care_processes_done(found["latest"], INDEX)
    to_do = of - (len(done) if of == 9 else diabetes.care_process_count(found["latest"], INDEX))
    tier = "not_all" if to_do else "all"
    return Answer(to_do, tier, frozenset({tier}))


def _processes(found: Inputs, *, of: int) -> Person:
    inside = [name for name, day in found["latest"].items() if is_within(day, INDEX, months=12)]
    counted = [name for name in inside if of == 9 or name != diabetes.NINTH_PROCESS]
    return {}, _REGISTER | {key: value for name in counted for key, value in _PROCESSES[name].items()}


def _targets(found: Inputs) -> Person:
    values = {"hba1c": found["hba1c"], "cholesterol_total": found.get("total_cholesterol")}
    values |= {"systolic_blood_pressure": found["systolic"], "diastolic_blood_pressure": found["diastolic"]}
    return {}, _REGISTER | ({"has_statin": found["statin"]} if "statin" in found else {}) | _without_null(values)


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _qof(found: Inputs) -> Answer:
    """Put the three indicators together: those that are for the person, all met."""
    is_frail = found["is_frail"]
    pressure = diabetes.qof_dm036(found["systolic"], found["diastolic"], found["age"], is_frail=is_frail)
    sugar = (diabetes.qof_dm021 if is_frail else diabetes.qof_dm020)(found["hba1c"], is_frail=is_frail)
    asked = [each for each in (pressure, sugar) if not each.withheld]
    tiers = {each.tier for each in asked}
    if "not_met" in tiers:
        return Answer(None, "not_met", frozenset({"not_met"}))
    return (
        Answer(None, None, frozenset({"met", "not_met"})) if None in tiers else Answer(None, "met", frozenset({"met"}))
    )


def _qof_record(found: Inputs) -> Person:
    values = {"hba1c": found["hba1c"], "has_moderate_frailty_recorded": found["is_frail"]}
    values |= {"systolic_blood_pressure": found["systolic"], "diastolic_blood_pressure": found["diastolic"]}
    return {"age_years": found["age"]}, _REGISTER | values


def _hyperglycaemia(found: Inputs) -> Person:
    values = {"hba1c": found["hba1c"], "fasting_glucose": found["fasting_glucose"]}
    values |= {"is_pregnant": found["is_pregnant"], "is_on_diabetes_register": found["has_diabetes"]}
    return {"age_years": found["age"]}, values


_COMPLICATIONS = {
    "retinopathy": "has_diabetic_retinopathy",
    "neuropathy": "has_diabetic_neuropathy",
    "heart_failure": "has_heart_failure",
    "peripheral_arterial_disease": "has_peripheral_arterial_disease",
}


def _shipped_complications(found: Inputs) -> Inputs:
    """Leave out what has no codes; heart failure is a disease of the heart too."""
    kept = found["complications"] & set(_COMPLICATIONS)
    return {**found, "complications": kept, "cardiac_ever": found["cardiac_ever"] or "heart_failure" in kept}


def _diabetes_group(found: Inputs) -> Person:
    values = {
        "hba1c": found["hba1c"],
        "egfr": found["egfr"],
        "albumin_creatinine_ratio": found["acr"],
        "systolic_blood_pressure": found["systolic"],
        "diastolic_blood_pressure": found["diastolic"],
        "body_mass_index": found["bmi"],
        "has_coronary_heart_disease": found["cardiac_ever"],
        "has_insulin_or_glp1_agonist": found["glp1_or_insulin_6_months"],
        "has_foot_ulcer_in_three_years": found["foot_ulcer_3_years"],
        "has_first_myocardial_infarction_in_year": found["first_mi_1_year"],
        "has_first_stroke_or_tia_in_year": found["first_stroke_tia_1_year"],
        "has_heart_attack_stroke_or_tia_in_year": found["mi_stroke_tia_12_months"],
    }
    return {}, _REGISTER | values | {_COMPLICATIONS[each]: 1 for each in found["complications"]}


# -------------------------------------------------------------------------------- kidneys, pressure, heart: groups


def _kidney_group(found: Inputs) -> Person:
    return {}, {
        "is_on_kidney_disease_register": 1,
        "egfr": found["egfr"],
        "albumin_creatinine_ratio": found["acr"],
        "systolic_blood_pressure": found["systolic"],
        "diastolic_blood_pressure": found["diastolic"],
        "antihypertensive_issues_count": found["antihypertensive_orders"],
        "is_on_diabetes_register": found["has_diabetes"],
    }


_COMORBIDITIES = {
    "chd": "has_coronary_heart_disease",
    "stroke_tia": "has_stroke_or_tia",
    "peripheral_arterial_disease": "has_peripheral_arterial_disease",
    "ckd": "is_on_kidney_disease_register",
    "diabetes": "is_on_diabetes_register",
}


def _pressure_group(found: Inputs) -> Person:
    values = {"has_hypertension": 1, "egfr": found["egfr"], "body_mass_index": found["bmi"]}
    for place in ("clinic", "home"):
        for half, value in zip(("systolic", "diastolic"), found[place] or (None, None), strict=True):
            values[f"{place}_{half}"] = value
    return {"age_years": found["age"]}, values | {_COMORBIDITIES[each]: 1 for each in found["comorbidities"]}


def _heart_group(found: Inputs) -> Person:
    first, flare = found["first_recorded"], found["new_or_flare"]
    return {}, {
        "has_coronary_heart_disease": 1,
        "has_new_coronary_heart_disease_in_month": is_within(first, INDEX, months=1),
        "has_new_coronary_heart_disease_in_year": is_within(first, INDEX, months=12),
        "has_myocardial_infarction_in_month": flare is not None and is_within(flare, INDEX, months=1),
        "has_statin": found["statin_6_months"],
        "cholesterol_non_hdl": found["non_hdl"],
    }


# -------------------------------------------------------------------------------------------------------- segments

_BRIDGES = {
    "dementia": ("has_dementia",),
    "end_stage_renal_failure": ("is_on_dialysis",),
    "incurable_cancer": ("has_cancer_ever", "palliative_code_recorded"),
    "learning_disability": ("has_learning_disability",),
    "alcohol_dependence": ("has_alcohol_dependence",),
    "asthma": ("has_asthma",),
    "atrial_fibrillation": ("has_atrial_fibrillation",),
    "bronchiectasis": ("has_bronchiectasis",),
    "cancer": ("has_cancer_ever",),
    "cerebrovascular_disease": ("has_stroke_or_tia",),
    "chronic_kidney_disease": ("is_on_kidney_disease_register",),
    "chronic_liver_disease": ("has_chronic_liver_disease",),
    "copd": ("is_on_copd_register",),
    "coronary_heart_disease": ("has_coronary_heart_disease",),
    "depression": ("has_depression_ever",),
    "diabetes": ("is_on_diabetes_register",),
    "epilepsy": ("has_epilepsy",),
    "heart_failure": ("has_heart_failure",),
    "hypertension": ("has_hypertension",),
    "inflammatory_bowel_disease": ("has_inflammatory_bowel_disease",),
    "multiple_sclerosis": ("has_multiple_sclerosis",),
    "osteoarthritis": ("efi_arthritis",),
    "osteoporosis": ("efi_osteoporosis",),
    "parkinsons_disease": ("has_parkinsons_disease",),
    "peripheral_vascular_disease": ("has_peripheral_arterial_disease",),
    "pulmonary_heart_disease": ("has_cor_pulmonale_ever",),
    "rheumatoid_arthritis": ("has_rheumatoid_arthritis",),
    "serious_mental_illness": ("has_serious_mental_illness",),
    "acutely_ill": ("has_emergency_admission_in_year",),
    "maternal_and_infant_health": ("is_pregnant",),
}
_HOSPITAL_FRAILTY = {None: None, "low": 4.9, "intermediate": 5, "high": 15.1}


def _bridges(found: Inputs) -> Person:
    values = {name: 1 for flag in found["flags"] for name in _BRIDGES[flag]}
    return {"age_years": 80}, values | {"hospital_frailty_points": _HOSPITAL_FRAILTY[found["hfrs_tier"]]}


_SNEE = {
    "palliative_care": "has_palliative_care_ever",
    "end_of_life": "has_palliative_care_ever",
    "end_stage_disease": "is_on_dialysis",
    "dementia": "has_dementia",
    "severe_frailty": "has_severe_frailty_ever",
    "housebound": "is_housebound",
    "cancer": "has_cancer_ever",
    "moderate_frailty": "has_moderate_frailty_ever",
    "serious_mental_illness": "has_serious_mental_illness",
    "depression": "has_depression_ever",
    "anxiety": "has_anxiety_ever",
    "smoker": "is_current_smoker",
    "alcohol_risk": "has_alcohol_risk",
}
_CONDITIONS = ("has_asthma", "has_hypertension", "is_on_diabetes_register", "has_epilepsy", "has_heart_failure")


def _snee(found: Inputs) -> Person:
    values = {_SNEE[fact]: 1 for fact in found["facts"]} | dict.fromkeys(
        _CONDITIONS[: found["long_term_conditions"]], 1
    )
    return {"age_years": found["age"]}, values | {"body_mass_index_in_12_months": found["bmi_12_months"]}


def _left_open(answer: Answer, order: Sequence[str], segment: str) -> Answer:
    """Give an answer where part of a segment has no codelist: it stays possible for everybody below it."""
    if not answer.possible or all(order.index(each) <= order.index(segment) for each in answer.possible):
        return answer
    tier = None if answer.tier == order[-1] else answer.tier
    return replace(answer, tier=tier, possible=answer.possible | {segment})


def _segment_inputs(name: str, key: str, known: Mapping[str, Any], **fixed: Any) -> st.SearchStrategy[Inputs]:
    return CASES[name].inputs.map(lambda found: {**found, key: found[key] & set(known), **fixed})


SHIPPED: dict[str, Shipped] = {
    **{
        name: Shipped(
            st.builds(lambda found, on: {**found, "is_on_dialysis": on}, CASES[f"kfre_{region}_{years}y"].inputs,
                      st.sampled_from([False, False, False, True])),
            partial(_kfre, region=region, years=years),
            _kidneys,
        )
        for name, region, years in (
            ("kfre_uk_5_year", "uk", 5),
            ("kfre_north_america_2_year", "north_america", 2),
            ("kfre_north_america_5_year", "north_america", 5),
            ("kfre_elsewhere_2_year", "elsewhere", 2),
            ("kfre_elsewhere_5_year", "elsewhere", 5),
        )
    },
    "cha2ds2_vasc": Shipped(CASES["cha2ds2_vasc"].inputs, lambda found: stroke.cha2ds2_vasc(**found), _stroke),
    **{
        f"diabetes_care_processes_{of}": Shipped(
            st.fixed_dictionaries({"latest": _DATES}), partial(_processes_to_do, of=of), partial(_processes, of=of)
        )
        for of in (8, 9)
    },
    "diabetes_targets_ncl": Shipped(
        CASES["triple_target_ncl"].inputs, lambda found: diabetes.triple_target_ncl(**found), _targets
    ),
    "diabetes_targets_nda_2016": Shipped(
        CASES["triple_target_nda_2016"].inputs, lambda found: diabetes.triple_target_nda_2016(**found), _targets
    ),
    "diabetes_targets_nda_statin": Shipped(
        CASES["triple_target_nda_new"].inputs.map(lambda found: {**found, "statin": bool(found["statin"])}),
        lambda found: diabetes.triple_target_nda_new(**found),
        _targets,
    ),
    "diabetes_targets_qof": Shipped(
        st.builds(lambda sugar, pressure: sugar | pressure, CASES["qof_dm020"].inputs, CASES["qof_dm036"].inputs),
        _qof,
        _qof_record,
    ),
    "non_diabetic_hyperglycaemia": Shipped(
        CASES["non_diabetic_hyperglycaemia"].inputs.map(lambda found: {**found, "age": found["age"] or 18}),
        lambda found: replace(diabetes.non_diabetic_hyperglycaemia(**found), value=None),
        _hyperglycaemia,
    ),
    "diabetes_priority_group": Shipped(
        _fixed("diabetes_priority_group", elf=None, as_printed=False).map(_shipped_complications),
        lambda found: diabetes.ncl_diabetes_group(**found),
        _diabetes_group,
        count=300,
    ),
    "ckd_priority_group": Shipped(
        _fixed("ckd_priority_group", as_printed=False), lambda found: priority.ckd_group(**found), _kidney_group, 300
    ),
    "hypertension_priority_group": Shipped(
        _fixed("hypertension_priority_group", has_listed_ethnicity=False),
        lambda found: priority.hypertension_group(**found),
        _pressure_group,
        count=300,
    ),
    "chd_priority_group": Shipped(
        CASES["chd_priority_group"].inputs, lambda found: priority.chd_group(**found), _heart_group
    ),
    "bridges_to_health": Shipped(
        _segment_inputs("bridges_to_health", "flags", _BRIDGES),
        lambda found: _left_open(
            segments.bridges_to_health(**found), segments.BRIDGES_ORDER, "long_term_conditions"
        ),
        _bridges,
    ),
    "snee_segment": Shipped(
        _segment_inputs("snee", "facts", _SNEE).map(
            lambda found: {
                **found,
                "age": found["age"] or 18,
                "long_term_conditions": found["long_term_conditions"] or 0,
            }
        ),
        lambda found: _left_open(segments.snee(**found), segments.SNEE_ORDER, "feel_well"),
        _snee,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_definition_and_the_second_implementation_agree(name):
    shipped = SHIPPED[name]
    people = drawn(shipped.inputs, shipped.count)
    assert len(people) > 50
    found = say(name, [shipped.record(each) for each in people])
    has_tiers = bool(book_of(name).scores[name].tiers)
    agree = partial(_agree, has_tiers=has_tiers, may_be_wider=name in WIDER)
    answers = [shipped.answer(each) for each in people]
    differ = [each for each in zip(people, answers, found, strict=True) if not agree(*each[1:])]
    assert differ[:3] == []
    assert len({one.tier for one in found}) > has_tiers, "too few different answers to prove anything"
    assert any(one.is_complete for one in found)


WIDER = ("diabetes_priority_group", "hypertension_priority_group")
"""Scores that ask for one value in several rules. A missing value is looked at rule by rule, and not carried from one
to the next (with a disease of the heart an HbA1c above 75 is HRC, so it cannot be HR): more may stay open, never less.
"""


def _agree(answer: Answer, found: Found, *, has_tiers: bool, may_be_wider: bool) -> bool:
    if answer.withheld or found.is_withheld:
        return bool(answer.withheld) and found.is_withheld
    if (answer.value is None) != (found.value is None):
        return False
    if answer.value is not None and abs(float(answer.value) - float(found.value or 0)) > 1e-6:
        return False
    if not has_tiers or (answer.tier, answer.possible) == (found.tier, found.possible):
        return True
    is_wider = answer.possible is not None and found.possible is not None and answer.possible < found.possible
    return may_be_wider and is_wider and not found.is_complete
