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
    """Reduce the records to one value per person and variable.

    Args:
        store: A store with the core tables and ``derived.code_match``.
        book: The rule book.
        index_date: The day that is described.

    Returns:
        Rows of ``derived.variable_value``; ``work.variable_code`` says what each code means.
    """
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    matches = store.rows("SELECT code_system, code, codelist FROM derived.code_match")
    with store.loaned(hits.code_table(book, matches, index_date=index_date)) as codes:
        store.execute(f"CREATE OR REPLACE TABLE work.variable_code AS SELECT * FROM {codes}")
    values = features.variable_values(
        core_tables(store),
        engine.table(store, "work.variable_code"),
        book,
        index_date=index_date,
        settle=lambda name, frame: engine.settle(store, f"work.{name}", frame),
    )
    kept = engine.keep(store, _VALUES, values)
    for name in hits.SETTLED:
        store.execute(f"DROP TABLE IF EXISTS work.{name}")
    return kept


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


def score_everybody(store: Store, book: RuleBook, *, index_date: date) -> int:
    """Work out the scores of everybody, each by itself.

    Args:
        store: A store with ``core.person`` and ``derived.variable_value``.
        book: The rule book.
        index_date: The day that is described.

    Returns:
        Rows of ``derived.patient_score``.
    """
    parts = []
    made = []
    for name in book.score_order:
        own = book.cut_down_to(name)
        found = scores.score_rows(scored_rows(store, own, index_date=index_date), own)
        made.append(f"work.score_{name}")
        parts.append(engine.settle(store, made[-1], found.filter(nw.col("score") == name)))
    kept = engine.keep(store, "derived.patient_score", engine.concat(parts)) if parts else 0
    for name in made:
        store.execute(f"DROP TABLE {name}")
    return kept


def scored_table(pathway: str) -> str:
    """Name the table of scored rows, one for everybody, that a pathway was decided on."""
    return f"work.scored_for_{pathway}"


def decide_everybody(store: Store, book: RuleBook, *, index_date: date) -> int:
    """Propose what happens to each person on each pathway, each pathway by itself on its :func:`scored_table`.

    Args:
        store: A store with ``core.person`` and ``derived.variable_value``.
        book: The rule book.
        index_date: The day that is described.

    Returns:
        Rows of ``derived.pathway_decision``.
    """
    parts = []
    made = []
    for name in sorted(book.pathways):
        own = book.cut_down_to(name)
        rows = engine.settle(store, scored_table(name), scored_rows(store, own, index_date=index_date))
        made.append(f"work.decision_{name}")
        parts.append(engine.settle(store, made[-1], pathways.decide(rows, book.pathways[name], own)))
    kept = engine.keep(store, "derived.pathway_decision", engine.concat(parts)) if parts else 0
    for name in made:
        store.execute(f"DROP TABLE {name}")
    return kept
