"""What the county plants on the rate of emergency admissions, by the predictor of a model that shows it.

Read from what the county is drawn by, so that neither can change alone. Illnesses that act only through frailty or
death (stroke, dementia, smoking) and what only goes along with them (number of medicines) are not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratify.synth.conditions import (
    ADMISSIONS_BY_FRAILTY,
    MORE_ADMISSIONS,
    MORE_ADMISSIONS_IN_CARE_HOMES,
    MORE_ADMISSIONS_OF_THE_POOR,
)
from stratify.synth.spells import ADMITTED_OF_FLARES, EMERGENCIES

_SHOWN_BY = {
    "heart_failure": "has_heart_failure",
    "type_2_diabetes": "is_on_diabetes_register",
    "cancer": "has_cancer_ever",
    "severe_mental_illness": "has_serious_mental_illness",
    "learning_disability": "has_learning_disability",
    "chronic_kidney_disease": "is_on_kidney_disease_register",
    "copd": "is_on_copd_register",
    "depression": "has_depression_ever",
    "ischaemic_heart_disease": "has_coronary_heart_disease",
}
"""Variable of the rule book by condition."""
_FRAILTY = ("efi_falls", "efi_mobility_transfer", "efi_requirement_for_care")
_ADULT_YEARS = 18


@dataclass(frozen=True)
class Planted:
    """An effect on emergency admissions.

    Attributes:
        variable: The predictor that shows it.
        direction: 1 where more of it means more admissions, -1 where it means fewer.
        words: What is planted.
    """

    variable: str
    direction: int
    words: str


def planted_on_admissions() -> tuple[Planted, ...]:
    """Give every effect that the county plants on emergency admissions of adults, and that a predictor shows."""
    ages, rates = EMERGENCIES
    adult = [rate for age, rate in zip(ages, rates, strict=True) if age >= _ADULT_YEARS]
    gradient = max(MORE_ADMISSIONS_OF_THE_POOR[1], key=abs)
    least, most = ADMITTED_OF_FLARES[0], sum(ADMITTED_OF_FLARES)
    often = "some have many and most have few, for years"
    return (
        *(Planted(_SHOWN_BY[name], _sign(1, more), f"{more:g} times") for name, more in MORE_ADMISSIONS.items()),
        Planted(
            "lives_in_care_home", _sign(1, MORE_ADMISSIONS_IN_CARE_HOMES), f"{MORE_ADMISSIONS_IN_CARE_HOMES} times"
        ),
        *(Planted(name, _way(ADMISSIONS_BY_FRAILTY), _range(ADMISSIONS_BY_FRAILTY, "times")) for name in _FRAILTY),
        Planted("age_years", _way(adult), _range(adult, "of 1,000 people a year")),
        # The first decile is the most deprived.
        Planted(
            "imd_decile", -_sign(0, gradient), f"up to {gradient:.0%} of the mean from the least to the most deprived"
        ),
        Planted("copd_exacerbations_count", _sign(0, most), f"{least:.0%} to {most:.0%} of flare-ups lead to one"),
        Planted("emergency_admissions_count", 1, often),
        Planted("ed_attendances_count", 1, often),
    )


def _sign(none: float, value: float) -> int:
    return (value > none) - (value < none)


def _way(values: Sequence[float]) -> int:
    return _sign(values[0], values[-1])


def _range(values: Sequence[float], unit: str) -> str:
    return f"{values[0]:g} to {values[-1]:g} {unit}"
