"""docs/new-score.md, followed to the letter: its files are written, its commands run, its answers come."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stratify.cli import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "new-score.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
SLIPS = [  # what the guide says would go wrong, in its order: file, what stands there, what is written instead
    ("cha2ds2_va.yaml", "has_hypertension", "has_hypertention"),
    ("cha2ds2_va.examples.yaml", "age_years: 75}", "age_years: 77}"),
]


def _run(command: str) -> str:
    """Run one line of the guide where it says, and give all that it prints."""
    if command.startswith("cp -r "):
        folder = Path(shutil.copytree(*command.split()[2:]))
        for path in folder.rglob("*.examples.yaml"):  # those of the others cost a second each time they are read
            path.write_text("examples: [{name: nobody, expect: {tier: null}}]\n", encoding="utf-8")
        return ""
    assert command.startswith(".venv/bin/stratify "), command
    done = CliRunner().invoke(app, command.split()[1:], env={"COLUMNS": "400"})
    return done.output + (getattr(done, "stderr", "") or "")


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_the_guide_to_a_new_score_works_as_written(tmp_path, monkeypatch):
    (tmp_path / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(tmp_path)
    said, trial, slips = "", "", list(SLIPS)
    for kind, block in BLOCKS:
        if kind == "yaml":
            Path(block.split("\n", 1)[0].removeprefix("# ")).write_text(block, encoding="utf-8")
        elif kind == "bash":
            said = "".join(_run(line) for line in block.splitlines())
            assert "expected" not in said or "describe" in block, said
            trial = block.splitlines()[0] if " rules test " in block else trial
        elif block.startswith("clinical/"):
            name, right, wrong = slips.pop(0)
            file = Path("my-clinical/scores") / name
            before = file.read_text(encoding="utf-8")
            file.write_text(before.replace(right, wrong, 1), encoding="utf-8")
            assert right in before and _flat(block) in _flat(_run(trial))
            file.write_text(before, encoding="utf-8")
        else:
            for line in block.splitlines():
                assert _flat(line) in _flat(said), line
    assert slips == []
    assert Path("my-rules/index.html").is_file() and Path("my-rules.xlsx").is_file()
    assert 'href="scores/cha2ds2_va.html"' in Path("my-rules/index.html").read_text(encoding="utf-8")
    assert '"cha2ds2_va"' in Path("my-versions.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["bash", "yaml", "text"])
def test_the_guide_has_something_of_each_kind_to_try(kind):
    assert sum(each == kind for each, _ in BLOCKS) >= 2
