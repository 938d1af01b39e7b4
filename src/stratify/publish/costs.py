"""What offers cost for each outcome, and activity, cost and outcome by payer: tables of the commissioners' file.

Worked out from the numbers that ``out.metric_value`` shows, hidden and rounded already, and from prices that the site
declares, so that they give away no more. What would have come without an offer is not told here: ``impact`` compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from stratify.contract_frames import schema_of
from stratify.cost_book import Costs
from stratify.intervals import wilson
from stratify.rules.cost import OfferCost, Price

UPTAKE = "offers_taken_up"
"""The metric of people who began, of those offered it."""

ACTIVITIES = ("ed_attendances", "emergency_admissions", "other_admissions")
"""Metrics of activity that somebody pays for; the two of admissions are every spell."""

OUTCOMES = ("readmitted_within_30_days", "three_admissions_before_death")
"""Metrics of what came of it."""

FEWEST_OFFERED, FEWEST_OUTCOMES = 20, 10
"""With fewer, no cost of an outcome is told."""

NOT_PRICED = "not measurable from these sources: the extracts carry no price, and the site declares none (costs/)"
NOBODY = "nobody was offered it in these 12 months"
_RUN = ("index_date", "run_id")
_TOLD, _NOT_YET = "told", "cannot be told yet"


@dataclass(frozen=True)
class Range:
    """A number with how low and how high it may be."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Worked:
    """What an offer comes to.

    Attributes:
        total: Pounds in all, by the prices declared.
        per_outcome: Pounds for each outcome: the range of the prices and the 95 % interval of the outcomes together.
        per_pound: Declared worth for each pound, likewise; None where no worth is declared.
    """

    total: Range
    per_outcome: Range
    per_pound: Range | None


def work_out(cost: OfferCost, *, offered: int, begun: int, outcomes: int) -> Worked:
    """Work out what an offer costs for each outcome.

    The range takes the worst of both: the highest prices for the fewest outcomes that the interval allows, and the
    lowest for the most. It is wider than an interval of 95 %.

    Args:
        cost: What the site declares.
        offered: People who were offered it, above 0.
        begun: Of them, people who began.
        outcomes: Of them, people with the outcome, above 0.
    """
    total = _total(cost, offered, begun)
    fewest, most = (offered * share for share in wilson(outcomes, offered))
    per_outcome = Range(total.middle / outcomes, total.low / most, total.high / fewest)
    per_pound = None
    if worth := cost.outcome_worth:
        per_pound = Range(
            worth.pounds * outcomes / total.middle, worth.lowest * fewest / total.high, worth.highest * most / total.low
        )
    return Worked(total, per_outcome, per_pound)


def _total(cost: OfferCost, offered: int, begun: int) -> Range:
    paid = [_times(price, n) for price, n in ((cost.for_each_offered, offered), (cost.for_each_begun, begun)) if price]
    return Range(sum(each.middle for each in paid), sum(each.low for each in paid), sum(each.high for each in paid))


def _times(price: Price, number: int) -> Range:
    return Range(price.pounds * number, price.lowest * number, price.highest * number)


# ------------------------------------------------------------------------------------------------------------ offers


def offer_costs(
    values: pl.DataFrame, names: pl.DataFrame, costs: Costs, metric_names: Mapping[str, str]
) -> pl.DataFrame:
    """Give contract ``out.offer_cost`` without the columns of the run.

    Args:
        values: Contract ``out.metric_value``.
        names: Every place: ``geography_type``, ``geography_code``, ``geography_name``.
        costs: What the site declares.
        metric_names: Metrics in words, by id.
    """
    known = _whole_places(values, {UPTAKE, *(each.outcome for each in costs.offers)})
    places = names.filter(pl.col("geography_type") != "practice").to_dicts()
    rows = [_of_offer(each, place, known, metric_names[each.outcome]) for each in costs.offers for place in places]
    return pl.DataFrame(rows, schema=_without_run("out.offer_cost"))


def _of_offer(
    cost: OfferCost, place: Mapping[str, Any], known: Mapping[tuple[str, ...], Mapping[str, Any]], outcome_name: str
) -> dict[str, Any]:
    where = (cost.pathway, "provisional", place["geography_type"], place["geography_code"])
    uptake, outcome = known.get((UPTAKE, *where), {}), known.get((cost.outcome, *where), {})
    offered, begun, outcomes = outcome.get("denominator"), uptake.get("numerator"), outcome.get("numerator")
    reason = _why_not(cost, outcome, offered, begun, outcomes)
    worked = None if reason else work_out(cost, offered=offered or 0, begun=begun or 0, outcomes=outcomes or 0)
    return {
        **place,
        "cost": cost.id,
        "cost_version": cost.version,
        "name": cost.name,
        "owner": cost.owner,
        "pathway": cost.pathway,
        "period_start": outcome.get("period_start"),
        "period_end": outcome.get("period_end"),
        "offered_count": offered,
        "begun_count": begun,
        "uptake_percent": uptake.get("value"),
        "uptake_lower_95": uptake.get("lower_95"),
        "uptake_upper_95": uptake.get("upper_95"),
        "outcome": cost.outcome,
        "outcome_count": outcomes,
        **_spread(worked.total if worked else None, "cost_pounds", "cost_lowest_pounds", "cost_highest_pounds"),
        **_spread(
            worked.per_outcome if worked else None,
            "cost_per_outcome_pounds", "cost_per_outcome_lower_pounds", "cost_per_outcome_upper_pounds",
        ),
        **_spread(
            worked.per_pound if worked else None, "worth_per_pound", "worth_per_pound_lower", "worth_per_pound_upper"
        ),
        "status": _TOLD if worked else _NOT_YET,
        "reason": reason,
        "in_words": _in_words(cost, outcome_name, offered, outcomes, worked, reason),
        "price_year": cost.price_year,
        "source": cost.source,
    }  # fmt: skip


def _why_not(
    cost: OfferCost, outcome: Mapping[str, Any], offered: int | None, begun: int | None, outcomes: int | None
) -> str | None:
    if not outcome:
        return NOBODY
    if outcome["reason"]:
        return str(outcome["reason"])
    if (offered or 0) < FEWEST_OFFERED:
        return f"fewer than {FEWEST_OFFERED} people were offered it"
    if (outcomes or 0) < FEWEST_OUTCOMES:
        return f"fewer than {FEWEST_OUTCOMES} people had the outcome"
    if cost.for_each_begun and begun is None:
        return "how many began is hidden, and it costs for each of them"
    if not cost.for_each_offered and not begun:
        return "nobody began, and it costs only for each who does"
    return None


def _in_words(
    cost: OfferCost,
    outcome_name: str,
    offered: int | None,
    outcomes: int | None,
    worked: Worked | None,
    reason: str | None,
) -> str:
    if worked is None:
        return f"{cost.name}: what an outcome costs cannot be told yet: {reason}."
    each, total = worked.per_outcome, worked.total
    worth = ""
    if worked.per_pound:
        pound = worked.per_pound
        worth = (
            f" By the worth that is declared of an outcome, that is {_money(pound.middle)} for each pound "
            f"({_money(pound.low)} to {_money(pound.high)}), which is no money that anybody has."
        )
    return (
        f"{cost.name}: about {offered:,} people were offered it, at {_money(total.middle)} in all "
        f"({_money(total.low)} to {_money(total.high)}, prices of {cost.price_year}). Counted was: {outcome_name}; "
        f"about {outcomes:,} people. That is {_money(each.middle)} for each ({_money(each.low)} to "
        f"{_money(each.high)}, by the range of the prices and by chance).{worth} Some of them might have come to it "
        "without the offer: only a comparison tells (table impact)."
    )


def _money(pounds: float) -> str:
    return f"£{pounds:,.2f}" if pounds < 1000 else f"£{pounds:,.0f}"


# ------------------------------------------------------------------------------------------------------------ payers


def payer_activity(values: pl.DataFrame, names: pl.DataFrame, costs: Costs, definitions: pl.DataFrame) -> pl.DataFrame:
    """Give contract ``out.payer_activity`` without the columns of the run.

    Args:
        values: Contract ``out.metric_value``.
        names: Every place: ``geography_type``, ``geography_code``, ``geography_name``.
        costs: What the site declares.
        definitions: Contract ``out.metric``.
    """
    known = _whole_places(values, {*ACTIVITIES, *OUTCOMES})
    boards = names.filter(pl.col("geography_type") == "icb").select("geography_code", "geography_name").rows()
    declared = definitions.filter(pl.col("metric").is_in([*ACTIVITIES, *OUTCOMES])).to_dicts()
    rows = [
        {"payer_code": code, "payer_name": name, **row}
        for code, name in boards
        for metric in declared
        for row in _of_payer(metric, code, known, costs)
    ]
    return pl.DataFrame(rows, schema=_without_run("out.payer_activity"))


def _of_payer(
    metric: Mapping[str, Any], board: str, known: Mapping[tuple[str, ...], Mapping[str, Any]], costs: Costs
) -> Iterator[dict[str, Any]]:
    is_activity = metric["metric"] in ACTIVITIES
    about = {name: metric[name] for name in ("metric", "metric_version", "name")}
    about["kind"] = "activity" if is_activity else "outcome"
    price = costs.activities.get(metric["metric"])
    if not metric["is_measurable"]:
        why = metric["not_measurable_because"]
        yield about | {"status": "provisional", "reason": why, "cost_reason": why if is_activity else None}
    for status in ("provisional", "final"):
        value = known.get((metric["metric"], "all", status, "icb", board))
        if value is None:
            continue
        row = about | {name: value[name] for name in ("status", "period_start", "period_end", "reason")}
        row |= {"event_count": value["numerator"], **{name: value[name] for name in ("value", "lower_95", "upper_95")}}
        if is_activity:
            row["cost_reason"] = value["reason"] or (None if price else NOT_PRICED)
        if is_activity and price and value["numerator"] is not None:
            total = _times(price.each, value["numerator"])
            row |= _spread(total, "cost_pounds", "cost_lowest_pounds", "cost_highest_pounds")
            row |= {"price_year": price.price_year, "price_source": price.source}
        yield row


def _whole_places(values: pl.DataFrame, metrics: set[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Give values of everybody in a network or board, by metric, pathway, status, kind of place and code."""
    key = ("metric", "pathway", "status", "geography_type", "geography_code")
    mine = values.filter(
        pl.col("metric").is_in(sorted(metrics))
        & (pl.col("breakdown") == "all")
        & (pl.col("geography_type") != "practice")
    )
    return {tuple(row[name] for name in key): row for row in mine.to_dicts()}


def _spread(found: Range | None, middle: str, low: str, high: str) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys((middle, low, high))
    return {middle: round(found.middle, 2), low: round(found.low, 2), high: round(found.high, 2)}


def _without_run(name: str) -> dict[str, pl.DataType]:
    return {column: kind for column, kind in schema_of(name).items() if column not in _RUN}
