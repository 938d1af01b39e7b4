"""Evaluations worked out from kept weeks and core tables: who is counted, what is found, and what is not told."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date, timedelta

import polars as pl
import pytest
from publish_example import frame, key, person
from test_impact import evaluation

import invented
from stratify import kept_weeks
from stratify.impact.run import evaluate, impact_frame
from stratify.store import open_store

WEEK = date(2025, 1, 6)
TODAY = date(2026, 11, 2)
CUTOFFS = {"apc_episode": date(2026, 10, 31)}


@contextmanager
def store_of(folder, people, *, spells=(), deaths=(), registrations=(), merged=()):
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        store.execute("CREATE SCHEMA identity")
        store.execute("CREATE TABLE identity.merged_number (original_key VARCHAR, patient_key VARCHAR)")
        for old, new in merged:
            store.execute("INSERT INTO identity.merged_number VALUES ($1, $2)", [old, new])
        store.create("core.person", invented.frame("core.person", people))
        for name, rows in (("core.apc_spell", spells), ("core.death", deaths), ("core.registration", registrations)):
            store.create(name, invented.frame(name, list(rows)) if rows else frame(name, []))
        yield store


def admitted(number: int, day: date, *, at: int = 0) -> dict:
    return {"patient_key": key(number), "spell_id": f"{number}-{day}-{at}", "admission_date": day, "is_emergency": True}


def registered(number: int, practice: str = "A1") -> dict:
    return {
        "patient_key": key(number),
        "practice_code": practice,
        "registration_type": "REGULAR",
        "start_date": date(2010, 1, 1),
        "source_registration_id": str(number),
    }


def kept_lists(folder, size: int = 100, places: int = 50, weeks: int = 1):
    """A list a week: half of it with a place."""
    for week in range(weeks):
        rows = [
            {
                "week": WEEK + timedelta(weeks=week),
                "run_id": "r",
                "row_reference": f"{week}-{rank}",
                "patient_key": key(week * size + rank),
                "pathway": "lungs",
                "clinic_id": "lung_clinic",
                "practice_code": "A1",
                "placement": "listed" if rank < places else "waiting",
                "placement_reason": "so",
                "priority_rank": rank + 1,
                "tier": "high",
            }
            for rank in range(size)
        ]
        kept_weeks.write(folder, "audit.list_row", frame("audit.list_row", rows), WEEK + timedelta(weeks=week))


def plan(**changes):
    return evaluation(**{"recruits_from": WEEK, "recruits_until": TODAY, "after_days": 365} | changes)


def found(store, folder, *evaluations):
    return evaluate(store, folder, evaluations, index_date=TODAY, cutoffs=CUTOFFS)


def test_a_match_counts_everybody_linked_who_may_be_counted_from_the_day_of_their_list(tmp_path):
    """50 with a place and 50 who wait; 48 and 48 but for one who objected and one not linked on each side.

    With a place the even numbers are admitted in the year, 4 to 48, and of the odd ones 1 and 3: 25. Of those who wait
    all 48. In 365 days of 48 people that is 100 x (25 - 48) / 48 x 365.25 / 365 = -47.95 a year.
    """
    kept_lists(tmp_path)
    hidden = {0: {"may_be_counted": False}, 2: {"is_hospital_linked": False}, 50: {"may_be_counted": False},
              51: {"is_hospital_linked": False}}  # fmt: skip
    people = [person(each, **hidden.get(each, {})) for each in range(100)]
    spells = [admitted(each, WEEK + timedelta(days=30)) for each in range(100) if each >= 50 or each % 2 == 0]
    spells += [admitted(each, WEEK + timedelta(days=365)) for each in range(100)]  # the first day no more
    spells += [admitted(1, WEEK + timedelta(days=3)), admitted(3, WEEK + timedelta(days=3))]
    with store_of(tmp_path, people, spells=spells) as store:
        told = found(store, tmp_path, plan(design="matched"))[0]
    assert (told.offered.people, told.comparison.people) == (48, 48)
    assert (told.offered.events, told.comparison.events) == (25, 48)
    assert told.estimate and told.estimate.difference == pytest.approx(-47.95, abs=0.01)
    assert told.estimate.comparison_rate == pytest.approx(100.07, abs=0.01)


def test_each_group_of_people_is_compared_with_its_own_and_what_is_small_is_not_told(tmp_path):
    """Numbers that divide by four are not known, the others of fifth 1 (even) or 5 (odd): with a place 13, 12 and 25,
    and of those who wait 12, 13 and 25. In fifth 5 all of the 25 who wait are admitted, and 15 of the 25 with a place:
    100 x (15 - 25) / 25 x 365.25 / 365 = -40.03 a year.
    """
    kept_lists(tmp_path)
    people = [
        person(each, imd_decile=None if each % 4 == 0 else 1 if each % 2 == 0 else 10, ethnic_category="A")
        for each in range(100)
    ]
    spells = [admitted(each, WEEK + timedelta(days=30)) for each in range(100) if each >= 50 or each % 5]
    spells = [each for each in spells if each["patient_key"] not in {key(odd) for odd in (1, 3, 7, 9, 11)}]
    with store_of(tmp_path, people, spells=spells) as store:
        told = found(store, tmp_path, plan(design="matched", harms=["death"]))
        rows = impact_frame(told, index_date=TODAY, run_id="r")
    assert [(each.outcome, each.breakdown, each.group) for each in told] == [
        ("emergency_admission", "all", "all"),
        ("emergency_admission", "imd_quintile", "1"),
        ("emergency_admission", "imd_quintile", "5"),
        ("emergency_admission", "imd_quintile", "not known"),
        ("emergency_admission", "ethnic_group", "White"),
        ("death", "all", "all"),
    ]
    assert told[2].estimate and told[2].estimate.difference == pytest.approx(-40.03, abs=0.01)
    assert "of twenty such groups chance alone makes one stand out" in rows["in_words"][2]
    assert told[4].estimate and told[0].estimate and told[4].estimate.difference == told[0].estimate.difference
    small = rows.row(1, named=True)
    assert small["status"] == "cannot be told yet" and small["reason"].startswith("fewer than 20 people")
    names = ("offered_people", "comparison_people", "smallest_detectable", "people_needed", "difference")
    assert [small[name] for name in names] == [None] * 5
    assert not any(figure in small["in_words"].split("stand out")[1] for figure in ("10", "12", "13", "15"))


def test_a_death_ends_the_follow_up_and_is_a_harm_of_its_own(tmp_path):
    """Ten of fifty who wait die, and of those with a place none: too few on one side to tell."""
    kept_lists(tmp_path)
    people = [person(each) for each in range(100)]
    deaths = [{"patient_key": key(each), "date_of_death": WEEK + timedelta(days=99)} for each in range(50, 60)]
    with store_of(tmp_path, people, deaths=deaths) as store:
        admissions, died = found(store, tmp_path, plan(design="matched", harms=["death"]))
    assert died.comparison.events == 10 and died.why_not == "fewer than 10 deaths on one side"
    assert admissions.comparison.years == pytest.approx((40 * 365 + 10 * 100) / 365.25)


def test_a_cut_takes_those_near_the_last_place_of_every_list(tmp_path):
    """Six lists of twelve with six places, five places to each side: 30 people a side of 36."""
    kept_lists(tmp_path, size=12, places=6, weeks=6)
    people = [person(each) for each in range(72)]
    spells = [admitted(each, WEEK + timedelta(days=80 + each % 5)) for each in range(72)]
    with store_of(tmp_path, people, spells=spells) as store:
        told = found(store, tmp_path, plan(design="cut", within_places=5))[0]
    assert (told.offered.people, told.comparison.people) == (30, 30)
    assert told.estimate and told.estimate.difference == pytest.approx(0, abs=1e-6)


def test_a_lot_is_judged_by_what_it_gave_whatever_became_of_it(tmp_path):
    """Drawn under this plan: 40 people, 20 places. Those drawn under another plan are not in it."""
    kept_lists(tmp_path)
    the_plan = plan(design="lot")
    rows = [
        {"week": WEEK, "run_id": "r", "patient_key": key(each), "pathway": "lungs", "practice_code": "A1",
         "clinic_id": "lung_clinic", "draw": "lung_clinic A1", "tied": 40, "given": 20, "is_given": each % 2 == 0,
         "plan_digest": the_plan.digest if each < 40 else "0" * 64}
        for each in range(60)
    ]  # fmt: skip
    kept_weeks.write(tmp_path, "audit.allocation", frame("audit.allocation", rows), WEEK)
    people = [person(each) for each in range(100)]
    spells = [admitted(each, WEEK + timedelta(days=9)) for each in range(40) if each % 2 or each < 24]
    with store_of(tmp_path, people, spells=spells) as store:
        told = found(store, tmp_path, the_plan)[0]
    assert (told.offered.people, told.offered.events) == (20, 12)
    assert (told.comparison.people, told.comparison.events) == (20, 20)
    assert told.estimate and told.estimate.difference == pytest.approx(-40 * 365.25 / 365)


def test_places_are_compared_with_a_mixture_of_those_where_it_is_off(tmp_path):
    """Fourteen practices of 100 people, ten admitted every four weeks; where it is on five of them afterwards.

    Ten in 28 days of 100 people is 10 x 365.25/28 = 130.4 a year; half of it less is -65.2.
    """
    people = [person(each, practice_code=f"B{each // 100:02d}") for each in range(1400)]
    start, before, after = WEEK, 13, 6
    spells = [
        admitted(practice * 100 + each, start + timedelta(days=28 * period + 3 + each))
        for practice in range(14)
        for period in range(-before, after)
        for each in range((5 if practice == 0 and period >= 0 else 10) + (practice + period) % 3 - 1)
    ]
    rows = [{"week": start, "run_id": "r", "row_reference": "1", "patient_key": key(1), "pathway": "lungs",
             "clinic_id": "lung_clinic", "practice_code": "B00", "placement": "listed", "placement_reason": "so",
             "priority_rank": 1}]  # fmt: skip
    kept_weeks.write(tmp_path, "audit.list_row", frame("audit.list_row", rows), start)
    registrations = [registered(each, f"B{each // 100:02d}") for each in range(1400)]
    with store_of(tmp_path, people, spells=spells, registrations=registrations) as store:
        told = found(store, tmp_path, plan(design="places", clinic=None, before_days=364, after_days=168))[0]
    assert (told.offered.people, told.comparison.people) == (100, 1300)
    assert told.why_not is None and told.estimate
    assert told.estimate.difference == pytest.approx(-65.2, abs=6)
    assert told.estimate.upper < 0


def test_too_few_places_are_not_compared(tmp_path):
    people = [person(each, practice_code="B00" if each < 50 else "B01") for each in range(100)]
    registrations = [registered(each, "B00" if each < 50 else "B01") for each in range(100)]
    kept_lists(tmp_path, size=1)
    with store_of(tmp_path, people, registrations=registrations) as store:
        told = found(store, tmp_path, plan(design="places", clinic=None, before_days=364, after_days=168))[0]
    assert "0 practices where it is on and 2 where it is off" in str(told.why_not)


def test_a_superseded_pseudonym_counts_as_the_one_in_use(tmp_path):
    kept_lists(tmp_path)
    people = [person(each) for each in range(1, 101)]
    spells = [admitted(each, WEEK + timedelta(days=30)) for each in range(1, 101)]
    with store_of(tmp_path, people, spells=spells, merged=[(key(0), key(100))]) as store:
        told = found(store, tmp_path, plan(design="matched"))[0]
    assert (told.offered.people, told.offered.events) == (50, 50)


def test_the_table_has_the_columns_of_its_contract_and_nobody_in_it(tmp_path):
    kept_lists(tmp_path)
    with store_of(tmp_path, [person(each) for each in range(100)]) as store:
        table = impact_frame(found(store, tmp_path, plan(design="matched")), index_date=TODAY, run_id="r")
        store.create("out.impact", table)
        rows = store.frame("SELECT * FROM out.impact")
    assert rows.height == 1 and rows["status"].item() == "cannot be told yet"
    assert not any(key(each) in str(rows.rows()) for each in range(100))
    assert isinstance(rows, pl.DataFrame)


def test_before_anybodys_time_is_over_it_is_said_when_the_first_will_be(tmp_path):
    """730 days after 6 January 2025 is 6 January 2027."""
    kept_lists(tmp_path)
    with store_of(tmp_path, [person(each) for each in range(100)]) as store:
        told = found(store, tmp_path, plan(design="matched", after_days=730))[0]
    assert told.why_not == "nobody has been followed for 730 days; the first will have been on 2027-01-06"


def test_nothing_kept_tells_nothing(tmp_path):
    with store_of(tmp_path, [person(1)]) as store:
        listed, drawn = found(store, tmp_path, plan(design="matched"), plan(design="lot"))
    assert listed.why_not == "no list of these weeks is kept yet"
    assert drawn.why_not == "no lot was drawn yet"
