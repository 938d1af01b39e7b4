"""Who a row belongs to: superseded numbers and back again, numbers two people have, ranges, what stays where."""

import itertools
from collections import Counter

import pytest
from extract_set import (
    CANONICAL,
    CASE_FINDING,
    DIRECT_CARE,
    INDEX_DATE,
    KEY,
    built,
    episode,
    event,
    landed,
    nhs,
    opened,
    opt_out,
    patient,
    registration,
)

from stratify import codes, contracts, privacy
from stratify.codes import nhs_check_digit
from stratify.ingest import Door

SITE_KEY = b"0123456789abcdef0123456789abcdef"


def traced(old, new, outcome="90", **changes):
    return {
        "nhs_number": nhs(old) if isinstance(old, int) else old,
        "surviving_nhs_number": nhs(new) if isinstance(new, int) else new,
        "trace_outcome": outcome,
        "traced_date": "2025-11-20",
    } | changes


def key_of(number):
    return privacy.pseudonym(KEY, nhs(number))


def owners(store, table="apc_episode", column="cds_unique_id"):
    """Whose each row is: the number of the person whose clinical key it has."""
    numbers = {key_of(number): number for number in range(1, 20)}
    return {row: numbers.get(key, key) for row, key in store.rows(f"SELECT {column}, patient_key FROM core.{table}")}


def two_people(**own):
    """Person 1 with an admission of their own and one under number 9; person 2 has no admission."""
    return {
        "patient": [patient("p1"), patient("p2", nhs_number=nhs(2), given_names="Other")],
        "registration": [registration("p1"), registration("p2")],
        "apc_episode": [episode("own"), episode("old", nhs_number=nhs(9), spell_id="s9")],
    } | own


# Superseded numbers (I4)


def test_rows_under_a_superseded_number_belong_to_whoever_has_the_surviving_one(tmp_path):
    with built(tmp_path, **two_people(nhs_number_trace=[traced(9, 1)])) as store:
        assert owners(store) == {"own": 1, "old": 1}
        assert store.rows("SELECT * FROM identity.merged_number") == [
            (
                key_of(9),
                key_of(1),
                privacy.key_fingerprint(KEY),
                nhs(9),
                nhs(1),
                store.scalar("SELECT DATE '2025-11-20'"),
            )
        ]


def test_taking_the_line_out_gives_the_run_as_it_was_before_it(tmp_path):
    def tables(folder, **own):
        with built(folder, **two_people(**own)) as store:
            names = [f"core.{name}" for (name,) in store.rows(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core' ORDER BY ALL"
            )]  # fmt: skip
            held = {name: store.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in (*names, "identity.person")}
            return held | {"counts": store.counts}

    before = tables(tmp_path / "before")
    merged = tables(tmp_path / "merged", nhs_number_trace=[traced(9, 1)])
    after = tables(tmp_path / "after", nhs_number_trace=[traced(9, "", "00")])
    assert merged["core.apc_episode"] != before["core.apc_episode"]
    assert after == before


def test_a_chain_of_superseded_numbers_leads_to_its_last(tmp_path):
    with built(tmp_path, **two_people(nhs_number_trace=[traced(9, 8), traced(8, 7), traced(7, 1)])) as store:
        assert owners(store) == {"own": 1, "old": 1}
        assert store.scalar("SELECT count(*) FROM identity.merged_number WHERE patient_key = ?", [key_of(1)]) == 3


@pytest.mark.parametrize(
    ("lines", "set_aside"),
    [
        pytest.param([traced(9, 9)], 1, id="to_itself"),
        pytest.param([traced(9, 1), traced(1, 9)], 2, id="in_a_circle"),
        pytest.param([traced(9, 8), traced(8, 1), traced(1, 8)], 3, id="into_a_circle"),
        pytest.param([traced(9, "9990000000")], 1, id="to_a_wrong_check_digit"),
        pytest.param([traced(9, "1111111111")], 1, id="to_nobody"),
        pytest.param([traced(9, "")], 1, id="to_nothing"),
        pytest.param([traced(9, 1), traced(9, 2)], 2, id="to_two_survivors"),
        pytest.param([traced("9990000000", 1)], 1, id="from_a_wrong_check_digit"),
    ],
)
def test_a_trace_that_cannot_be_right_merges_nobody_and_is_counted(tmp_path, lines, set_aside):
    with built(tmp_path, **two_people(nhs_number_trace=lines)) as store:
        assert owners(store) == {"own": 1}
        [account] = [each for each in store.accounts if each.table == "nhs_number_trace"]
        assert (account.received_count, account.rejected_count) == (len(lines), set_aside)
        assert store.scalar("SELECT count(*) FROM identity.merged_number") == 0


@pytest.mark.parametrize("outcome", ["00", "91", "92", "96"])
def test_only_outcome_90_merges(tmp_path, outcome):
    with built(tmp_path, **two_people(nhs_number_trace=[traced(9, 1, outcome)])) as store:
        assert owners(store) == {"own": 1}


def test_a_record_under_a_superseded_number_joins_the_survivor_and_the_list_prints_the_number_that_is_in_use(tmp_path):
    records = [patient("p1", nhs_number=nhs(9)), patient("p2", org_code="A10002", nhs_number=nhs(1))]
    with built(
        tmp_path,
        patient=records,
        registration=[registration("p1", start_date="2020-01-01")],
        nhs_number_trace=[traced(9, 1)],
    ) as store:
        assert store.rows("SELECT patient_key, nhs_number FROM identity.person") == [(key_of(1), nhs(1))]
        assert store.scalar("SELECT count(*) FROM core.patient WHERE patient_key = ?", [key_of(1)]) == 2


def test_an_objection_under_the_superseded_number_holds_for_the_survivor(tmp_path):
    rows = [opt_out("TYPE1", nhs_number=nhs(9)), opt_out("NDO", "false")]
    with built(tmp_path, policy=CASE_FINDING, **two_people(nhs_number_trace=[traced(9, 1)], opt_out=rows)) as store:
        assert store.scalar("SELECT count(*) FROM core.person WHERE patient_key = ?", [key_of(1)]) == 0


# What the status of a number, and the answer of the tracing service, lead to


@pytest.mark.parametrize(
    ("status", "doubt"),
    [
        pytest.param("", None, id="no_status"),
        *(pytest.param(status, None, id=status) for status in ("01", "02", "03", "06", "07", "08")),
        *(pytest.param(status, "NHS number not traced to one person", id=status) for status in ("04", "05")),
    ],
)
def test_every_status_links_and_one_that_was_traced_to_nobody_is_in_doubt(tmp_path, status, doubt):
    with built(tmp_path, patient=[patient(nhs_number_status=status)], apc_episode=[episode()]) as store:
        found = store.rows("SELECT patient_key, is_hospital_linked, identity_doubt FROM core.person")
        assert found == [(key_of(1), True, doubt)]
        assert owners(store) == {"c1": 1}
        assert store.rows("SELECT nhs_number_status FROM identity.person") == [(status or None,)]


def test_a_status_beside_a_number_that_is_none_says_nothing(tmp_path):
    with built(tmp_path, patient=[patient(nhs_number="", nhs_number_status="04")]) as store:
        assert store.rows("SELECT is_hospital_linked, identity_doubt FROM core.person") == [(False, None)]
        assert store.rows("SELECT nhs_number_status FROM identity.person") == [(None,)]


@pytest.mark.parametrize("table", ["patient", "apc_episode", "op_attendance", "ed_attendance", "community_contact"])
def test_a_number_that_is_not_verified_is_counted_as_a_warning_of_its_table(tmp_path, table):
    contract = contracts.load(f"landing.{table}")
    (prefix,) = {rule.id[:6] for rule in contract.rules if rule.column == "nhs_number_status"}
    rules = {rule.id: rule for rule in contract.rules if rule.id.startswith(f"{prefix}-un")}
    assert {rule.severity for rule in rules.values()} == {"warning"}
    with opened(tmp_path) as store:
        for standing in ("unverified", "unresolved"):
            bad = contracts.predicate(contract, rules[f"{prefix}-{standing}"], raw=True, data_cutoff=INDEX_DATE)
            every = ", ".join(f"('{status}')" for status in codes.NHS_NUMBER_STATUSES)
            asked = "SELECT nhs_number_status FROM (VALUES " + every + ") AS t(nhs_number_status), "
            with_number = store.rows(f"{asked} (VALUES ('999')) AS n(nhs_number) WHERE {bad} ORDER BY ALL")
            assert [status for (status,) in with_number] == list(codes.statuses_of(standing))
            assert store.rows(f"{asked} (VALUES (NULL::VARCHAR)) AS n(nhs_number) WHERE {bad}") == []


@pytest.mark.parametrize(
    ("outcome", "doubt", "is_hidden"),
    [
        pytest.param("00", None, False, id="current"),
        pytest.param("91", "NHS number not traced to one person", False, id="invalid"),
        pytest.param("92", None, True, id="sensitive"),
        pytest.param("96", "NHS number not traced to one person", False, id="several"),
    ],
)
def test_what_the_tracing_service_answers_about_a_number_in_use(tmp_path, outcome, doubt, is_hidden):
    with built(tmp_path, patient=[patient()], nhs_number_trace=[traced(1, "", outcome)]) as store:
        assert store.rows("SELECT identity_doubt, is_spine_sensitive FROM core.person") == [(doubt, is_hidden)]
        assert store.rows("SELECT postcode IS NULL FROM identity.person") == [(is_hidden,)]


# Two people under one number (I6)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"sex": "M"}, id="sex"),
        pytest.param({"date_of_birth": "1951-06-03"}, id="births_367_days_apart"),
        pytest.param({"given_names": "Twin"}, id="given_name"),
    ],
)
def test_two_people_under_one_number_at_a_practice_are_not_merged_and_are_in_doubt(tmp_path, other):
    with built(
        tmp_path,
        patient=[patient("p1"), patient("p2", **other)],
        registration=[registration("p1"), registration("p2")],
        gp_event=[event("e1", source_patient_id="p1"), event("e2", source_patient_id="p2")],
        apc_episode=[episode()],
    ) as store:
        one, two = (privacy.local_pseudonym(KEY, "A10001", name) for name in ("p1", "p2"))
        doubt = "two people under one NHS number"
        found = store.rows("SELECT patient_key, identity_doubt, is_hospital_linked FROM core.person ORDER BY ALL")
        assert found == sorted([(one, doubt, False), (two, doubt, False)])
        assert owners(store, "gp_event", "source_event_id") == {"e1": one, "e2": two}
        assert store.rows("SELECT count(*) FROM core.apc_episode") == [(0,)]  # nobody can say whose it is
        assert store.rows("SELECT DISTINCT nhs_number FROM identity.person") == [(None,)]
        told = "SELECT rule_id, count(*) FROM audit.rejected_row WHERE table_name = 'patient' GROUP BY ALL"
        assert store.rows(told) == [("PAT-84-contested", 2)]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({}, id="the_same_again"),
        pytest.param({"date_of_birth": "1951-06-02"}, id="births_366_days_apart"),
        pytest.param({"given_names": "TEST Middle", "family_name": "MARRIED"}, id="another_family_name"),
        pytest.param({"sex": "U"}, id="sex_not_known"),
        pytest.param({"given_names": ""}, id="name_not_known"),
    ],
)
def test_two_records_of_one_person_at_a_practice_stay_one_person(tmp_path, other):
    with built(tmp_path, patient=[patient("p1"), patient("p2", **other)], registration=[registration("p1")]) as store:
        assert store.rows("SELECT patient_key, identity_doubt FROM core.person") == [(key_of(1), None)]


def test_every_record_of_a_contested_number_stands_alone_wherever_it_is(tmp_path):
    records = [patient("p1"), patient("p2", sex="M"), patient("p3", org_code="A10002")]
    with built(tmp_path, patient=records, registration=[registration("p1")]) as store:
        assert store.scalar("SELECT count(*) FROM core.person WHERE identity_doubt IS NOT NULL") == 3


@pytest.mark.parametrize("kind", ["TYPE1", "NDO", "RISK_STRAT_LOCAL"])
def test_an_objection_under_a_contested_number_holds_for_both(tmp_path, kind):
    rows = [opt_out(kind), opt_out("NDO", "false", nhs_number=nhs(3))]
    people = [patient("p1"), patient("p2", sex="M"), patient("p3", nhs_number=nhs(3))]
    with built(tmp_path, policy=CASE_FINDING, patient=people, opt_out=rows) as store:
        assert store.rows("SELECT patient_key FROM core.person") == [(key_of(3),)]
    with built(tmp_path / "again", policy=DIRECT_CARE, patient=people, opt_out=rows) as store:
        assert store.scalar("SELECT count(*) FROM core.person WHERE may_be_counted") == 1


def test_a_merge_of_two_people_at_one_practice_is_held_in_doubt_instead(tmp_path):
    """A wrong trace shows itself: the two records of the practice are of different people."""
    with built(tmp_path, **two_people(nhs_number_trace=[traced(2, 1)])) as store:
        assert store.rows("SELECT DISTINCT identity_doubt FROM core.person") == [("two people under one NHS number",)]


# Flags (I8)


def test_contact_and_location_of_a_confidential_record_are_left_out_too(tmp_path):
    with built(tmp_path, patient=[patient(is_confidential="true")]) as store:
        hidden = "phone_mobile, email, address_lines, postcode"
        assert store.rows(f"SELECT {hidden} FROM identity.person") == [(None, None, None, None)]
        assert store.rows("SELECT is_spine_sensitive FROM core.person") == [(True,)]


# Ranges (I3)


def number_beginning(digits):
    """A number with a right check digit that begins so; made here, so that none stands in this file."""
    bodies = (f"{digits}{more:0{9 - len(digits)}d}" for more in itertools.count())
    return next(f"{body}{nhs_check_digit(body)}" for body in bodies if nhs_check_digit(body) is not None)


RANGES = {"4": "england", "9": "test", "5": None, "8": None, "01": "scotland_chi", "33": "northern_ireland"}


@pytest.mark.parametrize(
    ("source", "ranges", "linked"),
    [
        pytest.param("canonical", ("england",), {"4"}, id="england_alone"),
        pytest.param("canonical", ("england", "scotland_chi"), {"4", "01"}, id="with_scotland"),
        pytest.param("canonical", ("england", "northern_ireland"), {"4", "33"}, id="with_northern_ireland"),
    ],
)
def test_a_real_source_links_the_ranges_its_site_names_and_no_invented_number(tmp_path, source, ranges, linked):
    door = Door(ranges=ranges)
    people = [patient(f"p{digits}", nhs_number=number_beginning(digits)) for digits in RANGES]
    with landed(tmp_path, source=CANONICAL, key=SITE_KEY, door=door, patient=people) as store:
        by_number = {f"p{digits}": privacy.pseudonym(SITE_KEY, number_beginning(digits)) for digits in RANGES}
        found = dict(store.rows("SELECT source_patient_id, patient_key FROM landing.patient"))
        assert {name[1:] for name, key in found.items() if key == by_number[name]} == linked


def test_an_invented_source_links_invented_numbers_whatever_the_ranges(tmp_path):
    people = [patient("p5", nhs_number=number_beginning("5")), patient("p9")]
    with landed(tmp_path, door=Door(ranges=("england",)), patient=people) as store:
        found = dict(store.rows("SELECT source_patient_id, patient_key FROM landing.patient"))
        assert found["p9"] == key_of(1) and found["p5"] == privacy.local_pseudonym(KEY, "A10001", "p5")


def test_the_tables_of_a_run_have_no_number_but_in_the_identity_file(tmp_path):
    """Every text of every table outside the databases identity and landing, which a run deletes."""
    with built(tmp_path, **two_people(nhs_number_trace=[traced(9, 1)])) as store:
        numbers = {nhs(number) for number in (1, 2, 9)}
        found = Counter()
        for database, schema, table, column in store.rows(
            "SELECT database_name, schema_name, table_name, column_name FROM duckdb_columns() "
            "WHERE NOT internal AND database_name IN ('memory', 'identity') AND data_type = 'VARCHAR'"
        ):
            texts = store.rows(f'SELECT DISTINCT "{column}" FROM {database}."{schema}"."{table}"')
            found[database] += sum(any(number in (text or "") for number in numbers) for (text,) in texts)
        assert found == {"memory": 0, "identity": 4}  # two people's; one merged, with its survivor


def test_a_rerun_with_another_key_shares_no_pseudonym_and_a_commissioner_pseudonym_joins_to_nothing(tmp_path):
    with built(tmp_path, **two_people()) as store:
        mine = {key for (key,) in store.rows("SELECT patient_key FROM core.person")}
    assert mine == {key_of(1), key_of(2)}
    assert not mine & {privacy.pseudonym(SITE_KEY, nhs(number)) for number in (1, 2)}
    assert not mine & {privacy.pseudonym(KEY, nhs(number), "commissioner") for number in (1, 2)}
