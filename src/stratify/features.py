"""From the records that count to one value per person and variable.

Works the declared variables of the rule book: the records of ``hits``, grouped by person and variable and reduced as
each variable says. Frames in, frames out: no files, no clock, any engine Narwhals knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import narwhals.stable.v2 as nw

from stratify.hits import (
    LONG_AGO,
    NO_BOUND,
    Frame,
    Settle,
    all_issues,
    hits_of,
    in_memory,
    lookback_start,
    weighed_records,
)
from stratify.rulebook import RuleBook
from stratify.rules import Variable

_GROUP = ("patient_key", "variable")
_SETTLED_WITH = ("value", "state", "bound", "last_day", "record_count")
"""What a value is beside the record it came from; ``last_day`` is that record's."""


def variable_values(
    tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date, settle: Settle = in_memory
) -> Frame:
    """Reduce records to one value per person and variable, and find the latest record of each.

    Args:
        tables: The core tables of ``SOURCE_TABLES`` by name without layer.
        codes: What :func:`code_table` gave.
        book: The rule book.
        index_date: The day the run describes; nothing dated on it or later is used.
        settle: What runs the records that count once, for the several reductions that read them.

    Returns:
        Contract ``derived.variable_value``: a row wherever something was found. A latest value is ``stale`` past its
        maximum age, ``conflict`` where the latest day holds two different ones, ``unusable`` where the newest record
        had no value fit to use. The highest or lowest of some days has no row where there are fewer days. A state that
        began and ended on one day is a ``conflict`` too.
    """
    return with_records(
        records_of(tables, codes, book, index_date=index_date, settle=settle), book, index_date=index_date
    )


def records_of(
    tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date, settle: Settle = in_memory
) -> dict[str, Frame]:
    """Give the records that count, by where they were found: by their code, all issues, or all diagnoses with weights.

    Arguments as those of :func:`variable_values`; each row has the columns of ``hits.HIT`` and ``day0``.
    """
    found = {"coded": hits_of(tables, codes, book, index_date=index_date, settle=settle)}
    variables = sorted(book.variables.values(), key=lambda each: each.id)
    every = [each for each in variables if any(records.kind == "any_issue" for records in each.records)]
    if every:
        found["issues"] = all_issues(tables["gp_medication"], every, index_date)
    weighed = [each for each in variables if each.take == "weight"]
    if weighed:
        parts = [weighed_records(tables["apc_diagnosis"], codes, each, index_date) for each in weighed]
        found["weighed"] = nw.concat(parts)
    day0 = nw.when(nw.col("day").is_null()).then(nw.lit(LONG_AGO)).otherwise(nw.col("day"))
    return {name: frame.with_columns(day0=day0) for name, frame in found.items()}


def values_of(records: Mapping[str, Frame], book: RuleBook, *, index_date: date) -> Frame:
    """Reduce the records that count to one value per person and variable, without the record behind it.

    Scores need no more than this.

    Args:
        records: What :func:`records_of` gave.
        book: The rule book.
        index_date: The day the run describes.

    Returns:
        One row per person and variable that something was found for: ``patient_key``, ``variable``, ``value``,
        ``state``, ``bound``, ``last_day``, ``record_count``.
    """
    coded = records["coded"]
    by_take: dict[str, list[Variable]] = {}
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        by_take.setdefault(variable.take, []).append(variable)

    def taken(take: str) -> Frame:
        return coded.filter(nw.col("take") == take)

    parts = []
    if "has" in by_take:
        parts.append(_has(taken("has"), by_take["has"], index_date))
    if "count" in by_take:
        parts.append(_counted(taken("count"), "day0"))
    if "latest" in by_take:
        parts.append(_latest(taken("latest")))
    for take in ("highest", "lowest"):
        for of_last in sorted({each.of_last for each in by_take.get(take, []) if each.of_last}):
            chosen = [each for each in by_take[take] if each.of_last == of_last]
            parts.append(_extreme(_of(taken(take), chosen), of_last, is_highest=take == "highest"))
    for days in sorted({each.merge_days for each in by_take.get("episodes", []) if each.merge_days}):
        chosen = [each for each in by_take["episodes"] if each.merge_days == days]
        parts.append(_episodes(_of(taken("episodes"), chosen), days))
    if "distinct_codes" in by_take:
        found = taken("distinct_codes")
        parts.append(_counted(nw.concat([found, records["issues"]]) if "issues" in records else found, "code"))
    if "weighed" in records:
        parts.append(_weighed(records["weighed"]))
    return nw.concat(parts)


def with_records(records: Mapping[str, Frame], book: RuleBook, *, index_date: date) -> Frame:
    """Reduce the records that count to values, each with its record; see :func:`variable_values`.

    Arguments as those of :func:`values_of`.
    """
    return _with_records(values_of(records, book, index_date=index_date), nw.concat(list(records.values())))


def _of(hits: Frame, variables: Sequence[Variable]) -> Frame:
    return hits.filter(nw.col("variable").is_in([each.id for each in variables]))


def _with_records(values: Frame, records: Frame) -> Frame:
    """Find the record of each value: of its latest day, one fit to use before others, then by place in the files."""
    rank = nw.when(nw.col("is_usable")).then(nw.lit("0")).otherwise(nw.lit("1"))
    place = [
        rank,
        nw.col("source_table"),
        nw.col("source_file_id"),
        nw.col("source_row").cast(nw.String),
        nw.col("code"),
    ]
    last = (
        records.filter(~nw.col("is_end"))
        .select(*_GROUP, "day0", "day", "is_usable", "source_table", "code", "source_file_id", "source_row")
        .join(values, left_on=[*_GROUP, "day0"], right_on=[*_GROUP, "last_day"], how="inner")
        .with_columns(place=nw.concat_str(place, separator="|", ignore_nulls=True))
        # Of several rows of one place nothing that is kept differs.
        .with_columns(nth=nw.col("place").rank(method="ordinal").over(*_GROUP))
        .filter(nw.col("nth") == 1)
    )
    return last.select(
        *_GROUP,
        "value",
        "state",
        "bound",
        nw.col("day").alias("value_date"),
        "record_count",
        "source_table",
        nw.col("code").alias("source_code"),
        "source_file_id",
        nw.col("source_row").cast(nw.Int64).alias("source_row"),
    )


def _finish(frame: Frame, value: nw.Expr, state: nw.Expr, bound: nw.Expr | None = None) -> Frame:
    return frame.with_columns(
        value=value.cast(nw.Float64),
        state=state,
        bound=bound if bound is not None else NO_BOUND,
        record_count=nw.col("record_count").cast(nw.Int64),
    ).select(*_GROUP, *_SETTLED_WITH)


def _counted(hits: Frame, column: str) -> Frame:
    """Count the different days, or codes, of a person's records."""
    each = hits.group_by(*_GROUP, nw.col(column).alias("counted")).agg(
        nw.len().alias("records"), nw.col("day0").max().alias("latest_day")
    )
    found = each.group_by(*_GROUP).agg(
        nw.len().alias("found_count"),
        nw.col("records").sum().alias("record_count"),
        nw.col("latest_day").max().alias("last_day"),
    )
    return _finish(found, nw.col("found_count"), nw.lit("known"))


def _has(hits: Frame, variables: Sequence[Variable], index_date: date) -> Frame:
    is_start = ~nw.col("is_end")
    found = hits.group_by(*_GROUP).agg(
        nw.when(is_start).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias("record_count"),
        nw.when(is_start).then(nw.col("day0")).max().alias("last_day"),
        nw.when(nw.col("is_end")).then(nw.col("day0")).max().alias("end_day"),
        nw.col("day0").min().alias("first_day"),
    )
    holds = nw.col("end_day").is_null() | (nw.col("last_day") >= nw.col("end_day"))
    for each in variables:
        if each.is_first:
            is_new = nw.col("first_day") >= lookback_start(each, index_date)
            holds = holds & ((nw.col("variable") != each.id) | is_new)
    contradicts = ~nw.col("end_day").is_null() & (nw.col("last_day") == nw.col("end_day"))
    return _finish(
        found.filter((nw.col("record_count") > 0) & holds),
        nw.when(~contradicts).then(nw.lit(1.0)),
        nw.when(contradicts).then(nw.lit("conflict")).otherwise(nw.lit("known")),
    )


def _latest(hits: Frame) -> Frame:
    ends = hits.group_by(*_GROUP).agg(nw.col("day0").max().alias("last_day"))
    last = hits.join(ends, left_on=[*_GROUP, "day0"], right_on=[*_GROUP, "last_day"], how="semi")
    usable = nw.when(nw.col("is_usable")).then(nw.col("value"))
    exact = nw.when(nw.col("bound").is_null()).then(nw.lit("=")).otherwise(nw.col("bound"))
    bound = nw.when(nw.col("is_usable")).then(exact)
    found = last.group_by(*_GROUP).agg(
        nw.len().alias("record_count"),
        nw.col("day0").max().alias("last_day"),
        usable.min().alias("smallest"),
        usable.max().alias("largest"),
        bound.min().alias("one_bound"),
        bound.max().alias("other_bound"),
        nw.col("oldest").max().alias("oldest"),
    )
    state = (
        nw.when(nw.col("last_day") < nw.col("oldest"))
        .then(nw.lit("stale"))
        .otherwise(
            nw.when(nw.col("smallest").is_null())
            .then(nw.lit("unusable"))
            .otherwise(
                nw.when((nw.col("smallest") != nw.col("largest")) | (nw.col("one_bound") != nw.col("other_bound")))
                .then(nw.lit("conflict"))
                .otherwise(nw.lit("known"))
            )
        )
    )
    found = found.with_columns(settled=state)
    is_known = nw.col("settled") == "known"
    return _finish(
        found,
        nw.when(is_known).then(nw.col("smallest")),
        nw.col("settled"),
        nw.when(is_known & (nw.col("one_bound") != "=")).then(nw.col("one_bound")),
    )


def _extreme(hits: Frame, of_last: int, *, is_highest: bool) -> Frame:
    """Take the highest or lowest of the values of the latest days that have one fit to use.

    Of a value that is known by a bound only, what is known is a bound too, or nothing.
    """
    usable = hits.filter(nw.col("is_usable") & (nw.col("day") >= nw.col("oldest")))
    days = usable.select(*_GROUP, "day").unique()
    days = days.with_columns(place=nw.col("day").rank(method="ordinal", descending=True).over(*_GROUP))
    wanted = days.filter(nw.col("place") <= of_last)
    enough = wanted.group_by(*_GROUP).agg(nw.len().alias("days"))
    mine = usable.join(wanted.select(*_GROUP, "day"), on=[*_GROUP, "day"], how="inner")
    mine = mine.join(enough.filter(nw.col("days") == of_last).select(*_GROUP), on=list(_GROUP), how="semi")
    open_side, closed_side = ((">", ">="), ("<", "<=")) if is_highest else (("<", "<="), (">", ">="))
    value = nw.col("value").max() if is_highest else nw.col("value").min()
    one = nw.lit(1)
    found = mine.group_by(*_GROUP).agg(
        nw.len().alias("record_count"),
        nw.col("day0").max().alias("last_day"),
        value.alias("extreme"),
        nw.when(nw.col("bound").is_in(open_side)).then(one).otherwise(nw.lit(0)).max().alias("is_open"),
        nw.when(nw.col("bound").is_in(closed_side)).then(one).otherwise(nw.lit(0)).max().alias("is_unclear"),
    )
    is_known = nw.col("is_unclear") == 0
    return _finish(
        found,
        nw.when(is_known).then(nw.col("extreme")),
        nw.when(is_known).then(nw.lit("known")).otherwise(nw.lit("unusable")),
        nw.when(is_known & (nw.col("is_open") == 1)).then(nw.lit(">=" if is_highest else "<=")),
    )


def _episodes(hits: Frame, merge_days: int) -> Frame:
    days = hits.group_by(*_GROUP, "day").agg(nw.len().alias("records"), nw.col("day0").max().alias("day0"))
    days = days.with_columns(is_dated=~nw.col("day").is_null())
    gaps = days.with_columns(before=nw.col("day").shift(1).over(*_GROUP, "is_dated", order_by="day"))
    is_new = nw.col("before").is_null() | (nw.col("day") > nw.col("before").dt.offset_by(f"{merge_days}d"))
    found = gaps.group_by(*_GROUP).agg(
        nw.when(nw.col("is_dated") & is_new).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias("episode_count"),
        nw.col("records").sum().alias("record_count"),
        nw.col("day0").max().alias("last_day"),
    )
    return _finish(found.filter(nw.col("episode_count") > 0), nw.col("episode_count"), nw.lit("known"))


def _weighed(seen: Frame) -> Frame:
    """Sum the weights of a person's distinct diagnosis categories; what the list does not hold weighs nought."""
    counts = seen.group_by(*_GROUP).agg(nw.len().alias("record_count"), nw.col("day0").max().alias("last_day"))
    each = seen.filter(nw.col("is_usable")).group_by(*_GROUP, "code").agg(nw.col("value").max().alias("weight"))
    total = each.group_by(*_GROUP).agg(nw.col("weight").sum().round(1).alias("points"))
    found = counts.join(total, on=list(_GROUP), how="left")
    return _finish(found, nw.col("points").fill_null(0.0), nw.lit("known"))
