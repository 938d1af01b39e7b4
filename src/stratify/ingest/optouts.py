"""Objections in tables: each person's latest state, and who is left out of the run because of it.

Belongs here: the latest row per person and type, whether checks are still good, applying :func:`privacy.decide` to
everybody. Does not belong: what an objection leads to (``privacy``). Objections are read here once and stored nowhere:
what stays is a count by reason.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from stratify import contracts, privacy
from stratify.errors import PrivacyError
from stratify.ingest.checks import is_accepted, value
from stratify.ingest.identity import has_number
from stratify.ingest.sources import Source
from stratify.privacy import Objections, PrivacyPolicy
from stratify.store import Store

_STATES: tuple[privacy.NationalState, ...] = ("allowed", "opted_out", "not_checked", "not_asked")


def decide_people(store: Store, *, policy: PrivacyPolicy, source: Source, index_date: date) -> dict[str, int]:
    """Make ``landing.standing`` (one row per person: kept, counted) and ``audit.withheld``.

    Returns:
        Counts: people in the extract, people withheld, people not counted in secondary use.

    Raises:
        PrivacyError: the policy is a stand-in for a real source, or case finding has no check of the national opt-out
            to rely on.
    """
    if policy.is_stand_in and not source.is_synthetic:
        raise PrivacyError(
            f"source {source.name}",
            expected="a privacy policy written by the site",
            found="the stand-in for invented people",
            action="State purpose and opt-out policy in the settings.",
        )
    is_checked = not (source.is_synthetic and "opt_out" in source.not_supplied)
    _define_states(store, index_date, is_checked=is_checked)
    if is_checked and policy.purpose == "case_finding":
        _require_checks(store, policy)
    decisions = pl.DataFrame(
        [
            {
                "type_1": type_1,
                "local": local,
                "national": national,
                "withheld_because": decision.withheld_because,
                "uncounted_because": decision.uncounted_because,
            }
            for type_1 in (False, True)
            for local in (False, True)
            for national in _STATES
            for decision in [privacy.decide(Objections(type_1=type_1, local=local, national=national), policy)]
        ],
        schema_overrides={"withheld_because": pl.String, "uncounted_because": pl.String},
    )
    with store.loaned(decisions) as loan:
        store.execute(
            "CREATE OR REPLACE TABLE landing.standing AS SELECT patient_key, is_linked, withheld_because, "
            f"uncounted_because FROM landing.objection JOIN {loan} USING (type_1, local, national)"
        )
    store.execute("DROP TABLE landing.objection")
    store.define(contracts.load("audit.withheld"))
    for column, surface in (("withheld_because", "direct_care"), ("uncounted_because", "secondary_use")):
        store.execute(
            "INSERT INTO audit.withheld (reason, people_count, surface) "
            f"SELECT {column}, count(*), '{surface}' FROM landing.standing WHERE {column} IS NOT NULL "
            "GROUP BY ALL ORDER BY ALL"
        )
    people, withheld, uncounted = store.rows(
        "SELECT count(*), count(withheld_because), count(uncounted_because) FROM landing.standing"
    )[0]
    return {"people in extract": people, "people withheld": withheld, "people not counted": uncounted}


def _define_states(store: Store, index_date: date, *, is_checked: bool) -> None:
    """Make ``landing.objection``: one row per person with the latest state of each objection."""
    day = f"DATE '{index_date.isoformat()}'"
    days = privacy.NATIONAL_CHECK_DAYS
    typed = ", ".join(
        f"{value('opt_out', name)} AS {name}"
        for name in ("opt_out_type", "is_opted_out", "effective_from", "checked_at", "expires_at")
    )
    # An objection names a number, a record at a practice, or both: it holds for whoever either of them is.
    store.execute(
        "CREATE OR REPLACE TEMP TABLE objection_row AS "
        f"WITH typed AS (SELECT nhs_number, org_code, source_patient_id, {typed} FROM landing.opt_out "
        f"WHERE {is_accepted('opt_out')}) "
        "SELECT known_key AS patient_key, typed.* FROM typed JOIN landing.known_number ON number_text = nhs_number "
        "WHERE known_key IS NOT NULL UNION ALL "
        "SELECT linked_key, typed.* FROM typed JOIN landing.patient_link "
        "ON link_org = org_code AND link_patient = source_patient_id UNION ALL "
        # Of a number two people have nobody can say whose objection it is: it holds for both.
        "SELECT linked_key, typed.* FROM typed JOIN landing.known_number ON number_text = nhs_number "
        "JOIN landing.contested_record ON number_key = known_key "
        "JOIN landing.patient_link ON link_org = contested_org AND link_patient = contested_patient"
    )
    # Type 1 and local: the latest by the day it began, then by when it was checked; on a tie the objection stands.
    # A withdrawal that has not begun yet does not count; an objection that has not begun is honoured already.
    latest = f"""
        SELECT patient_key,
            coalesce(max_by(is_opted_out, (coalesce(effective_from, DATE '0001-01-01'), checked_at, is_opted_out))
                FILTER (WHERE opt_out_type = 'TYPE1' AND begun), false) AS type_1,
            coalesce(max_by(is_opted_out, (coalesce(effective_from, DATE '0001-01-01'), checked_at, is_opted_out))
                FILTER (WHERE opt_out_type = 'RISK_STRAT_LOCAL' AND begun), false) AS local,
            max_by(is_opted_out, (checked_at, is_opted_out)) FILTER (WHERE opt_out_type = 'NDO') AS is_out,
            max_by(fresh, (checked_at, is_opted_out, fresh)) FILTER (WHERE opt_out_type = 'NDO') AS is_fresh
        FROM (
            SELECT *, is_opted_out OR effective_from IS NULL OR effective_from <= {day} AS begun,
                CAST(checked_at AS DATE) + {days} >= {day}
                    AND coalesce(CAST(expires_at AS DATE) >= {day}, true) AS fresh
            FROM objection_row
        ) GROUP BY patient_key"""
    asked = """CASE WHEN is_out THEN 'opted_out' WHEN NOT is_linked THEN 'not_asked'
        WHEN coalesce(is_fresh, false) THEN 'allowed' ELSE 'not_checked' END"""
    national = asked if is_checked else "'not_asked'"
    store.execute(
        "CREATE OR REPLACE TABLE landing.objection AS "
        "SELECT p.patient_key, p.is_linked, coalesce(type_1, false) AS type_1, coalesce(local, false) AS local, "
        f"{national} AS national, coalesce(is_fresh, false) AS is_fresh FROM "
        f"(SELECT patient_key, bool_or({has_number()}) AS is_linked FROM landing.patient "
        f"WHERE {is_accepted('patient')} GROUP BY ALL) AS p LEFT JOIN ({latest}) AS o USING (patient_key)"
    )
    dissent = "SELECT patient_key, max_by(is_opted_out, (checked_at, is_opted_out)) AS dissents FROM objection_row "
    store.execute(
        "CREATE OR REPLACE TABLE landing.text_dissent AS SELECT patient_key FROM "
        f"({dissent} WHERE opt_out_type = 'SMS_DISSENT' GROUP BY ALL) WHERE dissents"
    )
    store.execute("DROP TABLE objection_row")


def _require_checks(store: Store, policy: PrivacyPolicy) -> None:
    """Stop case finding that has nothing to rely on: no file of objections, or no check that is still good."""
    files = store.scalar("SELECT count(*) FROM audit.source_file WHERE table_name = 'opt_out'")
    if not files:
        raise PrivacyError(
            "landing.opt_out",
            expected="a file of objections, since the purpose is case finding",
            found="none",
            action="Supply it: without it nobody's record may be looked at for this purpose.",
        )
    linked, fresh = store.rows(
        "SELECT count(*) FILTER (WHERE is_linked), count(*) FILTER (WHERE is_fresh) FROM landing.objection"
    )[0]
    if policy.national == "exclude" and linked and not fresh:
        raise PrivacyError(
            "landing.opt_out",
            expected=f"checks of the national opt-out no older than {privacy.NATIONAL_CHECK_DAYS} days",
            found=f"none for any of {linked} people with an NHS number",
            action="Have the opt-outs checked again, then run.",
        )
