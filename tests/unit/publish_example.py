"""A small invented run for the tests of publishing: one practice in full, a second one, and people without any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from stratify import contracts
from stratify.pools import sessions, sessions_frame
from stratify.publish import PublishContext
from stratify.rulebook import load_rule_book
from stratify.store import Store, open_store

INDEX_DATE = date(2026, 11, 23)
_BOOK = cache(load_rule_book)
KINDS = {"DATE": pl.Date, "BIGINT": pl.Int64, "BOOLEAN": pl.Boolean, "DOUBLE": pl.Float64}


def key(number: int) -> str:
    return f"{number:032x}"


def frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    contract = contracts.load(name)
    full = [{column: row.get(column) for column in contract.column_names} for row in rows]
    return pl.DataFrame(full, schema={each.name: KINDS.get(each.type, pl.String) for each in contract.columns})


def person(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "patient_key": key(number),
        "date_of_birth": date(1950, 1, 2),
        "age_years": 76,
        "sex": "F",
        "imd_decile": 1,
        "preferred_language": "en",
        "has_digital_access": True,
        "practice_code": "A81001",
        "pcn_code": "U10001",
        "usual_gp_id": "G1",
        "person_status": "registered",
        "is_hospital_linked": True,
        "is_spine_sensitive": False,
        "may_be_counted": True,
        "source_file_id": "f1",
        "source_row": number + 1,
        **changes,
    }


def outcome(number: int, placement: str, decision: str, **changes: Any) -> dict[str, Any]:
    """One row for both placement and pathway_decision: COPD, second tier, unless changed."""
    return {
        "patient_key": key(number),
        "pathway": "copd",
        "pathway_version": "1.0.0",
        "practice_code": "A81001",
        "placement": placement,
        "decision": decision,
        "placement_reason": "Has a place",
        "rule_id": "rule",
        "reason": "In one of the two highest COPD priority groups",
        "tier": "HR",
        "tier_rank": 2,
        "offer_id": OFFERS[changes.get("pathway", "copd")] if placement == "offered" else None,
        "state": {"held": "waiting", "not_listed": None}.get(placement, placement),
        "since_last_week": "New on the pathway",
        **changes,
    }


PEOPLE = [
    person(1),
    person(2, is_spine_sensitive=True, preferred_language="pl", interpreter_needed=True),
    person(3, is_hospital_linked=False, sex="M"),
    person(4, ais_format="braille;easy read", contact_preference="sms"),
    person(5, has_digital_access=False),
    person(6, has_digital_access=None),
    person(7, contact_preference="nhs_app"),
    person(8, person_status="died"),
    person(9, preferred_language="ur", interpreter_needed=True),
    person(10, practice_code="A81002"),
    person(11, practice_code=None, pcn_code=None, person_status="left"),
    person(12, may_be_counted=False),
]
OFFERS = {"copd": "copd_app", "frailty": "frailty_self_management"}
FULL = "Multi-professional COPD clinic is full this week: number 3 of 3 in order of need"
OUTCOMES = [
    outcome(1, "listed", "clinic", clinic_id="copd_clinic", clinic_date=date(2026, 11, 24), priority_rank=2),
    outcome(
        2,
        "listed",
        "clinic",
        clinic_id="copd_clinic",
        clinic_date=date(2026, 11, 24),
        priority_rank=1,
        tier="HRC",
        tier_rank=1,
        other_needs="Frailty",
    ),
    outcome(3, "waiting", "clinic", clinic_id="copd_clinic", priority_rank=3, placement_reason=FULL),
    *(
        outcome(number, "offered", "self_management", reason="Lower group", tier="LR", tier_rank=4)
        for number in (4, 5, 6, 7, 9)
    ),
    outcome(8, "not_listed", "excluded", placement_reason="Has died", tier=None, tier_rank=None),
    outcome(10, "listed", "assessment", clinic_id="assessment", priority_rank=1, practice_code="A81002", tier=None),
    outcome(11, "not_listed", "excluded", practice_code=None, placement_reason="No practice to send the list to"),
    outcome(
        12, "listed", "clinician_review", clinic_id="clinician_review", priority_rank=1, data_gaps="a: old;b: none"
    ),
    outcome(2, "held", "clinic", clinic_id="frailty_clinic", pathway="frailty", placement_reason="Has a place at COPD"),
]
REASONS = ["First reason", "FEV1 38 % predicted on 12 March 2026", "Third reason", "Fourth reason, never shown"]
NAMES = {1: ("=HYPERLINK(1)", "@SUM(A1)"), 4: ("-2+3", "+Ann"), 2: ("Kowalska", "Anna"), 3: ("O'Neill", "Zoë")}
CAPACITY = [
    ("copd_clinic", "A81001", 24, "gp", 2),
    ("copd_clinic", "A81001", 24, "pharmacist", 5),
    ("frailty_clinic", "A81002", 25, "gp", 4),
    ("copd_clinic", "A81002", 30, "gp", 4),  # the week after: no list yet
]


def context(**changes: Any) -> PublishContext:
    book = _BOOK()
    made = PublishContext(
        run_id="run-1",
        index_date=INDEX_DATE,
        is_test=True,
        pathways=book.pathways,
        scores=book.for_pathways.scores,
        data_cutoffs={"landing.gp_event": date(2026, 11, 21), "landing.apc_episode": date(2026, 10, 31)},
        purpose="case_finding",
        withheld=[("Type 1 opt-out", 3), ("national data opt-out", 41)],
        code_version="0.1.0",
        rule_digest="abc123",
        contact="the clinical safety officer",
        practice_phones=dict.fromkeys(("A81001", "A81002", "A81003"), "01632 960 001"),
        actions=("Pulmonary rehabilitation", "Ring the person", "Something else, as in the record"),
    )
    return replace(made, **changes)


@contextmanager
def small_run(
    folder: Path, *, people: list[dict[str, Any]] = PEOPLE, outcomes: list[dict[str, Any]] = OUTCOMES
) -> Iterator[Store]:
    """Open a store that holds the invented run."""
    with open_store(folder / "run.duckdb", temp_directory=folder / "tmp", threads=1) as store:
        store.create("core.person", frame("core.person", people))
        store.create("derived.placement", frame("derived.placement", outcomes))
        store.create("derived.pathway_decision", frame("derived.pathway_decision", outcomes))
        store.create("derived.variable_value", frame("derived.variable_value", []))
        reasons = [
            {
                "patient_key": row["patient_key"],
                "pathway": row["pathway"],
                "position": n,
                "variable": f"v{n}",
                "text": t,
            }
            for row in outcomes
            for n, t in enumerate(REASONS, 1)
        ]
        store.create("derived.reason", frame("derived.reason", reasons))
        capacity = [
            {
                "clinic_id": clinic,
                "practice_code": practice,
                "clinic_date": date(2026, 11, day),
                "role": role,
                "slots": slots,
                "venue": "Room 4",
                "source_file_id": "f2",
                "source_row": 1,
            }
            for clinic, practice, day, role, slots in CAPACITY
        ]
        store.create("core.clinic_capacity", frame("core.clinic_capacity", capacity))
        store.create(
            "derived.clinic_session",
            sessions_frame(sessions(frame("core.clinic_capacity", capacity), index_date=INDEX_DATE)),
        )
        for name in (
            "audit.list_row", "audit.transition", "audit.feedback", "derived.explanation",
            "audit.action", "audit.answer", "audit.delivery",
        ):  # fmt: skip
            store.create(name, frame(name, []))
        practices = [
            {
                "practice_code": code,
                "practice_name": f"Practice {code[-1]}",
                "pcn_code": "U10001",
                "pcn_name": "River",
                "icb_code": "QXX",
                "valid_from": date(2020, 1, 1),
                "source_file_id": "f3",
                "source_row": 1,
            }
            for code in ("A81001", "A81002", "A81003")
        ]
        store.create("core.practice", frame("core.practice", practices))
        objected = [{"reason": "Type 1 opt-out", "people_count": 1, "surface": "secondary_use"}]
        store.create("audit.withheld", frame("audit.withheld", objected))
        store.execute("ATTACH ':memory:' AS identity")
        store.execute(
            "CREATE TABLE identity.feedback_words (entry_number BIGINT, practice_code VARCHAR, words VARCHAR)"
        )
        store.execute(
            "CREATE TABLE identity.person (patient_key VARCHAR, key_version BIGINT, nhs_number VARCHAR, "
            "nhs_number_status VARCHAR, family_name VARCHAR, given_names VARCHAR, title VARCHAR, phone_mobile VARCHAR, "
            "email VARCHAR, address_lines VARCHAR, postcode VARCHAR, date_of_birth DATE)"
        )
        for number, each in enumerate(people, 1):
            family, given = NAMES.get(number, (f"Family{number}", f"Given{number}"))
            phone = "+447700900001" if number == 4 else "07700 900001"
            store.execute(
                "INSERT INTO identity.person VALUES (?, 1, ?, NULL, ?, ?, NULL, ?, 'a@b.test', '1 Road', 'ZZ1 1ZZ', ?)",
                [each["patient_key"], f"999000{number:04}", family, given, phone, date(1950, 1, 2)],
            )
        yield store
