"""The roster of a practice's care-home residents, home by home: who has a plan, and by when the team is to come.

Direct care only, one CSV for each practice and clinic whose pathway declares a ``roster``. Everybody on the pathway
stands in it, on this week's list or not. Who lives in a home and what is proposed was settled before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stratify import periods
from stratify.care_homes import NOT_KNOWN, home_and_lead
from stratify.codes import spaced
from stratify.contract_frames import schema_of
from stratify.publish.context import PublishContext, check_frame, folder_name, row_reference
from stratify.publish.offers import write_safe_csv
from stratify.rules import Pathway, Roster
from stratify.store import Store

CONTRACT = "out.care_home_resident"

_RESIDENTS = """
SELECT p.patient_key, p.practice_code, p.placement, p.placement_reason, p.clinic_date, p.state, p.state_since,
    d.reason AS why, c.age_years, coalesce(i.date_of_birth, c.date_of_birth) AS date_of_birth, i.nhs_number,
    i.family_name, i.given_names, CASE WHEN NOT c.is_spine_sensitive THEN i.postcode END AS postcode
FROM derived.placement AS p
JOIN derived.pathway_decision AS d USING (patient_key, pathway)
JOIN core.person AS c USING (patient_key)
LEFT JOIN identity.person AS i USING (patient_key)
WHERE p.pathway = '{pathway}' AND p.practice_code IS NOT NULL AND p.decision <> 'excluded'
    AND p.placement <> 'list_held' AND c.person_status IN ('registered', 'practice_unknown')
ORDER BY p.practice_code, p.patient_key
"""
_DAYS = """
SELECT p.practice_code, v.patient_key, v.variable, v.value_date
FROM derived.placement AS p JOIN derived.variable_value AS v USING (patient_key)
WHERE p.pathway = '{pathway}' AND p.practice_code IS NOT NULL AND v.state = 'known' AND v.value > 0
    AND v.variable IN ({named}) ORDER BY p.practice_code, v.patient_key, v.variable
"""
_PRACTICES = """
SELECT DISTINCT practice_code FROM derived.placement WHERE pathway = $1 AND practice_code IS NOT NULL ORDER BY ALL
"""

Row = Mapping[str, Any]


def write_rosters(store: Store, folder: Path, context: PublishContext) -> list[Path]:
    """Write the rosters of all practices.

    Args:
        store: The run's store, with ``identity`` attached.
        folder: Where the practices' folders go.
        context: The run.

    Returns:
        The files written.

    Raises:
        ContractError: rows do not keep ``out.care_home_resident``.
    """
    written = []
    for pathway in sorted(context.pathways.values(), key=lambda each: each.id):
        practices = store.rows(_PRACTICES, [pathway.id]) if pathway.roster else []
        if pathway.roster is None or not practices:
            continue
        named = ", ".join(f"'{each}'" for each in (pathway.roster.plan, *pathway.roster.visit_after))
        with (
            store.parted(_RESIDENTS.format(pathway=pathway.id), "practice_code") as residents,
            store.parted(_DAYS.format(pathway=pathway.id, named=named), "practice_code") as known,
        ):
            for (practice,) in practices:
                if (pathway.id, practice) not in context.off:
                    rows, days = residents(practice).to_dicts(), known(practice)
                    written += _write(folder, practice, pathway, pathway.roster, (rows, days), context)
    return written


def _write(
    folder: Path,
    practice: str,
    pathway: Pathway,
    roster: Roster,
    known: tuple[Sequence[Row], pl.DataFrame],
    context: PublishContext,
) -> list[Path]:
    """Write the roster of a practice, if it has residents; ``known`` are they and the days of what is on record."""
    rows, when = known
    if not rows:
        return []
    days = {(key, name): day for key, name, day in when.select("patient_key", "variable", "value_date").iter_rows()}
    records = [_record(row, days, pathway, roster, context) for row in rows]
    frame = check_frame(pl.DataFrame(records, schema=schema_of(CONTRACT)), CONTRACT)
    frame = frame.sort(pl.col("home") == NOT_KNOWN, "home", "visit_by", "plan_date", "row_reference",
                       nulls_last=[False, False, True, False, False])  # fmt: skip
    path = (
        folder
        / folder_name(practice)
        / folder_name(roster.clinic)
        / context.file_name(f"roster_{roster.clinic}", "csv")
    )
    write_safe_csv(
        path,
        frame.with_columns(pl.col(day).dt.strftime("%d/%m/%Y") for day in ("date_of_birth", "visit_by", "plan_date")),
    )
    return [path]


def _record(
    row: Row, days: Mapping[tuple[str, str], date | None], pathway: Pathway, roster: Roster, context: PublishContext
) -> dict[str, Any]:
    home, lead = home_and_lead(row["postcode"], context.care_homes)
    came = [day for name in roster.visit_after if (day := days.get((row["patient_key"], name)))]
    visit_by, visit = _visit(max(came, default=None), row, pathway, roster, context.index_date)
    plan = days.get((row["patient_key"], roster.plan))
    return {
        "row_reference": row_reference(context.index_date, roster.clinic, row["patient_key"]),
        "home": home,
        "named_lead": lead,
        "nhs_number": spaced(row["nhs_number"]),
        "family_name": row["family_name"],
        "given_names": row["given_names"],
        "date_of_birth": row["date_of_birth"],
        "age_years": row["age_years"],
        "visit_by": visit_by,
        "visit": visit,
        "plan_date": plan,
        "plan": f"{(context.index_date - plan).days} days old: is it shared?" if plan else "None in date",
        "this_week": _this_week(row),
        "why": row["why"],
    }


def _visit(
    came: date | None, row: Row, pathway: Pathway, roster: Roster, today: date
) -> tuple[date | None, str | None]:
    """Give the day by which the team is to come to somebody who moved in or came back, and how that stands."""
    within = pathway.clinic(roster.clinic).within_working_days
    if came is None or within is None:
        return None, None
    due = periods.working_days_after(came, within)
    if row["state"] == "attended" and row["state_since"] >= came:
        return None, f"Seen on {periods.in_words(row['state_since'])}"
    words = f"moved in or came back on {periods.in_words(came)}, {within} working days"
    return due, f"Overdue: {words}" if due < today else f"Due: {words}"


def _this_week(row: Row) -> str:
    if row["placement"] == "listed":
        return f"On the list, {periods.in_words(row['clinic_date'])}" if row["clinic_date"] else "On the list"
    return str(row["placement_reason"])
