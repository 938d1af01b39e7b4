"""What goes back to a supplier: what was refused or set aside, by which rule, in which file and on which line.

Belongs here: what the report says, for files refused whole and for rows set aside by a run, and its words. Does not
belong: how the workbook looks (``supplier_workbook``), when a report is written (``refusals``, ``pipeline``). Places
only: a file, a line, a column and a rule. No value of a row passes through here, so none can leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

from stratify import contracts, pages
from stratify.contracts import Rule, TableContract
from stratify.errors import StratifyError, single_faults
from stratify.periods import SENTINEL_DATES
from stratify.publish import words
from stratify.set_aside import Share, worst, worst_share
from stratify.store import Store

MOST_PLACES: Final = 1_000
"""Places listed for one rule in the workbook; the others are counted."""

MOST_PLACES_ON_PAGE: Final = 50
MOST_FILES: Final = 200

Verdict = Literal["refused", "stopped", "part", "whole"]

VERDICTS: Final[dict[Verdict, tuple[str, str]]] = {
    "refused": (
        "Refused",
        "Nothing of this delivery was loaded. What was made of the last good delivery stays in use until another one "
        "passes.",
    ),
    "stopped": (
        "Stopped",
        "The files could be read, and too much of what is in them cannot be used. Nothing was made of this delivery; "
        "what was made of the last good one stays in use until another one passes.",
    ),
    "part": ("Loaded in part", "The delivery was used, except for the files, rows and values listed here."),
    "whole": ("Loaded whole", "The delivery was used, and no row and no value was set aside."),
}


@dataclass(frozen=True)
class Delivery:
    """Which delivery a report is about, and whom to answer.

    Attributes:
        run_id: The run; None where the files were refused before a run had an id.
        index_date: The day the run describes.
        source: Layout of the files.
        organisation: Who received them.
        contact: How to reach them.
        is_test: Invented patients: every sheet and page says so.
    """

    run_id: str | None
    index_date: date
    source: str
    organisation: str
    contact: str
    is_test: bool


@dataclass(frozen=True)
class FileLine:
    """One file; counts are None where no row was read."""

    file_name: str
    holds: str
    byte_count: int
    declared_count: int | None
    received_count: int | None
    loaded_count: int | None
    rejected_count: int | None
    lost_value_count: int | None
    verdict: str


@dataclass(frozen=True)
class Fault:
    """Why a file, the set or a table was refused, in the words of the error."""

    where: str
    expected: str
    found: str
    asked: str


@dataclass(frozen=True)
class RuleLine:
    """One rule that rows break: what it says, how many, and what we ask for.

    ``listed_count`` of the ``row_count`` rows have their place in the report. ``worst`` is the set with the largest
    share, where there are several: all sets together would hide it.
    """

    rule_id: str
    holds: str
    column: str
    severity: str
    says: str
    effect: str
    row_count: int
    of_count: int
    listed_count: int
    asked: str
    worst: Share | None = None

    @property
    def place(self) -> str:
        """Table and column in words."""
        return f"{self.holds}, column {self.column}" if self.column else self.holds

    @property
    def share(self) -> str:
        """The share of the rows received, in words that never show some as none; of the worst set, which is named."""
        if self.worst is None:
            return pages.share(self.row_count, self.of_count)
        return pages.share(self.worst.lost, self.worst.received) + _of_set(self.worst)


@dataclass(frozen=True)
class Place:
    """Where a row breaks a rule: line 1 is the header."""

    file_name: str
    line: int
    rule_id: str
    column: str
    effect: str


@dataclass(frozen=True)
class SupplierReport:
    """Everything a report says; workbook and page show the same."""

    delivery: Delivery
    verdict: Verdict
    asked: tuple[str, ...]
    files: tuple[FileLine, ...]
    unlisted_file_count: int
    faults: tuple[Fault, ...]
    rules: tuple[RuleLine, ...]
    places: tuple[Place, ...]

    @property
    def title(self) -> str:
        """Heading of both."""
        return f"Extract files for {self.delivery.organisation}"

    @property
    def subtitle(self) -> str:
        """The delivery in one line."""
        run = f"run {self.delivery.run_id}" if self.delivery.run_id else "refused before a run began"
        return f"For the run of {pages.day(self.delivery.index_date)} · source {self.delivery.source} · {run}"

    def count(self, name: Literal["received", "loaded", "rejected", "lost_value"]) -> int | None:
        """Add up a count over the files; None where no row was read."""
        known = [value for each in self.files if (value := getattr(each, f"{name}_count")) is not None]
        return sum(known) if known else None


# Refused files


def report_of_refusal(delivery: Delivery, fault: StratifyError, folder: Path) -> SupplierReport:
    """Say why files were refused before any row was used, in the words of the error.

    Args:
        delivery: Which delivery.
        fault: What the file gate raised.
        folder: The delivery, to name its files.
    """
    faults = _faults(fault)
    present = sorted(each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))
    files = [_refused_file(folder, path, faults) for path in present[:MOST_FILES]]
    return SupplierReport(
        delivery=delivery,
        verdict="refused",
        asked=(*_asked_of_files(faults), _ANSWER),
        files=tuple(files),
        unlisted_file_count=len(present) - len(files),
        faults=faults,
        rules=(),
        places=(),
    )


_ANSWER = "Tell us when the corrected delivery is there, or that the files are meant to be so. Whom to answer is below."


def _faults(fault: StratifyError) -> tuple[Fault, ...]:
    return tuple(
        Fault(each.where, each.expected, each.found, _to_supplier(each.action)) for each in single_faults(fault)
    )


def _asked_of_files(faults: Sequence[Fault]) -> Iterator[str]:
    """Give each thing that is asked for once, with the files it is about; more than a few are counted."""
    for asked in dict.fromkeys(each.asked for each in faults):
        places = list(dict.fromkeys(each.where for each in faults if each.asked == asked))
        more = f" and {len(places) - _MOST_ASKED} more" if len(places) > _MOST_ASKED else ""
        yield f"{', '.join(places[:_MOST_ASKED])}{more}: {asked[:1].lower()}{asked[1:]}"


_ADDRESSED: Final = (
    ("Ask the supplier for ", "Send "),
    ("Ask the supplier to write", "Write"),
    ("Ask the supplier what", "Tell us what"),
    ("Ask the supplier which", "Tell us which"),
)


def _to_supplier(action: str) -> str:
    """Turn what an error tells the person on call to ask for into what the supplier is asked."""
    for told, asked in _ADDRESSED:
        action = action.replace(told, asked)
    return action


def _refused_file(folder: Path, path: Path, faults: Sequence[Fault]) -> FileLine:
    own = [each for each in faults if each.where == path.name or each.where.startswith(f"{path.name},")]
    verdict = f"{len(own)} fault{'s' if len(own) > 1 else ''}" if own else "refused with the set"
    table = path.name.split(".")[0]
    holds = words.source_in_words(table) if f"landing.{table}" in contracts.names("landing") else ""
    return FileLine(
        path.relative_to(folder).as_posix(), holds, path.stat().st_size, None, None, None, None, None, verdict
    )


# Rows set aside


def report_of_rows(
    delivery: Delivery, store: Store, *, is_stopped: bool = False, refused: Sequence[StratifyError] = ()
) -> SupplierReport:
    """Say which rows and values of the files of a run were set aside, by rule and by place.

    Args:
        delivery: Which delivery.
        store: The run's store, after its files were landed.
        is_stopped: A verdict on these data stopped the run.
        refused: Why files of some tables were refused, though the others were read.
    """
    rules = [*_rule_lines(store)]
    stopping = str(store.scalar(_STOPPING)) if is_stopped else ""
    for table, rule_id, severity, row_count, failed_count, verdict_of_rule, description in store.rows(
        _WARNED, [stopping]
    ):
        contract, asked = contracts.load(table), _HELD if verdict_of_rule == "hold" else _LOOK
        rule = _rule(contract, rule_id)
        if rule is None and severity == "warning":
            rules.append(_other_warning_line(contract, rule_id, description, failed_count, row_count))
        elif rule is None:
            rules.append(_table_line(contract, rule_id, description, row_count, asked))
        # Errors about rows are there already, from the rows themselves.
        elif rule.scope == "table" or rule.severity == "warning":
            line = _warning_line(contract, rule, failed_count, row_count, asked)
            rules.append(replace(line, **_judged(store, contract)) if rule.kind == "rejected_percent" else line)
    files = tuple(
        FileLine(
            name, words.source_in_words(table), size, declared, got, loaded, rejected, lost, _of_file(rejected, lost)
        )
        for table, name, size, declared, got, loaded, rejected, lost in store.rows(_BY_FILE)
    )
    ordered = tuple(sorted(rules, key=lambda each: (each.severity != "error", -each.row_count, each.rule_id)))
    faults = tuple(fault for each in refused for fault in _faults(each))
    is_part = bool(faults) or any(each.listed_count for each in ordered)
    verdict: Verdict = "stopped" if is_stopped else "part" if is_part else "whole"
    return SupplierReport(
        delivery=delivery,
        verdict=verdict,
        asked=(*dict.fromkeys(f"{each.where}: {each.asked}" for each in faults), *_asked(ordered, verdict, faults)),
        files=files,
        unlisted_file_count=0,
        faults=(*faults, *(_stopping_faults(store, stopping) if is_stopped else ())),
        rules=ordered,
        places=tuple(
            Place(name, line, rule_id, column or "", _EFFECTS[scope])
            for name, line, rule_id, column, scope in store.rows(_BY_PLACE, [MOST_PLACES])
        ),
    )


def _critical(contract: TableContract) -> list[str]:
    return [column.name for column in contract.columns if column.is_critical]


def _of_set(share: Share) -> str:
    return f" of set {share.extract}" if share.extract else ""


def _judged(store: Store, contract: TableContract) -> dict[str, Any]:
    """Give the counts of a line about the share of a table that was set aside: those of the set it is judged by."""
    share = worst_share(store, contract.table, _critical(contract))
    return {"row_count": share.lost, "of_count": share.received, "worst": share}


def _rule(contract: TableContract, rule_id: str) -> Rule | None:
    """Give a rule of a contract; None for a check that no contract of one table can hold."""
    return next((each for each in contract.rules if each.id == rule_id), None)


def _stopping_faults(store: Store, stopping: str) -> Iterator[Fault]:
    """Give what stopped the run: a fault for each verdict that did, with the count it is about."""
    for name, rule_id, row_count, failed_count, description in store.rows(_STOPPED, [stopping]):
        contract = contracts.load(name)
        rule = _rule(contract, rule_id)
        if rule is None:
            where = f"{words.source_in_words(contract.table)}, {rule_id}"
            yield Fault(
                where, "records that the lists can be made from", description, "Correct it, and send the set again."
            )
            continue
        expected, found = "none that breaks the rule", f"{pages.whole(failed_count)} of {pages.whole(row_count)} rows"
        if rule.kind == "row_count":
            expected, found = f"more than {rule.limit:g} rows", pages.whole(row_count)
        elif rule.kind == "rejected_percent":
            share = worst_share(store, contract.table, _critical(contract))
            critical = ", ".join(_critical(contract))
            also = f", whole or in a column that matters most ({critical})" if critical else ""
            expected = f"{rule.limit:g} % of rows set aside at most{also}"
            found = f"{pages.share(share.lost, share.received)}: {pages.whole(share.lost)} of "
            found += f"{pages.whole(share.received)} rows{_of_set(share)}"
        yield Fault(
            f"{words.source_in_words(contract.table)}, {rule_id}",
            f"{expected}. {rule.description}".strip(),
            found,
            "Correct what By rule lists for this table, and send the whole set again.",
        )


_EFFECTS: Final = {"row": "row not used", "value": "value not used, row kept"}

_BY_FILE = """
SELECT table_name, file_name, byte_count, declared_count, received_count, loaded_count, rejected_count,
    coalesce(lost, 0)::BIGINT
FROM audit.source_file LEFT JOIN (
    SELECT source_file_id, count(*) AS lost FROM audit.rejected_row WHERE scope = 'value' GROUP BY ALL
) USING (source_file_id) ORDER BY ALL
"""
_BY_RULE = """
SELECT r.table_name, rule_id, column_name, scope, extract, count(*)
FROM audit.rejected_row AS r JOIN audit.source_file USING (source_file_id) GROUP BY ALL ORDER BY ALL
"""
_RECEIVED = """
SELECT table_name, extract, sum(received_count)::BIGINT FROM audit.source_file GROUP BY ALL ORDER BY ALL
"""
_BY_PLACE = """
SELECT file_name, source_row, rule_id, column_name, scope
FROM audit.rejected_row JOIN audit.source_file USING (source_file_id)
QUALIFY row_number() OVER (PARTITION BY rule_id ORDER BY file_name, source_row, source_file_id) <= $1
ORDER BY file_name, source_row, rule_id, column_name
"""
# A run stops on a stop; without one because what is held would leave no list.
_STOPPING = """
SELECT CASE WHEN bool_or(verdict = 'stop') THEN 'stop' ELSE 'hold' END FROM audit.quality_result
"""
_STOPPED = """
SELECT table_name, rule_id, row_count, failed_count, description FROM audit.quality_result
WHERE verdict = $1 ORDER BY ALL
"""
_WARNED = """
SELECT table_name, rule_id, severity, row_count, failed_count, verdict, description FROM audit.quality_result
WHERE table_name LIKE 'landing.%' AND failed_count > 0 AND verdict <> $1 ORDER BY ALL
"""


def _of_file(rejected: int, lost: int) -> str:
    if rejected:
        return "some rows set aside"
    return "some values not used" if lost else "all rows fit"


def _rule_lines(store: Store) -> Iterator[RuleLine]:
    """Give a line for each rule that rows break; its share is that of the worst set, as for what is held."""
    received: dict[str, dict[str | None, int]] = {}
    for table, extract, count in store.rows(_RECEIVED):
        received.setdefault(table, {})[extract] = count
    broken: dict[tuple[str, str, str, str], dict[str | None, int]] = {}
    for table, rule_id, column, scope, extract, count in store.rows(_BY_RULE):
        broken.setdefault((table, rule_id, column or "", scope), {})[extract] = count
    for (table, rule_id, column, scope), lost in broken.items():
        contract = contracts.load(f"landing.{table}")
        rule = _rule(contract, rule_id)
        own = _own_words(rule_id) if rule is None else ("error", says_rule(contract, rule), _asks(rule))
        by_set = [Share(lost.get(extract, 0), count, extract) for extract, count in received[table].items()]
        count = sum(lost.values())
        yield RuleLine(
            rule_id=rule_id,
            holds=words.source_in_words(table),
            column=column,
            severity=own[0],
            says=own[1],
            effect=_EFFECTS[scope],
            row_count=count,
            of_count=sum(each.received for each in by_set),
            listed_count=min(count, MOST_PLACES),
            asked=own[2],
            worst=worst(by_set),
        )


_LOOK = "Look at it, and tell us when it is meant to be so."
_HELD = "Lists that read it are held: correct it, and send the whole set again."


def _table_line(contract: TableContract, rule_id: str, description: str, row_count: int, asked: str) -> RuleLine:
    """Give a check of a whole table that its contract cannot hold, such as how old it may be."""
    return RuleLine(
        rule_id=rule_id,
        holds=words.source_in_words(contract.table),
        column="",
        severity="error",
        says=description,
        effect="about the whole table",
        row_count=row_count,
        of_count=row_count,
        listed_count=0,
        asked=asked,
    )


def _other_warning_line(
    contract: TableContract, rule_id: str, description: str, failed_count: int, row_count: int
) -> RuleLine:
    """Give a warning about rows that is counted beside the contract, such as a code in another spelling."""
    return RuleLine(
        rule_id=rule_id,
        holds=words.source_in_words(contract.table),
        column="",
        severity="warning",
        says=description,
        effect="used, and to be looked at",
        row_count=failed_count,
        of_count=row_count,
        listed_count=0,
        asked=_LOOK,
    )


def _warning_line(contract: TableContract, rule: Rule, failed_count: int, row_count: int, asked: str) -> RuleLine:
    """Give a rule that sets nothing aside: a warning, or one about a whole table."""
    is_about_table = rule.scope == "table"
    return RuleLine(
        rule_id=rule.id,
        holds=words.source_in_words(contract.table),
        column=rule.column or "",
        severity=rule.severity,
        says=says_rule(contract, rule),
        effect="about the whole table" if is_about_table else "used, and to be looked at",
        row_count=row_count if is_about_table else failed_count,
        of_count=row_count,
        listed_count=0,
        asked=asked,
    )


def _asked(rules: Sequence[RuleLine], verdict: Verdict, faults: Sequence[Fault]) -> tuple[str, ...]:
    errors = [each for each in rules if each.severity == "error" and (each.listed_count or each.asked == _HELD)]
    if verdict == "whole" and rules and not errors:
        return (f"Look at the rules listed: {', '.join(each.rule_id for each in rules)}.", _ANSWER)
    if verdict == "whole" and not errors:
        return ("Nothing: this is for your information.",)
    asked = [
        f"{each.place}: {each.asked[:1].lower()}{each.asked[1:].rstrip('.')} ({each.rule_id}, "
        f"{pages.whole(each.row_count)} {'row' if each.row_count == 1 else 'rows'})."
        for each in errors[:_MOST_ASKED]
    ]
    if len(errors) > _MOST_ASKED:
        asked.append(f"The same for {len(errors) - _MOST_ASKED} more rules: see By rule, last column.")
    if verdict == "stopped":
        asked.append("Send the whole set again: nothing of this one is kept.")
    return (*asked, _ANSWER) if asked or faults else ("Nothing: what was set aside is as you meant it.",)


_MOST_ASKED = 6


# The words of a rule

_FORMS: Final = {
    "DATE": "a date written as 2026-01-31",
    "TIMESTAMP": "a time written as 2026-01-31 09:30:00",
    "BOOLEAN": "true or false",
    "BIGINT": "a whole number",
    "DOUBLE": "a number, with a point and no thousands",
    "DECIMAL(18,4)": "a number, with a point and no thousands",
}


def says_rule(contract: TableContract, rule: Rule) -> str:
    """Say in words what a rule of a contract finds wrong, and what was expected instead."""
    parts = [rule.description.rstrip(".") + "." if rule.description else ""]
    if rule.kind == "duplicate":
        parts.append("They differ, so none of them was used.")
    column = contract.column(rule.column) if rule.column else None
    if column is not None:
        if rule.kind == "type":
            parts.append(f"Expected {_FORMS.get(column.type, 'text')}.")
        elif rule.kind == "pattern" and column.pattern:
            parts.append(f"Expected the form {column.pattern} (a regular expression).")
        elif rule.kind == "values" and column.valid_values:
            parts.append(f"Expected one of {', '.join(column.valid_values)}.")
        elif rule.kind == "range":
            parts.append(f"Expected {_range(column.minimum, column.maximum)}.")
        elif rule.kind == "date":
            parts.append(f"Not {', '.join(each.isoformat() for each in SENTINEL_DATES)}.")
        parts.append(f"The column: {column.description.rstrip('.')}.")
    return " ".join(filter(None, parts))


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is None or maximum is None:
        return f"{maximum:g} at most" if minimum is None else f"{minimum:g} at least"
    return f"{minimum:g} to {maximum:g}"


def _asks(rule: Rule) -> str:
    if rule.kind == "duplicate":
        return "Say which of the rows holds, and send that one alone."
    if rule.kind == "date":
        return "Leave the date empty where it is not known, and send the rows again."
    if rule.kind == "missing":
        return "Fill the column, and send the rows again."
    what = "row" if rule.scope == "row" else "value"
    return f"Correct the {what}, and send the rows again."


OWN_RULES: Final[dict[str, tuple[str, str, str]]] = {
    "00-shape": (
        "error",
        "The line is no record: fewer or more columns than the header, or a quote that does not close.",
        "Write every line with all its columns, and quote what holds a comma, and send the file again.",
    ),
    "83-survivor": (
        "error",
        "The surviving number of a superseded one cannot be used, or two lines name different ones.",
        "Trace the number again.",
    ),
    "84-contested": (
        "error",
        "Two records of one practice bear one NHS number and are of two people: neither is linked by it.",
        "Find out whose number it is, correct the other record, and send both again.",
    ),
    "84-slice": (
        "error",
        "The practice sent less than half of what was to be expected of it, so its part of this set was not read.",
        "Send the practice's whole part again, or say that it has left.",
    ),
    "85-restricted": (
        "information",
        "The row is marked as legally restricted and has no NHS number, so it is never taken in.",
        "Nothing.",
    ),
    "86-nhs-number": (
        "error",
        "The NHS number is missing, or is none: ten digits of which the last is a check digit.",
        "Trace the NHS number, and send the rows again.",
    ),
    "87-orphan": (
        "error",
        "The row belongs to a patient record that is not in the patient file of the same organisation.",
        "Send the patient record, or leave the row out.",
    ),
    "88-superseded": ("information", "A later set has a newer version of the row.", "Nothing."),
    "88-withdrawn": ("information", "The source marks the row as withdrawn, and it was left out.", "Nothing."),
    "89-repeat": (
        "information",
        "The same row once more, equal in every column; the first one was used.",
        "Send each row once.",
    ),
}
"""The loader's own rules, which no contract words: severity, what it says, what we ask for, by the end of the id."""


def _own_words(rule_id: str) -> tuple[str, str, str]:
    unknown = ("error", "Set aside while loading, under this rule.", "Ask us what the rule checks.")
    return OWN_RULES.get(rule_id.split("-", 1)[1], unknown)
