"""JSON Schemas: what is written, and what the check says of a folder that is not up to date."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from stratify.errors import ContractError
from stratify.schemas import EXCHANGED, RunManifest, write_schemas

MANIFEST = {
    "run_id": "0123456789abcdef",
    "is_test": True,
    "index_date": "2026-11-02",
    "source": "synthetic_county",
    "not_supplied": [],
    "privacy": {"purpose": "direct_care", "type_1": "exclude", "national": "exclude", "local": "exclude"},
    "entry": {
        "list_version": "2026-11",
        "site_list_sha256": None,
        "code_count": 1,
        "reference_sets_without_codes": ["999004351000000109"],
        "confidential_rows": "exclude",
        "nhs_number_ranges": ["england"],
    },
    "code_version": "0.1.0+0123456789abcdef",
    "rules": {
        "digest": "d",
        "codelists": {"copd": "c"},
        "scores": {"efi": "1.0.0"},
        "pathways": {"copd": "1.0.0"},
        "plug_ins": {},
        "drafts": [],
    },
    "inputs": [
        {
            "table_name": "death",
            "file_name": "death.csv",
            "sha256": "h",
            "declared_count": None,
            "received_count": 3,
            "loaded_count": 2,
            "rejected_count": 1,
            "restricted_count": 0,
            "period_to": "2026-11-01",
        }
    ],
    "people": [{"person_status": "registered", "people": 2}],
    "withheld": [],
    "scores_given": [{"score": "efi", "tier": None, "is_complete": False, "people": 1}],
    "decisions": [{"pathway": "copd", "decision": "clinic", "rule_id": "highest_groups", "reason": "r", "people": 1}],
    "placements": [{"pathway": "copd", "decision": "clinic", "placement": "listed", "people": 1}],
    "held": [],
    "lost_feeds": [{"table_name": "ed_attendance", "used_to": None, "why": "ed_attendance.csv: expected rows"}],
    "rejected_rows": [{"table_name": "death", "rule_id": "DTH-01-missing", "scope": "row", "rows": 1}],
    "controls": [{"control": "one_row_a_person", "broken_count": 0}],
    "steps": [{"step": "core", "measure": "people", "count": 2}],
    "answers": [
        {"source": "LIST_RETURN", "status": "applied", "outcome": "attended", "wrong": None, "rows": 3},
        {"source": "LIST_RETURN", "status": "returned", "outcome": None, "wrong": "Not a day", "rows": 1},
    ],
    "unmatched_codes": [],
    "verdicts": {"landing.death": "warn"},
    "outputs": [{"file": "run_manifest.json", "sha256": "h"}, {"file": "secondary_use/commissioner.duckdb"}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("made") / "schemas"
    write_schemas(made, check_only=False)
    return made


def test_every_schema_is_a_valid_one_with_an_id_of_its_own(folder):
    schemas = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir())]
    for schema in schemas:
        Draft202012Validator.check_schema(schema)
    assert len({schema["$id"] for schema in schemas}) == len(schemas)


def test_what_people_write_and_what_is_exchanged_has_a_schema(folder):
    names = {path.name.removesuffix(".schema.json") for path in folder.iterdir()}
    written = {
        "codelist_manifest",
        "variables",
        "score",
        "pathway",
        "examples",
        "patients",
        "metrics",
        "evaluations",
        "costs",
        "control_charts",
        "model",
        "settings",
        "run_manifest",
        "source",
    }
    assert names == written | set(EXCHANGED)


def test_the_files_are_sorted_indented_and_end_with_a_newline(folder):
    text = (folder / "score.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def test_writing_twice_gives_the_same_bytes(folder, tmp_path):
    write_schemas(tmp_path, check_only=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_the_check_passes_on_what_was_just_written(folder):
    assert write_schemas(folder, check_only=True) == "42 schemas in schemas are up to date"


def test_the_check_names_what_is_missing_stale_and_extra_and_writes_nothing(tmp_path):
    write_schemas(tmp_path, check_only=False)
    (tmp_path / "score.schema.json").unlink()
    (tmp_path / "pathway.schema.json").write_text("{}\n", encoding="utf-8")
    (tmp_path / "clinic.schema.json").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        write_schemas(tmp_path, check_only=True)
    assert caught.value.found == (
        "missing: score.schema.json; out of date: pathway.schema.json; no longer made: clinic.schema.json"
    )
    assert (tmp_path / "pathway.schema.json").read_text(encoding="utf-8") == "{}\n"


def test_the_check_of_a_folder_that_is_not_there_says_that_all_are_missing(tmp_path):
    with pytest.raises(ContractError, match=r"missing: codelist_manifest\.schema\.json, control_charts"):
        write_schemas(tmp_path / "nowhere", check_only=True)


def test_writing_takes_old_schemas_away_and_leaves_other_files(tmp_path):
    (tmp_path / "clinic.schema.json").write_text("{}\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("Generated.\n", encoding="utf-8")
    write_schemas(tmp_path, check_only=False)
    assert not (tmp_path / "clinic.schema.json").exists()
    assert (tmp_path / "README.md").exists()


def test_the_schema_of_the_manifest_takes_a_manifest(folder):
    schema = json.loads((folder / "run_manifest.schema.json").read_text(encoding="utf-8"))
    assert [each.message for each in Draft202012Validator(schema).iter_errors(MANIFEST)] == []
    assert RunManifest.model_validate_json(json.dumps(MANIFEST)).inputs[0].declared_count is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"nhs_number": "999"}, id="a_key_that_is_not_known"),
        pytest.param({"verdicts": {"landing.death": "perhaps"}}, id="a_verdict_that_is_none"),
        pytest.param({"people": [{"person_status": "registered"}]}, id="a_count_left_out"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder, change):
    schema = json.loads((folder / "run_manifest.schema.json").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(MANIFEST | change))
    with pytest.raises(ValidationError):
        RunManifest.model_validate_json(json.dumps(MANIFEST | change))


def test_a_settings_file_may_leave_all_but_privacy_to_the_command_line(folder):
    schema = json.loads((folder / "settings.schema.json").read_text(encoding="utf-8"))
    assert schema["required"] == ["privacy"]
    assert "default" not in schema["properties"]["privacy"]
