"""Which metrics have a control chart, which way is better, what target they have, and why a chart starts again.

The file ``clinical/charts/control_charts.yaml``. A chart starts again only for a cause that somebody wrote down and
answers for: to move limits without one would hide what they are there to show.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator

from stratify.rules.metric import Name, Words
from stratify.rules.strict import Strict, refusal


class Target(Strict):
    """A target, and where it is from."""

    value: Annotated[float, Field(ge=0)]
    source: Words


class ControlChart(Strict):
    """The chart of one metric, by calendar month.

    Attributes:
        metric: Its id: a rate of events of everybody registered that has final periods.
        better: Which way is an improvement; ``neither`` where more may be good or bad.
        target: Target, in the unit of the metric; none where nobody set one.
    """

    metric: Name
    better: Literal["higher", "lower", "neither"]
    target: Target | None = None


class NewStart(Strict):
    """A month from which a chart starts again.

    Attributes:
        metric: Id of the metric.
        month: First day of the first month of the new stretch.
        places: Codes of the networks and boards it holds for; every place when empty.
        cause: What changed how care is given or recorded, and how that is known.
        decided_by: Who answers for it: a role.
        decided_on: When that was written down.
    """

    metric: Name
    month: date
    places: tuple[str, ...] = ()
    cause: Annotated[str, Field(min_length=20)]
    decided_by: Words
    decided_on: date

    @field_validator("month")
    @classmethod
    def _is_first_day(cls, value: date) -> date:
        if value.day != 1:
            raise refusal("the first day of a month")
        return value


class ControlCharts(Strict):
    """The file ``clinical/charts/control_charts.yaml``."""

    charts: tuple[ControlChart, ...]
    starts_again: tuple[NewStart, ...] = ()
