"""The list of faults: what each is, how often it happens, and what a right run does about it.

One entry per line of the table of untidiness (``nhs-data.md`` §2.2), in its order and with its ids. How a fault is put
into rows or files belongs to the modules beside this one; nothing here touches data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stratify.errors import SettingsError, StratifyError, combine

Action = Literal[
    "reject_file", "reject_slice", "quarantine_row", "quarantine_value", "quarantine_link", "exclude_person",
    "warn", "drop", "hold", "keep", "keep_newer", "withdraw", "replace", "convert", "relink", "route", "suppress",
    "hide_location",
]  # fmt: skip
Expects = Literal["as_meant", "not_listed", "refused", "warned"]
"""What a right run does to a person touched: concludes from what is meant; puts them on no list (a clinician may
review them); refuses the set or the practice's part of it, so that last good data stay; concludes and warns."""


@dataclass(frozen=True)
class Fault:
    """One fault by name.

    Attributes:
        id: Its id in the document.
        name: What it is.
        action: What the document wants done.
        default_rate: A realistic rate.
        share_of: What the rate is a share of.
        level: Whether it is in rows or in the files of a set.
        needs_weeks: True where it cannot be told from one bulk extract.
        expects: What a right run does to a person touched.
        tables: Landing tables it is put in; empty where any file will do.
        words: How it is put in, and what was decided where the document leaves a choice.
    """

    id: str
    name: str
    action: Action
    default_rate: float
    share_of: Literal["rows", "people", "practices", "sets"]
    level: Literal["row", "file"]
    needs_weeks: bool
    expects: Expects
    tables: tuple[str, ...]
    words: str


_RECORDS = ("gp_event", "gp_observation", "gp_medication")
_GP = ("patient", "registration", *_RECORDS, "gp_appointment", "home_visit_request")


def _in_rows(
    id: str,
    name: str,
    action: Action,
    rate: float,
    tables: tuple[str, ...],
    words: str,
    *,
    expects: Expects = "as_meant",
    share_of: Literal["rows", "people", "practices"] = "rows",
    needs_weeks: bool = False,
) -> Fault:
    return Fault(id, name, action, rate, share_of, "row", needs_weeks, expects, tables, words)


def _in_files(
    id: str,
    name: str,
    action: Action,
    words: str,
    *,
    rate: float = 0.01,
    tables: tuple[str, ...] = (),
    expects: Expects = "refused",
    needs_weeks: bool = False,
) -> Fault:
    return Fault(id, name, action, rate, "sets", "file", needs_weeks, expects, tables, words)


_ALL = (
    _in_files("F1", "file or manifest missing", "reject_file", "A file the manifest names, or the manifest, is gone."),
    _in_files(
        "F2", "empty file", "reject_file",
        "No byte, or only the header; size and hash in the manifest agree with that, its row count does not.",
    ),
    _in_files("F3", "truncated file", "reject_file", "Cut inside the last line; the manifest tells of the whole."),
    _in_files(
        "F4", "wrong delimiter, encoding or quote", "reject_file",
        "Bars for commas, bytes of cp1252, or a quote never closed; the manifest agrees with the file.",
    ),
    _in_files(
        "F5", "header renamed, reordered or shortened", "reject_file",
        "One name changed, two swapped over the same data, or the last column gone; the manifest agrees.",
    ),
    _in_files(
        "F6", "new unknown column", "warn", "One more column at the end, with values; the manifest agrees.",
        expects="warned",
    ),
    _in_files(
        "F7", "gap between deltas", "reject_file",
        "The manifest's period begins three days late. Rows are whole: only the dates tell.",
        needs_weeks=True,
    ),
    _in_files(
        "F8", "file sent again", "drop", "A file of the set before is there once more, under another name, and named.",
        expects="warned", needs_weeks=True,
    ),
    _in_files(
        "F9", "older file after newer", "keep_newer",
        "Rows of the set before, as they stood before a correction, in a file of an earlier period; never newer.",
        expects="as_meant", needs_weeks=True,
    ),
    _in_rows(
        "F10", "practice delivers far fewer rows", "reject_slice", 0.02, _GP,
        "Three in ten patients of the practice come, without a word. Nothing of its slice is meant; what is lost is "
        "not sent again.",
        share_of="practices", needs_weeks=True,
    ),
    _in_files(
        "F11", "whole column empty", "reject_file", "Every date of birth is gone; the manifest agrees.",
        tables=("patient",),
    ),
    _in_rows(
        "F12", "practice deactivated", "exclude_person", 0.02, ("practice", *_GP),
        "Closed in the reference a month before the first extract, and none of its records comes.",
        expects="not_listed", share_of="practices",
    ),
    _in_files(
        "F13", "file that cannot be opened or named", "reject_file",
        "A zipped file that does not open, or a name that says no table; the manifest agrees.",
    ),
    _in_files("F14", "file twice in a set", "reject_file", "The same content under two names, both in the manifest."),
    _in_rows(
        "R1", "same row twice", "drop", 0.0005, ("patient", "registration", *_RECORDS, "apc_episode", "op_attendance"),
        "The same key with the same content.",
    ),
    _in_rows(
        "R2", "same key, other content", "quarantine_row", 0.0003, (*_RECORDS, "apc_episode"),
        "Neither row is meant.",
    ),
    _in_rows(
        "R3", "same fact under two ids", "keep", 0.002, ("gp_event", "gp_observation"),
        "From the laboratory and by hand; both are kept, and count once.",
    ),
    _in_rows(
        "R4", "row of an unknown patient", "hold", 0.0003, _RECORDS,
        "Its parent never comes: held, so not meant.",
    ),
    _in_rows(
        "R5", "row withdrawn", "withdraw", 0.0005, _RECORDS,
        "In a bulk marked deleted at once; in a delta a row of the last year, sent before, is deleted.",
    ),
    _in_rows(
        "R6", "net change delete or replacement", "replace", 0.002, ("apc_episode",),
        "A one-episode spell of the last year is deleted, or its first two diagnoses change places.", needs_weeks=True,
    ),
    _in_rows(
        "R7", "bulk replacement of a window", "replace", 0.02, ("apc_episode",),
        "Every fourth week each provider sends 90 days of admissions again as BULK. The rate is the share left out, "
        "which is withdrawn by that.", needs_weeks=True,
    ),
    _in_rows(
        "R8", "flex revised at freeze", "replace", 0.05, ("apc_episode",),
        "A flex row sent before comes as freeze, with its first two diagnoses in the other order.", needs_weeks=True,
    ),
    _in_rows(
        "I1", "invalid NHS number", "quarantine_link", 0.002, ("patient",),
        "Wrong check digit. Meant without a number: hospital data do not link, and the practice's own record is "
        "graded under a local key, for a person must not be lost to a typing error.", share_of="people",
    ),
    _in_rows(
        "I2", "number that stands for nobody", "quarantine_link", 0.0005, ("patient",),
        "0000000000, 9999999999, 1111111111 or 0123456789. Meant without a number.", share_of="people",
    ),
    _in_rows(
        "I3", "number outside the issued ranges", "quarantine_link", 0.0005, ("patient",),
        "A right check digit in the reserved block that begins with 5. Meant without a number.", share_of="people",
    ),
    _in_rows(
        "I4", "superseded NHS number", "relink", 0.001, ("apc_episode", "op_attendance", "ed_attendance"),
        "Hospital rows bear an older number. Meant under the one that survives; nhs_number_trace says which.",
        share_of="people",
    ),
    _in_rows(
        "I5", "one number with two births or sexes", "exclude_person", 0.03, ("patient",),
        "One of two records of a person differs by more than a year, or in sex.",
        expects="not_listed", share_of="people",
    ),
    _in_rows(
        "I6", "two people under one number", "exclude_person", 0.0003, ("patient",),
        "A record bears the number of somebody else at the practice; both people are touched. Meant without a number: "
        "nobody can say whose it is.",
        expects="not_listed", share_of="people",
    ),
    _in_rows(
        "I7", "test patient", "exclude_person", 0.0005, ("patient",), "Flagged as one, and named like one.",
        expects="not_listed", share_of="people",
    ),
    _in_rows(
        "I8", "sensitive patient", "hide_location", 0.001, ("patient",),
        "The S-flag is set and the address still there. Meant without any address, phone or place.",
        share_of="people",
    ),
    _in_rows(
        "D1", "date that stands for not known", "quarantine_value", 0.0003, ("gp_event", "gp_observation"),
        "1900-01-01, 1753-01-01, 1899-12-30 or 9999-12-31. Meant without a date.",
    ),
    _in_rows(
        "D2", "future date", "quarantine_value", 0.0003, ("gp_event", "gp_observation"),
        "After the end of the extract. Meant without a date, coded entries too: what is dated later is not yet so.",
    ),
    _in_rows(
        "D3", "event before birth", "quarantine_value", 0.0002, ("gp_event", "gp_observation"),
        "Meant without date and value; a coded entry stays one of unknown date, lest a typing error hide an illness.",
    ),
    _in_rows(
        "D4", "event after death", "quarantine_row", 0.002, ("gp_event", "gp_observation"),
        "More than 30 days after it; the row is left out.",
    ),
    _in_rows(
        "D5", "date in another pattern", "quarantine_row", 0.0002, (*_RECORDS, "apc_episode"),
        "Day and month changed over, or a year of two digits.",
    ),
    _in_rows(
        "D6", "end before start", "quarantine_row", 0.0006, ("apc_episode", "registration"),
        "Discharge before admission: the row is left out. A past registration that ends before it starts is warned of "
        "and stays past.",
    ),
    _in_rows(
        "D7", "only the year known", "keep", 0.002, ("gp_event", "gp_observation"),
        "Precision Y with an invented day. Meant as 1 January: inside a window only where the whole year is.",
    ),
    _in_rows(
        "D8", "age of 120 or more", "exclude_person", 0.0002, ("patient",), "Born 121 years before the extract.",
        expects="not_listed", share_of="people",
    ),
    _in_rows(
        "U1", "HbA1c in percent under the mmol/mol code", "quarantine_value", 0.01, ("gp_observation",),
        "With the unit % or none; neither is scored.",
    ),
    _in_rows(
        "U2", "FEV1 in litres under the percent code, or the reverse", "quarantine_value", 0.02, ("gp_observation",),
        "With the unit of the value or none; neither is scored.",
    ),
    _in_rows(
        "U3", "ml for L, m for cm, ratio as percent", "convert", 0.02, ("gp_observation",),
        "Unit stated, or a ratio above 1. Meant converted.",
    ),
    _in_rows(
        "U4", "comparator lost", "keep", 0.05, ("gp_observation",), "The value stays and its > or < is gone.",
        expects="warned",
    ),
    _in_rows(
        "U5", "systolic below diastolic, or half a pair", "quarantine_value", 0.001, ("gp_observation",),
        "The two change places, or the diastolic is gone. No value of the pair is meant.",
    ),
    _in_rows(
        "U6", "stones, feet or a wild BMI", "quarantine_value", 0.002, ("gp_observation",),
        "Weight in stones, height in feet, body mass index times ten.",
    ),
    _in_rows(
        "U7", "0 or 999 for not done", "quarantine_value", 0.002, ("gp_observation",), "Meant without a value.",
    ),
    _in_rows(
        "U8", "MRC grade against its value", "drop", 0.03, ("gp_observation",),
        "The code says one grade and the value another, or mMRC 0 stands under the MRC code; the row is left out.",
    ),
    _in_rows(
        "C1", "code that no release knows", "warn", 0.0004, ("gp_event", "gp_medication"),
        "Only a Read code, a supplier's local code, or an id that a spreadsheet damaged. The row stays and means "
        "nothing that a codelist knows.",
        expects="warned",
    ),
    _in_rows(
        "C2", "codelist finds nothing at a practice", "suppress", 0.02, ("gp_event",),
        "All COPD entries of the practice have a local code only: nobody there can be told to have it.",
        share_of="practices",
    ),
    _in_rows(
        "C3", "ICD-10 written otherwise", "convert", 0.01, ("apc_episode",),
        "With a dot, a blank, a hyphen or in small letters. Meant without.", expects="warned",
    ),
    _in_rows(
        "C4", "old or unknown admission method", "warn", 0.005, ("apc_episode",),
        "28 counts as emergency, 98 and 99 do not; a row of an unknown code is left out, since admissions are counted.",
        expects="warned",
    ),
    _in_rows(
        "C5", "withdrawn dm+d id", "convert", 0.003, ("gp_medication",),
        "The id before the present one (previous_dmd_id). Meant as the present one; no table of the set says which.",
    ),
    _in_rows(
        "P1", "old registration still open", "route", 0.05, ("registration",),
        "Of somebody who moved practice. Meant as ended: the latest registration counts.", share_of="people",
    ),
    _in_rows(
        "P2", "temporary resident", "exclude_person", 0.005, ("registration",),
        "The only registration is a temporary one.", expects="not_listed", share_of="people",
    ),
    _in_rows(
        "P3", "dead and still registered", "exclude_person", 0.1, ("registration", "patient"),
        "Registration open and no date of death on the record; only the death table knows.",
        expects="not_listed", share_of="people",
    ),
    _in_rows(
        "P4", "practice merged or moved to another network", "route", 0.02, ("practice", "registration"),
        "Closed with the first weekly extract and its people registered with the next practice; where there is no "
        "other, it moves to another network.",
        share_of="practices", needs_weeks=True,
    ),
    _in_rows(
        "S1", "practice with fewer than 500 people", "suppress", 0.02, ("registration",),
        "All but 450 registrations end in the month before the first extract; a smaller practice stays as it is.",
        share_of="practices",
    ),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = {fault.id: fault for fault in _ALL}
"""Every fault, by id, in the order of the document."""

REALISTIC: Mapping[str, float] = {
    id: FAULTS[id].default_rate
    for id in ("R1", "R2", "R4", "R5", "I1", "I5", "D1", "D2", "D5", "D6", "U1", "U2", "U8", "C1")
}
"""What the extracts of an ordinary county have in them; none of it makes a run refuse the set."""


def check_rates(rates: Mapping[str, float], weeks: int, file_format: str) -> None:
    """Refuse faults that nobody can put in.

    Args:
        rates: Rate of each fault by id.
        weeks: How many weekly extracts follow the bulk.
        file_format: ``csv`` or ``parquet``.

    Raises:
        SettingsError: a fault that is not known or that these extracts cannot have, or a rate that is none.
    """
    found: list[StratifyError] = []

    def refuse(what: str, expected: str, seen: str, action: str) -> None:
        found.append(SettingsError(f"synthetic county, {what}", expected=expected, found=seen, action=action))

    unknown = [id for id in rates if id not in FAULTS]
    if unknown:
        known = ", ".join(FAULTS)
        refuse("faults", f"ids among {known}", f"{len(unknown)} others", "Give ids of that list.")
    for id, rate in rates.items():
        fault = FAULTS.get(id)
        if fault is None:
            continue
        if not 0 <= rate <= 1:
            refuse(f"fault {id}", "a rate of 0 to 1", f"{rate:g}", "Give another rate.")
        elif rate and fault.needs_weeks and not weeks:
            refuse(f"fault {id}", "weekly extracts to be seen in", "none", "Give one week or more.")
        if rate and fault.level == "file" and file_format != "csv":
            refuse(f"fault {id}", "csv files, whose bytes it acts on", file_format, "Give csv, or leave it out.")
    if found:
        raise combine(found)
