"""Dates and windows: ages, calendar months back, half-open periods, working days.

Nothing here reads a clock: the index date is always an argument.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from functools import cache

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


def working_days_after(day: date, count: int) -> date:
    """Give the working day that many after a day: no weekend, no bank holiday of England and Wales."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < _SATURDAY and day not in bank_holidays(day.year)
    return day


@cache
def bank_holidays(year: int) -> frozenset[date]:
    """Give the bank holidays of England and Wales in a year as the law has them since 1978, less the extra ones of a
    single year (jubilees, a coronation), which no rule tells.

    One that falls on a weekend is kept on the next weekday. Source: Banking and Financial Dealings Act 1971, with the
    days proclaimed under it.
    """
    easter = _easter(year)
    first_of_may, last_of_may, last_of_august = date(year, 5, 1), date(year, 5, 31), date(year, 8, 31)
    days = {
        easter - timedelta(days=2),
        easter + timedelta(days=1),
        first_of_may + timedelta(days=-first_of_may.weekday() % 7),
        last_of_may - timedelta(days=last_of_may.weekday()),
        last_of_august - timedelta(days=last_of_august.weekday()),
    }
    for fixed in (date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)):
        while fixed.weekday() >= _SATURDAY or fixed in days:
            fixed += timedelta(days=1)
        days.add(fixed)
    return frozenset(days)


_SATURDAY = 5


def _easter(year: int) -> date:
    """Give Easter Sunday (Gregorian calendar; the anonymous algorithm of Nature, 1876)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def in_words(day: date) -> str:
    """Write a date as people read it, for example ``3 May 2026``."""
    return f"{day.day} {calendar.month_name[day.month]} {day.year}"
