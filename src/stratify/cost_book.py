"""Reads the costs that a site declares in its clinical folder; what they come to is worked out in ``publish``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError, combine
from stratify.metric_book import load_metrics
from stratify.rulebook import clinical_folder
from stratify.rules.cost import ActivityCost, CostsFile, OfferCost
from stratify.rules.metric import Metric


@dataclass(frozen=True)
class Costs:
    """The declared costs.

    Attributes:
        offers: Of offers, in order of id.
        activities: Of activity, by the metric that counts it.
    """

    offers: tuple[OfferCost, ...] = ()
    activities: Mapping[str, ActivityCost] = field(default_factory=dict)


def load_costs(folder: Path | None = None) -> Costs:
    """Read the costs of a clinical folder; none where it has none.

    Args:
        folder: A folder laid out like ``src/stratify/clinical``; that one when None.

    Raises:
        RuleError: a file is wrong, something is declared twice, or an outcome is not counted among people offered it.
    """
    root = folder or clinical_folder()
    faults: list[RuleError] = []
    offers: dict[str, OfferCost] = {}
    activities: dict[str, ActivityCost] = {}
    files = [DefinitionFile(path).read(CostsFile, faults) for path in sorted((root / "costs").glob("*.yaml"))]
    declared = {each.id: each for each in load_metrics(root)} if files else {}
    for file in files:
        for offer in file.offers if file else ():
            if offer.id in offers:
                faults.append(_fault(offer.id, "an id of its own", "one twice", "Rename one."))
            if not _is_of_offered(declared.get(offer.outcome)):
                found = f"{offer.outcome}, which is none"
                expected = "outcome: a metric that is a share of people who came to the state offered"
                faults.append(_fault(offer.id, expected, found, "Name one, or declare it in metrics/."))
            offers[offer.id] = offer
        for activity in file.activities if file else ():
            if activity.metric in activities:
                faults.append(_fault(activity.metric, "one price of each activity", "two", "Take one out."))
            activities[activity.metric] = activity
    if faults:
        raise combine(list(faults))
    return Costs(tuple(offers[name] for name in sorted(offers)), activities)


def _is_of_offered(metric: Metric | None) -> bool:
    return bool(
        metric and metric.kind == "share" and metric.denominator and metric.denominator.steps_to == ("offered",)
    )


def _fault(where: str, expected: str, found: str, action: str) -> RuleError:
    return RuleError(f"clinical/costs, {where}", expected=expected, found=found, action=action)
