"""The synthetic county: its files, its promises about identity, and rates that look like England."""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from stratify import contracts
from stratify.codes import is_sentinel_nhs_number, nhs_number_is_valid, nhs_number_range, verhoeff_is_valid
from stratify.errors import RunError, SettingsError
from stratify.synth import CountyOrder, CountySummary, write_county
from stratify.synth.faults.asked import chosen_rates
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
    return write_county(tmp_path_factory.mktemp("clean") / "county", CountyOrder(people=4_000, practices=4))


@pytest.fixture(scope="module")
def dirty(tmp_path_factory) -> CountySummary:
    """1,000 people with faults."""
    return write_county(
        tmp_path_factory.mktemp("dirty") / "county",
        CountyOrder(people=1_000, practices=4, faults=chosen_rates([], clean=False)),
    )


# Files


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    first = write_county(tmp_path / "a", CountyOrder(people=400, practices=2, seed=7))
    again = write_county(tmp_path / "b", CountyOrder(people=400, practices=2, seed=7))
    other = write_county(tmp_path / "c", CountyOrder(people=400, practices=2, seed=8))
    for name in first.extracts[0].files:
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
    assert {path.name for path in dirty.folder.iterdir()} == {
        *(f"{table}.csv" for table in TABLES),
        "manifest.csv",
        ".synthetic-county",
    }
    assert {*dirty.extracts[0].files, ".synthetic-county"} == {path.name for path in dirty.folder.iterdir()}
    assert dirty.extracts[0].files[-1] == "manifest.csv"


def test_the_manifest_describes_the_bytes(dirty):
    with (dirty.folder / "manifest.csv").open(encoding="utf-8", newline="") as opened:
        lines = list(csv.DictReader(opened))
    assert sorted(line["table_name"] for line in lines) == sorted(TABLES)
    for line in lines:
        held = (dirty.folder / line["file_name"]).read_bytes()
        assert int(line["byte_count"]) == len(held)
        assert line["sha256"] == hashlib.sha256(held).hexdigest()
        assert int(line["row_count"]) == dirty.extracts[0].row_counts[line["table_name"]]
        assert line["period_to"] == CUTOFF
        assert line["source_system"] == "SYNTHETIC"
        # No value holds a line break, so lines are rows and a header.
        assert held.count(b"\n") == int(line["row_count"]) + 1
        assert held.endswith(b"\n")
        assert b"\r" not in held
        assert not held.startswith(b"\xef\xbb\xbf")


def test_parquet_holds_the_same_text_as_csv(tmp_path):
    as_csv = write_county(tmp_path / "csv", CountyOrder(people=200, practices=2))
    as_parquet = write_county(tmp_path / "parquet", CountyOrder(people=200, practices=2, file_format="parquet"))
    assert as_csv.extracts[0].row_counts == as_parquet.extracts[0].row_counts
    for table in TABLES:
        held = pl.read_parquet(as_parquet.folder / f"{table}.parquet")
        assert held.equals(read(as_csv, table)), table


def test_an_earlier_county_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    write_county(tmp_path / "county", CountyOrder(people=200, practices=2, file_format="parquet"))
    second = write_county(tmp_path / "county", CountyOrder(people=300, practices=2), replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["county"]
    assert {path.suffix for path in second.folder.iterdir() if path.suffix} == {".csv"}
    assert read(second, "practice").height == 2


# Refusals


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"people": 99, "practices": 0}, ("people", "100 to 3,000,000", "99"), id="too_few_people"),
        pytest.param({"people": 3_000_001}, ("people", "3,000,001"), id="too_many_people"),
        pytest.param({"people": 500, "practices": 0}, ("practices", "found 0", "one for every"), id="no_practice"),
        pytest.param({"people": 500, "practices": 6}, ("practices", "1 to 5", "found 6"), id="too_many_practices"),
        pytest.param({"people": 500, "practices": 2, "seed": -1}, ("seed", "0 or more"), id="negative_seed"),
        pytest.param({"people": 500, "practices": 2, "file_format": "xlsx"}, ("csv or parquet",), id="unknown_format"),
    ],
)
def test_unfit_settings_are_refused_and_nothing_is_written(tmp_path, settings, words):
    with pytest.raises(SettingsError) as caught:
        write_county(tmp_path / "county", CountyOrder(**settings))
    for word in words:
        assert word in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "patient.csv").write_text("mine")
    (tmp_path / "thesis.docx").write_text("mine too")
    with pytest.raises(SettingsError, match="2 files or folders in it"):
        write_county(tmp_path, CountyOrder(people=100, practices=1))
    assert (tmp_path / "patient.csv").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "county").write_text("mine")
    with pytest.raises(SettingsError, match="a file of that name"):
        write_county(tmp_path / "county", CountyOrder(people=100, practices=1))


def test_a_place_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "a_file").write_text("mine")
    with pytest.raises(RunError, match="room and leave to write"):
        write_county(tmp_path / "a_file" / "county", CountyOrder(people=100, practices=1))


def test_an_empty_folder_will_do(tmp_path):
    assert write_county(tmp_path, CountyOrder(people=100, practices=1)).extracts[0].row_counts["practice"] == 1


# Identity


def test_every_nhs_number_of_the_clean_county_is_valid_and_from_the_test_range(clean):
    for table in ("patient", "apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out"):
        for number in read(clean, table)["nhs_number"].drop_nulls().unique():
            assert nhs_number_range(number) == "test"
            assert nhs_number_is_valid(number)
            assert not is_sentinel_nhs_number(number)


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


def test_all_snomed_and_dmd_ids_of_the_clean_county_have_their_check_digit(clean):
    for table, column in (
        ("gp_event", "snomed_code"),
        ("gp_observation", "snomed_code"),
        ("gp_medication", "dmd_code"),
    ):
        assert all(verhoeff_is_valid(code) for code in read(clean, table)[column].unique()), table
    for column in ("chief_complaint", "diagnosis_01", "arrival_mode", "discharge_status", "discharge_destination"):
        assert all(verhoeff_is_valid(code) for code in read(clean, "ed_attendance")[column].drop_nulls().unique())


def test_one_practice_with_one_network_is_a_county_too(tmp_path):
    county = write_county(tmp_path / "county", CountyOrder(people=100, practices=1))
    assert read(county, "practice")["pcn_code"].to_list() == ["U00001"]
    assert read(county, "registration").filter(pl.col("source_patient_id").str.starts_with("M")).height == 0
    assert Path(county.folder).name == "county"
