"""Files of one's own that lie in no clinical folder: worked examples, patients, a pathway to try.

What they may say is in ``rules``, the definitions they are about in ``rulebook``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from stratify import strict_yaml
from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError, combine
from stratify.rulebook import RuleBook
from stratify.rules import ExamplesFile, Pathway, PatientsFile


def with_examples(book: RuleBook, file: Path) -> RuleBook:
    """Give the rule book with the examples of a file of one's own, and no others.

    Args:
        book: The rule book.
        file: ``<definition>.examples.yaml``, wherever it is.

    Raises:
        RuleError: there is no such file, it is wrong, or it is named after no definition.
    """
    definition = file.name.removesuffix(".examples.yaml")
    if not file.is_file() or definition not in {*book.scores, *book.pathways}:
        raise RuleError(
            file.name,
            expected="a file <score or pathway>.examples.yaml",
            found="no file of that name" if not file.is_file() else f"no score or pathway called {definition}",
            action="Correct the name.",
        )
    faults: list[RuleError] = []
    read = DefinitionFile(file).read(ExamplesFile, faults)
    if faults or read is None:
        raise combine(list(faults))
    return replace(book, examples={definition: read.examples})


def read_patients(file: Path) -> PatientsFile | None:
    """Read a file of patients of one's own; None where it holds worked examples instead.

    Raises:
        RuleError: it has patients, and does not say of them what such a file says.
    """
    faults: list[RuleError] = []
    try:
        content = strict_yaml.load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # read as worked examples, which says what is wrong
    if not isinstance(content, dict) or "patients" not in content:
        return None
    read = DefinitionFile(file).read(PatientsFile, faults)
    if faults:
        raise combine(list(faults))
    return read


def read_pathway(file: Path) -> Pathway:
    """Read a pathway that is in no clinical folder yet; its worked examples may come later.

    Raises:
        RuleError: it is no YAML, or has what the vocabulary does not.
    """
    faults: list[RuleError] = []
    found = DefinitionFile(file).read(Pathway, faults)
    if found is None:
        raise combine(list(faults))
    return found
