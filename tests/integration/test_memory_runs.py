"""Weekly runs one after another: waits keep their day, an answer is obeyed, and each week says what changed."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from stratify import answers, kept_weeks, remembered
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.operations.backup import back_up, restore
from stratify.overlooked_run import last_whole_month, write_admitted, write_last_month
from stratify.release_history import released_cells
from stratify.store import open_store
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
            done = stratify(
                "run", "--settings", file, "--afresh", STRATIFY_IDENTITY_KEY=KEY
            )  # the digests know no patch
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
    site.backup = back_up(site.out, site.folder / "backups")
    site.first = site.rows(ROWS.format(week=WEEKS[0]))
    site.seen = next(row for row in site.first if row["placement"] == "listed" and row["clinic_date"])
    outcome = {"outcome_id": "1", "patient_key": site.seen["patient_key"], "practice_code": site.seen["practice_code"],
               "source": "LIST_RETURN", "outcome": "attended", "outcome_date": site.seen["clinic_date"],
               "decided_by_role": "practice_nurse", "row_reference": site.seen["row_reference"],
               "source_file_id": "f", "source_row": 2}  # fmt: skip
    site.came_back = pl.DataFrame([outcome], schema=site.came_back.schema, orient="row")
    site.manifests.append(site.run(1))
    site.second = shutil.copytree((site.out / "published").resolve(), site.folder / "second week")
    return site


def test_each_week_is_kept_in_a_folder_of_its_own_that_later_runs_take_along(site):
    kept = (site.out / "restricted" / kept_weeks.FOLDER).resolve()
    assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*.parquet")) == [
        f"{week}/{name}.parquet"
        for week in WEEKS
        for name in (
            "action",
            "answer",
            "delivery",
            "feedback",
            "feedback_words",
            "list_row",
            "metric_week",
            "release_week",
            "transition",
        )
    ]
    first = pl.read_parquet(kept / str(WEEKS[0]) / "list_row.parquet")
    assert first.sort("patient_key", "pathway").to_dicts() == site.first


def test_the_file_for_commissioners_tells_the_week_before_as_that_week_told_it(site):
    kept = (site.out / "restricted" / kept_weeks.FOLDER).resolve()
    first, second = (pl.read_parquet(kept / str(week) / "metric_week.parquet") for week in WEEKS)
    told = pl.read_parquet(site.second / "secondary_use" / "metric_week.parquet")
    assert first.height > 0 and set(told["week"]) == set(WEEKS)
    assert told.sort(told.columns).equals(pl.concat([first, second]).select(told.columns).sort(told.columns))


def test_whatever_a_week_released_is_kept_number_by_number_and_asked_on_the_command_line(site):
    cells = released_cells(site.out).filter(pl.col("subject") == "population", pl.col("breakdown") == "all")
    for week, published in zip(WEEKS, (site.backup / "run" / "published", site.second), strict=True):
        told = pl.read_parquet(published / "secondary_use" / "population.parquet").filter(pl.col("breakdown") == "all")
        mine = cells.filter(pl.col("index_date") == week)
        columns = ["geography_type", "geography_code"]
        assert told.height > 2 and sorted(mine.select(*columns, "told_count").rows()) == sorted(
            told.select(*columns, "people_count").rows()
        )
    weeks = pl.read_parquet(site.second / "secondary_use" / "release_week.parquet")
    assert set(weeks["week"]) == set(WEEKS)
    said = stratify("released", site.out)
    assert said.exit_code == 0 and said.output.count("numbers shown") == len(WEEKS)


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


@pytest.mark.slow
def test_the_week_after_a_restored_backup_is_the_week_that_would_have_been(site):
    """The restore drill: another folder, nothing but the backup, the next week's run, the same files to the byte."""
    other = Site(site.folder / "other machine")
    shutil.copytree(site.folder / "extracts", other.folder / "extracts")
    other.came_back = site.came_back
    restore(site.backup, other.out, replace=False)
    again = other.run(1)
    assert again["run_id"] == site.manifests[1]["run_id"]
    same_files(site.second, other.out / "published")


REGISTERED = """
SELECT patient_key, practice_code FROM core.person JOIN core.registration AS r USING (patient_key, practice_code)
WHERE person_status = 'registered' AND registration_type = 'REGULAR' AND r.start_date < DATE '2025-01-01'
    AND r.end_date IS NULL AND may_be_counted AND practice_code = (
        SELECT practice_code FROM core.person WHERE practice_code IS NOT NULL
        GROUP BY ALL ORDER BY count(*) DESC, practice_code LIMIT 1)
QUALIFY count(*) OVER (PARTITION BY patient_key) = 1
ORDER BY patient_key
"""


@pytest.fixture(scope="module")
def december(site, tmp_path_factory) -> tuple[Path, str, list[str]]:
    """A copy of the run, to which hospital data of December were added: 30 people of a practice were admitted then.

    None of them was in the weeks kept but for a third one, in which the first had a place and the second waited.
    """
    out = tmp_path_factory.mktemp("december") / "out"
    shutil.copytree((site.out / "restricted").resolve(), out / "restricted")
    restricted = out / "restricted"
    before = set(
        kept_weeks.scan(restricted, "audit.list_row", before=date.max, same_person={}).collect()["patient_key"]
    )
    people = [row for row in site.rows(REGISTERED) if row["patient_key"] not in before][:30]
    keys = [row["patient_key"] for row in people]
    with open_store(restricted / "run.duckdb", temp_directory=out / "scratch") as store:
        for number, key in enumerate(keys):
            store.execute(
                "INSERT INTO core.apc_spell BY NAME SELECT ? AS patient_key, 'RZZ' AS provider_code, ? AS spell_id, "
                "DATE '2026-12-20' AS admission_date, '21' AS admission_method, true AS is_emergency, "
                "1 AS episode_count, 'f' AS source_file_id, 2 AS source_row",
                [key, str(number)],
            )
    plan = json.loads((restricted / "plan.json").read_text(encoding="utf-8"))
    for each in plan["files"]:
        if each["table"] == "apc_episode":
            each["period_to"] = "2026-12-31"
    (restricted / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    week = date(2026, 11, 23)
    rows = [
        {"week": week, "patient_key": key, "pathway": "copd", "placement": placement, "placement_reason": "said so"}
        for key, placement in zip(keys, ("listed", "waiting"), strict=False)
    ]
    kept_weeks.write(restricted, "audit.list_row", pl.DataFrame(rows, schema=schema_of("audit.list_row")), week)
    return out, people[0]["practice_code"], keys


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_practice_gets_its_own_people_who_had_been_on_no_list(december, tmp_path):
    out, practice, keys = december
    write_admitted(out, date(2026, 12, 5), tmp_path)
    file = tmp_path / "direct_care" / practice / "admitted_never_listed_2026-12.csv"
    rows = read(file)
    assert len(rows) == len(keys) - 1  # the first had a place
    assert {row["status"] for row in rows} == {"Registered"}
    assert [row["why"] for row in rows].count("Waited for a place") == 1
    assert all(row["nhs_number"].startswith("999 ") and row["admission_date"] == "2026-12-20" for row in rows)
    assert file.stat().st_mode & 0o077 == 0
    assert [each.name for each in (tmp_path / "direct_care").iterdir()] == [practice]


def test_what_others_may_count_has_nobody_in_it_and_hides_the_few(december, tmp_path):
    out, _, keys = december
    said = write_admitted(out, date(2026, 12, 5), tmp_path)
    counts = {
        (row["practice_code"], row["reason"]): row for row in read(tmp_path / "secondary_use/admitted_2026-12.csv")
    }
    assert counts["all", "all"]["people_count"] == str(len(keys) // 5 * 5)
    assert counts["all", "was_listed"]["people_count"] == ""
    assert counts["all", "waited"]["people_count"] == ""
    assert {int(row["people_count"]) % 5 for row in counts.values() if row["people_count"]} <= {0}
    text = (tmp_path / "secondary_use/admitted_2026-12.csv").read_text(encoding="utf-8") + said
    assert not [key for key in keys if key in text]
    assert "999 " not in text
    assert "hidden  Waited for a place" in said


def test_the_last_month_is_the_last_that_the_hospital_data_cover_whole(december, tmp_path):
    assert last_whole_month(date(2026, 12, 31)) == date(2026, 12, 1)
    assert last_whole_month(date(2026, 12, 30)) == date(2026, 11, 1)
    assert last_whole_month(date(2027, 1, 30)) == date(2026, 12, 1)
    out, practice, _ = december
    (tmp_path / "2026-11/direct_care").mkdir(parents=True)
    assert "in 2026-12, all practices" in write_last_month(out, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["2026-12"], "names of another month are not kept"
    assert (tmp_path / "2026-12/direct_care" / practice / "admitted_never_listed_2026-12.csv").is_file()


def test_a_month_that_hospital_data_do_not_cover_is_refused(december, tmp_path):
    with pytest.raises(RunError, match="hospital data to 2026-12-31, and a week of before"):
        write_admitted(december[0], date(2027, 1, 1), tmp_path)


def test_a_month_before_the_first_list_is_refused(december, tmp_path):
    with pytest.raises(RunError, match="no week of before"):
        write_admitted(december[0], date(2026, 11, 1), tmp_path)
    assert not list(tmp_path.iterdir())


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
