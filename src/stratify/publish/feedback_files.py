"""The files of feedback: the form of a practice, what comes back in it, and the answers to it.

Belongs here: how a form looks, which file is one, and which cell is which. Does not belong: what counts as new, and
what becomes of it (``feedback``). A form needs no login: yellow cells, drop-downs, and it is sent back like a list.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from python_calamine import CalamineWorkbook

from stratify import contracts, periods
from stratify.filled_in import Cell, Fault, as_day, is_filled, plain_text
from stratify.publish import words
from stratify.publish.context import PublishContext, folder_name
from stratify.publish.feedback_rows import FEEDBACK_PLACE, ITEM_HEADINGS, NOTHING_SAID, SAID_SHEET
from stratify.publish.filled_lists import (
    MOST_BYTES,
    NOT_A_LIST,
    TOO_LARGE,
    UNREADABLE,
    numbered_lines,
    text_of,
    unfit,
    unguarded,
)
from stratify.publish.sheets import (
    GREY,
    LINE,
    LINE_POINTS,
    NAVY,
    OPEN,
    PALE,
    Styles,
    cut_to_fit,
    letters_of,
    lines_of,
    open_workbook,
)

FORM, ANSWER = "out.feedback_form", "out.feedback_answer"
FORM_SHEET, _LISTS_SHEET = "Tell us", "Lists"
FORM_HEADINGS = {
    "nhs_number": ("NHS number", 110, "Whom it is about. Leave it empty for the list as a whole."),
    "kind": ("What it is", 150, "Should have been here: a patient of yours who is missing from a list."),
    "list_name": ("Which list", 210, "The list it is about. Leave it empty for all of them."),
    "reason": ("Why", 160, "The word that is nearest. Say more in the last column if you need to."),
    "said_by": ("Who says so", 150, "Your role, no name."),
    "said_on": ("Day", 80, "The day you noticed it, as dd/mm/yyyy. Leave it empty for the Monday of this week."),
    "words": ("In your words", 330, "Only if needed. No names: the NHS number says who it is."),
}
"""Columns of a form: heading, width, and what is said beside the cell."""
_SINCE = "said_on"
"""A column that forms sent before it was added do not have."""
_WHAT = "Tell us what is wrong with a list"
_SAY = (
    "Use this form for a person who should have been on a list, for one who should not be, and for any concern. "
    "Fill in a row for each. Save the file and send it back, as you do with lists. You get an answer and its date in "
    "the list of the week after. What you say is kept and cannot be deleted. To take a person off a list, write into "
    "the list itself."
)
_MARK = re.compile(r"Form of [A-Z0-9]+, week (\d{4}-\d{2}-\d{2})")
_ROWS, _MOST_WORDS = 12, 500


@dataclass(frozen=True)
class ToldFile:
    """A file of feedback that came back.

    Attributes:
        kind: The contract its rows have.
        week: Week of the form; None for answers, and for a form as CSV.
        rows: Number and cells of each row in which something stands.
        refused: Why it was refused whole.
    """

    kind: str
    week: date | None = None
    rows: tuple[tuple[int, Mapping[str, Cell]], ...] = ()
    refused: Fault | None = None


def is_told(path: Path) -> bool:
    """Tell whether a file is one of feedback and no list."""
    if path.stat().st_size > MOST_BYTES:
        return False
    if path.read_bytes()[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive, archive.open("xl/workbook.xml") as sheets:
                return f'name="{FORM_SHEET}"'.encode() in sheets.read(MOST_BYTES)
        except UNREADABLE:
            return False
    return path.suffix.lower() == ".csv" and _kind_of_csv(path) is not None


def read_told(path: Path) -> ToldFile:
    """Read a file of feedback, cell by cell; nothing in it is run or worked out."""
    if path.read_bytes()[:2] != b"PK":
        return _read_csv(path)
    if refused := unfit(path):
        return ToldFile(FORM, refused=refused)
    try:
        lines = CalamineWorkbook.from_path(path).get_sheet_by_name(FORM_SHEET).to_python(skip_empty_area=False)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001  as for lists: a reader in Rust that gives up raises no Exception
        return ToldFile(FORM, refused=NOT_A_LIST)
    headings = {plain_text(heading): name for name, (heading, _, _) in FORM_HEADINGS.items()}
    marks = [found[1] for line in lines[:6] for cell in line if (found := _MARK.search(str(cell)))]
    weeks = [week for each in marks if (week := as_day(each))]
    for at, line in enumerate(lines[:20]):
        columns = {place: headings[text] for place, cell in enumerate(line) if (text := plain_text(cell)) in headings}
        if weeks and _is_whole(columns.values(), headings.values()):
            rows = [
                (
                    number,
                    {
                        name: Cell(
                            f"{FORM_SHEET}!{letters_of(place)}{number}", cells[place] if place < len(cells) else None
                        )
                        for place, name in columns.items()
                    },
                )
                for number, cells in enumerate(lines[at + 1 :], at + 2)
            ]
            return ToldFile(FORM, weeks[0], _filled(rows))
    return ToldFile(FORM, refused=Fault("the form", "A column or the line below the title is gone", _AS_SENT))


def _is_whole(found: Collection[str], needed: Iterable[str]) -> bool:
    """Tell whether every column is there once, but for the one that older forms do not have."""
    return len(set(found)) == len(found) and set(needed) - set(found) <= {_SINCE}


_AS_SENT = "Take the form as it was sent: fill in its yellow cells and change nothing else"


def _filled(rows: Sequence[tuple[int, Mapping[str, Cell]]]) -> tuple[tuple[int, Mapping[str, Cell]], ...]:
    return tuple(row for row in rows if any(is_filled(cell.value) for cell in row[1].values()))


def _kind_of_csv(path: Path) -> str | None:
    text = text_of(path.read_bytes())
    first = next(iter((text or "").splitlines()), "")
    columns = {plain_text(each).replace(" ", "_") for each in re.split(r"[,;\t]", first.replace('"', ""))}
    if {"item", "answer", "answered_by"} <= columns:
        return ANSWER
    return FORM if {"nhs_number", "kind", "reason"} <= columns and "row_reference" not in columns else None


def _read_csv(path: Path) -> ToldFile:
    kind = _kind_of_csv(path) or FORM
    names = contracts.load(kind).column_names
    try:
        lines = list(numbered_lines(text_of(path.read_bytes()) or ""))
    except csv.Error:
        return ToldFile(kind, refused=NOT_A_LIST)
    if len(lines) > 20_000:
        return ToldFile(kind, refused=TOO_LARGE)
    header = [plain_text(each).replace(" ", "_") for each in lines[0][1]]
    columns = {at: name for at, name in enumerate(header) if name in names}
    if not _is_whole(columns.values(), names):
        return ToldFile(
            kind, refused=Fault("line 1", "A column is missing or there twice", f"The columns {', '.join(names)}")
        )
    rows = [
        (
            number,
            {
                name: Cell(f"line {number}, {name}", unguarded(line[at]) if at < len(line) else None)
                for at, name in columns.items()
            },
        )
        for number, line in lines[1:]
    ]
    return ToldFile(kind, None, _filled(rows))


# ------------------------------------------------------------------------------------------------------------ written


def write_form(
    folder: Path, practice: tuple[str, str], lists: Sequence[str], items: pl.DataFrame, context: PublishContext
) -> Path:
    """Write the form of a practice, with all that it said before and what came of it on a second sheet.

    Args:
        folder: Where the practices' folders are.
        practice: ODS code and name.
        lists: Names of the lists it may be about.
        items: Contract ``out.feedback_item``.
        context: The run.

    Returns:
        The file written.
    """
    code, name = practice
    path = folder / folder_name(code) / FEEDBACK_PLACE / context.file_name("feedback_form", "xlsx")
    with open_workbook(path, title=_WHAT, note=_WHAT, made=context.index_date) as workbook:
        style = Styles(workbook)
        sheet = _sheet(workbook, FORM_SHEET, context)
        stamp = "TEST: invented patients. " if context.is_test else ""
        last, wide = len(FORM_HEADINGS) - 1, sum(width for _, width, _ in FORM_HEADINGS.values())
        sheet.write_string(0, 0, f"{stamp}{_WHAT}", style(bold=True, font_size=14, font_color=NAVY))
        mark = f"{name} ({code}). Form of {code}, week {context.index_date.isoformat()}"
        sheet.write_string(1, 0, mark, style(font_color=GREY))
        said = style(text_wrap=True, font_size=10)
        sheet.merge_range(2, 0, 2, last, "", said)
        text = f"{_SAY} If it cannot wait: {context.contact}."
        sheet.write_string(2, 0, text, said)
        sheet.set_row(2, lines_of(text, int(wide * 0.9)) * (LINE_POINTS + 1.5) + 4)
        head = style(bold=True, bg_color=NAVY, font_color="#FFFFFF", border=1, border_color=LINE)
        look = {"bg_color": OPEN, "border": 1, "border_color": LINE, "locked": False, "text_wrap": True}
        cell, day = style(**look, num_format="@"), style(**look, num_format="dd/mm/yyyy", align="left")
        for column, (key, (heading, width, hint)) in enumerate(FORM_HEADINGS.items()):
            sheet.set_column_pixels(column, column, width)
            sheet.write_string(3, column, heading, head)
            for row in range(4, 4 + _ROWS):
                sheet.write_blank(row, column, None, day if key == _SINCE else cell)
            sheet.data_validation(4, column, 3 + _ROWS, column, _allowed(key, heading, hint, lists))
        for row in range(4, 4 + _ROWS):
            sheet.set_row(row, 2 * LINE_POINTS + 4)
        sheet.freeze_panes(4, 0)
        sheet.protect("", {"format_columns": True, "format_rows": True})
        _items_sheet(workbook, items, context)
        names = _sheet(workbook, _LISTS_SHEET, context)
        names.set_column_pixels(0, 0, 330)
        for row, text in enumerate(("Names of the lists", *lists)):
            names.write_string(row, 0, text, style() if row else head)
        names.protect()
    return path


def _sheet(workbook: Any, name: str, context: PublishContext) -> Any:  # noqa: ANN401
    stamp = "TEST: invented patients. " if context.is_test else ""
    sheet = workbook.add_worksheet(name)
    sheet.hide_gridlines(2)
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L&9{stamp}OFFICIAL-SENSITIVE: personal&R&9Page &P of &N")
    return sheet


def _allowed(key: str, heading: str, hint: str, lists: Sequence[str]) -> dict[str, Any]:
    said: dict[str, Any] = {"input_title": heading, "input_message": hint}
    if key == "list_name":  # more words than a drop-down of its own may hold
        return {"validate": "list", "source": f"={_LISTS_SHEET}!$A$2:$A${len(lists) + 1}", **said}
    if allowed := contracts.load(FORM).column(key).valid_values:
        named = f"Choose one of: {', '.join(allowed)}."[:255]
        return {"validate": "list", "source": list(allowed), "error_title": "Not one of the words", **said,
                "error_message": named}  # fmt: skip
    return {"validate": "length", "criteria": "<=", "value": _MOST_WORDS, "error_title": "Too long", **said}


def _items_sheet(workbook: Any, items: pl.DataFrame, context: PublishContext) -> None:  # noqa: ANN401
    style, sheet = Styles(workbook), _sheet(workbook, SAID_SHEET, context)
    head = style(bold=True, bg_color=NAVY, font_color="#FFFFFF", border=1, border_color=LINE, text_wrap=True)
    cell = {"border": 1, "border_color": LINE, "text_wrap": True}
    for column, (heading, width) in enumerate(ITEM_HEADINGS.values()):
        sheet.set_column_pixels(column, column, width)
        sheet.write_string(0, column, heading, head)
    sheet.set_row(0, 2 * LINE_POINTS + 4)
    for row, each in enumerate(items.iter_rows(named=True), 1):
        look = {**cell, "bg_color": PALE} if each["status"].startswith("Overdue") else cell
        most = 1
        for column, (name, (_, width)) in enumerate(ITEM_HEADINGS.items()):
            value = each[name]
            text = value.strftime("%d/%m/%Y") if isinstance(value, date) else cut_to_fit(value or "", width)
            sheet.write_string(row, column, text, style(**look))
            most = max(most, lines_of(text, width))
        sheet.set_row(row, most * LINE_POINTS + 4)
    if items.is_empty():
        sheet.write_string(1, 0, NOTHING_SAID, style(italic=True))
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.protect("", {"format_columns": True, "format_rows": True})


def answers_to_write(items: pl.DataFrame, texts: Mapping[int, str]) -> str:
    """Give the CSV in which open items are answered: what was said, then the cells to fill in.

    Args:
        items: Entries of what was said, with ``due`` and ``status``.
        texts: Words by entry.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    asked = ("said_by_practice", "about", "said_on", "due", "status", "row_reference", "in_their_words")
    rows.writerow([*asked, *contracts.load(ANSWER).column_names])
    for each in items.iter_rows(named=True):
        reason = (each["reason_code"] or "").replace("_", " ")
        about = ": ".join(filter(None, (each["kind"].replace("_", " "), reason)))
        about = ", ".join(filter(None, (about, each["clinic_id"])))
        said = [each["practice_code"], about, periods.in_words(each["said_on"]), periods.in_words(each["due"])]
        said += [each["status"], each["row_reference"] or "", words.harmless(texts.get(each["entry_number"], ""))]
        rows.writerow([*said, each["item"], "", "", "", ""])
    return text.getvalue()
