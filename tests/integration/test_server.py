"""A Prefect server of its own: it tells of runs that cannot tell themselves, and may die in the middle of one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stratify import audit_trail, runs
from stratify.synth import CountyOrder, write_county
from web_hook import listening
from whole_runs import KEY, counted_plainly, files, settings_file, stratify

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A server as a subprocess, with its home in a folder of the test."""

    def __init__(self, folder):
        self.port = _free_port()
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_UI_STATIC_DIRECTORY": str(folder / "ui"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "5",
            "DO_NOT_TRACK": "1",
            "STRATIFY_IDENTITY_KEY": KEY,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "TMPDIR": str(folder),
        }
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        _until(lambda: self.ask("/health"), "a server that answers", 180)

    def ask(self, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        url = f"{self.environment['PREFECT_API_URL']}{path}"
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as fault:
            if fault.code == 503:  # its database is busy: a client of Prefect asks again, too
                time.sleep(1)
                return self.ask(path, content)
            raise AssertionError(f"{path}: {fault.code} {fault.read()[:500]!r}") from None
        except OSError:  # it does not answer yet, or any more
            return None

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _until(is_so, what, seconds):
    ends = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < ends, f"{what}: not after {seconds} s"
        time.sleep(0.3)
    return found


@pytest.fixture
def server(tmp_path):
    one = Server(tmp_path)
    yield one
    one.kill()


@pytest.fixture
def told():
    """A web hook; gives its address and what it was sent."""
    with listening() as hook:
        yield hook


SET_UP = """
import sys
from datetime import timedelta
from flows.automations import set_up
print(*set_up(timedelta(seconds=float(sys.argv[1]))), sep="; ")
"""


def test_the_server_tells_once_of_a_run_that_was_killed_and_once_of_one_that_nobody_began(server, told):
    """No worker is up: one run is marked killed as a worker marks it, the server finds the late one. Set up twice."""
    address, sent = told
    environment = server.environment | {"STRATIFY_NOTICE_URL": address}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SET_UP, "10"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "stratify: a run was killed; stratify: a run is late"
    flow = server.ask("/flows/", {"name": "stratify weekly run"})["id"]
    other = server.ask("/flows/", {"name": "another flow"})["id"]

    def scheduled(of, when):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": when}}
        return server.ask("/flow_runs/", {"flow_id": of, "state": state})["id"]

    for of in (flow, other):
        killed = scheduled(of, "2100-01-05T05:00:00Z")
        state = {"state": {"type": "CRASHED", "name": "Crashed", "message": "SIGKILL"}, "force": True}
        server.ask(f"/flow_runs/{killed}/set_state", state)
    _until(lambda: sent, "a notice of the killed run", 60)
    for of in (flow, other):
        scheduled(of, "2026-01-05T05:00:00Z")
    _until(lambda: len(sent) > 1, "a notice of the late run", 90)
    time.sleep(12)
    assert [each["kind"] for each in sent] == ["failed", "late"]
    assert all("stratify weekly run: " in each["text"] and "First: " in each["text"] for each in sent)


def test_without_a_web_hook_it_is_said_that_the_server_cannot_tell(tmp_path):
    environment = {name: value for name, value in os.environ.items() if "NOTICE" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "flows.automations"],
        env=environment | {"PREFECT_HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "STRATIFY_NOTICE_URL_FILE: expected the file of a web hook's address" in done.stderr


def test_a_server_that_dies_in_the_middle_leaves_a_finished_run_or_the_last_good_one_and_says_what_to_do(
    server, tmp_path
):
    """A hundred people; a good run by hand first. Prefect goes on to ask for its server, so the process is ended."""
    extracts, out = tmp_path / "extracts", tmp_path / "out"
    write_county(extracts, CountyOrder(people=100, seed=3))
    settings = settings_file(tmp_path, extracts, out)
    with counted_plainly():
        first = stratify("run", "--settings", settings, "--index-date", "2026-10-26", STRATIFY_IDENTITY_KEY=KEY)
    assert first.exit_code in (0, 10), first.output
    before = files((out / "published").resolve())
    log = tmp_path / "flow.log"
    with log.open("wb") as written:
        run = subprocess.Popen(
            [sys.executable, "-m", "flows.weekly", str(settings), "2026-11-02"],
            env=server.environment, cwd=ROOT, stdout=written, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        asked = {"task_runs": {"name": {"like_": "Checking data quality"}}}
        _until(lambda: run.poll() is not None or server.ask("/task_runs/filter", asked), "the stage", 300)
        assert run.poll() is None, log.read_text(encoding="utf-8")
        server.kill()
        _until(lambda: run.poll() is not None or b"Error: Prefect server" in log.read_bytes(), "a message", 900)
    finally:
        run.kill()
        run.wait()
    said, published = log.read_text(encoding="utf-8"), files((out / "published").resolve())
    assert said.count("RunError: Prefect server: expected") == 1 and "systemctl" in said
    is_new = json.loads(published["run_manifest.json"])["index_date"] == "2026-11-02"
    assert is_new or published == before
    lines = audit_trail.read(out)
    assert audit_trail.faults(lines) == []
    assert lines[-1].entry["details"]["state"] == ("done" if is_new else "failed")
    with runs.one_at_a_time(out):  # it is free for the next run
        pass
