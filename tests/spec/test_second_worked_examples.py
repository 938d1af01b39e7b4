"""The published and hand-worked examples of every score, held against the second implementation (``tests/second``)."""

from __future__ import annotations

import ast
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from second import admissions, cambridge, charlson, copd, diabetes, elixhauser, frailty, kidney
from second import stroke as stroke_risk
from second.answers import total

INDEX = date(2026, 11, 2)


def test_the_second_implementation_shares_nothing_with_the_shipped_one():
    folder = Path(frailty.__file__).parent
    modules = sorted(folder.glob("*.py"))
    assert len(modules) >= 14
    allowed = {"second", "hypothesis"}
    standard = "__future__ bisect calendar collections dataclasses datetime fractions functools itertools math typing"
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= {*allowed, *standard.split()}, path.name


# ------------------------------------------------------------------------------------------------------------- frailty


@pytest.mark.parametrize(
    ("codes", "value", "tier"),
    [
        pytest.param(["G30", "N39", "W19", "I69"], "14.1", "intermediate", id="4.0+3.2+3.2+3.7"),
        pytest.param(["G309", "G308", "W190"], "7.2", "intermediate", id="G30_once"),
        pytest.param(["F03", "E86", "S72", "L89", "N17", "R26", "R29"], "15.5", "high", id="seven_codes"),
        pytest.param(["D64", "R11", "R50"], "0.8", "low", id="0.4+0.3+0.1"),
        pytest.param(["J440", "I10"], "0", "low", id="codes_outside_the_list"),
        pytest.param(["g30.9 ", None, ""], "4.0", "low", id="small_letters_dots_blanks_and_nulls"),
    ],
)
def test_hospital_frailty_risk_score(codes, value, tier):
    answer = frailty.hfrs(codes, 80)
    assert (answer.value, answer.tier) == (Fraction(value), tier)


@pytest.mark.parametrize(
    ("points", "tier"),
    [("4.9", "low"), ("5", "intermediate"), ("5.1", "intermediate"), ("14.9", "intermediate"),
     ("15", "intermediate"), ("15.1", "high")],
)  # fmt: skip
def test_hospital_frailty_tier_edges(points, tier):
    assert frailty.hfrs_of_points(points).tier == tier


def test_the_hospital_frailty_table_is_whole():
    assert len(frailty.HFRS_WEIGHTS) == 109
    assert total(frailty.HFRS_WEIGHTS.values()) == Fraction("173.2")
    assert {min(frailty.HFRS_WEIGHTS.values()), max(frailty.HFRS_WEIGHTS.values())} == {"0.1", "7.1"}


@pytest.mark.parametrize(
    ("deficits", "value", "tier"),
    [(0, "0", "fit"), (4, "0.1111", "fit"), (5, "0.1389", "mild"), (8, "0.2222", "mild"), (9, "0.25", "moderate"),
     (10, "0.2778", "moderate"), (12, "0.3333", "moderate"), (13, "0.3611", "severe"), (14, "0.3889", "severe"),
     (36, "1", "severe")],
)  # fmt: skip
def test_electronic_frailty_index(deficits, value, tier):
    answer = frailty.efi(sorted(frailty.EFI_DEFICITS)[:deficits], 70)
    assert (round(answer.value, 4), answer.tier) == (Fraction(value), tier)


def test_a_short_history_can_only_make_the_index_too_low():
    five = frailty.efi(sorted(frailty.EFI_DEFICITS)[:5], 70, history_is_short=True)
    none = frailty.efi([], 70, history_is_short=True)
    assert (five.tier, five.possible) == ("mild", {"mild", "moderate", "severe"})
    assert (none.tier, none.possible) == (None, {"fit", "mild", "moderate", "severe"})


@pytest.mark.parametrize(
    ("terms", "rest", "index", "tier"),
    [
        (["falls", "dementia"], ("none", "not_underweight", 10), "0.1842", "moderate"),
        (["housebound", "falls", "mobility_problems", "social_vulnerability"], ("none", "underweight", 5), "0.2882",
         "severe"),
        (["atrial_fibrillation", "heart_failure"], ("none", "not_underweight", 0), "0.0286", "robust"),
        ([], (None, None, 0), "0.0457", "robust"),
    ],
)  # fmt: skip
def test_electronic_frailty_index_2(terms, rest, index, tier):
    alcohol, bmi, medicines = rest
    answer = frailty.efi2(terms, 70, alcohol=alcohol, bmi=bmi, medicines=medicines)
    assert (round(answer.value, 4), answer.tier) == (Fraction(index), tier)


def test_efi2_first_example_is_the_sum_1_55259():
    answer = frailty.efi2(["falls", "dementia"], 70, alcohol="none", bmi="not_underweight", medicines=12)
    assert answer.value == Fraction("1.55259") / Fraction("8.429")


def test_efi2_coefficients_add_up_to_the_divisor():
    everything = frailty.efi2(
        frailty.EFI2_TERMS, 70, alcohol="previous_harmful_or_higher_risk", bmi="underweight", medicines=10
    )
    assert everything.value * Fraction("8.429") == Fraction("8.42874")


@pytest.mark.parametrize(
    ("index", "tier"),
    [("0.0856", "robust"), ("0.0857", "mild"), ("0.1623", "mild"), ("0.1624", "moderate"), ("0.2391", "moderate"),
     ("0.2392", "severe")],
)  # fmt: skip
def test_efi2_tier_edges(index, tier):
    assert frailty.efi2_of_index(index).tier == tier


# ---------------------------------------------------------------------------------------------------------------- COPD


@pytest.mark.parametrize(
    ("fev1", "grade"),
    [(29.9, "gold_4"), (30, "gold_3"), (49.6, "gold_3"), (50, "gold_2"), (79.9, "gold_2"), (80, "gold_1"),
     (55, "gold_2"), (72, "gold_2"), (82, "gold_1"), (None, None)],
)  # fmt: skip
def test_gold_grade(fev1, grade):
    assert copd.gold_grade(fev1).tier == grade


@pytest.mark.parametrize(
    ("moderate", "admitted", "mmrc", "cat", "year", "group"),
    [
        pytest.param(1, 0, 2, None, 2023, "B", id="one_moderate_mmrc_2"),
        pytest.param(0, 1, 0, None, 2023, "E", id="one_admission"),
        pytest.param(0, 0, 1, 9, 2023, "A", id="none_cat_9_mmrc_1"),
        pytest.param(1, 0, 2, None, 2026, "E", id="one_moderate_by_2026"),
        pytest.param(2, 0, None, None, 2024, "E", id="two_moderate_and_no_symptom_score"),
        pytest.param(1, 0, None, None, 2025, None, id="no_symptom_score_is_never_A"),
        pytest.param(0, 0, 1, None, 2025, None, id="mmrc_1_alone_leaves_B_open"),
        pytest.param(0, 0, 1, 10, 2025, "B", id="cat_10"),
        pytest.param(0, None, 3, 9, 2025, "B", id="admissions_not_known_leaves_E_open"),
    ],
)
def test_gold_group(moderate, admitted, mmrc, cat, year, group):
    assert copd.gold_group(moderate, admitted, mmrc, cat, year=year).tier == group


def test_what_is_missing_leaves_gold_groups_open():
    assert copd.gold_group(1, 0, None, None, year=2025).possible == {"A", "B"}
    assert copd.gold_group(0, None, 3, 9, year=2025).possible == {"B", "E"}
    assert copd.gold_group(None, None, None, None, year=2026).possible == {"A", "B", "E"}


def test_mrc_is_mmrc_and_one():
    assert [copd.mmrc_of_mrc(mrc) for mrc in (1, 2, 3, 4, 5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("cat", "impact"),
    [(0, "low"), (10, "low"), (11, "medium"), (20, "medium"), (21, "high"), (30, "high"), (31, "very high"),
     (40, "very high")],
)  # fmt: skip
def test_cat_impact(cat, impact):
    assert copd.cat_impact(cat) == impact


@pytest.mark.parametrize(
    ("fev1", "walk", "mmrc", "bmi", "value", "quartile"),
    [
        pytest.param(55, 300, 2, 24, 3, "quartile_2", id="1+1+1+0"),
        pytest.param(30, 120, 4, 19, 10, "quartile_4", id="3+3+3+1"),
        pytest.param(65, 350, 1, 21.1, 0, "quartile_1", id="nought"),
        pytest.param(64.9, 349, 2, 21, 4, "quartile_2", id="1+1+1+1"),
        pytest.param(49.6, 249, 3, 22, 6, "quartile_3", id="2+2+2+0"),
        pytest.param(35.9, 149, 3, 22, 8, "quartile_4", id="3+3+2+0"),
        pytest.param(55, None, 2, 24, None, None, id="no_walk_no_score"),
    ],
)
def test_bode(fev1, walk, mmrc, bmi, value, quartile):
    answer = copd.bode(fev1, walk, mmrc, bmi)
    assert (answer.value, answer.tier) == (value, quartile)


def test_bode_without_a_walk_says_which_quartiles_are_open():
    assert copd.bode(55, None, 2, 24).possible == {"quartile_1", "quartile_2", "quartile_3"}  # 2 + 0..3


@pytest.mark.parametrize(
    ("fev1", "mmrc", "age", "original", "updated"),
    [
        pytest.param(45, 2, 72, 5, 9, id="1+1+3_and_3+1+5"),
        pytest.param(70, 0, 55, 1, 3, id="0+0+1_and_1+0+2"),
        pytest.param(35, 4, 90, 10, 14, id="highest"),
        pytest.param(81, 0, 40, 0, 0, id="lowest"),
        pytest.param(45, None, 72, None, None, id="no_mmrc"),
        pytest.param(45, 2, 39, None, None, id="aged_39"),
    ],
)
def test_ado(fev1, mmrc, age, original, updated):
    assert (copd.ado(fev1, mmrc, age).value, copd.ado_updated(fev1, mmrc, age).value) == (original, updated)


@pytest.mark.parametrize(
    ("mmrc", "fev1", "smoker", "exacerbations", "value", "tier"),
    [
        pytest.param(2, 45, True, 1, 3, "low", id="1+1+1+0"),
        pytest.param(3, 40, False, 4, 5, "high", id="2+1+0+2"),
        pytest.param(2, 45, True, 2, 4, "high", id="four_is_high"),
        pytest.param(4, 29.9, True, 9, 8, "high", id="highest"),
        pytest.param(2, 45, None, 1, None, None, id="smoking_not_known"),
    ],
)
def test_dose(mmrc, fev1, smoker, exacerbations, value, tier):
    answer = copd.dose(mmrc, fev1, smoker, exacerbations)
    assert (answer.value, answer.tier) == (value, tier)


@pytest.mark.parametrize(
    ("items", "value", "tier"),
    [
        pytest.param(("1-4", 0.05, False, 7.30, False), 0, "low", id="edges_do_not_count"),
        pytest.param(("1-4", 0.049, False, 7.30, False), 1, "low", id="few_eosinophils"),
        pytest.param(("5a", 0.2, False, 7.29, False), 2, "intermediate", id="5a_and_acidosis"),
        pytest.param(("5b", 0.2, False, 7.40, True), 3, "high", id="5b_and_atrial_fibrillation"),
        pytest.param(("5b", 0, True, 7.1, True), 6, "high", id="all"),
        pytest.param(("5b", None, True, 7.1, True), None, None, id="eosinophils_missing"),
    ],
)
def test_decaf(items, value, tier):
    answer = copd.decaf(*items)
    assert (answer.value, answer.tier) == (value, tier)


@pytest.mark.parametrize(
    ("values", "group"),
    [
        pytest.param({"fev1": 28, "mrc": 1}, "HRC", id="fev1_28"),
        pytest.param({"fev1": 61, "mrc": 4}, "HR", id="fev1_61_mrc_4"),
        pytest.param({"fev1": 61, "mrc": 2, "exacerbations": 1}, "MR", id="fev1_61_mrc_2_one_exacerbation"),
        pytest.param({"fev1": 85, "mrc": 1}, "LR", id="fev1_85_mrc_1"),
        pytest.param({"fev1": None, "mrc": None}, None, id="cannot_grade"),
        pytest.param({"fev1": 30, "mrc": 1}, "HR", id="fev1_30"),
        pytest.param({"fev1": 50, "mrc": 1}, "MR", id="fev1_50"),
        pytest.param({"fev1": 79.9, "mrc": 1}, "MR", id="fev1_79.9"),
        pytest.param({"fev1": 80, "mrc": 1}, "LR", id="fev1_80"),
        pytest.param({"fev1": None, "mrc": 5}, "HRC", id="mrc_5_is_enough"),
        pytest.param({"fev1": None, "mrc": 4}, "HR", id="mrc_4_is_HR_at_least"),
        pytest.param({"fev1": 85, "mrc": 1, "lama": True, "laba": True}, "LR", id="two_inhaled_classes"),
        pytest.param({"fev1": 85, "mrc": 1, "lama": True, "laba": True, "steroid_inhaled": True}, "MR", id="three"),
        pytest.param({"fev1": 85, "mrc": 1, "antibiotic_issues": 1}, "LR", id="antibiotics_once"),
        pytest.param({"fev1": 85, "mrc": 1, "antibiotic_issues": 2}, "MR", id="antibiotics_twice"),
        pytest.param({"fev1": 61, "mrc": 2, "exacerbations": None}, "MR", id="hospital_not_linked"),
    ],
)
def test_copd_priority_group(values, group):
    assert copd.ncl_copd_group(**values).tier == group


def test_nobody_without_fev1_and_mrc_is_in_the_low_group():
    assert copd.ncl_copd_group(None, None).possible == {"HRC", "HR", "MR", "LR"}
    assert copd.ncl_copd_group(61, 2, exacerbations=None).possible == {"HR", "MR"}


@pytest.mark.parametrize(
    ("records", "count"),
    [
        pytest.param([(1, "antibiotic"), (1, "oral_steroid")], 1, id="both_drugs_on_a_day"),
        pytest.param([(1, "antibiotic"), (2, "oral_steroid")], 0, id="drugs_on_different_days"),
        pytest.param([(1, "cough"), (1, "sputum"), (1, "antibiotic")], 1, id="two_symptoms_and_a_drug"),
        pytest.param([(1, "cough"), (1, "sputum")], 0, id="two_symptoms_and_no_drug"),
        pytest.param([(1, "cough"), (1, "cough"), (1, "antibiotic")], 0, id="one_symptom_twice"),
        pytest.param([(1, "lower_respiratory_infection")], 1, id="infection_code"),
        pytest.param([(1, "exacerbation")], 1, id="exacerbation_code"),
        pytest.param([(1, "exacerbation"), (1, "annual_review")], 0, id="not_on_the_day_of_an_annual_review"),
        pytest.param([(1, "exacerbation"), (15, "exacerbation")], 1, id="fourteen_days_apart_is_one"),
        pytest.param([(1, "exacerbation"), (16, "exacerbation")], 2, id="fifteen_days_apart_is_two"),
        pytest.param([(1, "exacerbation"), (13, "exacerbation"), (25, "exacerbation")], 1, id="chained"),
    ],
)
def test_exacerbations_by_rothnie(records, count):
    dated = [(date(2026, 5, day), kind) for day, kind in records]
    assert copd.exacerbation_count(dated, INDEX) == count


# ------------------------------------------------------------------------------------------------------------ diabetes


@pytest.mark.parametrize(
    ("values", "group"),
    [
        pytest.param({"hba1c": 92}, "HRC", id="hba1c_92"),
        pytest.param({"hba1c": 78}, "HR", id="hba1c_78"),
        pytest.param({"hba1c": 78, "glp1_or_insulin_6_months": True}, "HRC", id="hba1c_78_on_insulin"),
        pytest.param({"hba1c": 60, "acr": 35}, "MRa", id="hba1c_60_acr_35"),
        pytest.param({"hba1c": 50, "complications": frozenset({"retinopathy"})}, "MRb", id="hba1c_50_retinopathy"),
        pytest.param({"hba1c": 50}, "LR", id="hba1c_50"),
        pytest.param({"hba1c": 90}, "HR", id="on_90"),
        pytest.param({"hba1c": 90.1}, "HRC", id="above_90"),
        pytest.param({"hba1c": 75}, "MRb", id="on_75"),
        pytest.param({"hba1c": 58}, "LR", id="on_58"),
        pytest.param({"hba1c": 48, "systolic": 150}, "LR", id="on_48_nothing_counts"),
        pytest.param({"hba1c": 48.1, "systolic": 140}, "MRb", id="above_48_and_pressure_on_140"),
        pytest.param({"hba1c": 60, "diastolic": 90}, "MRa", id="either_part_of_the_pressure"),
        pytest.param({"hba1c": 50, "elf": 9.9}, "HRC", id="elf"),
        pytest.param({"hba1c": 50, "bmi": 35.1}, "MRb", id="bmi_above_35"),
        pytest.param({"hba1c": 60, "acr": 30}, "MRb", id="acr_on_30"),
        pytest.param({"hba1c": 50, "acr": 70.1}, "HR", id="acr_above_70"),
        pytest.param({"hba1c": 50, "acr": 250.1}, "HRC", id="acr_above_250"),
    ],
)
def test_diabetes_group(values, group):
    assert (
        diabetes.ncl_diabetes_group(**{"egfr": 70, "acr": 1, "systolic": 120, "diastolic": 70, **values}).tier == group
    )


@pytest.mark.parametrize(
    ("hba1c", "glucose", "tier"),
    [(41.9, None, "not_ndh"), (42, None, "ndh"), (47, None, "ndh"), (48, None, "diabetes_range"),
     (None, 5.4, "not_ndh"), (None, 5.5, "ndh"), (None, 6.9, "ndh"), (None, 7.0, "diabetes_range"),
     (45, 7.1, "diabetes_range"), (40, 5.9, "ndh"), (None, None, None)],
)  # fmt: skip
def test_non_diabetic_hyperglycaemia(hba1c, glucose, tier):
    assert diabetes.non_diabetic_hyperglycaemia(50, hba1c, glucose).tier == tier


@pytest.mark.parametrize(
    ("person", "reason"),
    [({"age": 17}, "from 18 years"), ({"is_pregnant": True}, "pregnant"), ({"has_diabetes": True}, "has diabetes")],
)
def test_who_is_not_referred_for_prevention(person, reason):
    assert diabetes.non_diabetic_hyperglycaemia(
        **{"age": 50, "hba1c": 45, "fasting_glucose": None, **person}
    ).withheld == (reason)


def test_care_processes_are_of_twelve_months_and_eight_without_the_eyes():
    found = dict.fromkeys(diabetes.EIGHT_PROCESSES, date(2025, 11, 2)) | {"retinal_screening": date(2026, 1, 1)}
    assert diabetes.care_process_count(found, INDEX) == 8
    assert len(diabetes.care_processes_done(found, INDEX)) == 9
    late = found | {"hba1c": date(2025, 11, 1), "bmi": None, "foot_examination": INDEX}
    assert diabetes.care_process_count(late, INDEX) == 5


# --------------------------------------------------------------------------------------------- admission, readmission


@pytest.mark.parametrize(
    ("case", "z", "risk"),
    [
        pytest.param((75, 20, 3, False, True, ["congestive_heart_failure", "renal_disease"]), "-1.339842", 0.207536,
                     id="75_years"),
        pytest.param((45, 55, 1, True, True, ["other_liver_disease"], "-0.2998"), "-1.580033", 0.170791, id="45_years"),
        pytest.param((85, 12, 0, False, False, []), "-2.459612", 0.078738, id="85_years"),
    ],
)  # fmt: skip
def test_parr_30(case, z, risk):
    assert round(admissions.parr30_z(*case), 6) == Fraction(z)
    assert round(admissions.parr30(*case).value, 6) == risk


@pytest.mark.parametrize(
    ("days", "emergency", "points", "visits", "value", "tier"),
    [
        pytest.param(5, True, 1, 0, 8, "not_high", id="4+3+1+0"),
        pytest.param(2, False, 3, 1, 6, "not_high", id="2+0+3+1"),
        pytest.param(10, True, 5, 2, 15, "high", id="5+3+5+2"),
        pytest.param(0.5, False, 0, 0, 0, "not_high", id="under_a_day"),
        pytest.param(14, True, 4, 9, 19, "high", id="highest"),
        pytest.param(6, True, 2, 0, 9, "not_high", id="nine"),
        pytest.param(7, True, 2, 0, 10, "high", id="ten"),
        pytest.param(None, True, 2, 0, None, None, id="length_of_stay_missing"),
    ],
)
def test_lace(days, emergency, points, visits, value, tier):
    answer = admissions.lace(days, emergency, points, visits)
    assert (answer.value, answer.tier) == (value, tier)


# ------------------------------------------------------------------------------------------------------- multimorbidity


@pytest.mark.parametrize(
    ("codes", "age", "original", "with_age", "quan"),
    [
        pytest.param(["J449", "I500"], 66, 2, 4, 3, id="1+1_and_1+2"),
        pytest.param(["E119", "E112"], 45, 2, 2, 1, id="plain_diabetes_dropped"),
        pytest.param(["C509", "C795"], 71, 6, 9, 6, id="metastatic_over_any_cancer"),
        pytest.param(["B24"], 52, 6, 7, 4, id="aids"),
        pytest.param([None], 49, 0, 0, 0, id="only_null_codes"),
    ],
)
def test_charlson(codes, age, original, with_age, quan):
    assert charlson.charlson_1987(codes).value == original
    assert charlson.charlson_1987_with_age(codes, age).value == with_age
    assert charlson.charlson_quan_2011(codes).value == quan


def test_charlson_has_289_prefixes_and_its_published_highest_scores():
    everything = [code for prefixes in charlson.CODES.values() for code in prefixes.split()]
    assert (len(everything), len(charlson.CODES)) == (289, 17)
    assert charlson.charlson_1987(everything).value == 29
    assert charlson.charlson_quan_2011(everything).value == 24
    assert sum(1 for _, quan, _ in charlson.WEIGHTS.values() if quan) == 12


@pytest.mark.parametrize(
    ("age", "points"), [(49, 0), (50, 1), (59, 1), (60, 2), (69, 2), (70, 3), (79, 3), (80, 4), (101, 4)]
)
def test_charlson_age_points(age, points):
    assert charlson.age_points(age) == points


def test_charlson_ten_year_survival():
    assert [round(100 * charlson.ten_year_survival(each)) for each in range(7)] == [98, 96, 90, 77, 53, 21, 2]


def test_shmi_score_is_110_with_every_condition_and_never_below_nought():
    everything = [code for prefixes in charlson.SHMI_CODES.values() for code in prefixes.split()]
    assert len(everything) == 224
    assert charlson.charlson_shmi(everything).value == 110
    assert charlson.charlson_shmi(["E112"]).value == 0  # -1
    assert charlson.charlson_shmi(["E112", "J440"]).value == 3  # -1 + 4


@pytest.mark.parametrize(
    ("codes", "van_walraven", "swiss"),
    [
        pytest.param(["I10", "E669"], -4, -10, id="0-4_and_-4-6"),
        pytest.param(["I110"], 7, 10, id="one_code_two_conditions"),
        pytest.param(["I500", "J449", "N18"], 15, 24, id="7+3+5_and_13+3+8"),
    ],
)
def test_elixhauser(codes, van_walraven, swiss):
    assert elixhauser.elixhauser_van_walraven(codes).value == van_walraven
    assert elixhauser.elixhauser_swiss(codes).value == swiss


def test_elixhauser_table_is_whole():
    assert len(elixhauser.CODES) == len(elixhauser.WEIGHTS) == 31
    assert sum(len(prefixes.split()) for prefixes in elixhauser.CODES.values()) == 399


@pytest.mark.parametrize(
    ("present", "general_20", "mortality_20", "general_37"),
    [
        (["hypertension", "diabetes", "coronary_heart_disease", "copd"], "2.78", "54.86", "2.67"),
        (["dementia", "painful_condition", "constipation"], "4.54", "176.30", "4.36"),
        (["atrial_fibrillation", "heart_failure", "chronic_kidney_disease", "cancer"], "4.58", "144.22", "4.43"),
        (["asthma"], "0.19", "-2.73", "0.18"),
    ],
)
def test_cambridge_multimorbidity(present, general_20, mortality_20, general_37):
    assert cambridge.general_20(present).value == Fraction(general_20)
    assert cambridge.mortality_20(present).value == Fraction(mortality_20)
    assert cambridge.general_37(present).value == Fraction(general_37)


def test_cambridge_has_20_and_35_of_37_weights():
    assert sum(1 for weight, _, _ in cambridge.WEIGHTS.values() if weight) == 20
    assert sum(1 for _, weight, _ in cambridge.WEIGHTS.values() if weight) == 20
    assert all(weight for _, _, weight in cambridge.WEIGHTS.values())
    assert len(cambridge.WEIGHTS) == 35


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("0", "1"),
        ("0.08", "1"),
        ("0.09", "2"),
        ("0.69", "3"),
        ("1.57", "3"),
        ("1.58", "4"),
        ("2.95", "4"),
        ("2.96", "5"),
    ],
)
def test_cambridge_segment_edges(value, segment):
    assert cambridge.segment_of(value) == segment


# ------------------------------------------------------------------------------------------------------- kidney, stroke


@pytest.mark.parametrize(
    ("age", "is_male", "egfr", "acr", "uk_5", "elsewhere_5", "elsewhere_2"),
    [
        (65, True, 40, 30, 4.27, 6.31, 1.67),
        (70, False, 25, 100, 24.37, 34.09, 10.21),
        (80, True, 35, 5, 2.41, 3.58, 0.94),
    ],
)
def test_kidney_failure_risk_in_percent(age, is_male, egfr, acr, uk_5, elsewhere_5, elsewhere_2):
    found = [
        kidney.kfre(age, is_male, egfr, acr, region=region, years=years).value
        for region, years in (("uk", 5), ("elsewhere", 5), ("elsewhere", 2))
    ]
    assert [round(100 * each, 2) for each in found] == [uk_5, elsewhere_5, elsewhere_2]


def test_kidney_referral_is_above_five_percent():
    assert kidney.kfre(65, True, 40, 30).tier == "not_refer"
    assert kidney.kfre(65, True, 40, 30, region="elsewhere").tier == "refer"
    assert kidney.kfre(65, True, 40, None).tier is None
    assert kidney.kfre(65, True, 60, 30).withheld == "eGFR is 60 or more"


def test_there_is_no_uk_figure_for_two_years():
    with pytest.raises(KeyError):
        kidney.kfre(65, True, 40, 30, region="uk", years=2)


@pytest.mark.parametrize(
    ("age", "is_female", "items", "value"),
    [
        pytest.param(70, True, ["hypertension"], 3, id="1+1+1"),
        pytest.param(80, False, ["diabetes", "stroke_tia_thromboembolism"], 5, id="2+1+2"),
        pytest.param(50, False, [], 0, id="nought"),
        pytest.param(64, False, [], 0, id="aged_64"),
        pytest.param(65, False, [], 1, id="aged_65"),
        pytest.param(74, False, [], 1, id="aged_74"),
        pytest.param(75, False, [], 2, id="aged_75"),
        pytest.param(90, True, sorted(stroke_risk.POINTS), 9, id="highest"),
        pytest.param(70, None, [], None, id="sex_missing"),
    ],
)
def test_cha2ds2_vasc(age, is_female, items, value):
    assert stroke_risk.cha2ds2_vasc(age, is_female, items).value == value
