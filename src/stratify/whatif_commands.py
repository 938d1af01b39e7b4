"""The command ``stratify whatif``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, faults_in_words


def whatif(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run.")],
    changes: Annotated[Path | None, typer.Argument(metavar="CHANGES", help="File of changes (YAML).")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", help="As in the file: '{score: efi, tier: severe, above: 0.3}'."),
    ] = None,
    pathway: Annotated[list[Path] | None, typer.Option("--pathway", help="A pathway file, new or in place.")] = None,
    capacity: Annotated[
        list[str] | None,
        typer.Option("--capacity", help="As in the file: '{clinic: copd_clinic, slots_per_week: 12}'."),
    ] = None,
    switch_on: Annotated[
        list[str] | None, typer.Option("--switch-on", help="As in the file: '{pathway: copd, week: 4}'.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for tables, plot and page.")] = None,
    clinical: ClinicalOption = None,
) -> None:
    """Show what a change would do to lists, waits, people, staff and other services, before anyone signs."""
    with faults_in_words():
        from stratify import publish
        from stratify.whatif_changes import read_changes
        from stratify.whatif_run import try_out

        asked = read_changes(
            changes,
            thresholds=tuple(threshold or ()),
            pathways=tuple(pathway or ()),
            capacity=tuple(capacity or ()),
            switch_on=tuple(switch_on or ()),
        )
        found = try_out(asked, run, clinical=clinical)
        if out:
            publish.write_what_if(found, out)
        typer.echo(publish.what_if_in_words(found))
