"""Versions of the definitions: what each says under which version, so that none changes without a new one.

A digest is of what a definition does and says: a score's or pathway's whole content but its version, and with it the
variables it reads itself and their measurements, less their words, since those have no version of their own. A codelist
is its codes, weights and way of matching. Scores and codelists that a definition uses are told apart by their own
versions. Examples do not count. Reads files; decides nothing about anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stratify.errors import RuleError, combine
from stratify.rulebook import RuleBook, load_rule_book
from stratify.rules import Codelist, Pathway, Score

Versions = dict[str, dict[str, dict[str, str]]]
"""By kind (codelists, scores, pathways) and id: ``version`` and ``digest``."""
History = dict[str, dict[str, tuple[str, ...]]]
"""By kind and id: the versions there were before, oldest first."""

KINDS = ("codelists", "scores", "pathways")
_WORDS = {"label", "text", "text_when_missing", "source"}


@dataclass(frozen=True)
class Change:
    """One definition that is not the same in two sets: the versions it has, None where it is not there."""

    kind: str
    id: str
    before: str | None
    after: str | None

    @property
    def is_silent(self) -> bool:
        """Another content under the same version."""
        return self.before == self.after

    def in_words(self) -> str:
        """Say it on one line."""
        name = f"{self.kind.removesuffix('s')} {self.id}"
        if self.before is None:
            return f"{name}: new, version {self.after}"
        if self.after is None:
            return f"{name}: taken away, was version {self.before}"
        if self.is_silent:
            return f"{name}: CHANGED UNDER THE SAME VERSION {self.after}"
        return f"{name}: version {self.before} → {self.after}"


def versions_of(book: RuleBook) -> Versions:
    """Give the version and digest of every definition that has a version."""
    return {
        "codelists": {each.id: _entry(each.entry.version, _codes(each)) for each in _sorted(book.codelists)},
        "scores": {each.id: _entry(each.version, _score(each, book)) for each in _sorted(book.scores)},
        "pathways": {each.id: _entry(each.version, _pathway(each, book)) for each in _sorted(book.pathways)},
    }


def digest_of_pathway(book: RuleBook, name: str) -> str:
    """Give the digest of a pathway with every score and codelist it depends on: what a signature is put under."""
    small = book.cut_down_to(name)
    found = versions_of(small)
    leaves = [leaf for variable in small.variables.values() for leaf in variable.leaves]
    measured = [small.measurements[leaf.what] for leaf in leaves if leaf.measurement]
    read = {codelist for variable in small.variables.values() for codelist in variable.codelists}
    read |= {each.codelist for each in small.pathways[name].coded}
    for each in measured:
        read |= {*each.codelists, *each.unit_of_codelists, *each.grade_codelists, *each.offset_codelists}
    found["codelists"] = {key: entry for key, entry in found["codelists"].items() if key in read}
    return _entry("", found)["digest"]


def changes(before: Versions, after: Versions) -> list[Change]:
    """Give every definition that two sets do not have alike."""
    found = []
    for kind in KINDS:
        old, new = before.get(kind, {}), after.get(kind, {})
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                versions = (each[name]["version"] if name in each else None for each in (old, new))
                found.append(Change(kind, name, *versions))
    return found


def check_versions(book: RuleBook, against: Path) -> str:
    """Hold definitions against earlier ones: whatever changed has a new version.

    Args:
        book: The definitions to check.
        against: A clinical folder, or a file that :func:`write_versions` wrote, which must be up to date too.

    Returns:
        What changed, in words.

    Raises:
        RuleError: a definition changed and kept its version, or the file is out of date.
    """
    found = changes(_read(against), versions_of(book))
    _refuse_silent(found)
    if against.is_file() and found:
        raise RuleError(
            against.name,
            expected="the version of every definition",
            found=f"{len(found)} that differ: {'; '.join(each.in_words() for each in found[:5])}",
            action=f"Run `stratify rules versions {against.name}` where it lies, and keep it with the change.",
        )
    return "\n".join(each.in_words() for each in found) or "No definition differs."


def write_versions(book: RuleBook, file: Path) -> str:
    """Write the version and digest of every definition; those of before are kept under ``earlier``.

    Raises:
        RuleError: the file has another content for a version that a definition has now.
    """
    mine = versions_of(book)
    before, earlier = (_read(file), _earlier(file)) if file.exists() else ({}, {})
    _refuse_silent(changes(before, mine) if before else [])
    _refuse_reused(mine, earlier)
    whole: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, entries in mine.items():
        whole[kind] = {}
        for name, entry in entries.items():
            known = earlier.get(kind, {}).get(name, [])
            replaced = before.get(kind, {}).get(name, entry)
            known = known if replaced == entry else [*known, replaced]
            whole[kind][name] = entry | ({"earlier": known} if known else {})
    file.write_text(json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return f"{sum(len(each) for each in mine.values())} definitions written to {file.name}"


def history_of(file: Path) -> History:
    """Give the versions that a file of versions records as replaced."""
    return {
        kind: {name: tuple(each["version"] for each in known) for name, known in entries.items()}
        for kind, entries in _earlier(file).items()
    }


def _earlier(file: Path) -> dict[str, dict[str, list[dict[str, str]]]]:
    _read(file)
    found = json.loads(file.read_text(encoding="utf-8"))
    return {kind: {name: entry.get("earlier", []) for name, entry in found[kind].items()} for kind in KINDS}


def _refuse_reused(mine: Versions, earlier: dict[str, dict[str, list[dict[str, str]]]]) -> None:
    faults = [
        RuleError(
            f"{kind.removesuffix('s')} {name}",
            expected="a version that was never used for another content",
            found=f"version {entry['version']} a second time",
            action="Give it a version of its own",
        )
        for kind, entries in mine.items()
        for name, entry in entries.items()
        for was in earlier.get(kind, {}).get(name, [])
        if was["version"] == entry["version"] and was["digest"] != entry["digest"]
    ]
    if faults:
        raise combine(list(faults))


def _refuse_silent(found: Iterable[Change]) -> None:
    faults = [
        RuleError(
            f"{each.kind.removesuffix('s')} {each.id}",
            expected="a new version with a new content",
            found=f"a changed definition, or a changed variable that it reads, under version {each.after}",
            action=f"Raise its version in {_where(each)}, and say in CHANGELOG.md whose list changes",
        )
        for each in found
        if each.is_silent
    ]
    if faults:
        raise combine(list(faults))


def _where(change: Change) -> str:
    place = "codelists/manifest" if change.kind == "codelists" else f"{change.kind}/{change.id}"
    return f"clinical/{place}.yaml"


def _read(path: Path) -> Versions:
    if path.is_dir():
        return versions_of(load_rule_book(path))
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        entries = [entry for kind in KINDS for entry in whole[kind].values()]
        is_sound = all(set(entry) - {"earlier"} == {"version", "digest"} for entry in entries)
    except (ValueError, KeyError, AttributeError, TypeError):
        is_sound = False
    if not is_sound:
        raise RuleError(
            path.name,
            expected="a clinical folder, or a file of versions",
            found="something else",
            action="Name one that `stratify rules versions` wrote.",
        )
    return {
        kind: {name: {key: entry[key] for key in ("version", "digest")} for name, entry in whole[kind].items()}
        for kind in KINDS
    }


def _sorted(things: dict[str, Any]) -> list[Any]:
    return [things[name] for name in sorted(things)]


def _entry(version: str, content: object) -> dict[str, str]:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return {"version": version, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _codes(codelist: Codelist) -> object:
    return [codelist.system, codelist.match, sorted(codelist.codes), sorted(codelist.weights.items())]


def _score(score: Score, book: RuleBook) -> object:
    return [_content(score, {"version", "use"}), _read_by(score.variables, book)]


def _pathway(pathway: Pathway, book: RuleBook) -> object:
    own = [name for each in pathway.conditions for name in each.variables]
    own += pathway.shown
    # Another name on the page for patients changes nothing that anybody signed or that is done to anybody.
    return [_content(pathway, {"version", "plain_name"}), _read_by(own, book)]


def _read_by(names: Iterable[str], book: RuleBook) -> object:
    variables = [book.variables[name] for name in sorted(set(names)) if name in book.variables]
    measurements = sorted({each.what for variable in variables for each in variable.leaves if each.measurement})
    return [_content(each, _WORDS) for each in (*variables, *(book.measurements[name] for name in measurements))]


def _content(model: BaseModel, without: set[str]) -> object:
    # What is left at its default is not there, so that a new word of the vocabulary changes no digest.
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=without)
