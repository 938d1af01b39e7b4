"""A SystmOne-style set: the CSV files of TPP's Strategic Reporting extract.

Windows code page 1252, every value in quotes, CRLF, dates ``dd MMM yyyy`` with times ``HH:mm:ss`` (``HH:mm`` in
``SRPatient``; a day without a time has nought hours), TRUE and FALSE, ``RemovedData`` 1 for a row withdrawn and else 0.
``SRManifest.csv`` has a line a file: name without ending, whether it is a delta (Y, N) or reference, and the moments it
covers as ``yyyyMMdd_HHmm``; a bulk has no beginning, and both ends are 23:59 of a cutoff. Organisations are ODS codes;
other ids are numbers (``n`` below; see ``identifiers``). Hospital files and the tables no GP system sends stand beside
in their own forms (``hospital``, ``canonical``) with their own ``manifest.csv``.

============================== ======================================================================================
landing                        SystmOne
============================== ======================================================================================
org_code, everywhere           ``IDOrganisationVisibleTo`` and ``IDOrganisation`` (and others of the kind)
source_patient_id, everywhere  ``IDPatient`` = n (``RowIdentifier`` in ``SRPatient``)
is_deleted, everywhere         ``RemovedData``
**patient**                    ``SRPatient``
nhs_number                     ``NHSNumber``; nhs_number_status: ``SpineMatched`` is TRUE for 01
family_name, given_names       ``Surname``; ``FirstName`` (to the first space) and ``MiddleNames``
title, email, sex              ``Title``, ``EmailAddress``, ``Gender``
date_of_birth, date_of_death   ``DateBirth``, ``DateDeath``
preferred_language             ``SpeaksEnglish``: TRUE for en
is_test_patient                ``TestPatient``
phone_mobile                   ``SRPatientContactDetails.ContactNumber`` of type Mobile; RowIdentifier as the patient's
address_lines, postcode        ``SRPatientAddressHistory``: the address to its last ", " is ``NameOfRoad``, the rest
                               ``NameOfTown``; ``FullPostCode``; RowIdentifier as the patient's
**registration**               ``SRPatientRegistration``
source_registration_id         ``RowIdentifier`` = n
practice_code                  ``IDOrganisationRegisteredAt``
start_date, end_date           ``DateRegistration``, ``DateDeRegistration``
registration_type              ``RegistrationStatus``, see ``REGISTRATION_STATUS``
**gp_event**                   ``SRCode`` with ``IsNumeric`` FALSE
source_event_id                ``RowIdentifier`` = n
snomed_code, snomed_term       ``SNOMEDCode``, ``SNOMEDText``
original_code                  ``CTV3Code``
effective_date, recorded_at    ``DateEvent``, ``DateEventRecorded``
episodicity                    ``EpisodeType``, with a capital
encounter_id                   ``IDEvent`` = n
**gp_observation**             ``SRCode`` with ``IsNumeric`` TRUE; as gp_event, and
value_num, comparator          ``NumericValue``, ``NumericComparator``
unit_raw                       ``NumericUnit``
parent_event_id                ``IDEvent`` = n: entries of one event belong together
**gp_medication**              ``SRPrimaryCareMedication``
source_issue_id                ``RowIdentifier`` = n
issue_date                     ``DateEvent``, ``DateEventRecorded``, ``DateMedicationStart``
course_days                    ``DateMedicationEnd`` less ``DateMedicationStart``
dmd_code, dmd_term             ``IDMultiLexDMD``, ``NameOfMedication``
quantity, quantity_unit        ``MedicationQuantity``, with a space between
prescription_type              ``IsRepeatMedication``: FALSE for acute
drug_record_id                 ``IDRepeatTemplate`` = n
**gp_appointment**             ``SRAppointment``
source_slot_id                 ``RowIdentifier`` = n
start_at, duration_min         ``DateStart``, and ``DateEnd`` less it; booked_at ``DateAppointmentBooked``
status                         ``AppointmentStatus``, see ``APPOINTMENT_STATUS``
mode                           ``TelephoneAppointment``: TRUE for telephone
national_category              ``RotaType``; clinician_role ``RotaName``
**practice**                   ``SROrganisation``: ``ID`` is the ODS code, ``Name`` the name
============================== ======================================================================================

**What SystmOne cannot carry**, and is lost: effective_precision (a date known to the year is read as a full date);
is_spine_sensitive (people so marked have no address in the file only if they have none here) and is_confidential;
nhs_number_status but for verified or not; ethnic_category, interpreter_needed, ais_format, contact_preference,
has_digital_access and languages but English (coded entries in real records); lsoa11, lsoa21, imd_decile, imd_version
(found from the postcode); end_reason and usual_gp_id; is_problem and problem_status; range_low and range_high;
original_system; whether an issue is repeat, repeat dispensing or automatic; dmd_level, bnf_code, is_active,
cancelled_date and original_code of an issue; the mode of an appointment but for telephone.

A date or time that is not written as the contract says goes through as it is.

Source: the columns a public reader of these files expects (endeavourhealth/Transforms, SFTPReader), the version with
SNOMED codes and RemovedData; ../shared/domain/nhs-data.md 1.2. The words of statuses that it does not list are ours.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import PurePath

import polars as pl

from stratify.synth.layouts.canonical import canonical_files, canonical_manifest, canonical_style
from stratify.synth.layouts.hospital import HOSPITAL_TABLES, hospital_files
from stratify.synth.layouts.identifiers import each_once, numbers
from stratify.synth.layouts.layout import (
    ExtractFacts,
    Files,
    FileStyle,
    Layout,
    Tables,
    WrittenFile,
    in_columns,
    table_of,
)

REGISTRATION_STATUS = {
    "REGULAR": "GMS",
    "TEMPORARY": "Temporary Resident",
    "PRIVATE": "Private",
    "OTHER": "Other",
}
APPOINTMENT_STATUS = {
    "BOOKED": "Booked",
    "ATTENDED": "Finished",
    "DNA": "Did Not Attend",
    "CANCELLED_PATIENT": "Cancelled by Patient",
    "CANCELLED_UNIT": "Cancelled by Unit",
    "OTHER": "Cancelled by Other Service",
}

_GP_TABLES = ("patient", "registration", "gp_event", "gp_observation", "gp_medication", "gp_appointment")
_DONE = (
    "RowIdentifier", "IDOrganisationVisibleTo", "DateEventRecorded", "DateEvent", "IDProfileEnteredBy", "IDDoneBy",
    "TextualEventDoneBy", "IDOrganisationDoneAt",
)  # fmt: skip
FILES: dict[str, tuple[str, ...]] = {
    "SRPatient": (
        "RowIdentifier", "IDOrganisationVisibleTo", "Title", "FirstName", "MiddleNames", "Surname", "PreviousSurname",
        "NHSNumber", "DateBirth", "DateDeath", "BirthPlace", "Gender", "SpeaksEnglish", "EmailAddress", "TestPatient",
        "SSRef", "SpineMatched", "RemovedData",
    ),
    "SRPatientContactDetails": (
        *_DONE, "ContactType", "ContactNumber", "IDEvent", "IDPatient", "IDOrganisation", "IDOrganisationRegisteredAt",
        "RemovedData",
    ),
    "SRPatientAddressHistory": (
        *_DONE, "NameOfBuilding", "NumberOfBuilding", "NameOfRoad", "NameOfLocality", "NameOfTown", "NameOfCounty",
        "FullPostCode", "DateTo", "AddressType", "IDEvent", "IDPatient", "IDOrganisation", "CcgOfResidence",
        "IDOrganisationRegisteredAt", "RemovedData",
    ),
    "SRPatientRegistration": (
        "RowIdentifier", "IDOrganisationVisibleTo", "DateEventRecorded", "IDProfileEnteredBy", "DateRegistration",
        "DateDeRegistration", "RegistrationStatus", "PreferredPharmacy", "IDPatient", "IDOrganisation",
        "IDOrganisationRegisteredAt", "RemovedData",
    ),
    "SRCode": (
        *_DONE, "CTV3Code", "CTV3Text", "SNOMEDCode", "SNOMEDText", "NumericComparator", "IsNumeric", "NumericValue",
        "NumericUnit", "EpisodeType", "IDTemplate", "IDEvent", "IDPatient", "IDReferralIn", "IDAppointment", "IDVisit",
        "IDOrganisation", "IDOrganisationRegisteredAt", "RemovedData",
    ),
    "SRPrimaryCareMedication": (
        *_DONE, "IDMultiLexProduct", "IDMultiLexPack", "IDMultiLexDMD", "NameOfMedication", "DateMedicationStart",
        "DateMedicationEnd", "MedicationDosage", "MedicationQuantity", "IsSupervised", "SupervisedDose",
        "UnsupervisedDose", "IsRepeatMedication", "IsOtherMedication", "IsDentalMedication", "IsHospitalMedication",
        "IDRepeatTemplate", "IDReferralIn", "IDEvent", "IDPatient", "IDOrganisation", "IDOrganisationRegisteredAt",
        "RemovedData",
    ),
    "SRAppointment": (
        "RowIdentifier", "IDOrganisationVisibleTo", "DateStart", "DateEnd", "AppointmentStatus",
        "DateAppointmentBooked", "DatePatientArrival", "DatePatientSeen", "FollowUpAppointment",
        "TelephoneAppointment", "IDClinician", "IDProfileClinician", "RotaName", "RotaType", "RotaLocation",
        "RotaCode", "IDRotaOwner", "IDProfileRotaOwner", "AllowsOverbooking", "BookingContactNumber",
        "DateAppointmentCancelled", "IDRota", "IDReferralIn", "IDPatient", "IDOrganisation",
        "IDOrganisationRegisteredAt", "RemovedData",
    ),
    "SROrganisation": (
        "RowIdentifier", "Name", "ID", "HouseName", "HouseNumber", "NameOfRoad", "NameOfLocality", "NameOfTown",
        "NameOfCounty", "FullPostCode", "Telephone", "SecondaryTelephone", "Fax", "MadeObsolete", "IDTrust", "IDCcg",
        "RemovedData",
    ),
}  # fmt: skip
"""Columns of the files, in order."""
MANIFEST = "SRManifest.csv"

_FLAG = {"true": "TRUE", "false": "FALSE"}
_REMOVED = pl.col("is_deleted").eq_missing("true").replace_strict({True: "1", False: "0"}, return_dtype=pl.String)


def systmone_files(tables: Tables, facts: ExtractFacts) -> Files:
    """Give a practice's share of every file of the set."""
    patients = table_of(tables, "patient")
    made = {
        "SRPatient": _patients(patients),
        "SRPatientContactDetails": _contacts(patients, facts),
        "SRPatientAddressHistory": _addresses(patients, facts),
        "SRPatientRegistration": _registrations(table_of(tables, "registration")),
        "SRCode": _codes(table_of(tables, "gp_event"), table_of(tables, "gp_observation")),
        "SRPrimaryCareMedication": _medication(table_of(tables, "gp_medication")),
        "SRAppointment": _appointments(table_of(tables, "gp_appointment")),
        "SROrganisation": _organisations(table_of(tables, "practice")),
    }
    return {
        **{f"{name}.csv": in_columns(made[name], columns) for name, columns in FILES.items()},
        **hospital_files(tables, facts),
        **canonical_files(tables, without=(*_GP_TABLES, *HOSPITAL_TABLES), patient_ids=numbers),
    }


def systmone_style(name: str) -> FileStyle:
    """Give the style of a file of the set."""
    if PurePath(name).stem in FILES:
        return FileStyle("cp1252", "\r\n", "always")
    return canonical_style(name)


def systmone_manifests(files: Sequence[WrittenFile], facts: ExtractFacts) -> dict[str, str]:
    """Give ``SRManifest.csv`` for the supplier's files, and ``manifest.csv`` for those in canonical form."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(("FileName", "IsDelta", "IsReference", "DateExtractFrom", "DateExtractTo"))
    for file in files:
        name = PurePath(file.name).stem
        if name in FILES:
            is_reference = "Y" if name == "SROrganisation" else "N"
            is_delta = "Y" if facts.is_delta else "N"
            writer.writerow((name, is_delta, is_reference, _moment(facts.previous_cutoff), _moment(facts.cutoff)))
    return {MANIFEST: text.getvalue(), **canonical_manifest(files, facts)}


SYSTMONE = Layout("systmone", systmone_style, systmone_files, systmone_manifests)


def _moment(day: date | None) -> str:
    return "" if day is None else f"{day:%Y%m%d}_2359"


def _of_organisation() -> dict[str, pl.Expr]:
    return dict.fromkeys(
        ("IDOrganisationVisibleTo", "IDOrganisation", "IDOrganisationDoneAt", "IDOrganisationRegisteredAt"),
        pl.col("org_code"),
    )


def _dates(values: pl.Series, time: str = " 00:00:00") -> pl.Series:
    """Write ISO dates the supplier's way, each different one once."""
    return each_once(
        values,
        lambda days: pl.select(
            pl.coalesce(days.str.to_date("%Y-%m-%d", strict=False).dt.strftime("%d %b %Y") + time, days)
        ).to_series(),
    )


def _moments(values: pl.Series) -> pl.Series:
    """Write ISO moments the supplier's way."""
    day, time = values.str.slice(0, 10), values.str.slice(10)
    written = _dates(day, "") + time.str.replace("T", " ", literal=True)
    return pl.select(
        pl.when(time.str.starts_with("T")).then(written).when(time == "").then(_dates(day)).otherwise(values)
    ).to_series()


def _flags(name: str) -> pl.Expr:
    return pl.col(name).replace(_FLAG)


def _patients(rows: pl.DataFrame) -> pl.DataFrame:
    names = pl.col("given_names").str.splitn(" ", 2)
    return rows.select(
        **_of_organisation(),
        RowIdentifier=numbers(rows["source_patient_id"]),
        Title="title",
        FirstName=names.struct.field("field_0"),
        MiddleNames=names.struct.field("field_1"),
        Surname="family_name",
        NHSNumber="nhs_number",
        DateBirth=_dates(rows["date_of_birth"], " 00:00"),
        DateDeath=_dates(rows["date_of_death"], " 00:00"),
        Gender="sex",
        SpeaksEnglish=_yes(pl.col("preferred_language") == "en"),
        EmailAddress="email",
        TestPatient=_flags("is_test_patient"),
        SpineMatched=_yes(pl.col("nhs_number_status") == "01"),
        RemovedData=_REMOVED,
    )


def _yes(condition: pl.Expr) -> pl.Expr:
    return condition.replace_strict({True: "TRUE", False: "FALSE"}, default=None, return_dtype=pl.String)


def _removed(has_one: pl.Expr) -> pl.Expr:
    """Write whether a row that hangs on the patient's is withdrawn: with it, or as there is nothing in it any more."""
    return pl.when(has_one).then(_REMOVED).otherwise(pl.lit("1"))


def _contacts(rows: pl.DataFrame, facts: ExtractFacts) -> pl.DataFrame:
    has_one = pl.col("phone_mobile").is_not_null()
    some = rows if facts.is_delta else rows.filter(has_one)
    own = numbers(some["source_patient_id"])
    return some.select(
        **_of_organisation(),
        RowIdentifier=own,
        IDPatient=own,
        ContactType=pl.lit("Mobile"),
        ContactNumber="phone_mobile",
        RemovedData=_removed(has_one),
    )


def _addresses(rows: pl.DataFrame, facts: ExtractFacts) -> pl.DataFrame:
    has_one = pl.col("address_lines").is_not_null() | pl.col("postcode").is_not_null()
    some = rows if facts.is_delta else rows.filter(has_one)
    own = numbers(some["source_patient_id"])
    lines = pl.col("address_lines").str.split(", ")
    return some.select(
        **_of_organisation(),
        RowIdentifier=own,
        IDPatient=own,
        NameOfRoad=pl.when(lines.list.len() > 1).then(lines.list.head(lines.list.len() - 1).list.join(", ")),
        NameOfTown=lines.list.last(),
        FullPostCode="postcode",
        AddressType=pl.lit("Home"),
        RemovedData=_removed(has_one),
    )


def _registrations(rows: pl.DataFrame) -> pl.DataFrame:
    started = _dates(rows["start_date"])
    return rows.select(
        **{**_of_organisation(), "IDOrganisationRegisteredAt": pl.col("practice_code")},
        RowIdentifier=numbers(rows["source_registration_id"]),
        DateEventRecorded=started,
        DateRegistration=started,
        DateDeRegistration=_dates(rows["end_date"]),
        RegistrationStatus=pl.col("registration_type").replace(REGISTRATION_STATUS),
        IDPatient=numbers(rows["source_patient_id"]),
        RemovedData=_REMOVED,
    )


def _codes(events: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    columns = (
        "org_code", "source_patient_id", "source_event_id", "snomed_code", "snomed_term", "original_code",
        "effective_date", "recorded_at", "episodicity", "group", "comparator", "value_num", "unit_raw", "is_deleted",
        "IsNumeric",
    )  # fmt: skip
    rows = pl.concat(
        [
            in_columns(events.with_columns(group="encounter_id", IsNumeric=pl.lit("FALSE")), columns),
            in_columns(values.with_columns(group="parent_event_id", IsNumeric=pl.lit("TRUE")), columns),
        ]
    )
    return rows.select(
        **_of_organisation(),
        RowIdentifier=numbers(rows["source_event_id"]),
        DateEventRecorded=_moments(rows["recorded_at"]),
        DateEvent=_dates(rows["effective_date"]),
        CTV3Code="original_code",
        SNOMEDCode="snomed_code",
        SNOMEDText="snomed_term",
        NumericComparator="comparator",
        IsNumeric="IsNumeric",
        NumericValue="value_num",
        NumericUnit="unit_raw",
        EpisodeType=pl.col("episodicity").str.to_titlecase(),
        IDEvent=numbers(rows["group"]),
        IDPatient=each_once(rows["source_patient_id"], numbers),
        RemovedData=_REMOVED,
    )


def _medication(rows: pl.DataFrame) -> pl.DataFrame:
    issued = _dates(rows["issue_date"])
    days = pl.col("course_days").cast(pl.Int32, strict=False)
    end = rows.select(
        pl.col("issue_date").str.to_date("%Y-%m-%d", strict=False).dt.offset_by(pl.format("{}d", days)).cast(pl.String)
    ).to_series()
    return rows.select(
        **_of_organisation(),
        RowIdentifier=numbers(rows["source_issue_id"]),
        DateEventRecorded=issued,
        DateEvent=issued,
        IDMultiLexDMD="dmd_code",
        NameOfMedication="dmd_term",
        DateMedicationStart=issued,
        DateMedicationEnd=_dates(end),
        MedicationQuantity=pl.concat_str(["quantity", "quantity_unit"], separator=" ", ignore_nulls=True).replace(
            "", None
        ),
        IsRepeatMedication=_yes(pl.col("prescription_type") != "acute"),
        IDRepeatTemplate=each_once(rows["drug_record_id"], numbers),
        IDPatient=each_once(rows["source_patient_id"], numbers),
        RemovedData=_REMOVED,
    )


def _appointments(rows: pl.DataFrame) -> pl.DataFrame:
    minutes = pl.col("duration_min").cast(pl.Int64, strict=False)
    end = rows.select(
        pl.col("start_at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False) + pl.duration(minutes=minutes)
    ).to_series()
    return rows.select(
        **_of_organisation(),
        RowIdentifier=numbers(rows["source_slot_id"]),
        DateStart=_moments(rows["start_at"]),
        DateEnd=end.dt.strftime("%d %b %Y %H:%M:%S"),
        AppointmentStatus=pl.col("status").replace(APPOINTMENT_STATUS),
        DateAppointmentBooked=_moments(rows["booked_at"]),
        TelephoneAppointment=_yes(pl.col("mode") == "telephone"),
        RotaName="clinician_role",
        RotaType="national_category",
        IDPatient=each_once(rows["source_patient_id"], numbers),
        RemovedData=_REMOVED,
    )


def _organisations(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        RowIdentifier=numbers(rows["practice_code"]), Name="practice_name", ID="practice_code", RemovedData=pl.lit("0")
    )
