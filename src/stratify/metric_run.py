"""The metrics of a run: read from its store, counted, and handed to ``publish`` to be hidden, rounded and written.

Where ``metrics`` meets the store. People who objected are left out in the queries here and never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from stratify import fairness, kept_weeks, metric_events, metrics
from stratify.metric_book import Window, events_of, feeds_of, load_metrics, why_not, windows
from stratify.metrics import Measured, Records
from stratify.publish import Counted, MetricRow, PublishContext, places_of
from stratify.rulebook import RuleBook
from stratify.rules.metric import Event, Metric
from stratify.runs import Plan
from stratify.store import Store

# People of a practice outside the reference belong to no network: they are not counted at all, since a handful of them
# would have to be hidden, and with them the totals of whole networks.
_REGISTERED = "SELECT * FROM core.person WHERE may_be_counted AND person_status = 'registered'"
_EVERYBODY = "SELECT * FROM core.person WHERE may_be_counted AND person_status <> 'test_patient'"
_MINE = "patient_key IN (SELECT patient_key FROM core.person WHERE may_be_counted)"
_NO_LIST_YET = "Not measurable yet: no list went out before the last day of the hospital data."
_KEPT = ("out.metric_week", "out.release_week")
"""What each week keeps of what it published."""
_LIVES_THERE = ("lives_in_care_home", "care_home_code_recorded")
_MAY_LIVE_THERE = "care_home_temporary_code_recorded"
"""Somebody was there for a time: where the person lives now is not known."""
NOT_ASKED = "Not measurable from these sources: no survey received has an answer to this question."

# Registered on an earlier day, by the registrations and deaths known now; the age is that of that day.
_PEOPLE_THEN = """
SELECT p.* REPLACE (
    r.practice_code AS practice_code,
    CAST(year(DATE '{day}') - year(date_of_birth)
        - CAST(strftime(DATE '{day}', '%m%d') < strftime(date_of_birth, '%m%d') AS INTEGER) AS BIGINT) AS age_years)
FROM core.person AS p JOIN core.registration AS r USING (patient_key)
WHERE may_be_counted AND person_status <> 'test_patient' AND registration_type = 'REGULAR'
    AND r.practice_code IS NOT NULL
    AND coalesce(start_date <= DATE '{day}', true) AND coalesce(DATE '{day}' < end_date, true)
    AND (date_of_birth IS NULL OR date_of_birth <= DATE '{day}')
    AND patient_key NOT IN (
        SELECT patient_key FROM core.death WHERE date_of_death <= DATE '{day}' OR date_of_death IS NULL)
QUALIFY row_number() OVER (PARTITION BY patient_key ORDER BY start_date DESC NULLS LAST, r.source_registration_id) = 1
"""


def count_metrics(store: Store, plan: Plan, context: PublishContext, book: RuleBook) -> Counted:
    """Count who is registered, and every metric of the clinical folder that the run can carry; say why of the others.

    Args:
        store: The store of the run, placed.
        plan: The run.
        context: What its outputs say of it.
        book: The definitions that it worked out.
    """
    return counted(store, load_metrics(plan.settings.clinical), replace(context, data_cutoffs=plan.received_to), book)


def counted(store: Store, declared: Sequence[Metric], context: PublishContext, book: RuleBook) -> Counted:
    """Count who is registered, and declared metrics, in a store."""
    places = places_of(store, context)
    refused = {each.id: why_not(each, book, context.data_cutoffs) for each in declared}
    refused |= {each.id: refused[each.within] for each in declared if each.within}
    can = [each for each in declared if not refused[each.id] and not each.within]
    first_step = store.scalar(f"SELECT min(effective_date) FROM audit.transition WHERE {_MINE}") if can else None
    is_asked = any(each.denominator and each.denominator.survey_question for each in can)
    answers = metric_events.newest_answers(store, context.index_date) if is_asked else metric_events.NO_ANSWERS
    rounds = answers.group_by("question").agg(pl.col("period_start", "period_end").first()).rows()
    surveyed = {question: (start, end) for question, start, end in rounds}
    monthly = [feed for each in can if each.period == "last_month" for feed in feeds_of(each)]
    month_to = min((context.data_cutoffs[feed] for feed in monthly), default=None)
    spans = {
        each.id: windows(
            each,
            context.data_cutoffs,
            index_date=context.index_date,
            first_step=first_step,
            surveyed=surveyed,
            month_to=month_to,
        )
        for each in can
    }
    refused |= {
        each.id: NOT_ASKED if each.period == "newest_survey" else _NO_LIST_YET for each in can if not spans[each.id]
    }
    homes = _in_care_homes(store, book)
    people = _groups(store.frame(_REGISTERED), homes).join(
        places.select("practice_code"), on="practice_code", how="semi"
    )
    asked = [(each, span, name) for each in can for span in spans[each.id] for name in _pathways(each, context)]
    records = _records(store, can, spans, people, homes, book, answers) if asked else Records.none(people)
    counts, rows, strata = [metrics.population(people, ("population", metrics.ALL))], [], []
    for metric, window, pathway in asked:
        measured = metrics.measure(metric, pathway, window, _not_held(records, metric, pathway, context))
        for child in (each for each in declared if each.within == metric.id):
            part = metrics.within(child, measured)
            measured = metrics.marked_for(child, measured)
            counts.append(part.counts)
            rows.append(_row(child, metric, pathway, window, part))
        counts.append(measured.counts)
        rows.append(_row(metric, metric, pathway, window, measured))
        if measured.strata is not None:
            named = pl.lit(measured.subject).alias("subject")
            strata.append(metrics.standardised(measured.strata, places).with_columns(named))
    return Counted(
        people=people,
        counts=_once(counts),
        metrics=tuple(declared),
        refused={name: words for name, words in refused.items() if words},
        rows=tuple(rows),
        standardised=pl.concat(strata) if strata else None,
    )


def published_before(plan: Plan) -> dict[str, pl.DataFrame]:
    """Give what the weeks kept before this one published, by contract, a row as its own week published it."""
    today, restricted = plan.settings.index_date, plan.settings.out / "restricted"
    return {name: kept_weeks.scan(restricted, name, before=today, same_person={}).collect() for name in _KEPT}


def keep_published(store: Store, plan: Plan) -> None:
    """Keep what this week publishes of its offers, places, waits and answers, and how much it hid."""
    today = plan.settings.index_date
    # A look back adds nothing.
    if not kept_weeks.is_look_back(plan.settings.out / "restricted", today):
        for name in _KEPT:
            mine = store.frame(f"SELECT * FROM {name} WHERE week = DATE '{today}' ORDER BY ALL")
            kept_weeks.write(plan.restricted, name, mine, today)


def _row(metric: Metric, how: Metric, pathway: str, window: Window, measured: Measured) -> MetricRow:
    return MetricRow(
        metric=metric.id,
        version=metric.version,
        pathway=pathway,
        held_with=metric.pathway or (None if pathway == metrics.ALL else pathway),
        is_share=how.kind == "share",
        per=how.per or 100,
        status=window.status,
        period_start=window.start,
        period_end=window.last_day,
        subject=measured.subject,
        total=measured.total,
    )


def _once(counts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put counts under one another; those of a denominator that several metrics share, once."""
    key = [*metrics.CELL, *metrics.GROUPS]
    both = pl.concat(counts)
    marks = both.group_by(key).agg(pl.col("ages_subject").drop_nulls().first())
    once = both.drop("ages_subject").unique(key, keep="first", maintain_order=True)
    return once.join(marks, on=key, nulls_equal=True).select(metrics.COUNTED).sort(key)


def _pathways(metric: Metric, context: PublishContext) -> tuple[str, ...]:
    is_of_each = metric.denominator is not None and metric.denominator.is_of_each_pathway
    return tuple(sorted(context.pathways)) if is_of_each else (metrics.ALL,)


def _not_held(records: Records, metric: Metric, pathway: str, context: PublishContext) -> Records:
    """Leave out the people of practices whose lists are held on the pathway that a metric is of."""
    name = metric.pathway or pathway
    where = {each.practice_code for each in context.held if each.pathway == name}
    if not where:
        return records
    kept = pl.lit(None not in where) & ~pl.col("practice_code").is_in(sorted(each for each in where if each))
    return replace(records, people=records.people.filter(kept), totals={})


def _in_care_homes(store: Store, book: RuleBook) -> pl.DataFrame | None:
    """Give who lives in a care home, or may (``lives``: yes or not known); None where the rule book cannot tell."""
    if not set(_LIVES_THERE) & set(book.variables):
        return None
    lives = (
        pl.when(pl.col("variable").is_in(_LIVES_THERE).any()).then(pl.lit("yes")).otherwise(pl.lit(fairness.NOT_KNOWN))
    )
    found = store.frame(
        "SELECT patient_key, variable FROM derived.variable_value "
        f"WHERE variable IN ({_listed([*_LIVES_THERE, _MAY_LIVE_THERE])}) "
        f"AND state = 'known' AND value >= 1 AND {_MINE}"
    )
    return found.group_by("patient_key").agg(lives.alias("lives"))


def _groups(persons: pl.DataFrame, homes: pl.DataFrame | None) -> pl.DataFrame:
    """Give people with the groups that they are counted in; sex is F, M or not known."""
    found = fairness.groups(persons).select(
        "patient_key",
        pl.col("practice").alias("practice_code"),
        pl.col("imd_fifth").alias("imd_quintile"),
        "ethnic_group",
        "age_band",
        pl.when(pl.col("sex").is_in(["F", "M"])).then("sex").otherwise(pl.lit(fairness.NOT_KNOWN)).alias("sex"),
    )
    if homes is None:
        found = found.with_columns(pl.lit(fairness.NOT_KNOWN).alias("care_home"))
    else:
        found = found.join(homes.rename({"lives": "care_home"}), on="patient_key", how="left", maintain_order="left")
        found = found.with_columns(pl.col("care_home").fill_null("no"))
    return found.join(persons.select("patient_key", "age_years"), on="patient_key")


def _records(
    store: Store,
    can: Sequence[Metric],
    spans: Mapping[str, Sequence[Window]],
    people: pl.DataFrame,
    homes: pl.DataFrame | None,
    book: RuleBook,
    answers: pl.DataFrame,
) -> Records:
    """Read what the metrics need, and no more of it."""
    starts: dict[Event, date] = {}
    for metric in can:
        for event in events_of(metric):
            for window in spans[metric.id]:
                starts[event] = min(window.start, starts.get(event, window.start))
    final = {
        window.last_day
        for metric in can
        for window in spans[metric.id]
        if window.status == "final" and metric.denominator and metric.denominator.registered
    }
    numerators = [each.numerator for each in can if each.numerator]
    variables = {name for each in numerators for name in (*each.had_all, *each.had_any, each.sum_of) if name}
    scores = {each.score for each in numerators} | {each.denominator.scored for each in can if each.denominator}
    flags = [name for name in variables if name in book.variables and book.variables[name].take == "has"]
    is_true = f"(value >= 1 OR NOT coalesce(variable IN ({_listed(flags)}), false))"
    is_per_bed = any(each.denominator and each.denominator.occupied_beds for each in can)
    return Records(
        people=people,
        people_on={day: _groups(store.frame(_PEOPLE_THEN.format(day=day.isoformat())), homes) for day in sorted(final)},
        groups=_groups(store.frame(_EVERYBODY), homes).drop("practice_code")
        if starts
        else people.drop("practice_code"),
        events=metric_events.read_events(store, starts),
        decisions=store.frame(f"SELECT patient_key, pathway, decision FROM derived.pathway_decision WHERE {_MINE}"),
        placements=store.frame(
            f"SELECT patient_key, pathway, placement, waiting_since FROM derived.placement WHERE {_MINE}"
        ),
        scores=store.frame(
            "SELECT patient_key, score, tier FROM derived.patient_score "
            f"WHERE tier IS NOT NULL AND score IN ({_listed(scores)}) AND {_MINE}"
        ),
        values=store.frame(
            "SELECT patient_key, variable, value FROM derived.variable_value "
            f"WHERE state = 'known' AND variable IN ({_listed(variables)}) AND {is_true} AND {_MINE}"
        ),
        steps=store.frame(
            "SELECT patient_key, pathway, from_state, to_state, outcome, effective_date "
            f"FROM audit.transition WHERE {_MINE}"
        ),
        beds=metric_events.occupied_beds(store) if is_per_bed else pl.DataFrame(),
        answers=answers,
    )


def _listed(names: Iterable[str | None]) -> str:
    """Give ids of the rule book as SQL texts; an id is of letters, digits and underscores."""
    found = sorted(each for each in names if each)
    return ", ".join(f"'{each}'" for each in found) or "NULL"
