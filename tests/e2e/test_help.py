"""Commands start quickly: help loads nothing that works with data, an explanation nothing that writes outputs."""

import os
import subprocess
import sys

import pytest

from stratify.cli import app

HEAVY = ("polars", "duckdb", "prefect", "great_expectations", "sklearn", "pandas", "pydantic", "rich", "numpy", "yaml")


def _commands(group=app, path=()):
    """Give every command there is, groups too, as words of the command line."""
    found = [path]
    found += [(*path, each.name or each.callback.__name__) for each in group.registered_commands]
    for each in group.registered_groups:
        found += _commands(each.typer_instance, (*path, each.name))
    return found


NOT_TO_EXPLAIN = (
    "prefect",
    "great_expectations",
    "sklearn",
    "pandas",
    "numpy",
    "typst",
    "xlsxwriter",
    "jinja2",
    "stratify.publish",
)


def _run(names, *arguments, **environment):
    """Run a command in a process of its own, which says on standard error what it loaded of some modules."""
    probe = f"""
import sys
from stratify.cli import main
sys.argv[0] = "stratify"
try:
    main()
except SystemExit as end:
    code = end.code
found = sorted(name for name in {names!r} if name in sys.modules)
sys.exit(f"loaded {{found}}" if found else code)
"""
    command = [sys.executable, "-c", probe, *arguments]
    environment = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def test_the_commands_that_the_documents_name_are_there():
    assert {("run",), ("check",), ("explain",), ("synth",), ("rules", "test")} <= set(_commands())


@pytest.mark.parametrize("command", [pytest.param(each, id="_".join(each) or "stratify") for each in _commands()])
def test_help_loads_nothing_heavy(command):
    """It takes a third of a second on a quiet machine, nearly all of it Python's and typer's own."""
    done = _run(HEAVY, *command, "--help")
    # Below a group with options of its own typer works those out first, with pydantic.
    is_below_options = len(command) > 1 and command[0] == "synth"
    assert done.returncode == 0 or (is_below_options and done.stderr == "loaded ['pydantic']\n"), done.stderr
    assert "Usage: stratify" in done.stdout


def test_an_explanation_loads_nothing_that_writes_outputs_fits_models_or_orchestrates(tmp_path):
    """All that it needs is there when it finds that the folder holds no run."""
    asked = ("explain", "--out", str(tmp_path), "--nhs-number", "9990000018")
    done = _run(NOT_TO_EXPLAIN, *asked, STRATIFY_IDENTITY_KEY="an invented key of a test site, long enough to pass")
    assert done.returncode == 8, done.stderr
    assert "expected a finished run" in done.stderr
