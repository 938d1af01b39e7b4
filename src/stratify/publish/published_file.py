"""The commissioners' file as its own pages read it: opened for questions, and how a number of it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stratify.store import Store, open_store

Row = dict[str, Any]


class PublishedFile:
    """The commissioners' file, opened for questions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.about = {topic[3:]: detail for topic, detail in store.rows("SELECT topic, detail FROM about")}

    def rows(self, query: str) -> list[Row]:
        """Give the rows of a query by name of column."""
        return self._store.frame(query).to_dicts()


@contextmanager
def published_file(file: Path) -> Iterator[PublishedFile]:
    """Open the commissioners' file; nobody is kept from it meanwhile."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_store(file, temp_directory=Path(scratch), read_only=True) as store,
    ):
        yield PublishedFile(store)


def shown(row: Row, column: str) -> str:
    """Write a number, or why there is none: hidden and not counted are never nought."""
    value = row[column]
    if value is None:
        reason = str(row.get("reason") or "")
        if reason.startswith("held") or row.get("held") == "all":
            return "not counted"
        return "hidden" if reason.startswith("hidden") or row.get("is_suppressed") else "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
