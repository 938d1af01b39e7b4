"""The model code on real outcomes that others published: the page has what the command prints, and it is no leak."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.model_outcomes import SAMPLES, table, tried

OUTCOMES = Path(__file__).parents[2].parent / "shared" / "data" / "outcomes"
PAGE = Path(__file__).parents[2] / "docs" / "model-benchmarks.md"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Path:
    if not OUTCOMES.is_dir():
        pytest.skip("the data sets are not beside the checkout")
    return OUTCOMES


@pytest.mark.parametrize("name", list(SAMPLES))
def test_the_page_has_what_the_command_prints(folder, name):
    printed = [line for line in table(folder, [name]).splitlines() if line.startswith(f"| {name}")]
    assert len(printed) == 2
    page = PAGE.read_text(encoding="utf-8")
    assert [line for line in printed if line not in page] == []


@pytest.mark.parametrize("name", list(SAMPLES))
def test_calibration_holds_on_people_it_was_not_fitted_on(folder, name):
    judged, _ = tried(SAMPLES[name](folder), "logistic")
    assert 0.9 < judged.measures["calibration_slope"].value < 1.1


def test_thirty_day_readmission_is_foretold_no_better_than_others_do_without_a_leak(folder):
    judged, _ = tried(SAMPLES["uci_diabetes130"](folder), "boosting")
    assert 0.63 < judged.measures["auroc"].value < 0.69
