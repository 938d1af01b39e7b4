"""From landing to core: typed, pseudonymised tables of the people the run may look at.

Belongs here: typed copies of accepted rows, hospital spells and diagnoses, identity.person. Does not belong: which
rows are good (``rows``), who may be looked at (``optouts``), the person's standing (``people``), measurements in one
unit (``measurements``). Every core row says which file and line it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from stratify import contracts, privacy
from stratify.errors import PrivacyError
from stratify.ingest import lifespan, optouts, people
from stratify.ingest import measurements as measuring
from stratify.ingest.checks import is_accepted, stored, value
from stratify.ingest.identity import has_number
from stratify.ingest.measurements import MeasurementCodes
from stratify.ingest.sources import Source
from stratify.privacy import PrivacyPolicy
from stratify.store import Store

_REFERENCE = ("practice", "clinic_capacity", "care_home_bed", "survey_result")
_GP = ("patient", "registration", "gp_appointment", "home_visit_request")
_HOSPITAL = (
    "apc_episode",
    "op_attendance",
    "ed_attendance",
    "death",
    "patient_flag",
    "referral",
    "community_contact",
    "social_care_event",
    "place_preference",
)
_KEPT = "patient_key IN (SELECT patient_key FROM landing.standing WHERE withheld_because IS NULL)"

_EMERGENCY = ("21", "22", "23", "24", "25", "28", "2A", "2D")
"""Emergency admission methods; 2B (transfer) and 2C (born at home as intended) are no new admission."""


def build_core(
    store: Store,
    *,
    index_date: date,
    key: bytes,
    measurements: Sequence[MeasurementCodes],
    privacy_policy: PrivacyPolicy,
    source: Source,
) -> dict[str, int]:
    """Build ``core.*``, ``identity.person`` and ``audit.withheld`` from the landing tables.

    Args:
        store: The run's store, with the databases ``landing`` (filled by ``land``) and ``identity`` attached.
        index_date: The day the run describes.
        key: The identity key.
        measurements: Which codes carry which quantity, in which units.
        privacy_policy: Purpose of the run and the objections it honours.
        source: Where the extract comes from.

    Returns:
        Counts by what is counted: people, rows of each table, rows of people withheld or not in the run.

    Raises:
        PrivacyError: the policy does not allow the run.
        RuleError: measurements contradict each other.
    """
    if not source.is_synthetic and key == privacy.THROWAWAY_KEY:
        raise PrivacyError(
            f"source {source.name}",
            expected="the identity key of this site",
            found="the throwaway key of invented people",
            action=f"Set {privacy.KEY_VARIABLE} or {privacy.KEY_FILE_VARIABLE}.",
        )
    counts = optouts.decide_people(store, policy=privacy_policy, source=source, index_date=index_date)
    lifespan.define(store)
    for table in _REFERENCE:
        _copy(store, table, where="true")
    for table in (*_GP, *_HOSPITAL):
        _copy(store, table, where=_KEPT)
        counts |= _left_out(store, table)
    for table in lifespan.DATE_COLUMNS:
        _forget_landed(store, table)
        if table != "gp_observation":
            _add_landed(store, table, where=lifespan.is_carried(table))
        counts |= lifespan.counts(store, table)
    measuring.build_observations(store, measurements)
    _build_spells(store)
    is_hospital_supplied = "apc_episode" not in source.not_supplied
    counts |= people.build_person(store, index_date=index_date, is_hospital_supplied=is_hospital_supplied)
    _build_identity(store, key_version=privacy.key_fingerprint(key))
    store.define(contracts.load("core.outcome"))  # filled from what came back, when everybody is known
    for name in contracts.names("core"):
        counts[f"{name} rows"] = int(store.scalar(f"SELECT count(*) FROM {name}"))
    return counts


def _copy(store: Store, table: str, *, where: str) -> None:
    """Fill a core table with the accepted rows of its landing table, typed, faulty values left out."""
    store.define(contracts.load(f"core.{table}"))
    _add_landed(store, table, where=f"{is_accepted(table)} AND {where}")


def _add_landed(store: Store, table: str, *, where: str) -> None:
    if store.scalar(f"SELECT count(*) FROM {stored(table)}"):
        with store.joins_as_written():  # rows stay in the order they were stored in: that of their files
            store.execute(f"INSERT INTO core.{table} {copied(table)} WHERE {where}")


def _forget_landed(store: Store, table: str) -> None:
    """Take out of core what an earlier call added from landing, so that a second one adds nothing twice."""
    landed = f"SELECT 1 FROM {stored(table)} AS l WHERE l.source_file_id = c.source_file_id"
    if store.scalar(f"SELECT count(*) FROM core.{table}"):
        store.execute(f"DELETE FROM core.{table} AS c WHERE EXISTS ({landed} AND l.source_row = c.source_row)")


def copied(table: str, rows: str | None = None, *, is_sure: str = "") -> str:
    """Write the query that gives rows of a landing table as core holds them, whether or not it may hold them.

    Args:
        table: The landing table, without its layer.
        rows: What to write after FROM: rows as they would land, where they are not the landing table's.
        is_sure: SQL to give as ``is_sure``.
    """
    core = contracts.load(f"core.{table}")
    own = {
        "patient_key": "patient_key",
        "source_file_id": "source_file_id",
        "source_row": "source_row",
        "is_hospital_linked": has_number(),
    }
    came_from = rows or stored(table)
    if table in lifespan.DATE_COLUMNS:
        own |= lifespan.dated_fields(table)
        came_from = lifespan.with_lifespan(table, rows)
    fields = [f'{own.get(name) or value(table, name)} AS "{name}"' for name in core.column_names]
    fields += [f"{is_sure} AS is_sure"] if is_sure else []
    return f"SELECT {', '.join(fields)} FROM {came_from}"


def _left_out(store: Store, table: str) -> dict[str, int]:
    """Count accepted rows that did not come along: of people withheld, or of people not in the extract."""
    unlinked, withheld = store.rows(
        "SELECT count(*) FILTER (WHERE s.patient_key IS NULL), count(*) FILTER (WHERE withheld_because IS NOT NULL) "
        f"FROM (SELECT patient_key FROM {stored(table)} WHERE {is_accepted(table)}) "
        "LEFT JOIN landing.standing AS s USING (patient_key)"
    )[0]
    counts = {f"{table} withheld": int(withheld)}
    return counts | ({f"{table} unlinked": int(unlinked)} if table in _HOSPITAL else {})


def _build_spells(store: Store) -> None:
    """Group episodes into spells, and list every diagnosis of every episode."""
    methods = ", ".join(f"'{method}'" for method in _EMERGENCY)
    spell, diagnosis = contracts.load("core.apc_spell"), contracts.load("core.apc_diagnosis")
    store.define(spell)
    store.define(diagnosis)
    if not store.scalar("SELECT count(*) FROM core.apc_episode"):
        return
    first, last = "first_value({0}) OVER spell", "last_value({0}) OVER spell"
    from_first = ("patient_key", "admission_date", "admission_method", "source_file_id", "source_row")
    from_last = ("discharge_date", "discharge_method", "discharge_destination")
    fields = [
        *(f"{first.format(name)} AS {name}" for name in from_first),
        *(f"{last.format(name)} AS {name}" for name in from_last),
        f"{first.format('diag_01')} AS primary_diagnosis",
        f"{first.format('admission_method')} IN ({methods}) AS is_emergency",
        "count(*) OVER spell AS episode_count",
        "row_number() OVER (PARTITION BY provider_code, spell_id ORDER BY episode_order, cds_unique_id) AS place",
    ]
    store.execute(
        f"INSERT INTO core.apc_spell SELECT {', '.join(spell.column_names)} FROM "
        f"(SELECT provider_code, spell_id, {', '.join(fields)} FROM core.apc_episode "
        "WINDOW spell AS (PARTITION BY provider_code, spell_id ORDER BY episode_order, cds_unique_id "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) WHERE place = 1 ORDER BY provider_code, spell_id"
    )
    codes = ", ".join(f"diag_{position:02}" for position in range(1, 21))
    columns = ", ".join(diagnosis.column_names)
    store.execute(
        f"INSERT INTO core.apc_diagnosis SELECT {columns} FROM (SELECT e.patient_key, e.provider_code, e.spell_id, "
        "episode_order, CAST(right(slot, 2) AS BIGINT) AS position, icd10_code, left(icd10_code, 3) AS icd10_category, "
        "s.admission_date, s.is_emergency, e.source_file_id, e.source_row FROM "
        f"(UNPIVOT (SELECT patient_key, provider_code, spell_id, episode_order, source_file_id, source_row, {codes} "
        f"FROM core.apc_episode) ON {codes} INTO NAME slot VALUE icd10_code) AS e "
        "JOIN core.apc_spell AS s ON s.provider_code = e.provider_code AND s.spell_id = e.spell_id) "
        "ORDER BY source_file_id, source_row, position"
    )


def _build_identity(store: Store, *, key_version: str) -> None:
    """Write names and numbers of the people kept; contact and location of S-flagged people are left out."""
    hidden = ("phone_mobile", "email", "address_lines", "postcode")
    plain = ("family_name", "given_names", "title")
    fields = [
        "c.patient_key",
        f"'{key_version}' AS key_version",
        f"CASE WHEN {has_number()} THEN coalesce(surviving_number, nhs_number) END AS nhs_number",
        f"CASE WHEN {has_number()} THEN {value('patient', 'nhs_number_status')} END AS nhs_number_status",
        *plain,
        *(f"CASE WHEN NOT c.is_spine_sensitive THEN {name} END AS {name}" for name in hidden),
        f"{value('patient', 'date_of_birth')} AS date_of_birth",
    ]
    chosen = "SELECT patient_key, is_spine_sensitive, source_file_id, source_row FROM core.person"
    store.execute(
        f"CREATE OR REPLACE TABLE identity.person AS SELECT {', '.join(fields)} FROM ({chosen}) AS c "
        "JOIN landing.patient AS l ON l.source_file_id = c.source_file_id AND l.source_row = c.source_row "
        "AND l.patient_key = c.patient_key LEFT JOIN landing.merged_number ON superseded_number = nhs_number "
        "ORDER BY c.patient_key"
    )
    # The key a superseded number would have of its own is kept beside the one its rows have: to see what was merged.
    store.execute(
        "CREATE OR REPLACE TABLE identity.merged_number AS SELECT original_key, merged_key AS patient_key, "
        f"'{key_version}' AS key_version, superseded_number AS superseded_nhs_number, "
        "surviving_number AS nhs_number, traced_date FROM landing.merged_number "
        "WHERE merged_key IN (SELECT patient_key FROM core.person) ORDER BY ALL"
    )
