"""Patterns in what teams answered: rules that are often overruled, groups that are often missing, the edge to try.

Frames in, frames out. A pattern is raised only when chance would hardly make it: enough people, and a 99 % interval
that lies wholly past the bar, since many groups are looked at every week. An edge is found by trying it: the rules
themselves say who would then be proposed for a clinic. Nothing here changes a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import narwhals.stable.v2 as nw
import polars as pl

from stratify import fairness
from stratify.errors import RuleError
from stratify.intervals import wilson
from stratify.pathways import decide
from stratify.rulebook import RuleBook
from stratify.rules import EDGES, Condition
from stratify.rules.scoring import edges_of
from stratify.scores import add_scores
from stratify.whatif_changes import Changes, Threshold, changed_book

WEEKS = 12
"""How many weeks of answers are looked at."""
OFTEN = 0.20
"""A rule is often overruled when it is so for more than this share of those answered."""
LEAST = 8
"""Fewest people of a pattern; fewer are never told, either."""
_LEAST_ANSWERED = 20
_Z = 2.5758
_LEAST_GAIN = 0.30
_Z_OF_A_CODE = 4.0
"""Thousands of codes are looked at: chance alone puts a code this far out once in 30,000 looks."""
_MOST_CODES = 3
_MOST_EDGES, _MOST_TRIED = 12, 25


def interval(part: int, of: int) -> tuple[float, float]:
    """Give the 99 % interval of a share; of nobody it may be anything."""
    return wilson(part, of, _Z) if of else (0.0, 1.0)


def overruled(decided: pl.DataFrame) -> pl.DataFrame:
    """Count how often teams said that somebody was not appropriate, by what had put the person on the list.

    Args:
        decided: A row per person and pathway that a team answered: ``pathway``, ``rule_id``, ``tier``,
            ``is_overruled``.

    Returns:
        A row for each pathway, rule and tier: ``answered_count``, ``overruled_count``, ``share``, ``share_low``,
        ``share_high`` and ``is_pattern``.
    """
    counts = decided.group_by("pathway", "rule_id", "tier").agg(
        answered_count=pl.len().cast(pl.Int64), overruled_count=pl.col("is_overruled").sum().cast(pl.Int64)
    )
    found = [
        {
            **row,
            "share": row["overruled_count"] / row["answered_count"],
            "share_low": low,
            "share_high": high,
            "is_pattern": row["overruled_count"] >= LEAST and row["answered_count"] >= _LEAST_ANSWERED and low > OFTEN,
        }
        for row in counts.sort("pathway", "rule_id", "tier", nulls_last=True).iter_rows(named=True)
        for low, high in [interval(row["overruled_count"], row["answered_count"])]
    ]
    shares = dict.fromkeys(("share", "share_low", "share_high"), pl.Float64)
    return pl.DataFrame(found, schema={**counts.schema, **shares, "is_pattern": pl.Boolean})


def missing(reported: Collection[str], listed: Collection[str], people: pl.DataFrame) -> pl.DataFrame:
    """Find groups that make up more of those who should have been on a list than of those who are.

    Args:
        reported: People of whom it was said that they should have been there.
        listed: People on lists.
        people: What ``fairness.groups`` gives.

    Returns:
        A row for each group: ``breakdown``, ``breakdown_value``, ``reported_count``, ``share``, ``share_low``,
        ``share_high``, ``listed_share`` and ``is_pattern``.
    """
    there = people.filter(pl.col("patient_key").is_in(list(listed)))
    away = people.filter(pl.col("patient_key").is_in(list(reported)))
    found = []
    for breakdown in fairness.BREAKDOWNS:
        counts = dict(away.group_by(breakdown).len().iter_rows())
        for value, count in sorted(counts.items()):
            low, high = interval(count, away.height)
            usual = there.filter(pl.col(breakdown) == value).height / there.height if there.height else 0.0
            is_pattern = count >= LEAST and low > usual and there.height > 0
            found.append((breakdown, value, count, count / away.height, low, high, usual, is_pattern))
    schema = {"breakdown": pl.String, "breakdown_value": pl.String, "reported_count": pl.Int64, "share": pl.Float64,
              "share_low": pl.Float64, "share_high": pl.Float64, "listed_share": pl.Float64,
              "is_pattern": pl.Boolean}  # fmt: skip
    return pl.DataFrame(found, schema=schema, orient="row")


def telling_codes(recorded: pl.DataFrame, *, missed: int, others: int) -> pl.DataFrame:
    """Find codes by which people could be known whom no code of a pathway's codelists makes part of it.

    Args:
        recorded: A row per code of the records: ``code``, ``missed_count`` of those who should have been there and are
            not on the pathway, ``others_count`` of others who are not on it.
        missed: How many should have been there.
        others: How many others were looked at.

    Returns:
        At most three codes, ``code``, ``missed_share`` and ``others_share``: those that the missed have most beyond the
        others, and so much more often that chance would hardly make it of thousands of codes.
    """
    found = []
    for code, here, there in recorded.select("code", "missed_count", "others_count").sort("code").iter_rows():
        low, _ = wilson(here, missed, _Z_OF_A_CODE)
        _, usual = wilson(there, others, _Z_OF_A_CODE)
        if here >= LEAST and low > usual:
            found.append((code, here / missed, there / others))
    found.sort(key=lambda each: (each[2] - each[1], each[0]))
    schema = {"code": pl.String, "missed_share": pl.Float64, "others_share": pl.Float64}
    return pl.DataFrame(found[:_MOST_CODES], schema=schema, orient="row")


# ---------------------------------------------------------------------------------------------------- the edge to try


@dataclass(frozen=True)
class Edit:
    """An edge to try, and whom of those that teams spoke of it would move onto a clinic's list or off it.

    Attributes:
        threshold: The change, as a file of changes has it.
        today: The edge as it is.
        moved: Of those who teams said are in the wrong place.
        wrong: How many those are.
        others_moved: Of those who teams said, or let stand, are in the right one.
        right: How many those are.
    """

    threshold: Threshold
    today: float
    moved: int
    wrong: int
    others_moved: int
    right: int

    @property
    def gain(self) -> float:
        """How much more of those in the wrong place it moves than of the others, as a share."""
        return self.moved / self.wrong - self.others_moved / self.right


def best_edit(
    rows: pl.DataFrame, pathway: str, book: RuleBook, *, wrong: Collection[str], right: Collection[str]
) -> Edit | None:
    """Find the one edge of a tier or of a route that best moves whom teams said is in the wrong place.

    Args:
        rows: What ``wide.person_rows`` gives for these people, with the book cut down to the pathway.
        pathway: The pathway.
        book: The rule book.
        wrong: People on a clinic's list who should not be, or people on none who should.
        right: People who are where they should be, for all that is known; nobody of ``wrong``.

    Returns:
        The edge; None where no single one moves enough of them and spares the others.
    """
    if len(wrong) < LEAST or not right:
        return None
    small = book.cut_down_to(pathway)
    rows = rows.filter(pl.col("patient_key").is_in([*wrong, *right]))
    now = _called(rows, pathway, small)
    best: Edit | None = None
    for most, threshold, today in _edges(rows, pathway, small, set(wrong))[:_MOST_TRIED]:
        if most / len(wrong) <= (best.gain if best else _LEAST_GAIN):
            continue  # it cannot do better, whatever the other rules make of it
        try:
            changed = changed_book(small, Changes(thresholds=(threshold,)))
        except RuleError:
            continue  # an edge that stands there twice, or would pass another: not for a single number
        moved = now ^ _called(rows, pathway, changed)
        edit = Edit(threshold, today, len(moved & set(wrong)), len(wrong), len(moved & set(right)), len(right))
        if edit.moved >= LEAST and edit.gain >= _LEAST_GAIN and (best is None or edit.gain > best.gain):
            best = edit
    return best


def _called(rows: pl.DataFrame, pathway: str, book: RuleBook) -> set[str]:
    """Give whom the rules propose for a clinic."""
    decided = decide(add_scores(nw.from_native(rows.lazy()), book), book.pathways[pathway], book)
    found: pl.DataFrame = decided.filter(nw.col("decision") == "clinic").select("patient_key").collect().to_native()
    return set(found["patient_key"])


def _edges(rows: pl.DataFrame, pathway: str, book: RuleBook, wrong: set[str]) -> list[tuple[int, Threshold, float]]:
    """Give edges worth a try, the likeliest first: for how many of those in the wrong place each turns, and today's."""
    scored: pl.DataFrame = add_scores(nw.from_native(rows.lazy()), book).collect().to_native()
    is_wrong = scored["patient_key"].is_in(list(wrong)).to_list()
    found: list[tuple[float, float, str, int, Threshold, float]] = []
    for place, variable, edge, today in _comparisons(pathway, book):
        column = f"x_{variable or place['score']}"
        if column not in scored.columns:
            continue
        values = [each for each in zip(scored[column].to_list(), is_wrong, strict=True) if each[0] is not None]
        theirs = [value for value, is_theirs in values if is_theirs]
        steps = {value + more for value in _tried(theirs) for more in _beyond(variable, book)} - {today}
        for new in sorted(steps):
            turned = [
                is_theirs for value, is_theirs in values if _holds(edge, value, new) != _holds(edge, value, today)
            ]
            if (most := sum(turned)) >= LEAST:
                named = {**place, **({"variable": variable} if variable else {}), edge: new}
                likely = most / len(wrong) - (len(turned) - most) / max(rows.height - len(wrong), 1)
                threshold = Threshold.model_validate(named)
                found.append((-likely, abs(new - today), repr(threshold), most, threshold, today))
    return [each[3:] for each in sorted(found, key=lambda one: one[:3])]


def _comparisons(pathway: str, book: RuleBook) -> Iterator[tuple[dict[str, str], str | None, str, float]]:
    """Give each comparison with a number: its place, its variable (None for the score itself), edge and number."""
    found: list[tuple[dict[str, str], Condition]] = [
        ({"pathway": pathway, "route": route.id}, leaf)
        for route in book.pathways[pathway].routes
        if route.when
        for leaf in route.when.walk()
    ]
    for score in book.scores.values():
        for tier in score.tiers or ():
            place = {"score": score.id, "tier": tier.tier}
            if tier.when:
                found += [(place, leaf) for leaf in tier.when.walk()]
            for edge, number in edges_of(tier).items():
                yield place, None, edge, number
    for place, leaf in found:
        for edge in EDGES if leaf.variable else ():
            if (number := getattr(leaf, edge)) is not None:
                yield place, leaf.variable, edge, number


def _tried(values: list[float]) -> list[float]:
    """Give the values that occur, or of many some that part them evenly."""
    every = sorted(set(values))
    if len(every) <= _MOST_EDGES:
        return every
    return [every[round(place * (len(every) - 1) / (_MOST_EDGES - 1))] for place in range(_MOST_EDGES)]


def _beyond(variable: str | None, book: RuleBook) -> tuple[int, ...]:
    """Give what is added to a value that occurs: of a count the next one, too, for nobody may have it."""
    is_count = variable in book.variables and not book.variables[variable].is_value
    return (-1, 0, 1) if is_count else (0,)


def _holds(edge: str, value: float, number: float) -> bool:
    return {"below": value < number, "at_most": value <= number, "at_least": value >= number, "above": value > number}[
        edge
    ]
