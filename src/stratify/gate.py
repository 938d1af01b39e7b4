"""The check of every row just before lists go out: who may no longer be listed, offered to or kept waiting, and why.

Frames in, frames out: which rows fail against what is known by now. It only takes away: a place that comes free stays
free until the next run. Does not belong: reading newer files, objections (``privacy``), writing what is released
(``release``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

CONTACT_DAYS = 28
"""Days in which one pathway does not contact somebody whom another has contacted (NHS England, proactive care)."""

STANDING = ("listed", "waiting", "offered")
"""Placements that are checked."""

OBJECTED = "objected"
"""The check that takes somebody out altogether: who objected is never an output, only how many."""

_ENDED = {"died": "Recorded as having died since the list was made", "test_patient": "Now marked as a test record"}
_CLOSING = {
    "declined": "Has declined since the list was made",
    "attended": "Has been seen since the list was made",
    "reviewed": "Has been reviewed since the list was made",
    "discharged": "Has been discharged since the list was made",
}
_ROUTE_FLAGS = {
    "PALLIATIVE": "Receives palliative care since: a clinician decides about the invitation",
    "HOUSEBOUND": "Recorded as housebound since: to be seen at home",
    "CARE_HOME_NURSING": "Lives in a care home since: to be seen there",
    "CARE_HOME_RESIDENTIAL": "Lives in a care home since: to be seen there",
    "CARE_HOME_UNSPECIFIED": "Lives in a care home since: to be seen there",
}


@dataclass(frozen=True)
class Known:
    """What is known by now.

    Attributes:
        persons: By pseudonym the row of contract ``core.person``; whoever is in no record any more is absent.
        objected: Whoever may no longer be looked at.
        flags: By pseudonym the flags that hold today.
        text_dissent: Whoever objects to text messages.
        steps: Dated steps of people with a pathway: ``patient_key``, ``pathway``, ``step``, ``step_date``.
    """

    persons: Mapping[str, Mapping[str, Any]]
    objected: frozenset[str] = frozenset()
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    text_dissent: frozenset[str] = frozenset()
    steps: pl.DataFrame | None = None


def failed_rows(
    placements: pl.DataFrame,
    listed: Known,
    now: Known,
    *,
    made_on: date,
    day: date,
) -> pl.DataFrame:
    """Give the rows that may not go out, each with the first check that it fails.

    Args:
        placements: Contract ``derived.placement``.
        listed: What was known when the lists were made.
        now: What is known now.
        made_on: The index date of the lists.
        day: The day of the release.

    Returns:
        ``patient_key``, ``pathway``, ``check`` and ``reason``, one row for each placement that fails.
    """
    steps: dict[str, list[tuple[str | None, str, date]]] = {}
    if now.steps is not None:
        for key, pathway, step, at in now.steps.select("patient_key", "pathway", "step", "step_date").iter_rows():
            steps.setdefault(key, []).append((pathway, step, at))
    found = []
    standing = placements.filter(pl.col("placement").is_in(STANDING) & pl.col("practice_code").is_not_null())
    for row in standing.iter_rows(named=True):
        key = row["patient_key"]
        faults = _faults(row, listed, now, sorted(steps.get(key, ()), key=lambda each: each[2]), made_on, day)
        first = next(faults, None)
        if first:
            found.append((key, row["pathway"], *first))
    schema = dict.fromkeys(("patient_key", "pathway", "check", "reason"), pl.String)
    return pl.DataFrame(found, schema=schema, orient="row")


def _faults(
    row: Mapping[str, Any],
    listed: Known,
    now: Known,
    steps: Sequence[tuple[str | None, str, date]],
    made_on: date,
    day: date,
) -> Iterator[tuple[str, str]]:
    key = row["patient_key"]
    person = now.persons.get(key)
    if key in now.objected:
        yield OBJECTED, "Objects to this use of the record"
    if person is None:
        yield "registered", "No longer in the records that practices send"
        return
    status = person["person_status"]
    if status in _ENDED:
        yield status, _ENDED[status]
    elif status != "registered":
        yield "registered", "No longer registered with a practice since the list was made"
    elif person["practice_code"] != row["practice_code"]:
        yield "practice", "Now registered with another practice"
    before = listed.persons.get(key, {})
    if person["identity_doubt"] and not before.get("identity_doubt") and row["decision"] != "clinician_review":
        yield "identity", f"Identity to be confirmed: {person['identity_doubt']}"
    if row["decision"] in ("clinic", "self_management"):
        new = now.flags.get(key, frozenset()) - listed.flags.get(key, frozenset())
        yield from (("route", text) for flag, text in _ROUTE_FLAGS.items() if flag in new)
    for pathway, step, at in steps:
        if step in _CLOSING and pathway in (None, row["pathway"]) and at >= made_on:
            yield "answered", _CLOSING[step]
        if step == "contacted" and pathway not in (None, row["pathway"]) and day - timedelta(CONTACT_DAYS) <= at <= day:
            yield "contacted", f"Contacted for another pathway in the last {CONTACT_DAYS} days"
    if row["placement"] == "offered" and key in now.text_dissent and person["contact_preference"] == "sms":
        yield "consent", "Objects to text messages, the only way of contact on record: ask by letter or phone"
