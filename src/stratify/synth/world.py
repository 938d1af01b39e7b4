"""The county that everything is drawn in: its practices, its calendar and its chance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from stratify.synth import chance
from stratify.synth.order import CountyOrder
from stratify.synth.places import Practice, make_practices

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class County:
    """An order with what follows from it; days are counted from 1970-01-01."""

    order: CountyOrder

    @cached_property
    def practices(self) -> tuple[Practice, ...]:
        """The practices, from a deprived part of the county to an affluent one and back."""
        return make_practices(self.order.practice_count)

    @cached_property
    def index_dates(self) -> tuple[date, ...]:
        """The day of the run that each extract is for, the bulk's first."""
        return tuple(self.order.index_date + timedelta(weeks=week) for week in range(self.order.weeks + 1))

    @cached_property
    def cutoff_days(self) -> tuple[int, ...]:
        """The last day that each extract describes: the day before its index date."""
        return tuple((day - _EPOCH).days - 1 for day in self.index_dates)

    @property
    def last_day(self) -> int:
        """The last day of all; nothing happens later."""
        return self.cutoff_days[-1]

    @cached_property
    def first_day(self) -> int:
        """The first day of detailed history."""
        return self.cutoff_days[0] - round(self.order.history_years * 365.25)

    def generator(self, practice: Practice, topic: str, *more: int) -> np.random.Generator:
        """Give the generator of one practice and topic."""
        return chance.generator(self.order.seed, practice.number, topic, *more)
