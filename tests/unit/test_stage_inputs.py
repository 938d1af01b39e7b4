"""What each part of a run reads, as a digest: what changes it, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from stratify import stage_inputs
from stratify.ingest import InputFile
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import Plan
from stratify.settings import STAND_IN_POLICY, Settings
from stratify.stage_inputs import StageInputs, read_by_stages

BOOK = load_rule_book()
SMALL = BOOK.cut_down_to("dose")
DAY = date(2026, 6, 15)
FILE = InputFile(
    table="gp_event",
    path=Path("gp_event.csv"),
    file_name="gp_event.csv",
    sha256="a" * 64,
    byte_count=100,
    declared_count=1,
    row_count=1,
    period_to=DAY,
    format="csv",
    header=("event_id",),
)


def plan_of(folder: Path, *, file: InputFile = FILE, **changes: object) -> Plan:
    settings = {
        "extracts": folder,
        "source": "synthetic_county",
        "out": folder / "out",
        "index_date": DAY,
        "privacy": STAND_IN_POLICY,
    } | changes
    return Plan(
        run_id="invented",
        settings=Settings.model_validate(settings),
        files=(file,),
        is_test=True,
        rule_digest=BOOK.digest,
        code_digest="invented",
        build=folder / "building",
    )


def inputs(plan: Plan, book: RuleBook = SMALL, key: bytes = b"invented key", **environment: str) -> StageInputs:
    return read_by_stages(plan, book, book, key=key, environment=environment)


def with_another_code(book: RuleBook, codelist: str) -> RuleBook:
    held = book.codelists[codelist]
    return replace(book, codelists=book.codelists | {codelist: replace(held, codes=held.codes | {"1": "invented"})})


def changed(before: StageInputs, after: StageInputs) -> dict[str, set[str]]:
    return {
        kind: {name for name, digest in getattr(after, kind).items() if digest != getattr(before, kind)[name]}
        for kind in ("values", "scores", "pathways")
    }


def test_a_changed_codelist_changes_what_reads_it_and_nothing_else(tmp_path):
    """Falls: a deficit of two frailty indexes and a predictor of the trained model, which two pathways use."""
    plan = plan_of(tmp_path)
    before, after = inputs(plan, BOOK), inputs(plan, with_another_code(BOOK, "efi_falls"))
    assert changed(before, after) == {
        "values": {"efi_falls"},
        "scores": {"efi", "efi2", "emergency_admission_12_months"},
        "pathways": {"frailty", "high_risk_of_admission"},
    }
    assert before.loading == after.loading


def test_a_changed_codelist_of_a_measurement_has_its_values_read_again(tmp_path):
    """Which codes are a FEV1 is decided while files are read."""
    plan = plan_of(tmp_path)
    assert inputs(plan).loading != inputs(plan, with_another_code(SMALL, "fev1_litres")).loading


def test_a_changed_score_changes_who_uses_it_and_no_value(tmp_path):
    plan, score = plan_of(tmp_path), BOOK.scores["copd_priority_group"]
    book = replace(BOOK, scores=BOOK.scores | {score.id: score.model_copy(update={"label": "Another name"})})
    assert changed(inputs(plan, BOOK), inputs(plan, book)) == {
        "values": set(),
        "scores": {"copd_priority_group"},
        "pathways": {"copd"},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"index_date": DAY + timedelta(days=7)},
        {"privacy": STAND_IN_POLICY.model_copy(update={"type_1": "exempt"})},
        {"most_days_old": {"gp_event": 3}},
        {"score_inferred_units": True},
        {"shared_lists": ("anticipatory_care",)},
        {"as_known_on": DAY},
        {"file": FILE.model_copy(update={"sha256": "b" * 64})},
        {"file": FILE.model_copy(update={"period_to": DAY - timedelta(days=1)})},
        {"file": FILE.model_copy(update={"rank": 1})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_the_core_tables_changes_loading(tmp_path, change):
    assert inputs(plan_of(tmp_path)).loading != inputs(plan_of(tmp_path, **change)).loading


@pytest.mark.parametrize(
    "change",
    [
        {"organisation": "Another"},
        {"fhir": True},
        {"most_workload_ratio": 4.0},
        {"practice_phones": {"A1": "0123456789"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_only_outputs_read_changes_the_run_and_nothing_before_them(tmp_path, change):
    before, after = inputs(plan_of(tmp_path)), inputs(plan_of(tmp_path, **change))
    assert replace(after, whole=before.whole) == before
    assert after.whole != before.whole


def test_where_files_lie_and_what_a_run_may_use_changes_nothing(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    moved = FILE.model_copy(update={"path": tmp_path / "gp_event.csv"})
    changes = {"extracts": tmp_path / "elsewhere", "memory_limit": "2GB", "threads": 1}
    changes |= {"metrics_file": tmp_path / "run.prom", "lineage_file": tmp_path / "runs.jsonl"}
    changes |= {"backups": tmp_path / "backups", "backups_kept": 3}
    assert inputs(plan_of(tmp_path)) == inputs(plan_of(tmp_path, file=moved, **changes))


def test_another_key_code_or_library_changes_loading(tmp_path, monkeypatch):
    plan = plan_of(tmp_path)
    before = inputs(plan).loading
    assert inputs(plan, key=b"another key").loading != before
    assert inputs(plan.model_copy(update={"code_digest": "another"})).loading != before
    monkeypatch.setattr(stage_inputs, "_libraries", lambda: ["duckdb 99"])
    assert inputs(plan).loading != before


def test_a_secret_changes_the_run_and_stands_nowhere(tmp_path):
    """A passphrase is in the pages of teams; one in a file counts by what the file holds."""
    plan, file = plan_of(tmp_path), tmp_path / "passphrases"
    file.write_text("first")
    one = inputs(plan, STRATIFY_PAGE_PASSPHRASES_FILE=str(file))
    file.write_text("second")
    other = inputs(plan, STRATIFY_PAGE_PASSPHRASES_FILE=str(file))
    assert len({each.whole for each in (one, other, inputs(plan), inputs(plan, STRATIFY_X="1"))}) == 4
    assert inputs(plan, HOME="elsewhere") == inputs(plan)
    assert one.loading == other.loading


def test_what_a_function_of_the_site_decides_has_no_digest(tmp_path):
    """Nobody knows what such a function reads: what it gives is asked for every time."""
    given = {name for name, each in BOOK.variables.items() if each.take == "given"}
    found = inputs(plan_of(tmp_path), BOOK)
    plugged = {"plug_ins": {"invented": {"function": "invented:function", "version": "1"}}}
    assert {name for name, digest in found.values.items() if digest is None} == given
    assert inputs(plan_of(tmp_path, **plugged)).whole is None
