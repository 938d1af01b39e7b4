"""Mistakes found in a live codebase of the same kind (nhs-data, section 8): one test each, at the level that sees it.

Number 6, a codelist that matches nothing is told, is in ``test_bad_rows``; number 10, two surfaces that never meet, in
``test_bad_rows`` (canaries) and ``test_weekly_run``. Of number 10 one thing is done otherwise: no extract holds the
list sizes of the national register, so a practice is compared with its own runs before (``test_quality_practices``).
Everybody here is invented; the index date is 5 January 2026.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import invented
from stratify import engine, ingest
from stratify.examples import run_examples
from stratify.features import variable_values
from stratify.hits import SOURCE_TABLES, code_table
from stratify.rulebook import load_rule_book
from whole_runs import extract_set

BOOK = load_rule_book()
INDEX = extract_set.INDEX_DATE
MRC_GRADE_2, MRC_GRADE_5 = "391123006", "391126003"
NURSING_HOME, OXYGEN = "160734000", "243137006"

Found = dict[str, tuple[float | None, str, date | None]]


def values_of(tmp_path, **tables: Any) -> Found:
    """Take one person's rows through landing, core and variables: value, state and date by variable."""
    with extract_set.built(tmp_path, measurements=BOOK.resolved_measurements(), **tables) as store:
        ingest.match_codes(store, list(BOOK.codelists.values()))
        matches = store.rows("SELECT code_system, code, codelist FROM derived.code_match")
        codes = engine.from_polars(code_table(BOOK, matches, index_date=INDEX))
        core = {name: store.frame(f"SELECT * FROM core.{name}") for name in SOURCE_TABLES}
    rows = invented.collected(variable_values(invented.lazy(core), codes, BOOK, index_date=INDEX)).to_dicts()
    return {row["variable"]: (row["value"], row["state"], row["value_date"]) for row in rows}


def entry(name: str, code: str, day: str, **more: Any) -> dict[str, Any]:
    return extract_set.event(name, snomed_code=code, effective_date=day, **more)


def fev1(name: str, value: str, unit: str, day: str = "2025-06-01", **more: Any) -> dict[str, Any]:
    return extract_set.observation(name, value_num=value, unit_raw=unit, effective_date=day, **more)


def test_1_the_latest_grade_of_all_counts_and_not_the_latest_grade_5(tmp_path):
    """Grade 5 in February, grade 2 in August: the person improved and is grade 2."""
    rows = [entry("e1", MRC_GRADE_5, "2025-02-01"), entry("e2", MRC_GRADE_2, "2025-08-01")]
    assert values_of(tmp_path, gp_event=rows)["mrc_grade"] == (2.0, "known", date(2025, 8, 1))


@pytest.mark.parametrize(("value", "unit"), [("1.8", "L"), ("1.8", ""), ("1.8", "%"), ("28", "")])
def test_2_an_fev1_whose_unit_is_not_percent_is_below_no_percentage(tmp_path, value, unit):
    found = values_of(tmp_path, gp_observation=[fev1("o1", value, unit)])
    assert found["fev1_percent_predicted"] == (None, "unusable", date(2025, 6, 1))


def test_3_a_value_too_old_sets_no_tier_of_today_and_its_date_is_kept(tmp_path):
    """24 months before 5 January 2026 is 5 January 2024: that day still counts, the day before does not."""
    old = values_of(tmp_path / "old", gp_observation=[fev1("o1", "28", "%", "2024-01-04")])
    assert old["fev1_percent_predicted"] == (None, "stale", date(2024, 1, 4))
    just = values_of(tmp_path / "just", gp_observation=[fev1("o1", "28", "%", "2024-01-05")])
    assert just["fev1_percent_predicted"] == (28.0, "known", date(2024, 1, 5))


def test_3_every_latest_value_has_a_maximum_age():
    latest = [each for each in BOOK.variables.values() if each.is_value]
    assert latest and all(each.maximum_age_months or each.maximum_age_days for each in latest if each.take != "given")


def test_3_the_date_of_a_latest_value_is_printed_with_it():
    latest = [each for each in BOOK.variables.values() if each.is_value and each.text]
    assert latest and all("{date}" in each.text for each in latest)


@pytest.mark.parametrize(
    ("ends", "is_there"),
    [
        pytest.param("", True, id="no_end"),
        pytest.param("2026-01-06", True, id="ends_tomorrow"),
        pytest.param("2026-01-05", False, id="ended_today"),
        pytest.param("2025-03-01", False, id="left_in_march"),
    ],
)
def test_4_whoever_left_the_care_home_does_not_live_there(tmp_path, ends, is_there):
    """A period ends on its end date. No public list has a code for leaving a home, so a code alone runs out."""
    flag = {"nhs_number": extract_set.nhs(1), "flag": "CARE_HOME_NURSING", "start_date": "2024-01-01", "end_date": ends}
    found = values_of(tmp_path, patient_flag=[flag | {"source": "CODED"}])
    assert ("lives_in_care_home" in found) == is_there


def test_4_a_care_home_code_runs_out_after_two_years(tmp_path):
    old = values_of(tmp_path / "old", gp_event=[entry("e1", NURSING_HOME, "2024-01-04")])
    assert "care_home_code_recorded" not in old
    just = values_of(tmp_path / "just", gp_event=[entry("e1", NURSING_HOME, "2024-01-05")])
    assert just["care_home_code_recorded"] == (1.0, "known", date(2024, 1, 5))


def test_4_no_code_means_living_in_a_home_for_good_and_for_a_time():
    assert not BOOK.codelists["care_home"].codes.keys() & BOOK.codelists["care_home_temporary"].codes.keys()


def test_5_every_score_and_pathway_has_examples_that_hold():
    assert all(BOOK.examples.get(name) for name in (*BOOK.scores, *BOOK.pathways))
    assert [f"{each.definition}: {each.name}" for each in run_examples(BOOK) if each.differences] == []


@pytest.mark.parametrize("filler", ["1900-01-01", "1753-01-01", "1899-12-30", "9999-12-31"])
def test_7_a_date_that_stands_for_not_known_is_no_date(tmp_path, filler):
    """Neither the first nor the latest entry: an entry of unknown date is in no window of months."""
    rows = [entry("e1", extract_set.COPD, filler), entry("e2", OXYGEN, filler)]
    found = values_of(tmp_path, gp_event=rows, gp_observation=[fev1("o1", "28", "%", filler)])
    assert found["is_on_copd_register"] == (1.0, "known", None)
    assert "has_home_oxygen" not in found and "fev1_percent_predicted" not in found


def test_7_a_registration_since_1900_is_one_since_nobody_knows_when(tmp_path):
    with extract_set.built(tmp_path, registration=[extract_set.registration(start_date="1900-01-01")]) as store:
        assert store.rows("SELECT person_status, registered_date FROM core.person") == [("registered", None)]


def test_8_a_stay_that_ends_before_it_begins_is_set_aside_and_named_not_clipped(tmp_path):
    rows = [
        extract_set.episode("c1", admission_date="2025-03-05", discharge_date="2025-03-01"),
        extract_set.episode("c2", spell_id="s2", admission_date="2025-04-05", discharge_date="2025-04-05"),
    ]
    with extract_set.built(tmp_path, apc_episode=rows) as store:
        assert store.rows("SELECT spell_id, discharge_date - admission_date FROM core.apc_spell") == [("s2", 0)]
        assert store.rows(
            "SELECT rule_id, scope, source_row FROM audit.rejected_row WHERE table_name = 'apc_episode'"
        ) == [("APC-80-order", "row", 2)]


def test_8_a_registration_that_ends_before_it_begins_is_kept_as_it_is_and_flagged(tmp_path):
    rows = [
        extract_set.registration(),
        extract_set.registration(source_registration_id="r-2", start_date="2012-05-01", end_date="2012-04-01"),
    ]
    with extract_set.built(tmp_path, registration=rows) as store:
        assert store.rows(
            "SELECT date_diff('day', start_date, end_date) FROM core.registration WHERE end_date IS NOT NULL"
        ) == [(-30,)]
        assert store.rows("SELECT person_status FROM core.person") == [("registered",)]


def test_9_people_with_several_current_registrations_are_counted(tmp_path):
    """Two current regular ones at once: the later one counts for the person, and the person counts as one of these."""
    rows = [
        extract_set.registration(),
        extract_set.registration(source_registration_id="r-2", start_date="2020-05-01", practice_code="A10002"),
        extract_set.registration(source_registration_id="r-3", start_date="2005-05-01", end_date="2006-01-01"),
    ]
    practices = [extract_set.practice(), extract_set.practice(practice_code="A10002")]
    with extract_set.built(tmp_path / "two", registration=rows, practice=practices) as store:
        assert store.counts["people with several current registrations"] == 1
        assert store.rows("SELECT practice_code FROM core.person") == [("A10002",)]
    with extract_set.built(tmp_path / "one", registration=[rows[0], rows[2]], practice=practices) as store:
        assert store.counts["people with several current registrations"] == 0


@pytest.mark.parametrize(
    ("start", "end", "several"),
    [
        pytest.param("2020-05-01", "", 1, id="no_end"),
        pytest.param("2020-05-01", "2026-03-01", 1, id="ends_in_the_future"),
        pytest.param("2020-05-01", "2026-01-05", 0, id="ended_today"),
        pytest.param("2020-05-01", "2020-04-01", 0, id="ended_before_it_began"),
        pytest.param("2026-02-01", "", 0, id="begins_in_the_future"),
    ],
)
def test_9_a_registration_is_current_by_its_dates_whatever_is_odd_about_them(tmp_path, start, end, several):
    other = extract_set.registration(source_registration_id="r-2", start_date=start, end_date=end)
    with extract_set.built(tmp_path, registration=[extract_set.registration(), other]) as store:
        assert store.counts["people with several current registrations"] == several
        assert store.rows("SELECT person_status FROM core.person") == [("registered",)]


def test_10_every_codelist_has_codes():
    """A value set that lost its codes would match nobody and say nothing."""
    assert BOOK.codelists and all(each.codes for each in BOOK.codelists.values())


def test_10_what_commissioners_get_is_counted_from_people_who_may_be_counted(tmp_path):
    """Two people with COPD, one with an objection to any other use: direct care has both, secondary use one."""
    people = [extract_set.patient("p1"), extract_set.patient("p2", nhs_number=extract_set.nhs(2))]
    objections = [
        extract_set.opt_out("NDO", "false"),
        extract_set.opt_out("NDO", "true", nhs_number=extract_set.nhs(2)),
    ]
    registrations = [extract_set.registration("p1"), extract_set.registration("p2")]
    with extract_set.built(tmp_path, patient=people, registration=registrations, opt_out=objections) as store:
        assert store.rows("SELECT count(*), count(*) FILTER (may_be_counted) FROM core.person") == [(2, 1)]
