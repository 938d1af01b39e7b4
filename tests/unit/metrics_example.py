"""Sixteen invented people for the metrics: days, ages and registrations at their edges."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
from publish_example import frame, key, person

CUTOFFS = dict.fromkeys(
    ("apc_episode", "ed_attendance", "op_attendance", "death", "gp_appointment", "community_contact", "referral",
     "home_visit_request", "care_home_bed", "survey_result", "social_care_event", "place_preference"),
    date(2026, 10, 31),
)  # fmt: skip
"""All feeds up to 31 October; the run is for 23 November 2026: the year is from 1 November 2025 to 31 October 2026,
the last final one from 1 September 2025 to 31 August 2026 (60 days before the run is 24 September)."""

PEOPLE = [
    *(person(n) for n in (1, 2, 3, 6, 7, 8, 9)),
    person(4, age_years=40, date_of_birth=date(1986, 1, 2), imd_decile=None),
    person(5, age_years=None, date_of_birth=None),
    person(10, practice_code="A81002"),
    person(11, person_status="left", practice_code=None),
    person(12, may_be_counted=False),
    person(13, person_status="test_patient"),
    *(person(n, person_status="died", practice_code=None) for n in (14, 15, 16)),
]
LEFT, NEW = date(2026, 6, 1), date(2026, 9, 10)


def registration(number, **changes):
    return {
        "patient_key": key(number), "org_code": "A81001", "source_registration_id": f"r{number}",
        "practice_code": "A81002" if number == 10 else "A81001", "registration_type": "REGULAR",
        "start_date": NEW if number == 9 else date(2020, 1, 1), "end_date": LEFT if number == 11 else None,
    } | changes  # fmt: skip


def spell(number, day, is_emergency=True, nights=None, method="1"):
    left = None if nights is None else day + timedelta(days=nights)
    return {
        "patient_key": key(number), "provider_code": "RAA", "spell_id": f"{number} {day}", "admission_date": day,
        "is_emergency": is_emergency, "discharge_date": left, "discharge_method": method if left else None,
    }  # fmt: skip


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
    spell(1, date(2025, 10, 31), nights=0),  # the day before the year; in the final one
    spell(1, date(2025, 11, 1), nights=3),  # its first day
    spell(1, date(2026, 10, 31), nights=2),  # its last day
    spell(1, date(2026, 11, 1)),  # after the hospital data end
    spell(2, date(2026, 8, 31), nights=0),  # the last day of the final year
    spell(2, date(2026, 8, 2), is_emergency=False, nights=0),  # 29 days before the emergency
    spell(3, date(2026, 8, 16), is_emergency=False, nights=0),  # 30 days before the emergency
    spell(3, date(2026, 9, 15), nights=1),
    spell(4, date(2026, 4, 1)),  # 40 years old
    spell(11, date(2026, 3, 1), nights=2),  # before this person left
    spell(11, date(2026, 7, 1)),  # after it
    spell(12, date(2026, 5, 1), nights=1),  # objected
    spell(13, date(2026, 5, 1)),  # no real person
    spell(14, date(2026, 2, 1), nights=10),  # died in March
    spell(14, date(2026, 2, 25), is_emergency=False, nights=4, method="4"),  # did not leave hospital alive
    *(spell(15, date(2026, month, 2)) for month in (1, 2, 3)),  # the first 89 days before death
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
    value(1, "lives_in_care_home", 1.0),
    value(2, "care_home_code_recorded", 1.0),
    value(2, "care_home_temporary_code_recorded", 1.0),
    value(3, "care_home_temporary_code_recorded", 1.0),
    value(4, "lives_in_care_home", 0.0),
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
PROCESSES = (
    "hba1c_of_the_year", "systolic_blood_pressure", "diastolic_blood_pressure", "cholesterol_of_the_year",
    "creatinine_of_the_year", "egfr_of_the_year", "albumin_creatinine_ratio_of_the_year", "has_foot_check_of_the_year",
    "body_mass_index_of_the_year", "has_smoking_status_of_the_year",
)  # fmt: skip
TIERS = {1: "all", 2: "not_all", 3: "not_all", 4: None, 12: "all"}


OUTPATIENTS = [
    (1, date(2026, 10, 1), "5", "1"), (2, date(2026, 10, 31), "6", "4"), (4, date(2026, 10, 9), "5", "2"),
    (3, date(2026, 10, 9), "3", "1"), (1, date(2026, 11, 1), "5", "1"),
]  # fmt: skip
APPOINTMENTS = [
    (1, date(2025, 11, 1), "ATTENDED"), (1, date(2026, 1, 1), "DNA"), (2, date(2026, 10, 31), "ATTENDED"),
    (2, date(2026, 10, 1), "ATTENDED"), (12, date(2026, 1, 1), "ATTENDED"), (1, date(2026, 11, 9), "BOOKED"),
]  # fmt: skip
CONTACTS = [
    (3, date(2026, 10, 15), "5"), (3, date(2026, 10, 16), "3"), (9, date(2026, 9, 10), "6"),
    (9, date(2026, 9, 9), "5"),  # the day before this person came
]  # fmt: skip
REFERRALS = [  # the year is that up to 3 October, so that all have had 28 days
    (1, date(2025, 10, 4), "podiatry", 28, "seen"), (2, date(2026, 10, 3), "falls", 29, "seen"),
    (3, date(2026, 5, 1), "frailty", None, "waiting"), (4, date(2026, 5, 1), "falls", None, "rejected"),
    (5, date(2026, 5, 1), "cardiology", 1, "seen"), (6, date(2026, 10, 4), "falls", 1, "seen"),
]  # fmt: skip
VISITS = [
    (1, date(2025, 11, 1), "care_home"), (1, date(2026, 10, 31), "care_home"), (2, date(2026, 5, 1), "patient"),
    (12, date(2026, 5, 1), "care_home"), (13, date(2026, 5, 1), "care_home"), (1, date(2025, 10, 31), "care_home"),
]  # fmt: skip
BEDS = [
    ("h1", "A81001", date(2025, 11, 1), 30), ("h1", "A81001", date(2026, 10, 1), 32),
    ("h1", "A81001", date(2025, 10, 1), 90), ("h1", "A81001", date(2026, 11, 1), 90),
    ("h2", "A81001", date(2026, 6, 1), 10), ("h2", "A81001", date(2026, 7, 1), None),
    ("h3", "A81002", date(2026, 6, 1), 20),
]  # fmt: skip
ANSWERS = [
    ("gp_care_joined_up", "A81001", 2026, 30, 20), ("gp_care_joined_up", "A81002", 2026, 20, 10),
    ("gp_care_joined_up", "A81001", 2025, 50, 50), ("something_else", "A81001", 2026, 70, 70),
]  # fmt: skip
REABLED = [  # the year is that up to 1 August, so that day 91 has come for all
    (8, date(2025, 8, 2)),  # at home
    (2, date(2026, 8, 1)),  # moved into a home on the day asked about
    (3, date(2026, 6, 16)),  # admitted on the day asked about
    (11, date(2026, 3, 10)),  # left before it
    (14, date(2025, 12, 10)),  # died before it
    (4, date(2026, 3, 1)),  # 40 years old
    (5, date(2026, 3, 1)),  # of unknown age
    (6, date(2026, 8, 2)),
    (12, date(2026, 3, 1)),
]
MOVED = [(2, date(2026, 10, 31)), (4, date(2026, 1, 1)), (7, date(2025, 10, 31))]
DIED = [
    (14, "ONS", date(2026, 3, 1), "hospital"), (14, "SUS", date(2026, 3, 1), None),
    (15, "ONS", date(2026, 4, 1), "home"), (16, "ONS", date(2026, 5, 1), "care_home"),
    (11, "ONS", date(2026, 10, 20), "home"),  # long after this person left
]  # fmt: skip
PREFERRED = [
    (14, date(2026, 1, 1), "home"), (14, date(2026, 2, 20), "hospital"), (15, date(2026, 3, 3), "undecided"),
    (16, date(2026, 3, 3), "home"), (16, date(2026, 6, 1), "care_home"), (1, date(2026, 6, 1), "home"),
]  # fmt: skip


def fill_feeds(store):
    """Fill the tables of the feeds that a set may have or lack, and of outpatient attendances."""

    def make(name, rows, **moments):
        named = [{"patient_key": key(row[0]), **row[1]} if isinstance(row, tuple) else row for row in rows]
        numbered = [{"source_file_id": "f", "source_row": n, **row} for n, row in enumerate(named)]
        made = frame(name, [{**row, **dict.fromkeys(moments)} for row in numbered])
        return store.create(name, made.with_columns(pl.Series(each, days) for each, days in moments.items()))

    def noon(rows):
        return [datetime(row[1].year, row[1].month, row[1].day, 12) for row in rows]

    make("core.op_attendance", [
        (n, {"provider_code": "RAA", "attendance_id": f"{n} {day}", "appointment_date": day, "attended": attended,
             "first_attendance": first})
        for n, day, attended, first in OUTPATIENTS
    ])  # fmt: skip
    make("core.gp_appointment", [
        (n, {"org_code": "A81001", "source_slot_id": f"{n} {day}", "status": status}) for n, day, status in APPOINTMENTS
    ], start_at=noon(APPOINTMENTS))  # fmt: skip
    make("core.community_contact", [
        (n, {"provider_code": "RCC", "contact_id": f"{n} {day}", "contact_date": day, "team": "therapy",
             "attended": attended})
        for n, day, attended in CONTACTS
    ])  # fmt: skip
    make("core.referral", [
        (n, {"provider_code": "RCC", "referral_id": f"{n} {day}", "referral_date": day, "service": service,
             "status": status, "first_seen_date": None if waited is None else day + timedelta(days=waited)})
        for n, day, service, waited, status in REFERRALS
    ])  # fmt: skip
    make("core.home_visit_request", [
        (n, {"org_code": "A81001", "request_id": f"{n} {day}", "requested_by": by}) for n, day, by in VISITS
    ], requested_at=noon(VISITS))  # fmt: skip
    make("core.care_home_bed", [
        {"care_home_id": home, "practice_code": practice, "month_start_date": month, "occupied_bed_count": beds}
        for home, practice, month, beds in BEDS
    ])  # fmt: skip
    make("core.survey_result", [
        {"survey": "gp_patient_survey", "question": question, "practice_code": practice, "answer_count": answers,
         "period_start_date": date(year, 1, 2), "period_end_date": date(year, 3, 31), "positive_answer_count": positive}
        for question, practice, year, answers, positive in ANSWERS
    ])  # fmt: skip
    kinds = [(REABLED, "reablement_after_discharge"), (MOVED, "long_term_care_home")]
    make("core.social_care_event", [
        (n, {"council_code": "E10000099", "event_id": f"{n} {day}", "kind": kind, "start_date": day})
        for rows, kind in kinds for n, day in rows
    ])  # fmt: skip
    make("core.death", [
        (n, {"source": source, "date_of_death": day, "place_of_death": place}) for n, source, day, place in DIED
    ])  # fmt: skip
    make("core.place_preference", [
        (n, {"provider_code": "RCC", "record_id": f"{n} {day}", "recorded_date": day, "preferred_place": place})
        for n, day, place in PREFERRED
    ])  # fmt: skip


def fill(store):
    store.create("core.person", frame("core.person", PEOPLE))
    store.create("core.registration", frame("core.registration", [registration(n) for n in range(1, 17)]))
    store.create("core.apc_spell", frame("core.apc_spell", ADMISSIONS))
    attended = [{**each, "arrival_at": None} for each in ATTENDANCES]
    arrivals = pl.Series("arrival_at", [each["arrival_at"] for each in ATTENDANCES])
    store.create("core.ed_attendance", frame("core.ed_attendance", attended).with_columns(arrivals))
    fill_feeds(store)
    practice = {"pcn_code": "U10001", "pcn_name": "River", "icb_code": "QXX", "valid_from": date(2020, 1, 1)}
    codes = [{"practice_code": code, "practice_name": code, **practice} for code in ("A81001", "A81002")]
    store.create("core.practice", frame("core.practice", codes))
    decided = [{"patient_key": key(n), "pathway": "copd", "decision": decision} for n, decision in DECIDED.items()]
    decided += [{"patient_key": key(n), "pathway": "frailty", "decision": "assessment"} for n in (1, 2, 3, 12)]
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
