"""How wide the columns of a sheet are, so that its rows are low and a list prints on few pages.

What the columns are is in ``list_columns``; how tall a row is then, in ``sheets``. Same rows, same widths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import polars as pl

from stratify.publish.list_columns import Column
from stratify.publish.sheets import BOLD, INDENT, PADDING_PIXELS, longest_word, width_of

LEAST_LINES = 2
"""Lines that every row has room for: printed, somebody writes into it."""
PROSE = 140
"""Columns this wide hold sentences, which need room between text and border."""

_LONG_WORD = 90
"""A word that is wider may be broken."""
_MOVES = (96, 48, 24, 12)
"""Pixels that go from one column to another at a time."""
_POWER = 6
_MOST_ROWS = 30
"""Rows that are looked at: those of a printed list; longer sheets are alike further down."""


def balanced(columns: Sequence[Column], frame: pl.DataFrame) -> list[Column]:
    """Share out the width of columns that may be narrower (``least``) so that rows are low.

    Width goes from one column to another as long as all rows together get lower by it. Together the columns stay as
    wide as they were, so that nothing is printed smaller, and none breaks a word that another can make room for.

    Args:
        columns: The columns of a sheet.
        frame: Its rows.

    Returns:
        The columns, in the same order.
    """
    flexible = [column for column in columns if column.least is not None]
    shown = frame.head(_MOST_ROWS)
    texts = {column.name: [str(value or "") for value in shown[column.name]] for column in flexible}
    parts = {name: [[width_of(part) for part in each.split("\n")] for each in mine] for name, mine in texts.items()}
    least = {column.name: _narrowest(column, texts[column.name]) for column in flexible}
    known: dict[tuple[str, int], list[float]] = {}

    def raised(name: str, width: int) -> list[float]:
        if (name, width) not in known:
            known[name, width] = [math.pow(_lines(each, width), _POWER) for each in parts[name]]
        return known[name, width]

    def height(widths: Mapping[str, int]) -> float:
        """Give the lines of all rows: nearly those of the tallest cell of each, and a little of the others.

        Without that little, a move that helps only together with the next would never be made.
        """
        rows = zip(*(raised(*one) for one in widths.items()), strict=True)
        return round(sum(max(math.pow(sum(row), 1 / _POWER), LEAST_LINES) for row in rows), 6)

    widths = _whole_words({column.name: column.pixels for column in flexible}, least)
    lowest, is_lower = height(widths), True
    while is_lower:
        is_lower = False
        for giver, taker, move in product(widths, widths, _MOVES):
            if giver == taker or widths[giver] - move < least[giver]:
                continue
            tried = {**widths, giver: widths[giver] - move, taker: widths[taker] + move}
            if (now := height(tried)) < lowest:
                widths, lowest, is_lower = tried, now, True
    return [replace(column, pixels=widths.get(column.name, column.pixels)) for column in columns]


def text_width(column: Column) -> int:
    """Give the width at which plain text breaks as it does in a column: what is indented or bold has less room."""
    pixels = column.pixels - (INDENT if column.pixels >= PROSE else 0)
    return int(pixels / BOLD) if column.kind in ("name", "tier") else pixels


def _whole_words(widths: Mapping[str, int], least: Mapping[str, int]) -> dict[str, int]:
    """Widen columns that would break a word, with pixels of those that have the most to give."""
    found = dict(widths)
    for name in widths:
        while found[name] < least[name]:
            giver = max(widths, key=lambda each: found[each] - least[each])
            move = min(found[giver] - least[giver], least[name] - found[name])
            if move <= 0:
                break
            found[giver], found[name] = found[giver] - move, found[name] + move
    return found


def _narrowest(column: Column, texts: Sequence[str]) -> int:
    """Give the width of the longest word in it or in its heading, up to that from which a word may be broken."""
    bold = BOLD if column.kind in ("name", "tier") else 1
    words = max((longest_word(each) for each in texts), default=0) * bold
    pixels = math.ceil(max(words, longest_word(column.heading) * BOLD)) + PADDING_PIXELS
    return max(column.least or 0, min(pixels, _LONG_WORD))


def _lines(paragraphs: Sequence[float], width: int) -> int:
    room = width - PADDING_PIXELS - (INDENT if width >= PROSE else 0)
    return sum(max(1, math.ceil(each / room)) for each in paragraphs)
