"""ICD-10 codes written in another way than the classification prints them: how many rows have one.

Belongs here: counting them in the files as they came. Does not belong: putting them right, which every reading of a row
does (``rows``): upper case, no point and no blank, nothing behind the code. Counts only, no code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stratify.ingest.files import InputFile
from stratify.store import Store, quoted

_ICD10_COLUMN = re.compile(r"diag_\d\d|cause_underlying")
_AS_PRINTED = "[A-Z][0-9][0-9A-Z]{1,4}"
"""Three to six characters, and no X that only fills up a category of three."""


def count_respelled(store: Store, files: Sequence[InputFile]) -> dict[str, tuple[int, int]]:
    """Count rows of the files with an ICD-10 code in another spelling than ``J440``.

    Written with a point, in lower case, with blanks, a dagger or a dash, or filled up with X (``I10X``), a code means
    the same; it is put right as the row is read, and the supplier is told. An empty place is none.

    Args:
        store: Any store.
        files: The files of the run; those that are passed over are not looked at.

    Returns:
        For each table that has such columns: rows, and rows with such a code.
    """
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        columns = [name for name in file.header if _ICD10_COLUMN.fullmatch(name)]
        if not columns or file.passed_over or not file.row_count:
            continue
        other = " OR ".join(_is_respelled(f'"{name}"') for name in columns)
        rows, respelled = store.rows(f"SELECT count(*), count(*) FILTER ({other}) FROM {_records(file)}")[0]
        before = found.get(file.table, (0, 0))
        found[file.table] = (before[0] + int(rows), before[1] + int(respelled))
    return found


def _is_respelled(column: str) -> str:
    text = f"CAST({column} AS VARCHAR)"
    return (
        f"(trim({text}) <> '' AND (NOT regexp_full_match({text}, '{_AS_PRINTED}') "
        f"OR regexp_full_match({text}, '.{{3}}X+')))"
    )


def _records(file: InputFile) -> str:
    path = quoted(file.path)
    if file.format == "parquet":
        return f"read_parquet('{path}')"
    columns = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in file.header)
    return (
        f"read_csv('{path}', columns = {{{columns}}}, auto_detect = false, header = true, delim = ',', quote = '\"', "
        "escape = '\"', nullstr = '', ignore_errors = true)"
    )
