"""The page of a model card: the card's numbers as tables, each with its plot.

Shows what it is given; measuring is for ``evaluation``, hiding for ``model_card``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stratify import pages
from stratify.modelling.evaluation import MEASURES, Estimate
from stratify.modelling.model_card import BREAKDOWNS, PARTS, GroupRow, Judged, ModelCard
from stratify.modelling.plots import Course, interval_plot, line_plot

_RISKS = ("auroc", "auprc", "calibration_slope", "calibration_intercept", "calibration_gap", "brier")
_AT_THE_CUT = ("sensitivity", "ppv", "number_to_review", "net_benefit")
_SHORT = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "calibration_gap": "Calibration gap",
    "calibration_slope": "Slope",
    "calibration_intercept": "Intercept",
    "brier": "Brier",
    "sensitivity": "Sensitivity",
    "ppv": "PPV",
    "number_to_review": "To review for one",
    "net_benefit": "Net benefit",
}
_GROUP_PLOTS = {
    "auroc": None,
    "auprc": None,
    "calibration_slope": 1.0,
    "calibration_intercept": 0.0,
    "calibration_gap": 0.0,
    "brier": None,
    "sensitivity": None,
    "ppv": None,
    "number_to_review": None,
    "net_benefit": None,
}
"""Measures drawn by group, and the value that is right where there is one."""
_MOST_DRAWN = 40


def model_page(card: ModelCard, *, is_test: bool) -> str:
    """Write the page of a card.

    Args:
        card: The card.
        is_test: True for a model of invented people.
    """
    design = card.design
    missing = sum(each.said is None for each in card.report)
    outcome = design.outcome
    horizon = (
        f"within {outcome.within_months} months of the index date"
        if outcome.within_months
        else f"within {outcome.within_days_of_discharge} days of leaving hospital"
    )
    diagnoses = f", primary diagnosis in codelist {outcome.codelist}" if outcome.codelist else ""
    return pages.render(
        __package__,
        "card_page.html.j2",
        title=design.label,
        subtitle=f"{card.model} {card.version}",
        is_test=is_test,
        tone="warn" if card.limits or missing else "pass",
        headline=f"{len(card.limits)} limits, {missing} items of the report missing",
        card=card,
        missing=missing,
        about=[
            ("Outcome", f"Emergency admission {horizon}{diagnoses}"),
            ("For", f"People aged {design.population.least_age_years} or over, registered for "
                    f"{design.population.wash_out_months} months or longer"),
            ("Left out", "; ".join(each.reason for each in design.population.exclusions) or "nobody else"),
            ("Cut", f"Places for {card.listed_percent:g} of 100 people: a risk of {card.threshold:.3f} or more"),
            ("Alert burden", _burden(card)),
            ("Tiers", "; ".join(f"{name} from {edge:g}" for name, edge in design.tiers.items())),
            ("Published score", design.baseline_score),
            ("Owner", design.owner),
            ("Review by", pages.day(design.review_date)),
        ],
        attrition=[(each.step, _count(each.people)) for each in card.attrition],
        parts=[
            (PARTS[each.part], _count(each.groups[0].rows), _count(each.groups[0].events))
            for each in card.judged
            if each.groups
        ],
        judged=[_part(each) for each in card.judged],
        risk_heads=["Group", "Rows", "With the outcome", *(_SHORT[name] for name in _RISKS)],
        cut_heads=["Group", "Inside the cut", *(_SHORT[name] for name in _AT_THE_CUT)],
        learning=[
            (f"{each.rows:,}", _number(each.auroc), _number(each.calibration_slope), _number(each.brier))
            for each in card.learning
        ],
        learning_plot=_learning_plot(card),
        predictors=[
            (
                each.variable,
                {"rising": "never lowers the risk", "falling": "never raises it", None: "none"}[each.direction],
                "its meaning is learned" if each.when_missing == "learned" else "no risk is given",
            )
            for each in design.predictors
        ],
        made=[
            ("Kind", f"{design.algorithm.kind}, calibrated on practices left out, {card.parameters} parameters"),
            ("Calibration", f"slope {card.calibration[0]:.3f}, intercept {card.calibration[1]:+.3f} (in the model)"),
            ("Index dates", " to ".join(card.index_dates)),
            ("Practices", f"{card.practices} fitted on, {card.practices_held_back} held back"),
            ("Definitions and codelists", f"digest {card.definitions}"),
            *sorted(card.made_with.items()),
        ],
    )  # fmt: skip


def _burden(card: ModelCard) -> str:
    found = (each.groups[0].measures.get("number_to_review") for each in card.judged if each.groups)
    first = next((each for each in found if each), None)
    if first is None:
        return "not known: too few people with the outcome were kept from fitting"
    return f"{_number(first)} people inside the cut are reviewed for each one with the outcome"


def _part(judged: Judged) -> dict[str, Any]:
    whole = judged.groups[0].measures if judged.groups else {}
    return {
        "id": judged.part,
        "words": PARTS[judged.part],
        "measures": [
            (words, _number(whole[name]), _number(judged.baseline.get(name))) for name, words in MEASURES.items()
            if name in whole
        ],
        "plots": _plots(judged) if whole else [],
        "bins": [(f"{mean:.3f}", f"{seen:.3f}", _between(low, high)) for mean, seen, low, high in judged.bins],
        "decisions": [
            (f"{at:.0%}", f"{gain:.4f}", _between(low, high, 4), f"{everybody:.4f}")
            for at, gain, low, high, everybody in judged.decisions
        ],
        "capacities": [(f"{each[0]:g}", *(f"{part:.3f}" for part in each[1:])) for each in judged.capacities],
        "risks": [
            (_named(row), _count(row.rows), _count(row.events), *_numbers(row, _RISKS)) for row in judged.groups
        ],
        "cut": [(_named(row), _count(row.listed), *_numbers(row, _AT_THE_CUT)) for row in judged.groups],
    }  # fmt: skip


def _numbers(row: GroupRow, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_number(row.measures.get(name)) for name in names)


def _named(row: GroupRow) -> str:
    return BREAKDOWNS[row.breakdown] if row.breakdown == "all" else f"{BREAKDOWNS[row.breakdown]}: {row.value}"


def _plots(judged: Judged) -> list[dict[str, str]]:
    words = PARTS[judged.part].lower()
    found = [_calibration_plot(judged, words), _roc_plot(judged, words), _recall_plot(judged, words)]
    found.append(_decision_plot(judged, words))
    for name, right in _GROUP_PLOTS.items():
        rows = [
            (f"{row.value} ({BREAKDOWNS[row.breakdown].split(' (')[0].lower()})" if row.breakdown != "all"
             else "Everybody", each.value, each.low, each.high)
            for row in judged.groups
            if (each := row.measures.get(name)) is not None
        ][:_MOST_DRAWN]  # fmt: skip
        if len(rows) > 1:
            caption = f"{MEASURES[name]}, by group: {words}"
            found.append(
                {"caption": caption, "svg": interval_plot(rows, what=caption, across=_SHORT[name], right=right)}
            )
    return [each for each in found if each]


def _calibration_plot(judged: Judged, words: str) -> dict[str, str]:
    caption = f"Calibration: {words}"
    most = max([*(each[0] for each in judged.bins), *(each[3] for each in judged.bins), 0.1])
    end = min(1.0, round(most + 0.05, 1) or 0.1)
    courses = [Course("smooth", tuple(each for each in judged.smooth if each[0] <= end))]
    if judged.bins:
        points = tuple((mean, seen) for mean, seen, _, _ in judged.bins)
        courses.append(Course("groups of like risk", points, tuple((low, high) for *_, low, high in judged.bins)))
    return {
        "caption": caption,
        "svg": line_plot(
            [each for each in courses if each.points],
            what=caption, across="Risk", up="Share with the outcome", x_range=(0, end), y_range=(0, end), diagonal=True,
        ),
    }  # fmt: skip


def _roc_plot(judged: Judged, words: str) -> dict[str, str]:
    points = tuple((wrong, found) for _, found, _, wrong in judged.capacities)
    caption = f"ROC curve, at the numbers of places in the table: {words}"
    return _simple_plot(((0.0, 0.0), *points, (1.0, 1.0)), caption, "1 less specificity", "Sensitivity", diagonal=True)


def _recall_plot(judged: Judged, words: str) -> dict[str, str]:
    points = tuple((found, right) for _, found, right, _ in judged.capacities)
    caption = f"Precision-recall curve, at the numbers of places in the table: {words}"
    return _simple_plot(points, caption, "Sensitivity", "PPV", diagonal=False) if points else {}


def _simple_plot(
    points: Sequence[tuple[float, float]], caption: str, across: str, up: str, *, diagonal: bool
) -> dict[str, str]:
    course = Course("model", tuple(points))
    svg = line_plot([course], what=caption, across=across, up=up, x_range=(0, 1), y_range=(0, 1), diagonal=diagonal)
    return {"caption": caption, "svg": svg}


def _decision_plot(judged: Judged, words: str) -> dict[str, str]:
    if len(judged.decisions) < 2:
        return {}
    caption = f"Decision curve: {words}"
    model = tuple((each[0], each[1]) for each in judged.decisions)
    everybody = tuple((each[0], each[4]) for each in judged.decisions)
    top = max(each[1] for each in (*model, *everybody)) * 1.1 or 0.01
    courses = [
        Course("model", model),
        Course("everybody", everybody),
        Course("nobody", ((model[0][0], 0), (model[-1][0], 0))),
    ]
    svg = line_plot(
        courses, what=caption, across="Risk from which one acts", up="Net benefit",
        x_range=(model[0][0], model[-1][0]), y_range=(-top / 4, top),
    )  # fmt: skip
    return {"caption": caption, "svg": svg}


def _learning_plot(card: ModelCard) -> dict[str, str]:
    if not card.learning:
        return {}
    caption = "Area under the ROC curve by the number of rows fitted on"
    points = tuple((float(each.rows), each.auroc.value) for each in card.learning)
    bars = tuple((each.auroc.low, each.auroc.high) for each in card.learning)
    ends = [end for bar in bars for end in bar]
    svg = line_plot(
        [Course("on practices it was not fitted on", points, bars)], what=caption, across="Rows", up="AUROC",
        x_range=(0, max(each[0] for each in points)), y_range=(min(ends) - 0.02, min(1.0, max(ends) + 0.02)),
    )  # fmt: skip
    return {"caption": caption, "svg": svg}


def _count(number: int | None) -> str:
    return "hidden" if number is None else f"{number:,}"


def _number(each: Estimate | None) -> str:
    return "–" if each is None else f"{each.value:.3f} ({_between(each.low, each.high)})"


def _between(low: float, high: float, places: int = 3) -> str:
    return f"{low:.{places}f} to {high:.{places}f}"
