"""Dates: half-open windows by calendar, the latest value and only then its test, days, episodes, completed years."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import date, timedelta
from typing import TypeVar

Kept = TypeVar("Kept")


def months_before(day: date, months: int) -> date:
    """Give the same day some calendar months earlier, or the last day of that month where it has no such day."""
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    last = calendar.monthrange(years, month + 1)[1]
    return date(years, month + 1, min(day.day, last))


def is_within(day: date, index_date: date, *, months: int | None = None, days: int | None = None) -> bool:
    """Say whether a day is in the window: its first day counts, the index date does not; without a length, ever."""
    if months is not None:
        start = months_before(index_date, months)
    elif days is not None:
        start = index_date - timedelta(days=days)
    else:
        start = date.min
    return start <= day < index_date


def completed_years(born: date, on: date) -> int:
    """Give the age in completed years; whoever was born on 29 February is a year older on 1 March."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def latest(records: Iterable[tuple[date, Kept]], index_date: date, maximum_age_months: int) -> Kept | None:
    """Give the latest value; None without one, if it is too old, or if its day has two different values."""
    before = [(day, value) for day, value in records if day < index_date]
    if not before:
        return None
    newest = max(day for day, _ in before)
    values = {value for day, value in before if day == newest}
    too_old = newest < months_before(index_date, maximum_age_months)
    return None if too_old or len(values) > 1 else next(iter(values))


def day_count(days: Iterable[date], index_date: date, months: int) -> int:
    """Count the different days in the window."""
    return len({day for day in days if is_within(day, index_date, months=months)})


def episodes(days: Iterable[date], merge_days: int) -> list[date]:
    """Give the first day of each episode: a day more than ``merge_days`` after the one before starts a new one."""
    starts: list[date] = []
    before: date | None = None
    for day in sorted(set(days)):
        if before is None or (day - before).days > merge_days:
            starts.append(day)
        before = day
    return starts
