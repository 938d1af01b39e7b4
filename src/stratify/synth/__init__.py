"""The synthetic county: invented people with the illnesses, care and untidy records that the pipeline must cope with.

``write_county`` writes one extract set in the canonical layout. It shares no rule and no codelist with the pipeline:
what is wrong with a person is drawn first, and what the records say of it second. NHS numbers are from the never-issued
999 range. Nothing here reads a clock; the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

__all__ = ["CountySummary", "write_county"]

_MOST_PEOPLE = 800_000


@dataclass(frozen=True)
class CountySummary:
    """What was written: where, which files (the manifest last), how many rows of each table, and how many people."""

    folder: Path
    files: tuple[str, ...]
    row_counts: Mapping[str, int]
    people: int


def write_county(
    folder: Path,
    *,
    people: int = 20_000,
    practices: int = 8,
    seed: int = 1,
    index_date: date = date(2026, 11, 2),
    dirt: bool = True,
    file_format: Literal["csv", "parquet"] = "csv",
    truth_folder: Path | None = None,
) -> CountySummary:
    """Write the extract set of an invented county, and the truth about it where that is asked for.

    Args:
        folder: Where to put the files; new, empty, or an earlier county, which is replaced.
        people: How many people, 100 to 800,000; some have two records.
        practices: How many GP practices, at least 1 and at most one for every 100 people.
        seed: Another seed gives another county.
        index_date: The day of the run the extract is for; it describes the day before.
        dirt: Whether to put in the faults of ``dirt.DIRT``.
        file_format: ``csv`` or ``parquet``.
        truth_folder: Where to put what is so and what the rules should conclude (``truth``); apart from ``folder``.

    Raises:
        SettingsError: a size, the format or a folder is not fit; nothing was written.
        RunError: the files could not be written.
    """
    _check(people, practices, seed, file_format)
    from stratify.synth.write import TABLES, as_text, check_folder, in_order, write_set

    check_folder(folder)
    from datetime import timedelta

    from stratify.synth import truth
    from stratify.synth.county import STATE, draw_county
    from stratify.synth.dirt import spoil_tables, without_a_clinic

    if truth_folder is not None:
        truth.check_truth_folder(truth_folder, folder)

    cutoff = index_date - timedelta(days=1)
    frames = draw_county(people=people, practices=practices, seed=seed, index_date=index_date)
    clean = {table: as_text(frames[table], table) for table in TABLES}
    tables, touched = dict(clean), truth.Touched()
    if dirt:
        codes = tables["practice"]["practice_code"].to_list()
        tables["clinic_capacity"] = without_a_clinic(tables["clinic_capacity"], codes)
        spoilt = spoil_tables(tables, cutoff=cutoff, seed=seed, note=touched.note)
        tables = {name: in_order(frame, name) for name, frame in spoilt.items()}
    expected = None if truth_folder is None else truth.expectations(clean, index_date=index_date, touched=touched)
    files = write_set(folder, tables, period_to=cutoff, file_format=file_format)
    if truth_folder is not None and expected is not None:
        about = {
            "people": people,
            "practices": practices,
            "seed": seed,
            "index_date": index_date.isoformat(),
            "is_clean": not dirt,
            "faults": truth.fault_counts(touched, clean),
        }
        truth.write_truth(truth_folder, extracts=folder, state=frames[STATE], expected=expected, about=about)
    return CountySummary(folder, files, {table: tables[table].height for table in TABLES}, people)


def _check(people: int, practices: int, seed: int, file_format: str) -> None:
    from stratify.errors import SettingsError, combine

    faults: list[SettingsError] = []
    if not 100 <= people <= _MOST_PEOPLE:
        faults.append(
            SettingsError(
                "synthetic county, people",
                expected=f"100 to {_MOST_PEOPLE:,} (as many as the 999 range has NHS numbers for)",
                found=f"{people:,}",
                action="Give another number of people.",
            )
        )
    if practices < 1 or practices > max(people, 0) // 100:
        most = max(people, 0) // 100
        faults.append(
            SettingsError(
                "synthetic county, practices",
                expected=f"1 to {most:,}, one for every 100 people" if most else "1 for every 100 people",
                found=f"{practices:,}",
                action="Give fewer practices or more people." if practices >= 1 else "Give at least one practice.",
            )
        )
    if seed < 0:
        faults.append(
            SettingsError("synthetic county, seed", expected="0 or more", found=f"{seed}", action="Give another seed.")
        )
    if file_format not in ("csv", "parquet"):
        faults.append(
            SettingsError(
                "synthetic county, file format",
                expected="csv or parquet",
                found="another word",
                action="Give one of them.",
            )
        )
    if faults:
        raise combine(list(faults))
