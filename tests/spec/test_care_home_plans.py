"""Plans of care-home residents, by the shipped definitions: without one of 12 months on the list, until it is coded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

import polars as pl
import pytest

import invented
from invented import Record, event, flagged
from stratify import coded_activity, engine
from stratify.pathways import decide
from stratify.rulebook import RuleBook, load_rule_book
from stratify.scores import add_scores
from weeks_in_a_row import Weeks, week_of

LIVES_IN, PLAN = "160734000", "811871000000107"
FIRST = week_of(0)  # 15 June 2026
PEOPLE = {
    "no_plan": [flagged("no_plan", "CARE_HOME_NURSING", date(2024, 1, 1))],
    "by_code_alone": [event("by_code_alone", LIVES_IN, date(2025, 9, 1))],
    "old_plan": [flagged("old_plan", "CARE_HOME_RESIDENTIAL", date(2024, 1, 1)),
                 event("old_plan", PLAN, date(2025, 6, 14))],
    "plan": [flagged("plan", "CARE_HOME_NURSING", date(2024, 1, 1)), event("plan", PLAN, date(2025, 6, 15))],
    "at_home": [],
}  # fmt: skip
NO_PLAN = "No anticipatory care plan recorded in the last 12 months"


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return load_rule_book().cut_down_to("care_homes", "frailty")


def run_weeks(book: RuleBook, *coded: Record, last: int, died: Mapping[str, date] = MappingProxyType({})) -> Weeks:
    """Run the weeks 0 to ``last`` with these entries beside what everybody has; each sees what is dated before it."""
    lists = Weeks(book)
    for week in range(last + 1):
        day = week_of(week)
        people = [
            {"patient_key": name, "age_years": 86,
             "person_status": "died" if died.get(name, date.max) <= day else "registered"}
            for name in sorted(PEOPLE)
        ]  # fmt: skip
        records = [each for mine in PEOPLE.values() for each in mine] + list(coded)
        seen = [each for each in records if each[1].get("effective_date", date.min) < day]
        tables, persons = invented.core_tables(seen), invented.frame("core.person", people)
        wide = invented.wide_of(persons, invented.values_of(tables, book, day), book, day)
        scored = engine.from_polars(invented.collected(add_scores(engine.from_polars(wide), book)))
        decided = pl.concat([invented.collected(decide(scored, each, book)) for each in book.pathways.values()])
        decided = decided.filter(pl.col("decision") != "not_eligible")
        plans = [row for table, row in coded if row["snomed_code"] == PLAN and row["effective_date"] < day]
        entries = pl.DataFrame(
            [{"patient_key": row["patient_key"], "codelist": "care_plan", "day": row["effective_date"],
              "source_file_id": "gp", "source_row": 2} for row in plans],
            schema=coded_activity.ENTRIES,
        )  # fmt: skip
        came = coded_activity.coded_outcomes(entries, lists.list_rows, book).to_dicts()
        round_ = {"clinic_id": "care_home_round", "practice_code": "Y99001", "clinic_date": day + timedelta(days=2)}
        places = [{**round_, "role": role, "slots": 9} for role in ("gp", "care_home_lead_nurse")]
        lists.decided = decided
        lives = {row["patient_key"]: row for row in people}
        lists.shown = lists.run(day, decided.to_dicts(), people=lives, outcomes=came, capacity=places)
    return lists


def on_the_list(lists: Weeks) -> dict[str, str]:
    rules = {row["patient_key"]: row["reason"] for row in lists.decided.filter(pathway="care_homes").to_dicts()}
    return {key: rules[key] for (key, on), row in lists.shown.items() if row["placement"] == "listed"}


def test_every_resident_without_a_plan_of_twelve_months_is_listed_for_that_and_nobody_else(book):
    """15 June 2026: a plan of 15 June 2025 is within 12 months, one of the day before is not."""
    listed = on_the_list(run_weeks(book, last=0))
    assert {key for key, why in listed.items() if why == NO_PLAN} == {"no_plan", "by_code_alone", "old_plan"}
    assert listed["plan"] == "Lives in a care home, so seen in the weekly round" and "at_home" not in listed


def test_the_gap_is_closed_when_a_plan_is_coded_and_opens_again_when_it_is_a_year_old(book):
    """Coded on Wednesday 17 June 2026: off the list of 22 June, by either pathway, and due again on 17 June 2027."""
    coded = event("no_plan", PLAN, date(2026, 6, 17))
    lists = run_weeks(book, coded, last=1)
    assert sorted(on_the_list(lists)) == ["by_code_alone", "old_plan", "plan"]
    row = lists.shown["no_plan", "care_homes"]
    assert (row["placement"], row["state"]) == ("not_listed", "attended")
    assert row["placement_reason"] == "Attended on 17 June 2026: due again on 17 June 2027"
    assert "GP record: Anticipatory or advance care plan" in row["since_last_week"]
    assert lists.shown["no_plan", "frailty"]["placement"] == "not_listed"


def test_who_moved_home_or_died_is_off_the_list_of_the_next_week(book, monkeypatch):
    """Both were listed on 15 June 2026; one left the home on 17 June, the other died."""
    monkeypatch.setitem(
        PEOPLE, "no_plan", [flagged("no_plan", "CARE_HOME_NURSING", date(2024, 1, 1), date(2026, 6, 17))]
    )
    lists = run_weeks(book, last=1, died={"old_plan": week_of(1)})
    first = lists.list_rows.filter(pl.col("week") == week_of(0), pl.col("placement") == "listed")["patient_key"]
    assert {"no_plan", "old_plan"} <= {*first}
    assert sorted(on_the_list(lists)) == ["by_code_alone", "plan"]
    assert lists.week.standings["no_plan", "care_homes"].state == "need_ended"
    assert lists.week.standings["old_plan", "care_homes"].state == "died"


@pytest.mark.slow
def test_a_year_after_the_plan_was_coded_the_resident_is_on_the_list_again(book):
    lists = run_weeks(book, event("no_plan", PLAN, date(2026, 6, 17)), last=53)
    assert on_the_list(lists)["no_plan"] == NO_PLAN
