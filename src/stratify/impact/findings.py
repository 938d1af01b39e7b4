"""What an evaluation found, and the only sentences that say it: no effect is told without its comparison beside it.

A finding has two groups or there is none, and words and published row are made from a finding and nothing else. Small
numbers are hidden and the others rounded here, as everywhere for commissioners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from stratify import disclosure
from stratify.impact.designs import DAYS_A_YEAR, POWER, Estimate, Group, planned
from stratify.intervals import Z
from stratify.rules.evaluation import Design, Evaluation, Outcome

FEWEST_PEOPLE, FEWEST_EVENTS = 20, 10
"""Of each side; with less, nothing is told."""

_OUTCOMES: dict[Outcome, str] = {"emergency_admission": "emergency admissions", "death": "deaths"}
_OFFERED: dict[Design, str] = {
    "lot": "to whom the lot gave a place",
    "cut": "who had one of the last places",
    "matched": "who had a place",
    "places": "registered where the pathway was switched on",
}
_COMPARED: dict[Design, str] = {
    "lot": "who were as much in need and to whom the same lot gave none",
    "cut": "who just missed a place",
    "matched": "like them in tier, age, sex and admissions before, who had no place then",
    "places": "registered where it is off, weighed so that they went the same way before",
}
_GROUPS = {"imd_quintile": "fifth of deprivation (1 is most deprived) is", "ethnic_group": "ethnic group is"}
ASSUMES: dict[Design, str] = {
    "lot": "The lot was drawn as recorded, and people are followed alike in both groups.",
    "cut": "Need changes smoothly across the last place, and nobody could choose a rank. It says nothing about people "
    "far from the last place.",
    "matched": "But for the place, both groups would have changed alike. Nobody can check that.",
    "places": "Practices where it is on would have gone on like the mixture of others that they were like before.",
}
WRONG_IF: dict[Design, str] = {
    "lot": "Places given against the lot; people of one group lost from the records sooner than those of the other.",
    "cut": "Ranks changed by hand; something else that begins at the same place of the list; many who waited and had "
    "a place soon after, which makes any effect look smaller.",
    "matched": "Whoever decided knew something that the records do not; many who waited and had a place soon after.",
    "places": "Something else that began in those practices at that time; coding that changed there; few practices.",
}


@dataclass(frozen=True)
class Finding:
    """What one evaluation found about one outcome.

    Attributes:
        evaluation: The declaration.
        outcome: What was counted.
        offered: Those offered, all of them.
        comparison: Those they are compared with.
        estimate: The difference; None where it cannot be told.
        why_not: Why it cannot be told yet.
        basis: Events for 100 people a year that what could be seen is worked out from; None where too few are known.
        later_percent: Of the comparison, how many had a place after all while they were followed.
        breakdown: What the people are a group by, or ``all``.
        group: Which group, or ``all``.
    """

    evaluation: Evaluation
    outcome: Outcome
    offered: Group
    comparison: Group
    estimate: Estimate | None = None
    why_not: str | None = None
    basis: float | None = None
    later_percent: float | None = None
    breakdown: str = "all"
    group: str = "all"

    @property
    def is_hidden(self) -> bool:
        """Nothing is told of how many people of a small group there are: less than the whole, it would be the rest."""
        return self.breakdown != "all" and self.estimate is None

    @property
    def smallest_seen(self) -> float | None:
        """The smallest difference that would be seen 8 times in 10, in events for 100 people a year."""
        if self.estimate:
            return self.estimate.smallest_seen
        if self.basis and self.offered.years and self.comparison.years:
            return planned(self.basis, self.offered, self.comparison)
        return None

    @property
    def people_needed(self) -> int | None:
        """How many people in all would show the smallest effect worth knowing of, to two figures."""
        percent = self.evaluation.smallest_worth_percent
        if self.estimate and self.estimate.comparison_rate > 0:
            return _two_figures(self.estimate.people_needed(percent))
        if not self.basis:
            return None
        years = self.evaluation.after_days / DAYS_A_YEAR
        return _two_figures((Z + POWER) ** 2 * 800 * self.basis / (years * (percent / 100 * self.basis) ** 2))


def settled(
    evaluation: Evaluation,
    outcome: Outcome,
    estimate: Estimate | None,
    groups: tuple[Group, Group],
    *,
    basis: float | None,
    why_not: str | None = None,
    later_percent: float | None = None,
) -> Finding:
    """Give the finding, with the estimate only where both groups have people and events enough.

    Args:
        evaluation: The declaration.
        outcome: What was counted.
        estimate: What the design gave; None where it could not be worked out.
        groups: Those offered and the comparison.
        basis: Events for 100 people a year as far as known otherwise.
        why_not: Why it was not worked out.
        later_percent: Of the comparison, how many had a place after all.
    """
    offered, comparison = groups
    if why_not is None and min(offered.people, comparison.people) < FEWEST_PEOPLE:
        why_not = f"fewer than {FEWEST_PEOPLE} people on one side have been followed for long enough"
    if why_not is None and min(offered.events, comparison.events) < FEWEST_EVENTS:
        why_not = f"fewer than {FEWEST_EVENTS} {_OUTCOMES[outcome]} on one side"
    if why_not is None and (estimate is None or not math.isfinite(estimate.standard_error)):
        why_not = "the two sides have too little in common to be compared"
    told = None if why_not else estimate
    return Finding(evaluation, outcome, offered, comparison, told, why_not, basis, later_percent)


def in_words(found: Finding) -> str:
    """Say what was found, always with the comparison beside it."""
    design, outcome = found.evaluation.design, _OUTCOMES[found.outcome]
    scale = f"{outcome} for 100 people a year"
    if found.is_hidden:
        return f"{_asked(found)} It cannot be told yet: {found.why_not}."
    offered, comparison = _people(found.offered.people), _people(found.comparison.people)
    groups = f"{offered} {_OFFERED[design]}, and {comparison} {_COMPARED[design]}"
    seen = _what_could_be_seen(found, scale)
    if found.estimate is None:
        return f"{_asked(found)} It cannot be told yet: {found.why_not}. Compared would be {groups}. {seen}"
    each = found.estimate
    lower, upper = _number(each.lower), _number(each.upper)
    verdict = "It cannot be told from chance."
    if each.is_told_from_chance:
        verdict = f"That is {'more' if each.difference > 0 else 'fewer'} than in the comparison by more than chance."
    later = f" Of the comparison {found.later_percent:.0f} % had a place later." if found.later_percent else ""
    return (
        f"{_asked(found)} Compared are {groups}; everybody counts, whether they came or not. There were "
        f"{_number(each.comparison_rate + each.difference)} {scale} against {_number(each.comparison_rate)} in the "
        f"comparison: a difference of {_number(each.difference)} (95 % interval {lower} to {upper}). {verdict}{later} "
        f"{seen}"
    )


def _asked(found: Finding) -> str:
    """Give the question; of a harm that is counted beside it, that it is one."""
    if found.breakdown != "all":
        group = f"{_GROUPS[found.breakdown]} {found.group}"
        return (
            f"{found.evaluation.name} Of people whose {group}; of twenty such groups chance alone makes one stand out."
        )
    if found.outcome == found.evaluation.outcome:
        return found.evaluation.name
    return f"Harm looked for beside {found.evaluation.id}: {_OUTCOMES[found.outcome]}."


def _what_could_be_seen(found: Finding, scale: str) -> str:
    if found.smallest_seen is None:
        return "There are too few events even to say what could be seen."
    words = f"The smallest difference that would be seen 8 times in 10 is {_number(found.smallest_seen)} {scale}"
    if found.people_needed is None:
        return f"{words}."
    percent = found.evaluation.smallest_worth_percent
    return f"{words}; to see one of {percent:g} % of the comparison takes about {found.people_needed:,} people in all."


def row_of(found: Finding) -> dict[str, Any]:
    """Give the row of contract ``out.impact`` without the columns of the run."""
    evaluation, each = found.evaluation, found.estimate
    rates = (each.comparison_rate + each.difference, each.comparison_rate) if each else (None, None)
    return {
        "evaluation": evaluation.id,
        "evaluation_version": evaluation.version,
        "name": evaluation.name,
        "owner": evaluation.owner,
        "pathway": evaluation.pathway,
        "outcome": found.outcome,
        "breakdown": found.breakdown,
        "breakdown_value": found.group,
        "role": "outcome" if found.outcome == evaluation.outcome else "harm",
        "design": evaluation.design,
        "recruits_from": evaluation.recruits_from,
        "recruits_until": evaluation.recruits_until,
        "after_days": evaluation.after_days,
        "status": "told" if each else "cannot be told yet",
        "reason": found.why_not,
        "offered_people": None if found.is_hidden else _shown(found.offered.people),
        "comparison_people": None if found.is_hidden else _shown(found.comparison.people),
        "comparison_group": f"People {_COMPARED[evaluation.design]}",
        "offered_rate": _rounded(rates[0]),
        "comparison_rate": _rounded(rates[1]),
        "difference": _rounded(each.difference if each else None),
        "lower_95": _rounded(each.lower if each else None),
        "upper_95": _rounded(each.upper if each else None),
        "smallest_detectable": None if found.is_hidden else _rounded(found.smallest_seen),
        "people_needed": None if found.is_hidden else found.people_needed,
        "assumptions": ASSUMES[evaluation.design],
        "wrong_if": WRONG_IF[evaluation.design],
        "in_words": in_words(found),
        "plan_digest": evaluation.digest,
    }


def _shown(people: int) -> int | None:
    return None if 0 < people <= disclosure.LARGEST_HIDDEN else disclosure.rounded(people)


def _people(count: int) -> str:
    if 0 < count <= disclosure.LARGEST_HIDDEN:
        return f"fewer than {disclosure.LARGEST_HIDDEN + 1} people"
    return f"about {disclosure.rounded(count):,} people" if count else "nobody"


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1) + 0.0


def _number(number: float) -> str:
    return f"{round(number, 1) + 0.0:g}"


def _two_figures(number: float) -> int:
    number = max(number, 2 * FEWEST_PEOPLE)
    digits = int(max(math.floor(math.log10(number)) - 1, 0))
    return int(math.ceil(number / 10**digits) * 10**digits)
