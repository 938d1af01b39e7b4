"""The rule book: reads a ``clinical/`` folder and proves that it holds together.

Every name resolves, every codelist is the one its manifest describes and has codes, every definition has worked
examples, no score depends on itself. Reads files; decides nothing about anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import time
from typing import Any, TypeVar

from pydantic import BaseModel

from stratify.codelist_reading import read_codelists
from stratify.definition_places import DefinitionFile, nearest
from stratify.errors import RuleError, combine
from stratify.rules import (
    ANY,
    PATHWAY_KEYS,
    PERSON_FIELDS,
    SCORE_KEYS,
    SHORT_KEYS,
    Check,
    Codelist,
    CodelistManifest,
    Condition,
    Example,
    ExamplesFile,
    Measurement,
    Pathway,
    PatientsFile,
    ResolvedMeasurement,
    Score,
    Variable,
    VariablesFile,
)
from stratify.rules.control_chart import ControlCharts
from stratify.rules.cost import CostsFile
from stratify.rules.evaluation import EvaluationsFile
from stratify.rules.metric import MetricsFile

D = TypeVar("D", Measurement, Variable, Score, Pathway)
S = TypeVar("S", Score, Pathway)

SYSTEMS = {
    "event": ("snomed_ct",),
    "issue": ("bnf", "dmd"),
    "emergency_admission": ("icd10",),
    "hospital_diagnosis": ("icd10",),
    "inpatient_diagnosis": ("icd10",),
}
"""Code systems each kind of record is coded in."""


@dataclass(frozen=True)
class RuleBook:
    """Everything in a ``clinical/`` folder, checked to hold together."""

    codelists: dict[str, Codelist]
    measurements: dict[str, Measurement]
    variables: dict[str, Variable]
    scores: dict[str, Score]
    pathways: dict[str, Pathway]
    examples: dict[str, tuple[Example, ...]]
    digest: str

    def variables_of(self, condition: Condition) -> tuple[str, ...]:
        """Give every variable a condition depends on, also through the scores it names."""
        own = [leaf for name in condition.variables for leaf in self._leaves(name)]
        own += [leaf for name in condition.scores for leaf in self.variables_of_score(name)]
        return tuple(dict.fromkeys(own))

    def variables_of_score(self, name: str) -> tuple[str, ...]:
        """Give every variable a score depends on, also through other scores."""
        score = self.scores[name]
        own = [leaf for each in score.variables for leaf in self._leaves(each)]
        own += [leaf for each in score.conditions for other in each.scores for leaf in self.variables_of_score(other)]
        return tuple(dict.fromkeys(own))

    def _leaves(self, name: str) -> tuple[str, ...]:
        if name in self.scores:
            return self.variables_of_score(name)
        return (name, *self.variables[name].inputs) if name in self.variables else (name,)

    def codelists_of(self, variable: str) -> frozenset[str]:
        """Give every codelist a variable reads, those of its measurements too."""
        read = self.variables[variable]
        measured = [self.measurements[each.what] for each in read.leaves if each.kind == "measurement"]
        return read.codelists.union(*(each.all_codelists for each in measured))

    def scores_behind(self, name: str) -> tuple[str, ...]:
        """Give the scores whose tier or value a score uses itself, sorted."""
        score = self.scores[name]
        named = {other for each in score.conditions for other in each.scores}
        return tuple(sorted(named | {other for other in score.variables if other in self.scores}))

    def cut_down_to(self, *definitions: str) -> RuleBook:
        """Give the book with some scores, pathways and variables, what they depend on, and their examples; no more."""
        pathways = {name: self.pathways[name] for name in definitions if name in self.pathways}
        wanted = [name for name in definitions if name not in pathways]
        read = {name for name in definitions if name in self.variables}
        for each in pathways.values():
            wanted += [*each.scores, *(name for part in each.conditions for name in part.variables)]
            read |= {name for part in each.conditions for name in self.variables_of(part)}
            read |= {*each.shown}
        scores: dict[str, Score] = {}
        while wanted:
            name = wanted.pop()
            if name in self.scores and name not in scores:
                scores[name] = self.scores[name]
                wanted += self.scores_behind(name)
        read |= {name for each in scores for name in self.variables_of_score(each)}
        while given := {name for each in read & set(self.variables) for name in self.variables[each].inputs} - read:
            read |= given
        return replace(
            self,
            variables={name: each for name, each in self.variables.items() if name in read},
            scores=scores,
            pathways=pathways,
            examples={name: each for name, each in self.examples.items() if name in definitions},
        )

    @property
    def published(self) -> dict[str, Pathway]:
        """The pathways whose lists may be published: those that are no draft."""
        return {name: each for name, each in self.pathways.items() if each.is_published}

    @property
    def for_pathways(self) -> RuleBook:
        """The book with the pathways and what they depend on; no score that none of them uses."""
        return self.cut_down_to(*sorted(self.pathways))

    @cached_property
    def score_levels(self) -> tuple[tuple[str, ...], ...]:
        """Scores in rounds, each sorted, in which each comes after those it uses."""
        level: dict[str, int] = {}

        def visit(name: str, path: tuple[str, ...]) -> int:
            if name in path:
                raise RuleError(
                    f"score {name}",
                    expected="scores that do not depend on themselves",
                    found=" → ".join((*path, name)),
                    action="Break the circle.",
                )
            if name not in level:
                level[name] = max((visit(other, (*path, name)) + 1 for other in self.scores_behind(name)), default=0)
            return level[name]

        for name in sorted(self.scores):
            visit(name, ())
        rounds = range(max(level.values(), default=-1) + 1)
        return tuple(tuple(sorted(name for name in level if level[name] == each)) for each in rounds)

    @property
    def score_order(self) -> tuple[str, ...]:
        """Scores in an order in which each comes after those it uses."""
        return tuple(name for each in self.score_levels for name in each)

    def resolved_measurements(self, *, score_inferred_units: bool = False) -> list[ResolvedMeasurement]:
        """Give the measurements with the codes of their codelists, in order of id.

        Args:
            score_inferred_units: The site asks for values whose unit is known by their size only to be scored.
        """

        def codes(names: Iterable[str]) -> frozenset[str]:
            return frozenset(code for name in names for code in self.codelists[name].codes)

        return [
            ResolvedMeasurement(
                id=each.id,
                unit=each.unit,
                codes=codes((*each.codelists, *each.offset_codelists, *each.unit_of_codelists)),
                grades={
                    code: grade for name, grade in each.grade_codelists.items() for code in self.codelists[name].codes
                },
                offset_codes={
                    code: offset
                    for name, offset in each.offset_codelists.items()
                    for code in self.codelists[name].codes
                },
                minimum=each.plausible.at_least,
                maximum=each.plausible.at_most,
                units=tuple((unit.words, unit.multiply_by, unit.add) for unit in each.units),
                is_unit_required=each.is_unit_required,
                not_done=each.not_done_values,
                code_units={
                    code: unit for name, unit in each.unit_of_codelists.items() for code in self.codelists[name].codes
                },
                written_bounds={
                    word: (unit.plausible.at_least, unit.plausible.at_most)
                    for unit in each.units
                    if unit.plausible
                    for word in unit.words
                },
                sizes=each.sizes,
                is_inferred_scored=score_inferred_units,
                must_exceed=each.must_exceed,
            )
            for each in sorted(self.measurements.values(), key=lambda each: each.id)
        ]


def clinical_folder() -> Path:
    """Give the folder of the clinical definitions that come with stratify."""
    return Path(__file__).parent / "clinical"


def load_rule_book(folder: Path | None = None) -> RuleBook:
    """Read and check every definition of a clinical folder.

    Args:
        folder: A folder laid out like ``src/stratify/clinical``; that one when None.

    Raises:
        RuleError: a file is no YAML, has an unknown key, names what does not exist, or a codelist does not match its
            manifest; all faults in one message.
    """
    root = folder or clinical_folder()
    if not root.is_dir():
        raise RuleError(
            str(root.name), expected="a folder of clinical definitions", found="none", action="Correct the path."
        )
    faults: list[RuleError] = []
    digest = _digest_of(root)
    if digest in _LOADED:
        return _LOADED[digest]
    codelists = read_codelists(root / "codelists", faults)
    measurements: dict[str, Measurement] = {}
    variables: dict[str, Variable] = {}
    files: dict[str, Path] = {}
    unread = {"codelist"} if faults else set()
    for path in sorted((root / "variables").glob("*.yaml")):
        file = DefinitionFile(path).read(VariablesFile, faults)
        if file:
            _add(measurements, file.measurements, path, faults)
            _add(variables, file.variables, path, faults)
            files |= {f"measurement {each.id}": path for each in file.measurements}
            files |= {f"variable {each.id}": path for each in file.variables}
        else:
            unread |= {"variable", "measurement"}
    scores, score_examples = _definitions(root / "scores", Score, faults)
    pathways, pathway_examples = _definitions(root / "pathways", Pathway, faults)
    unread |= {path.stem for path in (root / "scores").glob("*.yaml")} - set(scores)
    for kind, names in (("score", scores), ("pathway", pathways)):
        files |= {f"{kind} {name}": root / f"{kind}s" / f"{name}.yaml" for name in names}
        files |= {f"examples {name}": root / f"{kind}s" / f"{name}.examples.yaml" for name in names}
    book = RuleBook(
        codelists, measurements, variables, scores, pathways, {**score_examples, **pathway_examples}, digest
    )
    faults += _unresolved(book, files, unread)
    if faults:
        raise combine(list(faults))
    _ = book.score_order
    _LOADED[digest] = book
    return book


_LOADED: dict[str, RuleBook] = {}
"""Rule books read in this process, by the digest of their files: a run asks for its own at every stage."""


def _digest_of(root: Path) -> str:
    """Give the digest of the names and contents of the definition files below a folder.

    Files that are as they were when they were last hashed in this process (inode, size, times) are not read again,
    unless one was written in the seconds before that, when the clock of a file system may not tell two writings apart.
    """
    paths = [path for path in sorted(root.rglob("*")) if path.suffix in (".yaml", ".csv")]
    stats = [(path, path.stat()) for path in paths]
    seen = tuple((str(path), each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for path, each in stats)
    if seen in _DIGESTS:
        return _DIGESTS[seen]
    is_settled = max((each.st_ctime for _, each in stats), default=0) < time() - _SETTLED_SECONDS
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    if is_settled:
        _DIGESTS[seen] = digest.hexdigest()
    return digest.hexdigest()


_DIGESTS: dict[tuple[tuple[str, int, int, int, int], ...], str] = {}
_SETTLED_SECONDS = 3


def with_definitions(book: RuleBook, definitions: Iterable[Score | Pathway]) -> RuleBook:
    """Give the book with scores and pathways put in the place of those of the same id, or added; for trials only.

    Raises:
        RuleError: a definition names what the book does not have, or depends on itself.
    """
    given = tuple(definitions)
    scores = book.scores | {each.id: each for each in given if isinstance(each, Score)}
    pathways = book.pathways | {each.id: each for each in given if isinstance(each, Pathway)}
    said = json.dumps([each.model_dump(mode="json") for each in given], sort_keys=True)
    digest = hashlib.sha256(f"{book.digest}\n{said}".encode()).hexdigest()
    changed = replace(book, scores=scores, pathways=pathways, digest=digest)
    faults = _unresolved(changed, {}, ())
    if faults:
        raise combine(list(faults))
    _ = changed.score_order
    return changed


def _definitions(
    folder: Path, model: type[S], faults: list[RuleError]
) -> tuple[dict[str, S], dict[str, tuple[Example, ...]]]:
    found: dict[str, S] = {}
    examples: dict[str, tuple[Example, ...]] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name.endswith(".examples.yaml"):
            definition_of = path.with_name(path.name.removesuffix(".examples.yaml") + ".yaml")
            if not definition_of.is_file():
                faults.append(
                    RuleError(
                        DefinitionFile(path).name,
                        expected=f"the definition {definition_of.name} beside it",
                        found="no file",
                        action="Name the examples like their definition.",
                    )
                )
            continue
        definition = DefinitionFile(path).read(model, faults)
        if not definition:
            continue
        if definition.id != path.stem:
            faults.append(
                RuleError(
                    DefinitionFile(path).name,
                    expected=f"id: {path.stem}, like the file",
                    found=f"id: {definition.id}",
                    action="Name both the same.",
                )
            )
        _add(found, (definition,), path, faults)
        beside = path.with_name(f"{path.stem}.examples.yaml")
        if not beside.is_file():
            faults.append(
                RuleError(
                    DefinitionFile(beside).name,
                    expected="worked examples beside the definition",
                    found="no file",
                    action="Write one.",
                )
            )
            continue
        file = DefinitionFile(beside).read(ExamplesFile, faults)
        if file:
            examples[definition.id] = file.examples
    return found, examples


def _add(into: dict[str, D], found: tuple[D, ...], path: Path, faults: list[RuleError]) -> None:
    for each in found:
        if each.id in into:
            faults.append(
                RuleError(
                    DefinitionFile(path).name,
                    expected="an id used once",
                    found=f"{each.id} a second time",
                    action="Rename one.",
                )
            )
        into[each.id] = each


def _unresolved(book: RuleBook, files: Mapping[str, Path], unread: Iterable[str]) -> list[RuleError]:
    """Find every name that leads nowhere, or to what it cannot mean.

    Args:
        book: The rule book.
        files: The file of each definition, by kind and id.
        unread: Kinds and ids that a file which could not be read may define: they are told of there.
    """
    faults: list[RuleError] = []
    opened = {path: DefinitionFile(path) for path in {*files.values()}}
    known = {
        "codelist": set(book.codelists),
        "measurement": set(book.measurements),
        "variable": {*book.variables, *PERSON_FIELDS},
        "score": set(book.scores),
    }

    def fault(where: str, word: str, **parts: str) -> None:
        place = opened[files[where]].at_word(where, word) if where in files else where
        faults.append(RuleError(place, **parts))

    def missing(where: str, kind: str, name: str, among: Iterable[str] = ()) -> None:
        if kind.split()[0] in unread or name in unread:
            return
        near = nearest(name, among or known.get(kind, ()))
        fault(
            where,
            name,
            expected=f"a {kind} that is defined",
            found=f"{name}, which is not",
            action=near or "Correct the name or define it.",
        )

    def check_codelist(where: str, name: str, kind: str) -> None:
        if name not in book.codelists:
            missing(where, "codelist", name)
        elif book.codelists[name].system not in SYSTEMS[kind]:
            fault(
                where,
                name,
                expected=f"a codelist of {' or '.join(SYSTEMS[kind])} for {kind}",
                found=f"{name}, of {book.codelists[name].system}: it would find nobody",
                action="Name the right codelist.",
            )

    for measurement in book.measurements.values():
        for name in measurement.all_codelists:
            check_codelist(f"measurement {measurement.id}", name, "event")
        if measurement.must_exceed and measurement.must_exceed not in book.measurements:
            missing(f"measurement {measurement.id}", "measurement", measurement.must_exceed)
    for variable in book.variables.values():
        for each in (*variable.leaves, *variable.not_on_days_with):
            if each.kind == "measurement" and each.what not in book.measurements:
                missing(f"variable {variable.id}", "measurement", each.what)
            elif each.kind == "measurement" and variable.unit != book.measurements[each.what].unit:
                fault(
                    f"variable {variable.id}",
                    variable.unit or "",
                    expected=f"the unit of {each.what}, {book.measurements[each.what].unit}",
                    found=str(variable.unit),
                    action=f"Write unit: {book.measurements[each.what].unit}",
                )
            if each.kind in SYSTEMS and each.what != ANY:
                check_codelist(f"variable {variable.id}", each.what, each.kind)
                if variable.take == "weight" and each.what in book.codelists and not book.codelists[each.what].weights:
                    missing(f"variable {variable.id}", "codelist with weights", each.what)
            if each.excluding:
                check_codelist(f"variable {variable.id}", each.excluding, each.kind)
        if variable.ended_by:
            check_codelist(f"variable {variable.id}", variable.ended_by, "event")
        for name in variable.inputs:
            if name not in PERSON_FIELDS and (name not in book.variables or book.variables[name].take == "given"):
                missing(f"variable {variable.id}", "variable from records", name)
    with_value = {score.id for score in book.scores.values() if not score.is_decision_list}
    variables = {*book.variables, *PERSON_FIELDS, *with_value}
    for name in sorted({*book.variables, *PERSON_FIELDS} & set(book.scores)):
        fault(
            f"score {name}",
            name,
            expected="an id that no variable has",
            found="a variable of that name",
            action="Rename one: a score's value is asked for by its id.",
        )

    def check(where: str, condition: Condition) -> None:
        for each in condition.walk():
            if each.variable and each.variable not in variables:
                missing(where, "variable", each.variable, variables)
            if each.is_missing and each.variable in book.variables and not book.variables[each.variable].is_value:
                fault(
                    where,
                    each.variable,
                    expected="is_missing of a value, which may be missing",
                    found=f"{each.variable}, a {book.variables[each.variable].take} that is nought without records",
                    action="Ask whether it is below 1, or name a value.",
                )
            if each.score and each.score not in book.scores:
                missing(where, "score", each.score)
            elif each.score:
                tiers = {tier.tier for tier in book.scores[each.score].tiers}
                for name in sorted(set(each.tier_in or ()) - tiers):
                    missing(where, f"tier of {each.score}", name, tiers)

    for score in book.scores.values():
        for condition in score.conditions:
            check(f"score {score.id}", condition)
        alone = [each.variable for each in score.points or () if each.times is not None]
        for own in dict.fromkeys([score.value_of, *alone]):
            if own and own not in variables:
                missing(f"score {score.id}", "variable", own, variables)
    precedence: dict[int, str] = {}
    checked: dict[str, Check] = {}
    for pathway in book.pathways.values():
        for condition in pathway.conditions:
            check(f"pathway {pathway.id}", condition)
        where = f"pathway {pathway.id}"
        if pathway.tier_from and pathway.tier_from not in book.scores:
            missing(where, "score", pathway.tier_from)
        tiers = {tier.tier for tier in book.scores[pathway.tier_from].tiers} if pathway.tier_from in book.scores else ()
        for name in sorted(set(pathway.graded_response) - {*tiers}):
            missing(where, "tier of the score its tier is from", name)
        for name in pathway.shown:
            if name not in {*book.variables, *PERSON_FIELDS}:
                missing(where, "variable", name)
        for answer in pathway.coded:
            check_codelist(where, answer.codelist, "event")
        for each_check in pathway.checks:
            if each_check.when:
                check(f"{where}, check {each_check.id}", each_check.when)
            other = checked.setdefault(each_check.id, each_check)
            if (other.label, other.by, other.done) != (each_check.label, each_check.by, each_check.done):
                faults.append(
                    RuleError(
                        f"{where}, check {each_check.id}",
                        expected="the label, by and done that another pathway gives it",
                        found="others: it would be done twice",
                        action="Say the same in both, or name one otherwise.",
                    )
                )
        for check_up in pathway.checks:
            if check_up.done in book.variables and check_up.outlasts(book.variables[check_up.done]):
                fault(
                    where,
                    check_up.id,
                    expected=f"records of the last {check_up.again_after_days} days for a check",
                    found=f"{check_up.done}, which looks back less far",
                    action="Shorten again_after_days, or name a variable that looks back further",
                )
        if pathway.precedence in precedence:
            fault(
                f"pathway {pathway.id}",
                "precedence",
                expected="a precedence of its own",
                found=f"that of {precedence[pathway.precedence]}",
                action=f"Give each pathway its own, for example {max(precedence) + 1}.",
            )
        precedence[pathway.precedence] = pathway.id
    for definition, examples in book.examples.items():
        where = f"examples {definition}"
        for name in dict.fromkeys(name for each in examples for name in each.values if name not in book.variables):
            missing(where, "variable", name)
        keys = keys_of(definition, book)
        for key in dict.fromkeys(key for each in examples for key in each.expect if key not in keys):
            fault(
                where,
                key,
                expected=f"one of {', '.join(keys)}",
                found=key,
                action=nearest(key, keys) or "Write one of these",
            )
    return faults


def keys_of(definition: str, book: RuleBook) -> tuple[str, ...]:
    """Give what an example may expect of a definition."""
    keys = PATHWAY_KEYS if definition in book.pathways else SCORE_KEYS
    return (*keys, *(short for short, key in SHORT_KEYS.items() if key in keys))


def json_schemas() -> dict[str, dict[str, Any]]:
    """Give the JSON Schemas of what clinicians write, by file name, for editors that complete and check YAML."""
    models: dict[str, type[BaseModel]] = {
        "codelist_manifest": CodelistManifest,
        "variables": VariablesFile,
        "score": Score,
        "pathway": Pathway,
        "examples": ExamplesFile,
        "patients": PatientsFile,
        "metrics": MetricsFile,
        "control_charts": ControlCharts,
        "evaluations": EvaluationsFile,
        "costs": CostsFile,
    }
    return {
        name: json.loads(json.dumps(model.model_json_schema(by_alias=True), sort_keys=True))
        for name, model in models.items()
    }
