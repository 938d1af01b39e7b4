"""Turns the county's typed rows into the text that an extract file holds: columns and order are the contracts'."""

from __future__ import annotations

import polars as pl

from stratify import contracts
from stratify.synth.known import key_of

TABLES = (
    "patient", "registration", "gp_event", "gp_observation", "gp_medication", "gp_appointment", "apc_episode",
    "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out", "practice", "clinic_capacity", "referral",
    "home_visit_request", "community_contact", "pathway_activity", "lsoa", "nhs_number_trace", "care_home_bed",
    "survey_result", "social_care_event", "place_preference",
)  # fmt: skip
"""Every landing table but the manifest."""


def as_text(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Give a table the columns of its landing contract, in order, each as the text a file holds, sorted by its key."""
    contract = contracts.load(f"landing.{table}")
    columns = []
    for name in contract.column_names:
        if name not in frame.columns:
            columns.append(pl.lit(None, dtype=pl.String).alias(name))
        elif isinstance(frame.schema[name], pl.Datetime):
            columns.append(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S"))
        elif frame.schema[name].is_float():
            columns.append(pl.col(name).cast(pl.String).str.strip_suffix(".0"))
        else:
            columns.append(pl.col(name).cast(pl.String))
    return in_order(frame.select(columns), table)


def in_order(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Sort rows of text by their key; rows of one key keep the order they have."""
    return frame.sort(key_of(table), maintain_order=True, nulls_last=True)
