"""The ten questions of docs/for-commissioners.md: what is asked, and the answer that stands under it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "for-commissioners.md"
_QUESTION = re.compile(
    r"^### \d+\. (?P<title>[^\n]+)\n\n```sql\n(?P<sql>[^`]+)\n```\n\n(?P<answer>(?:\|[^\n]*\n)+)", re.MULTILINE
)


@dataclass(frozen=True)
class Question:
    """A question of the page, with the heading and rows of its answer."""

    title: str
    sql: str
    columns: list[str]
    rows: list[list[str]]


def questions() -> list[Question]:
    """Give the questions of the page in order."""
    found = []
    for each in _QUESTION.finditer(PAGE.read_text(encoding="utf-8")):
        columns, _, *rows = (_cells(line) for line in each["answer"].splitlines())
        found.append(Question(each["title"], each["sql"], columns, rows))
    return found


def as_shown(rows: Iterable[tuple[object, ...]]) -> list[list[str]]:
    """Give the rows of an answer as the page shows them; what is empty stays so."""
    return [["" if cell is None else str(cell) for cell in row] for row in rows]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
