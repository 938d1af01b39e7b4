"""The record of what was done with people's data: a line an act, added at the end and never changed.

    out/audit/trail.jsonl      only the account that runs stratify can open it

Each line has the digest of the line before and one of its own, so that a changed, lost or inserted line shows. Lines
cut off the end show against the last digest, which every run says on the terminal and in its log: whoever notes it
elsewhere can compare. Belongs here: how acts are written down and checked. Nobody is in it, and no value of a record;
who acts and what time it is are told by the doors.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from stratify.errors import PrivacyError, RunError, StratifyError

FOLDER = "audit"
TRAIL = "trail.jsonl"
NOTHING_BEFORE = "0" * 64
"""Stands as the digest before the first line."""

REASONS = ("direct_care", "asked_by_patient", "complaint", "incident", "data_quality", "audit")
"""Why one person may be looked up. A closed list: words of one's own could name somebody."""

Details = Mapping[str, Any]


@dataclass(frozen=True)
class Actor:
    """Who acts, and the clock that says when.

    Attributes:
        name: Account and door, for example ``stratify (Prefect)``.
        clock: Gives the moment, with its time zone.
    """

    name: str
    clock: Callable[[], datetime]


def this_account(door: str) -> Actor:
    """Give the account that this process runs under; for the command line and the flows, which may read a clock."""
    return Actor(f"{getpass.getuser()} ({door})", lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Line:
    """A line of the trail: its number from 1, what was done, and whether it can be trusted.

    Attributes:
        fault: What is wrong with it, in words; empty when nothing is.
    """

    number: int
    entry: Details
    digest: str
    fault: str = ""


@contextmanager
def recorded(out: Path, act: str, details: Details, *, by: Actor) -> Iterator[dict[str, Any]]:
    """Write down that something begins, and how it ended; what cannot be written down is not begun.

    Args:
        out: The output folder.
        act: What is done: ``run``, ``release``, ``explanation`` ...
        details: What is known of it at the start.
        by: Who does it.

    Yields:
        A dict for what is known of it at the end.

    Raises:
        RunError: the trail cannot be written.
    """
    begun = add(out, act, {"state": "begun", **details}, by=by)
    ended: dict[str, Any] = {}
    try:
        yield ended
    except BaseException as fault:
        kind: dict[str, Any] = {"fault": type(fault).__name__}
        if isinstance(fault, StratifyError):
            kind["exit_code"] = fault.exit_code
        add(out, act, {"state": "failed", "begun": begun.number, **kind, **ended}, by=by)
        raise
    add(out, act, {"state": "done", "begun": begun.number, **ended}, by=by)


def add(out: Path, act: str, details: Details, *, by: Actor) -> Line:
    """Add a line and have it on the disk.

    Raises:
        RunError: the trail cannot be written.
    """
    path = _path(out)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("rb+") as trail:
            fcntl.flock(trail, fcntl.LOCK_EX)
            lines = trail.read().split(b"\n")
            if lines[-1]:  # cut off while it was written: it stays as it is, and is part of the chain
                trail.write(b"\n")
                lines.append(b"")
            number, before = len(lines), _checked(0, lines[-2], "").digest if len(lines) > 1 else NOTHING_BEFORE
            entry = {"number": number, "at": by.clock().astimezone(UTC).isoformat(timespec="seconds"), "by": by.name}
            entry |= {"act": act, "details": dict(details), "before": before}
            digest = _digest(entry)
            trail.write(_bytes(entry | {"digest": digest}) + b"\n")
            trail.flush()
            os.fsync(trail.fileno())
    except OSError as fault:
        raise RunError(
            f"audit trail {path.parent.name}/{path.name}",
            expected="a file that can be added to: what cannot be written down is not done",
            found=fault.strerror or "an error of the file system",
            action="Look at the disk and at who owns the folder `audit` of the output folder.",
        ) from None
    return Line(number, entry, digest)


def stop_without_reason(why: str, *, is_test: bool) -> None:
    """Refuse to look somebody up for a reason that is none; of invented people any will do.

    Raises:
        PrivacyError: it is no reason of :data:`REASONS`.
    """
    if why not in REASONS and not is_test:
        raise PrivacyError(
            "--because", expected=f"one of {', '.join(REASONS)}", found="none of them", action="Give the reason."
        )


def read(out: Path) -> list[Line]:
    """Give every line in order, each checked against the one before; none where nothing was ever done.

    Raises:
        RunError: the trail cannot be read.
    """
    path = _path(out)
    try:
        raw = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as fault:
        raise RunError(
            f"audit trail {path.parent.name}/{path.name}",
            expected="a file that can be read",
            found=fault.strerror or "an error of the file system",
            action="Use the account that runs stratify.",
        ) from None
    lines, before = [], NOTHING_BEFORE
    for number, text in enumerate(raw if raw[-1] else raw[:-1], 1):
        lines.append(_checked(number, text, before))
        before = lines[-1].digest
    # What a power cut left stays in the trail; that the next line follows from it as it stands shows that it was one.
    is_explained = [not line.entry and not after.fault for line, after in pairwise(lines)]
    return [replace(line, fault="") if so else line for line, so in zip_longest(lines, is_explained)]


def last_in_words(out: Path) -> str:
    """Say the number and the digest of the last line, for whoever notes it elsewhere."""
    lines = read(out)
    return f"Audit trail: line {len(lines):,}, digest {lines[-1].digest if lines else NOTHING_BEFORE}"


def faults(lines: Sequence[Line], *, noted: str | None = None) -> list[str]:
    """Say what is wrong with a trail, a line each; nothing when it is as it was written.

    Args:
        lines: The trail.
        noted: A digest that a line had when somebody noted it.
    """
    found = [f"line {each.number}: {each.fault}" for each in lines if each.fault]
    if noted is not None and noted.strip().lower() not in {NOTHING_BEFORE, *(each.digest for each in lines)}:
        found.append("no line has the digest that was noted: lines are lost from the end, or changed")
    return found


def in_words(line: Line) -> str:
    """Say a line on one line."""
    if not line.entry:
        return f"{line.number:>6}  no whole entry: {line.fault or 'cut off while it was written'}"
    details = line.entry["details"]
    said = ", ".join(f"{name} {_plain(value)}" for name, value in details.items() if name != "state")
    state = f" {details['state']}" if "state" in details else ""
    words = f"{line.number:>6}  {line.entry['at'][:19]}  {line.entry['act']}{state}  {line.entry['by']}"
    return words + (f": {said}" if said else "") + (f"  !! {line.fault}" if line.fault else "")


def _checked(number: int, text: bytes, before: str) -> Line:
    try:
        entry = json.loads(text)
        digest = entry.pop("digest")
        is_changed = _digest(entry) != digest or _bytes(entry | {"digest": digest}) != text
        faults = ["changed since it was written"] if is_changed else []
        if entry["number"] != number:
            faults.append(f"numbered {entry['number']}: a line is lost or put in")
        if entry["before"] != before:
            faults.append("does not follow from the line before")
        if not isinstance(entry["details"], dict):
            raise TypeError
        in_words(Line(number, entry, digest))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Line(number, {}, hashlib.sha256(text).hexdigest(), "cut off while it was written, or changed")
    return Line(number, entry, digest, "; ".join(faults))


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(_bytes(entry)).hexdigest()


def _bytes(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_plain(each)}" for name, each in value.items()) + ")"
    return (", ".join(map(_plain, value)) or "none") if isinstance(value, list) else str(value)


def _path(out: Path) -> Path:
    return out / FOLDER / TRAIL
