"""The bare reference: the CSV files to typed tables, to what is known of each person, to scores and tiers, to Parquet.

Plain DuckDB and nothing else: no checks, no evidence, no objections, no doubts, no lists. What the definitions say
(codes, windows, units) is given to it as two Parquet files (:func:`write_definitions`), and the conditions of the
groups are written out. Five scores: those that the tiers of the COPD, diabetes and frailty pathways and their
clinics come from, and the Charlson index.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from benchmarks import loading
from benchmarks.laps import Laps, Stages

SCORES = (
    "charlson_quan_2011",
    "copd_priority_group",
    "diabetes_priority_group",
    "efi",
    "hospital_frailty",
)
_CODES, _MEASURED = "definition_codes.parquet", "definition_values.parquet"
ANSWERS = "bare.parquet"


def write_definitions(folder: Path, index_date: date) -> None:
    """Write what the scores read, from the rule book: codes with their windows, and codes and units of values."""
    import polars as pl

    from stratify import hits
    from stratify.rulebook import load_rule_book

    book = load_rule_book(None).cut_down_to(*SCORES)
    read = {records.what for variable in book.variables.values() for records in variable.records}
    codes: list[tuple] = []
    for variable in book.variables.values():
        start, _ = hits.window(variable, index_date)
        for records in variable.records:
            codes += _codes_of(book, records, variable.id, start)
        if variable.ended_by:
            listed = book.codelists[variable.ended_by]
            codes += [(variable.id, "event", listed.match, code, True, start, 0.0) for code in listed.codes]
    columns = ("variable", "kind", "match", "code", "is_end", "start_date", "weight")
    pl.DataFrame(codes, columns, orient="row").unique().sort(pl.all()).write_parquet(folder / _CODES)
    values: list[tuple] = []
    for each in book.resolved_measurements():
        if each.id not in read:
            continue
        words = [(word, times, plus) for said, times, plus in each.units for word in said]
        words += [(each.unit, 1.0, 0.0)] + ([] if each.is_unit_required else [("", 1.0, 0.0)])
        ways = {" ".join(word.lower().split()): (times, plus) for word, times, plus in words}
        edges = (each.minimum, each.maximum)
        values += [
            (code, each.id, word, times, plus + each.offset_codes.get(code, 0.0), *edges, None, [*each.not_done])
            for code in sorted(each.codes - set(each.grades))
            for word, (times, plus) in ways.items()
        ]
        values += [(code, each.id, "", 1.0, 0.0, *edges, grade, []) for code, grade in each.grades.items()]
    columns = ("code", "measurement", "word", "times", "plus", "least", "most", "grade", "not_done")
    schema = dict.fromkeys(columns, pl.Float64) | dict.fromkeys(("code", "measurement", "word"), pl.String)
    schema |= {"not_done": pl.List(pl.Float64)}
    pl.DataFrame(values, schema, orient="row", strict=False).write_parquet(folder / _MEASURED)


def _codes_of(book, records, variable: str, start: date) -> list[tuple]:
    if records.what not in book.codelists:
        return [] if records.kind == "measurement" else [(variable, records.kind, "any", "", False, start, 0.0)]
    listed = book.codelists[records.what]
    kind = f"issue_{listed.system}" if records.kind == "issue" else records.kind
    without = set(book.codelists[records.excluding].codes) if records.excluding else set()
    return [
        (variable, kind, listed.match, code, False, start, listed.weights.get(code, 0.0))
        for code in sorted(set(listed.codes) - without)
    ]


def bare(extracts: Path, out: Path, memory_limit: str | None) -> Stages:
    """Do all of it; the answers stay beside the inputs for comparison."""
    import duckdb

    stages = loading.plain_load(extracts, out, memory_limit)
    laps = Laps()
    with duckdb.connect(str(out / "plain.duckdb"), config={"memory_limit": memory_limit} if memory_limit else {}) as db:
        said = {"codes": extracts.parent / _CODES, "values": extracts.parent / _MEASURED, "day": loading.INDEX_DATE}
        for name, sql in _FEATURES.items():
            db.execute(sql.format(**said)).fetchall()
            laps.end(name)
        for name in SCORES:
            db.execute(f"COPY ({_SCORES[name]}) TO '{out / name}.parquet'").fetchall()
        laps.end("scores to Parquet")
    stages = {"plain typed load": round(sum(stages.values()), 3)} | laps.seconds
    kept = extracts.parent / ANSWERS
    kept.unlink(missing_ok=True)
    union = " UNION ALL ".join(f"SELECT '{name}' AS score, * FROM '{out / name}.parquet'" for name in SCORES)
    duckdb.execute(f"COPY ({union}) TO '{kept}'").fetchall()
    return stages


_FIRST_DAY = (
    "CASE effective_precision WHEN 'Y' THEN date_trunc('year', effective_date)::DATE "
    "WHEN 'YM' THEN date_trunc('month', effective_date)::DATE ELSE effective_date END"
)
_EMERGENCY = "('21', '22', '23', '24', '25', '28', '2A', '2D')"

_FEATURES = {
    "people": """CREATE TABLE person_of AS
        SELECT org_code, source_patient_id, coalesce(nhs_number, org_code || '|' || source_patient_id) AS person,
            date_of_birth FROM patient;
        CREATE TABLE person AS SELECT person, date_diff('year', born, DATE '{day}')
            - (strftime(born, '%m%d') > strftime(DATE '{day}', '%m%d'))::INTEGER AS age_years
        FROM (SELECT person, min(date_of_birth) AS born FROM person_of GROUP BY ALL)""",
    "codes": """CREATE TABLE meant AS
        SELECT DISTINCT d.code, variable, l.kind, is_end, start_date, weight FROM '{codes}' AS l JOIN (
            SELECT 'event' AS kind, snomed_code AS code FROM gp_event UNION SELECT 'event', snomed_code
            FROM gp_observation UNION SELECT 'issue_bnf', bnf_code FROM gp_medication UNION SELECT 'issue_dmd', dmd_code
            FROM gp_medication UNION SELECT kind, code FROM (SELECT DISTINCT unnest([diag_01, diag_02, diag_03, diag_04,
            diag_05, diag_06, diag_07, diag_08, diag_09, diag_10, diag_11, diag_12, diag_13, diag_14, diag_15, diag_16,
            diag_17, diag_18, diag_19, diag_20]) AS code FROM apc_episode),
            (VALUES ('emergency_admission'), ('hospital_diagnosis'), ('inpatient_diagnosis')) AS v(kind)) AS d
        ON d.kind = l.kind AND CASE l.match WHEN 'exact' THEN d.code = l.code WHEN 'prefix'
            THEN starts_with(d.code, l.code) WHEN 'category' THEN left(d.code, 3) = l.code
            ELSE d.code IS NOT NULL END""",
    "records of the GP": f"""CREATE TABLE record AS
        SELECT person, variable, is_end, day FROM (
            SELECT org_code, source_patient_id, snomed_code AS code, {_FIRST_DAY} AS day, 'event' AS kind FROM gp_event
            WHERE NOT is_deleted AND NOT is_confidential
            UNION ALL SELECT org_code, source_patient_id, snomed_code, {_FIRST_DAY}, 'event' FROM gp_observation
            WHERE NOT is_deleted AND NOT is_confidential)
        JOIN meant USING (code, kind) JOIN person_of USING (org_code, source_patient_id)
        WHERE day >= start_date AND day < DATE '{{day}}';
        INSERT INTO record SELECT person, variable, is_end, issue_date FROM (
            SELECT org_code, source_patient_id, issue_date, bnf_code, dmd_code FROM gp_medication
            WHERE NOT is_deleted AND issue_date >= DATE '{{day}}' - INTERVAL 12 MONTH) AS m
        JOIN meant ON kind = 'issue_bnf' AND code = bnf_code JOIN person_of USING (org_code, source_patient_id)
        WHERE issue_date >= start_date AND issue_date < DATE '{{day}}';
        INSERT INTO record SELECT person, variable, is_end, issue_date FROM (
            SELECT org_code, source_patient_id, issue_date, bnf_code, dmd_code FROM gp_medication
            WHERE NOT is_deleted AND issue_date >= DATE '{{day}}' - INTERVAL 12 MONTH) AS m
        JOIN meant ON kind = 'issue_dmd' AND code = dmd_code JOIN person_of USING (org_code, source_patient_id)
        WHERE issue_date >= start_date AND issue_date < DATE '{{day}}'""",
    "medicines": """CREATE TABLE medicines AS
        SELECT person, count(DISTINCT coalesce(left(bnf_code, 9), dmd_code, original_code)) AS medicines_count
        FROM gp_medication JOIN person_of USING (org_code, source_patient_id)
        WHERE NOT is_deleted AND issue_date >= DATE '{day}' - INTERVAL 12 MONTH AND issue_date < DATE '{day}'
        GROUP BY person""",
    "records of hospitals": f"""CREATE TABLE spell AS
        SELECT provider_code, spell_id, first(nhs_number ORDER BY episode_order, cds_unique_id) AS person,
            first(diag_01 ORDER BY episode_order, cds_unique_id) AS code,
            first(admission_date ORDER BY episode_order, cds_unique_id) AS day,
            first(admission_method ORDER BY episode_order, cds_unique_id) IN {_EMERGENCY} AS is_emergency
        FROM apc_episode WHERE NOT is_deleted GROUP BY ALL;
        CREATE TABLE diagnosis AS SELECT e.nhs_number AS person, day, is_emergency, unnest([diag_01, diag_02, diag_03,
            diag_04, diag_05, diag_06, diag_07, diag_08, diag_09, diag_10, diag_11, diag_12, diag_13, diag_14, diag_15,
            diag_16, diag_17, diag_18, diag_19, diag_20]) AS code
        FROM apc_episode AS e JOIN spell USING (provider_code, spell_id)
        WHERE NOT is_deleted AND day >= DATE '{{day}}' - INTERVAL 24 MONTH AND day < DATE '{{day}}';
        INSERT INTO record SELECT person, variable, is_end, day FROM spell JOIN meant USING (code)
        WHERE kind = 'emergency_admission' AND is_emergency AND day >= start_date AND day < DATE '{{day}}';
        INSERT INTO record SELECT person, variable, is_end, day FROM diagnosis JOIN meant USING (code)
        WHERE kind = 'inpatient_diagnosis' AND day >= start_date""",
    "what is known of each person": """CREATE TABLE fact AS
        SELECT person, variable, max(day) FILTER (NOT is_end) AS day, max(day) FILTER (is_end) AS end_day,
            min(day) AS first_day, count(DISTINCT day) AS days FROM record GROUP BY ALL
        HAVING coalesce(max(day) FILTER (NOT is_end) >= max(day) FILTER (is_end), NOT bool_and(is_end));
        CREATE TABLE flare_up AS SELECT person, count(*) AS flare_ups FROM (
            SELECT person, day, lag(day) OVER (PARTITION BY person ORDER BY day) AS before
            FROM (SELECT DISTINCT person, day FROM record WHERE variable = 'copd_exacerbations_count'))
        WHERE before IS NULL OR day > before + 14 GROUP BY person""",
    "values": f"""CREATE TABLE measured AS
        SELECT person, measurement, value, day FROM (
            SELECT org_code, source_patient_id, parent_event_id, measurement, {_FIRST_DAY} AS day,
                CASE WHEN comparator IS NULL OR comparator <> '~' THEN round(value_num * times + plus, 6) END AS value,
                value_num, least, most, not_done
            FROM gp_observation AS o JOIN '{{values}}' AS v ON o.snomed_code = v.code AND grade IS NULL
                AND word = coalesce(regexp_replace(lower(trim(unit_raw)), '\\s+', ' ', 'g'), '')
            WHERE NOT is_deleted AND NOT is_confidential) JOIN person_of USING (org_code, source_patient_id)
        WHERE value BETWEEN least AND most AND NOT list_contains(not_done, value_num)
            AND day >= DATE '{{day}}' - INTERVAL 24 MONTH AND day < DATE '{{day}}'
        WINDOW pair AS (PARTITION BY person, org_code, day, parent_event_id, measurement LIKE 'home%')
        QUALIFY measurement NOT LIKE '%stolic%' OR min(value) FILTER (WHERE measurement LIKE '%systolic%') OVER pair
            >= max(value) FILTER (WHERE measurement LIKE '%diastolic%') OVER pair
        UNION ALL SELECT person, measurement, grade, {_FIRST_DAY} FROM
            (SELECT org_code, source_patient_id, snomed_code, effective_date, effective_precision FROM gp_event
             WHERE NOT is_deleted AND NOT is_confidential UNION ALL SELECT org_code, source_patient_id, snomed_code,
             effective_date, effective_precision FROM gp_observation WHERE NOT is_deleted AND NOT is_confidential)
        JOIN '{{values}}' AS v ON snomed_code = v.code AND grade IS NOT NULL
        JOIN person_of USING (org_code, source_patient_id)
        WHERE effective_date >= DATE '{{day}}' - INTERVAL 24 MONTH AND effective_date < DATE '{{day}}';
        CREATE TABLE latest AS SELECT person, regexp_replace(measurement, '^home_', '') AS measurement, max(day) AS day,
            arg_max(value, {{{{d: day, v: -value}}}}) AS value FROM measured GROUP BY ALL""",
}


def _flags(prefix: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"coalesce(bool_or({prefix} = '{name}'), false) AS {name}" for name in names)


_COPD = (
    "is_on_copd_register",
    "has_home_oxygen",
    "has_cor_pulmonale",
    "has_single_triple_inhaler",
    "has_inhaled_corticosteroid",
    "has_lama",
    "has_laba",
)
_COUNTED = ("rescue_antibiotic_issues_count", "prednisolone_issues_count", "azithromycin_issues_count")
_DIABETES = (
    "is_on_diabetes_register",
    "has_coronary_heart_disease",
    "has_heart_failure",
    "has_atrial_fibrillation",
    "has_insulin_or_glp1_agonist",
    "has_foot_ulcer_in_three_years",
    "has_heart_attack_stroke_or_tia_in_year",
    "has_diabetic_retinopathy",
    "has_diabetic_neuropathy",
    "has_peripheral_arterial_disease",
)
_NEW = ("has_first_myocardial_infarction_in_year", "has_first_stroke_or_tia_in_year")


def _latest(**months: int) -> str:
    fields = ", ".join(
        f"any_value(value) FILTER (measurement = '{name}' AND day >= DATE '{loading.INDEX_DATE}' "
        f"- INTERVAL {limit} MONTH) AS {name}"
        for name, limit in months.items()
    )
    return f"(SELECT person, {fields} FROM latest GROUP BY person)"


_CHARLSON = {
    2: ("congestive_heart_failure", "dementia", "hemiplegia_or_paraplegia"),
    1: ("chronic_pulmonary_disease", "rheumatic_disease", "diabetes_with_chronic_complication", "renal_disease"),
    4: ("moderate_or_severe_liver_disease", "aids_hiv"),
    6: ("metastatic_solid_tumour",),
}
_CONDITION = "coalesce(bool_or(variable = 'charlson_{}'), false)"
_CHARLSON_POINTS = " + ".join(
    [f"{points} * {_CONDITION.format(name)}::INTEGER" for points, names in _CHARLSON.items() for name in names]
    + [
        f"2 * ({_CONDITION.format(mild)} AND NOT {_CONDITION.format(grave)})::INTEGER"
        for mild, grave in (
            ("mild_liver_disease", "moderate_or_severe_liver_disease"),
            ("any_malignancy", "metastatic_solid_tumour"),
        )
    ]
)

_SCORES = {
    "charlson_quan_2011": f"""SELECT person, ({_CHARLSON_POINTS})::DOUBLE AS value, NULL::VARCHAR AS tier FROM fact
        GROUP BY person HAVING bool_or(variable = 'has_hospital_record')""",
    "efi": """SELECT person, deficits / 36 AS value, CASE WHEN deficits >= 13 THEN 'severe' WHEN deficits >= 9
            THEN 'moderate' WHEN deficits >= 5 THEN 'mild' ELSE 'fit' END AS tier
        FROM (SELECT person, coalesce(coded, 0) + coalesce(medicines_count >= 5, false)::INTEGER AS deficits FROM person
            LEFT JOIN (SELECT person, count(*) AS coded FROM fact WHERE starts_with(variable, 'efi_') GROUP BY person)
            USING (person) LEFT JOIN medicines USING (person) WHERE age_years >= 65)""",
    "hospital_frailty": """SELECT person, points AS value, CASE WHEN points > 15 THEN 'high' WHEN points >= 5
            THEN 'intermediate' ELSE 'low' END AS tier
        FROM (SELECT person, round(sum(weight), 1) AS points FROM (SELECT person, left(d.code, 3) AS category,
            coalesce(max(weight), 0) AS weight FROM diagnosis AS d LEFT JOIN meant AS m
            ON m.code = d.code AND kind = 'hospital_diagnosis'
            WHERE is_emergency AND d.code IS NOT NULL GROUP BY ALL) GROUP BY person)
        JOIN person USING (person) WHERE age_years >= 75""",
    "copd_priority_group": f"""SELECT person, NULL::DOUBLE AS value, CASE
            WHEN fev1_percent_predicted < 30 OR mrc_grade >= 5 OR has_home_oxygen THEN 'HRC'
            WHEN fev1_percent_predicted < 50 OR has_cor_pulmonale OR mrc_grade >= 4 OR flare_ups >= 2 THEN 'HR'
            WHEN fev1_percent_predicted < 80 OR mrc_grade >= 2 OR flare_ups >= 1 OR rescue_antibiotic_issues_count >= 2
                OR prednisolone_issues_count >= 1 OR azithromycin_issues_count >= 1 OR has_single_triple_inhaler
                OR (has_inhaled_corticosteroid AND has_lama AND has_laba) THEN 'MR' ELSE 'LR' END AS tier
        FROM (SELECT person, {_flags("variable", _COPD)}, {
        ", ".join(f"any_value(days) FILTER (variable = '{name}') AS {name}" for name in _COUNTED)
    }
            FROM fact GROUP BY person)
        LEFT JOIN {_latest(fev1_percent_predicted=24, mrc_grade=15)} USING (person) LEFT JOIN flare_up USING (person)
        WHERE is_on_copd_register""",
    "diabetes_priority_group": f"""SELECT person, NULL::DOUBLE AS value, CASE
            WHEN hba1c > 90 OR egfr < 15 OR acr > 250 OR (hba1c > 75 AND (has_coronary_heart_disease
                OR has_heart_failure OR has_atrial_fibrillation OR has_insulin_or_glp1_agonist)) THEN 'HRC'
            WHEN hba1c > 75 OR has_foot_ulcer_in_three_years OR {_NEW[0]} OR {
        _NEW[1]
    } OR egfr < 30 OR acr > 70 THEN 'HR'
            WHEN hba1c > 58 AND (has_heart_attack_stroke_or_tia_in_year OR egfr < 45 OR acr > 30 OR systolic >= 140
                OR diastolic >= 90) THEN 'MRa'
            WHEN hba1c > 58 OR (hba1c > 48 AND (has_diabetic_retinopathy OR has_diabetic_neuropathy OR has_heart_failure
                OR has_peripheral_arterial_disease OR has_insulin_or_glp1_agonist OR body_mass_index > 35 OR egfr < 50
                OR acr >= 3 OR systolic >= 140 OR diastolic >= 90)) THEN 'MRb' ELSE 'LR' END AS tier
        FROM (SELECT person, {_flags("variable", _DIABETES)}, {
        ", ".join(
            f"coalesce(bool_or(variable = '{name}' AND first_day >= DATE '{loading.INDEX_DATE}' - INTERVAL 12 MONTH), "
            f"false) AS {name}"
            for name in _NEW
        )
    } FROM fact GROUP BY person)
        LEFT JOIN (SELECT *, urine_albumin_creatinine_ratio AS acr, systolic_blood_pressure AS systolic,
            diastolic_blood_pressure AS diastolic FROM {
        _latest(
            hba1c=12,
            egfr=15,
            urine_albumin_creatinine_ratio=15,
            systolic_blood_pressure=12,
            diastolic_blood_pressure=12,
            body_mass_index=24,
        )
    }) USING (person)
        WHERE is_on_diabetes_register""",
}
