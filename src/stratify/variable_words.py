"""What variables ask of the record, what measurements are worth, which codes count: in words a nurse can read."""

from __future__ import annotations

from collections.abc import Sequence

from stratify.rule_words import (
    STATUS_WORDS,
    UNSPOKEN_UNITS,
    YES_OR_NO,
    anchor,
    codes_in_words,
    figure,
    items,
    label_of,
    plural,
    plus,
    unit_of,
)
from stratify.rulebook import RuleBook
from stratify.rules import (
    ANY,
    PERSON_FIELDS,
    Codelist,
    DayPart,
    Measurement,
    Size,
    UnitWords,
    Variable,
)

_SYSTEMS = {"snomed_ct": "SNOMED CT", "icd10": "ICD-10", "dmd": "dm+d", "bnf": "BNF"}
_MATCHES = {
    "exact": "the code itself",
    "prefix": "codes that begin with it",
    "category": "codes with its first three characters",
}
_PERSON_WORDS = {
    "age_years": "Age, in whole years on the index date. Not known when its date is not known.",
    "months_registered": "Time registered with the practice, in whole months on the index date. Not known when its date"
    " is not known.",
    "is_female": "Yes for sex recorded as female, no for male. Not known otherwise.",
    "is_male": "Yes for sex recorded as male, no for female. Not known otherwise.",
    "imd_decile": "Decile of the index of multiple deprivation of the area of residence, 1 the most deprived. Not known"
    " when the extract has none.",
}

MEASUREMENTS = (
    "Values in the GP record, brought to one unit before anything uses them. A comparator stays with its value: `<30` "
    "is below 30 and not known against 25, `>90` is above 90; about 30 (`~30`) is never scored. Two values of one day "
    "that differ, or of which one has a comparator, contradict each other: not known. A date known to the month or the "
    "year only counts as its first day. A value dated before birth is never scored; what is dated more than 30 days "
    "after death is left out."
)


def variable_in_words(variable: Variable | str, book: RuleBook) -> str:
    """Say what a variable asks of the record: which entries, which window, and what happens without any.

    Args:
        variable: A variable, or the id of one or of a person field such as ``age_years``.
        book: The rule book it belongs to.
    """
    if isinstance(variable, str):
        if variable in _PERSON_WORDS:
            return _PERSON_WORDS[variable]
        variable = book.variables[variable]
    return f"{_question(variable, book)} {_without(variable, book)}"


# ------------------------------------------------------------------------------------------------------------ variables


def input_row(name: str, book: RuleBook) -> tuple[str, str, str, str, str]:
    """Give one thing that a definition reads: what, its unit, how far back, in words, where the rule comes from.

    Args:
        name: A variable or a person field.
        book: The rule book it belongs to.
    """
    if name in PERSON_FIELDS:
        return (
            f"{label_of(name, book)} (`{name}`)",
            unit_of(name, book),
            "",
            variable_in_words(name, book),
            "the practice",
        )
    each = book.variables[name]
    return (
        f"{each.label} (`{name}`)",
        "yes or no" if each.take == "has" or each.unit == YES_OR_NO else each.unit or unit_of(name, book),
        _how_far_back(each),
        variable_in_words(each, book),
        " ".join(each.source.split()),
    )


def _how_far_back(variable: Variable) -> str:
    if variable.maximum_age_days or variable.maximum_age_months:
        return f"up to {_maximum_age(variable)} old"
    if variable.take == "given":
        return ""
    if all(each.kind == "flag" for each in variable.records):
        return "on the index date"
    return _when(variable).strip(" ,").removeprefix("in ").removeprefix("at ")


def _maximum_age(variable: Variable) -> str:
    if variable.maximum_age_days:
        return plural(variable.maximum_age_days, "day")
    return plural(variable.maximum_age_months or 0, "month")


def _question(variable: Variable, book: RuleBook) -> str:
    entries, when = _entries(variable, book), _when(variable)
    if variable.take == "has":
        ended = f"; a later entry of {codes_in_words(variable.ended_by, book)} ends it" if variable.ended_by else ""
        first = ", if it is the first ever" if variable.is_first else ""
        return f"Yes if there is {entries}{when}{first}{ended}.{_ruled_out(variable, book)}"
    if variable.take == "count":
        return f"The number of days with {entries}{when}.{_ruled_out(variable, book)}"
    if variable.take == "episodes":
        days = plural(variable.merge_days or 0, "day")
        return (
            f"The number of episodes made by {entries}{when}. A record no more than {days} after the one before"
            f" belongs to the same episode.{_ruled_out(variable, book)}"
        )
    if variable.take == "distinct_codes":
        among = entries.replace("an issue of ", "issues of ").replace("an entry ", "entries ")
        return f"The number of different codes among {among}{when}{_by_substance(variable)}."
    if variable.take == "weight":
        every = entries.removeprefix("a ")
        return f"The points of every {every}{when}, added up; each counts once however often it is recorded."
    if variable.take == "given":
        inputs = ", ".join(label_of(name, book) for name in variable.inputs)
        return f"The value that {entries} gives, from: {inputs}."
    unit = f", in {variable.unit}" if variable.unit and variable.unit not in (*UNSPOKEN_UNITS, YES_OR_NO) else ""
    used = f"It is used up to an age of {_maximum_age(variable)}."
    if variable.records[0].kind == "stay":
        return f"{_STAY_FACTS[variable.records[0].what]}. {used}"
    days = "" if variable.of_last == 1 else f"{variable.of_last} "
    which = "latest value" if variable.take == "latest" else f"{variable.take} value"
    where = "" if variable.take == "latest" else f" on the latest {days}{'day' if not days else 'days'} with one"
    return f"The {which} of {entries}{where}{unit}. {used}"


def _entries(variable: Variable, book: RuleBook) -> str:
    """Say what is read: records of one kind together, day rules one by one."""
    grouped: dict[tuple[str, str | None], list[str]] = {}
    for each in variable.records:
        if each.same_day is None:
            grouped.setdefault((each.kind, each.excluding), []).append(each.what)
    said = [_records(kind, names, without, book) for (kind, without), names in grouped.items()]
    for each in variable.records:
        if each.same_day is not None:
            said.append("on one day " + " and ".join(_day_part(part, book) for part in each.same_day))
    return " or ".join(said)


def _day_part(part: DayPart, book: RuleBook) -> str:
    said = " or ".join(_records(each.kind, [each.what], each.excluding, book) for each in part.any_of)
    return f"({said})" if len(part.any_of) > 1 else said


def _ruled_out(variable: Variable, book: RuleBook) -> str:
    if not variable.not_on_days_with:
        return ""
    said = " or ".join(_records(each.kind, [each.what], each.excluding, book) for each in variable.not_on_days_with)
    return f" GP records of a day with {said} do not count."


def _when(variable: Variable) -> str:
    if variable.before:
        days = plural(variable.lookback_days or 0, "day")
        return f" in the {days} before the latest completed hospital stay began"
    if variable.until_months_ago:
        until = plural(variable.until_months_ago, "month")
        since = plural(variable.lookback_months or 0, "month")
        return f" more than {until} ago" + (f", up to {since} ago" if variable.lookback_months else "")
    if variable.lookback_months:
        return f" in the last {_bare(variable.lookback_months, 'month')}"
    if variable.lookback_days:
        return f" in the last {_bare(variable.lookback_days, 'day')}"
    return "" if variable.records[0].kind == "flag" else ", at any time"


def _bare(count: int, word: str) -> str:
    """Write a number of days or months after "the last": ``12 months``, ``month``."""
    return word if count == 1 else plural(count, word)


def _by_substance(variable: Variable) -> str:
    if any(each.kind == "any_issue" for each in variable.records):
        return ", one code for each substance where the BNF code is known"
    return ""


def _records(kind: str, named: Sequence[str], excluding: str | None, book: RuleBook) -> str:
    if kind == "any_issue":
        return "medicines issued"
    if kind == "plug_in":
        return f"the site's own plug-in {' or '.join(named)}"
    if kind == "ed_attendance":
        return "an attendance at an emergency department"
    if kind == "stay":
        return "a hospital stay that ended" if ANY in named else " and ".join(named)
    if kind == "flag":
        flags = " or ".join(f'"{name.replace("_", " ").lower()}"' for name in named)
        return f"a status period {flags} that holds on the index date"
    if kind == "measurement":
        return " or ".join(f'"{book.measurements[name].label}"' for name in named)
    if ANY in named:
        return _ANY_OF[kind]
    codes = " or ".join(codes_in_words(name, book) for name in named)
    without = f", but not of {codes_in_words(excluding, book)}" if excluding else ""
    return _CODED[kind].format(codes=codes) + without


_CODED = {
    "event": "an entry in the GP record of {codes}",
    "issue": "an issue of {codes}",
    "emergency_admission": "an emergency hospital admission with a primary diagnosis of {codes}",
    "hospital_diagnosis": "a diagnosis of {codes}, in any position, of an emergency hospital stay",
    "inpatient_diagnosis": "a diagnosis of {codes}, in any position, of a hospital stay of any kind",
}
_ANY_OF = {
    "emergency_admission": "an emergency hospital admission",
    "hospital_diagnosis": "any diagnosis of an emergency hospital stay",
    "inpatient_diagnosis": "any diagnosis of a hospital stay",
}
_STAY_FACTS = {
    "length_of_stay_days": "The length in days of the latest completed hospital stay",
    "is_emergency": "Whether the latest completed hospital stay was an emergency",
}


def _without(variable: Variable, book: RuleBook) -> str:
    shown = f' Shown then: "{variable.text_when_missing}".' if variable.text_when_missing else ""
    if variable.take == "given":
        return f"Not known where it gives none.{shown}"
    if variable.take in ("highest", "lowest"):
        without = "without a day that has" if variable.of_last == 1 else "with fewer days that have"
        return f"Not known {without} a value fit to use.{shown}"
    if variable.is_value:
        return (
            "Not known when there is none, when the latest is older, when the latest day holds two different values, or"
            f" when the latest cannot be used.{shown}"
        )
    if variable.take == "weight":
        return f"No such stay means no value at all, not nought. Not known when hospital data are not linked.{shown}"
    text = "No record means no." if variable.take == "has" else "No record means 0."
    if variable.ended_by:
        text += " Begun and ended on one day: not known."
    if variable.reads_hospital:
        text += f" May be higher when hospital data are not linked.{shown}"
    return text


# ------------------------------------------------------------------------------------------- measurements and codelists


def measurement_section(each: Measurement, book: RuleBook) -> str:
    codes = [codes_in_words(name, book) for name in each.codelists]
    codes += [f"{codes_in_words(name, book)}: always in {unit}" for name, unit in each.unit_of_codelists.items()]
    codes += [f"{codes_in_words(name, book)}: value {plus(add)}" for name, add in each.offset_codelists.items()]
    grades = [f"{codes_in_words(name, book)} is {figure(grade)}" for name, grade in each.grade_codelists.items()]
    units = [_unit_words(unit) for unit in each.units]
    without = (
        "the value is kept and never scored" if each.is_unit_required else "the value is taken to be in the unit above"
    )
    if each.sizes:
        without = "; ".join([*(_size_in_words(size) for size in each.sizes), "otherwise it is kept and never scored"])
    not_done = ", ".join(figure(value) for value in each.not_done_values)
    facts = items(
        (
            ("Unit", each.unit),
            ("Codes that carry a value", "; ".join(codes)),
            ("Codes that are the value", "; ".join(grades)),
            ("Plausible", f"at least {figure(each.plausible.at_least)} and at most {figure(each.plausible.at_most)}"),
            ("Units it may be written in", "; ".join(units)),
            ("Without a unit", without),
            ("Values that mean it was not done", not_done),
            ("The other half of a pair", _pair_in_words(each, book)),
            ("Otherwise", "a value that is not plausible, or in another unit, is kept and never scored"),
            ("Source", each.source),
        )
    )
    return f"{anchor('measurement', each.id)}\n### Measurement: {each.label} (`{each.id}`)\n\n{facts}"


def _size_in_words(size: Size) -> str:
    edges = {"below": size.below, "at most": size.at_most, "at least": size.at_least, "above": size.above}
    words = " and ".join(f"{edge} {figure(value)}" for edge, value in edges.items() if value is not None)
    known = "is" if size.is_certain else "can only be"
    unasked = "" if size.is_certain else ", and is not scored unless the site asks for it"
    return f"{words} {known} in {size.unit}{unasked}"


def _pair_in_words(each: Measurement, book: RuleBook) -> str:
    if each.must_exceed is None:
        return ""
    lower = book.measurements[each.must_exceed].label
    return f"{lower}: where it is missing, or above this one, neither value is scored"


def _unit_words(unit: UnitWords) -> str:
    text = ", ".join(f"`{word}`" for word in unit.words)
    steps = [f"multiplied by {figure(unit.multiply_by)}"] if unit.multiply_by != 1 else []
    steps += [plus(unit.add)] if unit.add else []
    if unit.plausible:
        steps += [f"plausible from {figure(unit.plausible.at_least)} to {figure(unit.plausible.at_most)} as written"]
    return f"{text} ({', then '.join(steps)})" if steps else text


CODELIST_HEAD = ("Codelist", "System", "A code matches", "Codes", "Version", "Source", "Licence", "Status", "Coverage")


def codelist_row(each: Codelist) -> tuple[str, ...]:
    """Give what is known of a codelist, in the order of :data:`CODELIST_HEAD`."""
    return (
        f"{each.entry.label} (`{each.id}`)",
        _SYSTEMS[each.system],
        _MATCHES[each.match],
        f"{len(each.codes):,}",
        each.entry.version,
        each.entry.source,
        each.entry.licence,
        STATUS_WORDS[each.entry.status],
        " ".join((each.entry.note or "").split()),
    )
