"""Synthea CSV files (invented people, made in the United States) in the canonical landing layout.

Belongs here: which Synthea file and column becomes which landing column, what is declared in place of what Synthea
has not, and an account of every row. Does not belong: checks of values, which are the same for every source.

Stand-ins, all marked as such: one practice in one network, a registration with it from birth to death, weekly clinic
sessions. There is no NHS number, so nobody is linked and deaths stand on the patient record only; no ethnic category
(American ones do not map) and no area. Driving licence, passport and social security numbers, addresses and money are
not read. What ends a condition or a medicine (STOP) is not carried: neither is a code. A medicine is one issue on its
first day, however often it was dispensed, so medicines taken for years are undercounted. Entries dated after death
are kept as they are.
"""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stratify import codes
from stratify.errors import ExtractError, StratifyError, combine
from stratify.ingest.feeds import Faults
from stratify.ingest.scanning import TOO_MUCH, UnpackedError, opened
from stratify.ingest.sources import stand_ins

NOT_CARRIED = "not_carried.csv"
"""Written beside the landing folder, ``file,reason,rows``: what has no place in a landing table, and absent files."""

PRACTICE_CODE = "X00001"
CLINICS = stand_ins.CLINICS

_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_ORIGIN = ("source_file_name", "source_line")


@dataclass(frozen=True)
class _Layout:
    """What is read of one Synthea file: ``columns`` must be there, ``extra`` are read where they are.

    Its day is in START or in DATE, which changed between versions. ``system`` is the code system of its CODE where no
    SYSTEM column says so. ``no_table`` is the reason for not reading it at all.
    """

    name: str
    columns: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    is_required: bool = False
    is_dated: bool = True
    table: str | None = None
    system: str = "SNOMED-CT"
    no_table: str = ""


_CODED = ("PATIENT", "CODE", "DESCRIPTION")
_LAYOUTS = {
    layout.name: layout
    for layout in (
        _Layout(
            "patients",
            ("Id", "BIRTHDATE", "DEATHDATE", "FIRST", "LAST", "GENDER"),
            ("PREFIX", "MIDDLE"),
            is_required=True,
            is_dated=False,
            table="patient",
        ),
        _Layout("conditions", _CODED, ("SYSTEM", "ENCOUNTER"), is_required=True, table="gp_event"),
        _Layout("encounters", ("Id", "ENCOUNTERCLASS", *_CODED), is_required=True, table="gp_event"),
        _Layout("procedures", _CODED, ("SYSTEM", "ENCOUNTER"), table="gp_event"),
        _Layout("careplans", _CODED, ("ENCOUNTER",), table="gp_event"),
        # The 2025 version fills SYSTEM with "Unknown"; a code that is no SNOMED CT id is then kept as it is.
        _Layout("allergies", _CODED, ("SYSTEM", "ENCOUNTER"), table="gp_event", system="Unknown"),
        _Layout("devices", _CODED, ("ENCOUNTER",), table="gp_event"),
        _Layout("supplies", _CODED, ("ENCOUNTER",), table="gp_event"),
        _Layout("immunizations", _CODED, ("ENCOUNTER",), table="gp_event", system="CVX"),
        _Layout("observations", (*_CODED, "VALUE", "UNITS"), table="gp_observation", system="LOINC"),
        _Layout("medications", _CODED, table="gp_medication", system="RXNORM"),
        _Layout("imaging_studies", no_table="images have no landing table"),
        *(
            _Layout(name, no_table="organisations and payments are not used")
            for name in ("organizations", "providers", "payers", "payer_transitions", "claims", "claims_transactions")
        ),
    )
}
_NOT_CARRIED_CLASSES = {
    "inpatient": "inpatient stays: they have no ICD-10 diagnosis",
    "emergency": "emergency attendances: no NHS number to link them by",
}
_LOST_TEXT = "text values that no SNOMED CT code is declared for: only their rows are carried"


@dataclass(frozen=True)
class _Read:
    """One Synthea file as text, with the line of each row; ``not_carried`` counts rows by reason."""

    layout: _Layout
    rows: pl.DataFrame
    not_carried: dict[str, int]


def read(folder: Path, scratch: Path, *, apart: Faults | None = None) -> Path:
    """Write the Synthea files of a folder as canonical landing tables.

    Patients, conditions and encounters must be there; of the other files those that are. Files may be plain or
    gzipped, with columns in any order: their names decide. Rows of unknown files are not looked at.

    Args:
        folder: Synthea CSV files, as ``exporter.csv.export`` writes them.
        scratch: A restricted folder that ends with the run; ``not_carried.csv`` is left there.
        apart: As every source has it; here a broken file refuses the set.

    Returns:
        The folder of the landing tables, one Parquet file each, every row with its original file and line.

    Raises:
        ExtractError: a file is absent, empty, cut off, not UTF-8, not CSV, or lacks a column; all faults are listed.
    """
    found = _find(folder)
    files: list[_Read] = []
    faults: list[StratifyError] = []
    accounts: dict[str, dict[str, int]] = {}
    for layout in _LAYOUTS.values():
        path = found.get(layout.name)
        if path is None:
            if layout.table:
                accounts[f"{layout.name}.csv"] = {"file not supplied": 0}
            continue
        account = accounts.setdefault(path.name, {})
        try:
            if layout.no_table:
                account[layout.no_table] = _count_rows(path)
            else:
                files.append(_Read(layout, _read_rows(path, layout), account))
        except ExtractError as fault:
            faults.append(fault)
    if faults:
        raise combine(faults) from None
    landing = scratch / "landing"
    shutil.rmtree(landing, ignore_errors=True)
    landing.mkdir(parents=True)
    tables: dict[str, list[pl.DataFrame]]
    tables = {table: [frame] for table, frame in stand_ins.frames(PRACTICE_CODE, "synthea").items()}
    for file in files:
        for table, frame in _carry(file):
            tables.setdefault(table, []).append(frame)
    for table, frames in tables.items():
        stand_ins.write_table(landing, table, frames)
    left = [(name, reason, count) for name, account in accounts.items() for reason, count in account.items()]
    pl.DataFrame(left, schema=["file", "reason", "rows"], orient="row").write_csv(scratch / NOT_CARRIED)
    return landing


def known_names(names: list[str]) -> tuple[list[str], list[str]]:
    """Part file names into those of Synthea files and others."""
    known = [name for name in names if name.removesuffix(".gz").removesuffix(".csv") in _LAYOUTS and ".csv" in name]
    return known, [name for name in names if name not in known]


def header_faults(folder: Path) -> list[str]:
    """Give what is wrong with the files of a folder as a set, and with their headers; no row is read."""
    faults: list[StratifyError] = []
    try:
        found = _find(folder)
    except StratifyError as fault:
        return [str(fault)]
    for layout in _LAYOUTS.values():
        if layout.name in found and layout.table:
            path = found[layout.name]
            try:
                first = next(_chunks(path), b"").removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
                _wanted_columns(path.name, layout, first.decode("utf-8", errors="replace").rstrip("\r"))
            except ExtractError as fault:
                faults.append(fault)
    return [str(fault) for fault in faults]


# Reading


def _find(folder: Path) -> dict[str, Path]:
    """Give the file of each known name, and refuse a folder that lacks one or has one twice."""
    if not folder.is_dir():
        raise ExtractError(
            f"extract folder {folder.name or folder}",
            expected="a folder of Synthea CSV files",
            found="no such folder",
            action="Correct the path.",
        )
    found: dict[str, Path] = {}
    faults: list[StratifyError] = []
    for layout in _LAYOUTS.values():
        paths = [path for end in (".csv", ".csv.gz") if (path := folder / f"{layout.name}{end}").is_file()]
        if len(paths) > 1:
            faults.append(
                _fault(layout.name + ".csv", "one file", "a plain and a gzipped one", "Keep the one that is meant.")
            )
        elif paths:
            found[layout.name] = paths[0]
        elif layout.is_required:
            faults.append(
                _fault(f"{layout.name}.csv", "this file, plain or gzipped", "none", "Export the Synthea set as CSV.")
            )
    if faults:
        raise combine(faults)
    return found


_AGAIN = "Copy or export the file again."


def _fault(where: str, expected: str, found: str, action: str) -> ExtractError:
    return ExtractError(where, expected=expected, found=found, action=action)


def _chunks(path: Path) -> Iterator[bytes]:
    """Give the bytes of a file, unzipped."""
    problem = None
    try:
        with opened(path, is_zipped=path.suffix == ".gz") as stream:
            while chunk := stream.read(1 << 22):
                yield chunk
    except UnpackedError:
        problem = TOO_MUCH
    except (OSError, EOFError, zlib.error):
        problem = "one that cannot"
    if problem:  # raised here, outside, so that nothing of the file is chained to it
        raise _fault(path.name, "a file that can be read to its end", problem, _AGAIN)


def _count_rows(path: Path) -> int:
    return max(sum(chunk.count(b"\n") for chunk in _chunks(path)) - 1, 0)


def _read_rows(path: Path, layout: _Layout) -> pl.DataFrame:
    """Read the columns of a file that are used, as text without blanks around, with the line of each row."""
    content = b"".join(_chunks(path)).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if not content.strip():
        raise _fault(path.name, "a header and rows", "an empty file", _AGAIN)
    bad_line = _first_line_not_utf8(content)
    if bad_line:
        raise _fault(path.name, "UTF-8 text", f"bytes that are not, first on line {bad_line}", _AGAIN)
    wanted = _wanted_columns(path.name, layout, content.split(b"\n", 1)[0].decode("utf-8"))
    if not content.endswith(b"\n"):
        raise _fault(path.name, "a line end after the last line", "none: the file is cut off", _AGAIN)
    lines = content.count(b"\n") - 1
    _check_lines(path.name, content)
    rows = None
    with contextlib.suppress(pl.exceptions.PolarsError):  # its message may hold a line of the file
        rows = pl.read_csv(io.BytesIO(content), infer_schema=False, raise_if_empty=False).select(wanted)
    if rows is None or rows.height != lines:
        raise _fault(
            path.name,
            f"{lines} records, as it has lines below the header",
            "another number: a quote never closed, or a line break inside a value",
            _AGAIN,
        )
    if layout.is_required and not lines:
        raise _fault(path.name, "rows below the header", "a header only", _AGAIN)
    text = rows.select(pl.col(wanted).str.strip_chars().replace("", None)).with_row_index("source_line", offset=2)
    absent = [name for name in layout.extra if name not in wanted]
    renamed = text.rename({"DATE": "START"} if "DATE" in wanted else {})
    return renamed.with_columns(
        *(pl.lit(None, dtype=pl.String).alias(name) for name in absent),
        pl.col("source_line").cast(pl.Int64),
        pl.lit(path.name).alias("source_file_name"),
    )


def _check_lines(file_name: str, content: bytes) -> None:
    """Refuse a file with a line of more or fewer values than its header; lines with quotes are left to the reader."""
    lines = pl.Series(content.decode("utf-8").split("\n")[:-1], dtype=pl.String)
    commas = lines.str.count_matches(",", literal=True)
    is_wrong = ~lines.str.contains('"', literal=True) & (commas != commas[0])
    if '"' in lines[0] or not is_wrong.any():
        return
    raise _fault(
        file_name,
        f"{commas[0] + 1} values on every line, as in the header",
        f"more, fewer or none on {is_wrong.sum()} lines, first on line {is_wrong.arg_max() + 1}",
        _AGAIN,
    )


def _first_line_not_utf8(content: bytes) -> int | None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as fault:
        return content[: fault.start].count(b"\n") + 1
    return None


def _wanted_columns(file_name: str, layout: _Layout, header_line: str) -> list[str]:
    header = next(csv.reader([header_line]), [])
    sign = next(
        (name for mark, name in ((";", "semicolons"), ("|", "bars"), ("\t", "tabs")) if mark in header_line), ""
    )
    if len(header) == 1 and sign:
        raise _fault(file_name, "columns separated by commas", f"columns separated by {sign}", _AGAIN)
    dated = [next((name for name in ("START", "DATE") if name in header), "START")] if layout.is_dated else []
    needed = [*dated, *layout.columns]
    missing = [name for name in needed if name not in header]
    twice = [name for name in (*needed, *layout.extra) if header.count(name) > 1]
    if missing or twice:
        # The names that are there instead are not shown: a file without a header has a person's row in their place.
        parts = [f"no {', '.join(missing)}"] if missing else []
        parts += [f"{', '.join(twice)} twice"] if twice else []
        raise _fault(
            file_name,
            f"the Synthea columns {', '.join(needed)}",
            "; ".join(parts),
            "Export the set as Synthea CSV, with headers.",
        )
    return [*needed, *(name for name in layout.extra if name in header)]


# Carrying


def _carry(file: _Read) -> list[tuple[str, pl.DataFrame]]:
    """Give the landing rows a file becomes, by table, and count what is left behind."""
    rows = file.rows
    if file.layout.name == "patients":
        return [("patient", _patients(rows)), ("registration", _registrations(rows))]
    if file.layout.name == "encounters":
        for kind, reason in _NOT_CARRIED_CLASSES.items():
            file.not_carried[reason] = rows.filter(pl.col("ENCOUNTERCLASS") == kind).height
        rows = rows.filter(~pl.col("ENCOUNTERCLASS").is_in(list(_NOT_CARRIED_CLASSES)).fill_null(False))
        rows = rows.with_columns(pl.col("Id").alias("ENCOUNTER"))
    table = file.layout.table or ""
    if table == "gp_medication":
        return [(table, _medications(rows, file.layout))]
    if table == "gp_observation":
        frame = _observations(rows, file.layout)
        is_text = pl.col("value_text").is_not_null() & pl.col("value_num").is_null()
        file.not_carried[_LOST_TEXT] = frame.filter(is_text & ~pl.col("is_said_by_code")).height
        return [(table, frame)]
    return [(table, _events(rows, file.layout))]


def _patients(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.lit(PRACTICE_CODE).alias("org_code"),
        pl.col("Id").alias("source_patient_id"),
        pl.col("LAST").alias("family_name"),
        pl.concat_str("FIRST", "MIDDLE", separator=" ", ignore_nulls=True).alias("given_names"),
        pl.col("PREFIX").alias("title"),
        _day("BIRTHDATE").alias("date_of_birth"),
        pl.col("GENDER").alias("sex"),
        _day("DEATHDATE").alias("date_of_death"),
        *_ORIGIN,
    )


def _registrations(rows: pl.DataFrame) -> pl.DataFrame:
    """One stand-in registration a person, with the stand-in practice, from birth to death."""
    return rows.select(
        pl.lit(PRACTICE_CODE).alias("org_code"),
        pl.format("patients:{}", "source_line").alias("source_registration_id"),
        pl.col("Id").alias("source_patient_id"),
        pl.lit(PRACTICE_CODE).alias("practice_code"),
        pl.lit("REGULAR").alias("registration_type"),
        _day("BIRTHDATE").alias("start_date"),
        _day("DEATHDATE").alias("end_date"),
        pl.when(pl.col("DEATHDATE").is_not_null()).then(pl.lit("died")).alias("end_reason"),
        *_ORIGIN,
    )


def _entry(layout: _Layout, id_column: str) -> list[pl.Expr]:
    """Give what every entry has: whose it is, and an id made of its file and line, so that repeats stay apart."""
    return [
        pl.lit(PRACTICE_CODE).alias("org_code"),
        pl.format(layout.name + ":{}", "source_line").alias(id_column),
        pl.col("PATIENT").alias("source_patient_id"),
    ]


def _day(column: str) -> pl.Expr:
    """Cut a timestamp to its day; anything else stays as it is, for the contract to judge."""
    return pl.col(column).str.replace(r"^(\d{4}-\d{2}-\d{2})[T ].*$", "$1")


def _events(rows: pl.DataFrame, layout: _Layout) -> pl.DataFrame:
    if "SYSTEM" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias("SYSTEM"))
    system = pl.col("SYSTEM").fill_null(layout.system)
    told_apart = [code for code in rows["CODE"].drop_nulls().unique() if codes.verhoeff_is_valid(code)]
    # A code of no stated system is SNOMED CT when its check digit says so.
    is_snomed = (system == "SNOMED-CT") | ((system == "Unknown") & pl.col("CODE").is_in(told_apart))
    is_other = ~is_snomed & pl.col("CODE").is_not_null()
    return rows.select(
        *_entry(layout, "source_event_id"),
        pl.when(is_snomed).then("CODE").alias("snomed_code"),
        pl.col("DESCRIPTION").alias("snomed_term"),
        pl.when(is_other).then("CODE").alias("original_code"),
        pl.when(is_other).then(system.replace("Unknown", "not stated")).alias("original_system"),
        _day("START").alias("effective_date"),
        pl.lit("YMD").alias("effective_precision"),
        pl.col("ENCOUNTER").alias("encounter_id"),
        *_ORIGIN,
    )


def _observations(rows: pl.DataFrame, layout: _Layout) -> pl.DataFrame:
    """Give the observations, with a SNOMED CT code where one is declared for the LOINC code, or for it and its text."""
    declared = pl.read_csv(Path(__file__).with_name("synthea_codes.csv"), infer_schema=False).rename(
        {"loinc": "CODE", "value_text": "VALUE"}
    )
    of_text = declared.filter(pl.col("VALUE").is_not_null()).select(
        "CODE", "VALUE", text_code="snomed_code", text_term="snomed_term"
    )
    of_code = declared.filter(pl.col("VALUE").is_null()).select("CODE", plain_code="snomed_code")
    joined = rows.join(of_text, on=["CODE", "VALUE"], how="left", maintain_order="left").join(
        of_code, on="CODE", how="left", maintain_order="left"
    )
    return joined.select(
        *_entry(layout, "source_event_id"),
        pl.coalesce("text_code", "plain_code").alias("snomed_code"),
        pl.coalesce("text_term", "DESCRIPTION").alias("snomed_term"),
        pl.col("CODE").alias("original_code"),
        pl.when(pl.col("CODE").is_not_null()).then(pl.lit(layout.system)).alias("original_system"),
        _day("START").alias("effective_date"),
        pl.lit("YMD").alias("effective_precision"),
        pl.when(pl.col("VALUE").str.contains(_NUMBER)).then("VALUE").alias("value_num"),
        pl.col("UNITS").alias("unit_raw"),
        pl.col("VALUE").alias("value_text"),
        pl.col("text_code").is_not_null().alias("is_said_by_code"),
        *_ORIGIN,
    )


def _medications(rows: pl.DataFrame, layout: _Layout) -> pl.DataFrame:
    return rows.select(
        *_entry(layout, "source_issue_id"),
        _day("START").alias("issue_date"),
        pl.col("DESCRIPTION").alias("dmd_term"),
        pl.col("CODE").alias("original_code"),
        pl.when(pl.col("CODE").is_not_null()).then(pl.lit(layout.system)).alias("original_system"),
        *_ORIGIN,
    )
