"""Rows beyond doubt go to core as they are read: the tables are the same as when every row lands first."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from datetime import date

import pytest
from extract_set import (
    CASE_FINDING,
    COUNTY,
    DIRECT_CARE,
    FEV1_PERCENT,
    KEY,
    as_csv,
    event,
    measurement,
    medication,
    nhs,
    observation,
    opened,
    opt_out,
    patient,
    write_manifest,
    write_set,
)
from test_extract_sets import changes, gathered, whole

from stratify import contracts, ingest, quality
from stratify.errors import ExtractError, PrivacyError
from stratify.ingest import onward
from stratify.ingest.door import Door

INDEX_DATE = date(2026, 1, 9)
RESTRICTED = "86923008"
DAMAGED = "13645006"
DOOR = Door(codes=frozenset({("snomed_ct", RESTRICTED)}))
PEOPLE = [
    patient("p1"),
    patient("objector", nhs_number=nhs(2)),
    patient("dead", nhs_number=nhs(3), date_of_death="2024-01-01"),
]
ASKED = "2026-01-02 00:00:00"
OPT_OUTS = [
    *(opt_out("NDO", "false", nhs_number=nhs(number), checked_at=ASKED) for number in (1, 2, 3)),
    opt_out("TYPE1", nhs_number=nhs(2), checked_at=ASKED),
]
SURE = [event("sure 1"), event("sure 2")]
DOUBTFUL = [
    event("of an objector", source_patient_id="objector"),
    event("of nobody here", source_patient_id="p9"),
    event("restricted", snomed_code=RESTRICTED),
    event("confidential", is_confidential="true"),
    event("withdrawn", is_deleted="true"),
    event("before birth", effective_date="1920-01-01"),
    event("long after death", source_patient_id="dead", effective_date="2025-01-01"),
    event("some day in March", effective_date="2020-03-15", effective_precision="YM"),
    event("no date", effective_date="", effective_precision="U"),
    event("not a date", effective_date="2020-13-45"),
    event("damaged code", snomed_code=DAMAGED),
    event("neither yes nor no", is_problem="perhaps"),
    event("", snomed_term="without an id"),
    event("same twice"),
    event("same twice"),
    event("another under one id"),
    event("another under one id", snomed_code=FEV1_PERCENT),
    event("withdrawn and sent"),
    event("withdrawn and sent", is_deleted="true"),
]
PARTIAL = {
    "gp_observation": [
        observation("o1"),
        observation("o2", value_num="900"),
        observation("o3", unit_raw="furlong"),
        observation("o4", comparator="about"),
        observation("o5", value_num="fifty"),
        observation("o6", source_patient_id="objector"),
        observation("o7", effective_date="1920-01-01"),
    ],
    "gp_medication": [
        medication("m1"),
        medication("m2", quantity="many"),
        medication("m3", issue_date="1920-01-01"),
        medication("m4", source_patient_id="objector"),
    ],
}


@contextmanager
def loaded(folder, files, *, is_onward, with_core=True):
    """The store after loading, with the accounts and the counts that a run notes."""
    measurements = [measurement()]
    with opened(folder) as store:
        ahead = ingest.Onward(CASE_FINDING, COUNTY, measurements) if is_onward else None
        store.accounts = ingest.land(
            store, files, source=COUNTY, index_date=INDEX_DATE, key=KEY, door=DOOR, onward=ahead
        )
        if with_core:
            store.counts = ingest.build_core(
                store,
                index_date=INDEX_DATE,
                key=KEY,
                measurements=measurements,
                privacy_policy=CASE_FINDING,
                source=COUNTY,
            )
        yield store


def everything(folder, files, *, is_onward):
    """Every table that outlasts loading, its rows in order of their values, and what is told of each file."""
    with loaded(folder, files, is_onward=is_onward) as store:
        names = store.rows("SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name <> 'main'")
        found = {name: store.rows(f"SELECT * FROM {name} ORDER BY ALL") for (name,) in names}
        landed = [contracts.load(f"landing.{table}") for table in onward.TABLES]
        practices = quality.practice_counts(store, landed).rows()
        return found, store.counts, store.accounts, practices


def in_one_set(folder, **tables):
    write_set(folder / "x", patient=PEOPLE, opt_out=OPT_OUTS, **tables)
    return gathered(folder / "x", INDEX_DATE)


def ids_in_core(store):
    return {name for (name,) in store.rows("SELECT source_event_id FROM core.gp_event")}


def test_the_tables_are_the_same_whether_rows_go_onward_or_land_first(tmp_path):
    files = in_one_set(tmp_path, gp_event=[*SURE, *DOUBTFUL], **PARTIAL)
    assert everything(tmp_path, files, is_onward=True) == everything(tmp_path, files, is_onward=False)


def test_they_are_the_same_where_changes_came_after_the_whole_set(tmp_path):
    folder = tmp_path / "x"
    whole(folder, "2026-01-04", patient=PEOPLE, opt_out=OPT_OUTS, gp_event=[*SURE, *DOUBTFUL, event("to go")])
    changes(
        folder, "2026-01-06", "2026-01-05",
        gp_event=[event("sure 2", effective_date="2021-05-05"), event("new"), event("to go", is_deleted="true")],
    )  # fmt: skip
    changes(folder, "2026-01-08", "2026-01-07", gp_event=[event("sure 2", snomed_code=DAMAGED), event("to go")])
    files = gathered(folder, INDEX_DATE)
    assert everything(tmp_path, files, is_onward=True) == everything(tmp_path, files, is_onward=False)


def test_only_sure_rows_are_in_core_before_the_others_are_judged(tmp_path):
    """Not even for a moment is there anything of somebody who objected: of a row in doubt core has at most its line."""
    files = in_one_set(tmp_path, gp_event=[DOUBTFUL[0], *SURE, *DOUBTFUL])
    with loaded(tmp_path, files, is_onward=True, with_core=False) as store:
        assert ids_in_core(store) == {"sure 1", "sure 2"}
        landed = {name for (name,) in store.rows("SELECT source_event_id FROM landing.gp_event_stored")}
        assert landed == {row["source_event_id"] or None for row in DOUBTFUL} - {"restricted", "confidential"}


def test_rows_in_doubt_leave_nothing_but_their_line_in_core_while_a_file_is_read(tmp_path, monkeypatch):
    seen = []
    settle = onward.settle

    def looked_at(store, file, into, count, cutoff):
        seen.append((count, store.rows(f"SELECT * EXCLUDE (source_file_id, source_row) FROM {into}")))
        return settle(store, file, into, count, cutoff)

    monkeypatch.setattr(onward, "settle", looked_at)
    files = in_one_set(tmp_path, gp_event=[*SURE, event("x", source_patient_id="objector")])
    with loaded(tmp_path, files, is_onward=True):
        count, rows = seen[0]
        assert count == len(rows) == 3
        assert [set(row) == {None} for row in rows] == [False, False, True]


def test_an_event_without_a_fault_goes_to_core_once_it_is_known_that_nobody_objects(tmp_path):
    files = in_one_set(tmp_path, gp_event=SURE)
    with loaded(tmp_path, files, is_onward=True) as store:
        assert ids_in_core(store) == {"sure 1", "sure 2"}
        assert not store.scalar("SELECT count(*) FROM landing.gp_event_stored")
        assert store.rows("SELECT source_event_id, source_row FROM landing.gp_event ORDER BY ALL") == [
            ("sure 1", 2),
            ("sure 2", 3),
        ]


@pytest.mark.parametrize("is_packed", [False, True])
def test_lines_that_are_no_records_are_counted_into_the_line_numbers(tmp_path, is_packed):
    rows = [event("a"), event("of nobody", source_patient_id="p9"), event("b")]
    header, first, second, third = as_csv("gp_event", rows).splitlines(keepends=True)
    text = header + b"no,record\n" + first + b"nor,this\n" + second + third
    folder = write_set(tmp_path / "x", opt_out=OPT_OUTS, raw={"gp_event": text})
    if is_packed:
        (folder / "gp_event.csv").unlink()
        (folder / "gp_event.csv.gz").write_bytes(gzip.compress(text))
        named = {path.name: path.name.split(".")[0] for path in folder.iterdir() if path.name != "manifest.csv"}
        write_manifest(folder, named, counts={"gp_event.csv.gz": 5})
    files = gathered(folder, INDEX_DATE)
    with loaded(tmp_path, files, is_onward=True) as store:
        assert store.rows("SELECT source_event_id, source_row FROM core.gp_event ORDER BY ALL") == [("a", 3), ("b", 6)]
        places = store.rows("SELECT source_row FROM audit.rejected_row WHERE table_name = 'gp_event' ORDER BY ALL")
        assert places == [(2,), (4,), (5,)]


def test_a_line_break_inside_a_value_refuses_the_file_and_leaves_nothing_of_it_in_core(tmp_path):
    rows = [event("a"), event("b", snomed_term="two\nlines"), event("of nobody", source_patient_id="p9")]
    files = in_one_set(tmp_path, gp_event=rows)
    with opened(tmp_path) as store:
        ahead = ingest.Onward(DIRECT_CARE, COUNTY, [])
        with pytest.raises(ExtractError, match="a line break inside a value"):
            ingest.land(store, files, source=COUNTY, index_date=INDEX_DATE, key=KEY, onward=ahead)
        assert not store.scalar("SELECT count(*) FROM core.gp_event")


def test_a_policy_that_does_not_allow_the_run_stops_it_before_the_gp_record_is_read(tmp_path):
    """The check of the only national opt-out is too old, so that nobody may be looked at for this purpose."""
    write_set(tmp_path / "x", opt_out=[opt_out("NDO", "false", checked_at="2020-01-02 00:00:00")])
    files = gathered(tmp_path / "x", INDEX_DATE)
    with opened(tmp_path) as store:
        ahead = ingest.Onward(CASE_FINDING, COUNTY, [])
        with pytest.raises(PrivacyError, match="checks of the national opt-out"):
            ingest.land(store, files, source=COUNTY, index_date=INDEX_DATE, key=KEY, onward=ahead)
        assert not store.scalar("SELECT count(*) FROM core.gp_event")


def test_of_what_lands_only_the_record_id_and_the_mark_of_withdrawal_are_not_in_core():
    """The text of a row that went to core is given from there, so that checks of the extract count it, too."""
    for table in onward.TABLES:
        core = contracts.load(f"core.{table}").column_names
        landing = contracts.load(f"landing.{table}").column_names
        assert [name for name in landing if name not in core] == ["source_patient_id", "is_deleted"]


def test_core_tables_are_filled_once_however_often_they_are_built(tmp_path):
    files = in_one_set(tmp_path, gp_event=[*SURE, *DOUBTFUL], **PARTIAL)
    with loaded(tmp_path, files, is_onward=True) as store:
        before = {table: store.rows(f"SELECT * FROM core.{table} ORDER BY ALL") for table in onward.TABLES}
        counts = ingest.build_core(
            store, index_date=INDEX_DATE, key=KEY, measurements=[measurement()], privacy_policy=CASE_FINDING,
            source=COUNTY,
        )  # fmt: skip
        assert counts == store.counts
        assert {table: store.rows(f"SELECT * FROM core.{table} ORDER BY ALL") for table in onward.TABLES} == before
