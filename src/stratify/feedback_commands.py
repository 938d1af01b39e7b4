"""The commands of feedback: ``stratify feedback list | answer | patterns``."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, QuickHelp, faults_in_words

feedback_app = typer.Typer(
    cls=QuickHelp, help="What practices say about lists: what waits, answers, patterns.", no_args_is_help=True
)
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run.")]
OnOption = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day to judge by; today when not given.")
]


def _day(on: datetime | None) -> date:
    return on.date() if on else date.today()


@feedback_app.command("list")
def feedback_list(
    run: RunArgument,
    to: Annotated[
        Path | None, typer.Option("--to", help="CSV to write the answers in. It holds what people wrote: keep it safe.")
    ] = None,
    on: OnOption = None,
) -> None:
    """Show what waits for an answer, oldest first; with --to, write the file to answer it in."""
    with faults_in_words():
        from stratify import feedback_desk

        typer.echo(feedback_desk.waiting(run, today=_day(on)))
        if to:
            typer.echo(f"To answer: {feedback_desk.write_open(run, to, today=_day(on)):,}, in {to}")


@feedback_app.command("answer")
def feedback_answer(
    run: RunArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of `feedback list --to`, filled in.")],
    on: OnOption = None,
) -> None:
    """Check answers, cell by cell, and hand them to the next run; while a cell is wrong nothing is handed in."""
    with faults_in_words():
        from stratify import feedback_desk

        typer.echo(feedback_desk.hand_in(run, file, today=_day(on)))


@feedback_app.command("patterns")
def feedback_patterns(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the proposals, each with its effect.")] = None,
    clinical: ClinicalOption = None,
) -> None:
    """Show rules that are often overruled and groups that are often missing; propose edits. Nothing is changed."""
    with faults_in_words():
        from stratify import feedback_proposals

        typer.echo(feedback_proposals.patterns(run, to=out, clinical=clinical))
