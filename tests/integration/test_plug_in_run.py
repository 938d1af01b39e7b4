"""A whole run with a site's own function: its value scores and is in the manifest; without the function nothing runs.

The stand-in gives ten for everybody of whom the FEV1 is known. It is no score of anything.
"""

from __future__ import annotations

import json
import shutil
import sys
from types import ModuleType

import polars as pl
import pytest

from stratify.rulebook import clinical_folder
from stratify.synth import CountyOrder, write_county
from whole_runs import counted_plainly, refusal, settings_file, stratify, working_store

pytestmark = pytest.mark.slow
VARIABLE = """
variables:
  - id: own_risk_percent
    label: A risk of our own
    from: [{plug_in: own}]
    take: given
    inputs: [age_years, fev1_percent_predicted]
    unit: "%"
    text: "Our risk {value} % on {date}"
    text_when_missing: "Our risk not known"
    source: invented
"""
SCORE = """
id: own_risk
version: 1.0.0
label: A risk of our own
status: inferred
source: invented
licence: none
value_of: own_risk_percent
tiers: [{tier: high, label: High, at_least: 5}, {tier: low, label: Low, below: 5}]
"""
EXAMPLES = "examples: [{name: five, values: {own_risk_percent: 5}, expect: {tier: high}}]\n"


def own(people: pl.DataFrame) -> pl.DataFrame:
    return people.drop_nulls("fev1_percent_predicted").select("person", value=pl.lit(10))


@pytest.fixture
def county(tmp_path, monkeypatch):
    module = ModuleType("invented_own_risk")
    module.own = own
    monkeypatch.setitem(sys.modules, "invented_own_risk", module)
    clinical = shutil.copytree(clinical_folder(), tmp_path / "clinical")
    for name, text in (
        ("variables/own.yaml", VARIABLE),
        ("scores/own_risk.yaml", SCORE),
        ("scores/own_risk.examples.yaml", EXAMPLES),
    ):
        (clinical / name).write_text(text, encoding="utf-8")
    order = CountyOrder(people=300, practices=2, seed=5, history_years=1)
    write_county(tmp_path / "extracts", order)
    return {"clinical": str(clinical), "index_date": str(order.index_date)}


def test_a_run_with_a_function_of_the_sites_own(county, tmp_path):
    told = {"own": {"function": "invented_own_risk:own", "version": "9"}}
    file = settings_file(tmp_path, tmp_path / "extracts", tmp_path / "out", plug_ins=told, **county)
    with counted_plainly():
        done = stratify("run", "--settings", file)
    assert done.exit_code in (0, 10), done.output + done.stderr
    with working_store(tmp_path / "out", tmp_path / "scratch") as store:
        agree = store.scalar(
            "SELECT count(*) FROM (SELECT * FROM derived.variable_value WHERE variable = 'own_risk_percent') AS own "
            "FULL JOIN (SELECT * FROM derived.variable_value WHERE variable = 'fev1_percent_predicted' "
            "AND state = 'known') AS fev1 USING (patient_key) WHERE own.value IS DISTINCT FROM 10 OR fev1.value IS NULL"
        )
        tiers = dict(
            store.rows("SELECT tier, count(*) FROM derived.patient_score WHERE score = 'own_risk' GROUP BY ALL")
        )
    assert agree == 0 and set(tiers) == {"high", None}
    manifest = json.loads((tmp_path / "out" / "published" / "run_manifest.json").read_text(encoding="utf-8"))
    assert manifest["rules"]["plug_ins"]["own"][:2] == ["invented_own_risk:own", "9"]


def test_a_run_without_the_function_stops_before_a_file_is_read(county, tmp_path):
    file = settings_file(tmp_path, tmp_path / "extracts", tmp_path / "out", **county)
    with counted_plainly():
        message = refusal(stratify("run", "--settings", file), 2)
    assert "plug_ins.own" in message and "which the rule book asks for" in message
    assert not list((tmp_path / "out" / "runs").rglob("*.duckdb"))
