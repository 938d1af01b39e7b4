"""An invented county for the metrics, of as many people as one likes: everything drawn at random, by a seed."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

import polars as pl
from metrics_example import PROCESSES
from publish_example import frame, key, person

INDEX_DATE = date(2026, 11, 23)
UNTIL = date(2026, 10, 31)
PRACTICES = tuple(f"A8100{number}" for number in range(1, 7))
CARE_HOME = {12: "lives_in_care_home", 18: "care_home_code_recorded", 7: "care_home_temporary_code_recorded"}
"""Variables that every so many people have."""
_FIRST = date(2024, 6, 1)
_PLACES = ("home", "care_home", "hospice", "hospital")


def fill(store: Any, people: int, seed: int = 1) -> None:
    """Fill a store with people and what happened to them, before and after the last day of the feeds."""
    rng = Random(seed)
    tables: dict[str, list[dict[str, Any]]] = {}

    def add(table: str, **row: Any) -> None:
        rows = tables.setdefault(table, [])
        rows.append({"source_file_id": "f", "source_row": len(rows), **row})

    def day(first: date = _FIRST, last: date = INDEX_DATE) -> date:
        return first + timedelta(days=rng.randrange((last - first).days + 1))

    def maybe(share: float) -> bool:
        return rng.random() < share

    for number in range(people):
        _add_person(add, day, maybe, rng, number)
    for practice in PRACTICES:
        add(
            "core.practice",
            practice_code=practice,
            practice_name=practice,
            pcn_code=f"U1000{int(practice[-1]) % 2}",
            pcn_name="River",
            icb_code="QXX",
            valid_from=date(2020, 1, 1),
        )
        for home in range(3):
            for month in range(1, 11):
                add(
                    "core.care_home_bed",
                    care_home_id=f"{practice} {home}",
                    practice_code=practice,
                    month_start_date=date(2026, month, 1),
                    occupied_bed_count=rng.randrange(20, 40) if maybe(0.9) else None,
                )
        for year in (2025, 2026):
            answers = rng.randrange(60, 200)
            add(
                "core.survey_result",
                survey="s",
                question="gp_care_joined_up",
                practice_code=practice,
                period_start_date=date(year, 1, 2),
                period_end_date=date(year, 3, 31),
                answer_count=answers,
                positive_answer_count=answers * 2 // 3,
            )
    add("audit.withheld", reason="Type 1 opt-out", people_count=20, surface="secondary_use")
    for name, rows in tables.items():
        moments = {each for row in rows for each, value in row.items() if isinstance(value, datetime)}
        bare = [{each: value for each, value in row.items() if each not in moments} for row in rows]
        made = frame(name, bare)
        store.create(name, made.with_columns(pl.Series(each, [row[each] for row in rows]) for each in sorted(moments)))


def _add_person(add: Any, day: Any, maybe: Any, rng: Random, number: int) -> None:
    me = key(number)
    born = None if maybe(0.01) else day(date(1932, 1, 1), date(2020, 1, 1))
    age = None
    if born:
        age = INDEX_DATE.year - born.year - ((INDEX_DATE.month, INDEX_DATE.day) < (born.month, born.day))
    practice, start = rng.choice(PRACTICES), day(date(2015, 1, 1), date(2026, 6, 1))
    died = day(date(2026, 1, 1), UNTIL) if maybe(0.12) else None
    left = day(start, INDEX_DATE) if maybe(0.04) and not died else None
    status = "died" if died else "left" if left and left <= INDEX_DATE else "registered"
    row = person(
        number,
        date_of_birth=born,
        age_years=age,
        sex=rng.choice("FFMMU"),
        imd_decile=rng.choice([None, *range(1, 11)]),
        ethnic_category=rng.choice(["A", "A", "A", "H", "M", "D", "R", "Z", None]),
        person_status=status,
        practice_code=practice if status == "registered" else None,
        may_be_counted=not maybe(0.03),
    )
    add("core.person", **{**row, "source_file_id": "f"})
    homes = [name for every, name in CARE_HOME.items() if number % every == 0]
    for name in homes:
        add("derived.variable_value", patient_key=me, variable=name, value=1.0, state="known")
    if maybe(0.1):  # was with another practice before, for some days with both
        add(
            "core.registration",
            patient_key=me,
            org_code="A",
            source_registration_id=f"a{number}",
            practice_code=rng.choice(PRACTICES),
            registration_type="REGULAR",
            start_date=date(2010, 1, 1),
            end_date=start + timedelta(days=rng.randrange(3)),
        )
    add(
        "core.registration",
        patient_key=me,
        org_code="A",
        source_registration_id=f"b{number}",
        practice_code=practice,
        registration_type="REGULAR",
        start_date=start,
        end_date=died or left,
    )
    if died:
        add("core.death", patient_key=me, source="ONS", date_of_death=died, place_of_death=rng.choice([None, *_PLACES]))
        if maybe(0.6):
            for n in range(rng.randrange(1, 3)):
                add(
                    "core.place_preference",
                    patient_key=me,
                    provider_code="RCC",
                    record_id=f"{number} {n}",
                    recorded_date=day(date(2025, 6, 1)),
                    preferred_place=rng.choice([*_PLACES, "undecided"]),
                )
    _add_care(add, day, maybe, rng, number, died)
    _add_pathways(add, day, maybe, rng, me)


def _add_care(add: Any, day: Any, maybe: Any, rng: Random, number: int, died: date | None) -> None:
    me = key(number)

    def noon(when: date) -> datetime:
        return datetime.combine(when, time(12))

    for n in range(rng.randrange(4) + (2 if died else 0)):
        came = day(died - timedelta(days=120), died) if died and maybe(0.7) else day()
        nights = rng.randrange(12)
        add(
            "core.apc_spell",
            patient_key=me,
            provider_code="RAA",
            spell_id=f"{number} {n}",
            admission_date=came,
            is_emergency=maybe(0.7),
            discharge_date=None if maybe(0.03) else came + timedelta(days=nights),
            discharge_method=rng.choice(["1", "1", "1", "4", None]),
        )
    for n in range(rng.randrange(3)):
        add(
            "core.ed_attendance",
            patient_key=me,
            provider_code="RAA",
            attendance_id=f"{number} {n}",
            arrival_at=noon(day()),
            department_type=rng.choice(["01", "03", "04", None]),
            attendance_category=rng.choice(["1", "4", None]),
            is_sdec=rng.choice([True, False, None]),
        )
        add(
            "core.op_attendance",
            patient_key=me,
            provider_code="RAA",
            attendance_id=f"{number} {n}",
            appointment_date=day(date(2026, 9, 1)),
            attended=rng.choice("3567"),
            first_attendance=rng.choice(["1", "2", "3", "4", "5", None]),
        )
        add(
            "core.gp_appointment",
            patient_key=me,
            org_code="A",
            source_slot_id=f"{number} {n}",
            start_at=noon(day(date(2025, 9, 1))),
            status=rng.choice(["ATTENDED", "ATTENDED", "DNA"]),
        )
        add(
            "core.community_contact",
            patient_key=me,
            provider_code="RCC",
            contact_id=f"{number} {n}",
            contact_date=day(date(2025, 9, 1)),
            team="therapy",
            attended=rng.choice("356"),
        )
        asked = day(date(2025, 9, 1))
        seen = asked + timedelta(days=rng.randrange(60)) if maybe(0.7) else None
        add(
            "core.referral",
            patient_key=me,
            provider_code="RCC",
            referral_id=f"{number} {n}",
            referral_date=asked,
            service=rng.choice(["falls", "podiatry", "cardiology"]),
            first_seen_date=seen,
            status=rng.choice(["seen", "waiting", "rejected"]),
        )
        add(
            "core.home_visit_request",
            patient_key=me,
            org_code="A",
            request_id=f"{number} {n}",
            requested_at=noon(day(date(2025, 9, 1))),
            requested_by=rng.choice(["care_home", "patient", None]),
        )
    for kind in ("reablement_after_discharge", "long_term_care_home"):
        if maybe(0.25):
            began = day(date(2025, 6, 1))
            add(
                "core.social_care_event",
                patient_key=me,
                council_code="E1",
                event_id=f"{number} {kind}",
                kind=kind,
                start_date=began,
                end_date=began + timedelta(days=rng.randrange(200)) if maybe(0.5) else None,
            )


def _add_pathways(add: Any, day: Any, maybe: Any, rng: Random, me: str) -> None:
    for pathway in ("copd", "frailty"):
        if not maybe(0.4):
            continue
        decision = rng.choice(["clinic", "self_management", "assessment"])
        add("derived.pathway_decision", patient_key=me, pathway=pathway, decision=decision)
        placement = rng.choice(["listed", "waiting", "held", "offered", "not_listed"])
        add(
            "derived.placement",
            patient_key=me,
            pathway=pathway,
            decision=decision,
            placement=placement,
            waiting_since=day(date(2026, 9, 1)) if maybe(0.8) else None,
        )
        states = ["waiting", "listed", "offered", "activated", "attended", "declined", "did_not_attend"]
        for position in range(rng.randrange(4)):
            when, to = day(date(2025, 9, 1)), rng.choice(states)
            answer = {"listed": None, "offered": None, "waiting": "accepted"}.get(to, to)
            add(
                "audit.transition",
                week=when,
                patient_key=me,
                pathway=pathway,
                position=position,
                from_state=rng.choice(["new", *states]),
                to_state=to,
                effective_date=when,
                outcome=answer,
                cause="answer",
            )
    if maybe(0.3):
        add(
            "derived.patient_score",
            patient_key=me,
            score="diabetes_care_processes_8",
            tier=rng.choice(["all", "not_all", "not_all", None]),
        )
        for variable in PROCESSES:
            if maybe(0.8):
                add(
                    "derived.variable_value",
                    patient_key=me,
                    variable=variable,
                    value=float(rng.randrange(2)),
                    state=rng.choice(["known", "known", "known", "stale"]),
                )
    add(
        "derived.variable_value",
        patient_key=me,
        variable="copd_emergency_admissions_count",
        value=float(rng.randrange(3)),
        state="known",
    )
