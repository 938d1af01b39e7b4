"""Which lists a run holds: where the counts of data quality meet what the definitions read.

Softens the verdicts of ``quality`` to holds of the lists that ``fitness`` says they touch, notes them in
``audit.held_list`` for the stages to come, counts the people they touch, and says them in words. Does not belong:
counting rows (``quality``), what depends on what (``fitness``), who gets a place (``routing``), notices (``publish``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any

import polars as pl

from stratify import contracts, fitness, ingest, publish, quality, set_aside
from stratify.contracts import TableContract
from stratify.errors import QualityError
from stratify.fitness import CodeGroup, Doubt, Fall, Hold
from stratify.ingest import OPTIONAL_TABLES
from stratify.publish import HeldList
from stratify.quality import RuleResult
from stratify.refusals import UNFIT
from stratify.rulebook import RuleBook
from stratify.runs import Plan, earlier_counts
from stratify.store import Store

Settled = tuple[list[RuleResult], list[Hold]]


def rejected_percent(store: Store, table: TableContract) -> float:
    """Give the share of a table's rows that rules set aside, whole or in a critical column: the worst set's, 0 to 100.

    A set counts alone when it is large enough to tell a changed feed from a few bad rows; so do all together.
    """
    return _percent(store, table, [column.name for column in table.columns if column.is_critical])


def _percent(store: Store, table: TableContract, columns: list[str]) -> float:
    return set_aside.worst_share(store, table.table, columns).percent


def _lost_columns(store: Store, table: TableContract) -> tuple[str, ...]:
    """Give the critical columns in which more was lost than may be; none where too many whole rows were, too.

    When no column alone is above the limit, but all together are, every column that lost something is given.
    """
    limit = next((rule.limit for rule in table.rules if rule.kind == "rejected_percent"), None)
    critical = [column.name for column in table.columns if column.is_critical]
    whole = _percent(store, table, [])
    if limit is None or whole > limit:
        return ()
    shares = {name: _percent(store, table, [name]) for name in critical}
    above = tuple(name for name, percent in shares.items() if percent > limit)
    return above or tuple(name for name, percent in shares.items() if percent > whole)


def old_feeds(plan: Plan) -> list[RuleResult]:
    """Give a result for each feed that is older than the settings allow."""
    most_days: dict[str, int] = {str(table): days for table, days in plan.settings.most_days_old.items()}
    old = fitness.old_feeds(plan.data_cutoffs, most_days, index_date=plan.settings.index_date)
    return [
        RuleResult(
            table=f"landing.{table}",
            rule_id=f"{quality.FITNESS}01-age",
            column=None,
            severity="error",
            row_count=sum(each.row_count for each in plan.files if each.table == table),
            failed_count=1,
            verdict="stop",
            description=f"Ends {days} days before the index date; {most_days[table]} are allowed.",
            is_about_table=True,
        )
        for table, days in old.items()
    ]


def lost_feeds(plan: Plan) -> list[RuleResult]:
    """Give a result for each feed whose newest file is not read: a stop for one not received, else a warning."""
    return [
        RuleResult(
            table=f"landing.{each.table}",
            rule_id=f"{quality.FITNESS}04-feed",
            column=None,
            severity="error",
            row_count=sum(file.row_count for file in plan.files if file.table == each.table),
            failed_count=1,
            verdict="stop" if each.used_to is None else "warn",
            description=f"{_lost(each.used_to)}. "
            + " ".join(f"{why.where}: expected {why.expected}; found {why.found}." for why in each.refusals),
            is_about_table=True,
        )
        for each in plan.lost
    ]


def _lost(used_to: date | None) -> str:
    """Say in a sentence what is read instead of a feed's newest file."""
    if used_to is None:
        return "Not received: the newest file was refused or is missing, and there is no earlier one"
    return f"The newest file was refused or is missing: what came before is used, up to {used_to.isoformat()}"


def feed_notices(plan: Plan) -> tuple[str, ...]:
    """Say in a sentence what is read instead of each feed that a list may read, for whoever uses the lists."""
    return tuple(
        f"{publish.source_in_words(each.table)}: {_lost(each.used_to)}."
        for each in plan.lost
        if each.table not in OPTIONAL_TABLES
    )


def respelled(store: Store, plan: Plan) -> list[RuleResult]:
    """Give a warning for each extract table with ICD-10 codes in another spelling, which were put right (C3)."""
    return [
        RuleResult(
            table=f"landing.{table}",
            rule_id=f"{quality.FITNESS}06-spelling",
            column=None,
            severity="warning",
            row_count=rows,
            failed_count=count,
            verdict="warn",
            description="An ICD-10 code is written otherwise than J440: with a point, in lower case, with blanks, a "
            "dagger or a dash behind it, or filled up with X. It was put right and used.",
        )
        for table, (rows, count) in ingest.count_respelled(store, plan.files).items()
        if count
    ]


def settle(store: Store, book: RuleBook, results: Sequence[RuleResult], *, before: Settled = ([], [])) -> Settled:
    """Soften a stop to a hold of the lists it touches, or to a warning where it touches none, and note both.

    Args:
        store: The run's store; for results of extract tables with what was set aside in them.
        book: The rule book.
        results: Results as counted.
        before: What was settled before in this run.

    Returns:
        All results and holds so far.

    Raises:
        QualityError: a verdict is stop, or nothing would be left to publish.
    """
    settled, holds = list(before[0]), list(before[1])
    for each in results:
        result = each
        if each.verdict == "stop" and not fitness.is_structural(each.table):
            mine = _holds_of(store, each, book)
            result = replace(each, verdict="hold" if mine else "warn")
            holds += mine
        settled.append(result)
    _note(store, settled, holds)
    stop_if_unfit(settled, holds, book)
    return settled, holds


def _holds_of(store: Store, result: RuleResult, book: RuleBook) -> list[Hold]:
    layer, table = result.table.split(".")
    columns: tuple[str, ...] = (result.column,) if result.column else ()
    if layer == "landing" and any(
        rule.id == result.rule_id and rule.kind == "rejected_percent" for rule in contracts.load(result.table).rules
    ):
        columns = _lost_columns(store, contracts.load(result.table))
    reason = f"{publish.source_in_words(result.table)}: {result.description.split('. ')[0].rstrip('.')}"
    return fitness.holds(book, Doubt(table, columns), table=result.table, rule_id=result.rule_id, reason=reason)


def _note(store: Store, results: Sequence[RuleResult], holds: Sequence[Hold]) -> None:
    store.create("audit.quality_result", quality.results_frame(results))
    rows = [
        (
            each.table,
            each.rule_id,
            each.pathway,
            each.practice_code or _EVERYWHERE,
            ";".join(each.scores) or None,
            ";".join(each.clinics),
            each.reason,
            None,
        )
        for each in holds
    ]
    schema = dict.fromkeys(contracts.load("audit.held_list").column_names, pl.String) | {"people_count": pl.Int64}
    store.create("audit.held_list", pl.DataFrame(rows, schema=schema, orient="row"))


_EVERYWHERE = "all"


def held(store: Store) -> list[HeldList]:
    """Give what is held, from what the stages before noted."""
    return [
        HeldList(
            table=row["table_name"],
            rule_id=row["rule_id"],
            pathway=row["pathway"],
            practice_code=None if row["practice_code"] == _EVERYWHERE else row["practice_code"],
            scores=tuple(row["scores"].split(";")) if row["scores"] else (),
            clinics=tuple(row["clinics"].split(";")),
            reason=row["reason"],
            people=row["people_count"] or 0,
        )
        for row in store.frame("SELECT * FROM audit.held_list ORDER BY ALL").to_dicts()
    ]


def stop_if_unfit(results: Sequence[RuleResult], holds: Sequence[Hold | HeldList], book: RuleBook) -> None:
    """Stop on a stop; and when every list would be held, since the last good ones are better than none."""
    stops = [each for each in results if each.verdict == "stop"]
    expected = "no check that makes everything doubtful"
    if not stops and set(book.published) <= {each.pathway for each in holds if each.practice_code is None}:
        stops = [each for each in results if each.verdict == "hold"]
        expected = "something left to publish"
    if stops:
        listed = "; ".join(
            f"{each.table} {each.rule_id}: "
            + ("" if each.is_about_table else f"{each.failed_count} of {each.row_count} rows, ")
            + each.description.rstrip(".")
            for each in stops
        )
        raise QualityError(
            UNFIT,
            expected=expected,
            found=listed,
            action="Ask the supplier for a corrected extract; the last good lists stay in place.",
        )


def check_codes(store: Store, plan: Plan, book: RuleBook) -> None:
    """Check codes against codelists: one that finds nobody at a practice, one that finds far fewer people than in the
    runs before, and medicines without a product in use.

    Raises:
        QualityError: nothing would be left to publish.
    """
    mine = tuple(f"{quality.FITNESS}{number}" for number in ("02", "03", "05"))
    groups = fitness.code_groups(book)
    wanted = [(each.variable, each.kind, codelist) for each in groups for codelist in each.codelists]
    with_entries = quality.people_with_entries(store, wanted, index_date=plan.settings.index_date)
    silences = fitness.silent_codelists(
        groups, quality.people_by_practice(store, index_date=plan.settings.index_date), with_entries
    )
    found: list[RuleResult] = []
    more: list[Hold] = []
    for each in silences:
        table = _TABLES[each.group.kind]
        rule_id = f"{quality.FITNESS}02-{each.group.variable}-{each.practice_code}"
        doubt = Doubt(table, codelists=each.group.codelists, practice_code=each.practice_code)
        reason = (
            f"{publish.source_in_words(table)}: nothing of the practice's records means "
            f"'{each.group.label}', which the other practices' records lead one to expect"
        )
        more += fitness.holds(book, doubt, table=f"core.{table}", rule_id=rule_id, reason=reason)
        found.append(
            _coding_result(
                f"core.{table}",
                rule_id,
                each.people,
                f"At practice {each.practice_code} nobody of {each.people:,} has an entry of "
                f"{', '.join(each.group.codelists)}; about {each.expected:,} expected by age and the other practices.",
            )
        )
    for fall in _fallen(store, plan, book, groups, with_entries):
        table = _TABLES[fall.group.kind]
        rule_id = f"{quality.FITNESS}05-{fall.group.variable}"
        reason = (
            f"{publish.source_in_words(table)}: at all practices together far fewer people than in the weeks before "
            f"have records that mean '{fall.group.label}'"
        )
        doubt = Doubt(table, codelists=fall.group.codelists)
        more += fitness.holds(book, doubt, table=f"core.{table}", rule_id=rule_id, reason=reason)
        found.append(
            _coding_result(
                f"core.{table}",
                rule_id,
                fall.people,
                f"{fall.people:,} people have an entry of {', '.join(fall.group.codelists)}; about "
                f"{fall.expected:,} expected by the runs before.",
            )
        )
    result, products = _products(store, book)
    found += [result] if result else []
    more += products
    hold_more(store, book, found, more, instead_of=mine)


def _fallen(
    store: Store, plan: Plan, book: RuleBook, groups: Sequence[CodeGroup], with_entries: pl.DataFrame
) -> list[Fall]:
    """Note how many people the codelists find in this run, and compare that with the runs before.

    A codelist that was changed is another one, and is compared with nothing.
    """
    names: dict[str, CodeGroup] = {}
    found: dict[CodeGroup, int] = {}
    for group in groups:
        digests = "".join(book.codelists[name].entry.sha256 for name in group.codelists)
        names[f"{group.variable} {group.kind} {hashlib.sha256(digests.encode()).hexdigest()[:8]}"] = group
        mine = with_entries.filter((pl.col("variable") == group.variable) & (pl.col("kind") == group.kind))
        found[group] = int(mine["people"].sum())
    quality.note_codelists(store, {name: found[group] for name, group in names.items()})
    history = quality.earlier(quality.read_history(earlier_counts(plan.settings.out)), plan.settings.index_date)
    before = [
        ({names[name]: count for name, count in counts.items() if name in names}, people)
        for counts, people in quality.codelists_before(history)
    ]
    registered = "SELECT coalesce(sum(people_count), 0)::BIGINT FROM audit.practice_count WHERE table_name = 'person'"
    return fitness.fallen_codelists(found, int(store.scalar(registered)), before)


def _products(store: Store, book: RuleBook) -> tuple[RuleResult | None, list[Hold]]:
    """Check that medicine issues name a product in use.

    A feed in which none does is coded in another system, and nothing was lost of late: that is a warning.
    """
    without, coded, issues = quality.products_not_in_use(store)
    percent = 100 * without / max(issues, 1)
    if percent <= fitness.MOST_UNKNOWN_PRODUCTS:
        return None, []
    table, rule_id = "core.gp_medication", f"{quality.FITNESS}03-products"
    text = f"More than {fitness.MOST_UNKNOWN_PRODUCTS:g} % of issues have no product in use: unmapped or withdrawn"
    result = _coding_result(table, rule_id, issues, f"{text} ({percent:.1f} %).")
    if not coded:
        return replace(result, verdict="warn", description="No issue has a dm+d id or a place in the BNF."), []
    reason = f"{publish.source_in_words('gp_medication')}: {text}"
    doubt = Doubt("gp_medication", ("dmd_code",))
    return result, fitness.holds(book, doubt, table=table, rule_id=rule_id, reason=reason)


_TABLES = {"event": "gp_event", "measurement": "gp_observation", "issue": "gp_medication"}
"""Where the entries of a kind stand first of all."""


def _coding_result(table: str, rule_id: str, row_count: int, description: str) -> RuleResult:
    return RuleResult(
        table=table,
        rule_id=rule_id,
        column="dmd_code" if table == "core.gp_medication" else "snomed_code",
        severity="error",
        row_count=row_count,
        failed_count=1,
        verdict="hold",
        description=description,
        is_about_table=True,
    )


def hold_more(
    store: Store,
    book: RuleBook,
    results: Sequence[RuleResult],
    holds: Sequence[Hold],
    *,
    instead_of: tuple[str, ...],
) -> None:
    """Note more holds in the place of those whose check begins with one of some ids, so that a second try adds none.

    Raises:
        QualityError: nothing would be left to publish.
    """
    results = [*(each for each in quality_results(store) if not each.rule_id.startswith(instead_of)), *results]
    before = [_as_hold(each) for each in held(store) if not each.rule_id.startswith(instead_of)]
    _note(store, results, [*before, *holds])
    stop_if_unfit(results, held(store), book)


def _as_hold(each: HeldList) -> Hold:
    return Hold(**{field.name: getattr(each, field.name) for field in fields(Hold)})


def reasons_by_list(store: Store) -> dict[tuple[str, str | None], str]:
    """Give why each list is held, by pathway and practice; None for every practice."""
    return fitness.reasons_by_list(_as_hold(each) for each in held(store))


def count_people(store: Store) -> None:
    """Count the people each hold touches, once everybody has a place or none."""
    store.execute(_COUNT_HELD)


_COUNT_HELD = """
UPDATE audit.held_list SET people_count = (
    SELECT count(*) FROM derived.placement AS p WHERE p.placement = 'list_held' AND p.pathway = held_list.pathway
    AND held_list.practice_code IN ('all', p.practice_code)
)
"""


def touched_in_words(store: Store, book: RuleBook, results: Sequence[RuleResult]) -> dict[tuple[str, str], list[str]]:
    """Say beside each failed check which lists it holds and how many people that touches, or who reads what failed."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in held(store):
        pathway = book.pathways[each.pathway]
        where = f" at {each.practice_code}" if each.practice_code else ""
        clinics = ", ".join(pathway.clinic(name).label for name in each.clinics)
        scores = ", ".join(book.scores[name].label for name in each.scores)
        found.setdefault((each.table, each.rule_id), []).append(
            f"Holds {pathway.label}{where}: {each.people:,} people. Clinics: {clinics}."
            + (f" Scores: {scores}." if scores else "")
        )
    for result in results:
        layer, table = result.table.split(".")
        if result.failed_count and (result.table, result.rule_id) not in found and layer != "out":
            found[result.table, result.rule_id] = [_reads_in_words(book, table, result.column)]
    return found


def _reads_in_words(book: RuleBook, table: str, column: str | None) -> str:
    if fitness.is_structural(table):
        return "Read for every list."
    read = fitness.touched(book, Doubt(table, (column,) if column else ()))
    names = [book.pathways[name].label for name in read.pathways]
    names += [f"{book.pathways[name].label} (shown only)" for name in read.shown_on]
    return f"Holds nothing. Read for {', '.join(names)}." if names else "Holds nothing. No list reads it."


def quality_results(store: Store) -> list[RuleResult]:
    """Give the results of the run so far."""
    return quality.results_from(store.frame("SELECT * FROM audit.quality_result"))


def in_words(manifest: Mapping[str, Any]) -> list[str]:
    """Say which feeds a finished run did not read and which lists it holds, a line each; no line where none."""
    lines = []
    for each in manifest["lost_feeds"]:
        used_to = date.fromisoformat(each["used_to"]) if each["used_to"] else None
        source = publish.source_in_words(each["table_name"])
        lines.append(f"  NOT READ: {source}: {_lost(used_to)}. {' '.join(each['why'].split())}")
    for each in manifest["held"]:
        where = "everywhere" if each["practice_code"] == _EVERYWHERE else f"at {each['practice_code']}"
        lines.append(f"  HELD: {each['pathway']} {where}, {each['people']:,} people: {each['reason']}")
    return lines
