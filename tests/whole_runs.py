"""Whole runs in tests: the command line in this process, settings files, and an invented county with planted faults.

A run costs seconds, most of them Great Expectations' own work; a test that is not about its counts takes plain counts
instead (:func:`counted_plainly`), which the run otherwise compares with them.
"""

from __future__ import annotations

import atexit
import base64
import csv
import gzip
import hashlib
import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pypdf import PdfReader
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner, Result

from stratify.cli import app
from stratify.page_lock import THROWAWAY_PASSPHRASE
from stratify.quality import checks
from stratify.rulebook import clinical_folder
from stratify.store import Store, open_store

sys.path.append(str(Path(__file__).parent / "unit"))
import extract_set

__all__ = ["extract_set"]

KEY = "an invented key of a test site, long enough to pass 0123456789"
OBJECTIONS_HONOURED = {
    "purpose": "case_finding",
    "type_1": "exclude",
    "national": "exclude",
    "local": "exclude",
    "approval_reference": "invented approval, for tests only",
}


def stratify(*arguments: object, **environment: str) -> Result:
    """Run the command line in this process; only a clean end or an exit code is let through, never a traceback."""
    clean = {"STRATIFY_IDENTITY_KEY": "", "STRATIFY_KEY_FILE": "", **environment}
    done = CliRunner().invoke(app, [str(each) for each in arguments], env=clean)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def refusal(done: Result, exit_code: int) -> str:
    """Give the one message of a command that failed, which must have an exit code and all four parts."""
    assert done.exit_code == exit_code, done.output
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    message = "\n".join(lines[next(number for number, line in enumerate(lines) if "Error: " in line) :])
    assert ": expected " in message and "; found " in message and "Traceback" not in message
    return message


@cache
def two_pathways() -> Path:
    """Give a folder of the definitions with the COPD and frailty pathways alone: each pathway costs a run a second."""
    folder = Path(mkdtemp(prefix="two-pathways-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(clinical_folder(), folder / "clinical")
    for path in (folder / "clinical" / "pathways").glob("*.yaml"):
        if path.name.split(".")[0] not in ("copd", "frailty"):
            path.unlink()
    return folder / "clinical"


def settings_file(folder: Path, extracts: Path | None, out: Path, **changes: object) -> Path:
    """Write a settings file: case finding on a synthetic county, every objection honoured; None leaves one out.

    Runs have two pathways; ``clinical=None`` is all of them.
    """
    settings = {
        "extracts": str(extracts) if extracts else None,
        "source": "synthetic_county",
        "out": str(out),
        "organisation": "Invented Board",
        "contact": "Ring the invented desk",
        "other_scores": False,  # tested by themselves; a run without them is quicker
        "clinical": str(two_pathways()),
        "privacy": OBJECTIONS_HONOURED,
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.yaml"
    path.write_text(
        yaml.safe_dump({name: value for name, value in settings.items() if value is not None}), encoding="utf-8"
    )
    return path


@contextmanager
def counted_plainly() -> Iterator[None]:
    """Leave Great Expectations out: the run counts plainly, once, and compares that with itself."""
    count_plainly, counted = checks._count_plainly, {}

    def once(store, table, asked):
        known = counted.pop(table.name, None)
        wanted = {each.rule.id for each in asked if each.rule.kind != "rejected_percent"}
        return known if known and wanted <= set(known[1]) else count_plainly(store, table, asked)

    class Plain:
        def __init__(self, store: Store) -> None:
            self.store = store

        def count(self, table, asked):
            counted[table.name] = count_plainly(self.store, table, asked)
            return counted[table.name][1]

    @contextmanager
    def expectations(store):
        yield Plain(store)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_expectations", expectations)
        patch.setattr(checks, "_count_plainly", once)
        yield


@contextmanager
def working_store(out: Path, scratch: Path) -> Iterator[Store]:
    """Open the working store of the run in place, to look at it."""
    with open_store(out / "restricted" / "run.duckdb", temp_directory=scratch, read_only=True) as store:
        yield store


def workbooks(published: Path) -> list[Path]:
    """Give the workbooks for practices, but for the forms that each of them gets."""
    return sorted(each for each in (published / "direct_care").rglob("*.xlsx") if each.parent.name != "feedback")


def sheet(path: Path, name: str) -> list[dict[str, object]]:
    """Give the rows of a sheet by heading; a sheet that says that nobody is on it has none."""
    rows = CalamineWorkbook.from_path(path).get_sheet_by_name(name).to_python()
    heading, *body = [row for row in rows if any(cell != "" for cell in row)]
    return [dict(zip(heading, row, strict=True)) for row in body if sum(cell != "" for cell in row) > 1]


def all_text(path: Path) -> str:
    """Give everything a published file says, whatever its format."""
    if path.suffix == ".xlsx":
        book = CalamineWorkbook.from_path(path)
        return "\n".join(
            str(cell) for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python() for cell in row
        )
    if path.suffix == ".duckdb":
        return database_text(path)
    if path.suffix == ".parquet":  # its statistics are in the bytes
        return pl.read_parquet(path).write_csv() + path.read_bytes().decode("latin-1")
    if path.suffix == ".pdf":
        return "\n".join(page.extract_text() for page in PdfReader(path).pages)
    if path.name.startswith("team_page_"):
        return opened_page(path.read_text(encoding="utf-8"), THROWAWAY_PASSPHRASE)
    return path.read_text(encoding="utf-8")


@cache
def opened_page(text: str, passphrase: str) -> str:
    """Give a team's page with what is sealed in it, opened by other code than a browser's and ours."""
    sealed = json.loads(re.search(r'id="sealed">(.*?)</script>', text, re.DOTALL)[1])
    salt, nonce, content = (base64.b64decode(sealed[name]) for name in ("salt", "nonce", "content"))
    secret = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, sealed["iterations"])
    return text + gzip.decompress(AESGCM(secret).decrypt(nonce, content, sealed["about"].encode())).decode()


def database_text(path: Path) -> str:
    """Give every text, and every comment, of every table of a DuckDB file."""
    with open_store(path, temp_directory=path.parent / "never", read_only=True) as store:
        found = []
        columns = "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        for schema, table, column, comment in store.rows(columns):
            found.append(comment or "")
            values = store.rows(f'SELECT DISTINCT CAST("{column}" AS VARCHAR) FROM "{schema}"."{table}"')
            found += [value or "" for (value,) in values]
        found += [comment or "" for (comment,) in store.rows("SELECT comment FROM duckdb_tables()")]
        found += [f"{sql} {comment}" for sql, comment in store.rows(_MACROS)]
    return "\n".join(found)


_MACROS = "SELECT macro_definition, comment FROM duckdb_functions() WHERE NOT internal AND macro_definition IS NOT NULL"


def files(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def same_files(one: Path, other: Path) -> None:
    """Hold two published folders to the same files and bytes; DuckDB files to the same ordered rows and comments."""
    mine, theirs = files(one), files(other)
    assert sorted(mine) == sorted(theirs)
    for name in mine:
        if name.endswith(".duckdb"):
            assert _tables(one / name) == _tables(other / name)
        elif name.endswith("SHA256SUMS"):  # a DuckDB file's own is another every time
            assert _other_sums(mine[name]) == _other_sums(theirs[name])
        else:
            assert mine[name] == theirs[name], name


def _other_sums(sums: bytes) -> list[bytes]:
    return [line for line in sums.splitlines() if not line.endswith(b".duckdb")]


def _tables(path: Path) -> dict[str, object]:
    with open_store(path, temp_directory=path.parent / "never", read_only=True) as store:
        tables = [name for (name,) in store.rows("SELECT table_name FROM duckdb_tables() ORDER BY ALL")]
        found: dict[str, object] = {name: store.rows(f"SELECT * FROM {name}") for name in tables}
        found["comments"] = store.rows(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ) + store.rows("SELECT table_name, comment FROM duckdb_tables() ORDER BY ALL")
    return found


def line_of(path: Path, number: int) -> dict[str, str]:
    """Give a row of an extract file by its line; the header is line 1."""
    header, *body = _lines_of(path, path.stat().st_mtime_ns)
    return dict(zip(header, body[number - 2], strict=True))


@lru_cache(maxsize=8)
def _lines_of(path: Path, changed_at: int) -> list[list[str]]:
    """Read a file once for all its lines; ``changed_at`` tells one content of it from the next."""
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
