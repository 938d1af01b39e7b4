"""Weekly runs one after another: waits keep their day, an answer is obeyed, and each week says what changed."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from stratify import answers, kept_weeks, remembered
from stratify.synth import CountyOrder, write_county
from whole_runs import KEY, counted_plainly, same_files, settings_file, sheet, stratify, workbooks, working_store

WEEKS = tuple(date(2026, 11, 2) + timedelta(days=7 * number) for number in range(2))
ROWS = "SELECT * FROM audit.list_row WHERE week = '{week}' ORDER BY patient_key, pathway"


class Site:
    """A site with one output folder; what came back stands in for the table that a run makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.came_back = answers.no_answers()

    def run(self, week: int) -> dict:
        file = settings_file(self.folder, self.folder / "extracts", self.out, index_date=WEEKS[week])
        with counted_plainly(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(remembered, "came_back", lambda _: self.came_back)
            done = stratify("run", "--settings", file, STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code == 0, done.output
        return json.loads((self.out / "published/run_manifest.json").read_text(encoding="utf-8"))

    def rows(self, sql: str) -> list[dict]:
        with working_store(self.out, self.folder / "scratch") as store:
            return store.frame(sql).to_dicts()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    """Two weeks have run, and after the first of them one listed person attended."""
    site = Site(tmp_path_factory.mktemp("memory"))
    order = CountyOrder(people=300, seed=3, index_date=WEEKS[0], weeks=1, weekly="bulk")
    write_county(site.folder / "extracts", order)
    site.manifests = [site.run(0)]
    site.first = site.rows(ROWS.format(week=WEEKS[0]))
    site.seen = next(row for row in site.first if row["placement"] == "listed" and row["clinic_date"])
    outcome = {"outcome_id": "1", "patient_key": site.seen["patient_key"], "practice_code": site.seen["practice_code"],
               "source": "LIST_RETURN", "outcome": "attended", "outcome_date": site.seen["clinic_date"],
               "decided_by_role": "practice_nurse", "row_reference": site.seen["row_reference"],
               "source_file_id": "f", "source_row": 2}  # fmt: skip
    site.came_back = pl.DataFrame([outcome], schema=site.came_back.schema, orient="row")
    site.manifests.append(site.run(1))
    return site


def test_each_week_is_kept_in_a_folder_of_its_own_that_later_runs_take_along(site):
    kept = (site.out / "restricted" / kept_weeks.FOLDER).resolve()
    assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*.parquet")) == [
        f"{week}/{name}.parquet"
        for week in WEEKS
        for name in ("action", "answer", "delivery", "feedback", "feedback_words", "list_row", "transition")
    ]
    first = pl.read_parquet(kept / str(WEEKS[0]) / "list_row.parquet")
    assert first.sort("patient_key", "pathway").to_dicts() == site.first


def test_a_wait_keeps_its_day_over_the_weeks(site):
    wanted = {(row["patient_key"], row["pathway"]) for row in site.first if row["placement"] == "listed"}
    now = site.rows("SELECT * FROM derived.placement WHERE state = 'listed'")
    still = [row["waiting_since"] for row in now if (row["patient_key"], row["pathway"]) in wanted]
    assert len(still) >= 10 and set(still) == {WEEKS[0]}


def test_who_attended_is_on_no_list_of_that_need_again_and_it_is_said_why(site):
    found = site.rows(
        f"SELECT * FROM derived.placement WHERE patient_key = '{site.seen['patient_key']}' "
        f"AND pathway = '{site.seen['pathway']}'"
    )
    assert [(row["placement"], row["state"]) for row in found] == [("not_listed", "attended")]
    assert found[0]["placement_reason"].startswith("Attended on ")
    assert found[0]["previous_outcome"] == found[0]["placement_reason"].split(":")[0]


def test_nobody_was_offered_anything_twice(site):
    offered = site.rows("SELECT patient_key, pathway, effective_date FROM audit.transition WHERE cause = 'offer_made'")
    assert len(offered) >= 5
    assert len({(row["patient_key"], row["pathway"]) for row in offered}) == len(offered)


def test_the_list_says_what_changed_since_last_week(site):
    texts = [row["Since last week"] for path in workbooks(site.out / "published") for row in sheet(path, "List")]
    assert "On last week's list: no answer came back" in texts and "" not in texts


def test_a_person_is_explained_with_every_step_and_who_took_it(site):
    on_a_list = (row["Row reference"] for path in workbooks(site.out / "published") for row in sheet(path, "List"))
    done = stratify("explain", "--out", site.out, "--reference", next(on_a_list), STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    assert "  What was done, week by week\n    2 November 2026: New on the pathway: " in done.stdout
    assert "(stratify)" in done.stdout


@pytest.mark.slow
def test_the_same_week_again_gives_the_same_and_an_earlier_one_adds_nothing(site, tmp_path):
    before = tmp_path / "before"
    shutil.copytree((site.out / "published").resolve(), before)
    assert site.run(1)["run_id"] == site.manifests[1]["run_id"]
    same_files(before, (site.out / "published").resolve())
    assert site.run(0)["run_id"] == site.manifests[0]["run_id"]
    assert kept_weeks.weeks(site.out / "restricted") == list(WEEKS)


def test_a_week_of_lists_tells_no_effect_yet(site):
    done = stratify("impact", site.out)
    assert done.exit_code == 0, done.output
    assert "copd_clinic_matched, emergency_admission, design matched" in done.stdout
    assert done.stdout.count("It cannot be told yet: ") == 4
    found = pl.read_parquet(site.out / "published" / "secondary_use" / "impact.parquet")
    assert found.select("evaluation", "outcome", "status").rows() == [
        (name, outcome, "cannot be told yet")
        for name in ("copd_clinic_at_the_cut", "copd_clinic_matched")
        for outcome in ("death", "emergency_admission")
    ]
    assert all(words in done.stdout for words in found["in_words"])
