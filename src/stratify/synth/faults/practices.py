"""Faults of registrations and of whole practices (P1 to P4, S1, F10, F12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from stratify.synth.faults.ground import DRAW, Picked, Site, Tables
from stratify.synth.faults.identities import one_record
from stratify.synth.faults.records import is_day

_RECORD = ["org_code", "source_patient_id"]
_SMALL, _LEFT_IN_A_SMALL = 500, 450
_SHARE_THAT_COMES = 0.3
_IS_CURRENT = (pl.col("registration_type") == "REGULAR") & pl.col("end_date").is_null()


def _with_number(site: Site, registrations: pl.DataFrame) -> pl.DataFrame:
    people = site.seen("patient")
    if people.is_empty() or registrations.is_empty():
        return registrations.with_columns(pl.lit(None, pl.String).alias("nhs_number")).clear()
    return registrations.join(people.select(*_RECORD, "nhs_number"), on=_RECORD, how="left", maintain_order="left")


def _of_records(records: pl.DataFrame) -> pl.Expr:
    """Say whether a row is of one of these patient records."""
    keys = records.select(pl.concat_str(_RECORD, separator="|")).to_series()
    return pl.concat_str(_RECORD, separator="|").is_in(keys.implode())


def _still_open(site: Site) -> None:
    registrations = site.seen("registration")
    if registrations.is_empty():
        return
    numbered = _with_number(site, registrations).drop_nulls("nhs_number")
    current = numbered.filter(_IS_CURRENT).select("nhs_number", pl.col("start_date").alias("moved"))
    left = numbered.filter(is_day("end_date") & (pl.col("registration_type") == "REGULAR"))
    moved = left.join(current, on="nhs_number", how="semi")
    picked = site.pick("registration", pl.col("end_date").is_not_null() & _of_records(moved), stays=True)
    site.write(picked, end_date=None, end_reason=None)


def _temporary(site: Site) -> None:
    people = site.seen("patient")
    if people.is_empty():
        return
    single = people.filter(one_record(site))
    once = pl.len().over(_RECORD) == 1
    picked = site.pick("registration", _IS_CURRENT & once & _of_records(single), stays=True)
    site.both(picked, registration_type="TEMPORARY")


def _dead_and_registered(site: Site) -> None:
    people, deaths = site.seen("patient"), site.seen("death")
    if people.is_empty() or deaths.is_empty():
        return
    died = people.filter(one_record(site) & pl.col("nhs_number").is_in(deaths["nhs_number"].implode()))
    picked = site.pick("registration", pl.col("end_date").is_not_null() & _of_records(died), stays=True)
    site.both(picked, end_date=None, end_reason=None)
    if len(picked):
        records = site.take("patient", site.able("patient", _of_records(picked.rows)))
        site.note(records)
        site.both(records, date_of_death=None)


def _successor(site: Site, code: str) -> str | None:
    """Give the practice that takes over: the next one that goes on."""
    every = site.scene.practice_codes
    place = every.index(code)
    return next((other for other in (*every[place + 1 :], *every[:place]) if other not in site.hit), None)


def _reference_rows(site: Site) -> Picked:
    rows = site.take("practice", site.able("practice", pl.col("practice_code").is_in(site.hit)))
    if len(rows):
        site.note_rows("practice", rows.rows.with_columns(pl.col("practice_code").alias("org_code")))
    return rows


def _merged(site: Site) -> None:
    """Close practices with the first weekly extract and register their people elsewhere, from then on for good."""
    if not site.scene.week:
        return
    opened = site.scene.cutoff - timedelta(weeks=site.scene.week - 1, days=6)
    successors = {code: _successor(site, code) for code in site.hit}
    if site.scene.week == 1 and "practice" in site.ground.tables:
        _bring_reference(site)
    rows = _reference_rows(site)
    merged = {code: other for code, other in successors.items() if other is not None}
    if not merged:
        number = pl.col("pcn_code").str.slice(1).cast(pl.Int64) + 50_000
        site.both(rows, pcn_code="U" + (number % 100_000).cast(pl.String).str.zfill(5))
        site.both(rows, pcn_name=pl.col("pcn_name") + " (new)")
        return
    site.both(rows, valid_to=opened.isoformat())
    to_successor = pl.col("practice_code").replace(merged)
    of_merged = pl.col("practice_code").is_in(list(merged))
    moved = site.take("registration", site.able("registration", of_merged & pl.col("end_date").is_null()))
    site.note(moved)
    site.both(moved, practice_code=to_successor)
    before = site.ground.history.get("registration")
    if site.scene.week == 1 and site.is_delta and before is not None and "registration" in site.ground.tables:
        again = site.not_sent("registration", before.filter(of_merged & pl.col("end_date").is_null()))
        if not again.is_empty():
            site.send_again("registration", again)
            site.note_rows("registration", again)
            site.add("registration", again, {"practice_code": to_successor})


def _bring_reference(site: Site) -> None:
    """Let the reference rows of practices hit be in this extract, where the county did not send them again."""
    before = site.ground.history.get("practice")
    if before is None or not site.is_delta:
        return
    again = site.not_sent("practice", before.filter(pl.col("practice_code").is_in(site.hit)))
    if not again.is_empty():
        site.send_again("practice", again)
        table = site.ground.tables["practice"]
        table.written = pl.concat([table.written, again])
        table.meant = pl.concat([table.meant, again])
        table.used = np.concatenate([table.used, np.zeros(again.height, dtype=np.bool_)])


def _small_list(site: Site) -> None:
    """End registrations until fewer than 500 are left; nothing is ended where there are fewer anyhow."""
    if site.scene.practice_code not in site.hit:
        return
    cutoff = site.scene.cutoff
    here = _IS_CURRENT & (pl.col("practice_code") == site.scene.practice_code)
    if site.scene.week:
        picked = site.take("registration", site.had_it_before("registration"))
    else:
        able = site.able("registration", here)
        old = site.able("registration", here & (pl.col("start_date") < (cutoff - timedelta(days=40)).isoformat()))
        if len(able) < _SMALL:
            row = pl.DataFrame({"practice_code": [site.scene.practice_code], "org_code": [site.scene.practice_code]})
            site.note_rows("practice", row, "a list below 500 as it is")
            return
        leaving = min(len(able) - _LEFT_IN_A_SMALL, len(old))
        picked = site.take("registration", np.sort(site.scene.rng.choice(old, size=leaving, replace=False)))
    site.note(picked, "left with most of the list")
    first = cutoff - timedelta(weeks=site.scene.week, days=1)
    site.both(picked, end_date=pl.lit(first) - pl.duration(days=pl.col(DRAW) % 28), end_reason="transfer")


def _gp_tables(tables: Tables) -> list[str]:
    return [name for name, frame in tables.items() if {"org_code", "source_patient_id"} <= set(frame.columns)]


def _fewer_rows(site: Site) -> None:
    hit = site.hit_this_week
    if not site.scene.week or not hit:
        return
    tables = [name for name in _gp_tables({name: t.written for name, t in site.ground.tables.items()})
              if name != "opt_out"]  # fmt: skip
    of_hit = pl.col("org_code").is_in(hit)
    records = pl.concat([site.frame(name).filter(of_hit).select(_RECORD) for name in tables]).unique().sort(_RECORD)
    records = records.drop_nulls()
    if records.is_empty():
        return
    site.note_rows("patient", records)
    come = records.filter(pl.Series(site.scene.rng.random(records.height) < _SHARE_THAT_COMES))
    history, is_delta = site.ground.history, site.is_delta

    def act(written: Tables, meant: Tables) -> None:
        for name in tables:
            written[name] = written[name].filter(~of_hit.fill_null(False) | _of_records(come).fill_null(False))
            meant[name] = meant[name].filter(~of_hit.fill_null(False))
            if not is_delta and name in history:  # the last good slice stays
                meant[name] = pl.concat([meant[name], history[name].filter(of_hit)])

    site.ground.afterwards.append(act)


def _deactivated(site: Site) -> None:
    hit = site.hit
    closed = site.scene.cutoff - timedelta(weeks=site.scene.week, days=30)
    site.both(_reference_rows(site), valid_to=closed.isoformat())
    tables = [name for name in _gp_tables({name: t.written for name, t in site.ground.tables.items()})
              if name != "opt_out"]  # fmt: skip
    of_hit = pl.col("org_code").is_in(hit).fill_null(False)
    people = site.frame("patient")
    if not people.is_empty():
        elsewhere = _with_number(site, site.frame("registration")).filter(_IS_CURRENT & ~of_hit)
        moved = pl.col("nhs_number").is_in(elsewhere["nhs_number"].drop_nulls().implode()).fill_null(False)
        gone = people.filter(of_hit)
        site.note_rows("patient", gone.filter(~moved))
        site.note_rows("patient", gone.filter(moved), "old record at a deactivated practice", expects="as_meant")

    def act(written: Tables, meant: Tables) -> None:
        for name in tables:
            written[name], meant[name] = (each[name].filter(~of_hit) for each in (written, meant))

    site.ground.afterwards.append(act)


SPOILERS: Mapping[str, Callable[[Site], None]] = {
    "P1": _still_open,
    "P2": _temporary,
    "P3": _dead_and_registered,
    "P4": _merged,
    "S1": _small_list,
    "F10": _fewer_rows,
    "F12": _deactivated,
}
