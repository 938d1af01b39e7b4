"""From records to values: window edges, latest first, episodes, flags, medicines, weights, people not linked.

All people of the first part go through one run: a case is a person with records, a variable, and the value worked by
hand. Index date 15 June 2026: twelve months begin on 15 June 2025.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

import invented
from invented import Record, codelist, diagnosis, event, flagged, issue, measured, spell, variable
from stratify import engine
from stratify.errors import RuleError
from stratify.hits import code_table, records_behind

INDEX = date(2026, 6, 15)
YEAR_AGO = date(2025, 6, 15)
DAY = timedelta(days=1)

BOOK = invented.rule_book(
    codelists=[
        codelist("asthma", "snomed_ct", ["A1", "A2"]),
        codelist("asthma_resolved", "snomed_ct", ["R1"]),
        codelist("flare", "snomed_ct", ["F1", "F2"]),
        codelist("flare_seen_in_hospital", "snomed_ct", ["F2", "F3"]),
        codelist("asthma_icd10", "icd10", ["J45", "J46"], "category"),
        codelist("delirium_icd10", "icd10", ["F05"], "category"),
        codelist("steroid", "bnf", ["0603020T0"], "prefix"),
        codelist("steroid_dmd", "dmd", ["D1", "D2"]),
        codelist("points", "icd10", {"G30": 4.0, "N39": 3.2, "I69": 3.7, "F05": 3.2, "R50": 0.1}, "category"),
    ],
    variables=[
        variable("has_asthma", "has", {"event": "asthma"}, ended_by="asthma_resolved"),
        variable("has_asthma_entry", "has", {"event": "asthma"}, lookback_months=12),
        variable("flares", "episodes", {"event": "flare"}, {"event": "flare_seen_in_hospital"},
                 {"emergency_admission": "asthma_icd10"}, merge_days=14, lookback_months=12),
        variable("flare_days", "count", {"event": "flare"}, lookback_months=12),
        variable("flare_days_ever", "count", {"event": "flare"}),
        variable("admissions", "count", {"emergency_admission": "asthma_icd10"}, lookback_months=12),
        variable("has_delirium", "has", {"hospital_diagnosis": "delirium_icd10"}, lookback_months=24),
        variable("peak_flow", "latest", {"measurement": "peak_flow"}, maximum_age_months=15),
        variable("steroid_days", "count", {"issue": "steroid"}, {"issue": "steroid_dmd"}, lookback_months=12),
        variable("steroid_products", "distinct_codes", {"issue": "steroid"}, {"issue": "steroid_dmd"},
                 lookback_months=12),
        variable("medicines", "distinct_codes", {"any_issue": True}, lookback_months=12),
        variable("hospital_points", "weight", {"hospital_diagnosis": "points"}, lookback_months=24),
        variable("is_housebound", "has", {"flag": "HOUSEBOUND"}),
        variable("lives_in_home", "has", {"flag": "HOME_A"}, {"flag": "HOME_B"}),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A person, its records (written for person ``p``), the variable looked at, and what is expected; None: no row."""

    name: str
    variable: str
    records: list[Record]
    expected: dict[str, Any] | None = field(default=None)


def known(value: float, day: date | None = None, **more: Any) -> dict[str, Any]:
    return {"value": value, "state": "known", **({"value_date": day} if day else {}), **more}


def unusable(state: str, day: date) -> dict[str, Any]:
    return {"value": None, "state": state, "value_date": day}


def days(code: str, *offsets: int) -> list[Record]:
    """One entry on each day, counted from the first day of the window."""
    return [event("p", code, YEAR_AGO + timedelta(days=offset)) for offset in offsets]


def flow(value: float | None, day: date | None, **more: Any) -> Record:
    return measured("p", "peak_flow", value, day, **more)


JUNE, MAY, MARCH = date(2026, 6, 1), date(2026, 5, 1), date(2026, 3, 1)
STEROID_BNF = "0603020T0AAACAC"

CASES = [
    # ------------------------------------------------------------------------------------------------- window edges
    Case("on_the_index_date_is_not_counted", "has_asthma_entry", [event("p", "A1", INDEX)]),
    Case("the_day_before_the_index_date_is_counted", "has_asthma_entry", [event("p", "A1", INDEX - DAY)],
         known(1, INDEX - DAY)),
    Case("the_first_day_of_the_window_is_counted", "has_asthma_entry", [event("p", "A1", YEAR_AGO)],
         known(1, YEAR_AGO)),
    Case("the_day_before_the_window_is_not_counted", "has_asthma_entry", [event("p", "A1", YEAR_AGO - DAY)]),
    Case("a_date_in_the_future_is_not_counted_for_ever", "has_asthma", [event("p", "A1", date(2031, 1, 1))]),
    Case("an_undated_entry_does_not_count_in_a_window", "has_asthma_entry", [event("p", "A1", None)]),
    Case("an_undated_entry_counts_for_ever", "has_asthma", [event("p", "A1", None)],
         known(1, record_count=1, value_date=None)),
    Case("undated_and_dated_entries_give_the_date_known", "has_asthma", [event("p", "A1", None), event("p", "A2", MAY)],
         known(1, MAY, record_count=2, source_code="A2")),
    Case("an_entry_with_a_value_is_an_entry_too", "has_asthma", [
        ("gp_observation", {"patient_key": "p", "snomed_code": "A1", "effective_date": MAY})],
         known(1, MAY, source_table="gp_observation")),
    Case("a_code_of_no_codelist_means_nothing", "has_asthma", [event("p", "A3", MAY), event("p", None, MAY)]),
    # --------------------------------------------------------------------------------------------- has and ended by
    Case("a_bound_stays_with_its_value", "peak_flow", [flow(90, MAY, comparator=">")], known(90, MAY, bound=">")),
    Case("an_exact_value_has_no_bound", "peak_flow", [flow(90, MAY, comparator="=")], known(90, MAY, bound=None)),
    Case("a_bound_and_an_exact_value_of_one_day_contradict", "peak_flow",
         [flow(90, MAY, comparator=">"), flow(90, MAY)], unusable("conflict", MAY)),
    Case("the_same_bound_twice_on_one_day_is_one_value", "peak_flow",
         [flow(90, MAY, comparator=">"), flow(90, MAY, comparator=">")], known(90, MAY, bound=">", record_count=2)),
    Case("a_bound_that_cannot_be_used_contradicts_nothing", "peak_flow",
         [flow(None, MAY, comparator="~", value_status="comparator_unclear"), flow(90, MAY)],
         known(90, MAY, bound=None)),
    Case("resolved_after_the_diagnosis_ends_it", "has_asthma", [event("p", "A1", MARCH), event("p", "R1", MAY)]),
    Case("a_new_diagnosis_after_resolved_holds", "has_asthma",
         [event("p", "A1", MARCH), event("p", "R1", MAY), event("p", "A2", JUNE)],
         known(1, JUNE, source_code="A2", record_count=2)),
    Case("resolved_before_the_diagnosis_ends_nothing", "has_asthma", [event("p", "R1", MARCH), event("p", "A1", MAY)],
         known(1, MAY)),
    Case("diagnosis_and_resolved_on_one_day_contradict", "has_asthma", [event("p", "A1", MAY), event("p", "R1", MAY)],
         unusable("conflict", MAY)),
    Case("a_later_diagnosis_settles_the_contradiction", "has_asthma",
         [event("p", "A1", MAY), event("p", "R1", MAY), event("p", "A1", JUNE)], known(1, JUNE)),
    Case("resolved_on_the_index_date_is_not_used_yet", "has_asthma", [event("p", "A1", MAY), event("p", "R1", INDEX)],
         known(1, MAY)),
    Case("resolved_alone_is_nothing", "has_asthma", [event("p", "R1", MAY)]),
    Case("an_undated_diagnosis_is_ended_by_a_dated_end", "has_asthma",
         [event("p", "A1", None), event("p", "R1", MAY)]),
    Case("a_dated_diagnosis_outlives_an_undated_end", "has_asthma", [event("p", "A1", MAY), event("p", "R1", None)],
         known(1, MAY)),
    # -------------------------------------------------------------------------------------------------- latest value
    Case("the_latest_value_and_not_the_worst", "peak_flow", [flow(180, MARCH), flow(410, JUNE), flow(90, MAY)],
         known(410, JUNE)),
    Case("the_latest_value_on_the_index_date_is_not_used", "peak_flow", [flow(410, MAY), flow(180, INDEX)],
         known(410, MAY)),
    Case("fifteen_months_old_to_the_day_is_used", "peak_flow", [flow(300, date(2025, 3, 15))],
         known(300, date(2025, 3, 15))),
    Case("a_day_older_is_stale", "peak_flow", [flow(300, date(2025, 3, 14))],
         unusable("stale", date(2025, 3, 14))),
    Case("two_values_on_the_latest_day_contradict", "peak_flow", [flow(300, MAY), flow(420, MAY)],
         unusable("conflict", MAY)),
    Case("one_value_twice_on_the_latest_day_is_one", "peak_flow", [flow(300, MAY), flow(300, MAY)],
         known(300, MAY, record_count=2)),
    Case("a_contradiction_of_an_earlier_day_is_over", "peak_flow", [flow(300, MAY), flow(420, MAY), flow(350, JUNE)],
         known(350, JUNE)),
    Case("a_contradiction_that_is_too_old_is_stale", "peak_flow",
         [flow(300, date(2024, 1, 1)), flow(420, date(2024, 1, 1))], unusable("stale", date(2024, 1, 1))),
    Case("the_newest_not_usable_hides_the_older_one", "peak_flow",
         [flow(300, MAY), flow(9000, JUNE, value_status="implausible")], unusable("unusable", JUNE)),
    Case("a_usable_value_of_the_same_day_is_used", "peak_flow",
         [flow(9000, JUNE, value_status="implausible"), flow(300, JUNE)], known(300, JUNE)),
    Case("a_value_that_is_empty_is_not_usable", "peak_flow", [flow(None, JUNE, value_status=None)],
         unusable("unusable", JUNE)),
    Case("nought_is_a_value", "peak_flow", [flow(0, JUNE)], known(0, JUNE)),
    Case("an_undated_value_is_no_latest_value", "peak_flow", [flow(300, None)]),
    # ------------------------------------------------------------------------------------------------- days, episodes
    Case("a_count_is_of_days", "flare_days", days("F1", 3, 3, 9) + days("F2", 9),
         known(2, YEAR_AGO + 9 * DAY, record_count=4)),
    Case("undated_entries_are_one_day_of_a_count_for_ever", "flare_days_ever",
         [event("p", "F1", None), event("p", "F2", None), event("p", "F1", MAY)], known(2, MAY, record_count=3)),
    Case("fourteen_days_apart_is_one_episode", "flares", days("F1", 0, 14), known(1, YEAR_AGO + 14 * DAY)),
    Case("fifteen_days_apart_are_two", "flares", days("F1", 0, 15), known(2, YEAR_AGO + 15 * DAY)),
    Case("each_within_fourteen_of_the_one_before_is_one_chain", "flares", days("F1", 0, 14, 28, 42), known(1)),
    Case("a_chain_and_one_more", "flares", days("F1", 0, 14, 28, 43), known(2)),
    Case("an_admission_and_the_gp_entry_about_it_are_one", "flares",
         [spell("p", "J459", MAY), event("p", "F1", MAY + 14 * DAY)],
         known(1, MAY + 14 * DAY, record_count=2, source_table="gp_event")),
    Case("an_admission_and_a_gp_entry_fifteen_days_on_are_two", "flares",
         [spell("p", "J459", MAY), event("p", "F1", MAY + 15 * DAY)], known(2)),
    Case("a_code_in_two_codelists_is_one_record", "flares", days("F2", 5), known(1, record_count=1)),
    Case("an_episode_begun_before_the_window_counts_from_its_days_inside", "flares", days("F1", -3, 3), known(1)),
    Case("episodes_on_the_edges_of_the_window", "flares", [*days("F1", 0), event("p", "F1", INDEX - DAY),
         event("p", "F1", INDEX)], known(2, INDEX - DAY)),
    # ------------------------------------------------------------------------------------------------------- hospital
    Case("an_emergency_admission_by_category", "admissions", [spell("p", "J451", MAY), spell("p", "J46", MARCH)],
         known(2, MAY, source_table="apc_spell", source_code="J451")),
    Case("a_planned_admission_is_none", "admissions", [spell("p", "J451", MAY, is_emergency=False)]),
    Case("an_admission_for_something_else_is_none", "admissions", [spell("p", "J449", MAY), spell("p", None, MAY)]),
    Case("a_diagnosis_in_any_position_of_an_emergency_stay", "has_delirium", [diagnosis("p", "F051", MAY, position=7)],
         known(1, MAY, source_table="apc_diagnosis", source_code="F051")),
    Case("a_diagnosis_of_a_planned_stay_is_none", "has_delirium", [diagnosis("p", "F051", MAY, is_emergency=False)]),
    # G30 4.0 + N39 3.2 + I69 3.7
    Case("weights_add_up", "hospital_points",
         [diagnosis("p", "G309", MAY), diagnosis("p", "N390", MAY), diagnosis("p", "I69", MARCH)],
         known(10.9, MAY)),
    Case("each_category_counts_once", "hospital_points",
         [diagnosis("p", "G309", MAY), diagnosis("p", "G308", MAY), diagnosis("p", "G309", MARCH)],
         known(4.0, MAY, record_count=3)),
    # 4.0 + 3.2 + 3.7 + 3.2 + 0.1 is 14.2 or 14.200000000000001, by the order of adding up
    Case("a_sum_is_one_number_however_it_is_added_up", "hospital_points",
         [diagnosis("p", code, MAY) for code in ("R509", "F05", "I690", "N390", "G300")], known(14.2)),
    Case("a_stay_with_no_listed_code_is_nought", "hospital_points", [diagnosis("p", "Z380", MAY)], known(0, MAY)),
    Case("no_stay_is_no_score", "hospital_points", [event("p", "A1", MAY)]),
    Case("a_planned_stay_is_no_score", "hospital_points", [diagnosis("p", "G309", MAY, is_emergency=False)]),
    Case("a_stay_on_the_first_day_of_two_years", "hospital_points", [diagnosis("p", "G309", date(2024, 6, 15))],
         known(4.0, date(2024, 6, 15))),
    Case("a_stay_the_day_before_two_years", "hospital_points", [diagnosis("p", "G309", date(2024, 6, 14))]),
    Case("a_stay_that_begins_on_the_index_date", "hospital_points", [diagnosis("p", "G309", INDEX)]),
    # ----------------------------------------------------------------------------------------------------- medicines
    Case("an_issue_by_bnf_alone", "steroid_days", [issue("p", MAY, bnf=STEROID_BNF)],
         known(1, MAY, record_count=1, source_code=STEROID_BNF)),
    Case("an_issue_by_product_alone", "steroid_days", [issue("p", MAY, dmd="D1")], known(1, MAY, source_code="D1")),
    Case("an_issue_by_both_is_one_record", "steroid_days", [issue("p", MAY, dmd="D1", bnf=STEROID_BNF)],
         known(1, MAY, record_count=1, source_code="D1")),
    Case("an_issue_by_both_is_one_product", "steroid_products", [issue("p", MAY, dmd="D1", bnf=STEROID_BNF)],
         known(1, MAY)),
    Case("a_known_product_under_an_unknown_bnf_code", "steroid_days", [issue("p", MAY, dmd="D1", bnf="1202")],
         known(1, MAY)),
    Case("another_substance_is_none", "steroid_days", [issue("p", MAY, dmd="D9", bnf="0603020J0AAAEAE")]),
    Case("two_strengths_of_one_substance_are_one_medicine", "medicines",
         [issue("p", MAY, dmd="D1", bnf="0603020T0AAACAC"), issue("p", JUNE, dmd="D2", bnf="0603020T0AAADAD")],
         known(1, JUNE, record_count=2)),
    Case("two_substances_are_two_medicines", "medicines",
         [issue("p", MAY, bnf="0603020T0AAACAC"), issue("p", MAY, bnf="0603020J0AAAEAE")], known(2, MAY)),
    Case("without_bnf_the_product_counts_and_without_both_the_old_code", "medicines",
         [issue("p", MAY, dmd="D8"), issue("p", MAY, original_code="read1"), issue("p", MAY, original_code="read2"),
          issue("p", MAY)], known(3, MAY, record_count=3)),
    Case("issues_on_the_edges_of_the_year", "medicines",
         [issue("p", YEAR_AGO, dmd="D1"), issue("p", YEAR_AGO - DAY, dmd="D2"), issue("p", INDEX, dmd="D3")],
         known(1, YEAR_AGO)),
    # --------------------------------------------------------------------------------------------------------- flags
    Case("a_flag_without_an_end_holds", "is_housebound", [flagged("p", "HOUSEBOUND", MAY)],
         known(1, MAY, source_table="patient_flag")),
    Case("a_flag_that_begins_on_the_index_date_holds", "is_housebound", [flagged("p", "HOUSEBOUND", INDEX)],
         known(1, INDEX)),
    Case("a_flag_that_begins_tomorrow_does_not", "is_housebound", [flagged("p", "HOUSEBOUND", INDEX + DAY)]),
    Case("a_flag_that_ends_tomorrow_holds", "is_housebound", [flagged("p", "HOUSEBOUND", MAY, INDEX + DAY)],
         known(1, MAY)),
    Case("a_flag_that_ends_on_the_index_date_does_not", "is_housebound", [flagged("p", "HOUSEBOUND", MAY, INDEX)]),
    Case("another_flag_is_another_matter", "is_housebound", [flagged("p", "HOME_A", MAY)]),
    Case("either_flag_does", "lives_in_home", [flagged("p", "HOME_A", MAY, JUNE), flagged("p", "HOME_B", JUNE)],
         known(1, JUNE, source_code="HOME_B", record_count=1)),
]  # fmt: skip


def _as(key: str, records: list[Record]) -> list[Record]:
    return [(table, {**row, "patient_key": key}) for table, row in records]


@pytest.fixture(scope="module")
def tables():
    nobody = [event(None, "A1", MAY), spell(None, "J459", MAY), diagnosis(None, "G309", MAY)]
    return invented.core_tables([record for case in CASES for record in _as(case.name, case.records)] + nobody)


@pytest.fixture(scope="module")
def values(tables):
    found = invented.values_of(tables, BOOK, INDEX)
    assert found.select("patient_key", "variable").is_unique().all(), "one row per person and variable"
    return {(row["patient_key"], row["variable"]): row for row in found.to_dicts()}


def test_case_names_are_used_once():
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_value_of_a_variable(values, case):
    row = values.get((case.name, case.variable))
    if case.expected is None:
        assert row is None
    else:
        assert row is not None, "no row"
        assert {name: row[name] for name in case.expected} == case.expected


def test_records_of_nobody_belong_to_nobody(values):
    assert not [key for key, _ in values if key is None]


def test_a_value_names_the_row_it_came_from(values, tables):
    row = values["the_latest_value_and_not_the_worst", "peak_flow"]
    source = tables["gp_observation"].filter(pl.col("source_row") == row["source_row"]).to_dicts()
    assert [(each["value_canonical"], each["effective_date"]) for each in source] == [(410, JUNE)]
    assert (row["source_table"], row["source_file_id"]) == ("gp_observation", "core.gp_observation")


def test_the_records_behind_a_value_are_those_in_its_window_each_once(tables):
    codes = code_table(BOOK, invented.matches(BOOK, tables), index_date=INDEX)
    one = {name: frame.filter(patient_key="each_category_counts_once") for name, frame in tables.items()}
    found = invented.collected(
        records_behind(invented.lazy(one), engine.from_polars(codes), BOOK, index_date=INDEX)
    ).filter(variable="hospital_points")
    assert sorted(found.select("day", "value", "code").rows()) == [(MARCH, 4, "G30"), (MAY, 4, "G30"), (MAY, 4, "G30")]


# ------------------------------------------------------------------------------------------------- what a code means


def test_a_code_that_weighs_nothing_stops_the_run_and_never_counts_as_nought():
    with pytest.raises(RuleError, match="codelist points: expected a weight"):
        code_table(BOOK, [("icd10", "A099", "points")], index_date=INDEX)


def test_a_weight_by_prefix_is_that_of_the_longest_beginning():
    book = invented.rule_book(
        codelists=[codelist("points", "icd10", {"G3": 1.0, "G309": 4.0}, "prefix")],
        variables=[variable("hospital_points", "weight", {"hospital_diagnosis": "points"}, lookback_months=24)],
    )
    matches = [("icd10", code, "points") for code in ("G300", "G3091")]
    codes = code_table(book, matches, index_date=INDEX)
    assert codes.sort("match").select("match", "weight").rows() == [("G300", 1.0), ("G3091", 4.0)]


def test_a_code_of_another_system_is_not_taken_for_one_of_this_kind():
    matches = [("icd10", "A1", "asthma"), ("snomed_ct", "0603020T0", "steroid")]
    codes = code_table(BOOK, matches, index_date=INDEX)
    assert set(codes["kind"]) == {"measurement", "any_issue", "flag"}


# --------------------------------------------------------------------------------------------------------- wide rows


@pytest.fixture(scope="module")
def wide():
    persons = invented.frame(
        "core.person",
        [
            {"patient_key": "linked"},
            {"patient_key": "not_linked", "is_hospital_linked": False},
            {"patient_key": "contradicts"},
            {"patient_key": "joined_1_year_ago", "registered_date": date(2025, 6, 15)},
            {"patient_key": "joined_a_day_later", "registered_date": date(2025, 6, 16)},
            {"patient_key": "joined_nobody_knows_when", "registered_date": None, "age_years": None},
        ],
    )
    values = invented.value_rows(
        {
            "linked": {"flares": 3, "peak_flow": 410, "hospital_points": 4},
            "not_linked": {"flares": 1},
            "contradicts": {"has_asthma": "conflict", "peak_flow": "conflict"},
            "joined_1_year_ago": {"peak_flow": "stale"},
            "somebody_else": {"flares": 9},
        },
        MAY,
    )
    return {row["patient_key"]: row for row in invented.wide_of(persons, values, BOOK, INDEX).to_dicts()}


def test_every_person_has_one_wide_row_and_nobody_else_has(wide):
    assert sorted(wide) == [
        "contradicts", "joined_1_year_ago", "joined_a_day_later", "joined_nobody_knows_when", "linked", "not_linked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("person", "name", "value", "may_be_higher", "contradicts"),
    [
        pytest.param("linked", "flares", 3, False, False, id="a_count_found"),
        pytest.param("linked", "admissions", 0, False, False, id="a_count_without_a_record_is_nought"),
        pytest.param("linked", "has_asthma", 0, False, False, id="a_flag_without_a_record_is_nought"),
        pytest.param("linked", "peak_flow", 410, False, False, id="a_value_found"),
        pytest.param("contradicts", "hospital_points", None, False, False, id="no_stay_is_not_nought"),
        pytest.param("joined_a_day_later", "peak_flow", None, False, False, id="no_value_is_not_nought"),
        pytest.param("joined_1_year_ago", "peak_flow", None, False, False, id="a_stale_value_is_not_known"),
        pytest.param("contradicts", "peak_flow", None, False, True, id="a_contradictory_value"),
        pytest.param("contradicts", "has_asthma", None, False, True, id="a_contradictory_flag_is_not_nought"),
        pytest.param("not_linked", "flares", 1, True, False, id="not_linked_has_at_least_what_the_gp_saw"),
        pytest.param("not_linked", "admissions", 0, True, False, id="not_linked_has_at_least_no_admission"),
        pytest.param("not_linked", "hospital_points", None, True, False, id="not_linked_has_unknown_points"),
        pytest.param("not_linked", "flare_days", 0, False, False, id="not_linked_does_not_touch_the_gp_record"),
    ],
)
def test_wide_columns(wide, person, name, value, may_be_higher, contradicts):
    row = wide[person]
    found = (row[f"x_{name}"], row.get(f"o_{name}", False), row.get(f"c_{name}", False))
    assert found == (value, may_be_higher, contradicts)


def test_a_doubt_that_cannot_be_has_no_column(wide):
    assert not {"o_flare_days", "u_flare_days", "s_flare_days", "o_age_years", "c_age_years"} & set(wide["linked"])
    assert {"o_admissions", "u_peak_flow", "s_peak_flow"} <= set(wide["linked"])


@pytest.mark.parametrize(
    ("person", "months"),
    [("joined_1_year_ago", 12), ("joined_a_day_later", 11), ("joined_nobody_knows_when", None)],
)
def test_months_registered_are_whole_months(wide, person, months):
    assert wide[person]["x_months_registered"] == months


def test_an_unknown_age_stays_unknown(wide):
    assert wide["joined_nobody_knows_when"]["x_age_years"] is None
