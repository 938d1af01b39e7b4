"""Whether a set is a whole extract or holds changes only: by what is said of it, never by what it looks like.

Belongs here: weighing the source's own manifest, ``manifest.csv`` and the order of the folders. Does not belong: what
is done with changes (``changes``). A delta read as a whole extract would lose everybody who is not in it, and a whole
extract read as a delta would keep everybody who left: where nothing says which it is, the set is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from stratify.declarations import Declaration
from stratify.errors import ExtractError, StratifyError
from stratify.ingest.files import MANIFEST, Declared, read_manifest
from stratify.ingest.sources.finding import Found, ManifestLine, last_day_of_name, read_own_manifest


@dataclass(frozen=True)
class Told:
    """What is said of a set.

    Attributes:
        deltas: The kinds of file that hold changes only.
        by: What says so.
        first_day: First day of the changes; None for a whole extract.
        last_day: Last day the files describe.
        own: Lines of the source's own manifest by file name.
        beside: Lines of ``manifest.csv`` by file name.
        ours: Names of the source's own files.
    """

    deltas: frozenset[str]
    by: str
    first_day: date | None
    last_day: date | None
    own: Mapping[str, ManifestLine]
    beside: Mapping[str, Declared]
    ours: frozenset[str]

    @property
    def in_words(self) -> str:
        """Say what the set is and what says so."""
        if not self.deltas:
            return f"a whole extract, {self.by}"
        since = f" since {self.first_day.isoformat()}" if self.first_day else ", from no stated day on"
        return f"changes{since}, {self.by}"


def tell(
    folder: Path,
    declaration: Declaration,
    found: Found,
    faults: list[StratifyError],
    *,
    place: int = 0,
    covered: date | None = None,
) -> Told:
    """Say what the files of a set are, and add what is wrong with what is said.

    Args:
        folder: The folder of the set.
        declaration: Of the source.
        found: Its files.
        faults: What is wrong is added here.
        place: Its place among the folders of several sets, the oldest 0.
        covered: Last day of the set before it.
    """
    own_faults: list[ExtractError] = []
    own = read_own_manifest(folder, declaration, found, own_faults)
    faults += own_faults
    beside = read_manifest(folder / MANIFEST, faults, is_needed=False) or {}
    read = {kind: paths for kind, paths in found.declared.items() if paths and declaration.files[kind].not_read is None}
    words: dict[str, bool] = {}
    speakers: dict[str, str] = {}
    for kind, paths in read.items():
        said = {line for path in paths if (line := _said_of(path, kind, declaration, own, beside)) is not None}
        if len({is_delta for is_delta, _ in said}) > 1:
            faults.append(
                _fault(declaration.files[kind].name, "all files of a kind to be whole, or all deltas", "both")
            )
        if said:
            words[kind] = any(each[0] for each in said)
            speakers[kind] = min(each[1] for each in said)
    silent = [kind for kind in read if kind not in words]
    if silent:
        word, by = _general_word(declaration, found, beside, words, place, faults)
        words |= dict.fromkeys(silent, word)
        speakers |= dict.fromkeys(silent, by)
    deltas = frozenset(kind for kind, is_delta in words.items() if is_delta)
    if deltas and declaration.changes is None:
        faults.append(
            ExtractError(
                f"source {declaration.name}",
                expected="whole extracts: its declaration does not say that it sends changes",
                found=f"changes, for {len(deltas)} kinds of file",
                action="Give a whole extract, or say changes and a key for each file in the declaration: "
                "docs/sources.md.",
            )
        )
    by = ", ".join(sorted({speakers[kind] for kind in (deltas or speakers)})) or "by its declaration"
    days = [last_day_of_name(declaration.files[kind], path) for kind, paths in read.items() for path in paths]
    days += [line.last_day for line in own.values()] + [line.period_to for line in beside.values()]
    last = max((day for day in days if day is not None), default=None)
    first = _first_day(declaration, deltas, own, beside, covered) if deltas else None
    ours = frozenset(path.name for paths in found.declared.values() for path in paths)
    return Told(deltas, by, first, last, own, beside, ours)


def _said_of(
    path: Path, kind: str, declaration: Declaration, own: Mapping[str, ManifestLine], beside: Mapping[str, Declared]
) -> tuple[bool, str] | None:
    manifest = declaration.manifest
    if manifest is not None and manifest.is_delta is not None and kind in manifest.covers:
        line = own.get(path.name.removesuffix(".gz"))
        return (line.is_delta, f"as {manifest.file} says") if line else None
    named = beside.get(path.name)
    return (named.is_delta, f"as {MANIFEST} says") if named else None


def _general_word(
    declaration: Declaration,
    found: Found,
    beside: Mapping[str, Declared],
    words: Mapping[str, bool],
    place: int,
    faults: list[StratifyError],
) -> tuple[bool, str]:
    """Give what the files are of which no line speaks: by the one word of all lines, or by what is declared."""
    canonical = {path.name for paths in found.canonical.values() for path in paths}
    said = {line.is_delta for name, line in beside.items() if name in canonical}
    changes = declaration.changes
    if len(said) == 1:
        return said.pop(), f"as {MANIFEST} says"
    if changes is None and not said:
        return False, "as its source always sends"
    ask = (
        f"Say in {MANIFEST} what it is: is_delta (true or false), with period_from for changes, on every line or on a "
        "line for each of these files. Where every first folder is whole and every later one a delta, a declaration of "
        "your own may say so: docs/sources.md."
    )
    if said:
        where, found_words = MANIFEST, "is_delta true on some lines and false on others, and no line for the files"
        faults.append(ExtractError(where, expected="one word on the whole set", found=found_words, action=ask))
        return False, ""
    if changes is not None and changes.told_by == "folder_order":
        return place > 0, "by the order of the folders"
    if changes is not None and changes.otherwise == "whole" and not any(words.values()):
        return False, "as nothing says that it is not"
    faults.append(
        ExtractError(
            f"source {declaration.name}",
            expected="to be told whether the set is a whole extract or holds changes only",
            found="nothing that says so: its files look alike in both",
            action=ask,
        )
    )
    return False, ""


def _first_day(
    declaration: Declaration,
    deltas: frozenset[str],
    own: Mapping[str, ManifestLine],
    beside: Mapping[str, Declared],
    covered: date | None,
) -> date | None:
    """Give the first day of the changes: of several, the latest, so that no gap is overlooked."""
    days = [line.first_day for line in own.values() if line.is_delta]
    days += [line.period_from for line in beside.values() if line.is_delta]
    known = [day for day in days if day is not None]
    if known:
        return max(known)
    if declaration.changes is not None and declaration.changes.told_by == "folder_order" and covered is not None:
        return covered + timedelta(days=1)
    return None


def _fault(where: str, expected: str, found: str) -> ExtractError:
    return ExtractError(where, expected=expected, found=found, action="Ask the supplier which it is.")
