"""The published edges of the scores, worked by hand and written down here a second time, apart from the definitions."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

import invented
from invented import diagnosis
from stratify import engine
from stratify.rulebook import load_rule_book
from stratify.scores import add_scores, score_rows

INDEX = date(2026, 6, 15)
MAY = date(2026, 5, 1)
BOOK = load_rule_book()

DEFICITS = sorted(name for name in BOOK.variables if name.startswith("efi_"))
FEW, MANY = 4, 5  # medicines: five or more are a deficit

HOSPITAL = [  # Gilbert 2018: low below 5, intermediate 5 to 15, high above 15
    pytest.param("F00 R54", 9.3, "intermediate", id="7.1_and_2.2"),
    pytest.param("G30 R50 R54", 6.3, "intermediate", id="4.0_0.1_2.2"),
    pytest.param("N39 B95", 4.9, "low", id="just_below_5"),
    pytest.param("W19 F32 E16 N18", 6.5, "intermediate", id="3.2_0.5_1.4_1.4"),
    pytest.param("G30 M41 R50", 5.0, "intermediate", id="exactly_5"),
    pytest.param("F00 G30 N39 R50 L08 R11", 15.1, "high", id="just_above_15"),
    pytest.param("F00 G30 N39 L08 R11", 15.0, "intermediate", id="exactly_15"),
    pytest.param("F00 G30 N39 R50 L08", 14.8, "intermediate", id="just_below_15"),
    pytest.param("I10 Z38", 0.0, "low", id="in_hospital_with_no_listed_code"),
]


FEV1 = {"8": 8, "29.9": 29.9, "30": 30, "49.9": 49.9, "50": 50, "79.9": 79.9, "80": 80, "151": 151}


def _frail() -> dict[str, dict[str, float]]:
    people = {f"{count}": dict.fromkeys(DEFICITS[:count], 1.0) for count in range(36)}
    people["36"] = dict.fromkeys(DEFICITS, 1.0) | {"medicines_count": MANY}
    people["4_and_4_medicines"] = people["4"] | {"medicines_count": FEW}
    people["4_and_5_medicines"] = people["4"] | {"medicines_count": MANY}
    return people


def _breathless() -> dict[str, dict[str, float]]:
    ordinary = {"is_on_copd_register": 1, "mrc_grade": 1, "cat_score": 9}
    people = {f"fev1_{key}": ordinary | {"fev1_percent_predicted": value} for key, value in FEV1.items()}
    good = ordinary | {"fev1_percent_predicted": 85}
    people |= {f"mrc_{grade}": good | {"mrc_grade": grade} for grade in range(1, 6)}
    people |= {f"cat_{total}": good | {"cat_score": total} for total in (9, 10)}
    people |= {f"flares_{count}": good | {"copd_exacerbations_count": count} for count in (1, 2)}
    people["admitted"] = good | {"copd_exacerbations_count": 1, "copd_emergency_admissions_count": 1}
    return people


@pytest.fixture(scope="module")
def scores():
    """Everybody of this file through one run; those of the hospital score from their diagnoses on."""
    stays = {case.id: case.values[0].split() for case in HOSPITAL}
    records = [
        diagnosis(key, f"{code}0", MAY, position=at) for key, codes in stays.items() for at, code in enumerate(codes)
    ]
    people = _frail() | _breathless()
    values = pl.concat(
        [invented.values_of(invented.core_tables(records), BOOK, INDEX), invented.value_rows(people, MAY)],
        how="vertical_relaxed",
    )
    persons = invented.frame("core.person", [{"patient_key": key, "age_years": 75} for key in (*stays, *people)])
    wide = engine.from_polars(invented.wide_of(persons, values, BOOK, INDEX))
    rows = invented.collected(score_rows(engine.from_polars(invented.collected(add_scores(wide, BOOK))), BOOK))
    return {(row["patient_key"], row["score"]): row for row in rows.to_dicts()}


@pytest.mark.parametrize(("codes", "points", "tier"), HOSPITAL)
def test_hospital_frailty_risk_score(scores, codes, points, tier, request):
    row = scores[request.node.callspec.id, "hospital_frailty"]
    assert (row["value"], row["tier"], row["is_complete"]) == (points, tier, True)


# ------------------------------------------------------------------------------------------------------------- eFI


def test_the_index_has_36_deficits_35_of_them_coded():
    assert len(DEFICITS) == 35
    assert len(BOOK.scores["efi"].points) == 36


@pytest.mark.parametrize(
    ("person", "value", "tier"),
    [  # Clegg 2016: fit to 0.12, mild to 0.24, moderate to 0.36, severe above
        pytest.param("0", 0.0, "fit", id="none"),
        pytest.param("4", 0.111111, "fit", id="4_of_36"),
        pytest.param("5", 0.138889, "mild", id="5_of_36"),
        pytest.param("8", 0.222222, "mild", id="8_of_36"),
        pytest.param("9", 0.25, "moderate", id="9_of_36"),
        pytest.param("12", 0.333333, "moderate", id="12_of_36"),
        pytest.param("13", 0.361111, "severe", id="13_of_36"),
        pytest.param("36", 1.0, "severe", id="all_36"),
        pytest.param("4_and_4_medicines", 0.111111, "fit", id="four_medicines_are_no_deficit"),
        pytest.param("4_and_5_medicines", 0.138889, "mild", id="five_medicines_are_one"),
    ],
)
def test_electronic_frailty_index(scores, person, value, tier):
    row = scores[person, "efi"]
    assert (row["value"], row["tier"], row["is_complete"]) == (value, tier, True)


def test_one_more_deficit_never_lowers_the_tier(scores):
    order = [each.tier for each in BOOK.scores["efi"].tiers]
    ranks = [order.index(scores[str(count), "efi"]["tier"]) for count in range(37)]
    assert ranks == sorted(ranks, reverse=True)


# ------------------------------------------------------------------------------------------------------- GOLD, COPD


@pytest.mark.parametrize(
    ("fev1", "grade", "group"),
    [  # GOLD 1 at 80 and over, 2 from 50, 3 from 30, 4 below 30; HRC below 30, HR below 50, MR below 80
        pytest.param("8", "gold_4", "HRC", id="lowest_plausible"),
        pytest.param("29.9", "gold_4", "HRC", id="just_below_30"),
        pytest.param("30", "gold_3", "HR", id="exactly_30"),
        pytest.param("49.9", "gold_3", "HR", id="just_below_50"),
        pytest.param("50", "gold_2", "MR", id="exactly_50"),
        pytest.param("79.9", "gold_2", "MR", id="just_below_80"),
        pytest.param("80", "gold_1", "LR", id="exactly_80"),
        pytest.param("151", "gold_1", "LR", id="highest_plausible"),
    ],
)
def test_fev1_edges(scores, fev1, grade, group):
    assert scores[f"fev1_{fev1}", "gold_grade"]["tier"] == grade
    assert scores[f"fev1_{fev1}", "copd_priority_group"]["tier"] == group


@pytest.mark.parametrize(
    ("person", "abe", "group"),
    [  # mMRC 2 is MRC 3; GOLD 2023: E at two flare-ups or one admission; HR at MRC 4 or two flare-ups
        ("mrc_1", "A", "LR"),
        ("mrc_2", "A", "MR"),
        ("mrc_3", "B", "MR"),
        ("mrc_4", "B", "HR"),
        ("mrc_5", "B", "HRC"),
        ("cat_9", "A", "LR"),
        ("cat_10", "B", "LR"),
        ("flares_1", "A", "MR"),
        ("flares_2", "E", "HR"),
        ("admitted", "E", "MR"),
    ],
)
def test_symptoms_and_flare_ups(scores, person, abe, group):
    assert scores[person, "gold_abe_2023"]["tier"] == abe
    assert scores[person, "copd_priority_group"]["tier"] == group
