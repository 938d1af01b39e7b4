"""One person's values, scored and decided as it were by hand, in plain Python over dicts.

A second reading of what conditions, scores and pathways mean. Yes is True, no is False and not known is None, as Kleene
has it. It shares nothing with the reckoning of a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

from stratify.verification.definitions import Definitions, Json
from stratify.verification.known import (
    PERSON_FIELDS,
    Known,
    Truth,
    every,
    known_of_person,
    known_of_variable,
    opposite,
    some,
)
from stratify.verification.values import VALUES, Value

_REGISTERED = ("registered", "practice_unknown")
_EDGES = ("below", "at_most", "at_least", "above")


class Scored(NamedTuple):
    """What a score comes to for one person."""

    is_for: Truth
    value: float | None
    tier: str | None
    open_tiers: tuple[str, ...]
    is_complete: bool
    withheld: str | None
    known: Known


class Decided(NamedTuple):
    """What a pathway proposes for one person."""

    decision: str
    clinic: str | None
    rule: str
    tier: str | None
    tier_rank: int | None
    missing: frozenset[str]


class Person:
    """One person with what is known of each variable; scores are worked when asked for, each once."""

    def __init__(self, about: Json, values: Mapping[str, Value], definitions: Definitions, index_date: date) -> None:
        self.about, self.definitions = about, definitions
        self.known = known_of_person(about, index_date)
        is_linked = bool(about["is_hospital_linked"])
        for name, variable in definitions.variables.items():
            self.known[name] = known_of_variable(variable, values.get(name), is_linked=is_linked)
        self._scored: dict[str, Scored] = {}

    # Conditions

    def holds(self, condition: Json) -> Truth:
        """Tell whether a condition holds."""
        if "score" in condition:
            return self._tier_in(condition["score"], condition["tier_in"])
        if "all_of" in condition:
            return every(map(self.holds, condition["all_of"]))
        if "any_of" in condition:
            return some(map(self.holds, condition["any_of"]))
        if "none_of" in condition:
            return opposite(some(map(self.holds, condition["none_of"])))
        if "any_known_of" in condition:
            return self._any_known(condition["any_known_of"])
        if "at_least_of" in condition:
            parts = list(map(self.holds, condition["at_least_of"]["of"]))
            if parts.count(True) >= condition["at_least_of"]["count"]:
                return True
            return None if len(parts) - parts.count(False) >= condition["at_least_of"]["count"] else False
        name = condition["variable"]
        known = self._what_is_known(name)
        if "is_missing" in condition:
            return self._is_missing(name)
        parts = []
        for edge in ("is_true", *_EDGES):
            if condition.get(edge) is not None:
                parts.append(self._keeps(name, known, edge, 1.0 if edge == "is_true" else float(condition[edge])))
        return every(parts)

    def _any_known(self, conditions: list[Json]) -> Truth:
        """Tell whether any holds of those whose value is there; not known where none is, or nobody can know."""
        absent = [self._is_missing(each["variable"]) for each in conditions]
        if every(absent) is not False:
            return None
        return some(False if gone else self.holds(each) for gone, each in zip(absent, conditions, strict=True))

    def _is_missing(self, name: str) -> Truth:
        known = self._what_is_known(name)
        is_bound = known.may_be_higher or known.may_be_lower
        return None if known.number is None and is_bound else known.number is None

    def _keeps(self, name: str, known: Known, edge: str, limit: float) -> Truth:
        if edge in ("is_true", "at_least"):
            return self._is_over(name, known, limit, includes=True)
        if edge == "above":
            return self._is_over(name, known, limit, includes=False)
        return opposite(self._is_over(name, known, limit, includes=edge == "below"))

    def _is_over(self, name: str, known: Known, limit: float, *, includes: bool) -> Truth:
        number = known.number
        if number is None:
            return None
        is_over = number >= limit if includes else number > limit
        variable = self.definitions.variables.get(name)
        if variable and variable["take"] not in VALUES:  # a count or a yes: it may be more, never less
            return True if is_over else None if known.may_be_higher else False
        # What lies strictly beyond the number is above the limit that the number itself is on.
        is_beside = known.is_strict and number == limit
        is_proved = is_over or (known.may_be_higher and is_beside)
        is_refuted = not is_over or (known.may_be_lower and is_beside)
        if is_proved and not known.may_be_lower:
            return True
        return False if is_refuted and not known.may_be_higher else None

    def _tier_in(self, name: str, tiers: list[str]) -> Truth:
        scored = self.score(name)
        if not set(scored.open_tiers) & set(tiers):
            return False
        return True if not set(scored.open_tiers) - set(tiers) and scored.is_for is True else None

    def _what_is_known(self, name: str) -> Known:
        return self.known[name] if name in self.known else self.score(name).known

    # Scores

    def score(self, name: str) -> Scored:
        """Work out a score, and those it uses."""
        if name not in self._scored:
            score = self.definitions.scores[name]
            self._scored[name] = self._by_rules(score) if is_decision_list(score) else self._by_value(score)
        return self._scored[name]

    def _who_for(self, score: Json) -> tuple[Truth, str | None]:
        rules = [(self.holds(each["when"]), each["otherwise"]) for each in score.get("eligibility") or ()]
        withheld = next((words for holds, words in rules if holds is False), None)
        return every(holds for holds, _ in rules), withheld

    def _by_rules(self, score: Json) -> Scored:
        is_for, withheld = self._who_for(score)
        open_tiers, proved = [], None
        for tier in score["tiers"]:
            holds = self.holds(tier["when"]) if tier.get("when") else True
            if holds is not False:
                open_tiers.append(tier["tier"])
            if holds is True:
                proved = tier["tier"]
                break
        return _scored(score, is_for, None, proved, open_tiers, withheld, is_known=len(open_tiers) == 1, known=_NOTHING)

    def _by_value(self, score: Json) -> Scored:
        is_for, withheld = self._who_for(score)
        is_absent = False
        if score.get("value_of"):
            known = self._what_is_known(score["value_of"])
            is_bound = known.may_be_higher or known.may_be_lower
            low = None if is_bound or known.number is None else round(known.number, 6)
            high = low
            is_absent = "withheld_when_absent" in score and known.number is None and not is_bound
        else:
            ends = [self._adds(item) for item in score["points"]]
            low, high = (_finished(score, [each[end] for each in ends]) for end in (0, 1))
        is_understated = "understated_when" in score and self.holds(score["understated_when"]) is not False
        is_exact = low is not None and low == high
        at_least = low if is_for is not None else None
        value = at_least if _is_count(score) or is_exact else None
        tiers = score.get("tiers") or []
        names = [each["tier"] for each in tiers]
        here = next((place for place, each in enumerate(tiers) if low is not None and _within(each, low)), None)
        top = here
        if is_understated:
            top = 0
        elif here is not None and high is not None and "points" in score:
            top = min(place for place in range(here + 1) if place == here or _reaches(tiers[place], high))
        open_tiers = names[top : here + 1] if here is not None and top is not None else []
        if (low is None or high is None) and not is_absent:
            open_tiers = names
        if is_absent and withheld is None:
            withheld = score["withheld_when_absent"]
        is_doubtful = is_for is None
        number = low if is_for is True else None
        may_be_more = is_for is True and low is not None and high is not None and high > low
        known = Known(number, is_doubtful or may_be_more, is_doubtful)
        proved = names[here] if here is not None else None
        return _scored(score, is_for, value, proved, open_tiers, withheld,
                       is_known=is_exact and not is_understated, known=known)  # fmt: skip

    def _adds(self, item: Json) -> tuple[float | None, float | None]:
        """Give the least and the most that one thing adds."""
        unknown = item.get("when_unknown")
        if "times" in item:
            added = self._times(item)
            return (unknown, unknown) if added is None else (added, added)
        if "bands" in item:
            holds = [self.holds({"variable": item["variable"], **_edges(band)}) for band in item["bands"]]
            possible = [
                float(band["points"])
                for band, each in zip(item["bands"], holds, strict=True)
                if each is not False
            ]  # fmt: skip
        else:
            given = float(item.get("points") or 1.0)
            holds = [self.holds(item["when"])]
            possible = {True: [given], False: [0.0], None: [0.0, given]}[holds[0]]
        if unknown is not None and None in holds:
            return float(unknown), float(unknown)
        return min(possible), max(possible)

    def _times(self, item: Json) -> float | None:
        known = self._what_is_known(item["variable"])
        if known.is_unknown or known.number is None:
            return None
        value = known.number / item.get("divide_by", 1.0)
        if "power" in item:
            value = value * value
        if "log" in item:
            if value <= 0:
                return None
            value = math.log(value)
        return float((value - item.get("minus", 0.0)) * item["times"])

    # Pathways

    def decide(self, name: str) -> Decided | None:
        """Work out what a pathway proposes; None for somebody who is not on it."""
        pathway = self.definitions.pathways[name]
        in_cohort = self.holds(pathway["cohort"])
        if in_cohort is False:
            return None
        routes = pathway["routes"]
        holds = [self.holds(each["when"]) if each.get("when") else True for each in routes]
        certain = holds.index(True)
        chosen = routes[certain]
        asked: set[str] = set() if in_cohort else set(self._depends_on(pathway["cohort"]))
        is_unsettled = in_cohort is None
        for route, truth in list(zip(routes, holds, strict=True))[:certain]:
            same_place = (route["decision"], route.get("clinic")) == (chosen["decision"], chosen.get("clinic"))
            if truth is None and route.get("when_unknown") != "pass_over" and not same_place:
                is_unsettled = True
                asked.update(self._depends_on(route["when"]))
        missing = {each for each in asked if each not in PERSON_FIELDS and self.known[each].is_unknown}
        decision, clinic, rule = chosen["decision"], chosen.get("clinic"), chosen["id"]
        if self.about["person_status"] not in _REGISTERED:
            decision, rule = "excluded", "person_status"
        elif self.about["identity_doubt"] is not None:
            decision, rule = "clinician_review", "identity_doubt"
        elif is_unsettled and any(self.known[each].is_contradictory for each in missing):
            decision, rule = "clinician_review", "contradictory"
        elif is_unsettled:
            decision, rule = "assessment", "cannot_grade"
        if decision in ("assessment", "clinician_review"):
            clinic = pathway.get(decision, {"id": decision})["id"]
        elif decision != "clinic":
            clinic = None
        tier = self.score(pathway["tier_from"]).tier if "tier_from" in pathway else None
        rank = None
        if tier:
            names = [each["tier"] for each in self.definitions.scores[pathway["tier_from"]].get("tiers") or ()]
            rank = names.index(tier) + 1
        return Decided(decision, clinic, rule, tier, rank, frozenset(missing))

    def missing_of_score(self, name: str) -> frozenset[str]:
        """Give the variables a score depends on that are not known, or not for sure."""
        return frozenset(each for each in self._behind_score(name) if self.known[each].is_unknown)

    def _behind_score(self, name: str) -> Iterator[str]:
        score = self.definitions.scores[name]
        own = [score["value_of"]] if score.get("value_of") else []
        own += [each["variable"] for each in score.get("points") or () if "variable" in each]
        for each in own:
            yield from self._behind(each)
        conditions = [each["when"] for each in score.get("eligibility") or ()]
        conditions += [each["when"] for each in (*(score.get("tiers") or ()), *(score.get("points") or ()))
                       if each.get("when")]  # fmt: skip
        conditions += [score["understated_when"]] if score.get("understated_when") else []
        for each in conditions:
            yield from self._depends_on(each)

    def _depends_on(self, condition: Json) -> Iterator[str]:
        if "variable" in condition:
            yield from self._behind(condition["variable"])
        if "score" in condition:
            yield from self._behind_score(condition["score"])
        inside = condition.get("at_least_of", {}).get("of", [])
        for kind in ("all_of", "any_of", "any_known_of", "none_of"):
            inside = [*inside, *(condition.get(kind) or ())]
        for each in inside:
            yield from self._depends_on(each)

    def _behind(self, name: str) -> Iterator[str]:
        if name in self.definitions.scores:
            yield from self._behind_score(name)
        else:
            yield name


_NOTHING = Known(None)


def is_decision_list(score: Json) -> bool:
    """Tell whether tiers are chosen by rules, not by a value."""
    return not score.get("value_of") and not score.get("points")


def _scored(score: Json, is_for: Truth, value: float | None, proved: str | None, open_tiers: list[str],
            withheld: str | None, *, is_known: bool, known: Known) -> Scored:  # fmt: skip
    names = [each["tier"] for each in score.get("tiers") or ()]
    if is_for is False:
        proved, open_tiers = None, []
    if names and proved == names[-1] and set(open_tiers) - {names[-1]}:
        proved = None  # what is missing is never the lowest
    settled = len(open_tiers) == 1 and proved is not None if names else is_known
    return Scored(is_for, value, proved, tuple(open_tiers), is_for is True and settled, withheld, known)


def _finished(score: Json, added: list[float | None]) -> float | None:
    """Bring what was added up to the value of the score."""
    total = 0.0
    for each in added:
        if each is None:
            return None
        total += each
    value = float((total + score.get("add", 0.0)) / score.get("divide_by", 1.0))
    if "no_less_than" in score:
        value = max(value, float(score["no_less_than"]))
    if "no_more_than" in score:
        value = min(value, float(score["no_more_than"]))
    if score.get("link") == "logistic":
        value = 1.0 / (1.0 + math.exp(-value))
    if "baseline_survival" in score:
        value = 1.0 - math.exp(math.exp(value) * math.log(score["baseline_survival"]))
    return round(value, 6)


def _is_count(score: Json) -> bool:
    """Only things that hold or not and that add: what is known is the least it can be."""
    if not score.get("points") or "link" in score or "baseline_survival" in score:
        return False
    return all("when" in each and (each.get("points") or 1.0) > 0 for each in score["points"])


def _edges(edged: Json) -> Json:
    return {name: edged[name] for name in _EDGES if edged.get(name) is not None}


def _within(tier: Json, value: float) -> bool:
    edges = _edges(tier)
    is_under = value < edges.get("below", math.inf) and value <= edges.get("at_most", math.inf)
    return bool(is_under and _reaches(tier, value))


def _reaches(tier: Json, most: float) -> bool:
    edges = _edges(tier)
    return bool(most >= edges.get("at_least", -math.inf) and most > edges.get("above", -math.inf))
