"""Rows of the GP record that are beyond doubt: they go to core as they are read, and never land.

Nearly all rows break no rule, share their id with no other, and are of somebody the run may look at: writing them twice
is most of what loading would cost. Every other row, in doubt for whatever reason, lands and is judged there, by the
same code as when nothing goes onward. Belongs here: telling the sure rows, taking back those that prove doubtful
(``land`` has them land), and the text of both together. Does not belong: what a rule says (``checks``), what core holds
of a row (``core``, ``measurements``).

Of a row that is not sure nothing is written to core but the line it stands on, until all lines are counted. So nothing
of somebody who objected, or with a restricted code, is ever in core.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from gzip import open as open_gzip
from itertools import islice

from stratify import contracts
from stratify.errors import ExtractError
from stratify.ingest import door as doors
from stratify.ingest import lifespan, optouts
from stratify.ingest import measurements as measuring
from stratify.ingest.checks import define_view, stored
from stratify.ingest.core import copied
from stratify.ingest.door import Door
from stratify.ingest.files import InputFile
from stratify.ingest.judging import find_bad, judged, late_columns
from stratify.ingest.measurements import MeasurementCodes
from stratify.ingest.sources import Source
from stratify.ingest.staging import LINE_COLUMN, Piece, file_id, is_read_straight, read, refused, settle, straight
from stratify.privacy import PrivacyPolicy
from stratify.store import Store

TABLES = tuple(lifespan.DATE_COLUMNS)
_LINES_AT_ONCE = 10_000


@dataclass(frozen=True)
class Onward:
    """What has to be known before a row can go to core as it is read.

    Attributes:
        privacy_policy: Purpose of the run and the objections it honours.
        source: Where the extract comes from, without the feeds that were not received.
        measurements: Which codes carry which quantity, in which units.
    """

    privacy_policy: PrivacyPolicy
    source: Source
    measurements: Sequence[MeasurementCodes]


def know_people(store: Store, onward: Onward, *, index_date: date) -> None:
    """Decide who may be looked at, and when each was born and died, from what has landed of people.

    Raises:
        PrivacyError: the policy does not allow the run.
    """
    optouts.decide_people(store, policy=onward.privacy_policy, source=onward.source, index_date=index_date)
    lifespan.define(store)


def define(store: Store) -> None:
    """Make the core tables that rows may go to as they are read, empty."""
    for table in TABLES:
        contract = contracts.load(f"core.{table}")
        store.define(contract, unshared=contract.key[-1])
    store.execute("CREATE OR REPLACE TEMP TABLE line_left (source_file_id VARCHAR, source_row BIGINT)")


def send(store: Store, onward: Onward, file: InputFile, *, marks: str, door: Door, cutoff: date) -> Piece:
    """Read a file and write its sure rows to core; the lines of all others are noted.

    Raises:
        ExtractError: the file cannot be read, or its lines and records do not agree.
    """
    table, whole_id = file.table, file_id(file, None)
    rows = f"({judged(table, straight(file), marks)})"
    is_sure = (
        f"coalesce(faults = 0 AND misfits IS NULL AND {lifespan.is_carried(table)} AND {lifespan.is_as_landed(table)} "
        f"AND {doors.may_land(table, door)}, false)"
    )
    names = contracts.load(f"core.{table}").column_names
    place = ("source_file_id", "source_row")
    fields = [name if name in place else f'CASE WHEN is_sure THEN "{name}" END' for name in names]
    with store.joins_as_written(), measuring.converting(store, onward.measurements) as conversion:
        if table == "gp_observation":
            query = measuring.converted(conversion, rows, is_sure=is_sure)
        else:
            query = copied(table, rows, is_sure=is_sure)
        count = read(store, file, f"INSERT INTO core.{table} SELECT {', '.join(fields)} FROM ({query})")
    mine = f"source_file_id = '{whole_id}'"
    try:
        piece = settle(store, file, f"core.{table}", count, cutoff)
    except ExtractError:
        store.execute(f"DELETE FROM core.{table} WHERE {mine}")
        raise
    _take_back(store, table, f"SELECT rowid FROM core.{table} WHERE patient_key IS NULL")
    for column in late_columns(table):
        if find_bad(store, table, column, f"core.{table} WHERE {mine}", cutoff):
            bad = f'"{column}" IN (SELECT bad FROM bad_value)'
            _take_back(store, table, f"SELECT rowid FROM core.{table} WHERE {mine} AND {bad}")
    return piece


def _take_back(store: Store, table: str, rowids: str) -> int:
    """Take rows out of core again, and note their lines; gives how many."""
    store.execute(f"CREATE OR REPLACE TEMP TABLE taken AS {rowids}")
    mine = f"FROM core.{table} WHERE rowid IN (FROM taken)"
    store.execute(f"INSERT INTO line_left SELECT source_file_id, source_row {mine}")
    return int(store.scalar(f"DELETE {mine}"))


def take_back_shared(store: Store, table: str) -> None:
    """Take back rows that share their whole key with another in core: which of them holds is decided in landing."""
    keys = _keys(table)
    # The hash only narrows the search to few rows; a row too many is judged in landing like any other.
    store.execute(
        f"CREATE OR REPLACE TEMP TABLE shared_key AS SELECT hash({keys}) AS mark FROM core.{table} "
        "GROUP BY ALL HAVING count(*) > 1"
    )
    if store.scalar("SELECT count(*) FROM shared_key"):
        _take_back(store, table, f"SELECT rowid FROM core.{table} WHERE hash({keys}) IN (FROM shared_key)")
    store.execute("DROP TABLE shared_key")


def take_back_landed(store: Store, table: str) -> bool:
    """Take back rows that share their whole key with one that landed, and say whether there was any."""
    keys = _keys(table)
    landed = f"SELECT hash({keys}) FROM {stored(table)}"
    return _take_back(store, table, f"SELECT rowid FROM core.{table} WHERE hash({keys}) IN ({landed})") > 0


def _keys(table: str) -> str:
    return ", ".join(f'"{name}"' for name in contracts.load(f"landing.{table}").key)


@contextmanager
def lines_left(store: Store, file: InputFile) -> Iterator[InputFile | None]:
    """Give, for a while, a file of the lines of a file that did not go to core; None where all did.

    It is written to the run's own temporary folder.
    """
    mine = f"FROM line_left WHERE source_file_id = '{file_id(file, None)}'"
    count = int(store.scalar(f"SELECT count(*) {mine}"))
    if not count:
        yield None
        return
    with store.scratch_file() as path:
        lines = store.connection.execute(f"SELECT source_row {mine} ORDER BY source_row")
        with _opened(file) as whole, path.open("wb") as some:
            some.write(b"%s,%s" % (LINE_COLUMN.encode(), next(whole)))
            before = 1
            while numbers := lines.fetchmany(_LINES_AT_ONCE):
                for (number,) in numbers:
                    some.write(b"%d,%s" % (number, next(islice(whole, number - before - 1, None), b"")))
                    before = number
        header = (LINE_COLUMN, *file.header)
        yield file.model_copy(update={"path": path, "format": "csv", "header": header, "row_count": count})


def _opened(file: InputFile) -> AbstractContextManager[Iterator[bytes]]:
    return open_gzip(file.path) if file.format == "csv.gz" else file.path.open("rb")


def land_rest(store: Store, file: InputFile, marks: str) -> None:
    """Have the rows of a file land that did not go to core.

    Raises:
        ExtractError: they are not the records that were left.
    """
    with lines_left(store, file) as some:
        if some is None:
            return
        with store.joins_as_written():
            query = judged(file.table, straight(some), marks)
            count = read(store, some, f"INSERT INTO {stored(file.table)} {query}")
    if count != some.row_count:
        raise refused(file, f"{some.row_count} records on as many lines", f"{count}: a line break inside a value")


def show_beside(store: Store, table: str, file_ids: Collection[str]) -> None:
    """Have ``landing.<table>`` give the text of rows that went to core, too.

    Of the two columns that core has no place for, the patient's id is given as their key, and that a row was not
    withdrawn as nothing.
    """
    core = {column.name: column for column in contracts.load(f"core.{table}").columns}
    absent = {"source_patient_id": "patient_key", "is_deleted": "NULL"}
    texts = [
        absent[column.name]
        if column.name not in core
        else f'"{column.name}"'
        if column.type == "VARCHAR"
        else f'CAST("{column.name}" AS VARCHAR)'
        for column in contracts.load(f"landing.{table}").columns
    ]
    ids = ", ".join(f"'{each}'" for each in sorted(file_ids))
    whole = f"{store.scalar('SELECT current_database()')}.core.{table}"
    landed = f"SELECT 1 FROM {stored(table)} AS l WHERE l.source_file_id = c.source_file_id"
    define_view(
        store,
        table,
        beside=f"SELECT {', '.join(texts)}, patient_key, source_file_id, source_row, 0::HUGEINT FROM {whole} AS c "
        f"WHERE source_file_id IN ({ids}) AND NOT EXISTS ({landed} AND l.source_row = c.source_row)",
    )


def goes_onward(file: InputFile) -> bool:
    """Tell whether the sure rows of a file can go to core as it is read."""
    return file.table in TABLES and is_read_straight(file) and file.row_count > 0 and not file.passed_over


def counts(store: Store, table: str) -> dict[str, int]:
    """Count the rows of each file that went to core as they were read."""
    return dict(store.rows(f"SELECT source_file_id, count(*) FROM core.{table} GROUP BY ALL"))
