"""What a change would do, as others may see it: the counts and the tables, today beside the change.

Every count is under disclosure control before any of these is made, and whatever is worked out (minutes, contacts) is
worked out from what is shown. Does not belong: the words and the page (``what_if_words``, ``what_if_page``), the
forecast, and who is on a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import polars as pl

from stratify.disclosure import LARGEST_HIDDEN, ROUND_TO, Sum, protect, rounded

SIDES = ("today", "changed")
EVERY_PRACTICE = "every practice"
LAST_WEEK = 26
SHOWN_WEEKS = (0, 13, 26)
_KEY = ("side", "week", "clinic_id", "practice_code")
_SECTORS = {"gp": "GP", "community": "community", "outpatient": "outpatient", "ambulance": "ambulance"}
OFF_IT = "not on the list"
WORKLISTS = {
    "assessment": "Assessment visits",
    "clinician_review": "A clinician looks at the record",
    "call": "Calls about an offer that was not taken up",
    "self_management": "Offers of self-management",
}
"""What is asked of people, or offered to them, that has no sessions."""


@dataclass(frozen=True)
class WhatIf:
    """A change tried on a run, in counts.

    Attributes:
        title: What the change is called.
        tried: What is tried, a line each.
        run_id: The run.
        index_date: The day it describes.
        is_test: Invented people.
        digests: Digest of the definitions of each side.
        changes_digest: Digest of the changes.
        labels: Name of each clinic.
        weeks: Exact figures of each side, clinic and week, as ``whatif.summary`` gives them, and ``capacity`` a week.
        lists: :func:`protected_lists`.
        waits: ``people`` and ``median_week`` by side and clinic.
        moved: ``rule_changes.count_moves``: what comes of whom, by group.
        minutes: Minutes of each role for one place at a clinic.
        loads: What each clinic asks of each sector (``whatif_changes.Load``).
        share_looked_back: Share of the people on whom newcomers were counted.
        look_back_weeks: Over how many weeks.
        assumed: What the records do not say.
    """

    title: str
    tried: tuple[str, ...]
    run_id: str
    index_date: date
    is_test: bool
    digests: Mapping[str, str]
    changes_digest: str
    labels: Mapping[str, str]
    weeks: pl.DataFrame
    lists: pl.DataFrame
    waits: pl.DataFrame
    moved: pl.DataFrame
    minutes: pl.DataFrame
    loads: tuple[Mapping[str, Any], ...]
    share_looked_back: float
    look_back_weeks: int
    assumed: Mapping[str, float]

    @cached_property
    def shown(self) -> pl.DataFrame:
        """The weeks as they may be told: side, clinic, week, length and its interval, places so far, wait in weeks."""
        totals = self.lists.filter(pl.col("practice_code") == EVERY_PRACTICE)
        told = {(row["side"], row["clinic_id"], row["week"]): row["length"] for row in totals.to_dicts()}
        rows = []
        for row in self.weeks.sort("side", "clinic_id", "week").to_dicts():
            key = (row["side"], row["clinic_id"], row["week"])
            length = told[key] if key in told else _told(row["length"])
            capacity = row["capacity"] or 0.0
            is_told = length is not None
            rows.append(
                {name: row[name] for name in ("side", "clinic_id", "week")}
                | {
                    "length": length,
                    "length_low": rounded(round(row["length_low"])) if is_told else None,
                    "length_high": rounded(round(row["length_high"])) if is_told else None,
                    "places_so_far": _told(row["places_so_far"]),
                    "wait_weeks": round(length / capacity, 1) if length is not None and capacity else None,
                }
            )
        numbers = ("week", "length", "length_low", "length_high", "places_so_far")
        schema = {"side": pl.String, "clinic_id": pl.String} | dict.fromkeys(numbers, pl.Int64)
        return pl.DataFrame(rows, schema=schema | {"wait_weeks": pl.Float64})

    @property
    def clinics(self) -> tuple[str, ...]:
        """Clinics that have a list on either side, by id."""
        return tuple(self.weeks["clinic_id"].unique().sort().to_list())

    def at(self, side: str, clinic: str, week: int) -> Mapping[str, Any]:
        """Give what is told of a clinic in a week; nobody where it has no list."""
        return self._at.get((side, clinic, week), _NOBODY)

    @cached_property
    def _at(self) -> dict[tuple[str, str, int], Mapping[str, Any]]:
        return {(row["side"], row["clinic_id"], row["week"]): row for row in self.shown.to_dicts()}


_NOBODY: Mapping[str, Any] = {
    "length": 0, "length_low": 0, "length_high": 0, "places_so_far": 0, "wait_weeks": None
}  # fmt: skip


def _told(number: float) -> int | None:
    whole = round(number)
    return None if 0 < whole <= LARGEST_HIDDEN else rounded(whole)


def protected_lists(lists: pl.DataFrame) -> pl.DataFrame:
    """Give list lengths by practice and for all, in weeks 0, 13 and 26, under disclosure control.

    Args:
        lists: ``side``, ``week``, ``clinic_id``, ``practice_code``, ``length`` and its interval, exact.

    Returns:
        ``length`` rounded to 5 or empty, the interval likewise, ``is_suppressed``.
    """
    chosen = lists.filter(pl.col("week").is_in(SHOWN_WEEKS)).with_columns(
        pl.col("length").round().cast(pl.Int64),
        *(pl.col(name).round().cast(pl.Int64) for name in ("length_low", "length_high")),
    )
    columns = [*_KEY, "length", "length_low", "length_high"]
    totals = chosen.group_by("side", "week", "clinic_id").agg(
        pl.lit(EVERY_PRACTICE).alias("practice_code"),
        pl.col("length").sum(),
        *(pl.lit(None, dtype=pl.Int64).alias(name) for name in ("length_low", "length_high")),
    )
    every = pl.concat([chosen.select(columns), totals.select(columns)]).sort(_KEY)
    found = protect(
        every,
        count="length",
        key=_KEY,
        sums=[Sum("practices of a clinic", pl.col("practice_code") != EVERY_PRACTICE,
                  {"practice_code": pl.lit(EVERY_PRACTICE)})],
    )  # fmt: skip
    return found.with_columns(
        pl.when(pl.col("length").is_not_null()).then((pl.col(name) + ROUND_TO // 2) // ROUND_TO * ROUND_TO)
        for name in ("length_low", "length_high")
    )


# ------------------------------------------------------------------------------------------------------------- tables


def figures(found: WhatIf) -> pl.DataFrame:
    """Give everything told but who moves, a figure a row: today beside the change.

    Returns:
        ``measure``, ``clinic_id``, ``practice_code``, ``week``, ``part`` (role or sector), ``today``, ``changed``; a
        figure that is not told is empty.
    """
    rows: list[tuple[str, str, str, int | None, str | None, float | None, float | None]] = []
    names = {"length": "people on the list", "length_low": "people on the list, low end of 90 %",
             "length_high": "people on the list, high end of 90 %", "places_so_far": "places given so far",
             "wait_weeks": "weeks the list would take at this capacity"}  # fmt: skip
    for clinic in found.clinics:
        for week in range(LAST_WEEK + 1):
            both = [found.at(side, clinic, week) for side in SIDES]
            for name, words in names.items():
                rows.append((words, clinic, EVERY_PRACTICE, week, None, both[0][name], both[1][name]))
    parts = found.lists.filter(pl.col("practice_code") != EVERY_PRACTICE)
    hidden = {(row["clinic_id"], row["practice_code"], row["week"], row["side"]): row for row in parts.to_dicts()}
    keys = parts.select("clinic_id", "practice_code", "week").unique().sort(pl.all())
    for clinic, practice, week in keys.iter_rows():
        lists = [hidden.get((clinic, practice, week, side), _NOBODY) for side in SIDES]
        for name in ("length", "length_low", "length_high"):
            rows.append((names[name], clinic, practice, week, None, lists[0][name], lists[1][name]))
    rows += [
        ("staff minutes a week", each["clinic_id"], EVERY_PRACTICE, None, each["role"], each["today"], each["changed"])
        for each in staff_minutes(found)
    ]
    rows += [
        ("people on the worklist", each["worklist"], EVERY_PRACTICE, 0, None, each["today"], each["changed"])
        for each in worklists(found)
    ]
    rows += [
        (f"contacts in {LAST_WEEK} weeks", each["clinic_id"], EVERY_PRACTICE, None, each["sector"],
         each["today"], each["changed"])
        for each in sector_contacts(found)
    ]  # fmt: skip
    schema = dict.fromkeys(("measure", "clinic_id", "practice_code"), pl.String) | {
        "week": pl.Int64, "part": pl.String, "today": pl.Float64, "changed": pl.Float64
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def staff_minutes(found: WhatIf) -> list[dict[str, Any]]:
    """Give the minutes a week that the places given ask of each role of each clinic, over the 26 weeks."""
    rows = []
    for each in found.minutes.to_dicts():
        if each["clinic_id"] not in found.clinics:
            continue
        row = {"clinic_id": each["clinic_id"], "role": each["role"]}
        for side in SIDES:
            places = found.at(side, each["clinic_id"], LAST_WEEK)["places_so_far"]
            row[side] = None if places is None else round(places * each["minutes"] / LAST_WEEK)
        rows.append(row)
    return rows


def sector_contacts(found: WhatIf) -> list[dict[str, Any]]:
    """Give the contacts that clinics ask of each sector in 26 weeks, by what is declared of them."""
    rows = []
    for load in found.loads:
        clinic = load["clinic"]
        if clinic not in found.clinics:
            continue
        row: dict[str, Any] = {"clinic_id": clinic, "sector": load["sector"], "source": load["source"]}
        for side in SIDES:
            places = found.at(side, clinic, LAST_WEEK)["places_so_far"]
            lengths = [found.at(side, clinic, week)["length"] for week in range(LAST_WEEK)]
            known = [each for each in lengths if each is not None]
            is_told = places is not None and len(known) == len(lengths)
            row[side] = (
                round(places * load["contacts_per_place"] + sum(known) * load["contacts_per_week_on_list"])
                if is_told
                else None
            )
        rows.append(row)
    return rows


def by_sector(found: WhatIf) -> list[dict[str, Any]]:
    """Add up what is told of each sector; clinics of which it is not told on both sides are left out of both sums."""
    rows = []
    contacts = sector_contacts(found)
    for sector, words in _SECTORS.items():
        mine = [each for each in contacts if each["sector"] == sector]
        told = [each for each in mine if each["today"] is not None and each["changed"] is not None]
        sources = sorted({each["source"] for each in mine})
        if mine:
            rows.append(
                {"sector": words, "source": "; ".join(sources), "left_out": len(mine) - len(told)}
                | {side: sum(each[side] for each in told) for side in SIDES}
            )
    return rows


def worklists(found: WhatIf) -> list[dict[str, Any]]:
    """Give how many are on each worklist, or have an offer, today and with the change, and who joins and leaves it."""
    rows = []
    for name, label in WORKLISTS.items():
        mine = found.moved.filter(
            pl.col("definition") == f"worklist {name}", pl.col("breakdown") == "everybody"
        ).to_dicts()
        parts = {(row["before"] != OFF_IT, row["after"] != OFF_IT): row["people_count"] for row in mine}
        stay, leave, join = (parts.get(key, 0) for key in ((True, True), (True, False), (False, True)))
        row = {"worklist": name, "label": label, "join": join, "leave": leave}
        row["today"], row["changed"] = (None if stay is None or part is None else stay + part for part in (leave, join))
        if mine:
            rows.append(row)
    return rows
