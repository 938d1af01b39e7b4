"""The truth about a synthetic county, in files beside the extracts: what is so, and what the rules should conclude.

Three files in a folder of their own, which no run reads: ``person.parquet`` (each person as the county drew them),
``expectation.parquet`` (what ``oracle`` concludes from the rows before any dirt was put in) and ``about.json`` (which
county, which extract files, which faults). One row a person in both tables, in the same order: by NHS number, and
those without one after them by practice and patient id. Comparing a run with them belongs to ``truth_score``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stratify.errors import RunError, SettingsError
from stratify.synth import oracle
from stratify.synth.conditions import DEFICIT_NAMES, Conditions
from stratify.synth.population import People, days, texts
from stratify.synth.recorded import Records, Row
from stratify.synth.write import MANIFEST

ABOUT, PERSON, EXPECTATION = "about.json", "person.parquet", "expectation.parquet"
TRUTH_FILES = frozenset({ABOUT, PERSON, EXPECTATION})
TRUTH_VERSION = 1

_FRAILTY = (None, "fit", "mild", "moderate", "severe")
_CARE_HOME = (None, "nursing", "residential", "unspecified")

PERSON_COLUMNS: dict[str, tuple[Any, str]] = {
    "nhs_number": (pl.String, "NHS number of the never-issued 999 range; empty for the few without one."),
    "org_code": (pl.String, "Practice the person is, or first was, registered with."),
    "source_patient_id": (pl.String, "Patient id at that practice."),
    "date_of_birth": (pl.Date, "Date of birth."),
    "is_female": (pl.Boolean, "Sex drawn; a few records say otherwise."),
    "imd_decile": (pl.Int64, "Deprivation decile of the home, 1 is most deprived."),
    "date_of_death": (pl.Date, "Day of death; empty for the living."),
    "is_test_patient": (pl.Boolean, "A test record and no person."),
    "is_temporary": (pl.Boolean, "Registered for a time only."),
    "has_copd": (pl.Boolean, "Has COPD, whatever the record says."),
    "copd_severity": (pl.Float64, "0 to 1; 0 without COPD."),
    "fev1_percent": (pl.Float64, "True FEV1 in percent of predicted."),
    "mrc_grade": (pl.Int64, "True MRC grade, 1 to 5."),
    "exacerbations_a_year": (pl.Float64, "True rate of flare-ups; none happen without COPD."),
    "has_diabetes": (pl.Boolean, "Has diabetes."),
    "has_hypertension": (pl.Boolean, "Has hypertension."),
    "frailty": (pl.String, "Frailty drawn: fit, mild, moderate, severe; empty below 65."),
    "deficit_count": (pl.Int64, "Deficits of the eFI drawn, care home residence included."),
    "deficits": (pl.String, "Their names, separated by ';'."),
    "care_home": (pl.String, "Kind of care home lived in; empty at home."),
    "is_palliative": (pl.Boolean, "Receives palliative care."),
    "has_learning_disability": (pl.Boolean, "Has a learning disability."),
    "has_severe_mental_illness": (pl.Boolean, "Has a severe mental illness."),
    "is_carer": (pl.Boolean, "Looks after somebody."),
}
"""Columns of ``person.parquet``: type and meaning."""

EXPECTATION_COLUMNS: dict[str, tuple[Any, str]] = {
    "nhs_number": (pl.String, "NHS number; empty for those without one, who are known by their one record."),
    "org_code": (pl.String, "Practice of the first record."),
    "source_patient_id": (pl.String, "Patient id of the first record."),
    "records": (pl.String, "Every record of the person as practice/id, separated by ';'."),
    "person_status": (pl.String, "registered, died, test_patient, temporary, left or never_registered."),
    "withheld_because": (pl.String, "Objection that keeps the person out of case finding; direct care ignores it."),
    "is_hospital_linked": (pl.Boolean, "Has an NHS number, so hospital data can be joined."),
    "age_years": (pl.Int64, "Whole years on the index date."),
    "fev1_percent_predicted": (pl.Float64, "FEV1 that may be used, in percent of predicted; empty when not known."),
    "mrc_grade": (pl.Float64, "MRC grade that may be used; empty when not known."),
    "copd_exacerbations_count": (pl.Int64, "Flare-ups in 12 months."),
    "copd_emergency_admissions_count": (pl.Int64, "Days of emergency admission for COPD in 12 months."),
    "prednisolone_issues_count": (pl.Int64, "Days with an issue of prednisolone in 12 months."),
    "rescue_antibiotic_issues_count": (pl.Int64, "Days with an issue of an antibiotic for flare-ups in 12 months."),
    "azithromycin_issues_count": (pl.Int64, "Days with an issue of azithromycin in 12 months."),
    "medicines_count": (pl.Int64, "Different medicines in 12 months."),
    "on_copd_register": (pl.String, "yes, no or contradictory."),
    "copd_group": (pl.String, "COPD priority group that is proved: HRC, HR, MR or LR."),
    "copd_groups_open": (pl.String, "Groups that what is not known leaves open, separated by ';'."),
    "copd_decision": (pl.String, "What is proposed on the COPD pathway; empty for those not on it."),
    "copd_clinic": (pl.String, "Clinic or worklist."),
    "copd_rule": (pl.String, "Rule that decides."),
    "efi_deficits": (pl.Int64, "Deficits of the eFI that are recorded; empty below 65, as are all that follow."),
    "efi_deficit_names": (pl.String, "Their names, separated by ';'."),
    "efi_tier": (pl.String, "Frailty that is proved: severe, moderate, mild or fit."),
    "efi_tiers_open": (pl.String, "Tiers left open."),
    "hospital_frailty_points": (pl.Float64, "Hospital Frailty Risk Score; empty below 75 and without a stay."),
    "hospital_frailty_tier": (pl.String, "high, intermediate or low."),
    "hospital_frailty_tiers_open": (pl.String, "Tiers left open."),
    "frailty_decision": (pl.String, "What is proposed on the frailty pathway."),
    "frailty_clinic": (pl.String, "Clinic or worklist."),
    "frailty_rule": (pl.String, "Rule that decides."),
    "faults": (pl.String, "Kinds of dirt that touched a row of the person, separated by ';'; empty when none did."),
}
"""Columns of ``expectation.parquet``: type and meaning. Answers are for rows without dirt, whatever ``faults`` says."""


@dataclass
class Touched:
    """Which rows each kind of dirt was put into, as they were before it."""

    rows: list[tuple[str, str, pl.DataFrame]] = field(default_factory=list)

    def note(self, fault: str, table: str, rows: pl.DataFrame) -> None:
        """Remember rows about to be spoilt."""
        named = [name for name in ("nhs_number", "org_code", "source_patient_id") if name in rows.columns]
        self.rows.append((fault, table, rows.select(named)))


def true_state_rows(people: People, conditions: Conditions) -> pl.DataFrame:
    """Give one practice's people as the county drew them, one row each (``PERSON_COLUMNS``)."""
    names = [";".join(name for name, has in zip(DEFICIT_NAMES, row, strict=True) if has) for row in conditions.deficits]
    return pl.DataFrame(
        {
            "nhs_number": texts(people.nhs_number),
            "org_code": texts([people.practice.code] * people.count),
            "source_patient_id": texts(people.source_patient_id),
            "date_of_birth": days(people.birth_day),
            "is_female": pl.Series(values=people.is_female),
            "imd_decile": pl.Series(values=people.decile),
            "date_of_death": days(people.death_day),
            "is_test_patient": pl.Series(values=people.is_test),
            "is_temporary": pl.Series(values=people.is_temporary),
            "has_copd": pl.Series(values=conditions.has_copd),
            "copd_severity": pl.Series(values=conditions.copd_severity),
            "fev1_percent": pl.Series(values=conditions.fev1_percent),
            "mrc_grade": pl.Series(values=conditions.mrc_grade),
            "exacerbations_a_year": pl.Series(values=conditions.exacerbations_a_year),
            "has_diabetes": pl.Series(values=conditions.has_diabetes),
            "has_hypertension": pl.Series(values=conditions.has_hypertension),
            "frailty": texts([_FRAILTY[level + 1] for level in conditions.frailty.tolist()]),
            "deficit_count": pl.Series(values=conditions.deficits.sum(axis=1)),
            "deficits": texts([each or None for each in names]),
            "care_home": texts([_CARE_HOME[kind] for kind in people.care_home.tolist()]),
            "is_palliative": pl.Series(values=conditions.is_palliative),
            "has_learning_disability": pl.Series(values=conditions.has_learning_disability),
            "has_severe_mental_illness": pl.Series(values=conditions.has_severe_mental_illness),
            "is_carer": pl.Series(values=conditions.is_carer),
        },
        schema=_schema(PERSON_COLUMNS),
    )


def expectations(tables: Mapping[str, pl.DataFrame], *, index_date: date, touched: Touched) -> pl.DataFrame:
    """Work out what the rules should conclude about everybody, from the tables before any dirt.

    Args:
        tables: Landing tables as text, without dirt.
        index_date: The day of the run.
        touched: Rows that dirt was put into afterwards.

    Returns:
        One row a person (``EXPECTATION_COLUMNS``).
    """
    owners = _owners(tables["patient"])
    people = _gather(tables, owners)
    faults = _faults_by_person(touched, owners)
    rows = []
    for person in sorted(people, key=lambda person: ("/" in person, person)):
        records = people[person]
        first = records.patients[0]
        rows.append(
            {
                "nhs_number": first["nhs_number"],
                "org_code": first["org_code"],
                "source_patient_id": first["source_patient_id"],
                "records": ";".join(f"{row['org_code']}/{row['source_patient_id']}" for row in records.patients),
                "faults": ";".join(sorted(faults.get(person, ()))) or None,
                **oracle.conclude(records, index_date=index_date),
            }
        )
    return pl.DataFrame(rows, schema=_schema(EXPECTATION_COLUMNS))


def check_truth_folder(folder: Path, extracts: Path) -> None:
    """Refuse a folder for the truth that a run might read, or that holds anything but an earlier truth.

    Raises:
        SettingsError: it is the folder of the extracts, in it or around it, is a file, or holds other files.
    """
    one, other = folder.resolve(), extracts.resolve()
    found = None
    if one == other or one in other.parents or other in one.parents:
        found = "one that is, holds or is inside the folder of the extracts"
    elif folder.exists() and not folder.is_dir():
        found = "a file of that name"
    elif folder.is_dir() and any(each.name not in TRUTH_FILES or not each.is_file() for each in folder.iterdir()):
        found = "other files or folders in it"
    if found:
        raise SettingsError(
            f"folder {folder.name} for the truth",
            expected="a folder apart from the extracts that is new, empty or holds an earlier truth",
            found=found,
            action="Give another folder; nothing was written.",
        )


def write_truth(
    folder: Path, *, extracts: Path, state: pl.DataFrame, expected: pl.DataFrame, about: Mapping[str, Any]
) -> None:
    """Write the truth of a county whose extract set is in place, whole or not at all.

    Args:
        folder: Where to put it; an earlier truth is replaced.
        extracts: The extract set it is the truth about; its digests are written down.
        state: Everybody as drawn.
        expected: What the rules should conclude.
        about: Which county it is.

    Raises:
        RunError: the files could not be written.
    """
    folder = folder.absolute()
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.replaced")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left_by_a_killed_run in (partial, old):
            shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
        partial.mkdir()
        ordered = state.sort("nhs_number", "org_code", "source_patient_id", nulls_last=True)
        ordered.write_parquet(partial / PERSON, compression="zstd", statistics=False)
        expected.write_parquet(partial / EXPECTATION, compression="zstd", statistics=False)
        written = {
            **about,
            "version": TRUTH_VERSION,
            "extracts": _digests(extracts),
            "truth": {name: _digest(partial / name) for name in (EXPECTATION, PERSON)},
            "columns": {
                name: {column: words for column, (_, words) in columns.items()}
                for name, columns in ((EXPECTATION, EXPECTATION_COLUMNS), (PERSON, PERSON_COLUMNS))
            },
        }
        (partial / ABOUT).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8", newline="")
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as fault:
        raise RunError(
            f"folder {folder.name} for the truth",
            expected="room and leave to write it",
            found=fault.strerror or "an error of the file system",
            action="Mend that or give another folder; the extract files are in place.",
        ) from None


def fault_counts(touched: Touched, tables: Mapping[str, pl.DataFrame]) -> list[dict[str, str | int]]:
    """Give each kind of dirt with its table, the rows it was put into and the people whose rows they are."""
    owners = _owners(tables["patient"])
    return [
        {"fault": fault, "table": table, "rows": rows.height, "people": len(set(_owners_of(rows, owners)))}
        for fault, table, rows in touched.rows
    ]


def _owners(patients: pl.DataFrame) -> dict[tuple[str | None, str | None], str]:
    """Give whose each record is: an NHS number, or for want of one the record itself."""
    rows = patients.select("org_code", "source_patient_id", "nhs_number").iter_rows()
    return {(org, record): number or f"{org}/{record}" for org, record, number in rows}


def _faults_by_person(touched: Touched, owners: Mapping[tuple[str | None, str | None], str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for fault, _, rows in touched.rows:
        for person in _owners_of(rows, owners):
            found.setdefault(person, set()).add(fault)
    return found


def _owners_of(rows: pl.DataFrame, owners: Mapping[tuple[str | None, str | None], str]) -> Iterator[str]:
    """Give whose rows these are; a row that an earlier fault took from its person is nobody's here."""
    everybody = set(owners.values())
    for row in rows.iter_rows(named=True):
        person = owners.get((row.get("org_code"), row.get("source_patient_id"))) or row.get("nhs_number")
        if person in everybody:
            yield person


_BY_RECORD = {"registration": "registrations", "gp_observation": "observations", "gp_medication": "issues"}
_BY_NUMBER = {"apc_episode": "episodes", "death": "deaths", "patient_flag": "flags"}
_WANTED = {
    "registration": ("registration_type", "start_date", "end_date"),
    "gp_event": ("snomed_code", "effective_date"),
    "gp_observation": ("snomed_code", "effective_date", "value_num", "unit_raw"),
    "gp_medication": ("issue_date", "dmd_code", "bnf_code"),
    "apc_episode": (
        "provider_code", "spell_id", "episode_order", "admission_date", "admission_method",
        *(f"diag_{place:02d}" for place in range(1, 21)),
    ),
    "death": ("source",),
    "patient_flag": ("flag", "start_date", "end_date"),
    "opt_out": ("opt_out_type", "is_opted_out", "effective_from", "checked_at", "expires_at"),
}  # fmt: skip


def _gather(
    tables: Mapping[str, pl.DataFrame], owners: Mapping[tuple[str | None, str | None], str]
) -> dict[str, Records]:
    """Put each person's rows together: by record of a practice, by NHS number, or by either."""
    people: dict[str, Records] = {}
    for patient in tables["patient"].iter_rows(named=True):
        person = owners[patient["org_code"], patient["source_patient_id"]]
        people.setdefault(person, Records()).patients.append(patient)
    for table, attribute in {**_BY_RECORD, "gp_event": "events"}.items():
        for org, record, row in _rows(tables[table], table, "org_code", "source_patient_id"):
            getattr(people[owners[org, record]], attribute).append(row)
    for table, attribute in _BY_NUMBER.items():
        for number, row in ((number, row) for number, _, row in _rows(tables[table], table, "nhs_number")):
            if number in people:
                getattr(people[number], attribute).append(row)
    for objection in tables["opt_out"].iter_rows(named=True):
        person = owners.get((objection["org_code"], objection["source_patient_id"])) or objection["nhs_number"]
        if person in people:
            people[person].objections.append(objection)
    return people


def _rows(frame: pl.DataFrame, table: str, *who: str) -> Iterator[tuple[str, str, Row]]:
    names = _WANTED[table]
    for values in frame.select(*who, *names).iter_rows():
        yield values[0], values[len(who) - 1], dict(zip(names, values[len(who) :], strict=True))


def _schema(columns: Mapping[str, tuple[Any, str]]) -> dict[str, Any]:
    return {name: kind for name, (kind, _) in columns.items()}


def _digests(extracts: Path) -> dict[str, str]:
    """Give the SHA-256 of each extract file, as its manifest says."""
    with (extracts / MANIFEST).open(encoding="utf-8", newline="") as opened:
        return {row["file_name"]: row["sha256"] for row in csv.DictReader(opened)}


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
