"""From dated records to one value per person and variable, and from those to one wide row per person.

Works the declared variables of the rule book in one pass per source table: records joined once to a table of what
each code means, then reduced by person and variable. Windows are half-open, ``[start, index_date)``. Frames in, frames
out: no files, no clock, any engine Narwhals knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from stratify.errors import RuleError
from stratify.periods import months_before
from stratify.rulebook import SYSTEMS, RuleBook
from stratify.rules import PERSON_FIELDS, Codelist, Variable

Frame: TypeAlias = "nw.LazyFrame[Any]"
"""A lazy frame of whichever engine."""

LONG_AGO = date(1800, 1, 1)
"""Stands for a date nobody knows: before every other one, so an undated record never counts as the latest."""

CODE_COLUMNS = {
    "kind": pl.String,
    "match": pl.String,
    "variable": pl.String,
    "is_end": pl.Boolean,
    "start_date": pl.Date,
    "may_be_undated": pl.Boolean,
    "weight": pl.Float64,
}
BOUNDS = ("<", "<=", ">", ">=")
"""Comparators of a value of which only one bound is known: ``>90`` is above 90, and nobody knows how far."""
NO_BOUND = nw.lit(None, dtype=nw.String)
SOURCE_TABLES = ("gp_event", "gp_observation", "gp_medication", "apc_spell", "apc_diagnosis", "patient_flag")

READS: dict[str, dict[str, tuple[str, ...]]] = {
    "event": {
        "gp_event": ("snomed_code", "effective_date"),
        "gp_observation": ("snomed_code", "effective_date"),
    },
    "measurement": {
        "gp_observation": (
            "measurement",
            "snomed_code",
            "effective_date",
            "value_canonical",
            "value_status",
            "comparator",
        ),
    },
    "issue": {"gp_medication": ("dmd_code", "bnf_code", "issue_date")},
    "any_issue": {"gp_medication": ("dmd_code", "bnf_code", "original_code", "issue_date")},
    "emergency_admission": {"apc_spell": ("primary_diagnosis", "admission_date", "is_emergency")},
    "hospital_diagnosis": {"apc_diagnosis": ("icd10_code", "icd10_category", "admission_date", "is_emergency")},
    "flag": {"patient_flag": ("flag", "start_date", "end_date")},
}
"""Core tables and their columns that each kind of record is read from, beside whose record it is and its place."""

_HIT = (
    "patient_key",
    "variable",
    "is_end",
    "day",
    "value",
    "is_usable",
    "bound",
    "code",
    "source_table",
    "source_file_id",
    "source_row",
)


def code_table(book: RuleBook, matches: Iterable[tuple[str, str, str]], *, index_date: date) -> pl.DataFrame:
    """Say what every code in the data means for the variables.

    Args:
        book: The rule book.
        matches: (code system, code, codelist) for every code in the data that a codelist holds.
        index_date: The day the run describes.

    Returns:
        One row per kind of record, code (or measurement, or flag) and variable: ``kind``, ``match``, ``variable``,
        ``is_end`` (it ends what the variable states), ``start_date`` of the window, ``may_be_undated``, ``weight``.
    """
    by_codelist: dict[str, list[tuple[str, str]]] = {}
    for system, code, codelist in matches:
        by_codelist.setdefault(codelist, []).append((system, code))
    rows = []
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        start = months_before(index_date, variable.lookback_months) if variable.lookback_months else LONG_AGO
        undated = variable.lookback_months is None and not variable.is_latest

        def add(kind: str, match: str, *, is_end: bool = False, weight: float = 0.0) -> None:
            rows.append((kind, match, variable.id, is_end, start, undated, weight))  # noqa: B023

        for records in variable.records:
            if records.kind in ("measurement", "flag"):
                add(records.kind, records.what)
            elif records.kind == "any_issue":
                add("any_issue", "*")
            else:
                held = book.codelists[records.what]
                for system, code in by_codelist.get(records.what, ()):
                    if system in SYSTEMS[records.kind]:
                        kind = "issue_bnf" if records.kind == "issue" and system == "bnf" else records.kind
                        if variable.take == "weight":
                            add("weight", code, weight=_weight(held, code))
                        else:
                            add(kind, code)
        if variable.ended_by:
            for system, code in by_codelist.get(variable.ended_by, ()):
                if system == "snomed_ct":
                    add("event", code, is_end=True)
    return pl.DataFrame(rows, schema=CODE_COLUMNS, orient="row").unique().sort("kind", "match", "variable", "is_end")


def _weight(held: Codelist, code: str) -> float:
    """Give the weight of a code of the data: that of the longest listed code it begins with.

    Raises:
        RuleError: the codelist has none, which must never count as nought.
    """
    listed = [each for each in held.weights if code == each or (held.match != "exact" and code.startswith(each))]
    if not listed:
        raise RuleError(
            f"codelist {held.id}",
            expected="a weight for every code it matches",
            found="a code of the data matched to it that none of its weights is for",
            action="Correct the codelist, or how it matches.",
        )
    return held.weights[max(listed, key=len)]


def variable_values(tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date) -> Frame:
    """Reduce records to one value per person and variable.

    Args:
        tables: The core tables of ``SOURCE_TABLES`` by name without layer.
        codes: What :func:`code_table` gave.
        book: The rule book.
        index_date: The day the run describes; nothing dated on it or later is used.

    Returns:
        Contract ``derived.variable_value``: a row wherever something was found. A latest value is ``stale`` past its
        maximum age, ``conflict`` where the latest day holds two different ones, ``unusable`` where the newest record
        had no value fit to use. A state that began and ended on one day is a ``conflict`` too.
    """
    hits = _hits(tables, codes, index_date)
    by_take: dict[str, list[Variable]] = {}
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        by_take.setdefault(variable.take, []).append(variable)
    parts = []
    if "has" in by_take:
        parts.append(_has(_of(hits, by_take["has"])))
    if "count" in by_take:
        parts.append(_counted(_of(hits, by_take["count"]), nw.col("day_count")))
    if "latest" in by_take:
        parts.append(_latest(_of(hits, by_take["latest"]), by_take["latest"], index_date))
    for days in sorted({each.merge_days for each in by_take.get("episodes", []) if each.merge_days}):
        chosen = [each for each in by_take["episodes"] if each.merge_days == days]
        parts.append(_episodes(_of(hits, chosen), days))
    if "distinct_codes" in by_take:
        chosen = by_take["distinct_codes"]
        every = [each for each in chosen if any(records.kind == "any_issue" for records in each.records)]
        found = _of(hits, chosen)
        if every:
            found = nw.concat([found, _all_issues(tables["gp_medication"], every, index_date)])
        parts.append(_counted(found, nw.col("code_count")))
    for variable in by_take.get("weight", []):
        parts.append(_weighed(tables["apc_diagnosis"], codes, variable, index_date))
    return nw.concat(parts)


def records_behind(tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date) -> Frame:
    """Give the dated records that the values of :func:`variable_values` were reduced from.

    Returns:
        One row per record and variable: ``variable``, ``day``, ``value``, ``bound``, ``code``, ``source_table``,
        ``source_file_id``, ``source_row``.
    """
    parts = [_hits(tables, codes, index_date).select(*_HIT)]
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        if any(records.kind == "any_issue" for records in variable.records):
            parts.append(_all_issues(tables["gp_medication"], [variable], index_date).select(*_HIT))
        if variable.take == "weight":
            parts.append(_weighed_records(tables["apc_diagnosis"], codes, variable, index_date).select(*_HIT))
    columns = ("variable", "day", "value", "bound", "code", "source_table", "source_file_id", "source_row")
    return nw.concat(parts).select(*columns)


def _hits(tables: Mapping[str, Frame], codes: Frame, index_date: date) -> Frame:
    """Give every record that means something for some variable, in its window."""
    event, observation = tables["gp_event"], tables["gp_observation"]
    medication, spell, flag = tables["gp_medication"], tables["apc_spell"], tables["patient_flag"]
    diagnosis = tables["apc_diagnosis"]
    usable = nw.col("value_status") == "ok"
    parts = [
        _hit(event, codes, "gp_event", "event", "snomed_code", "effective_date", index_date),
        _hit(observation, codes, "gp_observation", "event", "snomed_code", "effective_date", index_date),
        _hit(
            observation,
            codes,
            "gp_observation",
            "measurement",
            "measurement",
            "effective_date",
            index_date,
            value=nw.col("value_canonical"),
            is_usable=usable,
            bound=nw.when(nw.col("comparator").is_in(BOUNDS)).then(nw.col("comparator")),
            code=nw.col("snomed_code"),
        ),
        _issues(medication, codes, index_date),
        _hit(
            spell.filter(nw.col("is_emergency")),
            codes,
            "apc_spell",
            "emergency_admission",
            "primary_diagnosis",
            "admission_date",
            index_date,
        ),
        _hit(
            diagnosis.filter(nw.col("is_emergency")),
            codes,
            "apc_diagnosis",
            "hospital_diagnosis",
            "icd10_code",
            "admission_date",
            index_date,
        ),
        _hit(
            flag.filter(
                (nw.col("start_date") <= index_date)
                & (nw.col("end_date").is_null() | (nw.col("end_date") > index_date))
            ),
            codes,
            "patient_flag",
            "flag",
            "flag",
            "start_date",
            None,
        ),
    ]
    return nw.concat(parts)


def _hit(
    frame: Frame,
    codes: Frame,
    source_table: str,
    kind: str,
    match: str,
    day: str,
    index_date: date | None,
    *,
    value: nw.Expr | None = None,
    is_usable: nw.Expr | None = None,
    bound: nw.Expr | None = None,
    code: nw.Expr | None = None,
) -> Frame:
    records = frame.filter(~nw.col("patient_key").is_null() & ~nw.col(match).is_null()).select(
        "patient_key",
        nw.col(match).alias("match"),
        nw.col(day).alias("day"),
        (value if value is not None else nw.lit(1.0)).cast(nw.Float64).alias("value"),
        (is_usable if is_usable is not None else nw.lit(True)).alias("is_usable"),
        (bound if bound is not None else NO_BOUND).alias("bound"),
        (code if code is not None else nw.col(match)).alias("code"),
        nw.lit(source_table).alias("source_table"),
        "source_file_id",
        "source_row",
    )
    meant = codes.filter(nw.col("kind") == kind).select("match", "variable", "is_end", "start_date", "may_be_undated")
    found = records.join(meant, on="match", how="inner")
    if index_date is not None:
        in_window = (nw.col("day") >= nw.col("start_date")) & (nw.col("day") < index_date)
        found = found.filter(in_window | (nw.col("day").is_null() & nw.col("may_be_undated")))
    return found.select(*_HIT)


def _issues(medication: Frame, codes: Frame, index_date: date) -> Frame:
    """Give the issues that mean something by product or by place in the BNF; one known by both is one record."""
    code = nw.when(~nw.col("dmd_code").is_null()).then(nw.col("dmd_code")).otherwise(nw.col("bnf_code"))
    by_product = _hit(medication, codes, "gp_medication", "issue", "dmd_code", "issue_date", index_date, code=code)
    by_bnf = _hit(medication, codes, "gp_medication", "issue_bnf", "bnf_code", "issue_date", index_date, code=code)
    return nw.concat([by_product, by_bnf]).unique()


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


def _counts(hits: Frame) -> Frame:
    return hits.group_by("patient_key", "variable").agg(
        nw.len().alias("record_count"),
        nw.col("day0").n_unique().alias("day_count"),
        nw.col("code").n_unique().alias("code_count"),
    )


def _counted(hits: Frame, value: nw.Expr) -> Frame:
    found = _counts(hits).join(_last_record(hits), on=["patient_key", "variable"], how="inner")
    return _finish(found, value, nw.lit("known"))


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
        limit = months_before(index_date, variable.maximum_age_months or 0)
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


def _all_issues(medication: Frame, variables: Sequence[Variable], index_date: date) -> Frame:
    """Give every issue in the window, its code brought to the substance (BNF, 9 characters) where that is known."""
    substance = nw.col("bnf_code").str.slice(0, 9)
    other = nw.when(~nw.col("dmd_code").is_null()).then(nw.col("dmd_code")).otherwise(nw.col("original_code"))
    parts = []
    for variable in variables:
        start = months_before(index_date, variable.lookback_months) if variable.lookback_months else LONG_AGO
        issues = medication.filter(
            ~nw.col("patient_key").is_null() & (nw.col("issue_date") >= start) & (nw.col("issue_date") < index_date)
        ).select(
            "patient_key",
            nw.lit(variable.id).alias("variable"),
            nw.lit(False).alias("is_end"),
            nw.col("issue_date").alias("day"),
            nw.lit(1.0).alias("value"),
            nw.lit(True).alias("is_usable"),
            NO_BOUND.alias("bound"),
            nw.when(~nw.col("bnf_code").is_null()).then(substance).otherwise(other).alias("code"),
            nw.lit("gp_medication").alias("source_table"),
            "source_file_id",
            "source_row",
        )
        parts.append(issues.filter(~nw.col("code").is_null()).with_columns(day0=nw.col("day")))
    return nw.concat(parts)


def _weighed_records(diagnosis: Frame, codes: Frame, variable: Variable, index_date: date) -> Frame:
    """Give the emergency diagnoses in the window with their weights; one that the list does not hold weighs nought."""
    start = months_before(index_date, variable.lookback_months) if variable.lookback_months else LONG_AGO
    weights = codes.filter((nw.col("kind") == "weight") & (nw.col("variable") == variable.id)).select("match", "weight")
    return (
        diagnosis.filter(
            ~nw.col("patient_key").is_null()
            & nw.col("is_emergency")
            & (nw.col("admission_date") >= start)
            & (nw.col("admission_date") < index_date)
        )
        .join(weights, left_on="icd10_code", right_on="match", how="left")
        .select(
            "patient_key",
            nw.lit(variable.id).alias("variable"),
            nw.lit(False).alias("is_end"),
            nw.col("admission_date").alias("day"),
            nw.when(nw.col("weight").is_null()).then(nw.lit(0.0)).otherwise(nw.col("weight")).alias("value"),
            (~nw.col("weight").is_null()).alias("is_usable"),
            NO_BOUND.alias("bound"),
            nw.col("icd10_category").alias("code"),
            nw.lit("apc_diagnosis").alias("source_table"),
            "source_file_id",
            "source_row",
            nw.col("admission_date").alias("day0"),
        )
    )


def _weighed(diagnosis: Frame, codes: Frame, variable: Variable, index_date: date) -> Frame:
    """Sum the weights of a person's distinct diagnosis categories."""
    seen = _weighed_records(diagnosis, codes, variable, index_date)
    each = seen.group_by("patient_key", "variable", "code").agg(nw.col("value").max().alias("weight"))
    total = each.group_by("patient_key", "variable").agg(nw.col("weight").sum().round(1).alias("points"))
    found = (
        _counts(seen)
        .join(_last_record(seen), on=["patient_key", "variable"], how="inner")
        .join(total, on=["patient_key", "variable"], how="inner")
    )
    return _finish(found, nw.col("points"), nw.lit("known"))


def person_rows(persons: Frame, values: Frame, book: RuleBook, *, index_date: date) -> Frame:
    """Bring persons and their variable values to one wide row per person.

    For each variable there are five columns: ``x_<id>`` the value (null when not known), ``o_<id>`` true when it may
    be higher (hospital records of a person who is not linked; a value with ``>``), ``u_<id>`` true when it may be lower
    (a value with ``<``), ``s_<id>`` true when it is one of those and not ``x`` itself (``<`` and ``>``, not ``<=``),
    and ``c_<id>`` true when the records contradict each other. A count or flag without a row is nought.

    Args:
        persons: Contract ``core.person``.
        values: Contract ``derived.variable_value``.
        book: The rule book.
        index_date: The day the run describes.
    """
    variables = sorted(book.variables.values(), key=lambda each: each.id)
    columns: list[nw.Expr] = []
    for variable in variables:
        mine = nw.col("variable") == variable.id
        columns.append(
            nw.when(mine & (nw.col("state") == "known")).then(nw.col("value")).max().alias(f"r_{variable.id}")
        )
        if variable.is_latest:
            columns.append(nw.when(mine).then(nw.col("bound")).max().alias(f"b_{variable.id}"))
        columns.append(
            nw.when(mine & (nw.col("state") == "conflict"))
            .then(nw.lit(1))
            .otherwise(nw.lit(0))
            .max()
            .alias(f"k_{variable.id}")
        )
    pivoted = values.group_by("patient_key").agg(*columns)
    wide = persons.join(pivoted, on="patient_key", how="left")
    months = (
        nw.lit(index_date.year * 12 + index_date.month)
        - (nw.col("registered_date").dt.year() * 12 + nw.col("registered_date").dt.month())
    ).cast(nw.Float64) - nw.when(nw.col("registered_date").dt.day() > index_date.day).then(nw.lit(1.0)).otherwise(
        nw.lit(0.0)
    )
    own = {"age_years": nw.col("age_years").cast(nw.Float64), "months_registered": months}
    return wide.select(
        "patient_key",
        "person_status",
        "identity_doubt",
        "is_hospital_linked",
        *(_expr.alias(f"x_{name}") for name, _expr in own.items()),
        *(nw.lit(False).alias(f"{letter}_{name}") for name in PERSON_FIELDS for letter in "ousc"),
        *(each for variable in variables for each in _wide_columns(variable)),
    )


def _wide_columns(variable: Variable) -> tuple[nw.Expr, ...]:
    found = nw.col(f"r_{variable.id}")
    contradicts = nw.col(f"k_{variable.id}") == 1
    contradicts = nw.when(contradicts.is_null()).then(nw.lit(False)).otherwise(contradicts)
    value = found
    if not variable.is_latest and variable.take != "weight":
        nought = nw.when(found.is_null()).then(nw.lit(0.0)).otherwise(found)
        value = nw.when(~contradicts).then(nought)
    may_be_higher = ~nw.col("is_hospital_linked") if variable.reads_hospital else nw.lit(False)
    may_be_lower, is_strict = nw.lit(False), nw.lit(False)
    if variable.is_latest:
        may_be_higher, may_be_lower, is_strict = (
            _is_one_of(nw.col(f"b_{variable.id}"), signs) for signs in ((">", ">="), ("<", "<="), ("<", ">"))
        )
    return (
        value.alias(f"x_{variable.id}"),
        may_be_higher.alias(f"o_{variable.id}"),
        may_be_lower.alias(f"u_{variable.id}"),
        is_strict.alias(f"s_{variable.id}"),
        contradicts.alias(f"c_{variable.id}"),
    )


def _is_one_of(bound: nw.Expr, signs: Sequence[str]) -> nw.Expr:
    return nw.when(bound.is_in(signs)).then(nw.lit(True)).otherwise(nw.lit(False))
