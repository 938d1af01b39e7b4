"""What one deployment says about itself: a typed YAML file, with overrides from the environment and the command line.

``privacy`` (purpose and opt-out policy) has no default: nobody runs this without having decided. The identity key is
never a setting; see ``privacy.read_key``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stratify import strict_yaml
from stratify.care_homes import CareHome
from stratify.comparators import Comparator, read_comparators
from stratify.errors import SettingsError
from stratify.lots import Lot
from stratify.privacy import STAND_IN_POLICY, EntryPolicy, PrivacyPolicy
from stratify.rollout import Switch
from stratify.sign_off import SignOff
from stratify.sustainability import FactorAnswer, read_answers

Feed = Literal["gp_event", "gp_observation", "gp_medication", "apc_episode", "patient_flag"]
"""Extract tables that only some lists read: those lists can be held when the feed is old."""

_FROM_ENVIRONMENT = (
    "extracts",
    "source",
    "out",
    "index_date",
    "as_known_on",
    "other_scores",
    "clinical",
    "returned",
    "memory_limit",
    "threads",
)


_PATHS = ("extracts", "out", "clinical", "returned", "records", "backups", "metrics_file", "lineage_file")
"""Settings that are read from the folder of the settings file."""


class PlugInSetting(BaseModel):
    """A function of the site's own that gives a value: where it is, and which version, for the id of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    function: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    version: str = Field(min_length=1)


class SpreadSetting(BaseModel):
    """How the work that is per person is spread: docs/scale.md.

    Attributes:
        engine: ``duckdb``, one bucket of people after another in this process; ``dask``, buckets on the workers of a
            scheduler; ``spark``, all of them on a Spark cluster.
        buckets: How many buckets people are cut into; results do not depend on it.
        scheduler: Where the scheduler or master listens, for example ``tls://10.0.0.5:8786`` or ``spark://10.0.0.5:7077``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Literal["duckdb", "dask", "spark"] = "duckdb"
    buckets: int = Field(default=8, ge=1, le=4096)
    scheduler: str | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.engine == "duckdb") != (self.scheduler is None):
            raise ValueError("needs a scheduler with dask and spark, and none with duckdb")
        return self


class Settings(BaseModel):
    """Settings of one weekly run.

    Attributes:
        extracts: Folder the extract files are in, or a folder for each set of them: a whole extract, then its changes.
        source: Layout of those files, for example ``canonical``, or a declaration of one's own (a ``.yaml`` file).
        out: Folder the outputs go to.
        index_date: The day the run describes; windows end the day before.
        as_known_on: Last day that a set may describe; the index date when absent. A later day makes an old run again
            from what is known by now.
        privacy: Purpose and opt-out policy.
        entry: Which rows never land, and which NHS numbers are linked.
        organisation: Who runs it; printed on every cover.
        contact: How to report a concern about somebody's list entry; printed on every cover.
        score_inferred_units: Score values whose unit nobody wrote and only their size tells; not unless you ask.
        other_scores: Work out the scores that no pathway uses, too.
        clinical: Folder of clinical definitions; those that come with stratify when absent.
        most_days_old: How many days before the index date a feed may end, by extract table; past it the lists that
            read it are held. A feed that is not named may be of any age.
        plug_ins: Functions of the site's own that give values, by the name the rule book has for them.
        rollout: Where pathways are switched on, and from when until when; everything is on where there is no entry.
        sign_offs: Signatures under pathways, from the file the settings name; None where they name none, and then
            every pathway may publish.
        lots: Lots at the last place of a clinic, each with the decision of a research ethics committee; none otherwise.
        shared_lists: Clinics whose practices agreed that the team of their network works from one list.
        care_homes: The homes of the area, each with its postcode and who leads the round there.
        comparators: Figures of other places for the commissioners' file, from the CSV file that the settings name.
        sustainability: What teams answered about whether a pathway will last, from the CSV file that the settings name.
        practice_phones: The number that patients of a practice ring, by ODS code; where there is none, no letter or
            message is made.
        most_minutes_a_week: Minutes that a role may see people in a week, at all clinics of one practice or network.
        most_workload_ratio: How many times the load of the least loaded place of a role that of the most loaded may be.
        returned: Folder of what practices sent back: filled-in lists and offers, in a folder for each practice.
        records: Folder that keeps of each run what it read, so that it can be made again; none is kept otherwise.
        record_weeks: For how many weeks, by ``stratify retention``.
        backups: Folder on another disk that housekeeping keeps backups in; it makes none otherwise.
        backups_kept: How many of them.
        metrics_file: File that gets the figures of the last run for Prometheus; none is written otherwise.
        lineage_file: File that gets what each run read and put out, as OpenLineage events; none is written otherwise.
        fhir: Write the proposals of each practice as FHIR R4, too, for systems that take them.
        memory_limit: Of the working store, for example ``4GB``.
        threads: Of the working store; results do not depend on it.
        spread: How the work that is per person is spread; all people at once in this process when absent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    extracts: Path
    source: str
    out: Path
    index_date: date
    as_known_on: date | None = None
    privacy: PrivacyPolicy
    entry: EntryPolicy = EntryPolicy()
    organisation: str = "Organisation not named in the settings"
    contact: str = "Tell the team that runs stratify in your organisation"
    score_inferred_units: bool = False
    other_scores: bool = True
    clinical: Path | None = None
    most_days_old: dict[Feed, Annotated[int, Field(ge=0)]] = {}
    plug_ins: dict[str, PlugInSetting] = {}
    rollout: tuple[Switch, ...] = ()
    sign_offs: tuple[SignOff, ...] | None = None
    lots: tuple[Lot, ...] = ()
    shared_lists: tuple[str, ...] = ()
    care_homes: tuple[CareHome, ...] = ()
    comparators: tuple[Comparator, ...] = ()
    sustainability: tuple[FactorAnswer, ...] = ()
    practice_phones: dict[str, Annotated[str, Field(pattern=r"^0[0-9 ]{8,13}[0-9]$")]] = {}
    most_minutes_a_week: dict[str, Annotated[int, Field(ge=0)]] = {}
    most_workload_ratio: float = Field(default=3.0, ge=1)
    returned: Path | None = None
    records: Path | None = None
    record_weeks: int = Field(default=104, ge=1)
    backups: Path | None = None
    backups_kept: int = Field(default=8, ge=1)
    metrics_file: Path | None = None
    lineage_file: Path | None = None
    fhir: bool = False
    memory_limit: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")
    threads: int | None = Field(default=None, ge=1)
    spread: SpreadSetting | None = None

    @model_validator(mode="after")
    def _asked_of_everybody(self) -> Self:
        if self.spread and self.plug_ins:
            raise ValueError("plug_ins are asked of everybody at once and cannot be spread: leave out spread")
        return self

    @property
    def approved(self) -> dict[str, Any]:
        """What was decided about where, by whom and for how many: part of what makes a run."""
        names = {"rollout", "sign_offs", "lots", "shared_lists", "care_homes", "comparators", "practice_phones"}
        names |= {"most_minutes_a_week", "most_workload_ratio", "sustainability"}
        return self.model_dump(mode="json", include=names, by_alias=True)


def load_settings(
    file: Path | None,
    *,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any],
    today: date,
    synthetic_sources: frozenset[str] = frozenset(),
) -> Settings:
    """Bring file, environment (``STRATIFY_EXTRACTS`` ...) and command line together; the last named wins.

    Args:
        file: A YAML settings file, or None: then the source must be a synthetic one, and runs under a stand-in policy.
        environment: The environment variables.
        overrides: What the command line gives; None values are left out.
        today: The index date when nothing else gives one.
        synthetic_sources: Names of the sources that need no settings file.

    Raises:
        SettingsError: a setting is missing, unknown or of the wrong kind; all in one message.
    """
    found: dict[str, Any] = {}
    where = "the command line"
    if file is not None:
        where = f"settings file {file.name}"
        found = _read(file, where)
        folder = file.resolve().parent
        for name in _PATHS:
            if isinstance(found.get(name), str):
                found[name] = Path(os.path.normpath(folder / found[name]))
        for name in ("rollout", "sign_offs", "care_homes", "practice_phones"):
            if isinstance(found.get(name), str):
                found[name] = _listed(folder / found[name], name)
        if isinstance(found.get("comparators"), str):
            found["comparators"] = read_comparators(folder / found["comparators"])
        if isinstance(found.get("sustainability"), str):
            found["sustainability"] = read_answers(folder / found["sustainability"])
        entry = found.get("entry")
        if isinstance(entry, dict) and isinstance(entry.get("code_list"), str):
            found["entry"] = entry | {"code_list": Path(os.path.normpath(folder / entry["code_list"]))}
        if isinstance(found.get("source"), str) and found["source"].endswith(".yaml"):
            found["source"] = os.path.normpath(folder / found["source"])
    for name in _FROM_ENVIRONMENT:
        if environment.get(f"STRATIFY_{name.upper()}"):
            found[name] = environment[f"STRATIFY_{name.upper()}"]
    found |= {name: value for name, value in overrides.items() if value is not None}
    found.setdefault("index_date", today)
    if "privacy" not in found and found.get("source") in synthetic_sources:
        found["privacy"] = STAND_IN_POLICY
    try:
        return Settings.model_validate(found)
    except ValidationError as fault:
        details = []
        for each in fault.errors(include_input=False, include_url=False):
            place = ".".join(str(part) for part in each["loc"])
            message = (
                "is missing and has no default"
                if each["type"] == "missing"
                else each["msg"].removeprefix("Value error, ")
            )
            message = "is no setting" if each["type"] == "extra_forbidden" else message
            details.append(f"{place} {message}" if place else message)
        raise SettingsError(
            where,
            expected="every setting that docs/deploy.md lists, of its kind",
            found="; ".join(details),
            action="Correct the settings; whoever is responsible for the data decides purpose and opt-out policy.",
        ) from None


def _listed(file: Path, name: str) -> Any:  # noqa: ANN401  checked with the settings it becomes part of
    found = _read(file, f"settings file {file.name}")
    if set(found) != {name}:
        raise SettingsError(
            f"settings file {file.name}",
            expected=f"{name}, and nothing else",
            found="something else",
            action="See docs/rollout-and-release.md.",
        )
    return found[name]


def _read(file: Path, where: str) -> dict[str, Any]:
    if not file.is_file():
        raise SettingsError(where, expected="a YAML file", found="no file of that name", action="Correct the path.")
    try:
        found = strict_yaml.load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            where, expected="UTF-8 text", found="a file that cannot be read as it", action="Save it as UTF-8."
        ) from None
    except yaml.YAMLError as fault:
        found = strict_yaml.fault_in_words(fault)
        raise SettingsError(where, expected="YAML", found=found, action="Correct the settings.") from None
    if not isinstance(found, dict):
        raise SettingsError(
            where, expected="settings, one a line", found="something else", action="See docs/deploy.md."
        )
    return found
