"""What became of people, for each of the three declared outcomes: every edge of a horizon by one invented stay.

The run is of 2 November 2026, so that the two models of a year look from 2 September 2025 and that of discharges from
2 July 2026.
"""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from stratify import contracts, hits
from stratify.modelling.cohort import gather
from stratify.modelling.design import Predictor, models_folder, read_design
from stratify.rulebook import load_rule_book
from stratify.store import open_store

INDEX_DATE = date(2026, 11, 2)
COPD, FLARE, PNEUMONIA = "13645005", "J441", "J189"
KNOWN = {"is_emergency": True, "discharge_method": "1", "primary_diagnosis": PNEUMONIA}


@pytest.fixture(scope="module")
def book():
    return load_rule_book()


@pytest.fixture
def outcome_of(tmp_path, book):
    """Gather a declared model's people by name, each with the stays that are given; everybody has COPD."""

    def found(model: str, stays: dict[str, list[dict[str, object]]]) -> dict[str, tuple[int, int | None]]:
        rows = [
            KNOWN | {"patient_key": who, "spell_id": f"{who}{number}"} | stay
            for who, mine in stays.items()
            for number, stay in enumerate(mine)
        ]
        everybody = pl.DataFrame({"patient_key": list(stays)}).with_columns(
            pl.lit(70).alias("age_years"),
            pl.lit("registered").alias("person_status"),
            pl.lit(True).alias("is_hospital_linked"),
            pl.lit("Y00001").alias("practice_code"),
            pl.lit(date(2010, 1, 1)).alias("registered_date"),
        )
        tables = {
            "core.person": everybody,
            "core.apc_spell": pl.DataFrame(rows, infer_schema_length=None),
            "core.gp_event": everybody.select(
                "patient_key", pl.lit(COPD).alias("snomed_code"), pl.lit(date(2015, 1, 1)).alias("effective_date")
            ),
            "derived.code_match": pl.DataFrame(
                [("snomed_ct", COPD, "copd"), ("icd10", FLARE, "copd_emergency_icd10")],
                schema=["code_system", "code", "codelist"],
                orient="row",
            ),
        }
        with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path) as store:
            for name in ("person", "registration", "death", *hits.SOURCE_TABLES):
                store.define(contracts.load(f"core.{name}"))
            store.define(contracts.load("derived.code_match"))
            for name, frame in tables.items():
                with store.loaned(frame) as given:
                    store.execute(f"INSERT INTO {name} BY NAME SELECT * FROM {given}")
        design = read_design(models_folder(None) / f"{model}.yaml", book)
        dates = design.index_dates.model_copy(update={"count": 1})
        design = design.model_copy(update={"index_dates": dates, "predictors": (Predictor(variable="age_years"),)})
        gathered = gather(tmp_path, design, book, INDEX_DATE).rows
        return {row[0]: (row[1], row[2]) for row in gathered.select("patient_key", "outcome", "days_to_event").rows()}

    return found


def stay(admitted: str, **more: object) -> dict[str, object]:
    """One stay of three days."""
    day = date.fromisoformat(admitted)
    return {"admission_date": day, "discharge_date": date.fromordinal(day.toordinal() + 3)} | more


def test_an_emergency_admission_counts_from_the_index_date_to_the_day_before_twelve_months_later(outcome_of):
    found = outcome_of(
        "emergency_admission_12_months",
        {
            "the_day_before": [stay("2025-09-01")],
            "on_the_day": [stay("2025-09-02")],
            "the_last_day": [stay("2026-09-01")],
            "a_day_late": [stay("2026-09-02")],
            "planned": [stay("2026-01-10", is_emergency=False)],
            "twice": [stay("2026-03-01"), stay("2025-10-02")],
        },
    )
    assert found == {
        "the_day_before": (0, None),
        "on_the_day": (1, 0),
        "the_last_day": (1, 364),
        "a_day_late": (0, None),
        "planned": (0, None),
        "twice": (1, 30),
    }


def test_of_copd_counts_an_emergency_admission_whose_primary_diagnosis_is_of_its_codelist(outcome_of):
    found = outcome_of(
        "copd_admission_12_months",
        {
            "flare": [stay("2026-02-01", primary_diagnosis=FLARE)],
            "pneumonia": [stay("2026-02-01")],
            "not_coded_yet": [stay("2026-02-01", primary_diagnosis=None)],
            "planned": [stay("2026-02-01", primary_diagnosis=FLARE, is_emergency=False)],
            "pneumonia_then_flare": [stay("2025-12-01"), stay("2026-02-01", primary_diagnosis=FLARE)],
        },
    )
    assert found == {
        "flare": (1, 152),  # 28 days of September after the 2nd, 31, 30, 31, 31, and 1
        "pneumonia": (0, None),
        "not_coded_yet": (0, None),
        "planned": (0, None),
        "pneumonia_then_flare": (1, 152),
    }


def test_thirty_days_count_from_the_discharge_of_people_who_left_alive_in_the_week_before_and_are_out(outcome_of):
    """Discharged on 25 June is seven days before 2 July; 30 days after it is 25 July, which no longer counts."""
    seven_days_ago = stay("2026-06-22")
    found = outcome_of(
        "readmission_30_days",
        {
            "back_on_day_29": [seven_days_ago, stay("2026-07-24")],
            "back_on_day_30": [seven_days_ago, stay("2026-07-25")],
            "planned_stay": [seven_days_ago, stay("2026-07-10", is_emergency=False)],
            "left_eight_days_ago": [stay("2026-06-21")],
            "left_on_the_index_date": [stay("2026-06-29")],
            "died_there": [seven_days_ago | {"discharge_method": "4"}],
            "back_before_the_index_date": [seven_days_ago, stay("2026-06-30")],
            "never_in_hospital": [stay("2020-01-01")],
        },
    )
    assert found == {"back_on_day_29": (1, 22), "back_on_day_30": (0, None), "planned_stay": (0, None)}
