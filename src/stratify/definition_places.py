"""Reads a file of definitions, and says where in it a fault stands and what may have been meant: all that knows lines.

Belongs here: from what YAML or pydantic say, or from a name that leads nowhere, to file, line and repair. Does not
belong: what is a fault; the models and ``rulebook`` say that. Shows what was written, a definition and never a record.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, Union

import yaml
from pydantic import BaseModel, ValidationError

from stratify import strict_yaml
from stratify.errors import RuleError

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]
_REPAIR = "Correct the definition"


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known word may have been meant; nothing where none is near."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"Did you mean {found[0]}?" if found else ""


class DefinitionFile:
    """A file of definitions, and the line of each thing in it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"clinical/{path.parent.name}/{path.name}"

    @cached_property
    def _positions(self) -> list[tuple[Loc, int, str | None]]:
        return strict_yaml.positions(self.path.read_text(encoding="utf-8"))

    @cached_property
    def _lines(self) -> dict[Loc, int]:
        return {path: line for path, line, _ in self._positions}

    def read(self, model: type[M], faults: list[RuleError]) -> M | None:
        """Read the file as a model; where it is none, add what is wrong with it to faults and give None."""
        try:
            return model.model_validate(strict_yaml.load(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            faults.append(RuleError(self.name, expected="a file", found="none", action="Put it there."))
        except UnicodeDecodeError:
            faults.append(RuleError(self.name, expected="UTF-8 text", found="other bytes", action="Save it as UTF-8."))
        except yaml.YAMLError as fault:
            found = strict_yaml.fault_in_words(fault)
            faults.append(RuleError(self.name, expected="YAML", found=found, action="Correct the line, or its indent."))
        except ValidationError as fault:
            found_at: dict[Loc, RuleError] = {}
            for each in fault.errors(include_url=False):
                loc = self._loc(each)
                # A value of several shapes is refused once for each: what names the words it may be says most.
                if loc not in found_at or each["type"] == "literal_error":
                    found_at[loc] = self._fault(model, each, loc)
            faults += found_at.values()
        return None

    def _loc(self, each: Any) -> Loc:  # noqa: ANN401
        """Give the place of what pydantic found, without the shapes it tried there."""
        loc: Loc = (*each["loc"], *each.get("ctx", {}).get("at", ()))
        while loc and each["type"] != "missing" and loc not in self._lines:
            loc = loc[:-1]
        return loc

    def line(self, loc: Loc) -> int:
        """Give the line of a place, or of the nearest place around it that is there."""
        while loc and loc not in self._lines:
            loc = loc[:-1]
        return self._lines.get(loc, 1)

    def at(self, loc: Loc) -> str:
        """Write file, line and place."""
        place = ".".join(str(part) for part in loc)
        return f"{self.name}, line {self.line(loc)}" + (f", {place}" if place else "")

    def at_word(self, owner: str, word: str) -> str:
        """Write file, line and owner of the first place below a definition where a word stands, as value or key.

        Args:
            owner: Kind and id of the definition, for example ``variable fev1``.
            word: What was written there.
        """
        above = self._of(owner.split(" ", 1)[1])
        inside = [(path, line, text) for path, line, text in self._positions if path[: len(above)] == above]
        lines = [line for path, line, text in inside if text == word or path[-1:] == (word,)]
        return f"{self.name}, line {lines[0] if lines else self.line(above)}, {owner}"

    def at_edge(self, edge: float) -> str:
        """Write file and line of the first comparison with a number."""
        names = {("below",), ("at_most",), ("at_least",), ("above",)}
        edged = [(line, text) for path, line, text in self._positions if path[-1:] in names]
        return f"{self.name}, line {next((line for line, text in edged if float(text or 0) == edge), 1)}"

    def _of(self, name: str) -> Loc:
        """Give the place of the item with an id, where a file lists several; of the whole file otherwise."""
        return next((path[:-1] for path, _, text in self._positions if path[-1:] == ("id",) and text == name), ())

    def _fault(self, model: type[BaseModel], each: Any, loc: Loc) -> RuleError:  # noqa: ANN401
        expected, found = "the vocabulary of docs/rules", each["msg"].removeprefix("Value error, ")
        action = _REPAIR
        if each["type"] == "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            found = "a key the vocabulary does not have"
            action = nearest(str(loc[-1]), known) or f"The keys here are {', '.join(sorted(known))}"
        elif each["type"] == "missing":
            expected, found, action = f"the key {loc[-1]}", "none", f"Add {loc[-1]}"
        elif each["type"] == "literal_error":
            choices = re.findall(r"'([^']*)'", each["ctx"]["expected"])
            expected, found = f"one of {', '.join(choices)}", _written(each["input"])
            action = nearest(str(each["input"]), choices) or "Write one of these"
        elif "unable to parse" in found or found.startswith("Input should be"):
            expected, found = found.removeprefix("Input should be ").split(",")[0], _written(each["input"])
        return RuleError(self.at(loc), expected=expected, found=found, action=action)


def _written(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _keys_at(model: type[BaseModel], loc: Sequence[str | int]) -> set[str]:
    """Give the keys that may stand at a place below a model."""
    models = [model]
    for part in loc:
        if isinstance(part, str):
            found = [
                field for each in models for name, field in each.model_fields.items() if part in (name, field.alias)
            ]
            models = [each for field in found for each in _models_in(field.annotation)]
    return {field.alias or name for each in models for name, field in each.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (Union, types.UnionType, tuple, dict, typing.Annotated):
        return [each for part in typing.get_args(annotation) for each in _models_in(part)]
    return []
