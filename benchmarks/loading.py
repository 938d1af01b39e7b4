"""What loading costs: a plain typed load of the files, and ours with and without everything beside the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from benchmarks.laps import Laps, Stages, open_working_store

INDEX_DATE = date(2026, 11, 2)
PLAIN, ROWS, LOADING = "plain typed load", "rows, rules and quarantine", "all of loading"
FILES = "files.json"


def invent_county(scratch: Path, people: int) -> Path:
    """Invent a clean county with what the file gate says of it beside it."""
    extracts = scratch / "extracts"
    if not (scratch / FILES).exists():
        command = [sys.executable, "-c", "from stratify.cli import app; app()", "synth", "--out", str(extracts)]
        command += ["--people", str(people), "--seed", "1", "--clean", "--format", "csv", "--replace"]
        command += ["--index-date", INDEX_DATE.isoformat()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        passed = [file.model_dump(mode="json") for file in inspect(extracts, scratch)]
        (scratch / FILES).write_text(json.dumps(passed), encoding="utf-8")
    return extracts


def plain_load(extracts: Path, out: Path, memory_limit: str | None) -> Stages:
    """The least there is: every CSV file into a table with the types of its contract, nothing looked at."""
    import duckdb

    from stratify import contracts

    laps = Laps()
    with duckdb.connect(str(out / "plain.duckdb"), config=_limited(memory_limit)) as connection:
        for path in sorted(extracts.glob("*.csv")):
            if path.stem == "manifest":
                continue
            columns = {column.name: column.type for column in contracts.load(f"landing.{path.stem}").columns}
            connection.execute(
                f"CREATE TABLE {path.stem} AS FROM read_csv('{path}', columns = {columns}, header = true, "
                "auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '')"
            ).fetchall()
            laps.end(path.stem)
    return laps.seconds


def _limited(memory_limit: str | None) -> dict[str, str]:
    return {"memory_limit": memory_limit} if memory_limit else {}


def rows_only(extracts: Path, out: Path, memory_limit: str | None) -> Stages:
    """Our reading of files that the gate has passed: every row rule, quarantine, duplicates, keys and accounts.

    Rows of the GP record go to core as they are read; only their units are left to what loading does beside.
    """
    from stratify import ingest, privacy
    from stratify.ingest import SOURCES, InputFile

    listed = json.loads((extracts.parent / FILES).read_text(encoding="utf-8"))
    laps = Laps()
    with _store(out, memory_limit) as store:
        onward = ingest.Onward(privacy.STAND_IN_POLICY, SOURCES["synthetic_county"], measurements=())
        _land(store, [InputFile.model_validate(each) for each in listed], onward)
        laps.end("rows")
    return laps.seconds


def all_of_loading(extracts: Path, out: Path, memory_limit: str | None) -> Stages:
    """From files to core tables: the file gate with hashes, rows, identities, objections, units, spells, people."""
    from stratify import ingest, privacy
    from stratify.ingest import SOURCES
    from stratify.rulebook import load_rule_book

    book = load_rule_book(None)
    laps = Laps()
    files = inspect(extracts, out)
    laps.end("file gate and hashes")
    with _store(out, memory_limit) as store:
        source, measurements = SOURCES["synthetic_county"], book.resolved_measurements(score_inferred_units=False)
        _land(store, files, ingest.Onward(privacy.STAND_IN_POLICY, source, measurements))
        laps.end("rows")
        ingest.build_core(
            store,
            index_date=INDEX_DATE,
            key=privacy.THROWAWAY_KEY,
            measurements=measurements,
            privacy_policy=privacy.STAND_IN_POLICY,
            source=source,
        )
        laps.end("core tables")
    return laps.seconds


def inspect(extracts: Path, out: Path) -> list:
    from stratify.ingest import SOURCES, gather_files

    return list(gather_files(extracts, SOURCES["synthetic_county"], out / "prepared", known_by=INDEX_DATE))


def _land(store, files: list, onward) -> None:
    from stratify import ingest, privacy
    from stratify.privacy import EntryPolicy

    ingest.land(
        store,
        files,
        source=ingest.SOURCES["synthetic_county"],
        index_date=INDEX_DATE,
        key=privacy.THROWAWAY_KEY,
        door=ingest.open_door(EntryPolicy()),
        onward=onward,
    )


@contextmanager
def _store(out: Path, memory_limit: str | None) -> Iterator:
    with open_working_store(out, memory_limit) as store:
        for name in ("landing", "identity"):
            store.attach(out / f"{name}.duckdb", name)
        yield store


JOBS: dict[str, Callable[[Path, Path, str | None], Stages]] = {
    PLAIN: plain_load,
    ROWS: rows_only,
    LOADING: all_of_loading,
}
