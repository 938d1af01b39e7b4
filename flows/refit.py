"""Fits each declared model again on the last finished run and reviews it beside the one in use. It promotes nothing.

What it makes lies in ``models`` beside the outputs: a model and a review each, for somebody to read and sign
(``stratify model promote``). Without a server: ``python -m flows.refit SETTINGS [INDEX_DATE]``.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from functools import partial
from pathlib import Path

from prefect import flow, get_run_logger

from flows.stage import in_process, stage
from stratify.errors import RuleError, StratifyError, combine
from stratify.modelling import fitting, promotion, review
from stratify.modelling.design import declared
from stratify.rulebook import load_rule_book
from stratify.settings import load_settings


@flow(name="stratify refit of models", persist_result=False, validate_parameters=False)
def refit(settings_file: str, index_date: str | None = None) -> None:
    """Fit and review every declared model; fail with one message when one cannot be fitted.

    Args:
        settings_file: Path of the settings file on the worker.
        index_date: ``YYYY-MM-DD``; the settings' own, or today, when None. The run in place decides which people.
    """
    settings = load_settings(
        Path(settings_file),
        environment=os.environ,
        overrides={"index_date": index_date},
        today=date.today(),  # the only clock: below this line the index date is an argument
    )
    into = settings.out / "models"
    book = load_rule_book(settings.clinical)
    faults: list[StratifyError] = []
    for name in declared(settings.clinical):
        fit = partial(fitting.fit_model, name, settings.out, clinical=settings.clinical, into=into)
        try:
            done = stage(f"Fitting {name}", fit)
        except RuleError as fault:  # too few events for one is no reason to leave the others
            faults.append(fault)
            continue
        champion = promotion.champion_of(name, settings.clinical)
        found = stage(f"Reviewing {name}", partial(review.review_model, done.model, champion, settings.out, book))
        file = done.file.with_suffix(".review.json")
        file.write_text(promotion.review_text(found), encoding="utf-8")
        words = "may be promoted" if found.passes else "may not be promoted"
        get_run_logger().info(f"{name} {done.model.design.version} {words}; nothing was: see {file.name}")
    if faults:
        raise combine(faults)


if __name__ == "__main__":
    in_process(refit, sys.argv[1:], usage="python -m flows.refit SETTINGS [INDEX_DATE]")
