"""What every pathway of the truth shares: whether something holds, the first tier and route, and what is in doubt.

Plain Python over found facts, written from the words of ``docs/rules/`` and sharing nothing with the pipeline. What the
rules of a pathway are belongs to ``oracle`` and ``oracle_diabetes``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stratify.synth.recorded import HOSPITAL_FACTS, Facts
from stratify.synth.recorded_diabetes import VALUES as DIABETES_VALUES

Answer = str | int | float | bool | Facts | None


@dataclass(frozen=True, slots=True)
class Known:
    """Whether something holds: yes, no, or not known (``None``).

    Attributes:
        holds: The answer.
        because: Variables whose facts make it hold.
        lacking: Variables it asks about that are not known.
        is_contradictory: Some of those are not known because records contradict each other.
    """

    holds: bool | None
    because: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    is_contradictory: bool = False


YES, NO = Known(True), Known(False)
Route = tuple[str, Known, str, str | None]
"""Name, whether it holds, what is proposed, and where."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A tier the records prove (or none), and every tier that what is not known leaves open, highest need first."""

    tier: str | None
    open_tiers: tuple[str, ...]
    rules: tuple[tuple[str, Known], ...] = ()

    def is_one_of(self, *tiers: str) -> Known:
        """Say whether the tier is one of these: known once every open tier is, or none is."""
        inside = [tier in tiers for tier in self.open_tiers]
        parts = [rule for tier, rule in self.rules if tier in tiers]
        return made_of(parts, True if inside and all(inside) else None if any(inside) else False)


def first_tier(*rules: tuple[str, Known]) -> Graded:
    """Go down the tiers to the first that holds; those passed that might hold stay open.

    The last tier is what is left, so it is proved only when no other one is open.
    """
    open_tiers: list[str] = []
    for place, (tier, rule) in enumerate(rules, 1):
        if rule.holds is False:
            continue
        doubted = bool(open_tiers)
        open_tiers.append(tier)
        if rule.holds:
            return Graded(None if doubted and place == len(rules) else tier, tuple(open_tiers), rules)
    return Graded(None, tuple(open_tiers), rules)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands: registered or why not, and whether it is in doubt who they are."""

    status: str
    is_doubtful: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is proposed, where, by which rule, what speaks for it and what is lacking."""

    decision: str
    clinic: str | None
    rule: str
    because: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


_MEASURED = {"fev1_percent_predicted", "mrc_grade", *DIABETES_VALUES}


class Asked:
    """One person's facts, asked by the words of the rules; what is not known settles nothing."""

    def __init__(self, facts: Facts, conflicts: frozenset[str], is_linked: bool) -> None:
        self._facts, self._conflicts = facts, conflicts
        self._may_be_more = frozenset() if is_linked else HOSPITAL_FACTS

    def has(self, name: str) -> Known:
        """Say whether something was found; what is not recorded is not so."""
        return Known(True, (name,)) if name in self._facts else NO

    def at_least(self, name: str, edge: float) -> Known:
        """A count that is absent is nought; a measured value that is absent is not known."""
        found = self._facts.get(name)
        if found and found.sign:
            return self._beside(name, edge)
        if found and found.value >= edge:
            return Known(True, (name,))
        return self._missing(name) if self._is_unknown(name) or name in self._may_be_more else NO

    def below(self, name: str, edge: float) -> Known:
        """Say whether a measured value is below an edge."""
        if self._is_unknown(name):
            return self._missing(name)
        if self._facts[name].sign:
            over = self._beside(name, edge)
            return over if over.holds is None else NO if over.holds else Known(True, (name,))
        return Known(True, (name,)) if self._facts[name].value < edge else NO

    def above(self, name: str, edge: float) -> Known:
        """Say whether a measured value is above an edge."""
        if self._is_unknown(name):
            return self._missing(name)
        found = self._facts[name]
        if found.sign in (">", ">="):
            is_over = found.value >= edge if found.sign == ">" else found.value > edge
            return Known(True, (name,)) if is_over else self._missing(name)
        if found.sign:
            return NO if found.value <= edge else self._missing(name)
        return Known(True, (name,)) if found.value > edge else NO

    def naming(self, known: Known, *names: str) -> Known:
        """Give an answer that, while it is not known, names those of some values that are not known exactly."""
        if known.holds is not None:
            return known
        lacking = tuple(name for name in names if name not in self._facts or self._facts[name].sign)
        return Known(None, lacking=lacking, is_contradictory=any(name in self._conflicts for name in lacking))

    def facts_named(self, names: Iterable[str]) -> Facts:
        """Give those of some facts that were found."""
        return {name: self._facts[name] for name in names if name in self._facts}

    def _beside(self, name: str, edge: float) -> Known:
        """Say whether a value of which only one side is known is at least an edge: not known where it lies between."""
        found = self._facts[name]
        if found.sign in (">", ">="):
            return Known(True, (name,)) if found.value >= edge else self._missing(name)
        is_under = found.value <= edge if found.sign == "<" else found.value < edge
        return NO if is_under else self._missing(name)

    def _is_unknown(self, name: str) -> bool:
        return name in _MEASURED and name not in self._facts

    def _missing(self, name: str) -> Known:
        return Known(None, lacking=(name,), is_contradictory=name in self._conflicts)


def elsewhere(asked: Asked) -> list[Route]:
    """Palliative care first, then care homes: those people are seen there and never called to a clinic or class."""
    palliative = any_of(asked.has("is_palliative"), asked.has("palliative_code_recorded"))
    in_home = any_of(asked.has("lives_in_care_home"), asked.has("care_home_code_recorded"))
    return [
        ("palliative", palliative, "clinic", "palliative_review"),
        ("care_home", in_home, "clinic", "care_home_round"),
    ]


def decide(standing: Standing, cohort: Known, routes: list[Route]) -> Decision:
    """Take the first route that holds, unless one above it is not known and leads elsewhere."""
    if standing.status not in ("registered", "practice_unknown"):
        return Decision("excluded", None, "person_status")
    if standing.is_doubtful:
        return Decision("clinician_review", "clinician_review", "identity_doubt")
    rule, holding, decision, clinic = next(each for each in routes if each[1].holds)
    doubts = [cohort] if cohort.holds is None else []
    for name, known, other_decision, other_clinic in routes:
        if name == rule:
            break
        if known.holds is None and (other_decision, other_clinic) != (decision, clinic):
            doubts.append(known)
    lacking = joined(doubt.lacking for doubt in doubts)
    if any(doubt.is_contradictory for doubt in doubts):
        return Decision("clinician_review", "clinician_review", "contradictory", lacking=lacking)
    if doubts:
        return Decision("assessment", "assessment", "cannot_grade", lacking=lacking)
    return Decision(decision, clinic, rule, because=holding.because)


def answers_of(pathway: str, decided: Decision) -> dict[str, Answer]:
    """Give a decision by the column names of the expectation file."""
    return {
        f"{pathway}_decision": decided.decision,
        f"{pathway}_clinic": decided.clinic,
        f"{pathway}_rule": decided.rule,
        f"{pathway}_because": ";".join(sorted(decided.because)) or None,
        f"{pathway}_lacking": ";".join(sorted(decided.lacking)) or None,
    }


def any_of(*parts: Known) -> Known:
    """Say whether any of some parts holds."""
    answers = [part.holds for part in parts]
    return made_of(parts, True if True in answers else None if None in answers else False)


def all_of(*parts: Known) -> Known:
    """Say whether all of some parts hold."""
    answers = [part.holds for part in parts]
    return made_of(parts, False if False in answers else None if None in answers else True)


def at_least_of(count: int, *parts: Known) -> Known:
    """Say whether so many of some parts hold."""
    certain = sum(part.holds is True for part in parts)
    possible = certain + sum(part.holds is None for part in parts)
    return made_of(parts, True if certain >= count else None if possible >= count else False)


def made_of(parts: Iterable[Known], holds: bool | None) -> Known:
    """Give an answer with what its parts rest on: facts only where it holds."""
    if holds is False:
        return NO
    listed = list(parts)
    return Known(
        holds,
        because=joined(part.because for part in listed if part.holds) if holds else (),
        lacking=joined(part.lacking for part in listed),
        is_contradictory=any(part.is_contradictory for part in listed),
    )


def joined(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Give names in order, each once."""
    return tuple(dict.fromkeys(name for some in names for name in some))
