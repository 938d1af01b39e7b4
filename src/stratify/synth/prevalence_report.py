"""The report of a finished county beside published figures for England: one page of Markdown and two drawings.

Here: words, tables and pictures. What is measured belongs to ``prevalence`` and ``tally``. Nothing here reads a clock:
the same county gives the same bytes. Numbers in a drawing are in a table of the page too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, StrictUndefined

from stratify.errors import ExtractError, RunError
from stratify.synth.england import Source, Target
from stratify.synth.prevalence import Measured, measure, outside

_PERSON, _ABOUT = "person.parquet", "about.json"
_UNITS = {
    "percent": " %",
    "age_share": " %",
    "per_1000": " per 1,000",
    "per_person": " a year",
    "share": " %",
    "ratio": " times",
}
_STATUS = {
    "seen": "read in the document named",
    "worked": "worked out from numbers read there; the note shows how",
    "recalled": "a well-known published figure that could not be opened when it was written down: check it first",
}

_TRUE = (
    # Column of person.parquet, figure that says how often it is recorded, ages.
    ("has_copd", "copd", 0),
    ("has_diabetes", "diabetes_all", 0),
    ("has_hypertension", "hypertension", 0),
    ("has_severe_mental_illness", "severe_mental_illness", 0),
    ("has_learning_disability", "learning_disability", 0),
    ("is_palliative", "palliative", 0),
    ("care_home", "care_home_65", 65),
)
"""What is so and what is recorded, where the truth has a column for it; a text column is so when it is not empty."""


@dataclass(frozen=True)
class Report:
    """The page, and the two drawings it shows."""

    page: str
    ratios: str
    ages: str


def write_report(extracts: Path, truth: Path, out: Path) -> list[Measured]:
    """Write the report of a finished county: ``out``, and the drawings ``<name>-ratios.svg`` and ``<name>-ages.svg``.

    Args:
        extracts: Folder of a bulk extract set in the canonical layout.
        truth: Folder of the truth about the same county.
        out: The page to write (Markdown); the drawings go beside it.

    Returns:
        What was measured.

    Raises:
        ExtractError: a folder lacks what is read.
        RunError: the files could not be written.
    """
    measured = measure(extracts)
    made = report(measured, truth, name=out.stem)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(made.page, encoding="utf-8", newline="")
        out.with_name(f"{out.stem}-ratios.svg").write_text(made.ratios, encoding="utf-8", newline="")
        out.with_name(f"{out.stem}-ages.svg").write_text(made.ages, encoding="utf-8", newline="")
    except OSError as fault:
        raise RunError(
            f"report {out.name}",
            expected="room and leave to write it",
            found=fault.strerror or "an error of the file system",
            action="Mend that or give another place.",
        ) from None
    return measured


def report(measured: Sequence[Measured], truth: Path, *, name: str = "county") -> Report:
    """Put a measured county into words and pictures.

    Args:
        measured: What ``measure`` gave.
        truth: Folder of the truth about the same county.
        name: What the drawings' files begin with.

    Raises:
        ExtractError: the folder of the truth lacks what is read.
    """
    about, people = _truth(truth)
    return Report(_page(measured, about, people, name), _ratios(measured), _ages(measured))


def _truth(folder: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    lacking = [each for each in (_ABOUT, _PERSON) if not (folder / each).is_file()]
    if lacking:
        raise ExtractError(
            f"folder {folder.name} of the truth",
            expected=f"{_ABOUT} and {_PERSON}",
            found=f"no {' and no '.join(lacking)}",
            action="Give the folder that stratify synth wrote the truth to.",
        )
    about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    wanted = {"date_of_birth", "date_of_death", "is_test_patient", "is_temporary", *(column for column, _, _ in _TRUE)}
    rows = pl.scan_parquet(folder / _PERSON)
    people = rows.select(each for each in rows.collect_schema().names() if each in wanted).collect()
    return about, people


# ------------------------------------------------------------------------------------------------------- the page


def _page(measured: Sequence[Measured], about: dict[str, Any], people: pl.DataFrame, name: str) -> str:
    sources: dict[Source, int] = {}
    for each in measured:
        sources.setdefault(each.target.source, len(sources) + 1)
    known = [each for each in measured if each.value is not None]
    beyond = outside(measured)
    statuses = [each.target.status for each in measured]
    lines = [
        "# The synthetic county beside England",
        "",
        "<!-- Generated by stratify synth report; do not edit. -->",
        "",
        f"{about['people']:,} invented people (seed {about['seed']}), measured from the rows of their bulk extract for "
        f"{about['index_date']}, beside published figures for England. "
        "What nobody recorded does not count: that is how the published figures came about.",
        "",
        f"**{len(known) - len(beyond)} of {len(known)} measured figures are inside** tolerance and chance; "
        f"{len(beyond)} outside, {len(measured) - len(known)} cannot be measured.",
        "",
        f"![The county over England, figure by figure]({name}-ratios.svg)",
        "",
        f"![COPD, emergency admissions and deaths by age and sex]({name}-ages.svg)",
        "",
        "Prevalence is of people registered on the last day of the extract. Rates are events of the 365 days up to it, "
        "of people registered in their middle. A ratio compares two groups as if both had the ages of the county. "
        "*Within* is the tolerance; *chance* is two standard errors of a county of this size, allowed on top.",
        "",
        "How far a published figure can be trusted:",
        "",
        *(f"- *{status}* ({statuses.count(status)}): {words}" for status, words in _STATUS.items()),
        "",
    ]
    for group in dict.fromkeys(each.target.group for each in measured):
        lines += _table(group, [each for each in measured if each.target.group == group], sources)
    lines += _true_and_recorded(measured, about, people)
    lines += _notes(measured)
    lines += ["## Tolerances", ""]
    for tolerance in dict.fromkeys(each.target.tolerance for each in measured):
        size = (
            f"{tolerance.amount:.0%} of the figure"
            if tolerance.by == "relative"
            else f"{tolerance.amount:g} either way"
        )
        lines.append(f"- {size}: {tolerance.why}")
    lines += ["", "## Sources", ""]
    for source, number in sources.items():
        lines.append(f"{number}. {source.publication}. {source.publisher}, {source.year}. <{source.link}>")
    return "\n".join(lines) + "\n"


def _table(group: str, rows: Sequence[Measured], sources: dict[Source, int]) -> list[str]:
    lines = [
        f"## {group}",
        "",
        "| | county | England | within | chance | | source |",
        "| --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for each in rows:
        target = each.target
        place = {True: "inside", False: "**outside**", None: "not measurable"}[each.is_inside]
        county = "" if each.value is None else _number(each.value, target)
        chance = "" if each.value is None else f"± {_number(each.chance, target)}"
        lines.append(
            f"| {target.what} | {county} | {_number(target.value, target)}{_UNITS[target.measure]} "
            f"| ± {_number(target.allowed, target)} | {chance} | {place} "
            f"| {sources[target.source]}, {target.status} |"
        )
    return [*lines, ""]


def _number(value: float, target: Target) -> str:
    """Write a number as exactly as the figure it stands beside deserves."""
    decimals = 0 if target.value >= 100 else 1 if target.value >= 10 else 2
    return f"{value:,.{decimals}f}"


def _true_and_recorded(measured: Sequence[Measured], about: dict[str, Any], people: pl.DataFrame) -> list[str]:
    index_date = pl.lit(str(about["index_date"])).str.to_date("%Y-%m-%d")
    living = people.filter(
        pl.col("date_of_death").is_null() | (pl.col("date_of_death") >= index_date),
        pl.col("date_of_birth") < index_date,
        ~pl.col("is_test_patient"),
        ~pl.col("is_temporary"),
    ).with_columns(age=(index_date - pl.col("date_of_birth")).dt.total_days() / 365.2425)
    by_id = {each.target.id: each for each in measured}
    lines = [
        "## What is so, and what is recorded",
        "",
        "The truth is of everybody living on the index date; what is recorded is of those registered.",
        "",
        "| | so | recorded | England |",
        "| --- | ---: | ---: | ---: |",
    ]
    for column, figure, age in _TRUE:
        if column not in living.columns or figure not in by_id:
            continue
        each = by_id[figure]
        old = living.filter(pl.col("age") >= age)[column]
        has = old if old.dtype == pl.Boolean else old.is_not_null()
        share = 100 * int(has.sum()) / max(len(has), 1)
        recorded = "" if each.value is None else _number(each.value, each.target)
        lines.append(
            f"| {each.target.what} | {_number(share, each.target)} | {recorded} "
            f"| {_number(each.target.value, each.target)} % |"
        )
    return [*lines, ""]


def _notes(measured: Sequence[Measured]) -> list[str]:
    lines = ["## Notes", ""]
    lines += [f"- {each.target.what}: {each.target.note}." for each in measured if each.target.note]
    lines += [f"- {each.target.what} cannot be measured: {each.reason}." for each in measured if each.reason]
    return [*lines, ""]


# --------------------------------------------------------------------------------------------------- the drawings

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 960, 372, 748, 92, 17
_LEAST, _MOST = 0.25, 4.0
_TICKS = ((0.25, "¼"), (0.5, "½"), (0.8, "0.8"), (1.0, "1"), (1.25, "1.25"), (2.0, "2"), (4.0, "4"))


def _across(ratio: float) -> float:
    """Give the place of a ratio on the log axis; beyond its ends, the end."""
    within = min(max(ratio, _LEAST), _MOST)
    return round(_LEFT + (_RIGHT - _LEFT) * math.log(within / _LEAST) / math.log(_MOST / _LEAST), 1)


def _ratios(measured: Sequence[Measured]) -> str:
    rows: list[dict[str, Any]] = []
    y = _TOP
    for number, each in enumerate(measured):
        if number == 0 or measured[number - 1].target.group != each.target.group:
            y += _ROW // 2
            rows.append({"y": y, "heading": each.target.group})
            y += _ROW
        target = each.target
        row: dict[str, Any] = {"y": y, "heading": None, "what": target.what, "dot": None, "beyond": 0}
        row["low"], row["high"] = (_across(1 + sign * target.allowed / target.value) for sign in (-1, 1))
        row["words"] = f"not measurable / {_number(target.value, target)}{_UNITS[target.measure]}"
        if each.value is not None:
            ratio = each.value / target.value
            spread = (target.allowed + each.chance) / target.value
            row |= {
                "dot": _across(ratio),
                "beyond": -1 if ratio < _LEAST else 1 if ratio > _MOST else 0,
                "inside": each.is_inside,
                "least": _across(1 - spread),
                "most": _across(1 + spread),
                "words": f"{_number(each.value, target)} / {_number(target.value, target)}{_UNITS[target.measure]}",
            }
        rows.append(row)
        y += _ROW
    beyond, known = len(outside(measured)), sum(each.value is not None for each in measured)
    return _draw(
        "county-ratios.svg.j2",
        width=_WIDTH,
        height=y + 28,
        bottom=y,
        top=_TOP,
        right=_RIGHT,
        ticks=[(_across(ratio), words) for ratio, words in _TICKS],
        rows=rows,
        summary=f"{known - beyond} of {known} measured figures are inside tolerance and chance.",
    )


_PANELS = (
    ("copd", "percent", "COPD register, % of people"),
    ("emergency_admissions", "per_1000", "Emergency admissions, per 1,000 a year"),
    ("deaths", "per_1000", "Deaths, per 1,000 a year"),
)
_PANEL_WIDTH, _PANEL_HEIGHT, _PANEL_TOP, _PANEL_GAP = 250, 260, 84, 62
_SEXES = {"M": "men", "F": "women", None: "everybody"}


def _ages(measured: Sequence[Measured]) -> str:
    panels = []
    for number, (of, kind, title) in enumerate(_PANELS):
        chosen = [
            each
            for each in measured
            if each.target.of == of and each.target.measure == kind and each.target.age != (0, 120)
        ]
        panels.append(_panel(chosen, title, 58 + number * (_PANEL_WIDTH + _PANEL_GAP)))
    return _draw(
        "county-ages.svg.j2",
        width=_WIDTH,
        height=_PANEL_TOP + _PANEL_HEIGHT + 48,
        panels=panels,
        top=_PANEL_TOP,
        bottom=_PANEL_TOP + _PANEL_HEIGHT,
    )


def _panel(chosen: Sequence[Measured], title: str, left: int) -> dict[str, Any]:
    """Lay out one panel: ages across, the figure upwards on a log axis, a line for each sex of county and England."""
    bands = sorted({each.target.age for each in chosen})
    numbers = [value for each in chosen for value in (each.value, each.target.value) if value]
    least = 10 ** math.floor(math.log10(min(numbers, default=1)))
    most = 10 ** math.ceil(math.log10(max(numbers, default=10)))
    most = most if most > least else least * 10

    def across(band: tuple[int, int]) -> float:
        return round(left + _PANEL_WIDTH * (bands.index(band) + 0.5) / len(bands), 1)

    def upwards(value: float) -> float:
        part = math.log(value / least) / math.log(most / least)
        return round(_PANEL_TOP + _PANEL_HEIGHT * (1 - part), 1)

    lines = []
    for sex in dict.fromkeys(each.target.sex for each in chosen):
        of_sex = sorted((each for each in chosen if each.target.sex == sex), key=lambda each: each.target.age)
        for whose in ("England", "county"):
            values = [(each, each.target.value if whose == "England" else each.value) for each in of_sex]
            points = [(across(each.target.age), upwards(value)) for each, value in values if value]
            lines.append({"whose": whose, "sex": _SEXES[sex], "points": points})
    steps = round(math.log10(most / least))
    ticks = [least * 10**step * part for step in range(steps) for part in (1, 2, 5)]
    return {
        "title": title,
        "left": left,
        "right": left + _PANEL_WIDTH,
        "ages": [(across(band), f"{band[0]}+" if band[1] >= 120 else f"{band[0]}–{band[1]}") for band in bands],
        "ticks": [(upwards(tick), f"{tick:g}") for tick in [*ticks, most]],
        "lines": lines,
    }


def _draw(template: str, **parts: object) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = resources.files("stratify.synth").joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(text).render(**parts) + "\n"
