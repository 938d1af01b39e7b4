"""Every data contract: valid ODCS, plain for people, and made of checks that run."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
import yaml
from jsonschema import Draft201909Validator
from open_data_contract_standard.model import OpenDataContractStandard

from stratify import contracts
from stratify.errors import ContractError

ROOT = Path(__file__).parents[2]
LAYERS = ("landing", "core", "derived", "out", "audit")
NAMES = tuple(name for layer in LAYERS for name in contracts.names(layer))
TYPES = re.compile(r"VARCHAR|DATE|TIMESTAMP|BOOLEAN|BIGINT|DOUBLE|DECIMAL\(\d+,\d+\)")
SAID_IN_WORDS = {"out.self_management_offer.has_digital_access"}
"""Columns of lists for people that say yes, no or not asked."""

# The standard has limits for library and SQL rules only; the one on our custom rule rejected_percent is ours.
OUR_OWN = "Unevaluated properties are not allowed ('mustBeLessOrEqualTo' was unexpected)"
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def path_of(name: str) -> Path:
    layer, table = name.split(".")
    return ROOT / "data_contracts" / layer / f"{table}.odcs.yaml"


def test_every_file_is_in_the_folder_of_a_layer_and_is_found():
    on_disk = {
        path.relative_to(ROOT / "data_contracts").as_posix() for path in (ROOT / "data_contracts").rglob("*.yaml")
    }
    corrections = {name for name in on_disk if name.endswith(".corrections.yaml")}
    assert on_disk - corrections == {f"{name.replace('.', '/')}.odcs.yaml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_contract_is_named_after_its_path_in_whole_words(name):
    document = yaml.safe_load(path_of(name).read_text(encoding="utf-8"))
    contract = contracts.load(name)
    assert contract.name == name
    assert document["domain"] == contract.layer
    assert document["schema"][0]["name"] == contract.table
    assert document["id"] == f"urn:stratify:contract:{name}"
    assert all(SNAKE.fullmatch(each) for each in (contract.table, *contract.column_names))


@pytest.mark.parametrize("name", NAMES)
def test_a_contract_says_what_the_table_and_each_column_mean(name):
    contract = contracts.load(name)
    assert contract.purpose.strip()
    assert [column.name for column in contract.columns if not column.description.strip()] == []
    assert [column.name for column in contract.columns if not TYPES.fullmatch(column.type)] == []
    assert len(set(contract.column_names)) == len(contract.columns)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_columns_say_their_kind(name):
    """``_date`` is a date, ``_at`` a timestamp, ``_count`` a whole number, ``is_``/``has_`` a yes or no."""
    kinds = (("_date$", "DATE"), ("_at$", "TIMESTAMP"), ("_count$", "BIGINT"), ("^(is|has)_", "BOOLEAN"))
    for column in contracts.load(name).columns:
        for pattern, kind in kinds:
            if re.search(pattern, column.name) and f"{name}.{column.name}" not in SAID_IN_WORDS:
                assert column.type == kind, f"{name}.{column.name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_contract_is_valid_by_the_open_data_contract_standard(name):
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    document = yaml.safe_load(path_of(name).read_text(encoding="utf-8"))
    faults = [each for each in Draft201909Validator(schema).iter_errors(document) if each.message != OUR_OWN]
    assert [f"{list(each.path)}: {each.message}" for each in faults] == []
    read = OpenDataContractStandard.from_file(str(path_of(name)))
    assert [each.name for each in read.schema_[0].properties] == list(contracts.load(name).column_names)


def test_rule_ids_are_unique_over_all_contracts():
    counts = Counter(rule.id for name in NAMES for rule in contracts.load(name).rules)
    assert [rule_id for rule_id, count in sorted(counts.items()) if count > 1] == []


def test_column_ids_are_unique_over_all_contracts():
    counts = Counter(column.id for name in NAMES for column in contracts.load(name).columns)
    assert [column_id for column_id, count in sorted(counts.items()) if count > 1] == []


def test_relationships_lead_to_a_column_of_a_contract():
    for name in NAMES:
        for column in contracts.load(name).columns:
            if column.refers_to:
                table, _, target = column.refers_to.rpartition(".")
                assert contracts.load(table).column(target), f"{name}.{column.name}"


def test_nhs_numbers_and_names_stay_out_of_clinical_tables():
    """Past ingest a person is a ``patient_key``; only lists for the own practice carry who it is.

    ``core.patient`` keeps the date of birth: ages are worked out from it.
    """
    personal = {"nhs_number", "family_name", "given_names", "postcode", "address_lines", "phone_mobile", "email"}
    counts = ("out.pathway_count", "out.population", "out.admitted_count")
    for name in NAMES:
        if name.split(".")[0] in ("core", "derived", "audit") or name in counts:
            assert personal.isdisjoint(contracts.load(name).column_names), name
    for name in counts:
        assert {"patient_key", "date_of_birth"}.isdisjoint(contracts.load(name).column_names)


@pytest.fixture(scope="module")
def empty_tables():
    """An empty table for each contract: landing as read (all text), the others typed."""
    connection = duckdb.connect()
    connection.execute("CREATE MACRO verhoeff_ok(code) AS true")
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA {layer}")
    for name in NAMES:
        contract = contracts.load(name)
        columns = ", ".join(
            f'"{column.name}" {"VARCHAR" if contract.layer == "landing" else column.type}'
            for column in contract.columns
        )
        connection.execute(f"CREATE TABLE {name} ({columns})")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_check_of_a_row_runs_and_finds_nothing_in_an_empty_table(name, empty_tables):
    contract = contracts.load(name)
    for rule in contract.rules:
        sql = contracts.predicate(contract, rule, raw=contract.layer == "landing", data_cutoff=date(2026, 11, 1))
        if sql is not None:
            assert empty_tables.execute(f"SELECT count(*) FROM {name} WHERE {sql}").fetchone() == (0,), rule.id


@pytest.mark.parametrize("name", contracts.names("landing"))
def test_a_row_without_any_value_fails_just_the_checks_that_something_is_there(name, empty_tables):
    contract = contracts.load(name)
    nulls = ", ".join(f'NULL::VARCHAR AS "{column}"' for column in contract.column_names)
    for rule in contract.rules:
        sql = contracts.predicate(contract, rule, raw=True, data_cutoff=date(2026, 11, 1))
        if sql is not None and rule.kind in ("type", "pattern", "values", "range", "date"):
            assert empty_tables.execute(f"SELECT {sql} FROM (SELECT {nulls})").fetchone() == (False,), rule.id
        if sql is not None and rule.kind == "missing":
            assert empty_tables.execute(f"SELECT {sql} FROM (SELECT {nulls})").fetchone() == (True,), rule.id


def death_contract(change: tuple[str, str]) -> str:
    text = path_of("landing.death").read_text(encoding="utf-8")
    assert change[0] in text
    return text.replace(*change, 1)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param(("    required: true", "    requiredd: true"), "schema.0.properties", id="misspelt_in_a_column"),
        pytest.param(("status: active", "status: active\nowner: me"), "owner", id="unknown_at_the_top"),
        pytest.param(("physicalType: DATE", "physicalType: DATETIME"), "physicalType", id="a_type_we_do_not_have"),
        pytest.param(("apiVersion: v3.1.0", "apiVersion: v2.2.2"), "apiVersion", id="another_standard_version"),
    ],
)
def test_an_unknown_key_or_value_is_refused_with_its_place(change, place):
    with pytest.raises(ContractError) as caught:
        contracts.parse(death_contract(change), where="data_contracts/landing/death.odcs.yaml")
    assert str(caught.value).startswith("data_contracts/landing/death.odcs.yaml: expected ")
    assert place in str(caught.value)


def test_a_rule_that_names_a_column_the_table_does_not_have_is_refused():
    text = path_of("landing.patient_flag").read_text(encoding="utf-8").replace("{end_date} < {start_date}", "{end} < 1")
    with pytest.raises(ContractError, match=r"columns of this table in braces; found end"):
        contracts.parse(text, where="patient_flag.odcs.yaml")


def test_a_table_without_a_contract_is_named_by_the_file_that_is_missing():
    with pytest.raises(ContractError, match=r"data_contracts/landing/dentist\.odcs\.yaml: expected a contract"):
        contracts.load("landing.dentist")
