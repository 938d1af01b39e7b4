"""What a run publishes about itself: the pages on its data, and the manifest of what it was made of.

Counts only: nothing about a person, no clock. Belongs here: gathering them from the store of a run. How a page looks is
in ``quality``, how files are written in ``publish``.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import polars as pl

from stratify import approvals, holding, ingest, page_lock, plug_in, publish, quality
from stratify.errors import combine
from stratify.publish import PublishContext
from stratify.publish.words import harmless
from stratify.rulebook import RuleBook
from stratify.runs import Plan, earlier_counts
from stratify.store import Store
from stratify.wording import load_wording


def publish_context(store: Store, plan: Plan, book: RuleBook) -> PublishContext:
    """Give what every output of a run says about it."""
    agenda = load_wording(plan.settings.clinical).agenda
    return PublishContext(
        run_id=plan.run_id,
        index_date=plan.settings.index_date,
        is_test=plan.is_test,
        pathways=book.published,
        scores=book.for_pathways.scores,  # the others are in no list and no count
        data_cutoffs=plan.data_cutoffs,
        purpose=plan.settings.privacy.purpose,
        withheld=[
            (reason, count)
            for reason, count in store.rows(
                "SELECT reason, people_count FROM audit.withheld WHERE surface = 'direct_care' ORDER BY reason"
            )
        ],
        code_version=plan.code_version,
        rule_digest=plan.rule_digest,
        contact=plan.settings.contact,
        held=tuple(holding.held(store)),
        lost_feeds=holding.feed_notices(plan),
        rollout=plan.settings.rollout,
        off=approvals.places_off(store, plan, book),
        shared_lists=frozenset(plan.settings.shared_lists),
        actions=agenda.actions if agenda else (),
        care_homes=plan.settings.care_homes,
        comparators=plan.settings.comparators,
        sustainability=plan.settings.sustainability,
        board_name=plan.settings.organisation if "organisation" in plan.settings.model_fields_set else None,
        practice_phones=plan.settings.practice_phones,
        approval=approvals.in_words(plan, book),
    )


def team_pages(store: Store, plan: Plan, book: RuleBook, context: PublishContext) -> publish.TeamPages | None:
    """Give what writes the page of each practice's team; None where no passphrase is set."""
    passphrases = page_lock.read_passphrases(os.environ, is_test=plan.is_test)
    if passphrases is None:
        return None
    agenda = load_wording(plan.settings.clinical).agenda
    return publish.TeamPages(store, context, book, agenda, page_lock.Lock(passphrases, plan.run_id))


def write_quality_page(store: Store, plan: Plan, book: RuleBook, checked: list[quality.RuleResult]) -> None:
    """Write the page on data quality, with the results of what goes out, and the codes that no codelist knows."""
    # A second try after a fault of the disk finds its own results of the first one here.
    before = [each for each in holding.quality_results(store) if not each.table.startswith("out.")]
    results = [*before, *checked]
    store.create("audit.quality_result", quality.results_frame(results))
    page = quality.results_page(
        results,
        quality.verdicts(results),
        title=f"Data quality: {plan.settings.organisation}",
        index_date=plan.settings.index_date,
        run_id=plan.run_id,
        is_test=plan.is_test,
        files=store.frame("SELECT * FROM audit.source_file ORDER BY table_name, file_name, source_file_id").to_dicts(),
        unmatched=store.rows(_UNMATCHED),
        counts={row.pop("name"): row for row in store.frame(_TABLE_COUNTS).to_dicts()},
        touched=holding.touched_in_words(store, book, results),
    )
    folder = plan.published / "data_quality"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(page, encoding="utf-8")
    unmatched = store.frame(f"FROM ({_SHOWN_CODES}) ORDER BY table_name, code_system, row_count DESC, code")
    text = unmatched.with_columns(pl.col("term").map_elements(harmless, return_dtype=pl.String)).write_csv()
    (folder / "unmatched_codes.csv").write_text(text, encoding="utf-8")


def write_practices_page(store: Store, plan: Plan) -> None:
    """Write the page of each practice over time, and the counts of all runs beside the store, to be put in place."""
    history = quality.read_history(earlier_counts(plan.settings.out))
    counts = store.frame("SELECT * FROM audit.practice_count ORDER BY ALL")
    run: dict[str, Any] = {"index_date": plan.settings.index_date, "run_id": plan.run_id}
    kept = plan.restricted / quality.HISTORY_FILE
    kept.touch(mode=0o600)
    quality.with_run(history, counts, **run).write_csv(kept)
    names = store.rows("SELECT practice_code, max_by(practice_name, valid_from) FROM core.practice GROUP BY ALL")
    page = quality.practices_page(
        quality.practices_over_time(
            quality.with_run(quality.earlier(history, plan.settings.index_date), counts, **run), dict(names)
        ),
        title=f"Data quality by practice: {plan.settings.organisation}",
        is_test=plan.is_test,
        name_of=publish.source_in_words,
        **run,
    )
    (plan.published / "data_quality" / "practices.html").write_text(page, encoding="utf-8")


_TABLE_COUNTS = """
SELECT 'landing.' || table_name AS name, sum(received_count)::BIGINT AS received_count,
    sum(loaded_count)::BIGINT AS loaded_count, sum(rejected_count)::BIGINT AS rejected_count
FROM audit.source_file GROUP BY table_name ORDER BY table_name
"""
# Suppliers put free text, names and numbers of people where a code of their own belongs. What does not look like a code
# is counted, and not shown; nor is what could be an NHS number, or a surname: a word of fewer than five people.
_SHOWN_CODES = """
SELECT table_name, code_system, CASE WHEN is_code THEN code ELSE '(no code: not shown)' END AS code,
    CASE WHEN is_code THEN term END AS term, sum(row_count)::BIGINT AS row_count
FROM (
    SELECT *, code_system IN ('snomed_ct', 'dmd', 'icd10')
        OR regexp_full_match(code, '[A-Za-z0-9.^_/:-]{1,20}') AND NOT regexp_matches(code, '[0-9]{10}')
            AND (regexp_matches(code, '[0-9]') OR people_at_least_count >= 5) AS is_code
    FROM audit.unmatched_code
) GROUP BY ALL
"""
_UNMATCHED = f"""
SELECT table_name, code_system, code, term, row_count FROM ({_SHOWN_CODES})
ORDER BY row_count DESC, code_system, code, table_name
"""


def manifest_of(store: Store, plan: Plan, book: RuleBook) -> dict[str, Any]:
    """Give what the run was made of and what it counted; nothing about a person, no clock."""
    counted = {name: store.frame(sql).to_dicts() for name, sql in _COUNTED.items()}
    return {
        "run_id": plan.run_id,
        "is_test": plan.is_test,
        "index_date": plan.settings.index_date.isoformat(),
        "source": Path(plan.settings.source).name,
        "not_supplied": list(plan.source.not_supplied),
        "privacy": plan.settings.privacy.model_dump(mode="json"),
        "entry": ingest.open_door(plan.settings.entry).in_manifest(),
        "code_version": plan.code_version,
        "rules": {
            "digest": plan.rule_digest,
            "codelists": {name: book.codelists[name].entry.sha256 for name in sorted(book.codelists)},
            "scores": {name: book.scores[name].version for name in sorted(book.scores)},
            "pathways": {name: book.pathways[name].version for name in sorted(book.pathways)},
            "drafts": sorted(set(book.pathways) - set(book.published)),
            "plug_ins": plug_in.identity(book, plan.settings),
        },
        **counted,
        "lost_feeds": [
            {"table_name": each.table, "used_to": each.used_to.isoformat() if each.used_to else None, "why": str(why)}
            for each in plan.lost
            for why in [combine([refusal.as_error() for refusal in each.refusals])]
        ],
        "verdicts": quality.verdicts(holding.quality_results(store)),
        "outputs": _outputs(plan),
    }


_COUNTED = {
    "inputs": """
        SELECT table_name, file_name, sha256, declared_count, received_count, loaded_count, rejected_count,
            restricted_count, period_to::VARCHAR AS period_to
        FROM audit.source_file ORDER BY ALL""",
    "people": "SELECT person_status, count(*) AS people FROM core.person GROUP BY ALL ORDER BY ALL",
    "withheld": "SELECT surface, reason, people_count AS people FROM audit.withheld ORDER BY ALL",
    "scores_given": """
        SELECT score, tier, is_complete, count(*) AS people FROM derived.patient_score GROUP BY ALL ORDER BY ALL""",
    "decisions": """
        SELECT pathway, decision, rule_id, reason, count(*) AS people
        FROM derived.pathway_decision GROUP BY ALL ORDER BY ALL""",
    "placements": """
        SELECT pathway, decision, placement, count(*) AS people
        FROM derived.placement GROUP BY ALL ORDER BY ALL""",
    "held": """
        SELECT table_name, rule_id, pathway, practice_code, scores, clinics, reason, people_count AS people
        FROM audit.held_list ORDER BY ALL""",
    "rejected_rows": """
        SELECT table_name, rule_id, scope, count(*) AS rows
        FROM audit.rejected_row GROUP BY ALL ORDER BY ALL""",
    "controls": "SELECT control, broken_count FROM audit.control ORDER BY ALL",
    "steps": "SELECT step, measure, count FROM audit.step_count ORDER BY ALL",
    "answers": """
        SELECT source, status, outcome, split_part(wrong, ':', 1) AS wrong, count(*) AS rows
        FROM audit.answer GROUP BY ALL ORDER BY ALL""",
    "unmatched_codes": """
        SELECT table_name, code_system, count(*) AS codes, sum(row_count)::BIGINT AS rows
        FROM audit.unmatched_code GROUP BY ALL ORDER BY ALL""",
}


def _outputs(plan: Plan) -> list[dict[str, str]]:
    """Give every published file with its hash; a DuckDB file and its sum have none: bytes differ, rows do not."""
    found = []
    for path in sorted(each for each in plan.published.rglob("*") if each.is_file()):
        entry = {"file": path.relative_to(plan.published).as_posix()}
        if path.suffix != ".duckdb" and not path.name.startswith("SHA256SUMS"):
            entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(entry)
    return found
