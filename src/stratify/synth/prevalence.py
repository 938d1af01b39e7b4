"""Measures a finished county and holds it against published figures for England (``england``).

Here: how each figure is made of what was counted (``tally``), how far chance may move it, and what lies outside
tolerance. The words and pictures belong to ``prevalence_report``; making a county more like England to those who draw
it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stratify.synth.columns import Flags, Floats, Ints
from stratify.synth.england import Target, targets
from stratify.synth.tally import Tally, count_county

_SURE = 2.0
"""Standard errors of chance allowed beyond a tolerance, so that a small county is not called wrong for its size."""


@dataclass(frozen=True)
class Measured:
    """What a county has where England has the target.

    Attributes:
        target: The published figure.
        value: The county's, in the same unit; None when it cannot be measured.
        numerator: What was counted.
        denominator: Of whom or of what.
        chance: How far chance alone may move a county of this size from the target: two standard errors.
        reason: Why it could not be measured.
    """

    target: Target
    value: float | None = None
    numerator: int = 0
    denominator: int = 0
    chance: float = 0.0
    reason: str | None = None

    @property
    def is_inside(self) -> bool | None:
        """Whether the county is near enough; None when that is not known."""
        if self.value is None:
            return None
        return abs(self.value - self.target.value) <= self.target.allowed + self.chance


# ------------------------------------------------------------------------------------------------------- measuring


def measure(extracts: Path, wanted: Sequence[Target] | None = None) -> list[Measured]:
    """Measure a finished county.

    Prevalence is of people registered on the last day of the extract; rates are events of the 365 days up to it, of
    people registered in their middle, both by the age then. Memory goes by people, not by rows.

    Args:
        extracts: Folder of a bulk extract set in the canonical layout, CSV or Parquet.
        wanted: Published figures to measure; all of ``targets`` when not given.

    Returns:
        One ``Measured`` for each figure, in their order.

    Raises:
        ExtractError: there is no manifest, or no patients.
    """
    found = count_county(extracts)
    return [_one(found, target) for target in (targets() if wanted is None else wanted)]


def outside(measured: Sequence[Measured]) -> list[Measured]:
    """Give those that are measured and beyond tolerance and chance."""
    return [each for each in measured if each.is_inside is False]


def _one(found: Tally, target: Target) -> Measured:
    for name in (target.of, target.among, *(target.groups or ())):
        if name is not None and name not in found.columns:
            return Measured(target, reason=found.lacking.get(name, f"nothing in the county says who has {name}"))
    is_rate = not found.is_flag(target.of)
    age = found.number("age_middle" if is_rate else "age")
    banded: Flags = (age >= target.age[0]) & (age <= target.age[1])
    if target.sex is not None:
        banded = banded & found.has("is_female" if target.sex == "F" else "is_male")
    registered = found.has("registered_middle" if is_rate else "registered")
    if target.groups is not None:
        return _ratio(found, target, age, banded, registered)
    if target.measure == "age_share":
        numerator, denominator = (registered & banded).sum(), registered.sum()
    elif target.measure == "percent":
        base = registered & banded & found.has(target.among or "everybody")
        numerator, denominator = (found.has(target.of) & base).sum(), base.sum()
    else:
        numerator = found.number(target.of)[banded].sum()
        denominator = (registered & banded).sum() if target.among is None else found.number(target.among)[banded].sum()
    if not denominator:
        return Measured(target, reason="nobody, or nothing, to count it of")
    scale = {"per_1000": 1000.0, "per_person": 1.0}.get(target.measure, 100.0)
    part = target.value / scale
    spread = part if target.measure in ("per_1000", "per_person") else part * (1 - part)
    chance = _SURE * scale * float(np.sqrt(spread / denominator))
    return Measured(target, scale * float(numerator) / float(denominator), int(numerator), int(denominator), chance)


_STANDARD_AGES = (18, 30, 40, 50, 60, 70, 80)


def _ratio(found: Tally, target: Target, age: Ints, banded: Flags, registered: Flags) -> Measured:
    """Compare two groups as if both had the ages of the county's registered people.

    Ages in which either group has nobody are left out. People who left or died count with their events, as in a rate.
    """
    band = np.digitize(age, _STANDARD_AGES)

    def by_age(who: Flags, each: Ints | None = None) -> Floats:
        weights = None if each is None else each[who]
        return np.bincount(band[who], weights, len(_STANDARD_AGES) + 1).astype(np.float64)

    counted = found.number(target.of)
    rates, cases, sizes = [], [], []
    for name in target.groups or ():
        member = banded & found.has(name)
        sizes.append(by_age(member & registered))
        events = by_age(member & registered if found.is_flag(target.of) else member, counted)
        cases.append(int(events.sum()))
        rates.append(np.divide(events, sizes[-1], out=np.zeros_like(events), where=sizes[-1] > 0))
    weights = by_age(registered & banded) * ((sizes[0] > 0) & (sizes[1] > 0))
    upper, lower = (float((rate * weights).sum()) for rate in rates)
    if not all(cases) or not lower:
        return Measured(target, reason="nobody has it in one of the groups")
    chance = _SURE * target.value * float(np.sqrt(1 / cases[0] + 1 / cases[1]))
    return Measured(target, upper / lower, cases[0], cases[1], chance)


# -------------------------------------------------------------------------------------------------------- in words


def in_words(measured: Sequence[Measured]) -> str:
    """Give a table for a terminal: one line a figure."""
    lines = [f"{'':<66}{'county':>10}{'England':>10}{'within':>9}{'chance':>8}  "]
    for each in measured:
        target = each.target
        value = "-" if each.value is None else f"{each.value:,.2f}"
        state = {None: "not measurable: " + (each.reason or ""), True: "", False: "OUTSIDE"}[each.is_inside]
        lines.append(
            f"{target.what:<66}{value:>10}{target.value:>10,.2f}{'± ' + f'{target.allowed:,.2f}':>9}"
            f"{each.chance:>8.2f}  {state}"
        )
    known = [each for each in measured if each.value is not None]
    lines.append(
        f"{len(known) - len(outside(measured))} of {len(known)} measured are inside; "
        f"{len(measured) - len(known)} cannot be measured."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(in_words(measure(Path(sys.argv[1]))) + "\n")
