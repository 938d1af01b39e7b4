"""What conditions and scores mean: yes, no or not known for each person, and the tier that follows.

Works on the wide rows of ``wide.person_rows``. Not-known is null and travels by Kleene's rules, which every engine
shares. A score says three things: the tier the records prove, every tier that what is missing leaves open, and whether
that is one and the same. While more than one is open, the lowest is proved by nothing and so never given.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import narwhals.stable.v2 as nw

from stratify.hits import Frame
from stratify.rulebook import RuleBook
from stratify.rules import PERSON_FIELDS, Condition, Points, Score, Tier
from stratify.rules.scoring import edges_of
from stratify.wide import doubt, doubts

UNKNOWN = nw.lit(None, dtype=nw.Boolean)


def truth(condition: Condition, book: RuleBook) -> nw.Expr:
    """Write a condition as an expression over wide rows: true, false, or null for not known.

    A value that may be higher than what is known so far (``o_``) proves ``at_least`` when it reaches the edge already,
    and refutes ``below`` when it has passed it; one that may be lower (``u_``) the other way round. Where the edge lies
    between, nothing is known.
    """
    if condition.variable and condition.is_missing:
        return _is_missing(condition.variable, book)
    if condition.variable:
        return _compare(condition, condition.variable, book)
    if condition.score:
        return _tier_in(book.scores[condition.score], condition.tier_in or ())
    parts = [truth(part, book) for part in condition.parts]
    if condition.at_least_of:
        least = reduce(lambda left, right: left + right, [_one_if(each) for each in parts])
        most = reduce(lambda left, right: left + right, [_one_if(_may_be(each)) for each in parts])
        count = condition.at_least_of.count
        return (
            nw.when(least >= count)
            .then(nw.lit(True))
            .otherwise(nw.when(most < count).then(nw.lit(False)).otherwise(UNKNOWN))
        )
    if condition.all_of:
        return reduce(lambda left, right: left & right, parts)
    if condition.any_known_of:
        return _any_known(condition.any_known_of, parts, book)
    either = reduce(lambda left, right: left | right, parts)
    return ~either if condition.none_of else either


def _any_known(conditions: Sequence[Condition], parts: Sequence[nw.Expr], book: RuleBook) -> nw.Expr:
    """Tell whether any part holds whose value is there; null where none is, or one may be past its edge."""
    absent = [_is_missing(each.variable or "", book) for each in conditions]
    counted = [nw.when(gone).then(nw.lit(False)).otherwise(part) for gone, part in zip(absent, parts, strict=True)]
    nothing = reduce(lambda left, right: left & right, absent)
    return nw.when(~nothing).then(reduce(lambda left, right: left | right, counted))


def _is_missing(name: str, book: RuleBook) -> nw.Expr:
    """Tell whether there is no value fit to use; not known where nobody can know (hospital data not linked)."""
    absent, is_bound = nw.col(f"x_{name}").is_null(), doubts(name, "ou", book)
    return nw.when(absent & _any_of(is_bound)).then(UNKNOWN).otherwise(absent) if is_bound else absent


def is_unknown(name: str, book: RuleBook) -> nw.Expr:
    """Tell whether a variable's value is missing, or may be higher or lower than what is known."""
    return _any_of([nw.col(f"x_{name}").is_null(), *doubts(name, "ou", book)])


def _compare(condition: Condition, name: str, book: RuleBook) -> nw.Expr:
    lower, upper = _lower_edge(condition), _upper_edge(condition)
    parts = [_is_over(name, *lower, book)] if lower else []
    parts += [~_is_over(name, upper[0], not upper[1], book)] if upper else []
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


def _is_over(name: str, edge: float, is_inside: bool, book: RuleBook) -> nw.Expr:
    """Write "at least the edge" (``is_inside``) or "above the edge"; null where the value may lie on either side.

    A bound that is not the value itself (``>30``) is above its own edge, and one below (``<30``) not at least it.
    """
    value, is_strict = nw.col(f"x_{name}"), doubt("s", name, book)
    holds = value >= edge if is_inside else value > edge
    variable = book.variables.get(name)
    if name in PERSON_FIELDS or (variable and not variable.is_value and not variable.reads_hospital):
        return holds  # exactly known, or not at all
    may_be_higher, may_be_lower = doubt("o", name, book), doubt("u", name, book)
    if variable and not variable.is_value:  # a count that may be higher, and never lower
        return nw.when(holds).then(nw.lit(True)).otherwise(nw.when(~may_be_higher).then(holds))
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
    is no score, ``e_<id>`` whether the person is one the score is for (null: not known), ``n_<id>`` whether everything
    is known. A score that has a value has the five columns of a variable too, so that others may use it.
    """
    for names in book.score_levels:
        mine = [book.scores[name] for name in names]
        kept = wide.collect_schema().names()
        wide = wide.with_columns(*(each for score in mine for each in _parts_of(score, book)))
        bounds = [each for score in mine for each in _bounds_of(score, book)]
        wide = wide.with_columns(*bounds) if bounds else wide
        wide = wide.with_columns(*(each for score in mine for each in _tiers_of(score)))
        made = [name for score in mine for name in _columns_of(score)]
        wide = wide.select(*kept, *made)
    return wide


def _columns_of(score: Score) -> list[str]:
    name = score.id
    own = [f"{letter}_{name}" for letter in ("vtwen" if score.is_decision_list else "vtwenxou")]
    return [*own, *(f"p_{name}__{each.tier}" for each in score.tiers)]


def _parts_of(score: Score, book: RuleBook) -> list[nw.Expr]:
    """Write what a score is made of: who it is for, whether each rule or thing counted holds, the value it takes."""
    name = score.id
    holds = [truth(each.when, book) for each in score.eligibility]
    withheld: nw.Expr = nw.lit(None, dtype=nw.String)
    for rule, is_for in reversed(list(zip(score.eligibility, holds, strict=True))):
        withheld = nw.when(~is_for).then(nw.lit(rule.otherwise)).otherwise(withheld)
    parts = [reduce(lambda left, right: left & right, holds, nw.lit(True)).alias(f"e_{name}")]
    parts.append(withheld.alias(f"f_{name}"))
    if score.understated_when:
        parts.append(_may_be(truth(score.understated_when, book)).alias(f"k_{name}"))
    if score.is_decision_list:
        parts += [
            (truth(each.when, book) if each.when else nw.lit(True)).alias(f"h_{name}__{each.tier}")
            for each in score.tiers
        ]
    for number, item in enumerate(score.points or ()):
        parts += [truth(each, book).alias(f"q_{name}__{number}_{place}") for place, each in enumerate(item.conditions)]
    return parts


def _least_and_most(name: str, number: int, item: Points, book: RuleBook) -> tuple[nw.Expr, nw.Expr]:
    """Write the least and the most that one thing adds; null where it could be anything."""
    if item.times is not None:
        value: nw.Expr = nw.when(~is_unknown(item.variable or "", book)).then(nw.col(f"x_{item.variable}"))
        value = value / nw.lit(item.divide_by)
        if item.power:
            value = value * value
        if item.log:
            value = nw.when(value > 0).then(nw.when(value > 0).then(value).otherwise(nw.lit(1.0)).log())
        added = (value - nw.lit(item.minus)) * nw.lit(item.times)
        if item.when_unknown is not None:
            added = nw.when(~added.is_null()).then(added).otherwise(nw.lit(item.when_unknown))
        return added, added
    holds = [nw.col(f"q_{name}__{number}_{place}") for place in range(len(item.conditions))]
    if item.bands:
        # Whatever is not ruled out is possible; where the value is known just one band is.
        points = [nw.lit(float(band.points)) for band in item.bands]
        possible = [nw.when(_may_be(each)).then(value) for each, value in zip(holds, points, strict=True)]
        low, high = nw.min_horizontal(*possible), nw.max_horizontal(*possible)
    else:
        given, nothing = nw.lit(float(item.given)), nw.lit(0.0)
        sure, perhaps = _pick(holds[0], given, nothing), _pick(~holds[0], nothing, given)
        low, high = (sure, perhaps) if item.given > 0 else (perhaps, sure)
    if item.when_unknown is not None:
        is_open = reduce(lambda left, right: left | right, [each.is_null() for each in holds])
        low, high = (_pick(is_open, nw.lit(float(item.when_unknown)), each) for each in (low, high))
    return low, high


def _pick(condition: nw.Expr, then: nw.Expr, otherwise: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(then).otherwise(otherwise)


def _bounds_of(score: Score, book: RuleBook) -> list[nw.Expr]:
    """Write the least and the most the value can be, rounded; null where it could be anything."""
    name = score.id
    if score.is_decision_list:
        return []
    if score.value_of:
        is_bound = doubt("o", score.value_of, book) | doubt("u", score.value_of, book)
        value: nw.Expr = nw.when(~is_bound).then(nw.col(f"x_{score.value_of}")).round(6)
        absent = nw.col(f"x_{score.value_of}").is_null() & ~is_bound if score.withheld_when_absent else nw.lit(False)
        return [value.alias(f"l_{name}"), value.alias(f"g_{name}"), absent.alias(f"a_{name}")]
    ends = []
    parts = [_least_and_most(name, number, item, book) for number, item in enumerate(score.points or ())]
    for end, items in zip("lg", zip(*parts, strict=True), strict=True):
        value = (reduce(lambda left, right: left + right, items) + nw.lit(score.add)) / nw.lit(score.divide_by)
        if score.no_less_than is not None:
            value = nw.when(value < score.no_less_than).then(nw.lit(score.no_less_than)).otherwise(value)
        if score.no_more_than is not None:
            value = nw.when(value > score.no_more_than).then(nw.lit(score.no_more_than)).otherwise(value)
        if score.link:
            value = nw.lit(1.0) / (nw.lit(1.0) + (nw.lit(0.0) - value).exp())
        if score.baseline_survival:
            value = nw.lit(1.0) - (value.exp() * nw.lit(math.log(score.baseline_survival))).exp()
        ends.append(value.round(6).alias(f"{end}_{name}"))
    return [*ends, nw.lit(False).alias(f"a_{name}")]


def _tiers_of(score: Score) -> list[nw.Expr]:
    """Write the value, the tier proved, every tier that is open, and why there is no score."""
    name = score.id
    may_be_for = _may_be(nw.col(f"e_{name}"))
    withheld = nw.col(f"f_{name}")
    if score.is_decision_list:
        value: nw.Expr = nw.lit(None, dtype=nw.Float64)
        holds = [nw.col(f"h_{name}__{each.tier}") for each in score.tiers]
        open_tiers, settled = [], nw.lit(False)
        for rule in holds:
            open_tiers.append(_may_be(rule) & ~settled)
            settled = settled | _is_true(rule)
        proved = [_is_true(each) for each in holds]
        is_known = reduce(lambda left, right: left + right, [_one_if(each) for each in open_tiers]) == 1
    else:
        low, high, absent = nw.col(f"l_{name}"), nw.col(f"g_{name}"), nw.col(f"a_{name}")
        is_exact = _is_true(low == high)
        is_given = ~nw.col(f"e_{name}").is_null()
        is_given = is_given if score.is_count and score.points else is_given & is_exact
        value = nw.when(is_given).then(low)
        understated = nw.col(f"k_{name}") if score.understated_when else None
        nothing_known = (low.is_null() | high.is_null()) & ~absent
        is_known = is_exact if understated is None else is_exact & ~understated
        proved = [_within(each, low) for each in score.tiers]
        open_tiers = []
        for position, (each, is_proved) in enumerate(zip(score.tiers, proved, strict=True)):
            at_or_under = _within_last(score.tiers[position:], low, first=score.tiers[0])
            reaches = _is_true(_reaches(each, high)) if score.points else nw.lit(False)
            between = at_or_under & ((reaches | understated) if understated is not None else reaches)
            open_tiers.append(nothing_known | is_proved | between)
        if score.withheld_when_absent:
            withheld = nw.when(withheld.is_null() & absent).then(nw.lit(score.withheld_when_absent)).otherwise(withheld)
    tier: nw.Expr = nw.lit(None, dtype=nw.String)
    for each_tier, is_proved in reversed(list(zip(score.tiers, proved, strict=True))):
        tier = nw.when(is_proved).then(nw.lit(each_tier.tier)).otherwise(tier)
    if score.tiers:
        tier = nw.when(may_be_for).then(tier)
        # The lowest tier is never given while a higher one is open: missing is not low.
        may_be_more = reduce(lambda left, right: left | right, open_tiers[:-1], nw.lit(False))
        tier = nw.when(~((tier == score.tiers[-1].tier) & may_be_more)).then(tier)
    columns = [
        value.alias(f"v_{name}"),
        tier.alias(f"t_{name}"),
        withheld.alias(f"w_{name}"),
        is_known.alias(f"n_{name}"),
        *(
            (is_open & may_be_for).alias(f"p_{name}__{each.tier}")
            for each, is_open in zip(score.tiers, open_tiers, strict=True)
        ),
    ]
    return columns if score.is_decision_list else [*columns, *_as_variable(name)]


def _as_variable(name: str) -> list[nw.Expr]:
    """Write the value as that of a variable: the least it is, and whether it may be more; nothing if not for them."""
    is_for, is_doubtful = _is_true(nw.col(f"e_{name}")), nw.col(f"e_{name}").is_null()
    low, high = nw.col(f"l_{name}"), nw.col(f"g_{name}")
    return [
        nw.when(is_for).then(low).alias(f"x_{name}"),
        (is_doubtful | _is_true(is_for & (high > low))).alias(f"o_{name}"),
        is_doubtful.alias(f"u_{name}"),
    ]


def _one_if(expression: nw.Expr) -> nw.Expr:
    return nw.when(expression).then(nw.lit(1)).otherwise(nw.lit(0))


def _reaches(tier: Tier, most: nw.Expr) -> nw.Expr:
    """Tell whether the most a value can be reaches the lower edge of a tier."""
    if tier.at_least is not None:
        return most >= tier.at_least
    return most > tier.above if tier.above is not None else ~most.is_null()


def _within(tier: Tier, value: nw.Expr) -> nw.Expr:
    """Tell whether a value is within a tier; false where there is none."""
    return _on_its_side(tier, ("below", "at_most", "at_least", "above"), value)


def _within_last(tiers: Sequence[Tier], value: nw.Expr, *, first: Tier) -> nw.Expr:
    """Tell whether a value is within one of the last tiers: tiers follow one another without a gap.

    The ``first`` of all is open upwards, or downwards where need falls with the value.
    """
    upper, lower = ("below", "at_most"), ("at_least", "above")
    near, far = (upper, lower) if set(lower) & set(edges_of(first)) else (lower, upper)
    return _on_its_side(tiers[0], near, value) & _on_its_side(tiers[-1], far, value)


_TESTS = {"below": operator.lt, "at_most": operator.le, "at_least": operator.ge, "above": operator.gt}


def _on_its_side(tier: Tier, edges: Sequence[str], value: nw.Expr) -> nw.Expr:
    parts = [_TESTS[name](value, edge) for name, edge in edges_of(tier).items() if name in edges]
    return reduce(lambda left, right: left & right, parts).fill_null(False) if parts else ~value.is_null()


def _any_of(parts: Sequence[nw.Expr]) -> nw.Expr:
    return reduce(lambda left, right: left | right, parts)


def _is_true(expression: nw.Expr) -> nw.Expr:
    return expression.fill_null(False)


def _is_false(expression: nw.Expr) -> nw.Expr:
    return (~expression).fill_null(False)


def _may_be(expression: nw.Expr) -> nw.Expr:
    return expression.fill_null(True)


def named_unknown(
    names: Sequence[str], book: RuleBook, texts: Sequence[str] | None = None, *, unless: nw.Expr | None = None
) -> nw.Expr:
    """List, separated by ';', the variables (or their texts) that are not known; null when all are."""
    parts = []
    for name, text in zip(names, texts or names, strict=True):
        shown = is_unknown(name, book) if unless is None else is_unknown(name, book) & ~unless
        parts.append(nw.when(shown).then(nw.lit(text)))
    return joined(parts)


def joined(parts: Sequence[Any]) -> nw.Expr:
    """Join texts with ';', leaving out those that are null; null when all are."""
    if not parts:
        return nw.lit(None, dtype=nw.String)
    text = nw.concat_str(list(parts), separator=";", ignore_nulls=True)
    return nw.when(text != "").then(text)


def score_rows(wide: Frame, book: RuleBook, *, only: str | None = None) -> Frame:
    """Turn scored wide rows into the long form: a row per person and score, or one score, the person may be one for.

    Returns:
        Contract ``derived.patient_score``. Nobody outside a score's eligibility has a row.
    """
    parts = []
    for name in (only,) if only else book.score_order:
        score = book.scores[name]
        open_tiers = [nw.col(f"p_{name}__{each.tier}") for each in score.tiers]
        is_complete = _is_true(nw.col(f"e_{name}")) & nw.col(f"n_{name}")
        if score.tiers:
            count = reduce(lambda left, right: left + right, [_one_if(each) for each in open_tiers])
            is_complete = _is_true(nw.col(f"e_{name}")) & (count == 1) & ~nw.col(f"t_{name}").is_null()
        rows = wide.filter(_may_be(nw.col(f"e_{name}")))
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
                nw.when(~is_complete)
                .then(named_unknown(book.variables_of_score(name), book))
                .alias("missing_variables"),
            )
        )
    return nw.concat(parts)
