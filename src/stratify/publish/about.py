"""The text of ``out.about``: what a reader of the commissioners' file must know before using a number in it.

Words and the run's own facts only; counting is for ``commissioner``, hiding and rounding for ``disclosure``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stratify import disclosure, periods
from stratify.publish import words
from stratify.publish.context import PublishContext
from stratify.rules import Pathway, Score
from stratify.store import Macro

SMALLEST_PRACTICE = 500
"""Practices with fewer registered people get no breakdown of their own."""

PLAIN_NAME = "In plain words, pathway"
"""Topic under which it stands what somebody on a pathway would call it, followed by the pathway's id."""

NOT_GRADED = "not graded"
"""What ``tier`` says of people without one."""


def about_rows(
    context: PublishContext, *, not_counted: Sequence[tuple[str, int]], macros: Sequence[Macro], signature: str
) -> list[tuple[str, str]]:
    """Give topics and their text in reading order, numbered so that they sort that way.

    Args:
        context: The run.
        not_counted: Why people are not counted, and how many.
        macros: Questions that are kept in the file.
        signature: Who signs the file.
    """
    examples = "; ".join(f"{each.about.rstrip('.')}: {each.example}" for each in macros)
    topics = [
        *_the_run(context),
        *_held(context),
        *_rolled_out(context),
        *_the_counts(not_counted),
        ("Ready-made questions", f"{examples}."),
        *_the_rules(context),
        *_the_small_print(context),
        ("Signature", signature),
    ]
    return [(f"{number:02} {topic}", detail) for number, (topic, detail) in enumerate(topics, 1)]


def _the_run(context: PublishContext) -> list[tuple[str, str]]:
    stamp = [("TEST", "Invented patients. Not for use in planning, payment or care.")] if context.is_test else []
    day = periods.in_words(context.index_date)
    cutoffs = [
        f"{words.source_in_words(table)}: {periods.in_words(until)}"
        for table, until in sorted(context.data_cutoffs.items())
    ]
    return [
        *stamp,
        (
            "What this is",
            "Metrics with intervals (metric, metric_value), how steep they are by deprivation (metric_gradient), which "
            "places differ by more than chance (metric_funnel), their course by month with limits (spc_point, "
            "spc_chart), imported figures of other places (comparator), what offers cost by prices the site declares "
            "(offer_cost), activity, cost and outcome by payer (payer_activity), people on each pathway by what was "
            "proposed and by tier (pathway_count), and the registered population (population), for each practice, "
            "network and board; which places are alike in the people they have and what changed at each "
            "(similar_place, place_change); offers, places, waits and answers week by week (metric_week), clinics that "
            "take nobody in (full_clinic), what came of what practices said (feedback_count), what programmes did "
            "against a comparison (impact); how teams judged whether a pathway will last (sustainability); and what "
            "each week's file showed and hid (release_week). "
            "Under disclosure control; there is no person in it.",
        ),
        ("Run", context.run_id),
        ("Index date", f"{day}: what is described is the state on that day."),
        (
            "Purpose",
            f"Purpose of the run: {words.plain(context.purpose)}. This file is for secondary use: planning and "
            "commissioning, never the care of a person, and never an attempt to identify one.",
        ),
        ("Data up to", "; ".join(cutoffs) or "not known"),
        *([("Not received this week", " ".join(context.lost_feeds))] if context.lost_feeds else []),
    ]


def _held(context: PublishContext) -> list[tuple[str, str]]:
    """Say what is not counted this week for a failed check of the data; no topic when nothing is held."""
    found = []
    for name in sorted({each.pathway for each in context.held}):
        mine = [each for each in context.held if each.pathway == name]
        places = sorted({each.practice_code for each in mine if each.practice_code})
        where = "everywhere" if any(each.practice_code is None for each in mine) else f"at {', '.join(places)}"
        why = "; ".join(dict.fromkeys(each.reason for each in mine))
        text = (
            f"{context.pathways[name].label} is held {where}: {why}. It is not counted there, which is not the same as "
            "nobody: see the column held. Counts marked 'part' leave those practices out; make no rate of them."
        )
        found.append((f"Held this week: {name}", text))
    return found


def _rolled_out(context: PublishContext) -> list[tuple[str, str]]:
    """Say where a pathway is not switched on: it is not counted there, which is not the same as nobody."""
    found = []
    for name in sorted({pathway for pathway, _ in context.off} & set(context.pathways)):  # a draft is counted nowhere
        places = sorted(practice for pathway, practice in context.off if pathway == name and practice)
        if places:
            text = (
                f"{context.pathways[name].label} is not switched on at {', '.join(places)}. Nobody is counted on it "
                "there, which is not the same as nobody: those practices are comparators."
            )
            found.append((f"Not switched on everywhere: {name}", text))
    return found


def _the_counts(not_counted: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    left_out = [f"{_suppressed(number)}: {reason}" for reason, number in not_counted]
    return [
        (
            "Who is counted",
            "People registered with a known practice on the index date who did not object to being counted. Whoever a "
            "pathway leaves out is counted under the decision 'excluded' when registered; people who died, left or "
            "never registered are not.",
        ),
        ("Who is not counted", "; ".join(left_out) + "." if left_out else "Nobody was left out."),
        (
            "Reading the tables",
            "A row of population and pathway_count is there only when there is at least one person, and one of "
            "metric_value when there is anybody to count among: a row that is absent is a nought, unless the column "
            "held says 'all' of that pathway and place: it is not counted this week. 'all' elsewhere stands for "
            "everybody in that column, so never add rows with 'all' to rows without. Tier "
            f"'{NOT_GRADED}' means that there is no tier. IMD quintile 1 is the most deprived fifth of areas. A person "
            "on two pathways is counted in both: do not add pathways together. Clinic capacity plays no part in these "
            "counts. care_home says whether people live in a care home, as known on the index date; no home is told "
            "apart.",
        ),
        (
            "Disclosure control",
            "The method of HES and ECDS: 0 stays 0, 1 to 7 are hidden (people_count is empty, is_suppressed is true), "
            "others are rounded to the nearest 5. Totals come from exact counts and are then rounded, so rounded parts "
            "need not add up. More is hidden wherever a hidden number could be worked out from totals and parts. A "
            f"practice with fewer than {SMALLEST_PRACTICE} registered people has no breakdown of its own. Numbers of "
            "events are hidden too when they are of fewer than 8 people. Values and intervals come from the rounded "
            "numbers beside them; standardised rates come from exact ones and are given only beside a value. Months "
            "that are over are told again in later files, so where one of a place is small all are hidden. Do not "
            "compare files of different weeks to find small changes.",
        ),
    ]


def _the_rules(context: PublishContext) -> list[tuple[str, str]]:
    pathways = sorted(context.pathways.values(), key=lambda each: each.id)
    scores = sorted(context.scores.values(), key=lambda each: each.id)
    return [
        *((f"Pathway {each.id}", _pathway_text(each, context.scores)) for each in pathways),
        *((f"{PLAIN_NAME} {each.id}", each.plain_name or each.label) for each in pathways),
        *(
            (f"Score {each.id}", f"{each.label}, version {each.version}. Source: {_tidy(each.source)}")
            for each in scores
        ),
    ]


def _the_small_print(context: PublishContext) -> list[tuple[str, str]]:
    return [
        (
            "Known limits",
            "Provisional: records that arrive late change later runs. A tier or a decision is a proposal: the "
            "clinician decides, and what was decided is not in this file. People without a valid NHS number are judged "
            "by the practice's own record alone, since hospital data cannot be joined. A difference between practices "
            "may be one of coding and not of need.",
        ),
        (
            "How to cite",
            f"stratify {context.code_version}, run {context.run_id}, {periods.in_words(context.index_date)}.",
        ),
        ("Program and rules", f"Version {context.code_version}; digest of all rules {context.rule_digest}."),
        ("Contact", context.contact),
    ]


def _pathway_text(pathway: Pathway, scores: Mapping[str, Score]) -> str:
    score = scores.get(pathway.tier_from or "")
    tiers = f" Tiers: {'; '.join(f'{each.tier} = {each.label}' for each in score.tiers)}." if score else ""
    return f"{pathway.label}, version {pathway.version} ({pathway.status}). Source: {_tidy(pathway.source)}.{tiers}"


def _tidy(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _suppressed(number: int) -> str:
    if 0 < number <= disclosure.LARGEST_HIDDEN:
        return f"{disclosure.in_words(number)} people"
    return f"about {disclosure.rounded(number):,} people" if number else "nobody"
