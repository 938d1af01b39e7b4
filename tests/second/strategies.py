"""Invented inputs for every score, for hypothesis: just below each edge, on it, just above it, missing, and in between.

``CASES`` has each score under a name: the function of the second implementation, a strategy for its arguments, and the
arguments that may be lost (set to None) with the promise that no tier is then ruled out that was possible before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import partial
from typing import Any

from hypothesis import strategies as st

from second import admissions, cambridge, charlson, copd, diabetes, elixhauser, frailty, kidney, priority, segments
from second import stroke as stroke_risk
from second.answers import Answer, Number

INDEX = date(2026, 11, 2)
YES_NO = st.booleans()
MAYBE = st.one_of(st.none(), YES_NO)


def around(*edges: Number, step: Number = "0.1", missing: bool = True) -> st.SearchStrategy[float | int | None]:
    """Draw just below, on or just above an edge, or a value half-way to the next, or None."""
    marks = sorted(Fraction(str(edge)) for edge in edges)
    width = Fraction(str(step))
    found = {each for mark in marks for each in (mark - width, mark, mark + width)}
    found |= {round((low + high) / 2) for low, high in itertools.pairwise(marks) if high - low > 2}
    plain = sorted(int(each) if each.denominator == 1 else float(each) for each in found)
    values = st.sampled_from(plain)
    return st.one_of(values, values, values, st.none()) if missing else values


def whole(*edges: int, missing: bool = True) -> st.SearchStrategy[int | None]:
    """Draw whole numbers around edges, none below nought."""
    values = st.sampled_from(sorted({max(0, edge + step) for edge in edges for step in (-1, 0, 1)}))
    return st.one_of(values, values, values, st.none()) if missing else values


def some(names: Collection[str], most: int = 8) -> st.SearchStrategy[frozenset[str]]:
    """Draw a few of the names."""
    return st.frozensets(st.sampled_from(sorted(names)), max_size=most)


def codes(*tables: Mapping[str, str]) -> st.SearchStrategy[list[str] | None]:
    """Draw ICD-10 codes as they are written: of the tables or of none, with further digits, dots, small letters, nulls.

    None is a person without a stay.
    """
    known = sorted({code for table in tables for given in table.values() for code in given.split()})

    def written(code: str, digit: str, form: str) -> str:
        full = code + digit if len(code) < 5 else code
        return {"plain": full, "dotted": f"{full[:3]}.{full[3:]}", "small": f" {full.lower()} "}[form]

    one = st.builds(
        written,
        st.sampled_from([*known, "Z00", "J00", "O80"]),
        st.sampled_from(["", "", "0", "9"]),
        st.sampled_from(["plain", "plain", "dotted", "small"]),
    )
    several = st.lists(st.one_of(one, one, one, one, st.sampled_from([None, ""])), max_size=12)
    return st.one_of(several, several, several, several, st.none())


def reading(missing: bool = True) -> st.SearchStrategy[tuple[int, int] | None]:
    """Draw a blood pressure around the hypertension edges."""
    systolic = whole(135, 140, 145, 150, 160, 170, 180, missing=False)
    pair = st.tuples(systolic, whole(85, 90, 95, 100, 115, 120, missing=False))
    return st.one_of(pair, pair, st.none()) if missing else pair


FEV1 = around(30, 36, 50, 51, 65, 80, 81)
MRC = st.sampled_from([1, 2, 3, 4, 5, None])
MMRC = st.sampled_from([0, 1, 2, 3, 4, None])
FEW = st.sampled_from([0, 0, 1, 2, 3, 4, 5])
DAYS = st.integers(1, 400).map(lambda days: INDEX - timedelta(days=days))
COPD_KINDS = ("annual_review", "antibiotic", "oral_steroid", "cough", "breathlessness", "sputum",
              "lower_respiratory_infection", "exacerbation")  # fmt: skip
COPD_RECORDS = st.lists(
    st.tuples(st.sampled_from([0, 1, 13, 14, 15, 29, 200, 364, 365, 366]), st.sampled_from(COPD_KINDS)).map(
        lambda drawn: (INDEX - timedelta(days=drawn[0]), drawn[1])
    ),
    max_size=16,
)


@dataclass(frozen=True)
class Case:
    """One score: how the second implementation answers, what it may be asked, what may be lost."""

    answer: Callable[..., Answer]
    inputs: st.SearchStrategy[dict[str, Any]]
    may_be_lost: tuple[str, ...] = ()


def _case(answer: Callable[..., Answer], lost: str = "", **inputs: st.SearchStrategy[Any]) -> Case:
    return Case(answer, st.fixed_dictionaries(inputs), tuple(lost.split()))


_SYMPTOMS = {
    "moderate": st.sampled_from([0, 1, 2, 3, None]),
    "admitted": st.sampled_from([0, 0, 0, 1, 2, None]),
    "mmrc": MMRC,
    "cat": whole(0, 10, 21, 31, 40 - 1),
}
_PRESSURE = {"systolic": around(130, 140, 150, step=1), "diastolic": around(80, 90, step=1)}
_DIABETES = {"hba1c": around(48, 58, 75, 90), "egfr": around(15, 29, 30, 44, 45, 49, 50, 59, 60)}
_ACR = around(3, 30, 70, 250)
_CAMBRIDGE = {*cambridge.WEIGHTS, *cambridge.WEIGHT_NOT_FOUND}
_HFRS = {"hfrs": " ".join(frailty.HFRS_WEIGHTS)}
_AGE = whole(18, 40, 50, 60, 65, 70, 75, 80, 90)
_BRIDGES = {flag for given in segments.BRIDGES_FLAGS.values() for flag in given.split()}
_SNEE = {fact for given in segments.SNEE_FACTS.values() for fact in given.split()}

CASES: dict[str, Case] = {
    "hospital_frailty": _case(frailty.hfrs, codes=codes(_HFRS), age=whole(75), is_linked=YES_NO),
    "efi": _case(frailty.efi, deficits=some(frailty.EFI_DEFICITS, most=36), age=whole(65), history_is_short=YES_NO),
    "efi2": _case(
        frailty.efi2,
        terms=some(frailty.EFI2_TERMS),
        age=whole(65),
        alcohol=st.sampled_from([*frailty.EFI2_ALCOHOL, None]),
        bmi=st.sampled_from([*frailty.EFI2_BMI, None]),
        medicines=whole(5, 10, missing=False),
        cognition=st.sampled_from(["added", "largest"]),
    ),
    "gold_grade": _case(copd.gold_grade, "fev1", fev1=FEV1),
    "gold_abe_2023": _case(partial(copd.gold_group, year=2023), "moderate admitted mmrc cat", **_SYMPTOMS),
    "gold_abe_2026": _case(partial(copd.gold_group, year=2026), "moderate admitted mmrc cat", **_SYMPTOMS),
    "bode": _case(
        copd.bode,
        "fev1 walk_metres mmrc bmi",
        fev1=FEV1,
        walk_metres=around(150, 250, 350, step=1),
        mmrc=MMRC,
        bmi=around(21),
    ),
    "ado": _case(copd.ado, fev1=FEV1, mmrc=MMRC, age=_AGE),
    "ado_updated": _case(copd.ado_updated, fev1=FEV1, mmrc=MMRC, age=_AGE),
    "dose": _case(
        copd.dose, "mmrc fev1 smoker exacerbations", mmrc=MMRC, fev1=FEV1, smoker=MAYBE, exacerbations=whole(2, 4)
    ),
    "decaf": _case(
        copd.decaf,
        "dyspnoea eosinophils consolidation ph atrial_fibrillation",
        dyspnoea=st.sampled_from(["1-4", "5a", "5b", None]),
        eosinophils=around("0.05", step="0.01"),
        consolidation=MAYBE,
        ph=around("7.30", step="0.01"),
        atrial_fibrillation=MAYBE,
    ),
    "copd_priority_group": _case(
        copd.ncl_copd_group,
        "fev1 mrc home_oxygen cor_pulmonale exacerbations antibiotic_issues",
        fev1=FEV1,
        mrc=MRC,
        home_oxygen=st.sampled_from([False, False, False, True]),
        cor_pulmonale=st.sampled_from([False, False, False, True]),
        exacerbations=st.sampled_from([0, 0, 1, 2, 3, None]),
        antibiotic_issues=st.sampled_from([0, 0, 1, 2, 3]),
        prednisolone_issues=st.sampled_from([0, 0, 1]),
        azithromycin_issues=st.sampled_from([0, 0, 1]),
        triple_inhaler=st.sampled_from([False, False, True]),
        steroid_inhaled=YES_NO,
        lama=YES_NO,
        laba=YES_NO,
    ),
    "charlson_1987": _case(charlson.charlson_1987, codes=codes(charlson.CODES)),
    "charlson_1987_with_age": _case(charlson.charlson_1987_with_age, codes=codes(charlson.CODES), age=_AGE),
    "charlson_quan_2011": _case(charlson.charlson_quan_2011, codes=codes(charlson.CODES)),
    "charlson_shmi": _case(charlson.charlson_shmi, codes=codes(charlson.SHMI_CODES)),
    "elixhauser_van_walraven": _case(elixhauser.elixhauser_van_walraven, codes=codes(elixhauser.CODES)),
    "elixhauser_swiss": _case(elixhauser.elixhauser_swiss, codes=codes(elixhauser.CODES)),
    "cambridge_general_20": _case(cambridge.general_20, conditions=some(_CAMBRIDGE)),
    "cambridge_general_37": _case(cambridge.general_37, conditions=some(_CAMBRIDGE)),
    "cambridge_mortality_20": _case(cambridge.mortality_20, conditions=some(_CAMBRIDGE)),
    "parr30": _case(
        admissions.parr30,
        age=_AGE,
        imd_score=around(10, 15, 25, 40, 50),
        emergencies_last_year=whole(0, 3),
        emergency_last_30_days=MAYBE,
        current_is_emergency=MAYBE,
        conditions=some(admissions.PARR_CONDITIONS, most=4),
        trust_term=st.sampled_from(["0", "-0.2998"]),
    ),
    "lace": _case(
        admissions.lace,
        "days emergency charlson visits_6_months",
        days=whole(0, 1, 2, 3, 4, 7, 14),
        emergency=MAYBE,
        charlson=whole(0, 3, 4),
        visits_6_months=whole(0, 4),
    ),
    **{
        f"kfre_{region}_{years}y": _case(
            partial(kidney.kfre, region=region, years=years),
            "age is_male egfr acr_mg_mmol",
            age=whole(18, 65, 80),
            is_male=MAYBE,
            egfr=around(15, 30, 60),
            acr_mg_mmol=st.sampled_from([0, "0.1", 3, 30, 70, 250, None]),
        )
        for region, years in kidney.BASELINE_SURVIVAL
    },
    "cha2ds2_vasc": _case(
        stroke_risk.cha2ds2_vasc,
        age=whole(65, 75),
        is_female=MAYBE,
        conditions=some(stroke_risk.POINTS),
        has_atrial_fibrillation=st.sampled_from([True, True, True, False]),
    ),
    "cha2ds2_va": _case(
        stroke_risk.cha2ds2_va,
        age=whole(65, 75),
        conditions=some(stroke_risk.POINTS),
        has_atrial_fibrillation=st.sampled_from([True, True, True, False]),
    ),
    **{
        name: _case(
            answer,
            f"hba1c systolic diastolic {last}",
            hba1c=around(58),
            **_PRESSURE,
            **{last: MAYBE if last == "statin" else around(5)},
        )
        for name, answer, last in (
            ("triple_target_ncl", diabetes.triple_target_ncl, "total_cholesterol"),
            ("triple_target_nda_2016", diabetes.triple_target_nda_2016, "total_cholesterol"),
            ("triple_target_nda_new", diabetes.triple_target_nda_new, "statin"),
        )
    },
    "qof_dm020": _case(diabetes.qof_dm020, "hba1c", hba1c=around(58, 75), is_frail=YES_NO),
    "qof_dm021": _case(diabetes.qof_dm021, "hba1c", hba1c=around(58, 75), is_frail=YES_NO),
    "qof_dm036": _case(
        diabetes.qof_dm036, "systolic diastolic", **_PRESSURE, age=whole(80, missing=False), is_frail=YES_NO
    ),
    "non_diabetic_hyperglycaemia": _case(
        diabetes.non_diabetic_hyperglycaemia,
        age=whole(18),
        hba1c=around(42, 47, 48, step=1),
        fasting_glucose=around("5.5", "6.9", 7),
        is_pregnant=st.sampled_from([False, False, False, True]),
        has_diabetes=st.sampled_from([False, False, False, True]),
    ),
    "diabetes_priority_group": _case(
        diabetes.ncl_diabetes_group,
        "hba1c egfr acr systolic diastolic bmi",
        **_DIABETES,
        acr=_ACR,
        **_PRESSURE,
        bmi=around(35),
        elf=st.sampled_from([None, None, 9.7, 9.8, 9.9]),
        cardiac_ever=YES_NO,
        glp1_or_insulin_6_months=st.sampled_from([False, False, True]),
        foot_ulcer_3_years=st.sampled_from([False, False, False, True]),
        first_mi_1_year=st.sampled_from([False, False, False, True]),
        first_stroke_tia_1_year=st.sampled_from([False, False, False, True]),
        mi_stroke_tia_12_months=st.sampled_from([False, False, True]),
        complications=some(diabetes.COMPLICATIONS, most=2),
        as_printed=YES_NO,
    ),
    "ckd_priority_group": _case(
        priority.ckd_group,
        "egfr acr systolic diastolic",
        egfr=_DIABETES["egfr"],
        acr=_ACR,
        **_PRESSURE,
        antihypertensive_orders=whole(3, missing=False),
        has_diabetes=YES_NO,
        as_printed=YES_NO,
    ),
    "hypertension_priority_group": _case(
        priority.hypertension_group,
        "age egfr bmi has_listed_ethnicity",
        age=whole(80),
        clinic=reading(),
        home=reading(),
        comorbidities=some(priority.COMORBIDITIES, most=1),
        egfr=around(60),
        bmi=around(35),
        has_listed_ethnicity=MAYBE,
    ),
    "chd_priority_group": _case(
        priority.chd_group,
        "non_hdl",
        first_recorded=DAYS,
        new_or_flare=st.one_of(st.none(), DAYS),
        index_date=st.just(INDEX),
        statin_6_months=YES_NO,
        non_hdl=around("2.5"),
    ),
    "bridges_to_health": _case(
        segments.bridges_to_health,
        flags=some(_BRIDGES, most=3),
        hfrs_tier=st.sampled_from([None, *frailty.HFRS_TIERS]),
    ),
    "snee": _case(
        segments.snee,
        "long_term_conditions bmi_12_months",
        facts=some(_SNEE, most=2),
        age=whole(18),
        long_term_conditions=st.sampled_from([0, 1, 3, 4, 5, None]),
        bmi_12_months=around(30),
    ),
}

ORDERS: dict[str, tuple[str, ...]] = {
    "gold_grade": copd.GRADES,
    "gold_abe_2023": copd.GROUPS,
    "gold_abe_2026": copd.GROUPS,
    "copd_priority_group": copd.NCL_GROUPS,
    "diabetes_priority_group": diabetes.NCL_GROUPS,
    "ckd_priority_group": priority.CKD_GROUPS,
    "hypertension_priority_group": priority.HYPERTENSION_GROUPS,
    "chd_priority_group": priority.CHD_GROUPS,
    "hospital_frailty": frailty.HFRS_TIERS,
    "efi": frailty.EFI_TIERS,
    "efi2": frailty.EFI2_TIERS,
    "snee": segments.SNEE_ORDER,
    "bridges_to_health": segments.BRIDGES_ORDER,
}
"""Tiers, highest need first, of those scores that have them in an order."""
