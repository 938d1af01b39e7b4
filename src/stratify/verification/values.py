"""One person's records, worked by hand as it were: the value of every variable, in plain Python over dicts.

A second reading of what the variables mean, slow and short. It shares nothing with the reckoning of a run.
"""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from stratify.verification.definitions import Definitions, Json

Rows = dict[str, list[Json]]
"""The records of one person, by core table."""

LONG_AGO = date(1800, 1, 1)
VALUES = ("latest", "highest", "lowest")
HOSPITAL = ("emergency_admission", "hospital_diagnosis", "inpatient_diagnosis", "ed_attendance", "stay")
_HOSPITAL_TABLES = ("apc_spell", "apc_diagnosis", "ed_attendance")
_EXCLUDED = "not"


class Record(NamedTuple):
    """One record that counts for a variable."""

    day: date | None
    value: float | None
    is_usable: bool
    bound: str | None
    code: str | None
    is_end: bool
    source_table: str
    source_file_id: str
    source_row: int

    @property
    def day0(self) -> date:
        """Its day, or one before all others where nobody knows it."""
        return self.day or LONG_AGO


class Value(NamedTuple):
    """What a variable comes to."""

    value: float | None
    state: str
    bound: str | None
    value_date: date | None
    record_count: int
    source_table: str
    source_code: str | None
    source_file_id: str
    source_row: int


def months_before(day: date, months: int) -> date:
    """Give the same day some calendar months earlier, or the last day of a shorter month."""
    year, month = day.year, day.month - months
    while month < 1:
        year, month = year - 1, month + 12
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def reads_hospital(variable: Json) -> bool:
    """Tell whether nobody knows the variable of a person whose hospital data are not linked."""
    return "before" in variable or any(kind in HOSPITAL for each in variable["from"] for kind in each)


def values_of(rows: Rows, definitions: Definitions, index_date: date) -> dict[str, Value]:
    """Give the value of every variable of one person for which something was found."""
    found = {}
    for name, variable in definitions.variables.items():
        value = _reduced(variable, _records(variable, rows, definitions, index_date), index_date)
        if value:
            found[name] = value
    return found


# Which records count


def _window(variable: Json, index_date: date) -> tuple[date, date]:
    end = months_before(index_date, variable.get("until_months_ago", 0))
    if "before" in variable or "is_first" in variable:
        return LONG_AGO, end
    return _lookback_start(variable, index_date), end


def _lookback_start(variable: Json, index_date: date) -> date:
    if "lookback_months" in variable:
        return months_before(index_date, variable["lookback_months"])
    if "lookback_days" in variable:
        return index_date - timedelta(days=variable["lookback_days"])
    return LONG_AGO


def _records(variable: Json, rows: Rows, definitions: Definitions, index_date: date) -> list[Record]:
    if variable["take"] == "weight":
        return _weighed(variable, rows, definitions, index_date)
    start, end = _window(variable, index_date)
    has_lookback = "lookback_months" in variable or "lookback_days" in variable
    may_be_undated = not has_lookback and variable["take"] not in VALUES

    def in_window(asked: Json, *, is_part: bool = False, is_end: bool = False) -> list[Record]:
        found = []
        for record in _meant(asked, rows, definitions, index_date, is_end=is_end):
            is_undated = record.day is None and may_be_undated and not is_part and "any_issue" not in asked
            if "flag" in asked or is_undated or (record.day is not None and start <= record.day < end):
                found.append(record)
        return found

    kept: list[Record] = []
    alone: dict[str, list[Record]] = {}
    for asked in variable["from"]:
        if "same_day" in asked:
            parts = [[each for one in part["any_of"] for each in in_window(one, is_part=True)]
                     for part in asked["same_day"]]  # fmt: skip
            days = set.intersection(*({each.day for each in part} for part in parts))
            kept += [each for part in parts for each in part if each.day in days]
        else:
            alone.setdefault(next(kind for kind in asked if kind != "excluding"), []).extend(in_window(asked))
    if "ended_by" in variable:
        alone["the end"] = in_window({"event": variable["ended_by"]}, is_end=True)
    for of_kind in alone.values():
        kept += dict.fromkeys(of_kind)  # a record that two lists of one kind hold counts once
    barred = {each.day for asked in variable.get("not_on_days_with", ()) for each in in_window(asked, is_part=True)}
    if "not_on_days_with" in variable or any("same_day" in asked for asked in variable["from"]):
        kept = [each for each in dict.fromkeys(kept)
                if each.source_table in _HOSPITAL_TABLES or each.day is None or each.day not in barred]  # fmt: skip
    if variable.get("before") == "latest_stay":
        kept = _before_stay(kept, rows, variable["lookback_days"], index_date)
    if "is_first" in variable and kept and min(each.day0 for each in kept) < _lookback_start(variable, index_date):
        return []
    return kept


def _before_stay(records: list[Record], rows: Rows, days: int, index_date: date) -> list[Record]:
    stays = _completed(rows, index_date)
    if not stays:
        return []
    last = max(each["discharge_date"] for each in stays)
    began = max(each["admission_date"] for each in stays if each["discharge_date"] == last)
    return [each for each in records if each.day and began - timedelta(days=days) <= each.day < began]


def _completed(rows: Rows, index_date: date) -> list[Json]:
    return [
        each
        for each in rows["apc_spell"]
        if each["admission_date"]
        and each["discharge_date"]
        and each["admission_date"] <= each["discharge_date"] < index_date
    ]


def _meant(
    asked: Json, rows: Rows, definitions: Definitions, index_date: date, *, is_end: bool = False
) -> Iterator[Record]:
    """Give the records of one kind, whenever they were."""
    kind = next(name for name in asked if name != "excluding")
    what = asked[kind]
    is_listed = _listed(asked, kind, definitions)

    def record(table: str, row: Json, day: date | None, code: str | None, value: float | None = 1.0,
               *, is_usable: bool = True, bound: str | None = None) -> Record:  # fmt: skip
        place = (table, row["source_file_id"], row["source_row"])
        return Record(day, value, is_usable, bound, code, is_end, *place)

    if kind == "event":
        for table in ("gp_event", "gp_observation"):
            for row in rows[table]:
                if is_listed(row["snomed_code"]):
                    yield record(table, row, row["effective_date"], row["snomed_code"])
    elif kind == "measurement":
        for row in rows["gp_observation"]:
            if row["measurement"] == what:
                bound = row["comparator"] if row["comparator"] in ("<", "<=", ">", ">=") else None
                yield record("gp_observation", row, row["effective_date"], row["snomed_code"], row["value_canonical"],
                             is_usable=row["value_status"] == "ok", bound=bound)  # fmt: skip
    elif kind == "issue":
        column = f"{definitions.codelists[what].system}_code"
        for row in rows["gp_medication"]:
            if is_listed(row[column]):
                yield record("gp_medication", row, row["issue_date"], row["dmd_code"] or row["bnf_code"])
    elif kind == "any_issue":
        for row in rows["gp_medication"]:
            substance = row["bnf_code"][:9] if row["bnf_code"] else row["dmd_code"] or row["original_code"]
            if substance is not None:
                yield record("gp_medication", row, row["issue_date"], substance)
    elif kind == "emergency_admission":
        for row in rows["apc_spell"]:
            if row["is_emergency"] and is_listed(row["primary_diagnosis"]):
                code = row["primary_diagnosis"] or "not coded"
                yield record("apc_spell", row, row["admission_date"], code)
    elif kind in ("hospital_diagnosis", "inpatient_diagnosis"):
        for row in rows["apc_diagnosis"]:
            if (row["is_emergency"] or kind == "inpatient_diagnosis") and is_listed(row["icd10_code"]):
                code = row["icd10_code"] or "not coded"
                yield record("apc_diagnosis", row, row["admission_date"], code)
    elif kind == "ed_attendance":
        for row in rows["ed_attendance"]:
            yield record("ed_attendance", row, row["arrival_at"] and row["arrival_at"].date(), "any")
    elif kind == "stay":
        for row in _completed(rows, index_date):
            days = float((row["discharge_date"] - row["admission_date"]).days)
            value = days if what == "length_of_stay_days" else float(bool(row["is_emergency"]))
            yield record("apc_spell", row, row["discharge_date"], what, value)
    elif kind == "flag":
        for row in rows["patient_flag"]:
            began, ended = row["start_date"], row["end_date"]
            if row["flag"] == what and began and began <= index_date and (ended is None or ended > index_date):
                yield record("patient_flag", row, began, what)
    else:
        raise KeyError(kind)


def _listed(asked: Json, kind: str, definitions: Definitions) -> Callable[[str | None], bool]:
    """Give the test of whether a code is one that is asked for, and not one that is taken out."""
    if asked[kind] == "any":
        return lambda _: True
    held = definitions.codelists.get(asked[kind])
    without = definitions.codelists.get(asked.get("excluding", ""))
    if held is None:
        return lambda _: False
    if without is None or without.system != held.system:
        return held.holds
    return lambda code: held.holds(code) and not without.holds(code)


def _weighed(variable: Json, rows: Rows, definitions: Definitions, index_date: date) -> list[Record]:
    start, end = _window(variable, index_date)
    found = []
    for row in rows["apc_diagnosis"]:
        day = row["admission_date"]
        if not row["is_emergency"] or day is None or not start <= day < end:
            continue
        code = row["icd10_code"]
        lists = [(definitions.codelists[asked["hospital_diagnosis"]], asked) for asked in variable["from"]]
        weights = {
            held.weight(code) for held, asked in lists if _listed(asked, "hospital_diagnosis", definitions)(code)
        }
        place = (row["icd10_category"], False, "apc_diagnosis", row["source_file_id"], row["source_row"])
        for weight in weights or {None}:
            found.append(Record(day, weight or 0.0, weight is not None, None, *place))
    return found


# What they come to


def _reduced(variable: Json, records: list[Record], index_date: date) -> Value | None:
    take = variable["take"]
    starts = [each for each in records if not each.is_end]
    if not starts:
        return None
    if take == "has":
        return _has(starts, [each.day0 for each in records if each.is_end])
    if take == "latest":
        return _latest(starts, _oldest(variable, index_date))
    if take in ("highest", "lowest"):
        return _extreme(starts, variable, _oldest(variable, index_date))
    if take == "count":
        return _value(starts, len({each.day0 for each in starts}))
    if take == "distinct_codes":
        return _value(starts, len({each.code for each in starts}))
    if take == "episodes":
        return _episodes(starts, variable["merge_days"])
    if take == "weight":
        heaviest: dict[str | None, float] = {}
        for each in starts:
            heaviest[each.code] = max(heaviest.get(each.code, 0.0), each.value or 0.0)
        return _value(starts, round(sum(heaviest.values()), 1))
    raise KeyError(take)


def _value(
    records: Sequence[Record], value: float | None, state: str = "known", bound: str | None = None, count: int = 0
) -> Value:
    """Give a value with the record it is shown with: the latest day's, one fit to use first, then by place."""
    last = max(each.day0 for each in records)
    shown = min((each for each in records if each.day0 == last), key=_place)
    source = (shown.source_table, shown.code, shown.source_file_id, shown.source_row)
    number = None if value is None else float(value)
    return Value(number, state, bound, shown.day, count or len(records), *source)


def _place(each: Record) -> str:
    rank = "0" if each.is_usable else "1"
    place = (rank, each.source_table, each.source_file_id, str(each.source_row), each.code)
    return "|".join(part for part in place if part is not None)


def _has(starts: list[Record], ends: list[date]) -> Value | None:
    began, ended = max(each.day0 for each in starts), max(ends, default=None)
    if ended is None or began > ended:
        return _value(starts, 1.0)
    return _value(starts, None, "conflict") if began == ended else None


def _oldest(variable: Json, index_date: date) -> date:
    if "maximum_age_days" in variable:
        return index_date - timedelta(days=variable["maximum_age_days"])
    return months_before(index_date, variable["maximum_age_months"])


def _latest(records: list[Record], oldest: date) -> Value:
    last = max(each.day0 for each in records)
    mine = [each for each in records if each.day0 == last]
    usable = {(each.value, each.bound) for each in mine if each.is_usable and each.value is not None}
    count = len(mine)
    if last < oldest:
        return _value(records, None, "stale", count=count)
    if not usable:
        return _value(records, None, "unusable", count=count)
    if len(usable) > 1:
        return _value(records, None, "conflict", count=count)
    (value, bound) = usable.pop()
    return _value(records, value, "known", bound, count)


def _extreme(records: list[Record], variable: Json, oldest: date) -> Value | None:
    usable = [each for each in records if each.is_usable and each.day and each.day >= oldest]
    days = sorted({each.day0 for each in usable}, reverse=True)[: variable["of_last"]]
    if len(days) < variable["of_last"]:
        return None
    mine = [each for each in usable if each.day in days]
    numbers = [each.value for each in mine if each.value is not None]
    highest = variable["take"] == "highest"
    value = max(numbers) if highest else min(numbers)
    beyond, short_of = ((">", ">="), ("<", "<=")) if highest else (("<", "<="), (">", ">="))
    if any(each.bound in short_of for each in mine):
        return _value(mine, None, "unusable")
    bound = (">=" if highest else "<=") if any(each.bound in beyond for each in mine) else None
    return _value(mine, value, "known", bound)


def _episodes(records: list[Record], merge_days: int) -> Value | None:
    days = sorted({each.day for each in records if each.day})
    if not days:
        return None
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(days)]
    return _value(records, 1 + sum(gap > merge_days for gap in gaps))
