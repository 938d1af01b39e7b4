"""What came of comparing a run with the truth of its county, and the words for it.

Here: differences, how they are counted, how they are told. Finding them belongs to ``truth_score``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

PATHWAYS = ("copd", "frailty", "care_homes", "diabetes", "diabetes_prevention")
PERSON = "person"
"""Where a difference is that is about the person and no pathway: withheld or not, status, split in two."""

MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Difference:
    """One thing about one person that the run and the truth do not agree on.

    Attributes:
        place: Pathway, or ``person``.
        kind: missed, wrongly listed, wrong route, wrong reason, wrong tier, wrong value; for the person not withheld,
            missing from the run, wrong status, wrongly counted, not in the truth; for the run not refused.
        expected: What the truth says, in words.
        found: What the run says.
        row: Row of the person in the expectation file, from 1; 0 where there is none.
        reference: Keyed hash of practice and patient id; empty where there is no person.
        faults: Faults that touched the person; empty for those none did.
    """

    place: str
    kind: str
    expected: str
    found: str
    row: int
    reference: str
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What came of comparing a run with the truth.

    Attributes:
        run_id: The run.
        purpose: What it was for.
        is_clean: The county was made without faults.
        people: People in the truth.
        touched: Of them, people whom a fault touched.
        withheld: People who should be left out of the run and are, by reason.
        on_pathway: People whom truth or run has on a pathway whose lists are not held, by pathway.
        agreeing: Of them, people about whom both agree in everything.
        differences: Every difference.
        faults: Each fault put in so far, with the people it touched.
        held: People who are not compared since the run holds the lists of their pathway, by pathway.
        refused: Faults of files of which the run refused the feed, and went on.
        beyond: Pathways of the run that the truth knows nothing of.
    """

    run_id: str
    purpose: str
    is_clean: bool
    people: int
    touched: int
    withheld: Mapping[str, int]
    on_pathway: Mapping[str, int]
    agreeing: Mapping[str, int]
    differences: tuple[Difference, ...]
    faults: Mapping[str, int]
    held: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """The differences about people whom no fault touched: there should be none."""
        return tuple(each for each in self.differences if not each.faults)

    def failures(self, *, strict: bool) -> tuple[Difference, ...]:
        """Give the differences that make the score fail: those no fault explains, or when strict every one."""
        return self.differences if strict else self.unexplained

    def by_fault(self) -> dict[str, dict[tuple[str, str], int]]:
        """Count the differences about people whom each fault touched, by place and kind."""
        return {
            fault: dict(sorted(Counter((each.place, each.kind) for each in self._about(fault)).items()))
            for fault in self.faults
        }

    def count(self, place: str, kind: str, *, is_touched: bool = False) -> int:
        """Count differences of a kind about people whom no fault touched, or whom one did."""
        return sum(
            1 for each in self.differences if (each.place, each.kind, bool(each.faults)) == (place, kind, is_touched)
        )

    def _about(self, fault: str) -> list[Difference]:
        return [each for each in self.differences if fault in each.faults]


def in_words(comparison: Comparison) -> str:
    """Write a comparison for the terminal; no identifier, no more than a few examples."""
    return "\n".join(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    kind = "clean" if comparison.is_clean else f"with faults that touched {comparison.touched:,} people"
    yield f"Run {comparison.run_id} against the truth: {comparison.people:,} invented people, {kind}"
    for each in comparison.differences:
        if each.kind == "not refused":
            yield f"  {each.faults[0]}: expected {each.expected}; found {each.found}"
    if comparison.refused:
        yield f"  refused as it should be, and the run went on without: {', '.join(comparison.refused)}"
    for reason, count in comparison.withheld.items():
        yield f"  {count:,} withheld as they should be: {reason}"
    people = [each for each in comparison.differences if each.place == PERSON]
    yield f"  people: {_kinds(people) or 'withheld, counted and placed as they should be'}"
    for pathway in PATHWAYS:
        on, agreeing = comparison.on_pathway[pathway], comparison.agreeing[pathway]
        found = [each for each in comparison.differences if each.place == pathway]
        held = f", {comparison.held[pathway]:,} more on held lists" if pathway in comparison.held else ""
        yield f"  {pathway}: {on:,} people, {agreeing:,} agree{held}{'; ' + _kinds(found) if found else ''}"
    if comparison.beyond:
        yield f"  not in the truth, so not compared: {', '.join(comparison.beyond)}"
    for fault, count in comparison.faults.items():
        mine = [each for each in comparison.differences if fault in each.faults]
        differ = len({each.reference for each in mine if each.reference})
        by_place = [
            f"{place}: {_kinds([each for each in mine if each.place == place])}"
            for place in (PERSON, *PATHWAYS)
            if any(each.place == place for each in mine)
        ]
        yield f"  {fault}: {count:,} people, {differ:,} differ{'; ' + '; '.join(by_place) if by_place else ''}"
    unexplained = comparison.unexplained
    if not unexplained:
        yield "Run and truth agree" + ("." if comparison.is_clean else " on everybody whom no fault touched.")
        return
    yield f"{len(unexplained):,} unexplained: differences about people whom no fault touched; " + (
        f"the first {min(len(unexplained), MOST_EXAMPLES)}:"
    )
    for each in unexplained[:MOST_EXAMPLES]:
        place = f"{each.place}, {each.kind}"
        yield f"  {place}: expected {each.expected}; found {each.found} [{each.reference}, row {each.row} of the truth]"


def _kinds(differences: Iterable[Difference]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(Counter(each.kind for each in differences).items()))
