"""Segments of a population: Bridges to Health, as far as public, and Suffolk and North East Essex (SNEE).

Sources: OBH and NHS England Bridges to Health columns in a public SQL copy [1 for the flags; the order of acuity is
that of the published columns, least acute first: inferred; code sets and look-backs were not found];
SNEE-ICS/SNEEdocs docs/segmentation.md [1].
"""

from __future__ import annotations

from collections.abc import Collection

from second.answers import Answer, Number, certain, exact, ruled

BRIDGES_ORDER = (
    "frailty_and_dementia",
    "organ_failure",
    "incurable_cancer",
    "disability",
    "long_term_conditions",
    "acutely_ill",
    "maternal_and_infant_health",
    "healthy",
)
BRIDGES_FLAGS = {
    "frailty_and_dementia": "dementia intermediate_frailty_risk_hfrs high_frailty_risk_hfrs",
    "organ_failure": (
        "end_stage_renal_failure severe_interstitial_lung_disease liver_failure neurological_organ_failure "
        "severe_copd severe_heart_failure"
    ),
    "incurable_cancer": "incurable_cancer",
    "disability": "autism learning_disability physical_disability",
    "long_term_conditions": (
        "alcohol_dependence asthma atrial_fibrillation bronchiectasis cancer cerebrovascular_disease "
        "chronic_kidney_disease chronic_liver_disease chronic_pain copd coronary_heart_disease cystic_fibrosis "
        "depression diabetes epilepsy heart_failure hypertension inflammatory_bowel_disease multiple_sclerosis "
        "osteoarthritis osteoporosis parkinsons_disease peripheral_vascular_disease pulmonary_heart_disease "
        "rheumatoid_arthritis sarcoidosis serious_mental_illness sickle_cell_disease"
    ),
    "acutely_ill": "acutely_ill",
    "maternal_and_infant_health": "maternal_and_infant_health",
    "healthy": "",
}


def bridges_to_health(flags: Collection[str], *, hfrs_tier: str | None = None) -> Answer:
    """Give the segment of highest acuity that applies [1; order inferred].

    Frailty is the *hospital* score, intermediate or high: an eFI has no place here. An unknown flag is an error.
    """
    found = set(flags)
    if hfrs_tier in ("intermediate", "high"):
        found.add(f"{hfrs_tier}_frailty_risk_hfrs")
    if unknown := found - {flag for given in BRIDGES_FLAGS.values() for flag in given.split()}:
        raise ValueError(f"no such flag: {sorted(unknown)}")
    segment = next((name for name in BRIDGES_ORDER if found & set(BRIDGES_FLAGS[name].split())), "healthy")
    return certain(BRIDGES_ORDER, {segment})


SNEE_ORDER = ("die_well", "age_well", "stay_well", "feel_well", "be_well", "live_well")
SNEE_FACTS = {
    "die_well": "palliative_care end_of_life end_stage_disease",
    "age_well": "frailty_hospital_contact_last_year dementia severe_frailty housebound has_carer",
    "stay_well": "cancer moderate_frailty",
    "feel_well": (
        "serious_mental_illness depression anxiety mental_health_care_contact_last_year "
        "mental_health_hospital_contact_last_year"
    ),
    "be_well": "emergency_dentistry_contact_last_year smoker alcohol_risk",
    "live_well": "",
}


def snee(
    facts: Collection[str], *, age: int | None, long_term_conditions: int | None, bmi_12_months: Number | None
) -> Answer:
    """Give the SNEE segment of an adult [1]: the first of six that matches; four LTCs age_well, one to three stay_well.

    A BMI above 30 in the last 12 months is be_well; without a BMI that stays possible.
    """
    if age is None or age < 18:
        return Answer(withheld="adults")
    if unknown := set(facts) - {fact for given in SNEE_FACTS.values() for fact in given.split()}:
        raise ValueError(f"no such fact: {sorted(unknown)}")

    def segment(long_term_conditions, bmi) -> str:
        for name in SNEE_ORDER:
            if set(facts) & set(SNEE_FACTS[name].split()):
                return name
            if name == "age_well" and long_term_conditions >= 4:
                return name
            if name == "stay_well" and long_term_conditions >= 1:
                return name
            if name == "be_well" and bmi > 30:
                return name
        return "live_well"

    inputs = {"long_term_conditions": long_term_conditions, "bmi": exact(bmi_12_months)}
    return ruled(SNEE_ORDER, segment, inputs, {"long_term_conditions": (0, 1, 4), "bmi": (25, 35)})
