"""Faults of files: what becomes of the bytes, and whether the gate refuses them today."""

from __future__ import annotations

import csv
import hashlib
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from stratify import contracts
from stratify.errors import ExtractError, RunError, SettingsError
from stratify.ingest.files import inspect_files
from stratify.ingest.sources import SOURCES
from stratify.synth.faults import FAULTS, TOUCH_SCHEMA, SetScene, spoil_set
from stratify.synth.faults import sets as faults_of_files

CUTOFF = date(2026, 11, 1)
FILE_FAULTS = [id for id, fault in FAULTS.items() if fault.level == "file"]
TABLES = ("patient", "registration", "gp_event", "gp_observation", "gp_medication", "practice", "clinic_capacity",
          "apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out")  # fmt: skip
FILLED = {"date_of_birth": "1950-01-02", "effective_date": "2026-10-12", "issue_date": "2026-10-12", "value_num": "48"}


def write_set(folder: Path, cutoff: date = CUTOFF) -> Path:
    """A set of three rows a file; the last column differs from one set to the next."""
    folder.mkdir()
    lines = []
    for table in TABLES:
        names = contracts.load(f"landing.{table}").column_names
        rows = [
            [FILLED.get(name, f"{name[0]}{number}") for name in names[:-1]] + [f"sent on {cutoff}"]
            for number in range(3)
        ]
        if table == "gp_event":  # a comma inside a value
            rows[2][names.index("snomed_term")] = "A term, with a comma"
        path = folder / f"{table}.csv"
        with path.open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened, lineterminator="\n").writerows([names, *rows])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append([path.name, table, "SYNTHETIC", 3, path.stat().st_size, digest, cutoff.isoformat()])
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as opened:
        header = [*("file_name", "table_name", "source_system", "row_count", "byte_count", "sha256", "period_to")]
        csv.writer(opened, lineterminator="\n").writerows([header, *lines])
    return folder


def scene(seed: int = 1, *, week: int = 1, previous: Path | None = None) -> SetScene:
    cutoff = CUTOFF + timedelta(weeks=week)
    return SetScene(
        week=week,
        cutoff=cutoff,
        previous_cutoff=cutoff - timedelta(weeks=1) if week else None,
        previous=previous,
        rng_of=lambda id: np.random.default_rng([seed, week, *id.encode()]),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def declared(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as opened:
        return {line["file_name"]: line for line in csv.DictReader(opened)}


def spoiled(tmp_path: Path, id: str, words: str | None = None) -> tuple[Path, pl.DataFrame]:
    """A set with one fault; of the forms it has, the one with these words."""
    for seed in range(40):
        before = write_set(tmp_path / f"before{seed}", CUTOFF)
        folder = write_set(tmp_path / f"set{seed}", CUTOFF + timedelta(weeks=1))
        week = int(FAULTS[id].needs_weeks)
        touches = spoil_set(folder, {id: 0.001}, scene(seed, week=week, previous=before if week else None))
        assert set(touches["fault"]) == {id}
        if words is None or touches["words"].item() == words:
            return folder, touches
    raise AssertionError("no such form")


FORMS = [
    # Fault, form, what the manifest does, whether the gate refuses it today.
    ("F1", "file missing", "tells", True),
    ("F1", "manifest missing", "is gone", True),
    ("F2", "empty file", "rows only", True),
    ("F2", "header only", "rows only", True),
    ("F3", "truncated", "tells", True),
    ("F4", "bars between columns", "agrees", True),
    ("F4", "bytes of cp1252", "agrees", True),
    ("F4", "a quote never closed", "agrees", False),  # refused by the loader, which reads rows
    ("F5", "column renamed", "agrees", True),
    ("F5", "two columns change names", "agrees", True),
    ("F5", "last column gone", "agrees", True),
    ("F6", "new unknown column", "agrees", False),
    ("F7", "the period begins 3 days late", "agrees", False),
    ("F8", "file of the set before, sent again", "agrees", False),
    ("F9", "older rows after newer", "agrees", False),
    ("F11", "whole column date_of_birth empty", "agrees", False),
    ("F13", "a zipped file that does not open", "agrees", True),
    ("F13", "a name that says no table", "agrees", True),
    ("F14", "the same content a second time", "agrees", True),
]


def test_every_fault_of_files_is_tried():
    assert list(dict.fromkeys(id for id, *_ in FORMS)) == FILE_FAULTS


@pytest.mark.parametrize(("id", "words", "manifest", "is_refused"), FORMS)
def test_a_file_fault_and_what_the_gate_says_of_it_today(tmp_path, id, words, manifest, is_refused):
    folder, touches = spoiled(tmp_path, id, words)
    assert touches.height == 1
    assert dict(touches.schema) == dict(TOUCH_SCHEMA)
    if manifest != "is gone":
        name = touches["key"].item()
        for each, line in declared(folder).items():
            path = folder / each
            bytes_agree = path.exists() and line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            size_agrees = path.exists() and int(line["byte_count"]) == path.stat().st_size
            assert (bytes_agree, size_agrees) == (
                (False, False) if (each, manifest) == (name, "tells") else (True, True)
            )
    if is_refused:
        with pytest.raises(ExtractError):
            inspect_files(folder, SOURCES["synthetic_county"])
    else:
        inspect_files(folder, SOURCES["synthetic_county"])


def test_a_set_without_faults_passes_the_gate_and_stays_as_it_is(tmp_path):
    folder = write_set(tmp_path / "set")
    before = contents(folder)
    assert spoil_set(folder, {**dict.fromkeys(FAULTS, 0.0), "U2": 0.5}, scene()).is_empty()
    assert contents(folder) == before
    assert len(inspect_files(folder, SOURCES["synthetic_county"])) == len(TABLES)


@pytest.mark.parametrize("id", FILE_FAULTS)
def test_the_same_seed_gives_the_same_bytes(tmp_path, id):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, _ = spoiled(tmp_path / "a", id)
    other, _ = spoiled(tmp_path / "b", id)
    assert contents(one) == contents(other)


def test_all_faults_of_files_fit_into_one_set(tmp_path):
    before, folder = write_set(tmp_path / "before"), write_set(tmp_path / "set", CUTOFF + timedelta(weeks=1))
    touches = spoil_set(folder, dict.fromkeys(FILE_FAULTS, 1.0), scene(previous=before))
    assert not touches["key"].is_duplicated().any()
    assert touches.height >= 6  # five files can be struck, and the manifest
    with pytest.raises(ExtractError):
        inspect_files(folder, SOURCES["synthetic_county"])


def test_a_fault_comes_with_the_first_extract_that_can_have_it_and_then_at_its_rate(tmp_path):
    weeks = []
    for week in range(6):
        folder = write_set(tmp_path / f"set{week}")
        if spoil_set(folder, {"F14": 0.0001}, scene(week=week)).height:
            weeks.append(week)
    assert weeks == [0]
    assert spoil_set(write_set(tmp_path / "bulk"), {"F8": 1.0}, scene(week=0)).is_empty()


def test_f3_cuts_inside_the_last_line(tmp_path):
    folder, touches = spoiled(tmp_path, "F3")
    whole = (write_set(tmp_path / "whole", CUTOFF + timedelta(weeks=1)) / touches["key"].item()).read_bytes()
    cut = (folder / touches["key"].item()).read_bytes()
    assert whole.startswith(cut)
    assert not cut.endswith(b"\n")
    assert cut.count(b"\n") == whole.count(b"\n") - 1


def test_f5_and_f6_leave_the_rows_where_they_are(tmp_path):
    for id, words in (("F5", "two columns change names"), ("F6", None)):
        (tmp_path / id).mkdir()
        folder, touches = spoiled(tmp_path / id, id, words)
        name = touches["key"].item()
        whole = (write_set(tmp_path / id / "whole", CUTOFF + timedelta(weeks=1)) / name).read_text().splitlines()
        now = (folder / name).read_text().splitlines()
        assert now[0] != whole[0]
        assert [line.removesuffix(",A") for line in now[1:]] == whole[1:]


def test_f7_says_so_in_the_manifest_alone(tmp_path):
    folder, _ = spoiled(tmp_path, "F7")
    # The set before ended on 1 November, so this one should begin on the 2nd.
    assert {line["period_from"] for line in declared(folder).values()} == {"2026-11-05"}


def test_f9_holds_rows_as_they_were_before_under_an_older_date(tmp_path):
    folder, touches = spoiled(tmp_path, "F9")
    name = touches["key"].item()
    line = declared(folder)[name]
    assert line["period_to"] == "2026-10-25"  # a week before the set that came first
    older = list(csv.DictReader((folder / name).read_text().splitlines()))
    first = folder.with_name(folder.name.replace("set", "before")) / f"{line['table_name']}.csv"
    newer = list(csv.DictReader(first.read_text().splitlines()))
    assert len(older) == 3
    differs = {column for old, new in zip(older, newer, strict=True) for column in old if old[column] != new[column]}
    assert len(differs) == 1
    assert differs <= {"value_num", "effective_date", "issue_date"}


def test_f11_empties_every_date_of_birth_and_nothing_else(tmp_path):
    folder, _ = spoiled(tmp_path, "F11")
    rows = list(csv.DictReader((folder / "patient.csv").read_text().splitlines()))
    assert [row["date_of_birth"] for row in rows] == ["", "", ""]
    assert [row["org_code"] for row in rows] == ["o0", "o1", "o2"]


@pytest.mark.parametrize("id", ["F2", "F3", "F4", "F5", "F6", "F11", "F13", "F14"])
def test_a_file_is_never_held_whole(tmp_path, id):
    names = contracts.load("landing.patient").column_names
    line = ",".join([*["x" * 40] * (len(names) - 1), "2"]) + "\n"
    with (tmp_path / "patient.csv").open("w") as opened:
        opened.write(",".join(names) + "\n")
        opened.writelines(line for _ in range(8_000_000 // len(line)))
    tracemalloc.start()
    try:
        spoil_set(tmp_path, {id: 1.0}, scene(week=0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000  # of 8 million bytes


def test_files_that_are_no_csv_are_refused(tmp_path):
    pl.DataFrame({"a": ["1"]}).write_parquet(tmp_path / "patient.parquet")
    with pytest.raises(SettingsError, match="csv files, whose bytes they act on"):
        spoil_set(tmp_path, {"F2": 1.0}, scene(week=0))


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path, monkeypatch):
    folder = write_set(tmp_path / "set")
    monkeypatch.setattr(
        faults_of_files, "_read_manifest", lambda _: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(RunError, match="No space left"):
        spoil_set(folder, {"F2": 1.0}, scene(week=0))
