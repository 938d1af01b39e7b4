"""The commands of the time machine: ``stratify replay``, ``stratify retention apply | erase``."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratify.command_frame import QuickHelp, faults_in_words, progress
from stratify.operations_commands import DOOR

if TYPE_CHECKING:
    from stratify.privacy import KeyRing
    from stratify.settings import Settings

retention_app = typer.Typer(
    cls=QuickHelp, help="What is kept of past weeks: remove it by schedule, take one person out.", no_args_is_help=True
)
SettingsOption = Annotated[
    Path, typer.Option("--settings", help="Settings file of the site, for its setting `records`.")
]
RecordsOption = Annotated[Path, typer.Option("--from", help="Folder of records: the setting `records`, or a copy.")]


def replay(
    week: Annotated[datetime, typer.Argument(metavar="WEEK", formats=["%Y-%m-%d"], help="Index date of the run.")],
    records: RecordsOption,
    out: Annotated[Path, typer.Option("--out", help="Empty folder on an encrypted disk: it gets everything of then.")],
    run_id: Annotated[str | None, typer.Option("--run", help="One run of the week; the last when not given.")] = None,
    as_known_now: Annotated[
        bool, typer.Option("--as-known-now", help="With what is known by now, and why each place would be another.")
    ] = False,
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings of now, for --as-known-now.")] = None,
    known_on: Annotated[
        datetime | None,
        typer.Option("--known-on", formats=["%Y-%m-%d"], help="Last day a file may describe; today when not given."),
    ] = None,
) -> None:
    """Make a past week again from what was known then, and compare every file with what went out.

    Needs the identity key of then. Exit code 1 means that something differs that no erasure explains; of
    --as-known-now, that a difference has no cause.
    """
    with faults_in_words():
        from stratify import audit_trail, kept_records
        from stratify.errors import SettingsError
        from stratify.replay import again, differences

        if as_known_now and settings is None:
            raise SettingsError(
                "--as-known-now", expected="--settings", found="none", action="Name the settings file of now."
            )
        record = kept_records.read(records, week.date(), run_id)
        key = again.key_of(record, _ring())
        asked = {"week": record.week.isoformat(), "run_id": record.run_id, "as_known_now": as_known_now}
        with (
            audit_trail.recorded(records, "replay", asked, by=audit_trail.this_account(DOOR)) as ended,
            progress() as tell,
        ):
            if as_known_now:
                day = known_on.date() if known_on else date.today()
                report = differences.compare(
                    records, record, _settings(settings), out, known_on=day, key=key, progress=tell
                )
                ended["other_places"] = len(report.rows)
                said, is_well = differences.in_words(report), not report.unexplained
            else:
                done = again.replay(records, record, out, key=key, progress=tell)
                ended |= {"same": done.agree, "other": len(done.differ) + len(done.lacking) + len(done.added)}
                said, is_well = again.in_words(done), done.is_as_it_can_be
        typer.echo(said)
    if not is_well:
        raise typer.Exit(1)


@retention_app.command("apply")
def retention_apply(settings: SettingsOption) -> None:
    """Remove the records of weeks older than the setting `record_weeks`; the trail of them stays."""
    with faults_in_words():
        from stratify import audit_trail
        from stratify.replay import retention

        chosen = _settings(settings)
        done = retention.remove_old(
            _records(chosen), weeks=chosen.record_weeks, today=date.today(), by=audit_trail.this_account(DOOR)
        )
        typer.echo(retention.in_words(done, chosen.record_weeks))


@retention_app.command("erase")
def retention_erase(
    settings: SettingsOption,
    because: Annotated[str, typer.Option("--because", help="asked_by_patient, court_order or sent_by_mistake.")],
    nhs_number: Annotated[
        list[str] | None,
        typer.Option("--nhs-number", help="Repeatable; asked for when not given, so that the shell keeps none."),
    ] = None,
) -> None:
    """Take one person out of every record and of the memory that the next run reads. It cannot be undone."""
    with faults_in_words():
        from stratify import audit_trail
        from stratify.replay import erasure

        chosen = _settings(settings)
        numbers = nhs_number or [typer.prompt("NHS number", hide_input=True)]
        by = audit_trail.this_account(DOOR)
        out = chosen.out if (chosen.out / "runs").is_dir() else None
        done = erasure.erase(_records(chosen), out, numbers, ring=_ring(), because=because, today=date.today(), by=by)
        typer.echo(erasure.in_words(done))


def _records(settings: Settings) -> Path:
    from stratify.errors import SettingsError

    if settings.records is None:
        raise SettingsError(
            "records", expected="the folder of records", found="no such setting", action="Name it: docs/replay.md."
        )
    return settings.records


def _settings(file: Path | None) -> Settings:
    from stratify import ingest
    from stratify.settings import load_settings

    names = frozenset(name for name, each in ingest.SOURCES.items() if each.is_synthetic)
    return load_settings(file, environment=os.environ, overrides={}, today=date.today(), synthetic_sources=names)


def _ring() -> KeyRing | None:
    from stratify import privacy

    is_given = os.environ.get(privacy.KEY_VARIABLE) or os.environ.get(privacy.KEY_FILE_VARIABLE)
    return privacy.read_key_ring(os.environ) if is_given else None
