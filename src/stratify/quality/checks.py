"""Counts the rows that break each contract rule, twice, and gives each rule its verdict.

Great Expectations counts with its own expectation where it has one (missing, pattern, values, duplicate, row count),
and all the other rules of a table together by the contract's predicates, which it cannot read in another way; plain SQL
counts each rule. If the two differ the run stops: one of them has misread a rule. Of a table with very many rows both
are asked about a sample for this, which tells a misreading as well; verdicts are from every row. What loading found of
each row as it judged it is a third count, and has to be the same too: where it is there, verdicts are from it. Belongs
here: turning rules into expectations, the counts, their comparison. Does not belong: the wording of rules and
predicates (``contracts``).

Great Expectations keeps failing values in its results, its messages and its log. It is asked for counts only, its
messages are dropped, and its log is silent while it works.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from stratify import contracts
from stratify.errors import QualityError
from stratify.quality.results import ABOUT_TABLE, RuleResult, Stage, rule_verdict

if TYPE_CHECKING:
    from great_expectations.datasource.fluent import SQLDatasource
    from great_expectations.expectations.expectation import Expectation

    from stratify.contracts import Rule, TableContract
    from stratify.store import Store

_COUNTS_ONLY: Final = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
_COUNTED_AS: Final = ("unexpected_count", "observed_value")

MOST_ASKED: Final = 100_000
"""Rows of a table that both counts are held against each other for: enough that a rule misread shows."""

_NEVER: Final = "false"
"""Predicate of what cannot be: a value of a typed table has its type. Nobody is asked."""

_MEND_RULE: Final = "Correct the rule in the table's contract, then run again."
_MEND_COUNT: Final = "One of the two misreads the rule: do not use the data; correct the rule or the check."


@dataclass(frozen=True)
class _Check:
    """A rule, the SQL that is true for its bad rows (None: not a property of one row), and the key it is about."""

    rule: Rule
    predicate: str | None
    key: tuple[str, ...] = ()
    is_judged: bool = False

    @property
    def is_of_value(self) -> bool:
        """Whether a value alone tells: a pattern, that was not tried on every row already."""
        return self.rule.kind == "pattern" and self.predicate is not None and not self.is_judged


def check_tables(
    store: Store,
    tables: Sequence[TableContract],
    *,
    stage: Stage,
    rejected_percent: Mapping[str, float],
    data_cutoff: date,
    judged: Mapping[str, Mapping[str, str]] | None = None,
) -> list[RuleResult]:
    """Check tables of a run against their contracts.

    A duplicate is a row whose whole key is filled and shared with another row; all of them count. An empty value
    breaks no rule but the one that asks for it. Nothing that is not committed is seen.

    Args:
        store: The run's working store, holding the tables.
        tables: Contracts of the tables to check.
        stage: ``landing`` tables hold text as read, and rows that fail are set aside elsewhere; ``core`` (also
            derived) and ``out`` tables are typed, and an error in them stops.
        rejected_percent: Share of rows set aside per table, 0 to 100; asked for where the contract limits it.
        data_cutoff: The day the extract describes.
        judged: Per table, by id, the rules that every row has been judged by already, and the SQL that is true for a
            row that was found bad. That is counted of all rows, and must agree with the other counts.

    Returns:
        One result per table and rule, in order of ``tables`` and of the rules in each contract.

    Raises:
        QualityError: a table is not there, a rule cannot be counted, or its two counts differ. Verdicts raise nothing.
    """
    results: list[RuleResult] = []
    _require_columns(store, tables)
    with _expectations(store) as ask:
        for table in tables:
            known = (judged or {}).get(table.name, {})
            results.extend(_check_table(store, ask, table, stage, rejected_percent, data_cutoff, known))
    return results


def _check_table(
    store: Store,
    ask: _Asker,
    table: TableContract,
    stage: Stage,
    rejected_percent: Mapping[str, float],
    data_cutoff: date,
    judged: Mapping[str, str],
) -> list[RuleResult]:
    checks = [_plan(table, rule, raw=stage == "landing", data_cutoff=data_cutoff) for rule in table.rules]
    questions = _questions(table, [check for check in checks if check.predicate != _NEVER])
    as_judged = [_as_judged(check, judged) for check in checks]
    whole = _count_plainly(store, table, as_judged) if judged else None
    row_count = whole[0] if whole else int(store.scalar(f"SELECT count(*) FROM {table.name}"))
    with _few_of(store, table, row_count) as few:
        asked = ask.count(few, questions)
        asked_of, plain = _count_plainly(store, few, checks)
        kept = plain
        if whole:
            kept = whole[1] if few is table else _count_plainly(store, few, as_judged)[1]
    for question in questions:
        found = sum(plain[rule_id] for rule_id in question.rule_ids)
        _require_same(table, question.name, "Great Expectations", asked[question.name], found, asked_of)
    for check in as_judged:
        if check.is_judged:
            _require_same(table, check.rule.id, "loading", kept[check.rule.id], plain[check.rule.id], asked_of)
    counted = whole[1] if whole else plain if few is table else _count_plainly(store, table, checks)[1]
    results = []
    for check in checks:
        rule = check.rule
        if rule.kind == "rejected_percent":
            failed_count = _share_failed(table, rule, rejected_percent)
        else:
            found = counted[rule.id]
            failed_count = int(found < _minimum_rows(rule)) if rule.kind == "row_count" else found
        results.append(
            RuleResult(
                table=table.name,
                rule_id=rule.id,
                column=rule.column,
                severity=rule.severity,
                row_count=row_count,
                failed_count=failed_count,
                verdict=rule_verdict(kind=rule.kind, severity=rule.severity, failed_count=failed_count, stage=stage),
                description=rule.description,
                is_about_table=rule.kind in ABOUT_TABLE,
            )
        )
    return results


def _as_judged(check: _Check, judged: Mapping[str, str]) -> _Check:
    """Give a check that counts what was found when each row was judged, where it was."""
    known = judged.get(check.rule.id)
    return replace(check, predicate=known, is_judged=True) if known else check


def _require_same(table: TableContract, name: str, by: str, other: int, plain: int, rows: int) -> None:
    if other != plain:
        raise QualityError(
            f"{table.name}, rule {name}",
            expected=f"the same count from {by} and from plain SQL",
            found=f"{other} and {plain} of {rows} rows",
            action=_MEND_COUNT,
        )


@contextmanager
def _few_of(store: Store, table: TableContract, row_count: int) -> Iterator[TableContract]:
    """Give the table that both counts are made of: the table itself, or of very many rows some.

    They are taken by their key, so that rows that share one are taken together, and no more than the key is worked out
    of the others; by all they hold where keys are shared so much that this gives far too few or too many.
    """
    if row_count <= MOST_ASKED:
        yield table
        return
    few = replace(table, name=f"sample.{table.name.split('.')[1]}")
    parts = row_count // MOST_ASKED + 1
    store.execute("CREATE SCHEMA IF NOT EXISTS sample")
    try:
        for taken_by in (_columns(table.key), "whole_row") if table.key else ("whole_row",):
            # Not a temporary table: Great Expectations would not see it.
            part = f"hash({taken_by}) % {parts} = 0"
            store.execute(f"CREATE OR REPLACE TABLE {few.name} AS FROM {table.name} AS whole_row WHERE {part}")
            if 0.5 < store.scalar(f"SELECT count(*) FROM {few.name}") * parts / row_count < 2:
                break
        yield few
    finally:
        store.execute("DROP SCHEMA sample CASCADE")


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _plan(table: TableContract, rule: Rule, *, raw: bool, data_cutoff: date) -> _Check:
    if rule.kind in ABOUT_TABLE:
        if rule.limit is None:
            raise _unusable(table, rule, "a limit", "none")
        return _Check(rule, None)
    if rule.kind == "duplicate":
        key = (rule.column,) if rule.column else table.key
        if not key:
            raise _unusable(table, rule, "a key", "none")
        return _Check(rule, None, key)
    predicate = contracts.predicate(table, rule, raw=raw, data_cutoff=data_cutoff)
    if predicate is None:
        raise _unusable(table, rule, "a predicate for bad rows", "none")
    return _Check(rule, predicate)


def _unusable(table: TableContract, rule: Rule, expected: str, found: str) -> QualityError:
    return QualityError(f"{table.name}, rule {rule.id}", expected=expected, found=found, action=_MEND_RULE)


def _share_failed(table: TableContract, rule: Rule, rejected_percent: Mapping[str, float]) -> int:
    if table.name not in rejected_percent:
        raise _unusable(table, rule, "the share of rows set aside", "none told")
    percent = rejected_percent[table.name]
    within = not math.isnan(percent) and rule.limit is not None and percent <= rule.limit
    return int(not within)


def _minimum_rows(rule: Rule) -> int:
    """A row count rule says "more than": the least whole number that is."""
    return math.floor(rule.limit or 0) + 1


# The plain count


def _require_columns(store: Store, tables: Sequence[TableContract]) -> None:
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for layer, name, column in store.rows(
        "SELECT if(database_name = current_database(), schema_name, database_name), table_name, column_name "
        "FROM duckdb_columns() WHERE database_name = current_database() OR schema_name = 'main'"
    ):
        there[layer, name].add(column)
    for table in tables:
        layer, name = table.name.split(".")
        found = there.get((layer, name), set())
        lacking = [column.name for column in table.columns if column.name not in found]
        if lacking:
            raise QualityError(
                table.name,
                expected="a table with the columns of its contract",
                found="no such table" if not found else f"none named {', '.join(lacking)}",
                action="Correct the step that writes it, or the contract.",
            )


def _count_plainly(store: Store, table: TableContract, checks: Sequence[_Check]) -> tuple[int, dict[str, int]]:
    """Count every rule of a table: in one pass those about a row and whether a key is shared, in another the patterns.

    A table may be a view that is dear to read, so a pass for each rule would cost more than the rules.
    """
    patterns = [check for check in checks if check.is_of_value]
    row_checks = [check for check in checks if check.predicate is not None and check not in patterns]
    keyed = [check for check in checks if check.key]
    tried = tuple(dict.fromkeys(check.rule.column or "" for check in patterns))
    counts = ["count(*)", *(f"count(*) FILTER (WHERE {check.predicate})" for check in row_checks)]
    for check in keyed:
        # Where the hashes of the rows with a whole key all differ, which is quickly told, none share one.
        hashes = f"hash({_columns(check.key)})"
        counts += [f"count({each}) FILTER (WHERE {_is_filled(check.key)})" for each in (hashes, f"DISTINCT {hashes}")]
    counts += [f'approx_count_distinct("{column}")' for column in tried]
    row_count, *found = _one_row(store, table, f"SELECT {', '.join(counts)} FROM {table.name}")
    counted = {check.rule.id: found.pop(0) for check in row_checks}
    for check in keyed:
        filled, different = found.pop(0), found.pop(0)
        counted[check.rule.id] = 0 if filled == different else _duplicates(store, table, check.key)
    is_few = row_count < _FEW
    is_many = {column: is_few or number * _SHARED_BY > row_count for column, number in zip(tried, found, strict=True)}
    by_row = [check for check in patterns if is_many[check.rule.column or ""]]
    by_value = [check for check in patterns if check not in by_row]
    for some, query in ((by_row, _broken_by_row), (by_value, _broken_by_value)):
        if some:
            broken = _one_row(store, table, query(table, some))
            counted |= {check.rule.id: count for check, count in zip(some, broken, strict=True)}
    for check in checks:
        if check.rule.kind == "row_count":
            counted[check.rule.id] = row_count
    return row_count, counted


_FEW = 10_000
"""Rows of a table in which a pattern is rather tried on each than values put together first."""
_SHARED_BY = 4
"""Rows that share a value on average, from which on a pattern is tried once for each value and not for each row."""


def _is_filled(key: Sequence[str]) -> str:
    return " AND ".join(f'"{column}" IS NOT NULL' for column in key)


def _broken_by_row(table: TableContract, patterns: Sequence[_Check]) -> str:
    return f"SELECT {', '.join(f'count(*) FILTER (WHERE {check.predicate})' for check in patterns)} FROM {table.name}"


def _broken_by_value(table: TableContract, patterns: Sequence[_Check]) -> str:
    """Write how many rows break each pattern: the values of each column with how many share them, in one pass."""
    columns = tuple(dict.fromkeys(check.rule.column or "" for check in patterns))
    which = " ".join(f"WHEN grouping(\"{column}\") = 0 THEN '{column}'" for column in columns)
    sets = ", ".join(f'("{column}")' for column in columns)
    values = (
        f"SELECT {_columns(columns)}, CASE {which} END AS grouped_by, count(*) AS sharing "
        f"FROM {table.name} GROUP BY GROUPING SETS ({sets})"
    )
    broken = ", ".join(
        f"coalesce(sum(sharing) FILTER (WHERE grouped_by = '{check.rule.column}' AND {check.predicate}), 0)::BIGINT"
        for check in patterns
    )
    return f"SELECT {broken} FROM ({values})"


def _duplicates(store: Store, table: TableContract, key: Sequence[str]) -> int:
    """Count the rows that share a whole key."""
    groups = f"SELECT count(*) AS sharing FROM {table.name} WHERE {_is_filled(key)} GROUP BY {_columns(key)}"
    shared = f"SELECT coalesce(sum(sharing), 0)::BIGINT FROM ({groups} HAVING count(*) > 1)"
    return _one_row(store, table, shared)[0]


def _one_row(store: Store, table: TableContract, sql: str) -> tuple[int, ...]:
    from stratify.quality.dialect import database_error

    try:
        return store.rows(sql)[0]
    except database_error(store.connection):
        pass  # its message may hold a value; raised below, outside, so that nothing is chained to it
    raise QualityError(table.name, expected="rules that can be counted", found="one that cannot", action=_MEND_RULE)


# Great Expectations


@dataclass(frozen=True)
class _Question:
    """What Great Expectations is asked at once: a rule it has an expectation for (``kind``), or all that are left."""

    checks: tuple[_Check, ...]
    kind: str | None

    @property
    def rule_ids(self) -> tuple[str, ...]:
        return tuple(check.rule.id for check in self.checks)

    @property
    def name(self) -> str:
        return ", ".join(self.rule_ids)


def _questions(table: TableContract, checks: Sequence[_Check]) -> list[_Question]:
    counted = [(check, _own_kind(table, check)) for check in checks if check.rule.kind != "rejected_percent"]
    questions = [_Question((check,), kind) for check, kind in counted if kind]
    left = tuple(check for check, kind in counted if kind is None)
    return [*questions, _Question(left, None)] if left else questions


class _Asker:
    """Puts the checks of one table at a time to Great Expectations."""

    def __init__(self, source: SQLDatasource, faults: tuple[type[Exception], ...]) -> None:
        self._source, self._faults = source, faults

    def count(self, table: TableContract, questions: Sequence[_Question]) -> dict[str, int]:
        """Give the count of each question, by its name; the row count for one about that."""
        import great_expectations as gx

        if not questions:
            return {}
        layer, name = table.name.split(".")
        answers: Any = None
        try:
            asset = self._source.add_table_asset(name=table.name, table_name=name, schema_name=layer)
            batch = asset.add_batch_definition_whole_table("whole").get_batch()
            suite = gx.ExpectationSuite(table.name, expectations=[_expectation(table, each) for each in questions])
            answers = batch.validate(suite, result_format=_COUNTS_ONLY).results
        except self._faults:
            pass  # its message may hold a value; raised below, outside, so that nothing is chained to it
        if answers is None:
            raise QualityError(
                table.name, expected="a table Great Expectations can check", found="one it cannot", action=_MEND_RULE
            )
        counts: dict[str, int] = {}
        for answer in answers:
            asked = answer.expectation_config.meta["question"]
            found = answer.result
            # A sum over no rows is null: an empty table has no count, and no bad row either.
            empty = 0 if found.get("element_count") == 0 else None
            count = next((found[key] for key in _COUNTED_AS if found.get(key) is not None), empty)
            if _has_raised(answer.exception_info) or not isinstance(count, int):
                raise _cannot(table, asked)
            counts[asked] = count
        for question in questions:
            if question.name not in counts:
                raise _cannot(table, question.name)
        return counts


def _cannot(table: TableContract, rule_id: str) -> QualityError:
    return QualityError(
        f"{table.name}, rule {rule_id}",
        expected="a rule Great Expectations can evaluate",
        found="an error while it did (not shown: it may hold a value)",
        action=_MEND_RULE,
    )


def _has_raised(info: Mapping[str, Any] | None) -> bool:
    """Read both shapes of exception information: flat, or one entry per metric."""
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(_has_raised(entry) for entry in info.values() if isinstance(entry, Mapping))


def _expectation(table: TableContract, question: _Question) -> Expectation:
    """Write one question as an expectation: Great Expectations' own, or over predicates."""
    from great_expectations import expectations as gxe

    # Suites drop expectations that differ in metadata only, so the name stands in the description as well.
    named: dict[str, Any] = {"meta": {"question": question.name}, "description": question.name}
    if question.kind is None:
        return gxe.UnexpectedRowsExpectation(unexpected_rows_query=_query(question.checks), **named)
    rule, key = question.checks[0].rule, question.checks[0].key
    if question.kind == "row_count":
        return gxe.ExpectTableRowCountToBeBetween(min_value=_minimum_rows(rule), **named)
    if len(key) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=key[0], **named)
    if key:
        return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key), **named)
    column = table.column(str(rule.column))
    if question.kind == "missing":
        return gxe.ExpectColumnValuesToNotBeNull(column=column.name, **named)
    if question.kind == "pattern":
        return gxe.ExpectColumnValuesToMatchRegex(column=column.name, regex=str(column.pattern), **named)
    return gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.valid_values or ()), **named)


def _own_kind(table: TableContract, check: _Check) -> str | None:
    """Say which expectation of Great Expectations' own counts a rule; None where it has none."""
    rule = check.rule
    if check.key or rule.kind == "row_count":
        return rule.kind
    column = table.column(rule.column) if rule.column else None
    if column is None:
        return None
    is_text = column.type == "VARCHAR"
    has_own = {
        "missing": True,
        "pattern": is_text and bool(column.pattern),
        "values": is_text and bool(column.valid_values) and _is_only_list(table, rule),
    }
    return rule.kind if has_own.get(rule.kind) else None


def _is_only_list(table: TableContract, rule: Rule) -> bool:
    """A column remembers one list of values; a second list is checked by its predicate."""
    return sum(other.kind == "values" and other.column == rule.column for other in table.rules) == 1


def _query(checks: Sequence[_Check]) -> str:
    """Select a constant as often as rows break one of the rules, never a value.

    Braces are doubled for Great Expectations, colons escaped for SQLAlchemy, which would take ``:word`` for a
    parameter.
    """
    counts = " + ".join(f"count(*) FILTER (WHERE {check.predicate})" for check in checks)
    literal = counts.replace("{", "{{").replace("}", "}}").replace(":", "\\:")
    return f"SELECT unnest(range((SELECT {literal} FROM (SELECT * FROM {{batch}}) t))) AS bad"


@contextmanager
def _expectations(store: Store) -> Iterator[_Asker]:
    """Open Great Expectations over the store's own connection, silent, and put everything back after."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig
        from great_expectations.datasource.fluent.interfaces import TestConnectionError
        from great_expectations.exceptions import GreatExpectationsError
        from sqlalchemy.exc import SQLAlchemyError

        from stratify.quality.dialect import database_error, lend

        # ValueError: what its models raise for an argument they refuse.
        faults = (
            GreatExpectationsError,
            TestConnectionError,
            SQLAlchemyError,
            ValueError,
            database_error(store.connection),
        )
        with _silent("great_expectations"), _silent("sqlalchemy"), lend(store.connection) as url:
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            source = context.data_sources.add_sql("store", connection_string=url, create_temp_table=False)
            yield _Asker(source, faults)


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Swallow what a library logs, whatever level its own loggers set, and let it speak again after."""
    logger = logging.getLogger(name)
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
