"""The shipped comorbidity and discharge scores beside the second implementation: coded stays, conditions and values."""

from __future__ import annotations

import math
from datetime import date
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st

import invented
from invented import diagnosis, event, issue, measured
from second import admissions, cambridge, charlson, elixhauser
from second.strategies import CASES, around, codes, whole
from shipped import answers, drawn
from shipped_codes import SCORES, scores_of_codes
from stratify.rulebook import load_rule_book

# ----------------------------------------------------------------------------------------------------- from coded stays

BY_CODES = {
    "charlson_1987": lambda codes, age: charlson.charlson_1987(codes),
    "charlson_age_adjusted": charlson.charlson_1987_with_age,
    "charlson_quan_2011": lambda codes, age: charlson.charlson_quan_2011(codes),
    "charlson_shmi": lambda codes, age: charlson.charlson_shmi(codes),
    "elixhauser_van_walraven": lambda codes, age: elixhauser.elixhauser_van_walraven(codes),
    "elixhauser_swiss": lambda codes, age: elixhauser.elixhauser_swiss(codes),
}
_TABLES = (charlson.CODES, charlson.SHMI_CODES, elixhauser.CODES)
_PREFIXES = sorted({code for table in _TABLES for given in table.values() for code in given.split()})


CHARLSON_EXAMPLES: list[tuple[str, list[str | None], int, tuple[int, ...]]] = [
    # name, codes, age; 1987, 1987 with age, Quan 2011
    ("J449_I500_66", ["J449", "I500"], 66, (2, 4, 3)),
    ("E119_E112_45", ["E119", "E112"], 45, (2, 2, 1)),
    ("C509_C795_71", ["C509", "C795"], 71, (6, 9, 6)),
    ("B24_52", ["B24"], 52, (6, 7, 4)),
    ("only_null_codes_are_a_stay", [None, ""], 45, (0, 0, 0)),
]
ELIXHAUSER_EXAMPLES = [  # name, codes; van Walraven, Swiss
    ("below_nought", ["I10", "E669"], (-4, -10)),
    ("one_code_two_conditions", ["I110"], (7, 10)),
    ("three_conditions", ["I500", "J449", "N18"], (15, 24)),
    ("one_condition_by_three_codes_counts_once", ["I500", "I501", "I509"], (7, 13)),
]


@cache
def by_codes() -> tuple[dict[str, tuple[int | None, Any]], dict[Any, float | None]]:
    """Draw people with codes of every table, add each listed code alone and the examples; score all at once."""
    drawn_people = drawn(st.fixed_dictionaries({"codes": codes(*_TABLES), "age": whole(50, 60, 70, 80)}), 150)
    people = {f"drawn {number}": (each["age"], each["codes"]) for number, each in enumerate(drawn_people)}
    people |= {f"alone {code}": (80, [code]) for code in _PREFIXES}
    people |= {name: (age, given) for name, given, age, _ in CHARLSON_EXAMPLES}
    people |= {name: (70, given) for name, given, _ in ELIXHAUSER_EXAMPLES}
    people |= {"never": (80, None), "once": (80, ["Z000"])}
    return people, scores_of_codes(people)


@pytest.mark.parametrize("score", BY_CODES)
def test_coded_stays_score_as_by_the_second_implementation(score):
    people, found = by_codes()
    different = []
    for key, (age, given) in people.items():
        second = BY_CODES[score](given, age)
        value = found.get((key, score))
        # Without a stay there is no row at all; without an age a row without a value.
        expected = None if second.withheld else float(second.value)
        if value != expected or ((key, score) in found) is (given is None):
            different.append(f"{key} {given} aged {age}: second {expected}, shipped {value}")
    assert len(people) > 600
    assert not different[:5]


@pytest.mark.parametrize(("name", "expected"), [(each[0], each[3]) for each in CHARLSON_EXAMPLES])
def test_worked_examples_of_charlson_hold_from_the_codes(name, expected):
    _people, found = by_codes()
    names = ("charlson_1987", "charlson_age_adjusted", "charlson_quan_2011")
    assert tuple(found[name, score] for score in names) == expected


@pytest.mark.parametrize(("name", "expected"), [(each[0], each[2]) for each in ELIXHAUSER_EXAMPLES])
def test_worked_examples_of_elixhauser_hold_from_the_codes(name, expected):
    _people, found = by_codes()
    assert (found[name, "elixhauser_van_walraven"], found[name, "elixhauser_swiss"]) == expected


def test_each_of_the_14_codes_of_two_conditions_sets_both():
    _, found = by_codes()
    for code in elixhauser.CODES_OF_TWO_CONDITIONS.split():
        both = [name for name, given in elixhauser.CODES.items() if code.startswith(tuple(given.split()))]
        assert len(both) == 2
        assert found[f"alone {code}", "elixhauser_swiss"] == sum(elixhauser.WEIGHTS[name][1] for name in both)


def test_somebody_never_in_hospital_has_no_score_by_hospital_codes():
    _, found = by_codes()
    assert [score for key, score in found if key == "never"] == ["hospital_frailty"]
    assert found["never", "hospital_frailty"] is None
    assert {found["once", score] for score in SCORES} == {0.0, 4.0}  # 4: of the age


# --------------------------------------------------------------------------------------------- Cambridge Multimorbidity

NOT_SHIPPED = {*cambridge.WEIGHT_NOT_FOUND, "psychoactive_substance_misuse"}
CONDITION_VALUES: dict[str, dict[str, float]] = {
    "constipation": {"cambridge_laxative_issues_count": 4},
    "painful_condition": {"cambridge_analgesic_issues_count": 4},
    "epilepsy": {"cambridge_epilepsy": 1, "cambridge_antiepileptic_issues_count": 1},
    "chronic_kidney_disease": {"egfr_higher_of_last_two": 59},
    "anxiety_depression": {"cambridge_anxiety_depression_issues_count": 4},
    "psoriasis_eczema": {"cambridge_psoriasis_eczema_coded": 1, "cambridge_psoriasis_eczema_issues_count": 4},
    "irritable_bowel_syndrome": {"cambridge_irritable_bowel_syndrome_coded": 1},
    "asthma": {"cambridge_asthma_coded": 1, "cambridge_has_asthma_treatment": 1},
    "migraine": {"cambridge_antimigraine_issues_count": 4},
    "peptic_ulcer": {"efi_peptic_ulcer": 1},
    "thyroid_disorders": {"efi_thyroid_disease": 1},
    "hearing_loss": {"efi_hearing_impairment": 1},
}
CAMBRIDGE = ("cambridge_general_20", "cambridge_general_37", "cambridge_mortality_20")


@pytest.mark.parametrize("score", CAMBRIDGE)
def test_conditions_add_up_as_by_the_second_implementation(score):
    asked = [each["conditions"] - NOT_SHIPPED for each in drawn(CASES[score].inputs, 60)]
    asked += [frozenset({name}) for name in sorted(set(cambridge.WEIGHTS) - NOT_SHIPPED)]
    asked.append(frozenset(cambridge.WEIGHTS) - NOT_SHIPPED)
    people = []
    for conditions in asked:
        values: dict[str, float] = {"egfr_higher_of_last_two": 60}
        for name in conditions:
            values |= CONDITION_VALUES.get(name, {f"cambridge_{name}": 1})
        people.append({"values": values})
    for conditions, shipped in zip(asked, answers(score, people), strict=True):
        second = CASES[score].answer(conditions=conditions)
        assert shipped.is_complete
        assert shipped.value == pytest.approx(float(second.value), abs=1e-6), sorted(conditions)


COUNTS = whole(0, 4, missing=False)
YES_NO = st.booleans()
RULES = st.fixed_dictionaries(
    {
        "laxatives": COUNTS,
        "analgesics": COUNTS,
        "antiepileptics": COUNTS,
        "epilepsy": YES_NO,
        "egfr": around(60),
        "anxiety_coded": YES_NO,
        "anxiety_issues": COUNTS,
        "psoriasis": YES_NO,
        "topical": COUNTS,
        "bowel": YES_NO,
        "antispasmodics": COUNTS,
        "asthma": YES_NO,
        "asthma_treatment": YES_NO,
        "antimigraine": COUNTS,
    }
)


@cache
def drawn_rules() -> list[dict[str, Any]]:
    """Draw what the rules of the conditions read, once for the three scores."""
    return drawn(RULES, 200)


def _by_second_rules(given: dict[str, Any]) -> set[str]:
    kidney = None if given["egfr"] is None else cambridge.has_chronic_kidney_disease([given["egfr"], 10])
    held = {
        "constipation": cambridge.has_by_issues(given["laxatives"]),
        "painful_condition": cambridge.has_painful_condition(
            given["analgesics"], given["antiepileptics"], epilepsy_ever=given["epilepsy"]
        ),
        "epilepsy": cambridge.has_under_treatment(given["epilepsy"], given["antiepileptics"]),
        "chronic_kidney_disease": bool(kidney),
        "anxiety_depression": cambridge.has_anxiety_depression(given["anxiety_coded"], given["anxiety_issues"], 0),
        "psoriasis_eczema": cambridge.has_under_treatment(given["psoriasis"], given["topical"], 4),
        "irritable_bowel_syndrome": cambridge.has_irritable_bowel(given["bowel"], given["antispasmodics"]),
        "asthma": cambridge.has_under_treatment(given["asthma"], int(given["asthma_treatment"])),
        "migraine": cambridge.has_by_issues(given["antimigraine"]),
    }
    return {name for name, holds in held.items() if holds}


@pytest.mark.parametrize("score", CAMBRIDGE)
def test_rules_of_conditions_hold_as_by_the_second_implementation(score):
    asked = drawn_rules()
    people = [
        {
            "values": {
                "cambridge_laxative_issues_count": each["laxatives"],
                "cambridge_analgesic_issues_count": each["analgesics"],
                "cambridge_antiepileptic_issues_count": each["antiepileptics"],
                "cambridge_epilepsy": each["epilepsy"],
                "cambridge_anxiety_depression_coded": each["anxiety_coded"],
                "cambridge_anxiety_depression_issues_count": each["anxiety_issues"],
                "cambridge_irritable_bowel_syndrome_coded": each["bowel"],
                "cambridge_antispasmodic_issues_count": each["antispasmodics"],
                "cambridge_asthma_coded": each["asthma"],
                "cambridge_has_asthma_treatment": each["asthma_treatment"],
            }
            | ({} if each["egfr"] is None else {"egfr_higher_of_last_two": each["egfr"]})
            | {
                "cambridge_psoriasis_eczema_coded": each["psoriasis"],
                "cambridge_psoriasis_eczema_issues_count": each["topical"],
                "cambridge_antimigraine_issues_count": each["antimigraine"],
            }
        }
        for each in asked
    ]
    read = load_rule_book().cut_down_to(score).variables
    people = [{"values": {name: value for name, value in each["values"].items() if name in read}} for each in people]
    for given, shipped in zip(asked, answers(score, people), strict=True):
        second = CASES[score].answer(conditions=_by_second_rules(given))
        assert shipped.value == pytest.approx(float(second.value), abs=1e-6), given
        assert shipped.is_complete is (given["egfr"] is not None), "no eGFR: given, and incomplete"


CAMBRIDGE_INDEX = date(2026, 11, 2)
CODE_OF_CANCER, LAXATIVE = "100721000119109", "0106040G0"
RECORDS = [
    ("first_cancer_five_years_ago", [event("p", CODE_OF_CANCER, date(2021, 11, 2))], 1.53),
    ("first_cancer_a_day_earlier", [event("p", CODE_OF_CANCER, date(2021, 11, 1))], 0),
    ("cancer_again_after_an_earlier_one",
     [event("p", CODE_OF_CANCER, date(2010, 1, 1)), event("p", CODE_OF_CANCER, date(2026, 1, 1))], 0),
    ("four_days_of_laxatives", [issue("p", date(2026, month, 1), bnf=LAXATIVE) for month in (1, 2, 3, 4)], 1.12),
    ("four_issues_on_three_days", [issue("p", date(2026, month, 1), bnf=LAXATIVE) for month in (1, 2, 3, 3)], 0),
    ("the_oldest_a_day_too_early",
     [issue("p", day, bnf=LAXATIVE) for day in (date(2025, 11, 1), *(date(2026, m, 1) for m in (1, 2, 3)))], 0),
    ("both_of_two_egfr_below_60",
     [measured("p", "egfr", 59, date(2026, 1, 1)), measured("p", "egfr", 45, date(2025, 1, 1))], 0.53),
    ("one_of_two_egfr_at_60",
     [measured("p", "egfr", 45, date(2026, 1, 1)), measured("p", "egfr", 60, date(2025, 1, 1))], 0),
    ("an_older_egfr_does_not_matter",
     [measured("p", "egfr", 45, date(2026, 1, 1)), measured("p", "egfr", 50, date(2025, 1, 1)),
      measured("p", "egfr", 90, date(2024, 1, 1))], 0.53),
    ("a_hospital_diagnosis_is_no_entry_of_the_gp", [diagnosis("p", "F03", date(2026, 1, 1))], 0),
]  # fmt: skip


def test_records_of_the_gp_make_the_conditions_of_the_cambridge_score():
    book = load_rule_book().cut_down_to("cambridge_general_20")
    records = [(table, {**row, "patient_key": name}) for name, mine, _ in RECORDS for table, row in mine]
    values = invented.values_of(invented.core_tables(records), book, CAMBRIDGE_INDEX)
    rows: dict[str, dict[str, float]] = {name: {} for name, _, _ in RECORDS}
    for row in values.to_dicts():
        rows[row["patient_key"]][row["variable"]] = row["value"]
    found = answers("cambridge_general_20", [{"values": rows[name]} for name, _, _ in RECORDS])
    assert {name: shipped.value for (name, _, _), shipped in zip(RECORDS, found, strict=True)} == {
        name: value for name, _, value in RECORDS
    }


# ------------------------------------------------------------------------------------------------------- PARR-30, LACE

JUST_LEFT = {"has_left_hospital": 1.0, "has_hospital_record": 1.0}


def _or_conflict(value: float | None) -> float | str:
    return "conflict" if value is None else float(value)


def test_parr30_is_that_of_the_second_implementation_with_trust_term_nought():
    asked = drawn(CASES["parr30"].inputs, 150)
    people = [
        {
            "person": {"age_years": each["age"]},
            "values": JUST_LEFT
            | ({} if each["imd_score"] is None else {"imd_2007_score": float(each["imd_score"])})
            | {"emergency_admissions_before_stay_count": _or_conflict(each["emergencies_last_year"])}
            | {"has_emergency_admission_30_days_before_stay": _or_conflict(each["emergency_last_30_days"])}
            | {"latest_stay_was_emergency": _or_conflict(each["current_is_emergency"])}
            | {f"parr30_{name}": 1.0 for name in each["conditions"]},
        }
        for each in asked
    ]
    without_area = 0
    for given, shipped in zip(asked, answers("parr30", people), strict=True):
        area = "0" if given["imd_score"] is None else given["imd_score"]
        second = admissions.parr30(**{**given, "imd_score": area, "trust_term": "0"})
        assert (shipped.value is None) is (second.value is None), given
        assert shipped.is_complete is (second.value is not None and given["imd_score"] is not None)
        assert shipped.value == (second.value and pytest.approx(second.value, abs=1e-6)), given
        without_area += given["imd_score"] is None
    assert 10 < without_area < 140


@pytest.mark.parametrize("imd_score", [None, 9.9, 10, 45, 55])
def test_without_the_area_score_the_probability_is_never_too_high(imd_score):
    unknown, known = answers(
        "parr30", [{"values": JUST_LEFT | {"latest_stay_was_emergency": 1} | area}
                   for area in ({}, {} if imd_score is None else {"imd_2007_score": imd_score})]
    )  # fmt: skip
    assert unknown.value <= known.value <= unknown.value + 0.026
    assert not unknown.is_complete


def test_worked_example_of_parr30_with_its_trust_term_holds_once_that_is_added():
    """45 years, IMD 55, one emergency in 30 days, emergency now, other liver disease, trust -0.2998: p 0.170791."""
    values = JUST_LEFT | {"imd_2007_score": 55, "emergency_admissions_before_stay_count": 1}
    values |= {"has_emergency_admission_30_days_before_stay": 1, "latest_stay_was_emergency": 1}
    [shipped] = answers("parr30", [{"person": {"age_years": 45}, "values": values | {"parr30_other_liver_disease": 1}}])
    odds = math.log(shipped.value / (1 - shipped.value)) - 0.2998
    assert odds == pytest.approx(-1.580033, abs=1e-5)
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(0.170791, abs=1e-6)


CHARLSON_VALUES = {  # points: conditions that make them
    0: (),
    1: ("myocardial_infarction",),
    2: ("renal_disease",),
    3: ("moderate_or_severe_liver_disease",),
    4: ("renal_disease", "hemiplegia_or_paraplegia"),
    5: ("moderate_or_severe_liver_disease", "renal_disease"),
}


def test_lace_is_that_of_the_second_implementation():
    asked = drawn(CASES["lace"].inputs, 150)
    people = []
    for each in asked:
        points = CHARLSON_VALUES[each["charlson"] or 0]
        values: dict[str, Any] = JUST_LEFT | {f"charlson_{name}": 1.0 for name in points}
        values |= {"has_hospital_record": float(each["charlson"] is not None)}
        values |= {"latest_stay_days": _or_conflict(each["days"])}
        values |= {"latest_stay_was_emergency": _or_conflict(each["emergency"])}
        people.append({"values": values | {"ed_attendances_before_stay_count": _or_conflict(each["visits_6_months"])}})
    settled = 0
    for given, shipped in zip(asked, answers("lace", people), strict=True):
        second = admissions.lace(**given)
        assert shipped.possible == second.possible, given
        assert shipped.value == (None if second.value is None else float(second.value)), given
        assert second.tier is None or shipped.tier == second.tier, given
        settled += second.value is None and shipped.tier is not None
    assert settled > 0, "some tier is settled although an item is missing"


def test_a_risk_of_parr30_is_not_rounded_term_by_term():
    """A peer rounds each term to 3 decimals: at 75 the age would give 0.341 and not 0.340768."""
    values = JUST_LEFT | {"imd_2007_score": 5, "latest_stay_was_emergency": 0}
    [shipped] = answers("parr30", [{"person": {"age_years": 75}, "values": values}])
    z = Fraction("-2.91821") + Fraction("0.000060581") * 75**2
    assert shipped.value == pytest.approx(1 / (1 + math.exp(-float(z))), abs=5e-7)
    assert abs(shipped.value - 1 / (1 + math.exp(2.918 - 0.341))) > 1e-5
