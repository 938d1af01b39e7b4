"""From a stored model and a finished run to its card, its page and what it was made for.

<out>/<name>-<version>.card.json  .card.html         counts under disclosure control: may leave direct care
<out>/<name>-<version>.profile.json                  for the restricted folder: what the people were like
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from stratify.audit_trail import Actor
from stratify.errors import RuleError
from stratify.modelling import fitting, promotion
from stratify.modelling.card_page import model_page
from stratify.modelling.cohort import Cohort
from stratify.modelling.design import ModelDesign, models_folder
from stratify.modelling.evaluation import MEASURES, Estimate
from stratify.modelling.learning_curve import Fit, Risk, Rows
from stratify.modelling.model_card import BREAKDOWNS, PARTS, GroupRow, ModelCard, make_card
from stratify.modelling.stored import StoredModel, read_model
from stratify.modelling.tripod import read_said
from stratify.modelling.watching import Limits, Verdict, notice
from stratify.modelling.watching_run import as_data, in_words, made_for, read_made_for, watch
from stratify.rulebook import RuleBook, load_rule_book
from stratify.runs import plan_in_place, without_values

Tell = Callable[[str], None]
_IN_WORDS = ("auroc", "calibration_slope", "calibration_gap", "sensitivity", "ppv")


@without_values
def card_of(
    name: str,
    version: str,
    run: Path,
    *,
    clinical: Path | None = None,
    kept: Path | None = None,
    listed_percent: float = 2.0,
    refit: bool = False,
    tell: Tell = lambda _: None,
) -> tuple[ModelCard, StoredModel, Cohort]:
    """Judge a model on the people of a finished run.

    Args:
        name: The model.
        version: Its version.
        run: Output folder of a finished run.
        clinical: Folder of the definitions of the run; those that come with stratify when not given.
        kept: Folder the model is in, where it is not yet with the definitions.
        listed_percent: Of 100 people, how many there are places for.
        refit: Fit it on parts of its people too, for a learning curve.
        tell: Told each step.

    Returns:
        The card, the model, and the people.

    Raises:
        RuleError: there is no such model, or the definitions do not have what it needs.
        RunError: there is no finished run.
    """
    book: RuleBook = load_rule_book(clinical)
    model = read_model(promotion.model_file(name, version, clinical, kept))
    tell("Gathering people and outcomes")
    cohort = fitting.gather_people(run, model.design, book)
    tell("Judging the model")
    said = read_said(models_folder(clinical) / f"{name}.report.yaml")
    again = _refitted(model.design) if refit else None
    card = make_card(model, cohort, listed_percent=listed_percent, said_by_site=said, refit=again)
    return card, model, cohort


def write_card(
    name: str,
    version: str,
    run: Path,
    out: Path,
    *,
    clinical: Path | None = None,
    kept: Path | None = None,
    listed_percent: float = 2.0,
    tell: Tell = lambda _: None,
) -> list[Path]:
    """Write the card of a model as data and as a page, and what it was made for; give the files.

    Args:
        name: As for :func:`card_of`.
        version: As for :func:`card_of`.
        run: As for :func:`card_of`.
        out: Folder to write into.
        clinical: As for :func:`card_of`.
        kept: As for :func:`card_of`.
        listed_percent: As for :func:`card_of`.
        tell: As for :func:`card_of`.
    """
    card, model, cohort = card_of(
        name, version, run, clinical=clinical, kept=kept, listed_percent=listed_percent, refit=True, tell=tell
    )
    texts = {
        "card.json": card.model_dump_json(indent=1) + "\n",
        "card.html": model_page(card, is_test=plan_in_place(run).is_test),
        "profile.json": made_for(model, cohort, Limits()).model_dump_json(indent=1) + "\n",
    }
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for ending, text in texts.items():
        file = out / f"{name}-{version}.{ending}"
        if ending == "profile.json":
            file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        files.append(file)
    return files


def watch_model(
    name: str,
    version: str,
    run: Path,
    profile: Path,
    *,
    clinical: Path | None = None,
    fall_back_by: Actor | None = None,
) -> tuple[Verdict, str, str]:
    """Watch a model at work in a finished run; give the verdict, it in words, and everything that was seen as JSON.

    Args:
        name: The model.
        version: Its version.
        run: Output folder of a finished run.
        profile: What it was made for, as :func:`write_card` wrote it.
        clinical: Folder of the definitions of the run.
        fall_back_by: Who puts the published score in its place where it may not be used: a roll-back like any other,
            signed by this command, with the reasons. None where it stays.
    """
    book = load_rule_book(clinical)
    model = read_model(promotion.model_file(name, version, clinical))
    watched = watch(model, read_made_for(profile, model), run, book, Limits())
    words = in_words(watched)
    if fall_back_by and clinical:
        trail = promotion.Trail(run, fall_back_by)
        done = put_published_score_in_place(
            model, watched.verdict, book, day=_day_of(run), clinical=clinical, trail=trail
        )
        words += f"\n{done}" if done else ""
    return watched.verdict, words, as_data(watched)


def put_published_score_in_place(
    model: StoredModel, verdict: Verdict, book: RuleBook, *, day: date, clinical: Path, trail: promotion.Trail
) -> str | None:
    """Roll a model in use back to the published score where it may not be used; gives what was done.

    Args:
        model: The model.
        verdict: Whether it may be used.
        book: The definitions.
        day: The day of the run that showed it.
        clinical: The site's folder of definitions; it is changed.
        trail: Where it is written down.
    """
    design = model.design
    in_use = promotion.register_of(design.name, clinical).in_use
    if verdict.may_be_used or in_use != design.version:
        return None
    said = notice(verdict, design.label, book.scores[design.baseline_score].label)
    signed = promotion.SignOff(
        signed_by="stratify model watch", role="automatic fall-back", date=day, reason=said or "may not be used"
    )
    return promotion.roll_back(design.name, promotion.PUBLISHED, signed, clinical=clinical, trail=trail)


def _day_of(run: Path) -> date:
    return plan_in_place(run).settings.index_date


def card_in_words(card: ModelCard) -> str:
    """Say on a screenful how a model did, the hardest test first."""
    lines = [
        f"{card.model} {card.version}: places for {card.listed_percent:g} of 100, risk {card.threshold:.3f} or more"
    ]
    for judged in card.judged:
        if not judged.groups or not judged.groups[0].measures:
            continue
        whole = judged.groups[0]
        lines.append(f"  {PARTS[judged.part]}: {_count(whole.rows)} rows, {_count(whole.events)} with the outcome")
        for measure, words in MEASURES.items():
            if measure in whole.measures:
                theirs = judged.baseline.get(measure)
                beside = f"   published score {_number(theirs)}" if theirs else ""
                lines.append(f"    {_number(whole.measures[measure]):>28}  {words}{beside}")
    hardest = next((each for each in card.judged if each.groups and each.groups[0].measures), None)
    if hardest:
        lines.append(f"  By group ({', '.join(_IN_WORDS)}); {PARTS[hardest.part].lower()}")
        lines += [f"    {_group(row)}" for row in hardest.groups]
    return "\n".join([*lines, *(f"  Limit: {each}" for each in card.limits)])


def _group(row: GroupRow) -> str:
    told = " ".join(f"{row.measures[each].value:8.3f}" if each in row.measures else "       –" for each in _IN_WORDS)
    return f"{told}  {BREAKDOWNS[row.breakdown]}{'' if row.breakdown == 'all' else ': ' + row.value}"


def _count(number: int | None) -> str:
    return "a hidden number of" if number is None else f"{number:,}"


def _number(each: Estimate) -> str:
    return f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"


def _refitted(design: ModelDesign) -> Fit:
    from stratify.modelling.algorithms import fit  # a second to import, and only this needs it

    def refit(rows: Rows) -> Risk | None:
        try:
            return fit(
                design.algorithm,
                rows.predictors,
                rows.outcome,
                names=design.names,
                groups=rows.practice,
                seed=design.seed,
                directions=design.directions,
            ).risk
        except RuleError:  # too few practices or events for this part of a learning curve
            return None

    return refit
