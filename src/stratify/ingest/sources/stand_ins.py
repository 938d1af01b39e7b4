"""A practice and clinic sessions for sources that have neither, each marked as a stand-in in every name.

Belongs here: those rows, and writing landing frames. Does not belong: registrations, which a source's own people have.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from stratify import contracts

CLINICS = (
    "copd_clinic",
    "frailty_clinic",
    "care_home_round",
    "palliative_review",
    "diabetes_meeting",
    "diabetes_specialist",
    "diabetes_gp_pharmacist",
    "diabetes_pharmacist",
    "diabetes_nurse",
    "diabetes_checks",
    "heart_failure_specialist",
    "heart_failure_review",
    "community_matron",
)
"""Clinics of the pathways that come with stratify; each gets a stand-in session a week, of one stand-in role."""

_FIRST_SESSION, _LAST_SESSION = date(2010, 1, 4), date(2039, 12, 26)
"""Every Monday from the first to the last: a source does not know the index date of the run."""
_ROLE, _SLOTS, _MINUTES = "stand_in_team", "10", "20"


def frames(practice_code: str, label: str) -> dict[str, pl.DataFrame]:
    """Give the stand-in practice and its clinic sessions as landing rows, by table.

    Args:
        practice_code: A code in the form of a practice's that no practice has.
        label: Whose stand-ins they are, for example ``synthea``.
    """
    name = label.upper()
    practice = {
        "practice_code": practice_code,
        "practice_name": f"{name} STAND-IN PRACTICE (not real)",
        "pcn_code": "U99999",
        "pcn_name": f"{name} STAND-IN NETWORK (not real)",
        "icb_code": "X99",
        "valid_from": "1905-01-01",
    }
    weeks = (_LAST_SESSION - _FIRST_SESSION).days // 7 + 1
    sessions = [
        {
            "clinic_id": clinic,
            "practice_code": practice_code,
            "clinic_date": (_FIRST_SESSION + timedelta(weeks=week)).isoformat(),
            "role": _ROLE,
            "slots": _SLOTS,
            "minutes_per_slot": _MINUTES,
            "venue": f"{name} STAND-IN CLINIC (not real)",
        }
        for week in range(weeks)
        for clinic in CLINICS
    ]
    return {
        table: pl.DataFrame(rows)
        .with_row_index("source_line", offset=1)
        .with_columns(pl.lit(f"(stand-in of the {label} source)").alias("source_file_name"))
        for table, rows in (("practice", [practice]), ("clinic_capacity", sessions))
    }


def write_table(landing: Path, table: str, parts: Sequence[pl.DataFrame]) -> None:
    """Write a landing table with exactly the columns of its contract, as text, and where each row came from."""
    names = contracts.load(f"landing.{table}").column_names
    shaped = [
        frame.select(
            *(
                (pl.col(name).cast(pl.String) if name in frame.columns else pl.lit(None, dtype=pl.String).alias(name))
                for name in names
            ),
            pl.col("source_file_name"),
            pl.col("source_line").cast(pl.Int64),
        )
        for frame in parts
    ]
    pl.concat(shaped).write_parquet(landing / f"{table}.parquet")
