"""What practices record of COPD in the synthetic county: reviews, spirometry, breathlessness, exacerbations, inhalers.

Recording is uneven on purpose: about one in seven has no FEV1 in three years and one in ten no MRC grade, the severe
and those who seldom come more often than the others; some values are stale, grades come as codes or as scores, and
units in many spellings, as each practice is used to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stratify.synth import clinical_codes as codes
from stratify.synth.columns import NEVER, YEAR, Flags, Floats, Ints
from stratify.synth.conditions import Conditions
from stratify.synth.gp_days import Round, next_working_days, seasonal_days, working_days, years_of_history
from stratify.synth.gp_entries import GpRecord
from stratify.synth.medicines import repeat_issues

_PERCENT_UNITS = ("%", "% predicted", "per cent", "%predicted", "% Pred FEV1")
_LITRE_UNITS = ("L", "l", "litres", "Litres", "ml")
_MONTH = 30.44
_EDGES = (30, 50, 80)
"""Percentages of predicted at which severity changes (NICE NG115); results pile up there."""

_INHALERS = (codes.SALBUTAMOL, codes.TIOTROPIUM, codes.LAMA_LABA, codes.LABA_ICS, *codes.TRIPLE_INHALERS)


def write_copd(record: GpRecord, conditions: Conditions, rounds: list[Round]) -> tuple[Ints, Ints]:
    """Write the COPD entries of a practice.

    Returns:
        Person and day of every flare-up, in order of person and day.
    """
    person = np.flatnonzero((conditions.onset["copd"] < NEVER) & ~record.people.is_test)
    diagnosed = conditions.onset["copd"][person]
    resolved_day = _write_diagnosis(record, conditions, person, diagnosed)
    _write_spirometry(record, conditions, person, diagnosed)
    _write_breathlessness(record, conditions, person, diagnosed)
    _write_reviews(record, conditions, person, diagnosed, rounds)
    _write_inhalers(record, conditions, person, diagnosed)
    _write_severe_disease(record, conditions, person, diagnosed)
    return _write_exacerbations(record, conditions, person, diagnosed, resolved_day)


def _write_diagnosis(record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints) -> Ints:
    """Write the diagnosis, and that the COPD of some was resolved; give the day of that, or ``NEVER``."""
    rng, severity = record.rng("copd diagnosis"), conditions.copd_severity[person]
    other = rng.integers(1, len(codes.COPD_DIAGNOSES), len(person))
    which = np.where((rng.random(len(person)) < 0.86) | ((other == 4) & (severity < 0.5)), 0, other)
    record.event(person, diagnosed, codes.COPD_DIAGNOSES, which, is_problem=True)
    # Written again in later years by many; of those whose COPD is resolved a few on the very day.
    end = record.people.last_day[person]
    middle = np.maximum((np.maximum(diagnosed, record.county.first_day) + end) // 2, diagnosed)
    resolved = rng.random(len(person)) < 0.03
    record.event(person[resolved], middle[resolved], (codes.COPD_RESOLVED,))
    again = np.where(resolved, rng.random(len(person)) < 0.1, rng.random(len(person)) < 0.3)
    day = np.where(resolved, middle, diagnosed + (rng.random(len(person)) * (end - diagnosed)).astype(np.int64))
    record.event(person[again], day[again], codes.COPD_DIAGNOSES[:1])
    return np.where(resolved, middle, NEVER)


def _write_spirometry(record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints) -> None:
    people, rng = record.people, record.rng("spirometry")
    count, severity = len(person), conditions.copd_severity[person]
    percent_units, litre_units = _Units(_PERCENT_UNITS, rng), _Units(_LITRE_UNITS, rng)
    seldom = 1 - people.engagement[person]
    absent = rng.random(count) < 0.02 + 0.16 * severity + 0.12 * seldom
    luck = rng.random(count)
    apart = np.where(luck < 0.62, 365, np.where(luck < 0.85, 560, 900))

    def write(chosen: Flags, day: Ints) -> None:
        place = np.flatnonzero(chosen & (day >= diagnosed))
        some, on = person[place], day[place]
        level = conditions.fev1_percent_on(on, some) + rng.normal(0, 1.5, len(some))
        value = np.rint(np.clip(level, 13, 118))
        for edge in _EDGES:
            value = np.where((np.abs(value - edge) <= 2) & (rng.random(len(some)) < 0.3), edge, value)
        record.observation(
            some, on, codes.FEV1_PERCENT, value, _PERCENT_UNITS, which_unit=percent_units.draw(len(some))
        )
        age = (on - people.birth_day[some]) / YEAR
        normal = np.where(people.is_female[some], 3.15, 4.25) - 0.027 * (age - 25)
        litres: Floats = np.clip(value / 100 * np.maximum(normal, 1.4), 0.3, 5.5).round(2).astype(np.float64)
        unit = litre_units.draw(len(some))
        both = rng.random(len(some)) < 0.75
        litres = np.where(unit == _LITRE_UNITS.index("ml"), litres * 1000, litres)
        record.observation(
            some[both], on[both], codes.FEV1_LITRES, litres[both], _LITRE_UNITS, which_unit=unit[both], decimals=2
        )
        ratio = np.clip(0.70 - 0.36 * conditions.copd_severity[some] + rng.normal(0, 0.03, len(some)), 0.25, 0.69)
        measured = rng.random(len(some)) < 0.8
        unit = rng.integers(0, 2, int(measured.sum()))
        record.observation(
            some[measured],
            on[measured],
            codes.FEV1_FVC_RATIO,
            ratio[measured],
            ("ratio", None),
            which_unit=unit,
            decimals=2,
        )

    for day in _times(record, rng, apart):
        write(~absent, day)
    # Of those with nothing in the detailed years half were measured once, long ago, when they were better.
    write(absent & (rng.random(count) < 0.5), record.county.first_day - rng.integers(60, 1200, count))
    new = diagnosed >= record.county.first_day
    write(new & ~absent, working_days(diagnosed + rng.integers(0, 30, count)))


def _write_breathlessness(record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints) -> None:
    people, rng = record.people, record.rng("breathlessness")
    count, severity = len(person), conditions.copd_severity[person]
    present = rng.random(count) >= 0.01 + 0.1 * severity + 0.07 * (1 - people.engagement[person])
    apart = np.where(rng.random(count) < 0.8, 365, 760)
    # How a practice writes the grade: as a code, as a score, or as the modified score, which is one lower.
    usual = int(np.searchsorted((0.8, 0.95), rng.random(), side="right"))
    form = np.where(rng.random(count) < 0.85, usual, rng.integers(0, 4, count))
    once_5 = rng.random(count) < 0.07
    asked = rng.random(count) < 0.62

    def write(chosen: Ints, day: Ints, grades: Ints) -> None:
        some, how = person[chosen], form[chosen]
        coded = (how == 0) | (rng.random(len(some)) < 0.03)  # a few by code and by score
        record.event(some[coded], day[coded], codes.MRC_GRADES, grades[coded] - 1)
        scored = how == 1
        record.observation(some[scored], day[scored], codes.MRC_SCORE, grades[scored], None, is_corrected=False)
        modified = how == 2
        record.observation(
            some[modified], day[modified], codes.MMRC_SCORE, grades[modified] - 1, None, is_corrected=False
        )
        for number, concept in enumerate(codes.MRC_GRADES):  # the grade as a code, and again as the value beside it
            both = (how == 3) & (grades == number + 1)
            record.observation(some[both], day[both], concept, grades[both], "grade", is_corrected=False)
        # Two people wrote down two grades on one day.
        two = rng.random(len(some)) < 0.012
        record.event(some[two], day[two], codes.MRC_GRADES, np.where(grades[two] > 2, grades[two] - 2, grades[two]))

    for number, day in enumerate(_times(record, rng, apart)):
        chosen = np.flatnonzero(present & (day >= diagnosed))
        grade = conditions.mrc_on(day[chosen], person[chosen])
        grade = np.clip(grade + rng.choice(np.array([-1, 0, 0, 0, 0, 0, 0, 1]), size=len(chosen)), 1, 5)
        # Some got much better, after rehabilitation or a bad winter: an old grade 5 is not today's grade.
        grade = np.where(once_5[chosen] & (number == 0) & (grade <= 3), 5, grade)
        write(chosen, day[chosen], grade)
        place = chosen[asked[chosen]]
        score = np.clip(4 + 29 * severity[place] + rng.normal(0, 4, len(place)), 0, 40)
        record.observation(person[place], day[place], codes.CAT_SCORE, score, None, is_corrected=False)


def _write_reviews(
    record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints, rounds: list[Round]
) -> None:
    rng, engagement = record.rng("copd reviews"), record.people.engagement[person]
    for each in rounds[::2]:
        day = each.day[person]
        chance = (0.9 - 0.2 * conditions.copd_severity[person]) * (0.6 + 0.5 * engagement)
        seen = (rng.random(len(person)) < chance) & (day > diagnosed) & (day >= record.county.first_day)
        record.event(person[seen], day[seen], (codes.COPD_REVIEW,))
        record.visit(person[seen], day[seen])


def _write_inhalers(record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints) -> None:
    """Write inhalers; those on three drugs had fewer before."""
    rng, severity = record.rng("copd inhalers"), conditions.copd_severity[person]
    end, count = record.people.last_day[person], len(person)
    begun = diagnosed + rng.integers(0, 60, count)
    never = np.full(count, NEVER, dtype=np.int64)
    luck = rng.random(count) + 0.6 * (severity - 0.45)
    dual, open_triple, closed = (luck >= 0.35) & (luck < 0.62), (luck >= 0.62) & (luck < 0.78), luck >= 0.78
    changed = np.maximum(begun, end - rng.integers(30, int(6 * YEAR), count))
    earlier = closed & (changed > begun)
    rows = [
        (0, rng.random(count) < 0.87, begun, never),
        (1, ((luck >= 0.12) & (luck < 0.35)) | open_triple, begun, never),
        (2, dual, begun, never),
        (2, earlier, begun, changed - 1),
        (3, open_triple, begun, never),
        (4, closed & (person % 2 == 0), changed, never),
        (5, closed & (person % 2 == 1), changed, never),
    ]
    chosen = [np.flatnonzero(who) for _, who, _, _ in rows]
    which = np.concatenate([np.full(len(some), row[0]) for some, row in zip(chosen, rows, strict=True)])
    start = np.concatenate([row[2][some] for some, row in zip(chosen, rows, strict=True)])
    stop = np.concatenate([row[3][some] for some, row in zip(chosen, rows, strict=True)])
    repeat_issues(record, rng, person[np.concatenate(chosen)], _INHALERS, which, start, stop)
    guarded = (conditions.exacerbations_a_year[person] > 1.6) & (severity > 0.5) & (rng.random(count) < 0.2)
    some = person[guarded]
    which = np.zeros(len(some), dtype=np.int64)
    start = np.maximum(end - rng.integers(120, 700, count), begun)[guarded]
    repeat_issues(record, rng, some, (codes.AZITHROMYCIN,), which, start, never[guarded])


def _write_severe_disease(record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints) -> None:
    rng, end = record.rng("severe copd"), record.people.last_day[person]
    count, severity = len(person), conditions.copd_severity[person]
    fev1 = conditions.fev1_percent_on(end, person)
    oxygen = ((fev1 < 33) & (rng.random(count) < 0.45)) | ((severity > 0.55) & (rng.random(count) < 0.04))
    started = np.maximum(end - rng.integers(30, int(4 * YEAR), count), diagnosed)
    # Most are visited for it every year; of a fifth nothing more is heard.
    is_old = rng.random(count) < 0.2
    for year in range(4):
        day = working_days(started + round(year * 300))
        some = oxygen & (day <= end) & ~(is_old & (year > 0))
        record.event(person[some], day[some], (codes.LONG_TERM_OXYGEN,))
    heart = (severity > 0.6) & (rng.random(count) < 0.22)
    day = np.maximum(end - (rng.uniform(1, 66, count) * _MONTH).astype(np.int64), diagnosed)
    record.event(person[heart], day[heart], (codes.COR_PULMONALE,), is_problem=True)
    grade = conditions.mrc_on(end, person)
    referred = (grade >= 3) & (rng.random(count) < 0.32)
    day = np.maximum(end - (rng.uniform(4, 34, count) * _MONTH).astype(np.int64), diagnosed)
    record.event(person[referred], working_days(day)[referred], (codes.REHABILITATION_REFERRAL,))
    came = referred & (rng.random(count) < 0.55)
    record.event(person[came], working_days(day + 60)[came], (codes.REHABILITATION_STARTED,))


def _write_exacerbations(
    record: GpRecord, conditions: Conditions, person: Ints, diagnosed: Ints, resolved_day: Ints
) -> tuple[Ints, Ints]:
    """Write flare-ups, more of them in winter; none before the diagnosis or after somebody thought it resolved."""
    rng, people = record.rng("flare-ups"), record.people
    times = rng.poisson(conditions.exacerbations_a_year[person] * years_of_history(record))
    place = np.repeat(np.arange(len(person)), times)
    day = seasonal_days(record, rng, len(place), winter=0.45)
    kept = (day > diagnosed[place]) & (day < resolved_day[place]) & (day <= people.last_day[person[place]])
    flare, day = person[place][kept], day[kept]
    order = np.lexsort((day, flare))
    flare, day = flare[order], day[order]
    count = len(flare)
    seen_on = next_working_days(day)
    coded = rng.random(count) < 0.8
    which = rng.integers(0, len(codes.COPD_EXACERBATIONS), count)
    record.event(flare[coded], seen_on[coded], codes.COPD_EXACERBATIONS, which[coded])
    # The same episode, coded again at the review a few days later.
    again = coded & (rng.random(count) < 0.15)
    record.event(flare[again], (seen_on + rng.integers(2, 13, count))[again], codes.COPD_EXACERBATIONS, which[again])
    record.visit(flare[coded], seen_on[coded])
    treated = rng.random(count) < 0.7
    record.issue(flare[treated], seen_on[treated], (codes.PREDNISOLONE,), course_days=7)
    infected = rng.random(count) < 0.64
    kind = rng.integers(0, len(codes.ANTIBIOTICS), count)
    record.issue(flare[infected], seen_on[infected], codes.ANTIBIOTICS, kind[infected], course_days=7)
    return flare, day


class _Units:
    """Spellings of a unit: each practice has its own, and now and then somebody writes another."""

    def __init__(self, choices: Sequence[str], rng: np.random.Generator) -> None:
        self._count, self._rng = len(choices), rng
        self._usual = int(np.searchsorted((0.5, 0.75, 0.9, 0.96), rng.random(), side="right"))

    def draw(self, count: int) -> Ints:
        """Draw the positions of so many units."""
        other = self._rng.integers(0, self._count, count)
        return np.where(self._rng.random(count) < 0.75, self._usual, other)


def _times(record: GpRecord, rng: np.random.Generator, apart: Ints) -> Iterator[Ints]:
    """Give a day for each of the people, again and again, as far apart as is said, until the history is over."""
    day = record.county.first_day + (rng.random(len(apart)) * apart).astype(np.int64)
    while (day <= record.county.last_day).any():
        yield working_days(day)
        day = day + apart + rng.integers(-40, 41, len(apart))
