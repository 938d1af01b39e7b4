"""What a supplier's extract shows of the county and when: bulk extracts, and deltas of what became known since.

Rows come as versions (``columns.KNOWN``, ``columns.REPLACES``). Nothing here knows what a table is about.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from stratify import contracts
from stratify.synth.columns import KNOWN, REPLACES

_OPT_OUT_KEY = ("opt_out_type", "nhs_number", "org_code", "source_patient_id", "effective_from")
"""An objection has no key of its own; a later check of the same one takes the place of the earlier."""


def key_of(table: str) -> tuple[str, ...]:
    """Give the columns that tell the rows of a landing table apart."""
    return contracts.load(f"landing.{table}").key or _OPT_OUT_KEY


def as_extracted(frame: pl.DataFrame, table: str, *, upto: int, after: int | None) -> pl.DataFrame:
    """Give the rows of one extract, without the columns of versions.

    Args:
        frame: Every version of every row.
        table: Landing table it is.
        upto: Last day the extract describes.
        after: Last day of the extract before, for a delta; None for a bulk extract, which shows no deleted rows.
    """
    shown = frame.filter(pl.col(KNOWN) <= upto)
    if REPLACES in shown.columns and shown[REPLACES].any():
        shown = _latest(shown.sort(KNOWN, maintain_order=True), key_of(table))
    if after is not None:
        shown = shown.filter(pl.col(KNOWN) > after)
    elif "is_deleted" in shown.columns:
        shown = shown.filter(~pl.col("is_deleted"))
    return shown.drop(KNOWN, REPLACES, strict=False)


def brought_up_to_date(before: pl.DataFrame | None, delta: pl.DataFrame, table: str) -> pl.DataFrame:
    """Lay the rows of a delta over those of the extracts before it, all as text; deleted rows go."""
    if before is None:
        joined = delta
    elif delta.is_empty():
        return before
    else:
        joined = _latest(pl.concat([before, delta]), key_of(table))
    if "is_deleted" in joined.columns:
        joined = joined.filter(pl.col("is_deleted").eq_missing("true").not_())
    return joined


def _latest(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return rows.unique(key, keep="last", maintain_order=True)
