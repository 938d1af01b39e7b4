"""The shipped definitions, asked as the second implementation is: many people at once, values in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import narwhals.stable.v2 as nw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from second.strategies import CASES
from stratify.examples import wide_rows
from stratify.rulebook import RuleBook, load_rule_book
from stratify.rules import Example
from stratify.scores import add_scores, score_rows


@dataclass(frozen=True)
class Shipped:
    """What the shipped definition says of one person; ``possible`` is None where there is no score."""

    value: float | None = None
    tier: str | None = None
    possible: frozenset[str] | None = None
    is_complete: bool = False
    withheld: str | None = None


@cache
def _book() -> RuleBook:
    return load_rule_book()


def answers(score: str, people: Sequence[Mapping[str, Any]]) -> list[Shipped]:
    """Ask the shipped definition; each person is ``{"person": {...}, "values": {...}}`` as in a worked example."""
    book = _book().cut_down_to(score)
    examples = [Example(name=str(number), expect={}, **each) for number, each in enumerate(people)]
    scored = add_scores(nw.from_native(wide_rows(examples, book).lazy()), book)
    found = score_rows(scored, book).filter(nw.col("score") == score).collect(backend="polars").to_native()
    by_person = {
        row["patient_key"]: Shipped(
            value=row["value"],
            tier=row["tier"],
            possible=frozenset(row["possible_tiers"].split(";")) if row["possible_tiers"] else None,
            is_complete=row["is_complete"],
            withheld=row["withheld_reason"],
        )
        for row in found.to_dicts()
    }
    return [by_person.get(str(number), Shipped()) for number in range(len(people))]


def drawn(inputs: st.SearchStrategy[dict[str, Any]], many: int) -> list[dict[str, Any]]:
    """Draw inputs, the same every time, to be asked all at once."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=many, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs=inputs)
    def draw(inputs: dict[str, Any]) -> None:
        found.append(inputs)

    draw()
    return found


def disagreements(
    score: str,
    case: str,
    as_person: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    many: int = 300,
    tolerance: float = 1e-6,
    only: Callable[[dict[str, Any]], bool] = lambda inputs: True,
    narrowed: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> list[str]:
    """Ask both implementations the same; give what they do not agree on, in words, at most five.

    Where something is missing the shipped one may leave more tiers open than are possible, never fewer. ``only`` leaves
    inputs out, ``narrowed`` takes from them what the shipped definition does not have.
    """
    asked = [narrowed(each) for each in drawn(CASES[case].inputs, many) if only(each)]
    theirs = answers(score, [as_person(each) for each in asked])
    different = []
    for inputs, shipped in zip(asked, theirs, strict=True):
        second = CASES[case].answer(**inputs)
        if second.withheld:
            # Withheld for an age that nobody knows: the shipped one leaves everything open.
            same = shipped.value is None and not shipped.is_complete
        elif second.value is not None:
            same = shipped.value is not None and abs(shipped.value - float(second.value)) <= tolerance
            same = same and (second.tier is None or shipped.tier == second.tier)
        else:
            same = (second.possible or frozenset()) <= (shipped.possible or frozenset())
            if second.possible is None:
                same = shipped.value is None and not shipped.is_complete
            elif second.tier is not None:
                same = same and shipped.tier in (second.tier, None)
        if not same:
            different.append(f"{inputs}: second {second}, shipped {shipped}")
    return different[:5]
