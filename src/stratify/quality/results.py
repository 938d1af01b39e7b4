"""What one rule found, and the verdict that follows from it.

Belongs here: the result of a rule, verdicts of rules and tables, and the frame of results. Does not belong: counting
(``checks``) and wording for readers (``page``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from stratify import contracts

Stage = Literal["landing", "core", "out"]
Severity = Literal["error", "warning"]
Verdict = Literal["pass", "warn", "hold", "stop"]

_GRAVITY: Final[dict[Verdict, int]] = {"pass": 0, "warn": 1, "hold": 2, "stop": 3}

# Rows that break any other landing rule are set aside by ingest before anyone reads them; what is left to decide
# for the table is whether too many went, or nothing came.
ABOUT_TABLE: Final = frozenset({"row_count", "rejected_percent"})

FITNESS: Final = "FIT-"
"""What ids of checks begin with that no contract of one table can hold: age of a feed, codes against codelists,
spelling of codes."""

_FRAME_SCHEMA: Final[dict[str, type[pl.DataType]]] = {
    "table_name": pl.String,
    "rule_id": pl.String,
    "column_name": pl.String,
    "severity": pl.String,
    "row_count": pl.Int64,
    "failed_count": pl.Int64,
    "verdict": pl.String,
    "description": pl.String,
}


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule found in one table.

    Attributes:
        table: Table with its layer, ``landing.gp_event``.
        rule_id: Rule of the table's contract.
        column: Column, or None for a rule over several or over the table.
        severity: ``error`` or ``warning``, as the contract says.
        row_count: Rows looked at.
        failed_count: Rows that failed; for a rule over the whole table (row count, share set aside) 0 or 1.
        verdict: ``pass``, ``warn``, ``hold`` (the lists it touches) or ``stop``.
        description: The rule in words.
        is_about_table: True for a rule over the whole table; not kept in the frame.
    """

    table: str
    rule_id: str
    column: str | None
    severity: Severity
    row_count: int
    failed_count: int
    verdict: Verdict
    description: str
    is_about_table: bool = False


def rule_verdict(*, kind: str, severity: str, failed_count: int, stage: Stage) -> Verdict:
    """Say what a rule's failures mean as long as nobody has looked at what reads the table.

    Nothing failed: pass. A warning never stops. An error stops, except on a landing table for rules about rows,
    because those rows were set aside. What only some lists read is softened to a hold by whoever knows what reads it.
    """
    if failed_count == 0:
        return "pass"
    if severity == "warning" or (stage == "landing" and kind not in ABOUT_TABLE):
        return "warn"
    return "stop"


def verdicts(results: Iterable[RuleResult]) -> dict[str, Verdict]:
    """Give each table the worst verdict of its rules.

    Returns:
        Table to verdict, in order of table name. A table without a rule is absent.
    """
    worst: dict[str, Verdict] = {}
    for result in results:
        worst[result.table] = overall_verdict([worst.get(result.table, "pass"), result.verdict])
    return dict(sorted(worst.items()))


def overall_verdict(table_verdicts: Iterable[Verdict]) -> Verdict:
    """Give the worst of several verdicts; pass when there are none."""
    return max(table_verdicts, key=_GRAVITY.__getitem__, default="pass")


def results_frame(results: Iterable[RuleResult]) -> pl.DataFrame:
    """Give the results as a frame.

    Returns:
        One row per table and rule (contract ``audit.quality_result``), in order of table and rule.
    """
    rows = [
        (
            result.table,
            result.rule_id,
            result.column,
            result.severity,
            result.row_count,
            result.failed_count,
            result.verdict,
            result.description,
        )
        for result in sorted(results, key=lambda result: (result.table, result.rule_id))
    ]
    return pl.DataFrame(rows, schema=_FRAME_SCHEMA, orient="row")


def results_from(frame: pl.DataFrame) -> list[RuleResult]:
    """Give back the results that :func:`results_frame` made a frame of.

    Args:
        frame: Contract ``audit.quality_result``.
    """
    found = []
    for row in frame.sort("table_name", "rule_id").to_dicts():
        rules = contracts.load(row["table_name"]).rules
        about = {rule.id for rule in rules if rule.kind in ABOUT_TABLE}
        fields = {{"table_name": "table", "column_name": "column"}.get(name, name): each for name, each in row.items()}
        is_fitness = row["severity"] == "error" and row["rule_id"].startswith(FITNESS)
        is_about = row["rule_id"] in about or is_fitness
        found.append(RuleResult(**fields, is_about_table=is_about))
    return found
