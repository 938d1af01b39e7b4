"""What is wrong with the people of the synthetic county and since when, before anybody writes it down.

The planted truth of each person: the day each condition and each deficit of the eFI began, how severe COPD is, and
the measurements that go with it all. What a practice or a hospital records of it, and how badly, belongs to others.

Everybody has a lot for each condition, and has it from the age at which the share of people who have it reaches that
lot: so prevalence by age is cumulative incidence on any day. A vulnerability of the person joins conditions together.

Sources of prevalence: QOF 2023-24 (registers); Stone 2023, doi:10.2147/COPD.S411739 (COPD by age and sex); National
Diabetes Audit 2022-23 and Pham 2019, doi:10.2147/CLEP.S227621 (diabetes by age, deprivation, ethnic group); Clegg
2016, doi:10.1093/ageing/afw039 (frailty); ONS, Older people living in care homes in 2021. Shapes by age between the
published points, and factors of risk where none is named, are chosen so that the whole comes out near those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stratify.synth import clinical_codes as codes
from stratify.synth.columns import NEVER, YEAR, Flags, Floats, Ints
from stratify.synth.population import ETHNIC

if TYPE_CHECKING:
    from stratify.synth.population import People
    from stratify.synth.world import County

DEFICIT_NAMES = tuple(codes.DEFICITS)
_COLUMN = {name: number for number, name in enumerate(DEFICIT_NAMES)}
_LEAST_DEFICITS = (5, 9, 13)
"""Fewest deficits of mild, moderate and severe frailty (Clegg 2016: above 0.12, 0.24 and 0.36 of 36)."""
_FRAIL_FROM = 65

_SOUTH_ASIAN = np.isin(ETHNIC, ("H", "J", "K"))
_BLACK = np.isin(ETHNIC, ("M", "N", "P", "D", "E"))
_WHITE = np.isin(ETHNIC, ("A", "B", "C"))


@dataclass(frozen=True)
class _Course:
    """How common something is by age, in percent, and the factors of those who have it more often or less.

    Attributes:
        ages: Ages of the points, rising.
        percent: Percent of people who have it, rising.
        women: Factor for women; men have 2 less it.
        poorest: Factor for the most deprived tenth; the least deprived have 2 less it.
        south_asian: Factor for South Asian people.
        black: Factor for Black people.
        vulnerability: How much of the person's vulnerability counts, 0 to 1.
    """

    ages: tuple[float, ...]
    percent: tuple[float, ...]
    women: float = 1.0
    poorest: float = 1.0
    south_asian: float = 1.0
    black: float = 1.0
    vulnerability: float = 0.5


_COURSES: Mapping[str, _Course] = {
    "copd": _Course(
        (35, 40, 45, 55, 65, 75, 85, 100), (0, 0.17, 0.4, 1.8, 4.8, 9.0, 11.2, 13.0), 1.03, 1.38, 0.7, 0.6, 0.4
    ),
    "asthma": _Course((0, 2, 5, 10, 20, 40, 60, 80), (0, 0.1, 2.5, 5.5, 6.3, 6.7, 7.2, 7.8), 1.1, 1.1, 1.0, 0.9, 0.2),
    "type_1_diabetes": _Course((0, 10, 20, 40, 80), (0, 0.2, 0.38, 0.5, 0.55), 0.88, 1.05, 0.5, 0.7, 0),
    "type_2_diabetes": _Course(
        (15, 25, 35, 45, 55, 65, 75, 90), (0, 0.25, 1.2, 4.2, 8.6, 13.0, 16.5, 17.8), 0.85, 1.24, 2.3, 1.5, 0.4
    ),
    "non_diabetic_hyperglycaemia": _Course(
        (20, 30, 40, 50, 60, 70, 80, 90), (0, 1.1, 2.9, 6.2, 10.3, 14.8, 18.0, 19.5), 1.0, 1.1, 1.7, 1.5, 0.3
    ),
    "hypertension": _Course(
        (18, 30, 40, 50, 60, 70, 80, 90), (0, 1.2, 5.0, 14.0, 27.0, 41.0, 53.0, 58.0), 0.95, 1.08, 1.05, 1.35, 0.35
    ),
    "ischaemic_heart_disease": _Course(
        (30, 40, 50, 60, 70, 80, 90), (0, 0.27, 1.65, 4.9, 9.5, 14.5, 17.5), 0.62, 1.15, 1.5, 0.6, 0.45
    ),
    "heart_failure": _Course((40, 50, 60, 70, 80, 90), (0, 0.35, 1.1, 3.0, 7.2, 13.5), 0.82, 1.2, 1.1, 0.9, 0.7),
    "stroke": _Course((35, 45, 55, 65, 75, 85, 95), (0, 0.45, 1.5, 3.8, 8.0, 13.0, 16.0), 0.9, 1.15, 1.1, 1.2, 0.5),
    "atrial_fibrillation": _Course(
        (40, 50, 60, 70, 80, 90, 98), (0, 0.55, 2.0, 6.0, 13.5, 20.5, 23.0), 0.8, 1.0, 0.6, 0.5, 0.45
    ),
    "chronic_kidney_disease": _Course(
        (30, 45, 55, 65, 75, 85, 95), (0, 0.7, 1.9, 5.6, 13.8, 25.0, 34.0), 1.1, 1.15, 1.2, 1.2, 0.5
    ),
    "dementia": _Course(
        (55, 65, 70, 75, 80, 85, 90, 98), (0, 0.6, 1.15, 2.5, 5.4, 10.2, 16.5, 24.0), 1.12, 1.1, 1.0, 1.2, 0.5
    ),
    "depression": _Course(
        (12, 18, 25, 35, 45, 60, 75, 90), (0, 3.0, 9.0, 12.5, 14.5, 16.0, 16.5, 17.0), 1.35, 1.2, 0.75, 0.75, 0.3
    ),
    "severe_mental_illness": _Course(
        (16, 22, 35, 50, 65, 80), (0, 0.38, 1.05, 1.45, 1.6, 1.65), 0.95, 1.5, 1.1, 2.2, 0.3
    ),
    "cancer": _Course(
        (20, 35, 45, 55, 65, 75, 85, 95), (0, 0.55, 1.75, 4.0, 8.2, 13.6, 16.8, 18.0), 1.05, 0.97, 0.6, 0.75, 0.2
    ),
    "osteoporosis": _Course((45, 55, 65, 75, 85, 95), (0, 0.6, 2.6, 6.5, 11.5, 14.0), 1.62, 1.05, 0.9, 0.5, 0.4),
    "hypothyroidism": _Course((15, 30, 45, 60, 75, 90), (0, 1.2, 3.2, 5.6, 8.2, 9.5), 1.6, 1.03, 1.1, 0.6, 0.15),
    "obesity": _Course((10, 18, 30, 45, 60, 75, 90), (0, 6.0, 16.0, 25.0, 29.0, 30.0, 30.5), 1.08, 1.2, 0.8, 1.15, 0.3),
    "carer": _Course((16, 25, 45, 60, 80), (0, 0.5, 1.6, 2.6, 3.6), 1.25, 1.05, 1.1, 1.0, 0),
}  # fmt: skip
_LEARNING_DISABILITY = 0.0056
_SMOKED = np.array((0.24, 1.9, 2.5))
"""Factor of COPD of those who never smoked, did, and do."""

_MEDICATED = (
    "hypertension", "ischaemic_heart_disease", "heart_failure", "atrial_fibrillation", "stroke", "type_2_diabetes",
    "copd", "chronic_kidney_disease",
)  # fmt: skip
"""Conditions that bring medicines with them."""

CONDITION_NAMES = (*_COURSES, "learning_disability", "palliative")

_SAME_AS: Mapping[str, tuple[str, ...]] = {
    "atrial_fibrillation": ("atrial_fibrillation",),
    "cerebrovascular": ("stroke",),
    "chronic_kidney_disease": ("chronic_kidney_disease",),
    "diabetes": ("type_1_diabetes", "type_2_diabetes"),
    "heart_failure": ("heart_failure",),
    "hypertension": ("hypertension",),
    "ischaemic_heart_disease": ("ischaemic_heart_disease",),
    "memory_cognitive": ("dementia",),
    "osteoporosis": ("osteoporosis",),
    "respiratory_disease": ("copd", "asthma"),
    "thyroid_disease": ("hypothyroidism",),
}
"""Deficits that are there from the onset of a condition."""
_ALSO_ALONE: Mapping[str, float] = {"memory_cognitive": 0.5}
"""Of those, the ones that people have without the condition too, and their weight."""

_WEAR_AGES = np.array((25, 45, 55, 65, 70, 75, 80, 85, 90, 100), dtype=np.float64)
_WEAR = np.array((0, 0.013, 0.036, 0.082, 0.118, 0.166, 0.232, 0.315, 0.41, 0.60))
"""What the years have done to a person of usual vulnerability, for a deficit of weight 1: the share who have it, while
that is small."""
_SPREAD = 4.2
"""Shape of the gamma distribution of vulnerability; its mean is 1."""
_POORER_WEAR = 0.30
_LATE_SIGNS: Mapping[str, float] = {
    "activity_limitation": 1.5, "falls": 1.2, "housebound": 2.2, "mobility_transfer": 1.6, "requirement_for_care": 1.8,
    "skin_ulcer": 1.2, "urinary_incontinence": 1.2, "weight_loss_anorexia": 1.2,
}  # fmt: skip
"""Deficits that come when others are there already: the power of vulnerability they go by."""

_CARE_HOME = _Course(
    (62, 66, 70, 75, 80, 85, 90, 98), (0, 0.2, 0.3, 0.6, 1.4, 4.2, 9.0, 16.0), 1.1, 1.05, 0.5, 0.7, 0.8
)
_CARE_HOME_OF_DEMENTIA = 0.4
"""Share of people with dementia who move into a care home in the five years after it began."""
_PALLIATIVE_SHARE = 0.75

MORE_ADMISSIONS: Mapping[str, float] = {
    "heart_failure": 1.5, "type_2_diabetes": 1.2, "cancer": 1.4, "severe_mental_illness": 1.9,
    "learning_disability": 1.8, "chronic_kidney_disease": 1.2, "copd": 1.15, "depression": 1.25,
    "ischaemic_heart_disease": 1.25,
}  # fmt: skip
"""Factor of the rate of emergency admissions of people with a condition; flare-ups of COPD add others to it."""
MORE_ADMISSIONS_IN_CARE_HOMES = 1.25
ADMISSIONS_BY_FRAILTY = (0.6, 1.05, 1.6, 2.1)
"""The same factor of those of 65 and over who are fit, mildly, moderately and severely frail."""
MORE_ADMISSIONS_OF_THE_POOR = ((0, 20, 50, 65, 85), (0.5, 0.85, 0.6, 0.12, -0.2))
"""By age: how much that rate of the poorest is above that of the least poor, as a share of the mean."""


@dataclass
class Conditions:
    """The truth about each person, one element a person; days are from 1970-01-01.

    Attributes:
        onset: Day each condition of ``CONDITION_NAMES`` began; ``NEVER`` where it has not by the end of the county.
        deficit_day: The same for each deficit of ``DEFICIT_NAMES``, a column each.
        copd_severity: 0 to 1; 0 without COPD.
        exacerbations_a_year: True rate of flare-ups of those with COPD.
        systolic: Mean systolic pressure, treated as it is.
        bmi: Body mass index.
        weight: Body weight in kg, for the height that goes with it.
        cholesterol: Total cholesterol in mmol/l.
        risk: Relative rate of emergency admissions among people of the same age; the mean is about 1.
    """

    onset: dict[str, Ints]
    deficit_day: Ints
    copd_severity: Floats
    exacerbations_a_year: Floats
    systolic: Floats
    bmi: Floats
    weight: Floats
    cholesterol: Floats
    risk: Floats
    _people: People
    _last_day: int
    _fev1_at_worst: Floats
    _mrc: Floats
    _kidney: Floats
    _kidney_decline: Floats
    _sugar: Floats

    def has(self, name: str, day: int | Ints | None = None) -> Flags:
        """Say who has a condition on a day; on the last day where none is given."""
        return self.onset[name] <= (self._last_day if day is None else day)

    def has_deficit(self, name: str) -> Flags:
        """Say who has one deficit on the last day."""
        return self.deficit_day[:, _COLUMN[name]] < NEVER

    @property
    def deficits(self) -> Flags:
        """Who has which deficit on the last day, a column each."""
        return self.deficit_day < NEVER

    @property
    def frailty(self) -> Ints:
        """Frailty on the last day: -1 below 65, else 0 fit, 1 mild, 2 moderate, 3 severe."""
        return self.frailty_on(self._last_day)

    def frailty_on(self, day: int | Ints) -> Ints:
        """Give the frailty on a day, or on a day for each: -1 below 65, else 0 fit to 3 severe."""
        wanted = np.asarray(day)[..., None] if isinstance(day, np.ndarray) else day
        held = (self.deficit_day <= wanted).sum(axis=1)
        level = np.searchsorted(_LEAST_DEFICITS, held, side="right").astype(np.int64)
        return np.where(self._people.age_on(day) >= _FRAIL_FROM, level, -1)

    @property
    def has_copd(self) -> Flags:
        """Who has COPD."""
        return self.has("copd")

    @property
    def has_diabetes(self) -> Flags:
        """Who has diabetes of either type."""
        return self.has("type_1_diabetes") | self.has("type_2_diabetes")

    @property
    def has_hypertension(self) -> Flags:
        """Who has hypertension."""
        return self.has("hypertension")

    @property
    def is_palliative(self) -> Flags:
        """Who has palliative care."""
        return self.has("palliative")

    @property
    def is_housebound(self) -> Flags:
        """Who cannot leave home."""
        return self.has_deficit("housebound")

    @property
    def has_learning_disability(self) -> Flags:
        """Who has a learning disability."""
        return self.has("learning_disability")

    @property
    def has_severe_mental_illness(self) -> Flags:
        """Who has a severe mental illness."""
        return self.has("severe_mental_illness")

    @property
    def is_carer(self) -> Flags:
        """Who looks after somebody."""
        return self.has("carer")

    def fev1_percent_on(self, day: int | Ints, person: Ints | None = None) -> Floats:
        """Give FEV1 in percent of predicted on a day; it falls by the year in COPD, faster in smokers."""
        chosen = slice(None) if person is None else person
        a_year = np.array((0.9, 1.1, 1.9))[self._people.smoking][chosen]
        percent: Floats = (self._fev1_at_worst[chosen] - a_year * self._years_ill(day, chosen)).round(4)
        return np.clip(percent, 13.0, 115.0)

    def mrc_on(self, day: int | Ints, person: Ints | None = None) -> Ints:
        """Give the MRC grade of breathlessness on a day, 1 to 5; it rises with the years."""
        chosen = slice(None) if person is None else person
        exact: Floats = np.round(self._mrc[chosen] + 0.11 * self._years_ill(day, chosen), 4)
        return np.clip(exact + 0.5, 1, 5).astype(np.int64)

    def hba1c_on(self, day: int | Ints, person: Ints | None = None) -> Floats:
        """Give HbA1c in mmol/mol on a day: rising to diabetes, falling with treatment, drifting up after."""
        chosen = slice(None) if person is None else person
        age = self._people.age_on(day, person)
        usual = 35.0 + 0.055 * np.clip(age - 20, 0, 70)
        before = np.minimum(self.onset["non_diabetic_hyperglycaemia"], self.onset["type_2_diabetes"] - 1100)[chosen]
        onset = np.minimum(self.onset["type_1_diabetes"], self.onset["type_2_diabetes"])[chosen]
        nearing = np.clip((day - before) / (6 * YEAR), 0, 1)
        value = np.where(day >= before, 42.3 + 4.9 * nearing, np.minimum(usual, 41.6))
        years = np.maximum((day - onset) / YEAR, 0)
        treated = 45.5 + self._sugar[chosen] * np.minimum(years / 1.5, 1) + 0.35 * np.minimum(years, 20)
        found = 57 + 0.9 * np.maximum(self._sugar[chosen], 0)
        value = np.where(day >= onset, np.where(years < 0.4, found, treated), value)
        level: Floats = np.asarray(np.clip(value, 24, 150), dtype=np.float64).round(4)
        return level

    def egfr_on(self, day: int | Ints, person: Ints | None = None) -> Floats:
        """Give eGFR in ml/min/1.73 m2 on a day: falling slowly with age, faster in chronic kidney disease."""
        chosen = slice(None) if person is None else person
        age = self._people.age_on(day, person)
        healthy = np.clip(self._kidney[chosen] - 0.75 * np.maximum(age - 30, 0), 61.5, 125)
        years = (day - self.onset["chronic_kidney_disease"][chosen]) / YEAR
        ill = np.clip(57 - self._kidney_decline[chosen] * np.maximum(years, 0), 7, 59)
        level: Floats = np.asarray(np.where(years >= 0, ill, healthy), dtype=np.float64).round(4)
        return level

    def hazard_on(self, day: int) -> Floats:
        """Give the risk of dying relative to people of the same age and sex, on a day; the mean is about 1."""
        age = self._people.age_on(day)
        frail = np.array((0.75, 0.55, 1.0, 1.75, 3.0))[self.frailty_on(day) + 1]
        factor = frail * (0.75 + 0.5 * self._people.poverty)
        for name, more in (
            ("cancer", 1.9), ("heart_failure", 1.5), ("dementia", 1.7), ("severe_mental_illness", 2.2),
            ("learning_disability", 2.5), ("chronic_kidney_disease", 1.15), ("type_2_diabetes", 1.15), ("stroke", 1.25),
        ):  # fmt: skip
            # A condition of old age adds less there, where half of the deaths are with it.
            factor = factor * np.where(self.onset[name] <= day, more, 1.0)
        factor = factor * np.where(self.onset["copd"] <= day, 0.9 + 2.2 * self.copd_severity, 1.0)
        factor = factor * np.where(self._people.smoking == 2, 1.5, 1.0)
        factor = factor * np.where(self._people.care_home_since <= day, 1.6, 1.0)
        return np.round(factor / np.interp(age, _USUAL_AGES, _USUAL_HAZARD), 6)

    def foresee(self, people: People, death_day: Ints, rng: np.random.Generator) -> None:
        """Give palliative care to some of those about to die, and let nothing begin after a death.

        Args:
            people: The people; somebody who dies before moving into a care home does not.
            death_day: Day of death, which may be after the last day of the county.
            rng: The generator of the topic.
        """
        count = people.count
        slow = (self.onset["cancer"] < NEVER) | (self.onset["dementia"] < NEVER) | (self.copd_severity > 0.7)
        cared = rng.random(count) < np.where(slow, 1.2, 0.8) * _PALLIATIVE_SHARE
        lead = 10 + np.floor(rng.standard_gamma(1.4, count) * 230).astype(np.int64)
        begins = np.maximum(death_day - lead, np.maximum(people.birth_day, people.start_day))
        self.onset["palliative"] = np.where(cared & (death_day < NEVER) & (begins <= self._last_day), begins, NEVER)
        for name, day in self.onset.items():
            self.onset[name] = np.where(day > death_day, NEVER, day)
        self.deficit_day = np.where(self.deficit_day > death_day[:, None], NEVER, self.deficit_day)
        has_copd = self.onset["copd"] < NEVER
        self.copd_severity = np.where(has_copd, self.copd_severity, 0.0)
        self.exacerbations_a_year = np.where(has_copd, self.exacerbations_a_year, 0.0)
        never_came = people.care_home_since >= death_day
        people.care_home = np.where(never_came, 0, people.care_home)
        people.care_home_since = np.where(never_came, NEVER, people.care_home_since)

    def _years_ill(self, day: int | Ints, chosen: slice | Ints) -> Floats:
        """Give the years with COPD from the last day of the county to a day, below 0 for one before; else 0."""
        onset = self.onset["copd"][chosen]
        years: Floats = np.where(onset < NEVER, (np.maximum(day, onset) - self._last_day) / YEAR, 0.0)
        return years


_USUAL_AGES = (0, 30, 50, 62, 64.9, 65, 67, 72, 77, 82, 87, 93)
_USUAL_HAZARD = (0.77, 0.83, 0.875, 0.94, 0.95, 0.86, 0.93, 1.15, 1.44, 1.85, 2.3, 2.57)
"""Mean of the factors of ``hazard_on`` by age, measured in a county of 600,000."""
_USUAL_RISK = (1.05, 1.09, 1.11, 1.14, 1.14, 0.9, 0.96, 1.19, 1.38, 1.66, 1.87, 1.9)
"""The same of the factors of ``risk``."""


def draw_conditions(county: County, people: People) -> Conditions:
    """Draw the truth about each person of a practice, who lives in a care home, and whom the practice seldom sees.

    Args:
        county: The county.
        people: The people; ``care_home``, ``care_home_since`` and ``engagement`` are changed in place.
    """
    rng, count, last = county.generator(people.practice, "conditions"), people.count, county.last_day
    vulnerability = np.clip(np.round(rng.standard_gamma(_SPREAD, count) / _SPREAD, 6), 0.05, 5.0)
    vulnerability = vulnerability * (1 + _POORER_WEAR * (people.poverty - 0.5))

    onset = {}
    for name, course in _COURSES.items():
        factor = _factor(course, people, vulnerability)
        if name == "copd":
            factor = factor * _SMOKED[people.smoking]
        onset[name] = _onset(course, factor, rng.random(count), people, last)
    born = np.where(rng.random(count) < _LEARNING_DISABILITY * (0.75 + 0.5 * people.poverty), people.birth_day, NEVER)
    onset["learning_disability"] = born
    onset["palliative"] = np.full(count, NEVER, dtype=np.int64)
    _develop_diabetes(onset, people, rng)

    severity = rng.beta(1.7, 2.4, count) + 0.08 * (people.smoking == 2) + 0.1 * (people.poverty - 0.5)
    has_copd = onset["copd"] < NEVER
    severity = np.where(has_copd, np.round(np.clip(severity, 0.01, 0.99), 6), 0.0)
    fev1 = np.where(has_copd, 101 - 88 * severity, 96) + rng.normal(0, 7, count)
    age = people.age_on(county.cutoff_days[0])
    mrc = 0.8 + 3.9 * severity + rng.normal(0, 0.65, count) + 0.012 * (age - 65)
    flares = np.clip(rng.standard_gamma(1.3, count) * (0.28 + 0.75 * severity), 0, 6)

    deficit_day = _draw_deficits(people, onset, vulnerability, mrc, last, rng)
    obese = onset["obesity"] < NEVER
    tall = np.where(people.is_female, 162.0, 175.5) + rng.normal(0, 6.8, count)
    tall = tall * np.interp(age, (0, 1, 5, 10, 15, 18), (0.31, 0.45, 0.65, 0.82, 0.97, 1.0))
    mass = np.where(obese, 30.2 + rng.standard_gamma(1.6, count) * 2.4, np.clip(rng.normal(25.0, 2.9, count), 17, 29.9))
    mass = mass * np.interp(age, (0, 2, 6, 18), (0.62, 0.65, 0.62, 1.0))
    pressure = np.where(onset["hypertension"] < NEVER, 138, 122) + 0.12 * (np.maximum(age, 18) - 50)
    fat = rng.normal(5.1, 0.95, count) - 0.9 * (onset["ischaemic_heart_disease"] < NEVER)
    made = Conditions(
        onset=onset,
        deficit_day=deficit_day,
        copd_severity=severity,
        exacerbations_a_year=np.where(has_copd, np.round(flares, 6), 0.0),
        systolic=np.round(pressure + rng.normal(0, 8, count), 4),
        bmi=np.asarray(mass, dtype=np.float64).round(4),
        weight=np.round(mass * (tall / 100) ** 2, 4),
        cholesterol=np.round(np.clip(fat, 2.6, 9.5), 4),
        risk=np.ones(count),
        _people=people,
        _last_day=last,
        _fev1_at_worst=np.asarray(np.clip(fev1, 14, 112), dtype=np.float64).round(4),
        _mrc=np.asarray(np.clip(mrc, 0.6, 5.4), dtype=np.float64).round(4),
        _kidney=np.round(rng.normal(112, 12, count), 4),
        _kidney_decline=np.round(rng.standard_gamma(1.1, count) * 1.7, 4),
        _sugar=np.round(rng.normal(5, 9, count) + (rng.random(count) < 0.13) * 24 + 4 * people.poverty, 4),
    )
    _draw_care_homes(people, made, vulnerability, last, rng)
    made.risk = _risk(county, people, made, vulnerability, rng)
    _draw_engagement(people, made, rng)
    return made


def _factor(course: _Course, people: People, vulnerability: Floats) -> Floats:
    ethnic = np.where(_SOUTH_ASIAN, course.south_asian, np.where(_BLACK, course.black, 1.0))
    return (
        np.where(people.is_female, course.women, 2 - course.women)
        * (2 - course.poorest + 2 * (course.poorest - 1) * people.poverty)
        * ethnic[people.ethnic]
        * (1 - course.vulnerability + course.vulnerability * vulnerability)
    )


def _onset(course: _Course, factor: Floats, lot: Floats, people: People, last: int) -> Ints:
    """Give the day on which the share who have it, at the person's age and with their factor, reaches their lot."""
    share = np.array(course.percent) / 100
    wanted = np.round(lot / np.maximum(factor, 1e-6), 9)
    age = np.interp(wanted, share, course.ages)
    day = people.birth_day + np.floor(np.round(age * YEAR, 4)).astype(np.int64)
    return np.where((wanted >= share[-1]) | (day > last), NEVER, day)


def _develop_diabetes(onset: dict[str, Ints], people: People, rng: np.random.Generator) -> None:
    """Let most type 2 diabetes come out of non-diabetic hyperglycaemia, and nobody have both types."""
    one, two = onset["type_1_diabetes"], onset["type_2_diabetes"]
    two = np.where(one < NEVER, NEVER, two)
    onset["type_2_diabetes"] = two
    lead = 200 + np.floor(rng.random(people.count) * 6 * YEAR).astype(np.int64)
    noticed = (two < NEVER) & (rng.random(people.count) < 0.55)
    before = onset["non_diabetic_hyperglycaemia"]
    before = np.where(noticed, np.minimum(before, np.maximum(two - lead, people.birth_day)), before)
    onset["non_diabetic_hyperglycaemia"] = np.where((one < NEVER) | (before >= two), NEVER, before)


def _draw_deficits(
    people: People,
    onset: Mapping[str, Ints],
    vulnerability: Floats,
    mrc: Floats,
    last: int,
    rng: np.random.Generator,
) -> Ints:
    """Draw the day of each deficit: from a condition it belongs to, or from what the years do to the person."""
    count = people.count
    days = np.full((count, len(DEFICIT_NAMES)), NEVER, dtype=np.int64)
    number_ill = np.sum([onset[name] < NEVER for name in _MEDICATED], axis=0)
    for column, name in enumerate(DEFICIT_NAMES):
        weight = codes.DEFICITS[name][0] if name not in _SAME_AS else _ALSO_ALONE.get(name, 0.0)
        lot = rng.standard_exponential(count)
        for condition in _SAME_AS.get(name, ()):
            days[:, column] = np.minimum(days[:, column], onset[condition])
        if not weight:
            continue
        power = _LATE_SIGNS.get(name, 1.0)
        pace = weight * vulnerability**power
        if name == "polypharmacy":
            pace = pace * (0.35 + 0.75 * number_ill)
        age = np.interp(np.round(lot / pace, 9), _WEAR, _WEAR_AGES)
        day = people.birth_day + np.floor(np.round(age * YEAR, 4)).astype(np.int64)
        day = np.where((np.round(lot / pace, 9) >= _WEAR[-1]) | (day > last), NEVER, day)
        days[:, column] = np.minimum(days[:, column], day)
    breathless = (onset["copd"] < NEVER) & (mrc >= 3.5)
    column = _COLUMN["dyspnoea"]
    days[:, column] = np.minimum(days[:, column], np.where(breathless, onset["copd"], NEVER))
    return days


def _draw_care_homes(
    people: People, conditions: Conditions, vulnerability: Floats, last: int, rng: np.random.Generator
) -> None:
    """Decide who lives in a care home, and since when; what that needs is a deficit from then on at the latest."""
    count = people.count
    factor = _factor(_CARE_HOME, people, vulnerability) * vulnerability
    since = _onset(_CARE_HOME, factor, rng.random(count), people, last)
    dementia = conditions.onset["dementia"] + np.floor(rng.random(count) * 5 * YEAR).astype(np.int64)
    since = np.where(rng.random(count) < _CARE_HOME_OF_DEMENTIA, np.minimum(since, dementia), since)
    since = np.where((since > last) | people.is_test, NEVER, since)
    kind = 1 + rng.integers(0, 3, count)
    people.care_home = np.where(since < NEVER, kind, 0)
    people.care_home_since = since
    column = _COLUMN["requirement_for_care"]
    conditions.deficit_day[:, column] = np.minimum(conditions.deficit_day[:, column], since)


def _risk(
    county: County, people: People, conditions: Conditions, vulnerability: Floats, rng: np.random.Generator
) -> Floats:
    """Draw the relative rate of emergency admissions among people of the same age."""
    day = county.cutoff_days[0]
    age, frailty = people.age_on(day), conditions.frailty_on(day)
    factor = (0.35 + 0.65 * vulnerability) * np.array((1.0, *ADMISSIONS_BY_FRAILTY))[frailty + 1]
    gradient = np.interp(age, *MORE_ADMISSIONS_OF_THE_POOR)
    factor = factor * (1 + gradient * (people.poverty - 0.5))
    for name, more in MORE_ADMISSIONS.items():
        factor = factor * np.where(conditions.has(name, day), more, 1.0)
    factor = factor * np.where(people.care_home_since <= day, MORE_ADMISSIONS_IN_CARE_HOMES, 1.0)
    # What is not explained by anything recorded: most people have few, and a few have many.
    own = rng.standard_gamma(0.9, people.count) / 0.9
    risk: Floats = np.round(factor * own / np.interp(age, _USUAL_AGES, _USUAL_RISK), 6)
    return risk


def _draw_engagement(people: People, conditions: Conditions, rng: np.random.Generator) -> None:
    """Let some of the worst off be those the practice sees least."""
    worst = (conditions.frailty >= 2) | (conditions.copd_severity > 0.6) | conditions.has_severe_mental_illness
    unseen = worst & (rng.random(people.count) < 0.10 + 0.16 * people.poverty)
    people.engagement = np.where(unseen, np.round(people.engagement * 0.25, 6), people.engagement)
