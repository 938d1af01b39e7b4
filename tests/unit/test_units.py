"""The systemd units of docs/deploy.md: systemd itself reads them, and every one keeps to its account and folders."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
UNITS = dict(re.findall(r"```\n# /etc/systemd/system/(\S+)\n(.*?)```", PAGE, re.DOTALL))
SERVICES = sorted(name for name in UNITS if name.endswith(".service"))


def _of(name):
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string(UNITS[name])
    return unit


def test_the_page_has_server_worker_and_a_timer_with_what_it_starts():
    assert {"stratify-server.service", "stratify-worker.service", "stratify-run.timer", "stratify-run.service"} <= set(
        UNITS
    )
    for timer in (name for name in UNITS if name.endswith(".timer")):
        assert timer.replace(".timer", ".service") in UNITS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_its_account_and_writes_to_its_folders_alone(name):
    service = _of(name)["Service"]
    assert (service["User"], service["Group"], service["UMask"]) == ("stratify", "stratify", "0027")
    assert (service["ProtectSystem"], service["ProtectHome"], service["NoNewPrivileges"]) == ("strict", "true", "true")
    assert re.findall(r"ReadWritePaths=(.*)", UNITS[name]) == ["/srv/stratify", "-/mnt/backup"]
    assert service["EnvironmentFile"] == "/etc/stratify/environment"


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, which is not on this machine"
)
def test_systemd_finds_nothing_wrong_with_any_unit(tmp_path):
    """A stand-in takes the place of the program: that it is there is for the machine it runs on."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    paths = [tmp_path / name for name in UNITS]
    for path in paths:
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", UNITS[path.name], flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    spoilt = paths[0].read_text(encoding="utf-8").replace("User=", "Usr=").replace("ProtectHome=true", "ProtectHome=x")
    paths[0].write_text(spoilt, encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", paths[0]], capture_output=True, text=True, check=False)
    assert "Usr" in said.stderr and "protect home" in said.stderr  # it does look
