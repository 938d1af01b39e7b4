"""A model fitted on an invented county: calibrated on practices and a year it never saw, planted effects in direction.

40,000 people are about 2,500 events to judge on. More than 5,000, of the shipped model: ``benchmarks.model_truth``.
"""

from __future__ import annotations

from datetime import date

import pytest

import whole_runs
from stratify import ingest, pipeline
from stratify.modelling.algorithms import fit
from stratify.modelling.cohort import gather
from stratify.modelling.design import Algorithm, models_folder, read_design
from stratify.modelling.diagnosis import diagnose
from stratify.modelling.evaluation import area, evaluate, evaluate_groups
from stratify.modelling.fitting import fit_on
from stratify.modelling.model_card import with_groups
from stratify.modelling.review import risk_of
from stratify.rulebook import load_rule_book
from stratify.runs import as_landed, prepare
from stratify.settings import load_settings
from stratify.synth import CountyOrder, write_county

pytestmark = pytest.mark.slow
INDEX_DATE = date(2026, 11, 2)
PLANTED = (
    "has_heart_failure", "is_on_diabetes_register", "has_cancer_ever", "has_serious_mental_illness",
    "has_learning_disability", "is_on_kidney_disease_register", "is_on_copd_register", "has_depression_ever",
    "has_coronary_heart_disease", "lives_in_care_home",
)  # fmt: skip
"""Illnesses and the place that the county plants a higher rate of emergency admissions for."""


@pytest.fixture(scope="module")
def restricted(tmp_path_factory):
    """The store of a run as far as core tables and codes: nothing later is asked."""
    folder = tmp_path_factory.mktemp("county")
    order = CountyOrder(people=40_000, practices=16, seed=5, history_years=4, file_format="parquet")
    write_county(folder / "extracts", order)
    settings = load_settings(
        whole_runs.settings_file(folder, folder / "extracts", folder / "out"),
        environment={},
        overrides={"index_date": INDEX_DATE},
        today=INDEX_DATE,
        synthetic_sources=frozenset({"synthetic_county"}),
    )
    key = whole_runs.KEY.encode()
    with whole_runs.counted_plainly():
        plan = prepare(settings, key=key)
        pipeline.land(plan, key=key)
        pipeline.validate(as_landed(plan), key=key)
    with whole_runs.open_store(plan.restricted / "run.duckdb", temp_directory=folder) as store:
        ingest.match_codes(store, list(load_rule_book(settings.clinical).codelists.values()))
    return plan.restricted


@pytest.fixture(scope="module")
def people(restricted):
    book = load_rule_book()
    design = read_design(models_folder(None) / "emergency_admission_12_months.yaml", book)
    cohort = gather(restricted, design, book, INDEX_DATE)
    assert diagnose(design, cohort, book) == ()
    return design, cohort


def test_risks_are_right_on_practices_and_a_year_never_seen(people):
    design, cohort = people
    model = fit_on(design, cohort, definitions="")
    unseen = cohort.part("later", "elsewhere", "later_elsewhere")
    risk = risk_of(model, unseen)
    found = evaluate(unseen.outcome, risk).measures
    assert unseen.outcome.sum() > 2_000
    assert 0.9 <= found["calibration_slope"].value <= 1.1
    assert abs(found["calibration_intercept"].value) <= 0.05
    published = unseen.rows["baseline"].fill_null(0.0).to_numpy()
    assert area(unseen.outcome, risk) > area(unseen.outcome, published) + 0.03


def test_risks_are_right_on_average_in_every_group_that_nothing_was_planted_for(people):
    design, cohort = people
    model = fit_on(design, cohort, definitions="")
    unseen = cohort.part("later", "elsewhere", "later_elsewhere")
    risk = risk_of(model, unseen)
    groups = with_groups(unseen.rows).select("sex", "age_band", "ethnic_group", "imd_fifth", "has_copd", "has_diabetes")
    who = unseen.rows["patient_key"].to_numpy()
    found = evaluate_groups(unseen.outcome, risk, groups, person=who)
    gaps = {name: each.measures["calibration_gap"] for name, each in found.items() if each.measures}
    assert len(gaps) > 15
    assert {
        name: each for name, each in gaps.items() if abs(each.value) > 0.02 and not each.low <= 0 <= each.high
    } == {}


def test_planted_effects_are_found_in_their_direction_without_being_told(people):
    design, cohort = people
    plain = Algorithm(kind="logistic", penalties=(0.001,))
    fitted = fit(plain, cohort.predictors, cohort.outcome, names=design.names, groups=cohort.groups, seed=1)
    weights = {term.predictor: term.times for term in fitted.terms}
    assert {name: weights[name] for name in PLANTED if weights[name] <= 0} == {}
    assert weights["imd_decile"] < 0  # 1 is the most deprived
    assert weights["emergency_admissions_count"] > 0
