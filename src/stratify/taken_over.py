"""Work that is not done twice: what a run takes over from the run in place, because nothing that it reads has changed.

    restricted/work.json      what each part of the run read, as digests; what was taken over; the digest of every file
    restricted/loaded/        tables of loading that later stages change, as loading left them

Only the run in place is taken from, and only files whose digest is the one that run ended with. What is taken over is
copied: nothing of the run in place is written to. Belongs here: what can be taken over, and putting it in place. Does
not belong: what a part reads (``stage_inputs``), working anything out. Nothing published says what was taken over: a
run gives the same bytes however much of it was worked out anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from stratify import contracts, engine
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.quality import RuleResult
from stratify.runs import Plan
from stratify.stage_inputs import Digests, StageInputs, digest_of_files
from stratify.store import Store, open_store, quoted

Kind: TypeAlias = Literal["values", "scores", "pathways"]
"""What is taken over piece by piece."""

_RECORD, _LOADED = "work.json", "loaded"
_MEMORY = "restricted/memory/"
_DATABASES = ("run", "identity")
_CHANGED_LATER = (
    "audit.answer",
    "audit.held_list",
    "audit.practice_count",
    "audit.quality_result",
    "audit.step_count",
    "core.outcome",
)
"""Tables of loading that later stages add to or change; a test compares all tables of all stages."""
_IN_PIECES = (
    "derived.variable_value",
    "derived.patient_score",
    "derived.pathway_decision",
    "derived.reason",
    "derived.explanation",
    "work.comparator_decision",
)
"""Tables of later stages that are taken over by variable, score or pathway."""
_WORDS = {"values": "variables", "scores": "scores", "pathways": "pathways"}


class _Record(BaseModel):
    """What a run read and what it took over; digests are those of ``stage_inputs``."""

    model_config = ConfigDict(frozen=True)

    whole: str | None
    loading: str | None
    files_read: str
    definitions: str
    is_softened: bool = False
    tables: tuple[str, ...] = ()
    values: Digests
    scores: Digests
    pathways: Digests
    taken_from: str | None = None
    taken: dict[str, tuple[str, ...]] = {}
    worked: dict[str, tuple[str, ...]] = {}
    files: dict[str, str] = {}


def unchanged_in_place(plan: Plan, inputs: StageInputs) -> str | None:
    """Name the run in place when a run would give it again, byte for byte, and every file of it is as it was left."""
    home = _in_place(plan)
    record = _read(home) if home else None
    if home is None or record is None or inputs.whole is None or record.whole != inputs.whole:
        return None
    if not record.files or set(record.worked) != set(_WORDS):
        return None
    is_whole = all((home / name).is_file() and _digest(home / name) == sha for name, sha in record.files.items())
    return home.name if is_whole else None


def begin(plan: Plan, inputs: StageInputs, *, afresh: bool) -> None:
    """Write down what a run reads, and take over what loading gave when all it reads is as in the run in place.

    Args:
        plan: The run, before a row is read.
        inputs: What its parts read.
        afresh: Take nothing over.
    """
    home = None if afresh else _in_place(plan)
    before = _read(home) if home else None
    record = _Record(
        whole=inputs.whole,
        loading=inputs.loading,
        files_read=inputs.files,
        definitions=inputs.definitions,
        values=inputs.values,
        scores=inputs.scores,
        pathways=inputs.pathways,
    )
    if home and before and _is_same_loading(before, inputs) and _copied(plan, home, before):
        _put_back(plan, before)
        taken = {
            "values": _same(before.values, inputs.values),
            "scores": _same(before.scores, inputs.scores),
            "pathways": _same(before.pathways, inputs.pathways),
        }
        loaded = {"is_softened": before.is_softened, "tables": before.tables}
        record = record.model_copy(update={"taken_from": home.name, "taken": taken, **loaded})
    _write(plan, record)


def is_loaded(plan: Plan) -> bool:
    """Tell whether loading was taken over: there are the core tables, and nothing is left to read or to check."""
    record = _own(plan)
    return record is not None and record.taken_from is not None


def keep_loading(store: Store, plan: Plan, results: Sequence[RuleResult]) -> None:
    """Keep what loading gave for a later run, as it is now.

    Files that were refused row by row are in no plan that a later run can compare: then nothing is kept. Where a check
    would have stopped the run, what it holds instead depends on every definition.

    Args:
        store: The run's store, after the last step of loading.
        plan: The run as it was landed.
        results: What the checks of loading found, before any was softened.
    """
    record = _own(plan)
    if record is None:
        return
    if digest_of_files(plan) != record.files_read:
        _write(plan, record.model_copy(update={"loading": None}))
        return
    (plan.restricted / _LOADED).mkdir(mode=0o700, exist_ok=True)
    for name in _CHANGED_LATER:
        path = _kept(plan, name)
        store.execute(f"COPY (SELECT * FROM {name}) TO '{quoted(path)}' (FORMAT parquet)")
        path.chmod(0o600)
    tables = tuple(sorted(_tables(store)))
    is_softened = any(each.verdict == "stop" for each in results)
    _write(plan, record.model_copy(update={"tables": tables, "is_softened": is_softened}))


def unchanged(plan: Plan, kind: Kind, names: Iterable[str]) -> frozenset[str]:
    """Give the variables, scores or pathways of which the run has what they come to, and note which it has not.

    None where a stage is tried again: the first try may have begun to replace what was taken over.
    """
    record, asked = _own(plan), sorted(names)
    if record is None:
        return frozenset()
    taken = () if kind in record.worked else record.taken.get(kind, ())
    same = frozenset(taken).intersection(asked)
    worked = tuple(name for name in asked if name not in same)
    _write(plan, record.model_copy(update={"worked": record.worked | {kind: worked}}))
    return same


def seal(plan: Plan) -> None:
    """Note the digest of every file of a finished run, so that nothing that was changed since is taken over."""
    record, files = _own(plan), {}
    if record is None:
        return
    for path in sorted(each for each in plan.build.rglob("*") if each.is_file()):
        name = path.relative_to(plan.build)
        if name.parts[:2] not in (("restricted", "scratch"), ("restricted", "prepared")) and path.name != _RECORD:
            files[name.as_posix()] = _digest(path)
    _write(plan, record.model_copy(update={"files": files}))


def stop_if_memory_changed(out: Path) -> None:
    """Refuse to go on from weeks that are not as the run in place left them: a changed byte can read as another answer.

    Raises:
        RunError: a file of the memory is missing or changed.
    """
    link = out / "current"
    record = _read(link.resolve()) if link.is_dir() else None
    kept = {name: sha for name, sha in record.files.items() if name.startswith(_MEMORY)} if record else {}
    changed = [name for name, sha in kept.items() if not (link / name).is_file() or _digest(link / name) != sha]
    if changed:
        raise RunError(
            "memory of earlier weeks",
            expected=f"{len(kept)} files as the last run left them",
            found=f"{len(changed)} missing or changed, first {changed[0].removeprefix(_MEMORY)}",
            action="Put the last backup in place (`stratify restore`), then run again; nothing was published.",
        )


def note_changed(home: Path, paths: Sequence[Path]) -> None:
    """Note the digest of files of a finished run that were changed on purpose: somebody was taken out of them."""
    record = _read(home)
    if record is not None and record.files:
        fresh = {path.relative_to(home).as_posix(): _digest(path) for path in paths}
        _put(home / "restricted", record.model_copy(update={"files": record.files | fresh}))


def account(plan: Plan) -> dict[str, str]:
    """Say for each part of a run what was done, for the audit trail: names of definitions and counts only."""
    record = _own(plan)
    if record is None:
        return {}
    since = f"unchanged since {record.taken_from}, taken over" if record.taken_from else "done"
    said = {"loading": since}
    for kind, words in _WORDS.items():
        worked = record.worked.get(kind, ())
        taken = len(set(record.taken.get(kind, ())) - set(worked))
        if not record.taken_from:
            said[words] = f"{len(worked)} worked out"
        elif not worked:
            said[words] = f"{taken} {since}"
        else:
            said[words] = f"{len(worked)} worked out, {taken} {since}"
    return said


@dataclass(frozen=True)
class Shown:
    """What is taken over of pathways that decide as before: every decision, the reasons and the explanations."""

    pathways: tuple[str, ...]
    reasons: pl.DataFrame
    explanations: pl.DataFrame

    @classmethod
    def of(cls, store: Store, pathways: Iterable[str]) -> Shown:
        """Read what was taken over of some pathways, before the tables are made again."""
        names = tuple(sorted(pathways))
        tables = ("derived.reason", "derived.explanation")
        if not names:
            return cls((), *(pl.DataFrame(schema=schema_of(each)) for each in tables))
        listed = ", ".join(f"'{name}'" for name in names)
        return cls(names, *(store.frame(f"SELECT * FROM {each} WHERE pathway IN ({listed})") for each in tables))

    @property
    def is_fresh(self) -> str:
        """Write the condition that a row is of another pathway."""
        listed = "', '".join(self.pathways)
        return f"pathway NOT IN ('{listed}')"

    def decisions(self, store: Store) -> list[engine.Frame]:
        """Give all decisions, also those of places where the pathway is off; none twice on a second try."""
        if not self.pathways:
            return []
        both = "SELECT * FROM derived.pathway_decision UNION SELECT * FROM work.comparator_decision"
        return [engine.query(store, f"SELECT * FROM ({both}) WHERE NOT ({self.is_fresh})")]

    def with_reasons(self, fresh: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
        """Put the reasons of the people from one to another beside those that were worked out, in order."""
        mine = self.reasons.filter(pl.col("patient_key").is_between(pl.lit(first), pl.lit(last)))
        return _together(mine, fresh, ("patient_key", "pathway", "position"))

    def with_explanations(self, fresh: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
        """Put the explanations of the people from one to another beside those that were worked out, in order."""
        mine = self.explanations.filter(pl.col("patient_key").is_between(pl.lit(first), pl.lit(last)))
        return _together(mine, fresh, ("patient_key", "pathway"))


def _together(known: pl.DataFrame, fresh: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    both = pl.concat([known.select(fresh.columns), fresh], how="vertical_relaxed")
    return both.sort(order, maintain_order=True)


# ------------------------------------------------------------------------------------------------------------- on disk


def _in_place(plan: Plan) -> Path | None:
    """Give the folder of the run in place."""
    link = plan.settings.out / "current"
    return link.resolve() if link.is_dir() else None


def _read(home: Path) -> _Record | None:
    """Give the record of a run; None where there is none that this code wrote."""
    try:
        return _Record.model_validate_json((home / "restricted" / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, ValidationError):
        return None


def _own(plan: Plan) -> _Record | None:
    """Give the record of the run that is built; None where stages are done by themselves."""
    return _read(plan.build)


def _write(plan: Plan, record: _Record) -> None:
    _put(plan.restricted, record)


def _put(restricted: Path, record: _Record) -> None:
    """Put a record in place in one step: a stage that is tried again finds the old one or the new one."""
    path = restricted / _RECORD
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def _is_same_loading(before: _Record, inputs: StageInputs) -> bool:
    if not before.tables or not before.files or before.loading != inputs.loading:
        return False
    return not before.is_softened or before.definitions == inputs.definitions


def _same(before: Digests, now: Digests) -> tuple[str, ...]:
    return tuple(sorted(name for name, digest in now.items() if digest and before.get(name) == digest))


def _copied(plan: Plan, home: Path, before: _Record) -> bool:
    """Copy the databases of a run and what it kept of loading; False where a file is not the one it ended with."""
    (plan.restricted / _LOADED).mkdir(mode=0o700, exist_ok=True)
    places = [f"restricted/{name}.duckdb" for name in _DATABASES]
    places += [_kept(plan, name).relative_to(plan.build).as_posix() for name in _CHANGED_LATER]
    for place in places:
        target = plan.build / place
        target.unlink(missing_ok=True)
        target.touch(mode=0o600)
        if not (home / place).is_file():
            break
        shutil.copyfile(home / place, target)
        if _digest(target) != before.files.get(place):
            break
    else:
        return True
    for place in places:
        (plan.build / place).unlink(missing_ok=True)
    shutil.rmtree(plan.restricted / _LOADED)
    return False


def _put_back(plan: Plan, before: _Record) -> None:
    """Bring the copied store to what it was after loading, with what is taken over in pieces beside it."""
    with open_store(
        plan.restricted / "run.duckdb",
        temp_directory=plan.restricted / "scratch",
        memory_limit=plan.settings.memory_limit,
        threads=plan.settings.threads,
    ) as store:
        for name in sorted(_tables(store) - {*before.tables, *_IN_PIECES}):
            store.execute(f"DROP TABLE {name}")
        for name in _CHANGED_LATER:
            store.define(contracts.load(name))
            store.execute(f"INSERT INTO {name} BY NAME FROM read_parquet('{quoted(_kept(plan, name))}')")


def _kept(plan: Plan, name: str) -> Path:
    return plan.restricted / _LOADED / f"{name}.parquet"


def _tables(store: Store) -> set[str]:
    found = store.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = current_database()"
    )
    return {name for (name,) in found}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
