"""The memory on disk: one folder a week in the restricted folder, written once and taken along by every later run.

    restricted/memory/2026-06-15/transition.parquet  list_row.parquet  answer.parquet

A run reads the folders of earlier weeks only, so that the same week again gives the same. A run for a week before the
latest one kept is a look back: it adds nothing. What the tables mean is in ``memory``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl

from stratify.contract_frames import schema_of
from stratify.errors import RunError

FOLDER = "memory"


def weeks(restricted: Path) -> list[date]:
    """Give the weeks kept in a restricted folder, in order.

    Raises:
        RunError: there is something else among them.
    """
    home = restricted / FOLDER
    names = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    try:
        return [date.fromisoformat(name) for name in names]
    except ValueError:
        raise RunError(
            "memory of earlier weeks",
            expected=f"folders named by date in restricted/{FOLDER}",
            found="another name",
            action="Move away what stratify did not put there.",
        ) from None


def is_look_back(restricted: Path, index_date: date) -> bool:
    """Tell whether a later week is kept than the one a run is for."""
    return any(week > index_date for week in weeks(restricted))


def digest(restricted: Path, index_date: date) -> str:
    """Give the digest of everything a run for a day reads of earlier weeks."""
    found = hashlib.sha256()
    for week in weeks(restricted):
        if week < index_date:
            for path in sorted((restricted / FOLDER / week.isoformat()).iterdir()):
                found.update(f"{week} {path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def scan(restricted: Path, name: str, *, before: date, same_person: Mapping[str, str]) -> pl.LazyFrame:
    """Give a table of all weeks before a day, each person under the pseudonym in use now.

    Args:
        restricted: The restricted folder of the run in place.
        name: The contract, for example ``audit.transition``.
        before: The index date.
        same_person: The pseudonym in use by each that it supersedes.

    Raises:
        RunError: a release that kept it otherwise wrote it. A column that an older one did not have is empty.
    """
    table = name.split(".")[1]
    paths = [restricted / FOLDER / week.isoformat() / f"{table}.parquet" for week in weeks(restricted) if week < before]
    paths, schema = [path for path in paths if path.is_file()], schema_of(name)
    for path in paths:
        _stop_if_of_another_kind(path, schema)
    kept = [pl.scan_parquet(path) for path in paths]
    whole = pl.concat([pl.LazyFrame(schema=schema), *kept], how="diagonal").select(*schema)
    return whole.with_columns(pl.col(_KEY).replace(dict(same_person))) if same_person else whole


def take_along(restricted: Path, build: Path, index_date: date) -> None:
    """Put the kept weeks into the restricted folder of a run that is built, but for that of its own week.

    A look back takes that one too. What is there already stays.
    """
    is_back = is_look_back(restricted, index_date)
    for week in weeks(restricted):
        if week == index_date and not is_back:
            continue
        home = _home(build, week)
        for path in sorted((restricted / FOLDER / week.isoformat()).iterdir()):
            if not (home / path.name).exists():
                _link(path, home / path.name)


def write(build: Path, name: str, frame: pl.DataFrame, index_date: date) -> None:
    """Keep a table of this week in the restricted folder of a run that is built."""
    path = _home(build, index_date) / f"{name.split('.')[1]}.parquet"
    path.unlink(missing_ok=True)  # never write through a link to what another run keeps
    path.touch(mode=0o600)
    frame.write_parquet(path)


def people(restricted: Path) -> set[str]:
    """Give every pseudonym that stands in a kept week."""
    return {key for path in _with_people(restricted) for key in pl.read_parquet(path, columns=[_KEY])[_KEY].to_list()}


def rekey(restricted: Path, build: Path, fresh: Mapping[str, str]) -> None:
    """Write every kept week into another restricted folder under new pseudonyms; whoever has none is in none of it."""
    take_along(restricted, build, date.max)
    for path in _with_people(build):
        frame = pl.read_parquet(path)
        if path.stem not in _NEVER_SHORTER:
            frame = frame.filter(pl.col(_KEY).is_in(list(fresh)))
        frame = frame.with_columns(pl.col(_KEY).replace_strict(dict(fresh), default=None, return_dtype=pl.String))
        write(build, f"memory.{path.stem}", frame, date.fromisoformat(path.parent.name))


_KEY = "patient_key"
_NEVER_SHORTER = ("feedback",)
"""Tables whose rows stay when nobody can tell any more whom they are about."""


def _with_people(restricted: Path) -> list[Path]:
    paths = [path for week in weeks(restricted) for path in (restricted / FOLDER / week.isoformat()).glob("*.parquet")]
    return sorted(path for path in paths if _KEY in pl.read_parquet_schema(path))


def _stop_if_of_another_kind(path: Path, schema: Mapping[str, pl.DataType]) -> None:
    there = pl.read_parquet_schema(path)
    other = [
        f"{name} is {there[name]}" for name in schema if name in there and there[name] not in (schema[name], pl.Null)
    ]
    other += [f"no {_KEY}"] if _KEY in schema and _KEY not in there else []
    if other:
        raise RunError(
            "memory of earlier weeks",
            expected=f"{path.stem} of {path.parent.name} as this release reads it",
            found="; ".join(other),
            action="Install the release that wrote it, or put the last backup in place; it is never read by guess.",
        )


def _home(build: Path, week: date) -> Path:
    home = build / FOLDER / week.isoformat()
    home.parent.mkdir(mode=0o700, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _link(path: Path, target: Path) -> None:
    """Give a kept file a second name; copy it where the file system has no such thing."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)
