"""One run of the pipeline: what decides its id, where it is built, and how it is put in place.

    out/current                -> runs/<run id>.<n>     the link that is swapped
    out/published              -> current/published     what others may open
    out/restricted             -> current/restricted    working store and identities; never leaves the organisation

A run is built in a folder of its own and put in place by one atomic rename of a link, so that a failed or killed run
leaves the last good outputs whole. Nothing here knows what a stage does.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict

from stratify import (
    contracts,
    fitness,
    ingest,
    kept_weeks,
    page_lock,
    plug_in,
    privacy,
    quality,
    returned_files,
    rollout,
)
from stratify.errors import PrivacyError, RuleError, RunError, SettingsError, StratifyError, combine
from stratify.examples import run_examples
from stratify.ingest import InputFile, LostFeed, Refused, Source
from stratify.returned_files import ReturnedFile
from stratify.rulebook import RuleBook, load_rule_book
from stratify.settings import Settings
from stratify.signing import read_signer

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Receipt(BaseModel):
    """What a stage gives: its name and counts. No row, no value, no identifier."""

    model_config = ConfigDict(frozen=True)

    stage: str
    counts: dict[str, int]


class Plan(BaseModel):
    """Everything that decides what a run gives, and where it is built."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    settings: Settings
    files: tuple[InputFile, ...]
    lost: tuple[LostFeed, ...] = ()
    returned: tuple[ReturnedFile, ...] = ()
    is_test: bool
    rule_digest: str
    code_digest: str
    build: Path

    @property
    def restricted(self) -> Path:
        """Folder of the working store and the identities."""
        return self.build / "restricted"

    @property
    def published(self) -> Path:
        """Folder of what others may open."""
        return self.build / "published"

    @property
    def code_version(self) -> str:
        """Version of the package and digest of its code."""
        return f"{version('stratify')}+{self.code_digest}"

    @property
    def source(self) -> Source:
        """Layout of the extract files."""
        return chosen_source(self.settings)

    @property
    def source_as_received(self) -> Source:
        """The source, to which a feed that was not received this time counts as one it never has: nobody is linked."""
        not_received = (each.table for each in self.lost if each.used_to is None)
        return replace(self.source, not_supplied=(*dict.fromkeys((*self.source.not_supplied, *not_received)),))

    @property
    def received_to(self) -> dict[str, date]:
        """The day each landing table that was received describes."""
        return {
            table: max(each.period_to or self.settings.index_date for each in self.files if each.table == table)
            for table in sorted({each.table for each in self.files})
        }

    @property
    def data_cutoffs(self) -> dict[str, date]:
        """The same of those that decide about people."""
        return {table: day for table, day in self.received_to.items() if table not in ingest.OPTIONAL_TABLES}


@dataclass(frozen=True)
class Summary:
    """What a finished run did: its manifest, the worst verdict, where the outputs are, and what was taken over."""

    run_id: str
    published: Path
    verdict: str
    manifest: dict[str, Any]
    work: Mapping[str, str] = field(default_factory=dict)

    @property
    def held(self) -> list[str]:
        """Pathways of which some list is held."""
        return sorted({each["pathway"] for each in self.manifest["held"]})


@contextmanager
def one_at_a_time(out: Path) -> Iterator[None]:
    """Hold the lock of an output folder for the length of a run.

    The lock is the operating system's, so a killed run frees it.

    Raises:
        RunError: another run holds it, or outputs cannot be put there.
    """
    taken = [name for name in _LINKS if (out / name).exists() and not (out / name).is_symlink()]
    if taken:
        raise _unfit(out, "room for the links to the run in place", f"{', '.join(taken)}, which stratify did not make")
    try:
        out.mkdir(parents=True, exist_ok=True)
        opened = (out / ".lock").open("w")
    except OSError as fault:
        raise _unfit(out, "a folder that can be written to", fault.strerror or "an error of the file system") from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"output folder {out.name}",
                expected="one run at a time",
                found="another run at work in it",
                action="Wait for it to finish, or stop it.",
            ) from None
        yield


_LINKS = ("current", "published", "restricted")


def _unfit(out: Path, expected: str, found: str) -> RunError:
    return RunError(
        f"output folder {out.name}",
        expected=expected,
        found=found,
        action="Correct --out or the permissions, or give another folder; nothing was written.",
    )


def without_values(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a fault that is none of ours come out of a function as a RunError without its message.

    A database or a reader of files puts the value it could not read into its messages, and an orchestrator keeps what
    it sees. Faults of the machine (OSError) pass: they name files, and a second try may help.
    """

    @wraps(work)
    def guarded(*args: _P.args, **named: _P.kwargs) -> _R:
        try:
            return work(*args, **named)
        except (StratifyError, OSError):
            raise
        except Exception as fault:  # noqa: BLE001  told on without the message
            trace = traceback.extract_tb(fault.__traceback__)
            ours = [each for each in trace if "stratify" in Path(each.filename).parts]
            place, kind = (ours or trace)[-1], type(fault).__name__
        raise RunError(  # outside, so that the fault is not chained to it
            f"{Path(place.filename).name} line {place.lineno}",
            expected="the step to finish",
            found=f"{kind} (its message may hold a value and is not shown)",
            action="This is a fault in stratify or in the machine (memory, disk): the last lists stay in place.",
        )

    return guarded


@without_values
def prepare(settings: Settings, *, key: bytes) -> Plan:
    """Check the definitions and the files, and work out the id of the run; nothing is loaded yet.

    Raises:
        RuleError: a definition is wrong or one of its worked examples fails.
        ExtractError: the files are not fit to read.
        PrivacyError: the weeks kept so far are under another identity key.
    """
    book = checked_rule_book(settings)
    read_signer(os.environ)  # a wrong one is said now, and not when everything else is done
    rollout.check(settings.rollout, book.pathways)
    source = chosen_source(settings)
    page_lock.read_passphrases(os.environ, is_test=source.is_synthetic)  # one that cannot be used is told now
    _stop_if_it_would_forget(settings.out / "restricted", key)
    build = settings.out / "runs" / "building"
    shutil.rmtree(build, ignore_errors=True)
    (build / "restricted" / "scratch").mkdir(parents=True, mode=0o700)
    (build / "restricted").chmod(0o700)
    files, lost = _gathered(settings, build / "restricted", book, {})
    returned = returned_files.gather(settings.returned, build / "restricted" / "scratch" / "returned")
    code = code_digest()
    identity = {
        "files": sorted(
            [each.table, each.shown_name, each.sha256, str(each.period_to), str(each.declared_count), each.rank]
            for each in files
        ),
        "lost": [each.model_dump(mode="json") for each in lost],
        "rules": book.digest,
        "code": code,
        "index_date": settings.index_date.isoformat(),
        "source": Path(settings.source).name,  # of a declaration of one's own not where it lies
        "privacy": settings.privacy.model_dump(mode="json"),
        "entry": ingest.open_door(settings.entry).in_manifest(),
        "approved": settings.approved,
        "printed": [settings.organisation, settings.contact],
        "score_inferred_units": settings.score_inferred_units,
        "other_scores": settings.other_scores,
        "fhir": settings.fhir,
        "key": privacy.key_fingerprint(key),
        "plug_ins": plug_in.identity(book, settings),
        "earlier": quality.history_digest(earlier_counts(settings.out), settings.index_date),
        "memory": kept_weeks.digest(settings.out / "restricted", settings.index_date),
        "returned": returned_files.identity(returned),
    }
    run_id = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    plan = Plan(
        run_id=run_id,
        settings=settings,
        files=files,
        lost=lost,
        returned=returned,
        is_test=source.is_synthetic,
        rule_digest=book.digest,
        code_digest=code,
        build=build,
    )
    fingerprint = {"key_fingerprint": privacy.key_fingerprint(key)}
    _write(plan.restricted / "key.json", json.dumps(fingerprint))
    _write(plan.restricted / _PLAN, plan.model_dump_json(indent=1))
    return plan


_PLAN = "plan.json"


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")


def _gathered(
    settings: Settings, restricted: Path, book: RuleBook, refused: Refused
) -> tuple[tuple[InputFile, ...], tuple[LostFeed, ...]]:
    """Give the files to read, and the feeds whose newest file is not read."""
    lost: list[LostFeed] = []
    prepared, known_by = restricted / "prepared", settings.as_known_on or settings.index_date
    files = ingest.gather_files(
        settings.extracts, chosen_source(settings), prepared, known_by=known_by, lost=lost, refused=refused
    )
    stop_if_nothing_is_left(lost, book)
    return tuple(files), tuple(lost)


def without_refused(plan: Plan, refused: Refused) -> Plan:
    """Give the plan of a run without files whose rows were refused: of their feeds what came before, or nothing.

    It takes the place of the plan from here on (:func:`as_landed`). The id of the run stays: what is refused follows
    from the files and the code.

    Raises:
        ExtractError: nothing would be left to publish.
    """
    shutil.rmtree(plan.restricted / "prepared", ignore_errors=True)
    files, lost = _gathered(plan.settings, plan.restricted, load_rule_book(plan.settings.clinical), refused)
    changed = plan.model_copy(update={"files": files, "lost": lost})
    _write(plan.restricted / _PLAN, changed.model_dump_json(indent=1))
    return changed


def under_id(plan: Plan, run_id: str) -> Plan:
    """Give the plan of a run that is made again from less than it had, under the id it had then."""
    changed = plan.model_copy(update={"run_id": run_id})
    _write(plan.restricted / _PLAN, changed.model_dump_json(indent=1))
    return changed


def plan_in_place(out: Path) -> Plan:
    """Give the plan of the run in place, with the folder it is in: one and the same, whatever is swapped meanwhile.

    Raises:
        RunError: there is none.
    """
    restricted = (out / "restricted").resolve()
    path = restricted / _PLAN
    if not path.is_file():
        raise RunError(
            f"output folder {out.name}",
            expected="a finished run",
            found="none",
            action="Run first, or correct the name.",
        )
    return Plan.model_validate_json(path.read_text(encoding="utf-8")).model_copy(update={"build": restricted.parent})


def rule_book_in_place(plan: Plan, clinical: Path | None = None) -> RuleBook:
    """Give the definitions that a run was made with, from where they lie by now.

    Raises:
        RunError: they were changed since.
    """
    book = load_rule_book(clinical or plan.settings.clinical)
    if book.digest != plan.rule_digest:
        raise RunError(
            "clinical definitions",
            expected="those of the run",
            found="changed ones",
            action="Run again, or take the definitions of the run.",
        )
    return book


def as_landed(plan: Plan) -> Plan:
    """Give the plan of a run as the stage that reads the rows left it."""
    return Plan.model_validate_json((plan.restricted / _PLAN).read_text(encoding="utf-8"))


def _stop_if_it_would_forget(restricted: Path, key: bytes) -> None:
    """Refuse an identity key under which nobody of the weeks kept so far would be found again."""
    path = restricted / "key.json"
    if not kept_weeks.weeks(restricted) or not path.is_file():
        return
    if json.loads(path.read_text(encoding="utf-8"))["key_fingerprint"] != privacy.key_fingerprint(key):
        raise PrivacyError(
            "memory of earlier weeks",
            expected="weeks kept under the identity key of this run",
            found="ones of another",
            action="Change the key of what is kept first: `stratify identity rotate`; or give another --out.",
        )


def stop_if_nothing_is_left(lost: Sequence[LostFeed], book: RuleBook) -> None:
    """Refuse the set when what was not received is read for every list: the last good lists are better than none.

    Raises:
        ExtractError: why each feed was refused.
    """
    not_received = [each.table for each in lost if each.used_to is None]
    held = {name for table in not_received for name in fitness.touched(book, fitness.Doubt(table)).pathways}
    if not any(fitness.is_structural(table) for table in not_received) and not (held and set(book.published) <= held):
        return
    raise combine([refusal.as_error() for each in lost for refusal in each.refusals])


def earlier_counts(out: Path) -> Path:
    """Give the file of each practice's counts that the run in place left; every run adds to it and takes it along."""
    return out / "restricted" / quality.HISTORY_FILE


def chosen_source(settings: Settings) -> Source:
    """Give the layout the settings name.

    Raises:
        SettingsError: there is none of that name.
    """
    if settings.source not in ingest.SOURCES:
        raise SettingsError(
            "source",
            expected=f"one of {', '.join(sorted(ingest.SOURCES))}",
            found="another name",
            action="Correct --source or the settings.",
        )
    return ingest.SOURCES[settings.source]


def checked_rule_book(settings: Settings) -> RuleBook:
    """Load the rule book and work every example in it.

    Raises:
        RuleError: a definition is wrong, or an example does not come out as written.
    """
    book = load_rule_book(settings.clinical)
    if book.digest in _PROVED:
        return book
    failed = [each for each in run_examples(book) if each.differences]
    if failed:
        listed = "; ".join(f"{each.definition}, {each.name}: {', '.join(each.differences)}" for each in failed[:5])
        raise RuleError(
            f"{len(failed)} worked examples",
            expected="what each example says",
            found=listed,
            action="Correct the definition or the example: `stratify rules test` shows them all.",
        )
    _PROVED.add(book.digest)
    return book


_PROVED: set[str] = set()
"""Digests of the rule books whose every example held, in this process: the same book need not be proved again."""


def identity_key(settings: Settings, environment: Mapping[str, str]) -> bytes:
    """Give the key pseudonyms are made with: from the environment, or the throwaway one for a synthetic source.

    Raises:
        PrivacyError: a real source, and no key or too short a one.
    """
    source = chosen_source(settings)
    if source.is_synthetic and not (
        environment.get(privacy.KEY_VARIABLE) or environment.get(privacy.KEY_FILE_VARIABLE)
    ):
        return privacy.THROWAWAY_KEY
    return privacy.read_key(environment)


def put_in_place(plan: Plan) -> Path:
    """Make the built folder the one in place, with one rename; then delete runs that are no longer kept.

    Returns:
        The published folder.
    """
    out = plan.settings.out
    runs = out / "runs"
    shutil.rmtree(plan.restricted / "scratch", ignore_errors=True)
    shutil.rmtree(plan.restricted / "prepared", ignore_errors=True)
    taken = [int(path.suffix[1:]) for path in runs.iterdir() if path.suffix[1:].isdigit()]
    final = runs / f"{plan.run_id}.{max(taken, default=0) + 1}"
    flush_folder(plan.build)
    plan.build.rename(final)
    _flush(runs)
    point(out / "current", Path("runs") / final.name)
    for name in ("published", "restricted"):
        if not (out / name).is_symlink():
            point(out / name, Path("current") / name)
    _forget_old(runs, final)
    return out / "published"


def _forget_old(runs: Path, final: Path) -> None:
    """Delete all but the run in place and the latest before it of another id: a rerun must not cost last week's."""
    others = [path for path in runs.iterdir() if path.suffix[1:].isdigit() and path != final]
    different = [path for path in others if path.stem != final.stem]
    kept = max(different, key=lambda path: int(path.suffix[1:]), default=None)
    for path in others:
        if path != kept:
            shutil.rmtree(path)


def point(link: Path, target: Path) -> None:
    """Make a link point to a target, in one step: whoever looks sees the old one or the new one."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
    _flush(link.parent)


def flush_folder(folder: Path) -> None:
    """Have every file and every name of a folder on the disk before it is put in place."""
    for path in (folder, *folder.rglob("*")):
        if path.is_file() or path.is_dir():
            _flush(path)


def _flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk: a power cut then finds all of it."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def code_digest() -> str:
    """Give the digest of the code and contracts that run, so that a run is tied to them whatever the version says."""
    digest = hashlib.sha256()
    for root in (Path(__file__).parent, contracts.contracts_folder()):
        for path in sorted(root.rglob("*")):
            if (
                path.suffix in (".py", ".j2", ".js", ".css", ".typ", ".yaml")
                and "clinical" not in path.relative_to(root).parts
            ):
                digest.update(path.relative_to(root).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
