"""What a model must show before it may be promoted, beside the model in use and the published score it must beat.

Judged on people it was not fitted on: practices held back, and the latest index date. Small on purpose: what decides a
promotion; the whole evaluation is the model card's.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl

from stratify import rule_changes
from stratify.errors import RuleError
from stratify.modelling.additive import Floats
from stratify.modelling.cohort import Cohort
from stratify.modelling.definition import no_score, score_of
from stratify.modelling.evaluation import area, area_difference, evaluate, evaluate_groups, group_gaps
from stratify.modelling.fitting import gather_people
from stratify.modelling.model_card import BREAKDOWNS, with_groups
from stratify.modelling.stored import StoredModel
from stratify.rulebook import RuleBook, with_definitions
from stratify.rules.strict import Strict
from stratify.runs import without_values

_SLOPE = (0.8, 1.25)
_INTERCEPT = 0.15
_LEAST_EVENTS = 100
_GAP = 0.02
"""Largest difference of mean risk and share with the event in a group of people, beside chance."""
_FAIR_BY = tuple(name for name in BREAKDOWNS if name not in ("all", "practice"))
"""Not by practice: most have too few people, and one that differs is for ``watching``, which tells it from drift."""
_LEARNED = {"when_missing": "learned"}


class Gate(Strict):
    """One thing a model must show: what, what was found, what is needed, and whether it holds."""

    what: str
    found: str
    needed: str
    holds: bool


class Review(Strict):
    """A model looked at for promotion: on which run, beside which model, with what result. People sign this."""

    model: str
    version: str
    sha256: str
    beside: str | None = None
    run: str
    rows: int
    events: int
    gates: tuple[Gate, ...]
    moves: str

    @property
    def passes(self) -> bool:
        """Every gate holds."""
        return all(each.holds for each in self.gates)


@without_values
def review_model(model: StoredModel, champion: StoredModel | None, run: Path, book: RuleBook) -> Review:
    """Put a model beside the one in use, on a finished run: how good, and who would join and leave the lists.

    Nothing of the run is changed: this is the model in the shadow of the other.

    Args:
        model: The model that might be promoted.
        champion: The one in use; None for none.
        run: Output folder of a finished run.
        book: The definitions of the run.

    Raises:
        RunError: there is no finished run.
        RuleError: too few events on the people it was not fitted on to tell anything.
    """
    design = model.design
    extra = [each for each in champion.design.predictors if each.variable not in design.names] if champion else []
    asked = design.model_copy(
        update={"predictors": (*design.predictors, *(each.model_copy(update=_LEARNED) for each in extra))}
    )
    unseen = _unseen(gather_people(run, asked, book), model)
    if unseen.outcome.sum() < _LEAST_EVENTS:
        raise RuleError(
            f"model {design.name}",
            expected=f"at least {_LEAST_EVENTS} events among people it was not fitted on",
            found=f"{int(unseen.outcome.sum())}",
            action="Review it on a larger run.",
        )
    gates = tuple(_gates(model, champion, unseen))
    before = score_of(champion, book) if champion else no_score(design)
    touched = sorted(name for name, each in book.pathways.items() if design.name in each.scores)
    old, new = (
        with_definitions(book, [each]).cut_down_to(design.name, *touched) for each in (before, score_of(model, book))
    )
    moves = rule_changes.in_words(rule_changes.compare(old, new, run))
    return Review(
        model=design.name,
        version=design.version,
        sha256=model.digest,
        beside=champion.design.version if champion else None,
        run=str(json.loads((run / "restricted" / "plan.json").read_text(encoding="utf-8"))["run_id"]),
        rows=unseen.rows.height,
        events=int(unseen.outcome.sum()),
        gates=gates,
        moves=moves,
    )


def _unseen(people: Cohort, model: StoredModel) -> Cohort:
    """Give the rows the model was not fitted on: other practices, or a later index date."""
    trained = model.trained_on
    is_unseen = pl.col("practice_code").is_in(trained.held_back_practices) | (
        pl.col("index_date") > pl.lit(trained.last_index_date).str.to_date()
    )
    return Cohort(people.rows.filter(is_unseen), people.attrition, people.names, people.observed)


def risk_of(model: StoredModel, people: Cohort) -> Floats:
    """Give a model's risks of people who may have been gathered for more than its own predictors."""
    return model.fitted.risk(Cohort(people.rows, (), model.fitted.names, people.observed).predictors)


def _gates(model: StoredModel, champion: StoredModel | None, people: Cohort) -> list[Gate]:
    risk, outcome = risk_of(model, people), people.outcome
    published = people.rows["baseline"].cast(pl.Float64).fill_null(0.0).to_numpy()
    who = people.rows["patient_key"].to_numpy()
    found = evaluate(outcome, risk, person=who).measures
    # What cannot be worked out (risks that are all the same) holds at no gate.
    slope, intercept = (
        found[name].value if name in found else math.nan for name in ("calibration_slope", "calibration_intercept")
    )
    ahead = area_difference(outcome, risk, published, person=who)
    gates = [
        Gate(
            what=f"beats the published score {model.design.baseline_score} in telling people apart",
            found=f"area under the curve {area(outcome, risk):.3f} against {area(outcome, published):.3f}, "
            f"difference {ahead.low:+.3f} to {ahead.high:+.3f}",
            needed="a difference above 0, its interval too",
            holds=ahead.low > 0,
        ),
        Gate(
            what="calibration slope",
            found=f"{slope:.2f}",
            needed=f"{_SLOPE[0]} to {_SLOPE[1]}",
            holds=_SLOPE[0] <= slope <= _SLOPE[1],
        ),
        Gate(
            what="calibration in the large",
            found=f"{intercept:+.3f}",
            needed=f"within {_INTERCEPT} of 0",
            holds=abs(intercept) <= _INTERCEPT,
        ),
        *_fair(risk, people),
    ]
    if champion:
        gap = area_difference(outcome, risk, risk_of(champion, people), person=who)
        gates.append(
            Gate(
                what=f"not worse than version {champion.design.version}, which is in use",
                found=f"difference of the area under the curve {gap.low:+.3f} to {gap.high:+.3f}",
                needed="an interval that does not lie below 0",
                holds=gap.high >= 0,
            )
        )
    return gates


def _fair(risk: Floats, people: Cohort) -> list[Gate]:
    """Ask whether risks are right on average in each group of people: a gate for each way to group them.

    What allows for chance is worked out over all groups of all gates. A group too small to be measured passes none: it
    is named as not judged.
    """
    groups = with_groups(people.rows).select(_FAIR_BY)
    found = evaluate_groups(people.outcome, risk, groups, person=people.rows["patient_key"].to_numpy())
    del found["all", "all"]
    gaps = group_gaps(found, largest=_GAP)
    gates = []
    for breakdown in _FAIR_BY:
        mine = {value: each for (name, value), each in gaps.items() if name == breakdown}
        small = [value for name, value in found if name == breakdown and value not in mine]
        said = "no group could be judged"
        if mine:
            worst = max(mine, key=lambda value: (mine[value].is_out, abs(mine[value].gap.value)))
            gap = mine[worst].gap
            said = f"furthest out: {worst}, {gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        gates.append(
            Gate(
                what=f"right on average: {BREAKDOWNS[breakdown]}",
                found=said + (f"; not judged, too few: {', '.join(small)}" if small else ""),
                needed=f"within {_GAP}, or no further than chance takes one of {len(gaps)} groups",
                holds=not any(each.is_out for each in mine.values()),
            )
        )
    return gates


def in_words(review: Review) -> str:
    """Say what a review found, for those who sign it."""
    beside = f"version {review.beside}, which is in use" if review.beside else "the published score alone"
    lines = [
        f"{review.model} {review.version} beside {beside}, run {review.run}",
        f"  judged on {review.rows:,} rows with {review.events:,} events that it was not fitted on",
    ]
    for gate in review.gates:
        lines.append(f"  {'holds' if gate.holds else 'FAILS'}  {gate.what}: {gate.found} (needed: {gate.needed})")
    lines += ["  it may be promoted" if review.passes else "  it may NOT be promoted", "", review.moves]
    return "\n".join(lines)
