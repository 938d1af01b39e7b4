"""Which source a folder looks like, and what of it will not fit: by file names, headers and manifests alone.

Belongs here: comparing a folder with every source, and saying what was found. Does not belong: reading rows, which
``stratify check`` does. No value of a row is read, and no header that seems to be one is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stratify.declarations import Declaration
from stratify.errors import ExtractError, StratifyError
from stratify.ingest.files import MANIFEST, inspect_files, needed_tables, table_of_name
from stratify.ingest.sources import synthea
from stratify.ingest.sources.finding import (
    Found,
    compare_header,
    faults_of_set,
    find_files,
    header_of,
    shown_name,
)
from stratify.ingest.sources.telling import tell

if TYPE_CHECKING:
    from stratify.ingest.sources import Source


@dataclass
class Comparison:
    """A folder compared with one source: files it knows, what is worth saying, and what will not fit."""

    source: str
    known_count: int
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def compare_folder(folder: Path, source: Source, *, place: int = 0) -> Comparison:
    """Compare the files of a folder with one source; ``place``: which of several sets in order they are, from 0.

    Raises:
        ExtractError: there is no such folder.
    """
    if source.declaration is not None:
        return _compare_declared(folder, source, source.declaration, place)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if source.read is not None:
        return _compare_synthea(folder, source, names)
    known = [name for name in names if table_of_name(name) is not None]
    compared = Comparison(source.name, len(known))
    if known:
        try:
            files = inspect_files(folder, source)
            unknown = [f"{each.file_name}: {len(each.unknown_columns)}" for each in files if each.unknown_columns]
            compared.notes += [f"columns that the contract does not know, ignored: {', '.join(unknown)}"] * bool(
                unknown
            )
        except StratifyError as fault:
            compared.faults.append(str(fault))
    compared.notes.insert(0, f"{len(known)} files named after landing tables; {_present(folder, MANIFEST)}")
    return compared


def check_folder(folder: Path, sources: Mapping[str, Source]) -> tuple[str, bool]:
    """Say which source a folder looks like and what will not fit.

    Args:
        folder: The files as they came, or a folder for each of several sets.
        sources: The sources to compare with, by name.

    Returns:
        What to show, and whether the folder fits one layout.

    Raises:
        ExtractError: there is no such folder.
    """
    if not folder.is_dir():
        raise ExtractError(
            "folder to check",
            expected="a folder with extract files",
            found="no such folder",
            action="Correct the path.",
        )
    sets = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
    if sets and all(each.is_dir() for each in sets):
        return _check_sets(sets, sources)
    return _check_one(folder, sources, 0)


def _check_sets(folders: Sequence[Path], sources: Mapping[str, Source]) -> tuple[str, bool]:
    """Say the same of a folder for each set: they must be of one source."""
    lines, fits, names = [f"{len(folders)} sets, a folder each."], [], set()
    for place, each in enumerate(folders):
        said, is_fit = _check_one(each, sources, place)
        fits.append(is_fit)
        first, *rest = said.splitlines()
        names.add(first.split(":")[0])
        lines += [f"Set {shown_name(each.name)}. {first}", *rest]
    if len(names) > 1:
        lines.append("The sets do not look like one source.")
    return "\n".join(lines), all(fits) and len(names) == 1


def _check_one(folder: Path, sources: Mapping[str, Source], place: int) -> tuple[str, bool]:
    compared = [compare_folder(folder, source, place=place) for source in sources.values()]
    most = max(each.known_count for each in compared)
    if not most:
        return "This folder looks like no source: no file has a name that one of them knows.", False
    closest = [each for each in compared if each.known_count == most]
    fitting = [each for each in closest if not each.faults]
    chosen = fitting or [min(closest, key=lambda each: len(each.faults))]
    # Real and invented people come in the same layouts: those say the same of the folder.
    same = [each for each in chosen if each.notes == chosen[0].notes]
    real = sorted(each.source for each in same if not sources[each.source].is_synthetic)
    invented = sorted(each.source for each in same if sources[each.source].is_synthetic)
    name = (real or invented)[0]
    lines = [f"This folder looks like source {name}: {sources[name].description}"]
    if real and invented:
        lines.append(f"  If its people are invented, the source is {' or '.join(invented)}.")
    lines += [f"  {note}" for note in chosen[0].notes]
    others = sorted({each.source for each in fitting} - {each.source for each in same})
    if others:
        lines.append(f"  It fits as well: {', '.join(others)}.")
    lines += [f"  WILL NOT FIT {number}. {fault}" for number, fault in enumerate(chosen[0].faults, 1)]
    is_fit = bool(fitting) and not others and len(real) <= 1
    lines.append(
        "Names, headers and manifest fit; `stratify check` reads the rows." if is_fit else "It does not fit one source."
    )
    return "\n".join(lines), is_fit


def _compare_declared(folder: Path, source: Source, declaration: Declaration, place: int) -> Comparison:
    found = find_files(folder, declaration)
    declared = {kind: paths for kind, paths in found.declared.items() if paths}
    beside = sum(len(paths) for paths in found.canonical.values())
    compared = Comparison(source.name, sum(len(paths) for paths in declared.values()) + beside)
    if not declared:
        compared.known_count = 0  # canonical files alone are the canonical layout
        return compared
    faults = faults_of_set(found, declaration)
    versions: dict[str, int] = {}
    new: list[str] = []
    for kind, paths in declared.items():
        file = declaration.files[kind]
        for path in paths:
            if file.not_read is not None:
                continue
            fit = compare_header(header_of(path, file), file)
            if fit.version is None:
                expected = f"a known version ({', '.join(each.version for each in file.versions)})"
                compared.faults.append(f"{file.name}: expected {expected}; found {fit.difference}.")
            else:
                versions[fit.version] = versions.get(fit.version, 0) + 1
            new += [f"{file.name}: {', '.join(fit.unknown)}"] * bool(fit.unknown and fit.version)
    said_faults: list[StratifyError] = []
    told = tell(folder, declaration, found, said_faults, place=place)
    compared.faults += [str(fault) for fault in (*said_faults, *faults)]
    compared.faults += [f"landing.{table}: no file to make it of." for table in _missing(source, declaration, found)]
    unread = sum(len(paths) for kind, paths in declared.items() if declaration.files[kind].not_read is not None)
    said = ", ".join(f"{version} in {count} files" for version, count in sorted(versions.items()))
    compared.notes.append(f"schema version: {said or 'none known'}")
    compared.notes.append(f"{sum(map(len, declared.values()))} files known by name, {unread} of them never read")
    if declaration.canonical:
        compared.notes.append(f"{beside} files beside in the canonical layout; {_present(folder, MANIFEST)}")
    if declaration.manifest is not None and told.own:
        last = {line.last_day.isoformat() for line in told.own.values() if line.last_day is not None}
        ends = f", up to {', '.join(sorted(last))}" if last else ""
        compared.notes.append(f"{declaration.manifest.file} names {len(told.own)} files{ends}")
    if not said_faults:
        compared.notes.append(told.in_words)
    absent = [file.name for kind, file in declaration.files.items() if kind not in declared and not file.is_required]
    compared.notes += [f"not there and not required: {', '.join(absent)}"] * bool(absent)
    compared.notes += [f"files no source of this layout knows, not read: {', '.join(found.unknown)}"] * bool(
        found.unknown
    )
    compared.notes += [f"columns no version knows, ignored: {'; '.join(new)}"] * bool(new)
    return compared


def _missing(source: Source, declaration: Declaration, found: Found) -> list[str]:
    made = set(found.canonical) | ({"practice", "clinic_capacity"} if declaration.stand_ins else set())
    for table, parts in declaration.tables.items():
        kinds = {kind for part in parts for kind in _originals(declaration, part.file)}
        made |= {table} if any(found.declared.get(kind) for kind in kinds) else set()
    return [table for table in needed_tables(source) if table not in made]


def _originals(declaration: Declaration, kind: str) -> tuple[str, ...]:
    return declaration.derived[kind].of if kind in declaration.derived else (kind,)


def _compare_synthea(folder: Path, source: Source, names: list[str]) -> Comparison:
    known, unknown = synthea.known_names(names)
    compared = Comparison(source.name, len(known))
    if known:
        compared.faults += synthea.header_faults(folder)
        compared.notes.append(f"{len(known)} files known by name")
        shown = ", ".join(shown_name(name) for name in unknown)
        compared.notes += [f"files it does not know, not read: {shown}"] * bool(unknown)
    return compared


def _present(folder: Path, name: str) -> str:
    return f"{name} is there" if (folder / name).is_file() else f"no {name}"
