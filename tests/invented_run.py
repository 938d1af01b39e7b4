"""A finished run in little: invented core tables worked out by a rule book, laid out as a run leaves them.

For tests of what reads a finished run. No ingest, no publishing; the reckoning and the routing are the real ones, and
the week is the first unless standings are given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

import invented
from stratify import follow_up, ingest, memory, routing, weeks
from stratify.contract_frames import empty, schema_of
from stratify.hits import SOURCE_TABLES
from stratify.reckoning import decide_everybody, score_everybody, work_values
from stratify.rulebook import RuleBook
from stratify.store import open_store

REST = ("death", "registration", "clinic_capacity", "practice")


def make(
    out: Path,
    book: RuleBook,
    persons: Iterable[Mapping[str, Any]],
    tables: Mapping[str, pl.DataFrame],
    *,
    index_date: date,
    more: Mapping[str, Sequence[Mapping[str, Any]]],
    standings: memory.Standings | None = None,
    most_minutes: Mapping[str, int] = MappingProxyType({}),
) -> pl.DataFrame:
    """Make the run folder, and give ``derived.placement``.

    Args:
        out: The output folder.
        book: The rule book.
        persons: Rows of ``core.person``.
        tables: The core tables that variables read.
        index_date: The day the run describes.
        more: Rows of ``core.death``, ``core.registration`` and ``core.clinic_capacity``; none where absent.
        standings: Where people stand after earlier weeks; without it the week is the first.
        most_minutes: The setting ``most_minutes_a_week``.
    """
    restricted = out / "restricted"
    restricted.mkdir(parents=True)
    settings = {"index_date": index_date.isoformat(), "most_minutes_a_week": dict(most_minutes)}
    plan = {"settings": settings, "run_id": "invented", "is_test": True, "rule_digest": book.digest}
    (restricted / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with open_store(restricted / "run.duckdb", temp_directory=out / "scratch") as store:
        everybody = invented.frame("core.person", persons)
        store.create("core.person", everybody)
        for name in SOURCE_TABLES:
            store.create(f"core.{name}", tables[name])
        for name in REST:
            store.create(f"core.{name}", invented.frame(f"core.{name}", more.get(name, ())))
        ingest.match_codes(store, list(book.codelists.values()))
        work_values(store, book, index_date=index_date)
        score_everybody(store, book, index_date=index_date)
        decide_everybody(store, book, index_date=index_date)
        decisions = store.frame("SELECT * FROM derived.pathway_decision WHERE decision <> 'not_eligible'")
        placed = routing.place(
            decisions,
            everybody,
            store.frame("SELECT * FROM derived.variable_value"),
            store.frame("SELECT * FROM core.clinic_capacity"),
            book,
            index_date=index_date,
            standing=standings,
            most_minutes=most_minutes,
        )
        week = weeks.Week(index_date, book, dict(standings or {}))
        follow_up.after_placing(week, placed, decisions)
        shown = weeks.described(week, placed, decisions, empty("audit.list_row"))
        store.create("derived.placement", shown)
        steps = [_step_before(key, each, index_date) for key, each in sorted((standings or {}).items())]
        earlier = pl.DataFrame(steps, schema=schema_of("audit.transition"), orient="row")
        store.create("audit.transition", pl.concat([earlier, week.transitions("invented")]))
    return shown


def _step_before(key: memory.Key, standing: memory.Standing, index_date: date) -> dict[str, Any]:
    """Give the step of an earlier week that led to a standing."""
    names = ("practice_code", "clinic_id", "tier", "tier_rank")
    return {name: getattr(standing, name) for name in names} | {
        "week": index_date - timedelta(weeks=1), "run_id": "earlier", "patient_key": key[0], "pathway": key[1],
        "position": 1, "from_state": "new", "to_state": standing.state, "effective_date": standing.since,
        "cause": "answer", "cause_text": standing.why, "by": "GP_RECORD", "until_date": standing.until,
    }  # fmt: skip
