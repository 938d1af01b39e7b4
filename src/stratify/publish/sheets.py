"""The look of every workbook, and that it holds text and numbers and never a formula. The only place that knows
``xlsxwriter``.

Belongs here: opening a workbook, cell formats, marks that no cell has, how tall a row of text is. Does not belong: what
stands on a sheet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from stratify.publish import words

NAVY, GREY, PALE, LINE = "#003087", "#425563", "#E8EDEE", "#AEB7BD"
OPEN = "#FFF9DB"
HELD = "#F4B6AE"
POINTS = 9
LINE_POINTS = 11.25

letters_of = xl_col_to_name
"""Gives the letters of a column by its place from nought."""

INDENT = 13
"""Pixels of one step of indent, in whichever spreadsheet it is wider."""
BOLD = 1.09
"""How much wider bold letters are, over a word."""

# Widths of the letters of Arial in thousandths of its size, from space to tilde: hmtx of the font of the PDFs, whose
# letters are as wide. On a screen they are rounded to whole pixels, so a little is added: better a line too many than
# text cut off.
_ADVANCES = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
)  # fmt: skip
_LETTERS = {chr(code): width for code, width in enumerate(_ADVANCES, 32)} | {"•": 350}
_OTHER_LETTER, _IDEOGRAPH, _FIRST_IDEOGRAPH = 750, 1400, "\u2e80"
_PIXELS = POINTS * 96 / 72 / 1000 * 1.04
PADDING_PIXELS = 6
_MOST_IN_HEADER = 60
_MOST_LINES = 33
"""Of a row: a spreadsheet has none above 409 points."""


class _Sheet(Worksheet):  # type: ignore[misc]  # a library without types
    """A sheet whose texts have no mark that turns them."""

    def _write_string(self, row: int, col: int, string: str, cell_format: Any = None) -> Any:  # noqa: ANN401
        return super()._write_string(row, col, words.without_marks(string), cell_format)


@contextmanager
def open_workbook(path: Path, *, title: str, note: str, made: date) -> Iterator[Any]:
    """Open a workbook to write: no formula, no link, the same bytes for the same content.

    Args:
        path: The file to write; its folder is made.
        title: Title among the properties of the file.
        note: Comment among them.
        made: What stands there as the date it was created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "in_memory": True,  # otherwise sheets pass through the system's temporary folder, names and all
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_format_properties": {"font_name": "Arial", "font_size": POINTS},
    }
    with xlsxwriter.Workbook(path, options) as workbook:
        workbook.worksheet_class = _Sheet
        created = datetime.combine(made, datetime.min.time())
        said = {"title": words.without_marks(title), "comments": words.without_marks(note)}
        workbook.set_properties({**said, "author": "stratify", "created": created})
        yield workbook


class Styles:
    """Cell formats of one workbook: called with properties, gives a format; each is made once."""

    def __init__(self, workbook: Any) -> None:  # noqa: ANN401
        self._workbook = workbook
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    def __call__(self, **properties: Any) -> Any:  # noqa: ANN401
        """Give a cell format."""
        whole = {"font_name": "Arial", "font_size": POINTS, "valign": "top", **properties}
        key = tuple(sorted(whole.items()))
        if key not in self._formats:
            self._formats[key] = self._workbook.add_format(whole)
        return self._formats[key]


def in_header(text: str) -> str:
    """Write a name for a page header, where & begins an instruction.

    A header of more than 255 letters is left out by the spreadsheet, so a long name is cut.
    """
    shown = words.without_marks(text).replace("\n", " ")
    cut = shown if len(shown) <= _MOST_IN_HEADER else f"{shown[:_MOST_IN_HEADER]}…"
    return cut.replace("&", "&&")


def cut_to_fit(text: str, pixels: int) -> str:
    """Cut a text that would be taller than a row can be, so that it ends in dots where it would be clipped."""
    while lines_of(text, pixels) > _MOST_LINES:
        text = f"{text[: len(text) * 3 // 4].rstrip('…')}…"
    return text


@lru_cache(maxsize=16_384)  # most cells of a list say what many others say
def lines_of(text: str, pixels: int) -> int:
    """Count the lines a text takes in a cell of a width, broken between words as a spreadsheet does."""
    room = max(pixels - PADDING_PIXELS, 1)
    return sum(_lines_of_paragraph(paragraph, room) for paragraph in text.split("\n"))


@lru_cache(maxsize=4096)
def width_of(text: str) -> float:
    """Give the width of a text in pixels, in one line."""
    wide = sum(_LETTERS.get(each, _OTHER_LETTER if each < _FIRST_IDEOGRAPH else _IDEOGRAPH) for each in text)
    return wide * _PIXELS


def longest_word(text: str) -> float:
    """Give the width in pixels of the widest word of a text."""
    return max((width_of(word) for word in text.split()), default=0.0)


def _lines_of_paragraph(text: str, room: int) -> int:
    count, used = 1, 0.0
    space = width_of(" ")
    for word in text.split(" "):
        width = width_of(word)
        if used and used + space + width <= room:
            used += space + width
            continue
        if used:
            count += 1
        # A word wider than the cell is broken inside.
        count += int(width // room) if width > room else 0
        used = width % room if width > room else width
    return count
