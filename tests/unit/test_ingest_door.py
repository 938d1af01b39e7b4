"""Rows that never land: restricted codes and confidential entries, counted and not shown."""

import pytest
from extract_set import COPD, built, episode, event, landed, medication, observation

from stratify import contracts, holding, ingest
from stratify.errors import SettingsError
from stratify.privacy import EntryPolicy

LISTED = "14285001"
"""An ordinary code that these tests call restricted."""


def door_of(tmp_path, *lines, header="code_system,code,reference_set", **policy):
    path = tmp_path / "restricted.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return ingest.open_door(EntryPolicy(code_list=path, **policy))


def account(store, table):
    [one] = [each for each in store.accounts if each.table == table]
    return one.received_count, one.loaded_count, one.rejected_count - one.restricted_count, one.restricted_count


def everything(store):
    """Every text of every table of every database of a run."""
    columns = store.rows(
        "SELECT database_name, schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE NOT internal AND data_type = 'VARCHAR' AND table_name NOT IN ('restricted_code')"
    )
    return {
        text
        for database, schema, table, column in columns
        for (text,) in store.rows(f'SELECT DISTINCT "{column}" FROM {database}."{schema}"."{table}"')
    }


@pytest.mark.parametrize(
    ("table", "line", "kept", "left_out"),
    [
        pytest.param("gp_event", f"snomed_ct,{LISTED},", event(), event("e2", snomed_code=LISTED), id="gp_entry"),
        pytest.param(
            "gp_observation", f"snomed_ct,{LISTED},", observation(), observation("o2", snomed_code=LISTED), id="result"
        ),
        pytest.param("gp_event", "local,XYZ1.,", event(), event("e2", original_code="XYZ1."), id="code_of_a_supplier"),
        pytest.param(
            "gp_medication", "dmd,319720009,", medication(), medication("m2", dmd_code="319720009"), id="medicine"
        ),
        pytest.param(
            "apc_episode", "icd10,O04.5,", episode(), episode("c2", spell_id="s2", diag_03="o04.5"), id="diagnosis"
        ),
        pytest.param(
            "apc_episode", "icd10,O04,", episode(), episode("c2", spell_id="s2", diag_20="O045"), id="category"
        ),
        pytest.param(
            "apc_episode", "opcs4,Q11.1,", episode(), episode("c2", spell_id="s2", opertn_24="Q111"), id="procedure"
        ),
    ],
)
def test_a_row_with_a_listed_code_never_lands_and_is_counted(tmp_path, table, line, kept, left_out):
    door = door_of(tmp_path, line)
    with landed(tmp_path, door=door, **{table: [kept, left_out]}) as store:
        assert account(store, table) == (2, 1, 0, 1)
        assert store.scalar(f"SELECT count(*) FROM landing.{table}") == 1
        code = line.split(",")[1]
        assert not any(code in (text or "") for text in everything(store))
        assert store.rows("SELECT * FROM audit.rejected_row") == []  # a line number would point at the row


def test_the_line_numbers_of_the_rows_that_land_count_the_others_in(tmp_path):
    rows = [event("e1", snomed_code=LISTED), event("e2"), event("e3", is_confidential="true"), event("e4")]
    with landed(tmp_path, door=door_of(tmp_path, f"snomed_ct,{LISTED},"), gp_event=rows) as store:
        found = store.rows("SELECT source_event_id, source_row FROM landing.gp_event ORDER BY ALL")
        assert found == [("e2", 3), ("e4", 5)]
        assert account(store, "gp_event") == (4, 2, 0, 2)


def test_a_restricted_row_that_breaks_rules_as_well_is_counted_once(tmp_path):
    rows = [event("e1"), event("e2", snomed_code=LISTED, source_patient_id="nobody")]
    with landed(tmp_path, door=door_of(tmp_path, f"snomed_ct,{LISTED},"), gp_event=rows) as store:
        assert account(store, "gp_event") == (2, 1, 0, 1)


@pytest.mark.parametrize("mark", ["true", "1", "perhaps"])
def test_an_entry_marked_confidential_never_lands_unless_the_site_keeps_it(tmp_path, mark):
    rows = {"gp_event": [event(), event("e2", is_confidential=mark)]}
    with landed(tmp_path, **rows) as store:
        assert account(store, "gp_event") == (2, 1, 0, 1)
    kept = ingest.open_door(EntryPolicy(confidential_rows="keep"))
    with landed(tmp_path / "kept", door=kept, **rows) as store:
        assert account(store, "gp_event") == (2, 2, 0, 0)


def test_a_site_may_keep_restricted_codes_but_has_to_say_so(tmp_path):
    door = door_of(tmp_path, f"snomed_ct,{LISTED},", restricted_codes="keep")
    with landed(tmp_path, door=door, gp_event=[event("e2", snomed_code=LISTED)]) as store:
        assert account(store, "gp_event") == (1, 1, 0, 0)
    assert door.in_manifest()["code_count"] == 0


def test_the_list_that_comes_with_stratify_names_its_reference_sets_and_says_which_have_no_codes(tmp_path):
    """nhs-data 4.3 gives six reference sets; their members are for a site's own list."""
    plain = ingest.open_door(EntryPolicy())
    assert plain.version and plain.site_list_sha256 is None
    assert plain.sets_without_codes == (
        "999004351000000109",
        "1955851000000101",
        "999004371000000100",
        "1955841000000104",
        "999004361000000107",
        "999004381000000103",
    )
    own = door_of(tmp_path, f"snomed_ct,{LISTED},999004361000000107")
    assert "999004361000000107" not in own.sets_without_codes and len(own.sets_without_codes) == 5
    assert own.codes == plain.codes | {("snomed_ct", LISTED)}
    assert len(own.in_manifest()["site_list_sha256"]) == 64
    assert LISTED not in str(own.in_manifest())


def test_the_concept_that_comes_with_stratify_is_left_out_by_default(tmp_path):
    with landed(tmp_path, door=ingest.open_door(EntryPolicy()), gp_event=[event(snomed_code="118199002")]) as store:
        assert account(store, "gp_event") == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        pytest.param(["snomed_ct"], "code_system", "found no code", id="no_code_column"),
        pytest.param([], "code_system,code", "columns code_system, code", id="empty"),
        pytest.param(["snomed_ct,14285001", "snomed,1"], "code_system,code", "something else on line 3", id="system"),
        pytest.param(["snomed_ct,"], "code_system,code", "something else on line 2", id="no_code"),
    ],
)
def test_a_list_of_the_site_that_is_wrong_is_refused_without_showing_a_code(tmp_path, lines, header, message):
    with pytest.raises(SettingsError, match=message) as caught:
        door_of(tmp_path, *lines, header=header)
    assert LISTED not in str(caught.value)


def test_a_list_of_the_site_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="a CSV in UTF-8; found none that can be read"):
        ingest.open_door(EntryPolicy(code_list=tmp_path / "none.csv"))


def test_a_restricted_row_reaches_no_table_of_the_run(tmp_path):
    rows = [event("e1", snomed_code=COPD), event("e2", snomed_code=LISTED, snomed_term="CANARYTERM")]
    with built(tmp_path, door=door_of(tmp_path, f"snomed_ct,{LISTED},"), gp_event=rows) as store:
        assert not any("CANARYTERM" in (text or "") or text == LISTED for text in everything(store))
        assert store.scalar("SELECT count(*) FROM core.gp_event") == 1


def test_a_hospital_row_stripped_of_its_number_by_law_is_no_fault_of_the_file(tmp_path):
    """Of four rows two are stripped by law and one has no number for no reason: 25 %, not 75 % are set aside."""
    stripped = [
        episode(f"c{n}", spell_id=f"s{n}", nhs_number="", is_legally_restricted=restricted)
        for n, restricted in ((2, "true"), (3, "true"), (4, ""))
    ]
    with landed(tmp_path, apc_episode=[episode(), *stripped]) as store:
        assert account(store, "apc_episode") == (4, 1, 1, 2)
        assert holding.rejected_percent(store, contracts.load("landing.apc_episode")) == 25.0
