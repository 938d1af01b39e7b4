"""Values of the GP record by the catalogue that comes with stratify: units, sizes, pairs, comparators, dates of a life.

Each value is one row; what is expected is worked by hand from the sources the catalogue names.
"""

from __future__ import annotations

from typing import Any

import pytest
from extract_set import built, event, medication, observation, patient

from stratify.codes import verhoeff_is_valid
from stratify.rulebook import load_rule_book
from stratify.rules import Measurement

BOOK = load_rule_book()
FEV1_PERCENT, FEV1_LITRES, FEV1_EXPECTED, RATIO = "313223002", "401013003", "310520004", "407603001"
MRC_GRADE_4, MRC_SCORE, MMRC_SCORE, CAT = "391125004", "450755002", "1099361000000109", "446660005"
IFCC, DCCT, EITHER = "999791000000106", "1019431000000105", "1003671000000109"
EGFR, CREATININE, ACR, CHOLESTEROL = "1020291000000106", "1000731000000107", "1023491000000104", "1005671000000105"
BMI, WEIGHT, HEIGHT, CFS, EFI = "60621009", "27113001", "50373000", "763264000", "713636003"
SYSTOLIC, DIASTOLIC = "72313002", "1091811000000102"


def measured(tmp_path, rows: list[dict[str, Any]], *, asked: bool = False, **tables: Any) -> list[tuple[Any, ...]]:
    """Give canonical value, unit basis and status of each row."""
    listed = [observation(f"o{number:03}", **row) for number, row in enumerate(rows)]
    catalogue = BOOK.resolved_measurements(score_inferred_units=asked)
    with built(tmp_path, gp_observation=listed, measurements=catalogue, **tables) as store:
        return store.rows(
            "SELECT value_canonical, unit_basis, value_status FROM core.gp_observation ORDER BY source_event_id"
        )


VALUES = [
    # code, value, unit, canonical value, basis, status
    (FEV1_PERCENT, "28", "% Pred FEV1", 28.0, "stated", "ok"),
    (FEV1_PERCENT, "28", "", None, None, "unit_missing"),
    (FEV1_PERCENT, "1.8", "", None, None, "unit_missing"),  # litres: never "below 30 %"
    (FEV1_PERCENT, "1.8", "L", None, None, "unit_conflict"),
    (FEV1_PERCENT, "1.8", "%", None, "stated", "implausible"),
    (FEV1_PERCENT, "0", "%", None, "stated", "no_value"),
    (FEV1_LITRES, "1850", "mls", 1.85, "stated", "ok"),
    (FEV1_LITRES, "1.85", "", 1.85, "implied_by_code", "ok"),
    (FEV1_LITRES, "62", "", None, "implied_by_code", "implausible"),
    (FEV1_LITRES, "62", "% predicted", None, None, "unit_conflict"),
    (FEV1_EXPECTED, "3.1", "L", 3.1, "stated", "ok"),
    (RATIO, "0.68", "", 0.68, "implied_by_code", "ok"),
    (RATIO, "68", "%", 0.68, "stated", "ok"),
    (RATIO, "68", "", 0.68, "implied_by_code", "ok"),  # no ratio is above 1
    (RATIO, "1", "", 1.0, "implied_by_code", "ok"),
    (RATIO, "1.5", "", None, "implied_by_code", "implausible"),  # 1.5 %
    (MRC_SCORE, "0", "", None, "implied_by_code", "implausible"),  # the modified scale under the MRC code
    (MMRC_SCORE, "0", "", 1.0, "implied_by_code", "ok"),
    (MMRC_SCORE, "999", "", None, "implied_by_code", "no_value"),
    (MRC_GRADE_4, "3", "", None, "implied_by_code", "code_value_conflict"),
    (MRC_GRADE_4, "4", "", 4.0, "implied_by_code", "ok"),
    (CAT, "0", "", 0.0, "implied_by_code", "ok"),
    (CAT, "41", "", None, "implied_by_code", "implausible"),
    # 10.929 × (7.5 − 2.15) = 10.929 × 5.35 = 58.47015
    (DCCT, "7.5", "%", 58.47015, "stated", "ok"),
    (DCCT, "7.5", "", 58.47015, "implied_by_code", "ok"),
    (DCCT, "58", "mmol/mol", None, None, "unit_conflict"),
    (DCCT, "58", "", None, None, "unit_conflict"),  # 58 can only be mmol/mol, and the code says percent
    (DCCT, "2.9", "%", None, "stated", "implausible"),
    (DCCT, "3", "%", 9.28965, "stated", "ok"),  # 10.929 × 0.85: plausible in percent, whatever it is in mmol/mol
    (IFCC, "58", "mmol/mol", 58.0, "stated", "ok"),
    (IFCC, "58", "", 58.0, "implied_by_code", "ok"),
    (IFCC, "7.5", "%", None, None, "unit_conflict"),
    (IFCC, "7.5", "", None, None, "unit_conflict"),
    (IFCC, "22", "", None, None, "unit_missing"),  # 20 to 25: nobody can tell
    (EITHER, "58", "mmol/mol", 58.0, "stated", "ok"),
    (EITHER, "7.5", "%", 58.47015, "stated", "ok"),
    (EITHER, "58", "", None, "inferred", "unit_inferred"),
    (EITHER, "7.5", "", None, "inferred", "unit_inferred"),
    (EITHER, "20", "", None, None, "unit_missing"),
    (EITHER, "25", "", None, None, "unit_missing"),
    (EITHER, "19.9", "", None, "inferred", "unit_inferred"),
    (EITHER, "25.1", "", None, "inferred", "unit_inferred"),
    (EITHER, "7.5", "g/L", None, None, "unit_conflict"),
    (EGFR, "90", "mL/min/1.73m2", 90.0, "stated", "ok"),
    (EGFR, "201", "", None, "implied_by_code", "implausible"),
    (CREATININE, "0.085", "mmol/L", 85.0, "stated", "ok"),
    (CREATININE, "85", "umol/L", 85.0, "stated", "ok"),
    (ACR, "3.5", "mg/mmol", 3.5, "stated", "ok"),
    (ACR, "3.5", "", None, None, "unit_missing"),
    (CHOLESTEROL, "5.2", "mmol/L", 5.2, "stated", "ok"),
    (BMI, "265", "kg/m2", None, "stated", "implausible"),
    (WEIGHT, "12", "st", None, None, "unit_conflict"),
    (WEIGHT, "12", "", None, None, "unit_missing"),
    (WEIGHT, "76.2", "kg", 76.2, "stated", "ok"),
    (HEIGHT, "1.75", "m", 175.0, "stated", "ok"),
    (HEIGHT, "5.7", "ft", None, None, "unit_conflict"),
    (HEIGHT, "1.75", "", None, "implied_by_code", "implausible"),
    (CFS, "7", "", 7.0, "implied_by_code", "ok"),
    (CFS, "10", "", None, "implied_by_code", "implausible"),
    (EFI, "0.25", "", 0.25, "implied_by_code", "ok"),
    (EFI, "9", "", None, "inferred", "unit_inferred"),
    (EFI, "9", "/36", 0.25, "stated", "ok"),
    (EFI, "1", "", None, None, "unit_missing"),  # all of 36, or one of them
]  # fmt: skip


def test_every_value_of_the_catalogue_comes_to_one_unit_or_says_why_not(tmp_path):
    rows = [{"snomed_code": code, "value_num": value, "unit_raw": unit} for code, value, unit, *_ in VALUES]
    for given, found in zip(VALUES, measured(tmp_path, rows), strict=True):
        assert found == given[3:], given[:3]


def test_a_unit_that_only_the_size_tells_is_scored_when_the_site_asks_for_it(tmp_path):
    """58 can only be mmol/mol; 7.5 can only be percent: 10.929 × 5.35 = 58.47015; 22 stays unknown."""
    rows = [{"snomed_code": EITHER, "value_num": value, "unit_raw": ""} for value in ("58", "7.5", "22")]
    assert measured(tmp_path, rows, asked=True) == [
        (58.0, "inferred", "ok"),
        (58.47015, "inferred", "ok"),
        (None, None, "unit_missing"),
    ]


@pytest.mark.parametrize(
    ("comparator", "expected"),
    [
        pytest.param("", (30.0, "stated", "ok"), id="none"),
        pytest.param("<", (30.0, "stated", "ok"), id="below"),
        pytest.param("~", (None, "stated", "comparator_unclear"), id="about"),
        pytest.param("=>", (None, "stated", "comparator_unclear"), id="nobody_can_read_it"),
    ],
)
def test_a_comparator_that_says_nothing_against_an_edge_is_not_dropped(tmp_path, comparator, expected):
    assert measured(tmp_path, [{"value_num": "30", "comparator": comparator}]) == [expected]


def test_a_grade_code_with_a_comparator_contradicts_itself(tmp_path):
    row = {"snomed_code": MRC_GRADE_4, "value_num": "4", "unit_raw": "", "comparator": ">"}
    assert measured(tmp_path, [row]) == [(None, "implied_by_code", "code_value_conflict")]


# Pairs


def pressure(code: str, value: str, parent: str = "", **more: Any) -> dict[str, Any]:
    return {"snomed_code": code, "value_num": value, "unit_raw": "mmHg", "parent_event_id": parent, **more}


OTHER_DAY = {"effective_date": "2025-06-02"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([pressure(SYSTOLIC, "140", "b"), pressure(DIASTOLIC, "80", "b")], ["ok", "ok"], id="a_pair"),
        pytest.param([pressure(SYSTOLIC, "80", "b"), pressure(DIASTOLIC, "140", "b")], ["pair_conflict"] * 2,
                     id="changed_over"),
        pytest.param([pressure(SYSTOLIC, "80", "b"), pressure(DIASTOLIC, "80", "b")], ["ok", "ok"], id="equal"),
        pytest.param([pressure(SYSTOLIC, "140", "b")], ["pair_incomplete"], id="one_half"),
        pytest.param([pressure(SYSTOLIC, "140", "b"), pressure(DIASTOLIC, "10", "b")],
                     ["pair_incomplete", "implausible"], id="the_other_half_cannot_be"),
        pytest.param([pressure(SYSTOLIC, "140", "b"), pressure(DIASTOLIC, "80", "c")], ["pair_incomplete"] * 2,
                     id="of_two_parents"),
        pytest.param([pressure(SYSTOLIC, "140"), pressure(DIASTOLIC, "80")], ["ok", "ok"], id="one_day_no_parent"),
        pytest.param([pressure(SYSTOLIC, "140"), pressure(DIASTOLIC, "80", **OTHER_DAY)], ["pair_incomplete"] * 2,
                     id="of_two_days"),
        pytest.param([pressure(SYSTOLIC, "140"), pressure(SYSTOLIC, "85"), pressure(DIASTOLIC, "90")],
                     ["pair_conflict"] * 3, id="nobody_can_tell_which_belongs_to_which"),
        pytest.param([pressure(SYSTOLIC, "140"), pressure(SYSTOLIC, "150"), pressure(DIASTOLIC, "90")],
                     ["ok"] * 3, id="whichever_belongs_to_which_it_is_sound"),
    ],
)  # fmt: skip
def test_half_a_blood_pressure_or_one_the_wrong_way_round_is_set_aside(tmp_path, rows, expected):
    found = measured(tmp_path, rows)
    assert [status for _, _, status in found] == expected
    assert all((value is None) == (status != "ok") for value, _, status in found)


# Dates and lives


def dated(tmp_path, rows: list[dict[str, Any]], **tables: Any) -> list[tuple[Any, ...]]:
    listed = [event(f"e{number}", **row) for number, row in enumerate(rows)]
    with built(tmp_path, gp_event=listed, **tables) as store:
        return store.rows(
            "SELECT source_event_id, CAST(effective_date AS VARCHAR), effective_precision FROM core.gp_event ORDER BY 1"
        )


def test_a_date_known_to_the_month_or_year_counts_as_its_first_day(tmp_path):
    rows = [{"effective_date": "2025-07-31", "effective_precision": precision} for precision in ("YMD", "YM", "Y", "")]
    assert [each[1:] for each in dated(tmp_path, rows)] == [
        ("2025-07-31", "YMD"),
        ("2025-07-01", "YM"),
        ("2025-01-01", "Y"),
        ("2025-07-31", None),
    ]


def test_an_entry_before_birth_has_no_date_unless_it_may_be_of_the_time_after(tmp_path):
    """Born on 1 June 1950: "1950" and "June 1950" may be after birth, 31 May 1950 cannot."""
    rows = [
        {"effective_date": "1950-05-31", "effective_precision": "YMD"},
        {"effective_date": "1950-06-01", "effective_precision": "YMD"},
        {"effective_date": "1950-01-01", "effective_precision": "Y"},
        {"effective_date": "1950-06-01", "effective_precision": "YM"},
        {"effective_date": "1949-12-31", "effective_precision": "Y"},
    ]
    assert [each[1:] for each in dated(tmp_path, rows)] == [
        (None, "U"),
        ("1950-06-01", "YMD"),
        ("1950-01-01", "Y"),
        ("1950-06-01", "YM"),
        (None, "U"),
    ]


def test_a_result_before_birth_is_never_scored_and_is_counted(tmp_path):
    rows = [observation("o1", effective_date="1950-05-31"), observation("o2")]
    with built(tmp_path, gp_observation=rows, measurements=BOOK.resolved_measurements()) as store:
        assert store.rows(
            "SELECT effective_date, value_canonical, value_status FROM core.gp_observation WHERE source_event_id = 'o1'"
        ) == [(None, None, "before_birth")]
        assert store.counts["gp_observation dated before birth"] == 1


@pytest.mark.parametrize("where", ["in_the_patient_record", "in_the_death_table"])
def test_rows_more_than_thirty_days_after_death_are_left_out_and_counted(tmp_path, where):
    """Died on 1 March 2025: 31 March is the thirtieth day after, 1 April too late."""
    days = {"a": "2025-03-31", "b": "2025-04-01"}
    died = {"patient": [patient(date_of_death="2025-03-01")]}
    if where == "in_the_death_table":
        death = {"nhs_number": patient()["nhs_number"], "source": "ONS", "date_of_death": "2025-03-01"}
        died = {"death": [death]}
    rows = {
        "gp_event": [event(name, effective_date=day) for name, day in days.items()],
        "gp_observation": [observation(name, effective_date=day) for name, day in days.items()],
        "gp_medication": [medication(name, issue_date=day) for name, day in days.items()],
    }
    with built(tmp_path, **rows, **died) as store:
        for table, key in (
            ("gp_event", "source_event_id"), ("gp_observation", "source_event_id"), ("gp_medication", "source_issue_id")
        ):  # fmt: skip
            assert store.rows(f"SELECT {key} FROM core.{table}") == [("a",)], table
            assert store.counts[f"{table} dated after death"] == 1, table


# The catalogue


def test_every_code_of_a_measurement_has_a_right_check_digit():
    wrong = [code for each in BOOK.resolved_measurements() for code in each.codes if not verhoeff_is_valid(code)]
    assert wrong == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"sizes": [{"unit": "stone", "above": 1}]}, "none of its units", id="unit_not_listed"),
        pytest.param({"sizes": [{"unit": "kg", "above": 1}, {"unit": "kg", "at_most": 2}]}, "two sizes hold",
                     id="overlap"),
        pytest.param({"sizes": [{"unit": "kg", "at_most": 2}, {"unit": "kg", "at_least": 2}]}, "two sizes hold 2",
                     id="overlap_on_the_edge"),
        pytest.param({"sizes": [{"unit": "kg"}]}, "one upper or one lower edge", id="no_edge"),
        pytest.param({"sizes": [{"unit": "kg", "above": 1}], "is_unit_required": True}, "no unit is required",
                     id="both"),
        pytest.param({"unit_of_codelists": {"x": "stone"}}, "none of its units", id="code_of_another_unit"),
    ],
)  # fmt: skip
def test_a_measurement_that_contradicts_itself_is_refused(changes, words):
    given = {"id": "weight", "label": "Weight", "unit": "kg", "plausible": {"at_least": 1, "at_most": 9}, "source": "x"}
    assert Measurement.model_validate(given)
    with pytest.raises(ValueError, match=words):
        Measurement.model_validate(given | changes)
