"""The commissioners' folder from the store of a finished run: metrics counted, hidden and written.

The store is invented by hashes, with as many admissions, attendances, appointments and steps as people have, and a
practice for every 10,000. Bar: 1,000,000 people in under 2 minutes, the dashboard under 5 MB.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path

from benchmarks.laps import Laps, Stages

INDEX_DATE = date(2026, 11, 2)
BUILD = "commissioners' folder"
MOST_DASHBOARD = 5_000_000


def invent_run(scratch: Path, people: int) -> Path:
    """Invent the store of a run whose lists are placed, once a folder."""
    folder = scratch / "run"
    if (folder / "made").exists():
        return folder
    from stratify import contracts
    from stratify.store import open_store

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open_store(folder / "run.duckdb", temp_directory=folder / "scratch") as store:
        for name in (*contracts.names("core"), *_DERIVED):
            store.define(contracts.load(name))
        practices = max(2, people // 10_000)
        store.execute(_PEOPLE, [people, practices])
        for sql in _FILLED:
            store.execute(sql.replace("{day}", f"DATE '{INDEX_DATE}'").replace("{practices}", str(practices)))
    (folder / "made").touch()
    return folder


def size_in_words(folder: Path) -> str:
    """Say how many people and events there are."""
    from stratify.store import open_store

    with open_store(folder / "run.duckdb", temp_directory=folder / "scratch", read_only=True) as store:
        practices = store.scalar("SELECT count(*) FROM core.practice")
        spells = store.scalar("SELECT count(*) FROM core.apc_spell")
        appointments = store.scalar("SELECT count(*) FROM core.gp_appointment")
    return f"{practices} practices, {spells:,} hospital stays, {appointments:,} appointments"


def _build(folder: Path, out: Path, memory_limit: str | None) -> Stages:
    from stratify import metric_months, metric_run, publish
    from stratify.metric_book import feeds_of, load_metrics
    from stratify.rulebook import load_rule_book
    from stratify.store import open_store

    laps = Laps()
    book, declared = load_rule_book(), load_metrics()
    shutil.copyfile(folder / "run.duckdb", out / "run.duckdb")
    context = publish.PublishContext(
        run_id="bench",
        index_date=INDEX_DATE,
        is_test=True,
        pathways=book.published,
        scores=book.for_pathways.scores,
        data_cutoffs={feed: INDEX_DATE for each in declared for feed in feeds_of(each)},
        purpose="case_finding",
        withheld=[],
        code_version="bench",
        rule_digest=book.digest,
        contact="the team",
    )
    laps.end("definitions")
    with open_store(
        out / "run.duckdb", temp_directory=out / "scratch", memory_limit=memory_limit or "2GB", threads=2
    ) as store:
        found = metric_months.with_months(store, metric_run.counted(store, declared, context, book))
        laps.end("metrics counted")
        publish.build_counts(store, context, found, signature="Not signed")
        laps.end("hidden and rounded")
        publish.write_commissioner_file(store, out / "commissioners", context)
        laps.end("files written")
        dashboard = (out / "commissioners" / "dashboard.html").stat().st_size
        print(f"dashboard: {dashboard / 1e6:.2f} MB", file=sys.stderr)
        if dashboard > MOST_DASHBOARD:
            raise RuntimeError("the dashboard is over 5 MB: the benchmark writes nothing")
        if found.refused or not store.scalar("SELECT count(*) FROM out.metric_value WHERE value IS NOT NULL"):
            raise RuntimeError("a metric is not counted, or no value is shown: the benchmark writes nothing")
    return laps.seconds


JOBS = {BUILD: _build}

_DERIVED = (
    "derived.placement", "derived.pathway_decision", "derived.patient_score", "derived.variable_value",
    "audit.transition", "audit.withheld",
)  # fmt: skip
_PEOPLE = """
CREATE TEMP TABLE one AS
SELECT i, md5(i::VARCHAR) AS patient_key, 'Y' || lpad((i % $2)::VARCHAR, 5, '0') AS practice_code,
    (hash(i) % 95)::INTEGER AS age
FROM range($1) AS r(i)
"""
_FILLED = (
    """INSERT INTO core.practice BY NAME
    SELECT 'Y' || lpad(p::VARCHAR, 5, '0') AS practice_code, 'Practice ' || p AS practice_name,
        'U' || lpad((p // 5)::VARCHAR, 5, '0') AS pcn_code, 'Network ' || p // 5 AS pcn_name, 'QXX' AS icb_code,
        {day} - 3000 AS valid_from, 'b' AS source_file_id, p + 2 AS source_row FROM range({practices}) AS r(p)""",
    """INSERT INTO core.person BY NAME
    SELECT patient_key, {day} - age * 365 - 100 AS date_of_birth, age AS age_years,
        CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END AS sex,
        (['A', 'H', 'M', 'D', 'R', 'Z'])[1 + (hash(i, 1) % 6)::INTEGER] AS ethnic_category,
        CASE WHEN i % 50 > 0 THEN 1 + (hash(i, 2) % 10)::INTEGER END AS imd_decile, practice_code,
        'registered' AS person_status, true AS is_hospital_linked, false AS is_spine_sensitive,
        i % 40 > 0 AS may_be_counted, 'b' AS source_file_id, i + 2 AS source_row FROM one""",
    """INSERT INTO core.registration BY NAME
    SELECT patient_key, practice_code AS org_code, 'r' || i AS source_registration_id, practice_code,
        'REGULAR' AS registration_type, {day} - 2500 AS start_date, 'b' AS source_file_id, i + 2 AS source_row
    FROM one""",
    """INSERT INTO core.apc_spell BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i || '-' || n AS spell_id, {day} - 1 -
        (hash(i, n, 21) % 730)::INTEGER AS admission_date, admission_date + (hash(i, n,
        22) % 9)::INTEGER AS discharge_date, '21' AS admission_method,
        i % 2 = 0 AS is_emergency, 1 AS episode_count, 'b' AS source_file_id, n AS source_row
    FROM one, range((hash(i, 3) % 2)::BIGINT) AS r(n)""",
    """INSERT INTO core.ed_attendance BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i || '-' || n AS attendance_id, {day} - INTERVAL 1 HOUR -
        INTERVAL 1 HOUR * (hash(i, n, 23) % 17000)::INTEGER AS arrival_at,
        CASE WHEN i % 3 = 0 THEN '01' ELSE '03' END AS department_type, '1' AS attendance_category,
        'b' AS source_file_id, n AS source_row
    FROM one, range((hash(i, 4) % 3)::BIGINT) AS r(n)""",
    """INSERT INTO core.op_attendance BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i || '-' || n AS attendance_id, {day} - 1 -
        (hash(i, n, 24) % 730)::INTEGER AS appointment_date, '5' AS attended,
        (1 + n % 2)::VARCHAR AS first_attendance, 'b' AS source_file_id,
        n AS source_row FROM one, range((hash(i, 5) % 5)::BIGINT) AS r(n)""",
    """INSERT INTO core.gp_appointment BY NAME
    SELECT patient_key, practice_code AS org_code, i || '-' || n AS source_slot_id, {day} - INTERVAL 1 HOUR -
        INTERVAL 1 HOUR * (hash(i, n, 25) % 17000)::INTEGER AS start_at, 'ATTENDED' AS status, 'b' AS source_file_id,
        n AS source_row FROM one, range((hash(i, 6) % 19)::BIGINT) AS r(n)""",
    """INSERT INTO core.community_contact BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i || '-' || n AS contact_id, {day} - 1 -
        (hash(i, n, 26) % 730)::INTEGER AS contact_date, 'therapy' AS team, '5' AS attended, 'b' AS source_file_id,
        n AS source_row
    FROM one, range((hash(i, 7) % 5)::BIGINT) AS r(n)""",
    """INSERT INTO core.referral BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i::VARCHAR AS referral_id, {day} - 60 - (i % 300)::INTEGER AS
        referral_date, referral_date + (i % 50)::INTEGER AS first_seen_date, 'falls' AS service, 'seen' AS status,
        'b' AS source_file_id, i AS source_row FROM one WHERE i % 5 = 0""",
    """INSERT INTO core.home_visit_request BY NAME
    SELECT patient_key, practice_code AS org_code, i::VARCHAR AS request_id, {day} - INTERVAL 1 DAY *
        (i % 300)::INTEGER AS requested_at, 'care_home' AS requested_by, 'b' AS source_file_id, i AS source_row
    FROM one WHERE i % 30 = 0""",
    """INSERT INTO core.care_home_bed BY NAME
    SELECT date_trunc('month', {day})::DATE AS month_start_date, practice_code || h AS care_home_id, practice_code,
        40 AS bed_count, 36 AS occupied_bed_count, 'b' AS source_file_id, h AS source_row
    FROM (SELECT DISTINCT practice_code FROM one), range(4) AS r(h)""",
    """INSERT INTO core.survey_result BY NAME
    SELECT 's' AS survey, practice_code, {day} - 200 AS period_end_date, 'gp_care_joined_up' AS question,
        {day} - 290 AS period_start_date, 110 AS answer_count, 70 AS positive_answer_count, 'b' AS source_file_id,
        2 AS source_row FROM (SELECT DISTINCT practice_code FROM one)""",
    """INSERT INTO core.social_care_event BY NAME
    SELECT patient_key, 'E1' AS council_code, i::VARCHAR AS event_id, CASE WHEN i % 2 = 0 THEN 'long_term_care_home'
        ELSE 'reablement_after_discharge' END AS kind, {day} - 100 - (i % 300)::INTEGER AS start_date,
        'b' AS source_file_id, i AS source_row FROM one WHERE age >= 65 AND hash(i, 8) % 30 = 0""",
    """INSERT INTO core.death BY NAME
    SELECT patient_key, 'ONS' AS source, {day} - 1 - (i % 360)::INTEGER AS date_of_death, 'home' AS place_of_death,
        'b' AS source_file_id, i AS source_row FROM one WHERE hash(i, 9) % 100 = 0""",
    """INSERT INTO core.place_preference BY NAME
    SELECT patient_key, 'RXX' AS provider_code, 'w' AS record_id, date_of_death - 40 AS recorded_date,
        CASE WHEN hash(patient_key) % 3 = 0 THEN 'hospice' ELSE 'home' END AS preferred_place, 'b' AS source_file_id,
        source_row FROM core.death WHERE hash(patient_key) % 2 = 0""",
    """INSERT INTO derived.pathway_decision BY NAME
    SELECT patient_key, pathway, '1.0.0' AS pathway_version, (['clinic', 'self_management', 'assessment', 'excluded'])
        [1 + (hash(i, pathway) % 4)::INTEGER] AS decision, (['HR', 'LR', 'NR'])[1 + (hash(i,
        11) % 3)::INTEGER] AS tier
    FROM one, (SELECT unnest(['copd', 'diabetes', 'frailty', 'diabetes_prevention']) AS pathway)
    WHERE hash(i, pathway, 12) % 20 = 0""",
    """INSERT INTO derived.placement BY NAME
    SELECT patient_key, pathway, decision, (['listed', 'waiting', 'offered', 'not_listed'])[1 + (hash(patient_key,
        pathway) % 4)::INTEGER] AS placement, {day} - (hash(patient_key) % 60)::INTEGER AS waiting_since
    FROM derived.pathway_decision""",
    """INSERT INTO audit.transition BY NAME
    SELECT {day} - 7 * n::INTEGER AS week, patient_key, pathway, n AS position, 'new' AS from_state,
        (['listed', 'offered', 'activated', 'attended'])[1 + (hash(patient_key, n) % 4)::INTEGER] AS to_state,
        {day} - 7 * n::INTEGER AS effective_date, CASE WHEN n % 2 = 0 THEN (['attended', 'did_not_attend',
        'declined'])
        [1 + (hash(patient_key, n) % 3)::INTEGER] END AS outcome, 'answer' AS cause
    FROM derived.placement, range(1, 10) AS r(n)""",
    """INSERT INTO derived.patient_score BY NAME
    SELECT patient_key, 'diabetes_care_processes_8' AS score,
        CASE WHEN i % 3 = 0 THEN 'all' ELSE 'not_all' END AS tier
    FROM one WHERE hash(i, 13) % 14 = 0""",
    """INSERT INTO derived.variable_value BY NAME
    SELECT patient_key, variable, 1.0 AS value, 'known' AS state FROM derived.patient_score, (SELECT unnest([
        'hba1c_of_the_year', 'systolic_blood_pressure', 'diastolic_blood_pressure', 'cholesterol_of_the_year',
        'creatinine_of_the_year', 'has_foot_check_of_the_year', 'has_smoking_status_of_the_year',
        'body_mass_index_of_the_year', 'albumin_creatinine_ratio_of_the_year', 'copd_emergency_admissions_count'])
        AS variable) WHERE hash(patient_key, variable) % 5 > 0""",
)
