"""Every hazard has controls that every run asks; a broken one, or one that was not asked, and nothing is published."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

import invented
from stratify import controls
from stratify.errors import RunError
from stratify.hazards import load_hazards
from stratify.privacy import EntryPolicy
from stratify.store import open_store

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 2)
PLAN = SimpleNamespace(
    rule_digest="as planned", settings=SimpleNamespace(index_date=TODAY, entry=EntryPolicy(), clinical=None)
)
BOOK = SimpleNamespace(
    published={"copd": None, "frailty": None},
    variables={"fev1": SimpleNamespace(is_value=True), "dyspnoea": SimpleNamespace(is_value=False)},
)

PERSON = {"patient_key": "a", "person_status": "registered", "practice_code": "Y00001"}
DECISION = {"patient_key": "a", "pathway": "copd", "decision": "clinic", "tier": "high"}
PLACED = {
    "patient_key": "a", "pathway": "copd", "practice_code": "Y00001", "decision": "clinic", "placement": "listed",
    "placement_reason": "Has a place", "waiting_since": TODAY,
}  # fmt: skip
REGISTERED = {"patient_key": "a", "practice_code": "Y00001", "start_date": date(2020, 1, 1)}
FILE = {
    "source_file_id": "f", "table_name": "gp_event", "received_count": 3, "loaded_count": 2, "rejected_count": 1,
    "period_to": TODAY,
}  # fmt: skip
RIGHT = {
    "core.person": [PERSON],
    "core.registration": [REGISTERED],
    "core.death": [],
    "core.patient_flag": [{"patient_key": "a", "flag": "HOUSEBOUND"}],
    "core.gp_event": [{"patient_key": "a", "snomed_code": "1"}],
    "core.gp_observation": [
        {"patient_key": "a", "source_file_id": "f", "source_row": 2, "measurement": "fev1", "value_status": "ok"}
    ],
    "derived.variable_value": [
        {"patient_key": "a", "variable": "fev1", "value": 40.0, "state": "known", "source_table": "gp_observation",
         "source_file_id": "f", "source_row": 2}
    ],
    "derived.pathway_decision": [DECISION],
    "derived.placement": [PLACED],
    "audit.source_file": [FILE],
}  # fmt: skip


RULES = SimpleNamespace(digest="as planned")


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    """Definitions whose digest is that of the plan."""
    monkeypatch.setattr(controls, "load_rule_book", lambda _: RULES)


def _asked(tmp_path, *, plan=PLAN, **changed):
    """Ask the controls of a store with one person in it, with some tables changed."""
    rows = RIGHT | {name.replace("__", "."): each for name, each in changed.items()}
    with open_store(tmp_path / "run.duckdb", temp_directory=tmp_path / "scratch") as store:
        for name, each in rows.items():
            store.create(name, invented.frame(name, each))
        controls.ask(store, plan, BOOK)
        controls.stop_unless_all_hold(store)
        return dict(store.rows("SELECT control, broken_count FROM audit.control"))


def test_a_run_that_keeps_every_promise_says_so(tmp_path):
    assert _asked(tmp_path) == dict.fromkeys(controls.CONTROLS, 0)


def test_a_code_counts_though_the_value_beside_it_cannot_be_used(tmp_path):
    unusable = [RIGHT["core.gp_observation"][0] | {"value_status": "code_value_conflict"}]
    coded = [RIGHT["derived.variable_value"][0] | {"variable": "dyspnoea", "value": 1.0}]
    found = _asked(tmp_path, core__gp_observation=unusable, derived__variable_value=coded)
    assert found["only_usable_values"] == 0


def test_a_registration_whose_first_day_nobody_wrote_is_one(tmp_path):
    assert _asked(tmp_path, core__registration=[REGISTERED | {"start_date": None}])["own_practice_only"] == 0


BROKEN = {
    "rows_accounted_for": {"audit__source_file": [FILE | {"rejected_count": 0}]},
    "one_row_a_person": {"core__person": [PERSON, PERSON]},
    "one_decision_a_pathway": {"derived__pathway_decision": [DECISION, DECISION]},
    "every_decision_placed": {"derived__placement": []},
    "one_action_a_person": {
        "derived__pathway_decision": [DECISION, DECISION | {"pathway": "frailty"}],
        "derived__placement": [PLACED, PLACED | {"pathway": "frailty"}],
    },
    "nobody_dead_is_called": {"core__death": [{"patient_key": "a", "date_of_death": TODAY}]},
    "own_practice_only": {"core__registration": [REGISTERED | {"practice_code": "Y00002"}]},
    "only_usable_values": {
        "core__gp_observation": [RIGHT["core.gp_observation"][0] | {"value_status": "implausible"}]
    },
    "every_feed_dated": {"audit__source_file": [FILE | {"period_to": None}]},
    "doubts_go_to_a_clinician": {"core__person": [PERSON | {"identity_doubt": "two dates of birth"}]},
    "no_restricted_code": {"core__gp_event": [{"patient_key": "a", "snomed_code": "999"}]},
    "not_known_is_not_low": {
        "derived__pathway_decision": [DECISION | {"decision": "self_management", "missing_variables": "fev1"}]
    },
    "palliative_is_not_offered": {
        "core__patient_flag": [{"patient_key": "a", "flag": "PALLIATIVE"}],
        "derived__placement": [PLACED | {"placement": "offered"}],
    },
    "rules_as_planned": {"plan": SimpleNamespace(settings=PLAN.settings, rule_digest="of another day")},
    "waiting_says_why": {"derived__placement": [PLACED | {"placement": "waiting", "placement_reason": None}]},
}  # fmt: skip


def test_each_control_has_a_case_that_breaks_it():
    assert BROKEN.keys() == controls.CONTROLS.keys()


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_promise_stops_the_run_and_says_which(tmp_path, monkeypatch, name):
    monkeypatch.setattr(
        controls.ingest, "open_door", lambda _: SimpleNamespace(codes=frozenset({("snomed_ct", "999")}))
    )
    with pytest.raises(RunError) as caught:
        _asked(tmp_path, **BROKEN[name])
    assert caught.value.where == "reconciliation"
    assert caught.value.expected == controls.CONTROLS[name].promise
    assert ("run the week again" in caught.value.action) is (name == "rules_as_planned")


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_control_that_is_switched_off_stops_publication(tmp_path, monkeypatch, name):
    monkeypatch.delitem(controls.CONTROLS, name)
    with pytest.raises(RunError, match=rf"hazard H\d\d, .*; found {name} not"):
        _asked(tmp_path)


def test_every_control_is_for_a_hazard_and_every_hazard_has_controls():
    named = {each for hazard in load_hazards() for each in hazard.controls}
    assert named == controls.CONTROLS.keys()
    assert [each.id for each in load_hazards()] == [f"H{number:02}" for number in range(1, len(load_hazards()) + 1)]


def _tests_named():
    threats = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    return sorted(
        {*re.findall(r"`(tests/[^`]+::[^`]+)`", threats), *(each for h in load_hazards() for each in h.tests)}
    )


@pytest.mark.parametrize("name", _tests_named())
def test_every_test_that_the_hazard_log_and_the_threats_name_is_there(name):
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert function in {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_every_threat_has_a_test_that_shows_its_defence():
    rows = re.findall(r"^\| (?!what could|---)(.*) \|$", (ROOT / "docs/threats.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 20 and all("`tests/" in row for row in rows)
