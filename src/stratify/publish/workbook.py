"""One clinic list as a workbook: Cover, List, Actions (of a meeting), Changes, Waiting, Not listed and why, You said.

Belongs here: how a list looks on the screen and on A4 paper, what may be typed into it, and that it holds text and
dates and never a formula. Who is on it comes ready from ``practice_lists``. Same content, same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from stratify import disclosure, filled_in, periods
from stratify.publish import words
from stratify.publish.column_widths import LEAST_LINES, PROSE, balanced, text_width
from stratify.publish.context import PublishContext
from stratify.publish.feedback_rows import FEEDBACK_PLACE, ITEM_HEADINGS, NOTHING_SAID, SAID_SHEET
from stratify.publish.list_columns import CHANGES, HINTS, LAST_PRINTED, LIST, NOT_LISTED, SAID, WAITING, Column
from stratify.publish.register import ACTIONS_SHEET, OpenAction, is_meeting, write_action_sheet
from stratify.publish.sheets import (
    GREY,
    HELD,
    LINE,
    LINE_POINTS,
    NAVY,
    OPEN,
    PALE,
    POINTS,
    Styles,
    cut_to_fit,
    in_header,
    lines_of,
    open_workbook,
)
from stratify.rules import Clinic, Pathway

DECISION_SUPPORT = "Decision support only: a list proposes, the clinician decides. Check the record before acting."
CLASSIFICATION = "OFFICIAL-SENSITIVE: personal"


@dataclass(frozen=True)
class Session:
    """A session of the coming week; ``places`` is the slots of its scarcest role."""

    day: date
    places: int
    roles: str
    venue: str


@dataclass(frozen=True)
class CountLine:
    """A line of the Cover's table: people on each pathway, from everybody down to this list."""

    text: str
    numbers: tuple[int, ...]
    is_strong: bool = False


@dataclass(frozen=True)
class ClinicWorkbook:
    """Everything one workbook shows.

    Attributes:
        clinic: The clinic or worklist.
        pathways: The pathways that send people to it.
        practice_code: ODS code of the practice.
        practice_name: Its name.
        sessions: Its sessions in the coming week, by date.
        counts: From everybody on the pathways down to this list, a number for each pathway; the parts add up.
        listed: Contract ``out.clinic_list``, in order.
        tier_ranks: For each row of ``listed``, 1 for the highest tier; colours the tier.
        waiting: People who wait for this clinic, in order.
        waiting_ranks: As ``tier_ranks``.
        not_listed: Contract ``out.not_listed``.
        changes: Contract ``out.list_change``, in order.
        notices: What the Cover must say of lists that are held.
        said: Contract ``out.feedback_item``: what was said about this list, or about none, and what came of it.
        actions: Open actions of a meeting, overdue first.
        elsewhere: People of the pathways whom the clinic is not for: the sheets of their own clinics have them.
    """

    clinic: Clinic
    pathways: tuple[Pathway, ...]
    practice_code: str
    practice_name: str
    sessions: tuple[Session, ...]
    counts: tuple[CountLine, ...]
    listed: pl.DataFrame
    tier_ranks: tuple[int | None, ...]
    waiting: pl.DataFrame
    waiting_ranks: tuple[int | None, ...]
    not_listed: pl.DataFrame
    changes: pl.DataFrame
    notices: tuple[str, ...] = ()
    said: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict.fromkeys(ITEM_HEADINGS, pl.String)))
    actions: tuple[OpenAction, ...] = ()
    elsewhere: int = 0


# Fills of tiers, highest need first. Text on them is near black (contrast above 9 to 1) and always names the tier: no
# meaning is in the colour alone, and printed in grey nothing is lost. None is green: the lowest need here is a need.
_TIERS = ("#F4B6AE", "#FBD9A5", "#FDF3C4", "#DCE6F2")
_NO_TIER, _INK = "#E8EDEE", "#231F20"


def write_workbook(path: Path, book: ClinicWorkbook, context: PublishContext) -> None:
    """Write a clinic list as ``.xlsx``: no formula, no link, a created date that is the index date.

    Args:
        path: The file to write; its folder is made.
        book: What to show.
        context: The run.
    """
    with open_workbook(path, title=book.clinic.label, note=DECISION_SUPPORT, made=context.index_date) as workbook:
        writer = _Writer(workbook, book, context)
        writer.cover()
        writer.table(
            "List",
            LIST,
            book.listed,
            book.tier_ranks,
            empty=f"Nobody has a place on this list for the week of {words.week_in_words(context.index_date)}.",
            frozen=5,
        )
        if context.actions and is_meeting(book.clinic):
            people = book.listed.select("row_reference", "nhs_number", "family_name", "given_names").to_dicts()
            sheet = write_action_sheet(workbook, writer.style, book.actions, people, context)
            writer.page(sheet, landscape=True, title=ACTIONS_SHEET)
        writer.table(
            "Changes",
            CHANGES,
            book.changes,
            (),
            empty="Nobody came onto this list or left it since last week.",
            frozen=4,
        )
        writer.table(
            "Waiting",
            WAITING,
            book.waiting,
            book.waiting_ranks,
            empty="Nobody waits for this clinic.",
            frozen=4,
        )
        writer.table(
            "Not listed and why",
            NOT_LISTED,
            book.not_listed,
            (),
            empty="Everybody on the pathway at this practice is on this list.",
            frozen=3,
        )
        writer.table(SAID_SHEET, SAID, book.said, (), empty=NOTHING_SAID, frozen=1)


class _Writer:
    """Writes the sheets of one workbook."""

    def __init__(self, workbook: Any, book: ClinicWorkbook, context: PublishContext) -> None:  # noqa: ANN401
        self.workbook, self.book, self.context = workbook, book, context
        self.style = Styles(workbook)
        self.stamp = "TEST: invented patients. " if context.is_test else ""

    # ------------------------------------------------------------------------------------------------------ cover

    def cover(self) -> None:
        """Write the sheet that says what this list is, and how many people it left where."""
        book, context = self.book, self.context
        sheet = self.workbook.add_worksheet("Cover")
        sheet.hide_gridlines(2)
        columns = max(len(book.pathways), 3)
        sheet.set_column_pixels(0, 0, 330)
        sheet.set_column_pixels(1, columns, 150)
        self.page(sheet, landscape=False, title="Cover")
        row = 0

        def line(text: str, points: float = 16, **properties: Any) -> None:  # noqa: ANN401
            nonlocal row
            style = self.style(text_wrap=True, valign="vcenter", **properties)
            sheet.merge_range(row, 0, row, columns, "", style)
            sheet.write_string(row, 0, words.without_marks(text), style)
            wide = 330 + columns * 150
            scale = properties.get("font_size", POINTS) / POINTS
            sheet.set_row(row, max(points, lines_of(text, int(wide / scale)) * LINE_POINTS * scale + 4))
            row += 1

        if context.is_test:
            line("TEST: invented patients. Not for care.", 26, bold=True, font_size=14, bg_color="#FFD100", indent=1)
        line(book.clinic.label, 32, bold=True, font_size=18, font_color=NAVY)
        line(f"{book.practice_name} ({book.practice_code})", 20, font_size=12, bold=True)
        line(f"Week of {words.week_in_words(context.index_date)}", 18, font_size=11)
        line(DECISION_SUPPORT, 24, bold=True, font_size=11, bg_color=OPEN, border=1, border_color=LINE, indent=1)
        for notice in (*book.notices, *context.lost_feeds):
            line(notice, 24, bold=True, bg_color=HELD, border=1, border_color=LINE, indent=1)
        row += 1

        def heading(text: str) -> None:
            line(text, 20, bold=True, font_size=12, font_color=NAVY, bottom=2, bottom_color=NAVY)

        def table(heads: Sequence[str], lines: Sequence[Sequence[Any]], strong: Sequence[int] = ()) -> None:
            nonlocal row
            head = {"bold": True, "bg_color": PALE, "border": 1, "border_color": LINE, "text_wrap": True}
            for column, text in enumerate(heads):
                sheet.write_string(
                    row,
                    column,
                    text,
                    self.style(
                        **head, **({"align": "right"} if _is_count(lines, column) else {"indent": min(column, 1)})
                    ),
                )
            row += 1
            for number, values in enumerate(lines):
                cell = {"border": 1, "border_color": LINE, "text_wrap": True, "bold": number in strong}
                for column, value in enumerate(values):
                    if isinstance(value, int):
                        sheet.write_number(row, column, value, self.style(**cell, num_format="#,##0", align="right"))
                    else:
                        text = words.without_marks(str(value))
                        sheet.write_string(row, column, text, self.style(**cell, indent=1 if column else 0))
                most = max(lines_of(str(value), 330 if column == 0 else 150) for column, value in enumerate(values))
                sheet.set_row(row, most * LINE_POINTS + 3)
                row += 1
            row += 1

        heading("Sessions this week")
        if book.sessions:
            total = sum(session.places for session in book.sessions)
            table(
                ("Date", "Places", "Roles", "Where"),
                [
                    *((words.day_in_words(s.day), s.places, s.roles, s.venue or "not stated") for s in book.sessions),
                    ("All sessions", total, "", ""),
                ],
                strong=(len(book.sessions),),
            )
            if total > book.listed.height and book.waiting.is_empty():
                row -= 1
                line(
                    "There are more places than people on this list, and nobody else waits for one: some may be kept "
                    "for people who are booked. The table below counts where everybody is, and the sheet Not listed "
                    "and why says it of each."
                )
                row += 1
        elif book.clinic.needs_capacity:
            line("No session of this clinic is planned for this practice in the coming week.")
            row += 1
        else:
            line("This is a worklist: it has no sessions. Work through it in order of rank.")
            row += 1
        heading("From everybody on the pathway to this list")
        table(
            ("People", *(pathway.label for pathway in book.pathways)),
            [(counted.text, *counted.numbers) for counted in book.counts],
            strong=[n for n, counted in enumerate(book.counts) if counted.is_strong],
        )
        if len(book.pathways) > 1:
            row -= 1
            line("A person on several pathways is counted once in each column: do not add columns together.")
            if book.elsewhere:
                line(
                    f"The sheet Not listed and why leaves out {book.elsewhere:,} people whom this clinic is not for: "
                    "look them up in the lists of their own clinics."
                )
            row += 1
        roles = {p.label: words.roles_in_words(p.clinic(book.clinic.id).roles) for p in book.pathways}
        heading("Who the pathway proposes to have there")
        for text in dict.fromkeys(roles.values()):
            line(text)
        row += 1
        heading("What the list was made from")
        table(
            ("Source", "Data up to"),
            [
                (words.source_in_words(name), periods.in_words(until))
                for name, until in sorted(context.data_cutoffs.items())
            ],
        )
        for pathway in book.pathways:
            signed = context.approval.get(pathway.id, "")
            line(f"Pathway {pathway.label}, version {pathway.version}. {_tidy(pathway.source)} {signed}".rstrip())
            score = context.scores.get(pathway.tier_from or "")
            if score:
                line(f"Priority from {score.label}, version {score.version}. {_tidy(score.source)}")
        line(f"Run {context.run_id}. Program version {context.code_version}. Rules {context.rule_digest}.")
        row += 1
        heading("People who are not in this file")
        shown = [(reason, number) for reason, number in context.withheld if number]
        for reason, number in shown:
            many = disclosure.in_words(number)
            line(
                f"{many[:1].upper()}{many[1:]} people in the whole area were left out because of objections to this "
                f"use of their data ({reason}); their care is not affected."
            )
        if not shown:
            line("Nobody was left out because of an objection to this use of their data.")
        row += 1
        heading("When it is filled in")
        line(
            "Write into the yellow cells of the sheet List and send the file back. Write more into the same file when "
            "more happens, and send it again: nothing is taken in twice. Cells that cannot be used come back to you."
        )
        line(
            "Attended closes only the need of this list. The other needs to cover are closed with it where Other needs "
            "covered says yes; otherwise they stay open and are decided anew next week."
        )
        if context.actions and is_meeting(book.clinic):
            line("What the meeting agrees goes onto the sheet Actions: each with its owner and the day it is due.")
        row += 1
        heading("If something looks wrong")
        line(f"Report a concern about this list, or about a person on it or missing from it: {context.contact}")
        line(
            f"The form in the folder {FEEDBACK_PLACE} beside this list is for it, too, and for people who are missing. "
            f"What you said before and what came of it is on the sheet {SAID_SHEET}{_overdue(book.said)}."
        )
        sheet.print_area(0, 0, row - 1, columns)
        sheet.protect("", {"format_columns": True, "format_rows": True})

    # ----------------------------------------------------------------------------------------------------- tables

    def table(
        self,
        name: str,
        columns: Sequence[Column],
        frame: pl.DataFrame,
        tier_ranks: Sequence[int | None],
        *,
        empty: str,
        frozen: int,
    ) -> None:
        """Write a frame as a protected sheet with filters, ready to print."""
        sheet = self.workbook.add_worksheet(name)
        sheet.hide_gridlines(2)
        self.page(sheet, landscape=True, title=name)
        columns = balanced(columns, frame)
        for number, column in enumerate(columns):
            sheet.set_column_pixels(number, number, column.pixels)
            sheet.write_string(0, number, column.heading, self._head(column))
        sheet.set_row(
            0, max(lines_of(column.heading, int(column.pixels / 1.1)) for column in columns) * LINE_POINTS + 6
        )
        sheet.repeat_rows(0)
        sheet.freeze_panes(1, frozen)
        sheet.protect(
            "", {"autofilter": True, "format_columns": True, "format_rows": True, "select_locked_cells": True}
        )
        for position, record in enumerate(frame.iter_rows(named=True)):
            rank = tier_ranks[position] if position < len(tier_ranks) else None
            shown = {
                c.name: cut_to_fit(v, text_width(c)) if isinstance(v := record[c.name], str) else v for c in columns
            }
            for number, column in enumerate(columns):
                is_shut = column.name == filled_in.COVERED and not record["other_needs"]
                here = replace(column, is_open=False) if is_shut else column
                self._cell(sheet, position + 1, number, here, shown[column.name], rank)
            most = max(
                lines_of(str(shown[c.name] or ""), text_width(c)) for c in columns if c.kind in ("text", "name", "tier")
            )
            sheet.set_row(position + 1, max(most, LEAST_LINES) * LINE_POINTS + 3)
        if frame.is_empty():
            sheet.write_string(1, 0, empty, self.style(italic=True, font_size=11))
            sheet.set_row(1, 22)
        else:
            sheet.autofilter(0, 0, frame.height, len(columns) - 1)
        names = [column.name for column in columns]
        last = names.index(next((each for each in LAST_PRINTED if each in names), names[-1]))
        sheet.print_area(0, 0, max(frame.height, 1), last)
        if "decision" in names and frame.height:
            self._checks(sheet, names, frame.height)

    def _cell(self, sheet: Any, row: int, number: int, column: Column, value: Any, rank: int | None) -> None:  # noqa: ANN401
        look: dict[str, Any] = {"border": 1, "border_color": LINE, "text_wrap": column.kind not in ("mono", "date")}
        if column.is_open:
            look |= {"locked": False, "bg_color": OPEN}
        if column.kind == "name":
            look |= {"bold": True}
        if column.kind == "tier" and value:
            fill = _TIERS[min(rank, len(_TIERS)) - 1] if rank else _NO_TIER
            look |= {"bg_color": fill, "font_color": _INK, "bold": True}
        if column.kind == "number":
            look |= {"align": "center", "num_format": "0"}
        elif column.pixels >= PROSE:
            look |= {"align": "left", "indent": 1}
        if column.kind == "date":
            look |= {"num_format": "dd/mm/yyyy", "align": "left"}
        if column.kind == "mono" or column.is_open:
            look |= {} if column.kind == "date" else {"num_format": "@"}
        style = self.style(**look)
        if value is None or value == "":
            sheet.write_blank(row, number, None, style)
        elif column.kind == "date":
            sheet.write_datetime(row, number, datetime.combine(value, datetime.min.time()), style)
        elif column.kind == "number":
            sheet.write_number(row, number, value, style)
        else:
            sheet.write_string(row, number, words.without_marks(str(value)), style)

    def _head(self, column: Column) -> Any:  # noqa: ANN401
        fill = GREY if column.is_open else NAVY
        return self.style(
            bold=True,
            bg_color=fill,
            font_color="#FFFFFF",
            text_wrap=True,
            valign="vcenter",
            border=1,
            border_color=LINE,
        )

    def _checks(self, sheet: Any, names: Sequence[str], rows: int) -> None:  # noqa: ANN401
        """Let the cells to fill in hold what can be read back, and say so where somebody writes something else."""
        for name, title, hint in HINTS:
            at, values = names.index(name), filled_in.words_for(name)
            sheet.data_validation(
                1,
                at,
                rows,
                at,
                {
                    "validate": "list",
                    "source": list(values),
                    "input_title": title,
                    "input_message": hint,
                    "error_title": "Not one of the words",
                    "error_message": f"Choose one of: {', '.join(values)}."[:255],
                },
            )
        week = self.context.index_date
        for name, title, hint, first in (
            ("outcome_date", "Date of it", "Day it was decided or happened, as dd/mm/yyyy.", -filled_in.DAYS_BEFORE),
            ("until_date", "Booked for, deferred until", "Only for booked and defer: a day as dd/mm/yyyy.", 0),
        ):
            earliest = week + timedelta(days=first)
            sheet.data_validation(
                1,
                names.index(name),
                rows,
                names.index(name),
                {
                    "validate": "date",
                    "criteria": "between",
                    "minimum": earliest,
                    "maximum": week + timedelta(days=2 * filled_in.DAYS_AHEAD),
                    "input_title": title,
                    "input_message": hint,
                    "error_title": "Not a date this list can have",
                    "error_message": f"Enter a date as dd/mm/yyyy, from {earliest.strftime('%d/%m/%Y')} on.",
                },
            )

    def page(self, sheet: Any, *, landscape: bool, title: str) -> None:  # noqa: ANN401
        """Set a sheet up for paper: A4, what it is on top, what it may be used for below."""
        book, context = self.book, self.context
        sheet.set_paper(9)
        sheet.set_margins(left=0.3, right=0.3, top=0.6, bottom=0.55)
        sheet.center_horizontally()
        # A long name is cut here: it is whole on the Cover.
        where = f"{in_header(book.clinic.label)}, {in_header(book.practice_name)}, {context.index_date:%d/%m/%Y}"
        footer = f"&L&9{self.stamp}{CLASSIFICATION}"
        if landscape:
            sheet.set_landscape()
            sheet.fit_to_pages(1, 0)
            footer += f"&C&8{DECISION_SUPPORT}"
        else:
            sheet.fit_to_pages(1, 1)
        sheet.set_header(f"&L&9{where}&R&9{self.stamp}{title}", {"margin": 0.25})
        sheet.set_footer(f"{footer}&R&9Page &P of &N", {"margin": 0.25})


def _overdue(said: pl.DataFrame) -> str:
    late = said["status"].str.starts_with("Overdue").sum()
    return f": {late:,} without an answer in time" if late else ""


def _is_count(lines: Sequence[Sequence[Any]], column: int) -> bool:
    return bool(lines) and isinstance(lines[0][column], int)


def _tidy(text: str) -> str:
    return " ".join(text.split()).rstrip(".") + "."
