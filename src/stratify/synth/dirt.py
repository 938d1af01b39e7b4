"""Faults put into the synthetic county's files on purpose, each with its rate: the ``DIRT`` table.

They work on tables as text, as a file holds them. The county without dirt has none of these. Opt-outs, practices and
clinic sessions get no bad rows: one bad row there blocks a run, which is another test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from stratify.synth import clinical_codes as codes
from stratify.synth.population import Ints


@dataclass(frozen=True)
class Spoiler:
    """What a fault may need to know beside the rows: the last day of the extract and a generator of its own."""

    cutoff: date
    rng: np.random.Generator


Spoil = Callable[[pl.DataFrame, Ints, Spoiler], pl.DataFrame]
Note = Callable[[str, str, pl.DataFrame], None]


@dataclass(frozen=True)
class Dirt:
    """One kind of fault in one table.

    Attributes:
        name: What it is.
        table: Landing table it is put in.
        rate: Share of the rows that could have it.
        spoil: Puts it into the chosen rows.
        among: Which rows could have it; all where it is None.
    """

    name: str
    table: str
    rate: float
    spoil: Spoil
    among: pl.Expr | None = None


def spoil_tables(
    tables: dict[str, pl.DataFrame], *, cutoff: date, seed: int, note: Note | None = None
) -> dict[str, pl.DataFrame]:
    """Put every fault of ``DIRT`` into the tables, each at its rate and, in tables large enough, at least once.

    Args:
        tables: Landing tables by name, every column text.
        cutoff: The last day the extract describes.
        seed: The county's seed.
        note: Told of the rows each fault is about to be put into.

    Returns:
        The same tables with faults; rows they add stand at the end.
    """
    spoilt = dict(tables)
    for number, dirt in enumerate(DIRT):
        frame = spoilt[dirt.table]
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 10**6 + 1, number])))
        able = (
            np.arange(frame.height)
            if dirt.among is None
            else frame.select(dirt.among.fill_null(False).arg_true()).to_series().to_numpy()
        )
        wanted = round(len(able) * dirt.rate)
        wanted = max(wanted, 1) if len(able) >= 100 or (dirt.rate >= 0.01 and len(able)) else wanted
        if wanted:
            rows = np.sort(rng.choice(able, size=min(wanted, len(able)), replace=False)).astype(np.int64)
            if note:
                note(dirt.name, dirt.table, frame[rows.tolist()])
            spoilt[dirt.table] = dirt.spoil(frame, rows, Spoiler(cutoff, rng))
    return spoilt


def without_a_clinic(capacity: pl.DataFrame, practice_codes: Sequence[str]) -> pl.DataFrame:
    """Take all COPD clinic sessions from the last practice, so that its patients wait for want of a clinic."""
    if len(practice_codes) < 2:
        return capacity
    gone = (pl.col("practice_code") == practice_codes[-1]) & (pl.col("clinic_id") == "copd_clinic")
    return capacity.filter(~gone)


def _put(frame: pl.DataFrame, rows: Ints, column: str, values: Sequence[str | None]) -> pl.DataFrame:
    held = frame[column].to_list()
    for row, value in zip(rows.tolist(), values, strict=True):
        held[row] = value
    return frame.with_columns(pl.Series(column, held, dtype=pl.String))


def _held(frame: pl.DataFrame, rows: Ints, column: str) -> list[str | None]:
    return frame[column].gather(rows.tolist()).to_list()


def _fixed(column: str, *choices: str) -> Spoil:
    """Make a fault that writes one of some texts into a column."""

    def spoil(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
        return _put(frame, rows, column, [choices[n % len(choices)] for n in range(len(rows))])

    return spoil


def _future(column: str) -> Spoil:
    def spoil(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
        ahead = spoiler.rng.integers(2, 900, len(rows)).tolist()
        return _put(frame, rows, column, [(spoiler.cutoff + timedelta(days=n)).isoformat() for n in ahead])

    return spoil


def _mangled(column: str) -> Spoil:
    """Ids as they come back from a spreadsheet: in scientific notation, or with the last digits rounded away."""

    def mangle(number: int, code: str | None) -> str:
        text = code or "0"
        if number % 2 == 0:
            return f"{float(text):.5E}"
        return text[:-1] + str((int(text[-1]) + 3) % 10)

    def spoil(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
        return _put(frame, rows, column, [mangle(n, code) for n, code in enumerate(_held(frame, rows, column))])

    return spoil


def _again(changed: str | None = None) -> Spoil:
    """The same rows once more; with a column named, its value differs the second time."""

    def other(value: str | None) -> str:
        if value is None:
            return "1"
        if len(value) == 10 and value[4] == "-":
            return (date.fromisoformat(value) - timedelta(days=3)).isoformat()
        return f"{float(value) + 1:g}"

    def spoil(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
        twice: pl.DataFrame = frame[rows.tolist()]
        if changed:
            every = np.arange(twice.height)
            twice = _put(twice, every, changed, [other(value) for value in _held(twice, every, changed)])
        return pl.concat([frame, twice])

    return spoil


def _litres(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
    values = [f"{float(value or 60) * 0.03:.2f}" for value in _held(frame, rows, "value_num")]
    units = [("L", None, "litres")[n % 3] for n in range(len(rows))]
    return _put(_put(frame, rows, "value_num", values), rows, "unit_raw", units)


def _percent_hba1c(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
    values = [f"{float(value or 48) / 10.929 + 2.15:.1f}" for value in _held(frame, rows, "value_num")]
    return _put(_put(frame, rows, "value_num", values), rows, "unit_raw", ["%"] * len(rows))


def _wrong_number(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
    wrong = [
        f"{number[:-1]}{(int(number[-1]) + 1) % 10}" if number else None for number in _held(frame, rows, "nhs_number")
    ]
    return _put(_put(frame, rows, "nhs_number", wrong), rows, "nhs_number_status", ["03"] * len(rows))


def _other_grade(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
    grades = [int(float(value or 1)) for value in _held(frame, rows, "value_num")]
    other = [codes.MRC_GRADES[grade % 5] for grade in grades]  # the next grade up, 1 after 5
    changed = _put(frame, rows, "snomed_code", [concept.code for concept in other])
    return _put(changed, rows, "snomed_term", [concept.term for concept in other])


def _left_before_coming(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
    admitted = _held(frame, rows, "admission_date")
    return _put(
        frame,
        rows,
        "discharge_date",
        [(date.fromisoformat(day or "") - timedelta(days=4)).isoformat() for day in admitted],
    )


def _other_birthday(frame: pl.DataFrame, rows: Ints, spoiler: Spoiler) -> pl.DataFrame:
    born = [date.fromisoformat(day or "2000-01-01") for day in _held(frame, rows, "date_of_birth")]
    return _put(frame, rows, "date_of_birth", [(day - timedelta(days=366)).isoformat() for day in born])


def _code(concept: codes.Concept) -> pl.Expr:
    return (pl.col("snomed_code") == concept.code) & pl.col("value_num").is_not_null()


_IS_ISO = pl.col("effective_date").str.contains(r"^\d{4}-\d{2}-\d{2}$")
_SECOND_RECORD = pl.col("source_patient_id").str.starts_with("M")
_NO_DATE = "2026-02-30"

DIRT: tuple[Dirt, ...] = (
    # The values first: they pick rows by code, which later faults damage.
    Dirt("FEV1 in litres under the percent code", "gp_observation", 0.02, _litres, _code(codes.FEV1_PERCENT)),
    Dirt("HbA1c in percent under the mmol/mol code", "gp_observation", 0.01, _percent_hba1c, _code(codes.HBA1C)),
    Dirt("MRC grade code that contradicts its value", "gp_observation", 0.03, _other_grade, _code(codes.MRC_SCORE)),
    Dirt("future date", "gp_event", 0.0003, _future("effective_date")),
    Dirt("future date", "gp_observation", 0.0003, _future("effective_date")),
    Dirt("date that stands for not known", "gp_event", 0.0004, _fixed("effective_date", "1900-01-01")),
    Dirt("date that stands for not known", "gp_observation", 0.0002, _fixed("effective_date", "1900-01-01")),
    Dirt("date that is none", "gp_observation", 0.0002, _fixed("effective_date", "31/02/2026", "2026-13-01")),
    Dirt("date that is none", "gp_medication", 0.0002, _fixed("issue_date", "12 Jan 2026", "46034")),
    Dirt("date that is none", "registration", 0.0003, _fixed("start_date", "01/04/2024")),
    Dirt("date that is none", "apc_episode", 0.0003, _fixed("admission_date", _NO_DATE)),
    Dirt("damaged SNOMED CT id", "gp_event", 0.0004, _mangled("snomed_code")),
    Dirt("damaged SNOMED CT id", "gp_medication", 0.0002, _mangled("dmd_code")),
    Dirt("patient nobody knows", "gp_event", 0.0003, _fixed("source_patient_id", "X00001", "X00002", "X00003")),
    Dirt("patient nobody knows", "gp_observation", 0.0003, _fixed("source_patient_id", "X00001", "X00004")),
    Dirt("patient nobody knows", "gp_medication", 0.0002, _fixed("source_patient_id", "X00002")),
    Dirt("withdrawn by the source", "gp_event", 0.0005, _fixed("is_deleted", "true")),
    Dirt("invalid NHS number", "patient", 0.002, _wrong_number, pl.col("nhs_number").is_not_null()),
    Dirt("two dates of birth for one NHS number", "patient", 0.03, _other_birthday, _SECOND_RECORD),
    Dirt("practice missing from the reference", "registration", 0.0003, _fixed("practice_code", "Y99999")),
    Dirt(
        "discharge before admission",
        "apc_episode",
        0.0006,
        _left_before_coming,
        pl.col("discharge_date").is_not_null() & (pl.col("admission_date") != _NO_DATE),
    ),
    Dirt("same key, other content", "gp_event", 0.0002, _again("effective_date"), _IS_ISO),
    Dirt("same key, other content", "gp_observation", 0.0004, _again("value_num"), pl.col("value_num").is_not_null()),
    Dirt("same row twice", "gp_event", 0.0005, _again()),
    Dirt("same row twice", "gp_medication", 0.0003, _again()),
    Dirt("same row twice", "apc_episode", 0.0005, _again()),
    Dirt("same row twice", "patient", 0.0003, _again(), ~_SECOND_RECORD),
)  # fmt: skip
"""Every kind of fault and its rate. Together they set well under 2 in 100 rows of any table aside."""
