"""What collects the entries of one practice's records and turns them into landing rows.

Here: the three tables of entries (coded, measured, issued), their ids, when an extract first shows them, and the few
that are corrected or withdrawn later. Which entries there are belongs to ``gp_record`` and the modules it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth import columns
from stratify.synth.clinical_codes import Concept, Medicine
from stratify.synth.columns import KNOWN, REPLACES, YEAR, Flags, Floats, Ints
from stratify.synth.population import People
from stratify.synth.world import County

_CORRECTED = 0.001
_WITHDRAWN = 0.0007
"""Shares of entries that are mended or struck out two to thirteen weeks later."""

_DAYS_BEFORE_1970 = 60_000


class GpRecord:
    """Collects the entries of one practice; each method takes arrays with one element an entry.

    Entries of a test patient, before birth, after the end of a record or too late for any extract are left out, so
    that callers need not mind.
    """

    def __init__(self, county: County, people: People) -> None:
        """Start an empty record of these people."""
        self.county, self.people = county, people
        self._events: list[dict[str, Any]] = []
        self._observations: list[dict[str, Any]] = []
        self._issues: list[dict[str, Any]] = []
        self._visits: list[tuple[Ints, Ints]] = []
        self._concepts: dict[Concept, int] = {}
        self._medicines: dict[Medicine, int] = {}
        self._units: dict[str, int] = {}
        self._pairs = 0

    def rng(self, topic: str, *more: int) -> np.random.Generator:
        """Give the generator of one topic of these records."""
        return self.county.generator(self.people.practice, f"gp {topic}", *more)

    def event(
        self,
        person: Ints,
        day: Ints,
        concepts: Sequence[Concept],
        which: Ints | None = None,
        *,
        is_problem: bool = False,
        pair: Ints | None = None,
    ) -> None:
        """Write coded entries; ``which`` picks the concept of each, the first where it is not given."""
        numbers = np.array([self._concepts.setdefault(each, len(self._concepts)) for each in concepts], dtype=np.int64)
        self._events.append(
            {
                "person": person,
                "day": day,
                "concept": _filled(numbers[0], person) if which is None else numbers[which],
                "is_problem": np.full(len(person), is_problem),
                "pair": _filled(-1, person) if pair is None else pair,
            }
        )

    def observation(
        self,
        person: Ints,
        day: Ints,
        concept: Concept,
        value: Floats | Ints,
        unit: str | Sequence[str | None] | None,
        *,
        which_unit: Ints | None = None,
        decimals: int = 0,
        comparator: Ints | None = None,
        pair: Ints | None = None,
        is_corrected: bool = True,
    ) -> None:
        """Write measurements of one concept.

        Args:
            person: Whose.
            day: When.
            concept: Of what.
            value: The values.
            unit: One unit for all, none, or those that ``which_unit`` picks from.
            which_unit: Position of each unit.
            decimals: Digits after the point that are kept.
            comparator: -1, 0 or 1 for below, no comparator and above.
            pair: Number of the blood pressure that the value belongs to.
            is_corrected: Whether a few are written wrongly first; not where another entry must agree with the value.
        """
        units = (unit,) if unit is None or isinstance(unit, str) else unit
        numbers = np.array([-1 if each is None else self._units.setdefault(each, len(self._units)) for each in units])
        self._observations.append(
            {
                "person": person,
                "day": day,
                "concept": _filled(self._concepts.setdefault(concept, len(self._concepts)), person),
                "value": np.round(value.astype(np.float64), decimals),
                "decimals": _filled(decimals, person),
                "unit": _filled(int(numbers[0]), person) if which_unit is None else numbers[which_unit],
                "comparator": _filled(0, person) if comparator is None else comparator,
                "pair": _filled(-1, person) if pair is None else pair,
                "is_corrected": np.full(len(person), is_corrected),
            }
        )

    def blood_pressure(self, person: Ints, day: Ints, systolic: Floats, diastolic: Floats) -> None:
        """Write pairs of systolic and diastolic pressure, each under an entry of its own."""
        pair = self._pairs + np.arange(len(person))
        self._pairs += len(person)
        self.event(person, day, (codes.BLOOD_PRESSURE,), pair=pair)
        self.observation(person, day, codes.SYSTOLIC, systolic, "mmHg", pair=pair)
        self.observation(person, day, codes.DIASTOLIC, np.minimum(diastolic, systolic - 15), "mmHg", pair=pair)

    def issue(
        self,
        person: Ints,
        day: Ints,
        medicines: Sequence[Medicine],
        which: Ints | None = None,
        *,
        course_days: Ints | int,
        kind: str = "acute",
        stop_day: Ints | None = None,
    ) -> None:
        """Write issues of medicines; ``which`` picks the medicine of each, the first where it is not given.

        What is repeated is issued for as many days as the course has, and was ended on ``stop_day`` if ever.
        """
        numbers = np.array([self._medicines.setdefault(each, len(self._medicines)) for each in medicines])
        amounts = np.array([each.quantity for each in medicines], dtype=np.int64)
        chosen = _filled(0, person) if which is None else which
        course = np.broadcast_to(np.asarray(course_days, dtype=np.int64), person.shape)
        is_repeat = kind == "repeat"
        times = np.maximum(course // 28, 1) if is_repeat else 1
        self._issues.append(
            {
                "person": person,
                "day": day,
                "medicine": numbers[chosen],
                "quantity": amounts[chosen] * times,
                "course": course,
                "is_repeat": np.full(len(person), is_repeat),
                "stop": _filled(columns.NEVER, person) if stop_day is None else stop_day,
            }
        )

    def visit(self, person: Ints, day: Ints) -> None:
        """Note that somebody came to the practice; ``appointments`` makes an appointment of it."""
        self._visits.append((person, day))

    def visits(self) -> tuple[Ints, Ints]:
        """Give who came and when."""
        none = np.zeros(0, dtype=np.int64)
        person = np.concatenate([none, *(person for person, _ in self._visits)])
        return person, np.concatenate([none, *(day for _, day in self._visits)])

    def frames(self) -> dict[str, pl.DataFrame]:
        """Give the rows of the three tables with every version of each."""
        return {
            "gp_event": self._events_frame(),
            "gp_observation": self._observations_frame(),
            "gp_medication": self._issues_frame(),
        }

    def _join(self, chunks: list[dict[str, Any]]) -> dict[str, Any]:
        """Join the chunks of a table in order of person and day, without entries that nobody could have made."""
        person = np.concatenate([chunk["person"] for chunk in chunks])
        day = np.concatenate([chunk["day"] for chunk in chunks])
        people = self.people
        kept = np.flatnonzero(
            (day <= people.last_day[person]) & (day >= people.birth_day[person]) & ~people.is_test[person]
        )
        in_order = person[kept] * 2 * _DAYS_BEFORE_1970 + day[kept] + _DAYS_BEFORE_1970
        order = kept[np.argsort(in_order, kind="stable")]
        return {name: np.concatenate([chunk[name] for chunk in chunks])[order] for name in chunks[0]}

    def _known(self, day: Ints, is_prompt: Flags, rng: np.random.Generator, *, late: float) -> tuple[Ints, Ints]:
        """Draw when each entry was made and when an extract first shows it: within a day or two, a few much later."""
        count = len(day)
        luck = rng.random(count)
        behind = np.where(
            luck < late, rng.integers(8, 150, count), np.where(luck < 3 * late, rng.integers(1, 8, count), 0)
        )
        recorded = day + np.where(is_prompt, 0, behind)
        return recorded, recorded + np.where(is_prompt, 1, rng.integers(0, 3, count))

    def _common(self, rows: dict[str, Any], own: pl.Series, name: str) -> dict[str, pl.Series]:
        organisation, record = self.people.record_of(rows["person"], rows["day"])
        return {"org_code": organisation, name: own, "source_patient_id": record}

    def _ids(self, letter: str, numbers: Ints) -> pl.Series:
        return columns.ids(f"{letter}{self.people.practice.number:03d}", numbers, 8)

    def _finished(
        self,
        frame: pl.DataFrame,
        known: Ints,
        may_change: Flags,
        rng: np.random.Generator,
        wrong: pl.Series | None = None,
    ) -> pl.DataFrame:
        """Add when each row is known, and second versions of the few that are mended or withdrawn.

        Args:
            frame: The rows as they should be.
            known: Day on which an extract first shows each.
            may_change: Which may have a second version.
            rng: The generator of the table.
            wrong: The values written first of rows that are mended; without it none is.
        """
        luck = rng.random(frame.height)
        later = known + rng.integers(14, 92, frame.height)
        last = self.county.last_day
        is_withdrawn = may_change & (luck < _WITHDRAWN) & (later <= last)
        is_mended = may_change & (luck > 1 - _CORRECTED) & (wrong is not None)
        frame = frame.with_columns(
            pl.Series(KNOWN, known, dtype=pl.Int32), pl.Series(REPLACES, values=np.zeros(frame.height, dtype=np.bool_))
        )
        again = (is_withdrawn | (is_mended & (later <= last))).nonzero()[0]
        second = frame[again].with_columns(
            pl.Series(KNOWN, later[again], dtype=pl.Int32),
            pl.Series("is_deleted", values=is_withdrawn[again]),
            pl.lit(True).alias(REPLACES),
        )
        if wrong is not None:
            mended = pl.Series(values=is_mended)
            frame = frame.with_columns(pl.when(mended).then(wrong).otherwise(pl.col("value_num")).alias("value_num"))
        return pl.concat([frame, second]).filter(pl.col(KNOWN) <= last)

    def _events_frame(self) -> pl.DataFrame:
        rows, rng = self._join(self._events), self.rng("event rows")
        count, day, is_pair = len(rows["person"]), rows["day"], rows["pair"] >= 0
        recorded, known = self._known(day, is_pair, rng, late=0.02)
        # An old date is often known only to the year; the system then writes the first of January.
        is_old = (self.county.first_day - 7 * YEAR > day) & (rng.random(count) < 0.3)
        first = day.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
        is_old &= first >= self.people.birth_day[rows["person"]]
        own = self._ids("E", np.arange(count))
        pairs = self._ids("B", np.maximum(rows["pair"], 0))
        own = pl.select(pl.when(pl.Series(values=is_pair)).then(pairs).otherwise(own)).to_series()
        concepts = list(self._concepts)
        is_problem = rows["is_problem"].astype(np.int64) - 1
        frame = pl.DataFrame(
            {
                **self._common(rows, own, "source_event_id"),
                "snomed_code": columns.picked([each.code for each in concepts], rows["concept"]),
                "snomed_term": columns.picked([each.term for each in concepts], rows["concept"]),
                "effective_date": columns.days(np.where(is_old, first, day)),
                "effective_precision": columns.picked(("YMD", "Y"), is_old.astype(np.int64)),
                "recorded_at": columns.moments(recorded, rng.integers(8 * 3600, 18 * 3600, count)),
                "episodicity": columns.picked(("first",), is_problem),
                "is_problem": pl.Series(values=rows["is_problem"]),
                "problem_status": columns.picked(("active",), is_problem),
                "is_confidential": pl.Series(values=rng.random(count) < 0.0005),
                "is_deleted": columns.same(False, count),
            }
        )
        return self._finished(frame, known, ~is_pair, rng)

    def _observations_frame(self) -> pl.DataFrame:
        rows, rng = self._join(self._observations), self.rng("observation rows")
        count, day, is_pair = len(rows["person"]), rows["day"], rows["pair"] >= 0
        recorded, known = self._known(day, is_pair, rng, late=0.01)
        concepts = list(self._concepts)
        right = rows["value"]
        # Near the right value, so that it is plausible and in the same unit; a pair of pressures keeps its order.
        wrong = right * np.where(rng.random(count) < 0.5, 0.95, 1.05)
        scale = np.array([1.0, 10.0, 100.0])[rows["decimals"]]
        wrong = np.rint(wrong * scale) / scale
        may_change = rows["is_corrected"] & (rows["comparator"] == 0)
        frame = pl.DataFrame(
            {
                **self._common(rows, self._ids("V", np.arange(count)), "source_event_id"),
                "snomed_code": columns.picked([each.code for each in concepts], rows["concept"]),
                "snomed_term": columns.picked([each.term for each in concepts], rows["concept"]),
                "effective_date": columns.days(day),
                "effective_precision": columns.same("YMD", count),
                "recorded_at": columns.moments(recorded, rng.integers(8 * 3600, 18 * 3600, count)),
                "value_num": pl.Series(values=right),
                "comparator": columns.picked(("<", None, ">"), rows["comparator"] + 1),
                "unit_raw": columns.picked(list(self._units), rows["unit"]),
                "parent_event_id": _where(is_pair, self._ids("B", np.maximum(rows["pair"], 0))),
                "is_confidential": columns.same(False, count),
                "is_deleted": columns.same(False, count),
            }
        )
        return self._finished(frame, known, may_change, rng, pl.Series(values=wrong))

    def _issues_frame(self) -> pl.DataFrame:
        rows, rng = self._join(self._issues), self.rng("issue rows")
        count, medicines, medicine = len(rows["person"]), list(self._medicines), rows["medicine"]
        known = rows["day"] + rng.integers(0, 3, count)
        bulk = self.county.cutoff_days[0]
        record = rows["person"] * 1000 + medicine
        frame = pl.DataFrame(
            {
                **self._common(rows, self._ids("I", np.arange(count)), "source_issue_id"),
                "issue_date": columns.days(rows["day"]),
                "dmd_code": columns.picked([each.code for each in medicines], medicine),
                "dmd_term": columns.picked([each.term for each in medicines], medicine),
                "dmd_level": columns.same("VMP", count),
                "bnf_code": columns.picked([each.bnf_code for each in medicines], medicine),
                "quantity": pl.Series(values=rows["quantity"]),
                "quantity_unit": columns.picked([each.quantity_unit for each in medicines], medicine),
                "course_days": pl.Series(values=rows["course"]),
                "prescription_type": columns.picked(("acute", "repeat"), rows["is_repeat"].astype(np.int64)),
                "drug_record_id": self._ids("D", record),
                # As the bulk extract has it: a supplier does not send an old issue again because the medicine ended.
                "is_active": pl.Series(values=rows["is_repeat"] & (rows["stop"] > bulk)),
                "is_deleted": columns.same(False, count),
            }
        )
        return self._finished(frame, known, np.ones(count, dtype=np.bool_), rng)


def _filled(value: int | np.int64, like: Ints) -> Ints:
    return np.full(len(like), value, dtype=np.int64)


def _where(condition: Flags, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(pl.Series(values=condition)).then(values)).to_series()
