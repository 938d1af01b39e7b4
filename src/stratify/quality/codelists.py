"""Codes against codelists, as counts: who has an entry where, and how many medicine issues have no product in use.

Belongs here: counting. Does not belong: which codelists matter, and what counts mean for a list (``fitness``), and what
a code means (``clinical``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from stratify.store import Store

_BANDS = (18, 40, 50, 60, 65, 70, 75, 80, 85, 90)
"""Ages at which a band begins; an unknown age is a band of its own."""

_EVENTS = """
SELECT org_code, patient_key, 'snomed_ct' AS code_system, snomed_code AS code FROM core.gp_event
UNION ALL SELECT org_code, patient_key, 'snomed_ct', snomed_code FROM core.gp_observation
"""
_ISSUES = """
SELECT org_code, patient_key, 'dmd' AS code_system, dmd_code AS code FROM core.gp_medication
UNION ALL SELECT org_code, patient_key, 'bnf', bnf_code FROM core.gp_medication
"""


def people_by_practice(store: Store, *, index_date: date) -> pl.DataFrame:
    """Count people with a record at each practice.

    Returns:
        One row per ``practice_code`` and ``age_band``: ``people``.
    """
    return store.frame(
        "SELECT org_code AS practice_code, age_band, count(*) AS people "
        f"FROM ({_banded(index_date)}) GROUP BY ALL ORDER BY ALL"
    )


def people_with_entries(store: Store, wanted: Iterable[tuple[str, str, str]], *, index_date: date) -> pl.DataFrame:
    """Count people with an entry of some codelists at each practice.

    Args:
        store: The run's store, with the core tables and ``derived.code_match``.
        wanted: (variable, kind, codelist); kind ``issue`` is looked for among medicines, any other among entries.
        index_date: The day the run describes.

    Returns:
        One row per ``variable``, ``kind``, ``practice_code`` and ``age_band`` with somebody: ``people``.
    """
    schema = dict.fromkeys(("variable", "kind", "codelist"), pl.String)
    listed = pl.DataFrame(sorted(set(wanted)), schema=schema, orient="row")
    with store.loaned(listed) as asked:
        entries = " UNION ".join(
            f"SELECT DISTINCT variable, kind, org_code, patient_key FROM ({records}) AS r "
            "JOIN derived.code_match AS m USING (code_system, code) "
            f"JOIN {asked} AS a ON a.codelist = m.codelist AND (a.kind = 'issue') = {is_issue}"
            for records, is_issue in ((_EVENTS, "false"), (_ISSUES, "true"))
        )
        return store.frame(
            "SELECT variable, kind, org_code AS practice_code, age_band, count(*) AS people "
            f"FROM ({entries}) JOIN ({_banded(index_date)}) USING (org_code, patient_key) GROUP BY ALL ORDER BY ALL"
        )


def _banded(index_date: date) -> str:
    """Give each person's record at each practice once, with the band of the person's age."""
    age = f"date_sub('year', min(date_of_birth), DATE '{index_date.isoformat()}')"
    bands = " + ".join(f"({age} >= {least})::BIGINT" for least in _BANDS)
    return f"SELECT org_code, patient_key, coalesce({bands}, -1) AS age_band FROM core.patient GROUP BY ALL"


def products_not_in_use(store: Store) -> tuple[int, int, int]:
    """Count medicine issues, and those among them without a product that is in use.

    An issue has none when it has neither a dm+d id nor a place in the BNF, unless it is said to be coded in a system of
    another country. It has a withdrawn one when its id shares level and name with another id that more issues have: a
    product that gets a new id keeps its name.

    Returns:
        Issues without a product in use, issues with a dm+d id or a place in the BNF, and all issues.
    """
    without, coded, issues = store.rows(_PRODUCTS)[0]
    return int(without), int(coded), int(issues)


_PRODUCTS = """
WITH id AS (
    SELECT dmd_code, dmd_level, lower(trim(dmd_term)) AS name, count(*) AS issues
    FROM core.gp_medication WHERE dmd_code IS NOT NULL AND trim(dmd_term) <> '' GROUP BY ALL
), withdrawn AS (
    SELECT dmd_code, dmd_level, name FROM id
    QUALIFY rank() OVER (PARTITION BY dmd_level, name ORDER BY issues DESC, dmd_code) > 1
)
SELECT count(*) FILTER (WHERE w.dmd_code IS NOT NULL OR (
    m.dmd_code IS NULL AND m.bnf_code IS NULL
    AND NOT regexp_matches(coalesce(m.original_system, ''), '(?i)rxnorm|atc|ndc|cvx|snomed')
)), count(*) FILTER (WHERE m.dmd_code IS NOT NULL OR m.bnf_code IS NOT NULL), count(*)
FROM core.gp_medication AS m
LEFT JOIN withdrawn AS w ON w.dmd_code = m.dmd_code AND w.name = lower(trim(m.dmd_term))
    AND w.dmd_level IS NOT DISTINCT FROM m.dmd_level
"""
