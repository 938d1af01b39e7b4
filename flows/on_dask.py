"""Buckets of people as Prefect tasks on the workers of a Dask scheduler: for a site with a few plain servers.

A worker that is lost costs the bucket it was at, which another one does. What Dask and Prefect see are paths and
numbers of buckets.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait

from flows.stage import RETRIES, RETRY_DELAY_SECONDS, can_help
from stratify.errors import SettingsError
from stratify.scaled import Spread, Work, work_bucket
from stratify.settings import Settings


def spread_of(settings: Settings) -> Spread | None:
    """Give what spreads buckets over the Dask scheduler of the settings; None where they name another engine."""
    if settings.spread is None or settings.spread.engine != "dask":
        return None
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError:
        raise SettingsError(
            "settings, spread.engine",
            expected="dask only where prefect-dask is installed",
            found="no such package",
            action="Install stratify[dask] here and on every worker.",
        ) from None
    runner: Any = DaskTaskRunner(address=settings.spread.scheduler)

    def over_workers(work: Work) -> None:
        @flow(name="stratify buckets", task_runner=runner, persist_result=False, validate_parameters=False)
        def buckets() -> None:
            futures = [_bucket.submit(work, number) for number in range(work.buckets)]
            wait(futures)
            for each in futures:
                each.result()

        buckets()

    return over_workers


@task(
    name="stratify bucket",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=can_help,
    persist_result=False,
)
def _bucket(work: Work, number: int) -> None:
    work_bucket(work, number)
