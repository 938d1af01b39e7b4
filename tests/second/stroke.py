"""CHA2DS2-VASc, and CHA2DS2-VA without the point for sex.

Source: Lip 2010, Chest 137:263; two public copies agree [2+]. Newer guidance drops the sex point.
"""

from __future__ import annotations

from collections.abc import Collection

from second.answers import Answer

POINTS = {
    "congestive_heart_failure": 1,  # or LVEF of 40 % or less
    "hypertension": 1,
    "diabetes": 1,
    "stroke_tia_thromboembolism": 2,
    "vascular_disease": 1,  # myocardial infarction, peripheral arterial disease or aortic plaque
}


def cha2ds2_va(age: int | None, conditions: Collection[str], *, has_atrial_fibrillation: bool = True) -> Answer:
    """Give the points without sex, 0-8: 65-74 scores 1, 75 and over 2 instead."""
    if unknown := set(conditions) - set(POINTS):
        raise ValueError(f"no such item: {sorted(unknown)}")
    if not has_atrial_fibrillation:
        return Answer(withheld="no atrial fibrillation")
    if age is None:
        return Answer()
    return Answer(sum(POINTS[each] for each in set(conditions)) + (2 if age >= 75 else 1 if age >= 65 else 0))


def cha2ds2_vasc(
    age: int | None, is_female: bool | None, conditions: Collection[str], *, has_atrial_fibrillation: bool = True
) -> Answer:
    """Give CHA2DS2-VASc, 0-9, for people with atrial fibrillation [2+]; age or sex missing: no score."""
    answer = cha2ds2_va(age, conditions, has_atrial_fibrillation=has_atrial_fibrillation)
    if answer.value is None or is_female is None:
        return Answer(withheld=answer.withheld)
    return Answer(answer.value + (1 if is_female else 0))
