"""Which files of a folder a declared source knows, which edition each is, and how far it goes.

Belongs here: file names, headers against the known versions, the source's own manifest. Does not belong: rows
(``reading``). Nothing of a row is ever shown; a header that seems to be a row is not shown either.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, cast

from stratify.declarations import FORMAT_WORDS, Declaration, ExtractFile, OwnManifest
from stratify.errors import ExtractError
from stratify.ingest.files import MANIFEST, shown_columns, table_of_name

DELIMITERS = {"comma": ",", "semicolon": ";", "bar": "|", "tab": "\t"}

_HEADER_BYTES = 65536
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.{}-]+")
_SERIES = ("number", "day", "moment")
_ASK_SET = "Ask the supplier for the whole set again."


@dataclass(frozen=True)
class Found:
    """The files of a folder: those declared by kind, those in the canonical layout, and the rest by name."""

    declared: dict[str, list[Path]]
    canonical: dict[str, list[Path]]
    unknown: list[str]


@dataclass(frozen=True)
class HeaderFit:
    """How a header compares with the known versions: ``version`` fits, or ``difference`` says why none does."""

    version: str | None
    unknown: tuple[str, ...]
    difference: str


def find_files(folder: Path, declaration: Declaration) -> Found:
    """Sort the files of a folder by what the declaration calls them.

    Raises:
        ExtractError: there is no such folder.
    """
    if not folder.is_dir():
        raise ExtractError(
            f"extract folder {folder.name or folder}",
            expected="a folder with the extract files",
            found="no such folder",
            action="Correct the path.",
        )
    patterns = {kind: file.pattern for kind, file in declaration.files.items()}
    own = {MANIFEST, declaration.manifest.file} if declaration.manifest else {MANIFEST}
    found = Found({kind: [] for kind in patterns}, {}, [])
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in own:
            continue
        kind = next((kind for kind, pattern in patterns.items() if pattern.fullmatch(path.name)), None)
        table = table_of_name(path.name)
        if kind is not None and path.is_file():
            found.declared[kind].append(path)
        elif table is not None and table in declaration.canonical and path.is_file():
            found.canonical.setdefault(table, []).append(path)
        else:
            found.unknown.append(shown_name(path.name))
    return found


def shown_name(name: str) -> str:
    """Give a file name as it may be shown: one with a long number or with other signs may be somebody's."""
    digits = max((len(run) for run in re.findall(r"[0-9]+", name)), default=0)
    return name if _SAFE_NAME.fullmatch(name) and digits <= 8 else "(a name that is not shown)"


def faults_of_set(found: Found, declaration: Declaration) -> list[ExtractError]:
    """Give what is wrong with the files as a set: some that lack, some there twice, several sets."""
    faults = []
    if not any(found.declared.values()):
        names = ", ".join(file.name for file in declaration.files.values() if file.not_read is None)
        faults.append(
            _fault(f"source {declaration.name}", f"files called {names}", "none of them", "Correct the path.")
        )
    for kind, file in declaration.files.items():
        paths = found.declared[kind]
        if file.is_required and not paths:
            faults.append(_fault(file.name, "this file, plain or gzipped", "none", _ASK_SET))
        patterns = [file.pattern.fullmatch(path.name) for path in paths]
        extracts = [
            tuple(sorted((word, part) for word, part in match.groupdict().items() if word not in _SERIES))
            for match in patterns
            if match
        ]
        again = [path.name for path, extract in zip(paths, extracts, strict=True) if extracts.count(extract) > 1]
        if again:
            many = f"{len(again)} that differ in their number or time alone"
            faults.append(
                _fault(
                    file.name,
                    "the files of one set in a folder",
                    f"{many}, or one plain and one gzipped",
                    "Give every set a folder of its own, named by its last day (2026-11-08).",
                )
            )
        elif len(paths) > 1 and len({_digest(path) for path in paths}) < len(paths):
            faults.append(_fault(file.name, "each content once", "the same content under two names", _ASK_SET))
    return faults


def last_day_of_name(file: ExtractFile, path: Path) -> date | None:
    """Give the day a file goes up to by its name, where the name says so."""
    match = file.pattern.fullmatch(path.name)
    parts = match.groupdict() if match else {}
    text = (parts.get("moment") or parts.get("day") or "")[:8]
    try:
        return datetime.strptime(text, "%Y%m%d").date() if text else None  # a day has no time zone
    except ValueError:
        return None


# Headers


def header_of(path: Path, file: ExtractFile) -> tuple[str, ...]:
    """Read the header of a file; a file that cannot be read has none."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            line = cast(IO[bytes], stream).read(_HEADER_BYTES).split(b"\n", 1)[0]
    except (OSError, EOFError, zlib.error):
        return ()
    text = line.removeprefix(codecs.BOM_UTF8).decode(file.form.encoding or "utf-8", errors="replace").rstrip("\r")
    cells = next(csv.reader([text.replace("\r", " ")], delimiter=DELIMITERS[file.form.delimiter or "comma"]), [])
    return tuple(cell.strip() for cell in cells)


def compare_header(header: tuple[str, ...], file: ExtractFile) -> HeaderFit:
    """Find the version a header is of: its columns in their order; new ones that no version knows may stand between."""
    named = {each.version: file.header(each.version) for each in file.versions}
    ever = {name for columns in named.values() for name in columns}
    known = tuple(name for name in header if name in ever)
    unknown = tuple(name for name in header if name not in ever)
    for version, columns in named.items():
        if known == columns:
            return HeaderFit(version, _shown(unknown), "")
    version, columns = max(named.items(), key=lambda one: len(set(one[1]) & set(header)))
    shared = [name for name in header if name in columns]
    if len(set(shared)) * 2 < len(columns):
        return HeaderFit(None, (), f"{len(set(shared))} of its {len(columns)} column names in {len(header)} columns")
    parts = [f"against version {version}"]
    gone = [name for name in columns if name not in header]
    new = [name for name in header if name not in columns]
    renamed = {
        name: header[place]
        for place, name in enumerate(columns)
        if name in gone
        and len(header) == len(columns)
        and header[place] in new
        and _shown((header[place],)) == (header[place],)
    }
    parts += [f"{name} is called {now}" for name, now in renamed.items()]
    lacking = [name for name in gone if name not in renamed]
    parts += [f"no {', '.join(lacking)}"] if lacking else []
    added = _shown(tuple(name for name in new if name not in renamed.values()))
    parts += [f"and unknown {', '.join(added)}"] if added else []
    twice = sorted({name for name in shared if shared.count(name) > 1})
    parts += [f"{', '.join(twice)} twice"] if twice else []
    order = [name for name in columns if name in header]
    if not twice and shared != order:
        place = next(place for place, name in enumerate(shared) if name != order[place])
        parts.append(f"{shared[place]} where {order[place]} belongs")
    return HeaderFit(None, added, "; ".join(parts))


def _shown(names: tuple[str, ...]) -> tuple[str, ...]:
    return shown_columns(names, _COLUMN.pattern)


# The source's own manifest


@dataclass(frozen=True)
class ManifestLine:
    """What the source says of one of its files."""

    is_delta: bool
    first_day: date | None
    last_day: date | None


def read_own_manifest(
    folder: Path, declaration: Declaration, found: Found, faults: list[ExtractError]
) -> dict[str, ManifestLine]:
    """Read the source's own list of its files, by file name as it stands in the folder, and add what does not fit."""
    own = declaration.manifest
    if own is None:
        return {}
    path = folder / own.file
    rows: list[dict[str, str]] | None = None
    if path.is_file():
        try:
            text = path.read_bytes().decode(declaration.form.encoding or "utf-8")
            rows = list(csv.DictReader(text.removeprefix("\ufeff").splitlines()))
        except UnicodeDecodeError:
            rows = None
    needed = [name for name in (own.name, own.is_delta, own.last_moment, own.is_reference) if name is not None]
    if not rows or any(name not in rows[0] for name in needed):
        lacks = "no such file" if not path.is_file() else "one without them"
        faults.append(_fault(own.file, f"a line a file, with the columns {', '.join(needed)}", lacks, _ASK_SET))
        return {}
    lines, wrong = {}, []
    for number, row in enumerate(rows, 2):
        name, day = (row[own.name] or "").strip(), _day(row, own.last_moment, own)
        if own.is_name_without_ending:
            name += ".csv"
        is_reference = own.is_reference is not None and (row[own.is_reference] or "").strip() in own.reference_words
        if name in lines or (own.last_moment is not None and day is None and not is_reference):
            wrong.append(number)
        is_delta = own.is_delta is not None and (row[own.is_delta] or "").strip() in own.delta_words
        first = _day(row, own.first_moment, own) if is_delta else None
        lines[name] = ManifestLine(is_delta, first, None if is_reference else day)
    if wrong:
        listed = ", ".join(map(str, wrong[:5]))
        faults.append(
            _fault(own.file, "each file once, with the end of its period", f"something else on line {listed}", _ASK_SET)
        )
    here = {path.name.removesuffix(".gz"): kind for kind, paths in found.declared.items() for path in paths}
    for name in sorted(set(lines) - set(here)):
        if any(file.pattern.fullmatch(name) for file in declaration.files.values()):
            faults.append(_fault(name, f"the file, since {own.file} names it", "no such file", _ASK_SET))
    for name, kind in sorted(here.items()):
        if kind in own.covers and name not in lines:
            faults.append(_fault(name, f"a line in {own.file}", "none", _ASK_SET))
    ends = {line.last_day for line in lines.values() if line.last_day is not None}
    if len(ends) > 1:
        faults.append(_fault(own.file, "one end of the period for all files", f"{len(ends)} of them", _ASK_SET))
    return lines


def _day(row: dict[str, str], column: str | None, own: OwnManifest) -> date | None:
    if column is None or own.moment_format is None:
        return None
    try:
        return datetime.strptime((row.get(column) or "").strip(), pattern_of(own.moment_format)).date()
    except ValueError:
        return None


def pattern_of(words: str) -> str:
    """Write a format in words (dd MMM yyyy) as strptime has it."""
    parts = "|".join(sorted(FORMAT_WORDS, key=len, reverse=True))
    return re.sub(parts, lambda match: FORMAT_WORDS[match.group()], words)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fault(where: str, expected: str, found: str, action: str) -> ExtractError:
    return ExtractError(where, expected=expected, found=found, action=action)


__all__ = [
    "DELIMITERS",
    "Found",
    "HeaderFit",
    "ManifestLine",
    "compare_header",
    "faults_of_set",
    "find_files",
    "header_of",
    "last_day_of_name",
    "pattern_of",
    "read_own_manifest",
    "shown_name",
]
