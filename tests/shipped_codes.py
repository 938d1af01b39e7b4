"""The shipped hospital scores from coded stays: records in, through the whole reckoning, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import narwhals.stable.v2 as nw

import invented
from second.answers import icd10
from stratify.rulebook import RuleBook, load_rule_book
from stratify.scores import add_scores, score_rows

INDEX = date(2026, 11, 2)
STAY = date(2026, 5, 4)
SCORES = (
    "hospital_frailty",
    "charlson_1987",
    "charlson_age_adjusted",
    "charlson_quan_2011",
    "charlson_shmi",
    "elixhauser_van_walraven",
    "elixhauser_swiss",
)


@cache
def hospital_book() -> RuleBook:
    """Give the shipped rule book with these scores and what they read."""
    whole = load_rule_book()
    parts = [whole.cut_down_to(name) for name in SCORES]
    book = replace(
        whole,
        variables={key: each for part in parts for key, each in part.variables.items()},
        scores={key: each for part in parts for key, each in part.scores.items()},
        pathways={},
        examples={},
    )
    named = {records.what for variable in book.variables.values() for records in variable.leaves}
    return replace(book, codelists={name: held for name, held in book.codelists.items() if name in named})


def scores_of_codes(people: Mapping[str, tuple[int | None, Collection[str | None] | None]]) -> dict[Any, float | None]:
    """Score people by age and codes (None: never in hospital); give the value by person and score, where a row is.

    A stay whose codes are all empty is a stay: it has a diagnosis without a code.
    """
    rows: list[dict[str, Any]] = []
    for key, (_, codes) in people.items():
        written: Iterable[str | None] = () if codes is None else [icd for each in codes for icd in _cleaned(each)]
        for code in ([*written] or [None]) if codes is not None else ():
            category = None if code is None else code[:3]
            rows.append({"patient_key": key, "icd10_code": code, "icd10_category": category, "admission_date": STAY})
    tables = invented.core_tables([("apc_diagnosis", row) for row in rows])
    persons = invented.frame(
        "core.person", [{"patient_key": key, "age_years": age} for key, (age, _) in people.items()]
    )
    book = hospital_book()
    values = invented.values_of(tables, book, INDEX)
    wide = invented.wide_of(persons, values, book, INDEX)
    found = score_rows(add_scores(nw.from_native(wide.lazy()), book), book)
    return {(row["patient_key"], row["score"]): row["value"] for row in invented.collected(found).to_dicts()}


def _cleaned(code: str | None) -> set[str]:
    """Write a code as the loader does."""
    return icd10([code])
