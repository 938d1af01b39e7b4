"""The files of a change that was tried: tables, a plot and a page that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from stratify import pages
from stratify.disclosure import LARGEST_HIDDEN
from stratify.publish import words
from stratify.publish.what_if import (
    EVERY_PRACTICE,
    LAST_WEEK,
    SHOWN_WEEKS,
    SIDES,
    WhatIf,
    by_sector,
    figures,
    staff_minutes,
    worklists,
)
from stratify.publish.what_if_words import overview, statements


def write_what_if(found: WhatIf, folder: Path) -> list[Path]:
    """Write the tables (CSV and Parquet), the plot and the page; the same bytes for the same change and run."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, table in (("what_if", figures(found)), ("what_if_people", found.moved)):
        path = folder / f"{name}.csv"
        safe = table.with_columns(pl.col(pl.String).map_elements(words.harmless, return_dtype=pl.String))
        path.write_text(safe.write_csv(), encoding="utf-8", newline="")
        table.write_parquet(path.with_suffix(".parquet"))
        made += [path, path.with_suffix(".parquet")]
    for name, text in (("what_if.svg", plot(found)), ("what_if.html", page(found))):
        (folder / name).write_text(text, encoding="utf-8", newline="")
        made.append(folder / name)
    return made


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
        worklists=worklists(found),
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
    moves = moves.filter(~pl.col("definition").str.starts_with("worklist"))
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
