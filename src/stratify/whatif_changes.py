"""What somebody wants to try before it is signed: thresholds, pathways, capacity, dates of starting, and assumptions.

Belongs here: the vocabulary of a file of changes, and what each change makes of a rule book. Does not belong: what
comes of it (``whatif``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from stratify import strict_yaml
from stratify.errors import RuleError, SettingsError
from stratify.own_files import read_pathway
from stratify.rulebook import RuleBook, clinical_folder, load_rule_book, with_definitions
from stratify.rules import EDGES, Pathway, Score
from stratify.rules.strict import Strict

M = TypeVar("M", bound=BaseModel)
Week = Annotated[int, Field(ge=0, le=25)]
_MEETS = {"above": "at_most", "at_least": "below", "at_most": "above", "below": "at_least"}
_SECTORS = ("gp", "community", "outpatient", "ambulance")


class Threshold(Strict):
    """Another edge of one comparison of a score's tier or a pathway's route; or the tiers a route takes.

    A tier of a score that has a value needs no variable: its own edge moves, and that of the tier it meets.
    """

    score: str | None = None
    tier: str | None = None
    pathway: str | None = None
    route: str | None = None
    variable: str | None = None
    tiers: tuple[str, ...] | None = None
    below: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _sound(self) -> Threshold:
        if not ((self.score and self.tier) or (self.pathway and self.route)) or (self.score and self.pathway):
            raise ValueError("a threshold names a score and its tier, or a pathway and its route")
        if (len(self.edges) == 1) == (self.tiers is not None):
            raise ValueError("a threshold gives one of below, at_most, at_least, above, or the tiers of a route")
        if self.tiers is not None and self.score:
            raise ValueError("tiers are what a route of a pathway takes")
        return self

    @property
    def edges(self) -> dict[str, float]:
        """The edge that is given, by name."""
        return {name: getattr(self, name) for name in EDGES if getattr(self, name) is not None}


class CapacityChange(Strict):
    """Another capacity of a clinic from a week on, at each practice: sessions as large as today's, or places a week."""

    clinic: str
    practices: tuple[str, ...] = ()
    sessions_per_week: int | None = Field(default=None, ge=0, le=50)
    slots_per_week: int | None = Field(default=None, ge=0, le=5000)
    from_week: Week = 0

    @model_validator(mode="after")
    def _sound(self) -> CapacityChange:
        if (self.sessions_per_week is None) == (self.slots_per_week is None):
            raise ValueError("another capacity is sessions_per_week or slots_per_week")
        return self


class SwitchOn(Strict):
    """A pathway that starts in a week from the index date on; at some practices, or at all."""

    pathway: str
    week: Week
    practices: tuple[str, ...] = ()


class Assumed(Strict):
    """What the records do not say, taken alike before and after."""

    did_not_attend_percent: float = Field(default=0, ge=0, le=90)
    review_after_weeks: int = Field(default=52, ge=1)


class Load(Strict):
    """What a clinic asks of a sector: for a place given, and for a person who is a week on its list."""

    clinic: str
    sector: Literal["gp", "community", "outpatient", "ambulance"]
    contacts_per_place: float = Field(default=0, ge=0)
    contacts_per_week_on_list: float = Field(default=0, ge=0)
    source: str = Field(min_length=1)


class Loads(Strict):
    """Every declared load (``clinical/loads.yaml``); a source is named, or it is ``assumed``."""

    loads: tuple[Load, ...]


class Changes(Strict):
    """A file of changes: what to try, in one go."""

    title: str = "A change to try"
    clinical: str | None = None
    pathways: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    capacity: tuple[CapacityChange, ...] = ()
    switch_on: tuple[SwitchOn, ...] = ()
    assume: Assumed = Assumed()
    loads: tuple[Load, ...] | None = None

    @property
    def in_words(self) -> tuple[str, ...]:
        """What is tried, a line each."""
        lines = [f"Definitions of {Path(self.clinical).name}"] if self.clinical else []
        lines += [f"Pathway of {Path(each).name}" for each in self.pathways]
        for each in self.thresholds:
            what = f"score {each.score}, tier {each.tier}" if each.score else f"pathway {each.pathway}, {each.route}"
            edge = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in each.edges.items())
            edge = edge or f"tiers {', '.join(each.tiers or ()) or 'none'}"
            lines.append(f"Threshold: {what}{f', {each.variable}' if each.variable else ''}: {edge}")
        for capacity in self.capacity:
            where = ", ".join(capacity.practices) or "each practice"
            much = (
                f"{capacity.sessions_per_week} sessions"
                if capacity.slots_per_week is None
                else f"{capacity.slots_per_week} places"
            )
            lines.append(f"Capacity: {capacity.clinic} at {where}: {much} a week from week {capacity.from_week}")
        for start in self.switch_on:
            where = ", ".join(start.practices) or "each practice"
            lines.append(f"Start: pathway {start.pathway} at {where} in week {start.week}")
        return tuple(lines) or ("Nothing: today's definitions and capacity on both sides",)


def read_changes(
    file: Path | None,
    *,
    thresholds: tuple[str, ...] = (),
    pathways: tuple[Path, ...] = (),
    capacity: tuple[str, ...] = (),
    switch_on: tuple[str, ...] = (),
) -> Changes:
    """Read a file of changes, and add those of the command line, each as it would stand in the file.

    Raises:
        SettingsError: it is no YAML, or says what is no change.
    """
    said: Any = _yaml(file.read_text(encoding="utf-8"), f"file of changes {file.name}") if file else {}
    where = f"file of changes {file.name}" if file else "the options"
    if not isinstance(said, dict):
        raise SettingsError(where, expected="changes by kind", found="something else", action="See docs/whatif.md.")
    beside = file.resolve().parent if file else Path()
    said["pathways"] = [str(beside / each) for each in said.get("pathways") or []] + [str(each) for each in pathways]
    if said.get("clinical"):
        said["clinical"] = str(beside / str(said["clinical"]))
    for name, texts in (("thresholds", thresholds), ("capacity", capacity), ("switch_on", switch_on)):
        said[name] = [*(said.get(name) or []), *(_yaml(text, f"option for {name}") for text in texts)]
    return _valid(Changes, said, where)


def read_loads(folder: Path | None) -> tuple[Load, ...]:
    """Read what clinics ask of each sector; none where a clinical folder does not say."""
    file = (folder or clinical_folder()) / "loads.yaml"
    if not file.is_file():
        return ()
    return _valid(Loads, _yaml(file.read_text(encoding="utf-8"), "clinical/loads.yaml"), "clinical/loads.yaml").loads


def changed_book(book: RuleBook, changes: Changes) -> RuleBook:
    """Give the rule book with the changes in it; the same book where none is to a definition.

    Raises:
        RuleError: a change names what is not there, or the definitions do not hold together with it.
    """
    changed = load_rule_book(Path(changes.clinical)) if changes.clinical else book
    read = [read_pathway(Path(each)) for each in changes.pathways]
    changed = with_definitions(changed, read) if read else changed
    definitions: dict[tuple[str, str], dict[str, Any]] = {}
    for each in changes.thresholds:
        kind, name = ("score", each.score) if each.score else ("pathway", each.pathway)
        found: Score | Pathway | None = changed.scores.get(str(name)) or changed.pathways.get(str(name))
        if found is None or (kind == "score") != isinstance(found, Score):
            raise RuleError(
                f"threshold of {kind} {name}", expected=f"a {kind} of the rule book", found="none", action="Correct it."
            )
        own = definitions.setdefault(
            (kind, str(name)),
            json.loads(found.model_dump_json(by_alias=True, exclude_unset=True)),
        )
        _set(own, each)
    made: list[Score | Pathway] = []
    for (kind, name), own in definitions.items():
        where = f"changed {kind} {name}"
        made.append(_valid(Score, own, where, RuleError) if kind == "score" else _valid(Pathway, own, where, RuleError))
    return with_definitions(changed, made) if made else changed


def _set(own: dict[str, Any], each: Threshold) -> None:
    part_name, parts, key = ("tier", own["tiers"], "tier") if each.score else ("route", own["routes"], "id")
    wanted = each.tier if each.score else each.route
    where = f"threshold of {own['id']}, {part_name} {wanted}"
    place = next((number for number, part in enumerate(parts) if part[key] == wanted), None)
    if place is None:
        raise RuleError(where, expected=f"a {part_name} of that name", found="none", action="Correct the name.")
    if each.score and each.variable is None:
        _move_edge(parts, place, each, where)
        return
    named = "score" if each.tiers is not None else "variable"
    edge = None if each.tiers is not None else next(iter(each.edges))
    found = [
        leaf
        for leaf in _leaves(parts[place].get("when") or {})
        if leaf.get(named)
        and (each.variable is None or leaf.get("variable") == each.variable)
        and (edge is None or edge in leaf)
    ]
    if len(found) != 1:
        raise RuleError(
            where,
            expected=f"one comparison of {each.variable or 'a variable'} with {edge}" if edge else "one list of tiers",
            found=f"{len(found)} of them",
            action="Name a comparison that is there once, or give the whole definition as a file.",
        )
    if edge is None:
        found[0]["tier_in"] = list(each.tiers or ())
    else:
        found[0][edge] = each.edges[edge]


def _move_edge(tiers: list[dict[str, Any]], place: int, each: Threshold, where: str) -> None:
    """Move an edge of a tier, and the one it meets, so that tiers still cover every number once."""
    ((edge, value),) = each.edges.items()
    before = tiers[place].get(edge)
    other = next((tier for tier in tiers if tier is not tiers[place] and tier.get(_MEETS[edge]) == before), None)
    if before is None or other is None:
        raise RuleError(
            where, expected=f"a tier with the edge {edge}", found="none of that kind", action="Name an edge it has."
        )
    tiers[place][edge] = other[_MEETS[edge]] = value


def _leaves(condition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield condition
    for value in condition.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from _leaves(part)


def _yaml(text: str, where: str) -> Any:  # noqa: ANN401  whatever was written
    try:
        return strict_yaml.load(text)
    except yaml.YAMLError as fault:
        raise SettingsError(
            where, expected="YAML", found=strict_yaml.fault_in_words(fault), action="See docs/whatif.md."
        ) from None


def _valid(
    model: type[M],
    said: Any,  # noqa: ANN401  whatever was written
    where: str,
    kind: type[SettingsError] | type[RuleError] = SettingsError,
) -> M:
    try:
        return model.model_validate(said)
    except ValidationError as fault:
        details = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])} {each['msg'].removeprefix('Value error, ')}".strip()
            for each in fault.errors(include_input=False, include_url=False)
        )
        raise kind(where, expected="the words of docs/whatif.md", found=details, action="Correct it.") from None
