"""The GP records of the synthetic county: what one practice writes, how much of it, and that nothing in it is wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import stratify
from stratify import contracts
from stratify.codes import verhoeff_is_valid
from stratify.synth import clinical_codes as codes
from stratify.synth.columns import KNOWN, NEVER, REPLACES, YEAR, Flags
from stratify.synth.conditions import Conditions, draw_conditions
from stratify.synth.gp_record import Flares, gp_rows
from stratify.synth.known import key_of
from stratify.synth.order import CountyOrder
from stratify.synth.population import People, draw_deaths, make_people, reserved_nhs_numbers
from stratify.synth.recorded import DEFICIT_CODES
from stratify.synth.world import County

TABLES = ("gp_event", "gp_observation", "gp_medication", "gp_appointment")
DAY_OF = {"gp_event": "effective_date", "gp_observation": "effective_date", "gp_medication": "issue_date"}
PEOPLE = 2_500


@dataclass
class Made:
    """One practice with everything it wrote."""

    county: County
    people: People
    conditions: Conditions
    frames: dict[str, pl.DataFrame]
    flares: Flares

    def final(self, table: str) -> pl.DataFrame:
        """Give the latest version of every row, with the person it is about and the day it happened as a number."""
        rows = (
            self.frames[table].sort(KNOWN, maintain_order=True).unique(key_of(table), keep="last", maintain_order=True)
        )
        everybody = np.arange(self.people.count)
        owners = [self.people.record_of(everybody, np.full(self.people.count, day)) for day in (-NEVER, NEVER)]
        owner = pl.concat(
            pl.DataFrame({"org_code": code, "source_patient_id": record, "person": everybody})
            for code, record in owners
        ).unique(["org_code", "source_patient_id"], keep="first", maintain_order=True)
        day = pl.col(DAY_OF[table]) if table in DAY_OF else pl.col("start_at").cast(pl.Date)
        rows = rows.join(owner, on=["org_code", "source_patient_id"], how="left", maintain_order="left")
        return rows.with_columns(day=day.cast(pl.Int32))

    def who(self, flags: Flags) -> list[int]:
        """Give the numbers of people."""
        return np.flatnonzero(flags).tolist()


def made(people: int = PEOPLE, *, seed: int = 1, weeks: int = 8) -> Made:
    county = County(CountyOrder(people=9 * people, practices=9, seed=seed, weeks=weeks))
    practice = county.practices[1]
    everybody = make_people(county, practice, reserved_nhs_numbers(people, seed))
    conditions = draw_conditions(county, everybody)
    draw_deaths(county, everybody, conditions)
    frames, flares = gp_rows(county, everybody, conditions)
    return Made(county, everybody, conditions, frames, flares)


@pytest.fixture(scope="module")
def practice() -> Iterator[Made]:
    yield made()


def present_years(practice: Made) -> float:
    """Give the years that people lived and were registered within the detailed history, all people together."""
    people, county = practice.people, practice.county
    begin = np.maximum(np.maximum(people.start_day, people.birth_day), county.first_day)
    return float(np.maximum(people.last_day - begin, 0)[~people.is_test].sum() / YEAR)


# Form


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_of_the_contract_and_the_required_ones_are_full(practice, table):
    frame = practice.frames[table]
    columns = {each.name: each for each in contracts.load(f"landing.{table}").columns}
    assert set(frame.columns) - {KNOWN, REPLACES} <= columns.keys()
    assert frame.schema[KNOWN] == pl.Int32
    assert frame.schema[REPLACES] == pl.Boolean
    for name in frame.columns:
        column = columns.get(name)
        if column is None:
            continue
        held = frame[name].drop_nulls()
        assert not column.is_required or held.len() == frame.height, name
        assert not column.valid_values or set(held.unique()) <= set(column.valid_values), name
        assert not column.pattern or held.unique().str.contains(column.pattern).all(), name
        assert column.minimum is None or held.cast(pl.Float64).min() >= column.minimum, name
        assert column.maximum is None or held.cast(pl.Float64).max() <= column.maximum, name


@pytest.mark.parametrize("table", TABLES)
def test_an_id_is_given_once_and_a_later_version_is_of_a_row_known_before(practice, table):
    frame, key = practice.frames[table], list(key_of(table))
    first, later = frame.filter(~pl.col(REPLACES)), frame.filter(pl.col(REPLACES))
    assert first.select(key).is_unique().all()
    assert later.select(key).is_unique().all()
    both = later.join(first, on=key, suffix="_first")
    assert both.height == later.height > 0
    assert (both[KNOWN] > both[f"{KNOWN}_first"]).all()


def test_a_few_entries_are_withdrawn_and_a_few_values_mended(practice):
    for table in ("gp_event", "gp_observation", "gp_medication"):
        frame = practice.frames[table]
        withdrawn = frame.filter("is_deleted")
        assert 0 < withdrawn.height < 0.003 * frame.height
        assert withdrawn[REPLACES].all()
    frame = practice.frames["gp_observation"]
    mended = frame.filter(pl.col(REPLACES) & ~pl.col("is_deleted"))
    both = mended.join(frame.filter(~pl.col(REPLACES)), on=key_of("gp_observation"), suffix="_first")
    assert both.height > 20
    assert (both["value_num"] != both["value_num_first"]).mean() > 0.7  # a small value may round to itself
    assert ((both["value_num"] - both["value_num_first"]).abs() <= 0.06 * both["value_num"] + 0.5).all()


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_before_birth_after_the_record_or_known_before_it_happened(practice, table):
    rows, people = practice.final(table), practice.people
    assert rows["person"].null_count() == 0
    person, day = rows["person"].to_numpy(), rows["day"].to_numpy()
    assert not people.is_test[person].any()
    known = practice.frames[table][KNOWN]
    assert known.max() <= practice.county.last_day
    if table == "gp_appointment":
        day = np.where(rows["status"].to_numpy() == "BOOKED", people.birth_day[person], day)
    assert (day <= people.last_day[person]).all()
    assert (rows[KNOWN].to_numpy() >= day).all()
    assert (day >= people.birth_day[person]).all()


def test_most_of_what_happens_is_known_within_days_and_some_of_it_months_later(practice):
    frame = practice.frames["gp_event"].filter(~pl.col(REPLACES) & (pl.col("effective_precision") == "YMD"))
    behind = frame[KNOWN] - frame["effective_date"].cast(pl.Int32)
    assert behind.min() >= 0
    assert 0.9 < (behind <= 7).mean() < 0.99
    assert 0.005 < (behind > 28).mean() < 0.04


def test_the_same_order_gives_the_same_records_and_another_seed_gives_others():
    one, again, other = (made(400, seed=seed, weeks=0).frames for seed in (1, 1, 2))
    for table in TABLES:
        assert one[table].equals(again[table])
        assert not one[table].equals(other[table])


def test_entries_after_a_move_are_in_the_record_of_the_new_practice(practice):
    people = practice.people
    rows = practice.final("gp_medication").filter(pl.col("person").is_in(practice.who(people.moved_to >= 0)))
    person, day = rows["person"].to_numpy(), rows["day"].to_numpy()
    moved = rows["org_code"].to_numpy() != people.practice.code
    assert moved.any()
    assert (moved == (day >= people.end_day[person])).all()


# Codes


def test_every_code_has_its_check_digit_and_means_the_same_deficit_to_the_oracle_as_in_the_published_lists(practice):
    written = {
        code for table in ("gp_event", "gp_observation") for code in practice.frames[table]["snomed_code"].unique()
    }
    assert all(verhoeff_is_valid(code) for code in (*written, *practice.frames["gp_medication"]["dmd_code"].unique()))
    names = {"anaemia_haematinic": "anaemia", "cerebrovascular_disease": "cerebrovascular"}
    for path in sorted((Path(stratify.__file__).parent / "clinical" / "codelists").glob("efi_*.csv")):
        name = path.stem.removeprefix("efi_")
        with path.open(encoding="utf-8", newline="") as opened:
            listed = {row["code"] for row in csv.DictReader(opened)} & written
        assert {DEFICIT_CODES.get(code) for code in listed} <= {names.get(name, name)}, name


def test_no_two_repeat_medicines_are_one_substance():
    substances = [(each.bnf_code or each.code)[:9] for each in codes.REPEAT_MEDICINES]
    assert len(set(substances)) == len(substances)


# Values


def test_both_halves_of_a_blood_pressure_stand_under_an_entry_of_their_own(practice):
    rows = practice.final("gp_observation").filter(~pl.col("is_deleted"))
    parents = practice.frames["gp_event"].filter(pl.col("snomed_code") == codes.BLOOD_PRESSURE.code)["source_event_id"]
    upper, lower = (
        rows.filter(pl.col("snomed_code") == each.code).select("parent_event_id", "value_num", "person", "day")
        for each in (codes.SYSTOLIC, codes.DIASTOLIC)
    )
    pairs = upper.join(lower, on=["parent_event_id", "person", "day"], suffix="_lower")
    assert pairs.height > 1_000
    assert (pairs["value_num"] > pairs["value_num_lower"]).all()
    assert set(upper["parent_event_id"]) | set(lower["parent_event_id"]) <= set(parents)


@pytest.mark.parametrize(
    ("concept", "units", "low", "high"),
    [
        pytest.param(
            codes.FEV1_PERCENT, {"%", "% predicted", "per cent", "%predicted", "% Pred FEV1"}, 8, 151, id="fev1"
        ),
        pytest.param(codes.FEV1_FVC_RATIO, {"ratio", None}, 0.2, 1, id="ratio"),
        pytest.param(codes.HBA1C, {"mmol/mol"}, 20, 200, id="hba1c"),
        pytest.param(codes.EGFR, {"mL/min/1.73m2"}, 1, 200, id="egfr"),
        pytest.param(codes.SYSTOLIC, {"mmHg"}, 40, 350, id="systolic"),
        pytest.param(codes.BODY_MASS_INDEX, {"kg/m2"}, 10, 150, id="bmi"),
        pytest.param(codes.WEIGHT, {"kg"}, 10, 500, id="weight"),
        pytest.param(codes.HEIGHT, {"cm"}, 50, 250, id="height"),
        pytest.param(codes.MRC_SCORE, {None}, 1, 5, id="mrc"),
        pytest.param(codes.MMRC_SCORE, {None}, 0, 4, id="mmrc"),
        pytest.param(codes.CAT_SCORE, {None}, 0, 40, id="cat"),
    ],
)
def test_values_fit_their_code_and_unit(practice, concept, units, low, high):
    rows = practice.frames["gp_observation"].filter(pl.col("snomed_code") == concept.code)
    assert rows.height > 0 or concept in (codes.MRC_SCORE, codes.MMRC_SCORE)  # some practices write neither
    assert set(rows["unit_raw"].unique()) <= units
    assert rows["value_num"].is_between(low, high).all()


def test_litres_and_millilitres_are_told_apart_by_their_unit(practice):
    rows = practice.frames["gp_observation"].filter(pl.col("snomed_code") == codes.FEV1_LITRES.code)
    litres = pl.when(pl.col("unit_raw") == "ml").then(pl.col("value_num") / 1000).otherwise(pl.col("value_num"))
    assert rows.select(litres.is_between(0.1, 7)).to_series().all()
    assert rows["unit_raw"].null_count() == 0


def test_comparators_stand_only_at_the_limit_of_what_the_laboratory_measures(practice):
    rows = practice.frames["gp_observation"]
    above, below = (rows.filter(pl.col("comparator") == sign) for sign in (">", "<"))
    assert set(above["snomed_code"]) == {codes.EGFR.code}
    assert set(above["value_num"]) == {90}
    assert set(below["snomed_code"]) <= {codes.ALBUMIN_CREATININE_RATIO.code, codes.THYROID_STIMULATING_HORMONE.code}
    assert set(below["value_num"]) <= {0.3, 0.05}
    assert above.height > 500
    assert below.height > 10


def test_a_grade_written_as_code_and_value_says_the_same_twice(practice):
    rows = practice.frames["gp_observation"]
    for grade, concept in enumerate(codes.MRC_GRADES, 1):
        assert set(rows.filter(pl.col("snomed_code") == concept.code)["value_num"]) <= {grade}


# What is written of whom


def test_a_condition_is_written_on_the_day_it_began(practice):
    events, onset = practice.final("gp_event"), practice.conditions.onset
    vague = events.filter((pl.col("effective_precision") == "Y") | pl.col("is_deleted"))["person"].unique()
    exact = events.filter(~pl.col("person").is_in(vague.implode()))
    for name, concepts in (
        ("type_2_diabetes", (codes.TYPE_2_DIABETES,)),
        ("copd", codes.COPD_DIAGNOSES),
        ("depression", (codes.DEPRESSION,)),
        ("cancer", codes.CANCERS),
    ):
        found = exact.filter(pl.col("snomed_code").is_in([each.code for each in concepts]))
        person = found["person"].to_numpy()
        assert len(person) > 5
        assert (found["day"].to_numpy() >= onset[name][person]).all(), name
        first = found.group_by("person").agg(pl.col("day").min())
        same = first["day"].to_numpy() == onset[name][first["person"].to_numpy()]
        assert same.mean() > 0.95, name


def test_deficits_are_in_the_record_of_almost_everybody_who_has_them_but_not_of_those_hardly_seen(practice):
    conditions, people = practice.conditions, practice.people
    rows = pl.concat(practice.final(each).select("person", "snomed_code") for each in ("gp_event", "gp_observation"))
    meant = rows.with_columns(deficit=pl.col("snomed_code").replace_strict(DEFICIT_CODES, default=None)).drop_nulls()
    alive = ~people.is_test & (people.last_day == practice.county.last_day)
    low = people.engagement < 0.4
    had, written = np.zeros(2), np.zeros(2)
    for name in codes.DEFICITS:
        found = set(meant.filter(pl.col("deficit") == name)["person"])
        for place, group in enumerate((alive & low, alive & ~low)):
            has = practice.who(conditions.has_deficit(name) & group)
            if name != "polypharmacy":
                had[place] += len(has)
                written[place] += len(found.intersection(has))
    unseen, seen = (written / had).tolist()
    assert 0.75 < unseen < 0.97
    assert seen > 0.99


def test_polypharmacy_is_five_medicines_in_a_year_and_the_other_old_people_have_fewer(practice):
    people, last = practice.people, practice.county.last_day
    issues = practice.final("gp_medication").filter(pl.col("day") > last - 365)
    substance = pl.coalesce(pl.col("bnf_code").str.head(9), "dmd_code")
    held = dict(issues.group_by("person").agg(substance.n_unique().alias("count")).iter_rows())
    old = (people.age_on(last) >= 65) & (people.last_day == last) & ~people.is_test
    many = practice.conditions.has_deficit("polypharmacy")
    since = practice.conditions.deficit_day[:, list(codes.DEFICITS).index("polypharmacy")]
    with_it = [held.get(person, 0) >= 5 for person in practice.who(old & many & (since < last - 400))]
    without = [held.get(person, 0) >= 5 for person in practice.who(old & ~many)]
    assert len(with_it) > 50
    assert np.mean(with_it) > 0.93
    assert np.mean(without) < 0.14


def test_only_diabetics_have_their_review_and_about_half_all_eight_processes_in_a_year(practice):
    conditions, last = practice.conditions, practice.county.last_day
    onset = np.minimum(conditions.onset["type_1_diabetes"], conditions.onset["type_2_diabetes"])
    rows = pl.concat(
        practice.final(each).select("person", "snomed_code", "day") for each in ("gp_event", "gp_observation")
    )
    reviewed = rows.filter(pl.col("snomed_code") == codes.DIABETES_REVIEW.code)
    assert (onset[reviewed["person"].to_numpy()] <= reviewed["day"].to_numpy()).all()
    eight = [
        {codes.HBA1C.code}, {codes.SYSTOLIC.code}, {codes.CHOLESTEROL.code}, {codes.CREATININE.code},
        {codes.ALBUMIN_CREATININE_RATIO.code}, {codes.FOOT_EXAMINATION.code}, {codes.BODY_MASS_INDEX.code},
        {each.code for each in codes.SMOKING},
    ]  # fmt: skip
    year = rows.filter(pl.col("day") > last - 456)
    done = [set(year.filter(pl.col("snomed_code").is_in(sorted(each)))["person"]) for each in eight]
    people = set(practice.who((onset < last - 456) & (practice.people.last_day == last) & ~practice.people.is_test))
    assert 0.2 < len(set.intersection(people, *done)) / len(people) < 0.8
    assert len(people & done[0]) > 0.7 * len(people)


def test_copd_is_unevenly_recorded_and_the_worst_off_are_missing_most(practice):
    people, conditions, last = practice.people, practice.conditions, practice.county.last_day
    ill = (conditions.onset["copd"] < last - 400) & (people.last_day == last) & ~people.is_test
    measured = practice.final("gp_observation").filter(
        (pl.col("snomed_code") == codes.FEV1_PERCENT.code) & (pl.col("day") > last - 1096)
    )
    assert 0.65 < len(set(practice.who(ill)) & set(measured["person"])) / ill.sum() < 0.98
    per_person = practice.final("gp_observation")["person"].value_counts()
    counts = np.zeros(people.count)
    counts[per_person["person"].to_numpy()] = per_person["count"].to_numpy()
    watched = (conditions.onset["hypertension"] < last - 1096) & (people.last_day == last)
    seldom, often = people.engagement < 0.4, people.engagement > 0.75
    assert counts[watched & seldom].mean() < 0.8 * counts[watched & often].mean()


def test_flare_ups_are_of_people_with_copd_and_more_in_winter(practice):
    flares, people = practice.flares, practice.people
    assert (practice.conditions.onset["copd"][flares.person] < flares.day).all()
    assert (flares.day <= people.last_day[flares.person]).all()
    month = np.array([(date(1970, 1, 1).toordinal() + day) for day in flares.day.tolist()])
    months = np.array([date.fromordinal(each).month for each in month.tolist()])
    winter, summer = np.isin(months, (12, 1, 2)).sum(), np.isin(months, (6, 7, 8)).sum()
    assert winter > 1.3 * summer > 10


def test_influenza_vaccinations_are_in_autumn_and_winter(practice):
    rows = practice.frames["gp_event"].filter(pl.col("snomed_code") == codes.INFLUENZA_VACCINATION.code)
    assert rows.height > 500
    assert set(rows["effective_date"].dt.month().unique()) <= {9, 10, 11, 12, 1, 2}


# How much


def test_a_person_and_year_has_about_as_many_rows_as_in_england(practice):
    years = present_years(practice)
    since = practice.county.first_day
    rates = {
        table: practice.final(table)
        .filter((pl.col("day") >= since) & (pl.col("day") <= practice.county.last_day))
        .height
        / years
        for table in TABLES
    }
    assert 16 < rates["gp_medication"] < 24
    assert 7 < rates["gp_observation"] < 13
    assert 3.5 < rates["gp_event"] < 7.5
    assert 5 < rates["gp_appointment"] < 7


def test_appointments_are_missed_and_held_as_in_england(practice):
    rows = practice.final("gp_appointment").filter(pl.col("status").is_in(["ATTENDED", "DNA"]))
    assert 0.03 < (rows["status"] == "DNA").mean() < 0.055
    assert 0.58 < (rows["mode"] == "face_to_face").mean() < 0.72
    assert 0.2 < (rows["mode"] == "telephone").mean() < 0.32
    assert set(rows["start_at"].dt.weekday().unique()) == {1, 2, 3, 4, 5}
    assert (rows["booked_at"] <= rows["start_at"]).all()
    assert 0.3 < (rows["booked_at"].dt.date() == rows["start_at"].dt.date()).mean() < 0.5


def test_an_appointment_is_booked_in_one_extract_and_over_in_a_later_one(practice):
    frame, cutoffs = practice.frames["gp_appointment"], practice.county.cutoff_days
    over = frame.filter(REPLACES).select("org_code", "source_slot_id", "status", KNOWN)
    both = frame.filter(~pl.col(REPLACES)).join(over, on=["org_code", "source_slot_id"], suffix="_later")
    assert both.height > 100
    assert set(both["status"]) == {"BOOKED"}
    assert "BOOKED" not in set(both["status_later"])
    for known, later in both.select(KNOWN, f"{KNOWN}_later").iter_rows():
        assert any(known <= cutoff < later for cutoff in cutoffs)
    ahead = practice.final("gp_appointment").filter(pl.col("day") > practice.county.last_day)
    assert ahead.height > 20
    assert set(ahead["status"]) == {"BOOKED"}
    assert (ahead["booked_at"].dt.date().cast(pl.Int32) <= practice.county.last_day).all()
