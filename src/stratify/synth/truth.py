"""The truth about a synthetic county, in files beside the extracts: what is so, and what the rules should conclude.

A folder of its own, which no run reads: ``person.parquet`` (everybody as the county drew them),
``expectation-<index date>.parquet`` for each extract (what ``oracle`` concludes from the rows as a right pipeline reads
them), ``fault.parquet`` (every row a fault was put into), the programmes whose effect is planted, and ``about.json``.
Made a practice at a time: shares are written as they come and joined in the order of the practices, so memory does not
grow with the county. Comparing a run with the truth belongs to ``truth_score``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from stratify.synth import oracle
from stratify.synth.programmes import ENROLMENT_COLUMNS, PROGRAMME_COLUMNS, programme_rows
from stratify.synth.recorded import (
    CARE_HOME,
    CARE_HOME_FACTS,
    CARE_HOME_FLAGS,
    COPD_FACTS,
    COPD_MEDICINES,
    FRAILTY_FACTS,
    MEANINGFUL_CODES,
    REGISTER,
    Fact,
    Records,
    months_back,
)
from stratify.synth.recorded_diabetes import (
    DIABETES,
    DIABETES_FACTS,
    ENTRIES,
    HBA1C,
    INSULIN,
    MEASURED,
    PRESSURES,
    PREVENTION_FACTS,
)
from stratify.synth.state import STATE_COLUMNS
from stratify.synth.world import County

ABOUT, PERSON, FAULT = "about.json", "person.parquet", "fault.parquet"
PROGRAMME, ENROLMENT = "programme.parquet", "enrolment.parquet"
TRUTH_VERSION = 4

EXPECTS = ("as_meant", "warned", "not_listed", "refused")
"""What a right run does about a fault beyond reading its rows as they are meant, the strongest last."""

_FACTS = pl.List(pl.Struct({"variable": pl.String, "value": pl.Float64, "date": pl.Date}))

EXPECTATION_COLUMNS: dict[str, tuple[Any, str]] = {
    "nhs_number": (pl.String, "NHS number; empty for those without one, who are known by their one record."),
    "org_code": (pl.String, "Practice of the first record."),
    "source_patient_id": (pl.String, "Patient id of the first record."),
    "records": (pl.String, "Every record of the person as practice/id, separated by ';'."),
    "person_status": (
        pl.String,
        "registered, practice_unknown, died, test_patient, temporary, left or never_registered.",
    ),
    "identity_in_doubt": (pl.Boolean, "Two births or sexes under one number, no date of birth, or an impossible age."),
    "withheld_because": (pl.String, "Objection that keeps the person out of case finding; direct care ignores it."),
    "is_hospital_linked": (pl.Boolean, "Has an NHS number, so hospital data can be joined."),
    "age_years": (pl.Int64, "Whole years on the index date; empty when not known."),
    "on_copd_register": (pl.String, "yes, no or contradictory."),
    "copd_group": (pl.String, "COPD priority group that is proved: HRC, HR, MR or LR."),
    "copd_groups_open": (pl.String, "Groups that what is not known leaves open, separated by ';'."),
    "copd_decision": (pl.String, "What is proposed on the COPD pathway; empty for those not on it."),
    "copd_clinic": (pl.String, "Clinic or worklist."),
    "copd_rule": (pl.String, "Rule that decides."),
    "copd_because": (pl.String, "Variables that make the rule hold, separated by ';'."),
    "copd_lacking": (pl.String, "Variables that are not known and could change the route, separated by ';'."),
    "copd_facts": (_FACTS, "Everything found that the COPD rules ask about: variable, value, date of the latest row."),
    "efi_deficits": (pl.Int64, "Deficits of the eFI that are recorded; empty below 65, as are all that follow."),
    "efi_tier": (pl.String, "Frailty that is proved: severe, moderate, mild or fit."),
    "efi_tiers_open": (pl.String, "Tiers left open."),
    "hospital_frailty_points": (pl.Float64, "Hospital Frailty Risk Score; empty below 75 and without a stay."),
    "hospital_frailty_tier": (pl.String, "high, intermediate or low."),
    "hospital_frailty_tiers_open": (pl.String, "Tiers left open."),
    "frailty_decision": (pl.String, "What is proposed on the frailty pathway."),
    "frailty_clinic": (pl.String, "Clinic or worklist."),
    "frailty_rule": (pl.String, "Rule that decides."),
    "frailty_because": (pl.String, "Variables that make the rule hold, separated by ';'."),
    "frailty_lacking": (pl.String, "Variables that are not known and could change the route, separated by ';'."),
    "frailty_facts": (_FACTS, "Everything found that the frailty rules ask about."),
    "care_homes_decision": (pl.String, "What is proposed on the care-home pathway; empty for those not on it."),
    "care_homes_clinic": (pl.String, "Clinic or worklist."),
    "care_homes_rule": (pl.String, "Rule that decides."),
    "care_homes_because": (pl.String, "Variables that make the rule hold, separated by ';'."),
    "care_homes_lacking": (pl.String, "Variables that are not known and could change the route, separated by ';'."),
    "care_homes_facts": (_FACTS, "Everything found that the care-home rules ask about."),
    "diabetes_group": (pl.String, "Diabetes priority group that is proved: HRC, HR, MRa, MRb or LR."),
    "diabetes_groups_open": (pl.String, "Groups left open."),
    "diabetes_targets": (pl.String, "Treatment targets of the contract: met or not_met."),
    "diabetes_targets_open": (pl.String, "What is left open of them."),
    "diabetes_checks_to_do": (pl.Int64, "Care processes of the eight that were not done in 12 months."),
    "diabetes_checks": (pl.String, "not_all or all."),
    "diabetes_decision": (pl.String, "What is proposed on the diabetes pathway; empty for those not on it."),
    "diabetes_clinic": (pl.String, "Clinic or worklist."),
    "diabetes_rule": (pl.String, "Rule that decides."),
    "diabetes_because": (pl.String, "Variables that make the rule hold, separated by ';'."),
    "diabetes_lacking": (pl.String, "Variables that are not known and could change the route, separated by ';'."),
    "diabetes_facts": (_FACTS, "Everything found that its rules ask about."),
    "prevention_range": (pl.String, "Blood sugar that is proved, without diabetes: diabetes_range or ndh."),
    "prevention_ranges_open": (pl.String, "Ranges left open."),
    "diabetes_prevention_decision": (
        pl.String,
        "What is proposed on the prevention pathway; empty for those not on it.",
    ),
    "diabetes_prevention_clinic": (pl.String, "Clinic or worklist."),
    "diabetes_prevention_rule": (pl.String, "Rule that decides."),
    "diabetes_prevention_because": (pl.String, "Variables that make the rule hold, separated by ';'."),
    "diabetes_prevention_lacking": (
        pl.String,
        "Variables that are not known and could change the route, separated by ';'.",
    ),
    "diabetes_prevention_facts": (_FACTS, "Everything found that its rules ask about."),
    "faults": (pl.String, "Faults that touched a row of the person, separated by ';'; empty when none did."),
    "fault_expects": (pl.String, "The strongest of what these faults ask of a run: " + ", ".join(EXPECTS) + "."),
}
"""Columns of an expectation file: type and meaning. One row a person, practice by practice."""

TOUCH_COLUMNS: dict[str, tuple[Any, str]] = {
    "fault": (pl.String, "Fault, by its id."),
    "week": (pl.Int64, "Extract it was put into; 0 is the first."),
    "table": (pl.String, "Landing table."),
    "key": (pl.String, "Key of the row, its values separated by '|'; empty for a fault of a whole file."),
    "org_code": (pl.String, "Practice of the row."),
    "source_patient_id": (pl.String, "Patient id at that practice."),
    "nhs_number": (pl.String, "NHS number of the row before the fault."),
    "words": (pl.String, "What was done to it."),
    "expects": (pl.String, "What a right run does about it: " + ", ".join(EXPECTS) + "."),
}
"""Columns of ``fault.parquet``: type and meaning. One row for each row touched."""


# ------------------------------------------------------------------------------------------ what should be concluded


def expectations(
    meant: Mapping[str, pl.DataFrame], *, index_date: date, touches: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Work out what the rules should conclude about everybody of one practice.

    Args:
        meant: Landing tables as text, as a right pipeline reads them: everything about these people that the extracts
            so far have shown. Rows whose person has no patient row are nobody's.
        index_date: The day of the run.
        touches: Rows that faults were put into, in this extract and those before it (``TOUCH_COLUMNS``, of which
            ``fault``, ``expects`` and whose row it is are read).

    Returns:
        One row a person (``EXPECTATION_COLUMNS``), by NHS number; those without one after them by practice and id.
    """
    owners = _owners(meant["patient"])
    people = _gather(meant, owners, index_date)
    closed = _closed_practices(meant, index_date)
    faults = _faults_by_person(touches, owners)
    concluded: list[dict[str, Any]] = []
    for number, records in enumerate(people):
        first = records.patients[0]
        mine = faults.get(number, [])
        concluded.append(
            {
                **oracle.conclude(records, index_date=index_date, closed_practices=closed),
                "nhs_number": first["nhs_number"],
                "org_code": first["org_code"],
                "source_patient_id": first["source_patient_id"],
                "records": ";".join(f"{row['org_code']}/{row['source_patient_id']}" for row in records.patients),
                "faults": ";".join(sorted({fault for fault, _ in mine})) or None,
                "fault_expects": max((expects for _, expects in mine), key=EXPECTS.index, default=None),
            }
        )
    return pl.DataFrame(
        {
            name: _facts(each.get(name) for each in concluded)
            if kind == _FACTS
            else pl.Series(values=[each.get(name) for each in concluded], dtype=kind)
            for name, (kind, _) in EXPECTATION_COLUMNS.items()
        }
    )


def _facts(people: Iterable[Mapping[str, Fact] | None]) -> pl.Series:
    """Make a column of each person's facts, sorted by variable; empty for those who are not on the pathway."""
    owner, variable, value, day, is_on = [], [], [], [], []
    for number, facts in enumerate(people):
        is_on.append(facts is not None)
        for name in sorted(facts or ()):
            owner.append(number)
            variable.append(name)
            value.append((facts or {})[name].value)
            day.append((facts or {})[name].day or None)
    found = pl.DataFrame(
        {"person": owner, "variable": variable, "value": value, "date": day},
        schema={"person": pl.Int64, "variable": pl.String, "value": pl.Float64, "date": pl.String},
    ).with_columns(pl.col("date").str.to_date("%Y-%m-%d"))
    grouped = found.group_by("person", maintain_order=True).agg(pl.struct("variable", "value", "date").alias("facts"))
    everybody = pl.DataFrame({"person": range(len(is_on)), "is_on": is_on}, schema={"person": pl.Int64, "is_on": bool})
    empty = pl.lit([], dtype=_FACTS)
    joined = everybody.join(grouped, on="person", how="left", maintain_order="left")
    return joined.select(pl.when("is_on").then(pl.col("facts").fill_null(empty)).alias("facts")).to_series()


_RECORD = ("org_code", "source_patient_id")
_SPELL = ("provider_code", "spell_id")
_DIAGNOSES = tuple(f"diag_{place:02d}" for place in range(1, 21))


def _owners(patients: pl.DataFrame) -> pl.DataFrame:
    """Give whose each patient record is, as a number from 0: one person an NHS number, or for want of one a record."""
    named = patients.with_columns(
        has_none=pl.col("nhs_number").is_null(), name=pl.coalesce("nhs_number", pl.concat_str(_RECORD, separator="/"))
    )
    names = named.select("has_none", "name").unique().sort("has_none", "name").with_row_index("person")
    return named.join(names, on=["has_none", "name"], how="left", maintain_order="left")


def _gather(meant: Mapping[str, pl.DataFrame], owners: pl.DataFrame, index_date: date) -> list[Records]:
    """Put each person's rows together, leaving out those that nothing can be concluded from.

    Clinical rows matter of people of 65 and over (or of no known age), of people who ever had an entry of COPD, a care
    home or diabetes, and of those whose HbA1c may be raised; of their rows, codes that mean something, medicines of
    twelve months, and each thing once.
    """
    people = [Records() for _ in range(owners["person"].n_unique())]
    by_record = owners.select("person", *_RECORD)
    by_number = owners.filter(~pl.col("has_none")).select("person", "nhs_number").unique()
    born_by = f"{index_date.year - 65}{index_date.isoformat()[4:]}"
    is_old = pl.col("date_of_birth").is_null() | (pl.col("date_of_birth") <= born_by)
    is_open = pl.col("is_confidential").ne_missing("true")  # what is marked confidential never lands
    entries = {
        table: meant[table].filter(pl.col("snomed_code").is_in(MEANINGFUL_CODES) & is_open).join(by_record, on=_RECORD)
        for table in ("gp_event", "gp_observation")
    }
    named = [rows.filter(pl.col("snomed_code").is_in(REGISTER)).select("person") for rows in entries.values()]
    named += [rows.filter(pl.col("snomed_code").is_in(CARE_HOME)).select("person") for rows in entries.values()]
    in_home = meant["patient_flag"].filter(pl.col("flag").is_in(CARE_HOME_FLAGS)).join(by_number, on="nhs_number")
    sugar, sweet = _of_sugar(meant, by_record, is_open, index_date)
    old = owners.filter(is_old).select("person")
    of_interest = pl.concat([old, in_home.select("person"), *named, sweet]).unique()
    records_of_interest = by_record.join(of_interest, on="person", how="semi")
    numbers_of_interest = by_number.join(of_interest, on="person", how="semi")

    def add(attribute: str, rows: pl.DataFrame, *columns: str) -> None:
        for person, *values in rows.select("person", *columns).unique(maintain_order=True).iter_rows():
            getattr(people[person], attribute).append(dict(zip(columns, values, strict=True)))

    about = ("nhs_number", "date_of_birth", "sex", "date_of_death", "is_test_patient")
    add("patients", owners, *_RECORD, *about)
    periods = ("practice_code", "registration_type", "start_date", "end_date")
    add("registrations", meant["registration"].join(by_record, on=_RECORD), *_RECORD, *periods)
    coded = ("snomed_code", "effective_date", "effective_precision")
    add("events", entries["gp_event"].join(of_interest, on="person", how="semi"), *coded)
    measured = entries["gp_observation"].join(of_interest, on="person", how="semi")
    add("observations", measured, *coded, *_WRITTEN)
    for table, attribute, codes_of, columns in (
        ("gp_event", "events", ENTRIES - MEANINGFUL_CODES, coded),
        ("gp_observation", "observations", MEASURED | (ENTRIES - MEANINGFUL_CODES), (*coded, *_WRITTEN)),
        ("gp_observation", "pressures", PRESSURES, ("org_code", "parent_event_id", *coded, *_WRITTEN)),
    ):
        add(attribute, sugar[table].filter(pl.col("snomed_code").is_in(codes_of)), *columns)
    deaths = meant["death"].join(by_number, on="nhs_number")
    died = pl.concat([owners.filter(pl.col("date_of_death").is_not_null()).select("person"), deaths.select("person")])
    add("issues", _issues(meant["gp_medication"], records_of_interest, index_date, set(died["person"])), *_ISSUE)
    own = meant["apc_episode"].join(numbers_of_interest, on="nhs_number")
    # Whose the first episode of a spell is decides whose admission it was: others' episodes of it come along.
    spells = meant["apc_episode"].join(own.select("person", *_SPELL).unique(), on=_SPELL)
    admission = ("cds_unique_id", "nhs_number", "episode_order", "admission_date", "admission_method", "discharge_date")
    add("episodes", spells, *_SPELL, *admission, *_DIAGNOSES)
    add("deaths", deaths, "source", "date_of_death")
    add("flags", meant["patient_flag"].join(numbers_of_interest, on="nhs_number"), "flag", "start_date", "end_date")
    # An objection names a number, a record at a practice, or both: it holds for whoever either of them is.
    objected = ("opt_out_type", "is_opted_out", "effective_from", "checked_at", "expires_at")
    either = [meant["opt_out"].join(by_record, on=_RECORD), meant["opt_out"].join(by_number, on="nhs_number")]
    add("objections", pl.concat([rows.select("person", *objected) for rows in either]), *objected)
    return people


_WRITTEN = ("value_num", "unit_raw", "comparator")


def _of_sugar(
    meant: Mapping[str, pl.DataFrame], by_record: pl.DataFrame, is_open: pl.Expr, index_date: date
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Give the entries and values that conclusions about diabetes rest on, and the people they are of.

    People with diabetes, and those with a result of a year that is raised or not plainly written. No value counts for
    longer than 24 months.
    """
    wanted = {"gp_event": ENTRIES, "gp_observation": ENTRIES | MEASURED | PRESSURES}
    rows = {
        table: meant[table].filter(pl.col("snomed_code").is_in(codes_of) & is_open).join(by_record, on=_RECORD)
        for table, codes_of in wanted.items()
    }
    is_plain = (pl.col("unit_raw") == "mmol/mol") & pl.col("comparator").is_null()
    may_be_raised = pl.col("value_num").cast(pl.Float64, strict=False).fill_null(99) >= 42
    lately = pl.col("effective_date") >= months_back(index_date, 13).isoformat()
    results = rows["gp_observation"].filter((pl.col("snomed_code") == HBA1C) & lately)
    raised = results.filter(may_be_raised | ~is_plain.fill_null(value=False))
    ill = [each.filter(pl.col("snomed_code").is_in(DIABETES)).select("person") for each in rows.values()]
    people = pl.concat([*ill, raised.select("person")]).unique()
    is_recent = pl.col("effective_date") >= months_back(index_date, 36).isoformat()
    rows["gp_observation"] = rows["gp_observation"].filter(is_recent | pl.col("snomed_code").is_in(ENTRIES))
    return {table: each.join(people, on="person", how="semi") for table, each in rows.items()}, people


_ISSUE = ("issue_date", "dmd_code", "bnf_code", "original_code")


def _issues(issues: pl.DataFrame, records: pl.DataFrame, index_date: date, died: set[int]) -> pl.DataFrame:
    """Give the issues of twelve months: of medicines that matter by their days all, of others the latest of each.

    Of people who died all of them: the latest may be dated too long after death to count.
    """
    first = months_back(index_date, 12).isoformat()
    lately = issues.filter((pl.col("issue_date") >= first) & (pl.col("issue_date") < index_date.isoformat()))
    mine = lately.select(*_RECORD, *_ISSUE).join(records, on=_RECORD).drop(_RECORD)
    by_day_codes = COPD_MEDICINES | INSULIN
    matters = pl.any_horizontal(pl.col("dmd_code", "bnf_code").is_in(by_day_codes).fill_null(False))
    by_day = matters | pl.col("person").is_in(list(died))
    others = mine.filter(~by_day).group_by("person", *_ISSUE[1:], maintain_order=True).agg(pl.col("issue_date").max())
    return pl.concat([mine.filter(by_day), others.select(mine.columns)])


def _closed_practices(meant: Mapping[str, pl.DataFrame], index_date: date) -> frozenset[str]:
    """Give the practices of the reference that are not open on the day; those it does not hold belong to others."""
    day, reference = index_date.isoformat(), meant["practice"]
    is_open = (pl.col("valid_from") <= day) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > day))
    return frozenset(reference["practice_code"]) - frozenset(reference.filter(is_open)["practice_code"])


def _faults_by_person(touches: pl.DataFrame | None, owners: pl.DataFrame) -> dict[int, list[tuple[str, str]]]:
    """Give the faults, and what each expects, of everybody whose record or number a touched row names."""
    found: dict[int, list[tuple[str, str]]] = {}
    if touches is None:
        return found
    for on in (list(_RECORD), ["nhs_number"]):
        whose = owners.filter(~pl.any_horizontal(pl.col(on).is_null())).select("person", *on).unique()
        mine = touches.join(whose, on=on).select("person", "fault", "expects").unique()
        for person, fault, expects in mine.iter_rows():
            found.setdefault(person, []).append((fault, expects))
    return found


# ------------------------------------------------------------------------------------------------- the files


def expectation_file(index_date: date) -> str:
    """Give the name of the file with what a run of that day should conclude."""
    return f"expectation-{index_date.isoformat()}.parquet"


def write_part(parts: Path, number: int, day: date, *, expected: pl.DataFrame, touches: pl.DataFrame) -> None:
    """Write one practice's share of what belongs to one extract, to be joined with the others'; any process may.

    Args:
        parts: Folder of all shares of this truth.
        number: Place of the practice; shares are joined in this order.
        day: Index date of the extract.
        expected: What :func:`expectations` gave.
        touches: Rows that faults were put into in this extract.
    """
    _write_share(parts / expectation_file(day), number, expected)
    if not touches.is_empty():
        _write_share(parts / FAULT / day.isoformat(), number, touches)


def write_state(parts: Path, number: int, *, state: pl.DataFrame, enrolment: pl.DataFrame) -> None:
    """Write one practice's share of ``person.parquet`` and ``enrolment.parquet``.

    Args:
        parts: Folder of all shares of this truth.
        number: Place of the practice.
        state: Everybody as drawn (``state.STATE_COLUMNS``).
        enrolment: Who was in which programme (``programmes.ENROLMENT_COLUMNS``).
    """
    _write_share(parts / PERSON, number, state.sort("nhs_number", *_RECORD, nulls_last=True))
    _write_share(parts / ENROLMENT, number, enrolment)


def join(
    parts: Path,
    folder: Path,
    *,
    county: County,
    digests: Mapping[date, Mapping[str, str]],
    file_touches: Mapping[date, pl.DataFrame],
) -> None:
    """Join the shares of every practice into a folder of truth, complete with ``about.json``.

    Args:
        parts: Folder of the shares, which are removed as they are joined.
        folder: The folder to make; putting it in place whole is the caller's.
        county: The county.
        digests: The SHA-256 of each extract file, by index date and name.
        file_touches: Files that faults were put into, by index date.
    """
    folder.mkdir(parents=True)
    for name in (PERSON, ENROLMENT, *map(expectation_file, county.index_dates)):
        _sink(_shares(parts / name), folder / name)
        shutil.rmtree(parts / name)
    _sink(_touches(parts / FAULT, county.index_dates, file_touches), folder / FAULT)
    programme_rows(county).write_parquet(folder / PROGRAMME, compression="zstd", statistics=False)
    columns = {
        PERSON: STATE_COLUMNS,
        **{expectation_file(day): EXPECTATION_COLUMNS for day in county.index_dates},
        FAULT: TOUCH_COLUMNS,
        PROGRAMME: PROGRAMME_COLUMNS,
        ENROLMENT: ENROLMENT_COLUMNS,
    }
    order = county.order
    about = {
        "version": TRUTH_VERSION,
        "people": order.people,
        "practices": len(county.practices),
        "seed": order.seed,
        "index_date": county.index_dates[0].isoformat(),
        "index_dates": [day.isoformat() for day in county.index_dates],
        "is_clean": not any(order.faults.values()),
        "faults": dict(order.faults),
        "fault_counts": _fault_counts(folder, county.index_dates[-1]),
        "facts": {
            "copd": sorted(COPD_FACTS),
            "frailty": sorted(FRAILTY_FACTS),
            "care_homes": sorted(CARE_HOME_FACTS),
            "diabetes": sorted(DIABETES_FACTS),
            "diabetes_prevention": sorted(PREVENTION_FACTS),
        },
        "extracts": {day.isoformat(): dict(sorted(digests[day].items())) for day in county.index_dates},
        "truth": {name: _digest(folder / name) for name in sorted(columns)},
        "columns": {name: {each: words for each, (_, words) in columns[name].items()} for name in sorted(columns)},
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8", newline="")


_ROW_GROUP = 50_000
"""Rows written at a time: one size, so that the bytes do not depend on how many threads write."""


def _write_share(folder: Path, number: int, rows: pl.DataFrame) -> None:
    """Write one practice's rows; floats are rounded to 6 places, the same on every machine."""
    folder.mkdir(parents=True, exist_ok=True)
    rounded = rows.with_columns(cs.float().round(6))
    rounded.write_parquet(folder / f"{number:06d}.parquet", compression="lz4", statistics=False)


def _shares(folder: Path) -> pl.LazyFrame:
    return pl.scan_parquet(sorted(folder.iterdir()))


def _sink(rows: pl.LazyFrame, path: Path) -> None:
    rows.sink_parquet(path, compression="zstd", statistics=False, maintain_order=True, row_group_size=_ROW_GROUP)


def _touches(parts: Path, days: Sequence[date], file_touches: Mapping[date, pl.DataFrame]) -> pl.LazyFrame:
    """Give the rows and files touched, extract by extract, with the number of the extract."""
    kinds = {name: kind for name, (kind, _) in TOUCH_COLUMNS.items()}
    found = [pl.LazyFrame(schema=kinds)]
    for week, day in enumerate(days):
        of_rows = [_shares(parts / day.isoformat())] if (parts / day.isoformat()).is_dir() else []
        for each in (*of_rows, *([file_touches[day].lazy()] if day in file_touches else [])):
            found.append(each.with_columns(week=pl.lit(week, pl.Int64)).select(list(kinds)))
    return pl.concat(found)


def _fault_counts(folder: Path, last: date) -> list[dict[str, str | int]]:
    """Give each fault that touched anything, with its rows and the people whose rows they are at the last extract."""
    rows = pl.scan_parquet(folder / FAULT).group_by("fault").agg(rows=pl.len())
    touched = pl.scan_parquet(folder / expectation_file(last)).select(fault=pl.col("faults").str.split(";"))
    people = touched.explode("fault").drop_nulls().group_by("fault").agg(people=pl.len())
    counted = rows.join(people, on="fault", how="left").with_columns(pl.col("people").fill_null(0))
    return counted.sort("fault").collect().to_dicts()


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
