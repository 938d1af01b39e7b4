"""The long bar: a clean county of the demo's size, with Great Expectations counting too, agrees with the truth."""

from __future__ import annotations

from datetime import date

import pytest

from stratify import truth_score
from stratify.privacy import THROWAWAY_KEY
from stratify.synth import CountyOrder, write_county
from whole_runs import settings_file, stratify


@pytest.mark.slow
def test_a_clean_county_of_20_000_agrees_with_the_truth_about_everybody(tmp_path):
    order = CountyOrder(people=20_000, seed=7, index_date=date(2026, 11, 2))
    write_county(tmp_path / "extracts", order, truth_folder=tmp_path / "truth")
    settings = settings_file(
        tmp_path, tmp_path / "extracts", tmp_path / "out", index_date=order.index_date, clinical=None
    )
    done = stratify("run", "--settings", settings)
    assert done.exit_code == 0, done.output
    compared = truth_score.compare(tmp_path / "out", tmp_path / "truth", THROWAWAY_KEY)
    assert compared.differences == (), truth_score.in_words(compared)
    assert compared.people == 20_000
    assert compared.agreeing == compared.on_pathway
