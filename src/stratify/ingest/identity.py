"""NHS numbers at the door: which may be linked, and the pseudonym each becomes.

Belongs here: judging distinct numbers once, keys for numbers and for records without one. Does not belong: check
digits and ranges (``codes``), the keyed function itself (``privacy``). The tables made here live in the landing
database, which is dropped at the end of the run; messages hold counts only.
"""

from __future__ import annotations

import polars as pl

from stratify import codes, privacy
from stratify.errors import PrivacyError
from stratify.ingest.checks import NHS_NUMBER, is_accepted, number, own_check
from stratify.ingest.sources import Source
from stratify.store import Store

_REAL_RANGES = ("england", "scotland_chi", "northern_ireland")


def define(store: Store) -> None:
    """Create the tables of numbers seen, patient records and damaged codes, and the check digit macro of the rules."""
    store.execute("CREATE OR REPLACE TABLE landing.known_number (number_text VARCHAR, known_key VARCHAR)")
    store.execute(
        "CREATE OR REPLACE TABLE landing.patient_link (link_org VARCHAR, link_patient VARCHAR, linked_key VARCHAR)"
    )
    store.execute("CREATE OR REPLACE TABLE landing.damaged_code (code VARCHAR)")
    store.execute(
        "CREATE OR REPLACE MACRO verhoeff_ok(x) AS x IS NULL OR x NOT IN (SELECT code FROM landing.damaged_code)"
    )


def learn_numbers(store: Store, staged: str, *, source: Source, key: bytes, file_name: str) -> None:
    """Judge the NHS numbers of a staged table that were not seen yet, and make their pseudonyms.

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
        is_linkable = kind == ("test" if source.is_synthetic else "england")
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


def link_patients(store: Store, *, key: bytes) -> None:
    """Give accepted patient records without a usable number a key of their own, and remember every record's key."""
    accepted = is_accepted("patient")
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
    """Write the SQL that is true for a landing.patient row with a usable NHS number."""
    check = own_check("patient", NHS_NUMBER)
    return f"(faults & {number(check.weight if check else 0)}) = 0"
