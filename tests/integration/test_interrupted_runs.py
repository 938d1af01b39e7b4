"""A run killed at any moment leaves the last good outputs whole; the next one completes and tidies up.

What the stages do plays no part here, so small ones stand in their place; one death is in the real first stage, while
databases are open. Children are forked from one fresh process, so that each can die without a word.
"""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bare_manifest import bare_manifest
from stratify import pipeline, runs
from stratify.audit_trail import this_account
from stratify.errors import RunError
from stratify.settings import Settings
from whole_runs import KEY, extract_set, files, settings_file, stratify

pytestmark = pytest.mark.slow  # runs that are killed, and the runs after them

WORKER = '''
import json, os, shutil, signal, sys
from datetime import date
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from bare_manifest import bare_manifest
from stratify import audit_trail, pipeline, privacy, runs
from stratify.settings import Settings

extracts, out = sys.argv[2:4]
runs.run_examples = lambda book: []  # proved elsewhere; the same every time
pipeline.release_history.keep = lambda plan: None  # these runs count nothing
die = lambda: os.kill(os.getpid(), signal.SIGKILL)


def settings(day):
    return Settings(extracts=extracts, source="synthetic_county", out=out, index_date=date(2026, 1, day),
                    privacy=privacy.STAND_IN_POLICY)


def stages(dies_in=None):
    """Three stages: one writes half of what is published, one the other half, one the manifest."""
    def stage(name, *paths):
        def work(plan):
            for path in paths:
                target = plan.published / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(plan.run_id)
                if dies_in == name:
                    die()
            if name == "last":
                (plan.published / "run_manifest.json").write_text(bare_manifest(plan.run_id))
        return name, work
    all_three = (stage("first", "a/list", "b/list"), stage("second", "c/list"), stage("last", "d/list"))
    return lambda key, progress: all_three


def dying(owner, name, after):
    """Make a function die before (0) or after (1) its n-th call."""
    calls, real = iter(range(99)), getattr(owner, name)
    def work(*arguments, **named):
        call = next(calls)
        if (call, 0) == after:
            die()
        done = real(*arguments, **named)
        if (call, 1) == after:
            die()
        return done
    setattr(owner, name, work)


MOMENTS = {
    "none": lambda: None,
    "while_it_prepares": lambda: dying(runs.ingest, "gather_files", (0, 1)),
    "while_it_reads_the_files": lambda: (
        setattr(pipeline, "stages", lambda key, progress: (("land", lambda plan: pipeline.land(plan, key=key)),)),
        dying(pipeline.ingest, "land", (0, 1)),
    ),
    "in_the_first_stage": lambda: setattr(pipeline, "stages", stages("first")),
    "in_the_last_stage": lambda: setattr(pipeline, "stages", stages("last")),
    "before_the_files_are_flushed": lambda: dying(runs, "flush_folder", (0, 0)),
    "after_the_folder_got_its_name": lambda: dying(runs, "point", (0, 0)),
    "after_the_link_was_swapped": lambda: dying(runs, "point", (0, 1)),
    "while_it_deletes_old_runs": lambda: dying(shutil, "rmtree", (3, 0)),
}


def run(day, moment):
    child = os.fork()
    if child == 0:
        pipeline.stages = stages()
        MOMENTS[moment]()
        pipeline.run(settings(day), key=privacy.THROWAWAY_KEY, by=audit_trail.this_account("test"))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def look():
    root = Path(out)
    def text(name):
        path = root / name
        return {str(p.relative_to(path)): p.read_text() for p in sorted(path.rglob("*")) if p.is_file()}
    return {"published": text("published"), "runs": sorted(p.name for p in (root / "runs").iterdir())}


report = {}
for moment in MOMENTS:
    if moment != "none":
        shutil.rmtree(out, ignore_errors=True)
        assert run(5, "none") == 0 and run(6, "none") == 0
        before = look()
        status = run(7, moment)
        after = look()
        again = run(7, "none")
        report[moment] = {"status": status, "before": before, "after": after, "again": again, "then": look()}
print(json.dumps(report))
'''


@pytest.fixture(scope="module")
def extracts(tmp_path_factory):
    return extract_set.write_set(tmp_path_factory.mktemp("interrupted") / "extracts")


@pytest.fixture(scope="module")
def report(extracts, tmp_path_factory):
    out = tmp_path_factory.mktemp("killed") / "out"
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(Path(__file__).parents[1]), str(extracts), str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


MOMENTS_BEFORE = (
    "while_it_prepares",
    "while_it_reads_the_files",
    "in_the_first_stage",
    "in_the_last_stage",
    "before_the_files_are_flushed",
    "after_the_folder_got_its_name",
)
MOMENTS_AFTER = ("after_the_link_was_swapped", "while_it_deletes_old_runs")


@pytest.mark.parametrize("moment", MOMENTS_BEFORE)
def test_killed_before_the_swap_leaves_the_last_outputs_as_they_were(report, moment):
    found = report[moment]
    assert found["status"] == 9  # SIGKILL
    assert len(found["before"]["published"]) == 5
    assert found["after"]["published"] == found["before"]["published"]


@pytest.mark.parametrize("moment", MOMENTS_AFTER)
def test_killed_after_the_swap_leaves_the_new_outputs_whole(report, moment):
    found = report[moment]
    assert found["status"] == 9
    assert len(found["after"]["published"]) == 5
    assert found["after"]["published"] != found["before"]["published"]
    assert found["after"]["published"] == found["then"]["published"]


@pytest.mark.parametrize("moment", MOMENTS_BEFORE + MOMENTS_AFTER)
def test_the_run_after_a_killed_one_completes_and_leaves_two_runs_and_no_building_site(report, moment):
    found = report[moment]
    assert found["again"] == 0
    assert len(found["then"]["published"]) == 5
    assert len({*found["then"]["published"].values()} - {found["then"]["published"]["run_manifest.json"]}) == 1
    assert len(found["then"]["runs"]) == 2 and "building" not in found["then"]["runs"]


def test_everything_of_a_run_is_on_the_disk_before_the_link_is_swapped_and_the_swap_is_too(tmp_path, monkeypatch):
    """After a power cut a name can be there without what it names, unless each was flushed before the next."""
    built = tmp_path / "runs" / "building"
    (built / "published" / "a").mkdir(parents=True)
    (built / "published" / "a" / "list").touch()
    (built / "restricted").mkdir()
    done = []

    def note(name, real):
        def noted(first, *rest):
            place = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)
            done.append((name, place.relative_to(tmp_path).as_posix()))
            return real(first, *rest)

        return noted

    monkeypatch.setattr(os, "fsync", note("flush", os.fsync))
    monkeypatch.setattr(Path, "rename", note("rename", Path.rename))
    monkeypatch.setattr(Path, "replace", note("swap", Path.replace))
    plan = SimpleNamespace(
        settings=SimpleNamespace(out=tmp_path), build=built, run_id="abc", restricted=built / "restricted"
    )
    runs.put_in_place(plan)
    renamed, swapped = done.index(("rename", "runs/building")), done.index(("swap", ".current.new"))
    parts = ("", "/published", "/published/a", "/published/a/list", "/restricted")
    assert {place for name, place in done[:renamed] if name == "flush"} == {f"runs/building{part}" for part in parts}
    assert done[renamed + 1 : swapped] == [("flush", "runs")]
    assert done[swapped + 1] == ("flush", ".")


def _settings(extracts, out, day=5):
    return Settings.model_validate(
        {
            "extracts": extracts,
            "source": "synthetic_county",
            "out": out,
            "index_date": f"2026-01-{day:02}",
            "privacy": {"purpose": "direct_care", "type_1": "exclude", "national": "exclude", "local": "exclude"},
        }
    )


def test_a_second_run_in_the_same_folder_is_refused(extracts, tmp_path):
    out = tmp_path / "out"
    with runs.one_at_a_time(out):
        settings = settings_file(tmp_path, extracts, out, index_date="2026-01-05")
        done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code == 8
        assert "expected one run at a time; found another run at work in it" in done.stderr
    assert not (out / "runs").exists()
    with runs.one_at_a_time(out):
        pass


def test_the_lock_of_a_killed_run_is_free(tmp_path):
    """It is the operating system's: a stale file is no lock."""
    (tmp_path / ".lock").write_text("left by a killed run")
    with runs.one_at_a_time(tmp_path), (tmp_path / ".lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_fault_of_a_library_comes_out_without_its_message(extracts, tmp_path, monkeypatch):
    """Polars and DuckDB put values into their messages; the lists of last week stay."""
    monkeypatch.setattr(runs, "run_examples", lambda book: [])

    def fails(plan):
        raise ValueError("could not parse CANARYVALUE")

    monkeypatch.setattr(pipeline, "stages", lambda key, progress: (("fails", runs.without_values(fails)),))
    settings = _settings(extracts, tmp_path / "out")
    with pytest.raises(RunError, match=r"found ValueError \(its message may hold a value") as caught:
        pipeline.run(settings, key=KEY.encode(), by=this_account("test"))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_a_file_in_the_place_of_a_link_is_told_before_anything_is_done(extracts, tmp_path):
    (tmp_path / "out" / "published").mkdir(parents=True)
    settings = settings_file(tmp_path, extracts, tmp_path / "out", index_date="2026-01-05")
    done = stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 8 and "found published, which stratify did not make" in done.stderr
    assert files(tmp_path / "out") == {}


def test_running_one_week_again_does_not_cost_the_week_before(extracts, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "run_examples", lambda book: [])
    monkeypatch.setattr(pipeline.release_history, "keep", lambda plan: None)

    def writes(plan):
        plan.published.mkdir(parents=True, exist_ok=True)
        (plan.published / "run_manifest.json").write_text(bare_manifest(plan.run_id))

    monkeypatch.setattr(pipeline, "stages", lambda key, progress: (("writes", writes),))
    settings = _settings(extracts, tmp_path / "out")
    ids = []
    for day in (4, 5, 6, 6, 6):
        week = settings.model_copy(update={"index_date": settings.index_date.replace(day=day)})
        ids.append(pipeline.run(week, key=KEY.encode(), by=this_account("test")).run_id)
    kept = [path.stem for path in (tmp_path / "out" / "runs").iterdir()]
    assert sorted(kept) == sorted([ids[1], ids[4]])
    assert (tmp_path / "out" / "current").resolve().name.startswith(ids[4])
