"""Lists that came back filled in, as workbook or CSV, read cell by cell.

Belongs here: what may be opened at all, where the columns are, and which cell is which. Does not belong: what a cell
means (``filled_in``). A file comes from outside: one that is large, crafted, protected or no list is refused whole, and
no name of a sheet or column that somebody wrote is shown.
"""

from __future__ import annotations

import csv
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_calamine import CalamineWorkbook

from stratify import contracts
from stratify.actions import ACTION_COLUMNS
from stratify.deliveries import REPORT_COLUMNS
from stratify.filled_in import ANSWER_COLUMNS, NEEDED_COLUMNS, Cell, Fault, FilledRow, is_filled, plain_text
from stratify.publish.list_columns import LIST_HEADINGS
from stratify.publish.register import ACTION_HEADINGS, ACTIONS_SHEET
from stratify.publish.sheets import letters_of

MOST_BYTES = 5_000_000
_MOST_UNPACKED = 60_000_000
_MOST_ROWS, _MOST_COLUMNS = 20_000, 200
_HEADING_WITHIN = 20
_AS_SENT = "Take the list as it was sent: columns may be moved, not renamed or deleted"
NOT_A_LIST = Fault("the file", "It is neither a workbook (.xlsx) nor a CSV", "Save the list as .xlsx and send it again")
_NOBODY_SENT_IT = Fault("the file", "Nothing says which practice sent it", "Put it into the folder of the practice")
TOO_LARGE = Fault("the file", "It is far larger than a list", _AS_SENT)
UNREADABLE = (
    zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, KeyError, ValueError, zlib.error,
    lzma.LZMAError,
)  # fmt: skip
"""What opening an archive that somebody damaged or crafted may raise."""
_OFFER_COLUMNS = ("outcome", "outcome_date", "decision_reason", "decided_by", "concern")
_CELL = re.compile(rb"<(?:\w+:)?c(?=[\s/>])([^>]*)>")
_PLACE = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')


@dataclass(frozen=True)
class FilledFile:
    """A file that came back: its rows, or why it was refused whole, and rows that could not be told apart.

    ``actions`` are rows of a sheet or CSV of actions, ``deliveries`` those of a messaging system's report.
    """

    rows: tuple[FilledRow, ...] = ()
    refused: Fault | None = None
    faults: tuple[tuple[int, Fault], ...] = ()
    actions: tuple[FilledRow, ...] = ()
    deliveries: tuple[FilledRow, ...] = ()


def read_filled(path: Path, *, file_id: str, sent_by: str | None) -> FilledFile:
    """Read a filled-in list, or say why it is refused; nothing in it is run or worked out.

    Args:
        path: The file.
        file_id: What it is called from now on.
        sent_by: The practice it came from; None where only a column of it says so.
    """
    if path.stat().st_size > MOST_BYTES:
        return FilledFile(refused=TOO_LARGE)
    start = path.read_bytes()[:8]
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return FilledFile(
            refused=Fault("the file", "It has a password or is of an old kind", "Save it as .xlsx without a password")
        )
    if start.startswith(b"PK"):
        return _read_workbook(path, file_id, sent_by)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, file_id, sent_by)
    return FilledFile(refused=NOT_A_LIST)


# ---------------------------------------------------------------------------------------------------------- workbooks


def _read_workbook(path: Path, file_id: str, sent_by: str | None) -> FilledFile:
    if refused := unfit(path):
        return FilledFile(refused=refused)
    try:
        book = CalamineWorkbook.from_path(path)
        sheets = [(name, book.get_sheet_by_name(name).to_python(skip_empty_area=False)) for name in book.sheet_names]
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001  a reader in Rust that gives up raises no Exception, and it may quote a cell
        return FilledFile(refused=NOT_A_LIST)
    if sent_by is None:
        return FilledFile(refused=_NOBODY_SENT_IT)
    rows: list[FilledRow] = []
    actions: list[FilledRow] = []
    faults: list[tuple[int, Fault]] = []
    is_list = False
    for position, (name, lines) in enumerate(sheets, 1):
        found = _heading(lines)
        if found is None:
            mine = _actions(lines, name, position, file_id, sent_by)
            if name == ACTIONS_SHEET and mine is None:
                faults.append(
                    (0, Fault(f"sheet {position}", "A column of the actions is missing or there twice", _AS_SENT))
                )
            actions += mine or []
            continue
        is_list = True
        heading, columns = found
        if len(set(columns.values())) < len(columns) or not set(NEEDED_COLUMNS) <= set(columns.values()):
            return FilledFile(
                refused=Fault(f"sheet {position}", "A column for answers is missing or there twice", _AS_SENT)
            )
        shown = "List" if name == "List" else f"sheet {position}"
        for number, line in enumerate(lines[heading + 1 :], heading + 2):
            cells = {
                column: Cell(f"{shown}!{letters_of(at)}{number}", line[at] if at < len(line) else None)
                for at, column in columns.items()
            }
            if any(is_filled(cell.value) for column, cell in cells.items() if column != "nhs_number"):
                rows.append(FilledRow(file_id, number, sent_by, cells))
    if not is_list:
        return FilledFile(refused=Fault("the file", "No sheet has a row reference and room for a decision", _AS_SENT))
    kept = tuple(row for row in rows if not row.is_open or is_filled(row.cells["row_reference"].value))
    return FilledFile(rows=kept, faults=tuple(faults), actions=tuple(actions))


def _actions(
    lines: Sequence[Sequence[Any]], name: str, position: int, file_id: str, sent_by: str
) -> list[FilledRow] | None:
    """Give the filled-in rows of a sheet of actions; None where the sheet has not its columns."""
    shown = ACTIONS_SHEET if name == ACTIONS_SHEET else f"sheet {position}"
    for heading, line in enumerate(lines[:_HEADING_WITHIN]):
        columns = {
            at: _ACTION_HEADINGS[text] for at, cell in enumerate(line) if (text := plain_text(cell)) in _ACTION_HEADINGS
        }
        if {"row_reference", *ACTION_COLUMNS} <= set(columns.values()) and len(set(columns.values())) == len(columns):
            found = []
            for number, cells in enumerate(lines[heading + 1 :], heading + 2):
                row = {
                    column: Cell(f"{shown}!{letters_of(at)}{number}", cells[at] if at < len(cells) else None)
                    for at, column in columns.items()
                }
                if any(is_filled(row[column].value) for column in ACTION_COLUMNS):
                    found.append(FilledRow(file_id, number, sent_by, row))
            return found
    return None


def unfit(path: Path) -> Fault | None:
    """Say why a workbook is not opened: it would unpack to far more, or hold a cell at the end of a sheet."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > _MOST_UNPACKED:
                return TOO_LARGE
            if archive.testzip() is not None:
                return NOT_A_LIST
            for name in archive.namelist():
                if "worksheets/" in name and not all(_is_near(cell) for cell in _CELL.finditer(archive.read(name))):
                    return Fault("the file", "It has cells where a list has none", _AS_SENT)
    except UNREADABLE:
        return NOT_A_LIST
    return None


def _is_near(cell: re.Match[bytes]) -> bool:
    """Tell whether a cell is within what a list may take: a reader holds everything up to the furthest one."""
    if cell[1].endswith(b"/"):
        return True  # nothing in it: whole columns are given a look this way
    place = _PLACE.search(cell[1])
    if place is None:
        return False
    column = 0
    for letter in place[1]:
        column = column * 26 + letter - 64
    return column <= _MOST_COLUMNS and int(place[2]) <= _MOST_ROWS


def _heading(lines: Sequence[Sequence[Any]]) -> tuple[int, dict[int, str]] | None:
    """Find the row of headings of a list, and which column is which."""
    for position, line in enumerate(lines[:_HEADING_WITHIN]):
        found = {at: _HEADINGS[text] for at, cell in enumerate(line) if (text := plain_text(cell)) in _HEADINGS}
        if "row_reference" in found.values() and set(ANSWER_COLUMNS) & set(found.values()):
            return position, found
    return None


_READ = (*ANSWER_COLUMNS, "row_reference", "nhs_number")
_ACTION_HEADINGS: Mapping[str, str] = {
    plain_text(ACTION_HEADINGS[name]): name for name in ("row_reference", "nhs_number", *ACTION_COLUMNS)
}
_HEADINGS: Mapping[str, str] = {plain_text(LIST_HEADINGS[name]): name for name in _READ}


# ---------------------------------------------------------------------------------------------------------------- CSV


def _read_csv(path: Path, file_id: str, sent_by: str | None) -> FilledFile:
    text = text_of(path.read_bytes())
    if text is None:
        return FilledFile(refused=NOT_A_LIST)
    try:
        lines = list(numbered_lines(text))
    except csv.Error:
        return FilledFile(refused=NOT_A_LIST)
    if len(lines) > _MOST_ROWS:
        return FilledFile(refused=TOO_LARGE)
    header = [plain_text(each).replace(" ", "_") for each in lines[0][1]] if lines else []
    is_offers, is_actions = "how_to_offer" in header, {"action", "owner_role"} <= set(header)
    if set(REPORT_COLUMNS) <= set(header) and "row_reference" not in header:
        return _read_report(header, lines[1:], file_id, sent_by)
    read = ("row_reference", "nhs_number", *ACTION_COLUMNS) if is_actions else _READ
    columns = {at: name for at, name in enumerate(header) if name in (*read, "practice_code")}
    answers = ACTION_COLUMNS[:3] if is_actions else _OFFER_COLUMNS if is_offers else NEEDED_COLUMNS
    if len(set(columns.values())) < len(columns) or not {"row_reference", *answers} <= set(columns.values()):
        names = ", ".join(contracts.load(f"out.returned_{'action' if is_actions else 'outcome'}").column_names)
        return FilledFile(
            refused=Fault("line 1", "A column for answers is missing or there twice", f"The columns {names}")
        )
    if sent_by is None and "practice_code" not in columns.values():
        return FilledFile(refused=Fault("line 1", "Nothing says which practice sent it", "The column practice_code"))
    rows, faults, actions = [], [], []
    for number, line in lines[1:]:
        if any(is_filled(each) for each in line[len(header) :]):
            faults.append(
                (number, Fault(f"line {number}", "It has more cells than headings", "Quote cells with commas"))
            )
            continue
        cells = {
            name: Cell(f"line {number}, {name}", unguarded(line[at]) if at < len(line) else None)
            for at, name in columns.items()
        }
        said = cells.pop("practice_code", None)
        named = str(said.value).strip().upper() if said and is_filled(said.value) else None
        sender = (sent_by if named in (None, sent_by) else None) if sent_by else named
        row = FilledRow(file_id, number, sender, cells)
        if is_actions:
            actions.append(row)
        elif not row.is_open or is_filled(row.cells["row_reference"].value):
            rows.append(row)
    return FilledFile(rows=tuple(rows), faults=tuple(faults), actions=tuple(actions))


def _read_report(
    header: Sequence[str], lines: Sequence[tuple[int, list[str]]], file_id: str, sent_by: str | None
) -> FilledFile:
    """Read what a messaging system says of a batch: of its columns only number, status and day."""
    if sent_by is None:
        return FilledFile(refused=_NOBODY_SENT_IT)
    at = {name: header.index(name) for name in REPORT_COLUMNS}
    rows = [
        FilledRow(
            file_id,
            number,
            sent_by,
            {
                name: Cell(f"line {number}, {name}", unguarded(line[place]) if place < len(line) else None)
                for name, place in at.items()
            },
        )
        for number, line in lines
    ]
    return FilledFile(deliveries=tuple(rows))


def text_of(content: bytes) -> str | None:
    """Read text as a spreadsheet in Britain saves it; None if it is none."""
    if b"\x00" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def numbered_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the lines that are not empty, each with its number, whichever separator was used."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader, before = csv.reader(io.StringIO(text, newline=""), delimiter=separator), 0
    for line in reader:
        if any(is_filled(each) for each in line):
            yield before + 1, line
        before = reader.line_num


def unguarded(text: str) -> str:
    """Take away the apostrophe that keeps a spreadsheet from taking a cell for a formula."""
    return text[1:] if re.match(r"'[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]", text) else text
