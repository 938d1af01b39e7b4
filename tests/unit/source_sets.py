"""Small hand-made sets of each supplier's layout, for the tests of sources: one practice, invented people."""

import csv
import hashlib
import io
from datetime import date
from pathlib import Path

import polars as pl

from stratify import contracts
from stratify.ingest import SOURCES
from stratify.ingest.sources.reading import NOT_CARRIED

CANARY = "CANARYNAME"
MOMENT, AGREEMENT = "20260104235900", "6C03B94B-C669-666A-87A3-90E8AED9E4C8"
LAST_DAY = date(2026, 1, 4)
PRACTICE = {
    "practice_code": "A10001",
    "practice_name": "Test Surgery",
    "pcn_code": "U10001",
    "pcn_name": "Test Network",
    "icb_code": "QZZ",
    "valid_from": "2020-04-01",
}
SESSION = {
    "clinic_id": "copd_clinic",
    "practice_code": "A10001",
    "clinic_date": "2026-01-05",
    "role": "nurse",
    "slots": "4",
}
OPT_OUT = {"nhs_number": "9990000107", "opt_out_type": "NDO", "is_opted_out": "false", "checked_at": "2026-01-04"}
BESIDE = {"practice": [PRACTICE], "clinic_capacity": [SESSION], "opt_out": [OPT_OUT]}

ORG, P1, P2 = "{00A10001}", "{P1}", "{P2}"
_KEY = {"OrganisationGuid": ORG, "PatientGuid": P1}
_ENTERED = {"EnteredDate": "2025-11-05", "EnteredTime": "09:30:00"}
EMIS = {
    "Admin_Organisation": [{"OrganisationGuid": ORG, "ODSCode": "A10001"}],
    "Admin_Patient": [
        {
            **_KEY, "Surname": CANARY, "GivenName": "Mary", "MiddleNames": "Ann", "Sex": "F", "NhsNumber": "9990000107",
            "DateOfBirth": "1950-03-02", "DateOfRegistration": "2010-06-01", "PatientTypeDescription": "Regular",
            "UsualGpUserInRoleGuid": "{GP}", "HouseNameFlatNumber": "Home 3", "NumberAndStreet": "Orchard Close",
            "Town": "Valeton", "Postcode": "QZ12ZZ", "DummyType": "false", "Deleted": "false",
        },
        {
            **_KEY, "PatientGuid": P2, "Sex": "M", "DateOfBirth": "1943-12-11", "DateOfRegistration": "2004-06-17",
            "DateofDeactivation": "2025-02-03", "PatientTypeDescription": "Temporary", "Deleted": "true",
        },
    ],
    "Admin_PatientHistory": [
        {**_KEY, "HistoryDate": "1999-05-01", "StatusDescription": "Registered"},
        {**_KEY, "HistoryDate": "2008-02-03", "StatusDescription": "Deducted"},
        {**_KEY, "HistoryDate": "2010-06-01", "StatusDescription": "Registered"},
        {**_KEY, "PatientGuid": P2, "HistoryDate": "2004-06-17", "StatusDescription": "Registered"},
        {**_KEY, "PatientGuid": P2, "HistoryDate": "2025-02-03", "StatusDescription": "Left area"},
    ],
    "CareRecord_Observation": [
        {
            **_KEY, **_ENTERED, "ObservationGuid": "{O1}", "CodeId": "7", "EffectiveDate": "2015-03-04",
            "EffectiveDatePrecision": "YM", "ObservationType": "Observation", "Episode": "First", "Deleted": "false",
        },
        {**_KEY, "ObservationGuid": "{BP}", "CodeId": "8", "ObservationType": "Value", "Deleted": "false"},
        {
            **_KEY, **_ENTERED, "ObservationGuid": "{O2}", "CodeId": "8", "ObservationType": "Value", "Value": "148",
            "NumericUnit": "mmHg", "ParentObservationGuid": "{BP}", "EffectiveDate": "45000", "Deleted": "true",
        },
        {
            **_KEY, **_ENTERED, "ObservationGuid": "{O3}", "CodeId": "8", "ObservationType": "Investigation",
            "Value": "81", "EffectiveDate": "2025-11-05", "Deleted": "perhaps",
        },
    ],
    "CareRecord_Problem": [
        {**_KEY, "ObservationGuid": "{O1}", "ProblemStatusDescription": "Active Problem", "Deleted": "false"}
    ],
    "Coding_ClinicalCode": [
        {"CodeId": "7", "Term": "COPD", "ReadTermId": "H3", "SnomedCTConceptId": "13645005"},
        {"CodeId": "8", "Term": "Systolic", "SnomedCTConceptId": "72313002"},
    ],
    "Coding_DrugCode": [{"CodeId": "9", "Term": "Salbutamol", "DmdProductCodeId": "35936411000001109"}],
    "Prescribing_DrugRecord": [
        {**_KEY, "DrugRecordGuid": "{D1}", "PrescriptionType": "Repeat Dispensing", "IsActive": "true"}
    ],
    "Prescribing_IssueRecord": [
        {
            **_KEY, "IssueRecordGuid": "{I1}", "DrugRecordGuid": "{D1}", "CodeId": "9", "EffectiveDate": "2025-12-01",
            "Quantity": "1", "QuantityUnit": "inhaler", "CourseDurationInDays": "56", "Deleted": "false",
        }
    ],
    "Appointment_Slot": [
        {
            **_KEY, "SlotGuid": "{S1}", "AppointmentDate": "2025-12-01", "AppointmentStartTime": "09:30:00",
            "SlotStatus": "Left", "ModeOfContact": "Telephone", "Deleted": "false",
        }
    ],
}  # fmt: skip

_AT = {"IDOrganisationVisibleTo": "A10001", "RemovedData": "0"}
SYSTMONE = {
    "SRPatient": [
        {
            **_AT, "RowIdentifier": "11", "FirstName": "Zoë", "Surname": CANARY, "NHSNumber": "9990000107",
            "DateBirth": "02 Mar 1950 00:00", "Gender": "F", "SpeaksEnglish": "TRUE", "TestPatient": "FALSE",
            "SpineMatched": "TRUE",
        },
        {**_AT, "RowIdentifier": "12", "DateBirth": "1943-12-11", "Gender": "M", "SpineMatched": "FALSE"},
    ],
    "SRPatientContactDetails": [
        {**_AT, "IDPatient": "11", "ContactType": "Mobile", "ContactNumber": "1", "DateEvent": "05 Jun 2020 00:00:00"},
        {**_AT, "IDPatient": "11", "ContactType": "Mobile", "ContactNumber": "2", "DateEvent": "01 Dec 2021 00:00:00"},
        {**_AT, "IDPatient": "11", "ContactType": "Home", "ContactNumber": "3", "DateEvent": "01 Dec 2022 00:00:00"},
        {
            **_AT, "IDPatient": "11", "ContactType": "Mobile", "ContactNumber": "4", "RemovedData": "1",
            "DateEvent": "01 Dec 2023 00:00:00",
        },
    ],
    "SRPatientAddressHistory": [
        {
            **_AT, "IDPatient": "11", "NumberOfBuilding": "12", "NameOfRoad": "High Street", "NameOfTown": "Valeton",
            "FullPostCode": "QZ1 2ZZ",
        },
        {**_AT, "IDPatient": "11", "NameOfTown": "Old Town", "DateTo": "01 Jan 2015 00:00:00"},
    ],
    "SRPatientRegistration": [
        {
            **_AT, "RowIdentifier": "21", "IDPatient": "11", "DateRegistration": "01 May 1999 00:00:00",
            "RegistrationStatus": "GMS", "IDOrganisationRegisteredAt": "A10001",
        }
    ],
    "SRCode": [
        {
            **_AT, "RowIdentifier": "31", "IDPatient": "11", "SNOMEDCode": "13645005", "IsNumeric": "FALSE",
            "DateEvent": "04 Mar 2015 00:00:00", "DateEventRecorded": "05 Mar 2015 10:11:12", "EpisodeType": "First",
        },
        {
            **_AT, "RowIdentifier": "32", "IDPatient": "11", "CTV3Code": "451E.", "IsNumeric": "TRUE",
            "NumericComparator": ">", "NumericValue": "90", "NumericUnit": "mL/min", "DateEvent": "5 Nov 2025",
            "RemovedData": "1",
        },
    ],
    "SRPrimaryCareMedication": [
        {
            **_AT, "RowIdentifier": "41", "IDPatient": "11", "IDMultiLexDMD": "35936411000001109",
            "DateEvent": "01 Dec 2025 00:00:00", "DateMedicationStart": "01 Dec 2025 00:00:00",
            "DateMedicationEnd": "26 Jan 2026 00:00:00", "MedicationQuantity": "28 tablets of 5 mg",
            "IsRepeatMedication": "FALSE",
        }
    ],
    "SRAppointment": [
        {
            **_AT, "RowIdentifier": "51", "IDPatient": "11", "DateStart": "01 Dec 2025 23:50:00",
            "DateEnd": "02 Dec 2025 00:05:00", "AppointmentStatus": "Did Not Attend", "TelephoneAppointment": "TRUE",
        }
    ],
}  # fmt: skip
HES = {
    "HES_APC_2526": [
        {
            "EPIKEY": "1", "NHSNUMBER": "9990000107", "PROVSPNOPS": "S1", "ADMIDATE": "2025-05-06", "ADMIMETH": "21",
            "EPISTART": "2025-05-06", "EPIORDER": "1", "CLASSPAT": "1", "DIAG_4_01": "J440", "OPERTN_4_01": "-",
            "PROCODE5": "RXX01",
        },
        {"EPIKEY": "2", "PROCODE5": "RXX01"},
    ],
    "HES_OP_2526": [
        {"ATTENDKEY": "3", "ATTENDID": "A3", "APPTDATE": "2025-05-07", "ATTENDED": "5", "PROCODE5": "RXX01"}
    ],
    "ECDS_2526": [
        {
            "EC_Ident": "4", "Provider_Code": "RXX01", "Arrival_Date": "2025-05-06", "Arrival_Time": "10:16:00",
            "SDEC_Indicator": "N",
        }
    ],
    "SUS_InsertDeleteLog_2526": [
        {"DATASET": "APC", "PROCODE5": "RXX01", "PRIMARYKEY_ID": "2", "dmicIsDeleted": "1"},
        {"DATASET": "OP", "PROCODE5": "RXX01", "PRIMARYKEY_ID": "1", "dmicIsDeleted": "1"},
    ],
}  # fmt: skip


def emis_name(table, number=1000, moment=MOMENT):
    return f"{number}_{table}_{moment}_{AGREEMENT}.csv"


def csv_text(header, rows, *, delimiter=",", line_end="\n"):
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", delimiter=delimiter, lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def header_of(source, name):
    """The newest header that a source declares for a file name."""
    file = next(each for each in SOURCES[source].declaration.files.values() if each.pattern.fullmatch(name))
    return file.header(file.versions[0].version)


def write_emis(folder: Path, **changes):
    """Write the EMIS set; a change is the rows of a table, a text instead of the file, or None for no file."""
    for table, rows in (EMIS | changes).items():
        _write(folder / emis_name(table), "emis_gp_only", rows, line_end="\r\n")
    return beside(folder)


def write_systmone(folder: Path, *, manifest=True, **changes):
    for name, rows in (SYSTMONE | changes).items():
        _write(folder / f"{name}.csv", "systmone_gp_only", rows, line_end="\r\n", encoding="cp1252")
    if manifest:
        names = [path.stem for path in sorted(folder.glob("SR*.csv"))]
        write_sr_manifest(folder, [(name, "N", "20260104_2359") for name in names])
    return beside(folder)


def write_sr_manifest(folder: Path, lines, *, first=""):
    rows = [
        {"FileName": name, "IsDelta": delta, "IsReference": "N", "DateExtractFrom": first, "DateExtractTo": last}
        for name, delta, last in lines
    ]
    (folder / "SRManifest.csv").write_text(csv_text(list(rows[0]), rows), encoding="utf-8")


def write_hes(folder: Path, **changes):
    for name, rows in (HES | changes).items():
        _write(folder / f"{name}.csv", "hes", rows)
    return folder


def beside(folder: Path):
    """Write the files no GP system sends, in the canonical layout, with a manifest: a whole extract."""
    for table, rows in BESIDE.items():
        header = contracts.load(f"landing.{table}").column_names
        (folder / f"{table}.csv").write_text(csv_text(header, rows), encoding="utf-8")
    return write_manifest(folder, [f"{table}.csv" for table in BESIDE])


def write_manifest(folder: Path, names, tables=(), *, afresh=False, **period):
    """Name files in manifest.csv, unless ``afresh`` after those it names: whole unless ``period`` says otherwise."""
    path = folder / "manifest.csv"
    columns = contracts.load("landing.extract_manifest").column_names
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) if path.exists() and not afresh else []
    for place, name in enumerate(names):
        content = (folder / name).read_bytes()
        line = {
            "file_name": name, "table_name": tables[place] if tables else Path(name).stem, "source_system": "X",
            "row_count": content.count(b"\n") - 1, "byte_count": len(content),
            "sha256": hashlib.sha256(content).hexdigest(), "period_to": LAST_DAY.isoformat(), "is_delta": "false",
        }  # fmt: skip
        rows = [row for row in rows if row["file_name"] != name] + [dict.fromkeys(columns, "") | line | period]
    path.write_text(csv_text(columns, rows), encoding="utf-8")
    return folder


def _write(path: Path, source, rows, *, line_end="\n", encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    if rows is None:
        return
    text = rows if isinstance(rows, str) else csv_text(header_of(source, path.name), rows, line_end=line_end)
    path.write_bytes(text.encode(encoding))


def prepared(source, folder: Path, scratch: Path):
    """Give the landing tables a source makes of a folder, as frames."""
    landing = SOURCES[source].read(folder, scratch)
    return {path.stem: pl.read_parquet(path) for path in landing.glob("*.parquet")}


def left_behind(scratch: Path):
    frame = pl.read_csv(scratch / NOT_CARRIED)
    return {(name, reason): count for name, reason, count in frame.iter_rows()}
