"""A rule book worked out over the tables of a store: where the reckoning meets the engine that runs it.

Belongs here: the steps from core tables to values, scores and decisions, one function a step, for whoever works a rule
book out: a run, and trials of another rule book or codelist on a finished one. What a rule means is in ``features``,
``scores`` and ``pathways``.
"""

from __future__ import annotations

from datetime import date

import narwhals.stable.v2 as nw

from stratify import engine, features, hits, pathways, scores, wide
from stratify.rulebook import RuleBook
from stratify.store import Store

_VALUES = "derived.variable_value"


def core_tables(store: Store) -> dict[str, engine.Frame]:
    """Give the core tables that variables read."""
    return {name: engine.table(store, f"core.{name}") for name in hits.SOURCE_TABLES}


def work_values(store: Store, book: RuleBook, *, index_date: date) -> int:
    """Reduce the records to one value per person and variable, with the record behind each.

    Args:
        store: A store with the core tables and ``derived.code_match``.
        book: The rule book.
        index_date: The day that is described.

    Returns:
        Rows of ``derived.variable_value``; ``work.variable_code`` says what each code means.
    """
    records = _records(store, book, index_date)
    kept = engine.keep(store, _VALUES, features.with_records(records, book, index_date=index_date))
    engine.let_go(store, *hits.SETTLED)
    return kept


def hold_values(store: Store, book: RuleBook, *, index_date: date) -> str:
    """Reduce the records to values without the record behind each: scores and decisions need no more.

    Returns:
        The table to name to :func:`score_everybody` and :func:`decide_everybody`; it is held until the store closes.
    """
    engine.hold(store, _HELD, features.values_of(_records(store, book, index_date), book, index_date=index_date))
    engine.let_go(store, *hits.SETTLED)
    return f"temp.main.{_HELD}"


_HELD = "value_held"


def _records(store: Store, book: RuleBook, index_date: date) -> dict[str, engine.Frame]:
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    matches = store.rows("SELECT code_system, code, codelist FROM derived.code_match")
    with store.loaned(hits.code_table(book, matches, index_date=index_date)) as codes:
        store.execute(f"CREATE OR REPLACE TABLE work.variable_code AS SELECT * FROM {codes}")
    return features.records_of(
        core_tables(store),
        engine.table(store, "work.variable_code"),
        book,
        index_date=index_date,
        settle=lambda name, frame: engine.hold(store, name, frame),
    )


def scored_rows(store: Store, book: RuleBook, *, index_date: date, values: str = _VALUES) -> engine.Frame:
    """Give a scored row per person with what a rule book asks for and no more.

    A row of everything known of a person grows with every definition, and so does the work of planning a query on it:
    cut the rule book down first.

    Args:
        store: A store with ``core.person`` and the values.
        book: The rule book.
        index_date: The day that is described.
        values: The table of the values.
    """
    mine = engine.table(store, values).filter(nw.col("variable").is_in(sorted(book.variables) or [""]))
    rows = wide.person_rows(engine.table(store, "core.person"), mine, book, index_date=index_date)
    return scores.add_scores(rows, book)


def score_everybody(store: Store, book: RuleBook, *, index_date: date, values: str = _VALUES) -> int:
    """Work out the scores of everybody, each by itself.

    Args:
        store: A store with ``core.person`` and the values.
        book: The rule book.
        index_date: The day that is described.
        values: The table of the values.

    Returns:
        Rows of ``derived.patient_score``.
    """
    parts = {}
    for name in book.score_order:
        own = book.cut_down_to(name)
        rows = scored_rows(store, own, index_date=index_date, values=values)
        parts[f"score_{name}"] = engine.hold(store, f"score_{name}", scores.score_rows(rows, own, only=name))
    kept = engine.keep(store, "derived.patient_score", engine.concat([*parts.values()])) if parts else 0
    engine.let_go(store, *parts)
    return kept


def scored_table(pathway: str) -> str:
    """Name the table of scored rows, one for everybody, that a pathway was decided on."""
    return f"work.scored_for_{pathway}"


def decide_everybody(store: Store, book: RuleBook, *, index_date: date, values: str = _VALUES) -> int:
    """Propose what happens to each person on each pathway, each pathway by itself on its :func:`scored_table`.

    Args:
        store: A store with ``core.person`` and the values.
        book: The rule book.
        index_date: The day that is described.
        values: The table of the values.

    Returns:
        Rows of ``derived.pathway_decision``.
    """
    parts = {}
    for name in sorted(book.pathways):
        own = book.cut_down_to(name)
        scored = scored_rows(store, own, index_date=index_date, values=values)
        rows = engine.settle(store, scored_table(name), scored)
        decided = pathways.decide(rows, book.pathways[name], own)
        parts[f"decision_{name}"] = engine.hold(store, f"decision_{name}", decided)
    kept = engine.keep(store, "derived.pathway_decision", engine.concat([*parts.values()])) if parts else 0
    engine.let_go(store, *parts)
    return kept
