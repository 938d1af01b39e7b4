"""Trained models: fitted within declared directions, the same bit for bit, kept as data, and a score like any other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import pytest
import yaml
from threadpoolctl import threadpool_limits

from stratify import audit_trail, examples, score_parts
from stratify.audit_trail import Actor
from stratify.errors import RuleError, RunError
from stratify.modelling.additive import Term
from stratify.modelling.algorithms import _boosting, fit
from stratify.modelling.cohort import Cohort, Observed, held_back
from stratify.modelling.definition import definition_text, examples_text, no_score, score_of
from stratify.modelling.design import Algorithm, ModelDesign, declared, models_folder, read_design
from stratify.modelling.diagnosis import diagnose
from stratify.modelling.fitting import next_version
from stratify.modelling.promotion import SignOff, Trail, in_use_in_words, promote, register_of, roll_back
from stratify.modelling.review import Gate, Review
from stratify.modelling.stored import StoredModel, TrainedOn, read_model, write_model
from stratify.reasons import find_values
from stratify.rulebook import clinical_folder, load_rule_book, with_definitions
from stratify.rules import ExamplesFile, Score
from stratify.scores import add_scores

NAMES = ("age_years", "emergency_admissions_count", "has_heart_failure", "imd_decile")
NAME = "emergency_admission_12_months"


@pytest.fixture(scope="module")
def book():
    return load_rule_book()


@pytest.fixture(scope="module")
def people():
    """6,000 invented people at 12 practices: admissions and heart failure raise the risk, age does beyond 60."""
    rng = np.random.default_rng(7)
    count = 6_000
    age = rng.integers(18, 95, count).astype(float)
    admissions = rng.poisson(0.3, count).astype(float)
    failing = (rng.random(count) < 0.1).astype(float)
    decile = rng.integers(1, 11, count).astype(float)
    log_odds = -3 + 0.03 * np.maximum(age - 60, 0) + 0.6 * admissions + 0.8 * failing - 0.05 * decile
    outcome = (rng.random(count) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    decile[rng.random(count) < 0.1] = np.nan
    return np.column_stack([age, admissions, failing, decile]), outcome, rng.integers(0, 12, count)


def _fitted(people, kind="boosting", **changes):
    predictors, outcome, practices = people
    settings = {"rounds": (30,), "penalties": (0.01,), "folds": 2} | changes
    signs = {"emergency_admissions_count": 1, "has_heart_failure": 1, "imd_decile": -1}
    return fit(
        Algorithm(kind=kind, **settings), predictors, outcome, names=NAMES, groups=practices, seed=1, directions=signs
    )


@pytest.fixture(scope="module")
def boosted(people):
    return _fitted(people)


def _design(**changes):
    said = yaml.safe_load((models_folder(None) / f"{NAME}.yaml").read_text(encoding="utf-8"))
    said["predictors"] = [{"variable": name} for name in NAMES[:3]]
    said["predictors"].append({"variable": "imd_decile", "when_missing": "learned"})
    return ModelDesign.model_validate(said | changes)


def _stored(fitted, **changes):
    trained = TrainedOn(
        people=10, rows=10, events=5, practices=2, first_index_date="2024-09-02", last_index_date="2024-09-02",
        held_back_practices=("Y00001",), attrition=(), data="0", definitions="0",
    )  # fmt: skip
    return StoredModel(design=_design(**changes), fitted=fitted, trained_on=trained, made_with={"numpy": "2"})


# ------------------------------------------------------------------------------------------------------ fitting


@pytest.mark.parametrize("kind", ["boosting", "logistic"])
def test_a_risk_is_the_sum_of_what_each_predictor_adds(people, kind):
    fitted = _fitted(people, kind)
    risk = fitted.risk(people[0])
    assert np.allclose(np.log(risk / (1 - risk)), fitted.contributions(people[0]).sum(axis=1), atol=1e-12)
    assert abs(risk.mean() - people[1].mean()) < 0.01


def test_terms_are_the_model_of_scikit_learn_to_nine_places(people, monkeypatch):
    from stratify.modelling import algorithms

    kept = []

    class Kept(algorithms.HistGradientBoostingClassifier):
        def fit(self, banded, outcome):
            kept.append((self, banded))
            return super().fit(banded, outcome)

    monkeypatch.setattr(algorithms, "HistGradientBoostingClassifier", Kept)
    with threadpool_limits(limits=1):
        raw = _boosting(Algorithm(kind="boosting"), 60, people[0], people[1], NAMES, [0, 1, 1, -1], 1)
        model, banded = kept[0]
        theirs = model.predict_proba(banded)[:, 1]
    assert np.abs(1 / (1 + np.exp(-raw.log_odds(people[0]))) - theirs).max() < 1e-9


def test_more_admissions_never_lower_the_risk_where_that_is_declared(people):
    predictors, outcome, practices = people
    against = np.where(predictors[:, 1] > 0, outcome & (practices > 9), outcome)  # admitted before: hardly ever again
    for kind in ("boosting", "logistic"):
        fitted = _fitted((predictors, against, practices), kind)
        term = fitted.terms[1]
        added = term.added(np.arange(6.0))
        assert (np.diff(added) >= -1e-12).all(), kind


@pytest.mark.parametrize("kind", ["boosting", "logistic"])
def test_the_same_data_and_seed_give_the_same_model_whatever_the_threads(people, kind):
    with threadpool_limits(limits=1):
        one = _fitted(people, kind)
    with threadpool_limits(limits=2):
        two = _fitted(people, kind)
    assert one.model_dump_json() == two.model_dump_json()


def test_what_is_not_known_is_fitted_or_leaves_the_risk_open(boosted):
    known, learned, open_ = [70.0, 1.0, 0.0, 5.0], [70.0, 1.0, 0.0, np.nan], [70.0, np.nan, 0.0, 5.0]
    found = boosted.risk(np.array([known, learned, open_]))
    assert np.isfinite(found[:2]).all()
    assert math.isnan(found[2])


def test_what_not_knowing_means_is_believed_as_far_as_people_tell_it():
    """Nothing but chance is in who is not known: of 12 draws few people must be no further out than many are."""
    errors = {}
    for count, draws in ((2_000, 12), (40_000, 2)):
        found = []
        for seed in range(draws):
            rng = np.random.default_rng(seed)
            value = rng.integers(1, 11, count).astype(float)
            outcome = (rng.random(count) < 1 / (1 + np.exp(2 + 0.1 * (value - 5.5)))).astype(np.int64)
            value[rng.random(count) < 0.05] = np.nan
            plain = Algorithm(kind="boosting", rounds=(60,), folds=2)
            fitted = fit(plain, value[:, None], outcome, names=("imd_decile",), groups=np.arange(count) % 4, seed=1)
            found.append(abs(fitted.terms[0].when_unknown))
        errors[count] = max(found)
    assert errors[2_000] < 0.15  # a dozen events among 100 people have an error of 0.3 by themselves
    assert errors[40_000] < 0.15


def test_what_not_knowing_means_is_fitted_where_many_tell_it():
    """Of whom it is not known 2 in 5 have the event, of others 1 in 10: in log-odds -0.41 less -2.20 is 1.79."""
    rng = np.random.default_rng(3)
    value = rng.integers(0, 2, 20_000).astype(float)
    is_unknown = rng.random(20_000) < 0.3
    outcome = (rng.random(20_000) < np.where(is_unknown, 0.4, 0.1)).astype(np.int64)
    value[is_unknown] = np.nan
    plain = Algorithm(kind="boosting", rounds=(120,), folds=2)
    term = fit(plain, value[:, None], outcome, names=("x",), groups=np.arange(20_000) % 4, seed=1).terms[0]
    assert term.when_unknown - np.mean(term.points) == pytest.approx(1.79, abs=0.12)


def test_fitting_asks_for_as_many_practices_as_folds(people):
    with pytest.raises(RuleError, match="at least 2 practices to fit on; found 1"):
        _fitted((people[0], people[1], np.zeros(len(people[1]))))


# --------------------------------------------------------------------------------------------------- declaration


def test_the_shipped_declarations_fit_the_rule_book(book):
    found = [read_design(models_folder(None) / f"{each}.yaml", book).name for each in declared(None)]
    assert NAME in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"predictors": [{"variable": "a_stranger"}]}, "variables of the rule book; found a_stranger"),
        ({"baseline_score": "a_stranger"}, "a published score of the rule book to beat"),
        ({"index_dates": {"latest_months_before": 11}}, "horizon is not over"),
        ({"tiers": {"high": 1.2}}, "tiers begin at risks"),
        ({"outcome": {"within_months": 12, "within_days_of_discharge": 30}}, "one horizon"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_with_the_reason(tmp_path, book, change, words):
    said = yaml.safe_load((models_folder(None) / f"{NAME}.yaml").read_text(encoding="utf-8"))
    (tmp_path / f"{NAME}.yaml").write_text(yaml.safe_dump(said | change), encoding="utf-8")
    with pytest.raises(RuleError, match=words):
        read_design(tmp_path / f"{NAME}.yaml", book)


def test_practices_are_held_back_by_their_code_so_that_a_newcomer_moves_no_other():
    practices = [f"Y{number:05}" for number in range(20)]
    before, after = held_back(practices, 25, 1), held_back([*practices, "Z00001"], 25, 1)
    assert len(before) == 5
    assert len(set(before) & set(after)) >= 4


# ----------------------------------------------------------------------------------------------------- diagnosis


def _cohort(
    outcome, predictors, *, deaths=10, days=(), by_month=(100,) * 12, first=date(2022, 1, 1), when=date(2025, 9, 2)
):
    count = len(outcome)
    rows = pl.DataFrame({"patient_key": [str(each) for each in range(count)], "index_date": [when] * count,
                         "outcome": outcome, "part": ["fit"] * count, "practice_code": ["Y00001"] * count})  # fmt: skip
    rows = rows.with_columns(pl.Series(f"x_{name}", predictors[:, place]) for place, name in enumerate(NAMES))
    return Cohort(rows, (), NAMES, Observed(first, date(2026, 11, 2), deaths, tuple(days), by_month))


def test_nothing_is_wrong_with_people_that_are_fit(people, book):
    assert diagnose(_design(least_events=100), _cohort(people[1], people[0]), book) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"deaths": 0}, "immortal time: nobody dies"),
        ({"days": [200] * 400}, "immortal time: 0 of 400 events in the first twelfth"),
        ({"first": date(2025, 1, 1)}, "look-back before the records"),
        ({"by_month": (40, *[130] * 11)}, "outcomes not complete: 40 emergency admissions"),
    ],
)
def test_people_who_are_not_fit_are_named(people, book, change, words):
    found = diagnose(_design(least_events=100), _cohort(people[1], people[0], **change), book)
    assert [each for each in found if each.startswith(words)], found


def test_too_few_events_are_refused(people, book):
    found = diagnose(_design(), _cohort(people[1][:300], people[0][:300]), book)
    assert any(each.startswith("too few events: ") and "of 200 that 5 parameters need" in each for each in found)


def test_a_predictor_that_is_the_outcome_is_found(people, book):
    leaking = people[0].copy()
    leaking[:, 1] = people[1]
    found = diagnose(_design(least_events=100), _cohort(people[1], leaking), book)
    assert any(each.startswith("leakage: emergency_admissions_count alone") for each in found)
    missing = people[0].copy()
    missing[:, 3] = np.where(people[1] == 1, 5.0, np.nan)
    found = diagnose(_design(least_events=100), _cohort(people[1], missing), book)
    assert any(each.startswith("leakage: imd_decile alone") for each in found)


# ------------------------------------------------------------------------------------------------------ the file


def test_a_stored_model_comes_back_and_gives_the_same_risks(tmp_path, people, boosted):
    digest = write_model(_stored(boosted), tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    assert again.digest == digest
    assert np.array_equal(again.fitted.risk(people[0]), boosted.risk(people[0]), equal_nan=True)


def _changed(text):
    return text.replace('"base": -', '"base": -1', 1)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(_changed, "what its digest", id="tampered"),
        pytest.param(lambda text: text[: len(text) // 2], "cut off", id="truncated"),
        pytest.param(lambda text: "", "cut off", id="empty"),
        pytest.param(lambda text: '{"format": "another"}', "another file", id="foreign"),
        pytest.param(lambda text: "[" * 100_000, "cut off", id="nested"),
        pytest.param(lambda text: text.replace('"base": -', '"base": NaN, "b": -', 1), "cut off", id="not_a_number"),
        pytest.param(lambda text: text.replace('"base"', '"base": 1, "base"', 1), "cut off", id="a_key_twice"),
        pytest.param(lambda text: " " * 6_000_000, "at most 5,000,000 bytes", id="huge"),
    ],
)
def test_a_spoiled_file_is_refused(tmp_path, boosted, spoil, words):
    file = tmp_path / "model.json"
    write_model(_stored(boosted), file)
    file.write_text(spoil(file.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RuleError, match=words):
        read_model(file)


def test_a_pickle_is_refused_and_nothing_in_it_runs(tmp_path):
    import pickle

    class Hostile:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    (tmp_path / "model.json").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(RuleError, match="text that is none"):
        read_model(tmp_path / "model.json")
    assert not (tmp_path / "ran").exists()


def test_a_file_with_a_right_digest_and_a_wrong_model_is_refused(tmp_path, boosted):
    import hashlib

    from stratify.modelling.stored import _canonical

    file = tmp_path / "model.json"
    write_model(_stored(boosted), file)
    said = json.loads(file.read_text(encoding="utf-8"))
    del said["sha256"]
    said["fitted"]["terms"][0]["edges"] = [2.0, 1.0]
    said["sha256"] = hashlib.sha256(_canonical(said)).hexdigest()
    file.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(RuleError, match=r"a model as this version of stratify writes it; found fitted\.terms\.0"):
        read_model(file)


def test_versions_go_on_from_the_latest_kept(tmp_path, boosted):
    design = _design(version="1.2.0")
    assert next_version(design, tmp_path, tmp_path / "none") == "1.2.0"
    for version in ("1.2.9", "1.2.10"):
        write_model(_stored(boosted, version=version), tmp_path / f"{NAME}-{version}.json")
    assert next_version(design, tmp_path) == "1.2.11"
    assert next_version(_design(version="2.0.0"), tmp_path) == "2.0.0"


# ------------------------------------------------------------------------------------------- a score of the rule book


def _scored(score, rows, book):
    small = with_definitions(book, [score]).cut_down_to(score.id)
    people = [
        examples.Example.model_validate({"name": "", "person": person, "values": values, "expect": {}})
        for person, values in rows
    ]
    wide = examples.wide_rows(people, small)
    return add_scores(nw.from_native(wide.lazy()), small).collect(backend="polars").to_native().sort("patient_key")


@pytest.mark.parametrize("kind", ["boosting", "logistic"])
def test_the_rule_book_gives_the_risks_of_the_model(people, book, kind):
    model = _stored(_fitted(people, kind))
    score = score_of(model, book)
    rows, values = [], []
    for age, admissions, failing, decile in people[0][:10]:
        person = {"age_years": age, "months_registered": 60} | (
            {} if math.isnan(decile) else {"imd_decile": int(decile)}
        )
        rows.append((person, {"emergency_admissions_count": admissions, "has_heart_failure": failing}))
        values.append([age, admissions, failing, decile])
    found = _scored(score, rows, book)[f"v_{NAME}"].to_numpy()
    assert np.abs(found - model.fitted.risk(np.array(values))).max() <= 5e-7  # scores have six places


def test_hospital_data_not_linked_leaves_the_risk_open_and_the_young_have_none(book, boosted):
    score = score_of(_stored(boosted), book)
    unlinked, young = ({"age_years": 80, "is_hospital_linked": False}, {}), ({"age_years": 17}, {})
    found = _scored(score, [unlinked, young], book)
    assert found[f"v_{NAME}"][0] is None
    assert found[f"w_{NAME}"].to_list() == [None, "The model is for people aged 18 and over"]


def test_the_files_that_promotion_writes_say_the_same_model(book, boosted):
    model = _stored(boosted)
    score = score_of(model, book)
    assert Score.model_validate(yaml.safe_load(definition_text(score))) == score
    told = ExamplesFile.model_validate(yaml.safe_load(examples_text(score, model)))
    small = with_definitions(book, [score]).cut_down_to(NAME)
    small = dataclasses.replace(small, examples={NAME: told.examples})
    outcomes = examples.run_examples(small, only=NAME)
    assert len(outcomes) > 20
    assert [each for each in outcomes if each.differences] == []


def test_where_no_model_is_in_use_nobody_has_a_risk(book):
    found = _scored(no_score(_design()), [({"age_years": 80}, {})], book)
    assert found[f"w_{NAME}"].to_list() == ["No trained model is in use: the published score is"]
    assert not any(found[f"p_{NAME}__{tier}"][0] for tier in ("very_high", "high", "lower"))


# --------------------------------------------------------------------------------------------------- explanation


class FoundOf:
    def __init__(self, value):
        self.value = value


def test_what_made_a_risk_adds_up_to_it_in_log_odds_and_in_percent(book, boosted):
    model = _stored(boosted)
    score = score_of(model, book)
    row = {"age_years": 84.0, "emergency_admissions_count": 2.0, "has_heart_failure": 1.0, "imd_decile": 2.0}
    risk = round(float(model.fitted.risk(np.array([[row[name] for name in NAMES]]))[0]), 6)
    values = pl.DataFrame(
        [("p", "emergency_admissions_count", 2.0), ("p", "has_heart_failure", 1.0)],
        schema=("patient_key", "variable", "value"), orient="row",
    ).with_columns(state=pl.lit("known"), value_date=pl.lit(None, pl.Date), bound=pl.lit(None, pl.String))  # fmt: skip
    parts = score_parts.parts_of(score, risk, find_values(values)["p"], book)
    assert sum(parts.values()) + score.add == pytest.approx(math.log(risk / (1 - risk)), abs=1e-9)
    contributions = dict(
        zip(NAMES, model.fitted.contributions(np.array([[row[name] for name in NAMES]]))[0], strict=False)
    )
    own = contributions["age_years"] + contributions["imd_decile"]
    assert parts[score_parts.OF_THE_PERSON] == pytest.approx(own, abs=1e-4)  # the risk has six places
    start, steps = score_parts.steps_of(score, parts)
    assert start + sum(steps.values()) == pytest.approx(risk, abs=1e-9)


def test_a_risk_in_words_names_what_added_most_and_its_percent_add_up(book):
    bands = [{"at_most": 0, "points": 0}, {"above": 0, "points": 2}]
    points = [{"variable": "emergency_admissions_count", "bands": bands},
              {"when": {"variable": "has_heart_failure", "is_true": True}, "points": 1}]  # fmt: skip
    shown = {**no_score(_design()).model_dump(exclude_defaults=True), "eligibility": (), "points": points, "add": -2}
    score = Score.model_validate(shown)
    # log-odds −2 + 2 + 1 = 1: 73 %; from 12 %: admissions lead to log-odds 0, 50 % (+38), heart failure to 73 (+23).
    mine = {"emergency_admissions_count": FoundOf(3.0), "has_heart_failure": FoundOf(1.0)}
    parts = score_parts.parts_of(score, 1 / (1 + math.exp(-1)), mine, book)
    said = score_parts.in_words(score, 1 / (1 + math.exp(-1)), "very_high", parts, book)
    assert said == (
        "Risk of an emergency admission within 12 months 73 %: very high "
        "(from 12 %: Emergency hospital admissions in 12 months +38, Heart failure +23)"
    )


# --------------------------------------------------------------------------------------------------------- shipped


def test_the_shipped_model_is_the_one_that_was_signed_and_the_rule_book_has(book):
    design = read_design(models_folder(None) / f"{NAME}.yaml", book)
    assert register_of(NAME, None).promotions
    assert "version 0.2.0 in use" in in_use_in_words(NAME, None, design, book)


def test_the_card_in_the_documents_is_that_of_the_shipped_model():
    page = (Path(__file__).parents[2] / "docs" / "model-card.html").read_text(encoding="utf-8")
    assert str(register_of(NAME, None).promotions[-1].sha256) in page and "TEST – invented patients" in page


@pytest.fixture
def own_folder(tmp_path):
    shutil.copytree(clinical_folder(), tmp_path / "clinical")
    return tmp_path / "clinical"


def _signed(reason="It is better"):
    return SignOff(signed_by="An invented lead", role="clinical lead", date=date(2026, 12, 1), reason=reason)


def _trail(out):
    return Trail(out, Actor("somebody (test)", lambda: datetime(2026, 12, 1, 9, tzinfo=UTC)))


def _review(model, *, beside="0.2.0", holds=True, **changes):
    gate = Gate(what="calibration slope", found="1.00", needed="0.8 to 1.25", holds=holds)
    said = {"model": NAME, "version": model.design.version, "sha256": model.digest, "beside": beside, "run": "a run",
            "rows": 1, "events": 1, "gates": (gate,), "moves": "nobody"}  # fmt: skip
    return Review.model_validate(said | changes)


def test_a_signed_review_puts_a_model_in_use_and_one_command_takes_it_back(own_folder, tmp_path, boosted, book):
    design = read_design(own_folder / "models" / f"{NAME}.yaml", book)
    model = _stored(boosted, version="0.3.0")
    write_model(model, tmp_path / "kept" / f"{NAME}-0.3.0.json")
    before = (own_folder / "scores" / f"{NAME}.yaml").read_bytes()
    done = promote(NAME, _review(model), _signed(), clinical=own_folder, trail=_trail(tmp_path), kept=tmp_path / "kept")
    assert done == f"{NAME}: 0.2.0 → 0.3.0, signed by An invented lead (clinical lead), 2026-12-01"
    after = load_rule_book(own_folder)
    assert after.scores[NAME] == score_of(model, after)
    assert "version 0.3.0 in use" in in_use_in_words(NAME, own_folder, design, after)

    assert "0.3.0 → 0.2.0" in roll_back(
        NAME, None, _signed("Calibration was lost"), clinical=own_folder, trail=_trail(tmp_path)
    )
    assert (own_folder / "scores" / f"{NAME}.yaml").read_bytes() == before
    assert "0.2.0 → none" in roll_back(
        NAME, "none", _signed("No trust in it"), clinical=own_folder, trail=_trail(tmp_path)
    )
    last = load_rule_book(own_folder)
    assert "the published score decides" in in_use_in_words(NAME, own_folder, design, last)
    assert [each.differences for each in examples.run_examples(last, only=NAME)] == [()]
    assert not examples.missing_examples(last, own_folder, only=NAME)
    versions = [each.version for each in register_of(NAME, own_folder).promotions]
    assert versions == ["0.1.0", "0.2.0", "0.3.0", "0.2.0", "none"]
    with pytest.raises(RuleError, match="found none: the published score is"):
        roll_back(NAME, None, _signed(), clinical=own_folder, trail=_trail(tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"holds": False}, "found not: calibration slope"),
        ({"sha256": "0" * 64}, "the review of this file; found one of another"),
        ({"beside": None}, r"a review beside what is in use \(0.2.0\)"),
    ],
)
def test_a_promotion_without_the_right_review_is_refused_and_nothing_changes(tmp_path, boosted, change, words):
    folder = tmp_path / "clinical"
    (folder / "models").mkdir(parents=True)
    shutil.copy(models_folder(None) / f"{NAME}.promotions.yaml", folder / "models")
    model = _stored(boosted, version="0.3.0")
    write_model(model, folder / "models" / f"{NAME}-0.3.0.json")
    before = sorted(each.name for each in folder.rglob("*"))
    with pytest.raises(RuleError, match=words):
        promote(NAME, _review(model, **change), _signed(), clinical=folder, trail=_trail(tmp_path))
    assert sorted(each.name for each in folder.rglob("*")) == before
    assert audit_trail.read(tmp_path) == []


def test_what_is_put_in_use_is_in_the_audit_trail_with_who_why_and_digest_or_it_is_not_done(
    own_folder, tmp_path, boosted
):
    model = _stored(boosted, version="0.3.0")
    write_model(model, own_folder / "models" / f"{NAME}-0.3.0.json")
    promote(NAME, _review(model), _signed(), clinical=own_folder, trail=_trail(tmp_path))
    roll_back(NAME, "none", _signed("No trust in it"), clinical=own_folder, trail=_trail(tmp_path))
    lines = audit_trail.read(tmp_path)
    assert audit_trail.faults(lines) == []
    assert [(each.entry["act"], each.entry["details"]["state"], each.entry["by"]) for each in lines] == [
        ("model promoted", "begun", "somebody (test)"), ("model promoted", "done", "somebody (test)"),
        ("model rolled back", "begun", "somebody (test)"), ("model rolled back", "done", "somebody (test)"),
    ]  # fmt: skip
    promoted, rolled_back = lines[0].entry["details"], lines[2].entry["details"]
    review = (own_folder / "models" / f"{NAME}-0.3.0.review.json").read_bytes()
    assert promoted == {
        "state": "begun", "model": NAME, "version": "0.3.0", "before": "0.2.0", "sha256": model.digest,
        "review": hashlib.sha256(review).hexdigest(), "date": "2026-12-01", "signed_by": "An invented lead",
        "role": "clinical lead", "reason": "It is better",
    }  # fmt: skip
    assert (rolled_back["version"], rolled_back["before"], rolled_back["reason"]) == ("none", "0.3.0", "No trust in it")
    (tmp_path / "closed" / "audit" / "trail.jsonl").mkdir(parents=True)  # a folder where the trail would be
    before = (own_folder / "models" / f"{NAME}.promotions.yaml").read_bytes()
    with pytest.raises(RunError, match="what cannot be written down is not done"):
        promote(NAME, _review(model, beside=None), _signed(), clinical=own_folder, trail=_trail(tmp_path / "closed"))
    assert (own_folder / "models" / f"{NAME}.promotions.yaml").read_bytes() == before


def test_a_model_that_was_signed_and_then_changed_is_refused(own_folder, boosted):
    from stratify.modelling.promotion import champion_of

    write_model(_stored(boosted, version="0.2.0"), own_folder / "models" / f"{NAME}-0.2.0.json")
    with pytest.raises(RuleError, match="the file that was signed; found another"):
        champion_of(NAME, own_folder)


def test_a_band_holds_its_upper_edge():
    term = Term(predictor="x", edges=(0.0, 2.0), points=(1.0, 2.0, 3.0))
    assert term.added(np.array([0.0, 0.5, 2.0, 2.5])).tolist() == [1.0, 2.0, 2.0, 3.0]
