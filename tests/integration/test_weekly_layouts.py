"""One county sent week by week as canonical, EMIS-style and SystmOne-style sets: the same core tables and decisions.

The weeks hold amended records, people who join, leave and move practice, rows withdrawn, hospital rows revised and a
window of them replaced, and rows that come a week or more before their patient.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from stratify import ingest
from stratify.ingest import Door
from stratify.privacy import THROWAWAY_KEY
from stratify.store import open_store
from stratify.synth import CountyOrder, write_county
from whole_runs import counted_plainly, extract_set, settings_file, stratify, working_store

SOURCES = {"canonical": "synthetic_county", "emis": "synthetic_county_emis", "systmone": "synthetic_county_systmone"}
FIRST = date(2026, 11, 2)
FAULTS = {"R4": 0.003, "R5": 0.005, "R6": 0.05, "R7": 0.05, "R8": 0.1}

_PATIENT = {
    "source_patient_id", "ethnic_category", "preferred_language", "interpreter_needed", "ais_format",
    "contact_preference", "has_digital_access", "lsoa11", "lsoa21", "imd_decile", "imd_version",
}  # fmt: skip
_HOSPITAL = {"cds_unique_id", "attendance_id", "update_type", "freeze_status", "is_legally_restricted"}
LOST = {
    "emis": {
        "person": _PATIENT | {"usual_gp_id"},
        "patient": _PATIENT,
        "registration": {"source_registration_id", "usual_gp_id"},
        "gp_event": {"source_event_id", "original_system"},
        "gp_observation": {"source_event_id", "parent_event_id", "comparator", "original_system"},
        "gp_medication": {
            "source_issue_id", "dmd_level", "bnf_code", "prescription_type", "drug_record_id", "is_active",
            "cancelled_date", "original_system",
        },
        "apc_episode": _HOSPITAL,
        "ed_attendance": _HOSPITAL,
        "op_attendance": _HOSPITAL,
    },
    "systmone": {
        "person": _PATIENT | {"usual_gp_id", "is_spine_sensitive", "is_confidential"},
        "patient": _PATIENT | {"is_spine_sensitive", "is_confidential", "nhs_number_status"},
        "registration": {"source_registration_id", "usual_gp_id", "end_reason"},
        "gp_event": {
            "source_event_id", "effective_precision", "is_problem", "problem_status", "is_confidential",
            "original_system", "encounter_id",
        },
        "gp_observation": {
            "source_event_id", "parent_event_id", "is_confidential", "original_system", "range_low", "range_high",
            "effective_precision",
        },
        "gp_medication": {
            "source_issue_id", "dmd_level", "bnf_code", "prescription_type", "drug_record_id", "is_active",
            "cancelled_date", "original_code", "original_system",
        },
        "apc_episode": _HOSPITAL,
        "ed_attendance": _HOSPITAL,
        "op_attendance": _HOSPITAL,
    },
}  # fmt: skip
"""By core table, what a layout cannot carry (its docstring says so) and ids, which each supplier prints its own way."""


def core_of(folder: Path, layout: str, index_date: date):
    """Land the sets known by a day; give the core rows of people with a number by table, and counts."""
    source = ingest.SOURCES[SOURCES[layout]]
    work = folder / f"work {layout} {index_date}"
    work.mkdir()
    files = ingest.gather_files(folder / layout, source, work / "prepared", known_by=index_date)
    with open_store(work / "run.duckdb", temp_directory=work / "tmp") as store:
        for name in ("landing", "identity"):
            store.attach(work / f"{name}.duckdb", name)
        # What is marked confidential is kept here, for SystmOne cannot say it: the others would leave it out.
        door = Door(keeps_confidential=True)
        accounts = ingest.land(store, files, source=source, index_date=index_date, key=THROWAWAY_KEY, door=door)
        assert all(each.received_count == each.loaded_count + each.rejected_count for each in accounts)
        orphans = store.scalar("SELECT count(*) FROM audit.rejected_row WHERE rule_id LIKE 'GP%-87-orphan'")
        counted = {
            "orphans": orphans,
            "withdrawn": sum(each.withdrawn_count for each in accounts),
            "superseded": sum(each.superseded_count for each in accounts),
        }
        ingest.build_core(
            store, index_date=index_date, key=THROWAWAY_KEY, measurements=[extract_set.measurement()],
            privacy_policy=extract_set.DIRECT_CARE, source=source,
        )  # fmt: skip
        linked = "SELECT patient_key FROM core.person WHERE is_hospital_linked"
        tables = {}
        for (table,) in store.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core' ORDER BY ALL"):
            lost = set.union(*(each.get(table, set()) for each in LOST.values())) | {"source_file_id", "source_row"}
            columns = "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'core' AND table_name = $1"
            names = [name for (name,) in store.rows(columns, [table]) if name not in lost]
            whose = f" WHERE patient_key IN ({linked})" if "patient_key" in names else ""
            listed = ", ".join(f'"{name}"' for name in names)
            tables[table] = store.rows(f"SELECT {listed} FROM core.{table}{whose} ORDER BY ALL")
        counted["moved"] = store.scalar(
            "SELECT count(*) FROM (SELECT 1 FROM core.registration GROUP BY patient_key "
            "HAVING count(DISTINCT practice_code) > 1)"
        )
    return tables, counted


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weekly_layouts")
    for layout in SOURCES:
        order = CountyOrder(
            people=300, practices=2, seed=31, index_date=FIRST, weeks=2, faults=FAULTS, layout=layout, workers=1
        )
        write_county(folder / layout, order)
    return folder


@pytest.fixture(scope="module")
def canonical(county):
    return core_of(county, "canonical", FIRST + timedelta(weeks=2))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_two_weeks_of_changes_give_the_same_core_tables_in_every_layout(county, canonical, layout):
    tables, counts = core_of(county, layout, FIRST + timedelta(weeks=2))
    expected, in_canonical = canonical
    assert counts["orphans"] == in_canonical["orphans"] > 0
    assert counts["withdrawn"] >= in_canonical["withdrawn"] > 200
    assert counts["superseded"] >= in_canonical["superseded"] > 100
    assert counts["moved"] == in_canonical["moved"] > 0
    for table, rows in expected.items():
        assert tables[table] == rows, table


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["emis", "systmone"])
def test_weeks_of_changes_say_what_weekly_whole_extracts_say(tmp_path, layout):
    """What the changes add up to is what the supplier would send whole in that week: every column, ids and all."""
    cores = []
    for weekly in ("delta", "bulk"):
        folder = tmp_path / weekly
        order = CountyOrder(people=300, practices=2, seed=8, index_date=FIRST, weeks=2, layout=layout, weekly=weekly)
        write_county(folder / layout, order)
        tables, _ = core_of(folder, layout, FIRST + timedelta(weeks=2))
        cores.append(tables)
    assert sum(len(rows) for rows in cores[0].values()) > 10_000
    for table, rows in cores[0].items():
        assert cores[1][table] == rows, table


@pytest.mark.slow
def test_everybody_has_the_same_decisions_week_after_week_in_every_layout(tmp_path):
    decided = {}
    with counted_plainly():
        for layout, source in SOURCES.items():
            order = CountyOrder(people=500, practices=2, seed=8, index_date=FIRST, weeks=2, layout=layout, workers=1)
            write_county(tmp_path / layout, order)
            place = settings_file(
                tmp_path / f"run {layout}", tmp_path / layout, tmp_path / f"run {layout}" / "out",
                source=source, index_date=FIRST + timedelta(weeks=2),
            )  # fmt: skip
            done = stratify("run", "--settings", place)
            assert done.exit_code == 0, done.output
            with working_store(tmp_path / f"run {layout}" / "out", tmp_path / "scratch") as store:
                decided[layout] = store.rows(
                    "SELECT p.patient_key, pathway, decision, reason, d.rule_id FROM derived.pathway_decision AS d "
                    "JOIN core.person AS p USING (patient_key) WHERE is_hospital_linked ORDER BY ALL"
                )
    assert len(decided["canonical"]) > 80
    assert decided["emis"] == decided["canonical"]
    assert decided["systmone"] == decided["canonical"]
