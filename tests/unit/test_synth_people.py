"""The people of the synthetic county: who they are, what they have and since when, and what is on register of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from stratify import contracts
from stratify.codes import is_sentinel_nhs_number, nhs_check_digit, nhs_number_is_valid
from stratify.rulebook import load_rule_book
from stratify.synth.administration import clinic_capacity_rows, opt_out_rows
from stratify.synth.columns import KNOWN, NEVER, YEAR
from stratify.synth.conditions import CONDITION_NAMES, DEFICIT_NAMES, Conditions, draw_conditions
from stratify.synth.known import as_extracted, key_of
from stratify.synth.order import CountyOrder
from stratify.synth.places import areas_of, care_homes_of, lsoa_rows, make_practices, merger_of, practice_rows
from stratify.synth.population import People, draw_deaths, make_people, reserved_nhs_numbers
from stratify.synth.registry import flag_rows, patient_rows, registration_rows
from stratify.synth.state import STATE_COLUMNS, state_rows
from stratify.synth.world import County
from stratify.synth.write import as_text

DAY_ONE = date(1970, 1, 1)


@dataclass
class Drawn:
    """A county's people, practice by practice, with the frames about them joined."""

    county: County
    parts: list[tuple[People, Conditions]]
    frames: dict[str, pl.DataFrame]

    def each(self, wanted) -> np.ndarray:
        """Join what a function gives of the people and conditions of every practice."""
        return np.concatenate([wanted(people, conditions) for people, conditions in self.parts])

    def shown(self, table: str, week: int = 0) -> pl.DataFrame:
        """Give the rows of a bulk extract as text."""
        rows = as_extracted(self.frames[table], table, upto=self.county.cutoff_days[week], after=None)
        return as_text(rows, table)


def draw(**order) -> Drawn:
    county = County(CountyOrder(**order))
    practices = len(county.practices)
    numbers = reserved_nhs_numbers(county.order.people, county.order.seed)
    size = county.order.people // practices
    parts, collected = [], {}
    for practice in county.practices:
        people = make_people(county, practice, numbers[practice.number * size : (practice.number + 1) * size])
        conditions = draw_conditions(county, people)
        draw_deaths(county, people, conditions)
        parts.append((people, conditions))
        for table, frame in (
            ("patient", patient_rows(county, people)),
            ("registration", registration_rows(county, people)),
            ("patient_flag", flag_rows(county, people, conditions)),
            ("opt_out", opt_out_rows(county, people)),
            ("state", state_rows(county, people, conditions)),
        ):
            collected.setdefault(table, []).append(frame)
    frames = {table: pl.concat(each) for table, each in collected.items()}
    whole = {
        "practice": practice_rows(county),
        "lsoa": lsoa_rows(county),
        "clinic_capacity": clinic_capacity_rows(county),
    }
    return Drawn(county, parts, frames | whole)


@pytest.fixture(scope="module")
def england() -> Drawn:
    """24,000 people as of one bulk extract."""
    return draw(people=24_000, practices=4)


@pytest.fixture(scope="module")
def weekly() -> Drawn:
    """4,000 people over 30 weeks, in which a practice closes."""
    return draw(people=4_000, practices=4, weeks=30)


TABLES = ("patient", "registration", "patient_flag", "opt_out", "practice", "lsoa", "clinic_capacity")


# NHS numbers


def test_up_to_800_000_nhs_numbers_are_different_valid_and_of_the_999_range():
    numbers = reserved_nhs_numbers(800_000, seed=3)
    assert numbers.n_unique() == 800_000
    assert numbers.str.starts_with("999").all()
    assert all(nhs_number_is_valid(number) for number in numbers[::1_000])
    assert not any(is_sentinel_nhs_number(number) for number in numbers[::1_000])
    assert "9999999999" not in numbers


@pytest.mark.parametrize("count", [800_001, 909_089, 909_090])
def test_there_are_as_many_numbers_as_asked_for_around_the_end_of_the_999_range(count):
    numbers = reserved_nhs_numbers(count, seed=3)
    assert len(numbers) == numbers.n_unique() == count


def test_more_people_get_further_numbers_that_were_never_issued():
    numbers = reserved_nhs_numbers(1_000_000, seed=3)
    assert numbers.n_unique() == 1_000_000
    assert numbers.str.contains(r"^9\d{9}$").all()
    assert 900_000 < int(numbers.str.starts_with("999").sum()) < 920_000  # 909,090 less the last
    assert all(nhs_check_digit(number[:9]) == int(number[9]) for number in numbers[::1_000])


def test_nhs_numbers_go_by_the_seed():
    assert reserved_nhs_numbers(500, seed=1).equals(reserved_nhs_numbers(500, seed=1))
    assert not reserved_nhs_numbers(500, seed=1).equals(reserved_nhs_numbers(500, seed=2))


# Places


@pytest.mark.parametrize("count", [1, 5, 10, 37])
def test_practices_have_their_own_names_and_spread_from_deprived_to_affluent(count):
    practices = make_practices(count)
    assert len({each.code for each in practices}) == len({each.name for each in practices}) == count
    assert len({each.pcn_code for each in practices}) == len({each.pcn_name for each in practices})
    assert len({each.mean_decile for each in practices}) == count
    if count > 1:
        assert min(each.mean_decile for each in practices) < 1
        assert max(each.mean_decile for each in practices) > 10


def test_areas_keep_deprivation_of_2019_and_2025_apart_and_some_were_split():
    practice = make_practices(4)[2]
    areas = areas_of(practice)
    assert len(set(areas.code_2011)) == len(areas.code_2011)
    assert sum(a != b for a, b in zip(areas.code_2021, areas.second_code_2021, strict=True)) == 2
    assert set(np.abs(areas.decile_2025 - areas.decile_2019)) == {0, 1}
    county = County(CountyOrder(people=1_000, practices=4))
    rows = lsoa_rows(county)
    assert set(rows.select("area_version", "imd_version").iter_rows()) == {("2011", "2019"), ("2021", "2025")}
    assert rows.select("area_version", "lsoa_code").is_unique().all()
    old = rows.filter(pl.col("area_version") == "2011")
    assert old["imd_decile"].equals((old["imd_rank"] / 3284.4).ceil().cast(pl.Int64), check_names=False)


def test_everybody_lives_in_an_area_of_the_reference_table(england):
    areas = england.frames["lsoa"]
    patients = england.frames["patient"]
    for column, version in (("lsoa11", "2011"), ("lsoa21", "2021")):
        known_areas = areas.filter(pl.col("area_version") == version)["lsoa_code"]
        assert patients[column].is_in(known_areas.implode()).all()
    deciles = areas.filter(pl.col("area_version") == "2011").select("lsoa_code", decile="imd_decile")
    joined = patients.join(deciles, left_on="lsoa11", right_on="lsoa_code")
    assert (joined["imd_decile"] == joined["decile"]).all()
    assert 0.002 < joined["imd_decile"].null_count() / joined.height < 0.02


def test_a_county_with_many_weeks_and_practices_has_one_merger_in_its_middle(weekly):
    merger = merger_of(weekly.county)
    assert merger is not None
    assert (merger.closing.number, merger.successor.number) == (2, 3)
    assert DAY_ONE + timedelta(days=merger.day) == date(2026, 11, 2) + timedelta(weeks=15)
    assert merger_of(County(CountyOrder(people=4_000, practices=4, weeks=25))) is None
    assert merger_of(County(CountyOrder(people=4_000, practices=3, weeks=30))) is None


def test_the_practice_that_closes_is_current_before_and_ended_after_the_merger(weekly):
    before, after = weekly.shown("practice", 14), weekly.shown("practice", 16)
    assert before["valid_to"].null_count() == 4
    assert after.filter(pl.col("valid_to").is_not_null()).select("practice_code", "valid_to").rows() == [
        ("Y00003", "2027-02-15")
    ]


# The same order gives the same people, and tables keep their contracts


def test_the_same_seed_gives_the_same_rows_and_another_does_not(weekly):
    again = draw(people=4_000, practices=4, weeks=30)
    other = draw(people=4_000, practices=4, weeks=30, seed=2)
    for table in (*TABLES, "state"):
        assert weekly.frames[table].equals(again.frames[table]), table
    assert not weekly.frames["patient"].equals(other.frames["patient"])


@pytest.mark.parametrize("week", [0, 10, 30])
def test_each_extract_has_every_key_once_and_fits_its_contract(weekly, week):
    for table in TABLES:
        frame = weekly.shown(table, week)
        assert frame.height > 0, table
        assert frame.select(key_of(table)).is_unique().all(), table
        for column in contracts.load(f"landing.{table}").columns:
            where = f"{table}.{column.name}"
            held = frame[column.name].drop_nulls()
            if column.is_required:
                assert held.len() == frame.height, where
            if column.valid_values:
                assert set(held) <= set(column.valid_values), where
            if column.pattern:
                assert held.str.contains(column.pattern).all(), where
            if column.minimum is not None:
                assert (held.cast(pl.Float64) >= column.minimum).all(), where
            if column.maximum is not None:
                assert (held.cast(pl.Float64) <= column.maximum).all(), where


@pytest.mark.parametrize("week", [0, 10, 30])
def test_no_extract_shows_what_is_later_than_it(weekly, week):
    cutoff = (DAY_ONE + timedelta(days=weekly.county.cutoff_days[week])).isoformat()
    for table, columns in (
        ("patient", ("date_of_birth", "date_of_death")),
        ("registration", ("start_date", "end_date")),
        ("patient_flag", ("start_date", "end_date")),
        ("opt_out", ("effective_from", "checked_at")),
    ):
        for column in columns:
            latest = weekly.shown(table, week)[column].drop_nulls().max()
            assert latest[:10] <= cutoff, f"{table}.{column}"


@pytest.mark.parametrize("week", [0, 10, 30])
def test_no_extract_has_an_orphan(weekly, week):
    patients = weekly.shown("patient", week)
    key = ["org_code", "source_patient_id"]
    registrations = weekly.shown("registration", week)
    assert registrations.join(patients, on=key, how="anti").height == 0
    assert patients.join(registrations, on=key, how="anti").height == 0
    for table in ("patient_flag", "opt_out"):
        numbers = weekly.shown(table, week)["nhs_number"].drop_nulls()
        assert numbers.is_in(patients["nhs_number"].implode()).all(), table


def test_a_bulk_extract_of_a_county_without_weeks_holds_all_there_is(england):
    assert england.shown("patient").height >= 24_000
    for table in ("registration", "patient", "patient_flag", "opt_out"):
        assert (england.frames[table][KNOWN] <= england.county.last_day).all(), table


# Registrations


def test_people_without_a_number_have_records_and_some_object_by_record(england):
    patients = england.shown("patient")
    without = patients.filter(pl.col("nhs_number").is_null())
    assert 40 <= without.height <= 110  # 0.3 % of 24,000 is 72
    assert set(without["nhs_number_status"]) == {"07"}
    objections = england.shown("opt_out").filter(pl.col("nhs_number").is_null())
    assert objections.height > 5
    assert set(objections["opt_out_type"]) == {"TYPE1"}
    assert objections.join(without, on=["org_code", "source_patient_id"]).height == objections.height


def test_each_number_belongs_to_one_person_and_those_who_moved_have_two_records(england):
    records = england.shown("patient").drop_nulls("nhs_number").group_by("nhs_number")
    each = records.agg(pl.len(), pl.col("org_code").n_unique(), pl.col("date_of_birth").n_unique())
    assert set(each["len"]) == {1, 2}
    assert (each["org_code"] == each["len"]).all()
    assert set(each["date_of_birth"]) == {1}
    second = england.shown("registration").filter(pl.col("source_patient_id").str.starts_with("M"))
    first = england.shown("registration").filter(pl.col("end_reason") == "Transfer out")
    assert second["start_date"].is_in(first["end_date"].implode()).all()


def test_some_are_there_for_a_time_only_some_joined_lately_and_some_left(england):
    registrations = england.shown("registration")
    temporary = registrations.filter(pl.col("registration_type") == "TEMPORARY")
    assert 70 <= temporary.height <= 170  # 0.5 % of 24,000 is 120
    lately = registrations.filter(pl.col("start_date") >= "2025-11-02")
    assert 0.06 <= lately.height / registrations.height <= 0.13
    left = registrations.filter(pl.col("end_reason") == "Transfer out")
    assert 0.02 <= left.height / registrations.height <= 0.05
    tests = england.shown("patient").filter(pl.col("is_test_patient") == "true")
    assert tests.height >= 16
    assert set(tests["family_name"]) == {"Zztest"}


def test_entries_of_one_who_moved_belong_to_the_old_practice_before_and_the_new_one_after():
    drawn = draw(people=2_000, practices=2)
    people = drawn.parts[0][0]
    person = np.flatnonzero(people.moved_to == 1)[:1]
    day = people.end_day[person]
    before, after = people.record_of(person, day - 1), people.record_of(person, day)
    assert before[0].to_list() == ["Y00001"]
    assert after[0].to_list() == ["Y00002"]
    assert before[1].to_list() == [f"{person[0] + 1:06d}"]
    assert after[1].to_list() == [f"M000{person[0]:06d}"]


def test_a_merger_moves_everybody_registered_to_the_successor_on_its_day(weekly):
    at_end = weekly.shown("registration", 30)
    closed = at_end.filter(pl.col("org_code") == "Y00003")
    assert closed["end_date"].null_count() <= closed.height * 0.01  # died, and nobody told the practice
    moved = closed.filter(pl.col("end_date") == "2027-02-15")
    assert moved.height > 600
    there = at_end.filter((pl.col("org_code") == "Y00004") & (pl.col("start_date") == "2027-02-15"))
    assert there.filter(pl.col("source_patient_id").str.starts_with("M002")).height == moved.height
    assert closed["start_date"].max() < "2027-02-15"
    sessions = weekly.shown("clinic_capacity", 30).filter(pl.col("practice_code") == "Y00003")
    assert "2027-01-01" < sessions["clinic_date"].max() < "2027-02-15"


def test_people_are_born_join_leave_and_die_in_the_weeks(weekly):
    first, last = weekly.county.cutoff_days[0], weekly.county.last_day
    born = weekly.each(lambda p, c: p.birth_day)
    assert 5 <= int((born > first).sum()) <= 60  # about 1 % a year of 4,000 in 30 weeks is 23
    starts = weekly.each(lambda p, c: p.start_day)
    assert (starts >= born).all()
    assert starts.max() <= last
    assert int((starts > first).sum()) > 100
    assert int(weekly.each(lambda p, c: (p.death_day > first) & (p.death_day < NEVER)).sum()) > 8
    early, late = weekly.shown("patient", 0), weekly.shown("patient", 30)
    assert late.height > early.height + 100


def test_a_registration_is_shown_open_until_its_end_is_known(weekly):
    versions = weekly.frames["registration"]
    ended = versions.filter(pl.col("_replaces"))
    assert ended.height > 100
    key = ["org_code", "source_registration_id"]
    open_before = versions.filter(~pl.col("_replaces")).join(ended.select(key), on=key, how="semi")
    assert open_before.height == ended.height
    assert open_before["end_date"].null_count() == open_before.height
    assert (ended[KNOWN] >= ended["end_date"].to_physical()).all()


# Deaths


def test_nothing_begins_after_a_death_and_records_end_with_it(england):
    for people, conditions in england.parts:
        dead = people.death_day < NEVER
        assert dead.sum() > 50
        for name in CONDITION_NAMES:
            assert (
                conditions.onset[name][dead & conditions.has(name)] <= people.death_day[dead & conditions.has(name)]
            ).all()
        last_deficit = np.where(conditions.deficit_day < NEVER, conditions.deficit_day, 0).max(axis=1)
        assert (last_deficit[dead] <= people.death_day[dead]).all()
        assert (people.last_day[dead] == people.death_day[dead]).all()
        assert (people.death_day[dead] > people.birth_day[dead]).all()
        assert not (dead & (people.is_test | people.is_temporary | ~people.has_number)).any()


def test_the_practice_knows_of_most_deaths_and_not_of_all(england):
    died = england.each(lambda p, c: p.death_day < NEVER)
    told = england.each(lambda p, c: p.gp_knows_death)
    assert 0.86 <= told.sum() / died.sum() <= 0.94
    assert not (told & ~died).any()
    shown = england.shown("patient")["date_of_death"].drop_nulls()
    assert 0.95 <= len(shown) / told.sum() <= 1.05  # some are not known yet, some have two records


def test_deaths_are_as_many_as_in_england(england):
    last = england.county.last_day
    day = england.each(lambda p, c: p.death_day)
    alive = int((day > last - 365).sum())
    in_year = int(((day > last - 365) & (day <= last)).sum())
    assert 0.007 <= in_year / alive <= 0.012  # England 9.5 per 1,000


def test_more_people_die_in_winter_than_in_summer():
    county = County(CountyOrder(people=100_000, practices=5))
    days = []
    for practice in county.practices:
        people = make_people(county, practice, reserved_nhs_numbers(20_000, seed=1))
        draw_deaths(county, people, draw_conditions(county, people))
        days.append(people.death_day[people.death_day < NEVER])
    month = np.array([(DAY_ONE + timedelta(days=int(each))).month for each in np.concatenate(days)])
    assert 1.03 < np.isin(month, (12, 1, 2)).sum() / np.isin(month, (6, 7, 8)).sum() < 1.3


def test_palliative_care_goes_before_death_by_a_year_or_so(england):
    start = england.each(lambda p, c: c.onset["palliative"])
    death = england.each(lambda p, c: p.death_day)
    both = (start < NEVER) & (death < NEVER)
    assert both.sum() > 200
    assert (start[both] <= death[both]).all()
    assert 100 <= np.median(death[both] - start[both]) <= 400


# Conditions


def test_deficits_are_there_from_the_onset_of_their_condition_at_the_latest(england):
    for people, conditions in england.parts:
        for name, deficit in (
            ("stroke", "cerebrovascular"),
            ("type_2_diabetes", "diabetes"),
            ("type_1_diabetes", "diabetes"),
            ("copd", "respiratory_disease"),
            ("dementia", "memory_cognitive"),
            ("hypertension", "hypertension"),
        ):
            has = conditions.has(name)
            assert has.sum() > 10, name
            column = conditions.deficit_day[:, DEFICIT_NAMES.index(deficit)]
            assert (column[has] <= conditions.onset[name][has]).all(), name
        in_home = people.care_home > 0
        assert conditions.has_deficit("requirement_for_care")[in_home].all()


def test_nobody_has_both_types_of_diabetes_and_pre_diabetes_comes_before_it(england):
    for _, conditions in england.parts:
        assert not (conditions.has("type_1_diabetes") & conditions.has("type_2_diabetes")).any()
        both = conditions.has("type_2_diabetes") & conditions.has("non_diabetic_hyperglycaemia")
        assert both.sum() > 50
        assert (conditions.onset["non_diabetic_hyperglycaemia"][both] < conditions.onset["type_2_diabetes"][both]).all()


def test_hba1c_is_usual_then_between_42_and_48_then_diabetic(england):
    for _, conditions in england.parts:
        two, before = conditions.onset["type_2_diabetes"], conditions.onset["non_diabetic_hyperglycaemia"]
        has = two < NEVER
        assert (conditions.hba1c_on(two)[has] >= 57).all()
        nearing = has & (before < two)
        assert (conditions.hba1c_on(two - 1)[nearing] < 48).all()
        assert (conditions.hba1c_on(before)[nearing] >= 42).all()
        free = (two == NEVER) & (before == NEVER) & (conditions.onset["type_1_diabetes"] == NEVER)
        assert (conditions.hba1c_on(england.county.last_day)[free] < 42).all()
        treated = conditions.hba1c_on(two + 1_000)[has]
        assert 0.4 < (treated <= 58).mean() < 0.8
        assert (treated > 75).mean() > 0.04


def test_kidney_disease_means_an_egfr_below_60_that_falls(england):
    for _, conditions in england.parts:
        onset = conditions.onset["chronic_kidney_disease"]
        ill = onset < NEVER
        assert (conditions.egfr_on(onset)[ill] < 60).all()
        assert (conditions.egfr_on(onset + 2_000)[ill] <= conditions.egfr_on(onset)[ill]).all()
        assert (conditions.egfr_on(england.county.last_day)[~ill] > 60).all()


def test_fev1_falls_and_breathlessness_rises_with_years_of_copd(england):
    day = england.county.last_day
    for _, conditions in england.parts:
        ill = conditions.onset["copd"] < day - 3 * YEAR
        then, now = conditions.fev1_percent_on(day - 1_000)[ill], conditions.fev1_percent_on(day)[ill]
        assert (now <= then).all()
        assert (now < then).mean() > 0.95
        assert (conditions.mrc_on(day)[ill] >= conditions.mrc_on(day - 1_000)[ill]).all()
        assert set(conditions.mrc_on(day)[ill]) == {1, 2, 3, 4, 5}
        assert now.min() < 40
        assert now.max() > 80
        assert (conditions.copd_severity[~conditions.has_copd] == 0).all()


def test_values_can_be_had_of_some_people_on_a_day_each(england):
    people, conditions = england.parts[0]
    person, day = np.array([7, 7, 400]), np.array([19_000, 20_000, 20_500])
    whole = np.full(people.count, 20_000)
    for each in (conditions.fev1_percent_on, conditions.hba1c_on, conditions.egfr_on, people.age_on):
        assert each(day, person)[1] == each(whole)[7] == each(20_000)[7]
    assert len(conditions.mrc_on(day, person)) == 3


def test_frailty_has_the_edges_of_the_efi_and_is_for_65_and_over(england):
    for people, conditions in england.parts:
        day = england.county.last_day
        count, old = conditions.deficits.sum(axis=1), people.age_on(day) >= 65
        frailty = conditions.frailty
        assert (frailty[~old] == -1).all()
        for deficits, level in ((0, 0), (4, 0), (5, 1), (8, 1), (9, 2), (12, 2), (13, 3), (14, 3)):
            some = old & (count == deficits)
            assert some.any(), deficits
            assert (frailty[some] == level).all(), deficits


def test_deficits_accumulate(england):
    first, last = england.county.first_day, england.county.last_day
    for people, conditions in england.parts:
        old = people.age_on(first) >= 65
        then, now = conditions.frailty_on(first)[old], conditions.frailty_on(last)[old]
        assert (now >= then).all()
        assert 0.05 < (now > then).mean() < 0.5


# Rates and gradients, of 24,000 people: chance alone moves a rate of 2 % by a tenth


def registered(people: People, day: int) -> np.ndarray:
    lives_here = (people.end_day > day) | (people.moved_to >= 0)
    return (people.start_day <= day) & (people.death_day > day) & lives_here & ~people.is_test & ~people.is_temporary


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        pytest.param("copd", 1.5, 2.3, id="copd_1.9"),
        pytest.param("type_2_diabetes", 4.9, 6.7, id="type_2_diabetes_5.9"),
        pytest.param("hypertension", 13.2, 17.2, id="hypertension_15.3"),
        pytest.param("ischaemic_heart_disease", 2.5, 3.6, id="heart_disease_3.0"),
        pytest.param("heart_failure", 0.8, 1.4, id="heart_failure_1.1"),
        pytest.param("stroke", 1.5, 2.3, id="stroke_1.9"),
        pytest.param("atrial_fibrillation", 1.7, 2.7, id="atrial_fibrillation_2.2"),
        pytest.param("dementia", 0.5, 1.1, id="dementia_0.8"),
        pytest.param("learning_disability", 0.35, 0.75, id="learning_disability_0.5"),
        pytest.param("severe_mental_illness", 0.7, 1.3, id="severe_mental_illness_1.0"),
        pytest.param("palliative", 0.3, 0.8, id="palliative_0.5"),
    ],
)
def test_conditions_are_as_common_as_on_english_registers(england, name, least, most):
    day = england.county.last_day
    here = england.each(lambda p, c: registered(p, day))
    assert least <= 100 * england.each(lambda p, c: c.has(name, day))[here].mean() <= most


def test_ages_frailty_and_care_homes_are_shaped_like_england(england):
    day = england.county.last_day
    here = england.each(lambda p, c: registered(p, day))
    age = england.each(lambda p, c: p.age_on(day))
    old = here & (age >= 65)
    assert 0.165 <= old.sum() / here.sum() <= 0.215  # 18.6 %
    assert 0.49 <= england.each(lambda p, c: p.is_female)[here].mean() <= 0.53
    frailty = england.each(lambda p, c: c.frailty)[old]
    for level, least, most in ((0, 0.42, 0.58), (1, 0.27, 0.43), (2, 0.09, 0.15), (3, 0.01, 0.055)):
        assert least <= (frailty == level).mean() <= most, level  # Clegg 2016: 50, 35, 12, 3 %
    in_home = england.each(lambda p, c: p.care_home > 0)
    assert 0.018 <= in_home[old].mean() <= 0.036  # 2.5 %
    assert 0.06 <= in_home[here & (age >= 85)].mean() <= 0.14  # 10.8 %
    assert not in_home[age < 55].any()


def test_illness_follows_deprivation_smoking_and_ethnic_group(england):
    day = england.county.last_day
    here = england.each(lambda p, c: registered(p, day) & (p.age_on(day) >= 40))
    decile, ethnic = england.each(lambda p, c: p.decile), england.each(lambda p, c: p.ethnic)
    copd, diabetes = england.each(lambda p, c: c.has("copd")), england.each(lambda p, c: c.has("type_2_diabetes"))
    smokes = england.each(lambda p, c: p.smoking)

    def ratio(has, some, others):
        return has[here & some].mean() / has[here & others].mean()

    assert 1.5 <= ratio(copd, decile <= 2, decile >= 9) <= 3.5
    assert 1.2 <= ratio(diabetes, decile <= 2, decile >= 9) <= 2.4
    assert 1.5 <= ratio(diabetes, np.isin(ethnic, (7, 8, 9)), ethnic == 0) <= 3.0
    assert ratio(copd, smokes == 2, smokes == 0) > 3


def test_the_worst_off_are_often_seen_least(england):
    frail = england.each(lambda p, c: c.frailty >= 2)
    engagement = england.each(lambda p, c: p.engagement)
    poor = england.each(lambda p, c: p.decile <= 2)
    assert 0.1 < (engagement[frail] < 0.3).mean() < 0.35
    assert (engagement[~frail] < 0.3).mean() < 0.03
    assert engagement[poor].mean() < engagement[~poor].mean()
    assert engagement.min() > 0
    assert engagement.max() <= 1


def test_risks_are_about_one_on_average_and_uneven(england):
    day = england.county.cutoff_days[0]
    here = england.each(lambda p, c: registered(p, day))
    risk, hazard = (england.each(lambda p, c: c.risk)[here], england.each(lambda p, c: c.hazard_on(day))[here])
    assert 0.9 <= risk.mean() <= 1.1
    assert 0.9 <= hazard.mean() <= 1.1
    assert np.sort(risk)[-len(risk) // 20 :].sum() / risk.sum() > 0.2


# What is on register


def test_one_home_has_one_address_and_its_residents_have_it(england):
    for people, _ in england.parts:
        homes = {home.name for home in care_homes_of(people.practice)}
        rows = england.shown("patient").filter(pl.col("org_code") == people.practice.code)
        lives_there = rows.filter(pl.col("address_lines").str.contains("Orchard Close"))
        assert set(lives_there["address_lines"].str.split(",").list.first()) <= homes
        places = lives_there.group_by("address_lines").agg(pl.col("postcode").n_unique())
        assert set(places["postcode"]) == {1}


def test_nobody_with_a_sensitive_record_has_an_address_or_a_telephone(england):
    sensitive = england.shown("patient").filter(pl.col("is_spine_sensitive") == "true")
    assert sensitive.height > 5
    for column in ("address_lines", "postcode", "phone_mobile", "email"):
        assert sensitive[column].null_count() == sensitive.height, column


def test_digital_access_goes_by_age_and_some_were_never_asked(england):
    rows = england.shown("patient")
    old = rows["date_of_birth"] < "1946-11-02"
    asked = rows["has_digital_access"].is_not_null()
    assert 0.08 <= 1 - asked.mean() <= 0.12
    online = rows["has_digital_access"] == "true"
    assert online.filter(old & asked).mean() < 0.6 < online.filter(~old & asked).mean()
    assert 0.03 <= rows["ethnic_category"].is_null().mean() + rows["ethnic_category"].is_in(["Z", "99"]).mean() <= 0.12


def test_flags_follow_what_people_have(england):
    flags = england.shown("patient_flag")
    assert set(flags["flag"]) == {
        "CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED", "HOUSEBOUND", "IS_CARER", "HAS_CARER",
        "PALLIATIVE", "ADVANCE_PLAN", "LEARNING_DISABILITY", "SMI", "DEMENTIA", "HOMELESS", "SAFEGUARDING",
        "INTERPRETER",
    }  # fmt: skip
    assert set(flags["source"]) == {"CODED", "ADDRESS_MATCH", "LOCAL_LIST"}
    state = england.frames["state"].filter(pl.col("dementia_onset_date").is_not_null())
    demented = flags.filter(pl.col("flag") == "DEMENTIA")
    assert demented["nhs_number"].is_in(state["nhs_number"].implode()).all()
    assert 0.7 < demented.height / state.height < 0.95
    assert (flags["end_date"] >= flags["start_date"]).drop_nulls().all()
    back = flags.filter((pl.col("flag") == "CARE_HOME_RESIDENTIAL") & pl.col("end_date").is_not_null())
    assert back.height > 0


# Opt-outs and clinics


def test_everybody_with_a_number_has_one_national_opt_out_row_checked_the_day_before(england):
    national = england.shown("opt_out").filter(pl.col("opt_out_type") == "NDO")
    numbers = england.shown("patient")["nhs_number"].drop_nulls().unique()
    assert sorted(national["nhs_number"]) == sorted(numbers)
    assert set(national["checked_at"]) == {"2026-11-01T06:00:00"}
    assert set(national["expires_at"]) == {"2026-11-08T06:00:00"}


def test_the_national_opt_out_is_checked_again_before_every_extract_and_a_few_change_their_mind(weekly):
    for week in (1, 17, 30):
        cutoff = weekly.county.cutoff_days[week]
        checked = (DAY_ONE + timedelta(days=cutoff)).isoformat()
        latest = (
            weekly.shown("opt_out", week)
            .filter(pl.col("opt_out_type") == "NDO")
            .sort("nhs_number", "checked_at")
            .unique("nhs_number", keep="last", maintain_order=True)
        )
        assert set(latest["checked_at"]) == {f"{checked}T06:00:00"}
        assert set(latest["nhs_number"]) == set(weekly.shown("patient", week)["nhs_number"].drop_nulls())
    states = weekly.frames["opt_out"].filter(pl.col("opt_out_type") == "NDO").group_by("nhs_number")
    assert 10 <= states.agg(pl.col("is_opted_out").n_unique() > 1)["is_opted_out"].sum() <= 80  # 0.6 % is 24


def test_objections_are_as_common_as_in_england_and_some_were_withdrawn(england):
    objections = england.shown("opt_out")
    opted = objections.filter(pl.col("is_opted_out") == "true")
    assert 0.045 <= opted.filter(pl.col("opt_out_type") == "NDO").height / 24_000 <= 0.06  # about 5 %
    type_1 = objections.filter(pl.col("opt_out_type") == "TYPE1")
    assert 0.035 <= type_1.filter(pl.col("is_opted_out") == "true").height / 24_000 <= 0.055
    withdrawn = type_1.filter((pl.col("is_opted_out") == "false") & pl.col("nhs_number").is_not_null())
    assert withdrawn.height > 50
    began = type_1.filter(pl.col("is_opted_out") == "true").select("nhs_number", began="effective_from")
    both = withdrawn.join(began, on="nhs_number")
    assert both.height == withdrawn.height
    assert (both["effective_from"] >= both["began"]).all()


def test_clinic_sessions_are_on_weekdays_of_the_seven_days_from_the_index_date(england):
    capacity = england.shown("clinic_capacity").with_columns(pl.col("clinic_date").str.to_date())
    assert capacity["clinic_date"].min() >= date(2026, 11, 2)
    assert capacity["clinic_date"].max() <= date(2026, 11, 6)  # Friday
    book = load_rule_book()
    asked = {clinic.id for name in book.published for clinic in book.pathways[name].clinics}
    assert asked <= set(capacity["clinic_id"])  # a draft's clinics need no sessions: no list of it is published
    assert set(capacity["slots"].cast(pl.Int64)) <= {4, 5, 6, 7, 8}
    session = capacity.group_by("clinic_id", "practice_code", "clinic_date").agg(pl.col("role").n_unique())
    assert set(session["role"]) <= {1, 2, 3, 4}
    week = capacity.group_by("clinic_id", "practice_code").agg(pl.col("clinic_date").n_unique())
    assert set(week["clinic_date"]) <= {1, 2}


def test_the_last_of_several_practices_has_no_copd_clinic_and_a_lone_one_has(england):
    clinics = england.shown("clinic_capacity").filter(pl.col("clinic_id") == "copd_clinic")
    assert set(clinics["practice_code"]) == {"Y00001", "Y00002", "Y00003"}
    alone = clinic_capacity_rows(County(CountyOrder(people=200, practices=1)))
    assert "copd_clinic" in set(alone["clinic_id"])


def test_the_sessions_of_one_practice_are_those_it_has_in_the_county(weekly):
    practice = weekly.county.practices[1]
    own = weekly.frames["clinic_capacity"].filter(pl.col("practice_code") == practice.code)
    assert clinic_capacity_rows(weekly.county, practice).equals(own)


# The truth about people


def test_the_state_is_one_row_a_person_with_the_columns_it_declares(england):
    state = england.frames["state"]
    assert state.height == 24_000
    assert dict(state.schema) == {name: kind for name, (kind, _) in STATE_COLUMNS.items()}
    assert state.select("org_code", "source_patient_id").is_unique().all()
    counted = state["deficits"].str.count_matches(";") + 1
    assert counted.fill_null(0).cast(pl.Int64).equals(state["deficit_count"], check_names=False)
    with_copd = state.filter(pl.col("has_copd"))
    assert with_copd["copd_onset_date"].null_count() == 0
    assert (with_copd["copd_severity"] > 0).all()


def test_a_county_of_one_hundred_people_in_one_practice_is_a_county_too():
    small = draw(people=100, practices=1, weeks=2)
    assert small.shown("practice")["pcn_code"].to_list() == ["U00001"]
    assert not small.shown("registration", 2)["source_patient_id"].str.starts_with("M").any()
    assert small.frames["state"].height == 100
