"""The file gate: every broken file has its own message, and none shows content."""

import dataclasses
import gzip
from types import SimpleNamespace

import extract_set
import polars as pl
import pytest
from extract_set import CANONICAL, COUNTY, as_csv, event, patient, rows_of, write_manifest, write_set

from stratify import contracts, ingest
from stratify.errors import ExtractError
from stratify.ingest import files as gate
from stratify.ingest import scanning
from stratify.ingest.scanning import scan_text

NO_MANIFEST = dataclasses.replace(COUNTY, needs_manifest=False)


def refuse(folder, source=COUNTY):
    with pytest.raises(ExtractError) as caught:
        ingest.inspect_files(folder, source)
    assert caught.value.exit_code == 3
    assert "CANARYNAME" not in str(caught.value)
    return str(caught.value)


def rewrite(folder, table, content):
    """Put other bytes into a table's file, with a manifest that agrees with them."""
    (folder / f"{table}.csv").write_bytes(content)
    write_manifest(
        folder, {path.name: path.name.split(".")[0] for path in folder.glob("*.csv") if path.name[:4] != "mani"}
    )


def test_a_whole_set_passes_and_is_described(tmp_path):
    files = ingest.inspect_files(write_set(tmp_path / "x"), COUNTY)
    assert [file.table for file in files] == sorted(rows_of())
    first = next(file for file in files if file.table == "gp_event")
    assert (first.row_count, first.declared_count, first.format) == (1, 1, "csv")
    assert first.period_to.isoformat() == "2026-01-04"


def test_a_missing_folder_is_named(tmp_path):
    assert "no such folder" in refuse(tmp_path / "nowhere")


def test_a_missing_file_is_named(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "gp_event.csv").unlink()
    assert "gp_event.csv: expected the file, since manifest.csv names it; found no such file" in refuse(folder)


def test_a_missing_manifest_is_refused_where_one_is_needed(tmp_path):
    folder = write_set(tmp_path / "x", **{name: [] for name in ()})
    (folder / "manifest.csv").unlink()
    assert "manifest.csv: expected a manifest" in refuse(folder, CANONICAL)


@pytest.mark.parametrize("table", ["patient", "practice", "clinic_capacity", "opt_out", "apc_episode"])
def test_a_table_without_a_file_is_named(tmp_path, table):
    folder = write_set(tmp_path / "x")
    (folder / f"{table}.csv").unlink()
    write_manifest(folder, {path.name: path.name[:-4] for path in folder.glob("*.csv") if path.name != "manifest.csv"})
    assert f"landing.{table}: expected a file of this table; found none" in refuse(folder)


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [
        pytest.param("gp_event_final.csv", False, id="a_word_after_the_table"),
        pytest.param("gp_event_2026-01-05.csv", False, id="a_day_after_the_table"),
        pytest.param("gp_event (copy of final).csv", True, id="renamed_by_hand"),
        pytest.param("final.csv", True, id="no_table"),
        pytest.param("gp_observation_2.csv", True, id="another_table"),
    ],
)
def test_a_file_must_be_named_after_the_table_that_the_manifest_says(tmp_path, name, is_refused):
    folder = write_set(tmp_path / "x")
    (folder / "gp_event.csv").rename(folder / name)
    tables = {path.name: path.stem for path in folder.glob("*.csv") if path.name not in ("manifest.csv", name)}
    write_manifest(folder, tables | {name: "gp_event"})
    if is_refused:
        assert f"{name}: expected a name that begins with its table, such as gp_event.csv" in refuse(folder)
    else:
        assert name in {file.file_name for file in ingest.inspect_files(folder, COUNTY)}


def test_a_table_the_source_never_supplies_need_not_be_there(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "opt_out.csv").unlink()
    write_manifest(folder, {path.name: path.name[:-4] for path in folder.glob("*.csv") if path.name != "manifest.csv"})
    ingest.inspect_files(folder, dataclasses.replace(COUNTY, not_supplied=("opt_out",)))


def test_a_file_no_manifest_names_is_refused(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "gp_event_2.csv").write_bytes(as_csv("gp_event", [event("e2")]))
    assert "gp_event_2.csv: expected only files that manifest.csv names" in refuse(folder)


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [
        pytest.param("x17.csv", True, id="says_no_table"),
        pytest.param("gp_observation.csv", True, id="says_another_table"),
        pytest.param("gp_events.csv", True, id="says_nearly_the_table"),
        pytest.param("gp_event_north.csv", False, id="says_more_behind_the_table"),
        pytest.param("gp_event-2026-01-05.csv", False, id="says_a_date_behind_it"),
    ],
)
def test_a_name_that_does_not_begin_with_its_table_is_refused_whatever_the_manifest_says(tmp_path, name, is_refused):
    """F13: the manifest may be written by the same hand that misnamed the file."""
    folder = write_set(tmp_path / "x")
    (folder / "gp_observation.csv").unlink()
    (folder / "gp_event.csv").rename(folder / name)
    (folder / "gp_observation_1.csv").write_bytes(as_csv("gp_observation", [extract_set.observation()]))
    tables = {each.name: each.stem for each in folder.iterdir() if each.stem not in ("manifest", name[:-4])}
    write_manifest(folder, tables | {"gp_observation_1.csv": "gp_observation", name: "gp_event"})
    if is_refused:
        said = refuse(folder)
        assert f"{name}: expected a name that begins with its table, such as gp_event.csv" in said
        assert "found another, which manifest.csv says holds landing.gp_event" in said
    else:
        assert name in {file.file_name for file in ingest.inspect_files(folder, COUNTY)}


def test_an_empty_file_is_refused(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", b"")
    assert "gp_event.csv: expected a header and rows; found an empty file" in refuse(folder)


def test_a_row_that_ran_into_the_header_is_not_shown(tmp_path):
    """One line end lost, and the last name of the header ends in the first value of the row."""
    folder = write_set(tmp_path / "x")
    rows = [{"nhs_number": extract_set.nhs(3), "source": "ONS", "date_of_death": "2025-12-01"}]
    rewrite(folder, "death", as_csv("death", rows).replace(b"\n", b"", 1))
    message = refuse(folder)
    assert "found no cause_underlying; and instead unknown (not shown)" in message
    assert extract_set.nhs(3) not in message
    assert gate.shown_columns(["sex_code", "lsoa2021"]) == ("sex_code", "lsoa2021")
    assert gate.shown_columns(["sex_code", "smith 1"]) == ("(not shown)", "(not shown)")


def test_a_header_alone_is_refused_unless_no_rows_are_declared(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", as_csv("gp_event", []))
    ingest.inspect_files(folder, COUNTY)  # declared as 0 rows: the supplier's word for a table without any
    names = {path.name: path.name[:-4] for path in folder.glob("*.csv") if path.name != "manifest.csv"}
    write_manifest(folder, names, counts={"gp_event.csv": 3})
    message = refuse(folder)
    assert "expected rows below the header; found a header only" in message
    assert "3 rows, as manifest.csv says; found 0" in message


def test_swapped_columns_are_told_by_place(tmp_path):
    folder = write_set(tmp_path / "x")
    content = as_csv("patient", [patient()]).replace(b"family_name,given_names", b"given_names,family_name")
    rewrite(folder, "patient", content)
    message = refuse(folder)
    assert "given_names where family_name belongs, column 5" in message
    assert "the columns of landing.patient in their order" in message


def test_a_renamed_column_is_told_by_both_names(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", as_csv("gp_event", [event()]).replace(b"snomed_code", b"concept_id", 1))
    assert "no snomed_code; and instead unknown concept_id" in refuse(folder)


def test_an_unknown_extra_column_is_noted_and_ignored(tmp_path):
    folder = write_set(tmp_path / "x")
    header, row = as_csv("gp_event", [event()]).splitlines()
    rewrite(folder, "gp_event", header + b",risk_score\n" + row + b",7\n")
    files = ingest.inspect_files(folder, COUNTY)
    assert next(file for file in files if file.table == "gp_event").unknown_columns == ("risk_score",)


def test_a_file_without_a_header_does_not_show_its_first_person(tmp_path):
    folder = write_set(tmp_path / "x")
    row = as_csv("patient", [patient()]).splitlines()[1]
    rewrite(folder, "patient", row + b"\n" + row + b"\n")
    assert "patient.csv: expected the header of landing.patient" in refuse(folder)


@pytest.mark.parametrize(("sign", "name"), [(b";", "semicolons"), (b"|", "bars"), (b"\t", "tabs")])
def test_a_wrong_delimiter_is_named(tmp_path, sign, name):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", as_csv("gp_event", [event()]).replace(b",", sign))
    assert f"expected columns separated by commas; found columns separated by {name}" in refuse(folder)


def test_cp1252_bytes_are_told_with_their_line(tmp_path):
    folder = write_set(tmp_path / "x")
    rows = [patient(), patient("p2", family_name="O’CANARYNAME")]
    rewrite(folder, "patient", as_csv("patient", rows).decode().encode("cp1252"))
    assert "patient.csv: expected UTF-8 text; found bytes that are not, first on line 3 (looks like cp1252)" in refuse(
        folder
    )


def test_utf_16_is_recognised(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "patient", as_csv("patient", [patient()]).decode().encode("utf-16"))
    assert "looks like UTF-16" in refuse(folder)


def test_a_byte_order_mark_is_no_fault(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", b"\xef\xbb\xbf" + as_csv("gp_event", [event()]))
    ingest.inspect_files(folder, COUNTY)


def test_a_file_cut_inside_its_last_value_is_refused(tmp_path):
    """The row would load as 5 instead of 55 with no other sign: only the missing line end tells."""
    folder = write_set(tmp_path / "x")
    content = as_csv("gp_event", [event()])
    rewrite(folder, "gp_event", content[:-2])
    assert "gp_event.csv: expected a line end after the last line; found none: the file is cut off" in refuse(folder)


def test_a_file_that_is_not_the_declared_one_is_refused(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "gp_event.csv").write_bytes(as_csv("gp_event", [event(), event("e2")]))
    message = refuse(folder)
    assert "bytes, as manifest.csv says" in message
    assert "the SHA-256 manifest.csv declares; found another content" in message
    assert "expected 1 rows, as manifest.csv says; found 2" in message


def test_a_nul_byte_is_told_with_its_line(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", as_csv("gp_event", [event(), event("e\x00")]))
    assert "expected text; found a NUL byte on line 3" in refuse(folder)


def test_mixed_line_ends_are_counted(tmp_path):
    folder = write_set(tmp_path / "x")
    header, row = as_csv("gp_event", [event()]).splitlines()
    rewrite(folder, "gp_event", header + b"\r\n" + row + b"\n")
    assert "found 1 in LF, 1 in CRLF, 0 lone CR" in refuse(folder)


def test_crlf_throughout_is_no_fault(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", as_csv("gp_event", [event()]).replace(b"\n", b"\r\n"))
    ingest.inspect_files(folder, COUNTY)


def test_all_faults_of_a_set_are_told_at_once(tmp_path):
    folder = write_set(tmp_path / "x")
    rewrite(folder, "gp_event", b"")
    (folder / "practice.csv").unlink()
    message = refuse(folder)
    assert message.startswith("2 faults")
    assert "gp_event.csv" in message and "practice.csv" in message


def test_the_same_content_twice_is_refused(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "gp_event_2.csv").write_bytes((folder / "gp_event.csv").read_bytes())
    names = {
        path.name: path.name[:-4].removesuffix("_2") for path in folder.glob("*.csv") if path.name != "manifest.csv"
    }
    write_manifest(folder, names)
    assert "gp_event_2.csv: expected each content once; found the same content as gp_event.csv" in refuse(folder)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("gp_event.csv,no_such_table,LOCAL,1,1," + "a" * 64 + ",2026-01-04", id="unknown_table"),
        pytest.param("../x.csv,gp_event,LOCAL,1,1," + "a" * 64 + ",2026-01-04", id="a_path"),
        pytest.param("gp_event.csv,gp_event,LOCAL,one,1," + "a" * 64 + ",2026-01-04", id="no_number"),
        pytest.param("gp_event.csv,gp_event,LOCAL,1,1,abc,2026-01-04", id="no_sha256"),
        pytest.param("gp_event.csv,gp_event,LOCAL,1,1," + "a" * 64 + ",04/01/2026", id="no_date"),
    ],
)
def test_a_manifest_line_that_says_nothing_usable_is_told_by_number(tmp_path, line):
    folder = write_set(tmp_path / "x")
    (folder / "manifest.csv").write_text(
        "file_name,table_name,source_system,row_count,byte_count,sha256,period_to\n" + line + "\n"
    )
    assert "something else on line 2" in refuse(folder)


def test_a_manifest_without_its_columns_is_refused(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "manifest.csv").write_text("file,table\nx,y\n")
    assert "manifest.csv: expected the columns file_name" in refuse(folder)


def test_zipped_and_parquet_files_pass_and_broken_ones_do_not(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "manifest.csv").unlink()
    for name in ("death", "patient_flag", "opt_out", "op_attendance", "ed_attendance", "apc_episode"):
        (folder / f"{name}.csv").unlink()
    source = dataclasses.replace(
        NO_MANIFEST,
        not_supplied=("death", "patient_flag", "opt_out", "op_attendance", "ed_attendance", "apc_episode"),
    )
    content = (folder / "gp_event.csv").read_bytes()
    (folder / "gp_event.csv").unlink()
    (folder / "gp_event.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    (folder / "practice.csv").unlink()
    row = {name: [rows_of()["practice"][0].get(name)] for name in contracts.load("landing.practice").column_names}
    pl.DataFrame(row, schema_overrides={"valid_to": pl.String}).write_parquet(folder / "practice.parquet")
    files = {file.table: file for file in ingest.inspect_files(folder, source)}
    assert (files["gp_event"].format, files["gp_event"].row_count) == ("csv.gz", 1)
    assert (files["practice"].format, files["practice"].row_count) == ("parquet", 1)

    (folder / "gp_event.csv.gz").write_bytes(gzip.compress(content, mtime=0)[:-9])
    (folder / "practice.parquet").write_bytes(b"PAR1 not really")
    message = refuse(folder, source)
    assert "gp_event.csv.gz: expected a file that can be read to its end" in message
    assert "practice.parquet: expected a whole Parquet file" in message


def test_identifiers_as_numbers_in_parquet_are_refused(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "gp_event.csv").unlink()
    (folder / "manifest.csv").unlink()
    row = {name: [event().get(name)] for name in contracts.load("landing.gp_event").column_names}
    frame = pl.DataFrame(row).with_columns(pl.lit(13645005).alias("snomed_code"))
    frame.write_parquet(folder / "gp_event.parquet")
    rows = {name: [] for name in ("death", "patient_flag", "opt_out", "op_attendance", "ed_attendance", "apc_episode")}
    for name in rows:
        (folder / f"{name}.csv").unlink()
    source = dataclasses.replace(NO_MANIFEST, not_supplied=tuple(rows))
    assert "another type in snomed_code" in refuse(folder, source)


@pytest.mark.parametrize(
    ("value", "may_have"),
    [
        pytest.param("a b", False, id="inside"),
        pytest.param(" a", True, id="before"),
        pytest.param("a ", True, id="after"),
        pytest.param('" a"', True, id="inside_quotes"),
        pytest.param("a\u00a0", True, id="no_break_space"),
        pytest.param("\ta", True, id="tab"),
        pytest.param("", False, id="empty"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_the_scan_sees_whether_a_value_may_have_blanks_around_it(value, may_have, place):
    """Also where the pieces a file is read in meet: between any two bytes here."""
    content = f"x,y\n{','.join((value, 'b') if place == 0 else ('b', value))}\n".encode()
    for cut in range(1, len(content)):
        parts = iter((content[:cut], content[cut:], b""))
        stream = SimpleNamespace(read=lambda size, parts=parts: next(parts))
        assert scan_text(stream).has_blanks is may_have


@pytest.fixture
def little_room(monkeypatch):
    """Let a gzipped file unpack to two hundred times its size and not to 64 MB whatever its size."""
    monkeypatch.setattr(scanning, "ALWAYS_UNPACKED", 0)


def test_a_gzipped_file_that_unpacks_to_more_than_records_can_is_refused_as_it_is_read(tmp_path, little_room):
    """Rows that say the same over and over: 8 MB in some 8 KB. Nothing of it is written anywhere."""
    folder = write_set(tmp_path / "x")
    content = (folder / "gp_event.csv").read_bytes()
    header, row = content.splitlines(keepends=True)
    for name in ("gp_event.csv", "manifest.csv"):
        (folder / name).unlink()
    packed = gzip.compress(header + row * (8_000_000 // len(row)), mtime=0)
    assert len(packed) * scanning.TIMES_UNPACKED < 8_000_000
    (folder / "gp_event.csv.gz").write_bytes(packed)
    assert "gp_event.csv.gz: expected a file that can be read to its end; found one that unpacks to over 200 times" in (
        refuse(folder, NO_MANIFEST)
    )
    assert {path.name for path in tmp_path.iterdir()} == {"x"}


def test_an_ordinary_gzipped_file_is_not_taken_for_one(tmp_path, little_room):
    folder = write_set(tmp_path / "x", gp_event=[event(f"e{number}") for number in range(2_000)])
    content = (folder / "gp_event.csv").read_bytes()
    (folder / "gp_event.csv").unlink()
    (folder / "gp_event.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    tables = {path.name: path.name.split(".")[0] for path in folder.glob("*.csv*") if path.name != "manifest.csv"}
    write_manifest(folder, tables, {"gp_event.csv.gz": 2_000})
    files = {file.table: file for file in ingest.inspect_files(folder, COUNTY)}
    assert files["gp_event"].row_count == 2_000
