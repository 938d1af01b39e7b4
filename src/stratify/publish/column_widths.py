"""How wide the columns of a sheet are, so that its rows are low and a list prints on few pages.

What the columns are is in ``list_columns``; how tall a row is then, in ``sheets``. Same rows, same widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from stratify.publish.list_columns import Column
from stratify.publish.sheets import BOLD, INDENT, PADDING_PIXELS, longest_word, width_of

PROSE = 140
"""Columns this wide hold sentences, which need room between text and border."""

_STEP = 8
_MOST_ROWS = 60
"""Rows that are looked at: those of a printed list; longer sheets are alike further down."""


def balanced(columns: Sequence[Column], frame: pl.DataFrame) -> list[Column]:
    """Share out the width of columns that may be narrower (``least``) so that rows are as low as they can be.

    All together they stay no wider than they were, so that nothing is printed smaller. Each begins as narrow as its
    longest word lets it; then whichever makes most rows tall is widened, step by step.

    Args:
        columns: The columns of a sheet.
        frame: Its rows.

    Returns:
        The columns, in the same order.
    """
    flexible = {column.name: column for column in columns if column.least is not None}
    shown = frame.head(_MOST_ROWS)
    texts = {name: [str(value or "") for value in shown[name]] for name in flexible}
    widths = {name: _narrowest(column, texts[name]) for name, column in flexible.items()}
    spare = sum(column.pixels for column in flexible.values()) - sum(widths.values())
    paragraphs = {name: [[width_of(part) for part in each.split("\n")] for each in texts[name]] for name in flexible}
    while spare >= _STEP and flexible:
        lines = {name: [_lines(each, widths[name]) for each in paragraphs[name]] for name in flexible}
        tallest = [max(each) for each in zip(*lines.values(), strict=True)]
        if max(tallest, default=1) == 1:
            break
        tall = {name: sum(most for most, one in zip(tallest, mine, strict=True) if one == most > 1)
                for name, mine in lines.items()}  # fmt: skip
        widths[max(tall, key=lambda name: tall[name])] += _STEP
        spare -= _STEP
    return [replace(column, pixels=widths.get(column.name, column.pixels)) for column in columns]


def text_width(column: Column) -> int:
    """Give the width at which plain text breaks as it does in a column: what is indented or bold has less room."""
    pixels = column.pixels - (INDENT if column.pixels >= PROSE else 0)
    return int(pixels / BOLD) if column.kind in ("name", "tier") else pixels


def _narrowest(column: Column, texts: Sequence[str]) -> int:
    least = column.least or 0
    if not any(texts):
        return least
    words = math.ceil(max(longest_word(each) for each in texts)) + PADDING_PIXELS + INDENT
    return max(least, min(words, column.pixels))


def _lines(paragraphs: Sequence[float], width: int) -> int:
    room = width - PADDING_PIXELS - (INDENT if width >= PROSE else 0)
    return sum(max(1, math.ceil(each / room)) for each in paragraphs)
