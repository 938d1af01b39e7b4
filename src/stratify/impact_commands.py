"""The command ``stratify impact``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, faults_in_words


def impact(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Output folder of a finished run, with the weeks it keeps.")
    ],
    clinical: ClinicalOption = None,
) -> None:
    """Say what the declared evaluations find, each against its comparison, or what it would take to tell."""
    with faults_in_words():
        from stratify.impact import evaluate_run, in_words
        from stratify.periods import in_words as day_in_words

        day, found = evaluate_run(run, clinical=clinical)
        typer.echo(f"Evaluations on {day_in_words(day)}, from the weeks kept by then: {len(found)}")
        for each in found:
            group = "" if each.breakdown == "all" else f", {each.breakdown} {each.group}"
            typer.echo(f"\n{each.evaluation.id}, {each.outcome}, design {each.evaluation.design}{group}")
            typer.echo(f"{in_words(each)} Plan {each.evaluation.digest}")
