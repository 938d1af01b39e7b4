"""The command ``stratify released``: what was ever released of the commissioners' numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import faults_in_words


def released(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of stratify.")],
    place: Annotated[str | None, typer.Option("--place", help="Each number of this place, by its code.")] = None,
    about: Annotated[
        str | None, typer.Option("--about", help="Each number of what is counted, for example a metric's id.")
    ] = None,
) -> None:
    """Show what was ever released to commissioners, run by run: numbers shown, and hidden for which reason.

    Why a number is hidden says more than was published: for whoever answers for what was released, and nobody else.
    """
    with faults_in_words():
        from stratify import release_history

        typer.echo(release_history.in_words(release_history.released_cells(out), place=place, about=about))
