"""What is released: the wheel holds everything that is read, the demo runs, the site is built without the network."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hatchling.builders.wheel import WheelBuilder
from tests.documentation import ROOT
from typer.testing import CliRunner

from stratify.cli import app


def test_the_wheel_holds_every_file_that_the_checkout_has():
    held = {each.distribution_path for each in WheelBuilder(str(ROOT)).recurse_included_files()}
    found = subprocess.run(
        ["git", "ls-files", "src/stratify", "flows", "data_contracts"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    wanted = {re.sub(r"^src/", "", each).replace("data_contracts/", "stratify/_data_contracts/") for each in found}
    assert len([each for each in wanted if not each.endswith(".py")]) > 300
    assert wanted - held == set()
    assert {"stratify/_demo/demo.settings.yaml", "stratify/_demo/demo.homes.yaml"} <= held
    assert not any(each.startswith(("tests/", "docs/")) for each in held)


@pytest.mark.slow
def test_the_demo_invents_runs_compares_and_says_where_to_look(tmp_path):
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "county"), "--people", "800"])
    assert done.exit_code == 0, done.output
    for said in re.findall(r"^\w[^:\n]+: +(\S+county/published\S+)$", done.stdout, flags=re.MULTILINE):
        assert (tmp_path / said).exists()
    assert (tmp_path / "county/published/direct_care").is_dir()
    again = CliRunner().invoke(app, ["demo", str(tmp_path / "county"), "--people", "800"])
    assert again.exit_code == 2 and "SettingsError" in again.output


@pytest.mark.slow
def test_the_site_is_built_whole_and_asks_the_network_for_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in tmp_path.rglob("*.html")}
    assert {"index.html", "contracts/landing.html", "changelog.html", "safety/safety-case.html"} <= set(pages)
    for name, text in pages.items():
        fetched = re.findall(r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)|<link[^>]+href="(https?:[^"]+)', text)
        assert fetched == [], name
