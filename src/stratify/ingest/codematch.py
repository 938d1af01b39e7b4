"""Codes against codelists: each distinct code is looked up once, and codes no list knows are counted.

Belongs here: ``derived.code_match`` and ``audit.unmatched_code``. Does not belong: the codelists (``clinical``), what
a matched code means (``features``). A code nobody knows is listed with the number of its rows, never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from stratify import contracts
from stratify.errors import RuleError
from stratify.store import Store

_CODE_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "snomed_ct": (
        ("core.gp_event", "snomed_code"),
        ("core.gp_observation", "snomed_code"),
        ("core.ed_attendance", "chief_complaint"),
        ("core.ed_attendance", "diagnosis_01"),
        ("core.ed_attendance", "diagnosis_02"),
        ("core.ed_attendance", "diagnosis_03"),
    ),
    "icd10": (("core.apc_diagnosis", "icd10_code"),),
    "dmd": (("core.gp_medication", "dmd_code"),),
    "bnf": (("core.gp_medication", "bnf_code"),),
}
"""Where the codes of each system stand."""

_ON = {
    "exact": "d.code = l.code",
    "prefix": "starts_with(d.code, l.code)",
    "category": "left(d.code, 3) = l.code",
}


class CodelistCodes(Protocol):
    """What matching needs to know of a codelist (``rules.Codelist`` has it)."""

    @property
    def id(self) -> str: ...
    @property
    def system(self) -> str: ...
    @property
    def match(self) -> str: ...
    @property
    def codes(self) -> dict[str, str]: ...


def match_codes(store: Store, codelists: Sequence[CodelistCodes]) -> None:
    """Write ``derived.code_match`` (code and codelist) and ``audit.unmatched_code`` (codes of no list, counted).

    Args:
        store: The run's store; the core tables are filled.
        codelists: The codelists, each with its code system and way of matching.

    Raises:
        RuleError: a codelist of a code system, or with a way of matching, that is not known here.
    """
    rows: list[tuple[str, str, str, str]] = []
    for codelist in codelists:
        if codelist.system not in _CODE_COLUMNS or codelist.match not in _ON:
            raise RuleError(
                f"codelist {codelist.id}",
                expected=f"a system of {', '.join(_CODE_COLUMNS)} and a match of {', '.join(_ON)}",
                found=f"{codelist.system}, {codelist.match}",
                action="Correct clinical/codelists/manifest.yaml.",
            )
        rows.extend((codelist.system, codelist.match, code, codelist.id) for code in codelist.codes)
    schema = dict.fromkeys(("code_system", "match", "code", "codelist"), pl.String)
    store.define(contracts.load("derived.code_match"))
    present = " UNION ".join(
        f"SELECT '{system}' AS code_system, {column} AS code FROM {table} WHERE {column} IS NOT NULL"
        for system, places in _CODE_COLUMNS.items()
        for table, column in places
    )
    with store.loaned(pl.DataFrame(rows, schema=schema, orient="row")) as listed:
        found = " UNION ".join(
            f"SELECT d.code_system, d.code, l.codelist FROM ({present}) AS d "
            f"JOIN {listed} AS l ON d.code_system = l.code_system AND l.match = '{match}' AND {condition}"
            for match, condition in _ON.items()
        )
        store.execute(
            "INSERT INTO derived.code_match (code_system, code, codelist) "
            f"SELECT code_system, code, codelist FROM ({found}) ORDER BY ALL"
        )
    _count_unmatched(store)


def _count_unmatched(store: Store) -> None:
    known = "SELECT code FROM derived.code_match WHERE code_system = '{}'"
    parts = [
        _unmatched("core.gp_event", "'snomed_ct'", "snomed_code", "snomed_term", f"({known.format('snomed_ct')})"),
        _unmatched(
            "core.gp_observation", "'snomed_ct'", "snomed_code", "snomed_term", f"({known.format('snomed_ct')})"
        ),
        # A medicine is known by its product or by its place in the BNF.
        _unmatched(
            "core.gp_medication",
            "'dmd'",
            "dmd_code",
            "dmd_term",
            f"({known.format('dmd')})",
            f"(bnf_code IS NULL OR bnf_code NOT IN ({known.format('bnf')}))",
        ),
        _unmatched("core.apc_diagnosis", "'icd10'", "icd10_code", "NULL::VARCHAR", f"({known.format('icd10')})"),
        *(
            _unmatched(
                table,
                "coalesce(original_system, 'not stated')",
                "original_code",
                f"{'dmd' if main == 'dmd_code' else 'snomed'}_term",
                None,
                f"{main} IS NULL",
            )
            for table, main in (
                ("core.gp_event", "snomed_code"),
                ("core.gp_observation", "snomed_code"),
                ("core.gp_medication", "dmd_code"),
            )
        ),
    ]
    contract = contracts.load("audit.unmatched_code")
    store.define(contract)
    named = ", ".join(f"'{each}'" for each in _NAMED_SYSTEMS)
    # The term most rows came with; on a tie the first in the alphabet.
    store.execute(
        f"INSERT INTO audit.unmatched_code ({', '.join(contract.column_names)}) "
        f"WITH part AS ({' UNION ALL '.join(parts)}), "
        f"system AS (SELECT table_name, code_system, code_system IN ({named}) OR {_enough('people')} AS is_shown "
        "FROM part GROUP BY table_name, code_system), "
        "named AS (SELECT table_name, CASE WHEN is_shown THEN code_system "
        f"ELSE '{_ANOTHER}' END AS code_system, code, term, together, people "
        "FROM part JOIN system USING (table_name, code_system)), "
        "termed AS (SELECT table_name, code_system, code, term, sum(together) AS together, bit_or(people) AS people, "
        f"term IS NOT NULL AND {_enough('people')} AS is_common FROM named "
        "GROUP BY table_name, code_system, code, term) "
        "SELECT table_name, code_system, code, first(term ORDER BY together DESC, term) FILTER (is_common), "
        "sum(together), bit_count(bit_or(people)) FROM termed GROUP BY table_name, code_system, code ORDER BY ALL"
    )


FEWEST_PEOPLE = 5
"""A supplier's own text that came with the rows of fewer people may be about one of them, and is not shown."""

_NAMED_SYSTEMS = ("snomed_ct", "dmd", "icd10", "not stated", "CTV3", "READ2", "LOINC", "RXNORM", "CVX", "LOCAL", "EMIS")
_ANOTHER = "another system"
# People are told apart by the first sign of their key, sixteen at most: never too many, and no key is remembered.
_PEOPLE = "bit_or(1::BIGINT << (ascii(patient_key) % 64))"


def _enough(people: str) -> str:
    return f"bit_count(bit_or({people})) >= {FEWEST_PEOPLE}"


def _unmatched(table: str, system: str, code: str, term: str, known: str | None, condition: str = "true") -> str:
    is_unknown = f"{code} NOT IN {known}" if known else "true"
    return (
        f"SELECT '{table}' AS table_name, {system} AS code_system, {code} AS code, {term} AS term, "
        f"count(*) AS together, {_PEOPLE} AS people FROM {table} WHERE {code} IS NOT NULL AND {is_unknown} "
        f"AND {condition} GROUP BY ALL"
    )
