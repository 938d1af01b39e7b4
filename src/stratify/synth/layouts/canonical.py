"""The canonical layout: one file per landing table, as its contract says, and ``manifest.csv``.

Tables that no supplier's layout holds are written so beside the supplier's files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import PurePath

import polars as pl

from stratify import contracts
from stratify.synth.layouts.identifiers import each_once
from stratify.synth.layouts.layout import ExtractFacts, Files, FileStyle, Layout, Tables, WrittenFile

MANIFEST = "manifest.csv"

_HOSPITAL_FILES = {
    "HES_APC_": "apc_episode",
    "HES_OP_": "op_attendance",
    "ECDS_": "ed_attendance",
    "SUS_InsertDeleteLog_": "apc_episode",
}
"""Beginnings of the names of hospital files (``hospital``), and the table each belongs to."""


def canonical_files(
    tables: Tables, without: Collection[str] = (), *, patient_ids: Callable[[pl.Series], pl.Series] | None = None
) -> Files:
    """Give the file of each table but those another layout holds.

    The rows are as they came, but that beside a supplier's files they know a patient by the supplier's id.
    """
    files = {}
    for table, rows in tables.items():
        if table not in without:
            is_named = patient_ids is not None and "source_patient_id" in rows.columns
            made = each_once(rows["source_patient_id"], patient_ids) if is_named and patient_ids else None
            files[f"{table}.csv"] = rows if made is None else rows.with_columns(source_patient_id=made)
    return files


def canonical_style(name: str) -> FileStyle:
    """Give the style of a canonical file: UTF-8, quotes where needed; people of several practices share an area."""
    table = PurePath(name).stem
    return FileStyle(unique_key=contracts.load("landing.lsoa").key if table == "lsoa" else None)


def canonical_manifest(files: Sequence[WrittenFile], facts: ExtractFacts) -> dict[str, str]:
    """Give ``manifest.csv``, in the order given: a line for every file that is named after a landing table.

    Hospital files have one under the table that is made of them. Other files of a supplier have none: for them hold the
    words of the other lines, on whether it is a delta and from which day on.
    """
    columns = contracts.load("landing.extract_manifest").column_names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for file in files:
        stem = PurePath(file.name).stem
        table = next((table for begins, table in _HOSPITAL_FILES.items() if stem.startswith(begins)), stem)
        if f"landing.{table}" not in contracts.names("landing"):
            continue
        line: dict[str, object] = {
            "file_name": file.name,
            "table_name": table,
            "source_system": "SYNTHETIC",
            "row_count": file.row_count,
            "byte_count": file.byte_count,
            "sha256": file.sha256,
            "period_to": facts.cutoff.isoformat(),
            "is_delta": str(facts.is_delta).lower(),
            "period_from": (facts.previous_cutoff + timedelta(days=1)).isoformat() if facts.previous_cutoff else "",
        }
        if table == "apc_episode" and facts.replaces_from and not stem.startswith("SUS_"):
            line |= {"replaces_from": facts.replaces_from.isoformat(), "replaces_to": facts.cutoff.isoformat()}
        writer.writerow([line.get(column, "") for column in columns])
    return {MANIFEST: text.getvalue()}


def _files(tables: Tables, facts: ExtractFacts) -> Files:
    return canonical_files(tables)


CANONICAL = Layout("canonical", canonical_style, _files, canonical_manifest)
