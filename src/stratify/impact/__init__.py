"""Impact: what declared evaluations of pathways find, always against a comparison.

Front door: :func:`evaluated` for a run that is being published, :func:`evaluate_run` for a finished one. Drawing lots
at the last place belongs to ``lots``.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from stratify.evaluation_book import load_evaluations
from stratify.impact.findings import Finding, in_words
from stratify.impact.run import evaluate, impact_frame
from stratify.publish import PublishContext
from stratify.runs import Plan, plan_in_place, without_values
from stratify.store import Store, open_store

__all__ = ["Finding", "evaluate_run", "evaluated", "in_words"]


def evaluated(store: Store, plan: Plan, context: PublishContext) -> pl.DataFrame:
    """Give contract ``out.impact`` of a run, by the evaluations of its clinical folder.

    Args:
        store: The store of the run, placed, with ``identity`` attached.
        plan: The run.
        context: What its outputs say of it.
    """
    asked = [each for each in load_evaluations(plan.settings.clinical) if each.pathway in context.pathways]
    day = context.index_date
    found = evaluate(store, plan.restricted, asked, index_date=day, cutoffs=context.data_cutoffs)
    return impact_frame(found, index_date=day, run_id=context.run_id)


@without_values
def evaluate_run(out: Path, *, clinical: Path | None = None) -> tuple[date, list[Finding]]:
    """Work out the evaluations of a folder of definitions on a finished run and the weeks it keeps.

    Args:
        out: Output folder of the run.
        clinical: A clinical folder with the evaluations; that of the run when None.

    Returns:
        The day that the run describes, and what was found.

    Raises:
        RunError: the folder holds no finished run.
        RuleError: a declaration is wrong.
    """
    plan = plan_in_place(out)
    restricted = plan.restricted
    with open_store(
        restricted / "run.duckdb",
        temp_directory=restricted / "scratch",
        read_only=True,
        memory_limit=plan.settings.memory_limit,
        threads=plan.settings.threads,
    ) as store:
        store.attach(restricted / "identity.duckdb", "identity", read_only=True)
        asked = load_evaluations(clinical or plan.settings.clinical)
        day = plan.settings.index_date
        return day, evaluate(store, restricted, asked, index_date=day, cutoffs=plan.data_cutoffs)
