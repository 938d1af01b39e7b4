"""Dates and windows: ages, calendar months back, half-open periods.

Nothing here reads a clock: the index date is always an argument.
"""

from __future__ import annotations

import calendar
from datetime import date

SENTINEL_DATES = (
    date(1753, 1, 1),
    date(1801, 1, 1),
    date(1899, 12, 30),
    date(1900, 1, 1),
    date(9999, 12, 31),
)
"""Dates that source systems write for "not known". HES uses 1801-01-01; GP systems 1900-01-01."""


def months_before(day: date, months: int) -> date:
    """Give the day a number of calendar months earlier, held to the last day of a shorter month.

    Args:
        day: The day to count back from.
        months: Calendar months, 0 or more.

    Returns:
        The start of the half-open window ``[start, day)``.
    """
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    month += 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def months_after(day: date, months: int) -> date:
    """Give the day a number of calendar months later, held to the last day of a shorter month."""
    return months_before(day, -months)


def age_years(born: date, on: date) -> int:
    """Give whole years of age on a day; somebody born on 29 February ages on 1 March in other years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def in_words(day: date) -> str:
    """Write a date as people read it, for example ``3 May 2026``."""
    return f"{day.day} {calendar.month_name[day.month]} {day.year}"
