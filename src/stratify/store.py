"""The working store: one DuckDB file per run, and the only place besides ``engine`` that knows DuckDB.

A store is opened by one process for one run. Files for others are built with :func:`build_file` and put in place by
the caller. Nothing clinical is decided here.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from stratify import contracts
from stratify.contracts import TableContract
from stratify.errors import ContractError

SCHEMAS = ("core", "derived", "out", "audit")

PUBLISHED_STORAGE_VERSION = "v1.2.0"
"""Storage version of files for others: DuckDB clients from 1.2 on can open it (2.0's own default they cannot)."""

_ROWS_OF_A_PART = 4096
"""Rows that are read together to find a part: about what a practice has."""

_SETTINGS = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "preserve_insertion_order": True,
}


class Store:
    """One open DuckDB connection with the schemas of a run."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self.connection = connection
        self._scratch = scratch

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> None:
        """Run one statement and forget its rows."""
        self.connection.execute(sql, parameters).fetchall()

    def rows(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query and give its rows."""
        return self.connection.execute(sql, parameters).fetchall()

    def scalar(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401  as DuckDB types it
        """Run a query of one row and one column and give the value, or None where there is no row."""
        rows = self.connection.execute(sql, parameters).fetchall()
        return rows[0][0] if rows else None

    def frame(self, sql: str) -> pl.DataFrame:
        """Run a query and give its rows as a Polars frame, in the query's order."""
        return self.frame_of(self.connection.sql(sql))

    def frame_of(self, relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
        """Run a relation and give its rows as a Polars frame.

        By way of a Parquet file in the run's own temporary folder, like :meth:`loaned`: reading a relation straight
        into Polars leaves DuckDB 2.0 complaining of leaked objects when the process ends.
        """
        with self.scratch_file() as path:
            relation.write_parquet(str(path))
            return pl.read_parquet(path, memory_map=False)

    def define(self, contract: TableContract, name: str | None = None, *, unshared: str | None = None) -> None:
        """Create a table, empty, with the columns and types of its contract; an older one is replaced.

        Of a column of ids that no two rows share (``unshared``) no dictionary is tried, which is dear and of no use.
        """
        columns = ", ".join(
            f'"{column.name}" {column.type}' + (" USING COMPRESSION zstd" if column.name == unshared else "")
            for column in contract.columns
        )
        self.execute(f"CREATE OR REPLACE TABLE {name or contract.name} ({columns})")

    def create(self, name: str, frame: pl.DataFrame) -> None:
        """Create a table with the columns and types of its contract and fill it from a frame.

        Raises:
            ContractError: the frame lacks a column of the contract or has another one.
        """
        self.define(contracts.load(name))
        self.add(name, frame)

    def add(self, name: str, frame: pl.DataFrame) -> None:
        """Put the rows of a frame behind those of a table, with the types of its contract.

        Raises:
            ContractError: the frame lacks a column of the contract or has another one.
        """
        contract = contracts.load(name)
        if set(frame.columns) != set(contract.column_names):
            odd = sorted(set(frame.columns) ^ set(contract.column_names))
            raise ContractError(
                name,
                expected="the columns of the contract",
                found=f"a difference in {', '.join(odd)}",
                action="Correct the step that writes it.",
            )
        with self.loaned(frame.select(contract.column_names)) as source:
            casts = ", ".join(f'CAST("{column.name}" AS {column.type})' for column in contract.columns)
            self.execute(f"INSERT INTO {name} SELECT {casts} FROM {source}")

    @contextmanager
    def loaned(self, frame: pl.DataFrame) -> Iterator[str]:
        """Lend a frame to DuckDB for a while: gives what to write after FROM.

        It goes through a Parquet file in the run's own temporary folder, which spares the 165 MB of pyarrow.
        """
        with self.scratch_file() as path:
            frame.write_parquet(path, compression="uncompressed")
            yield f"read_parquet('{quoted(path)}')"

    @contextmanager
    def parted(self, sql: str, by: str) -> Iterator[Callable[[str], pl.DataFrame]]:
        """Run a query once, and lend what gives the rows of one part after another.

        The rows wait in a Parquet file in the run's own temporary folder: one part at a time is in memory.

        Args:
            sql: A query in order of the column that parts it, then in the order wanted within a part.
            by: That column, of text.
        """
        with self.scratch_file() as path:
            self.connection.sql(sql).write_parquet(str(path), row_group_size=_ROWS_OF_A_PART)
            yield lambda part: pl.scan_parquet(path).filter(pl.col(by) == part).collect()

    @contextmanager
    def scratch_file(self) -> Iterator[Path]:
        """Give the path of a file in the run's own temporary folder, which ends with this."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._scratch / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def joins_as_written(self) -> Iterator[None]:
        """Have joins keep what stands left of them in order and out of memory, and hold what stands right of them.

        DuckDB does not know how many rows a text file has, and would hold all of them.
        """
        self.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            yield
        finally:
            self.execute("RESET disabled_optimizers")

    def attach(self, path: Path, name: str, *, read_only: bool = False) -> None:
        """Attach another database file under a name."""
        self.execute(f"ATTACH '{quoted(path)}' AS {name}{' (READ_ONLY)' if read_only else ''}")

    def detach(self, name: str) -> None:
        """Let go of an attached database."""
        self.execute(f"DETACH {name}")


@contextmanager
def open_store(
    path: Path,
    *,
    temp_directory: Path,
    read_only: bool = False,
    memory_limit: str | None = None,
    threads: int | None = None,
) -> Iterator[Store]:
    """Open the working store of a run, with its schemas, and close it at the end.

    Args:
        path: The database file; made when absent unless ``read_only``.
        temp_directory: Where DuckDB spills to. It holds patient data: keep it inside the restricted folder.
        read_only: Open for questions only.
        memory_limit: For example ``4GB``; DuckDB's own default is 80 % of the machine.
        threads: Threads to use; results do not depend on it.
    """
    config: dict[str, Any] = {**_SETTINGS, "temp_directory": str(temp_directory)}
    if memory_limit:
        config["memory_limit"] = memory_limit
    if threads:
        config["threads"] = threads
    connection = duckdb.connect(str(path), read_only=read_only, config=config)
    store = Store(connection, temp_directory)
    try:
        store.execute("SET TimeZone = 'UTC'")
        store.execute("SET enable_progress_bar = false")  # it would go to standard output
        if not read_only:
            for schema in SCHEMAS:
                store.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        yield store
    finally:
        connection.close()


@dataclass(frozen=True)
class Macro:
    """A question that travels inside a published file.

    Attributes:
        name: What it is called by.
        parameters: What it is asked with; none of them is a column's name.
        query: What it asks of the tables of the file.
        about: What it answers.
        example: One use of it.
    """

    name: str
    parameters: tuple[str, ...]
    query: str
    about: str
    example: str


def build_file(
    store: Store, path: Path, tables: Sequence[str], *, note: str = "", macros: Sequence[Macro] = ()
) -> None:
    """Copy tables of a run into a new DuckDB file that older clients open, with comments from their contracts.

    Args:
        store: The run's store.
        path: The file to make; it must not exist.
        tables: ``schema.table`` names; in the file they lose the schema.
        note: What to add to the comment of each table, for example that it is a test.
        macros: Questions to keep in the file.
    """
    here = store.scalar("SELECT current_catalog()")
    store.execute(f"ATTACH '{quoted(path)}' AS published (STORAGE_VERSION '{PUBLISHED_STORAGE_VERSION}')")
    try:
        for name in tables:
            contract = contracts.load(name)
            order = ", ".join(f'"{column}"' for column in contract.key) or "ALL"
            store.execute(f"CREATE TABLE published.{contract.table} AS SELECT * FROM {name} ORDER BY {order}")
            text = " ".join(filter(None, (contract.purpose, contract.usage, note)))
            comments = [f"COMMENT ON TABLE published.{contract.table} IS '{text.replace(chr(39), chr(39) * 2)}'"]
            for column in contract.columns:
                words = column.description.replace("'", "''")
                comments.append(f"COMMENT ON COLUMN published.{contract.table}.\"{column.name}\" IS '{words}'")
            store.execute("; ".join(["BEGIN", *comments, "COMMIT"]))
        store.execute("USE published")  # a macro keeps the names of tables as written: they must be those of the file
        for macro in macros:
            store.execute(f"CREATE MACRO {macro.name}({', '.join(macro.parameters)}) AS TABLE {macro.query}")
            words = f"{macro.about} For example: {macro.example}".replace("'", "''")
            store.execute(f"COMMENT ON MACRO TABLE {macro.name} IS '{words}'")
    finally:
        store.execute(f'USE "{here}"')
        store.detach("published")


def contents_digest(store: Store) -> str:
    """Give the digest of everything in a published file: tables, rows in their order, comments, macros.

    The bytes of a DuckDB file are others every time it is written, with the same in it.
    """
    digest = hashlib.sha256()
    for query in _ABOUT_CONTENTS:
        digest.update(repr(store.rows(query)).encode())
    for schema, table in store.rows("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL"):
        reader = store.connection.execute(f'FROM "{schema}"."{table}"')
        while rows := reader.fetchmany(_ROWS_OF_A_PART):
            digest.update(repr(rows).encode())
    return digest.hexdigest()


_ABOUT_CONTENTS = (
    "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
    "SELECT table_name, comment FROM duckdb_tables() ORDER BY ALL",
    "SELECT function_name, parameters, macro_definition, comment FROM duckdb_functions() "
    "WHERE NOT internal AND macro_definition IS NOT NULL ORDER BY ALL",
)


def quoted(path: Path) -> str:
    """Give a path as it stands between single quotes in SQL."""
    return str(path).replace("'", "''")
