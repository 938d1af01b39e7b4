"""Where a difference between two runs of one week comes from, person by person.

A place that differs has its cause in the person's own rows (late, changed, withdrawn, another practice, an objection,
an answer), in the capacity of the clinic, or in somebody else's change: whoever takes a place leaves none. Belongs
here: the looking up. Which runs are compared is in ``differences``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stratify import contracts
from stratify.replay.again import WHO_WAS_SENT
from stratify.store import Store, open_store

PROGRAM, DEFINITIONS, SETTINGS, FILES = "program", "definitions", "settings", "today's files"
LATE, CHANGED, WITHDRAWN = "late data", "changed data", "withdrawn data"
MOVED, OBJECTION, ANSWER = "moved patient", "objection", "an answer that came back"
CAPACITY, HELD, OTHERS, NOT_EXPLAINED = "changed capacity", "held list", "another person's change", "not explained"
OF_STEP = {PROGRAM: "changed program", DEFINITIONS: "changed definitions", SETTINGS: "changed settings"}
IN_ORDER = (
    *OF_STEP.values(),
    LATE,
    CHANGED,
    WITHDRAWN,
    MOVED,
    OBJECTION,
    ANSWER,
    CAPACITY,
    HELD,
    OTHERS,
    NOT_EXPLAINED,
)

OWN_TABLES = {
    "gp_event": "effective_date",
    "gp_observation": "effective_date",
    "gp_medication": "issue_date",
    "apc_episode": "admission_date",
    "ed_attendance": "CAST(arrival_at AS DATE)",
    "patient_flag": "start_date",
    "registration": "start_date",
    "death": "date_of_death",
    "patient": None,
}
"""Core tables that can decide about a person, with the day that a row counts from; later rows decide nothing yet."""

Place = tuple[str, str]
"""Person and pathway."""
NOWHERE = "not on the pathway"


@dataclass(frozen=True)
class Run:
    """A finished run by its output folder."""

    out: Path

    @property
    def restricted(self) -> Path:
        """Its restricted folder."""
        return (self.out / "restricted").resolve()

    @property
    def manifest(self) -> Path:
        """What it publishes about itself."""
        return self.out / "published" / "run_manifest.json"


@dataclass(frozen=True)
class Difference:
    """A person's place on a pathway that is another.

    Attributes:
        practice_code: Of the person by now; then, where there is none now.
        then: The place then, in words.
        now: The place by now.
        causes: Why, in the order of :data:`IN_ORDER`.
        evidence: What was found, in counts of rows by table.
    """

    patient_key: str
    pathway: str
    practice_code: str | None
    then: str
    now: str
    causes: tuple[str, ...]
    evidence: str = ""

    @property
    def place(self) -> Place:
        """Whose place it is."""
        return self.patient_key, self.pathway


_PLACE = """
    placement || coalesce(' ' || coalesce(clinic_id, offer_id), '') || coalesce(' ' || clinic_date, '')
    || ' (' || decision || ')'"""
_MOVED = f"""
SELECT patient_key, pathway, coalesce(n.practice_code, o.practice_code),
    coalesce(o.place, '{NOWHERE}'), coalesce(n.place, '{NOWHERE}'), coalesce(n.clinic_id, o.clinic_id)
FROM (SELECT *, {_PLACE} AS place FROM {{before}}) AS o
FULL JOIN (SELECT *, {_PLACE} AS place FROM {{after}}) AS n USING (patient_key, pathway)
WHERE o.place IS DISTINCT FROM n.place ORDER BY ALL
"""
_DECIDED = """
SELECT DISTINCT patient_key
FROM (SELECT * FROM was.derived.pathway_decision WHERE decision <> 'not_eligible') AS o
FULL JOIN (SELECT * FROM now.derived.pathway_decision WHERE decision <> 'not_eligible') AS n
USING (patient_key, pathway)
WHERE (o.decision, o.clinic_id, o.tier, o.rule_id) IS DISTINCT FROM (n.decision, n.clinic_id, n.tier, n.rule_id)
ORDER BY ALL
"""


def moved_since_recorded(placements: Path, made: Run) -> list[Difference]:
    """Give the places that this program gives otherwise than the one that made the record, from the same inputs."""
    with _store(made.restricted / "scratch") as store:
        store.attach(made.restricted / "run.duckdb", "now", read_only=True)
        with store.loaned(pl.read_parquet(placements)) as recorded:
            found = store.rows(_MOVED.format(before=recorded, after="now.derived.placement"))
    return [_difference(row, (OF_STEP[PROGRAM],)) for row in found]


def moved(before: Run, after: Run, what: str, *, scratch: Path) -> list[Difference]:
    """Give the places that one kind of change moved, with why.

    Args:
        before: The run without it.
        after: The run with it.
        what: The kind of change.
        scratch: A folder for the while.
    """
    with _store(scratch) as store:
        store.attach(before.restricted / "run.duckdb", "was", read_only=True)
        store.attach(after.restricted / "run.duckdb", "now", read_only=True)
        found = store.rows(_MOVED.format(before="was.derived.placement", after="now.derived.placement"))
        if what != FILES:
            return [_difference(row, (OF_STEP[what],)) for row in found]
        look = _Look(store, before, after, sorted({row[0] for row in found}))
        return [_difference(row, *look.why(row[0], row[5], row[3:5])) for row in found]


def _difference(row: Sequence[Any], why: tuple[str, ...], evidence: str = "") -> Difference:
    key, pathway, practice, then, now = row[:5]
    return Difference(key, pathway, practice, then, now, why, evidence)


def net(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Give a row for each place that is another in the end, with the causes of all the steps that moved it."""
    steps: dict[Place, list[Difference]] = {}
    for each in found:
        steps.setdefault(each.place, []).append(each)
    whole = []
    for place, mine in sorted(steps.items()):
        if mine[0].then == mine[-1].now:  # one change undid another
            continue
        named = {cause for each in mine for cause in each.causes}
        whole.append(
            Difference(
                *place,
                practice_code=mine[-1].practice_code,
                then=mine[0].then,
                now=mine[-1].now,
                causes=tuple(cause for cause in IN_ORDER if cause in named),
                evidence="; ".join(each.evidence for each in mine if each.evidence),
            )
        )
    return tuple(whole)


class _Look:
    """What is known, in two runs, of the people whose places differ."""

    def __init__(self, store: Store, before: Run, after: Run, people: Iterable[str]) -> None:
        self._store = store
        asked = pl.DataFrame({"patient_key": list(people)}, schema={"patient_key": pl.String})
        with store.loaned(asked) as loan:
            store.execute(f"CREATE TEMP TABLE asked AS FROM {loan}")
        self._was, self._is = (self._practices(name) for name in ("was", "now"))
        self._sent_then, self._sent_now = (
            set(pl.read_parquet(run.restricted / WHO_WAS_SENT)["patient_key"]) for run in (before, after)
        )
        self._decided = {key for (key,) in store.rows(_DECIDED)}
        self._answered = {key for (key,) in store.rows(_ANSWERED)}
        self._capacity = set(store.rows(_CAPACITY))
        self._rows: dict[str, dict[str, dict[str, int]]] = {}
        for table, day in OWN_TABLES.items():
            for key, kind, count in store.rows(_own_rows(table, day)):
                self._rows.setdefault(key, {}).setdefault(kind, {})[table] = count

    def _practices(self, name: str) -> dict[str, tuple[str | None, str | None]]:
        people = "SELECT patient_key, practice_code, pcn_code FROM {name}.core.person JOIN asked USING (patient_key)"
        return {key: (practice, network) for key, practice, network in self._store.rows(people.format(name=name))}

    def why(self, key: str, clinic: str | None, places: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """Give the causes of one difference, and what was found."""
        mine = self._rows.get(key, {})
        evidence = ", ".join(
            f"{table}: {count} {kind.split()[0]}" for kind in mine for table, count in sorted(mine[kind].items())
        )
        if key in self._was and key not in self._is:
            return ((OBJECTION,) if key in self._sent_now else (WITHDRAWN,)), evidence
        if key in self._is and key not in self._was:
            return ((OBJECTION,) if key in self._sent_then else (LATE,)), evidence
        found = {MOVED} if self._was.get(key) != self._is.get(key) else set()
        found |= {ANSWER} if key in self._answered else set()
        found |= set(mine) if key in self._decided else set()
        found |= {HELD} if any(place.startswith("list_held") for place in places) else set()
        if not found and key not in self._decided:
            where = self._is.get(key, (None, None))
            found = {CAPACITY} if any((clinic, code) in self._capacity for code in where) else {OTHERS}
        return tuple(cause for cause in IN_ORDER if cause in (found or {NOT_EXPLAINED})), evidence


def _own_rows(table: str, day: str | None) -> str:
    """Ask which rows of the people asked about came, went or changed, by person, kind and count."""
    contract = contracts.load(f"core.{table}")
    key = ", ".join(f'"{name}"' for name in contract.key)
    before_the_day = f" AND coalesce({day} < (SELECT max(week) FROM now.audit.list_row), true)" if day else ""
    sides = (
        f"(SELECT * EXCLUDE (source_file_id, source_row) FROM {name}.core.{table} "
        f"WHERE patient_key IN (FROM asked){before_the_day})"
        for name in ("was", "now")
    )
    old, new = sides
    first = f'"{contract.key[0]}"'
    return f"""
    SELECT coalesce(n.patient_key, o.patient_key),
        CASE WHEN o.{first} IS NULL THEN '{LATE}' WHEN n.{first} IS NULL THEN '{WITHDRAWN}' ELSE '{CHANGED}' END,
        count(*)
    FROM {old} AS o FULL JOIN {new} AS n USING ({key})
    WHERE o IS DISTINCT FROM n GROUP BY ALL ORDER BY ALL
    """


_ANSWERED = """
SELECT DISTINCT patient_key FROM (FROM was.core.outcome) AS o FULL JOIN (FROM now.core.outcome) AS n
USING (outcome_id, patient_key) WHERE o.source IS NULL OR n.source IS NULL ORDER BY ALL
"""
_CAPACITY = """
SELECT DISTINCT clinic_id, practice_code
FROM (FROM was.core.clinic_capacity) AS o FULL JOIN (FROM now.core.clinic_capacity) AS n
USING (clinic_id, practice_code, clinic_date, role)
WHERE (o.slots, o.minutes_per_slot) IS DISTINCT FROM (n.slots, n.minutes_per_slot) ORDER BY ALL
"""


def _store(scratch: Path) -> AbstractContextManager[Store]:
    return open_store(Path(":memory:"), temp_directory=scratch)
