"""From files to landing tables: rows as text, every rule evaluated once, every row accounted for.

Belongs here: reading CSV and Parquet, line numbers, structural rejects, duplicates, the accounts of files and of
rejected rows. Does not belong: the file gate (``files``), typed tables (``core``). Rows received are rows loaded plus
rows rejected, for every file, or the run stops. No rejected line is ever stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from stratify import contracts, privacy
from stratify.errors import ExtractError, PrivacyError, RunError, combine
from stratify.ingest import door as doors
from stratify.ingest import identity
from stratify.ingest.checks import (
    DUPLICATE,
    REPEAT,
    SLICED_TABLES,
    SUPERSEDED,
    TYPED_TABLES,
    Check,
    as_typed,
    checks_of,
    define,
    faults,
    is_accepted,
    late,
    misfits,
    number,
    own_check,
    reasons_no_fault,
    stored,
    typed_name,
)
from stratify.ingest.door import Door
from stratify.ingest.feeds import INDISPENSABLE
from stratify.ingest.files import OPTIONAL_TABLES, InputFile
from stratify.ingest.misdated import refuse_misdated
from stratify.ingest.slices import Shortfall, shortfalls
from stratify.ingest.sources import Source
from stratify.ingest.staging import (
    STAGED,
    Piece,
    file_id,
    is_read_straight,
    read,
    reader,
    refused,
    settle,
    stage,
    straight,
)
from stratify.ingest.versions import Window, mark_superseded
from stratify.store import Store

LOAD_ORDER = (
    "nhs_number_trace",
    "practice",
    "clinic_capacity",
    "patient",
    "registration",
    "gp_event",
    "gp_observation",
    "gp_medication",
    "apc_episode",
    "op_attendance",
    "ed_attendance",
    "death",
    "patient_flag",
    "opt_out",
    *(table for table in OPTIONAL_TABLES if table != "nhs_number_trace"),
)
"""What numbers were superseded before any row with one; patients before the rows that belong to them."""

_FEWEST_FOR_A_COLUMN = 20
"""Rows below which a column may be empty by chance."""
_PLAIN_DOOR = Door()


@dataclass(frozen=True)
class FileAccount:
    """What became of one file: ``received_count = loaded_count + rejected_count``, and of the rows rejected, why."""

    source_file_id: str
    table: str
    file_name: str
    sha256: str
    byte_count: int
    declared_count: int | None
    received_count: int
    loaded_count: int
    rejected_count: int
    period_to: date
    unknown_columns: tuple[str, ...]
    extract: str | None = None
    quarantined_count: int = 0
    duplicate_count: int = 0
    superseded_count: int = 0
    withdrawn_count: int = 0
    restricted_count: int = 0


def land(
    store: Store,
    files: Sequence[InputFile],
    *,
    source: Source,
    index_date: date,
    key: bytes,
    door: Door = _PLAIN_DOOR,
    refused: dict[tuple[str, str], list[ExtractError]] | None = None,
) -> list[FileAccount]:
    """Read files into ``landing.*`` and set aside what breaks the contracts.

    Args:
        store: The run's store, with the database ``landing`` attached.
        files: What :func:`gather_files` gave.
        source: Where they come from.
        index_date: The day the run describes; the cut-off of files without a manifest.
        key: The identity key.
        door: Rows that never land, and ranges of numbers that are linked.
        refused: Where given, and only feeds that a run can do without are at fault, their faults are put here by set
            and table, and not raised: nothing that was read is of use, and ``gather_files`` has to be told.

    Returns:
        One account per file, in order of table and name; also in ``audit.source_file``. Rules that failed are in
        ``audit.rejected_row``, a line per row and rule.

    Raises:
        ExtractError: a file's lines and records do not agree; it is refused whole.
        PrivacyError: real numbers in a synthetic source, or a throwaway key for a real one.
        RunError: rows received are not rows loaded plus rows rejected.
    """
    if not source.is_synthetic and key == privacy.THROWAWAY_KEY:
        raise PrivacyError(
            f"source {source.name}",
            expected="the identity key of this site",
            found="the throwaway key of invented people",
            action=f"Set {privacy.KEY_VARIABLE} or {privacy.KEY_FILE_VARIABLE}.",
        )
    store.define(contracts.load("audit.source_file"))
    store.define(contracts.load("audit.rejected_row"))
    identity.define(store)
    doors.define(store, door)
    faulty: list[tuple[InputFile, ExtractError]] = []
    accounts: list[FileAccount] = []
    short = shortfalls(store, files, reader=reader)
    files = [each for each in files if not each.is_earlier or _still_holds(each, short)]
    _note_shortfalls(store, files, short)
    for table in LOAD_ORDER:
        define(store, table)
        pieces: list[Piece] = []
        mine = sorted((each for each in files if each.table == table), key=lambda each: (*_time(each), each.file_name))
        for file in mine:
            if file.passed_over:
                pieces.append(
                    Piece(file_id(file, None), file, file.shown_name, file.row_count, 0, file.period_to or index_date)
                )
                continue
            try:
                pieces.extend(
                    _land_file(store, file, source=source, index_date=index_date, key=key, door=door, short=short)
                )
            except ExtractError as fault:
                faulty.append((file, fault))
        named = {piece.file_name: piece.file for piece in pieces}
        if any(piece.received_count for piece in pieces):
            times = {time: place for place, time in enumerate(sorted({_time(each) for each in mine}))}
            ranks = {piece.source_file_id: times[_time(piece.file)] for piece in pieces if not piece.file.passed_over}
            _mark_duplicates(store, table, ranks)
            try:
                mark_superseded(store, table, ranks, [*_windows(pieces)])
            except ExtractError as fault:
                faulty.append((named[fault.where], fault))
            if table == "patient":
                identity.link_patients(store, key=key)
            if table == "nhs_number_trace":
                identity.follow_traces(store, source=source, key=key, file_name=table, ranges=door.ranges)
            _record_rejected(store, table)
        accounts.extend(_account(store, table, pieces))
        received = {each.source_file_id: (each.file_name, each.received_count) for each in pieces}
        faulty.extend((named[why.where], why) for why in refuse_misdated(store, table, received))
        _let_go_superseded(store, table)
    if faulty:
        if refused is None or any(file.table in INDISPENSABLE for file, _ in faulty):
            raise combine([why for _, why in faulty]) from None
        for file, why in faulty:
            refused.setdefault((file.extract, file.table), []).append(why)
        return []
    _record_accounts(store, accounts)
    return accounts


def _time(file: InputFile) -> tuple[date, int]:
    """Give the place of a file in time: how far it goes, then the place of its set."""
    return file.period_to or date.min, file.rank


def _last_good(file: InputFile, short: Sequence[Shortfall]) -> set[str]:
    """Give the practices whose part of an earlier whole set still holds."""
    return {each.practice_code for each in short if each.is_red and each.rank > file.rank}


def _still_holds(file: InputFile, short: Sequence[Shortfall]) -> bool:
    return file.table in SLICED_TABLES and bool(_last_good(file, short))


def _note_shortfalls(store: Store, files: Sequence[InputFile], short: Sequence[Shortfall]) -> None:
    """Leave what practices fell short of beside the landing tables, for the counts of the run."""
    names = {file.rank: file.extract for file in files}
    frame = pl.DataFrame(
        [(names.get(each.rank, ""), each.practice_code, each.received, each.expected, each.is_red) for each in short],
        schema={"extract": str, "practice_code": str, "received": pl.Int64, "expected": pl.Int64, "is_red": pl.Boolean},
        orient="row",
    )
    with store.loaned(frame) as loan:
        store.execute(f"CREATE OR REPLACE TABLE landing.short_practice AS FROM {loan}")


def _windows(pieces: Sequence[Piece]) -> Iterator[Window]:
    for piece in pieces:
        first, last = piece.file.replaces_from, piece.file.replaces_to
        if first is not None and last is not None and not piece.file.passed_over:
            yield Window(piece.source_file_id, piece.file_name, first, last)


# One file


def _land_file(
    store: Store,
    file: InputFile,
    *,
    source: Source,
    index_date: date,
    key: bytes,
    door: Door,
    short: Sequence[Shortfall],
) -> list[Piece]:
    cutoff = file.period_to or index_date
    if not file.row_count:  # declared empty: nothing to stage
        return [Piece(file_id(file, None), file, file.shown_name, 0, 0, cutoff)]
    marks = faults(
        file.table,
        data_cutoff=cutoff,
        not_from={each.practice_code for each in short if each.is_red and each.rank == file.rank},
        only_from=_last_good(file, short) if file.is_earlier else None,
    )
    if is_read_straight(file):
        whole_id = file_id(file, None)
        if "nhs_number" in contracts.load(f"landing.{file.table}").column_names:
            # Its numbers first, so that nothing but them is held while the rows are read.
            rows = doors.without_restricted(file.table, straight(file), door)
            read(store, file, f"CREATE OR REPLACE TEMP TABLE number_seen AS SELECT DISTINCT nhs_number FROM {rows}")
            identity.learn_numbers(
                store, "number_seen", source=source, key=key, file_name=file.file_name, ranges=door.ranges
            )
            store.execute("DROP TABLE number_seen")
        with store.joins_as_written():
            count = read(store, file, _insert(file.table, straight(file), marks))
        try:
            piece = settle(store, file, count, cutoff)
            _refuse_empty_columns(store, file, f"{stored(file.table)} WHERE source_file_id = '{whole_id}'")
        except ExtractError:
            store.execute(f"DELETE FROM {stored(file.table)} WHERE source_file_id = '{whole_id}'")
            raise
        pieces = [replace(piece, restricted_count=doors.take_out(store, file.table, whole_id, door))]
    else:
        pieces, staged = stage(store, file, cutoff)
        _refuse_empty_columns(store, file, STAGED)
        numbered, left_out = doors.leave_out(store, file.table, staged, door)
        learned = numbered if left_out else STAGED
        pieces = [replace(piece, restricted_count=left_out.get(piece.source_file_id, 0)) for piece in pieces]
        if "nhs_number" in contracts.load(f"landing.{file.table}").column_names:
            identity.learn_numbers(store, learned, source=source, key=key, file_name=file.file_name, ranges=door.ranges)
        if file.table not in TYPED_TABLES:
            identity.learn_codes(store, learned, _checked_code_columns(file.table))
        store.execute(_insert(file.table, numbered, marks) + " ORDER BY source_file_id, source_row")
        store.execute(f"DROP TABLE {STAGED}")
    _mark_late(store, file.table, [piece.source_file_id for piece in pieces], cutoff)
    return pieces


def _insert(table: str, rows: str, marks: str) -> str:
    """Write the statement that judges rows of text and stores them, with the person each belongs to."""
    names = contracts.load(f"landing.{table}").column_names
    joins, row_key, number_key, link_key = "", "NULL::VARCHAR", "NULL::VARCHAR", "NULL::VARCHAR"
    if "nhs_number" in names:
        joins += " LEFT JOIN landing.known_number ON number_text = nhs_number"
        row_key = number_key = "known_key"
    if "source_patient_id" in names and table != "patient":
        joins += " LEFT JOIN landing.patient_link ON link_org = org_code AND link_patient = source_patient_id"
        link_key = "linked_key"
        row_key = "coalesce(known_key, linked_key)" if number_key == "known_key" else "linked_key"
    is_typed = table in TYPED_TABLES
    values = [f'{typed_name(name)} AS "{name}"' if is_typed else f'"{name}"' for name in names]
    values += [f"{row_key} AS patient_key", "source_file_id", "source_row", marks]
    values += [misfits(table)] if is_typed else []
    return (
        f"INSERT INTO {stored(table)} SELECT {', '.join(values)} FROM (SELECT rows.*, {number_key} AS known_key, "
        f"{link_key} AS linked_key FROM ({as_typed(table, rows, 'source_file_id, source_row')}) AS rows{joins})"
    )


def _mark_late(store: Store, table: str, file_ids: Sequence[str], cutoff: date) -> None:
    """Make the checks of codes: once for each distinct one, and the few rows with a bad one are marked."""
    contract = contracts.load(f"landing.{table}")
    mine = f"source_file_id IN ({', '.join(repr(each) for each in file_ids)})"
    for column in sorted({check.column for check in late(table) if check.column}):
        store.execute(
            f'CREATE OR REPLACE TEMP TABLE distinct_value AS SELECT DISTINCT "{column}" FROM {stored(table)} '
            f'WHERE {mine} AND "{column}" IS NOT NULL'
        )
        if column in _checked_code_columns(table):
            identity.learn_codes(store, "distinct_value", [column])
        bits = " + ".join(
            f"(CASE WHEN {contracts.predicate(contract, check.rule, raw=False, data_cutoff=cutoff)} "
            f"THEN {number(check.weight)} ELSE 0 END)"
            for check in late(table)
            if check.column == column and check.rule is not None
        )
        store.execute(
            f'CREATE OR REPLACE TEMP TABLE bad_value AS SELECT "{column}" AS bad, {bits} AS bits '
            f"FROM distinct_value WHERE {bits} <> 0"
        )
        if store.scalar("SELECT count(*) FROM bad_value"):
            store.execute(
                f'UPDATE {stored(table)} SET faults = faults | bits FROM bad_value WHERE "{column}" = bad AND {mine}'
            )
        store.execute("DROP TABLE bad_value")
        store.execute("DROP TABLE distinct_value")


def _refuse_empty_columns(store: Store, file: InputFile, rows: str) -> None:
    """Refuse a file in which nobody has a value that decides something: the column was lost on the way.

    Raises:
        ExtractError: a critical column has no value in any row.
    """
    if file.row_count < _FEWEST_FOR_A_COLUMN:
        return
    contract = contracts.load(f"landing.{file.table}")
    critical = [column.name for column in contract.columns if column.is_critical]
    if not critical:
        return
    # Sources without SNOMED CT or dm+d codes have their own instead.
    own = ', "original_code"' if "original_code" in contract.column_names else ""
    values = [f'coalesce("{name}"{own})' if name in ("snomed_code", "dmd_code") else f'"{name}"' for name in critical]
    counts = store.rows(f"SELECT {', '.join(f'count({value})' for value in values)} FROM {rows}")[0]
    empty = [name for name, count in zip(critical, counts, strict=True) if not count]
    if empty and rows != STAGED:  # values that do not fit their type are values
        texts = f"landing.{file.table} {rows.partition(' ')[2]}"
        named = ", ".join(f'count("{name}")' for name in empty)
        counts = store.rows(f"SELECT {named} FROM {texts}")[0]
        empty = [name for name, count in zip(empty, counts, strict=True) if not count]
    if empty:
        raise refused(
            file, f"values in {', '.join(critical)}", f"none in {', '.join(empty)}, in any of {file.row_count} rows"
        )


def _checked_code_columns(table: str) -> list[str]:
    return [
        check.column
        for check in checks_of(table)
        if check.rule and check.column and check.rule_id.endswith("-verhoeff")
    ]


# Duplicates


def _mark_duplicates(store: Store, table: str, ranks: Mapping[str, int]) -> None:
    """Mark rows of one set that share their whole key: all but the first where they say the same, all where not."""
    contract = contracts.load(f"landing.{table}")
    repeat, duplicate = own_check(table, REPEAT), own_check(table, DUPLICATE)
    if not contract.key or repeat is None or duplicate is None:
        return
    keys = ", ".join(f'"{name}"' for name in contract.key)
    filled = " AND ".join(f'"{name}" IS NOT NULL' for name in contract.key)
    rows = stored(table)
    if len(set(ranks.values())) == 1:
        keyed = f"(SELECT rowid AS row_id, *, 0 AS rank FROM {rows})"
    else:
        listed = ", ".join(f"('{file_id}', {rank})" for file_id, rank in sorted(ranks.items()))
        store.execute(f"CREATE OR REPLACE TEMP TABLE set_of AS FROM (VALUES {listed}) AS f (source_file_id, rank)")
        keyed = f"(SELECT l.rowid AS row_id, l.*, rank FROM {rows} AS l JOIN set_of USING (source_file_id))"
    # The hash only narrows the search (eight bytes a row instead of the key); the key itself decides.
    store.execute(
        f"CREATE OR REPLACE TEMP TABLE shared_key AS SELECT hash({keys}, rank) AS mark FROM {keyed} "
        f"WHERE {filled} GROUP BY ALL HAVING count(*) > 1"
    )
    if store.scalar("SELECT count(*) FROM shared_key"):
        content = ", ".join(f'"{name}"' for name in contract.column_names)
        content += ", CAST(misfits AS VARCHAR)" if table in TYPED_TABLES else ""
        store.execute(
            "CREATE OR REPLACE TEMP TABLE sharing AS "
            f"SELECT row_id, min(row_id) OVER same AS first_id, count(*) OVER same AS together, "
            f"min(content) OVER same IS DISTINCT FROM max(content) OVER same AS is_different FROM "
            f"(SELECT row_id, rank, {keys}, row({content}) AS content FROM {keyed} WHERE {filled} "
            f"AND hash({keys}, rank) IN (SELECT mark FROM shared_key)) WINDOW same AS (PARTITION BY {keys}, rank)"
        )
        for check, condition in (
            (duplicate, "together > 1 AND is_different"),
            (repeat, "together > 1 AND NOT is_different AND row_id <> first_id"),
        ):
            store.execute(
                f"UPDATE {rows} SET faults = faults | {number(check.weight)} "
                f"WHERE rowid IN (SELECT row_id FROM sharing WHERE {condition})"
            )
        store.execute("DROP TABLE sharing")
    store.execute("DROP TABLE shared_key")


# Accounts


def _account(store: Store, table: str, pieces: list[Piece]) -> list[FileAccount]:
    kinds = [kind for kind, _ in reasons_no_fault(table)]
    cases = " ".join(f"WHEN (faults & {number(bit)}) <> 0 THEN '{kind}'" for kind, bit in reasons_no_fault(table))
    became: dict[str, dict[str, int]] = {}
    for source_file_id, kind, count in store.rows(
        "SELECT source_file_id, CASE WHEN faults = 0 THEN 'loaded' "
        f"WHEN {is_accepted(table)} THEN 'loaded' {cases} ELSE 'quarantined' END, count(*) "
        f"FROM {stored(table)} GROUP BY ALL"
    ):
        became.setdefault(source_file_id, {})[kind] = int(count)
    accounts = []
    for piece in pieces:
        counts = dict(became.get(piece.source_file_id, {}))
        if piece.file.passed_over:
            counts = {"superseded": piece.received_count}
        counts["quarantined"] = counts.get("quarantined", 0) + piece.shape_count
        counts["restricted"] = counts.get("restricted", 0) + piece.restricted_count
        good = counts.get("loaded", 0)
        rejected = sum(counts.values()) - good
        if piece.received_count != good + rejected:
            raise RunError(
                f"{piece.file_name}, landing.{table}",
                expected=f"{piece.received_count} rows received to be loaded, rejected or such as may not land",
                found=f"{good} loaded, {rejected} rejected and {piece.restricted_count} that may not land",
                action="This is a fault of the loader: report it with these counts.",
            )
        accounts.append(
            FileAccount(
                source_file_id=piece.source_file_id,
                table=table,
                file_name=piece.file_name,
                sha256=piece.file.sha256,
                byte_count=piece.file.byte_count,
                declared_count=None if piece.file.has_origin else piece.file.declared_count,
                received_count=piece.received_count,
                loaded_count=good,
                rejected_count=rejected,
                period_to=piece.period_to,
                unknown_columns=piece.file.unknown_columns,
                extract=piece.file.extract or None,
                quarantined_count=counts["quarantined"],
                restricted_count=counts["restricted"],
                **{f"{kind}_count": counts.get(kind, 0) for kind in kinds if kind != "restricted"},
            )
        )
    return accounts


def _let_go_superseded(store: Store, table: str) -> None:
    """Drop the rows that a newer version overtook, now that they are counted: no later step has a use for them."""
    check = own_check(table, SUPERSEDED)
    if check is not None:
        store.execute(f"DELETE FROM {stored(table)} WHERE (faults & {number(check.weight)}) <> 0")


def _record_accounts(store: Store, accounts: list[FileAccount]) -> None:
    names = contracts.load("audit.source_file").column_names
    values = {name: [getattr(each, "table" if name == "table_name" else name) for each in accounts] for name in names}
    schema = {"declared_count": pl.Int64, "period_to": pl.Date, "extract": pl.String}
    store.create("audit.source_file", pl.DataFrame(values, schema_overrides=schema).sort("table_name", "file_name"))


def _record_rejected(store: Store, table: str) -> None:
    """Write a line per row and rule it breaks; rows overtaken by a newer version break none and are only counted."""
    if not store.scalar(f"SELECT count(*) FROM {stored(table)} WHERE faults <> 0"):
        return
    overtaken = own_check(table, SUPERSEDED)

    def listed(check: Check) -> str:
        column = f"'{check.column}'" if check.column else "NULL"
        return f"({number(check.weight)}, '{check.rule_id}', {column}, '{check.scope}')"

    rules = ", ".join(listed(check) for check in checks_of(table) if check != overtaken)
    store.execute(
        "INSERT INTO audit.rejected_row (source_file_id, source_row, rule_id, table_name, column_name, scope) "
        f"SELECT DISTINCT source_file_id, source_row, rule_id, '{table}', column_name, scope "
        f"FROM (SELECT source_file_id, source_row, faults FROM {stored(table)} WHERE faults <> 0) AS marked "
        f"JOIN (VALUES {rules}) AS c (weight, rule_id, column_name, scope) ON (marked.faults & c.weight) <> 0 "
        "ORDER BY ALL"
    )
