"""Dated records that mean something: every record of the core tables that counts for some variable, in its window.

One pass per source table: records are joined once to a table of what each code means. Windows are half-open,
``[start, end)``. What the hits come to for a person is in ``features``. Frames in, frames out: no files, no clock, any
engine Narwhals knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import polars as pl

from stratify.errors import RuleError
from stratify.periods import months_before
from stratify.rulebook import SYSTEMS, RuleBook
from stratify.rules import ANY, Codelist, Records, Variable

Frame: TypeAlias = "nw.LazyFrame[Any]"
"""A lazy frame of whichever engine."""

Settle: TypeAlias = Callable[[str, Frame], Frame]
"""Runs a frame once and gives the result under a name, where what follows reads it several times."""

LONG_AGO = date(1800, 1, 1)
"""Stands for a date nobody knows: before every other one, so an undated record never counts as the latest."""

CODE_COLUMNS = {
    "kind": pl.String,
    "match": pl.String,
    "variable": pl.String,
    "take": pl.String,
    "is_end": pl.Boolean,
    "rule": pl.String,
    "part": pl.String,
    "parts": pl.Int64,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "may_be_undated": pl.Boolean,
    "oldest": pl.Date,
    "weight": pl.Float64,
}
BOUNDS = ("<", "<=", ">", ">=")
"""Comparators of a value of which only one bound is known: ``>90`` is above 90, and nobody knows how far."""
NO_BOUND = nw.lit(None, dtype=nw.String)
SOURCE_TABLES = (
    "gp_event",
    "gp_observation",
    "gp_medication",
    "apc_spell",
    "apc_diagnosis",
    "ed_attendance",
    "patient_flag",
)

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
    "inpatient_diagnosis": {"apc_diagnosis": ("icd10_code", "icd10_category", "admission_date")},
    "ed_attendance": {"ed_attendance": ("arrival_at",)},
    "stay": {"apc_spell": ("admission_date", "discharge_date", "is_emergency")},
    "flag": {"patient_flag": ("flag", "start_date", "end_date")},
    "plug_in": {},
}
"""Core tables and their columns that each kind of record is read from, beside whose record it is and its place."""

HIT = (
    "patient_key",
    "variable",
    "take",
    "is_end",
    "day",
    "value",
    "is_usable",
    "bound",
    "oldest",
    "code",
    "source_table",
    "source_file_id",
    "source_row",
)
SETTLED = ("record_found", "record_counted")
"""Names under which records are settled: all that mean something; and those that count, of variables with a day rule or
that look back from a stay."""
_EXCLUDED = "not"
"""Stands for the rule of records that rule a day out."""
_DAY_RULE = ("rule", "part", "parts")
"""What a code says of the day rule that its record is a part of."""


def code_table(book: RuleBook, matches: Iterable[tuple[str, str, str]], *, index_date: date) -> pl.DataFrame:
    """Say what every code in the data means for the variables.

    Args:
        book: The rule book.
        matches: (code system, code, codelist) for every code in the data that a codelist holds.
        index_date: The day the run describes.

    Returns:
        One row per kind of record, code (or measurement, flag or fact) and variable: ``kind``, ``match``, ``variable``
        and its ``take``, ``is_end`` (it ends what the variable states), ``rule``, ``part`` and number of ``parts`` of
        a day rule (null for a record that counts alone), ``start_date`` and ``end_date`` of the window,
        ``may_be_undated``, ``oldest`` (the first day on which a value may have been taken and still be used),
        ``weight``.
    """
    by_codelist: dict[str, list[tuple[str, str]]] = {}
    for system, code, codelist in matches:
        by_codelist.setdefault(codelist, []).append((system, code))
    rows = []
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        start, end = window(variable, index_date)
        undated = not variable.has_lookback and not variable.is_value
        taken = (variable.id, variable.take)
        oldest = _oldest(variable, index_date)
        for records, part in _parts(variable):
            may_be_undated = undated and part == _ALONE
            for kind, match, weight in _meanings(records, variable, by_codelist, book):
                rows.append((kind, match, *taken, False, *part, start, end, may_be_undated, oldest, weight))
        if variable.ended_by:
            for system, code in by_codelist.get(variable.ended_by, ()):
                if system == "snomed_ct":
                    rows.append(("event", code, *taken, True, *_ALONE, start, end, undated, oldest, 0.0))
    by = ("kind", "match", "variable", "is_end", "rule", "part")
    return pl.DataFrame(rows, schema=CODE_COLUMNS, orient="row").unique().sort(*by, nulls_last=False)


def window(variable: Variable, index_date: date) -> tuple[date, date]:
    """Give the window in which records are read; what counts from another day is settled person by person."""
    end = months_before(index_date, variable.until_months_ago) if variable.until_months_ago else index_date
    if variable.before or variable.is_first or not variable.has_lookback:
        return LONG_AGO, end
    return lookback_start(variable, index_date), end


def _oldest(variable: Variable, index_date: date) -> date | None:
    """Give the first day on which a value may have been taken and still be used; none for what is no value."""
    if variable.maximum_age_days:
        return index_date - timedelta(days=variable.maximum_age_days)
    return months_before(index_date, variable.maximum_age_months) if variable.maximum_age_months else None


def lookback_start(variable: Variable, index_date: date) -> date:
    """Give the first day of a look-back; long ago where there is none."""
    if variable.lookback_months:
        return months_before(index_date, variable.lookback_months)
    return index_date - timedelta(days=variable.lookback_days) if variable.lookback_days else LONG_AGO


Part: TypeAlias = "tuple[str | None, str | None, int | None]"
"""Rule of a day, part of it, and how many parts it has."""
_ALONE: Part = (None, None, None)


def _parts(variable: Variable) -> Iterator[tuple[Records, Part]]:
    """Give the kinds of record a variable reads, each with its part of a day rule."""
    for number, records in enumerate(variable.records):
        if records.same_day is None:
            yield records, _ALONE
        for place, part in enumerate(records.same_day or ()):
            yield from ((each, (str(number), str(place), len(records.same_day or ()))) for each in part.any_of)
    yield from ((each, (_EXCLUDED, None, None)) for each in variable.not_on_days_with)


def _meanings(
    records: Records, variable: Variable, by_codelist: Mapping[str, Sequence[tuple[str, str]]], book: RuleBook
) -> Iterator[tuple[str, str, float]]:
    """Give kind, code and weight for everything in the data that is one of these records."""
    if records.kind == "plug_in":
        return
    if records.kind in ("measurement", "flag", "stay"):
        yield records.kind, records.what, 0.0
    elif records.kind == "any_issue":
        yield "any_issue", "*", 0.0
    elif records.what == ANY:
        yield f"any_{records.kind}", ANY, 0.0
    else:
        without = set(by_codelist.get(records.excluding or "", ()))
        for system, code in by_codelist.get(records.what, ()):
            if system not in SYSTEMS[records.kind] or (system, code) in without:
                continue
            if variable.take == "weight":
                yield "weight", code, _weight(book.codelists[records.what], code)
            else:
                yield ("issue_bnf" if records.kind == "issue" and system == "bnf" else records.kind), code, 0.0


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


# Records that count


def in_memory(name: str, frame: Frame) -> Frame:
    """Run a Polars frame and give it back: a plan that reads it several times would run it as often."""
    settled: Frame = nw.from_native(frame.collect(backend="polars").to_native().lazy())
    return settled


def hits_of(
    tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date, settle: Settle = in_memory
) -> Frame:
    """Give every record that means something for some variable, in its window: the columns of ``HIT``."""
    read = {
        each.kind for variable in book.variables.values() for each in (*variable.leaves, *variable.not_on_days_with)
    }
    read |= {"event"}
    any_kinds = {each.kind for variable in book.variables.values() for each in variable.leaves if each.what == ANY}
    parts = [
        *_gp_hits(tables, codes, index_date),
        *_hospital_hits(tables, codes, read, any_kinds, index_date),
        _flag_hits(tables["patient_flag"], codes, index_date),
    ]
    found = nw.concat(parts)
    apart = [each for each in book.variables.values() if each.before or has_day_rule(each)]
    if not apart and len({each.take for each in book.variables.values()} - {"weight"}) < 2:
        return found.select(*HIT)  # read once for the values and once for the records behind them
    found = settle(SETTLED[0], found)
    if not apart:
        return found.select(*HIT)
    own = nw.col("variable").is_in([each.id for each in apart])
    counted = _day_rules(_before_stays(found.filter(own), tables["apc_spell"], book, index_date), book)
    return nw.concat([found.filter(~own).select(*HIT), settle(SETTLED[1], counted.select(*HIT))])


def _gp_hits(tables: Mapping[str, Frame], codes: Frame, index_date: date) -> list[Frame]:
    event, observation, medication = tables["gp_event"], tables["gp_observation"], tables["gp_medication"]
    return [
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
            is_usable=nw.col("value_status") == "ok",
            bound=nw.when(nw.col("comparator").is_in(BOUNDS)).then(nw.col("comparator")),
            code=nw.col("snomed_code"),
        ),
        _issues(medication, codes, index_date),
    ]


def _hospital_hits(
    tables: Mapping[str, Frame], codes: Frame, read: set[str], any_kinds: set[str], index_date: date
) -> Iterator[Frame]:
    spell, diagnosis = tables["apc_spell"], tables["apc_diagnosis"]
    emergency = spell.filter(nw.col("is_emergency"))
    of_emergency = diagnosis.filter(nw.col("is_emergency"))
    coded = (
        (emergency, "apc_spell", "emergency_admission", "primary_diagnosis"),
        (of_emergency, "apc_diagnosis", "hospital_diagnosis", "icd10_code"),
        (diagnosis, "apc_diagnosis", "inpatient_diagnosis", "icd10_code"),
    )
    for frame, table, kind, code in coded:
        if kind in read:
            yield _hit(frame, codes, table, kind, code, "admission_date", index_date)
        if kind in any_kinds:
            everything = frame.with_columns(any_code=nw.lit(ANY))
            name = nw.when(~nw.col(code).is_null()).then(nw.col(code)).otherwise(nw.lit("not coded"))
            yield _hit(everything, codes, table, f"any_{kind}", "any_code", "admission_date", index_date, code=name)
    if "ed_attendance" in read:
        attendance = tables["ed_attendance"].with_columns(
            any_code=nw.lit(ANY), arrival_date=nw.col("arrival_at").cast(nw.Date)
        )
        kind = "any_ed_attendance"
        yield _hit(attendance, codes, "ed_attendance", kind, "any_code", "arrival_date", index_date)
    if "stay" in read:
        days = _day_number("discharge_date") - _day_number("admission_date")
        is_emergency = nw.when(nw.col("is_emergency")).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
        completed = _completed(spell, index_date)
        for fact, value in (("length_of_stay_days", days), ("is_emergency", is_emergency), (ANY, nw.lit(1.0))):
            stay = completed.with_columns(fact=nw.lit(fact))
            yield _hit(stay, codes, "apc_spell", "stay", "fact", "discharge_date", index_date, value=value)


def _day_number(column: str) -> nw.Expr:
    """Number the days in a way that every engine can: Spark does not give the length of a time as a number."""
    years = nw.col(column).dt.year().cast(nw.Int64) - 1
    return years * 365 + years // 4 - years // 100 + years // 400 + nw.col(column).dt.ordinal_day().cast(nw.Int64)


def _completed(spell: Frame, index_date: date) -> Frame:
    """Give the stays that ended before the index date, and not before they began."""
    dated = ~nw.col("discharge_date").is_null() & ~nw.col("admission_date").is_null() & ~nw.col("patient_key").is_null()
    ended = (nw.col("discharge_date") >= nw.col("admission_date")) & (nw.col("discharge_date") < index_date)
    return spell.filter(dated & ended)


def _flag_hits(flag: Frame, codes: Frame, index_date: date) -> Frame:
    holds = (nw.col("start_date") <= index_date) & (nw.col("end_date").is_null() | (nw.col("end_date") > index_date))
    return _hit(flag.filter(holds), codes, "patient_flag", "flag", "flag", "start_date", None)


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
    meant = codes.filter(nw.col("kind") == kind).select(
        "match", "variable", "take", "is_end", *_DAY_RULE, "start_date", "end_date", "may_be_undated", "oldest"
    )
    found = records.join(meant, on="match", how="inner")
    if index_date is not None:
        in_window = (nw.col("day") >= nw.col("start_date")) & (nw.col("day") < nw.col("end_date"))
        found = found.filter(in_window | (nw.col("day").is_null() & nw.col("may_be_undated")))
    return found.select(*HIT, *_DAY_RULE)


def _issues(medication: Frame, codes: Frame, index_date: date) -> Frame:
    """Give the issues that mean something by product or by place in the BNF; one known by both is one record."""
    code = nw.when(~nw.col("dmd_code").is_null()).then(nw.col("dmd_code")).otherwise(nw.col("bnf_code"))
    by_product = _hit(medication, codes, "gp_medication", "issue", "dmd_code", "issue_date", index_date, code=code)
    by_bnf = _hit(medication, codes, "gp_medication", "issue_bnf", "bnf_code", "issue_date", index_date, code=code)
    part = nw.concat_str([nw.col("rule").fill_null(""), nw.col("part").fill_null("")], separator=".")
    products = codes.filter(nw.col("kind") == "issue").select("match", "variable", part.alias("of_day"))
    same = (["code", "variable", "of_day"], ["match", "variable", "of_day"])
    only_bnf = by_bnf.with_columns(of_day=part).join(products, left_on=same[0], right_on=same[1], how="anti")
    return nw.concat([by_product, only_bnf.select(*HIT, *_DAY_RULE)])


def _before_stays(found: Frame, spell: Frame, book: RuleBook, index_date: date) -> Frame:
    """Keep, of variables that look back from a stay, what lies in the days before the person's latest one began."""
    anchored = [each for each in book.variables.values() if each.before]
    if not anchored:
        return found
    stays = _completed(spell, index_date)
    latest = stays.filter(nw.col("discharge_date") == nw.col("discharge_date").max().over("patient_key"))
    began = latest.group_by("patient_key").agg(nw.col("admission_date").max().alias("stay_began"))
    parts = [found.filter(~nw.col("variable").is_in([each.id for each in anchored]))]
    for days in sorted({each.lookback_days or 0 for each in anchored}):
        names = [each.id for each in anchored if each.lookback_days == days]
        mine = found.filter(nw.col("variable").is_in(names)).join(began, on="patient_key", how="inner")
        first = nw.col("stay_began").dt.offset_by(f"-{days}d")
        inside = (nw.col("day") >= first) & (nw.col("day") < nw.col("stay_began"))
        parts.append(mine.filter(inside).select(*HIT, *_DAY_RULE))
    return nw.concat(parts)


def has_day_rule(variable: Variable) -> bool:
    """Tell whether records of a variable count by what else happened on their day."""
    return any(part != _ALONE for _, part in _parts(variable))


def _day_rules(found: Frame, book: RuleBook) -> Frame:
    """Settle the day rules: records of days on which every part has happened count, those of excluded days do not."""
    ruled = [each for each in book.variables.values() if has_day_rule(each)]
    if not ruled:
        return found
    own = nw.col("variable").is_in([each.id for each in ruled])
    mine = found.filter(own)
    day = ("patient_key", "variable", "day")
    in_parts = mine.filter(~nw.col("part").is_null())
    days = in_parts.group_by(*day, "rule", "parts").agg(nw.col("part").n_unique().alias("parts_found"))
    days = days.filter(nw.col("parts_found") == nw.col("parts")).select(*day, "rule")
    complete = in_parts.join(days, on=[*day, "rule"], how="semi")
    kept = nw.concat([mine.filter(nw.col("rule").is_null()), complete])
    excluded = mine.filter(nw.col("rule") == _EXCLUDED).select(*day).unique()
    from_hospital = nw.col("source_table").is_in(["apc_spell", "apc_diagnosis", "ed_attendance"])
    kept = nw.concat([kept.filter(from_hospital), kept.filter(~from_hospital).join(excluded, on=list(day), how="anti")])
    # A record that meets two rules is one record.
    return nw.concat([found.filter(~own).select(*HIT), kept.select(*HIT).unique()])


# Records that are not found by their code alone


def all_issues(medication: Frame, variables: Sequence[Variable], index_date: date) -> Frame:
    """Give every issue in the window, its code brought to the substance (BNF, 9 characters) where that is known."""
    substance = nw.col("bnf_code").str.slice(0, 9)
    other = nw.when(~nw.col("dmd_code").is_null()).then(nw.col("dmd_code")).otherwise(nw.col("original_code"))
    parts = []
    for variable in variables:
        start, end = window(variable, index_date)
        issues = medication.filter(
            ~nw.col("patient_key").is_null() & (nw.col("issue_date") >= start) & (nw.col("issue_date") < end)
        ).select(
            "patient_key",
            nw.lit(variable.id).alias("variable"),
            nw.lit(variable.take).alias("take"),
            nw.lit(False).alias("is_end"),
            nw.col("issue_date").alias("day"),
            nw.lit(1.0).alias("value"),
            nw.lit(True).alias("is_usable"),
            NO_BOUND.alias("bound"),
            nw.lit(None, dtype=nw.Date).alias("oldest"),
            nw.when(~nw.col("bnf_code").is_null()).then(substance).otherwise(other).alias("code"),
            nw.lit("gp_medication").alias("source_table"),
            "source_file_id",
            "source_row",
        )
        parts.append(issues.filter(~nw.col("code").is_null()))
    return nw.concat(parts)


def weighed_records(diagnosis: Frame, codes: Frame, variable: Variable, index_date: date) -> Frame:
    """Give the emergency diagnoses in the window with their weights; one that the list does not hold weighs nought."""
    start, end = window(variable, index_date)
    weights = codes.filter((nw.col("kind") == "weight") & (nw.col("variable") == variable.id)).select("match", "weight")
    return (
        diagnosis.filter(
            ~nw.col("patient_key").is_null()
            & nw.col("is_emergency")
            & (nw.col("admission_date") >= start)
            & (nw.col("admission_date") < end)
        )
        .join(weights, left_on="icd10_code", right_on="match", how="left")
        .select(
            "patient_key",
            nw.lit(variable.id).alias("variable"),
            nw.lit(variable.take).alias("take"),
            nw.lit(False).alias("is_end"),
            nw.col("admission_date").alias("day"),
            nw.when(nw.col("weight").is_null()).then(nw.lit(0.0)).otherwise(nw.col("weight")).alias("value"),
            (~nw.col("weight").is_null()).alias("is_usable"),
            NO_BOUND.alias("bound"),
            nw.lit(None, dtype=nw.Date).alias("oldest"),
            nw.col("icd10_category").alias("code"),
            nw.lit("apc_diagnosis").alias("source_table"),
            "source_file_id",
            "source_row",
        )
    )


def records_behind(
    tables: Mapping[str, Frame], codes: Frame, book: RuleBook, *, index_date: date, settle: Settle = in_memory
) -> Frame:
    """Give the dated records that the values of ``features.variable_values`` were reduced from.

    Returns:
        One row per record and variable: ``variable``, ``day``, ``value``, ``bound``, ``code``, ``source_table``,
        ``source_file_id``, ``source_row``.
    """
    parts = [hits_of(tables, codes, book, index_date=index_date, settle=settle)]
    for variable in sorted(book.variables.values(), key=lambda each: each.id):
        if any(records.kind == "any_issue" for records in variable.records):
            parts.append(all_issues(tables["gp_medication"], [variable], index_date).select(*HIT))
        if variable.take == "weight":
            parts.append(weighed_records(tables["apc_diagnosis"], codes, variable, index_date).select(*HIT))
    columns = ("variable", "day", "value", "bound", "code", "source_table", "source_file_id", "source_row")
    return nw.concat(parts).select(*columns)
