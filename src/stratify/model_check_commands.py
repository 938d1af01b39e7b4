"""The commands that judge a trained model and watch it: ``stratify model evaluate | card | watch | overlooked``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, faults_in_words, progress
from stratify.model_commands import Kept, NameArgument, RunOption, model_app
from stratify.operations_commands import DOOR

__all__ = ["model_app"]

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="Its version, as fit said it.")]
ListedOption = Annotated[
    float, typer.Option("--listed-percent", min=0.01, max=100, help="Of 100 people, how many there are places for.")
]


@model_app.command("evaluate")
def model_evaluate(
    name: NameArgument,
    version: VersionArgument,
    run: RunOption,
    listed_percent: ListedOption = 2.0,
    clinical: ClinicalOption = None,
) -> None:
    """Say how well a model did on people it was not fitted on, with intervals; nothing is written."""
    with faults_in_words():
        from stratify.modelling import card_run

        with progress() as tell:
            card, _, _ = card_run.card_of(
                name, version, run, clinical=clinical, listed_percent=listed_percent, tell=tell
            )
        typer.echo(card_run.card_in_words(card))


@model_app.command("card")
def model_card(
    name: NameArgument,
    version: VersionArgument,
    run: RunOption,
    out: Annotated[Path, typer.Option("--out", help="Folder the card goes to.")],
    listed_percent: ListedOption = 2.0,
    clinical: ClinicalOption = None,
    kept: Kept = None,
) -> None:
    """Write the card of a model as a page and as data, and beside it what it was made for, to watch it by."""
    with faults_in_words():
        from stratify.modelling import card_run

        with progress() as tell:
            files = card_run.write_card(
                name, version, run, out, clinical=clinical, kept=kept, listed_percent=listed_percent, tell=tell
            )
        for file in files:
            typer.echo(str(file))


@model_app.command("watch")
def model_watch(
    name: NameArgument,
    version: VersionArgument,
    run: RunOption,
    profile: Annotated[Path, typer.Option("--profile", help="What it was made for, as card wrote it.")],
    out: Annotated[Path | None, typer.Option("--out", help="File for everything that was seen; restricted.")] = None,
    clinical: ClinicalOption = None,
    fall_back: Annotated[
        bool, typer.Option("--fall-back", help="Put the published score in its place where it may not be used.")
    ] = False,
) -> None:
    """Say whether a model may be used, from its people, its records and what became of them.

    Exit code 5 when it may not: the published score has to be used.
    """
    with faults_in_words():
        from stratify.audit_trail import this_account
        from stratify.modelling import card_run

        by = this_account(DOOR) if fall_back else None
        found, words, data = card_run.watch_model(name, version, run, profile, clinical=clinical, fall_back_by=by)
        if out:
            out.touch(mode=0o600)
            out.write_text(data, encoding="utf-8")
        typer.echo(words)
    if not found.may_be_used:
        raise typer.Exit(5)


@model_app.command("overlooked")
def model_overlooked(
    run: RunOption,
    month: Annotated[datetime, typer.Option("--month", formats=["%Y-%m"], help="Month of the admissions: 2026-05.")],
    out: Annotated[Path, typer.Option("--out", help="Folder the lists for practices and the counts go to.")],
) -> None:
    """Write who was admitted as an emergency in a month and had been on no list, and why, for each practice."""
    with faults_in_words():
        from stratify.overlooked_run import write_admitted

        typer.echo(write_admitted(run, month.date(), out))
