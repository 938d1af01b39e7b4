"""Reads the words for people that stand beside the definitions: ``clinical/wording/``.

A clinical folder of one's own may leave any of them out: then nothing is said with them. Their content is part of the
digest of the rule book, like every file of the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from stratify import strict_yaml
from stratify.errors import RuleError, combine
from stratify.rulebook import clinical_folder
from stratify.rules.strict import Strict
from stratify.rules.wording import Agenda, Letter, PlainWords

M = TypeVar("M", bound=Strict)


@dataclass(frozen=True)
class Wording:
    """The words of a clinical folder: what teams decide, facts in plain words, letters by id."""

    agenda: Agenda | None
    plain: PlainWords | None
    letters: dict[str, Letter]


def load_wording(folder: Path | None = None) -> Wording:
    """Read and check the words of a clinical folder.

    Args:
        folder: A folder laid out like ``src/stratify/clinical``; that one when None.

    Raises:
        RuleError: a file is no YAML, has an unknown key, or a letter is not named like its file; all in one message.
    """
    root = (folder or clinical_folder()) / "wording"
    faults: list[RuleError] = []
    agenda = _read(root / "agenda.yaml", Agenda, faults)
    plain = _read(root / "plain_words.yaml", PlainWords, faults)
    letters = {}
    for path in sorted((root / "letters").glob("*.yaml")):
        letter = _read(path, Letter, faults)
        if letter and letter.id != path.stem:
            faults.append(_fault(path, f"id: {path.stem}, like the file", f"id: {letter.id}"))
        if letter:
            letters[letter.id] = letter
    if faults:
        raise combine(list(faults))
    return Wording(agenda, plain, letters)


def _read(path: Path, model: type[M], faults: list[RuleError]) -> M | None:
    if not path.is_file():
        return None
    try:
        return model.model_validate(strict_yaml.load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as fault:
        faults.append(_fault(path, "YAML", strict_yaml.fault_in_words(fault)))
    except ValidationError as fault:
        found = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg'].removeprefix('Value error, ')}"
            for each in fault.errors(include_input=False, include_url=False)
        )
        faults.append(_fault(path, "what docs/letters.md describes", found))
    return None


def _fault(path: Path, expected: str, found: str) -> RuleError:
    return RuleError(f"wording/{path.name}", expected=expected, found=found, action="Correct the file.")
