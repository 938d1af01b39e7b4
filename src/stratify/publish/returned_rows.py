"""What goes back to a practice about the lists it filled in: each cell that could not be used, and what to write.

A row is named by the person, as on the list, and a cell by its place; what stood there is not repeated. Same content,
same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stratify.publish import words
from stratify.publish.context import PublishContext, folder_name
from stratify.publish.sheets import LINE, LINE_POINTS, NAVY, Styles, lines_of, open_workbook

RETURNED_PLACE = "returned"
_WHAT = "Answers that could not be used"
_SAY = "Correct these cells in the file that you sent and send it again."
_REST = "Of a row with a wrong cell nothing was taken in; all other rows were, and are not taken in twice."
_COLUMNS = (
    ("file", "File that you sent", 300),
    ("cell", "Cell", 140),
    ("list_name", "List", 110),
    ("rank", "Rank", 40),
    ("nhs_number", "NHS number", 92),
    ("name", "Name", 130),
    ("wrong", "What is wrong", 220),
    ("instead", "What to write", 290),
    ("row_reference", "Row reference", 116),
)


@dataclass(frozen=True)
class ReturnedLine:
    """A cell of a list that came back: where, what is wrong, what to write, and whose row it is, if known."""

    file: str
    cell: str
    row_reference: str
    wrong: str
    instead: str
    list_name: str = ""
    rank: str = ""
    nhs_number: str = ""
    name: str = ""


def write_returned_rows(folder: Path, practice: str, lines: Sequence[ReturnedLine], context: PublishContext) -> Path:
    """Write what goes back to one practice as a workbook in its folder.

    Args:
        folder: Where the practices' folders are.
        practice: ODS code.
        lines: What to say, in order.
        context: The run.

    Returns:
        The file written.
    """
    path = folder / folder_name(practice) / RETURNED_PLACE / context.file_name("returned", "xlsx")
    stamp = "TEST: invented patients. " if context.is_test else ""
    with open_workbook(path, title=_WHAT, note=f"{_SAY} {_REST}", made=context.index_date) as workbook:
        style, sheet = Styles(workbook), workbook.add_worksheet("Returned")
        sheet.hide_gridlines(2)
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_footer(f"&L&9{stamp}OFFICIAL-SENSITIVE: personal&R&9Page &P of &N")
        sheet.write_string(0, 0, f"{stamp}{_WHAT}", style(bold=True, font_size=14, font_color=NAVY))
        when = f"Practice {practice}, week of {words.week_in_words(context.index_date)}."
        sheet.write_string(1, 0, f"{when} {_SAY}", style(font_size=10))
        sheet.write_string(2, 0, _REST, style(font_size=10))
        head = style(bold=True, bg_color=NAVY, font_color="#FFFFFF", border=1, border_color=LINE)
        for number, (_, heading, pixels) in enumerate(_COLUMNS):
            sheet.set_column_pixels(number, number, pixels)
            sheet.write_string(3, number, heading, head)
        cell = style(border=1, border_color=LINE, text_wrap=True)
        for row, line in enumerate(lines, 4):
            texts = tuple(words.without_marks(getattr(line, name)) for name, _, _ in _COLUMNS)
            for number, text in enumerate(texts):
                sheet.write_string(row, number, text, cell)
            most = max(lines_of(text, pixels) for text, (_, _, pixels) in zip(texts, _COLUMNS, strict=True))
            sheet.set_row(row, (most + 1) * LINE_POINTS + 4)  # the name of a file breaks early, at its strokes
        sheet.freeze_panes(4, 0)
        sheet.repeat_rows(3)
    return path
