"""Patients of one's own are tried through the whole of the run, and every miss is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stratify.rulebook import load_rule_book
from whole_runs import refusal, stratify

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def documented(tmp_path) -> Path:
    """The file of the page in docs/."""
    text = re.search(r"```yaml\n(.*?)```", (DOCS / "own-patients.md").read_text(encoding="utf-8"), re.DOTALL)
    assert text
    file = tmp_path / "my.patients.yaml"
    file.write_text(text[1], encoding="utf-8")
    return file


def changed(file: Path, **patient: object) -> Path:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["patients"][1] |= patient
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_the_patients_of_the_page_come_out_as_it_says(documented):
    done = stratify("rules", "test", documented)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("holds ") == 3
    assert "gold_abe_2023: two admissions in a year: tier E" in done.stdout


def test_a_miss_is_said_and_ends_the_command_with_a_fault(documented):
    wrong = {"gold_abe_2023": {"tier": "A"}, "hospital_frailty": {"tier": "low"}}
    done = stratify("rules", "test", changed(documented, expect=wrong))
    assert done.exit_code == 5
    assert "FAILED  gold_abe_2023: two admissions in a year\n        tier: expected A, found E" in done.stdout
    assert "hospital_frailty: 1 of 1 examples hold" in done.stdout


@pytest.mark.parametrize(
    ("patient", "said"),
    [
        ({"expect": {"gold_abe_2032": {"tier": "A"}}}, "gold_abe_2032"),
        ({"expect": {"gold_abe_2023": {"decision": "clinic"}}}, "decision"),
        ({"spels": []}, "patients.1.spels"),
        ({"sex": "F"}, "patients.1.sex"),
        ({"medications": [{"date": "2026-01-01"}]}, "dm+d or a BNF code"),
    ],
)
def test_a_slip_in_the_file_is_refused_with_its_place(documented, patient, said):
    assert said in refusal(stratify("rules", "test", changed(documented, **patient)), 5)


@pytest.mark.slow
def test_every_score_and_pathway_may_be_expected(documented):
    book = load_rule_book()
    nothing = {name: {"missing": None} for name in book.scores if name != "x"}
    done = stratify("rules", "test", changed(documented, expect=nothing))
    assert len(re.findall(r"^(?:holds |FAILED)  \w+: two admissions in a year: ", done.stdout, re.MULTILINE)) == len(
        nothing
    )
