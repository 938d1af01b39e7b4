"""Reads the metrics of a clinical folder, and says which of them a run can count.

Belongs here: files, what they name in the rule book, what a run received. How a metric is counted is in ``metrics``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from stratify import periods
from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError, combine
from stratify.rulebook import RuleBook, clinical_folder
from stratify.rules.metric import Event, Metric, MetricsFile

MOST_ACID_TESTS = 6
"""Commissioners judge the whole by a handful of measures; one more, and none of them is."""
FEEDS: dict[Event, tuple[str, ...]] = {
    "emergency_admission": ("apc_episode",),
    "other_admission": ("apc_episode",),
    "emergency_bed_day": ("apc_episode",),
    "hospital_discharge": ("apc_episode",),
    "ed_attendance": ("ed_attendance",),
    "outpatient_attendance": ("op_attendance",),
    "gp_appointment": ("gp_appointment",),
    "community_contact": ("community_contact",),
    "referral": ("referral",),
    "home_visit_request": ("home_visit_request",),
    "reablement": ("social_care_event", "apc_episode", "death"),
    "care_home_admission": ("social_care_event",),
    "death": ("death", "place_preference"),
    "death_with_preference": ("death", "place_preference"),
    "death_in_hospital_data": ("death", "apc_episode"),
}
"""Feeds that each event is made of. A metric is counted up to the last day that all of them cover."""


@dataclass(frozen=True)
class Window:
    """The days a metric counts, half-open, and whether they can still change."""

    start: date
    end: date
    status: str

    @property
    def last_day(self) -> date:
        """The last day that counts."""
        return self.end - timedelta(days=1)


def load_metrics(folder: Path | None = None) -> tuple[Metric, ...]:
    """Read and check the metrics of a clinical folder, in order of id; none where it has none.

    Args:
        folder: A folder laid out like ``src/stratify/clinical``; that one when None.

    Raises:
        RuleError: a file is wrong, an id occurs twice, a metric is within none, or there are too many acid tests.
    """
    faults: list[RuleError] = []
    found: dict[str, Metric] = {}
    for path in sorted(((folder or clinical_folder()) / "metrics").glob("*.yaml")):
        file = DefinitionFile(path).read(MetricsFile, faults)
        for each in file.metrics if file else ():
            if each.id in found:
                faults.append(_fault(each.id, "an id of its own", "one that occurs before", "Rename one."))
            found[each.id] = each
    for each in found.values():
        parent = found.get(each.within or each.id)
        if parent is None or (each.within and not (parent.denominator and parent.denominator.registered)):
            faults.append(
                _fault(each.id, "within: a metric of everybody registered", f"{each.within}", "Correct the id.")
            )
        if each.coverage and (each.coverage not in found or found[each.coverage].not_measurable):
            faults.append(_fault(each.id, "coverage: a metric that is counted", f"{each.coverage}", "Correct the id."))
    tests = sorted(each.id for each in found.values() if each.acid_test)
    if len(tests) > MOST_ACID_TESTS:
        faults.append(
            _fault("acid_test", f"{MOST_ACID_TESTS} at most", f"{len(tests)}: {', '.join(tests)}", "Take some out.")
        )
    if faults:
        raise combine(list(faults))
    return tuple(found[name] for name in sorted(found))


def _fault(where: str, expected: str, found: str, action: str) -> RuleError:
    return RuleError(f"clinical/metrics, {where}", expected=expected, found=found, action=action)


def why_not(metric: Metric, book: RuleBook, cutoffs: Mapping[str, date]) -> str | None:
    """Say why a run cannot count a metric; None when it can.

    Args:
        metric: One that says how it is counted.
        book: The definitions that the run worked out.
        cutoffs: Last day of every feed that was received.
    """
    if metric.not_measurable:
        return metric.not_measurable
    lacking = [feed for feed in feeds_of(metric) if feed not in cutoffs]
    if lacking:
        feeds = f"the feed {lacking[0]} was" if len(lacking) == 1 else f"the feeds {' and '.join(lacking)} were"
        return f"Not measurable from these sources: {feeds} not received, which is not the same as nought."
    numerator, denominator = metric.numerator, metric.denominator
    if numerator is None or denominator is None:
        return None
    variables = {*numerator.had_all, *numerator.had_any, *filter(None, [numerator.sum_of])}
    scores = set(filter(None, [numerator.score, denominator.scored]))
    missing = [
        *sorted(variables - set(book.variables)),
        *sorted(scores - set(book.scores)),
        *sorted(set(filter(None, [denominator.on_pathway, metric.pathway])) - set(book.published)),
    ]
    return f"Not measurable: these rules do not work out {', '.join(missing)}." if missing else None


def events_of(metric: Metric) -> tuple[Event, ...]:
    """Give the events that a metric counts or counts among."""
    named = [part.events for part in (metric.numerator, metric.denominator) if part and part.events]
    return tuple(dict.fromkeys(named))


def feeds_of(metric: Metric) -> tuple[str, ...]:
    """Give the feeds without which a metric cannot be counted; those of variables and scores are not among them."""
    feeds = [feed for event in events_of(metric) for feed in FEEDS[event]]
    if metric.denominator and metric.denominator.occupied_beds:
        feeds.append("care_home_bed")
    if metric.denominator and metric.denominator.survey_question:
        feeds.append("survey_result")
    return tuple(dict.fromkeys(feeds))


def windows(
    metric: Metric,
    cutoffs: Mapping[str, date],
    *,
    index_date: date,
    first_step: date | None,
    surveyed: Mapping[str, tuple[date, date]] | None = None,
    month_to: date | None = None,
) -> tuple[Window, ...]:
    """Give the days a metric counts: the newest, which can still change, and where declared the last final ones.

    Args:
        metric: One that says how it is counted.
        cutoffs: Last day of every feed that was received.
        index_date: The day the run describes.
        surveyed: First and last day of the newest round of each question.
        month_to: Last day that the feeds of all metrics of a month cover, so that all are of one month.
        first_step: The day of the first step of anybody on any pathway; None before any.

    Returns:
        No window where none of its days has passed.
    """
    tomorrow = index_date + timedelta(days=1)
    if metric.period == "newest_survey":
        days = (surveyed or {}).get(str(metric.denominator and metric.denominator.survey_question))
        return (Window(days[0], days[1] + timedelta(days=1), "provisional"),) if days else ()
    if metric.period == "this_week":
        return (Window(index_date, tomorrow, "provisional"),)
    if metric.period == "year_before_run":
        return (Window(periods.months_before(index_date, 12), index_date, "provisional"),)
    if metric.period == "year_with_this_week":
        return (Window(periods.months_before(tomorrow, 12), tomorrow, "provisional"),)
    end = min(cutoffs[feed] for feed in feeds_of(metric)) + timedelta(days=1)
    end = min(end, index_date)
    if metric.period == "last_month":
        end = min(end, month_to + timedelta(days=1) if month_to else end).replace(day=1)
        return (Window(periods.months_before(end, 1), end, "provisional"),)
    if metric.denominator and metric.denominator.events:
        end -= timedelta(days=metric.denominator.before_days)
    year = Window(periods.months_before(end, 12), end, "provisional")
    if metric.period == "since_first_list":
        start = max(year.start, first_step or end)
        return (Window(start, end, "provisional"),) if start < end else ()
    if not metric.final_after_days:
        return (year,)
    settled = min(index_date - timedelta(days=metric.final_after_days), end).replace(day=1)
    return (year, Window(periods.months_before(settled, 12), settled, "final"))
