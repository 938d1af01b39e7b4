"""What conditions and scores mean: yes, no or not known for each person, and the tier that follows.

Works on the wide rows of ``features.person_rows``. Not-known is null and travels by Kleene's rules, which every engine
shares. A score says three things: the tier the records prove, every tier that what is missing leaves open, and whether
that is one and the same. While more than one is open, the lowest is proved by nothing and so never given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import narwhals.stable.v2 as nw

from stratify.features import Frame
from stratify.rulebook import RuleBook
from stratify.rules import Condition, Score

UNKNOWN = nw.lit(None, dtype=nw.Boolean)


def truth(condition: Condition, book: RuleBook) -> nw.Expr:
    """Write a condition as an expression over wide rows: true, false, or null for not known.

    A value that may be higher than what is known so far (``o_``) proves ``at_least`` when it reaches the edge already,
    and refutes ``below`` when it has passed it; one that may be lower (``u_``) the other way round. Where the edge lies
    between, nothing is known.
    """
    if condition.variable:
        return _compare(condition, condition.variable)
    if condition.score:
        return _tier_in(book.scores[condition.score], condition.tier_in or ())
    parts = [truth(part, book) for part in condition.parts]
    if condition.all_of:
        return reduce(lambda left, right: left & right, parts)
    either = reduce(lambda left, right: left | right, parts)
    return ~either if condition.none_of else either


def is_unknown(name: str) -> nw.Expr:
    """Tell whether a variable's value is missing, or may be higher or lower than what is known."""
    return nw.col(f"x_{name}").is_null() | nw.col(f"o_{name}") | nw.col(f"u_{name}")


def _compare(condition: Condition, name: str) -> nw.Expr:
    lower, upper = _lower_edge(condition), _upper_edge(condition)
    parts = [_is_over(name, *lower)] if lower else []
    parts += [~_is_over(name, upper[0], is_inside=not upper[1])] if upper else []
    return reduce(lambda left, right: left & right, parts)


def _lower_edge(condition: Condition) -> tuple[float, bool] | None:
    """Give the lower edge of a condition, and whether the edge itself is inside."""
    if condition.is_true is not None:
        return 1.0, True
    if condition.at_least is not None:
        return condition.at_least, True
    return None if condition.above is None else (condition.above, False)


def _upper_edge(condition: Condition) -> tuple[float, bool] | None:
    if condition.at_most is not None:
        return condition.at_most, True
    return None if condition.below is None else (condition.below, False)


def _is_over(name: str, edge: float, is_inside: bool) -> nw.Expr:
    """Write "at least the edge" (``is_inside``) or "above the edge"; null where the value may lie on either side.

    A bound that is not the value itself (``>30``) is above its own edge, and one below (``<30``) not at least it.
    """
    value, is_strict = nw.col(f"x_{name}"), nw.col(f"s_{name}")
    holds = value >= edge if is_inside else value > edge
    may_be_higher, may_be_lower = nw.col(f"o_{name}"), nw.col(f"u_{name}")
    is_on_edge = is_strict & (value == edge)
    proved = ~may_be_lower & (holds | (may_be_higher & is_on_edge))
    refuted = ~may_be_higher & (~holds | (may_be_lower & is_on_edge))
    return nw.when(proved).then(nw.lit(True)).otherwise(nw.when(refuted).then(nw.lit(False)).otherwise(UNKNOWN))


def _tier_in(score: Score, tiers: Sequence[str]) -> nw.Expr:
    """Tell whether the tier is one of some: true when every open tier is, false when none is.

    Where nobody knows whether the score is for this person, there may be no tier at all: never true.
    """
    inside = _any_open(score, [each.tier for each in score.tiers if each.tier in tiers])
    outside = _any_open(score, [each.tier for each in score.tiers if each.tier not in tiers])
    all_inside = ~outside & _is_true(nw.col(f"e_{score.id}"))
    return nw.when(~inside).then(nw.lit(False)).otherwise(nw.when(all_inside).then(nw.lit(True)).otherwise(UNKNOWN))


def _any_open(score: Score, tiers: Sequence[str]) -> nw.Expr:
    if not tiers:
        return nw.lit(False)
    return reduce(lambda left, right: left | right, [nw.col(f"p_{score.id}__{tier}") for tier in tiers])


def add_scores(wide: Frame, book: RuleBook) -> Frame:
    """Add the columns of every score to wide rows.

    Per score: ``v_<id>`` value, ``t_<id>`` tier proved, ``p_<id>__<tier>`` whether a tier is open, ``w_<id>`` why there
    is no score, ``e_<id>`` whether the person is one the score is for (null: not known).
    """
    for name in book.score_order:
        wide = _add_score(wide, book.scores[name], book)
    return wide


def _add_score(wide: Frame, score: Score, book: RuleBook) -> Frame:
    eligible = reduce(
        lambda left, right: left & right, [truth(each.when, book) for each in score.eligibility], nw.lit(True)
    )
    wide = wide.with_columns(eligible.alias(f"e_{score.id}"))
    may_be_eligible = ~_is_false(nw.col(f"e_{score.id}"))
    open_tiers: list[nw.Expr] = []
    absent: nw.Expr = nw.lit(False)
    if score.is_decision_list:
        wide = wide.with_columns(
            *(
                (truth(each.when, book) if each.when else nw.lit(True)).alias(f"h_{score.id}__{each.tier}")
                for each in score.tiers
            )
        )
        value: nw.Expr = nw.lit(None, dtype=nw.Float64)
        settled: nw.Expr = nw.lit(False)
        for each in score.tiers:
            holds = nw.col(f"h_{score.id}__{each.tier}")
            open_tiers.append(~_is_false(holds) & ~settled)
            settled = settled | _is_true(holds)
        proved = [_is_true(nw.col(f"h_{score.id}__{each.tier}")) for each in score.tiers]
    else:
        wide, value, understated, absent = _valued(wide, score, book)
        inside = [
            _within(each.below, each.at_most, each.at_least, each.above, nw.col(f"v_{score.id}"))
            for each in score.tiers
        ]
        unknown = nw.col(f"v_{score.id}").is_null() & ~absent
        for position, holds in enumerate(inside):
            lower = reduce(lambda left, right: left | right, [_is_true(each) for each in inside[position:]])
            open_tiers.append(unknown | _is_true(holds) | (understated & lower))
        proved = [_is_true(each) for each in inside]
    tier: nw.Expr = nw.lit(None, dtype=nw.String)
    for each, holds in reversed(list(zip(score.tiers, proved, strict=True))):
        tier = nw.when(holds & may_be_eligible).then(nw.lit(each.tier)).otherwise(tier)
    # The lowest tier is never given while a higher one is open: missing is not low.
    may_be_more = reduce(lambda left, right: left | right, open_tiers[:-1], nw.lit(False))
    tier = nw.when(~((tier == score.tiers[-1].tier) & may_be_more)).then(tier)
    withheld: nw.Expr = nw.lit(None, dtype=nw.String)
    if score.withheld_when_absent:
        withheld = nw.when(absent).then(nw.lit(score.withheld_when_absent)).otherwise(withheld)
    for rule in reversed(score.eligibility):
        withheld = nw.when(_is_false(truth(rule.when, book))).then(nw.lit(rule.otherwise)).otherwise(withheld)
    return wide.with_columns(
        *([value.alias(f"v_{score.id}")] if score.is_decision_list else []),
        tier.alias(f"t_{score.id}"),
        *(
            (is_open & may_be_eligible).alias(f"p_{score.id}__{each.tier}")
            for each, is_open in zip(score.tiers, open_tiers, strict=True)
        ),
        withheld.alias(f"w_{score.id}"),
    )


def _valued(wide: Frame, score: Score, book: RuleBook) -> tuple[Frame, nw.Expr, nw.Expr, nw.Expr]:
    """Add ``v_``; give it, whether it is too low for what is not known, and whether there is nothing to score."""
    absent: nw.Expr = nw.lit(False)
    understated: nw.Expr = nw.lit(False)
    if score.value_of:
        value = nw.col(f"x_{score.value_of}")
        is_bound = nw.col(f"o_{score.value_of}") | nw.col(f"u_{score.value_of}")
        if score.withheld_when_absent:
            absent = value.is_null() & ~is_bound
        value = nw.when(~is_bound).then(value)
    else:
        items = [truth(each, book) for each in score.proportion_of or ()]
        present = [nw.when(_is_true(each)).then(nw.lit(1.0)).otherwise(nw.lit(0.0)) for each in items]
        value = reduce(lambda left, right: left + right, present) / nw.lit(float(len(items)))
        understated = reduce(lambda left, right: left | right, [each.is_null() for each in items])
    if score.understated_when:
        understated = understated | ~_is_false(truth(score.understated_when, book))
    wide = wide.with_columns(value.round(6).alias(f"v_{score.id}"))
    return wide, nw.col(f"v_{score.id}"), understated, absent


def _within(
    below: float | None, at_most: float | None, at_least: float | None, above: float | None, value: nw.Expr
) -> nw.Expr:
    parts = [] if below is None else [value < below]
    parts += [] if at_most is None else [value <= at_most]
    parts += [] if at_least is None else [value >= at_least]
    parts += [] if above is None else [value > above]
    return reduce(lambda left, right: left & right, parts, ~value.is_null())


def _is_true(expression: nw.Expr) -> nw.Expr:
    return nw.when(expression).then(nw.lit(True)).otherwise(nw.lit(False))


def _is_false(expression: nw.Expr) -> nw.Expr:
    return nw.when(~expression).then(nw.lit(True)).otherwise(nw.lit(False))


def named_unknown(
    names: Sequence[str], texts: Sequence[str] | None = None, *, unless: nw.Expr | None = None
) -> nw.Expr:
    """List, separated by ';', the variables (or their texts) that are not known; null when all are."""
    parts = []
    for name, text in zip(names, texts or names, strict=True):
        shown = is_unknown(name) if unless is None else is_unknown(name) & ~unless
        parts.append(nw.when(shown).then(nw.lit(text)))
    return joined(parts)


def joined(parts: Sequence[Any]) -> nw.Expr:
    """Join texts with ';', leaving out those that are null; null when all are."""
    if not parts:
        return nw.lit(None, dtype=nw.String)
    text = nw.concat_str(list(parts), separator=";", ignore_nulls=True)
    return nw.when(text != "").then(text)


def score_rows(wide: Frame, book: RuleBook) -> Frame:
    """Turn scored wide rows into the long form: a row per person and score the person may be eligible for.

    Returns:
        Contract ``derived.patient_score``. Nobody outside a score's eligibility has a row.
    """
    parts = []
    for name in book.score_order:
        score = book.scores[name]
        open_tiers = [nw.col(f"p_{name}__{each.tier}") for each in score.tiers]
        count = reduce(
            lambda left, right: left + right,
            [nw.when(each).then(nw.lit(1)).otherwise(nw.lit(0)) for each in open_tiers],
        )
        is_complete = (count == 1) & ~nw.col(f"t_{name}").is_null() & _is_true(nw.col(f"e_{name}"))
        rows = wide.filter(~_is_false(nw.col(f"e_{name}")))
        parts.append(
            rows.select(
                "patient_key",
                nw.lit(name).alias("score"),
                nw.lit(score.version).alias("score_version"),
                nw.col(f"v_{name}").alias("value"),
                nw.col(f"t_{name}").alias("tier"),
                joined(
                    [
                        nw.when(is_open).then(nw.lit(each.tier))
                        for each, is_open in zip(score.tiers, open_tiers, strict=True)
                    ]
                ).alias("possible_tiers"),
                is_complete.alias("is_complete"),
                nw.col(f"w_{name}").alias("withheld_reason"),
                nw.when(~is_complete).then(named_unknown(book.variables_of_score(name))).alias("missing_variables"),
            )
        )
    return nw.concat(parts)
