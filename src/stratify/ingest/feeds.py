"""Feeds whose newest file cannot be read: the last good one is used, or the feed counts as not received.

A feed is what comes for one landing table. Belongs here: which feeds a run can do without, and whose fault a fault of
the gate is. Does not belong: the checks themselves (``files``), the chain of
periods (``extract_sets``), what is held for want of a feed (``holding``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict

from stratify.errors import ExtractError, StratifyError

INDISPENSABLE = frozenset({"patient", "registration", "practice", "opt_out", "nhs_number_trace"})
"""Feeds that say who people are, where they belong and whether they may be looked at: a fault of one refuses the set.
One of last week would list people who left, died or objected since."""

Faults = dict[str, list[ExtractError]]
"""What is wrong with each feed of a set that a run can do without, by table."""


Refused = Mapping[tuple[str, str], Sequence[ExtractError]]
"""What is wrong with files that the gate let through and whose rows were refused, by set and table."""


class Refusal(BaseModel):
    """One fault of a feed, in the four parts of an error."""

    model_config = ConfigDict(frozen=True)

    where: str
    expected: str
    found: str
    action: str

    def as_error(self) -> ExtractError:
        """Give the fault as the error it was."""
        return ExtractError(self.where, expected=self.expected, found=self.found, action=self.action)


class LostFeed(BaseModel):
    """A feed whose newest file is not read.

    Attributes:
        table: Landing table it is for.
        used_to: Last day of the good files that are read instead; None where there are none: not received.
        refusals: Why, a fault each.
    """

    model_config = ConfigDict(frozen=True)

    table: str
    used_to: date | None
    refusals: tuple[Refusal, ...]

    @classmethod
    def of(cls, table: str, faults: Sequence[ExtractError], used_to: date | None) -> LostFeed:
        """Note a feed that was lost, with the faults that are why."""
        kept = (Refusal(where=f.where, expected=f.expected, found=f.found, action=f.action) for f in faults)
        return cls(table=table, used_to=used_to, refusals=tuple(kept))


def set_apart(faults: Sequence[StratifyError], tables: Mapping[str, str | None], apart: Faults) -> list[StratifyError]:
    """Put the faults of feeds that a run can do without apart, by table, and give the others.

    Args:
        faults: What the gate found in one set.
        tables: The table of each file that a manifest or its name says (None: no table), and of each table as faults
            name it.
        apart: Where they are put.
    """
    others = []
    for fault in faults:
        table = tables.get(fault.where)
        if table is None or table in INDISPENSABLE or not isinstance(fault, ExtractError):
            others.append(fault)
        else:
            apart.setdefault(table, []).append(fault)
    return others
