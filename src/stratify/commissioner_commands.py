"""The commands ``stratify comparators`` and ``stratify scorecard``: files that commissioners import or send in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, QuickHelp, faults_in_words

comparators_app = typer.Typer(
    cls=QuickHelp, no_args_is_help=True, help="Figures of other places, to stand beside one's own."
)
scorecard_app = typer.Typer(cls=QuickHelp, no_args_is_help=True, help="The neighbourhood-health scorecard.")
_File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV file.")]


@comparators_app.command("check")
def check_comparators(file: _File, clinical: ClinicalOption = None) -> None:
    """Check a file of comparators: every line whole, of a metric there is, with source and vintage."""
    with faults_in_words():
        from stratify.comparators import read_comparators
        from stratify.metric_book import load_metrics

        found = read_comparators(file, metrics={each.id for each in load_metrics(clinical)})
        other = sum(not each.is_same_definition for each in found)
        typer.echo(f"{len(found)} figures can be read, {other} of them of another definition: shown, not compared.")


@scorecard_app.command("check")
def check_scorecard(file: _File) -> None:
    """Check a filled-in scorecard before it is sent: every row once, whole numbers, rounded, one month."""
    with faults_in_words():
        from stratify.publish import check_scorecard as check

        typer.echo(f"{check(file)} rows, whole and rounded.")
