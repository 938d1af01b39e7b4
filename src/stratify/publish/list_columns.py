"""The columns of a clinic list's sheets: heading, width, what each holds, and what may be typed into it.

Belongs here: names, order and hints of columns. How a sheet is drawn is in ``workbook``; how one that comes back is
read, by these headings, in ``filled_lists``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stratify.publish.feedback_rows import ITEM_HEADINGS


@dataclass(frozen=True)
class Column:
    name: str
    heading: str
    pixels: int
    kind: Literal["text", "name", "date", "number", "tier", "mono"] = "text"
    is_open: bool = False
    least: int | None = None
    """How narrow it may be where others of its sheet need the room more (``column_widths``); None: as wide as it is."""


# In the order people use them: who, why, then what was decided; what is for the screen alone comes last and is not
# printed. Columns are as narrow as what they hold allows: each is paper, and the whole must be read on A4.
LIST = (
    Column("priority_rank", "Rank", 38, "number"),
    Column("clinic_date", "Session", 70, "date"),
    Column("nhs_number", "NHS number", 84, "mono"),
    Column("family_name", "Family name", 76, "name", least=66),
    Column("given_names", "Given names", 64, "name", least=56),
    Column("date_of_birth", "Date of birth", 70, "date"),
    Column("age_years", "Age", 30, "number"),
    Column("sex", "Sex", 46),
    Column("phone_mobile", "Mobile", 84, "mono"),
    Column("language", "Language", 68, least=68),
    Column("ais_format", "Format needed", 52, least=50),
    Column("tier", "Priority", 70, "tier", least=60),
    Column("why", "Why on this list", 196, least=150),
    Column("data_gaps", "Data gaps", 70, least=42),
    Column("other_needs", "Other needs to cover", 64, least=58),
    Column("since_last_week", "Since last week", 98, least=76),
    Column("previous_outcome", "Last outcome", 64, least=58),
    Column("decision", "Decision", 60, is_open=True),
    Column("outcome", "Outcome", 60, is_open=True),
    Column("other_needs_covered", "Other needs covered", 62, is_open=True),
    Column("outcome_date", "Date of it", 76, "date", is_open=True),
    Column("until_date", "Booked for or deferred until", 76, "date", is_open=True),
    Column("decision_reason", "Reason for decision", 90, is_open=True),
    Column("decided_by", "Decided by", 76, is_open=True),
    Column("concern", "Concern", 58, is_open=True),
    Column("contact_preference", "Prefers contact by", 96),
    Column("usual_gp_id", "Usual GP", 76),
    Column("suggested_roles", "Suggested roles", 190),
    Column("state", "Stands at", 96),
    Column("waiting_since", "Waiting since", 74, "date"),
    Column("row_reference", "Row reference", 110, "mono"),
)
LAST_PRINTED = ("outcome", "previous_outcome")
"""The column of a sheet that is printed last: the first of these that it has."""
LIST_HEADINGS = {each.name: each.heading for each in LIST}
"""How the columns of a list are headed: a list that comes back is read by them."""
WAITING = (
    Column("priority_rank", "Rank", 38, "number"),
    Column("nhs_number", "NHS number", 84, "mono"),
    Column("family_name", "Family name", 80, "name", least=66),
    Column("given_names", "Given names", 70, "name", least=56),
    Column("date_of_birth", "Date of birth", 70, "date"),
    Column("age_years", "Age", 30, "number"),
    Column("sex", "Sex", 46),
    Column("phone_mobile", "Mobile", 84, "mono"),
    Column("tier", "Priority", 76, "tier", least=60),
    Column("why", "Why on the pathway", 230, least=150),
    Column("data_gaps", "Data gaps", 100, least=42),
    Column("why_waiting", "Why waiting", 140, least=80),
    Column("waiting_since", "Waiting since", 70, "date"),
    Column("since_last_week", "Since last week", 120, least=76),
    Column("previous_outcome", "Last outcome", 70, least=58),
    Column("row_reference", "Row reference", 110, "mono"),
)
NOT_LISTED = (
    Column("nhs_number", "NHS number", 84, "mono"),
    Column("family_name", "Family name", 84, "name", least=66),
    Column("given_names", "Given names", 74, "name", least=56),
    Column("date_of_birth", "Date of birth", 70, "date"),
    Column("pathway", "Pathway", 70),
    Column("what_happens", "What happens instead", 190, least=110),
    Column("why", "Why not on this list", 240, least=120),
    Column("data_gaps", "Data gaps", 110, least=42),
    Column("priority_rank", "Rank, if waiting here", 56, "number"),
    Column("waiting_since", "Waiting since", 70, "date"),
    Column("since_last_week", "Since last week", 150, least=76),
    Column("previous_outcome", "Last outcome", 70, least=58),
    Column("row_reference", "Row reference", 110, "mono"),
)
CHANGES = (
    Column("change", "What changed", 110),
    Column("nhs_number", "NHS number", 88, "mono"),
    Column("family_name", "Family name", 96, "name"),
    Column("given_names", "Given names", 90, "name"),
    Column("date_of_birth", "Date of birth", 74, "date"),
    Column("pathway", "Pathway", 70),
    Column("why", "Why", 420),
    Column("row_reference", "Row reference", 110, "mono"),
)

SAID = tuple(
    Column(name, heading, pixels, "date" if name.endswith("_on") else "mono" if name == "item" else "text")
    for name, (heading, pixels) in ITEM_HEADINGS.items()
)

# What may be written into a cell with a drop-down, and what to say beside it.
HINTS = (
    ("decision", "Decision", "What is decided. Decline: the person said no. All but accept need a reason."),
    (
        "outcome",
        "Outcome",
        "What has happened by now. Rang, no answer: leave it empty. Change it when more happens.",
    ),
    (
        "other_needs_covered",
        "Other needs covered",
        "With attended. Yes: all other needs were dealt with, too. No or "
        "empty: they stay open and are decided anew next week.",
    ),
    ("decision_reason", "Reason", "Needed for defer, decline and not appropriate. No answer: only to defer."),
    ("decided_by", "Decided by", "The role, no name. Needed with every decision."),
    (
        "concern",
        "Concern",
        "Choose yes, and say what in a row of the form in the folder feedback: it is answered in the next list.",
    ),
)
