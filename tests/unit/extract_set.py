"""A tiny extract set for tests: one practice, one invented person, and whatever rows a test adds."""

import csv
import hashlib
import io
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace

from stratify import contracts, ingest, privacy
from stratify.codes import nhs_check_digit
from stratify.privacy import PrivacyPolicy
from stratify.store import open_store

INDEX_DATE = date(2026, 1, 5)
PERIOD_TO = "2026-01-04"
KEY = privacy.THROWAWAY_KEY
COUNTY = ingest.SOURCES["synthetic_county"]
CANONICAL = ingest.SOURCES["canonical"]
DIRECT_CARE = PrivacyPolicy(purpose="direct_care", type_1="exclude", national="exclude", local="exclude")
CASE_FINDING = PrivacyPolicy(
    purpose="case_finding", type_1="exclude", national="exclude", local="exclude", approval_reference="test approval"
)

OPEN_DOOR = ingest.Door()

COPD = "13645005"
FEV1_PERCENT = "313223002"


def nhs(number: int) -> str:
    """An NHS number of the test range: the number-th of those that end in 0 before the check digit."""
    first_nine = f"999{number:05d}0"
    digit = nhs_check_digit(first_nine)
    return f"{first_nine}{digit}" if digit is not None else nhs(number + 50_000)


def practice(**changes):
    return {
        "practice_code": "A10001",
        "practice_name": "Test Surgery",
        "pcn_code": "U10001",
        "pcn_name": "Test Network",
        "icb_code": "QZZ",
        "valid_from": "2020-04-01",
    } | changes


def patient(source_patient_id="p1", **changes):
    return {
        "org_code": "A10001",
        "source_patient_id": source_patient_id,
        "nhs_number": nhs(1),
        "family_name": "CANARYNAME",
        "given_names": "Test",
        "phone_mobile": "07700900000",
        "postcode": "ZZ1 1ZZ",
        "date_of_birth": "1950-06-01",
        "sex": "F",
        "ethnic_category": "A",
    } | changes


def registration(source_patient_id="p1", **changes):
    return {
        "org_code": "A10001",
        "source_registration_id": f"r-{source_patient_id}",
        "source_patient_id": source_patient_id,
        "practice_code": "A10001",
        "registration_type": "REGULAR",
        "start_date": "2010-01-01",
    } | changes


def event(source_event_id="e1", **changes):
    return {
        "org_code": "A10001",
        "source_event_id": source_event_id,
        "source_patient_id": "p1",
        "snomed_code": COPD,
        "snomed_term": "COPD",
        "effective_date": "2020-01-01",
        "effective_precision": "YMD",
    } | changes


def observation(source_event_id="o1", **changes):
    return {
        "org_code": "A10001",
        "source_event_id": source_event_id,
        "source_patient_id": "p1",
        "snomed_code": FEV1_PERCENT,
        "effective_date": "2025-06-01",
        "effective_precision": "YMD",
        "value_num": "55",
        "unit_raw": "%",
    } | changes


def medication(source_issue_id="m1", **changes):
    return {
        "org_code": "A10001",
        "source_issue_id": source_issue_id,
        "source_patient_id": "p1",
        "issue_date": "2025-11-01",
        "original_code": "local-1",
        "original_system": "LOCAL",
    } | changes


def capacity(**changes):
    return {
        "clinic_id": "copd_clinic",
        "practice_code": "A10001",
        "clinic_date": "2026-01-12",
        "role": "respiratory_nurse",
        "slots": "8",
    } | changes


def episode(cds_unique_id="c1", **changes):
    return {
        "provider_code": "RZZ01",
        "cds_unique_id": cds_unique_id,
        "nhs_number": nhs(1),
        "spell_id": "s1",
        "episode_order": "1",
        "admission_date": "2025-03-01",
        "discharge_date": "2025-03-05",
        "episode_start": "2025-03-01",
        "episode_end": "2025-03-05",
        "admission_method": "21",
        "patient_class": "1",
        "diag_01": "J440",
    } | changes


def opt_out(opt_out_type, is_opted_out="true", **changes):
    return {
        "nhs_number": nhs(1),
        "opt_out_type": opt_out_type,
        "is_opted_out": is_opted_out,
        "effective_from": "2020-01-01",
        "checked_at": "2026-01-02 00:00:00",
    } | changes


def rows_of(**tables):
    """Rows by table: the defaults, unless a test gives its own."""
    return {
        "practice": [practice()],
        "clinic_capacity": [capacity()],
        "patient": [patient()],
        "registration": [registration()],
        "gp_event": [event()],
        "gp_observation": [observation()],
        "gp_medication": [medication()],
        **{name: [] for name in ("apc_episode", "op_attendance", "ed_attendance", "death", "patient_flag", "opt_out")},
    } | tables


def as_csv(table, rows):
    names = contracts.load(f"landing.{table}").column_names
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write_manifest(folder, tables, counts=None):
    """Declare the files of a folder as they are; ``counts`` overrides the rows of a file."""
    lines = ["file_name,table_name,source_system,row_count,byte_count,sha256,period_to"]
    for name, table in sorted(tables.items()):
        content = (folder / name).read_bytes()
        rows = (counts or {}).get(name, content.count(b"\n") - 1)
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f"{name},{table},SYNTHETIC,{rows},{len(content)},{digest},{PERIOD_TO}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def write_set(folder: Path, *, raw=None, **tables):
    """Write the files and a manifest that is true of them; ``raw`` gives the bytes of a table's file instead."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for table, rows in rows_of(**tables).items():
        name = f"{table}.csv"
        (folder / name).write_bytes((raw or {}).get(table) or as_csv(table, rows))
        names[name] = table
    write_manifest(folder, names)
    return folder


@contextmanager
def opened(folder: Path):
    """A run's store with its landing and identity databases, all in memory: tests need no lasting file."""
    in_memory = Path(":memory:")
    with open_store(in_memory, temp_directory=folder / "scratch", threads=1) as store:
        store.attach(in_memory, "landing")
        store.attach(in_memory, "identity")
        yield store


@contextmanager
def landed(tmp_path: Path, *, source=COUNTY, key=KEY, door=OPEN_DOOR, onward=None, **tables):
    """The store after ``land``, with the accounts as ``store.accounts``."""
    folder = write_set(tmp_path / "extracts", **tables)
    with opened(tmp_path) as store:
        files = ingest.inspect_files(folder, source)
        store.accounts = ingest.land(
            store, files, source=source, index_date=INDEX_DATE, key=key, door=door, onward=onward
        )
        yield store


@contextmanager
def built(tmp_path: Path, *, source=COUNTY, key=KEY, policy=DIRECT_CARE, measurements=(), door=OPEN_DOOR, **tables):
    """The store after ``build_core``, with its counts as ``store.counts``; sure rows go to core as they are read."""
    onward = ingest.Onward(policy, source, list(measurements))
    with landed(tmp_path, source=source, key=key, door=door, onward=onward, **tables) as store:
        store.counts = ingest.build_core(
            store,
            index_date=INDEX_DATE,
            key=key,
            measurements=list(measurements),
            privacy_policy=policy,
            source=source,
        )
        yield store


def measurement(**changes):
    """FEV1 percent predicted, unless a test says otherwise."""
    return SimpleNamespace(
        **(
            {
                "id": "fev1_percent_predicted",
                "unit": "%",
                "codes": frozenset({FEV1_PERCENT}),
                "grades": {},
                "offset_codes": {},
                "minimum": 8.0,
                "maximum": 151.0,
                "units": [(("%", "per cent", "% predicted"), 1.0, 0.0)],
                "is_unit_required": False,
                "not_done": (),
                "code_units": {},
                "written_bounds": {},
                "sizes": (),
                "is_inferred_scored": False,
                "must_exceed": None,
            }
            | changes
        )
    )
