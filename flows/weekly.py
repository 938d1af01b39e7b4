"""The weekly run as a Prefect flow: land → validate → features → score → decide → route → publish.

What Prefect sees are names of stages and counts; never a frame, a row or a value about a person, and not the identity
key. Without a server: ``python -m flows.weekly SETTINGS [INDEX_DATE]``.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from functools import partial
from pathlib import Path

from prefect import flow, get_run_logger

from flows.stage import in_process, stage
from stratify import pipeline, refusals, runs
from stratify.settings import load_settings

MOST_COUNTS = 4
"""Counts of a stage in its log line; run_manifest.json has them all."""


@flow(name="stratify weekly run", persist_result=False, validate_parameters=False)
def weekly(settings_file: str, index_date: str | None = None) -> dict[str, str]:
    """Do the weekly run.

    Args:
        settings_file: Path of the settings file on the worker.
        index_date: ``YYYY-MM-DD``; the settings' own, or today, when None.
    """
    settings = load_settings(
        Path(settings_file),
        environment=os.environ,
        overrides={"index_date": index_date},
        today=date.today(),  # the only clock: below this line the index date is an argument
    )
    key = runs.identity_key(settings, os.environ)
    with runs.one_at_a_time(settings.out), refusals.supplier_told(settings):
        plan = stage("Checking definitions and files", partial(runs.prepare, settings, key=key))
        for name, work in pipeline.stages(key):
            counts = list(stage(name, partial(work, plan)).counts.items())[:MOST_COUNTS]
            get_run_logger().info("%s: %s", name, ", ".join(f"{count:,} {what}" for what, count in counts))
        done = pipeline.finish(plan)  # once only: a rename is done or not done
    get_run_logger().info(pipeline.in_words(done))
    if done.held:
        get_run_logger().warning("Lists are HELD: %s. All others are published.", ", ".join(done.held))
    return {"run_id": done.run_id, "verdict": done.verdict, "held": ", ".join(done.held)}


if __name__ == "__main__":
    in_process(weekly, sys.argv[1:], usage="python -m flows.weekly SETTINGS [INDEX_DATE]")
