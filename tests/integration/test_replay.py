"""Past weeks made again from their records alone: to the byte, with what is known by now, and without one person."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from test_held_lists import small_clinical

from stratify import audit_trail, kept_records
from stratify.publish import fill_in, read_filled
from whole_runs import KEY, counted_plainly, extract_set, refusal, same_files, settings_file, stratify

pytestmark = pytest.mark.slow  # whole runs, made again

WEEKS = ("2026-01-05", "2026-01-07")
HOMES = ("A10001", "A10002")
PEOPLE = 9
"""Of each practice; all with COPD and a place at the clinic, but for the last one, who has no records of it."""


def number_of(home: str, place: int) -> str:
    return extract_set.nhs(100 * HOMES.index(home) + place + 1)


def tables() -> dict[str, list[dict[str, str]]]:
    rows = defaultdict(list)
    for home in HOMES:
        rows["practice"].append(extract_set.practice(practice_code=home, practice_name=f"Surgery {home}"))
        session = {"practice_code": home, "clinic_date": "2026-01-08", "slots": str(PEOPLE + 2)}
        rows["clinic_capacity"].append(extract_set.capacity(**session))
        for place in range(PEOPLE):
            mine, number = {"org_code": home, "source_patient_id": f"p{place}"}, number_of(home, place)
            rows["patient"].append(extract_set.patient(f"p{place}", org_code=home, nhs_number=number))
            rows["registration"].append(extract_set.registration(f"p{place}", org_code=home, practice_code=home))
            rows["opt_out"].append(extract_set.opt_out("NDO", "false", nhs_number=number))
            code = {"snomed_code": "38341003"} if place == PEOPLE - 1 else {}
            rows["gp_event"].append(extract_set.event(f"e{place}", **mine | code))
            rows["gp_observation"].append(extract_set.observation(f"o{place}", **mine | {"value_num": "25"}))
            rows["gp_medication"].append(extract_set.medication(f"m{place}", **mine))
    return dict(rows)


class Site:
    """A site that keeps records; a run of it, or a replay elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.records = folder, folder / "out", folder / "records"
        extract_set.write_set(folder / "extracts" / "2026-01-04", **tables())
        (folder / "returned").mkdir()
        self.clinical = small_clinical(folder)
        self.settings = self.write()

    def write(self, **changes: object) -> Path:
        own = {"clinical": str(self.clinical), "returned": str(self.folder / "returned")}
        return settings_file(
            self.folder, self.folder / "extracts", self.out, records=str(self.records), **own | changes
        )

    def run(self, week: str) -> None:
        with counted_plainly():
            done = stratify("run", "--settings", self.settings, "--index-date", week, STRATIFY_IDENTITY_KEY=KEY)
        assert done.exit_code == 0, done.output
        shutil.copytree((self.out / "published").resolve(), self.folder / "put out" / week)

    def answer(self) -> None:
        """Have practice A10001 answer the first row of its list."""
        [sent] = (self.out / "published" / "direct_care" / HOMES[0] / "copd_clinic").glob("*.xlsx")
        row = read_filled(sent, file_id="", sent_by=HOMES[0]).rows[0]
        said = {"outcome": "invited", "outcome_date": "6/1/26"}
        home = self.folder / "returned" / HOMES[0]
        fill_in(sent, home / sent.name, {row.cells[name].at: value for name, value in said.items()})


def replay(records: Path, week: str, out: Path, *more: object):
    with counted_plainly():
        return stratify("replay", week, "--from", records, "--out", out, *more, STRATIFY_IDENTITY_KEY=KEY)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    """Two weeks have run; an answer to the first list came back before the second."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.run(WEEKS[0])
    site.answer()
    site.run(WEEKS[1])
    return site


@pytest.fixture(scope="module")
def elsewhere(site, tmp_path_factory) -> Path:
    """Nothing but a copy of the records, on another machine: the site's own folders have other names meanwhile."""
    return Path(shutil.copytree(site.records, tmp_path_factory.mktemp("elsewhere") / "records"))


def made_again(site: Site, elsewhere: Path, week: str, out: Path):
    away = site.folder.rename(site.folder.with_name("away"))
    try:
        return replay(elsewhere, week, out)
    finally:
        away.rename(site.folder)


def test_a_week_is_made_again_on_another_machine_to_the_byte(site, elsewhere, tmp_path):
    done = made_again(site, elsewhere, WEEKS[1], tmp_path / "again")
    assert done.exit_code == 0, done.output
    record = kept_records.read(elsewhere, date.fromisoformat(WEEKS[1]))
    count = len(record.outputs)
    assert f"{count} of {count} published files are the same" in done.stdout
    same_files(site.folder / "put out" / WEEKS[1], tmp_path / "again" / "out" / "published")
    assert json.loads((tmp_path / "again" / "out" / "published" / "run_manifest.json").read_text())["answers"]


def test_the_week_before_it_is_made_again_from_what_was_known_before_the_answer(site, elsewhere, tmp_path):
    done = made_again(site, elsewhere, WEEKS[0], tmp_path / "again")
    assert done.exit_code == 0, done.output
    same_files(site.folder / "put out" / WEEKS[0], tmp_path / "again" / "out" / "published")


def test_a_run_in_the_trail_names_the_seal_of_its_record_and_nobody(site):
    ends = [each.entry["details"] for each in audit_trail.read(site.out) if each.entry["details"]["state"] == "done"]
    seals = [each.entry["details"]["seal"] for each in audit_trail.read(site.records)]
    assert [each["record"] for each in ends] == seals
    text = (site.records / "audit" / "trail.jsonl").read_text(encoding="utf-8")
    assert not any(number_of(home, place) in text for home in HOMES for place in range(PEOPLE))


def test_what_is_the_same_in_two_weeks_is_kept_once_and_for_the_account_alone(site):
    first, second = (kept_records.read(site.records, date.fromisoformat(week)) for week in WEEKS)
    extracts = {name: digest for name, digest in first.inputs.items() if name.startswith("extracts/")}
    assert len(extracts) > 10 and extracts.items() <= second.inputs.items()
    objects = [path for path in (site.records / "objects").rglob("*") if path.is_file()]
    assert {path.name for path in objects} == first.contents | second.contents
    assert {path.stat().st_mode & 0o777 for path in objects} == {0o400}
    assert site.records.stat().st_mode & 0o777 == 0o700


def test_a_changed_byte_in_a_kept_input_is_found_before_anything_is_run(elsewhere, tmp_path):
    copy = Path(shutil.copytree(elsewhere, tmp_path / "records"))
    record = kept_records.read(copy, date.fromisoformat(WEEKS[0]))
    name = "extracts/2026-01-04/gp_event.csv"
    path = kept_records.object_path(copy, record.inputs[name])
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said = refusal(replay(copy, WEEKS[0], tmp_path / "again"), 8)
    assert f"1 of {len(record.inputs)} that are not, first {name}" in said
    assert not (tmp_path / "again").exists()


def test_a_changed_record_is_found_by_its_seal_and_a_changed_seal_by_the_trail(elsewhere, tmp_path):
    copy = Path(shutil.copytree(elsewhere, tmp_path / "records"))
    [path] = (copy / "weeks" / WEEKS[0]).glob("*.json")
    path.write_text(path.read_text().replace('"case_finding"', '"direct_care"'), encoding="utf-8")
    assert "expected the one that was sealed; found another" in refusal(replay(copy, WEEKS[0], tmp_path / "a"), 8)
    trail = copy / "audit" / "trail.jsonl"
    trail.write_text(trail.read_text().replace('"seal":"', '"seal":"0', 1), encoding="utf-8")
    assert "line 1: changed since it was written" in refusal(replay(copy, WEEKS[0], tmp_path / "a"), 8)


def test_another_key_than_that_of_then_is_refused(elsewhere, tmp_path):
    done = stratify("replay", WEEKS[0], "--from", elsewhere, "--out", tmp_path / "a", STRATIFY_IDENTITY_KEY=KEY[::-1])
    assert "which made the run; found another, or none" in refusal(done, 7)


# What is known by now


@pytest.fixture(scope="module")
def known_now(site, elsewhere, tmp_path_factory):
    """The first week with files of today, which differ from those of then in one way for each person."""
    folder = tmp_path_factory.mktemp("now")
    shutil.copytree(site.folder / "extracts", folder / "extracts")
    shutil.copytree(site.clinical, folder / "clinical")
    now = tables()
    one, other = HOMES

    def mine(table: str, place: int, home: str = one) -> list[dict[str, str]]:
        return [row for row in now[table] if (row["org_code"], row["source_patient_id"]) == (home, f"p{place}")]

    now["gp_event"].append(
        extract_set.event("late", org_code=one, source_patient_id=f"p{PEOPLE - 1}", effective_date="2021-01-01")
    )
    now["gp_event"] = [row for row in now["gp_event"] if row not in mine("gp_event", 0)]  # withdrawn
    mine("gp_event", 1)[0]["snomed_code"] = "38341003"  # changed
    mine("registration", 2)[0]["end_date"] = "2025-12-20"  # moved to the other practice
    there = {"org_code": other, "nhs_number": number_of(one, 2)}
    now["patient"].append(extract_set.patient("moved", **there))
    now["registration"].append(
        extract_set.registration("moved", org_code=other, practice_code=other, start_date="2025-12-20")
    )
    now["opt_out"].append(extract_set.opt_out("TYPE1", nhs_number=number_of(one, 3)))
    for row in now["clinic_capacity"]:
        if row["practice_code"] == other:
            row["slots"] = "1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extract_set, "PERIOD_TO", "2026-01-08")
        extract_set.write_set(folder / "extracts" / "2026-01-08", **now)
    settings = settings_file(
        folder, folder / "extracts", folder / "out", clinical=str(folder / "clinical"), index_date="2026-01-09",
        returned=str(site.folder / "returned"),
    )  # fmt: skip
    out = folder / "replay"
    done = replay(elsewhere, WEEKS[0], out, "--as-known-now", "--settings", settings, "--known-on", "2026-01-09")
    with (out / "restricted" / "differences.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    files = {path.parent.name: path.read_text(encoding="utf-8") for path in (out / "direct_care").rglob("*.csv")}
    return SimpleNamespace(done=done, rows=rows, files=files, folder=folder)


CAUSES = {
    PEOPLE - 1: "late data",
    0: "withdrawn data",
    1: "changed data",
    2: "moved patient",
}


@pytest.mark.parametrize(("place", "cause"), CAUSES.items(), ids=CAUSES.values())
def test_what_became_of_a_persons_own_rows_is_the_cause_of_their_difference(known_now, place, cause):
    assert known_now.done.exit_code == 0, known_now.done.output
    home = HOMES[1] if cause == "moved patient" else HOMES[0]
    lines = list(csv.DictReader(known_now.files[home].splitlines()))
    mine = [row for row in lines if row["nhs_number"] == number_of(HOMES[0], place) and row["pathway"] == "copd"]
    assert [cause in row["causes"].split("; ") for row in mine] == [True], known_now.rows
    assert known_now.done.stdout.count(f"  {cause}: ") == 1


def test_an_objection_is_counted_and_named_to_no_practice(known_now):
    assert "  objection: 1\n" in known_now.done.stdout
    assert not any(number_of(HOMES[0], 3) in text for text in known_now.files.values())


def test_who_lost_a_place_to_fewer_slots_is_put_down_to_capacity(known_now):
    mine = [row for row in known_now.rows if row["practice_code"] == HOMES[1] and row["causes"] == "changed capacity"]
    assert len(mine) >= PEOPLE - 3 and all(row["now"].startswith("waiting ") for row in mine)


def test_every_difference_is_explained_and_nothing_said_outside_names_anybody(known_now):
    assert "not explained" not in known_now.done.stdout
    outside = known_now.done.output + (known_now.folder / "replay/restricted/differences.csv").read_text()
    assert not any(number_of(home, place) in outside for home in HOMES for place in range(PEOPLE))
    assert "CANARYNAME" not in outside


def test_changed_definitions_and_settings_are_told_from_changed_files(site, elsewhere, tmp_path):
    clinical = Path(shutil.copytree(site.clinical, tmp_path / "clinical"))
    pathway = clinical / "pathways" / "copd.yaml"
    text = pathway.read_text(encoding="utf-8")
    version = yaml.safe_load(text)["version"]
    pathway.write_text(text.replace("status: published", "status: draft").replace(version, "99.0.0"), encoding="utf-8")
    settings = settings_file(
        tmp_path, site.folder / "extracts", tmp_path / "out", clinical=str(clinical), index_date="2026-01-09",
        returned=str(site.folder / "returned"), contact="Another desk", most_minutes_a_week={"respiratory_nurse": 0},
    )  # fmt: skip
    more = ("--as-known-now", "--settings", settings, "--known-on", "2026-01-09")
    done = replay(elsewhere, WEEKS[0], tmp_path / "again", *more)
    assert done.exit_code == 0, done.output
    assert f"Changed definitions: pathway copd {version} → 99.0.0" in done.stdout
    assert "Changed settings: contact, most_minutes_a_week" in done.stdout
    assert f"  changed definitions: {2 * (PEOPLE - 1)}\n" in done.stdout


# One person taken out


@pytest.fixture(scope="module")
def erased(site, tmp_path_factory):
    """The first person of the first practice is taken out of records and memory, at their request."""
    folder = tmp_path_factory.mktemp("erased")
    records = Path(shutil.copytree(site.records, folder / "records"))
    out = Path(shutil.copytree(site.out, folder / "out", symlinks=True))
    settings = settings_file(folder, site.folder / "extracts", out, records=str(records))
    number = number_of(HOMES[0], 0)
    done = stratify(
        "retention", "erase", "--settings", settings, "--because", "asked_by_patient", "--nhs-number", number,
        STRATIFY_IDENTITY_KEY=KEY,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return SimpleNamespace(records=records, out=out, number=number, said=done.output)


def test_nothing_kept_holds_the_person_that_was_taken_out(erased, site):
    [sent] = (site.folder / "returned").rglob("*.xlsx")
    assert sent.name in str(kept_records.read(site.records, date.fromisoformat(WEEKS[1])).inputs)
    from zipfile import ZipFile, is_zipfile

    for path in (each for each in erased.records.rglob("*") if each.is_file()):
        content = path.read_bytes()
        if is_zipfile(path):
            with ZipFile(path) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
        assert erased.number.encode() not in content
    assert erased.number not in erased.said


def test_the_trails_hold_and_say_that_somebody_was_taken_out_and_why(erased):
    lines = audit_trail.read(erased.records)
    assert audit_trail.faults(lines) == []
    details = lines[-1].entry["details"]
    assert (lines[-1].entry["act"], details["state"], details["weeks"]) == ("erasure", "done", list(WEEKS))


@pytest.mark.parametrize("week", WEEKS)
def test_after_an_erasure_only_what_came_of_the_person_cannot_be_made_again(erased, tmp_path, week):
    done = replay(erased.records, week, tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert "Rows of one person were taken out on " in done.stdout
    assert "Not as it was then" not in done.stdout
    differs = [line.removeprefix("  differs: ") for line in done.stdout.splitlines() if line.startswith("  differs")]
    assert any(name.startswith(f"direct_care/{HOMES[0]}/copd_clinic/") for name in differs)
    assert not any(name.startswith(f"direct_care/{HOMES[1]}/") for name in differs), differs
