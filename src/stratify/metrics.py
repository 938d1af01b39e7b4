"""Counts metrics: exact numbers by practice and group, before any of them is hidden.

Frames in, frames out. Which metrics there are is data (``clinical/metrics``, read by ``metric_book``); what may be
shown is for ``disclosure``. Every count is of people who may be counted; a person is in one group of each breakdown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import polars as pl

from stratify.errors import RuleError
from stratify.metric_book import Window
from stratify.rules.metric import Denominator, Metric, Numerator

ALL = "all"
BREAKDOWNS = ("imd_quintile", "ethnic_group", "age_band", "sex", "care_home")
GROUPS = ("practice_code", *BREAKDOWNS)
"""What people are counted by; a person who is not known is a group too. Empty in counts of no person: beds, answers."""

CELL = ("subject", "part", "tier")
"""What a count is of: a population, a pathway or a metric; the part of it; the tier."""

COUNTED = (*CELL, *GROUPS, "total_subject", "total_part", "ages_subject", "people_count", "person_count")
"""Columns of every frame of counts. ``person_count`` is how many people the events of a count are of."""

LISTED_STATES = ("listed", "invited_1", "invited_2", "invited_3", "booked", "attended", "offered", "activated")
"""States in which somebody has been put on a list or offered something."""

STANDARD_POPULATION = (
    5000, 5500, 5500, 5500, 6000, 6000, 6500, 7000, 7000, 7000, 7000, 6500, 6000, 5500, 5000, 4000, 2500, 1500, 1000,
)  # fmt: skip
"""European Standard Population 2013 by five years of age, the last 90 and over: Eurostat, Revision of the European
Standard Population (2013), table of the same for both sexes."""


@dataclass(frozen=True)
class Records:
    """What metrics are counted from: people who may be counted, and nobody else.

    Attributes:
        people: Registered on the index date: ``patient_key``, :data:`GROUPS`, ``age_years``.
        people_on: The same of earlier days.
        groups: Everybody, whether registered still or not: ``patient_key``, breakdowns, ``age_years``.
        events: By event: ``patient_key``, ``practice_code`` of that day, ``event_date``, ``kind``, ``state``, ``n``
            (for how many it counts), ``followed_after`` (days to what it asked for).
        decisions: ``patient_key``, ``pathway``, ``decision``.
        placements: ``patient_key``, ``pathway``, ``placement``, ``waiting_since``.
        scores: ``patient_key``, ``score``, ``tier``; those with a tier.
        values: ``patient_key``, ``variable``, ``value``; what is known, and of flags what is true.
        steps: ``patient_key``, ``pathway``, ``from_state``, ``to_state``, ``outcome``, ``effective_date``.
        beds: ``practice_code``, ``care_home_id``, ``month``, ``beds``: those that were occupied.
        answers: ``question``, ``practice_code``, ``answers``, ``positive``: of the newest round of each question.
        totals: Everybody registered, as counted for a metric before: most metrics share it.
    """

    people: pl.DataFrame
    people_on: Mapping[date, pl.DataFrame]
    groups: pl.DataFrame
    events: Mapping[str, pl.DataFrame]
    decisions: pl.DataFrame
    placements: pl.DataFrame
    scores: pl.DataFrame
    values: pl.DataFrame
    steps: pl.DataFrame
    beds: pl.DataFrame
    answers: pl.DataFrame
    totals: dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def none(cls, people: pl.DataFrame) -> Records:
        """Give people of whom nothing is counted but how many they are."""
        empty = pl.DataFrame()
        return cls(people, {}, empty, {}, empty, empty, empty, empty, empty, empty, empty)


@dataclass(frozen=True)
class Measured:
    """A metric counted over one window.

    Attributes:
        subject: Name of its cells.
        total: Name of the cells of its denominator: subject and part.
        counts: Columns :data:`COUNTED`: numerators, of shares also the rest, and denominators that are its own.
        strata: For standardising: ``practice_code``, ``imd_quintile``, ``stratum``, events and people; None where it is
            not asked for.
    """

    subject: str
    total: tuple[str, str]
    counts: pl.DataFrame
    strata: pl.DataFrame | None


@dataclass(frozen=True)
class _Asked:
    """A metric to count on one pathway over one window; ``pathway`` is ``all`` for a metric that is of none."""

    metric: Metric
    numerator: Numerator
    denominator: Denominator
    pathway: str
    window: Window
    records: Records

    @property
    def subject(self) -> str:
        return f"metric {self.metric.id} {self.pathway} {self.window.status}"

    @property
    def own_total(self) -> tuple[str, str]:
        return f"denominator of {self.subject}", ALL


def measure(metric: Metric, pathway: str, window: Window, records: Records) -> Measured:
    """Count a metric that says how, on one pathway, over one window.

    Args:
        metric: The metric; none that is within another or cannot be measured.
        pathway: The pathway, or ``all`` for a metric that is of none.
        window: The days.
        records: What is counted.
    """
    if metric.numerator is None or metric.denominator is None:
        raise RuleError(
            f"metric {metric.id}",
            expected="a numerator and a denominator",
            found="none",
            action="Count only metrics that say how.",
        )
    asked = _Asked(metric, metric.numerator, metric.denominator, pathway, window, records)
    if metric.denominator.survey_question:
        return _answers(asked)
    if metric.denominator.occupied_beds:
        return _per_bed(asked)
    return _rate(asked) if metric.kind == "rate" else _share(asked)


def within(child: Metric, parent: Measured) -> Measured:
    """Give the metric that is the part of some ages of another one.

    Args:
        child: The metric of some ages.
        parent: The metric of everybody; its counts must hold its denominator.
    """
    mine = pl.col("age_band").is_in(child.age_bands)
    counts = parent.counts.filter(mine).with_columns(pl.lit(None, pl.String).alias("ages_subject"))
    counts = counts.with_columns(_of_ages(child).alias("subject"))
    ages = f"{', '.join(child.age_bands)} of "
    return Measured(ages + parent.subject, (ages + parent.total[0], parent.total[1]), counts, None)


def marked_for(child: Metric, parent: Measured) -> Measured:
    """Mark the cells of a metric that add up to those of its child, so that neither gives away the other."""
    mine = pl.col("age_band").is_in(child.age_bands)
    marked = pl.when(mine).then(_of_ages(child)).otherwise("ages_subject").alias("ages_subject")
    return replace(parent, counts=parent.counts.with_columns(marked))


def _of_ages(child: Metric) -> pl.Expr:
    return pl.concat_str(pl.lit(f"{', '.join(child.age_bands)} of "), "subject")


def population(people: pl.DataFrame, subject: tuple[str, str]) -> pl.DataFrame:
    """Count people as a population of their own: columns :data:`COUNTED`."""
    return _counts(people, subject)


def _rate(asked: _Asked) -> Measured:
    numerator, denominator, records = asked.numerator, asked.denominator, asked.records
    if denominator.on_pathway:
        total = (denominator.on_pathway, ALL)
        people = _among(records.people, _decided(asked))
    elif asked.window.status == "final":
        total = (f"registered on {asked.window.last_day.isoformat()}", ALL)
        people = records.people_on[asked.window.last_day]
    else:
        total, people = ("population", ALL), records.people
    if numerator.sum_of:
        counted = records.values.filter(pl.col("variable") == numerator.sum_of)
        happened = people.join(
            counted.select("patient_key", pl.col("value").cast(pl.Int64).alias("n")), on="patient_key"
        )
    elif denominator.on_pathway:
        events = _events(asked, numerator.events, numerator.kinds)
        happened = people.join(events.group_by("patient_key").agg(pl.col("n").sum()), on="patient_key")
    else:
        events = _events(asked, numerator.events, numerator.kinds)
        each = events.group_by("patient_key", "practice_code").agg(pl.col("n").sum())
        happened = each.join(records.groups, on="patient_key")
    happened = happened.filter(pl.col("n") > 0)
    counts = [_counts(happened, (asked.subject, "numerator"), weight=pl.col("n"))]
    if not denominator.on_pathway:
        counts.append(_everybody(records, people, total))
    strata = _strata(happened, people) if asked.metric.standardised else None
    return Measured(asked.subject, total, pl.concat(counts), strata)


def _everybody(records: Records, people: pl.DataFrame, total: tuple[str, str]) -> pl.DataFrame:
    if total not in records.totals:
        records.totals[total] = _counts(people, total)
    return records.totals[total]


def _share(asked: _Asked) -> Measured:
    whole, total = _whole(asked)
    has = _has(asked, whole)
    counts = [
        _counts(has.filter("has"), (asked.subject, "numerator"), total=total),
        _counts(has.filter(~pl.col("has")), (asked.subject, "rest"), total=total),
    ]
    if asked.denominator.registered:
        counts.append(_everybody(asked.records, asked.records.people, total))
    elif total == asked.own_total:
        counts.append(_counts(has, total))
    return Measured(asked.subject, total, pl.concat(counts), None)


def _per_bed(asked: _Asked) -> Measured:
    """Count events for the beds that were occupied; a bed has no age or sex, so that there is no breakdown."""
    events = _events(asked, asked.numerator.events, asked.numerator.kinds)
    events = _among(events, asked.records.groups)
    counts = [
        _of_places(
            events.group_by("practice_code").agg(pl.col("n").sum(), pl.col("patient_key").n_unique().alias("persons")),
            (asked.subject, "numerator"),
        ),
        _of_places(_mean_beds(asked), asked.own_total),
    ]
    return Measured(asked.subject, asked.own_total, pl.concat(counts), None)


def _mean_beds(asked: _Asked) -> pl.DataFrame:
    """Give the occupied beds of each practice's homes: of each home, the mean of the months that it told of."""
    month = pl.col("month")
    first = asked.window.start.replace(day=1)
    mine = asked.records.beds.filter((month >= first) & (month < asked.window.end))
    homes = mine.group_by("practice_code", "care_home_id").agg(pl.col("beds").mean())
    beds = homes.group_by("practice_code").agg(pl.col("beds").sum().round(0).cast(pl.Int64).alias("n"))
    return beds.with_columns(pl.col("n").alias("persons")).filter(pl.col("n") > 0)


def _answers(asked: _Asked) -> Measured:
    """Count answers to a question, of which nothing is known but the practice."""
    mine = asked.records.answers.filter(pl.col("question") == asked.denominator.survey_question)

    def part(count: pl.Expr) -> pl.DataFrame:
        rows = mine.group_by("practice_code").agg(count.sum().cast(pl.Int64).alias("n"))
        return rows.with_columns(pl.col("n").alias("persons")).filter(pl.col("n") > 0)

    positive, answers = pl.col("positive"), pl.col("answers")
    counts = [
        _of_places(part(positive), (asked.subject, "numerator"), total=asked.own_total),
        _of_places(part(answers - positive), (asked.subject, "rest"), total=asked.own_total),
        _of_places(part(answers), asked.own_total),
    ]
    return Measured(asked.subject, asked.own_total, pl.concat(counts), None)


def _of_places(rows: pl.DataFrame, subject: tuple[str, str], *, total: tuple[str, str] | None = None) -> pl.DataFrame:
    """Give counts by practice alone, ``n`` of so many ``persons``: columns :data:`COUNTED`, their groups empty."""
    total_subject, total_part = total or (None, None)
    return rows.with_columns(
        pl.lit(subject[0]).alias("subject"),
        pl.lit(subject[1]).alias("part"),
        pl.lit(ALL).alias("tier"),
        *(pl.lit(None, pl.String).alias(name) for name in BREAKDOWNS),
        pl.lit(total_subject, pl.String).alias("total_subject"),
        pl.lit(total_part, pl.String).alias("total_part"),
        pl.lit(None, pl.String).alias("ages_subject"),
        pl.col("n").cast(pl.Int64).alias("people_count"),
        pl.col("persons").cast(pl.Int64).alias("person_count"),
    ).select(COUNTED)


def _whole(asked: _Asked) -> tuple[pl.DataFrame, tuple[str, str]]:
    """Give the people or events that are counted among, with their groups, and what their cells are called."""
    denominator, records = asked.denominator, asked.records
    if denominator.events:
        events = _events(asked, denominator.events, denominator.kinds)
        return events.join(records.groups, on="patient_key"), asked.own_total
    if denominator.registered:
        return records.people, ("population", ALL)
    if denominator.on_pathway or denominator.decided:
        total = (denominator.on_pathway or asked.pathway, denominator.decided or ALL)
        return _among(records.people, _decided(asked)), total
    if denominator.scored:
        return _among(records.people, records.scores.filter(pl.col("score") == denominator.scored)), asked.own_total
    if denominator.waiting:
        return _among(records.people, _waits(asked)), asked.own_total
    steps = _steps(asked).filter(pl.col("effective_date") < asked.window.end - timedelta(days=denominator.before_days))
    first = steps.filter(_came_to(denominator.steps_to, denominator.answers)).group_by("patient_key")
    return records.people.join(
        first.agg(pl.col("effective_date").min().alias("since")), on="patient_key"
    ), asked.own_total


def _has(asked: _Asked, whole: pl.DataFrame) -> pl.DataFrame:
    """Say of each row whether it is in the numerator, as ``has``."""
    numerator, records = asked.numerator, asked.records
    if numerator.never_listed:
        listed = records.steps.filter(pl.col("to_state").is_in(LISTED_STATES))
        first = listed.group_by("patient_key").agg(pl.col("effective_date").min().alias("listed_on"))
        never = (pl.col("listed_on") >= pl.col("event_date")).fill_null(True)
        return whole.join(first, on="patient_key", how="left").with_columns(never.alias("has"))
    if numerator.state_in:
        return whole.with_columns(pl.col("state").is_in(numerator.state_in).fill_null(False).alias("has"))
    if numerator.within_days is not None:
        soon = pl.col("followed_after").is_between(0, numerator.within_days)
        return whole.with_columns(soon.fill_null(False).alias("has"))
    if numerator.answered_since:
        answered = records.steps.filter((pl.col("pathway") == asked.pathway) & pl.col("outcome").is_not_null())
        last = answered.group_by("patient_key").agg(pl.col("effective_date").max().alias("answered_on"))
        since = (pl.col("answered_on") >= pl.col("since")).fill_null(False)
        return whole.join(last, on="patient_key", how="left").with_columns(since.alias("has"))
    having = _having(asked).select("patient_key", pl.lit(True).alias("has")).unique("patient_key")
    return whole.join(having, on="patient_key", how="left").with_columns(pl.col("has").fill_null(False))


def _having(asked: _Asked) -> pl.DataFrame:
    """Give the people who are in the numerator, if they are in the denominator."""
    numerator, records = asked.numerator, asked.records
    if numerator.score:
        return records.scores.filter((pl.col("score") == numerator.score) & pl.col("tier").is_in(numerator.tier_in))
    if wanted := numerator.had_all or numerator.had_any:
        known = records.values.filter(pl.col("variable").is_in(wanted)).group_by("patient_key")
        least = len(wanted) if numerator.had_all else 1
        return known.agg(pl.col("variable").n_unique().alias("found")).filter(pl.col("found") >= least)
    if numerator.placed:
        return records.placements.filter(
            (pl.col("pathway") == asked.pathway) & pl.col("placement").is_in(numerator.placed)
        )
    if numerator.waiting_longer_than_days is not None:
        limit = asked.window.last_day - timedelta(days=numerator.waiting_longer_than_days)
        return _waits(asked).filter(pl.col("waiting_since") < limit)
    return _steps(asked).filter(_came_to(numerator.steps_to, numerator.answers))


def _among(people: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return people.join(others.select("patient_key"), on="patient_key", how="semi")


def _decided(asked: _Asked) -> pl.DataFrame:
    pathway, decision = asked.denominator.on_pathway or asked.pathway, asked.denominator.decided
    mine = asked.records.decisions.filter(pl.col("pathway") == pathway)
    return mine.filter(pl.col("decision") == decision) if decision else mine


def _waits(asked: _Asked) -> pl.DataFrame:
    return asked.records.placements.filter(
        (pl.col("pathway") == asked.pathway)
        & pl.col("placement").is_in(["waiting", "held"])
        & pl.col("waiting_since").is_not_null()
    )


def _steps(asked: _Asked) -> pl.DataFrame:
    day = pl.col("effective_date")
    return asked.records.steps.filter(
        (pl.col("pathway") == asked.pathway) & (day >= asked.window.start) & (day < asked.window.end)
    )


def _came_to(states: tuple[str, ...], answers: tuple[str, ...]) -> pl.Expr:
    """Say whether a step led to one of the states, or is one of the answers; what was only noted leads nowhere."""
    if answers:
        return pl.col("outcome").is_in(answers)
    return pl.col("to_state").is_in(states) & (pl.col("to_state") != pl.col("from_state"))


def _events(asked: _Asked, event: str | None, kinds: tuple[str, ...]) -> pl.DataFrame:
    day = pl.col("event_date")
    mine = asked.records.events[str(event)].filter((day >= asked.window.start) & (day < asked.window.end))
    return mine.filter(pl.col("kind").is_in(kinds)) if kinds else mine


def _counts(
    rows: pl.DataFrame,
    subject: tuple[str, str],
    *,
    weight: pl.Expr | None = None,
    total: tuple[str, str] | None = None,
) -> pl.DataFrame:
    """Count rows, or add up their weights, by practice and group: columns :data:`COUNTED`."""
    counted = rows.group_by(GROUPS).agg(
        (pl.len() if weight is None else weight.sum()).cast(pl.Int64).alias("people_count"),
        pl.col("patient_key").n_unique().cast(pl.Int64).alias("person_count"),
    )
    total_subject, total_part = total or (None, None)
    return counted.with_columns(
        pl.lit(subject[0]).alias("subject"),
        pl.lit(subject[1]).alias("part"),
        pl.lit(ALL).alias("tier"),
        pl.lit(total_subject, pl.String).alias("total_subject"),
        pl.lit(total_part, pl.String).alias("total_part"),
        pl.lit(None, pl.String).alias("ages_subject"),
    ).select(COUNTED)


def _strata(happened: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Give events and people by practice, deprivation, sex and five years of age; who has none of these is in none."""
    bands = len(STANDARD_POPULATION) - 1
    stratum = pl.min_horizontal(pl.col("age_years") // 5, pl.lit(bands)).cast(pl.Int64)
    key = ["practice_code", "imd_quintile", "sex", "stratum"]

    def by_stratum(rows: pl.DataFrame, count: pl.Expr) -> pl.DataFrame:
        known = rows.filter(pl.col("sex").is_in(["F", "M"]) & pl.col("age_years").is_not_null())
        return known.with_columns(stratum.alias("stratum")).group_by(key).agg(count.cast(pl.Int64))

    living = by_stratum(people, pl.len().alias("people_count"))
    ill = by_stratum(happened, pl.col("n").sum().alias("event_count"))
    both = living.join(ill, on=key, how="full", coalesce=True)
    return both.with_columns(pl.col("people_count", "event_count").fill_null(0)).sort(key)


FEWEST_EVENTS_STANDARDISED = 10
"""With fewer, a standardised rate is not given: the limit of English public health profiles."""


def standardised(strata: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Give directly age and sex standardised rates of places, all together and by deprivation.

    Both sexes weigh as much. Where an age and sex has no people, or there are too few events, there is no row.

    Args:
        strata: What :func:`measure` gives.
        places: ``practice_code``, ``pcn_code``, ``icb_code``.

    Returns:
        ``geography_type``, ``geography_code``, ``breakdown``, ``breakdown_value``, ``rate``, ``rate_variance`` (for one
        person) and ``event_count``.
    """
    placed = strata.join(places.select("practice_code", "pcn_code", "icb_code"), on="practice_code")
    place = ["geography_type", "geography_code", "breakdown", "breakdown_value"]
    cells = pl.concat(
        placed.with_columns(
            pl.lit(kind).alias("geography_type"),
            pl.col(f"{kind}_code").alias("geography_code"),
            pl.lit(breakdown).alias("breakdown"),
            (pl.lit(ALL) if breakdown == ALL else pl.col(breakdown)).alias("breakdown_value"),
        )
        .group_by(*place, "sex", "stratum")
        .agg(pl.col("event_count").sum(), pl.col("people_count").sum())
        for kind in ("practice", "pcn", "icb")
        for breakdown in (ALL, "imd_quintile")
    )
    whole = 2 * sum(STANDARD_POPULATION)
    weights = pl.DataFrame(
        {"stratum": range(len(STANDARD_POPULATION)), "weight": [each / whole for each in STANDARD_POPULATION]},
        schema={"stratum": pl.Int64, "weight": pl.Float64},
    )
    events, people, weight = pl.col("event_count"), pl.col("people_count"), pl.col("weight")
    return (
        cells.filter(people > 0)
        .join(weights, on="stratum")
        .sort(*place, "sex", "stratum")
        .group_by(place, maintain_order=True)
        .agg(
            (weight * events / people).sum().alias("rate"),
            (weight**2 * events / people**2).sum().alias("rate_variance"),
            events.sum(),
            pl.len().alias("strata"),
        )
        .filter((pl.col("strata") == 2 * len(STANDARD_POPULATION)) & (events >= FEWEST_EVENTS_STANDARDISED))
        .drop("strata")
    )
