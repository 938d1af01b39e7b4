"""Feedback of an invented county: what invented practices tell in their forms, and answers by an invented lead.

Does not belong: filling in lists (``answering``), what is said and answered (``synth.teams``).
"""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import polars as pl

from stratify import contracts, feedback, feedback_register, publish
from stratify.feedback_desk import ANSWERS_PLACE
from stratify.publish.feedback_files import ANSWER, FORM_HEADINGS, FORM_SHEET
from stratify.publish.sheets import letters_of
from stratify.synth import teams

_FIRST_ROW = 5


def tell(out: Path, into: Path, *, week: date, seed: int) -> int:
    """Fill in the forms of some practices of a finished run, and give how many rows.

    Args:
        out: Output folder of the run.
        into: Folder of what comes back.
        week: First day of the run's week.
        seed: The same seed tells the same.
    """
    told = 0
    for form in sorted((out / "published" / "direct_care").glob("*/feedback/feedback_form_*.xlsx")):
        practice = form.parts[-3]
        lists = sorted(form.parent.parent.glob("*/clinic_list_*.xlsx"))
        rows = [row for path in lists for row in publish.read_filled(path, file_id="", sent_by=practice).rows]
        numbers = [str(row.cells["nhs_number"].value) for row in rows if row.cells["nhs_number"].value]
        said = teams.told(practice, numbers, week=week, seed=seed)
        places = {name: letters_of(place) for place, name in enumerate(FORM_HEADINGS)}
        values = {
            f"{FORM_SHEET}!{places[name]}{number}": value
            for number, row in enumerate(said, _FIRST_ROW)
            for name, value in row.items()
        }
        if values:
            publish.fill_in(form, into / practice / form.parent.name / form.name, values)
            told += len(said)
    return told


def answer(out: Path, into: Path, *, week: date, seed: int) -> int:
    """Answer most of what waits in a finished run, and give how much."""
    register = feedback_register.read((out / "restricted").resolve(), before=date.max, same_person={}).register
    items = feedback.standing(register, today=week).filter(pl.col("answer").is_null())["item"].to_list()
    rows = [{"item": item, **said} for item in items if (said := teams.lead_answer(item, week=week, seed=seed))]
    if rows:
        text = io.StringIO(newline="")
        written = csv.DictWriter(text, contracts.load(ANSWER).column_names, lineterminator="\r\n")
        written.writeheader()
        written.writerows(rows)
        home = into / ANSWERS_PLACE
        home.mkdir(parents=True, exist_ok=True)
        (home / f"answers_{week}.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    return len(rows)
