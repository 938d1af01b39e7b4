"""Files of who was admitted and had been on no list: to the practice its own patients, to others the counts."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stratify.publish.context import check_frame
from stratify.publish.offers import write_safe_csv


def write_never_listed(path: Path, rows: pl.DataFrame) -> None:
    """Write contract ``out.admitted_never_listed`` for one practice, rows numbered; only the owner may read it."""
    numbered = rows.with_row_index("row_number", offset=1).with_columns(pl.col("row_number").cast(pl.Int64))
    write_safe_csv(path, check_frame(numbered, "out.admitted_never_listed"))
    path.chmod(0o600)


def write_admitted_counts(path: Path, rows: pl.DataFrame) -> None:
    """Write contract ``out.admitted_count``; the counts are hidden and rounded already."""
    write_safe_csv(path, check_frame(rows, "out.admitted_count"))
