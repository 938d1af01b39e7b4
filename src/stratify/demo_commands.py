"""The command ``stratify demo``: an invented county from extract files to lists, wherever stratify is installed.

The same county, day and settings as ``make demo``, which runs the Prefect flow in place of the stages by themselves.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import faults_in_words, progress

PEOPLE = 20_000
SEED = 1
INDEX_DATE = date(2026, 11, 2)


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for everything that is made; new or empty.")],
    people: Annotated[int, typer.Option("--people", help="How many people, 100 to 3,000,000.")] = PEOPLE,
) -> None:
    """Invent a county, do its weekly run, compare the lists with the truth about it, and say where to look.

    Needs no settings, no key and no server. Exit code 1 means that lists and truth differ.
    """
    with faults_in_words():
        from stratify import audit_trail, ingest, pipeline, runs, truth_score
        from stratify.settings import load_settings
        from stratify.synth import CountyOrder, write_county
        from stratify.synth.faults.asked import chosen_rates

        order = CountyOrder(
            people=people,
            seed=SEED,
            index_date=INDEX_DATE,
            faults=chosen_rates([], clean=False),
            workers=os.cpu_count() or 1,
        )
        settings = load_settings(
            settings_folder() / "demo.settings.yaml",
            environment={},
            overrides={"extracts": folder / "extracts", "out": folder, "index_date": INDEX_DATE.isoformat()},
            today=INDEX_DATE,
            synthetic_sources=frozenset(name for name, each in ingest.SOURCES.items() if each.is_synthetic),
        )
        key = runs.identity_key(settings, {})
        with progress() as tell:
            tell(f"Inventing {people:,} people")
            write_county(folder / "extracts", order, truth_folder=folder / "truth", replace=False, tell=tell)
            by = audit_trail.this_account("command line")
            done = pipeline.run(settings, key=key, by=by, progress=tell)
        compared = truth_score.compare(folder, folder / "truth", key)
        typer.echo(pipeline.in_words(done))
        typer.echo(truth_score.in_words(compared))
        typer.echo(f"Lists of the practices:   {folder}/published/direct_care")
        typer.echo(f"What commissioners see:   {folder}/published/secondary_use/dashboard.html")
        typer.echo(f"What was wrong with data: {folder}/published/data_quality/index.html")
    if compared.failures(strict=False):
        raise typer.Exit(1)


def settings_folder() -> Path:
    """Give the folder of the demo's settings: the installed copy, or the checkout's."""
    installed = Path(__file__).parent / "_demo"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docs"
