"""A backup has everything that cannot be made again, and a restored one is a run in place like any other."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

import pytest

from bare_manifest import bare_manifest
from stratify import audit_trail, privacy, runs
from stratify.errors import RunError
from stratify.housekeeping import keep_house
from stratify.operations import backup as backups
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


def _settings(out, safe, **more):
    return Settings(
        extracts=out.parent, source="synthetic_county", out=out, index_date=date(2026, 11, 30), backups=safe,
        privacy=privacy.STAND_IN_POLICY, **more,
    )  # fmt: skip


def test_housekeeping_keeps_the_latest_backups_each_tried_and_leaves_alone_what_is_none(out, tmp_path):
    safe, kept = tmp_path / "safe", {"backups_kept": 2}
    (safe / "stratify-notes").mkdir(parents=True)
    (safe / "stratify-2020-01-01-unfinished").mkdir()
    for day, run_id in ((2, "first"), (9, "second"), (16, "third")):
        if day > 2:
            _run(out, run_id, day)
        said = keep_house(_settings(out, safe, **kept), today=date(2026, 11, day), by=BY)
    assert said[-1].startswith("Backup: stratify-2026-11-16-third, restored on trial; 1 older ones removed")
    assert {each.name for each in safe.iterdir()} == {
        "stratify-notes", "stratify-2020-01-01-unfinished", "stratify-2026-11-09-second", "stratify-2026-11-16-third",
    }  # fmt: skip
    ended = [each.entry["details"] for each in audit_trail.read(out) if each.entry["act"] == "backup"]
    assert [each.get("removed") for each in ended if each["state"] == "done"] == [0, 0, 1]


def test_a_backup_that_cannot_be_restored_costs_no_older_one_and_is_a_fault(out, tmp_path, monkeypatch):
    safe = tmp_path / "safe"
    keep_house(_settings(out, safe), today=date(2026, 11, 2), by=BY)
    _run(out, "second", 9)
    made = backups.back_up

    def spoilt(out, to):
        copy = made(out, to)
        (copy / "run" / "restricted" / "memory" / "2026-11-09" / "transition.parquet").write_text("x", encoding="utf-8")
        return copy

    monkeypatch.setattr(backups, "back_up", spoilt)
    with pytest.raises(RunError, match="1 that are not, first run/restricted/memory"):
        keep_house(_settings(out, safe, backups_kept=1), today=date(2026, 11, 9), by=BY)
    assert (safe / "stratify-2026-11-02-first" / backups.SUMS).is_file()
    assert not list(safe.glob(".*"))
    assert audit_trail.read(out)[-1].entry["details"]["state"] == "failed"


def test_a_changed_trail_in_a_backup_makes_it_unfit_on_trial(out, tmp_path):
    made = back_up(out, tmp_path / "safe")
    backups.try_out(made)
    trail = made / "audit" / audit_trail.TRAIL
    trail.write_text(trail.read_text(encoding="utf-8").replace('"run"', '"ran"'), encoding="utf-8")
    sums = made / backups.SUMS
    digest = hashlib.sha256(trail.read_bytes()).hexdigest()
    lines = [
        f"{digest}  audit/{audit_trail.TRAIL}" if audit_trail.TRAIL in line else line
        for line in sums.read_text().splitlines()
    ]
    sums.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="changed since it was written"):
        backups.try_out(made)


def test_a_site_that_names_no_folder_is_told_that_no_backup_was_made(out):
    said = keep_house(_settings(out, None), today=date(2026, 11, 9), by=BY)
    assert said == [
        "No records are kept: nothing to remove.",
        "No backup was made: the settings name no folder for it (`backups`).",
    ]
