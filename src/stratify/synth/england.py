"""Published figures for England that a county is held against: what each says, of whom, where from, how near is near.

The figures are data (``england.yaml``). Measuring a county belongs to ``prevalence``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from stratify import strict_yaml
from stratify.errors import RunError

MEASURES = ("percent", "age_share", "per_1000", "per_person", "share", "ratio")
STATUSES = ("seen", "worked", "recalled")


@dataclass(frozen=True)
class Source:
    """A publication."""

    publication: str
    publisher: str
    year: int
    link: str


@dataclass(frozen=True)
class Tolerance:
    """How far off a county may be, and why that is far enough. Relative tolerances are parts of the value."""

    by: str
    amount: float
    why: str


@dataclass(frozen=True)
class Target:
    """One published figure: what it says of whom, where it is from, and how near a county should come.

    Attributes:
        id: Short name.
        group: Part of the report it belongs to.
        what: What is measured, in words.
        measure: One of ``MEASURES``.
        of: What is counted, by the name ``prevalence`` gives it.
        among: Name of those of whom it is counted; None for everybody registered.
        age: First and last year of age, both included.
        sex: M, F or None for everybody.
        groups: The two groups of a ratio, upper first.
        value: The published figure, in the unit of its measure.
        source: Where it is from.
        status: seen, worked or recalled, as ``england.yaml`` says.
        tolerance: How near is near.
        note: What else must be known of it.
    """

    id: str
    group: str
    what: str
    measure: str
    value: float
    source: Source
    status: str
    tolerance: Tolerance
    of: str = "everybody"
    among: str | None = None
    age: tuple[int, int] = (0, 120)
    sex: str | None = None
    groups: tuple[str, str] | None = None
    note: str | None = None

    @property
    def allowed(self) -> float:
        """How far from the value a county may be, in the unit of the value."""
        return self.tolerance.amount * (self.value if self.tolerance.by == "relative" else 1.0)


@cache
def targets() -> tuple[Target, ...]:
    """Give every published figure, in the order of the report.

    Raises:
        RunError: ``england.yaml`` is not as it should be.
    """
    text = resources.files("stratify.synth").joinpath("england.yaml").read_text(encoding="utf-8")
    return read_targets(text)


def read_targets(text: str) -> tuple[Target, ...]:
    """Read published figures.

    Raises:
        RunError: the text is no YAML, or a figure lacks a source, a tolerance or anything else.
    """
    try:
        found = strict_yaml.load(text)
        sources = {name: Source(**each) for name, each in found["sources"].items()}
        tolerances = {name: Tolerance(**each) for name, each in found["tolerances"].items()}
        made = tuple(_target(each, sources, tolerances) for each in found["targets"])
    except yaml.YAMLError as fault:
        raise _bad_targets(strict_yaml.fault_in_words(fault)) from None
    except (KeyError, TypeError, ValueError) as fault:
        raise _bad_targets(f"an entry that does not fit ({fault})") from None
    names = [each.id for each in made]
    if len(set(names)) < len(names):
        raise _bad_targets(f"{len(names) - len(set(names))} ids given twice")
    return made


def _target(entry: Mapping[str, Any], sources: Mapping[str, Source], tolerances: Mapping[str, Tolerance]) -> Target:
    made = Target(
        **{
            **entry,
            "source": sources[entry["source"]],
            "tolerance": tolerances[entry["tolerance"]],
            "value": float(entry["value"]),
            "age": tuple(entry.get("age", (0, 120))),
            "groups": tuple(entry["groups"]) if "groups" in entry else None,
        }
    )
    if made.measure not in MEASURES or made.status not in STATUSES or made.sex not in (None, "M", "F"):
        raise ValueError(f"{made.id}: measure, status or sex")
    if (made.measure == "ratio") != (made.groups is not None) or (made.measure == "share" and made.among is None):
        raise ValueError(f"{made.id}: groups or among")
    if made.tolerance.by not in ("relative", "absolute") or made.value <= 0 or made.allowed <= 0:
        raise ValueError(f"{made.id}: value or tolerance")
    return made


def _bad_targets(found: str) -> RunError:
    return RunError(
        "stratify/synth/england.yaml",
        expected="published figures, each with a source and a tolerance",
        found=found,
        action="Mend the file; its first lines say what an entry holds.",
    )
