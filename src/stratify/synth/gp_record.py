"""What the practices of the synthetic county write in their records: coded entries, measurements and issues.

A collector that turns arrays of (person, day, code) into landing rows, and the background everybody has: smoking, blood
pressure, tests, diabetes, frailty deficits and repeat medicines. COPD has its own module, ``copd_record``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth.clinical_codes import Concept, Medicine
from stratify.synth.conditions import DEFICIT_NAMES, Conditions
from stratify.synth.population import YEAR, Flags, Floats, Ints, People, Practice, Texts, days, texts, where_so

_ISSUE_EVERY_DAYS = 56


class GpRecord:
    """Collects one practice's entries; each method takes arrays with one element an entry."""

    def __init__(self, people: People, cutoff_day: int, rng: np.random.Generator) -> None:
        """Start an empty record of these people."""
        self.people, self.cutoff_day, self.rng = people, cutoff_day, rng
        self._events: list[dict[str, Any]] = []
        self._observations: list[dict[str, Any]] = []
        self._issues: list[dict[str, Any]] = []
        self._pairs = 0

    def event(
        self,
        person: Ints,
        day: Ints,
        concepts: Sequence[Concept],
        which: Ints | None = None,
        *,
        is_problem: bool = False,
    ) -> None:
        """Write coded entries; ``which`` picks the concept of each, at random where it is not given."""
        chosen = self.rng.integers(0, len(concepts), len(person)) if which is None else which
        self._events.append(
            {
                "person": person,
                "day": day,
                "code": np.array([c.code for c in concepts], dtype=object)[chosen],
                "term": np.array([c.term for c in concepts], dtype=object)[chosen],
                "is_problem": np.full(len(person), is_problem),
            }
        )

    def observation(
        self,
        person: Ints,
        day: Ints,
        concept: Concept,
        value: Floats | Ints,
        unit: str | Texts | None,
        *,
        decimals: int = 0,
        comparator: Texts | None = None,
        parent: Texts | None = None,
    ) -> None:
        """Write measurements of one concept; ``unit`` is one text for all or one each."""
        none = np.full(len(person), None, dtype=object)
        self._observations.append(
            {
                "person": person,
                "day": day,
                "code": np.full(len(person), concept.code, dtype=object),
                "term": np.full(len(person), concept.term, dtype=object),
                "value": np.round(value.astype(np.float64), decimals),
                "unit": np.full(len(person), unit, dtype=object) if unit is None or isinstance(unit, str) else unit,
                "comparator": none if comparator is None else comparator,
                "parent": none if parent is None else parent,
            }
        )

    def blood_pressure(self, person: Ints, day: Ints, systolic: Floats, diastolic: Floats) -> None:
        """Write pairs of systolic and diastolic pressure under one parent entry each."""
        parent = np.array([f"BP{self._pairs + each:08d}" for each in range(len(person))], dtype=object)
        self._pairs += len(person)
        self.observation(person, day, codes.SYSTOLIC, systolic, "mmHg", parent=parent)
        self.observation(person, day, codes.DIASTOLIC, np.minimum(diastolic, systolic - 15), "mmHg", parent=parent)

    def issue(
        self,
        person: Ints,
        day: Ints,
        medicine: Medicine,
        *,
        course_days: int,
        kind: str = "repeat",
        quantity: int | None = None,
    ) -> None:
        """Write issues of one medicine."""
        self._issues.append(
            {
                "person": person,
                "day": day,
                "code": np.full(len(person), medicine.code, dtype=object),
                "term": np.full(len(person), medicine.term, dtype=object),
                "bnf": np.full(len(person), medicine.bnf_code, dtype=object),
                "quantity": np.full(len(person), medicine.quantity if quantity is None else quantity),
                "unit": np.full(len(person), medicine.quantity_unit, dtype=object),
                "course": np.full(len(person), course_days),
                "kind": np.full(len(person), kind, dtype=object),
            }
        )

    def repeat_issues(
        self, person: Ints, medicine: Medicine, *, months: int = 14, every: int = _ISSUE_EVERY_DAYS
    ) -> None:
        """Write issues of one medicine every eight weeks or so, back from the last day of each person's record."""
        times = int(months * 30.4 / every)
        back = self.rng.integers(0, every, len(person))[:, None] + np.arange(times)[None, :] * every
        back = back + self.rng.integers(-6, 7, back.shape)
        day = self.people.last_day[person][:, None] - np.maximum(back, 1)
        kept = self.rng.random(back.shape) < 0.93
        self.issue(np.repeat(person, times)[kept.ravel()], day.ravel()[kept.ravel()], medicine, course_days=every)

    def frames(self, practices: Sequence[Practice]) -> dict[str, pl.DataFrame]:
        """Give the rows of the three tables, none before birth or after the end of the record."""
        return {
            "gp_event": self._events_frame(practices),
            "gp_observation": self._observations_frame(practices),
            "gp_medication": self._issues_frame(practices),
        }

    def _join(self, chunks: list[dict[str, Any]]) -> dict[str, Any]:
        joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        person, day = joined["person"], joined["day"]
        kept = (day <= np.minimum(self.people.last_day[person], self.cutoff_day)) & (
            day >= self.people.birth_day[person]
        )
        kept &= ~self.people.is_test[person]
        order = np.flatnonzero(kept)
        order = order[np.lexsort((order, joined["day"][order], joined["person"][order]))]
        return {name: values[order] for name, values in joined.items()}

    def _common(
        self, rows: dict[str, Any], practices: Sequence[Practice], letter: str
    ) -> tuple[pl.Series, pl.Series, pl.Series]:
        organisation, ids = self.people.record_codes(rows["person"], rows["day"], practices)
        number = self.people.practice.number
        own = [f"{letter}{number:03d}{each:08d}" for each in range(len(rows["person"]))]
        return texts(organisation), texts(ids), texts(own)

    def _recorded_at(self, day: Ints) -> pl.Series:
        seconds = day * 86400 + 8 * 3600 + self.rng.integers(0, 10 * 3600, len(day))
        return pl.Series(values=seconds * 1000).cast(pl.Datetime("ms"))

    def _events_frame(self, practices: Sequence[Practice]) -> pl.DataFrame:
        rows = self._join(self._events)
        organisation, ids, own = self._common(rows, practices, "E")
        count = len(rows["person"])
        # An old date is often known only to the year; the system then writes the first of January.
        is_old = (self.cutoff_day - rows["day"] > 10 * YEAR) & (self.rng.random(count) < 0.3)
        first = rows["day"].astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
        day = np.where(is_old & (first >= self.people.birth_day[rows["person"]]), first, rows["day"])
        return pl.DataFrame(
            {
                "org_code": organisation,
                "source_event_id": own,
                "source_patient_id": ids,
                "snomed_code": texts(rows["code"]),
                "snomed_term": texts(rows["term"]),
                "effective_date": days(day),
                "effective_precision": texts(np.where(is_old, "Y", "YMD")),
                "recorded_at": self._recorded_at(rows["day"]),
                "episodicity": texts(where_so(rows["is_problem"], "first")),
                "is_problem": pl.Series(values=rows["is_problem"]),
                "problem_status": texts(where_so(rows["is_problem"], "active")),
                "is_confidential": pl.Series(values=self.rng.random(count) < 0.0005),
                "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
            }
        )

    def _observations_frame(self, practices: Sequence[Practice]) -> pl.DataFrame:
        rows = self._join(self._observations)
        organisation, ids, own = self._common(rows, practices, "V")
        count = len(rows["person"])
        return pl.DataFrame(
            {
                "org_code": organisation,
                "source_event_id": own,
                "source_patient_id": ids,
                "snomed_code": texts(rows["code"]),
                "snomed_term": texts(rows["term"]),
                "effective_date": days(rows["day"]),
                "effective_precision": texts(np.full(count, "YMD", dtype=object)),
                "recorded_at": self._recorded_at(rows["day"]),
                "value_num": pl.Series(values=rows["value"]),
                "comparator": texts(rows["comparator"]),
                "unit_raw": texts(rows["unit"]),
                "parent_event_id": texts(rows["parent"]),
                "is_confidential": pl.Series(values=np.zeros(count, dtype=np.bool_)),
                "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
            }
        )

    def _issues_frame(self, practices: Sequence[Practice]) -> pl.DataFrame:
        rows = self._join(self._issues)
        organisation, ids, own = self._common(rows, practices, "I")
        count = len(rows["person"])
        record = [
            f"D{self.people.practice.number:03d}{person:06d}{code[-6:]}"
            for person, code in zip(rows["person"], rows["code"], strict=True)
        ]
        return pl.DataFrame(
            {
                "org_code": organisation,
                "source_issue_id": own,
                "source_patient_id": ids,
                "issue_date": days(rows["day"]),
                "dmd_code": texts(rows["code"]),
                "dmd_term": texts(rows["term"]),
                "dmd_level": texts(np.full(count, "VMP", dtype=object)),
                "bnf_code": texts(rows["bnf"]),
                "quantity": pl.Series(values=rows["quantity"]),
                "quantity_unit": texts(rows["unit"]),
                "course_days": pl.Series(values=rows["course"]),
                "prescription_type": texts(rows["kind"]),
                "drug_record_id": texts(record),
                "is_active": pl.Series(values=(rows["kind"] == "repeat") & (self.cutoff_day - rows["day"] < 120)),
                "is_deleted": pl.Series(values=np.zeros(count, dtype=np.bool_)),
            }
        )


def write_background(record: GpRecord, conditions: Conditions) -> None:
    """Write everybody's common entries: smoking, measurements, diagnoses, frailty deficits and repeat medicines."""
    people, rng = record.people, record.rng
    adult = people.age >= 16
    _write_smoking(record, adult)
    _write_diagnoses(record, conditions)
    _write_deficits(record, conditions)
    _write_measurements(record, conditions, adult)
    _write_diabetes(record, conditions)
    _write_repeats(record, conditions)
    wheezy = np.flatnonzero(
        (rng.random(people.count) < 0.06) & ~conditions.has_copd & (people.age < 65) & (people.age > 5)
    )
    record.event(wheezy, _ago(record, wheezy, 1, 20), (codes.ASTHMA,), is_problem=True)
    record.repeat_issues(wheezy[rng.random(len(wheezy)) < 0.5], codes.SALBUTAMOL, every=112)


def _ago(record: GpRecord, person: Ints, low_years: float, high_years: float) -> Ints:
    """Draw a day between so many years before the end of each person's record, and not before birth."""
    back = record.rng.uniform(low_years * YEAR, high_years * YEAR, len(person)).astype(np.int64)
    day: Ints = np.maximum(record.people.last_day[person] - back, record.people.birth_day[person] + 1)
    return day


def _write_smoking(record: GpRecord, adult: Flags) -> None:
    people, rng = record.people, record.rng
    asked = np.flatnonzero(adult & (rng.random(people.count) < 0.88))
    record.event(asked, _ago(record, asked, 0, 4), codes.SMOKING, people.smoking[asked])
    again = asked[(people.smoking[asked] > 0) & (rng.random(len(asked)) < 0.5)]
    # Those who gave up were once recorded as smokers.
    record.event(again, _ago(record, again, 5, 15), codes.SMOKING, np.full(len(again), 2))


def _write_diagnoses(record: GpRecord, conditions: Conditions) -> None:
    people, rng = record.people, record.rng
    younger = people.age < 65
    high = np.flatnonzero(conditions.has_hypertension & younger)
    record.event(high, _ago(record, high, 0.5, 12), (codes.HYPERTENSION,), is_problem=True)
    for concept, low, share in (
        (codes.DEPRESSION, 16, 0.11),
        (codes.ISCHAEMIC_HEART_DISEASE, 50, 0.03),
        (codes.HYPOTHYROIDISM, 30, 0.03),
    ):
        some = np.flatnonzero((people.age >= low) & (younger | (low == 16)) & (rng.random(people.count) < share))
        record.event(some, _ago(record, some, 0.5, 10), (concept,), is_problem=True)
    for concept, who, years in (
        (codes.LEARNING_DISABILITY, conditions.has_learning_disability, 20),
        (codes.MANIA, conditions.has_severe_mental_illness, 15),
        (codes.PALLIATIVE_CARE, conditions.is_palliative, 1),
        (codes.IS_CARER, conditions.is_carer, 6),
        (
            codes.DEMENTIA,
            conditions.has_deficit("memory_cognitive") & (people.age > 72) & (rng.random(people.count) < 0.6),
            5,
        ),
        (codes.CARE_HOME_NURSING, people.care_home == 1, 3),
        (codes.CARE_HOME_RESIDENTIAL, people.care_home == 2, 3),
        (codes.CARE_HOME_UNSPECIFIED, people.care_home == 3, 3),
    ):
        person = np.flatnonzero(who)
        record.event(person, _ago(record, person, 0.05, years), (concept,), is_problem=True)


def _write_deficits(record: GpRecord, conditions: Conditions) -> None:
    people, rng = record.people, record.rng
    for name in DEFICIT_NAMES:
        concepts = codes.DEFICITS[name][1]
        person = np.flatnonzero(conditions.has_deficit(name))
        if name == "respiratory_disease":
            person = person[~conditions.has_copd[person]]
        if not concepts or name == "diabetes" or not len(person):
            continue
        which = rng.integers(0, len(concepts), len(person))
        if name == "urinary_system_disease":  # the prostate is a man's
            which = np.where(people.is_female[person], 0, which)
        record.event(person, _ago(record, person, 0.1, 11), concepts, which, is_problem=True)
        if name in ("falls", "dizziness", "urinary_system_disease"):  # these come again
            again = person[rng.random(len(person)) < 0.5]
            record.event(again, _ago(record, again, 0, 2), concepts[:1])


def _write_measurements(record: GpRecord, conditions: Conditions, adult: Flags) -> None:
    people, rng = record.people, record.rng
    count = people.count
    watched = conditions.has_hypertension | conditions.has_diabetes | conditions.has_copd | (people.age >= 65)
    pressure = rng.normal(np.where(conditions.has_hypertension, 140, 124) + 0.1 * (people.age - 50), 7)
    weight = np.clip(rng.normal(27 + 1.2 * (10.5 - people.decile) / 9 + 2.5 * conditions.has_diabetes, 4.8), 16, 52)
    failing = conditions.has_deficit("chronic_kidney_disease")
    kidney = np.where(failing, rng.uniform(24, 58, count), np.clip(rng.normal(112 - 0.45 * people.age, 12), 63, 120))
    anaemic = conditions.has_deficit("anaemia")
    blood = np.where(anaemic, rng.normal(104, 8, count), rng.normal(np.where(people.is_female, 132, 146), 8))
    blood = np.where(anaemic, np.minimum(blood, 113), np.maximum(blood, np.where(people.is_female, 117, 132)))
    for year in range(3):
        chance = np.where(watched, 0.8, 0.22)
        seen = np.flatnonzero(adult & (rng.random(count) < chance))
        day = _ago(record, seen, year, year + 1)
        systolic = pressure[seen] + rng.normal(0, 9, len(seen))
        record.blood_pressure(
            seen, day, np.clip(systolic, 86, 215), np.clip(systolic * 0.42 + rng.normal(22, 6, len(seen)), 45, 120)
        )
        tested = seen[watched[seen] & (rng.random(len(seen)) < 0.75)]
        day = _ago(record, tested, year, year + 1)
        egfr = np.clip(
            kidney[tested] + np.where(failing[tested], rng.normal(0, 1, len(tested)), rng.uniform(0, 5, len(tested))),
            8,
            120,
        )
        high = egfr > 90
        record.observation(
            tested, day, codes.EGFR, np.where(high, 90, egfr), "mL/min/1.73m2", comparator=where_so(high, ">")
        )
        counted = tested[rng.random(len(tested)) < 0.6]
        record.observation(counted, _ago(record, counted, year, year + 1), codes.HAEMOGLOBIN, blood[counted], "g/L")
        fats = tested[rng.random(len(tested)) < 0.5]
        record.observation(
            fats,
            _ago(record, fats, year, year + 1),
            codes.CHOLESTEROL,
            rng.normal(4.9, 0.9, len(fats)).clip(2.4, 9),
            "mmol/L",
            decimals=1,
        )
    weighed = np.flatnonzero(adult & (rng.random(count) < np.where(watched, 0.8, 0.35)))
    record.observation(
        weighed, _ago(record, weighed, 0, 3), codes.BODY_MASS_INDEX, weight[weighed], "kg/m2", decimals=1
    )


def _write_diabetes(record: GpRecord, conditions: Conditions) -> None:
    people, rng = record.people, record.rng
    person = np.flatnonzero(conditions.has_diabetes)
    young = people.age[person] < 35
    kinds = (codes.TYPE_2_DIABETES, codes.TYPE_1_DIABETES)
    record.event(person, _ago(record, person, 0.5, 15), kinds, np.where(young, 1, 0), is_problem=True)
    usual = np.clip(rng.gamma(4, 5.2, len(person)) + 37, 39, 135)
    for half_year in range(6):
        tested = np.flatnonzero(rng.random(len(person)) < 0.72)
        day = _ago(record, person[tested], half_year / 2, (half_year + 1) / 2)
        value = np.clip(usual[tested] + rng.normal(0, 5, len(tested)), 33, 150)
        record.observation(person[tested], day, codes.HBA1C, value, "mmol/mol")
    older = person[~young]
    record.repeat_issues(older[rng.random(len(older)) < 0.8], codes.METFORMIN)
    record.repeat_issues(older[rng.random(len(older)) < 0.25], codes.GLICLAZIDE)


def _write_repeats(record: GpRecord, conditions: Conditions) -> None:
    """Issue five to eight repeat medicines to those with polypharmacy, up to three to other people over 65."""
    people, rng = record.people, record.rng
    medicines = codes.REPEAT_MEDICINES
    many = conditions.has_deficit("polypharmacy") & ~conditions.has_copd
    with_copd = conditions.has_deficit("polypharmacy") & conditions.has_copd
    wanted = np.where(many, rng.integers(5, 8, people.count), np.where(with_copd, rng.integers(3, 6, people.count), 0))
    few = rng.integers(0, 4, people.count)
    # Metformin and gliclazide count too: somebody without polypharmacy must stay below five.
    few = np.where(conditions.has_diabetes, np.minimum(few, 2), few)
    middle = (people.age >= 45) & (people.age < 65) & (conditions.has_hypertension | conditions.has_diabetes)
    wanted = np.where((conditions.frailty >= 0) & (wanted == 0), few, np.where(middle, np.minimum(few, 2), wanted))
    lot = rng.random((people.count, len(medicines))) ** (1 / np.linspace(2.2, 0.8, len(medicines)))
    rank = np.argsort(np.argsort(-lot, axis=1, kind="stable"), axis=1, kind="stable")
    for number, medicine in enumerate(medicines):
        person = np.flatnonzero(rank[:, number] < wanted)
        record.repeat_issues(person, medicine)
