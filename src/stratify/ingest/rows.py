"""From files to landing tables: every rule evaluated once, every row accounted for.

Belongs here: the order in which files and tables are read, duplicates, the accounts of files and of rejected rows. Does
not belong: the file gate (``files``), judging a row (``judging``), rows that need not land (``onward``), typed tables
(``core``). Rows received are rows loaded plus rows rejected, for every file, or the run stops. No rejected line
outlasts the run.
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
from stratify.ingest import onward as ahead
from stratify.ingest.checks import (
    DUPLICATE,
    REPEAT,
    SLICED_TABLES,
    SUPERSEDED,
    TYPED_TABLES,
    Check,
    checks_of,
    define,
    faults,
    is_accepted,
    number,
    own_check,
    reasons_no_fault,
    stored,
)
from stratify.ingest.door import Door
from stratify.ingest.feeds import INDISPENSABLE
from stratify.ingest.files import OPTIONAL_TABLES, InputFile
from stratify.ingest.judging import checked_code_columns, judged, mark_late
from stratify.ingest.misdated import refuse_misdated
from stratify.ingest.onward import Onward
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
    "death",
    "patient_flag",
    "opt_out",
    "gp_event",
    "gp_observation",
    "gp_medication",
    "apc_episode",
    "op_attendance",
    "ed_attendance",
    *(table for table in OPTIONAL_TABLES if table != "nhs_number_trace"),
)
"""What numbers were superseded before any row with one; who may be looked at before the rows that belong to them."""

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
    onward: Onward | None = None,
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
        onward: What :func:`build_core` will be given. Where it is given here already, rows of the GP record that are
            beyond doubt go to core as they are read; the core tables are the same either way.

    Returns:
        One account per file, in order of table and name; also in ``audit.source_file``. Rules that failed are in
        ``audit.rejected_row``, a line per row and rule.

    Raises:
        ExtractError: a file's lines and records do not agree; it is refused whole.
        PrivacyError: real numbers in a synthetic source, a throwaway key for a real one, or a policy that does not
            allow the run.
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
    ahead.define(store)
    faulty: list[tuple[InputFile, ExtractError]] = []
    accounts: list[FileAccount] = []
    short = shortfalls(store, files, reader=reader)
    files = [each for each in files if not each.is_earlier or _still_holds(each, short)]
    _note_shortfalls(store, files, short)
    going: Onward | None = None
    for table in LOAD_ORDER:
        if onward is not None and table == ahead.TABLES[0] and not faulty:
            _record_accounts(store, accounts)
            ahead.know_people(store, onward, index_date=index_date)
            going = onward
        mine = sorted((each for each in files if each.table == table), key=lambda each: (*_time(each), each.file_name))
        reading = _Reading(store, source, index_date, key, door, short, going)
        pieces, found = reading.read_table(table, mine)
        faulty.extend(found)
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


# The files of a table


@dataclass(frozen=True)
class _Reading:
    """What the files of a table are read with."""

    store: Store
    source: Source
    index_date: date
    key: bytes
    door: Door
    short: Sequence[Shortfall]
    onward: Onward | None

    def read_table(
        self, table: str, files: Sequence[InputFile]
    ) -> tuple[list[Piece], list[tuple[InputFile, ExtractError]]]:
        """Read the files of a table; gives the accounts to be, and the files that are refused with why."""
        sent: dict[str, Piece] = {}
        refused: list[tuple[InputFile, ExtractError]] = []
        for file in files:
            if self.onward is not None and ahead.goes_onward(file):
                marks, cutoff = self._marks(file), self._cutoff(file)
                try:
                    sent[file_id(file, None)] = ahead.send(
                        self.store, self.onward, file, marks=marks, door=self.door, cutoff=cutoff
                    )
                except ExtractError as fault:
                    refused.append((file, fault))
        if sent:
            ahead.take_back_shared(self.store, table)
        at_once = {file.shown_name for file, _ in refused}
        while True:
            define(self.store, table)
            if sent:
                ahead.show_beside(self.store, table, sent)
            pieces: list[Piece] = []
            found: list[tuple[InputFile, ExtractError]] = []
            for file in (each for each in files if each.shown_name not in at_once):
                try:
                    pieces.extend(self._land(file, sent.get(file_id(file, None))))
                except ExtractError as fault:
                    found.append((file, fault))
            # Which of several rows with one key holds is decided where all of them have landed.
            if not sent or not ahead.take_back_landed(self.store, table):
                return pieces, refused + found

    def _cutoff(self, file: InputFile) -> date:
        return file.period_to or self.index_date

    def _marks(self, file: InputFile) -> str:
        return faults(
            file.table,
            data_cutoff=self._cutoff(file),
            not_from={each.practice_code for each in self.short if each.is_red and each.rank == file.rank},
            only_from=_last_good(file, self.short) if file.is_earlier else None,
        )

    def _land(self, file: InputFile, sent: Piece | None) -> list[Piece]:
        """Have the rows of a file land, or what is left of them where others were sent to core."""
        cutoff, whole_id = self._cutoff(file), file_id(file, None)
        if file.passed_over or not file.row_count:  # nothing to stage
            return [Piece(whole_id, file, file.shown_name, file.row_count, 0, cutoff)]
        store, table, marks = self.store, file.table, self._marks(file)
        if is_read_straight(file):
            try:
                if sent is None:
                    piece = self._land_straight(file, marks)
                    rows = stored(table)
                else:
                    piece = sent
                    ahead.land_rest(store, file, marks)
                    rows = f"core.{table}"
                _refuse_empty_columns(store, file, f"{rows} WHERE source_file_id = '{whole_id}'")
            except ExtractError:
                store.execute(f"DELETE FROM {stored(table)} WHERE source_file_id = '{whole_id}'")
                raise
            pieces = [replace(piece, restricted_count=doors.take_out(store, table, whole_id, self.door))]
        else:
            pieces, staged = stage(store, file, cutoff)
            _refuse_empty_columns(store, file, STAGED)
            numbered, left_out = doors.leave_out(store, table, staged, self.door)
            learned = numbered if left_out else STAGED
            pieces = [replace(piece, restricted_count=left_out.get(piece.source_file_id, 0)) for piece in pieces]
            if "nhs_number" in contracts.load(f"landing.{table}").column_names:
                self._learn_numbers(file, learned)
            if table not in TYPED_TABLES:
                identity.learn_codes(store, learned, checked_code_columns(table))
            ordered = f"{judged(table, numbered, marks)} ORDER BY source_file_id, source_row"
            store.execute(f"INSERT INTO {stored(table)} {ordered}")
            store.execute(f"DROP TABLE {STAGED}")
        mark_late(store, table, [piece.source_file_id for piece in pieces], cutoff)
        return pieces

    def _land_straight(self, file: InputFile, marks: str) -> Piece:
        store, table = self.store, file.table
        if "nhs_number" in contracts.load(f"landing.{table}").column_names:
            # Its numbers first, so that nothing but them is held while the rows are read.
            rows = doors.without_restricted(table, straight(file), self.door)
            read(store, file, f"CREATE OR REPLACE TEMP TABLE number_seen AS SELECT DISTINCT nhs_number FROM {rows}")
            self._learn_numbers(file, "number_seen")
            store.execute("DROP TABLE number_seen")
        with store.joins_as_written():
            count = read(store, file, f"INSERT INTO {stored(table)} {judged(table, straight(file), marks)}")
        return settle(store, file, stored(table), count, self._cutoff(file))

    def _learn_numbers(self, file: InputFile, rows: str) -> None:
        identity.learn_numbers(
            self.store, rows, source=self.source, key=self.key, file_name=file.file_name, ranges=self.door.ranges
        )


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
    if table in ahead.TABLES:
        for source_file_id, count in ahead.counts(store, table).items():
            counted = became.setdefault(source_file_id, {})
            counted["loaded"] = counted.get("loaded", 0) + count
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
