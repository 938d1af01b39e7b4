"""A feed that is refused or missing: what came of it before is used and dated, or what reads it is held and the rest
is published; a run in which nothing would be left stops, and says what the supplier has to mend.
"""

import json
import re
import shutil
from datetime import date

import duckdb
import pytest
from test_held_lists import PEOPLE, WITH_COPD, _placed, _published, _tables, clinical  # noqa: F401  a fixture

from stratify import contracts
from stratify.errors import ExtractError
from stratify.ingest import SOURCES, gather_files
from whole_runs import (
    KEY,
    all_text,
    counted_plainly,
    extract_set,
    refusal,
    settings_file,
    stratify,
    workbooks,
    working_store,
)

PERIOD_TO = extract_set.PERIOD_TO


@pytest.fixture
def extracts(tmp_path):
    return extract_set.write_set(tmp_path / "extracts", **_tables())


def run(folder, extracts, **settings):
    file = settings_file(folder, extracts, folder / "out", index_date="2026-01-05", **settings)
    with counted_plainly():
        return stratify("run", "--settings", file, STRATIFY_IDENTITY_KEY=KEY)


def manifest(folder):
    return json.loads((folder / "out" / "published" / "run_manifest.json").read_text(encoding="utf-8"))


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-3])


def about(folder):
    file = folder / "out" / "published" / "secondary_use" / "commissioner.duckdb"
    with duckdb.connect(str(file), read_only=True) as opened:
        return dict(opened.execute("SELECT substr(topic, 4), detail FROM about").fetchall())


def supplier_report(folder):
    [page] = (folder / "out" / "published" / "data_quality").glob("supplier_report_*.html")
    return page.read_text(encoding="utf-8")


def test_a_refused_hospital_file_holds_what_reads_hospital_data_and_publishes_the_rest(extracts, tmp_path, clinical):  # noqa: F811
    cut_off(extracts / "apc_episode.csv")
    done = run(tmp_path, extracts, clinical=str(clinical))

    assert done.exit_code == 10, done.output + done.stderr
    found = manifest(tmp_path)
    [held] = found["held"]
    assert (held["pathway"], held["practice_code"], held["people"]) == ("copd", "all", 2 * WITH_COPD)
    assert (held["table_name"], held["rule_id"]) == ("landing.apc_episode", "FIT-04-feed")
    [lost] = found["lost_feeds"]
    assert (lost["table_name"], lost["used_to"]) == ("apc_episode", None)
    assert "apc_episode.csv: expected" in lost["why"]
    assert found["not_supplied"] == []
    assert "apc_episode" not in {each["table_name"] for each in found["inputs"]}
    placed = _placed(tmp_path)
    for home in ("A10001", "A10002"):
        assert placed["copd", home, "list_held"] == WITH_COPD and placed["frailty", home, "listed"] == 3
    # Nobody is taken for somebody who was not in hospital.
    with working_store(tmp_path / "out", tmp_path / "scratch") as store:
        assert store.rows("SELECT is_hospital_linked, count(*) FROM core.person GROUP BY ALL") == [(False, 2 * PEOPLE)]
    notice = tmp_path / "out/published/direct_care/A10001/copd_clinic/held_TEST_2026-01-05.txt"
    assert "Hospital admissions: Not received" in notice.read_text(encoding="utf-8")
    [shared, _] = workbooks(tmp_path / "out" / "published")
    assert "Hospital admissions: Not received: the newest file was refused or is missing" in all_text(shared)
    assert "Hospital admissions: Not received" in about(tmp_path)["Not received this week"]
    assert "is held everywhere: Hospital admissions: Not received" in about(tmp_path)["Held this week: copd"]
    report = supplier_report(tmp_path)
    assert "apc_episode.csv" in report and "the file is cut off" in report
    assert "NOT READ: Hospital admissions: Not received" in done.stdout


def test_a_missing_medication_file_stops_a_run_in_which_every_list_reads_medicines(extracts, tmp_path, clinical):  # noqa: F811
    (extracts / "gp_medication.csv").unlink()
    message = refusal(run(tmp_path, extracts, clinical=str(clinical)), 3)  # both pathways of that folder read them
    assert "gp_medication.csv: expected the file, since manifest.csv names it; found no such file" in message
    assert not (tmp_path / "out" / "published").exists()
    assert list((tmp_path / "out" / "refused" / "2026-01-05").glob("supplier_report_*.xlsx"))


@pytest.mark.parametrize("table", ["patient", "registration", "practice", "opt_out"])
def test_a_set_without_a_feed_that_says_who_people_are_is_refused_whole(extracts, tmp_path, table):
    (extracts / f"{table}.csv").unlink()
    assert f"{table}.csv: expected the file" in refusal(run(tmp_path, extracts), 3)


@pytest.mark.slow
def test_of_two_refused_feeds_each_holds_what_reads_it_and_no_more(extracts, tmp_path, clinical):  # noqa: F811
    cut_off(extracts / "apc_episode.csv")
    (extracts / "ed_attendance.csv").unlink()
    done = run(tmp_path, extracts, clinical=str(clinical))
    assert done.exit_code == 10, done.output + done.stderr
    found = manifest(tmp_path)
    assert {each["table_name"] for each in found["lost_feeds"]} == {"apc_episode", "ed_attendance"}
    assert {(each["pathway"], each["table_name"]) for each in found["held"]} == {("copd", "landing.apc_episode")}
    assert found["verdicts"]["landing.ed_attendance"] == "warn"  # no list reads it
    report = supplier_report(tmp_path)
    assert "apc_episode.csv" in report and "ed_attendance.csv" in report


def two_sets(folder):
    """Two whole sets two weeks apart, the newer one without its medicines."""
    older = extract_set.write_set(folder / "sets" / "2025-12-21", **_tables())
    text = (older / "manifest.csv").read_text(encoding="utf-8").replace(PERIOD_TO, "2025-12-21")
    (older / "manifest.csv").write_text(text, encoding="utf-8")
    newest = extract_set.write_set(folder / "sets" / PERIOD_TO, **_tables())
    (newest / "gp_medication.csv").unlink()
    return folder / "sets"


def test_the_check_of_files_that_wait_fails_on_a_feed_that_a_run_could_do_without(tmp_path):
    file = settings_file(tmp_path, two_sets(tmp_path), tmp_path / "out", index_date="2026-01-05")
    message = refusal(stratify("check", "--settings", file, STRATIFY_IDENTITY_KEY=KEY), 3)
    assert "gp_medication.csv: expected the file, since manifest.csv names it; found no such file" in message


@pytest.mark.slow
def test_the_last_good_file_of_a_feed_is_used_and_its_own_day_is_shown(tmp_path, clinical):  # noqa: F811
    two_sets(tmp_path)
    done = run(tmp_path, tmp_path / "sets", clinical=str(clinical))

    assert done.exit_code == 0, done.output + done.stderr
    found = manifest(tmp_path)
    assert found["held"] == [] and found["verdicts"]["landing.gp_medication"] == "warn"
    assert [(each["table_name"], each["used_to"]) for each in found["lost_feeds"]] == [("gp_medication", "2025-12-21")]
    used = {each["table_name"]: (each["file_name"], each["period_to"]) for each in found["inputs"]}
    assert used["gp_medication"] == ("2025-12-21/gp_medication.csv", "2025-12-21")
    assert used["gp_event"] == (f"{PERIOD_TO}/gp_event.csv", PERIOD_TO)
    cover = all_text(workbooks(tmp_path / "out" / "published")[0])
    assert "what came before is used, up to 2025-12-21" in cover
    assert "medicines: 21 December 2025" in about(tmp_path)["Data up to"]
    assert "NOT READ: GP record: medicines" in done.stdout

    # The ages that the settings allow hold for it as for any feed; both pathways read medicines.
    stopped = run(tmp_path / "strict", tmp_path / "sets", clinical=str(clinical), most_days_old={"gp_medication": 10})
    assert "FIT-01-age" in refusal(stopped, 4)
    assert "gp_medication.csv" in next((tmp_path / "strict/out/refused/2026-01-05").glob("*.html")).read_text()


@pytest.mark.slow
def test_a_feed_that_nothing_reads_may_be_refused_without_a_word_to_practices(extracts, tmp_path):
    name = "gp_appointment.csv"
    (extracts / name).write_text(",".join(contracts.load("landing.gp_appointment").column_names), encoding="utf-8")
    tables = {path.name: path.stem for path in extracts.glob("*.csv") if path.name != "manifest.csv"}
    extract_set.write_manifest(extracts, tables)
    done = run(tmp_path, extracts)
    assert done.exit_code == 0, done.output + done.stderr
    assert [each["table_name"] for each in manifest(tmp_path)["lost_feeds"]] == ["gp_appointment"]
    assert not [each for each in _published(tmp_path) if "held" in each]
    shutil.rmtree(tmp_path / "out")


def without_dates(path):
    """Write the dates of a file as 31/01/2026: each line is a row, and only the rows show it."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"\b(\d{4})-(\d\d)-(\d\d)\b", r"\3/\2/\1", text), encoding="utf-8")
    tables = {each.name: each.stem for each in path.parent.glob("*.csv") if each.name != "manifest.csv"}
    extract_set.write_manifest(path.parent, tables)


def test_a_file_refused_for_its_rows_takes_out_its_feed_alone(extracts, tmp_path, clinical):  # noqa: F811
    without_dates(extracts / "apc_episode.csv")
    done = run(tmp_path, extracts, clinical=str(clinical))
    assert done.exit_code == 10, done.output + done.stderr
    found = manifest(tmp_path)
    [lost] = found["lost_feeds"]
    assert (lost["table_name"], lost["used_to"]) == ("apc_episode", None)
    assert "expected dates written as 2026-01-31" in lost["why"]
    assert {(each["pathway"], each["rule_id"]) for each in found["held"]} == {("copd", "FIT-04-feed")}
    assert "apc_episode" not in {each["table_name"] for each in found["inputs"]}
    assert "another pattern in" in supplier_report(tmp_path)
    checked = stratify("check", "--settings", tmp_path / "settings.yaml", STRATIFY_IDENTITY_KEY=KEY)
    assert "expected dates written as 2026-01-31" in refusal(checked, 3)


def test_rows_that_say_who_people_are_refuse_the_set(extracts, tmp_path):
    without_dates(extracts / "registration.csv")
    assert "registration.csv: expected dates written as 2026-01-31" in refusal(run(tmp_path, extracts), 3)


def test_of_a_file_refused_for_its_rows_the_last_good_one_is_gathered(tmp_path):
    folder = two_sets(tmp_path)
    fault = ExtractError(f"{PERIOD_TO}/gp_event.csv", expected="dates", found="none", action="Ask again.")
    lost = []
    files = gather_files(
        folder,
        SOURCES["synthetic_county"],
        tmp_path / "scratch",
        known_by=date(2026, 1, 5),
        lost=lost,
        refused={(PERIOD_TO, "gp_event"): [fault]},
    )
    used = {each.table: each.extract for each in files if not each.is_earlier}
    assert used["gp_event"] == used["gp_medication"] == "2025-12-21" and used["gp_observation"] == PERIOD_TO
    assert {each.table: each.used_to for each in lost} == dict.fromkeys(
        ("gp_event", "gp_medication"), date(2025, 12, 21)
    )
    assert lost[0].refusals[0].found == "none"
