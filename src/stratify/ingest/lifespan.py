"""Dates of the GP record against a life: before birth, after death, and dates of which only a part is known.

Belongs here: what a date of ``landing.gp_*`` is worth given when the person was born and died, and the SQL that says
so. Does not belong: dates that are wrong whoever it is (the contracts), whether somebody has died (``people``).

A date before birth is no date: mothers' results are found on their babies, and wrong dates of birth. What is dated more
than 30 days after death is left out, and counted: results and letters are filed for weeks, later ones are somebody
else's. Of a date known to the month or the year only, the first day stands for it, so that it is inside a window only
when the whole of it is.
"""

from __future__ import annotations

from stratify import contracts
from stratify.ingest.checks import is_accepted, stored, value
from stratify.store import Store

DATE_COLUMNS = {"gp_event": "effective_date", "gp_observation": "effective_date", "gp_medication": "issue_date"}
"""The tables whose rows are set against a life, and the date of each."""

IS_KEPT = "(coalesce(is_in_extract, false) AND NOT is_withheld)"
"""SQL that is true for a row of :func:`with_lifespan` of somebody the run may look at."""

_FILED_DAYS = 30


def define(store: Store) -> None:
    """Make ``landing.lifespan``: when each person with a patient record was born, and died at the latest.

    It says of each person in the extract, too, whether their rows are withheld: one join instead of two.
    """
    deaths = f"SELECT patient_key, {value('death', 'date_of_death')} AS died FROM landing.death"
    store.execute(
        f"""CREATE OR REPLACE TABLE landing.lifespan AS
        SELECT l.*, s.withheld_because IS NOT NULL AS is_withheld, s.patient_key IS NOT NULL AS is_in_extract
        FROM (SELECT patient_key, min(born) AS born, max(died) AS died FROM (
            SELECT patient_key, {value("patient", "date_of_birth")} AS born, {value("patient", "date_of_death")} AS died
            FROM landing.patient WHERE {is_accepted("patient")}
            UNION ALL SELECT patient_key, NULL, died FROM ({deaths} WHERE {is_accepted("death")}))
        WHERE patient_key IS NOT NULL GROUP BY patient_key) AS l LEFT JOIN landing.standing AS s USING (patient_key)"""
    )


def with_lifespan(table: str, rows: str | None = None) -> str:
    """Write what to put after FROM: the landing table, with the life and standing of whose row it is.

    ``rows`` are rows as they would land, where they are not the landing table's.
    """
    return f"{rows or stored(table)} LEFT JOIN landing.lifespan USING (patient_key)"


def is_before_birth(table: str) -> str:
    """Write the SQL that is true for a row whose whole date lies before the person was born."""
    day = value(table, DATE_COLUMNS[table])
    if not _has_precision(table):
        return f"coalesce(({day}) < born, false)"
    step = _by_precision(table, "born", "date_trunc('month', born)", "date_trunc('year', born)")
    return f"coalesce(({day}) < {step}, false)"


def is_after_death(table: str) -> str:
    """Write the SQL that is true for a row whose whole date lies more than 30 days after the person died."""
    return f"coalesce(({_first_day(table)}) > died + {_FILED_DAYS}, false)"


def is_carried(table: str) -> str:
    """Write the SQL that is true for a row of :func:`with_lifespan` that core holds."""
    carried = f"{is_accepted(table)} AND {IS_KEPT} AND NOT {is_after_death(table)}"
    # Of an entry with a date before birth the rest still tells something; an issue without a date tells nothing.
    return carried if _has_precision(table) else f"{carried} AND NOT {is_before_birth(table)}"


def is_as_landed(table: str) -> str:
    """Write the SQL that is true for a row of :func:`with_lifespan` whose date core holds as it landed."""
    same = f"NOT {is_before_birth(table)}"
    if _has_precision(table):
        same += f" AND {DATE_COLUMNS[table]} IS NOT NULL AND coalesce(effective_precision = 'YMD', false)"
    return same


def dated_fields(table: str) -> dict[str, str]:
    """Write the date of a table, and its precision, as core holds them."""
    if not _has_precision(table):
        return {}
    is_missing = f"({value(table, DATE_COLUMNS[table])}) IS NULL OR {is_before_birth(table)}"
    return {
        DATE_COLUMNS[table]: f"CASE WHEN NOT {is_before_birth(table)} THEN {_first_day(table)} END",
        "effective_precision": f"CASE WHEN {is_missing} THEN 'U' ELSE {value(table, 'effective_precision')} END",
    }


def counts(store: Store, table: str) -> dict[str, int]:
    """Count the rows of a table of people withheld, and of the others those dated outside the life of their person."""
    withheld, before, after = store.rows(
        f"SELECT count(*) FILTER (WHERE is_in_extract AND is_withheld), "
        f"count(*) FILTER (WHERE {IS_KEPT} AND {is_before_birth(table)}), "
        f"count(*) FILTER (WHERE {IS_KEPT} AND {is_after_death(table)}) "
        f"FROM {with_lifespan(table)} WHERE {is_accepted(table)}"
    )[0]
    return {
        f"{table} withheld": int(withheld),
        f"{table} dated before birth": int(before),
        f"{table} dated after death": int(after),
    }


def _has_precision(table: str) -> bool:
    return "effective_precision" in contracts.load(f"landing.{table}").column_names


def _first_day(table: str) -> str:
    day = value(table, DATE_COLUMNS[table])
    if not _has_precision(table):
        return day
    return _by_precision(table, day, f"date_trunc('month', {day})", f"date_trunc('year', {day})")


def _by_precision(table: str, day: str, month: str, year: str) -> str:
    return (
        f"CAST(CASE {value(table, 'effective_precision')} WHEN 'Y' THEN {year} WHEN 'YM' THEN {month} "
        f"ELSE {day} END AS DATE)"
    )
