"""Two versions of the definitions on the people of a finished run: who gets another tier or decision, and why.

Works the variables, scores and pathways of both rule books from the run's core tables, each in a scratch store that is
thrown away, and counts. Writes nothing into the run. Not worked again: how rows were read, so that a changed
measurement (units, plausible values, codes) shows only after a run with it.

Every count is under disclosure control, like what commissioners get: 1 to 7 hidden, the rest rounded to 5.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import narwhals.stable.v2 as nw
import polars as pl

from stratify import engine, hits, ingest, scores
from stratify.disclosure import LARGEST_HIDDEN, Sum, protect
from stratify.errors import RunError
from stratify.plain_english import condition_in_words
from stratify.reckoning import decide_everybody, score_everybody, scored_rows, work_values
from stratify.rule_pages import pages
from stratify.rule_versions import changes, versions_of
from stratify.rulebook import RuleBook
from stratify.rules import Condition
from stratify.runs import without_values
from stratify.store import Store, open_store

MOST_LINES = 40
EVERYBODY = "everybody"

_OUTCOMES = """
CREATE OR REPLACE TABLE work.outcome AS
SELECT 'score ' || score AS definition, patient_key,
    CASE WHEN o.score IS NULL THEN 'no score' ELSE coalesce(o.tier, $not_graded) END AS before,
    CASE WHEN n.score IS NULL THEN 'no score' ELSE coalesce(n.tier, $not_graded) END AS after
FROM (SELECT * FROM old.derived.patient_score WHERE score IN (SELECT unnest($tiered))) AS o
FULL JOIN (SELECT * FROM derived.patient_score WHERE score IN (SELECT unnest($tiered))) AS n
USING (patient_key, score)
UNION ALL
SELECT 'score ' || score, patient_key,
    CASE WHEN o.score IS NULL THEN 'no score' WHEN o.value IS NULL THEN 'no value' ELSE 'a value' END,
    CASE WHEN n.score IS NULL THEN 'no score' WHEN n.value IS NULL THEN 'no value'
        WHEN n.value > o.value THEN 'a higher value' WHEN n.value < o.value THEN 'a lower value' ELSE 'a value' END
FROM (SELECT * FROM old.derived.patient_score WHERE score NOT IN (SELECT unnest($tiered))) AS o
FULL JOIN (SELECT * FROM derived.patient_score WHERE score NOT IN (SELECT unnest($tiered))) AS n
USING (patient_key, score)
UNION ALL
SELECT 'pathway ' || pathway, patient_key,
    coalesce(o.decision || coalesce(': ' || o.clinic_id, ''), 'not on the pathway'),
    coalesce(n.decision || coalesce(': ' || n.clinic_id, ''), 'not on the pathway')
FROM old.derived.pathway_decision AS o FULL JOIN derived.pathway_decision AS n USING (patient_key, pathway)
"""

_GROUPS = """
SELECT patient_key,
    CASE WHEN age_years IS NULL THEN 'not known' WHEN age_years < 18 THEN '0 to 17' WHEN age_years < 40 THEN '18 to 39'
        WHEN age_years < 65 THEN '40 to 64' WHEN age_years < 75 THEN '65 to 74' WHEN age_years < 85 THEN '75 to 84'
        ELSE '85 and over' END AS age_band,
    CASE sex WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' ELSE 'other or not known' END AS sex,
    CASE WHEN ethnic_category IN ('A', 'B', 'C') THEN 'White' WHEN ethnic_category IN ('D', 'E', 'F', 'G') THEN 'Mixed'
        WHEN ethnic_category IN ('H', 'J', 'K', 'L') THEN 'Asian or Asian British'
        WHEN ethnic_category IN ('M', 'N', 'P') THEN 'Black or Black British'
        WHEN ethnic_category IN ('R', 'S') THEN 'Other ethnic groups' ELSE 'not known' END AS ethnicity,
    coalesce('quintile ' || CAST(ceil(imd_decile / 2) AS BIGINT), 'not known') AS deprivation,
    coalesce(practice_code, 'not known') AS practice
FROM core.person
"""
"""Groups of people; ethnic category codes 2001 by their national groups, quintile 1 is the most deprived."""

BREAKDOWNS = ("age_band", "sex", "ethnicity", "deprivation", "practice")
_KEY = ("definition", "breakdown", "group", "before", "after")
_SUMS = (
    Sum(
        "groups of a breakdown",
        pl.col("breakdown") != EVERYBODY,
        {"breakdown": pl.lit(EVERYBODY), "group": pl.lit(EVERYBODY)},
        within=("breakdown",),
    ),
)


@dataclass(frozen=True)
class Comparison:
    """What two rule books say of the people of a run.

    Attributes:
        definitions: Which definitions differ, and what they say differently, in words.
        moved: Definition, breakdown, group, before, after, people_count (None: hidden), is_suppressed; those of whom
            nothing changes (before = after) too, wherever a definition moves somebody.
        why: Definition, reason, people_count, is_suppressed: what is different for those who moved. Reasons overlap.
    """

    definitions: tuple[str, ...]
    moved: pl.DataFrame
    why: pl.DataFrame


@without_values
def compare(old: RuleBook, new: RuleBook, out: Path) -> Comparison:
    """Work both rule books on the people of a finished run, and count who moves.

    Args:
        old: The definitions of before.
        new: Those of after.
        out: Output folder of a finished run.

    Raises:
        RunError: the folder holds no finished run.
    """
    restricted = (out / "restricted").resolve()
    if not (restricted / "plan.json").is_file():
        raise RunError(
            f"output folder {out.name}", expected="a finished run", found="none", action="Run first, or correct --on."
        )
    plan = json.loads((restricted / "plan.json").read_text(encoding="utf-8"))
    index_date = date.fromisoformat(plan["settings"]["index_date"])
    limits = {name: plan["settings"].get(name) for name in ("memory_limit", "threads")}
    # Beside the run's own store: what lies there is as restricted.
    with TemporaryDirectory(prefix=".rules-diff-", dir=restricted) as name:
        scratch = Path(name)
        with open_store(scratch / "old.duckdb", temp_directory=scratch, **limits) as store:
            reckon(store, restricted / "run.duckdb", old, index_date)
        with open_store(scratch / "new.duckdb", temp_directory=scratch, **limits) as store:
            reckon(store, restricted / "run.duckdb", new, index_date)
            store.attach(scratch / "old.duckdb", "old", read_only=True)
            _settle_outcomes(store, (old, new))
            moved = count_moves(store)
            why = _why(store, old, new, index_date)
    return Comparison(tuple(_definitions(old, new)), moved, why)


def reckon(store: Store, run: Path, book: RuleBook, index_date: date) -> None:
    """Do the stages of a run from its core tables on, up to the decisions."""
    store.attach(run, "run", read_only=True)
    for name in ("person", *hits.SOURCE_TABLES):
        store.execute(f"CREATE VIEW core.{name} AS SELECT * FROM run.core.{name}")
    ingest.match_codes(store, list(book.codelists.values()))
    work_values(store, book, index_date=index_date)
    score_everybody(store, book, index_date=index_date)
    decide_everybody(store, book, index_date=index_date)


def _settle_outcomes(store: Store, books: Sequence[RuleBook]) -> None:
    tiered = sorted({name for book in books for name, each in book.scores.items() if each.tiers})
    names = ", ".join(f"'{name}'" for name in tiered)
    sql = _OUTCOMES.replace("SELECT unnest($tiered)", f"SELECT unnest([{names}]::VARCHAR[])")
    store.execute(sql.replace("$not_graded", "'not graded'"))
    store.execute(
        "DELETE FROM work.outcome WHERE definition NOT IN (SELECT definition FROM work.outcome WHERE before <> after)"
    )


def count_moves(store: Store) -> pl.DataFrame:
    """Count who moves, by group, under disclosure control.

    Args:
        store: A store with ``core.person``, and ``work.outcome``: ``definition``, ``patient_key``, ``before`` and
            ``after``.

    Returns:
        ``moved`` of :class:`Comparison`.
    """
    groups = {EVERYBODY: f"'{EVERYBODY}'", **{name: name for name in BREAKDOWNS}}
    finest = (
        f"SELECT *, count(*) AS people FROM (SELECT * EXCLUDE patient_key FROM work.outcome JOIN ({_GROUPS}) "
        "USING (patient_key)) GROUP BY ALL"
    )
    parts = " UNION ALL ".join(
        f"SELECT definition, '{name}' AS breakdown, {group} AS \"group\", before, after, "
        "sum(people)::BIGINT AS people_count FROM finest GROUP BY ALL"
        for name, group in groups.items()
    )
    counted = store.frame(f"WITH finest AS MATERIALIZED ({finest}) SELECT * FROM ({parts}) ORDER BY ALL")
    return protect(counted, count="people_count", key=_KEY, sums=_SUMS)


def _why(store: Store, old: RuleBook, new: RuleBook, index_date: date) -> pl.DataFrame:
    """Count, of those who moved, for how many each variable or condition is another than it was."""
    found: list[tuple[str, str, int]] = []
    for (definition,) in store.rows("SELECT DISTINCT definition FROM work.outcome ORDER BY ALL"):
        depends, asked = zip(*(_asked(definition, book) for book in (old, new)), strict=True)
        store.execute(
            "CREATE OR REPLACE TABLE work.mover AS "
            "SELECT patient_key FROM work.outcome WHERE definition = $1 AND before <> after",
            [definition],
        )
        differing = store.rows(_DIFFERING, [sorted({*depends[0], *depends[1]})])
        found += [(definition, f"{_label(name, old, new)} ({name}) is another", count) for name, count in differing]
        words = [{condition_in_words(each, book): each for each in conditions}
                 for book, conditions in zip((old, new), asked, strict=True)]  # fmt: skip
        for which, book, values in ((0, old, "old.derived.variable_value"), (1, new, "derived.variable_value")):
            only = {text: each for text, each in words[which].items() if text not in words[1 - which]}
            verb = "no longer asked, and held" if which == 0 else "now asked, and holds"
            found += [
                (definition, f"{verb}: {text}", count)
                for text, count in _holding(store, definition, only, book, values, index_date)
            ]
        known = int(store.scalar(_WITH_A_REASON, [sorted({*depends[0], *depends[1]})]))
        rest = int(store.scalar("SELECT count(*) FROM work.mover")) - known
        if rest:
            found.append((definition, "no value is another: the rules themselves, or a score they use", rest))
    frame = pl.DataFrame(
        found, schema={"definition": pl.String, "reason": pl.String, "people_count": pl.Int64}, orient="row"
    ).unique()
    return protect(frame, count="people_count", key=("definition", "reason"), sums=())


_DIFFERENT_VALUES = """
    SELECT DISTINCT patient_key, variable
    FROM (SELECT * FROM old.derived.variable_value SEMI JOIN work.mover USING (patient_key)) AS o
    FULL JOIN (SELECT * FROM derived.variable_value SEMI JOIN work.mover USING (patient_key)) AS n
        USING (patient_key, variable)
    WHERE variable IN (SELECT unnest($1)) AND (o.value IS DISTINCT FROM n.value OR o.state IS DISTINCT FROM n.state
        OR o.bound IS DISTINCT FROM n.bound)
"""
_DIFFERING = f"SELECT variable, count(*) FROM ({_DIFFERENT_VALUES}) GROUP BY ALL ORDER BY ALL"
_WITH_A_REASON = f"SELECT count(DISTINCT patient_key) FROM ({_DIFFERENT_VALUES})"


def _asked(definition: str, book: RuleBook) -> tuple[tuple[str, ...], tuple[Condition, ...]]:
    """Give the variables a definition depends on, and the conditions it asks itself; nothing where it is not there."""
    kind, name = definition.split(" ")
    if kind == "score" and name in book.scores:
        return book.variables_of_score(name), book.scores[name].conditions
    if kind == "pathway" and name in book.pathways:
        conditions = book.pathways[name].conditions
        return tuple(leaf for each in conditions for leaf in book.variables_of(each)), conditions
    return (), ()


def _holding(
    store: Store, definition: str, conditions: dict[str, Condition], book: RuleBook, values: str, index_date: date
) -> list[tuple[str, int]]:
    """Count, of those who moved, for how many each condition holds; those that hold for nobody are left out."""
    if not conditions:
        return []
    own = book.cut_down_to(definition.split(" ")[1])
    rows = engine.settle(store, "work.asked", scored_rows(store, own, index_date=index_date, values=values))
    mine = rows.join(engine.table(store, "work.mover"), on="patient_key", how="semi")
    names = list(conditions)
    counted = mine.select(
        *(
            nw.when(scores.truth(conditions[text], book)).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias(f"n_{place}")
            for place, text in enumerate(names)
        )
    )
    (row,) = engine.rows(store, counted).to_dicts()
    return [(text, int(row[f"n_{place}"])) for place, text in enumerate(names) if row[f"n_{place}"]]


def _label(name: str, old: RuleBook, new: RuleBook) -> str:
    each = new.variables.get(name) or old.variables.get(name)
    return each.label if each else name


def _definitions(old: RuleBook, new: RuleBook) -> list[str]:
    """Give the definitions that differ, by version, and then what the rule book says differently."""
    lines = [each.in_words() for each in changes(versions_of(old), versions_of(new))]
    before, after = (_told(book) for book in (old, new))
    heading = ""
    for tag, first, last, one, other in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for sign, (under, text) in [
            *(("-", each) for each in before[first:last]),
            *(("+", each) for each in after[one:other]),
        ]:
            if under != heading:
                lines.append(under)
                heading = under
            lines.append(f"  {sign} {text}")
    return lines


def _told(book: RuleBook) -> list[tuple[str, str]]:
    """Give the lines of the rule book with the page each stands on; examples left out, what is read told once."""
    found: list[tuple[str, str]] = []
    read: set[str] = set()
    for page in pages(book).values():
        title = section = ""
        for line in page.splitlines():
            if line.startswith("# "):
                title = line.removeprefix("# ")
            elif line.startswith("## "):
                section = line.removeprefix("## ")
            is_told = section not in ("Example patients", "Versions") and not line.startswith(("#", "<"))
            if is_told and line.strip() and not (section.startswith("What it reads") and line in read):
                found.append((title, line.strip()))
                read |= {line} if section.startswith("What it reads") else set()
    return found


def write_csv(comparison: Comparison, file: Path) -> None:
    """Write who moves as a CSV: every group, those who stay where they are too; a hidden count is empty."""
    file.write_text(comparison.moved.write_csv(), encoding="utf-8", newline="")


def in_words(comparison: Comparison) -> str:
    """Say what changed, who moves and why; hidden counts are called few."""
    lines = ["Definitions that differ:"]
    lines += [f"  {each}" for each in comparison.definitions[:MOST_LINES]] or ["  none"]
    if len(comparison.definitions) > MOST_LINES:
        lines.append(f"  … and {len(comparison.definitions) - MOST_LINES} more lines")
    moves = comparison.moved.filter(pl.col("before") != pl.col("after"))
    for definition in moves["definition"].unique().sort().to_list():
        mine = moves.filter(pl.col("definition") == definition)
        lines += ["", definition]
        for breakdown in (EVERYBODY, *BREAKDOWNS):
            rows = mine.filter(pl.col("breakdown") == breakdown).to_dicts()
            if breakdown != EVERYBODY and all(row["is_suppressed"] for row in rows):
                lines.append(f"  by {breakdown.replace('_', ' ')}: few in every group")
                continue
            lines += [f"  by {breakdown.replace('_', ' ')}"] if breakdown != EVERYBODY else []
            for row in rows:
                who = "" if breakdown == EVERYBODY else f"{row['group']}: "
                lines.append(f"  {_count(row)}  {who}{row['before']} → {row['after']}")
        reasons = comparison.why.filter(pl.col("definition") == definition).sort("reason").to_dicts()
        lines += ["  why"] + [f"  {_count(row)}  {row['reason']}" for row in reasons]
    if moves.is_empty():
        lines += ["", "Nobody in this run gets another tier or decision."]
    lines += [
        "",
        f"Counts are rounded to 5; few: 1 to {LARGEST_HIDDEN}, or hidden so that none of those can be worked out.",
    ]
    return "\n".join(lines)


def _count(row: dict[str, object]) -> str:
    return f"{'few' if row['is_suppressed'] else row['people_count']:>8}"
