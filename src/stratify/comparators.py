"""Figures of other places that a site imports to stand beside its own: CSV, each line with its source and vintage.

Belongs here: what a line must say. Does not belong: setting figures beside one another (``publish.comparators``). A
figure is taken as its source gives it; whether it is of the same definition is said by whoever imports it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stratify.csv_lines import read_lines

_Words = Annotated[str, Field(min_length=3)]


class Comparator(BaseModel):
    """One figure of another place, or of another source for this one.

    Attributes:
        metric: Id of the metric that it stands beside.
        is_same_definition: Whether the source counts as the metric does: the same events, people and standardisation.
        definition: What the source counts, in words.
        area_code: Code of the place.
        area_name: Its name.
        period_start: First day.
        period_end: Last day.
        value: The figure.
        lower_95: Lower end of its 95 % interval, if the source gives one.
        upper_95: Upper end.
        unit: In the words of the source: per cent, for 1,000 people.
        source: Who published it, and where.
        published_date: The day it was published: its vintage.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    is_same_definition: bool
    definition: _Words
    area_code: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,8}$")]
    area_name: _Words
    period_start: date
    period_end: date
    value: float
    lower_95: float | None = None
    upper_95: float | None = None
    unit: _Words
    source: _Words
    published_date: date

    @model_validator(mode="after")
    def _is_sound(self) -> Comparator:
        if not self.period_start <= self.period_end < self.published_date:
            raise ValueError("period_start, period_end and published_date must follow one another")
        if (self.lower_95 is None) != (self.upper_95 is None):
            raise ValueError("lower_95 and upper_95 go together")
        if self.lower_95 is not None and self.upper_95 is not None and not self.lower_95 <= self.value <= self.upper_95:
            raise ValueError("value must lie between lower_95 and upper_95")
        return self

    @property
    def key(self) -> tuple[str, str, date, date, date]:
        """What no two lines share: a figure that its source revised has another vintage."""
        return self.metric, self.area_code, self.period_start, self.period_end, self.published_date


def read_comparators(file: Path, *, metrics: Collection[str] | None = None) -> tuple[Comparator, ...]:
    """Read a file of comparators, in order of metric, place, period and vintage.

    Args:
        file: CSV, UTF-8, with a header of the columns of :class:`Comparator`; an empty cell is nothing.
        metrics: Ids of metrics that there are; None to take any.

    Raises:
        SettingsError: the file cannot be read, or lines are wrong; every one is named, and no value of it.
    """
    seen: set[tuple[str, str, date, date, date]] = set()

    def fault_of(line: Comparator) -> tuple[str, str, str] | None:
        if metrics is not None and line.metric not in metrics:
            return "the id of a metric", "another word", "See the table metric for the ids."
        if line.key in seen:
            return "each figure once", "one that occurs before", "Take one out."
        seen.add(line.key)
        return None

    return tuple(sorted(read_lines(file, Comparator, fault_of=fault_of), key=lambda each: each.key))
