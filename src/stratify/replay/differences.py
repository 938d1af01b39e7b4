"""A past week as it would be with what is known by now, and why each person's place would be another.

The week is made again from its record, then with today's definitions, then with today's settings, then with today's
files: one kind of change at a time, so that a difference is put down to the change it appeared with. Within the files
the cause is looked up in the person's own rows. Belongs here: the steps and the report. What is looked up, and how, is
in ``causes``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stratify import kept_records
from stratify.kept_records import Record
from stratify.publish.words import harmless
from stratify.replay import again, causes
from stratify.replay.causes import Run
from stratify.rulebook import clinical_folder
from stratify.settings import Settings
from stratify.store import open_store

Progress = Callable[[str], None]
_NOT_DECIDED: dict[str, Any] = {
    **dict.fromkeys(("extracts", "source", "returned", "clinical", "out", "index_date", "as_known_on"), True),
    **dict.fromkeys(("records", "record_weeks", "memory_limit", "threads"), True),
    "entry": {"code_list"},
}
"""Settings that say where something is, or how much of a machine to use."""


@dataclass(frozen=True)
class Report:
    """Why a week would be another today.

    Attributes:
        record: The record of the week.
        known_on: The day up to which files were read.
        changed: What of program, definitions and settings is another, in words.
        rows: A row per person and pathway whose place differs, with its causes.
    """

    record: Record
    known_on: date
    changed: tuple[str, ...]
    rows: tuple[causes.Difference, ...]

    @property
    def unexplained(self) -> int:
        """How many differences have no cause."""
        return sum(causes.NOT_EXPLAINED in row.causes for row in self.rows)


def compare(
    records: Path,
    record: Record,
    today: Settings,
    into: Path,
    *,
    known_on: date,
    key: bytes,
    progress: Progress = lambda _: None,
) -> Report:
    """Run a past week with what is known by now, and say of each difference where it comes from.

    Args:
        records: The folder of records.
        record: That of the week.
        today: The settings of now: their files, definitions and decisions.
        into: An empty folder; gets the runs, and the report in ``restricted`` and ``direct_care``.
        known_on: The last day that a file may describe.
        key: The identity key of the record.
        progress: Told what is being done.

    Raises:
        RunError: the folder is not empty, or the record is not whole.
    """
    again.stop_unless_empty(into)
    progress("As it was known then")
    then = kept_records.lay_out(records, record, into / "then")
    plan = again.run_again(then, key=key, progress=progress, run_id=record.run_id if record.erased else None)
    made = Run(then.out)
    found = causes.moved_since_recorded(kept_records.object_path(records, record.placements), made)
    changed = [f"program: {record.code_version}, here {plan.code_version}"] if found else []
    now = today.model_copy(update={"index_date": record.week, "as_known_on": max(known_on, record.week)})
    for number, (what, settings) in enumerate(_steps(then, now)):
        progress(f"With {what}")
        folder = into / ("now" if what == causes.FILES else f"then with {what}") / "out"
        kept_records.lay_out_state(records, record, folder)
        again.run_again(settings.model_copy(update={"out": folder, "records": None}), key=key, progress=progress)
        after = Run(folder)
        if what == causes.DEFINITIONS:
            changed.append(f"definitions: {', '.join(_definitions_in_words(made, after)) or 'wording alone'}")
        elif what == causes.SETTINGS:
            changed.append(f"settings: {', '.join(_other_decisions(then, now))}")
        found += causes.moved(made, after, what, scratch=into / f"scratch {number}")
        made = after
    rows = causes.net(found)
    report = Report(record, known_on, tuple(changed), rows)
    _write(report, into, Run(then.out), made)
    return report


def _steps(then: Settings, now: Settings) -> list[tuple[str, Settings]]:
    """Give the runs that lead from then to now, each with one more kind of change; none for a kind that is the same."""
    steps: list[tuple[str, Settings]] = []
    reached = then
    clinical = now.clinical or clinical_folder()
    if _definitions(clinical) != _definitions(then.clinical or clinical_folder()):
        reached = reached.model_copy(update={"clinical": clinical})
        steps.append((causes.DEFINITIONS, reached))
    if others := _other_decisions(then, now):
        reached = reached.model_copy(update={name: getattr(now, name) for name in others})
        steps.append((causes.SETTINGS, reached))
    return [*steps, (causes.FILES, now)]


def _other_decisions(then: Settings, now: Settings) -> list[str]:
    """Name the settings that decide something and say something else now."""
    before, after = (each.model_dump(exclude=_NOT_DECIDED) for each in (then, now))
    return sorted(name for name in after if after[name] != before[name])


def in_words(report: Report) -> str:
    """Say how many places would be others, by cause; nobody is in it."""
    record = report.record
    lines = [f"Week {record.week}, as known on {report.known_on}: {len(report.rows):,} places would be others"]
    lines += [f"Changed {each}" for each in report.changed]
    counts = Counter(cause for row in report.rows for cause in row.causes)
    for cause in causes.IN_ORDER:
        if counts[cause]:
            lines.append(f"  {cause}: {counts[cause]:,}")
    if sum(counts.values()) > len(report.rows):
        lines.append("A place that several changes moved is counted under each.")
    return "\n".join(lines)


def _definitions(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): kept_records.digest_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def _definitions_in_words(before: Run, after: Run) -> list[str]:
    """Name the codelists, scores and pathways of which a run says another digest or version."""
    old, new = (json.loads(run.manifest.read_text(encoding="utf-8"))["rules"] for run in (before, after))
    found = []
    for kind, word in (("codelists", "codelist"), ("scores", "score"), ("pathways", "pathway")):
        for name in sorted({*old[kind], *new[kind]}):
            if old[kind].get(name) != new[kind].get(name):
                said = "" if kind == "codelists" else f" {old[kind].get(name, 'none')} → {new[kind].get(name, 'none')}"
                found.append(f"{word} {name}{said}")
    return found


def _write(report: Report, into: Path, then: Run, now: Run) -> None:
    """Write every difference by pseudonym for the engineer, and for each practice its own people by NHS number.

    Whoever was left out for an objection is on no list, and so in no practice's file.
    """
    columns = ("practice_code", "pathway", "then", "now", "causes", "evidence")
    rows = [
        {
            "patient_key": row.patient_key,
            **{name: getattr(row, name) for name in columns},
            "causes": "; ".join(row.causes),
        }
        for row in report.rows
    ]
    schema = {"patient_key": pl.String, **dict.fromkeys(columns, pl.String)}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("practice_code", "patient_key", "pathway")
    _csv(frame, into / "restricted" / "differences.csv")
    named = frame.filter(~pl.col("causes").str.contains(causes.OBJECTION, literal=True))
    people = _people(now, into).vstack(_people(then, into)).unique("patient_key", keep="first", maintain_order=True)
    shown = named.join(people, on="patient_key", how="inner", maintain_order="left")
    for practice in shown["practice_code"].drop_nulls().unique().sort():
        mine = shown.filter(pl.col("practice_code") == practice)
        _csv(mine.select(*people.columns[1:], *columns[1:]), into / "direct_care" / practice / "differences.csv")


def _people(run: Run, into: Path) -> pl.DataFrame:
    with open_store(run.restricted / "identity.duckdb", temp_directory=into / "scratch", read_only=True) as store:
        return store.frame("SELECT patient_key, nhs_number, family_name, given_names FROM main.person ORDER BY ALL")


def _csv(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    texts: Any = pl.col(pl.String).map_elements(harmless, return_dtype=pl.String)
    path.write_text(frame.with_columns(texts).write_csv(), encoding="utf-8")
