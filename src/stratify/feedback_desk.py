"""Where feedback is answered: what waits, as a list on the screen and as a file to fill in; and the file handed in.

An answer goes into the folder of what comes back, and the next run takes it in like everything else: so a run is still
made of what it read. Does not belong: what an answer is (``feedback_reading``), the register (``feedback``).
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl

from stratify import feedback, feedback_reading, feedback_register, periods, publish
from stratify.errors import RunError, SettingsError
from stratify.feedback_register import Kept
from stratify.publish.feedback_files import ANSWER
from stratify.runs import Plan, plan_in_place, without_values

ANSWERS_PLACE = "feedback_answers"
"""Folder of answers within that of what comes back: no practice can be called so."""


@without_values
def waiting(out: Path, *, today: date) -> str:
    """Say what waits for an answer, oldest first, without a word that anybody wrote.

    Args:
        out: Output folder of a finished run.
        today: The day to judge by.

    Raises:
        RunError: there is no finished run.
    """
    _, kept = _register(out)
    items = feedback.standing(kept.register, today=today)
    counts = Counter(items["status"])
    lines = [f"Said: {items.height:,}. " + ", ".join(f"{each} {counts[each]:,}" for each in _STATUSES)]
    for each in items.filter(pl.col("status") != "answered").iter_rows(named=True):
        about = feedback.KIND_WORDS[each["kind"]] + f" {each['reason_code'] or ''}".replace("_", " ").rstrip()
        due = f"{each['status']}, due {periods.in_words(each['due'])}"
        lines.append(f"  {each['item']}  {each['practice_code']}  {due}: {about}, {each['clinic_id'] or 'no list'}")
    return "\n".join(lines)


_STATUSES = ("answered", "waiting", "overdue")


@without_values
def write_open(out: Path, file: Path, *, today: date) -> int:
    """Write what waits for an answer as a CSV to fill in, with the words that were written; give how many there are."""
    _, kept = _register(out)
    items = feedback.standing(kept.register, today=today).filter(pl.col("status") != "answered")
    texts = dict(kept.words.select("entry_number", "words").iter_rows())
    file.touch(mode=0o600)
    file.write_text(publish.answers_to_write(items, texts), encoding="utf-8-sig", newline="")
    return items.height


@without_values
def hand_in(out: Path, file: Path, *, today: date) -> str:
    """Check a file of answers and put it where the next run reads it; nothing is put there while a cell is wrong.

    Args:
        out: Output folder of a finished run.
        file: What :func:`write_open` wrote, filled in.
        today: The day to judge by.

    Returns:
        How many answers there are, and where the file is.

    Raises:
        RunError: there is no finished run, or cells of the file cannot be used; each is named.
        SettingsError: the run has no folder of what comes back.
    """
    plan, kept = _register(out)
    if plan.settings.returned is None:
        raise SettingsError(
            "returned", expected="a folder for what comes back", found="none", action="Name one in the settings."
        )
    items = dict(kept.register.filter(event="said").select("item", "said_on").iter_rows())
    told = publish.read_told(file) if publish.is_told(file) else None
    if told is None or told.refused or told.kind != ANSWER:
        raise _unfit("the file that `stratify feedback list --to` writes", "another")
    answered, faults = feedback_reading.read_answers(told.rows, items=items, today=today)
    if faults:
        found = "; ".join(f"{fault.at}: {fault.wrong}. {fault.instead}" for _, fault in faults)
        raise _unfit("answers with every cell filled in", found)
    home = plan.settings.returned / ANSWERS_PLACE
    home.mkdir(parents=True, exist_ok=True)
    target = home / f"answers_{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}.csv"
    shutil.copyfile(file, target)
    target.chmod(0o600)
    return f"{len(answered):,} answers for the next run: {ANSWERS_PLACE}/{target.name}. Leave the file there."


def _register(out: Path) -> tuple[Plan, Kept]:
    plan = plan_in_place(out)
    return plan, feedback_register.read(plan.restricted, before=date.max, same_person={})


def _unfit(expected: str, found: str) -> RunError:
    return RunError("file of answers", expected=expected, found=found, action="Correct it and hand it in again.")
