"""Scores against packages by other hands: equal for random patients, or different where the package is shown to err.

``comorbidipy`` (0.5 below Python 3.13, 0.8 from there on) for the Hospital Frailty Risk Score, Charlson and Elixhauser;
``kfre`` for the kidney failure equation: its recorded answers always, the package itself where it is installed.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import pytest

from second import charlson, elixhauser, frailty, kidney
from second.answers import conditions, icd10
from shipped_codes import scores_of_codes


@dataclass(frozen=True)
class Patient:
    """An invented patient of 75 or over: age and clean ICD-10 codes, some of them twice."""

    age: int
    codes: tuple[str, ...]


Patients = dict[int, Patient]
Scores = dict[str, dict[int, float]]
"""Score, then patient, to value."""


def second_scores(patients: Patients) -> Scores:
    """Give the scores by ``tests/second``."""
    of = {
        "hfrs": lambda each: frailty.hfrs(each.codes, each.age),
        "charlson_1987": lambda each: charlson.charlson_1987(each.codes),
        "charlson_1987_with_age": lambda each: charlson.charlson_1987_with_age(each.codes, each.age),
        "charlson_quan_2011": lambda each: charlson.charlson_quan_2011(each.codes),
        "charlson_shmi": lambda each: charlson.charlson_shmi(each.codes),
        "elixhauser_van_walraven": lambda each: elixhauser.elixhauser_van_walraven(each.codes),
        "elixhauser_swiss": lambda each: elixhauser.elixhauser_swiss(each.codes),
    }
    return {name: {key: float(score(each).value) for key, each in patients.items()} for name, score in of.items()}


SHIPPED_NAMES = {
    "hfrs": "hospital_frailty",
    "charlson_1987": "charlson_1987",
    "charlson_1987_with_age": "charlson_age_adjusted",
    "charlson_quan_2011": "charlson_quan_2011",
    "charlson_shmi": "charlson_shmi",
    "elixhauser_van_walraven": "elixhauser_van_walraven",
    "elixhauser_swiss": "elixhauser_swiss",
}


def shipped_scores(patients: Patients) -> Scores:
    """Give the scores by the shipped definitions, from the records of one emergency stay each."""
    found = scores_of_codes({str(key): (each.age, each.codes) for key, each in patients.items()})
    return {name: {key: found[str(key), score] for key in patients} for name, score in SHIPPED_NAMES.items()}


# Whatever is to agree with the packages stands here: a function from patients to scores.
IMPLEMENTATIONS: dict[str, Callable[[Patients], Scores]] = {"second": second_scores, "shipped": shipped_scores}


def random_patients(count: int, seed: int, *, different_codes: int | None = None) -> Patients:
    """Make patients with one to twelve codes: of every table's prefixes, whole or with a further digit, and of none.

    ``different_codes`` draws them from so many only: comorbidipy 0.5 takes its time by that number.
    """
    draw = random.Random(seed)
    tables = (charlson.CODES, charlson.SHMI_CODES, elixhauser.CODES)
    prefixes = {code for table in tables for given in table.values() for code in given.split()}
    known = sorted(prefixes | set(frailty.HFRS_WEIGHTS))
    graver = ["B200", "B24", "C780", "E112", "E119", "K704", "N183", "N184", "F205", "I110", "R29", "R296"]
    pool = [*known, *(code + digit for code in known if len(code) == 3 for digit in "0489"), "Z000", "J00", "O800"]
    pool = pool if different_codes is None else draw.sample(pool, different_codes)
    patients = {}
    for key in range(count):
        codes = [draw.choice(pool) if draw.random() < 0.9 else draw.choice(graver) for _ in range(draw.randint(1, 12))]
        again = [code for code in codes if draw.random() < 0.1]
        patients[key] = Patient(draw.randint(75, 104), (*codes, *again))
    return patients


# --------------------------------------------------------------------------------------------------------- comorbidipy


def _rows(patients: Patients) -> dict[str, list[Any]]:
    rows = [(key, each.age, code) for key, each in patients.items() for code in each.codes]
    return {name: [row[number] for row in rows] for number, name in enumerate(("id", "age", "code"))}


@cache
def _is_on_polars() -> bool:
    """comorbidipy is on Polars from 0.6 on, with other names."""
    major, minor = importlib.metadata.version("comorbidipy").split(".")[:2]
    return (int(major), int(minor)) >= (0, 6)


def _frame(patients: Patients) -> Any:
    rows = _rows(patients)
    if _is_on_polars():
        return importlib.import_module("polars").DataFrame(rows)
    return importlib.import_module("pandas").DataFrame(rows).astype({"code": object})  # as before pandas 3: faster


def _comorbidipy() -> Any:
    if not _is_on_polars():
        common = importlib.import_module("pandas.core.common")
        if not hasattr(common, "SettingWithCopyWarning"):  # comorbidipy 0.5 imports a name that pandas 3 has no more
            common.SettingWithCopyWarning = type("SettingWithCopyWarning", (Warning,), {})
    return importlib.import_module("comorbidipy")


def _columns(found: Any, value: str) -> dict[int, float]:
    return {int(key): float(each) for key, each in zip(list(found["id"]), list(found[value]), strict=True)}


def peer_scores(patients: Patients) -> Scores:
    """Give the scores by comorbidipy as it is installed."""
    package, frame = _comorbidipy(), _frame(patients)
    age = {"age_col": "age"} if _is_on_polars() else {"age": "age"}
    hfrs = package.hfrs(frame[["id", "code"]])
    scores = {"hfrs": _columns(hfrs, "hfrs_score" if _is_on_polars() else "hfrs")}
    for name, score, variant, weighting in (
        ("charlson_1987", "charlson", "quan", "charlson"),
        ("charlson_quan_2011", "charlson", "quan", "quan"),
        ("charlson_shmi", "charlson", "shmi", "shmi"),
        ("elixhauser_van_walraven", "elixhauser", "quan", "van_walraven" if _is_on_polars() else "vw"),
        ("elixhauser_swiss", "elixhauser", "quan", "swiss"),
    ):
        found = package.comorbidity(frame, score=score, icd="icd10", variant=variant, weighting=weighting, **age)
        scores[name] = _columns(found, "comorbidity_score")
        if name == "charlson_1987":
            scores["charlson_1987_with_age"] = _columns(found, "age_adj_comorbidity_score")
    return scores


# What each version is known to do wrong, worked out from the codes: the package's answer where it errs.


def _hfrs_of_whole_codes(each: Patient, right: float) -> float:
    """0.8 drops duplicates of the whole code only, so that N18.3 and N18.4 count N18 twice."""
    weights = [frailty.HFRS_WEIGHTS.get(code[:3], "0") for code in icd10(each.codes)]
    return float(sum(Fraction(weight) for weight in weights))


def _quan_with_aids_2(each: Patient, right: float) -> float:
    """Every version weighs AIDS 2 by Quan 2011; the paper's highest score, 24, needs 4."""
    return right - 2 if "aids" in conditions(each.codes, charlson.CODES) else right


def _elixhauser_of_one_condition(weights: int) -> Callable[[Patient, float], float]:
    """0.5 gives each code its last condition only, and sets sums below nought to 0."""

    def value(each: Patient, right: float) -> float:
        last = {name for code in icd10(each.codes) for name in list(_of_elixhauser(code))[-1:]}
        kept = charlson.without_the_milder(last, elixhauser.GIVES_WAY_TO)
        return max(0, sum(elixhauser.WEIGHTS[name][weights] for name in kept))

    return value


@cache
def _of_elixhauser(code: str) -> tuple[str, ...]:
    found = conditions([code], elixhauser.CODES)
    return tuple(name for name in elixhauser.CODES if name in found)


def known_errors() -> dict[str, Callable[[Patient, float], float]]:
    """Give the errors of the installed version, by score."""
    if _is_on_polars():
        return {"charlson_quan_2011": _quan_with_aids_2, "hfrs": _hfrs_of_whole_codes}
    return {
        "charlson_quan_2011": _quan_with_aids_2,
        "elixhauser_van_walraven": _elixhauser_of_one_condition(0),
        "elixhauser_swiss": _elixhauser_of_one_condition(1),
    }


def differences(ours: dict[int, float], theirs: dict[int, float]) -> set[int]:
    """Give the patients with different values, to nine decimals; each must be in both."""
    assert ours.keys() == theirs.keys()
    return {key for key in ours if abs(ours[key] - theirs[key]) > 1e-9}


def _hold_against_comorbidipy(score_all: Callable[[Patients], Scores], patients: Patients) -> None:
    ours, theirs = score_all(patients), peer_scores(patients)
    errors = known_errors()
    assert {"hfrs", "charlson_1987", "charlson_quan_2011"} <= ours.keys()
    for name, values in ours.items():
        err = errors.get(name, lambda each, right: right)
        expected = {key: err(patients[key], right) for key, right in values.items()}
        assert not differences(expected, theirs[name]), f"{name}: not every difference is the package's known error"
        differing = differences(values, theirs[name])
        assert bool(differing) is (name in errors), f"{name}: {len(differing)} differ"


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.filterwarnings("ignore")
def test_2000_patients_score_as_by_comorbidipy_but_for_its_errors(name):
    _hold_against_comorbidipy(IMPLEMENTATIONS[name], random_patients(2_000, seed=1, different_codes=250))


@pytest.mark.slow
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.filterwarnings("ignore")
def test_100000_patients_score_as_by_comorbidipy_but_for_its_errors(name):
    for seed in range(20):  # each with other codes, so that all tables are gone through
        patients = random_patients(5_000, seed, different_codes=600)
        _hold_against_comorbidipy(IMPLEMENTATIONS[name], patients)


ERRORS = [  # codes, score, what is right, what each version gives instead
    pytest.param(("B24",), "charlson_quan_2011", 4, {"0.5": 2, "0.8": 2}, id="aids"),
    pytest.param(("N183", "N184"), "hfrs", 1.4, {"0.8": 2.8}, id="two_codes_of_one_category"),
    pytest.param(("I110",), "elixhauser_van_walraven", 7, {"0.5": 0}, id="one_code_two_conditions"),
    pytest.param(("I10", "E669"), "elixhauser_swiss", -10, {"0.5": 0}, id="below_nought"),
    pytest.param(("E119", "E112"), "charlson_1987", 2, {}, id="hierarchy"),
    pytest.param(("E112",), "charlson_shmi", 0, {}, id="shmi_not_below_nought"),
]


@cache
def _scores_of_errors() -> dict[str, Scores]:
    """Score one patient for each known error, all at once, by every implementation."""
    patients = {number: Patient(80, case.values[0]) for number, case in enumerate(ERRORS)}
    return {name: score_all(patients) for name, score_all in IMPLEMENTATIONS.items()}


@pytest.mark.parametrize(("codes", "score", "right", "wrong_in"), ERRORS)
@pytest.mark.filterwarnings("ignore")
def test_each_known_error_of_comorbidipy_by_itself(codes, score, right, wrong_in):
    patients = {0: Patient(80, codes), 1: Patient(80, ("J449",))}
    version = "0.8" if _is_on_polars() else "0.5"
    assert peer_scores(patients)[score][0] == pytest.approx(wrong_in.get(version, right))
    number = next(place for place, case in enumerate(ERRORS) if case.values[0] == codes)
    assert all(found[score][number] == pytest.approx(right) for found in _scores_of_errors().values())


# ----------------------------------------------------------------------------------------------------------------- kfre

KfrePerson = tuple[int, bool, float, float]
"""Age, male, eGFR, ACR in mg/mmol."""
MODELS = (("north_america", 2), ("north_america", 5), ("elsewhere", 2), ("elsewhere", 5))


def second_kfre(person: KfrePerson, region: str, years: int) -> float:
    """Give the risk by ``tests/second``."""
    return float(kidney.kfre(*person, region=region, years=years).value)


KFRE_IMPLEMENTATIONS: dict[str, Callable[[KfrePerson, str, int], float]] = {"second": second_kfre}

RECORDED = [  # person, then the risks of kfre 0.1.18 in the order of MODELS
    (65, True, 40, 30.0, 0.0248246464, 0.0754810766, 0.0166816697, 0.0630634884),
    (70, False, 25, 100.0, 0.1486143443, 0.3948659247, 0.1020742650, 0.3409215296),
    (80, True, 35, 5.0, 0.0139548590, 0.0429259133, 0.0093603049, 0.0357606781),
    (59, False, 27.3, 0.3, 0.0114851583, 0.0354220448, 0.0077005630, 0.0294900182),
    (86, False, 25.7, 0.3, 0.0075904629, 0.0235074172, 0.0050859496, 0.0195504732),
    (82, False, 8.0, 6.6, 0.2139162800, 0.5283178662, 0.1487687827, 0.4640436047),
    (26, False, 10.9, 6.1, 0.4383609550, 0.8348815271, 0.3202700779, 0.7757298675),
    (90, False, 57.1, 32.2, 0.0017411769, 0.0054259877, 0.0011655344, 0.0045056441),
    (92, False, 37.1, 4.9, 0.0065915979, 0.0204356593, 0.0044159320, 0.0169912705),
    (46, False, 36.0, 0.6, 0.0079479976, 0.0246053320, 0.0053258305, 0.0204655212),
    (71, False, 35.1, 19.9, 0.0243795523, 0.0741630210, 0.0163813474, 0.0619549446),
    (89, False, 11.6, 19.9, 0.2033362721, 0.5082133373, 0.1411188141, 0.4451506151),
    (42, True, 11.3, 62.0, 0.7565862712, 0.9878620650, 0.6115446895, 0.9743053484),
    (90, False, 39.4, 10.9, 0.0076430130, 0.0236688401, 0.0051212052, 0.0196849987),
    (86, True, 47.9, 8.5, 0.0037134221, 0.0115478372, 0.0024865573, 0.0095941402),
    (76, True, 22.2, 120.3, 0.2349855380, 0.5666767538, 0.1641053875, 0.5004782160),
    (49, False, 37.0, 13.7, 0.0270232832, 0.0819731846, 0.0181658410, 0.0685275723),
    (61, True, 21.5, 537.8, 0.5468341157, 0.9155068936, 0.4112014513, 0.8713934506),
    (33, True, 14.9, 3.1, 0.2582660037, 0.6065317875, 0.1812150306, 0.5389207803),
    (80, True, 8.1, 43.5, 0.5253246134, 0.9023442955, 0.3926428863, 0.8549724987),
]


@pytest.mark.parametrize("name", KFRE_IMPLEMENTATIONS)
@pytest.mark.parametrize("row", RECORDED, ids=lambda row: "_".join(str(each) for each in row[:4]))
def test_kidney_failure_risk_is_that_recorded_of_kfre_0_1_18(name, row):
    found = [KFRE_IMPLEMENTATIONS[name](row[:4], region, years) for region, years in MODELS]
    assert found == pytest.approx(row[4:], abs=1e-6)


def random_kidneys(count: int, seed: int) -> Iterable[KfrePerson]:
    """Make adults with an eGFR below 60 and an ACR from 0.1 to 1,000 mg/mmol."""
    draw = random.Random(seed)
    for _ in range(count):
        age, is_male = draw.randint(18, 100), draw.random() < 0.5
        yield age, is_male, round(draw.uniform(5, 59.9), 1), round(10 ** draw.uniform(-1, 3), 2)


@pytest.mark.parametrize("name", KFRE_IMPLEMENTATIONS)
@pytest.mark.filterwarnings("ignore")
def test_kidney_failure_risk_is_that_of_kfre(name):
    as_it_was = builtins.help
    kfre = pytest.importorskip("kfre", reason="kfre is not installed: it comes with stratify[peers], for its plots")
    builtins.help = as_it_was  # kfre puts its own in
    for person in random_kidneys(500, seed=3):
        age, is_male, egfr, acr = person
        for region, years in MODELS:
            theirs = kfre.kfre_person(age, is_male, egfr, acr / 0.113, region == "north_america", years)
            assert KFRE_IMPLEMENTATIONS[name](person, region, years) == pytest.approx(float(theirs), abs=1e-6)
