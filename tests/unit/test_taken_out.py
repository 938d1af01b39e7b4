"""One person taken out of a file: their rows are gone, every other row is as it was."""

from __future__ import annotations

import gzip
import io

import extract_set
import polars as pl
import pytest

from stratify.publish.filling import fill_in
from stratify.replay.taken_out import Person, rows_of_extract, without_answers, without_keys, without_person

NUMBER, OTHER = extract_set.nhs(1), extract_set.nhs(2)
PERSON = Person(frozenset({NUMBER}), frozenset({("A10001", "p1")}))
PATIENTS = [
    extract_set.patient("p1"),
    extract_set.patient("p2", nhs_number=OTHER, family_name='O"Neil, the other'),
    extract_set.patient("p1", org_code="B10001", nhs_number=""),
]


@pytest.mark.parametrize("name", ["patient.csv", "patient.csv.gz"])
def test_the_rows_of_the_person_go_and_all_others_stay_to_the_byte(tmp_path, name):
    content = extract_set.as_csv("patient", PATIENTS)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    changed = without_person(path, name, PERSON)
    after = (gzip.decompress(changed) if name.endswith(".gz") else changed).split(b"\n")
    before = content.split(b"\n")
    assert after == [before[0], *before[2:]]


def test_a_number_written_with_blanks_is_the_same_number(tmp_path):
    path = tmp_path / "apc_episode.csv"
    spaced = f"{NUMBER[:3]} {NUMBER[3:6]} {NUMBER[6:]}"
    path.write_bytes(extract_set.as_csv("apc_episode", [extract_set.episode(nhs_number=spaced)]))
    assert spaced.encode() not in without_person(path, path.name, PERSON)


def test_the_rows_of_the_person_in_a_parquet_file_go(tmp_path):
    path = tmp_path / "patient.parquet"
    pl.read_csv(extract_set.as_csv("patient", PATIENTS), infer_schema=False).write_parquet(path)
    after = pl.read_parquet(io.BytesIO(without_person(path, path.name, PERSON)))
    assert after["family_name"].to_list() == ['O"Neil, the other', "CANARYNAME"]


def test_a_file_without_the_person_is_left_alone(tmp_path):
    path = tmp_path / "patient.csv"
    path.write_bytes(extract_set.as_csv("patient", PATIENTS[1:]))
    assert without_person(path, path.name, PERSON) is None


def test_a_row_leads_to_the_persons_other_number_and_record(tmp_path):
    path = tmp_path / "patient.csv"
    path.write_bytes(extract_set.as_csv("patient", PATIENTS))
    asked = Person(frozenset({NUMBER}))
    [mine] = [row for row in rows_of_extract(path, path.name) if asked.is_in(row)]
    assert asked.known_by(mine) == PERSON
    trace = {"nhs_number": OTHER, "surviving_nhs_number": NUMBER}
    assert asked.is_in(trace) and asked.known_by(trace).numbers == {NUMBER, OTHER}


def test_of_the_memory_the_rows_of_the_person_go_and_of_feedback_only_the_link(tmp_path):
    rows = pl.DataFrame({"patient_key": ["a", "b", None], "row_reference": ["r1", "r2", "r1"]})
    for name in ("action", "feedback"):
        rows.write_parquet(tmp_path / f"{name}.parquet")
    action = pl.read_parquet(io.BytesIO(without_keys(tmp_path / "action.parquet", {"a"}, {"r1"})))
    feedback = pl.read_parquet(io.BytesIO(without_keys(tmp_path / "feedback.parquet", {"a"}, {"r1"})))
    assert action.rows() == [("b", "r2")]
    assert feedback.rows() == [(None, "r1"), ("b", "r2"), (None, "r1")]
    assert without_keys(tmp_path / "action.parquet", {"c"}, set()) is None


def test_the_row_of_the_person_in_a_csv_that_came_back_is_empty(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_bytes(f"row_reference,nhs_number\r\nR1,{NUMBER[:3]} {NUMBER[3:]}\r\nR2,{OTHER}\r\n".encode())
    changed = without_answers(path, {NUMBER, "R9"})
    assert changed == f"row_reference,nhs_number\r\n\r\nR2,{OTHER}\r\n".encode()
    assert without_answers(path, {"R9"}) is None


def test_the_row_of_the_person_in_a_workbook_goes_with_the_texts_that_only_it_used(tmp_path):
    from zipfile import ZipFile

    import xlsxwriter
    from python_calamine import CalamineWorkbook

    sent, back = tmp_path / "sent.xlsx", tmp_path / "back.xlsx"
    with xlsxwriter.Workbook(sent) as book:
        page = book.add_worksheet("List")
        rows = (("Reference", "Name", "Answer"), ("R1", "CANARYNAME", ""), ("R2", "Other", "booked"))
        for number, row in enumerate(rows):
            page.write_row(number, 0, row, book.add_format())
            page.write_blank(number, 2, None, book.add_format({"bold": True})) if number == 1 else None
    fill_in(sent, back, {"List!C2": "CANARYWORDS"})
    changed = without_answers(back, {"R1"})
    back.write_bytes(changed)
    shown = CalamineWorkbook.from_path(back).get_sheet_by_name("List").to_python()
    assert [row for row in shown if any(row)] == [["Reference", "Name", "Answer"], ["R2", "Other", "booked"]]
    with ZipFile(back) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist())
    assert b"CANARY" not in text and b"R1<" not in text
    assert without_answers(back, {"R1"}) is None
