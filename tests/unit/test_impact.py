"""Impact: designs held equal to other hands', people taken from kept lists, and words that always hold a comparison."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import invented
import stratify
from stratify.errors import RunError
from stratify.impact import designs, people
from stratify.impact.designs import Estimate, Group
from stratify.impact.findings import Finding, in_words, row_of, settled
from stratify.rules.evaluation import Evaluation

DAYS = [365.0, 365, 200, 365, 90, 365, 365, 365, 365, 30, 365, 365] * 2
OFFERED = [True] * 6 + [False] * 6 + [True] * 6 + [False] * 6
BEFORE = [2.0, 3, 2, 5, 4, 2, 2, 3, 6, 2, 4, 2, 3, 2, 2, 2, 3, 4, 2, 2, 3, 5, 2, 2]
AFTER = [1.0, 0, 2, 3, 1, 0, 2, 1, 4, 0, 2, 1, 0, 1, 1, 2, 0, 3, 1, 2, 0, 1, 3, 2]


def units(**changes: object) -> pl.DataFrame:
    columns = {"is_offered": OFFERED, "block": ["a"] * 24, "events_before": BEFORE, "days_before": [365.0] * 24}
    return pl.DataFrame(columns | {"events_after": AFTER, "days_after": DAYS} | changes)


def evaluation(**changes: object) -> Evaluation:
    given = {
        "id": "clinic",
        "version": "1.0.0",
        "name": "Does the clinic help?",
        "owner": "Somebody",
        "pathway": "lungs",
        "clinic": "lung_clinic",
        "design": "lot",
        "outcome": "emergency_admission",
        "recruits_from": date(2026, 1, 5),
        "recruits_until": date(2026, 1, 26),
        "before_days": 365,
        "after_days": 182,
    }
    return Evaluation.model_validate(given | changes)


# ---------------------------------------------------------------------------------------------------- the reckoning


def test_a_lot_gives_what_statsmodels_gives():
    """statsmodels 0.15.0, WLS with cov_type HC2, weights the days followed; Student's t with 17.83 degrees."""
    found = designs.by_lot(units())
    assert found.difference == pytest.approx(-40.725865, abs=1e-5)
    assert found.standard_error == pytest.approx(48.336788, abs=1e-5)
    assert (found.lower, found.upper) == pytest.approx((-142.348561, 60.896831), abs=1e-5)
    assert (found.offered.people, found.comparison.people) == (12, 12)


def test_a_match_gives_what_statsmodels_gives_and_leaves_out_whoever_has_no_counterpart():
    """Three blocks: 6 of 12 offered, 4 of 10, none of 2; HC2, weights 6/6 and 4/6 for the others, a level a block."""
    offered = [*OFFERED[:12], False, False, *OFFERED[14:]]
    found = designs.matched(units(block=["a"] * 12 + ["b"] * 10 + ["c"] * 2, is_offered=offered))
    assert found.difference == pytest.approx(26.548955, abs=1e-5)
    assert found.standard_error == pytest.approx(52.304946, abs=1e-5)
    assert (found.offered.people, found.comparison.people) == (10, 12)


COUNTS = [3, 2, 2, 1, 2, 1, 1, 0, 2, 4, 1, 2, 0, 1, 2, 1, 1, 2, 3, 0, 1, 1, 0, 1,
          4, 1, 2, 2, 3, 1, 0, 0, 2, 2, 1, 1, 1, 0, 2, 1, 3, 3, 0, 2, 2, 2, 1, 0]  # fmt: skip


def cut_units(above: int = 4) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "is_offered": [True] * 4 + [False] * 4,
            "position": [place + 0.5 for place in range(-4, 4)],
        }
    ).select(pl.all().repeat_by(1).explode()).pipe(lambda one: pl.concat([one] * 6)).with_columns(
        pl.Series("events_after", COUNTS, dtype=pl.Float64),
        pl.lit(182.0).alias("days_after"),
        pl.lit(above).alias("above"),
        pl.lit(4).alias("below"),
    )  # fmt: skip


def test_a_cut_gives_what_rdrobust_gives():
    """rdrobust 2.1.1: p 1, q 2, h and b 4 places, triangular kernel, vce hc2: bias-corrected, robust."""
    found = designs.at_the_cut(cut_units(), within=4)
    assert found.difference == pytest.approx(-103.479138, abs=1e-5)
    assert found.standard_error == pytest.approx(191.116926, abs=1e-5)


def test_lists_too_short_on_one_side_of_the_cut_are_left_out():
    both = pl.concat([cut_units(), cut_units(above=3).with_columns(pl.lit(9.0).alias("events_after"))])
    assert designs.at_the_cut(both, within=4) == designs.at_the_cut(cut_units(), within=4)


def test_a_mixture_of_places_finds_an_effect_put_on_top_of_what_all_share():
    """Twelve places that move together, one after another 3 higher; what is switched on takes 5 away in the second."""
    season = np.array([0.0, 1, 2, 1] * 6)
    noise = np.random.Generator(np.random.PCG64(3)).normal(0, 0.1, (12, 24))
    rates = 40 + 3 * np.arange(12)[:, None] + season + noise
    rates[1, 16:] -= 5
    difference, error, rate = designs.synthetic_control(rates, np.arange(12) == 1, before=16)
    assert difference == pytest.approx(-5, abs=0.2)
    assert 0 < error < 0.2
    assert rate == pytest.approx(43 + season[16:].mean(), abs=0.2)


def test_the_smallest_difference_seen_is_2_8_errors():
    """1.96 + 0.84 = 2.80; to see 10 of 100 with 28 takes (28/10)² as many people: 200 times 7.84."""
    group = Group(100, 100.0, 100.0)
    found = Estimate(group, group, 0.0, 10.0, -20.0, 20.0, 100.0)
    assert found.smallest_seen == pytest.approx(28.0, abs=0.02)
    assert found.people_needed(10) == pytest.approx(1570, abs=3)


# ------------------------------------------------------------------------------------------------ kept lists to people

WEEK = date(2026, 1, 5)


def row(key: str, rank: int, placement: str, week: date = WEEK, **changes: object) -> dict[str, object]:
    return {
        "week": week,
        "patient_key": key,
        "pathway": "lungs",
        "clinic_id": "lung_clinic",
        "practice_code": "A1",
        "placement": placement,
        "priority_rank": rank,
        "tier": "high",
        **changes,
    }


def test_everybody_counts_by_the_first_list_they_were_on():
    second = WEEK + timedelta(weeks=1)
    rows = [
        row("a", 1, "listed"),
        row("b", 2, "waiting"),
        row("c", 3, "waiting"),
        row("b", 1, "listed", second),
        row("c", 2, "waiting", second),
        row("d", 3, "waiting", second),
        row("e", 1, "listed", WEEK - timedelta(weeks=1)),
        row("e", 4, "waiting", second),
        row("f", 1, "listed", pathway="heart"),
    ]
    found = people.first_lists(invented.frame("audit.list_row", rows), evaluation())
    told = found.sort("patient_key").select("patient_key", "is_offered", "position", "above", "below", "later").rows()
    assert told == [
        ("a", True, -0.5, 1, 2, WEEK),
        ("b", False, 0.5, 1, 2, second),
        ("c", False, 1.5, 1, 2, None),
        ("d", False, 1.5, 1, 3, None),
    ]


def test_a_list_out_of_order_has_no_cut():
    rows = [row("a", 1, "waiting"), row("b", 2, "listed"), row("c", 1, "listed", practice_code="A2")]
    found = people.in_order(people.first_lists(invented.frame("audit.list_row", rows), evaluation()))
    assert found["patient_key"].to_list() == ["c"]


def followed(events: list[date], gone: date | None = None, until: date = date(2026, 12, 1)) -> pl.DataFrame:
    return people.followed(
        pl.DataFrame({"patient_key": ["a"], "week": [WEEK]}),
        pl.DataFrame(
            {"patient_key": ["a"] * len(events), "event_date": events},
            schema={"patient_key": pl.String, "event_date": pl.Date},
        ),
        pl.DataFrame(
            {"patient_key": ["a"], "last_date": [gone]}, schema={"patient_key": pl.String, "last_date": pl.Date}
        ),
        evaluation(),
        data_until=until,
    )


def test_follow_up_begins_on_the_day_of_the_list_and_ends_before_its_last():
    """182 days from 5 January: 6 July is the first day no more; a year before is 5 January 2025."""
    first, last = WEEK - timedelta(days=365), WEEK + timedelta(days=181)
    outside = [first - timedelta(days=1), last + timedelta(days=1)]
    found = followed([first, WEEK - timedelta(days=1), WEEK, last, *outside]).row(0, named=True)
    assert (found["events_before"], found["events_after"], found["days_after"]) == (2, 2, 182)


def test_death_ends_follow_up_and_a_follow_up_not_over_is_not_counted():
    died = followed([WEEK + timedelta(days=9), WEEK + timedelta(days=10)], gone=WEEK + timedelta(days=9))
    assert died.select("events_after", "days_after").row(0) == (1, 10)
    assert followed([], until=WEEK + timedelta(days=181)).height == 1
    assert followed([], until=WEEK + timedelta(days=180)).is_empty()


# ---------------------------------------------------------------------------------------------------------- the words


def finding(offered: Group, comparison: Group, error: float = 5.0, **changes: object):
    difference, found, plan = offered.rate - comparison.rate, None, evaluation()
    if comparison.people:
        ends = (difference - 2 * error, difference + 2 * error)
        found = Estimate(offered, comparison, difference, error, *ends, comparison.rate)
    return settled(plan, plan.outcome, found, (offered, comparison), basis=100.0, **changes)


def test_what_is_told_has_the_comparison_beside_it():
    told = in_words(finding(Group(203, 100.0, 90.0), Group(198, 100.0, 110.0)))
    assert "about 205 people to whom the lot gave a place, and about 200 people who were as much in need" in told
    assert "90 emergency admissions for 100 people a year against 110 in the comparison" in told
    assert "a difference of -20 (95 % interval -30 to -10). That is fewer than in the comparison" in told
    assert "8 times in 10 is 14 emergency admissions" in told


def test_no_estimate_can_be_made_without_a_comparison():
    required = {each.name for each in fields(Estimate) if each.default is MISSING}
    assert {"comparison", "comparison_rate", "lower", "upper"} <= required
    with pytest.raises(TypeError):
        Estimate(offered=Group(1, 1.0, 1.0), difference=1.0)  # type: ignore[call-arg]
    with pytest.raises(RunError, match="expected a comparison"):
        Estimate(Group(50, 50.0, 9.0), Group(0, 0.0, 0.0), -5.0, 1.0, -7.0, -3.0, 14.0)


BANNED = re.compile(r"(fell|fallen|dropped|reduced|rose|risen|increased|saved|avoided)\b[^.]{0,60}(\bby\b|%|per cent)")


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param((Group(203, 100.0, 90.0), Group(198, 100.0, 110.0)), id="fewer"),
        pytest.param((Group(203, 100.0, 110.0), Group(198, 100.0, 90.0)), id="more"),
        pytest.param((Group(203, 100.0, 91.0), Group(198, 100.0, 90.0)), id="alike"),
        pytest.param((Group(19, 10.0, 9.0), Group(198, 100.0, 90.0)), id="few people"),
        pytest.param((Group(50, 25.0, 9.0), Group(50, 25.0, 30.0)), id="few events"),
        pytest.param((Group(0, 0.0, 0.0), Group(0, 0.0, 0.0)), id="nobody"),
    ],
)
def test_no_finding_says_that_something_fell_by_so_much(groups):
    told = in_words(finding(*groups))
    assert not BANNED.search(told)
    assert "comparison" in told or "as much in need" in told


def test_a_harm_counted_beside_does_not_repeat_a_question_that_it_does_not_answer():
    groups = (Group(203, 100.0, 90.0), Group(198, 100.0, 110.0))
    asked = evaluation(harms=["death"])
    told = in_words(Finding(asked, "death", *groups, why_not="nobody was followed"))
    assert (
        told.startswith(f"Harm looked for beside {asked.id}: deaths. It cannot be told yet") and asked.name not in told
    )
    assert in_words(Finding(asked, asked.outcome, *groups, why_not="so")).startswith(asked.name)


def test_no_text_of_ours_says_that_something_fell_by_so_much():
    """Whoever wants to say so must make a finding; there is no other place that speaks of an effect."""
    said = re.compile(
        r"(admissions|attendances|deaths)[^.\n]{0,40}(fell|dropped|reduced|rose|increased)[^.\n]{0,20}\bby\b"
    )
    for path in sorted(Path(stratify.__file__).parent.rglob("*.py")):
        assert not said.search(path.read_text(encoding="utf-8")), path.name


def test_with_too_little_it_cannot_be_told_and_says_what_it_would_take():
    """Half a year each: (1.96 + 0.84)² x 800 x 100 / (182/365.25 x 10²) = 12,600 for 10 % of a rate of 100."""
    found = finding(Group(30, 15.0, 9.0), Group(40, 20.0, 30.0))
    assert found.estimate is None and found.people_needed == pytest.approx(13_000, abs=1)
    told = in_words(found)
    assert "It cannot be told yet: fewer than 10 emergency admissions on one side." in told
    assert "to see one of 10 % of the comparison takes about 13,000 people in all" in told
    nothing = row_of(found)
    assert [nothing[name] for name in ("difference", "lower_95", "offered_rate", "comparison_rate")] == [None] * 4
    assert nothing["status"] == "cannot be told yet"


@pytest.mark.parametrize(
    ("people_count", "shown", "words"),
    [
        pytest.param(0, 0, "nobody", id="nobody"),
        pytest.param(1, None, "fewer than 8 people", id="one"),
        pytest.param(7, None, "fewer than 8 people", id="seven"),
        pytest.param(8, 10, "about 10 people", id="eight"),
        pytest.param(22, 20, "about 20 people", id="twenty_two"),
    ],
)
def test_small_groups_are_hidden_and_others_rounded(people_count, shown, words):
    found = finding(Group(people_count, 10.0, 5.0), Group(100, 50.0, 50.0))
    assert row_of(found)["offered_people"] == shown
    assert words in in_words(found)


# ---------------------------------------------------------------------------------------------------- declarations


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design": "cut"}, "within_places goes with"),
        ({"within_places": 5}, "within_places goes with"),
        ({"design": "places"}, "a clinic is named for"),
        ({"clinic": None}, "a clinic is named for"),
        ({"harms": ["emergency_admission"]}, "not counted again"),
        ({"recruits_until": date(2026, 1, 4)}, "no earlier than"),
    ],
)
def test_a_declaration_that_does_not_hold_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        evaluation(**changes)


def test_another_plan_has_another_digest():
    assert evaluation().digest == evaluation().digest
    assert evaluation().digest != evaluation(after_days=183).digest
