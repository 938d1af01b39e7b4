"""Watches every model in use on the last finished run; fails, and so tells somebody, when one may not be used.

Each is compared with the people it was made for: ``models/NAME-VERSION.profile.json`` beside the outputs, where a refit
or ``stratify model card`` wrote it. With ``fall_back`` the published score is put in its place at once. Without a
server: ``python -m flows.watch SETTINGS``.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from prefect import flow, get_run_logger

from flows.stage import in_process, settings_of, stage
from stratify.audit_trail import this_account
from stratify.errors import RuleError, StratifyError, combine
from stratify.modelling import card_run, promotion
from stratify.modelling.design import declared
from stratify.operations import notices


@flow(name="stratify watch of models", persist_result=False, validate_parameters=False)
def watch(settings_file: str, fall_back: bool = False) -> None:
    """Watch every model in use; fail with one message when one may not be used.

    Args:
        settings_file: Path of the settings file on the worker.
        fall_back: Put the published score in the place of one that may not be used.
    """
    with notices.told_of_faults(os.environ):
        settings = settings_of(settings_file)  # the run in place decides which day is looked at
        run, clinical, kept = settings.out, settings.clinical, settings.out / "models"
        by = this_account("Prefect") if fall_back else None
        faults: list[StratifyError] = []
        for name in declared(clinical):
            version = promotion.register_of(name, clinical).in_use
            if version == promotion.PUBLISHED:
                continue
            profile = kept / f"{name}-{version}.profile.json"
            look = partial(card_run.watch_model, name, version, run, profile, clinical=clinical, fall_back_by=by)
            try:
                verdict, words, _ = stage(f"Watching {name}", look)
            except RuleError as fault:
                faults.append(fault)
                continue
            get_run_logger().info(words)
            if not verdict.may_be_used:
                faults.append(
                    RuleError(
                        f"model {name} {version}", expected="a model that may be used", found=words,
                        action="Use the published score (`stratify model roll-back`), and find out why.",
                    )
                )  # fmt: skip
        if faults:
            raise combine(faults)


if __name__ == "__main__":
    in_process(watch, sys.argv[1:2], usage="python -m flows.watch SETTINGS")
