"""What a run tells monitoring: figures for Prometheus and events for OpenLineage, where the settings name a file."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from bare_manifest import bare_manifest
from stratify import privacy, run_trail
from stratify.audit_trail import Actor
from stratify.errors import ExtractError
from stratify.settings import Settings

MONDAY = datetime(2026, 11, 2, 5, tzinfo=UTC)
INPUTS = [
    {"table_name": "patient", "sha256": "ab" * 32, "received_count": 120, "loaded_count": 118},
    {"table_name": "gp_event", "sha256": "cd" * 32, "received_count": 900, "loaded_count": 900},
]
COUNTED = {
    "index_date": "2026-11-02",
    "inputs": [each | {"file_name": f"{each['table_name']}.csv"} for each in INPUTS],
    "people": [{"person_status": "registered", "people": 110}, {"person_status": "died", "people": 8}],
    "placements": [
        {"placement": "listed", "people": 12},
        {"placement": "waiting", "people": 3},
        {"placement": "listed", "people": 5},
    ],
    "held": [{"pathway": "copd"}, {"pathway": "copd"}],
    "lost_feeds": [{"table_name": "apc_episode"}],
}
_TEXT = {"type": "string", "minLength": 1}
_FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {
            "_producer": {"format": "uri"},
            "_schemaURL": {"pattern": r"^https://openlineage\.io/spec/facets/"},
        },
    },
}
_DATASETS = {
    "type": "array",
    "items": {
        "required": ["namespace", "name"],
        "properties": {"namespace": _TEXT, "name": _TEXT}
        | dict.fromkeys(("facets", "inputFacets", "outputFacets"), _FACETS),
    },
}
RUN_EVENT = {
    "type": "object",
    "required": ["eventType", "eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        "run": {
            "required": ["runId"],
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": _FACETS},
        },
        "job": {
            "required": ["namespace", "name"],
            "properties": {"namespace": _TEXT, "name": _TEXT, "facets": _FACETS},
        },
        "inputs": _DATASETS,
        "outputs": _DATASETS,
    },
}
"""What version 2-0-2 of the specification asks of a run event, written down from it by hand."""


class Site:
    """A site whose clock stands at 05:00 and moves on by two minutes each time it is looked at."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.out, self.now = folder / "out", MONDAY
        named = {name: folder / file for name, file in files.items()}
        self.settings = Settings(
            extracts=folder / "extracts", source="synthetic_county", out=self.out, index_date=date(2026, 11, 2),
            privacy=privacy.STAND_IN_POLICY, **named,
        )  # fmt: skip
        self.by = Actor("tester", self._look)

    def _look(self) -> datetime:
        self.now += timedelta(minutes=2)
        return self.now

    def publish(self) -> None:
        surface = self.out / "current" / "published" / "secondary_use"
        if not surface.exists():
            (self.out / "runs" / "abc.1" / "published" / "secondary_use").mkdir(parents=True)
            (self.out / "current").symlink_to("runs/abc.1")
            (self.out / "published").symlink_to("current/published")
        (surface / "population.csv").write_text("12345", encoding="utf-8")
        manifest = json.loads(bare_manifest("abc")) | COUNTED
        (self.out / "published" / "run_manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def run(self, fault: BaseException | None = None) -> None:
        with run_trail.recorded(self.settings, by=self.by) as ended:
            if fault:
                raise fault
            self.publish()
            ended |= {"manifest_sha256": "ef" * 32}


def _figures(path: Path) -> dict[str, float]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def _events(path: Path) -> list[dict]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for each in found:
        Draft202012Validator(RUN_EVENT, format_checker=FormatChecker()).validate(each)
    return found


def test_a_site_that_names_no_file_gets_none(tmp_path):
    site = Site(tmp_path)
    site.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_the_figures_of_a_run_that_finished_are_its_counts_and_times(tmp_path):
    """The clock is looked at as the run begins and ends, and for both lines of the trail between: 3 times 2 minutes."""
    site = Site(tmp_path, metrics_file="stratify.prom")
    site.run()
    found = _figures(tmp_path / "stratify.prom")
    assert found["stratify_run_success"] == 1 and found["stratify_run_exit_code"] == 0
    assert found["stratify_run_duration_seconds"] == 3 * 120
    assert found["stratify_run_end_timestamp_seconds"] == (MONDAY + timedelta(minutes=8)).timestamp()
    assert found["stratify_good_run_index_date_timestamp_seconds"] == datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    assert found['stratify_rows{state="received"}'] == 120 + 900
    assert found['stratify_rows{state="loaded"}'] == 118 + 900
    assert found["stratify_files"] == 2 and found["stratify_people"] == 110 + 8
    assert found["stratify_people_listed"] == 12 + 5
    assert found["stratify_pathways_held"] == 1 and found["stratify_feeds_not_read"] == 1


def test_the_figures_are_in_the_format_that_the_collector_reads(tmp_path):
    """A HELP and a TYPE line before the first sample of each name, once; a number after each name; a last newline."""
    site = Site(tmp_path, metrics_file="stratify.prom")
    site.run()
    text = (tmp_path / "stratify.prom").read_text(encoding="utf-8")
    assert text.endswith("\n")
    known: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            known.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2:] == [known[-1], "gauge"]
        else:
            found = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[a-z]+"\})? -?[0-9.e+]+', line)
            assert found and found[1] == known[-1]
    assert len(known) == len(set(known)) == 12


def test_a_run_that_fails_keeps_the_figures_of_the_good_one_and_says_its_exit_code(tmp_path):
    site = Site(tmp_path, metrics_file="stratify.prom")
    site.run()
    good = _figures(tmp_path / "stratify.prom")
    with pytest.raises(ExtractError):
        site.run(ExtractError("patient.csv", expected="a", found="b", action="c"))
    found = _figures(tmp_path / "stratify.prom")
    assert (found["stratify_run_success"], found["stratify_run_exit_code"]) == (0, 3)
    of_good = [name for name in good if not name.startswith("stratify_run_")]
    assert len(of_good) == 9 and {name: found[name] for name in of_good} == {name: good[name] for name in of_good}


def test_a_fault_of_no_kind_is_exit_code_1_and_what_it_says_is_in_neither_file(tmp_path):
    site = Site(tmp_path, metrics_file="stratify.prom", lineage_file="lineage.jsonl")
    with pytest.raises(ValueError, match="canary"):
        site.run(ValueError("canary of a record"))
    assert _figures(tmp_path / "stratify.prom")["stratify_run_exit_code"] == 1
    began, failed = _events(tmp_path / "lineage.jsonl")
    assert (began["eventType"], failed["eventType"]) == ("START", "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "ValueError"
    assert "canary" not in (tmp_path / "lineage.jsonl").read_text(encoding="utf-8")


def test_the_figures_are_replaced_whole_and_the_old_ones_stay_when_they_cannot_be(tmp_path, monkeypatch, capsys):
    site = Site(tmp_path, metrics_file="stratify.prom")
    site.run()
    before = (tmp_path / "stratify.prom").read_bytes()

    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ExtractError):
        site.run(ExtractError("patient.csv", expected="a", found="b", action="c"))
    assert (tmp_path / "stratify.prom").read_bytes() == before
    assert "stratify.prom could not be written (No space left on device)" in capsys.readouterr().err


def test_a_run_at_work_is_not_told_of_by_the_second_that_is_refused(tmp_path):
    site = Site(tmp_path, metrics_file="stratify.prom", lineage_file="lineage.jsonl")
    with run_trail.recorded(site.settings, by=site.by) as ended:
        with pytest.raises(Exception, match="one run at a time"):
            site.run()
        assert not (tmp_path / "stratify.prom").exists()
        site.publish()
        ended |= {"manifest_sha256": "ef" * 32}
    assert [each["eventType"] for each in _events(tmp_path / "lineage.jsonl")] == ["START", "COMPLETE"]


def test_the_events_of_a_run_name_what_it_read_and_what_it_put_out(tmp_path):
    site = Site(tmp_path, lineage_file="lineage.jsonl")
    site.run()
    began, done = _events(tmp_path / "lineage.jsonl")
    assert (began["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert began["run"]["runId"] == done["run"]["runId"] and began["job"] == done["job"]
    assert began["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-11-02T00:00:00+00:00"
    assert [each["name"] for each in done["inputs"]] == [
        str(tmp_path / f"extracts/{name}.csv") for name in ("patient", "gp_event")
    ]
    assert [each["inputFacets"]["inputStatistics"]["rowCount"] for each in done["inputs"]] == [120, 900]
    assert done["inputs"][0]["facets"]["version"]["datasetVersion"] == "ab" * 32
    counted = {Path(each["name"]).name: each["outputFacets"]["outputStatistics"] for each in done["outputs"]}
    assert {name: each["fileCount"] for name, each in counted.items()} == {
        "direct_care": 0, "secondary_use": 1, "data_quality": 0,
    }  # fmt: skip
    assert counted["secondary_use"]["size"] == len("12345")


def test_every_run_adds_to_the_events_and_one_that_cannot_be_added_changes_nothing(tmp_path, capsys):
    site = Site(tmp_path, lineage_file="lineage.jsonl")
    site.run()
    with pytest.raises(ExtractError):
        site.run(ExtractError("patient.csv", expected="a", found="b", action="c"))
    kinds = [each["eventType"] for each in _events(tmp_path / "lineage.jsonl")]
    assert kinds == ["START", "COMPLETE", "START", "FAIL"]
    nowhere = Site(tmp_path / "other", lineage_file="missing/lineage.jsonl")
    nowhere.run()
    assert capsys.readouterr().err.count("lineage.jsonl could not be added to") == 2
