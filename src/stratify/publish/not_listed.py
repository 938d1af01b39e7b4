"""Who of a pathway is not on a list, what happens instead and why; and how many that leaves at each step on its cover.

Belongs here: words and counts for people who are on a list and who are not. Who is on which list was settled before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stratify.contract_frames import schema_of
from stratify.publish import words
from stratify.publish.context import PublishContext
from stratify.publish.workbook import CountLine
from stratify.rules import Clinic, Pathway

_ON_THIS_LIST = 6
IDENTITY = ("row_reference", "nhs_number", "family_name", "given_names", "date_of_birth")
REMEMBERED = ("state", "waiting_since", "since_last_week", "previous_outcome")
_STATUS_WORDS = {
    "died": ("Do not contact", "Recorded as having died"),
    "left": ("Not called", "No longer registered with the practice"),
}

_IN_HAND = (
    "invited_1", "invited_2", "invited_3", "booked", "attended", "declined", "deferred", "not_appropriate", "offered",
    "activated",
)  # fmt: skip
"""States in which somebody is on no list for a reason that is the person's own and not the clinic's."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A clinic or worklist and the pathways that send people to it."""

    clinic: Clinic
    pathways: tuple[Pathway, ...]


def clinics_of(pathways: Iterable[Pathway]) -> dict[str, Place]:
    """Give every clinic and worklist with the pathways that feed it; the first pathway's words are used."""
    found: dict[str, Place] = {}
    for pathway in sorted(pathways, key=lambda each: (each.precedence, each.id)):
        for clinic in pathway.places:
            before = found.get(clinic.id)
            found[clinic.id] = (
                Place(before.clinic, (*before.pathways, pathway)) if before else Place(clinic, (pathway,))
            )
    return found


def shown_here(rows: Sequence[Row], place: Place) -> list[Row]:
    """Give the rows of those whom a clinic could be asked about.

    That is everybody of its pathways; where one of them keeps a roster for it, as for residents of care homes, only
    those on that pathway, and whoever is sent here by another.
    """
    rosters = {each.id for each in place.pathways if each.roster and each.roster.clinic == place.clinic.id}
    if not rosters:
        return list(rows)
    here = {row["patient_key"] for row in rows if row["pathway"] in rosters or _is_here(row, place)}
    return [row for row in rows if row["patient_key"] in here]


def not_listed_frame(rows: Sequence[Row], place: Place, context: PublishContext) -> pl.DataFrame:
    """Give one row a person: what happens instead, and why, pathway by pathway where there are several."""
    people: dict[str, list[Row]] = {}
    for row in rows:
        people.setdefault(row["patient_key"], []).append(row)
    records = []
    for mine in people.values():
        outcomes = [(context.pathways[row["pathway"]].label, *_outcome(row, place, context)) for row in mine]
        several = len(outcomes) > 1

        def lines(texts: Iterable[tuple[str, str]], several: bool = several) -> str:
            return "\n".join(f"{label}: {text}" if several else text for label, text in texts)

        ranks = [row["priority_rank"] for row in mine if row["placement"] == "waiting" and _is_here(row, place)]
        gaps = [line for row in mine for line in (row["data_gaps"] or "").split("\n") if line]
        waits = [row["waiting_since"] for row in mine if row["waiting_since"]]
        records.append(
            {
                **identity_of(mine[0]),
                "pathway": "\n".join(label for label, _, _ in outcomes),
                "what_happens": lines((label, happens) for label, happens, _ in outcomes),
                "why": lines((label, why) for label, _, why in outcomes),
                "data_gaps": "\n".join(dict.fromkeys(gaps)) or None,
                "priority_rank": min((rank for rank in ranks if rank is not None), default=None),
                "waiting_since": min(waits, default=None),
                **{name: lines(_said(mine, name, context)) or None for name in REMEMBERED if name != "waiting_since"},
            }
        )
    # Whoever waits for this clinic first, in order; then by what happens, and by name to look people up.
    frame = pl.DataFrame(records, schema=schema_of("out.not_listed"))
    return frame.sort("priority_rank", "what_happens", "family_name", "given_names", "row_reference", nulls_last=True)


def remembered_of(row: Row) -> Row:
    """Give the columns that say what is remembered of a person."""
    return {**{name: row[name] for name in REMEMBERED}, "state": row["state_words"]}


def _said(rows: Iterable[Row], name: str, context: PublishContext) -> list[tuple[str, str]]:
    """Give what is remembered of each pathway of a person, with the name of the pathway."""
    column = "state_words" if name == "state" else name
    return [(context.pathways[row["pathway"]].label, row[column]) for row in rows if row[column]]


def _is_here(row: Row, place: Place) -> bool:
    return bool(row["clinic_id"] == place.clinic.id)


def _outcome(row: Row, place: Place, context: PublishContext) -> tuple[str, str]:
    """Say what happens to somebody who is not on this list, and why."""
    pathway = context.pathways[row["pathway"]]
    if row["person_status"] in _STATUS_WORDS:
        return _STATUS_WORDS[row["person_status"]]
    match row["placement"]:
        case "waiting":
            return f"Waits for a place: {_label(pathway, row)}", row["placement_reason"]
        case "held":
            return "Held: another need is met first", row["placement_reason"]
        case "offered":
            return f"Is offered: {pathway.offer(row['offer_id']).label}", row["rule_reason"]
        case "listed":
            day = f" on {words.day_in_words(row['clinic_date'])}" if row["clinic_date"] else ""
            return f"Is on another list: {_label(pathway, row)}{day}", row["rule_reason"]
        case _ if row["state"] in _IN_HAND:
            return str(row["state_words"]), row["placement_reason"]
        case _:
            return "Not called", row["placement_reason"]


def _label(pathway: Pathway, row: Row) -> str:
    return pathway.clinic(row["clinic_id"]).label if row["clinic_id"] else pathway.label


def cover_counts(
    place: Place, rows: Sequence[Row], listed: Sequence[Row], on_list: set[str], context: PublishContext
) -> tuple[CountLine, ...]:
    """Count people from everybody on each pathway down to this list, so that every column adds up."""
    listed_as = {(row["patient_key"], row["pathway"]) for row in listed}
    tallies: dict[tuple[int, str], Counter[str]] = {}
    for row in rows:
        step = _step(row, place, context, on_list=on_list, listed_as=listed_as)
        tallies.setdefault(step, Counter())[row["pathway"]] += 1
    for always in ((5, f"Waiting for {place.clinic.label}"), (_ON_THIS_LIST, "On this list")):
        tallies.setdefault(always, Counter())
    everybody = Counter(row["pathway"] for row in rows)
    ids = [pathway.id for pathway in place.pathways]
    lines = [
        CountLine("Everybody on the pathway at this practice", tuple(everybody[each] for each in ids), is_strong=True)
    ]
    for (order, text), tally in sorted(tallies.items(), key=lambda each: each[0]):
        lines.append(CountLine(text, tuple(tally[each] for each in ids), is_strong=order == _ON_THIS_LIST))
    return tuple(lines)


def _step(
    row: Row, place: Place, context: PublishContext, *, on_list: set[str], listed_as: set[tuple[str, str]]
) -> tuple[int, str]:
    pathway = context.pathways[row["pathway"]]
    if (row["patient_key"], row["pathway"]) in listed_as:
        return _ON_THIS_LIST, "On this list"
    if row["patient_key"] in on_list:
        return 4, "On this list for another need"
    match row["placement"]:
        case "waiting" if _is_here(row, place):
            return 5, f"Waiting for {place.clinic.label}"
        case "waiting" | "listed":
            return 2, f"Other route: {_label(pathway, row)}"
        case "offered":
            return 2, f"Other route: {pathway.offer(row['offer_id']).label}"
        case "held":
            return 3, "Held: another need is met first, elsewhere"
        case "not_listed" if row["state"] in _IN_HAND:
            return 1, f"On no list this week: {row['state_words'].lower()}"
        case _:
            return 1, f"Left out: {_outcome(row, place, context)[1]}"


def identity_of(row: Row) -> Row:
    return {name: row[name] for name in IDENTITY}
