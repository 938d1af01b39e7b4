"""What is taken over from the run in place, on stores of a few rows: all as loading left it, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from test_stage_inputs import FILE, plan_of

import invented
from stratify import contracts, runs, taken_over
from stratify.quality import RuleResult
from stratify.runs import Plan
from stratify.stage_inputs import StageInputs, digest_of_files
from stratify.store import Store, open_store

STOPPED = RuleResult(
    table="landing.gp_event",
    rule_id="r",
    column=None,
    severity="error",
    row_count=10,
    failed_count=1,
    verdict="stop",
    description="An invented check.",
    is_about_table=True,
)


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    with open_store(folder / "restricted" / "run.duckdb", temp_directory=folder / "restricted" / "scratch") as store:
        yield store


def inputs_of(plan: Plan, **changes: object) -> StageInputs:
    found = StageInputs(
        whole="w",
        loading="l",
        files=digest_of_files(plan),
        definitions="d",
        values={"falls": "1", "weight": "2", "given": None},
        scores={"efi": "3"},
        pathways={"frailty": "4"},
    )
    return replace(found, **changes)


def steps(folder: Path) -> list[tuple[object, ...]]:
    with opened(folder) as store:
        return store.rows("SELECT measure, count FROM audit.step_count ORDER BY ALL")


@pytest.fixture
def first(tmp_path) -> Plan:
    return finished(tmp_path)


def finished(folder: Path, *, results: tuple[RuleResult, ...] = (), landed: Plan | None = None) -> Plan:
    """Make a run that is in place: loading counted one step, a later stage another, and added a table."""
    plan = started(folder)
    taken_over.begin(plan, inputs_of(plan), afresh=False)
    with opened(plan.build) as store:
        for name in ("core.death", "core.outcome", *contracts.names("audit")):
            store.define(contracts.load(name))
        store.create("audit.step_count", invented.frame("audit.step_count", [step("loading", 1)]))
        store.execute("DROP TABLE audit.control")
        taken_over.keep_loading(store, landed or plan, results)
        store.create("audit.step_count", invented.frame("audit.step_count", [step("loading", 1), step("later", 2)]))
        store.define(contracts.load("audit.control"))
        for name in ("variable_value", "patient_score", "pathway_decision", "reason", "explanation"):
            store.define(contracts.load(f"derived.{name}"))
    for kind, names in (("values", ("falls", "weight", "given")), ("scores", ("efi",)), ("pathways", ("frailty",))):
        assert taken_over.unchanged(plan, kind, names) == frozenset()
    taken_over.seal(plan)
    runs.put_in_place(plan)
    return plan


def step(measure: str, count: int) -> dict[str, object]:
    return {"step": "invented", "measure": measure, "count": count}


def started(folder: Path) -> Plan:
    plan = plan_of(folder)
    plan = plan.model_copy(update={"build": folder / "out" / "runs" / "building"})
    plan.restricted.mkdir(parents=True)
    plan.published.mkdir()
    (plan.published / "run_manifest.json").write_text("{}", encoding="utf-8")
    with open_store(plan.restricted / "identity.duckdb", temp_directory=plan.restricted / "scratch"):
        pass
    return plan


def test_loading_is_as_it_was_left_and_what_later_stages_added_is_gone(first, tmp_path):
    second = started(tmp_path)
    taken_over.begin(second, inputs_of(second, whole="another"), afresh=False)
    assert taken_over.is_loaded(second)
    assert steps(second.build) == [("loading", 1)]
    assert ("later", 2) in steps((tmp_path / "out" / "current").resolve())
    with opened(second.build) as store:
        tables = {name for (name,) in store.rows("SELECT table_name FROM duckdb_tables()")}
    assert "control" not in tables and {"death", "variable_value"} <= tables


def test_each_variable_score_and_pathway_is_taken_over_by_itself(first, tmp_path):
    """Falls changed, a score is new, and what a plug-in gives is never taken over."""
    second = started(tmp_path)
    changed = {"values": {"falls": "9", "weight": "2", "given": None}, "scores": {"efi": "3", "new": "5"}}
    taken_over.begin(second, inputs_of(second, whole="another", **changed), afresh=False)
    assert taken_over.unchanged(second, "values", changed["values"]) == {"weight"}
    assert taken_over.unchanged(second, "scores", changed["scores"]) == {"efi"}
    assert taken_over.unchanged(second, "pathways", ["frailty"]) == {"frailty"}
    since = f"unchanged since {(tmp_path / 'out' / 'current').resolve().name}, taken over"
    assert taken_over.account(second) == {
        "loading": since,
        "variables": f"2 worked out, 1 {since}",
        "scores": f"1 worked out, 1 {since}",
        "pathways": f"1 {since}",
    }


@pytest.mark.parametrize(
    "change", [{"loading": "another"}, {"afresh": True}], ids=["another_digest", "asked_to_do_all"]
)
def test_where_loading_reads_something_else_nothing_is_taken_over(first, tmp_path, change):
    second = started(tmp_path)
    afresh = change.pop("afresh", False)
    taken_over.begin(second, inputs_of(second, **change), afresh=afresh)
    assert not taken_over.is_loaded(second)
    assert taken_over.unchanged(second, "values", ["falls", "weight"]) == frozenset()
    assert taken_over.account(second)["loading"] == "done"


@pytest.mark.parametrize("name", ["run.duckdb", "identity.duckdb", "loaded/audit.step_count.parquet"])
@pytest.mark.parametrize("is_lost", [False, True], ids=["changed", "lost"])
def test_a_file_that_is_not_as_the_run_left_it_is_not_taken_over(first, tmp_path, name, is_lost):
    path = (tmp_path / "out" / "restricted" / name).resolve()
    path.unlink() if is_lost else path.write_bytes(path.read_bytes() + b"\0")
    second = started(tmp_path)
    assert taken_over.unchanged_in_place(second, inputs_of(second)) is None
    taken_over.begin(second, inputs_of(second), afresh=False)
    assert not taken_over.is_loaded(second)
    assert not (second.restricted / "run.duckdb").exists() and not (second.restricted / "loaded").exists()


def test_a_run_that_would_be_the_same_is_the_one_in_place_only_while_every_file_of_it_is(first, tmp_path):
    second = started(tmp_path)
    same = inputs_of(second)
    assert taken_over.unchanged_in_place(second, same) == (tmp_path / "out" / "current").resolve().name
    assert taken_over.unchanged_in_place(second, replace(same, whole="another")) is None
    assert taken_over.unchanged_in_place(second, replace(same, whole=None)) is None
    (tmp_path / "out" / "published" / "run_manifest.json").write_text("{ }", encoding="utf-8")
    assert taken_over.unchanged_in_place(second, same) is None


def test_where_a_check_would_have_stopped_the_run_any_other_definition_loads_anew(tmp_path):
    """What is held instead of the stop follows from all definitions."""
    finished(tmp_path, results=(STOPPED,))
    second = started(tmp_path)
    taken_over.begin(second, inputs_of(second, definitions="another"), afresh=False)
    assert not taken_over.is_loaded(second)
    taken_over.begin(second, inputs_of(second), afresh=False)
    assert taken_over.is_loaded(second)


def test_a_run_that_did_without_files_it_had_planned_to_read_is_not_loaded_from(tmp_path):
    """Their rows were refused while they were read, and no later plan can be compared with that."""
    other = FILE.model_copy(update={"sha256": "c" * 64})
    finished(
        tmp_path,
        landed=plan_of(tmp_path, file=other).model_copy(update={"build": tmp_path / "out" / "runs" / "building"}),
    )
    second = started(tmp_path)
    taken_over.begin(second, inputs_of(second), afresh=False)
    assert not taken_over.is_loaded(second)
