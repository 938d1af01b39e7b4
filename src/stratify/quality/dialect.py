"""Lets Great Expectations ask questions of an open DuckDB connection.

Great Expectations speaks SQLAlchemy and knows no DuckDB. The public dialect opens its own connection to the file and
loses rows (Great Expectations gives a cursor back to the pool before reading it). This one borrows a cursor of the
connection that is already open and reads every answer at once. Belongs here: that dialect. Does not belong: rules,
counts and verdicts. Imported only when a check runs, because SQLAlchemy takes a third of a second.
"""

# ruff: noqa: ANN401  (a driver and a dialect are called with what SQLAlchemy pleases; DuckDB is not imported here)
from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar, Final

from sqlalchemy import types
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import URL

_SCHEME: Final = "duckdb+gx"
_WHERE_SCHEMA: Final = (
    "(schema_name = $1 AND database_name = current_database() OR database_name = $1 AND schema_name = 'main')"
)
_numbers = itertools.count(1)
_open: Final[dict[str, _Lent]] = {}


class _Lent:
    """A connection lent for the time of a check, and the cursors made of it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cursors: list[Any] = []

    def cursor(self) -> Any:
        cursor = self.connection.cursor()
        self.cursors.append(cursor)
        return cursor

    def close(self) -> None:
        for cursor in self.cursors:
            cursor.close()


@contextmanager
def lend(connection: Any) -> Iterator[str]:
    """Lend an open DuckDB connection to SQLAlchemy.

    What is not committed, and temporary tables and macros, cannot be seen through it.

    Yields:
        The SQLAlchemy URL that reaches it, good until the context ends.
    """
    registry.register("duckdb.gx", __name__, "Dialect")
    name = f"check{next(_numbers)}"
    lent = _open[name] = _Lent(connection)
    try:
        yield f"{_SCHEME}://{name}"
    finally:
        del _open[name]
        lent.close()


def database_error(connection: Any) -> type[Exception]:
    """Give the class of every error the connection's own driver raises."""
    error: type[Exception] = sys.modules[type(connection).__module__].Error
    return error


class _Cursor:
    """A DB-API cursor that holds its whole answer."""

    arraysize = 1

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._rows: list[tuple[Any, ...]] = []
        self.description: Any = None
        self.rowcount = -1

    def execute(self, statement: str, parameters: Sequence[Any] | None = None) -> None:
        answer = self._cursor.execute(statement, list(parameters) if parameters else None)
        self.description = answer.description
        self._rows = answer.fetchall() if answer.description else []
        self.rowcount = len(self._rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


class _Connection:
    """A DB-API connection over one borrowed cursor; nothing is written, so there is nothing to commit."""

    def __init__(self, lent: _Lent) -> None:
        self._cursor = lent.cursor()

    def cursor(self) -> _Cursor:
        return _Cursor(self._cursor)

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        self._cursor.close()


class Dialect(PGDialect):
    """PostgreSQL's SQL, which DuckDB reads, with DuckDB's own answers about tables and columns."""

    name: str = "duckdb"
    driver = "gx"
    supports_statement_cache = True
    # Not question marks: with those, Great Expectations writes Python values into SQL text.
    default_paramstyle = "numeric_dollar"
    # Great Expectations looks for this name and then writes REGEXP_MATCHES(), which is right for DuckDB.
    DremioDialect = True

    _types: ClassVar[dict[str, types.TypeEngine[Any]]] = {
        "BIGINT": types.BigInteger(),
        "INTEGER": types.Integer(),
        "DOUBLE": types.Double(),
        "DATE": types.Date(),
        "TIMESTAMP": types.DateTime(),
        "BOOLEAN": types.Boolean(),
    }

    @classmethod
    def import_dbapi(cls) -> Any:
        """Give what SQLAlchemy asks of a driver: its style and its error class (none of ours is translated)."""
        return SimpleNamespace(paramstyle="numeric_dollar", Error=_DriverError)

    def create_connect_args(self, url: URL) -> Any:
        """Give the name under which the connection was lent."""
        return (url.host,), {}

    def connect(self, *arguments: Any, **_: Any) -> Any:
        """Open a cursor of the lent connection."""
        return _Connection(_open[arguments[0]])

    def initialize(self, connection: Any) -> None:
        """Ask the server nothing: there is no PostgreSQL behind it."""
        self.server_version_info = (14, 0)
        self.default_schema_name = "main"

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        """Give a table's columns in order; ``schema`` may be a schema or an attached database."""
        rows = connection.exec_driver_sql(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE " + _WHERE_SCHEMA + " AND table_name = $2 ORDER BY column_index",
            (schema or "main", table_name),
        )
        return [
            {"name": name, "type": self._types.get(kind, types.String()), "nullable": nullable, "default": None}
            for name, kind, nullable in rows
        ]

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> bool:
        """Say whether the table or view exists."""
        return bool(self.get_columns(connection, table_name, schema))

    def get_pk_constraint(self, *_: Any, **__: Any) -> Any:
        """Give no key: contracts say what the key is."""
        return {"constrained_columns": [], "name": None}


class _DriverError(Exception):
    """Stands where SQLAlchemy wants a driver's error class; never raised."""
