"""Tries a changed codelist on a finished run: how many people each definition that reads it gains and loses.

Belongs here: reckoning the run's own records twice, with and without the change, and counting the difference. Counts
only ever leave it, small ones hidden (``disclosure``); no person, code or date does. Writes nothing that stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from stratify import disclosure
from stratify.ingest import match_codes
from stratify.reckoning import decide_everybody, hold_values, score_everybody
from stratify.rulebook import RuleBook
from stratify.rules import Codelist
from stratify.runs import Plan, plan_in_place, without_values
from stratify.store import Store, open_store


@dataclass(frozen=True)
class Readers:
    """Who reads a codelist: measurements and variables at once, scores and pathways through them."""

    measurements: tuple[str, ...]
    variables: tuple[str, ...]
    scores: tuple[str, ...]
    pathways: tuple[str, ...]

    @property
    def is_anybody(self) -> bool:
        """Whether anything reads it."""
        return bool(self.measurements or self.variables)


@dataclass(frozen=True)
class Movement:
    """How many people come to something and leave it; ``changes`` counts those who stay with another value."""

    what: str
    joins: int
    leaves: int
    changes: int = 0

    @property
    def in_words(self) -> str:
        """The movement in a sentence, with small counts hidden and the others to the nearest 5."""
        told = [_told(self.joins, "join"), _told(self.leaves, "leave")]
        if self.changes:
            told = [*(told if self.joins or self.leaves else ()), f"{_told(self.changes, 'stay')} with another value"]
        return f"{self.what}: {', '.join(told)}"


@dataclass(frozen=True)
class Trial:
    """What a trial on a run gives."""

    index_date: date
    is_test: bool
    are_rules_of_run: bool
    codes_matched: int
    movements: tuple[Movement, ...]


def readers(book: RuleBook, codelist: str) -> Readers:
    """Say which definitions read a codelist, through whatever lies between."""
    measurements = {
        each.id
        for each in book.measurements.values()
        if codelist in (*each.codelists, *each.unit_of_codelists, *each.grade_codelists, *each.offset_codelists)
    }
    variables = {
        each.id
        for each in book.variables.values()
        if codelist in each.codelists
        or any(record.kind == "measurement" and record.what in measurements for record in each.records)
    }
    touched = {name for name in book.scores if variables & set(book.variables_of_score(name))}
    on_path = {each.id for each in book.pathways.values() if variables & set(_variables_of_pathway(book, each.id))}
    return Readers(
        tuple(sorted(measurements)), tuple(sorted(variables)), tuple(sorted(touched)), tuple(sorted(on_path))
    )


def _variables_of_pathway(book: RuleBook, name: str) -> set[str]:
    pathway = book.pathways[name]
    own = {each for condition in pathway.conditions for each in book.variables_of(condition)}
    return own | {each for name in pathway.scores for each in book.variables_of_score(name)}


@without_values
def compare(out: Path, book: RuleBook, changed: Codelist) -> Trial:
    """Count who joins and who leaves each definition that reads a codelist, were it changed.

    The run's records are reckoned with the changed codelist, and without the change too where ``book`` is not the one
    of the run; else the run's own results are what it is compared with. Codes of measurements are read when a run loads
    its files, so that what a change of theirs does cannot be counted here.

    Args:
        out: Output folder of a finished run.
        book: The rule book without the change.
        changed: The codelist as it would be.

    Raises:
        RunError: the folder holds no finished run.
    """
    with _reckoning(out) as (store, plan):
        index_date = plan.settings.index_date
        found = readers(book, changed.id)
        is_read_here = any(changed.id in book.variables[name].codelists for name in found.variables)
        after = replace(book, codelists={**book.codelists, changed.id: changed})
        match_codes(store, [changed])
        matched = int(store.scalar("SELECT count(DISTINCT code) FROM derived.code_match"))
        movements: tuple[Movement, ...] = ()
        is_same_book = plan.rule_digest == book.digest
        if is_read_here:
            if is_same_book:
                _as_in_run(store, _part(book, found))
            else:
                _reckon(store, _part(book, found), "before", index_date)
            _reckon(store, _part(after, found), "after", index_date)
            movements = (*_of_variables(store), *_of_scores(store), *_of_pathways(store))
        return Trial(index_date, plan.is_test, is_same_book, matched, movements)


@without_values
def matched_codelists(out: Path) -> set[str]:
    """Give the codelists that some code of a finished run's records was found in.

    Raises:
        RunError: the folder holds no finished run.
    """
    with _reckoning(out) as (store, _):
        return {row[0] for row in store.rows("SELECT DISTINCT codelist FROM run.derived.code_match")}


@contextmanager
def _reckoning(out: Path) -> Iterator[tuple[Store, Plan]]:
    """Open an empty store with views of the core tables of a finished run, inside the run's restricted folder."""
    plan = plan_in_place(out)
    restricted = plan.restricted
    with TemporaryDirectory(prefix="codelist-trial-", dir=restricted) as name:
        folder = Path(name)
        with open_store(
            folder / "trial.duckdb",
            temp_directory=folder / "scratch",
            memory_limit=plan.settings.memory_limit,
            threads=plan.settings.threads,
        ) as store:
            store.attach(restricted / "run.duckdb", "run", read_only=True)
            store.execute("CREATE SCHEMA work")
            for (table,) in store.rows(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'run' AND schema_name = 'core' ORDER BY 1"
            ):
                store.execute(f"CREATE VIEW core.{table} AS SELECT * FROM run.core.{table}")
            yield store, plan


def _part(book: RuleBook, found: Readers) -> RuleBook:
    """Give the part of a rule book that a change reaches, with all that part needs."""
    return book.cut_down_to(*found.variables, *found.scores, *found.pathways)


def _reckon(store: Store, book: RuleBook, when: str, index_date: date) -> None:
    read = {name for each in book.variables.values() for name in each.codelists}
    match_codes(store, [each for name, each in book.codelists.items() if name in read])
    values, marks = hold_values(store, book, index_date=index_date)
    score_everybody(store, book, index_date=index_date, values=values, marks=marks)
    decide_everybody(store, book, index_date=index_date, values=values, marks=marks)
    _note(store, book, "", f"(FROM {values} SELECT patient_key, variable, value UNION ALL {marks.rows()})", when)


def _as_in_run(store: Store, book: RuleBook) -> None:
    _note(store, book, "run.", "run.derived.variable_value", "before")


def _note(store: Store, book: RuleBook, database: str, values: str, when: str) -> None:
    """Keep what is compared of the part of the rule book: values, tiers and decisions of each person."""
    for kind, columns, names in (
        ("variable_value", "patient_key, variable, value", book.variables),
        ("patient_score", "patient_key, score, coalesce(tier, 'no tier') AS tier, value", book.scores),
        ("pathway_decision", "patient_key, pathway, decision", book.pathways),
    ):
        what = kind.split("_")[0] if kind != "patient_score" else "score"
        chosen = ", ".join(f"'{name}'" for name in names) or "NULL"
        is_found = " AND value IS NOT NULL" if what == "variable" else ""
        table = f"{database}derived.{kind}" if names else f"run.derived.{kind}"
        table = values if what == "variable" else table
        store.execute(
            f"CREATE TABLE work.{what}_{when} AS SELECT {columns} FROM {table} WHERE {what} IN ({chosen}){is_found}"
        )


def _of_variables(store: Store) -> Iterator[Movement]:
    for name, joins, leaves, changes in store.rows(
        "SELECT variable, count(*) FILTER (b.value IS NULL), count(*) FILTER (a.value IS NULL), "
        "count(*) FILTER (a.value <> b.value) "
        "FROM work.variable_before AS b FULL JOIN work.variable_after AS a USING (patient_key, variable) "
        "GROUP BY variable HAVING bool_or(a.value IS DISTINCT FROM b.value) ORDER BY variable"
    ):
        yield Movement(f"variable {name}", joins, leaves, changes)


def _of_scores(store: Store) -> Iterator[Movement]:
    moved = (
        "SELECT score, b.tier AS old, a.tier AS new "
        "FROM work.score_before AS b FULL JOIN work.score_after AS a USING (patient_key, score) "
        "WHERE a.tier IS DISTINCT FROM b.tier"
    )
    for name, tier, joins, leaves in store.rows(_joins_and_leaves(moved, "score")):
        yield Movement(f"score {name}, {tier}", joins, leaves)
    for name, changes in store.rows(
        "SELECT score, count(*) FROM work.score_before AS b JOIN work.score_after AS a USING (patient_key, score) "
        "WHERE a.tier = b.tier AND a.value IS DISTINCT FROM b.value GROUP BY score ORDER BY score"
    ):
        yield Movement(f"score {name}, same tier", 0, 0, changes)


def _of_pathways(store: Store) -> Iterator[Movement]:
    moved = (
        "SELECT pathway, b.decision AS old, a.decision AS new "
        "FROM work.pathway_before AS b FULL JOIN work.pathway_after AS a USING (patient_key, pathway) "
        "WHERE a.decision IS DISTINCT FROM b.decision"
    )
    for name, decision, joins, leaves in store.rows(_joins_and_leaves(moved, "pathway")):
        yield Movement(f"pathway {name}, {decision}", joins, leaves)


def _joins_and_leaves(moved: str, what: str) -> str:
    return (
        f"WITH moved AS ({moved}) SELECT {what}, place, count(*) FILTER (is_join), count(*) FILTER (NOT is_join) FROM ("
        f"SELECT {what}, new AS place, true AS is_join FROM moved WHERE new IS NOT NULL UNION ALL "
        f"SELECT {what}, old, false FROM moved WHERE old IS NOT NULL) GROUP BY ALL ORDER BY ALL"
    )


def _told(count: int, verb: str) -> str:
    if count == 0:
        return f"nobody {verb}s"
    is_hidden = count <= disclosure.LARGEST_HIDDEN
    return f"{disclosure.in_words(count) if is_hidden else f'about {disclosure.rounded(count):,}'} {verb}"
