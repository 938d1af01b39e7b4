"""Writes into the open cells of a list, a form or a file of offers as a team would; the rest stays as it is.

For lists of invented people and for tests. Which cell is which, ``filled_lists`` says.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

_SERIAL_ZERO = date(1899, 12, 30)
_SHEET = re.compile(rb'<sheet name="([^"]+)"')
_CELL = re.compile(rb'<c r="([A-Z]+[0-9]+)"( s="[0-9]+")?(?: t="[a-zA-Z]+")?(?:/>|>.*?</c>)', re.DOTALL)
_LINE = re.compile(r"line ([0-9]+), (\w+)")

Values = Mapping[str, str | date]
"""What to write, by cell as ``filled_lists`` names it: ``List!W12``, ``Actions!F3``, or line and column of a CSV."""


def fill_in(source: Path, target: Path, values: Values) -> None:
    """Write a copy of a list, workbook or CSV, with some cells filled in.

    Args:
        source: The list.
        target: The copy; its folder is made. It may be the list itself.
        values: What to write.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    content = _filled_csv(source, values) if source.suffix == ".csv" else _filled_workbook(source, values)
    target.write_bytes(content)


def _filled_workbook(source: Path, values: Values) -> bytes:
    cells: dict[str, dict[bytes, str | date]] = {}
    for place, value in values.items():
        sheet, _, at = place.partition("!")
        cells.setdefault(sheet, {})[at.encode()] = value
    written = io.BytesIO()
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as after:
        names = [name.decode() for name in _SHEET.findall(before.read("xl/workbook.xml"))]
        mine = {f"xl/worksheets/sheet{number}.xml": cells.get(name, {}) for number, name in enumerate(names, 1)}
        for each in before.infolist():
            content = before.read(each)
            if wanted := mine.get(each.filename):
                content = _CELL.sub(partial(_cell, cells=wanted), content)
            after.writestr(each, content)
    return written.getvalue()


def _cell(cell: re.Match[bytes], cells: Mapping[bytes, str | date]) -> bytes:
    value = cells.get(cell[1])
    if value is None:
        return cell[0]
    start = b'<c r="' + cell[1] + b'"' + (cell[2] or b"")
    if isinstance(value, date):
        return start + b"><v>" + str((value - _SERIAL_ZERO).days).encode() + b"</v></c>"
    return start + b' t="inlineStr"><is><t xml:space="preserve">' + escape(value).encode() + b"</t></is></c>"


def _filled_csv(source: Path, values: Values) -> bytes:
    lines = list(csv.reader(io.StringIO(source.read_text(encoding="utf-8-sig"), newline="")))
    for place, value in values.items():
        if found := _LINE.fullmatch(place):
            shown = value.strftime("%d/%m/%Y") if isinstance(value, date) else value
            lines[int(found[1]) - 1][lines[0].index(found[2])] = shown
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(lines)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
