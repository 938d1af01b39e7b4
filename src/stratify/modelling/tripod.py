"""What a report of a model has to say: the items of TRIPOD+AI, and where each is said of one of ours.

G. S. Collins et al. 2024, BMJ 385:e078378; the topics are in our words. What only the site can say, it says in a file
beside the model's declaration, ``<name>.report.yaml``, item by item; what nobody said is marked as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from stratify import strict_yaml
from stratify.errors import RuleError
from stratify.rules.strict import Strict

_CARD = "In this card: "
_SITE = ""

ITEMS: dict[str, tuple[str, str]] = {
    "1": ("Title: what is foretold, of whom, and whether it is development or evaluation", f"{_CARD}heading"),
    "2": ("Abstract", f"{_CARD}summary"),
    "3a": ("The need for the model, and models there are", _SITE),
    "3b": ("Whom it is for, where in care, and who uses it", f"{_CARD}what it is for"),
    "3c": ("Inequalities known between groups", _SITE),
    "4": ("Aims", f"{_CARD}what it is for"),
    "5a": ("Where the data come from, and whom they stand for", f"{_CARD}people"),
    "5b": ("Dates of the data", f"{_CARD}people"),
    "6a": ("Setting and places", f"{_CARD}people"),
    "6b": ("Who is in and who is out", f"{_CARD}people"),
    "6c": ("Treatments received", "docs/model-checks.md, Learning from people who were helped"),
    "7": ("Preparation and checks of the data", "docs/architecture.md and the run's data quality page"),
    "8a": ("The outcome, its horizon, and how it was found", f"{_CARD}what it is for"),
    "8b": ("Who judged the outcome", "Nobody: it is read from hospital records"),
    "8c": ("Blinding of who judged the outcome", "Does not apply: it is read from hospital records"),
    "9a": ("How predictors were chosen", _SITE),
    "9b": ("Each predictor, and how it is found", f"{_CARD}predictors; docs/rules"),
    "9c": ("Who judged predictors", "Nobody: they are read from records by definitions"),
    "10": ("How many people, and why so many", f"{_CARD}people and learning curve"),
    "11": ("What is done where something is not known", f"{_CARD}predictors"),
    "12a": ("Which data were for development and which for evaluation", f"{_CARD}people"),
    "12b": ("How predictors are used", f"{_CARD}predictors"),
    "12c": ("Kind of model and how it was made and tried", f"{_CARD}how it was made"),
    "12d": ("Differences between places", f"{_CARD}performance by practice"),
    "12e": ("Measures of performance", f"{_CARD}performance"),
    "12f": ("Changes made after evaluation", "None: a change is a new version with a card of its own"),
    "12g": ("How risks are worked out in use", f"{_CARD}predictors; the model's file; docs/rules once it is promoted"),
    "13": ("Rare outcomes", "Nothing was resampled; calibration is judged on people as they are"),
    "14": ("Fairness", f"{_CARD}performance by group"),
    "15": ("What the model gives, and how thresholds were set", f"{_CARD}what it is for"),
    "16": ("Differences between development and evaluation", f"{_CARD}people"),
    "17": ("Ethical approval", _SITE),
    "18a": ("Funding", _SITE),
    "18b": ("Conflicts of interest", _SITE),
    "18c": ("Protocol", f"{_CARD}the declaration the model was fitted from"),
    "18d": ("Registration", _SITE),
    "18e": ("Whether the data can be had", _SITE),
    "18f": ("Whether the code can be had", "The whole code is in the repository, with the versions in this card"),
    "19": ("How patients and the public took part", _SITE),
    "20a": ("From everybody to those used", f"{_CARD}people"),
    "20b": ("Who they are", f"{_CARD}performance by group"),
    "20c": ("How those of the evaluation differ", f"{_CARD}performance by group"),
    "21": ("People and outcomes in each analysis", f"{_CARD}performance"),
    "22": ("The whole model, so that others can use it", f"{_CARD}predictors; the model's file"),
    "23a": ("Performance with intervals, also of groups", f"{_CARD}performance"),
    "23b": ("Differences of performance between places", f"{_CARD}performance by practice"),
    "24": ("Results of changes made", "None: a change is a new version with a card of its own"),
    "25": ("What the results mean, fairness too", _SITE),
    "26": ("Limitations", f"{_CARD}limits"),
    "27a": ("Poor or missing inputs in use", f"{_CARD}predictors; docs/model-checks.md, Watching"),
    "27b": ("Who has to do what to use it", _SITE),
    "27c": ("Next steps", _SITE),
}


class ReportItem(Strict):
    """An item, and where or what is said of it; None where nobody said anything."""

    item: str
    topic: str
    said: str | None


def report(said_by_site: Mapping[str, str]) -> tuple[ReportItem, ...]:
    """Give every item with what is said of it; what the site says comes before what a card says of itself."""
    return tuple(
        ReportItem(item=item, topic=topic, said=said_by_site.get(item) or where or None)
        for item, (topic, where) in ITEMS.items()
    )


def read_said(file: Path) -> dict[str, str]:
    """Read what a site says, by item; nothing where there is no file.

    Raises:
        RuleError: the file is no YAML, or names an item that is none.
    """
    if not file.is_file():
        return {}
    try:
        said = TypeAdapter(dict[str, str]).validate_python(strict_yaml.load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError):
        raise RuleError(
            f"models/{file.name}",
            expected="items of TRIPOD+AI, each with a text",
            found="something else",
            action='Write them as "3a": text.',
        ) from None
    if unknown := sorted(set(said) - set(ITEMS)):
        raise RuleError(
            f"models/{file.name}",
            expected="items of TRIPOD+AI, from 1 to 27c",
            found=", ".join(unknown),
            action="Correct the numbers.",
        )
    return said
