"""Mistakes seen in other public implementations: each is made here, to show what it gives, and ours gives otherwise."""

from __future__ import annotations

import math
from datetime import date
from fractions import Fraction

import pytest

from second import admissions, cambridge, charlson, copd, diabetes, elixhauser, frailty, kidney, priority, segments
from second import stroke as stroke_risk
from second.answers import conditions
from second.windows import latest

INDEX = date(2026, 11, 2)


# ------------------------------------------------------------------------------------------------------------- frailty


def test_n39_and_not_r39_stands_in_the_hospital_frailty_table():
    """The Strategy Unit's table has R39 where N39 belongs: a urinary infection (N39.0) scores nothing."""
    theirs = {("R39" if code == "N39" else code): weight for code, weight in frailty.HFRS_WEIGHTS.items()}
    assert theirs.get("N39", "0") == "0"
    assert frailty.hfrs(["N390"], 80).value == Fraction("3.2")
    assert frailty.hfrs(["R391"], 80).value == 0


def test_a_diagnosis_of_several_stays_counts_once():
    """The Strategy Unit's SQL, and jamesvanoppen/hfrs, add every occurrence: dementia on three stays makes 6.3."""
    stays = ["F03", "F03", "F03"]
    assert sum(Fraction(frailty.HFRS_WEIGHTS[code]) for code in stays) == Fraction("6.3")  # intermediate
    answer = frailty.hfrs(stays, 80)
    assert (answer.value, answer.tier) == (Fraction("2.1"), "low")


def test_exactly_5_is_intermediate():
    """jamesvanoppen/hfrs cuts with intervals closed above: (0, 5] is Low."""

    def cut(points: float) -> str:
        return "low" if points <= 5 else "intermediate" if points <= 15 else "high"

    edges = (4.9, 5, 5.1, 14.9, 15, 15.1)
    assert [points for points in edges if cut(points) != frailty.hfrs_of_points(points).tier] == [5]


def test_15_is_not_above_15_however_a_computer_adds_it_up():
    """Added as doubles these seven codes make 15.000000000000002, which an unrounded test calls High."""
    codes = ["S72", "S01", "M19", "F00", "Z60", "R69", "R13"]  # 1.4 + 1.1 + 1.5 + 7.1 + 1.8 + 1.3 + 0.8
    doubles = 0.0
    for code in codes:
        doubles += float(frailty.HFRS_WEIGHTS[code])
    assert doubles == 15.000000000000002
    answer = frailty.hfrs(codes, 80)
    assert (answer.value, answer.tier) == (15, "intermediate")
    assert frailty.hfrs_of_points(doubles).tier == "intermediate"


def test_5_is_not_below_5_however_a_computer_adds_it_up():
    """Added as doubles 1.9 + 2.3 + 0.8 makes 4.999999999999999, which an unrounded test calls Low."""
    codes = ["H54", "S42", "R13"]
    doubles = 0.0
    for code in codes:
        doubles += float(frailty.HFRS_WEIGHTS[code])
    assert doubles == 4.999999999999999
    answer = frailty.hfrs(codes, 80)
    assert (answer.value, answer.tier) == (5, "intermediate")


def test_two_codes_of_one_category_score_once():
    """comorbidipy 0.8.0 drops duplicates of the whole code only: N18.3 and N18.4 make 2.8."""
    codes = ["N183", "N184"]
    assert sum(Fraction(frailty.HFRS_WEIGHTS[code[:3]]) for code in codes) == Fraction("2.8")
    assert frailty.hfrs(codes, 80).value == Fraction("1.4")


def test_no_hospital_record_is_no_score_and_not_nought():
    """A join that fills with nought makes somebody who was never admitted Low."""
    answer = frailty.hfrs(None, 80)
    assert (answer.value, answer.tier, answer.withheld) == (None, None, "no hospital record")
    assert frailty.hfrs([], 80, is_linked=False).possible == {"high", "intermediate", "low"}
    assert frailty.hfrs(["F00"], 74).withheld == "validated from 75"


def test_polypharmacy_is_a_deficit_of_those_with_five_medicines_only():
    """Exeter's cohort takes polypharmacy as always present: four other deficits make 5 of 36, mild."""
    four = sorted(frailty.EFI_DEFICITS - {"polypharmacy"})[:4]
    assert frailty.efi([*four, "polypharmacy"], 70).tier == "mild"  # theirs
    assert not frailty.has_polypharmacy(4)
    assert frailty.has_polypharmacy(5)
    assert frailty.efi(four, 70).tier == "fit"


@pytest.mark.parametrize(
    ("value", "sex", "deficit"),
    [(12.9, "male", True), (13, "male", False), (129, "male", True), (130, "male", False), (11.4, "female", True),
     (11.5, "female", False), (114, "female", True), (115, "female", False), (25, "male", False)],
)  # fmt: skip
def test_haemoglobin_in_grams_per_litre_is_not_read_as_per_decilitre(value, sex, deficit):
    """Read as g/dL throughout, a haemoglobin of 114 g/L is never below 13: anaemia is missed."""
    assert (frailty.efi_deficit_by_value("haemoglobin", value, sex=sex) == "anaemia_haematinic") is deficit


@pytest.mark.parametrize("index", ["0.16230001", "0.16235", "0.16239999"])
def test_no_efi2_falls_between_two_tiers(index):
    """A peer's BETWEEN 0.0857 AND 0.1623 and BETWEEN 0.1624 AND 0.2391 give null in between."""
    number = Fraction(index)
    theirs = [
        low <= number <= high for low, high in ((Fraction("0.0857"), Fraction("0.1623")), (Fraction("0.1624"), 1))
    ]
    assert not any(theirs)
    assert frailty.efi2_of_index(index).tier == "mild"


def test_efi2_between_0_2391_and_0_2392_is_severe():
    """Public variants write the last edge as at most 0.2391 or below 0.2392; ours is the first."""
    assert Fraction("0.23915") < Fraction("0.2392")  # moderate by the second
    assert frailty.efi2_of_index("0.23915").tier == "severe"
    assert frailty.efi2_of_index("0.2391").tier == "moderate"


def test_efi2_is_not_rounded_to_two_decimals_first():
    """North Central London's cut-points for GP-coded values are 0.09, 0.16 and 0.24."""
    assert round(0.0860, 2) == 0.09
    assert frailty.efi2_of_index("0.0860").tier == "mild"
    assert Fraction("0.0860") < Fraction("0.09")  # robust by theirs


def test_efi2_adds_memory_concerns_cognitive_impairment_and_dementia():
    """North Central London takes the largest of the three; the divisor holds all three together."""
    terms, rest = list(frailty.EFI2_COGNITION), {"alcohol": "none", "bmi": "not_underweight", "medicines": 0}
    largest = frailty.efi2(terms, 70, **rest, cognition="largest")
    added = frailty.efi2(terms, 70, **rest)
    assert largest.value == Fraction("0.41715") / Fraction("8.429")
    assert added.value == Fraction("0.64615") / Fraction("8.429")  # 0.11915 + 0.10985 + 0.41715


def test_a_blank_record_has_an_efi2_of_0_0457_and_not_nought():
    """Missing alcohol and BMI have coefficients of their own; skipped, a blank record scores 0."""
    skipped = frailty.efi2([], 70, alcohol="none", bmi="not_underweight", medicines=0)
    blank = frailty.efi2([], 70, alcohol=None, bmi=None, medicines=0)
    assert skipped.value == 0
    assert round(blank.value, 4) == Fraction("0.0457")


# ---------------------------------------------------------------------------------------------------------------- COPD


@pytest.mark.parametrize(
    ("fev1", "grade", "bode_points"), [(49.6, "gold_3", 2), (79.5, "gold_2", 0), (29.5, "gold_4", 3)]
)
def test_a_value_between_two_whole_numbers_is_in_a_band(fev1, grade, bode_points):
    """Bands written 30-49 and 50-79 hold no 49.6."""
    assert not any(low <= fev1 <= high for low, high in ((0, 29), (30, 49), (50, 79), (80, 200)))
    assert copd.gold_grade(fev1).tier == grade
    assert copd.bode(fev1, 400, 0, 30).value == bode_points


def test_gold_2026_is_not_the_old_rule_under_a_new_name():
    """A public "GOLD 2026" checker still asks for two moderate exacerbations."""
    assert copd.gold_group(1, 0, 2, None, year=2025).tier == "B"  # theirs
    assert copd.gold_group(1, 0, 2, None, year=2026).tier == "E"
    with pytest.raises(ValueError, match="no rule for 2027"):
        copd.gold_group(1, 0, 2, None, year=2027)


def test_cat_10_is_low_impact_and_yet_more_symptoms():
    assert copd.cat_impact(10) == "low"
    assert copd.gold_group(0, 0, 0, 10, year=2025).tier == "B"
    assert copd.gold_group(0, 0, 0, 9, year=2025).tier == "A"


def test_a_bmi_of_exactly_21_scores_in_bode():
    """Most public copies write below 21."""
    theirs = {bmi: int(bmi < 21) for bmi in (20.9, 21, 21.1)}
    ours = {bmi: copd.bode(80, 400, 0, bmi).value for bmi in theirs}
    assert (theirs[21], ours[21]) == (0, 1)
    assert [bmi for bmi in theirs if theirs[bmi] != ours[bmi]] == [21]


def test_mrc_is_not_taken_for_mmrc():
    """MRC 3 read as mMRC 3 is a point too many."""
    assert copd.dose(3, 60, False, 0).value == 2  # theirs
    assert copd.dose(copd.mmrc_of_mrc(3), 60, False, 0).value == 1


def test_one_exacerbation_is_not_two():
    """The rule's text says two or more in group 2, its published SQL takes one."""
    answer = copd.ncl_copd_group(85, 1, exacerbations=1)
    assert answer.tier == "MR"  # theirs: HR
    assert copd.ncl_copd_group(85, 1, exacerbations=2).tier == "HR"


def test_an_mrc_grade_of_5_long_past_is_not_the_latest():
    """The published SQL takes any grade 5 ever recorded."""
    grades = [(date(2019, 1, 1), 5), (date(2026, 4, 1), 2)]
    assert any(grade == 5 for _, grade in grades)  # theirs: HRC
    assert copd.ncl_copd_group(85, latest(grades, INDEX, 15)).tier == "MR"


def test_nobody_without_fev1_or_mrc_is_low_risk():
    """With no FEV1 and no MRC no rule holds, and the rest of the register is the low group."""
    for fev1, mrc in ((None, None), (85, None), (None, 1)):
        answer = copd.ncl_copd_group(fev1, mrc)
        assert answer.tier is None
        assert "LR" in answer.possible
        assert len(answer.possible) > 1


def test_flare_ups_fourteen_days_apart_are_one():
    """Every coded day as an exacerbation of its own makes two of one."""
    records = [(date(2026, 5, 1), "exacerbation"), (date(2026, 5, 15), "lower_respiratory_infection")]
    assert len(copd.exacerbation_days(records)) == 2
    assert copd.exacerbation_count(records, INDEX) == 1


def test_a_rescue_pack_issued_at_an_annual_review_is_no_flare_up():
    day = date(2026, 5, 1)
    drugs = [(day, "antibiotic"), (day, "oral_steroid")]
    assert copd.exacerbation_count(drugs, INDEX) == 1
    assert copd.exacerbation_count([*drugs, (day, "annual_review")], INDEX) == 0


# ------------------------------------------------------------------------------------------------------------ diabetes


@pytest.mark.parametrize(
    ("hba1c", "egfr", "theirs", "ours"),
    [
        (60, 28, "HR", "HR"),
        (60, 29, "MRb", "HR"),
        (60, 30, "MRa", "MRa"),
        (60, 43, "MRa", "MRa"),
        (60, 44, "MRb", "MRa"),
        (60, 45, "MRb", "MRb"),
        (50, 48, "MRb", "MRb"),
        (50, 49, "LR", "MRb"),
        (50, 50, "LR", "LR"),
    ],
)
def test_an_egfr_of_29_44_or_49_does_not_drop_out(hba1c, egfr, theirs, ours):
    """The published SQL writes below 29, below 44 and below 49, so that these three belong to no rule."""

    def published(hba1c: int, egfr: int) -> str:
        if 15 <= egfr < 29:
            return "HR"
        if hba1c > 58:
            return "MRa" if 30 <= egfr < 44 else "MRb"
        return "MRb" if hba1c > 48 and 45 <= egfr < 49 else "LR"

    assert published(hba1c, egfr) == theirs
    assert diabetes.ncl_diabetes_group(hba1c, egfr, acr=1, systolic=120, diastolic=70).tier == ours


def test_nobody_without_hba1c_is_in_the_low_diabetes_group():
    """The published SQL puts people with no recorded HbA1c in group 4."""
    answer = diabetes.ncl_diabetes_group(None, egfr=70, acr=1, systolic=120, diastolic=70)
    assert (answer.tier, answer.possible) == (None, {"HRC", "HR", "MRb", "LR"})


@pytest.mark.parametrize(("egfr", "acr"), [(35, 1), (70, 50)])
def test_a_sicker_kidney_is_not_a_lower_diabetes_group(egfr, acr):
    """As printed, 3b names eGFR 45-49 and ACR 3-30 only: with an HbA1c of 50 worse values are group 4."""
    rest = {"systolic": 120, "diastolic": 70}
    assert diabetes.ncl_diabetes_group(50, egfr, acr, **rest, as_printed=True).tier == "LR"
    assert diabetes.ncl_diabetes_group(50, egfr, acr, **rest).tier == "MRb"


def test_three_targets_differ_by_their_owner():
    """A BP of 138/78 and a statin with a cholesterol of 5.2: met or not, by whom one asks."""
    assert diabetes.triple_target_ncl(55, 138, 78, 4.5).tier == "not_met"
    assert diabetes.triple_target_nda_2016(55, 138, 78, 4.5).tier == "met"
    assert diabetes.triple_target_nda_2016(55, 138, 78, 5.2).tier == "not_met"
    assert diabetes.triple_target_nda_new(55, 138, 78, True).tier == "met"
    assert diabetes.qof_dm036(138, 88, 70, is_frail=False).tier == "met"
    assert diabetes.triple_target_nda_2016(55, 138, 88, 4.5).tier == "not_met"


@pytest.mark.parametrize(
    ("answer", "tier"),
    [
        (diabetes.triple_target_ncl(58, 129, 79, 4.9), "met"),
        (diabetes.triple_target_ncl(58, 130, 79, 4.9), "not_met"),
        (diabetes.triple_target_ncl(58, 129, 80, 4.9), "not_met"),
        (diabetes.triple_target_ncl(58, 129, 79, 5), "not_met"),
        (diabetes.triple_target_ncl(59, 129, 79, 4.9), "not_met"),
        (diabetes.triple_target_nda_2016(58, 140, 80, 4.9), "met"),
        (diabetes.triple_target_nda_2016(58, 140, 81, 4.9), "not_met"),
        (diabetes.qof_dm020(58, is_frail=False), "met"),
        (diabetes.qof_dm020(58.1, is_frail=False), "not_met"),
        (diabetes.qof_dm021(75, is_frail=True), "met"),
        (diabetes.qof_dm021(75.1, is_frail=True), "not_met"),
        (diabetes.qof_dm036(140, 90, 79, is_frail=False), "met"),
        (diabetes.qof_dm036(140, 91, 79, is_frail=False), "not_met"),
        (diabetes.triple_target_ncl(None, 129, 79, 4.9), None),
        (diabetes.triple_target_ncl(None, 130, 79, 4.9), "not_met"),
    ],
)
def test_the_edges_of_the_targets(answer, tier):
    assert answer.tier == tier


def test_frail_people_have_a_target_of_their_own():
    """One target for all calls a frail person with an HbA1c of 70 a failure."""
    assert diabetes.qof_dm020(70, is_frail=False).tier == "not_met"
    assert diabetes.qof_dm020(70, is_frail=True).withheld == "moderate or severe frailty"
    assert diabetes.qof_dm021(70, is_frail=True).tier == "met"
    assert diabetes.qof_dm036(130, 80, 80, is_frail=False).withheld == "80 or over"


# --------------------------------------------------------------------------------------------- admission, readmission


def test_parr_30_terms_are_not_rounded_to_three_decimals():
    """The C# copy rounds each term: at 85 years in an area of 12 it has -2.459 for -2.459612."""
    terms = ["-2.91821", "0.437697725", "0.0209"]  # the second is 0.000060581 x 85 x 85
    assert sum(round(Fraction(term), 3) for term in terms) == Fraction("-2.459")
    assert admissions.parr30_z(85, 12, 0, False, False, []) == Fraction("-2.459612275")


@pytest.mark.parametrize(("imd", "term"), [(9.99, "0"), (10, "0.0209"), (15, "0.0239"), (25, "0.0661"), (50, "0.0982")])
def test_parr_30_deprivation_bands_are_open_above(imd, term):
    """The R copy closes them above: an area scoring exactly 10 counts as below 10."""
    without = admissions.parr30_z(50, 0, 0, False, False, [])
    assert admissions.parr30_z(50, imd, 0, False, False, []) - without == Fraction(term)


def test_parr_30_with_a_term_missing_is_no_score():
    """The copies skip a missing term, which counts it as nought without saying so."""
    assert admissions.parr30(75, None, 1, False, False, []).value is None
    assert admissions.parr30(75, 20, None, False, False, []).value is None


def test_seven_days_and_more_score_5_and_not_7_in_lace():
    """A TypeScript copy gives 7 points from 7 days on."""
    assert [admissions.lace(days, False, 0, 0).value for days in (6, 7, 13, 14)] == [4, 5, 5, 7]


def test_four_charlson_points_are_five_in_lace():
    assert [admissions.lace(0, False, points, 0).value for points in (3, 4, 12)] == [3, 5, 5]


# ------------------------------------------------------------------------------------------------------- multimorbidity


def test_aids_weighs_4_by_quan_2011():
    """comorbidipy has 2; with 4 the highest score is the published 24."""
    assert charlson.charlson_quan_2011(["B24"]).value == 4
    everything = [code for prefixes in charlson.CODES.values() for code in prefixes.split()]
    assert charlson.charlson_quan_2011(everything).value - 4 + 2 == 22  # theirs


def test_age_scores_from_50_and_not_from_40():
    """comorbidipy's documentation starts at 40: its own code, and everybody else, at 50."""
    found = [charlson.charlson_1987_with_age(["J449"], age).value for age in (39, 40, 49, 50)]
    assert found == [1, 1, 1, 2]  # by that documentation 1, 2, 2, 3


@pytest.mark.parametrize(
    ("codes", "both", "ours"),
    [(["K709", "K721"], 1 + 3, 3), (["E119", "E112"], 1 + 2, 2), (["C509", "C795"], 2 + 6, 6)],
)
def test_the_graver_form_stands_alone_in_charlson(codes, both, ours):
    found = conditions(codes, charlson.CODES)
    assert sum(charlson.WEIGHTS[each][0] for each in found) == both
    assert charlson.charlson_1987(codes).value == ours


def test_no_coded_stay_is_no_charlson_score():
    assert charlson.charlson_1987(None).withheld == "no coded stay"
    assert charlson.charlson_1987([None]).value == 0


def test_shmi_codes_of_one_list_only_are_known():
    """E110 and M351 stand in one of the two public lists; ours has them."""
    assert [charlson.charlson_shmi([code]).value for code in charlson.SHMI_CODES_IN_ONE_LIST_ONLY] == [3, 4]


def test_shmi_reaches_114_without_complicated_diabetes():
    """The stated highest, 110, is every condition at once: complicated diabetes takes one away and drops the plain."""
    prefixes = {name: given for name, given in charlson.SHMI_CODES.items() if name != "diabwc"}
    everything = [code for given in prefixes.values() for code in given.split()]
    assert charlson.charlson_shmi(everything).value == 114


def test_fourteen_codes_set_two_elixhauser_conditions_each():
    """A map from each code to one condition loses the other."""
    overlapping = elixhauser.CODES_OF_TWO_CONDITIONS.split()
    assert len(overlapping) == 14
    assert all(len(conditions([code], elixhauser.CODES)) == 2 for code in overlapping)
    assert conditions(["I110"], elixhauser.CODES) == {"chf", "hypc"}


def test_elixhauser_below_nought_stays_below_nought():
    """comorbidipy 0.5 sets every negative sum to 0, which is meant for the SHMI only."""
    assert max(0, elixhauser.elixhauser_swiss(["I10", "E669"]).value) == 0  # theirs
    assert elixhauser.elixhauser_swiss(["I10", "E669"]).value == -10


def test_a_cambridge_weight_below_nought_counts():
    assert cambridge.mortality_20(["asthma", "hearing_loss"]).value == Fraction("-6.67")  # -2.73 - 3.94


def test_a_condition_without_a_published_weight_is_not_nought_without_saying_so():
    answer = cambridge.general_37(["diverticular_disease", "hypertension"])
    assert (answer.value, answer.tier, answer.possible) == (Fraction("0.09"), "2", {"2", "3", "4", "5"})
    assert cambridge.general_37(["chronic_sinusitis"]).tier is None


def test_one_low_egfr_of_two_is_no_kidney_disease_by_cambridge():
    assert cambridge.has_chronic_kidney_disease([55, 62]) is False
    assert cambridge.has_chronic_kidney_disease([55, 59, 90]) is True
    assert cambridge.has_chronic_kidney_disease([55]) is None


def test_treatment_within_the_year_is_asked_for():
    """A code ever makes somebody with asthma in childhood an asthmatic."""
    assert not cambridge.has_under_treatment(True, 0)
    assert cambridge.has_under_treatment(True, 1)
    assert not cambridge.has_under_treatment(True, 3, at_least=4)
    assert [cambridge.has_by_issues(issues) for issues in (3, 4)] == [False, True]
    assert cambridge.has_painful_condition(0, 4, epilepsy_ever=False)
    assert not cambridge.has_painful_condition(3, 4, epilepsy_ever=True)
    assert cambridge.has_anxiety_depression(False, 2, 2)
    assert cambridge.has_irritable_bowel(False, 4)
    assert cambridge.has_psychosis_bipolar(False, True)
    assert [cambridge.has_cancer(day, INDEX) for day in (date(2021, 11, 2), date(2021, 11, 1), None)] == [
        True,
        False,
        False,
    ]


# ------------------------------------------------------------------------------------------------------- kidney, stroke


def test_the_kidney_equation_takes_mg_per_g():
    """ACR in mg/mmol put straight in: 30 counts as 30 mg/g and not as 265."""
    ours = kidney.kfre(65, True, 40, 30).value
    straight = kidney.kfre(65, True, 40, 30 * 0.113).value
    assert round(100 * ours, 2) == 4.27
    assert straight < ours / 2


def test_the_sex_term_is_centred_before_it_is_weighted():
    """The Leicester script has (0.2467 x male) - 0.5642 for 0.2467 x (male - 0.5642)."""
    right = 0.2467 * (1 - 0.5642)
    slip = (0.2467 * 1) - 0.5642
    shift = math.exp(slip - right)
    ours = kidney.kfre(65, True, 40, 30).value
    theirs = 1 - (1 - ours) ** shift
    assert round(100 * ours, 2) == 4.27
    assert round(100 * theirs, 2) == 2.81


@pytest.mark.parametrize("acr", [0, -1, None])
def test_an_acr_of_nought_is_no_score(acr):
    """A peer clamped 0 to 0.000001, which gives a risk near nought."""
    assert kidney.kfre(65, True, 40, 0.000001).value < 0.001  # theirs
    answer = kidney.kfre(65, True, 40, acr)
    assert (answer.value, answer.tier, answer.possible) == (None, None, {"refer", "not_refer"})


def test_75_replaces_65_to_74_in_cha2ds2_vasc():
    """Both added, everybody of 75 and over has a point too many."""
    both = {age: (1 if age >= 65 else 0) + (2 if age >= 75 else 0) for age in (64, 65, 74, 75, 80)}
    ours = {age: stroke_risk.cha2ds2_vasc(age, False, []).value for age in both}
    assert {age: both[age] - ours[age] for age in both} == {64: 0, 65: 0, 74: 0, 75: 1, 80: 1}


def test_the_point_for_sex_is_dropped_under_another_name_only():
    assert stroke_risk.cha2ds2_vasc(70, True, []).value == 2
    assert stroke_risk.cha2ds2_va(70, []).value == 1
    assert stroke_risk.cha2ds2_vasc(70, True, [], has_atrial_fibrillation=False).withheld == "no atrial fibrillation"


# ---------------------------------------------------------------------------------------------- groups and segments


@pytest.mark.parametrize(
    ("egfr", "acr", "more", "printed", "ours"),
    [
        pytest.param(70, 250, {}, "MR", "HR", id="acr_exactly_250"),
        pytest.param(50, 250, {}, "HR", "HR", id="acr_exactly_250_found_by_another_rule"),
        pytest.param(40, 3, {}, "LR", "MR", id="acr_exactly_3_and_egfr_30_to_44"),
        pytest.param(60, 30, {}, "LR", "MR", id="egfr_exactly_60"),
        pytest.param(60, 3, {"has_diabetes": True}, "LR", "MR", id="egfr_exactly_60_with_diabetes"),
    ],
)
def test_no_value_falls_between_the_rules_of_kidney_disease(egfr, acr, more, printed, ours):
    values = {"egfr": egfr, "acr": acr, "systolic": 130, "diastolic": 80, **more}
    assert priority.ckd_group(**values, as_printed=True).tier == printed
    assert priority.ckd_group(**values).tier == ours


def test_no_pressure_reading_is_not_a_low_hypertension_group():
    answer = priority.hypertension_group(60, None, None)
    assert (answer.tier, "LR" in answer.possible, len(answer.possible)) == (None, True, 4)


def test_frailty_in_bridges_to_health_is_the_hospital_score():
    """An eFI in its place puts other people there."""
    assert segments.bridges_to_health(["copd"], hfrs_tier="intermediate").tier == "frailty_and_dementia"
    assert segments.bridges_to_health(["copd"], hfrs_tier="low").tier == "long_term_conditions"
    with pytest.raises(ValueError, match="no such flag"):
        segments.bridges_to_health(["severe_frailty_efi"])
