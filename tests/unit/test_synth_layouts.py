"""Layouts of the synthetic county: what goes in as landing rows is read back from the supplier's files, by their rules.

The readers here follow what suppliers document, with Python's csv module, and share no code with the layouts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from stratify import contracts
from stratify.codes import verhoeff_is_valid
from stratify.errors import SettingsError
from stratify.synth.layouts import LAYOUTS, ExtractFacts, WrittenFile
from stratify.synth.layouts.emis import CONTACT_MODE, SLOT_STATUS
from stratify.synth.layouts.emis import TABLES as EMIS_TABLES
from stratify.synth.layouts.hospital import APC_COLUMNS, OP_COLUMNS
from stratify.synth.layouts.identifiers import each_once, guids, numbers
from stratify.synth.layouts.systmone import APPOINTMENT_STATUS, FILES, REGISTRATION_STATUS

Row = dict[str, str | None]
Rows = list[Row]

BULK = ExtractFacts(date(2026, 11, 1), None, 0, 7)
DELTA = ExtractFacts(date(2026, 11, 8), date(2026, 11, 1), 1, 7)
HES = Path(__file__).parents[3] / "shared" / "data" / "hes_artificial"

BASE: dict[str, Rows] = {
    "practice": [
        {"practice_code": "Y00001", "practice_name": "Dale, North", "pcn_code": "U00001", "valid_from": "2020-04-01"},
        {"practice_code": "Y00002", "practice_name": "Dale South", "pcn_code": "U00001", "valid_from": "2020-04-01"},
    ],
    "patient": [
        {
            "org_code": "Y00001", "source_patient_id": "000001", "nhs_number": "9990000018", "nhs_number_status": "01",
            "family_name": "Ashe", "given_names": "Mary Ann", "title": "Mrs", "phone_mobile": "07700900001",
            "email": "a@example.org", "address_lines": "Home 3, Orchard Close, Valeton", "postcode": "QZ1 2ZZ",
            "date_of_birth": "1941-02-28", "sex": "F", "date_of_death": "2026-10-30", "is_test_patient": "false",
            "is_spine_sensitive": "false", "is_confidential": "true", "is_deleted": "false",
            "preferred_language": "en", "ethnic_category": "A", "imd_decile": "3", "imd_version": "2019",
        },
        {
            "org_code": "Y00001", "source_patient_id": "000002", "family_name": "Zoë", "given_names": "Li",
            "address_lines": "9 Street 4, Valeton", "postcode": "QZ9 9ZZ", "date_of_birth": "1999-12-31", "sex": "U",
            "is_test_patient": "true", "is_spine_sensitive": "true", "is_confidential": "false", "is_deleted": "false",
            "nhs_number_status": "07", "preferred_language": "pa",
        },
        {
            "org_code": "Y00002", "source_patient_id": "M0001-000001", "nhs_number": "9990000018",
            "nhs_number_status": "01", "date_of_birth": "1941-02-28", "sex": "F", "is_test_patient": "false",
            "is_spine_sensitive": "false", "is_confidential": "false", "is_deleted": "true",
            "preferred_language": "en", "address_lines": "1, A Lane, Ham, Valeton, Shire, Old", "postcode": "QZ1 2ZZ",
        },
    ],
    "registration": [
        {
            "org_code": "Y00001", "source_registration_id": "R000001", "source_patient_id": "000001",
            "practice_code": "Y00001", "registration_type": "REGULAR", "start_date": "1999-05-06",
            "end_date": "2026-10-30", "end_reason": "Death", "usual_gp_id": "GP3", "is_deleted": "false",
        },
        {
            "org_code": "Y00001", "source_registration_id": "R000002", "source_patient_id": "000002",
            "practice_code": "Y00001", "registration_type": "TEMPORARY", "start_date": "2026-09-01",
            "usual_gp_id": "GP1", "is_deleted": "false",
        },
    ],
    "gp_event": [
        {
            "org_code": "Y00001", "source_event_id": "E00100000001", "source_patient_id": "000001",
            "snomed_code": "13645005", "snomed_term": "COPD, chronic", "effective_date": "2011-01-01",
            "effective_precision": "Y", "recorded_at": "2011-03-04T09:08:07", "episodicity": "first",
            "is_problem": "true", "problem_status": "active", "encounter_id": "C00100000009",
            "is_confidential": "true", "is_deleted": "false",
        },
        {
            "org_code": "Y00001", "source_event_id": "E00100000002", "source_patient_id": "000002",
            "original_code": "H3...", "snomed_term": "COPD", "effective_precision": "U",
            "recorded_at": "2026-10-31T23:59:59", "is_confidential": "false", "is_deleted": "true",
        },
    ],
    "gp_observation": [
        {
            "org_code": "Y00001", "source_event_id": "V00100000001", "source_patient_id": "000001",
            "snomed_code": "72313002", "snomed_term": "Systolic arterial pressure", "effective_date": "2026-06-01",
            "effective_precision": "YMD", "recorded_at": "2026-06-01T10:11:12", "value_num": "148",
            "unit_raw": "mmHg", "parent_event_id": "BP00000001", "is_confidential": "false", "is_deleted": "false",
        },
        {
            "org_code": "Y00001", "source_event_id": "V00100000002", "source_patient_id": "000001",
            "snomed_code": "1091811000000102", "snomed_term": "Diastolic arterial pressure",
            "effective_date": "2026-06-01", "effective_precision": "YMD", "recorded_at": "2026-06-01T10:11:12",
            "value_num": "81", "unit_raw": "mmHg", "parent_event_id": "BP00000001", "is_confidential": "false",
            "is_deleted": "false",
        },
        {
            "org_code": "Y00001", "source_event_id": "V00100000003", "source_patient_id": "000002",
            "snomed_code": "1107411000000104", "snomed_term": "eGFR, estimated", "effective_date": "2026-02-29",
            "effective_precision": "YMD", "recorded_at": "2026-03-01T00:00:00", "value_num": "90.5",
            "unit_raw": "mL/min/1.73m2", "range_low": "60", "range_high": "120", "comparator": ">",
            "is_confidential": "false", "is_deleted": "false",
        },
    ],
    "gp_medication": [
        {
            "org_code": "Y00001", "source_issue_id": "I00100000001", "source_patient_id": "000001",
            "issue_date": "2026-08-31", "dmd_code": "35936411000001109", "dmd_term": "Salbutamol 100micrograms/dose",
            "quantity": "1", "quantity_unit": "inhaler", "course_days": "56", "prescription_type": "repeat_dispensing",
            "drug_record_id": "D001000001001109", "is_active": "true", "cancelled_date": "2026-10-01",
            "is_deleted": "false",
        },
        {
            "org_code": "Y00001", "source_issue_id": "I00100000002", "source_patient_id": "000001",
            "issue_date": "2026-05-01", "dmd_code": "35936411000001109", "dmd_term": "Salbutamol 100micrograms/dose",
            "quantity": "2", "quantity_unit": "inhaler", "course_days": "28", "prescription_type": "repeat_dispensing",
            "drug_record_id": "D001000001001109", "is_active": "true", "cancelled_date": "2026-10-01",
            "is_deleted": "true",
        },
        {
            "org_code": "Y00001", "source_issue_id": "I00100000003", "source_patient_id": "000002",
            "issue_date": "2025-12-31", "original_code": "LOCAL1", "dmd_term": "Something", "quantity": "28.5",
            "quantity_unit": "ml", "drug_record_id": "D001000002000001", "prescription_type": "acute",
            "is_active": "false", "is_deleted": "false",
        },
    ],
    "gp_appointment": [
        {
            "org_code": "Y00001", "source_slot_id": "L00100000001", "source_patient_id": "000001",
            "start_at": "2026-02-28T23:50:00", "booked_at": "2026-02-01T08:00:01", "duration_min": "15",
            "status": "DNA", "mode": "telephone", "national_category": "General Consultation Acute",
            "clinician_role": "Nurse", "is_deleted": "false",
        },
        {
            "org_code": "Y00001", "source_slot_id": "L00100000002", "start_at": "2026-11-20T09:00:00",
            "duration_min": "10", "status": "CANCELLED_UNIT", "mode": "home_visit", "is_deleted": "true",
        },
    ],
    "apc_episode": [
        {
            "provider_code": "RZ9", "cds_unique_id": "B00000000010", "nhs_number": "9990000018",
            "nhs_number_status": "01", "spell_id": "S0000000007", "episode_order": "1",
            "admission_date": "2026-03-30", "discharge_date": "2026-04-04", "episode_start": "2026-03-30",
            "episode_end": "2026-03-31", "admission_method": "2A", "admission_source": "19", "discharge_method": "1",
            "discharge_destination": "55", "patient_class": "1", "treatment_function": "340", "main_specialty": "300",
            "diag_01": "J440", "diag_02": "I10", "ethnic_category": "A", "practice_code_at_event": "Y00001",
            "update_type": "BULK", "freeze_status": "freeze", "is_deleted": "false",
        },
        {
            "provider_code": "RZ9", "cds_unique_id": "B00000000011", "nhs_number": "9990000018",
            "nhs_number_status": "01", "spell_id": "S0000000007", "episode_order": "2",
            "admission_date": "2026-03-30", "discharge_date": "2026-04-04", "episode_start": "2026-03-31",
            "episode_end": "2026-04-04", "admission_method": "2A", "patient_class": "1", "diag_01": "R54",
            "opertn_01": "X352", "opertn_02": "Y50", "is_deleted": "false",
        },
        {
            "provider_code": "RZ9", "cds_unique_id": "B00000000012", "spell_id": "S0000000008", "episode_order": "1",
            "nhs_number_status": "07", "admission_date": "2026-10-20", "episode_start": "2026-10-20",
            "admission_method": "21", "patient_class": "1", "is_deleted": "false",
        },
        {
            "provider_code": "RZ9", "cds_unique_id": "B00000000013", "spell_id": "S0000000009", "episode_order": "1",
            "admission_date": "2026-10-20", "episode_start": "2026-10-20", "admission_method": "21",
            "patient_class": "1", "update_type": "NETCHANGE", "is_deleted": "true",
        },
    ],
    "op_attendance": [
        {
            "provider_code": "RZ9", "attendance_id": "O00100000001", "nhs_number": "9990000018",
            "nhs_number_status": "02", "appointment_date": "2026-01-02", "attended": "5", "first_attendance": "1",
            "treatment_function": "340", "outcome": "1", "referral_date": "2025-11-05", "is_deleted": "false",
        },
    ],
    "ed_attendance": [
        {
            "provider_code": "RZ9", "attendance_id": "A0010000001", "nhs_number": "9990000018",
            "nhs_number_status": "01", "arrival_at": "2026-03-30T01:02:00", "arrival_mode": "1048031000000100",
            "attendance_category": "1", "department_type": "01", "chief_complaint": "267036007",
            "diagnosis_01": "195951007", "departure_at": "2026-03-30T05:00:00", "discharge_status": "182992009",
            "discharge_destination": "306706006", "is_sdec": "false", "is_deleted": "false",
        },
    ],
    "death": [{"nhs_number": "9990000018", "source": "ONS", "date_of_death": "2026-10-30"}],
}  # fmt: skip

NOT_IN_EMIS = {
    "patient": {
        "nhs_number_status", "ethnic_category", "preferred_language", "interpreter_needed", "ais_format",
        "contact_preference", "has_digital_access", "lsoa11", "lsoa21", "imd_decile", "imd_version",
    },
    "registration": {"source_registration_id", "is_deleted"},
    "gp_event": {"original_system"},
    "gp_observation": {"original_system", "comparator"},
    "gp_medication": {"dmd_level", "original_system", "bnf_code"},
    "gp_appointment": set(),
}  # fmt: skip
"""What the layout cannot carry of rows like those of BASE; what else is lost has a test of its own."""

NOT_IN_SYSTMONE = {
    "patient": {
        "ethnic_category", "interpreter_needed", "ais_format", "contact_preference", "has_digital_access", "lsoa11",
        "lsoa21", "imd_decile", "imd_version", "is_spine_sensitive", "is_confidential",
    },
    "registration": {"end_reason", "usual_gp_id"},
    "gp_event": {"original_system", "effective_precision", "is_problem", "problem_status", "is_confidential"},
    "gp_observation": {"original_system", "effective_precision", "range_low", "range_high", "is_confidential"},
    "gp_medication": {"dmd_level", "original_system", "original_code", "bnf_code", "is_active", "cancelled_date"},
    "gp_appointment": set(),
}  # fmt: skip
NOT_IN_HOSPITAL_FILES = {
    "apc_episode": {"update_type", "freeze_status", "is_legally_restricted"},
    "op_attendance": set(),
    "ed_attendance": set(),
}


def text_frame(table: str, rows: Rows) -> pl.DataFrame:
    columns = contracts.load(f"landing.{table}").column_names
    unknown = {name for row in rows for name in row} - set(columns)
    assert not unknown, unknown
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], dict.fromkeys(columns, pl.String))


def frames(changed: Mapping[str, Rows] | None = None) -> dict[str, pl.DataFrame]:
    return {table: text_frame(table, rows) for table, rows in {**BASE, **(changed or {})}.items()}


def written(layout: str, tables: Mapping[str, pl.DataFrame], facts: ExtractFacts = BULK) -> dict[str, bytes]:
    """Write every file as its style says."""
    files = {}
    for name, rows in LAYOUTS[layout].files(tables, facts).items():
        style = LAYOUTS[layout].style_of(name)
        text = rows.write_csv(line_terminator=style.line_terminator, quote_style=style.quote)
        files[name] = text.encode(style.encoding)
    return files


def read(content: bytes, encoding: str) -> list[dict[str, str | None]]:
    text = io.StringIO(content.decode(encoding), newline="")
    return [{name: value or None for name, value in row.items()} for row in csv.DictReader(text, strict=True)]


def expected(table: str, lost: Iterable[str], tables: Mapping[str, pl.DataFrame] | None = None) -> Rows:
    return sorted_rows((tables or frames())[table].drop(*lost).to_dicts())


def sorted_rows(rows: Iterable[Row]) -> Rows:
    return sorted(rows, key=lambda row: str(sorted(row.items(), key=lambda item: item[0])))


def id_of_guid(guid: str | None) -> str | None:
    if guid is None:
        return None
    assert re.fullmatch(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", guid), guid
    rest, found = guid.strip("{}").replace("-", ""), ""
    while rest and (token := re.match(r"A([0-9A-F]{2})|([0-9])", rest)):
        found += chr(int(token[1], 16)) if token[1] else token[2]
        rest = rest[token.end() :]
    assert set(rest) <= {"F"}, guid
    return found


def id_of_number(number: str | None) -> str | None:
    if number is None:
        return None
    assert number.isdigit(), number
    length = int(number[:2]) - 10
    pairs = [number[2 + 2 * place : 4 + 2 * place] for place in range(length)]
    return "".join(chr(int(pair) + 32) for pair in pairs) + number[2 + 2 * length :]


def moment(day: str | None, time: str | None) -> str | None:
    return None if day is None else f"{day}T{time}"


# EMIS


def emis_tables(files: Mapping[str, bytes]) -> dict[str, Rows]:
    """Read the supplier's files by table name, from names of five parts."""
    found = {}
    for name, content in files.items():
        parts = name.removesuffix(".csv").split("_")
        if len(parts) == 5 and parts[0].isdigit():
            datetime.strptime(parts[3], "%Y%m%d%H%M%S")
            assert content.endswith(b"\r\n")
            found["_".join(parts[1:3])] = read(content, "utf-8")
    return found


def read_emis(files: Mapping[str, bytes]) -> dict[str, Rows]:
    """Make landing rows of an EMIS-style set, as nhs-data.md 1.1 and 1.9 say."""
    sent = emis_tables(files)
    ods = {row["OrganisationGuid"]: row["ODSCode"] for row in sent["Admin_Organisation"]}
    codes = {row["CodeId"]: row for row in sent["Coding_ClinicalCode"]}
    drugs = {row["CodeId"]: row for row in sent["Coding_DrugCode"]}
    key = ("OrganisationGuid", "ObservationGuid")
    problems = {(row[key[0]], row[key[1]]): row for row in sent["CareRecord_Problem"]}
    records = {(row["OrganisationGuid"], row["DrugRecordGuid"]): row for row in sent["Prescribing_DrugRecord"]}
    doctors = {(row["OrganisationGuid"], row["UserInRoleGuid"]) for row in sent["Admin_UserInRole"]}
    consultations = {(row["OrganisationGuid"], row["ConsultationGuid"]) for row in sent["CareRecord_Consultation"]}
    entries = sent["CareRecord_Observation"]
    parents = {(row["OrganisationGuid"], row["ParentObservationGuid"]) for row in entries}

    def of_record(row: Row) -> Row:
        return {"org_code": ods[row["OrganisationGuid"]], "source_patient_id": id_of_guid(row["PatientGuid"])}

    made: dict[str, Rows] = {table: [] for table in NOT_IN_EMIS}
    for row in sent["Admin_Patient"]:
        address = [row[part] for part in ("HouseNameFlatNumber", "NumberAndStreet", "Village", "Town", "County")]
        postcode = row["Postcode"]
        made["patient"].append(
            {
                **of_record(row),
                "nhs_number": row["NhsNumber"],
                "family_name": row["Surname"],
                "given_names": " ".join(filter(None, (row["GivenName"], row["MiddleNames"]))) or None,
                "title": row["Title"],
                "phone_mobile": row["MobilePhone"],
                "email": row["EmailAddress"],
                "address_lines": ", ".join(filter(None, address)) or None,
                "postcode": postcode and f"{postcode[:-3]} {postcode[-3:]}",
                "date_of_birth": row["DateOfBirth"],
                "sex": row["Sex"],
                "date_of_death": row["DateOfDeath"],
                "is_test_patient": row["DummyType"],
                "is_spine_sensitive": row["SpineSensitive"],
                "is_confidential": row["IsConfidential"],
                "is_deleted": row["Deleted"],
            }
        )
        if row["DateOfRegistration"]:
            ends = [
                line["StatusDescription"]
                for line in sent["Admin_PatientHistory"]
                if line["PatientGuid"] == row["PatientGuid"] and line["HistoryDate"] == row["DateofDeactivation"]
            ]
            assert (row["OrganisationGuid"], row["UsualGpUserInRoleGuid"]) in doctors
            made["registration"].append(
                {
                    **of_record(row),
                    "practice_code": ods[row["OrganisationGuid"]],
                    "registration_type": str(row["PatientTypeDescription"]).upper(),
                    "start_date": row["DateOfRegistration"],
                    "end_date": row["DateofDeactivation"],
                    "end_reason": ends[0] if ends else None,
                    "usual_gp_id": id_of_guid(row["UsualGpUserInRoleGuid"]),
                }
            )
    for row in entries:
        if (row["OrganisationGuid"], row["ObservationGuid"]) in parents and row["Value"] is None:
            continue
        code = codes[row["CodeId"]]
        common = {
            **of_record(row),
            "source_event_id": id_of_guid(row["ObservationGuid"]),
            "snomed_code": code["SnomedCTConceptId"],
            "snomed_term": code["Term"],
            "original_code": code["ReadTermId"],
            "effective_date": row["EffectiveDate"],
            "effective_precision": row["EffectiveDatePrecision"],
            "recorded_at": moment(row["EnteredDate"], row["EnteredTime"]),
            "is_confidential": row["IsConfidential"],
            "is_deleted": row["Deleted"],
        }
        if row["ObservationType"] == "Observation":
            problem = problems.get((row["OrganisationGuid"], row["ObservationGuid"]))
            status = problem and problem["ProblemStatusDescription"]
            if row["ConsultationGuid"]:
                assert (row["OrganisationGuid"], row["ConsultationGuid"]) in consultations
            made["gp_event"].append(
                {
                    **common,
                    "episodicity": row["Episode"] and row["Episode"].lower(),
                    "is_problem": "true" if problem else None,
                    "problem_status": status and status.removesuffix(" Problem").lower(),
                    "encounter_id": id_of_guid(row["ConsultationGuid"]),
                }
            )
        else:
            made["gp_observation"].append(
                {
                    **common,
                    "value_num": row["Value"],
                    "unit_raw": row["NumericUnit"],
                    "range_low": row["NumericRangeLow"],
                    "range_high": row["NumericRangeHigh"],
                    "parent_event_id": id_of_guid(row["ParentObservationGuid"]),
                }
            )
    for row in sent["Prescribing_IssueRecord"]:
        record = records[row["OrganisationGuid"], row["DrugRecordGuid"]]
        assert drugs[row["CodeId"]]["BNFChapterRef"] is None
        made["gp_medication"].append(
            {
                **of_record(row),
                "source_issue_id": id_of_guid(row["IssueRecordGuid"]),
                "issue_date": row["EffectiveDate"],
                "dmd_code": drugs[row["CodeId"]]["DmdProductCodeId"],
                "dmd_term": drugs[row["CodeId"]]["Term"],
                "original_code": row["EmisCode"],
                "quantity": row["Quantity"],
                "quantity_unit": row["QuantityUnit"],
                "course_days": row["CourseDurationInDays"],
                "prescription_type": str(record["PrescriptionType"]).lower().replace(" ", "_"),
                "drug_record_id": id_of_guid(row["DrugRecordGuid"]),
                "is_active": record["IsActive"],
                "cancelled_date": record["CancellationDate"],
                "is_deleted": row["Deleted"],
            }
        )
    statuses = {word: status for status, word in SLOT_STATUS.items()}
    modes = {word: mode for mode, word in CONTACT_MODE.items()}
    for row in sent["Appointment_Slot"]:
        assert (row["DidNotAttend"] == "true") == (row["SlotStatus"] == "DNA")
        made["gp_appointment"].append(
            {
                **of_record(row),
                "source_slot_id": id_of_guid(row["SlotGuid"]),
                "start_at": moment(row["AppointmentDate"], row["AppointmentStartTime"]),
                "booked_at": moment(row["BookedDate"], row["BookedTime"]),
                "duration_min": row["PlannedDurationInMinutes"],
                "status": statuses[str(row["SlotStatus"])],
                "mode": modes[str(row["ModeOfContact"])],
                "national_category": row["NationalSlotCategoryName"],
                "clinician_role": row["SlotType"],
                "is_deleted": row["Deleted"],
            }
        )
    return made


@pytest.mark.parametrize("table", NOT_IN_EMIS)
def test_an_emis_set_gives_back_what_it_can_carry(table):
    assert sorted_rows(read_emis(written("emis", frames()))[table]) == expected(table, NOT_IN_EMIS[table])


def test_an_emis_set_has_all_tables_of_the_specification_those_without_rows_as_a_header():
    files = {name: content for name, content in written("emis", frames()).items() if name.startswith("1000_")}
    tables = emis_tables(files)
    assert set(tables) == set(EMIS_TABLES)
    assert len(tables) == 21
    assert tables["CareRecord_Diary"] == []
    diary = next(content for name, content in files.items() if "_CareRecord_Diary_" in name)
    assert diary.decode().rstrip("\r\n").split(",") == list(EMIS_TABLES["CareRecord_Diary"])


def test_names_of_an_emis_set_tell_the_week_the_cutoff_and_one_agreement_a_county():
    def names(facts: ExtractFacts) -> list[list[str]]:
        return [name.removesuffix(".csv").split("_") for name in LAYOUTS["emis"].files(frames(), facts)]

    bulk, delta = (
        [parts for parts in names(facts) if len(parts) == 5 and parts[0].isdigit()] for facts in (BULK, DELTA)
    )
    assert {(parts[0], parts[3]) for parts in bulk} == {("1000", "20261101235900")}
    assert {(parts[0], parts[3]) for parts in delta} == {("1001", "20261108235900")}
    assert {parts[4] for parts in bulk} == {parts[4] for parts in delta}
    assert len({parts[4] for parts in bulk}) == 1
    elsewhere = ExtractFacts(BULK.cutoff, None, 0, 8)
    assert bulk[0][4] not in {parts[-1] for parts in names(elsewhere)}


def test_blood_pressures_hang_under_one_parent_with_their_day_and_no_value():
    sent = emis_tables(written("emis", frames()))
    codes = {row["CodeId"]: row for row in sent["Coding_ClinicalCode"]}
    parents = [row for row in sent["CareRecord_Observation"] if id_of_guid(row["ObservationGuid"]) == "BP00000001"]
    assert len(parents) == 1
    assert (parents[0]["Value"], parents[0]["EffectiveDate"]) == (None, "2026-06-01")
    code = codes[parents[0]["CodeId"]]["SnomedCTConceptId"]
    assert code == "163020007"
    assert verhoeff_is_valid(code)


def test_a_parent_that_is_an_entry_itself_is_not_written_again():
    values = [{**row, "parent_event_id": "E00100000001"} for row in BASE["gp_observation"][:2]]
    sent = emis_tables(written("emis", frames({"gp_observation": values})))
    ids = [id_of_guid(row["ObservationGuid"]) for row in sent["CareRecord_Observation"]]
    assert sorted(ids) == ["E00100000001", "E00100000002", "V00100000001", "V00100000002"]


def test_emis_loses_the_comparator_of_a_value():
    tables = frames()
    without = tables["gp_observation"].with_columns(comparator=pl.lit(None, pl.String))
    assert written("emis", tables) == written("emis", {**tables, "gp_observation": without})


def test_emis_shows_the_latest_registration_and_keeps_the_dates_of_earlier_ones():
    earlier = {
        "org_code": "Y00001", "source_registration_id": "R000000", "source_patient_id": "000001",
        "practice_code": "Y00001", "registration_type": "PRIVATE", "start_date": "1980-01-01", "end_date": "1985-01-01",
        "is_deleted": "false",
    }  # fmt: skip
    withdrawn = {**earlier, "source_registration_id": "R000009", "start_date": "2026-10-31", "is_deleted": "true"}
    undated = {**earlier, "source_registration_id": "R000010", "start_date": None, "end_date": None}
    sent = emis_tables(written("emis", frames({"registration": [withdrawn, undated, *BASE["registration"], earlier]})))
    first = sent["Admin_Patient"][0]
    assert (first["DateOfRegistration"], first["PatientTypeDescription"]) == ("1999-05-06", "Regular")
    history = sorted(
        (str(row["HistoryDate"]), row["StatusDescription"])
        for row in sent["Admin_PatientHistory"]
        if row["PatientGuid"] == first["PatientGuid"]
    )
    assert history == [
        ("1980-01-01", "Registered"),
        ("1985-01-01", "Deducted"),
        ("1999-05-06", "Registered"),
        ("2026-10-30", "Death"),
    ]


def test_an_emis_drug_record_shows_the_state_of_its_latest_issue_and_the_day_of_its_first():
    issues = [
        {**BASE["gp_medication"][0], "is_active": "true", "cancelled_date": None},
        {**BASE["gp_medication"][1], "is_active": "false"},
    ]
    (record,) = emis_tables(written("emis", frames({"gp_medication": issues})))["Prescribing_DrugRecord"]
    assert (record["EffectiveDate"], record["IsActive"], record["CancellationDate"]) == ("2026-05-01", "true", None)


def test_a_delta_of_an_emis_set_asks_for_all_rows_of_a_changed_record():
    assert LAYOUTS["emis"].whole_of == ("patient", "registration")
    assert LAYOUTS["systmone"].whole_of == LAYOUTS["canonical"].whole_of == ()


def test_every_practice_and_week_gives_a_code_the_same_id():
    own = frames()
    other = {
        "gp_observation": text_frame(
            "gp_observation",
            [{**BASE["gp_observation"][1], "org_code": "Y00002", "source_event_id": "V2", "parent_event_id": None}],
        )
    }

    def ids(tables: Mapping[str, pl.DataFrame], facts: ExtractFacts) -> dict[str | None, str | None]:
        sent = emis_tables(written("emis", tables, facts))["Coding_ClinicalCode"]
        return {row["SnomedCTConceptId"]: row["CodeId"] for row in sent}

    assert ids(other, DELTA).items() <= ids(own, BULK).items()
    assert len(ids(other, DELTA)) == 1
    name = next(name for name in written("emis", own) if "Coding_ClinicalCode" in name)
    assert LAYOUTS["emis"].style_of(name).unique_key == ("CodeId",)


# SystmOne


def systmone_date(text: str | None, form: str = "%d %b %Y %H:%M:%S") -> str | None:
    return None if text is None else datetime.strptime(text, form).date().isoformat()


def systmone_moment(text: str | None) -> str | None:
    return None if text is None else datetime.strptime(text, "%d %b %Y %H:%M:%S").isoformat()


def read_systmone(files: Mapping[str, bytes]) -> dict[str, Rows]:
    """Make landing rows of a SystmOne-style set, as nhs-data.md 1.2 and 1.9 say."""
    sent = {name: read(files[f"{name}.csv"], "cp1252") for name in FILES}
    yes = {"TRUE": "true", "FALSE": "false", None: None}
    removed = {"1": "true", "0": "false"}
    mobiles = {row["IDPatient"]: row["ContactNumber"] for row in sent["SRPatientContactDetails"]}
    homes = {row["IDPatient"]: row for row in sent["SRPatientAddressHistory"]}
    made: dict[str, Rows] = {table: [] for table in NOT_IN_SYSTMONE}

    def of_record(row: Row) -> Row:
        return {
            "org_code": row["IDOrganisation"],
            "source_patient_id": id_of_number(row["IDPatient"]),
            "is_deleted": removed[str(row["RemovedData"])],
        }

    for row in sent["SRPatient"]:
        home = homes.get(row["RowIdentifier"], {})
        made["patient"].append(
            {
                "org_code": row["IDOrganisationVisibleTo"],
                "source_patient_id": id_of_number(row["RowIdentifier"]),
                "nhs_number": row["NHSNumber"],
                "nhs_number_status": "01" if row["SpineMatched"] == "TRUE" else "07",
                "family_name": row["Surname"],
                "given_names": " ".join(filter(None, (row["FirstName"], row["MiddleNames"]))) or None,
                "title": row["Title"],
                "phone_mobile": mobiles.get(row["RowIdentifier"]),
                "email": row["EmailAddress"],
                "address_lines": ", ".join(filter(None, (home.get("NameOfRoad"), home.get("NameOfTown")))) or None,
                "postcode": home.get("FullPostCode"),
                "date_of_birth": systmone_date(row["DateBirth"], "%d %b %Y %H:%M"),
                "sex": row["Gender"],
                "preferred_language": "en" if row["SpeaksEnglish"] == "TRUE" else "pa",
                "date_of_death": systmone_date(row["DateDeath"], "%d %b %Y %H:%M"),
                "is_test_patient": yes[row["TestPatient"]],
                "is_deleted": removed[str(row["RemovedData"])],
            }
        )
    kinds = {word: kind for kind, word in REGISTRATION_STATUS.items()}
    for row in sent["SRPatientRegistration"]:
        made["registration"].append(
            {
                **of_record(row),
                "source_registration_id": id_of_number(row["RowIdentifier"]),
                "practice_code": row["IDOrganisationRegisteredAt"],
                "registration_type": kinds[str(row["RegistrationStatus"])],
                "start_date": systmone_date(row["DateRegistration"]),
                "end_date": systmone_date(row["DateDeRegistration"]),
            }
        )
    for row in sent["SRCode"]:
        common = {
            **of_record(row),
            "source_event_id": id_of_number(row["RowIdentifier"]),
            "snomed_code": row["SNOMEDCode"],
            "snomed_term": row["SNOMEDText"],
            "original_code": row["CTV3Code"],
            # A date that is none goes through as it is.
            "effective_date": row["DateEvent"] if row["DateEvent"] == "2026-02-29" else systmone_date(row["DateEvent"]),
            "recorded_at": systmone_moment(row["DateEventRecorded"]),
        }
        if row["IsNumeric"] == "TRUE":
            made["gp_observation"].append(
                {
                    **common,
                    "value_num": row["NumericValue"],
                    "comparator": row["NumericComparator"],
                    "unit_raw": row["NumericUnit"],
                    "parent_event_id": id_of_number(row["IDEvent"]),
                }
            )
        else:
            episode = row["EpisodeType"]
            made["gp_event"].append(
                {**common, "episodicity": episode and episode.lower(), "encounter_id": id_of_number(row["IDEvent"])}
            )
    for row in sent["SRPrimaryCareMedication"]:
        start, end = systmone_date(row["DateMedicationStart"]), systmone_date(row["DateMedicationEnd"])
        days = str((date.fromisoformat(end) - date.fromisoformat(start)).days) if start and end else None
        quantity, _, unit = str(row["MedicationQuantity"]).partition(" ")
        made["gp_medication"].append(
            {
                **of_record(row),
                "source_issue_id": id_of_number(row["RowIdentifier"]),
                "issue_date": systmone_date(row["DateEvent"]),
                "dmd_code": row["IDMultiLexDMD"],
                "dmd_term": row["NameOfMedication"],
                "quantity": quantity,
                "quantity_unit": unit,
                "course_days": days,
                "prescription_type": "repeat_dispensing" if row["IsRepeatMedication"] == "TRUE" else "acute",
                "drug_record_id": id_of_number(row["IDRepeatTemplate"]),
            }
        )
    statuses = {word: status for status, word in APPOINTMENT_STATUS.items()}
    for row in sent["SRAppointment"]:
        start, end = systmone_moment(row["DateStart"]), systmone_moment(row["DateEnd"])
        lasts = datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))
        made["gp_appointment"].append(
            {
                **of_record(row),
                "source_slot_id": id_of_number(row["RowIdentifier"]),
                "start_at": start,
                "booked_at": systmone_moment(row["DateAppointmentBooked"]),
                "duration_min": str(lasts // timedelta(minutes=1)),
                "status": statuses[str(row["AppointmentStatus"])],
                "mode": "telephone" if row["TelephoneAppointment"] == "TRUE" else "home_visit",
                "national_category": row["RotaType"],
                "clinician_role": row["RotaName"],
            }
        )
    return made


@pytest.mark.parametrize("table", NOT_IN_SYSTMONE)
def test_a_systmone_set_gives_back_what_it_can_carry(table):
    """Words with several meanings (any status but verified, any repeat, ...) are read as the one BASE has."""
    assert sorted_rows(read_systmone(written("systmone", frames()))[table]) == expected(table, NOT_IN_SYSTMONE[table])


def test_a_systmone_file_is_windows_text_with_every_value_in_quotes():
    content = written("systmone", frames())["SRPatient.csv"]
    assert b'"Zo\xeb"' in content
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert lines[0].startswith(b'"RowIdentifier","IDOrganisationVisibleTo"')
    assert b'"28 Feb 1941 00:00"' in lines[1]


def test_a_date_known_to_the_year_is_a_whole_date_in_systmone():
    rows = read(written("systmone", frames())["SRCode.csv"], "cp1252")
    assert rows[0]["DateEvent"] == "01 Jan 2011 00:00:00"


@pytest.mark.parametrize("mode", sorted(set(CONTACT_MODE) - {"telephone"}))
def test_systmone_tells_a_telephone_appointment_from_others_and_no_more(mode):
    tables = frames({"gp_appointment": [{**BASE["gp_appointment"][1], "mode": mode}]})
    (row,) = read(written("systmone", tables)["SRAppointment.csv"], "cp1252")
    assert row["TelephoneAppointment"] == "FALSE"
    assert not {
        word for value in row.values() if value for word in re.findall("video|visit|online|face", value.lower())
    }


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        pytest.param(BULK, ["SRCode", "N", "N", "", "20261101_2359"], id="bulk"),
        pytest.param(DELTA, ["SRCode", "Y", "N", "20261101_2359", "20261108_2359"], id="delta"),
    ],
)
def test_the_systmone_manifest_names_each_of_its_files_and_the_moments_they_cover(facts, line):
    files = [WrittenFile(name, 1, 2, "0" * 64) for name in written("systmone", frames(), facts)]
    manifests = LAYOUTS["systmone"].manifests(files, facts)
    header, *lines = csv.reader(io.StringIO(manifests["SRManifest.csv"], newline=""))
    assert header == ["FileName", "IsDelta", "IsReference", "DateExtractFrom", "DateExtractTo"]
    assert {each[0] for each in lines} == set(FILES)
    assert line in lines
    assert ["SROrganisation", "Y", *line[3:]] in [[each[0], each[2], *each[3:]] for each in lines]
    beside = csv.DictReader(io.StringIO(manifests["manifest.csv"], newline=""))
    hospital = {"apc_episode", "op_attendance", "ed_attendance"}
    assert {row["table_name"] for row in beside} == {"practice", "death"} | hospital


# Hospital


@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_hospital_files_give_back_every_row_that_stands_and_name_each_withdrawn(layout):
    files = {name: read(content, "utf-8") for name, content in written(layout, frames()).items() if "2627" in name}
    assert set(files) == {"HES_APC_2627.csv", "HES_OP_2627.csv", "ECDS_2627.csv", "SUS_InsertDeleteLog_2627.csv"}

    def code(text: str | None) -> str | None:
        return None if text in (None, "-") else text[:3] if text[3:] == "X" else text

    def identity(row: Row) -> Row:
        return {"nhs_number": row["NHSNUMBER"], "nhs_number_status": row["NHSNOIND"], "is_deleted": "false"}

    apc = [
        {
            **identity(row),
            "provider_code": row["PROCODE5"],
            "cds_unique_id": id_of_number(row["EPIKEY"]),
            "spell_id": row["PROVSPNOPS"],
            "episode_order": row["EPIORDER"],
            "admission_date": row["ADMIDATE"],
            "discharge_date": row["DISDATE"],
            "episode_start": row["EPISTART"],
            "episode_end": row["EPIEND"],
            "admission_method": row["ADMIMETH"],
            "admission_source": row["ADMISORC"],
            "discharge_method": row["DISMETH"],
            "discharge_destination": row["DISDEST"],
            "patient_class": row["CLASSPAT"],
            "treatment_function": row["TRETSPEF"],
            "main_specialty": row["MAINSPEF"],
            **{f"diag_{place:02d}": code(row[f"DIAG_4_{place:02d}"]) for place in range(1, 21)},
            **{f"opertn_{place:02d}": code(row[f"OPERTN_4_{place:02d}"]) for place in range(1, 25)},
            "ethnic_category": row["ETHNOS"],
            "practice_code_at_event": row["GPPRAC"],
        }
        for row in files["HES_APC_2627.csv"]
    ]
    standing = {table: rows.filter(pl.col("is_deleted") == "false") for table, rows in frames().items() if "_" in table}
    assert sorted_rows(apc) == expected("apc_episode", NOT_IN_HOSPITAL_FILES["apc_episode"], standing)
    op = [
        {
            **identity(row),
            "provider_code": row["PROCODE5"],
            "attendance_id": row["ATTENDID"],
            "appointment_date": row["APPTDATE"],
            "attended": row["ATTENDED"],
            "first_attendance": row["FIRSTATT"],
            "treatment_function": row["TRETSPEF"],
            "outcome": row["OUTCOME"],
            "referral_date": row["REQDATE"],
        }
        for row in files["HES_OP_2627.csv"]
    ]
    assert sorted_rows(op) == expected("op_attendance", (), standing)
    ed = [
        {
            **identity(row),
            "provider_code": row["Provider_Code"],
            "attendance_id": id_of_number(row["EC_Ident"]),
            "arrival_at": moment(row["Arrival_Date"], row["Arrival_Time"]),
            "arrival_mode": row["EC_Arrival_Mode_SNOMED_CT"],
            "attendance_category": row["EC_AttendanceCategory"],
            "department_type": row["EC_Department_Type"],
            "chief_complaint": row["EC_Chief_Complaint_SNOMED_CT"],
            **{f"diagnosis_{place:02d}": row[f"EC_Diagnosis_{place:02d}"] for place in range(1, 4)},
            "departure_at": moment(row["EC_Departure_Date"], row["EC_Departure_Time"]),
            "discharge_status": row["EC_Discharge_Status_SNOMED_CT"],
            "discharge_destination": row["Discharge_Destination_SNOMED_CT"],
            "is_sdec": {"Y": "true", "N": "false", None: None}[row["SDEC_Indicator"]],
        }
        for row in files["ECDS_2627.csv"]
    ]
    assert sorted_rows(ed) == expected("ed_attendance", (), standing)
    (gone,) = files["SUS_InsertDeleteLog_2627.csv"]
    assert (gone["DATASET"], gone["PROCODE5"], gone["dmicIsDeleted"]) == ("APC", "RZ9", "1")
    assert id_of_number(gone["PRIMARYKEY_ID"]) == "B00000000013"


def test_what_hes_reckons_of_an_episode_is_right():
    first, second, open_one = read(written("emis", frames())["HES_APC_2627.csv"], "utf-8")
    names = ("FYEAR", "EPISTAT", "EPIDUR", "SPELBGIN", "SPELEND", "DIAG_COUNT", "OPERTN_COUNT")
    # The first episode ends on 31 March, the second on 4 April: two financial years.
    assert [first[name] for name in names] == ["2526", "3", "1", "2", "N", "2", "0"]
    assert [second[name] for name in names] == ["2627", "3", "4", "0", "Y", "1", "2"]
    assert [open_one[name] for name in names] == ["2627", "1", None, "2", "N", "0", "0"]
    assert (first["DIAG_4_01"], first["DIAG_4_02"], first["OPERTN_4_01"]) == ("J440", "I10X", "-")


@pytest.mark.skipif(not HES.is_dir(), reason="the artificial HES data is not here")
@pytest.mark.parametrize(("columns", "file"), [(APC_COLUMNS, "hes_apc_0102"), (OP_COLUMNS, "hes_op_0304")])
def test_hes_columns_are_those_of_the_published_layout_and_three_of_identifiable_copies(columns, file):
    published = pl.read_csv(HES / f"{file}.csv.gz", n_rows=1, infer_schema=False).columns
    assert set(columns) - set(published) <= {"NHSNUMBER", "NHSNOIND", "PROVSPNOPS"}
    assert len(columns) == len(set(columns))


# All


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_practice_without_rows_gives_the_same_files_with_the_same_columns(layout):
    full = LAYOUTS[layout].files(frames(), BULK)
    none = LAYOUTS[layout].files({table: rows.clear() for table, rows in frames().items()}, BULK)
    assert {name: rows.columns for name, rows in full.items()} == {name: rows.columns for name, rows in none.items()}
    assert all(rows.is_empty() for rows in none.values())
    assert all(kind == pl.String for rows in (*full.values(), *none.values()) for kind in rows.dtypes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_a_layout_does_not_hold_stand_beside_in_canonical_form(layout):
    files = LAYOUTS[layout].files(frames(), BULK)
    assert files["death.csv"].equals(frames()["death"])
    assert files["practice.csv"].equals(frames()["practice"])
    assert ("patient.csv" in files) == (layout == "canonical")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_order_of_rows_does_not_change_which_rows_a_file_holds(layout):
    turned = {table: rows.reverse() for table, rows in frames().items()}
    straight = LAYOUTS[layout].files(frames(), BULK)
    for name, rows in LAYOUTS[layout].files(turned, BULK).items():
        assert sorted_rows(rows.to_dicts()) == sorted_rows(straight[name].to_dicts()), name


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param(BULK, {"period_to": "2026-11-01", "is_delta": "false", "period_from": ""}, id="bulk"),
        pytest.param(DELTA, {"period_to": "2026-11-08", "is_delta": "true", "period_from": "2026-11-02"}, id="delta"),
    ],
)
def test_the_canonical_manifest_tells_what_its_contract_asks_of_every_landing_file(facts, told):
    files = [WrittenFile("patient.parquet", 3, 99, "a" * 64), WrittenFile("SRPatient.csv", 1, 2, "b" * 64)]
    text = LAYOUTS["canonical"].manifests(files, facts)["manifest.csv"]
    assert text.endswith("\n")
    assert "\r" not in text
    reader = csv.DictReader(io.StringIO(text))
    (row,) = reader
    assert tuple(reader.fieldnames or ()) == contracts.load("landing.extract_manifest").column_names
    known = {"file_name": "patient.parquet", "table_name": "patient", "source_system": "SYNTHETIC", "row_count": "3"}
    assert known.items() <= row.items()
    assert (row["byte_count"], row["sha256"]) == ("99", "a" * 64)
    assert {name: told[name] for name in told if name in row}.items() <= row.items()


def test_a_hospital_file_is_named_with_its_table_and_its_window():
    files = [WrittenFile(name, 1, 2, "b" * 64) for name in ("HES_APC_2627.csv", "SUS_InsertDeleteLog_2627.csv")]
    text = LAYOUTS["emis"].manifests(files, replace(DELTA, replaces_from=date(2026, 8, 10)))["manifest.csv"]
    names = ("table_name", "is_delta", "replaces_from", "replaces_to")
    assert [tuple(row[name] for name in names) for row in csv.DictReader(io.StringIO(text))] == [
        ("apc_episode", "true", "2026-08-10", "2026-11-08"),
        ("apc_episode", "true", "", ""),  # the log withdraws rows, it replaces no window
    ]


@pytest.mark.parametrize(
    ("layout", "readable"),
    [pytest.param("emis", id_of_guid, id="emis"), pytest.param("systmone", id_of_number, id="tpp")],
)
def test_files_beside_know_a_patient_by_the_suppliers_id(layout, readable):
    asked = {"org_code": "Y00001", "source_patient_id": "000001", "request_id": "Q1"}
    names = contracts.load("landing.home_visit_request").column_names
    rows = pl.DataFrame([{name: asked.get(name) for name in names}], schema=dict.fromkeys(names, pl.String))
    made = LAYOUTS[layout].files({**frames(), "home_visit_request": rows}, BULK)["home_visit_request.csv"]
    assert made["source_patient_id"].to_list() != ["000001"]
    assert [readable(each) for each in made["source_patient_id"]] == ["000001"]


@pytest.mark.parametrize(("facts", "rows"), [pytest.param(BULK, [], id="bulk"), pytest.param(DELTA, ["1"], id="delta")])
def test_a_systmone_delta_takes_back_a_number_that_is_not_there_any_more(facts, rows):
    gone = frames({"patient": [{**BASE["patient"][0], "phone_mobile": None}]})
    made = LAYOUTS["systmone"].files(gone, facts)["SRPatientContactDetails.csv"]
    assert made["RemovedData"].to_list() == rows


# Ids


@pytest.mark.parametrize("own", ["V00300000012", "1", "000001", "BP00000001", "M0001-000001", "Y", "D001000001001109"])
def test_an_id_is_read_back_from_its_guid_and_from_its_number(own):
    ids = pl.Series("id", [own, None, "X9"])
    assert [id_of_guid(each) for each in guids(ids)] == [own, None, "X9"]
    assert [id_of_number(each) for each in numbers(ids)] == [own, None, "X9"]


def test_ids_of_many_forms_together_each_have_a_guid_and_a_number_of_their_own():
    ids = ["12", "A12", "AB12", "B12", "A1B2", "A1-2", "a12", "-", "A", "AB", "A-AB1", "", "0012", "A0012", "_ ~9"]
    column = pl.Series("id", ids)
    assert [id_of_guid(each) for each in guids(column)] == ids
    assert [id_of_number(each) for each in numbers(column)] == ids


def test_the_examples_in_words_are_right():
    ids = pl.Series("id", ["V00300000012"])
    assert guids(ids).to_list() == ["{A5600300-0000-12FF-FFFF-FFFFFFFFFFFF}"]
    assert numbers(ids).to_list() == ["115400300000012"]


def test_an_id_too_long_for_a_guid_is_refused_without_saying_it():
    with pytest.raises(SettingsError, match="at most 32 places") as refused:
        guids(pl.Series("source_event_id", ["9" * 33]))
    assert "source_event_id" in str(refused.value)
    assert "999" not in str(refused.value)


def test_making_each_different_value_once_gives_what_making_all_gives():
    ids = pl.Series("id", ["A1", None, "B2", "A1"])
    assert each_once(ids, guids).to_list() == guids(ids).to_list()
    assert each_once(ids.clear(), guids).to_list() == []
    assert each_once(pl.Series("id", [None, None], dtype=pl.String), guids).to_list() == [None, None]
