"""Work that is not done twice: a run, then another one into the same folder after something changed or nothing.

A county with a week of changes after its whole set. Whole runs by the function behind the command, each in a process of
its own; what was in place before is laid there by hard links, off the clock.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from benchmarks.laps import Laps, Stages

FIRST = date(2026, 11, 2)
FULL, SAME = "everything afresh", "the same week again, nothing changed"
CODELIST, WEEK = "the same week, one codelist changed", "the week after, with its changes"
LAID = "what is in place laid there"
_CODELIST = "efi_falls"


def invent(scratch: Path, people: int) -> Path:
    """Invent a county with a week of changes, and do its first run."""
    folder = scratch / "weeks"
    if (folder / "made").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", "from stratify.cli import app; app()", "synth", "--out", str(folder / "extracts")]
    command += ["--people", str(people), "--index-date", FIRST.isoformat(), "--weeks", "1", "--weekly", "delta"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    _run(folder, folder / "done", FIRST)
    _with_a_code_less(folder / "clinical")
    (folder / "made").touch()
    return folder


def size_in_words(folder: Path) -> str:
    """Say how many rows the first set has, and how many the week after it."""
    rows = {}
    for manifest in (folder / "extracts").rglob("manifest.csv"):
        lines = [line.split(",") for line in manifest.read_text(encoding="utf-8").splitlines()]
        place = lines[0].index("row_count")
        rows[manifest.parent.name] = sum(int(line[place]) for line in lines[1:])
    whole, changes = max(rows.values()), min(rows.values())
    return f"{whole:,} rows, a week of {changes:,} after them ({100 * changes / whole:.1f} %)"


def _run(folder: Path, out: Path, day: date, *, clinical: Path | None = None, afresh: bool = False) -> None:
    from stratify import audit_trail, pipeline, privacy
    from stratify.settings import STAND_IN_POLICY, Settings

    settings = Settings(
        extracts=folder / "extracts",
        source="synthetic_county",
        out=out,
        index_date=day,
        privacy=STAND_IN_POLICY,
        clinical=clinical,
    )
    by = audit_trail.this_account("benchmark")
    pipeline.run(settings, key=privacy.THROWAWAY_KEY, by=by, afresh=afresh)


def _with_a_code_less(to: Path) -> None:
    """Copy the definitions, with the last code of a list left out."""
    import hashlib

    import yaml

    from stratify.rulebook import clinical_folder

    shutil.copytree(clinical_folder(), to)
    path, manifest = to / "codelists" / f"{_CODELIST}.csv", to / "codelists" / "manifest.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]
    path.write_text("".join(lines), encoding="utf-8")
    entries = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    for entry in entries["codelists"]:
        if entry["id"] == _CODELIST:
            entry |= {"rows": len(lines) - 1, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")


def _again(folder: Path, out: Path, day: date, *, clinical: Path | None = None, afresh: bool = False) -> Stages:
    laps, place = Laps(), out / "again"
    shutil.copytree(folder / "done", place, symlinks=True, copy_function=os.link)
    laps.end(LAID)
    _run(folder, place, day, clinical=clinical, afresh=afresh)
    laps.end("run")
    return laps.seconds


JOBS = {
    FULL: lambda folder, out, _: _again(folder, out, FIRST, afresh=True),
    SAME: lambda folder, out, _: _again(folder, out, FIRST),
    CODELIST: lambda folder, out, _: _again(folder, out, FIRST, clinical=folder / "clinical"),
    WEEK: lambda folder, out, _: _again(folder, out, FIRST + timedelta(weeks=1)),
}
