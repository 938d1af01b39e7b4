"""The file gate: a broken extract file is refused whole, before any of its rows is read.

Belongs here: the manifest, and everything that can be told of a file without reading a row: presence, size, hash,
encoding, line ends, header. Does not belong: rows and values (``rows``). Messages name files, columns and line
numbers; never content, and never an unknown header cell of a file that seems to have no header, for it may be a name.
"""

from __future__ import annotations

import csv
import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from stratify import contracts
from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.feeds import Faults, set_apart
from stratify.ingest.scanning import (
    ASK_FILE,
    TOO_MUCH,
    UnpackedError,
    fault,
    faults_of_text,
    opened,
    scan_text,
    split_header,
)

if TYPE_CHECKING:
    from stratify.ingest.sources import Source  # whose readers use this module

MANIFEST = "manifest.csv"
ORIGIN_COLUMNS = ("source_file_name", "source_line")
"""Extra columns of a prepared file: which original file and line a row came from."""

_ALWAYS_NEEDED = (
    "patient",
    "registration",
    "gp_event",
    "gp_observation",
    "gp_medication",
    "practice",
    "clinic_capacity",
)
_NEEDED_IF_SUPPLIED = ("apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out")
OPTIONAL_TABLES = (
    "nhs_number_trace",
    "gp_appointment",
    "referral",
    "home_visit_request",
    "community_contact",
    "pathway_activity",
    "lsoa",
    "care_home_bed",
    "survey_result",
    "social_care_event",
    "place_preference",
)
"""Tables that any set may have or lack: checked, landed and accounted for. Small areas are not read further."""

_SUFFIXES: dict[str, Literal["csv", "csv.gz", "parquet"]] = {
    ".csv": "csv",
    ".csv.gz": "csv.gz",
    ".parquet": "parquet",
}
_TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum, pl.Null)
_SCALAR_TYPES = (*_TEXT_TYPES, pl.Boolean, pl.Date, pl.Datetime, pl.Decimal)


class InputFile(BaseModel):
    """One file that passed the gate.

    Attributes:
        table: Landing table it holds.
        path: Where it is.
        file_name: Its name.
        sha256: Of its bytes.
        byte_count: Its size.
        declared_count: Rows, as the manifest says; None without a manifest.
        row_count: Lines below the header.
        period_to: Last day it describes.
        format: How it is written.
        header: Its columns.
        is_delta: It holds only what changed since the set before.
        period_from: First day of those changes.
        replaces_from: First admission date of a bulk replacement: earlier rows of its window that are not in it go.
        replaces_to: Last admission date of it.
        extract: Folder of its set, where there are several.
        set_end: Last day its set describes.
        rank: Place of its set in the order in which rows hold.
        passed_over: Why its rows are not read, although it belongs to a set that is.
        has_blanks: A value may have a blank at one of its ends; where none can, none is looked for.
        is_earlier: It is of the whole set before the one a run starts from: only for practices whose part of the later
            one cannot be used.
    """

    model_config = ConfigDict(frozen=True)

    table: str
    path: Path
    file_name: str
    sha256: str
    byte_count: int
    declared_count: int | None
    row_count: int
    period_to: date | None
    format: Literal["csv", "csv.gz", "parquet"]
    header: tuple[str, ...]
    is_delta: bool = False
    period_from: date | None = None
    replaces_from: date | None = None
    replaces_to: date | None = None
    extract: str = ""
    set_end: date | None = None
    rank: int = 0
    passed_over: str | None = None
    is_earlier: bool = False
    has_blanks: bool = True

    @property
    def shown_name(self) -> str:
        """Name of the file, with the folder of its set where there are several."""
        return f"{self.extract}/{self.file_name}" if self.extract else self.file_name

    @property
    def unknown_columns(self) -> tuple[str, ...]:
        """Columns the contract does not know; they are never loaded."""
        known = {*contracts.load(f"landing.{self.table}").column_names, *ORIGIN_COLUMNS}
        return tuple(name for name in self.header if name not in known)

    @property
    def has_origin(self) -> bool:
        """True when its rows say which original file and line they came from."""
        return set(ORIGIN_COLUMNS) <= set(self.header)


@dataclass(frozen=True)
class Declared:
    """What ``manifest.csv`` says of a file."""

    table: str
    row_count: int
    byte_count: int
    sha256: str
    period_to: date
    is_delta: bool
    period_from: date | None
    replaces_from: date | None
    replaces_to: date | None


def inspect_files(folder: Path, source: Source, apart: Faults | None = None) -> list[InputFile]:
    """Check the files of an extract set without reading a row.

    Args:
        folder: Folder with the files, in the canonical layout.
        source: Where they come from.
        apart: Where given, faults of feeds that a run can do without are put here by table, and not raised. A table
            that has some already need not be there.

    Returns:
        The files, sorted by table and name.

    Raises:
        ExtractError: one or more faults; all of them are in the message. Nothing may be loaded.
    """
    if not folder.is_dir():
        raise ExtractError(
            f"extract folder {folder.name or folder}",
            expected="a folder with the extract files",
            found="no such folder",
            action="Correct the path.",
        )
    faults: list[StratifyError] = []
    present = {each.name: each for each in sorted(folder.iterdir()) if not each.name.startswith(".")}
    present.pop(MANIFEST, None)
    declared = read_manifest(folder / MANIFEST, faults, is_needed=source.needs_manifest)
    if faults:  # without what was promised, everything that came would look wrong
        raise combine(faults)
    files = []
    for name, path in present.items():
        table = declared[name].table if declared and name in declared else table_of_name(name)
        if not path.is_file() or table is None or (declared is not None and name not in declared):
            expected = f"only files that {MANIFEST} names" if declared is not None else "files named after their table"
            faults.append(fault(name, expected, "one it does not name" if declared else "another name", _ASK_SET))
            continue
        if declared and not _is_named_after(name, table):
            # Whatever the manifest says of it: a name that was changed by hand may stand for another content.
            expected = f"a name that begins with its table, such as {table}.csv or {table}_2026-01-05.csv"
            faults.append(fault(name, expected, f"another, which {MANIFEST} says holds landing.{table}", ASK_FILE))
            continue
        file = _inspect(path, table, declared[name] if declared else None, faults)
        if file:
            files.append(file)
    for name in sorted(set(declared or {}) - set(present)):
        faults.append(fault(name, f"the file, since {MANIFEST} names it", "no such file", _ASK_SET))
    _check_set(files, present, declared, source, faults, refused=apart or {})
    if apart is not None:
        # A file that no manifest names, where there is one, is nobody's: a fault of the set, told with all the rest.
        known: dict[str, str | None] = {f"landing.{table}": table for table in needed_tables(source)}
        known |= {name: declared[name].table if declared else table_of_name(name) for name in declared or present}
        faults = faults if set_apart(faults, known, apart) else []
    if faults:
        raise combine(faults)
    whole = (file for file in files if file.table not in (apart or ()))
    return sorted(whole, key=lambda file: (file.table, file.file_name))


_ASK_SET = "Ask the supplier for the whole set again."


# The set


def needed_tables(source: Source) -> list[str]:
    """Give the landing tables without which a set of this source is not whole."""
    absent = {*source.not_supplied, *source.may_lack}
    return [table for table in (*_ALWAYS_NEEDED, *_NEEDED_IF_SUPPLIED) if table not in absent]


def _check_set(
    files: list[InputFile],
    present: dict[str, Path],
    declared: dict[str, Declared] | None,
    source: Source,
    faults: list[StratifyError],
    *,
    refused: Faults,
) -> None:
    # Of changes a table may have none; that it has a whole file to start from is checked over all sets.
    needed = [] if any(each.is_delta for each in (declared or {}).values()) else needed_tables(source)
    # A file that is there but broken has its own message: it is not missing as well.
    there = {declared[name].table if declared and name in declared else table_of_name(name) for name in present}
    named_tables = {each.table for each in (declared or {}).values()}
    for table in needed:
        if table not in there | named_tables | refused.keys():
            faults.append(fault(f"landing.{table}", "a file of this table", "none", _ASK_SET))
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        twin = seen.setdefault((file.table, file.sha256), file.file_name)
        if twin != file.file_name:
            faults.append(fault(file.file_name, "each content once", f"the same content as {twin}", _ASK_SET))


def table_of_name(name: str) -> str | None:
    """Give the landing table a file is named after: ``gp_event.csv``, ``gp_event_2026-01-05.csv.gz``."""
    suffix = _suffix(name)
    if suffix is None:
        return None
    stem = name[: -len(suffix)]
    tables = [each.removeprefix("landing.") for each in contracts.names("landing")]
    return next(
        (
            table
            for table in sorted(tables, key=len, reverse=True)
            if table != "extract_manifest" and re.fullmatch(rf"{table}([_-][0-9A-Za-z-]*[0-9][0-9A-Za-z_-]*)?", stem)
        ),
        None,
    )


def _is_named_after(name: str, table: str) -> bool:
    """Tell whether a name may stand for a table that a manifest says: any word may follow, and no other table's."""
    said = re.fullmatch(rf"{table}([_-][0-9A-Za-z_-]+)?", name[: -len(_suffix(name) or " ")])
    return said is not None and table_of_name(name) in (None, table)


def _suffix(name: str) -> str | None:
    return next((suffix for suffix in sorted(_SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


def read_manifest(path: Path, faults: list[StratifyError], *, is_needed: bool) -> dict[str, Declared] | None:
    """Read what is declared, by file name, and add what is wrong; None where there is no manifest."""
    if not path.exists():
        if is_needed:
            faults.append(
                fault(MANIFEST, "a manifest naming every file with its rows, bytes and SHA-256", "none", _ASK_SET)
            )
        return None
    needed = [column.name for column in contracts.load("landing.extract_manifest").columns if column.is_required]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError):
        lines = []
    header = next(csv.reader(lines[:1]), [])
    lacking = [name for name in needed if name not in header]
    if lacking:
        faults.append(fault(MANIFEST, f"the columns {', '.join(needed)}", f"no {', '.join(lacking)}", _ASK_SET))
        return {}
    declared: dict[str, Declared] = {}
    wrong = []
    for number, row in enumerate(csv.DictReader(lines), 2):
        entry = _declaration(row)
        name = row.get("file_name") or ""
        if entry is None or not name or "/" in name or "\\" in name or name in declared:
            wrong.append(number)
        else:
            declared[name] = entry
    if wrong:
        faults.append(
            fault(
                MANIFEST,
                "on every line a file name used once, a landing table, whole numbers, a SHA-256, true, false or "
                "nothing for is_delta, and dates in order",
                f"something else on line {', '.join(map(str, wrong[:5]))}",
                _ASK_SET,
            )
        )
    if not declared and not wrong:
        faults.append(fault(MANIFEST, "a line for every file", "no line", _ASK_SET))
    return declared


def _declaration(row: dict[str, str]) -> Declared | None:
    # Columns of later editions may be missing from the header, or a line may end before them: both mean empty.
    table, sha256, is_delta = ((row.get(name) or "").strip() for name in ("table_name", "sha256", "is_delta"))
    if f"landing.{table}" not in contracts.names("landing") or table == "extract_manifest":
        return None
    if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()) or is_delta.lower() not in ("", "false", "true"):
        return None
    try:
        period, window = (_days(row, "period"), _days(row, "replaces"))
        rows, size = int(row["row_count"]), int(row["byte_count"])
    except (KeyError, TypeError, ValueError):
        return None
    if period[1] is None or (window[0] is None) != (window[1] is None):
        return None
    return Declared(table, rows, size, sha256.lower(), period[1], is_delta.lower() == "true", period[0], *window)


def _days(row: dict[str, str], name: str) -> tuple[date | None, date | None]:
    """Read the first and last day of a period.

    Raises:
        ValueError: one is no date, or they are in the wrong order.
    """
    first, last = ((row.get(f"{name}_{end}") or "").strip() for end in ("from", "to"))
    days = (date.fromisoformat(first) if first else None, date.fromisoformat(last) if last else None)
    if first and last and first > last:
        raise ValueError
    return days


# One file


def _inspect(path: Path, table: str, declared: Declared | None, faults: list[StratifyError]) -> InputFile | None:
    """Check one file; add its faults and give None where it has any."""
    suffix = _suffix(path.name)
    if suffix is None:
        faults.append(fault(path.name, "a .csv, .csv.gz or .parquet file", "another kind", ASK_FILE))
        return None
    found: list[ExtractError] = []
    byte_count = path.stat().st_size
    if byte_count == 0:
        faults.append(fault(path.name, "a header and rows", "an empty file", ASK_FILE))
        return None
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if declared:
        if byte_count != declared.byte_count:
            found.append(
                fault(path.name, f"{declared.byte_count} bytes, as {MANIFEST} says", f"{byte_count}", ASK_FILE)
            )
        if sha256 != declared.sha256:
            found.append(fault(path.name, f"the SHA-256 {MANIFEST} declares", "another content", ASK_FILE))
    if _SUFFIXES[suffix] == "parquet":
        (header, row_count), has_blanks = _inspect_parquet(path, table, found), True
    else:
        header, row_count, has_blanks = _inspect_text(path, table, declared, found, is_zipped=suffix == ".csv.gz")
    if declared and not any("cut" in fault.found for fault in found) and row_count not in (None, declared.row_count):
        found.append(fault(path.name, f"{declared.row_count} rows, as {MANIFEST} says", f"{row_count}", ASK_FILE))
    faults.extend(found)
    if found or row_count is None:
        return None
    return InputFile(
        table=table,
        path=path,
        file_name=path.name,
        sha256=sha256,
        byte_count=byte_count,
        declared_count=declared.row_count if declared else None,
        row_count=row_count,
        period_to=declared.period_to if declared else None,
        format=_SUFFIXES[suffix],
        header=header,
        is_delta=declared is not None and declared.is_delta,
        period_from=declared.period_from if declared else None,
        replaces_from=declared.replaces_from if declared else None,
        replaces_to=declared.replaces_to if declared else None,
        has_blanks=has_blanks,
    )


def _inspect_text(
    path: Path, table: str, declared: Declared | None, found: list[ExtractError], *, is_zipped: bool
) -> tuple[tuple[str, ...], int | None, bool]:
    scan, problem = None, "one that cannot"
    try:
        with opened(path, is_zipped=is_zipped) as stream:
            scan = scan_text(stream)
    except UnpackedError:
        problem = TOO_MUCH
    except (OSError, EOFError, zlib.error):
        pass  # the fault is added below, outside, so that nothing of the file is chained to it
    if scan is None:
        found.append(fault(path.name, "a file that can be read to its end", problem, ASK_FILE))
        return (), None, True
    if scan.last_byte is None:
        found.append(fault(path.name, "a header and rows", "an empty file", ASK_FILE))
        return (), None, True
    if scan.bad_line is not None:
        found.append(
            fault(
                path.name,
                "UTF-8 text",
                f"bytes that are not, first on line {scan.bad_line} ({scan.looks_like})",
                "Ask the supplier to write UTF-8.",
            )
        )
        return (), None, True
    found.extend(faults_of_text(path.name, scan))
    header = split_header(scan.first_line)
    _check_header(path.name, table, header, scan.first_line, found)
    if scan.line_feeds < 2 and not (declared and declared.row_count == 0) and not found:
        found.append(fault(path.name, "rows below the header", "a header only", ASK_FILE))
    return header, scan.line_feeds - 1, scan.has_blanks


def _inspect_parquet(path: Path, table: str, found: list[ExtractError]) -> tuple[tuple[str, ...], int | None]:
    with path.open("rb") as stream:
        magic = stream.read(4) == b"PAR1"
        stream.seek(max(path.stat().st_size - 4, 0))
        magic = magic and stream.read(4) == b"PAR1"
    schema, row_count = None, None
    if magic:
        try:
            schema = pl.read_parquet_schema(path)
            row_count = pl.scan_parquet(path).select(pl.len()).collect().item()
        except (pl.exceptions.PolarsError, OSError):
            schema = None
    if schema is None or row_count is None:
        found.append(fault(path.name, "a whole Parquet file", "one that is cut off or no Parquet", ASK_FILE))
        return (), None
    header = tuple(schema)
    _check_header(path.name, table, header, b"", found)
    contract = contracts.load(f"landing.{table}")
    texts = {column.name for column in contract.columns if column.type == "VARCHAR"}
    unfit = [
        name
        for name, kind in schema.items()
        if name in contract.column_names
        and not isinstance(kind, _TEXT_TYPES if name in texts else _SCALAR_TYPES)
        and not (name not in texts and kind.is_numeric())
    ]
    if unfit:
        found.append(
            fault(
                path.name,
                "codes and identifiers as text, other columns as their contract types",
                f"another type in {', '.join(unfit)}",
                "Ask the supplier to write identifiers as text: numbers lose digits.",
            )
        )
    return header, int(row_count)


def shown_columns(names: Sequence[str], pattern: str = r"[a-z][a-z0-9_]*") -> tuple[str, ...]:
    """Give unknown names of a header as they may be shown: all of them, or where one looks like a value none.

    A lost line end joins the first row to the header, and the last name of the header to the first value of the row.
    """
    are_names = all(re.fullmatch(pattern, name) and not re.search(r"\d{5}", name) for name in names)
    return tuple(names) if are_names else ("(not shown)",) * len(names)


def _check_header(file_name: str, table: str, header: tuple[str, ...], line: bytes, found: list[ExtractError]) -> None:
    contract = contracts.load(f"landing.{table}")
    expected = contract.column_names
    delimiter = next(
        (name for sign, name in ((b";", "semicolons"), (b"|", "bars"), (b"\t", "tabs")) if sign in line), None
    )
    if len(header) == 1 and len(expected) > 1 and delimiter:
        found.append(fault(file_name, "columns separated by commas", f"columns separated by {delimiter}", ASK_FILE))
        return
    known = [name for name in header if name in expected]
    if len(known) * 2 < len(expected):
        # Most likely a file without a header: its first line would be a person's row, so none of it is shown.
        found.append(
            fault(
                file_name,
                f"the header of landing.{table}, {len(expected)} columns from {expected[0]} to {expected[-1]}",
                f"{len(known)} of their names in {len(header)} columns",
                "Ask the supplier to write the header, or name the file after its table.",
            )
        )
        return
    missing = [name for name in expected if name not in header]
    twice = sorted({name for name in known if known.count(name) > 1})
    unknown = [name for name in header if name not in expected and name not in ORIGIN_COLUMNS]
    parts = []
    if missing:
        parts.append(f"no {', '.join(missing)}")
        if unknown:
            parts.append(f"and instead unknown {', '.join(shown_columns(unknown))}")
    if twice:
        parts.append(f"{', '.join(twice)} twice")
    if not missing and not twice and tuple(known) != expected:
        place = next(place for place, name in enumerate(known) if name != expected[place])
        parts.append(f"{known[place]} where {expected[place]} belongs, column {place + 1}")
    if parts:
        found.append(
            fault(
                file_name,
                f"the columns of landing.{table} in their order ({', '.join(expected)})",
                "; ".join(parts),
                "Ask the supplier what changed; columns are never guessed by place.",
            )
        )
