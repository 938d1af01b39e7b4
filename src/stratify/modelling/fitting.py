"""From a declaration and a finished run to a stored model: gather, diagnose, fit, keep. Promotes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stratify.errors import RunError
from stratify.modelling.cohort import Cohort, gather
from stratify.modelling.design import ModelDesign, models_folder, read_design
from stratify.modelling.diagnosis import refuse_unfit
from stratify.modelling.stored import StoredModel, TrainedOn, versions_here, write_model
from stratify.modelling.untreated_run import without_help
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import without_values

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Fitting:
    """A model that was fitted, where it is kept, and the people it was fitted and may be judged on."""

    model: StoredModel
    file: Path
    cohort: Cohort


def design_of(name: str, clinical: Path | None, book: RuleBook | None = None) -> ModelDesign:
    """Read a model's declaration from a folder of definitions."""
    return read_design(models_folder(clinical) / f"{name}.yaml", book or load_rule_book(clinical))


def gather_people(run: Path, design: ModelDesign, book: RuleBook) -> Cohort:
    """Gather a design's people from a finished run's output folder.

    Raises:
        RunError: the folder holds no finished run.
    """
    restricted = (run / "restricted").resolve()
    if not (restricted / "plan.json").is_file():
        raise RunError(f"output folder {run.name}", expected="a finished run", found="none", action="Run first.")
    settings = json.loads((restricted / "plan.json").read_text(encoding="utf-8"))["settings"]
    limits = {name: settings.get(name) for name in ("memory_limit", "threads")}
    return gather(restricted, design, book, date.fromisoformat(settings["index_date"]), **limits)


@without_values
def fit_model(
    name: str,
    run: Path,
    *,
    clinical: Path | None = None,
    version: str | None = None,
    into: Path | None = None,
    tell: Tell = lambda _: None,
) -> Fitting:
    """Fit a declared model on a finished run's people and keep it.

    Args:
        name: The model; its declaration is ``models/<name>.yaml``.
        run: Output folder of a finished run.
        clinical: Folder of the definitions of the run; those that come with stratify when not given.
        version: Its version; the one after the latest that is kept, or the declared one, when not given.
        into: Folder to keep it in; that of the declaration when not given.
        tell: Told each step.

    Raises:
        RuleError: the declaration is wrong, or nothing should be fitted on these people.
        RunError: there is no finished run.
    """
    book = load_rule_book(clinical)
    design = design_of(name, clinical, book)
    folder = into or models_folder(clinical)
    design = design.model_copy(update={"version": version or next_version(design, folder, models_folder(clinical))})
    tell("Gathering people and outcomes")
    cohort = gather_people(run, design, book)
    refuse_unfit(design, cohort, book)
    cohort = without_help(cohort, design, run)
    tell("Fitting")
    model = fit_on(design, cohort, definitions=book.digest)
    file = folder / f"{name}-{design.version}.json"
    write_model(model, file)
    return Fitting(model, file, cohort)


def fit_on(design: ModelDesign, cohort: Cohort, *, definitions: str) -> StoredModel:
    """Fit a design on the part of a cohort that is for fitting."""
    from stratify.modelling.algorithms import fit  # a second to import, and only fitting needs it

    mine = cohort.part("fit")
    fitted = fit(
        design.algorithm,
        mine.predictors,
        mine.outcome,
        names=design.names,
        groups=mine.groups,
        seed=design.seed,
        directions=design.directions,
    )
    dates = mine.rows["index_date"].unique().sort().to_list()
    apart = cohort.part("elsewhere", "later_elsewhere").rows["practice_code"].unique().sort().to_list()
    trained = TrainedOn(
        people=mine.rows["patient_key"].n_unique(),
        rows=mine.rows.height,
        events=int(mine.outcome.sum()),
        practices=mine.rows["practice_code"].n_unique(),
        first_index_date=dates[0].isoformat(),
        last_index_date=dates[-1].isoformat(),
        held_back_practices=tuple(apart),
        attrition=cohort.attrition,
        data=mine.digest,
        definitions=definitions,
    )
    return StoredModel(design=design, fitted=fitted, trained_on=trained, made_with=versions_here())


def next_version(design: ModelDesign, *folders: Path) -> str:
    """Give the version after the latest kept: of the third number, since the declaration is the same."""
    files = [each for folder in folders for each in folder.glob(f"{design.name}-*.json")]
    kept = [each.stem.removeprefix(f"{design.name}-").split(".") for each in files]
    latest = max(
        (tuple(int(part) for part in each) for each in kept if len(each) == 3 and all(part.isdigit() for part in each)),
        default=None,
    )
    declared = tuple(int(part) for part in design.version.split("."))
    if latest is None or declared > latest:
        return design.version
    return f"{latest[0]}.{latest[1]}.{latest[2] + 1}"


def in_words(fitting: Fitting) -> str:
    """Say on a screenful what was fitted on whom."""
    trained = fitting.model.trained_on
    lines = [
        f"{fitting.model.design.name} {fitting.model.design.version}: {fitting.file}",
        "  from everybody to those it is for",
    ]
    lines += [
        f"    {each.people:>9,} people {each.rows:>9,} rows {each.events:>8,} events  {each.step}"
        for each in trained.attrition
    ]
    lines.append(
        f"  fitted on {trained.rows:,} rows of {trained.people:,} people at {trained.practices} practices, "
        f"{trained.events:,} events, index dates {trained.first_index_date} to {trained.last_index_date}"
    )
    slope, intercept = fitting.model.fitted.calibration
    lines.append(
        f"  {fitting.model.fitted.parameters} parameters; calibrated on practices left out: slope {slope:.3f}, "
        f"intercept {intercept:+.3f}; chosen {fitting.model.fitted.chosen}"
    )
    lines.append("  Nothing uses it yet: see `stratify model compare` and `stratify model promote`.")
    return "\n".join(lines)
