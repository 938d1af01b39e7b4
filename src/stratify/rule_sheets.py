"""The rule book as sheets of a workbook: the text of the pages, one row a rule, an input, an example or a codelist.

One sheet a score would be too many to find anything in; here each sheet has all, to filter by the first column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stratify.example_words import answer_in_words, person_in_words
from stratify.plain_english import (
    condition_in_words,
    method_in_words,
    pathway_facts,
    points_rows,
    route_rows,
    score_unknown_in_words,
    tier_rows,
)
from stratify.rule_pages import HOW_TO_READ, USES, device_note, gives_in_words, limits
from stratify.rule_words import STATUS_WORDS
from stratify.rulebook import RuleBook
from stratify.rules import Pathway, Score
from stratify.variable_words import CODELIST_HEAD, codelist_row, input_row


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name, the heading and width in characters of each column, and the rows."""

    name: str
    columns: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, ...], ...]


def sheets(book: RuleBook) -> tuple[Sheet, ...]:
    """Give the whole rule book as sheets, in the order of the index."""
    order = list(USES)
    scores = sorted(book.scores.values(), key=lambda each: (order.index(each.use), each.label))
    pathways = sorted(book.pathways.values(), key=lambda each: (each.precedence, each.id))
    definitions: list[Pathway | Score] = [*pathways, *scores]
    guide = [(line,) for line in _plain(HOW_TO_READ.replace("\n  ", " ")).splitlines()]
    lists = sorted(book.codelists.values(), key=lambda each: each.id)
    return (
        Sheet("How to read", (("A list proposes; the clinician decides", 120),), tuple(guide)),
        Sheet("Scores", _SCORES, _plain_rows([_score_row(each, book) for each in scores])),
        Sheet("Rules", _RULES, _plain_rows([row for each in definitions for row in _rule_rows(each, book)])),
        Sheet("What is read", _INPUTS, _plain_rows([row for each in definitions for row in _input_rows(each, book)])),
        Sheet(
            "Example patients", _EXAMPLES, _plain_rows([row for each in definitions for row in _examples(each, book)])
        ),
        Sheet(
            "Codelists",
            tuple(zip(CODELIST_HEAD, (34, 12, 18, 8, 22, 36, 26, 20, 70), strict=True)),
            _plain_rows([codelist_row(each) for each in lists]),
        ),
    )


_SCORES = (
    ("Score", 34),
    ("What it is for", 18),
    ("What it gives", 40),
    ("How well supported", 20),
    ("What kind", 24),
    ("How it is worked out", 40),
    ("When something is not known", 44),
    ("Limits", 70),
    ("Source", 50),
    ("Licence", 26),
    ("Version", 9),
)
_RULES = (("Pathway or score", 34), ("What", 22), ("", 5), ("Gives", 36), ("When", 70), ("If not known", 40))
_INPUTS = (
    ("Pathway or score", 34),
    ("What is read", 36),
    ("Unit", 14),
    ("How far back", 20),
    ("In words", 80),
    ("Where that comes from", 50),
)
_EXAMPLES = (("Pathway or score", 34), ("Example", 40), ("Who, and what was found", 70), ("Answer", 50))


def _score_row(score: Score, book: RuleBook) -> tuple[str, ...]:
    return (
        score.label,
        USES[score.use],
        gives_in_words(score),
        STATUS_WORDS[score.status],
        device_note(score),
        method_in_words(score, book),
        score_unknown_in_words(score, book),
        limits(score),
        score.source,
        score.licence,
        score.version,
    )


def _rule_rows(definition: Pathway | Score, book: RuleBook) -> Iterator[tuple[str, ...]]:
    label = definition.label
    if isinstance(definition, Pathway):
        cohort = dict(pathway_facts(definition, book))["Who is on it"]
        yield label, "who is on it", "", "", cohort, ""
        for number, _, when, proposal, _, unknown in route_rows(definition, book):
            yield label, "route", number, proposal, when, unknown
        return
    for each in definition.eligibility:
        yield label, "who it is for", "", "otherwise: " + each.otherwise, condition_in_words(each.when, book), ""
    for what, which, points, unknown in points_rows(definition, book):
        yield label, "points", "", points, f"{what}: {which}" if which else what, unknown
    for number, name, when in tier_rows(definition, book):
        yield label, "tier", number, name, when, ""


def _input_rows(definition: Pathway | Score, book: RuleBook) -> Iterator[tuple[str, ...]]:
    if isinstance(definition, Pathway):
        names: Sequence[str] = sorted({name for each in definition.conditions for name in book.variables_of(each)})
    else:
        names = book.variables_of_score(definition.id)
    for name in names:
        yield (definition.label, *input_row(name, book))


def _examples(definition: Pathway | Score, book: RuleBook) -> Iterator[tuple[str, ...]]:
    for each in book.examples.get(definition.id, ()):
        yield definition.label, each.name, person_in_words(each, book), answer_in_words(each, definition, book)


def _plain_rows(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_plain(cell) for cell in row) for row in rows)


def _plain(text: str) -> str:
    """Take the marks of Markdown out of a text."""
    text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text.replace("<br>", "\n"))
    return re.sub(r"\*\*|`|^- |(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)", "", text, flags=re.MULTILINE)
