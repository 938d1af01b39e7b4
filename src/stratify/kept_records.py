"""What was known: a sealed record of each finished run, from which it can be made again elsewhere and later.

    RECORDS/weeks/2026-11-09/<run id>.json   what the run read and what it put out, each file by its digest
    RECORDS/objects/3f/3f9c…                 each content once, however many weeks read it
    RECORDS/audit/trail.jsonl                each record, replay, removal and erasure: a line an act, chained

Kept are the extract files, what practices sent back, the definitions, the settings and the state before the run; never
a key or a passphrase. It holds names and NHS numbers: only the account that runs stratify can open it. Belongs here:
keeping and reading records. Making a run again from one is in ``replay``.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stratify import audit_trail, strict_yaml
from stratify.audit_trail import Actor
from stratify.errors import RunError
from stratify.rulebook import clinical_folder
from stratify.runs import plan_in_place
from stratify.settings import Settings
from stratify.store import contents_digest, open_store

EXTRACTS, RETURNED, CLINICAL, STATE, SOURCE, CODE_LIST = "extracts", "returned", "clinical", "state", "source", "codes"
ACT = "record of a run"
_BEHIND = ("polars", "duckdb", "narwhals", "xlsxwriter", "typst")
"""Packages whose version can show in the bytes of an output."""
_OF_ONE_RUN = ("plan.json", "work.json", "loaded")
"""What a run leaves that no later week reads to decide anything."""
_NEVER_THE_SAME = ".sig"
"""Signs the sums of a DuckDB file, whose bytes are others every time."""


class Erasure(BaseModel):
    """That rows of one person were taken out of what a run had read: when, and out of which files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: date
    inputs: tuple[str, ...]


class Record(BaseModel):
    """What one run read and put out, each file by its digest.

    Attributes:
        inputs: Digest of each file that was read, by its name here: ``extracts/…``, ``state/memory/…``.
        outputs: Digest of each published file; of a DuckDB file that of its contents.
        placements: Digest of ``derived.placement``, kept as Parquet.
        erased: What was taken out since.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    week: date
    run_id: str
    code_version: str
    versions: dict[str, str]
    key_fingerprint: str
    settings: Settings
    inputs: dict[str, str]
    outputs: dict[str, str]
    placements: str
    erased: tuple[Erasure, ...] = ()

    @property
    def contents(self) -> set[str]:
        """Digests of everything that is kept for it."""
        return {*self.inputs.values(), self.placements}


@contextmanager
def kept(settings: Settings, ended: dict[str, Any], *, by: Actor) -> Iterator[None]:
    """Keep what a run reads before it begins, and its record when it is in place; nothing where no folder is set.

    Args:
        settings: What is run.
        ended: What the audit trail says of the run; gets the digest of the record.
        by: Who runs it.

    Raises:
        RunError: a file was changed while the run was at work. Its lists are in place; it has no record.
        OSError: there is no room for it.
    """
    if settings.records is None:
        yield
        return
    paths = input_paths(settings)
    stamps = {name: _stamp(path) for name, path in paths.items()}
    inputs = {name: put(settings.records, path) for name, path in paths.items()}
    yield
    changed = [name for name, path in paths.items() if _stamp(path) != stamps[name] and not name.startswith(STATE)]
    if changed:
        raise RunError(
            "record of the run",
            expected="files that stay as they are while a run reads them",
            found=f"{len(changed)} that were changed, first {changed[0]}",
            action="The lists are in place, but could not be made again: run the week once more.",
        )
    ended["record"] = add(settings.records, _record_of(settings.records, settings, inputs), by=by)


def add(records: Path, record: Record, *, by: Actor) -> str:
    """Write a record and its line in the trail of the folder; gives its digest, which is its seal."""
    folder = records / "weeks" / record.week.isoformat()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = (record.model_dump_json(indent=1) + "\n").encode()
    fresh = folder / f".{record.run_id}.new"
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(folder / f"{record.run_id}.json")
    seal = hashlib.sha256(content).hexdigest()
    details = {"week": record.week.isoformat(), "run_id": record.run_id, "seal": seal, "inputs": len(record.inputs)}
    audit_trail.add(records, ACT, details, by=by)
    return seal


def read(records: Path, week: date, run_id: str | None = None) -> Record:
    """Give the last record that was kept of a week, or that of one run of it, as it was sealed.

    Raises:
        RunError: there is none, it is another than was sealed, or the trail of the folder was changed.
    """
    lines = audit_trail.read(records)
    if faults := audit_trail.faults(lines):
        raise _unfit(f"trail of {records.name}", "no line changed, lost or put in", faults[0], _FROM_BACKUP)
    mine = [each.entry["details"] for each in lines if each.entry and each.entry["act"] == ACT]
    mine = [each for each in mine if each["week"] == week.isoformat() and run_id in (None, each["run_id"])]
    path = _path(records, week, mine[-1]["run_id"]) if mine else None
    if path is None or not path.is_file():
        when = removed_on(records, week)
        raise _unfit(
            f"record of {week}",
            "one in this folder",
            f"none since {when}, when it was removed by schedule" if when and mine else "none",
            "It cannot be made again." if when and mine else "Correct the week, or --from; see docs/replay.md.",
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != mine[-1]["seal"]:
        raise _unfit(f"record of {week}", "the one that was sealed", "another", _FROM_BACKUP)
    return _parsed(content, week)


def all_records(records: Path) -> list[Record]:
    """Give every record in order of week and run, each as it was sealed last."""
    paths = sorted((records / "weeks").glob("*/*.json"))
    return [read(records, date.fromisoformat(path.parent.name), path.stem) for path in paths]


def removed_on(records: Path, week: date) -> str | None:
    """Give the day on which the records of a week were removed, where they were."""
    acts = [each.entry for each in audit_trail.read(records) if each.entry]
    days = [
        each["at"][:10]
        for each in acts
        if each["act"] == REMOVAL and week.isoformat() in each["details"].get("weeks", ())
    ]
    return days[-1] if days else None


REMOVAL = "retention"
_FROM_BACKUP = "Take the folder of records from a backup."


def lay_out(records: Path, record: Record, into: Path) -> Settings:
    """Lay everything a run read out in a new folder, each content checked, and give its settings there.

    What it knew of earlier weeks is put in place in the output folder ``into/out``.

    Raises:
        RunError: a content is gone or is another than was kept. Nothing is laid out then.
    """
    wrong = sorted(name for name, digest in record.inputs.items() if not _is_whole(object_path(records, digest)))
    if wrong:
        found = f"{len(wrong)} of {len(record.inputs)} that are not, first {wrong[0]}"
        raise _unfit(f"record of {record.week}", "every input as it was kept", found, _FROM_BACKUP)
    given = {EXTRACTS, CLINICAL, *({RETURNED} if record.settings.returned else ())}
    for name in sorted(given):
        (into / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, digest in record.inputs.items():
        if not name.startswith(f"{STATE}/"):
            _copy_out(object_path(records, digest), into / name)
    lay_out_state(records, record, into / "out")
    changes: dict[str, Any] = {name: into / name for name in sorted(given)}
    of_that_machine = ("records", "memory_limit", "threads", "spread", "metrics_file", "lineage_file", "backups")
    changes |= {"out": into / "out", **dict.fromkeys(of_that_machine)}
    if record.settings.source.endswith(".yaml"):
        changes["source"] = str(into / SOURCE / Path(record.settings.source).name)
    if listed := next((name for name in record.inputs if name.startswith(f"{CODE_LIST}/")), None):
        changes["entry"] = record.settings.entry.model_copy(update={"code_list": into / listed})
    return record.settings.model_copy(update=changes)


def lay_out_state(records: Path, record: Record, out: Path) -> None:
    """Put what a run knew of earlier weeks in place in a new output folder, as the run before it left it."""
    before = out / "runs" / "before.0" / "restricted"
    before.mkdir(mode=0o700, parents=True)
    for name, digest in record.inputs.items():
        kind, _, rest = name.partition("/")
        if kind == STATE:
            _copy_out(object_path(records, digest), before / rest)
    for link, to in (("current", "runs/before.0"), ("restricted", "current/restricted")):
        (out / link).symlink_to(to)


def _copy_out(kept: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(kept, target)
    target.chmod(0o600)


def input_paths(settings: Settings) -> dict[str, Path]:
    """Give every file that a run with these settings may read, by its name in a record."""
    state = (settings.out / "restricted").resolve()
    found = {f"{EXTRACTS}/{name}": path for name, path in _below(settings.extracts).items()}
    found |= {f"{CLINICAL}/{name}": path for name, path in _below(settings.clinical or clinical_folder()).items()}
    if settings.returned:
        sent = _below(settings.returned)
        found |= {f"{RETURNED}/{name}": path for name, path in sent.items() if not path.is_symlink()}
    kept = {name: path for name, path in _below(state).items() if path.suffix != ".duckdb"}
    found |= {f"{STATE}/{name}": path for name, path in kept.items() if name.split("/")[0] not in _OF_ONE_RUN}
    if settings.source.endswith(".yaml"):
        found |= {f"{SOURCE}/{path.name}": path for path in _with_what_it_includes(Path(settings.source))}
    if settings.entry.code_list:
        found[f"{CODE_LIST}/{settings.entry.code_list.name}"] = settings.entry.code_list
    return dict(sorted(found.items()))


def _with_what_it_includes(declaration: Path, known: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """Give a declaration of a source and those beside it that it includes; one that is wrong the run itself refuses."""
    if declaration in known or not declaration.is_file():
        return known
    try:
        content = strict_yaml.load(declaration.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        content = None
    known = (*known, declaration)
    for name in content.get("includes") or () if isinstance(content, dict) else ():
        known = _with_what_it_includes(declaration.with_name(f"{name}.yaml"), known)
    return known


def _below(folder: Path) -> dict[str, Path]:
    """Give the files of a folder by name; none whose name begins with a dot, which no run reads."""
    found = {}
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [each for each in folders if not each.startswith((".", "__pycache__"))]
        for name in names:
            if not name.startswith("."):
                path = Path(at) / name
                found[path.relative_to(folder).as_posix()] = path
    return found


def output_digests(published: Path, scratch: Path) -> dict[str, str]:
    """Give the digest of every published file: of its bytes, or of a DuckDB file of its contents.

    A file of sums counts without the line of a DuckDB file, and its signature by its being there.
    """
    found = {}
    for name, path in sorted(_below(published).items()):
        if path.suffix == ".duckdb":
            with open_store(path, temp_directory=scratch, read_only=True) as store:
                found[name] = contents_digest(store)
        elif path.suffix == _NEVER_THE_SAME:
            found[name] = "a signature"
        elif path.name == "SHA256SUMS":
            lines = [line for line in path.read_bytes().splitlines() if not line.endswith(b".duckdb")]
            found[name] = hashlib.sha256(b"\n".join(lines)).hexdigest()
        else:
            found[name] = digest_of(path)
    return found


def put(records: Path, path: Path) -> str:
    """Keep the content of a file once, and give its digest."""
    digest = digest_of(path)
    target = object_path(records, digest)
    if target.exists():
        return digest
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    records.chmod(0o700)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as fresh:  # 0600
        with path.open("rb") as opened:
            shutil.copyfileobj(opened, fresh, 1 << 20)
        fresh.flush()
        os.fsync(fresh.fileno())
    made = Path(fresh.name)
    if digest_of(made) != digest:
        made.unlink()
        raise _unfit("record of the run", "a file that stays as it is", f"{path.name} changed", "Run again.")
    made.chmod(0o400)
    made.replace(target)
    return digest


def object_path(records: Path, digest: str) -> Path:
    """Give where a content is kept."""
    return records / "objects" / digest[:2] / digest


def forget(records: Path, record: Record) -> None:
    """Delete a record; its line in the trail stays."""
    path = _path(records, record.week, record.run_id)
    path.unlink(missing_ok=True)
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def forget_unused(records: Path) -> int:
    """Delete every content that no record names any more; gives how many."""
    used = {digest for record in all_records(records) for digest in record.contents}
    unused = [path for path in (records / "objects").glob("*/*") if path.name not in used]
    for path in unused:
        path.unlink()
    return len(unused)


def _record_of(records: Path, settings: Settings, inputs: Mapping[str, str]) -> Record:
    plan = plan_in_place(settings.out)
    scratch = plan.restricted / "scratch"
    with open_store(plan.restricted / "run.duckdb", temp_directory=scratch, read_only=True) as store:
        placed = store.frame("SELECT * FROM derived.placement ORDER BY patient_key, pathway")
        with store.scratch_file() as path:
            placed.write_parquet(path)
            placements = put(records, path)
    outputs = output_digests(plan.published, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return Record(
        week=settings.index_date,
        run_id=plan.run_id,
        code_version=plan.code_version,
        versions=running_versions(),
        key_fingerprint=json.loads((plan.restricted / "key.json").read_text(encoding="utf-8"))["key_fingerprint"],
        settings=settings,
        inputs=dict(inputs),
        outputs=outputs,
        placements=placements,
    )


def running_versions() -> dict[str, str]:
    """Give the versions of what runs here and can show in the bytes of an output."""
    return {"python": platform.python_version(), **{name: version(name) for name in _BEHIND}}


def _parsed(content: bytes, week: date) -> Record:
    try:
        return Record.model_validate_json(content)
    except ValidationError:
        fault = _unfit(f"record of {week}", "one that this version reads", "another", "Use the version that wrote it.")
    raise fault  # outside, so that no setting is chained to it


def _path(records: Path, week: date, run_id: str) -> Path:
    return records / "weeks" / week.isoformat() / f"{run_id}.json"


def _is_whole(path: Path) -> bool:
    return path.is_file() and digest_of(path) == path.name


def digest_of(path: Path) -> str:
    """Give the digest of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _unfit(where: str, expected: str, found: str, action: str) -> RunError:
    return RunError(where, expected=expected, found=found, action=action)
