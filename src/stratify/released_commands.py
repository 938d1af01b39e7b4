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
    attack: Annotated[
        bool, typer.Option("--attack", help="Try to work out every number from 1 to 7 from all releases together.")
    ] = False,
) -> None:
    """Show what was ever released to commissioners, run by run: numbers shown, and hidden for which reason.

    Why a number is hidden says more than was published: for whoever answers for what was released, and nobody else.
    With ``--attack``, exit code 5 means that a number can be worked out.
    """
    with faults_in_words():
        from stratify import release_history

        cells = release_history.released_cells(out)
        if not attack:
            typer.echo(release_history.in_words(cells, place=place, about=about))
            return
        from stratify import release_attack

        found = release_attack.attacked(cells)
        typer.echo(release_attack.in_words(found))
        if found.given_away.height:
            raise typer.Exit(5)
