"""Declared metrics in words, for whoever reads the commissioners' file and nothing else."""

from __future__ import annotations

from typing import Any

from stratify.publish.words import plain
from stratify.rules.metric import Denominator, Metric, Numerator

_EVENTS = {
    "emergency_admission": "emergency hospital admissions",
    "other_admission": "hospital admissions that are no emergency",
    "emergency_bed_day": "nights in hospital of emergency admissions, counted on the day of admission",
    "hospital_discharge": "discharges of people alive from hospital",
    "ed_attendance": "emergency department attendances",
    "outpatient_attendance": "outpatient attendances",
    "gp_appointment": "appointments at GP practices that were kept",
    "community_contact": "contacts of community services that were kept",
    "referral": "referrals that were not rejected",
    "home_visit_request": "requests for a GP's visit at home",
    "reablement": "discharges of people of 65 and over to reablement",
    "care_home_admission": "moves into a care home that a council arranged for the long term",
    "death": "deaths",
    "death_with_preference": "deaths of people whose preferred place was recorded and whose place of death is known",
    "death_in_hospital_data": "deaths",
}
_PERIODS = {
    "hospital_year": "12 months up to the last day of the hospital data",
    "feed_year": "12 months up to the last day that all feeds of it cover, or to which what follows could be seen",
    "last_month": "the last calendar month that the feeds of all metrics of a month cover whole",
    "newest_survey": "the newest round of the survey",
    "year_before_run": "12 months before the day of the run",
    "year_with_this_week": "12 months up to the day of the run, this week's list with them",
    "this_week": "the day of the run",
    "since_first_list": "12 months up to the last day of the hospital data, or since anybody was first listed",
}
_DECIDED = {
    "clinic": "a clinic",
    "self_management": "supported self-management",
    "assessment": "an assessment",
    "clinician_review": "a clinician's review",
}


def definition(metric: Metric, parent: Metric | None, refused: str | None) -> dict[str, Any]:
    """Give the row of contract ``out.metric`` of a metric.

    Args:
        metric: The metric.
        parent: The metric that it is within; None for others.
        refused: Why it is not counted in this run; None when it is.
    """
    how = parent or metric
    ages = f", of {' and '.join(metric.age_bands)} years" if metric.age_bands else ""
    unit = "per cent" if how.kind == "share" else f"for {how.per:,} people" if how.per else None
    final = f"; and the last 12 calendar months that ended {how.final_after_days} days ago or more, which are final"
    return {
        "metric": metric.id,
        "metric_version": metric.version,
        "name": metric.name,
        "owner": metric.owner,
        "affects": ", ".join(plain(each) for each in metric.affects) or None,
        "family": metric.family,
        "kind": how.kind,
        "unit": unit,
        "numerator": _numerator(how.numerator) + ages if how.numerator else None,
        "denominator": _denominator(how.denominator) + ages + _covered(metric) if how.denominator else None,
        "period": _PERIODS[how.period] + (final if how.final_after_days else "") if how.period else None,
        "standardisation": _standardisation(metric) if how.kind else None,
        "interval_method": {"share": "Wilson", "rate": "Byar", None: None}[how.kind],
        "exclusions": " ".join(metric.exclusions.split()),
        "suppression": "as the table about says",
        "source": " ".join(metric.source.split()),
        "logic_model_node": metric.logic_model.node,
        "judges": ", ".join(metric.logic_model.judges) or "the programme",
        "is_acid_test": metric.acid_test,
        "is_measurable": refused is None,
        "not_measurable_because": " ".join(refused.split()) if refused else None,
    }


def _covered(metric: Metric) -> str:
    return f"; of how many that is known says the metric {metric.coverage}" if metric.coverage else ""


def _standardisation(metric: Metric) -> str:
    if not metric.standardised:
        return "none"
    return (
        "directly, by five years of age and sex, to the European Standard Population 2013, each sex weighing half; not "
        "given where an age and sex has nobody, or with fewer than 10 events; interval by Dobson's method"
    )


def _numerator(part: Numerator) -> str:
    if part.events:
        return _EVENTS[part.events] + _kinds(part.kinds)
    if part.sum_of:
        return f"the sum of the variable {part.sum_of}"
    if part.score:
        return f"people with {' or '.join(plain(each) for each in part.tier_in)} by the score {part.score}"
    if part.had_all or part.had_any:
        return f"people of whom is known {(' and ' if part.had_all else ' or ').join(part.had_all or part.had_any)}"
    if part.placed:
        return f"people {' or '.join(plain(each) for each in part.placed)} this week on the pathway"
    if part.waiting_longer_than_days is not None:
        return f"people who have waited for more than {part.waiting_longer_than_days} days"
    if part.positive_answers:
        return "answers that count as positive"
    if part.state_in:
        return f"those with {_or(part.state_in)}"
    if part.within_days is not None:
        return f"those followed within {part.within_days} days by what they ask for"
    if part.never_listed:
        return "those of people who had never been listed or offered anything before"
    if part.answered_since:
        return "people of whom any answer came since"
    if part.answers:
        return f"people of whom the answer {_or(part.answers)} came in the period"
    return f"people who came to {_or(part.steps_to)} in the period"


def _denominator(part: Denominator) -> str:
    if part.events:
        before = f", {part.before_days} days or more before the last day of the data" if part.before_days else ""
        return _EVENTS[part.events] + _kinds(part.kinds) + before
    if part.occupied_beds:
        return "beds of care homes that were occupied, in the mean of the months"
    if part.survey_question:
        return f"answers to the question {part.survey_question}"
    if part.registered:
        return "people registered with a practice, on the last day of a final period and else on the day of the run"
    if part.on_pathway:
        return f"people on the pathway {part.on_pathway}, whatever it proposes"
    if part.decided:
        return f"people to whom the pathway proposes {_DECIDED[part.decided]}"
    if part.scored:
        return f"people with a result of the score {part.scored}"
    if part.waiting:
        return "people who wait on the pathway"
    if part.answers:
        return f"people of whom the answer {_or(part.answers)} came in the period"
    before = f", {part.before_days} days ago or more" if part.before_days else ""
    return f"people who came to {_or(part.steps_to)} in the period{before}"


def _kinds(kinds: tuple[str, ...]) -> str:
    return f" of kind {', '.join(plain(each) for each in kinds)}" if kinds else ""


def _or(words: tuple[str, ...]) -> str:
    return f"'{' or '.join(plain(each) for each in words)}'"
