"""A model's file: JSON that holds numbers and words, with a digest; nothing in it can be run.

A file that is not whole, was changed, or is of another kind is refused before anything of it is used.
"""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import ValidationError

from stratify.errors import RuleError
from stratify.modelling.additive import FittedModel
from stratify.modelling.design import ModelDesign
from stratify.rules.strict import Strict

_FORMAT: Literal["stratify model 1"] = "stratify model 1"
_LARGEST = 5_000_000
"""Bytes; a model of 50 predictors with 64 bands each has a tenth of that."""


class AttritionStep(Strict):
    """One step from everybody to those fitted on, and how many were left after it; index dates together."""

    step: str
    people: int
    rows: int
    events: int


class TrainedOn(Strict):
    """What a model was fitted on, in counts. ``data`` is a digest of the rows, to tell two fittings apart."""

    people: int
    rows: int
    events: int
    practices: int
    first_index_date: str
    last_index_date: str
    held_back_practices: tuple[str, ...]
    attrition: tuple[AttritionStep, ...]
    data: str
    definitions: str


class StoredModel(Strict):
    """A fitted model with what it was declared to be and what it was made from and with."""

    format: Literal["stratify model 1"] = _FORMAT
    design: ModelDesign
    fitted: FittedModel
    trained_on: TrainedOn
    made_with: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return hashlib.sha256(_canonical(self.model_dump(mode="json"))).hexdigest()


def versions_here() -> dict[str, str]:
    """Give the versions that decide what a fitting comes to."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scikit-learn", "scipy")}}


def write_model(model: StoredModel, file: Path) -> str:
    """Write a model's file, whole or not at all.

    Returns:
        Its digest, which the file holds too.
    """
    said = model.model_dump(mode="json") | {"sha256": model.digest}
    file.parent.mkdir(parents=True, exist_ok=True)
    made = file.with_name(f".{file.name}.part")
    made.write_text(json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    made.replace(file)
    return model.digest


def read_model(file: Path) -> StoredModel:
    """Read a model's file and prove that it is the one that was written.

    Raises:
        RuleError: there is none, it is no model, not whole, or was changed.
    """

    def refuse(expected: str, found: str) -> NoReturn:
        raise RuleError(
            f"model {file.name}",
            expected=expected,
            found=found,
            action="Take the file from where it was made, or fit again.",
        )

    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError:
        refuse("a model's file", "none that can be read")
    if len(text) > _LARGEST:
        refuse(f"at most {_LARGEST:,} bytes", "more")
    try:
        said: Any = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        refuse("the JSON of a model", "text that is none, or is cut off")
    if not isinstance(said, dict) or said.get("format") != _FORMAT:
        refuse(f"the format {_FORMAT}", "another file")
    stated = said.pop("sha256", None)
    if hashlib.sha256(_canonical(said)).hexdigest() != stated:
        refuse("what its digest (sha256) stands for", "something else: it was changed after it was written")
    try:
        model = StoredModel.model_validate_json(json.dumps(said))
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        refuse(
            "a model as this version of stratify writes it", ".".join(str(each) for each in first["loc"]) or "others"
        )
    if model.fitted.names != model.design.names:
        refuse("one term for each predictor declared", "others")
    return model


def _canonical(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _no_number(_: str) -> NoReturn:
    raise ValueError("no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key given twice")
    return found
