"""Faults of files: acting on the bytes of a finished set that is not published yet (F1 to F9, F11, F13, F14).

A file goes through line by line and is never held whole. Where the manifest is said to agree, its line is written
anew, so that only the fault itself can be seen. Rows as such belong to the modules beside this one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from stratify.errors import RunError, SettingsError
from stratify.synth.faults.catalogue import FAULTS
from stratify.synth.faults.ground import TOUCH_SCHEMA

_MANIFEST = "manifest.csv"
_TAIL_BYTES = 1 << 20
_BIRTH_COLUMNS = ("date_of_birth", "DateOfBirth", "DateBirth")
_TEXT_COLUMNS = ("snomed_term", "dmd_term", "family_name", "address_lines", "practice_name")
_FORMS: Mapping[str, int] = {"F1": 2, "F2": 2, "F4": 3, "F5": 3, "F13": 2}
_ALWAYS_SENT = ("patient", "registration", "gp_event", "gp_observation", "gp_medication")
"""Tables no set is without: a fault of one of these files cannot be overlooked."""
_OLDER_ROWS = 20
_GAP_DAYS = 3


@dataclass(frozen=True)
class SetScene:
    """What a fault may know of one extract's files.

    Attributes:
        week: 0 for the bulk.
        cutoff: Last day the extract describes.
        previous_cutoff: Last day of the extract before; None for the bulk.
        previous: Folder of the extract before; None where there is none.
        rng_of: Gives the generator of a fault, its own for this extract.
    """

    week: int
    cutoff: date
    previous_cutoff: date | None
    previous: Path | None
    rng_of: Callable[[str], np.random.Generator]


@dataclass
class _Set:
    """A set while faults are put in: what its manifest says, and what was touched."""

    folder: Path
    scene: SetScene
    header: list[str]
    lines: dict[str, dict[str, str]]
    id: str = ""
    touched: dict[str, str] = field(default_factory=dict)
    touches: list[dict[str, str | None]] = field(default_factory=list)

    def files(self) -> list[Path]:
        """Give the files with rows that no fault has touched."""
        named = [
            name
            for name, line in sorted(self.lines.items())
            if line.get("table_name") in _ALWAYS_SENT and int(line["row_count"]) and name not in self.touched
        ]
        if named:
            return [self.folder / name for name in named]
        others = sorted(each for each in self.folder.glob("*.csv") if each.name not in self.lines)
        return [each for each in others if each.name not in self.touched and _has_rows(each)]

    def note(self, name: str, words: str) -> None:
        """Note a file touched."""
        self.touched[name] = self.id
        self.touches.append(
            {
                "fault": self.id,
                "table": self.lines.get(name, {}).get("table_name", Path(name).stem),
                "key": name,
                "words": words,
                "expects": FAULTS[self.id].expects,
            }
        )

    def declare(self, path: Path, row_count: int | None = None) -> None:
        """Let the manifest's line of a file agree with its bytes."""
        line = self.lines.get(path.name)
        if line is not None:
            line["byte_count"], line["sha256"] = str(path.stat().st_size), _digest(path)
            if row_count is not None:
                line["row_count"] = str(row_count)

    def rewrite(self, path: Path, lines: Callable[[Iterator[bytes]], Iterable[bytes]]) -> None:
        """Put a file through a function of its lines, and declare what comes out."""
        partial = path.with_name(path.name + ".partial")
        with path.open("rb") as source, partial.open("wb") as target:
            target.writelines(lines(iter(source)))
        partial.replace(path)
        self.declare(path)

    def write_manifest(self) -> None:
        """Write the manifest with what its lines say by now."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.lines.values())
        (self.folder / _MANIFEST).write_text(text.getvalue(), encoding="utf-8", newline="")


def spoil_set(folder: Path, rates: Mapping[str, float], scene: SetScene) -> pl.DataFrame:
    """Put the faults of files into a finished set; one file each.

    The first extract that can have a fault has it; later ones have it at the rate.

    Args:
        folder: The files with ``manifest.csv``, not published yet.
        rates: Rate of each fault by id; those of rows are passed over.
        scene: The extract.

    Returns:
        The files touched (``TOUCH_SCHEMA``); ``key`` is the file's name.

    Raises:
        SettingsError: the files are not CSV.
        RunError: the files could not be written.
    """
    due = {id: scene.rng_of(id) for id in _SPOILERS if _is_due(id, rates.get(id, 0.0), scene)}
    if not due:
        return pl.DataFrame(schema=TOUCH_SCHEMA)
    if not any(folder.glob("*.csv")) or any(folder.glob("*.parquet")):
        raise SettingsError(
            "synthetic county, faults of files",
            expected="csv files, whose bytes they act on",
            found="another format",
            action="Give csv, or leave these faults out.",
        )
    try:
        return _spoil(folder, due, scene)
    except OSError as fault:
        raise RunError(
            f"folder {folder.name}",
            expected="room and leave to change the files of the synthetic county",
            found=fault.strerror or "an error of the file system",
            action="Mend that or give another folder.",
        ) from None


def _is_due(id: str, rate: float, scene: SetScene) -> bool:
    if not rate or (FAULTS[id].needs_weeks and not scene.week):
        return False
    return scene.week == int(FAULTS[id].needs_weeks) or float(scene.rng_of(id).random()) < rate


def _spoil(folder: Path, due: Mapping[str, np.random.Generator], scene: SetScene) -> pl.DataFrame:
    header, lines = _read_manifest(folder)
    held = _Set(folder, scene, header, lines)
    is_left_out = False
    for id, rng in due.items():
        held.id = id
        rng.random()  # the first draw said whether it is due
        form = int(rng.integers(_FORMS.get(id, 1)))
        if id == "F1" and form == 1 and header:
            is_left_out = True
            held.note(_MANIFEST, "manifest missing")
        else:
            _SPOILERS[id](held, rng, form)
    if is_left_out:
        (folder / _MANIFEST).unlink()
    elif header:
        held.write_manifest()
    return pl.DataFrame(held.touches, schema=TOUCH_SCHEMA)


def _read_manifest(folder: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
    path = folder / _MANIFEST
    if not path.exists():
        return [], {}
    with path.open(encoding="utf-8", newline="") as opened:
        reader = csv.DictReader(opened)
        lines = {line["file_name"]: line for line in reader}
        return list(reader.fieldnames or ()), lines


# --------------------------------------------------------------------------------------------------------- bytes


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _has_rows(path: Path) -> bool:
    with path.open("rb") as opened:
        return bool(opened.readline()) and bool(opened.readline())


def _cells(line: bytes) -> list[str]:
    """Give the cells of one line; Latin-1 takes every byte and gives it back."""
    return next(csv.reader([line.decode("latin-1").rstrip("\r\n")]), [])


def _line(cells: Iterable[str], like: bytes) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(list(cells))
    return text.getvalue().encode("latin-1") + like[len(like.rstrip(b"\r\n")) :]


def _names(path: Path) -> list[str]:
    with path.open("rb") as opened:
        return _cells(opened.readline())


def _chosen(held: _Set, rng: np.random.Generator) -> Path | None:
    files = held.files()
    return files[int(rng.integers(len(files)))] if files else None


# -------------------------------------------------------------------------------------------------------- faults


def _missing(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path:
        held.note(path.name, "file missing")
        path.unlink()


def _empty(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path:
        held.note(path.name, "header only" if form else "empty file")
        with path.open("r+b") as opened:
            if form:
                opened.readline()
            opened.truncate(opened.tell())
        held.declare(path)


def _truncated(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path:
        held.note(path.name, "truncated")
        size = path.stat().st_size
        with path.open("r+b") as opened:
            opened.seek(max(size - _TAIL_BYTES, 0))
            tail = opened.read()
            last = tail[: len(tail.rstrip(b"\r\n"))].rpartition(b"\n")[2]
            # The line end and at least one byte of the last line go; at least one byte of it stays.
            cut = len(tail) - len(tail.rstrip(b"\r\n")) + int(rng.integers(1, max(len(last), 2)))
            opened.truncate(size - cut)


def _unreadable(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path is None:
        return
    # What a file in cp1252 already has is no fault in it: only files of the canonical layout are UTF-8 for sure.
    forms = ("bars between columns", "bytes of cp1252", "a quote never closed")
    kind = forms[form] if path.name in held.lines else forms[0]
    held.note(path.name, kind)
    column = next((place for place, name in enumerate(_names(path)) if name in _TEXT_COLUMNS), 0)

    def lines(source: Iterator[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(source):
            if kind == forms[0]:
                yield line.replace(b",", b"|") if b'"' not in line else _bars(line)
            elif number == 2 or (number == 1 and kind == forms[1]):
                cells = _cells(line)
                if kind == forms[1]:
                    cells[column] += "\u0092"  # a typographic apostrophe in cp1252, nothing in UTF-8
                    yield _line(cells, line)
                else:
                    bare = line.replace(b'"', b"").split(b",")
                    bare[min(column, len(bare) - 1)] = b'"' + bare[min(column, len(bare) - 1)]
                    yield b",".join(bare)
            else:
                yield line

    held.rewrite(path, lines)


def _bars(line: bytes) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter="|", lineterminator="").writerow(_cells(line))
    return text.getvalue().encode("latin-1") + line[len(line.rstrip(b"\r\n")) :]


def _other_header(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path is None:
        return
    held.note(path.name, ("column renamed", "two columns change names", "last column gone")[form])
    names = _names(path)
    place = int(rng.integers(1, len(names) - 1))
    if form == 0:
        names[place] = f"{names[place]}_2"
    elif form == 1:
        names[place], names[place + 1] = names[place + 1], names[place]

    def lines(source: Iterator[bytes]) -> Iterator[bytes]:
        header = next(source)
        yield _line(names[:-1] if form == 2 else names, header)
        for line in source:
            if form != 2:
                yield line
            elif b'"' not in line:
                yield line.rstrip(b"\r\n").rpartition(b",")[0] + line[len(line.rstrip(b"\r\n")) :]
            else:
                yield _line(_cells(line)[:-1], line)

    held.rewrite(path, lines)


def _new_column(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path is None:
        return
    held.note(path.name, "new unknown column")

    def lines(source: Iterator[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(source):
            bare = line.rstrip(b"\r\n")
            yield bare + (b",supplier_status" if number == 0 else b",A") + line[len(bare) :]

    held.rewrite(path, lines)


def _gap(held: _Set, rng: np.random.Generator, form: int) -> None:
    previous = held.scene.previous_cutoff
    if previous is None or not held.lines:
        return
    begins = (previous + timedelta(days=1 + _GAP_DAYS)).isoformat()
    if "period_from" not in held.header:
        held.header.append("period_from")
    for line in held.lines.values():
        line["period_from"] = begins
    held.note(_MANIFEST, f"the period begins {_GAP_DAYS} days late")


def _before(held: _Set, rng: np.random.Generator) -> tuple[Path, dict[str, str]] | None:
    """Choose a file of the set before, with its line of the manifest."""
    if held.scene.previous is None:
        return None
    _, lines = _read_manifest(held.scene.previous)
    able = [
        name
        for name, line in sorted(lines.items())
        if line["table_name"] in _ALWAYS_SENT[2:] and int(line["row_count"]) and (held.scene.previous / name).exists()
    ]
    if not able or not held.header:
        return None
    name = able[int(rng.integers(len(able)))]
    return held.scene.previous / name, lines[name]


def _other_name(line: Mapping[str, str], word: str, day: str) -> str:
    return f"{line['table_name']}_{word}-{day}.csv"


def _sent_again(held: _Set, rng: np.random.Generator, form: int) -> None:
    found = _before(held, rng)
    if found:
        path, line = found
        name = _other_name(line, "again", line["period_to"])
        shutil.copyfile(path, held.folder / name)
        held.lines[name] = {**line, "file_name": name}
        held.note(name, "file of the set before, sent again")


_OLDER: Mapping[str, tuple[str, Callable[[str], str | None]]] = {
    "gp_observation": ("value_num", lambda value: f"{float(value) + 1:g}" if re.fullmatch(r"[\d.]+", value) else None),
    "gp_event": ("effective_date", lambda value: _days_before(value)),
    "gp_medication": ("issue_date", lambda value: _days_before(value)),
}


def _days_before(value: str) -> str | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    return (date.fromisoformat(value) - timedelta(days=7)).isoformat()


def _older_after_newer(held: _Set, rng: np.random.Generator, form: int) -> None:
    """Write the first rows of a file of the set before as they stood before a correction that nobody else saw."""
    found = _before(held, rng)
    if found is None:
        return
    path, line = found
    column, older = _OLDER[line["table_name"]]
    ends: tuple[str, ...] = ("period_from", "period_to")
    period = {end: _days_before(line[end]) or "" for end in ends if end in line}
    name = _other_name(line, "late", period["period_to"])
    target = held.folder / name
    count = 0
    with path.open("rb") as source, target.open("wb") as opened:
        header = source.readline()
        opened.write(header)
        place = _cells(header).index(column)
        for each in source:
            cells = _cells(each)
            before = older(cells[place])
            if before is None:
                continue
            cells[place] = before
            opened.write(_line(cells, each))
            count += 1
            if count == _OLDER_ROWS:
                break
    held.lines[name] = {**line, "file_name": name, **period}
    held.declare(target, count)
    held.note(name, "older rows after newer")


def _empty_column(held: _Set, rng: np.random.Generator, form: int) -> None:
    def births(path: Path) -> str | None:
        return next((name for name in _names(path) if name in _BIRTH_COLUMNS), None)

    path = next((each for each in held.files() if births(each)), None)
    if path is None:
        return
    name = births(path)
    held.note(path.name, f"whole column {name} empty")
    place = _names(path).index(name or "")

    def lines(source: Iterator[bytes]) -> Iterator[bytes]:
        yield next(source)
        for line in source:
            cells = _cells(line)
            cells[place] = ""
            yield _line(cells, line)

    held.rewrite(path, lines)


def _not_opened(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path is None:
        return
    line = held.lines.pop(path.name, None)
    name = f"{path.name}.gz" if form == 0 else f"{path.stem} (copy of final).csv"
    target = held.folder / name
    path.rename(target)
    if line is not None:
        held.lines[name] = {**line, "file_name": name}
    held.declare(target)
    held.note(name, "a zipped file that does not open" if form == 0 else "a name that says no table")


def _twice(held: _Set, rng: np.random.Generator, form: int) -> None:
    path = _chosen(held, rng)
    if path is None:
        return
    line = held.lines.get(path.name)
    name = _other_name(line, "copy", held.scene.cutoff.isoformat()) if line else f"{path.stem}_2.csv"
    shutil.copyfile(path, held.folder / name)
    if line:
        held.lines[name] = {**line, "file_name": name}
    held.note(name, "the same content a second time")


_SPOILERS: Mapping[str, Callable[[_Set, np.random.Generator, int], None]] = {
    "F2": _empty,
    "F3": _truncated,
    "F4": _unreadable,
    "F5": _other_header,
    "F6": _new_column,
    "F7": _gap,
    "F8": _sent_again,
    "F9": _older_after_newer,
    "F11": _empty_column,
    "F13": _not_opened,
    "F14": _twice,
    "F1": _missing,
}
