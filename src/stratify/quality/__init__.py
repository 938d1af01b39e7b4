"""The verdict on each table: which contract rules failed, how often, and whether the run may go on.

Belongs here: Great Expectations (nowhere else), the second, independent count beside it, verdicts, the data quality
page, and each practice's counts over the runs. Does not belong: setting rows aside (``ingest``), what a rule says
(``contracts``), and any value of a record: results, pages and errors hold counts and names only.
"""

from __future__ import annotations

from stratify.quality.checks import check_tables
from stratify.quality.codelists import people_by_practice, people_with_entries, products_not_in_use
from stratify.quality.page import results_page
from stratify.quality.practices import (
    HISTORY_FILE,
    codelists_before,
    earlier,
    history_digest,
    note_codelists,
    practice_counts,
    practices_over_time,
    read_history,
    with_run,
)
from stratify.quality.practices_page import practices_page
from stratify.quality.results import FITNESS, RuleResult, overall_verdict, results_frame, results_from, verdicts

__all__ = [
    "FITNESS",
    "HISTORY_FILE",
    "RuleResult",
    "check_tables",
    "codelists_before",
    "earlier",
    "history_digest",
    "note_codelists",
    "overall_verdict",
    "people_by_practice",
    "people_with_entries",
    "practice_counts",
    "practices_over_time",
    "practices_page",
    "products_not_in_use",
    "read_history",
    "results_frame",
    "results_from",
    "results_page",
    "verdicts",
    "with_run",
]
