"""The files of one set as tables of text: checked byte by byte, staged, every row with its file and line.

Belongs here: bytes, encodings, lines, the columns that are needed. Does not belong: which files there are
(``finding``), what a declaration makes of the rows (``wording``), what a set of changes changes (``changes``).
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import polars as pl

from stratify.declarations import ExtractFile
from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.files import MANIFEST, Declared
from stratify.ingest.scanning import TOO_MUCH, UnpackedError, faults_of_text, opened, scan_text
from stratify.ingest.sources.finding import DELIMITERS, compare_header, header_of
from stratify.ingest.sources.wording import NOTHING, identifier, text
from stratify.store import Store, quoted

_CHUNK_BYTES = 1 << 22
_AGAIN = "The file is refused whole. Ask the supplier for it again."


@dataclass(frozen=True)
class Staged:
    """One staged file: its number, the lines below its header, and those of them that are no rows."""

    kind: str
    path: Path
    number: int
    line_count: int
    broken: tuple[int, ...]


def header_fault(path: Path, file: ExtractFile) -> ExtractError | None:
    """Give what is wrong with the header of a file; of one that is not read, nothing."""
    if file.not_read is not None:
        return None
    header = header_of(path, file)
    if not header:
        return refused(path.name, "a file that can be read to its end", "an empty one, or one that cannot")
    fit = compare_header(header, file)
    if fit.version is not None:
        return None
    known = ", ".join(each.version for each in file.versions)
    return ExtractError(
        path.name,
        expected=f"the header of a known version ({known})",
        found=fit.difference,
        action="Ask the supplier what changed, or add the version to the declaration: columns are never guessed.",
    )


def check_bytes(path: Path, file: ExtractFile, scratch: Path, declared: Declared | None = None) -> tuple[int, Path]:
    """Go over the bytes of a file once; give the lines below its header and the file to read, in UTF-8.

    Raises:
        ExtractError: it cannot be read, is cut, or is not what ``manifest.csv`` says of it.
    """
    encoding = file.form.encoding or "utf-8"
    scan, problem = None, "one that cannot"
    try:
        with opened(path, is_zipped=path.suffix == ".gz") as stream:
            scan = scan_text(stream, encoding)
    except UnpackedError:
        problem = TOO_MUCH
    except (OSError, EOFError, zlib.error):
        pass  # raised below, outside, so that nothing of the file is chained to it
    if scan is None:
        raise refused(path.name, "a file that can be read to its end", problem)
    if scan.last_byte is None:
        raise refused(path.name, "a header and rows", "an empty file")
    if scan.bad_line is not None:
        raise refused(path.name, f"{encoding} text", f"bytes that are not, first on line {scan.bad_line}")
    faults = faults_of_text(path.name, scan)
    if faults and file.not_read is None:
        raise combine(list[StratifyError](faults))
    lines = max(scan.line_feeds - (scan.last_byte == ord("\n")), 0)
    if declared is not None:
        _check_declared(path, lines, declared)
    return lines, path if encoding == "utf-8" else _transcode(path, encoding, scratch / "text")


def _check_declared(path: Path, lines: int, declared: Declared) -> None:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    is_other = "another content" if sha256 != declared.sha256 else f"{path.stat().st_size} bytes"
    if sha256 != declared.sha256 or path.stat().st_size != declared.byte_count:
        raise refused(path.name, f"the SHA-256 and {declared.byte_count} bytes that {MANIFEST} declares", is_other)
    if lines != declared.row_count:
        raise refused(path.name, f"{declared.row_count} rows, as {MANIFEST} says", f"{lines}")


def _transcode(path: Path, encoding: str, folder: Path) -> Path:
    """Write a file in UTF-8; one that is UTF-8 already, against what is declared, is refused."""
    folder.mkdir(exist_ok=True)
    plain = folder / f"{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.csv"
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, is_ascii = True, True
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream, plain.open("wb") as written:
        while chunk := cast(IO[bytes], stream).read(_CHUNK_BYTES):
            if not chunk.isascii():
                is_ascii = False
            if is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
            written.write(chunk.decode(encoding).encode())
    if is_utf8 and not is_ascii:
        raise refused(path.name, f"{encoding} text, as declared", "text that is UTF-8 throughout")
    return plain


def stage(
    store: Store, number: int, kind: str, path: Path, plain: Path, file: ExtractFile, used: set[str], lines: int
) -> Staged:
    """Read the columns of a file that are needed as text, and check that no line was lost."""
    header = header_of(path, file)
    version = compare_header(header, file).version or ""
    ours = file.our_names(version)
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(header)))
    fields = [
        f"nullif(trim(c{place}, ' \t\u00a0'), '') AS {identifier(ours[name])}"
        for place, name in enumerate(header)
        if name in ours and ours[name] in used
    ]
    for table in ("reject_errors", "reject_scans"):
        store.execute(f"DROP TABLE IF EXISTS {table}")
    database_error: type[Exception] = sys.modules[type(store.connection).__module__].Error
    is_read = False
    try:
        store.execute(
            f"CREATE TABLE staged_{number} AS SELECT {', '.join(fields) or 'c0 IS NULL AS is_empty'} "
            f"FROM read_csv('{quoted(plain)}', columns = {{{columns}}}, auto_detect = false, header = true, "
            f"delim = '{DELIMITERS[file.form.delimiter or 'comma']}', quote = '\"', escape = '\"', nullstr = '', "
            "store_rejects = true, rejects_limit = 0)"
        )
        is_read = True
    except database_error:
        pass  # its message may hold a line of the file; raised below, outside, so that nothing is chained to it
    if not is_read:
        raise refused(path.name, "a file that can be read", "one that cannot (the reason may hold a value)")
    broken = tuple(int(line) for (line,) in store.rows("SELECT DISTINCT line FROM reject_errors ORDER BY line"))
    loaded = int(store.scalar(f"SELECT count(*) FROM staged_{number}"))
    if loaded + len(broken) != lines:
        raise refused(
            path.name,
            f"{lines} records, as it has lines below the header",
            f"{loaded} records and {len(broken)} lines that are none: a quote never closed, a line break inside a "
            "value, or a blank line" + (f", near line {broken[0]}" if broken else ""),
        )
    return Staged(kind, path, number, lines, broken)


def define_rows(store: Store, view: str, staged: list[Staged], used: list[str]) -> None:
    """Make a view of all rows of the files of one kind in a set, each with its file and line."""
    pieces = []
    for part, one in enumerate(staged):
        table, line = f"staged_{one.number}", "CAST(rowid AS BIGINT) + 2"
        if one.broken:
            table, line = _with_lines(store, one), "line"
        have = {name for (name,) in store.rows(f"SELECT column_name FROM (DESCRIBE {table})")}
        columns = "".join(f"{identifier(name) if name in have else NOTHING} AS {identifier(name)}, " for name in used)
        pieces.append(
            f"SELECT {columns}{one.number} AS _file, {line} AS _line, {text(one.path.name)} AS _name, {part} AS _part "
            f"FROM {table}"
        )
    nothing = "".join(f"{NOTHING} AS {identifier(name)}, " for name in used)
    empty = f"SELECT {nothing}0 AS _file, CAST(0 AS BIGINT) AS _line, '' AS _name, 0 AS _part WHERE false"
    store.execute(f"CREATE VIEW {view} AS {' UNION ALL '.join(pieces) or empty}")


def _with_lines(store: Store, one: Staged) -> str:
    """Number the records of a file some lines of which are none: the header is line 1, broken lines are counted in."""
    # The j-th broken line, l, comes after l - 2 - j records; records from there on lie one line further.
    steps: dict[int, int] = {}
    for before, line in enumerate(one.broken):
        steps[line - 2 - before] = before + 1
    frame = pl.DataFrame({"first_record": list(steps), "skipped": list(steps.values())})
    with store.loaned(frame) as loan:
        store.execute(
            f"CREATE TABLE lined_{one.number} AS SELECT r.*, record + 2 + coalesce(skipped, 0) AS line FROM "
            f"(SELECT *, CAST(rowid AS BIGINT) AS record FROM staged_{one.number}) AS r "
            f"ASOF LEFT JOIN {loan} AS s ON r.record >= s.first_record ORDER BY record"
        )
    store.execute(f"DROP TABLE staged_{one.number}")
    return f"lined_{one.number}"


def broken(one: Staged) -> str:
    """Say how many lines of a file are no rows."""
    return f"{len(one.broken)} others, first on line {one.broken[0]}"


def refused(file_name: str, expected: str, found: str) -> ExtractError:
    """Give the fault of a file that is refused whole."""
    return ExtractError(file_name, expected=expected, found=found, action=_AGAIN)
