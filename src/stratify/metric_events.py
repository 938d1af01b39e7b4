"""Events that metrics count, read from the store of a run: what each is, when, of which kind, and how it ended.

Each event belongs to the practice that the person was registered with on its day. Belongs here: which records of the
core tables are an event. Does not belong: counting them (``metrics``), who may be counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from stratify.rules.metric import Event
from stratify.store import Store

STILL_AT_HOME_DAYS = 91
"""After so many days it is asked where somebody is who was discharged to reablement: ASCOF 2B (2D since 2023)."""

_NIGHTS = "greatest(coalesce(discharge_date, admission_date) - admission_date, 0)"
_DEATHS = """
    SELECT patient_key, min(date_of_death) AS died, max(place_of_death) AS place
    FROM core.death WHERE date_of_death IS NOT NULL GROUP BY patient_key"""
# The last preference that was stated before the death; one that is undecided is none.
_PREFERRED = """
    SELECT d.*, nullif(p.preferred_place, 'undecided') AS preferred
    FROM ({deaths}) AS d LEFT JOIN core.place_preference AS p
        ON p.patient_key = d.patient_key AND p.recorded_date <= d.died
    QUALIFY row_number() OVER (
        PARTITION BY d.patient_key ORDER BY p.recorded_date DESC NULLS LAST, p.provider_code, p.record_id) = 1"""
# A death is placed by the day before it: on the day itself many registrations have ended.
_DEATH = "d.patient_key, died AS event_date, NULL::VARCHAR AS kind, {state} AS state, d.patient_key AS event, died - 1"
_PLAIN = "NULL::VARCHAR AS kind, NULL::VARCHAR AS state"

# Each gives patient_key, event_date, kind, state, event (its own id), and as far as it has them placed_on (the day that
# decides to which practice it belongs), n (for how many it counts) and followed_after (days to what it asked for).
_EVENTS: dict[Event, str] = {
    "emergency_admission": f"""
        SELECT patient_key, admission_date AS event_date, if({_NIGHTS} > 0, 'overnight', 'same_day') AS kind,
            NULL::VARCHAR AS state, provider_code || ' ' || spell_id AS event
        FROM core.apc_spell WHERE is_emergency""",
    "other_admission": f"""
        SELECT patient_key, admission_date AS event_date, {_PLAIN}, provider_code || ' ' || spell_id AS event
        FROM core.apc_spell WHERE NOT coalesce(is_emergency, false)""",
    "emergency_bed_day": f"""
        SELECT patient_key, admission_date AS event_date, {_PLAIN}, provider_code || ' ' || spell_id AS event,
            {_NIGHTS} AS n
        FROM core.apc_spell WHERE is_emergency""",
    # Followed by the first emergency admission after it, of the same day too where it is another spell.
    "hospital_discharge": f"""
        SELECT s.patient_key, s.discharge_date AS event_date, {_PLAIN}, s.provider_code || ' ' || s.spell_id AS event,
            (SELECT min(n.admission_date) FROM core.apc_spell AS n
             WHERE n.patient_key = s.patient_key AND n.is_emergency AND n.admission_date >= s.discharge_date
                AND (n.provider_code, n.spell_id) <> (s.provider_code, s.spell_id)) - s.discharge_date AS followed_after
        FROM core.apc_spell AS s
        WHERE s.discharge_date IS NOT NULL AND coalesce(s.discharge_method, '') NOT IN ('4', '5')""",
    # Category 4 is a planned follow-up.
    "ed_attendance": """
        SELECT patient_key, CAST(arrival_at AS DATE) AS event_date, department_type AS kind, NULL::VARCHAR AS state,
            provider_code || ' ' || attendance_id AS event
        FROM core.ed_attendance
        WHERE coalesce(attendance_category, '1') <> '4' AND NOT coalesce(is_sdec, false)""",
    "outpatient_attendance": """
        SELECT patient_key, appointment_date AS event_date, NULL::VARCHAR AS state,
            CASE WHEN first_attendance IN ('1', '3') THEN 'first' WHEN first_attendance IN ('2', '4') THEN 'follow_up'
            END AS kind, provider_code || ' ' || attendance_id AS event
        FROM core.op_attendance WHERE attended IN ('5', '6')""",
    "gp_appointment": """
        SELECT patient_key, CAST(start_at AS DATE) AS event_date, mode AS kind, NULL::VARCHAR AS state,
            org_code || ' ' || source_slot_id AS event
        FROM core.gp_appointment WHERE status = 'ATTENDED'""",
    "community_contact": """
        SELECT patient_key, contact_date AS event_date, team AS kind, NULL::VARCHAR AS state,
            provider_code || ' ' || contact_id AS event
        FROM core.community_contact WHERE attended IN ('5', '6')""",
    "referral": """
        SELECT patient_key, referral_date AS event_date, service AS kind, NULL::VARCHAR AS state,
            provider_code || ' ' || referral_id AS event, first_seen_date - referral_date AS followed_after
        FROM core.referral WHERE status <> 'rejected'""",
    "home_visit_request": """
        SELECT patient_key, CAST(requested_at AS DATE) AS event_date, requested_by AS kind, NULL::VARCHAR AS state,
            org_code || ' ' || request_id AS event
        FROM core.home_visit_request""",
    # Each in exactly one state, the first that fits: nobody who died is at home, and nobody untraceable either.
    "reablement": f"""
        SELECT e.patient_key, e.start_date AS event_date, NULL::VARCHAR AS kind, e.council_code || ' ' || e.event_id
            AS event, CASE
            WHEN d.died <= e.start_date + {STILL_AT_HOME_DAYS} THEN 'died'
            WHEN EXISTS (FROM core.apc_spell AS s WHERE s.patient_key = e.patient_key
                AND s.admission_date <= e.start_date + {STILL_AT_HOME_DAYS}
                AND coalesce(s.discharge_date > e.start_date + {STILL_AT_HOME_DAYS}, true)) THEN 'in_hospital'
            WHEN EXISTS (FROM core.social_care_event AS c WHERE c.patient_key = e.patient_key
                AND c.kind = 'long_term_care_home' AND c.start_date <= e.start_date + {STILL_AT_HOME_DAYS}
                AND coalesce(c.end_date > e.start_date + {STILL_AT_HOME_DAYS}, true)) THEN 'in_care_home'
            WHEN NOT EXISTS (FROM core.registration AS r WHERE r.patient_key = e.patient_key
                AND r.registration_type = 'REGULAR'
                AND coalesce(r.start_date <= e.start_date + {STILL_AT_HOME_DAYS}, true)
                AND coalesce(r.end_date > e.start_date + {STILL_AT_HOME_DAYS}, true)) THEN 'not_traceable'
            ELSE 'at_home' END AS state
        FROM core.social_care_event AS e LEFT JOIN ({_DEATHS}) AS d USING (patient_key)
        JOIN core.person AS p USING (patient_key)
        WHERE e.kind = 'reablement_after_discharge' AND p.date_of_birth + INTERVAL 65 YEAR <= e.start_date""",
    "care_home_admission": f"""
        SELECT patient_key, start_date AS event_date, {_PLAIN}, council_code || ' ' || event_id AS event
        FROM core.social_care_event WHERE kind = 'long_term_care_home'""",
    "death": f"""
        SELECT {_DEATH.format(state="if(preferred IS NULL, 'not_recorded', 'recorded')")} AS placed_on
        FROM ({_PREFERRED.format(deaths=_DEATHS)}) AS d""",
    # Without a place of death nobody knows; that is neither met nor unmet.
    "death_with_preference": f"""
        SELECT {_DEATH.format(state="if(place = preferred, 'where_preferred', 'elsewhere')")} AS placed_on
        FROM ({_PREFERRED.format(deaths=_DEATHS)}) AS d WHERE preferred IS NOT NULL AND place IS NOT NULL""",
    "death_in_hospital_data": f"""
        SELECT {_DEATH.format(state="if(admissions >= 3, 'three_or_more', 'fewer')")} AS placed_on
        FROM (
            SELECT *, (SELECT count(*) FROM core.apc_spell AS s WHERE s.patient_key = e.patient_key AND s.is_emergency
                AND s.admission_date <= died AND s.admission_date > died - 90) AS admissions
            FROM ({_DEATHS}) AS e
        ) AS d""",
}

# An event belongs to the practice that the person was registered with on its day; of two at once, to the newer one.
# Most people have one registration: their events are most of them, and need not be put in order.
_SEVERAL = """
SELECT patient_key FROM core.registration WHERE registration_type = 'REGULAR' AND practice_code IS NOT NULL
GROUP BY patient_key HAVING count(*) > 1
"""
_PLACED = """
SELECT patient_key, practice_code, event_date, kind, state, coalesce(n, 1)::BIGINT AS n, followed_after::BIGINT AS
    followed_after
FROM (
    SELECT NULL::DATE AS placed_on, NULL::BIGINT AS n, NULL::BIGINT AS followed_after, NULL::VARCHAR AS event,
        NULL::VARCHAR AS patient_key, NULL::DATE AS event_date, NULL::VARCHAR AS kind, NULL::VARCHAR AS state
    WHERE false
    UNION ALL BY NAME ({events})
) JOIN (FROM core.registration {of} JOIN {several} USING (patient_key)) AS r USING (patient_key)
WHERE event_date >= DATE '{start}' AND registration_type = 'REGULAR' AND practice_code IS NOT NULL
    AND patient_key IN (SELECT patient_key FROM core.person WHERE may_be_counted)
    AND coalesce(start_date <= coalesce(placed_on, event_date), true)
    AND coalesce(coalesce(placed_on, event_date) < end_date, true)
"""
_NEWEST = """
QUALIFY row_number() OVER (PARTITION BY event ORDER BY start_date DESC NULLS LAST, r.source_registration_id) = 1
"""


def read_events(store: Store, starts: Mapping[Event, date]) -> dict[str, pl.DataFrame]:
    """Read events of people who may be counted, each with the practice of its day.

    Args:
        store: The store of the run.
        starts: Which events, and the first day of each.

    Returns:
        By event: ``patient_key``, ``practice_code``, ``event_date``, ``kind``, ``state``, ``n``, ``followed_after``.
    """
    with store.loaned(store.frame(_SEVERAL)) as several:

        def read(name: Event, start: date) -> pl.DataFrame:
            asked = {"events": _EVENTS[name], "start": start.isoformat(), "several": several}
            once, more = _PLACED.format(of="ANTI", **asked), _PLACED.format(of="SEMI", **asked)
            return store.frame(f"({once}) UNION ALL ({more} {_NEWEST})")

        return {name: read(name, start) for name, start in sorted(starts.items())}


def occupied_beds(store: Store) -> pl.DataFrame:
    """Read the occupied beds of each home and month: ``practice_code``, ``care_home_id``, ``month``, ``beds``."""
    return store.frame(
        "SELECT practice_code, care_home_id, month_start_date AS month, occupied_bed_count AS beds "
        "FROM core.care_home_bed WHERE occupied_bed_count IS NOT NULL"
    )


NO_ANSWERS = pl.DataFrame(
    schema={
        "question": pl.String, "practice_code": pl.String, "period_start": pl.Date, "period_end": pl.Date,
        "answers": pl.Int64, "positive": pl.Int64,
    }
)  # fmt: skip


def newest_answers(store: Store, until: date) -> pl.DataFrame:
    """Read the newest round of each question that ended before a day.

    Returns:
        ``question``, ``practice_code``, ``period_start``, ``period_end`` (its last day), ``answers``, ``positive``.
    """
    return store.frame(
        "SELECT question, practice_code, "
        "min(period_start_date) OVER (PARTITION BY question, period_end_date) AS period_start, "
        "period_end_date AS period_end, answer_count AS answers, positive_answer_count AS positive "
        f"FROM core.survey_result WHERE period_end_date < DATE '{until.isoformat()}' "
        "QUALIFY period_end_date = max(period_end_date) OVER (PARTITION BY question)"
    )
