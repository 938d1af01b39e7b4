"""stratify source check: which source a folder looks like and what will not fit, without a value."""

import shutil

import pytest
from source_sets import (
    AGREEMENT,
    BESIDE,
    CANARY,
    EMIS,
    csv_text,
    emis_name,
    header_of,
    write_emis,
    write_hes,
    write_manifest,
    write_sr_manifest,
    write_systmone,
)
from typer.testing import CliRunner

from stratify.cli import app


def check(folder, *more):
    done = CliRunner().invoke(app, ["source", "check", str(folder), *more])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert CANARY not in done.output and "9990000107" not in done.output
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("write", "name", "version"),
    [
        pytest.param(write_emis, "emis_gp_only", "8.2 in 10 files", id="emis"),
        pytest.param(write_systmone, "systmone_gp_only", "current in 7 files", id="systmone"),
        pytest.param(write_hes, "hes", "local copy in 4 files", id="hospital_files_alone"),
        pytest.param(lambda folder: write_hes(write_emis(folder)), "emis", "8.2 in 10 files", id="emis_and_hospital"),
    ],
)
def test_a_folder_is_recognised_with_its_version(tmp_path, write, name, version):
    code, said = check(write(tmp_path / "set"))
    assert code == 0, said
    assert said.startswith(f"This folder looks like source {name}: ")
    assert version in said


def test_invented_people_in_the_same_layout_are_another_source(tmp_path):
    _, said = check(write_hes(write_systmone(tmp_path / "set")))
    assert "If its people are invented, the source is synthetic_county_systmone." in said
    assert "SRManifest.csv names 7 files, up to 2026-01-04" in said


def test_a_changed_header_is_said_with_its_difference_and_ends_with_3(tmp_path):
    header = [name.replace("Sex", "Gender") for name in header_of("emis_gp_only", emis_name("Admin_Patient"))]
    text = csv_text(header, [{"PatientGuid": "{P1}", "Surname": CANARY}])
    code, said = check(write_emis(tmp_path / "set", Admin_Patient=text))
    assert code == 3
    assert "WILL NOT FIT 1. {number}_Admin_Patient_{moment}_{text}.csv: expected a known version" in said
    assert "Sex is called Gender" in said


def test_new_columns_missing_and_unknown_files_are_said_and_may_fit(tmp_path):
    header = [*header_of("emis_gp_only", emis_name("Admin_Patient")), "NewColumn"]
    folder = write_emis(tmp_path / "set", Admin_Patient=csv_text(header, []), CareRecord_Problem=None)
    (folder / "Extra.csv").write_text("a\n")
    code, said = check(folder)
    assert code == 0
    assert "columns no version knows, ignored: {number}_Admin_Patient_{moment}_{text}.csv: NewColumn" in said
    assert "not there and not required: {number}_CareRecord_Problem_{moment}_{text}.csv" in said
    assert "not read: Extra.csv" in said


def test_what_is_missing_is_said_by_table_and_file(tmp_path):
    folder = write_emis(tmp_path / "set", Coding_DrugCode=None)
    (folder / "opt_out.csv").unlink()
    code, said = check(folder, "--source", "emis_gp_only")
    assert code == 3
    assert "{number}_Coding_DrugCode_{moment}_{text}.csv: expected this file" in said
    assert "landing.opt_out: no file to make it of." in said


def test_what_a_set_is_and_what_says_so_is_said(tmp_path):
    folder = write_emis(tmp_path / "one")
    assert "  a whole extract, as manifest.csv says\n" in check(folder)[1]
    beside = [f"{table}.csv" for table in BESIDE]
    write_manifest(folder, beside, is_delta="true", period_from="2025-12-29")
    code, said = check(folder)
    assert code == 0 and "  changes since 2025-12-29, as manifest.csv says\n" in said
    write_manifest(folder, beside, is_delta="true")
    assert "  changes, from no stated day on, as manifest.csv says\n" in check(folder)[1]
    (folder / "manifest.csv").unlink()
    code, said = check(folder)
    assert code == 3 and "expected to be told whether the set is a whole extract or holds changes only" in said
    other = write_systmone(tmp_path / "other")
    names = sorted(path.stem for path in other.glob("SR*.csv") if path.stem != "SRManifest")
    write_sr_manifest(other, [(name, "Y", "20260104_2359") for name in names], first="20251228_2359")
    assert "  changes since 2025-12-28, as SRManifest.csv says\n" in check(other)[1]


def test_several_sets_in_one_folder_do_not_fit(tmp_path):
    folder = write_emis(tmp_path / "one")
    later = f"1001_Admin_Patient_20260111235900_{AGREEMENT}.csv"
    shutil.copy(folder / emis_name("Admin_Patient"), folder / later)
    code, said = check(folder)
    assert code == 3 and "expected the files of one set in a folder" in said


def test_a_folder_for_each_set_is_checked_set_by_set(tmp_path):
    for day in ("2026-01-04", "2026-01-11"):
        write_emis(tmp_path / day)
    write_manifest(tmp_path / "2026-01-11", [f"{table}.csv" for table in BESIDE], is_delta="true")
    code, said = check(tmp_path)
    assert code == 0, said
    assert said.startswith("2 sets, a folder each.\nSet 2026-01-04. This folder looks like source emis_gp_only: ")
    assert "Set 2026-01-11. This folder looks like source emis_gp_only: " in said
    shutil.rmtree(tmp_path / "2026-01-11")
    write_systmone(tmp_path / "2026-01-11")
    code, said = check(tmp_path)
    assert code == 3 and said.endswith("The sets do not look like one source.\n")


def test_a_folder_of_something_else_looks_like_no_source(tmp_path):
    (tmp_path / f"{CANARY}.csv").write_text(f"{CANARY},9990000107\n")
    code, said = check(tmp_path)
    assert (code, said) == (3, "This folder looks like no source: no file has a name that one of them knows.\n")


@pytest.mark.parametrize("option", [pytest.param((), id="no_folder"), pytest.param(("--source", "emis"), id="named")])
def test_a_folder_that_is_not_there_is_refused(tmp_path, option):
    code, said = check(tmp_path / "nothing", *option)
    assert code == 3 and "expected a folder with extract files; found no such folder" in said


def test_a_source_nobody_declared_is_a_fault_of_the_command(tmp_path):
    code, said = check(tmp_path, "--source", "nothing")
    assert code == 2 and "or the path of a declaration (.yaml)" in said


def test_a_file_without_a_header_shows_nothing(tmp_path):
    text = csv_text(header_of("emis_gp_only", emis_name("Admin_Patient")), EMIS["Admin_Patient"]).split("\n", 1)[1]
    code, said = check(write_emis(tmp_path / "set", Admin_Patient=text))
    assert code == 3 and "0 of its" in said
