"""Whether a deployment is well: each thing that can be wrong with one is found, and says what to do."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import ClassVar

import pytest

from bare_manifest import bare_manifest
from stratify import audit_trail, privacy, runs
from stratify.errors import SettingsError
from stratify.operations import doctor
from stratify.settings import Settings

NOW = datetime.now(UTC)
BY = audit_trail.Actor("tester", lambda: NOW)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A deployment that is well: extract files, a run of this hour, its trail, a temporary folder of its own."""
    (tmp_path / "extracts").mkdir()
    (tmp_path / "extracts" / "manifest.csv").touch()
    (tmp_path / "tmp").mkdir(mode=0o700)
    out = tmp_path / "out"
    run = out / "runs" / "abc.1"
    (run / "published").mkdir(parents=True)
    (run / "restricted").mkdir(mode=0o700)
    manifest = json.loads(bare_manifest("abc")) | {"index_date": "2026-11-02"}
    (run / "published" / "run_manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for name, target in (
        ("current", "runs/abc.1"),
        ("published", "current/published"),
        ("restricted", "current/restricted"),
    ):
        (out / name).symlink_to(target)
    audit_trail.add(out, "run", {}, by=BY)
    monkeypatch.setattr(doctor, "_swap", lambda: doctor.Finding("swap", "ok", "none"))
    return tmp_path


def _examine(site, *, now=NOW, load=None, **environment):
    settings = Settings(
        extracts=site / "extracts", source="synthetic_county", out=site / "out", index_date=date(2026, 11, 2),
        privacy=privacy.STAND_IN_POLICY,
    )  # fmt: skip
    named = {"TMPDIR": str(site / "tmp"), **environment}
    return {each.check: each for each in doctor.examine(load or (lambda: settings), named, now)}


def test_a_deployment_that_is_well_has_no_fault_and_no_warning(site):
    found = _examine(site)
    assert {each.state for each in found.values()} == {"ok"}
    assert doctor.in_words(list(found.values())).endswith(f"0 faults, 0 warnings, {len(found)} ok")
    assert "abc for 2026-11-02" in found["last good run"].found


def _wrong(site, check, state, words, **given):
    found = _examine(site, **given)[check]
    assert (found.state, words in found.found, bool(found.action)) == (state, True, True), found


def test_settings_that_cannot_be_read_are_a_fault_and_stop_what_needs_them(site):
    def load():
        raise SettingsError("settings.yaml", expected="YAML", found="none", action="Correct it.")

    found = _examine(site, load=load)
    assert found["settings"].state == "fault" and "identity key" not in found


def test_a_run_that_is_late_or_yet_to_come_is_a_fault(site):
    _wrong(site, "last good run", "fault", "late", now=NOW + timedelta(days=8))
    _wrong(site, "last good run", "fault", "yet to come", now=NOW - timedelta(hours=3))


def test_a_changed_audit_trail_is_a_fault(site):
    path = site / "out" / "audit" / "trail.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"run"', '"ran"'), encoding="utf-8")
    _wrong(site, "audit trail", "fault", "line 1: changed since it was written")


def test_folders_others_can_open_are_told(site):
    (site / "out" / "restricted").resolve().chmod(0o750)
    (site / "tmp").chmod(0o755)
    _wrong(site, "output folder", "fault", "others can open restricted")
    _wrong(site, "TMPDIR", "warning", "others can open")


def test_a_key_that_others_can_read_is_a_fault_and_is_not_shown(site):
    key = site / "key"
    key.write_text("canary" * 10, encoding="utf-8")
    key.chmod(0o644)
    found = _examine(site, STRATIFY_KEY_FILE=str(key))["identity key"]
    assert found.state == "fault" and "mode 644" in found.found and "canary" not in found.found


def test_a_disk_without_room_for_the_next_run_is_a_fault(site, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    _wrong(site, "disk", "fault", "GB free, a run takes")


def test_no_extract_files_and_old_ones_are_told(site):
    _wrong(site, "extract files", "warning", "the newest came", now=NOW + timedelta(days=8))
    (site / "extracts" / "manifest.csv").unlink()
    _wrong(site, "extract files", "fault", "none")


def test_what_a_killed_run_left_is_told_and_a_run_at_work_is_not_taken_for_it(site):
    (site / "out" / "runs" / "building").mkdir()
    _wrong(site, "runs", "warning", "did not end")
    with runs.one_at_a_time(site / "out"):
        assert _examine(site)["runs"].found == "one is at work"


class Api(BaseHTTPRequestHandler):
    """Answers as a Prefect server does, from what a test put into ``answers``."""

    answers: ClassVar[dict] = {}

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.answers.get(self.path)
        self.send_response(200 if known is not None else self.answers.get("status", 404))
        self.end_headers()
        self.wfile.write(json.dumps(known).encode())

    do_GET = do_POST = _answer  # noqa: N815  the names of http.server

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server with a worker, a schedule and a run that is due tomorrow."""
    monkeypatch.setattr(Api, "answers", {
        "/api/health": True,
        "/api/deployments/filter": [
            {"paused": False,
             "schedules": [{"active": True, "schedule": {"cron": "0 5 * * 1", "timezone": "Europe/London"}}]}
        ],
        "/api/work_pools/stratify/workers/filter": [{"status": "ONLINE"}],
        "/api/flow_runs/filter": [{"expected_start_time": (NOW + timedelta(days=1)).isoformat()}],
    })  # fmt: skip
    web = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield {"PREFECT_API_URL": f"http://127.0.0.1:{web.server_port}/api"}
    web.shutdown()
    web.server_close()


def test_a_server_with_a_worker_and_a_schedule_is_well(site, server):
    found = _examine(site, **server)
    assert [found[name].state for name in ("Prefect server", "worker", "schedule")] == ["ok"] * 3
    assert found["schedule"].found.startswith("0 5 * * 1 Europe/London, next ")


def test_a_server_that_is_down_or_does_not_know_the_password_is_a_fault(site, server):
    Api.answers.clear()
    Api.answers["status"] = 401
    _wrong(site, "Prefect server", "fault", "answers 401", **server)
    _wrong(site, "Prefect server", "fault", "no answer", PREFECT_API_URL="http://127.0.0.1:9/api")


def test_no_worker_no_schedule_and_a_late_run_are_faults(site, server):
    Api.answers["/api/work_pools/stratify/workers/filter"] = [{"status": "OFFLINE"}]
    _wrong(site, "worker", "fault", "none online", **server)
    Api.answers["/api/flow_runs/filter"] = [{"expected_start_time": (NOW - timedelta(hours=1)).isoformat()}]
    _wrong(site, "schedule", "fault", "is late", **server)
    Api.answers["/api/deployments/filter"][0]["paused"] = True
    _wrong(site, "schedule", "fault", "none that is active", **server)
