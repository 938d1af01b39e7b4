"""A broken file of a supplier's layout costs the landing tables made with it, and no more; see also test_lost_feeds."""

from datetime import date

import pytest
from source_sets import (
    CANARY,
    EMIS,
    csv_text,
    emis_name,
    header_of,
    write_emis,
    write_hes,
    write_manifest,
    write_systmone,
)
from test_sources_weekly import FIRST, SECOND, emis_week

from stratify import ingest
from stratify.errors import ExtractError
from stratify.ingest import SOURCES

ISSUES, CODES = "Prescribing_IssueRecord", "Coding_ClinicalCode"


def gathered(source, folder, tmp_path):
    """The tables read of each set, and of each feed lost the day it is used to and why."""
    lost = []
    files = ingest.gather_files(folder, SOURCES[source], tmp_path / "scratch", known_by=date(2026, 2, 1), lost=lost)
    assert CANARY not in str(lost)
    return {(each.table, each.extract) for each in files}, {
        each.table: (each.used_to and each.used_to.isoformat(), [why.found for why in each.refusals]) for each in lost
    }


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-2])


def break_emis(folder, table):
    cut_off(folder / emis_name(table))


def break_systmone(folder, table):
    cut_off(folder / f"{table}.csv")


@pytest.mark.parametrize(
    ("source", "write", "break_file", "broken", "tables"),
    [
        pytest.param("emis_gp_only", write_emis, break_emis, ISSUES, {"gp_medication"}, id="emis_issues"),
        pytest.param("emis_gp_only", write_emis, break_emis, CODES, {"gp_event", "gp_observation"}, id="emis_codes"),
        pytest.param(
            "systmone_gp_only",
            write_systmone,
            break_systmone,
            "SRPrimaryCareMedication",
            {"gp_medication"},
            id="systmone_issues",
        ),
    ],
)
def test_a_broken_file_costs_the_tables_made_with_it(tmp_path, source, write, break_file, broken, tables):
    folder = write(tmp_path / "set")
    whole, nothing = gathered(source, folder, tmp_path)
    assert nothing == {}
    break_file(folder, broken)
    left, lost = gathered(source, folder, tmp_path)
    assert left == whole - {(table, "") for table in tables}
    assert lost == {table: (None, ["none: the file is cut off"]) for table in tables}


def test_a_broken_file_of_outpatients_leaves_the_admissions(tmp_path):
    write_hes(tmp_path / "set")
    text = (tmp_path / "set" / "HES_OP_2526.csv").read_text(encoding="utf-8")
    (tmp_path / "set" / "HES_OP_2526.csv").write_text(text.replace("NHSNUMBER", "PATIENT"), encoding="utf-8")
    made = {}
    landing = SOURCES["hes"].read(tmp_path / "set", tmp_path / "scratch", apart=made)
    assert list(made) == ["op_attendance"] and "NHSNUMBER is called PATIENT" in made["op_attendance"][0].found
    assert {path.stem for path in landing.glob("*.parquet")} == {"apc_episode", "ed_attendance"}
    # Without somewhere to put it, the set is refused.
    with pytest.raises(ExtractError, match="NHSNUMBER is called PATIENT"):
        SOURCES["hes"].read(tmp_path / "set", tmp_path / "scratch")


def test_several_broken_files_are_all_told_and_one_of_patients_refuses_the_set(tmp_path):
    folder = write_emis(tmp_path / "set")
    break_emis(folder, ISSUES)
    break_emis(folder, "Admin_Patient")
    with pytest.raises(ExtractError) as caught:
        gathered("emis_gp_only", folder, tmp_path)
    assert emis_name(ISSUES) in str(caught.value) and emis_name("Admin_Patient") in str(caught.value)


def test_a_key_with_two_meanings_costs_what_looks_it_up(tmp_path):
    twice = [*EMIS[CODES], EMIS[CODES][0] | {"Term": "Something else"}]
    folder = write_emis(tmp_path / "set", **{CODES: twice})
    _, lost = gathered("emis_gp_only", folder, tmp_path)
    assert lost == {table: (None, ["1 keys with several"]) for table in ("gp_event", "gp_observation")}


def test_after_a_broken_file_of_changes_its_feed_ends_with_the_set_before(tmp_path):
    folder = tmp_path / "sets"
    write_emis(folder / FIRST)
    emis_week(folder)
    header = header_of("emis_gp_only", emis_name(ISSUES))
    (folder / SECOND / emis_name(ISSUES)).write_text(csv_text(header[1:], []), encoding="utf-8")
    left, lost = gathered("emis_gp_only", folder, tmp_path)
    assert {extract for table, extract in left if table == "gp_medication"} == {FIRST}
    assert {extract for table, extract in left if table == "gp_event"} == {FIRST, SECOND}
    assert list(lost) == ["gp_medication"] and lost["gp_medication"][0] == FIRST


def test_whatever_is_wrong_with_the_set_itself_refuses_it(tmp_path):
    folder = write_emis(tmp_path / "set")
    write_manifest(folder, ["practice.csv"], afresh=True, is_delta="perhaps")
    with pytest.raises(ExtractError, match=r"manifest\.csv"):
        gathered("emis_gp_only", folder, tmp_path)
