"""Sandbox weeks: a pathway tried in shadow beside the live one, counted week by week."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

import invented
from stratify import approvals, contracts, kept_weeks, sandbox, sandbox_run
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.rollout import Switch
from stratify.runs import Plan
from stratify.store import open_store

FIRST, SECOND = date(2026, 6, 1), date(2026, 6, 8)
TRIAL = {"pathway": "lower", "instead_of": "live", "from": "2026-06-01", "until": "2026-06-15"}


def decision(key: str, pathway: str, what: str, clinic: str | None = None) -> dict[str, Any]:
    return {"patient_key": key, "pathway": pathway, "decision": what, "clinic_id": clinic}


DECIDED = [
    decision("a", "live", "clinic", "lung_clinic"), decision("a", "lower", "clinic", "lung_clinic"),
    decision("b", "live", "self_management"), decision("b", "lower", "clinic", "lung_clinic"),
    decision("c", "live", "not_eligible"), decision("c", "lower", "self_management"),
    decision("d", "lower", "assessment", "assessment"),
    decision("e", "live", "clinic", "lung_clinic"), decision("e", "lower", "excluded"),
    decision("f", "live", "excluded"), decision("f", "lower", "not_eligible"),
    decision("g", "other", "clinic", "lung_clinic"),
]  # fmt: skip


def switch(**changes: object) -> Switch:
    return Switch.model_validate(TRIAL | changes)


def test_where_the_two_part_is_counted_and_nobody_is_counted_twice():
    found = sandbox.compare(switch(), invented.frame("derived.pathway_decision", DECIDED), week=FIRST)
    columns = ("live_place", "trial_place", "outcome", "people_count")
    assert found.select(columns).rows() == [
        ("lung_clinic", "lung_clinic", "same", 1),  # a
        ("lung_clinic", "none", "leaves", 1),  # e
        ("none", "assessment", "joins", 1),  # d, of whom the live one knows nothing
        ("none", "self_management", "joins", 1),  # c
        ("self_management", "lung_clinic", "elsewhere", 1),  # b; f is nowhere on either
    ]
    assert set(found["outcome"]) == set(sandbox.OUTCOMES)


@pytest.mark.parametrize(
    ("changes", "day", "is_trial"),
    [
        pytest.param({}, FIRST, True, id="the first day"),
        pytest.param({}, date(2026, 6, 14), True, id="the last day"),
        pytest.param({}, date(2026, 6, 15), False, id="over"),
        pytest.param({}, date(2026, 5, 31), False, id="not begun"),
        pytest.param({"practices": ["Y99001"]}, FIRST, False, id="on somewhere is no trial in shadow"),
        pytest.param({"instead_of": None}, FIRST, False, id="beside nothing"),
    ],
)
def test_a_trial_in_shadow_is_an_entry_beside_a_live_pathway_with_dates_and_no_practice(changes, day, is_trial):
    assert bool(sandbox.trials([switch(**changes)], day)) == is_trial


def run_of(folder: Any, day: date, decided: list[dict[str, Any]], **entry: object) -> None:
    """Do what a run does of a trial: the live decisions in their table, those of the trial set apart."""
    live = [each for each in decided if each["pathway"] != "lower"]
    apart = [each for each in decided if each["pathway"] == "lower"]
    settings = SimpleNamespace(index_date=day, out=folder, rollout=(switch(**entry),))
    plan = cast("Plan", SimpleNamespace(settings=settings, restricted=folder / "restricted"))
    (folder / "restricted").mkdir(exist_ok=True)
    with open_store(folder / f"{day}.duckdb", temp_directory=folder) as store:
        store.create("derived.pathway_decision", invented.frame("derived.pathway_decision", live))
        with store.loaned(invented.frame("derived.pathway_decision", apart)) as loan:
            store.execute("CREATE SCHEMA IF NOT EXISTS work")
            store.execute(f"CREATE TABLE {approvals.COMPARATORS} AS FROM {loan}")
        sandbox_run.keep(store, plan)
        assert set(store.frame("SELECT * FROM audit.sandbox_week").columns) == set(schema_of("audit.sandbox_week"))


def test_the_weeks_of_a_trial_stand_side_by_side_and_end_with_it(tmp_path):
    with pytest.raises(RunError, match="a finished run"):
        sandbox_run.shown(tmp_path)
    run_of(tmp_path, FIRST, DECIDED)
    run_of(tmp_path, SECOND, DECIDED[:6])
    run_of(tmp_path, date(2026, 6, 15), DECIDED)  # over: nothing is counted
    assert kept_weeks.weeks(tmp_path / "restricted") == [FIRST, SECOND]
    lines = sandbox_run.shown(tmp_path).splitlines()
    assert lines[0] == "lower beside live, 2 weeks in shadow"
    counts = {line[:36].strip(): line[36:].split() for line in lines[1:]}
    assert counts["the trial alone: would join"] == ["2", "1"]
    assert counts["the live one alone: would leave"] == ["1", "0"]
    assert counts["both, but another place"] == ["1", "1"]
    assert (counts["lung_clinic, live"], counts["lung_clinic, trial"]) == (["2", "1"], ["2", "2"])


def test_the_counts_name_nobody():
    assert not {"patient_key", "nhs_number"} & set(contracts.load("audit.sandbox_week").column_names)
    assert "No week has a pathway on trial" in sandbox.in_words(
        sandbox.compare(switch(), invented.frame("derived.pathway_decision", []), week=FIRST)
    )
