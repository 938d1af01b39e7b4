"""What the shipped definition of a score says of many people at once, to be held against the second implementation.

A rule book cut down to one score, and all people in one frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import narwhals.stable.v2 as nw
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stratify.examples import wide_rows
from stratify.rulebook import RuleBook, load_rule_book
from stratify.rules import Example
from stratify.scores import add_scores, score_rows


@dataclass(frozen=True)
class Found:
    """What a definition says of one person; ``is_withheld`` when there is no score, for a reason."""

    value: float | None = None
    tier: str | None = None
    possible: frozenset[str] | None = None
    is_withheld: bool = False
    is_complete: bool = False


_whole_book = cache(load_rule_book)


@cache
def book_of(score: str) -> RuleBook:
    """Give the rule book with one score, those it uses, and their variables."""
    return _whole_book().cut_down_to(score)


def say(score: str, people: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Found]:
    """Score people, each given as the person and the values of an example (``stratify.rules.Example``), in order."""
    book = book_of(score)
    for _, values in people:
        unknown = set(values) - set(book.variables)
        assert not unknown, f"{score} does not read {sorted(unknown)}"
    given_people = [
        Example.model_validate({"name": "one", "person": dict(person), "values": _known(values), "expect": {}})
        for person, values in people
    ]
    scored = add_scores(nw.from_native(wide_rows(given_people, book).lazy()), book)
    rows = score_rows(scored, book).filter(nw.col("score") == score).collect(backend="polars").to_native()
    by_key = {row["patient_key"]: row for row in rows.to_dicts()}
    return [_found(by_key.get(str(number))) for number in range(len(people))]


def drawn(inputs: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Draw inputs, the same every time, to be scored in one frame."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(one=inputs)
    def collect(one):
        found.append(one)

    collect()
    return found


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) for name, value in values.items() if value is not None}


def _found(row: Mapping[str, Any] | None) -> Found:
    if row is None or row["withheld_reason"]:
        return Found(is_withheld=True)
    possible = row["possible_tiers"]
    open_tiers = frozenset(possible.split(";")) if possible else None
    return Found(row["value"], row["tier"], open_tiers, False, row["is_complete"])
