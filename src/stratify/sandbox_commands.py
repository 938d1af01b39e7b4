"""The command of sandbox weeks: ``stratify sandbox``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import faults_in_words


def sandbox(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run.")],
) -> None:
    """Show what a pathway on trial in shadow would have done beside the live one, week by week; nothing is written."""
    with faults_in_words():
        from stratify import sandbox_run

        typer.echo(sandbox_run.shown(out))
