"""The smallest change that leads off a list, worked by hand from the definitions; and the reason in plain words."""

import re

import narwhals.stable.v2 as nw
import polars as pl
import pytest
import yaml

from stratify.examples import wide_rows
from stratify.pathways import decide
from stratify.plain_reasons import explanations
from stratify.rulebook import clinical_folder, load_rule_book
from stratify.rules import Example
from stratify.rules.wording import PlainWords
from stratify.scores import add_scores
from stratify.smallest_change import smallest_changes
from stratify.wording import load_wording

BOOK = load_rule_book()
COPD = BOOK.cut_down_to("copd")
FRAILTY = BOOK.cut_down_to("frailty")


def worked(book, pathway, *people):
    """Give the smallest change of each of some people, in order; people are the values found of them."""
    examples = [Example(name=str(n), values=values, expect={}) for n, values in enumerate(people)]
    scored = add_scores(nw.from_native(wide_rows(examples, book).lazy()), book).collect(backend="polars")
    decisions = decide(nw.from_native(scored.to_native().lazy()), book.pathways[pathway], book)
    decided = decisions.collect(backend="polars").to_native()
    found = smallest_changes({pathway: scored.to_native()}, decided, book)
    by_person = dict(found.select("patient_key", "off_list_when").iter_rows())
    return [by_person.get(str(n), "not for a clinic") for n in range(len(people))]


def copd(**values):
    return {"is_on_copd_register": 1, "fev1_percent_predicted": 85, "mrc_grade": 1} | values


COPD_CASES = {
    "one value past one edge": (copd(fev1_percent_predicted=38), "FEV1, percent of predicted: 50 % or more (now 38 %)"),
    "a value past two edges goes past the one that matters": (
        copd(fev1_percent_predicted=28),
        "FEV1, percent of predicted: 50 % or more (now 28 %)",
    ),
    "a grade goes to the next whole one": (copd(mrc_grade=5), "MRC dyspnoea grade: below 4 (now 5)"),
    "a count": (copd(copd_exacerbations_count=3), "Flare-ups of COPD in 12 months: below 2 (now 3)"),
    "a yes": (copd(has_home_oxygen=1), "no longer: Oxygen at home in 12 months"),
    "two facts each of which is enough to be listed": (
        copd(fev1_percent_predicted=49, mrc_grade=4),
        "FEV1, percent of predicted: 50 % or more (now 49 %); MRC dyspnoea grade: below 4 (now 4)",
    ),
    "four facts, and none that does not count": (
        copd(
            fev1_percent_predicted=26, mrc_grade=4, copd_exacerbations_count=4, copd_emergency_admissions_count=1,
            rescue_antibiotic_issues_count=5, has_lama=1,
        ),
        "Emergency hospital admissions for COPD in 12 months: none (now 1); "
        "FEV1, percent of predicted: 50 % or more (now 26 %); MRC dyspnoea grade: below 4 (now 4); "
        "Flare-ups of COPD in 12 months: below 2 (now 4)",
    ),
    "whoever is for self-management is on no list": (copd(), "not for a clinic"),
}  # fmt: skip


def test_the_smallest_change_off_the_copd_list_is_worked_by_hand():
    found = worked(COPD, "copd", *(values for values, _ in COPD_CASES.values()))
    assert dict(zip(COPD_CASES, found, strict=True)) == {name: expected for name, (_, expected) in COPD_CASES.items()}


def test_a_count_of_deficits_needs_as_many_fewer_as_are_above_the_edge():
    """Moderate is above 0.24, 8.64 of 36: 9 deficits are one too many, 11 are three."""
    deficits = [name for name in FRAILTY.variables if name.startswith("efi_")][:11]
    nine, eleven = (dict.fromkeys(deficits[:count], 1) for count in (9, 11))
    one, three = worked(FRAILTY, "frailty", nine, eleven)
    assert [one.count(","), three.count(",")] == [0, 2]
    assert one.startswith("no longer: ") and three.startswith("no longer: ")


def test_a_value_known_by_a_bound_only_and_one_not_known_are_no_stumbling_block():
    (found,) = worked(COPD, "copd", copd(fev1_percent_predicted="<30", cat_score="stale"))
    assert found == "FEV1, percent of predicted: 50 % or more (now 30 %)"


# --------------------------------------------------------------------------------------- in words for the person


def explained(*, reasons, values, decision="clinic", missing=None, plain=None):
    decided = ("a", "copd", decision, missing)
    names = ("patient_key", "pathway", "decision", "missing_variables")
    decisions = pl.DataFrame([decided], schema=dict.fromkeys(names, pl.String), orient="row")
    given = pl.DataFrame({"patient_key": ["a"] * len(reasons), "pathway": ["copd"] * len(reasons),
                          "position": range(1, len(reasons) + 1), "variable": reasons})  # fmt: skip
    found = pl.DataFrame([("a", *each) for each in values], schema={"patient_key": pl.String, "variable": pl.String,
                         "state": pl.String, "value": pl.Float64}, orient="row")  # fmt: skip
    changes = pl.DataFrame({"patient_key": ["a"], "pathway": ["copd"], "off_list_when": ["x"]})
    return explanations(decisions, given, found, changes, plain or load_wording().plain).to_dicts()


def test_the_plain_reason_says_the_same_facts_in_the_same_order_each_once():
    (row,) = explained(
        reasons=["copd_emergency_admissions_count", "has_lama", "has_laba", "is_current_smoker", "mrc_grade"],
        values=[(name, "known", 1.0) for name in ("has_lama", "has_laba", "mrc_grade", "is_current_smoker")]
        + [("copd_emergency_admissions_count", "known", 2.0)],
    )
    assert row["plain_reason"].split("\n") == [
        "You had to go into hospital with your breathing in the last year.",
        "You use an inhaler.",
        "Your record says that you smoke.",
    ]
    assert row["off_list_when"] == "x"


@pytest.mark.parametrize(
    ("state", "value"), [("stale", None), ("conflict", None), ("unusable", None), ("known", 0.0)], ids=str
)
def test_a_fact_that_is_not_so_is_not_said(state, value):
    (row,) = explained(reasons=["has_home_oxygen"], values=[("has_home_oxygen", state, value)])
    assert row["plain_reason"] == "Your health record shows that a check-up may help you."


def test_what_is_missing_is_asked_for_in_plain_words():
    (row,) = explained(reasons=["rule"], values=[], decision="assessment", missing="fev1_percent_predicted;mrc_grade")
    assert row["plain_missing"] == (
        "We would like to check a blowing test and how far you can walk before you get out of breath."
    )


def test_a_missing_value_without_words_is_still_said_to_be_missing():
    (row,) = explained(reasons=["rule"], values=[], decision="assessment", missing="something_else")
    assert row["plain_missing"] == "We would like to check a few things with you."


def test_whoever_is_left_out_is_told_nothing():
    assert explained(reasons=["rule"], values=[], decision="excluded") == []


def test_without_words_the_reason_is_the_general_one():
    words = PlainWords(version="1", otherwise="a check-up may help you", words={})
    (row,) = explained(reasons=["has_lama"], values=[("has_lama", "known", 1.0)], plain=words)
    assert row["plain_reason"] == "A check-up may help you."


def test_every_word_is_for_a_variable_that_exists():
    plain = load_wording().plain
    assert sorted({*plain.words, *plain.asks} - set(BOOK.variables)) == []


# ------------------------------------------------------------------------------------------------------- jargon


def jargon_in(text: str) -> list[str]:
    """Give what a text holds of the words that nothing for a person may hold."""
    listed = yaml.safe_load((clinical_folder() / "wording" / "jargon.yaml").read_text(encoding="utf-8"))
    found = [word for word in listed["words"] if re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE)]
    return found + [word for word in listed["abbreviations"] if re.search(rf"\b{re.escape(word)}\b", text)]


def test_no_plain_word_is_jargon():
    plain = load_wording().plain
    texts = [plain.otherwise, *plain.words.values(), *plain.asks.values()]
    assert {text: jargon_in(text) for text in texts if jargon_in(text)} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("You are at high risk", ["risk"]),
        ("Your COPD got worse", ["COPD"]),
        ("a moderately severe case", ["sever", "moderate"]),
        ("You have had a fall. Do see us.", []),
    ],
)
def test_the_jargon_check_finds_jargon_in_any_form(text, found):
    assert jargon_in(text) == found
