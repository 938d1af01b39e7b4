"""The commands ``stratify model …``: a trained model from fitting to its use and back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratify.command_frame import ClinicalOption, QuickHelp, faults_in_words, progress
from stratify.operations_commands import DOOR

if TYPE_CHECKING:
    from stratify.modelling.promotion import SignOff, Trail

model_app = typer.Typer(
    cls=QuickHelp, help="Trained models of risk: fit, compare, promote, roll back.", no_args_is_help=True
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The model: clinical/models/NAME.yaml declares it.")]
RunOption = Annotated[Path, typer.Option("--on", metavar="RUN", help="Output folder of a finished run.")]
SignedBy = Annotated[str, typer.Option("--signed-by", help="Who takes this on.")]
Role = Annotated[str, typer.Option("--role", help="As what.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Day = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the signature.")]
Kept = Annotated[
    Path | None, typer.Option("--from", help="Folder the model is in, where it is not yet with the definitions.")
]
UsedBy = Annotated[
    Path, typer.Option("--on", metavar="RUN", help="Output folder of the runs that use it; its audit trail has a line.")
]
OwnFolder = Annotated[Path, typer.Option("--clinical", help="The site's folder of definitions; it is changed.")]


@model_app.command("fit")
def model_fit(
    name: NameArgument,
    run: RunOption,
    clinical: ClinicalOption = None,
    version: Annotated[str | None, typer.Option("--version", help="Its version; the next one when not given.")] = None,
    into: Annotated[Path | None, typer.Option("--into", help="Folder to keep it in.")] = None,
) -> None:
    """Fit a declared model on a finished run's people; nothing uses it until it is promoted."""
    with faults_in_words():
        from stratify.modelling import fitting

        with progress() as tell:
            done = fitting.fit_model(name, run, clinical=clinical, version=version, into=into, tell=tell)
        typer.echo(fitting.in_words(done))


@model_app.command("compare")
def model_compare(
    name: NameArgument,
    version: Annotated[str, typer.Argument(help="The version that might be promoted.")],
    run: RunOption,
    out: Annotated[Path | None, typer.Option("--out", help="File for the review, to promote by.")] = None,
    clinical: ClinicalOption = None,
    kept: Kept = None,
) -> None:
    """Put a model beside the one in use: how good on people it was not fitted on, and who joins and leaves the lists.

    Exit code 5 when it may not be promoted.
    """
    with faults_in_words():
        from stratify.modelling import promotion, review
        from stratify.modelling.stored import read_model
        from stratify.rulebook import load_rule_book

        model = read_model(promotion.model_file(name, version, clinical, kept))
        champion = promotion.champion_of(name, clinical)
        found = review.review_model(model, champion, run, load_rule_book(clinical))
        if out:
            out.write_text(promotion.review_text(found), encoding="utf-8")
        typer.echo(review.in_words(found))
    if not found.passes:
        raise typer.Exit(5)


@model_app.command("promote")
def model_promote(
    name: NameArgument,
    review: Annotated[Path, typer.Option("--review", help="The review, as compare --out wrote it.")],
    signed_by: SignedBy,
    role: Role,
    reason: Reason,
    day: Day,
    clinical: OwnFolder,
    run: UsedBy,
    kept: Kept = None,
) -> None:
    """Put a reviewed model in use: its score is written into the definitions, who signed into register and trail."""
    with faults_in_words():
        from stratify.modelling import promotion

        found = promotion.read_review(review)
        sign_off = _sign_off(signed_by, role, reason, day)
        typer.echo(promotion.promote(name, found, sign_off, clinical=clinical, trail=_trail(run), kept=kept))


@model_app.command("roll-back")
def model_roll_back(
    name: NameArgument,
    signed_by: SignedBy,
    role: Role,
    reason: Reason,
    day: Day,
    clinical: OwnFolder,
    run: UsedBy,
    to: Annotated[
        str | None, typer.Option("--to", help="An earlier version, or none; what was before when not given.")
    ] = None,
) -> None:
    """Go back to the model of before, or to the published score (--to none), at once."""
    with faults_in_words():
        from stratify.modelling import promotion

        sign_off = _sign_off(signed_by, role, reason, day)
        typer.echo(promotion.roll_back(name, to, sign_off, clinical=clinical, trail=_trail(run)))


@model_app.command("status")
def model_status(clinical: ClinicalOption = None) -> None:
    """Say which model is in use, since when and by whose signature, and check that the definitions hold that one."""
    with faults_in_words():
        from stratify.modelling import promotion
        from stratify.modelling.design import declared, models_folder, read_design
        from stratify.rulebook import load_rule_book

        book = load_rule_book(clinical)
        for name in declared(clinical):
            design = read_design(models_folder(clinical) / f"{name}.yaml", book)
            typer.echo(promotion.in_use_in_words(name, clinical, design, book))


def _sign_off(signed_by: str, role: str, reason: str, day: datetime) -> SignOff:
    from stratify.modelling.promotion import SignOff

    return SignOff(signed_by=signed_by, role=role, reason=reason, date=day.date())


def _trail(run: Path) -> Trail:
    from stratify import audit_trail, runs
    from stratify.modelling.promotion import Trail

    runs.plan_in_place(run)  # a folder without a run gets no trail
    return Trail(run, audit_trail.this_account(DOOR))
