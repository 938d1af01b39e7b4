"""A whole extract and weekly changes with every fault of weeks: each week's run agrees with the truth of that week."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from stratify import truth_score
from stratify.privacy import THROWAWAY_KEY
from stratify.synth import CountyOrder, write_county
from whole_runs import counted_plainly, settings_file, stratify, working_store

FIRST = date(2026, 11, 2)
FAULTS = {"R5": 0.005, "R6": 0.05, "R7": 0.05, "R8": 0.1, "F8": 1.0, "F9": 1.0}
ORDER = CountyOrder(people=900, practices=3, seed=31, index_date=FIRST, weeks=2, faults=FAULTS)


class County(NamedTuple):
    folder: Path
    extracts: Path
    truth: Path

    def run(self, week: int, out: str, **settings: object):
        """Run one week; give the output folder and what the command said."""
        place = settings_file(
            self.folder / out, self.extracts, self.folder / out / "out",
            index_date=FIRST + timedelta(weeks=week), clinical=None, **settings,
        )  # fmt: skip
        with counted_plainly():
            done = stratify("run", "--settings", place)
        assert done.exit_code == 0, done.output
        return self.folder / out / "out", done.stdout


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> County:
    folder = tmp_path_factory.mktemp("weekly")
    write_county(folder / "extracts", ORDER, truth_folder=folder / "truth")
    return County(folder, folder / "extracts", folder / "truth")


@pytest.fixture(scope="module")
def last_week(county):
    return county.run(2, "last_week")


def test_after_two_weeks_of_changes_run_and_truth_agree_on_everybody(county, last_week):
    compared = truth_score.compare(last_week[0], county.truth, THROWAWAY_KEY)
    assert compared.differences == (), truth_score.in_words(compared)
    assert set(compared.faults) == {"R5", "R6", "R7", "R8", "F8", "F9"}
    assert compared.on_pathway["frailty"] > 100


def test_every_row_of_every_set_is_accounted_for_and_what_was_passed_over_is_said(last_week, tmp_path):
    out, said = last_week
    with working_store(out, tmp_path) as store:
        unbalanced = store.scalar(
            "SELECT count(*) FROM audit.source_file WHERE received_count <> loaded_count + rejected_count "
            "OR rejected_count <> quarantined_count + duplicate_count + superseded_count + withdrawn_count "
            "+ restricted_count"
        )
        sets, superseded, withdrawn = store.rows(
            "SELECT count(DISTINCT extract), sum(superseded_count) > 100, sum(withdrawn_count) > 0 "
            "FROM audit.source_file"
        )[0]
    assert unbalanced == 0
    assert (sets, superseded, withdrawn) == (3, True, True)
    assert "file passed over: 2026-11-09/" in said and ": sent before (" in said


@pytest.mark.slow
def test_an_old_run_can_be_made_again_as_it_was_known_and_as_it_is_known_by_now(county, last_week):
    compared = [
        truth_score.compare(county.run(0, name, **settings)[0], county.truth, THROWAWAY_KEY)
        for name, settings in (("as_known_then", {}), ("as_known_now", {"as_known_on": "2026-11-16"}))
    ]
    assert compared[0].differences == (), truth_score.in_words(compared[0])
    assert compared[0].run_id != compared[1].run_id
    assert compared[1].differences, "nothing that came in two weeks changed what is known of the first day"
