"""One wide row per person: what is known of each variable, and how far it is known.

Frames in, frames out: no files, no clock, any engine Narwhals knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import narwhals.stable.v2 as nw

from stratify.hits import Frame
from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Variable


def person_rows(persons: Frame, values: Frame, book: RuleBook, *, index_date: date) -> Frame:
    """Bring persons and their variable values to one wide row per person.

    For each variable there are up to five columns: ``x_<id>`` the value (null when not known), ``o_<id>`` true when it
    may be higher (hospital records of a person who is not linked; a value with ``>``), ``u_<id>`` true when it may be
    lower (a value with ``<``), ``s_<id>`` true when it is one of those and not ``x`` itself (``<`` and ``>``, not
    ``<=``), and ``c_<id>`` true when the records contradict each other. A doubt that cannot be has no column: see
    :func:`doubt`. A count or flag without a row is nought. Of a value from
    hospital records of a person who is not linked, nothing is known: ``o_`` and ``u_`` are true and ``x_`` is null.

    Args:
        persons: Contract ``core.person``. It may have the value ``r_<id>`` of some variables already; those are no
            latest value and nothing contradicts them.
        values: Contract ``derived.variable_value``.
        book: The rule book.
        index_date: The day the run describes.
    """
    variables = sorted(book.variables.values(), key=lambda each: each.id)
    columns: list[nw.Expr] = []
    carried = [name for name in persons.collect_schema().names() if name.startswith("r_")]
    for variable in variables:
        if f"r_{variable.id}" in carried:
            continue
        mine = nw.col("variable") == variable.id
        columns.append(nw.when(mine).then(nw.col("value")).max().alias(f"r_{variable.id}"))
        if variable.is_value:
            columns.append(nw.when(mine).then(nw.col("bound")).max().alias(f"b_{variable.id}"))
        if "c" in _doubts(variable.id, book):
            columns.append((mine & (nw.col("state") == "conflict")).any().alias(f"k_{variable.id}"))
    wide = persons.select(*PERSON_COLUMNS, *carried)
    if columns:
        wide = wide.join(values.group_by("patient_key").agg(*columns), on="patient_key", how="left")
    months = (
        nw.lit(index_date.year * 12 + index_date.month)
        - (nw.col("registered_date").dt.year() * 12 + nw.col("registered_date").dt.month())
    ).cast(nw.Float64) - nw.when(nw.col("registered_date").dt.day() > index_date.day).then(nw.lit(1.0)).otherwise(
        nw.lit(0.0)
    )
    own = {
        "age_years": nw.col("age_years").cast(nw.Float64),
        "months_registered": months,
        "is_female": _is_sex("F"),
        "is_male": _is_sex("M"),
        "imd_decile": nw.col("imd_decile").cast(nw.Float64),
    }
    return wide.select(
        "patient_key",
        "person_status",
        "identity_doubt",
        "is_hospital_linked",
        *(_expr.alias(f"x_{name}") for name, _expr in own.items()),
        *(each for variable in variables for each in _wide_columns(variable, book)),
    )


PERSON_COLUMNS = (
    "patient_key",
    "person_status",
    "identity_doubt",
    "is_hospital_linked",
    "age_years",
    "registered_date",
    "sex",
    "imd_decile",
)
"""What is read of a person."""


def doubt(letter: str, name: str, book: RuleBook) -> nw.Expr:
    """Give one of the doubts about a variable, a person's field or a score's value; false where there can be none."""
    return nw.col(f"{letter}_{name}") if letter in _doubts(name, book) else nw.lit(False)


def doubts(name: str, letters: str, book: RuleBook) -> list[nw.Expr]:
    """Give those of some doubts that there can be."""
    return [nw.col(f"{letter}_{name}") for letter in letters if letter in _doubts(name, book)]


def _doubts(name: str, book: RuleBook) -> str:
    if name in PERSON_FIELDS:
        return ""
    if name in book.scores:
        return "ou"
    variable = book.variables[name]
    if variable.is_value:
        return "ousc"
    return ("o" if variable.reads_hospital else "") + ("c" if variable.ended_by else "")


def _is_sex(code: str) -> nw.Expr:
    """Write 1 for this sex, 0 for the other, null for what is neither or not known."""
    is_known = nw.col("sex").is_in(["F", "M"])
    return nw.when(is_known & (nw.col("sex") == code)).then(nw.lit(1.0)).otherwise(nw.when(is_known).then(nw.lit(0.0)))


def _wide_columns(variable: Variable, book: RuleBook) -> list[nw.Expr]:
    found = nw.col(f"r_{variable.id}")
    doubts = _doubts(variable.id, book)
    contradicts = nw.col(f"k_{variable.id}").fill_null(False) if "c" in doubts else None
    value = found
    if not variable.is_value and variable.take != "weight":
        value = found.fill_null(0.0)
        value = value if contradicts is None else nw.when(~contradicts).then(value)
    is_unlinked = ~nw.col("is_hospital_linked")
    columns = {"x": value, "o": is_unlinked, "c": contradicts}
    if variable.is_value:
        bound = nw.col(f"b_{variable.id}")
        higher, lower, is_strict = (_is_one_of(bound, signs) for signs in ((">", ">="), ("<", "<="), ("<", ">")))
        hidden = is_unlinked & found.is_null()
        if variable.reads_hospital:
            higher, lower = higher | hidden, lower | hidden
        columns |= {"o": higher, "u": lower, "s": is_strict}
    return [expr.alias(f"{letter}_{variable.id}") for letter in "x" + doubts if (expr := columns[letter]) is not None]


def _is_one_of(bound: nw.Expr, signs: Sequence[str]) -> nw.Expr:
    return bound.is_in(signs).fill_null(False)
