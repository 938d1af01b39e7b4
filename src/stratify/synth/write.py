"""Writes an extract set: one file per landing table in the canonical layout, and the manifest that travels with them.

Column names and order come from the contracts. A set is written beside its place and moved in whole, so a run that is
killed leaves either the old set or none. What is in the rows does not belong here.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from stratify import contracts
from stratify.errors import RunError, SettingsError

FileFormat = Literal["csv", "parquet"]

TABLES = (
    "patient", "registration", "gp_event", "gp_observation", "gp_medication", "apc_episode", "op_attendance",
    "ed_attendance", "death", "patient_flag", "opt_out", "practice", "clinic_capacity",
)  # fmt: skip
MANIFEST = "manifest.csv"


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier extract set of ours.

    Raises:
        SettingsError: it is a file, or holds other files.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SettingsError(
            f"folder {folder.name}", expected="a folder", found="a file of that name", action="Give another folder."
        )
    ours = {f"{table}.{ending}" for table in TABLES for ending in ("csv", "parquet")} | {MANIFEST}
    others = [each for each in folder.iterdir() if each.name not in ours or not each.is_file()]
    if others:
        raise SettingsError(
            f"folder {folder.name}",
            expected="a folder that is new, empty or holds an earlier synthetic county",
            found=f"{len(others)} other files or folders in it",
            action="Give another folder; nothing was written.",
        )


def as_text(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Give a table the columns of its landing contract, in order, each as the text a file holds, sorted by its key."""
    contract = contracts.load(f"landing.{table}")
    columns = []
    for name in contract.column_names:
        if name not in frame.columns:
            columns.append(pl.lit(None, dtype=pl.String).alias(name))
        elif isinstance(frame.schema[name], pl.Datetime):
            columns.append(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S"))
        elif frame.schema[name].is_float():
            columns.append(pl.col(name).cast(pl.String).str.strip_suffix(".0"))
        else:
            columns.append(pl.col(name).cast(pl.String))
    return in_order(frame.select(columns), table)


def in_order(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Sort rows of text by their key; rows of one key keep the order they have."""
    key = contracts.load(f"landing.{table}").key or ("opt_out_type", "nhs_number", "org_code", "source_patient_id")
    return frame.sort(key, maintain_order=True, nulls_last=True)


def write_set(
    folder: Path, tables: Mapping[str, pl.DataFrame], *, period_to: date, file_format: FileFormat
) -> tuple[str, ...]:
    """Write all tables and the manifest, and put the folder in place whole.

    Args:
        folder: Where the set shall stand; an earlier one is replaced.
        tables: Every table of ``TABLES``, as text.
        period_to: The day the extract describes.
        file_format: ``csv`` or ``parquet``; the manifest is CSV in both.

    Returns:
        Names of the files, the manifest last.

    Raises:
        RunError: the files could not be written.
    """
    try:
        return _write(folder.absolute(), tables, period_to, file_format)
    except OSError as fault:
        raise RunError(
            f"folder {folder.name}",
            expected="room and leave to write the synthetic county",
            found=fault.strerror or "an error of the file system",
            action="Mend that or give another folder; an earlier county is left as it was.",
        ) from None


def _write(
    folder: Path, tables: Mapping[str, pl.DataFrame], period_to: date, file_format: FileFormat
) -> tuple[str, ...]:
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.replaced")
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_killed_run in (partial, old):
        shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
    partial.mkdir()
    lines = []
    for table in TABLES:
        path = partial / f"{table}.{file_format}"
        frame = tables[table]
        if file_format == "csv":
            frame.write_csv(path, line_terminator="\n", quote_style="necessary")
        else:
            frame.write_parquet(path, compression="zstd", statistics=False)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        size = path.stat().st_size
        lines.append((path.name, table, "SYNTHETIC", frame.height, size, digest, period_to.isoformat()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(contracts.load("landing.extract_manifest").column_names)
    writer.writerows(lines)
    (partial / MANIFEST).write_text(text.getvalue(), encoding="utf-8", newline="")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return (*(line[0] for line in lines), MANIFEST)
