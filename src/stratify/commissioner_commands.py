"""The commands ``stratify comparators``, ``scorecard`` and ``sustainability``: files to import or to send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, QuickHelp, faults_in_words

comparators_app = typer.Typer(
    cls=QuickHelp, no_args_is_help=True, help="Figures of other places, to stand beside one's own."
)
scorecard_app = typer.Typer(cls=QuickHelp, no_args_is_help=True, help="The neighbourhood-health scorecard.")
sustainability_app = typer.Typer(
    cls=QuickHelp, no_args_is_help=True, help="Whether a pathway will last: what its team answers, ten factors."
)
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


@sustainability_app.command("form")
def print_form(clinical: ClinicalOption = None) -> None:
    """Print a file to fill in: a line for each published pathway and factor."""
    with faults_in_words():
        from stratify.rulebook import load_rule_book
        from stratify.sustainability import blank_form

        typer.echo(blank_form(load_rule_book(clinical).published), nl=False)


@sustainability_app.command("check")
def check_sustainability(file: _File, clinical: ClinicalOption = None) -> None:
    """Check a file that teams filled in: every answer whole, of a pathway there is, once a day."""
    with faults_in_words():
        from stratify.rulebook import load_rule_book
        from stratify.sustainability import read_answers

        typer.echo(f"{len(read_answers(file, pathways=load_rule_book(clinical).published))} answers can be read.")
