"""Weekly changes in suppliers' own layouts: what each week's set becomes, and when it is refused, worked by hand."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from extract_set import DIRECT_CARE, opened
from source_sets import (
    BESIDE,
    EMIS,
    HES,
    ORG,
    P1,
    PRACTICE,
    SYSTMONE,
    csv_text,
    emis_name,
    left_behind,
    write_emis,
    write_hes,
    write_manifest,
    write_sr_manifest,
    write_systmone,
)

from stratify import contracts, ingest
from stratify.errors import ExtractError
from stratify.ingest import SOURCES
from stratify.privacy import THROWAWAY_KEY

FIRST, SECOND, THIRD = "2026-01-04", "2026-01-11", "2026-01-18"
CHANGES = {
    SECOND: {"period_to": SECOND, "period_from": "2026-01-05", "is_delta": "true"},
    THIRD: {"period_to": THIRD, "period_from": "2026-01-12", "is_delta": "true"},
}
RECORD = {"OrganisationGuid": ORG, "PatientGuid": P1}
ENTRY, VALUE = EMIS["CareRecord_Observation"][0], EMIS["CareRecord_Observation"][2] | {"Deleted": "false"}


def emis_week(folder, day=SECOND, **changes):
    """Write a set of changes: nothing of any table but what is given."""
    write_emis(folder / day, **({table: [] for table in EMIS} | changes))
    write_manifest(folder / day, [f"{table}.csv" for table in BESIDE], **CHANGES[day])
    return folder


def systmone_week(folder, day=SECOND, **changes):
    write_systmone(folder / day, manifest=False, **({name: [] for name in SYSTMONE} | changes))
    compact = day.replace("-", "")
    lines = [(name, "Y", f"{compact}_2359") for name in sorted(SYSTMONE)]
    write_sr_manifest(folder / day, lines, first="20260104_2359")
    write_manifest(folder / day, [f"{table}.csv" for table in BESIDE], **CHANGES[day])
    return folder


def tables_of(source, folder, scratch, day=SECOND):
    """Read the sets of a folder; give the landing tables of one of them."""
    places = sorted(folder.iterdir())
    SOURCES[source].read_sets(places, scratch)(folder / day)
    return made_before(scratch, day)


def made_before(scratch, day):
    """Give the landing tables of a set that another was read after."""
    return {path.stem: pl.read_parquet(path) for path in (scratch / day / "landing").glob("*.parquet")}


def rows(frame, *names):
    return sorted(frame.select(names).rows(), key=str)


def files_of(source, folder, scratch, *, known_by=date(2026, 2, 1)):
    return ingest.gather_files(folder, SOURCES[source], scratch, known_by=known_by)


def refused(source, folder, tmp_path):
    with pytest.raises(ExtractError) as caught:
        files_of(source, folder, tmp_path / "scratch")
    return str(caught.value)


# What a set of changes becomes


def test_an_entry_finds_its_code_in_the_dictionary_of_an_earlier_set(tmp_path):
    write_emis(tmp_path / "sets" / FIRST)
    new = {**ENTRY, "ObservationGuid": "{O9}", "EffectiveDate": "2026-01-06", "EffectiveDatePrecision": "YMD"}
    emis_week(tmp_path / "sets", CareRecord_Observation=[new])
    made = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch")["gp_event"]
    # its code and its practice came a week before, in files of which this week has no row
    assert rows(
        made, "org_code", "source_event_id", "snomed_code", "snomed_term", "source_file_name", "source_line"
    ) == [("A10001", "{O9}", "13645005", "COPD", emis_name("CareRecord_Observation"), 2)]


def test_a_code_that_is_explained_a_week_late_is_looked_up_again(tmp_path):
    early = {**ENTRY, "ObservationGuid": "{O9}", "CodeId": "77"}
    write_emis(tmp_path / "sets" / FIRST, CareRecord_Observation=[ENTRY, early])
    emis_week(
        tmp_path / "sets", Coding_ClinicalCode=[{"CodeId": "77", "Term": "Asthma", "SnomedCTConceptId": "195967001"}]
    )
    after = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch")["gp_event"]
    before = made_before(tmp_path / "scratch", FIRST)["gp_event"]
    assert rows(before, "source_event_id", "snomed_code") == [("{O1}", "13645005"), ("{O9}", None)]
    # the row is of the week before and says so; the other entry, whose code did not change, is not made again
    name = f"{emis_name('CareRecord_Observation')} (row of {FIRST})"
    assert rows(after, "source_event_id", "snomed_code", "source_file_name", "source_line") == [
        ("{O9}", "195967001", name, 3)
    ]


def test_a_dictionary_sent_again_as_it_was_changes_nothing(tmp_path):
    write_emis(tmp_path / "sets" / FIRST)
    emis_week(
        tmp_path / "sets", Coding_ClinicalCode=EMIS["Coding_ClinicalCode"], Coding_DrugCode=EMIS["Coding_DrugCode"]
    )
    made = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch")
    assert {table: frame.height for table, frame in made.items() if frame.height} == {}
    # each line is accounted for all the same
    left = left_behind(tmp_path / "scratch" / SECOND)
    assert left[emis_name("Coding_ClinicalCode"), "looked up from rows of other files"] == 2


def test_a_struck_out_entry_is_withdrawn_though_the_supplier_emptied_it(tmp_path):
    write_emis(tmp_path / "sets" / FIRST, CareRecord_Observation=[ENTRY, VALUE])
    gone = {"OrganisationGuid": ORG, "ObservationGuid": VALUE["ObservationGuid"], "Deleted": "true"}
    emis_week(tmp_path / "sets", CareRecord_Observation=[gone])
    made = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch")
    # emptied it is no value any more, so it is made an event; the value that it was is withdrawn by what it was
    assert rows(made["gp_observation"], "source_event_id", "is_deleted", "value_num") == [("{O2}", "true", "148")]
    assert rows(made["gp_event"], "source_event_id", "is_deleted") == [("{O2}", "true")]


def test_an_entry_that_gets_a_value_moves_from_events_to_values(tmp_path):
    write_emis(tmp_path / "sets" / FIRST)
    emis_week(tmp_path / "sets", CareRecord_Observation=[{**ENTRY, "Value": "41", "NumericUnit": "%"}])
    made = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch")
    assert rows(made["gp_observation"], "source_event_id", "value_num", "is_deleted") == [("{O1}", "41", "false")]
    assert rows(made["gp_event"], "source_event_id", "snomed_code", "is_deleted") == [("{O1}", "13645005", "true")]


def test_a_problem_that_ends_changes_the_entry_it_belongs_to(tmp_path):
    write_emis(tmp_path / "sets" / FIRST)
    past = EMIS["CareRecord_Problem"][0] | {"ProblemStatusDescription": "Past Problem"}
    emis_week(tmp_path / "sets", CareRecord_Problem=[past])
    made = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch")["gp_event"]
    assert rows(made, "source_event_id", "problem_status", "effective_date") == [("{O1}", "past", "2015-03-04")]


def test_a_patient_who_left_and_came_back_has_a_registration_more(tmp_path):
    write_emis(tmp_path / "sets" / FIRST)
    left = EMIS["Admin_Patient"][0] | {"DateofDeactivation": "2026-01-07"}
    emis_week(
        tmp_path / "sets",
        Admin_Patient=[left],
        Admin_PatientHistory=[{**RECORD, "HistoryDate": "2026-01-07", "StatusDescription": "Moved away"}],
    )
    back = EMIS["Admin_Patient"][0] | {"DateOfRegistration": "2026-01-14"}
    emis_week(
        tmp_path / "sets",
        THIRD,
        Admin_Patient=[back],
        Admin_PatientHistory=[{**RECORD, "HistoryDate": "2026-01-14", "StatusDescription": "Registered"}],
    )
    names = ("source_registration_id", "start_date", "end_date", "end_reason")
    third = tables_of("emis_gp_only", tmp_path / "sets", tmp_path / "scratch", THIRD)["registration"]
    second = made_before(tmp_path / "scratch", SECOND)["registration"]
    assert rows(second, *names) == [(f"{P1}-latest", "2010-06-01", "2026-01-07", "Moved away")]
    # of 1999 to 2008 nothing is said again; what was the latest is the second of the earlier ones now
    assert rows(third, *names) == [
        (f"{P1}-2", "2010-06-01", "2026-01-07", "Moved away"),
        (f"{P1}-latest", "2026-01-14", None, None),
    ]


def test_a_new_address_changes_the_patient_whose_own_row_did_not(tmp_path):
    first = [
        {**row, "RowIdentifier": str(number)} for number, row in enumerate(SYSTMONE["SRPatientAddressHistory"], 61)
    ]
    write_systmone(tmp_path / "sets" / FIRST, SRPatientAddressHistory=first)
    ended = {**first[0], "DateTo": "05 Jan 2026 00:00:00"}
    new = {**first[0], "RowIdentifier": "99", "NumberOfBuilding": "7", "DateEvent": "05 Jan 2026 00:00:00"}
    systmone_week(tmp_path / "sets", SRPatientAddressHistory=[ended, new])
    made = tables_of("systmone_gp_only", tmp_path / "sets", tmp_path / "scratch")["patient"]
    assert rows(made, "source_patient_id", "address_lines", "source_file_name") == [
        ("11", "7 High Street, Valeton", f"SRPatient.csv (row of {FIRST})")
    ]


def test_systmone_rows_that_come_again_or_are_removed_are_read_by_their_id(tmp_path):
    write_systmone(tmp_path / "sets" / FIRST)
    amended = SYSTMONE["SRCode"][0] | {"SNOMEDCode": "195967001"}
    removed = {"IDOrganisationVisibleTo": "A10001", "RowIdentifier": "32", "RemovedData": "1"}
    systmone_week(tmp_path / "sets", SRCode=[amended, removed])
    made = tables_of("systmone_gp_only", tmp_path / "sets", tmp_path / "scratch")
    assert rows(made["gp_event"], "source_event_id", "snomed_code", "is_deleted") == [
        ("31", "195967001", "false"),
        ("32", None, "true"),
    ]
    # 32 came as withdrawn in the first set already
    assert made["gp_observation"].height == 0


def test_the_log_withdraws_an_episode_of_an_earlier_set(tmp_path):
    (tmp_path / "sets").mkdir()
    write_hes(tmp_path / "sets" / FIRST)
    names = sorted(f"{name}.csv" for name in HES)
    tables = ["ed_attendance", "apc_episode", "op_attendance", "apc_episode"]
    write_manifest(tmp_path / "sets" / FIRST, names, tables)
    log = {"DATASET": "APC", "PROCODE5": "RXX01", "PRIMARYKEY_ID": "1", "dmicIsDeleted": "1"}
    write_hes(tmp_path / "sets" / SECOND, **{name: [log] if name.startswith("SUS") else [] for name in HES})
    write_manifest(tmp_path / "sets" / SECOND, names, tables, **CHANGES[SECOND])
    made = tables_of("hes", tmp_path / "sets", tmp_path / "scratch")
    assert rows(made["apc_episode"], "cds_unique_id", "is_deleted", "source_file_name") == [
        ("1", "true", f"HES_APC_2526.csv (row of {FIRST})")
    ]


def test_a_bulk_replacement_of_hospital_rows_goes_by_the_window_of_its_line(tmp_path):
    write_hes(tmp_path / "set")
    names = sorted(f"{name}.csv" for name in HES)
    write_manifest(
        tmp_path / "set", names, ["ed_attendance", "apc_episode", "op_attendance", "apc_episode"], **CHANGES[SECOND]
    )
    window = {"replaces_from": "2025-05-01", "replaces_to": "2025-05-31"}
    write_manifest(tmp_path / "set", ["HES_APC_2526.csv"], ["apc_episode"], **CHANGES[SECOND], **window)
    landing = SOURCES["hes"].read(tmp_path / "set", tmp_path / "scratch")
    assert pl.read_parquet(landing / "apc_episode.parquet")["update_type"].to_list() == ["BULK"]  # admitted 6 May
    told = pl.read_csv(landing / "manifest.csv", infer_schema=False).filter(table_name="apc_episode")
    assert told.select("is_delta", "replaces_from", "replaces_to").rows() == [("true", "2025-05-01", "2025-05-31")]


# The weeks together


def test_weeks_of_emis_changes_land_as_one_record_with_every_line_accounted_for(tmp_path):
    """Entry amended, value struck out, an issue of a patient who comes a week later, and a patient who left."""
    sets = tmp_path / "sets"
    write_emis(sets / FIRST, CareRecord_Observation=[ENTRY, VALUE])
    orphan = {**EMIS["Prescribing_IssueRecord"][0], "PatientGuid": "{P3}", "IssueRecordGuid": "{I3}"}
    emis_week(
        sets,
        CareRecord_Observation=[{**ENTRY, "EffectiveDate": "2016-03-04"}, {**VALUE, "Deleted": "true"}],
        Prescribing_IssueRecord=[orphan],
    )
    patient = EMIS["Admin_Patient"][0] | {"PatientGuid": "{P3}", "NhsNumber": "9990000204"}
    left = EMIS["Admin_Patient"][0] | {"DateofDeactivation": "2026-01-13"}
    emis_week(sets, THIRD, Admin_Patient=[patient, left])
    source = replace(SOURCES["emis_gp_only"], is_synthetic=True)
    landed = {}
    for day in (SECOND, THIRD):
        files = ingest.gather_files(sets, source, tmp_path / day, known_by=date.fromisoformat(day))
        (tmp_path / f"store {day}").mkdir()
        with opened(tmp_path / f"store {day}") as store:
            accounts = ingest.land(store, files, source=source, index_date=date(2026, 1, 19), key=THROWAWAY_KEY)
            assert all(each.received_count == each.loaded_count + each.rejected_count for each in accounts)
            landed[day] = {
                "entries": store.rows("SELECT source_event_id, effective_date FROM landing.gp_event WHERE faults = 0"),
                "values": store.scalar("SELECT count(*) FROM landing.gp_observation WHERE faults = 0"),
                "orphans": store.scalar("SELECT count(*) FROM audit.rejected_row WHERE rule_id = 'GPM-87-orphan'"),
                "issues": store.scalar("SELECT count(*) FROM landing.gp_medication WHERE faults = 0"),
                "left": store.rows("SELECT source_patient_id FROM landing.registration WHERE end_date = '2026-01-13'"),
                "superseded": sum(each.superseded_count for each in accounts if each.table == "gp_event"),
            }
    known = {"entries": [("{O1}", "2016-03-04")], "values": 0, "superseded": 1}
    assert landed[SECOND] == known | {"orphans": 1, "issues": 1, "left": []}
    assert landed[THIRD] == known | {"orphans": 0, "issues": 2, "left": [(P1,)]}


def test_a_patient_who_moves_practice_within_the_week_is_one_person_at_the_new_one(tmp_path):
    sets = tmp_path / "sets"
    write_emis(sets / FIRST)
    there = {"OrganisationGuid": "{00B10002}", "PatientGuid": "{Q1}"}
    moved = EMIS["Admin_Patient"][0] | there | {"DateOfRegistration": "2026-01-08"}
    emis_week(
        sets,
        Admin_Organisation=[{"OrganisationGuid": "{00B10002}", "ODSCode": "B10002"}],
        Admin_Patient=[EMIS["Admin_Patient"][0] | {"DateofDeactivation": "2026-01-08"}, moved],
        CareRecord_Observation=[{**ENTRY, **there, "EffectiveDate": "2026-01-09", "EffectiveDatePrecision": "YMD"}],
    )
    practices = [PRACTICE | {"practice_code": code} for code in ("A10001", "B10002")]
    text = csv_text(contracts.load("landing.practice").column_names, practices)
    (sets / SECOND / "practice.csv").write_text(text)
    write_manifest(sets / SECOND, ["practice.csv"], **CHANGES[SECOND])
    source = replace(SOURCES["emis_gp_only"], is_synthetic=True)
    files = ingest.gather_files(sets, source, tmp_path / "scratch", known_by=date(2026, 1, 11))
    with opened(tmp_path) as store:
        ingest.land(store, files, source=source, index_date=date(2026, 1, 12), key=THROWAWAY_KEY)
        ingest.build_core(
            store, index_date=date(2026, 1, 12), key=THROWAWAY_KEY, measurements=[], privacy_policy=DIRECT_CARE,
            source=source,
        )  # fmt: skip
        assert store.rows("SELECT practice_code, person_status FROM core.person") == [("B10002", "registered")]
        entries = store.rows("SELECT org_code, effective_date FROM core.gp_event ORDER BY ALL")
        # the same GUID at two practices is two entries of the one person; of the first only the month is known
        assert entries == [("A10001", date(2015, 3, 1)), ("B10002", date(2026, 1, 9))]
        assert store.scalar("SELECT count(DISTINCT patient_key) FROM core.gp_event") == 1


def test_the_sets_of_a_run_are_known_by_what_they_say_and_a_gap_is_refused(tmp_path):
    sets = emis_week(tmp_path / "sets")
    write_emis(sets / FIRST)
    files = {(file.extract, file.table): file for file in files_of("emis_gp_only", sets, tmp_path / "one")}
    assert files[FIRST, "gp_event"].is_delta is False
    change = files[SECOND, "gp_event"]
    assert (change.is_delta, change.period_from, change.period_to) == (True, date(2026, 1, 5), date(2026, 1, 11))
    assert files[SECOND, "practice"].is_delta is True
    write_manifest(sets / SECOND, ["practice.csv"], **CHANGES[SECOND] | {"period_from": "2026-01-09"})
    message = refused("emis_gp_only", sets, tmp_path)
    assert "expected changes from 2026-01-05 on or earlier" in message
    assert "found changes from 2026-01-09 on" in message


# What is said of a set


def test_an_emis_set_nothing_speaks_for_is_refused_and_how_to_say_it_is_said(tmp_path):
    folder = write_emis(tmp_path / "set")
    (folder / "manifest.csv").unlink()
    message = refused("emis_gp_only", folder, tmp_path)
    assert message.startswith("source emis_gp_only: expected to be told whether the set is a whole extract or holds")
    assert "found nothing that says so" in message and "is_delta (true or false), with period_from" in message


def test_lines_of_two_minds_are_refused_unless_the_files_have_their_own(tmp_path):
    folder = write_emis(tmp_path / "set")
    write_manifest(folder, ["practice.csv"], is_delta="true", period_from="2026-01-01")
    assert "is_delta true on some lines and false on others" in refused("emis_gp_only", folder, tmp_path)
    names = sorted(path.name for path in folder.glob("1000_*"))
    write_manifest(folder, names, ["gp_event"] * len(names))
    landing = SOURCES["emis_gp_only"].read(folder, tmp_path / "scratch")
    told = pl.read_csv(landing / "manifest.csv", infer_schema=False)
    assert set(told.filter(pl.col("file_name").str.ends_with(".parquet"))["is_delta"]) == {"false"}
    assert told.filter(table_name="practice")["is_delta"].to_list() == ["true"]


def test_a_file_that_is_not_what_its_line_says_is_refused(tmp_path):
    folder = write_emis(tmp_path / "set")
    write_manifest(folder, [emis_name("Admin_Patient")], ["patient"], row_count=3)
    assert "found 2." in refused("emis_gp_only", folder, tmp_path)
    write_manifest(folder, [emis_name("Admin_Patient")], ["patient"], sha256="0" * 64)
    assert "the SHA-256 and" in refused("emis_gp_only", folder, tmp_path)


def test_a_declaration_of_a_sites_own_may_go_by_the_order_of_the_folders(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(
        "name: ours\ndescription: Ours.\nincludes: [emis_gp_only]\nchanges: {told_by: folder_order}\n"
        "may_lack: [death, patient_flag]\nnot_supplied: [apc_episode, op_attendance, ed_attendance]\n"
    )
    for day, number in ((FIRST, "20260104"), (SECOND, "20260111")):
        write_emis(tmp_path / "sets" / day)
        (tmp_path / "sets" / day / "manifest.csv").unlink()
        for file in sorted((tmp_path / "sets" / day).glob("1000_*")):
            file.rename(file.with_name(file.name.replace("20260104", number)))
    files = ingest.gather_files(tmp_path / "sets", SOURCES[str(path)], tmp_path / "scratch", known_by=date(2026, 2, 1))
    told = {(each.extract, each.is_delta, each.period_from) for each in files if each.table == "patient"}
    assert told == {(FIRST, False, None), (SECOND, True, date(2026, 1, 5))}


def test_changes_without_a_whole_extract_before_them_are_refused(tmp_path):
    sets = emis_week(tmp_path / "sets", Admin_Patient=EMIS["Admin_Patient"])
    message = refused("emis_gp_only", sets, tmp_path)
    assert "landing.patient: expected a whole extract, and every set of changes since" in message


def test_what_is_wrong_with_a_set_before_is_said_of_that_set(tmp_path):
    sets = emis_week(emis_week(tmp_path / "sets"), THIRD)
    write_emis(sets / FIRST, Admin_Patient="x\r\n")
    message = refused("emis_gp_only", sets, tmp_path)
    assert message.startswith(f"set {FIRST}: {emis_name('Admin_Patient')}: expected")


def test_a_source_that_does_not_speak_of_changes_refuses_them(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(
        "name: ours\ndescription: Ours.\ncanonical: [practice]\nfiles:\n  people: {name: people.csv, versions: "
        "[{version: '1', columns: [Key]}]}\ntables:\n  patient:\n  - {file: people, columns: {org_code: Key, "
        "source_patient_id: Key, date_of_birth: Key}}\n"
    )
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "people.csv").write_text("Key\n1\n")
    (folder / "practice.csv").write_text("practice_code\nA10001\n")
    write_manifest(folder, ["practice.csv"], **CHANGES[SECOND])
    source = SOURCES[str(path)]
    with pytest.raises(ExtractError) as caught:
        source.read(folder, tmp_path / "scratch")
    assert "expected whole extracts: its declaration does not say that it sends changes" in str(caught.value)
