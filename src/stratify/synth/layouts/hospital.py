"""Hospital files as a commissioner's local SUS copy has them: HES-style inpatient and outpatient, ECDS-style emergency.

Four files, each named after the financial year the extract ends in (``HES_APC_2627.csv``); the year of a row is in
``FYEAR``. UTF-8, ISO dates, no quotes, as in the artificial HES data that NHS England publishes. Columns are a part of
those of that data (HES) or bear the names in use for ECDS tables, and three that only identifiable copies have:
``NHSNUMBER``, ``NHSNOIND`` (NHS NUMBER STATUS INDICATOR CODE) and ``PROVSPNOPS`` (the provider's spell number); public
HES has a pseudonym and no spell number instead. ``n`` below is the number of an id, as ``identifiers`` writes it.

======================== ============================================================================================
landing.apc_episode      ``HES_APC``: one row per episode
======================== ============================================================================================
provider_code            ``PROCODE5``; ``PROCODE3`` is its first three characters
cds_unique_id            ``EPIKEY`` = n
nhs_number, ..._status   ``NHSNUMBER``, ``NHSNOIND``
spell_id                 ``PROVSPNOPS``
episode_order            ``EPIORDER``
admission_date           ``ADMIDATE``; discharge_date ``DISDATE``; episode_start ``EPISTART``; episode_end ``EPIEND``
admission_method         ``ADMIMETH``; admission_source ``ADMISORC``; patient_class ``CLASSPAT``
discharge_method         ``DISMETH``; discharge_destination ``DISDEST``
treatment_function       ``TRETSPEF``; main_specialty ``MAINSPEF``
diag_01 .. diag_20       ``DIAG_4_01`` ..: a code of three characters is filled up with ``X`` (``R54X``)
opertn_01 .. opertn_24   ``OPERTN_4_01`` ..: ``-`` in the first where nothing was done
ethnic_category          ``ETHNOS``; practice_code_at_event ``GPPRAC``
not carried              update_type, freeze_status, is_legally_restricted
reckoned                 ``FYEAR`` (of the episode's end, or its start while it lasts), ``EPISTAT``, ``EPITYPE``,
                         ``EPIDUR``, ``SPELBGIN``, ``SPELEND``, ``DIAG_COUNT``, ``OPERTN_COUNT``
landing.op_attendance    ``HES_OP``: one row per appointment
attendance_id            ``ATTENDID`` as it is, ``ATTENDKEY`` = n
appointment_date         ``APPTDATE``; referral_date ``REQDATE``; attended ``ATTENDED``; first_attendance ``FIRSTATT``
treatment_function       ``TRETSPEF``; outcome ``OUTCOME``; provider and NHS number as above
landing.ed_attendance    ``ECDS``: one row per attendance
provider_code            ``Provider_Code``; attendance_id ``EC_Ident`` = n
arrival_at               ``Arrival_Date``, ``Arrival_Time``; departure_at ``EC_Departure_Date``, ``EC_Departure_Time``
arrival_mode             ``EC_Arrival_Mode_SNOMED_CT``; chief_complaint ``EC_Chief_Complaint_SNOMED_CT``
attendance_category      ``EC_AttendanceCategory``; department_type ``EC_Department_Type``
diagnosis_01 .. 03       ``EC_Diagnosis_01`` ..
discharge_status         ``EC_Discharge_Status_SNOMED_CT``; discharge_destination ``Discharge_Destination_SNOMED_CT``
is_sdec                  ``SDEC_Indicator`` (Y, N)
is_deleted, of all three ``SUS_InsertDeleteLog``: a row withdrawn is in none of the files above, only here, by
                         ``DATASET`` (APC, OP, EC), ``PROCODE5``, ``PRIMARYKEY_ID`` (the n above), ``dmicIsDeleted`` = 1
======================== ============================================================================================
"""

from __future__ import annotations

from datetime import date

import polars as pl

from stratify.synth.layouts.identifiers import each_once, numbers
from stratify.synth.layouts.layout import ExtractFacts, Files, Tables, in_columns, table_of

HOSPITAL_TABLES = ("apc_episode", "op_attendance", "ed_attendance")

_DIAGNOSES = tuple(f"DIAG_4_{place:02d}" for place in range(1, 21))
_PROCEDURES = tuple(f"OPERTN_4_{place:02d}" for place in range(1, 25))
APC_COLUMNS = (
    "FYEAR", "EPIKEY", "NHSNUMBER", "NHSNOIND", "PROVSPNOPS", "ADMIDATE", "ADMIMETH", "ADMISORC", "CLASSPAT",
    *_DIAGNOSES, "DIAG_COUNT", "DISDATE", "DISDEST", "DISMETH", "EPIDUR", "EPIEND", "EPIORDER", "EPISTART", "EPISTAT",
    "EPITYPE", "ETHNOS", "GPPRAC", "MAINSPEF", *_PROCEDURES, "OPERTN_COUNT", "PROCODE3", "PROCODE5", "SPELBGIN",
    "SPELEND", "TRETSPEF",
)  # fmt: skip
OP_COLUMNS = (
    "FYEAR", "ATTENDKEY", "NHSNUMBER", "NHSNOIND", "APPTDATE", "ATTENDED", "ATTENDID", "FIRSTATT", "OUTCOME",
    "PROCODE3", "PROCODE5", "REQDATE", "TRETSPEF",
)  # fmt: skip
ED_COLUMNS = (
    "EC_Ident", "NHSNUMBER", "NHSNOIND", "Provider_Code", "EC_Department_Type", "EC_AttendanceCategory",
    "Arrival_Date", "Arrival_Time", "EC_Arrival_Mode_SNOMED_CT", "EC_Chief_Complaint_SNOMED_CT", "EC_Diagnosis_01",
    "EC_Diagnosis_02", "EC_Diagnosis_03", "EC_Departure_Date", "EC_Departure_Time", "EC_Discharge_Status_SNOMED_CT",
    "Discharge_Destination_SNOMED_CT", "SDEC_Indicator",
)  # fmt: skip
LOG_COLUMNS = ("DATASET", "PROCODE5", "PRIMARYKEY_ID", "dmicIsDeleted")

_IDENTITY = {"nhs_number": "NHSNUMBER", "nhs_number_status": "NHSNOIND"}
_APC_NAMES = {
    **_IDENTITY,
    "provider_code": "PROCODE5",
    "spell_id": "PROVSPNOPS",
    "episode_order": "EPIORDER",
    "admission_date": "ADMIDATE",
    "discharge_date": "DISDATE",
    "episode_start": "EPISTART",
    "episode_end": "EPIEND",
    "admission_method": "ADMIMETH",
    "admission_source": "ADMISORC",
    "discharge_method": "DISMETH",
    "discharge_destination": "DISDEST",
    "patient_class": "CLASSPAT",
    "treatment_function": "TRETSPEF",
    "main_specialty": "MAINSPEF",
    "ethnic_category": "ETHNOS",
    "practice_code_at_event": "GPPRAC",
    **{f"diag_{name[-2:]}": name for name in _DIAGNOSES},
    **{f"opertn_{name[-2:]}": name for name in _PROCEDURES},
}
_OP_NAMES = {
    **_IDENTITY,
    "provider_code": "PROCODE5",
    "attendance_id": "ATTENDID",
    "appointment_date": "APPTDATE",
    "attended": "ATTENDED",
    "first_attendance": "FIRSTATT",
    "treatment_function": "TRETSPEF",
    "outcome": "OUTCOME",
    "referral_date": "REQDATE",
}
_ED_NAMES = {
    **_IDENTITY,
    "provider_code": "Provider_Code",
    "arrival_mode": "EC_Arrival_Mode_SNOMED_CT",
    "attendance_category": "EC_AttendanceCategory",
    "department_type": "EC_Department_Type",
    "chief_complaint": "EC_Chief_Complaint_SNOMED_CT",
    "diagnosis_01": "EC_Diagnosis_01",
    "diagnosis_02": "EC_Diagnosis_02",
    "diagnosis_03": "EC_Diagnosis_03",
    "discharge_status": "EC_Discharge_Status_SNOMED_CT",
    "discharge_destination": "Discharge_Destination_SNOMED_CT",
}


def hospital_files(tables: Tables, facts: ExtractFacts) -> Files:
    """Give a practice's share of the four hospital files."""
    year = _financial_year(facts.cutoff)
    apc, apc_gone = _standing(table_of(tables, "apc_episode"))
    op, op_gone = _standing(table_of(tables, "op_attendance"))
    ed, ed_gone = _standing(table_of(tables, "ed_attendance"))
    log = [
        pl.select(
            PROCODE5=gone["provider_code"],
            PRIMARYKEY_ID=numbers(gone[key]),
            DATASET=pl.lit(dataset),
            dmicIsDeleted=pl.lit("1"),
        )
        for dataset, gone, key in (
            ("APC", apc_gone, "cds_unique_id"),
            ("OP", op_gone, "attendance_id"),
            ("EC", ed_gone, "attendance_id"),
        )
    ]
    return {
        f"HES_APC_{year}.csv": _apc_rows(apc),
        f"HES_OP_{year}.csv": _op_rows(op),
        f"ECDS_{year}.csv": _ed_rows(ed),
        f"SUS_InsertDeleteLog_{year}.csv": in_columns(pl.concat(log), LOG_COLUMNS),
    }


def _standing(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part rows that stand from rows withdrawn."""
    withdrawn = pl.col("is_deleted").eq_missing("true")
    return rows.filter(~withdrawn), rows.filter(withdrawn)


def _apc_rows(rows: pl.DataFrame) -> pl.DataFrame:
    start, end = (pl.col(name).str.to_date("%Y-%m-%d", strict=False) for name in ("EPISTART", "EPIEND"))
    named = rows.rename(_APC_NAMES).with_columns(
        EPIKEY=numbers(rows["cds_unique_id"]),
        FYEAR=each_once(rows["episode_end"].fill_null(rows["episode_start"]), _financial_years),
    )
    renumbered = named.with_columns(
        # HES writes a category that has no fourth character with an X in its place.
        *(
            pl.col(name) + pl.when(pl.col(name).str.len_bytes() == 3).then(pl.lit("X")).otherwise(pl.lit(""))
            for name in _DIAGNOSES
        ),
        pl.col("OPERTN_4_01").fill_null("-"),
        PROCODE3=pl.col("PROCODE5").str.slice(0, 3),
        DIAG_COUNT=_filled(_DIAGNOSES),
        OPERTN_COUNT=_filled(_PROCEDURES),
        EPIDUR=(end - start).dt.total_days().cast(pl.String),
        EPISTAT=pl.when(pl.col("EPIEND").is_null()).then(pl.lit("1")).otherwise(pl.lit("3")),
        EPITYPE=pl.lit("1"),
        SPELBGIN=pl.when(pl.col("EPIORDER") == "1").then(pl.lit("2")).otherwise(pl.lit("0")),
        SPELEND=pl.when(pl.col("EPIEND") == pl.col("DISDATE")).then(pl.lit("Y")).otherwise(pl.lit("N")),
    )
    return in_columns(renumbered, APC_COLUMNS)


def _op_rows(rows: pl.DataFrame) -> pl.DataFrame:
    named = rows.rename(_OP_NAMES).with_columns(
        ATTENDKEY=numbers(rows["attendance_id"]),
        FYEAR=each_once(rows["appointment_date"], _financial_years),
        PROCODE3=rows["provider_code"].str.slice(0, 3),
    )
    return in_columns(named, OP_COLUMNS)


def _ed_rows(rows: pl.DataFrame) -> pl.DataFrame:
    named = rows.rename(_ED_NAMES).with_columns(
        EC_Ident=numbers(rows["attendance_id"]),
        Arrival_Date=pl.col("arrival_at").str.slice(0, 10),
        Arrival_Time=pl.col("arrival_at").str.slice(11),
        EC_Departure_Date=pl.col("departure_at").str.slice(0, 10),
        EC_Departure_Time=pl.col("departure_at").str.slice(11),
        SDEC_Indicator=pl.col("is_sdec").replace_strict(
            {"true": "Y", "false": "N"}, default=None, return_dtype=pl.String
        ),
    )
    return in_columns(named, ED_COLUMNS)


def _filled(names: tuple[str, ...]) -> pl.Expr:
    return pl.sum_horizontal(pl.col(name).is_not_null() for name in names).cast(pl.String)


def _financial_year(day: date) -> str:
    first = day.year if day.month >= 4 else day.year - 1
    return f"{first % 100:02d}{(first + 1) % 100:02d}"


def _financial_years(days: pl.Series) -> pl.Series:
    """Give the financial year of each ISO date; none where the text is no such date."""
    parsed = days.str.to_date("%Y-%m-%d", strict=False)
    return pl.Series(values=[None if day is None else _financial_year(day) for day in parsed], dtype=pl.String)
