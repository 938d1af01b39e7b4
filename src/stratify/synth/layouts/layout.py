"""What a layout of extract files is: the facts of an extract, the style of a file, and what every layout gives.

How any one supplier writes belongs to its own module. Writing bytes belongs to the engine: a layout gives rows of text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from stratify import contracts

Tables = Mapping[str, pl.DataFrame]
"""Text frames by landing table: every column a string as a file holds it, empty is null, dates ISO."""
Files = dict[str, pl.DataFrame]
"""Rows of text by file name."""


@dataclass(frozen=True)
class ExtractFacts:
    """What file names and manifests say of one extract.

    Attributes:
        cutoff: Last day the extract describes.
        previous_cutoff: Last day of the extract before; None for a bulk.
        week: 0 for the first extract, then 1, 2, ...
        seed: The county's seed: it makes the id of the sharing agreement.
        replaces_from: First admission date of a bulk replacement; None for an extract that has none.
    """

    cutoff: date
    previous_cutoff: date | None
    week: int
    seed: int
    replaces_from: date | None = None

    @property
    def is_delta(self) -> bool:
        """Whether the extract holds only what became known since the one before."""
        return self.previous_cutoff is not None


@dataclass(frozen=True)
class FileStyle:
    """How the bytes of one file are written.

    Attributes:
        encoding: Of the text.
        line_terminator: At the end of every line, the last one too.
        quote: Which values stand in quotes.
        unique_key: Columns of which several practices may give the same row: the file holds one of each, in their
            order. None where no two practices share a row.
    """

    encoding: Literal["utf-8", "cp1252"] = "utf-8"
    line_terminator: Literal["\n", "\r\n"] = "\n"
    quote: Literal["necessary", "always"] = "necessary"
    unique_key: tuple[str, ...] | None = None


@dataclass(frozen=True)
class WrittenFile:
    """One finished file, as a manifest names it; the header is no row."""

    name: str
    row_count: int
    byte_count: int
    sha256: str


@dataclass(frozen=True)
class Layout:
    """One way of writing an extract.

    Attributes:
        name: As on the command line.
        style_of: Gives the style of a file by its name.
        files: Gives a practice's share of every file of the layout, empty ones too.
        manifests: Gives the manifests that travel with the finished files: their text (ASCII) by file name.
        whole_of: Tables of which a delta must give all rows of a record (``org_code`` and ``source_patient_id``) as
            soon as one row of any of them changed, because the supplier overwrites one row that holds them all.
        has_headings: Whether a parent that a value names and that is no entry is written as a heading: then a delta
            must give the entries its values name, or one that was sent before would turn into a heading.
    """

    name: str
    style_of: Callable[[str], FileStyle]
    files: Callable[[Tables, ExtractFacts], Files]
    manifests: Callable[[Sequence[WrittenFile], ExtractFacts], dict[str, str]]
    whole_of: tuple[str, ...] = ()
    has_headings: bool = False


def table_of(tables: Tables, name: str) -> pl.DataFrame:
    """Give a table, or no rows of it where the county has none."""
    return tables[name] if name in tables else empty(contracts.load(f"landing.{name}").column_names)


def empty(columns: Sequence[str]) -> pl.DataFrame:
    """Give no rows of text."""
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def in_columns(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Give a file's columns in order; those the rows do not have are empty."""
    held = set(frame.columns)
    return frame.select(pl.col(name) if name in held else pl.lit(None, dtype=pl.String).alias(name) for name in columns)
