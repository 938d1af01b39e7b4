"""What those who lead a programme must hear of without asking: clinics that are full, practices that never answer.

Frames in, frames out, exact counts. Belongs here: when a clinic counts as full and a practice as silent. Does not
belong: who gets a place (``routing``), how the work is spread (``fairness``), what may be shown (``disclosure``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

SILENT_DAYS = 28
"""A practice is silent when it had lists for as long, and nothing of them came back in as long."""

_SENT = ("listed", "offered")
_TAKEN_UP = ("booked", "attended", "activated")


def full_clinics(
    sessions: pl.DataFrame, placements: pl.DataFrame, network_of: Mapping[str, str], *, index_date: date
) -> pl.DataFrame:
    """Give each clinic and whom it serves with its places, who waits, and whether it takes anybody in.

    A clinic is full when somebody waits for it: every place of the week is given, or it has none.

    Args:
        sessions: Contract ``derived.clinic_session``.
        placements: Contract ``derived.placement``.
        network_of: Network of each practice.
        index_date: The day the run describes.

    Returns:
        Contract ``audit.clinic_signal``.
    """
    waiting = (
        placements.filter((pl.col("placement") == "waiting") & pl.col("clinic_id").is_not_null())
        .group_by("patient_key", "clinic_id", "practice_code")
        .agg(pl.col("waiting_since").min())
        .with_columns(pcn=pl.col("practice_code").replace_strict(network_of, default=None, return_dtype=pl.String))
    )
    places = sessions.group_by("clinic_id", serves="practice_code").agg(pl.col("places").sum().alias("places_count"))
    keys = places.select("clinic_id", "serves")
    served = pl.concat(
        [
            waiting.select("patient_key", "clinic_id", "waiting_since", serves=pl.col(column)).join(
                keys, on=["clinic_id", "serves"]
            )
            for column in ("practice_code", "pcn")
        ]
    )
    # Whoever waits for a clinic that nobody holds for them this week waits at their practice.
    unserved = waiting.join(served, on=["patient_key", "clinic_id"], how="anti").select(
        "patient_key", "clinic_id", "waiting_since", serves="practice_code"
    )
    queues = (
        pl.concat([served, unserved])
        .group_by("clinic_id", "serves")
        .agg(
            pl.len().cast(pl.Int64).alias("waiting_count"),
            (pl.lit(index_date) - pl.col("waiting_since").min()).dt.total_days().alias("longest_wait_days"),
        )
    )
    return (
        places.join(queues, on=["clinic_id", "serves"], how="full", coalesce=True)
        .with_columns(pl.col("places_count", "waiting_count").fill_null(0).cast(pl.Int64))
        .with_columns(is_full=pl.col("waiting_count") > 0)
        .select("clinic_id", "serves", "places_count", "waiting_count", "longest_wait_days", "is_full")
        .sort("clinic_id", "serves")
    )


def silent_practices(
    list_rows: pl.DataFrame, answers: pl.DataFrame, transitions: pl.DataFrame, *, index_date: date
) -> pl.DataFrame:
    """Give what each practice that had lists for a month did with those of the last 28 days.

    A practice gave no feedback when no file of its own came back about a row of those lists, not even one that could
    not be used. It had no uptake when nobody of it was booked, seen or began to use an offer, whoever says so.

    Args:
        list_rows: Contract ``audit.list_row``, earlier weeks.
        answers: Contract ``audit.answer``, all weeks.
        transitions: Contract ``audit.transition``, all weeks.
        index_date: The day the run describes.

    Returns:
        Contract ``audit.silent_practice``: one row for each practice that has had lists for 28 days or longer.
    """
    since = index_date - timedelta(days=SILENT_DAYS)
    sent = list_rows.filter(pl.col("placement").is_in(_SENT) & (pl.col("week") < index_date))
    known = sent.group_by("practice_code").agg(pl.col("week").min().alias("first_week"))
    lately = sent.filter(pl.col("week") >= since)
    counts = lately.group_by("practice_code").agg(pl.col("row_reference").n_unique().cast(pl.Int64).alias("sent_count"))
    own = answers.filter(pl.col("source") == "LIST_RETURN")
    of_rows = own.join(lately.select("row_reference", sent_to="practice_code").unique(), on="row_reference")
    # A file that could not be read names no row; it is told of again each week, as long as it lies there.
    of_files = own.filter(pl.col("row_reference").is_null() & pl.col("practice_code").is_not_null())
    answered = pl.concat(
        [of_rows.select("answer_id", "sent_to"), of_files.select("answer_id", sent_to="practice_code")]
    )
    feedback = answered.group_by(practice_code="sent_to").agg(
        pl.col("answer_id").n_unique().cast(pl.Int64).alias("answer_count")
    )
    taken = transitions.filter(
        (pl.col("cause") == "answer")
        & pl.col("to_state").is_in(_TAKEN_UP)
        & (pl.col("effective_date") >= since)
        & (pl.col("effective_date") < index_date)
    )
    uptake = taken.group_by("practice_code").agg(
        pl.col("patient_key").n_unique().cast(pl.Int64).alias("taken_up_count")
    )
    return (
        known.filter(pl.col("first_week") <= since)
        .join(counts, on="practice_code")
        .join(feedback, on="practice_code", how="left")
        .join(uptake, on="practice_code", how="left")
        .with_columns(pl.col("answer_count", "taken_up_count").fill_null(0))
        .with_columns(has_feedback=pl.col("answer_count") > 0, has_uptake=pl.col("taken_up_count") > 0)
        .select("practice_code", "first_week", "sent_count", "answer_count", "taken_up_count", "has_feedback",
                "has_uptake")
        .sort("practice_code")
    )  # fmt: skip
