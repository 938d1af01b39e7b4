"""Which extract sets a run reads: a whole extract, and every later set of changes, in the order they describe.

Belongs here: finding the sets of a folder, the chain of periods between them, which file is the whole one that a table
starts from, which files say nothing new. Does not belong: checks of one set (``files``), which version of a row holds
(``versions``). The folder is the history: nothing is remembered elsewhere, so a run can be made again as of any day,
from what was known on that day, as long as the sets are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.feeds import INDISPENSABLE, Faults, LostFeed, Refused
from stratify.ingest.files import MANIFEST, InputFile, inspect_files, needed_tables, read_manifest
from stratify.ingest.sources import Source

_MOST_REPLACED_DAYS = 186
"""A bulk replacement of more than half a year is taken for a mistake: wrong windows have wiped years of admissions."""


def gather_files(
    folder: Path,
    source: Source,
    scratch: Path,
    *,
    known_by: date,
    lost: list[LostFeed] | None = None,
    refused: Refused = MappingProxyType({}),
) -> list[InputFile]:
    """Check every extract set that a run needs, and give the files to load.

    A folder holds one set, or a folder for each set. Of several, those that go further than ``known_by`` are left out;
    a table is read from the last whole file of it on, with the changes that came after. A file that was sent before is
    not read again, nor one that is older than the whole file it would change.

    Args:
        folder: The files as they came, or a folder for each set.
        source: Where they come from.
        scratch: A restricted folder that ends with the run, for sources that have to be brought into our layout.
        known_by: Last day a set may describe.
        lost: Where given, a fault of a feed that a run can do without is noted here and not raised: of that feed the
            files up to the fault are read, back to the last whole one, and nothing after it.
        refused: What ``land`` found in files of an earlier call, which count as if the gate had found it.

    Returns:
        The files by table, then oldest first; ``rank`` is the order in which their rows hold.

    Raises:
        ExtractError: a set is not fit, a link leads out of the folder, changes come without a whole extract, or days
            are missing between two sets.
    """
    _stop_at_links_that_lead_out(folder)
    places = _set_folders(folder)
    broken: dict[int, Faults] = {}
    if not places:
        apart: Faults | None = None if lost is None else broken.setdefault(0, {})
        files = inspect_files(_prepared(folder, source, scratch, apart), source, apart)
        return _from_the_last_whole(_without_refused(files, broken[0] if broken else {}, refused), broken, lost)
    later = 0
    read = source.read_sets(places, scratch) if source.read_sets else partial(_read_alone, source, scratch)
    sets: list[tuple[date, list[InputFile]]] = []
    enough: int | None = None
    for place in reversed(places):
        apart = None if lost is None else {}
        try:
            prepared = read(place, apart=apart)
            end = _last_day(prepared)
            if end > known_by:
                later += 1
                continue
            files = inspect_files(prepared, source, apart)
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
        broken[len(sets)] = {
            table: [_in_set(place.name, fault) for fault in faults] for table, faults in (apart or {}).items()
        }
        files = [file.model_copy(update={"extract": place.name, "set_end": end}) for file in files]
        sets.append((end, _without_refused(files, broken[len(sets)], refused, place.name)))
        everything = [file for _, some in sets for file in some]
        if enough is None and _is_enough(everything):
            enough = len(sets)
        elif (
            enough is not None
            and _is_enough([file for _, some in sets[enough:] for file in some])
            and {table for faults in broken.values() for table in faults} <= _whole_tables(everything)
        ):
            break
    if not sets:
        raise ExtractError(
            f"extract folder {folder.name}",
            expected=f"a set that goes no further than {known_by.isoformat()}",
            found=f"{later} that go further",
            action="Give an earlier set, or correct the index date.",
        )
    first_needed = len(sets) - (enough or len(sets))
    broken = {len(sets) - 1 - number: faults for number, faults in broken.items()}  # by rank
    if lost is not None and source.needs_manifest:
        _note_left_out(sets, source, broken[len(sets) - 1])
    # Of a feed with a fault since the last whole set an older one may hold.
    reaching_back = {table for rank, faults in broken.items() if rank >= first_needed for table in faults}
    ranked = [
        file.model_copy(update={"rank": rank, "is_earlier": rank < first_needed and file.table not in reaching_back})
        for rank, (_, files) in enumerate(reversed(sets))
        for file in files
    ]
    broken = {rank: {each: faults[each] for each in faults if each in reaching_back} for rank, faults in broken.items()}
    needed = _from_the_last_whole(_without_repeats([file for file in ranked if not file.is_earlier]), broken, lost)
    earlier = [file for file in ranked if file.is_earlier]
    try:
        return [*_from_the_last_whole(_without_repeats(earlier)), *needed] if earlier else needed
    except ExtractError:
        return needed


def _stop_at_links_that_lead_out(folder: Path) -> None:
    """Refuse a link among the extract files to somewhere else: it would be read with this account's rights."""
    home = folder.resolve()
    there = [each for each in (*folder.glob("*"), *folder.glob("*/*")) if each.is_symlink()]
    out = [each for each in there if not each.resolve().is_relative_to(home)]
    if out:
        raise ExtractError(
            f"extract folder {folder.name}",
            expected="files, and links to nothing outside it",
            found=f"{len(out)} links that lead out",
            action="Have the files themselves put there; find out who made the links.",
        )


def _set_folders(folder: Path) -> list[Path]:
    """Give the folders of the sets; none where the folder itself holds the files of one."""
    if not folder.is_dir():
        return []
    shown = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
    return shown if shown and all(each.is_dir() for each in shown) else []


def _prepared(folder: Path, source: Source, scratch: Path, apart: Faults | None) -> Path:
    return source.read(folder, scratch, apart=apart) if source.read else folder


def _read_alone(source: Source, scratch: Path, folder: Path, *, apart: Faults | None = None) -> Path:
    return _prepared(folder, source, scratch / folder.name, apart)


def _without_refused(files: list[InputFile], faults: Faults, refused: Refused, extract: str = "") -> list[InputFile]:
    """Leave out the files of a set whose rows were refused, and add why to the faults of the set."""
    mine = {table: found for (of, table), found in refused.items() if of == extract}
    for table, found in mine.items():
        faults.setdefault(table, []).extend(found)
    return [file for file in files if file.table not in mine]


def _last_day(folder: Path) -> date:
    """Give the last day that the manifest of a set names."""
    faults: list[StratifyError] = []
    declared = read_manifest(folder / MANIFEST, faults, is_needed=True) or {}
    if faults:
        raise combine(faults)
    return max(each.period_to for each in declared.values())


def _is_enough(files: Sequence[InputFile]) -> bool:
    """Tell whether every table has a whole file to start from."""
    return _whole_tables(files) == {file.table for file in files}


def _whole_tables(files: Sequence[InputFile]) -> set[str]:
    return {file.table for file in files if _is_whole(file)}


def _note_left_out(sets: Sequence[tuple[date, list[InputFile]]], source: Source, faults: Faults) -> None:
    """Add a fault for each feed that the newest set has no file of, though it holds changes.

    Raises:
        ExtractError: it is one that no run can do without.
    """
    newest = sets[0][1]
    there = {file.table for file in newest} | set(faults)
    extract = next((file.extract for file in newest), "")
    for table in needed_tables(source):
        if table not in there:
            fault = ExtractError(
                f"set {extract}: landing.{table}",
                expected="a file of this table, with 0 rows where nothing happened to it",
                found="none",
                action="Ask the supplier for the whole set again.",
            )
            if table in INDISPENSABLE:
                raise fault
            faults.setdefault(table, []).append(fault)


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


def _from_the_last_whole(
    files: Sequence[InputFile], broken: Mapping[int, Faults] = MappingProxyType({}), lost: list[LostFeed] | None = None
) -> list[InputFile]:
    """Give the files of each table from the last whole one on, and check that no days are missing between them.

    Args:
        files: Files that passed the gate.
        broken: Faults of feeds whose files did not, by rank and table.
        lost: Where given, a feed that a run can do without ends before its first fault, which is noted here.
    """
    refused: list[StratifyError] = []
    chosen: list[InputFile] = []
    for table in sorted({file.table for file in files} | {table for faults in broken.values() for table in faults}):
        mine = [file for file in files if file.table == table]
        before: list[tuple[int, list[ExtractError]]] = [
            (rank, faults[table]) for rank, faults in sorted(broken.items()) if table in faults
        ]
        kept, found = _chain_of(table, mine, before)
        chosen += kept
        if found and lost is not None and table not in INDISPENSABLE:
            ends = [file.period_to for file in kept if file.period_to and not file.passed_over]
            lost.append(LostFeed.of(table, found, max(ends) if ends else None))
        else:
            refused += found
    if refused:
        raise combine(refused)
    return sorted(chosen, key=lambda file: (file.table, file.period_to or date.min, file.rank, file.file_name))


def _chain_of(
    table: str, mine: Sequence[InputFile], before: Sequence[tuple[int, list[ExtractError]]]
) -> tuple[list[InputFile], list[ExtractError]]:
    """Give the files of one table from the last whole one to the first fault after it, and the faults of there.

    Args:
        table: The table.
        mine: Its files.
        before: What the gate found, with the rank of the set.
    """
    first = max((file.rank for file in mine if _is_whole(file)), default=None)
    if first is None:
        at_gate = [fault for _, faults in before for fault in faults]
        deltas = sum(file.is_delta for file in mine)
        none_whole = ExtractError(
            f"landing.{table}",
            expected="a whole extract, and every set of changes since, in a folder each",
            found=f"{deltas} files of changes and no whole one before them",
            action="Keep the whole extract beside the changes, or ask the supplier for a new one.",
        )
        return [], at_gate or [none_whole]
    base = max(file.period_to or date.min for file in mine if file.rank == first and _is_whole(file))
    end, found = next(((rank, faults) for rank, faults in before if rank > first), (None, []))
    covered, chosen = base, list[InputFile]()
    for file in mine:
        if file.rank < first or (end is not None and file.rank >= end):
            continue
        is_late = file.rank > first and not _is_whole(file) and file.period_to != file.set_end
        if file.passed_over is None and is_late and (file.period_to or base) <= base:
            chosen.append(file.model_copy(update={"passed_over": "older than the whole extract"}))
            continue
        faults: list[ExtractError] = []
        if file.is_delta and not is_late and file.passed_over is None:
            _check_chain(file, covered, faults)
            covered = max(covered, file.period_to or covered)
        _check_window(file, faults)
        if faults:  # what comes after it cannot be read without it
            end, found = (file.rank, faults) if end is None or file.rank < end else (end, found)
            continue
        chosen.append(file)
    return [file for file in chosen if end is None or file.rank < end], list(found)


def _check_chain(file: InputFile, covered: date, faults: list[ExtractError]) -> None:
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


def _check_window(file: InputFile, faults: list[ExtractError]) -> None:
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
