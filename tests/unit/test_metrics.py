"""Each metric by hand, on sixteen invented people; days, ages and registrations at their edges."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from metrics_example import ADMISSIONS, CUTOFFS, fill, spell
from publish_example import context, frame, key

from stratify import intervals, metrics
from stratify.errors import RuleError
from stratify.metric_book import MOST_ACID_TESTS, feeds_of, load_metrics, why_not, windows
from stratify.metric_events import read_events
from stratify.metric_run import NOT_ASKED, counted
from stratify.publish import HeldList, build_counts
from stratify.publish.metric_tables import HELD
from stratify.rulebook import load_rule_book
from stratify.rules.metric import Metric, MetricsFile
from stratify.store import open_store

# Numerator and denominator of every metric, and of those with a final year of that too.
BY_HAND = {
    # 1 November (1), 31 October (1), 31 August (2), 15 September (3), 1 April (4), 1 March (11), 1 February (14), three
    # of 15; ten people are registered. Final: 31 October 2025 instead of 2026, no 15 September; person 9 was not there.
    "emergency_admissions": [(10, 10), (9, 9)],
    "emergency_admissions_65_and_over": [(9, 8), (8, 7)],  # without person 4, and 5 of unknown age
    "other_admissions": [(3, 10), (3, 9)],  # 2 August (2), 16 August (3), 25 February (14)
    "emergency_bed_days": [(18, 10)],  # 3 and 2 (1), 1 (3), 2 (11), 10 (14)
    # 1 after a day and 2 after 29, of 1 twice, 2 twice, 3 twice, 11 and 14; not of 2 November, which is too late.
    "readmitted_within_30_days": [(2, 8)],
    "ed_attendances": [(3, 10), (2, 9)],
    "ed_attendances_type_1": [(2, 10), (1, 9)],
    "copd_exacerbation_admissions": [(2, 4)],
    # All but that of 31 October: person 1 had been listed on the 1st. Person 2 was listed on the day itself.
    "admissions_of_people_never_listed": [(9, 10)],
    "still_at_home_91_days_after_discharge": [(1, 5)],
    "care_home_admissions": [(2, 10)],
    "permanent_care_home_admissions": [(1, 8)],  # 2, not 4
    "preferred_place_recorded": [(2, 3)],  # 14 and 16, not 15 who was undecided
    "died_in_preferred_place": [(1, 2)],  # 14 by the last preference, 16 by the last before death
    "three_admissions_before_death": [(1, 3)],
    "care_home_visit_requests": [(2, 61)],  # 31 and 10 beds at A81001, 20 at A81002
    "patient_reported_experience": [(30, 50)],
    "gp_appointments": [(3, 10)],
    "community_contacts": [(2, 10)],
    "community_referrals_seen_within_28_days": [(1, 3)],
    # In October, of persons 1, 2 and 3.
    "scorecard_outpatient_first": [(1, 3)],
    "scorecard_outpatient_follow_up": [(1, 3)],
    "scorecard_emergency_same_day": [(0, 3)],
    "scorecard_emergency_overnight": [(1, 3)],
    "scorecard_bed_days": [(2, 3)],
    "scorecard_ed_type_1": [(1, 3)],
    "scorecard_ed_other": [(0, 3)],
    "scorecard_gp_appointments": [(2, 3)],
    "scorecard_community_contacts": [(1, 3)],
    "diabetes_hba1c": [(2, 3)],
    "diabetes_blood_pressure": [(1, 3)],
    "diabetes_cholesterol": [(1, 3)],
    "diabetes_kidney_function": [(2, 3)],
    "diabetes_urine_albumin": [(1, 3)],
    "diabetes_foot_check": [(1, 3)],
    "diabetes_body_mass_index": [(3, 3)],
    "diabetes_smoking_status": [(0, 3)],
    "diabetes_all_eight_processes": [(1, 3)],
    "places_given": [(1, 2)],
    "offers_made": [(1, 2)],
    "offers_taken_up": [(1, 2)],  # offered to 7 and 3; 7 began
    "waiting_over_28_days": [(1, 2)],  # 2 for 28 days exactly, 8 for 29
    "did_not_attend": [(2, 4)],  # 5 and 6, of 1, 4, 5 and 6
    "lists_answered": [(1, 2)],  # 1 answered; 2 answered before being listed
    "declined": [(1, 7)],  # 8, of 1, 2, 4, 5, 6, 7 and 8
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as opened:
        fill(opened)
        yield opened


@pytest.fixture(scope="module")
def run():
    return context(data_cutoffs=CUTOFFS, pathways=load_rule_book().published)


@pytest.fixture(scope="module")
def found(store, run):
    return counted(store, load_metrics(), run, load_rule_book())


def numbers(found, metric, pathway="all"):
    """Give numerator and denominator of each period: provisional, then final."""

    def total(subject, part):
        mine = found.counts.filter((pl.col("subject") == subject) & (pl.col("part") == part))
        return mine["people_count"].sum()

    rows = [each for each in found.rows if each.metric == metric and each.pathway in (pathway, "all")]
    return [(total(each.subject, "numerator"), each.total) for each in rows], total


@pytest.mark.parametrize("metric", BY_HAND)
def test_each_metric_is_what_is_worked_by_hand(found, metric):
    parts, total = numbers(found, metric, "copd")
    # What a pathway decided is counted where pathways are counted: four people on the pathway, two of each decision.
    of_pathway = {("frailty", "all"): 3, ("copd", "all"): 4, ("copd", "clinic"): 2, ("copd", "self_management"): 2}
    assert [(part, of_pathway.get(whole) or total(*whole)) for part, whole in parts] == BY_HAND[metric]


def test_every_metric_is_worked_by_hand(found):
    assert {each.id for each in load_metrics()} == set(BY_HAND)
    assert found.refused == {}


def test_an_answer_is_of_the_days_of_its_round(found):
    [row] = [each for each in found.rows if each.metric == "patient_reported_experience"]
    assert (row.period_start, row.period_end) == (date(2026, 1, 2), date(2026, 3, 31))


def test_everybody_discharged_to_reablement_is_in_exactly_one_state_on_day_91(store):
    events = read_events(store, {"reablement": date(2025, 8, 2)})["reablement"]
    states = {row["patient_key"]: row["state"] for row in events.to_dicts()}
    assert len(states) == events.height
    assert states == {
        key(8): "at_home", key(2): "in_care_home", key(3): "in_hospital", key(6): "at_home",
        key(11): "not_traceable", key(14): "died",
    }  # fmt: skip


def test_beds_and_answers_have_no_breakdown_and_are_kept_like_other_numbers(store, run, found):
    build_counts(store, run, found, signature="Not signed")
    shown = store.rows(
        "SELECT metric, geography_code, breakdown, numerator, denominator, is_suppressed FROM out.metric_value "
        "WHERE metric IN ('care_home_visit_requests', 'patient_reported_experience') AND geography_type <> 'pcn' "
        "ORDER BY ALL"
    )
    assert shown == [
        ("care_home_visit_requests", "A81001", "all", None, 40, True),
        ("care_home_visit_requests", "A81002", "all", 0, 20, False),
        ("care_home_visit_requests", "QXX", "all", None, 60, True),
        ("patient_reported_experience", "A81001", "all", 20, 30, False),
        ("patient_reported_experience", "A81002", "all", 10, 20, False),
        ("patient_reported_experience", "QXX", "all", 30, 50, False),
    ]


def test_those_who_have_it_and_the_rest_are_the_denominator(found):
    parts, total = numbers(found, "diabetes_hba1c")
    subject = next(each.subject for each in found.rows if each.metric == "diabetes_hba1c")
    assert total(subject, "numerator") + total(subject, "rest") == total(*parts[0][1]) == 3


def test_nobody_who_objected_and_no_test_record_is_counted(found):
    assert found.people.height == 10
    assert not set(found.people["patient_key"]) & {key(12), key(13)}


def test_groups_always_have_those_who_are_not_known(found):
    mine = found.people.filter(pl.col("patient_key") == key(5)).row(0, named=True)
    assert mine["age_band"] == mine["ethnic_group"] == "not known"
    assert found.people.filter(pl.col("patient_key") == key(4))["imd_quintile"].item() == "not known"


def test_whoever_was_in_a_care_home_for_a_time_is_not_known_to_live_there_or_elsewhere(found):
    homes = dict(found.people.select("patient_key", "care_home").rows())
    assert [homes[key(number)] for number in (1, 2, 3, 4)] == ["yes", "yes", "not known", "no"]


def test_where_no_definition_tells_of_care_homes_nobody_is_said_to_live_in_none(store, run):
    book = load_rule_book()
    variables = {name: each for name, each in book.variables.items() if "care_home" not in name}
    found = counted(store, [], run, replace(book, variables=variables))
    assert set(found.people["care_home"]) == {"not known"}


def test_events_of_few_people_are_hidden_though_they_are_many(store, run, found):
    """Ten admissions are no small number; that they are of two people is one."""
    again = [spell(1, date(2026, 1, day)) for day in range(1, 20)] + [spell(2, date(2026, 1, 1))]
    store.create("core.apc_spell", frame("core.apc_spell", again))
    try:
        build_counts(store, run, counted(store, load_metrics(), run, load_rule_book()), signature="Not signed")
        shown = store.rows(
            "SELECT numerator, denominator, is_suppressed, value FROM out.metric_value WHERE breakdown = 'all' "
            "AND metric = 'emergency_admissions' AND status = 'provisional' AND geography_type = 'icb'"
        )
        assert shown == [(None, 10, True, None)]
    finally:
        store.create("core.apc_spell", frame("core.apc_spell", ADMISSIONS))


def test_a_held_pathway_holds_its_metrics_and_says_so(store, run):
    """All who are scored are of A81001, whose diabetes lists are held: nobody is left to count, which is no nought."""
    held = HeldList("core.gp_observation", "OBS-01", "diabetes", "A81001", (), (), "a check failed", 3)
    held_run = replace(run, held=(held,))
    found = counted(store, load_metrics(), held_run, load_rule_book())
    build_counts(store, held_run, found, signature="Not signed")
    rows = store.rows(
        "SELECT geography_type, geography_code, numerator, value, is_suppressed, held, reason FROM out.metric_value "
        "WHERE metric = 'diabetes_hba1c' ORDER BY geography_type DESC"
    )
    assert [row[:2] for row in rows] == [("practice", "A81001"), ("pcn", "U10001"), ("icb", "QXX")]
    assert [row[5] for row in rows] == ["all", "part", "part"]
    assert {row[2:5] for row in rows} == {(None, None, False)} and {row[6] for row in rows} == {HELD}
    others = "SELECT count(*) FROM out.metric_value WHERE metric = 'emergency_admissions' AND held <> 'no'"
    assert store.scalar(others) == 0


def test_a_feed_that_was_not_received_is_not_nought(store, found):
    cutoffs = {"apc_episode": date(2026, 10, 31), "death": date(2026, 10, 31)}
    book = load_rule_book()
    without = counted(store, load_metrics(), context(data_cutoffs=cutoffs, pathways=book.published), book)
    assert set(without.refused) == {
        each.id
        for each in load_metrics()
        if set(feeds_of(each)) - set(cutoffs) or each.within == "care_home_admissions"
    }
    assert without.refused["ed_attendances"] == (
        "Not measurable from these sources: the feed ed_attendance was not received, which is not the same as nought."
    )
    assert "the feeds home_visit_request and care_home_bed were" in without.refused["care_home_visit_requests"]
    assert not {each.metric for each in without.rows} & set(without.refused)


def test_metrics_of_a_month_are_all_of_the_last_one_that_every_feed_of_theirs_covers(store, run):
    late = replace(run, data_cutoffs={**CUTOFFS, "ed_attendance": date(2026, 9, 29)})
    mine = [each for each in load_metrics() if each.period == "last_month"]
    rows = counted(store, mine, late, load_rule_book()).rows
    assert {(each.period_start, each.period_end) for each in rows} == {(date(2026, 8, 1), date(2026, 8, 31))}


def test_a_survey_without_the_question_is_not_measurable(store, run):
    other = [each for each in load_metrics() if each.id == "patient_reported_experience"]
    asked = other[0].denominator.model_copy(update={"survey_question": "never_asked"})
    found = counted(store, [other[0].model_copy(update={"denominator": asked})], run, load_rule_book())
    assert found.refused == {other[0].id: NOT_ASKED} and found.rows == ()


def test_a_metric_of_rules_that_are_not_there_says_so():
    metric = next(each for each in load_metrics() if each.id == "diabetes_hba1c")
    assert why_not(metric, load_rule_book(), CUTOFFS) is None
    lost = metric.model_copy(update={"pathway": "no_such_pathway"})
    assert why_not(lost, load_rule_book(), CUTOFFS) == "Not measurable: these rules do not work out no_such_pathway."


def test_admissions_before_anybody_was_listed_are_not_those_of_people_who_were_missed():
    metric = next(each for each in load_metrics() if each.id == "admissions_of_people_never_listed")
    day = date(2026, 11, 23)

    def start(first):
        return [each.start for each in windows(metric, CUTOFFS, index_date=day, first_step=first)]

    assert start(date(2026, 3, 4)) == [date(2026, 3, 4)]
    assert start(date(2020, 1, 1)) == [date(2025, 11, 1)]
    assert start(date(2026, 11, 1)) == []  # the day after the hospital data end
    assert start(None) == []


# Intervals and standardised rates


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        pytest.param(81, 263, 0.2553, 0.3662, id="Newcombe 1998, table I"),
        pytest.param(15, 148, 0.0624, 0.1605, id="Newcombe 1998, the second row"),
        pytest.param(0, 20, 0.0, 0.1611, id="Newcombe 1998, nobody"),
        pytest.param(1, 29, 0.0061, 0.1718, id="Newcombe 1998, one"),
    ],
)
def test_intervals_of_shares_are_those_that_newcombe_published(part, whole, low, high):
    """R. G. Newcombe 1998, Stat Med 17:857, method 3."""
    assert intervals.wilson(part, whole) == pytest.approx((low, high), abs=0.0001)


def test_intervals_of_counts_are_byars():
    """By hand for 10 events: 10 (1 - 1/90 - 1.96/(3 sqrt 10))^3 = 4.79; 11 (1 - 1/99 + 1.96/(3 sqrt 11))^3 = 18.39."""
    low, high = intervals.byar(10)
    assert (round(low, 2), round(high, 2)) == (4.79, 18.39)
    assert intervals.byar(0)[0] == 0.0


def test_a_standardised_rate_weighs_ages_like_the_standard_population():
    """Women of 0 to 4: 20 of 100, everybody else none: 0.2 x 5,000 / 200,000 = 0.005."""
    strata = pl.DataFrame(
        [
            {"practice_code": "A1", "imd_quintile": "1", "sex": sex, "stratum": stratum, "people_count": 100,
             "event_count": 20 if (sex, stratum) == ("F", 0) else 0}
            for sex in "FM"
            for stratum in range(19)
        ]
    )  # fmt: skip
    places = pl.DataFrame({"practice_code": ["A1"], "pcn_code": ["U1"], "icb_code": ["Q1"]})
    found = metrics.standardised(strata, places).filter(
        (pl.col("geography_type") == "icb") & (pl.col("breakdown") == "all")
    )
    assert found["rate"].to_list() == pytest.approx([0.005])
    low, high = intervals.dobson(found["rate"][0], found["rate_variance"][0], found["event_count"][0])
    # One stratum alone: the interval of 20 events, brought to the rate.
    assert (low, high) == pytest.approx(tuple(0.005 * each / 20 for each in intervals.byar(20)))
    assert math.isclose(sum(metrics.STANDARD_POPULATION), 100_000)
    without_the_oldest = strata.filter(pl.col("stratum") < 18)
    assert metrics.standardised(without_the_oldest, places).is_empty()


# Declarations


def declared(**changes):
    whole = {
        "id": "m", "version": "1.0.0", "name": "A metric", "owner": "Somebody", "family": "outcome", "kind": "rate",
        "per": 1000, "numerator": {"events": "emergency_admission"}, "denominator": {"registered": True},
        "period": "hospital_year", "exclusions": "None", "suppression": "standard", "source": "Own",
        "logic_model": {"node": "outcome"},
    }  # fmt: skip
    return {name: each for name, each in (whole | changes).items() if each is not None}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"numerator": {}}, id="a numerator of nothing"),
        pytest.param({"numerator": {"events": "ed_attendance", "sum_of": "x"}}, id="two numerators"),
        pytest.param({"denominator": None}, id="no denominator"),
        pytest.param({"per": None}, id="a rate for no number of people"),
        pytest.param({"numerator": {"answers": ["declined"]}}, id="a rate of people"),
        pytest.param({"not_measurable": "no feed"}, id="counted and not measurable"),
        pytest.param({"standardised": True, "denominator": {"on_pathway": "copd"}}, id="standardised on a pathway"),
        pytest.param({"numerator": {"events": "referral", "kinds": ["falls"], "within_days": 3}}, id="two ways"),
        pytest.param({"numerator": {"answers": ["x"], "kinds": ["falls"]}}, id="kinds of no event"),
        pytest.param({"kind": "share", "per": None, "numerator": {"within_days": 3}}, id="of people and not of events"),
        pytest.param({"denominator": {"survey_question": "q"}}, id="a rate of answers"),
        pytest.param({"suppression": "none"}, id="without suppression"),
        pytest.param({"sql": "SELECT 1"}, id="with SQL"),
    ],
)
def test_a_declaration_that_does_not_hold_together_is_refused(changes):
    assert Metric.model_validate(declared())
    with pytest.raises(ValueError, match=r".+"):
        Metric.model_validate(declared(**changes))


def test_a_seventh_acid_test_fails_the_build(tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()

    def write(number):
        mine = [declared(id=f"m{n}", acid_test=True) for n in range(number)]
        text = MetricsFile.model_validate({"metrics": mine}).model_dump_json(exclude_none=True, exclude_defaults=True)
        (folder / "some.yaml").write_text(text, encoding="utf-8")

    write(MOST_ACID_TESTS)
    assert len(load_metrics(tmp_path)) == 6
    write(7)
    with pytest.raises(RuleError, match="6 at most; found 7"):
        load_metrics(tmp_path)


def test_the_shipped_metrics_are_of_every_family_and_judge_pathways_that_are_there():
    shipped = load_metrics()
    assert {each.family for each in shipped} == {"outcome", "experience", "process"}
    assert all(each.owner and each.affects for each in shipped)  # none without somebody it is of, and whose work it is
    assert sum(each.acid_test for each in shipped) <= MOST_ACID_TESTS
    assert {name for each in shipped for name in each.logic_model.judges} <= set(load_rule_book().published)
