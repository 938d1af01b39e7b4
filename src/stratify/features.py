"""From the records that count to one value per person and variable.

Works the declared variables of the rule book: the records of ``hits``, grouped by person and variable and reduced as
each variable says. Frames in, frames out: no files, no clock, any engine Narwhals knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

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
from stratify.periods import months_before
from stratify.rulebook import RuleBook
from stratify.rules import Variable


def variable_values(
    tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date, settle: Settle = in_memory
) -> Frame:
    """Reduce records to one value per person and variable.

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
    hits = hits_of(tables, codes, book, index_date=index_date, settle=settle)
    by_take: dict[str, list[Variable]] = {}
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        by_take.setdefault(variable.take, []).append(variable)
    parts = []
    if "has" in by_take:
        firsts = [each for each in by_take["has"] if each.is_first]
        parts.append(_has(_of(hits, [each for each in by_take["has"] if not each.is_first])))
        parts += [_has(_first_ever(_of(hits, [each]), lookback_start(each, index_date))) for each in firsts]
    if "count" in by_take:
        parts.append(_counted(_of(hits, by_take["count"]), "day0"))
    if "latest" in by_take:
        parts.append(_latest(_of(hits, by_take["latest"]), by_take["latest"], index_date))
    for take in ("highest", "lowest"):
        parts += [_extreme(_of(hits, [each]), each, index_date) for each in by_take.get(take, [])]
    for days in sorted({each.merge_days for each in by_take.get("episodes", []) if each.merge_days}):
        chosen = [each for each in by_take["episodes"] if each.merge_days == days]
        parts.append(_episodes(_of(hits, chosen), days))
    if "distinct_codes" in by_take:
        chosen = by_take["distinct_codes"]
        every = [each for each in chosen if any(records.kind == "any_issue" for records in each.records)]
        found = _of(hits, chosen)
        if every:
            found = nw.concat([found, all_issues(tables["gp_medication"], every, index_date)])
        parts.append(_counted(found, "code"))
    for variable in by_take.get("weight", []):
        parts.append(_weighed(tables["apc_diagnosis"], codes, variable, index_date))
    return nw.concat(parts)


def _of(hits: Frame, variables: Sequence[Variable]) -> Frame:
    return hits.filter(nw.col("variable").is_in([each.id for each in variables])).with_columns(
        day0=nw.when(nw.col("day").is_null()).then(nw.lit(LONG_AGO)).otherwise(nw.col("day"))
    )


def _last_record(hits: Frame) -> Frame:
    """Give one record per person and variable: the latest day's, usable before unusable, then by place in the files."""
    group = ("patient_key", "variable")
    last = hits.filter(nw.col("day0") == nw.col("day0").max().over(*group))
    rank = nw.when(nw.col("is_usable")).then(nw.lit("0")).otherwise(nw.lit("1"))
    last = last.with_columns(
        place=nw.concat_str(
            [
                rank,
                nw.col("source_table"),
                nw.col("source_file_id"),
                nw.col("source_row").cast(nw.String),
                nw.col("code"),
            ],
            separator="|",
            ignore_nulls=True,
        )
    )
    first = last.filter(nw.col("place") == nw.col("place").min().over(*group))
    return first.group_by(*group).agg(
        nw.col("day").max().alias("value_date"),
        nw.col("source_table").max().alias("source_table"),
        nw.col("code").max().alias("source_code"),
        nw.col("source_file_id").max().alias("source_file_id"),
        nw.col("source_row").max().alias("source_row"),
    )


def _finish(frame: Frame, value: nw.Expr, state: nw.Expr, bound: nw.Expr | None = None) -> Frame:
    return frame.with_columns(
        value=value.cast(nw.Float64), state=state, bound=bound if bound is not None else NO_BOUND
    ).select(
        "patient_key",
        "variable",
        "value",
        "state",
        "bound",
        "value_date",
        nw.col("record_count").cast(nw.Int64).alias("record_count"),
        "source_table",
        "source_code",
        "source_file_id",
        nw.col("source_row").cast(nw.Int64).alias("source_row"),
    )


def _counts(hits: Frame, *more: nw.Expr) -> Frame:
    return hits.group_by("patient_key", "variable").agg(nw.len().alias("record_count"), *more)


def _counted(hits: Frame, column: str) -> Frame:
    """Count the different days, or codes, of a person's records: only where it is asked for, for it costs the most."""
    counts = _counts(hits, nw.col(column).n_unique().alias("found_count"))
    found = counts.join(_last_record(hits), on=["patient_key", "variable"], how="inner")
    return _finish(found, nw.col("found_count"), nw.lit("known"))


def _has(hits: Frame) -> Frame:
    starts = hits.filter(~nw.col("is_end"))
    ends = hits.filter(nw.col("is_end")).group_by("patient_key", "variable").agg(nw.col("day0").max().alias("end_day"))
    found = (
        _counts(starts)
        .join(_last_record(starts), on=["patient_key", "variable"], how="inner")
        .join(ends, on=["patient_key", "variable"], how="left")
    )
    start_day = nw.when(nw.col("value_date").is_null()).then(nw.lit(LONG_AGO)).otherwise(nw.col("value_date"))
    holds = nw.col("end_day").is_null() | (start_day >= nw.col("end_day"))
    contradicts = ~nw.col("end_day").is_null() & (start_day == nw.col("end_day"))
    found = found.filter(holds)
    return _finish(
        found,
        nw.when(~contradicts).then(nw.lit(1.0)),
        nw.when(contradicts).then(nw.lit("conflict")).otherwise(nw.lit("known")),
    )


def _latest(hits: Frame, variables: Sequence[Variable], index_date: date) -> Frame:
    group = ("patient_key", "variable")
    last = hits.filter(nw.col("day0") == nw.col("day0").max().over(*group))
    usable = nw.when(nw.col("is_usable")).then(nw.col("value"))
    exact = nw.when(nw.col("bound").is_null()).then(nw.lit("=")).otherwise(nw.col("bound"))
    bound = nw.when(nw.col("is_usable")).then(exact)
    values = last.group_by(*group).agg(
        nw.len().alias("record_count"),
        usable.min().alias("smallest"),
        usable.max().alias("largest"),
        bound.min().alias("one_bound"),
        bound.max().alias("other_bound"),
    )
    found = values.join(_last_record(hits), on=list(group), how="inner")
    oldest = nw.lit(None, dtype=nw.Date)
    for variable in variables:
        limit = _oldest(variable, index_date)
        oldest = nw.when(nw.col("variable") == variable.id).then(nw.lit(limit)).otherwise(oldest)
    state = (
        nw.when(nw.col("value_date") < nw.col("oldest"))
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
    found = found.with_columns(oldest=oldest).with_columns(settled=state)
    is_known = nw.col("settled") == "known"
    return _finish(
        found,
        nw.when(is_known).then(nw.col("smallest")),
        nw.col("settled"),
        nw.when(is_known & (nw.col("one_bound") != "=")).then(nw.col("one_bound")),
    )


def _oldest(variable: Variable, index_date: date) -> date:
    """Give the first day on which a value may have been taken and still be used."""
    if variable.maximum_age_days:
        return index_date - timedelta(days=variable.maximum_age_days)
    return months_before(index_date, variable.maximum_age_months or 0)


def _first_ever(hits: Frame, start: date) -> Frame:
    """Keep the records of those whose first one ever lies in the window."""
    return hits.filter(nw.col("day0").min().over("patient_key", "variable") >= start)


def _extreme(hits: Frame, variable: Variable, index_date: date) -> Frame:
    """Take the highest or lowest of the values of the latest days that have one fit to use.

    Of a value that is known by a bound only, what is known is a bound too, or nothing.
    """
    group = ("patient_key", "variable")
    usable = hits.filter(
        nw.col("is_usable") & ~nw.col("day").is_null() & (nw.col("day") >= _oldest(variable, index_date))
    )
    days = usable.select(*group, "day").unique()
    days = days.with_columns(place=nw.col("day").rank(method="ordinal", descending=True).over(*group))
    wanted = days.filter(nw.col("place") <= variable.of_last)
    enough = wanted.group_by(*group).agg(nw.len().alias("days"))
    mine = usable.join(wanted.select(*group, "day"), on=[*group, "day"], how="inner")
    mine = mine.join(enough.filter(nw.col("days") == variable.of_last).select(*group), on=list(group), how="semi")
    is_highest = variable.take == "highest"
    open_side, closed_side = ((">", ">="), ("<", "<=")) if is_highest else (("<", "<="), (">", ">="))
    value = nw.col("value").max() if is_highest else nw.col("value").min()
    one = nw.lit(1)
    found = mine.group_by(*group).agg(
        nw.len().alias("record_count"),
        value.alias("extreme"),
        nw.when(nw.col("bound").is_in(open_side)).then(one).otherwise(nw.lit(0)).max().alias("is_open"),
        nw.when(nw.col("bound").is_in(closed_side)).then(one).otherwise(nw.lit(0)).max().alias("is_unclear"),
    )
    found = found.join(_last_record(mine), on=list(group), how="inner")
    is_known = nw.col("is_unclear") == 0
    return _finish(
        found,
        nw.when(is_known).then(nw.col("extreme")),
        nw.when(is_known).then(nw.lit("known")).otherwise(nw.lit("unusable")),
        nw.when(is_known & (nw.col("is_open") == 1)).then(nw.lit(">=" if is_highest else "<=")),
    )


def _episodes(hits: Frame, merge_days: int) -> Frame:
    group = ("patient_key", "variable")
    days = hits.filter(~nw.col("day").is_null()).select(*group, "day").unique()
    gaps = days.with_columns(before=nw.col("day").shift(1).over(*group, order_by="day"))
    opens = gaps.filter(nw.col("before").is_null() | (nw.col("day") > nw.col("before").dt.offset_by(f"{merge_days}d")))
    episodes = opens.group_by(*group).agg(nw.len().alias("episode_count"))
    found = (
        _counts(hits).join(_last_record(hits), on=list(group), how="inner").join(episodes, on=list(group), how="inner")
    )
    return _finish(found, nw.col("episode_count"), nw.lit("known"))


def _weighed(diagnosis: Frame, codes: Frame, variable: Variable, index_date: date) -> Frame:
    """Sum the weights of a person's distinct diagnosis categories."""
    seen = weighed_records(diagnosis, codes, variable, index_date)
    each = seen.group_by("patient_key", "variable", "code").agg(nw.col("value").max().alias("weight"))
    total = each.group_by("patient_key", "variable").agg(nw.col("weight").sum().round(1).alias("points"))
    found = (
        _counts(seen)
        .join(_last_record(seen), on=["patient_key", "variable"], how="inner")
        .join(total, on=["patient_key", "variable"], how="inner")
    )
    return _finish(found, nw.col("points"), nw.lit("known"))
