"""Who was admitted and never listed, and why: one person for each reason."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from stratify.modelling.overlooked import REASONS, count_admitted, find_admitted

BEFORE, LATER = date(2026, 5, 4), date(2026, 5, 11)
ADMITTED = date(2026, 5, 20)


def admitted(*people: str, day: date = ADMITTED, registered: date = date(2020, 1, 1)) -> pl.DataFrame:
    return pl.DataFrame(
        [(each, day, "J440", "A99001", registered) for each in people],
        schema={
            "patient_key": pl.String,
            "admission_date": pl.Date,
            "primary_diagnosis": pl.String,
            "practice_code": pl.String,
            "registered_from": pl.Date,
        },
        orient="row",
    )


def weeks(*rows: tuple[date, str, str]) -> pl.DataFrame:
    kept = [*rows, (BEFORE, "somebody else", "listed"), (LATER, "somebody else", "listed")]
    return pl.DataFrame(
        [(week, key, "copd", placement, f"said {placement}") for week, key, placement in kept],
        schema={
            "week": pl.Date,
            "patient_key": pl.String,
            "pathway": pl.String,
            "placement": pl.String,
            "placement_reason": pl.String,
        },
        orient="row",
    )


def decisions(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(key, "copd", decision, f"rule {decision}", gaps) for key, decision, gaps in rows],
        schema=dict.fromkeys(("patient_key", "pathway", "decision", "reason", "data_gaps"), pl.String),
        orient="row",
    )


@pytest.mark.parametrize(
    ("rows", "decided", "reason", "words"),
    [
        pytest.param([(BEFORE, "listed"), (LATER, "waiting")], [], "was_listed", "said listed", id="listed_once"),
        pytest.param([(LATER, "offered")], [], "was_listed", "said offered", id="an_offer_counts"),
        pytest.param([(BEFORE, "not_listed"), (LATER, "waiting")], [], "waited", "said waiting", id="the_last_counts"),
        pytest.param([(LATER, "list_held")], [], "list_held", "said list_held", id="held_list"),
        pytest.param([(LATER, "not_listed")], [], "left_off", "said not_listed", id="left_off"),
        pytest.param([(ADMITTED, "listed")], [], "off", None, id="listed_on_the_day_itself_is_too_late"),
        pytest.param([], [("excluded", "")], "excluded", "rule excluded", id="excluded"),
        pytest.param([], [("not_eligible", "")], "below", "rule not_eligible", id="below"),
        pytest.param([], [("not_eligible", "FEV1 not known")], "not_known", "rule not_eligible", id="not_known"),
        pytest.param([], [("clinic", "")], "off", None, id="found_only_since"),
        pytest.param([], [], "off", None, id="no_pathway"),
    ],
)
def test_why_somebody_was_on_no_list(rows, decided, reason, words):
    found = find_admitted(
        admitted("k"),
        weeks(*((week, "k", placement) for week, placement in rows)),
        decisions(*(("k", decision, gaps) for decision, gaps in decided)),
    ).row(0, named=True)
    assert (found["reason"], found["words"]) == (reason, words)


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        pytest.param(LATER, "off", id="on_the_day_of_the_last_list"),
        pytest.param(date(2026, 5, 12), "new_here", id="the_day_after_it"),
    ],
)
def test_somebody_registered_after_the_last_list_could_be_on_none(registered, reason):
    found = find_admitted(admitted("k", registered=registered), weeks(), decisions())
    assert found["reason"].to_list() == [reason]


def test_two_admissions_are_one_person_by_the_first():
    both = pl.concat([admitted("k", day=date(2026, 5, 25)), admitted("k", day=date(2026, 5, 8))])
    found = find_admitted(both, weeks((LATER, "k", "listed")), decisions())
    assert found.select("admission_date", "reason").rows() == [(date(2026, 5, 8), "off")]


def test_counts_add_up_and_leave_out_who_objected():
    people = [f"k{number}" for number in range(6)]
    found = find_admitted(admitted(*people), weeks((LATER, "k0", "listed"), (LATER, "k1", "waiting")), decisions())
    counts = count_admitted(found, pl.DataFrame({"patient_key": people[:5]}))
    shown = {(row[0], row[1]): row[2] for row in counts.rows()}
    assert shown["all", "all"] == 5
    assert shown["A99001", "all"] == 5
    assert {reason: shown["all", reason] for reason in REASONS if ("all", reason) in shown} == {
        "was_listed": 1,
        "waited": 1,
        "off": 3,
    }
