"""Several extract sets in one folder: which are read, in what order, and which version of a row holds."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

import pytest
from extract_set import (
    COPD,
    COUNTY,
    KEY,
    as_csv,
    episode,
    event,
    medication,
    nhs,
    observation,
    opened,
    patient,
    practice,
    registration,
    rows_of,
    write_manifest,
    write_set,
)

from stratify import ingest
from stratify.errors import ExtractError
from stratify.ingest.checks import is_accepted
from stratify.ingest.feeds import INDISPENSABLE, LostFeed

KNOWN_BY = date(2026, 3, 1)


def whole(folder: Path, name: str, **tables) -> Path:
    """Write a whole set; the name of its folder is its last day."""
    write_set(folder / name, **tables)
    return declared(folder / name, period_to=name)


def changes(folder: Path, name: str, since: str, *, also=None, lines=None, **tables) -> Path:
    """Write the changes of some tables; ``also`` gives more files by name, ``lines`` what their manifest lines say."""
    place = folder / name
    place.mkdir(parents=True)
    named = {}
    for table, rows in tables.items():
        (place / f"{table}.csv").write_bytes(as_csv(table, rows))
        named[f"{table}.csv"] = table
    for file_name, (table, rows) in (also or {}).items():
        (place / file_name).write_bytes(as_csv(table, rows))
        named[file_name] = table
    write_manifest(place, named)
    return declared(place, period_to=name, period_from=since, is_delta="true", lines=lines)


def declared(place: Path, *, lines=None, **values) -> Path:
    """Let the lines of a manifest say more; ``lines`` for one file, the rest for all."""
    path = place / "manifest.csv"
    with path.open(newline="") as opened_file:
        rows = list(csv.DictReader(opened_file))
    rows = [row | values | (lines or {}).get(row["file_name"], {}) for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as opened_file:
        writer = csv.DictWriter(opened_file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return place


def gathered(folder: Path, known_by: date = KNOWN_BY):
    return ingest.gather_files(folder, COUNTY, folder.parent / "prepared", known_by=known_by)


def refusal(folder: Path, known_by: date = KNOWN_BY) -> str:
    with pytest.raises(ExtractError) as caught:
        gathered(folder, known_by)
    return str(caught.value)


def held(folder: Path, table: str, *columns: str, known_by: date = KNOWN_BY):
    """Give what holds of a landing table after loading every set, and the accounts of its files by name."""
    with opened(folder.parent) as store:
        accounts = ingest.land(store, gathered(folder, known_by), source=COUNTY, index_date=known_by, key=KEY)
        rows = store.rows(f"SELECT {', '.join(columns)} FROM landing.{table} WHERE {is_accepted(table)} ORDER BY ALL")
    for account in accounts:
        assert account.received_count == account.loaded_count + account.rejected_count
        assert account.rejected_count == (
            account.quarantined_count
            + account.duplicate_count
            + account.superseded_count
            + account.withdrawn_count
            + account.restricted_count
        )
    return rows, {account.file_name: account for account in accounts if account.table == table}


@pytest.fixture
def sets(tmp_path) -> Path:
    """A whole extract of 4 January with two events, and nothing after it."""
    whole(tmp_path / "x", "2026-01-04", gp_event=[event("e1"), event("e2", effective_date="2021-01-01")])
    return tmp_path / "x"


# Which sets


def test_one_set_in_the_folder_itself_is_read_as_before(tmp_path):
    files = gathered(write_set(tmp_path / "x"))
    assert {file.extract for file in files} == {""} and len(files) == len(rows_of())


def test_a_set_that_goes_further_than_the_day_is_not_known_yet(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e3")])
    known = {file.extract for file in gathered(sets, date(2026, 1, 10))}
    assert known == {"2026-01-04"}
    assert {file.extract for file in gathered(sets, date(2026, 1, 11))} == {"2026-01-04", "2026-01-11"}
    assert "expected a set that goes no further than 2026-01-03; found 2 that go further" in refusal(
        sets, date(2026, 1, 3)
    )


def test_what_is_known_on_a_day_stays_the_same_whatever_comes_later(sets):
    before = held(sets, "gp_event", "source_event_id", "effective_date", known_by=date(2026, 1, 5))[0]
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e1", effective_date="2019-01-01")])
    assert held(sets, "gp_event", "source_event_id", "effective_date", known_by=date(2026, 1, 5))[0] == before
    assert held(sets, "gp_event", "source_event_id", "effective_date")[0] == [
        ("e1", "2019-01-01"),
        ("e2", "2021-01-01"),
    ]


def test_a_run_starts_from_the_last_whole_set(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e3")])
    whole(sets, "2026-01-18", gp_event=[event("e4")])
    needed = {file.extract for file in gathered(sets) if not file.is_earlier}
    assert needed == {"2026-01-18"}
    rows, accounts = held(sets, "gp_event", "source_event_id")
    assert rows == [("e4",)] and list(accounts) == ["2026-01-18/gp_event.csv"]


def test_a_broken_set_that_is_no_longer_needed_stops_nothing(sets):
    (sets / "2026-01-04" / "gp_event.csv").write_text("broken")
    whole(sets, "2026-01-18")
    assert {file.extract for file in gathered(sets)} == {"2026-01-18"}


def test_a_broken_newest_set_is_refused_with_its_name(sets):
    place = changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e3")])
    (place / "gp_event.csv").write_bytes((place / "gp_event.csv").read_bytes()[:-3])
    assert "set 2026-01-11: " in refusal(sets)


def test_changes_without_a_whole_extract_are_refused(tmp_path):
    folder = write_set(tmp_path / "x", patient=[patient(family_name="CANARYNAME")])
    declared(folder, is_delta="True", period_from="2025-12-29")
    message = refusal(folder)
    assert "landing.gp_event: expected a whole extract, and every set of changes since, in a folder each" in message
    assert "CANARY" not in message


def test_folders_in_another_order_than_their_periods_are_refused(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e3")])
    (sets / "2026-01-11").rename(sets / "2026-01-01")
    assert "Name the folders of the sets by their last day" in refusal(sets)


# A feed that is refused or missing, and the others that go on


def gathered_without(folder: Path, known_by: date = KNOWN_BY):
    """Give the sets read of each table, by table, and the feeds that were lost with the day they are read up to."""
    lost: list[LostFeed] = []
    files = ingest.gather_files(folder, COUNTY, folder.parent / "prepared", known_by=known_by, lost=lost)
    read: dict[str, list[str]] = {}
    for file in files:
        if not file.is_earlier:
            read.setdefault(file.table, []).append(file.extract)
    return read, {each.table: each.used_to and each.used_to.isoformat() for each in lost}, lost


def break_file(place: Path, table: str) -> None:
    path = place / f"{table}.csv"
    path.write_bytes(path.read_bytes()[:-3])


EMPTY = {table: [] for table in rows_of()}
"""Changes of a week in which nothing happened."""


def test_of_a_whole_set_with_a_refused_file_the_last_good_one_of_that_feed_is_read(sets):
    break_file(whole(sets, "2026-01-11", gp_event=[event("e3")]), "gp_event")
    read, lost, [feed] = gathered_without(sets)
    assert read["gp_event"] == ["2026-01-04"] and read["patient"] == ["2026-01-11"]
    assert lost == {"gp_event": "2026-01-04"}
    assert {why.where for why in feed.refusals} == {"set 2026-01-11: gp_event.csv"}
    assert "gp_event.csv: expected 273 bytes" in refusal(sets), "a caller that cannot do without it is told"


def test_the_last_good_feed_is_the_whole_one_and_the_changes_up_to_the_fault(sets):
    changes(sets, "2026-01-11", "2026-01-05", **EMPTY | {"gp_event": [event("e3")]})
    break_file(changes(sets, "2026-01-18", "2026-01-12", **EMPTY | {"gp_event": [event("e4")]}), "gp_event")
    changes(sets, "2026-01-25", "2026-01-19", **EMPTY | {"gp_event": [event("e5")]})
    read, lost, _ = gathered_without(sets)
    assert read["gp_event"] == ["2026-01-04", "2026-01-11"], "what comes after the fault cannot be read without it"
    assert read["gp_medication"] == ["2026-01-04", "2026-01-11", "2026-01-18", "2026-01-25"]
    assert lost == {"gp_event": "2026-01-11"}
    # A new whole set mends it.
    whole(sets, "2026-02-01", gp_event=[event("e6")])
    read, lost, _ = gathered_without(sets)
    assert read["gp_event"] == ["2026-02-01"] and lost == {}


def test_days_missing_in_one_feed_end_that_feed_alone(sets):
    late = {"gp_event.csv": {"period_from": "2026-01-07"}}
    changes(sets, "2026-01-11", "2026-01-05", lines=late, **EMPTY | {"gp_event": [event("e3")]})
    read, lost, [feed] = gathered_without(sets)
    assert read["gp_event"] == ["2026-01-04"] and read["gp_medication"] == ["2026-01-04", "2026-01-11"]
    assert lost == {"gp_event": "2026-01-04"}
    assert "what happened in between is lost" in feed.refusals[0].found


def test_a_feed_that_the_newest_changes_leave_out_is_read_as_it_was(sets):
    changes(sets, "2026-01-11", "2026-01-05", **{name: [] for name in EMPTY if name != "gp_medication"})
    read, lost, [feed] = gathered_without(sets)
    assert read["gp_medication"] == ["2026-01-04"] and lost == {"gp_medication": "2026-01-04"}
    assert "0 rows where nothing happened" in feed.refusals[0].expected


@pytest.mark.parametrize("table", sorted(INDISPENSABLE - {"nhs_number_trace"}))
def test_changes_without_a_feed_that_says_who_people_are_are_refused(sets, table):
    changes(sets, "2026-01-11", "2026-01-05", **{name: [] for name in EMPTY if name != table})
    with pytest.raises(ExtractError, match=rf"set 2026-01-11: landing\.{table}: expected a file of this table"):
        gathered_without(sets)


def test_a_refused_file_without_an_earlier_one_is_a_feed_that_was_not_received(sets):
    break_file(sets / "2026-01-04", "gp_event")
    (sets / "2026-01-04" / "ed_attendance.csv").unlink()
    read, lost, _ = gathered_without(sets)
    assert "gp_event" not in read and lost == {"ed_attendance": None, "gp_event": None}


def test_a_file_that_no_manifest_names_is_nobodys_and_refuses_the_set(sets):
    (sets / "2026-01-04" / "gp_event_2.csv").write_bytes(as_csv("gp_event", [event("e9")]))
    with pytest.raises(ExtractError, match=r"only files that manifest\.csv names"):
        gathered_without(sets)


def test_no_rows_of_a_refused_file_land_and_the_last_good_ones_do(sets):
    break_file(whole(sets, "2026-01-11", gp_event=[event("e3")]), "gp_event")
    lost: list[LostFeed] = []
    files = ingest.gather_files(sets, COUNTY, sets.parent / "prepared", known_by=KNOWN_BY, lost=lost)
    with opened(sets.parent) as store:
        ingest.land(store, files, source=COUNTY, index_date=KNOWN_BY, key=KEY)
        found = store.rows(f"SELECT source_event_id FROM landing.gp_event WHERE {is_accepted('gp_event')} ORDER BY ALL")
    assert found == [("e1",), ("e2",)]


# Days missing, files sent again


@pytest.mark.parametrize(
    ("since", "is_refused"),
    [
        pytest.param("2026-01-04", False, id="overlaps_by_a_day"),
        pytest.param("2026-01-05", False, id="the_next_day"),
        pytest.param("2026-01-06", True, id="a_day_is_missing"),
        pytest.param("", True, id="no_first_day"),
    ],
)
def test_days_missing_between_two_sets_are_refused(sets, since, is_refused):
    changes(sets, "2026-01-11", since, gp_event=[event("e3")])
    if is_refused:
        message = refusal(sets)
        assert "2026-01-11/gp_event.csv: expected changes from 2026-01-05 on or earlier" in message
        assert "Ask the supplier for a new whole extract." in message
    else:
        assert len(gathered(sets)) == len(rows_of()) + 1


def test_a_table_left_out_of_a_set_is_a_gap_in_that_table(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e3")])
    changes(sets, "2026-01-18", "2026-01-12", gp_event=[], patient=[])
    assert "2026-01-18/patient.csv: expected changes from 2026-01-05 on or earlier" in refusal(sets)


def test_a_file_sent_again_is_counted_and_changes_nothing(sets):
    first = [event("e1"), event("e2", effective_date="2021-01-01")]
    again = {"gp_event_again-2026-01-04.csv": ("gp_event", first)}
    changes(
        sets, "2026-01-11", "2026-01-05", gp_event=[event("e1", effective_date="2018-01-01")], also=again,
        lines={next(iter(again)): {"period_to": "2026-01-04", "period_from": "", "is_delta": "false"}},
    )  # fmt: skip
    rows, accounts = held(sets, "gp_event", "source_event_id", "effective_date")
    assert rows == [("e1", "2018-01-01"), ("e2", "2021-01-01")]
    account = accounts["2026-01-11/gp_event_again-2026-01-04.csv"]
    assert (account.received_count, account.loaded_count, account.superseded_count) == (2, 0, 2)


def test_an_older_file_after_a_newer_one_never_overwrites_it(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e1", effective_date="2018-01-01"), event("e3")])
    late = {"gp_event_late-2026-01-08.csv": ("gp_event", [event("e1", effective_date="2017-01-01"), event("e5")])}
    changes(
        sets, "2026-01-18", "2026-01-12", gp_event=[], also=late,
        lines={next(iter(late)): {"period_to": "2026-01-08", "period_from": "", "is_delta": "false"}},
    )  # fmt: skip
    rows, _ = held(sets, "gp_event", "source_event_id", "effective_date")
    assert ("e1", "2018-01-01") in rows and ("e5", "2020-01-01") in rows


# Versions of a row


def test_the_newest_version_holds_and_the_older_ones_are_counted(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e1", effective_date="2019-01-01")])
    changes(sets, "2026-01-18", "2026-01-12", gp_event=[event("e1", effective_date="2018-01-01")])
    rows, accounts = held(sets, "gp_event", "source_event_id", "effective_date")
    assert rows == [("e1", "2018-01-01"), ("e2", "2021-01-01")]
    assert [each.superseded_count for each in accounts.values()] == [1, 1, 0]


def test_a_row_withdrawn_is_gone_though_everything_else_in_it_is_empty(sets):
    empty = {"org_code": "A10001", "source_event_id": "e1", "is_deleted": "true"}
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[empty])
    rows, accounts = held(sets, "gp_event", "source_event_id")
    assert rows == [("e2",)]
    assert [(each.superseded_count, each.withdrawn_count) for each in accounts.values()] == [(1, 0), (0, 1)]


def test_a_row_withdrawn_and_sent_again_is_back(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e1", is_deleted="true")])
    changes(sets, "2026-01-18", "2026-01-12", gp_event=[event("e1", effective_date="2019-01-01")])
    assert held(sets, "gp_event", "source_event_id", "effective_date")[0] == [
        ("e1", "2019-01-01"),
        ("e2", "2021-01-01"),
    ]


def test_a_newer_version_that_a_rule_sets_aside_leaves_the_older_one(sets):
    bad = event("e1", org_code="A10001", effective_precision="YMD", snomed_code=None, original_code=None)
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[bad])
    rows, accounts = held(sets, "gp_event", "source_event_id", "snomed_code")
    assert ("e1", COPD) in rows
    assert accounts["2026-01-11/gp_event.csv"].quarantined_count == 1


def test_two_versions_in_one_set_that_differ_are_both_set_aside_and_the_older_set_holds(sets):
    both = [event("e1", effective_date="2019-01-01"), event("e1", effective_date="2018-01-01")]
    changes(sets, "2026-01-11", "2026-01-05", gp_event=both)
    assert ("e1", "2020-01-01") in held(sets, "gp_event", "source_event_id", "effective_date")[0]


def test_a_row_waits_for_its_patient_and_is_there_when_the_patient_comes(sets):
    changes(
        sets, "2026-01-11", "2026-01-05", gp_event=[event("e9", source_patient_id="p9")], patient=[], registration=[]
    )
    assert ("e9",) not in held(sets, "gp_event", "source_event_id")[0]
    newcomer = patient("p9", nhs_number=nhs(9))
    changes(sets, "2026-01-18", "2026-01-12", patient=[newcomer], registration=[registration("p9")])
    assert ("e9",) in held(sets, "gp_event", "source_event_id")[0]


def test_a_table_without_a_key_gathers_the_rows_of_every_set(sets):
    from extract_set import opt_out

    changes(sets, "2026-01-11", "2026-01-05", opt_out=[opt_out("TYPE1"), opt_out("TYPE1", "false")])
    assert len(held(sets, "opt_out", "opt_out_type")[0]) == 2


# Bulk replacement


def stays(count: int, **changed):
    return [
        episode(f"c{n}", spell_id=f"s{n}", admission_date="2025-12-10", discharge_date="2025-12-12",
                episode_start="2025-12-10", episode_end="2025-12-12") | changed
        for n in range(count)
    ]  # fmt: skip


def replaced(folder: Path, rows, *, first="2025-12-01", last="2026-01-11") -> None:
    window = {"replaces_from": first, "replaces_to": last}
    changes(folder, "2026-01-11", "2026-01-05", apc_episode=rows, lines={"apc_episode.csv": window})


def test_a_bulk_replacement_takes_away_what_it_leaves_out_of_its_window(tmp_path):
    old = episode("old", spell_id="old", admission_date="2025-03-01")
    other = [row | {"provider_code": "RXX01"} for row in stays(1)]
    whole(tmp_path / "x", "2026-01-04", apc_episode=[*stays(30), old, *other])
    replaced(tmp_path / "x", stays(27, update_type="BULK"))
    rows, accounts = held(tmp_path / "x", "apc_episode", "provider_code", "cds_unique_id")
    assert len(rows) == 27 + 1 + 1
    assert ("RZZ01", "old") in rows and ("RXX01", "c0") in rows and ("RZZ01", "c29") not in rows
    assert accounts["2026-01-04/apc_episode.csv"].superseded_count == 30


def test_a_bulk_replacement_that_would_take_away_more_than_a_fifth_is_refused(tmp_path):
    whole(tmp_path / "x", "2026-01-04", apc_episode=stays(30))
    replaced(tmp_path / "x", stays(23, update_type="BULK"))
    with pytest.raises(ExtractError, match=r"at least 80 % of the rows it replaces; found fewer for 1 providers"):
        held(tmp_path / "x", "apc_episode", "cds_unique_id")


def test_a_bulk_replacement_of_years_is_refused(tmp_path):
    whole(tmp_path / "x", "2026-01-04", apc_episode=stays(3))
    replaced(tmp_path / "x", stays(3, update_type="BULK"), first="2023-01-01")
    assert "expected a bulk replacement of 186 days at most; found one of 1106 days" in refusal(tmp_path / "x")


# Practices that send too little


def many(count: int, practice_code: str = "A10001"):
    return {
        "patient": [
            patient(f"{practice_code}-{n}", org_code=practice_code, nhs_number=None, nhs_number_status="07")
            for n in range(count)
        ],
        "gp_event": [
            event(f"{practice_code}-{n}", org_code=practice_code, source_patient_id=f"{practice_code}-{n}")
            for n in range(count)
        ],
    }


def county_of(**counts: int):
    parts = [many(count, code) for code, count in counts.items()]
    rows = {table: [row for part in parts for row in part[table]] for table in ("patient", "gp_event")}
    return rows | {
        "practice": [practice(practice_code=code) for code in counts],
        "registration": [registration("A10001-0", source_registration_id="r")],
        "gp_observation": [observation(source_patient_id="A10001-0")],
        "gp_medication": [medication(source_patient_id="A10001-0")],
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(99, 200, id="under_half_the_part_is_not_read_and_the_last_stays"),
        pytest.param(100, 100, id="half_is_read"),
    ],
)
def test_a_practice_that_sends_under_half_of_its_patients_keeps_its_last_good_part(tmp_path, sent, kept):
    whole(tmp_path / "x", "2026-01-04", **county_of(A10001=200, A10002=200))
    whole(tmp_path / "x", "2026-01-11", **county_of(A10001=200, A10002=sent))
    rows, _ = held(tmp_path / "x", "gp_event", "org_code", "source_event_id")
    assert len([row for row in rows if row[0] == "A10002"]) == kept
    assert len([row for row in rows if row[0] == "A10001"]) == 200


def test_a_practice_whose_changes_are_under_half_of_its_share_is_not_read_in_that_set(tmp_path):
    whole(tmp_path / "x", "2026-01-04", **county_of(A10001=400, A10002=400))
    few = [*many(300)["gp_event"], *many(90, "A10002")["gp_event"]]  # a share of 195 was to be expected of either
    newer = [row | {"effective_date": "2024-01-01"} for row in few]
    changes(tmp_path / "x", "2026-01-11", "2026-01-05", gp_event=newer)
    rows, accounts = held(tmp_path / "x", "gp_event", "org_code", "effective_date")
    assert {day for code, day in rows if code == "A10002"} == {"2020-01-01"}
    assert sum(day == "2024-01-01" for code, day in rows if code == "A10001") == 300
    assert accounts["2026-01-11/gp_event.csv"].quarantined_count == 90


def test_a_week_in_which_few_people_happened_to_be_seen_is_no_fall(tmp_path):
    """240 rows of 24 people; 40 rows of 4 people where 12 were expected: chance alone does that now and then."""
    whole(tmp_path / "x", "2026-01-04", **county_of(A10001=400, A10002=400))
    few = [
        event(f"{code}-{n}-{k}", org_code=code, source_patient_id=f"{code}-{n}")
        for code, people in (("A10001", 20), ("A10002", 4))
        for n in range(people)
        for k in range(10)
    ]
    changes(tmp_path / "x", "2026-01-11", "2026-01-05", gp_event=few)
    rows, accounts = held(tmp_path / "x", "gp_event", "org_code", "source_event_id")
    assert len([row for row in rows if row[0] == "A10002"]) == 400 + 40
    assert accounts["2026-01-11/gp_event.csv"].quarantined_count == 0


def test_a_part_that_was_not_read_in_a_set_before_the_last_whole_one_is_forgotten(tmp_path):
    """The practice's new whole part is good: its rows of the older whole set are not read beside it."""
    whole(tmp_path / "x", "2026-01-04", **county_of(A10001=400, A10002=400))
    few = [*many(300)["gp_event"], *many(90, "A10002")["gp_event"]]
    changes(tmp_path / "x", "2026-01-11", "2026-01-05", gp_event=few)
    whole(tmp_path / "x", "2026-01-18", **county_of(A10001=400, A10002=380))
    rows, accounts = held(tmp_path / "x", "gp_event", "org_code", "source_event_id")
    assert len([row for row in rows if row[0] == "A10002"]) == 380
    assert list(accounts) == ["2026-01-18/gp_event.csv"]


def test_a_practice_that_closed_is_not_expected_to_send_anything(tmp_path):
    whole(tmp_path / "x", "2026-01-04", **county_of(A10001=200, A10002=200))
    later = county_of(A10001=200, A10002=3)
    later["practice"][1]["valid_to"] = "2026-01-10"
    whole(tmp_path / "x", "2026-01-11", **later)
    rows, _ = held(tmp_path / "x", "gp_event", "org_code", "source_event_id")
    assert len([row for row in rows if row[0] == "A10002"]) == 3


def test_names_of_files_tell_the_set_they_came_in(sets):
    changes(sets, "2026-01-11", "2026-01-05", gp_event=[event("e3")])
    names = {file.shown_name for file in gathered(sets) if file.table == "gp_event"}
    assert names == {"2026-01-04/gp_event.csv", "2026-01-11/gp_event.csv"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d/\w+\.csv", name) for name in names)


@pytest.mark.parametrize("in_a_set", [False, True], ids=["in_the_folder", "in_the_folder_of_a_set"])
def test_a_link_among_the_extract_files_that_leads_out_is_refused_and_one_that_stays_inside_is_read(tmp_path, in_a_set):
    place = tmp_path / "x" / "2026-01-04" if in_a_set else tmp_path / "x"
    write_set(place)
    (place / "gp_event.csv").rename(place / ".kept.csv")  # what begins with a dot is nobody's file
    (place / "gp_event.csv").symlink_to(".kept.csv")
    files = ingest.gather_files(tmp_path / "x", COUNTY, tmp_path, known_by=KNOWN_BY)
    assert "gp_event" in {file.table for file in files}
    (place / ".kept.csv").rename(tmp_path / "elsewhere.csv")
    (place / "gp_event.csv").unlink()
    (place / "gp_event.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(ExtractError, match="found 1 links that lead out") as caught:
        ingest.gather_files(tmp_path / "x", COUNTY, tmp_path, known_by=KNOWN_BY)
    assert "elsewhere" not in str(caught.value)
