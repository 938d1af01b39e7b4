"""Counts what a finished county's files say of each person: registers, measurements, events of a year, ages and groups.

Here: how a bulk extract set in the canonical layout is read, table by table, into one number a person for everything
that is counted. Rows count as the files hold them, so what nobody recorded does not. Comparing belongs to
``prevalence``. Memory goes by people, not by rows.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from stratify.errors import ExtractError
from stratify.synth import clinical_codes as codes
from stratify.synth.columns import Flags, Ints

_YEAR_DAYS = 365


# ------------------------------------------------------------------------------------- which codes make a register

_DEFICIT = "DEFICITS:"

REGISTERS: Mapping[str, tuple[str, ...]] = {
    "hypertension": ("HYPERTENSION", "DEFICITS:hypertension"),
    "diabetes": ("TYPE_1_DIABETES", "TYPE_2_DIABETES"),
    "type_2_diabetes": ("TYPE_2_DIABETES",),
    "pre_diabetes": ("NON_DIABETIC_HYPERGLYCAEMIA",),
    "heart_disease": ("ISCHAEMIC_HEART_DISEASE", "DEFICITS:ischaemic_heart_disease"),
    "heart_failure": ("DEFICITS:heart_failure",),
    "stroke": ("DEFICITS:cerebrovascular",),
    "atrial_fibrillation": ("DEFICITS:atrial_fibrillation",),
    "asthma": ("ASTHMA",),
    "kidney_disease": ("CHRONIC_KIDNEY_DISEASE", "DEFICITS:chronic_kidney_disease"),
    "cancer": ("CANCERS",),
    "dementia": ("DEMENTIA", "DEMENTIAS"),
    "depression": ("DEPRESSION",),
    "severe_mental_illness": ("MANIA", "PSYCHOSES"),
    "learning_disability": ("LEARNING_DISABILITY",),
    "palliative": ("PALLIATIVE_CARE",),
    "epilepsy": ("EPILEPSY",),
    "arterial_disease": ("DEFICITS:peripheral_vascular_disease",),
}
"""Names in ``clinical_codes`` of each register: whoever has any of their codes is on it. Names that are not there yet
are passed over; with none of them there the register cannot be measured. COPD has a rule of its own, and nobody with
diabetes counts as having non-diabetic hyperglycaemia."""

_COPD = (*codes.COPD_DIAGNOSES, *codes.COPD_EXACERBATIONS)
_CARE_HOME = (codes.CARE_HOME_NURSING, codes.CARE_HOME_RESIDENTIAL, codes.CARE_HOME_UNSPECIFIED)
_MRC = (*codes.MRC_GRADES, codes.MRC_SCORE, codes.MMRC_SCORE)

_ALSO_DEFICITS: Mapping[str, tuple[codes.Concept, ...]] = {
    "respiratory_disease": _COPD,
    "diabetes": (codes.TYPE_1_DIABETES, codes.TYPE_2_DIABETES),
    "dyspnoea": (codes.MRC_GRADES[3],),
    "memory_cognitive": (codes.DEMENTIA, *codes.DEMENTIAS),
    "requirement_for_care": (codes.CARE_HOME_NURSING, codes.CARE_HOME_UNSPECIFIED),
}
"""Codes written for another reason that are a deficit of the eFI too."""

_DEFICITS = 36
_POLYPHARMACY = 5
_EFI = (("efi_fit", 0, 4), ("efi_mild", 5, 8), ("efi_moderate", 9, 12), ("efi_severe", 13, _DEFICITS))
"""Fewest and most deficits of each category (Clegg 2016: up to 0.12, 0.24 and 0.36 of 36)."""

_ETHNIC = {"is_white": "ABC", "is_mixed": "DEFG", "is_asian": "HJKLR", "is_black": "MNP", "is_other": "S"}
"""Letters of the ethnic category (2001), grouped as the census of 2021 does: Chinese people are Asian."""


def codes_of(name: str) -> frozenset[str]:
    """Give the codes of a name in ``clinical_codes``, or of a deficit (``DEFICITS:falls``); none if it is not there."""
    found: object
    if name.startswith(_DEFICIT):
        found = codes.DEFICITS.get(name.removeprefix(_DEFICIT), (0, ()))[1]
    else:
        found = getattr(codes, name, ())
    return frozenset(_flat(found))


def _flat(found: object) -> list[str]:
    if isinstance(found, codes.Concept):
        return [found.code]
    inside = list(found.values()) if isinstance(found, Mapping) else found
    return [code for each in inside for code in _flat(each)] if isinstance(inside, list | tuple) else []


def _of(*concepts: codes.Concept) -> frozenset[str]:
    return frozenset(each.code for each in concepts)


# -------------------------------------------------------------------------------------------- the files of a county


class _Files:
    """The files of one extract set; every column is read as text."""

    def __init__(self, folder: Path) -> None:
        manifest = folder / "manifest.csv"
        if not manifest.is_file():
            raise ExtractError(
                f"folder {folder.name}",
                expected="an extract set in the canonical layout, with its manifest.csv",
                found="no manifest",
                action="Give the folder that stratify synth wrote.",
            )
        with manifest.open(encoding="utf-8", newline="") as opened:
            lines = list(csv.DictReader(opened))
        self._paths: dict[str, list[Path]] = {}
        for line in lines:
            self._paths.setdefault(line["table_name"], []).append(folder / line["file_name"])
        self.cutoff = max(date.fromisoformat(line["period_to"]) for line in lines)

    def scan(self, table: str, *columns: str) -> pl.LazyFrame | None:
        """Give columns of a table, rows marked deleted left out; None when the set lacks it."""
        if table not in self._paths:
            return None
        parts = [
            pl.scan_parquet(path) if path.suffix == ".parquet" else pl.scan_csv(path, infer_schema=False)
            for path in self._paths[table]
        ]
        rows = pl.concat(parts)
        if "is_deleted" in rows.collect_schema():
            rows = rows.filter(pl.col("is_deleted").ne_missing("true"))
        return rows.select(columns)


def _day(column: str) -> pl.Expr:
    """Read a date or the date of a time."""
    return pl.col(column).str.head(10).str.to_date("%Y-%m-%d", strict=False)


_RECORD = ("org_code", "source_patient_id")


@dataclass
class Tally:
    """One number a person for everything that is counted: whether, or how often in a year; columns by name.

    Attributes:
        count: How many people, registered today or not.
        columns: What is counted, one element a person.
        lacking: Why something cannot be counted, for names that are not among the columns.
    """

    count: int
    columns: dict[str, Flags | Ints] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> Flags:
        """Say who has something."""
        held: Flags = self.columns[name].astype(np.bool_)
        return held

    def number(self, name: str) -> Ints:
        """Give how often each person had something, or a whole number such as the age."""
        held: Ints = self.columns[name].astype(np.int64)
        return held

    def is_flag(self, name: str) -> bool:
        """Say whether a name says who has something, and not how often."""
        return self.columns[name].dtype == np.bool_

    def flag(self, name: str, people: pl.Series) -> None:
        """Note who has something."""
        held = np.zeros(self.count, dtype=np.bool_)
        held[people.to_numpy()] = True
        self.columns[name] = held

    def times(self, name: str, people: pl.Series, events: pl.Series) -> None:
        """Note how often each person had something."""
        held = np.zeros(self.count, dtype=np.int64)
        np.add.at(held, people.to_numpy(), events.to_numpy())
        self.columns[name] = held


def count_county(folder: Path) -> Tally:
    """Count everything in an extract set, in CSV or Parquet.

    People are those with an NHS number of their own, or a record without one; test patients are nobody. ``registered``
    and ``age`` hold on the last day the set describes, ``registered_middle`` and ``age_middle`` half a year before;
    events are those of the 365 days up to it.

    Raises:
        ExtractError: there is no manifest, or no patients.
    """
    files = _Files(folder)
    records, people = _people(files)
    found = Tally(people.height)
    _note_people(found, people, files)
    owners = _Owners(records, people)
    _note_coded(found, owners, files)
    _note_medicines(found, owners, files)
    _note_frailty(found)
    _note_hospital(found, owners, files)
    _note_appointments(found, owners, files)
    _note_objections(found, owners, files)
    return found


def _people(files: _Files) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give whose each patient record is, and one row a person; test patients are nobody."""
    patients = files.scan(
        "patient", *_RECORD, "nhs_number", "date_of_birth", "sex", "ethnic_category", "imd_decile", "date_of_death",
        "is_test_patient",
    )  # fmt: skip
    registrations = files.scan("registration", *_RECORD, "registration_type", "start_date", "end_date")
    if patients is None or registrations is None:
        raise ExtractError(
            "extract set",
            expected="the tables patient and registration",
            found="one or both missing",
            action="Give a whole set.",
        )
    now, middle = files.cutoff, files.cutoff - timedelta(days=_YEAR_DAYS // 2)
    start, end = _day("start_date"), _day("end_date")

    def holds(day: date) -> pl.Expr:
        return (start <= day) & (end.is_null() | (end > day))

    held = (
        registrations.filter(pl.col("registration_type").is_null() | (pl.col("registration_type") == "REGULAR"))
        .group_by(_RECORD)
        .agg(
            holds(now).any().alias("now"),
            holds(middle).any().alias("middle"),
            (holds(now) & (start > now - timedelta(days=_YEAR_DAYS))).any().alias("joined"),
        )
    )
    records = (
        patients.filter(pl.col("is_test_patient").ne_missing("true"))
        .with_columns(key=pl.coalesce("nhs_number", pl.concat_str(_RECORD, separator="/")))
        .join(held, on=_RECORD, how="left")
        .with_columns(pl.col("now", "middle", "joined").fill_null(False))
        .collect(engine="streaming")
        .with_columns(person=pl.col("key").rank("dense").cast(pl.Int64) - 1)
        .sort("person", "now", *_RECORD, descending=[False, True, False, False])
    )
    people = records.group_by("person", maintain_order=True).agg(
        pl.col("nhs_number", "sex", "ethnic_category", "imd_decile").first(),
        _day("date_of_birth").first().alias("born"),
        _day("date_of_death").min().alias("died"),
        pl.col("now", "middle", "joined").any(),
    )
    deaths = files.scan("death", "nhs_number", "date_of_death")
    if deaths is not None:
        other = deaths.group_by("nhs_number").agg(_day("date_of_death").min().alias("died_too")).collect()
        people = people.join(other, on="nhs_number", how="left", maintain_order="left").with_columns(
            died=pl.min_horizontal("died", "died_too")
        )
    return records.select(*_RECORD, "person"), people


class _Owners:
    """Whose a row is."""

    def __init__(self, records: pl.DataFrame, people: pl.DataFrame) -> None:
        self._records = records.lazy()
        self._numbers = people.select("person", "nhs_number").drop_nulls().lazy()

    def by_record(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Put the person to rows of a practice."""
        return rows.join(self._records, on=_RECORD, how="inner")

    def by_number(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Put the person to rows that have an NHS number."""
        return rows.join(self._numbers, on="nhs_number", how="inner")


def _note_people(found: Tally, people: pl.DataFrame, files: _Files) -> None:
    now, middle = files.cutoff, files.cutoff - timedelta(days=_YEAR_DAYS // 2)

    def age(day: date) -> pl.Expr:
        return ((pl.lit(day) - pl.col("born")).dt.total_days() / 365.2425).floor().cast(pl.Int64).fill_null(-1)

    def alive(day: date) -> pl.Expr:
        return pl.col("died").is_null() | (pl.col("died") > day)

    letter = pl.col("ethnic_category").str.head(1)
    fifth = pl.col("imd_decile").cast(pl.Int64, strict=False)
    year = pl.lit(now) - timedelta(days=_YEAR_DAYS)
    flags = people.select(
        everybody=pl.lit(True),
        registered=pl.col("now") & alive(now),
        registered_middle=pl.col("middle") & alive(middle),
        joined_within_a_year=pl.col("joined"),
        age=age(now),
        age_middle=age(middle).clip(lower_bound=pl.when(pl.col("born").is_null()).then(-1).otherwise(0)),
        is_female=pl.col("sex") == "F",
        is_male=pl.col("sex") == "M",
        most_deprived=fifth <= 2,
        least_deprived=fifth >= 9,
        has_ethnic_group=letter.is_in([*"".join(_ETHNIC.values())]),
        deaths=((pl.col("died") > year) & (pl.col("died") <= now)).cast(pl.Int64),
        **{name: letter.is_in([*letters]) for name, letters in _ETHNIC.items()},
    )
    for name in flags.columns:
        column = flags[name]
        found.columns[name] = column.fill_null(False if column.dtype == pl.Boolean else 0).to_numpy()


def _note_coded(found: Tally, owners: _Owners, files: _Files) -> None:
    """Note registers, smoking, care homes and measurements, from coded entries and observations together."""
    registers = {name: frozenset().union(*map(codes_of, names)) for name, names in REGISTERS.items()}
    deficits = {name: codes_of(f"{_DEFICIT}{name}") | _of(*_ALSO_DEFICITS.get(name, ())) for name in codes.DEFICITS}
    smoking = [_of(each) for each in codes.SMOKING]
    copd, resolved, homes = _of(*_COPD), _of(codes.COPD_RESOLVED), _of(*_CARE_HOME)
    mrc, fev1 = _of(*_MRC), _of(codes.FEV1_PERCENT)
    every = (*registers.values(), *deficits.values(), *smoking, copd, resolved, homes, mrc, fev1)
    wanted = sorted(frozenset().union(*every))

    parts = [
        rows
        for table in ("gp_event", "gp_observation")
        if (rows := files.scan(table, *_RECORD, "snomed_code", "effective_date")) is not None
    ]
    latest = (
        owners.by_record(pl.concat(parts).filter(pl.col("snomed_code").is_in(wanted)))
        .select(
            "person",
            pl.col("snomed_code").replace_strict(wanted, list(range(len(wanted))), return_dtype=pl.Int16).alias("code"),
            _day("effective_date").alias("day"),
        )
        .filter(pl.col("day") <= files.cutoff)
        .group_by("person", "code")
        .agg(pl.col("day").max())
        .collect(engine="streaming")
    )
    number = {code: place for place, code in enumerate(wanted)}

    def entries(some: frozenset[str]) -> pl.DataFrame:
        return latest.filter(pl.col("code").is_in([number[code] for code in sorted(some)]))

    for name, some in registers.items():
        if some:
            found.flag(name, entries(some)["person"])
        else:
            found.lacking[name] = f"clinical_codes has no concept for it ({' or '.join(REGISTERS[name])})"
    found.columns["pre_diabetes"] = found.has("pre_diabetes") & ~found.has("diabetes")
    well = entries(resolved).group_by("person").agg(pl.col("day").max().alias("well"))
    ill = entries(copd).group_by("person").agg(pl.col("day").max()).join(well, on="person", how="left")
    found.flag("copd", ill.filter(pl.col("well").is_null() | (pl.col("day") > pl.col("well")))["person"])
    found.flag("has_fev1", entries(fev1)["person"])
    year = files.cutoff - timedelta(days=_YEAR_DAYS)
    found.flag("has_mrc_within_a_year", entries(mrc).filter(pl.col("day") > year)["person"])

    statuses = [entries(some).with_columns(status=place) for place, some in enumerate(smoking)]
    last = pl.concat(statuses).sort("person", "day", "status").group_by("person", maintain_order=True).last()
    found.flag("has_smoking_status", last["person"])
    found.flag("smokes", last.filter(pl.col("status") == len(smoking) - 1)["person"])

    found.flag("care_home", entries(homes)["person"])
    flags = files.scan("patient_flag", "nhs_number", "flag", "start_date", "end_date")
    if flags is not None:
        ends = _day("end_date")
        living = owners.by_number(
            flags.filter(
                pl.col("flag").str.starts_with("CARE_HOME"),
                _day("start_date") <= files.cutoff,
                ends.is_null() | (ends > files.cutoff),
            )
        ).collect()
        found.columns["care_home"][living["person"].to_numpy()] = True

    total = np.zeros(found.count, dtype=np.int64)
    for some in deficits.values():
        held = np.zeros(found.count, dtype=np.bool_)
        held[entries(some)["person"].to_numpy()] = True
        total += held
    found.columns["deficits"] = total


def _note_medicines(found: Tally, owners: _Owners, files: _Files) -> None:
    rows = files.scan("gp_medication", *_RECORD, "issue_date", "dmd_code", "bnf_code")
    if rows is None:
        found.lacking["items"] = "the set has no gp_medication"
        return
    day = _day("issue_date")
    substances = (
        owners.by_record(rows.filter(day > files.cutoff - timedelta(days=_YEAR_DAYS), day <= files.cutoff))
        .group_by("person", pl.coalesce(pl.col("bnf_code").str.head(9), "dmd_code").alias("substance"))
        .agg(pl.len().alias("items"))
        .group_by("person")
        .agg(pl.len().alias("medicines"), pl.col("items").sum())
        .collect(engine="streaming")
    )
    found.times("items", substances["person"], substances["items"])
    found.times("medicines", substances["person"], substances["medicines"])


def _note_frailty(found: Tally) -> None:
    if "medicines" not in found.columns:
        for name, _, _ in (*_EFI, ("efi_frail", 0, 0)):
            found.lacking[name] = "polypharmacy cannot be known: the set has no gp_medication"
        return
    total = found.columns["deficits"] + (found.columns["medicines"] >= _POLYPHARMACY)
    for name, fewest, most in _EFI:
        found.columns[name] = (total >= fewest) & (total <= most)
    found.columns["efi_frail"] = ~found.columns["efi_fit"]


def _note_hospital(found: Tally, owners: _Owners, files: _Files) -> None:
    since = files.cutoff - timedelta(days=_YEAR_DAYS)

    def note(rows: pl.LazyFrame | None, table: str, day: str, kinds: Mapping[str, pl.Expr]) -> None:
        if rows is None:
            found.lacking.update(dict.fromkeys(kinds, f"the set has no {table}"))
            return
        on = _day(day)
        counted = (
            owners.by_number(rows.filter(on > since, on <= files.cutoff))
            .group_by("person")
            .agg(**{name: which.sum() for name, which in kinds.items()})
            .collect(engine="streaming")
        )
        for name in kinds:
            found.times(name, counted["person"], counted[name].cast(pl.Int64))

    spells = files.scan("apc_episode", "nhs_number", "episode_order", "admission_date", "admission_method", "diag_01")
    if spells is not None:
        spells = spells.filter(pl.col("episode_order") == "1")
    emergency = pl.col("admission_method").str.starts_with("2").fill_null(False)
    note(
        spells,
        "apc_episode",
        "admission_date",
        {
            "admissions": pl.col("admission_date").is_not_null(),
            "emergency_admissions": emergency,
            "copd_admissions": emergency & pl.col("diag_01").str.head(3).is_in(["J41", "J42", "J43", "J44"]),
        },
    )
    note(
        files.scan("ed_attendance", "nhs_number", "arrival_at"),
        "ed_attendance",
        "arrival_at",
        {"ed_attendances": pl.col("arrival_at").is_not_null()},
    )
    note(
        files.scan("op_attendance", "nhs_number", "appointment_date", "attended"),
        "op_attendance",
        "appointment_date",
        {
            "op_appointments": pl.col("appointment_date").is_not_null(),
            "op_attendances": pl.col("attended").is_in(["5", "6"]),
            "op_missed": pl.col("attended") == "3",
        },
    )


def _note_appointments(found: Tally, owners: _Owners, files: _Files) -> None:
    names = ("appointments", "appointments_missed", "appointments_face_to_face")
    rows = files.scan("gp_appointment", *_RECORD, "start_at", "status", "mode")
    if rows is None:
        found.lacking.update(dict.fromkeys(names, "the set has no gp_appointment"))
        return
    on, given = _day("start_at"), pl.col("status").is_in(["ATTENDED", "DNA"])
    counted = (
        owners.by_record(rows.filter(on > files.cutoff - timedelta(days=_YEAR_DAYS), on <= files.cutoff, given))
        .group_by("person")
        .agg(
            appointments=pl.len(),
            appointments_missed=(pl.col("status") == "DNA").sum(),
            appointments_face_to_face=(pl.col("mode") == "face_to_face").sum(),
        )
        .collect(engine="streaming")
    )
    for name in names:
        found.times(name, counted["person"], counted[name].cast(pl.Int64))


def _note_objections(found: Tally, owners: _Owners, files: _Files) -> None:
    rows = files.scan("opt_out", "nhs_number", *_RECORD, "opt_out_type", "is_opted_out", "effective_from")
    for name, kind in (("opted_out_nationally", "NDO"), ("opted_out_type_1", "TYPE1")):
        if rows is None:
            found.lacking[name] = "the set has no opt_out"
            continue
        of_kind = rows.filter(pl.col("opt_out_type") == kind)
        by_number = owners.by_number(of_kind.filter(pl.col("nhs_number").is_not_null()))
        by_record = owners.by_record(of_kind.filter(pl.col("nhs_number").is_null()))
        wanted = ("person", "is_opted_out", "effective_from")
        latest = (
            pl.concat([by_number.select(wanted), by_record.select(wanted)])
            .collect(engine="streaming")
            .sort("person", "effective_from", "is_opted_out", nulls_last=False)
            .group_by("person", maintain_order=True)
            .last()
        )
        found.flag(name, latest.filter(pl.col("is_opted_out") == "true")["person"])
