"""One review of a person on several pathways: each check once, none within its window; related services by file."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from invented import frame
from stratify.combined_review import review_checks
from stratify.rulebook import load_rule_book

INDEX = date(2026, 11, 23)
BOOK = load_rule_book()


def placed(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Give placements of one person: pathway, decision, placement."""
    return frame(
        "derived.placement",
        [
            {"patient_key": "p", "pathway": name, "decision": decision, "placement": placement, "placement_reason": "r"}
            for name, decision, placement in rows
        ],
    )


def values(**found: tuple[float | None, str, date | None]) -> pl.DataFrame:
    """Give values of one person: value, state, day."""
    return frame(
        "derived.variable_value",
        [
            {"patient_key": "p", "variable": name, "value": value, "state": state, "value_date": day}
            for name, (value, state, day) in found.items()
        ],
    )


def checks(placements: pl.DataFrame, found: pl.DataFrame) -> dict[str, dict[str, object]]:
    rows = review_checks(placements, found, BOOK, index_date=INDEX).to_dicts()
    return {str(row["check_id"]): row for row in rows}


@pytest.mark.parametrize(
    ("day", "is_due"),
    [
        pytest.param(date(2026, 5, 28), False, id="179 days ago is within 180"),
        pytest.param(date(2026, 5, 27), True, id="180 days ago is due"),
    ],
)
def test_a_test_done_within_its_window_is_not_repeated(day, is_due):
    found = checks(placed(("diabetes", "clinic", "listed")), values(hba1c_of_the_year=(60.0, "known", day)))
    assert (found["hba1c"]["is_due"], found["hba1c"]["done_date"]) == (is_due, day)


def test_a_test_without_a_record_or_one_that_cannot_be_used_is_due_now():
    day = date(2026, 11, 20)
    found = checks(placed(("diabetes", "clinic", "listed")), values(cholesterol_of_the_year=(None, "unusable", day)))
    assert (found["cholesterol"]["is_due"], found["cholesterol"]["done_date"]) == (True, None)
    assert found["hba1c"]["due_date"] == INDEX


def test_two_results_of_one_day_are_one_test_that_was_done():
    day = date(2026, 11, 20)
    found = checks(placed(("diabetes", "clinic", "listed")), values(hba1c_of_the_year=(None, "conflict", day)))
    assert found["hba1c"]["is_due"] is False


def test_a_check_of_two_pathways_is_asked_for_once_by_the_shorter_window():
    """eGFR: diabetes 365 days, heart failure 180. 200 days ago is within the one and past the other."""
    on = placed(("diabetes", "clinic", "held"), ("heart_failure", "clinic", "listed"))
    found = checks(on, values(egfr_of_the_year=(50.0, "known", date(2026, 5, 7))))
    assert found["kidney_function"]["pathways"] == "heart_failure;diabetes"
    assert found["kidney_function"]["is_due"] is True
    assert checks(placed(("diabetes", "clinic", "held")), values(egfr_of_the_year=(50.0, "known", date(2026, 5, 7))))[
        "kidney_function"
    ]["is_due"] is (False)


def test_the_review_is_owned_by_the_team_that_has_the_person_this_week():
    on = placed(("frailty", "clinic", "waiting"), ("diabetes", "clinic", "listed"))
    assert checks(on, values())["foot_check"]["owner"] == "diabetes"
    nowhere = placed(("frailty", "clinic", "waiting"), ("diabetes", "clinic", "held"))
    assert checks(nowhere, values())["foot_check"]["owner"] == "frailty"


def test_related_services_join_a_review_for_those_whom_the_file_names():
    on = placed(("diabetes", "clinic", "listed"))
    day = date(2026, 10, 1)
    kidney = checks(on, values(egfr=(29.0, "known", day), has_foot_ulcer_in_three_years=(1.0, "known", day)))
    assert kidney["kidney_review"]["by"] == "renal_nurse"
    assert kidney["foot_protection_review"]["by"] == "podiatrist"
    assert {"kidney_review", "foot_protection_review"}.isdisjoint(checks(on, values(egfr=(30.0, "known", day))))


def test_nobody_is_asked_for_a_check_on_a_pathway_that_leaves_them_out():
    assert checks(placed(("diabetes", "excluded", "not_listed")), values()) == {}
