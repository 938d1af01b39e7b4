"""The row checks of a landing table as bits: which contract rules set a row aside and which only a value.

Every landing row carries ``faults``, one bit per rule it breaks, so that one pass over a table evaluates all of them
and later steps ask for rows and values by mask. Belongs here: bits, masks and the SQL of both. Does not belong: what a
rule says (``contracts``), and the verdict on a table (``quality``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal

from stratify import contracts
from stratify.contracts import TableContract
from stratify.errors import ContractError
from stratify.store import Store

SURVIVOR = "83-survivor"
CONTESTED = "84-contested"
RESTRICTED = "85-restricted"
NHS_NUMBER = "86-nhs-number"
SHORT_SLICE = "84-slice"
ORPHAN = "87-orphan"
WITHDRAWN = "88-withdrawn"
SUPERSEDED = "88-superseded"
REPEAT = "89-repeat"
DUPLICATE = "89-duplicate"
SHAPE = "00-shape"

_MOST_CHECKS = 120
"""Bits of a HUGEINT that can be used without touching its sign."""

SLICED_TABLES = (
    "patient",
    "registration",
    "gp_event",
    "gp_observation",
    "gp_medication",
    "gp_appointment",
    "home_visit_request",
)
"""Tables of which each practice sends its own part."""

TYPED_TABLES = (
    "gp_event",
    "gp_observation",
    "gp_medication",
    "gp_appointment",
    "apc_episode",
    "op_attendance",
    "ed_attendance",
    "community_contact",
    "referral",
)
"""Tables with nearly all the rows. They land with the types of their contract, in :func:`stored`; what does not fit its
type is kept beside as text, and ``landing.<table>`` is a view of the text. The others land as text."""

_MISFIT = "misfits"
"""Column of a typed landing table: the text of values that do not fit their type, by column; null where all do."""

TRACE_COLUMNS = (("patient_key", "VARCHAR"), ("source_file_id", "VARCHAR"), ("source_row", "BIGINT"))
"""What a landing row carries beside its text."""


@dataclass(frozen=True)
class Check:
    """One bit: the rule it stands for, the column, and whether it sets aside the row or the value."""

    bit: int
    rule_id: str
    column: str | None
    scope: Literal["row", "value"]
    rule: contracts.Rule | None

    @property
    def weight(self) -> int:
        """The bit as a number."""
        return 1 << self.bit


def prefix(contract: TableContract) -> str:
    """Give the letters that the rule ids of a table begin with."""
    return contract.columns[0].id.rsplit("-", 1)[0]


@cache
def checks_of(table: str) -> tuple[Check, ...]:
    """Give the checks of a landing table (its bare name), a bit each: errors of its contract, then the loader's own.

    Raises:
        ContractError: the contract has more rules than there are bits.
    """
    contract = contracts.load(f"landing.{table}")
    checks: list[Check] = []
    for rule in contract.rules:
        if rule.severity == "error" and rule.scope != "table" and rule.bad_when is not None:
            checks.append(Check(len(checks), rule.id, rule.column, "row" if rule.scope == "row" else "value", rule))
    names = {column.name for column in contract.columns}
    own: list[tuple[str, str | None, Literal["row", "value"]]] = [(REPEAT, None, "row"), (DUPLICATE, None, "row")]
    if contract.key:
        own.append((SUPERSEDED, None, "row"))
    if "nhs_number" in names:
        # A patient stays in under a key of the practice's own; any other row would belong to nobody.
        own.append((NHS_NUMBER, "nhs_number", "value" if table == "patient" else "row"))
    if table == "patient":
        own.append((CONTESTED, "nhs_number", "value"))
    if "surviving_nhs_number" in names:
        own.append((SURVIVOR, "surviving_nhs_number", "row"))
    if "is_legally_restricted" in names:
        own.append((RESTRICTED, "nhs_number", "row"))
    if table in SLICED_TABLES:
        own.append((SHORT_SLICE, "org_code", "row"))
    if "source_patient_id" in names and table not in ("patient", "opt_out"):
        own.append((ORPHAN, "source_patient_id", "row"))
    if "is_deleted" in names:
        own.append((WITHDRAWN, "is_deleted", "row"))
    for suffix, column, scope in own:
        checks.append(Check(len(checks), f"{prefix(contract)}-{suffix}", column, scope, None))
    if len(checks) > _MOST_CHECKS:
        raise ContractError(
            contract.name,
            expected=f"{_MOST_CHECKS} row rules at most",
            found=f"{len(checks)}",
            action="Merge rules of columns that repeat.",
        )
    return tuple(checks)


def stored(table: str) -> str:
    """Give the name of the table that rows of a landing table are stored in: what is changed, and read in bulk."""
    return f"landing.{table}_stored" if table in TYPED_TABLES else f"landing.{table}"


def define(store: Store, table: str) -> None:
    """Make a landing table, empty: text, or typed with a view of the text."""
    contract = contracts.load(f"landing.{table}")
    is_typed = table in TYPED_TABLES
    columns = [f'"{column.name}" {column.type if is_typed else "VARCHAR"}' for column in contract.columns]
    if is_typed and contract.key:  # an id that no two rows share can hardly be compressed, and trying is dear
        place = contract.column_names.index(contract.key[-1])
        columns[place] += " USING COMPRESSION uncompressed"
    columns += [*(f"{name} {kind}" for name, kind in TRACE_COLUMNS), "faults HUGEINT"]
    columns += [f"{_MISFIT} MAP(VARCHAR, VARCHAR)"] if is_typed else []
    store.execute(f"CREATE OR REPLACE TABLE {stored(table)} ({', '.join(columns)})")
    if is_typed:
        define_view(store, table)


def define_view(store: Store, table: str, *, beside: str = "") -> None:
    """Make ``landing.<table>``, the text of a typed landing table, and of rows ``beside`` it (SQL with its columns)."""
    texts = [
        f'"{column.name}"'
        if column.type == "VARCHAR"
        else f'coalesce(CAST("{column.name}" AS VARCHAR), {_MISFIT}[\'{column.name}\']) AS "{column.name}"'
        for column in contracts.load(f"landing.{table}").columns
    ]
    texts += [*(name for name, _ in TRACE_COLUMNS), "faults"]
    rows = f"SELECT {', '.join(texts)} FROM {stored(table)}" + (f" UNION ALL {beside}" if beside else "")
    store.execute(f"CREATE OR REPLACE VIEW landing.{table} AS {rows}")


def own_check(table: str, suffix: str) -> Check | None:
    """Give the loader's own check of a table, or None where the table has none of the kind."""
    rule_id = f"{prefix(contracts.load(f'landing.{table}'))}-{suffix}"
    return next((check for check in checks_of(table) if check.rule_id == rule_id), None)


def judged_rules(table: str) -> dict[str, str]:
    """Give the contract rules that every landed row was judged by, each with the SQL that is true for a bad row.

    Not those that ask for the day the extract describes: a row is judged by the day of its own file.
    """
    return {
        check.rule_id: f"(faults & {number(check.weight)}) <> 0"
        for check in checks_of(table)
        if check.rule is not None and "{data_cutoff}" not in (check.rule.bad_when or "")
    }


def is_accepted(table: str) -> str:
    """Write the SQL that is true for a landing row no rule set aside."""
    mask = sum(check.weight for check in checks_of(table) if check.scope == "row")
    return f"(faults & {number(mask)}) = 0"


@cache
def reasons_no_fault(table: str) -> tuple[tuple[str, int], ...]:
    """Give what may keep a row out though nothing is wrong with it, the first that holds, and its bits."""
    kinds = (("restricted", RESTRICTED), ("duplicate", REPEAT), ("withdrawn", WITHDRAWN), ("superseded", SUPERSEDED))
    found = ((kind, own_check(table, suffix)) for kind, suffix in kinds)
    return tuple((kind, check.weight) for kind, check in found if check is not None)


def value(table: str, column: str) -> str:
    """Write a column of :func:`stored` as its contract type, null where a rule set the value aside."""
    declared = contracts.load(f"landing.{table}").column(column)
    typed = f'"{column}"' if table in TYPED_TABLES else contracts.typed(declared)
    mask = sum(check.weight for check in checks_of(table) if check.scope == "value" and check.column == column)
    return f"CASE WHEN (faults & {number(mask)}) = 0 THEN {typed} END" if mask else typed


def faults(
    table: str, *, data_cutoff: date, not_from: Collection[str] = (), only_from: Collection[str] | None = None
) -> str:
    """Write the SQL of the bits that are a property of one row (neither repeats nor duplicates nor :func:`late`).

    It needs the text of each column under its name, what :func:`as_typed` gives under that of :func:`typed_name`, and
    the columns ``known_key`` (pseudonym of the row's NHS number) and ``linked_key`` (of its patient record).

    Args:
        table: The landing table, without its layer.
        data_cutoff: Last day the file describes.
        not_from: Practices whose part of the file is not read.
        only_from: The only practices whose part still holds, for a file of an earlier whole set.
    """
    contract = contracts.load(f"landing.{table}")
    found: list[tuple[str, Check]] = []
    for check in checks_of(table):
        if check == own_check(table, SHORT_SLICE):
            condition = f"org_code IN ({_listed(not_from)})" if not_from else None
        elif check == own_check(table, SUPERSEDED):
            condition = f"org_code NOT IN ({_listed(only_from)})" if only_from is not None else None
        elif check.rule is None:
            condition = _own_condition(table, check)
        elif check in late(table):
            condition = None
        else:
            condition = contracts.predicate(
                contract, check.rule, raw=True, data_cutoff=data_cutoff, typed_as=lambda column: typed_name(column.name)
            )
        if condition:
            found.append((f"({condition})", check))
    if not found:
        return "0::HUGEINT"
    # Nearly every row breaks no rule: whether it breaks any is cheaper to ask than which.
    bits = " | ".join(f"(CASE WHEN {condition} THEN {number(each.weight)} ELSE 0 END)" for condition, each in found)
    return f"CASE WHEN {' OR '.join(condition for condition, _ in found)} THEN {bits} ELSE 0 END"


@cache
def late(table: str) -> tuple[Check, ...]:
    """Give the checks of a typed table that are made once for each distinct value, when its rows are stored."""
    if table not in TYPED_TABLES or table not in SLICED_TABLES:
        return ()
    return tuple(
        check
        for check in checks_of(table)
        if check.rule is not None and (check.rule.kind == "pattern" or check.rule_id.endswith("-verhoeff"))
    )


def typed_name(column: str) -> str:
    """Write the name that a column's typed value has beside its text."""
    return f'"{column} typed"'


def _cast_name(column: str) -> str:
    return f'"{column} cast"'


def as_typed(table: str, rows: str, keep: str) -> str:
    """Write the query that adds to rows of text their typed values.

    Args:
        table: The landing table, without its layer.
        rows: What to write after FROM, with the columns of the table.
        keep: Other columns of it to keep.
    """
    columns = contracts.load(f"landing.{table}").columns
    texts = ", ".join(f'"{column.name}"' for column in columns)
    cast = [column for column in columns if column.type != "VARCHAR"]
    casts = [f'TRY_CAST("{each.name}" AS {each.type}) AS {_cast_name(each.name)}' for each in cast]
    fits = [f"{contracts.typed(each, cast=_cast_name(each.name))} AS {typed_name(each.name)}" for each in cast]
    same = [f'"{column.name}" AS {typed_name(column.name)}' for column in columns if column.type == "VARCHAR"]
    inner = f"SELECT {', '.join([texts, keep, *casts])} FROM {rows}"
    return f"SELECT {', '.join([texts, keep, *fits, *same])} FROM ({inner})"


def misfits(table: str) -> str:
    """Write the SQL of the text that does not fit its type, by column; null where all does."""
    names = [column.name for column in contracts.load(f"landing.{table}").columns if column.type != "VARCHAR"]
    unfit = [f'("{name}" IS NOT NULL AND {typed_name(name)} IS NULL)' for name in names]
    texts = ", ".join(f'CASE WHEN {is_unfit} THEN "{name}" END' for name, is_unfit in zip(names, unfit, strict=True))
    listed = ", ".join(f"'{name}'" for name in names)
    return f"CASE WHEN {' OR '.join(unfit)} THEN map([{listed}], [{texts}]) END"


def _listed(codes: Collection[str]) -> str:
    return ", ".join("'" + code.replace("'", "''") + "'" for code in sorted(codes)) or "''"


def number(weight: int) -> str:
    """Write a mask as SQL; a plain literal of this size would be read as a DOUBLE."""
    return f"CAST('{weight}' AS HUGEINT)"


def _own_condition(table: str, check: Check) -> str | None:
    suffix = check.rule_id.split("-", 1)[1]
    restricted = "coalesce(TRY_CAST(is_legally_restricted AS BOOLEAN), false)"
    is_restricted = own_check(table, RESTRICTED) is not None
    if suffix == NHS_NUMBER:
        if table == "opt_out":
            return "known_key IS NULL AND (nhs_number IS NOT NULL OR source_patient_id IS NULL)"
        return f"known_key IS NULL AND NOT {restricted}" if is_restricted else "known_key IS NULL"
    if suffix == RESTRICTED:
        return f"known_key IS NULL AND {restricted}"
    if suffix == ORPHAN:
        return "linked_key IS NULL AND org_code IS NOT NULL AND source_patient_id IS NOT NULL"
    if suffix == WITHDRAWN:
        return "coalesce(TRY_CAST(is_deleted AS BOOLEAN), false)"
    return None
