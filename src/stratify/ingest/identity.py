"""NHS numbers at the door: which may be linked, and the pseudonym each becomes.

Belongs here: judging distinct numbers once, numbers that were superseded, numbers two people have, keys for numbers
and for records without one. Does not belong: check
digits and ranges (``codes``), the keyed function itself (``privacy``). The tables made here live in the landing
database, which is dropped at the end of the run; messages hold counts only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from stratify import codes, contracts, privacy
from stratify.errors import PrivacyError
from stratify.ingest.checks import CONTESTED, NHS_NUMBER, SURVIVOR, is_accepted, number, own_check, value
from stratify.ingest.sources import Source
from stratify.store import Store

SAME_BIRTH_DAYS = 366
"""Two dates of birth further apart than this are two people's, or one is wrong."""

_REAL_RANGES = ("england", "scotland_chi", "northern_ireland")


def define(store: Store) -> None:
    """Create the tables of numbers seen, patient records and damaged codes, and the check digit macro of the rules."""
    store.execute("CREATE OR REPLACE TABLE landing.known_number (number_text VARCHAR, known_key VARCHAR)")
    store.execute(
        "CREATE OR REPLACE TABLE landing.patient_link (link_org VARCHAR, link_patient VARCHAR, linked_key VARCHAR)"
    )
    store.execute("CREATE OR REPLACE TABLE landing.damaged_code (code VARCHAR)")
    store.execute(
        "CREATE OR REPLACE TABLE landing.merged_number (original_key VARCHAR, merged_key VARCHAR, "
        "superseded_number VARCHAR, surviving_number VARCHAR, traced_date DATE)"
    )
    store.execute(
        "CREATE OR REPLACE TABLE landing.contested_record (number_key VARCHAR, contested_org VARCHAR, "
        "contested_patient VARCHAR)"
    )
    store.execute(
        "CREATE OR REPLACE MACRO verhoeff_ok(x) AS x IS NULL OR x NOT IN (SELECT code FROM landing.damaged_code)"
    )


def learn_numbers(
    store: Store, staged: str, *, source: Source, key: bytes, file_name: str, ranges: Collection[str] = ("england",)
) -> None:
    """Judge the NHS numbers of a staged table that were not seen yet, and make their pseudonyms.

    ``ranges`` are those a real source links; a synthetic one links invented numbers and no others.

    Raises:
        PrivacyError: a source declared synthetic holds numbers that real people may have.
    """
    unseen = store.rows(
        f"SELECT DISTINCT nhs_number FROM {staged} WHERE nhs_number IS NOT NULL "
        "AND nhs_number NOT IN (SELECT number_text FROM landing.known_number) ORDER BY nhs_number"
    )
    texts = [text for (text,) in unseen]
    keys: list[str | None] = []
    real_count = 0
    for text in texts:
        is_number = codes.nhs_number_is_valid(text) and not codes.is_sentinel_nhs_number(text)
        kind = codes.nhs_number_range(text) if is_number else "other"
        real_count += source.is_synthetic and kind in _REAL_RANGES
        is_linkable = kind in (("test",) if source.is_synthetic else ranges)
        keys.append(privacy.pseudonym(key, text) if is_linkable else None)
    if real_count:
        raise PrivacyError(
            f"{file_name}, column nhs_number",
            expected=f"invented numbers only (they begin with 9), since source {source.name} is synthetic",
            found=f"{real_count} distinct numbers that real people may have",
            action="Run a real extract as source canonical, under its settings and identity key.",
        )
    frame = pl.DataFrame({"number_text": texts, "known_key": keys}, schema={"number_text": str, "known_key": str})
    with store.loaned(frame) as loan:
        store.execute(f"INSERT INTO landing.known_number SELECT number_text, known_key FROM {loan}")


def learn_codes(store: Store, staged: str, columns: list[str]) -> None:
    """Add to the damaged codes those of a staged table whose check digit is wrong."""
    for column in columns:
        rows = store.rows(f'SELECT DISTINCT "{column}" FROM {staged} WHERE "{column}" IS NOT NULL ORDER BY 1')
        damaged = [code for (code,) in rows if not codes.verhoeff_is_valid(code)]
        frame = pl.DataFrame({"code": damaged}, schema={"code": str})
        with store.loaned(frame) as loan:
            store.execute(
                f"INSERT INTO landing.damaged_code SELECT code FROM {loan} "
                "WHERE code NOT IN (SELECT code FROM landing.damaged_code)"
            )


def follow_traces(
    store: Store, *, source: Source, key: bytes, file_name: str, ranges: Collection[str] = ("england",)
) -> None:
    """Make superseded NHS numbers lead to the pseudonym of the one that survives.

    A chain is followed to its last number. A line whose surviving number is not usable, or that leads round in a
    circle, is set aside: its numbers stay apart, as they do when a line is taken out of the file.

    Raises:
        PrivacyError: a source declared synthetic holds numbers that real people may have.
    """
    check = own_check("nhs_number_trace", SURVIVOR)
    said = f"FROM landing.nhs_number_trace WHERE {is_accepted('nhs_number_trace')} AND trace_outcome = '90'"
    survivors = f"(SELECT surviving_nhs_number AS nhs_number {said})"
    learn_numbers(store, survivors, source=source, key=key, file_name=file_name, ranges=ranges)
    usable = {
        text for (text,) in store.rows("SELECT number_text FROM landing.known_number WHERE known_key IS NOT NULL")
    }
    lines = dict(store.rows(f"SELECT nhs_number, surviving_nhs_number {said} ORDER BY ALL"))
    ends = {text: _last_of_chain(text, lines, usable) for text in lines}
    frame = pl.DataFrame(
        [(text, end, privacy.pseudonym(key, text), privacy.pseudonym(key, end) if end else None)
         for text, end in ends.items()],
        schema={"old": str, "new": str, "old_key": str, "new_key": str},
        orient="row",
    )  # fmt: skip
    with store.loaned(frame) as loan:
        store.execute(
            f"UPDATE landing.nhs_number_trace SET faults = faults | {number(check.weight if check else 0)} "
            f"WHERE nhs_number IN (SELECT old FROM {loan} WHERE new IS NULL)"
        )
        traced = contracts.typed(contracts.load("landing.nhs_number_trace").column("traced_date"))
        store.execute(
            f"INSERT INTO landing.merged_number SELECT old_key, new_key, old, new, {traced} "
            f"FROM landing.nhs_number_trace JOIN {loan} ON old = nhs_number WHERE new IS NOT NULL ORDER BY old"
        )
    store.execute(
        "UPDATE landing.known_number SET known_key = merged_key FROM landing.merged_number "
        "WHERE number_text = superseded_number"
    )


def _last_of_chain(text: str, lines: Mapping[str, str], usable: Collection[str]) -> str | None:
    """Give the number that survives in the end; None where there is none to rely on."""
    passed = set[str]()
    while text in lines:
        if text in passed or lines[text] not in usable:
            return None
        passed.add(text)
        text = lines[text]
    return text


def _find_contested(store: Store) -> None:
    """Take the number from every record of one that two people at a practice seem to have: nobody can say whose it is.

    Two records of one practice under one number are two people's where sex or first given name differ, or the dates of
    birth by more than a year. Records of different practices stay one person's, in doubt (``people``): a practice sees
    its own record, and may know better.
    """
    check = own_check("patient", CONTESTED)
    birth, sex = value("patient", "date_of_birth"), value("patient", "sex")
    has_two_births = f"max({birth}) - min({birth}) > {SAME_BIRTH_DAYS}"
    has_two_sexes = f"count(DISTINCT {sex}) FILTER ({sex} IN ('M', 'F', 'I')) > 1"
    has_two_names = "count(DISTINCT lower(split_part(given_names, ' ', 1))) > 1"
    accepted = is_accepted("patient")
    store.execute(
        "INSERT INTO landing.contested_record SELECT patient_key, org_code, source_patient_id FROM landing.patient "
        f"WHERE {accepted} AND patient_key IN (SELECT patient_key FROM landing.patient WHERE {accepted} "
        "AND patient_key IS NOT NULL GROUP BY patient_key, org_code HAVING count(DISTINCT source_patient_id) > 1 "
        f"AND ({has_two_births} OR {has_two_sexes} OR {has_two_names})) ORDER BY ALL"
    )
    store.execute(
        f"UPDATE landing.patient SET patient_key = NULL, faults = faults | {number(check.weight if check else 0)} "
        "FROM landing.contested_record WHERE org_code = contested_org AND source_patient_id = contested_patient "
        f"AND {accepted}"
    )


def link_patients(store: Store, *, key: bytes) -> None:
    """Give accepted patient records without a usable number a key of their own, and remember every record's key."""
    accepted = is_accepted("patient")
    _find_contested(store)
    rows = store.rows(
        f"SELECT org_code, source_patient_id FROM landing.patient WHERE {accepted} AND patient_key IS NULL ORDER BY ALL"
    )
    frame = pl.DataFrame(
        {
            "org": [org for org, _ in rows],
            "record": [record for _, record in rows],
            "local_key": [privacy.local_pseudonym(key, org, record) for org, record in rows],
        },
        schema={"org": str, "record": str, "local_key": str},
    )
    with store.loaned(frame) as loan:
        store.execute(
            f"UPDATE landing.patient SET patient_key = local_key FROM {loan} AS own "
            f"WHERE org_code = own.org AND source_patient_id = own.record AND {accepted}"
        )
    store.execute(
        "INSERT INTO landing.patient_link SELECT org_code, source_patient_id, patient_key "
        f"FROM landing.patient WHERE {accepted}"
    )


def has_number() -> str:
    """Write the SQL that is true for a landing.patient row with a usable NHS number that is its own."""
    checks = [own_check("patient", NHS_NUMBER), own_check("patient", CONTESTED)]
    return f"(faults & {number(sum(check.weight for check in checks if check))}) = 0"


def is_contested() -> str:
    """Write the SQL that is true for a landing.patient row whose NHS number somebody else has too."""
    check = own_check("patient", CONTESTED)
    return f"(faults & {number(check.weight if check else 0)}) <> 0"


def was_traced(*outcomes: str) -> str:
    """Write the SQL that is true for a landing row about whose NHS number the tracing service gave such an answer."""
    listed = ", ".join(f"'{each}'" for each in outcomes)
    return (
        "(nhs_number IS NOT NULL AND nhs_number IN (SELECT t.nhs_number FROM landing.nhs_number_trace AS t "
        f"WHERE {is_accepted('nhs_number_trace').replace('faults', 't.faults')} AND t.trace_outcome IN ({listed})))"
    )


def is_unresolved() -> str:
    """Write the SQL that is true for a landing.patient row whose NHS number was traced to nobody, or to several.

    The practice says so in the status of the number, or the tracing service in its answer: 91 invalid, 96 several.
    """
    listed = ", ".join(f"'{each}'" for each in codes.statuses_of("unresolved"))
    return f"coalesce({value('patient', 'nhs_number_status')} IN ({listed}), false) OR {was_traced('91', '96')}"
