"""The release gate on a whole run: newer files take rows off, nothing else changes, and old runs are refused."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from whole_runs import (
    KEY,
    all_text,
    counted_plainly,
    extract_set,
    files,
    refusal,
    settings_file,
    sheet,
    stratify,
    workbooks,
)

pytestmark = pytest.mark.slow

HOME, OTHER = "A10001", "A10002"
PEOPLE = range(1, 15)
MADE = datetime(2026, 1, 5, 9, 0)
NOW = "2026-01-05T17:00"
NUMBER = {number: extract_set.nhs(number) for number in PEOPLE}


Rows = dict[str, list[dict[str, str]]]


def people(*, moved: int = 0, objects: int = 0, absent: frozenset[int] = frozenset()) -> Rows:
    """Fourteen people of one practice; all have COPD, the first ten with FEV1 25 %, so that they need the clinic."""
    session = {"clinic_id": "copd_clinic", "practice_code": HOME, "clinic_date": "2026-01-06", "slots": "8"}
    rows: Rows = {
        "practice": [extract_set.practice(practice_code=code, practice_name=f"Home {code}") for code in (HOME, OTHER)],
        "clinic_capacity": [extract_set.capacity(**session)],
        "patient": [], "registration": [], "opt_out": [], "death": [], "patient_flag": [],
    }  # fmt: skip
    for number in PEOPLE:
        if number in absent:
            continue
        home = OTHER if number == moved else HOME
        rows["patient"].append(extract_set.patient(f"p{number}", org_code=home, nhs_number=NUMBER[number]))
        rows["registration"].append(extract_set.registration(f"p{number}", org_code=home, practice_code=home))
        rows["opt_out"].append(
            extract_set.opt_out("NDO", "true" if number == objects else "false", nhs_number=NUMBER[number])
        )
    return rows


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The output folder of a run that finished on Monday at nine."""
    folder = tmp_path_factory.mktemp("released")
    rows = people()
    journal = [(f"p{number}", {"org_code": HOME, "source_patient_id": f"p{number}"}) for number in PEOPLE]
    rows["gp_event"] = [extract_set.event(f"c{name}", **mine) for name, mine in journal]
    rows["gp_observation"] = [
        extract_set.observation(f"o{name}", **mine | {"value_num": "25" if number < 10 else "70"})
        for number, (name, mine) in enumerate(journal)
    ]
    extracts = extract_set.write_set(folder / "extracts", **rows)
    file = settings_file(folder, extracts, folder / "out", index_date="2026-01-05", clinical=None)
    with counted_plainly():
        done = stratify("run", "--settings", file, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code in (0, 10), done.output
    made = folder / "out" / "published" / "run_manifest.json"
    os.utime(made, (MADE.timestamp(), MADE.timestamp()))
    return folder / "out"


def release(out: Path, *more: object, now: str = NOW):
    return stratify("release", "--out", out, "--by", "Invented Officer", "--now", now, *more, STRATIFY_IDENTITY_KEY=KEY)


def record(out: Path) -> dict:
    return json.loads((out / "released" / "release.json").read_text(encoding="utf-8"))


def numbers(path: Path, name: str) -> set[str]:
    return {str(row["NHS number"]).replace(" ", "") for row in sheet(path, name)}


def clinic_list(folder: Path) -> Path:
    (path,) = [each for each in folder.rglob("*.xlsx") if each.parent.name == "copd_clinic" and HOME in each.parts]
    return path


def test_without_newer_files_every_row_goes_out_and_the_record_names_each_file_with_its_hash(out):
    done = release(out)
    assert done.exit_code == 0, done.output
    found = record(out)
    assert (found["rows_moved"], found["released_by"], found["released_at"]) == ([], "Invented Officer", NOW)
    assert [each["file"] for each in found["files"]] == sorted(files(out / "released" / "direct_care") and
        [f"direct_care/{name}" for name in files(out / "released" / "direct_care")])  # fmt: skip
    for name in ("List", "Waiting", "Not listed and why"):
        assert sheet(clinic_list(out / "published"), name) == sheet(clinic_list(out / "released"), name)


def test_whoever_died_moved_objected_or_is_dying_since_is_no_longer_on_the_list(out, tmp_path):
    before = clinic_list(out / "published")
    died, moved, dying, objects = sorted(n for n, number in NUMBER.items() if number in numbers(before, "List"))[:4]
    rows = people(moved=moved, objects=objects)
    rows["death"] = [{"nhs_number": NUMBER[died], "source": "GP", "date_of_death": "2026-01-04"}]
    rows["patient_flag"] = [
        {"nhs_number": NUMBER[dying], "flag": "PALLIATIVE", "start_date": "2026-01-03", "source": "CODED"}
    ]
    published = files(out / "published")
    done = release(out, "--latest", extract_set.write_set(tmp_path / "latest", **rows))
    assert done.exit_code == 0, done.output
    after = clinic_list(out / "released")
    gone = {NUMBER[number] for number in (died, moved, dying, objects)}
    assert numbers(after, "List") == numbers(before, "List") - gone
    told = {str(row["NHS number"]).replace(" ", ""): str(row) for row in sheet(after, "Not listed and why")}
    assert "having died" in told[NUMBER[died]] or "Recorded as having died" in told[NUMBER[died]]
    assert "another practice" in told[NUMBER[moved]]
    assert "palliative care" in told[NUMBER[dying]]
    assert NUMBER[objects] not in all_text(after).replace(" ", "")
    (page,) = (out / "released" / "direct_care" / HOME).glob("team_page_*.html")
    shown = json.loads(all_text(page).rpartition("</html>")[2])["clinics"]
    listed = {row["nhs_number"].replace(" ", "") for each in shown for row in each.get("listed", [])}
    assert listed >= numbers(after, "List") and not listed & gone
    assert NUMBER[objects] not in all_text(page).replace(" ", "")
    assert {each["check"]: each["rows"] for each in record(out)["rows_moved"]} == {
        "died": 1, "practice": 1, "route": 1, "objected": 1,
    }  # fmt: skip
    assert files(out / "published") == published  # the run itself stays as it was


def test_nothing_about_a_person_is_in_the_record(out):
    release(out)
    text = json.dumps(record(out))
    assert not any(number in text for number in NUMBER.values())


@pytest.mark.parametrize(
    ("now", "message"),
    [
        pytest.param("2026-01-06T09:01", "one made 24 hours before", id="a_minute_past_a_day"),
        pytest.param("2026-01-12T09:00", "hours before", id="a_week_later"),
    ],
)
def test_a_run_that_is_too_old_is_not_released_and_the_last_release_stays(out, now, message):
    assert release(out).exit_code == 0
    before = (out / "released").readlink()
    assert message in refusal(release(out, now=now), release(out, now=now).exit_code)
    assert (out / "released").readlink() == before


def test_exactly_a_day_after_the_run_lists_may_still_go_out(out):
    assert release(out, now="2026-01-06T09:00").exit_code == 0


def test_newer_files_that_lack_most_people_release_nothing(out, tmp_path):
    latest = extract_set.write_set(tmp_path / "latest", **people(absent=frozenset(range(3, 15))))
    done = release(out, "--latest", latest)
    assert "people who are not in them" in refusal(done, done.exit_code)
    assert workbooks(out / "published")
