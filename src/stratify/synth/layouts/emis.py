"""An EMIS-style set: the CSV tables of the bulk extract, version 8.2, as a practice's supplier sends them.

Files are ``{ProcessingId}_{Schema}_{Table}_{yyyyMMddHHmmss}_{sharing agreement}.csv``; the processing id is 1000 and
the week, the moment 23:59 of the cutoff, the agreement a GUID made of the seed. All 21 tables are there, those without
rows as a header. UTF-8, comma, CRLF, quotes where needed, dates ``yyyy-MM-dd``, times ``HH:mm:ss``, true and false,
GUIDs in braces (see ``identifiers``; unique only with ``OrganisationGuid``). The published specification shows some
dates and times as spreadsheet numbers; the supplier's files have them as here. The quoting, the line end and the words
of slot statuses, contact modes and registration history are not specified: they are our choice. Hospital files and the
tables no GP system sends stand beside in their own forms (``hospital``, ``canonical``).

================================ ====================================================================================
landing                          EMIS
================================ ====================================================================================
org_code, everywhere             ``OrganisationGuid``: with ``Admin_Organisation.ODSCode``
source_patient_id, everywhere    ``PatientGuid``
is_deleted, everywhere           ``Deleted``
**patient**                      ``Admin_Patient``, a row each
nhs_number                       ``NhsNumber``
family_name, given_names, title  ``Surname``; ``GivenName`` (to the first space) and ``MiddleNames``; ``Title``
phone_mobile, email              ``MobilePhone``, ``EmailAddress``
address_lines                    parts between ", ": ``HouseNameFlatNumber``, ``NumberAndStreet``, ``Village``,
                                 ``Town``, ``County`` in this order: one part is the street; of two, street and town;
                                 of three, house, street and town; of four the village too, of more the county
postcode                         ``Postcode`` without its space
date_of_birth, date_of_death     ``DateOfBirth``, ``DateOfDeath``
sex                              ``Sex``
is_test_patient                  ``DummyType``
is_spine_sensitive               ``SpineSensitive``
is_confidential                  ``IsConfidential``
**registration**                 ``Admin_Patient`` holds the latest one: ``DateOfRegistration``, ``DateofDeactivation``,
                                 ``PatientTypeDescription`` (Regular, Temporary, Private, Other) and
                                 ``UsualGpUserInRoleGuid`` (the GUID of usual_gp_id); ``Admin_PatientHistory`` has every
                                 one: a row "Registered" on start_date and a row with end_reason ("Deducted" without
                                 one) on end_date, at 00:00:00
**gp_event**                     ``CareRecord_Observation`` with ``ObservationType`` "Observation"
source_event_id                  ``ObservationGuid``
snomed_code, snomed_term         by ``CodeId`` in ``Coding_ClinicalCode``: ``SnomedCTConceptId``, ``Term``
original_code                    the same row's ``ReadTermId``
effective_date, ..._precision    ``EffectiveDate``, ``EffectiveDatePrecision`` (YMD, YM, Y, U)
recorded_at                      ``EnteredDate``, ``EnteredTime``
episodicity                      ``Episode``, with a capital
is_problem, problem_status       a row of ``CareRecord_Problem``: ``ProblemStatusDescription`` (Active Problem, Past
                                 Problem); not a problem: no row
encounter_id                     ``ConsultationGuid``, with a row of ``CareRecord_Consultation``
is_confidential                  ``IsConfidential``
**gp_observation**               ``CareRecord_Observation`` with ``ObservationType`` "Value"; as gp_event, and
value_num, unit_raw              ``Value``, ``NumericUnit``
range_low, range_high            ``NumericRangeLow``, ``NumericRangeHigh``
parent_event_id                  ``ParentObservationGuid``
**gp_medication**                ``Prescribing_IssueRecord``
source_issue_id                  ``IssueRecordGuid``
issue_date                       ``EffectiveDate`` and ``EnteredDate``
dmd_code, dmd_term               by ``CodeId`` in ``Coding_DrugCode``: ``DmdProductCodeId``, ``Term``
original_code                    ``EmisCode``
quantity, quantity_unit          ``Quantity``, ``QuantityUnit``
course_days                      ``CourseDurationInDays``
drug_record_id                   ``DrugRecordGuid``, with a row of ``Prescribing_DrugRecord``, which holds
                                 prescription_type (``PrescriptionType``: Acute, Repeat, Repeat Dispensing, Automatic),
                                 is_active (``IsActive``) and cancelled_date (``CancellationDate``) of the latest issue
**gp_appointment**               ``Appointment_Slot``
source_slot_id                   ``SlotGuid``
start_at, booked_at              ``AppointmentDate``, ``AppointmentStartTime``; ``BookedDate``, ``BookedTime``
duration_min                     ``PlannedDurationInMinutes``
status                           ``SlotStatus``, see ``SLOT_STATUS``; ``DidNotAttend`` is true for DNA alone
mode, national_category          ``ModeOfContact``, see ``CONTACT_MODE``; ``NationalSlotCategoryName``
clinician_role                   ``SlotType``
================================ ====================================================================================

What has no row of ours but is in every such set: a **parent observation** (no value, type "Value") for each
parent_event_id that is no entry itself, coded as a blood pressure reading over pressures and as a test over others.
Whoever reads the files drops it: it is named as a parent and has no value. A delta gives the whole of the two
dictionaries its rows need, also codes sent before, and the entries that its values name as their parents.

**What EMIS cannot carry**, and is lost: the comparator of a value (">90" is read as 90: fault U4 of nhs-data.md 2.2);
nhs_number_status (in the layout, never filled); ethnic_category, preferred_language, interpreter_needed, ais_format,
contact_preference and has_digital_access (real records have coded entries instead); lsoa11, lsoa21, imd_decile and
imd_version (found from the postcode); source_registration_id, practice_code where it is not the publisher, and the
usual GP and type of any registration but the latest; a withdrawn registration (it is simply not there any more);
original_system; dmd_level and bnf_code (``BNFChapterRef`` is empty since 8.1); prescription_type, is_active and
cancelled_date of all but the latest issue of a drug record, and of issues without a record.

``Admin_Patient`` is one overwritten row that holds patient and registration, so a delta must give all rows of both
tables for a record of which one changed (``Layout.whole_of``).

Source: EMIS extract specification 8.2 as published in NHSISL/Datasets; ../shared/domain/nhs-data.md 1.1.
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import PurePath

import polars as pl

from stratify.synth.layouts.canonical import canonical_files, canonical_manifest, canonical_style
from stratify.synth.layouts.hospital import HOSPITAL_TABLES, hospital_files
from stratify.synth.layouts.identifiers import each_once, guids
from stratify.synth.layouts.layout import ExtractFacts, Files, FileStyle, Layout, Tables, empty, in_columns, table_of

SLOT_STATUS = {
    "BOOKED": "Booked",
    "ATTENDED": "Left",
    "DNA": "DNA",
    "CANCELLED_PATIENT": "Cancelled by Patient",
    "CANCELLED_UNIT": "Cancelled by Unit",
    "OTHER": "Other",
}
CONTACT_MODE = {
    "face_to_face": "Face to Face",
    "telephone": "Telephone",
    "video": "Video",
    "home_visit": "Home Visit",
    "online": "Online",
}

_GP_TABLES = ("patient", "registration", "gp_event", "gp_observation", "gp_medication", "gp_appointment")
_ENTERED = ("EffectiveDate", "EffectiveDatePrecision", "EnteredDate", "EnteredTime")
_BY = ("ClinicianUserInRoleGuid", "EnteredByUserInRoleGuid")
_RECORD = ("PatientGuid", "OrganisationGuid")
TABLES: dict[str, tuple[str, ...]] = {
    "Admin_Location": (
        "LocationGuid", "LocationName", "LocationTypeDescription", "ParentLocationGuid", "OpenDate", "CloseDate",
        "MainContactName", "FaxNumber", "EmailAddress", "PhoneNumber", "HouseNameFlatNumber", "NumberAndStreet",
        "Village", "Town", "County", "Postcode", "Deleted", "ProcessingId",
    ),
    "Admin_Organisation": (
        "OrganisationGuid", "CDB", "OrganisationName", "ODSCode", "ParentOrganisationGuid", "CCGOrganisationGuid",
        "OrganisationType", "OpenDate", "CloseDate", "MainLocationGuid", "ProcessingId",
    ),
    "Admin_OrganisationLocation": ("OrganisationGuid", "LocationGuid", "IsMainLocation", "Deleted", "ProcessingId"),
    "Admin_Patient": (
        *_RECORD, "UsualGpUserInRoleGuid", "Sex", "DateOfBirth", "DateOfDeath", "Title", "GivenName", "MiddleNames",
        "Surname", "DateOfRegistration", "NhsNumber", "PatientNumber", "PatientTypeDescription", "DummyType",
        "HouseNameFlatNumber", "NumberAndStreet", "Village", "Town", "County", "Postcode", "ResidentialInstituteCode",
        "NHSNumberStatus", "CarerName", "CarerRelation", "PersonGuid", "DateofDeactivation", "Deleted",
        "SpineSensitive", "IsConfidential", "EmailAddress", "HomePhone", "MobilePhone", "ExternalUsualGPGuid",
        "ExternalUsualGP", "ExternalUsualGPOrganisation", "ContactComments", "ProcessingId",
    ),
    "Admin_PatientHistory": (*_RECORD, "HistoryDate", "HistoryTime", "StatusDescription", "ProcessingId"),
    "Admin_UserInRole": (
        "UserInRoleGuid", "OrganisationGuid", "Title", "GivenName", "Surname", "JobCategoryCode", "JobCategoryName",
        "ContractStartDate", "ContractEndDate", "RegistrationNumber", "ProcessingId",
    ),
    "Agreements_SharingOrganisation": ("OrganisationGuid", "IsActivated", "LastModifiedDate", "Disabled", "Deleted"),
    "Appointment_Session": (
        "AppointmentSessionGuid", "Description", "LocationGuid", "SessionTypeDescription",
        "SessionCategoryDisplayName", "StartDate", "StartTime", "EndDate", "EndTime", "Private", "OrganisationGuid",
        "Deleted", "ProcessingId",
    ),
    "Appointment_SessionUser": ("SessionGuid", "UserInRoleGuid", "Deleted", "ProcessingId"),
    "Appointment_Slot": (
        "SlotGuid", "AppointmentDate", "AppointmentStartTime", "PlannedDurationInMinutes", "PatientGuid", "SendInTime",
        "LeftTime", "DidNotAttend", "PatientWaitInMin", "AppointmentDelayInMin", "ActualDurationInMinutes",
        "OrganisationGuid", "SessionGuid", "DnaReasonCodeId", "BookedDate", "BookedTime", "SlotStatus", "SlotType",
        "IsBookableOnline", "BookingMethod", "ExternalPatientGuid", "ExternalPatientOrganisation", "ModeOfContact",
        "IsBlocked", "ContextType", "ServiceSetting", "NationalSlotCategoryName", "NationalSlotCategoryDescription",
        "Deleted", "ProcessingId",
    ),
    "Audit_PatientAudit": (
        "ItemGuid", *_RECORD, "ModifiedDate", "ModifiedTime", "UserInRoleGuid", "ItemType", "ModeType", "ProcessingId",
    ),
    "Audit_RegistrationAudit": (
        *_RECORD, "ModifiedDate", "ModifiedTime", "UserInRoleGuid", "ModeType", "ProcessingId",
    ),
    "CareRecord_Consultation": (
        "ConsultationGuid", *_RECORD, *_ENTERED, *_BY, "AppointmentSlotGuid", "ConsultationSourceTerm",
        "ConsultationSourceCodeId", "Complete", "ConsultationType", "Deleted", "IsConfidential", "ProcessingId",
    ),
    "CareRecord_Diary": (
        "DiaryGuid", *_RECORD, *_ENTERED, *_BY, "CodeId", "OriginalTerm", "DurationTerm", "LocationTypeDescription",
        "Deleted", "IsConfidential", "IsActive", "IsComplete", "ConsultationGuid", "ProcessingId",
    ),
    "CareRecord_Observation": (
        "ObservationGuid", *_RECORD, *_ENTERED, *_BY, "ParentObservationGuid", "CodeId", "ProblemGuid",
        "ConsultationGuid", "Value", "NumericUnit", "ObservationType", "NumericRangeLow", "NumericRangeHigh",
        "DocumentGuid", "Qualifiers", "Abnormal", "AbnormalReason", "Episode", "Deleted", "IsConfidential",
        "ProcessingId",
    ),
    "CareRecord_ObservationReferral": (
        "ObservationGuid", *_RECORD, "ReferralTargetOrganisationGuid", "ReferralUrgency", "ReferralServiceType",
        "ReferralMode", "ReferralReceivedDate", "ReferralReceivedTime", "ReferralEndDate", "ReferralSourceId",
        "ReferralSourceOrganisationGuid", "ReferralUBRN", "ReferralReasonCodeId",
        "ReferringCareProfessionalStaffGroupCodeId", "ReferralEpisodeRTTMeasurementTypeId",
        "ReferralEpisodeClosureDate", "ReferralEpisodeDischargeLetterIssuedDate", "ReferralClosureReasonCodeId",
        "TransportRequired", "ProcessingId",
    ),
    "CareRecord_Problem": (
        "ObservationGuid", *_RECORD, "ParentProblemObservationGuid", "Deleted", "EndDate", "EndDatePrecision",
        "ExpectedDuration", "LastReviewDate", "LastReviewDatePrecision", "LastReviewUserInRoleGuid",
        "ParentProblemRelationship", "ProblemStatusDescription", "SignificanceDescription", "ProcessingId",
    ),
    "Coding_ClinicalCode": (
        "CodeId", "Term", "ReadTermId", "SnomedCTConceptId", "SnomedCTDescriptionId", "NationalCode",
        "NationalCodeCategory", "NationalDescription", "EmisCodeCategoryDescription", "ParentCodeID", "ProcessingId",
    ),
    "Coding_DrugCode": ("CodeId", "Term", "DmdProductCodeId", "BNFChapterRef", "ProcessingId"),
    "Prescribing_DrugRecord": (
        "DrugRecordGuid", *_RECORD, *_ENTERED, *_BY, "CodeId", "Dosage", "Quantity", "QuantityUnit",
        "ProblemObservationGuid", "PrescriptionType", "IsActive", "CancellationDate", "NumberOfIssues",
        "NumberOfIssuesAuthorised", "IsConfidential", "Deleted", "ExpiryDate", "ProcessingId",
    ),
    "Prescribing_IssueRecord": (
        "IssueRecordGuid", *_RECORD, "DrugRecordGuid", *_ENTERED, *_BY, "CodeId", "Dosage", "Quantity", "QuantityUnit",
        "ProblemObservationGuid", "CourseDurationInDays", "EstimatedNhsCost", "IsConfidential", "EmisCode",
        "PatientMessage", "ScriptPharmacyStamp", "Compliance", "AverageCompliance", "IsPrescribedAsContraceptive",
        "IsPrivatelyPrescribed", "PharmacyMessage", "PharmacyText", "ConsultationGuid", "ExpiryDate", "ReviewDate",
        "IssueMethodDescription", "Deleted", "ProcessingId",
    ),
}  # fmt: skip
"""Columns of the tables, in the order of the specification."""

# Practices tell the same of these; the dictionaries hold one row a code.
_SHARED = {
    "Admin_UserInRole": ("OrganisationGuid", "UserInRoleGuid"),
    "Coding_ClinicalCode": ("CodeId",),
    "Coding_DrugCode": ("CodeId",),
}

_PRESSURES = ("72313002", "1091811000000102", "271649006", "271650006")
_PRESSURE_READING = ("163020007", "O/E - blood pressure reading")
_TEST = ("15220000", "Laboratory test")
_CODE = ("snomed_code", "snomed_term", "original_code")
_DRUG = ("dmd_code", "dmd_term")
_BETWEEN = "\x1f"


def emis_files(tables: Tables, facts: ExtractFacts) -> Files:
    """Give a practice's share of every file of the set."""
    entries, codes = _entries(tables)
    issues, drugs = _issues(table_of(tables, "gp_medication"))
    made = {
        **_organisations(table_of(tables, "practice")),
        **_records(table_of(tables, "patient"), table_of(tables, "registration")),
        **entries,
        **issues,
        "Appointment_Slot": _slots(table_of(tables, "gp_appointment")),
        "Coding_ClinicalCode": codes,
        "Coding_DrugCode": drugs,
    }
    processing_id, moment, agreement = f"{1000 + facts.week}", f"{facts.cutoff:%Y%m%d}235900", _agreement(facts.seed)
    return {
        **{
            f"{processing_id}_{table}_{moment}_{agreement}.csv": in_columns(
                made[table].with_columns(ProcessingId=pl.lit(processing_id)), columns
            )
            if table in made
            else empty(columns)
            for table, columns in TABLES.items()
        },
        **hospital_files(tables, facts),
        **canonical_files(tables, without=(*_GP_TABLES, *HOSPITAL_TABLES), patient_ids=guids),
    }


def emis_style(name: str) -> FileStyle:
    """Give the style of a file of the set."""
    parts = PurePath(name).stem.split("_")
    table = "_".join(parts[1:3])
    if len(parts) == 5 and table in TABLES:
        return FileStyle(line_terminator="\r\n", unique_key=_SHARED.get(table))
    return canonical_style(name)


EMIS = Layout(
    "emis", emis_style, emis_files, canonical_manifest, whole_of=("patient", "registration"), has_headings=True
)


def _agreement(seed: int) -> str:
    digest = hashlib.sha256(f"sharing agreement of county {seed}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16])).upper()


def _of_record(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """Make the two columns that say whose record a row is in."""
    return {
        "PatientGuid": each_once(rows["source_patient_id"], guids),
        "OrganisationGuid": each_once(rows["org_code"], guids),
    }


def _date_and_time(name: str) -> tuple[pl.Expr, pl.Expr]:
    """Part ``2026-11-02T09:30:00`` at its T; a text without one is all date."""
    return pl.col(name).str.slice(0, 10), pl.col(name).str.slice(11).replace("", None)


def _organisations(practices: pl.DataFrame) -> Files:
    named = pl.select(
        OrganisationGuid=guids(practices["practice_code"]),
        LocationGuid=guids(practices["practice_code"]),
        OrganisationName=practices["practice_name"],
        ODSCode=practices["practice_code"],
        OrganisationType=pl.lit("General Practice"),
        LocationTypeDescription=pl.lit("Main Surgery"),
        OpenDate=practices["valid_from"],
        CloseDate=practices["valid_to"],
        LastModifiedDate=practices["valid_from"] + " 00:00:00",
        yes=pl.lit("true"),
        no=pl.lit("false"),
    )
    return {
        "Admin_Organisation": named.with_columns(MainLocationGuid="LocationGuid"),
        "Admin_Location": named.with_columns(LocationName="OrganisationName", Deleted="no"),
        "Admin_OrganisationLocation": named.with_columns(IsMainLocation="yes", Deleted="no"),
        "Agreements_SharingOrganisation": named.with_columns(IsActivated="yes", Disabled="no", Deleted="no"),
    }


def _records(patients: pl.DataFrame, registrations: pl.DataFrame) -> Files:
    record = ["org_code", "source_patient_id"]
    standing = registrations.filter(~pl.col("is_deleted").eq_missing("true")).sort(
        "start_date",
        pl.col("end_date").fill_null("~"),
        "source_registration_id",
        nulls_last=False,
        maintain_order=True,
    )
    latest = standing.unique(record, keep="last", maintain_order=True).select(
        *record,
        "usual_gp_id",
        DateOfRegistration="start_date",
        DateofDeactivation="end_date",
        PatientTypeDescription=pl.col("registration_type").str.to_titlecase(),
    )
    known = patients.join(latest, on=record, how="left", maintain_order="left")
    address = pl.col("address_lines").str.split(", ")
    parts = address.list.len()
    # A fifth part and what follows it is the county.
    rest = address.list.slice(4).list.join(", ")
    names = pl.col("given_names").str.splitn(" ", 2)
    admin = known.with_columns(
        **_of_record(known),
        PersonGuid=guids(known["org_code"] + "." + known["source_patient_id"]),
        UsualGpUserInRoleGuid=each_once(known["usual_gp_id"], guids),
        GivenName=names.struct.field("field_0"),
        MiddleNames=names.struct.field("field_1"),
        HouseNameFlatNumber=pl.when(parts >= 3).then(address.list.get(0, null_on_oob=True)),
        NumberAndStreet=pl.when(parts >= 3)
        .then(address.list.get(1, null_on_oob=True))
        .otherwise(address.list.get(0, null_on_oob=True)),
        Village=pl.when(parts >= 4).then(address.list.get(2, null_on_oob=True)),
        Town=pl.when(parts == 2)
        .then(address.list.get(1, null_on_oob=True))
        .when(parts == 3)
        .then(address.list.get(2, null_on_oob=True))
        .when(parts >= 4)
        .then(address.list.get(3, null_on_oob=True)),
        County=pl.when(parts >= 5).then(rest),
        Postcode=pl.col("postcode").str.replace_all(" ", "", literal=True),
    ).rename(
        {
            "sex": "Sex",
            "date_of_birth": "DateOfBirth",
            "date_of_death": "DateOfDeath",
            "title": "Title",
            "family_name": "Surname",
            "nhs_number": "NhsNumber",
            "is_test_patient": "DummyType",
            "is_deleted": "Deleted",
            "is_spine_sensitive": "SpineSensitive",
            "is_confidential": "IsConfidential",
            "email": "EmailAddress",
            "phone_mobile": "MobilePhone",
        }
    )
    whose = standing.with_columns(**_of_record(standing), HistoryTime=pl.lit("00:00:00"))
    history = pl.concat(
        [
            whose.filter(pl.col("start_date").is_not_null()).with_columns(
                HistoryDate="start_date", StatusDescription=pl.lit("Registered")
            ),
            whose.filter(pl.col("end_date").is_not_null()).with_columns(
                HistoryDate="end_date", StatusDescription=pl.col("end_reason").fill_null("Deducted")
            ),
        ]
    )
    doctors = registrations.filter(pl.col("usual_gp_id").is_not_null()).unique(
        ["org_code", "usual_gp_id"], keep="first", maintain_order=True
    )
    return {
        "Admin_Patient": admin,
        "Admin_PatientHistory": history,
        "Admin_UserInRole": doctors.with_columns(
            UserInRoleGuid=guids(doctors["usual_gp_id"]),
            OrganisationGuid=each_once(doctors["org_code"], guids),
            JobCategoryCode=pl.lit("R0260"),
            JobCategoryName=pl.lit("General Medical Practitioner"),
        ),
    }


def _entries(tables: Tables) -> tuple[Files, pl.DataFrame]:
    """Give coded entries of both kinds with their parents, problems and consultations, and the codes they need."""
    events, values = table_of(tables, "gp_event"), table_of(tables, "gp_observation")
    parents = _parents(values, events)
    parts = []
    for rows, kind in ((events, "Observation"), (parents, "Value"), (values, "Value")):
        of_kind = in_columns(
            rows.with_columns(ObservationType=pl.lit(kind)),
            (
                "org_code", "source_patient_id", "source_event_id", *_CODE, "effective_date", "effective_precision",
                "recorded_at", "episodicity", "encounter_id", "value_num", "unit_raw", "range_low", "range_high",
                "parent_event_id", "is_confidential", "is_deleted", "is_problem", "problem_status", "ObservationType",
            ),
        )  # fmt: skip
        parts.append(of_kind)
    rows = pl.concat(parts)
    code_ids, codes = _dictionary(rows, _CODE)
    entered_date, entered_time = _date_and_time("recorded_at")
    rows = rows.with_columns(
        **_of_record(rows),
        CodeId=code_ids,
        ObservationGuid=guids(rows["source_event_id"]),
        ParentObservationGuid=guids(rows["parent_event_id"]),
        ConsultationGuid=guids(rows["encounter_id"]),
        EnteredDate=entered_date,
        EnteredTime=entered_time,
        Episode=pl.col("episodicity").str.to_titlecase(),
    ).rename(
        {
            "effective_date": "EffectiveDate",
            "effective_precision": "EffectiveDatePrecision",
            "value_num": "Value",
            "unit_raw": "NumericUnit",
            "range_low": "NumericRangeLow",
            "range_high": "NumericRangeHigh",
            "is_confidential": "IsConfidential",
            "is_deleted": "Deleted",
        }
    )
    problems = rows.filter(pl.col("is_problem") == "true").with_columns(
        ProblemStatusDescription=pl.col("problem_status").str.to_titlecase() + " Problem"
    )
    consultations = (
        rows.filter(pl.col("ConsultationGuid").is_not_null())
        .unique(["OrganisationGuid", "ConsultationGuid"], keep="first", maintain_order=True)
        .with_columns(Deleted=pl.lit("false"), IsConfidential=pl.lit("false"))
    )
    return (
        {"CareRecord_Observation": rows, "CareRecord_Problem": problems, "CareRecord_Consultation": consultations},
        codes.rename(
            {"snomed_code": "SnomedCTConceptId", "snomed_term": "Term", "original_code": "ReadTermId"},
        ),
    )


def _parents(values: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Give an entry for each parent that is named and not there; it has its first child's day and stands."""
    entry = ["org_code", "source_event_id"]
    children = values.filter(pl.col("parent_event_id").is_not_null())
    missing = (
        children.with_columns(source_event_id="parent_event_id", is_pressure=pl.col("snomed_code").is_in(_PRESSURES))
        .unique(entry, keep="first", maintain_order=True)
        .join(pl.concat([values.select(entry), events.select(entry)]), on=entry, how="anti", maintain_order="left")
    )
    reading, test = pl.lit(_PRESSURE_READING[0]), pl.lit(_TEST[0])
    return missing.select(
        *entry,
        "source_patient_id",
        "effective_date",
        "effective_precision",
        "recorded_at",
        snomed_code=pl.when("is_pressure").then(reading).otherwise(test),
        snomed_term=pl.when("is_pressure").then(pl.lit(_PRESSURE_READING[1])).otherwise(pl.lit(_TEST[1])),
        is_confidential=pl.lit("false"),
        is_deleted=pl.lit("false"),
    )


def _dictionary(rows: pl.DataFrame, columns: tuple[str, ...]) -> tuple[pl.Series, pl.DataFrame]:
    """Give each row's code id, and the code of each id.

    An id is made of what it stands for alone, so every practice and every week gives a code the same one.
    """
    key = rows.select(pl.concat_str([pl.col(name).fill_null("") for name in columns], separator=_BETWEEN)).to_series()
    codes = rows.select(*columns, key=key).unique("key", keep="first", maintain_order=True)
    ids = pl.Series(values=[_code_id(each) for each in codes["key"].to_list()], dtype=pl.String)
    code_ids = key if codes.is_empty() else key.replace_strict(codes["key"], ids, return_dtype=pl.String)
    return code_ids, codes.drop("key").with_columns(CodeId=ids)


def _code_id(key: str) -> str:
    """Make a positive number of at most 18 digits, as a SNOMED CT id has."""
    return str(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % 10**18)


def _issues(rows: pl.DataFrame) -> tuple[Files, pl.DataFrame]:
    """Give issues with their drug records, and the drugs they need."""
    code_ids, drugs = _dictionary(rows, _DRUG)
    issues = rows.with_columns(
        **_of_record(rows),
        CodeId=code_ids,
        IssueRecordGuid=guids(rows["source_issue_id"]),
        DrugRecordGuid=each_once(rows["drug_record_id"], guids),
        EffectiveDate="issue_date",
        EnteredDate="issue_date",
        EffectiveDatePrecision=pl.lit("YMD"),
        IsConfidential=pl.lit("false"),
    ).rename(
        {
            "quantity": "Quantity",
            "quantity_unit": "QuantityUnit",
            "course_days": "CourseDurationInDays",
            "original_code": "EmisCode",
            "is_deleted": "Deleted",
        }
    )
    record = ["OrganisationGuid", "PatientGuid", "DrugRecordGuid"]
    records = (
        issues.filter(pl.col("DrugRecordGuid").is_not_null())
        .select(
            *record, "CodeId", "Quantity", "QuantityUnit", "prescription_type", "is_active", "cancelled_date",
            "EffectiveDate", "EffectiveDatePrecision", "EnteredDate", "IsConfidential",
        )
        .sort("EffectiveDate", maintain_order=True, nulls_last=False)
        .group_by(record, maintain_order=True)
        .agg(pl.exclude("EffectiveDate", "EnteredDate").last(), pl.col("EffectiveDate", "EnteredDate").first())
        .with_columns(
            PrescriptionType=pl.col("prescription_type").str.replace("_", " ", literal=True).str.to_titlecase(),
            Deleted=pl.lit("false"),
        )
        .rename({"is_active": "IsActive", "cancelled_date": "CancellationDate"})
        .sort(record)
    )  # fmt: skip
    return (
        {"Prescribing_IssueRecord": issues, "Prescribing_DrugRecord": records},
        drugs.rename({"dmd_code": "DmdProductCodeId", "dmd_term": "Term"}),
    )


def _slots(rows: pl.DataFrame) -> pl.DataFrame:
    date, time = _date_and_time("start_at")
    booked_date, booked_time = _date_and_time("booked_at")
    status = pl.col("status")
    return rows.with_columns(
        **_of_record(rows),
        SlotGuid=guids(rows["source_slot_id"]),
        AppointmentDate=date,
        AppointmentStartTime=time,
        BookedDate=booked_date,
        BookedTime=booked_time,
        DidNotAttend=pl.when(status == "DNA").then(pl.lit("true")).otherwise(pl.lit("false")),
        # A status that is no word of ours is left as it is.
        SlotStatus=status.replace(SLOT_STATUS),
        ModeOfContact=pl.col("mode").replace(CONTACT_MODE),
        IsBlocked=pl.lit("false"),
    ).rename(
        {
            "duration_min": "PlannedDurationInMinutes",
            "national_category": "NationalSlotCategoryName",
            "clinician_role": "SlotType",
            "is_deleted": "Deleted",
        }
    )
