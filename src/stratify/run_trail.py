"""A run in the audit trail: what was asked for as it begins, what it read and put out as it ends; in counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stratify import audit_trail, kept_records, lineage, run_metrics, taken_over
from stratify.audit_trail import Actor
from stratify.refusals import supplier_told
from stratify.runs import Summary, one_at_a_time
from stratify.settings import Settings


@contextmanager
def recorded(settings: Settings, *, by: Actor) -> Iterator[dict[str, Any]]:
    """Hold the output folder for the length of a run, write down its begin and end, tell the supplier of faults.

    Args:
        settings: What is run.
        by: Who runs it.

    Yields:
        A dict for what the trail says of a run that finished (:func:`of_run`).

    Raises:
        RunError: another run is at work, nothing can be written there, or what is remembered was changed.
    """
    asked = {
        "index_date": settings.index_date.isoformat(),
        "source": Path(settings.source).name,
        "purpose": settings.privacy.purpose,
        "approval": settings.privacy.approval_reference,
    }
    with (
        one_at_a_time(settings.out),
        run_metrics.measured(settings, by=by),
        audit_trail.recorded(settings.out, "run", asked, by=by) as ended,
        lineage.told(settings, ended, by=by),
        supplier_told(settings),
        kept_records.kept(settings, ended, by=by),
    ):
        taken_over.stop_if_memory_changed(settings.out)
        yield ended


def of_run(done: Summary) -> dict[str, Any]:
    """Give what the trail says of a finished run: versions, counts in and out by reason, the digest of its manifest.

    The manifest has the digest of every file that was put out.
    """
    manifest = done.manifest
    inputs = manifest["inputs"]
    objections = [each["period_to"] for each in inputs if each["table_name"] == "opt_out"]
    return {
        "run_id": done.run_id,
        "code": manifest["code_version"],
        "rules": manifest["rules"]["digest"],
        "objections_as_of": max(filter(None, objections), default=None),
        "files": len(inputs),
        "rows_received": sum(each["received_count"] for each in inputs),
        "rows_loaded": sum(each["loaded_count"] for each in inputs),
        "people": {each["person_status"]: each["people"] for each in manifest["people"]},
        "left_out": {f"{each['surface']}: {each['reason']}": each["people"] for each in manifest["withheld"]},
        "placed": added_up(manifest["placements"], "placement"),
        "held": done.held,
        "work": dict(done.work),
        "manifest_sha256": hashlib.sha256((done.published / "run_manifest.json").read_bytes()).hexdigest(),
    }


def added_up(rows: Sequence[dict[str, Any]], name: str) -> dict[str, int]:
    """Give the people of some counts by one of their columns, in order."""
    counts: dict[str, int] = {}
    for each in rows:
        counts[each[name]] = counts.get(each[name], 0) + int(each["people"])
    return dict(sorted(counts.items()))
