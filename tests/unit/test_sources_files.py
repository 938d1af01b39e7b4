"""Files of declared sources, checked whole: versions, what is refused and how it is said, nothing of a row shown."""

import gzip

import pytest
from source_sets import (
    CANARY,
    EMIS,
    SYSTMONE,
    csv_text,
    emis_name,
    header_of,
    left_behind,
    prepared,
    write_emis,
    write_manifest,
    write_sr_manifest,
    write_systmone,
)

from stratify import contracts
from stratify.errors import ExtractError
from stratify.ingest import SOURCES, inspect_files


def refused(source, folder, tmp_path):
    with pytest.raises(ExtractError) as caught:
        SOURCES[source].read(folder, tmp_path / "scratch")
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # nothing of the file is chained
    return str(caught.value)


PATIENT_HEADER = list(header_of("emis_gp_only", emis_name("Admin_Patient")))


def patients(header):
    rows = [{name: row.get(name, "") for name in header} for row in EMIS["Admin_Patient"]]
    return csv_text(header, rows, line_end="\r\n")


def test_an_older_version_is_brought_to_the_names_of_the_first(tmp_path):
    older = [name.replace("DateofDeactivation", "DateOfDeactivation") for name in PATIENT_HEADER]
    rows = [dict(row) for row in EMIS["Admin_Patient"]]
    rows[1]["DateOfDeactivation"] = rows[1].pop("DateofDeactivation")
    folder = write_emis(tmp_path / "set", Admin_Patient=csv_text(older, rows, line_end="\r\n"))
    registration = prepared("emis_gp_only", folder, tmp_path / "scratch")["registration"]
    assert sorted(filter(None, registration["end_date"])) == ["2008-02-03", "2025-02-03"]


def test_columns_a_version_had_not_yet_are_empty(tmp_path):
    header = [name for name in header_of("systmone_gp_only", "SRCode.csv") if not name.startswith("SNOMED")]
    rows = [{name: row.get(name, "") for name in header} for row in SYSTMONE["SRCode"]]
    folder = write_systmone(tmp_path / "set", SRCode=csv_text(header, rows, line_end="\r\n"))
    tables = prepared("systmone_gp_only", folder, tmp_path / "scratch")
    assert tables["gp_event"]["snomed_code"].to_list() == [None]
    assert tables["gp_observation"]["original_code"].to_list() == ["451E."]


def test_a_new_column_is_read_past(tmp_path):
    header = [*PATIENT_HEADER[:5], "NewColumn", *PATIENT_HEADER[5:]]
    folder = write_emis(tmp_path / "set", Admin_Patient=patients(header))
    assert prepared("emis_gp_only", folder, tmp_path / "scratch")["patient"]["family_name"].to_list() == [CANARY, None]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        pytest.param([n for n in PATIENT_HEADER if n != "Sex"], "against version 8.2; no Sex.", id="column_removed"),
        pytest.param(
            [n.replace("Sex", "Gender") for n in PATIENT_HEADER],
            "against version 8.2; Sex is called Gender.",
            id="renamed",
        ),
        pytest.param(
            [*PATIENT_HEADER[:4], PATIENT_HEADER[3], *PATIENT_HEADER[4:]], "against version 8.2; Sex twice.", id="twice"
        ),
        pytest.param(
            [*PATIENT_HEADER[:3], PATIENT_HEADER[4], PATIENT_HEADER[3], *PATIENT_HEADER[5:]],
            "against version 8.2; DateOfBirth where Sex belongs.",
            id="swapped",
        ),
        pytest.param(
            [n.replace("Sex", f"{CANARY} Mary") for n in PATIENT_HEADER],
            "against version 8.2; no Sex; and unknown (not shown).",
            id="renamed_to_what_is_no_name_of_a_column",
        ),
    ],
)
def test_a_header_of_no_known_version_is_refused_with_the_difference(tmp_path, header, said):
    text = ",".join(header) + "\r\n" + ",".join("x" for _ in header) + "\r\n"
    message = refused("emis_gp_only", write_emis(tmp_path / "set", Admin_Patient=text), tmp_path)
    assert f"found {said}" in message
    assert message.startswith(emis_name("Admin_Patient"))


def test_a_file_without_a_header_shows_nothing_of_its_first_row(tmp_path):
    text = patients(PATIENT_HEADER).split("\r\n", 1)[1]
    message = refused("emis_gp_only", write_emis(tmp_path / "set", Admin_Patient=text), tmp_path)
    assert f"0 of its {len(PATIENT_HEADER)} column names in {len(PATIENT_HEADER)} columns" in message


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda text: text[:-4], "the file is cut off", id="cut_in_the_last_value"),
        pytest.param(lambda text: text.replace("Mary", "M\x00ary"), "a NUL byte on line 2", id="nul_byte"),
        pytest.param(lambda text: text.replace("Mary", '"Mary'), "records and", id="a_quote_never_closed"),
        pytest.param(lambda text: text.replace("\r\n", "\n", 1), "1 in LF, 2 in CRLF", id="two_kinds_of_line_end"),
    ],
)
def test_a_broken_file_is_refused_whole(tmp_path, damage, said):
    folder = write_emis(tmp_path / "set", Admin_Patient=damage(patients(PATIENT_HEADER)))
    assert said in refused("emis_gp_only", folder, tmp_path)


def test_a_gzipped_file_is_read_and_a_broken_one_refused(tmp_path):
    folder = write_emis(tmp_path / "set")
    plain = folder / emis_name("Admin_Patient")
    content = gzip.compress(plain.read_bytes(), mtime=0)
    plain.unlink()
    zipped = plain.with_name(plain.name + ".gz")
    zipped.write_bytes(content)
    assert prepared("emis_gp_only", folder, tmp_path / "scratch")["patient"].height == 2
    zipped.write_bytes(content[:-20])
    assert "expected a file that can be read to its end" in refused("emis_gp_only", folder, tmp_path)


def test_a_line_of_too_few_values_goes_on_as_an_empty_row_at_its_place(tmp_path):
    first, second, third, _ = patients(PATIENT_HEADER).split("\r\n")
    text = "\r\n".join([first, f"{{P9}},{CANARY}", second, "a,b,c", third, ""])
    folder = write_emis(tmp_path / "set", Admin_Patient=text)
    table = prepared("emis_gp_only", folder, tmp_path / "scratch")["patient"]
    assert table.select("source_line", "source_patient_id").rows() == [(2, None), (3, "{P1}"), (4, None), (5, "{P2}")]
    names = contracts.load("landing.patient").column_names
    assert set(table.filter(source_line=2).select(names).row(0)) == {None}


def test_bytes_that_are_not_of_the_declared_encoding_are_refused_by_line(tmp_path):
    folder = write_systmone(tmp_path / "set")
    path = folder / "SRPatient.csv"
    path.write_bytes(path.read_bytes().replace("Zoë".encode("cp1252"), b"Zo\x81"))
    assert "cp1252 text; found bytes that are not, first on line 2" in refused("systmone_gp_only", folder, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Zo\x81", "Zoë".encode()))
    assert "found text that is UTF-8 throughout" in refused("systmone_gp_only", folder, tmp_path)


def test_a_required_file_that_is_not_there_is_named(tmp_path):
    message = refused("emis_gp_only", write_emis(tmp_path / "set", Coding_DrugCode=None), tmp_path)
    assert message.startswith("{number}_Coding_DrugCode_{moment}_{text}.csv: expected this file")


def test_a_table_nobody_sends_is_refused_by_the_file_gate(tmp_path):
    folder = write_emis(tmp_path / "set")
    (folder / "opt_out.csv").unlink()
    write_manifest(folder, ["practice.csv", "clinic_capacity.csv"], afresh=True)
    landing = SOURCES["emis_gp_only"].read(folder, tmp_path / "scratch")
    with pytest.raises(ExtractError) as caught:
        inspect_files(landing, SOURCES["emis_gp_only"])
    assert str(caught.value).startswith("landing.opt_out: expected a file of this table; found none.")


def test_a_dictionary_that_says_two_things_of_a_key_is_refused(tmp_path):
    codes = [*EMIS["Coding_ClinicalCode"], {"CodeId": "7", "Term": "COPD", "SnomedCTConceptId": "195967001"}]
    message = refused("emis_gp_only", write_emis(tmp_path / "set", Coding_ClinicalCode=codes), tmp_path)
    assert "Coding_ClinicalCode_{moment}_{text}.csv, column SnomedCTConceptId" in message
    assert "found 1 keys with several" in message and "195967001" not in message


def test_a_dictionary_that_says_a_thing_twice_is_as_good_as_once(tmp_path):
    folder = write_emis(tmp_path / "set", Coding_ClinicalCode=EMIS["Coding_ClinicalCode"] * 2)
    assert prepared("emis_gp_only", folder, tmp_path / "scratch")["gp_event"].height == 1


# Sets


def test_several_emis_sets_in_one_folder_are_refused(tmp_path):
    folder = write_emis(tmp_path / "set")
    again = folder / emis_name("Admin_Patient", number=1001, moment="20260111235900")
    again.write_bytes((folder / emis_name("Admin_Patient")).read_bytes())
    message = refused("emis_gp_only", folder, tmp_path)
    assert "expected the files of one set in a folder; found 2 that differ in their number or time alone" in message
    assert "Give every set a folder of its own" in message


def test_a_systmone_set_is_held_to_its_manifest(tmp_path):
    folder = write_systmone(tmp_path / "set", manifest=False)
    assert "SRManifest.csv: expected a line a file" in refused("systmone_gp_only", folder, tmp_path)
    names = sorted(path.stem for path in folder.glob("SR*.csv"))
    lines = [(name, "N", "20260104_2359") for name in names]
    write_sr_manifest(folder, lines[1:])
    assert f"{names[0]}.csv: expected a line in SRManifest.csv" in refused("systmone_gp_only", folder, tmp_path)
    write_sr_manifest(folder, [*lines, ("SROrganisation", "N", "20260104_2359")])
    assert "SROrganisation.csv: expected the file, since" in refused("systmone_gp_only", folder, tmp_path)
    write_sr_manifest(folder, [*lines[1:], (names[0], "N", "20251228_2359")])
    assert "found 2 of them" in refused("systmone_gp_only", folder, tmp_path)
    write_sr_manifest(folder, [*lines[1:], (names[0], "N", "soon")])
    assert f"found something else on line {len(lines) + 1}" in refused("systmone_gp_only", folder, tmp_path)


def test_files_the_source_does_not_know_are_named_only_where_that_is_safe(tmp_path):
    folder = write_emis(tmp_path / "set")
    for name in ("Extra_Table.csv", f"{CANARY} Mary.csv", "9990000107.csv"):
        (folder / name).write_text("x\n1\n")
    prepared("emis_gp_only", folder, tmp_path / "scratch")
    unknown = [name for name, reason in left_behind(tmp_path / "scratch") if "does not know" in reason]
    assert sorted(set(unknown)) == ["(a name that is not shown)", "Extra_Table.csv"]


def test_the_same_files_give_the_same_bytes(tmp_path):
    folder = write_emis(tmp_path / "set")
    one, other = (SOURCES["emis_gp_only"].read(folder, tmp_path / name) for name in ("one", "other"))
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in other.iterdir())
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in files)
