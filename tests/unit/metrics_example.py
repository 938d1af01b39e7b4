"""Fourteen invented people for the metrics: days, ages and registrations at their edges."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
from publish_example import frame, key, person

CUTOFFS = {"apc_episode": date(2026, 10, 31), "ed_attendance": date(2026, 10, 31)}
"""Hospital data up to 31 October; the run is for 23 November 2026: the year is from 1 November 2025 to 31 October 2026,
the last final one from 1 September 2025 to 31 August 2026 (60 days before the run is 24 September)."""

PEOPLE = [
    *(person(n) for n in (1, 2, 3, 6, 7, 8, 9)),
    person(4, age_years=40, date_of_birth=date(1986, 1, 2), imd_decile=None),
    person(5, age_years=None, date_of_birth=None),
    person(10, practice_code="A81002"),
    person(11, person_status="left", practice_code=None),
    person(12, may_be_counted=False),
    person(13, person_status="test_patient"),
    person(14, person_status="died", practice_code=None),
]
LEFT, NEW = date(2026, 6, 1), date(2026, 9, 10)


def registration(number, **changes):
    return {
        "patient_key": key(number), "org_code": "A81001", "source_registration_id": f"r{number}",
        "practice_code": "A81002" if number == 10 else "A81001", "registration_type": "REGULAR",
        "start_date": NEW if number == 9 else date(2020, 1, 1), "end_date": LEFT if number == 11 else None,
    } | changes  # fmt: skip


def spell(number, day, is_emergency=True):
    return {"patient_key": key(number), "provider_code": "RAA", "spell_id": f"{number} {day}",
            "admission_date": day, "is_emergency": is_emergency}  # fmt: skip


def attendance(number, day, kind="01", category="1", is_sdec=False):
    return {"patient_key": key(number), "provider_code": "RAA", "attendance_id": f"{number} {day} {kind}",
            "arrival_at": datetime(day.year, day.month, day.day, 23, 59), "department_type": kind,
            "attendance_category": category, "is_sdec": is_sdec}  # fmt: skip


def step(number, day, state, before="new", outcome=None):
    return {"week": day, "patient_key": key(number), "pathway": "copd", "position": 1, "from_state": before,
            "to_state": state, "effective_date": day, "outcome": outcome, "cause": "answer"}  # fmt: skip


def value(number, variable, number_found, state="known"):
    return {"patient_key": key(number), "variable": variable, "value": number_found, "state": state}


ADMISSIONS = [
    spell(1, date(2025, 10, 31)),  # the day before the year; in the final one
    spell(1, date(2025, 11, 1)),  # its first day
    spell(1, date(2026, 10, 31)),  # its last day
    spell(1, date(2026, 11, 1)),  # after the hospital data end
    spell(2, date(2026, 8, 31)),  # the last day of the final year
    spell(2, date(2026, 5, 1), is_emergency=False),
    spell(3, date(2026, 9, 15)),
    spell(4, date(2026, 4, 1)),  # 40 years old
    spell(11, date(2026, 3, 1)),  # before this person left
    spell(11, date(2026, 7, 1)),  # after it
    spell(12, date(2026, 5, 1)),  # objected
    spell(13, date(2026, 5, 1)),  # no real person
    spell(14, date(2026, 2, 1)),  # died in March
]
ATTENDANCES = [
    attendance(1, date(2026, 10, 31)),
    attendance(1, date(2026, 5, 2), category="4"),  # planned
    attendance(2, date(2026, 5, 5), kind="03"),
    attendance(3, date(2026, 5, 5), is_sdec=True),
    attendance(4, date(2026, 6, 1), category=None),
    attendance(12, date(2026, 6, 1)),
]
STEPS = [
    step(9, date(2025, 11, 1), "offered"),  # before the year up to this week, which begins on 24 November 2025
    step(7, date(2026, 1, 10), "offered"),
    step(7, date(2026, 2, 1), "activated", "offered", "activated"),
    step(3, date(2026, 11, 23), "offered", "waiting"),
    step(3, date(2026, 11, 22), "offered", "offered"),  # only noted
    step(2, date(2026, 8, 1), "waiting", "new", "accepted"),
    step(2, date(2026, 8, 31), "listed", "waiting"),
    step(1, date(2026, 10, 1), "listed"),
    step(1, date(2026, 10, 20), "attended", "listed", "attended"),
    step(8, date(2026, 3, 3), "declined", "new", "declined"),
    step(8, date(2026, 11, 10), "listed", "declined"),  # 13 days before the run
    step(5, date(2026, 5, 1), "did_not_attend", "booked", "did_not_attend"),
    step(6, date(2026, 5, 2), "attended", "booked", "attended"),
    step(6, date(2026, 6, 2), "did_not_attend", "booked", "did_not_attend"),
    step(4, date(2026, 6, 2), "attended", "booked", "attended"),
    step(12, date(2026, 6, 2), "declined", "booked", "declined"),
]
DECIDED = {1: "clinic", 2: "clinic", 3: "self_management", 8: "self_management", 12: "clinic"}
PLACED = {1: ("listed", None), 2: ("waiting", date(2026, 10, 26)), 3: ("offered", date(2026, 10, 1)),
          8: ("held", date(2026, 10, 25)), 12: ("listed", None)}  # fmt: skip
VALUES = [
    value(1, "copd_emergency_admissions_count", 2.0),
    value(6, "copd_emergency_admissions_count", 1.0),  # not on the pathway
    value(12, "copd_emergency_admissions_count", 5.0),
    *(value(n, "hba1c_of_the_year", 50.0) for n in (1, 2, 4)),
    value(3, "hba1c_of_the_year", None, "stale"),
    *(value(n, "systolic_blood_pressure", 130.0) for n in (1, 2)),
    value(1, "diastolic_blood_pressure", 80.0),
    value(1, "cholesterol_of_the_year", 4.0),
    value(1, "creatinine_of_the_year", 80.0),
    value(2, "egfr_of_the_year", 60.0),
    value(1, "albumin_creatinine_ratio_of_the_year", 0.0),  # a result of nought is a result
    value(1, "has_foot_check_of_the_year", 1.0),
    value(2, "has_foot_check_of_the_year", 0.0),  # a flag of nought is none
    *(value(n, "body_mass_index_of_the_year", 30.0) for n in (1, 2, 3)),
]
TIERS = {1: "all", 2: "not_all", 3: "not_all", 4: None, 12: "all"}


def fill(store):
    store.create("core.person", frame("core.person", PEOPLE))
    store.create("core.registration", frame("core.registration", [registration(n) for n in range(1, 15)]))
    store.create("core.apc_spell", frame("core.apc_spell", ADMISSIONS))
    attended = [{**each, "arrival_at": None} for each in ATTENDANCES]
    arrivals = pl.Series("arrival_at", [each["arrival_at"] for each in ATTENDANCES])
    store.create("core.ed_attendance", frame("core.ed_attendance", attended).with_columns(arrivals))
    died = {"patient_key": key(14), "source": "ONS", "date_of_death": date(2026, 3, 1)}
    store.create("core.death", frame("core.death", [died]))
    practice = {"pcn_code": "U10001", "pcn_name": "River", "icb_code": "QXX", "valid_from": date(2020, 1, 1)}
    codes = [{"practice_code": code, "practice_name": code, **practice} for code in ("A81001", "A81002")]
    store.create("core.practice", frame("core.practice", codes))
    decided = [{"patient_key": key(n), "pathway": "copd", "decision": decision} for n, decision in DECIDED.items()]
    store.create("derived.pathway_decision", frame("derived.pathway_decision", decided))
    placed = [
        {"patient_key": key(n), "pathway": "copd", "placement": placement, "waiting_since": since}
        for n, (placement, since) in PLACED.items()
    ]
    store.create("derived.placement", frame("derived.placement", placed))
    scored = [{"patient_key": key(n), "score": "diabetes_care_processes_8", "tier": tier} for n, tier in TIERS.items()]
    store.create("derived.patient_score", frame("derived.patient_score", scored))
    store.create("derived.variable_value", frame("derived.variable_value", VALUES))
    store.create("audit.transition", frame("audit.transition", STEPS))
    withheld = [{"reason": "Type 1 opt-out", "people_count": 1, "surface": "secondary_use"}]
    store.create("audit.withheld", frame("audit.withheld", withheld))
