"""GP values in one unit each: which may be scored, and why the others may not.

Belongs here: codes to measurements, stated and implied units, conversion, plausibility, grades said by the code
itself. Does not belong: which codes and units there are (``clinical/variables/measurements.yaml``). A value that is
not ``ok`` keeps its raw form in ``core.gp_observation`` and has no canonical one: nothing can score it by mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from stratify import contracts
from stratify.errors import RuleError
from stratify.ingest.checks import is_accepted, value
from stratify.store import Store

_DECIMALS = 6
"""Conversions are rounded here, so that 68 % as a ratio is 0.68 and not a hair more."""


class MeasurementCodes(Protocol):
    """What the loader needs to know of a measurement (``rules.ResolvedMeasurement`` has it)."""

    @property
    def id(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def codes(self) -> frozenset[str]: ...
    @property
    def grades(self) -> dict[str, float]: ...
    @property
    def offset_codes(self) -> dict[str, float]: ...
    @property
    def minimum(self) -> float: ...
    @property
    def maximum(self) -> float: ...
    @property
    def units(self) -> Sequence[tuple[tuple[str, ...], float, float]]: ...
    @property
    def is_unit_required(self) -> bool: ...
    @property
    def not_done(self) -> tuple[float, ...]: ...


def precision(table: str) -> str:
    """Write the precision of an effective date: unknown where the date was set aside or never there."""
    is_missing = f"({value(table, 'effective_date')}) IS NULL"
    return f"CASE WHEN {is_missing} THEN 'U' ELSE {value(table, 'effective_precision')} END"


def build_observations(store: Store, measurements: Sequence[MeasurementCodes], *, kept: str) -> None:
    """Fill ``core.gp_observation``: accepted values, then grades that stand in ``core.gp_event`` as a code alone.

    Args:
        store: The run's store; ``core.gp_event`` is filled.
        measurements: Which codes carry which quantity, in which units.
        kept: SQL that is true for rows of people the run may look at.

    Raises:
        RuleError: one code in two measurements, or one word for two units of a measurement.
    """
    contract = contracts.load("core.gp_observation")
    landing = contracts.load("landing.gp_observation")
    store.define(contract)
    typed = [
        f'{precision("gp_observation") if name == "effective_precision" else value("gp_observation", name)} AS "{name}"'
        for name in contract.column_names
        if name in landing.column_names
    ]
    columns = ", ".join(contract.column_names)
    with store.loaned(_code_frame(measurements)) as code, store.loaned(_unit_frame(measurements)) as unit:
        # The order of the cases is the order of doubt: an absent value, then its unit, then its size.
        store.execute(
            f"""INSERT INTO core.gp_observation SELECT {columns} FROM (
                SELECT * REPLACE (CASE WHEN value_status = 'ok' THEN value_canonical END AS value_canonical,
                    CASE WHEN measurement IS NULL OR value_status IN ('unit_conflict', 'unit_missing') THEN NULL
                         WHEN grade IS NULL AND word IS NOT NULL THEN 'stated' ELSE 'implied_by_code' END AS unit_basis)
                FROM (SELECT *, NULL AS unit_basis, CASE
                    WHEN measurement IS NULL THEN NULL
                    WHEN grade IS NOT NULL AND given IS NOT NULL AND given + shift <> grade THEN 'code_value_conflict'
                    WHEN grade IS NOT NULL THEN 'ok'
                    WHEN given IS NULL THEN 'no_value'
                    WHEN word IS NOT NULL AND multiply_by IS NULL THEN 'unit_conflict'
                    WHEN word IS NULL AND is_unit_required THEN 'unit_missing'
                    WHEN value_canonical IS NULL OR NOT value_canonical BETWEEN minimum AND maximum THEN 'implausible'
                    ELSE 'ok' END AS value_status
                FROM (SELECT *, coalesce(grade, round(
                    given * coalesce(multiply_by, 1) + coalesce(add_on, 0) + shift, {_DECIMALS})) AS value_canonical
                FROM (SELECT t.*, c.* EXCLUDE (code, not_done), u.multiply_by, u.add_on,
                    CASE WHEN NOT coalesce(list_contains(not_done, CAST(value_num AS DOUBLE) + shift), false)
                         THEN CAST(value_num AS DOUBLE) END AS given
                FROM (SELECT patient_key, source_file_id, source_row, {", ".join(typed)},
                        nullif(regexp_replace(lower(trim(unit_raw)), '\\s+', ' ', 'g'), '') AS word
                      FROM landing.gp_observation WHERE {is_accepted("gp_observation")} AND {kept}) AS t
                LEFT JOIN {code} AS c ON c.code = t.snomed_code
                LEFT JOIN {unit} AS u ON u.of_measurement = c.measurement AND u.written = t.word)))
            ) ORDER BY source_file_id, source_row"""
        )
        shared = ", ".join(name for name in contract.column_names if name in _event_columns())
        others = {
            "measurement": "c.measurement",
            "value_canonical": "c.grade",
            "unit_canonical": "c.unit_canonical",
            "unit_basis": "'implied_by_code'",
            "value_status": "'ok'",
        }
        # An event already among the values under the same id stays one entry.
        store.execute(
            f"INSERT INTO core.gp_observation ({shared}, {', '.join(others)}) "
            f"SELECT {shared}, {', '.join(others.values())} FROM core.gp_event AS e "
            f"JOIN {code} AS c ON c.code = e.snomed_code AND c.grade IS NOT NULL WHERE NOT EXISTS (SELECT 1 FROM "
            f"landing.gp_observation AS o WHERE o.org_code = e.org_code AND o.source_event_id = e.source_event_id "
            f"AND {is_accepted('gp_observation').replace('faults', 'o.faults')}) ORDER BY source_file_id, source_row"
        )


def _event_columns() -> tuple[str, ...]:
    return contracts.load("core.gp_event").column_names


def _code_frame(measurements: Sequence[MeasurementCodes]) -> pl.DataFrame:
    """One row per code: its measurement, the grade it says, what is added to its values, what is plausible."""
    owner: dict[str, str] = {}
    rows = []
    for each in sorted(measurements, key=lambda one: one.id):
        for code in sorted(each.codes | set(each.grades) | set(each.offset_codes)):
            if owner.setdefault(code, each.id) != each.id:
                raise RuleError(
                    f"measurements {owner[code]} and {each.id}",
                    expected="a code in one measurement only",
                    found=f"code {code} in both",
                    action="Take it out of one codelist.",
                )
            rows.append(
                (
                    code,
                    each.id,
                    each.unit,
                    each.grades.get(code),
                    float(each.offset_codes.get(code, 0.0)),
                    float(each.minimum),
                    float(each.maximum),
                    each.is_unit_required,
                    [float(number) for number in each.not_done],
                )
            )
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "code": pl.String,
        "measurement": pl.String,
        "unit_canonical": pl.String,
        "grade": pl.Float64,
        "shift": pl.Float64,
        "minimum": pl.Float64,
        "maximum": pl.Float64,
        "is_unit_required": pl.Boolean,
        "not_done": pl.List(pl.Float64),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _unit_frame(measurements: Sequence[MeasurementCodes]) -> pl.DataFrame:
    """One row per way of writing a unit of a measurement; the canonical unit's own name is always known."""
    rows: dict[tuple[str, str], tuple[float, float]] = {}
    for each in sorted(measurements, key=lambda one: one.id):
        for words, multiply_by, add in [*each.units]:
            for word in words:
                written = (each.id, " ".join(word.lower().split()))
                if rows.setdefault(written, (multiply_by, add)) != (multiply_by, add):
                    raise RuleError(
                        f"measurement {each.id}, units",
                        expected="each way of writing a unit once",
                        found=f"{word!r} with two conversions",
                        action="Take it out of one of them.",
                    )
        rows.setdefault((each.id, " ".join(each.unit.lower().split())), (1.0, 0.0))
    return pl.DataFrame(
        [(measurement, word, *conversion) for (measurement, word), conversion in rows.items()],
        schema={"of_measurement": pl.String, "written": pl.String, "multiply_by": pl.Float64, "add_on": pl.Float64},
        orient="row",
    )
