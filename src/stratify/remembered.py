"""The weekly run with its memory: where the weeks kept on disk, this week's tables and the reckoning meet.

Belongs here: which tables the memory is read from and left in. What moves whom is in ``answers`` and ``follow_up``, who
gets a place in ``routing``, the files in ``kept_weeks``.
"""

from __future__ import annotations

import os
from datetime import date

import polars as pl

from stratify import (
    approvals,
    coded_activity,
    combined_review,
    feedback_run,
    follow_up,
    kept_weeks,
    lot_run,
    pools,
    routing,
    sandbox_run,
    weeks,
)
from stratify.memory import OFFER
from stratify.publish.context import row_reference
from stratify.publish.offers import OFFERS_PLACE
from stratify.rulebook import RuleBook
from stratify.runs import Plan
from stratify.store import Store


def place_everybody(store: Store, plan: Plan, book: RuleBook) -> None:
    """Give everybody with a decision their place, as remembered, and keep this week beside the earlier ones.

    Leaves ``derived.placement``, and of this week and the one before ``audit.list_row``, of all ``audit.transition``.

    Args:
        store: The run's store, with ``identity`` attached.
        plan: The run.
        book: The rule book.
    """
    today, earlier = plan.settings.index_date, plan.settings.out / "restricted"
    decisions = store.frame("SELECT * FROM derived.pathway_decision WHERE decision <> 'not_eligible'")
    decisions = decisions.filter(pl.col("pathway").is_in(sorted(book.published)))
    persons = store.frame(f"SELECT {', '.join((*routing.PERSON_COLUMNS, 'person_status'))} FROM core.person")
    values = store.frame(f"SELECT * FROM derived.variable_value WHERE patient_key IN ({_SHOWN_KEYS})")
    capacity = store.frame("SELECT * FROM core.clinic_capacity")
    take_in_coded(store, plan, book)
    most_minutes = plan.settings.most_minutes_a_week
    outcomes, admissions = came_back(store), _admissions(store)
    transitions, rows = _kept(store, plan, outcomes)
    lots = lot_run.open_lots(store, plan, os.environ, _same_person(store))
    tried: list[weeks.Week] = []

    def placed_under(held: follow_up.Held) -> pl.DataFrame:
        week = follow_up.before_placing(
            transitions, rows, outcomes, decisions, persons, admissions, book, index_date=today, held=held
        )
        tried.append(week)
        return routing.place(
            decisions,
            persons,
            values,
            capacity,
            book,
            index_date=today,
            held=held,
            most_minutes=most_minutes,
            standing=week.standings,
            lots=lots,
        )

    placed = approvals.place_within_bounds(store, plan, book, placed_under)
    week = tried[-1]
    follow_up.after_placing(week, placed, decisions)
    sessions = pools.sessions(capacity, index_date=today, most_minutes=most_minutes)
    returned = {reference for (reference,) in store.rows(_RETURNED)}
    shown = weeks.described(week, placed, decisions, rows, returned)
    mine = weeks.list_rows_of(
        week,
        shown,
        decisions,
        pools.places_by_list(sessions, pools.networks(persons)),
        run_id=plan.run_id,
        reference=lambda clinic, key: row_reference(today, OFFERS_PLACE if clinic == OFFER else clinic, key),
    )
    steps = week.transitions(plan.run_id)
    store.create("derived.placement", shown)
    store.create("derived.clinic_session", pools.sessions_frame(sessions))
    store.create("derived.review_check", combined_review.review_checks(shown, values, book, index_date=today))
    store.create("audit.transition", pl.concat([transitions, steps]))
    store.create("audit.list_row", pl.concat([weeks.last_week(rows), mine]))
    kept_weeks.take_along(earlier, plan.restricted, today)
    sandbox_run.keep(store, plan)
    if not kept_weeks.is_look_back(earlier, today):
        kept_weeks.write(plan.restricted, "audit.transition", steps, today)
        kept_weeks.write(plan.restricted, "audit.list_row", mine, today)
        lot_run.keep(plan, lots)
        feedback_run.keep(store, plan)
        for name in ("audit.action", "audit.delivery"):
            fresh = store.frame(f"SELECT * FROM {name} ORDER BY ALL").filter(pl.col("week") == today)
            kept_weeks.write(plan.restricted, name, fresh, today)
        kept_weeks.write(plan.restricted, "audit.answer", store.frame("SELECT * FROM audit.answer ORDER BY ALL"), today)


_RETURNED = "SELECT DISTINCT row_reference FROM audit.answer WHERE status = 'returned' AND row_reference IS NOT NULL"


def take_in_coded(store: Store, plan: Plan, book: RuleBook) -> None:
    """Add to ``core.outcome`` what the GP record answers, and to ``audit.answer`` what earlier weeks had not."""
    codelists = coded_activity.codelists_of(book)
    restricted, today, same = plan.settings.out / "restricted", plan.settings.index_date, _same_person(store)
    weeks_before = [week for week in kept_weeks.weeks(restricted) if week < today]
    if not codelists or not weeks_before:
        return
    with store.loaned(pl.DataFrame({"codelist": codelists})) as wanted:
        entries = store.frame(_ENTRIES.format(wanted=wanted, since=min(weeks_before), today=today))
    rows = kept_weeks.scan(restricted, "audit.list_row", before=today, same_person=same)
    is_read = pl.col("patient_key").is_in(entries["patient_key"].unique().to_list())
    found = coded_activity.coded_outcomes(entries, rows.filter(is_read).collect(), book)
    known = kept_weeks.scan(restricted, "audit.answer", before=today, same_person=same).select("answer_id").collect()
    if found.is_empty():
        return
    with store.loaned(found) as outcomes, store.loaned(known.unique()) as before:
        store.execute(f"INSERT INTO core.outcome BY NAME SELECT * FROM {outcomes} ORDER BY outcome_id")
        store.execute(
            f"""
            INSERT INTO audit.answer BY NAME
            SELECT outcome_id AS answer_id, source_file_id, source_row, 'line ' || source_row AS cell, row_reference,
                practice_code, source, 'applied' AS status, outcome, outcome_date, reason_code, false AS is_all_alike
            FROM {outcomes} WHERE outcome_id NOT IN (SELECT answer_id FROM {before}) ORDER BY outcome_id
            """
        )


_ENTRIES = """
SELECT patient_key, codelist, effective_date AS day, source_file_id, source_row
FROM (
    SELECT patient_key, snomed_code, effective_date, effective_precision, source_file_id, source_row FROM core.gp_event
    UNION ALL BY NAME
    SELECT patient_key, snomed_code, effective_date, effective_precision, source_file_id, source_row
    FROM core.gp_observation) AS entry
JOIN derived.code_match AS m ON m.code_system = 'snomed_ct' AND m.code = entry.snomed_code
JOIN {wanted} USING (codelist)
WHERE coalesce(effective_precision, 'YMD') = 'YMD'
    AND effective_date >= DATE '{since}' AND effective_date < DATE '{today}'
QUALIFY row_number() OVER (PARTITION BY patient_key, codelist, day ORDER BY source_file_id, source_row) = 1
ORDER BY ALL
"""


def came_back(store: Store) -> pl.DataFrame:
    """Give contract ``core.outcome``."""
    return store.frame("SELECT * FROM core.outcome ORDER BY outcome_id")


_SHOWN_KEYS = "SELECT patient_key FROM derived.pathway_decision WHERE decision <> 'not_eligible'"


def _kept(store: Store, plan: Plan, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the steps of all earlier weeks, and the list rows of the last one and those that answers are about."""
    earlier, today, same = plan.settings.out / "restricted", plan.settings.index_date, _same_person(store)
    transitions = kept_weeks.scan(earlier, "audit.transition", before=today, same_person=same).collect()
    rows = kept_weeks.scan(earlier, "audit.list_row", before=today, same_person=same)
    named = outcomes["row_reference"].drop_nulls().unique().to_list()
    is_read = pl.col("row_reference").is_in(named) | (pl.col("week") == pl.col("week").max())
    return transitions, rows.filter(is_read).collect()


def _same_person(store: Store) -> dict[str, str]:
    """Give the pseudonym in use by each that it supersedes."""
    return dict(store.rows("SELECT original_key, patient_key FROM identity.merged_number ORDER BY ALL"))


def _admissions(store: Store) -> dict[str, date]:
    """Give the day of each person's last emergency admission."""
    return dict(
        store.rows(
            "SELECT patient_key, max(admission_date) FROM core.apc_spell "
            f"WHERE is_emergency AND patient_key IN ({_SHOWN_KEYS}) GROUP BY patient_key ORDER BY patient_key"
        )
    )
