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
# printed, so that the rest can be read on A4.
LIST = (
    Column("priority_rank", "Rank", 38, "number"),
    Column("clinic_date", "Session", 74, "date"),
    Column("nhs_number", "NHS number", 88, "mono"),
    Column("family_name", "Family name", 92, "name"),
    Column("given_names", "Given names", 82, "name"),
    Column("date_of_birth", "Date of birth", 74, "date"),
    Column("age_years", "Age", 32, "number"),
    Column("sex", "Sex", 50),
    Column("phone_mobile", "Mobile", 90, "mono"),
    Column("language", "Language", 72, least=64),
    Column("ais_format", "Format needed", 66, least=60),
    Column("tier", "Priority", 84, "tier"),
    Column("why", "Why on this list", 250, least=170),
    Column("data_gaps", "Data gaps", 140, least=46),
    Column("other_needs", "Other needs to cover", 66, least=60),
    Column("since_last_week", "Since last week", 150, least=90),
    Column("previous_outcome", "Last outcome", 90, least=60),
    Column("decision", "Decision", 70, is_open=True),
    Column("outcome", "Outcome", 66, is_open=True),
    Column("other_needs_covered", "Other needs covered", 62, is_open=True),
    Column("outcome_date", "Date of it", 76, "date", is_open=True),
    Column("until_date", "Booked for or deferred until", 76, "date", is_open=True),
    Column("decision_reason", "Reason for decision", 90, is_open=True),
    Column("decided_by", "Decided by", 76, is_open=True),
    Column("concern", "Concern", 54, is_open=True),
    Column("contact_preference", "Prefers contact by", 96),
    Column("usual_gp_id", "Usual GP", 76),
    Column("suggested_roles", "Suggested roles", 190),
    Column("state", "Stands at", 96),
    Column("waiting_since", "Waiting since", 74, "date"),
    Column("row_reference", "Row reference", 110, "mono"),
)
LAST_PRINTED = "outcome"
LIST_HEADINGS = {each.name: each.heading for each in LIST}
"""How the columns of a list are headed: a list that comes back is read by them."""
WAITING = (
    Column("priority_rank", "Rank", 38, "number"),
    Column("nhs_number", "NHS number", 88, "mono"),
    Column("family_name", "Family name", 96, "name"),
    Column("given_names", "Given names", 90, "name"),
    Column("date_of_birth", "Date of birth", 74, "date"),
    Column("age_years", "Age", 34, "number"),
    Column("sex", "Sex", 52),
    Column("phone_mobile", "Mobile", 90, "mono"),
    Column("tier", "Priority", 96, "tier"),
    Column("why", "Why on the pathway", 300, least=170),
    Column("data_gaps", "Data gaps", 180, least=46),
    Column("why_waiting", "Why waiting", 190, least=90),
    Column("waiting_since", "Waiting since", 74, "date"),
    Column("since_last_week", "Since last week", 150, least=90),
    Column("previous_outcome", "Last outcome", 90, least=60),
    Column("row_reference", "Row reference", 110, "mono"),
)
NOT_LISTED = (
    Column("nhs_number", "NHS number", 88, "mono"),
    Column("family_name", "Family name", 96, "name"),
    Column("given_names", "Given names", 90, "name"),
    Column("date_of_birth", "Date of birth", 74, "date"),
    Column("pathway", "Pathway", 70),
    Column("what_happens", "What happens instead", 230, least=120),
    Column("why", "Why not on this list", 270, least=120),
    Column("data_gaps", "Data gaps", 190, least=46),
    Column("priority_rank", "Rank, if waiting here", 60, "number"),
    Column("waiting_since", "Waiting since", 74, "date"),
    Column("since_last_week", "Since last week", 190, least=90),
    Column("previous_outcome", "Last outcome", 90, least=60),
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
