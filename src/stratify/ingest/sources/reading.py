"""The files of a declared source as canonical landing tables, every row with its original file and line.

Belongs here: checking each file whole, staging it as text, writing Parquet, the account of what has no place. Does not
belong: what a declaration means (``wording``), checks of values, which are the same for every source. Files are staged
in a database of their own that spills to the scratch folder, so memory does not grow with them.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import shutil
import sys
import zlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, cast

import polars as pl

from stratify import contracts
from stratify.declarations import Declaration, ExtractFile
from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.files import MANIFEST, Declared, Scan, faults_of_text, read_manifest, scan_text, table_of_name
from stratify.ingest.sources import stand_ins
from stratify.ingest.sources.finding import (
    DELIMITERS,
    Found,
    compare_header,
    faults_of_set,
    find_files,
    header_of,
    last_day_of_name,
    read_own_manifest,
)
from stratify.ingest.sources.functions import FUNCTIONS
from stratify.ingest.sources.loading import Loaded, is_looked_up, used_columns
from stratify.ingest.sources.wording import PartQuery, holds, identifier, left_out_reason, raw, rows, text
from stratify.store import Store, open_store, quoted

NOT_CARRIED = "not_carried.csv"
"""Written beside the landing folder, ``file,reason,rows``: what has no place in a landing table, and absent files."""

_MEMORY = "2GB"
_CHUNK_BYTES = 1 << 22
_NOTHING = "CAST(NULL AS VARCHAR)"
_AGAIN = "The file is refused whole. Ask the supplier for it again."


@dataclass(frozen=True)
class _Staged:
    """One staged file: its number, the lines below its header, and those of them that are no rows."""

    kind: str
    path: Path
    number: int
    line_count: int
    broken: tuple[int, ...]


def read_declared(folder: Path, scratch: Path, *, loaded: Loaded, source_name: str) -> Path:
    """Write the files of a folder as the declaration says: canonical landing tables.

    Args:
        folder: The files as they came.
        scratch: A restricted folder that ends with the run; ``not_carried.csv`` is left there.
        loaded: The declaration.
        source_name: What to call the source in the manifest that is written.

    Returns:
        The folder of the landing tables: a Parquet file for each table made, links to the files that are canonical
        already, and a manifest where the files say how far they go.

    Raises:
        ExtractError: files are absent, broken, of no known version, or deltas; all faults are listed.
    """
    declaration = loaded.declaration
    found = find_files(folder, declaration)
    faults: list[ExtractError] = [*faults_of_set(found, declaration)]
    own = read_own_manifest(folder, declaration, found, faults)
    wrong: list[StratifyError] = []
    beside = read_manifest(folder / MANIFEST, wrong, is_needed=False) or {}
    deltas = sum(each.is_delta for each in beside.values())
    if deltas:
        wrong.append(
            ExtractError(
                MANIFEST,
                expected="whole extracts beside a supplier's files: changes of this layout are not loaded yet",
                found=f"is_delta for {deltas} of {len(beside)} files",
                action="Give whole extracts.",
            )
        )
    for kind, paths in found.declared.items():
        faults += [fault for path in paths if (fault := _header_fault(path, declaration.files[kind]))]
    if faults or wrong:
        raise combine([*faults, *wrong])
    landing = scratch / "landing"
    shutil.rmtree(scratch, ignore_errors=True)
    landing.mkdir(parents=True)
    account = _Account()
    with open_store(scratch / "staged.duckdb", temp_directory=scratch / "spill", memory_limit=_MEMORY) as store:
        staged = _stage_all(store, found, declaration, scratch, account)
        _define_derived(store, declaration)
        _refuse_ambiguities(store, declaration)
        _count_left_behind(store, declaration, staged, account)
        for table in declaration.tables:
            _write_table(store, declaration, table, staged, landing, loaded.digest)
    (scratch / "staged.duckdb").unlink()
    shutil.rmtree(scratch / "text", ignore_errors=True)
    if declaration.stand_ins is not None:
        made = stand_ins.frames(declaration.stand_ins.practice_code, declaration.stand_ins.label)
        for table, frame in made.items():
            stand_ins.write_table(landing, table, [frame])
    for paths in found.canonical.values():
        for path in paths:
            (landing / path.name).symlink_to(path.resolve())
    for name in found.unknown:
        account.add(name, "a file the declaration does not know", 0)
    account.write(scratch / NOT_CARRIED)
    ends = {path.name: last_day_of_name(declaration.files[each.kind], path) for each in staged for path in [each.path]}
    ends |= {name: line.last_day for name, line in own.items() if line.last_day is not None}
    _write_manifest(landing, beside, [day for day in ends.values() if day is not None], source_name)
    return landing


class _Account:
    """What has no place in a landing table, by file and reason."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, int]] = []

    def add(self, file_name: str, reason: str, count: int) -> None:
        self._lines.append((file_name, reason, count))

    def write(self, path: Path) -> None:
        pl.DataFrame(self._lines, schema=["file", "reason", "rows"], orient="row").write_csv(path)


# Files


def _header_fault(path: Path, file: ExtractFile) -> ExtractError | None:
    if file.not_read is not None:
        return None
    header = header_of(path, file)
    if not header:
        return _refused(path.name, "a file that can be read to its end", "an empty one, or one that cannot")
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


def _stage_all(store: Store, found: Found, declaration: Declaration, scratch: Path, account: _Account) -> list[_Staged]:
    used = used_columns(declaration)
    staged: list[_Staged] = []
    faults: list[StratifyError] = []
    for kind, file in declaration.files.items():
        mine: list[_Staged] = []
        if not found.declared[kind]:
            account.add(file.name, "file not supplied", 0)
        for path in found.declared[kind]:
            try:
                scan, plain = _checked(path, file, scratch)
                lines = max(scan.line_feeds - (scan.last_byte == ord("\n")), 0)
                if file.not_read is not None:
                    account.add(path.name, file.not_read, lines)
                else:
                    mine.append(_stage(store, len(staged) + len(mine), kind, path, plain, file, used[kind], lines))
            except ExtractError as fault:
                faults.append(fault)
        for one in mine:
            if one.broken and is_looked_up(declaration, kind):
                faults.append(_refused(one.path.name, "only rows of as many values as its header", _broken(one)))
        if file.not_read is None:
            _define_view(store, kind, mine, sorted(used[kind]))
        staged += mine
    if faults:
        raise combine(faults) from None
    return staged


def _checked(path: Path, file: ExtractFile, scratch: Path) -> tuple[Scan, Path]:
    """Go over the bytes of a file once; give what they tell and the file to read, in UTF-8."""
    encoding = file.form.encoding or "utf-8"
    scan = None
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            scan = scan_text(cast(IO[bytes], stream), encoding)
    except (OSError, EOFError, zlib.error):
        pass  # raised below, outside, so that nothing of the file is chained to it
    if scan is None:
        raise _refused(path.name, "a file that can be read to its end", "one that cannot")
    if scan.last_byte is None:
        raise _refused(path.name, "a header and rows", "an empty file")
    if scan.bad_line is not None:
        raise _refused(path.name, f"{encoding} text", f"bytes that are not, first on line {scan.bad_line}")
    faults = faults_of_text(path.name, scan)
    if faults and file.not_read is None:
        raise combine(list[StratifyError](faults))
    return scan, path if encoding == "utf-8" else _transcode(path, encoding, scratch / "text")


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
        raise _refused(path.name, f"{encoding} text, as declared", "text that is UTF-8 throughout")
    return plain


def _stage(
    store: Store, number: int, kind: str, path: Path, plain: Path, file: ExtractFile, used: set[str], lines: int
) -> _Staged:
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
        raise _refused(path.name, "a file that can be read", "one that cannot (the reason may hold a value)")
    broken = tuple(int(line) for (line,) in store.rows("SELECT DISTINCT line FROM reject_errors ORDER BY line"))
    loaded = int(store.scalar(f"SELECT count(*) FROM staged_{number}"))
    if loaded + len(broken) != lines:
        raise _refused(
            path.name,
            f"{lines} records, as it has lines below the header",
            f"{loaded} records and {len(broken)} lines that are none: a quote never closed, a line break inside a "
            "value, or a blank line" + (f", near line {broken[0]}" if broken else ""),
        )
    return _Staged(kind, path, number, lines, broken)


def _define_view(store: Store, kind: str, staged: list[_Staged], used: list[str]) -> None:
    """Make the name the words of a declaration use for all rows of a file, each with its file and line."""
    pieces = []
    for part, one in enumerate(staged):
        table, line = f"staged_{one.number}", "CAST(rowid AS BIGINT) + 2"
        if one.broken:
            table, line = _with_lines(store, one), "line"
        have = {name for (name,) in store.rows(f"SELECT column_name FROM (DESCRIBE {table})")}
        columns = "".join(f"{identifier(name) if name in have else _NOTHING} AS {identifier(name)}, " for name in used)
        pieces.append(
            f"SELECT {columns}{one.number} AS _file, {line} AS _line, {text(one.path.name)} AS _name, {part} AS _part "
            f"FROM {table}"
        )
    nothing = "".join(f"{_NOTHING} AS {identifier(name)}, " for name in used)
    empty = f"SELECT {nothing}0 AS _file, CAST(0 AS BIGINT) AS _line, '' AS _name, 0 AS _part WHERE false"
    store.execute(f"CREATE VIEW {raw(kind)} AS {' UNION ALL '.join(pieces) or empty}")


def _with_lines(store: Store, one: _Staged) -> str:
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


def _define_derived(store: Store, declaration: Declaration) -> None:
    for kind, file in declaration.files.items():
        if file.not_read is None:
            reason = left_out_reason(file, "r")
            store.execute(f"CREATE VIEW {rows(kind)} AS SELECT * FROM {raw(kind)} AS r WHERE {reason} IS NULL")
    for kind, derived in declaration.derived.items():
        sql = FUNCTIONS[derived.made_by].sql(*(rows(each) for each in derived.of))
        store.execute(f"CREATE VIEW {raw(kind)} AS SELECT *, 0 AS _part FROM ({sql})")
        store.execute(f"CREATE VIEW {rows(kind)} AS FROM {raw(kind)}")


def _refuse_ambiguities(store: Store, declaration: Declaration) -> None:
    faults: dict[tuple[str, str], ExtractError] = {}
    for table, parts in declaration.tables.items():
        for part in parts:
            for kind, column, sql in PartQuery(declaration, table, part).ambiguities():
                count = 0 if (kind, column) in faults else int(store.scalar(sql))
                if count:
                    faults[kind, column] = ExtractError(
                        f"{declaration.files[kind].name}, column {column}",
                        expected="one value for each key that other rows look up",
                        found=f"{count} keys with several",
                        action="Ask the supplier which one holds.",
                    )
    if faults:
        raise combine(list[StratifyError](faults.values()))


# Tables


def _write_table(
    store: Store, declaration: Declaration, table: str, staged: list[_Staged], landing: Path, digest: str
) -> None:
    parts = declaration.tables[table]
    sources = {kind for part in parts for kind in _original_files(declaration, part.file)}
    if not any(one.kind in sources for one in staged):
        return
    names = contracts.load(f"landing.{table}").column_names
    queries = [PartQuery(declaration, table, part).sql() for part in parts]
    nothing = ", ".join(_NOTHING for _ in names)
    for one in staged:
        # What is no row goes on as an empty one at its place, so that the row rules set it aside there.
        if one.broken and _first_table(declaration, one.kind) == table:
            lines = ", ".join(f"({line}::BIGINT)" for line in one.broken)
            queries.append(
                f"SELECT {nothing}, {one.number}, line, {text(one.path.name)} FROM (VALUES {lines}) AS broken (line)"
            )
    columns = ", ".join(identifier(name) for name in names)
    keys = "".join(f", {identifier(name)}" for name in contracts.load(f"landing.{table}").key)
    store.execute(
        f"COPY (SELECT {columns}, _name AS source_file_name, _line AS source_line FROM ({' UNION ALL '.join(queries)}) "
        f"ORDER BY _file, _line{keys}) TO '{quoted(landing / f'{table}.parquet')}' "
        f"(FORMAT parquet, KV_METADATA {{declaration: '{digest}'}})"
    )


def _original_files(declaration: Declaration, kind: str) -> tuple[str, ...]:
    return declaration.derived[kind].of if kind in declaration.derived else (kind,)


def _first_table(declaration: Declaration, kind: str) -> str | None:
    return next((table for table, parts in declaration.tables.items() if any(p.file == kind for p in parts)), None)


def _count_left_behind(store: Store, declaration: Declaration, staged: list[_Staged], account: _Account) -> None:
    """Count the rows of each file that no landing table takes, by reason."""
    for one in staged:
        file, name = declaration.files[one.kind], one.path.name
        if is_looked_up(declaration, one.kind):
            account.add(name, "looked up from rows of other files", one.line_count)
            continue
        reason = left_out_reason(file, "r")
        taken = [part.when for parts in declaration.tables.values() for part in parts if part.file == one.kind]
        is_taken = " OR ".join(f"({holds(when, 'r')})" for when in taken) or "false"
        where = f"FROM {raw(one.kind)} AS r WHERE _file = {one.number}"
        if file.left_out:
            for number, count in store.rows(f"SELECT {reason}, count(*) {where} AND {reason} IS NOT NULL GROUP BY ALL"):
                account.add(name, file.left_out[number].because, int(count))
        if any(not when for when in taken):
            continue
        count = int(store.scalar(f"SELECT count(*) {where} AND {reason} IS NULL AND NOT ({is_taken})"))
        derived = [kind for kind, each in declaration.derived.items() if one.kind in each.of]
        for kind in derived:
            count -= int(store.scalar(f"SELECT count(DISTINCT _line) FROM {raw(kind)} WHERE _file = {one.number}"))
        if count:
            account.add(name, "read together with rows of other files" if derived else "no table takes them", count)


# The manifest of what was made


def _write_manifest(landing: Path, beside: dict[str, Declared], days: list[date], source_name: str) -> None:
    """Write a manifest of the landing folder, if anything says how far the files go; the latest day holds for the rest.

    Lines of a manifest that came beside are taken over.
    """
    days = [*days, *(each.period_to for each in beside.values())]
    if not days:
        return
    lines = {
        name: {
            "file_name": name,
            "table_name": each.table,
            "source_system": source_name,
            "row_count": str(each.row_count),
            "byte_count": str(each.byte_count),
            "sha256": each.sha256,
            "period_to": each.period_to.isoformat(),
            "is_delta": "false",
        }
        for name, each in beside.items()
    }
    for path in sorted(landing.iterdir()):
        if path.name not in lines:
            lines[path.name] = _manifest_line(path, max(days), source_name)
    columns = contracts.load("landing.extract_manifest").column_names
    with (landing / MANIFEST).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines.values())


def _manifest_line(path: Path, last: date, source_name: str) -> dict[str, str]:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if path.suffix == ".parquet":
        count = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    else:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            count = max(scan_text(cast(IO[bytes], stream)).line_feeds - 1, 0)
    return {
        "file_name": path.name,
        "table_name": table_of_name(path.name) or "",
        "source_system": source_name,
        "row_count": str(count),
        "byte_count": str(path.stat().st_size),
        "sha256": sha256,
        "period_to": last.isoformat(),
        "is_delta": "false",
    }


def _broken(one: _Staged) -> str:
    return f"{len(one.broken)} others, first on line {one.broken[0]}"


def _refused(file_name: str, expected: str, found: str) -> ExtractError:
    return ExtractError(file_name, expected=expected, found=found, action=_AGAIN)
