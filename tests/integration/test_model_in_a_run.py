"""A promoted model in a whole run: it decides the high-risk pathway, is explained, and proved from the outside."""

from __future__ import annotations

import re
import shutil

import pytest

import whole_runs
from stratify.rulebook import clinical_folder
from stratify.synth import CountyOrder, write_county
from whole_runs import stratify, working_store

pytestmark = pytest.mark.slow
PATHWAY, MODEL = "high_risk_of_admission", "emergency_admission_12_months"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    clinical = shutil.copytree(clinical_folder(), folder / "clinical")
    for path in (clinical / "pathways").glob("*.yaml"):
        if not path.name.startswith((PATHWAY, "frailty")):
            path.unlink()
    write_county(folder / "extracts", CountyOrder(people=1_500, practices=3, seed=4))
    settings = whole_runs.settings_file(folder, folder / "extracts", folder / "out", clinical=str(clinical))
    with whole_runs.counted_plainly():
        ran = stratify(
            "run", "--settings", settings, "--index-date", "2026-11-02", STRATIFY_IDENTITY_KEY=whole_runs.KEY
        )
    assert ran.exit_code in (0, 10), ran.output
    return folder


def test_the_model_decides_and_its_reasons_add_up(done):
    with working_store(done / "out", done) as store:
        rules = store.rows("SELECT DISTINCT rule_id FROM derived.pathway_decision WHERE pathway = $1", [PATHWAY])
        said = store.rows("SELECT text FROM derived.reason WHERE pathway = $1 AND variable = $2", [PATHWAY, MODEL])
    assert {("very_high",), ("high",)} <= set(rules)
    assert said
    for (text,) in said:
        found = re.fullmatch(
            r"Risk of an emergency admission within 12 months (\d+) %: [a-z ]+ \(from (\d+) %: (.+)\)", text
        )
        assert found, text
        assert int(found[1]) == int(found[2]) + sum(int(each) for each in re.findall(r" ([+-]\d+)(?:,|$)", found[3]))


def test_the_smallest_change_is_one_of_the_models_own_facts(done):
    with working_store(done / "out", done) as store:
        changes = store.rows(
            "SELECT off_list_when FROM derived.explanation JOIN derived.pathway_decision USING (patient_key, pathway) "
            "WHERE pathway = $1 AND rule_id = 'very_high'", [PATHWAY],
        )  # fmt: skip
    told = [text for (text,) in changes if text]
    assert told
    assert any("now" in text or "no longer" in text for text in told)


def test_the_outside_proof_finds_the_same(done):
    proved = stratify("verify", done / "out")
    assert proved.exit_code == 0, proved.output
