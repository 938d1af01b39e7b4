"""Core: who is in the run, where each person stands, what each value is worth, and what identity keeps."""

import dataclasses
from datetime import date

import pytest
from extract_set import (
    CANONICAL,
    CASE_FINDING,
    COPD,
    COUNTY,
    DIRECT_CARE,
    FEV1_PERCENT,
    INDEX_DATE,
    KEY,
    as_csv,
    built,
    episode,
    event,
    measurement,
    medication,
    nhs,
    observation,
    opened,
    opt_out,
    patient,
    practice,
    registration,
    rows_of,
    write_manifest,
)

from stratify import contracts, ingest, privacy
from stratify.errors import PrivacyError, RuleError

P1 = privacy.pseudonym(KEY, nhs(1))


def key_of(number):
    return privacy.pseudonym(KEY, nhs(number))


def people(store, *columns):
    """Chosen columns by person, the person as the number the test gave."""
    names = {key_of(number): number for number in range(1, 30)}
    rows = store.rows(f"SELECT patient_key, {', '.join(columns)} FROM core.person ORDER BY patient_key")
    return {names.get(key, key): values[0] if len(columns) == 1 else tuple(values) for key, *values in rows}


def several(count, changes_by_number, **own):
    """Patients 1 to count with a number and a registration each."""
    numbers = range(1, count + 1)
    patients = [patient(f"p{n}", nhs_number=nhs(n), **changes_by_number.get(n, {})) for n in numbers]
    return {"patient": patients, "registration": [registration(f"p{n}") for n in numbers]} | own


def test_core_tables_have_the_columns_and_types_of_their_contracts(tmp_path):
    with built(tmp_path) as store:
        for name in contracts.names("core"):
            described = store.rows(f"SELECT column_name, column_type FROM (DESCRIBE {name})")
            expected = [(column.name, column.type) for column in contracts.load(name).columns]
            assert described == expected, name


def test_every_row_says_where_it_came_from(tmp_path):
    with built(tmp_path, gp_event=[event("e0", org_code=""), event()]) as store:
        file_id = store.scalar("SELECT source_file_id FROM audit.source_file WHERE table_name = 'gp_event'")
        assert store.rows("SELECT source_event_id, source_file_id, source_row FROM core.gp_event") == [
            ("e1", file_id, 3)
        ]


def test_no_number_or_name_is_in_the_working_store(tmp_path):
    with built(tmp_path) as store:
        for name in contracts.names("core"):
            text = str(store.rows(f"SELECT * FROM {name}"))
            assert nhs(1) not in text and "CANARYNAME" not in text, name


def test_identity_keeps_the_person_with_the_version_of_the_key(tmp_path):
    with built(tmp_path) as store:
        assert store.rows(
            "SELECT patient_key, key_version, nhs_number, family_name, postcode FROM identity.person"
        ) == [(P1, privacy.key_fingerprint(KEY), nhs(1), "CANARYNAME", "ZZ1 1ZZ")]


def test_contact_and_location_of_an_s_flagged_person_are_left_out(tmp_path):
    """A flag that cannot be read is no leave to show an address."""
    with built(
        tmp_path, **several(3, {1: {"is_spine_sensitive": "true"}, 2: {"is_spine_sensitive": "perhaps"}})
    ) as store:
        rows = store.rows(
            "SELECT family_name, phone_mobile, email, address_lines, postcode FROM identity.person ORDER BY postcode"
        )
        assert rows == [
            ("CANARYNAME", "07700900000", None, None, "ZZ1 1ZZ"),
            *[("CANARYNAME", None, None, None, None)] * 2,
        ]
        assert people(store, "is_spine_sensitive") == {1: True, 2: True, 3: False}


def test_a_person_without_a_number_stays_under_a_local_key_and_is_not_linked(tmp_path):
    with built(tmp_path, patient=[patient(nhs_number="")], apc_episode=[episode()]) as store:
        local = privacy.local_pseudonym(KEY, "A10001", "p1")
        assert people(store, "is_hospital_linked", "person_status") == {local: (False, "registered")}
        assert store.rows("SELECT patient_key FROM core.gp_event") == [(local,)]
        assert store.rows("SELECT nhs_number FROM identity.person") == [(None,)]
        assert store.counts["apc_episode unlinked"] == 1


def test_nobody_is_linked_where_the_source_has_no_hospital_data(tmp_path):
    source = dataclasses.replace(COUNTY, not_supplied=("apc_episode",))
    with built(tmp_path, source=source) as store:
        assert people(store, "is_hospital_linked") == {1: False}


def test_a_faulty_value_is_left_out_and_its_row_stays(tmp_path):
    with built(tmp_path, gp_event=[event(effective_date="1900-01-01")]) as store:
        assert store.rows("SELECT snomed_code, effective_date, effective_precision FROM core.gp_event") == [
            (COPD, None, "U")
        ]


# Status


STATUS = [
    ("registered", {}, {}),
    ("registered_kind_unknown", {}, {"registration_type": ""}),
    ("registered_start_unknown", {}, {"start_date": ""}),
    ("registered_since_today", {}, {"start_date": "2026-01-04"}),
    ("died", {"date_of_death": "2025-12-01"}, {}),
    ("test_patient", {"is_test_patient": "true"}, {}),
    ("left", {}, {"end_date": "2026-01-05"}),
    ("registered_until_tomorrow", {}, {"end_date": "2026-01-06"}),
    ("temporary", {}, {"registration_type": "TEMPORARY"}),
    ("temporary_private", {}, {"registration_type": "PRIVATE"}),
    ("practice_unknown", {}, {"practice_code": "B99999"}),
    ("never_registered", {}, {"start_date": "2026-02-01"}),
    ("died_and_test", {"date_of_death": "2025-12-01", "is_test_patient": "true"}, {}),
    ("registered_open_end", {}, {"end_date": "9999-12-31"}),
]
EXPECTED_STATUS = {"died_and_test": "died", "temporary_private": "temporary"}


def test_each_person_has_the_first_status_that_holds(tmp_path):
    """The end of a registration is the first day no longer registered: on the index date it has ended."""
    numbers = range(1, len(STATUS) + 1)
    with built(
        tmp_path,
        patient=[patient(f"p{n}", nhs_number=nhs(n), **STATUS[n - 1][1]) for n in numbers],
        registration=[registration(f"p{n}", **STATUS[n - 1][2]) for n in numbers],
    ) as store:
        found = people(store, "person_status")
        for number, (name, _, _) in zip(numbers, STATUS, strict=True):
            expected = EXPECTED_STATUS.get(name) or ("registered" if name.startswith("registered") else name)
            assert found[number] == expected, name


def test_a_death_in_any_source_counts_even_without_a_date(tmp_path):
    with built(tmp_path, death=[{"nhs_number": nhs(1), "source": "PDS"}]) as store:
        assert people(store, "person_status") == {1: "died"}


def test_a_person_without_any_registration_was_never_registered(tmp_path):
    with built(tmp_path, **several(2, {}, registration=[registration("p2")])) as store:
        assert people(store, "person_status") == {1: "never_registered", 2: "registered"}


def test_a_practice_is_known_only_while_its_membership_holds(tmp_path):
    with built(tmp_path, practice=[practice(valid_to="2026-01-05")]) as store:
        assert people(store, "person_status", "practice_code", "pcn_code") == {1: ("practice_unknown", "A10001", None)}


def test_of_two_registrations_the_latest_start_holds_and_its_record_speaks(tmp_path):
    """Moved from A10001 to A10002 in 2020, and the old practice never closed the record."""
    with built(
        tmp_path,
        practice=[practice(), practice(practice_code="A10002", pcn_code="U10002")],
        patient=[
            patient("old", preferred_language="en", ethnic_category="A"),
            patient("new", org_code="A10002", preferred_language="pa", ethnic_category="Z"),
        ],
        registration=[
            registration("old"),
            registration("new", org_code="A10002", practice_code="A10002", start_date="2020-03-01", usual_gp_id="g2"),
        ],
        gp_event=[event(source_patient_id="old")],
        gp_observation=[observation(source_patient_id="old")],
        gp_medication=[medication(source_patient_id="old")],
    ) as store:
        assert people(store, "practice_code", "pcn_code", "registered_date", "usual_gp_id", "preferred_language") == {
            1: ("A10002", "U10002", date(2020, 3, 1), "g2", "pa")
        }
        # Z, not stated, never beats the real value of the other record
        assert people(store, "ethnic_category", "identity_doubt") == {1: ("A", None)}
        assert store.scalar("SELECT count(*) FROM core.patient") == 2
        assert store.scalar("SELECT count(*) FROM identity.person") == 1


# Doubts


def test_doubts_of_identity_are_in_words(tmp_path):
    """Person 3's two dates of birth are 366 days apart, which is near enough; person 2's are 367."""
    twice = [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3), ("f", 3)]
    changes = {
        "b": {"sex": "M", "org_code": "A10002"},
        "d": {"date_of_birth": "1951-06-03", "org_code": "A10002"},
        "f": {"date_of_birth": "1951-06-02", "org_code": "A10002"},
    }
    patients = [patient(name, nhs_number=nhs(number), **changes.get(name, {})) for name, number in twice]
    patients += [
        patient("g", nhs_number=nhs(4), date_of_birth=""),
        patient("h", nhs_number=nhs(5), date_of_birth="1906-01-05"),
        patient("i", nhs_number=nhs(6), date_of_birth="1906-01-06"),
        patient("j", nhs_number=nhs(7), date_of_death="2031-01-01"),
        patient("k", nhs_number=nhs(8), date_of_death="9999-12-31"),
    ]
    names = [each["source_patient_id"] for each in patients]
    rows = [
        registration(name, org_code=changes.get(name, {}).get("org_code", "A10001"), start_date=f"20{place:02}-01-01")
        for place, name in enumerate(reversed(names), 1)
    ]
    with built(tmp_path, patient=patients, registration=rows, gp_event=[event(source_patient_id="a")]) as store:
        assert people(store, "identity_doubt") == {
            1: "two sexes for one NHS number",
            2: "two dates of birth for one NHS number",
            3: None,
            4: "date of birth missing",
            5: "age 120 or over",
            6: None,
            7: "date of death not usable",
            8: None,
        }
        found = people(store, "date_of_birth", "age_years", "sex")
        assert found[1] == (date(1950, 6, 1), 75, "U")
        assert found[2] == (None, None, "F")
        assert found[3] == (date(1950, 6, 1), 75, "F")
        assert found[6] == (date(1906, 1, 6), 119, "F")


def test_age_is_in_whole_years_on_the_index_date(tmp_path):
    born = {1: "1956-01-05", 2: "1956-01-06", 3: "1956-02-29", 4: "2026-01-04"}
    with built(tmp_path, **several(4, {number: {"date_of_birth": day} for number, day in born.items()})) as store:
        assert people(store, "age_years") == {1: 70, 2: 69, 3: 69, 4: 0}


def test_an_end_of_registration_that_cannot_be_read_is_no_proof_of_staying(tmp_path):
    with built(tmp_path, registration=[registration(end_date="31/12/2024")]) as store:
        assert people(store, "identity_doubt") == {1: "end of the current registration not readable"}


# Objections


def objections(*, fresh="2026-01-02 00:00:00"):
    """1 none, 2 Type 1, 3 Type 1 withdrawn, 4 national, 5 never checked, 6 check too old, 7 local, 8 unlinked."""
    allowed = [opt_out("NDO", "false", nhs_number=nhs(n), checked_at=fresh) for n in (1, 2, 3, 7)]
    return [
        *allowed,
        opt_out("TYPE1", nhs_number=nhs(2)),
        opt_out("TYPE1", nhs_number=nhs(3), effective_from="2019-01-01"),
        opt_out("TYPE1", "false", nhs_number=nhs(3), effective_from="2021-01-01"),
        opt_out("NDO", nhs_number=nhs(4)),
        opt_out("NDO", "false", nhs_number=nhs(6), checked_at="2025-12-28 23:59:59"),
        opt_out("RISK_STRAT_LOCAL", nhs_number=nhs(7)),
    ]


def eight_people(**own):
    numbers = range(1, 9)
    patients = [patient(f"p{n}", nhs_number=nhs(n) if n != 8 else "") for n in numbers]
    return {
        "patient": patients,
        "registration": [registration(f"p{n}") for n in numbers],
        "gp_event": [event(f"e{n}", source_patient_id=f"p{n}") for n in numbers],
        "apc_episode": [episode(f"c{n}", nhs_number=nhs(n), spell_id=f"s{n}") for n in numbers],
        "opt_out": objections(),
    } | own


def test_case_finding_removes_whoever_objects_from_every_table(tmp_path):
    """5 was never asked about and 6 eight days ago (7 at most): not knowing is no permission."""
    with built(tmp_path, policy=CASE_FINDING, **eight_people()) as store:
        local = privacy.local_pseudonym(KEY, "A10001", "p8")
        assert set(people(store, "may_be_counted").items()) == {(1, True), (3, True), (local, True)}
        for table in ("patient", "registration", "gp_event"):
            assert store.scalar(f"SELECT count(DISTINCT patient_key) FROM core.{table}") == 3, table
        for table in ("apc_episode", "apc_spell", "apc_diagnosis"):
            assert store.scalar(f"SELECT count(DISTINCT patient_key) FROM core.{table}") == 2, table
        assert store.scalar("SELECT count(*) FROM identity.person") == 3
        assert store.rows("SELECT reason, people_count FROM audit.withheld WHERE surface = 'direct_care'") == [
            ("Type 1 opt-out", 1),
            ("local objection to risk stratification", 1),
            ("national data opt-out", 1),
            ("national opt-out not checked", 2),
        ]
        assert store.counts["people withheld"] == 5
        assert store.counts["gp_event withheld"] == 5


def test_direct_care_removes_nobody_but_counts_nobody_who_objects(tmp_path):
    with built(tmp_path, policy=DIRECT_CARE, **eight_people()) as store:
        local = privacy.local_pseudonym(KEY, "A10001", "p8")
        counted = {name for name, value in people(store, "may_be_counted").items() if value}
        assert counted == {1, 3, local}
        assert store.scalar("SELECT count(*) FROM core.person") == 8
        assert store.rows("SELECT sum(people_count), any_value(surface) FROM audit.withheld") == [(5, "secondary_use")]


@pytest.mark.parametrize("policy", [DIRECT_CARE, CASE_FINDING], ids=["direct_care", "case_finding"])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no_row"),
        pytest.param([opt_out("NDO", "false", checked_at="2025-12-28 00:00:00")], id="eight_days_old"),
        pytest.param([opt_out("TYPE1", "false")], id="another_objection_alone"),
    ],
)
def test_without_a_good_check_nobody_is_counted_for_secondary_use_whatever_the_policy(tmp_path, policy, rows):
    """Purposes C and D fail closed: exempt from the national opt-out in case finding is not exempt here."""
    exempt = policy.model_copy(update={"national": "exempt"})
    with built(tmp_path, policy=exempt, opt_out=rows) as store:
        assert people(store, "may_be_counted") == {1: False}


def test_case_finding_without_a_file_of_objections_stops(tmp_path):
    """Even where the approval exempts from the national opt-out: Type 1 and local ones come in the same file."""
    source = dataclasses.replace(COUNTY, may_lack=("opt_out",))
    rows = rows_of()
    del rows["opt_out"]
    folder = tmp_path / "extracts"
    folder.mkdir()
    for table, each in rows.items():
        (folder / f"{table}.csv").write_bytes(as_csv(table, each))
    write_manifest(folder, {f"{table}.csv": table for table in rows})
    exempt = CASE_FINDING.model_copy(update={"national": "exempt"})
    with opened(tmp_path) as store:
        files = ingest.inspect_files(folder, source)
        ingest.land(store, files, source=source, index_date=INDEX_DATE, key=KEY)
        with pytest.raises(PrivacyError, match="a file of objections, since the purpose is case finding; found none"):
            ingest.build_core(
                store, index_date=INDEX_DATE, key=KEY, measurements=[], privacy_policy=exempt, source=source
            )


def test_a_national_objection_of_a_record_without_a_number_holds(tmp_path):
    rows = [opt_out("NDO", nhs_number="", org_code="A10001", source_patient_id="p1")]
    with built(tmp_path, policy=CASE_FINDING, patient=[patient(nhs_number="")], opt_out=rows) as store:
        assert store.scalar("SELECT count(*) FROM core.person") == 0


def test_no_table_that_stays_tells_who_objected(tmp_path):
    """The standing of each person is in the landing database, which ends with the run."""
    with built(tmp_path, **eight_people()) as store:
        columns = store.rows("SELECT column_name FROM duckdb_columns() WHERE database_name IN ('memory', 'identity')")
        names = {name for (name,) in columns}
        assert "may_be_counted" in names
        assert not names & {"opt_out_type", "is_opted_out", "withheld_because", "type_1"}


LATEST = [
    ([("true", "2020-01-01")], True),
    ([("true", "2020-01-01"), ("false", "2020-01-02")], False),  # withdrawn later
    ([("false", "2020-01-01"), ("true", "2020-01-02")], True),  # objected again
    ([("true", "2020-01-01"), ("false", "2020-01-01")], True),  # the same day: the objection stands
    ([("true", "2020-01-01"), ("false", "2026-03-01")], True),  # the withdrawal has not begun
    ([("true", "2026-01-06")], True),  # one that has not begun is honoured already
    ([("true", ""), ("false", "")], True),  # no dates
    ([("false", "")], False),
]


def test_the_latest_of_dissent_and_withdrawal_holds(tmp_path):
    given = [
        opt_out("TYPE1", state, nhs_number=nhs(number), effective_from=day)
        for number, (rows, _) in enumerate(LATEST, 1)
        for state, day in rows
    ]
    given += [opt_out("NDO", "false", nhs_number=nhs(number)) for number in range(1, len(LATEST) + 1)]
    with built(tmp_path, policy=CASE_FINDING, **several(len(LATEST), {}, opt_out=given)) as store:
        assert set(people(store, "person_status")) == {
            number for number, (_, is_withheld) in enumerate(LATEST, 1) if not is_withheld
        }


def test_an_objection_at_the_practice_holds_for_a_person_without_a_number(tmp_path):
    rows = [opt_out("RISK_STRAT_LOCAL", nhs_number="", org_code="A10001", source_patient_id="p1")]
    with built(tmp_path, policy=CASE_FINDING, patient=[patient(nhs_number="")], opt_out=rows) as store:
        assert store.scalar("SELECT count(*) FROM core.person") == 0


def test_case_finding_without_any_good_check_stops(tmp_path):
    rows = [opt_out("NDO", "false", checked_at="2025-12-20 00:00:00")]
    with (
        pytest.raises(PrivacyError, match="no older than 7 days; found none for any of 1 people") as caught,
        built(tmp_path, policy=CASE_FINDING, opt_out=rows),
    ):
        pass
    assert caught.value.exit_code == 7


def test_a_check_past_its_own_end_is_no_check(tmp_path):
    rows = [opt_out("NDO", "false", expires_at="2026-01-04 12:00:00")]
    with pytest.raises(PrivacyError, match="found none"), built(tmp_path, policy=CASE_FINDING, opt_out=rows):
        pass


def test_a_synthetic_source_without_opt_outs_keeps_and_counts_its_people(tmp_path):
    source = dataclasses.replace(COUNTY, not_supplied=("opt_out",))
    with built(tmp_path, source=source, policy=CASE_FINDING) as store:
        assert people(store, "may_be_counted") == {1: True}


def test_the_stand_in_policy_is_for_invented_people_only(tmp_path):
    with (
        pytest.raises(PrivacyError, match="a privacy policy written by the site"),
        built(tmp_path, source=CANONICAL, key=bytes(range(32)), policy=privacy.STAND_IN_POLICY),
    ):
        pass


# Measurements


LITRES = measurement(
    id="fev1_litres",
    unit="L",
    codes=frozenset({"59328004"}),
    minimum=0.1,
    maximum=7.0,
    units=[(("l", "litre", "litres"), 1.0, 0.0), (("ml", "mls"), 0.001, 0.0)],
)
HBA1C = measurement(
    id="hba1c_mmol_per_mol",
    unit="mmol/mol",
    codes=frozenset({"999791000000106"}),
    minimum=20.0,
    maximum=200.0,
    units=[(("mmol/mol",), 1.0, 0.0)],
    not_done=(0.0, 999.0),
)
RATIO = measurement(
    id="fev1_fvc_ratio",
    unit="ratio",
    codes=frozenset({"407603001"}),
    minimum=0.2,
    maximum=1.0,
    units=[(("ratio",), 1.0, 0.0), (("%",), 0.01, 0.0)],
)
BMI = measurement(
    id="bmi", unit="kg/m2", codes=frozenset({"60621009"}), minimum=10.0, maximum=150.0, units=[], is_unit_required=True
)
MRC = measurement(
    id="mrc_grade",
    unit="grade",
    codes=frozenset({"450755002", "1099361000000109"}),
    grades={"391124000": 3.0, "1099391000000103": 4.0},
    offset_codes={"1099361000000109": 1.0},
    minimum=1.0,
    maximum=5.0,
    units=[],
)
VALUES = [
    # code, value, unit → canonical value, basis, status
    (FEV1_PERCENT, "55", "%", 55.0, "stated", "ok"),
    (FEV1_PERCENT, "55", " Per  CENT ", 55.0, "stated", "ok"),
    (FEV1_PERCENT, "55", "", 55.0, "implied_by_code", "ok"),
    (FEV1_PERCENT, "1.8", "L", None, None, "unit_conflict"),  # litres under the percent code, said so
    (FEV1_PERCENT, "1.8", "", None, "implied_by_code", "implausible"),  # and not said: never "below 30 %"
    (FEV1_PERCENT, "", "%", None, "stated", "no_value"),
    (FEV1_PERCENT, "8", "%", 8.0, "stated", "ok"),
    (FEV1_PERCENT, "7.9", "%", None, "stated", "implausible"),
    (FEV1_PERCENT, "151", "%", 151.0, "stated", "ok"),
    (FEV1_PERCENT, "151.1", "%", None, "stated", "implausible"),
    ("59328004", "1850", "ml", 1.85, "stated", "ok"),
    ("59328004", "1.85", "Litres", 1.85, "stated", "ok"),
    ("59328004", "1850", "", None, "implied_by_code", "implausible"),
    ("59328004", "55", "%", None, None, "unit_conflict"),
    ("999791000000106", "58", "mmol/mol", 58.0, "stated", "ok"),
    ("999791000000106", "7.5", "%", None, None, "unit_conflict"),  # HbA1c in percent under the mmol/mol code
    ("999791000000106", "7.5", "", None, "implied_by_code", "implausible"),
    ("999791000000106", "999", "", None, "implied_by_code", "no_value"),  # "not done"
    ("407603001", "68", "%", 0.68, "stated", "ok"),
    ("407603001", "0.68", "", 0.68, "implied_by_code", "ok"),
    ("407603001", "68", "", None, "implied_by_code", "implausible"),  # a ratio above 1
    ("60621009", "27", "", None, None, "unit_missing"),
    ("60621009", "27", "kg/m2", 27.0, "stated", "ok"),  # the canonical unit's own name
    ("391124000", "", "", 3.0, "implied_by_code", "ok"),  # the code is the grade
    ("391124000", "3", "", 3.0, "implied_by_code", "ok"),
    ("391124000", "4", "", None, "implied_by_code", "code_value_conflict"),
    ("1099361000000109", "2", "", 3.0, "implied_by_code", "ok"),  # mMRC n is MRC n + 1
    ("1099361000000109", "0", "", 1.0, "implied_by_code", "ok"),
    ("1099361000000109", "5", "", None, "implied_by_code", "implausible"),
    ("450755002", "2", "", 2.0, "implied_by_code", "ok"),
    ("13645005", "5", "", None, None, None),  # a code no measurement uses
]


def test_values_come_to_one_unit_or_say_why_not(tmp_path):
    rows = [
        observation(f"o{number:02}", snomed_code=code, value_num=value, unit_raw=unit)
        for number, (code, value, unit, *_) in enumerate(VALUES)
    ]
    with built(tmp_path, gp_observation=rows, measurements=[measurement(), LITRES, HBA1C, RATIO, BMI, MRC]) as store:
        found = store.rows(
            "SELECT value_canonical, unit_basis, value_status FROM core.gp_observation ORDER BY source_row"
        )
        for (code, value, unit, *expected), row in zip(VALUES, found, strict=True):
            assert list(row) == expected, (code, value, unit)
        assert store.rows(
            "SELECT DISTINCT unit_canonical FROM core.gp_observation WHERE measurement = 'fev1_litres'"
        ) == [("L",)]


def test_a_grade_said_by_an_event_code_becomes_an_observation_as_well(tmp_path):
    rows = [event("e1", snomed_code="391124000"), event("e2"), event("o1", snomed_code="391124000")]
    with built(tmp_path, gp_event=rows, measurements=[MRC]) as store:
        file_id = store.scalar("SELECT source_file_id FROM audit.source_file WHERE table_name = 'gp_event'")
        assert store.rows(
            "SELECT source_event_id, measurement, value_canonical, value_status, source_file_id, source_row "
            "FROM core.gp_observation WHERE measurement = 'mrc_grade'"
        ) == [("e1", "mrc_grade", 3.0, "ok", file_id, 2)]
        assert store.scalar("SELECT count(*) FROM core.gp_event") == 3
        # o1 is among the values already: one entry per id
        assert store.scalar("SELECT count(*) FROM core.gp_observation") == 2


def test_a_code_in_two_measurements_is_refused(tmp_path):
    with (
        pytest.raises(RuleError, match="a code in one measurement only"),
        built(tmp_path, measurements=[measurement(), measurement(id="other")]),
    ):
        pass


def test_a_unit_word_with_two_conversions_is_refused(tmp_path):
    twice = measurement(units=[(("%",), 1.0, 0.0), (("%",), 2.0, 0.0)])
    with pytest.raises(RuleError, match="two conversions"), built(tmp_path, measurements=[twice]):
        pass


# Hospital


def test_episodes_make_spells_with_admission_from_the_first_and_discharge_from_the_last(tmp_path):
    rows = [
        episode("c2", episode_order="2", admission_method="28", diag_01="J181", diag_02="E119",
                discharge_destination="55", episode_start="2025-03-03"),
        episode("c1", diag_02="I10X"),
        episode("c3", spell_id="s2", admission_method="11"),
        episode("c4", spell_id="s3", admission_method="2B"),
    ]  # fmt: skip
    with built(tmp_path, apc_episode=rows) as store:
        assert store.rows(
            "SELECT spell_id, admission_method, is_emergency, primary_diagnosis, discharge_destination, episode_count, "
            "source_row FROM core.apc_spell"
        ) == [
            ("s1", "21", True, "J440", "55", 2, 3),
            ("s2", "11", False, "J440", None, 1, 4),
            ("s3", "2B", False, "J440", None, 1, 5),
        ]
        assert store.rows(
            "SELECT episode_order, position, icd10_code, icd10_category, is_emergency, source_row "
            "FROM core.apc_diagnosis WHERE spell_id = 's1' ORDER BY 1, 2"
        ) == [
            (1, 1, "J440", "J44", True, 3),
            (1, 2, "I10", "I10", True, 3),
            (2, 1, "J181", "J18", True, 2),
            (2, 2, "E119", "E11", True, 2),
        ]


def test_hospital_rows_of_others_are_counted_not_kept(tmp_path):
    rows = [episode(), episode("c2", nhs_number=nhs(9), spell_id="s2")]
    deaths = [{"nhs_number": nhs(9), "source": "ONS", "date_of_death": "2025-01-01"}]
    with built(tmp_path, apc_episode=rows, death=deaths) as store:
        assert store.scalar("SELECT count(*) FROM core.apc_episode") == 1
        assert store.counts["apc_episode unlinked"] == 1
        assert store.counts["death unlinked"] == 1
        assert people(store, "person_status") == {1: "registered"}
