"""The supplier's report as files: a workbook (Summary, Faults, By rule, Rows by place) and one page that says the same.

Belongs here: how the report looks. What it says comes ready from ``supplier_report``. Same content, same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stratify import pages
from stratify.publish.sheets import (
    LINE,
    LINE_POINTS,
    NAVY,
    OPEN,
    PALE,
    POINTS,
    Styles,
    in_header,
    lines_of,
    open_workbook,
)
from stratify.publish.supplier_report import MOST_PLACES_ON_PAGE, VERDICTS, RuleLine, SupplierReport

NO_VALUES = (
    "This report holds places and never what stands there: no name, no number and no date of any patient. Look the "
    "line up in the file you sent."
)
MEANINGS = (
    ("Line", "Line of the file as it was sent. The header is line 1; in a Parquet file the first row is 2."),
    ("Row not used", "The whole row was set aside."),
    ("Value not used", "The value in this column was set aside; the rest of the row was used."),
    ("Table, column", "Names in our layout. Where yours differs, the file and line are still yours."),
    ("Rows received", "Always rows loaded plus rows set aside."),
)
_FILLS = {"refused": "#F4B6AE", "stopped": "#F4B6AE", "part": "#FDF3C4", "whole": "#DCEEDD"}
_TALLEST = 390.0
_INDENT = 9


@dataclass(frozen=True)
class _Column:
    heading: str
    pixels: int
    kind: Literal["text", "count", "code"] = "text"


_FILES = (
    _Column("File", 250),
    _Column("What it holds", 170),
    _Column("Bytes", 92, "count"),
    _Column("Rows declared", 78, "count"),
    _Column("Rows received", 78, "count"),
    _Column("Rows loaded", 78, "count"),
    _Column("Rows set aside", 78, "count"),
    _Column("Values not used", 78, "count"),
    _Column("Verdict", 150),
)
_FAULTS = (_Column("Where", 200), _Column("Expected", 420), _Column("Found", 300), _Column("What we ask for", 250))
_RULES = (
    _Column("Rule", 130, "code"),
    _Column("Table", 150),
    _Column("Column", 130, "code"),
    _Column("Severity", 76),
    _Column("What the rule says", 360),
    _Column("Effect", 120),
    _Column("Rows", 66, "count"),
    _Column("Of rows", 76, "count"),
    _Column("Share", 96, "count"),
    _Column("Places listed", 66, "count"),
    _Column("What we ask for", 220),
)
_PLACES = (
    _Column("File", 300),
    _Column("Line", 84, "count"),
    _Column("Rule", 150, "code"),
    _Column("Column", 170, "code"),
    _Column("Effect", 180),
)


def write_supplier_report(folder: Path, report: SupplierReport) -> tuple[Path, Path]:
    """Write the report of one delivery.

    Args:
        folder: Where to; it is made.
        report: What it says.

    Returns:
        The workbook and the page.
    """
    stem = f"supplier_report_{'TEST_' if report.delivery.is_test else ''}{report.delivery.index_date.isoformat()}"
    workbook, page = folder / f"{stem}.xlsx", folder / f"{stem}.html"
    _write_workbook(workbook, report)
    page.write_text(report_page(report), encoding="utf-8", newline="\n")
    return workbook, page


def report_page(report: SupplierReport) -> str:
    """Write the report as one HTML page that needs no network; of each rule it lists fewer places than the workbook."""
    shown: dict[str, int] = {}
    places = []
    for place in report.places:
        shown[place.rule_id] = shown.get(place.rule_id, 0) + 1
        if shown[place.rule_id] <= MOST_PLACES_ON_PAGE:
            places.append(place)
    return pages.render(
        __package__,
        "supplier_report.html.j2",
        title=report.title,
        subtitle=report.subtitle,
        is_test=report.delivery.is_test,
        report=report,
        words=VERDICTS[report.verdict],
        tone={"refused": "stop", "stopped": "stop", "part": "warn", "whole": "pass"}[report.verdict],
        places=places,
        unlisted=_unlisted(report.rules, MOST_PLACES_ON_PAGE),
        meanings=MEANINGS,
        no_values=NO_VALUES,
    )


def _unlisted(rules: Sequence[RuleLine], most: int) -> list[tuple[str, int]]:
    """Give the rules of which not every place is listed, and how many are not."""
    listed = [(each.rule_id, each.row_count - min(each.listed_count, most)) for each in rules if each.listed_count]
    return [(rule_id, count) for rule_id, count in listed if count]


def _write_workbook(path: Path, report: SupplierReport) -> None:
    with open_workbook(path, title=report.title, note=NO_VALUES, made=report.delivery.index_date) as workbook:
        writer = _Writer(workbook, report)
        writer.summary()
        if report.faults:
            writer.table(
                "Faults", _FAULTS, [(f.where, f.expected, f.found, f.asked) for f in report.faults], empty="None."
            )
        no_rows = "No row was read: the files were refused before." if report.verdict == "refused" else None
        writer.table(
            "By rule", _RULES, [_rule_cells(each) for each in report.rules], empty=no_rows or "No rule failed."
        )
        writer.table(
            "Rows by place",
            _PLACES,
            [(each.file_name, each.line, each.rule_id, each.column, each.effect) for each in report.places],
            empty=no_rows or "No row and no value was set aside.",
            after=[
                f"Not listed: {pages.whole(count)} more of {rule_id}."
                for rule_id, count in _unlisted(report.rules, max((r.listed_count for r in report.rules), default=0))
            ],
        )


def _rule_cells(rule: RuleLine) -> tuple[str | int, ...]:
    return (
        rule.rule_id,
        rule.holds,
        rule.column or "several",
        rule.severity,
        rule.says,
        rule.effect,
        rule.row_count,
        rule.of_count,
        rule.share,
        rule.listed_count,
        rule.asked,
    )


class _Writer:
    """Writes the sheets of one report."""

    def __init__(self, workbook: Any, report: SupplierReport) -> None:  # noqa: ANN401
        self.workbook, self.report = workbook, report
        self.style = Styles(workbook)
        self.stamp = "TEST: invented patients. " if report.delivery.is_test else ""

    def summary(self) -> None:
        """Write what was received, what became of it, and what we ask for."""
        report = self.report
        sheet = self._sheet("Summary")
        for number, column in enumerate(_FILES):
            sheet.set_column_pixels(number, number, column.pixels)
        last = len(_FILES) - 1
        wide = sum(column.pixels for column in _FILES)
        row = 0

        def line(text: str, points: float = 16, **look: Any) -> None:  # noqa: ANN401
            nonlocal row
            style = self.style(text_wrap=True, valign="vcenter", **look)
            sheet.merge_range(row, 0, row, last, "", style)
            sheet.write_string(row, 0, text, style)
            scale = look.get("font_size", POINTS) / POINTS
            sheet.set_row(row, max(points, lines_of(text, int(wide / scale)) * LINE_POINTS * scale + 4))
            row += 1

        def heading(text: str) -> None:
            nonlocal row
            row += 1
            line(text, 22, bold=True, font_size=12, font_color=NAVY, bottom=2, bottom_color=NAVY)

        if report.delivery.is_test:
            line("TEST: invented patients.", 26, bold=True, font_size=14, bg_color="#FFD100", indent=1)
        line(report.title, 32, bold=True, font_size=18, font_color=NAVY)
        line(report.subtitle, 18, font_size=11)
        name, meaning = VERDICTS[report.verdict]
        fill = _FILLS[report.verdict]
        line(name, 26, bold=True, font_size=14, bg_color=fill, indent=1)
        line(meaning, 22, font_size=11, bg_color=fill, indent=1)
        heading("What we ask for")
        for number, text in enumerate(report.asked, 1):
            line(f"{number}. {text}", font_size=10)
        heading("Files")
        sheet.repeat_rows(row)
        row = self._rows(sheet, row, _FILES, _file_cells(report))
        if report.unlisted_file_count:
            line(f"and {pages.whole(report.unlisted_file_count)} more files.")
        heading("What the words mean")
        for word, text in MEANINGS:
            line(f"{word}: {text}")
        heading("Whom to answer")
        line(f"{report.delivery.organisation}. {report.delivery.contact}")
        line(NO_VALUES, 20, bold=True, bg_color=OPEN, border=1, border_color=LINE, indent=1)
        sheet.print_area(0, 0, row - 1, last)

    def table(
        self,
        name: str,
        columns: Sequence[_Column],
        rows: Sequence[Sequence[str | int | None]],
        *,
        empty: str,
        after: Sequence[str] = (),
    ) -> None:
        """Write a sheet with one table that can be filtered, and what is to be said below it."""
        sheet = self._sheet(name)
        for number, column in enumerate(columns):
            sheet.set_column_pixels(number, number, column.pixels)
        sheet.repeat_rows(0)
        sheet.freeze_panes(1, 0)
        end = self._rows(sheet, 0, columns, rows)
        if rows:
            sheet.autofilter(0, 0, len(rows), len(columns) - 1)
        for text in after if rows else [empty]:
            sheet.write_string(end, 0, text, self.style(italic=True, font_size=10))
            end += 1
        sheet.print_area(0, 0, end - 1, len(columns) - 1)

    def _rows(
        self,
        sheet: Any,  # noqa: ANN401
        first: int,
        columns: Sequence[_Column],
        rows: Sequence[Sequence[str | int | None]],
    ) -> int:
        """Write a head and rows from a row on; give the row after them."""
        head = {"bold": True, "bg_color": NAVY, "font_color": "#FFFFFF", "valign": "vcenter"}
        frame = {"border": 1, "border_color": LINE, "text_wrap": True}
        for number, column in enumerate(columns):
            sheet.write_string(first, number, column.heading, self.style(**head, **frame, **_aligned(column)))
        tallest = max(lines_of(column.heading, int(column.pixels / 1.15)) for column in columns)
        sheet.set_row(first, tallest * LINE_POINTS + 8)
        for place, cells in enumerate(rows, first + 1):
            shade = {"bg_color": PALE} if cells[0] == _TOTAL else {}
            for number, (column, value) in enumerate(zip(columns, cells, strict=True)):
                look = frame | shade | {"bold": bool(shade), **_aligned(column)}
                if value is None or value == "":
                    sheet.write_blank(place, number, None, self.style(**look))
                elif isinstance(value, int):
                    sheet.write_number(place, number, value, self.style(**look, num_format="#,##0"))
                else:
                    sheet.write_string(place, number, value, self.style(**look, num_format="@"))
            lines = max(lines_of(str(value or ""), c.pixels - _INDENT) for c, value in zip(columns, cells, strict=True))
            sheet.set_row(place, min(lines * LINE_POINTS + 4, _TALLEST))
        return first + len(rows) + 1

    def _sheet(self, name: str) -> Any:  # noqa: ANN401
        sheet = self.workbook.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.55)
        day = self.report.delivery.index_date.strftime("%d/%m/%Y")
        sheet.set_header(f"&L&9{in_header(self.report.title)}, {day}&R&9{self.stamp}{name}", {"margin": 0.25})
        sheet.set_footer(f"&L&9{self.stamp}Places only, no patient data&R&9Page &P of &N", {"margin": 0.25})
        return sheet


def _aligned(column: _Column) -> dict[str, Any]:
    return {"align": "right", "indent": 1} if column.kind == "count" else {"align": "left", "indent": 1}


_TOTAL = "All files"


def _file_cells(report: SupplierReport) -> list[tuple[str | int | None, ...]]:
    rows: list[tuple[str | int | None, ...]] = [
        (
            each.file_name,
            each.holds,
            each.byte_count,
            each.declared_count,
            each.received_count,
            each.loaded_count,
            each.rejected_count,
            each.lost_value_count,
            each.verdict,
        )
        for each in report.files
    ]
    if len(report.files) > 1 and report.count("received") is not None:
        total = [report.count(name) for name in ("received", "loaded", "rejected", "lost_value")]
        rows.append((_TOTAL, "", sum(each.byte_count for each in report.files), None, *total, ""))
    return rows
