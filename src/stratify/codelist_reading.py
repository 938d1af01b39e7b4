"""Reads the codelists of a clinical folder: each is the one that its manifest entry describes, and has codes."""

from __future__ import annotations

import csv
import hashlib
from io import StringIO
from pathlib import Path

from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError
from stratify.rules import Codelist, CodelistManifest


def read_codelists(folder: Path, faults: list[RuleError]) -> dict[str, Codelist]:
    """Read the codelists that the manifest of a folder names.

    Args:
        folder: Where ``manifest.yaml`` and the CSV files lie.
        faults: What is wrong is added to these.
    """

    def fault(path: Path, expected: str, found: str, action: str) -> None:
        faults.append(RuleError(DefinitionFile(path).name, expected=expected, found=found, action=action))

    manifest = DefinitionFile(folder / "manifest.yaml").read(CodelistManifest, faults)
    if not manifest:
        return {}
    found: dict[str, Codelist] = {}
    for path in sorted({*folder.glob("*.csv")} - {folder / f"{entry.id}.csv" for entry in manifest.codelists}):
        fault(path, "an entry in the manifest", "none", "Describe the codelist there, or take the file away.")
    for entry in manifest.codelists:
        path = folder / f"{entry.id}.csv"
        if entry.id in found:
            fault(folder / "manifest.yaml", "an id used once", f"{entry.id} a second time", "Take one entry out.")
        if not path.is_file():
            fault(path, "the codelist the manifest names", "no file", "Add it, or take the entry out.")
            continue
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            fault(
                path,
                "the content the manifest's sha256 names",
                "another content",
                "Bump version, rows and sha256 in the manifest if the change is meant.",
            )
        try:
            header, *rows = csv.reader(StringIO(content.decode("utf-8")))
            code, term = header.index("code"), header.index("term")
            codes = {row[code]: row[term] for row in rows}
            weight = header.index("weight") if "weight" in header else None
            weights = {} if weight is None else {row[code]: float(row[weight]) for row in rows}
        except (UnicodeDecodeError, IndexError, ValueError):
            fault(
                path,
                "a UTF-8 CSV with the columns code and term (and a number in weight, if any)",
                "another layout",
                "Correct the file.",
            )
            continue
        if not rows or len(rows) != entry.rows:
            fault(
                path,
                f"{entry.rows} codes, at least one",
                f"{len(rows)}",
                "A codelist that matches nothing finds nobody: correct the file.",
            )
        if len(codes) != len(rows) or not all(codes):
            written = [row[code] for row in rows]
            bad = next(n for n, each in enumerate(written) if not each or each in written[:n]) + 2
            fault(path, "every code once", f"a blank or repeated code on line {bad}", "Take the line out.")
        found[entry.id] = Codelist(entry, codes, weights)
    return found
