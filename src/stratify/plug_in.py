"""Values that a site's own function gives: scores that may not come with stratify, under the site's own licence.

A variable that is ``given`` names a plug-in and its inputs; the settings say which function that is. The function gets
what is known of each person and nothing that says who it is. Belongs here: finding the function, asking it, checking
what it says. What its values mean is in ``clinical/``, like that of any other variable.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from stratify import engine
from stratify.errors import RunError, SettingsError, StratifyError, combine
from stratify.reckoning import scored_rows
from stratify.rulebook import RuleBook
from stratify.rules import Variable
from stratify.scores import is_unknown
from stratify.settings import Settings
from stratify.store import Store

PlugIn = Callable[[pl.DataFrame], pl.DataFrame]
"""Takes a row per person (``person``, a number, and each input) and gives rows of ``person`` and ``value``."""

MOST_PEOPLE = 100_000
"""Rows a function is given at once."""

_GIVEN = {"person": pl.Int64, "value": pl.Float64}


def functions(book: RuleBook, settings: Settings) -> dict[str, PlugIn]:
    """Find the function of every plug-in that the rule book names.

    Raises:
        SettingsError: the settings name none for it, or there is no such function; all in one message.
    """
    found: dict[str, PlugIn] = {}
    faults: list[StratifyError] = []
    for name in sorted({each.plug_in for each in _given(book)}):
        where = f"settings, plug_ins.{name}"
        if name not in settings.plug_ins:
            faults.append(
                SettingsError(
                    where,
                    expected=f"the function of the plug-in {name}, which the rule book asks for",
                    found="no such setting",
                    action="Name it as module:function, or take the variable out (docs/plug-in.md).",
                )
            )
            continue
        module, _, function = settings.plug_ins[name].function.partition(":")
        try:
            made = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError):
            made = None
        if callable(made):
            found[name] = made
        else:
            faults.append(
                SettingsError(
                    where,
                    expected=f"a function {function} in a module {module}",
                    found="none that can be imported",
                    action="Install it in the environment of stratify, or correct the name (docs/plug-in.md).",
                )
            )
    if faults:
        raise combine(faults)
    return found


def identity(book: RuleBook, settings: Settings) -> dict[str, list[str]]:
    """Give what a plug-in is, for the id of the run: function, version, and the hash of its module where it has a file.

    Raises:
        SettingsError: as :func:`functions`.
    """
    found = {}
    for name, function in functions(book, settings).items():
        about = settings.plug_ins[name]
        source = inspect.getsourcefile(inspect.unwrap(function)) if inspect.isfunction(function) else None
        digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
        found[name] = [about.function, about.version, digest]
    return found


def ask_all(store: Store, book: RuleBook, settings: Settings) -> int:
    """Ask the plug-ins for every variable of the book that is given, whoever reads it.

    Returns:
        How many values they gave; they are in ``derived.variable_value`` like any other.

    Raises:
        SettingsError: a plug-in has no function.
        RunError: a function fails, or gives something else than a number for each of some people.
    """
    found = functions(book, settings)
    count = 0
    for variable in _given(book):
        own = book.cut_down_to(variable.id)
        rows = engine.settle(store, "work.asked", scored_rows(store, own, index_date=settings.index_date))
        known = (nw.when(~is_unknown(name, own)).then(nw.col(f"x_{name}")).alias(name) for name in variable.inputs)
        people = engine.rows(store, rows.select("patient_key", *known)).sort("patient_key")
        values = _values(people, variable, found[variable.plug_in], settings)
        with store.loaned(values) as name:
            store.execute(f"INSERT INTO derived.variable_value BY NAME FROM {name}")
        store.execute("DROP TABLE work.asked")
        count += values.height
    return count


def _given(book: RuleBook) -> list[Variable]:
    return [each for _, each in sorted(book.variables.items()) if each.take == "given"]


def _values(people: pl.DataFrame, variable: Variable, function: PlugIn, settings: Settings) -> pl.DataFrame:
    """Ask a function about everybody, some people at a time; give rows of ``derived.variable_value``."""
    numbered = people.with_row_index("person").with_columns(pl.col("person").cast(pl.Int64))
    said = pl.concat([ask(function, variable, each) for each in _slices(numbered)], how="vertical")
    known = numbered.join(said.drop_nulls("value"), on="person", how="inner", maintain_order="left")
    return known.select(
        "patient_key",
        "value",
        pl.lit(variable.id).alias("variable"),
        pl.lit("known").alias("state"),
        pl.lit(settings.index_date).alias("value_date"),
        pl.sum_horizontal(pl.col(name).is_not_null().cast(pl.Int64) for name in variable.inputs).alias("record_count"),
    )


def _slices(people: pl.DataFrame) -> Iterable[pl.DataFrame]:
    yield from (people.drop("patient_key").iter_slices(MOST_PEOPLE) if people.height else [people.drop("patient_key")])


def ask(function: PlugIn, variable: Variable, people: pl.DataFrame) -> pl.DataFrame:
    """Ask a function about some people, and check what it says; nothing it says is in a message.

    Args:
        function: The plug-in.
        variable: The variable it is for.
        people: One row per person: ``person``, and each input as a number, or null where it is not known.

    Returns:
        ``person`` and ``value``; whoever is left out, or has no value, is not known.

    Raises:
        RunError: the function fails, or gives something else than one number for each of some of these people.
    """
    try:
        said: Any = function(people)
    except Exception as fault:  # noqa: BLE001  it is not our code, and its message may hold values
        raise _wrong(variable, f"a fault in it ({type(fault).__name__})") from None
    if not isinstance(said, pl.DataFrame):
        raise _wrong(variable, f"a {type(said).__name__}")
    if sorted(said.columns) != sorted(_GIVEN):
        raise _wrong(variable, f"{len(said.columns)} columns, and not just those two")
    if not said["person"].dtype.is_integer() or not (said["value"].dtype.is_numeric() or said["value"].is_null().all()):
        raise _wrong(variable, f"person as {said['person'].dtype} and value as {said['value'].dtype}")
    found = said.select(pl.col(name).cast(kind) for name, kind in _GIVEN.items())
    strangers = found.filter(~pl.col("person").is_in(people["person"].implode())).height
    doubles = found.height - found["person"].n_unique()
    unlimited = found.filter(pl.col("value").is_finite().not_()).height
    if strangers or doubles or unlimited:
        counts = (
            (strangers, "for nobody it was asked about"),
            (doubles, "for somebody it has answered for already"),
            (unlimited, "that hold no finite number"),
        )
        raise _wrong(variable, ", ".join(f"{count:,} rows {what}" for count, what in counts if count))
    return found


def _wrong(variable: Variable, found: str) -> RunError:
    return RunError(
        f"plug-in {variable.plug_in}, for {variable.id}",
        expected="a Polars frame of person (as given) and value (a number, or null where it is not known)",
        found=found,
        action="Correct the function, or take the variable out (docs/plug-in.md). The last lists stay.",
    )
