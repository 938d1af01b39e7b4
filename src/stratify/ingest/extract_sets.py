"""Which extract sets a run reads: a whole extract, and every later set of changes, in the order they describe.

Belongs here: finding the sets of a folder, the chain of periods between them, which file is the whole one that a table
starts from, which files say nothing new. Does not belong: checks of one set (``files``), which version of a row holds
(``versions``). The folder is the history: nothing is remembered elsewhere, so a run can be made again as of any day,
from what was known on that day, as long as the sets are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.files import MANIFEST, InputFile, inspect_files, read_manifest
from stratify.ingest.sources import Source

_MOST_REPLACED_DAYS = 186
"""A bulk replacement of more than half a year is taken for a mistake: wrong windows have wiped years of admissions."""


def gather_files(folder: Path, source: Source, scratch: Path, *, known_by: date) -> list[InputFile]:
    """Check every extract set that a run needs, and give the files to load.

    A folder holds one set, or a folder for each set. Of several, those that go further than ``known_by`` are left out;
    a table is read from the last whole file of it on, with the changes that came after. A file that was sent before is
    not read again, nor one that is older than the whole file it would change.

    Args:
        folder: The files as they came, or a folder for each set.
        source: Where they come from.
        scratch: A restricted folder that ends with the run, for sources that have to be brought into our layout.
        known_by: Last day a set may describe.

    Returns:
        The files by table, then oldest first; ``rank`` is the order in which their rows hold.

    Raises:
        ExtractError: a set is not fit, changes come without a whole extract, or days are missing between two sets.
    """
    places = _set_folders(folder)
    if not places:
        return _from_the_last_whole(inspect_files(_prepared(folder, source, scratch), source))
    later = 0
    read = source.read_sets(places, scratch) if source.read_sets else partial(_read_alone, source, scratch)
    sets: list[tuple[date, list[InputFile]]] = []
    enough: int | None = None
    for place in reversed(places):
        try:
            prepared = read(place)
            end = _last_day(prepared)
            if end > known_by:
                later += 1
                continue
            files = inspect_files(prepared, source)
        except ExtractError as fault:
            if enough is not None:  # it would only have been compared with
                break
            raise _in_set(place.name, fault) from None
        if sets and end > sets[-1][0]:
            raise ExtractError(
                f"set {place.name}",
                expected=f"folders named in the order of what they describe, up to {sets[-1][0].isoformat()} here",
                found=f"one that goes up to {end.isoformat()}",
                action="Name the folders of the sets by their last day (2026-11-08).",
            )
        sets.append((end, [file.model_copy(update={"extract": place.name, "set_end": end}) for file in files]))
        if enough is None and _is_enough([file for _, some in sets for file in some]):
            enough = len(sets)
        elif enough is not None and _is_enough([file for _, some in sets[enough:] for file in some]):
            break
    if not sets:
        raise ExtractError(
            f"extract folder {folder.name}",
            expected=f"a set that goes no further than {known_by.isoformat()}",
            found=f"{later} that go further",
            action="Give an earlier set, or correct the index date.",
        )
    first_needed = len(sets) - (enough or len(sets))
    ranked = [
        file.model_copy(update={"rank": rank, "is_earlier": rank < first_needed})
        for rank, (_, files) in enumerate(reversed(sets))
        for file in files
    ]
    needed = _from_the_last_whole(_without_repeats([file for file in ranked if not file.is_earlier]))
    earlier = [file for file in ranked if file.is_earlier]
    try:
        return [*_from_the_last_whole(_without_repeats(earlier)), *needed] if earlier else needed
    except ExtractError:
        return needed


def _set_folders(folder: Path) -> list[Path]:
    """Give the folders of the sets; none where the folder itself holds the files of one."""
    if not folder.is_dir():
        return []
    shown = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
    return shown if shown and all(each.is_dir() for each in shown) else []


def _prepared(folder: Path, source: Source, scratch: Path) -> Path:
    return source.read(folder, scratch) if source.read else folder


def _read_alone(source: Source, scratch: Path, folder: Path) -> Path:
    return _prepared(folder, source, scratch / folder.name)


def _last_day(folder: Path) -> date:
    """Give the last day that the manifest of a set names."""
    faults: list[StratifyError] = []
    declared = read_manifest(folder / MANIFEST, faults, is_needed=True) or {}
    if faults:
        raise combine(faults)
    return max(each.period_to for each in declared.values())


def _is_enough(files: Sequence[InputFile]) -> bool:
    """Tell whether every table has a whole file to start from."""
    return {file.table for file in files if _is_whole(file)} == {file.table for file in files}


def _in_set(name: str, fault: ExtractError) -> ExtractError:
    if fault.where.startswith("set "):  # of a set that this one follows
        return fault
    return ExtractError(f"set {name}: {fault.where}", expected=fault.expected, found=fault.found, action=fault.action)


def _without_repeats(files: Sequence[InputFile]) -> list[InputFile]:
    """Mark the files whose content came in an earlier set: reading them again would change nothing."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for file in files:
        content = (file.table, file.sha256)
        is_again = content in seen and file.row_count > 0 and not _is_whole(file)
        kept.append(file.model_copy(update={"passed_over": "sent before"}) if is_again else file)
        seen.add(content)
    return kept


def _is_whole(file: InputFile) -> bool:
    """Tell whether a table can start from this file: no changes only, and as new as its set."""
    return not file.is_delta and file.period_to == (file.set_end or file.period_to)


def _from_the_last_whole(files: Sequence[InputFile]) -> list[InputFile]:
    """Give the files of each table from the last whole one on, and check that no days are missing between them."""
    faults: list[StratifyError] = []
    chosen: list[InputFile] = []
    for table in sorted({file.table for file in files}):
        mine = [file for file in files if file.table == table]
        first = max((file.rank for file in mine if _is_whole(file)), default=None)
        if first is None:
            deltas = sum(file.is_delta for file in mine)
            faults.append(
                ExtractError(
                    f"landing.{table}",
                    expected="a whole extract, and every set of changes since, in a folder each",
                    found=f"{deltas} files of changes and no whole one before them",
                    action="Keep the whole extract beside the changes, or ask the supplier for a new one.",
                )
            )
            continue
        base = max(file.period_to or date.min for file in mine if file.rank == first and _is_whole(file))
        covered = base
        for file in mine:
            if file.rank < first:
                continue
            is_late = file.rank > first and not _is_whole(file) and file.period_to != file.set_end
            if file.passed_over is None and is_late and (file.period_to or base) <= base:
                chosen.append(file.model_copy(update={"passed_over": "older than the whole extract"}))
                continue
            if file.is_delta and not is_late and file.passed_over is None:
                _check_chain(file, covered, faults)
                covered = max(covered, file.period_to or covered)
            _check_window(file, faults)
            chosen.append(file)
    if faults:
        raise combine(faults)
    return sorted(chosen, key=lambda file: (file.table, file.period_to or date.min, file.rank, file.file_name))


def _check_chain(file: InputFile, covered: date, faults: list[StratifyError]) -> None:
    if file.period_from is not None and file.period_from <= covered + timedelta(days=1):
        return
    found = "no first day" if file.period_from is None else f"changes from {file.period_from.isoformat()} on"
    faults.append(
        ExtractError(
            file.shown_name,
            expected=f"changes from {(covered + timedelta(days=1)).isoformat()} on or earlier, where those before end",
            found=f"{found}: what happened in between is lost",
            action="Ask the supplier for a new whole extract.",
        )
    )


def _check_window(file: InputFile, faults: list[StratifyError]) -> None:
    """Refuse a bulk replacement whose window is longer than anybody means."""
    if file.replaces_from is None:
        return
    days = ((file.replaces_to or file.replaces_from) - file.replaces_from).days
    if days > _MOST_REPLACED_DAYS:
        faults.append(
            ExtractError(
                file.shown_name,
                expected=f"a bulk replacement of {_MOST_REPLACED_DAYS} days at most",
                found=f"one of {days} days",
                action="Ask the supplier whether the window is meant; then ask for a whole extract.",
            )
        )
