"""A backup has everything that cannot be made again, and a restored one is a run in place like any other."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from bare_manifest import bare_manifest
from stratify import audit_trail, privacy, runs
from stratify.errors import RunError
from stratify.operations.backup import back_up, restore
from stratify.runs import Plan
from stratify.settings import Settings

BY = audit_trail.Actor("tester", lambda: datetime(2026, 11, 2, 5, tzinfo=UTC))


def _run(out, run_id, day=2):
    """Put a run in place as a finished one is, with a week it remembers."""
    settings = Settings(
        extracts=out.parent, source="synthetic_county", out=out, index_date=date(2026, 11, day),
        privacy=privacy.STAND_IN_POLICY,
    )  # fmt: skip
    build = out / "runs" / "building"
    week = build / "restricted" / "memory" / f"2026-11-{day:02}"
    week.mkdir(parents=True)
    (week / "transition.parquet").write_text(f"what became of people, {run_id}", encoding="utf-8")
    (build / "published" / "direct_care").mkdir(parents=True)
    (build / "published" / "direct_care" / "list.csv").write_text(f"a list of {run_id}", encoding="utf-8")
    (build / "published" / "run_manifest.json").write_text(bare_manifest(run_id), encoding="utf-8")
    plan = Plan(
        run_id=run_id, settings=settings, files=(), is_test=True, rule_digest="r", code_digest="c", build=build
    )  # fmt: skip
    (build / "restricted" / "plan.json").write_text(plan.model_dump_json(), encoding="utf-8")
    with runs.one_at_a_time(out):
        runs.put_in_place(plan)
    audit_trail.add(out, "run", {"run_id": run_id}, by=BY)


def _everything(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "plan.json"  # says where it is
    }


@pytest.fixture
def out(tmp_path):
    _run(tmp_path / "out", "first")
    return tmp_path / "out"


def test_a_restored_run_is_in_place_with_lists_memory_and_trail(out, tmp_path):
    made = back_up(out, tmp_path / "safe")
    assert made.name == "stratify-2026-11-02-first"
    elsewhere = tmp_path / "another machine" / "out"
    plan = restore(made, elsewhere, replace=False)
    assert (plan.run_id, plan.settings.out) == ("first", elsewhere)
    for name in ("published", "restricted", "audit"):
        assert _everything((elsewhere / name).resolve()) == _everything((out / name).resolve())
    assert runs.plan_in_place(elsewhere).settings.out == elsewhere
    assert audit_trail.faults(audit_trail.read(elsewhere)) == []


def test_a_changed_missing_or_foreign_file_makes_a_backup_unfit(out, tmp_path):
    def unfit(change):
        made = back_up(out, tmp_path / "safe")
        change(made / "run" / "published" / "direct_care" / "list.csv")
        with pytest.raises(RunError, match=r"1 that are not, first run/published/direct_care/"):
            restore(made, tmp_path / "other", replace=False)

    unfit(lambda path: path.write_text("another list", encoding="utf-8"))
    unfit(lambda path: path.unlink())
    unfit(lambda path: path.with_name("more.csv").touch())
    assert not (tmp_path / "other").exists()


def test_a_backup_that_was_not_finished_is_none(out, tmp_path):
    made = back_up(out, tmp_path / "safe")
    (made / "SHA256SUMS").unlink()
    with pytest.raises(RunError, match="expected SHA256SUMS in the backup"):
        restore(made, tmp_path / "other", replace=False)


def test_a_later_run_is_replaced_only_when_that_is_asked_for(out, tmp_path):
    made = back_up(out, tmp_path / "safe")
    _run(out, "second", day=9)
    with pytest.raises(RunError, match="found one of 2026-11-09"):
        restore(made, out, replace=False)
    assert runs.plan_in_place(out).run_id == "second"
    assert restore(made, out, replace=True).run_id == "first"
    kept = {json.loads((each / "restricted" / "plan.json").read_text())["run_id"] for each in (out / "runs").iterdir()}
    assert kept == {"first", "second"}


def test_a_trail_is_never_replaced_by_an_older_one(out, tmp_path):
    made = back_up(out, tmp_path / "safe")
    audit_trail.add(out, "explanation", {}, by=BY)
    restore(made, out, replace=True)
    assert [each.entry["act"] for each in audit_trail.read(out)] == ["run", "explanation"]
    other = tmp_path / "other"
    audit_trail.add(other, "explanation", {}, by=BY)
    restore(made, other, replace=False)
    assert [each.entry["act"] for each in audit_trail.read(other)] == ["explanation"]
    assert (other / "audit" / "trail-of-first.jsonl").is_file()


def test_only_the_account_itself_can_open_a_backup(out, tmp_path):
    assert back_up(out, tmp_path / "safe").stat().st_mode & 0o777 == 0o700


def test_there_is_no_backup_inside_the_output_folder_or_of_nothing(out, tmp_path):
    with pytest.raises(RunError, match="expected a folder outside the output folder"):
        back_up(out, out / "safe")
    with pytest.raises(RunError, match="expected a finished run; found none"):
        back_up(tmp_path / "nothing", tmp_path / "safe")
    with runs.one_at_a_time(out), pytest.raises(RunError, match="another run at work"):
        back_up(out, tmp_path / "safe")
