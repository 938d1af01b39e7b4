"""A change tried on a finished run: from its people to counts, and from those to what the change would do.

Who is on a list today is what the run placed. Only the pathways that the change touches are decided again, only for
those who may be on them, now and as of the look back (``whatif_past``). All else is on counts. Writes nothing into what
the run gave; the look back is kept beside it, for the next question.

What others get to see of it is under disclosure control, like everything counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from stratify import contracts, ingest, whatif, whatif_past, whatif_places, whatif_queue
from stratify.approvals import COMPARATORS
from stratify.errors import RunError, SettingsError
from stratify.publish import WhatIf, protected_lists
from stratify.rule_changes import count_moves
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import without_values
from stratify.store import Store, open_store
from stratify.whatif_changes import Changes, changed_book, read_loads
from stratify.whatif_deciding import COLUMNS, decide_candidates, keep_values

SIDES = ("today", "changed")
_CELL = ["clinic_id", "practice_code"]
_TIMES = {"now": "run", "then": "past"}
"""The attached database that has the people and values of each day."""


@dataclass(frozen=True)
class _Run:
    """A finished run, and both rule books."""

    restricted: Path
    run_id: str
    index_date: date
    is_test: bool
    limits: dict[str, Any]
    most_minutes: Mapping[str, int]
    books: Mapping[str, RuleBook]

    def day(self, time: str) -> date:
        return self.index_date if time == "now" else whatif_past.day_then(self.index_date)


@without_values
def try_out(changes: Changes, out: Path, *, clinical: Path | None = None) -> WhatIf:
    """Work out what a change would do to the lists of a finished run.

    Args:
        changes: What is tried.
        out: Output folder of a finished run.
        clinical: The definitions that the run used, where they lie elsewhere by now.

    Raises:
        RunError: the folder holds no finished run, or one with other definitions.
        RuleError: a change does not fit the definitions.
        SettingsError: a change names a clinic, pathway or practice that is not there.
    """
    run = _opened(changes, out, clinical)
    past = whatif_past.look_back(run.restricted, run.books["today"], run.index_date, run.limits)
    with (
        TemporaryDirectory(prefix=".whatif-", dir=past.parent) as name,
        open_store(Path(":memory:"), temp_directory=Path(name), **run.limits) as store,
    ):
        store.attach(run.restricted / "run.duckdb", "run", read_only=True)
        store.attach(past, "past", read_only=True)
        _check_names(changes, run, store)
        _decide_again(store, run)
        return _compare(store, run, changes, clinical)


def _opened(changes: Changes, out: Path, clinical: Path | None) -> _Run:
    restricted = (out / "restricted").resolve()
    if not (restricted / "plan.json").is_file():
        raise RunError(
            f"output folder {out.name}",
            expected="a finished run",
            found="none",
            action="Run first, or name its folder.",
        )
    plan = json.loads((restricted / "plan.json").read_text(encoding="utf-8"))
    settings = plan["settings"]
    folder = clinical or (Path(settings["clinical"]) if settings.get("clinical") else None)
    book = load_rule_book(folder)
    if plan.get("rule_digest", book.digest) != book.digest:
        raise RunError(
            f"output folder {out.name}",
            expected="the definitions that the run used",
            found="others",
            action="Name those with --clinical, or run again.",
        )
    return _Run(
        restricted,
        plan.get("run_id", "not known"),
        date.fromisoformat(settings["index_date"]),
        bool(plan.get("is_test", False)),
        {name: settings.get(name) for name in ("memory_limit", "threads")},
        settings.get("most_minutes_a_week") or {},
        {"today": book.for_pathways, "changed": changed_book(book, changes).for_pathways},
    )


def _moving(run: _Run) -> tuple[str, ...]:
    """Give the pathways that the changed rule book may decide otherwise."""
    today, changed = (run.books[side] for side in SIDES)

    def content(book: RuleBook, name: str) -> object:
        own = book.cut_down_to(name)
        return own.pathways, own.scores, own.variables, own.measurements, own.codelists

    return tuple(
        name
        for name in sorted(changed.pathways)
        if name not in today.pathways or content(today, name) != content(changed, name)
    )


def _read_otherwise(run: _Run) -> tuple[str, ...]:
    """Give the variables of the changed rule book that the run did not work out, or from other codes."""
    today, changed = (run.books[side] for side in SIDES)

    def content(book: RuleBook, name: str) -> object:
        lists = {each: book.codelists.get(each) for each in sorted(book.codelists_of(name))}
        return book.variables[name], lists

    is_alike = today.measurements == changed.measurements
    return tuple(
        name
        for name in sorted(changed.variables)
        if name not in today.variables or not is_alike or content(today, name) != content(changed, name)
    )


# ----------------------------------------------------------------------------------- what the change decides otherwise


def _decide_again(store: Store, run: _Run) -> None:
    """Make ``work.changed_now`` and ``work.changed_then``: what changed pathways decide; and ``work.today_then``."""
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    moving, fresh = _moving(run), _read_otherwise(run)
    if moving and fresh:
        for time in _TIMES:
            _read_again(store, run, time, fresh)
    for time in _TIMES:
        store.define(contracts.load("derived.pathway_decision"), f"work.changed_{time}")
        for name in moving:
            _decide_pathway(store, run, time, name, fresh)
    store.execute("CREATE VIEW work.today_then AS SELECT * FROM past.work.decision")
    if store.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE database_name = 'run' AND {_IS_COMPARATORS}"):
        # Where a pathway is off, it is off with the change too, and was off then as far as newcomers go.
        store.execute(f"CREATE TABLE work.off AS {_OFF}")
        off = "FROM {}.core.person AS p JOIN work.off AS o ON o.practice_code IS NOT DISTINCT FROM p.practice_code)"
        for time, source in _TIMES.items():
            gone = f"(patient_key, pathway) IN (SELECT patient_key, pathway {off.format(source)}"
            store.execute(f"DELETE FROM work.changed_{time} WHERE {gone}")
        store.execute(f"CREATE OR REPLACE VIEW work.today_then AS SELECT * FROM past.work.decision WHERE NOT {gone}")


_IS_COMPARATORS = "schema_name || '.' || table_name = '" + COMPARATORS + "'"
_OFF = f"SELECT DISTINCT pathway, practice_code FROM run.{COMPARATORS} JOIN run.core.person USING (patient_key)"


def _read_again(store: Store, run: _Run, time: str, fresh: Sequence[str]) -> None:
    """Work variables out from the records of everybody who is asked: the run has no values of them."""
    asked = "run.core.person" if time == "now" else "past.work.asked_person"
    whatif_past.with_records(store, asked)
    book = run.books["changed"]
    own = book.cut_down_to(*(name for name in fresh if book.variables[name].take != "given"))
    named = {name for each in own.variables.values() for name in each.codelists}
    lists = [each for name, each in own.codelists.items() if name in named]
    if any(run.books["today"].codelists.get(each.id) != each for each in lists):
        if time == "now":
            ingest.match_codes(store, lists)
    else:
        store.execute("CREATE OR REPLACE VIEW derived.code_match AS SELECT * FROM run.derived.code_match")
    keep_values(store, f"work.values_{time}", own, index_date=run.day(time))


def _decide_pathway(store: Store, run: _Run, time: str, name: str, fresh: Sequence[str]) -> None:
    source, book = _TIMES[time], run.books["changed"]
    values = f"{source}.derived.variable_value"
    if set(fresh) & set(book.cut_down_to(name).variables):
        others = f"SELECT {COLUMNS} FROM {values} WHERE variable NOT IN ({_quoted(fresh)})"
        again = f"SELECT {COLUMNS} FROM work.values_{time}"
        store.execute(f"CREATE OR REPLACE VIEW work.value AS {others} UNION ALL BY NAME {again}")
        values = "work.value"
    decide_candidates(
        store, book, name, index_date=run.day(time), people=f"{source}.core.person", values=values,
        into=f"work.changed_{time}",
    )  # fmt: skip


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "''"


# -------------------------------------------------------------------------------------------------- lists and forecasts


@dataclass(frozen=True)
class _Known:
    """What is known of capacity and bookings, alike on both sides."""

    capacity: pl.DataFrame
    sessions: pl.DataFrame
    booked: pl.DataFrame
    asked: pl.DataFrame
    networks: Mapping[str, str]


def _compare(store: Store, run: _Run, changes: Changes, clinical: Path | None) -> WhatIf:
    _remember(store, run)
    capacity = store.frame("SELECT * FROM run.core.clinic_capacity")
    known = _Known(
        capacity,
        whatif_places.planned_sessions(capacity, run.index_date, run.most_minutes),
        store.frame("SELECT clinic_id, practice_code, until FROM work.booked ORDER BY ALL"),
        store.frame("SELECT patient_key FROM past.work.asked_person"),
        dict(store.rows(_NETWORKS)),
    )
    rules = whatif.Rules(
        share=float(store.scalar("SELECT share FROM past.work.share")),
        did_not_attend_percent=changes.assume.did_not_attend_percent,
        review_after_weeks=changes.assume.review_after_weeks,
    )
    people: dict[str, pl.DataFrame] = {}
    lists: list[pl.DataFrame] = []
    weeks: list[pl.DataFrame] = []
    forecasts: dict[str, whatif.Forecast] = {}
    lanes = _in_lanes(store, run, "today", changes)
    for side in SIDES:
        if side == "changed" and _moving(run):
            lanes = _in_lanes(store, run, side, changes)
        no_limit = frozenset(
            each.id
            for pathway in run.books[side].pathways.values()
            for each in pathway.clinics
            if not each.needs_capacity
        )
        queues, places = _queues(run, lanes, changes if side == "changed" else Changes(), known, no_limit)
        if side == "today":
            rules = replace(rules, replicates=whatif.replicates_for(queues.cells))
        forecasts = whatif.simulate(queues, rules, forecasts)
        on_lists = lanes.filter("is_now", pl.col("back_in") == 0, ~pl.col("clinic_id").is_in(no_limit))
        people[side] = whatif.week_of_place(on_lists, forecasts)
        weekly = places.group_by("clinic_id").agg(capacity=pl.col("places").sum() / whatif.WEEKS)
        named = pl.lit(side).alias("side")
        weeks.append(whatif.summary(forecasts).join(weekly, on="clinic_id", how="left").select(named, pl.all()))
        lists.append(whatif.summary(forecasts, _CELL).select(named, pl.all()))
    _note_outcomes(store, run, people)
    return WhatIf(
        title=changes.title,
        tried=changes.in_words,
        run_id=run.run_id,
        index_date=run.index_date,
        is_test=run.is_test,
        digests={side: run.books[side].digest[:16] for side in SIDES},
        changes_digest=hashlib.sha256(changes.model_dump_json().encode()).hexdigest()[:16],
        labels=_labels(run.books),
        weeks=pl.concat(weeks),
        lists=protected_lists(pl.concat(lists)),
        waits=_waits(people),
        moved=count_moves(store),
        minutes=_minutes(capacity),
        loads=tuple(each.model_dump() for each in (changes.loads or read_loads(clinical))),
        share_looked_back=rules.share,
        look_back_weeks=whatif.LOOK_BACK_WEEKS,
        assumed=changes.assume.model_dump(),
    )


def _queues(
    run: _Run, lanes: pl.DataFrame, tried: Changes, known: _Known, no_limit: frozenset[str]
) -> tuple[whatif.Queues, pl.DataFrame]:
    """Give every list of a side with the places it has, and all places there are, booked or not."""
    has_sessions = ~pl.col("clinic_id").is_in(no_limit)
    cells, moves, returning = whatif_queue.count_lanes(lanes.filter(has_sessions), known.asked, tried)
    moved = whatif_places.changed_capacity(tried, cells, known.sessions, known.networks)
    places = whatif.places_by_week(known.sessions, moved)
    minutes = whatif_places.minutes_of_places(known.capacity, moved, run.index_date, run.most_minutes)
    free = whatif_places.first_sessions(
        known.capacity, places, moved, known.networks, run.index_date, minutes, run.most_minutes
    )
    whatif_places.take_booked(known.booked, free)
    may = lanes.filter("is_now", pl.col("back_in") == 0, "may_have_place")
    later = cells.filter(pl.col("starts") > 0)
    may = may.join(later, on=[*_CELL, "lane"], how="anti", maintain_order="left")
    first = whatif_queue.first_week(may, free, no_limit).filter(has_sessions)
    unbooked = whatif_places.without_booked(places, known.booked, known.networks, run.index_date)
    queues = whatif.Queues(
        cells,
        moves,
        unbooked,
        returning,
        first.group_by(*_CELL, "lane").agg(people_count=pl.len().cast(pl.Int64)).sort(*_CELL, "lane"),
        known.networks,
        minutes,
        whatif_places.minutes_left(places, unbooked, minutes, run.most_minutes),
        whatif_queue.turns(lanes) if run.most_minutes else whatif_queue.turns(lanes.clear()),
    )
    return queues, places


_NETWORKS = """SELECT practice_code, max(pcn_code) FROM (
    SELECT practice_code, pcn_code FROM run.core.person UNION ALL SELECT practice_code, pcn_code FROM run.core.practice)
WHERE practice_code IS NOT NULL AND pcn_code IS NOT NULL GROUP BY ALL ORDER BY ALL"""


def _remember(store: Store, run: _Run) -> None:
    """Make ``work.memory`` and ``work.booked``: what the run remembers of people, as far as places go.

    ``work.memory`` has a row per person and pathway of the run: ``waiting_since``; ``is_off`` for whoever is on no list
    for now, with ``back_in`` weeks where there is a day; ``may_have_place`` in the coming week.
    """
    day = f"DATE '{run.index_date.isoformat()}'"
    store.execute(_LATEST_STEPS)
    store.execute(
        "CREATE TABLE work.booked AS SELECT clinic_id, practice_code, until FROM work.latest_step "
        "WHERE state = 'booked' AND clinic_id IS NOT NULL AND practice_code IS NOT NULL"
    )
    settles = " ".join(
        f"WHEN '{name}' THEN {pathway.follow_up.booking_settles_after_days}"
        for name, pathway in sorted(run.books["today"].pathways.items())
    )
    store.execute(
        _MEMORY.replace("$day", day).replace("$settles", f"CASE pathway {settles or 'WHEN NULL THEN 0'} ELSE 0 END")
    )


_LATEST_STEPS = """
CREATE TABLE work.latest_step AS
WITH step AS (
    SELECT patient_key, pathway, to_state, clinic_id, practice_code, until_date,
        (week - DATE '2000-01-01') * 1000000 + position AS place,
        from_state <> to_state OR cause IN ('answer', 'missed_twice') AS is_begin
    FROM run.audit.transition WHERE cause <> 'answer_noted'),
latest AS (
    SELECT patient_key, pathway, max(place) AS last, max(place) FILTER (is_begin) AS began FROM step GROUP BY ALL)
SELECT n.patient_key, n.pathway, s.to_state AS state, s.clinic_id, s.practice_code, b.until_date AS until
FROM latest AS n
JOIN step AS s ON s.patient_key = n.patient_key AND s.pathway = n.pathway AND s.place = n.last
LEFT JOIN step AS b ON b.patient_key = n.patient_key AND b.pathway = n.pathway AND b.place = n.began
"""
"""Where each person stands, as ``memory.standings`` adds it up, as far as a forecast asks."""

_MEMORY = """
CREATE TABLE work.memory AS
SELECT p.patient_key, p.pathway, p.waiting_since, p.is_off, p.placement <> 'list_held' AND NOT (
        p.placement = 'held' AND p.decision = 'clinic' AND NOT EXISTS (
            SELECT 1 FROM run.derived.placement AS o WHERE o.patient_key = p.patient_key AND (
                o.placement = 'listed' OR (o.placement = 'waiting' AND o.clinic_id = p.clinic_id)))
    ) AS may_have_place,
    CASE WHEN NOT is_off THEN 0 WHEN p.state = 'review' THEN NULL
        WHEN p.state = 'booked' THEN (s.until + $settles - $day + 6) // 7 ELSE (s.until - $day + 6) // 7 END AS back_in,
    p.state IS NOT DISTINCT FROM 'booked' AS is_booked, p.state, p.placement, p.decision,
    p.placement = 'list_held' OR (p.placement = 'held' AND NOT EXISTS (
        SELECT 1 FROM run.derived.placement AS o
        WHERE o.patient_key = p.patient_key AND o.placement IN ('listed', 'waiting', 'offered'))) AS is_set_aside
FROM (
    SELECT *, coalesce(state = 'review' OR (placement = 'not_listed' AND decision <> 'excluded'
        AND (decision = 'clinic' OR state NOT IN ('activated', 'offered'))), false) AS is_off
    FROM run.derived.placement) AS p
LEFT JOIN work.latest_step AS s USING (patient_key, pathway)
"""


def _in_lanes(store: Store, run: _Run, side: str, changes: Changes) -> pl.DataFrame:
    """Give who is on each clinic's list, or comes back to it, and who was at the look back, in order and in lanes.

    Returns:
        Rows of ``whatif_queue.in_lanes``, with ``back_in``, ``chance`` and ``may_have_place``.
    """
    book = run.books[side]
    missed = changes.assume.did_not_attend_percent / 100
    names = _quoted(book.published)
    decided = {time: _decided(run, side, time) for time in _TIMES}
    people = pl.concat(
        store.frame(
            sql.replace("$decided", decided[time]).replace("$names", names)
            .replace("$day", f"DATE '{run.day(time).isoformat()}'")
        )
        for time, sql in (("now", _PEOPLE_NOW), ("then", _PEOPLE_THEN))
    )  # fmt: skip
    fresh = _read_otherwise(run) if side == "changed" and _moving(run) else ()
    ranking = _quoted(whatif_queue.ranking_of(book))
    parts = []
    for time, source in _TIMES.items():
        tables = [f"(SELECT * FROM {source}.derived.variable_value WHERE variable NOT IN ({_quoted(fresh)}))"]
        tables += [f"work.values_{time}"] if fresh else []
        parts += [
            f"SELECT patient_key, {str(time == 'now').lower()} AS is_now, variable, value FROM {table} "
            f"WHERE variable IN ({ranking}) AND state = 'known' AND patient_key IN "
            f"(SELECT patient_key FROM ({decided[time]}) WHERE decision = 'clinic')"
            for table in tables
        ]
    values = store.frame(" UNION ALL ".join(parts))
    lanes = whatif_queue.in_lanes(whatif_queue.in_order(people, values, book))
    return lanes.with_columns(chance=pl.when("is_booked").then(missed).otherwise(1.0))


def _decided(run: _Run, side: str, time: str) -> str:
    """Give the query for what is decided at a time, on a side."""
    found = f"SELECT * FROM {'run.derived.pathway_decision' if time == 'now' else 'work.today_then'}"
    if side == "changed":
        gone = [*_moving(run), *(set(run.books["today"].pathways) - set(run.books["changed"].pathways))]
        found = f"SELECT * FROM ({found}) WHERE pathway NOT IN ({_quoted(gone)}) "
        found += f"UNION ALL BY NAME SELECT * FROM work.changed_{time}"
    return found


_PEOPLE_NOW = """
SELECT d.patient_key, true AS is_now, d.pathway, d.clinic_id, p.practice_code, d.tier_rank, d.tier_value, p.imd_decile,
    p.age_years, ($day - coalesce(m.waiting_since, $day))::BIGINT AS waited_days,
    coalesce(m.back_in, 0)::BIGINT AS back_in,
    coalesce(m.may_have_place, true) AS may_have_place, coalesce(m.is_booked, false) AS is_booked
FROM ($decided) AS d
JOIN run.core.person AS p USING (patient_key)
LEFT JOIN work.memory AS m USING (patient_key, pathway)
WHERE d.decision = 'clinic' AND p.practice_code IS NOT NULL AND d.clinic_id IS NOT NULL AND pathway IN ($names)
    AND (NOT coalesce(m.is_off, false) OR m.back_in >= 1)
ORDER BY ALL
"""
_PEOPLE_THEN = """
SELECT d.patient_key, false AS is_now, d.pathway, d.clinic_id, p.practice_code, d.tier_rank, d.tier_value, p.imd_decile,
    p.age_years, greatest($day - coalesce(m.waiting_since, $day), 0)::BIGINT AS waited_days, 0::BIGINT AS back_in,
    true AS may_have_place, false AS is_booked
FROM ($decided) AS d
JOIN past.core.person AS p USING (patient_key)
LEFT JOIN work.memory AS m USING (patient_key, pathway)
WHERE d.decision = 'clinic' AND p.practice_code IS NOT NULL AND d.clinic_id IS NOT NULL AND pathway IN ($names)
    AND NOT coalesce(m.is_off, false)
ORDER BY ALL
"""


def _check_names(changes: Changes, run: _Run, store: Store) -> None:
    pathways = run.books["changed"].pathways
    clinics = {each.id for pathway in pathways.values() for each in pathway.clinics}
    practices = {name for row in store.rows(_NETWORKS) for name in row}
    practices |= {name for (name,) in store.rows("SELECT DISTINCT practice_code FROM run.core.person")}
    named = [("clinic", each.clinic, clinics) for each in changes.capacity]
    named += [("pathway", each.pathway, set(pathways)) for each in changes.switch_on]
    asked = [each.practices for each in changes.capacity] + [each.practices for each in changes.switch_on]
    named += [("practice", practice, practices) for part in asked for practice in part]
    wrong = sorted({f"{kind} {name}" for kind, name, known in named if name not in known})
    if wrong:
        raise SettingsError(
            "the changes to try",
            expected="clinics and pathways of the definitions, practices and networks of the run",
            found=f"others: {', '.join(wrong)}",
            action="Correct the names.",
        )


def _note_outcomes(store: Store, run: _Run, people: Mapping[str, pl.DataFrame]) -> None:
    """Say of each person what comes of them at each clinic, on each worklist, and on each pathway that is touched."""
    week = pl.when(pl.col("week").is_null()).then(pl.lit(WAITS)).otherwise(pl.lit(REACHED))
    sides = [people[side].select("clinic_id", "patient_key", week.alias(side)) for side in SIDES]
    both = sides[0].join(sides[1], on=["clinic_id", "patient_key"], how="full", coalesce=True)
    with store.loaned(both.with_columns(pl.col(side).fill_null(OFF) for side in SIDES)) as rows:
        store.execute(
            "CREATE TABLE work.everybody AS SELECT 'clinic ' || clinic_id AS definition, patient_key, today AS before, "
            f"changed AS after FROM {rows}"
        )
    moving = _moving(run)
    if moving:
        store.execute(
            "INSERT INTO work.everybody SELECT 'pathway ' || pathway, patient_key, "
            "coalesce(o.decision || coalesce(': ' || o.clinic_id, ''), 'not on the pathway'), "
            "coalesce(n.decision || coalesce(': ' || n.clinic_id, ''), 'not on the pathway') "
            f"FROM (SELECT * FROM run.derived.pathway_decision WHERE pathway IN ({_quoted(moving)})) AS o "
            "FULL JOIN work.changed_now AS n USING (patient_key, pathway)"
        )
    one, other = (_worklists(run, side) for side in SIDES)
    store.execute(
        "INSERT INTO work.everybody SELECT 'worklist ' || worklist, patient_key, "
        f"CASE WHEN o.is_on THEN '{ON_IT}' ELSE '{OFF}' END, CASE WHEN n.is_on THEN '{ON_IT}' ELSE '{OFF}' END "
        f"FROM ({one}) AS o FULL JOIN ({other}) AS n USING (patient_key, worklist)"
    )
    store.execute(
        "CREATE TABLE work.outcome AS SELECT * FROM work.everybody "
        "SEMI JOIN (SELECT * FROM run.core.person WHERE may_be_counted) USING (patient_key)"
    )
    store.execute("CREATE OR REPLACE VIEW core.person AS SELECT * FROM run.core.person")


def _worklists(run: _Run, side: str) -> str:
    """Give the query for who is on which worklist, or has an offer: one action a person, a clinic's list before all."""
    return (
        _WORKLISTS.replace("$decided", _decided(run, side, "now"))
        .replace("$names", _quoted(run.books[side].published))
        .replace("$no_practice", "SELECT patient_key FROM run.core.person WHERE practice_code IS NULL")
    )


_WORKLISTS = """
SELECT patient_key, ['clinic', 'assessment', 'clinician_review', 'call', 'self_management'][first] AS worklist,
    true AS is_on
FROM (
    SELECT patient_key, min(list_position(['clinic', 'assessment', 'clinician_review', 'call', 'self_management'],
        CASE WHEN m.state = 'review' THEN 'clinician_review'
            WHEN m.state = 'stepped_up' AND d.decision = 'self_management' THEN 'call' ELSE d.decision END)) AS first
    FROM ($decided) AS d LEFT JOIN work.memory AS m USING (patient_key, pathway)
    WHERE d.decision NOT IN ('excluded', 'not_eligible') AND pathway IN ($names)
        AND patient_key NOT IN ($no_practice) AND NOT coalesce(m.is_set_aside, false)
        AND NOT coalesce(m.placement = 'not_listed' AND m.decision = d.decision AND m.state <> 'review', false)
        AND NOT coalesce(m.is_off AND m.state <> 'review', false)
    GROUP BY patient_key)
WHERE first > 1
"""


OFF = "not on the list"
ON_IT = "on the list"
REACHED = f"has a place within {whatif.WEEKS} weeks"
WAITS = f"still waits after {whatif.WEEKS} weeks"


def _waits(people: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Give the week in which half of those on each list today have a place, where there are enough to tell."""
    found = [
        frame.group_by("clinic_id")
        .agg(people=pl.len(), median_week=pl.col("week").fill_null(whatif.WEEKS).median())
        .select(pl.lit(side).alias("side"), "clinic_id", "people", "median_week")
        for side, frame in people.items()
    ]
    return pl.concat(found).sort("side", "clinic_id")


def _minutes(capacity: pl.DataFrame) -> pl.DataFrame:
    """Give the minutes that each role has for one place at each clinic, as the sessions say."""
    found = capacity.filter(pl.col("minutes_per_slot").is_not_null())
    return found.group_by("clinic_id", "role").agg(minutes=pl.col("minutes_per_slot").mean()).sort("clinic_id", "role")


def _labels(books: Mapping[str, RuleBook]) -> dict[str, str]:
    return {
        each.id: each.label for side in SIDES for pathway in books[side].pathways.values() for each in pathway.clinics
    }
