"""One clinical logic, two engines: DuckDB, which runs it, and Polars, which tests it, give the same tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import polars.testing
import pytest

import invented
import little_county
from little_county import INDEX
from stratify import engine, hits
from stratify.reckoning import decide_everybody, hold_values, score_everybody, work_values
from stratify.rulebook import load_rule_book
from stratify.store import Store, open_store

BOOK = load_rule_book().cut_down_to("copd", "frailty", "charlson_shmi", "dose", "efi2", "kfre_uk_5_year", "lace")
TABLES = ("variable_value", "patient_score", "pathway_decision")


@pytest.fixture(scope="module")
def county() -> little_county.County:
    return little_county.random_county(BOOK, seed=2026, people=250)


@pytest.fixture(scope="module")
def by_polars(county) -> dict[str, pl.DataFrame]:
    return little_county.reckon(county, BOOK)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("engines")
    with open_store(folder / "engines.duckdb", temp_directory=folder / "scratch") as opened:
        yield opened


@pytest.fixture(scope="module")
def by_duckdb(county, store) -> dict[str, pl.DataFrame]:
    """The stages of the pipeline, on tables of the store."""
    persons, tables, _ = county
    store.create("core.person", persons)
    for name, table in tables.items():
        store.create(f"core.{name}", table)
    matches = invented.matches(BOOK, tables)
    store.create("derived.code_match", pl.DataFrame(matches, schema=("code_system", "code", "codelist"), orient="row"))
    work_values(store, BOOK, index_date=INDEX)
    score_everybody(store, BOOK, index_date=INDEX)
    decide_everybody(store, BOOK, index_date=INDEX)
    return {name: store.frame(f"SELECT * FROM derived.{name}") for name in TABLES}


@pytest.mark.parametrize("name", TABLES)
def test_both_engines_give_the_same_rows(by_duckdb, by_polars, name):
    """Every column of every row, exactly: no tolerance on values either."""
    theirs = by_polars[name].cast(dict(by_duckdb[name].schema))
    assert theirs.height > 200
    polars.testing.assert_frame_equal(by_duckdb[name].select(theirs.columns), theirs, check_exact=True)


def test_values_and_scores_without_the_records_are_those_with_them(by_duckdb, store):
    """Each variable stands on one side, with every value it has; weights of marks sum up to those of the rows."""
    held, marks = hold_values(store, BOOK, index_date=INDEX)
    columns = "patient_key, variable, value"
    alone = store.frame(
        f"SELECT {columns}, state, bound FROM {held} "
        f"UNION ALL SELECT {columns}, 'known', NULL FROM ({marks.rows()}) ORDER BY ALL"
    )
    polars.testing.assert_frame_equal(alone, by_duckdb["variable_value"].select(alone.columns), check_exact=True)
    assert len(set(alone["variable"]) & set(marks.bits)) > 40
    score_everybody(store, BOOK, index_date=INDEX, values=held, marks=marks)
    decide_everybody(store, BOOK, index_date=INDEX, values=held, marks=marks)
    for name in ("patient_score", "pathway_decision"):
        polars.testing.assert_frame_equal(store.frame(f"FROM derived.{name}"), by_duckdb[name], check_exact=True)


def test_records_behind_the_values_are_the_same(by_duckdb, county, store):
    tables = county[1]
    core = {name: engine.table(store, f"core.{name}") for name in tables}
    codes = hits.code_table(BOOK, invented.matches(BOOK, tables), index_date=INDEX)
    behind = hits.records_behind(
        core,
        engine.table(store, "work.variable_code"),
        BOOK,
        index_date=INDEX,
        settle=lambda name, frame: engine.settle(store, f"work.{name}", frame),
    )
    here = hits.records_behind(invented.lazy(tables), engine.from_polars(codes), BOOK, index_date=INDEX)
    one, other = engine.rows(store, behind), invented.collected(here)
    assert one.height > 1000
    polars.testing.assert_frame_equal(one.sort(one.columns), other.sort(one.columns), check_exact=True)
