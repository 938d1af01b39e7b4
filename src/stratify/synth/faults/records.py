"""Faults of whole rows: repeated, without a parent, withdrawn, replaced (R1 to R8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import polars as pl

from stratify.synth.faults.ground import DRAW, Site, form

_WINDOW_DAYS, _EVERY_WEEKS = 90, 4
_CORRECTED_DAYS = 365
"""Suppliers correct what is recent; further back than this nothing is withdrawn or replaced."""
_EVENT_DATES = {"gp_event": "effective_date", "gp_observation": "effective_date", "gp_medication": "issue_date"}
_ONE_EPISODE = pl.len().over("provider_code", "spell_id") == 1
_TWO_DIAGNOSES = pl.col("diag_02").is_not_null()
_OTHER_ORDER = {"diag_01": pl.col("diag_02"), "diag_02": pl.col("diag_01")}
_OWN_ID = r"^(.*?)(\d+)$"


def is_day(column: str) -> pl.Expr:
    """Say whether a text is a day as the county writes it."""
    return pl.col(column).str.contains(r"^\d{4}-\d{2}-\d{2}$")


def days_later(column: str, days: pl.Expr | int) -> pl.Expr:
    """Give a day moved by so many days, as text."""
    moved = pl.col(column).str.to_date("%Y-%m-%d") + pl.duration(days=days)
    return moved.dt.strftime("%Y-%m-%d")


def _is_recent(site: Site, column: str) -> pl.Expr:
    return pl.col(column) >= (site.scene.cutoff - timedelta(days=_CORRECTED_DAYS)).isoformat()


def _same_again(site: Site) -> None:
    for table in site.fault.tables:
        picked = site.pick(table)
        site.add(table, picked.rows, meant=False, beside=picked.places)


_CHANGED_AGAIN: Mapping[str, tuple[str, Callable[[], pl.Expr]]] = {
    "gp_event": ("effective_date", lambda: days_later("effective_date", -3)),
    "gp_observation": ("value_num", lambda: (pl.col("value_num").cast(pl.Float64) + 1).round(2)),
    "gp_medication": ("issue_date", lambda: days_later("issue_date", -3)),
    "apc_episode": ("admission_date", lambda: days_later("admission_date", -1)),
}


def _changed_again(site: Site) -> None:
    for table in site.fault.tables:
        column, changed = _CHANGED_AGAIN[table]
        picked = site.pick(table, pl.col(column).is_not_null() if column == "value_num" else is_day(column))
        if len(picked):
            site.add(table, picked.rows, {column: changed()}, meant=False, beside=picked.places)
            site.leave_out(picked)


def _under_two_ids(site: Site) -> None:
    for table in site.fault.tables:
        picked = site.pick(table)
        # A nine before the digits: no id of the county is longer, so the new one is nobody else's.
        site.add(table, picked.rows, {"source_event_id": pl.col("source_event_id").str.replace(_OWN_ID, "${1}9${2}")})


def _without_parent(site: Site) -> None:
    nobody = pl.col("source_patient_id").str.replace(r"\d+$", "") + (
        10 ** pl.col("source_patient_id").str.extract(r"(\d+)$").str.len_bytes().cast(pl.Int64) - 1 - pl.col(DRAW) % 5
    ).cast(pl.String)
    for table in site.fault.tables:
        picked = site.pick(table, pl.col("source_patient_id").str.contains(r"\d{4}$"))
        site.write(picked, source_patient_id=nobody)
        site.leave_out(picked)


def _withdrawn(site: Site) -> None:
    for table in site.fault.tables:
        if site.is_delta:
            past = site.pick_past(table, _is_recent(site, _EVENT_DATES[table]))
            site.add(table, past, {"is_deleted": "true"})
        else:
            picked = site.pick(table)
            site.write(picked, is_deleted="true")
            site.leave_out(picked)


def _net_change(site: Site) -> None:
    if not site.is_delta:
        return
    words = pl.when(form(0, 2)).then(pl.lit("net change delete")).otherwise(pl.lit("net change replacement"))
    recent = _is_recent(site, "admission_date")
    past = site.pick_past("apc_episode", recent & _ONE_EPISODE & _TWO_DIAGNOSES, words=words)
    if past.is_empty():
        return
    deleted, replaced = past.filter(form(0, 2)), past.filter(~form(0, 2))
    site.add("apc_episode", deleted, {"update_type": "NETCHANGE", "is_deleted": "true"})
    site.add("apc_episode", replaced, {"update_type": "NETCHANGE", **_OTHER_ORDER})


def replaced_from(rates: Mapping[str, float], week: int, cutoff: date) -> date | None:
    """Give the first admission date that the bulk replacement of a week speaks for; None where the week has none."""
    is_due = bool(rates.get("R7")) and week % _EVERY_WEEKS == 1
    return cutoff - timedelta(days=_WINDOW_DAYS) if is_due else None


def _replaced_window(site: Site) -> None:
    """Send a window again as bulk: what is left out of it is meant to be gone, which only the window says."""
    table = "apc_episode"
    since = replaced_from({"R7": 1.0}, site.scene.week, site.scene.cutoff)
    if not site.is_delta or since is None or table not in site.ground.tables:
        return
    first = since.isoformat()
    inside = is_day("admission_date") & (pl.col("admission_date") >= first)
    site.both(site.take(table, site.able(table, inside)), update_type="BULK")
    before = site.ground.history.get(table)
    if before is None:
        return
    again = site.not_sent(table, before.filter(inside))
    if again.is_empty():
        return
    site.send_again(table, again)
    spells = again.select("provider_code", "spell_id").unique(maintain_order=True)
    lost = spells[site.draw(spells.height)]
    on = ["provider_code", "spell_id"]
    kept, withdrawn = again.join(lost, on=on, how="anti"), again.join(lost, on=on, how="semi", maintain_order="left")
    site.add(table, kept, {"update_type": "BULK"})
    site.add(table, withdrawn, {"is_deleted": "true"}, written=False)
    site.note_rows(table, withdrawn, "left out of a bulk replacement")


def _revised_at_freeze(site: Site) -> None:
    if not site.is_delta:
        return
    is_flex = pl.col("freeze_status") == "flex"
    past = site.pick_past("apc_episode", is_flex & _ONE_EPISODE & _TWO_DIAGNOSES)
    site.add("apc_episode", past, {"freeze_status": "freeze", **_OTHER_ORDER})


SPOILERS: Mapping[str, Callable[[Site], None]] = {
    "R1": _same_again,
    "R2": _changed_again,
    "R3": _under_two_ids,
    "R4": _without_parent,
    "R5": _withdrawn,
    "R6": _net_change,
    "R7": _replaced_window,
    "R8": _revised_at_freeze,
}
