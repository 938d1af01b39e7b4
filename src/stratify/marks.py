"""Values that any one record settles, worked out side by side: marks on a person's row instead of a row for each.

Whether a condition is among somebody's records, and the weights of somebody's diagnoses, need neither the record nor
its day. Each code carries the marks it gives as bits of whole numbers, and one pass over a table puts them together.
``features`` reduces the same records to the same values, a row each, on any engine; this stands beside it because it
costs a fraction of that, and a test holds the two equal. The record behind a value is found by ``features`` alone;
where there are such values already, scores and decisions read marks of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import groupby, pairwise
from operator import or_
from typing import TypeAlias

import polars as pl

from stratify.hits import has_day_rule, window
from stratify.rulebook import RuleBook
from stratify.rules import ANY, Variable
from stratify.store import Store

OF_RECORDS, OF_VALUES = "temp.main.mark_of_records", "temp.main.mark_of_values"
"""Tables of everybody's marks, held until the store closes."""

_WORD = 64
_FULL = (1 << _WORD) - 1
"""Bits of a column."""
_CHUNK = 8
"""Bits of which every sum of weights is listed beforehand."""
_CATEGORY = 3
"""Signs of the code of a diagnosis that name its category."""
_EMERGENCY = ("hospital_diagnosis", "weight")
"""Kinds of record that count of an emergency stay only."""


@dataclass(frozen=True)
class _Place:
    """A core table, its code and day, and the kinds of record that are read from it."""

    table: str
    code: str
    day: str
    kinds: tuple[str, ...]


_PLACES = (
    _Place("core.gp_event", "snomed_code", "effective_date", ("event",)),
    _Place("core.gp_observation", "snomed_code", "effective_date", ("event",)),
    _Place("core.apc_diagnosis", "icd10_code", "admission_date", ("inpatient_diagnosis", *_EMERGENCY)),
)
_CODED = frozenset(kind for place in _PLACES for kind in place.kinds)

_Window: TypeAlias = "tuple[date, date, bool]"
"""First day, the day after the last, and whether a record without a date counts."""
_Meanings: TypeAlias = "dict[tuple[str, str, _Window], int]"
"""The bits that a record gives, by its kind, code and window."""


def is_marked(variable: Variable) -> bool:
    """Tell whether marks are enough for a variable: any one record settles it, or it sums weights."""
    if variable.take == "weight":
        return True
    is_plain = not (variable.ended_by or variable.is_first or variable.before or has_day_rule(variable))
    return variable.take == "has" and is_plain and all(each.kind in _CODED for each in variable.leaves)


@dataclass(frozen=True)
class Marks:
    """What the bits of a table of marks say of a person.

    Attributes:
        table: The table: ``patient_key``, and the bits in columns ``m0`` and so on.
        bits: The bits of each variable, of which any one gives it a value.
        added: What each bit, by its place, adds to the value of a variable that sums weights.
    """

    table: str
    bits: Mapping[str, int]
    added: Mapping[str, Mapping[int, float]]

    def persons(self, variables: Iterable[str]) -> str:
        """Write a query of ``core.person`` with the value ``r_<id>`` of each of these variables that is marked."""
        mine = [name for name in sorted(variables) if name in self.bits]
        values = "".join(f', {self._value(name)} AS "r_{name}"' for name in mine)
        return f"SELECT person.*{values} FROM core.person AS person LEFT JOIN {self.table} USING (patient_key)"

    def rows(self) -> str:
        """Write a query of the marked values in the long form: a row wherever there is a value."""
        none = "SELECT NULL::VARCHAR AS patient_key, NULL::VARCHAR AS variable, NULL::DOUBLE AS value WHERE false"
        parts = (
            f"SELECT patient_key, '{name}', {self._value(name)} FROM {self.table} WHERE {_any(bits)}"
            for name, bits in sorted(self.bits.items())
        )
        return " UNION ALL ".join([none, *parts])

    def _value(self, name: str) -> str:
        value = f"round({_sum(self.added[name])}, 1)" if name in self.added else "1.0::DOUBLE"
        return f"CASE WHEN {_any(self.bits[name])} THEN {value} END"


def _columns(bits: int) -> int:
    """Give how many columns hold so many bits."""
    return -(-bits // _WORD)


def _in_columns(bits: int, columns: int) -> list[int]:
    """Cut bits into columns."""
    return [bits >> number * _WORD & _FULL for number in range(columns)]


def _any(bits: int) -> str:
    words = enumerate(_in_columns(bits, _columns(bits.bit_length())))
    return " OR ".join(f"(m{number} & {word}::UBIGINT) <> 0" for number, word in words if word) or "false"


def _sum(added: Mapping[int, float]) -> str:
    """Write the sum of what the bits of a person add: looked up, a few bits at a time."""
    parts = ["0.0::DOUBLE"]
    for chunk, places in groupby(sorted(added), key=lambda place: place // _CHUNK):
        mine = {place % _CHUNK: added[place] for place in places}
        sums = [sum(mine[place] for place in mine if number >> place & 1) for number in range(1 << _CHUNK)]
        column, shift = divmod(chunk * _CHUNK, _WORD)
        place = f"(m{column} >> {shift} & {(1 << _CHUNK) - 1})::BIGINT + 1"
        parts.append(f"list_extract('{sums}'::DOUBLE[], {place})")
    return " + ".join(parts)


def mark_values(store: Store, book: RuleBook, values: str) -> Marks:
    """Turn the values that are yes or nothing into marks once, so that no score has to turn their rows into columns.

    Args:
        store: A store with the values.
        book: The rule book.
        values: The table of the values (contract ``derived.variable_value``).
    """
    names = sorted(each.id for each in book.variables.values() if each.take == "has" and not each.ended_by)
    bits = {name: 1 << number for number, name in enumerate(names)}
    words: dict[str, type[pl.DataType]] = {f"m{number}": pl.UInt64 for number in range(_columns(len(names)))}
    rows = [(name, *_in_columns(bit, len(words))) for name, bit in bits.items()]
    together = "".join(f", bit_or({word}) AS {word}" for word in words)
    with store.loaned(pl.DataFrame(rows, schema={"variable": pl.String, **words}, orient="row")) as given:
        store.execute(
            f"CREATE OR REPLACE TEMP TABLE {OF_VALUES} AS SELECT patient_key{together} FROM {values} "
            f"JOIN {given} USING (variable) WHERE value = 1 GROUP BY patient_key"
        )
    return Marks(OF_VALUES, bits, {})


def hold_marks(store: Store, book: RuleBook, codes: pl.DataFrame, *, index_date: date) -> Marks:
    """Put together the marks of everybody who has a record that gives one.

    Args:
        store: A store with the core tables.
        book: The rule book: only variables that :func:`is_marked`.
        codes: What ``hits.code_table`` gives for it.
        index_date: The day that is described.
    """
    numbers: dict[tuple[str, object, float], int] = {}

    def mark(variable: str, what: object, weight: float = 0.0) -> int:
        return 1 << numbers.setdefault((variable, what, weight), len(numbers))

    bits = dict.fromkeys(book.variables, 0)
    added: dict[str, dict[int, float]] = {each.id: {} for each in book.variables.values() if each.take == "weight"}
    meanings: _Meanings = defaultdict(int)
    weights = _weights(codes)
    for (name, category), steps in weights.items():
        # The highest weight of a category counts, once: a code has the marks of the lower ones too.
        for less, weight in pairwise([0.0, *steps]):
            added[name][mark(name, category, weight).bit_length() - 1] = weight - less
    for row in codes.iter_rows(named=True):
        kind, code, name = row["kind"], row["match"], row["variable"]
        if kind == "weight":
            category = code[:_CATEGORY]
            given = sum(mark(name, category, each) for each in weights[name, category] if each <= row["weight"])
        else:
            given = mark(name, _is_of_emergency(kind))
            bits[name] |= given
        meanings[kind, code, (row["start_date"], row["end_date"], row["may_be_undated"] and kind != "weight")] |= given
    for name in added:  # nought where nobody's diagnosis weighs anything, no value where there is none
        bits[name] = mark(name, ANY)
        meanings["any_weight", ANY, (*window(book.variables[name], index_date), False)] |= bits[name]
    _hold(store, meanings, _columns(len(numbers)))
    return Marks(OF_RECORDS, bits, added)


def _weights(codes: pl.DataFrame) -> dict[tuple[str, str], list[float]]:
    """Give the different weights that the codes of a category have for a variable, the lowest first."""
    found: dict[tuple[str, str], set[float]] = defaultdict(set)
    for row in codes.filter(kind="weight").iter_rows(named=True):
        found[row["variable"], row["match"][:_CATEGORY]].add(row["weight"])
    return {key: sorted(weights) for key, weights in sorted(found.items())}


def _is_of_emergency(kind: str) -> bool:
    return kind.removeprefix("any_") in _EMERGENCY


def _hold(store: Store, meanings: _Meanings, columns: int) -> None:
    """Make the table of marks: one pass over each table, all of them put together by person."""
    nothing = "".join(f", 0::UBIGINT AS m{number}" for number in range(columns))
    parts = [f"SELECT NULL::VARCHAR AS patient_key{nothing} WHERE false"]
    with ExitStack() as lent:
        for place in _PLACES:
            mine = {key: bits for key, bits in meanings.items() if key[0].removeprefix("any_") in place.kinds}
            if not mine:
                continue
            coded: dict[tuple[str, _Window], int] = defaultdict(int)
            for (kind, code, when), bits in mine.items():
                if kind in place.kinds:
                    coded[code, when] |= bits
            of_any = [(when, bits) for (kind, _, when), bits in mine.items() if kind not in place.kinds]
            of_emergency = reduce(or_, (bits for (kind, *_), bits in mine.items() if _is_of_emergency(kind)), 0)
            given = lent.enter_context(store.loaned(_given(coded, columns)))
            parts.append(_marks_at(place, given, coded, of_any, of_emergency, columns))
        together = "".join(f", bit_or(m{number}) AS m{number}" for number in range(columns))
        store.execute(
            f"CREATE OR REPLACE TEMP TABLE {OF_RECORDS} AS SELECT patient_key{together} "
            f"FROM ({' UNION ALL '.join(parts)}) GROUP BY patient_key"
        )


def _given(coded: Mapping[tuple[str, _Window], int], columns: int) -> pl.DataFrame:
    """Give the table of what each code marks: one row per code and window."""
    schema: dict[str, type[pl.DataType]] = {
        "match": pl.String, "start_date": pl.Date, "end_date": pl.Date, "may_be_undated": pl.Boolean
    }  # fmt: skip
    words: dict[str, type[pl.DataType]] = {f"m{number}": pl.UInt64 for number in range(columns)}
    rows = [(code, *when, *_in_columns(bits, columns)) for (code, when), bits in coded.items()]
    return pl.DataFrame(rows, schema={**schema, **words}, orient="row")


def _marks_at(
    place: _Place,
    given: str,
    coded: Mapping[tuple[str, _Window], int],
    of_any: Sequence[tuple[_Window, int]],
    of_emergency: int,
    columns: int,
) -> str:
    """Write the pass over one table: the marks of each record, of its code and of being a record at all."""
    windows = {when for _, when in coded} | {when for when, _ in of_any}
    is_one = len(windows) == 1
    day = f"r.{place.day}"
    in_window = "true" if is_one else _within(day, "k.start_date", "k.end_date", "k.may_be_undated")
    words = []
    for number, without in enumerate(_in_columns(of_emergency, columns)):
        parts = [f"coalesce(CASE WHEN {in_window} THEN k.m{number} END, 0)" if of_any else f"k.m{number}"]
        for when, bits in of_any:
            word = f"{_in_columns(bits, columns)[number]}::UBIGINT"
            parts.append(word if is_one else f"CASE WHEN {_of(day, when)} THEN {word} ELSE 0 END")
        marks = " | ".join(parts)
        if without:
            marks = f"({marks}) & CASE WHEN r.is_emergency THEN {_FULL} ELSE {_FULL ^ without} END::UBIGINT"
        words.append(f", {marks} AS m{number}")
    dated = _of(day, *windows) if is_one else "true" if of_any else in_window
    join = "LEFT JOIN" if of_any else "JOIN"
    return (
        f"SELECT r.patient_key{''.join(words)} FROM {place.table} AS r {join} {given} AS k "
        f"ON r.{place.code} = k.match WHERE r.patient_key IS NOT NULL AND {dated}"
    )


def _of(day: str, when: _Window) -> str:
    start, end, may_be_undated = when
    return _within(day, f"DATE '{start}'", f"DATE '{end}'", str(may_be_undated).lower())


def _within(day: str, start: str, end: str, may_be_undated: str) -> str:
    return f"({day} >= {start} AND {day} < {end} OR {day} IS NULL AND {may_be_undated})"
