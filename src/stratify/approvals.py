"""What a site has decided about its pathways, applied to a run: where they are on, who signed, how long lists may be.

Moves the decisions of pathways that are off at a practice out of the way, holds the lists of pathways that are not
signed off, and those that are longer or shorter than was signed. Does not belong: what the settings mean (``rollout``,
``sign_off``), who gets a place (``routing``), how a hold is noted (``holding``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import polars as pl

from stratify import fitness, holding, periods, quality, rollout, sign_off
from stratify.errors import SettingsError
from stratify.fitness import Hold
from stratify.quality import RuleResult
from stratify.rule_versions import digest_of_pathway
from stratify.rulebook import RuleBook
from stratify.runs import Plan
from stratify.sign_off import SignOff
from stratify.store import Store

COMPARATORS = "work.comparator_decision"
"""Decisions of pathways that are off at the person's practice, with the columns of ``derived.pathway_decision``."""

_NOT_SIGNED, _OUTSIDE = f"{quality.FITNESS}07-sign-off", f"{quality.FITNESS}08-bounds"
_TABLE = "derived.placement"

Placing = Callable[[Mapping[tuple[str, str | None], str]], pl.DataFrame]
"""Gives out places, told why lists are held."""


def places_off(store: Store, plan: Plan, book: RuleBook) -> frozenset[tuple[str, str | None]]:
    """Give where pathways are off in a run, by pathway and practice; None for people without a practice."""
    if not plan.settings.rollout:
        return frozenset()
    return frozenset(
        rollout.switched_off(
            plan.settings.rollout, sorted(book.pathways), dict(store.rows(_NETWORKS)), plan.settings.index_date
        )
    )


_NETWORKS = """
SELECT practice_code, max(pcn_code) FROM core.person WHERE practice_code IS NOT NULL GROUP BY ALL
UNION ALL SELECT DISTINCT practice_code, NULL FROM core.practice
WHERE practice_code NOT IN (SELECT practice_code FROM core.person WHERE practice_code IS NOT NULL) ORDER BY ALL
"""


def set_comparators_apart(store: Store, plan: Plan, book: RuleBook) -> int:
    """Move what pathways decided at practices where they are off to a table of its own: nothing else reads it.

    Returns:
        How many decisions that is; not eligible ones count too.

    Raises:
        SettingsError: an entry of the roll-out names a practice or network that is not in the practice reference.
    """
    known = store.rows("SELECT practice_code FROM core.practice UNION SELECT pcn_code FROM core.practice")
    rollout.check(plan.settings.rollout, book.pathways, [code for (code,) in known])
    off = sorted(places_off(store, plan, book), key=lambda each: (each[0], each[1] or ""))
    frame = pl.DataFrame(off, schema={"pathway": pl.String, "practice_code": pl.String}, orient="row")
    with store.loaned(frame) as loan:
        store.execute(
            f"CREATE OR REPLACE TABLE {COMPARATORS} AS SELECT d.* FROM derived.pathway_decision AS d "
            f"JOIN core.person AS p USING (patient_key) JOIN {loan} AS o "
            "ON o.pathway = d.pathway AND o.practice_code IS NOT DISTINCT FROM p.practice_code "
            "ORDER BY d.patient_key, d.pathway"
        )
    moved = f"(SELECT patient_key, pathway FROM {COMPARATORS})"
    store.execute(f"DELETE FROM derived.pathway_decision WHERE (patient_key, pathway) IN {moved}")
    return int(store.scalar(f"SELECT count(*) FROM {COMPARATORS}"))


def place_within_bounds(store: Store, plan: Plan, book: RuleBook, place: Placing) -> pl.DataFrame:
    """Give out places, with the lists held that are not signed off, or outside what was signed.

    A list that turns out too long or too short is held and places are given out once more, since its people may have
    another need. Holds are only ever added, so this ends.

    Raises:
        SettingsError: no pathway is signed off.
        QualityError: no list would be left.
    """
    signatures = plan.settings.sign_offs
    if signatures is None:
        return place(holding.reasons_by_list(store))
    refused = unsigned(plan, book, day=plan.settings.index_date)
    if set(book.pathways) <= set(refused):
        raise SettingsError(
            "sign_offs",
            expected="a signature that holds under at least one pathway",
            found="; ".join(f"{name}: {why}" for name, why in refused.items()),
            action="Have them signed (`stratify rules digests`), or leave sign_offs out; the last lists stay in place.",
        )
    found = [
        (fitness.hold_of(book.pathways[name], table=_TABLE, rule_id=f"{_NOT_SIGNED}-{name}", practice_code=None,
                         reason=why), 1)
        for name, why in refused.items()
    ]  # fmt: skip
    off = places_off(store, plan, book)
    practices = [code for (code,) in store.rows(_PRACTICES)]
    while True:
        _note(store, book, found)
        reasons = holding.reasons_by_list(store)
        placed = place(reasons)
        more = [
            (hold, people)
            for hold, people in _outside(placed, signatures, book, practices, off, plan.settings.index_date)
            if (hold.pathway, None) not in reasons and (hold.pathway, hold.practice_code) not in reasons
        ]
        if not more:
            return placed
        found += more


_PRACTICES = """
SELECT DISTINCT practice_code FROM core.person
WHERE person_status = 'registered' AND practice_code IS NOT NULL ORDER BY ALL
"""


def unsigned(plan: Plan, book: RuleBook, *, day: date) -> dict[str, str]:
    """Give why pathways may not publish on a day, by pathway; empty where the settings name no sign-offs."""
    if plan.settings.sign_offs is None:
        return {}
    found = {
        name: sign_off.fault_of(
            name, digest_of_pathway(book, name), pathway.review_date, plan.settings.sign_offs, day=day
        )
        for name, pathway in sorted(book.published.items())
    }
    return {name: why for name, why in found.items() if why}


def in_words(plan: Plan, book: RuleBook) -> dict[str, str]:
    """Say of each pathway who signed it off, or that nobody did, for the cover of its lists."""
    if plan.settings.sign_offs is None:
        words = "Invented people: no sign-off is needed." if plan.is_test else "Not signed off."
        return dict.fromkeys(book.pathways, words)
    said = {}
    for name in book.published:
        mine = sign_off.signature_of(name, plan.settings.sign_offs, day=plan.settings.index_date)
        said[name] = (
            f"Signed off by {mine.signed_by}, {mine.role}, on {periods.in_words(mine.signed_date)}; clinical lead "
            f"{mine.clinical_lead}; to be reviewed by {periods.in_words(mine.review_date)}."
            if mine
            else "Not signed off."
        )
    return said


def _outside(
    placed: pl.DataFrame,
    signatures: tuple[SignOff, ...],
    book: RuleBook,
    practices: list[str],
    off: frozenset[tuple[str, str | None]],
    day: date,
) -> list[tuple[Hold, int]]:
    acted = placed.filter(pl.col("placement").is_in(["listed", "offered"]) & pl.col("practice_code").is_not_null())
    counted = acted.group_by("pathway", "practice_code").len()
    people = {(pathway, practice): number for pathway, practice, number in counted.iter_rows()}
    found = []
    for name, pathway in sorted(book.pathways.items()):
        mine = sign_off.signature_of(name, signatures, day=day)
        sizes = {each: people.get((name, each), 0) for each in practices if (name, each) not in off}
        for practice, why in (sign_off.outside_bounds(mine, sizes) if mine else {}).items():
            rule_id = f"{_OUTSIDE}-{name}" + (f"-{practice}" if practice else "")
            hold = fitness.hold_of(pathway, table=_TABLE, rule_id=rule_id, practice_code=practice, reason=why)
            found.append((hold, sizes[practice] if practice else sum(sizes.values())))
    return found


def _note(store: Store, book: RuleBook, found: list[tuple[Hold, int]]) -> None:
    results = [
        RuleResult(
            table=each.table,
            rule_id=each.rule_id,
            column=None,
            severity="error",
            row_count=people,
            failed_count=1,
            verdict="hold",
            description=f"{book.pathways[each.pathway].label}: {each.reason}.",
            is_about_table=True,
        )
        for each, people in found
    ]
    holding.hold_more(store, book, results, [hold for hold, _ in found], instead_of=(_NOT_SIGNED, _OUTSIDE))
