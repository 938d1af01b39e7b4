"""A file as rows of clean text, each with the file and line it came from.

Belongs here: reading CSV and Parquet, blanks and separators around values, lines that are no records, line numbers.
Does not belong: what a row is worth (``checks``, ``rows``). A file of a typed table is read straight into it; any other
is staged first, because its NHS numbers must be known before its rows are judged.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from datetime import date

import polars as pl

from stratify import contracts
from stratify.errors import ExtractError
from stratify.ingest.checks import SHAPE, TYPED_TABLES, prefix
from stratify.ingest.files import InputFile
from stratify.store import Store, quoted

STAGED = "landing.staged"
LINE_COLUMN = "source_line_kept"
"""Column of a file made of some lines of another: the line each was."""
_BLANKS = " \t\u00a0"
_ICD10_COLUMN = re.compile(r"diag_\d\d|cause_underlying")
_NOTHING_TO_PUT_RIGHT = "[A-Z0-9]*[A-WYZ0-9]"


@dataclass(frozen=True)
class Piece:
    """One account to be: a whole file, or the rows of a prepared file that came from one original file.

    ``restricted_count``: rows that may not land.
    """

    source_file_id: str
    file: InputFile
    file_name: str
    received_count: int
    shape_count: int
    period_to: date
    restricted_count: int = 0


def is_read_straight(file: InputFile) -> bool:
    """Tell whether a file is read straight into its landing table."""
    return file.table in TYPED_TABLES and file.format != "parquet" and not file.has_origin


def straight(file: InputFile) -> str:
    """Write what to put after FROM to read a file straight: its clean text, ``source_row`` and ``source_file_id``.

    Lines that are no records are counted in afterwards, by :func:`settle`.
    """
    row = f"CAST({LINE_COLUMN} AS BIGINT)" if LINE_COLUMN in file.header else "row_number() OVER () + 1"
    return (
        f"(SELECT {_fields(file)}, {row} AS source_row, '{file_id(file, None)}' AS source_file_id FROM {reader(file)})"
    )


def settle(store: Store, file: InputFile, into: str, count: int, cutoff: date) -> Piece:
    """Check that no record of a file read straight into a table was lost, and count lost lines into the line numbers.

    Raises:
        ExtractError: lines and records do not agree.
    """
    lines, whole_id = _reject_lines(store, file), file_id(file, None)
    _require_all(file, count, lines)
    if lines:
        _record_shape(store, file, whole_id, lines)
        _define_steps(store, lines)
        rows = f"(SELECT rowid AS row_id, source_row - 2 AS record FROM {into} WHERE source_file_id = '{whole_id}')"
        store.execute(
            f"UPDATE {into} SET source_row = source_row + skipped FROM (SELECT row_id, skipped "
            f"FROM {rows} ASOF JOIN reject_step ON record >= first_record) AS moved WHERE {into}.rowid = row_id"
        )
    return Piece(whole_id, file, file.shown_name, file.row_count, len(lines), cutoff)


def stage(store: Store, file: InputFile, cutoff: date) -> tuple[list[Piece], str]:
    """Read a file into the staging table as clean text, check that no record was lost, and number its lines.

    Gives the accounts to be and what to write after FROM: the records with ``source_file_id`` and ``source_row``.
    """
    whole_id = file_id(file, None)
    fields = _fields(file)
    if file.has_origin:
        fields += ", CAST(source_file_name AS VARCHAR) AS origin, TRY_CAST(source_line AS BIGINT) AS origin_line"
    store.execute(f"DROP TABLE IF EXISTS {STAGED}")
    loaded = read(store, file, f"CREATE TABLE {STAGED} AS SELECT {fields} FROM {reader(file)}")
    lines = _reject_lines(store, file)
    _require_all(file, loaded, lines)
    if file.has_origin:
        return _name_origins(store, file, cutoff)
    _record_shape(store, file, whole_id, lines)
    piece = Piece(whole_id, file, file.shown_name, file.row_count, len(lines), cutoff)
    return [piece], _numbered(store, whole_id, lines)


def read(store: Store, file: InputFile, statement: str) -> int:
    """Run the statement that reads a file, and give how many records it read.

    Raises:
        ExtractError: the file cannot be read.
    """
    store.execute("DROP TABLE IF EXISTS reject_errors")
    store.execute("DROP TABLE IF EXISTS reject_scans")
    database_error: type[Exception] = sys.modules[type(store.connection).__module__].Error
    try:
        return int(store.scalar(statement))
    except database_error:
        pass  # its message may hold a line of the file; raised below, outside, so that nothing is chained to it
    raise refused(file, "a file that can be read", "one that cannot (the reason may hold a value: not shown)")


def _require_all(file: InputFile, loaded: int, lines: list[int]) -> None:
    if loaded + len(lines) != file.row_count:
        raise refused(
            file,
            f"{file.row_count} records, as it has lines below the header",
            f"{loaded} records and {len(lines)} lines that are none: a quote never closed, a line break inside a "
            "value, or a blank line" + (f", near line {lines[0]}" if lines else ""),
        )


def reader(file: InputFile) -> str:
    """Write what to put after FROM to read a file as it is, every column of a CSV file as text."""
    path = quoted(file.path)
    if file.format == "parquet":
        return f"read_parquet('{path}')"
    columns = ", ".join(f"'{_identifier(name)}': 'VARCHAR'" for name in file.header)
    return (
        f"read_csv('{path}', columns = {{{columns}}}, auto_detect = false, header = true, delim = ',', quote = '\"', "
        "escape = '\"', nullstr = '', store_rejects = true)"
    )


def _identifier(name: str) -> str:
    return name.replace("'", "''")


def _fields(file: InputFile) -> str:
    names = contracts.load(f"landing.{file.table}").column_names
    return ", ".join(f'{_clean(file, name)} AS "{name}"' for name in names)


def _clean(file: InputFile, name: str) -> str:
    """Write a raw column as clean text: no blanks around, empty is null, no separators in NHS numbers and ICD-10."""
    text = f'"{name}"' if file.format != "parquet" else f'CAST("{name}" AS VARCHAR)'
    if file.has_blanks:  # most values have none, and looking is cheaper than cutting
        starts = ", ".join(str(ord(blank)) for blank in _BLANKS)
        ends = " OR ".join(f"ends_with({text}, '{blank}')" for blank in _BLANKS)
        text = (
            f"CASE WHEN {text} = '' OR ord({text}) IN ({starts}) OR {ends} "
            f"THEN nullif(trim({text}, '{_BLANKS}'), '') ELSE {text} END"
        )
    if name in ("nhs_number", "surviving_nhs_number"):
        cut = f"nullif(regexp_replace({text}, '[ -]', '', 'g'), '')"
        # Most are digits alone, and looking is cheaper than cutting.
        text = f"CASE WHEN contains({text}, ' ') OR contains({text}, '-') OR {text} = '' THEN {cut} ELSE {text} END"
    elif _ICD10_COLUMN.fullmatch(name):
        # HES writes J440, suppliers also j44.0; R69X and I10- fill up three-character categories.
        put_right = f"regexp_replace(upper({text}), '[. ]', '', 'g')"
        put_right = f"regexp_replace(regexp_replace({put_right}, '[-+*†]+$', ''), '^(.{{3,}}?)X+$', '\\1')"
        # Capitals and digits that do not end in X are what that leaves alone, as are most codes.
        is_right = f"regexp_full_match({text}, '{_NOTHING_TO_PUT_RIGHT}')"
        text = f"CASE WHEN {is_right} THEN {text} ELSE nullif({put_right}, '') END"
    return text


def _reject_lines(store: Store, file: InputFile) -> list[int]:
    if file.format == "parquet":
        return []
    return [int(line) for (line,) in store.rows("SELECT DISTINCT line FROM reject_errors ORDER BY line")]


def _numbered(store: Store, source_file_id: str, lines: list[int]) -> str:
    """Write the staged records with their file and line: the header is line 1, rejected lines are counted in."""
    staged = f"(SELECT *, CAST(rowid AS BIGINT) AS record FROM {STAGED})"
    identified = f"'{source_file_id}' AS source_file_id"
    if not lines:
        return f"(SELECT *, record + 2 AS source_row, {identified} FROM {staged})"
    _define_steps(store, lines)
    return (
        f"(SELECT r.*, record + 2 + coalesce(skipped, 0) AS source_row, {identified} FROM {staged} AS r "
        "ASOF LEFT JOIN reject_step AS s ON r.record >= s.first_record)"
    )


def _define_steps(store: Store, lines: list[int]) -> None:
    # The j-th rejected line, l, comes after l - 2 - j accepted records; records from there on lie one line further.
    steps: dict[int, int] = {}
    for before, line in enumerate(lines):
        steps[line - 2 - before] = before + 1
    frame = pl.DataFrame({"first_record": list(steps), "skipped": list(steps.values())})
    with store.loaned(frame) as loan:
        store.execute(f"CREATE OR REPLACE TEMP TABLE reject_step AS FROM {loan}")


def _name_origins(store: Store, file: InputFile, cutoff: date) -> tuple[list[Piece], str]:
    """Write the staged records of a prepared file with the original file and line each came from."""
    counts = store.rows(f"SELECT origin, count(*), count(origin_line) FROM {STAGED} GROUP BY ALL ORDER BY ALL")
    if any(origin is None or total != numbered for origin, total, numbered in counts):
        raise refused(file, "source_file_name and source_line on every row", "rows without")
    within = f"{file.extract}/" if file.extract else ""
    pieces = [Piece(file_id(file, origin), file, within + origin, total, 0, cutoff) for origin, total, _ in counts] or [
        Piece(file_id(file, None), file, file.shown_name, 0, 0, cutoff)
    ]
    frame = pl.DataFrame(
        {
            "name": [p.file_name.removeprefix(within) for p in pieces],
            "source_file_id": [p.source_file_id for p in pieces],
        }
    )
    with store.loaned(frame) as loan:
        store.execute(f"CREATE OR REPLACE TEMP TABLE origin_file AS FROM {loan}")
    return pieces, (
        f"(SELECT r.*, origin_line AS source_row, source_file_id FROM {STAGED} AS r "
        "JOIN origin_file AS n ON r.origin = n.name)"
    )


def file_id(file: InputFile, origin: str | None) -> str:
    """Give the id of a file, or of one original file of a prepared one."""
    # The same bytes may come in two sets: a table nothing happened to.
    text = ":".join(filter(None, (file.table, file.sha256, origin, file.extract)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refused(file: InputFile, expected: str, found: str) -> ExtractError:
    """Give the refusal of a file."""
    return ExtractError(
        file.shown_name,
        expected=expected,
        found=found,
        action="The file is refused whole. Ask the supplier for it again.",
    )


def _record_shape(store: Store, file: InputFile, source_file_id: str, lines: list[int]) -> None:
    if not lines:
        return
    rule_id = f"{prefix(contracts.load(f'landing.{file.table}'))}-{SHAPE}"
    with store.loaned(pl.DataFrame({"line": lines})) as loan:
        store.execute(
            "INSERT INTO audit.rejected_row (source_file_id, source_row, rule_id, table_name, column_name, scope) "
            f"SELECT '{source_file_id}', line, '{rule_id}', '{file.table}', NULL, 'row' FROM {loan} ORDER BY line"
        )
