"""Takes one person out of what is kept, at their request: of the inputs of every record, and of the memory in place.

Every other row stays as it was and in its order, so that a week made again differs only in what came of that person.
The trail says that somebody was taken out, when, why, and of which weeks; never who. Stays: what was put out, and the
register of feedback without the link to the person. Belongs here: which files, and the records that change with them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stratify import audit_trail, ingest, kept_records, kept_weeks, privacy, taken_over
from stratify.audit_trail import Actor
from stratify.errors import RunError
from stratify.kept_records import EXTRACTS, RETURNED, STATE, Erasure, Record
from stratify.privacy import KeyRing
from stratify.replay import again, taken_out
from stratify.replay.taken_out import Person
from stratify.runs import one_at_a_time

ACT = "erasure"
REASONS = ("asked_by_patient", "court_order", "sent_by_mistake")
"""Why somebody may be taken out. A closed list: words of one's own could name them."""
MANIFEST = "manifest.csv"
_IDENTITY_CSV = "key_crosswalk.csv"


@dataclass(frozen=True)
class Erased:
    """What was done: the weeks whose records changed, and how many files of all of them."""

    weeks: tuple[date, ...]
    files: int


def erase(
    records: Path,
    out: Path | None,
    numbers: Iterable[str],
    *,
    ring: KeyRing | None,
    because: str,
    today: date,
    by: Actor,
) -> Erased:
    """Take one person out of every record, and out of the memory of an output folder.

    Killed on the way, it is given again: what was done stays done.

    Args:
        records: The folder of records.
        out: Output folder of the site, whose memory the next run reads; None where only records are meant.
        numbers: The NHS numbers of the person, superseded ones too where they are known.
        ring: The identity keys; None where the environment has none.
        because: One of :data:`REASONS`.
        today: The day, which the records say.
        by: Who does it.

    Raises:
        RunError: the reason is none, a record is of another layout than the canonical one, or is not whole.
        PrivacyError: the key of a record is not in the ring.
    """
    if because not in REASONS:
        raise _unfit(f"one of {', '.join(REASONS)}", "another reason", "Give --because as it is listed.")
    whole = kept_records.all_records(records)
    for record in whole:
        again.key_of(record, ring)
        if ingest.SOURCES[record.settings.source].declaration or ingest.SOURCES[record.settings.source].read:
            raise _unfit(
                "records of extracts in the canonical layout",
                f"one of another layout, week {record.week}",
                "Of these only whole weeks can be removed: `record_weeks` and `stratify retention apply`.",
            )
    with audit_trail.recorded(records, ACT, {"because": because}, by=by) as ended:
        person = _known_by(records, whole, Person(frozenset(each.replace(" ", "") for each in numbers)))
        weeks, files = [], 0
        for record in whole:
            changed = _without(records, record, person, again.key_of(record, ring))
            if not changed:
                continue
            inputs = {name: digest for name, digest in changed.items() if name in record.inputs}
            note = Erasure(on=today, inputs=tuple(sorted(inputs)))
            fresh = record.model_copy(
                update={
                    "inputs": record.inputs | inputs,
                    "placements": changed.get(_PLACEMENTS, record.placements),
                    "erased": (*record.erased, note),
                }
            )
            kept_records.add(records, fresh, by=by)
            weeks.append(record.week)
            files += len(inputs)
        kept_records.forget_unused(records)
        if out is not None and whole:
            files += _out_of_memory(out, person, ring)
        ended |= {"weeks": [each.isoformat() for each in sorted({*weeks})], "files": files}
    return Erased(tuple(sorted({*weeks})), files)


def in_words(done: Erased) -> str:
    """Say what was done; nobody is in it."""
    if not done.files:
        return "Nobody of these numbers is in what is kept."
    return (
        f"One person was taken out of {done.files:,} files, of {len(done.weeks)} weeks. What came of them cannot be "
        "made again; `stratify replay` says so of each week.\nNot changed: what was put out; the databases of the run "
        "in place and of the one before it, which go with the next two runs; the suppliers' files, which must no "
        "longer hold the person; backups."
    )


_PLACEMENTS = "placements"


def _known_by(records: Path, whole: Iterable[Record], person: Person) -> Person:
    """Give the person with every number and record that their rows lead to."""
    contents = {
        digest: name
        for record in whole
        for name, digest in record.inputs.items()
        if name.startswith(f"{EXTRACTS}/") and not name.endswith(MANIFEST)
    }
    while True:
        known = person
        for digest, name in sorted(contents.items()):
            for row in taken_out.rows_of_extract(kept_records.object_path(records, digest), name):
                if person.is_in(row):
                    person = person.known_by(row)
        if person == known:
            return person


def _without(records: Path, record: Record, person: Person, key: bytes) -> dict[str, str]:
    """Give the new digest of each input of a record that held the person, and of its placements."""
    changed: dict[str, str] = {}

    def look(names: Iterable[str], rewrite: Callable[[Path, str], bytes | None]) -> None:
        for name in names:
            digest = record.placements if name == _PLACEMENTS else record.inputs[name]
            content = rewrite(kept_records.object_path(records, digest), name)
            if content is not None:
                changed[name] = _put(records, content)

    extracts = [name for name in record.inputs if name.startswith(f"{EXTRACTS}/")]
    look(
        (name for name in extracts if not name.endswith(MANIFEST)),
        lambda path, name: taken_out.without_person(path, name, person),
    )
    look(
        (name for name in extracts if name.endswith(MANIFEST)),
        lambda path, name: _manifest(path, name.removesuffix(MANIFEST), changed, record.inputs, records),
    )
    keys = keys_of(person, key)
    tables = [name for name in record.inputs if name.startswith(f"{STATE}/") and name.endswith(".parquet")]
    references = {
        each
        for name in tables
        for each in taken_out.references_of(kept_records.object_path(records, record.inputs[name]), keys)
    }
    look((*tables, _PLACEMENTS), lambda path, name: _table(path, name, keys, references))
    look(
        (name for name in record.inputs if name == f"{STATE}/{_IDENTITY_CSV}"),
        lambda path, _: _lines_without(path, keys),
    )
    words = {*person.numbers, *references}
    look(
        (name for name in record.inputs if name.startswith(f"{RETURNED}/")),
        lambda path, _: taken_out.without_answers(path, words),
    )
    return changed


def keys_of(person: Person, key: bytes) -> set[str]:
    """Give every pseudonym of a person under a key."""
    return {privacy.pseudonym(key, each) for each in person.numbers} | {
        privacy.local_pseudonym(key, *each) for each in person.records
    }


def _table(path: Path, name: str, keys: set[str], references: set[str]) -> bytes | None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # the name says what a table is; the object has none
        named = Path(folder) / Path(name).name
        named.hardlink_to(path)
        return taken_out.without_keys(named, keys, references)


def _lines_without(path: Path, words: set[str]) -> bytes | None:
    lines = path.read_bytes().splitlines(keepends=True)
    stay = [line for line in lines if not any(each.encode() in line for each in words)]
    return b"".join(stay) if len(stay) < len(lines) else None


def _manifest(
    path: Path, folder: str, changed: Mapping[str, str], before: Mapping[str, str], records: Path
) -> bytes | None:
    """Give the manifest of a set with rows, size and digest of its changed files; None where none changed."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    mine = [row for row in rows if f"{folder}{row['file_name']}" in changed]
    if not mine:
        return None
    for row in mine:
        name = f"{folder}{row['file_name']}"
        old, new = (kept_records.object_path(records, each[name]) for each in (before, changed))
        gone = taken_out.row_count(old, name) - taken_out.row_count(new, name)
        row["row_count"] = str(int(row["row_count"]) - gone)
        row["sha256"] = changed[f"{folder}{row['file_name']}"]
        row["byte_count"] = str(kept_records.object_path(records, row["sha256"]).stat().st_size)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _put(records: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    with tempfile.TemporaryDirectory(dir=records) as folder:
        path = Path(folder) / digest
        path.write_bytes(content)
        return kept_records.put(records, path)


def _out_of_memory(out: Path, person: Person, ring: KeyRing | None) -> int:
    """Take the person out of the weeks that the runs of an output folder keep; gives how many files changed."""
    count = 0
    keys = {
        each for key in (*(ring.keys.values() if ring else ()), privacy.THROWAWAY_KEY) for each in keys_of(person, key)
    }
    with one_at_a_time(out):
        for run in sorted((out / "runs").glob("*.[0-9]*")):
            tables = sorted((run / "restricted" / kept_weeks.FOLDER).glob("*/*.parquet"))
            references = {each for path in tables for each in taken_out.references_of(path, keys)}
            changed = []
            for path in tables:
                content = taken_out.without_keys(path, keys, references)
                if content is not None:
                    fresh = path.with_name(f".{path.name}.new")
                    fresh.touch(mode=0o600)
                    fresh.write_bytes(content)
                    fresh.replace(path)
                    changed.append(path)
            taken_over.note_changed(run, changed)
            count += len(changed)
    return count


def _unfit(expected: str, found: str, action: str) -> RunError:
    return RunError("erasure", expected=expected, found=found, action=action)
