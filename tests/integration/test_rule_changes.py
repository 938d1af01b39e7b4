"""Two versions of the definitions on one little population: who moves, why, and which counts are told.

Sixty people with COPD. Before, two flare-ups in 12 months are high; after, three in 6 months are:

- 20 (16 women) with two of last month: high before, low after, by the rule alone;
- 12 (6 women) with two of last month and one of nine months ago: high before, low after; their count is another too;
- 25 (all men) with four of last month: high both times. 3 with none: low both times.

Of those who move, three are of the practice Y99002 and nobody of those who stay is.
"""

from __future__ import annotations

import json
from datetime import date, timedelta

import polars as pl
import pytest

import invented
from invented import codelist, event, pathway, score, variable
from stratify import rule_changes
from stratify.errors import RunError
from stratify.store import open_store

INDEX = date(2026, 6, 15)
MAY, SEPTEMBER = date(2026, 5, 15), date(2025, 9, 15)
DAY = timedelta(days=1)


def _book(*, version, flares, months):
    return invented.rule_book(
        codelists=[codelist("copd", "snomed_ct", ["C"]), codelist("flare", "snomed_ct", ["F"])],
        variables=[
            variable("has_copd", "has", {"event": "copd"}),
            variable("flares", "count", {"event": "flare"}, lookback_months=months),
        ],
        scores=[
            score(
                "need",
                version=version,
                tiers=[
                    {"tier": "high", "label": "High", "when": {"variable": "flares", "at_least": flares}},
                    {"tier": "low", "label": "Low"},
                ],
            )
        ],
        pathways=[
            pathway(
                "lungs",
                version=version,
                cohort={"variable": "has_copd", "is_true": True},
                tier_from="need",
                clinics=[{"id": "clinic", "label": "Clinic", "roles": ["nurse"]}],
                routes=[
                    {"id": "worst", "when": {"score": "need", "tier_in": ["high"]}, "decision": "clinic",
                     "clinic": "clinic", "reason": "In the high group"},
                    {"id": "others", "decision": "self_management", "reason": "In the low group"},
                ],
            )
        ],
    )  # fmt: skip


OLD, NEW = _book(version="1.0.0", flares=2, months=12), _book(version="1.1.0", flares=3, months=6)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("change")
    persons, records = [], []
    for number in range(60):
        key = f"p{number:02}"
        sex = "F" if number < 16 or 20 <= number < 26 else "M"
        practice = "Y99002" if number < 3 else "Y99001"
        persons.append({"patient_key": key, "sex": sex, "practice_code": practice, "imd_decile": 1})
        recent = 2 if number < 32 else 4 if number < 57 else 0
        records += [event(key, "C", SEPTEMBER)] + [event(key, "F", MAY + place * DAY) for place in range(recent)]
        records += [event(key, "F", SEPTEMBER)] if 20 <= number < 32 else []
    (out / "restricted").mkdir()
    (out / "restricted" / "plan.json").write_text(json.dumps({"settings": {"index_date": INDEX.isoformat()}}))
    with open_store(out / "restricted" / "run.duckdb", temp_directory=out / "scratch") as store:
        store.create("core.person", invented.frame("core.person", persons))
        for name, table in invented.core_tables(records).items():
            store.create(f"core.{name}", table)
    found = rule_changes.compare(OLD, NEW, out)
    assert [each.name for each in (out / "restricted").iterdir() if each.name.startswith(".")] == []
    return found


def _moved(compared, definition, breakdown):
    rows = compared.moved.filter(pl.col("breakdown") == breakdown, pl.col("definition") == definition)
    return {(row["group"], row["before"], row["after"]): row["people_count"] for row in rows.to_dicts()}


def test_who_changes_tier_is_counted_with_who_does_not(compared):
    """20 + 12 = 32 move, told as 30; 25 stay high; 3 stay low, which nobody is told."""
    assert _moved(compared, "score need", "everybody") == {
        ("everybody", "high", "low"): 30,
        ("everybody", "high", "high"): 25,
        ("everybody", "low", "low"): None,
    }


def test_who_changes_decision_is_counted_by_sex(compared):
    """16 + 6 = 22 women, told as 20, and 4 + 6 = 10 men go from the clinic to self-management."""
    found = _moved(compared, "pathway lungs", "sex")
    assert found["female", "clinic: clinic", "self_management"] == 20
    assert found["male", "clinic: clinic", "self_management"] == 10


def test_a_small_number_is_hidden_and_cannot_be_worked_out_from_the_total(compared):
    """3 of one practice and 29 of the other: to tell 29 beside 32 would tell the 3."""
    found = _moved(compared, "score need", "practice")
    assert found["Y99002", "high", "low"] is None
    assert found["Y99001", "high", "low"] is None


def test_why_they_move_is_told_by_variable_and_by_rule(compared):
    why = compared.why.filter(pl.col("definition") == "score need")
    reasons = dict(why.select("reason", "people_count").iter_rows())
    assert reasons.pop("flares (flares) is another") == 10  # 12
    assert reasons.pop("no value is another: the rules themselves, or a score they use") == 20
    (gone,) = reasons  # the condition that held for all 32 and is asked no more
    assert gone.startswith("no longer asked, and held: ") and reasons[gone] == 30


def test_the_words_name_what_changed_and_no_small_number(compared):
    text = rule_changes.in_words(compared)
    assert "score need: version 1.0.0 → 1.1.0" in text
    assert "  - | 1 | High" in text and "  + | 1 | High" in text  # the rule, as the rule book says it
    assert "      30  high → low" in text
    assert "by practice: few in every group" in text


def test_the_same_definitions_do_not_differ():
    assert rule_changes._definitions(OLD, OLD) == []


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="a finished run"):
        rule_changes.compare(OLD, NEW, tmp_path)
