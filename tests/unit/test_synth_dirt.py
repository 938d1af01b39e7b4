"""The faults put into the synthetic county: each is there, few, and where it is said to be."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from stratify import contracts
from stratify.codes import verhoeff_is_valid
from stratify.synth import CountySummary, clinical_codes, write_county
from stratify.synth.dirt import DIRT
from stratify.synth.write import TABLES

FEV1_PERCENT, HBA1C = "313223002", "999791000000106"
MRC_GRADE_CODES = ("391120009", "391123006", "391124000", "391125004", "391126003")


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pl.DataFrame]:
    """4,000 people with faults."""
    county: CountySummary = write_county(tmp_path_factory.mktemp("dirty") / "county", people=4_000, practices=4)
    return {table: pl.read_csv(county.folder / f"{table}.csv", infer_schema=False) for table in TABLES}


def test_fev1_in_litres_stands_under_the_percent_code(tables):
    rows = tables["gp_observation"].filter(
        (pl.col("snomed_code") == FEV1_PERCENT) & (pl.col("value_num").cast(float) < 5)
    )
    assert rows.height >= 1
    assert set(rows["unit_raw"]) <= {"L", "litres", None}


def test_hba1c_in_percent_stands_under_the_mmol_code(tables):
    rows = tables["gp_observation"].filter((pl.col("snomed_code") == HBA1C) & (pl.col("unit_raw") == "%"))
    assert rows.height >= 1
    assert rows["value_num"].cast(float).is_between(3, 20).all()


def test_mrc_grade_codes_contradict_their_value(tables):
    rows = tables["gp_observation"].filter(pl.col("snomed_code").is_in(MRC_GRADE_CODES)).to_dicts()
    wrong = [row for row in rows if MRC_GRADE_CODES.index(row["snomed_code"]) + 1 != float(row["value_num"])]
    assert len(wrong) >= 1


def test_dates_are_in_the_future_stand_for_unknown_or_are_none(tables):
    events = tables["gp_event"]["effective_date"]
    assert (events > "2026-11-01").sum() >= 1
    assert (events == "1900-01-01").sum() >= 1
    assert tables["registration"]["start_date"].str.contains("/").sum() >= 1
    assert (tables["apc_episode"]["admission_date"] == "2026-02-30").sum() >= 1


def test_snomed_ids_are_damaged(tables):
    assert any(not verhoeff_is_valid(code) for code in tables["gp_event"]["snomed_code"])
    assert any(not verhoeff_is_valid(code) for code in tables["gp_medication"]["dmd_code"])


def test_keys_are_repeated_with_the_same_and_with_other_content(tables):
    for table in ("gp_event", "gp_observation"):
        frame, key = tables[table], list(contracts.load(f"landing.{table}").key)
        again = frame.filter(frame.select(key).is_duplicated())
        assert again.height >= 2, table
        assert again.filter(~again.is_duplicated()).height >= 2, table
    episodes = tables["apc_episode"]
    assert episodes.filter(episodes.is_duplicated()).height >= 2


def test_rows_belong_to_nobody_or_to_an_unknown_practice(tables):
    known = tables["patient"].select("org_code", "source_patient_id")
    for table in ("gp_event", "gp_observation", "gp_medication"):
        assert tables[table].join(known, on=["org_code", "source_patient_id"], how="anti").height >= 1, table
    strangers = set(tables["registration"]["practice_code"]) - set(tables["practice"]["practice_code"])
    assert strangers == {"Y99999"}


def test_somebody_left_hospital_before_coming(tables):
    episodes = tables["apc_episode"]
    assert (episodes["discharge_date"] < episodes["admission_date"]).sum() >= 1


def test_one_number_has_two_dates_of_birth(tables):
    births = tables["patient"].drop_nulls("nhs_number").group_by("nhs_number").agg(pl.col("date_of_birth").n_unique())
    assert (births["date_of_birth"] == 2).sum() >= 1


def test_one_practice_has_no_copd_clinic_and_all_have_the_others(tables):
    capacity = tables["clinic_capacity"].group_by("clinic_id").agg(pl.col("practice_code").n_unique())
    held = dict(capacity.iter_rows())
    assert held == {"copd_clinic": 3, "frailty_clinic": 4, "care_home_round": 4, "palliative_review": 4}


def test_faults_stay_well_below_two_percent_of_any_table_and_spare_three(tables):
    # A clean county differs from the dirty one in these rows alone, so their number bounds what can be set aside.
    for table, frame in tables.items():
        rates = sum(each.rate for each in DIRT if each.table == table and each.among is None)
        assert rates <= 0.005, table
        assert frame.height
    assert not {"opt_out", "practice", "clinic_capacity"} & {each.table for each in DIRT}


def test_the_clean_county_has_none_of_the_row_faults(tmp_path):
    county = write_county(tmp_path / "county", people=400, practices=2, dirt=False)
    observations = pl.read_csv(county.folder / "gp_observation.csv", infer_schema=False)
    percent = observations.filter(pl.col("snomed_code") == FEV1_PERCENT)["value_num"].cast(float)
    assert (percent >= 10).all()
    capacity = pl.read_csv(county.folder / "clinic_capacity.csv", infer_schema=False)
    assert capacity.filter(pl.col("clinic_id") == "copd_clinic")["practice_code"].n_unique() == 2


def test_every_clinical_code_has_a_right_check_digit_and_a_term():
    held: list[clinical_codes.Concept | clinical_codes.Medicine] = []
    for value in vars(clinical_codes).values():
        members = value if isinstance(value, tuple) else (value,)
        held += [each for each in members if isinstance(each, clinical_codes.Concept | clinical_codes.Medicine)]
    for _, concepts in clinical_codes.DEFICITS.values():
        held += concepts
    assert len({each.code for each in held}) > 100
    for each in held:
        assert verhoeff_is_valid(each.code), each
        assert each.term


def test_the_county_knows_all_thirty_six_deficits():
    assert len(clinical_codes.DEFICITS) == 36


def test_faults_of_the_same_seed_are_the_same(tmp_path):
    first = write_county(tmp_path / "a", people=300, practices=1, index_date=date(2026, 3, 2))
    second = write_county(tmp_path / "b", people=300, practices=1, index_date=date(2026, 3, 2))
    assert (first.folder / "manifest.csv").read_bytes() == (second.folder / "manifest.csv").read_bytes()
