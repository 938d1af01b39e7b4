"""How much of a table rules set aside, set by set: what is held against a limit, and what the supplier is told.

Belongs here: counting rows lost and received. Does not belong: limits (``contracts``), what follows (``holding``) and
words (``publish``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratify.store import Store

FEWEST_TO_JUDGE_A_SET = 1_000
"""Rows from which on a set counts alone: large enough to tell a changed feed from a few bad rows."""


@dataclass(frozen=True)
class Share:
    """Rows set aside, of rows received, in one extract set; ``extract`` is None for all sets together."""

    lost: int
    received: int
    extract: str | None = None

    @property
    def percent(self) -> float:
        """The share, 0 to 100."""
        return 100.0 * self.lost / max(self.received, 1)


def worst_share(store: Store, table: str, columns: Sequence[str]) -> Share:
    """Give the share of a table's rows that were set aside, whole or in one of some columns, in the worst set.

    Rows that are no fault (restricted, withdrawn, sent twice) and parts of a practice that were not read are not lost.

    Args:
        store: The run's store, after its files were landed.
        table: Extract table, without its layer.
        columns: Columns in which a value set aside counts as its row.
    """
    by_set = [
        Share(int(lost), int(received), extract) for extract, lost, received in store.rows(_BY_SET, [table, columns])
    ]
    return worst(by_set)


def worst(by_set: Sequence[Share]) -> Share:
    """Give the worst of all sets together and of each that is large enough to count alone.

    Only where there are several sets is one named; with one set alone that is all there is.
    """
    together = Share(sum(each.lost for each in by_set), sum(each.received for each in by_set))
    alone = [each for each in by_set if each.received >= FEWEST_TO_JUDGE_A_SET and len(by_set) > 1]
    return max((together, *alone), key=lambda each: each.percent)


_BY_SET = """
WITH lost AS (
    SELECT source_file_id, count(DISTINCT source_row) AS lost FROM audit.rejected_row
    WHERE table_name = $1 AND (scope = 'row' OR list_contains($2, column_name))
    AND NOT regexp_matches(rule_id, '-(84-slice|85-restricted|88-withdrawn|89-repeat)$') GROUP BY ALL)
SELECT extract, coalesce(sum(lost), 0)::BIGINT, sum(received_count)::BIGINT
FROM audit.source_file LEFT JOIN lost USING (source_file_id) WHERE table_name = $1 GROUP BY extract ORDER BY extract
"""
