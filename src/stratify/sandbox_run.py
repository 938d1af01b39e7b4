"""Sandbox weeks in a run: counted where the decisions are, kept with the memory, shown side by side."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stratify import approvals, kept_weeks, sandbox
from stratify.contract_frames import schema_of
from stratify.errors import RunError
from stratify.runs import Plan
from stratify.store import Store


def keep(store: Store, plan: Plan) -> None:
    """Leave contract ``audit.sandbox_week`` of this week, and keep it for those to come; a look back keeps nothing."""
    today = plan.settings.index_date
    counted = [pl.DataFrame(schema=schema_of(sandbox.TABLE))]
    for trial in sandbox.trials(plan.settings.rollout, today):
        decisions = store.frame(
            f"SELECT * FROM derived.pathway_decision UNION ALL BY NAME SELECT * FROM {approvals.COMPARATORS}"
        )
        counted.append(sandbox.compare(trial, decisions, week=today))
    found = pl.concat(counted)
    store.create(sandbox.TABLE, found)
    if not found.is_empty() and not kept_weeks.is_look_back(plan.settings.out / "restricted", today):
        kept_weeks.write(plan.restricted, sandbox.TABLE, found, today)


def shown(out: Path) -> str:
    """Write the sandbox weeks that a finished run remembers, its own among them.

    Raises:
        RunError: no week is kept there.
    """
    restricted = (out / "restricted").resolve()
    weeks = kept_weeks.weeks(restricted)
    if not weeks:
        raise RunError(
            f"output folder {out.name}", expected="a finished run", found="none", action="Run first, or correct RUN."
        )
    paths = [restricted / kept_weeks.FOLDER / f"{week}" / f"{sandbox.TABLE.split('.')[1]}.parquet" for week in weeks]
    kept = [pl.read_parquet(path) for path in paths if path.is_file()]
    return sandbox.in_words(pl.concat([pl.DataFrame(schema=schema_of(sandbox.TABLE)), *kept]))
