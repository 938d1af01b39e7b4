"""The commands of what comes back: ``stratify returned``."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import QuickHelp, faults_in_words

returned_app = typer.Typer(
    cls=QuickHelp, help="Lists that came back filled in: look at them before a run.", no_args_is_help=True
)
RunOption = Annotated[Path, typer.Option("--out", help="Output folder of the run whose lists were sent.")]


@returned_app.command("check")
def returned_check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Filled-in workbooks or CSVs.")],
    out: RunOption,
    practice: Annotated[
        str | None, typer.Option("--practice", help="ODS code of who sent them; a CSV may say so itself.")
    ] = None,
    index_date: Annotated[
        datetime | None,
        typer.Option("--index-date", formats=["%Y-%m-%d"], help="Day of the run that will read them; today if none."),
    ] = None,
) -> None:
    """Say what the next run would apply and what it would return, cell by cell; nothing is written."""
    with faults_in_words():
        from stratify import returned

        day = index_date.date() if index_date else date.today()
        typer.echo(returned.check(out, files, practice=practice, today=day))


@returned_app.command("weeks")
def returned_weeks(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run.")],
) -> None:
    """Show the weeks kept side by side: who was new, had a place, waited, was invited, came; and what was returned."""
    with faults_in_words():
        from stratify import returned_weeks

        typer.echo(returned_weeks.table(out))
