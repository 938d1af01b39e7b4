"""What the rules of diabetes and of its prevention should conclude about one invented person, worked out a second time.

Written from ``docs/rules/pathways/diabetes.md``, ``diabetes_prevention.md`` and the scores they name, as ``oracle`` is
for the other pathways. What was found of a person belongs to ``recorded_diabetes``.
"""

from __future__ import annotations

from stratify.synth.recorded import Person
from stratify.synth.recorded_diabetes import DIABETES_FACTS, PREVENTION_FACTS, VALUES, diabetes_facts
from stratify.synth.rulings import (
    NO,
    YES,
    Answer,
    Asked,
    Graded,
    Known,
    Route,
    Standing,
    all_of,
    answers_of,
    any_of,
    at_least_of,
    decide,
    elsewhere,
    first_tier,
)

_OF_THE_RANGE = ("hba1c", "fasting_glucose")


def conclude(person: Person, standing: Standing, age: int | None) -> dict[str, Answer]:
    """Work out what the two pathways should conclude; nothing of a pathway the person is not on."""
    found, conflicts = diabetes_facts(person)
    facts = person.living() | found
    asked = Asked(facts, conflicts, person.is_linked)
    if asked.has("is_on_diabetes_register").holds:
        return _diabetes(asked, standing, age)
    return _prevention(asked, standing, age)


def _diabetes(asked: Asked, standing: Standing, age: int | None) -> dict[str, Answer]:
    group, targets, to_do = _priority_group(asked), _targets(asked, age), _checks_to_do(asked)
    is_for_meeting = at_least_of(
        2,
        asked.below("egfr", 30),
        asked.above("albumin_creatinine_ratio", 70),
        any_of(asked.has("has_coronary_heart_disease"), asked.has("has_heart_failure")),
    )
    is_highest = group.is_one_of("HRC")
    routes: list[Route] = [
        *elsewhere(asked),
        # Passed over while not known: the next route may decide.
        ("meeting", _or_no(all_of(is_highest, is_for_meeting)), "clinic", "diabetes_meeting"),
        ("specialist", _or_no(is_highest), "clinic", "diabetes_specialist"),
        (
            "gp_and_pharmacist",
            asked.naming(group.is_one_of("HRC", "HR"), *VALUES),
            "clinic",
            "diabetes_gp_pharmacist",
        ),
        # Relaxed targets are for those whose frailty a clinician graded, and the county has none: nobody goes to
        # ``frail_and_at_target``.
        (
            "nurse",
            asked.naming(any_of(group.is_one_of("MRa", "MRb"), targets.is_one_of("not_met")), *VALUES),
            "clinic",
            "diabetes_nurse",
        ),
        ("checks_to_do", Known(True) if to_do else NO, "clinic", "diabetes_checks"),
        ("all_done", YES, "self_management", None),
    ]
    return {
        "diabetes_group": group.tier,
        "diabetes_groups_open": ";".join(group.open_tiers),
        "diabetes_targets": targets.tier,
        "diabetes_targets_open": ";".join(targets.open_tiers),
        "diabetes_checks_to_do": to_do,
        "diabetes_checks": "not_all" if to_do else "all",
        "diabetes_facts": asked.facts_named(DIABETES_FACTS),
        **answers_of("diabetes", decide(standing, YES, routes)),
    }


def _priority_group(asked: Asked) -> Graded:
    treated = asked.has("has_insulin_or_glp1_agonist")
    failing = asked.has("has_heart_failure")
    pressure = any_of(asked.at_least("systolic_blood_pressure", 140), asked.at_least("diastolic_blood_pressure", 90))
    return first_tier(
        (
            "HRC",
            any_of(
                asked.above("hba1c", 90),
                asked.below("egfr", 15),
                asked.above("albumin_creatinine_ratio", 250),
                all_of(
                    asked.above("hba1c", 75),
                    any_of(
                        asked.has("has_coronary_heart_disease"), failing, asked.has("has_atrial_fibrillation"), treated
                    ),
                ),
            ),
        ),
        (
            "HR",
            any_of(
                asked.above("hba1c", 75),
                asked.has("has_first_myocardial_infarction_in_year"),
                asked.has("has_first_stroke_or_tia_in_year"),
                asked.below("egfr", 30),
                asked.above("albumin_creatinine_ratio", 70),
            ),
        ),
        (
            "MRa",
            all_of(
                asked.above("hba1c", 58),
                any_of(
                    asked.has("has_heart_attack_stroke_or_tia_in_year"),
                    asked.below("egfr", 45),
                    asked.above("albumin_creatinine_ratio", 30),
                    pressure,
                ),
            ),
        ),
        (
            "MRb",
            any_of(
                asked.above("hba1c", 58),
                all_of(
                    asked.above("hba1c", 48),
                    any_of(
                        failing,
                        asked.has("has_peripheral_arterial_disease"),
                        treated,
                        asked.above("body_mass_index", 35),
                        asked.below("egfr", 50),
                        asked.at_least("albumin_creatinine_ratio", 3),
                        pressure,
                    ),
                ),
            ),
        ),
        ("LR", YES),
    )


def _targets(asked: Asked, age: int | None) -> Graded:
    """Give whether the targets of the contract are met; from 80 on there is none for blood pressure."""
    is_younger = Known(None if age is None else age < 80)
    over = any_of(asked.above("systolic_blood_pressure", 140), asked.above("diastolic_blood_pressure", 90))
    not_met = any_of(asked.above("hba1c", 75), asked.above("hba1c", 58), all_of(is_younger, over))
    return first_tier(("not_met", not_met), ("met", YES))


def _checks_to_do(asked: Asked) -> int:
    """Count the eight care processes that were not done in 12 months."""
    processes = (
        ("hba1c_of_the_year",),
        ("cholesterol_of_the_year",),
        ("albumin_creatinine_ratio_of_the_year",),
        ("has_foot_check_of_the_year",),
        ("body_mass_index_of_the_year",),
        ("has_smoking_status_of_the_year",),
        ("creatinine_of_the_year", "egfr_of_the_year"),
    )
    done = sum(1 for either in processes if any(asked.has(name).holds for name in either))
    both = all(asked.has(f"{half}_blood_pressure").holds for half in ("systolic", "diastolic"))
    return len(processes) + 1 - done - both


def _prevention(asked: Asked, standing: Standing, age: int | None) -> dict[str, Answer]:
    """Only who has a result that can be used is on the pathway: nobody is called for want of a test."""
    palliative = next(known for name, known, _, _ in elsewhere(asked) if name == "palliative")
    if not asked.has("hba1c").holds or palliative.holds or (age is not None and age < 18):
        return {}
    in_range, below = asked.at_least("hba1c", 48), asked.below("hba1c", 48)
    sugar = first_tier(
        ("diabetes_range", in_range), ("ndh", all_of(asked.at_least("hba1c", 42), below)), ("not_ndh", YES)
    )
    is_on = asked.naming(sugar.is_one_of("diabetes_range", "ndh"), *_OF_THE_RANGE)
    if is_on.holds is False:
        return {}
    if age is None:
        is_on = Known(None)  # nobody knows whether they are of age
    in_the_range = asked.naming(sugar.is_one_of("diabetes_range"), *_OF_THE_RANGE)
    routes: list[Route] = [
        ("diabetes_range", in_the_range, "clinician_review", "clinician_review"),
        ("at_risk", Known(True, sugar.is_one_of(sugar.tier or "").because), "self_management", None),
    ]
    return {
        "prevention_range": sugar.tier,
        "prevention_ranges_open": ";".join(sugar.open_tiers),
        "diabetes_prevention_facts": asked.facts_named(PREVENTION_FACTS),
        **answers_of("diabetes_prevention", decide(standing, is_on, routes)),
    }


def _or_no(known: Known) -> Known:
    return NO if known.holds is None else known
