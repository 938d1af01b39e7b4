"""Practices that deliver far less than they should: their part of a set is not read, and the last good part stays.

Belongs here: how many rows each practice sent, beside what was to be expected of it. Does not belong: reading rows
(``rows``), which sets there are (``extract_sets``). A practice that the reference says has closed is not expected to
send anything.
"""

from __future__ import annotations

import math
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

_BEYOND_CHANCE = 3.75
"""Standard deviations of a count of people from which on a fall in a week's changes is no chance (1 in 10,000): a
few consultations more or less are dozens of rows."""

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
    each practice's share of the rows of the GP journal. Changes are of whoever happened to be seen that week, so that
    a fall among them has to be more than chance makes of as many people.

    Args:
        store: Any store.
        files: The files of a run, with those of the whole set before it (``earlier``) where there is one.
        reader: Gives the SQL that reads a file.

    Returns:
        Shortfalls below ``AMBER_PERCENT`` in the sets that are read, by set and practice.
    """
    ranks = sorted({file.rank for file in files})
    if len(ranks) < 2:
        return []
    patients, journal = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    seen: dict[tuple[int, str], int] = {}
    first_read = min((file.rank for file in files if file.table == "patient" and not file.is_earlier), default=0)
    for file in files:
        wanted = patients if file.table == "patient" else journal if file.table in _JOURNAL else None
        if wanted is not None and file.row_count and file.passed_over is None:
            for code, count, people in store.rows(
                f"SELECT org_code, count(*), count(DISTINCT source_patient_id) FROM {reader(file)} "
                "GROUP BY ALL ORDER BY ALL"
            ):
                wanted[file.rank, str(code)] += int(count)
                seen[file.rank, str(code)] = max(int(people), seen.get((file.rank, str(code)), 0))
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
            people_a_row = _total(seen, rank) / max(all_now, 1)
            if _is_beyond_chance(journal[rank, code] * people_a_row, expected * people_a_row):
                found.append(Shortfall(code, rank, journal[rank, code], expected))
    ends = {file.rank: file.period_to or date.max for file in files}
    return [
        each
        for each in sorted(found, key=lambda each: (each.rank, each.practice_code))
        if each.rank >= first_read
        and each.expected >= _FEWEST_EXPECTED
        and each.received * 100 < each.expected * AMBER_PERCENT
        and closed.get(each.practice_code, date.max) > ends[each.rank]
    ]


def _is_beyond_chance(people: float, expected: float) -> bool:
    """Say whether so few people are fewer than chance makes of so many expected."""
    return expected - people > _BEYOND_CHANCE * math.sqrt(expected)


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
