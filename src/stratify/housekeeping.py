"""What is done by schedule beside the runs: old records go, a backup is made and tried, old backups go.

Both doors call this, the flow and ``stratify housekeeping``. Whether the deployment is well is ``operations.doctor``.
"""

from __future__ import annotations

from datetime import date

from stratify import audit_trail, runs
from stratify.audit_trail import Actor
from stratify.operations import backup
from stratify.replay import retention
from stratify.settings import Settings


def keep_house(settings: Settings, *, today: date, by: Actor) -> list[str]:
    """Remove what is kept no longer, make a backup and restore it on trial, remove the oldest ones.

    An old backup goes only after a new one was restored.

    Args:
        settings: ``records`` and ``backups`` say what there is to do.
        today: The day.
        by: Who does it.

    Returns:
        What was done, a line each.

    Raises:
        RunError: there is no run to copy, one is at work, or the backup cannot be restored; the older ones stay.
    """
    return [_records(settings, today, by), _backup(settings, by)]


def _records(settings: Settings, today: date, by: Actor) -> str:
    if settings.records is None or not settings.records.is_dir():
        return "No records are kept: nothing to remove."
    done = retention.remove_old(settings.records, weeks=settings.record_weeks, today=today, by=by)
    return retention.in_words(done, settings.record_weeks)


def _backup(settings: Settings, by: Actor) -> str:
    if settings.backups is None:
        return "No backup was made: the settings name no folder for it (`backups`)."
    details = {"run_id": runs.plan_in_place(settings.out).run_id}
    with audit_trail.recorded(settings.out, "backup", details, by=by) as ended:
        made = backup.back_up(settings.out, settings.backups)
        backup.try_out(made)
        ended["removed"] = gone = backup.remove_older(settings.backups, keep=settings.backups_kept, never=made)
    return f"Backup: {made.name}, restored on trial; {gone} older ones removed, {settings.backups_kept} are kept."
