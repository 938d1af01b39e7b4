"""The register of actions there and back: filled in, read, carried until done, overdue first, none without an owner."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from publish_example import INDEX_DATE, context, frame, key, small_run
from python_calamine import CalamineWorkbook
from test_returned_lists import NOTHING_EARLIER, TODAY, WEEK, reference, sent, write_list

from stratify import kept_weeks, returned, sent_lists
from stratify.actions import Register
from stratify.contract_frames import empty
from stratify.publish import fill_in, read_filled, write_direct_care
from stratify.publish.register import open_actions
from stratify.returned_files import ReturnedFile

DUE = date(2026, 11, 20)
REHAB, RING = "Pulmonary rehabilitation", "Ring the person"
GOOD = {"action": REHAB, "owner_role": "physiotherapist", "due_date": DUE}
EMPTY = empty("audit.action")
HEAD = "practice_code,row_reference,action,owner_role,due_date,done"


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("blank") / "clinic_list_2026-11-02.xlsx"
    write_list(path, 10)
    return path


def columns(path):
    return {
        text: at
        for at, text in enumerate(CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Actions").to_python()[0])
    }


HEADINGS = {"action": "Action", "owner_role": "Owner (role)", "due_date": "Due date", "done": "Done"}


def cell(path, number, column, room=0):
    """Give the cell of a person's first or second row of the sheet."""
    row = 1 + (number - 1) * 2 + room  # two rows for each, under the heading
    return f"Actions!{'ABCDEFGHIJ'[columns(path)[HEADINGS[column]]]}{row + 1}"


def filled(source, target, **rows):
    """Fill in rows: ``row3={"action": ...}``, ``row3_2`` for the second row of a person."""
    values = {}
    for name, cells in rows.items():
        number, _, room = name.removeprefix("row").partition("_")
        values |= {cell(source, int(number), column, int(room or 1) - 1): value for column, value in cells.items()}
    fill_in(source, target, values)
    return target


def read(*paths, log=EMPTY, today=TODAY, practice="Y00001", clinic="copd_clinic", clinics=("copd_clinic",)):
    files = [
        ReturnedFile(file_id=f"f{n}", path=path, sent_by=practice, shown_name=path.name) for n, path in enumerate(paths)
    ]
    return returned.read(
        files,
        lambda asked: {name: row for name, row in sent(10, clinic=clinic).items() if name in asked},
        earlier=NOTHING_EARLIER,
        senders={"Y00001"},
        today=today,
        register=Register((REHAB, RING), frozenset(clinics), log),
    )


def log_of(*readings):
    """Give the log that weeks of readings add up to."""
    rows = [
        returned._stated(each, date(2026, 11, 9 + 7 * number)) | {"source_row": each.number}
        for number, reading in enumerate(readings)
        for each in reading.actions
    ]
    return frame("audit.action", rows).with_columns(pl.col("is_done").cast(pl.Boolean))


def stated(reading):
    return [
        (each.sent.row_reference, each.action, each.owner_role, each.due_date, each.is_done) for each in reading.actions
    ]


def wrong(reading):
    return [(each["cell"], each["wrong"]) for each in reading.answers if each["status"] == "returned"]


def test_an_action_comes_back_with_owner_and_day_under_the_row_of_its_person(blank, tmp_path):
    path = filled(
        blank, tmp_path / "a.xlsx", row2=GOOD, row2_2={**GOOD, "action": " ring the PERSON", "due_date": "20/11/26"}
    )
    reading = read(path)
    assert stated(reading) == [
        (reference(2), REHAB, "physiotherapist", DUE, False),
        (reference(2), RING, "physiotherapist", DUE, False),
    ]
    assert [each.sent.patient_key for each in reading.actions] == ["k2", "k2"]
    assert wrong(reading) == []


@pytest.mark.parametrize(
    ("change", "column", "said"),
    [
        pytest.param({"owner_role": ""}, "owner_role", "An action needs an owner", id="no_owner"),
        pytest.param({"due_date": ""}, "due_date", "An action needs a day by which it is done", id="no_day"),
        pytest.param({"due_date": "soon"}, "due_date", "Not a day, or one that cannot be", id="no_such_day"),
        pytest.param({"due_date": date(2016, 11, 20)}, "due_date", "Not a day, or one that cannot be", id="long_past"),
        pytest.param({"action": ""}, "action", "Nothing says what is to be done", id="no_action"),
        pytest.param({"action": "Sort it"}, "action", "Not one of the words of this cell", id="other_words"),
        pytest.param(
            {"owner_role": "Dr Q"}, "owner_role", "Not one of the words of this cell", id="a_name_for_an_owner"
        ),
        pytest.param({"done": "nearly"}, "done", "Not one of the words of this cell", id="nearly_done"),
    ],
)
def test_a_row_without_what_an_action_needs_comes_back_with_its_cell(blank, tmp_path, change, column, said):
    path = filled(blank, tmp_path / "a.xlsx", row3=GOOD | change, row4=GOOD)
    reading = read(path)
    assert wrong(reading) == [(cell(blank, 3, column), said)]
    assert [each.sent.patient_key for each in reading.actions] == ["k4"]  # the other row counts


def test_nothing_typed_is_repeated(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row3=dict.fromkeys(HEADINGS, "Quillfeather 9990009999"))
    assert "Quillfeather" not in str(read(path)) and "9990009999" not in str(read(path))


def test_the_same_file_again_is_no_news_and_a_later_day_is(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row2=GOOD)
    first = read(path)
    assert stated(read(path, log=log_of(first))) == []
    later = filled(blank, tmp_path / "b.xlsx", row2=GOOD | {"due_date": date(2026, 12, 1)})
    assert stated(read(path, later, log=log_of(first))) == [
        (reference(2), REHAB, "physiotherapist", date(2026, 12, 1), False)
    ]


def test_two_rows_that_say_different_things_of_one_action_both_come_back(blank, tmp_path):
    path = filled(blank, tmp_path / "a.xlsx", row2=GOOD, row2_2=GOOD | {"owner_role": "pharmacist"})
    reading = read(path)
    assert stated(reading) == []
    assert [at for at, _ in wrong(reading)] == [cell(blank, 2, "due_date"), cell(blank, 2, "due_date", 1)]


def test_done_needs_no_more_than_the_action_when_it_is_known(blank, tmp_path):
    first = read(filled(blank, tmp_path / "a.xlsx", row2=GOOD))
    path = tmp_path / "done.csv"
    path.write_text(
        f"{HEAD}\nY00001,{reference(2)},{REHAB},,,yes\nY00001,{reference(3)},{RING},,,yes\n", encoding="utf-8"
    )
    reading = read(path, log=log_of(first))
    assert stated(reading) == [(reference(2), REHAB, "physiotherapist", DUE, True)]
    assert [at for at, _ in wrong(reading)] == ["line 3, due_date", "line 3, owner_role"]


def test_a_csv_without_a_column_is_refused(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text(
        f"practice_code,row_reference,action,owner_role\nY00001,{reference(2)},{RING},GP\n", encoding="utf-8"
    )
    assert wrong(read(path)) == [("line 1", "A column for answers is missing or there twice")]


def test_a_sheet_of_actions_without_a_column_says_so_and_the_list_still_counts(blank, tmp_path):
    import zipfile

    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(filled(blank, tmp_path / "b.xlsx", row2=GOOD)) as before, zipfile.ZipFile(path, "w") as after:
        for each in before.infolist():
            after.writestr(each, before.read(each).replace(b">Due date<", b">When<"))
    assert wrong(read(path)) == [("sheet 3", "A column of the actions is missing or there twice")]
    assert len(read_filled(path, file_id="f", sent_by="Y00001").rows) == 10


@pytest.mark.parametrize(
    ("practice", "clinic", "said"),
    [
        pytest.param("Y00002", "copd_clinic", "This row is of the list of another practice", id="another_practice"),
        pytest.param("Y00001", "self_management", "This row is of no meeting's list", id="an_offer"),
    ],
)
def test_an_action_belongs_to_a_row_of_a_meeting_of_the_practice(blank, tmp_path, practice, clinic, said):
    path = filled(blank, tmp_path / "a.xlsx", row2=GOOD)
    assert said in str(read(path, practice=practice, clinic=clinic).answers)


# ------------------------------------------------------------------------------------------------ the next list


def agreed(number, due, **changes):
    row = {
        "week": date(2026, 11, 16), "row_reference": reference(number), "action": REHAB, "patient_key": key(number),
        "practice_code": "A81001", "clinic_id": "copd_clinic", "owner_role": "pharmacist", "due_date": due,
        "is_done": False, "source_file_id": "f", "source_row": 2,
    } | changes  # fmt: skip
    return row | {"statement_id": str(sorted(row.items(), key=str))}


LATE, NEXT = date(2026, 11, 20), date(2026, 11, 30)
AGREED = [
    agreed(1, NEXT),
    agreed(2, LATE),
    agreed(3, LATE, action=RING),
    agreed(3, LATE, action=RING, is_done=True, week=date(2026, 11, 23)),
    agreed(4, date(2026, 11, 1)),
    agreed(4, date(2026, 12, 9), week=date(2026, 11, 23)),  # put off
    agreed(8, INDEX_DATE),  # has died
    agreed(10, LATE, practice_code="A81002", clinic_id="frailty_clinic"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with small_run(tmp_path_factory.mktemp("run")) as store:
        store.create("audit.action", frame("audit.action", AGREED))
        yield store


def test_open_actions_come_by_the_day_they_are_due_and_a_done_one_is_gone(store):
    found = open_actions(store, context())["A81001", "copd_clinic"]
    assert [(each.row_reference, each.due_date, each.is_overdue) for each in found] == [
        (reference(2), LATE, True),
        (reference(8), INDEX_DATE, False),  # due today is not overdue
        (reference(1), NEXT, False),
        (reference(4), date(2026, 12, 9), False),  # the day stated last
    ]
    assert found[1].person == "No longer registered here: close it"


def test_the_sheet_has_open_actions_first_then_two_rows_a_person(store, tmp_path):
    write_direct_care(store, tmp_path, context())
    path = tmp_path / "A81001/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Actions").to_python()
    at = columns(path)
    assert [row[at["Stands at"]] for row in rows[1:5]] == ["Overdue", "Open", "Open", "Open"]
    assert [row[at["Due date"]] for row in rows[1:3]] == [LATE, INDEX_DATE]
    assert [row[at["Family name"]] for row in rows[5:9]] == ["Kowalska"] * 2 + ["=HYPERLINK(1)"] * 2
    again = read_filled(path, file_id="f", sent_by="A81001").actions
    assert [row.cells["row_reference"].value for row in again] == [reference(n) for n in (2, 8, 1, 4)]


def test_an_action_keeps_its_list_alive_where_nobody_is_on_it(store, tmp_path):
    files = write_direct_care(store, tmp_path, context())
    assert tmp_path / "A81002/frailty_clinic/clinic_list_frailty_clinic_TEST_2026-11-23.xlsx" in files


def test_a_list_of_one_role_has_no_sheet_of_actions(store, tmp_path):
    write_direct_care(store, tmp_path, context())
    path = tmp_path / "A81001/clinician_review/clinic_list_clinician_review_TEST_2026-11-23.xlsx"
    assert "Actions" not in CalamineWorkbook.from_path(str(path)).sheet_names


def test_statements_of_earlier_weeks_are_kept_and_follow_whoever_a_person_is_now(tmp_path):
    row = agreed(2, LATE, week=WEEK)
    kept_weeks.write(tmp_path, "audit.action", frame("audit.action", [row]), WEEK)
    found = sent_lists.earlier_actions(tmp_path, before=TODAY, same_person={key(2): key(99)})
    assert found["patient_key"].to_list() == [key(99)]
    assert sent_lists.earlier_actions(tmp_path, before=WEEK, same_person={}).is_empty()


def test_without_an_agenda_there_is_no_register(store, tmp_path):
    write_direct_care(store, tmp_path, replace(context(), actions=()))
    path = tmp_path / "A81001/copd_clinic/clinic_list_copd_clinic_TEST_2026-11-23.xlsx"
    assert "Actions" not in CalamineWorkbook.from_path(str(path)).sheet_names
