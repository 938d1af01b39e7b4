"""What each run read and put out, as OpenLineage events (2-0-2): a line of JSON at its begin and one at its end.

Off unless the settings name the file (``lineage_file``). The events name extract files, with their rows, sizes and
digests, and the three folders that are published, with counts of files: nothing about a person, no practice, and of a
fault its kind only. Lines are added and never changed; where one cannot be, the run goes on and says so on standard
error. Written by hand, since the events are a few dictionaries: the client that others use brings a network stack.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from stratify.audit_trail import Actor
from stratify.settings import Settings

PRODUCER = "urn:stratify"
_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "nominalTime": "1-0-1/NominalTimeRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "jobType": "2-0-3/JobTypeJobFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
}
_SURFACES = ("direct_care", "secondary_use", "data_quality")

Event = dict[str, Any]


@contextmanager
def told(settings: Settings, ended: dict[str, Any], *, by: Actor) -> Iterator[None]:
    """Write that a run begins, and how it ended; nothing where no file is named.

    Args:
        settings: What is run.
        ended: What the audit trail says of the run when it has finished.
        by: Whose clock is looked at.
    """
    if settings.lineage_file is None:
        yield
        return
    run, file = str(uuid.uuid4()), settings.lineage_file
    _add(file, _event("START", run, settings, by.clock()))
    try:
        yield
    except BaseException as fault:
        kind = _facet("errorMessage", message=type(fault).__name__, programmingLanguage="python")
        _add(file, _event("FAIL", run, settings, by.clock(), **kind))
        raise
    done = _event("COMPLETE", run, settings, by.clock())
    _add(file, done | _datasets(settings, str(ended["manifest_sha256"])))


def _event(
    kind: Literal["START", "COMPLETE", "FAIL"], run: str, settings: Settings, at: datetime, **facets: Event
) -> Event:
    described = datetime.combine(settings.index_date, time(), UTC)
    engine = {"name": "stratify", "version": version("stratify")}
    facets |= _facet("nominalTime", nominalStartTime=described.isoformat()) | _facet("processing_engine", **engine)
    job_type = _facet("jobType", processingType="BATCH", integration="STRATIFY", jobType="JOB")
    return {
        "eventType": kind,
        "eventTime": at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "producer": PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": run, "facets": facets},
        "job": {"namespace": "stratify", "name": "weekly_run", "facets": job_type},
        "inputs": [],
        "outputs": [],
    }


def _datasets(settings: Settings, manifest_sha256: str) -> dict[str, list[Event]]:
    """Give what the run in place read and put out."""
    published = settings.out / "published"
    manifest = json.loads((published / "run_manifest.json").read_text(encoding="utf-8"))
    read = [
        _dataset(settings.extracts / each["file_name"], each["sha256"])
        | {"inputFacets": _facet("inputStatistics", rowCount=each["received_count"])}
        for each in manifest["inputs"]
    ]
    put_out = []
    for name in _SURFACES:
        files = [each for each in (published / name).rglob("*") if each.is_file()]
        counts = {"fileCount": len(files), "size": sum(each.stat().st_size for each in files)}
        counted = {"outputFacets": _facet("outputStatistics", **counts)}
        put_out.append(_dataset(published / name, manifest_sha256) | counted)
    return {"inputs": read, "outputs": put_out}


def _dataset(path: Path, digest: str) -> Event:
    facets = _facet("version", datasetVersion=digest)
    return {"namespace": "file", "name": path.absolute().as_posix(), "facets": facets}


def _facet(name: str, /, **content: object) -> dict[str, Event]:
    """Give a facet under its name, with who made it and where it is defined."""
    where = f"{_SPEC}/facets/{_FACETS[name]}.json"
    return {name: {"_producer": PRODUCER, "_schemaURL": where, **content}}


def _add(file: Path, event: Event) -> None:
    """Add a line in one write: two machines that share the file do not mix theirs."""
    line = json.dumps(event, sort_keys=True, separators=(",", ":")) + "\n"
    try:
        opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(opened, line.encode())
        finally:
            os.close(opened)
    except OSError as fault:
        sys.stderr.write(f"stratify: {file.name} could not be added to ({fault.strerror})\n")
