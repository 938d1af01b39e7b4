"""EMIS-, SystmOne- and HES-style files become landing tables: what each column becomes, worked by hand."""

import pytest
from source_sets import (
    CANARY,
    EMIS,
    P1,
    P2,
    emis_name,
    left_behind,
    prepared,
    write_emis,
    write_hes,
    write_systmone,
)

from stratify import contracts
from stratify.ingest import SOURCES, inspect_files


def one(frame, **where):
    rows = [row for row in frame.rows(named=True) if all(row[name] == value for name, value in where.items())]
    assert len(rows) == 1
    return rows[0]


def chosen(row, *names):
    return tuple(row[name] for name in names)


@pytest.fixture(scope="module")
def emis(tmp_path_factory):
    folder, scratch = tmp_path_factory.mktemp("emis"), tmp_path_factory.mktemp("scratch") / "prepared"
    return prepared("emis_gp_only", write_emis(folder), scratch), left_behind(scratch), scratch


@pytest.fixture(scope="module")
def systmone(tmp_path_factory):
    folder, scratch = tmp_path_factory.mktemp("systmone"), tmp_path_factory.mktemp("scratch") / "prepared"
    return prepared("systmone_gp_only", write_systmone(folder), scratch), left_behind(scratch), scratch


@pytest.mark.parametrize("made", ["emis", "systmone"])
def test_what_is_made_passes_the_file_gate_with_the_day_the_files_go_up_to(made, request):
    _, _, scratch = request.getfixturevalue(made)
    files = inspect_files(scratch / "landing", SOURCES[f"{made}_gp_only"])
    assert {file.period_to.isoformat() for file in files} == {"2026-01-04"}
    assert {file.table: file.row_count for file in files} == {
        "patient": 2, "registration": 3 if made == "emis" else 1, "gp_event": 1, "gp_medication": 1,
        "gp_observation": 2 if made == "emis" else 1, "gp_appointment": 1,
        "practice": 1, "clinic_capacity": 1, "opt_out": 1,
    }  # fmt: skip


@pytest.mark.parametrize("made", ["emis", "systmone"])
def test_every_table_has_the_columns_of_its_contract_as_text_and_where_each_row_came_from(made, request):
    for table, frame in request.getfixturevalue(made)[0].items():
        names = contracts.load(f"landing.{table}").column_names
        assert tuple(frame.columns) == (*names, "source_file_name", "source_line")
        assert {str(kind) for kind in frame.select(names).dtypes} == {"String"}
        assert frame["source_line"].min() >= 2


def test_an_emis_patient_is_found_by_the_ods_code_of_the_organisation(emis):
    row = one(emis[0]["patient"], source_patient_id=P1)
    assert chosen(row, "org_code", "nhs_number", "given_names", "address_lines", "postcode", "is_deleted") == (
        "A10001",
        "9990000107",
        "Mary Ann",
        "Home 3, Orchard Close, Valeton",
        "QZ1 2ZZ",
        "false",
    )
    assert (row["source_file_name"], row["source_line"]) == (emis_name("Admin_Patient"), 2)


def test_emis_registrations_come_from_the_patient_and_earlier_ones_from_the_history(emis):
    rows = emis[0]["registration"].rows(named=True)
    names = ("source_patient_id", "start_date", "end_date", "end_reason", "registration_type", "is_deleted")
    assert sorted(chosen(row, *names) for row in rows) == [
        (P1, "1999-05-01", "2008-02-03", "Deducted", None, "false"),
        (P1, "2010-06-01", None, None, "REGULAR", "false"),
        (P2, "2004-06-17", "2025-02-03", "Left area", "TEMPORARY", "true"),
    ]
    early = one(emis[0]["registration"], start_date="1999-05-01")
    assert (early["source_file_name"], early["source_line"]) == (emis_name("Admin_PatientHistory"), 2)
    # five lines of the history: one became a registration, four say what others say already
    assert emis[1][emis_name("Admin_PatientHistory"), "read together with rows of other files"] == 4


def test_an_emis_entry_has_its_codes_from_the_dictionary_and_its_problem_from_the_problems(emis):
    row = one(emis[0]["gp_event"], source_event_id="{O1}")
    assert chosen(row, "snomed_code", "snomed_term", "original_code", "effective_precision", "recorded_at") == (
        "13645005",
        "COPD",
        "H3",
        "YM",
        "2025-11-05T09:30:00",
    )
    assert chosen(row, "is_problem", "problem_status", "episodicity") == ("true", "active", "first")


def test_an_emis_value_is_one_whatever_its_type_is_called_and_a_heading_without_one_is_counted(emis):
    rows = {row["source_event_id"]: row for row in emis[0]["gp_observation"].rows(named=True)}
    assert sorted(rows) == ["{O2}", "{O3}"]
    assert chosen(rows["{O2}"], "value_num", "unit_raw", "parent_event_id", "source_line") == ("148", "mmHg", "{BP}", 4)
    reason = "the heading of other values, without one of its own"
    assert emis[1][emis_name("CareRecord_Observation"), reason] == 1


def test_what_no_format_and_no_word_knows_stays_for_the_row_rules(emis):
    rows = {row["source_event_id"]: row for row in emis[0]["gp_observation"].rows(named=True)}
    assert rows["{O2}"]["effective_date"] == "45000"  # a spreadsheet's number for a day
    assert (rows["{O2}"]["is_deleted"], rows["{O3}"]["is_deleted"]) == ("true", "perhaps")


def test_an_emis_issue_has_its_drug_and_its_prescription_type(emis):
    row = emis[0]["gp_medication"].rows(named=True)[0]
    assert chosen(row, "dmd_code", "prescription_type", "is_active", "course_days") == (
        "35936411000001109",
        "repeat_dispensing",
        "true",
        "56",
    )
    slot = emis[0]["gp_appointment"].rows(named=True)[0]
    assert chosen(slot, "start_at", "booked_at", "status", "mode") == (
        "2025-12-01T09:30:00", None, "ATTENDED", "telephone",
    )  # fmt: skip


def test_a_systmone_patient_has_the_latest_number_that_stands_and_the_present_address(systmone):
    first, second = systmone[0]["patient"].rows(named=True)
    assert chosen(first, "given_names", "phone_mobile", "address_lines", "postcode") == (
        "Zoë",
        "2",
        "12 High Street, Valeton",
        "QZ1 2ZZ",
    )
    assert chosen(first, "date_of_birth", "nhs_number_status", "preferred_language") == ("1950-03-02", "01", "en")
    # a date in another format than the layout's stays as it is, and here the contract happens to read it
    assert chosen(second, "date_of_birth", "nhs_number_status", "address_lines") == ("1943-12-11", None, None)


def test_systmone_entries_part_into_events_and_values(systmone):
    event = systmone[0]["gp_event"].rows(named=True)[0]
    assert chosen(event, "effective_date", "recorded_at", "episodicity", "original_system", "is_deleted") == (
        "2015-03-04",
        "2015-03-05T10:11:12",
        "first",
        None,
        "false",
    )
    value = systmone[0]["gp_observation"].rows(named=True)[0]
    assert chosen(value, "snomed_code", "original_code", "original_system", "comparator", "value_num") == (
        None,
        "451E.",
        "CTV3",
        ">",
        "90",
    )
    # 5 Nov 2025 is not as dd MMM yyyy writes it; nothing is guessed
    assert chosen(value, "effective_date", "is_deleted", "source_line") == ("5 Nov 2025", "true", 3)


def test_systmone_lengths_are_reckoned_from_first_and_last(systmone):
    issue = systmone[0]["gp_medication"].rows(named=True)[0]
    # 1 December to 26 January: 30 days of December and 26 of January
    assert chosen(issue, "course_days", "quantity", "quantity_unit", "prescription_type") == (
        "56",
        "28",
        "tablets of 5 mg",
        "acute",
    )
    slot = systmone[0]["gp_appointment"].rows(named=True)[0]
    assert chosen(slot, "start_at", "duration_min", "status", "mode") == (
        "2025-12-01T23:50:00",
        "15",
        "DNA",
        "telephone",
    )


def test_hospital_rows_the_log_withdrew_are_left_out_and_counted(tmp_path):
    tables = prepared("hes", write_hes(tmp_path / "hes"), tmp_path / "scratch")
    episode = tables["apc_episode"].rows(named=True)[0]
    assert tables["apc_episode"].height == 1
    assert chosen(episode, "cds_unique_id", "spell_id", "diag_01", "opertn_01", "source_line") == (
        "1", "S1", "J440", None, 2,
    )  # fmt: skip
    assert one(tables["ed_attendance"])["arrival_at"] == "2025-05-06T10:16:00"
    assert one(tables["ed_attendance"])["is_sdec"] == "false"
    assert tables["op_attendance"].height == 1  # the log's OP 1 is another key than ATTENDKEY 3
    left = left_behind(tmp_path / "scratch")
    assert left["HES_APC_2526.csv", "withdrawn, by the insert and delete log"] == 1
    assert left["HES_AE_{year}.csv", "file not supplied"] == 0


def test_hospital_files_stand_beside_an_emis_set(tmp_path):
    write_hes(write_emis(tmp_path / "set"))
    for table in ("death", "patient_flag"):
        assert table in SOURCES["emis"].may_lack
    tables = prepared("emis", tmp_path / "set", tmp_path / "scratch")
    assert tables["apc_episode"].height == 1 and tables["patient"].height == 2
    assert SOURCES["emis"].not_supplied == ()
    assert "apc_episode" in SOURCES["emis_gp_only"].not_supplied


def test_every_line_is_carried_or_counted(emis):
    tables, left, _ = emis
    carried: dict[str, set[int]] = {}
    for frame in tables.values():
        for name, line in frame.select("source_file_name", "source_line").iter_rows():
            carried.setdefault(name, set()).add(line)
    for table, rows in EMIS.items():
        name = emis_name(table)
        counted = sum(count for (file, _), count in left.items() if file == name)
        assert len(carried.get(name, ())) + counted == len(rows), table


def test_nothing_but_the_patient_table_names_the_patient(emis, systmone):
    for tables in (emis[0], systmone[0]):
        named = [table for table, frame in tables.items() if CANARY in frame.write_csv()]
        assert named == ["patient"]
