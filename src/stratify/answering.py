"""Lists of an invented county, answered by invented teams, so that one week can follow another.

Belongs here: finding the lists of a finished run and those answered before, and writing what teams write. Does not
belong: what they write (``synth.teams``), how (``publish.filling``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stratify import answering_feedback, publish
from stratify.errors import RunError
from stratify.filled_in import OFFERS, FilledRow, as_day, is_filled, plain_text
from stratify.synth import teams


@dataclass(frozen=True)
class Answered:
    """What teams did in a week: lists they filled in, rows of them, rows of earlier ones they changed, and feedback."""

    lists: int
    rows: int
    changed: int
    told: int = 0
    answered: int = 0


def answer(out: Path, into: Path, *, seed: int) -> Answered:
    """Fill in the lists of a finished run, and go on with those filled in before.

    Args:
        out: Output folder of a finished run on invented people.
        into: Folder of what comes back, as the setting ``returned`` names it.
        seed: The same seed gives the same answers.

    Raises:
        RunError: there is no finished run, or it is not on invented people.
    """
    manifest = out / "published" / "run_manifest.json"
    if not manifest.is_file():
        raise _refused(out, "a finished run", "none", "Run first, or correct the folder.")
    said = json.loads(manifest.read_text(encoding="utf-8"))
    if not said["is_test"]:
        raise _refused(out, "a run on invented people", "another", "Only real teams answer lists of real people.")
    week = date.fromisoformat(said["index_date"])
    changed = sum(_go_on(path, into, week, seed) for path in _lists(into, before=week))
    lists = rows = 0
    for path in _lists(out / "published" / "direct_care"):
        written: dict[str, str | date] = {}
        for row in _rows(path, path.relative_to(out / "published" / "direct_care")):
            is_offer = path.parent.name == OFFERS
            answered = teams.first_answer(_reference(row), is_offer=is_offer, week=week, seed=seed)
            rows += bool(answered)
            written |= {row.cells[name].at: value for name, value in answered.items()}
        if written:
            lists += 1
            publish.fill_in(path, into / path.relative_to(out / "published" / "direct_care"), written)
    told = answering_feedback.tell(out, into, week=week, seed=seed)
    return Answered(lists, rows, changed, told, answering_feedback.answer(out, into, week=week, seed=seed))


def in_words(done: Answered) -> str:
    """Say on a line what teams did."""
    return (
        f"{done.rows:,} rows of {done.lists:,} lists answered, {done.changed:,} rows of earlier ones brought up to "
        f"date, {done.told:,} rows of forms written, {done.answered:,} answers given"
    )


def _go_on(path: Path, into: Path, week: date, seed: int) -> int:
    written: dict[str, str | date] = {}
    changed = 0
    for row in _rows(path, path.relative_to(into)):
        outcome, until = row.cells["outcome"].value, row.cells.get("until_date")
        answered = teams.next_answer(
            _reference(row),
            plain_text(outcome),
            as_day(until.value) if until and is_filled(until.value) else None,
            is_offer=path.parent.name == OFFERS,
            week=week,
            seed=seed,
        )
        changed += bool(answered)
        written |= {row.cells[name].at: value for name, value in answered.items()}
    if written:
        publish.fill_in(path, path, written)
    return changed


def _lists(folder: Path, *, before: date | None = None) -> list[Path]:
    """Give the lists and files of offers in a folder, each in that of its practice and clinic."""
    found = [*folder.glob("*/*/clinic_list_*.xlsx"), *folder.glob(f"*/{OFFERS}/offers_*.csv")]
    return sorted(path for path in found if before is None or path.stem[-10:] < before.isoformat())


def _rows(path: Path, place: Path) -> tuple[FilledRow, ...]:
    return publish.read_filled(path, file_id="", sent_by=place.parts[0]).rows


def _reference(row: FilledRow) -> str:
    return str(row.cells["row_reference"].value)


def _refused(out: Path, expected: str, found: str, action: str) -> RunError:
    return RunError(f"output folder {out.name}", expected=expected, found=found, action=action)
