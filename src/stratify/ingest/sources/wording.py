"""A declaration's words as SQL: conditions, values and look-ups over the staged rows of its files.

Belongs here: what each verb means. Does not belong: files and staging (``reading``). Whatever a verb cannot read stays
as the text it was, for the row rules to set aside by place. ``raw_<file>`` holds every row of a file, with ``_file``,
``_line``, ``_name`` and ``_part``; ``row_<file>`` those that are not left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stratify import contracts
from stratify.declarations import Condition, Declaration, ExtractFile, LookUp, Made, Part, Value
from stratify.ingest.sources.finding import pattern_of
from stratify.ingest.sources.loading import columns_of, form_of

NOTHING = "CAST(NULL AS VARCHAR)"
"""A column a file does not have."""

_MOMENT_AS_IT_IS = ("yyyy-MM-ddTHH:mm:ss", "yyyy-MM-dd HH:mm:ss")


def identifier(name: str) -> str:
    """Write a name of a column or table."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Write a constant text."""
    return "'" + value.replace("'", "''") + "'"


State = Literal["", "before_"]
"""As things are with a set, or as they were before it."""


def raw(kind: str) -> str:
    """Write the name of every row of a file of the set."""
    return identifier(f"raw_{kind}")


def rows(kind: str, state: State = "") -> str:
    """Write the name of the rows that tables are made of: those of the set that are not left out.

    In a set of changes also earlier ones that look up something that changed.
    """
    return identifier(f"{state}row_{kind}")


def found(kind: str, state: State = "") -> str:
    """Write the name of the rows that look-ups find: those of the set, and what still stands of the sets before it."""
    return identifier(f"{state}found_{kind}")


def holds(conditions: Sequence[Condition], alias: str, depth: int = 0, state: State = "") -> str:
    """Write what is true when every condition holds of a row, and false otherwise: never null."""
    return " AND ".join(_condition(each, alias, depth, state) for each in conditions) or "true"


def _condition(condition: Condition, alias: str, depth: int, state: State) -> str:
    if condition.found_in is not None:
        other = f"f{depth}"
        same = [f"{other}.{identifier(b)} = {alias}.{identifier(a)}" for a, b in condition.match.items()]
        where = holds(condition.where, other, depth + 1, state)
        place = found(condition.found_in, state)
        return f"EXISTS (SELECT 1 FROM {place} AS {other} WHERE {' AND '.join(same)} AND {where})"
    column = f"{alias}.{identifier(condition.column or '')}"
    if condition.is_filled is not None:
        return f"{column} IS {'NOT ' if condition.is_filled else ''}NULL"
    listed = ", ".join(text(each) for each in (condition.one_of or condition.none_of or ()))
    if condition.one_of is not None:
        return f"coalesce({column} IN ({listed}), false)"
    return f"coalesce({column} NOT IN ({listed}), true)"


def left_out_reason(file: ExtractFile, alias: str, state: State = "") -> str:
    """Write the number of the first reason a row is left out for, null where it is not."""
    cases = [f"WHEN {holds(each.when, alias, 0, state)} THEN {number}" for number, each in enumerate(file.left_out)]
    return f"CASE {' '.join(cases)} END" if cases else "NULL"


class PartQuery:
    """One part of a landing table as a query, with the look-ups it needs."""

    def __init__(self, declaration: Declaration, table: str, part: Part, state: State = "") -> None:
        self._declaration, self._table, self._part, self._state = declaration, table, part, state
        self._form = form_of(declaration, part.file).form
        self._hits: dict[str, tuple[int, LookUp, list[str]]] = {}

    def sql(self) -> str:
        """Write the part: the landing columns in their order, then ``_file``, ``_line``, ``_name``."""
        contract = contracts.load(f"landing.{self._table}")
        made = {name: self._value(value) for name, value in self._part.columns.items()}
        if "unit_raw" in made and self._declaration.unit_words:
            made["unit_raw"] = _in_words(made["unit_raw"], self._declaration.unit_words, "kept")
        if "is_deleted" in contract.column_names and "is_deleted" not in made:
            made["is_deleted"] = self._withdrawn()
        columns = [f"{made.get(name, 'NULL')}::VARCHAR AS {identifier(name)}" for name in contract.column_names]
        return (
            f"SELECT {', '.join(columns)}, r._file, r._line, r._name FROM {rows(self._part.file, self._state)} AS r"
            f"{''.join(self._join(*hit) for hit in self._hits.values())} "
            f"WHERE {holds(self._part.when, 'r', 0, self._state)}"
        )

    def _withdrawn(self) -> str:
        withdrawn = form_of(self._declaration, self._part.file).withdrawn
        if withdrawn is None or withdrawn.column not in columns_of(self._declaration, self._part.file):
            return "NULL"
        column = f"r.{identifier(withdrawn.column)}"
        words = dict.fromkeys(withdrawn.standing_words, "false") | dict.fromkeys(withdrawn.withdrawn_words, "true")
        return f"coalesce({_in_words(column, words, 'kept')}, 'false')"

    def _value(self, made: Made | None, alias: str = "r") -> str:
        if made is None:
            return "NULL"
        if isinstance(made, str):
            return f"{alias}.{identifier(made)}"
        sql = self._made(made, alias)
        if made.values or made.other_values == "empty":
            sql = _in_words(sql, made.values, made.other_values)
        if made.is_lower_case:
            sql = f"lower({sql})"
        if made.part is not None:
            pattern = " .*$" if made.part == "before_space" else "^[^ ]* *"
            sql = f"nullif(regexp_replace({sql}, '{pattern}', ''), '')"
        if made.is_postcode:
            sql = rf"regexp_replace({sql}, '^([A-Za-z0-9]{{2,4}})([0-9][A-Za-z]{{2}})$', '\1 \2')"
        if made.when:
            condition = holds(made.when, alias, 0, self._state)
            sql = f"CASE WHEN {condition} THEN {sql} ELSE {self._value(made.otherwise, alias)} END"
        return sql

    def _made(self, value: Value, alias: str) -> str:
        if value.column is not None:
            return self._value(value.column, alias)
        if value.constant is not None:
            return text(value.constant)
        if value.first_of is not None:
            return f"coalesce({', '.join(self._value(each, alias) for each in value.first_of)})"
        if value.join is not None:
            parts = ", ".join(self._value(each, alias) for each in value.join)
            return f"nullif(concat_ws({text(value.separator)}, {parts}), '')"
        if value.date is not None:
            return self._day(value.date, alias)
        if value.moment is not None:
            return self._moment(value.moment, alias)
        if value.look_up is not None:
            # Several columns of one row are one look-up.
            same = value.look_up.model_dump_json(exclude={"give"})
            number, _, gives = self._hits.setdefault(same, (len(self._hits), value.look_up, []))
            if value.look_up.give not in gives:
                gives.append(value.look_up.give)
            return f"j{number}.hit.{identifier(value.look_up.give)}"
        if value.days_between is not None:
            first, last = (f"TRY_CAST({self._day(each, alias)} AS DATE)" for each in value.days_between)
            return f"date_diff('day', {first}, {last})"
        if value.minutes_between is not None:
            first, last = (f"TRY_CAST({self._moment(each, alias)} AS TIMESTAMP)" for each in value.minutes_between)
            return f"date_diff('minute', {first}, {last})"
        piece = f"CASE WHEN {alias}._part = 0 THEN '' ELSE '.' || ({alias}._part + 1) END"
        return f"({text(value.line_of or '')} || {piece} || ':' || {alias}._line)"

    def _day(self, made: Made, alias: str) -> str:
        return _read(self._value(made, alias), self._form.dates or (), as_is=("yyyy-MM-dd",), gives="%Y-%m-%d")

    def _moment(self, made: Made, alias: str) -> str:
        formats, sql = self._form.moments or (), self._value(made, alias)
        whole = tuple(each for each in formats if "HH" in each)
        days = tuple(each for each in formats if "HH" not in each)
        read = _readings(sql, whole, as_is=_MOMENT_AS_IT_IS, gives="%Y-%m-%dT%H:%M:%S")
        read += _readings(sql, days, as_is=("yyyy-MM-dd",), gives="%Y-%m-%d")
        return f"coalesce({', '.join([*read, sql])})"

    def _join(self, number: int, look_up: LookUp, gives: list[str]) -> str:
        fields = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in gives)
        keys = ", ".join(identifier(name) for name in look_up.match.values())
        place = "(x._file, x._line)"
        chosen = f"min_by(struct_pack({fields}), {place})"
        if look_up.latest_by is not None:
            chosen = f"max_by(struct_pack({fields}), (coalesce({self._latest(look_up)}, ''), x._file, x._line))"
        same = " AND ".join(
            f"j{number}.{identifier(theirs)} = r.{identifier(ours)}" for ours, theirs in look_up.match.items()
        )
        return (
            f" LEFT JOIN (SELECT {keys}, {chosen} AS hit FROM {found(look_up.found_in, self._state)} AS x "
            f"WHERE {holds(look_up.where, 'x', 0, self._state)} GROUP BY {keys}) AS j{number} ON {same}"
        )

    def _latest(self, look_up: LookUp) -> str:
        form, self._form = self._form, form_of(self._declaration, look_up.found_in).form
        sql = self._value(look_up.latest_by, "x")
        self._form = form
        return sql

    def ambiguities(self) -> list[tuple[str, str, str]]:
        """Give a query for each look-up that must be settled by its key: file, column, and the keys that are not."""
        self.sql()
        queries = []
        for _, look_up, gives in self._hits.values():
            if look_up.latest_by is not None:
                continue
            keys = ", ".join(identifier(name) for name in look_up.match.values())
            filled = " AND ".join(f"x.{identifier(name)} IS NOT NULL" for name in look_up.match.values())
            for name in gives:
                queries.append(
                    (
                        look_up.found_in,
                        name,
                        f"SELECT count(*) FROM (SELECT 1 FROM {found(look_up.found_in)} AS x WHERE {filled} "
                        f"AND {holds(look_up.where, 'x')} GROUP BY {keys} "
                        f"HAVING count(DISTINCT coalesce({identifier(name)}, '')) > 1)",
                    )
                )
        return queries


def _in_words(sql: str, words: dict[str, str], others: str) -> str:
    cases = [f"WHEN {text(theirs)} THEN {text(ours) if ours else 'NULL'}" for theirs, ours in words.items()]
    rest = sql if others == "kept" else "NULL"
    return f"CASE {sql} {' '.join(cases)} ELSE {rest} END" if cases else rest


def _readings(sql: str, formats: Sequence[str], *, as_is: Sequence[str], gives: str) -> list[str]:
    """Write a reading for each format, null where the text is not exactly as the format writes it."""
    written = []
    for each in formats:
        if each in as_is:  # the contract reads it so
            continue
        pattern = text(pattern_of(each))
        parsed = f"try_strptime({sql}, {pattern})"
        written.append(
            f"CASE WHEN lower(strftime({parsed}, {pattern})) = lower({sql}) THEN strftime({parsed}, '{gives}') END"
        )
    return written


def _read(sql: str, formats: Sequence[str], *, as_is: Sequence[str], gives: str) -> str:
    return f"coalesce({', '.join([*_readings(sql, formats, as_is=as_is, gives=gives), sql])})"
