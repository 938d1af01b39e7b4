"""Looks the deployment over, removes what is kept no longer, and makes a backup that is restored on trial.

Run daily. Whoever is to be told hears of a run that is late or never came, and of whatever else is not well. Without a
server: ``python -m flows.housekeeping SETTINGS``.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime
from functools import partial

from prefect import flow, get_run_logger

from flows.stage import in_process, settings_of, stage
from stratify.audit_trail import this_account
from stratify.errors import RunError
from stratify.housekeeping import keep_house
from stratify.operations import doctor, notices


@flow(name="stratify housekeeping", persist_result=False, validate_parameters=False)
def housekeeping(settings_file: str) -> None:
    """Look, tidy, copy; fail when the deployment is not well or the backup is not fit to be restored.

    Args:
        settings_file: Path of the settings file on the worker.
    """
    look = partial(doctor.examine, partial(settings_of, settings_file), os.environ, datetime.now(UTC))
    faults = [each for each in stage("Looking the deployment over", look) if each.state == "fault"]
    doctor.tell(faults, os.environ)
    with notices.told_of_faults(os.environ):
        settings = settings_of(settings_file)
        keep = partial(keep_house, settings, today=date.today(), by=this_account("Prefect"))
        for said in stage("Removing what is old, making a backup", keep):
            get_run_logger().info(said)
    if faults:
        raise RunError(
            "deployment", expected="nothing that is a fault", action="Run `stratify doctor`.",
            found="; ".join(f"{each.check}: {each.found}" for each in faults),
        )  # fmt: skip


if __name__ == "__main__":
    in_process(housekeeping, sys.argv[1:2], usage="python -m flows.housekeeping SETTINGS")
