"""What every flow shares: its settings, a stage with its retries, and a start from a terminal with no server.

Tasks take no parameters and nothing they give is stored, so that Prefect keeps names, states and counts and nothing
else. What a stage does belongs to ``stratify.pipeline``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from stratify.errors import HELD_EXIT_CODE, RunError, StratifyError
from stratify.settings import Settings, load_settings

Result = TypeVar("Result")
RETRIES = 2
RETRY_DELAY_SECONDS = 30


def settings_of(settings_file: str, index_date: str | None = None) -> Settings:
    """Read the settings of a flow; for an index date that neither it nor they name, today."""
    return load_settings(
        Path(settings_file),
        environment=os.environ,
        overrides={"index_date": index_date},
        today=date.today(),  # the only clock: below this line the index date is an argument
    )


def stage(name: str, work: Callable[[], Result]) -> Result:
    """Do one stage as a Prefect task; a fault of the machine (a share, the disk) is tried again, no other is."""

    def run_stage() -> Result:
        return work()

    return task(
        name=name,
        cache_policy=NO_CACHE,
        retries=RETRIES,
        retry_delay_seconds=RETRY_DELAY_SECONDS,
        retry_condition_fn=can_help,
        persist_result=False,
    )(run_stage)()


def can_help(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a second try can help: after a fault of the machine, and no other."""
    fault = state.result(raise_on_failure=False)
    if isinstance(fault, OSError):
        get_run_logger().warning("%s: %s", type(fault).__name__, fault.strerror)
    return isinstance(fault, OSError)  # a refused file or a verdict to stop is the same on a second try


def in_process(work: Callable[..., object], arguments: list[str], *, usage: str) -> None:
    """Run a flow from a terminal: our own lines, one clear message on a fault, the exit code of its kind."""
    if not arguments:
        sys.exit(f"usage: {usage}")
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    terminal.addFilter(lambda record: Path(record.pathname).parent == Path(__file__).parent)
    logging.getLogger().handlers = [terminal]
    logging.getLogger("prefect").setLevel(logging.INFO)
    done: object = None
    try:
        done = work(*arguments)
    except OSError as fault:
        _end(
            RunError(
                "the machine",
                expected="files that can be read and written",
                found=fault.strerror or "a fault",
                action="Look at the disk and the share, then run again.",
            )
        )
    except StratifyError as fault:
        _end(fault)
    except Exception as fault:
        if type(fault).__module__.partition(".")[0] not in ("httpx", "httpcore", "prefect"):
            raise
        _end(
            RunError(
                "Prefect server",
                expected="one that answers until the run ends",
                found=type(fault).__name__,
                action="The lists in place are whole: `stratify audit show` says whether they are this run's. If not, "
                "see `systemctl status stratify-server` and run again, or `stratify run`, which needs no server.",
            )
        )
    if isinstance(done, dict) and done.get("held"):
        raise SystemExit(HELD_EXIT_CODE)


def _end(fault: StratifyError) -> None:
    sys.stderr.write(f"{type(fault).__name__}: {fault}\n")
    raise SystemExit(fault.exit_code) from None
