"""What the parts of a run read, each as one digest: two equal digests, and the part gives the same.

Whatever is not known to be of no account counts: a setting, a definition, a library, a secret. Belongs here: what
identifies the inputs of loading, of each value, score and pathway, and of a run as a whole. Does not belong: what is
done where a digest is the same (``taken_over``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stratify import ingest, kept_weeks, privacy, returned_files
from stratify.rulebook import RuleBook
from stratify.rules import Variable
from stratify.runs import Plan
from stratify.wording import Wording, load_wording

Digests = dict[str, str | None]
"""A digest by definition; None for what a function of the site's own decides, of which nobody knows what it reads."""

_PLACES = {
    "extracts", "out", "clinical", "returned", "memory_limit", "threads", "spread", "metrics_file", "lineage_file",
    "backups", "backups_kept",
}  # fmt: skip
"""Settings that say where things are and what a run may use: what they lead to counts, wherever it lies."""
_NOT_LOADED = _PLACES | {
    "organisation",
    "contact",
    "fhir",
    "other_scores",
    "plug_ins",
    "rollout",
    "sign_offs",
    "lots",
    "care_homes",
    "comparators",
    "sustainability",
    "practice_phones",
    "most_minutes_a_week",
    "most_workload_ratio",
}
"""Settings that nothing reads before the values are worked out; one that is not named here is taken to be read."""
_WORK = "STRATIFY_"
"""How every variable of the environment begins that stratify reads."""


@dataclass(frozen=True)
class StageInputs:
    """Digests of what the parts of a run read.

    Attributes:
        whole: Of everything, code, libraries, settings and secrets included; None where a plug-in has a part in it.
        loading: Of what decides the core tables and all that is counted while they are made, on this index date.
        files: Of the files that are read, as they were planned before a row was.
        definitions: Of the whole folder of definitions.
        values: Of each variable, beside what loading reads.
        scores: The same of each score.
        pathways: The same of each pathway, with where it is on and the words for the person.
    """

    whole: str | None
    loading: str
    files: str
    definitions: str
    values: Digests
    scores: Digests
    pathways: Digests


def read_by_stages(
    plan: Plan, book: RuleBook, worked: RuleBook, *, key: bytes, environment: Mapping[str, str]
) -> StageInputs:
    """Give what each part of a run reads.

    Args:
        plan: The run, before a row is read.
        book: All of its rule book.
        worked: The part of it that the run works out.
        key: The identity key.
        environment: The environment variables; of secrets there is a keyed digest and nothing else.
    """
    wording = load_wording(plan.settings.clinical)
    libraries = _libraries()
    secrets = hmac.new(key, json.dumps(_secrets(environment)).encode(), hashlib.sha256).hexdigest()
    whole = [plan.run_id, _settings(plan, _PLACES), libraries, secrets]
    loading = {
        "files": digest_of_files(plan),
        "returned": returned_files.identity(plan.returned),
        "code": plan.code_digest,
        "libraries": libraries,
        "key": privacy.key_fingerprint(key),
        "memory": kept_weeks.digest(plan.settings.out / "restricted", plan.settings.index_date),
        "entry": ingest.open_door(plan.settings.entry).in_manifest(),
        "settings": _settings(plan, _NOT_LOADED),
        "definitions": _read_by_loading(plan, book, wording),
    }
    if plan.settings.spread:  # a bucket works out every definition at once: none is taken over by itself
        worked = replace(worked, variables={}, scores={}, pathways={})
    parts = _Contents(worked)
    around = [plan.settings.model_dump(mode="json", include={"rollout"}, by_alias=True), _dump(wording.plain)]
    return StageInputs(
        whole=None if plan.settings.plug_ins else _digest(whole),
        loading=_digest(loading),
        files=digest_of_files(plan),
        definitions=plan.rule_digest,
        values=parts.variables,
        scores={name: parts.digest(name) for name in worked.scores},
        pathways={name: parts.digest(name, around) for name in worked.pathways},
    )


def digest_of_files(plan: Plan) -> str:
    """Give the digest of the files of a plan and of the feeds it does without, wherever they lie."""
    files = sorted(each.model_dump_json(exclude={"path"}) for each in plan.files)
    return _digest([files, [each.model_dump(mode="json") for each in plan.lost]])


def _read_by_loading(plan: Plan, book: RuleBook, wording: Wording) -> object:
    """Give the definitions that are read before a value is worked out: measurements, and what can be answered."""
    measured = book.resolved_measurements(score_inferred_units=plan.settings.score_inferred_units)
    places = {
        name: [each.is_published, [place.model_dump(mode="json") for place in each.places]]
        for name, each in book.pathways.items()
    }
    return [measured, places, _dump(wording.agenda)]


def _settings(plan: Plan, without: set[str]) -> object:
    return plan.settings.model_dump(mode="json", exclude=without, by_alias=True)


@cache
def _libraries() -> list[str]:
    """Give the versions of Python and of everything stratify is installed with."""
    installed = {f"{each.metadata['Name']} {each.version}".lower() for each in metadata.distributions()}
    return [sys.version, *sorted(installed)]


def _secrets(environment: Mapping[str, str]) -> list[list[str]]:
    """Give every variable of ours, and what is in the file that it names."""
    found = []
    for name in sorted(each for each in environment if each.startswith(_WORK)):
        path = Path(environment[name])
        is_file = name.endswith("_FILE") and path.is_file()
        found.append([name, environment[name], hashlib.sha256(path.read_bytes()).hexdigest() if is_file else ""])
    return found


class _Contents:
    """The content of each definition with all that it depends on; what several depend on is put together once."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._codelists: dict[str, str] = {}
        self.variables = {name: self._variable(each) for name, each in book.variables.items()}

    def digest(self, name: str, around: object = None) -> str | None:
        """Give the digest of a score or pathway; None where a plug-in has a part in it."""
        cut = self._book.cut_down_to(name)
        read = [self.variables[each] for each in sorted(cut.variables)]
        if None in read:
            return None
        scores, pathways = ([_dump(those[each]) for each in sorted(those)] for those in (cut.scores, cut.pathways))
        return _digest([read, scores, pathways, around])

    def _variable(self, variable: Variable) -> str | None:
        if variable.take == "given":
            return None
        measured = sorted({leaf.what for leaf in variable.leaves if leaf.measurement})
        codelists = sorted(self._book.codelists_of(variable.id))
        measurements = [_dump(self._book.measurements[each]) for each in measured]
        return _digest([_dump(variable), measurements, [self._codelist(each) for each in codelists]])

    def _codelist(self, name: str) -> str:
        if name not in self._codelists:
            held = self._book.codelists[name]
            self._codelists[name] = _digest(
                [_dump(held.entry), sorted(held.codes.items()), sorted(held.weights.items())]
            )
        return self._codelists[name]


def _dump(model: BaseModel | None) -> object:
    return model.model_dump(mode="json", by_alias=True) if model else None


def _plain(thing: Any) -> object:  # noqa: ANN401  what JSON has no word for
    """Give a set in order, and any other thing as its attributes."""
    return sorted(thing) if isinstance(thing, frozenset) else vars(thing)


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()
