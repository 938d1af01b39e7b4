"""The clinical definitions as plain dicts: what plain, safe YAML gives, with the codes of the codelists.

Nothing is checked here (the run did that) and nothing is shared with the reader the run has.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
"""A definition, or a part of one, as it stands in its file."""


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast where it was built


@dataclass(frozen=True)
class Codes:
    """A codelist: its system, how its codes match, and code to weight (None where the file has no weights)."""

    system: str
    match: str
    codes: dict[str, float | None]
    seen: dict[str, bool] = field(default_factory=dict)

    def holds(self, code: str | None) -> bool:
        """Tell whether a code of the data is one of the list."""
        if code is None:
            return False
        if code not in self.seen:
            self.seen[code] = self._holds(code)
        return self.seen[code]

    def _holds(self, code: str) -> bool:
        if self.match == "exact":
            return code in self.codes
        if self.match == "category":
            return code[:3] in self.codes
        return any(code.startswith(each) for each in self.codes)

    def weight(self, code: str) -> float | None:
        """Give the weight of the longest listed code that a code begins with."""
        fitting = [each for each in self.codes if code == each or (self.match != "exact" and code.startswith(each))]
        return self.codes[max(fitting, key=len)] if fitting else None


@dataclass(frozen=True)
class Definitions:
    """Everything in a clinical folder that says how a person comes to a decision; by id."""

    codelists: dict[str, Codes]
    variables: dict[str, Json]
    scores: dict[str, Json]
    pathways: dict[str, Json]
    digest: str


def used_by_pathways(definitions: Definitions) -> Definitions:
    """Leave out the scores and variables that no pathway comes to: a run may have been told not to work them out."""
    wanted: set[str] = set()
    found = {name for each in definitions.pathways.values() for name in _named(each)}
    while found:
        wanted |= found
        inside = [definitions.scores[name] for name in found if name in definitions.scores]
        inside += [definitions.variables[name] for name in found if name in definitions.variables]
        found = {name for each in inside for name in _named(each)} - wanted
    return replace(
        definitions,
        variables={name: each for name, each in definitions.variables.items() if name in wanted},
        scores={name: each for name, each in definitions.scores.items() if name in wanted},
    )


def _named(part: object) -> Iterator[str]:
    """Give what a part of a definition names that may be a variable or a score."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("variable", "score", "value_of", "tier_from", "done") and isinstance(value, str):
                yield value
            elif key in ("show", "inputs"):
                yield from value
            else:
                yield from _named(value)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _named(each)


def read_definitions(folder: Path) -> Definitions:
    """Read a clinical folder that a run was made with."""
    codelists = {}
    for entry in _load(folder / "codelists" / "manifest.yaml")["codelists"]:
        with (folder / "codelists" / f"{entry['id']}.csv").open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        weights = {row["code"]: float(row["weight"]) if "weight" in row else None for row in rows}
        codelists[entry["id"]] = Codes(entry["system"], entry["match"], weights)
    variables = {}
    for path in sorted((folder / "variables").glob("*.yaml")):
        variables.update({each["id"]: each for each in _load(path).get("variables") or ()})
    return Definitions(codelists, variables, _by_id(folder / "scores"), _by_id(folder / "pathways"), _digest_of(folder))


def _by_id(folder: Path) -> dict[str, Json]:
    paths = [each for each in sorted(folder.glob("*.yaml")) if not each.name.endswith(".examples.yaml")]
    return {each["id"]: each for each in map(_load, paths)}


def _load(path: Path) -> Json:
    found: Json = yaml.load(path.read_text(encoding="utf-8"), Loader=_Safe)  # noqa: S506  what yaml.safe_load does
    return found


def _digest_of(folder: Path) -> str:
    """Give the digest that a run notes of its definitions: of every file's name and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".yaml", ".csv"):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\n")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
