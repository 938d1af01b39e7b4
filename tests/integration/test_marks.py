"""Values that any one record settles, put together as marks: those that no random county is sure to hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import invented
from invented import Record, diagnosis, event
from stratify.hits import SOURCE_TABLES, code_table
from stratify.marks import hold_marks
from stratify.rulebook import RuleBook, load_rule_book
from stratify.store import open_store

INDEX, DAY = date(2026, 6, 15), date(2026, 1, 5)
FIRST, TOO_EARLY = date(2024, 6, 15), date(2024, 6, 14)
"""Around the first day of the last 24 months."""


def book_of(*weights: tuple[str, float]) -> RuleBook:
    names = ("hospital_frailty_points", "has_hospital_record", "charlson_aids_hiv", "efi_arthritis")
    book = load_rule_book().cut_down_to(*names)
    held = book.codelists["hospital_frailty_weights"]
    changed = replace(
        held,
        entry=held.entry.model_copy(update={"match": "prefix"}),
        codes={code: "invented" for code, _ in weights},
        weights=dict(weights),
    )
    return replace(book, codelists={**book.codelists, held.id: changed})


BOOK = book_of(("F00", 1.4), ("F001", 3.2), ("S72", -0.5))
ARTHRITIS = min(BOOK.codelists["efi_arthritis"].codes)


def marked(tmp_path: Path, *records: Record, book: RuleBook = BOOK) -> dict[str, float]:
    """Give the marked values of the one person, and of nobody else."""
    tables = invented.core_tables(records)
    with open_store(tmp_path / "marks.duckdb", temp_directory=tmp_path) as store:
        store.create("core.person", invented.frame("core.person", [{"patient_key": "a"}]))
        for name in SOURCE_TABLES:
            store.create(f"core.{name}", tables[name])
        codes = code_table(book, invented.matches(book, tables), index_date=INDEX)
        marks = hold_marks(store, book, codes, index_date=INDEX)
        found = store.rows(f"SELECT variable, value FROM ({marks.rows()}) WHERE patient_key = 'a'")
        on_person = store.frame(marks.persons(book.variables))
    values = {f"r_{name}": value for name, value in found}
    (person,) = on_person.to_dicts()
    assert {name: value for name, value in person.items() if name.startswith("r_") and value is not None} == values
    return dict(found)


@pytest.mark.parametrize(
    ("codes", "points"),
    [
        pytest.param(["F000", "F008"], 1.4, id="a_category_once"),
        pytest.param(["F000", "F001"], 3.2, id="its_highest_weight_1.4_or_3.2"),
        pytest.param(["F001", "S720"], 2.7, id="3.2_less_0.5"),
        pytest.param(["S720"], -0.5, id="below_nought"),
        pytest.param(["Z999"], 0.0, id="nought_where_nothing_weighs"),
    ],
)
def test_weights_of_a_persons_diagnoses_add_up(tmp_path, codes, points):
    found = marked(tmp_path, *(diagnosis("a", code, DAY) for code in codes))
    assert found == {"hospital_frailty_points": points, "has_hospital_record": 1.0}


def test_a_planned_stay_counts_for_what_reads_any_stay_only(tmp_path):
    found = marked(tmp_path, *(diagnosis("a", code, DAY, is_emergency=False) for code in ("F001", "B20X")))
    assert found == {"has_hospital_record": 1.0, "charlson_aids_hiv": 1.0}


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        pytest.param(TOO_EARLY, False, id="a_day_too_early"),
        pytest.param(FIRST, True, id="the_first_day"),
        pytest.param(INDEX, False, id="the_index_date"),
    ],
)
def test_diagnoses_count_within_their_window(tmp_path, day, counts):
    assert bool(marked(tmp_path, diagnosis("a", "F001", day))) is counts


def test_an_entry_without_a_date_counts_where_anything_ever_recorded_does(tmp_path):
    assert marked(tmp_path, event("a", ARTHRITIS, None)) == {"efi_arthritis": 1.0}


def test_records_of_somebody_else_mark_nobody_else(tmp_path):
    assert marked(tmp_path, event("b", ARTHRITIS, DAY), diagnosis("b", "F001", DAY)) == {}


def test_a_rule_book_without_such_variables_marks_nobody(tmp_path):
    assert marked(tmp_path, event("a", ARTHRITIS, DAY), book=replace(BOOK, variables={})) == {}
