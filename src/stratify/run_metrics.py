"""Figures of the last run for Prometheus: a file in its text format, which node_exporter's textfile collector reads.

Off unless the settings name the file (``metrics_file``). Counts of the whole organisation, times and states: no place
smaller than that, nothing about a person. The file is replaced in one step, so that half of it is never read; where it
cannot be written the run goes on, and says so on standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from stratify.audit_trail import Actor
from stratify.errors import StratifyError
from stratify.settings import Settings

_HELP = {
    "stratify_run_success": "1 when the last run finished and published, 0 when it did not.",
    "stratify_run_exit_code": "Exit code of the last run by kind of fault; 0 when it finished.",
    "stratify_run_end_timestamp_seconds": "When the last run ended.",
    "stratify_run_duration_seconds": "How long the last run took.",
    "stratify_good_run_timestamp_seconds": "When the run in place was made.",
    "stratify_good_run_index_date_timestamp_seconds": "The day the run in place describes.",
    "stratify_files": "Extract files the run in place read.",
    "stratify_rows": "Rows of extract files the run in place received, and those it loaded.",
    "stratify_people": "People in the run in place, whatever their status.",
    "stratify_people_listed": "People the run in place put on a list of a clinic.",
    "stratify_pathways_held": "Pathways of which the run in place holds some list.",
    "stratify_feeds_not_read": "Feeds of which the run in place could not read the newest files.",
}
_LISTED = "listed"


@contextmanager
def measured(settings: Settings, *, by: Actor) -> Iterator[None]:
    """Write the figures of a run when it has ended, however it did; nothing where no file is named.

    Args:
        settings: What is run.
        by: Whose clock says how long it took.
    """
    if settings.metrics_file is None:
        yield
        return
    begun, exit_code = by.clock(), 0
    try:
        yield
    except BaseException as fault:
        exit_code = fault.exit_code if isinstance(fault, StratifyError) else 1
        raise
    finally:
        figures = _of_the_last(begun, by.clock(), exit_code) | _of_the_run_in_place(settings.out)
        _put(settings.metrics_file, _as_text(figures))


def _of_the_last(begun: datetime, ended: datetime, exit_code: int) -> dict[str, float]:
    return {
        "stratify_run_success": int(exit_code == 0),
        "stratify_run_exit_code": exit_code,
        "stratify_run_end_timestamp_seconds": ended.timestamp(),
        "stratify_run_duration_seconds": max((ended - begun).total_seconds(), 0.0),
    }


def _of_the_run_in_place(out: Path) -> dict[str, float]:
    """Give the figures of the run whose lists are in place."""
    path = out / "published" / "run_manifest.json"
    try:
        manifest: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none in place, or one that was damaged: its figures are left out
        return {}
    inputs, placed = manifest["inputs"], manifest["placements"]
    described = datetime.combine(date.fromisoformat(manifest["index_date"]), time(), UTC)
    return {
        "stratify_good_run_timestamp_seconds": path.stat().st_mtime,
        "stratify_good_run_index_date_timestamp_seconds": described.timestamp(),
        "stratify_files": len(inputs),
        'stratify_rows{state="received"}': sum(each["received_count"] for each in inputs),
        'stratify_rows{state="loaded"}': sum(each["loaded_count"] for each in inputs),
        "stratify_people": sum(each["people"] for each in manifest["people"]),
        "stratify_people_listed": sum(each["people"] for each in placed if each["placement"] == _LISTED),
        "stratify_pathways_held": len({each["pathway"] for each in manifest["held"]}),
        "stratify_feeds_not_read": len({each["table_name"] for each in manifest["lost_feeds"]}),
    }


def _as_text(figures: Mapping[str, float]) -> str:
    lines: list[str] = []
    for sample, value in figures.items():
        name = sample.partition("{")[0]
        if f"# TYPE {name} gauge" not in lines:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
        lines.append(f"{sample} {value:.15g}")
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str) -> None:
    """Replace the file in one step; the collector reads only names that end in ``.prom``, so not the fresh one."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as fault:
        sys.stderr.write(f"stratify: {path.name} could not be written ({fault.strerror})\n")
