"""Which version of a row holds, where it came in several extract sets: the newest that the row rules let in.

Belongs here: rows overtaken by a newer version, by a withdrawal, or by a bulk replacement without them. Does not
belong: which sets are read (``extract_sets``), repeats inside one set (``rows``). Rows are only marked; their file
counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from stratify import contracts
from stratify.errors import ExtractError
from stratify.ingest.checks import SUPERSEDED, WITHDRAWN, checks_of, number, own_check, stored
from stratify.store import Store

_LARGEST_FALL_PERCENT = 20
_FEWEST_TO_JUDGE = 20


@dataclass(frozen=True)
class Window:
    """A bulk replacement: the file, the place of its rows in time, and the admission dates it speaks for."""

    source_file_id: str
    shown_name: str
    first: date
    last: date


def mark_superseded(store: Store, table: str, ranks: dict[str, int], windows: Sequence[Window]) -> None:
    """Mark the rows of a landing table that a later set overtakes.

    A row that withdraws a record overtakes like any other, whatever else is missing in it: suppliers empty it.

    Args:
        store: The run's store; repeats inside each set are marked already.
        table: The landing table, without its layer.
        ranks: Place of each file in time, by its id.
        windows: Bulk replacements among the files.

    Raises:
        ExtractError: a bulk replacement would take away more than a fifth of a provider's rows.
    """
    check = own_check(table, SUPERSEDED)
    key = contracts.load(f"landing.{table}").key
    if check is None or len(set(ranks.values())) < 2:
        return
    listed = ", ".join(f"('{file_id}', {rank})" for file_id, rank in sorted(ranks.items()))
    store.execute(f"CREATE OR REPLACE TEMP TABLE file_rank AS FROM (VALUES {listed}) AS f (source_file_id, rank)")
    keys = ", ".join(f'"{name}"' for name in key)
    filled = " AND ".join(f'"{name}" IS NOT NULL' for name in key)
    # The hash only narrows the search to rows that came more than once; the key itself decides.
    store.execute(
        "CREATE OR REPLACE TEMP TABLE version AS "
        f"SELECT l.rowid AS row_id, rank, {keys} FROM {stored(table)} AS l JOIN file_rank USING (source_file_id) "
        f"WHERE {filled} AND ({_holds(table)}) AND hash({keys}) IN (SELECT hash({keys}) FROM {stored(table)} "
        f"JOIN file_rank USING (source_file_id) WHERE {filled} GROUP BY ALL HAVING count(DISTINCT rank) > 1)"
    )
    _mark(
        store,
        table,
        f"SELECT row_id FROM (SELECT row_id, rank, max(rank) OVER (PARTITION BY {keys}) AS newest FROM version) "
        "WHERE rank < newest",
    )
    for window in windows:
        _replace_window(store, table, window, keys=key)
    store.execute("DROP TABLE version")
    store.execute("DROP TABLE file_rank")


def _holds(table: str) -> str:
    """Write the SQL that is true for a row that can overtake another: one the rules let in, or a withdrawal."""
    withdrawn = own_check(table, WITHDRAWN)
    overtaken = own_check(table, SUPERSEDED)
    others = sum(
        check.weight for check in checks_of(table) if check.scope == "row" and check not in (withdrawn, overtaken)
    )
    holds = f"(faults & {number(others)}) = 0"
    return f"{holds} OR (faults & {number(withdrawn.weight)}) <> 0" if withdrawn else holds


def _mark(store: Store, table: str, rows: str) -> None:
    check = own_check(table, SUPERSEDED)
    store.execute(
        f"UPDATE {stored(table)} SET faults = faults | {number(check.weight if check else 0)} WHERE rowid IN ({rows})"
    )


def _replace_window(store: Store, table: str, window: Window, *, keys: tuple[str, ...]) -> None:
    """Mark the rows a bulk replacement leaves out: same provider, admitted in its window, sent before, not again."""
    same_key = " AND ".join(f'new."{name}" = old."{name}"' for name in keys)
    file_id = f"'{window.source_file_id}'"
    inside = (
        f"TRY_CAST(old.admission_date AS DATE) BETWEEN DATE '{window.first.isoformat()}' "
        f"AND DATE '{window.last.isoformat()}'"
    )
    mask = number(sum(check.weight for check in checks_of(table) if check.scope == "row"))
    superseded = own_check(table, SUPERSEDED)
    overtaken_by_it = f"EXISTS (SELECT 1 FROM {stored(table)} AS new WHERE source_file_id = {file_id} AND {same_key})"
    store.execute(
        "CREATE OR REPLACE TEMP TABLE before_window AS "
        f"SELECT old.rowid AS row_id, old.provider_code, {overtaken_by_it} AS is_sent_again "
        f"FROM {stored(table)} AS old JOIN file_rank USING (source_file_id) "
        f"WHERE rank < (SELECT rank FROM file_rank WHERE source_file_id = {file_id}) AND {inside} "
        f"AND old.provider_code IN (SELECT provider_code FROM {stored(table)} "
        f"WHERE source_file_id = {file_id} AND update_type = 'BULK') "
        f"AND ((old.faults & {mask}) = 0 OR (old.faults & {mask}) = {number(superseded.weight if superseded else 0)})"
    )
    fallen = store.rows(
        "SELECT count(*) FROM (SELECT provider_code FROM before_window GROUP BY ALL "
        f"HAVING count(*) >= {_FEWEST_TO_JUDGE} "
        f"AND count(*) FILTER (WHERE NOT is_sent_again) * 100 > count(*) * {_LARGEST_FALL_PERCENT})"
    )[0][0]
    if fallen:
        raise ExtractError(
            window.shown_name,
            expected=f"a bulk replacement with at least {100 - _LARGEST_FALL_PERCENT} % of the rows it replaces",
            found=f"fewer for {fallen} providers, with admissions from {window.first} to {window.last}",
            action="Nothing was replaced. Ask the supplier whether the window is meant; wrong ones have wiped years.",
        )
    _mark(store, table, "SELECT row_id FROM before_window WHERE NOT is_sent_again")
    store.execute("DROP TABLE before_window")
