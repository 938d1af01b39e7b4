"""Three weeks of feedback: said in a list and a form, answered from a file, shown to the practice, never deletable."""

import csv
import io
import json
from types import SimpleNamespace

import polars as pl
import pytest
from python_calamine import CalamineWorkbook
from test_held_lists import small_clinical

from stratify.publish import fill_in, read_filled
from whole_runs import (
    KEY,
    OBJECTIONS_HONOURED,
    all_text,
    counted_plainly,
    extract_set,
    refusal,
    settings_file,
    sheet,
    stratify,
    workbooks,
)

pytestmark = pytest.mark.slow  # five runs: the register itself is tested in unit/test_feedback.py

WORDS, ANSWER = "Quillfeather is breathless at rest", "She has a place next week, says Dr Wimpole"
DAYS = ("2026-01-05", "2026-01-12", "2026-01-19")


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Run a week, say two things about it, run the next, answer one of them, and run the third."""
    folder = tmp_path_factory.mktemp("feedback")
    extracts = extract_set.write_set(folder / "extracts")
    changes = {"returned": str(folder / "returned"), "clinical": str(small_clinical(folder))}
    changes["privacy"] = OBJECTIONS_HONOURED | {"national": "exempt"}  # a check of it lasts a week
    settings, out = settings_file(folder, extracts, folder / "out", **changes), folder / "out"
    (folder / "returned").mkdir()
    done = SimpleNamespace(folder=folder, out=out, settings=settings, said=[], published={})

    def run(day):
        with counted_plainly():
            ran = stratify("run", "--settings", settings, "--index-date", day, STRATIFY_IDENTITY_KEY=KEY)
        assert ran.exit_code == 0, ran.output
        done.said.append(ran.output + ran.stderr)
        done.published[day] = (out / "published").resolve()

    done.run = run
    run(DAYS[0])
    [sent] = workbooks(out / "published")
    done.practice = sent.parts[-3]
    [row] = read_filled(sent, file_id="", sent_by=done.practice).rows
    number = str(row.cells["nhs_number"].value)
    done.number = number.replace(" ", "")
    home = folder / "returned" / done.practice
    fill_in(sent, home / "list.xlsx", {row.cells["concern"].at: "yes"})
    [form] = (out / "published" / "direct_care" / done.practice / "feedback").iterdir()
    done.sheets, done.blank = CalamineWorkbook.from_path(form).sheet_names, all_text(form)
    told = {"A5": number, "B5": "should have been here", "D5": "needs help now", "E5": "GP", "G5": WORDS,
            "A6": "999 999 9998", "B6": "should have been here", "D6": "other", "E6": "GP"}  # fmt: skip
    fill_in(form, home / "form.xlsx", {f"Tell us!{cell}": value for cell, value in told.items()})
    run(DAYS[1])
    done.listed = done_by(done, "feedback", "list", out, "--to", folder / "open.csv", "--on", DAYS[1])
    done.open = list(csv.DictReader(io.StringIO((folder / "open.csv").read_text(encoding="utf-8-sig"))))
    answered = [
        {**each, "answer": "changed", "answered_on": "13/01/2026", "answered_by": "clinical lead", "words": ANSWER}
        if "should" in each["about"]
        else each
        for each in done.open
    ]
    write(folder / "answers.csv", answered)
    done.handed_in = done_by(done, "feedback", "answer", out, folder / "answers.csv", "--on", DAYS[2])
    run(DAYS[2])
    return done


def done_by(done, *arguments):
    ran = stratify(*arguments, STRATIFY_IDENTITY_KEY=KEY)
    assert ran.exit_code == 0, ran.output
    done.said.append(ran.output + ran.stderr)
    return ran.stdout


def write(path, rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def shown(weeks, day):
    """Give what the form of the practice shows as said and answered, by what was said."""
    [form] = (weeks.published[day] / "direct_care" / weeks.practice / "feedback").iterdir()
    return {row["You said"]: row for row in sheet(form, "You said, we changed")}


def test_what_was_said_waits_for_its_answer_in_the_next_list_and_is_about_the_person(weeks):
    found = shown(weeks, DAYS[1])
    assert found.keys() == {"A concern", "Should have been here: needs help now"}
    row = found["Should have been here: needs help now"]
    assert row["NHS number"].replace(" ", "") == weeks.number
    assert (row["In your words"], row["Stands at"]) == (WORDS, "Waits: answer by 19 January 2026")
    assert {each["status"] for each in weeks.open} == {"waiting"}
    assert "Said: 2. answered 0, waiting 2, overdue 0" in weeks.listed


def test_the_answer_stands_in_the_list_after_it_and_what_has_none_is_overdue(weeks):
    found = shown(weeks, DAYS[2])
    answered, open_still = found["Should have been here: needs help now"], found["A concern"]
    assert answered["What came of it"] == f"We changed it. {ANSWER}"
    assert (answered["Answered by"], answered["Stands at"]) == ("Clinical lead", "Answered")
    assert open_still["Stands at"] == "Overdue since 19 January 2026"
    for path in sorted(weeks.published[DAYS[2]].rglob("clinic_list_*.xlsx")):
        assert {row["You said"] for row in sheet(path, "You said, we changed")} == found.keys()
        assert "1 without an answer in time" in all_text(path)


def test_a_number_that_is_none_goes_back_with_its_cell_and_is_not_repeated(weeks):
    [path] = (weeks.published[DAYS[1]] / "direct_care" / weeks.practice / "returned").iterdir()
    text = all_text(path)
    assert "Tell us!A6" in text and "Not an NHS number" in text and "form.xlsx" in text
    assert "9998" not in text


def test_words_reach_the_practice_and_nobody_else(weeks):
    for day in DAYS:
        home = weeks.published[day] / "direct_care" / weeks.practice
        for path in sorted(each for each in weeks.published[day].rglob("*") if each.is_file()):
            if home not in path.parents:
                text = all_text(path)
                assert not any(word in text for word in ("Quillfeather", "Wimpole")), path.name
    told = "".join(weeks.said)
    assert not any(word in told for word in ("Quillfeather", "Wimpole", weeks.number, "9998"))
    assert not any(word in weeks.handed_in for word in ("Quillfeather", "Wimpole"))


def test_the_page_counts_and_tells_no_small_number(weeks):
    page = (weeks.published[DAYS[2]] / "data_quality" / "feedback.html").read_text(encoding="utf-8")
    assert "Something said has had no answer in time" in page
    assert "hidden" in page


def test_a_wrong_answer_is_refused_whole_and_nothing_is_handed_in(weeks):
    before = sorted((weeks.folder / "returned").rglob("*"))
    wrong = [{**each, "answer": "perhaps", "answered_by": "Wimpole", "words": ANSWER} for each in weeks.open]
    write(weeks.folder / "wrong.csv", wrong)
    message = refusal(stratify("feedback", "answer", weeks.out, weeks.folder / "wrong.csv", "--on", DAYS[2]), 8)
    assert "line 2, answer: Not one of the words of this cell" in message and "Wimpole" not in message
    assert sorted((weeks.folder / "returned").rglob("*")) == before


def test_nothing_said_can_be_deleted(weeks):
    """Take files, a row of the register and then the register away: it comes back, or the run stops."""
    home, memory = weeks.folder / "returned" / weeks.practice, weeks.out / "restricted" / "memory"
    everything = shown(weeks, DAYS[2])
    (home / "form.xlsx").rename(weeks.folder / "form.xlsx")
    last = memory / DAYS[2] / "feedback.parquet"
    pl.read_parquet(last).filter(pl.col("entry_number") > 1).write_parquet(last)
    weeks.run("2026-01-26")
    assert shown(weeks, "2026-01-26").keys() == everything.keys()
    assert "NOTICE entries put back from other kept weeks (1 rows)" in weeks.said[-1]

    for path in memory.glob("*/feedback.parquet"):  # from every week
        pl.read_parquet(path).filter(pl.col("entry_number") != 1).write_parquet(path)
    with counted_plainly():
        ran = stratify("run", "--settings", weeks.settings, "--index-date", "2026-02-02", STRATIFY_IDENTITY_KEY=KEY)
    assert "what practices said is never deleted" in refusal(ran, 8)
    manifest = json.loads((weeks.out / "published" / "run_manifest.json").read_text(encoding="utf-8"))
    assert manifest["index_date"] == "2026-01-26"  # the last good lists stay


def test_the_first_form_says_that_nothing_was_said_yet(weeks):
    assert weeks.sheets == ["Tell us", "You said, we changed", "Lists"]
    assert "told us nothing yet" in weeks.blank
