"""One week as it is worked out: the steps taken in it, where everybody stands then, and what is shown and kept of it.

Belongs here: taking a declared step, and the tables that a finished week leaves. Why a step is taken is in ``answers``
and ``follow_up``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from stratify import memory
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.memory import OFFER, STRATIFY, Key, Standing
from stratify.rulebook import RuleBook

Row = dict[str, Any]

NO_CHANGE = "No change since last week"


@dataclass
class Week:
    """The steps of one week as they are taken.

    Attributes:
        index_date: The day the run describes.
        book: The rule book.
        standings: Where everybody stands, kept up with each step.
        steps: Rows of ``audit.transition`` but for the run.
    """

    index_date: date
    book: RuleBook
    standings: dict[Key, Standing]
    steps: dict[Key, list[Row]] = field(default_factory=dict)

    def at(self, key: Key) -> Standing:
        """Give where somebody stands now."""
        return self.standings.get(key, Standing())

    def take(self, key: Key, to: str, cause: str, text: str, **more: Any) -> None:  # noqa: ANN401
        """Take a step; ``more`` says what differs from the standing.

        Raises:
            RunError: the step is not one of those declared.
        """
        before = self.at(key)
        if (cause, before.state, to) not in memory.declared():
            raise RunError(
                "memory of earlier weeks",
                expected="one of the steps that are declared",
                found=f"{cause} from {before.state} to {to}",
                action="This is a fault in stratify: report it. The last lists stay in place.",
            )
        mine = self.steps.setdefault(key, [])
        step = {
            "week": self.index_date,
            "patient_key": key[0],
            "pathway": key[1],
            "position": len(mine) + 1,
            "practice_code": before.practice_code,
            "clinic_id": before.clinic_id,
            "from_state": before.state,
            "to_state": to,
            "effective_date": self.index_date,
            "cause": cause,
            "cause_text": text,
            "by": STRATIFY,
            "outcome_id": None,
            "outcome": None,
            "row_reference": None,
            "until_date": None,
            "tier": before.tier,
            "tier_rank": before.tier_rank,
            **more,
        }
        mine.append(step)
        self.standings[key] = memory.after(before, step)

    def transitions(self, run_id: str) -> pl.DataFrame:
        """Give contract ``audit.transition`` for this week."""
        rows = [{**step, "run_id": run_id} for _, steps in sorted(self.steps.items()) for step in steps]
        schema = schema_of("audit.transition")
        return pl.DataFrame(rows, schema=schema, orient="row")


# ----------------------------------------------------------------------------------------------------------- in words


def described(
    week: Week,
    placements: pl.DataFrame,
    decisions: pl.DataFrame,
    list_rows: pl.DataFrame,
    returned: Collection[str] = (),
) -> pl.DataFrame:
    """Give contract ``derived.placement``: the places with what is remembered of each.

    Args:
        week: The finished week.
        placements: What ``routing`` gave.
        decisions: Contract ``derived.pathway_decision``.
        list_rows: Contract ``audit.list_row``, earlier weeks.
        returned: References of rows whose answer came back and could not be used.
    """
    last = last_week(list_rows)
    before = {(row["patient_key"], row["pathway"]): row for row in last.iter_rows(named=True)}
    tiers = {(key, name): tier for key, name, tier in decisions.select("patient_key", "pathway", "tier").iter_rows()}
    rows = []
    for row in placements.iter_rows(named=True):
        key = (row["patient_key"], row["pathway"])
        standing = week.standings.get(key)
        rows.append(
            {
                **row,
                "state": standing.state if standing else None,
                "state_since": standing.since if standing else None,
                "waiting_since": standing.waiting_since if standing else None,
                "since_last_week": _since_last_week(
                    week.steps.get(key, ()), row, tiers[key], before.get(key), returned
                ),
                "previous_outcome": standing.heard if standing else None,
            }
        )
    return pl.DataFrame(rows, schema=schema_of("derived.placement"))


def last_week(list_rows: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of the latest earlier week."""
    return list_rows.filter(pl.col("week") == pl.col("week").max())


REGISTERED_HERE = "Registered at this practice"
"""The step that first notes somebody's practice, where an answer came without it: nothing that changed."""
_MOST_SAID = 4
"""So many steps are said on a list, the latest ones: the first week of a site may have years of answers to take in."""


def _since_last_week(
    steps: Iterable[Row], row: Row, tier: str | None, before: Row | None, returned: Collection[str]
) -> str:
    texts = list(dict.fromkeys(step["cause_text"] for step in steps if step["cause_text"] != REGISTERED_HERE))
    if texts:
        earlier = len(texts) - _MOST_SAID
        return "; ".join([f"{earlier} earlier steps", *texts[earlier:]] if earlier > 1 else texts)
    reason = str(row["placement_reason"])
    if before and before["placement"] == "list_held" != row["placement"]:
        return f"Last week's list was held. {reason}"
    if before is None or before["placement"] != row["placement"]:
        return reason
    if row["placement"] == "listed":
        if before["row_reference"] in returned:
            return "On last week's list: your answer could not be used, see the folder returned"
        return "On last week's list: no answer came back"
    if before["practice_code"] != row["practice_code"]:
        return "Now at another practice"
    if before["tier"] != tier or (before["clinic_id"] or OFFER) != (row["clinic_id"] or OFFER):
        return f"Another tier or route now ({tier or 'not graded'}). {reason}"
    return NO_CHANGE


def list_rows_of(
    week: Week,
    placements: pl.DataFrame,
    decisions: pl.DataFrame,
    places: Mapping[tuple[str, str], int],
    *,
    run_id: str,
    reference: Callable[[str, str], str],
) -> pl.DataFrame:
    """Give contract ``audit.list_row`` for this week: everybody with a practice and a decision.

    Args:
        week: The finished week.
        placements: Contract ``derived.placement``.
        decisions: Contract ``derived.pathway_decision``.
        places: Places of the week by clinic and practice.
        run_id: The run.
        reference: Gives the reference of a row from clinic and person.
    """
    decided = {(row["patient_key"], row["pathway"]): row for row in decisions.iter_rows(named=True)}
    mine = [row for row in placements.iter_rows(named=True) if row["practice_code"]]
    last: dict[tuple[str, str], int] = {}
    taken: dict[str, str] = {}
    for row in mine:
        row["clinic_id"] = OFFER if row["placement"] == "offered" else row["clinic_id"]
        if row["placement"] in ("listed", "offered"):
            taken[row["patient_key"]] = row["clinic_id"]
        if row["placement"] == "listed" and row["priority_rank"]:
            at = (row["clinic_id"], row["practice_code"])
            last[at] = max(last.get(at, 0), row["priority_rank"])
    rows = []
    for row in mine:
        at = (row["clinic_id"] or "", row["practice_code"])
        decision = decided[row["patient_key"], row["pathway"]]
        place = taken.get(row["patient_key"], at[0]) if row["placement"] == "held" else at[0]
        rows.append(
            {
                **{name: row[name] for name in _KEPT},
                "week": week.index_date,
                "run_id": run_id,
                "row_reference": reference(place, row["patient_key"]),
                "tier": decision["tier"],
                "tier_rank": decision["tier_rank"],
                "rank_of_last_place": last.get(at),
                "places": places.get(at),
            }
        )
    return pl.DataFrame(rows, schema=schema_of("audit.list_row")).sort("patient_key", "pathway")


_KEPT = (
    "patient_key", "pathway", "practice_code", "clinic_id", "placement", "placement_reason", "clinic_date",
    "priority_rank", "waiting_since",
)  # fmt: skip
