"""What the verbs of a declaration cannot say: rows made of several files, each by a named function.

Belongs here: the SQL that brings rows together, in the columns of the source. Does not belong: landing columns, which
the declaration makes of these rows with its usual verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RowFunction:
    """One function: the columns it needs of each file, in order, those it gives, and its SQL by names of the files.

    Besides its columns the SQL gives ``_file``, ``_line`` and ``_name``: where in an original file a row comes from.
    """

    needs: tuple[tuple[str, ...], ...]
    gives: tuple[str, ...]
    sql: Callable[..., str]


def _emis_registrations(patient: str, history: str) -> str:
    """Write the registrations of an EMIS set: the latest as Admin_Patient has it, earlier ones from the history.

    The history says when somebody was registered and when that ended, not which end belongs to which beginning: the
    first belong together, then the second, and so on. What Admin_Patient says of the latest is taken out before.
    """
    record = 'PARTITION BY "OrganisationGuid", "PatientGuid"'
    of_record = '"OrganisationGuid", "PatientGuid"'
    return f"""
    WITH record AS (
        FROM {patient} QUALIFY row_number() OVER ({record} ORDER BY _file, _line) = 1
    ), latest AS (
        SELECT * FROM {patient} WHERE "DateOfRegistration" IS NOT NULL OR "PatientTypeDescription" IS NOT NULL
    ), told AS (
        SELECT h.*, "StatusDescription" = 'Registered' AS is_start, "DateOfRegistration", "DateofDeactivation",
            "Deleted", row_number() OVER (PARTITION BY h."OrganisationGuid", h."PatientGuid",
                "StatusDescription" = 'Registered', "HistoryDate" ORDER BY h._file DESC, h._line DESC) AS nth
        FROM {history} AS h LEFT JOIN record AS p USING ({of_record})
        WHERE "HistoryDate" IS NOT NULL AND "StatusDescription" IS NOT NULL
    ), earlier AS (
        SELECT *, row_number() OVER ({record}, is_start ORDER BY "HistoryDate", _file, _line) AS place FROM told
        WHERE nth > 1 OR "HistoryDate" IS DISTINCT FROM
            CASE WHEN is_start THEN "DateOfRegistration" ELSE "DateofDeactivation" END
    ), last_end AS (
        SELECT {of_record}, "HistoryDate", "StatusDescription" FROM told WHERE NOT is_start AND nth = 1
    )
    SELECT b."OrganisationGuid", b."PatientGuid", b."PatientGuid" || '-' || b.place AS "Registration",
        b."HistoryDate" AS "DateOfRegistration", e."HistoryDate" AS "DateofDeactivation",
        e."StatusDescription" AS "EndReason", CAST(NULL AS VARCHAR) AS "PatientTypeDescription",
        CAST(NULL AS VARCHAR) AS "UsualGpUserInRoleGuid", b."Deleted", b._file, b._line, b._name
    FROM (FROM earlier WHERE is_start) AS b LEFT JOIN (FROM earlier WHERE NOT is_start) AS e
        ON e."OrganisationGuid" = b."OrganisationGuid" AND e."PatientGuid" = b."PatientGuid" AND e.place = b.place
        AND e."HistoryDate" >= b."HistoryDate"
    UNION ALL
    SELECT p."OrganisationGuid", p."PatientGuid", p."PatientGuid" || '-latest', p."DateOfRegistration",
        p."DateofDeactivation", e."StatusDescription", p."PatientTypeDescription", p."UsualGpUserInRoleGuid",
        p."Deleted", p._file, p._line, p._name
    FROM latest AS p LEFT JOIN last_end AS e ON e."OrganisationGuid" = p."OrganisationGuid"
        AND e."PatientGuid" = p."PatientGuid" AND e."HistoryDate" = p."DateofDeactivation"
    """


def _mimic_people(patients: str) -> str:
    """Write the patients of a MIMIC set with a stand-in day of birth: 1 July of the year their age makes it."""
    year = "TRY_CAST(anchor_year AS INT) - TRY_CAST(anchor_age AS INT)"
    return (
        f"SELECT subject_id, gender, CAST({year} AS VARCHAR) || '-07-01' AS birth_date, dod, _file, _line, _name "
        f"FROM {patients}"
    )


FUNCTIONS: Mapping[str, RowFunction] = {
    "emis_registrations": RowFunction(
        needs=(
            (
                "OrganisationGuid",
                "PatientGuid",
                "DateOfRegistration",
                "DateofDeactivation",
                "PatientTypeDescription",
                "UsualGpUserInRoleGuid",
                "Deleted",
            ),
            ("OrganisationGuid", "PatientGuid", "HistoryDate", "HistoryTime", "StatusDescription"),
        ),
        gives=(
            "OrganisationGuid",
            "PatientGuid",
            "Registration",
            "DateOfRegistration",
            "DateofDeactivation",
            "EndReason",
            "PatientTypeDescription",
            "UsualGpUserInRoleGuid",
            "Deleted",
        ),
        sql=_emis_registrations,
    ),
    "mimic_people": RowFunction(
        needs=(("subject_id", "gender", "anchor_age", "anchor_year", "dod"),),
        gives=("subject_id", "gender", "birth_date", "dod"),
        sql=_mimic_people,
    ),
}
