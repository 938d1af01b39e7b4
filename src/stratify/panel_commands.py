"""The commands of a panel that settles a threshold: ``stratify panel open | answer | close``."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import QuickHelp, faults_in_words

panel_app = typer.Typer(
    cls=QuickHelp, help="A threshold settled by a panel in two rounds, with forms.", no_args_is_help=True
)
FolderArgument = Annotated[Path, typer.Argument(metavar="PANEL", help="Folder of the panel.")]


@panel_app.command("open")
def panel_open(
    folder: FolderArgument,
    questions: Annotated[
        Path | None, typer.Argument(metavar="QUESTIONS", help="File of questions (YAML), for round one.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Forms as CSV instead of workbooks.")] = False,
) -> None:
    """Make a form for each panellist: round one from QUESTIONS; without, round two from the answers to round one."""
    with faults_in_words():
        from stratify import panel

        for path in panel.open_round(folder, questions, as_csv=as_csv):
            typer.echo(path)


@panel_app.command("answer")
def panel_answer(
    folder: FolderArgument,
    form: Annotated[Path, typer.Argument(metavar="FORM", help="A filled-in form.")],
) -> None:
    """Check a filled-in form, cell by cell, and keep it; whatever is not fit is told and nothing is kept."""
    with faults_in_words():
        from stratify import panel

        typer.echo(panel.take_answer(folder, form))


@panel_app.command("close")
def panel_close(
    folder: FolderArgument,
    on: Annotated[
        datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day it is closed; today when not given.")
    ] = None,
) -> None:
    """Settle the thresholds: median, spread and dissent, and the block that a definition carries."""
    with faults_in_words():
        from stratify import panel

        path, agreed = panel.close(folder, on=on.date() if on else date.today())
        typer.echo(panel.in_words(agreed))
        typer.echo(f"For the definition: {path}, under agreed")
