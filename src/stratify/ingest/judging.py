"""Rows of text judged: the SQL that types them, finds their person and marks every rule they break.

Belongs here: that query, and the checks of codes that are made once for each distinct one, when rows are stored. Does
not belong: what a rule says (``checks``), where rows are stored (``rows``, ``onward``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from stratify import contracts
from stratify.ingest import identity
from stratify.ingest.checks import TYPED_TABLES, as_typed, checks_of, late, misfits, number, stored, typed_name
from stratify.store import Store


def judged(table: str, rows: str, marks: str) -> str:
    """Write the query that gives rows of text as they are stored: typed, with the person each belongs to, judged.

    Args:
        table: Landing table, without its layer.
        rows: What to write after FROM, with the columns of the table, ``source_file_id`` and ``source_row``.
        marks: SQL of the rules a row breaks (``checks.faults``).
    """
    names = contracts.load(f"landing.{table}").column_names
    joins, row_key, number_key, link_key = "", "NULL::VARCHAR", "NULL::VARCHAR", "NULL::VARCHAR"
    if "nhs_number" in names:
        joins += " LEFT JOIN landing.known_number ON number_text = nhs_number"
        row_key = number_key = "known_key"
    if "source_patient_id" in names and table != "patient":
        joins += " LEFT JOIN landing.patient_link ON link_org = org_code AND link_patient = source_patient_id"
        link_key = "linked_key"
        row_key = "coalesce(known_key, linked_key)" if number_key == "known_key" else "linked_key"
    is_typed = table in TYPED_TABLES
    values = [f'{typed_name(name)} AS "{name}"' if is_typed else f'"{name}"' for name in names]
    values += [f"{row_key} AS patient_key", "source_file_id", "source_row", f"{marks} AS faults"]
    values += [f"{misfits(table)} AS misfits"] if is_typed else []
    return (
        f"SELECT {', '.join(values)} FROM (SELECT rows.*, {number_key} AS known_key, {link_key} AS linked_key "
        f"FROM ({as_typed(table, rows, 'source_file_id, source_row')}) AS rows{joins})"
    )


def mark_late(store: Store, table: str, file_ids: Sequence[str], cutoff: date) -> None:
    """Make the checks of codes on rows that have landed: the few with a bad one are marked."""
    mine = f"source_file_id IN ({', '.join(repr(each) for each in file_ids)})"
    for column in late_columns(table):
        if find_bad(store, table, column, f"{stored(table)} WHERE {mine}", cutoff):
            store.execute(
                f'UPDATE {stored(table)} SET faults = faults | bits FROM bad_value WHERE "{column}" = bad AND {mine}'
            )


def late_columns(table: str) -> list[str]:
    """Give the columns whose checks are made once for each distinct value."""
    return sorted({check.column for check in late(table) if check.column})


def find_bad(store: Store, table: str, column: str, rows: str, cutoff: date) -> bool:
    """Make ``bad_value``, the distinct values of a column that break a rule, and say whether there is any.

    Args:
        store: The run's store.
        table: Landing table the rows are of.
        column: One of its :func:`late_columns`.
        rows: What to write after FROM, with a WHERE.
        cutoff: Last day the file describes.
    """
    contract = contracts.load(f"landing.{table}")
    store.execute(
        f'CREATE OR REPLACE TEMP TABLE distinct_value AS SELECT DISTINCT "{column}" FROM {rows} '
        f'AND "{column}" IS NOT NULL'
    )
    if column in checked_code_columns(table):
        identity.learn_codes(store, "distinct_value", [column])
    bits = " + ".join(
        f"(CASE WHEN {contracts.predicate(contract, check.rule, raw=False, data_cutoff=cutoff)} "
        f"THEN {number(check.weight)} ELSE 0 END)"
        for check in late(table)
        if check.column == column and check.rule is not None
    )
    store.execute(
        f'CREATE OR REPLACE TEMP TABLE bad_value AS SELECT "{column}" AS bad, {bits} AS bits '
        f"FROM distinct_value WHERE {bits} <> 0"
    )
    return bool(store.scalar("SELECT count(*) FROM bad_value"))


def checked_code_columns(table: str) -> list[str]:
    """Give the columns whose codes have a check digit."""
    return [
        check.column
        for check in checks_of(table)
        if check.rule and check.column and check.rule_id.endswith("-verhoeff")
    ]
