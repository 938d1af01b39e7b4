"""The card of a model: its numbers are those of the evaluation, its counts hide people, anyone can read its page."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from little_model import LATER, little_cohort, little_model

from stratify.disclosure import LARGEST_HIDDEN
from stratify.errors import RuleError
from stratify.modelling.algorithms import fit
from stratify.modelling.card_page import model_page
from stratify.modelling.evaluation import evaluate
from stratify.modelling.model_card import PARTS, ModelCard, make_card
from stratify.modelling.tripod import ITEMS, read_said


def refit(rows):
    design = little_model().design
    return fit(
        design.algorithm, rows.predictors, rows.outcome, names=design.names, groups=rows.practice, seed=1
    ).risk  # fmt: skip


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return make_card(little_model(), little_cohort(), listed_percent=5, said_by_site={"17": "Invented"}, refit=refit)


def group(card: ModelCard, part: str, breakdown: str = "all", value: str = "all"):
    judged = next(each for each in card.judged if each.part == part)
    return next(each for each in judged.groups if (each.breakdown, each.value) == (breakdown, value))


def test_the_numbers_are_those_of_the_rows_kept_from_fitting(card):
    rows = little_cohort().rows.filter((pl.col("index_date") == LATER) & (pl.col("practice_code") >= "A99006"))
    risk = little_model().fitted.risk(rows.select("x_age_years", "x_emergency_admissions_count").to_numpy())
    expected = evaluate(rows["outcome"], risk, person=rows["patient_key"]).measures
    found = group(card, "later_elsewhere").measures
    assert {name: found[name].value for name in expected} == pytest.approx(
        {name: each.value for name, each in expected.items()}
    )
    assert 0.9 < found["calibration_slope"].value < 1.1


def test_the_cut_takes_five_of_a_hundred_who_were_kept_from_fitting(card):
    cohort = little_cohort()
    risk = little_model().fitted.risk(cohort.predictors)[(cohort.rows["part"] != "fit").to_numpy()]
    assert np.mean(risk > card.threshold) <= 0.05 <= np.mean(risk >= card.threshold)


def test_no_count_from_one_to_seven_is_in_a_card_and_none_can_be_subtracted(card):
    """Ten people live in a care home, so that with each index date and part fewer than eight rows have the outcome."""
    counts = [
        number
        for judged in card.judged
        for each in judged.groups
        for number in (each.rows, each.events, each.listed, each.listed_events)
    ]
    assert not [each for each in counts if each is not None and 0 < each <= LARGEST_HIDDEN]
    assert group(card, "later_elsewhere", "in_care_home", "yes").events is None
    assert group(card, "later_elsewhere", "in_care_home", "no").events is None  # or everybody less these would tell
    assert group(card, "later_elsewhere", "in_care_home", "no").measures == {}
    assert [each.people for each in card.attrition] == [4000, None]  # 4,000 less 3,997 would be 3 people


def test_measures_at_the_cut_are_given_only_where_both_sides_of_it_may_be_shown(card):
    for judged in card.judged:
        for each in judged.groups:
            if "ppv" in each.measures:
                assert each.listed is not None
                assert each.listed_events is not None


def test_the_published_score_has_no_calibration_and_is_put_in_the_same_places(card):
    judged = card.judged[0]
    assert set(judged.baseline) == {"auroc", "auprc", "sensitivity", "ppv", "number_to_review"}
    assert judged.baseline["auroc"].value < group(card, "later_elsewhere").measures["auroc"].value


def test_a_learning_curve_ends_with_all_rows_that_were_fitted_on(card):
    assert card.learning[-1].rows == pytest.approx(little_cohort().part("fit").rows.height, abs=2)


def test_the_same_model_and_people_give_the_same_card(card):
    again = make_card(little_model(), little_cohort(), listed_percent=5, said_by_site={"17": "Invented"})
    assert again.model_dump_json() == card.model_copy(update={"learning": ()}).model_dump_json()
    assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_every_item_of_the_report_is_said_or_marked_as_missing(card):
    said = {each.item: each.said for each in card.report}
    assert list(said) == list(ITEMS)
    assert {item.rstrip("abcdefg") for item in said} == {str(number) for number in range(1, 28)}
    assert said["17"] == "Invented"
    assert said["18a"] is None
    page = model_page(card, is_test=True)
    assert page.count('<span class="tag hold">missing</span>') == sum(each is None for each in said.values())


def test_what_the_site_says_is_read_by_item(tmp_path):
    file = tmp_path / "little_model.report.yaml"
    assert read_said(file) == {}
    file.write_text('"18a": Nobody paid\n', encoding="utf-8")
    assert read_said(file) == {"18a": "Nobody paid"}
    file.write_text('"28": Nobody paid\n', encoding="utf-8")
    with pytest.raises(RuleError, match="found 28"):
        read_said(file)


def test_the_page_has_a_table_for_each_plot_and_says_what_each_shows(card):
    page = model_page(card, is_test=True)
    assert "TEST – invented patients" in page
    plots = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', page)
    assert len(plots) == page.count("<figure>") > 20
    assert len(set(plots)) == len(plots)
    tables = re.findall(r"<caption>By group.*?</table>", page, re.DOTALL)
    assert len(tables) == 2 * len(PARTS)
    drawn = {each.split(", by group")[0] for each in plots if ", by group" in each}
    heads = "".join(tables[:2])
    assert "Net benefit for each person of acting on those inside the cut" in drawn
    assert heads.count('<th scope="col" class="number">') == len(drawn) + len(("rows", "with the outcome", "inside"))
    for part in PARTS.values():
        assert part in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="http', page)
    assert "k0000" not in page
    assert model_page(card, is_test=True) == page


def test_a_model_that_could_not_be_judged_says_so():
    cohort = little_cohort()
    few = type(cohort)(cohort.part("fit").rows, cohort.attrition, cohort.names, cohort.observed)
    card = make_card(little_model(), few)
    assert card.limits == ("Too few people with the outcome were kept from fitting: how well it does is not known.",)
    assert "Too few people, or too few with the outcome, to measure." in model_page(card, is_test=True)


def test_a_model_that_says_half_the_risk_has_its_limits_said():
    model = little_model()
    lower = model.model_copy(update={"fitted": model.fitted.model_copy(update={"base": model.fitted.base - 1.0})})
    limits = make_card(lower, little_cohort()).limits
    assert "Risks are too high or too low as a whole on unseen people: the intercept is beyond 0.05." in limits
    assert "More events than foretold in the group Sex: F." in limits
