"""The canonical layout: one file per landing table, as its contract says, and ``manifest.csv``.

Tables that no supplier's layout holds are written so beside the supplier's files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import PurePath

from stratify import contracts
from stratify.synth.layouts.layout import ExtractFacts, Files, FileStyle, Layout, Tables, WrittenFile

MANIFEST = "manifest.csv"


def canonical_files(tables: Tables, without: Collection[str] = ()) -> Files:
    """Give the file of each table but those another layout holds; the rows are as they came."""
    return {f"{table}.csv": rows for table, rows in tables.items() if table not in without}


def canonical_style(name: str) -> FileStyle:
    """Give the style of a canonical file: UTF-8, quotes where needed; people of several practices share an area."""
    table = PurePath(name).stem
    return FileStyle(unique_key=contracts.load("landing.lsoa").key if table == "lsoa" else None)


def canonical_manifest(files: Sequence[WrittenFile], facts: ExtractFacts) -> dict[str, str]:
    """Give ``manifest.csv``: a line for every file that is named after a landing table, in the order given."""
    columns = contracts.load("landing.extract_manifest").column_names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for file in files:
        table = PurePath(file.name).stem
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
        if table == "apc_episode" and facts.replaces_from:
            line |= {"replaces_from": facts.replaces_from.isoformat(), "replaces_to": facts.cutoff.isoformat()}
        writer.writerow([line.get(column, "") for column in columns])
    return {MANIFEST: text.getvalue()}


def _files(tables: Tables, facts: ExtractFacts) -> Files:
    return canonical_files(tables)


CANONICAL = Layout("canonical", canonical_style, _files, canonical_manifest)
