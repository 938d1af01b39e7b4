"""Each cause of a difference between two runs of one week, planted once in little tables."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

import invented
from stratify import contracts
from stratify.replay import causes
from stratify.replay.again import WHO_WAS_SENT
from stratify.replay.causes import FILES, Difference, Run
from stratify.store import open_store

WEEK = date(2026, 11, 9)
SESSION = {"role": "nurse", "clinic_date": date(2026, 11, 12)}
DECIDED = {"pathway": "lungs", "decision": "clinic", "clinic_id": "c"}


def _event(person, number, code, **more):
    mine = {"patient_key": person, "org_code": "A", "source_event_id": number, "snomed_code": code}
    return mine | {"effective_date": date(2026, 10, 1), "source_file_id": "f", "source_row": 2} | more


def _person(key, practice="A"):
    return {"patient_key": key, "practice_code": practice, "pcn_code": "U", "person_status": "registered"}


def _tables(**changes):
    """A week of seven people who all have a place at clinic c."""
    people = changes.pop("people", dict.fromkeys("abcdefg", "A"))
    tiers = dict.fromkeys(people, "low") | changes.pop("tiers", {})
    placed = dict.fromkeys(people, "listed") | changes.pop("placed", {})
    return {
        "core.person": [_person(key, practice) for key, practice in people.items()],
        "core.gp_event": [_event("a", "1", "x"), _event("b", "2", "x"), _event("c", "3", "x")],
        "core.clinic_capacity": [{"clinic_id": "c", "practice_code": "A", **SESSION, "slots": 9}],
        "audit.list_row": [{"week": WEEK, "patient_key": "a", "pathway": "lungs"}],
        "derived.pathway_decision": [
            {"patient_key": key, **DECIDED, "rule_id": "r", "tier": tier}
            for key, tier in tiers.items()
        ],
        "derived.placement": [
            {"patient_key": key, "pathway": "lungs", "practice_code": people[key], "decision": "clinic",
             "clinic_id": "c", "placement": placement, "placement_reason": "why"}
            for key, placement in placed.items()
        ],
    } | changes  # fmt: skip


def _run(out: Path, tables, sent) -> Run:
    (out / "restricted").mkdir(parents=True)
    with open_store(out / "restricted" / "run.duckdb", temp_directory=out / "scratch") as store:
        for name in (*(f"core.{each}" for each in causes.OWN_TABLES), "core.outcome"):
            store.define(contracts.load(name))
        for name, rows in tables.items():
            store.create(name, invented.frame(name, rows))
    pl.DataFrame({"patient_key": sent}).write_parquet(out / "restricted" / WHO_WAS_SENT)
    return Run(out)


@pytest.fixture
def moved(tmp_path):
    """Give what moved, and why, from the week as it was to one with changes, by person."""

    def compare(*, sent="abcdefg", **changes):
        then = _run(tmp_path / "then", _tables(), list("abcdefg"))
        now = _run(tmp_path / "now", _tables(**changes), list(sent))
        found = causes.moved(then, now, FILES, scratch=tmp_path / "scratch")
        return {each.patient_key: each for each in found}

    return compare


def test_rows_that_came_later_changed_or_are_gone_are_the_cause_where_the_decision_changed(moved):
    events = [_event("a", "1", "y"), _event("c", "3", "x", source_row=7), _event("c", "4", "x")]
    decided = dict.fromkeys("abc", "high")
    found = moved(tiers=decided, placed=dict.fromkeys("abc", "waiting"), **{"core.gp_event": events})
    assert {key: (each.causes, each.evidence) for key, each in found.items()} == {
        "a": (("changed data",), "gp_event: 1 changed"),
        "b": (("withdrawn data",), "gp_event: 1 withdrawn"),
        "c": (("late data",), "gp_event: 1 late"),
    }


def test_a_row_dated_on_the_day_of_the_run_or_later_decides_nothing(moved):
    events = [*_tables()["core.gp_event"], _event("a", "9", "x", effective_date=WEEK)]
    found = moved(tiers={"a": "high"}, placed={"a": "waiting"}, **{"core.gp_event": events})
    assert found["a"].causes == ("not explained",)


def test_who_is_in_the_files_and_may_not_be_looked_at_objected_and_who_is_not_was_withdrawn(moved):
    found = moved(people=dict.fromkeys("abcde", "A"), sent="abcdef")
    assert {key: each.causes for key, each in found.items()} == {"f": ("objection",), "g": ("withdrawn data",)}
    assert found["f"].now == "not on the pathway"


def test_another_practice_is_a_move(moved):
    found = moved(people={key: "B" if key == "d" else "A" for key in "abcdefg"}, placed={"d": "waiting"})
    assert (found["d"].causes, found["d"].practice_code) == (("moved patient",), "B")


def test_the_same_decision_with_other_slots_is_capacity_and_without_them_somebody_elses_change(moved):
    fewer = [{"clinic_id": "c", "practice_code": "A", **SESSION, "slots": 6}]
    assert moved(placed={"g": "waiting"}, **{"core.clinic_capacity": fewer})["g"].causes == ("changed capacity",)


def test_the_same_decision_and_the_same_slots_is_somebody_elses_change(moved):
    assert moved(placed={"g": "waiting"})["g"].causes == ("another person's change",)


def test_a_held_list_and_an_answer_are_causes(moved):
    answer = {"outcome_id": "1", "patient_key": "a", "source": "LIST_RETURN", "outcome": "declined"}
    found = moved(placed={"a": "not_listed", "b": "list_held"}, **{"core.outcome": [answer]})
    assert {key: each.causes for key, each in found.items()} == {
        "a": ("an answer that came back",),
        "b": ("held list",),
    }


def test_a_place_that_two_changes_moved_has_both_causes_and_one_that_is_back_has_none():
    def step(key, then, now, cause):
        return Difference(key, "lungs", "A", then, now, (cause,))

    steps = [
        step("a", "listed", "waiting", "changed definitions"), step("b", "listed", "waiting", "changed definitions"),
        step("a", "waiting", "held", "late data"), step("b", "waiting", "listed", "changed capacity"),
    ]  # fmt: skip
    [left] = causes.net(steps)
    assert (left.patient_key, left.then, left.now) == ("a", "listed", "held")
    assert left.causes == ("changed definitions", "late data")
