"""The smallest change of the facts that would take somebody off a clinic's list, found by trying it.

A change moves one fact or a few just past an edge that some rule names, and the rules themselves say what would be
proposed then; nothing here knows what a rule means. Fewest facts first, then the order in which the pathway shows
them. Age, sex and what the pathway asks of everybody by name are left as they are. It says what the list rests on; it
is no advice, and no forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import narwhals.stable.v2 as nw
import polars as pl

from stratify.hits import Frame
from stratify.pathways import decide
from stratify.reasons import in_figures
from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Condition, Pathway
from stratify.scores import add_scores

_OF_THE_PERSON = ("patient_key", "person_status", "identity_doubt", "is_hospital_linked")
_MOST_TOGETHER, _MOST_TRIED = 3, 60
"""So many facts are tried in every combination, of each size so many; more only from the last shown up."""
_AT_ONCE = 40_000
"""Rows tried in one go, so that memory stays flat."""
_WHOLE = ("grade", "score", "points")
_STEP = 0.01
"""How far past an edge a value is tried; a count or a yes goes to the next whole number."""


@dataclass(frozen=True, slots=True)
class _Move:
    """One fact brought to another value, and how that is said."""

    variable: str
    value: float
    words: str
    further: int = 0
    """How many edges nearer to the person's value there are."""


_Change = tuple[_Move, ...]


def smallest_changes(scored: Mapping[str, pl.DataFrame], decisions: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Find for everybody proposed for a clinic what would lead elsewhere.

    Args:
        scored: Rows of ``scores.add_scores`` for these people, by pathway.
        decisions: Contract ``derived.pathway_decision``; only those for a clinic are looked at.
        book: The rule book.

    Returns:
        One row per person and pathway with such a decision: ``patient_key``, ``pathway``, ``off_list_when`` in words,
        null where no change of the facts that count was found.
    """
    found = []
    mine = decisions.filter(pl.col("decision") == "clinic")
    for (name,), rows in mine.group_by("pathway", maintain_order=True):
        small = book.cut_down_to(str(name))
        trial = _Trial(
            scored[str(name)],
            dict(rows.select("patient_key", "clinic_id").iter_rows()),
            small.pathways[str(name)],
            small,
        )
        found += [(key, str(name), text) for key, text in trial.in_words().items()]
    schema = {"patient_key": pl.String, "pathway": pl.String, "off_list_when": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row").sort("patient_key", "pathway")


class _Trial:
    """Tries changes for the people of one pathway, all of one size in one go."""

    def __init__(self, scored: pl.DataFrame, clinics: Mapping[str, str], pathway: Pathway, book: RuleBook) -> None:
        self._pathway, self._book, self._clinics = pathway, book, clinics
        names = (*PERSON_FIELDS, *book.variables)
        own = {f"{letter}_{name}" for name in names for letter in "xousc"}
        base = (*_OF_THE_PERSON, *(column for column in scored.columns if column in own))
        self._rows = scored.filter(pl.col("patient_key").is_in(list(clinics))).select(base)
        looked_at = _comparisons(pathway, book)
        self._moves = {
            row["patient_key"]: _moves(row, looked_at, pathway, book) for row in self._rows.iter_rows(named=True)
        }
        self._decide = self._planned()

    def _planned(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """Write the rules as queries once, for rows that come later: that is most of the work."""
        trying: dict[str, pl.DataFrame] = {"rows": self._rows}
        scores = add_scores(_later(trying, "rows"), self._book)
        trying["scored"] = scores.collect(backend="polars").to_native()
        decisions = decide(_later(trying, "scored"), self._pathway, self._book, in_words=False)

        def decided(rows: pl.DataFrame) -> pl.DataFrame:
            trying["rows"] = rows
            trying["scored"] = scores.collect(backend="polars").to_native()
            found: pl.DataFrame = decisions.collect(backend="polars").to_native()
            return found

        return decided

    def in_words(self) -> dict[str, str | None]:
        """Give the smallest change of each person in words; None where none was found."""
        singles = {key: [(move,) for each in moves.values() for move in each] for key, moves in self._moves.items()}
        found = self._first_that_leads_off(singles)
        farthest = {
            key: [each[-1] for each in moves.values()] for key, moves in self._moves.items() if key not in found
        }
        wider = self._first_that_leads_off({key: list(_several(moves)) for key, moves in farthest.items()})
        found |= self._nearest(self._without_what_is_not_needed(wider))
        return {key: _in_words(found[key]) if key in found else None for key in self._clinics}

    def _without_what_is_not_needed(self, found: Mapping[str, _Change]) -> dict[str, _Change]:
        """Leave out one fact after another while the rest still leads off."""
        kept, last = dict(found), dict(found)
        while last:
            shorter = {
                key: [each[:place] + each[place + 1 :] for place in range(len(each))]
                for key, each in last.items()
                if len(each) > _MOST_TOGETHER
            }
            last = self._first_that_leads_off(shorter)
            kept |= last
        return kept

    def _nearest(self, found: Mapping[str, _Change]) -> dict[str, _Change]:
        """Bring the facts of a change back to the nearest edges that still lead off together."""
        edges = {key: [self._moves[key][each.variable] for each in change] for key, change in found.items()}
        tried = {
            key: sorted(islice(product(*mine), _MOST_TRIED), key=lambda each: sum(abs(move.further) for move in each))
            for key, mine in edges.items()
            if any(len(each) > 1 for each in mine)
        }
        return {**found, **self._first_that_leads_off(tried)}

    def _first_that_leads_off(self, tried: Mapping[str, Sequence[_Change]]) -> dict[str, _Change]:
        """Give the first change of each person after which the rules propose something else."""
        found: dict[str, _Change] = {}
        numbered: list[tuple[str, _Change]] = []
        for key, changes in tried.items():
            numbered += [(key, change) for change in changes]
            if len(numbered) >= _AT_ONCE:
                found |= self._leading_off(numbered)
                numbered = []
        return found | self._leading_off(numbered)

    def _leading_off(self, numbered: Sequence[tuple[str, _Change]]) -> dict[str, _Change]:
        if not numbered:
            return {}
        keys = pl.DataFrame({"number": range(len(numbered)), "patient_key": [key for key, _ in numbered]})
        rows = keys.join(self._rows, on="patient_key", how="left").with_columns(patient_key=pl.col("number").cast(str))
        by_variable: dict[str, dict[int, float]] = {}
        for number, (_, change) in enumerate(numbered):
            for move in change:
                by_variable.setdefault(move.variable, {})[number] = move.value
        for name, values in by_variable.items():
            is_moved = pl.col("number").is_in(list(values))
            moved = pl.col("number").replace_strict(values, default=None, return_dtype=pl.Float64)
            rows = rows.with_columns(
                pl.when(is_moved).then(moved).otherwise(f"x_{name}").alias(f"x_{name}"),
                *(
                    pl.when(is_moved).then(False).otherwise(f"{letter}_{name}").alias(f"{letter}_{name}")
                    for letter in "ousc"
                    if f"{letter}_{name}" in rows.columns
                ),
            )
        decided = self._decide(rows.drop("number"))
        then = {int(key): (decision, clinic) for key, decision, clinic in
                decided.select("patient_key", "decision", "clinic_id").iter_rows()}  # fmt: skip
        found: dict[str, _Change] = {}
        for number, (key, change) in enumerate(numbered):
            if then.get(number, ("not_eligible", None)) != ("clinic", self._clinics[key]):
                found.setdefault(key, change)
        return found


def _later(trying: Mapping[str, pl.DataFrame], name: str) -> Frame:
    """Give a frame whose rows are looked up when it is read."""
    return nw.from_native(pl.defer(lambda: trying[name], schema=trying[name].schema))


def _several(moves: Sequence[_Move]) -> Iterator[_Change]:
    """Give changes of two facts or more, the smaller first."""
    for size in range(2, _MOST_TOGETHER + 1):
        yield from islice(combinations(moves, size), _MOST_TRIED)
    # Of many facts that weigh alike, as deficits that are counted, the last ones shown are taken first.
    for size in range(_MOST_TOGETHER + 1, len(moves) + 1):
        yield tuple(moves[-size:])


def _in_words(change: _Change) -> str:
    said = [move.words for move in change if move.value or move.words[-1] == ")"]
    gone = [move.words for move in change if move.words not in said]
    return "; ".join([*said, *([f"no longer: {', '.join(gone)}"] if gone else [])])


def _moves(
    row: Mapping[str, object], looked_at: Sequence[Condition], pathway: Pathway, book: RuleBook
) -> dict[str, list[_Move]]:
    """Give what could be moved of one person: each fact that some rule looks at, past each edge it is beyond."""
    found: dict[str, dict[float, str]] = {}
    for condition in looked_at:
        name = condition.variable or ""
        value = row.get(f"x_{name}")
        if isinstance(value, float):
            for target, words in _past_the_edge(condition, value, book):
                found.setdefault(name, {}).setdefault(target, words)
    order = {name: place for place, name in enumerate(pathway.show)}
    return {
        name: [
            _Move(name, target, words, further)
            for further, (target, words) in enumerate(
                sorted(found[name].items(), key=lambda each: abs(each[0] - _number(row, name)))
            )
        ]
        for name in sorted(found, key=lambda each: (order.get(each, len(order)), each))
    }


def _number(row: Mapping[str, object], name: str) -> float:
    value = row[f"x_{name}"]
    return value if isinstance(value, float) else 0.0


def _comparisons(pathway: Pathway, book: RuleBook) -> list[Condition]:
    """Give what the rules look at and could be moved: not the person, nor what puts somebody on the pathway."""
    fixed = {"", *PERSON_FIELDS, *pathway.cohort.variables}
    conditions = [each.when for each in pathway.routes if each.when]
    for score in book.scores.values():
        conditions += [each.when for each in score.tiers if each.when]
        conditions += [each for item in score.points or () for each in item.conditions]
    named = [each for condition in conditions for each in condition.walk() if (each.variable or "") not in fixed]
    return [each for each in named if each.variable in book.variables and not each.is_missing]


def _past_the_edge(condition: Condition, value: float, book: RuleBook) -> Iterator[tuple[float, str]]:
    """Give the nearest value at which a comparison that holds no longer does, and how to say it."""
    variable = book.variables[condition.variable or ""]
    is_whole = not variable.is_value or variable.unit in _WHOLE
    unit = "" if is_whole else f" {variable.unit}"
    step = 1.0 if is_whole else _STEP
    now = f"(now {in_figures(value)}{unit})"
    if condition.is_true and value >= 1:
        yield 0.0, variable.label.removesuffix(" (eFI deficit)")
    edges: tuple[tuple[float | None, Callable[[float], bool], float, str], ...] = (
        (condition.below, lambda edge: value < edge, 0.0, "{} or more"),
        (condition.at_most, lambda edge: value <= edge, step, "above {}"),
        (condition.at_least, lambda edge: value >= edge, -step, "below {}"),
        (condition.above, lambda edge: value > edge, 0.0, "{} or less"),
    )
    for edge, holds, further, words in edges:
        if edge is not None and holds(edge):
            text = "none" if is_whole and edge + further == 0 else words.format(in_figures(edge) + unit)
            yield edge + further, f"{variable.label}: {text} {now}"
