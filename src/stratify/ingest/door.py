"""Rows that never land: legally restricted and sensitive codes, and entries marked confidential.

Belongs here: the list of codes (``restricted_codes.yaml`` and a site's own CSV) and the SQL that keeps rows with one
out, counted by file and never shown. Does not belong: hospital rows the supplier stripped of their number for the same
reason (``checks``), and who may be looked at (``privacy``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from stratify import contracts, strict_yaml
from stratify.errors import SettingsError
from stratify.ingest.checks import stored
from stratify.privacy import EntryPolicy
from stratify.store import Store

CodeSystem = Literal["snomed_ct", "dmd", "icd10", "opcs4", "local"]

_PLACES: tuple[tuple[CodeSystem, re.Pattern[str]], ...] = (
    ("snomed_ct", re.compile(r"snomed_code|reason_code|chief_complaint|diagnosis_\d\d|original_code")),
    ("dmd", re.compile(r"dmd_code|original_code")),
    ("icd10", re.compile(r"diag_\d\d|cause_underlying")),
    ("opcs4", re.compile(r"opertn_\d\d")),
    ("local", re.compile(r"original_code")),
)
"""Landing columns a code of each system may stand in."""

_CONFIDENTIAL_TABLES = ("gp_event", "gp_observation")
_LIST_COLUMNS = ("code_system", "code")
_SYSTEMS = tuple(system for system, _ in _PLACES)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _ReferenceSet(_Strict):
    id: str
    reason: str
    statute: str | None = None


class _Code(_Strict):
    code_system: CodeSystem
    code: str
    reason: str


class _Declared(_Strict):
    version: str
    source: str
    reference_sets: tuple[_ReferenceSet, ...]
    codes: tuple[_Code, ...]


@dataclass(frozen=True)
class Door:
    """What may come in: ranges of NHS numbers that are linked, codes and marks whose rows are left out.

    Attributes:
        ranges: Ranges of numbers a real source links.
        codes: Code system and code of each restricted code; empty where the policy is to keep their rows.
        keeps_confidential: Entries marked confidential land like others.
        version: Version of the list that comes with stratify.
        site_list_sha256: Of the site's own list; None without one.
        sets_without_codes: Reference sets of which no member is in any list.
    """

    ranges: tuple[str, ...] = ("england",)
    codes: frozenset[tuple[str, str]] = frozenset()
    keeps_confidential: bool = False
    version: str = ""
    site_list_sha256: str | None = None
    sets_without_codes: tuple[str, ...] = ()

    def in_manifest(self) -> dict[str, object]:
        """Say which list a run used, without a code of it."""
        return {
            "list_version": self.version,
            "site_list_sha256": self.site_list_sha256,
            "code_count": len(self.codes),
            "reference_sets_without_codes": list(self.sets_without_codes),
            "confidential_rows": "keep" if self.keeps_confidential else "exclude",
            "nhs_number_ranges": list(self.ranges),
        }


def open_door(policy: EntryPolicy) -> Door:
    """Read the lists of restricted codes that a policy asks for.

    Raises:
        SettingsError: the site's list cannot be read, or a line of it is wrong.
    """
    text = package_files(__package__).joinpath("restricted_codes.yaml").read_text(encoding="utf-8")
    ours = _Declared.model_validate(strict_yaml.load(text), strict=False)
    codes: set[tuple[str, str]] = {(each.code_system, each.code) for each in ours.codes}
    digest, named = None, set[str]()
    if policy.code_list is not None:
        theirs, named, digest = _read_list(policy.code_list)
        codes |= theirs
    is_kept = policy.restricted_codes == "keep"
    return Door(
        ranges=policy.nhs_number_ranges,
        codes=frozenset() if is_kept else frozenset(codes),
        keeps_confidential=policy.confidential_rows == "keep",
        version=ours.version,
        site_list_sha256=digest,
        sets_without_codes=tuple(each.id for each in ours.reference_sets if each.id not in named),
    )


def _read_list(path: Path) -> tuple[set[tuple[str, str]], set[str], str]:
    """Read a site's list: its codes, the reference sets it says they are of, and its SHA-256."""
    where = f"list of restricted codes {path.name}"
    try:
        content = path.read_bytes()
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise SettingsError(
            where, expected="a CSV in UTF-8", found="none that can be read", action="Correct entry.code_list."
        ) from None
    header = rows[0].keys() if rows else ()
    if not set(_LIST_COLUMNS) <= set(header):
        raise SettingsError(
            where,
            expected=f"the columns {', '.join(_LIST_COLUMNS)} and a line for each code",
            found=f"no {', '.join(name for name in _LIST_COLUMNS if name not in header)}",
            action="Correct the list.",
        )
    codes, named, wrong = set[tuple[str, str]](), set[str](), list[int]()
    for line, row in enumerate(rows, 2):
        system, code = ((row[name] or "").strip() for name in _LIST_COLUMNS)
        if system not in _SYSTEMS or not code:
            wrong.append(line)
        codes.add((system, code.upper().replace(".", "") if system in ("icd10", "opcs4") else code))
        named.add((row.get("reference_set") or "").strip())
    if wrong:
        raise SettingsError(
            where,
            expected=f"on every line a code, and its system of {', '.join(_SYSTEMS)}",
            found=f"something else on line {', '.join(map(str, wrong[:5]))}",
            action="Correct the list.",
        )
    return codes, named, hashlib.sha256(content).hexdigest()


def define(store: Store, door: Door) -> None:
    """Lay the list beside the landing tables, which end with the run."""
    frame = pl.DataFrame(sorted(door.codes), schema={"code_system": str, "code": str}, orient="row")
    with store.loaned(frame) as loan:
        store.execute(f"CREATE OR REPLACE TABLE landing.restricted_code AS FROM {loan}")


def leave_out(store: Store, table: str, rows: str, door: Door) -> tuple[str, dict[str, int]]:
    """Leave out the rows of a staged table that may not land.

    Args:
        store: The run's store.
        table: Landing table they are for.
        rows: What to write after FROM; it has the columns of the table and ``source_file_id``.
        door: What may come in.

    Returns:
        What to write after FROM instead, and how many rows were left out, by ``source_file_id``.
    """
    condition = _is_restricted(table, door)
    if condition is None:
        return rows, {}
    counted = store.rows(f"SELECT source_file_id, count(*) FROM {rows} WHERE {condition} GROUP BY ALL")
    if not counted:
        return rows, {}
    return without_restricted(table, rows, door), {file_id: int(count) for file_id, count in counted}


def without_restricted(table: str, rows: str, door: Door) -> str:
    """Write what to put after FROM to have rows of text without those that may not land."""
    condition = _is_restricted(table, door)
    return f"(SELECT * FROM {rows} WHERE NOT {condition})" if condition else rows


def take_out(store: Store, table: str, source_file_id: str, door: Door) -> int:
    """Take out the rows of a typed landing table that may not land, and give how many there were."""
    mine = f"FROM {stored(table)} WHERE source_file_id = '{source_file_id}'"
    terms = _restricted_terms(table, door, is_stored=True)
    # Asked one by one, since most files have none: a condition alone is cheap, and all of them together are not.
    found = [term for term in terms if store.scalar(f"SELECT count(*) {mine} AND {term}")]
    return int(store.scalar(f"DELETE {mine} AND {_any_of(found)}")) if found else 0


def may_land(table: str, door: Door) -> str:
    """Write the SQL that is true for a row, typed as it would land, that may."""
    terms = _restricted_terms(table, door, is_stored=True)
    return f"NOT {_any_of(terms)}" if terms else "true"


def _is_restricted(table: str, door: Door) -> str | None:
    """Write the SQL that is true for a row that may not land, or None where no row of the table can be one."""
    terms = _restricted_terms(table, door)
    return _any_of(terms) if terms else None


def _any_of(terms: Sequence[str]) -> str:
    return f"({' OR '.join(f'coalesce({term}, false)' for term in terms)})"


def _restricted_terms(table: str, door: Door, *, is_stored: bool = False) -> list[str]:
    terms = []
    names = contracts.load(f"landing.{table}").column_names
    for system, place in _PLACES:
        listed = f"SELECT code FROM landing.restricted_code WHERE code_system = '{system}'"
        if not any(held == system for held, _ in door.codes):
            continue
        for name in names:
            if place.fullmatch(name):
                terms.append(f"{name} IN ({listed})")
                if system == "icd10":  # a category stands for all that is below it
                    terms.append(f"left({name}, 3) IN ({listed})")
    if table in _CONFIDENTIAL_TABLES and not door.keeps_confidential:
        # A mark that cannot be read is a mark.
        is_unreadable = "misfits['is_confidential'] IS NOT NULL" if is_stored else "is_confidential IS NOT NULL"
        terms.append(f"coalesce(TRY_CAST(is_confidential AS BOOLEAN), {is_unreadable})")
    return terms
