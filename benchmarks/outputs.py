"""What practices get, from a run that is ready to be published: lists, pages, meeting packs, letters, FHIR bundles.

``--people`` counts those on a list; as many are offered something, half as many wait, and as many again are on a
pathway and not called. Everybody has reasons, medicines, measurements, admissions and contacts as a long-term patient
has them. Records are invented at random, so that no reckoning of ours makes them.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from benchmarks.laps import Laps, Stages

INDEX_DATE = date(2026, 11, 2)
PRACTICES = 200
OUTPUTS = "all outputs of 200 practices"


def invent_run(scratch: Path, listed: int) -> Path:
    """Invent the store of a run whose stages are done, once a folder."""
    folder = scratch / "run"
    if (folder / "made").exists():
        return folder
    from stratify import contracts
    from stratify.rulebook import load_rule_book
    from stratify.store import open_store

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open_store(folder / "run.duckdb", temp_directory=folder / "scratch") as store:
        store.attach(folder / "identity.duckdb", "identity")
        for name in _TABLES:
            store.define(contracts.load(name))
        store.execute(
            "CREATE TABLE identity.feedback_words (entry_number BIGINT, practice_code VARCHAR, words VARCHAR)"
        )
        store.execute("SELECT setseed(0.5)")
        store.execute("SET threads = 1")  # random rows in one order
        labels = [(each.id, each.label) for each in load_rule_book().variables.values()][:40]
        store.execute(_FACT, [[name for name, _ in labels], [label for _, label in labels]])
        store.execute(_PEOPLE, [listed, PRACTICES])
        for sql in _FILLED:
            store.execute(sql.replace("{day}", f"DATE '{INDEX_DATE}'"))
        store.execute(_PRACTICE, [PRACTICES])
    (folder / "made").touch()
    return folder


def size_in_words(folder: Path) -> str:
    """Say how many people are listed and how many are on a pathway."""
    from stratify.store import open_store

    with open_store(folder / "run.duckdb", temp_directory=folder / "scratch", read_only=True) as store:
        people = store.scalar("SELECT count(*) FROM derived.placement")
    return f"all of them on a list, of {people:,} on a pathway, {PRACTICES} practices"


def _write(folder: Path, out: Path, memory_limit: str | None) -> Stages:
    from stratify import feedback_run, page_lock, publish
    from stratify.rulebook import load_rule_book
    from stratify.store import open_store
    from stratify.wording import load_wording

    laps = Laps()
    book, wording = load_rule_book(), load_wording()
    for name in ("run", "identity"):
        shutil.copyfile(folder / f"{name}.duckdb", out / f"{name}.duckdb")
    context = publish.PublishContext(
        run_id="bench",
        index_date=INDEX_DATE,
        is_test=True,
        pathways=book.published,
        scores=book.for_pathways.scores,
        data_cutoffs={"landing.gp_event": INDEX_DATE, "landing.apc_episode": INDEX_DATE},
        purpose="direct_care",
        withheld=[],
        code_version="bench",
        rule_digest=book.digest,
        contact="the team",
        actions=wording.agenda.actions if wording.agenda else (),
        practice_phones={f"Y{number:05}": "01632 960 001" for number in range(PRACTICES)},
    )
    laps.end("definitions")
    with open_store(
        out / "run.duckdb", temp_directory=out / "scratch", memory_limit=memory_limit or "2GB", threads=2
    ) as store:
        store.attach(out / "identity.duckdb", "identity")
        lock = page_lock.Lock(page_lock.Passphrases(page_lock.THROWAWAY_PASSPHRASE), context.run_id)
        pages = publish.TeamPages(store, context, book, wording.agenda, lock)
        files = publish.write_direct_care(store, out / "lists", context, pages)
        laps.end("lists, offers and team pages")
        files += feedback_run.write_forms(store, out / "lists", context)
        laps.end("feedback forms")
        files += publish.write_packs(store, out / "lists", context, book, wording.agenda)
        laps.end("meeting packs")
        files += publish.write_letters(store, out / "lists", context, wording.letters)
        laps.end("letters")
        files += publish.write_bundles(store, out / "lists", context, book)
        laps.end("FHIR bundles")
    if len(files) < PRACTICES:
        raise RuntimeError("fewer files than practices: the benchmark writes nothing")
    return laps.seconds


JOBS = {OUTPUTS: _write}

_TABLES = (
    "core.person", "core.practice", "core.clinic_capacity", "core.gp_observation", "core.apc_spell", "core.death",
    "core.gp_medication", "core.community_contact", "core.referral", "core.patient_flag", "core.outcome",
    "derived.placement", "derived.pathway_decision", "derived.reason", "derived.explanation", "derived.variable_value",
    "derived.clinic_session", "audit.list_row", "audit.transition", "audit.action", "audit.answer", "audit.delivery",
    "audit.withheld", "audit.feedback",
)  # fmt: skip
_FACT = """
CREATE TEMP TABLE fact AS SELECT row_number() OVER () - 1 AS n, * FROM (SELECT unnest($1) AS id, unnest($2) AS label)
"""
_PEOPLE = """
CREATE TEMP TABLE one AS
SELECT i, md5(i::VARCHAR) AS patient_key, 'Y' || lpad((i % $2)::VARCHAR, 5, '0') AS practice_code,
    CASE WHEN i % 7 < 2 THEN 'listed' WHEN i % 7 < 4 THEN 'offered' WHEN i % 7 < 5 THEN 'waiting' ELSE 'not_listed'
    END AS placement, CASE WHEN hash(i) % 5 < 2 THEN 'copd' ELSE 'frailty' END AS pathway,
    55 + (hash(i) % 40)::INTEGER AS age
FROM range($1 * 7 // 2) AS r(i)
"""
_FILLED = (
    """INSERT INTO core.person BY NAME
    SELECT patient_key, {day} - age * 365 AS date_of_birth, age AS age_years, CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END
    AS sex, 1 + (i % 10)::INTEGER AS imd_decile, CASE WHEN random() < 0.1 THEN 'pl' ELSE 'en' END AS preferred_language,
    random() < 0.05 AS interpreter_needed, CASE WHEN random() < 0.03 THEN 'large print' END AS ais_format,
    ['sms', 'letter', 'phone', 'nhs_app'][1 + (i % 4)::INTEGER] AS contact_preference, true AS has_digital_access,
    practice_code, 'U00001' AS pcn_code, 'G' || i % 9 AS usual_gp_id, 'registered' AS person_status, true AS
    is_hospital_linked, false AS is_spine_sensitive, true AS may_be_counted, 'b' AS source_file_id, i + 2 AS source_row
    FROM one""",
    """CREATE TABLE identity.person AS
    SELECT patient_key, 1::BIGINT AS key_version, '999' || lpad(i::VARCHAR, 7, '0') AS nhs_number,
    'present_verified' AS nhs_number_status, 'Family' || i AS family_name, 'Given Names' AS given_names, 'Mx' AS title,
    '07700900' || lpad((i % 1000)::VARCHAR, 3, '0') AS phone_mobile, NULL::VARCHAR AS email,
    i || ' Long Street, A Town' AS address_lines, 'ZZ1 1ZZ' AS postcode, {day} - age * 365 AS date_of_birth FROM one""",
    """INSERT INTO derived.placement BY NAME
    SELECT patient_key, pathway, practice_code, CASE placement WHEN 'offered' THEN 'self_management' WHEN 'not_listed'
    THEN 'excluded' ELSE 'clinic' END AS decision,
    CASE WHEN placement IN ('listed', 'waiting') THEN pathway || '_clinic' END AS clinic_id,
    CASE WHEN placement = 'offered' THEN if(pathway = 'copd', 'copd_app', 'frailty_self_management') END AS offer_id,
    placement, 'Has a place, or why not in a sentence of usual length' AS placement_reason,
    CASE WHEN placement = 'listed' THEN {day} + 2 END AS clinic_date,
    CASE WHEN placement IN ('listed', 'waiting')
        THEN row_number() OVER (PARTITION BY practice_code, pathway, placement ORDER BY i) END AS priority_rank,
    CASE WHEN i % 3 = 0 THEN 'Frailty' END AS other_needs,
    CASE placement WHEN 'not_listed' THEN NULL ELSE placement END AS state, 'New on the pathway' AS since_last_week
    FROM one""",
    """INSERT INTO derived.pathway_decision BY NAME
    SELECT patient_key, pathway, '1.0.0' AS pathway_version, p.decision, p.clinic_id, 'rule' AS rule_id,
    'In one of the two highest priority groups' AS reason, CASE pathway WHEN 'copd' THEN 'HR' ELSE 'severe' END AS tier,
    2 AS tier_rank, CASE WHEN i % 4 = 0 THEN 'MRC grade is older than 15 months;Weight is missing' END AS data_gaps
    FROM one JOIN derived.placement AS p USING (patient_key, pathway)""",
    """INSERT INTO derived.reason BY NAME
    SELECT patient_key, pathway, position, f.id AS variable, f.label || ' on 12 March 2026, so it says' AS text
    FROM one, range(1, 9) AS p(position), fact AS f WHERE f.n = (i + position * 5) % 40""",
    """INSERT INTO derived.variable_value BY NAME
    SELECT patient_key, variable, 1 + (hash(patient_key, variable) % 80)::DOUBLE AS value, 'known' AS state,
    {day} - 200 AS value_date, 1 AS record_count, 'gp_event' AS source_table, '195951007' AS source_code
    FROM derived.reason""",
    """INSERT INTO derived.explanation BY NAME
    SELECT patient_key, pathway, 'You have been in hospital.' || chr(10) || 'You use many medicines.' AS plain_reason,
    'We do not know your weight.' AS plain_missing, 'two facts were other than they are' AS off_list_when FROM one""",
    """INSERT INTO core.gp_observation BY NAME
    SELECT patient_key, 'Y' AS org_code, i || '-' || n AS source_event_id, {day} - (n * 40)::INTEGER AS effective_date,
    'YMD' AS effective_precision,
    ['fev1_percent_predicted', 'hba1c', 'body_weight', 'egfr', 'mrc_grade', 'systolic_blood_pressure'][1 + n % 6]
    AS measurement, 30 + random() * 60 AS value_canonical, 'ok' AS value_status, 'b' AS source_file_id, n AS source_row
    FROM one, range(1, 25) AS r(n)""",
    """INSERT INTO core.apc_spell BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i || '-' || n AS spell_id, {day} - (n * 150)::INTEGER AS admission_date,
    '21' AS admission_method, true AS is_emergency, 1 AS episode_count, 'b' AS source_file_id, n AS source_row
    FROM one, range(1, 4) AS r(n)""",
    """INSERT INTO core.gp_medication BY NAME
    SELECT patient_key, 'Y' AS org_code, i || '-' || n AS source_issue_id, {day} - 5 - (n % 60)::INTEGER AS issue_date,
    'Generic medicine number ' || n % 11 || ' 92micrograms/dose inhaler' AS dmd_term, 'b' AS source_file_id, n AS
    source_row FROM one, range(1, 31) AS r(n)""",
    """INSERT INTO core.community_contact BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i || '-' || n AS contact_id, {day} - (n * 30)::INTEGER AS contact_date,
    ['district_nursing', 'podiatry'][1 + n % 2] AS team, '5' AS attended, 'b' AS source_file_id, n AS source_row
    FROM one, range(1, 9) AS r(n)""",
    """INSERT INTO core.referral BY NAME
    SELECT patient_key, 'RXX' AS provider_code, i::VARCHAR AS referral_id, {day} - 90 AS referral_date,
    'pulmonary_rehabilitation' AS service, 'waiting' AS status, 'b' AS source_file_id, i AS source_row
    FROM one WHERE i % 3 = 0""",
    """INSERT INTO core.outcome BY NAME
    SELECT 'o' || i AS outcome_id, patient_key, pathway, pathway || '_clinic' AS clinic_id, practice_code,
    'LIST_RETURN' AS source, 'accepted' AS outcome, {day} - 3 AS outcome_date, 'b' AS source_file_id, i AS source_row
    FROM one WHERE placement = 'listed' AND i % 4 < 3""",
    """INSERT INTO audit.list_row BY NAME
    SELECT {day} - 7 AS week, 'before' AS run_id, upper(patient_key[:12]) AS row_reference, patient_key, pathway,
    practice_code, pathway || '_clinic' AS clinic_id, 'listed' AS placement, 'Had a place' AS placement_reason
    FROM one WHERE placement IN ('listed', 'waiting')""",
    """INSERT INTO audit.transition BY NAME
    SELECT {day} - 7 * n::INTEGER AS week, 'before' AS run_id, patient_key, pathway, n AS position, practice_code,
    'new' AS from_state, 'listed' AS to_state, {day} - 7 * n::INTEGER AS effective_date, 'placed' AS cause,
    'On the list of the clinic' AS cause_text, 'stratify' AS by FROM one, range(1, 4) AS r(n)""",
    """INSERT INTO audit.action BY NAME
    SELECT i::VARCHAR AS statement_id, {day} - 7 AS week, upper(patient_key[:12]) AS row_reference,
    'Pulmonary rehabilitation' AS action, patient_key, practice_code, pathway || '_clinic' AS clinic_id,
    'physiotherapist' AS owner_role, {day} - 5 + (i % 20)::INTEGER AS due_date, i % 5 = 0 AS is_done,
    'b' AS source_file_id, i AS source_row FROM one WHERE i % 14 = 0""",
    """INSERT INTO core.clinic_capacity BY NAME
    SELECT clinic_id, practice_code, {day} + 2 AS clinic_date, role, 60 AS slots, 20 AS minutes_per_slot, 'Room 4' AS
    venue, 'b' AS source_file_id, 2 AS source_row FROM (SELECT DISTINCT practice_code FROM one),
    (SELECT unnest(['copd_clinic', 'frailty_clinic']) AS clinic_id), (SELECT unnest(['gp', 'pharmacist']) AS role)""",
    """INSERT INTO derived.clinic_session BY NAME
    SELECT DISTINCT clinic_id, practice_code, clinic_date, 60 AS places FROM core.clinic_capacity""",
)
_PRACTICE = f"""
INSERT INTO core.practice BY NAME
SELECT 'Y' || lpad(p::VARCHAR, 5, '0') AS practice_code, 'Practice ' || p AS practice_name, 'U00001' AS pcn_code,
    'River Network' AS pcn_name, 'QXX' AS icb_code, DATE '{INDEX_DATE}' - 3000 AS valid_from, 'b' AS source_file_id,
    p + 2 AS source_row FROM range($1) AS r(p)
"""
