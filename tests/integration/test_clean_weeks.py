"""Weeks of a clean county, run one after another as a site does: nothing is held or set aside, and truth agrees.

The supplier sends changes every week and everything again each quarter; the sets gather in one folder, and each run
carries the practices' counts of the runs before. A year, and a slice of it: four weeks of which the last comes whole.
"""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from stratify import truth_score
from stratify.privacy import THROWAWAY_KEY
from stratify.synth import CountyOrder, write_county
from whole_runs import counted_plainly, settings_file, stratify, working_store

FIRST = date(2026, 11, 2)
NO_FAULT = re.compile(r"^(PAT|APC|OPA|EDA|DTH|FLG)-86-nhs-number$|-88-withdrawn$|^FIT-06-spelling$")
"""What a clean county has of its own: people without an NHS number, their hospital rows, entries taken back, hospital
codes filled up with X (which are put right and used)."""


class Year:
    """Extract sets of a county that sends changes, and the whole again every so many weeks."""

    def __init__(self, folder: Path, *, people: int, practices: int, weeks: int, whole_every: int) -> None:
        self.folder, self.whole_every = folder, whole_every
        order = {"people": people, "practices": practices, "seed": 1, "index_date": FIRST, "weeks": weeks}
        for weekly in ("delta", "bulk"):
            truth = folder / f"truth_{weekly}"
            write_county(folder / weekly, CountyOrder(**order, weekly=weekly), truth_folder=truth)

    def sent(self, week: int) -> str:
        return "bulk" if week and week % self.whole_every == 0 else "delta"

    def run(self, week: int) -> dict:
        """Let the set of a week come, and run the week; give the manifest."""
        day = (FIRST + timedelta(weeks=week)).isoformat()
        extracts = self.folder / "extracts"
        extracts.mkdir(exist_ok=True)
        (self.folder / self.sent(week) / day).rename(extracts / day)
        settings = settings_file(self.folder, extracts, self.folder / "out", index_date=day, clinical=None)
        with counted_plainly():
            done = stratify("run", "--settings", settings)
        assert done.exit_code == 0, f"week {week}: {done.output}{done.stderr}"
        return json.loads((self.folder / "out/published/run_manifest.json").read_text(encoding="utf-8"))

    def nothing_is_held(self, week: int, manifest: dict) -> None:
        assert manifest["held"] == [] and manifest["lost_feeds"] == [], f"week {week}"
        assert set(manifest["verdicts"].values()) <= {"pass", "warn"}, f"week {week}"
        assert [each for each in manifest["steps"] if each["step"].startswith(("practice part", "practice sent"))] == []
        odd = [each for each in manifest["rejected_rows"] if not NO_FAULT.search(each["rule_id"])]
        assert odd == [], f"week {week}"
        with working_store(self.folder / "out", self.folder / "scratch") as store:
            failed = store.rows(
                "SELECT table_name, rule_id FROM audit.quality_result WHERE failed_count > 0 AND "
                "(rule_id LIKE 'FIT-%' OR severity = 'error') AND NOT regexp_matches(rule_id, $1)",
                [NO_FAULT.pattern],
            )
        assert failed == [], f"week {week}"

    def truth_agrees(self, week: int) -> None:
        compared = truth_score.compare(self.folder / "out", self.folder / f"truth_{self.sent(week)}", THROWAWAY_KEY)
        assert compared.differences == (), f"week {week}: {truth_score.in_words(compared)}"
        assert compared.agreeing == compared.on_pathway and compared.held == {}
        assert compared.on_pathway["frailty"] > 0

    def check(self, weeks: int, compared: set[int]) -> None:
        for week in range(weeks):
            self.nothing_is_held(week, self.run(week))
            if week in compared:
                self.truth_agrees(week)
        history = (self.folder / "out" / "restricted" / "practice_history.csv").read_text(encoding="utf-8")
        assert len({line.split(",")[0] for line in history.splitlines()[1:]}) == weeks, "each run adds to the counts"


@pytest.mark.slow
def test_four_weeks_of_a_clean_county_hold_nothing_and_agree_with_the_truth(tmp_path):
    Year(tmp_path, people=300, practices=1, weeks=3, whole_every=3).check(4, {0, 2, 3})


@pytest.mark.slow
def test_a_year_of_a_clean_county_holds_nothing_and_agrees_with_the_truth(tmp_path):
    Year(tmp_path, people=600, practices=3, weeks=51, whole_every=13).check(52, {0, 25, 26, 27, 51})
