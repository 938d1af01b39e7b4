"""``core.person``: one row per person, where they stand on the index date, and whether their record is in doubt.

Belongs here: current registration, status, which of several records speaks for the person, doubts of identity in
words. Does not belong: who may be looked at (``optouts``), what a doubt leads to (``pathways``).

A value that was set aside still warns: an unreadable date of death is no proof of life, an unreadable end of a
registration no proof of staying, an unreadable S-flag no leave to show an address.
"""

from __future__ import annotations

from datetime import date

from stratify import contracts
from stratify.ingest.checks import is_accepted, value
from stratify.ingest.identity import SAME_BIRTH_DAYS, has_number, is_contested, is_unresolved, was_traced
from stratify.periods import SENTINEL_DATES
from stratify.store import Store

_FROM_CHOSEN_RECORD = (
    "imd_decile",
    "imd_version",
    "preferred_language",
    "interpreter_needed",
    "ais_format",
    "contact_preference",
    "has_digital_access",
)
_OPEN_END = "DATE '9999-12-31'"
_OLDEST_AGE = 120


def build_person(store: Store, *, index_date: date, is_hospital_supplied: bool) -> dict[str, int]:
    """Fill ``core.person`` from the patient records and registrations of the people kept.

    Status, the first that holds: died (any source) · test_patient · registered, or practice_unknown where the practice
    is not in the reference on the day (current regular registration; of several the latest start, then the latest end,
    then the id) · temporary (another kind of current registration) · left (one that ended) · never_registered.

    Returns:
        How many people have several current regular registrations.
    """
    day = f"DATE '{index_date.isoformat()}'"
    _define_registrations(store, day)
    _define_records(store)
    contract = contracts.load("core.person")
    store.define(contract)
    age = (
        f"(year({day}) - year(date_of_birth) - CAST(month({day}) * 100 + day({day}) < "
        "month(date_of_birth) * 100 + day(date_of_birth) AS INTEGER))"
    )
    doubts = ", ".join(
        f"CASE WHEN {condition} THEN '{words}' END"
        for condition, words in (
            ("is_contested", "two people under one NHS number"),
            ("is_unresolved", "NHS number not traced to one person"),
            ("has_two_births", "two dates of birth for one NHS number"),
            ("has_two_sexes", "two sexes for one NHS number"),
            ("date_of_birth IS NULL AND NOT has_two_births", "date of birth missing"),
            (f"age_years >= {_OLDEST_AGE}", f"age {_OLDEST_AGE} or over"),
            (f"date_of_birth > {day}", "born after the index date"),
            ("has_unusable_death AND NOT is_dead", "date of death not usable"),
            ("has_unreadable_end", "end of the current registration not readable"),
        )
    )
    store.execute(
        f"""INSERT INTO core.person SELECT {", ".join(contract.column_names)} FROM (
            SELECT * REPLACE (CASE WHEN age_years >= 0 THEN age_years END AS age_years),
                nullif(concat_ws('; ', {doubts}), '') AS identity_doubt
            FROM (SELECT *, {age} AS age_years
            FROM (SELECT c.patient_key, {", ".join(f"c.{name}" for name in _FROM_CHOSEN_RECORD)},
                    c.source_file_id, c.source_row,
                    CASE WHEN NOT f.has_two_births THEN f.date_of_birth END AS date_of_birth,
                    f.has_two_births, f.has_two_sexes, f.has_unusable_death, f.is_contested,
                    f.is_unresolved,
                    CASE WHEN f.has_two_sexes THEN 'U' ELSE coalesce(f.sex, 'U') END AS sex,
                    coalesce(f.ethnic_known, c.ethnic_category) AS ethnic_category,
                    r.practice_code, r.registered_date, r.usual_gp_id,
                    coalesce(r.has_unreadable_end, false) AS has_unreadable_end,
                    n.pcn_code,
                    f.is_dead OR d.patient_key IS NOT NULL AS is_dead,
                    CASE WHEN f.is_dead OR d.patient_key IS NOT NULL THEN 'died'
                         WHEN f.is_test THEN 'test_patient'
                         WHEN r.practice_code IS NOT NULL AND n.practice_code IS NULL THEN 'practice_unknown'
                         WHEN r.practice_code IS NOT NULL THEN 'registered'
                         WHEN o.has_other THEN 'temporary'
                         WHEN o.has_ended THEN 'left'
                         ELSE 'never_registered' END AS person_status,
                    f.is_linked AND {str(is_hospital_supplied).lower()} AS is_hospital_linked,
                    f.is_spine_sensitive,
                    s.uncounted_because IS NULL AS may_be_counted
                FROM (SELECT * FROM landing.record WHERE place = 1) AS c
                JOIN ({_FACTS}) AS f USING (patient_key)
                JOIN landing.standing AS s USING (patient_key)
                LEFT JOIN landing.current_registration AS r USING (patient_key)
                LEFT JOIN landing.other_registration AS o USING (patient_key)
                LEFT JOIN (SELECT DISTINCT patient_key FROM core.death) AS d USING (patient_key)
                LEFT JOIN (SELECT practice_code, max(pcn_code) AS pcn_code FROM core.practice
                    WHERE valid_from <= {day} AND (valid_to IS NULL OR valid_to > {day}) GROUP BY ALL) AS n
                    ON n.practice_code = r.practice_code))
        ) ORDER BY patient_key"""
    )
    several = store.scalar(
        "SELECT count(*) FROM (SELECT patient_key FROM landing.registration_period WHERE is_current AND is_regular "
        "GROUP BY ALL HAVING count(*) > 1)"
    )
    for table in ("record", "current_registration", "other_registration", "registration_period"):
        store.execute(f"DROP TABLE landing.{table}")
    return {"people with several current registrations": int(several)}


_FACTS = f"""SELECT patient_key,
    arg_min(date_of_birth, place) FILTER (WHERE date_of_birth IS NOT NULL) AS date_of_birth,
    coalesce(max(date_of_birth) - min(date_of_birth) > {SAME_BIRTH_DAYS}, false) AS has_two_births,
    arg_min(sex, place) FILTER (WHERE sex IN ('M', 'F', 'I')) AS sex,
    count(DISTINCT sex) FILTER (WHERE sex IN ('M', 'F', 'I')) > 1 AS has_two_sexes,
    arg_min(ethnic_category, place) FILTER (WHERE ethnic_category NOT LIKE 'Z%' AND ethnic_category <> '99')
        AS ethnic_known,
    bool_or(date_of_death IS NOT NULL) AS is_dead,
    bool_or(has_unusable_death) AS has_unusable_death,
    bool_or(is_test) AS is_test,
    bool_or(is_spine_sensitive) AS is_spine_sensitive,
    bool_or(is_linked) AS is_linked,
    bool_or(is_contested) AS is_contested,
    bool_or(is_unresolved) AS is_unresolved
    FROM landing.record GROUP BY patient_key"""


def _define_registrations(store: Store, day: str) -> None:
    """Make the current regular registration of each person, and what other ones they have or had."""
    contract = contracts.load("landing.registration")
    start, end = (contracts.typed(contract.column(name)) for name in ("start_date", "end_date"))
    unknown = ", ".join(f"DATE '{each.isoformat()}'" for each in SENTINEL_DATES)
    kept = "patient_key IN (SELECT patient_key FROM landing.standing WHERE withheld_because IS NULL)"
    # Dates are read here without the rules that set values aside: a start in the future has not begun, whatever the
    # rule says of it. Dates that stand for "not known" are open.
    store.execute(
        f"""CREATE OR REPLACE TABLE landing.registration_period AS
        SELECT *, (starts IS NULL OR starts <= {day}) AND (ends IS NULL OR ends > {day}) AS is_current
        FROM (SELECT patient_key, org_code, source_patient_id, source_registration_id, practice_code, usual_gp_id,
            {value("registration", "start_date")} AS registered_date,
            CASE WHEN ({start}) NOT IN ({unknown}) THEN ({start}) END AS starts,
            CASE WHEN ({end}) NOT IN ({unknown}) THEN ({end}) END AS ends,
            end_date IS NOT NULL AND ({end}) IS NULL AS has_unreadable_end,
            coalesce({value("registration", "registration_type")}, 'REGULAR') = 'REGULAR' AS is_regular
        FROM landing.registration WHERE {is_accepted("registration")} AND {kept})"""
    )
    store.execute(
        """CREATE OR REPLACE TABLE landing.current_registration AS
        SELECT patient_key, org_code, source_patient_id, practice_code, registered_date, usual_gp_id,
            has_unreadable_end
        FROM landing.registration_period WHERE is_current AND is_regular QUALIFY row_number() OVER (
            PARTITION BY patient_key ORDER BY starts DESC NULLS LAST, ends DESC NULLS FIRST, source_registration_id,
            org_code) = 1"""
    )
    store.execute(
        f"""CREATE OR REPLACE TABLE landing.other_registration AS
        SELECT patient_key, bool_or(is_current AND NOT is_regular) AS has_other,
            bool_or(coalesce(ends <= {day}, false)) AS has_ended
        FROM landing.registration_period GROUP BY ALL"""
    )


def _define_records(store: Store) -> None:
    """Number the patient records of each person: the current practice's first, then by the latest registration."""
    names = ("date_of_birth", "sex", "ethnic_category", "date_of_death", *_FROM_CHOSEN_RECORD)
    typed = ", ".join(f"{value('patient', name)} AS {name}" for name in names)
    death = contracts.typed(contracts.load("landing.patient").column("date_of_death"))
    kept = "patient_key IN (SELECT patient_key FROM landing.standing WHERE withheld_because IS NULL)"
    store.execute(
        f"""CREATE OR REPLACE TABLE landing.record AS
        SELECT p.*, row_number() OVER (PARTITION BY p.patient_key ORDER BY
            c.practice_code IS NOT DISTINCT FROM p.org_code DESC,
            c.source_patient_id IS NOT DISTINCT FROM p.source_patient_id DESC,
            latest.starts DESC NULLS LAST, p.org_code, p.source_patient_id) AS place
        FROM (SELECT patient_key, org_code, source_patient_id, source_file_id, source_row, {typed},
            date_of_death IS NOT NULL AND ({value("patient", "date_of_death")}) IS NULL
                AND ({death}) IS DISTINCT FROM {_OPEN_END} AS has_unusable_death,
            coalesce({value("patient", "is_test_patient")}, false) AS is_test,
            coalesce({value("patient", "is_spine_sensitive")}, is_spine_sensitive IS NOT NULL)
                OR coalesce({value("patient", "is_confidential")}, is_confidential IS NOT NULL)
                OR {was_traced("92")} AS is_spine_sensitive,
            {has_number()} AS is_linked,
            {is_contested()} AS is_contested,
            {has_number()} AND ({is_unresolved()}) AS is_unresolved
            FROM landing.patient WHERE {is_accepted("patient")} AND {kept}) AS p
        LEFT JOIN landing.current_registration AS c USING (patient_key)
        LEFT JOIN (SELECT org_code, source_patient_id, max(starts) AS starts FROM landing.registration_period
            GROUP BY ALL) AS latest
            ON latest.org_code = p.org_code AND latest.source_patient_id = p.source_patient_id"""
    )
