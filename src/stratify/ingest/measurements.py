"""GP values in one unit each: which may be scored, and why the others may not.

Belongs here: codes to measurements, stated, implied and inferred units, conversion, plausibility, pairs, grades said by
the code itself. Does not belong: which codes and units there are (``clinical/variables/measurements.yaml``). A value
that is not ``ok`` keeps its raw form in ``core.gp_observation`` and has no canonical one: nothing can score it by
mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import polars as pl

from stratify import contracts
from stratify.errors import RuleError
from stratify.ingest import lifespan
from stratify.ingest.checks import is_accepted, stored, value
from stratify.store import Store

_DECIMALS = 6
"""Conversions are rounded here, so that 68 % as a ratio is 0.68 and not a hair more."""


_UNIT_COLUMNS = {"times": pl.Float64, "plus": pl.Float64, "low": pl.Float64, "high": pl.Float64}


class SizeWithoutUnit(Protocol):
    """What a value without a unit can only be, by its size (``rules.Size`` is it)."""

    @property
    def unit(self) -> str: ...
    @property
    def below(self) -> float | None: ...
    @property
    def at_most(self) -> float | None: ...
    @property
    def at_least(self) -> float | None: ...
    @property
    def above(self) -> float | None: ...
    @property
    def is_certain(self) -> bool: ...


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
    @property
    def code_units(self) -> dict[str, str]: ...
    @property
    def written_bounds(self) -> dict[str, tuple[float, float]]: ...
    @property
    def sizes(self) -> Sequence[SizeWithoutUnit]: ...
    @property
    def is_inferred_scored(self) -> bool: ...
    @property
    def must_exceed(self) -> str | None: ...


@dataclass(frozen=True)
class Conversion:
    """Codes and units lent to the database: what to write after FROM for each, and the SQL of a size without a unit."""

    code: str
    unit: str
    size: str
    size_number: str


@contextmanager
def converting(store: Store, measurements: Sequence[MeasurementCodes]) -> Iterator[Conversion]:
    """Lend the database, for a while, what it needs to bring values into one unit.

    Raises:
        RuleError: one code in two measurements, or one word for two units of a measurement.
    """
    units = _units(measurements)
    sizes = _sizes(measurements, units)
    with (
        store.loaned(_code_frame(measurements, units)) as code,
        store.loaned(_unit_frame(units)) as unit,
        store.loaned(_size_frame(sizes)) as size,
    ):
        yield Conversion(code, unit, size, _size_of(sizes))


def converted(conversion: Conversion, rows: str | None = None, *, where: str = "true", is_sure: str = "") -> str:
    """Write the query that gives values of the GP record as core holds them.

    Args:
        conversion: What :func:`converting` lent.
        rows: What to write after FROM: rows as they would land, where they are not the landing table's.
        where: Which rows.
        is_sure: SQL to give as ``is_sure``.
    """
    contract = contracts.load("core.gp_observation")
    landing = contracts.load("landing.gp_observation")
    dated = lifespan.dated_fields("gp_observation")
    typed = [
        f'{dated.get(name) or value("gp_observation", name)} AS "{name}"'
        for name in contract.column_names
        if name in landing.column_names
    ]
    return f"""SELECT {", ".join(contract.column_names)}{", is_sure" if is_sure else ""} FROM (
        SELECT * REPLACE (CASE WHEN value_status = 'ok' THEN value_canonical END AS value_canonical,
            CASE WHEN measurement IS NULL OR value_status IN ('unit_conflict', 'unit_missing') THEN NULL
                 WHEN grade IS NULL AND word IS NOT NULL THEN 'stated'
                 WHEN grade IS NULL AND is_inferred THEN 'inferred' ELSE 'implied_by_code' END AS unit_basis)
        FROM (SELECT *, NULL AS unit_basis, {_STATUS} AS value_status
        FROM (SELECT *, coalesce(grade, round(given * times + plus + shift, {_DECIMALS})) AS value_canonical
        FROM (SELECT t.*, u.times AS written_times,
            coalesce(u.times, z.times, code_times, 1) AS times, coalesce(u.plus, z.plus, code_plus, 0) AS plus,
            CASE WHEN word IS NULL THEN z.low ELSE u.low END AS low,
            CASE WHEN word IS NULL THEN z.high ELSE u.high END AS high,
            word IS NULL AND code_times IS NULL AND NOT coalesce(z.is_certain, true) AS is_inferred
        FROM (SELECT *, CASE WHEN word IS NULL THEN {conversion.size_number} END AS size_number
        FROM (SELECT t.*, c.* EXCLUDE (code, not_done),
            CASE WHEN NOT coalesce(list_contains(not_done, CAST(value_num AS DOUBLE)), false)
                 THEN CAST(value_num AS DOUBLE) END AS given
        FROM (SELECT patient_key, source_file_id, source_row, {", ".join(typed)},
                {lifespan.is_before_birth("gp_observation")} AS is_before_birth,
                {_is_unclear()} AS is_unclear,
                nullif(regexp_replace(lower(trim(unit_raw)), '\\s+', ' ', 'g'), '') AS word
                {f", {is_sure} AS is_sure" if is_sure else ""}
              FROM {lifespan.with_lifespan("gp_observation", rows)} WHERE {where}) AS t
        LEFT JOIN {conversion.code} AS c ON c.code = t.snomed_code)) AS t
        LEFT JOIN {conversion.unit} AS u ON u.of_measurement = t.measurement AND u.written = t.word
        LEFT JOIN {conversion.size} AS z ON z.number = t.size_number)))
    )"""


def build_observations(store: Store, measurements: Sequence[MeasurementCodes]) -> None:
    """Fill ``core.gp_observation``: accepted values, then grades that stand in ``core.gp_event`` as a code alone.

    Args:
        store: The run's store; ``core.gp_event`` is filled, ``landing.lifespan`` defined.
        measurements: Which codes carry which quantity, in which units.

    Raises:
        RuleError: one code in two measurements, or one word for two units of a measurement.
    """
    contract = contracts.load("core.gp_observation")
    with store.joins_as_written(), converting(store, measurements) as conversion:
        accepted = converted(conversion, where=lifespan.is_carried("gp_observation"))
        store.execute(f"INSERT INTO core.gp_observation {accepted}")
        shared = ", ".join(name for name in contract.column_names if name in _event_columns())
        others = {
            "measurement": "c.measurement",
            "value_canonical": "c.grade",
            "unit_canonical": "c.unit_canonical",
            "unit_basis": "'implied_by_code'",
            "value_status": "'ok'",
        }
        same = "o.org_code = e.org_code AND o.source_event_id = e.source_event_id"
        is_accepted_there = is_accepted("gp_observation").replace("faults", "o.faults")
        # An event already among the values under the same id stays one entry.
        store.execute(
            f"INSERT INTO core.gp_observation ({shared}, {', '.join(others)}) "
            f"SELECT {shared}, {', '.join(others.values())} FROM core.gp_event AS e "
            f"JOIN {conversion.code} AS c ON c.code = e.snomed_code AND c.grade IS NOT NULL WHERE NOT EXISTS (SELECT 1 "
            f"FROM {stored('gp_observation')} AS o WHERE {same} AND {is_accepted_there}) "
            f"AND NOT EXISTS (SELECT 1 FROM core.gp_observation AS o WHERE {same}) ORDER BY source_file_id, source_row"
        )
    _set_pairs_aside(store, measurements)


def _event_columns() -> tuple[str, ...]:
    return contracts.load("core.gp_event").column_names


def _is_unclear() -> str:
    """Write the SQL that is true where a value is about something, or its comparator cannot be read."""
    read = value("gp_observation", "comparator")
    return f"coalesce(({read}) = '~', false) OR (({read}) IS NULL AND comparator IS NOT NULL)"


# The order of the cases is the order of doubt: what the code says, an absent value, then its unit, then its size.
_STATUS = """CASE
    WHEN measurement IS NULL THEN NULL
    WHEN is_before_birth THEN 'before_birth'
    WHEN grade IS NOT NULL AND given IS NOT NULL AND (given + shift <> grade OR coalesce(comparator, '=') <> '=')
        THEN 'code_value_conflict'
    WHEN grade IS NOT NULL THEN 'ok'
    WHEN given IS NULL THEN 'no_value'
    WHEN is_unclear THEN 'comparator_unclear'
    WHEN word IS NOT NULL AND written_times IS NULL THEN 'unit_conflict'
    WHEN word IS NULL AND has_sizes AND size_number IS NULL THEN 'unit_missing'
    WHEN code_times IS NOT NULL AND (code_times <> times OR code_plus <> plus) THEN 'unit_conflict'
    WHEN word IS NULL AND code_times IS NULL AND is_unit_required THEN 'unit_missing'
    WHEN low IS NOT NULL AND NOT given BETWEEN low AND high THEN 'implausible'
    WHEN low IS NULL AND NOT coalesce(value_canonical BETWEEN minimum AND maximum, false) THEN 'implausible'
    WHEN is_inferred AND NOT is_inferred_scored THEN 'unit_inferred'
    ELSE 'ok' END"""


def _set_pairs_aside(store: Store, measurements: Sequence[MeasurementCodes]) -> None:
    """Set aside the values of a pair (blood pressure) of which one half is missing, or the lower is above the upper.

    Values belong together under one parent entry; without one, all of a person and day at one practice: then whichever
    belongs to which, no lower one may be above an upper one.
    """
    for each in measurements:
        if each.must_exceed is None:
            continue
        upper, lower = (f"value_canonical) FILTER (WHERE measurement = '{id}')" for id in (each.id, each.must_exceed))
        store.execute(
            f"""UPDATE core.gp_observation SET value_canonical = NULL, value_status = broken.status
            FROM (SELECT row_id, CASE WHEN least_upper < greatest_lower THEN 'pair_conflict' ELSE 'pair_incomplete' END
                    AS status
                FROM (SELECT rowid AS row_id, min({upper} OVER pair AS least_upper, max({lower} OVER pair
                        AS greatest_lower
                    FROM core.gp_observation
                    WHERE value_status = 'ok' AND measurement IN ('{each.id}', '{each.must_exceed}')
                    WINDOW pair AS (PARTITION BY patient_key, org_code, effective_date, parent_event_id))
                WHERE least_upper IS NULL OR greatest_lower IS NULL OR least_upper < greatest_lower) AS broken
            WHERE core.gp_observation.rowid = broken.row_id"""
        )


class _Unit(NamedTuple):
    """How to reach the canonical unit, and what is plausible as written (None: the bounds of the canonical one)."""

    times: float
    plus: float
    low: float | None
    high: float | None


def _units(measurements: Sequence[MeasurementCodes]) -> dict[tuple[str, str], _Unit]:
    """Give every way of writing a unit, by measurement and word; the canonical unit's own name is always known."""
    found: dict[tuple[str, str], _Unit] = {}
    for each in sorted(measurements, key=lambda one: one.id):
        for words, times, plus in each.units:
            for word in words:
                unit = _Unit(times, plus, *each.written_bounds.get(word, (None, None)))
                if found.setdefault((each.id, _written(word)), unit) != unit:
                    raise RuleError(
                        f"measurement {each.id}, units",
                        expected="each way of writing a unit once",
                        found=f"{word!r} with two conversions",
                        action="Take it out of one of them.",
                    )
        found.setdefault((each.id, _written(each.unit)), _Unit(1.0, 0.0, None, None))
    return found


def _written(word: str) -> str:
    return " ".join(word.lower().split())


def _sizes(
    measurements: Sequence[MeasurementCodes], units: Mapping[tuple[str, str], _Unit]
) -> list[tuple[str, SizeWithoutUnit, _Unit]]:
    """Give every size that says a unit, with its measurement and that unit."""
    return [
        (each.id, size, units[each.id, _written(size.unit)])
        for each in sorted(measurements, key=lambda one: one.id)
        for size in each.sizes
    ]


def _size_of(sizes: Sequence[tuple[str, SizeWithoutUnit, _Unit]]) -> str:
    """Write the SQL of the number of the size that a value without a unit is of."""
    cases = []
    for number, (measurement, size, _) in enumerate(sizes):
        signs = (("<", size.below), ("<=", size.at_most), (">=", size.at_least), (">", size.above))
        holds = [f"given {sign} {float(edge)!r}" for sign, edge in signs if edge is not None]
        cases.append(f"WHEN measurement = '{measurement}' AND {' AND '.join(holds)} THEN {number}")
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS BIGINT)"


def _size_frame(sizes: Sequence[tuple[str, SizeWithoutUnit, _Unit]]) -> pl.DataFrame:
    """One row per size: the unit it says, and whether it can be no other."""
    return pl.DataFrame(
        [(number, size.is_certain, *unit) for number, (_, size, unit) in enumerate(sizes)],
        schema={"number": pl.Int64, "is_certain": pl.Boolean, **_UNIT_COLUMNS},
        orient="row",
    )


def _code_frame(measurements: Sequence[MeasurementCodes], units: Mapping[tuple[str, str], _Unit]) -> pl.DataFrame:
    """One row per code: its measurement, the grade or unit it says, what is added to its values, what is plausible."""
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
            word = each.code_units.get(code)
            said = units[each.id, _written(word)] if word else None
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
                    said.times if said else None,
                    said.plus if said else None,
                    bool(each.sizes),
                    each.is_inferred_scored,
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
        "code_times": pl.Float64,
        "code_plus": pl.Float64,
        "has_sizes": pl.Boolean,
        "is_inferred_scored": pl.Boolean,
        "not_done": pl.List(pl.Float64),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _unit_frame(units: Mapping[tuple[str, str], _Unit]) -> pl.DataFrame:
    """One row per way of writing a unit of a measurement."""
    return pl.DataFrame(
        [(measurement, word, *unit) for (measurement, word), unit in units.items()],
        schema={"of_measurement": pl.String, "written": pl.String, **_UNIT_COLUMNS},
        orient="row",
    )
