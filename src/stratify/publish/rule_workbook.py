"""The rule book as a workbook: one table a sheet, with filters, to read on screen and to print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from stratify.publish.sheets import LINE, LINE_POINTS, NAVY, Styles, lines_of, open_workbook

_PIXELS_OF_A_CHARACTER = 6
_TALLEST = 390.0
_MADE = date(2020, 1, 1)
"""Stands as the date of creation: the same rules give the same bytes whenever they are written."""


class Table(Protocol):
    """What a sheet shows."""

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def rows(self) -> tuple[tuple[str, ...], ...]: ...


def write_rule_workbook(path: Path, tables: Sequence[Table]) -> None:
    """Write tables of text as sheets.

    Args:
        path: File to write.
        tables: One a sheet: ``name``, ``columns`` (heading and width in characters) and ``rows``.
    """
    with open_workbook(path, title="The rule book", note="Made from the definitions", made=_MADE) as workbook:
        styles = Styles(workbook)
        head = styles(bold=True, font_color="#FFFFFF", bg_color=NAVY, text_wrap=True)
        body = styles(text_wrap=True, bottom=1, bottom_color=LINE)
        for table in tables:
            sheet = workbook.add_worksheet(table.name)
            pixels = [width * _PIXELS_OF_A_CHARACTER for _, width in table.columns]
            for column, ((heading, _), wide) in enumerate(zip(table.columns, pixels, strict=True)):
                sheet.set_column_pixels(column, column, wide)
                sheet.write_string(0, column, heading, head)
            sheet.set_row(0, 2 * LINE_POINTS)
            for number, row in enumerate(table.rows, 1):
                tall = max(lines_of(cell, wide) for cell, wide in zip(row, pixels, strict=True))
                sheet.set_row(number, min(_TALLEST, tall * LINE_POINTS + 3))
                for column, cell in enumerate(row):
                    sheet.write_string(number, column, cell, body)
            sheet.freeze_panes(1, 1 if len(table.columns) > 1 else 0)
            if len(table.columns) > 1:
                sheet.autofilter(0, 0, max(len(table.rows), 1), len(table.columns) - 1)
            sheet.set_landscape()
            sheet.set_paper(9)
            sheet.fit_to_pages(1, 0)
            sheet.repeat_rows(0)
            sheet.set_footer(f"&L{table.name}&RPage &P of &N")
