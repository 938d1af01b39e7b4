"""Fits each declared model again on the last finished run, reviews it beside the one in use, and writes its card.

What it makes lies in ``models`` beside the outputs, for somebody to read and sign (``stratify model promote``). It
promotes nothing. Without a server: ``python -m flows.refit SETTINGS [INDEX_DATE]``.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from prefect import flow, get_run_logger

from flows.stage import in_process, settings_of, stage
from stratify.errors import RuleError, StratifyError, combine
from stratify.modelling import card_run, fitting, promotion, review
from stratify.modelling.design import declared
from stratify.operations import notices
from stratify.rulebook import load_rule_book
from stratify.settings import Settings


@flow(name="stratify refit of models", persist_result=False, validate_parameters=False)
def refit(settings_file: str, index_date: str | None = None) -> None:
    """Fit, review and describe every declared model; fail with one message when one cannot be.

    Args:
        settings_file: Path of the settings file on the worker.
        index_date: ``YYYY-MM-DD``; the settings' own, or today, when None. The run in place decides which people.
    """
    with notices.told_of_faults(os.environ):
        settings = settings_of(settings_file, index_date)
        faults: list[StratifyError] = []
        for name in declared(settings.clinical):
            try:
                _refit(name, settings)
            except RuleError as fault:  # too few events for one is no reason to leave the others
                faults.append(fault)
        if faults:
            raise combine(faults)


def _refit(name: str, settings: Settings) -> None:
    run, clinical, into = settings.out, settings.clinical, settings.out / "models"
    done = stage(f"Fitting {name}", partial(fitting.fit_model, name, run, clinical=clinical, into=into))
    champion, book = promotion.champion_of(name, clinical), load_rule_book(clinical)
    found = stage(f"Reviewing {name}", partial(review.review_model, done.model, champion, run, book))
    file = done.file.with_suffix(".review.json")
    file.write_text(promotion.review_text(found), encoding="utf-8")
    version = done.model.design.version
    card = partial(card_run.write_card, name, version, run, into, clinical=clinical, kept=into)
    stage(f"Writing the card of {name}", card)
    words = "may be promoted" if found.passes else "may not be promoted"
    get_run_logger().info(f"{name} {version} {words}; nothing was: see {file.name}")


if __name__ == "__main__":
    in_process(refit, sys.argv[1:], usage="python -m flows.refit SETTINGS [INDEX_DATE]")
