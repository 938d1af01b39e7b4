"""The rule book: reads a ``clinical/`` folder and proves that it holds together.

Every name resolves, every codelist is the one its manifest describes and has codes, every definition has worked
examples, no score depends on itself. Reads files; decides nothing about anybody.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stratify import strict_yaml
from stratify.errors import RuleError, combine
from stratify.rules import (
    ANY,
    PERSON_FIELDS,
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

D = TypeVar("D", Measurement, Variable, Score, Pathway)
S = TypeVar("S", Score, Pathway)
M = TypeVar("M", bound=BaseModel)

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
            wanted += [each.tier_from, *(name for part in each.conditions for name in (*part.scores, *part.variables))]
            read |= {name for part in each.conditions for name in self.variables_of(part)}
            read |= {*each.show, *(step.variable for step in each.rank_by)}
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
    read = _read(file, ExamplesFile, faults)
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
    read = _read(file, PatientsFile, faults)
    if faults:
        raise combine(list(faults))
    return read


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
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".yaml", ".csv"):
            digest.update(
                f"{path.relative_to(root).as_posix()}\n".encode() + hashlib.sha256(path.read_bytes()).digest()
            )
    known = (str(root.resolve()), digest.hexdigest())
    if known in _LOADED:
        return _LOADED[known]
    codelists = _codelists(root / "codelists", faults)
    measurements: dict[str, Measurement] = {}
    variables: dict[str, Variable] = {}
    for path in sorted((root / "variables").glob("*.yaml")):
        file = _read(path, VariablesFile, faults)
        if file:
            _add(measurements, file.measurements, path, faults)
            _add(variables, file.variables, path, faults)
    scores, score_examples = _definitions(root / "scores", Score, faults)
    pathways, pathway_examples = _definitions(root / "pathways", Pathway, faults)
    book = RuleBook(
        codelists, measurements, variables, scores, pathways, {**score_examples, **pathway_examples}, digest.hexdigest()
    )
    faults += _unresolved(book)
    if faults:
        raise combine(list(faults))
    _ = book.score_order
    _LOADED[known] = book
    return book


_LOADED: dict[tuple[str, str], RuleBook] = {}
"""Rule books read in this process, by folder and digest of its files: a run asks for its own at every stage."""


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
    faults = _unresolved(changed)
    if faults:
        raise combine(list(faults))
    _ = changed.score_order
    return changed


def read_pathway(file: Path) -> Pathway:
    """Read a pathway that is in no clinical folder yet; its worked examples may come later.

    Raises:
        RuleError: it is no YAML, or has what the vocabulary does not.
    """
    faults: list[RuleError] = []
    found = _read(file, Pathway, faults)
    if found is None:
        raise combine(list(faults))
    return found


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
                        _where(path),
                        expected=f"the definition {definition_of.name} beside it",
                        found="no file",
                        action="Name the examples like their definition.",
                    )
                )
            continue
        definition = _read(path, model, faults)
        if not definition:
            continue
        if definition.id != path.stem:
            faults.append(
                RuleError(
                    _where(path),
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
                    _where(beside),
                    expected="worked examples beside the definition",
                    found="no file",
                    action="Write one.",
                )
            )
            continue
        file = _read(beside, ExamplesFile, faults)
        if file:
            examples[definition.id] = file.examples
    return found, examples


def _add(into: dict[str, D], found: tuple[D, ...], path: Path, faults: list[RuleError]) -> None:
    for each in found:
        if each.id in into:
            faults.append(
                RuleError(
                    _where(path), expected="an id used once", found=f"{each.id} a second time", action="Rename one."
                )
            )
        into[each.id] = each


def _where(path: Path) -> str:
    return f"clinical/{path.parent.name}/{path.name}"


def _read(path: Path, model: type[M], faults: list[RuleError]) -> M | None:
    try:
        content = strict_yaml.load(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except FileNotFoundError:
        faults.append(RuleError(_where(path), expected="a file", found="none", action="Put it there."))
    except UnicodeDecodeError:
        faults.append(RuleError(_where(path), expected="UTF-8 text", found="other bytes", action="Save it as UTF-8."))
    except yaml.YAMLError as fault:
        found = strict_yaml.fault_in_words(fault)
        faults.append(RuleError(_where(path), expected="YAML", found=found, action="Correct the definition."))
    except ValidationError as fault:
        for each in fault.errors(include_url=False):
            place = ".".join(str(part) for part in each["loc"]) or "the definition"
            message = each["msg"].removeprefix("Value error, ")
            if each["type"] == "extra_forbidden":
                message = "a key the vocabulary does not have"
            faults.append(
                RuleError(
                    f"{_where(path)}, {place}",
                    expected="the vocabulary of docs/rules.md",
                    found=message,
                    action="Correct the definition.",
                )
            )
    return None


def _codelists(folder: Path, faults: list[RuleError]) -> dict[str, Codelist]:
    def fault(path: Path, expected: str, found: str, action: str) -> None:
        faults.append(RuleError(_where(path), expected=expected, found=found, action=action))

    manifest = _read(folder / "manifest.yaml", CodelistManifest, faults)
    if not manifest:
        return {}
    found: dict[str, Codelist] = {}
    for path in sorted({*folder.glob("*.csv")} - {folder / f"{entry.id}.csv" for entry in manifest.codelists}):
        fault(path, "an entry in the manifest", "none", "Describe the codelist there, or take the file away.")
    for entry in manifest.codelists:
        path = folder / f"{entry.id}.csv"
        if entry.id in found:
            fault(folder / "manifest.yaml", "an id used once", f"{entry.id} a second time", "Take one entry out.")
        if not path.is_file():
            fault(path, "the codelist the manifest names", "no file", "Add it, or take the entry out.")
            continue
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            fault(
                path,
                "the content the manifest's sha256 names",
                "another content",
                "Bump version, rows and sha256 in the manifest if the change is meant.",
            )
        try:
            header, *rows = csv.reader(StringIO(content.decode("utf-8")))
            code, term = header.index("code"), header.index("term")
            codes = {row[code]: row[term] for row in rows}
            weight = header.index("weight") if "weight" in header else None
            weights = {} if weight is None else {row[code]: float(row[weight]) for row in rows}
        except (UnicodeDecodeError, IndexError, ValueError):
            fault(
                path,
                "a UTF-8 CSV with the columns code and term (and a number in weight, if any)",
                "another layout",
                "Correct the file.",
            )
            continue
        if not rows or len(rows) != entry.rows:
            fault(
                path,
                f"{entry.rows} codes, at least one",
                f"{len(rows)}",
                "A codelist that matches nothing finds nobody: correct the file.",
            )
        if len(codes) != len(rows) or not all(codes):
            fault(path, "every code once", "a blank or repeated code", "Correct the file.")
        found[entry.id] = Codelist(entry, codes, weights)
    return found


def _unresolved(book: RuleBook) -> list[RuleError]:
    faults: list[RuleError] = []

    def missing(where: str, kind: str, name: str) -> None:
        faults.append(
            RuleError(
                where,
                expected=f"a {kind} that is defined",
                found=f"{name}, which is not",
                action="Correct the name or define it.",
            )
        )

    def check_codelist(where: str, name: str, kind: str) -> None:
        if name not in book.codelists:
            missing(where, "codelist", name)
        elif book.codelists[name].system not in SYSTEMS[kind]:
            faults.append(
                RuleError(
                    where,
                    expected=f"a codelist of {' or '.join(SYSTEMS[kind])} for {kind}",
                    found=f"{name}, of {book.codelists[name].system}: it would find nobody",
                    action="Name the right codelist.",
                )
            )

    for measurement in book.measurements.values():
        for name in (
            *measurement.codelists,
            *measurement.unit_of_codelists,
            *measurement.grade_codelists,
            *measurement.offset_codelists,
        ):
            check_codelist(f"measurement {measurement.id}", name, "event")
        if measurement.must_exceed and measurement.must_exceed not in book.measurements:
            missing(f"measurement {measurement.id}", "measurement", measurement.must_exceed)
    for variable in book.variables.values():
        for each in (*variable.leaves, *variable.not_on_days_with):
            if each.kind == "measurement" and each.what not in book.measurements:
                missing(f"variable {variable.id}", "measurement", each.what)
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
        faults.append(
            RuleError(
                f"score {name}",
                expected="an id that no variable has",
                found="a variable of that name",
                action="Rename one: a score's value is asked for by its id.",
            )
        )

    def check(where: str, condition: Condition) -> None:
        for each in condition.walk():
            if each.variable and each.variable not in variables:
                missing(where, "variable", each.variable)
            if each.is_missing and each.variable in book.variables and not book.variables[each.variable].is_value:
                faults.append(
                    RuleError(
                        where,
                        expected="is_missing of a value, which may be missing",
                        found=f"{each.variable}, a {book.variables[each.variable].take} that is nought without records",
                        action="Ask whether it is below 1, or name a value.",
                    )
                )
            if each.score and each.score not in book.scores:
                missing(where, "score", each.score)
            elif each.score:
                tiers = {tier.tier for tier in book.scores[each.score].tiers}
                for name in sorted(set(each.tier_in or ()) - tiers):
                    missing(where, f"tier of {each.score}", name)

    for score in book.scores.values():
        for condition in score.conditions:
            check(f"score {score.id}", condition)
        alone = [each.variable for each in score.points or () if each.times is not None]
        for own in dict.fromkeys([score.value_of, *alone]):
            if own and own not in variables:
                missing(f"score {score.id}", "variable", own)
    precedence: dict[int, str] = {}
    for pathway in book.pathways.values():
        for condition in pathway.conditions:
            check(f"pathway {pathway.id}", condition)
        if pathway.tier_from not in book.scores:
            missing(f"pathway {pathway.id}", "score", pathway.tier_from)
        for name in (*pathway.show, *(step.variable for step in pathway.rank_by)):
            if name not in {*book.variables, *PERSON_FIELDS}:
                missing(f"pathway {pathway.id}", "variable", name)
        if pathway.precedence in precedence:
            faults.append(
                RuleError(
                    f"pathway {pathway.id}",
                    expected="a precedence of its own",
                    found=f"that of {precedence[pathway.precedence]}",
                    action="Give each pathway its own.",
                )
            )
        precedence[pathway.precedence] = pathway.id
    return faults


def json_schemas() -> dict[str, dict[str, Any]]:
    """Give the JSON Schemas of what clinicians write, by file name, for editors that complete and check YAML."""
    models: dict[str, type[BaseModel]] = {
        "codelist_manifest": CodelistManifest,
        "variables": VariablesFile,
        "score": Score,
        "pathway": Pathway,
        "examples": ExamplesFile,
        "patients": PatientsFile,
    }
    return {
        name: json.loads(json.dumps(model.model_json_schema(by_alias=True), sort_keys=True))
        for name, model in models.items()
    }
