"""A change tried on a finished run: from its people to counts, and from those to what the change would do.

The part per person is done once, in the store: who is on each clinic's list under both sets of definitions, and who was
some weeks ago, worked out from the same records as they stood then. All else is on counts. Writes nothing into the run.

What others get to see of it is under disclosure control, like everything counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from stratify import contracts, hits, pools, routing, whatif
from stratify.errors import RunError, SettingsError
from stratify.publish import WhatIf, protected_lists
from stratify.reckoning import decide_everybody, scored_table, work_values
from stratify.rule_changes import count_moves, reckon
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import without_values
from stratify.store import Store, open_store
from stratify.whatif_changes import Changes, changed_book, read_loads

MOST_LOOKED_BACK = 200_000
"""People whom the look back works out; of more, a share chosen by their pseudonym."""

SIDES = ("today", "changed")
_CELL = ["clinic_id", "practice_code"]


@dataclass(frozen=True)
class _Run:
    """A finished run, and both rule books."""

    restricted: Path
    run_id: str
    index_date: date
    is_test: bool
    limits: dict[str, Any]
    books: Mapping[str, RuleBook]

    @property
    def then(self) -> date:
        return self.index_date - timedelta(weeks=whatif.LOOK_BACK_WEEKS)


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
    with TemporaryDirectory(prefix=".whatif-", dir=run.restricted) as name:
        scratch = Path(name)
        with open_store(scratch / "then.duckdb", temp_directory=scratch, **run.limits) as store:
            share = _look_back(store, run)
        with open_store(scratch / "now.duckdb", temp_directory=scratch, **run.limits) as store:
            store.attach(run.restricted / "run.duckdb", "run", read_only=True)
            store.attach(scratch / "then.duckdb", "past", read_only=True)
            _decide_now(store, run)
            return _compare(store, run, changes, share, clinical)


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


def _reads_alike(run: _Run) -> bool:
    """Tell whether both rule books read the records alike, so that values once worked out hold for both."""
    today, changed = (run.books[side] for side in SIDES)
    same = today.codelists == changed.codelists and today.measurements == changed.measurements
    return same and all(today.variables.get(name, each) == each for name, each in changed.variables.items())


# ------------------------------------------------------------------------------------------ who is, and was, on a list


def _look_back(store: Store, run: _Run) -> float:
    """Work out who would have been where some weeks ago, for a share of the people; give the share."""
    store.attach(run.restricted / "run.duckdb", "run", read_only=True)
    count = int(store.scalar("SELECT count(*) FROM run.core.person"))
    parts = max(1, min(256, 256 * MOST_LOOKED_BACK // max(count, 1)))
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    store.execute(
        "CREATE TABLE work.asked_person AS SELECT patient_key FROM run.core.person "
        "WHERE $1 = 256 OR ('0x' || substr(md5(patient_key), 1, 2))::INTEGER < $1",
        [parts],
    )
    store.execute(_PERSON_THEN.replace("$then", f"DATE '{run.then.isoformat()}'"))
    for name in hits.SOURCE_TABLES:
        store.execute(f"CREATE VIEW core.{name} AS SELECT * FROM run.core.{name} SEMI JOIN work.asked_person "
                      "USING (patient_key)")  # fmt: skip
    store.execute("CREATE VIEW derived.code_match AS SELECT * FROM run.derived.code_match")
    if _reads_alike(run):
        _values_then(store, run, _together(run))
    for side, names in (("today", tuple(run.books["today"].pathways)), ("changed", _moving(run))):
        if not _reads_alike(run):
            _values_then(store, run, run.books[side])
        _decide(store, run.books[side], names, run.then)
        store.execute(f"CREATE TABLE work.{side} AS SELECT * FROM derived.pathway_decision")
    _keep_the_rest(store, "work.today", "work.changed", run)
    return parts / 256


_PERSON_THEN = """
CREATE TABLE core.person AS
SELECT p.* REPLACE (
    CASE WHEN p.date_of_birth IS NULL THEN p.age_years
        ELSE greatest(date_sub('year', p.date_of_birth, $then), 0) END AS age_years,
    CASE WHEN is_here THEN p.practice_code ELSE r.practice_code END AS practice_code,
    CASE WHEN is_here THEN p.registered_date ELSE r.start_date END AS registered_date,
    CASE WHEN p.person_status = 'died' AND (died IS NULL OR died < $then) THEN 'died'
        WHEN is_here OR p.person_status NOT IN ('died', 'left', 'registered', 'practice_unknown') THEN p.person_status
        WHEN r.practice_code IS NOT NULL THEN 'registered' ELSE 'left' END AS person_status)
FROM (
    SELECT *, person_status IN ('registered', 'practice_unknown') AND coalesce(registered_date <= $then, true)
        AS is_here FROM run.core.person SEMI JOIN work.asked_person USING (patient_key)) AS p
LEFT JOIN (SELECT patient_key, min(date_of_death) AS died FROM run.core.death GROUP BY ALL) AS d USING (patient_key)
LEFT JOIN (
    SELECT patient_key, practice_code, start_date FROM run.core.registration
    WHERE coalesce(registration_type, 'REGULAR') = 'REGULAR' AND coalesce(start_date <= $then, true)
        AND coalesce(end_date > $then, true)
    QUALIFY row_number() OVER (PARTITION BY patient_key ORDER BY start_date DESC NULLS LAST, practice_code) = 1
) AS r USING (patient_key)
"""


def _values_then(store: Store, run: _Run, book: RuleBook) -> None:
    work_values(store, book, index_date=run.then)
    given = sorted(name for name, each in book.variables.items() if each.take == "given")
    if given:  # a function of the site's own is asked for one day only: what it said then is taken to be what it says
        store.execute(
            "INSERT INTO derived.variable_value BY NAME SELECT * FROM run.derived.variable_value "
            "SEMI JOIN work.asked_person USING (patient_key) WHERE variable IN (SELECT unnest($1))",
            [given],
        )


def _together(run: _Run) -> RuleBook:
    """Give a book with the variables of both: the changed one's, which may read fewer or more of the same."""
    today, changed = (run.books[side] for side in SIDES)
    return RuleBook(
        changed.codelists, changed.measurements, today.variables | changed.variables, {}, {}, {}, changed.digest
    )


def _decide(store: Store, book: RuleBook, names: Sequence[str], day: date) -> None:
    """Decide for some pathways on ``derived.variable_value`` and ``core.person`` of a store."""
    own = book.cut_down_to(*names)
    if not own.pathways:
        store.define(contracts.load("derived.pathway_decision"))
        return
    decide_everybody(store, own, index_date=day)
    for name in own.pathways:
        store.execute(f"DROP TABLE {scored_table(name)}")


def _keep_the_rest(store: Store, today: str, changed: str, run: _Run) -> None:
    """Take over, into the decisions of the changed rule book, those of pathways that decide as they did."""
    kept = sorted(set(run.books["changed"].pathways) - set(_moving(run)))
    store.execute(f"INSERT INTO {changed} BY NAME SELECT * FROM {today} WHERE pathway IN (SELECT unnest($1))", [kept])


def _decide_now(store: Store, run: _Run) -> None:
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    store.execute("CREATE VIEW work.today AS SELECT * FROM run.derived.pathway_decision")
    if _reads_alike(run):
        store.execute("CREATE VIEW core.person AS SELECT * FROM run.core.person")
        store.execute("CREATE VIEW derived.variable_value AS SELECT * FROM run.derived.variable_value")
        _decide(store, run.books["changed"], _moving(run), run.index_date)
        store.execute("CREATE TABLE work.changed AS SELECT * FROM derived.pathway_decision")
        _keep_the_rest(store, "work.today", "work.changed", run)
    else:
        reckon(store, run.restricted / "run.duckdb", run.books["changed"], run.index_date)
        store.execute("CREATE TABLE work.changed AS SELECT * FROM derived.pathway_decision")


# -------------------------------------------------------------------------------------------------- lists and forecasts


def _compare(store: Store, run: _Run, changes: Changes, share: float, clinical: Path | None) -> WhatIf:
    capacity = store.frame("SELECT * FROM run.core.clinic_capacity")
    _stop_if_places_are_shared(store)
    sessions = _sessions(capacity, run.index_date)
    rules = whatif.Rules(
        share=share,
        did_not_attend_percent=changes.assume.did_not_attend_percent,
        review_after_weeks=changes.assume.review_after_weeks,
    )
    _check_names(changes, run, store)
    people: dict[str, pl.DataFrame] = {}
    lists: list[pl.DataFrame] = []
    weeks: list[pl.DataFrame] = []
    for side in SIDES:
        book = run.books[side]
        if side == "today" or _moving(run) or not _reads_alike(run):
            lanes = _in_lanes(store, book, side, run.index_date)
        on_list = lanes.filter("is_now")
        cells, moves = _count_lanes(store, lanes, changes if side == "changed" else Changes())
        tried = _capacity(changes, cells) if side == "changed" else ()
        places = whatif.places_by_week(sessions, tried)
        forecast = whatif.simulate(cells, moves, places, rules)
        people[side] = whatif.week_of_place(on_list, forecast)
        weekly = places.group_by("clinic_id").agg(capacity=pl.col("places").sum() / whatif.WEEKS)
        named = pl.lit(side).alias("side")
        weeks.append(whatif.summary(forecast).join(weekly, on="clinic_id", how="left").select(named, pl.all()))
        lists.append(whatif.summary(forecast, _CELL).select(named, pl.all()))
    _note_outcomes(store, people, _moving(run))
    by_list = protected_lists(pl.concat(lists))
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
        lists=by_list,
        waits=_waits(people),
        moved=count_moves(store),
        minutes=_minutes(capacity),
        loads=tuple(each.model_dump() for each in (changes.loads or read_loads(clinical))),
        share_looked_back=share,
        look_back_weeks=whatif.LOOK_BACK_WEEKS,
        assumed=changes.assume.model_dump(),
    )


def _stop_if_places_are_shared(store: Store) -> None:
    """Refuse a run whose practices share places: a list of one practice would look as if it had none."""
    shared = store.rows(
        "SELECT DISTINCT clinic_id FROM run.core.clinic_capacity WHERE practice_code IN "
        "(SELECT pcn_code FROM run.core.practice) ORDER BY ALL"
    )
    if shared:
        raise RunError(
            "clinic capacity",
            expected="sessions of practices",
            found=f"places that practices of a network share: {', '.join(clinic for (clinic,) in shared)}",
            action="Forecasts of shared places are not worked out yet: try it on a run with sessions by practice.",
        )


def _sessions(capacity: pl.DataFrame, index_date: date) -> pl.DataFrame:
    """Give sessions and places by list and week, for the weeks that are planned."""
    rows = []
    last = capacity["clinic_date"].max()
    for week in range(whatif.WEEKS):
        start = index_date + timedelta(weeks=week)
        if not isinstance(last, date) or start > last:
            break
        rows += [(each.clinic_id, each.practice_code, week, 1, each.places)
                 for each in pools.sessions(capacity, index_date=start)]  # fmt: skip
    schema = {"clinic_id": pl.String, "practice_code": pl.String} | dict.fromkeys(
        ("week", "session_count", "places"), pl.Int64
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def _in_lanes(store: Store, book: RuleBook, side: str, day: date) -> pl.DataFrame:
    """Give who is on each clinic's list, and who was at the look back, each in a lane of the order routing has.

    Routing is asked once for both, as if they were of one practice and no place were free.

    Returns:
        ``patient_key``, ``is_now``, ``pathway``, ``clinic_id``, ``practice_code``, ``priority_rank``, and ``lane``, the
        same place in the order at every practice.
    """
    order = pl.concat([_standing(store, side, is_now=is_now) for is_now in (True, False)])
    order = order.filter(pl.col("pathway").is_in(sorted(book.published)))
    ranking = sorted({step.variable for each in book.pathways.values() for step in each.rank_by})
    names = ", ".join(f"'{name}'" for name in ranking) or "''"
    table = "derived.variable_value" if side == "changed" else "run.derived.variable_value"
    values = pl.concat(
        store.frame(
            f"SELECT * REPLACE (patient_key || '{mark}' AS patient_key) FROM {source} AS v WHERE variable IN ({names}) "
            f"AND patient_key IN (SELECT patient_key FROM {decided} WHERE decision = 'clinic')"
        )
        for mark, source, decided in (
            (_MARKS[True], table, f"work.{side}"),
            (_MARKS[False], "past.derived.variable_value", f"past.work.{side}"),
        )
    )
    placed = routing.place(
        order.select(contracts.load("derived.pathway_decision").column_names),
        order.select(
            "patient_key",
            "imd_decile",
            "age_years",
            practice_code=pl.lit("every"),
            pcn_code=pl.lit(None, pl.String),
            preferred_language=pl.lit(None, pl.String),
        ).unique("patient_key"),
        values,
        store.frame("SELECT * FROM run.core.clinic_capacity LIMIT 0"),
        book,
        index_date=day,
    )
    tier = ("clinic_id", "pathway_order", "tier_rank")
    ranks = {name: each.precedence for name, each in book.pathways.items()}
    found = (
        placed.filter(pl.col("placement") == "waiting")
        .select("patient_key", "pathway", "clinic_id", "priority_rank")
        .join(order.select("patient_key", "pathway", "is_now", "home", pl.col("tier_rank").fill_null(99)),
              on=["patient_key", "pathway"])
        .with_columns(pathway_order=pl.col("pathway").replace_strict(ranks, return_dtype=pl.Int64))
    )  # fmt: skip
    parts = (pl.len() // _PEOPLE_IN_LANE).clip(1, _MOST_LANES).over(tier)
    part = ((pl.col("priority_rank").rank("ordinal").over(tier) - 1) * parts // pl.len().over(tier)).alias("part")
    return (
        found.with_columns(part)
        .with_columns(place=pl.struct("pathway_order", "tier_rank", "part"))
        .with_columns(lane=pl.col("place").rank("dense").over("clinic_id").cast(pl.Int64) - 1)
        .select(
            pl.col("patient_key").str.head(-len(_MARKS[True])),
            "is_now",
            "pathway",
            "clinic_id",
            "priority_rank",
            "lane",
            practice_code="home",
        )
    )


_MARKS = {True: ":n", False: ":t"}
_PEOPLE_IN_LANE, _MOST_LANES = 40, 4


def _standing(store: Store, side: str, *, is_now: bool) -> pl.DataFrame:
    """Give the decisions for a clinic of now or of the look back, with what routing asks of the person."""
    decisions, person = (f"work.{side}", "run.core.person") if is_now else (f"past.work.{side}", "past.core.person")
    mark = _MARKS[is_now]
    return store.frame(
        f"SELECT d.* REPLACE (d.patient_key || '{mark}' AS patient_key), practice_code AS home, imd_decile, age_years, "
        f"{str(is_now).lower()} AS is_now FROM {decisions} AS d JOIN {person} AS p ON p.patient_key = d.patient_key "
        f"ANTI JOIN ({_CLOSED}) AS c ON c.patient_key = d.patient_key AND c.pathway = d.pathway "
        "WHERE decision = 'clinic' AND practice_code IS NOT NULL ORDER BY d.patient_key, d.pathway"
    )


_CLOSED = """SELECT patient_key, pathway FROM run.derived.placement
    WHERE decision = 'clinic' AND (placement = 'not_listed' OR state = 'review') AND practice_code IS NOT NULL"""
"""Those whom memory keeps off the clinics' lists (invited, booked, seen, said no, or a clinician looks first)."""


def _count_lanes(store: Store, lanes: pl.DataFrame, changes: Changes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count each lane of each list: who is on it, who came since the look back, and what became of those of then.

    Somebody who had a place since the look back is not there to be seen as moving, and is left out of both.
    """
    asked = store.frame("SELECT patient_key FROM past.work.asked_person")
    now = lanes.filter("is_now")
    then = lanes.filter(~pl.col("is_now")).select("patient_key", *_CELL, was_in="lane")
    both = (
        now.join(asked, on="patient_key", how="semi")
        .select("patient_key", *_CELL, "lane")
        .join(then, on=["patient_key", *_CELL], how="full", coalesce=True)
    )
    came = both.filter(pl.col("was_in").is_null()).group_by(*_CELL, "lane").agg(entered=pl.len().cast(pl.Int64))
    of_then = both.filter(pl.col("was_in").is_not_null()).group_by("clinic_id", "was_in", "lane")
    moves = of_then.agg(people_count=pl.len()).rename({"lane": "to_lane", "was_in": "lane"})
    cells = (
        now.group_by(*_CELL, "lane")
        .agg(present=pl.len().cast(pl.Int64), pathway=pl.col("pathway").first())
        .join(came, on=[*_CELL, "lane"], how="left")
        .with_columns(pl.col("entered").fill_null(0), starts=pl.lit(0))
    )
    for each in changes.switch_on:
        here = pl.col("pathway") == each.pathway
        here = here & pl.col("practice_code").is_in(list(each.practices)) if each.practices else here
        cells = cells.with_columns(starts=pl.when(here).then(each.week).otherwise("starts"))
    return cells.sort(*_CELL, "lane"), moves.sort(pl.all())


def _capacity(changes: Changes, cells: pl.DataFrame) -> tuple[tuple[str, str, int | None, int | None, int], ...]:
    """Give the changes of capacity, a list each; where no practice is named, each that has the list."""
    found = []
    for each in changes.capacity:
        mine = cells.filter(pl.col("clinic_id") == each.clinic)["practice_code"].unique().sort().to_list()
        for practice in each.practices or mine:
            found.append((each.clinic, practice, each.sessions_per_week, each.slots_per_week, each.from_week))
    return tuple(found)


def _check_names(changes: Changes, run: _Run, store: Store) -> None:
    pathways = run.books["changed"].pathways
    clinics = {each.id for pathway in pathways.values() for each in pathway.clinics}
    practices = {name for (name,) in store.rows("SELECT DISTINCT practice_code FROM run.core.person")}
    named = [("clinic", each.clinic, clinics) for each in changes.capacity]
    named += [("pathway", each.pathway, set(pathways)) for each in changes.switch_on]
    asked = [each.practices for each in changes.capacity] + [each.practices for each in changes.switch_on]
    named += [("practice", practice, practices) for part in asked for practice in part]
    wrong = sorted({f"{kind} {name}" for kind, name, known in named if name not in known})
    if wrong:
        raise SettingsError(
            "the changes to try",
            expected="clinics and pathways of the definitions, practices of the run",
            found=f"others: {', '.join(wrong)}",
            action="Correct the names.",
        )


def _note_outcomes(store: Store, people: Mapping[str, pl.DataFrame], moving: Sequence[str]) -> None:
    """Say of each person what comes of them at each clinic, and on each pathway that may decide otherwise."""
    week = pl.when(pl.col("week").is_null()).then(pl.lit(WAITS)).otherwise(pl.lit(REACHED))
    sides = [people[side].select("clinic_id", "patient_key", week.alias(side)) for side in SIDES]
    both = sides[0].join(sides[1], on=["clinic_id", "patient_key"], how="full", coalesce=True)
    with store.loaned(both.with_columns(pl.col(side).fill_null(OFF) for side in SIDES)) as rows:
        store.execute(
            "CREATE TABLE work.outcome AS SELECT 'clinic ' || clinic_id AS definition, patient_key, today AS before, "
            f"changed AS after FROM {rows} SEMI JOIN (SELECT * FROM run.core.person WHERE may_be_counted) "
            "USING (patient_key)"
        )
    store.execute(
        "INSERT INTO work.outcome SELECT 'pathway ' || pathway, patient_key, "
        "coalesce(o.decision || coalesce(': ' || o.clinic_id, ''), 'not on the pathway'), "
        "coalesce(n.decision || coalesce(': ' || n.clinic_id, ''), 'not on the pathway') "
        "FROM work.today AS o FULL JOIN work.changed AS n USING (patient_key, pathway) "
        "SEMI JOIN (SELECT * FROM run.core.person WHERE may_be_counted) USING (patient_key) "
        "WHERE pathway IN (SELECT unnest($1))",
        [list(moving)],
    )
    store.execute("DROP VIEW IF EXISTS core.person")
    store.execute("CREATE VIEW core.person AS SELECT * FROM run.core.person")


OFF = "not on the list"
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
