"""A new pathway is one short file and its examples: what docs/new-pathway.md shows is what is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stratify.rulebook import clinical_folder, load_rule_book

PATHWAYS = clinical_folder() / "pathways"
PAGE = Path(__file__).parents[2] / "docs" / "new-pathway.md"
MOST_LINES = 60


def test_the_page_shows_the_files_as_they_are():
    shown = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    beside = ("heart_failure.yaml", "heart_failure.examples.yaml")
    assert shown == [(PATHWAYS / name).read_text(encoding="utf-8") for name in beside]


@pytest.mark.parametrize("name", ["care_homes", "diabetes_prevention", "heart_failure", "high_risk_of_admission"])
def test_a_new_pathway_is_at_most_sixty_lines(name):
    assert len((PATHWAYS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_a_newcomers_pathway_names_nothing_but_what_was_there_before():
    """Heart failure: no variable, score or codelist was made for it, so it took a file and no more."""
    book = load_rule_book()
    own = book.cut_down_to("heart_failure")
    others = book.cut_down_to(*(name for name in (*book.scores, *book.pathways) if name != "heart_failure"))
    alone = set(own.variables) - set(others.variables)
    assert not alone
