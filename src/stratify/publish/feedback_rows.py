"""You said, we changed: what each practice said and what came of it, as rows for its own files and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from stratify import feedback, periods
from stratify.codes import spaced
from stratify.contract_frames import schema_of
from stratify.filled_in import OFFERS
from stratify.publish.context import PublishContext, check_frame
from stratify.store import Store

FEEDBACK_PLACE = "feedback"
SAID_SHEET = "You said, we changed"
ITEM_HEADINGS: Mapping[str, tuple[str, int]] = {
    "item": ("Reference", 122),
    "said_on": ("You said on", 80),
    "list_name": ("About the list", 150),
    "nhs_number": ("NHS number", 90),
    "family_name": ("Family name", 100),
    "said": ("You said", 190),
    "words": ("In your words", 190),
    "status": ("Stands at", 130),
    "answer": ("What came of it", 260),
    "answered_on": ("Answered on", 80),
    "answered_by": ("Answered by", 100),
}
"""Columns of what was said and answered: heading and width."""
NOTHING_SAID = "You have told us nothing yet that is still to be shown here."


SHOWN_DAYS = 84
"""How long an answer is shown after it was given; what has none is shown until it has."""

_PERSONS = """
SELECT core.person.patient_key, core.person.practice_code, any_value(nhs_number), any_value(family_name)
FROM core.person JOIN identity.person USING (patient_key)
WHERE patient_key IN (SELECT patient_key FROM audit.feedback) GROUP BY ALL ORDER BY ALL
"""


class SaidBefore:
    """What practices said before, to be shown in their files."""

    def __init__(self, store: Store, context: PublishContext) -> None:
        """Read the register of a run; ``identity`` is attached."""
        self._items = feedback.standing(
            store.frame("SELECT * FROM audit.feedback ORDER BY entry_number"), today=context.index_date
        )
        self._words = dict(store.rows("SELECT entry_number, words FROM identity.feedback_words ORDER BY ALL"))
        persons = store.rows(_PERSONS)
        self._persons = {(key, practice): (number, name) for key, practice, number, name in persons}
        self._lists = list_names(context) | {OFFERS: "Self-management offers"}
        self._since = context.index_date - timedelta(days=SHOWN_DAYS)

    def rows(self, *practices: str, clinic_id: str | None = None) -> pl.DataFrame:
        """Give contract ``out.feedback_item`` of some practices; with a clinic, what is about it or about no list."""
        mine = self._items.filter(
            pl.col("practice_code").is_in(list(practices))
            & (pl.col("answered_on").is_null() | (pl.col("answered_on") >= self._since))
        )
        if clinic_id:
            mine = mine.filter(pl.col("clinic_id").is_null() | (pl.col("clinic_id") == clinic_id))
        mine = mine.sort(pl.col("status").replace_strict(_ORDER, return_dtype=pl.Int64), "entry_number")
        found = pl.DataFrame(
            [self._row(each) for each in mine.iter_rows(named=True)], schema=schema_of("out.feedback_item")
        )
        return check_frame(found, "out.feedback_item")

    def _row(self, item: dict[str, Any]) -> dict[str, Any]:
        number, name = self._persons.get((item["patient_key"], item["practice_code"]), (None, None))
        reason, kind = _plain(item["reason_code"]), feedback.KIND_WORDS[item["kind"]]
        answer = ". ".join(
            _start(each)
            for each in (feedback.ANSWER_WORDS.get(item["answer"] or ""), self._words.get(item["answer_number"]))
            if each
        )
        return {
            "item": item["item"],
            "said_on": item["said_on"],
            "list_name": self._lists.get(item["clinic_id"], item["clinic_id"]),
            "nhs_number": spaced(number),
            "family_name": name or ("Not a patient in your data" if _is_missing(item) else None),
            "said": f"{_start(kind)}{': ' + reason if reason else ''}",
            "words": self._words.get(item["entry_number"]),
            "status": _status(item["status"], item["due"]),
            "answer": answer or None,
            "answered_on": item["answered_on"],
            "answered_by": _start(_plain(item["answered_by"])) or None,
        }


_ORDER = {"overdue": 0, "waiting": 1, "answered": 2}


def list_names(context: PublishContext) -> dict[str, str]:
    """Give the name of every clinic and worklist, by its id."""
    return {clinic.id: clinic.label for each in context.pathways.values() for clinic in each.places}


def _is_missing(item: dict[str, Any]) -> bool:
    return item["kind"] != "concern" or item["row_reference"] is not None


def _status(status: str, due: date) -> str:
    day = periods.in_words(due)
    return {"answered": "Answered", "waiting": f"Waits: answer by {day}", "overdue": f"Overdue since {day}"}[status]


def _plain(code: str | None) -> str:
    return re.sub(r"\bgp\b", "GP", (code or "").replace("_", " "))


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
