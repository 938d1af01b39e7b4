"""People admitted as an emergency who were on no list before, and why: what a system of lists is most easily blind to.

Frames in, frames out. Why is what the kept weeks say of the time before the admission, and else what the run says now,
which is said. Who reads the list and who the counts is for ``overlooked_run``.
"""

from __future__ import annotations

import polars as pl

WAS_LISTED = "was_listed"
REASONS = {
    WAS_LISTED: "Was on a list or offered something before",
    "waited": "Waited for a place",
    "list_held": "The list was held because of a failed check",
    "left_off": "Was on a pathway, and was left off its lists",
    "new_here": "Registered with the practice only after the last list before the admission",
    "excluded": "A rule of the pathway leaves the person out (as of now)",
    "not_known": "On the register of a pathway, below its lists, and something it needs is not known (as of now)",
    "below": "On the register of a pathway, below its lists (as of now)",
    "off": "No pathway is for the person, or one found the person since (as of now)",
}
"""Why somebody who was admitted had been on no list, the first that holds; by the name of the reason."""

_FROM_WEEKS = {"waiting": "waited", "list_held": "list_held", "held": "left_off", "not_listed": "left_off"}
_ORDER = list(REASONS)


def find_admitted(admissions: pl.DataFrame, list_rows: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """Give everybody admitted as an emergency, with whether a list had them before, and why not.

    Args:
        admissions: Emergency stays of the days asked about, all of them after the first kept week: ``patient_key``,
            ``admission_date``, ``primary_diagnosis``, and of the registration on that day ``practice_code`` and
            ``registered_from``.
        list_rows: Kept weeks (contract ``audit.list_row``); rows of the day of the admission or later do not count.
        decisions: Contract ``derived.pathway_decision`` of a run since.

    Returns:
        One row a person, of the first admission: ``patient_key``, ``practice_code``, ``admission_date``,
        ``primary_diagnosis``, ``reason`` (of :data:`REASONS`), ``pathway``, ``words`` (what was said of the person),
        ``last_week`` (the last week before with a row of the person; empty for none).
    """
    first = admissions.sort("patient_key", "admission_date", "primary_diagnosis", nulls_last=True).unique(
        "patient_key", keep="first", maintain_order=True
    )
    before = first.select("patient_key", "admission_date").join(list_rows, on="patient_key")
    before = before.filter(pl.col("week") < pl.col("admission_date"))
    found = pl.concat(
        [
            _reasons_of_weeks(before),
            _new_here(first, list_rows.select("week").unique().sort("week")),
            _reasons_of_now(first, decisions),
            first.select("patient_key", pl.lit("off").alias("reason")),
        ],
        how="diagonal",
    )
    place = pl.col("reason").replace_strict(_ORDER, list(range(len(_ORDER))), return_dtype=pl.Int64)
    strongest = (
        found.sort("patient_key", place, "week", "pathway", descending=[False, False, True, False], nulls_last=True)
        .unique("patient_key", keep="first", maintain_order=True)
        .select("patient_key", "reason", "pathway", "words")
    )
    last = before.group_by("patient_key").agg(pl.col("week").max().alias("last_week"))
    whole = first.join(strongest, on="patient_key").join(last, on="patient_key", how="left")
    columns = ("patient_key", "practice_code", "admission_date", "primary_diagnosis", "reason", "pathway", "words")
    return whole.select(*columns, "last_week").sort("practice_code", "admission_date", "patient_key")


def count_admitted(found: pl.DataFrame, may_be_counted: pl.DataFrame) -> pl.DataFrame:
    """Count people admitted by practice and reason, with the sums that they add up to.

    Args:
        found: What :func:`find_admitted` gives.
        may_be_counted: ``patient_key`` of everybody without an objection to it.

    Returns:
        ``practice_code`` and ``reason`` (``all`` for all of them) and ``people_count``.
    """
    mine = found.join(may_be_counted, on="patient_key", how="semi")
    parts = [
        mine.group_by(practice.alias("practice_code"), reason.alias("reason")).agg(
            pl.len().cast(pl.Int64).alias("people_count")
        )
        for practice in (pl.lit("all"), pl.col("practice_code"))
        for reason in (pl.lit("all"), pl.col("reason"))
    ]
    return pl.concat(parts).sort("practice_code", "reason")


def _reasons_of_weeks(before: pl.DataFrame) -> pl.DataFrame:
    """Give what the kept weeks say: a list or an offer in any of them, and else what was said last."""
    was = pl.col("placement").is_in(["listed", "offered"])
    reason = pl.when(was).then(pl.lit(WAS_LISTED)).otherwise(
        pl.col("placement").replace_strict(_FROM_WEEKS, default=None, return_dtype=pl.String)
    )  # fmt: skip
    newest = pl.col("week") == pl.col("week").max().over("patient_key")
    return before.filter(was | newest).select(
        "patient_key", reason.alias("reason"), "pathway", pl.col("placement_reason").alias("words"), "week"
    )


def _new_here(first: pl.DataFrame, weeks: pl.DataFrame) -> pl.DataFrame:
    on_day = first.sort("admission_date").join_asof(
        weeks, left_on="admission_date", right_on="week", allow_exact_matches=False
    )
    late = pl.col("registered_from") > pl.col("week")
    return on_day.filter(late).select("patient_key", pl.lit("new_here").alias("reason"))


def _reasons_of_now(first: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    below, gaps = pl.col("decision") == "not_eligible", pl.col("data_gaps").fill_null("") != ""
    reason = (
        pl.when(pl.col("decision") == "excluded").then(pl.lit("excluded"))
        .when(below & gaps).then(pl.lit("not_known"))
        .when(below).then(pl.lit("below"))
    )  # fmt: skip
    return (
        decisions.join(first, on="patient_key", how="semi")
        .select("patient_key", "pathway", pl.col("reason").alias("words"), reason.alias("reason"))
        .filter(pl.col("reason").is_not_null())
    )
