"""The synthetic county: its files, its promises about identity, and rates that look like England."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from stratify import contracts
from stratify.codes import is_sentinel_nhs_number, nhs_number_is_valid, nhs_number_range, verhoeff_is_valid
from stratify.errors import RunError, SettingsError
from stratify.synth import CountySummary, write_county
from stratify.synth.write import TABLES

CUTOFF = "2026-11-01"  # the day before the index date, 2 November 2026


@cache
def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def read(county: CountySummary, table: str) -> pl.DataFrame:
    return _read(county.folder / f"{table}.csv")


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> CountySummary:
    """4,000 people without faults."""
    return write_county(tmp_path_factory.mktemp("clean") / "county", people=4_000, practices=4, dirt=False)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory) -> CountySummary:
    """1,000 people with faults."""
    return write_county(tmp_path_factory.mktemp("dirty") / "county", people=1_000, practices=4)


# Files


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    first = write_county(tmp_path / "a", people=400, practices=2, seed=7)
    again = write_county(tmp_path / "b", people=400, practices=2, seed=7)
    other = write_county(tmp_path / "c", people=400, practices=2, seed=8)
    for name in first.files:
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes(), name
    assert (first.folder / "patient.csv").read_bytes() != (other.folder / "patient.csv").read_bytes()


def test_every_file_has_the_columns_of_its_contract_in_order(dirty):
    for table in TABLES:
        with (dirty.folder / f"{table}.csv").open(encoding="utf-8", newline="") as opened:
            header = tuple(next(csv.reader(opened)))
        assert header == contracts.load(f"landing.{table}").column_names, table


def test_there_is_a_file_for_every_landing_table_and_no_other(dirty):
    landing = {name.removeprefix("landing.") for name in contracts.names("landing")} - {"extract_manifest"}
    assert landing >= set(TABLES)
    assert {path.name for path in dirty.folder.iterdir()} == {f"{table}.csv" for table in TABLES} | {"manifest.csv"}
    assert set(dirty.files) == {path.name for path in dirty.folder.iterdir()}
    assert dirty.files[-1] == "manifest.csv"


def test_the_manifest_describes_the_bytes(dirty):
    with (dirty.folder / "manifest.csv").open(encoding="utf-8", newline="") as opened:
        lines = list(csv.DictReader(opened))
    assert [line["table_name"] for line in lines] == list(TABLES)
    for line in lines:
        held = (dirty.folder / line["file_name"]).read_bytes()
        assert int(line["byte_count"]) == len(held)
        assert line["sha256"] == hashlib.sha256(held).hexdigest()
        assert int(line["row_count"]) == dirty.row_counts[line["table_name"]]
        assert line["period_to"] == CUTOFF
        assert line["source_system"] == "SYNTHETIC"
        # No value holds a line break, so lines are rows and a header.
        assert held.count(b"\n") == int(line["row_count"]) + 1
        assert held.endswith(b"\n")
        assert b"\r" not in held
        assert not held.startswith(b"\xef\xbb\xbf")


def test_parquet_holds_the_same_text_as_csv(tmp_path):
    as_csv = write_county(tmp_path / "csv", people=200, practices=2)
    as_parquet = write_county(tmp_path / "parquet", people=200, practices=2, file_format="parquet")
    assert as_csv.row_counts == as_parquet.row_counts
    for table in TABLES:
        held = pl.read_parquet(as_parquet.folder / f"{table}.parquet")
        assert held.equals(read(as_csv, table)), table


def test_an_earlier_county_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    write_county(tmp_path / "county", people=200, practices=2, file_format="parquet")
    second = write_county(tmp_path / "county", people=300, practices=2)
    assert [path.name for path in tmp_path.iterdir()] == ["county"]
    assert {path.suffix for path in second.folder.iterdir()} == {".csv"}
    assert read(second, "practice").height == 2


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / ".county.partial").mkdir()
    (tmp_path / ".county.partial" / "patient.csv").write_text("half")
    write_county(tmp_path / "county", people=100, practices=1)
    assert [path.name for path in tmp_path.iterdir()] == ["county"]


# Refusals


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"people": 99, "practices": 0}, ("people", "100 to 800,000", "99"), id="too_few_people"),
        pytest.param({"people": 800_001}, ("people", "800,001"), id="more_than_the_999_range_holds"),
        pytest.param({"people": 500, "practices": 0}, ("practices", "found 0", "at least one"), id="no_practice"),
        pytest.param({"people": 500, "practices": 6}, ("practices", "1 to 5", "found 6"), id="too_many_practices"),
        pytest.param({"people": 500, "practices": 2, "seed": -1}, ("seed", "0 or more"), id="negative_seed"),
        pytest.param({"people": 500, "practices": 2, "file_format": "xlsx"}, ("csv or parquet",), id="unknown_format"),
    ],
)
def test_unfit_settings_are_refused_and_nothing_is_written(tmp_path, settings, words):
    with pytest.raises(SettingsError) as caught:
        write_county(tmp_path / "county", **settings)
    for word in words:
        assert word in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "patient.csv").write_text("mine")
    (tmp_path / "thesis.docx").write_text("mine too")
    with pytest.raises(SettingsError, match="1 other files or folders"):
        write_county(tmp_path, people=100, practices=1)
    assert (tmp_path / "patient.csv").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "county").write_text("mine")
    with pytest.raises(SettingsError, match="a file of that name"):
        write_county(tmp_path / "county", people=100, practices=1)


def test_a_place_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "a_file").write_text("mine")
    with pytest.raises(RunError, match="room and leave to write"):
        write_county(tmp_path / "a_file" / "county", people=100, practices=1)


def test_an_empty_folder_will_do(tmp_path):
    assert write_county(tmp_path, people=100, practices=1).row_counts["practice"] == 1


# Identity


def test_every_nhs_number_of_the_clean_county_is_valid_and_from_the_test_range(clean):
    for table in ("patient", "apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out"):
        for number in read(clean, table)["nhs_number"].drop_nulls().unique():
            assert nhs_number_range(number) == "test"
            assert nhs_number_is_valid(number)
            assert not is_sentinel_nhs_number(number)


def test_dirt_makes_a_few_invalid_numbers_in_patient_alone(dirty):
    numbers = read(dirty, "patient")["nhs_number"].drop_nulls().to_list()
    bad = [number for number in numbers if not nhs_number_is_valid(number)]
    assert all(nhs_number_range(number) == "test" for number in numbers)
    assert len(bad) == 2  # 0.2 % of about 1,010 records
    assert all(nhs_number_is_valid(number) for number in read(dirty, "opt_out")["nhs_number"].drop_nulls())


def test_people_without_a_number_have_records_and_some_object_by_record(clean):
    patients = read(clean, "patient")
    without = patients.filter(pl.col("nhs_number").is_null())
    assert 4 <= without.height <= 30  # 0.3 % of 4,000 is 12
    assert set(without["nhs_number_status"]) == {"07"}
    objections = read(clean, "opt_out").filter(pl.col("nhs_number").is_null())
    assert set(objections["opt_out_type"]) <= {"TYPE1"}
    assert objections.join(without, on=["org_code", "source_patient_id"]).height == objections.height


def test_each_number_belongs_to_one_person_and_those_who_moved_have_two_records(clean):
    records = Counter(read(clean, "patient")["nhs_number"].drop_nulls())
    assert set(records.values()) == {1, 2}
    moved = [number for number, count in records.items() if count == 2]
    both = read(clean, "patient").filter(pl.col("nhs_number").is_in(moved))
    assert both.group_by("nhs_number").agg(pl.col("org_code").n_unique())["org_code"].to_list() == [2] * len(moved)
    assert both.group_by("nhs_number").agg(pl.col("date_of_birth").n_unique())["date_of_birth"].max() == 1


def test_everybody_with_a_number_has_one_national_opt_out_row_checked_the_day_before(clean):
    national = read(clean, "opt_out").filter(pl.col("opt_out_type") == "NDO")
    assert sorted(national["nhs_number"]) == sorted(read(clean, "patient")["nhs_number"].drop_nulls().unique())
    assert set(national["checked_at"]) == {"2026-11-01T06:00:00"}
    assert set(national["expires_at"]) == {"2026-11-08T06:00:00"}


# A clean county keeps its contracts


def test_the_clean_county_has_no_duplicate_keys(clean):
    for table in TABLES:
        key = contracts.load(f"landing.{table}").key
        if key:
            frame = read(clean, table)
            assert frame.select(key).is_unique().all(), table


def test_the_clean_county_has_no_orphans(clean):
    records = read(clean, "patient").select("org_code", "source_patient_id")
    for table in ("registration", "gp_event", "gp_observation", "gp_medication"):
        orphans = read(clean, table).join(records, on=["org_code", "source_patient_id"], how="anti")
        assert orphans.height == 0, table
    numbers = set(read(clean, "patient")["nhs_number"])
    for table in ("apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag"):
        assert set(read(clean, table)["nhs_number"]) <= numbers, table
    practices = set(read(clean, "practice")["practice_code"])
    assert set(read(clean, "registration")["practice_code"]) <= practices
    assert set(read(clean, "clinic_capacity")["practice_code"]) == practices


def test_the_clean_county_fits_the_values_patterns_and_ranges_of_the_contracts(clean):
    for table in TABLES:
        frame = read(clean, table)
        for column in contracts.load(f"landing.{table}").columns:
            where = f"{table}.{column.name}"
            held = frame[column.name].drop_nulls()
            if column.is_required:
                assert held.len() == frame.height, where
            if column.valid_values:
                assert set(held) <= set(column.valid_values), where
            if column.pattern:
                assert held.str.contains(column.pattern).all(), where
            if column.type == "DATE":
                assert held.str.contains(r"^\d{4}-\d{2}-\d{2}$").all(), where
                held.str.to_date(strict=True)
            if column.type == "TIMESTAMP":
                held.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=True)
            if column.type == "BOOLEAN":
                assert set(held) <= {"true", "false"}, where
            if column.minimum is not None:
                assert (held.cast(pl.Float64) >= column.minimum).all(), where
            if column.maximum is not None:
                assert (held.cast(pl.Float64) <= column.maximum).all(), where


def test_nothing_in_the_clean_county_is_later_than_the_extract(clean):
    for table, column in (
        ("patient", "date_of_death"),
        ("registration", "start_date"),
        ("gp_event", "effective_date"),
        ("gp_observation", "effective_date"),
        ("gp_medication", "issue_date"),
        ("apc_episode", "admission_date"),
        ("apc_episode", "discharge_date"),
        ("op_attendance", "appointment_date"),
        ("death", "date_of_death"),
        ("death", "date_registered"),
        ("patient_flag", "start_date"),
        ("patient_flag", "end_date"),
    ):
        latest = read(clean, table)[column].drop_nulls().max()
        assert latest is None or latest <= CUTOFF, f"{table}.{column}"


def test_events_are_after_birth_and_not_after_death(clean):
    born = read(clean, "patient").select("org_code", "source_patient_id", "date_of_birth", "date_of_death")
    events = read(clean, "gp_event").join(born, on=["org_code", "source_patient_id"])
    assert (events["effective_date"] >= events["date_of_birth"]).all()
    assert (events["effective_date"] <= events["date_of_death"]).drop_nulls().all()


def test_spells_are_ordered_and_nobody_is_in_two_beds(clean):
    episodes = read(clean, "apc_episode")
    assert (episodes["discharge_date"] >= episodes["admission_date"]).drop_nulls().all()
    assert (episodes["episode_end"] >= episodes["episode_start"]).drop_nulls().all()
    spells = (
        episodes.filter(pl.col("nhs_number").is_not_null())
        .unique("spell_id", keep="first", maintain_order=True)
        .sort("nhs_number", "admission_date", "spell_id")
        .with_columns(before=pl.col("discharge_date").shift().over("nhs_number"))
    )
    assert (spells["admission_date"] > spells["before"]).drop_nulls().all()
    orders = episodes.group_by("spell_id").agg(pl.col("episode_order").cast(pl.Int64).sort())
    assert all(held.to_list() == list(range(1, held.len() + 1)) for held in orders["episode_order"])


def test_secondary_diagnoses_are_filled_from_the_left_without_repeats(clean):
    episodes = read(clean, "apc_episode")
    for row in episodes.select([f"diag_{n:02d}" for n in range(2, 21)]).iter_rows():
        held = [code for code in row if code is not None]
        assert list(row[: len(held)]) == held
        assert len(set(held)) == len(held)


def test_all_snomed_and_dmd_ids_of_the_clean_county_have_their_check_digit(clean):
    for table, column in (
        ("gp_event", "snomed_code"),
        ("gp_observation", "snomed_code"),
        ("gp_medication", "dmd_code"),
    ):
        assert all(verhoeff_is_valid(code) for code in read(clean, table)[column].unique()), table
    for column in ("chief_complaint", "diagnosis_01", "arrival_mode", "discharge_status", "discharge_destination"):
        assert all(verhoeff_is_valid(code) for code in read(clean, "ed_attendance")[column].drop_nulls().unique())


# Rates


def age_years(frame: pl.DataFrame) -> pl.Series:
    born = frame["date_of_birth"].str.to_date()
    return (pl.Series([date(2026, 11, 2)] * frame.height) - born).dt.total_days() / 365.25


def share(part: int, whole: int) -> float:
    return part / whole


def test_the_population_is_shaped_like_england(clean):
    patients = read(clean, "patient")
    old = int((age_years(patients) >= 65).sum())
    assert 0.15 <= share(old, patients.height) <= 0.23  # England 18.6 %
    assert 0.07 <= share(patients["has_digital_access"].null_count(), patients.height) <= 0.13
    registrations = read(clean, "registration")
    assert 0.06 <= share(int((registrations["start_date"] >= "2025-11-02").sum()), registrations.height) <= 0.13
    assert 0.004 <= share(read(clean, "death")["nhs_number"].n_unique(), 4_000) <= 0.018
    assert 0.015 <= share(registrations.filter(pl.col("end_reason") == "Transfer out").height, 4_000) <= 0.045
    assert registrations.filter(pl.col("registration_type") == "TEMPORARY").height > 0
    assert patients.filter(pl.col("is_test_patient") == "true").height >= 4


def test_copd_is_as_common_as_in_england_absent_below_forty_and_unevenly_recorded(clean):
    key = ["org_code", "source_patient_id"]
    patients = read(clean, "patient").with_columns(age=age_years(read(clean, "patient")))
    diagnosed = read(clean, "gp_event").filter(
        pl.col("snomed_code").is_in(["13645005", "185086009", "87433001", "313297008", "313299006"])
    )
    register = diagnosed.select(key).unique().join(patients, on=key)
    assert 0.013 <= share(register.height, 4_000) <= 0.028  # England 1.9 %
    assert register.filter(pl.col("age") < 38).height == 0
    measured = read(clean, "gp_observation").filter(
        (pl.col("snomed_code") == "313223002") & (pl.col("effective_date") >= "2023-11-02")
    )
    with_fev1 = register.join(measured.select(key).unique(), on=key, how="semi").height
    assert 0.72 <= share(with_fev1, register.height) <= 0.95  # about 85 %
    units = set(read(clean, "gp_observation").filter(pl.col("snomed_code") == "313223002")["unit_raw"])
    assert units <= {"%", "% predicted", "per cent", "%predicted", "% Pred FEV1"}
    admitted = read(clean, "apc_episode").filter(pl.col("diag_01").str.contains("^J44[01]$"))
    assert admitted["spell_id"].n_unique() >= 10


def test_emergency_admissions_and_attendances_have_plausible_rates(clean):
    year = pl.col("admission_date") >= "2025-11-01"
    spells = read(clean, "apc_episode").filter(year & pl.col("admission_method").str.starts_with("2"))
    assert 0.07 <= share(spells["spell_id"].n_unique(), 4_000) <= 0.13  # England about 100 per 1,000
    seen = read(clean, "op_attendance").filter(pl.col("appointment_date") >= "2025-11-01").height
    assert 0.6 <= share(seen, 4_000) <= 1.6
    came = read(clean, "ed_attendance").filter(pl.col("arrival_at") >= "2025-11-01").height
    assert 0.2 <= share(came, 4_000) <= 0.45


def test_diabetes_opt_outs_and_care_homes_have_plausible_rates(clean):
    diabetes = read(clean, "gp_event").filter(pl.col("snomed_code").is_in(["44054006", "46635009"]))
    assert 0.05 <= share(diabetes.select("org_code", "source_patient_id").n_unique(), 4_000) <= 0.09
    opted = read(clean, "opt_out").filter(pl.col("is_opted_out") == "true")
    assert 0.035 <= share(opted.filter(pl.col("opt_out_type") == "NDO").height, 4_000) <= 0.065
    assert 0.03 <= share(opted.filter(pl.col("opt_out_type") == "TYPE1").height, 4_000) <= 0.055
    homes = read(clean, "patient_flag").filter(
        pl.col("flag").str.starts_with("CARE_HOME") & pl.col("end_date").is_null()
    )
    old = int((age_years(read(clean, "patient")) >= 65).sum())
    assert 0.02 <= share(homes["nhs_number"].n_unique(), old) <= 0.065
    assert {"CODED", "ADDRESS_MATCH"} <= set(homes["source"])


def test_the_record_stays_small_enough_for_a_quick_demo(clean):
    rows = sum(clean.row_counts[table] for table in ("gp_event", "gp_observation", "gp_medication"))
    assert 5 <= rows / 4_000 <= 25


def test_clinic_sessions_are_on_weekdays_of_the_seven_days_from_the_index_date(clean):
    capacity = read(clean, "clinic_capacity").with_columns(pl.col("clinic_date").str.to_date())
    assert capacity["clinic_date"].min() >= date(2026, 11, 2)
    assert capacity["clinic_date"].max() <= date(2026, 11, 6)  # Friday
    assert set(capacity["clinic_id"]) == {"copd_clinic", "frailty_clinic", "care_home_round", "palliative_review"}
    assert set(capacity["slots"].cast(pl.Int64)) <= {4, 5, 6, 7, 8}
    a_session = capacity.group_by("clinic_id", "practice_code", "clinic_date").agg(pl.col("role").n_unique())
    assert set(a_session["role"]) <= {2, 3, 4}
    a_week = capacity.group_by("clinic_id", "practice_code").agg(pl.col("clinic_date").n_unique())
    assert set(a_week["clinic_date"]) <= {1, 2}


def test_one_practice_with_one_network_is_a_county_too(tmp_path):
    county = write_county(tmp_path / "county", people=100, practices=1)
    assert read(county, "practice")["pcn_code"].to_list() == ["U00001"]
    assert read(county, "registration").filter(pl.col("source_patient_id").str.starts_with("M")).height == 0
    assert Path(county.folder).name == "county"
