"""The audit trail: what is written down, and that a changed, lost or added line shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count

import pytest

from stratify import audit_trail
from stratify.audit_trail import Actor
from stratify.errors import PrivacyError, RunError

MINUTES = count()
BY = Actor("tester", lambda: datetime(2026, 11, 2, 5, next(MINUTES) % 60, tzinfo=UTC))


@pytest.fixture
def trail(tmp_path):
    """Five lines, and the file they are in."""
    for week in ("2026-11-02", "2026-11-09"):
        with audit_trail.recorded(tmp_path, "run", {"index_date": week}, by=BY) as ended:
            ended |= {"run_id": "abc", "people": {"alive": 3}, "held": ["copd"]}
    audit_trail.add(tmp_path, "explanation", {"because": "complaint"}, by=BY)
    return tmp_path / "audit" / "trail.jsonl"


def _faults(trail, **noted):
    return audit_trail.faults(audit_trail.read(trail.parents[1]), **noted)


def test_a_trail_says_who_did_what_and_how_it_ended(trail):
    lines = audit_trail.read(trail.parents[1])
    assert [(each.entry["act"], each.entry["details"].get("state")) for each in lines] == [
        ("run", "begun"), ("run", "done"), ("run", "begun"), ("run", "done"), ("explanation", None)
    ]  # fmt: skip
    assert {each.entry["by"] for each in lines} == {"tester"}
    assert lines[1].entry["details"] == {
        "state": "done", "begun": 1, "run_id": "abc", "people": {"alive": 3}, "held": ["copd"]
    }  # fmt: skip
    assert audit_trail.in_words(lines[1]).endswith("run done  tester: begun 1, held copd, people (alive 3), run_id abc")
    assert _faults(trail) == []


def test_what_fails_is_written_down_by_kind_and_without_its_message(tmp_path):
    with pytest.raises(RunError), audit_trail.recorded(tmp_path, "run", {}, by=BY):
        raise RunError("canaryplace", expected="a", found="canaryvalue", action="b")
    assert audit_trail.read(tmp_path)[1].entry["details"] == {
        "state": "failed", "begun": 1, "fault": "RunError", "exit_code": 8
    }  # fmt: skip
    assert "canary" not in (tmp_path / "audit" / "trail.jsonl").read_text(encoding="utf-8")


def test_any_changed_byte_shows(trail):
    whole = trail.read_bytes()
    for place in range(len(whole)):
        trail.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert _faults(trail), f"byte {place} of {len(whole)}"


def test_a_line_that_is_lost_or_put_in_shows(trail):
    lines = trail.read_bytes().splitlines(keepends=True)
    for number in range(len(lines) - 1):
        trail.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert _faults(trail)
        trail.write_bytes(b"".join([*lines[:number], lines[number], *lines[number:]]))
        assert _faults(trail)


def test_a_line_that_was_written_anew_with_its_digest_shows(trail):
    lines = trail.read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[1])
    del entry["digest"]
    entry["details"]["people"] = {"alive": 4}
    fresh = audit_trail._bytes(entry | {"digest": audit_trail._digest(entry)})
    trail.write_bytes(b"".join([lines[0], fresh + b"\n", *lines[2:]]))
    assert _faults(trail) == ["line 3: does not follow from the line before"]


def test_lines_cut_off_the_end_show_against_a_digest_that_was_noted(trail):
    noted = audit_trail.read(trail.parents[1])[-1].digest
    assert _faults(trail, noted=noted) == []
    trail.write_bytes(b"".join(trail.read_bytes().splitlines(keepends=True)[:-1]))
    assert _faults(trail) == []
    assert _faults(trail, noted=noted) == [
        "no line has the digest that was noted: lines are lost from the end, or changed"
    ]


def test_a_line_cut_off_by_a_power_cut_stays_and_the_next_follows_from_it(trail):
    whole = trail.read_bytes()
    trail.write_bytes(whole[:-40])
    assert _faults(trail) == ["line 5: cut off while it was written, or changed"]
    audit_trail.add(trail.parents[1], "release", {}, by=BY)
    assert trail.read_bytes().startswith(whole[:-40] + b"\n")
    assert _faults(trail) == []
    assert audit_trail.in_words(audit_trail.read(trail.parents[1])[4]).endswith("cut off while it was written")


def test_only_the_account_itself_can_open_a_trail(trail):
    assert (trail.stat().st_mode & 0o777, trail.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_cannot_be_written_down_is_not_begun(tmp_path):
    (tmp_path / "audit").write_text("in the way")
    done = []
    refused = pytest.raises(RunError, match="what cannot be written down is not done")
    with refused, audit_trail.recorded(tmp_path, "run", {}, by=BY):
        done.append(True)
    assert not done


def test_a_person_is_looked_up_for_a_reason_of_the_list_only():
    audit_trail.stop_without_reason("complaint", is_test=False)
    audit_trail.stop_without_reason("curiosity", is_test=True)
    with pytest.raises(PrivacyError, match="expected one of direct_care, "):
        audit_trail.stop_without_reason("curiosity", is_test=False)
