"""What a change would do, as others may see it: tables, plain words, a plot and a page; today beside the change.

Every count is under disclosure control before any of these is made, and whatever is worked out (minutes, contacts) is
worked out from what is shown. Does not belong: the forecast, and who is on a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from stratify import pages
from stratify.disclosure import LARGEST_HIDDEN, ROUND_TO, Sum, protect, rounded

SIDES = ("today", "changed")
EVERY_PRACTICE = "every practice"
LAST_WEEK = 26
SHOWN_WEEKS = (0, 13, 26)
_KEY = ("side", "week", "clinic_id", "practice_code")
_SECTORS = {"gp": "GP", "community": "community", "outpatient": "outpatient", "ambulance": "ambulance"}
_FEW = "few"
_NOT_TOLD = "not told"


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


def write_what_if(found: WhatIf, folder: Path) -> list[Path]:
    """Write the tables (CSV and Parquet), the plot and the page; the same bytes for the same change and run."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, table in (("what_if", figures(found)), ("what_if_people", found.moved)):
        path = folder / f"{name}.csv"
        path.write_text(table.write_csv(), encoding="utf-8", newline="")
        table.write_parquet(path.with_suffix(".parquet"))
        made += [path, path.with_suffix(".parquet")]
    for name, text in (("what_if.svg", plot(found)), ("what_if.html", page(found))):
        (folder / name).write_text(text, encoding="utf-8", newline="")
        made.append(folder / name)
    return made


# -------------------------------------------------------------------------------------------------------- plain words


def statements(found: WhatIf) -> list[str]:
    """Say in plain words what the change gives and what it costs, clinic by clinic, from what is told."""
    lines = []
    for clinic in found.clinics:
        mine = [*_of_length(found, clinic), *_of_waits(found, clinic)]
        mine += [*_of_people(found, clinic), *_of_staff(found, clinic)]
        if mine:
            lines.append(f"{found.labels.get(clinic, clinic)}: {' '.join(mine)}")
    lines += _of_sectors(found)
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


# ------------------------------------------------------------------------------------------------------- plot and page


def plot(found: WhatIf) -> str:
    """Draw the lists of each clinic over 26 weeks, today and changed, each with its 90 % interval."""
    panels = []
    for number, clinic in enumerate(found.clinics):
        panels.append(_panel(found, clinic, left=64 + (number % 2) * 470, top=104 + number // 2 * 270))
    rows = (len(panels) + 1) // 2
    text = pages.draw(__package__, "what_if.svg.j2", panels=panels, width=960, height=104 + max(rows, 1) * 270)
    return text


_PANEL_WIDTH, _PANEL_HEIGHT = 380, 180


def _panel(found: WhatIf, clinic: str, *, left: int, top: int) -> dict[str, Any]:
    series = {side: [found.at(side, clinic, week) for week in range(LAST_WEEK + 1)] for side in SIDES}
    highest = max([each["length_high"] or 0 for weeks in series.values() for each in weeks] + [10])
    step = next(each for power in range(8) for each in (10**power, 2 * 10**power, 5 * 10**power) if each * 5 >= highest)
    most = step * -(-highest // step)

    def across(week: int) -> float:
        return round(left + _PANEL_WIDTH * week / LAST_WEEK, 1)

    def upwards(value: float) -> float:
        return float(round(top + _PANEL_HEIGHT * (1 - value / most), 1))

    lines = []
    for side, weeks in series.items():
        known = [(week, each) for week, each in enumerate(weeks) if each["length"] is not None]
        band = [(across(week), upwards(each["length_high"])) for week, each in known]
        band += [(across(week), upwards(each["length_low"])) for week, each in reversed(known)]
        lines.append(
            {"side": side, "points": [(across(week), upwards(each["length"])) for week, each in known], "band": band}
        )
    return {
        "title": found.labels.get(clinic, clinic), "left": left, "right": left + _PANEL_WIDTH, "top": top,
        "bottom": top + _PANEL_HEIGHT, "lines": lines,
        "ticks": [(upwards(value), f"{value:,}") for value in range(0, most + 1, step)],
        "weeks": [(across(week), week) for week in (0, 4, 8, 13, 17, 21, 26)],
    }  # fmt: skip


def page(found: WhatIf) -> str:
    """Write the page: one file that asks nothing of the network."""
    return pages.render(
        __package__,
        "what_if.html.j2",
        title=f"What if: {found.title}",
        subtitle=f"Forecast of the 26 weeks from {found.index_date.isoformat()} · run {found.run_id}",
        is_test=found.is_test,
        found=found,
        statements=statements(found),
        overview=overview(found),
        minutes=staff_minutes(found),
        sectors=by_sector(found),
        practices=_practices(found),
        people=_people_tables(found),
        plot=plot(found),
        last_week=LAST_WEEK,
        largest_hidden=LARGEST_HIDDEN,
    )


def _practices(found: WhatIf) -> list[dict[str, Any]]:
    parts = found.lists.filter(pl.col("practice_code") != EVERY_PRACTICE)
    at = {(row["clinic_id"], row["practice_code"], row["week"], row["side"]): row["length"] for row in parts.to_dicts()}
    keys: Sequence[tuple[str, str]] = sorted({(clinic, practice) for clinic, practice, _, _ in at})
    return [
        {"label": found.labels.get(clinic, clinic), "practice": practice}
        | {f"{side}_{week}": at.get((clinic, practice, week, side), 0) for side in SIDES for week in SHOWN_WEEKS}
        for clinic, practice in keys
    ]


def _people_tables(found: WhatIf) -> list[dict[str, Any]]:
    """Give, for each clinic and pathway whose people are concerned, who goes which way by group."""
    tables = []
    moves = found.moved.filter(pl.col("before") != pl.col("after"))
    for definition in moves["definition"].unique().sort().to_list():
        mine = moves.filter(pl.col("definition") == definition)
        kind, name = definition.split(" ")
        ways = mine.select("before", "after").unique().sort(pl.all()).rows()
        rows = []
        for breakdown, group in (
            mine.select("breakdown", "group")
            .unique()
            .sort(pl.col("breakdown") != "everybody", "breakdown", "group")
            .iter_rows()
        ):
            here = mine.filter(pl.col("breakdown") == breakdown, pl.col("group") == group)
            counts = {(row["before"], row["after"]): row["people_count"] for row in here.to_dicts()}
            rows.append((breakdown.replace("_", " "), group, [counts.get(way, 0) for way in ways]))
        label = found.labels.get(name, name) if kind == "clinic" else f"Decisions of the pathway {name}"
        tables.append({"label": label, "ways": ways, "rows": rows})
    return tables
