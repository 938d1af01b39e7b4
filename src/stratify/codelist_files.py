"""Files that codelists come in, recognised by their header, and SNOMED CT release files that say more about codes.

Belongs here: the layouts of OpenCodelists, NHS Primary Care Domain and TRUD reference sets, terms, what is inactive,
descendants, and whether a code is well formed. Does not belong: what a list is for and whether to adopt it
(``codelists``). Reads files and keeps nothing. A release is a site's own, under its own licence.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import polars as pl

from stratify.codes import verhoeff_is_valid
from stratify.errors import RuleError

_IS_A = "116680003"
_FULL_NAME = "900000000000003001"
_RF2_REFSET = ("id", "effectivetime", "active", "moduleid", "refsetid", "referencedcomponentid")
_CODE_NAMES = ("code", "dmd_id", "snomedct_code", "icd10_code", "bnf_code")
_TERM_NAMES = ("term", "name", "description")
_PCD_CODE_NAMES = ("snomed_code", "snomed_concept_id", "snomed_ct_concept_id", "snomedct_concept_id", "concept_id")
_PCD_TERM_NAMES = (
    "snomed_code_description",
    "snomed_concept_description",
    "snomed_ct_concept_description",
    "snomedct_concept_description",
    "concept_description",
)

LAYOUTS = (
    "OpenCodelists (CSV with a column code and a column term)",
    "Primary Care Domain reference sets of NHS England (cluster_id, SNOMED code and its description)",
    "a reference set of TRUD (RF2 text: id, effectiveTime, active, moduleId, refsetId, referencedComponentId)",
)


@dataclass(frozen=True)
class CodelistFile:
    """What a file says: its layout, its codes with their terms (empty where the file has none), and what is left out.

    ``places`` gives the line of each code, so that a fault can be found without showing the code.
    """

    layout: str
    codes: dict[str, str]
    places: dict[str, int]
    left_out: tuple[tuple[str, int], ...]


def read_codelist_file(path: Path, *, group: str | None = None) -> CodelistFile:
    """Read the codes of a file in one of the known layouts.

    Args:
        path: The file, UTF-8, with commas or tabs.
        group: The cluster or reference set to take, where the file holds several.

    Raises:
        RuleError: the file is not UTF-8, its header is none of the known ones, it holds no code, or it holds several
            groups and none (or another) is asked for.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise RuleError(
            path.name,
            expected="UTF-8 text",
            found="other bytes",
            action="Save it as UTF-8, by no spreadsheet.",
        ) from None
    first = text.split("\n", 1)[0]
    tabs = "\t" in first
    # RF2 has no quotes: a term may begin with one.
    rows = csv.reader(
        StringIO(text), delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
    )
    header = [re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_") for name in next(rows, [])]
    layout, reader = _recognised(header, path)
    found, left_out = reader(header, [(number, row) for number, row in enumerate(rows, 2) if any(row)], group, path)
    codes: dict[str, str] = {}
    places: dict[str, int] = {}
    for line, code, term in found:
        if not code:
            left_out["rows without a code"] += 1
        elif code in codes:
            left_out["repeated rows"] += 1
        else:
            codes[code], places[code] = term, line
    if not codes:
        raise RuleError(path.name, expected="at least one code", found="none", action="Check that it is the file.")
    return CodelistFile(layout, codes, places, tuple(sorted(left_out.items())))


_Found = tuple[list[tuple[int, str, str]], Counter[str]]
_Reader = Callable[[Sequence[str], Sequence[tuple[int, list[str]]], str | None, Path], _Found]


def _recognised(header: Sequence[str], path: Path) -> tuple[str, _Reader]:
    if tuple(header[: len(_RF2_REFSET)]) == _RF2_REFSET:
        return LAYOUTS[2], _reference_set
    if "cluster_id" in header and _place(header, _PCD_CODE_NAMES) is not None:
        return LAYOUTS[1], _primary_care_domain
    if _place(header, _CODE_NAMES) is not None:
        return LAYOUTS[0], _plain
    raise RuleError(
        f"{path.name}, line 1",
        expected=" or ".join(LAYOUTS),
        found=f"{len(header)} columns of other names",
        action="Give the file as it was downloaded, or a CSV with the columns code and term.",
    )


def _place(header: Sequence[str], names: Iterable[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""


def _plain(header: Sequence[str], rows: Sequence[tuple[int, list[str]]], group: str | None, path: Path) -> _Found:
    code, term = _place(header, _CODE_NAMES), _place(header, _TERM_NAMES)
    return [(line, _cell(row, code), _cell(row, term)) for line, row in rows], Counter()


def _primary_care_domain(
    header: Sequence[str], rows: Sequence[tuple[int, list[str]]], group: str | None, path: Path
) -> _Found:
    cluster = _place(header, ("cluster_id",))
    code, term = _place(header, _PCD_CODE_NAMES), _place(header, _PCD_TERM_NAMES)
    wanted = _one_group({_cell(row, cluster) for _, row in rows}, group, path)
    # The portal's file by output names a code once for each count that reads it: the same code again is no fault.
    return [
        (line, _cell(row, code), _cell(row, term)) for line, row in rows if _cell(row, cluster) == wanted
    ], Counter()


def _reference_set(
    header: Sequence[str], rows: Sequence[tuple[int, list[str]]], group: str | None, path: Path
) -> _Found:
    wanted = _one_group({_cell(row, 4) for _, row in rows}, group, path)
    latest: dict[str, tuple[str, int, list[str]]] = {}
    for line, row in rows:
        if _cell(row, 4) == wanted and (_cell(row, 0) not in latest or _cell(row, 1) >= latest[_cell(row, 0)][0]):
            latest[_cell(row, 0)] = (_cell(row, 1), line, row)
    members = [(line, row) for _, line, row in sorted(latest.values(), key=lambda each: each[1])]
    ended = sum(_cell(row, 2) != "1" for _, row in members)
    left_out = Counter({"codes no longer in the reference set": ended}) if ended else Counter[str]()
    return [(line, _cell(row, 5), "") for line, row in members if _cell(row, 2) == "1"], left_out


def _one_group(groups: set[str], wanted: str | None, path: Path) -> str:
    if wanted in groups or (wanted is None and len(groups) == 1):
        return wanted if wanted is not None else next(iter(groups))
    some = ", ".join(sorted(groups)[:8])
    raise RuleError(
        path.name,
        expected=f"the group {wanted}" if wanted else "one cluster or reference set",
        found=f"{len(groups)}: {some}{', …' if len(groups) > 8 else ''}",
        action="Name one with --group.",
    )


# ------------------------------------------------------------------------------------------------ what a code may be


_FORMS = {"icd10": re.compile(r"[A-Z][0-9][0-9A-Z]{1,4}"), "bnf": re.compile(r"[0-9]{2,7}|[0-9]{7}[0-9A-Z]{2,8}")}


def code_is_well_formed(code: str, system: str) -> bool:
    """Tell whether a code can be one of its system; whether it exists is for a release to say.

    SNOMED CT and dm+d: a concept id, with its check digit (an id of a description, or one that a spreadsheet rounded,
    is none). ICD-10: category or code without its dot. BNF: two to fifteen signs, digits as far as the paragraph.
    """
    if system in _FORMS:
        return bool(_FORMS[system].fullmatch(code)) and (system != "bnf" or len(code) <= 15)
    return verhoeff_is_valid(code) and code[-3:-1] in ("00", "10")


def as_listed(code: str, system: str) -> str:
    """Give a code as our lists write it: ICD-10 and BNF in capitals, without dot, space or a filling X."""
    if system not in _FORMS:
        return code
    plain = re.sub(r"[.\s]", "", code).upper()
    return plain[:-1] if system == "icd10" and len(plain) == 4 and plain.endswith("X") else plain


# -------------------------------------------------------------------------------------------------- release files


def release_terms(release: Path, codes: Iterable[str]) -> dict[str, str]:
    """Give the fully specified name of each code that an RF2 release knows.

    Raises:
        RuleError: the folder holds no description snapshot.
    """
    names = (
        _latest(release, "Description", ("conceptId", "typeId", "term"))
        .filter(
            (pl.col("active") == "1") & (pl.col("typeId") == _FULL_NAME) & pl.col("conceptId").is_in(sorted(set(codes)))
        )
        .sort("conceptId", "effectiveTime", "id")
        .unique("conceptId", keep="last", maintain_order=True)
        .collect()
    )
    return dict(zip(names["conceptId"].to_list(), names["term"].to_list(), strict=True))


def inactive_codes(release: Path, codes: Iterable[str]) -> tuple[set[str], set[str]]:
    """Give the codes that an RF2 release says are inactive, and those it does not know.

    Raises:
        RuleError: the folder holds no concept snapshot.
    """
    asked = sorted(set(codes))
    known = _latest(release, "Concept", ()).filter(pl.col("id").is_in(asked)).collect()
    inactive = set(known.filter(pl.col("active") != "1")["id"].to_list())
    return inactive, set(asked) - set(known["id"].to_list())


def descendants(release: Path, codes: Iterable[str]) -> set[str]:
    """Give every code below some codes by "is a", without those codes.

    Raises:
        RuleError: the folder holds no relationship snapshot.
    """
    pairs = (
        _latest(release, "Relationship", ("sourceId", "destinationId", "typeId"))
        .filter((pl.col("active") == "1") & (pl.col("typeId") == _IS_A))
        .select("sourceId", "destinationId")
        .collect()
    )
    children: dict[str, list[str]] = {}
    for child, parent in pairs.iter_rows():
        children.setdefault(parent, []).append(child)
    start = set(codes)
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found - start


def _latest(release: Path, kind: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Give the newest row of each component over all snapshot files of one kind in a release, wherever they lie."""
    files = sorted(release.rglob(f"*sct2_{kind}_*Snapshot*.txt"))
    if not files:
        raise RuleError(
            f"release {release.name}",
            expected=f"RF2 snapshot files, sct2_{kind}_…Snapshot….txt",
            found="none",
            action="Unpack the SNOMED CT release of TRUD there, or correct --release.",
        )
    wanted = ["id", "effectiveTime", "active", *columns]
    read = [
        pl.scan_csv(each, separator="\t", quote_char=None, infer_schema=False, encoding="utf8").select(wanted)
        for each in files
    ]
    return pl.concat(read).sort("id", "effectiveTime").unique("id", keep="last", maintain_order=True)


def with_terms(codes: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Give codes with their terms, those without one from what is known; empty where nobody knows."""
    return {code: term or known.get(code, "") for code, term in codes.items()}
