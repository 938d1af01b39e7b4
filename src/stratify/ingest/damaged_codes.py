"""Codes that were damaged on their way, said in plain words: how many rows of each file, of how many, and what for.

Belongs here: counting what the check digit rules found. Does not belong: the rules (the contracts), whole codes
that no codelist knows (``codematch``). Spreadsheets and floating-point numbers take the last digits of long codes;
nothing could tell which code it was, so none is mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stratify import contracts
from stratify.errors import QualityError, with_advice
from stratify.store import Store

_CODE_NAMES = {"dmd_code": "dm+d", "snomed_code": "SNOMED CT"}
_DAMAGED = """
SELECT r.table_name, r.column_name, f.file_name, any_value(f.received_count), count(DISTINCT r.source_row)
FROM audit.rejected_row AS r JOIN audit.source_file AS f USING (source_file_id, table_name)
WHERE r.rule_id LIKE '%-verhoeff' GROUP BY r.table_name, r.column_name, f.file_name, r.source_file_id ORDER BY ALL
"""


def count_damaged_codes(store: Store) -> list[tuple[str, int]]:
    """Say of which files codes fail their check digit, with the number of rows.

    Args:
        store: The run's store after ``land``.

    Returns:
        For each file and column with such codes: the words, and the rows. A percent below 1 is said as such.
    """
    found = []
    for table, column, file_name, received, damaged in store.rows(_DAMAGED):
        percent = 100 * damaged / received if received else 0.0
        share = f"{percent:.0f} %" if percent >= 1 else "less than 1 %"
        name = _CODE_NAMES.get(column, column)
        becomes = "the code is not used"
        if contracts.load(f"landing.{table}").column(column).is_required:
            becomes = "the row is set aside"
        words = f"{file_name}: {share} of {received:,} rows have a {name} code that fails its check digit; {becomes}"
        found.append((words, int(damaged)))
    return found


@contextmanager
def said_with_a_stop(store: Store) -> Iterator[None]:
    """Say of damaged codes where a verdict on the data stops the run: they are most likely why.

    Raises:
        QualityError: as raised inside, with what is known of damaged codes.
    """
    stopped: QualityError | None = None
    try:
        yield
    except QualityError as fault:
        stopped = fault
    if stopped is not None:  # outside, so that nothing is chained to it
        found = [f"{words} ({count:,} rows)" for words, count in count_damaged_codes(store)]
        raise with_advice(stopped, f"Codes were damaged on their way: {'; '.join(found)}.") if found else stopped
