"""The container image and the compose file of docs/deployment: read as a builder would."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from stratify import privacy

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "deployment"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: each for name, each in COMPOSE["services"].items() if name != "database"}


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def _given(word: str) -> list[str]:
    return [rest for each, rest in _instructions() if each == word]


def test_every_instruction_is_one_that_builders_know():
    assert {word for word, _ in _instructions()} <= {
        "ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert _instructions()[0] == ("ARG", "BASE")


def test_the_base_is_what_the_site_names_and_has_no_default_that_moves():
    assert _given("FROM") == ["${BASE} AS build", "${BASE}"]
    assert _given("ARG") == ["BASE"]


def test_everything_that_is_copied_is_in_the_repository():
    copied = [each.split()[:-1] for each in _given("COPY") if not each.startswith("--from=build")]
    assert len(copied) >= 6
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source


def test_everything_that_the_wheel_is_made_of_is_copied_before_it_is_made():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    needed = {*(each.split("/")[0] for each in build["packages"]), *build["force-include"]}
    first = " ".join(_given("COPY")).split("--from=build")[0].split()
    assert needed <= {each.removeprefix("./") for each in first}


def test_every_package_is_installed_with_its_hash_and_nothing_else_is_fetched():
    installs = [each for run in _given("RUN") for each in run.split("&&") if "pip install" in each]
    assert len(installs) == 2
    assert all("--require-hashes" in each or "--no-deps --no-build-isolation" in each for each in installs)
    assert not any(word in run for run in _given("RUN") for word in ("curl", "wget", "apt-get", "http"))


def test_the_image_runs_as_an_account_that_is_not_root_and_holds_no_secret():
    assert _given("USER") == ["10001:10001"]
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    secrets = (privacy.KEY_VARIABLE, "PASSWORD", "AUTH_STRING", "SIGNING_KEY", "PASSPHRASE")
    assert not any(name in text for name in secrets)


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_can_change_nothing_but_what_is_mounted_and_gains_no_rights(name):
    service = OURS[name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service and "user" not in service


def test_only_the_worker_sees_extract_files_outputs_and_can_change_no_extract():
    seen = {name: " ".join(service["volumes"]) for name, service in OURS.items()}
    assert {name for name, volumes in seen.items() if "/srv/stratify/out" in volumes} == {"worker"}
    assert "/srv/stratify/extracts:/srv/stratify/extracts:ro" in OURS["worker"]["volumes"]
    assert "/etc/stratify" not in seen["server"]


def test_nothing_listens_outside_and_every_secret_and_image_is_the_sites():
    """No port is published, the network has no way out, and a variable that is not set stops the start."""
    assert COMPOSE["networks"] == {"inside": {"internal": True}}
    assert all("ports" not in each and each["networks"] == ["inside"] for each in COMPOSE["services"].values())
    assert all(each["image"].startswith("${") and ":?" in each["image"] for each in COMPOSE["services"].values())
    secrets = [COMPOSE["services"]["database"]["environment"]["POSTGRES_PASSWORD"]]
    secrets += [each["environment"]["PREFECT_API_AUTH_STRING"] for each in OURS.values()]
    assert all(each.startswith("${") and ":?" in each for each in secrets)


def test_the_server_asks_for_a_password_and_the_worker_waits_until_the_pool_is_there():
    assert "PREFECT_SERVER_API_AUTH_STRING" in OURS["server"]["environment"]
    assert OURS["worker"]["depends_on"] == {"deploy": {"condition": "service_completed_successfully"}}
    assert OURS["deploy"]["depends_on"] == {"server": {"condition": "service_healthy"}}
    pool = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"][0]["work_pool"]["name"]
    assert f"work-pool create {pool} " in OURS["deploy"]["command"][2]
    assert OURS["worker"]["command"][:5] == ["prefect", "worker", "start", "--pool", pool]
