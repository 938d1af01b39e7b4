"""Practices that deliver far less than they should: their part of a set is not read, and the last good part stays.

Belongs here: how many rows each practice sent, beside what was to be expected of it. Does not belong: reading rows
(``rows``), which sets there are (``extract_sets``). A practice that the reference says has closed is not expected to
send anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from stratify.ingest.files import InputFile
from stratify.store import Store

RED_PERCENT, AMBER_PERCENT = 50, 80
"""Of what was expected. NHS integrated care boards call a difference of a fifth significant."""

_FEWEST_EXPECTED = 100
"""Rows below which chance alone explains a fall."""

_JOURNAL = ("gp_event", "gp_observation", "gp_medication")

Reader = Callable[[InputFile], str]


@dataclass(frozen=True)
class Shortfall:
    """A practice that sent too little in one set."""

    practice_code: str
    rank: int
    received: int
    expected: int

    @property
    def is_red(self) -> bool:
        """Whether its part of the set is not read."""
        return self.received * 100 < self.expected * RED_PERCENT


def shortfalls(store: Store, files: Sequence[InputFile], *, reader: Reader) -> list[Shortfall]:
    """Compare what each practice sent in each set with what was to be expected of it.

    A whole set is compared with the one before it by patients; changes are compared with the whole set they follow, by
    each practice's share of the rows of the GP journal.

    Args:
        store: Any store.
        files: The files of a run, with those of the whole set before it (``earlier``) where there is one.
        reader: Gives the SQL that reads a file.

    Returns:
        Shortfalls below ``AMBER_PERCENT``, by set and practice.
    """
    ranks = sorted({file.rank for file in files})
    if len(ranks) < 2:
        return []
    patients, journal = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    for file in files:
        wanted = patients if file.table == "patient" else journal if file.table in _JOURNAL else None
        if wanted is not None and file.row_count and file.passed_over is None:
            for code, count in store.rows(f"SELECT org_code, count(*) FROM {reader(file)} GROUP BY ALL ORDER BY ALL"):
                wanted[file.rank, str(code)] += int(count)
    closed = _closed(store, files, reader)
    found = []
    wholes = sorted({file.rank for file in files if file.table == "patient" and not file.is_delta})
    for before, whole in pairwise(wholes):
        for code in _practices(patients, before):
            found.append(Shortfall(code, whole, patients[whole, code], patients[before, code]))
    for rank in ranks:
        whole = max((each for each in wholes if each < rank), default=rank)
        if rank in wholes or whole == rank:
            continue
        all_before, all_now = _total(journal, whole), _total(journal, rank)
        for code in _practices(journal, whole):
            expected = all_now * journal[whole, code] // max(all_before, 1)
            found.append(Shortfall(code, rank, journal[rank, code], expected))
    ends = {file.rank: file.period_to or date.max for file in files}
    return [
        each
        for each in sorted(found, key=lambda each: (each.rank, each.practice_code))
        if each.expected >= _FEWEST_EXPECTED
        and each.received * 100 < each.expected * AMBER_PERCENT
        and closed.get(each.practice_code, date.max) > ends[each.rank]
    ]


def _practices(counts: Mapping[tuple[int, str], int], rank: int) -> list[str]:
    return sorted(code for (of, code), count in counts.items() if of == rank and count)


def _total(counts: Mapping[tuple[int, str], int], rank: int) -> int:
    return sum(count for (of, _), count in counts.items() if of == rank)


def _closed(store: Store, files: Iterable[InputFile], reader: Reader) -> dict[str, date]:
    """Give the day each practice closed, as the newest line about it says."""
    closed: dict[str, date] = {}
    for file in sorted((each for each in files if each.table == "practice"), key=lambda each: each.rank):
        for code, day in store.rows(
            f"SELECT practice_code, TRY_CAST(valid_to AS DATE) FROM {reader(file)} ORDER BY ALL"
        ):
            closed[str(code)] = day or date.max
    return closed
