"""The commands that judge and watch a trained model, on a finished run of invented people."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from stratify.modelling.model_card import ModelCard
from stratify.rulebook import clinical_folder
from stratify.synth import CountyOrder, write_county
from whole_runs import KEY, counted_plainly, refusal, settings_file, stratify

pytestmark = pytest.mark.slow  # a run, and four looks back at everybody
MODEL = ("emergency_admission_12_months", "0.2.0")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, Path]:
    """A run of 1,500 people with the definitions in a folder of the site's own."""
    folder = tmp_path_factory.mktemp("model-checks")
    shutil.copytree(clinical_folder(), folder / "clinical")
    today = date(2026, 11, 2)
    write_county(folder / "extracts", CountyOrder(people=1500, seed=3, index_date=today))
    file = settings_file(
        folder, folder / "extracts", folder / "out", index_date=today, clinical=str(folder / "clinical")
    )
    with counted_plainly():
        done = stratify("run", "--settings", file, STRATIFY_IDENTITY_KEY=KEY)
    assert done.exit_code == 0, done.output
    return folder / "out", folder / "clinical"


@pytest.fixture(scope="module")
def card(site, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("card")
    done = stratify("model", "card", *MODEL, "--on", site[0], "--clinical", site[1], "--out", out)
    assert done.exit_code == 0, done.output
    return out


def test_a_card_is_a_page_and_data_and_beside_it_what_the_model_was_made_for(card):
    stem = "-".join(MODEL)
    assert sorted(each.name for each in card.iterdir()) == [
        f"{stem}.card.html", f"{stem}.card.json", f"{stem}.profile.json",
    ]  # fmt: skip
    assert (card / f"{stem}.profile.json").stat().st_mode & 0o077 == 0
    made = ModelCard.model_validate_json((card / f"{stem}.card.json").read_text(encoding="utf-8"))
    assert made.attrition[0].people == pytest.approx(1500, rel=0.3)
    assert "TEST – invented patients" in (card / f"{stem}.card.html").read_text(encoding="utf-8")


def test_evaluate_says_on_a_screen_what_the_card_holds(site):
    done = stratify("model", "evaluate", *MODEL, "--on", site[0], "--clinical", site[1])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("emergency_admission_12_months 0.2.0: places for 2 of 100")
    assert "Area under the ROC curve" in done.stdout


def test_a_model_is_watched_by_the_profile_it_was_made_with(site, card, tmp_path):
    seen = tmp_path / "seen.json"
    profile = card / f"{'-'.join(MODEL)}.profile.json"
    asked = ("model", "watch", *MODEL, "--on", site[0], "--clinical", site[1])
    done = stratify(*asked, "--profile", profile, "--out", seen)
    said = json.loads(seen.read_text(encoding="utf-8"))
    assert done.exit_code == (0 if said["may_be_used"] else 5), done.output
    assert {row["practice"] for row in said["drift"]} >= {"all"}
    other = json.loads(profile.read_text(encoding="utf-8")) | {"model_sha256": "0" * 64}
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    message = refusal(stratify(*asked, "--profile", tmp_path / "other.json"), 5)
    assert "expected the profile of emergency_admission_12_months 0.2.0" in message


def test_overlooked_refuses_a_month_without_lists_of_before(site, tmp_path):
    done = stratify("model", "overlooked", "--on", site[0], "--month", "2026-09", "--out", tmp_path / "never")
    assert "no week of before" in refusal(done, 8)
