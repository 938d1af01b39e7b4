"""A run goes on only from weeks that are as the run before left them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

import pytest

from stratify import audit_trail, privacy, run_trail, taken_over
from stratify.errors import RunError
from stratify.settings import Settings

BY = audit_trail.Actor("tester", lambda: datetime(2026, 11, 9, 5, tzinfo=UTC))


@pytest.fixture
def site(tmp_path):
    """An output folder with a run in place that remembers one week, and the account of its files."""
    home = tmp_path / "out" / "runs" / "abc.1"
    week = home / "restricted" / "memory" / "2026-11-02"
    week.mkdir(parents=True)
    files = {}
    for name in ("answer", "transition"):
        (week / f"{name}.parquet").write_bytes(name.encode())
        place = f"restricted/memory/2026-11-02/{name}.parquet"
        files[place] = hashlib.sha256(name.encode()).hexdigest()
    files["published/run_manifest.json"] = "0" * 64  # of another kind: this is not looked at
    nothing = {"whole": None, "loading": None, "files_read": "", "definitions": ""}
    record = {**nothing, "values": {}, "scores": {}, "pathways": {}, "files": files}
    (home / "restricted" / "work.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "out" / "current").symlink_to("runs/abc.1")
    return tmp_path / "out", week


def _run(out):
    settings = Settings(
        extracts=out, source="synthetic_county", out=out, index_date=date(2026, 11, 9), privacy=privacy.STAND_IN_POLICY
    )
    with run_trail.recorded(settings, by=BY):
        (out / "ran").touch()


def test_a_run_goes_on_from_weeks_that_are_as_they_were_left(site):
    out, _ = site
    _run(out)
    assert (out / "ran").exists()


@pytest.mark.parametrize("how", ["changed in one byte", "cut off", "gone", "a folder"])
def test_a_run_stops_before_it_begins_when_a_file_of_the_memory_is_not_as_it_was_left(site, how):
    out, week = site
    path = week / "transition.parquet"
    content = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes(content[:-1] + (b"X" if how == "changed in one byte" else b""))
    with pytest.raises(RunError) as caught:
        _run(out)
    assert str(caught.value) == (
        "memory of earlier weeks: expected 2 files as the last run left them; found 1 missing or changed, first "
        "2026-11-02/transition.parquet. Put the last backup in place (`stratify restore`), then run again; nothing "
        "was published."
    )
    assert not (out / "ran").exists()
    assert [each.entry["details"]["state"] for each in audit_trail.read(out)] == ["begun", "failed"]


def test_a_person_taken_out_of_the_memory_on_purpose_stops_no_run(site):
    out, week = site
    path = week / "transition.parquet"
    path.write_bytes(b"without one person")
    taken_over.note_changed((out / "current").resolve(), [path])
    _run(out)
    (week / "answer.parquet").write_bytes(b"changed by nobody")
    with pytest.raises(RunError, match=r"answer\.parquet"):
        _run(out)


@pytest.mark.parametrize("account", [None, b"", b"\xff\xfe no text", b"{}"])
def test_a_run_of_which_there_is_no_account_is_taken_as_it_is(site, account):
    """A release before this one left none, and a change of key makes the run in place anew."""
    out, week = site
    path = week.parents[1] / "work.json"
    path.unlink()
    if account is not None:
        path.write_bytes(account)
    (week / "transition.parquet").write_bytes(b"as an older release left it")
    _run(out)
    assert (out / "ran").exists()
