"""Weeks in a row at the level of reckoning, without files: a test says who is on a pathway, and what came back.

Every week's tables are kept in memory and read by the next, as a run does with its folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

import invented
from stratify import follow_up, pools, routing, weeks
from stratify.answers import no_answers
from stratify.contract_frames import empty
from stratify.rulebook import RuleBook

Row = dict[str, Any]
MONDAY = date(2026, 6, 15)


def answer(key: str, outcome: str, day: date, **more: Any) -> Row:
    """Give a row of ``core.outcome``; its id is a digest of its content in life, and its content here."""
    row = {"patient_key": key, "pathway": "lungs", "source": "LIST_RETURN", "outcome": outcome, "outcome_date": day}
    row = {**dict.fromkeys(no_answers().columns), **row, "source_file_id": "f1", "source_row": 2, **more}
    return {**row, "outcome_id": "|".join(str(row[name]) for name in sorted(row) if name != "outcome_id")}


class Weeks:
    """A practice week by week."""

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self.transitions = empty("audit.transition")
        self.list_rows = empty("audit.list_row")
        self.outcomes: dict[str, Row] = {}

    def run(
        self,
        day: date,
        decisions: Sequence[Row],
        *,
        people: Mapping[str, Row] | None = None,
        outcomes: Sequence[Row] = (),
        capacity: Sequence[Row] = (),
        admissions: Mapping[str, date] | None = None,
        held: follow_up.Held | None = None,
        returned: Sequence[str] = (),
    ) -> dict[tuple[str, str], Row]:
        """Work a week out and keep it; gives the placements by person and pathway."""
        self.outcomes |= {row["outcome_id"]: row for row in outcomes}
        keys = {row["patient_key"] for row in decisions} | set(self.transitions["patient_key"]) | set(people or {})
        persons = [{"patient_key": key, **(people or {}).get(key, {})} for key in sorted(keys)]
        persons = [row for row in persons if row.get("person_status") != "absent"]
        frame = invented.frame("derived.pathway_decision", decisions)
        slots = invented.frame("core.clinic_capacity", capacity)
        person_frame = invented.frame("core.person", persons)
        lists = {"index_date": day, "held": held or {}}
        week = follow_up.before_placing(
            self.transitions,
            self.list_rows,
            pl.DataFrame(list(self.outcomes.values()), schema=no_answers().schema, orient="row"),
            frame,
            person_frame,
            admissions or {},
            self.book,
            **lists,
        )
        placed = routing.place(
            frame, person_frame, invented.value_rows({}, day), slots, self.book, **lists, standing=week.standings
        )
        follow_up.after_placing(week, placed, frame)
        shown = weeks.described(week, placed, frame, self.list_rows, returned)
        places = pools.places_by_list(pools.sessions(slots, index_date=day), {})
        rows = weeks.list_rows_of(
            week, shown, frame, places, run_id=f"run {day}", reference=lambda clinic, key: f"{day} {clinic} {key}"
        )
        self.week = week
        self.transitions = pl.concat([self.transitions, week.transitions(f"run {day}")])
        self.list_rows = pl.concat([self.list_rows, rows])
        return {(row["patient_key"], row["pathway"]): row for row in shown.to_dicts()}

    def causes(self, key: str, pathway: str = "lungs") -> list[str]:
        """Give the causes of a person's steps, in order."""
        mine = self.transitions.filter(patient_key=key, pathway=pathway).sort("week", "position")
        return mine["cause"].to_list()


def week_of(number: int) -> date:
    """Give the index date of a week, 0 for the first."""
    return MONDAY + timedelta(days=7 * number)
