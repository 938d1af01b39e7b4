"""Reasons why a model must not be fitted, found before it is: each a number and what it means.

Asked of the people gathered; fits nothing. That no value holds a record of the index date or later is how values are
worked out at all (half-open windows), and so is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stratify.errors import RuleError, combine
from stratify.modelling.additive import Floats
from stratify.modelling.cohort import Cohort
from stratify.modelling.design import ModelDesign
from stratify.modelling.evaluation import area
from stratify.periods import months_before
from stratify.rulebook import RuleBook

_TOO_GOOD = 0.95
"""Area under the curve of one predictor alone from which it is taken to know the outcome; published models of admission
reach 0.75 to 0.8 with all of theirs."""
_ENOUGH_TO_TELL = 2_000
_COMPLETE = 0.75
"""Share of the usual number of admissions below which a month is not all there."""
_ENOUGH_EVENTS = 100


def diagnose(design: ModelDesign, cohort: Cohort, book: RuleBook) -> tuple[str, ...]:
    """Give every reason why nothing should be fitted on these people; none is the good answer."""
    return tuple(f"{what}: {found}" for what, found, _ in _faults(design, cohort, book))


def refuse_unfit(design: ModelDesign, cohort: Cohort, book: RuleBook) -> None:
    """Stop where nothing should be fitted on these people.

    Raises:
        RuleError: it says every reason.
    """
    faults = [
        RuleError(
            f"model {design.name}, {what}", expected="people that a model can be fitted on", found=found, action=action
        )
        for what, found, action in _faults(design, cohort, book)
    ]
    if faults:
        raise combine(list(faults))


def _faults(design: ModelDesign, cohort: Cohort, book: RuleBook) -> Iterator[tuple[str, str, str]]:
    fitted = cohort.part("fit")
    events, parameters = int(fitted.outcome.sum()), len(design.predictors) + 1
    needed = max(design.least_events, design.events_per_parameter * parameters)
    if events < needed:
        yield (
            "too few events",
            f"{events:,} events to fit on, of {needed:,} that {parameters} parameters need",
            "Gather more people or index dates, or declare fewer predictors.",
        )
    if events == len(fitted.outcome) and events:
        yield "too few without", "nobody without the event", "Correct the outcome."
    yield from _leaks(design, fitted)
    yield from _immortal(design, cohort)
    yield from _out_of_reach(design, cohort, book)


def _leaks(design: ModelDesign, fitted: Cohort) -> Iterator[tuple[str, str, str]]:
    """Look for a predictor that tells the outcome by itself, by its value or by whether it is known."""
    known, outcome = fitted.predictors, fitted.outcome
    if len(outcome) == 0 or outcome.min() == outcome.max():
        return
    for place, name in enumerate(design.names):
        column = known[:, place]
        is_known = ~np.isnan(column)
        alone = _area_of(column[is_known], outcome[is_known])
        by_missing = _area_of(is_known.astype(np.float64), outcome)
        worst = max(alone, 1 - alone, by_missing, 1 - by_missing)
        if worst > _TOO_GOOD:
            yield (
                "leakage",
                f"{name} alone tells the outcome with an area under the curve of {worst:.3f}",
                "Take it out: it is a record of the outcome, or of what comes of it.",
            )


def _area_of(values: Floats, outcome: npt.NDArray[np.int64]) -> float:
    return area(outcome, values) if 0 < outcome.sum() < len(outcome) else 0.5


def _immortal(design: ModelDesign, cohort: Cohort) -> Iterator[tuple[str, str, str]]:
    """Look for people who are here because they lived, and for a stretch of the horizon in which nothing can happen."""
    if cohort.rows.height >= _ENOUGH_TO_TELL and not cohort.observed.deaths_in_horizon and design.outcome.within_months:
        yield (
            "immortal time",
            "nobody dies in the year after an index date: only those who lived are in the data",
            "Have people who died or left since sent too.",
        )
    days = np.asarray(cohort.observed.days_to_event)
    months = design.outcome.within_months
    if months and len(days) >= _ENOUGH_EVENTS:
        first = int((days < months * 365.25 / 12 / 12).sum())
        if first < len(days) / 12 / 4:
            yield (
                "immortal time",
                f"{first:,} of {len(days):,} events in the first twelfth of the horizon, which would have a twelfth",
                "Somebody with an event soon after the index date is kept out: look at who is chosen.",
            )


def _out_of_reach(design: ModelDesign, cohort: Cohort, book: RuleBook) -> Iterator[tuple[str, str, str]]:
    """Look for values that look back to before the records begin: nought there means nothing."""
    dates = cohort.rows["index_date"].unique().sort().to_list()
    for name in design.names:
        variable = book.variables.get(name)
        if variable is None or not variable.reads_hospital or not variable.lookback_months or not dates:
            continue
        start = months_before(dates[0], variable.lookback_months)
        first = cohort.observed.first_spell
        if first is None or start < months_before(first, 1):
            yield (
                "look-back before the records",
                f"{name} looks back to {start}, and the first hospital record is of {first or 'no day'}",
                "Declare fewer or later index dates, or have older records sent.",
            )
    last, *others = cohort.observed.by_month or (0,)
    usual = sum(others) / len(others) if others else 0.0
    if usual >= _ENOUGH_TO_TELL / 20 and last < _COMPLETE * usual:
        yield (
            "outcomes not complete",
            f"{last:,} emergency admissions in the last 30 days of the latest horizon, where {usual:,.0f} are usual",
            "Hospitals send weeks later: declare earlier index dates (latest_months_before).",
        )
