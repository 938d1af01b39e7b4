"""The ten questions of docs/for-commissioners.md, asked of a county as large as the demo's."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml

from commissioner_page import as_shown, questions
from whole_runs import counted_plainly, stratify

DEMO = Path(__file__).parents[2] / "docs" / "demo.settings.yaml"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    made = stratify("synth", "--out", folder / "extracts", "--people", 20000, "--seed", 1, "--index-date", "2026-11-02")
    assert made.exit_code == 0, made.output
    settings = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    settings |= {"extracts": str(folder / "extracts"), "out": str(folder / "out")}
    settings["care_homes"] = str(DEMO.parent / settings["care_homes"])
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with counted_plainly():
        done = stratify("run", "--settings", folder / "settings.yaml")
    assert done.exit_code in (0, 10), done.output
    path = folder / "out" / "published" / "secondary_use" / "commissioner.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("question", questions(), ids=lambda each: each.title)
def test_the_answer_on_the_page_is_that_of_the_demo(opened, question):
    assert as_shown(opened.execute(question.sql).fetchall()) == question.rows
