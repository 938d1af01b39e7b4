"""Which model is in use, since when, who signed for it, and which was before.

``models/<name>.promotions.yaml`` is a register that only grows; its last entry says what is in use. Promotion and
roll-back write the score of the model into ``scores/`` and then the entry: what runs and what was signed are one. The
review that was signed stays beside the model. Both are in the audit trail of the runs, or are not done.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import Field, ValidationError

from stratify import audit_trail, strict_yaml
from stratify.audit_trail import Actor
from stratify.errors import RuleError
from stratify.modelling.definition import definition_text, examples_text, is_in_use, no_score, score_of
from stratify.modelling.design import PROMOTIONS, ModelDesign, models_folder, read_design
from stratify.modelling.review import Review
from stratify.modelling.stored import StoredModel, read_model, write_model
from stratify.rulebook import RuleBook, load_rule_book, with_definitions
from stratify.rules import Score
from stratify.rules.strict import Strict

PUBLISHED = "none"
"""Stands for no model: the published score decides."""


class Entry(Strict):
    """One change of what is in use: a promotion with its review, or a roll-back with its reason."""

    version: str
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    before: str
    date: date
    signed_by: str = Field(min_length=2)
    role: str = Field(min_length=2)
    reason: str = Field(min_length=5)
    review: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the review signed")


class Register(Strict):
    """Every change so far, the latest last."""

    promotions: tuple[Entry, ...] = ()

    @property
    def in_use(self) -> str:
        """The version in use, or ``none``."""
        return self.promotions[-1].version if self.promotions else PUBLISHED


class SignOff(Strict):
    """Who takes a change on, when and why."""

    signed_by: str
    role: str
    date: date
    reason: str


class Trail(NamedTuple):
    """Where a change is written down, and who makes it.

    Attributes:
        out: The output folder of the runs that use the model.
        by: Who makes it.
    """

    out: Path
    by: Actor


def register_of(name: str, clinical: Path | None) -> Register:
    """Read the register of a model; an empty one where there is none.

    Raises:
        RuleError: it cannot be read.
    """
    file = models_folder(clinical) / f"{name}{PROMOTIONS}"
    if not file.is_file():
        return Register()
    try:
        return Register.model_validate(strict_yaml.load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError):
        raise RuleError(
            f"models/{file.name}", expected="a register of promotions", found="something else",
            action="Take it back from where the definitions are kept.",
        ) from None  # fmt: skip


def model_file(name: str, version: str, clinical: Path | None, kept: Path | None = None) -> Path:
    """Give the file of a version of a model: with the definitions, or in a folder of its own."""
    return (kept or models_folder(clinical)) / f"{name}-{version}.json"


def champion_of(name: str, clinical: Path | None) -> StoredModel | None:
    """Give the model in use; None for none.

    Raises:
        RuleError: its file is not the one that was signed.
    """
    register = register_of(name, clinical)
    return None if register.in_use == PUBLISHED else _signed_model(name, register.promotions[-1], clinical)


def _signed_model(name: str, entry: Entry, clinical: Path | None) -> StoredModel:
    model = read_model(model_file(name, entry.version, clinical))
    if model.digest != entry.sha256:
        raise RuleError(
            f"model {name} {entry.version}",
            expected="the file that was signed",
            found="another, whole, under its name",
            action="Take the signed file back.",
        )
    return model


def review_text(review: Review) -> str:
    """Write a review as its file holds it."""
    return review.model_dump_json(indent=1) + "\n"


def read_review(file: Path) -> Review:
    """Read the review that a promotion rests on.

    Raises:
        RuleError: it is none.
    """
    try:
        return Review.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        raise RuleError(
            f"review {file.name}", expected="a review as compare --out writes it", found="something else",
            action="Make it again.",
        ) from None  # fmt: skip


def promote(
    name: str, review: Review, sign_off: SignOff, *, clinical: Path, trail: Trail, kept: Path | None = None
) -> str:
    """Put a reviewed model in use.

    Args:
        name: The model.
        review: What was found, of this very file, beside the model in use now.
        sign_off: Who takes it on.
        clinical: The site's folder of definitions; it is changed.
        trail: Where it is written down.
        kept: Folder the model is in where it is not yet with the definitions: it is copied there.

    Returns:
        What was done, in words.

    Raises:
        RuleError: the review is of something else, or does not hold.
        RunError: it cannot be written down.
    """
    register = register_of(name, clinical)
    model = read_model(model_file(name, review.version, clinical, kept))

    def refuse(expected: str, found: str, action: str) -> RuleError:
        return RuleError(f"model {name} {review.version}", expected=expected, found=found, action=action)

    if (review.model, review.sha256) != (name, model.digest):
        raise refuse("the review of this file", "one of another", "Compare again.")
    if (review.beside or PUBLISHED) != register.in_use:
        raise refuse(f"a review beside what is in use ({register.in_use})", f"{review.beside}", "Compare again.")
    other = model_file(name, review.version, clinical)
    if other.is_file() and read_model(other).digest != model.digest:
        raise refuse("a version of its own", "one that another model has", "Fit it under another version.")
    if not review.passes:
        failed = ", ".join(each.what for each in review.gates if not each.holds)
        raise refuse("a review in which everything holds", f"not: {failed}", "Fit another model.")
    told = review_text(review)
    entry = Entry(
        version=review.version,
        sha256=model.digest,
        before=register.in_use,
        review=hashlib.sha256(told.encode()).hexdigest(),
        **sign_off.model_dump(),
    )
    book = load_rule_book(clinical)
    score = score_of(model, book)
    with_definitions(book, [score])  # what does not fit the rule book is refused before anything is written
    with _written_down("model promoted", name, entry, trail):
        write_model(model, model_file(name, review.version, clinical))
        _write(models_folder(clinical) / f"{name}-{review.version}.review.json", told)
        return _put_in_use(name, score, model, register, entry, clinical)


def roll_back(name: str, to: str | None, sign_off: SignOff, *, clinical: Path, trail: Trail) -> str:
    """Go back to an earlier model, or to the published score, at once and without a review.

    Args:
        name: The model.
        to: A version that was in use before, or ``none``; what was before the present one when not given.
        sign_off: Who takes it on, and why.
        clinical: The site's folder of definitions; it is changed.
        trail: Where it is written down.

    Returns:
        What was done, in words.

    Raises:
        RuleError: nothing is in use, or it never was.
        RunError: it cannot be written down.
    """
    register = register_of(name, clinical)
    if register.in_use == PUBLISHED:
        raise RuleError(
            f"model {name}",
            expected="a model in use",
            found="none: the published score is",
            action="Nothing is to be done.",
        )
    wanted = to or register.promotions[-1].before
    book = load_rule_book(clinical)
    design = read_design(models_folder(clinical) / f"{name}.yaml", book)
    signed = next((each for each in reversed(register.promotions) if each.version == wanted and each.sha256), None)
    if wanted != PUBLISHED and signed is None:
        raise RuleError(
            f"model {name}", expected="a version that was in use before, or none", found=wanted,
            action="See the register beside the model.",
        )  # fmt: skip
    model = _signed_model(name, signed, clinical) if signed else None
    score = score_of(model, book) if model else no_score(design)
    with_definitions(book, [score])  # what no longer fits the rule book is refused before anything is written
    entry = Entry(
        version=wanted, sha256=model.digest if model else None, before=register.in_use, **sign_off.model_dump()
    )
    with _written_down("model rolled back", name, entry, trail):
        return _put_in_use(name, score, model, register, entry, clinical)


def _written_down(act: str, name: str, entry: Entry, trail: Trail) -> AbstractContextManager[object]:
    said = {"model": name, **entry.model_dump(mode="json", exclude_none=True)}
    return audit_trail.recorded(trail.out, act, said, by=trail.by)


def _put_in_use(
    name: str,
    score: Score,
    model: StoredModel | None,
    register: Register,
    entry: Entry,
    clinical: Path,
) -> str:
    folder = clinical / "scores"
    texts = {
        folder / f"{name}.yaml": definition_text(score),
        folder / f"{name}.examples.yaml": examples_text(score, model),
        models_folder(clinical) / f"{name}{PROMOTIONS}": _register_text(
            Register(promotions=(*register.promotions, entry))
        ),
    }
    for file, text in texts.items():
        _write(file, text)
    return f"{name}: {entry.before} → {entry.version}, signed by {entry.signed_by} ({entry.role}), {entry.date}"


def _write(file: Path, text: str) -> None:
    made = file.with_name(f".{file.name}.part")
    made.write_text(text, encoding="utf-8")
    made.replace(file)


def _register_text(register: Register) -> str:
    said = json.loads(register.model_dump_json(exclude_none=True))
    text: str = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=118)
    return f"# Written by `stratify model promote` and `roll-back`. It only grows.\n{text}"


def in_use_in_words(name: str, clinical: Path | None, design: ModelDesign, book: RuleBook) -> str:
    """Say which model is in use, and prove that the rule book's score is that model and no other.

    Raises:
        RuleError: the score is not what was signed.
    """
    register = register_of(name, clinical)
    if not register.promotions and name not in book.scores:
        return f"{name}: never promoted, and no definition uses it"
    model = champion_of(name, clinical)
    wanted = score_of(model, book) if model else no_score(design)
    if book.scores.get(name) != wanted:
        raise RuleError(
            f"scores/{name}.yaml", expected=f"the score of {register.in_use}, which was signed", found="another",
            action="Roll back or promote: both write it.",
        )  # fmt: skip
    if model is None or not is_in_use(wanted):
        return f"{name}: no model is in use: the published score decides"
    last = register.promotions[-1]
    return f"{name}: version {last.version} in use since {last.date}, signed by {last.signed_by} ({last.role})"
