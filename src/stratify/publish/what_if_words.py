"""What a change gives and what it costs, in plain words, from what may be told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from stratify.disclosure import LARGEST_HIDDEN
from stratify.publish.what_if import (
    LAST_WEEK,
    OFF_IT,
    SHOWN_WEEKS,
    SIDES,
    WhatIf,
    by_sector,
    staff_minutes,
    worklists,
)

_FEW = "few"
_NOT_TOLD = "not told"


def statements(found: WhatIf) -> list[str]:
    """Say in plain words what the change gives and what it costs, clinic by clinic, from what is told."""
    lines = []
    for clinic in found.clinics:
        mine = [*_of_length(found, clinic), *_of_waits(found, clinic)]
        mine += [*_of_people(found, clinic), *_of_staff(found, clinic)]
        if mine:
            lines.append(f"{found.labels.get(clinic, clinic)}: {' '.join(mine)}")
    lines += [*_of_worklists(found), *_of_sectors(found), *_trade_off(found)]
    return lines or ["Nothing that may be told changes on any list."]


def _of_length(found: WhatIf, clinic: str) -> list[str]:
    week = next((each for each in (LAST_WEEK, 13, 4) if _differ(found, clinic, each)), LAST_WEEK)
    today, changed = (found.at(side, clinic, week) for side in SIDES)
    if today["length"] is None or changed["length"] is None:
        return []
    said = []
    if today["length"] != changed["length"]:
        said.append(
            f"after {week} weeks about {_people(changed['length'])} on the list "
            f"({changed['length_low']:,} to {changed['length_high']:,}) instead of about {today['length']:,} "
            f"({today['length_low']:,} to {today['length_high']:,})."
        )
        early = [found.at(side, clinic, 4)["length"] for side in SIDES]
        late = changed["length"] - today["length"]
        if None not in early and late * (early[1] - early[0]) < 0:
            said.append(
                f"In week 4 it is the other way about, {early[1]:,} instead of {early[0]:,}: "
                "the start asks for patience."
            )
    today, changed = (found.at(side, clinic, LAST_WEEK) for side in SIDES)
    if today["places_so_far"] != changed["places_so_far"] and None not in (
        today["places_so_far"],
        changed["places_so_far"],
    ):
        said.append(
            f"About {_people(changed['places_so_far'])} have had a place within {LAST_WEEK} weeks instead of "
            f"{today['places_so_far']:,}."
        )
    return said


def _differ(found: WhatIf, clinic: str, week: int) -> bool:
    one, other = (found.at(side, clinic, week)["length"] for side in SIDES)
    return one is not None and other is not None and one != other


def _of_waits(found: WhatIf, clinic: str) -> list[str]:
    waits = {row["side"]: _half(row) for row in found.waits.filter(pl.col("clinic_id") == clinic).to_dicts()}
    today, changed = (waits.get(side, _NOT_TOLD) for side in SIDES)
    if today == changed or _NOT_TOLD in (today, changed):
        return []
    return [f"Half of those on its list have a place after {changed} weeks instead of {today} (0: the coming one)."]


def _of_people(found: WhatIf, clinic: str) -> list[str]:
    joins = _moves(found, clinic, lambda before, after: before == "not on the list" != after)
    leaves = _moves(found, clinic, lambda before, after: after == "not on the list" != before)
    displaced = _moves(
        found, clinic, lambda before, after: before.startswith("has a place") and after.startswith("still waits")
    )
    sooner = _moves(
        found, clinic, lambda before, after: before.startswith("still waits") and after.startswith("has a place")
    )
    said = []
    for count, words in (
        (joins, "join the list"),
        (leaves, "leave it without a place"),
        (displaced, f"are displaced: today they would have a place within {LAST_WEEK} weeks"),
        (sooner, f"get a place within {LAST_WEEK} weeks who would not today"),
    ):
        if count:
            said.append(f"{count.capitalize()} {words}.")
    equity = _equity(found, clinic)
    return [*said, *equity]


def _moves(found: WhatIf, clinic: str, is_one: Any) -> str:  # noqa: ANN401  a function of before and after
    """Say how many people go a way: nothing for nobody, ``few`` where one part of it is not told."""
    rows = [
        row
        for row in found.moved.filter(
            pl.col("definition") == f"clinic {clinic}", pl.col("breakdown") == "everybody"
        ).to_dicts()
        if is_one(row["before"], row["after"])
    ]
    if not rows:
        return ""
    told = [row["people_count"] for row in rows if row["people_count"] is not None]
    if not told:
        return f"{_FEW} people"
    return f"about {_people(sum(told))}" + (f" and {_FEW} more" if len(told) < len(rows) else "")


def _equity(found: WhatIf, clinic: str) -> list[str]:
    """Compare the share of the most deprived fifth among those who join with that among those on the list today."""
    rows = found.moved.filter(pl.col("definition") == f"clinic {clinic}", pl.col("breakdown") == "deprivation")
    groups = {
        "join": rows.filter((pl.col("before") == "not on the list") & (pl.col("after") != "not on the list")),
        "are on it today": rows.filter(pl.col("before") != "not on the list"),
    }
    shares = []
    for frame in groups.values():
        if frame.is_empty() or frame["people_count"].null_count():
            return []
        whole = int(frame["people_count"].sum())
        first = int(frame.filter(pl.col("group") == "quintile 1")["people_count"].sum())
        if not whole:
            return []
        shares.append(round(100 * first / whole))
    return [f"The most deprived fifth are {shares[0]} % of those who join and {shares[1]} % of those on it today."]


def _of_staff(found: WhatIf, clinic: str) -> list[str]:
    mine = [each for each in staff_minutes(found) if each["clinic_id"] == clinic]
    if not mine or any(each[side] is None for each in mine for side in SIDES):
        return []
    change = sum(each["changed"] - each["today"] for each in mine)
    if not change:
        return []
    more = "more" if change > 0 else "fewer"
    return [f"It asks {abs(change):,} minutes {more} a week of its staff ({len(mine)} roles together)."]


def _of_sectors(found: WhatIf) -> list[str]:
    parts = []
    for each in by_sector(found):
        change = each["changed"] - each["today"]
        if change:
            parts.append(f"{each['sector']} {'+' if change > 0 else '−'}{abs(change):,}")
    return [f"Contacts in {LAST_WEEK} weeks by the declared weights: {', '.join(parts)}."] if parts else []


def _of_worklists(found: WhatIf) -> list[str]:
    said = []
    for each in worklists(found):
        ways = [f"{_counted(each[way])} {way}" for way in ("join", "leave") if each[way] != 0]
        if ways:
            said.append(f"{each['label']}: {' and '.join(ways)}.")
    return said


def _counted(count: int | None) -> str:
    return _FEW if count is None else f"{count:,}"


def _trade_off(found: WhatIf) -> list[str]:
    """Say in one sentence what is gained and what is paid for it, over all clinics, as far as it is told."""
    gains: list[str] = []
    costs: list[str] = []
    for words, less_is_gain, totals in (
        ("on the lists after 26 weeks", True, _totals(found, "length")),
        ("with a place within 26 weeks", False, _totals(found, "places_so_far")),
    ):
        change = totals["changed"] - totals["today"]
        if change:
            side = gains if (change < 0) == less_is_gain else costs
            side.append(f"{abs(change):,} {'fewer' if change < 0 else 'more'} people {words}")
    minutes = [each for each in staff_minutes(found) if None not in (each["today"], each["changed"])]
    change = sum(each["changed"] - each["today"] for each in minutes)
    if change:
        (gains if change < 0 else costs).append(
            f"{abs(change):,} minutes a week {'fewer' if change < 0 else 'more'} of clinic staff"
        )
    for each in by_sector(found):
        change = each["changed"] - each["today"]
        if change:
            (gains if change < 0 else costs).append(
                f"{abs(change):,} {'fewer' if change < 0 else 'more'} {each['sector']} contacts"
            )
    gains += _people_who(found, gain=True)
    costs += _people_who(found, gain=False)
    if not gains and not costs:
        return []
    return [
        f"The trade-off: {_and(gains) or 'nothing that is told'}; in return, {_and(costs) or 'nothing that is told'}."
    ]


def _totals(found: WhatIf, name: str) -> dict[str, int]:
    """Add a figure of the last week up over the clinics of which it is told on both sides."""
    totals = dict.fromkeys(SIDES, 0)
    for clinic in found.clinics:
        both = [found.at(side, clinic, LAST_WEEK)[name] for side in SIDES]
        if None not in both:
            for side, figure in zip(SIDES, both, strict=True):
                totals[side] += figure
    return totals


_WAYS = {
    True: ((OFF_IT, "", "who join the list of {}"), ("still waits", "has a place", "who reach {} sooner")),
    False: (("", OFF_IT, "who leave the list of {}"), ("has a place", "still waits", "who are displaced at {}")),
}


def _people_who(found: WhatIf, *, gain: bool) -> list[str]:
    """Say of each clinic who joins it or reaches it sooner, or who leaves it or is displaced."""
    said = []
    for clinic in found.clinics:
        for start, end, words in _WAYS[gain]:

            def is_one(one: str, other: str, start: str = start, end: str = end) -> bool:
                return one != other and one.startswith(start) and other.startswith(end)

            if count := _moves(found, clinic, is_one):
                said.append(f"{count} {words.format(found.labels.get(clinic, clinic))}")
    return said


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _people(count: int) -> str:
    return f"{count:,} people"


def what_if_in_words(found: WhatIf) -> str:
    """Say it on a screenful: what is tried, a table of lists and waits, and what it gives and costs."""
    lines = [f"What if: {found.title}{' (TEST: invented people)' if found.is_test else ''}"]
    lines += [f"  {each}" for each in found.tried]
    lines += ["", f"{'':42}{'people on the list':>34}{'places in 26 weeks':>20}{'half wait (weeks)':>19}"]
    lines.append(f"{'clinic':34}{'':8}{'today':>8}{'week 13':>8}{'week 26':>8}{'  90 %':>10}")
    for row in overview(found):
        lines.append(
            f"{row['label'][:33]:34}{row['side']:8}"
            + "".join(f"{_cell(row[f'week_{week}']):>8}" for week in SHOWN_WEEKS)
            + f"{row['interval']:>10}{_cell(row['places']):>20}{row['half_wait']:>19}"
        )
    lines += ["", *statements(found), ""]
    lines.append(
        f"Counts are rounded to 5; few: 1 to {LARGEST_HIDDEN}, or hidden so that none of those can be worked out."
    )
    return "\n".join(lines)


def overview(found: WhatIf) -> list[dict[str, Any]]:
    """Give a row per clinic and side: list lengths, interval, places and the wait of the middle one."""
    waits = {(row["side"], row["clinic_id"]): row for row in found.waits.to_dicts()}
    rows = []
    for clinic in found.clinics:
        for side in SIDES:
            last = found.at(side, clinic, LAST_WEEK)
            wait = waits.get((side, clinic))
            rows.append(
                {"clinic_id": clinic, "label": found.labels.get(clinic, clinic), "side": side}
                | {f"week_{week}": found.at(side, clinic, week)["length"] for week in SHOWN_WEEKS}
                | {
                    "interval": _FEW if last["length"] is None else f"{last['length_low']:,}–{last['length_high']:,}",
                    "places": last["places_so_far"],
                    "half_wait": _half(wait),
                }
            )
    return rows


def _half(wait: Mapping[str, Any] | None) -> str:
    if wait is None or wait["people"] <= LARGEST_HIDDEN:
        return _NOT_TOLD
    return f"over {LAST_WEEK}" if wait["median_week"] >= LAST_WEEK else f"{wait['median_week']:.0f}"


def _cell(number: int | None) -> str:
    return _FEW if number is None else f"{number:,}"
