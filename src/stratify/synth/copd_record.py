"""What practices record of COPD in the synthetic county: reviews, spirometry, breathlessness, exacerbations, inhalers.

Recording is uneven on purpose: about one in seven has no FEV1 in three years and one in ten no MRC grade, the severe
more often than the mild, some values are stale, grades come as codes or as scores, and units in many spellings.
"""

from __future__ import annotations

import numpy as np

from stratify.synth import clinical_codes as codes
from stratify.synth.conditions import Conditions
from stratify.synth.gp_record import GpRecord
from stratify.synth.population import YEAR, Flags, Floats, Ints, Texts, where_so

_PERCENT_UNITS = ("%", "%", "%", "% predicted", "% predicted", "per cent", "%predicted", "% Pred FEV1")
_LITRE_UNITS = ("L", "L", "L", "l", "litres", "Litres", "ml")
_MONTH = 30.44


def write_copd(record: GpRecord, conditions: Conditions) -> tuple[Ints, Ints]:
    """Write the COPD entries of a practice.

    Returns:
        Person and day of the exacerbations that led to an emergency admission.
    """
    person = np.flatnonzero(conditions.has_copd & ~record.people.is_test)
    severity = conditions.copd_severity[person]
    diagnosed, resolved = _write_diagnosis(record, person, severity)
    _write_spirometry(record, conditions, person)
    _write_breathlessness(record, conditions, person)
    _write_reviews(record, person, severity, diagnosed)
    _write_inhalers(record, person, severity)
    _write_severe_disease(record, conditions, person)
    return _write_exacerbations(record, conditions, person[~resolved])


def _back(record: GpRecord, person: Ints, low_months: Floats | float, high_months: Floats | float) -> Ints:
    """Draw a day so many months before the end of each person's record."""
    low, high = np.broadcast_to(low_months, person.shape), np.broadcast_to(high_months, person.shape)
    back = (low + (high - low) * record.rng.random(len(person))) * _MONTH
    day: Ints = record.people.last_day[person] - np.maximum(back.astype(np.int64), 1)
    return day


def _write_diagnosis(record: GpRecord, person: Ints, severity: Floats) -> tuple[Ints, Flags]:
    """Give the day of each diagnosis, and whose COPD was later called resolved; those have no flare-ups."""
    rng = record.rng
    day = _back(record, person, 4, 170)
    other = rng.integers(1, len(codes.COPD_DIAGNOSES), len(person))
    which = np.where((rng.random(len(person)) < 0.86) | ((other == 4) & (severity < 0.5)), 0, other)
    record.event(person, day, codes.COPD_DIAGNOSES, which, is_problem=True)
    resolved = rng.random(len(person)) < 0.03
    end = record.people.last_day[person]
    record.event(person[resolved], ((day + end) // 2)[resolved], (codes.COPD_RESOLVED,))
    return day, resolved


def _write_spirometry(record: GpRecord, conditions: Conditions, person: Ints) -> None:
    people, rng = record.people, record.rng
    count = len(person)
    severity, latest = conditions.copd_severity[person], conditions.fev1_percent[person]
    absent = rng.random(count) < 0.07 + 0.18 * severity
    luck = rng.random(count)
    low = np.where(luck < 0.68, 0.3, np.where(luck < 0.88, 15, 24))
    high = np.where(luck < 0.68, 14.5, np.where(luck < 0.88, 23.5, 35))
    day = _back(record, person, low, high)

    def write(chosen: Flags, on: Ints, percent: Floats) -> None:
        some, when, value = person[chosen], on[chosen], np.clip(percent[chosen], 13, 118)
        record.observation(some, when, codes.FEV1_PERCENT, value, _units(_PERCENT_UNITS, rng, len(some)))
        normal = np.where(people.is_female[some], 3.15, 4.25) - 0.027 * (people.age[some] - 25)
        litres = np.clip(value / 100 * np.maximum(normal, 1.4), 0.3, 5.5)
        unit = _units(_LITRE_UNITS, rng, len(some))
        both = rng.random(len(some)) < 0.75
        litres = np.where(unit == "ml", np.round(litres, 2) * 1000, litres)
        record.observation(some[both], when[both], codes.FEV1_LITRES, litres[both], unit[both], decimals=2)
        ratio = np.clip(0.70 - 0.36 * conditions.copd_severity[some] + rng.normal(0, 0.03, len(some)), 0.25, 0.69)
        measured = rng.random(len(some)) < 0.8
        unit = where_so(rng.random(len(some)) < 0.5, "ratio")
        record.observation(
            some[measured], when[measured], codes.FEV1_FVC_RATIO, ratio[measured], unit[measured], decimals=2
        )

    noise = rng.normal(0, 1.5, count)
    write(~absent, day, latest)
    earlier = ~absent & (rng.random(count) < 0.55)
    write(earlier, day - rng.integers(280, 430, count), latest + 2.5 + noise)
    # Of those with nothing in three years half were measured once, long ago, when they were better.
    write(absent & (rng.random(count) < 0.5), _back(record, person, 38, 75), latest + 11 + noise)


def _write_breathlessness(record: GpRecord, conditions: Conditions, person: Ints) -> None:
    rng = record.rng
    count = len(person)
    severity, grade = conditions.copd_severity[person], conditions.mrc_grade[person]
    present = rng.random(count) >= 0.045 + 0.12 * severity
    is_stale = rng.random(count) < 0.13
    day = _back(record, person, np.where(is_stale, 16, 0.3), np.where(is_stale, 32, 13.5))
    form = rng.random(count)

    def write(chosen: Flags, on: Ints, grades: Ints) -> None:
        coded = chosen & (form < 0.82)
        record.event(person[coded], on[coded], codes.MRC_GRADES, grades[coded] - 1)
        scored = chosen & (form >= 0.76) & (form < 0.94)  # a few by code and by score
        record.observation(person[scored], on[scored], codes.MRC_SCORE, grades[scored], None)
        modified = chosen & (form >= 0.94) & (form < 0.98)
        record.observation(person[modified], on[modified], codes.MMRC_SCORE, grades[modified] - 1, None)
        for number, concept in enumerate(codes.MRC_GRADES):  # the grade as a code, and again as the value beside it
            both = chosen & (form >= 0.98) & (grades == number + 1)
            record.observation(person[both], on[both], concept, grades[both], "grade")

    write(present, day, grade)
    earlier = present & (rng.random(count) < 0.7)
    change = rng.choice(np.array([-1, 0, 0, 0, 1]), size=count)
    # Some got much better, after rehabilitation or a bad winter: an old grade 5 is not today's grade.
    before = np.where((rng.random(count) < 0.07) & (grade <= 3), 5, np.clip(grade + change, 1, 5))
    write(earlier, day - rng.integers(250, 450, count), before)
    asked = present & (rng.random(count) < 0.62)
    score = np.clip(4 + 29 * severity + rng.normal(0, 4, count), 0, 40)
    record.observation(person[asked], day[asked], codes.CAT_SCORE, score[asked], None)


def _write_reviews(record: GpRecord, person: Ints, severity: Floats, diagnosed: Ints) -> None:
    rng = record.rng
    for year in range(3):
        day = _back(record, person, 12 * year, 12 * year + 12)
        seen = (rng.random(len(person)) < 0.78 - 0.2 * severity) & (day > diagnosed)
        record.event(person[seen], day[seen], (codes.COPD_REVIEW,))


def _write_inhalers(record: GpRecord, person: Ints, severity: Floats) -> None:
    luck = record.rng.random(len(person))
    record.repeat_issues(person[luck < 0.87], codes.SALBUTAMOL)
    luck = record.rng.random(len(person)) + 0.6 * (severity - 0.45)
    dual = (luck >= 0.35) & (luck < 0.62)
    open_triple = (luck >= 0.62) & (luck < 0.78)
    for inhaler, chosen in (
        (codes.TIOTROPIUM, ((luck >= 0.12) & (luck < 0.35)) | open_triple),
        (codes.LAMA_LABA, dual),
        (codes.LABA_ICS, open_triple),
        (codes.TRIPLE_INHALERS[0], (luck >= 0.78) & (person % 2 == 0)),
        (codes.TRIPLE_INHALERS[1], (luck >= 0.78) & (person % 2 == 1)),
    ):
        record.repeat_issues(person[chosen], inhaler)


def _write_severe_disease(record: GpRecord, conditions: Conditions, person: Ints) -> None:
    rng = record.rng
    count = len(person)
    severity, fev1 = conditions.copd_severity[person], conditions.fev1_percent[person]
    oxygen = ((fev1 < 33) & (rng.random(count) < 0.45)) | ((severity > 0.55) & (rng.random(count) < 0.04))
    is_old = rng.random(count) < 0.2  # once on oxygen, nothing about it for over a year
    record.event(
        person[oxygen],
        _back(record, person[oxygen], np.where(is_old[oxygen], 14, 0.5), np.where(is_old[oxygen], 40, 11)),
        (codes.LONG_TERM_OXYGEN,),
    )
    heart = (severity > 0.6) & (rng.random(count) < 0.22)
    record.event(person[heart], _back(record, person[heart], 1, 66), (codes.COR_PULMONALE,), is_problem=True)
    referred = (conditions.mrc_grade[person] >= 3) & (rng.random(count) < 0.32)
    day = _back(record, person, 4, 34)
    record.event(person[referred], day[referred], (codes.REHABILITATION_REFERRAL,))
    started = referred & (rng.random(count) < 0.55)
    record.event(person[started], day[started] + 60, (codes.REHABILITATION_STARTED,))
    guarded = (conditions.exacerbations_a_year[person] > 1.6) & (severity > 0.5) & (rng.random(count) < 0.2)
    record.repeat_issues(person[guarded], codes.AZITHROMYCIN, months=8, every=28)


def _write_exacerbations(record: GpRecord, conditions: Conditions, person: Ints) -> tuple[Ints, Ints]:
    rng = record.rng
    rate = conditions.exacerbations_a_year[person]
    flare = np.repeat(person, rng.poisson(rate * 3))
    count = len(flare)
    day = record.people.last_day[flare] - rng.integers(1, int(3 * YEAR), count)
    admitted = rng.random(count) < 0.06 + 0.26 * conditions.copd_severity[flare]
    coded = rng.random(count) < np.where(admitted, 0.5, 0.85)
    record.event(flare[coded], day[coded], codes.COPD_EXACERBATIONS)
    # The same episode, coded again at the review a few days later.
    again = coded & (rng.random(count) < 0.15)
    record.event(flare[again], (day + rng.integers(2, 13, count))[again], codes.COPD_EXACERBATIONS)
    treated = ~admitted & (rng.random(count) < 0.8)
    record.issue(flare[treated], day[treated], codes.PREDNISOLONE, course_days=7, kind="acute")
    infected = ~admitted & (rng.random(count) < 0.72)
    kind = rng.integers(0, len(codes.ANTIBIOTICS), count)
    for number, antibiotic in enumerate(codes.ANTIBIOTICS):
        chosen = infected & (kind == number)
        record.issue(flare[chosen], day[chosen], antibiotic, course_days=7, kind="acute")
    return flare[admitted], day[admitted]


def _units(choices: tuple[str, ...], rng: np.random.Generator, count: int) -> Texts:
    return np.array(choices, dtype=object)[rng.integers(0, len(choices), count)]
