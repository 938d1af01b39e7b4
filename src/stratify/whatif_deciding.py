"""What a pathway proposes, worked out quickly for a question: only for those who may be on it, and without evidence.

Belongs here: values and decisions by the reckoning of the run, held in memory. Does not belong: of which day, by which
definitions and for which change (``whatif_past``, ``whatif_run``).
"""

from __future__ import annotations

from datetime import date

import narwhals.stable.v2 as nw

from stratify import engine, pathways
from stratify.marks import Marks, mark_values
from stratify.reckoning import hold_values, scored_rows
from stratify.rulebook import RuleBook
from stratify.scores import truth
from stratify.store import Store

COLUMNS = "patient_key, variable, value, state, bound"
"""What decisions read of ``derived.variable_value``."""

_CANDIDATE, _VALUE = "temp.main.candidate", "temp.main.candidate_value"


def keep_values(store: Store, name: str, book: RuleBook, *, index_date: date) -> None:
    """Work values out from the records of ``core`` tables and keep them as a table of ``COLUMNS``, in no order."""
    held, marks = hold_values(store, book, index_date=index_date)
    marked = f"SELECT patient_key, variable, value, 'known' AS state, NULL AS bound FROM ({marks.rows()})"
    store.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {COLUMNS} FROM {held} UNION ALL {marked}")


def decide_candidates(
    store: Store, book: RuleBook, pathway: str, *, index_date: date, people: str, values: str, into: str
) -> None:
    """Decide a pathway for whoever may be on it; the wide rows, which cost most, are those of nobody else.

    Args:
        store: A store; its ``core.person`` is another afterwards.
        book: The rule book.
        pathway: The pathway.
        index_date: The day that is described.
        people: The table of everybody who is asked (contract ``core.person``).
        values: The table of their values: ``COLUMNS``.
        into: The table of decisions that these are added to.
    """
    own = book.cut_down_to(pathway)
    cohort = own.pathways[pathway].cohort
    store.execute(f"CREATE OR REPLACE VIEW core.person AS SELECT * FROM {people}")
    first = own.cut_down_to(*own.variables_of(cohort), *cohort.variables, *cohort.scores)
    rows = scored_rows(store, first, index_date=index_date, values=values, marks=_marks(store, first, values))
    is_on = nw.when(~truth(cohort, first)).then(nw.lit(False)).otherwise(nw.lit(True))
    engine.hold(store, "candidate", rows.filter(is_on).select("patient_key"))
    store.execute(
        f"CREATE OR REPLACE VIEW core.person AS SELECT * FROM {people} SEMI JOIN {_CANDIDATE} USING (patient_key)"
    )
    names = ", ".join(f"'{name}'" for name in sorted(own.variables)) or "''"
    store.execute(
        f"CREATE OR REPLACE TEMP TABLE candidate_value AS SELECT {COLUMNS} FROM {values} "
        f"SEMI JOIN {_CANDIDATE} USING (patient_key) WHERE variable IN ({names})"
    )
    marks = _marks(store, own, _VALUE)
    scored = engine.hold(store, "scored", scored_rows(store, own, index_date=index_date, values=_VALUE, marks=marks))
    engine.hold(store, "decided", pathways.decide(scored, own.pathways[pathway], own))
    store.execute(f"INSERT INTO {into} BY NAME SELECT * FROM temp.main.decided")
    engine.let_go(store, "candidate", "candidate_value", "scored", "decided")


def _marks(store: Store, book: RuleBook, values: str) -> Marks | None:
    """Give marks of the values that are yes or nothing; none where there are none."""
    has = any(each.take == "has" and not each.ended_by for each in book.variables.values())
    return mark_values(store, book, values) if has else None
