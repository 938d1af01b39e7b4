"""The verdict on each table: which contract rules failed, how often, and whether the run may go on.

Belongs here: Great Expectations (nowhere else), the second, independent count beside it, verdicts, and the data
quality page. Does not belong: setting rows aside (``ingest``), what a rule says (``contracts``), and any value of a
record: results, page and errors hold counts and names only.
"""

from __future__ import annotations

from stratify.quality.checks import check_tables
from stratify.quality.codelists import people_by_practice, people_with_entries, products_not_in_use
from stratify.quality.page import results_page
from stratify.quality.results import FITNESS, RuleResult, overall_verdict, results_frame, results_from, verdicts

__all__ = [
    "FITNESS",
    "RuleResult",
    "check_tables",
    "overall_verdict",
    "people_by_practice",
    "people_with_entries",
    "products_not_in_use",
    "results_frame",
    "results_from",
    "results_page",
    "verdicts",
]
