"""A rule book worked out over the tables of a store: where the reckoning meets the engine that runs it.

Belongs here: the steps from core tables to values, scores and decisions, one function a step, for whoever works a rule
book out: a run, and trials of another rule book or codelist on a finished one. What a rule means is in ``features``,
``scores`` and ``pathways``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import narwhals.stable.v2 as nw

from stratify import contracts, engine, features, hits, pathways, scores, wide
from stratify.marks import Marks, hold_marks, is_marked, mark_values
from stratify.rulebook import RuleBook
from stratify.store import Store

_VALUES = "derived.variable_value"


def core_tables(store: Store) -> dict[str, engine.Frame]:
    """Give the core tables that variables read."""
    return {name: engine.table(store, f"core.{name}") for name in hits.SOURCE_TABLES}


def work_values(store: Store, book: RuleBook, *, index_date: date, unchanged: Collection[str] = ()) -> int:
    """Reduce the records to one value per person and variable, with the record behind each.

    Args:
        store: A store with the core tables and ``derived.code_match``.
        book: The rule book.
        index_date: The day that is described.
        unchanged: Variables whose rows are in ``derived.variable_value`` already, and right.

    Returns:
        Rows of ``derived.variable_value``; ``work.variable_code`` says what each code means.
    """
    settle_codes(store, book, index_date=index_date)
    codes, others, fresh = engine.table(store, _CODES.split()[-1]), book, []
    if unchanged:
        changed = {name: each for name, each in book.variables.items() if name not in unchanged}
        others = replace(book, variables={name: each for name, each in changed.items() if each.take != "given"})
        codes = codes.filter(nw.col("variable").is_in(sorted(others.variables)))
    if others.variables:
        records = _records(store, others, index_date, codes)
        fresh.append(features.with_records(records, others, index_date=index_date))
    kept = _keep(store, _VALUES, _rows_of(store, _VALUES, "variable", unchanged), fresh)
    engine.let_go(store, *hits.SETTLED)
    return kept


def settle_codes(store: Store, book: RuleBook, *, index_date: date) -> None:
    """Make ``work.variable_code``, which says what each code means for the variables; see ``hits.code_table``."""
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    _settle_codes(store, book, index_date, _CODES)


_CODES = "TABLE work.variable_code"


def _keep(store: Store, table: str, known: Sequence[engine.Frame], fresh: Sequence[engine.Frame]) -> int:
    """Keep rows that are worked out, beside those that are known, as a table of the run."""
    columns = contracts.load(table).column_names
    rows = [each.select(*columns) for each in (*known, *fresh)] if known else [*fresh]
    return engine.keep(store, table, engine.concat(rows)) if rows else 0


def _rows_of(store: Store, table: str, column: str, names: Collection[str]) -> list[engine.Frame]:
    """Give the rows of a table of the run for some variables, scores or pathways; nothing for none."""
    return [engine.table(store, table).filter(nw.col(column).is_in(sorted(names)))] if names else []


def hold_values(store: Store, book: RuleBook, *, index_date: date) -> tuple[str, Marks]:
    """Reduce the records to values without the record behind each: scores and decisions need no more.

    Returns:
        What to give to :func:`score_everybody` and :func:`decide_everybody`, both held until the store closes: the
        table of the values, and the marks that stand for those of variables that are not in it.
    """
    apart = {name: each for name, each in book.variables.items() if is_marked(each)}
    marked = replace(book, variables=apart)
    codes = hits.code_table(marked, _matches(store), index_date=index_date)
    marks = hold_marks(store, marked, codes, index_date=index_date)
    others = replace(book, variables={name: each for name, each in book.variables.items() if name not in apart})
    store.execute(f"CREATE OR REPLACE TEMP TABLE {_HELD} ({', '.join(_COLUMNS)})")
    if others.variables:
        _settle_codes(store, others, index_date, f"TEMP TABLE {_HELD}_code")
        records = _records(store, others, index_date, engine.table(store, f"{_HELD}_code"))
        engine.hold(store, _HELD, features.values_of(records, others, index_date=index_date))
        engine.let_go(store, *hits.SETTLED)
    return f"temp.main.{_HELD}", marks


_HELD = "value_held"
_COLUMNS = ("patient_key VARCHAR", "variable VARCHAR", "value DOUBLE", "state VARCHAR", "bound VARCHAR")


def _matches(store: Store) -> list[tuple[str, str, str]]:
    return [
        (row[0], row[1], row[2]) for row in store.rows("SELECT code_system, code, codelist FROM derived.code_match")
    ]


def _settle_codes(store: Store, book: RuleBook, index_date: date, table: str) -> None:
    """Make the table of what each code means."""
    with store.loaned(hits.code_table(book, _matches(store), index_date=index_date)) as meant:
        store.execute(f"CREATE OR REPLACE {table} AS SELECT * FROM {meant}")


def _records(store: Store, book: RuleBook, index_date: date, codes: engine.Frame) -> dict[str, engine.Frame]:
    """Give the records that count by what each code means."""
    return features.records_of(
        core_tables(store),
        codes,
        book,
        index_date=index_date,
        settle=lambda name, frame: engine.hold(store, name, frame),
    )


def scored_rows(
    store: Store, book: RuleBook, *, index_date: date, values: str = _VALUES, marks: Marks | None = None
) -> engine.Frame:
    """Give a scored row per person with what a rule book asks for and no more.

    A row of everything known of a person grows with every definition, and so does the work of planning a query on it:
    cut the rule book down first.

    Args:
        store: A store with ``core.person`` and the values.
        book: The rule book.
        index_date: The day that is described.
        values: The table of the values.
        marks: What stands for values that are not in it.
    """
    read = sorted(set(book.variables) - set(marks.bits if marks else ())) or [""]
    mine = engine.table(store, values).filter(nw.col("variable").is_in(read))
    persons = engine.query(store, marks.persons(book.variables)) if marks else engine.table(store, "core.person")
    rows = wide.person_rows(persons, mine, book, index_date=index_date)
    return scores.add_scores(rows, book)


def score_everybody(
    store: Store,
    book: RuleBook,
    *,
    index_date: date,
    values: str = _VALUES,
    marks: Marks | None = None,
    unchanged: Collection[str] = (),
) -> int:
    """Work out the scores of everybody, each by itself.

    Args:
        store: A store with ``core.person`` and the values.
        book: The rule book.
        index_date: The day that is described.
        values: The table of the values.
        marks: What stands for values that are not in it; none when all are.
        unchanged: Scores whose rows are in ``derived.patient_score`` already, and right.

    Returns:
        Rows of ``derived.patient_score``.
    """
    parts = hold_scores(store, book, index_date=index_date, values=values, marks=marks, but=unchanged)
    kept = _keep(store, _SCORES, _rows_of(store, _SCORES, "score", unchanged), [*parts.values()])
    engine.let_go(store, *parts)
    return kept


_SCORES = "derived.patient_score"


def hold_scores(
    store: Store,
    book: RuleBook,
    *,
    index_date: date,
    values: str = _VALUES,
    marks: Marks | None = None,
    but: Collection[str] = (),
) -> dict[str, engine.Frame]:
    """Work out the scores of everybody as :func:`score_everybody` does, each held under the name it is given by.

    Scores in ``but`` are left out.
    """
    parts: dict[str, engine.Frame] = {}
    wanted = [name for name in book.score_order if name not in but]
    if not wanted:
        return parts
    marks = marks or mark_values(store, book, values)
    for name in wanted:
        own = book.cut_down_to(name)
        about = _About(store, own, index_date, values, marks)
        query = _written(about, f"score {name}", partial(_score_of, about, name))
        parts[f"score_{name}"] = engine.hold(store, f"score_{name}", query)
    return parts


@dataclass(frozen=True)
class _About:
    """What the query of a score or pathway is written from."""

    store: Store
    book: RuleBook
    index_date: date
    values: str
    marks: Marks | None

    def rows(self) -> engine.Frame:
        """Give the scored rows."""
        return scored_rows(self.store, self.book, index_date=self.index_date, values=self.values, marks=self.marks)


def _score_of(about: _About, name: str) -> engine.Frame:
    return scores.score_rows(about.rows(), about.book, only=name)


def _written(about: _About, part: str, write: Callable[[], engine.Frame]) -> str:
    """Give a frame as its query, written once in this process for the very same definitions, day and tables.

    Writing one takes tens of milliseconds however few the people: buckets, weeks made again and trials ask for the
    same again and again.
    """
    book = about.book
    made_of = (*book.variables.values(), *book.scores.values(), *book.pathways.values())
    persons = about.marks.persons(book.variables) if about.marks else None
    key = (part, about.index_date, about.values, persons, *map(id, made_of))
    if key not in _QUERIES:
        if len(_QUERIES) == _MOST_QUERIES:
            _QUERIES.clear()
        _QUERIES[key] = (engine.written(write()), made_of)
    return _QUERIES[key][0]


_QUERIES: dict[tuple[object, ...], tuple[str, tuple[object, ...]]] = {}
"""Queries by what they were written from, which is kept beside each: an identity must not come to be another's."""
_MOST_QUERIES = 300


def scored_table(pathway: str) -> str:
    """Name the table of scored rows, one for everybody, that a pathway was decided on."""
    return f"work.scored_for_{pathway}"


def decide_everybody(
    store: Store,
    book: RuleBook,
    *,
    index_date: date,
    values: str = _VALUES,
    marks: Marks | None = None,
    known: Sequence[engine.Frame] = (),
) -> int:
    """Propose what happens to each person on each pathway, each pathway by itself on its :func:`scored_table`.

    Args:
        store: A store with ``core.person`` and the values.
        book: The rule book.
        index_date: The day that is described.
        values: The table of the values.
        marks: What stands for values that are not in it; none when all are.
        known: Rows of pathways that are not in the book, to be kept beside those that are.

    Returns:
        Rows of ``derived.pathway_decision``.
    """
    parts = {}
    marks = marks or (mark_values(store, book, values) if book.pathways else None)
    for name in sorted(book.pathways):
        about = _About(store, book.cut_down_to(name), index_date, values, marks)
        rows = engine.settle(store, scored_table(name), _written(about, f"scored {name}", about.rows))
        decided = _written(about, f"decided {name}", partial(pathways.decide, rows, book.pathways[name], about.book))
        parts[f"decision_{name}"] = engine.hold(store, f"decision_{name}", decided)
    kept = _keep(store, "derived.pathway_decision", known, [*parts.values()])
    engine.let_go(store, *parts)
    return kept
