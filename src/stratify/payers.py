"""The activity of payers is every spell and attendance received, once: asked again of the tables that it came from.

Shares nothing with the counting but the days and the places. What is published of it is in ``publish``.
"""

from __future__ import annotations

import polars as pl

from stratify.publish import ACTIVITIES, Counted, MetricRow, PublishContext, places_of
from stratify.store import Store

PROMISE = (
    "spells and attendances counted by payer, with those of people who objected, are no real person or had no known "
    "practice on the day, are those received"
)

_HAPPENED = {
    "emergency_admissions": "SELECT patient_key, admission_date AS day FROM core.apc_spell WHERE is_emergency",
    "other_admissions": "SELECT patient_key, admission_date AS day FROM core.apc_spell WHERE is_emergency IS NOT true",
    "ed_attendances": (
        "SELECT patient_key, CAST(arrival_at AS DATE) AS day FROM core.ed_attendance "
        "WHERE (attendance_category IS NULL OR attendance_category <> '4') AND is_sdec IS NOT true"
    ),
}
_TO_COUNT = """
WITH happened AS (
    SELECT row_number() OVER () AS event, * FROM ({happened}) WHERE day >= DATE '{first}' AND day <= DATE '{last}'
), home AS (
    SELECT event,
        first(r.practice_code ORDER BY r.start_date DESC NULLS LAST, r.source_registration_id) AS practice_code
    FROM happened JOIN core.registration AS r USING (patient_key)
    WHERE r.registration_type = 'REGULAR' AND r.practice_code IS NOT NULL
        AND (r.start_date IS NULL OR r.start_date <= day) AND (r.end_date IS NULL OR day < r.end_date)
    GROUP BY event
)
SELECT count(*), count(*) FILTER (p.patient_key IS NULL OR k.practice_code IS NULL)
FROM happened LEFT JOIN home USING (event) LEFT JOIN {known} AS k USING (practice_code)
LEFT JOIN (FROM core.person WHERE may_be_counted AND person_status <> 'test_patient') AS p USING (patient_key)
"""
_SPELLS_LOST = """
SELECT abs((SELECT count(*) FROM (SELECT DISTINCT provider_code, spell_id FROM core.apc_episode))
    - (SELECT count(*) FROM core.apc_spell))
"""


def unreconciled(store: Store, counted: Counted, context: PublishContext) -> int:
    """Count by how many spells and attendances the activity of all payers, exact, is not what was received.

    Args:
        store: The store of the run.
        counted: What the run counts, before anything is hidden.
        context: What its outputs say of it.
    """
    known = places_of(store, context).select("practice_code")
    broken = int(store.scalar(_SPELLS_LOST) or 0)
    for row in counted.rows:
        if row.metric in ACTIVITIES:
            received, of_nobody = _received(store, row, known)
            broken += abs(received - of_nobody - _by_payer(counted, row, known))
    return broken


def _received(store: Store, row: MetricRow, known: pl.DataFrame) -> tuple[int, int]:
    """Give how many there were in the days of a metric, and how many of them no payer has."""
    with store.loaned(known) as places:
        asked = _TO_COUNT.format(
            happened=_HAPPENED[row.metric], first=row.period_start, last=row.period_end, known=places
        )
        received, of_nobody = store.rows(asked)[0]
    return int(received), int(of_nobody)


def _by_payer(counted: Counted, row: MetricRow, known: pl.DataFrame) -> int:
    mine = counted.counts.filter((pl.col("subject") == row.subject) & (pl.col("part") == "numerator"))
    return int(mine.join(known, on="practice_code", how="semi")["people_count"].sum())
