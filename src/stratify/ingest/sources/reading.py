"""The sets of a declared source as canonical landing tables, every row with its original file and line.

Belongs here: reading a set whole, and a set of changes after those it follows; writing Parquet, the manifest of what
was made, the account of what has no place. Does not belong: what a declaration means (``wording``), what changes change
(``changes``), checks of values, which are the same for every source. Files are staged in a database of their own that
spills to the scratch folder, so memory does not grow with them.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import IO, cast

import polars as pl

from stratify import contracts
from stratify.declarations import Declaration
from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.feeds import Faults
from stratify.ingest.files import MANIFEST, Declared, table_of_name
from stratify.ingest.scanning import scan_text
from stratify.ingest.sources import stand_ins
from stratify.ingest.sources.changes import Standing
from stratify.ingest.sources.finding import Found, faults_of_set, find_files
from stratify.ingest.sources.loading import Loaded, is_looked_up, used_columns
from stratify.ingest.sources.losses import Losses
from stratify.ingest.sources.staging import Staged, broken, check_bytes, header_fault, refused, stage
from stratify.ingest.sources.telling import Told, tell
from stratify.ingest.sources.wording import NOTHING, PartQuery, State, holds, identifier, left_out_reason, raw, text
from stratify.store import Store, open_store, quoted

NOT_CARRIED = "not_carried.csv"
"""Written beside the landing folder, ``file,reason,rows``: what has no place in a landing table, and absent files."""

_MEMORY = "2GB"


class SetReader:
    """Reads the sets of a declared source, each once; a set of changes is read after all those it follows.

    Args:
        folders: The folders of the sets, oldest first.
        scratch: A restricted folder for each, which ends with the run; ``not_carried.csv`` is left there.
        loaded: The declaration.
        source_name: What to call the source in the manifests that are written.
    """

    def __init__(self, folders: Sequence[Path], scratch: Sequence[Path], *, loaded: Loaded, source_name: str) -> None:
        self._folders, self._scratch = list(folders), list(scratch)
        self._loaded, self._source_name = loaded, source_name
        self._read: dict[int, Path | ExtractError] = {}
        self._lost: dict[int, Losses] = {}

    def read(self, folder: Path, *, apart: Faults | None = None) -> Path:
        """Write a set as canonical landing tables.

        Args:
            folder: Of the set.
            apart: Where given, faults of files that a run can do without are put here by the landing tables that are
                not made for want of them, and not raised.

        Returns:
            The folder of the landing tables: a Parquet file for each table made, links to the files that are canonical
            already, and a manifest where the files say how far they go.

        Raises:
            ExtractError: files are absent, broken, of no known version, or nothing says whether they are changes; all
                faults are listed. For a set of changes also what stops the sets it follows.
        """
        place = self._folders.index(folder)
        if place not in self._read:
            self._read_on(self._chain(place))
        made = self._read[place]
        if isinstance(made, ExtractError):
            raise made
        lost = self._lost[place]
        if apart is None:
            if lost.faults:
                raise combine(lost.faults)
            return made
        for table, faults in lost.tables.items():
            apart.setdefault(table, []).extend(faults)
        return made

    def _chain(self, place: int) -> range:
        """Give the sets from the last whole one on: of a set of changes, all that it follows."""
        first = place
        while first > 0 and self._is_change(first):
            first -= 1
        return range(first, place + 1)

    def _is_change(self, place: int) -> bool:
        declaration = self._loaded.declaration
        if declaration.changes is None:
            return False
        # Whatever is wrong with it is said when it is read; so is the day the set before it ends.
        found = find_files(self._folders[place], declaration)
        return bool(tell(self._folders[place], declaration, found, [], place=place).deltas)

    def _read_on(self, places: range) -> None:
        scratch = self._scratch[places[-1]]
        for place in places:
            shutil.rmtree(self._scratch[place], ignore_errors=True)
            (self._scratch[place] / "landing").mkdir(parents=True)
        database = scratch / "staged.duckdb"
        with open_store(database, temp_directory=scratch / "spill", memory_limit=_MEMORY) as store:
            standing = Standing(store, self._loaded.declaration, used_columns(self._loaded.declaration))
            number, covered, fault = 0, None, None
            for place in places:
                if fault is None:
                    try:
                        number, covered = self._read_set(store, standing, place, number, covered)
                        continue
                    except ExtractError as found:
                        fault = found if len(places) == 1 else _in_set(self._folders[place].name, found)
                self._read[place] = fault
        database.unlink()
        for place in places:
            shutil.rmtree(self._scratch[place] / "text", ignore_errors=True)

    def _read_set(
        self, store: Store, standing: Standing, place: int, number: int, covered: date | None
    ) -> tuple[int, date | None]:
        """Read one set; give the number of the next file and the last day of the set."""
        declaration, folder, scratch = self._loaded.declaration, self._folders[place], self._scratch[place]
        found = find_files(folder, declaration)
        wrong: list[StratifyError] = []
        told = tell(folder, declaration, found, wrong, place=place, covered=covered)
        faults: list[StratifyError] = [*faults_of_set(found, declaration), *wrong]
        for kind, paths in found.declared.items():
            faults += [fault for path in paths if (fault := header_fault(path, declaration.files[kind]))]
        lost = self._lost[place] = Losses(declaration)
        lost.note(faults)
        account, landing = _Account(), scratch / "landing"
        all_staged = _stage_all(store, found, declaration, scratch, account, number, told, lost)
        staged = [one for one in all_staged if one.kind not in lost.kinds]
        standing.define(folder.name, staged, told.deltas, first_number=number)
        lost.note(_ambiguities(store, declaration))
        _count_left_behind(store, declaration, staged, account)
        for table in declaration.tables:
            if table not in lost.tables:
                _write_table(store, declaration, table, staged, landing, self._loaded.digest, standing, told)
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
        _write_manifest(landing, declaration, told, found, self._source_name)
        self._read[place] = landing
        return number + len(all_staged), told.last_day


def read_declared(
    folder: Path, scratch: Path, *, loaded: Loaded, source_name: str, apart: Faults | None = None
) -> Path:
    """Write the files of one folder as the declaration says: see :class:`SetReader`."""
    return SetReader([folder], [scratch], loaded=loaded, source_name=source_name).read(folder, apart=apart)


def _in_set(name: str, fault: ExtractError) -> ExtractError:
    return ExtractError(f"set {name}: {fault.where}", expected=fault.expected, found=fault.found, action=fault.action)


class _Account:
    """What has no place in a landing table, by file and reason."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, int]] = []

    def add(self, file_name: str, reason: str, count: int) -> None:
        self._lines.append((file_name, reason, count))

    def write(self, path: Path) -> None:
        pl.DataFrame(self._lines, schema=["file", "reason", "rows"], orient="row").write_csv(path)


# Files


def _stage_all(
    store: Store,
    found: Found,
    declaration: Declaration,
    scratch: Path,
    account: _Account,
    first_number: int,
    told: Told,
    lost: Losses,
) -> list[Staged]:
    """Stage the files that are not lost yet; what is wrong with one is noted, and it may be among what is given."""
    used = used_columns(declaration)
    staged: list[Staged] = []
    faults: list[StratifyError] = []
    for kind, file in declaration.files.items():
        if kind in lost.kinds:
            account.add(file.name, "file refused", 0)
            continue
        if not found.declared[kind]:
            account.add(file.name, "file not supplied", 0)
        for path in found.declared[kind]:
            try:
                lines, plain = check_bytes(path, file, scratch, told.beside.get(path.name))
                if file.not_read is not None:
                    account.add(path.name, file.not_read, lines)
                else:
                    number = first_number + len(staged)
                    staged.append(stage(store, number, kind, path, plain, file, used[kind], lines))
            except ExtractError as fault:
                faults.append(fault)
    for one in staged:
        if one.broken and is_looked_up(declaration, one.kind):
            faults.append(refused(one.path.name, "only rows of as many values as its header", broken(one)))
    lost.note(faults)
    return staged


def _ambiguities(store: Store, declaration: Declaration) -> list[StratifyError]:
    """Give a fault for each column that rows of other files look up by a key it has several values for."""
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
    return [*faults.values()]


# Tables


def _write_table(
    store: Store,
    declaration: Declaration,
    table: str,
    staged: list[Staged],
    landing: Path,
    digest: str,
    standing: Standing,
    told: Told,
) -> None:
    kinds = _kinds_of(declaration, table)
    is_supplied = any(one.kind in kinds for one in staged)
    if not is_supplied and not (standing.has_before and any(standing.is_known(kind) for kind in kinds)):
        return
    sql = _rows_of_table(declaration, table, staged, told)
    if standing.has_before:
        sql = standing.emitted(table, sql, _rows_of_table(declaration, table, [], told, "before_"))
    names = contracts.load(f"landing.{table}").column_names
    columns = ", ".join(identifier(name) for name in names)
    keys = "".join(f", {identifier(name)}" for name in contracts.load(f"landing.{table}").key)
    if not is_supplied and not store.scalar(f"SELECT count(*) FROM ({sql})"):
        return
    store.execute(
        f"COPY (SELECT {columns}, _name AS source_file_name, _line AS source_line FROM ({sql}) "
        f"ORDER BY _file, _line{keys}) TO '{quoted(landing / f'{table}.parquet')}' "
        f"(FORMAT parquet, KV_METADATA {{declaration: '{digest}'}})"
    )


def _rows_of_table(declaration: Declaration, table: str, staged: list[Staged], told: Told, state: State = "") -> str:
    """Write the rows that the parts of a landing table make, with ``_file``, ``_line`` and ``_name``."""
    contract = contracts.load(f"landing.{table}")
    columns = ", ".join(identifier(name) for name in contract.column_names)
    window = _windows(told).get(table)
    if "update_type" in contract.column_names and window is not None:
        days = f"BETWEEN DATE '{window.replaces_from}' AND DATE '{window.replaces_to}'"
        bulk = f"CASE WHEN TRY_CAST(admission_date AS DATE) {days} THEN 'BULK' END"
        columns = columns.replace(identifier("update_type"), f"coalesce(update_type, {bulk}) AS update_type")
    queries = [PartQuery(declaration, table, part, state).sql() for part in declaration.tables[table]]
    for one in staged:
        # What is no row goes on as an empty one at its place, so that the row rules set it aside there.
        if one.broken and _first_table(declaration, one.kind) == table:
            nothing = ", ".join(f"{NOTHING} AS {identifier(name)}" for name in contract.column_names)
            lines = ", ".join(f"({line}::BIGINT)" for line in one.broken)
            queries.append(
                f"SELECT {nothing}, {one.number} AS _file, line AS _line, {text(one.path.name)} AS _name "
                f"FROM (VALUES {lines}) AS broken (line)"
            )
    return f"SELECT {columns}, _file, _line, _name FROM ({' UNION ALL '.join(queries)})"


def _windows(told: Told) -> dict[str, Declared]:
    """Give the lines of manifest.csv that say that hospital rows of a window are replaced, by table."""
    return {each.table: each for name, each in told.beside.items() if name in told.ours and each.replaces_from}


def _kinds_of(declaration: Declaration, table: str) -> set[str]:
    """Give the files whose rows become rows of a landing table."""
    return {kind for part in declaration.tables.get(table, ()) for kind in _original_files(declaration, part.file)}


def _original_files(declaration: Declaration, kind: str) -> tuple[str, ...]:
    return declaration.derived[kind].of if kind in declaration.derived else (kind,)


def _first_table(declaration: Declaration, kind: str) -> str | None:
    return next((table for table, parts in declaration.tables.items() if any(p.file == kind for p in parts)), None)


def _count_left_behind(store: Store, declaration: Declaration, staged: list[Staged], account: _Account) -> None:
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


def _write_manifest(landing: Path, declaration: Declaration, told: Told, found: Found, source_name: str) -> None:
    """Write a manifest of the landing folder, if anything says how far the files go; the latest day holds for the rest.

    Lines of a manifest that came beside are taken over, but for those of the source's own files: of a bulk replacement
    of hospital rows the window holds for what is made of them.
    """
    if told.last_day is None:
        return
    supplied = {kind for kind, paths in found.declared.items() if paths}
    windows = _windows(told)
    lines = {
        name: _line(name, each.table, each.row_count, each.byte_count, each.sha256, source_name)
        | _period(each.period_to, each.period_from, each, is_delta=each.is_delta)
        for name, each in told.beside.items()
        if name not in told.ours
    }
    for path in sorted(landing.iterdir()):
        if path.name in lines:
            continue
        table = table_of_name(path.name) or ""
        kinds = _kinds_of(declaration, table) if path.suffix == ".parquet" else set()
        # Without a file of its own in a set of changes a table has only what looks up something that changed.
        is_delta = bool(kinds & told.deltas) or bool(told.deltas and kinds and not kinds & supplied)
        first = told.first_day if is_delta else None
        lines[path.name] = _measured(path, table, source_name) | _period(
            told.last_day, first, windows.get(table), is_delta=is_delta
        )
    columns = contracts.load("landing.extract_manifest").column_names
    with (landing / MANIFEST).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines.values())


def _measured(path: Path, table: str, source_name: str) -> dict[str, str]:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if path.suffix == ".parquet":
        count = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    else:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            count = max(scan_text(cast(IO[bytes], stream)).line_feeds - 1, 0)
    return _line(path.name, table, count, path.stat().st_size, sha256, source_name)


def _line(name: str, table: str, rows: int, size: int, sha256: str, source_name: str) -> dict[str, str]:
    return {
        "file_name": name,
        "table_name": table,
        "source_system": source_name,
        "row_count": str(rows),
        "byte_count": str(size),
        "sha256": sha256,
    }


def _period(last: date, first: date | None, window: Declared | None, *, is_delta: bool) -> dict[str, str]:
    return {
        "period_to": last.isoformat(),
        "is_delta": str(is_delta).lower(),
        "period_from": first.isoformat() if first else "",
        "replaces_from": window.replaces_from.isoformat() if window and window.replaces_from else "",
        "replaces_to": window.replaces_to.isoformat() if window and window.replaces_to else "",
    }
