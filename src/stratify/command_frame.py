"""What every command has in common: quick help, progress on standard error, and faults as messages with exit codes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup, TyperOption

ClinicalOption = Annotated[
    Path | None,
    typer.Option("--clinical", help="Folder of clinical definitions; those that come with stratify when not given."),
]


class QuickHelp(TyperGroup):
    """A group whose own ``--help``, when not asked for, is False: typer loads pydantic to turn its None into that."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:  # noqa: ANN401  its class is private to typer
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Say on standard error what is being done, and how long the last step took."""
    started: list[tuple[str, float]] = []

    def finish() -> None:
        if started:
            words, begun = started.pop()
            typer.echo(f"  {words}: {time.monotonic() - begun:.1f} s", err=True)

    def tell(words: str) -> None:
        finish()
        started.append((words, time.monotonic()))
        if sys.stderr.isatty():
            typer.echo(f"  {words} …\r", err=True, nl=False)

    yield tell
    finish()


@contextmanager
def faults_in_words() -> Iterator[None]:
    """Turn a fault of ours, or one of the machine, into its message and its exit code."""
    from stratify.errors import RunError, StratifyError

    try:
        try:
            yield
        except OSError as fault:
            name = Path(str(fault.filename)).name if fault.filename else "this machine"
            raise RunError(
                name,
                expected="files and folders that can be read and written",
                found=fault.strerror or type(fault).__name__,
                action="Mend that, then run again; the last lists stay in place.",
            ) from None
    except StratifyError as fault:
        typer.echo(f"{type(fault).__name__}: {fault}", err=True)
        raise typer.Exit(fault.exit_code) from None
