"""JSON Schemas of what people write and of what is exchanged, made from the models and contracts; none by hand.

What people write (codelist manifest, variables, scores, pathways, examples, settings, sources) comes from the pydantic
models, what is exchanged (capacity, extract manifest, lists, offers, counts) from ``data_contracts/``, and the manifest
of a run from the model here. Does not belong: checking anything against a schema; models and contracts do that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stratify import contracts
from stratify.declarations import Declaration
from stratify.errors import ContractError
from stratify.modelling.design import ModelDesign
from stratify.privacy import PrivacyPolicy
from stratify.rulebook import json_schemas
from stratify.settings import Settings

EXCHANGED = (
    "landing.clinic_capacity",
    "landing.extract_manifest",
    "out.clinic_list",
    "out.comparator",
    "out.feedback_answer",
    "out.feedback_count",
    "out.feedback_form",
    "out.full_clinic",
    "out.impact",
    "out.metric",
    "out.metric_funnel",
    "out.metric_gradient",
    "out.metric_value",
    "out.metric_week",
    "out.offer_cost",
    "out.not_listed",
    "out.pathway_count",
    "out.payer_activity",
    "out.place_change",
    "out.population",
    "out.release_week",
    "out.returned_action",
    "out.returned_outcome",
    "out.self_management_offer",
    "out.similar_place",
    "out.spc_chart",
    "out.spc_point",
    "out.sustainability",
)
"""Tables that others write for us or read from us."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SUFFIX = ".schema.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleVersions(_Strict):
    """Which definitions a run used."""

    digest: str = Field(description="SHA-256 over every definition, example and codelist")
    codelists: dict[str, str] = Field(description="SHA-256 of each codelist, by id")
    scores: dict[str, str] = Field(description="Version of each score, by id")
    pathways: dict[str, str] = Field(description="Version of each pathway, by id")
    drafts: list[str] = Field(description="Pathways that are worked out and of which no list is published")
    plug_ins: dict[str, list[str]] = Field(
        description="Function, version and hash of the module of each plug-in, by its name"
    )


class InputCount(_Strict):
    """One extract file: received = loaded + rejected."""

    table_name: str
    file_name: str
    sha256: str
    declared_count: int | None
    received_count: int
    loaded_count: int
    rejected_count: int
    restricted_count: int
    period_to: str


class PeopleCount(_Strict):
    """How many people have a status."""

    person_status: str
    people: int


class WithheldCount(_Strict):
    """How many people were left out of a surface, and why."""

    surface: str
    reason: str
    people: int


class ScoreCount(_Strict):
    """How many people a score gave a tier; no tier where it is not settled."""

    score: str
    tier: str | None
    is_complete: bool
    people: int


class DecisionCount(_Strict):
    """How many people a rule of a pathway decided for."""

    pathway: str
    decision: str
    rule_id: str
    reason: str
    people: int


class PlacementCount(_Strict):
    """How many people have a place, wait, are offered, not listed, or held for another need or with their list."""

    pathway: str
    decision: str
    placement: str
    people: int


class RejectedCount(_Strict):
    """How many rows or values a rule of a contract set aside."""

    table_name: str
    rule_id: str
    scope: str
    rows: int


class ControlCount(_Strict):
    """What a safety control of the run counted."""

    control: str = Field(description="Safety control, as docs/safety/hazard-log.md names it")
    broken_count: Literal[0] = Field(description="How often it is broken; a run with more publishes nothing")


class StepCount(_Strict):
    """A count of one step of the run."""

    step: str
    measure: str
    count: int


class UnmatchedCount(_Strict):
    """How many codes, on how many rows, no codelist knows."""

    table_name: str
    code_system: str
    codes: int
    rows: int


class HeldCount(_Strict):
    """A pathway whose lists, offers and counts are held this week, and how many people that touches."""

    table_name: str
    rule_id: str
    pathway: str
    practice_code: str = Field(description="The practice; all for every practice")
    scores: str | None
    clinics: str
    reason: str
    people: int


class OutputFile(_Strict):
    """One published file; a DuckDB file has no hash, since its bytes differ though its rows do not."""

    file: str
    sha256: str | None = None


class EntryUsed(_Strict):
    """What was kept out at the door, and by which lists."""

    list_version: str = Field(description="Version of the list of restricted codes that comes with stratify")
    site_list_sha256: str | None
    code_count: int
    reference_sets_without_codes: tuple[str, ...] = Field(description="Reference sets of which no list has a member")
    confidential_rows: Literal["exclude", "keep"]
    nhs_number_ranges: tuple[str, ...]


class LostFeedEntry(_Strict):
    """A feed whose newest file is not read: what is used instead, and why."""

    table_name: str
    used_to: str | None = Field(description="Last day of the earlier files that are used; null where there are none")
    why: str


class AnswerCount(_Strict):
    """Answers that came back, by where they are known from and what became of them."""

    source: str
    status: Literal["applied", "already_known", "returned"]
    outcome: str | None
    wrong: str | None = Field(description="What is wrong with an answer that was returned, in words")
    rows: int


class RunManifest(_Strict):
    """``run_manifest.json``: what a run was made of and what it counted. Nothing about a person, no clock."""

    run_id: str = Field(description="Hash of everything that decides what the run gives")
    is_test: bool = Field(description="Invented people")
    index_date: str = Field(description="The day the run describes, ISO 8601")
    source: str = Field(description="Layout of the extract files")
    not_supplied: tuple[str, ...] = Field(description="Landing tables that the source never has")
    privacy: PrivacyPolicy
    entry: EntryUsed
    code_version: str
    rules: RuleVersions
    inputs: tuple[InputCount, ...]
    people: tuple[PeopleCount, ...]
    withheld: tuple[WithheldCount, ...]
    scores_given: tuple[ScoreCount, ...]
    decisions: tuple[DecisionCount, ...]
    placements: tuple[PlacementCount, ...]
    held: tuple[HeldCount, ...] = Field(description="Lists held for a failed data quality check; none when empty")
    lost_feeds: tuple[LostFeedEntry, ...] = Field(
        description="Feeds whose newest file was refused or is missing; none when empty"
    )
    rejected_rows: tuple[RejectedCount, ...]
    controls: tuple[ControlCount, ...]
    steps: tuple[StepCount, ...]
    answers: tuple[AnswerCount, ...] = Field(description="What came back; none when empty")
    unmatched_codes: tuple[UnmatchedCount, ...]
    verdicts: dict[str, Literal["pass", "warn", "hold", "stop"]] = Field(
        description="Data quality verdict of each table"
    )
    outputs: tuple[OutputFile, ...]


def write_schemas(folder: Path, *, check_only: bool) -> str:
    """Write every schema into a folder, or only check that those in it are up to date.

    Schemas of ours that are no longer made are deleted; other files are left alone.

    Args:
        folder: Where the schemas are.
        check_only: Write and delete nothing.

    Returns:
        One line for the terminal.

    Raises:
        ContractError: ``check_only``, and a schema is missing, out of date, or no longer made; all are named.
    """
    wanted = {f"{name}{_SUFFIX}": _text(schema) for name, schema in _schemas().items()}
    present = {path.name: path for path in sorted(folder.glob(f"*{_SUFFIX}"))} if folder.is_dir() else {}
    extra = sorted(set(present) - set(wanted))
    if check_only:
        missing = sorted(set(wanted) - set(present))
        stale = sorted(name for name in set(wanted) & set(present) if present[name].read_bytes() != wanted[name])
        faults = {"missing": missing, "out of date": stale, "no longer made": extra}
        if any(faults.values()):
            raise ContractError(
                f"folder {folder.name}",
                expected=f"the {len(wanted)} schemas that the models and contracts make",
                found="; ".join(f"{words}: {', '.join(names)}" for words, names in faults.items() if names),
                action=f"Run `stratify schemas {folder.name}`, read the difference and keep it with the change.",
            )
        return f"{len(wanted)} schemas in {folder.name} are up to date"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in sorted(wanted.items()):
        (folder / name).write_bytes(content)
    for name in extra:
        present[name].unlink()
    return f"{len(wanted)} schemas written to {folder.name}"


def _schemas() -> dict[str, dict[str, Any]]:
    """Give every schema by name: of definitions and settings as they are written, of tables as ``layer.table``."""
    # A settings file may leave everything but privacy to the environment and the command line.
    settings = {**Settings.model_json_schema(), "required": ["privacy"]}
    named = {
        name: {"$schema": _DRAFT, "$id": f"urn:stratify:schema:{name}", **schema}
        for name, schema in {
            **json_schemas(),
            "settings": settings,
            "source": Declaration.model_json_schema(),
            "model": ModelDesign.model_json_schema(),
            "run_manifest": RunManifest.model_json_schema(),
        }.items()
    }
    return named | {name: contracts.describe(contracts.load(name)) for name in EXCHANGED}


def _text(schema: dict[str, Any]) -> bytes:
    return (json.dumps(schema, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
