"""COPD: GOLD grade and group, MRC and CAT, BODE, ADO, DOSE, DECAF, flare-ups from dated records, NCL priority group.

Sources: GOLD reports 2023 to 2025 [2+] and 2026 [secondary sources only]; Celli 2004 NEJM 350:1005 (BODE) [2+]; Puhan
2009 Lancet 374:704 (ADO) [2+] and Puhan 2012 BMJ Open 2:e002152 (updated; age points [inferred]); Jones 2009 AJRCCM
180:1189 (DOSE) [2+]; Steer 2012 Thorax 67:970 (DECAF); Rothnie 2016, doi 10.1371/journal.pone.0151357, as coded in
NHLI-Respiratory-Epi/AECOPD; ncl-icb-analytics/dbt-ncl-analytics 213ca05 [1].

Bands are closed below and open above on the measured value: 49.6 % is in 36-49.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from second.answers import Answer, Number, exact, points, ruled, scored
from second.windows import episodes, is_within

FEV1 = tuple(exact(each) for each in ("10", "32", "40", "50", "55", "70", "80", "90"))
"""One FEV1 % predicted from every band of any score here: edges at 30, 36, 50, 51, 65, 80 and 81."""
MMRC = (0, 1, 2, 3, 4)
COUNT = (0, 1, 2, 3, 4)
YES_NO = (False, True)

# ------------------------------------------------------------------------------------------------- GOLD grade and group

GRADES = ("gold_4", "gold_3", "gold_2", "gold_1")
GROUPS = ("E", "B", "A")


def gold_grade(fev1: Number | None) -> Answer:
    """Give the GOLD grade by FEV1 % predicted [2+]: 1 from 80, 2 from 50, 3 from 30, 4 below. For FEV1/FVC < 0.70."""
    bands = [(80, 1), (50, 2), (30, 3)]
    answer = scored(lambda fev1: points(fev1, bands, 4), "gold_{}".format, {"fev1": exact(fev1)}, {"fev1": FEV1})
    return Answer(exact(fev1), answer.tier, answer.possible)


def is_obstructed(fev1_fvc_ratio: Number) -> bool:
    """FEV1/FVC below 0.70 after a bronchodilator [2+]."""
    return exact(fev1_fvc_ratio) < exact("0.70")


def gold_group(moderate: int | None, admitted: int | None, mmrc: int | None, cat: int | None, *, year: int) -> Answer:
    """Give the GOLD group; year 2023, 2024 or 2025 [2+], or 2026 [E: secondary sources only; A and B inferred].

    Args:
        moderate: Exacerbations in the year that did not lead to admission; None if not known.
        admitted: Exacerbations in the year that did; None if not known (hospital data not linked).
        mmrc: mMRC grade 0 to 4.
        cat: COPD Assessment Test total 0 to 40.
        year: Of the report.
    """
    if year not in (2023, 2024, 2025, 2026):
        raise ValueError(f"no rule for {year}")
    enough = 1 if year == 2026 else 2

    def group(moderate: int, admitted: int, mmrc: int, cat: int) -> str:
        if admitted >= 1 or moderate >= enough:
            return "E"
        return "B" if mmrc >= 2 or cat >= 10 else "A"

    inputs = {"moderate": moderate, "admitted": admitted, "mmrc": mmrc, "cat": cat}
    return ruled(GROUPS, group, inputs, {"moderate": COUNT, "admitted": (0, 1), "mmrc": MMRC, "cat": (0, 9, 10, 40)})


def mmrc_of_mrc(mrc: int) -> int:
    """Give the mMRC grade (0-4) of an MRC grade (1-5) [2+]."""
    if mrc not in (1, 2, 3, 4, 5):
        raise ValueError("MRC is 1 to 5")
    return mrc - 1


def cat_impact(cat: int) -> str:
    """Give the impact level of a CAT total: 10 is low here, yet "more symptoms" for GOLD."""
    if not 0 <= cat <= 40:
        raise ValueError("CAT is 0 to 40")
    return "low" if cat <= 10 else "medium" if cat <= 20 else "high" if cat <= 30 else "very high"


# ------------------------------------------------------------------------------------------------------ BODE, ADO, DOSE


def bode(fev1: Number | None, walk_metres: Number | None, mmrc: int | None, bmi: Number | None) -> Answer:
    """Give BODE, 0-10, and its quartile [2+; survival by quartile: code copies only]. A BMI of 21 scores its point."""

    def value(fev1, walk_metres, mmrc, bmi) -> int:
        return (
            points(fev1, [(65, 0), (50, 1), (36, 2)], 3)
            + points(walk_metres, [(350, 0), (250, 1), (150, 2)], 3)
            + (0, 0, 1, 2, 3)[mmrc]
            + (1 if bmi <= 21 else 0)
        )

    def quartile(value: int) -> str:
        return (
            "quartile_1" if value <= 2 else "quartile_2" if value <= 4 else "quartile_3" if value <= 6 else "quartile_4"
        )

    inputs = {"fev1": exact(fev1), "walk_metres": exact(walk_metres), "mmrc": mmrc, "bmi": exact(bmi)}
    candidates = {"fev1": FEV1, "walk_metres": (100, 200, 300, 400), "mmrc": MMRC, "bmi": (20, 25)}
    return scored(value, quartile, inputs, candidates)


BODE_FOUR_YEAR_SURVIVAL_PERCENT = {"quartile_1": 80, "quartile_2": 67, "quartile_3": 57, "quartile_4": 18}


def ado(fev1: Number | None, mmrc: int | None, age: int | None) -> Answer:
    """Give the original ADO, 0-10 [2+]; from 40 years."""
    if age is None or age < 40:
        return Answer(withheld="from 40 years")
    years = points(exact(age), [(90, 5), (80, 4), (70, 3), (60, 2), (50, 1)], 0)
    inputs = {"fev1": exact(fev1), "mmrc": mmrc}
    return scored(
        lambda fev1, mmrc: points(fev1, [(65, 0), (36, 1)], 2) + (0, 0, 1, 2, 3)[mmrc] + years,
        None,
        inputs,
        {"fev1": FEV1, "mmrc": MMRC},
    )


def ado_updated(fev1: Number | None, mmrc: int | None, age: int | None) -> Answer:
    """Give the updated ADO, 0-14; the age points 0, 2, 4, 5, 7 are [inferred]; from 40 years."""
    if age is None or age < 40:
        return Answer(withheld="from 40 years")
    years = points(exact(age), [(80, 7), (70, 5), (60, 4), (50, 2)], 0)
    inputs = {"fev1": exact(fev1), "mmrc": mmrc}
    return scored(
        lambda fev1, mmrc: points(fev1, [(81, 0), (65, 1), (51, 2), (36, 3)], 4) + (0, 1, 1, 2, 3)[mmrc] + years,
        None,
        inputs,
        {"fev1": FEV1, "mmrc": MMRC},
    )


def dose(mmrc: int | None, fev1: Number | None, smoker: bool | None, exacerbations: int | None) -> Answer:
    """Give DOSE, 0-8, high from 4 [2+]."""

    def value(mmrc, fev1, smoker, exacerbations) -> int:
        often = 2 if exacerbations >= 4 else 1 if exacerbations >= 2 else 0
        return (0, 0, 1, 2, 3)[mmrc] + points(fev1, [(50, 0), (30, 1)], 2) + int(smoker) + often

    inputs = {"mmrc": mmrc, "fev1": exact(fev1), "smoker": smoker, "exacerbations": exacerbations}
    candidates = {"mmrc": MMRC, "fev1": FEV1, "smoker": YES_NO, "exacerbations": COUNT}
    return scored(value, lambda value: "high" if value >= 4 else "low", inputs, candidates)


def decaf(
    dyspnoea: str | None,
    eosinophils: Number | None,
    consolidation: bool | None,
    ph: Number | None,
    atrial_fibrillation: bool | None,
) -> Answer:
    """Give DECAF, 0-6, of an admitted exacerbation: low 0-1, intermediate 2, high 3-6. Not for a population.

    ``dyspnoea`` is the extended MRC grade: ``"1-4"``, ``"5a"`` (1 point) or ``"5b"`` (2). Eosinophils in 10^9/L.
    """

    def value(dyspnoea, eosinophils, consolidation, ph, atrial_fibrillation) -> int:
        return (
            {"1-4": 0, "5a": 1, "5b": 2}[dyspnoea]
            + int(eosinophils < exact("0.05"))
            + int(consolidation)
            + int(ph < exact("7.30"))
            + int(atrial_fibrillation)
        )

    inputs = {"dyspnoea": dyspnoea, "eosinophils": exact(eosinophils), "consolidation": consolidation}
    inputs |= {"ph": exact(ph), "atrial_fibrillation": atrial_fibrillation}
    candidates = {"dyspnoea": ("1-4", "5a", "5b"), "eosinophils": (0, 1), "consolidation": YES_NO}
    candidates |= {"ph": (7, exact("7.4")), "atrial_fibrillation": YES_NO}
    return scored(
        value, lambda value: "low" if value <= 1 else "intermediate" if value == 2 else "high", inputs, candidates
    )


# -------------------------------------------------------------------------------------- flare-ups in the GP record


def exacerbation_days(records: Iterable[tuple[date, str]]) -> list[date]:
    """Give the days that show an exacerbation by Rothnie 2016: no day of an annual review does.

    Kinds: ``annual_review``, ``antibiotic``, ``oral_steroid``, ``cough``, ``breathlessness``, ``sputum`` (the three
    symptoms: two different ones are needed), ``lower_respiratory_infection``, ``exacerbation``.
    """
    kinds: dict[date, set[str]] = {}
    for day, kind in records:
        kinds.setdefault(day, set()).add(kind)
    shown = []
    for day, found in kinds.items():
        drugs = len(found & {"antibiotic", "oral_steroid"})
        symptoms = len(found & {"cough", "breathlessness", "sputum"})
        coded = found & {"lower_respiratory_infection", "exacerbation"}
        if "annual_review" not in found and (drugs == 2 or (symptoms >= 2 and drugs >= 1) or coded):
            shown.append(day)
    return sorted(shown)


def exacerbation_count(records: Iterable[tuple[date, str]], index_date: date, months: int = 12) -> int:
    """Count exacerbations with a day in the window; days within 14 days of the one before are one (14 apart too)."""
    within = [day for day in exacerbation_days(records) if is_within(day, index_date, months=months)]
    return len(episodes(within, 14))


# --------------------------------------------------------------------------------------------------- NCL priority group

NCL_GROUPS = ("HRC", "HR", "MR", "LR")


def ncl_copd_group(
    fev1: Number | None,
    mrc: int | None,
    *,
    home_oxygen: bool | None = False,
    cor_pulmonale: bool | None = False,
    exacerbations: int | None = 0,
    antibiotic_issues: int | None = 0,
    prednisolone_issues: int | None = 0,
    azithromycin_issues: int | None = 0,
    triple_inhaler: bool | None = False,
    steroid_inhaled: bool | None = False,
    lama: bool | None = False,
    laba: bool | None = False,
) -> Answer:
    """Give the NCL ICB priority group [1]: the first that matches, by its text (two exacerbations for HR, latest MRC).

    FEV1 % predicted and MRC grade are the latest; oxygen, exacerbations and issues are of 12 months, cor pulmonale of
    5 years, inhalers of 6 months. None is not known, for any of them.
    """

    def group(
        fev1, mrc, home_oxygen, cor_pulmonale, exacerbations, antibiotic_issues, prednisolone_issues,
        azithromycin_issues, triple_inhaler, steroid_inhaled, lama, laba,
    ) -> str:  # fmt: skip
        if fev1 < 30 or mrc == 5 or home_oxygen:
            return "HRC"
        if fev1 < 50 or cor_pulmonale or mrc == 4 or exacerbations >= 2:
            return "HR"
        if fev1 < 80 or mrc in (2, 3) or exacerbations >= 1 or antibiotic_issues >= 2:
            return "MR"
        if prednisolone_issues >= 1 or azithromycin_issues >= 1:
            return "MR"
        if triple_inhaler or (steroid_inhaled and lama and laba):
            return "MR"
        return "LR"

    inputs = {
        "fev1": exact(fev1),
        "mrc": mrc,
        "home_oxygen": home_oxygen,
        "cor_pulmonale": cor_pulmonale,
        "exacerbations": exacerbations,
        "antibiotic_issues": antibiotic_issues,
        "prednisolone_issues": prednisolone_issues,
        "azithromycin_issues": azithromycin_issues,
        "triple_inhaler": triple_inhaler,
        "steroid_inhaled": steroid_inhaled,
        "lama": lama,
        "laba": laba,
    }
    counts = ("exacerbations", "antibiotic_issues", "prednisolone_issues", "azithromycin_issues")
    candidates = {"fev1": (10, 40, 60, 90), "mrc": (1, 2, 3, 4, 5), **dict.fromkeys(counts, (0, 1, 2))}
    return ruled(NCL_GROUPS, group, inputs, {**dict.fromkeys(inputs, YES_NO), **candidates})
