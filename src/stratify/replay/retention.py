"""What goes when its time is over: records of weeks, by the schedule of the settings; the trail stays.

The line that says a record was made and removed is kept, with its seal: an auditor sees that a week was there, when it
went, and that nothing else did. Taking one person out is in ``erasure``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from stratify import audit_trail, kept_records
from stratify.audit_trail import Actor


@dataclass(frozen=True)
class Removal:
    """What a schedule removed: the weeks, and how many files that no other week reads."""

    weeks: tuple[date, ...]
    contents: int


def remove_old(records: Path, *, weeks: int, today: date, by: Actor) -> Removal:
    """Remove the records of weeks that are older than so many, and every content that no other record names.

    Args:
        records: The folder of records.
        weeks: For how long they are kept.
        today: The day.
        by: Who does it.

    Raises:
        RunError: the trail was changed, or a record that stays is not the one that was sealed. Nothing is removed then.
    """
    first = today - timedelta(weeks=weeks)
    old = [each for each in kept_records.all_records(records) if each.week < first]
    days = tuple(sorted({each.week for each in old}))
    asked = {"weeks": [day.isoformat() for day in days], "kept_for_weeks": weeks}
    if not days:
        return Removal((), 0)
    with audit_trail.recorded(records, kept_records.REMOVAL, asked, by=by) as ended:
        for each in old:
            kept_records.forget(records, each)
        ended["contents"] = count = kept_records.forget_unused(records)
    return Removal(days, count)


def in_words(done: Removal, weeks: int) -> str:
    """Say what was removed."""
    if not done.weeks:
        return f"No record is older than {weeks} weeks."
    return (
        f"Removed: the records of {len(done.weeks)} weeks, {done.weeks[0]} to {done.weeks[-1]}, and {done.contents:,} "
        "files that no other week reads. The trail says which; these weeks cannot be made again."
    )
