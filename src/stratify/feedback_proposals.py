"""Patterns of a finished run in words, and each edge that would set them right as a file of changes with its effect.

For the clinical lead: nothing is changed, neither the definitions nor the run. What makes a pattern is in
``feedback_patterns``, what a change would do comes from ``whatif_run``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import yaml

from stratify import (
    disclosure,
    engine,
    fairness,
    feedback_patterns,
    feedback_register,
    kept_weeks,
    publish,
    wide,
)
from stratify.feedback_patterns import Edit
from stratify.rulebook import RuleBook
from stratify.runs import Plan, plan_in_place, rule_book_in_place, without_values
from stratify.store import Store, open_store
from stratify.whatif_changes import read_changes
from stratify.whatif_run import try_out

_AGREED = (
    "accepted",
    "invited",
    "booked",
    "attended",
    "did_not_attend",
    "declined",
    "deferred",
    "offered",
    "activated",
)
_UNCODED = """
SELECT patient_key, patient_key IN (SELECT patient_key FROM {people}) AS is_missed
FROM run.core.person LEFT JOIN run.derived.pathway_decision AS d USING (patient_key)
WHERE person_status = 'registered' GROUP BY patient_key
HAVING bool_and(d.pathway IS NULL OR d.pathway <> $1 OR d.decision = 'not_eligible')
"""
_RECORDED = """
SELECT snomed_code AS code, count(DISTINCT patient_key) FILTER (is_missed) AS missed_count,
    count(DISTINCT patient_key) FILTER (NOT is_missed) AS others_count
FROM run.core.gp_event JOIN uncoded USING (patient_key)
WHERE snomed_code IS NOT NULL AND is_confidential IS NOT TRUE AND snomed_code NOT IN (SELECT code FROM {known})
GROUP BY ALL HAVING missed_count > 0
"""
_MOST_OTHERS = 2_000
"""Of the people who are on no clinic's list and of whom nothing was said, as many as an edge is tried on."""


@dataclass(frozen=True)
class _Proposal:
    pathway: str
    what: str
    edit: Edit


@without_values
def patterns(out: Path, *, clinical: Path | None = None, to: Path | None = None) -> str:
    """Say which rules are often overruled and which groups often missing, and propose edges, in counts and no person.

    Args:
        out: Output folder of a finished run.
        clinical: The definitions that the run used, where they lie elsewhere by now.
        to: Folder for the files of changes, each with its simulated effect; none is written when None.

    Raises:
        RunError: there is no finished run, or one with other definitions.
    """
    plan = plan_in_place(out)
    book = rule_book_in_place(plan, clinical)
    since = plan.settings.index_date - timedelta(weeks=feedback_patterns.WEEKS)
    with (
        TemporaryDirectory(prefix=".patterns-", dir=plan.restricted) as name,
        open_store(Path(name) / "asked.duckdb", temp_directory=Path(name)) as store,
    ):
        store.attach(plan.restricted / "run.duckdb", "run", read_only=True)
        decided, listed = _decided(store, plan, since)
        reported = _reported(plan, book, since)
        lines, proposals = _overruled(store, plan, book, decided)
        groups = fairness.groups(store.frame("SELECT * FROM run.core.person ORDER BY patient_key"))
        missing = feedback_patterns.missing({key for keys in reported.values() for key in keys}, listed, groups)
        lines += [_missing_in_words(each) for each in missing.filter("is_pattern").iter_rows(named=True)]
        proposals += _from_missing(store, plan, book, reported)
        lines += _uncoded(store, book, reported)
    lines = lines or ["No rule is overruled and no group is missing more often than chance would have it."]
    for number, each in enumerate(proposals, 1):
        lines.append(_in_words(number, each))
        if to:
            lines += _try(number, each, out, to, clinical)
    return "\n".join(lines)


def _decided(store: Store, plan: Plan, since: date) -> tuple[pl.DataFrame, set[str]]:
    """Give the last answer about each person on each pathway, with the rule that proposes them; and who was listed."""
    answers = kept_weeks.scan(plan.restricted, "audit.answer", before=date.max, same_person={})
    rows = kept_weeks.scan(plan.restricted, "audit.list_row", before=date.max, same_person={})
    rows = rows.filter(pl.col("placement").is_in(["listed", "waiting", "offered"]))
    told = answers.filter(
        (pl.col("status") != "returned")
        & (pl.col("outcome_date") >= since)
        & pl.col("outcome").is_in([*_AGREED, "not_appropriate"])
    )
    last = (
        told.join(rows.select("row_reference", "patient_key", "pathway", "tier"), on="row_reference")
        .sort("outcome_date", "answer_id")
        .group_by("patient_key", "pathway", maintain_order=True)
        .last()
        .select("patient_key", "pathway", "tier", is_overruled=pl.col("outcome") == "not_appropriate")
        .collect()
    )
    with store.loaned(last) as loan:
        decided = store.frame(
            f"SELECT a.*, coalesce(d.rule_id, 'none now') AS rule_id FROM {loan} AS a "
            "LEFT JOIN run.derived.pathway_decision AS d USING (patient_key, pathway) ORDER BY ALL"
        )
    recent = rows.filter((pl.col("placement") == "listed") & (pl.col("week") >= since)).select("patient_key").collect()
    return decided, set(recent["patient_key"])


def _reported(plan: Plan, book: RuleBook, since: date) -> dict[str, set[str]]:
    """Give, by pathway, of whom it was said that they should have been on one of its lists."""
    register = feedback_register.read(plan.restricted, before=date.max, same_person={}).register
    said = register.filter(
        (pl.col("kind") == "should_have_been_here")
        & (pl.col("event") == "said")
        & (pl.col("said_on") >= since)
        & pl.col("patient_key").is_not_null()
    )
    found: dict[str, set[str]] = {name: set() for name in sorted(book.published)}
    for key, clinic in said.select("patient_key", "clinic_id").iter_rows():
        for name, pathway in book.published.items():
            if clinic is None or clinic in {each.id for each in pathway.places}:
                found[name].add(key)
    return found


def _overruled(store: Store, plan: Plan, book: RuleBook, decided: pl.DataFrame) -> tuple[list[str], list[_Proposal]]:
    lines, proposals = [], []
    for each in feedback_patterns.overruled(decided).filter("is_pattern").iter_rows(named=True):
        what = f"{each['pathway']}, rule {each['rule_id']}, tier {each['tier'] or 'none'}"
        lines.append(
            f"Often overruled: {what}: not appropriate for {_count(each['overruled_count'])} of "
            f"{_count(each['answered_count'])} answered ({_percent(each['share'])}, 99 % interval "
            f"{_percent(each['share_low'])} to {_percent(each['share_high'])})"
        )
        mine = decided.filter(pathway=each["pathway"])
        is_here = (pl.col("rule_id") == each["rule_id"]) & pl.col("tier").eq_missing(each["tier"])
        wrong = set(mine.filter(is_here & pl.col("is_overruled"))["patient_key"])
        right = set(mine.filter(~pl.col("is_overruled"))["patient_key"])
        edit = _edit(store, plan, book, each["pathway"], wrong, right)
        proposals += [_Proposal(each["pathway"], what, edit)] if edit else []
    return lines, proposals


def _from_missing(store: Store, plan: Plan, book: RuleBook, reported: dict[str, set[str]]) -> list[_Proposal]:
    found = []
    for name, people in reported.items():
        if len(people) < feedback_patterns.LEAST:
            continue
        others = store.rows(
            "SELECT patient_key FROM run.derived.pathway_decision WHERE pathway = $1 AND decision IN "
            "('self_management', 'not_eligible') ORDER BY md5(patient_key) LIMIT $2",
            [name, _MOST_OTHERS],
        )
        called = store.rows(
            "SELECT patient_key FROM run.derived.pathway_decision WHERE pathway = $1 AND decision = 'clinic'", [name]
        )
        wrong = people - {key for (key,) in called}
        edit = _edit(store, plan, book, name, wrong, {key for (key,) in others} - wrong)
        found += [_Proposal(name, f"{name}, people who should have been there", edit)] if edit else []
    return found


def _uncoded(store: Store, book: RuleBook, reported: dict[str, set[str]]) -> list[str]:
    """Say of whom no edge can be moved, for want of a code, and which other codes of their records would tell them."""
    lines = []
    for name, people in reported.items():
        with store.loaned(pl.DataFrame({"patient_key": sorted(people)}, schema={"patient_key": pl.String})) as loan:
            store.execute(f"CREATE OR REPLACE TEMP TABLE uncoded AS {_UNCODED.format(people=loan)}", [name])
        missed, others = (
            store.scalar(f"SELECT count(*) FROM uncoded WHERE is_missed = {each}") for each in (True, False)
        )
        if missed < feedback_patterns.LEAST or not others:
            continue
        lines.append(
            f"Not known to {name}: {_count(missed)} of {_count(len(people))} who should have been there have no record "
            "that makes anybody part of it. No edge brings them: code them, or widen a codelist"
        )
        variables = (each for leaf in book.variables_of(book.pathways[name].cohort) for each in book.codelists_of(leaf))
        known = {code for codelist in sorted(set(variables)) for code in book.codelists[codelist].codes}
        with store.loaned(pl.DataFrame({"code": sorted(known)}, schema={"code": pl.String})) as loan:
            recorded = store.frame(_RECORDED.format(known=loan))
        for each in feedback_patterns.telling_codes(recorded, missed=missed, others=others).iter_rows(named=True):
            lines.append(
                f"  SNOMED CT {each['code']}: recorded for {_percent(each['missed_share'])} of them and for "
                f"{_percent(each['others_share'])} of others who are not on it. If a clinician takes it for a sign, "
                "try it: stratify codelists add, with --on"
            )
    return lines


def _edit(store: Store, plan: Plan, book: RuleBook, pathway: str, wrong: set[str], right: set[str]) -> Edit | None:
    small = book.cut_down_to(pathway)
    with store.loaned(pl.DataFrame({"patient_key": sorted(wrong | right)})) as loan:
        store.execute(f"CREATE OR REPLACE TABLE core.asked AS FROM {loan}")
    for name in ("core.person", "derived.variable_value"):
        store.execute(
            f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM run.{name} SEMI JOIN core.asked USING (patient_key)"
        )
    rows = wide.person_rows(
        engine.table(store, "core.person"),
        engine.table(store, "derived.variable_value"),
        small,
        index_date=plan.settings.index_date,
    )
    return feedback_patterns.best_edit(engine.rows(store, rows), pathway, small, wrong=wrong, right=right)


# ------------------------------------------------------------------------------------------------------------ in words


def _missing_in_words(each: dict[str, Any]) -> str:
    group = f"{each['breakdown'].replace('_', ' ')} {each['breakdown_value']}"
    return (
        f"Often missing: {group}: {_percent(each['share'])} of those who should have been there (99 % interval "
        f"{_percent(each['share_low'])} to {_percent(each['share_high'])}), {_percent(each['listed_share'])} of those "
        "listed"
    )


def _in_words(number: int, each: _Proposal) -> str:
    edit = each.edit
    said = read_changes(None, thresholds=(_as_text(edit),)).in_words[0]
    return (
        f"Proposal {number}, for the clinical lead: {said} (today {edit.today:g}). It would move {_count(edit.moved)} "
        f"of {_count(edit.wrong)} in the wrong place, and {_count(edit.others_moved)} of {_count(edit.right)} others"
    )


def _as_text(edit: Edit) -> str:
    return str(yaml.safe_dump(edit.threshold.model_dump(exclude_none=True), default_flow_style=True, sort_keys=False))


def _count(number: int) -> str:
    return disclosure.in_words(number)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _try(number: int, each: _Proposal, out: Path, to: Path, clinical: Path | None) -> list[str]:
    """Write a proposal as a file of changes, and what it would do beside it."""
    to.mkdir(parents=True, exist_ok=True)
    file = to / f"proposal_{number}.yaml"
    changes = {
        "title": f"From what teams said: {each.what}",
        "thresholds": [each.edit.threshold.model_dump(exclude_none=True)],
    }
    file.write_text(yaml.safe_dump(changes, sort_keys=False), encoding="utf-8")
    found = try_out(read_changes(file), out, clinical=clinical)
    publish.write_what_if(found, to / f"proposal_{number}")
    return [f"  {file}, and what it would do: {to / f'proposal_{number}' / 'what_if.html'}"]
