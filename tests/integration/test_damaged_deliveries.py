"""A little county whose files and rows are damaged, week by week: what goes back to the supplier, and what is seen of
each practice over time. Whole runs by the command line; nothing planted in a row comes out of either."""

import re
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from stratify import quality
from stratify.publish import source_in_words
from whole_runs import KEY, all_text, counted_plainly, extract_set, files, refusal, settings_file, stratify

pytestmark = pytest.mark.slow  # two weeks of whole runs

PEOPLE = 240
CANARY_NUMBER = extract_set.nhs(7_777)
CANARIES = ("CANARYNAME", "CANARYGIVEN", "CANARYTEXT", CANARY_NUMBER, "07700900000")
PRACTICES = ("A10001", "A10002")


def _tables(checked_on):
    """Two practices of 120 people, each with an event, a measurement and a medicine."""
    rows = {
        "practice": [
            extract_set.practice(practice_code=code, practice_name=f"Surgery {code[-1]}") for code in PRACTICES
        ],
        "opt_out": [],
        **{name: [] for name in ("patient", "registration", "gp_event", "gp_observation", "gp_medication")},
    }
    for number in range(PEOPLE):
        of = {"source_patient_id": f"p{number}", "org_code": PRACTICES[number % 2]}
        nhs = extract_set.nhs(number)
        names = {"family_name": "CANARYNAME", "given_names": "CANARYGIVEN"}
        rows["patient"].append(extract_set.patient(**of, nhs_number=nhs, **names))
        rows["registration"].append(
            extract_set.registration(f"p{number}", practice_code=of["org_code"], org_code=of["org_code"])
        )
        rows["opt_out"].append(extract_set.opt_out("NDO", "false", nhs_number=nhs, checked_at=f"{checked_on} 00:00:00"))
        rows["gp_event"].append(extract_set.event(f"e{number}", **of))
        rows["gp_observation"].append(extract_set.observation(f"o{number}", **of))
        rows["gp_medication"].append(extract_set.medication(f"m{number}", **of))
    return rows


def _run(folder, tables, day, *arguments, damage=None):
    """Write the files of a week, damage them, and run; the output folder is the same every week."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extract_set, "PERIOD_TO", day)
        extracts = extract_set.write_set(folder / f"extracts-{day}", **tables)
    if damage:
        damage(extracts)
    settings = settings_file(folder / day, extracts, folder / "out", index_date=day)
    with counted_plainly():
        return stratify("run", "--settings", settings, *arguments, STRATIFY_IDENTITY_KEY=KEY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weeks")


@pytest.fixture(scope="module")
def out(folder):
    return folder / "out"


@pytest.fixture(scope="module")
def clean(folder):
    done = _run(folder, _tables("2026-01-02"), "2026-01-05")
    assert done.exit_code == 0, done.output
    return files(folder / "out" / "published" / "data_quality")


def _damaged():
    """Rows damaged by hand, the line in the file being the number in the list and 2: see ``PLACES``. The second
    practice sends 50 of its 120 medicines."""
    tables = _tables("2026-01-09")
    tables["gp_event"][0]["effective_date"] = "CANARYTEXT"
    tables["gp_event"][1]["source_patient_id"] = CANARY_NUMBER
    tables["gp_event"][2]["org_code"] = "CANARYTEXT"
    tables["gp_observation"][4]["value_num"] = "CANARYTEXT rang"
    tables["patient"][6]["date_of_birth"] = CANARY_NUMBER
    of_second = [row for row in tables["gp_medication"] if row["org_code"] == PRACTICES[1]]
    tables["gp_medication"] = [row for row in tables["gp_medication"] if row not in of_second[50:]]
    return tables


PLACES = {
    ("gp_event.csv", 2, "GPE-08-type", "effective_date"),
    ("gp_event.csv", 2, "GPE-81-date", ""),
    ("gp_event.csv", 3, "GPE-87-orphan", "source_patient_id"),
    ("gp_event.csv", 4, "GPE-01-pattern", "org_code"),
    ("gp_event.csv", 4, "GPE-87-orphan", "source_patient_id"),
    ("gp_observation.csv", 6, "GPO-11-type", "value_num"),
    ("patient.csv", 8, "PAT-12-type", "date_of_birth"),
}


@pytest.fixture(scope="module")
def damaged(folder, clean):
    done = _run(folder, _damaged(), "2026-01-12")
    assert done.exit_code == 0, done.output
    return done


def _report(folder):
    (workbook,), (page,) = folder.glob("supplier_report*.xlsx"), folder.glob("supplier_report*.html")
    book = CalamineWorkbook.from_path(workbook)
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}, page.read_text("utf-8")


def _no_canary(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            for planted in CANARIES:
                assert planted not in all_text(path), (path.name, planted)


# Rows set aside


def test_the_report_of_a_finished_run_places_every_damaged_row(damaged, out):
    sheets, page = _report(out / "published" / "data_quality")
    rows = [row for row in sheets["Rows by place"] if isinstance(row[1], float | int)]
    assert {(row[0], int(row[1]), row[2], row[3]) for row in rows} == PLACES
    # The hospital files of this county are empty, which is worth a warning and sets nothing aside.
    by_rule = {row[0]: row[5] for row in sheets["By rule"][1:]}
    assert {rule for rule, effect in by_rule.items() if "whole table" not in effect} == {rule for *_, rule, _ in PLACES}
    heads = next(row for row in sheets["Summary"] if row[0] == "File")
    event = next(row for row in sheets["Summary"] if row[0] == "gp_event.csv")
    counts = dict(zip(heads, event, strict=True))
    assert (counts["Rows received"], counts["Rows loaded"], counts["Rows set aside"]) == (240, 237, 3)
    assert "Loaded in part" in page
    for name, line, rule, _ in PLACES:
        assert re.search(
            rf'<tr><th scope="row" class="code">{name}</th><td class="number">{line}</td><td>{rule}</td>', page
        )


def test_nothing_planted_is_in_the_report_or_on_any_page(damaged, out):
    _no_canary(out / "published" / "data_quality")


def test_a_clean_delivery_has_a_report_that_says_so(clean):
    page = clean["supplier_report_TEST_2026-01-05.html"].decode()
    assert "Loaded whole" in page and "No row and no value was set aside." in page


# Practices over time


def test_the_practice_that_sent_less_comes_first(damaged, out):
    page = (out / "published" / "data_quality" / "practices.html").read_text("utf-8")
    order = [page.index(f'<a href="#{code}"') for code in ("A10002", "A10001")]
    assert order == sorted(order)
    assert "1 red of 2 practices" in page and "Surgery 2" in page
    assert "Usable rows of GP record: medicines fell by 58 %, from 120 to 50." in page  # 70 of 120
    # 600 rows a practice in the first week: of five tables 120 each; then 599 (one names no practice) and 530.
    for received in ("530", "600", "599"):
        assert f'<td class="number">{received}' in page


def test_the_counts_of_both_weeks_travel_with_the_run_in_place(damaged, out):
    history = quality.read_history(out / "restricted" / quality.HISTORY_FILE)
    assert history["run_id"].n_unique() == 2
    assert set(history["practice_code"]) == {"A10001", "A10002", "unknown", "all"}  # all: what codelists find
    people = history.filter(table_name="person").select("index_date", "people_count", "linked_count").rows()
    assert sorted({(str(day), people, linked) for day, people, linked in people}) == [
        ("2026-01-05", 120, 120),
        ("2026-01-12", 120, 120),
    ]


def test_running_the_week_again_gives_the_same_run_and_the_same_bytes_and_doubles_nothing(damaged, out, folder):
    before = files(out / "published" / "data_quality")
    history = quality.read_history(out / "restricted" / quality.HISTORY_FILE)
    again = _run(folder, _damaged(), "2026-01-12", "--afresh")
    said = [done.stdout.split("Audit trail:")[0] for done in (again, damaged)]  # which grows with every run
    assert said[0] == said[1]
    assert files(out / "published" / "data_quality") == before
    assert quality.read_history(out / "restricted" / quality.HISTORY_FILE).equals(history)


# Refused and stopped deliveries


def test_a_delivery_that_is_stopped_leaves_its_report_beside_the_last_good_outputs(damaged, out, folder):
    """Six of 240 dates of birth cannot be read: 2.5 %, where 2 % may, of what every list needs."""
    before = files(out / "published")
    tables = _tables("2026-01-16")
    for number in range(6):
        tables["patient"][number]["date_of_birth"] = "CANARYTEXT"
    message = refusal(_run(folder, tables, "2026-01-19"), 4)
    place = out / "refused" / "2026-01-19"
    assert f"For the supplier: {place / 'supplier_report_TEST_2026-01-19.xlsx'}" in message
    sheets, page = _report(place)
    assert sheets["Faults"][1][0] == f"{source_in_words('patient')}, PAT-91-rejected"
    assert sheets["Faults"][1][2] == "2.5 %: 6 of 240 rows"
    assert [int(row[1]) for row in sheets["Rows by place"] if row[2] == "PAT-12-type"] == [2, 3, 4, 5, 6, 7]
    assert "Stopped" in page
    _no_canary(place)
    assert files(out / "published") == before


def _damage_files(extracts: Path):
    """After the manifest was written: one file cut off, one without its header, one gone."""
    cut = extracts / "gp_event.csv"
    cut.write_bytes(cut.read_bytes()[:-9])
    headless = extracts / "patient.csv"
    headless.write_bytes(headless.read_bytes().split(b"\n", 1)[1])
    (extracts / "death.csv").unlink()


def test_files_refused_at_the_gate_leave_a_report_in_the_words_of_the_errors(damaged, out, folder):
    before = files(out / "published")
    done = _run(folder, _tables("2026-01-23"), "2026-01-26", damage=_damage_files)
    message = refusal(done, 3)
    place = out / "refused" / "2026-01-26"
    assert f"For the supplier: {place / 'supplier_report_TEST_2026-01-26.xlsx'}" in message
    sheets, page = _report(place)
    faults = [row for row in sheets["Faults"][1:] if row[0]]
    for where, expected, found, asked in faults:
        assert f"{where}: expected {expected}; found {found}." in message  # nothing else than what the error says
        assert asked in ("Send the file again.", "Send the whole set again.", faults[-1][3]) or "header" in asked
    assert {row[0] for row in faults} == {"gp_event.csv", "patient.csv", "death.csv"}
    assert any(row[2] == "none: the file is cut off" for row in faults)
    assert "Refused" in page and "refused before a run began" in page
    _no_canary(place)
    assert files(out / "published") == before
    history = quality.read_history(out / "restricted" / quality.HISTORY_FILE)
    assert history["run_id"].n_unique() == 2


def test_a_second_refusal_on_the_same_day_takes_the_place_of_the_first(damaged, out, folder):
    place = out / "refused" / "2026-01-26"
    again = _run(folder, _tables("2026-01-23"), "2026-01-26", damage=lambda extracts: (extracts / "death.csv").unlink())
    assert again.exit_code == 3
    sheets, _ = _report(place)
    assert [row[0] for row in sheets["Faults"][1:]] == ["death.csv"]


def test_a_folder_that_is_not_there_is_no_delivery_to_report_on(tmp_path):
    settings = settings_file(tmp_path, tmp_path / "nowhere", tmp_path / "out", index_date="2026-01-05")
    message = refusal(stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY), 3)
    assert "found no such folder" in message and "There is no delivery to report on." in message
    assert not (tmp_path / "out" / "refused").exists()


def test_a_report_that_cannot_be_written_hides_no_refusal(tmp_path):
    extracts = extract_set.write_set(tmp_path / "extracts")
    (extracts / "death.csv").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "refused").write_text("in the way")
    settings = settings_file(tmp_path, extracts, tmp_path / "out", index_date="2026-01-05")
    message = refusal(stratify("run", "--settings", settings, STRATIFY_IDENTITY_KEY=KEY), 3)
    assert "death.csv: expected the file" in message
    assert "The report for the supplier could not be written (" in message
