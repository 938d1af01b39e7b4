"""The weekly run as a Prefect flow: land → validate → features → score → decide → route → publish.

What Prefect sees are names of stages and counts; never a frame, a row or a value about a person, and not the identity
key. Without a server: ``python -m flows.weekly SETTINGS [INDEX_DATE]``.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from prefect import flow, get_run_logger

from flows import on_dask
from flows.stage import in_process, settings_of, stage
from stratify import audit_trail, pipeline, run_trail, runs
from stratify.operations import notices

MOST_COUNTS = 4
"""Counts of a stage in its log line; run_manifest.json has them all."""


@flow(name="stratify weekly run", persist_result=False, validate_parameters=False)
def weekly(settings_file: str, index_date: str | None = None, afresh: bool = False) -> dict[str, str]:
    """Do the weekly run.

    Args:
        settings_file: Path of the settings file on the worker.
        index_date: ``YYYY-MM-DD``; the settings' own, or today, when None.
        afresh: Take nothing over from the run in place.
    """
    with notices.told_of_faults(os.environ):
        settings = settings_of(settings_file, index_date)
        key = runs.identity_key(settings, os.environ)
        with run_trail.recorded(settings, by=audit_trail.this_account("Prefect")) as ended:
            plan = stage("Checking definitions and files", partial(runs.prepare, settings, key=key))
            done = pipeline.begin(plan, key=key, afresh=afresh)
            if done is None:
                for name, work in pipeline.stages(key, spread=on_dask.spread_of(settings)):
                    counts = list(stage(name, partial(work, plan)).counts.items())[:MOST_COUNTS]
                    get_run_logger().info("%s: %s", name, ", ".join(f"{count:,} {what}" for what, count in counts))
                done = pipeline.finish(plan)  # once only: a rename is done or not done
            ended |= run_trail.of_run(done)
        get_run_logger().info(pipeline.in_words(done))
        get_run_logger().info(audit_trail.last_in_words(settings.out))
        if done.held:
            get_run_logger().warning("Lists are HELD: %s. All others are published.", ", ".join(done.held))
    notices.send_of_run(done, os.environ)
    return {"run_id": done.run_id, "verdict": done.verdict, "held": ", ".join(done.held)}


if __name__ == "__main__":
    in_process(weekly, sys.argv[1:], usage="python -m flows.weekly SETTINGS [INDEX_DATE]")
