"""CSV files that a site keeps: a header, and lines that are each whole and of their kind or refused by number."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from stratify.errors import SettingsError, combine

_Line = TypeVar("_Line", bound=BaseModel)


def read_lines(
    file: Path,
    kind: type[_Line],
    *,
    fault_of: Callable[[_Line], tuple[str, str, str] | None],
    to_fill_in: Collection[str] = (),
) -> list[_Line]:
    """Read every line of a file, in its order; an empty cell is nothing.

    Args:
        file: CSV, UTF-8, with a header of the fields of ``kind``.
        kind: What a line is.
        fault_of: Gives what is wrong with a line that is whole: expected, found, what to do.
        to_fill_in: Columns that somebody fills in; a line in which all of them are empty is left out.

    Raises:
        SettingsError: the file cannot be read, or lines are wrong; every one is named, and no value of it.
    """
    columns = list(kind.model_fields)
    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise _fault(file.name, "a CSV file in UTF-8", "none that can be read", "Save it as CSV UTF-8.") from None
    if not lines or lines[0] != columns:
        raise _fault(f"{file.name}, line 1", f"the columns {', '.join(columns)}", "others", "Correct the header.")
    faults: list[SettingsError] = []
    found: list[_Line] = []
    for number, cells in enumerate(lines[1:], 2):
        where = f"{file.name}, line {number}"
        if len(cells) != len(columns):
            faults.append(_fault(where, f"{len(columns)} cells", f"{len(cells)}", "Put quotes around commas."))
            continue
        given = {k: v.strip() or None for k, v in zip(columns, cells, strict=True)}
        if to_fill_in and not any(given[name] for name in to_fill_in):
            continue
        try:
            one = kind.model_validate(given)
        except ValidationError as wrong:
            errors = wrong.errors(include_input=False, include_url=False, include_context=False)
            words = "; ".join(
                ".".join(map(str, e["loc"])) + " " + e["msg"].removeprefix("Value error, ") for e in errors
            )
            faults.append(_fault(where, "cells of their kind", words.strip(), "Correct the line."))
            continue
        fault = fault_of(one)
        if fault:
            faults.append(_fault(where, *fault))
        found.append(one)
    if faults:
        raise combine(list(faults))
    return found


def _fault(where: str, expected: str, found: str, action: str) -> SettingsError:
    return SettingsError(where, expected=expected, found=found, action=action)
