"""Checks the extract files that wait, as the weekly run would, and publishes nothing.

Run daily, so that a supplier's bad delivery is known while there is time to ask for another before Monday. Without a
server: ``python -m flows.land SETTINGS [INDEX_DATE]``.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial

from prefect import flow, get_run_logger

from flows.stage import in_process, settings_of, stage
from stratify import pipeline, refusals, runs
from stratify.operations import notices


@flow(name="stratify check of extract files", persist_result=False, validate_parameters=False)
def land(settings_file: str, index_date: str | None = None) -> None:
    """Check definitions and extract files, down to each row; fail with one message when they are not fit to run.

    Args:
        settings_file: Path of the settings file on the worker.
        index_date: ``YYYY-MM-DD``; the settings' own, or today, when None.
    """
    with notices.told_of_faults(os.environ):
        settings = settings_of(settings_file, index_date)
        key = runs.identity_key(settings, os.environ)
        # Beside the outputs and not in /tmp: what is read here is as confidential as what is kept there.
        checking = settings.out / "checking"
        with runs.one_at_a_time(checking):
            checking.chmod(0o700)
            out, settings = settings.out, settings.model_copy(update={"out": checking})
            try:
                with refusals.supplier_told(settings, out=out):
                    report = stage("Checking the extract files", partial(pipeline.check, settings, key=key))
            finally:
                shutil.rmtree(checking / "runs", ignore_errors=True)
        get_run_logger().info(report)


if __name__ == "__main__":
    in_process(land, sys.argv[1:], usage="python -m flows.land SETTINGS [INDEX_DATE]")
