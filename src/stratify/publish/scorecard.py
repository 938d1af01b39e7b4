"""The neighbourhood-health scorecard (NNHIP, 2026): one month of a cohort's use of services, to send in, and its check.

Written from the metrics ``scorecard_*``, so that it gives away no more than they do. The national template's layout is
not public; these are its stated fields, one row per place, measure and group, with ``*`` where a number is hidden and
``x`` where the data do not carry it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from stratify.disclosure import ROUND_TO
from stratify.errors import ExtractError, combine
from stratify.store import Store

FILE = "scorecard.csv"
HIDDEN, NOT_AVAILABLE = "*", "x"
COLUMNS = ("place_code", "place_name", "month", "measure", "breakdown", "breakdown_value", "count", "cohort")
MEASURES = {
    "O1 outpatient first": "scorecard_outpatient_first",
    "O1 outpatient follow-up": "scorecard_outpatient_follow_up",
    "O1 outpatient procedures": None,
    "O2 non-elective spells, no night": "scorecard_emergency_same_day",
    "O2 non-elective spells, one night or more": "scorecard_emergency_overnight",
    "O3 bed days": "scorecard_bed_days",
    "O4 ambulance conveyances": None,
    "O5 emergency department type 1": "scorecard_ed_type_1",
    "O5 emergency department other": "scorecard_ed_other",
    "O6 GP appointments": "scorecard_gp_appointments",
    "O6 community contacts": "scorecard_community_contacts",
    "P1 caseload": "scorecard_bed_days",
}
"""Measures, and the metric of each; None where the extracts do not carry it. The caseload is a denominator."""

GROUPS = {
    "all": ("all",),
    "age_band": ("under 18", "18 to 39", "40 to 64", "65 to 79", "80 and over", "not known"),
    "ethnic_group": ("White", "Mixed", "Asian or Asian British", "Black or Black British", "Other", "not known"),
    "imd_quintile": ("1", "2", "3", "4", "5", "not known"),
}
_CASELOAD = "P1 caseload"
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
_COUNT = re.compile(r"0|[1-9]\d*")

_Cells = Mapping[tuple[str, str, str, str], tuple[int | None, int | None]]


def write_scorecard(store: Store, path: Path) -> None:
    """Write the scorecard of every network and board from ``out.metric_value``; nothing where no measure is counted.

    Args:
        store: The store of the run, with the tables of the commissioners' file.
        path: The file to make.
    """
    named = sorted({name for name in MEASURES.values() if name})
    rows = store.rows(
        "SELECT metric, geography_code, breakdown, breakdown_value, numerator, denominator, held FROM out.metric_value "
        "WHERE geography_type IN ('pcn', 'icb') AND metric IN (SELECT unnest($1))",
        [named],
    )
    cells = {(metric, *where): (part, whole) for metric, *where, part, whole, held in rows if held == "no"}
    counted = {metric for metric, *_ in rows}
    held = {(metric, place) for metric, place, *_, mark in rows if mark != "no"}
    months = store.rows(
        "SELECT DISTINCT strftime(period_start, '%Y-%m') FROM out.metric_value WHERE metric IN (SELECT unnest($1))",
        [named],
    )
    if len(months) != 1:
        return
    places = store.rows(
        "SELECT DISTINCT geography_code, geography_name FROM out.population WHERE geography_type IN ('pcn', 'icb') "
        "ORDER BY ALL"
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for code, name in places:
        for measure, metric in MEASURES.items():
            is_there = metric in counted and (metric, code) not in held
            for breakdown, values in GROUPS.items():
                for value in values:
                    part, whole = _shown(cells.get((metric, code, breakdown, value)) if is_there else None, is_there)
                    count = whole if measure == _CASELOAD else part
                    writer.writerow([code, name or code, months[0][0], measure, breakdown, value, count, whole])
    path.write_text(text.getvalue(), encoding="utf-8")


def _shown(cell: tuple[int | None, int | None] | None, is_there: bool) -> tuple[str, str]:
    """Give count and cohort as they are written; a cell that is absent has nobody in the cohort."""
    if not is_there:
        return NOT_AVAILABLE, NOT_AVAILABLE
    part, whole = cell or (0, 0)
    cohort = HIDDEN if whole is None else str(whole)
    return HIDDEN if part is None else str(part), cohort


def check_scorecard(path: Path) -> int:
    """Check a scorecard, whoever filled it in, before it is sent; give its number of rows.

    Raises:
        ExtractError: the file cannot be read, or rows are missing, twice, unknown or with cells that do not fit; each
            is named by its line, and no value of it.
    """
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise _fault(path.name, "a CSV file in UTF-8", "none that can be read", "Save it as CSV UTF-8.") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        raise _fault(f"{path.name}, line 1", f"the columns {', '.join(COLUMNS)}", "others", "Correct the header.")
    faults: list[ExtractError] = []
    wanted = {(m, b, v) for m in MEASURES for b, values in GROUPS.items() for v in values}
    seen: dict[str, dict[tuple[str, str, str], int]] = {}
    months = {}
    for number, cells in enumerate(lines[1:], 2):
        where = f"{path.name}, line {number}"
        if len(cells) != len(COLUMNS):
            faults.append(_fault(where, f"{len(COLUMNS)} cells", str(len(cells)), "Put quotes around commas."))
            continue
        place, _, month, *key, count, cohort = cells
        row = (key[0], key[1], key[2])
        months[month] = number
        if row not in wanted:
            faults.append(_fault(where, "a measure and group of the scorecard", "another", "Correct their names."))
        elif row in seen.setdefault(place, {}):
            faults.append(_fault(where, "each measure and group once a place", "it again", "Take one out."))
        else:
            seen[place][row] = number
        faults += [
            _fault(f"{where}, {name}", f"0, a multiple of {ROUND_TO} from 10, {HIDDEN} or {NOT_AVAILABLE}", why, how)
            for name, cell in (("count", count), ("cohort", cohort))
            for why, how in _wrong_count(cell)
        ]
    for place, rows in sorted(seen.items()):
        missing = sorted(wanted - set(rows))
        if missing:
            measure, breakdown, value = missing[0]
            faults.append(
                _fault(
                    f"{path.name}, place {place}",
                    f"{len(wanted)} rows",
                    f"{len(missing)} missing, such as {measure} by {breakdown} {value}",
                    "Add them: nobody is 0, not known is x.",
                )
            )
    if not seen:
        faults.append(_fault(path.name, "rows of a place", "none", "Fill it in."))
    wrong = sorted(number for month, number in months.items() if not _MONTH.fullmatch(month))
    if wrong:
        faults.append(_fault(f"{path.name}, line {wrong[0]}", "a month as 2026-10", "another", "Correct month."))
    elif len(months) > 1:
        faults.append(_fault(path.name, "one month", f"{len(months)}", "Send a file for each."))
    if faults:
        raise combine(list(faults))
    return len(lines) - 1


def _wrong_count(cell: str) -> list[tuple[str, str]]:
    """Say what is wrong with a count, and what to do; nothing where it fits."""
    if cell in (HIDDEN, NOT_AVAILABLE):
        return []
    if not _COUNT.fullmatch(cell):
        return [("no whole number", "Write numbers without decimals, commas or words.")]
    if 0 < int(cell) < 2 * ROUND_TO or int(cell) % ROUND_TO:
        return [("a number that is not rounded, or of fewer than 8", "Round to the nearest 5 and hide 1 to 7.")]
    return []


def _fault(where: str, expected: str, found: str, action: str) -> ExtractError:
    return ExtractError(where, expected=expected, found=found, action=action)
