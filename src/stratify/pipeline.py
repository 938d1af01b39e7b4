"""The weekly run: the only place where edges and reckoning meet.

Each stage takes the plan of the run, opens what it needs, and gives a receipt of counts: nothing about a person
passes between stages except through the run's own folder. A stage that is run again starts from what the one before
it left.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl

from stratify import (
    approvals,
    contracts,
    controls,
    feedback_run,
    holding,
    ingest,
    payers,
    plug_in,
    publish,
    quality,
    reasons,
    release_history,
    returned,
    run_trail,
    scaled,
    taken_over,
)
from stratify.audit_trail import Actor
from stratify.cost_book import load_costs
from stratify.errors import ExtractError, combine
from stratify.impact import evaluated
from stratify.ingest import FileAccount
from stratify.metric_months import with_months
from stratify.metric_run import count_metrics, keep_published, published_before
from stratify.plain_reasons import explanations
from stratify.reached import count_who_is_reached
from stratify.reckoning import decide_everybody, score_everybody, scored_table, work_values
from stratify.refusals import delivery_of, refusals_of
from stratify.remembered import place_everybody
from stratify.rulebook import RuleBook, load_rule_book
from stratify.rules.wording import PlainWords
from stratify.run_record import manifest_of, publish_context, team_pages, write_practices_page, write_quality_page
from stratify.runs import (
    Plan,
    Receipt,
    Summary,
    as_landed,
    prepare,
    put_in_place,
    without_refused,
    without_values,
)
from stratify.settings import Settings
from stratify.signing import read_signer
from stratify.smallest_change import smallest_changes
from stratify.stage_inputs import read_by_stages
from stratify.store import Store, open_store
from stratify.wording import load_wording

Progress = Callable[[str], None]


@contextmanager
def _opened(plan: Plan) -> Iterator[Store]:
    store_path = plan.restricted / "run.duckdb"
    settings = plan.settings
    with open_store(
        store_path,
        temp_directory=plan.restricted / "scratch",
        memory_limit=settings.memory_limit,
        threads=settings.threads,
    ) as store:
        store_path.chmod(0o600)
        yield store


@contextmanager
def _attached(plan: Plan, *names: str) -> Iterator[Store]:
    with _opened(plan) as store:
        for name in names:
            store.attach(plan.restricted / f"{name}.duckdb", name)
            (plan.restricted / f"{name}.duckdb").chmod(0o600)
        yield store


@without_values
def begin(plan: Plan, *, key: bytes, afresh: bool = False) -> Summary | None:
    """Take over from the run in place what this one would only do again; nothing when all is to be done afresh.

    Returns:
        The run in place where this one would be the same, byte for byte: then nothing of it is built. None where its
        stages are to follow.
    """
    book = load_rule_book(plan.settings.clinical)
    inputs = read_by_stages(plan, book, rule_book_of(plan), key=key, environment=os.environ)
    since = None if afresh else taken_over.unchanged_in_place(plan, inputs)
    if since is None:
        taken_over.begin(plan, inputs, afresh=afresh)
        return None
    shutil.rmtree(plan.build)
    return _summary(plan, plan.settings.out / "published", {"run": f"unchanged since {since}, which stays in place"})


_TAKEN_OVER = "taken over, unchanged"


def land(plan: Plan, *, key: bytes) -> Receipt:
    """Read the files into landing tables, check every row, and account for each of them.

    Where the rows of a feed are refused that the run can do without, it starts again without them.
    """
    if taken_over.is_loaded(plan):
        return Receipt(stage="land", counts={_TAKEN_OVER: 1})
    refused: dict[tuple[str, str], list[ExtractError]] = {}
    book = load_rule_book(plan.settings.clinical)
    measurements = book.resolved_measurements(score_inferred_units=plan.settings.score_inferred_units)
    while True:
        known = len(refused)
        for name in ("run", "landing", "identity"):
            (plan.restricted / f"{name}.duckdb").unlink(missing_ok=True)
        with _attached(plan, "landing", "identity") as store:
            accounts = ingest.land(
                store,
                list(plan.files),
                source=plan.source,
                index_date=plan.settings.index_date,
                key=key,
                door=ingest.open_door(plan.settings.entry),
                refused=refused,
                onward=ingest.Onward(plan.settings.privacy, plan.source_as_received, measurements),
            )
        if len(refused) == known:
            return Receipt(stage="land", counts=_row_counts(accounts))
        plan = without_refused(plan, refused)


def validate(plan: Plan, *, key: bytes) -> Receipt:
    """Give each landing table its verdict, make the core tables, and give those theirs.

    Raises:
        QualityError: a verdict is stop, or nothing would be left to publish.
    """
    if taken_over.is_loaded(plan):
        return Receipt(stage="validate", counts={_TAKEN_OVER: 1})
    book = load_rule_book(plan.settings.clinical)
    cutoff = max(plan.data_cutoffs.values())
    with _attached(plan, "landing", "identity") as store:
        landed = [contracts.load(f"landing.{table}") for table in sorted({each.table for each in plan.files})]
        rejected = {table.name: holding.rejected_percent(store, table) for table in landed}
        judged = {table.name: ingest.judged_rules(table.table) for table in landed}
        results = quality.check_tables(
            store, landed, stage="landing", rejected_percent=rejected, data_cutoff=cutoff, judged=judged
        )
        results += holding.old_feeds(plan) + holding.lost_feeds(plan) + holding.respelled(store, plan)
        with ingest.said_with_a_stop(store):
            settled = holding.settle(store, book, results)
        counts = ingest.build_core(
            store,
            index_date=plan.settings.index_date,
            key=key,
            measurements=book.resolved_measurements(score_inferred_units=plan.settings.score_inferred_units),
            privacy_policy=plan.settings.privacy,
            source=plan.source_as_received,
        )
        steps = [("core", name, count) for name, count in sorted(counts.items())] + _not_carried(plan)
        steps += [
            (_PASSED_OVER, f"{each.shown_name}: {each.passed_over}", each.row_count)
            for each in plan.files
            if each.passed_over and not each.is_earlier
        ]
        steps += returned.take_in(store, plan, book)
        steps += [(step, measure, count) for step, measure, count in store.rows(_SHORT_PRACTICES)]
        steps += [(_HELD, f"{table}: {age}", count) for table, age, count in store.rows(_HELD_ROWS, [cutoff])]
        steps += [(_DAMAGED, words, count) for words, count in ingest.count_damaged_codes(store)]
        steps += [(_UNUSABLE, f"{name}: {status}", count) for name, status, count in store.rows(_UNUSABLE_VALUES)]
        store.create("audit.step_count", pl.DataFrame(steps, schema=("step", "measure", "count"), orient="row"))
        core = [contracts.load(name) for name in contracts.names("core")]
        checked = quality.check_tables(store, core, stage="core", rejected_percent={}, data_cutoff=cutoff)
        holding.settle(store, book, checked, before=settled)
        store.create("audit.practice_count", quality.practice_counts(store, landed))
        store.execute("DROP MACRO verhoeff_ok")
        store.detach("landing")
        taken_over.keep_loading(store, plan, [*results, *checked])
    (plan.restricted / "landing.duckdb").unlink()
    return Receipt(stage="validate", counts=counts)


_PASSED_OVER = "file passed over"
_SLICE_LEFT_OUT, _SLICE_SMALL = "practice part not read", "practice sent less"
_SHORT_PRACTICES = f"""
SELECT CASE WHEN is_red THEN '{_SLICE_LEFT_OUT}' ELSE '{_SLICE_SMALL}' END,
    practice_code || ' in ' || extract || ', of ' || expected || ' expected', received
FROM landing.short_practice ORDER BY ALL
"""
_HELD = "row held for its patient"
_HELD_ROWS = """
SELECT table_name, CASE WHEN period_to + 30 < $1 THEN 'for more than 30 days, given up' ELSE 'up to 30 days' END,
    count(DISTINCT (source_file_id, source_row))
FROM audit.rejected_row JOIN audit.source_file USING (source_file_id, table_name)
WHERE rule_id LIKE '%-87-orphan' GROUP BY ALL ORDER BY ALL
"""
_DAMAGED = "codes damaged on their way"
_UNUSABLE = "value not used"
_UNUSABLE_VALUES = """
SELECT measurement, replace(value_status, '_', ' '), count(*) FROM core.gp_observation
WHERE measurement IS NOT NULL AND value_status NOT IN ('ok', 'no_value') GROUP BY ALL ORDER BY ALL
"""


def _not_carried(plan: Plan) -> list[tuple[str, str, int]]:
    """Give what a source adapter had no place for, by file and reason."""
    found = []
    for account in sorted((plan.restricted / "prepared").rglob("not_carried.csv")):
        within = account.parent.relative_to(plan.restricted / "prepared").as_posix()
        rows = pl.read_csv(account, schema={"file": pl.String, "reason": pl.String, "rows": pl.Int64})
        prefix = "" if within == "." else f"{within}/"
        found += [("not carried", f"{prefix}{file}: {reason}", count) for file, reason, count in rows.iter_rows()]
    return found


def rule_book_of(plan: Plan) -> RuleBook:
    """Give the rule book that a run works out: all of it, or what the pathways use."""
    book = load_rule_book(plan.settings.clinical)
    return book if plan.settings.other_scores else book.for_pathways


def work_features(plan: Plan, *, spread: scaled.Spread | None = None) -> Receipt:
    """Match codes to codelists and reduce the records to one value per person and variable."""
    book = rule_book_of(plan)
    with _opened(plan) as store:
        ingest.match_codes(store, list(book.codelists.values()))
        matches = store.rows("SELECT code_system, code, codelist FROM derived.code_match")
        _note_unused(store, _codelists_read(book) - {codelist for _, _, codelist in matches})
        holding.check_codes(store, plan, book)
        same = taken_over.unchanged(plan, "values", book.variables)
        if plan.settings.spread:
            kept = scaled.work_everybody(store, plan, book, spread)
        else:
            kept = work_values(store, book, index_date=plan.settings.index_date, unchanged=same)
        kept += plug_in.ask_all(store, book, plan.settings)
        return Receipt(stage="features", counts={"variable values": kept})


def _codelists_read(book: RuleBook) -> set[str]:
    """Give the codelists that some variable or measurement reads: nobody would miss what the others do not match."""
    read = {name for variable in book.variables.values() for name in variable.codelists}
    read |= {each.codelist for pathway in book.pathways.values() for each in pathway.coded}
    for each in book.measurements.values():
        read |= {*each.codelists, *each.unit_of_codelists, *each.grade_codelists, *each.offset_codelists}
    return read & set(book.codelists)


def _note_unused(store: Store, codelists: set[str]) -> None:
    """Note the codelists that match nothing: a misspelt list finds nobody, and nobody would miss them."""
    store.execute("DELETE FROM audit.step_count WHERE step = $1", [_UNUSED])
    unused = [(_UNUSED, name, 0) for name in sorted(codelists)]
    store.add("audit.step_count", pl.DataFrame(unused, schema=_STEP, orient="row"))


_UNUSED = "codelist that matches nothing"
_STEP = {"step": pl.String, "measure": pl.String, "count": pl.Int64}


def score(plan: Plan) -> Receipt:
    """Score every person for every score."""
    book = rule_book_of(plan)
    with _opened(plan) as store:
        same = taken_over.unchanged(plan, "scores", book.scores)
        if plan.settings.spread:
            kept = scaled.gather(store, scaled.work_of(plan), book, "derived.patient_score")
        else:
            kept = score_everybody(store, book, index_date=plan.settings.index_date, unchanged=same)
        return Receipt(stage="score", counts={"scores": kept})


def decide(plan: Plan) -> Receipt:
    """Propose what happens to each person on each pathway, with the reasons in words."""
    book = rule_book_of(plan)
    with _opened(plan) as store:
        same = taken_over.unchanged(plan, "pathways", book.pathways)
        known = taken_over.Shown.of(store, same)
        fresh = replace(book, pathways={name: each for name, each in book.pathways.items() if name not in same})
        if plan.settings.spread:
            kept = scaled.gather_decisions(store, scaled.work_of(plan), book)
        else:
            kept = decide_everybody(store, fresh, index_date=plan.settings.index_date, known=known.decisions(store))
        apart = approvals.set_comparators_apart(store, plan, book)
        to_clinic = f"{_SHOWN} WHERE decision = 'clinic' AND {known.is_fresh} ORDER BY patient_key, pathway"
        changes = smallest_changes(_scored_for_clinics(store, fresh), store.frame(to_clinic), fresh)
        _put_into_words(store, fresh, changes, load_wording(plan.settings.clinical).plain, known)
        counts = {f"{pathway} {decision}": count for pathway, decision, count in store.rows(_DECISIONS)}
        return Receipt(stage="decide", counts={"decisions": kept, "where a pathway is off": apart, **counts})


_SHOWN = "FROM derived.pathway_decision"
_PEOPLE_AT_ONCE = 20_000
"""People whose reasons are worked out together: what is known of them is in memory meanwhile."""


def _put_into_words(
    store: Store, book: RuleBook, changes: pl.DataFrame, plain: PlainWords | None, known: taken_over.Shown
) -> None:
    """Write reasons and explanations of everybody with a decision, a part of the people after another."""
    small = book.for_pathways
    of_variables, of_scores = (
        "('" + "', '".join(sorted({*names, *(name for each in small.pathways.values() for name in each.show)})) + "')"
        for names in (small.variables, small.scores)
    )
    for table in ("derived.reason", "derived.explanation"):
        store.define(contracts.load(table))
    decided = f"{_SHOWN} WHERE decision <> 'not_eligible'"
    parts = math.ceil(int(store.scalar(f"SELECT count(DISTINCT patient_key) {decided}")) / _PEOPLE_AT_ONCE)
    edges = store.rows(
        f"SELECT min(patient_key), max(patient_key) FROM (SELECT patient_key, ntile({parts or 1}) OVER (ORDER BY "
        f"patient_key) AS part FROM (SELECT DISTINCT patient_key {decided})) GROUP BY part ORDER BY part"
    )
    for first, last in edges:
        mine = f"patient_key BETWEEN '{first}' AND '{last}'"
        asked = f"{mine} AND patient_key IN (SELECT patient_key {decided} AND {known.is_fresh} AND {mine})"
        shown = store.frame(f"{decided} AND {known.is_fresh} AND {mine} ORDER BY patient_key, pathway")
        values = store.frame(
            f"FROM derived.variable_value WHERE {asked} AND variable IN {of_variables} ORDER BY patient_key, variable"
        )
        scored = store.frame(f"FROM derived.patient_score WHERE {asked} AND score IN {of_scores}")
        persons = store.frame(f"SELECT patient_key, age_years FROM core.person WHERE {asked}")
        given = reasons.reasons(shown, values, scored, book, persons)
        store.add("derived.reason", known.with_reasons(given, first, last))
        told = explanations(shown, given, values, changes, plain)
        store.add("derived.explanation", known.with_explanations(told, first, last))


_TO_CLINIC = "SELECT patient_key FROM derived.pathway_decision WHERE decision = 'clinic' AND pathway = "
_DECISIONS = "SELECT pathway, decision, count(*) FROM derived.pathway_decision GROUP BY ALL ORDER BY ALL"


def _scored_for_clinics(store: Store, book: RuleBook) -> dict[str, pl.DataFrame]:
    """Give, by pathway, the scored rows of whoever it proposes for a clinic; the tables of everybody go."""
    found = {}
    for name in sorted(book.pathways):
        table = scored_table(name)
        broken = int(store.scalar(f"SELECT abs((SELECT count(*) FROM core.person) - (SELECT count(*) FROM {table}))"))
        controls.keep_promise("every person has one wide row", broken)
        found[name] = store.frame(f"SELECT * FROM {table} WHERE patient_key IN ({_TO_CLINIC}'{name}')")
        store.execute(f"DROP TABLE {table}")
    return found


def route(plan: Plan) -> Receipt:
    """Give everybody with a decision their place, as remembered, and prove that nobody was lost on the way."""
    book = rule_book_of(plan)
    with _attached(plan, "identity") as store:
        place_everybody(store, plan, book)
        holding.count_people(store)
        controls.ask(store, plan, book)
        counts = {f"{pathway} {placement}": count for pathway, placement, count in store.rows(_PLACEMENTS)}
        return Receipt(stage="route", counts=counts)


_PLACEMENTS = "SELECT pathway, placement, count(*) FROM derived.placement GROUP BY ALL ORDER BY ALL"


def publish_outputs(plan: Plan, progress: Progress = lambda _: None) -> Receipt:
    """Write the lists, the offers, the commissioners' file, the data quality page and the manifest."""
    book = load_rule_book(plan.settings.clinical)
    with _attached(plan, "identity") as store:
        controls.stop_unless_all_hold(store)
        context = replace(publish_context(store, plan, book), tell=progress)
        shutil.rmtree(plan.published, ignore_errors=True)
        pages = team_pages(store, plan, book, context)
        files = publish.write_direct_care(store, plan.published / "direct_care", context, pages)
        files += feedback_run.write_forms(store, plan.published / "direct_care", context)
        files += returned.write_returned(store, plan, plan.published / "direct_care", context)
        wording = load_wording(plan.settings.clinical)
        progress("Setting meeting packs")
        files += publish.write_packs(store, plan.published / "direct_care", context, book, wording.agenda)
        progress("Writing letters")
        shape: publish.Shape = "systmone" if "systmone" in plan.source.name else "emis"
        files += publish.write_letters(store, plan.published / "direct_care", context, wording.letters, shape=shape)
        if plan.settings.fhir:
            files += publish.write_bundles(store, plan.published / "direct_care", context, book)
        progress("Counting for commissioners")
        counted, signer = count_metrics(store, plan, context, rule_book_of(plan)), read_signer(os.environ)
        said = feedback_run.answers_given(store, plan.settings.index_date)
        controls.keep_promise(payers.PROMISE, payers.unreconciled(store, counted, context))
        counted = replace(with_months(store, counted, plan.settings.clinical), said=said)
        judged, words = evaluated(store, plan, context), publish.signature_in_words(signer)
        full, earlier = count_who_is_reached(store, plan, book), published_before(plan)
        costs = load_costs(plan.settings.clinical)
        publish.build_counts(
            store, context, counted, signature=words, impact=judged, full=full, earlier=earlier, costs=costs
        )
        keep_published(store, plan)
        progress("Checking and writing the commissioners' file")
        out = [contracts.load(name) for name in publish.COMMISSIONER_TABLES]
        checked = quality.check_tables(
            store, out, stage="out", rejected_percent={}, data_cutoff=plan.settings.index_date
        )
        holding.stop_if_unfit(checked, (), book)
        publish.write_commissioner_file(store, plan.published / "secondary_use", context, signer)
        progress("Writing the pages on the data, and the manifest")
        write_quality_page(store, plan, book, checked)
        write_practices_page(store, plan)
        feedback_run.write_page(store, plan)
        publish.write_supplier_report(
            plan.published / "data_quality", publish.report_of_rows(delivery_of(plan), store, refused=refusals_of(plan))
        )
        publish.write_manifest(plan.published / "run_manifest.json", manifest_of(store, plan, book))
        return Receipt(stage="publish", counts={"direct care files": len(files)})


def _row_counts(accounts: list[FileAccount]) -> dict[str, int]:
    return {
        "files": len(accounts),
        "rows received": sum(each.received_count for each in accounts),
        "rows loaded": sum(each.loaded_count for each in accounts),
        "rows set aside": sum(each.rejected_count for each in accounts),
        "of them rows that may not land": sum(each.restricted_count for each in accounts),
    }


def run(
    settings: Settings, *, key: bytes, by: Actor, progress: Progress = lambda _: None, afresh: bool = False
) -> Summary:
    """Do the whole weekly run without an orchestrator.

    Args:
        settings: What to run.
        key: The identity key.
        by: Who runs it, for the audit trail.
        progress: Told the name of each stage as it starts.
        afresh: Take nothing over from the run in place.
    """
    with run_trail.recorded(settings, by=by) as ended:
        progress("Checking definitions and files")
        plan = prepare(settings, key=key)
        done = begin(plan, key=key, afresh=afresh)
        if done is None:
            for words, stage in stages(key, progress):
                progress(words)
                stage(plan)
            done = finish(plan)
        ended |= run_trail.of_run(done)
    return done


def stages(
    key: bytes, progress: Progress = lambda _: None, *, spread: scaled.Spread | None = None
) -> tuple[tuple[str, Callable[[Plan], Receipt]], ...]:
    """Give the stages in order, each with what to call it in front of people; none lets a message of others out.

    Where the settings spread what is per person, ``spread`` does it; by the engine of the settings when None.
    """
    return (
        ("Reading the extract files", without_values(lambda plan: land(plan, key=key))),
        ("Checking data quality", without_values(lambda plan: validate(as_landed(plan), key=key))),
        (
            "Working out what is known of each person",
            without_values(lambda plan: work_features(as_landed(plan), spread=spread)),
        ),
        ("Scoring", without_values(score)),
        ("Proposing a route for each person", without_values(decide)),
        ("Giving out places", without_values(route)),
        ("Writing lists, offers and files", without_values(lambda plan: publish_outputs(as_landed(plan), progress))),
    )


def finish(plan: Plan) -> Summary:
    """Put a run whose stages have all passed in place, and say what it did."""
    release_history.keep(plan)
    taken_over.seal(plan)
    account = taken_over.account(plan)
    return _summary(plan, put_in_place(plan), account)


def _summary(plan: Plan, published: Path, work: dict[str, str]) -> Summary:
    manifest = json.loads((published / "run_manifest.json").read_text(encoding="utf-8"))
    return Summary(
        run_id=plan.run_id,
        published=published,
        verdict=quality.overall_verdict(manifest["verdicts"].values()),
        manifest=manifest,
        work=work,
    )


def check(settings: Settings, *, key: bytes, progress: Progress = lambda _: None) -> str:
    """Check definitions and files, down to each row, in a folder that is thrown away.

    Args:
        settings: What to check; ``out`` is a folder for the while.
        key: The identity key.
        progress: Told the name of each step as it starts.

    Returns:
        What was found, in words and counts.

    Raises:
        ExtractError: a feed was refused, also one that a run could do without: there is time to ask for it again.
    """
    progress("Checking definitions and files")
    plan = prepare(settings, key=key)
    if plan.lost:
        raise combine([*refusals_of(plan)])
    for words, stage in stages(key)[:2]:
        progress(words)
        stage(plan)
        plan = as_landed(plan)
        if plan.lost:
            raise combine([*refusals_of(plan)])
    with _opened(plan) as store:
        results = holding.quality_results(store)
        lines = [
            f"Fit to run: {len(plan.files)} files, verdict {quality.overall_verdict(each.verdict for each in results)}"
        ]
        for table, received, loaded in store.rows(_CHECKED):
            lines.append(f"  {table}: {received:,} rows received, {loaded:,} loaded, {received - loaded:,} set aside")
        held = holding.held(store)
        failed = [each for each in results if each.failed_count]
        lines += [
            f"  {each.verdict}: {each.rule_id}, {each.failed_count:,} rows: {each.description}" for each in failed
        ]
        lines += [f"  {_DAMAGED}: {words} ({count:,} rows)" for words, count in ingest.count_damaged_codes(store)]
        lines += [f"  would hold the lists of {name}" for name in sorted({each.pathway for each in held})]
    return "\n".join(lines)


_CHECKED = """
SELECT table_name, sum(received_count)::BIGINT, sum(loaded_count)::BIGINT
FROM audit.source_file GROUP BY table_name ORDER BY table_name
"""


_MOST_NAMED = 12


def in_words(done: Summary) -> str:
    """Say on a screenful what a finished run did and where its outputs are."""
    manifest = done.manifest
    inputs = manifest["inputs"]
    received, loaded = (sum(each[name] for each in inputs) for name in ("received_count", "loaded_count"))
    people = sum(each["people"] for each in manifest["people"])
    lines = [
        f"Run {done.run_id}{' (TEST: invented people)' if manifest['is_test'] else ''}, {manifest['index_date']}",
        *(f"  {part}: {words}" for part, words in done.work.items()),
        f"  {len(inputs)} files, {received:,} rows: {loaded:,} loaded, {received - loaded:,} set aside",
        f"  data quality: {done.verdict}, see data_quality/index.html",
        f"  {people:,} people"
        + "".join(f", {each['people']:,} {each['person_status']}" for each in manifest["people"]),
    ]
    lines += holding.in_words(done.manifest)
    for pathway in manifest["rules"]["pathways"]:
        mine = [each for each in manifest["decisions"] if each["pathway"] == pathway]
        draft = ", a draft: no list is published" if pathway in manifest["rules"]["drafts"] else ""
        lines.append(f"  {pathway}: {sum(each['people'] for each in mine):,} people{draft}")
        lines += [f"    {each['people']:>7,}  {each['decision']}: {each['reason']}" for each in mine]
    placed = run_trail.added_up(manifest["placements"], "placement")
    lines.append("  this week: " + ", ".join(f"{count:,} {name}" for name, count in placed.items()))
    unknown = sum(each["codes"] for each in manifest["unmatched_codes"])
    lines.append(f"  {unknown:,} codes that no codelist knows: data_quality/unmatched_codes.csv")
    values = [f"{each['count']:,} {each['measure']}" for each in manifest["steps"] if each["step"] == _UNUSABLE]
    if values:
        lines.append(f"  values kept but not used: {', '.join(values)}")
    for step in (returned.STEP, _DAMAGED, _SLICE_LEFT_OUT, _SLICE_SMALL, _PASSED_OVER):
        lines += [
            f"  {step}: {each['measure']} ({each['count']:,} rows)"
            for each in manifest["steps"]
            if each["step"] == step
        ]
    unused = [each["measure"] for each in manifest["steps"] if each["step"] == _UNUSED]
    if unused:
        named = ", ".join(unused[:_MOST_NAMED]) + (" …" if len(unused) > _MOST_NAMED else "")
        lines.append(f"  {len(unused):,} codelists that match nothing in these data: {named}")
    outputs = (each["file"] for each in manifest["outputs"])
    lines.append(f"  {publish.team_pages_in_words(outputs, is_test=manifest['is_test'])}")
    lines.append(f"Outputs: {done.published}")
    return "\n".join(lines)
