"""What is asked of the synthetic county, and whether that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from stratify.errors import SettingsError, combine

FEWEST_PEOPLE, MOST_PEOPLE = 100, 3_000_000
MOST_WEEKS = 104
MOST_IN_A_PRACTICE = 40_000
"""One practice is made at a time, in memory; the largest in England have about three times as many people."""

FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class CountyOrder:
    """One county as ordered; two equal orders give the same bytes.

    Attributes:
        people: How many people; some have records at two practices.
        practices: How many GP practices; None for one for every 10,000 people, and at least eight where people allow.
        seed: Another seed gives another county.
        index_date: Day of the run that the first extract is for; it describes the day before.
        weeks: How many weekly extracts follow the first.
        weekly: ``delta`` or ``bulk``: whether those are deltas, or the whole again.
        history_years: Years of detailed history before the first extract.
        faults: Rate of each fault put in, by id; none in a clean county.
        layout: Layout of the files.
        file_format: ``csv`` or ``parquet``.
        workers: Processes that make practices; the bytes do not depend on it.
    """

    people: int = 20_000
    practices: int | None = None
    seed: int = 1
    index_date: date = date(2026, 11, 2)
    weeks: int = 0
    weekly: str = "delta"
    history_years: int = 3
    faults: Mapping[str, float] = field(default_factory=dict)
    layout: str = "canonical"
    file_format: str = "csv"
    workers: int = 1

    @property
    def practice_count(self) -> int:
        """How many practices there are."""
        if self.practices is not None:
            return self.practices
        return max(-(-self.people // 10_000), min(8, self.people // 500), 1)


def check_order(order: CountyOrder) -> None:
    """Refuse an order that nobody can fill, with every reason.

    Faults and layouts are checked by those who know them.

    Raises:
        SettingsError: one or more settings are impossible.
    """
    faults: list[SettingsError] = []

    def refuse(what: str, expected: str, found: object, action: str) -> None:
        faults.append(SettingsError(f"synthetic county, {what}", expected=expected, found=str(found), action=action))

    def between(what: str, value: int, least: int, most: int, why: str = "") -> bool:
        if least <= value <= most:
            return True
        refuse(what, f"{least:,} to {most:,}{why}", f"{value:,}", "Give another number.")
        return False

    people_fit = between("people", order.people, FEWEST_PEOPLE, MOST_PEOPLE)
    if people_fit:
        fewest = -(-order.people // MOST_IN_A_PRACTICE)
        why = f" for {order.people:,} people: one for every 100 to {MOST_IN_A_PRACTICE:,}"
        between("practices", order.practice_count, fewest, order.people // 100, why)
    elif order.practices is not None and order.practices < 1:
        refuse("practices", "1 or more", f"{order.practices:,}", "Give another number.")
    if order.seed < 0:
        refuse("seed", "0 or more", order.seed, "Give another seed.")
    between("weeks", order.weeks, 0, MOST_WEEKS)
    between("years of history", order.history_years, 1, 10)
    between("workers", order.workers, 1, 64)
    if order.weekly not in ("delta", "bulk"):
        refuse("weekly extracts", "delta or bulk", "another word", "Give one of them.")
    if order.file_format not in FORMATS:
        refuse("file format", " or ".join(FORMATS), "another word", "Give one of them.")
    if order.file_format == "parquet" and order.layout != "canonical":
        refuse("file format", "csv, as suppliers send", order.file_format, "Give --format csv, or --layout canonical.")
    if faults:
        raise combine(list(faults))
