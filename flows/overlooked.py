"""Writes who was admitted as an emergency last month and had been on no list, and why, for each practice.

Run monthly, after the hospital data of the month before have come: ``admitted/YYYY-MM`` beside the outputs. Without a
server: ``python -m flows.overlooked SETTINGS``.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from prefect import flow, get_run_logger

from flows.stage import in_process, settings_of, stage
from stratify.operations import notices
from stratify.overlooked_run import write_last_month


@flow(name="stratify look at who was overlooked", persist_result=False, validate_parameters=False)
def overlooked(settings_file: str) -> None:
    """Write last month's lists for practices and the counts; fail with one message where they cannot be made.

    Args:
        settings_file: Path of the settings file on the worker.
    """
    with notices.told_of_faults(os.environ):
        out = settings_of(settings_file).out  # the run in place decides which month is the last
        said = stage("Looking who was overlooked", partial(write_last_month, out, out / "admitted"))
        get_run_logger().info(said)


if __name__ == "__main__":
    in_process(overlooked, sys.argv[1:2], usage="python -m flows.overlooked SETTINGS")
