"""Reads the evaluations of a clinical folder; what they find is worked out in ``impact``."""

from __future__ import annotations

from pathlib import Path

from stratify.definition_places import DefinitionFile
from stratify.errors import RuleError, combine
from stratify.rulebook import clinical_folder
from stratify.rules.evaluation import Evaluation, EvaluationsFile


def load_evaluations(folder: Path | None = None) -> tuple[Evaluation, ...]:
    """Read the evaluations of a clinical folder, in order of id; none where it has none.

    Args:
        folder: A folder laid out like ``src/stratify/clinical``; that one when None.

    Raises:
        RuleError: a file is wrong, or an id occurs twice.
    """
    faults: list[RuleError] = []
    found: dict[str, Evaluation] = {}
    for path in sorted(((folder or clinical_folder()) / "evaluations").glob("*.yaml")):
        file = DefinitionFile(path).read(EvaluationsFile, faults)
        for each in file.evaluations if file else ():
            if each.id in found:
                where = f"clinical/evaluations, {each.id}"
                faults.append(RuleError(where, expected="an id of its own", found="one twice", action="Rename one."))
            found[each.id] = each
    if faults:
        raise combine(list(faults))
    return tuple(found[name] for name in sorted(found))
