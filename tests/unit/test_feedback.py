"""Feedback: what is said grows a register that nothing shortens, each thing has a status, small counts are hidden."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from stratify import feedback, feedback_reading, feedback_register, kept_weeks
from stratify.contract_frames import empty
from stratify.errors import RunError
from stratify.feedback import Answered, Said
from stratify.filled_in import Cell

WEEK = date(2026, 11, 9)
CONCERN = Said("concern", "Y00001", date(2026, 11, 2), "k1", "copd_clinic", row_reference="AAAA-0000-0001")
MISSING = Said("should_have_been_here", "Y00002", date(2026, 11, 2), "k2", "copd_clinic", reason_code="needs_help_now",
               role="GP", source_week=date(2026, 11, 2), source_row=5, words="=Breathless at rest")  # fmt: skip
ANSWER = Answered(CONCERN.item, "changed", date(2026, 11, 10), "clinical_lead", "The wrong clinic was named.")
REGISTER, WORDS = empty("audit.feedback"), empty("audit.feedback_words")


def after(*said, answered=(), register=REGISTER, words=WORDS, week=WEEK):
    return feedback.extended(register, words, said, answered, week=week)


def told(register, today=WEEK):
    return dict(feedback.standing(register, today=today).select("item", "status").iter_rows())


# ------------------------------------------------------------------------------------------------------- the register


def test_what_is_said_again_is_known_and_nothing_that_stands_there_changes():
    register, words = after(CONCERN, MISSING)
    again, more = after(replace(MISSING, words="Mended words"), CONCERN, register=register, words=words, week=WEEK)
    assert again.equals(register)
    assert more.equals(words)
    assert register["entry_number"].to_list() == [1, 2]
    assert words.rows() == [(2, "Y00002", "=Breathless at rest")]


def test_an_answer_is_added_once_and_a_later_one_holds():
    register, words = after(CONCERN, answered=[ANSWER])
    later = replace(ANSWER, answer="not_changed", answered_on=date(2026, 11, 12))
    register, words = after(CONCERN, answered=[ANSWER, later], register=register, words=words)
    assert register["event"].to_list() == ["said", "answered", "answered"]
    [item] = feedback.standing(register, today=WEEK).to_dicts()
    assert (item["answer"], item["answered_on"]) == ("not_changed", date(2026, 11, 12))


def test_an_answer_to_nothing_that_was_said_is_no_entry():
    register, _ = after(CONCERN, answered=[replace(ANSWER, item="FFFF-FFFF-FFFF")])
    assert register.height == 1


@pytest.mark.parametrize(
    ("days", "status"),
    [
        pytest.param(6, "waiting", id="the_day_before_it_is_due"),
        pytest.param(7, "overdue", id="in_the_list_of_the_week_after"),
    ],
)
def test_what_has_no_answer_within_a_week_is_overdue(days, status):
    register, _ = after(CONCERN)
    assert told(register, WEEK + timedelta(days=days)) == {CONCERN.item: status}


def test_what_is_answered_late_is_answered():
    register, words = after(CONCERN)
    register, _ = after(answered=[ANSWER], register=register, words=words, week=WEEK + timedelta(days=21))
    assert told(register, WEEK + timedelta(days=21)) == {CONCERN.item: "answered"}


def test_an_entry_that_was_changed_or_is_gone_is_found():
    register, words = after(CONCERN, MISSING, answered=[ANSWER])
    feedback.check(register, words)
    for damaged, theirs in (
        (register.filter(pl.col("entry_number") != 2), words),
        (register.with_columns(kind=pl.lit("concern")), words),
        (register, words.with_columns(words=pl.lit("All is well"))),
        (register, words.head(0)),
    ):
        with pytest.raises(RunError, match="feedback register: expected every entry"):
            feedback.check(damaged, theirs)


def test_a_new_pseudonym_changes_no_digest():
    register, words = after(CONCERN)
    feedback.check(register.with_columns(patient_key=pl.lit("another")), words)


# ------------------------------------------------------------------------------------------------- the register on disk


@pytest.fixture
def kept(tmp_path):
    """Two weeks on disk: a concern in the first, in the second its answer and somebody who was missing."""
    folder = tmp_path / "restricted"
    folder.mkdir()
    register, words = after(CONCERN)
    feedback_register.write(folder, register, words, WEEK)
    register, words = after(MISSING, answered=[ANSWER], register=register, words=words, week=NEXT)
    feedback_register.write(folder, register, words, NEXT)
    return folder


NEXT, THIRD = WEEK + timedelta(days=7), WEEK + timedelta(days=14)


def read(folder, before=THIRD):
    return feedback_register.read(folder, before=before, same_person={})


def path_of(folder, week, name="feedback"):
    return folder / kept_weeks.FOLDER / week.isoformat() / f"{name}.parquet"


def test_each_week_has_the_register_whole_and_only_earlier_weeks_are_read(kept):
    assert read(kept).register["entry_number"].to_list() == [1, 2, 3]
    assert read(kept, NEXT).register["entry_number"].to_list() == [1]
    assert read(kept).mended == 0


def test_an_entry_deleted_from_the_last_week_is_put_back_from_another_and_counted(kept):
    path = path_of(kept, NEXT)
    pl.read_parquet(path).filter(pl.col("entry_number") > 1).write_parquet(path)
    found = read(kept)
    assert found.register["item"].to_list()[0] == CONCERN.item
    assert found.mended == 1


def test_a_register_that_is_lost_is_put_back_from_the_week_before(kept):
    before = read(kept, NEXT)
    path_of(kept, NEXT).unlink()
    path_of(kept, NEXT, "feedback_words").unlink()
    found = read(kept)
    assert found.register.equals(before.register)
    assert (found.mended, found.has_begun) == (1, True)


def test_an_entry_that_is_gone_from_every_week_stops_the_run(kept):
    for week in (WEEK, NEXT):
        path = path_of(kept, week)
        pl.read_parquet(path).filter(pl.col("entry_number") != 1).write_parquet(path)
    with pytest.raises(RunError, match="1 that are gone and 0 that differ"):
        read(kept)


def test_an_entry_that_was_changed_in_one_week_stops_the_run(kept):
    path = path_of(kept, NEXT)
    pl.read_parquet(path).with_columns(answer=pl.lit("not_changed")).write_parquet(path)
    with pytest.raises(RunError, match="feedback register"):
        read(kept)


def test_a_week_run_again_may_not_leave_out_a_concern_or_an_answer_but_may_correct_a_decision(kept):
    decided = replace(CONCERN, kind="not_appropriate", reason_code="already_reviewed")
    register, words = after(CONCERN, decided)
    feedback_register.write(kept, register, words, WEEK)
    feedback_register.stop_if_shortened(kept, after(CONCERN)[0], WEEK)
    with pytest.raises(RunError, match="1 that no file says any more"):
        feedback_register.stop_if_shortened(kept, after(decided)[0], WEEK)
    with pytest.raises(RunError, match="never deleted"):
        feedback_register.stop_if_shortened(kept, after(CONCERN, MISSING)[0], NEXT)


def test_a_new_identity_key_shortens_no_register(kept, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    kept_weeks.rekey(kept, fresh, {"k1": "new1"})  # of k2 the record behind it is gone
    assert read(fresh).register["patient_key"].to_list() == ["new1", None, None]
    assert read(fresh).register["item"].equals(read(kept).register["item"])


# ---------------------------------------------------------------------------------------------------------- the reading


def form_row(**cells):
    columns = ("nhs_number", "kind", "list_name", "reason", "said_by", "said_on", "words")
    return 5, {name: Cell(f"Tell us!{place}5", cells.get(name)) for place, name in zip("ABCDEFG", columns, strict=True)}


def read_form(*rows):
    return feedback_reading.read_form(
        rows,
        practice="Y00001",
        week=WEEK,
        lists={"COPD clinic": "copd_clinic"},
        people={"9990000018": "k18"},
        today=WEEK + timedelta(days=7),
    )


USUAL = {"kind": "Should have been here ", "list_name": "copd clinic", "reason": "needs help now", "said_by": "GP"}


def test_a_row_of_a_form_is_read_and_the_number_is_forgotten():
    [said], faults = read_form(form_row(nhs_number="999 000 0018", words="Short of breath\nand alone", **USUAL))
    assert faults == []
    assert (said.kind, said.patient_key, said.clinic_id) == ("should_have_been_here", "k18", "copd_clinic")
    assert said.words == "Short of breath and alone"
    assert "9990000018" not in repr(said)


def test_a_concern_may_be_written_without_its_article():
    [said], _ = read_form(form_row(**USUAL | {"kind": "Concern", "reason": "not fair"}))
    assert (said.kind, said.patient_key) == ("concern", None)


def test_somebody_whom_the_data_do_not_have_is_taken_in_without_a_person():
    [said], faults = read_form(form_row(nhs_number="9990000026", **USUAL))
    assert (said.patient_key, faults) == (None, [])


def test_what_is_said_is_of_the_day_it_was_noticed_and_of_the_monday_of_the_form_without_one():
    """A Thursday, as typed; nothing; and a form that was sent before it had the column."""
    thursday = WEEK + timedelta(days=3)
    row = form_row(nhs_number="9990000018", said_on=f"{thursday:%d/%m/%y}", **USUAL)
    empty_cell = form_row(nhs_number="9990000018", **USUAL)
    older = (5, {name: cell for name, cell in empty_cell[1].items() if name != "said_on"})
    for asked, day in ((row, thursday), (empty_cell, WEEK), (older, WEEK)):
        [said], _ = read_form(asked)
        assert said.said_on == day


@pytest.mark.parametrize(
    ("cells", "cell"),
    [
        pytest.param({**USUAL, "nhs_number": "999 000 0019"}, "A5", id="wrong_check_digit"),
        pytest.param(USUAL, "A5", id="nobody_named"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "kind": "hello"}, "B5", id="no_such_kind"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "list_name": "gout"}, "C5", id="no_such_list"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "reason": ""}, "D5", id="no_reason"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "said_by": "Dr Who"}, "E5", id="a_name_for_a_role"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "words": "x" * 501}, "G5", id="too_long"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "said_on": "soon"}, "F5", id="no_day"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "said_on": WEEK + timedelta(8)}, "F5", id="still_to_come"),
        pytest.param({**USUAL, "nhs_number": "9990000018", "said_on": WEEK - timedelta(29)}, "F5", id="long_before"),
    ],
)
def test_a_cell_that_cannot_be_used_is_named_and_nothing_of_its_row_is_taken(cells, cell):
    said, [(number, fault)] = read_form(form_row(**cells))
    assert (said, number, fault.at) == ([], 5, f"Tell us!{cell}")
    assert not any(typed in f"{fault.wrong} {fault.instead}" for typed in ("0019", "hello", "gout", "Who"))


def answer_row(**cells):
    columns = ("item", "answer", "answered_on", "answered_by", "words")
    usual = {"item": CONCERN.item.lower(), "answer": "Changed", "answered_on": "10/11/2026"}
    usual |= {"answered_by": "clinical lead", "words": ANSWER.words}
    return 2, {name: Cell(f"line 2, {name}", {**usual, **cells}[name]) for name in columns}


def read_answers(*rows):
    return feedback_reading.read_answers(rows, items={CONCERN.item: date(2026, 11, 2)}, today=date(2026, 11, 16))


def test_an_answer_is_read_and_an_open_row_is_left_for_later():
    open_row = answer_row(answer="", answered_on=None, answered_by="", words=" ")
    assert read_answers(answer_row(), open_row) == ([ANSWER], [])


@pytest.mark.parametrize(
    ("cells", "cell"),
    [
        pytest.param({"item": "0000"}, "item", id="no_such_item"),
        pytest.param({"answer": "maybe"}, "answer", id="no_such_answer"),
        pytest.param({"answered_on": "17/11/2026"}, "answered_on", id="still_to_come"),
        pytest.param({"answered_on": "01/11/2026"}, "answered_on", id="before_it_was_said"),
        pytest.param({"answered_by": "Dr Who"}, "answered_by", id="a_name_for_a_role"),
        pytest.param({"words": ""}, "words", id="no_words"),
    ],
)
def test_an_answer_with_a_cell_that_cannot_be_used_is_no_answer(cells, cell):
    answered, [(_, fault)] = read_answers(answer_row(**cells))
    assert (answered, fault.at) == ([], f"line 2, {cell}")


# --------------------------------------------------------------------------------------------------------------- counts


def tallied(*said):
    register, _ = after(*said)
    counts = feedback.tally(feedback.standing(register, today=WEEK), ["Y00001", "Y00002", "Y00003"])
    return {tuple(key): number for *key, number, _ in counts.iter_rows()}


def concerns(number):
    """Give so many concerns, every other one from the second practice."""
    return [replace(CONCERN, practice_code=f"Y0000{1 + each % 2}", row_reference=str(each)) for each in range(number)]


def test_the_tally_counts_by_practice_and_kind_and_adds_up():
    cells = tallied(*concerns(60))
    assert cells["all", "all", "said"] == cells["all", "concern", "waiting"] == 60
    assert cells["Y00001", "concern", "said"] == cells["Y00002", "all", "said"] == 30
    assert cells["Y00003", "all", "said"] == cells["all", "all", "overdue"] == 0


def test_the_tally_hides_small_numbers_and_what_would_give_them_away():
    cells = tallied(*concerns(60), replace(MISSING, words=None))
    assert cells["all", "should_have_been_here", "said"] is None
    # With the one kind of two that is hidden, either the other or their total is hidden, too.
    assert None in (cells["all", "concern", "said"], cells["all", "all", "said"])
