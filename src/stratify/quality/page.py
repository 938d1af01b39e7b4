"""The data quality page: one HTML file that tells a reader in plain words what was wrong with the data of a run.

It asks nothing of the network, needs no script, and can be printed. Belongs here: what the page shows and its words.
Does not belong: counting (``checks``), writing the file (``publish``), and any value of a record but codes and terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from stratify import pages
from stratify.quality.results import RuleResult, Verdict, overall_verdict

MOST_CODES: Final = 50

_VERDICT_WORDS: Final[dict[Verdict, tuple[str, str]]] = {
    "pass": ("Passed", "Every check passed. The lists may be used."),
    "warn": ("Passed with warnings", "Some checks failed, none so badly that a list had to be held. Read what failed."),
    "hold": ("Lists held", "At least one check failed so badly that the lists it touches are held. All others stand."),
    "stop": ("Stopped", "At least one check failed so badly that no lists may be made from these data."),
}
_WORST_FIRST: Final[dict[Verdict, int]] = {"stop": 0, "hold": 1, "warn": 2, "pass": 3}


def results_page(
    results: Sequence[RuleResult],
    verdicts: Mapping[str, Verdict],
    *,
    title: str,
    index_date: date,
    run_id: str,
    is_test: bool,
    files: Iterable[Mapping[str, Any]],
    unmatched: Iterable[tuple[str, str, str, str | None, int]],
    counts: Mapping[str, Mapping[str, int]],
    touched: Mapping[tuple[str, str], Sequence[str]] = MappingProxyType({}),
) -> str:
    """Write the data quality page.

    Args:
        results: Every rule checked.
        verdicts: Verdict per table.
        title: Heading of the page.
        index_date: The day the run describes.
        run_id: The run.
        is_test: True for invented patients: a red banner says so, on paper too.
        files: One mapping per file, keys as in ``audit.source_file``: ``table_name``, ``file_name``,
            ``declared_count`` (None without a manifest), ``received_count``, ``loaded_count``, ``rejected_count``,
            ``period_to``.
        unmatched: Codes no codelist knows, columns as in ``audit.unmatched_code``: table, code system, code, term,
            rows. The 50 met most often are shown; the others are counted.
        counts: Per table ``received_count``, ``loaded_count`` and ``rejected_count``; tables that are not read from
            files may be absent.
        touched: What each failed check touches, by table and rule: sentences naming lists and numbers of people.

    Returns:
        The HTML text, complete in itself; the same bytes for the same arguments.
    """
    overall = overall_verdict(verdicts.values())
    codes = sorted(unmatched, key=lambda code: (-code[4], code[0], code[1], code[2], code[3] or ""))
    return pages.render(
        __package__,
        "results.html.j2",
        title=title,
        subtitle=f"Describes {index_date.isoformat()} · run {run_id}",
        is_test=is_test,
        overall=overall,
        words=_VERDICT_WORDS,
        tables=_tables(results, verdicts, counts),
        failures=sorted(
            (result for result in results if result.failed_count),
            key=lambda result: (_WORST_FIRST[result.verdict], result.table, result.rule_id),
        ),
        touched=touched,
        checked_count=len(results),
        files=sorted(files, key=lambda file: (file["table_name"], file["file_name"])),
        codes=codes[:MOST_CODES],
        code_count=len(codes),
    )


def _tables(
    results: Sequence[RuleResult], verdicts: Mapping[str, Verdict], counts: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    rows = []
    for table, verdict in sorted(verdicts.items(), key=lambda item: (_WORST_FIRST[item[1]], item[0])):
        rules = [result for result in results if result.table == table]
        rows.append(
            {
                "name": table,
                "verdict": verdict,
                "counts": counts.get(table),
                "rule_count": len(rules),
                "failed_rule_count": sum(result.failed_count > 0 for result in rules),
            }
        )
    return rows
