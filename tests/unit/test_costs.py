"""What an offer costs for each outcome: two published examples, ranges, what is not told, and what may be declared."""

from __future__ import annotations

import re

import polars as pl
import pytest
import yaml

from commissioner_page import PAGE
from stratify.cost_book import Costs, load_costs
from stratify.errors import RuleError
from stratify.publish.costs import NOBODY, NOT_PRICED, offer_costs, payer_activity, work_out
from stratify.rules.cost import OfferCost

DECLARED = {
    "id": "champions", "version": "1.0.0", "name": "Diabetes champions", "owner": "Diabetes lead",
    "pathway": "diabetes", "outcome": "offers_taken_up", "price_year": 2013, "source": "An invented tariff",
}  # fmt: skip
PLACE = {"geography_type": "icb", "geography_code": "QXX", "geography_name": "Board"}
NAMES = pl.DataFrame([PLACE, {**PLACE, "geography_type": "practice", "geography_code": "A81001"}])


def price(pounds, lowest=None, highest=None):
    return {"pounds": pounds, "lowest": lowest or pounds, "highest": highest or pounds}


def offer(**changes):
    return OfferCost.model_validate(DECLARED | {"for_each_offered": price(4, 3, 6)} | changes)


def value(metric="offers_taken_up", numerator=50, denominator=200, reason=None, **changes):
    row = {
        "metric": metric, "pathway": "diabetes", "status": "provisional", "geography_type": "icb",
        "geography_code": "QXX", "breakdown": "all", "period_start": None, "period_end": None, "numerator": numerator,
        "denominator": denominator, "value": 25.0, "lower_95": 19.5, "upper_95": 31.4, "reason": reason,
    }  # fmt: skip
    return row | changes


def told(cost, *values):
    frame = pl.DataFrame(values, schema_overrides={"reason": pl.String}, infer_schema_length=None)
    (row,) = offer_costs(frame, NAMES, Costs((cost,)), {"offers_taken_up": "People who began"}).to_dicts()
    return row


def test_the_published_example_of_dimple_and_its_range():
    """DIMPLE, north-west London, 2013: 366 events reached 9,000 people, 75 % changed what they do, £11.36 for each £1.

    Source: NIHR CLAHRC for north-west London, DIMPLE, 19 June 2013. What it cost is not there. With an invented £100 an
    event (£80 to £130), 366 x 100 / 9,000 = £4.0667 for each person, and £11.36 then stands for a declared worth of
    11.36 x 36,600 / 6,750 = £61.60 for each who changed.
    """
    each = price(366 * 100 / 9000, 366 * 80 / 9000, 366 * 130 / 9000)
    found = work_out(
        offer(for_each_offered=each, outcome_worth=price(61.60, 30.00, 70.00)), offered=9000, begun=9000, outcomes=6750
    )
    assert (found.total.middle, found.total.low, found.total.high) == pytest.approx((36600, 29280, 47580))
    assert found.per_pound.middle == pytest.approx(11.36, abs=0.005)
    # Wilson of 6,750 in 9,000: 74.095 % to 75.884 %, or 6,668.5 to 6,829.6 people.
    assert (found.per_outcome.low, found.per_outcome.high) == pytest.approx((29280 / 6829.6, 47580 / 6668.5), abs=0.001)
    assert found.per_outcome.middle == pytest.approx(5.42, abs=0.005)  # 36,600 / 6,750
    assert found.per_pound.low == pytest.approx(30 * 6668.5 / 47580, abs=0.001)
    assert found.per_pound.high == pytest.approx(70 * 6829.6 / 29280, abs=0.001)


def test_a_published_example_that_says_what_it_cost():
    """The Health Precinct, north Wales, doi:10.3390/ijerph17145249: £55,389 for 159 people, worth £281,010: £5.07 a £1.

    The worth is spread over the 66 people who were followed up.
    """
    cost = offer(for_each_offered=price(55389 / 159), outcome_worth=price(281010 / 66))
    found = work_out(cost, offered=159, begun=159, outcomes=66)
    assert found.total.middle == pytest.approx(55389)
    assert found.per_pound.middle == pytest.approx(5.07, abs=0.005)
    assert found.per_outcome.middle == pytest.approx(839.23, abs=0.005)  # 55,389 / 66
    assert found.per_outcome.low < 839.23 < found.per_outcome.high  # of chance alone, the price being one figure


def test_who_was_offered_and_who_began_are_paid_for_each_at_their_own_price():
    """200 x 4 + 50 x 30 = 2,300 (3 and 20: 1,600; 6 and 40: 3,200); 2,300 / 50 = 46."""
    row = told(offer(for_each_begun=price(30, 20, 40)), value())
    assert (row["cost_pounds"], row["cost_lowest_pounds"], row["cost_highest_pounds"]) == (2300, 1600, 3200)
    assert row["cost_per_outcome_pounds"] == 46
    # Wilson of 50 in 200: 19.51 % to 31.44 %, 39.0 to 62.9 people.
    assert row["cost_per_outcome_lower_pounds"] == pytest.approx(1600 / 62.87, abs=0.05)
    assert row["cost_per_outcome_upper_pounds"] == pytest.approx(3200 / 39.02, abs=0.05)
    assert (row["status"], row["reason"], row["worth_per_pound"]) == ("told", None, None)
    assert "£46.00 for each (£25.45 to £82.02" in row["in_words"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        pytest.param([value(pathway="copd")], NOBODY, id="nobody_was_offered_it"),
        pytest.param([value(numerator=None, reason="hidden: a few")], "hidden: a few", id="a_count_is_hidden"),
        pytest.param([value(numerator=10, denominator=15)], "fewer than 20 people were offered it", id="15_offered"),
        pytest.param([value(numerator=0)], "fewer than 10 people had the outcome", id="no_outcome"),
        pytest.param([value(numerator=10, denominator=20)], None, id="just_enough_of_both"),
    ],
)
def test_below_the_bounds_it_cannot_be_told_yet(values, why):
    row = told(offer(), *values)
    assert (row["status"] == "told") == (why is None) and row["reason"] == why
    if why:
        assert row["cost_pounds"] is row["cost_per_outcome_pounds"] is None
        assert row["in_words"] == f"Diabetes champions: what an outcome costs cannot be told yet: {why}."


@pytest.mark.parametrize("worth", [None, price(100, 50, 150)])
def test_no_sentence_says_that_anything_was_saved(worth):
    words = told(offer(outcome_worth=worth), value())["in_words"].lower()
    assert "only a comparison tells" in words
    assert not [each for each in ("sav", "return", "benefit", "effect", "prevent", "avoid") if each in words]


def test_a_payer_without_price_or_feed_says_why_and_never_nought():
    metrics = pl.DataFrame(
        [
            {"metric": name, "metric_version": "1.0.0", "name": name, "is_measurable": why is None,
             "not_measurable_because": why}
            for name, why in (("emergency_admissions", None), ("ed_attendances", "the feed was not received"))
        ]
    )  # fmt: skip
    values = pl.DataFrame([value("emergency_admissions", pathway="all")], schema_overrides={"reason": pl.String})
    spells, attendances = payer_activity(values, NAMES, Costs(), metrics).sort("metric", descending=True).to_dicts()
    assert (spells["event_count"], spells["cost_pounds"], spells["cost_reason"]) == (50, None, NOT_PRICED)
    assert (attendances["event_count"], attendances["cost_pounds"]) == (None, None)
    assert attendances["reason"] == attendances["cost_reason"] == "the feed was not received"


# ------------------------------------------------------------------------------------------------------ declarations


def written(folder, **file):
    for name, text in (("costs", yaml.safe_dump(file)), ("metrics", METRIC)):
        (folder / name).mkdir()
        (folder / name / "one.yaml").write_text(text, encoding="utf-8")
    return folder


METRIC = """
metrics:
  - {id: offers_taken_up, version: 1.0.0, name: People who began, owner: Lead, affects: [community], family: process,
     kind: share, numerator: {steps_to: [activated]}, denominator: {steps_to: [offered]}, period: year_with_this_week,
     exclusions: None, suppression: standard, source: Own, logic_model: {node: output}}
  - {id: places_given, version: 1.0.0, name: Places, owner: Lead, affects: [community], family: process, kind: share,
     numerator: {placed: [listed]}, denominator: {decided: clinic}, period: this_week, exclusions: None,
     suppression: standard, source: Own, logic_model: {node: output}}
"""
OFFER = DECLARED | {"for_each_begun": price(30, 20, 40)}
SPELL = {"metric": "emergency_admissions", "each": price(2000.0), "owner": "Lead", "price_year": 2026, "source": "Own"}


def test_the_example_of_the_page_for_commissioners_can_be_declared(tmp_path):
    (example,) = re.findall(r"^```yaml\n(offers:[^`]+)```", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    found = load_costs(written(tmp_path, **yaml.safe_load(example)))
    assert [each.id for each in found.offers] == ["copd_app"] and set(found.activities) == {"emergency_admissions"}


def test_costs_are_read_and_none_are_declared_for_anybody(tmp_path):
    assert load_costs() == Costs()
    found = load_costs(written(tmp_path, offers=[OFFER], activities=[SPELL]))
    assert found.offers[0].for_each_begun.highest == 40 and found.activities["emergency_admissions"].each.pounds == 2000


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"offers": [OFFER | {"for_each_begun": price(30, 31, 40)}]}, "lowest, pounds and highest are in that order"),
        ({"offers": [DECLARED]}, "for_each_offered, for_each_begun or both"),
        ({"offers": [OFFER | {"outcome": "places_given"}]}, "share of people who came to the state offered"),
        ({"offers": [OFFER, OFFER]}, "an id of its own"),
        ({"activities": [SPELL, SPELL]}, "one price of each activity"),
        ({"activities": [SPELL | {"each": price(0.0)}]}, "greater than 0"),
    ],
)
def test_a_declaration_that_cannot_be_worked_with_says_why(tmp_path, file, words):
    with pytest.raises(RuleError, match=words):
        load_costs(written(tmp_path, **file))
