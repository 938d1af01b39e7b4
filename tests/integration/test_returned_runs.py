"""Two weeks: a list goes out, comes back filled in, and the next run takes in what can be used and nothing else."""

from types import SimpleNamespace

import polars as pl
import pytest
from test_held_lists import small_clinical

from stratify.publish import fill_in, read_filled
from whole_runs import KEY, all_text, counted_plainly, extract_set, settings_file, stratify, workbooks, working_store

from optional_rows import ACTIVITY  # isort: skip  (whole_runs puts its folder on the path)

CANARY_NAME, CANARY_NUMBER = "Quillfeather", extract_set.nhs(88)
STEPS = [  # of the year before: who was reviewed then is due again, so is listed
    ACTIVITY | {"activity_id": "1", "step": "offered", "activity_date": "2024-12-01"},
    ACTIVITY | {"activity_id": "2", "step": "dna", "activity_date": "2024-12-10"},
    ACTIVITY | {"activity_id": "3", "step": "reviewed", "activity_date": "2024-12-20"},
    ACTIVITY | {"activity_id": "4", "step": "discharged", "activity_date": "2024-12-21"},
    ACTIVITY | {"activity_id": "5", "step": "declined", "activity_date": "2024-12-21", "pathway": "gout"},
    ACTIVITY | {"activity_id": "6", "step": "declined", "activity_date": "2024-12-21", "clinic_id": "frailty_clinic"},
    ACTIVITY | {"activity_id": "7", "step": "attended", "activity_date": "2024-12-22", "programme": "coaching"},
]


@pytest.fixture(scope="module")
def first_week(tmp_path_factory):
    """Run a week with the steps of the feed, over two pathways of few definitions."""
    folder = tmp_path_factory.mktemp("weeks")
    objections = [extract_set.opt_out("NDO", "false")]
    extracts = extract_set.write_set(folder / "extracts", opt_out=objections, pathway_activity=STEPS)
    changes = {"returned": str(folder / "returned"), "clinical": str(small_clinical(folder))}
    settings = settings_file(folder, extracts, folder / "out", **changes)
    (folder / "returned").mkdir()
    said = []
    _do(said, "run", "--settings", settings, "--index-date", "2026-01-05")
    return SimpleNamespace(folder=folder, settings=settings, said=said, tables=_tables(folder))


@pytest.fixture(scope="module")
def weeks(first_week):
    """Fill in the list of the week with an answer and a canary, look at it, and run the next week."""
    folder, said = first_week.folder, first_week.said
    [sent] = workbooks(folder / "out" / "published")
    practice, clinic = sent.parts[-3:-1]
    [row] = read_filled(sent, file_id="", sent_by=practice).rows
    home = folder / "returned" / practice
    valid = {"outcome": "invited", "outcome_date": "6/1/26"}
    fill_in(sent, home / clinic / sent.name, {row.cells[name].at: value for name, value in valid.items()})
    typed = {"outcome": CANARY_NAME, "outcome_date": CANARY_NUMBER, "decision_reason": f"{CANARY_NAME} was rude"}
    fill_in(sent, home / "b.xlsx", {row.cells[name].at: value for name, value in typed.items()})
    files = sorted(home.rglob("*.xlsx"))
    looked = _do(said, "returned", "check", *files, "--out", folder / "out", "--practice", practice,
                 "--index-date", "2026-01-07")  # fmt: skip
    _do(said, "run", "--settings", first_week.settings, "--index-date", "2026-01-07")
    return SimpleNamespace(
        folder=folder,
        out=folder / "out",
        practice=practice,
        clinic=clinic,
        number=str(row.cells["nhs_number"].value),
        said="".join(said),
        looked=looked,
    )


def _do(said, *arguments):
    with counted_plainly():
        done = stratify(*arguments, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    said.append(done.output + done.stderr)
    return done.stdout


def _tables(folder):
    with working_store(folder / "out", folder / "scratch") as store:
        return {
            name: store.frame(f"SELECT * FROM {name} ORDER BY ALL") for name in ("core.outcome", "audit.answer")
        } | {"core.person": store.frame("SELECT patient_key FROM core.person")}


def test_steps_of_the_feed_are_outcomes_and_what_does_not_fit_is_set_aside_with_its_reason(first_week):
    outcomes = first_week.tables["core.outcome"].sort("outcome_date")
    assert outcomes.select("outcome", "pathway", "clinic_id", "source", "reason_code").rows() == [
        ("offered", "copd", "copd_clinic", "LIST_RETURN", "too_far"),
        ("did_not_attend", "copd", "copd_clinic", "LIST_RETURN", "too_far"),
        ("attended", "copd", "copd_clinic", "LIST_RETURN", "too_far"),
    ]
    answers = first_week.tables["audit.answer"]
    wrong = answers.filter(pl.col("status") == "returned").sort("source_row")
    assert wrong.select("source_row", "wrong").rows() == [
        (6, "The pathway is none of the rule book"),
        (7, "The clinic is none of that pathway"),
    ]
    assert answers.filter(pl.col("status") == "applied").height == 3


@pytest.mark.slow
def test_a_filled_in_list_is_an_outcome_of_the_person_it_was_about(weeks):
    tables = _tables(weeks.folder)
    [person] = tables["core.person"]["patient_key"]
    mine = tables["core.outcome"].filter(pl.col("row_reference").is_not_null())
    columns = ("patient_key", "outcome", "outcome_date", "practice_code", "clinic_id", "source")
    day = pl.date(2026, 1, 6)
    assert mine.select(pl.col("outcome_date") == day).to_series().to_list() == [True]
    assert mine.drop("outcome_date").select(set(columns) - {"outcome_date"}).to_dicts() == [
        {"patient_key": person, "outcome": "invited", "practice_code": weeks.practice, "clinic_id": weeks.clinic,
         "source": "LIST_RETURN"}
    ]  # fmt: skip
    assert tables["core.outcome"].height == 4
    feed_again = tables["audit.answer"].filter(pl.col("practice_code").is_null())
    assert feed_again.height == 0  # what the feed repeats is in the account of the week before


@pytest.mark.slow
def test_the_practice_gets_back_what_could_not_be_used(weeks):
    [back] = (weeks.out / "published" / "direct_care" / weeks.practice / "returned").glob("*.xlsx")
    text = all_text(back)
    assert f"{weeks.practice}/b.xlsx" in text and "Not a day" in text and "A day as dd/mm/yyyy" in text
    assert text.count("Not one of the words of this cell") == 2
    assert text.count(weeks.number) == 3  # whose row it is, at each cell


@pytest.mark.slow
def test_a_look_before_the_run_says_what_the_run_then_does(weeks):
    assert "Would be applied: 1. Known already: 0." in weeks.looked and "Would be returned: 3" in weeks.looked
    answers = _tables(weeks.folder)["audit.answer"]
    assert sorted(answers["status"]) == ["applied", "returned", "returned", "returned"]


@pytest.mark.slow
def test_nothing_that_somebody_typed_is_on_the_disk_or_in_what_was_said(weeks):
    assert CANARY_NAME not in weeks.said and CANARY_NUMBER not in weeks.said
    for path in weeks.out.rglob("*"):
        if path.is_file():
            assert CANARY_NAME.encode() not in path.read_bytes() and CANARY_NUMBER.encode() not in path.read_bytes()
            if path.suffix in (".xlsx", ".csv", ".html", ".json") and "published" in path.parts:
                assert CANARY_NAME not in all_text(path), path
    everything = "".join(str(table.rows()) for table in _tables(weeks.folder).values())
    assert CANARY_NAME not in everything and CANARY_NUMBER not in everything


@pytest.mark.slow
def test_weeks_stand_side_by_side(weeks):
    done = stratify("returned", "weeks", weeks.out)
    assert "05 Jan    07 Jan" in done.stdout and "Returned with a reason" in done.stdout
