"""The form of a panel, one for each panellist: a workbook with drop-downs, or a CSV of the same columns. No login.

Does not belong: what is asked and what the answers come to (``panel``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from python_calamine import CalamineWorkbook

from stratify.publish import words
from stratify.publish.sheets import GREY, LINE, NAVY, OPEN, PALE, Styles, lines_of, open_workbook

FORM_COLUMNS = (
    "Question", "What is asked", "Unit", "Scale", "What is known", "Your answer in round one",
    "The others in round one: middle half and median", "Lowest you could live with", "Your best answer",
    "Highest you could live with", "Your reason, in your words",
)  # fmt: skip
FORM_MARK = "Form of panel:"
_WIDTHS = (95, 230, 90, 90, 200, 100, 130, 90, 90, 90, 260)
_MOST_CHOICES = 60


@dataclass(frozen=True)
class FormQuestion:
    """A question as it stands on a form; ``own``, ``others`` and ``reasons`` in round two."""

    id: str
    text: str
    unit: str
    least: float
    most: float
    step: float
    evidence: str
    own: tuple[float, float, float] | None
    others: Mapping[str, float] | None
    reasons: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands before the cells to fill in."""
        own = others = "–"
        if self.own and self.others:
            own = f"{self.own[1]:g} ({self.own[0]:g} to {self.own[2]:g})"
            quartiles = f"{self.others['lower_quartile']:g} to {self.others['upper_quartile']:g}"
            others = f"{quartiles}, median {self.others['median']:g}"
        scale = f"{self.least:g} to {self.most:g} in steps of {self.step:g}"
        return (self.id, self.text, self.unit, scale, self.evidence, own, others)


def read_form(path: Path) -> list[list[Any]] | None:
    """Give the cells of a filled-in form, row by row; None where it is neither a workbook nor CSV in UTF-8."""
    if path.suffix.lower() == ".csv":
        try:
            return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        except (UnicodeDecodeError, csv.Error):
            return None
    try:
        book = CalamineWorkbook.from_path(path)
        return list(book.get_sheet_by_name(book.sheet_names[0]).to_python(skip_empty_area=False))
    except Exception:  # noqa: BLE001  the reader has no common kind of fault, and its messages are not for people
        return None


def write_form(
    path: Path, questions: Sequence[FormQuestion], *, title: str, mark: str, made: date, round_number: int
) -> None:
    """Write a form; the same bytes for the same content.

    Args:
        path: Ends in ``.xlsx`` or ``.csv``.
        questions: What is asked.
        title: Title of the panel.
        mark: The line that says whose form of which round it is.
        made: What stands in the file as the date it was made.
        round_number: 1 or 2; in round two the others' reasons are shown, without names.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        path.write_text(_csv(questions, title, mark), encoding="utf-8-sig", newline="")
        return
    with open_workbook(path, title=title, note=mark, made=made) as workbook:
        _answer_sheet(workbook, questions, title, mark, round_number)
        if any(each.reasons for each in questions):
            _reason_sheet(workbook, questions)


def _csv(questions: Sequence[FormQuestion], title: str, mark: str) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow([words.harmless(title)])
    rows.writerow([mark])
    rows.writerow(FORM_COLUMNS)
    for each in questions:
        rows.writerow([*(words.harmless(cell) for cell in each.cells), "", "", "", ""])
    for each in questions:
        for reason in each.reasons:
            rows.writerow([words.harmless(f"Another's reason to {each.id}: {reason}")])
    return text.getvalue()


def _answer_sheet(
    workbook: Any,  # noqa: ANN401
    questions: Sequence[FormQuestion],
    title: str,
    mark: str,
    round_number: int,
) -> None:
    style = Styles(workbook)
    sheet = workbook.add_worksheet("Answers")
    sheet.write(0, 0, f"{title}: round {round_number} of 2", style(bold=True, font_size=14, font_color=NAVY))
    sheet.write(1, 0, mark, style(font_color=GREY))
    words = "Fill in the yellow cells, save, and send the file back. Reasons are shown to the others without names."
    sheet.write(2, 0, words, style())
    heading = style(bold=True, font_color="#FFFFFF", bg_color=NAVY, text_wrap=True, border=1, border_color=LINE)
    for column, (text, width) in enumerate(zip(FORM_COLUMNS, _WIDTHS, strict=True)):
        sheet.set_column_pixels(column, column, width)
        sheet.write(3, column, text, heading)
    sheet.set_row(3, 52)
    said = style(text_wrap=True, bg_color=PALE, border=1, border_color=LINE)
    number = style(bg_color=OPEN, border=1, border_color=LINE, locked=False)
    reason = style(bg_color=OPEN, border=1, border_color=LINE, locked=False, text_wrap=True)
    for row, each in enumerate(questions, 4):
        lines = 3
        for column, text in enumerate(each.cells):
            sheet.write_string(row, column, text, said)
            lines = max(lines, lines_of(text, _WIDTHS[column]))
        sheet.set_row(row, 12 * lines + 6)
        for column in range(7, 10):
            sheet.write_blank(row, column, None, number)
            sheet.data_validation(row, column, row, column, _allowed(each))
        sheet.write_blank(row, 10, None, reason)
    sheet.freeze_panes(4, 1)
    sheet.protect()
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(3)


def _allowed(each: FormQuestion) -> dict[str, Any]:
    """Give the numbers of the scale as a drop-down; a long scale as a number between its ends."""
    count = round((each.most - each.least) / each.step) + 1
    message = f"A number from {each.least:g} to {each.most:g} in steps of {each.step:g}."
    said = {"input_title": "Your answer", "input_message": message, "error_title": "Not on the scale"}
    said |= {"error_message": message}
    choices = [f"{round(each.least + place * each.step, 9):g}" for place in range(count)]
    if count <= _MOST_CHOICES and len(",".join(choices)) <= 255:  # as long as a list in a cell may be
        return {"validate": "list", "source": choices, **said}
    return {"validate": "decimal", "criteria": "between", "minimum": each.least, "maximum": each.most, **said}


def _reason_sheet(workbook: Any, questions: Sequence[FormQuestion]) -> None:  # noqa: ANN401
    style = Styles(workbook)
    sheet = workbook.add_worksheet("Reasons of the others")
    sheet.set_column_pixels(0, 0, 160)
    sheet.set_column_pixels(1, 1, 700)
    heading = style(bold=True, font_color="#FFFFFF", bg_color=NAVY)
    for column, text in enumerate(("Question", "A reason given in round one")):
        sheet.write(0, column, text, heading)
    row = 1
    for each in questions:
        for reason in each.reasons:
            sheet.write_string(row, 0, each.id, style())
            sheet.write_string(row, 1, reason, style(text_wrap=True))
            sheet.set_row(row, 12 * lines_of(reason, 700) + 4)
            row += 1
    sheet.protect()
