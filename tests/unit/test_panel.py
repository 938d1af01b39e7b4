"""A panel of two rounds in its folder: forms out, answers in, each cell checked, and what is settled."""

from __future__ import annotations

import csv
from datetime import date

import pytest
import yaml
from python_calamine import CalamineWorkbook

from invented import pathway
from stratify import panel
from stratify.errors import SettingsError
from stratify.publish import FORM_COLUMNS
from whole_runs import files, stratify

QUESTIONS = {
    "id": "flares",
    "title": "From how many flare-ups on?",
    "opened": "2026-11-02",
    "panellists": ["anna", "ben", "cora", "dan", "eve"],
    "questions": [
        {"id": "high", "text": "Flare-ups in 12 months from which the group is high risk", "unit": "flare-ups",
         "threshold": "score copd_priority_group, tier HR, copd_exacerbations_count at least", "least": 1, "most": 6,
         "step": 1, "evidence": "NICE NG115", "agreed_when_quartiles_within": 1}
    ],
}  # fmt: skip
FIRST = {"anna": (1, 2, 3, "seen too late"), "ben": (2, 2, 3, "as published"), "cora": (2, 3, 4, "places are few"),
         "dan": (4, 5, 6, "only the sickest"), "eve": (2, 3, 3, "in between")}  # fmt: skip


@pytest.fixture
def opened(tmp_path):
    file = tmp_path / "questions.yaml"
    file.write_text(yaml.safe_dump(QUESTIONS), encoding="utf-8")
    panel.open_round(tmp_path / "panel", file, as_csv=True)
    return tmp_path / "panel"


def _fill(folder, round_number, name, answer):
    """Fill in the CSV form of a panellist, as somebody with a spreadsheet would."""
    path = folder / f"round_{round_number}" / "forms" / f"{name}.csv"
    rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    at = next(number for number, row in enumerate(rows) if row and row[0] == "high")
    rows[at][-4:] = [str(each) for each in answer]
    filled = folder.parent / f"filled-{name}.csv"
    with filled.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return filled


def _answer(folder, round_number, answers):
    for name, answer in answers.items():
        panel.take_answer(folder, _fill(folder, round_number, name, answer))


def test_what_is_settled_is_the_median_with_its_spread_and_who_could_not_live_with_it(opened):
    """Round one, best answers 2 2 3 5 3: median 3, quartiles 2 and 3. In round two ben goes to 3 (2 to 4), dan to 4
    (4 to 6), so 2 3 3 4 3: median 3, quartiles 3 and 3. anna (1 to 3) can live with 3, dan cannot: a dissent of one."""
    _answer(opened, 1, FIRST)
    panel.open_round(opened, as_csv=True)
    _answer(opened, 2, {"ben": (2, 3, 4, "the others convinced me"), "dan": (4, 4, 6, "still only the sickest")})
    path, (agreed,) = panel.close(opened, on=date(2026, 12, 1))
    outcome = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert outcome["spreads"]["high"]["round_1"] == {"median": 3, "lower_quartile": 2, "upper_quartile": 3}
    assert (agreed.value, agreed.median, agreed.lower_quartile, agreed.upper_quartile) == (3, 3, 3, 3)
    assert agreed.is_agreed and agreed.panellists == 5
    assert (agreed.dissent, agreed.dissent_reasons) == (1, ("still only the sickest",))
    assert len(agreed.policy_hash) == 64
    assert not any(name in path.read_text(encoding="utf-8") for name in FIRST)  # nobody is named


def test_a_definition_carries_the_block_as_it_was_written(opened):
    _answer(opened, 1, FIRST)
    panel.open_round(opened, as_csv=True)
    _answer(opened, 2, {"anna": FIRST["anna"]})
    path, agreed = panel.close(opened, on=date(2026, 12, 1))
    carried = yaml.safe_load(path.read_text(encoding="utf-8"))["agreed"]
    cohort = {"variable": "age_years", "at_least": 18}
    routes = [{"id": "rest", "decision": "self_management", "reason": "r"}]
    assert pathway("p", cohort=cohort, tier_from="s", routes=routes, agreed=carried).agreed == agreed


def test_round_two_shows_ones_own_answer_beside_the_others_without_names(opened):
    """dan said 5 (4 to 6); the others 2 2 3 3: quartiles 2 and 3, median 2.5."""
    _answer(opened, 1, FIRST)
    panel.open_round(opened, as_csv=True)
    text = (opened / "round_2" / "forms" / "dan.csv").read_text(encoding="utf-8-sig")
    assert "5 (4 to 6)" in text and "2 to 3, median 2.5" in text and "places are few" in text
    assert "only the sickest" not in text  # one's own reason is not among the others'
    assert not any(name in text for name in set(FIRST) - {"dan"})


def test_answers_too_far_apart_are_settled_and_not_called_agreed(opened):
    """Best answers 1 1 3 6 6: quartiles 1 and 6, more than 1 apart."""
    split = {"anna": (1, 1, 2, "a"), "ben": (1, 1, 2, "b"), "cora": (1, 3, 6, "c"), "dan": (5, 6, 6, "d"),
             "eve": (5, 6, 6, "e")}  # fmt: skip
    _answer(opened, 1, split)
    panel.open_round(opened, as_csv=True)
    _answer(opened, 2, split)
    _, (agreed,) = panel.close(opened, on=date(2026, 12, 1))
    assert (agreed.value, agreed.is_agreed, agreed.dissent) == (3, False, 4)
    assert "NOT agreed" in panel.in_words([agreed])


def test_the_same_answers_give_the_same_bytes_in_whatever_order_they_came(tmp_path):
    folders = []
    for order, names in (("one", sorted(FIRST)), ("other", sorted(FIRST, reverse=True))):
        (tmp_path / order).mkdir()
        (tmp_path / order / "questions.yaml").write_text(yaml.safe_dump(QUESTIONS), encoding="utf-8")
        folder = tmp_path / order / "panel"
        panel.open_round(folder, tmp_path / order / "questions.yaml", as_csv=True)
        _answer(folder, 1, {name: FIRST[name] for name in names})
        panel.open_round(folder, as_csv=True)
        panel.open_round(folder)
        _answer(folder, 2, {name: FIRST[name] for name in names})
        panel.close(folder, on=date(2026, 12, 1))
        folders.append(files(folder))
    assert folders[0] == folders[1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(("", 2, 3, "r"), "cell H4, Lowest you could live with of high: .*found nothing", id="empty"),
        pytest.param((1, "two", 3, "r"), "cell I4, Your best answer of high: .*found text", id="text"),
        pytest.param((1, 2, 7, "r"), "cell J4, .*a number from 1 to 6 in steps of 1; found another number", id="off"),
        pytest.param((1, 2.5, 3, "r"), "cell I4, .*in steps of 1", id="between_steps"),
        pytest.param((3, 2, 4, "r"), "cells H4 to J4, high: expected lowest, best and highest", id="order"),
        pytest.param((1, 2, 3, " "), "cell K4, Your reason, in your words of high: .*a reason", id="no_reason"),
    ],
)
def test_a_cell_that_is_not_fit_is_named_and_nothing_is_kept(opened, answer, words):
    with pytest.raises(SettingsError, match=words):
        panel.take_answer(opened, _fill(opened, 1, "anna", answer))
    assert not (opened / "round_1" / "answers").exists()


def test_every_cell_that_is_not_fit_is_told_in_one_go_and_no_value_is(opened):
    with pytest.raises(SettingsError) as told:
        panel.take_answer(opened, _fill(opened, 1, "anna", ("canary", 9, "", "")))
    assert "4 faults" in str(told.value) and "canary" not in str(told.value)


def test_a_form_of_another_panel_or_an_earlier_round_is_refused(opened, tmp_path):
    _answer(opened, 1, FIRST)
    late = _fill(opened, 1, "anna", FIRST["anna"])
    panel.open_round(opened, as_csv=True)
    with pytest.raises(SettingsError, match="a form of round 2"):
        panel.take_answer(opened, late)
    (tmp_path / "strange.csv").write_text("Form of panel: another / 1 / anna\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="a form of this panel"):
        panel.take_answer(opened, tmp_path / "strange.csv")


def test_round_two_needs_three_answers_and_closing_needs_round_two(opened):
    _answer(opened, 1, {"anna": FIRST["anna"], "ben": FIRST["ben"]})
    with pytest.raises(SettingsError, match="three or more answers"):
        panel.open_round(opened)
    with pytest.raises(SettingsError, match="answers to round two"):
        panel.close(opened, on=date(2026, 12, 1))


def test_half_way_between_two_steps_is_the_lower():
    question = panel.Question.model_validate(QUESTIONS["questions"][0])
    assert [question.on_scale(each) for each in (2.5, 2.4, 2.6)] == [2, 2, 3]


def test_the_workbook_has_room_to_answer_and_is_read_back(opened, tmp_path):
    """A form as a workbook, filled in as a spreadsheet would keep it: numbers as numbers."""
    (path, *_) = panel.open_round(tmp_path / "panel", tmp_path / "questions.yaml")
    rows = CalamineWorkbook.from_path(path).get_sheet_by_name("Answers").to_python(skip_empty_area=False)
    assert rows[3] == list(FORM_COLUMNS) and rows[1][0] == "Form of panel: flares / 1 / anna"
    with pytest.raises(SettingsError, match="cell H5, Lowest you could live with of high"):
        panel.take_answer(opened, path)  # sent back empty
    from stratify.publish.sheets import open_workbook

    rows[4][7:11] = [1, 2, 3, "because"]
    filled = tmp_path / "filled.xlsx"
    with open_workbook(filled, title="t", note="n", made=date(2026, 11, 2)) as workbook:
        sheet = workbook.add_worksheet("Answers")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    assert panel.take_answer(opened, filled) == "Round 1: anna's answers are kept; 1 of 5 are in."


def test_the_commands_open_take_in_and_close(opened, tmp_path):
    done = stratify("panel", "answer", opened, _fill(opened, 1, "anna", FIRST["anna"]))
    assert done.exit_code == 0 and "1 of 5 are in" in done.stdout
    _answer(opened, 1, FIRST)
    assert stratify("panel", "open", opened, "--csv").exit_code == 0
    _answer(opened, 2, {"eve": FIRST["eve"]})
    done = stratify("panel", "close", opened, "--on", "2026-12-01")
    assert done.exit_code == 0 and "middle half 2 to 3" in done.stdout and "outcome.yaml" in done.stdout
    assert stratify("panel", "close", tmp_path / "none").exit_code == 2
