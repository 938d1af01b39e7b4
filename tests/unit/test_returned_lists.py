"""Lists there and back: written, filled in with typing errors, read, applied or returned with the cell."""

import csv
import io
import random
import re
import zipfile
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import publish_example as example
import pytest
from python_calamine import CalamineWorkbook

from stratify import contracts, kept_weeks, returned, sent_lists
from stratify.contract_frames import empty
from stratify.filled_in import SentRow
from stratify.publish import ReturnedLine, fill_in, read_filled, write_returned_rows
from stratify.publish.workbook import ClinicWorkbook, write_workbook
from stratify.returned_files import ReturnedFile, gather

WEEK, TODAY = date(2026, 11, 2), date(2026, 11, 9)
DAY = date(2026, 11, 4)
CANARY_NUMBER, CANARY_NAME = "9990009999", "Quillfeather"
NOTHING_EARLIER = pl.DataFrame(
    schema=dict.fromkeys(("answer_id", "row_reference", "source", "status", "outcome"), pl.String)
    | {"outcome_date": pl.Date, "until_date": pl.Date, "reason_code": pl.String}
)


def reference(number):
    return f"{number:04X}-0000-BEEF"


def nhs(number):
    return f"999{number:07}"


def write_list(path, rows, practice="Y00001"):
    """Write a real list of so many invented people."""
    kinds = {"DATE": pl.Date, "BIGINT": pl.Int64}
    columns = contracts.load("out.clinic_list").columns
    people = [
        {
            "row_reference": reference(number),
            "priority_rank": number,
            "nhs_number": f"{nhs(number)[:3]} {nhs(number)[3:6]} {nhs(number)[6:]}",
            "family_name": f"Family{number}",
            "why": "A reason on 1 May 2026",
            "clinic_date": WEEK,
        }
        for number in range(1, rows + 1)
    ]
    frame = pl.DataFrame(
        [{each.name: row.get(each.name) for each in columns} for row in people],
        schema={each.name: kinds.get(each.type, pl.String) for each in columns},
    )
    pathway = example.context().pathways["copd"]
    empty = frame.head(0)
    book = ClinicWorkbook(
        clinic=pathway.clinics[0],
        pathways=(pathway,),
        practice_code=practice,
        practice_name="Practice",
        sessions=(),
        counts=(),
        listed=frame,
        tier_ranks=(None,) * rows,
        waiting=empty.with_columns(pl.lit("").alias("why_waiting")),
        waiting_ranks=(),
        not_listed=example.frame("out.not_listed", []),
        changes=example.frame("out.list_change", []),
    )
    write_workbook(path, book, replace(example.context(), index_date=WEEK))


def sent(rows, practice="Y00001", clinic="copd_clinic", shared_by=None):
    return {
        reference(number): SentRow(
            reference(number), WEEK, f"k{number}", practice, clinic, frozenset({nhs(number)}), shared_by
        )
        for number in range(1, rows + 1)
    }


def read(*paths, rows=10, earlier=NOTHING_EARLIER, practice="Y00001", **changes):
    files = [
        ReturnedFile(file_id=f"f{n}", path=path, sent_by=practice, shown_name=path.name) for n, path in enumerate(paths)
    ]
    known = sent(rows, **changes)
    return returned.read(
        files,
        lambda asked: {name: row for name, row in known.items() if name in asked},
        earlier=earlier,
        senders={"Y00001"},
        today=TODAY,
    )


def by_status(reading):
    found = {"applied": [], "already_known": [], "returned": []}
    for each in reading.answers:
        found[each["status"]].append(each["cell"])
    return found


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("blank") / "clinic_list_2026-11-02.xlsx"
    write_list(path, 10)
    return path


def cell(path, column, number):
    """Give the cell of a column in the row of somebody."""
    row = next(each for each in read_filled(path, file_id="", sent_by="Y00001").rows
               if each.cells["row_reference"].value == reference(number))  # fmt: skip
    return row.cells[column].at


def filled(source, target, **by_number):
    """Fill in rows: ``row3={"outcome": "invited"}``."""
    values = {
        cell(source, column, int(name[3:])): value
        for name, cells in by_number.items()
        for column, value in cells.items()
    }
    fill_in(source, target, values)
    return target


def resaved(source, target, change):
    """Write the sheet List anew as another program would, after a change of its rows (heading first)."""
    import xlsxwriter

    rows = change(CalamineWorkbook.from_path(source).get_sheet_by_name("List").to_python(skip_empty_area=False))
    with xlsxwriter.Workbook(target, {"default_date_format": "dd/mm/yyyy"}) as book:
        sheet = book.add_worksheet("List")
        for at, line in enumerate(rows):
            sheet.write_row(at, 0, line)
    return target


GOOD = (
    {"decision": "accept", "decided_by": "GP", "outcome_date": DAY},
    {"decision": " Accept", "decided_by": "practice NURSE ", "outcome_date": "4/11/26"},
    {"outcome": "DNA", "outcome_date": "4 Nov 2026"},
    {"outcome": "invited", "outcome_date": DAY},
    {"outcome": "booked", "outcome_date": "04.11.2026", "until_date": date(2026, 11, 20)},
    {"outcome": "attended", "outcome_date": "2026-11-05"},
    {
        "decision": "defer",
        "outcome_date": DAY,
        "until_date": "01/12/2026",
        "decision_reason": "away",
        "decided_by": "GP",
    },
    {"decision": "decline", "outcome_date": DAY, "decision_reason": "too far ", "decided_by": "pharmacist"},
)
BAD = (
    ({"decision": "acept", "decided_by": "GP", "outcome_date": DAY}, ["decision"]),
    ({"outcome": "invited", "outcome_date": "31/02/2026"}, ["outcome_date"]),
    ({"outcome": "invited", "outcome_date": "Tuesday"}, ["outcome_date"]),
    ({"outcome": "booked", "outcome_date": DAY, "until_date": "soon"}, ["until_date"]),
    ({"outcome": "attended", "outcome_date": date(2027, 11, 4)}, ["outcome_date"]),
    ({"decision": "decline", "outcome_date": DAY, "decision_reason": "dog ate it", "decided_by": "Dr"},
     ["decision_reason", "decided_by"]),
    ({"outcome": "?", "outcome_date": "?"}, ["outcome", "outcome_date"]),
    ({"concern": "ring me about Mrs Q", "outcome": "invited", "outcome_date": DAY}, ["concern"]),
)  # fmt: skip


def test_of_200_rows_filled_in_with_typing_errors_every_valid_one_applies_and_every_other_comes_back(tmp_path):
    lot = random.Random(20261102)
    source = tmp_path / "list.xlsx"
    write_list(source, 200)
    rows = {row.cells["row_reference"].value: row for row in read_filled(source, file_id="", sent_by="Y").rows}
    values, applied, wrong, left_open = {}, [], [], 0
    for number in range(1, 201):
        cells, kind = rows[reference(number)].cells, lot.random()
        if kind < 0.1:
            left_open += 1
            continue
        written, columns = (lot.choice(GOOD), []) if kind < 0.6 else lot.choice(BAD)
        values |= {cells[name].at: value for name, value in written.items()}
        if columns:
            wrong += [cells[name].at for name in columns]
        else:
            applied.append(reference(number))
    fill_in(source, source, values)
    reading = read(source, rows=200)
    assert sorted(each["row_reference"] for each in reading.outcomes) == sorted(applied)
    assert len(applied) > 80 and len(wrong) > 60
    assert sorted(by_status(reading)["returned"]) == sorted(wrong)
    assert reading.open_count == left_open
    assert all(each["wrong"] and each["instead"] for each in reading.answers if each["status"] == "returned")


def test_the_same_file_twice_and_in_a_later_week_changes_nothing(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row1={"outcome": "invited", "outcome_date": DAY})
    again = tmp_path / "copy of a.xlsx"
    again.write_bytes(path.read_bytes())
    first, both = read(path), read(path, again)
    assert first.outcomes == both.outcomes and len(both.outcomes) == 1
    assert {name: len(cells) for name, cells in by_status(both).items()} == {
        "applied": 1, "already_known": 1, "returned": 0
    }  # fmt: skip
    earlier = pl.DataFrame(list(first.answers)).select(NOTHING_EARLIER.columns).cast(NOTHING_EARLIER.schema)
    later = read(path, earlier=earlier)
    assert later.outcomes == first.outcomes and by_status(later)["already_known"] == by_status(first)["applied"]


def test_two_files_that_disagree_are_both_returned_and_a_person_is_asked(blank, tmp_path):
    one = filled(blank, tmp_path / "a.xlsx", row1={"outcome": "attended", "outcome_date": DAY})
    other = filled(blank, tmp_path / "b.xlsx", row1={"outcome": "did not attend", "outcome_date": DAY})
    reading = read(one, other)
    assert [(each["outcome"], each["patient_key"]) for each in reading.outcomes] == [("disagreement", "k1")]
    assert [each["status"] for each in reading.answers] == ["returned", "returned"]
    assert reading.answers[0]["wrong"] == (
        "Two answers to this row disagree: did not attend on 4 November 2026 and attended on 4 November 2026. "
        "Neither is applied"
    )


def test_rows_sorted_deleted_and_columns_moved_are_read_by_their_reference(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row2={"outcome": "invited", "outcome_date": DAY},
                  row5={"outcome": "attended", "outcome_date": DAY})  # fmt: skip

    def change(rows):
        heading, *body = rows
        kept = [row for at, row in enumerate(body) if at not in (0, 6)][::-1]
        return [["A title above"], [], *([line[-1:] + line[:-1] for line in (heading, *kept)])]

    reading = read(resaved(path, tmp_path / "b.xlsx", change))
    assert {(each["patient_key"], each["outcome"]) for each in reading.outcomes} == {
        ("k2", "invited"),
        ("k5", "attended"),
    }
    assert reading.open_count == 6


def test_answers_sorted_apart_from_their_people_are_not_applied(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row2={"outcome": "attended", "outcome_date": DAY})

    def change(rows):
        heading, *body = rows
        upside_down = body[::-1]
        return [heading, *(a[:10] + b[10:] for a, b in zip(body, upside_down, strict=True))]

    reading = read(resaved(path, tmp_path / "b.xlsx", change))
    assert reading.outcomes == ()
    assert [(each["cell"], each["status"]) for each in reading.answers] == [("List!C10", "returned")]


def test_a_list_of_another_practice_and_one_that_was_never_sent_are_returned(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row2={"outcome": "attended", "outcome_date": DAY})
    for reading in (read(path, practice="Y00002"), read(path, rows=1), read(path, rows=10, clinic=None, practice=None)):
        assert reading.outcomes == () and by_status(reading)["returned"]
    assert read(path, practice="Y00002").answers[0]["practice_code"] is None  # nothing is sent where nobody is known


def test_a_list_that_the_practices_of_a_network_share_comes_back_from_the_network(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row2={"outcome": "attended", "outcome_date": DAY})
    shared = read(path, practice="U00001", shared_by="U00001")
    assert [each["practice_code"] for each in shared.outcomes] == ["Y00001"]
    assert read(path, practice="U00002", shared_by="U00001").outcomes == ()


def rename(old, new):
    return lambda rows: [[new if value == old else value for value in rows[0]], *rows[1:]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(rename("Outcome", "What happened"), id="renamed_column"),
        pytest.param(lambda rows: [row[:-1] for row in rows], id="no_reference"),
        pytest.param(lambda rows: [[*row, row[rows[0].index("Outcome")]] for row in rows], id="column_twice"),
        pytest.param(lambda rows: [["nothing"]], id="no_list"),
    ],
)
def test_a_list_whose_columns_cannot_be_told_is_returned_whole(blank, tmp_path, change):
    reading = read(resaved(blank, tmp_path / "b.xlsx", change))
    assert reading.outcomes == () and [each["source_row"] for each in reading.answers] == [0]


def _with_sheet(source, target, edit):
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as after:
        for each in before.infolist():
            content = before.read(each)
            after.writestr(each, edit(content) if each.filename.endswith("sheet2.xml") else content)
    return target


def _far(content):
    return content.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')


def _hostile(folder, blank):
    files = {
        name: folder / name for name in ("far.xlsx", "bomb.xlsx", "old.xls", "letter.docx", "half.xlsx", "nul.csv")
    }
    _with_sheet(blank, files["far.xlsx"], _far)
    _with_sheet(blank, files["bomb.xlsx"], lambda content: content + b" " * 70_000_000)
    files["old.xls"].write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600)
    files["letter.docx"].write_bytes(b"no workbook at all")
    files["half.xlsx"].write_bytes(blank.read_bytes()[:3000])
    files["nul.csv"].write_bytes(b"row_reference,outcome\x00\n")
    return files


def test_what_is_no_list_is_refused_before_anything_of_it_is_held(blank, tmp_path):
    for name, path in _hostile(tmp_path, blank).items():
        found = read_filled(path, file_id="f", sent_by="Y00001")
        assert found.refused is not None and found.rows == (), name
    large = tmp_path / "large.csv"
    large.write_bytes(b"row_reference\n" * 400_000)
    assert read_filled(large, file_id="f", sent_by="Y00001").refused is not None


def test_a_formula_is_never_worked_out_and_counts_for_what_it_shows(blank, tmp_path):
    target = cell(blank, "outcome", 1).partition("!")[2].encode()

    shown = rb't="str"><f>HYPERLINK("http://x.test")</f><v>attended</v></c>'

    def formula(content):
        return re.sub(rb'(<c r="' + target + rb'"[^/>]*)/>', rb"\1 " + shown, content)

    path = _with_sheet(blank, tmp_path / "a.xlsx", formula)
    assert by_status(read(path))["returned"] == [cell(path, "outcome_date", 1)]


HEAD = "practice_code,row_reference,decision,outcome,outcome_date,until_date,decision_reason,decided_by,concern"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_in_the_form_of_the_contract_is_read_however_it_was_saved(tmp_path, separator):
    lines = [HEAD, f"y00001,{reference(1)},,did_not_attend,04/11/2026,,,,", f"Y00001,{reference(2)},,,46330,,,GP,yes"]
    path = tmp_path / "answers.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).replace(",", separator).encode())
    reading = read(path, practice=None)
    assert {(each["patient_key"], each["outcome"]) for each in reading.outcomes} == {
        ("k1", "did_not_attend"), ("k2", "concern")
    }  # fmt: skip
    assert by_status(reading)["returned"] == ["line 3, decision"]


def test_a_csv_line_with_too_many_cells_or_of_another_practice_is_returned(tmp_path):
    lines = [
        HEAD,
        f"Y00001,{reference(1)},,invited,2026-11-04,,,,,Smith",
        f"Y00002,{reference(2)},,invited,2026-11-04,,,,",
    ]
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(lines))
    assert by_status(read(path)) == {
        "applied": [], "already_known": [], "returned": ["line 2", "line 3, row_reference"]
    }  # fmt: skip


def test_offers_come_back_in_the_file_they_were_sent_in(tmp_path):
    with example.small_run(tmp_path) as store:
        from stratify.publish import write_direct_care

        files = write_direct_care(store, tmp_path / "out", example.context())
    [offers] = [path for path in files if path.name.startswith("offers")]
    rows = list(csv.DictReader(io.StringIO(offers.read_text(encoding="utf-8-sig"))))
    values = {
        f"line {at}, {name}": text for at in (2, 3) for name, text in (("outcome", "activated"), ("outcome_date", DAY))
    }
    fill_in(offers, offers, values)
    known = {}
    for row in rows:
        name, number = row["row_reference"], row["nhs_number"]
        known[name] = SentRow(name, WEEK, number, "A81001", "self_management", frozenset({number.replace(" ", "")}))
    file = ReturnedFile(file_id="f", path=offers, sent_by="A81001", shown_name="offers.csv")
    reading = returned.read([file], lambda _: known, earlier=NOTHING_EARLIER, senders={"A81001"}, today=TODAY)
    assert {(each["patient_key"], each["outcome"]) for each in reading.outcomes} == {
        (row["nhs_number"], "activated") for row in rows[:2]
    }
    assert reading.open_count == len(rows) - 2


def test_one_answer_for_everybody_is_marked(blank, tmp_path):
    everybody = {"decision": "accept", "outcome_date": DAY, "decided_by": "GP"}
    four = filled(blank, tmp_path / "4.xlsx", **{f"row{number}": everybody for number in range(1, 5)})
    five = filled(blank, tmp_path / "5.xlsx", **{f"row{number}": everybody for number in range(1, 6)})
    assert {each["is_all_alike"] for each in read(four).answers} == {False}
    assert {each["is_all_alike"] for each in read(five).answers} == {True}


def test_nothing_that_somebody_typed_goes_further(blank, tmp_path, capsys, caplog):
    said = {"decision": CANARY_NAME, "outcome": f"{CANARY_NAME} {CANARY_NUMBER}", "outcome_date": CANARY_NUMBER,
            "until_date": CANARY_NAME, "decision_reason": CANARY_NAME, "decided_by": f"Dr {CANARY_NAME}",
            "concern": CANARY_NUMBER}  # fmt: skip
    path = filled(blank, tmp_path / "a.xlsx", row1=said, row2={"row_reference": CANARY_NUMBER, "outcome": "invited"})
    sheet = resaved(path, tmp_path / "b.xlsx", rename("Outcome", CANARY_NAME))
    table = tmp_path / "c.csv"
    table.write_text(f"{HEAD},{CANARY_NAME}\n{CANARY_NUMBER},{CANARY_NAME},,,,,,,,{CANARY_NAME},{CANARY_NAME}\n")
    reading = read(path, sheet, table)
    assert len(by_status(reading)["returned"]) >= 9
    lines = [ReturnedLine("a.xlsx", each["cell"], each["row_reference"] or "", each["wrong"], each["instead"])
             for each in reading.answers]  # fmt: skip
    written = write_returned_rows(tmp_path / "out", "Y00001", lines, example.context())
    book = CalamineWorkbook.from_path(written).get_sheet_by_index(0).to_python()
    for text in (str(reading), str(book), caplog.text, *capsys.readouterr()):
        assert CANARY_NAME not in text and CANARY_NUMBER not in text


def test_what_goes_back_says_cell_fault_and_remedy_and_is_the_same_twice(tmp_path):
    who = {"list_name": "COPD clinic", "rank": "3", "nhs_number": "999 000 0018", "name": "Doe, Jo"}
    lines = [ReturnedLine("copd_clinic/list.xlsx", "List!P2", reference(1), "Not a day", "A day as dd/mm/yyyy", **who)]
    one, two = (write_returned_rows(tmp_path / name, "A81001", lines, example.context()) for name in ("a", "b"))
    assert one.name == "returned_TEST_2026-11-23.xlsx" and one.parent.name == "returned"
    assert one.read_bytes() == two.read_bytes()
    rows = CalamineWorkbook.from_path(one).get_sheet_by_index(0).to_python()
    assert list(rows[-1]) == [
        "copd_clinic/list.xlsx", "List!P2", "COPD clinic", "3", "999 000 0018", "Doe, Jo", "Not a day",
        "A day as dd/mm/yyyy", reference(1),
    ]  # fmt: skip
    with zipfile.ZipFile(one) as archive:
        assert "OFFICIAL-SENSITIVE: personal" in archive.read("xl/worksheets/sheet1.xml").decode()  # it names a person


def test_files_are_gathered_by_practice_and_what_a_spreadsheet_leaves_behind_is_passed_over(tmp_path):
    folder = tmp_path / "returned"
    for name, text in (("Y00001/copd/list.xlsx", "1"), ("Y00001/copy.xlsx", "1"), ("y00002/a.csv", "2"), ("b.csv", "3"),
                       ("Y00001/~$list.xlsx", "4"), ("Y00001/.DS_Store", "5")):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "Y00001" / "link.xlsx").symlink_to(folder / "b.csv")
    found = gather(folder, tmp_path / "kept")
    assert [(each.sent_by, each.shown_name) for each in found] == [
        (None, "b.csv"), ("Y00001", "Y00001/copd/list.xlsx"), ("Y00002", "y00002/a.csv")
    ]  # fmt: skip
    assert [each.path.read_text() for each in found] == ["3", "1", "2"]
    assert gather(None, tmp_path / "kept") == ()


def test_rows_and_answers_of_this_week_and_later_are_not_read(tmp_path):
    for week in (WEEK, TODAY):
        row = {"week": week, "row_reference": f"ref-{week}", "patient_key": "k", "practice_code": "Y00001"}
        frame = pl.DataFrame([{**row, "clinic_id": "c", "placement": "listed"}], schema_overrides={"week": pl.Date})
        whole = pl.concat([empty("audit.list_row"), frame], how="diagonal")
        kept_weeks.write(tmp_path, "audit.list_row", whole, week)
    asked = [f"ref-{WEEK}", f"ref-{TODAY}"]
    assert set(sent_lists.sent_rows(tmp_path, asked, before=TODAY)) == {f"ref-{WEEK}"}
    assert set(sent_lists.sent_rows(tmp_path, asked, before=TODAY + timedelta(days=1))) == set(asked)
