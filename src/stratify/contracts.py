"""Data contracts: what every table must look like, read from ``data_contracts/`` (Open Data Contract Standard 3.1).

A contract is the single source for column names, types, keys, checks and their severity. Loaders, row checks, data
quality suites, table comments and exchanged schemas are made from what this module returns. It knows SQL predicates
(text) but no database.

An unknown key in a contract is an error: a misspelt ``requiredd`` would otherwise switch a check off in silence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stratify import strict_yaml
from stratify.errors import ContractError
from stratify.periods import SENTINEL_DATES

RuleKind = Literal[
    "missing", "type", "pattern", "values", "range", "date", "custom", "duplicate", "row_count", "rejected_percent"
]
Severity = Literal["error", "warning"]

_REJECTED_PERCENT = re.compile(r"rejected_percent <= (\d+(?:\.\d+)?)")
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True)
class Rule:
    """One check of a contract.

    ``scope`` is ``row`` (a failing row is set aside), ``value`` (only the value is) or ``table``. ``bad_when`` is a
    SQL predicate template over typed columns, true for a bad row; ``limit`` belongs to table-level rules.
    """

    id: str
    kind: RuleKind
    column: str | None
    scope: Literal["row", "value", "table"]
    severity: Severity
    bad_when: str | None
    limit: float | None
    description: str


@dataclass(frozen=True)
class Column:
    """One column of a table; ``type`` is its DuckDB type.

    Without a value in an ``is_critical`` column the row says little: a value set aside there counts towards the share
    of rows that may be set aside.
    """

    id: str
    name: str
    type: str
    description: str
    is_required: bool
    is_critical: bool
    classification: str | None
    pattern: str | None
    minimum: float | None
    maximum: float | None
    valid_values: tuple[str, ...] | None
    refers_to: str | None


@dataclass(frozen=True)
class TableContract:
    """What one table must look like; ``name`` is ``layer.table``."""

    name: str
    version: str
    purpose: str
    usage: str | None
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    file_digest: str

    @property
    def layer(self) -> str:
        """The part before the dot."""
        return self.name.split(".")[0]

    @property
    def table(self) -> str:
        """The part after the dot."""
        return self.name.split(".")[1]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Give one column by name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(
            self.name, expected=f"a column {name}", found="none of that name", action="Correct the name."
        )


def contracts_folder() -> Path:
    """Give the folder the contracts are read from: the installed copy, or the checkout's."""
    installed = Path(__file__).parent / "_data_contracts"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "data_contracts"


@cache
def names(layer: str) -> tuple[str, ...]:
    """Give the names of all contracts of a layer, sorted."""
    return tuple(
        f"{layer}.{path.name.split('.')[0]}" for path in sorted((contracts_folder() / layer).glob("*.odcs.yaml"))
    )


@cache
def load(name: str) -> TableContract:
    """Read the contract of one table.

    Args:
        name: ``layer.table``, for example ``landing.gp_event``.

    Raises:
        ContractError: there is no such contract, or it has an unknown key or a wrong value.
    """
    layer, _, table = name.partition(".")
    path = contracts_folder() / layer / f"{table}.odcs.yaml"
    if not path.is_file():
        raise ContractError(
            f"data_contracts/{layer}/{table}.odcs.yaml",
            expected="a contract",
            found="no file",
            action="Write one, or correct the table name.",
        )
    return parse(path.read_text(encoding="utf-8"), where=f"data_contracts/{layer}/{path.name}")


def parse(text: str, *, where: str) -> TableContract:
    """Make a contract of its YAML text.

    Raises:
        ContractError: the text is no YAML, has an unknown key, or a value of the wrong kind.
    """
    try:
        document = _Document.model_validate(strict_yaml.load(text))
    except yaml.YAMLError as fault:
        found = strict_yaml.fault_in_words(fault)
        raise ContractError(where, expected="YAML", found=found, action="Correct the contract.") from None
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ContractError(
            where,
            expected="a key and value of ODCS 3.1 that stratify reads",
            found=f"{place}: {first['msg']}",
            action="Correct the contract.",
        ) from None
    table = document.schema_[0]
    columns = tuple(_column(each) for each in table.properties)
    key = tuple(
        each.name
        for each in sorted((p for p in table.properties if p.primaryKey), key=lambda p: p.primaryKeyPosition or 0)
    )
    rules = [rule for each in table.properties for rule in _column_rules(each, where)]
    prefix = table.properties[0].id.rsplit("-", 1)[0]
    if key:
        rules.append(
            Rule(
                f"{prefix}-89-duplicate",
                "duplicate",
                None,
                "row",
                "error",
                None,
                None,
                f"More than one row with the same {' and '.join(key)}.",
            )
        )
    rules.extend(_table_rule(each, where) for each in table.quality)
    known = {column.name for column in columns} | {"data_cutoff"}
    for rule in rules:
        unknown = set(_PLACEHOLDER.findall(rule.bad_when or "")) - known
        if unknown:
            raise ContractError(
                f"{where}, rule {rule.id}",
                expected="columns of this table in braces",
                found=", ".join(sorted(unknown)),
                action="Correct the rule.",
            )
    if len({rule.id for rule in rules}) != len(rules):
        raise ContractError(
            where, expected="rule ids that differ", found="one used twice", action="Give each rule its own id."
        )
    return TableContract(
        name=document.name,
        version=document.version,
        purpose=document.description.purpose,
        usage=document.description.usage,
        columns=columns,
        key=key,
        rules=tuple(rules),
        file_digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def predicate(
    contract: TableContract,
    rule: Rule,
    *,
    raw: bool,
    data_cutoff: date,
    typed_as: Callable[[Column], str] | None = None,
) -> str | None:
    """Write a rule as SQL that is true for a bad row, false or null for a good one.

    Args:
        contract: The table the rule belongs to.
        rule: A row or value rule.
        raw: True for a landing table as read (every column text), false for a typed table.
        data_cutoff: The day the extract describes; what ``{data_cutoff}`` stands for.
        typed_as: Where the typed value of a column of a table as read stands, when it is worked out already.

    Returns:
        The predicate, or None for table-level rules and duplicates, which are no property of one row.
    """
    if rule.bad_when is None or rule.scope == "table":
        return None
    if rule.kind == "type" and not raw:
        return "false"
    if rule.kind == "type" and typed_as is not None:
        return f'"{rule.column}" IS NOT NULL AND {typed_as(contract.column(rule.column or ""))} IS NULL'

    def expand(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "data_cutoff":
            return f"DATE '{data_cutoff.isoformat()}'"
        column = contract.column(name)
        as_it_is = not raw or rule.kind in ("missing", "type")
        return f'"{name}"' if as_it_is else typed_as(column) if typed_as else typed(column)

    condition = _PLACEHOLDER.sub(expand, rule.bad_when)
    return condition if typed_as is not None else f"coalesce({condition}, false)"


def typed(column: Column, *, cast: str | None = None) -> str:
    """Write a text column as its contract type in SQL, null where the text does not fit.

    Args:
        column: The column.
        cast: Where DuckDB's own cast of it stands, when it is worked out already.
    """
    name = f'"{column.name}"'
    if column.type == "VARCHAR":
        return name
    shape = _SHAPE.get(column.type)
    if shape is None or cast is None:
        cast = cast or f"TRY_CAST({name} AS {column.type})"
        return f"CASE WHEN regexp_full_match({name}, '{shape}') THEN {cast} END" if shape else cast
    # A value that is written as DuckDB itself would write it has the right shape, and that is cheaper to see.
    return f"CASE WHEN CAST({cast} AS VARCHAR) = {name} OR regexp_full_match({name}, '{shape}') THEN {cast} END"


_SHAPE = {"DATE": r"\d{4}-\d{2}-\d{2}", "BIGINT": r"[+-]?\d+"}
"""What DuckDB's own casts take too loosely: 2.5 as a whole number, 2026/1/2 as a date."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Options(_Strict):
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None


class _Arguments(_Strict):
    validValues: tuple[str, ...]  # noqa: N815


class _Relationship(_Strict):
    type: Literal["foreignKey"]
    to: str


class _Quality(_Strict):
    id: str
    type: Literal["library", "custom"]
    metric: Literal["invalidValues", "rowCount"] | None = None
    arguments: _Arguments | None = None
    engine: Literal["stratify"] | None = None
    implementation: str | None = None
    mustBe: float | None = None  # noqa: N815
    mustBeGreaterThan: float | None = None  # noqa: N815
    unit: Literal["rows", "percent"] | None = None
    severity: Severity
    description: str = ""


class _Property(_Strict):
    id: str
    name: str
    logicalType: Literal["string", "date", "timestamp", "boolean", "integer", "number"]  # noqa: N815
    physicalType: Literal["VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN", "BIGINT", "DOUBLE", "DECIMAL(18,4)"]  # noqa: N815
    description: str
    required: bool = False
    primaryKey: bool = False  # noqa: N815
    primaryKeyPosition: int | None = None  # noqa: N815
    criticalDataElement: bool = False  # noqa: N815
    classification: Literal["restricted"] | None = None
    logicalTypeOptions: _Options = _Options()  # noqa: N815
    relationships: tuple[_Relationship, ...] = ()
    quality: tuple[_Quality, ...] = ()


class _Table(_Strict):
    name: str
    logicalType: Literal["object"]  # noqa: N815
    physicalType: Literal["table"]  # noqa: N815
    description: str
    properties: tuple[_Property, ...] = Field(min_length=1)
    quality: tuple[_Quality, ...] = ()


class _Description(_Strict):
    purpose: str
    limitations: str | None = None
    usage: str | None = None


class _Document(_Strict):
    apiVersion: Literal["v3.1.0"]  # noqa: N815
    kind: Literal["DataContract"]
    id: str
    name: str
    version: str
    status: Literal["draft", "active", "deprecated", "retired"]
    domain: str
    description: _Description
    schema_: tuple[_Table] = Field(alias="schema")


def _column(each: _Property) -> Column:
    values = next((q.arguments.validValues for q in each.quality if q.arguments), None)
    return Column(
        id=each.id,
        name=each.name,
        type=each.physicalType,
        description=each.description,
        is_required=each.required,
        is_critical=each.criticalDataElement,
        classification=each.classification,
        pattern=each.logicalTypeOptions.pattern,
        minimum=each.logicalTypeOptions.minimum,
        maximum=each.logicalTypeOptions.maximum,
        valid_values=values,
        refers_to=each.relationships[0].to if each.relationships else None,
    )


def _column_rules(each: _Property, where: str) -> list[Rule]:
    name, options = each.name, each.logicalTypeOptions
    scope: Literal["row", "value"] = "row" if each.required or each.primaryKey else "value"

    def rule(suffix: str, kind: RuleKind, bad_when: str, description: str, severity: Severity = "error") -> Rule:
        return Rule(f"{each.id}-{suffix}", kind, name, scope, severity, bad_when, None, description)

    rules = []
    if each.required:
        rules.append(rule("missing", "missing", f"{{{name}}} IS NULL", f"{name} is empty."))
    if each.physicalType != "VARCHAR":
        column = _column(each)
        rules.append(
            rule(
                "type",
                "type",
                f'"{name}" IS NOT NULL AND ({typed(column)}) IS NULL',
                f"{name} is no {each.logicalType}.",
            )
        )
    if options.pattern:
        pattern = options.pattern.replace("'", "''")
        rules.append(
            rule(
                "pattern", "pattern", f"NOT regexp_matches({{{name}}}, '{pattern}')", f"{name} does not look like one."
            )
        )
    if options.minimum is not None or options.maximum is not None:
        bounds = [f"{{{name}}} < {options.minimum}"] if options.minimum is not None else []
        bounds += [f"{{{name}}} > {options.maximum}"] if options.maximum is not None else []
        rules.append(rule("range", "range", " OR ".join(bounds), f"{name} is outside its range."))
    if each.physicalType == "DATE" and not each.primaryKey:
        sentinels = ", ".join(f"DATE '{day.isoformat()}'" for day in SENTINEL_DATES)
        rules.append(
            rule("sentinel", "date", f"{{{name}}} IN ({sentinels})", f"{name} is a date that stands for not known.")
        )
    for quality in each.quality:
        if quality.metric == "invalidValues" and quality.arguments:
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in quality.arguments.validValues)
            rules.append(
                Rule(
                    quality.id,
                    "values",
                    name,
                    scope,
                    quality.severity,
                    f"{{{name}}} NOT IN ({listed})",
                    None,
                    quality.description or f"{name} is none of the values it may have.",
                )
            )
        elif quality.type == "custom" and quality.implementation:
            rules.append(
                Rule(
                    quality.id,
                    "custom",
                    name,
                    scope,
                    quality.severity,
                    quality.implementation.replace("{property}", f"{{{name}}}"),
                    None,
                    quality.description,
                )
            )
        else:
            raise ContractError(
                f"{where}, rule {quality.id}",
                expected="invalidValues or a custom rule on a column",
                found="neither",
                action="Correct the rule.",
            )
    return rules


def _table_rule(quality: _Quality, where: str) -> Rule:
    if quality.metric == "rowCount" and quality.mustBeGreaterThan is not None:
        return Rule(
            quality.id,
            "row_count",
            None,
            "table",
            quality.severity,
            None,
            quality.mustBeGreaterThan,
            quality.description,
        )
    share = _REJECTED_PERCENT.fullmatch(quality.implementation or "")
    if share:
        limit = float(share.group(1))
        return Rule(quality.id, "rejected_percent", None, "table", quality.severity, None, limit, quality.description)
    if quality.type == "custom" and quality.implementation:
        return Rule(
            quality.id, "custom", None, "row", quality.severity, quality.implementation, None, quality.description
        )
    raise ContractError(
        f"{where}, rule {quality.id}",
        expected="rowCount, rejected_percent <= n, or a custom rule",
        found="neither",
        action="Correct the rule.",
    )


def describe(contract: TableContract) -> dict[str, Any]:
    """Give the JSON Schema of one row of a table, for those who exchange it with us."""
    kinds = {"VARCHAR": "string", "DATE": "string", "TIMESTAMP": "string", "BOOLEAN": "boolean", "BIGINT": "integer"}
    properties: dict[str, Any] = {}
    for column in contract.columns:
        kind = kinds.get(column.type, "number")
        entry: dict[str, Any] = {
            "description": column.description,
            "type": kind if column.is_required else [kind, "null"],
        }
        if column.type == "DATE":
            entry["format"] = "date"
        if column.type == "TIMESTAMP":
            entry["format"] = "date-time"
        if column.pattern:
            entry["pattern"] = column.pattern
        if column.valid_values:
            entry["enum"] = [*column.valid_values, *([] if column.is_required else [None])]
        if column.minimum is not None:
            entry["minimum"] = column.minimum
        if column.maximum is not None:
            entry["maximum"] = column.maximum
        properties[column.name] = entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:stratify:schema:{contract.name}:{contract.version}",
        "title": contract.name,
        "description": contract.purpose,
        "type": "object",
        "properties": properties,
        "required": [column.name for column in contract.columns if column.is_required],
        "additionalProperties": False,
    }
