"""The weekly run as a Prefect flow: land → validate → features → score → decide → route → publish.

Tasks pass the plan of the run and receipts of counts; never a frame, a row or a value about a person. The identity key
is read inside each task that needs it, so that no orchestrator keeps it. A stage is retried only where a second try can
help (files on a share, the disk); a refused file or a blocked verdict is not tried again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

import flows  # noqa: F401  sets the environment before prefect is imported
from stratify import pipeline, runs
from stratify.errors import StratifyError
from stratify.runs import Plan, Receipt
from stratify.settings import load_settings


def _can_help(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Try again after a fault of the machine, never after one that stratify found and named."""
    try:
        state.result()
    except StratifyError:
        return False
    except OSError:
        return True
    return False


def _stage(name: str, work: Callable[[Plan], Receipt]) -> Task[[Plan], dict[str, int]]:
    @task(
        name=name,
        cache_policy=NO_CACHE,
        retries=2,
        retry_delay_seconds=30,
        retry_condition_fn=_can_help,
        persist_result=False,
    )
    def run_stage(plan: Plan) -> dict[str, int]:
        receipt = work(plan)
        for what, count in receipt.counts.items():
            get_run_logger().info("%s: %s", what, f"{count:,}")
        return receipt.counts

    return run_stage


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
    with runs.one_at_a_time(settings.out):
        plan = runs.prepare(settings, key=key)
        for name, work in pipeline.stages(key):
            _stage(name, work)(plan)
        done = pipeline.finish(plan)
    sys.stdout.write(pipeline.in_words(done) + "\n")
    return {"run_id": done.run_id, "verdict": done.verdict}


if __name__ == "__main__":
    weekly(*sys.argv[1:])
