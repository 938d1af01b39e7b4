"""Whether a deployment is well: each thing that can be wrong with one is found, and says what to do."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import ClassVar

import pytest

from bare_manifest import bare_manifest
from stratify import audit_trail, kept_records, privacy, runs
from stratify.errors import SettingsError
from stratify.operations import doctor
from stratify.settings import Settings

NOW = datetime.now(UTC)
BY = audit_trail.Actor("tester", lambda: NOW)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A deployment that is well: extract files, a run of this hour, its trail, a temporary folder of its own."""
    (tmp_path / "extracts").mkdir(mode=0o750)
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
    for name in ("direct_care", "secondary_use"):
        (run / "published" / name).mkdir()
    out.chmod(0o750)
    audit_trail.add(out, "run", {}, by=BY)
    monkeypatch.setattr(doctor, "_swap", lambda: doctor.Finding("swap", "ok", "none"))
    return tmp_path


def _examine(site, *, now=NOW, load=None, records=None, **environment):
    settings = Settings(
        extracts=site / "extracts", source="synthetic_county", out=site / "out", index_date=date(2026, 11, 2),
        privacy=privacy.STAND_IN_POLICY, records=records,
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


def _made_for(site, day):
    """Have the run in place be of a day, and made at five that morning."""
    manifest = site / "out" / "published" / "run_manifest.json"
    said = json.loads(manifest.read_text(encoding="utf-8")) | {"index_date": day.isoformat()}
    manifest.write_text(json.dumps(said), encoding="utf-8")
    at = datetime(day.year, day.month, day.day, 5, tzinfo=UTC).timestamp()
    os.utime(manifest, (at, at))


@pytest.mark.parametrize(
    ("now", "state"),
    [
        pytest.param(datetime(2026, 12, 7, 7, 59, tzinfo=UTC), "ok", id="just_before_eight_on_the_day_it_is_due"),
        pytest.param(datetime(2026, 12, 7, 8, 0, tzinfo=UTC), "fault", id="at_eight"),
    ],
)
def test_a_run_that_never_came_is_told_on_the_morning_it_was_due(site, now, state):
    _made_for(site, date(2026, 11, 30))
    found = _examine(site, now=now)["last good run"]
    assert (found.state, "late; none was begun since" in found.found) == (state, state == "fault")


def test_a_rerun_on_a_wednesday_of_a_monday_does_not_put_off_the_next_monday(site):
    _made_for(site, date(2026, 11, 30))
    wednesday = datetime(2026, 12, 2, 11, tzinfo=UTC).timestamp()
    os.utime(site / "out" / "published" / "run_manifest.json", (wednesday, wednesday))
    _wrong(site, "last good run", "fault", "late", now=datetime(2026, 12, 7, 8, 30, tzinfo=UTC))


def _begin(site, moment):
    return audit_trail.add(site / "out", "run", {"state": "begun"}, by=audit_trail.Actor("t", lambda: moment)).number


def test_of_a_late_run_it_is_said_what_became_of_it_and_only_a_failed_one_was_told_already(site):
    _made_for(site, date(2026, 11, 30))
    monday, later = datetime(2026, 12, 7, 5, tzinfo=UTC), datetime(2026, 12, 7, 8, 30, tzinfo=UTC)
    number = _begin(site, monday)
    killed = _examine(site, now=later)["last good run"]
    assert "begun 2026-12-07 05:00 UTC did not end" in killed.found and not killed.is_told
    failed = {"state": "failed", "begun": number, "exit_code": 3}
    audit_trail.add(site / "out", "run", failed, by=audit_trail.Actor("t", lambda: monday))
    refused = _examine(site, now=later)["last good run"]
    assert "failed, exit code 3" in refused.found and refused.is_told


def test_one_notice_has_every_fault_that_nobody_was_told_of(monkeypatch):
    sent = []
    monkeypatch.setattr(doctor.notices, "send", lambda notice, _: sent.append(notice) or ["e-mail"])
    told = doctor.Finding("last good run", "fault", "late; one failed", "See why.", is_told=True)
    assert doctor.tell([told], {}) == [] and sent == []
    disk = doctor.Finding("disk", "fault", "full", "Make room.")
    absent = doctor.Finding("last good run", "fault", "late; none was begun since", "See why.")
    assert doctor.tell([told, disk, absent], {}) == ["e-mail"]
    assert [(each.kind, each.what, each.first) for each in sent] == [
        ("not well", "disk: full; last good run: late; none was begun since", "Make room.")
    ]


def test_a_changed_audit_trail_is_a_fault(site):
    path = site / "out" / "audit" / "trail.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"run"', '"ran"'), encoding="utf-8")
    _wrong(site, "audit trail", "fault", "line 1: changed since it was written")


def test_folders_others_can_open_are_told(site):
    (site / "out" / "restricted").resolve().chmod(0o750)
    (site / "tmp").chmod(0o755)
    _wrong(site, "output folder", "fault", "others can open restricted")
    _wrong(site, "TMPDIR", "warning", "others can open")


def test_landing_files_that_every_account_can_read_or_change_are_told(site):
    (site / "extracts" / "2026-11-02").mkdir()
    (site / "extracts" / "2026-11-02").chmod(0o755)
    _wrong(site, "landing files", "warning", "can read")
    (site / "extracts" / "2026-11-02").chmod(0o757)
    _wrong(site, "landing files", "fault", "can change")


def test_identities_and_working_files_of_any_run_kept_are_for_this_account_alone(site):
    older = site / "out" / "runs" / "older.1" / "restricted"
    older.mkdir(parents=True, mode=0o700)
    for name, check in (("identity", "identities"), ("run", "working files")):
        (older / f"{name}.duckdb").touch(mode=0o600)
        assert _examine(site)[check].state == "ok"
        (older / f"{name}.duckdb").chmod(0o640)
        _wrong(site, check, "fault", "others can open 1")
        (older / f"{name}.duckdb").chmod(0o600)


def test_direct_care_files_are_not_for_every_account_unless_no_account_can_reach_them(site):
    listed = site / "out" / "runs" / "abc.1" / "published" / "direct_care" / "list.xlsx"
    listed.touch(mode=0o644)
    assert _examine(site)["direct care files"].state == "ok"  # the output folder itself is closed
    (site / "out").chmod(0o755)
    _wrong(site, "direct care files", "fault", "every account")


def test_files_for_commissioners_that_others_can_change_are_a_fault_and_readable_ones_are_not(site):
    counts = site / "out" / "runs" / "abc.1" / "published" / "secondary_use" / "counts.csv"
    counts.touch(mode=0o644)
    assert _examine(site)["secondary use files"].state == "ok"
    counts.chmod(0o664)
    _wrong(site, "secondary use files", "fault", "others can change")


def test_a_link_that_was_swapped_for_one_that_leads_elsewhere_is_a_fault(site):
    elsewhere = site / "elsewhere" / "published"
    elsewhere.mkdir(parents=True)
    (site / "out" / "published").unlink()
    (site / "out" / "published").symlink_to(elsewhere)
    _wrong(site, "links", "fault", "published leads out")


def _keep(site, run_id):
    """Keep a record of a run that read one file; gives the folder and the place of that file's content."""
    records = site / "records"
    (site / "read.csv").write_text("a", encoding="utf-8")
    digest = kept_records.put(records, site / "read.csv")
    settings = Settings(
        extracts=site,
        source="synthetic_county",
        out=site,
        index_date=date(2026, 11, 2),
        privacy=privacy.STAND_IN_POLICY,
    )
    record = kept_records.Record(
        week=date(2026, 11, 2), run_id=run_id, code_version="1", versions={}, settings=settings, outputs={},
        key_fingerprint="", inputs={"extracts/read.csv": digest}, placements=digest,
    )  # fmt: skip
    kept_records.add(records, record, by=BY)
    return records, kept_records.object_path(records, digest)


def test_kept_records_that_are_sealed_whole_and_of_the_run_in_place_are_well(site):
    records, _ = _keep(site, "abc")
    assert _examine(site, records=records)["kept records"].found.startswith("1 weeks and runs, as they were sealed, 1")


def test_kept_records_that_lack_the_run_in_place_a_content_or_their_seal_are_told(site):
    records, content = _keep(site, "another")
    _wrong(site, "kept records", "warning", "none of the run in place", records=records)
    content.rename(site / "moved")
    _wrong(site, "kept records", "fault", "1 contents are missing", records=records)
    (site / "moved").rename(content)
    path = records / "weeks" / "2026-11-02" / "another.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"code_version": "1"', '"code_version": "2"'))
    found = _examine(site, records=records)["kept records"]
    assert found.state == "fault" and "sealed" in found.found
    content.parent.chmod(0o755)
    _wrong(site, "kept records", "fault", "others can open", records=records)


def test_no_kept_records_is_said_and_is_no_fault_where_none_are_asked_for(site):
    assert "no week can be made again" in _examine(site)["kept records"].found
    _wrong(site, "kept records", "warning", "none yet", records=site / "not made")


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
