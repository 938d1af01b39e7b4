"""The shipped COPD and frailty scores and the second implementation answer alike."""

from __future__ import annotations

from typing import Any

import pytest

from shipped import disagreements

ON_REGISTER = {"is_on_copd_register": 1}


def known(**values: Any) -> dict[str, Any]:
    return {name: float(value) for name, value in values.items() if value is not None}


def bode(inputs: dict[str, Any]) -> dict[str, Any]:
    mmrc = inputs["mmrc"]
    return {
        "values": ON_REGISTER
        | known(
            fev1_percent_predicted=inputs["fev1"],
            six_minute_walk_distance=inputs["walk_metres"],
            mrc_grade=None if mmrc is None else mmrc + 1,
            body_mass_index=inputs["bmi"],
        )
    }


def ado(inputs: dict[str, Any]) -> dict[str, Any]:
    mmrc = inputs["mmrc"]
    values = known(fev1_percent_predicted=inputs["fev1"], mrc_grade=None if mmrc is None else mmrc + 1)
    return {"person": {"age_years": inputs["age"]}, "values": ON_REGISTER | values}


def dose(inputs: dict[str, Any]) -> dict[str, Any]:
    mmrc, smoker, count = inputs["mmrc"], inputs["smoker"], inputs["exacerbations"]
    values = ON_REGISTER | known(fev1_percent_predicted=inputs["fev1"], mrc_grade=None if mmrc is None else mmrc + 1)
    values |= {"is_current_smoker": "conflict" if smoker is None else float(smoker)}
    values |= {"copd_exacerbations_treated_count": "conflict" if count is None else float(count)}
    return {"values": values}


def decaf(inputs: dict[str, Any]) -> dict[str, Any]:
    grade = {"1-4": 3.0, "5a": 5.1, "5b": 5.2, None: None}[inputs["dyspnoea"]]
    fibrillation = inputs["atrial_fibrillation"]
    values = ON_REGISTER | known(
        extended_mrc_grade=grade,
        eosinophil_count=inputs["eosinophils"],
        chest_consolidation=inputs["consolidation"],
        # Without it nothing is known of an admission, and there is no score: the second one is asked with it.
        arterial_ph=inputs["ph"],
    )
    return {"values": values | {"has_atrial_fibrillation": "conflict" if fibrillation is None else float(fibrillation)}}


def gold(inputs: dict[str, Any]) -> dict[str, Any]:
    mmrc, moderate, admitted = inputs["mmrc"], inputs["moderate"], inputs["admitted"]
    values = ON_REGISTER | known(mrc_grade=None if mmrc is None else mmrc + 1, cat_score=inputs["cat"])
    values |= {"copd_emergency_admissions_count": "conflict" if admitted is None else float(admitted)}
    # An admission is one of the flare-ups counted.
    both = None if moderate is None else moderate + (admitted or 0)
    values |= {"copd_exacerbations_count": "conflict" if both is None else float(both)}
    return {"values": values}


def efi2(inputs: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {EFI2[term]: 1.0 for term in inputs["terms"] if term in EFI2}
    alcohol, bmi = inputs["alcohol"] or "missing", inputs["bmi"] or "missing"
    values |= {"has_alcohol_record": float(alcohol != "missing")}
    values |= {"has_harmful_drinking_record": float(alcohol not in ("missing", "none"))}
    values |= {"drinks_harmfully": float(alcohol == "harmful")}
    values |= {"not_underweight": {"body_mass_index": 25.0}, "underweight": {"body_mass_index": 17.0}}.get(bmi, {})
    return {
        "person": {"age_years": inputs["age"]},
        "values": values | {"medicines_in_90_days_count": float(inputs["medicines"])},
    }


EFI2 = {
    "activity_limitation": "efi_activity_limitation",
    "atrial_fibrillation": "has_atrial_fibrillation",
    "cancer": "has_cancer",
    "cognitive_impairment": "has_cognitive_impairment",
    "copd": "is_on_copd_register",
    "dementia": "has_dementia",
    "falls": "efi_falls",
    "fragility_fracture": "efi_fragility_fracture",
    "heart_failure": "has_heart_failure",
    "housebound": "efi_housebound",
    "hypotension_syncope": "efi_hypotension_syncope",
    "liver_problems": "has_chronic_liver_disease",
    "memory_concerns": "has_memory_concern",
    "mobility_problems": "efi_mobility_transfer",
    "palliative_care": "has_palliative_record",
    "parkinsonism_tremor": "efi_parkinsonism_tremor",
    "peptic_ulcer": "efi_peptic_ulcer",
    "peripheral_vascular_disease": "efi_peripheral_vascular_disease",
    "care_requirement": "efi_requirement_for_care",
    "respiratory_disease": "efi_respiratory_disease",
    "seizures": "has_epilepsy",
    "skin_ulcer": "efi_skin_ulcer",
    "smoker_current": "is_current_smoker",
    "social_vulnerability": "efi_social_vulnerability",
    "stroke": "has_stroke",
    "transient_ischaemic_attack": "has_transient_ischaemic_attack",
    "weight_loss_anorexia": "efi_weight_loss_anorexia",
}
"""Terms of eFI2 that have a codelist; the six that have none are left out of both."""


@pytest.mark.parametrize(
    ("score", "case", "as_person"),
    [
        ("bode", "bode", bode),
        ("ado", "ado", ado),
        ("ado_updated", "ado_updated", ado),
        ("dose", "dose", dose),
        ("gold_abe_2023", "gold_abe_2023", gold),
        ("gold_abe_2026", "gold_abe_2026", gold),
    ],
)
def test_both_implementations_answer_alike(score, case, as_person):
    assert disagreements(score, case, as_person) == []


def test_decaf_answers_alike_where_something_is_known_of_the_admission():
    assert disagreements("decaf", "decaf", decaf, only=lambda inputs: inputs["ph"] is not None) == []


def test_efi2_answers_alike_on_the_terms_that_have_a_codelist():
    def narrowed(inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs | {"terms": [term for term in inputs["terms"] if term in EFI2], "cognition": "added"}

    assert disagreements("efi2", "efi2", efi2, narrowed=narrowed) == []
