"""Tables that any set may have or lack: the same gate, the same row checks and the same account as the others."""

import dataclasses

import pytest
from extract_set import COUNTY, as_csv, landed, nhs, rows_of, write_manifest, write_set
from optional_rows import ACTIVITY, APPOINTMENT, AREA, GOOD

from stratify import contracts, ingest
from stratify.errors import ExtractError
from stratify.ingest.files import OPTIONAL_TABLES
from stratify.ingest.rows import LOAD_ORDER


def refused(folder):
    with pytest.raises(ExtractError) as caught:
        ingest.inspect_files(folder, COUNTY)
    return str(caught.value)


def declare(folder, **more):
    """Write the manifest anew, with further columns of the same value on every line."""
    write_manifest(folder, {path.name: path.stem for path in folder.glob("*.csv") if path.stem != "manifest"})
    path = folder / "manifest.csv"
    header, *lines = path.read_text().splitlines()
    end = "".join(f",{value}" for value in more.values())
    path.write_text("\n".join([",".join([header, *more]), *(line + end for line in lines)]) + "\n")


def rejected(store, table):
    return store.rows(
        f"SELECT source_row, rule_id, scope FROM audit.rejected_row WHERE table_name = '{table}' ORDER BY ALL"
    )


# Tables


def test_every_landing_contract_is_loaded_and_may_be_named_in_a_manifest():
    named = {name.removeprefix("landing.") for name in contracts.names("landing")} - {"extract_manifest"}
    assert set(LOAD_ORDER) == named and len(LOAD_ORDER) == len(named)
    assert set(contracts.load("landing.extract_manifest").column("table_name").valid_values) == named
    assert set(GOOD) == set(OPTIONAL_TABLES)


def test_a_set_with_every_optional_table_lands_with_a_balanced_account(tmp_path):
    with landed(tmp_path, **{table: [row] for table, row in GOOD.items()}) as store:
        assert store.rows("SELECT * FROM audit.rejected_row") == []
        accounts = {each.table: each for each in store.accounts}
        assert set(accounts) == {*rows_of(), *GOOD}
        for table in GOOD:
            one = accounts[table]
            assert (one.received_count, one.loaded_count, one.rejected_count) == (1, 1, 0), table
        [(key,)] = store.rows("SELECT patient_key FROM landing.patient")
        for table in set(GOOD) - {"lsoa", "nhs_number_trace", "care_home_bed", "survey_result"}:
            assert store.rows(f"SELECT patient_key FROM landing.{table}") == [(key,)], table


@pytest.mark.parametrize("table", OPTIONAL_TABLES)
def test_a_set_may_have_one_and_lack_the_others(tmp_path, table):
    with landed(tmp_path, **{table: [GOOD[table]]}) as store:
        counts = {name: store.scalar(f"SELECT count(*) FROM landing.{name}") for name in OPTIONAL_TABLES}
        assert counts == {name: int(name == table) for name in OPTIONAL_TABLES}
        recorded = store.rows("SELECT loaded_count FROM audit.source_file WHERE table_name = $1", [table])
        assert recorded == [(1,)]


@pytest.mark.parametrize("table", OPTIONAL_TABLES)
def test_an_optional_table_declared_empty_is_no_fault(tmp_path, table):
    with landed(tmp_path, **{table: []}) as store:
        one = next(each for each in store.accounts if each.table == table)
        assert (one.received_count, one.loaded_count, one.rejected_count) == (0, 0, 0)


@pytest.mark.parametrize("table", OPTIONAL_TABLES)
def test_an_optional_table_goes_through_the_file_gate(tmp_path, table):
    folder = write_set(tmp_path / "x", **{table: [GOOD[table]]})
    path = folder / f"{table}.csv"
    whole = path.read_bytes()
    last = contracts.load(f"landing.{table}").column_names[-1]

    path.write_bytes(whole.replace(f",{last}".encode(), b"", 1))
    declare(folder)
    assert f"{table}.csv: expected the columns of landing.{table} in their order" in (message := refused(folder))
    assert f"found no {last}" in message

    path.write_bytes(whole[:-1])
    declare(folder)
    assert f"{table}.csv: expected a line end after the last line" in refused(folder)

    header, row = whole.splitlines()
    path.write_bytes(header + b",risk_score\n" + row + b",7\n")
    declare(folder)
    [file] = [each for each in ingest.inspect_files(folder, COUNTY) if each.table == table]
    assert file.unknown_columns == ("risk_score",)

    path.unlink()
    assert f"{table}.csv: expected the file, since manifest.csv names it" in refused(folder)


# Rows

FUTURE, WRONG_DIGIT = "2026-01-05", "267036008"
BAD = [
    ("gp_appointment", {"start_at": "soon"}, "APT-04-type", "row"),
    ("gp_appointment", {"status": "ARRIVED"}, "APT-07-values", "row"),
    ("gp_appointment", {"start_at": f"{FUTURE} 09:00:00"}, "APT-81-ahead", "row"),
    ("gp_appointment", {"source_patient_id": "p9"}, "APT-87-orphan", "row"),
    ("gp_appointment", {"is_deleted": "true"}, "APT-88-withdrawn", "row"),
    ("gp_appointment", {"duration_min": "481"}, "APT-06-range", "value"),
    ("gp_appointment", {"mode": "fax"}, "APT-08-values", "value"),
    ("gp_appointment", {"booked_at": f"{FUTURE} 09:00:00"}, "APT-05-future", "value"),
    ("referral", {"nhs_number": ""}, "REF-86-nhs-number", "row"),
    ("referral", {"service": "alchemy"}, "REF-06-values", "row"),
    ("referral", {"referral_date": FUTURE}, "REF-04-future", "row"),
    ("referral", {"first_seen_date": FUTURE}, "REF-09-future", "value"),
    ("referral", {"closed_date": "1900-01-01"}, "REF-10-sentinel", "value"),
    ("home_visit_request", {"source_patient_id": ""}, "HVR-03-missing", "row"),
    ("home_visit_request", {"requested_at": f"{FUTURE} 00:00:00"}, "HVR-04-future", "row"),
    ("home_visit_request", {"requested_by": "neighbour"}, "HVR-05-values", "value"),
    ("home_visit_request", {"reason_code": WRONG_DIGIT}, "HVR-06-verhoeff", "value"),
    ("home_visit_request", {"outcome": "pending"}, "HVR-07-values", "value"),
    ("community_contact", {"nhs_number": "9999999999"}, "COM-86-nhs-number", "row"),
    ("community_contact", {"contact_date": FUTURE}, "COM-80-ahead", "row"),
    ("community_contact", {"team": "plumbing"}, "COM-06-values", "row"),
    ("community_contact", {"attended": "1"}, "COM-08-values", "value"),
    ("pathway_activity", {"source": "RUMOUR"}, "ACT-01-values", "row"),
    ("pathway_activity", {"step": "forgotten"}, "ACT-06-values", "row"),
    ("pathway_activity", {"activity_date": FUTURE}, "ACT-07-future", "row"),
    ("pathway_activity", {"reason_code": "Said she would ring"}, "ACT-09-pattern", "value"),
    ("pathway_activity", {"reason_code": nhs(1)}, "ACT-09-pattern", "value"),
    ("pathway_activity", {"recorded_by_role": "Dr Smith"}, "ACT-10-pattern", "value"),
    ("lsoa", {"area_version": "2001", "imd_version": "", "imd_rank": "", "imd_decile": ""}, "LSO-01-values", "row"),
    ("lsoa", {"imd_version": "2019"}, "LSO-80-edition", "row"),
    ("lsoa", {"area_version": "2011"}, "LSO-80-edition", "row"),
    ("lsoa", {"imd_version": ""}, "LSO-81-unversioned", "row"),
    ("lsoa", {"imd_decile": "11"}, "LSO-05-range", "value"),
    ("care_home_bed", {"occupied_bed_count": "-1"}, "BED-05-range", "value"),
    ("care_home_bed", {"month_start_date": FUTURE}, "BED-01-future", "row"),
    ("survey_result", {"positive_answer_count": "101"}, "SRV-80-more", "row"),
    ("survey_result", {"question": "How was it?"}, "SRV-04-pattern", "row"),
    ("social_care_event", {"kind": "day_centre"}, "SCE-04-values", "row"),
    ("social_care_event", {"nhs_number": ""}, "SCE-86-nhs-number", "row"),
    ("place_preference", {"preferred_place": "the sea"}, "PPD-05-values", "row"),
    ("place_preference", {"recorded_date": FUTURE}, "PPD-04-future", "row"),
]


@pytest.mark.parametrize("table", OPTIONAL_TABLES)
def test_bad_rows_and_values_of_an_optional_table_are_set_aside_and_accounted_for(tmp_path, table):
    """The first row is good; each of the others has one fault and an identifier of its own."""
    faults = [each for each in BAD if each[0] == table]
    own_id = contracts.load(f"landing.{table}").key[-1]
    numbered = [
        GOOD[table] | {own_id: f"E0100{number + 2:04}" if table == "lsoa" else f"x{number}"} | changes
        for number, (_, changes, _, _) in enumerate(faults)
    ]
    with landed(tmp_path, **{table: [GOOD[table], *numbered]}) as store:
        assert rejected(store, table) == [(line, rule, scope) for line, (_, _, rule, scope) in enumerate(faults, 3)]
        one = next(each for each in store.accounts if each.table == table)
        bad_rows = sum(scope == "row" for _, _, _, scope in faults)
        received = len(faults) + 1
        assert (one.received_count, one.loaded_count, one.rejected_count) == (received, received - bad_rows, bad_rows)


def test_a_slot_that_nobody_booked_and_an_appointment_ahead_are_kept(tmp_path):
    free = APPOINTMENT | {"source_slot_id": "a2", "source_patient_id": "", "status": "OTHER"}
    ahead = APPOINTMENT | {"source_slot_id": "a3", "start_at": "2026-02-01 09:00:00", "status": "BOOKED"}
    with landed(tmp_path, gp_appointment=[free, ahead]) as store:
        assert rejected(store, "gp_appointment") == []
        assert store.rows("SELECT patient_key IS NULL FROM landing.gp_appointment ORDER BY source_row") == [
            (True,),
            (False,),
        ]


def test_two_sources_may_number_their_steps_alike_and_one_may_not_number_two(tmp_path):
    rows = [ACTIVITY, ACTIVITY | {"source": "APP_PROVIDER", "step": "activated"}, ACTIVITY | {"step": "accepted"}]
    with landed(tmp_path, pathway_activity=rows) as store:
        assert rejected(store, "pathway_activity") == [(2, "ACT-89-duplicate", "row"), (4, "ACT-89-duplicate", "row")]


def test_the_same_area_stands_once_in_each_edition_of_the_map(tmp_path):
    rows = [AREA, AREA | {"area_version": "2011", "imd_version": "2019"}, AREA]
    with landed(tmp_path, lsoa=rows) as store:
        assert rejected(store, "lsoa") == [(4, "LSO-89-repeat", "row")]


@pytest.mark.parametrize("table", OPTIONAL_TABLES)
def test_no_rule_about_a_whole_optional_table_can_hold_the_lists(table):
    whole = [rule for rule in contracts.load(f"landing.{table}").rules if rule.scope == "table"]
    assert whole and {rule.severity for rule in whole} == {"warning"}


# The manifest


def test_a_manifest_without_its_newer_columns_stays_good(tmp_path):
    folder = write_set(tmp_path / "x")
    assert "is_delta" not in (folder / "manifest.csv").read_text()
    ingest.inspect_files(folder, COUNTY)


@pytest.mark.parametrize("is_delta", ["false", "FALSE", ""])
def test_a_bulk_extract_may_say_so(tmp_path, is_delta):
    folder = write_set(tmp_path / "x")
    declare(folder, is_delta=is_delta, period_from="2023-01-05")
    assert len(ingest.inspect_files(folder, COUNTY)) == len(rows_of())


def test_a_line_that_ends_before_the_newer_columns_means_empty(tmp_path):
    folder = write_set(tmp_path / "x")
    path = folder / "manifest.csv"
    path.write_text(path.read_text().replace("period_to\n", "period_to,is_delta,period_from\n", 1))
    ingest.inspect_files(folder, COUNTY)


@pytest.mark.parametrize(
    ("is_delta", "period_from"),
    [
        pytest.param("yes", "", id="neither_true_nor_false"),
        pytest.param("", "05/01/2023", id="no_iso_date"),
        pytest.param("", "2026-01-05", id="begins_after_it_ends"),
    ],
)
def test_newer_columns_that_say_nothing_usable_are_told_by_line(tmp_path, is_delta, period_from):
    folder = write_set(tmp_path / "x")
    declare(folder, is_delta=is_delta, period_from=period_from)
    assert "something else on line 2, 3, 4, 5, 6" in refused(folder)


def test_a_file_named_after_an_optional_table_needs_no_manifest_where_none_is_needed(tmp_path):
    folder = write_set(tmp_path / "x")
    (folder / "manifest.csv").unlink()
    for name in ("death", "patient_flag", "opt_out", "op_attendance", "ed_attendance", "apc_episode"):
        (folder / f"{name}.csv").unlink()
    (folder / "lsoa_2021.csv").write_bytes(as_csv("lsoa", [AREA]))
    source = dataclasses.replace(ingest.SOURCES["synthea"], read=None)
    assert "lsoa" in [file.table for file in ingest.inspect_files(folder, source)]
