"""Faults of dates: unknown, future, before birth, after death, in another pattern, the wrong way round (D1 to D7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import polars as pl

from stratify.synth.faults.ground import DRAW, Picked, Site, in_turn
from stratify.synth.faults.records import days_later, is_day

_UNKNOWN = ("1900-01-01", "1753-01-01", "1899-12-30", "9999-12-31")
_PATTERNS = ("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y")
_EVENT_DATES = {
    "gp_event": "effective_date",
    "gp_observation": "effective_date",
    "gp_medication": "issue_date",
    "apc_episode": "admission_date",
}
_PERSON = ["org_code", "source_patient_id"]
_AFTER_DEATH_DAYS = 31
_NO_DATE: dict[str, str | pl.Expr | None] = {"effective_date": None, "effective_precision": "U"}


def _stands_for_unknown(site: Site) -> None:
    for table in site.fault.tables:
        picked = site.pick(table, is_day("effective_date"))
        site.write(picked, effective_date=in_turn(*_UNKNOWN))
        site.mean(picked, **_NO_DATE)


def _future(site: Site) -> None:
    later = pl.lit(site.scene.cutoff) + pl.duration(days=2 + pl.col(DRAW) % 900)
    for table in site.fault.tables:
        picked = site.pick(table, is_day("effective_date"))
        site.write(picked, effective_date=later)
        site.mean(picked, **_NO_DATE)


def _before_birth(site: Site) -> None:
    people = site.seen("patient")
    if people.is_empty():
        return
    births = people.filter(is_day("date_of_birth")).select(*_PERSON, "date_of_birth")
    for table in site.fault.tables:
        found = site.pick(table, is_day("effective_date"), is_noted=False)
        if not len(found):
            continue
        rows = found.rows.join(births, on=_PERSON, how="left", maintain_order="left")
        picked = Picked(table, found.places, rows).only(pl.col("date_of_birth").is_not_null())
        site.note(picked)
        site.write(picked, effective_date=days_later("date_of_birth", -(30 + pl.col(DRAW) % 900)))
        site.mean(picked, **_NO_DATE)
        if table == "gp_observation":
            site.mean(picked, value_num=None)


def _after_death(site: Site) -> None:
    people, deaths = site.seen("patient"), site.seen("death")
    if people.is_empty():
        return
    died = people.select(*_PERSON, "nhs_number", "date_of_death")
    if not deaths.is_empty():
        by_number = deaths.group_by("nhs_number").agg(pl.col("date_of_death").max().alias("other_date"))
        died = died.join(by_number, on="nhs_number", how="left").with_columns(
            pl.max_horizontal("date_of_death", "other_date")
        )
    last = (site.scene.cutoff - timedelta(days=_AFTER_DEATH_DAYS)).isoformat()
    died = died.filter(is_day("date_of_death") & (pl.col("date_of_death") <= last)).select(*_PERSON, "date_of_death")
    for table in site.fault.tables:
        able = site.able(table, is_day("effective_date"))
        if not len(able):
            continue
        theirs = site.frame(table).select(_PERSON)[able].with_columns(pl.Series("place", able))
        theirs = theirs.join(died, on=_PERSON, how="inner", maintain_order="left")
        chosen = theirs[site.draw(theirs.height)]
        found = site.take(table, chosen["place"].to_numpy())
        if not len(found):
            continue
        picked = Picked(table, found.places, found.rows.with_columns(chosen["date_of_death"]))
        site.note(picked)
        room = (pl.lit(site.scene.cutoff) - pl.col("date_of_death").str.to_date("%Y-%m-%d")).dt.total_days()
        later = _AFTER_DEATH_DAYS + pl.col(DRAW) % (room - _AFTER_DEATH_DAYS + 1)
        site.write(picked, effective_date=days_later("date_of_death", later))
        site.leave_out(picked)


def _other_pattern(site: Site) -> None:
    for table in site.fault.tables:
        column = _EVENT_DATES[table]
        # A day above 12: no reader can take it for a month, whichever pattern it thinks of.
        picked = site.pick(table, is_day(column) & (pl.col(column).str.slice(8) > "12"))
        day = pl.col(column).str.to_date("%Y-%m-%d")
        patterns = [day.dt.strftime(pattern) for pattern in _PATTERNS]
        turn = pl.col(DRAW) % len(patterns)
        site.write(picked, **{column: pl.when(turn == 0).then(patterns[0]).when(turn == 1).then(patterns[1])
                              .otherwise(patterns[2])})  # fmt: skip
        site.leave_out(picked)


def _end_before_start(site: Site) -> None:
    left = site.pick(
        "apc_episode", is_day("admission_date") & is_day("discharge_date"), words="discharge before admission"
    )
    site.write(left, discharge_date=days_later("admission_date", -4))
    site.leave_out(left)
    past = is_day("start_date") & is_day("end_date") & (pl.col("end_date") <= site.scene.cutoff.isoformat())
    ended = site.pick("registration", past, words="past registration that ends before it starts")
    site.write(ended, end_date=days_later("start_date", -10))


def _only_a_year(site: Site) -> None:
    for table in site.fault.tables:
        picked = site.pick(table, is_day("effective_date") & (pl.col("effective_precision") == "YMD"))
        year = pl.col("effective_date").str.slice(0, 4)
        invented = year + in_turn("-01-01", "-07-01", "-12-31")
        held = pl.when(invented <= site.scene.cutoff.isoformat()).then(invented).otherwise(year + "-01-01")
        site.write(picked, effective_date=held, effective_precision="Y")
        site.mean(picked, effective_date=year + "-01-01", effective_precision="Y")


SPOILERS: Mapping[str, Callable[[Site], None]] = {
    "D1": _stands_for_unknown,
    "D2": _future,
    "D3": _before_birth,
    "D4": _after_death,
    "D5": _other_pattern,
    "D6": _end_before_start,
    "D7": _only_a_year,
}
