"""Steps of people on pathways that a feed of the extract tells of, as outcomes.

Belongs here: which step of ``landing.pathway_activity`` is which outcome, and which rows do not fit. Does not belong:
rows that the contract sets aside (``rows``), lists that came back (``stratify.returned``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from stratify.ingest.checks import is_accepted, stored, value
from stratify.store import Store

_TABLE = "pathway_activity"
OUTCOME_OF_STEP = {
    "offered": "offered",
    "accepted": "accepted",
    "declined": "declined",
    "attended": "attended",
    "dna": "did_not_attend",
    "reviewed": "attended",
    "activated": "activated",
}
"""What each step of the feed is as an outcome; a discharge is none: the attendance before it counts."""

_NO_PATHWAY = "The pathway is none of the rule book"
_NO_CLINIC = "The clinic is none of that pathway"
_INSTEAD = "The ids of the pathway definitions"


def take_in_activity(store: Store, pathways: Mapping[str, Collection[str]], *, known: pl.DataFrame) -> dict[str, int]:
    """Add to ``core.outcome`` what the feed tells of people of the run, and to ``audit.answer`` what is new of it.

    Args:
        store: The run's store with ``landing``, after the core tables.
        pathways: Clinics and worklists by pathway.
        known: Column ``answer_id``: what earlier weeks had.

    Returns:
        Rows by what became of them.
    """
    where = pl.DataFrame(
        [(pathway, clinic) for pathway, clinics in sorted(pathways.items()) for clinic in (None, *sorted(clinics))],
        schema={"pathway": pl.String, "clinic_id": pl.String},
        orient="row",
    )
    outcomes = ", ".join(f"('{step}', '{outcome}')" for step, outcome in OUTCOME_OF_STEP.items())
    names = ("source", "activity_id", "pathway", "programme", "step", "activity_date", "clinic_id", "reason_code")
    fields = ", ".join(f"{value(_TABLE, name)} AS {name}" for name in (*names, "recorded_by_role"))
    with store.loaned(where) as places, store.loaned(known.select("answer_id").unique()) as before:
        store.execute(
            f"""
            CREATE TEMP TABLE activity AS
            SELECT left(sha256(concat_ws('|', a.source, activity_id, outcome, activity_date)), 24) AS answer_id, a.*,
                outcome,
                CASE WHEN a.pathway NOT IN (SELECT pathway FROM {places}) THEN '{_NO_PATHWAY}'
                    WHEN p.pathway IS NULL THEN '{_NO_CLINIC}' END AS wrong
            FROM (
                SELECT patient_key, source_file_id, source_row, {fields}
                FROM {stored(_TABLE)} WHERE {is_accepted(_TABLE)}
            ) AS a
            JOIN core.person USING (patient_key)
            LEFT JOIN (VALUES {outcomes}) AS o (step, outcome) USING (step)
            LEFT JOIN {places} AS p ON p.pathway = a.pathway AND p.clinic_id IS NOT DISTINCT FROM a.clinic_id
            """
        )
        store.execute(
            """
            INSERT INTO core.outcome BY NAME
            SELECT answer_id AS outcome_id, patient_key, pathway, clinic_id, source, outcome,
                activity_date AS outcome_date, reason_code, recorded_by_role AS decided_by_role, source_file_id,
                source_row
            FROM activity WHERE programme IS NULL AND outcome IS NOT NULL AND wrong IS NULL
            QUALIFY row_number() OVER (PARTITION BY answer_id ORDER BY source_file_id, source_row) = 1
            ORDER BY source_file_id, source_row
            """
        )
        store.execute(
            f"""
            INSERT INTO audit.answer BY NAME
            SELECT answer_id, source_file_id, source_row, 'line ' || source_row AS cell, source, wrong,
                CASE WHEN wrong IS NULL THEN 'applied' ELSE 'returned' END AS status,
                CASE WHEN wrong IS NOT NULL THEN '{_INSTEAD}' END AS instead, outcome, activity_date AS outcome_date,
                reason_code, recorded_by_role AS decided_by_role
            FROM activity WHERE programme IS NULL AND outcome IS NOT NULL
                AND answer_id NOT IN (SELECT answer_id FROM {before})
            ORDER BY source_file_id, source_row
            """
        )
    found = store.rows(
        """
        SELECT CASE WHEN programme IS NOT NULL THEN 'of a programme beside the pathways'
            WHEN outcome IS NULL THEN 'discharge, which moves nothing' ELSE coalesce(wrong, 'taken in') END AS became,
            count(*)
        FROM activity GROUP BY ALL ORDER BY ALL
        """
    )
    store.execute("DROP TABLE activity")
    return dict(found)
