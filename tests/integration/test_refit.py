"""The flows of trained models on a finished run: a refit that somebody may sign, and a look at what is in use."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import flows.refit
import flows.watch
import pytest
import yaml
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from stratify import audit_trail
from stratify.errors import RuleError
from stratify.modelling.model_card import ModelCard
from stratify.modelling.promotion import read_review, register_of
from stratify.modelling.stored import read_model
from stratify.rulebook import clinical_folder
from stratify.synth import CountyOrder, write_county
from whole_runs import KEY, counted_plainly, settings_file, stratify

pytestmark = pytest.mark.slow  # a run with four years of history, and a model fitted on it several times over
NAME, OTHER = "emergency_admission_12_months", "readmission_30_days"
FEW = ("age_years", "emergency_admissions_count", "ed_attendances_count", "medicines_count")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A finished run of 5,000 people; of the models declared one can be fitted on so few, and one cannot."""
    folder = tmp_path_factory.mktemp("refit")
    clinical = shutil.copytree(clinical_folder(), folder / "clinical")
    (clinical / "models" / "copd_admission_12_months.yaml").unlink()
    file = clinical / "models" / f"{NAME}.yaml"
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    declared["predictors"] = [each for each in declared["predictors"] if each["variable"] in FEW]
    declared["least_events"] = 100
    file.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    order = CountyOrder(people=5_000, practices=8, seed=2, history_years=4, file_format="parquet")
    write_county(folder / "extracts", order)
    settings_file(folder, folder / "extracts", folder / "out", index_date=date(2026, 11, 2), clinical=str(clinical))
    with (
        temporary_settings({PREFECT_HOME: folder / "prefect", PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        prefect_test_harness(server_startup_timeout=300),
        counted_plainly(),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STRATIFY_IDENTITY_KEY", KEY)
        done = stratify("run", "--settings", folder / "settings.yaml")
        assert done.exit_code in (0, 10), done.output
        yield folder


@pytest.fixture(scope="module")
def refitted(site):
    return flows.refit.refit(str(site / "settings.yaml"), return_state=True)


def test_a_refit_leaves_a_model_a_review_and_a_card_for_somebody_to_sign_and_promotes_nothing(site, refitted):
    made = site / "out" / "models"
    assert {each.name.removeprefix(f"{NAME}-0.2.1.") for each in made.iterdir()} == {
        "json", "review.json", "card.json", "card.html", "profile.json",
    }  # fmt: skip
    model, review = read_model(made / f"{NAME}-0.2.1.json"), read_review(made / f"{NAME}-0.2.1.review.json")
    assert (review.sha256, review.beside) == (model.digest, "0.2.0")
    card = ModelCard.model_validate_json((made / f"{NAME}-0.2.1.card.json").read_text(encoding="utf-8"))
    assert card.attrition
    assert register_of(NAME, site / "clinical").in_use == "0.2.0"
    shipped = clinical_folder() / "scores" / f"{NAME}.yaml"
    assert (site / "clinical" / "scores" / f"{NAME}.yaml").read_bytes() == shipped.read_bytes()


def test_a_refit_fails_with_why_a_declared_model_could_not_be_fitted_and_the_others_are_made(refitted):
    assert refitted.is_failed()
    fault = refitted.result(raise_on_failure=False)
    assert isinstance(fault, RuleError)
    assert OTHER in str(fault) and "too few events" in str(fault) and NAME not in str(fault)


def test_watching_fails_where_nothing_says_what_the_model_in_use_was_made_for(site, refitted):
    watched = flows.watch.watch(str(site / "settings.yaml"), return_state=True)
    assert watched.is_failed()
    assert f"{NAME}-0.2.0.profile.json" in str(watched.result(raise_on_failure=False))


def test_a_model_past_its_age_fails_its_watch_and_falls_back_only_where_that_was_asked(site, refitted):
    clinical, made = site / "clinical", site / "out" / "models"
    done = stratify("model", "card", NAME, "0.2.0", "--on", site / "out", "--clinical", clinical, "--out", made)
    assert done.exit_code == 0, done.output
    profile = made / f"{NAME}-0.2.0.profile.json"
    said = json.loads(profile.read_text(encoding="utf-8")) | {"developed_to": "2020-01-01"}
    profile.write_text(json.dumps(said), encoding="utf-8")
    watched = flows.watch.watch(str(site / "settings.yaml"), return_state=True)
    assert "expected a model that may be used" in str(watched.result(raise_on_failure=False))
    assert register_of(NAME, clinical).in_use == "0.2.0"
    flows.watch.watch(str(site / "settings.yaml"), fall_back=True, return_state=True)
    assert register_of(NAME, clinical).in_use == "none"
    last = audit_trail.read(site / "out")[-1].entry
    assert (last["act"], last["details"]["state"]) == ("model rolled back", "done")
    assert flows.watch.watch(str(site / "settings.yaml"), return_state=True).is_completed()  # nothing is in use
