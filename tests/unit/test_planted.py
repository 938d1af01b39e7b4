"""What the county plants on emergency admissions is beside what a model learnt of it, effect by effect."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
from benchmarks.model_truth import MODEL, against_planted, planted_table

from stratify.modelling.additive import Term
from stratify.modelling.promotion import champion_of
from stratify.rulebook import load_rule_book
from stratify.rules import PERSON_FIELDS
from stratify.synth.planted import planted_on_admissions


def learnt(*terms: Term) -> pl.DataFrame:
    return against_planted(SimpleNamespace(fitted=SimpleNamespace(terms=terms)))


def test_each_planted_effect_is_shown_by_a_fact_that_the_rule_book_knows():
    planted = planted_on_admissions()
    book = load_rule_book()
    assert {each.variable for each in planted} <= {*book.variables, *PERSON_FIELDS}
    assert len({each.variable for each in planted}) == len(planted) == 18
    assert {each.variable for each in planted if each.direction == -1} == {"imd_decile"}  # 1 is the most deprived


def test_the_shipped_model_found_each_planted_effect_in_its_direction():
    found = against_planted(champion_of(MODEL, None))
    assert found.filter(~pl.col("is_found"))["variable"].to_list() == []


def test_a_term_of_nothing_one_the_wrong_way_and_none_at_all_are_not_found():
    """Odds ratios by hand: e to the 0.5 less -0.1 is 1.82, to the 0 is 1; a decile lowers by 0.05 each."""
    found = learnt(
        Term(predictor="has_heart_failure", edges=(0.0,), points=(-0.1, 0.5)),
        Term(predictor="copd_exacerbations_count", edges=(), points=(0.0,)),
        Term(predictor="lives_in_care_home", edges=(0.0,), points=(0.1, -0.2)),
        Term(predictor="imd_decile", times=-0.05),
    )
    rows = {row["variable"]: row for row in found.iter_rows(named=True)}
    ratios = {name: row["odds_ratio"] and round(row["odds_ratio"], 2) for name, row in rows.items()}
    assert [ratios[name] for name in ("has_heart_failure", "copd_exacerbations_count", "imd_decile")] == [1.82, 1, 0.95]
    assert ratios["age_years"] is None
    assert {name for name, row in rows.items() if row["is_found"]} == {"has_heart_failure", "imd_decile"}
    assert "`copd_exacerbations_count` | 4% to 30% of flare-ups lead to one | 1.00 | NO |" in planted_table(found)
