"""Values, scores and decisions that are there already stay: what a change touches alone is worked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import polars as pl
import polars.testing
import pytest

import invented
import little_county
from little_county import INDEX
from stratify import reckoning
from stratify.reckoning import decide_everybody, score_everybody, work_values
from stratify.rulebook import RuleBook, load_rule_book
from stratify.store import Store, open_store
from stratify.taken_over import Shown

BOOK = load_rule_book().cut_down_to("copd", "frailty")
TABLES = ("variable_value", "patient_score", "pathway_decision")


@pytest.fixture(scope="module")
def county() -> little_county.County:
    return little_county.random_county(BOOK, seed=2027, people=120)


@pytest.fixture(scope="module")
def worked_once(county, tmp_path_factory) -> Iterator[Store]:
    """A store in which the rule book is worked out, with a copy of every table."""
    persons, tables, _ = county
    folder = tmp_path_factory.mktemp("kept")
    with open_store(folder / "kept.duckdb", temp_directory=folder / "scratch") as opened:
        opened.create("core.person", persons)
        for name, table in tables.items():
            opened.create(f"core.{name}", table)
        match(opened, BOOK, county)
        work_values(opened, BOOK, index_date=INDEX)
        score_everybody(opened, BOOK, index_date=INDEX)
        decide_everybody(opened, BOOK, index_date=INDEX)
        opened.execute("CREATE TABLE work.comparator_decision AS FROM derived.pathway_decision LIMIT 0")
        opened.create("derived.reason", pl.DataFrame(schema=Shown.of(opened, ()).reasons.schema))
        opened.create("derived.explanation", pl.DataFrame(schema=Shown.of(opened, ()).explanations.schema))
        opened.execute("CREATE SCHEMA copy")
        for name in _TABLES_OF_A_TEST:
            opened.execute(f"CREATE TABLE copy.{name.split('.')[1]} AS FROM {name}")
        yield opened


_TABLES_OF_A_TEST = (*(f"derived.{name}" for name in (*TABLES, "code_match")), "work.comparator_decision")


@pytest.fixture
def store(worked_once) -> Store:
    """The store as the rule book left it."""
    for name in _TABLES_OF_A_TEST:
        worked_once.execute(f"CREATE OR REPLACE TABLE {name} AS FROM copy.{name.split('.')[1]}")
    return worked_once


def match(store: Store, book: RuleBook, county: little_county.County) -> None:
    rows = invented.matches(book, county[1])
    store.create("derived.code_match", pl.DataFrame(rows, schema=("code_system", "code", "codelist"), orient="row"))


def tables_of(store: Store) -> dict[str, pl.DataFrame]:
    return {name: store.frame(f"FROM derived.{name}") for name in TABLES} | {
        "variable_code": store.frame("FROM work.variable_code ORDER BY ALL")
    }


def test_only_what_a_changed_codelist_touches_is_worked_out_and_all_is_as_if_it_were(store, county, monkeypatch):
    """No code means a fall any more: one variable, one score (the index) and the pathway for frailty."""
    held = BOOK.codelists["efi_falls"]
    book = replace(BOOK, codelists=BOOK.codelists | {held.id: replace(held, codes={"0": "invented"}, weights={})})
    worked: dict[str, set[str]] = {"variables": set(), "scores": set(), "pathways": set()}
    with_records, score_rows, decide = (
        reckoning.features.with_records,
        reckoning.scores.score_rows,
        reckoning.pathways.decide,
    )

    def noted_values(records, own, *, index_date):
        worked["variables"] |= set(own.variables)
        return with_records(records, own, index_date=index_date)

    def noted_scores(rows, own, *, only):
        worked["scores"].add(only)
        return score_rows(rows, own, only=only)

    def noted_decisions(rows, pathway, own):
        worked["pathways"].add(pathway.id)
        return decide(rows, pathway, own)

    monkeypatch.setattr(reckoning, "_QUERIES", {})  # or what the store was worked out with would be used again
    monkeypatch.setattr(reckoning.features, "with_records", noted_values)
    monkeypatch.setattr(reckoning.scores, "score_rows", noted_scores)
    monkeypatch.setattr(reckoning.pathways, "decide", noted_decisions)
    before = tables_of(store)
    match(store, book, county)
    work_values(store, book, index_date=INDEX, unchanged=set(book.variables) - {"efi_falls"})
    score_everybody(store, book, index_date=INDEX, unchanged=set(book.scores) - {"efi"})
    known = Shown.of(store, ("copd",))
    fresh = replace(book, pathways={"frailty": book.pathways["frailty"]})
    decide_everybody(store, fresh, index_date=INDEX, known=known.decisions(store))
    assert worked == {"variables": {"efi_falls"}, "scores": {"efi"}, "pathways": {"frailty"}}
    taken = tables_of(store)
    work_values(store, book, index_date=INDEX)
    score_everybody(store, book, index_date=INDEX)
    decide_everybody(store, book, index_date=INDEX)
    for name, table in tables_of(store).items():
        polars.testing.assert_frame_equal(taken[name], table, check_exact=True)
        assert not taken[name].equals(before[name])


def test_a_query_is_written_once_for_the_very_same_definitions_and_anew_for_changed_ones(store, monkeypatch):
    """Changed are the version of the frailty index, which each of its rows holds, and then the day."""
    written: list[str] = []
    score_rows, decide = reckoning.scores.score_rows, reckoning.pathways.decide

    def noted_scores(rows, own, *, only):
        written.append(only)
        return score_rows(rows, own, only=only)

    def noted_decisions(rows, pathway, own):
        written.append(pathway.id)
        return decide(rows, pathway, own)

    monkeypatch.setattr(reckoning, "_QUERIES", {})
    monkeypatch.setattr(reckoning.scores, "score_rows", noted_scores)
    monkeypatch.setattr(reckoning.pathways, "decide", noted_decisions)
    before = tables_of(store)

    def worked_out(book, day=INDEX):
        written.clear()
        score_everybody(store, book, index_date=day)
        decide_everybody(store, book, index_date=day)
        return list(written)

    everything = [*BOOK.score_order, "copd", "frailty"]
    assert worked_out(BOOK) == everything and worked_out(BOOK) == []
    for name, table in tables_of(store).items():
        polars.testing.assert_frame_equal(table, before[name], check_exact=True)
    changed = BOOK.scores["efi"].model_copy(update={"version": "99.0.0"})
    book = replace(BOOK, scores=BOOK.scores | {"efi": changed})
    assert worked_out(book) == ["efi", "frailty"]  # of the pathways, frailty alone reads the index
    scored = tables_of(store)["patient_score"]
    assert set(scored.filter(pl.col("score") == "efi")["score_version"]) == {"99.0.0"}
    assert worked_out(BOOK, INDEX + timedelta(days=1)) == everything
    assert worked_out(BOOK) == []


def test_what_left_the_rule_book_leaves_the_tables(store):
    """A variable, score or pathway that is gone is not among those that are unchanged."""
    small = BOOK.cut_down_to("copd")
    work_values(store, small, index_date=INDEX, unchanged=set(small.variables))
    score_everybody(store, small, index_date=INDEX, unchanged=set(small.scores))
    none = replace(small, pathways={})
    decide_everybody(store, none, index_date=INDEX, known=Shown.of(store, ("copd",)).decisions(store))
    taken = tables_of(store)
    work_values(store, small, index_date=INDEX)
    score_everybody(store, small, index_date=INDEX)
    decide_everybody(store, small, index_date=INDEX)
    for name, table in tables_of(store).items():
        polars.testing.assert_frame_equal(taken[name], table, check_exact=True)


def test_decisions_that_were_set_apart_are_taken_over_once_with_the_others(store):
    """Where a pathway is off its decisions lie elsewhere; after a second try of the stage they lie in both places."""
    decided = store.frame("FROM derived.pathway_decision WHERE pathway = 'copd' ORDER BY patient_key")
    some = "pathway = 'copd' AND patient_key IN (SELECT patient_key FROM core.person ORDER BY patient_key LIMIT 20)"
    store.execute(f"INSERT INTO work.comparator_decision FROM derived.pathway_decision WHERE {some}")
    twice = Shown.of(store, ("copd",)).decisions(store)
    decide_everybody(store, replace(BOOK, pathways={}), index_date=INDEX, known=twice)
    polars.testing.assert_frame_equal(store.frame("FROM derived.pathway_decision"), decided)
    store.execute(f"DELETE FROM derived.pathway_decision WHERE {some}")
    moved = Shown.of(store, ("copd",)).decisions(store)
    decide_everybody(store, replace(BOOK, pathways={}), index_date=INDEX, known=moved)
    polars.testing.assert_frame_equal(store.frame("FROM derived.pathway_decision"), decided)
