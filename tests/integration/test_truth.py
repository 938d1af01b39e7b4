"""A whole run of a clean county agrees with the truth about everybody, and a truth that is changed is caught."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from stratify import truth_score
from stratify.errors import PrivacyError, RunError, SettingsError
from stratify.privacy import THROWAWAY_KEY
from stratify.synth import write_county
from stratify.synth.truth import EXPECTATION_COLUMNS, PERSON_COLUMNS
from whole_runs import counted_plainly, settings_file, stratify


class Scored(NamedTuple):
    out: Path
    truth: Path
    expected: pl.DataFrame


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> Scored:
    """Three thousand people without dirt, run for case finding."""
    folder = tmp_path_factory.mktemp("clean")
    write_county(folder / "extracts", people=3_000, practices=4, seed=5, dirt=False, truth_folder=folder / "truth")
    settings = settings_file(folder, folder / "extracts", folder / "out", index_date=date(2026, 11, 2))
    with counted_plainly():
        done = stratify("run", "--settings", settings)
    assert done.exit_code == 0, done.output
    return Scored(folder / "out", folder / "truth", pl.read_parquet(folder / "truth" / "expectation.parquet"))


def changed(county: Scored, folder: Path, where: pl.Expr, **columns: object) -> tuple[Path, int]:
    """Write a truth that differs for the first person in the run of whom something holds; give it and their row."""
    kept = pl.col("withheld_because").is_null()
    row = county.expected.select((where & kept).fill_null(False).arg_true().first()).item()
    frame = county.expected.with_row_index("at").with_columns(
        pl.when(pl.col("at") == row).then(pl.lit(value, dtype=EXPECTATION_COLUMNS[name][0])).otherwise(name).alias(name)
        for name, value in columns.items()
    )
    return with_expectation(county, folder, frame.drop("at")), row + 1


def with_expectation(county: Scored, folder: Path, frame: pl.DataFrame) -> Path:
    shutil.copytree(county.truth, folder / "truth")
    path = folder / "truth" / "expectation.parquet"
    frame.write_parquet(path)
    about = json.loads((folder / "truth" / "about.json").read_text())
    about["truth"][path.name] = sha256(path.read_bytes()).hexdigest()
    (folder / "truth" / "about.json").write_text(json.dumps(about))
    return folder / "truth"


def test_run_and_truth_agree_on_everybody(county):
    compared = truth_score.compare(county.out, county.truth, THROWAWAY_KEY)
    assert compared.differences == ()
    assert compared.is_clean and compared.people == 3_000 and compared.touched == 0
    assert compared.agreeing == compared.on_pathway
    assert compared.on_pathway["copd"] > 30 and compared.on_pathway["frailty"] > 400
    assert sum(compared.withheld.values()) > 200 and len(compared.withheld) == 3


def test_the_agreement_is_about_something(county):
    """Every route that a clean county can take is taken, and every group and tier given."""
    kept = county.expected.filter(pl.col("withheld_because").is_null())
    assert set(kept["frailty_rule"].drop_nulls()) == {
        "palliative", "care_home", "moderate_or_severe", "hospital_frailty_high", "mild", "fit", "cannot_grade",
        "person_status",
    }  # fmt: skip
    assert {"emergency_admission", "highest_groups", "lower_groups", "cannot_grade"} <= set(kept["copd_rule"])
    assert set(kept["copd_group"]) == {"HRC", "HR", "MR", "LR", None}
    assert set(kept["efi_tier"]) == {"severe", "moderate", "mild", "fit", None}
    assert set(kept["hospital_frailty_tier"]) == {"high", "intermediate", "low", None}
    assert {"registered", "died", "left", "temporary", "test_patient"} == set(kept["person_status"])
    assert not all(kept["is_hospital_linked"])


@pytest.mark.parametrize(
    ("where", "columns", "place", "kind"),
    [
        pytest.param(
            pl.col("frailty_rule") == "fit",
            {"frailty_decision": "clinic", "frailty_clinic": "frailty_clinic", "frailty_rule": "moderate_or_severe"},
            "frailty", "missed", id="missed",
        ),
        pytest.param(
            (pl.col("copd_rule") == "highest_groups"),
            {"copd_decision": None, "copd_clinic": None, "copd_rule": None},
            "copd", "wrongly listed", id="wrongly listed",
        ),
        pytest.param(
            pl.col("copd_rule") == "lower_groups",
            {"copd_decision": "assessment", "copd_clinic": "assessment", "copd_rule": "cannot_grade"},
            "copd", "wrong route", id="wrong route",
        ),
        pytest.param(
            pl.col("copd_rule") == "highest_groups", {"copd_rule": "emergency_admission"}, "copd", "wrong rule",
            id="wrong rule",
        ),
        pytest.param(pl.col("copd_group") == "MR", {"copd_groups_open": "HR;MR"}, "copd", "wrong tier", id="open tier"),
        pytest.param(
            pl.col("hospital_frailty_tier") == "low", {"hospital_frailty_tier": "high"}, "frailty", "wrong tier",
            id="tier",
        ),
        pytest.param(pl.col("efi_deficits") == 4, {"efi_deficits": 3}, "frailty", "wrong value", id="deficits"),
        pytest.param(
            pl.col("copd_exacerbations_count") == 1, {"copd_exacerbations_count": 2}, "copd", "wrong value", id="count"
        ),
        pytest.param(
            pl.col("copd_group").is_not_null() & pl.col("mrc_grade").is_null(), {"mrc_grade": 2.0}, "copd",
            "wrong value", id="a value the run does not know",
        ),
        pytest.param(
            pl.col("person_status") == "registered", {"person_status": "left"}, "person", "wrong status", id="status"
        ),
        pytest.param(
            pl.col("person_status") == "registered", {"withheld_because": "Type 1 opt-out"}, "person", "not withheld",
            id="not withheld",
        ),
    ],
)  # fmt: skip
def test_a_changed_truth_is_caught(county, tmp_path, where, columns, place, kind):
    truth, row = changed(county, tmp_path, where, **columns)
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    found = {(each.place, each.kind, each.row) for each in compared.unexplained}
    assert (place, kind, row) in found
    assert {each[2] for each in found} <= {row, 0}
    assert compared.count(place, kind) == 1


def test_people_missing_and_people_nobody_invented_are_caught(county, tmp_path):
    objecting = county.expected["withheld_because"].is_not_null().sum()
    nobody_objects = county.expected.with_columns(withheld_because=pl.lit(None, dtype=pl.String))
    truth = with_expectation(county, tmp_path / "more", nobody_objects)
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert compared.count("person", "missing from the run") == objecting
    assert compared.count("person", "withheld count") == 1
    without = county.expected.filter(~((pl.col("copd_rule") == "lower_groups") & pl.col("withheld_because").is_null()))
    gone = county.expected.height - without.height
    truth = with_expectation(county, tmp_path / "fewer", without)
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert Counter(each.kind for each in compared.unexplained) == {"not in the truth": gone}


def test_what_dirt_touched_is_told_and_forgiven(county, tmp_path):
    truth, _ = changed(
        county, tmp_path, pl.col("copd_rule") == "lower_groups", copd_rule="highest_groups", faults="future date"
    )
    compared = truth_score.compare(county.out, truth, THROWAWAY_KEY)
    assert compared.unexplained == () and compared.faults == {"future date": 1}
    assert compared.count("copd", "wrong rule", is_touched=True) == 1
    assert "future date: 1 people, 1 differ: wrong rule 1" in truth_score.in_words(compared)


def test_the_command_ends_with_1_when_they_differ(county, tmp_path):
    done = stratify("synth", "score", county.out, county.truth)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip().splitlines()[-1] == "Run and truth agree."
    truth, row = changed(county, tmp_path, pl.col("efi_deficits") == 4, efi_deficits=3)
    done = stratify("synth", "score", county.out, truth)
    assert done.exit_code == 1
    assert "frailty, wrong value: expected deficits of the eFI 3; found 4" in done.stdout
    assert f"row {row} of the truth" in done.stdout
    number = county.expected["nhs_number"][row - 1]
    assert number is None or number not in done.stdout


def test_a_truth_that_is_none_or_another_one_is_refused(county, tmp_path):
    with pytest.raises(SettingsError, match="not both"):
        truth_score.compare(county.out, tmp_path, THROWAWAY_KEY)
    with pytest.raises(RunError, match="a finished run"):
        truth_score.compare(tmp_path, county.truth, THROWAWAY_KEY)
    with pytest.raises(PrivacyError, match="another key"):
        truth_score.compare(county.out, county.truth, b"another key of a test site, long enough 123456789")
    write_county(tmp_path / "extracts", people=100, practices=1, truth_folder=tmp_path / "other")
    with pytest.raises(RunError, match="13 other files"):
        truth_score.compare(county.out, tmp_path / "other", THROWAWAY_KEY)
    (tmp_path / "other" / "expectation.parquet").write_bytes(b"changed")
    with pytest.raises(SettingsError, match="changed files"):
        truth_score.compare(county.out, tmp_path / "other", THROWAWAY_KEY)


def test_the_same_seed_gives_the_same_truth_beside_the_same_extracts(tmp_path):
    for name in ("one", "two"):
        write_county(tmp_path / name / "extracts", people=300, practices=2, truth_folder=tmp_path / name / "truth")
    write_county(tmp_path / "without", people=300, practices=2)
    for path in sorted((tmp_path / "one").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    for path in sorted((tmp_path / "without").iterdir()):
        assert path.read_bytes() == (tmp_path / "one" / "extracts" / path.name).read_bytes()


def test_the_truth_says_what_it_holds(tmp_path):
    write_county(tmp_path / "extracts", people=1_000, practices=4, truth_folder=tmp_path / "truth")
    person = pl.read_parquet(tmp_path / "truth" / "person.parquet")
    expected = pl.read_parquet(tmp_path / "truth" / "expectation.parquet")
    about = json.loads((tmp_path / "truth" / "about.json").read_text())
    assert person.columns == list(PERSON_COLUMNS) and expected.columns == list(EXPECTATION_COLUMNS)
    assert person.height == expected.height == 1_000
    assert person["nhs_number"].equals(expected["nhs_number"])
    assert (about["seed"], about["people"], about["index_date"], about["is_clean"]) == (1, 1_000, "2026-11-02", False)
    assert set(about["columns"]["expectation.parquet"]) == set(expected.columns)
    litres = next(each for each in about["faults"] if each["fault"] == "FEV1 in litres under the percent code")
    assert litres["rows"] >= 1 and litres["people"] >= 1
    touched = expected.filter(pl.col("faults").str.contains("FEV1 in litres", literal=True))
    assert touched.height == litres["people"] and set(touched["on_copd_register"]) <= {"yes", "no"}


def test_what_is_drawn_and_what_is_recorded_go_together(county):
    """Most who have COPD are on the register and nobody else is; most recorded frailty is that drawn."""
    both = pl.read_parquet(county.truth / "person.parquet").join(
        county.expected.drop("mrc_grade"), on=["nhs_number"], nulls_equal=False, suffix="_record"
    )
    on_register = both.filter(pl.col("on_copd_register") == "yes")
    assert all(on_register["has_copd"])
    assert on_register.height > 0.9 * both.filter("has_copd", ~pl.col("is_test_patient")).height
    graded = both.filter(pl.col("efi_tier").is_not_null(), pl.col("person_status") == "registered")
    assert graded.filter(pl.col("efi_tier") == pl.col("frailty")).height > 0.85 * graded.height


@pytest.mark.parametrize("where", ["extracts", "extracts/truth", "."])
def test_the_truth_stays_out_of_the_folder_a_run_reads(tmp_path, where):
    with pytest.raises(SettingsError, match="apart from the extracts"):
        write_county(tmp_path / "extracts", people=100, practices=1, truth_folder=tmp_path / where)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_not_overwritten(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "thesis.docx").write_text("mine")
    with pytest.raises(SettingsError, match="other files"):
        write_county(tmp_path / "extracts", people=100, practices=1, truth_folder=tmp_path / "truth")
    assert not (tmp_path / "extracts").exists()
    write_county(tmp_path / "extracts", people=100, practices=1, truth_folder=tmp_path / "fine")
    write_county(tmp_path / "extracts", people=200, practices=1, truth_folder=tmp_path / "fine")
    assert pl.read_parquet(tmp_path / "fine" / "person.parquet").height == 200


def test_synth_without_a_folder_says_so():
    done = stratify("synth", "--people", "100", "--practices", "1")
    assert done.exit_code == 2 and "--out: expected a folder" in done.stderr
