"""The commands of whoever looks after a deployment: ``stratify doctor | backup | restore | audit | safety``."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratify.command_frame import QuickHelp, faults_in_words

if TYPE_CHECKING:
    from stratify.settings import Settings

audit_app = typer.Typer(
    cls=QuickHelp, help="The record of what was done with people's data: show it, check it.", no_args_is_help=True
)
OutputOption = Annotated[Path, typer.Option("--out", help="Output folder of stratify.")]
DOOR = "command line"


def doctor(
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings file (YAML).")] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Send a notice when something is wrong, as a failed run would.")
    ] = False,
    server: Annotated[bool, typer.Option("--server/--no-server", help="Ask the Prefect server too.")] = True,
) -> None:
    """Look a deployment over: versions, keys, folders, disk, clock, server, schedule, last good run; say what to do.

    Exit code 1 means that the next run would fail, or that the last one was not made.
    """
    with faults_in_words():
        from stratify.operations import doctor as deployment

        findings = deployment.examine(partial(_settings_of, settings), os.environ, datetime.now(UTC), server=server)
        typer.echo(deployment.in_words(findings))
        faults = [each for each in findings if each.state == "fault"]
        if faults and notify:
            sent = deployment.tell(faults, os.environ)
            typer.echo(f"Told by {' and '.join(sent)}." if sent else "Nobody was told.", err=True)
    if faults:
        raise typer.Exit(1)


def backup(
    out: OutputOption,
    to: Annotated[Path, typer.Option("--to", help="Folder that backups are kept in, on another, encrypted disk.")],
) -> None:
    """Copy what cannot be made again: the run in place with everything it remembers, what went out, the audit trail."""
    with faults_in_words():
        from stratify import audit_trail, runs
        from stratify.operations import backup as copies

        details = {"run_id": runs.plan_in_place(out).run_id}
        with audit_trail.recorded(out, "backup", details, by=audit_trail.this_account(DOOR)):
            made = copies.back_up(out, to)
        typer.echo(f"Backup: {made}. It holds names and NHS numbers, and not the identity key.")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that `stratify backup` made.")],
    out: OutputOption,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also in place of a run of the same day or a later one.")
    ] = False,
) -> None:
    """Put a backup in place as the run of an output folder, checked file by file first."""
    with faults_in_words():
        from stratify import audit_trail
        from stratify.operations import backup as copies

        plan = copies.restore(source, out, replace=replace)
        details = {"run_id": plan.run_id, "index_date": plan.settings.index_date.isoformat(), "replace": replace}
        audit_trail.add(out, "restore", details, by=audit_trail.this_account(DOOR))
        typer.echo(f"In place: run {plan.run_id} for {plan.settings.index_date}, in {out}.")


def housekeeping(
    settings: Annotated[Path, typer.Option("--settings", help="Settings file, for `records` and `backups`.")],
) -> None:
    """Remove records that are kept no longer, make a backup, restore it on trial, remove the oldest: what cron does."""
    with faults_in_words():
        from stratify import audit_trail
        from stratify.housekeeping import keep_house
        from stratify.operations import notices

        with notices.told_of_faults(os.environ):
            chosen = _settings_of(settings)
            for said in keep_house(chosen, today=date.today(), by=audit_trail.this_account(DOOR)):
                typer.echo(said)


@audit_app.command("show")
def audit_show(
    out: OutputOption,
    act: Annotated[str | None, typer.Option("--act", help="Only these: run, release, explanation ...")] = None,
    last: Annotated[int | None, typer.Option("--last", help="Only so many of the newest.", min=1)] = None,
) -> None:
    """Show who did what and when, one line an act: what it read, counts in and out, digests of what it put out."""
    with faults_in_words():
        from stratify import audit_trail

        lines = [each for each in audit_trail.read(out) if act is None or each.entry.get("act") == act]
        for line in lines[-last:] if last else lines:
            typer.echo(audit_trail.in_words(line))


@audit_app.command("verify")
def audit_verify(
    out: OutputOption,
    noted: Annotated[
        str | None, typer.Option("--noted", help="A digest that was noted elsewhere: its line must be there still.")
    ] = None,
) -> None:
    """Check that no line was changed, lost or put in; exit code 1 when one was.

    Lines cut off the end show only against a digest that was noted elsewhere: every run says its own, and so does this.
    """
    with faults_in_words():
        from stratify import audit_trail

        lines = audit_trail.read(out)
        faults = audit_trail.faults(lines, noted=noted)
        for each in faults:
            typer.echo(each)
        if not faults:
            typer.echo(f"{len(lines):,} lines, none changed, lost or put in.")
            typer.echo(
                f"Last digest, to be noted elsewhere: {lines[-1].digest if lines else audit_trail.NOTHING_BEFORE}"
            )
    if faults:
        raise typer.Exit(1)


safety_app = typer.Typer(cls=QuickHelp, help="Safety documents, and what stratify is made of.", no_args_is_help=True)


@safety_app.command("docs")
def safety_docs(
    folder: Annotated[Path, typer.Argument(help="Folder the pages go to.")],
    check_only: Annotated[bool, typer.Option("--check", help="Write nothing; fail when one is out of date.")] = False,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Settings file of the deployment that the pages are for.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="What the tests said: the file of pytest --junitxml.")
    ] = None,
) -> None:
    """Write the safety documents as drafts to be signed: hazard log, safety case, data flows, transparency, purposes.

    docs/safety/ is made by this, for the software as it comes; a site makes its own, with its settings.
    """
    with faults_in_words():
        from stratify import safety_pages
        from stratify.evidence import read_results

        found = safety_pages.pages(
            settings=_settings_of(settings) if settings else None, results=read_results(results) if results else None
        )
        typer.echo(safety_pages.write(folder, found, check_only=check_only))


@safety_app.command("sbom")
def safety_sbom(
    lock: Annotated[Path, typer.Argument(metavar="LOCK", help="requirements.lock.")],
    out: Annotated[Path, typer.Option("--out", help="JSON file to write.")],
) -> None:
    """Write the bill of materials (CycloneDX 1.6, JSON): every locked package with version, licence and hashes.

    Exit code 6 means that the licence of an installed package is not among those allowed.
    """
    with faults_in_words():
        import json

        from stratify.operations import materials

        found = materials.read_lock(lock)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(materials.bill(found), indent=1) + "\n", encoding="utf-8", newline="\n")
        typer.echo(f"{len(found)} packages in {out}.")
        materials.stop_at_other_licences(found)


def _settings_of(file: Path | None) -> Settings:
    from stratify import ingest
    from stratify.settings import load_settings

    names = frozenset(name for name, each in ingest.SOURCES.items() if each.is_synthetic)
    return load_settings(file, environment=os.environ, overrides={}, today=date.today(), synthetic_sources=names)
