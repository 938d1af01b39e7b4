"""The weekly run with its memory: where the weeks kept on disk, this week's tables and the reckoning meet.

Belongs here: which tables the memory is read from and left in. What moves whom is in ``answers`` and ``follow_up``, who
gets a place in ``routing``, the files in ``kept_weeks``.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from stratify import approvals, combined_review, feedback_run, follow_up, kept_weeks, pools, routing, weeks
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
    most_minutes = plan.settings.most_minutes_a_week
    outcomes, admissions = came_back(store), _admissions(store)
    transitions, rows = _kept(store, plan, outcomes)
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
        )

    placed = approvals.place_within_bounds(store, plan, book, placed_under)
    week = tried[-1]
    follow_up.after_placing(week, placed, decisions)
    sessions = pools.sessions(capacity, index_date=today, most_minutes=most_minutes)
    shown = weeks.described(week, placed, decisions, rows)
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
    if not kept_weeks.is_look_back(earlier, today):
        kept_weeks.write(plan.restricted, "audit.transition", steps, today)
        kept_weeks.write(plan.restricted, "audit.list_row", mine, today)
        feedback_run.keep(store, plan)
        for name in ("audit.action", "audit.delivery"):
            fresh = store.frame(f"SELECT * FROM {name} ORDER BY ALL").filter(pl.col("week") == today)
            kept_weeks.write(plan.restricted, name, fresh, today)
        kept_weeks.write(plan.restricted, "audit.answer", store.frame("SELECT * FROM audit.answer ORDER BY ALL"), today)


def came_back(store: Store) -> pl.DataFrame:
    """Give contract ``core.outcome``."""
    return store.frame("SELECT * FROM core.outcome ORDER BY outcome_id")


_SHOWN_KEYS = "SELECT patient_key FROM derived.pathway_decision WHERE decision <> 'not_eligible'"


def _kept(store: Store, plan: Plan, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the steps of all earlier weeks, and the list rows of the last one and those that answers are about."""
    superseded = store.rows("SELECT original_key, patient_key FROM identity.merged_number ORDER BY ALL")
    earlier, today, same = plan.settings.out / "restricted", plan.settings.index_date, dict(superseded)
    transitions = kept_weeks.scan(earlier, "audit.transition", before=today, same_person=same).collect()
    rows = kept_weeks.scan(earlier, "audit.list_row", before=today, same_person=same)
    named = outcomes["row_reference"].drop_nulls().unique().to_list()
    is_read = pl.col("row_reference").is_in(named) | (pl.col("week") == pl.col("week").max())
    return transitions, rows.filter(is_read).collect()


def _admissions(store: Store) -> dict[str, date]:
    """Give the day of each person's last emergency admission."""
    return dict(
        store.rows(
            "SELECT patient_key, max(admission_date) FROM core.apc_spell "
            f"WHERE is_emergency AND patient_key IN ({_SHOWN_KEYS}) GROUP BY patient_key ORDER BY patient_key"
        )
    )
