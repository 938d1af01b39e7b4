"""Two networks of invented people who come to hospital a known number of times a month, for 24 final months."""

from __future__ import annotations

from datetime import date

from metrics_example import CUTOFFS, registration, spell
from publish_example import frame, key, outcome, person

from stratify import periods
from stratify.publish import Counted

MONTHS = [periods.months_after(date(2024, 9, 1), number) for number in range(24)]
"""September 2024 to August 2026: 60 days before the run, 23 November 2026, is 24 September."""

PRACTICES = {"A81001": ("U10001", "River Primary Care Network"), "A81002": ("U10002", "Hill Primary Care Network")}
FIRST = (100, 1100)
"""Number of the first person of each practice; some below 20 have dates of their own in ``metrics_example``."""

SIZE = 600
"""People of each practice; the first of each are those who come to hospital."""


OPTIONAL_CORE = (
    "care_home_bed", "community_contact", "gp_appointment", "home_visit_request", "place_preference", "referral",
    "social_care_event", "survey_result",
)  # fmt: skip
DERIVED = ("derived.patient_score", "derived.variable_value")


def fill(store, *, river: list[int], hill: list[int]) -> None:
    """Fill a store: how many people of each network come to hospital in each month, one admission each."""
    people, registrations, spells = [], [], []
    for place, code in enumerate(PRACTICES):
        for number in range(FIRST[place], FIRST[place] + SIZE):
            group = {"imd_decile": number % 10 + 1 if number % 20 else None, "sex": "FM"[number % 2]}
            people.append(person(number, practice_code=code, pcn_code=PRACTICES[code][0], **group))
            registrations.append(registration(number, practice_code=code))
    for first, counts in zip(FIRST, (river, hill), strict=True):
        for month, count in zip(MONTHS, counts, strict=True):
            spells += [spell(first + number, month.replace(day=1 + number % 28)) for number in range(count)]
    spells.append(spell(FIRST[0], date(2024, 8, 31)))  # so it is known that the records begin before September 2024
    spells.append(spell(FIRST[0], date(2026, 9, 1)))  # may still change
    store.create("core.person", frame("core.person", people))
    store.create("core.registration", frame("core.registration", registrations))
    store.create("core.apc_spell", frame("core.apc_spell", spells))
    practices = [
        {"practice_code": code, "practice_name": f"Surgery {code}", "pcn_code": pcn, "pcn_name": name,
         "icb_code": "QXX", "valid_from": date(2020, 1, 1)}
        for code, (pcn, name) in PRACTICES.items()
    ]  # fmt: skip
    store.create("core.practice", frame("core.practice", practices))
    feeds = [f"core.{name}" for name in OPTIONAL_CORE]
    for table in ("core.ed_attendance", "core.op_attendance", "core.death", *feeds, *DERIVED):
        store.create(table, frame(table, []))
    store.create("audit.transition", frame("audit.transition", []))
    outcomes = [outcome(FIRST[0] + n, "offered", "self_management", tier="LR") for n in range(40)]
    outcomes += [
        outcome(FIRST[0] + n, "waiting", "clinic", tier="HR", waiting_since=date(2026, 10, 1)) for n in range(40, 60)
    ]
    outcomes += [outcome(FIRST[0] + n, "listed", "clinic", tier="HRC") for n in range(60, 64)]
    for table in ("derived.pathway_decision", "derived.placement"):
        store.create(table, frame(table, outcomes))
    store.create("audit.withheld", frame("audit.withheld", []))


def total(counted: Counted, month: date, practice: str) -> tuple[int, int]:
    """Give the events of a month at a practice, and who was registered there at its end."""
    events = counted.months.events.filter(month=month, practice_code=practice)["people_count"].item()
    return events, counted.months.registered.filter(month=month, practice_code=practice)["people_count"].item()


__all__ = ["CUTOFFS", "MONTHS", "PRACTICES", "SIZE", "fill", "key", "total"]
