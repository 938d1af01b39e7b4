"""One person's rows taken out of a file, with everybody else's left as they are and in their order.

Rows of extracts and of the memory go: an empty one would count as a faulty row of the supplier's. A row of what came
back is emptied, and of a workbook the texts that only it used. Belongs here: files. Which files, and what of a record
changes with them, is in ``erasure``.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

Record = tuple[str, str]
"""A record of a practice: the code of the organisation, and its own number of the patient."""

_NUMBER_COLUMNS = ("nhs_number", "surviving_nhs_number")
_RECORD_COLUMNS = ("org_code", "source_patient_id")
_BLANKS = str.maketrans("", "", " -")


@dataclass(frozen=True)
class Person:
    """By what one person is known in files of the canonical layout.

    Attributes:
        numbers: Their NHS numbers, superseded ones too.
        records: Their records at practices.
    """

    numbers: frozenset[str]
    records: frozenset[Record] = frozenset()

    def is_in(self, row: dict[str, str | None]) -> bool:
        """Tell whether a row is about the person."""
        org, own = (row.get(name) for name in _RECORD_COLUMNS)
        numbers = ((row.get(name) or "").translate(_BLANKS) for name in _NUMBER_COLUMNS)
        return any(number in self.numbers for number in numbers) or (org or "", own or "") in self.records

    def known_by(self, row: dict[str, str | None]) -> Person:
        """Give the person with what a row of theirs says more: another number, a record."""
        numbers = {(row.get(name) or "").translate(_BLANKS) for name in _NUMBER_COLUMNS}
        org, own = (row.get(name) or "" for name in _RECORD_COLUMNS)
        records = {(org, own)} if org and own else set()
        return Person(self.numbers | {each for each in numbers if each}, self.records | records)


def rows_of_extract(path: Path, name: str) -> Iterable[dict[str, str | None]]:
    """Give the rows of an extract file as texts, as far as they say who a row is about."""
    wanted = (*_NUMBER_COLUMNS, *_RECORD_COLUMNS)
    if name.endswith(".parquet"):
        there = [each for each in pl.read_parquet_schema(path) if each in wanted]
        yield from pl.read_parquet(path, columns=there).select(pl.all().cast(pl.String)).iter_rows(named=True)
        return
    header: list[str] = []
    for line in _text(path, name).splitlines():
        cells = next(csv.reader([line]), [])
        if not header:
            header = cells
            continue
        yield {each: value for each, value in zip(header, cells, strict=False) if each in wanted}


def row_count(path: Path, name: str) -> int:
    """Give how many rows an extract file has."""
    return sum(1 for _ in rows_of_extract(path, name))


def without_person(path: Path, name: str, person: Person) -> bytes | None:
    """Give an extract file without the person's rows; None where it has none."""
    hits = [number for number, row in enumerate(rows_of_extract(path, name)) if person.is_in(row)]
    if not hits:
        return None
    if name.endswith(".parquet"):
        written = io.BytesIO()
        pl.read_parquet(path).filter(~pl.int_range(pl.len()).is_in(hits)).write_parquet(written)
        return written.getvalue()
    text = _text(path, name)
    theirs = {number + 1 for number in hits}  # the header is line 0
    lines = text.splitlines(keepends=True)
    content = "".join(line for number, line in enumerate(lines) if number not in theirs).encode()
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def _text(path: Path, name: str) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf-8")


def without_keys(path: Path, keys: Collection[str], references: Collection[str]) -> bytes | None:
    """Give a table of the memory without the rows of some pseudonyms, and of answers about their rows on lists.

    The register of feedback is never shorter: there the person is taken out of the row. None where nobody is in it.
    """
    frame = pl.read_parquet(path)
    by_key = pl.col("patient_key").is_in(list(keys)) if "patient_key" in frame.columns else pl.lit(value=False)
    if path.stem == "feedback":
        changed = frame.with_columns(pl.when(~by_key.fill_null(value=False)).then("patient_key").alias("patient_key"))
    else:
        has_reference = "row_reference" in frame.columns
        by_reference = pl.col("row_reference").is_in(list(references)) if has_reference else pl.lit(value=False)
        changed = frame.filter(~(by_key.fill_null(value=False) | by_reference.fill_null(value=False)))
    if changed.equals(frame):
        return None
    written = io.BytesIO()
    changed.write_parquet(written)
    return written.getvalue()


def references_of(path: Path, keys: Collection[str]) -> set[str]:
    """Give the references under which some pseudonyms stand in a table of the memory."""
    names = pl.read_parquet_schema(path)
    if not {"patient_key", "row_reference"} <= set(names):
        return set()
    frame = pl.read_parquet(path, columns=["patient_key", "row_reference"])
    return set(frame.filter(pl.col("patient_key").is_in(list(keys)))["row_reference"].drop_nulls())


def without_answers(path: Path, words: Collection[str]) -> bytes | None:
    """Give a file that a practice sent back with the rows that hold one of some words emptied; None where none does.

    Args:
        path: A workbook or a CSV.
        words: NHS numbers and references of rows.
    """
    raw = path.read_bytes()
    if raw.startswith(b"PK"):
        return _workbook_without(raw, words)
    lines = raw.splitlines(keepends=True)
    wanted = [each.encode() for each in words]
    hits = [number for number, line in enumerate(lines) if any(each in line.translate(None, b" ") for each in wanted)]
    if not hits:
        return None
    for number in hits:
        line = lines[number]
        lines[number] = line[len(line.rstrip(b"\r\n")) :]
    return b"".join(lines)


_ROW = re.compile(rb"<row(?=[\s>])[^>]*>.*?</row>", re.DOTALL)
_TEXT_OF_CELL = re.compile(rb"<(?:v|t)(?:\s[^>]*)?>([^<]*)</(?:v|t)>")
_SHARED_CELL = re.compile(rb'<c(?=\s)[^>]*\bt="s"[^>]*>\s*(?:<f[^>]*>[^<]*</f>)?<v>([0-9]+)</v>')
_SHARED_TEXT = re.compile(rb"<si(?:\s[^>]*)?>.*?</si>|<si/>", re.DOTALL)
_WORDS_OF_TEXT = re.compile(rb"<t(?:\s[^>]*)?>([^<]*)</t>")


def _workbook_without(raw: bytes, words: Collection[str]) -> bytes | None:
    wanted = {each.encode() for each in words}
    with zipfile.ZipFile(io.BytesIO(raw)) as before:
        parts = {each.filename: before.read(each) for each in before.infolist()}
    texts = _SHARED_TEXT.findall(parts.get(_SHARED, b""))
    said = [b"".join(_WORDS_OF_TEXT.findall(each)) for each in texts]
    used: set[int] = set()
    is_changed = False

    def kept(row: re.Match[bytes]) -> bytes:
        nonlocal is_changed
        numbers = [int(each) for each in _SHARED_CELL.findall(row[0])]
        here = [said[each] for each in numbers if each < len(said)] + _TEXT_OF_CELL.findall(row[0])
        if any(each.replace(b" ", b"") in wanted for each in here):
            is_changed = True
            return row[0][: row[0].index(b">") + 1] + b"</row>"
        used.update(numbers)
        return row[0]

    for name in [each for each in parts if each.startswith("xl/worksheets/") and each.endswith(".xml")]:
        parts[name] = _ROW.sub(kept, parts[name])
    if not is_changed:
        return None
    number = iter(range(len(texts)))
    if _SHARED in parts:  # what only the emptied rows said is said no more
        parts[_SHARED] = _SHARED_TEXT.sub(
            lambda each: each[0] if next(number) in used else b"<si><t></t></si>", parts[_SHARED]
        )
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as after:
        for name, content in parts.items():
            after.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


_SHARED = "xl/sharedStrings.xml"
