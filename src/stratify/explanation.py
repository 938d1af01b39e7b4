"""Explains one person's place: from the list back through decision, rule, score and value to a row in a file.

Reads the restricted folder of the run in place and writes nothing. Needs the key the run was made with: without it an
NHS number leads nowhere. What it gives is for the person's own care team; it names no other person.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals.stable.v2 as nw

from stratify import engine, hits, key_rotation, privacy
from stratify.codes import is_unverified
from stratify.errors import PatientNotFoundError, PrivacyError, SettingsError
from stratify.pathways import DRAFT
from stratify.periods import in_words
from stratify.plain_english import condition_in_words, route_in_words
from stratify.reasons import in_figures
from stratify.reckoning import core_tables
from stratify.rulebook import RuleBook
from stratify.rules import ANY
from stratify.runs import Plan, plan_in_place, rule_book_in_place, without_values
from stratify.store import Store, open_store

MOST_RECORDS = 12
"""Records listed behind one value; the rest are counted."""

_OF_A_STAY = {"length_of_stay_days": "days in hospital", "is_emergency": "kind of admission", ANY: "hospital stay"}
"""What of a stay was read, where that is no code."""


@without_values
def explain(out: Path, asked: str, *, is_reference: bool, key: bytes) -> str:
    """Explain every pathway of one person in the run in place.

    Args:
        out: Output folder of a finished run.
        asked: The NHS number, or the reference of a row on a list.
        is_reference: Which of the two it is.
        key: The identity key of the run.

    Returns:
        The explanation, ready to print.

    Raises:
        RunError: the folder holds no finished run.
        PrivacyError: the key is not the one the run was made with.
        PatientNotFoundError: nobody in the run has that number or reference.
        SettingsError: what was asked is no NHS number.
    """
    plan = plan_in_place(out)
    restricted = plan.restricted
    if not hmac.compare_digest(
        json.loads((restricted / "key.json").read_text())["key_fingerprint"], privacy.key_fingerprint(key)
    ):
        raise PrivacyError(
            "identity key",
            expected="the key this run was made with",
            found="another key",
            action="Use the key of the organisation that ran it.",
        )
    book = rule_book_in_place(plan)
    book = book.for_pathways
    with (
        TemporaryDirectory(prefix="stratify-explain-") as scratch,
        open_store(restricted / "run.duckdb", temp_directory=Path(scratch), read_only=True) as store,
    ):
        store.attach(restricted / "identity.duckdb", "identity", read_only=True)
        if is_reference:
            person, remark = _by_reference(store, plan, asked, key_rotation.listed_keys(restricted)), None
        else:
            person, remark = _by_number(store, asked, key)
        return "\n".join(_explanation(store, plan, book, person, remark)) + "\n"


def _by_number(store: Store, asked: str, key: bytes) -> tuple[str, str | None]:
    """Find whose number it is in this run, and what is to be said of the number; one that was superseded is followed.

    Only what was traced when the run was made counts: taken back in a later trace, the numbers are two people's again
    in the next run.
    """
    digits = asked.replace(" ", "").replace("-", "")
    if len(digits) != 10 or not digits.isdigit():
        raise SettingsError("NHS number", expected="ten digits", found="something else", action="Type it again.")
    asked_about = privacy.pseudonym(key, digits)
    superseded = store.rows(
        "SELECT patient_key, traced_date FROM identity.merged_number WHERE original_key = ?", [asked_about]
    )
    person, remark = asked_about, None
    for survivor, traced in superseded:
        person = str(survivor)
        remark = (
            f"The NHS number asked about was superseded, as traced on {in_words(traced)}: shown is the person under "
            "the number that took its place.\n"
            "Correct a record that still has the old number; if they are two people, have the number traced again."
        )
    if not store.scalar("SELECT count(*) FROM core.person WHERE patient_key = ?", [person]):
        raise PatientNotFoundError(
            "this run",
            expected="the person asked about",
            found="nobody with that NHS number",
            action="They may not be registered here, may have objected to this use of their data, or may have a record "
            "without NHS number: ask with --reference.",
        )
    return person, remark


def _by_reference(store: Store, plan: Plan, asked: str, listed: Mapping[str, str]) -> str:
    """Find whose row has a reference; ``listed`` gives the pseudonyms of the lists where the key was changed since."""
    from stratify.publish import row_reference  # everything that writes outputs comes with it

    wanted = asked.replace("-", "").replace(" ", "").upper()
    for key, clinic in store.rows(
        "SELECT DISTINCT patient_key, coalesce(clinic_id, '') FROM derived.placement ORDER BY ALL"
    ):
        for place in (clinic, *_other_places(store)):
            if row_reference(plan.settings.index_date, place, listed.get(key, key)).replace("-", "") == wanted:
                return str(key)
    raise PatientNotFoundError(
        "this run",
        expected="a row with that reference",
        found="none",
        action="References change with every run: use a list of the run in place.",
    )


def _other_places(store: Store) -> Sequence[str]:
    return [
        row[0]
        for row in store.rows(
            "SELECT DISTINCT clinic_id FROM derived.placement WHERE clinic_id IS NOT NULL ORDER BY ALL"
        )
    ] + ["self_management"]


def _explanation(store: Store, plan: Plan, book: RuleBook, person: str, remark: str | None) -> Iterator[str]:
    about = _only(store, "SELECT * FROM core.person WHERE patient_key = ?", person)
    index_date = plan.settings.index_date
    yield f"Run {plan.run_id}, {in_words(index_date)}{'   TEST: invented people' if plan.is_test else ''}"
    yield "Decision support only: a list proposes, the clinician decides. Check the record."
    if remark:
        yield ""
        yield remark
    yield ""
    practice = about["practice_code"] or "no practice"
    linked = "hospital data linked" if about["is_hospital_linked"] else "hospital data NOT linked"
    yield f"Person: {about['person_status']}, {practice}, age {about['age_years']}, {linked}"
    if about["identity_doubt"]:
        yield f"Identity to be confirmed: {about['identity_doubt']}"
    if is_unverified(
        store.scalar("SELECT max(nhs_number_status) FROM identity.person WHERE patient_key = ?", [person])
    ):
        from stratify.publish import UNVERIFIED_NUMBER

        yield UNVERIFIED_NUMBER
    yield f"  from {_source(store, about['source_file_id'], about['source_row'])}"
    decisions = store.frame(
        f"SELECT * FROM derived.pathway_decision WHERE patient_key = '{person}' ORDER BY pathway"
    ).to_dicts()
    if not decisions:
        yield ""
        yield "On no pathway of this run: " + "; ".join(
            f"{each.label}: {condition_in_words(each.cohort, book)} does not hold"
            for each in sorted(book.pathways.values(), key=lambda each: each.precedence)
        )
        return
    records = _records(store, book, person, index_date)
    for decision in decisions:
        yield from _pathway(store, book, person, decision, records)
    yield from _review(store, book, person)


def _review(store: Store, book: RuleBook, person: str) -> Iterator[str]:
    checks = store.frame(f"SELECT * FROM derived.review_check WHERE patient_key = '{person}' ORDER BY check_id")
    for number, each in enumerate(checks.iter_rows(named=True)):
        if number == 0:
            yield ""
            yield f"One review, owned by {book.pathways[each['owner']].label}"
        done = f", last done {in_words(each['done_date'])}" if each["done_date"] else ""
        state = "due" if each["is_due"] else f"not again before {in_words(each['due_date'])}"
        yield f"  {each['label']}: {state}{done}"


def _pathway(
    store: Store, book: RuleBook, person: str, decision: dict[str, Any], records: dict[str, list[dict[str, Any]]]
) -> Iterator[str]:
    pathway = book.pathways[decision["pathway"]]
    yield ""
    yield f"{pathway.label} (version {pathway.version}, {pathway.clinical_lead or 'no clinical lead yet'})"
    if not pathway.is_published:
        yield f"  {DRAFT}"
    placement = store.frame(
        f"SELECT * FROM derived.placement WHERE patient_key = '{person}' AND pathway = '{pathway.id}'"
    ).to_dicts()
    for each in placement:
        where = (
            pathway.clinic(each["clinic_id"]).label
            if each["clinic_id"]
            else pathway.offer(each["offer_id"]).label
            if each["offer_id"]
            else ""
        )
        when = f", {in_words(each['clinic_date'])}" if each["clinic_date"] else ""
        rank = f", number {each['priority_rank']} in order of need" if each["priority_rank"] else ""
        yield f"  This week: {each['placement']} {where}{when}{rank}: {each['placement_reason']}"
    yield f"  Proposed: {decision['decision']}, rule {decision['rule_id']}: {decision['reason']}"
    yield f"    The rule: {route_in_words(decision['rule_id'], pathway, book)}"
    yield from _steps(store, person, pathway.id)
    if decision["missing_variables"]:
        yield f"    Not known, and could change the route: {_labels(decision['missing_variables'], book)}"
    if decision["data_gaps"]:
        yield f"    Data gaps: {decision['data_gaps'].replace(';', '; ')}"
    yield from _in_other_words(store, person, pathway.id)
    names = dict.fromkeys(book.variables_of(pathway.cohort))
    for name in pathway.scores:
        yield from _score(store, book, person, name)
        names |= dict.fromkeys(book.variables_of_score(name))
    for condition in pathway.conditions:
        names |= dict.fromkeys(book.variables_of(condition))
    yield "  Values, and where each comes from"
    values = {
        row["variable"]: row
        for row in store.frame(f"SELECT * FROM derived.variable_value WHERE patient_key = '{person}'").to_dicts()
    }
    for name in names:
        if name in book.variables:
            yield from _value(store, book, name, values.get(name), records.get(name, []))


def _steps(store: Store, person: str, pathway: str) -> Iterator[str]:
    """Say what was done about the person in this and earlier weeks, and who did it."""
    steps = store.rows(
        'SELECT effective_date, cause_text, "by" FROM audit.transition WHERE patient_key = $1 AND pathway = $2 '
        "ORDER BY week, position, effective_date, cause_text",
        [person, pathway],
    )
    if steps:
        yield "  What was done, week by week"
    for day, text, by in steps:
        yield f"    {in_words(day)}: {text} ({by})"


def _in_other_words(store: Store, person: str, pathway: str) -> Iterator[str]:
    """Say it as it is said to the person, and what would lead off the list."""
    for said, missing, off_list in store.rows(
        "SELECT plain_reason, plain_missing, off_list_when FROM derived.explanation "
        "WHERE patient_key = ? AND pathway = ?",
        [person, pathway],
    ):
        yield f"    To say to the person: {' '.join(filter(None, [*said.splitlines(), missing]))}"
        if off_list:
            yield f"    Off this list if: {off_list}"


def _score(store: Store, book: RuleBook, person: str, name: str) -> Iterator[str]:
    score = book.scores[name]
    found = store.frame(
        f"SELECT * FROM derived.patient_score WHERE patient_key = '{person}' AND score = '{name}'"
    ).to_dicts()
    if not found:
        yield f"  {score.label} (version {score.version}): not for this person"
        return
    row = found[0]
    if row["withheld_reason"]:
        yield f"  {score.label} (version {score.version}): {row['withheld_reason']}"
        return
    labels = {each.tier: each.label for each in score.tiers}
    tier = labels.get(row["tier"], "not settled" if score.tiers else "(a value without tiers)")
    value = f" {in_figures(row['value'])}" if row["value"] is not None else ""
    yield f"  {score.label} (version {score.version}):{value} {tier}. Source: {score.source}"
    held = next((each for each in score.tiers if each.tier == row["tier"]), None)
    if held and held.when:
        yield f"    The rule: {condition_in_words(held.when, book)}"
    if not row["is_complete"] and row["possible_tiers"]:
        possible = ", ".join(labels[each] for each in row["possible_tiers"].split(";"))
        unknown = _labels(row["missing_variables"] or "", book) or "how complete the record is"
        yield f"    Could be {possible}: not known {unknown}"


def _value(
    store: Store, book: RuleBook, name: str, row: dict[str, Any] | None, records: list[dict[str, Any]]
) -> Iterator[str]:
    variable = book.variables[name]
    if row is None:
        if variable.is_value:
            yield f"    {variable.label}: no record"
        return
    unit = f" {variable.unit}" if variable.unit else ""
    if row["value"] is None:
        yield f"    {variable.label}: {row['state']}, so not used"
    elif variable.take == "has":
        yield f"    {variable.label}: yes"
    else:
        yield f"    {variable.label}: {in_figures(row['value'], row['bound'])}{unit}"
    if variable.plug_in:
        yield f"      given by the plug-in {variable.plug_in}, from values that are listed here"
    for each in records[:MOST_RECORDS]:
        is_shown = variable.is_value and each["value"] is not None
        figure = f" {in_figures(each['value'], each['bound'])}{unit}" if is_shown else ""
        day = in_words(each["day"]) if each["day"] else "no date"
        coded = _OF_A_STAY.get(each["code"], f"code {each['code']}")
        yield f"      {day}{figure}, {coded}: {_source(store, each['source_file_id'], each['source_row'])}"
    if len(records) > MOST_RECORDS:
        yield f"      … and {len(records) - MOST_RECORDS} more"


def _records(store: Store, book: RuleBook, person: str, index_date: date) -> dict[str, list[dict[str, Any]]]:
    """Give the records behind every value of one person, newest first, by the same reckoning as the run."""
    mine = {
        name: engine.from_polars(engine.rows(store, frame.filter(nw.col("patient_key") == person)))
        for name, frame in core_tables(store).items()
    }
    asked = nw.col("variable").is_in(sorted(book.variables))
    codes = engine.from_polars(engine.rows(store, engine.table(store, "work.variable_code").filter(asked)))
    behind = engine.collected(hits.records_behind(mine, codes, book, index_date=index_date))
    found: dict[str, list[dict[str, Any]]] = {}
    order = ("variable", "day", "source_file_id", "source_row", "code")
    newest_first = [False, True, False, False, False]
    for row in behind.unique().sort(order, descending=newest_first, nulls_last=True).to_dicts():
        found.setdefault(row["variable"], []).append(row)
    return found


def _source(store: Store, source_file_id: str, source_row: int) -> str:
    name = store.scalar("SELECT file_name FROM audit.source_file WHERE source_file_id = ?", [source_file_id])
    return f"{name} line {source_row}"


def _labels(names: str, book: RuleBook) -> str:
    return ", ".join(
        book.variables[name].label if name in book.variables else name.replace("_", " ")
        for name in names.split(";")
        if name
    )


def _only(store: Store, sql: str, person: str) -> dict[str, Any]:
    return dict(store.frame(sql.replace("?", f"'{person}'")).to_dicts()[0])
