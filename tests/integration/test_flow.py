"""The weekly run as a Prefect flow: the same outputs as by hand, and nothing about anybody in Prefect's own records."""

import json
import sqlite3
import time
from pathlib import Path

import flows.housekeeping
import flows.weekly
import pytest
from flows import stage as stages
from prefect import flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL as DATABASE
from prefect.testing.utilities import prefect_test_harness

from stratify.errors import ExtractError
from stratify.operations import notices
from stratify.operations.backup import restore
from whole_runs import (
    KEY,
    counted_plainly,
    extract_set,
    same_files,
    settings_file,
    stratify,
)

CANARY = "CANARYNAME"
MISPLACED = extract_set.nhs(501)
"""A number of nobody in the set, where a unit or a term belongs."""

DAMAGED = extract_set.nhs(502)[:9] + str((int(extract_set.nhs(502)[9]) + 1) % 10)
TEXT = "canarytext she rang today"
LAST_WORDS = "Outputs: "


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("prefect")
    with (
        temporary_settings({PREFECT_HOME: home, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        prefect_test_harness(server_startup_timeout=60),
        counted_plainly(),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STRATIFY_IDENTITY_KEY", KEY)
        yield home


def _kept_by_prefect(home):
    """Give everything Prefect wrote down: every table of its database, and every file in its folder.

    It writes its log a moment later, so it is read again until what a run says last is there.
    """
    path, text = DATABASE.value().split("///", 1)[1], ""
    for _ in range(60):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            text = "\n".join(database.iterdump())
        if LAST_WORDS in text:
            break
        time.sleep(0.5)
    for file in Path(home).rglob("*"):
        if file.is_file():
            text += file.read_bytes().decode("utf-8", errors="replace")
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(scope="module")
def settings(folder):
    """Fifty people, one with COPD, one with a row that is set aside, some with text and numbers in wrong columns."""
    people = range(50)
    odd = {
        10: {"unit_raw": TEXT},
        11: {"unit_raw": MISPLACED},
        13: {"snomed_code": "195967001", "snomed_term": f"{TEXT} {MISPLACED}"},
        14: {"snomed_code": "", "original_code": CANARY, "original_system": TEXT},
        15: {"snomed_code": "", "original_code": DAMAGED, "original_system": CANARY},
    }
    extracts = extract_set.write_set(
        folder / "extracts",
        patient=[extract_set.patient(f"p{n}", nhs_number=extract_set.nhs(n) if n != 20 else DAMAGED) for n in people],
        registration=[extract_set.registration(f"p{n}") for n in people],
        gp_event=[
            extract_set.event(f"e{n}", source_patient_id=f"p{n}", **({} if n == 7 else {"snomed_code": "38341003"}))
            for n in people
        ],
        gp_observation=[
            extract_set.observation(
                f"o{n}",
                source_patient_id=f"p{n}",
                **({"value_num": "25"} | odd.get(n, {}) | ({"effective_date": CANARY} if n == 8 else {})),
            )
            for n in people
        ],
        gp_medication=[extract_set.medication(f"m{n}", source_patient_id=f"p{n}") for n in people],
        opt_out=[extract_set.opt_out("NDO", "false", nhs_number=extract_set.nhs(n)) for n in people],
    )
    return settings_file(folder / "flow", extracts, folder / "out", clinical=None)


@pytest.fixture(scope="module")
def by_flow(prefect_home, settings):
    return flows.weekly.weekly(str(settings), "2026-01-05", return_state=True)


def test_the_flow_gives_what_the_command_line_gives(by_flow, folder, settings, prefect_home):
    assert by_flow.is_completed(), by_flow.message
    by_hand = folder / "by_hand"
    done = stratify(
        "run", "--settings", settings, "--index-date", "2026-01-05", "--out", by_hand, STRATIFY_IDENTITY_KEY=KEY
    )
    assert done.exit_code == 0, done.output
    same_files(folder / "out" / "published", by_hand / "published")
    workbook = next((by_hand / "published" / "direct_care" / "A10001" / "copd_clinic").glob("*.xlsx"))
    assert workbook.stat().st_size > 5_000


def test_a_refused_file_ends_the_flow_at_once_with_its_message(by_flow, folder, prefect_home, tmp_path):
    """A second try after half a minute would refuse it again; the lists of the run before stay."""
    extracts = tmp_path / "extracts"
    extracts.mkdir()
    for path in (folder / "extracts").iterdir():
        (extracts / path.name).write_bytes(path.read_bytes() if path.name != "patient.csv" else b"")
    before = (folder / "out" / "published" / "run_manifest.json").read_bytes()
    refused = settings_file(tmp_path, extracts, folder / "out", clinical=None)
    began = time.monotonic()
    state = flows.weekly.weekly(str(refused), "2026-01-05", return_state=True)
    assert time.monotonic() - began < stages.RETRY_DELAY_SECONDS
    assert state.is_failed()
    fault = state.result(raise_on_failure=False)
    assert isinstance(fault, ExtractError)
    assert "patient.csv: expected a header and rows; found an empty file" in str(state.message)
    report = folder / "out" / "refused" / "2026-01-05" / "supplier_report_TEST_2026-01-05.xlsx"
    assert f"For the supplier: {report}" in str(state.message) and report.is_file()
    assert (folder / "out" / "published" / "run_manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        pytest.param(OSError(5, "Input/output error"), 2, id="of_the_machine"),
        pytest.param(ExtractError("x", expected="y", found="z", action="w"), 1, id="found_and_named"),
        pytest.param(ValueError("a fault of a library"), 1, id="of_another_kind"),
    ],
)
def test_only_a_fault_of_the_machine_is_tried_again(prefect_home, monkeypatch, fault, tries):
    monkeypatch.setattr(stages, "RETRY_DELAY_SECONDS", 0)
    tried = []

    def work():
        tried.append(1)
        if len(tried) == 1:
            raise fault
        return "done"

    @flow(name="one stage", persist_result=False)
    def one_stage():
        return stages.stage("a stage", work)

    state = one_stage(return_state=True)
    assert len(tried) == tries
    assert state.is_completed() == (tries == 2)


def test_prefect_keeps_paths_dates_and_counts_and_nothing_about_anybody(by_flow, prefect_home, settings, folder):
    kept = _kept_by_prefect(prefect_home)
    assert "stratify weekly run" in kept and str(settings) in kept and "Reading the extract files" in kept
    assert "rows received" in kept and LAST_WORDS in kept
    for planted in (extract_set.nhs(7), extract_set.nhs(8), "07700900000", "ZZ1 1ZZ", KEY):
        assert planted not in kept
    for planted in (MISPLACED, DAMAGED, TEXT):
        assert planted not in kept
    with sqlite3.connect(f"file:{DATABASE.value().split('///', 1)[1]}?mode=ro", uri=True) as database:
        parameters = {text for (text,) in database.execute("SELECT parameters FROM flow_run WHERE name IS NOT NULL")}
        names = database.execute("SELECT count(*) FROM log WHERE message LIKE '%CANARYNAME%'").fetchone()
    assert any("2026-01-05" in text for text in parameters)
    asked = {"settings_file", "index_date", "afresh"}
    assert all(text == "{}" or set(json.loads(text)) == asked for text in parameters)
    assert names == (0,)


def test_housekeeping_as_a_flow_makes_a_backup_and_fails_with_one_notice_when_something_is_not_well(
    by_flow, folder, prefect_home, tmp_path, monkeypatch
):
    """The first time all is well; then others can open the identities."""
    sent, out = [], folder / "out"
    monkeypatch.setattr(notices, "send", lambda notice, _: sent.append(notice) or ["e-mail"])
    out.chmod(0o750)
    safe = tmp_path / "safe"
    settings = settings_file(tmp_path, folder / "extracts", out, clinical=None, backups=str(safe))
    state = flows.housekeeping.housekeeping(str(settings), return_state=True)
    assert state.is_completed(), state.message
    (made,) = safe.iterdir()
    restore(made, tmp_path / "elsewhere", replace=False)
    same_files((tmp_path / "elsewhere" / "published").resolve(), (out / "published").resolve())
    assert sent == []
    identities = (out / "restricted").resolve() / "identity.duckdb"
    identities.chmod(0o644)
    state = flows.housekeeping.housekeeping(str(settings), return_state=True)
    identities.chmod(0o600)
    assert state.is_failed() and "identities: others can open 1" in str(state.message)
    assert [(each.kind, each.what) for each in sent] == [("not well", "identities: others can open 1")]
    assert (made / "SHA256SUMS").is_file()
