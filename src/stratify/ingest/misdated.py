"""Files in which most dates are written in another pattern: they are refused whole, for what is left of them misleads.

Of ``03/04/2026`` nobody can say which is the month, so a row with it is set aside; where most rows are, the supplier
has changed how dates are written, and the few that passed may have been turned round. Belongs here: telling such a
file from the rows set aside. Does not belong: what a date looks like (``contracts``).
"""

from __future__ import annotations

from collections.abc import Mapping

from stratify import contracts
from stratify.errors import ExtractError
from stratify.store import Store

_FEWEST_ROWS = 20
"""Rows below which a few wrong dates may be most."""


def refuse_misdated(store: Store, table: str, files: Mapping[str, tuple[str, int]]) -> list[ExtractError]:
    """Give a fault for each file of a table with no date in a date column of most rows, though something stands there.

    Args:
        store: The run's store, with the rows of the table set aside in ``audit.rejected_row``.
        table: Landing table, without its layer.
        files: Name and rows received of each file, by its id.
    """
    contract = contracts.load(f"landing.{table}")
    dates = {column.name for column in contract.columns if column.type == "DATE"}
    rules = [rule.id for rule in contract.rules if rule.kind == "type" and rule.column in dates]
    if not rules:
        return []
    found = []
    for file_id, column, count in store.rows(_NO_DATE, [table, rules]):
        name, received = files.get(file_id, ("", 0))
        if received >= _FEWEST_ROWS and int(count) * 2 > received:
            found.append(
                ExtractError(
                    name,
                    expected=f"dates written as 2026-01-31 in {column}",
                    found=f"another pattern in {count} of {received} rows",
                    action="The file is refused whole. Ask the supplier for it again.",
                )
            )
    return found


_NO_DATE = """
SELECT source_file_id, column_name, count(DISTINCT source_row) FROM audit.rejected_row
WHERE table_name = $1 AND list_contains($2, rule_id) GROUP BY ALL ORDER BY ALL
"""
