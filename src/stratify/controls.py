"""The safety controls of a run: what must hold of everybody in it before anything is published.

Each is asked of the finished store once more, in a few lines of SQL that share nothing with the code that should have
seen to it, and counts what breaks it. ``safety/hazards.yaml`` says which hazard each is for; a run that breaks one, or
in which one that a hazard names was not asked, publishes nothing. Counts only: nobody is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from stratify import ingest
from stratify.errors import RunError
from stratify.hazards import load_hazards
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import Plan
from stratify.store import Store

TABLE = "audit.control"


@dataclass(frozen=True)
class Control:
    """A promise about a run, and how to count what breaks it.

    Attributes:
        promise: In a sentence.
        sql: Gives one number, 0 when the promise is kept. May use ``$index_date``, ``$published`` (pathway ids),
            ``$measured`` (variables that take a measured value, and not only whether a code is there),
            ``$planned_rules`` and ``$rules_by_now`` (digests of definitions).
        prepare: Lays out what the SQL reads besides the store, where it needs anything.
        action: What to do first, where a broken promise is no fault of ours.
    """

    promise: str
    sql: str
    prepare: Callable[[Store, Plan], None] | None = None
    action: str | None = None


def ask(store: Store, plan: Plan, book: RuleBook) -> None:
    """Ask every control of a run whose places are given out, and write down what each counted.

    Raises:
        RunError: a promise is broken.
    """
    found = []
    given: dict[str, Any] = {"index_date": plan.settings.index_date, "published": sorted(book.published)}
    given["measured"] = sorted(name for name, each in book.variables.items() if each.is_value)
    given |= {"planned_rules": plan.rule_digest, "rules_by_now": load_rule_book(plan.settings.clinical).digest}
    for name, control in CONTROLS.items():
        if control.prepare is not None:
            control.prepare(store, plan)
        named = {key: value for key, value in given.items() if f"${key}" in control.sql}
        found.append((name, control.promise, int(store.scalar(control.sql, named or None) or 0)))
    store.execute("DROP TABLE IF EXISTS work.restricted_code")
    frame = pl.DataFrame(found, schema=["control", "promise", "broken_count"], orient="row")
    store.create(TABLE, frame.sort("control"))
    for name, promise, broken in found:
        keep_promise(promise, broken, action=CONTROLS[name].action)


def stop_unless_all_hold(store: Store) -> None:
    """Refuse to publish a run in which a control of some hazard was not asked or does not hold.

    Raises:
        RunError: which hazard is not controlled.
    """
    held = {name for name, broken in store.rows(f"SELECT control, broken_count FROM {TABLE}") if not broken}
    for hazard in load_hazards():
        missing = sorted(set(hazard.controls) - held)
        if missing:
            raise RunError(
                f"hazard {hazard.id}, {hazard.hazard}",
                expected="every control of it asked and kept",
                found=f"{', '.join(missing)} not",
                action="Nothing is published: report it with the restricted folder. The last lists stay.",
            )


def keep_promise(promise: str, broken: int, *, action: str | None = None) -> None:
    """Stop a run that breaks a promise.

    Args:
        promise: In a sentence.
        broken: How often it is broken; 0 stops nothing.
        action: What to do first; by default it is a fault of ours.

    Raises:
        RunError: something breaks it.
    """
    if broken:
        raise RunError(
            "reconciliation",
            expected=promise,
            found=f"{broken} that do not",
            action=action or "This is a fault in stratify: report it with the restricted folder. The last lists stay.",
        )


def _lay_out_restricted_codes(store: Store, plan: Plan) -> None:
    codes = ingest.open_door(plan.settings.entry).codes
    frame = pl.DataFrame(sorted(codes), schema={"code_system": pl.String, "code": pl.String}, orient="row")
    store.execute("CREATE SCHEMA IF NOT EXISTS work")
    with store.loaned(frame) as loan:
        store.execute(f"CREATE OR REPLACE TABLE work.restricted_code AS FROM {loan}")


_STANDING = "placement IN ('listed', 'offered', 'waiting')"
CONTROLS: dict[str, Control] = {
    "rows_accounted_for": Control(
        "rows received equal rows loaded plus rows set aside, in every file",
        "SELECT count(*) FROM audit.source_file WHERE received_count <> loaded_count + rejected_count",
    ),
    "one_row_a_person": Control(
        "every person has one row", "SELECT count(*) - count(DISTINCT patient_key) FROM core.person"
    ),
    "one_decision_a_pathway": Control(
        "every person on a pathway has one decision",
        """SELECT count(*) FROM (
            SELECT patient_key, pathway FROM derived.pathway_decision
            GROUP BY ALL HAVING count(*) <> 1 OR count(decision) <> 1)""",
    ),
    "every_decision_placed": Control(
        "every decision of a pathway that is no draft has one placement",
        """SELECT count(*)
        FROM (
            SELECT patient_key, pathway FROM derived.pathway_decision
            WHERE decision <> 'not_eligible' AND list_contains($published, pathway)) AS decided
        FULL JOIN derived.placement AS placed USING (patient_key, pathway)
        WHERE decided.patient_key IS NULL OR placed.patient_key IS NULL""",
    ),
    "one_action_a_person": Control(
        "nobody has two actions in one week",
        """SELECT count(*) FROM (
            SELECT patient_key FROM derived.placement WHERE placement IN ('listed', 'offered')
            GROUP BY ALL HAVING count(*) > 1)""",
    ),
    "nobody_dead_is_called": Control(
        "nobody who is recorded as having died is listed, offered anything or waits",
        f"""SELECT count(*) FROM derived.placement AS placed WHERE {_STANDING} AND (
            EXISTS (FROM core.death AS death WHERE death.patient_key = placed.patient_key)
            OR EXISTS (
                FROM core.person AS person
                WHERE person.patient_key = placed.patient_key AND person.person_status = 'died'))""",
    ),
    "own_practice_only": Control(
        "whoever is listed, offered something or waits is registered where the list goes",
        f"""SELECT count(*) FROM derived.placement AS placed WHERE {_STANDING} AND NOT EXISTS (
            FROM core.registration AS registered
            WHERE registered.patient_key = placed.patient_key AND registered.practice_code = placed.practice_code
                AND coalesce(registered.start_date <= $index_date, true)
                AND coalesce(registered.end_date >= $index_date, true))""",
    ),
    "only_usable_values": Control(
        "no value is used that has no unit of its kind or is not plausible",
        """SELECT count(*) FROM derived.variable_value AS used
        JOIN core.gp_observation AS read USING (patient_key, source_file_id, source_row)
        WHERE used.source_table = 'gp_observation' AND used.state = 'known' AND used.value IS NOT NULL
            AND list_contains($measured, used.variable)
            AND read.measurement IS NOT NULL AND read.value_status <> 'ok'""",
    ),
    "every_feed_dated": Control(
        "every file says which day it describes",
        """SELECT count(*) FROM audit.source_file
        WHERE table_name NOT IN ('practice', 'clinic_capacity', 'lsoa') AND period_to IS NULL""",
    ),
    "doubts_go_to_a_clinician": Control(
        "whoever may be two people, or somebody else, is on no list but a clinician's",
        f"""SELECT count(*) FROM derived.placement AS placed
        JOIN core.person AS person USING (patient_key)
        WHERE {_STANDING} AND person.identity_doubt IS NOT NULL AND placed.decision <> 'clinician_review'""",
    ),
    "no_restricted_code": Control(
        "no row with a code that may not land is held",
        """SELECT
            (SELECT count(*) FROM core.gp_event WHERE snomed_code IN (
                SELECT code FROM work.restricted_code WHERE code_system = 'snomed_ct'))
            + (SELECT count(*) FROM core.gp_observation WHERE snomed_code IN (
                SELECT code FROM work.restricted_code WHERE code_system = 'snomed_ct'))""",
        prepare=_lay_out_restricted_codes,
    ),
    "not_known_is_not_low": Control(
        "nobody is passed over or left to manage alone while a value that decides it is not known",
        """SELECT count(*) FROM derived.pathway_decision
        WHERE decision IN ('self_management', 'not_eligible')
            AND (tier IS NULL OR coalesce(len(missing_variables), 0) > 0)""",
    ),
    "palliative_is_not_offered": Control(
        "nobody who receives palliative care is offered self-management or an exercise class",
        """SELECT count(*) FROM derived.placement AS placed WHERE placement = 'offered' AND EXISTS (
            FROM core.patient_flag AS flag
            WHERE flag.patient_key = placed.patient_key AND flag.flag = 'PALLIATIVE'
                AND coalesce(flag.start_date <= $index_date, true)
                AND coalesce(flag.end_date >= $index_date, true))""",
    ),
    "rules_as_planned": Control(
        "the definitions are those that the run was planned and its examples were proved with",
        "SELECT ($planned_rules <> $rules_by_now)::INTEGER",
        action="Somebody changed the folder of definitions while it ran: run the week again. The last lists stay.",
    ),
    "waiting_says_why": Control(
        "whoever waits has a reason and the day since when",
        """SELECT count(*) FROM derived.placement
        WHERE placement = 'waiting' AND (placement_reason IS NULL OR waiting_since IS NULL)""",
    ),
}
