"""The people a model is fitted and judged on: as known on an index date, and what became of them.

Read from the core tables of a finished run. Values are those the run itself would have worked out on that day, from the
same definitions: records up to the day before, and nothing later. Outcomes are looked up after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from stratify import engine
from stratify.modelling.additive import Floats
from stratify.modelling.design import ModelDesign
from stratify.modelling.stored import AttritionStep
from stratify.periods import months_after, months_before
from stratify.reckoning import hold_values, scored_rows
from stratify.rulebook import RuleBook
from stratify.scores import is_unknown, truth
from stratify.store import Store, open_store
from stratify.whatif_past import show_run_as_of

SUBGROUPS = (
    "age_years",
    "sex",
    "ethnic_category",
    "imd_decile",
    "practice_code",
    "in_care_home",
    "has_copd",
    "has_diabetes",
)
"""Columns of ``Cohort.rows`` to judge a model by, whether it is made of them or not."""
_IN_GROUP = {
    "in_care_home": ("lives_in_care_home", "care_home_code_recorded"),
    "has_copd": ("is_on_copd_register",),
    "has_diabetes": ("is_on_diabetes_register",),
}


@dataclass(frozen=True)
class Cohort:
    """People by index dates.

    Attributes:
        rows: One row per person and index date, in order: ``patient_key``, ``index_date``, ``outcome`` (0 or 1),
            ``part`` (``fit``; ``later``, ``elsewhere`` or ``later_elsewhere``, kept from fitting), ``baseline`` (value
            of the published score; null not known), ``days_to_event`` (null for no event), ``SUBGROUPS``, and a column
            a predictor (``x_`` and its name; null not known).
        attrition: From everybody to these rows, step by step.
        names: The predictors.
        observed: First and last day of hospital records, and deaths of these people within their horizon.
    """

    rows: pl.DataFrame
    attrition: tuple[AttritionStep, ...]
    names: tuple[str, ...]
    observed: Observed

    def part(self, *names: str) -> Cohort:
        """Give the rows of some parts."""
        kept = self.rows.filter(pl.col("part").is_in(names))
        return Cohort(kept, self.attrition, self.names, self.observed)

    @property
    def predictors(self) -> Floats:
        """The predictors as numbers, people by predictors; NaN is not known."""
        found = self.rows.select(pl.col(f"x_{name}").cast(pl.Float64).fill_null(float("nan")) for name in self.names)
        return found.to_numpy().astype(np.float64)

    @property
    def outcome(self) -> npt.NDArray[np.int64]:
        """1 who had it, 0 who had not."""
        return self.rows["outcome"].to_numpy().astype(np.int64)

    @property
    def groups(self) -> list[str]:
        """The practice of each row."""
        return self.rows["practice_code"].to_list()

    @property
    def digest(self) -> str:
        """SHA-256 over the rows in their order."""
        rows = self.rows.drop("days_to_event", strict=False)
        hashed = hashlib.sha256(",".join(rows.columns).encode())
        for row in rows.iter_rows():
            hashed.update(repr(row).encode())
        return hashed.hexdigest()


@dataclass(frozen=True)
class Observed:
    """How far the records reach: what a diagnosis needs to know beside the rows.

    Attributes:
        first_spell: First day of hospital records; None where there are none.
        last_day: The day the run describes.
        deaths_in_horizon: Deaths of people who were registered, in the year after an index date.
        days_to_event: Days from the index date to each event.
        by_month: Emergency admissions of everybody in each 30 days of the latest horizon, the last first.
    """

    first_spell: date | None
    last_day: date
    deaths_in_horizon: int
    days_to_event: tuple[int, ...]
    by_month: tuple[int, ...] = ()


def index_dates(design: ModelDesign, index_date: date) -> tuple[date, ...]:
    """Give the days on which people are looked at, the earliest first."""
    asked = design.index_dates
    months = [asked.latest_months_before + number * asked.every_months for number in range(asked.count)]
    return tuple(months_before(index_date, each) for each in sorted(months, reverse=True))


def held_back(practices: list[str], percent: int, seed: int) -> tuple[str, ...]:
    """Choose practices that nothing is fitted on: by a digest of their code, so that a newcomer moves no other.

    At least one, and at most half.
    """
    ordered = sorted(practices, key=lambda code: hashlib.sha256(f"{seed}:{code}".encode()).hexdigest())
    count = min(max(1, round(len(ordered) * percent / 100)), len(ordered) // 2)
    return tuple(sorted(ordered[:count]))


def gather(restricted: Path, design: ModelDesign, book: RuleBook, index_date: date, **limits: Any) -> Cohort:  # noqa: ANN401
    """Gather a design's people from a finished run.

    Args:
        restricted: The restricted folder of the run.
        design: The model as declared.
        book: The definitions of the run.
        index_date: The day the run describes.
        limits: ``memory_limit`` and ``threads``.
    """
    wanted = [name for names in _IN_GROUP.values() for name in names if name in book.variables]
    own = book.cut_down_to(design.baseline_score, *design.variables, *wanted)
    frames, steps, days = [], _Steps(), index_dates(design, index_date)
    deaths, to_event, by_month = 0, [], ()
    with TemporaryDirectory(prefix="cohort-", dir=restricted) as scratch:
        for number, then in enumerate(days):
            with open_store(Path(scratch) / f"{number}.duckdb", temp_directory=Path(scratch), **limits) as store:
                store.attach(restricted / "run.duckdb", "run", read_only=True)
                frame = _on(store, design, own, then, steps)
                deaths += int(store.scalar(_DEATHS, [then]))
                to_event += frame["days_to_event"].drop_nulls().to_list()
                first = store.scalar("SELECT min(admission_date) FROM run.core.apc_spell")
                by_month = tuple(count for _, count in store.rows(_BY_MONTH, [_last_day(design, then)]))
                frames.append(frame)
    rows = pl.concat(frames).sort("index_date", "patient_key")
    apart = held_back(rows["practice_code"].unique().to_list(), design.split.practices_held_back_percent, design.seed)
    is_later = (pl.col("index_date") == days[-1]) & design.split.latest_index_date_held_back
    is_elsewhere = pl.col("practice_code").is_in(apart)
    part = (
        pl.when(is_later & is_elsewhere).then(pl.lit("later_elsewhere")).when(is_later).then(pl.lit("later"))
        .when(is_elsewhere).then(pl.lit("elsewhere")).otherwise(pl.lit("fit"))
    )  # fmt: skip
    observed = Observed(first, index_date, deaths, tuple(to_event), by_month)
    return Cohort(rows.with_columns(part=part), steps.found(), design.names, observed)


class _Steps:
    """Counts who is left after each step, all index dates together."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[set[str], int, int]] = {}

    def after(self, step: str, people: pl.DataFrame) -> None:
        keys, rows, events = self._counts.get(step, (set(), 0, 0))
        self._counts[step] = (
            keys | set(people["patient_key"].to_list()), rows + people.height, events + int(people["outcome"].sum())
        )  # fmt: skip

    def found(self) -> tuple[AttritionStep, ...]:
        return tuple(
            AttritionStep(step=step, people=len(keys), rows=rows, events=events)
            for step, (keys, rows, events) in self._counts.items()
        )


def _on(store: Store, design: ModelDesign, own: RuleBook, then: date, steps: _Steps) -> pl.DataFrame:
    """Give the rows of one index date, as ``Cohort.rows`` has them, with the days until the event."""
    show_run_as_of(store, then)
    values, marks = hold_values(store, own, index_date=then)
    scored = scored_rows(store, own, index_date=then, values=values, marks=marks)
    known = [nw.when(~is_unknown(name, own)).then(nw.col(f"x_{name}")).alias(f"x_{name}") for name in design.names]
    groups = [_any_held(names, own).alias(group) for group, names in _IN_GROUP.items()]
    asked = design.population
    held = [truth(asked.when, own).alias("is_meant")] if asked.when else []
    held += [truth(each.when, own).alias(f"out_{place}") for place, each in enumerate(asked.exclusions)]
    rows = engine.rows(
        store,
        scored.select("patient_key", nw.col(f"v_{design.baseline_score}").alias("baseline"), *known, *groups, *held),
    )
    sql = _ABOUT.format(discharged=_discharged(design), outcome=_outcome(design), end=_end(design, then))
    about = store.frame(sql.replace("$1", f"DATE '{then.isoformat()}'"))
    people = about.join(rows, on="patient_key", how="inner")
    return _chosen(people, design, then, steps)


def _chosen(people: pl.DataFrame, design: ModelDesign, then: date, steps: _Steps) -> pl.DataFrame:
    asked = design.population
    for step, kept in _conditions(design):
        people = people.filter(kept)
        steps.after(step, people)
    for place, each in enumerate(asked.exclusions):
        people = people.filter(~pl.col(f"out_{place}").fill_null(False))
        steps.after(f"not: {each.reason}", people)
    needed = [f"x_{each.variable}" for each in design.predictors if each.when_missing == "leaves_open"]
    people = people.drop_nulls(needed)
    steps.after("everything known that the model needs", people)
    return people.select(
        "patient_key", pl.lit(then).alias("index_date"), "outcome", "baseline", *SUBGROUPS, "days_to_event",
        *(pl.col(f"x_{name}").cast(pl.Float64) for name in design.names),
    )  # fmt: skip


def _conditions(design: ModelDesign) -> Iterator[tuple[str, pl.Expr]]:
    asked = design.population
    yield "everybody in the records", pl.lit(True)
    yield (
        "registered on the index date",
        (pl.col("person_status") == "registered") & pl.col("practice_code").is_not_null(),
    )
    yield "no doubt of identity", pl.col("identity_doubt").is_null()
    yield "hospital data linked, so that an admission would show", pl.col("is_hospital_linked")
    yield f"aged {asked.least_age_years} or over", pl.col("age_years") >= asked.least_age_years
    yield f"registered for {asked.wash_out_months} months", pl.col("months_registered") >= asked.wash_out_months
    if asked.discharged_within_days:
        yield (
            f"left hospital in the last {asked.discharged_within_days} days, and is out",
            pl.col("discharged").is_not_null(),
        )
    if asked.when:
        yield "one of those the model is for", pl.col("is_meant").fill_null(False)


def _any_held(names: tuple[str, ...], own: RuleBook) -> nw.Expr:
    mine = [nw.col(f"x_{name}").fill_null(0.0) >= 1 for name in names if name in own.variables]
    found = nw.lit(False)
    for each in mine:
        found = found | each
    return found


def _discharged(design: ModelDesign) -> str:
    days = design.population.discharged_within_days
    return f"discharge_date < $1 AND discharge_date >= $1 - {days} AND discharge_method <> '4'" if days else "false"


def _outcome(design: ModelDesign) -> str:
    codes = design.outcome.codelist
    if codes is None:
        return "is_emergency"
    return (
        "is_emergency AND EXISTS (FROM run.derived.code_match AS m WHERE m.code_system = 'icd10' "
        f"AND m.code = s.primary_diagnosis AND m.codelist = '{codes}')"
    )


def _end(design: ModelDesign, then: date) -> str:
    """Write the day on which the horizon is over, in SQL of the row ``a``."""
    outcome = design.outcome
    if outcome.within_months:
        return f"(DATE '{then.isoformat()}' + INTERVAL {outcome.within_months} MONTH)"
    return f"(a.discharged + INTERVAL {outcome.within_days_of_discharge} DAY)"


def _last_day(design: ModelDesign, then: date) -> date:
    """Give the day after the horizon of an index date; of discharges, of one on that date."""
    outcome = design.outcome
    if outcome.within_months:
        return months_after(then, outcome.within_months)
    return then + timedelta(days=outcome.within_days_of_discharge or 0)


_BY_MONTH = """
SELECT date_diff('day', admission_date, $1) // 30 AS month, count(*) FROM run.core.apc_spell
WHERE is_emergency AND admission_date < $1 AND admission_date > $1 - 360 GROUP BY ALL ORDER BY month
"""
_ABOUT = """
WITH left_hospital AS (
    SELECT patient_key, max(discharge_date) AS discharged FROM run.core.apc_spell AS s
    WHERE {discharged} AND NOT EXISTS (
        FROM run.core.apc_spell AS o WHERE o.patient_key = s.patient_key AND o.admission_date >= s.discharge_date
        AND o.admission_date < $1 AND o.is_emergency)
    GROUP BY ALL),
a AS (
    SELECT p.*, l.discharged,
        date_diff('month', registered_date, $1)
            - CASE WHEN day(registered_date) > day($1) THEN 1 ELSE 0 END AS months_registered
    FROM core.person AS p LEFT JOIN left_hospital AS l USING (patient_key)),
after AS (
    SELECT a.patient_key, min(s.admission_date) AS day
    FROM a JOIN run.core.apc_spell AS s ON s.patient_key = a.patient_key
        AND s.admission_date >= $1 AND s.admission_date < {end} AND {outcome}
    GROUP BY ALL)
SELECT a.patient_key, person_status, identity_doubt, is_hospital_linked, months_registered, discharged,
    CASE WHEN after.day IS NULL THEN 0 ELSE 1 END AS outcome, date_diff('day', $1, after.day) AS days_to_event,
    age_years, sex, ethnic_category, imd_decile, practice_code
FROM a LEFT JOIN after USING (patient_key) ORDER BY patient_key
"""
_DEATHS = """
SELECT count(*) FROM run.core.death AS d JOIN core.person AS a USING (patient_key)
WHERE d.date_of_death >= $1 AND d.date_of_death < $1::DATE + INTERVAL 12 MONTH AND a.person_status = 'registered'
"""
