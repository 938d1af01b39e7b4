"""What can be said of records and points, case by case, through both engines.

A case is a person with records (or values) and the answer worked by hand. Index date 15 June 2026.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import invented
from invented import Record, codelist, diagnosis, event, issue, measured, score, spell, variable
from stratify import engine
from stratify.features import variable_values
from stratify.hits import code_table, in_memory
from stratify.scores import add_scores, score_rows
from stratify.store import open_store
from stratify.wide import person_rows

INDEX = date(2026, 6, 15)
DAY = timedelta(days=1)
APRIL, MAY, JUNE = date(2026, 4, 1), date(2026, 5, 1), date(2026, 6, 1)
YEAR_AGO = date(2025, 6, 15)

TREATED = [
    {"event": "flare"},
    {"same_day": [{"any_of": [{"issue": "antibiotic"}]}, {"any_of": [{"issue": "steroid"}]}]},
    {
        "same_day": [
            {"any_of": [{"event": "cough"}]},
            {"any_of": [{"event": "sputum"}]},
            {"any_of": [{"issue": "antibiotic"}, {"issue": "steroid"}]},
        ]
    },
]
MISSING = {"unit": "units", "text_when_missing": "not known"}
BOOK = invented.rule_book(
    codelists=[
        codelist("flare", "snomed_ct", ["F1"]),
        codelist("cough", "snomed_ct", ["S1", "S3"]),
        codelist("sputum", "snomed_ct", ["S2", "S3"]),
        codelist("review", "snomed_ct", ["R1"]),
        codelist("cancer", "snomed_ct", ["C1", "C2"]),
        codelist("skin_cancer", "snomed_ct", ["C2"]),
        codelist("antibiotic", "bnf", ["0501"], "prefix"),
        codelist("steroid", "dmd", ["D1"]),
        codelist("asthma_icd10", "icd10", ["J45"], "prefix"),
    ],
    variables=[
        variable("flares", "episodes", *TREATED, merge_days=14, lookback_months=12,
                 not_on_days_with=[{"event": "review"}]),
        variable("has_cancer", "has", {"event": "cancer", "excluding": "skin_cancer"}),
        variable("has_new_cancer", "has", {"event": "cancer"}, lookback_months=60, is_first=True),
        variable("older_flares", "count", {"event": "flare"}, lookback_months=12, until_months_ago=1),
        variable("flares_in_30_days", "count", {"event": "flare"}, lookback_days=30),
        variable("attendances", "count", {"ed_attendance": "any"}, lookback_months=6),
        variable("attendances_before_stay", "count", {"ed_attendance": "any"}, lookback_days=180, before="latest_stay"),
        variable("admissions_before_stay", "count", {"emergency_admission": "any"}, lookback_days=365,
                 before="latest_stay"),
        variable("has_asthma_in_hospital", "has", {"inpatient_diagnosis": "asthma_icd10"}, lookback_months=24),
        variable("has_any_diagnosis", "has", {"inpatient_diagnosis": "any"}, lookback_months=24),
        variable("stay_days", "latest", {"stay": "length_of_stay_days"}, maximum_age_days=30),
        variable("has_left_hospital", "has", {"stay": "any"}, lookback_days=30),
        variable("stay_was_emergency", "latest", {"stay": "is_emergency"}, maximum_age_days=30),
        variable("kidney", "highest", {"measurement": "egfr"}, of_last=2, maximum_age_months=24, **MISSING),
        variable("kidney_low", "lowest", {"measurement": "egfr"}, of_last=2, maximum_age_months=24, **MISSING),
        variable("pressure", "lowest", {"measurement": "systolic"}, {"measurement": "at_home"}, of_last=1,
                 maximum_age_months=12, **MISSING),
    ],
)  # fmt: skip

ANTIBIOTIC, STEROID = {"bnf": "0501013B0"}, {"dmd": "D1"}


def attendance(day: date) -> Record:
    return "ed_attendance", {"patient_key": "p", "arrival_at": datetime(day.year, day.month, day.day, 23, 59)}


def stay(first: date, last: date | None, **more: Any) -> Record:
    return spell("p", "J459", first, discharge_date=last, **more)


def egfr(value: float, day: date, **more: Any) -> Record:
    return measured("p", "egfr", value, day, **more)


CASES: list[tuple[str, str, list[Record], float | str | None]] = [
    # name, variable, records, value (a text: the state, or the bound and value; None: no row)
    ("one_coded_flare", "flares", [event("p", "F1", MAY)], 1),
    ("both_medicines_on_one_day", "flares", [issue("p", MAY, **ANTIBIOTIC), issue("p", MAY, **STEROID)], 1),
    ("the_medicines_a_day_apart_are_none", "flares", [issue("p", MAY, **ANTIBIOTIC), issue("p", MAY + DAY, **STEROID)],
     None),
    ("two_symptoms_and_one_medicine", "flares",
     [event("p", "S1", MAY), event("p", "S2", MAY), issue("p", MAY, **STEROID)], 1),
    ("one_symptom_twice_and_a_medicine_are_none", "flares",
     [event("p", "S1", MAY), event("p", "S1", MAY), issue("p", MAY, **STEROID)], None),
    ("one_code_that_is_both_symptoms", "flares", [event("p", "S3", MAY), issue("p", MAY, **STEROID)], 1),
    ("two_symptoms_alone_are_none", "flares", [event("p", "S1", MAY), event("p", "S2", MAY)], None),
    ("not_on_the_day_of_a_review", "flares", [event("p", "F1", MAY), event("p", "R1", MAY)], None),
    ("a_review_the_day_after_does_not_matter", "flares", [event("p", "F1", MAY), event("p", "R1", MAY + DAY)], 1),
    ("within_14_days_is_one", "flares",
     [event("p", "F1", MAY), issue("p", MAY + 14 * DAY, **ANTIBIOTIC), issue("p", MAY + 14 * DAY, **STEROID)], 1),
    ("after_15_days_are_two", "flares",
     [event("p", "F1", MAY), issue("p", MAY + 15 * DAY, **ANTIBIOTIC), issue("p", MAY + 15 * DAY, **STEROID)], 2),
    ("a_code_of_both_lists_is_left_out", "has_cancer", [event("p", "C2", MAY)], None),
    ("a_code_of_the_first_list_alone_counts", "has_cancer", [event("p", "C1", MAY)], 1),
    ("the_first_ever_within_5_years", "has_new_cancer", [event("p", "C1", MAY)], 1),
    ("an_earlier_one_makes_it_not_the_first", "has_new_cancer", [event("p", "C2", date(2015, 1, 1)),
     event("p", "C1", MAY)], None),
    ("the_first_ever_on_the_first_day", "has_new_cancer", [event("p", "C1", date(2021, 6, 15))], 1),
    ("the_first_ever_a_day_too_early", "has_new_cancer", [event("p", "C1", date(2021, 6, 14))], None),
    ("a_window_that_ends_earlier_takes_its_last_day", "older_flares", [event("p", "F1", date(2026, 5, 14))],
     1),
    ("and_not_the_day_after", "older_flares", [event("p", "F1", date(2026, 5, 15))], None),
    ("thirty_days_back_count", "flares_in_30_days", [event("p", "F1", INDEX - 30 * DAY)], 1),
    ("thirty_one_do_not", "flares_in_30_days", [event("p", "F1", INDEX - 31 * DAY)], None),
    ("attendances_by_day", "attendances", [attendance(MAY), attendance(MAY), attendance(JUNE)], 2),
    ("before_the_latest_stay_not_after", "attendances_before_stay",
     [stay(MAY, JUNE), attendance(APRIL), attendance(MAY), attendance(JUNE)], 1),
    ("no_stay_nothing_before_it", "attendances_before_stay", [attendance(APRIL)], None),
    ("a_stay_that_has_not_ended_is_not_completed", "attendances_before_stay", [stay(MAY, None), attendance(APRIL)],
     None),
    ("the_admission_itself_is_not_before_it", "admissions_before_stay", [stay(MAY, JUNE), stay(APRIL, APRIL + DAY)],
     1),
    ("a_year_before_the_stay_to_the_day", "admissions_before_stay",
     [stay(MAY, JUNE), stay(MAY - 365 * DAY, MAY - 364 * DAY)], 1),
    ("and_not_a_day_more", "admissions_before_stay", [stay(MAY, JUNE), stay(MAY - 366 * DAY, MAY - 364 * DAY)], None),
    ("a_planned_stay_counts_as_inpatient", "has_asthma_in_hospital",
     [diagnosis("p", "J459", MAY, is_emergency=False)], 1),
    ("any_diagnosis_at_all", "has_any_diagnosis", [diagnosis("p", "Z000", MAY)], 1),
    ("a_stay_has_days", "stay_days", [stay(JUNE, JUNE + 4 * DAY)], 4),
    ("in_and_out_on_one_day_is_nought_days", "stay_days", [stay(JUNE, JUNE)], 0),
    ("the_latest_to_end_counts", "stay_days", [stay(JUNE, JUNE + DAY), stay(MAY, JUNE + 5 * DAY)], 36),
    ("a_stay_that_ended_too_long_ago", "stay_days", [stay(APRIL, APRIL + DAY)], "stale"),
    ("left_hospital_30_days_ago", "has_left_hospital", [stay(APRIL, INDEX - 30 * DAY)], 1),
    ("left_hospital_31_days_ago", "has_left_hospital", [stay(APRIL, INDEX - 31 * DAY)], None),
    ("left_hospital_on_the_day_itself", "has_left_hospital", [stay(JUNE, INDEX)], None),
    ("still_in_hospital", "has_left_hospital", [stay(JUNE, None)], None),
    ("two_stays_that_ended_on_one_day_are_an_end", "has_left_hospital", [stay(MAY, JUNE), stay(JUNE, JUNE)], 1),
    ("and_their_lengths_contradict", "stay_days", [stay(MAY, JUNE), stay(JUNE, JUNE)], "conflict"),
    ("a_planned_stay", "stay_was_emergency", [stay(JUNE, JUNE + DAY, is_emergency=False)], 0),
    ("the_higher_of_two", "kidney", [egfr(55, MAY), egfr(62, APRIL)], 62),
    ("older_ones_do_not_count", "kidney", [egfr(55, JUNE), egfr(58, MAY), egfr(90, APRIL)], 58),
    ("the_lower_of_two", "kidney_low", [egfr(55, JUNE), egfr(58, MAY), egfr(10, APRIL)], 55),
    ("one_day_is_too_few", "kidney", [egfr(55, MAY), egfr(56, MAY)], None),
    ("too_old_is_no_second", "kidney", [egfr(55, MAY), egfr(60, date(2024, 6, 14))], None),
    ("a_bound_makes_the_highest_a_bound", "kidney", [egfr(55, MAY), egfr(90, APRIL, comparator=">")], ">=90"),
    ("a_bound_the_other_way_is_unclear", "kidney", [egfr(55, MAY), egfr(60, APRIL, comparator="<")], "unusable"),
    ("the_lowest_of_the_latest_day", "pressure",
     [measured("p", "systolic", 150, MAY), measured("p", "at_home", 141, MAY), measured("p", "systolic", 90, APRIL)],
     141),
    ("a_later_one_that_cannot_be_used_is_passed_over", "pressure",
     [measured("p", "systolic", 150, APRIL), measured("p", "systolic", 141, MAY, value_status="pair_incomplete")], 150),
    ("the_lowest_of_a_day_too_long_ago", "pressure", [measured("p", "systolic", 150, YEAR_AGO - DAY)], None),
]  # fmt: skip

SCORE_BOOK = invented.rule_book(
    variables=[
        variable("fev1", "latest", {"measurement": "fev1"}, maximum_age_months=24),
        variable("acr", "latest", {"measurement": "acr"}, maximum_age_months=24),
        variable("is_smoker", "has", {"event": "x"}, ended_by="y"),
        variable("has_asthma", "has", {"event": "x"}, ended_by="y"),
        variable("has_heart_failure", "has", {"inpatient_diagnosis": "x"}),
    ],
    scores=[
        score(
            "points",
            points=[
                {"variable": "fev1", "bands": [{"at_least": 65, "points": 0},
                                               {"at_least": 50, "below": 65, "points": 1},
                                               {"below": 50, "points": 3}]},
                {"when": {"variable": "is_smoker", "is_true": True}, "points": 2},
            ],
            tiers=[{"tier": "high", "label": "High", "at_least": 3},
                   {"tier": "middle", "label": "Middle", "at_least": 1, "below": 3},
                   {"tier": "low", "label": "Low", "below": 1}],
        ),
        score("decimals", points=[{"when": {"variable": "is_smoker", "is_true": True}, "points": 0.1},
                                  {"when": {"variable": "has_asthma", "is_true": True}, "points": 0.2}],
              tiers=[{"tier": "high", "label": "High", "above": 0.3}, {"tier": "low", "label": "Low", "at_most": 0.3}]),
        score("risk", add=-2, link="logistic", points=[
            {"variable": "age_years", "power": 2, "times": 0.0001},
            {"variable": "acr", "log": "natural", "divide_by": 0.113, "minus": 5.137, "times": 0.451},
            {"variable": "is_male", "minus": 0.5642, "times": 0.2467},
        ]),
        score("survival", baseline_survival=0.957, points=[{"variable": "acr", "times": 0.01}]),
        score("clamped", points=[{"when": {"variable": "is_smoker", "is_true": True}, "points": -5}], no_less_than=0),
        score("with_default", points=[
            {"variable": "fev1", "bands": [{"at_least": 50, "points": 1}, {"below": 50, "points": 2}],
             "when_unknown": 9},
            {"when": {"variable": "fev1", "is_missing": True}, "points": 0.5},
        ]),
        score("on_top", points=[{"variable": "points", "times": 1},
                                {"variable": "age_years", "bands": [{"below": 70, "points": 0},
                                                                    {"at_least": 70, "points": 3}]}]),
        score("in_hospital", points=[{"when": {"variable": "has_heart_failure", "is_true": True}, "points": 2}],
              eligibility=[{"when": {"variable": "has_heart_failure", "is_true": True}, "otherwise": "never"}],
              tiers=[{"tier": "yes", "label": "Yes", "at_least": 2}, {"tier": "no", "label": "No", "below": 2}]),
        score("two_of", tiers=[
            {"tier": "yes", "label": "Yes", "when": {"at_least_of": {"count": 2, "of": [
                {"variable": "fev1", "below": 50}, {"variable": "is_smoker", "is_true": True},
                {"variable": "points", "at_least": 3}]}}},
            {"tier": "no", "label": "No"}]),
        score("one_is_enough", tiers=[
            {"tier": "yes", "label": "Yes", "when": {"any_known_of": [
                {"variable": "fev1", "below": 50}, {"variable": "acr", "at_least": 30}]}},
            {"tier": "no", "label": "No"}]),
    ],
)  # fmt: skip

PEOPLE: dict[str, dict[str, float | str]] = {
    "all": {"fev1": 49.6, "acr": 30, "is_smoker": 1, "has_asthma": 1},
    "edge": {"fev1": 50, "acr": 0.113},
    "nothing": {},
    "smoker": {"is_smoker": 1},
    "over": {"fev1": ">60"},
    "nought": {"acr": 0},
    "between": {"fev1": ">45", "acr": 3},
    "unsure": {"is_smoker": "conflict", "has_asthma": 1},
}
ANSWERS: list[tuple[str, str, dict[str, Any]]] = [
    ("all", "points", {"value": 5.0, "tier": "high", "possible_tiers": "high", "is_complete": True}),
    ("edge", "points", {"value": 1.0, "tier": "middle", "possible_tiers": "middle"}),
    ("nothing", "points", {"value": None, "tier": None, "possible_tiers": "high;middle;low", "is_complete": False,
                           "missing_variables": "fev1"}),
    ("smoker", "points", {"value": None, "tier": "middle", "possible_tiers": "high;middle"}),
    ("over", "points", {"value": None, "tier": None, "possible_tiers": "middle;low"}),
    ("all", "decimals", {"value": 0.3, "tier": "low", "possible_tiers": "low"}),
    ("unsure", "decimals", {"value": 0.2, "tier": "low", "possible_tiers": "low"}),
    # 0.49 + 0.451 (ln 265.4867 − 5.137) + 0.2467 × 0.4358 − 2 = −1.201989; 1 ÷ (1 + e^1.201989)
    ("all", "risk", {"value": 0.231122, "tier": None, "possible_tiers": None, "is_complete": True}),
    ("nought", "risk", {"value": None, "is_complete": False}),
    ("nothing", "risk", {"value": None, "is_complete": False, "missing_variables": "acr"}),
    # 1 − 0.957^(e^0.3)
    ("all", "survival", {"value": 0.057603}),
    ("all", "clamped", {"value": 0.0}),
    ("nothing", "with_default", {"value": 9.5}),
    ("all", "with_default", {"value": 2.0}),
    ("over", "with_default", {"value": 1.0}),
    ("all", "on_top", {"value": 8.0}),
    ("nothing", "on_top", {"value": None, "missing_variables": "fev1"}),
    ("all", "two_of", {"tier": "yes", "possible_tiers": "yes"}),
    ("nothing", "two_of", {"tier": None, "possible_tiers": "yes;no"}),
    ("over", "two_of", {"tier": "no", "possible_tiers": "no"}),
    ("all", "one_is_enough", {"tier": "yes", "possible_tiers": "yes"}),
    ("edge", "one_is_enough", {"tier": "no", "possible_tiers": "no"}),
    ("nought", "one_is_enough", {"tier": "no", "possible_tiers": "no", "is_complete": True}),
    ("over", "one_is_enough", {"tier": "no", "possible_tiers": "no"}),
    ("between", "one_is_enough", {"tier": None, "possible_tiers": "yes;no"}),
    ("nothing", "one_is_enough", {"tier": None, "possible_tiers": "yes;no", "missing_variables": "fev1;acr"}),
    ("unlinked", "in_hospital", {"value": None, "tier": None, "possible_tiers": "yes;no", "is_complete": False}),
]  # fmt: skip

Engine = Callable[[pl.DataFrame], engine.Frame]


@pytest.fixture(scope="module", params=["polars", "duckdb"])
def lent(request, tmp_path_factory):
    """Give what takes a Polars frame to the engine, and what brings a frame back."""
    if request.param == "polars":
        yield engine.from_polars, invented.collected, in_memory
        return
    folder = tmp_path_factory.mktemp("vocabulary")
    with open_store(folder / "run.duckdb", temp_directory=folder / "scratch") as store:
        store.execute("CREATE SCHEMA work")
        made: list[str] = []

        def lend(frame: pl.DataFrame) -> engine.Frame:
            made.append(f"work.frame_{len(made)}")
            with store.loaned(frame) as name:
                store.execute(f"CREATE TABLE {made[-1]} AS FROM {name}")
            return engine.table(store, made[-1])

        def settle(name: str, frame: engine.Frame) -> engine.Frame:
            return engine.settle(store, f"work.{name}", frame)

        yield lend, lambda frame: engine.rows(store, frame), settle


@pytest.fixture(scope="module")
def values(lent):
    lend, back, settle = lent
    records = [(table, {**row, "patient_key": name}) for name, _, mine, _ in CASES for table, row in mine]
    tables = invented.core_tables(records)
    codes = code_table(BOOK, invented.matches(BOOK, tables), index_date=INDEX)
    found = back(
        variable_values({n: lend(t) for n, t in tables.items()}, lend(codes), BOOK, index_date=INDEX, settle=settle)
    )
    assert found.select("patient_key", "variable").is_unique().all(), "one row per person and variable"
    return {(row["patient_key"], row["variable"]): row for row in found.to_dicts()}


@pytest.mark.parametrize(("name", "which", "answer"), [(n, v, a) for n, v, _, a in CASES], ids=[c[0] for c in CASES])
def test_what_the_records_come_to(values, name, which, answer):
    row = values.get((name, which))
    if answer is None:
        assert row is None
    elif isinstance(answer, str) and answer[0] not in "<>":
        assert (row["value"], row["state"]) == (None, answer)
    elif isinstance(answer, str):
        assert (row["bound"], row["value"], row["state"]) == (answer[:2], float(answer[2:]), "known")
    else:
        assert (row["value"], row["state"], row["bound"]) == (answer, "known", None)


@pytest.mark.parametrize(
    ("take", "stay_of", "more"),
    [("latest", "any", {"maximum_age_days": 30}), ("has", "length_of_stay_days", {"lookback_days": 30})],
)
def test_a_stay_at_all_is_no_value_and_a_fact_of_one_is_no_yes(take, stay_of, more):
    with pytest.raises(ValueError, match="a fact of a stay goes with take: latest, any stay alone with take: has"):
        variable("x", take, {"stay": stay_of}, **more)


def test_case_names_are_used_once():
    assert len({case[0] for case in CASES}) == len(CASES)


@pytest.fixture(scope="module")
def scored(lent):
    lend, back, _ = lent
    persons = invented.frame(
        "core.person",
        [{"patient_key": key, "age_years": 70, "sex": "M"} for key in PEOPLE]
        + [{"patient_key": "unlinked", "is_hospital_linked": False}],
    )
    found = lend(invented.value_rows(PEOPLE, MAY))
    wide = lend(back(person_rows(lend(persons), found, SCORE_BOOK, index_date=INDEX)))
    rows = back(score_rows(lend(back(add_scores(wide, SCORE_BOOK))), SCORE_BOOK))
    return {(row["patient_key"], row["score"]): row for row in rows.to_dicts()}


@pytest.mark.parametrize(("person", "which", "answer"), ANSWERS, ids=[f"{p}_{s}" for p, s, _ in ANSWERS])
def test_what_the_values_come_to(scored, person, which, answer):
    row = scored[person, which]
    assert {name: row[name] for name in answer} == answer
