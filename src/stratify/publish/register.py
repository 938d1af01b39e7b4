"""The register of a meeting's actions: what is open, overdue first, and the sheet on which it comes back.

Direct care only. Belongs here: which actions are shown to whom, and how the sheet Actions looks. What a filled-in row
means is in ``actions``; how a workbook is opened in ``sheets``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from stratify import filled_in
from stratify.actions import ACTION_COLUMNS
from stratify.codes import spaced
from stratify.publish import words
from stratify.publish.context import PublishContext
from stratify.publish.sheets import GREY, HELD, LINE, LINE_POINTS, NAVY, OPEN, Styles, cut_to_fit, letters_of, lines_of
from stratify.rules import Clinic
from stratify.store import Store

ACTIONS_SHEET = "Actions"
ROOM_FOR_EACH = 2
"""Empty rows for each person on the list: as many as the page of the pack has."""

_ROLES_OF_A_MEETING = 3
_COLUMNS = (
    ("row_reference", "Row reference", 124),
    ("nhs_number", "NHS number", 88),
    ("family_name", "Family name", 110),
    ("given_names", "Given names", 100),
    ("stands", "Stands at", 74),
    ("action", "Action", 190),
    ("owner_role", "Owner (role)", 130),
    ("due_date", "Due date", 80),
    ("done", "Done", 50),
)
ACTION_HEADINGS = {name: heading for name, heading, _ in _COLUMNS}
"""How the columns of the sheet are headed: one that comes back is read by them."""

_WORDS_COLUMN = len(_COLUMNS) + 1
_OPEN = """
SELECT a.practice_code, a.clinic_id, a.row_reference, a.action, a.owner_role, a.due_date,
    coalesce(c.person_status = 'registered' AND c.practice_code = a.practice_code, false) AS is_here,
    i.nhs_number, i.family_name, i.given_names
FROM (
    SELECT *, bool_or(is_done) OVER one AS is_over,
        row_number() OVER (one ORDER BY week DESC, statement_id DESC) AS back
    FROM audit.action WINDOW one AS (PARTITION BY row_reference, action)
) AS a
LEFT JOIN core.person AS c USING (patient_key) LEFT JOIN identity.person AS i USING (patient_key)
WHERE NOT a.is_over AND a.back = 1 ORDER BY a.due_date, a.row_reference, a.action
"""
_GONE = "No longer registered here: close it"


@dataclass(frozen=True)
class OpenAction:
    """An action that is not done: whose, what, who, until when. The person's names are empty where they left."""

    row_reference: str
    nhs_number: str
    family_name: str
    given_names: str
    action: str
    owner_role: str
    due_date: date
    is_overdue: bool

    @property
    def person(self) -> str:
        """The person in one line."""
        names = ", ".join(filter(None, (self.family_name, self.given_names))) or "Name not known"
        return f"{names}, {self.nhs_number}" if self.nhs_number else _GONE


def is_meeting(clinic: Clinic) -> bool:
    """A clinic of three roles or more, or with an agenda of its own, is a meeting: it has a pack and a register."""
    return len(clinic.roles) >= _ROLES_OF_A_MEETING or bool(clinic.agenda)


def open_actions(store: Store, context: PublishContext) -> dict[tuple[str, str], list[OpenAction]]:
    """Give the open actions of each practice and clinic, by the day they are due, so that overdue ones come first."""
    found: dict[tuple[str, str], list[OpenAction]] = {}
    for row in store.frame(_OPEN).iter_rows(named=True):
        is_here = row["is_here"]
        found.setdefault((row["practice_code"], row["clinic_id"]), []).append(
            OpenAction(
                row["row_reference"],
                (spaced(row["nhs_number"]) or "") if is_here else "",
                (row["family_name"] or "") if is_here else "",
                (row["given_names"] or "") if is_here else "",
                row["action"],
                row["owner_role"],
                row["due_date"],
                row["due_date"] < context.index_date,
            )
        )
    return found


def write_action_sheet(
    workbook: Any,  # noqa: ANN401
    style: Styles,
    actions: Sequence[OpenAction],
    people: Sequence[Mapping[str, Any]],
    context: PublishContext,
) -> Any:  # noqa: ANN401
    """Write the sheet: open actions first, then room for what is agreed about each person on the list.

    Args:
        workbook: The open workbook.
        style: Its formats.
        actions: What is open.
        people: Those on the list in order: row reference, NHS number, names.
        context: The run: its week and what may be agreed.

    Returns:
        The sheet.
    """
    sheet = workbook.add_worksheet(ACTIONS_SHEET)
    sheet.hide_gridlines(2)
    head = {"bold": True, "font_color": "#FFFFFF", "text_wrap": True, "valign": "vcenter", "border": 1}
    for number, (name, heading, pixels) in enumerate(_COLUMNS):
        fill = GREY if name in ACTION_COLUMNS else NAVY
        sheet.set_column_pixels(number, number, pixels)
        sheet.write_string(0, number, heading, style(**head, bg_color=fill, border_color=LINE))
    sheet.set_row(0, 20)
    lines = [_carried(each) for each in actions]
    names = ("row_reference", "nhs_number", "family_name", "given_names")
    for person in people:
        lines += [{name: words.without_marks(person[name] or "") for name in names}] * ROOM_FOR_EACH
    for row, each in enumerate(lines, 1):
        line = {
            **each,
            **{name: cut_to_fit(each[name], pixels) for name, _, pixels in _COLUMNS if isinstance(each.get(name), str)},
        }
        for number, (name, _, _) in enumerate(_COLUMNS):
            _write(sheet, style, row, number, name, line)
        most = max(lines_of(str(line.get(name) or ""), pixels) for name, _, pixels in _COLUMNS if name != "due_date")
        sheet.set_row(row, most * LINE_POINTS + 6)
    if not lines:
        sheet.write_string(1, 0, "Nobody is on the list, and no action is open.", style(italic=True, font_size=11))
    else:
        sheet.autofilter(0, 0, len(lines), len(_COLUMNS) - 1)
        _checks(sheet, len(lines), context)
    sheet.freeze_panes(1, 4)
    sheet.repeat_rows(0)
    sheet.print_area(0, 0, max(len(lines), 1), len(_COLUMNS) - 1)
    sheet.protect("", {"autofilter": True, "format_columns": True, "format_rows": True, "select_locked_cells": True})
    return sheet


def _carried(action: OpenAction) -> dict[str, Any]:
    return {
        "row_reference": action.row_reference,
        "nhs_number": action.nhs_number,
        "family_name": words.without_marks(action.family_name) or ("" if action.nhs_number else _GONE),
        "given_names": words.without_marks(action.given_names),
        "stands": "Overdue" if action.is_overdue else "Open",
        "action": action.action,
        "owner_role": action.owner_role,
        "due_date": action.due_date,
        "is_overdue": action.is_overdue,
    }


def _write(sheet: Any, style: Styles, row: int, number: int, name: str, line: Mapping[str, Any]) -> None:  # noqa: ANN401
    is_known = name == "action" and bool(line.get("action"))  # another action is another row
    look: dict[str, Any] = {"border": 1, "border_color": LINE, "text_wrap": True}
    if name in ACTION_COLUMNS and not is_known:
        look |= {"locked": False, "bg_color": OPEN, "num_format": "dd/mm/yyyy" if name == "due_date" else "@"}
    if line.get("is_overdue") and name in ("stands", "action"):
        look |= {"bg_color": HELD, "bold": True}
    value = line.get(name)
    if not value:
        sheet.write_blank(row, number, None, style(**look))
    elif isinstance(value, date):
        sheet.write_datetime(row, number, datetime.combine(value, datetime.min.time()), style(**look, align="left"))
    else:
        sheet.write_string(row, number, str(value), style(**look))


def _checks(sheet: Any, rows: int, context: PublishContext) -> None:  # noqa: ANN401
    """Let the cells hold what can be read back; the agenda's words are many, so they stand in a hidden column."""
    at = {name: number for number, (name, _, _) in enumerate(_COLUMNS)}
    for number, word in enumerate(context.actions, 1):
        sheet.write_string(number, _WORDS_COLUMN, word)
    sheet.set_column(_WORDS_COLUMN, _WORDS_COLUMN, None, None, {"hidden": True})
    column = letters_of(_WORDS_COLUMN)
    lists = {
        "action": f"=${column}$2:${column}${len(context.actions) + 1}",
        "owner_role": list(filled_in.words_for("decided_by")),
        "done": ["yes"],
    }
    hints = {
        "action": "What is to be done. A second action goes into the next row of the same person.",
        "owner_role": "The role that does it, no name. Always needed.",
        "done": "Choose yes when it is done: it then leaves the register.",
    }
    for name, source in lists.items():
        sheet.data_validation(
            1, at[name], rows, at[name],
            {
                "validate": "list", "source": source, "input_title": ACTION_HEADINGS[name],
                "input_message": hints[name], "error_title": "Not one of the words",
                "error_message": "Choose one of the words of the list.",
            },
        )  # fmt: skip
    first = context.index_date - timedelta(days=filled_in.DAYS_BEFORE)
    sheet.data_validation(
        1, at["due_date"], rows, at["due_date"],
        {
            "validate": "date", "criteria": "between", "minimum": date(2000, 1, 1),
            "maximum": first + timedelta(days=2 * filled_in.DAYS_AHEAD), "input_title": "Due date",
            "input_message": "The day by which it is done, as dd/mm/yyyy. Always needed.",
            "error_title": "Not a day", "error_message": "Enter a day as dd/mm/yyyy.",
        },
    )  # fmt: skip
